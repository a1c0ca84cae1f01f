/* SPDX-License-Identifier: MIT
 *
 * The names of statuses, and the pause between retries.
 */
#include <sched.h>

#include <latchkey/latchkey.h>

#include "base/atomic.h"

const char *
lk_status_string(lk_status status)
{
    switch (status) {
    case LK_OK:
        return "LK_OK";
    case LK_NOT_FOUND:
        return "LK_NOT_FOUND";
    case LK_RACE:
        return "LK_RACE";
    case LK_EMPTY:
        return "LK_EMPTY";
    case LK_LOST:
        return "LK_LOST";
    case LK_LATE:
        return "LK_LATE";
    case LK_TIMED_OUT:
        return "LK_TIMED_OUT";
    case LK_CLOSED:
        return "LK_CLOSED";
    case LK_EXISTS:
        return "LK_EXISTS";
    case LK_END:
        return "LK_END";
    case LK_INVALID:
        return "LK_INVALID";
    case LK_TOO_BIG:
        return "LK_TOO_BIG";
    case LK_TOO_SMALL:
        return "LK_TOO_SMALL";
    case LK_NO_MEMORY:
        return "LK_NO_MEMORY";
    case LK_BUSY:
        return "LK_BUSY";
    case LK_UNSUPPORTED:
        return "LK_UNSUPPORTED";
    case LK_UNAVAILABLE:
        return "LK_UNAVAILABLE";
    case LK_UNKNOWN:
        return "LK_UNKNOWN";
    }
    return "LK_?";
}

enum { PAUSES_FIRST = 128, PAUSES_MAX = 1024, YIELD_FROM = 6 };

/* Randomised exponential back-off: Metcalfe, Boggs, "Ethernet", 1976; Anderson, "The Performance
 * of Spin Lock Alternatives", 1990. A pause is some 40 cycles. */
void
lk_backoff(unsigned attempt)
{
    static __thread uint32_t seed;
    if (seed == 0)
        seed = (uint32_t)(uintptr_t)&seed | 1;
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    unsigned limit = attempt < 3 ? (unsigned)PAUSES_FIRST << attempt : PAUSES_MAX;
    for (unsigned pauses = limit / 2 + seed % (limit / 2 + 1); pauses > 0; pauses--)
        lki_pause();
    if (attempt >= YIELD_FROM)
        sched_yield();
}
