/* SPDX-License-Identifier: MIT
 *
 * What a record says about where it comes from: processor, memory, kernel, compiler, allocator,
 * versions, the load of the machine before the start, the command line and the options.
 */
#include "bench_build.h"
#include "driver/measured.h"
#include "driver/options.h"

#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

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
