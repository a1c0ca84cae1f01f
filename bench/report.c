/* SPDX-License-Identifier: MIT
 *
 * Tables on standard output, progress on standard error. Figures are medians over the repeats; the
 * spread is the distance of the outermost repeats over the median; "latchkey is" (or another
 * subject) compares medians of the same table.
 */
#include "report.h"

#include "statistics.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOAD_WARNING 0.5 /* load average before the start */

static unsigned progress_cells, progress_done;
static uint64_t progress_start_ns;

struct report_summary
report_summary(const struct driver_result *result)
{
    struct report_summary summary = {statistics_median(result->rates, result->repeats),
                                     statistics_spread(result->rates, result->repeats)};

    return summary;
}

void
report_begin(double planned_s)
{
    const struct record_machine *machine = &record_current.machine;
    const struct record_options *options = &record_current.options;

    printf("latchkey-bench %s%s%s   %s, %u processors, %s, %s\n", machine->library,
           machine->commit[0] != '\0' ? " " : "", machine->commit, machine->processor,
           machine->processors, machine->kernel, machine->compiler);
    printf("%llu keys, values of %llu bytes, %u repeats of %.2f s after %.2f s of warm-up, seed "
           "%llu; about %.0f s\n",
           (unsigned long long)options->keys, (unsigned long long)options->value_size,
           options->repeats, options->duration_s, options->warmup_s,
           (unsigned long long)options->seed, planned_s);
    if (options->rate > 0)
        printf("a fixed rate of %.0f operations per second, of all threads together; latencies are "
               "from the intended start\n",
               options->rate);
    if (machine->load_average > LOAD_WARNING)
        printf("warning: the machine is busy, load average %.1f\n", machine->load_average);
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

    record_describe(workload, distribution);
    printf("\n%s: %s%s%s\n", workload->name, workload->what, distribution != NULL ? ", " : "",
           distribution != NULL ? distribution_text(distribution, text, sizeof text) : "");
    snprintf(subject, sizeof subject, "%s is", subject_name(workload));
    printf("  threads  %-14s %12s %7s  %-12s %8s %8s %9s", "contender", workload->unit, "spread",
           subject, "p50 ns", "p99 ns", "max us");
    if (workload->transacts)
        printf(" %8s %8s", "races", "retries");
    printf("\n");
}

void
report_target(const char *target, enum report_outcome outcome)
{
    static const char *const words[] = {"met", "MISSED", "NO FIGURE"};

    printf("  target %s: %s", target, words[outcome]);
    record_current.targets_met += outcome == REPORT_MET;
    record_current.targets_missed += outcome == REPORT_MISSED;
    record_current.targets_open += outcome == REPORT_NO_FIGURE;
}

/* Sets the row's ratio, and what became of the targets against it. */
static void
row_judge(const struct bench_workload *workload, struct record_row *row, double own_median)
{
    row->target_count = 0;
    /* At a fixed rate all do what they are told. */
    if (bench_options.rate > 0)
        return;
    row->ratio = row->median > 0 ? own_median / row->median : 0;
    for (size_t i = 0; i < sizeof workload->targets / sizeof *workload->targets; i++) {
        const struct bench_target *target = &workload->targets[i];
        if (target->contender == NULL || strcmp(target->contender, row->contender) != 0 ||
            (target->threads != 0 && target->threads != row->threads))
            continue;
        if (row->ratio <= 0 && bench_interrupted())
            continue;
        struct record_target *into = &row->targets[row->target_count++];
        snprintf(into->text, sizeof into->text, "%.2f x", target->ratio);
        into->aim = target->aim;
        into->outcome = row->ratio <= 0               ? REPORT_NO_FIGURE
                        : row->ratio >= target->ratio ? REPORT_MET
                                                      : REPORT_MISSED;
    }
}

static void
row_targets(const struct record_row *row)
{
    static const char *const words[] = {"met", "missed", "no figure"};

    for (size_t i = 0; i < row->target_count; i++) {
        const struct record_target *target = &row->targets[i];
        if (target->aim)
            printf("  aim %s: %s", target->text, words[target->outcome]);
        else
            report_target(target->text, target->outcome);
    }
}

static void
row_figures(const struct record_row *row, double scale)
{
    printf(" %12.3f", row->median / scale);
    if (row->repeats > 1)
        printf(" %6.0f%%%c ", row->spread * 100, row->unsteady ? '!' : ' ');
    else
        printf(" %7s  ", "-");
    if (row->ratio > 0)
        printf("%8.2f x  ", row->ratio);
    else
        printf("%12s", "");
    printf(" %8llu %8llu %9.0f", (unsigned long long)histogram_percentile(&row->latency, 0.5),
           (unsigned long long)histogram_percentile(&row->latency, 0.99),
           (double)row->latency.maximum / 1e3);
}

