/* SPDX-License-Identifier: MIT
 *
 * The system's clocks, in the form of the store's options, and arithmetic of times. Any thread; no
 * call waits.
 */
#ifndef LKI_BASE_CLOCK_H
#define LKI_BASE_CLOCK_H

#include <stdint.h>

#include "base/check.h"

int64_t lki_realtime_ms(void *unused);
/* The time of the kernel's last tick: at most LKI_COARSE_LAG_MS old, for a fifth of the cost. */
int64_t lki_realtime_coarse_ms(void *unused);
enum { LKI_COARSE_LAG_MS = 16 };
int64_t lki_monotonic_ms(void *unused);
int64_t lki_monotonic_coarse_ms(void *unused); /* lags by the same */

/* `ms` after `now_ms`. Both may have any value, so the sum stops at the ends of int64_t. */
LKI_INLINE int64_t
lki_time_after(int64_t now_ms, int64_t ms)
{
    int64_t sum;
    if (LKI_UNLIKELY(__builtin_add_overflow(now_ms, ms, &sum)))
        return ms < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

/* How long after `since` is `until`? 0 if it is not. Both may have any value. */
static inline int64_t
lki_span_ms(int64_t since, int64_t until)
{
    if (until <= since)
        return 0;
    uint64_t span = (uint64_t)until - (uint64_t)since;
    return span > INT64_MAX ? INT64_MAX : (int64_t)span;
}

#endif
