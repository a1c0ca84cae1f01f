/* SPDX-License-Identifier: MIT
 *
 * Intended times are computed from the start, never from the last operation. A wait sleeps while
 * the time is far, and yields when it is near: a thread that sleeps wakes some 50 us late.
 */
#include "driver/schedule.h"

#include "driver/options.h"
#include "driver/workload.h"

#include <assert.h>
#include <math.h>
#include <sched.h>
#include <time.h>

#define NEAR_NS 100000
#define NAP_NS 20000000 /* at most: the phase is looked at in between */
#define LATE_POINTS 100000

void
schedule_init(struct schedule *schedule, uint64_t start_ns, double rate, double weight,
              unsigned threads, unsigned number)
{
    assert(rate > 0 && number < threads);
    schedule->start_ns = start_ns;
    schedule->measured_ns = start_ns + (uint64_t)(bench_options.warmup_s * 1e9);
    schedule->end_ns = schedule->measured_ns + (uint64_t)(bench_options.duration_s * 1e9);
    schedule->interval_ns = threads * weight * 1e9 / rate;
    schedule->offset_ns = schedule->interval_ns * number / threads;
    schedule->begun = 0;
}

static uint64_t
schedule_at(const struct schedule *schedule, uint64_t operation)
{
    return schedule->start_ns +
           (uint64_t)(schedule->offset_ns + schedule->interval_ns * (double)operation);
}

uint64_t
schedule_next(const struct schedule *schedule)
{
    return schedule_at(schedule, schedule->begun);
}

bool
schedule_wait(struct schedule *schedule, const _Atomic int *phase, int stop, uint64_t *intended)
{
    uint64_t at = schedule_next(schedule);

    if (at >= schedule->end_ns)
        return false;
    for (;;) {
        if (atomic_load_explicit(phase, memory_order_relaxed) == stop)
            return false;
        uint64_t now = bench_now_ns();
        if (now >= at)
            break;
        if (at - now < NEAR_NS) {
            sched_yield();
            continue;
        }
        uint64_t nap = at - now - NEAR_NS / 2;
        struct timespec pause = {0, (long)(nap < NAP_NS ? nap : NAP_NS)};
        (void)nanosleep(&pause, NULL);
    }
    schedule->begun++;
    *intended = at;
    return true;
}

void
schedule_add(const struct schedule *schedule, struct histogram *latency, uint64_t intended,
             uint64_t ended)
{
    if (intended >= schedule->measured_ns && intended < schedule->end_ns)
        histogram_add(latency, ended - intended);
}

uint64_t
schedule_late(const struct schedule *schedule, struct histogram *latency, uint64_t now)
{
    uint64_t end = now < schedule->end_ns ? now : schedule->end_ns;
    double first =
        ceil(((double)(schedule->measured_ns - schedule->start_ns) - schedule->offset_ns) /
             schedule->interval_ns);
    uint64_t from = first > 0 ? (uint64_t)first : 0;

    if (from < schedule->begun)
        from = schedule->begun;
    if (schedule_at(schedule, from) >= end)
        return 0;
    uint64_t late =
        (uint64_t)ceil((double)(end - schedule_at(schedule, from)) / schedule->interval_ns);
    /* Where there are very many, one stands for its neighbours. */
    uint64_t stride = late / LATE_POINTS + 1;
    for (uint64_t i = 0; i < late; i += stride) {
        uint64_t at = schedule_at(schedule, from + i);
        uint64_t count = late - i < stride ? late - i : stride;
        histogram_add_many(latency, at < end ? end - at : 0, count);
    }
    return late;
}
