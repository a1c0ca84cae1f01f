/* SPDX-License-Identifier: MIT
 *
 * Keys that go. delete: a loaded item is removed and put back. churn: new keys come, and those of a
 * while ago go, so that a store that keeps something of what it removed gets slower or larger. A
 * key that was removed must not be found, one that was put back must.
 */
#include "workloads/parts/steps.h"

#define CHURN_WINDOW 1024 /* keys of a thread that are there at a time */
#define LOOK_EVERY 16
#define LAST_LOOKS 1024

/* ---- delete ---- */

/* The item near `index` that is this thread's own: nobody else removes it. */
static uint32_t
own_index(const struct bench_worker *worker, uint32_t index)
{
    uint32_t own = index - index % BENCH_THREADS_MAX + worker->number;

    return own < bench_options.keys ? own : own - BENCH_THREADS_MAX;
}

static void
delete_step(struct bench_worker *worker, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t index = own_index(worker, worker_next(worker));
        struct data_text text;
        lk_key key = data_key(index, &text);
        lk_bytes value;
        if (!worker->contender->remove(worker->client, &key))
            worker->counts.failed++;
        if (step_draw(worker, 0, LOOK_EVERY) == 0 &&
            worker->contender->get(worker->client, &key, &value))
            worker->counts.wrong++;
        step_set(worker, index);
        if (step_draw(worker, 1, LOOK_EVERY) == 0)
            step_get(worker, index);
    }
}

/* ---- churn ---- */

static void
churn_step(struct bench_worker *worker, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t id = worker->sequence++;
        (void)worker_next(worker); /* so that draws go on */
        step_new_set(worker, id);
        if (id < worker->first_sequence + CHURN_WINDOW)
            continue;
        struct data_text text;
        uint64_t old = id - CHURN_WINDOW;
        lk_key key = step_new_key(old, &text);
        if (!worker->contender->remove(worker->client, &key))
            worker->counts.failed++;
        if (step_draw(worker, 0, LOOK_EVERY) != 0)
            continue;
        if (step_new_found(worker, old) ||
            !step_new_found(worker, id - step_draw(worker, 1, CHURN_WINDOW)))
            worker->counts.wrong++;
    }
}

/* What was removed last is gone; what is left is there, and goes. */
static void
churn_finish(struct bench_worker *worker)
{
    uint64_t inserted = worker->sequence - worker->first_sequence;
    uint64_t removed = inserted > CHURN_WINDOW ? inserted - CHURN_WINDOW : 0;
    uint64_t first_left = worker->first_sequence + removed;

    for (uint64_t i = 1; i <= removed && i <= LAST_LOOKS; i++)
        if (step_new_found(worker, first_left - i))
            worker->counts.wrong++;
    step_new_remove_all(worker, first_left);
}

static const struct bench_workload workload_delete = {
    .name = "delete",
    .what = "an item is deleted and put back, counted as one",
    .order = 32,
    .unit = "M pairs/s",
    .threads = "1,2",
    .distribution = "uniform",
    .source = &data_source,
    .contenders = "latchkey,mutex,striped,ck_hs,std::map",
    .on_request = true,
    .can = step_can_remove,
    .step = delete_step,
};
BENCH_WORKLOAD(workload_delete)

static const struct bench_workload workload_churn = {
    .name = "churn",
    .what = "a new key is set, one of 1,024 keys ago deleted, counted as one",
    .order = 33,
    .unit = "M pairs/s",
    .threads = "1,2",
    .distribution = "uniform",
    .source = &data_source,
    .contenders = "latchkey,mutex,striped,ck_hs,std::map",
    .least_s = 0.4, /* tables are cleaned up now and then */
    .on_request = true,
    .can = step_can_remove,
    .step = churn_step,
    .finish = churn_finish,
};
BENCH_WORKLOAD(workload_churn)
