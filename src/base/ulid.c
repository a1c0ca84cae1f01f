/* SPDX-License-Identifier: MIT
 *
 * Reading ULIDs. Called by store/lane.c with keys that look like one of its own.
 */
#include "base/ulid.h"

static bool
digits_read(const unsigned char *from, size_t count, uint64_t *value)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const char *digit = memchr(digits, from[i], sizeof digits - 1);
        if (digit == NULL)
            return false;
        sum = sum << 5 | (uint64_t)(digit - digits);
    }
    *value = sum;
    return true;
}

bool
lki_ulid_read(const unsigned char *from, uint64_t *value)
{
    return digits_read(from, LKI_ULID_WORD, value);
}

bool
lki_ulid_read_ms(const unsigned char *from, int64_t *ms)
{
    uint64_t value;
    if (!digits_read(from, LKI_ULID_OWNER, &value) || value > (uint64_t)LKI_ULID_MS_MAX)
        return false;
    *ms = (int64_t)value;
    return true;
}
