/* SPDX-License-Identifier: MIT
 *
 * Reading ULIDs. Called by store/job.c and lane.c with keys that look like their own, and by statistics.
 */
#include "base/ulid.h"

static bool
digits_read(const unsigned char *from, size_t count, uint64_t *value)
{
    enum { NONE = 0xff };
    /* By the character's low seven bits; the others have the high one. */
    static const unsigned char of[128] = {
        NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
        NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
        NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
        NONE, NONE, NONE, 0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    NONE, NONE,
        NONE, NONE, NONE, NONE, NONE, 10,   11,   12,   13,   14,   15,   16,   17,   NONE, 18,
        19,   NONE, 20,   21,   NONE, 22,   23,   24,   25,   26,   NONE, 27,   28,   29,   30,
        31,   NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
        NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
        NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE};
    uint64_t sum = 0;
    unsigned char wrong = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned char digit = of[from[i] & 127];
        wrong |= digit | (from[i] & 128);
        sum = sum << 5 | digit;
    }
    if ((wrong & 128) != 0)
        return false;
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
