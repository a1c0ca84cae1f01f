/* SPDX-License-Identifier: MIT
 *
 * The record: finding and making rows, and what follows from the repeats of a row. Only the main
 * thread is here.
 */
#include "record/record.h"

#include "record/statistics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_SHARE 0.1 /* of the processors, used by others beyond idle ones */

/* Whether it is the text that RECORD_TEXT made of it. */
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
    free(record->contenders);
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
    const struct record_workload *found = record_workload_find(record, name);

    if (found != NULL)
        return &record->workloads[found - record->workloads];
    record->workloads =
        array_grow(record->workloads, record->workload_count, sizeof *record->workloads);
    struct record_workload *workload = &record->workloads[record->workload_count++];
    RECORD_TEXT(workload->name, name);
    RECORD_TEXT(workload->unit, "ops/s");
    workload->scale = 1;
    return workload;
}

void
record_contender(struct record *record, const char *name, const char *what, bool ours)
{
    size_t count = record->contender_count;

    for (size_t i = 0; i < count; i++)
        if (TEXT_IS(record->contenders[i].name, name))
            return;
    record->contenders = array_grow(record->contenders, count, sizeof *record->contenders);
    struct record_contender *contender = &record->contenders[record->contender_count++];
    RECORD_TEXT(contender->name, name);
    RECORD_TEXT(contender->what, what);
    contender->ours = ours;
}

bool
record_ours(const struct record *record, const char *name)
{
    for (size_t i = 0; i < record->contender_count; i++)
        if (strcmp(record->contenders[i].name, name) == 0)
            return record->contenders[i].ours;
    return record->contender_count == 0 &&
           (strncmp(name, "latchkey", 8) == 0 || strncmp(name, "cache", 5) == 0);
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
    RECORD_TEXT(row->workload, of->name);
    RECORD_TEXT(row->contender, contender);
    RECORD_TEXT(row->distribution, of->distribution);
    row->threads = threads;
    assert(threads <= RECORD_THREADS_MAX);
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

    assert(row->repeats <= RECORD_REPEATS_MAX && row->threads <= RECORD_THREADS_MAX);
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

struct record_latency
record_latency_of(const struct histogram *histogram)
{
    return (struct record_latency){.p50 = histogram_percentile(histogram, 0.5),
                                   .p99 = histogram_percentile(histogram, 0.99),
                                   .p999 = histogram_percentile(histogram, 0.999),
                                   .maximum = histogram->maximum};
}

size_t
record_scores(const struct record_row *row, bool of_latency, double *scores)
{
    size_t count = 0;

    for (unsigned i = 0; i < row->repeats; i++) {
        if (!of_latency)
            scores[count++] = row->rates[i]; /* 0 too: a repeat in which the thread had no turn */
        else if (row->latencies[i].p99 > 0)
            scores[count++] = 1e9 / (double)row->latencies[i].p99;
    }
    return count;
}

/* ---- figures --------------------------------------------------------------------------------- */

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
    RECORD_TEXT(figure->name, name);
    RECORD_TEXT(figure->unit, unit);
    figure->value = value;
    return figure;
}
