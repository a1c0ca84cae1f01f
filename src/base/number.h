/* SPDX-License-Identifier: MIT
 *
 * The number format of lk_add: 8 bytes, signed, the lowest byte first.
 */
#ifndef LKI_BASE_NUMBER_H
#define LKI_BASE_NUMBER_H

#include <stdint.h>
#include <string.h>

#include "base/check.h"

enum { LKI_NUMBER_SIZE = sizeof(int64_t) };

/* Converts from and to the byte order of the processor. */
LKI_INLINE uint64_t
lki_number_order(uint64_t number)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(number);
#else
    return number;
#endif
}

LKI_INLINE int64_t
lki_number_read(const void *bytes)
{
    uint64_t number;
    memcpy(&number, bytes, sizeof number);
    return (int64_t)lki_number_order(number);
}

LKI_INLINE void
lki_number_write(void *bytes, int64_t number)
{
    uint64_t ordered = lki_number_order((uint64_t)number);
    memcpy(bytes, &ordered, sizeof ordered);
}

#endif
