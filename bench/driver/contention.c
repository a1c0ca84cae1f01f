/* SPDX-License-Identifier: MIT
 *
 * Contention; see contention.h. Only the main thread is here. Counters of a store are sums over its
 * threads, read while these work: they are of about one instant.
 */
#include "driver/contention.h"

#include "driver/driver.h"

#include <assert.h>
#include <string.h>

#define LOOKS 8 /* at levels, in one measurement */

void
contention_begin(struct contention_watch *watch, bench_contention *read, void *store)
{
    memset(watch, 0, sizeof *watch);
    watch->read = read;
    watch->store = store;
    if (read == NULL)
        return;
    watch->count = read(store, watch->before);
    assert(watch->count <= BENCH_COUNTERS_MAX);
    memcpy(watch->now, watch->before, sizeof watch->now);
}

static void
watch_look(struct contention_watch *watch)
{
    struct bench_counter seen[BENCH_COUNTERS_MAX];

    /* One that cannot be read now is left as it was. */
    if (watch->read == NULL || watch->read(watch->store, seen) != watch->count)
        return;
    for (size_t i = 0; i < watch->count; i++)
        if (!seen[i].level || seen[i].value > watch->now[i].value)
            watch->now[i].value = seen[i].value;
}

void
contention_sleep(struct contention_watch *watch, double seconds)
{
    if (watch->count == 0) {
        driver_sleep(seconds);
        return;
    }
    for (unsigned i = 0; i < LOOKS && driver_sleep(seconds / LOOKS); i++)
        if (i + 1 < LOOKS)
            watch_look(watch);
}

void
contention_end(struct contention_watch *watch)
{
    watch_look(watch);
}

void
contention_add(struct contention *contention, const struct contention_watch *watch,
               uint64_t operations)
{
    if (contention->count == 0) {
        memcpy(contention->counters, watch->before, sizeof contention->counters);
        contention->count = watch->count;
        for (size_t i = 0; i < watch->count; i++)
            contention->counters[i].value = 0;
    }
    if (watch->count != contention->count)
        return;
    for (size_t i = 0; i < watch->count; i++) {
        struct bench_counter *counter = &contention->counters[i];
        uint64_t now = watch->now[i].value;
        if (!counter->level)
            counter->value += now - watch->before[i].value;
        else if (now > counter->value)
            counter->value = now;
    }
    contention->operations += operations;
}

void
contention_add_worker(struct contention *contention, const struct bench_worker *worker)
{
    hot_keys_merge(&contention->raced, &worker->raced);
    for (size_t i = 0; i < BENCH_ATTEMPTS; i++)
        contention->attempts[i] += worker->counts.attempts[i];
}

double
contention_value(const struct contention *contention, size_t counter)
{
    double value = (double)contention->counters[counter].value;

    if (contention->counters[counter].level)
        return value;
    return contention->operations != 0 ? value / (double)contention->operations : 0;
}
