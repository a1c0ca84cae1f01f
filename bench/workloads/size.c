/* SPDX-License-Identifier: MIT
 *
 * get-size: what a get costs in stores of a thousand items up to --keys, ten times as many each
 * time. One thread; all contenders of a size in turn. The cost of one more decimal is fitted to
 * the sizes from SIZE_FITTED on, which are in no cache.
 */
#include "driver/report.h"
#include "record/statistics.h"
#include "workloads/parts/steps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZES 7
#define SIZE_FITTED 100000
#define TARGET_FROM 1000000
#define TARGET_RATIO 1.5

static const struct bench_source size_sources[SIZES] = {
    {.name = "10^3", .items = 1000, DATA_CALLS},
    {.name = "10^4", .items = 10000, DATA_CALLS},
    {.name = "10^5", .items = 100000, DATA_CALLS},
    {.name = "10^6", .items = 1000000, DATA_CALLS},
    {.name = "10^7", .items = 10000000, DATA_CALLS},
    {.name = "10^8", .items = 100000000, DATA_CALLS},
    {.name = "10^9", .items = 1000000000, DATA_CALLS}};

/* Of one contender: ns of a get for each size; 0: not measured. */
struct size_line {
    const char *name;
    double ns[SIZES];
    double more; /* for ten times the items */
};

/* What the driver is given: not in the registry. */
static const struct bench_workload size_get = {
    .name = "get-size",
    .requests = REQUESTS_READ,
    .batch = 512,
    .own_pace = true,
    .loop = LOOP_GET,
};

/* All contenders with stores of one size. False: something was wrong. */
static bool
size_measure(size_t size, const struct bench_contender *const *contenders, size_t count,
             struct size_line *lines)
{
    const struct bench_source *source = &size_sources[size];
    const struct distribution uniform = {.kind = DISTRIBUTION_UNIFORM};
    struct driver_store *stores[BENCH_CONTENDERS_MAX];
    struct driver_result *results = calloc(count, sizeof *results);
    struct driver_streams streams = {0};
    bool good = true;

    progress_show("get-size", source->name, 1);
    driver_stores_load(source, contenders, count, stores);
    if (results == NULL || !driver_streams_open(&streams, &size_get, source, &uniform, 1)) {
        free(results);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        results[i].store = stores[i];
        results[i].fault = stores[i]->failed ? "it could not be loaded" : NULL;
    }
    for (unsigned repeat = 0; repeat < bench_options.repeats && !bench_interrupted(); repeat++)
        for (size_t i = 0; i < count; i++)
            if (results[i].fault == NULL)
                driver_run(&size_get, &streams, 1, &results[i]);
    progress_clear();
    for (size_t i = 0; i < count; i++) {
        double rate = statistics_median(results[i].rates, results[i].repeats);
        lines[i].ns[size] = rate > 0 ? 1e9 / rate : 0;
        if (results[i].fault == NULL)
            continue;
        printf("  WRONG: %s, %zu items: %s\n", contenders[i]->name, source->items,
               results[i].fault);
        good = false;
    }
    driver_streams_close(&streams);
    free(results);
    return good;
}

/* ns = a + b * log10(items), by least squares over the medians from SIZE_FITTED items on; `b`. */
static double
line_fit(const struct size_line *line)
{
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;

    for (size_t i = 0; i < SIZES; i++) {
        if (size_sources[i].items < SIZE_FITTED || !(line->ns[i] > 0))
            continue;
        double decimal = log10((double)size_sources[i].items);
        n++;
        x += decimal;
        y += line->ns[i];
        xx += decimal * decimal;
        xy += decimal * line->ns[i];
    }
    return n < 2 ? 0 : (n * xy - x * y) / (n * xx - x * x);
}

/* One contender: a line, the fit, and how the target was met. */
static void
line_print(const struct bench_workload *workload, const struct size_line *line)
{
    double each = line_fit(line), base = 0, ratio = 0;
    char what[48];

    printf("  %-14s", line->name);
    for (size_t i = 0; i < SIZES && line->ns[i] > 0; i++) {
        printf(" %8.1f", line->ns[i]);
        snprintf(what, sizeof what, "get, %zu items", size_sources[i].items);
        record_figure(workload, line->name, 1, what, "ns", line->ns[i]);
        if (size_sources[i].items == TARGET_FROM)
            base = line->ns[i];
        else if (size_sources[i].items == 10 * TARGET_FROM && base > 0)
            ratio = line->ns[i] / base;
    }
    if (each > 0) {
        printf("  + %.0f ns", each);
        record_figure(workload, line->name, 1, "more for ten times the items", "ns", each);
    }
    if (ratio > 0) {
        printf("\n         10 M cost %.2f x 1 M", ratio);
        record_figure(workload, line->name, 1, "10 M items to 1 M", "x", ratio);
        if (strcmp(line->name, "latchkey") == 0) {
            snprintf(what, sizeof what, "at most %.1f x", TARGET_RATIO);
            report_target(what, true, ratio <= TARGET_RATIO);
        }
    }
    printf("\n");
}

static bool
size_run(const struct bench_workload *workload, const struct bench_contender *const *contenders,
         size_t count)
{
    struct size_line lines[BENCH_CONTENDERS_MAX] = {{0}};
    const char *why;
    bool good = data_source.open(&why);

    printf("\nget-size: ns of a get by one thread, by the number of items; and more for each\n");
    printf("  decimal from 100,000 on\n  %-14s", "contender");
    for (size_t i = 0; i < SIZES && size_sources[i].items <= bench_options.keys; i++)
        printf(" %8zu", size_sources[i].items);
    printf("\n");
    for (size_t i = 0; i < SIZES && size_sources[i].items <= bench_options.keys; i++)
        good = good && (bench_interrupted() || size_measure(i, contenders, count, lines));
    for (size_t i = 0; i < count; i++) {
        lines[i].name = contenders[i]->name;
        line_print(workload, &lines[i]);
    }
    return good;
}

static const struct bench_workload workload_size = {
    .name = "get-size",
    .what = "get in stores of 1,000 items up to --keys",
    .order = 4,
    .on_request = true,
    .contenders = "latchkey,tbb-fixed,bound",
    .needs = NEEDS_GET,
    .run = size_run,
};
BENCH_WORKLOAD(workload_size)
