/* SPDX-License-Identifier: MIT
 *
 * The record: finding and making rows, taking over what the driver measured, and what follows from
 * the repeats of a row. Only the main thread is here.
 */
#include "record.h"

#include "driver.h"
#include "statistics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(RECORD_ATTEMPTS == BENCH_ATTEMPTS, "a record has the classes of the workers");

#define BUSY_SHARE 0.1 /* of the processors, used by others beyond idle ones */

struct record record_current;

#define TEXT_SET(array, text) snprintf(array, sizeof(array), "%s", (text) != NULL ? (text) : "")

/* Whether it is the text that TEXT_SET made of it. */
#define TEXT_IS(array, text) (strncmp(array, text, sizeof(array) - 1) == 0)

/* One more element at the end of an array, zeroed. */
static void *
array_grow(void *array, size_t count, size_t size)
{
    char *grown = realloc(array, (count + 1) * size);

    if (grown == NULL) {
        fprintf(stderr, "latchkey-bench: out of memory\n");
        exit(EXIT_FAILURE);
    }
    memset(grown + count * size, 0, size);
    return grown;
}

void
record_close(struct record *record)
{
    for (size_t i = 0; i < record->row_count; i++) {
        free(record->rows[i]->figures);
        free(record->rows[i]);
    }
    free(record->rows);
    free(record->workloads);
    memset(record, 0, sizeof *record);
}

/* ---- workloads and rows ---------------------------------------------------------------------- */

const struct record_workload *
record_workload_find(const struct record *record, const char *name)
{
    for (size_t i = 0; i < record->workload_count; i++)
        if (TEXT_IS(record->workloads[i].name, name))
            return &record->workloads[i];
    return NULL;
}

struct record_workload *
record_workload(struct record *record, const char *name)
{
    for (size_t i = 0; i < record->workload_count; i++)
        if (TEXT_IS(record->workloads[i].name, name))
            return &record->workloads[i];
    record->workloads =
        array_grow(record->workloads, record->workload_count, sizeof *record->workloads);
    struct record_workload *workload = &record->workloads[record->workload_count++];
    TEXT_SET(workload->name, name);
    TEXT_SET(workload->unit, "ops/s");
    workload->scale = 1;
    return workload;
}

const struct record_row *
record_row_find(const struct record *record, const char *workload, const char *contender,
                unsigned threads, const char *distribution)
{
    for (size_t i = 0; i < record->row_count; i++) {
        const struct record_row *row = record->rows[i];
        if (row->threads == threads && TEXT_IS(row->workload, workload) &&
            TEXT_IS(row->contender, contender) && strcmp(row->distribution, distribution) == 0)
            return row;
    }
    return NULL;
}

struct record_row *
record_row(struct record *record, const char *workload, const char *contender, unsigned threads)
{
    const struct record_workload *of = record_workload(record, workload);

    for (size_t i = 0; i < record->row_count; i++) {
        struct record_row *row = record->rows[i];
        if (row->threads == threads && strcmp(row->workload, of->name) == 0 &&
            TEXT_IS(row->contender, contender))
            return row;
    }
    record->rows = array_grow(record->rows, record->row_count, sizeof *record->rows);
    struct record_row *row = array_grow(NULL, 0, sizeof *row);
    TEXT_SET(row->workload, of->name);
    TEXT_SET(row->contender, contender);
    TEXT_SET(row->distribution, of->distribution);
    row->threads = threads;
    record->rows[record->row_count++] = row;
    return row;
}

/* ---- what follows from the repeats ----------------------------------------------------------- */

void
record_fairness(const uint64_t *operations, unsigned threads, double *jain, double *slowest)
{
    double sum = 0, squares = 0, least = 0, most = 0;

    *jain = *slowest = 0;
    for (unsigned i = 0; i < threads; i++) {
        double own = (double)operations[i];
        sum += own;
        squares += own * own;
        least = i == 0 || own < least ? own : least;
        most = own > most ? own : most;
    }
    if (!(squares > 0))
        return;
    *jain = sum * sum / (threads * squares);
    *slowest = least / most;
}

void
record_summarise(struct record_row *row, unsigned processors)
{
    double jains[RECORD_REPEATS_MAX], slowests[RECORD_REPEATS_MAX];
    unsigned idle = row->threads < processors ? processors - row->threads : 0;

    row->median = statistics_median(row->rates, row->repeats);
    row->spread = statistics_spread(row->rates, row->repeats);
    for (unsigned i = 0; i < row->repeats; i++)
        record_fairness(row->operations[i], row->threads, &jains[i], &slowests[i]);
    row->jain = statistics_median(jains, row->repeats);
    row->slowest = statistics_median(slowests, row->repeats);
    row->unsteady = row->spread > RECORD_UNSTEADY;
    row->crowded = row->threads > processors;
    row->busy = row->others_s > row->elapsed_s * (idle + processors * BUSY_SHARE);
}

/* ---- this run -------------------------------------------------------------------------------- */

void
record_describe(const struct bench_workload *of, const struct distribution *distribution)
{
    struct record_workload *workload = record_workload(&record_current, of->name);

    TEXT_SET(workload->what, of->what);
    TEXT_SET(workload->subject, of->subject != NULL ? of->subject : "latchkey");
    if (of->unit != NULL)
        TEXT_SET(workload->unit, of->unit);
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

struct record_row *
record_result(const struct bench_workload *workload, unsigned threads,
              const struct driver_result *result)
{
    if (record_workload_find(&record_current, workload->name) == NULL)
        record_describe(workload, NULL);
    struct record_row *row =
        record_row(&record_current, workload->name, result->store->contender->name, threads);

    row->planned = result->planned != 0 ? result->planned : bench_options.repeats;
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
    TEXT_SET(row->fault, result->fault);
    TEXT_SET(row->missing, result->missing == NULL && row->partial && row->repeats == 0
                               ? "interrupted"
                               : result->missing);
    row->wrong = result->counts.wrong;
    row->failed = result->counts.failed;
    record_summarise(row, record_current.machine.processors);
    return row;
}

/* Its place among the figures; their number: there is none. */
static size_t
figure_place(const struct record_row *row, const char *name)
{
    size_t i = 0;

    while (i < row->figure_count && !TEXT_IS(row->figures[i].name, name))
        i++;
    return i;
}

const struct record_figure *
record_row_figure_find(const struct record_row *row, const char *name)
{
    size_t at = figure_place(row, name);

    return at < row->figure_count ? &row->figures[at] : NULL;
}

struct record_figure *
record_row_figure(struct record_row *row, const char *name, const char *unit, double value)
{
    size_t at = figure_place(row, name);

    if (at == row->figure_count) {
        row->figures = array_grow(row->figures, row->figure_count, sizeof *row->figures);
        row->figure_count++;
    }
    struct record_figure *figure = &row->figures[at];
    TEXT_SET(figure->name, name);
    TEXT_SET(figure->unit, unit);
    figure->value = value;
    return figure;
}

void
record_figure(const char *workload, const char *contender, unsigned threads, const char *name,
              const char *unit, double value)
{
    for (size_t i = 0; i < bench_workload_count; i++)
        if (strcmp(bench_workloads[i]->name, workload) == 0 &&
            record_workload_find(&record_current, workload) == NULL)
            record_describe(bench_workloads[i], NULL);
    record_row_figure(record_row(&record_current, workload, contender, threads), name, unit, value);
}
