/* SPDX-License-Identifier: MIT
 *
 * Bytes per item: after loading, after a hundred updates of each item, with a lock on every item,
 * after deleting all. Those who have partitions are loaded with large and with small ones. Each
 * contender is loaded in a process of its own, so that nothing else is counted. "Allocated" is what jemalloc has handed out and not got back, "resident"
 * what the system gives the process, each less what it was before the store was opened. After the
 * updates and the deletes jemalloc is asked to give free pages back; before that it is not.
 */
#include "driver/report.h"
#include "workloads/parts/steps.h"

#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The text of a macro's value. */
#define STRINGIFY_RAW(text) #text
#define STRINGIFY(text) STRINGIFY_RAW(text)

#define TARGET_LARGE 190    /* resident, of 96, in partitions of 1,000 */
#define TARGET_SMALL 200    /* of 10 */
#define TARGET_UPDATED 1.02 /* allocated after the updates, to that before */
#define TARGET_LOCK 40
#define UPDATES 100

struct usage {
    double allocated, resident;
};

/* What a child finds, in memory that it shares. */
struct memory_report {
    bool loaded, updated, locked, removed;
    struct usage load, update, lock, removal;
};

static struct usage
usage_read(void)
{
    struct usage usage = {0, 0};
    uint64_t epoch = 1;
    size_t allocated = 0, size = sizeof allocated;
    unsigned long total = 0, resident = 0;

    mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
    if (mallctl("stats.allocated", &allocated, &size, NULL, 0) == 0)
        usage.allocated = (double)allocated;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fscanf(file, "%lu %lu", &total, &resident) == 2)
            usage.resident = (double)resident * (double)sysconf(_SC_PAGESIZE);
        fclose(file);
    }
    return usage;
}

/* Per item, less what was before. */
static struct usage
usage_since(struct usage base)
{
    struct usage usage = usage_read();
    double items = (double)bench_options.keys;

    usage.allocated = (usage.allocated - base.allocated) / items;
    usage.resident = (usage.resident - base.resident) / items;
    return usage;
}

/* A contender with partitions of so many items. */
struct memory_case {
    const struct bench_contender *contender;
    size_t partition_items;
    struct memory_report *report;
};

static lk_key
case_key(const struct memory_case *of, size_t index, struct data_text *text)
{
    return data_key_in(index / of->partition_items, index, text);
}

/* Sets all items, in an order without locality, with the same number in each. */
static bool
all_set(const struct memory_case *of, void *client, uint64_t number)
{
    char *value = calloc(1, bench_options.value_size);
    bool done = value != NULL;
    struct data_text text;

    for (size_t i = 0; i < bench_options.keys && done; i++) {
        lk_item put = {case_key(of, random_scatter(i, bench_options.keys), &text), {NULL, 0}, 0};
        put.data = data_value(value, text.sk, number);
        done = of->contender->set(client, &put);
    }
    free(value);
    return done;
}

static bool
all_updated(const struct memory_case *of, void *client)
{
    bool done = true;

    for (uint64_t round = 1; round <= UPDATES && done; round++)
        done = all_set(of, client, round);
    return done;
}

static bool
all_locked(const struct memory_case *of, void *client)
{
    struct data_text text;

    for (size_t i = 0; i < bench_options.keys; i++) {
        lk_key key = case_key(of, i, &text);
        if (!of->contender->lock(client, &key))
            return false;
    }
    return true;
}

static bool
all_removed(const struct memory_case *of, void *client)
{
    struct data_text text;

    for (size_t i = 0; i < bench_options.keys; i++) {
        lk_key key = case_key(of, random_scatter(i, bench_options.keys), &text);
        if (!of->contender->remove(client, &key))
            return false;
    }
    return true;
}

/* jemalloc keeps pages for a while. The arena number stands for all arenas. */
static void
pages_free(void)
{
    mallctl("arena." STRINGIFY(MALLCTL_ARENAS_ALL) ".purge", NULL, NULL, NULL, 0);
}

/* What a child does. */
static void
report_fill(void *context)
{
    const struct memory_case *of = context;
    const struct bench_contender *contender = of->contender;
    struct memory_report *report = of->report;
    struct usage base = usage_read();

    bench_expected.items = bench_options.keys;
    void *store = contender->open();
    void *client = store != NULL ? contender->attach(store) : NULL;
    if (client == NULL)
        return;
    report->loaded = all_set(of, client, 0);
    if (!report->loaded)
        return;
    report->load = usage_since(base);
    if (contender->ours) {
        report->updated = all_updated(of, client);
        if (contender->settle != NULL)
            contender->settle(store);
        pages_free();
        report->update = usage_since(base);
    }
    if (contender->lock != NULL) {
        struct usage before = usage_since(base);
        report->locked = all_locked(of, client);
        report->lock = usage_since(base);
        report->lock.allocated -= before.allocated;
        report->lock.resident -= before.resident;
    }
    if (contender->remove != NULL) {
        report->removed = all_removed(of, client);
        contender->detach(client);
        if (contender->settle != NULL)
            contender->settle(store);
        pages_free();
        report->removal = usage_since(base);
    }
}

/* "latchkey", or with small partitions "latchkey, 10". */
struct memory_name {
    char s[48];
};

static struct memory_name
case_name(const struct memory_case *of)
{
    struct memory_name name;

    snprintf(name.s, sizeof name.s, "%s", of->contender->name);
    if (of->partition_items != DATA_PARTITION_ITEMS)
        snprintf(name.s, sizeof name.s, "%s, %zu", of->contender->name, of->partition_items);
    return name;
}

