/* SPDX-License-Identifier: MIT
 *
 * Tables on standard output, progress on standard error. Figures are medians over the repeats; the
 * spread is the distance of the outermost repeats over the median; "latchkey is" (or another
 * subject) compares medians of the same table.
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LOAD_WARNING 0.5   /* load average before the start */
#define OTHERS_WARNING 0.1 /* share of the processors that others use, beyond idle ones */

static unsigned progress_cells, progress_done;
static uint64_t progress_start_ns;
static unsigned targets_met, targets_missed, targets_open;

static int
number_compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return a < b ? -1 : a > b;
}

struct report_summary
report_summary(const struct driver_result *result)
{
    struct report_summary summary = {0, 0};
    double sorted[DRIVER_REPEATS_MAX];
    unsigned count = result->repeats;

    if (count == 0)
        return summary;
    memcpy(sorted, result->rates, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, number_compare);
    summary.median =
        count % 2 != 0 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
    if (summary.median > 0)
        summary.spread = (sorted[count - 1] - sorted[0]) / summary.median;
    return summary;
}

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

void
report_begin(double planned_s)
{
    struct utsname system;
    char processor[128];
    double load = 0;

    processor_name(processor, sizeof processor);
    uname(&system);
    printf("latchkey-bench %d.%d.%d   %s, %ld processors, Linux %s, gcc %s\n", LK_VERSION_MAJOR,
           LK_VERSION_MINOR, LK_VERSION_PATCH, processor, sysconf(_SC_NPROCESSORS_ONLN),
           system.release, __VERSION__);
    printf(
        "%zu keys, values of %zu bytes, %u repeats of %.2f s after %.2f s of warm-up, seed %llu; "
        "about %.0f s\n",
        bench_options.keys, bench_options.value_size, bench_options.repeats,
        bench_options.duration_s, bench_options.warmup_s, (unsigned long long)bench_options.seed,
        planned_s);
    if (getloadavg(&load, 1) == 1 && load > LOAD_WARNING)
        printf("warning: the machine is busy, load average %.1f\n", load);
    fflush(stdout);
}

void
progress_begin(unsigned cells)
{
    progress_cells = cells;
    progress_start_ns = bench_now_ns();
}

void
progress_show(const char *workload, const char *contender, unsigned threads)
{
    if (!isatty(STDERR_FILENO))
        return;
    double elapsed = (double)(bench_now_ns() - progress_start_ns) / 1e9;
    fprintf(stderr, "\r\033[K[%3u/%u] %.0f s  %s, %s", progress_done, progress_cells, elapsed,
            workload, contender);
    if (threads != 0)
        fprintf(stderr, ", %u thread%s", threads, threads == 1 ? "" : "s");
    fflush(stderr);
}

void
progress_step(void)
{
    progress_done++;
}

