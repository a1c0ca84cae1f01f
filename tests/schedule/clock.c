/* SPDX-License-Identifier: MIT
 *
 * Virtual time. Unix time has begun a while ago, monotonic time an hour ago.
 */
#include "schedule/clock.h"

#include <stdbool.h>

#include "schedule/engine.h"
#include "schedule/schedule.h"

enum { NS_PER_MS = 1000000, NS_PER_S = 1000000000 };
#define UNIX_NS (INT64_C(1800000000) * NS_PER_S)

static int64_t now;
static int64_t unix_offset;

int64_t
clock_now_ns(void)
{
    return now;
}

void
clock_reset(int64_t now_ns)
{
    now = now_ns;
    unix_offset = UNIX_NS;
}

void
clock_move_to(int64_t now_ns)
{
    if (now_ns > now)
        now = now_ns;
    engine_wake_due(now);
}

void
clock_jump(void)
{
    int64_t first = ENGINE_NEVER;
    for (uint32_t i = 1; i <= engine.fibers; i++)
        if (engine.fiber[i].state == ENGINE_WAITING && engine.fiber[i].deadline_ns < first)
            first = engine.fiber[i].deadline_ns;
    if (first != ENGINE_NEVER)
        clock_move_to(first);
}

/* ---- what authors see ---- */

int64_t
schedule_monotonic_ms(void)
{
    return now / NS_PER_MS;
}

int64_t
schedule_unix_ms(void)
{
    return (now + unix_offset) / NS_PER_MS;
}

void
schedule_time_pass(int64_t ms)
{
    clock_move_to(now + ms * NS_PER_MS);
}

void
schedule_sleep(int64_t ms)
{
    engine_wait(NULL, now + ms * NS_PER_MS);
}

void
schedule_unix_step(int64_t ms)
{
    unix_offset += ms * NS_PER_MS;
}

/* ---- in place of the system's ---- */

int
schedule_clock_gettime(clockid_t which, struct timespec *to)
{
    bool is_unix = which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE;
    int64_t ns = now + (is_unix ? unix_offset : 0);
    to->tv_sec = ns / NS_PER_S;
    to->tv_nsec = ns % NS_PER_S;
    return 0;
}

int
schedule_nanosleep(const struct timespec *length, struct timespec *left)
{
    (void)left;
    engine_wait(NULL, now + (int64_t)length->tv_sec * NS_PER_S + length->tv_nsec);
    return 0;
}
