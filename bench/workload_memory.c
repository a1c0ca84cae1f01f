/* SPDX-License-Identifier: MIT
 *
 * Bytes per item: after loading, with a lock on every item, after deleting all. Each contender is
 * loaded in a process of its own, so that nothing else is counted; several at once, for nothing
 * here depends on time. "Allocated" is what jemalloc has handed out and not got back, "resident"
 * what the system gives the process, each less what it was before the store was opened. After the
 * deletes jemalloc is asked to give free pages back; before that it is not.
 */
#include "data.h"
#include "record.h"

#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The text of a macro's value. */
#define STRINGIFY_RAW(text) #text
#define STRINGIFY(text) STRINGIFY_RAW(text)

#define TARGET_RESIDENT 230
#define TARGET_LOCK 40

struct usage {
    double allocated, resident;
};

/* What a child finds; written to its pipe in one piece. */
struct memory_report {
    bool loaded, locked, removed;
    struct usage load, lock, removal;
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

static bool
all_locked(const struct bench_contender *contender, void *client)
{
    struct data_text text;

    for (size_t i = 0; i < bench_options.keys; i++) {
        lk_key key = data_key(i, &text);
        if (!contender->lock(client, &key))
            return false;
    }
    return true;
}

static bool
all_removed(const struct bench_contender *contender, void *client)
{
    struct data_text text;

    for (size_t i = 0; i < bench_options.keys; i++) {
        lk_key key = data_key(random_scatter(i, bench_options.keys), &text);
        if (!contender->remove(client, &key))
            return false;
    }
    return true;
}

/* What a child does. The arena number stands for all arenas. */
static void
report_fill(const struct bench_contender *contender, struct memory_report *report)
{
    struct usage base = usage_read();
    void *store = contender->open();
    void *client = store != NULL ? contender->attach(store) : NULL;

    if (client == NULL)
        return;
    report->loaded = data_source.load(contender, client) == bench_options.keys;
    if (!report->loaded)
        return;
    report->load = usage_since(base);
    if (contender->lock != NULL) {
        report->locked = all_locked(contender, client);
        report->lock = usage_since(base);
    }
    if (contender->remove != NULL) {
        report->removed = all_removed(contender, client);
        contender->detach(client);
        if (contender->settle != NULL)
            contender->settle(store);
        mallctl("arena." STRINGIFY(MALLCTL_ARENAS_ALL) ".purge", NULL, NULL, NULL, 0);
        report->removal = usage_since(base);
    }
}

/* Starts a child for a contender; returns the end of the pipe to read from, or -1. */
static int
child_start(const struct bench_contender *contender, pid_t *pid)
{
    int ends[2];

    if (pipe(ends) != 0)
        return -1;
    fflush(NULL);
    *pid = fork();
    if (*pid == 0) {
        struct memory_report report = {0};
        close(ends[0]);
        report_fill(contender, &report);
        ssize_t written = write(ends[1], &report, sizeof report);
        _exit(written == (ssize_t)sizeof report ? 0 : 1);
    }
    close(ends[1]);
    if (*pid < 0) {
        close(ends[0]);
        return -1;
    }
    return ends[0];
}

static bool
child_read(int end, pid_t pid, struct memory_report *report)
{
    int status = 1;

    if (end < 0)
        return false;
    bool whole = read(end, report, sizeof *report) == (ssize_t)sizeof *report;
    close(end);
    waitpid(pid, &status, 0);
    return whole && status == 0 && report->loaded;
}

static void
row_record(const struct bench_contender *contender, const struct memory_report *report)
{
    const char *name = contender->name;

    record_figure("memory", name, 0, "allocated", "bytes/item", report->load.allocated);
    record_figure("memory", name, 0, "resident", "bytes/item", report->load.resident);
    if (contender->lock != NULL)
        record_figure("memory", name, 0, "more with a lock", "bytes/item",
                      report->lock.resident - report->load.resident);
    if (contender->remove == NULL)
        return;
    record_figure("memory", name, 0, "allocated after deleting", "bytes/item",
                  report->removal.allocated);
    record_figure("memory", name, 0, "resident after deleting", "bytes/item",
                  report->removal.resident);
}

static bool
row_print(const struct bench_contender *contender, const struct memory_report *report)
{
    bool good = true;

    row_record(contender, report);

    printf("  %-14s %11.0f %11.0f", contender->name, report->load.allocated, report->load.resident);
    if (contender->lock != NULL)
        printf(" %+11.0f", report->lock.resident - report->load.resident);
    else
        printf(" %11s", "");
    if (contender->remove != NULL)
        printf(" %11.1f %11.1f", report->removal.allocated, report->removal.resident);
    if (strcmp(contender->name, "latchkey") == 0) {
        bool met = report->load.resident <= TARGET_RESIDENT &&
                   report->lock.resident - report->load.resident <= TARGET_LOCK;
        if (bench_options.value_size == 64)
            printf("\n         targets %d, +%d: %s", TARGET_RESIDENT, TARGET_LOCK,
                   met ? "met" : "not reached");
    }
    printf("\n");
    if ((contender->lock != NULL && !report->locked) ||
        (contender->remove != NULL && !report->removed)) {
        printf("  WRONG: %s: a lock or a delete failed\n", contender->name);
        good = false;
    }
    return good;
}

static bool
memory_run(const struct bench_contender *const *contenders, size_t count)
{
    size_t together = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;
    const char *why = NULL;
    bool good = data_source.open(&why);

    printf("\nmemory: bytes per item, of which %zu are key and value\n",
           2 * DATA_KEY_SIZE + bench_options.value_size);
    printf("  %-14s %11s %11s %11s %23s\n", "", "", "", "with a lock", "after deleting all");
    printf("  %-14s %11s %11s %11s %11s %11s\n", "contender", "allocated", "resident", "on each",
           "allocated", "resident");
    if (!good)
        return false;
    for (size_t i = 0; i < count && !bench_interrupted(); i += together) {
        int ends[2];
        pid_t pids[2] = {-1, -1};
        for (size_t j = i; j < i + together && j < count; j++)
            ends[j - i] = child_start(contenders[j], &pids[j - i]);
        for (size_t j = i; j < i + together && j < count; j++) {
            struct memory_report report;
            if (child_read(ends[j - i], pids[j - i], &report)) {
                good = row_print(contenders[j], &report) && good;
                continue;
            }
            printf("  WRONG: %s: its process failed\n", contenders[j]->name);
            good = false;
        }
    }
    return good;
}

static bool
can_memory(const struct bench_contender *contender)
{
    return contender->set != NULL;
}

static const struct bench_workload workload_memory = {
    .name = "memory",
    .on_request = true,
    .what = "bytes per item: loaded, locked, deleted",
    .order = 1,
    .can = can_memory,
    .contenders = "latchkey,striped,ck_hs,std::map",
    .run = memory_run,
};
BENCH_WORKLOAD(workload_memory)
