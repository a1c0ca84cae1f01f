/* SPDX-License-Identifier: MIT
 *
 * ULIDs: 26 characters of Crockford's base 32 that sort like the 128 bits they stand for
 * (github.com/ulid/spec, 2016). Here: milliseconds (48 bits, 10 characters), an owner (40 bits, 8
 * characters), a place (40 bits, 8 characters). queue/README.md says what owner and place are.
 */
#ifndef LKI_BASE_ULID_H
#define LKI_BASE_ULID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <latchkey/adapter.h>

#include "base/check.h"

enum { LKI_ULID_OWNER = 10, LKI_ULID_PLACE = 18, LKI_ULID_WORD = 8 };
#define LKI_ULID_MASK (((uint64_t)1 << 40) - 1)
#define LKI_ULID_MS_MAX (((int64_t)1 << 48) - 1)

extern const unsigned char lki_ulid_digit[32];

/* Writes 40 bits as 8 characters, all at once: five bits go to each byte, then bytes become digits.
 * The alphabet leaves out I, L, O and U: from each of these on digits are one further. */
LKI_INLINE void
lki_ulid_write(unsigned char *to, uint64_t value)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t x = (value & 0xfffff) | (value >> 20 & 0xfffff) << 32;
    x = (x & UINT64_C(0x000003ff000003ff)) | (x & UINT64_C(0x000ffc00000ffc00)) << 6;
    x = (x & UINT64_C(0x001f001f001f001f)) | (x & UINT64_C(0x03e003e003e003e0)) << 3;
    uint64_t text = x + each * '0';
    text += ((x + each * (128 - 10)) >> 7 & each) * 7;
    text += (x + each * (128 - 18)) >> 7 & each;
    text += (x + each * (128 - 20)) >> 7 & each;
    text += (x + each * (128 - 22)) >> 7 & each;
    text += (x + each * (128 - 27)) >> 7 & each;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    text = __builtin_bswap64(text);
#endif
    memcpy(to, &text, sizeof text);
}

LKI_INLINE void
lki_ulid_write_ms(unsigned char *to, int64_t ms)
{
    unsigned char high[LKI_ULID_WORD];
    lki_ulid_write(high, (uint64_t)ms >> 40);
    memcpy(to, high + 6, 2);
    lki_ulid_write(to + 2, (uint64_t)ms & LKI_ULID_MASK);
}

/* Reads 40 bits, or milliseconds. False: the characters are not an ULID's. */
bool lki_ulid_read(const unsigned char *from, uint64_t *value);
bool lki_ulid_read_ms(const unsigned char *from, int64_t *ms);

#endif
