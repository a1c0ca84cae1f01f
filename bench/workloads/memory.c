/* SPDX-License-Identifier: MIT
 *
 * Bytes per item: after loading, after a hundred updates of each item (of this library alone), with
 * a lock on every item, after deleting all. Those who have partitions are loaded with large and
 * with small ones. Each contender is loaded in a process of its own, so that nothing else is
 * counted. "Allocated" is what jemalloc has handed out and not got back, "resident" what the system
 * gives the process, each less what it was before the store was opened. After the updates and the
 * deletes jemalloc is asked to give free pages back; before that it is not.
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

enum stage { LOADED, UPDATED, LOCKED, REMOVED, STAGES };

/* Of one item. */
struct usage {
    double allocated, resident;
};

/* What a child finds, in memory that it shares: of stages that the contender can do. */
struct findings {
    bool can[STAGES], done[STAGES];
    struct usage usage[STAGES]; /* LOCKED: what came in addition */
};

/* A contender with partitions of so many items. */
struct memory_case {
    const struct bench_contender *contender;
    size_t partition_items;
    struct findings *findings;
};

static struct usage
usage_since(struct usage base)
{
    double items = (double)bench_options.keys, page = (double)sysconf(_SC_PAGESIZE);
    struct usage usage = {0, 0};
    uint64_t epoch = 1;
    size_t allocated = 0, size = sizeof allocated;
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
    if (mallctl("stats.allocated", &allocated, &size, NULL, 0) == 0)
        usage.allocated = (double)allocated / items - base.allocated;
    if (file != NULL && fscanf(file, "%lu %lu", &total, &resident) == 2)
        usage.resident = (double)resident * page / items - base.resident;
    if (file != NULL)
        fclose(file);
    return usage;
}

static lk_key
case_key(const struct memory_case *of, size_t i, struct data_text *text)
{
    size_t index = random_scatter(i, bench_options.keys);

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
        lk_item put = {case_key(of, i, &text), {NULL, 0}, 0};
        put.data = data_value(value, text.sk, number);
        done = of->contender->set(client, &put);
    }
    free(value);
    return done;
}

static bool
all_done(const struct memory_case *of, void *client, bool (*call)(void *client, const lk_key *key))
{
    struct data_text text;

    for (size_t i = 0; i < bench_options.keys; i++) {
        lk_key key = case_key(of, i, &text);
        if (!call(client, &key))
            return false;
    }
    return true;
}

/* jemalloc keeps pages for a while. The arena number stands for all arenas. */
static void
store_settle(const struct bench_contender *contender, void *store)
{
    if (contender->settle != NULL)
        contender->settle(store);
    mallctl("arena." STRINGIFY(MALLCTL_ARENAS_ALL) ".purge", NULL, NULL, NULL, 0);
}

/* What a child does. */
static void
child_main(void *context)
{
    const struct memory_case *of = context;
    const struct bench_contender *contender = of->contender;
    struct findings *found = of->findings;
    struct usage base = usage_since((struct usage){0, 0});

    *found = (struct findings){
        .can = {true, contender->ours, contender->lock != NULL, contender->remove != NULL}};
    driver_expect(&data_source);
    void *store = contender->open();
    void *client = store != NULL ? contender->attach(store) : NULL;
    found->done[LOADED] = client != NULL && all_set(of, client, 0);
    if (!found->done[LOADED])
        return;
    found->usage[LOADED] = usage_since(base);
    if (found->can[UPDATED]) {
        found->done[UPDATED] = true;
        for (uint64_t round = 1; round <= UPDATES && found->done[UPDATED]; round++)
            found->done[UPDATED] = all_set(of, client, round);
        store_settle(contender, store);
        found->usage[UPDATED] = usage_since(base);
    }
    if (found->can[LOCKED]) {
        struct usage before = usage_since((struct usage){0, 0});
        found->done[LOCKED] = all_done(of, client, contender->lock);
        found->usage[LOCKED] = usage_since(before);
    }
    if (found->can[REMOVED]) {
        found->done[REMOVED] = all_done(of, client, contender->remove);
        contender->detach(client);
        store_settle(contender, store);
        found->usage[REMOVED] = usage_since(base);
    }
}

/* ---- the table ------------------------------------------------------------------------------- */

