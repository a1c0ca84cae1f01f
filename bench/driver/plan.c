/* SPDX-License-Identifier: MIT
 *
 * The plan. For each workload: choose contenders, have their stores loaded, then for each number of
 * threads run the repeats with the contenders in turn (A B A B), check the invariants, print the
 * rows.
 */
#include "driver/plan.h"

#include "driver/driver.h"
#include "driver/options.h"
#include "driver/report.h"
#include "record/compare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A workload with all that was decided about it. */
struct row_plan {
    const struct bench_workload *workload;
    struct distribution distribution;
    const struct bench_contender *contenders[BENCH_CONTENDERS_MAX];
    size_t count;
    unsigned threads[BENCH_THREADS_MAX];
    size_t thread_counts;
};

static struct row_plan rows[BENCH_WORKLOADS_MAX];
static size_t row_count;
static unsigned faults;
static uint64_t plan_start_ns;

/* A default plan that has taken so long goes on with fewer repeats: the machine is slow or busy. A
 * last look at contenders other than latchkey is at so many items. */
#define PLAN_HURRY_S 90
#define HURRY_REPEATS 3
#define LAST_LOOK_RANKS 100000

static double
plan_elapsed_s(void)
{
    return (double)(bench_now_ns() - plan_start_ns) / 1e9;
}

/* What it needs and is not here; NULL: nothing. */
static const char *
contender_missing(const struct bench_contender *contender)
{
    return contender->missing != NULL ? contender->missing() : NULL;
}

static bool
contender_wanted(const struct bench_workload *workload, const struct bench_contender *contender)
{
    const char *list =
        bench_options.contenders != NULL ? bench_options.contenders : workload->contenders;

    if (contender->fixed_sizes && (bench_options.value_size != BENCH_FIXED_VALUE ||
                                   (workload->source != NULL && workload->source->any_sizes)))
        return false;
    return (list == NULL || list_has(list, contender->name)) &&
           bench_has(contender, workload->needs) &&
           (workload->can == NULL || workload->can(contender)) &&
           contender_missing(contender) == NULL;
}

/* Adds a workload with the contenders that can do it. False: bad numbers of threads. */
static bool
row_add(const struct bench_workload *workload)
{
    struct row_plan *row = &rows[row_count];
    const char *distribution =
        bench_options.distribution != NULL ? bench_options.distribution : workload->distribution;

    row->workload = workload;
    for (size_t i = 0; i < bench_contender_count; i++)
        if (contender_wanted(workload, bench_contenders[i]))
            row->contenders[row->count++] = bench_contenders[i];
    if (row->count == 0)
        return true;
    row_count++;
    if (workload->threads != NULL) {
        row->thread_counts =
            list_numbers(bench_options.threads != NULL ? bench_options.threads : workload->threads,
                         row->threads);
        if (row->thread_counts == 0)
            return false;
    }
    return workload->distribution == NULL || distribution_parse(distribution, &row->distribution);
}

static bool
name_known(const char *name, size_t size)
{
    for (size_t i = 0; i < bench_workload_count; i++)
        if (strlen(bench_workloads[i]->name) == size &&
            memcmp(bench_workloads[i]->name, name, size) == 0)
            return true;
    for (size_t i = 0; i < bench_contender_count; i++)
        if (strlen(bench_contenders[i]->name) == size &&
            memcmp(bench_contenders[i]->name, name, size) == 0)
            return true;
    return false;
}

static bool
names_check(const char *list)
{
    while (list != NULL && *list != '\0') {
        size_t size = strcspn(list, ",");
        if (!name_known(list, size)) {
            fprintf(stderr, "latchkey-bench: no workload or contender '%.*s'; see --list\n",
                    (int)size, list);
            return false;
        }
        list += size + (list[size] == ',');
    }
    return true;
}

/* How many ranks commits touch: all, or the hot ones. */
static size_t
row_ranks(const struct row_plan *row)
{
    const struct distribution *distribution = &row->distribution;
    size_t count = row->workload->source->count(row->workload->source);

    if (distribution->kind != DISTRIBUTION_HOT || distribution->hot < 2)
        return count;
    return distribution->hot < count ? distribution->hot : count;
}

/* The sum of the numbers before and after: what the commits may have changed it by. */
static void
result_check(const struct row_plan *row, struct driver_result *result)
{
    struct driver_store *store = result->store;
    uint64_t before = store->sum;

    if (driver_verify(store, row_ranks(row)) != 0)
        result->fault = "items that do not prove themselves";
    else if (store->sum - before != result->counts.commits * row->workload->increment)
        result->fault = "the sum of all items is not what the commits make it";
}

