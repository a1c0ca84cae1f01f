/* SPDX-License-Identifier: MIT
 *
 * The core workloads of YCSB (Cooper et al., "Benchmarking cloud serving systems with YCSB", 2010),
 * with items of this benchmark's size: A to C read and write items by zipf 0.99, D reads what was
 * inserted last, E scans, F commits read-modify-writes. All on request.
 */
#include "workloads/parts/steps.h"

#include <stdatomic.h>

/* ---- A, B, C, F ---- */

static inline void
read_or_update(struct bench_worker *worker, size_t count, unsigned updates_percent)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t index = worker_next(worker);
        if (step_draw(worker, 0, 100) < updates_percent)
            step_set(worker, index);
        else
            step_get(worker, index);
    }
}

static void
a_step(struct bench_worker *worker, size_t count)
{
    read_or_update(worker, count, 50);
}

static void
b_step(struct bench_worker *worker, size_t count)
{
    read_or_update(worker, count, 5);
}

static void
c_step(struct bench_worker *worker, size_t count)
{
    for (size_t i = 0; i < count; i++)
        step_get(worker, worker_next(worker));
}

static void
f_step(struct bench_worker *worker, size_t count)
{
    static const uint64_t one = 1;

    for (size_t i = 0; i < count; i++) {
        uint32_t index = worker_next(worker);
        if (step_draw(worker, 0, 2) == 0)
            step_get(worker, index);
        else
            step_commit(worker, &index, &one, 1);
    }
}

/* ---- D ----
 *
 * Each thread publishes how many keys it has inserted; a reader takes the newest of all threads as
 * one list, from the newest on, and draws a place in it by about zipf 1. Behind the oldest come
 * loaded items. What is published must be found, until its thread takes it out again. */

struct latest {
    _Alignas(BENCH_LINE) _Atomic uint64_t count; /* inserted so far; the owner writes it */
    uint64_t first;                              /* id; written while `count` is 0 */
    _Atomic bool leaving;                        /* keys are being taken out */
};

static struct latest latests[BENCH_THREADS_MAX];
static _Atomic unsigned latest_threads;

static void
latest_enter(struct bench_worker *worker)
{
    struct latest *own = &latests[worker->number];

    if (own->first == worker->first_sequence)
        return;
    own->first = worker->first_sequence;
    atomic_store(&own->leaving, false);
    atomic_fetch_add(&latest_threads, 1);
}

static void
latest_insert(struct bench_worker *worker)
{
    struct latest *own = &latests[worker->number];

    step_new_set(worker, worker->sequence++);
    /* Release: with the count, a reader sees `first`; and the item, for the store's own sake. */
    atomic_store_explicit(&own->count, worker->sequence - worker->first_sequence,
                          memory_order_release);
}

/* Zipf of about 1: each octave of ranks alike. */
static uint64_t
latest_rank(const struct bench_worker *worker)
{
    unsigned octaves = 64 - (unsigned)__builtin_clzll(bench_options.keys);
    unsigned octave = step_draw(worker, 1, octaves);

    return (UINT64_C(1) << octave) - 1 + step_draw(worker, 2, 1U << octave);
}

static void
latest_read(struct bench_worker *worker, uint32_t loaded)
{
    unsigned threads = atomic_load_explicit(&latest_threads, memory_order_relaxed);
    uint64_t rank = latest_rank(worker);
    struct latest *of = &latests[rank % threads];
    uint64_t count = atomic_load_explicit(&of->count, memory_order_acquire);

    rank /= threads;
    if (rank >= count) {
        step_get(worker, loaded);
        return;
    }
    if (!step_new_found(worker, of->first + count - 1 - rank) && !atomic_load(&of->leaving))
        worker->counts.wrong++;
}

static void
d_step(struct bench_worker *worker, size_t count)
{
    latest_enter(worker);
    for (size_t i = 0; i < count; i++) {
        uint32_t index = worker_next(worker);
        if (step_draw(worker, 0, 100) < 5)
            latest_insert(worker);
        else
            latest_read(worker, index);
    }
}

static void
d_finish(struct bench_worker *worker)
{
    struct latest *own = &latests[worker->number];

    if (own->first != worker->first_sequence)
        return;
    atomic_store(&own->leaving, true);
    atomic_store(&own->count, 0);
    step_new_remove_all(worker, worker->first_sequence);
    atomic_fetch_sub(&latest_threads, 1);
}

/* ---- E ---- */

static bool
can_scan(const struct bench_contender *contender)
{
    return contender->scan != NULL && step_can_remove(contender) && data_order_open();
}

static void
e_step(struct bench_worker *worker, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t index = worker_next(worker);
        if (step_draw(worker, 0, 100) < 5)
            step_new_set(worker, worker->sequence++);
        else
            step_scan(worker, index, 1 + step_draw(worker, 1, STEP_SCAN_MOST));
    }
}

static void
e_finish(struct bench_worker *worker)
{
    step_new_remove_all(worker, worker->first_sequence);
}

/* ---- the tables ---- */

#define YCSB_ALL                                                                              \
    .unit = "M ops/s", .threads = "1,2", .distribution = "zipf:0.99", .source = &data_source, \
    .on_request = true

static const struct bench_workload workload_ycsb_a = {
    .name = "ycsb-a",
    .what = "50 % read, 50 % update",
    .order = 50,
    .contenders = "latchkey,mutex,striped,ck_hs",
    YCSB_ALL,
    .can = step_can_set,
    .step = a_step,
};
BENCH_WORKLOAD(workload_ycsb_a)

static const struct bench_workload workload_ycsb_b = {
    .name = "ycsb-b",
    .what = "95 % read, 5 % update",
    .order = 51,
    .contenders = "latchkey,mutex,striped,ck_hs",
    YCSB_ALL,
    .can = step_can_set,
    .step = b_step,
};
BENCH_WORKLOAD(workload_ycsb_b)

static const struct bench_workload workload_ycsb_c = {
    .name = "ycsb-c",
    .what = "read only",
    .order = 52,
    .contenders = "latchkey,mutex,striped,ck_hs",
    YCSB_ALL,
    .reads_only = true,
    .can = step_can_get,
    .step = c_step,
};
BENCH_WORKLOAD(workload_ycsb_c)

static const struct bench_workload workload_ycsb_d = {
    .name = "ycsb-d",
    .what =
        "95 % read of what was inserted last, 5 % insert; behind the inserted ones, loaded items",
    .order = 53,
    .contenders = "latchkey,mutex,striped,ck_hs",
    YCSB_ALL,
    .can = step_can_remove,
    .step = d_step,
    .finish = d_finish,
};
BENCH_WORKLOAD(workload_ycsb_d)

static const struct bench_workload workload_ycsb_e = {
    .name = "ycsb-e",
    .what = "95 % scan of 1 to 100 items, 5 % insert",
    .order = 54,
    .contenders = "latchkey,std::map",
    .batch = 4,
    YCSB_ALL,
    .can = can_scan,
    .step = e_step,
    .finish = e_finish,
};
BENCH_WORKLOAD(workload_ycsb_e)

static const struct bench_workload workload_ycsb_f = {
    .name = "ycsb-f",
    .what = "50 % read, 50 % read-modify-write by a commit",
    .order = 55,
    .contenders = "latchkey,mutex,striped,versions",
    YCSB_ALL,
    .transacts = true,
    .increment = 1,
    .can = step_can_commit,
    .step = f_step,
};
BENCH_WORKLOAD(workload_ycsb_f)
