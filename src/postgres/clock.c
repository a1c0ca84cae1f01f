/* SPDX-License-Identifier: MIT
 *
 * See clock.h.
 */
#include "postgres/clock.h"

#include <time.h>

static int64_t
clock_read_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
lki_pg_clock_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}

int64_t
lki_pg_clock_ms(void)
{
    return lki_pg_clock_us() / 1000;
}

void
lki_pg_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes); /* none of these can fail on Linux */
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool
lki_pg_cond_wait(pthread_cond_t *cond, pthread_mutex_t *latch, int64_t until_ms)
{
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    return pthread_cond_timedwait(cond, latch, &until) == 0;
}

int64_t
lki_pg_clock_own_ahead_ms(void)
{
    return (clock_read_us(CLOCK_REALTIME) - lki_pg_clock_us()) / 1000;
}

static _Thread_local int64_t call_until_ms;

void
lki_pg_time_begin(const lki_pg *store)
{
    call_until_ms = lki_pg_time_after(lki_pg_clock_ms(), store->deadline_ms);
}

int64_t
lki_pg_until_ms(void)
{
    return call_until_ms;
}

int64_t
lki_pg_monotonic_ms(const lki_pg *store)
{
    return store->monotonic_ms != NULL ? store->monotonic_ms(store->clock_context)
                                       : lki_pg_clock_ms();
}

int64_t
lki_pg_now_ms(const lki_pg *store)
{
    if (store->realtime_ms != NULL)
        return store->realtime_ms(store->clock_context);
    return lki_pg_clock_ms() + lki_pg_ms_read(&store->ahead_ms);
}

int64_t
lki_pg_job_now_ms(const lki_pg *store)
{
    if (store->monotonic_ms == NULL)
        return lki_pg_now_ms(store);
    return store->monotonic_ms(store->clock_context) + store->job_base_ms;
}

int64_t
lki_pg_job_as_monotonic(const lki_pg *store, int64_t job_ms)
{
    int64_t base_ms =
        store->monotonic_ms == NULL ? lki_pg_ms_read(&store->ahead_ms) : store->job_base_ms;
    int64_t ms;
    return __builtin_sub_overflow(job_ms, base_ms, &ms) ? INT64_MAX : ms;
}

int64_t
lki_pg_time_after(int64_t now_ms, int64_t ms)
{
    int64_t sum;
    return __builtin_add_overflow(now_ms, ms, &sum) || sum > INT64_MAX - 2 ? INT64_MAX - 2 : sum;
}
