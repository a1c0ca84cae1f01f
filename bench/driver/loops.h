/* SPDX-License-Identifier: MIT
 *
 * The loops of the point workloads, to be compiled into each contender: BENCH_LOOPS makes one of
 * each with the contender's own get and set inlined. So nothing stands between two operations under
 * test but the step to the next request: no call through a table, no key to be made, no random
 * number. What a read returns is proved in six instructions and no branch (requests.h, I2); a
 * mistake anywhere in a loop is a wrong answer of its thread.
 */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include "driver/workload.h"

#include <string.h>

/* Of the functions that a contender gives to BENCH_LOOPS. */
#define BENCH_INLINE static inline __attribute__((always_inline))

/* Not 0: the value is none that was written for the key. */
BENCH_INLINE uint64_t
loop_doubt(lk_bytes value, const struct request_body *body)
{
    const char *bytes = (const char *)value.data;
    uint64_t check, first, last;

    memcpy(&check, bytes, 8);
    memcpy(&first, bytes + 8, 8);
    memcpy(&last, bytes + value.size - 8, 8);
    return (check ^ first ^ body->proof) | (first ^ last);
}

BENCH_INLINE void
loop_end(struct bench_worker *worker, size_t at, uint64_t doubt, uint64_t failed)
{
    worker->requests.at = at;
    worker->counts.wrong += doubt != 0;
    worker->counts.failed += failed;
}

BENCH_INLINE void
loop_get(struct bench_worker *worker, size_t count, bench_get *get)
{
    const struct requests requests = worker->requests;
    void *client = worker->client;
    size_t at = requests.at;
    uint64_t doubt = 0, failed = 0;
    lk_bytes value;

    for (size_t end = at + count; at != end; at++) {
        size_t place = at & requests.mask;
        if (!get(client, &requests.keys[place], &value) || value.size != requests.value_size)
            failed++;
        else
            doubt |= loop_doubt(value, &requests.bodies[place]);
    }
    loop_end(worker, at, doubt, failed);
}

/* A set, a get, and so on. */
BENCH_INLINE void
loop_set50(struct bench_worker *worker, size_t count, bench_get *get, bench_set *set)
{
    const struct requests requests = worker->requests;
    void *client = worker->client;
    size_t at = requests.at;
    uint64_t doubt = 0, failed = 0;

    if (set == NULL)
        return;
    for (size_t end = at + count; at != end; at++) {
        size_t place = at & requests.mask;
        const lk_item *item = &requests.items[place];
        lk_bytes value;
        if (at % 2 == 0)
            failed += !set(client, item);
        else if (!get(client, &item->key, &value) || value.size != requests.value_size)
            failed++;
        else
            doubt |= loop_doubt(value, &requests.bodies[place]);
    }
    loop_end(worker, at, doubt, failed);
}

BENCH_INLINE void
loop_set(struct bench_worker *worker, size_t count, bench_set *set)
{
    const struct requests requests = worker->requests;
    void *client = worker->client;
    size_t at = requests.at;
    uint64_t failed = 0;

    if (set == NULL)
        return;
    for (size_t end = at + count; at != end; at++)
        failed += !set(client, &requests.items[at & requests.mask]);
    loop_end(worker, at, 0, failed);
}

/* BENCH_GROUP keys in one call; one by one where the contender has no such call. */
BENCH_INLINE void
loop_get_many(struct bench_worker *worker, size_t count, bench_get *get, bench_get_many *get_many)
{
    const struct requests requests = worker->requests;
    void *client = worker->client;
    size_t at = requests.at;
    uint64_t doubt = 0, failed = 0;
    lk_bytes values[BENCH_GROUP];

    if (get_many == NULL) {
        loop_get(worker, count * BENCH_GROUP, get);
        return;
    }
    for (size_t end = at + count * BENCH_GROUP; at != end; at += BENCH_GROUP) {
        size_t place = at & requests.mask;
        if (!get_many(client, &requests.keys[place], BENCH_GROUP, values)) {
            failed++;
            continue;
        }
        for (size_t i = 0; i < BENCH_GROUP; i++) {
            if (values[i].size != requests.value_size)
                failed++;
            else
                doubt |= loop_doubt(values[i], &requests.bodies[place + i]);
        }
    }
    loop_end(worker, at, doubt, failed);
}

/* A table `name` of loops over a contender's functions, which are BENCH_INLINE. */
#define BENCH_LOOPS(name, get, get_many, set)                     \
    static void name##_get(struct bench_worker *w, size_t n)      \
    {                                                             \
        loop_get(w, n, get);                                      \
    }                                                             \
    static void name##_get_many(struct bench_worker *w, size_t n) \
    {                                                             \
        loop_get_many(w, n, get, get_many);                       \
    }                                                             \
    static void name##_set50(struct bench_worker *w, size_t n)    \
    {                                                             \
        loop_set50(w, n, get, set);                               \
    }                                                             \
    static void name##_set(struct bench_worker *w, size_t n)      \
    {                                                             \
        loop_set(w, n, set);                                      \
    }                                                             \
    static const struct bench_loops name = {name##_get, name##_get_many, name##_set50, name##_set};

/* The contender's loop, or one that calls its functions through its table. NULL: LOOP_NONE. */
bench_loop *loop_of(const struct bench_contender *contender, enum bench_loop_kind kind);

#endif