/* Sees to it that the sums before the commits are known. */
static void
sums_prepare(const struct row_plan *row, struct driver_result *results, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct driver_store *store = results[i].store;
        if (row->workload->transacts && store->seen != row_ranks(row))
            driver_verify(store, row_ranks(row));
        else if (!row->workload->transacts && !row->workload->reads_only)
            store->seen = 0;
    }
}

static void
cells_run(const struct row_plan *row, unsigned threads, const struct driver_streams *streams,
          struct driver_result *results, size_t count)
{
    const struct bench_workload *workload = row->workload;
    unsigned repeats = (unsigned)bench_options.repeats;

    if (bench_options.hurried && plan_elapsed_s() > PLAN_HURRY_S && repeats > HURRY_REPEATS)
        repeats = HURRY_REPEATS;
    sums_prepare(row, results, count);
    for (size_t i = 0; i < count; i++)
        results[i].planned = repeats;
    for (unsigned repeat = 0; repeat < repeats; repeat++)
        for (size_t i = 0; i < count; i++) {
            progress_show(workload->name, results[i].store->contender->name, threads);
            if (!bench_interrupted() &&
                (results[i].fault == NULL || results[i].store->handle != NULL))
                driver_run(workload, streams, threads, &results[i]);
            progress_step();
        }
    for (size_t i = 0; i < count; i++) {
        if (workload->transacts)
            result_check(row, &results[i]);
        faults += results[i].fault != NULL;
    }
    progress_clear();
    report_rows(workload, threads, results, count);
    for (size_t i = 0; workload->more != NULL && i < count; i++)
        workload->more(workload, threads, &results[i]);
}

/* Loads what the row needs; a contender whose store cannot be loaded is a fault and left out. */
static size_t
row_stores(const struct row_plan *row, struct driver_store **stores)
{
    const struct bench_source *source = row->workload->source;
    size_t count = 0;

    if (row->workload->forks || source == NULL) {
        driver_stores_name(source, row->contenders, row->count, stores);
        return row->count;
    }
    progress_show(row->workload->name, "loading", 0);
    driver_stores_load(source, row->contenders, row->count, stores);
    progress_clear();
    for (size_t i = 0; i < row->count; i++) {
        if (!stores[i]->failed) {
            stores[count++] = stores[i];
            continue;
        }
        printf("WRONG: %s could not be loaded\n", stores[i]->contender->name);
        faults++;
    }
    return count;
}

static void
row_run(const struct row_plan *row)
{
    const struct bench_workload *workload = row->workload;
    struct driver_store *stores[BENCH_CONTENDERS_MAX];
    struct driver_streams streams;
    const char *why = NULL;
    unsigned most = 0;

    if (workload->source != NULL && !workload->source->open(&why)) {
        printf("\n%s: skipped, %s\n", workload->name, why);
        return;
    }
    size_t count = row_stores(row, stores);
    for (size_t i = 0; i < row->thread_counts; i++)
        most = row->threads[i] > most ? row->threads[i] : most;
    struct driver_result *results = malloc(sizeof *results * BENCH_CONTENDERS_MAX);
    if (results == NULL ||
        !driver_streams_open(&streams, workload, workload->source, &row->distribution, most)) {
        printf("\n%s: out of memory\n", workload->name);
        faults++;
        free(results);
        return;
    }
    report_workload(workload, workload->distribution != NULL ? &row->distribution : NULL);
    for (size_t i = 0; i < row->thread_counts && !bench_interrupted(); i++) {
        memset(results, 0, sizeof *results * BENCH_CONTENDERS_MAX);
        for (size_t j = 0; j < count; j++)
            results[j].store = stores[j];
        cells_run(row, row->threads[i], &streams, results, count);
    }
    driver_streams_close(&streams);
    free(results);
}

/* A last look at every item of latchkey and some of the others, unless that was just done. */
static void
stores_check(void)
{
    struct driver_store *store;

    for (size_t i = 0; (store = driver_store_at(i)) != NULL; i++) {
        if (store->handle == NULL || store->contender->store_of != NULL || store->source->slow ||
            store->seen == store->source->count(store->source))
            continue;
        progress_show("last look", store->contender->name, 0);
        size_t ranks = store->source->count(store->source);
        if (strcmp(store->contender->name, "latchkey") != 0 && ranks > LAST_LOOK_RANKS)
            ranks = LAST_LOOK_RANKS;
        uint64_t wrong = driver_verify(store, ranks);
        if (wrong == 0)
            continue;
        printf("WRONG: %s: %llu items do not prove themselves\n", store->contender->name,
               (unsigned long long)wrong);
        faults++;
    }
    progress_clear();
}

static double
plan_seconds(unsigned cells)
{
    double each = bench_options.warmup_s + bench_options.duration_s;

    return each * cells + (double)bench_options.keys / 5e4;
}

