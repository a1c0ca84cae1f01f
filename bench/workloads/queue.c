/* SPDX-License-Identifier: MIT
 *
 * The full cycle of a job through one queue: push, pull, acknowledge, one job or 16 in each call.
 * The rates are of acknowledged jobs. The latencies are of a pull with its acknowledgement; of the
 * whole cycle where one thread does it all.
 */
#include "driver/queue.h"
#include "driver/driver.h"
#include "driver/report.h"

#include <stdlib.h>
#include <string.h>

/* False: a run went wrong. */
static bool
rows_run(const struct bench_workload *workload, unsigned threads, size_t batch,
         struct driver_result *results, size_t count)
{
    bool good = true;

    for (unsigned repeat = 0; repeat < bench_options.repeats; repeat++)
        for (size_t i = 0; i < count; i++) {
            progress_show(workload->name, results[i].store->contender->name, threads);
            if (results[i].fault == NULL && results[i].missing == NULL && !bench_interrupted())
                queue_run(batch, threads, &results[i]);
            progress_step();
        }
    for (size_t i = 0; i < count; i++)
        good = good && results[i].fault == NULL;
    progress_clear();
    report_rows(workload, threads, results, count);
    return good;
}

static bool
table_run(const struct bench_workload *workload, size_t batch,
          const struct bench_contender *const *contenders, size_t count)
{
    struct driver_store stores[BENCH_CONTENDERS_MAX] = {0};
    struct driver_result *results = malloc(sizeof *results * BENCH_CONTENDERS_MAX);
    unsigned threads[BENCH_THREADS_MAX];
    size_t thread_counts = bench_threads_parse(
        bench_options.threads != NULL ? bench_options.threads : workload->threads, threads);
    bool good = results != NULL;

    report_workload(workload, NULL);
    for (size_t i = 0; i < thread_counts && results != NULL && !bench_interrupted(); i++) {
        memset(results, 0, sizeof *results * BENCH_CONTENDERS_MAX);
        for (size_t j = 0; j < count; j++) {
            stores[j].contender = contenders[j];
            results[j].store = &stores[j];
        }
        good = rows_run(workload, threads[i], batch, results, count) && good;
    }
    free(results);
    return good;
}

static bool
can_queue(const struct bench_contender *contender)
{
    return contender->queue != NULL;
}

/* The reference for batches is left out: it would be the mutex deque a second time. */
static bool
can_queue_singles(const struct bench_contender *contender)
{
    return contender->queue != NULL && contender->queue->batch_most == 0;
}

static bool queue_singles_run(const struct bench_contender *const *contenders, size_t count);
static bool queue_batch_run(const struct bench_contender *const *contenders, size_t count);

static const struct bench_workload workload_queue = {
    .name = "queue",
    .what = "push, pull, acknowledge jobs of 64 bytes, half of the threads push; for all alike, "
            "these wait at 4,096 jobs",
    .order = 70,
    .unit = "M jobs/s",
    .threads = "1,2",
    .contenders = "latchkey,mutex-deque,claims-by-hand,moodycamel",
    .targets = {{"mutex-deque", 1, 0.8, false, NULL},
                {"claims-by-hand", 2, 1.4, false, NULL},
                {"claims-by-hand", 8, 2.5, false, NULL},
                {"mutex-deque", 2, 1.0, true, NULL}},
    .can = can_queue_singles,
    .keeps_rate = true,
    .run = queue_singles_run,
};
BENCH_WORKLOAD(workload_queue)

static const struct bench_workload workload_queue_batch = {
    .name = "queue-batch16",
    .what = "the same, 16 jobs in each call; mutex-singles: the mutex deque, 1 job in each",
    .order = 71,
    .unit = "M jobs/s",
    .threads = "1,2",
    .contenders = "latchkey,mutex-deque,mutex-singles,claims-by-hand",
    .targets = {{"mutex-deque", 0, 0.8, false, NULL}, {"mutex-singles", 2, 2.0, true, NULL}},
    .can = can_queue,
    .keeps_rate = true,
    .run = queue_batch_run,
};
BENCH_WORKLOAD(workload_queue_batch)

static bool
queue_singles_run(const struct bench_contender *const *contenders, size_t count)
{
    return table_run(&workload_queue, 1, contenders, count);
}

static bool
queue_batch_run(const struct bench_contender *const *contenders, size_t count)
{
    return table_run(&workload_queue_batch, QUEUE_BATCH, contenders, count);
}
