/* SPDX-License-Identifier: MIT
 *
 * The record of this run: what the plan and the workloads enter into it. Only the main thread is
 * here.
 */
#include "driver/measured.h"

#include "driver/options.h"

#include <stdio.h>
#include <string.h>

_Static_assert(RECORD_ATTEMPTS == BENCH_ATTEMPTS, "a record has the classes of the workers");

struct record record_current;

void
record_describe(const struct bench_workload *of, const struct distribution *distribution)
{
    struct record_workload *workload = record_workload(&record_current, of->name);

    RECORD_TEXT(workload->what, of->what);
    RECORD_TEXT(workload->subject, of->subject != NULL ? of->subject : "latchkey");
    if (of->unit != NULL)
        RECORD_TEXT(workload->unit, of->unit);
    workload->scale = strncmp(workload->unit, "M ", 2) == 0   ? 1e6
                      : strncmp(workload->unit, "k ", 2) == 0 ? 1e3
                                                              : 1;
    if (distribution != NULL)
        distribution_text(distribution, workload->distribution, sizeof workload->distribution);
}

/* Keys that were named once only are not hot. */
static void
hot_take(struct record_row *row, const struct driver_result *result)
{
    const struct bench_source *source = result->store->source;
    struct hot_keys hot = result->contention.raced;

    hot_keys_sort(&hot);
    row->raced_keys = hot.total;
    row->hot_count = 0;
    for (size_t i = 0; i < HOT_KEYS && row->hot_count < RECORD_HOT_MAX; i++) {
        const struct hot_key *key = &hot.keys[i];
        if (key->count - key->error < 2)
            break;
        struct record_hot *into = &row->hot[row->hot_count++];
        if (source != NULL && source->key_name != NULL)
            source->key_name((size_t)key->id, into->key, sizeof into->key);
        else
            snprintf(into->key, sizeof into->key, "#%llu", (unsigned long long)key->id);
        into->least = (double)(key->count - key->error) / (double)hot.total;
        into->most = (double)key->count / (double)hot.total;
    }
}

static void
contention_take(struct record_row *row, const struct driver_result *result)
{
    const struct contention *contention = &result->contention;

    memcpy(row->attempts, contention->attempts, sizeof row->attempts);
    hot_take(row, result);
    for (size_t i = 0; i < contention->count && contention->operations != 0; i++)
        record_row_figure(row, contention->counters[i].name, contention->counters[i].unit,
                          contention_value(contention, i))
            ->contention = true;
}

/* The row, with all that the record says of its workload and contender. */
static struct record_row *
row_of(const struct bench_workload *workload, const char *contender, unsigned threads)
{
    const struct bench_contender *known = bench_contender_find(contender);

    if (record_workload_find(&record_current, workload->name) == NULL)
        record_describe(workload, NULL);
    if (known != NULL)
        record_contender(&record_current, known->name, known->what, known->ours);
    return record_row(&record_current, workload->name, contender, threads);
}

struct record_row *
record_result(const struct bench_workload *workload, unsigned threads,
              const struct driver_result *result)
{
    struct record_row *row = row_of(workload, result->store->contender->name, threads);

    row->planned = result->planned;
    row->repeats = result->repeats;
    memcpy(row->rates, result->rates, sizeof row->rates);
    memcpy(row->latencies, result->latencies, sizeof row->latencies);
    memcpy(row->operations, result->operations, sizeof row->operations);
    row->latency = result->latency;
    row->commits = result->counts.commits;
    row->races = result->counts.races;
    row->retries = result->retries;
    row->late = result->late;
    contention_take(row, result);
    row->partial = bench_interrupted() && row->repeats < row->planned;
    row->elapsed_s = result->elapsed_s;
    row->others_s = result->others_s;
    row->transacts = workload->transacts;
    row->has_retries = workload->transacts && result->store->contender->counters != NULL;
    RECORD_TEXT(row->fault, result->fault);
    RECORD_TEXT(row->missing, result->missing == NULL && row->partial && row->repeats == 0
                                  ? "interrupted"
                                  : result->missing);
    row->wrong = result->counts.wrong;
    row->failed = result->counts.failed;
    record_summarise(row, record_current.machine.processors);
    return row;
}

void
record_figure(const struct bench_workload *workload, const char *contender, unsigned threads,
              const char *name, const char *unit, double value)
{
    record_row_figure(row_of(workload, contender, threads), name, unit, value);
}
