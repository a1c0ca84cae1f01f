/* SPDX-License-Identifier: MIT
 *
 * get-size: what a get costs in stores of a thousand items up to --keys, ten times as many each
 * time. One thread; all sizes of all contenders in turn. The cost of one more decimal is fitted to
 * the sizes from SIZE_FITTED on, which are in no cache.
 */
#include "driver/data.h"
#include "driver/driver.h"
#include "driver/loops.h"
#include "driver/report.h"
#include "record/statistics.h"
#include "workloads/parts/steps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SIZES_MOST 7
#define SIZE_LEAST 1000
#define SIZE_FITTED 100000
#define SIZE_BATCH 512
#define TARGET_FROM 1000000
#define TARGET_RATIO 1.5
#define CLOSE_ITEMS_MOST 200000 /* the system takes the rest faster, at the end of the process */
#define STREAM_MOST ((size_t)1 << 20)

/* A store of one size. */
struct size_cell {
    const struct bench_contender *contender;
    size_t items;
    void *store;
    struct bench_worker worker;
    double ns[DRIVER_REPEATS_MAX]; /* of a get, in each repeat */
    unsigned repeats;
};

static size_t
sizes_all(size_t *sizes)
{
    size_t count = 0;

    for (size_t size = SIZE_LEAST; size <= bench_options.keys && count < SIZES_MOST; size *= 10)
        sizes[count++] = size;
    return count;
}

static bool
cell_load(struct size_cell *cell)
{
    char *value = calloc(1, bench_options.value_size);
    size_t done = 0;

    for (; value != NULL && done < cell->items && !bench_interrupted(); done++) {
        uint32_t index = random_scatter(done, cell->items);
        struct data_text text;
        lk_item put = {data_key(index, &text), {NULL, 0}, 0};
        put.data = data_value(value, text.sk, index);
        if (!cell->contender->set(cell->worker.client, &put))
            break;
    }
    free(value);
    return done == cell->items;
}

/* The requests for stores of a size, the same for all contenders. */
static bool
size_requests_open(struct requests *requests, size_t items)
{
    struct distribution uniform = {.kind = DISTRIBUTION_UNIFORM};
    size_t count = BENCH_GROUP;

    while (count < 4 * items && count < STREAM_MOST)
        count *= 2;
    uint32_t *indexes = malloc(count * sizeof *indexes);
    if (indexes == NULL)
        return false;
    distribution_draw(&uniform, bench_options.seed, items, indexes, count);
    bool made = requests_open(requests, indexes, count, false, 0);
    free(indexes);
    return made;
}

static bool
cell_open(struct size_cell *cell, const struct requests *requests)
{
    bench_items_expected = cell->items;
    cell->store = cell->contender->open();
    if (cell->store == NULL)
        return false;
    cell->worker.contender = cell->contender;
    cell->worker.requests = *requests;
    cell->worker.client = cell->contender->attach(cell->store);
    return cell->worker.client != NULL && cell_load(cell);
}

static uint64_t
size_now_ns(void)
{
    struct timespec own;

    if (!bench_options.processor_time)
        return bench_now_ns();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
    return (uint64_t)own.tv_sec * 1000000000 + (uint64_t)own.tv_nsec;
}

/* Warm-up and one measurement. */
static void
cell_measure(struct size_cell *cell)
{
    bench_loop *get = loops_of(cell->contender)->get;
    uint64_t gets = 0, start, now;

    for (start = bench_now_ns(); bench_now_ns() - start < (uint64_t)(bench_options.warmup_s * 1e9);)
        get(&cell->worker, SIZE_BATCH);
    for (start = now = size_now_ns(); now - start < (uint64_t)(bench_options.duration_s * 1e9);
         now = size_now_ns()) {
        get(&cell->worker, SIZE_BATCH);
        gets += SIZE_BATCH;
    }
    cell->ns[cell->repeats++] = (double)(now - start) / (double)gets;
}

/* ns = a + b * log10(items), by least squares over the medians from SIZE_FITTED items on; `b`. */
static double
cells_fit(const struct size_cell *cells, size_t sizes)
{
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;

    for (size_t i = 0; i < sizes; i++) {
        if (cells[i].items < SIZE_FITTED)
            continue;
        double decimal = log10((double)cells[i].items);
        double ns = statistics_median(cells[i].ns, cells[i].repeats);
        n++;
        x += decimal;
        y += ns;
        xx += decimal * decimal;
        xy += decimal * ns;
    }
    return n < 2 ? 0 : (n * xy - x * y) / (n * xx - x * x);
}

