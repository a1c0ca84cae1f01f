/* SPDX-License-Identifier: MIT
 *
 * Verdicts, and the table of two records.
 */
#include "compare.h"

#include "bench.h"
#include "options.h"
#include "statistics.h"

#include <stdio.h>
#include <string.h>

static void
row_p99(const struct record_row *row, double *numbers)
{
    for (unsigned i = 0; i < row->repeats; i++)
        numbers[i] = (double)row->latencies[i].p99;
}

static enum record_verdict
verdict_of(const struct record_comparison *comparison, unsigned now, unsigned before)
{
    if (statistics_u_test_least(now, before) >= STATISTICS_SIGNIFICANT)
        return RECORD_TOO_FEW;
    if (comparison->p >= STATISTICS_SIGNIFICANT || comparison->difference == 0)
        return RECORD_NO_CHANGE;
    return comparison->difference > 0 ? RECORD_IMPROVED : RECORD_REGRESSED;
}

static void
row_compare(struct record_row *now, const struct record_row *before, bool of_latency)
{
    struct record_comparison *comparison = &now->comparison;
    double left[RECORD_REPEATS_MAX], right[RECORD_REPEATS_MAX];

    memset(comparison, 0, sizeof *comparison);
    if (now->repeats == 0 || before->repeats == 0 || now->fault[0] != '\0' ||
        before->fault[0] != '\0')
        return;
    memcpy(left, now->rates, sizeof left);
    memcpy(right, before->rates, sizeof right);
    if (of_latency) {
        row_p99(now, left);
        row_p99(before, right);
    }
    double median = statistics_median(left, now->repeats);
    comparison->of_latency = of_latency;
    comparison->median = statistics_median(right, before->repeats);
    if (!(comparison->median > 0))
        return;
    double gain = of_latency ? comparison->median - median : median - comparison->median;
    comparison->difference = gain / comparison->median;
    comparison->p = statistics_u_test(left, now->repeats, right, before->repeats);
    comparison->verdict = verdict_of(comparison, now->repeats, before->repeats);
}

void
compare_records(struct record *now, const struct record *baseline)
{
    bool of_latency = now->options.rate > 0 && baseline->options.rate > 0;

    for (size_t i = 0; i < now->row_count; i++) {
        struct record_row *row = now->rows[i];
        const struct record_row *before = record_row_find(baseline, row->workload, row->contender,
                                                          row->threads, row->distribution);
        if (before != NULL)
            row_compare(row, before, of_latency);
    }
}

/* ---- the table ------------------------------------------------------------------------------- */

static void
text_compare(const char *what, const char *now, const char *before)
{
    if (strcmp(now, before) != 0)
        printf("warning: another %s: %s, was %s\n", what, now, before);
}

static void
number_compare(const char *what, double now, double before)
{
    if (now < before || now > before)
        printf("warning: another %s: %g, was %g\n", what, now, before);
}

/* What makes two records hard to compare. */
static void
records_warn(const struct record *now, const struct record *before)
{
    text_compare("processor", now->machine.processor, before->machine.processor);
    text_compare("compiler", now->machine.compiler, before->machine.compiler);
    text_compare("set of flags", now->machine.flags, before->machine.flags);
    text_compare("allocator", now->machine.allocator, before->machine.allocator);
    text_compare("way to pin threads", now->options.pin, before->options.pin);
    number_compare("number of processors", now->machine.processors, before->machine.processors);
    number_compare("number of keys", (double)now->options.keys, (double)before->options.keys);
    number_compare("size of values", (double)now->options.value_size,
                   (double)before->options.value_size);
    number_compare("duration", now->options.duration_s, before->options.duration_s);
    number_compare("rate", now->options.rate, before->options.rate);
    number_compare("number of locks per commit", now->options.locks_per_commit,
                   before->options.locks_per_commit);
    if (now->partial || before->partial)
        printf("warning: %s was interrupted, rows may be missing\n",
               now->partial ? "the newer run" : "the older run");
}

