/* SPDX-License-Identifier: MIT
 *
 * Tables on standard output, progress on standard error. Figures are medians over the repeats; the
 * spread is the distance of the outermost repeats over the median; "latchkey is" (or another
 * subject) compares medians of the same table.
 */
#include "driver/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOAD_WARNING 0.5 /* load average before the start */

void
report_words(const char *format, ...)
{
    char text[2048];
    size_t column = 0;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t indent = strspn(text, " ") + 2;
    for (const char *at = text; *at != '\0';) {
        size_t space = strspn(at, " "), word = strcspn(at + space, " ");
        if (column > 0 && column + space + word > REPORT_COLUMNS) {
            printf("\n%*s%.*s", (int)indent, "", (int)word, at + space);
            column = indent + word;
        } else {
            printf("%.*s", (int)(space + word), at);
            column += space + word;
        }
        at += space + word;
    }
    printf("\n");
}

struct report_time
report_time(uint64_t ns)
{
    struct report_time time;

    if (ns < 100000000)
        snprintf(time.s, sizeof time.s, "%llu", (unsigned long long)ns);
    else if (ns < 10000000000)
        snprintf(time.s, sizeof time.s, "%.0f ms", (double)ns / 1e6);
    else
        snprintf(time.s, sizeof time.s, "%.0f s", (double)ns / 1e9);
    return time;
}

static unsigned progress_cells, progress_done;
static uint64_t progress_start_ns;

void
report_begin(double planned_s)
{
    const struct record_machine *machine = &record_current.machine;
    const struct record_options *options = &record_current.options;

    report_words("latchkey-bench %s%s%s   %s, %u processors, %s, %s", machine->library,
                 machine->commit[0] != '\0' ? " " : "", machine->commit, machine->processor,
                 machine->processors, machine->kernel, machine->compiler);
    report_words("%llu keys, values of %llu bytes, %u repeat%s of %.3f s after %.3f s of warm-up, "
                 "seed %llu; about %.0f s",
                 (unsigned long long)options->keys, (unsigned long long)options->value_size,
                 options->repeats, options->repeats == 1 ? "" : "s", options->duration_s,
                 options->warmup_s, (unsigned long long)options->seed, planned_s);
    if (options->rate > 0)
        report_words("a fixed rate of %.0f operations per second, of all threads together; "
                     "latencies are from the intended start",
                     options->rate);
    if (bench_options.processor_time)
        report_words("rates are per second of the processor that each thread had: waiting is free");
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

void
report_workload(const struct bench_workload *workload, const struct distribution *distribution)
{
    char text[64], subject[32];

    record_describe(workload, distribution);
    printf("\n");
    report_words("%s: %s%s%s", workload->name, workload->what, distribution != NULL ? ", " : "",
                 distribution != NULL ? distribution_text(distribution, text, sizeof text) : "");
    const char *of = measured_subject(workload);
    snprintf(subject, sizeof subject, "%s is", strlen(of) > 8 ? "subject" : of);
    if (strlen(of) > 8)
        report_words("subject: %s", of);
    printf("threads  %-14s %11s %6s %11s %8s %8s %7s\n", "contender", workload->unit, "spread",
           subject, "p50 ns", "p99 ns", "max us");
}

static void
target_print(const char *kind, const char *target, enum report_outcome outcome)
{
    static const char *const words[] = {"met", "not reached", "no figure"};

    printf("\n         %s %s: %s", kind, target, words[outcome]);
}

static void
target_count(enum report_outcome outcome)
{
    record_current.targets_met += outcome == REPORT_MET;
    record_current.targets_missed += outcome == REPORT_MISSED;
    record_current.targets_open += outcome == REPORT_NO_FIGURE;
}

void
report_target(const char *target, bool known, bool met)
{
    enum report_outcome outcome = !known ? REPORT_NO_FIGURE : met ? REPORT_MET : REPORT_MISSED;

    target_print("target", target, outcome);
    target_count(outcome);
}

/* The row of a contender among these; NULL: it is not there. */
static struct record_row *
row_of(struct record_row *const *rows, size_t count, const char *contender)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i]->contender, contender) == 0)
            return rows[i];
    return NULL;
}

/* What became of a target against a row. The subject's row may be missing: somebody chose others.
 * */
static void
target_judge(const struct bench_target *target, const struct record_row *subject,
             struct record_row *row)
{
    struct record_target *into = &row->targets[row->target_count++];
    double ratio = row->median > 0 ? subject->median / row->median : 0;

    if (target->subject != NULL)
        snprintf(into->text, sizeof into->text, "%.2f x, %s is %.2f x", target->ratio,
                 target->subject, ratio);
    else
        snprintf(into->text, sizeof into->text, "%.2f x", target->ratio);
    into->aim = target->aim;
    into->outcome = ratio <= 0               ? REPORT_NO_FIGURE
                    : ratio >= target->ratio ? REPORT_MET
                                             : REPORT_MISSED;
}

/* Sets the row's ratio, and what became of the targets against it. */
static void
row_judge(const struct bench_workload *workload, struct record_row *row,
          struct record_row *const *rows, size_t count)
{
    const struct record_row *own = row_of(rows, count, measured_subject(workload));

