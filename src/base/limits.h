/* SPDX-License-Identifier: MIT
 *
 * Limits of keys and data in bytes: the defaults, and the caps that no option can exceed.
 */
#ifndef LKI_BASE_LIMITS_H
#define LKI_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include <latchkey/latchkey.h>

#define LKI_PK_SIZE ((size_t)2048)
#define LKI_SK_SIZE ((size_t)1024)
#define LKI_DATA_SIZE ((size_t)16 << 20)
#define LKI_KEY_SIZE_CAP ((size_t)65535)
#define LKI_DATA_SIZE_CAP ((size_t)UINT32_MAX)

/* Sets *to from an option, or to the default if that is 0. LK_TOO_BIG: above the cap. */
static inline lk_status
lki_limit_take(size_t given, size_t otherwise, size_t cap, size_t *to)
{
    *to = given != 0 ? given : otherwise;
    return *to > cap ? LK_TOO_BIG : LK_OK;
}

#endif
