/* SPDX-License-Identifier: MIT
 *
 * The system's clocks (clock.h).
 */
#include "base/clock.h"

#include <time.h>

static int64_t
clock_ms(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
lki_realtime_ms(void *unused)
{
    (void)unused;
    return clock_ms(CLOCK_REALTIME);
}

int64_t
lki_realtime_coarse_ms(void *unused)
{
    (void)unused;
    return clock_ms(CLOCK_REALTIME_COARSE);
}

int64_t
lki_monotonic_ms(void *unused)
{
    (void)unused;
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t
lki_monotonic_coarse_ms(void *unused)
{
    (void)unused;
    return clock_ms(CLOCK_MONOTONIC_COARSE);
}