    row->target_count = 0;
    /* At a fixed rate all do what they are told. */
    if (bench_options.rate > 0)
        return;
    if (own != NULL && row != own)
        row->ratio = row->median > 0 ? own->median / row->median : 0;
    for (size_t i = 0; i < BENCH_TARGETS_MAX && row->target_count < RECORD_TARGETS_MAX; i++) {
        const struct bench_target *target = &workload->targets[i];
        if (target->contender == NULL || strcmp(target->contender, row->contender) != 0 ||
            (target->threads != 0 && target->threads != row->threads))
            continue;
        const struct record_row *subject =
            target->subject != NULL ? row_of(rows, count, target->subject) : own;
        if (subject == NULL || subject == row || (subject->median <= 0 && bench_interrupted()))
            continue;
        target_judge(target, subject, row);
    }
}

static void
row_targets(const struct record_row *row)
{
    for (size_t i = 0; i < row->target_count; i++) {
        const struct record_target *target = &row->targets[i];
        target_print(target->aim ? "aim" : "target", target->text, target->outcome);
        if (!target->aim)
            target_count(target->outcome);
    }
}

/* A name that is too long takes some of the room in front of its rate. */
static void
row_figures(const struct record_row *row, double scale)
{
    size_t name = strlen(row->contender);
    int room = name > 14 && name < 20 ? 25 - (int)name : 11;

    printf(" %*.*f", room, row->median / scale < 1e5 ? 3 : 0, row->median / scale);
    if (row->repeats > 1)
        printf(" %4.0f%%%c", row->spread * 100, row->unsteady ? '!' : ' ');
    else
        printf(" %6s", "-");
    if (row->ratio > 0)
        printf(" %9.2f x", row->ratio);
    else
        printf(" %11s", "");
    printf(" %8s %8s %7.0f", report_time(histogram_percentile(&row->latency, 0.5)).s,
           report_time(histogram_percentile(&row->latency, 0.99)).s,
           (double)row->latency.maximum / 1e3);
}

/* Rates of races and retries, for each commit that succeeded; below the row. */
static void
row_transactions(const struct record_row *row)
{
    double commits = row->commits > 0 ? (double)row->commits : 1;

    if (row->races == 0 && row->retries == 0)
        return;
    printf("\n         races %.2f%%", 100.0 * (double)row->races / commits);
    if (row->has_retries)
        printf(", retries %.2f%%", 100.0 * (double)row->retries / commits);
    printf(" of commits");
}

static void
row_print(const struct record_row *row, double scale)
{
    printf("%7u  %-14s", row->threads, row->contender);
    if (row->missing[0] != '\0')
        printf(" %11s  (%s)", "missing", row->missing);
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
        char text[512] = "";
        size_t used = 0;
        for (size_t j = 0; j < row->hot_count && j < HOT_SHOWN && used < sizeof text; j++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s %s %.0f %%",
                                     j > 0 ? "," : "", row->hot[j].key, row->hot[j].least * 100);
        report_words("  hot keys of %s, part of all that raced:%s", row->contender, text);
    }
}

/* Calls that were refused for now and made again cost time that the rate does not explain. */
static void
rows_warn_refused(struct record_row *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct record_figure *refused = record_row_figure_find(rows[i], "busy");
        if (refused != NULL && refused->contention && refused->value > 0)
            report_words("  note: %s refused calls for now (LK_BUSY), which were made again: %.2g "
                         "per operation",
                         rows[i]->contender, refused->value);
    }
}

/* At a fixed rate: who did not keep up. */
static void
rows_warn_late(struct record_row *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i]->late != 0 && rows[i]->repeats != 0)
            report_words(
                "  note: %s did not keep up: %.0f of %.0f operations per second; %llu were "
                "not begun in time",
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
        report_words("  warning: other processes used %.0f %% of the processors during these rows",
                     others * 100 / (elapsed * processors));
}

void
report_rows(const struct bench_workload *workload, unsigned threads,
            const struct driver_result *results, size_t count)
{
    struct record_row *rows[BENCH_CONTENDERS_MAX];

    for (size_t i = 0; i < count; i++)
        rows[i] = record_result(workload, threads, &results[i]);
    double scale = record_workload(&record_current, workload->name)->scale;
    for (size_t i = 0; i < count; i++) {
        row_judge(workload, rows[i], rows, count);
        row_print(rows[i], scale);
    }
    rows_warn(rows, count);
    fflush(stdout);
}

void
report_end(void)
{
    const struct record *record = &record_current;
    size_t unsteady = 0;

    for (size_t i = 0; i < record->row_count; i++)
        unsteady += record->rows[i]->unsteady;
    printf("\n");
    report_words(
        "Latencies are of %s, the clock's own 20 to 50 ns included. Races and retries are per "
        "commit that succeeded.",
        record->options.rate > 0 ? "every operation, from its intended start"
                                 : "one operation in each batch");
    if (record->partial)
        printf("interrupted: what was measured until then\n");
    if (unsteady != 0)
        report_words(
            "warning: %zu of %zu rows have a spread above %.0f %% (!); measure longer, or more "
            "often",
            unsteady, record->row_count, RECORD_UNSTEADY * 100);
    unsigned all = record->targets_met + record->targets_missed + record->targets_open;
    if (all != 0)
        report_words(
            "%u of %u targets met%s; targets are what latchkey aims at on an idle machine, not "
            "tests: they do not change the exit status",
            record->targets_met, all, record->targets_open != 0 ? ", some without a figure" : "");
    printf("invariants %s; %.0f s\n", record->faults == 0 ? "hold" : "BROKEN", record->elapsed_s);
}
