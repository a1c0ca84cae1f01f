/* SPDX-License-Identifier: MIT
 *
 * The record of this run: what the plan and the workloads enter into it, and what it says about
 * where it comes from. Only the main thread is here.
 */
#include "driver/measured.h"

#include "bench_build.h"
#include "driver/options.h"

#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

_Static_assert(RECORD_ATTEMPTS == BENCH_ATTEMPTS, "a record has the classes of the workers");

struct record record_current;

const char *
measured_subject(const struct bench_workload *workload)
{
    if (bench_options.subject != NULL)
        return bench_options.subject;
    return workload->subject != NULL ? workload->subject : "latchkey";
}

void
record_describe(const struct bench_workload *of, const struct distribution *distribution)
{
    struct record_workload *workload = record_workload(&record_current, of->name);

    RECORD_TEXT(workload->what, of->what);
    RECORD_TEXT(workload->subject, measured_subject(of));
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
    RECORD_TEXT(row->missing, row->partial && row->repeats == 0 ? "interrupted" : NULL);
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

/* ---- where it comes from ----------------------------------------------------------------------
 * */

static void
processor_name(char *buffer, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];

    snprintf(buffer, size, "unknown processor");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *value = strstr(line, ": ");
        if (strncmp(line, "model name", 10) != 0 || value == NULL)
            continue;
        value[strcspn(value, "\n")] = '\0';
        snprintf(buffer, size, "%s", value + 2);
        break;
    }
    if (file != NULL)
        fclose(file);
}

static void
compiler_name(char *buffer, size_t size)
{
#if defined(__clang__)
    snprintf(buffer, size, "clang %s", __clang_version__);
#else
    snprintf(buffer, size, "gcc %s", __VERSION__);
#endif
}

static void
machine_read(struct record_machine *machine)
{
    struct utsname system;
    const char *allocator = NULL;
    size_t size = sizeof allocator;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    processor_name(machine->processor, sizeof machine->processor);
    compiler_name(machine->compiler, sizeof machine->compiler);
    if (uname(&system) == 0)
        snprintf(machine->kernel, sizeof machine->kernel, "%.16s %.64s", system.sysname,
                 system.release);
    RECORD_TEXT(machine->flags, BENCH_BUILD_FLAGS);
    RECORD_TEXT(machine->ck, BENCH_BUILD_CK);
    RECORD_TEXT(machine->commit, BENCH_BUILD_COMMIT);
    if (mallctl("version", (void *)&allocator, &size, NULL, 0) == 0 && allocator != NULL)
        snprintf(machine->allocator, sizeof machine->allocator, "jemalloc %s", allocator);
    snprintf(machine->library, sizeof machine->library, "%d.%d.%d", LK_VERSION_MAJOR,
             LK_VERSION_MINOR, LK_VERSION_PATCH);
    machine->processors = processors > 0 ? (unsigned)processors : 1;
    machine->memory_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    if (getloadavg(&machine->load_average, 1) != 1)
        machine->load_average = -1;
}

static void
options_read(struct record_options *options)
{
    RECORD_TEXT(options->workloads, bench_options.workloads);
    RECORD_TEXT(options->contenders, bench_options.contenders);
    RECORD_TEXT(options->threads, bench_options.threads);
    RECORD_TEXT(options->distribution, bench_options.distribution);
    RECORD_TEXT(options->pin, bench_options.pin);
    RECORD_TEXT(options->time, bench_options.processor_time ? "processor" : NULL);
    options->duration_s = bench_options.duration_s;
    options->warmup_s = bench_options.warmup_s;
    options->rate = bench_options.rate;
    options->repeats = (unsigned)bench_options.repeats;
    options->locks_per_commit = (unsigned)bench_options.locks_per_commit;
    options->keys = bench_options.keys;
    options->value_size = bench_options.value_size;
    options->seed = bench_options.seed;
}

/* Words that a shell would take apart are quoted, so that the line can be pasted. */
static void
command_write(struct record *record, int argc, char **argv)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_=+.,:/%@";
    size_t used = 0;

    for (int i = 0; i < argc && used < sizeof record->command; i++) {
        const char *quote = *argv[i] == '\0' || argv[i][strspn(argv[i], plain)] != '\0' ? "'" : "";
        used += (size_t)snprintf(record->command + used, sizeof record->command - used, "%s%s%s%s",
                                 i > 0 ? " " : "", quote, argv[i], quote);
    }
}

void
record_begin(struct record *record, int argc, char **argv)
{
    time_t now = time(NULL);
    struct tm utc;

    if (gmtime_r(&now, &utc) != NULL)
        strftime(record->date, sizeof record->date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    command_write(record, argc, argv);
    machine_read(&record->machine);
    options_read(&record->options);
    RECORD_TEXT(record->baseline, bench_options.baseline);
}