static void
row_targets(const struct memory_case *of)
{
    const struct usage *usage = of->findings->usage;
    double most = of->partition_items != DATA_PARTITION_ITEMS ? TARGET_SMALL : TARGET_LARGE;
    char text[64];

    if (strcmp(of->contender->name, "latchkey") != 0 || bench_options.value_size != 64)
        return;
    snprintf(text, sizeof text, "at most %.0f resident", most);
    report_target(text, true, usage[LOADED].resident <= most);
    report_target("no more after 100 updates", true,
                  usage[UPDATED].allocated <= TARGET_UPDATED * usage[LOADED].allocated);
    snprintf(text, sizeof text, "at most %d more with a lock", TARGET_LOCK);
    report_target(text, true, usage[LOCKED].resident <= TARGET_LOCK);
}

static bool
row_print(const struct bench_workload *workload, const struct memory_case *of)
{
    static const struct {
        const char *allocated, *resident; /* names of figures; NULL: not shown */
        int columns[2], digits;
    } stages[STAGES] = {
        [LOADED] = {"allocated", "resident", {7, 7}, 0},
        [UPDATED] = {"allocated after 100 updates", "resident after 100 updates", {9, 8}, 0},
        [LOCKED] = {NULL, "more with a lock", {0, 7}, 0},
        [REMOVED] = {"allocated after deleting", "resident after deleting", {9, 8}, 1},
    };
    char name[48];
    bool good = true;

    snprintf(name, sizeof name, "%s", of->contender->name);
    if (of->partition_items != DATA_PARTITION_ITEMS)
        snprintf(name, sizeof name, "%s, %zu", of->contender->name, of->partition_items);
    printf("  %-15s", name);
    for (size_t i = 0; i < STAGES; i++) {
        const struct usage *usage = &of->findings->usage[i];
        for (size_t j = 0; j < 2; j++) {
            const char *figure = j == 0 ? stages[i].allocated : stages[i].resident;
            double value = j == 0 ? usage->allocated : usage->resident;
            if (figure == NULL)
                continue;
            if (!of->findings->can[i]) {
                printf(" %*s", stages[i].columns[j], "");
                continue;
            }
            printf(i == LOCKED ? " %+*.*f" : " %*.*f", stages[i].columns[j], stages[i].digits,
                   value);
            record_figure(workload, name, 0, figure, "bytes/item", value);
        }
        good = good && of->findings->done[i] == of->findings->can[i];
    }
    row_targets(of);
    printf("\n%s", good ? "" : "  WRONG: a set, a lock or a delete failed\n");
    return good;
}

static bool
case_run(const struct bench_workload *workload, const struct bench_contender *contender,
         size_t partition_items, struct findings *findings)
{
    struct memory_case of = {contender, partition_items, findings};

    *findings = (struct findings){.can = {false}};
    if (!driver_fork(child_main, &of)) {
        printf("  WRONG: %s: its process failed\n", contender->name);
        return false;
    }
    return row_print(workload, &of);
}

static bool
memory_run(const struct bench_workload *workload, const struct bench_contender *const *contenders,
           size_t count)
{
    struct findings *findings = driver_shared_open(sizeof *findings);
    const char *why = NULL;
    bool good = findings != NULL && data_source.open(&why);

    printf("\nmemory: bytes per item, of which %zu are key and value; partitions of %d, or\n",
           (size_t)(2 * BENCH_KEY_SIZE + bench_options.value_size), DATA_PARTITION_ITEMS);
    printf("  of %d where it says so\n", DATA_PARTITION_LEAST);
    printf("  %-15s %15s %18s %7s %18s\n", "", "loaded", "100 updates each", "lock on",
           "after deleting all");
    printf("  %-15s %7s %7s %9s %8s %7s %9s %8s\n", "contender", "alloc.", "resid.", "allocated",
           "resident", "each", "allocated", "resident");
    for (size_t i = 0; i < count && good && !bench_interrupted(); i++) {
        good = case_run(workload, contenders[i], DATA_PARTITION_ITEMS, findings);
        if (contenders[i]->scan != NULL) /* it has partitions */
            good = case_run(workload, contenders[i], DATA_PARTITION_LEAST, findings) && good;
    }
    if (findings != NULL)
        driver_shared_close(findings, sizeof *findings);
    return good || bench_interrupted();
}

static const struct bench_workload workload_memory = {
    .name = "memory",
    .on_request = true,
    .what = "bytes per item: loaded, updated, locked, deleted",
    .order = 1,
    .needs = NEEDS_GET | NEEDS_SET,
    .contenders = "latchkey,striped,ck_hs,std::map",
    .run = memory_run,
};
BENCH_WORKLOAD(workload_memory)