void
progress_clear(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

static const char *
subject_name(const struct bench_workload *workload)
{
    return workload->subject != NULL ? workload->subject : "latchkey";
}

void
report_workload(const struct bench_workload *workload, const struct distribution *distribution)
{
    char text[64], subject[32];

    printf("\n%s: %s%s%s\n", workload->name, workload->what, distribution != NULL ? ", " : "",
           distribution != NULL ? distribution_text(distribution, text, sizeof text) : "");
    snprintf(subject, sizeof subject, "%s is", subject_name(workload));
    printf("  threads  %-14s %12s %7s  %-12s %8s %8s %9s", "contender", workload->unit, "spread",
           subject, "p50 ns", "p99 ns", "max us");
    if (workload->transacts)
        printf(" %8s %8s", "races", "retries");
    printf("\n");
}

/* Rates of races and retries, for each commit that succeeded. */
static void
row_transactions(const struct driver_result *result)
{
    double commits = result->counts.commits > 0 ? (double)result->counts.commits : 1;

    printf(" %7.2f%%", 100.0 * (double)result->counts.races / commits);
    if (result->store->contender->counters != NULL)
        printf(" %7.2f%%", 100.0 * (double)result->retries / commits);
    else
        printf(" %8s", "");
}

void
report_target(const char *target, enum report_outcome outcome)
{
    static const char *const words[] = {"met", "MISSED", "NO FIGURE"};

    printf("  target %s: %s", target, words[outcome]);
    targets_met += outcome == REPORT_MET;
    targets_missed += outcome == REPORT_MISSED;
    targets_open += outcome == REPORT_NO_FIGURE;
}

/* `ratio` 0: one of the two has no figure. */
static void
row_target(const struct bench_workload *workload, unsigned threads, const char *contender,
           double ratio)
{
    for (size_t i = 0; i < sizeof workload->targets / sizeof *workload->targets; i++) {
        const struct bench_target *target = &workload->targets[i];
        char text[32];
        if (target->contender == NULL || strcmp(target->contender, contender) != 0 ||
            (target->threads != 0 && target->threads != threads))
            continue;
        snprintf(text, sizeof text, "%.2f x", target->ratio);
        if (!target->aim)
            report_target(text, ratio <= 0               ? REPORT_NO_FIGURE
                                : ratio >= target->ratio ? REPORT_MET
                                                         : REPORT_MISSED);
        else
            printf("  aim %s: %s", text,
                   ratio <= 0               ? "no figure"
                   : ratio >= target->ratio ? "met"
                                            : "missed");
    }
}

static void
row_figures(const struct driver_result *result, struct report_summary summary, double ratio)
{
    printf(" %12.3f", summary.median / 1e6);
    if (result->repeats > 1)
        printf(" %6.0f%%  ", summary.spread * 100);
    else
        printf(" %7s  ", "-");
    if (ratio > 0)
        printf("%8.2f x  ", ratio);
    else
        printf("%12s", "");
    printf(" %8llu %8llu %9.0f", (unsigned long long)histogram_percentile(&result->latency, 0.5),
           (unsigned long long)histogram_percentile(&result->latency, 0.99),
           (double)result->latency.maximum / 1e3);
}

static const struct driver_result *
results_own(const char *subject, const struct driver_result *results, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(results[i].store->contender->name, subject) == 0)
            return &results[i];
    return NULL;
}

void
report_rows(const struct bench_workload *workload, unsigned threads,
            const struct driver_result *results, size_t count)
{
    const struct driver_result *own = results_own(subject_name(workload), results, count);
    double own_median = own != NULL ? report_summary(own).median : 0, elapsed = 0, others = 0;

    for (size_t i = 0; i < count; i++) {
        const struct driver_result *result = &results[i];
        const char *name = result->store->contender->name;
        struct report_summary summary = report_summary(result);
        bool compared = own != NULL && result != own;
        double ratio = compared && summary.median > 0 ? own_median / summary.median : 0;

        printf("  %7u  %-14s", threads, name);
        if (result->missing != NULL)
            printf(" %12s  (%s)", "missing", result->missing);
        else
            row_figures(result, summary, ratio);
        if (workload->transacts)
            row_transactions(result);
        if (compared)
            row_target(workload, threads, name, ratio);
        if (result->fault != NULL)
            printf("\n  WRONG: %s, %u threads: %s (%llu wrong, %llu failed)", name, threads,
                   result->fault, (unsigned long long)result->counts.wrong,
                   (unsigned long long)result->counts.failed);
        printf("\n");
        elapsed += result->elapsed_s;
        others += result->others_s;
    }
    size_t processors = driver_processors();
    double idle = elapsed * (double)(threads < processors ? processors - threads : 0);
    if (others > idle + elapsed * (double)processors * OTHERS_WARNING)
        printf("  warning: other processes used %.0f %% of the processors during these rows\n",
               others * 100 / (elapsed * (double)processors));
    fflush(stdout);
}

void
report_loads(const struct bench_source *source, struct driver_store *const *stores, size_t count)
{
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        if (stores[i]->load_s <= 0)
            continue;
        if (!any)
            printf("\nloaded %zu items (%s), one thread each, M items/s:", stores[i]->items,
                   source->name);
        printf("%s %s %.2f", any ? "," : "", stores[i]->contender->name,
               (double)stores[i]->items / stores[i]->load_s / 1e6);
        any = true;
        stores[i]->load_s = 0;
    }
    if (any)
        printf("\n");
}

void
report_end(unsigned faults, double elapsed_s)
{
    printf("\nLatencies are of one operation in each batch, the clock's own 20 to 50 ns included. "
           "Races and retries are per\ncommit that succeeded.\n");
    printf("%u targets met, %u missed", targets_met, targets_missed);
    if (targets_open != 0)
        printf(", %u WITHOUT A FIGURE", targets_open);
    printf("; invariants %s; %.0f s\n", faults == 0 ? "hold" : "BROKEN", elapsed_s);
}
