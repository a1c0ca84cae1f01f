/* SPDX-License-Identifier: MIT
 *
 * ULIDs: read, and generated one after the other for adapters (lk_ulid_next of adapter.h).
 */
#include "base/ulid.h"

#include <errno.h>
#include <latchkey/adapter.h>
#include <sys/random.h>

#include "base/cancel.h"

const unsigned char lki_ulid_digit[32] = {'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A',
                                          'B', 'C', 'D', 'E', 'F', 'G', 'H', 'J', 'K', 'M', 'N',
                                          'P', 'Q', 'R', 'S', 'T', 'V', 'W', 'X', 'Y', 'Z'};

static bool
digits_read(const unsigned char *from, size_t count, uint64_t *value)
{
    enum { NONE = 0xff };
    /* By the character's low seven bits; characters with the high bit are rejected below. */
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

/* ---- for adapters ---- */

/* Draws the two halves of the 80 bits behind the milliseconds. */
static void
tail_draw(uint64_t tail[2])
{
    enum { HALF = 5 };
    unsigned char bytes[2 * HALF];
    int saved = errno, before = lki_cancel_forbid();
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes)
        memset(bytes, 0, sizeof bytes); /* still unique in its queue */
    lki_cancel_allow(before);
    errno = saved;
    tail[0] = tail[1] = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        tail[i / HALF] = tail[i / HALF] << 8 | bytes[i];
    tail[0] &= LKI_ULID_MASK >> 1; /* room to count up */
}

void
lk_ulid_next(char *ulid, int64_t now_ms)
{
    unsigned char *text = (unsigned char *)ulid;
    int64_t ms = now_ms < 0 ? 0 : now_ms > LKI_ULID_MS_MAX ? LKI_ULID_MS_MAX : now_ms, last_ms;
    uint64_t tail[2];
    bool follows = lki_ulid_read_ms(text, &last_ms) && last_ms >= ms &&
                   lki_ulid_read(text + LKI_ULID_OWNER, &tail[0]) &&
                   lki_ulid_read(text + LKI_ULID_PLACE, &tail[1]);
    if (follows) {
        ms = last_ms;
        tail[1] = (tail[1] + 1) & LKI_ULID_MASK;
        tail[0] = (tail[0] + (tail[1] == 0)) & LKI_ULID_MASK;
        if (tail[0] == 0 && tail[1] == 0 && ms < LKI_ULID_MS_MAX)
            ms++; /* after 2^79 in one millisecond */
    } else {
        tail_draw(tail);
    }
    lki_ulid_write_ms(text, ms);
    lki_ulid_write(text + LKI_ULID_OWNER, tail[0]);
    lki_ulid_write(text + LKI_ULID_PLACE, tail[1]);
}