static void
row_print(const struct record *now, const struct record_row *row)
{
    static const char *const words[] = {[RECORD_NOT_COMPARED] = "",
                                        [RECORD_TOO_FEW] = "too few repeats",
                                        [RECORD_NO_CHANGE] = "no change",
                                        [RECORD_IMPROVED] = "improved",
                                        [RECORD_REGRESSED] = "REGRESSED"};
    const struct record_comparison *comparison = &row->comparison;
    const struct record_workload *workload = record_workload_find(now, row->workload);
    double scale = workload != NULL && !comparison->of_latency ? workload->scale : 1;
    double p99[RECORD_REPEATS_MAX], median = row->median;

    if (comparison->of_latency) {
        row_p99(row, p99);
        median = statistics_median(p99, row->repeats);
    }
    printf("  %-18s %7u  %-14s %12.3f %12.3f %+8.1f%% %8.4f  %s\n", row->workload, row->threads,
           row->contender, comparison->median / scale, median / scale, comparison->difference * 100,
           comparison->p, words[comparison->verdict]);
}

static size_t
rows_alone(const struct record *left, const struct record *right)
{
    size_t alone = 0;

    for (size_t i = 0; i < left->row_count; i++) {
        const struct record_row *row = left->rows[i];
        alone += row->repeats != 0 && record_row_find(right, row->workload, row->contender,
                                                      row->threads, row->distribution) == NULL;
    }
    return alone;
}

void
compare_print(const struct record *now, const struct record *baseline)
{
    size_t counts[RECORD_REGRESSED + 1] = {0};
    bool of_latency = now->options.rate > 0 && baseline->options.rate > 0;

    printf("\ncompared with %s%s%s\n", baseline->date, baseline->machine.commit[0] ? ", " : "",
           baseline->machine.commit);
    records_warn(now, baseline);
    printf("  %-18s %7s  %-14s %12s %12s %9s %8s  %s\n", "workload", "threads", "contender",
           of_latency ? "p99 was" : "was", of_latency ? "p99 is, ns" : "is", "better", "p",
           "verdict");
    for (size_t i = 0; i < now->row_count; i++) {
        counts[now->rows[i]->comparison.verdict]++;
        if (now->rows[i]->comparison.verdict != RECORD_NOT_COMPARED)
            row_print(now, now->rows[i]);
    }
    printf("%zu regressed, %zu improved, %zu did not change", counts[RECORD_REGRESSED],
           counts[RECORD_IMPROVED], counts[RECORD_NO_CHANGE]);
    if (counts[RECORD_TOO_FEW] != 0)
        printf(", %zu with too few repeats for a verdict (4 on both sides are enough)",
               counts[RECORD_TOO_FEW]);
    printf("\n");
    size_t gone = rows_alone(baseline, now), new = rows_alone(now, baseline);
    if (gone != 0 || new != 0)
        printf("%zu rows are in the older record only, %zu in the newer only\n", gone, new);
}

int
compare_status(const struct record *now, double worse_most)
{
    size_t judged = 0, worse = 0;

    if (worse_most < 0)
        return STATUS_OK;
    for (size_t i = 0; i < now->row_count; i++) {
        const struct record_row *row = now->rows[i];
        judged += row->comparison.verdict > RECORD_TOO_FEW;
        if (row->comparison.verdict != RECORD_REGRESSED ||
            -row->comparison.difference <= worse_most)
            continue;
        printf("WORSE by more than %g %%: %s, %s, %u threads\n", worse_most * 100, row->workload,
               row->contender, row->threads);
        worse++;
    }
    if (judged == 0) {
        fprintf(stderr, "latchkey-bench: no row could be judged against the baseline\n");
        return STATUS_USAGE;
    }
    return worse != 0 ? STATUS_WORSE : STATUS_OK;
}

int
compare_files(const char *old, const char *new)
{
    struct record now, before;
    int status = STATUS_USAGE;

    if (!record_read(&before, old))
        return STATUS_USAGE;
    if (record_read(&now, new)) {
        compare_records(&now, &before);
        compare_print(&now, &before);
        status = compare_status(&now, bench_options.worse_most);
        record_close(&now);
    }
    record_close(&before);
    return status;
}