/* One contender: a line, the fit, and how the target was met. */
static void
cells_print(const struct size_cell *cells, size_t sizes)
{
    const char *name = cells[0].contender->name;
    double base = 0, ratio = 0, each = cells_fit(cells, sizes);
    char what[48];

    printf("  %-14s", name);
    for (size_t i = 0; i < sizes; i++) {
        double ns = statistics_median(cells[i].ns, cells[i].repeats);
        printf(" %8.1f", ns);
        snprintf(what, sizeof what, "get, %zu items", cells[i].items);
        record_figure("get-size", name, 1, what, "ns", ns);
        if (cells[i].items == TARGET_FROM)
            base = ns;
        else if (cells[i].items == 10 * TARGET_FROM && base > 0)
            ratio = ns / base;
    }
    if (each > 0) {
        printf("  + %.0f ns", each);
        record_figure("get-size", name, 1, "more for ten times the items", "ns", each);
    }
    if (ratio > 0) {
        printf("\n         10 M cost %.2f x 1 M", ratio);
        record_figure("get-size", name, 1, "10 M items to 1 M", "x", ratio);
        if (strcmp(name, "latchkey") == 0) {
            snprintf(what, sizeof what, "at most %.1f x", TARGET_RATIO);
            report_target(what, ratio <= TARGET_RATIO ? REPORT_MET : REPORT_MISSED);
        }
    }
    printf("\n");
}

static bool
cells_open(struct size_cell *cells, struct requests *requests,
           const struct bench_contender *const *contenders, size_t count, const size_t *sizes,
           size_t size_count)
{
    bool good = true;

    for (size_t i = 0; i < size_count && good; i++)
        good = size_requests_open(&requests[i], sizes[i]);
    for (size_t i = 0; i < count * size_count && good; i++) {
        cells[i].contender = contenders[i / size_count];
        cells[i].items = sizes[i % size_count];
        progress_show("get-size", cells[i].contender->name, 1);
        good = cell_open(&cells[i], &requests[i % size_count]);
    }
    return good;
}

static bool
cells_close(struct size_cell *cells, size_t count)
{
    bool good = true;

    for (size_t i = 0; i < count; i++) {
        struct size_cell *cell = &cells[i];
        if (cell->worker.counts.wrong + cell->worker.counts.failed != 0) {
            printf("  WRONG: %s, %zu items: answers that nobody wrote\n", cell->contender->name,
                   cell->items);
            good = false;
        }
        if (cell->worker.client != NULL)
            cell->contender->detach(cell->worker.client);
        if (cell->store != NULL && cell->items <= CLOSE_ITEMS_MOST)
            cell->contender->close(cell->store);
    }
    return good;
}

static bool
size_run(const struct bench_contender *const *contenders, size_t count)
{
    size_t sizes[SIZES_MOST], size_count = sizes_all(sizes);
    struct size_cell *cells = calloc(count * size_count, sizeof *cells);
    struct requests requests[SIZES_MOST] = {0};
    const char *why;
    bool good = cells != NULL && data_source.open(&why) &&
                cells_open(cells, requests, contenders, count, sizes, size_count);

    for (unsigned repeat = 0; good && repeat < bench_options.repeats; repeat++)
        for (size_t i = 0; i < count * size_count && !bench_interrupted(); i++) {
            progress_show("get-size", cells[i].contender->name, 1);
            cell_measure(&cells[i]);
        }
    progress_clear();
    printf("\nget-size: ns of a get by one thread, by the number of items; and more for each\n");
    printf("  decimal from 100,000 on\n  %-14s", "contender");
    for (size_t i = 0; i < size_count; i++)
        printf(" %8zu", sizes[i]);
    printf("\n");
    for (size_t i = 0; good && i < count; i++)
        if (cells[i * size_count].repeats != 0)
            cells_print(cells + i * size_count, size_count);
    if (!good)
        printf("  WRONG: a store could not be loaded\n");
    good = cells_close(cells, cells != NULL ? count * size_count : 0) && good;
    for (size_t i = 0; i < size_count; i++)
        requests_close(&requests[i]);
    free(cells);
    return good || bench_interrupted();
}

static const struct bench_workload workload_size = {
    .name = "get-size",
    .what = "get in stores of 1,000 items up to --keys",
    .order = 4,
    .on_request = true,
    .contenders = "latchkey,tbb-fixed,bound",
    .can = step_can_get,
    .run = size_run,
};
BENCH_WORKLOAD(workload_size)