/* A line for each contender that was asked for and is left out. */
static void
missing_say(void)
{
    for (size_t i = 0; i < bench_contender_count; i++) {
        const struct bench_contender *contender = bench_contenders[i];
        if (contender_missing(contender) != NULL && bench_options.contenders != NULL &&
            list_has(bench_options.contenders, contender->name))
            printf("note: %s is left out: %s\n", contender->name, contender_missing(contender));
    }
}

/* The rows that the options ask for. False: they cannot be, and stderr says why. */
static bool
rows_plan(void)
{
    if (!names_check(bench_options.workloads) || !names_check(bench_options.contenders) ||
        !names_check(bench_options.subject))
        return false;
    missing_say();
    for (size_t i = 0; i < bench_workload_count; i++) {
        const struct bench_workload *workload = bench_workloads[i];
        if (bench_options.workloads != NULL ? !list_has(bench_options.workloads, workload->name)
                                            : workload->on_request)
            continue;
        if (!row_add(workload)) {
            fprintf(stderr, "latchkey-bench: --threads: numbers from 1 to %d\n", BENCH_THREADS_MAX);
            return false;
        }
    }
    if (row_count == 0)
        fprintf(stderr, "latchkey-bench: none of these contenders can do that\n");
    return row_count != 0;
}

/* Finds out before the run what would fail after it. */
static bool
files_check(struct record *baseline)
{
    const char *const written[] = {bench_options.json, bench_options.csv, bench_options.html};

    if (bench_options.baseline != NULL && !record_read(baseline, bench_options.baseline))
        return false;
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        FILE *file = written[i] != NULL ? fopen(written[i], "a") : NULL;
        if (file != NULL)
            fclose(file);
        else if (written[i] != NULL) {
            fprintf(stderr, "latchkey-bench: %s: %s\n", written[i], strerror(errno));
            return false;
        }
    }
    return true;
}

/* A workload that works on loaded stores. */
static bool
row_loads(const struct row_plan *row)
{
    return row->workload->run == NULL && !row->workload->forks && row->workload->source != NULL;
}

/* Those that load nothing go first, while no store is open: some of them fork. */
static void
rows_run(void)
{
    for (size_t i = 0; i < 2 * row_count && !bench_interrupted(); i++) {
        const struct row_plan *row = &rows[i % row_count];
        const struct bench_workload *workload = row->workload;
        if (row_loads(row) != (i >= row_count))
            continue;
        if (bench_options.rate > 0 && (workload->run != NULL || workload->own_pace))
            printf("\nnote: %s has a pace of its own, --rate does not matter there\n",
                   workload->name);
        if (workload->run == NULL)
            row_run(row);
        else
            faults += !workload->run(workload, row->contenders, row->count);
    }
    if (!bench_interrupted())
        stores_check();
}

/* False: one could not be written. */
static bool
files_write(const struct record *record)
{
    bool good = true;

    if (bench_options.json != NULL)
        good = report_json(record, bench_options.json) && good;
    if (bench_options.csv != NULL)
        good = report_csv(record, bench_options.csv) && good;
    if (bench_options.hgrm != NULL)
        good = report_hgrm(record, bench_options.hgrm) && good;
    if (bench_options.html != NULL && report_html(record, bench_options.html))
        printf("report: %s\n", bench_options.html);
    else if (bench_options.html != NULL)
        good = false;
    return good;
}

/* The comparison, the files, and what the program says in the end. */
static int
plan_finish(struct record *baseline)
{
    struct record *record = &record_current;
    int status = STATUS_OK;

    record->faults = faults;
    record->partial = bench_interrupted();
    record->elapsed_s = plan_elapsed_s();
    report_end();
    if (bench_options.baseline != NULL) {
        compare_records(record, baseline);
        compare_print(record, baseline);
        status = compare_status(record, bench_options.worse_most);
    }
    if (!files_write(record))
        status = STATUS_USAGE;
    if (record->partial)
        status = STATUS_INTERRUPTED;
    if (faults != 0)
        status = STATUS_BROKEN;
    return status;
}

int
plan_run(void)
{
    struct record baseline = {0};
    unsigned cells = 0;

    plan_start_ns = bench_now_ns();
    if (!rows_plan() || !files_check(&baseline))
        return STATUS_USAGE;
    for (size_t i = 0; i < row_count; i++)
        cells += (unsigned)(rows[i].count * rows[i].thread_counts * bench_options.repeats);
    report_begin(plan_seconds(cells));
    progress_begin(cells);
    rows_run();
    driver_stores_close();
    int status = plan_finish(&baseline);
    record_close(&baseline);
    record_close(&record_current);
    return status;
}
