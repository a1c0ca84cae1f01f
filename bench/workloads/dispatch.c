/* SPDX-License-Identifier: MIT
 *
 * dispatch: what a handle costs. One thread; nanoseconds of a get through the handle of the
 * embedded store, through a wrapper in front of it, through an adapter whose get does nothing and a
 * wrapper in front of that, and of the loop that makes the keys.
 */
#include "contenders/parts/wrapper.h"
#include "driver/data.h"
#include "driver/report.h"
#include "record/statistics.h"

#include <stdio.h>

#define ROWS 5
#define BATCH 64
#define DURATION_SHARE 4 /* a cell takes a fourth of --duration: one thread is steady */

struct row {
    const char *name;
    lk_db *db; /* NULL: nothing is called */
    lk_status expected;
    int less;                            /* the row that it is compared with; -1: none */
    double rates[2][RECORD_REPEATS_MAX]; /* of one key; of all keys */
    size_t repeats[2];
    uint64_t sum; /* of the loop alone, which is not for nothing */
};

/* Gets of a batch of keys in a fixed order without locality. False: another status than expected.
 * */
static bool
row_work(struct row *row, lk_result *result, size_t keys, size_t at)
{
    struct data_text text;
    bool good = true;

    for (size_t i = at; i < at + BATCH; i++) {
        lk_key key = data_key(random_scatter(i % keys, keys), &text);
        if (row->db != NULL)
            good = lk_get(row->db, key, result) == row->expected && good;
        else
            row->sum += (unsigned char)text.sk[15];
    }
    return good;
}

/* A warm-up, then one measurement. */
static bool
cell_run(struct row *row, size_t cell, lk_result *result, size_t keys)
{
    uint64_t span = (uint64_t)(bench_options.duration_s * 1e9 / DURATION_SHARE);
    uint64_t start = bench_now_ns(), now = start;
    size_t at = 0;
    bool good = true;

    for (; now - start < span / 4 && good; now = bench_now_ns(), at += BATCH)
        good = row_work(row, result, keys, at);
    size_t first = at;
    for (start = now; now - start < span && good; now = bench_now_ns(), at += BATCH)
        good = row_work(row, result, keys, at);
    row->rates[cell][row->repeats[cell]++] = (double)(at - first) * 1e9 / (double)(now - start + 1);
    return good;
}

static double
row_ns(const struct row *row, size_t cell)
{
    double rate = statistics_median(row->rates[cell], row->repeats[cell]);

    return rate > 0 ? 1e9 / rate : 0;
}

static bool
rows_run(const struct bench_workload *workload, struct row *rows, lk_result *result, size_t keys)
{
    bool good = result != NULL;

    for (unsigned repeat = 0; repeat < bench_options.repeats && good && !bench_interrupted();
         repeat++)
        for (size_t i = 0; i < 2 * ROWS; i++)
            good = cell_run(&rows[i % ROWS], i / ROWS, result, i < ROWS ? 1 : keys) && good;
    for (size_t i = 0; i < ROWS; i++) {
        printf("  %-36s", rows[i].name);
        for (size_t cell = 0; cell < 2; cell++) {
            double ns = row_ns(&rows[i], cell);
            record_figure(workload, rows[i].name, 1, cell == 0 ? "one key" : "all keys", "ns", ns);
            printf(" %8.1f", ns);
            if (rows[i].less >= 0)
                printf(" %+8.1f", ns - row_ns(&rows[rows[i].less], cell));
            else
                printf(" %8s", "");
        }
        printf("\n");
    }
    return good;
}

static bool
dispatch_run(const struct bench_workload *workload, const struct bench_contender *const *contenders,
             size_t count)
{
    size_t keys = data_thousand_source.items; /* few enough for the processor's own cache */
    struct driver_store *store;
    const char *why = NULL;

    if (count == 0 || !data_source.open(&why))
        return false;
    driver_stores_load(&data_thousand_source, contenders, 1, &store);
    lk_db *memory = store->handle;
    lk_db *pass = memory != NULL ? wrapper_open(memory, WRAPPER_PASS) : NULL;
    lk_db *empty = memory != NULL ? wrapper_open(memory, WRAPPER_EMPTY) : NULL;
    lk_db *both = empty != NULL ? wrapper_open(empty, WRAPPER_PASS) : NULL;
    lk_result *result = lk_result_new();
    struct row rows[ROWS] = {
        {.name = "embedded store", .db = memory, .expected = LK_OK, .less = -1},
        {.name = "wrapper, then the embedded store", .db = pass, .expected = LK_OK, .less = 0},
        {.name = "get that does nothing", .db = empty, .expected = LK_NOT_FOUND, .less = 4},
        {.name = "wrapper, then get that does nothing",
         .db = both,
         .expected = LK_NOT_FOUND,
         .less = 2},
        {.name = "the loop alone", .less = -1},
    };
    printf("\ndispatch: ns of one get, one thread, and what a wrapper adds\n");
    printf("  %-36s %8s %8s %8zu %8s\n", "handle", "1 key", "", keys, "keys");
    bool good = pass != NULL && both != NULL && rows_run(workload, rows, result, keys);
    if (!good)
        printf("  WRONG: a handle could not be opened, or a get did not say what it should\n");
    lk_result_free(result);
    lk_close(both);
    lk_close(empty);
    lk_close(pass);
    return good;
}

static bool
can_dispatch(const struct bench_contender *contender)
{
    return strcmp(contender->name, "latchkey") == 0;
}

static const struct bench_workload workload_dispatch = {
    .name = "dispatch",
    .on_request = true,
    .what = "what a get costs through the handle, and through an adapter in front",
    .order = 86,
    .contenders = "latchkey",
    .can = can_dispatch,
    .run = dispatch_run,
};
BENCH_WORKLOAD(workload_dispatch)