static void
row_record(const struct bench_workload *workload, const struct memory_case *of,
           const struct memory_report *report)
{
    struct memory_name name = case_name(of);

    record_figure(workload, name.s, 0, "allocated", "bytes/item", report->load.allocated);
    record_figure(workload, name.s, 0, "resident", "bytes/item", report->load.resident);
    if (of->contender->ours) {
        record_figure(workload, name.s, 0, "allocated after 100 updates", "bytes/item",
                      report->update.allocated);
        record_figure(workload, name.s, 0, "resident after 100 updates", "bytes/item",
                      report->update.resident);
    }
    if (of->contender->lock != NULL)
        record_figure(workload, name.s, 0, "more with a lock", "bytes/item", report->lock.resident);
    if (of->contender->remove == NULL)
        return;
    record_figure(workload, name.s, 0, "allocated after deleting", "bytes/item",
                  report->removal.allocated);
    record_figure(workload, name.s, 0, "resident after deleting", "bytes/item",
                  report->removal.resident);
}

static void
row_targets(const struct memory_case *of, const struct memory_report *report)
{
    bool small = of->partition_items != DATA_PARTITION_ITEMS;
    double most = small ? TARGET_SMALL : TARGET_LARGE;
    char text[64];

    if (strcmp(of->contender->name, "latchkey") != 0 || bench_options.value_size != 64)
        return;
    snprintf(text, sizeof text, "at most %.0f resident", most);
    report_target(text, report->load.resident <= most ? REPORT_MET : REPORT_MISSED);
    report_target("no more after 100 updates",
                  report->update.allocated <= TARGET_UPDATED * report->load.allocated
                      ? REPORT_MET
                      : REPORT_MISSED);
    snprintf(text, sizeof text, "at most %d more with a lock", TARGET_LOCK);
    report_target(text, report->lock.resident <= TARGET_LOCK ? REPORT_MET : REPORT_MISSED);
}

static bool
row_print(const struct bench_workload *workload, const struct memory_case *of,
          const struct memory_report *report)
{
    const struct bench_contender *contender = of->contender;
    struct memory_name name = case_name(of);

    row_record(workload, of, report);
    printf("  %-15s %7.0f %7.0f", name.s, report->load.allocated, report->load.resident);
    if (contender->ours)
        printf(" %9.0f %8.0f", report->update.allocated, report->update.resident);
    else
        printf(" %9s %8s", "", "");
    if (contender->lock != NULL)
        printf(" %+7.0f", report->lock.resident);
    else
        printf(" %7s", "");
    if (contender->remove != NULL)
        printf(" %9.1f %8.1f", report->removal.allocated, report->removal.resident);
    row_targets(of, report);
    printf("\n");
    if ((contender->ours && !report->updated) || (contender->lock != NULL && !report->locked) ||
        (contender->remove != NULL && !report->removed)) {
        printf("  WRONG: %s: an update, a lock or a delete failed\n", name.s);
        return false;
    }
    return true;
}

/* Those with order have partitions, and are loaded with small ones, too. */
static size_t
cases_make(const struct bench_contender *const *contenders, size_t count, struct memory_case *cases)
{
    size_t made = 0;

    for (size_t i = 0; i < count; i++) {
        cases[made++] = (struct memory_case){contenders[i], DATA_PARTITION_ITEMS, NULL};
        if (contenders[i]->scan != NULL)
            cases[made++] = (struct memory_case){contenders[i], DATA_PARTITION_LEAST, NULL};
    }
    return made;
}

static bool
memory_run(const struct bench_workload *workload, const struct bench_contender *const *contenders,
           size_t contender_count)
{
    struct memory_case cases[2 * BENCH_CONTENDERS_MAX];
    size_t count = cases_make(contenders, contender_count, cases);
    struct memory_report *report = driver_shared_open(sizeof *report);
    const char *why = NULL;
    bool good = report != NULL && data_source.open(&why);

    printf("\nmemory: bytes per item, of which %zu are key and value; partitions of %d, or\n",
           2 * BENCH_KEY_SIZE + bench_options.value_size, DATA_PARTITION_ITEMS);
    printf("  of %d where it says so\n", DATA_PARTITION_LEAST);
    printf("  %-15s %15s %18s %7s %18s\n", "", "loaded", "100 updates each", "lock on",
           "after deleting all");
    printf("  %-15s %7s %7s %9s %8s %7s %9s %8s\n", "contender", "alloc.", "resid.", "allocated",
           "resident", "each", "allocated", "resident");
    for (size_t i = 0; i < count && good && !bench_interrupted(); i++) {
        *report = (struct memory_report){.loaded = false};
        cases[i].report = report;
        good = driver_fork(report_fill, &cases[i]) && report->loaded;
        if (!good && !bench_interrupted())
            printf("  WRONG: %s: its process failed\n", case_name(&cases[i]).s);
        good = good && row_print(workload, &cases[i], report);
    }
    if (report != NULL)
        driver_shared_close(report, sizeof *report);
    return good || bench_interrupted();
}

static const struct bench_workload workload_memory = {
    .name = "memory",
    .on_request = true,
    .what = "bytes per item: loaded, updated, locked, deleted",
    .order = 1,
    .can = step_can_set,
    .contenders = "latchkey,striped,ck_hs,std::map",
    .run = memory_run,
};
BENCH_WORKLOAD(workload_memory)