/* Rates of races and retries, for each commit that succeeded. */
static void
row_transactions(const struct record_row *row)
{
    double commits = row->commits > 0 ? (double)row->commits : 1;

    printf(" %7.2f%%", 100.0 * (double)row->races / commits);
    if (row->has_retries)
        printf(" %7.2f%%", 100.0 * (double)row->retries / commits);
    else
        printf(" %8s", "");
}

static void
row_print(const struct record_row *row, double scale)
{
    printf("  %7u  %-14s", row->threads, row->contender);
    if (row->missing[0] != '\0')
        printf(" %12s  (%s)", "missing", row->missing);
    else
        row_figures(row, scale);
    if (row->transacts)
        row_transactions(row);
    row_targets(row);
    if (row->fault[0] != '\0')
        printf("\n  WRONG: %s, %u threads: %s (%llu wrong, %llu failed)", row->contender,
               row->threads, row->fault, (unsigned long long)row->wrong,
               (unsigned long long)row->failed);
    printf("\n");
}

#define HOT_RACES 0.01 /* races per commit from which hot keys are named */
#define HOT_SHOWN 3

static void
rows_hot(struct record_row *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct record_row *row = rows[i];
        if ((double)row->races <= HOT_RACES * (double)row->commits || row->hot_count == 0)
            continue;
        printf("  hot keys of %s, part of all that raced:", row->contender);
        for (size_t j = 0; j < row->hot_count && j < HOT_SHOWN; j++)
            printf("%s %s %.0f %%", j > 0 ? "," : "", row->hot[j].key, row->hot[j].least * 100);
        printf("\n");
    }
}

/* Calls that were refused for now and made again cost time that the rate does not explain. */
static void
rows_warn_refused(struct record_row *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct record_figure *refused = record_row_figure_find(rows[i], "busy");
        if (refused != NULL && refused->contention && refused->value > 0)
            printf("  note: %s refused calls for now (LK_BUSY), which were made again: %.2g per "
                   "operation\n",
                   rows[i]->contender, refused->value);
    }
}

/* At a fixed rate: who did not keep up. */
static void
rows_warn_late(struct record_row *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i]->late != 0 && rows[i]->repeats != 0)
            printf("  note: %s did not keep up: %.0f of %.0f operations per second; %llu were not "
                   "begun in time\n",
                   rows[i]->contender, rows[i]->median, record_current.options.rate,
                   (unsigned long long)rows[i]->late);
}

/* What the reader should know about the rows of one number of threads. */
static void
rows_warn(struct record_row *const *rows, size_t count)
{
    unsigned processors = record_current.machine.processors;
    double elapsed = 0, others = 0;
    bool busy = false;

    for (size_t i = 0; i < count; i++) {
        elapsed += rows[i]->elapsed_s;
        others += rows[i]->others_s;
        busy = busy || rows[i]->busy;
    }
    if (count > 0 && rows[0]->crowded)
        printf("  note: %u threads on %u processors: they take turns\n", rows[0]->threads,
               processors);
    rows_hot(rows, count);
    rows_warn_late(rows, count);
    rows_warn_refused(rows, count);
    if (busy)
        printf("  warning: other processes used %.0f %% of the processors during these rows\n",
               others * 100 / (elapsed * processors));
}

void
report_rows(const struct bench_workload *workload, unsigned threads,
            const struct driver_result *results, size_t count)
{
    struct record_row *rows[BENCH_CONTENDERS_MAX];
    const struct record_row *own = NULL;

    for (size_t i = 0; i < count; i++) {
        rows[i] = record_result(workload, threads, &results[i]);
        if (strcmp(rows[i]->contender, subject_name(workload)) == 0)
            own = rows[i];
    }
    double scale = record_workload(&record_current, workload->name)->scale;
    for (size_t i = 0; i < count; i++) {
        if (own != NULL && rows[i] != own)
            row_judge(workload, rows[i], own->median);
        row_print(rows[i], scale);
    }
    rows_warn(rows, count);
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
report_end(void)
{
    const struct record *record = &record_current;
    size_t unsteady = 0;

    for (size_t i = 0; i < record->row_count; i++)
        unsteady += record->rows[i]->unsteady;
    printf(
        "\nLatencies are of %s, the clock's own 20 to 50 ns included. Races and retries are per\n"
        "commit that succeeded.\n",
        record->options.rate > 0 ? "every operation, from its intended start"
                                 : "one operation in each batch");
    if (record->partial)
        printf("interrupted: what was measured until then\n");
    if (unsteady != 0)
        printf("warning: %zu of %zu rows have a spread above %.0f %% (!); measure longer, or more "
               "often\n",
               unsteady, record->row_count, RECORD_UNSTEADY * 100);
    printf("%u targets met, %u missed", record->targets_met, record->targets_missed);
    if (record->targets_open != 0)
        printf(", %u WITHOUT A FIGURE", record->targets_open);
    printf("; invariants %s; %.0f s\n", record->faults == 0 ? "hold" : "BROKEN", record->elapsed_s);
}
