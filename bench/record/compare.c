/* SPDX-License-Identifier: MIT
 *
 * Verdicts, and the table of two records.
 */
#include "record/compare.h"

#include "record/statistics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- verdicts -------------------------------------------------------------------------------- */

static double
row_median(const struct record_row *row, bool of_latency)
{
    double scores[RECORD_REPEATS_MAX];
    size_t count = record_scores(row, of_latency, scores);

    return statistics_median(scores, count);
}

static bool
row_is_sound(const struct record_row *row)
{
    return row != NULL && row->repeats > 0 && row->fault[0] == '\0';
}

/* How the rivals of a row changed meanwhile, which is the machine's doing or theirs: each one's
 * median over what it was. */
struct drift {
    double factors[STATISTICS_MOST];
    size_t count;
    double most; /* the largest change of one of them, as a part */
};

static void
drift_measure(const struct record *now, const struct record *before, const struct record_row *row,
              bool of_latency, struct drift *drift)
{
    memset(drift, 0, sizeof *drift);
    for (size_t i = 0; i < now->row_count && drift->count < STATISTICS_MOST; i++) {
        const struct record_row *rival = now->rows[i];
        if (strcmp(rival->workload, row->workload) != 0 || rival->threads != row->threads ||
            strcmp(rival->distribution, row->distribution) != 0 ||
            record_ours(now, rival->contender))
            continue;
        const struct record_row *older = record_row_find(before, rival->workload, rival->contender,
                                                         rival->threads, rival->distribution);
        if (!row_is_sound(rival) || !row_is_sound(older))
            continue;
        double is = row_median(rival, of_latency), was = row_median(older, of_latency);
        if (!(is > 0) || !(was > 0))
            continue;
        drift->factors[drift->count++] = is / was;
        drift->most = fmax(drift->most, fmax(is / was, was / is) - 1);
    }
}

/* The median spread of latchkey's rows: how much repeats differ in that run. One row's own few
 * repeats may lie close to each other by chance. */
static double
record_unrest(const struct record *record, bool of_latency)
{
    double scores[RECORD_REPEATS_MAX], median = 0;
    double *spreads = calloc(record->row_count + 1, sizeof *spreads);
    size_t count = 0;

    for (size_t i = 0; spreads != NULL && i < record->row_count; i++) {
        const struct record_row *row = record->rows[i];
        size_t repeats = record_scores(row, of_latency, scores);
        if (record_ours(record, row->contender) && row_is_sound(row) && repeats > 1)
            spreads[count++] = statistics_spread(scores, repeats);
    }
    if (count > 0) {
        qsort(spreads, count, sizeof *spreads, statistics_order);
        median = spreads[count / 2];
    }
    free(spreads);
    return median;
}

/* A change has to be larger than the spreads of both runs and what any rival changed by, all of
 * them together; and so has what is left of it when the rivals' change is taken out. */
static enum record_verdict
verdict_of(struct record_comparison *comparison, const double *is, size_t is_count,
           const double *was, size_t was_count, double unrest)
{
    double spreads = statistics_spread(is, is_count) + statistics_spread(was, was_count);
    double against = comparison->against;
    double size = against < 0 ? 1 / (1 + against) - 1 : against;

    spreads = fmax(spreads, unrest);
    comparison->noise += spreads;
    enum statistics_judgement judgement =
        statistics_judge(is, is_count, was, was_count, comparison->noise);
    if (judgement == STATISTICS_TOO_FEW)
        return RECORD_TOO_FEW;
    if (size < STATISTICS_LEVEL) {
        bool same = is_count == was_count && memcmp(is, was, is_count * sizeof *is) == 0;
        return same || spreads < 4 * STATISTICS_LEVEL ? RECORD_NO_CHANGE : RECORD_UNCLEAR;
    }
    if (size <= comparison->noise || (against < 0) != (comparison->difference < 0))
        return RECORD_UNCLEAR;
    return judgement == STATISTICS_MORE   ? RECORD_IMPROVED
           : judgement == STATISTICS_LESS ? RECORD_REGRESSED
                                          : RECORD_UNCLEAR;
}

static void
row_compare(const struct record *now, const struct record *baseline, struct record_row *row,
            const struct record_row *before, bool of_latency, double unrest)
{
    struct record_comparison *comparison = &row->comparison;
    double is[RECORD_REPEATS_MAX], was[RECORD_REPEATS_MAX];
    struct drift drift;

    if (!row_is_sound(row) || !row_is_sound(before))
        return;
    size_t is_count = record_scores(row, of_latency, is);
    size_t was_count = record_scores(before, of_latency, was);
    double is_median = statistics_median(is, is_count);
    double was_median = statistics_median(was, was_count);
    if (!(is_median > 0) || !(was_median > 0))
        return;
    comparison->of_latency = of_latency;
    comparison->median = of_latency ? 1e9 / was_median : was_median;
    comparison->difference = is_median / was_median - 1;
    comparison->verdict = RECORD_RIVAL;
    if (record_ours(now, row->contender)) {
        drift_measure(now, baseline, row, of_latency, &drift);
        comparison->rivals = (unsigned)drift.count;
        comparison->verdict = RECORD_NO_RIVAL;
        if (drift.count == 0)
            return;
        comparison->against =
            is_median / was_median / statistics_median(drift.factors, drift.count) - 1;
        comparison->noise = drift.most;
        comparison->verdict = verdict_of(comparison, is, is_count, was, was_count, unrest);
    }
}

void
compare_records(struct record *now, const struct record *baseline)
{
    bool of_latency = now->options.rate > 0 && baseline->options.rate > 0;
    double unrest = record_unrest(now, of_latency) + record_unrest(baseline, of_latency);

    for (size_t i = 0; i < now->row_count; i++) {
        struct record_row *row = now->rows[i];
        const struct record_row *before = record_row_find(baseline, row->workload, row->contender,
                                                          row->threads, row->distribution);
        memset(&row->comparison, 0, sizeof row->comparison);
        row_compare(now, baseline, row, before, of_latency, unrest);
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
    text_compare("time that rates are of", now->options.time, before->options.time);
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

static const char *const verdict_words[] = {
    [RECORD_NOT_COMPARED] = "",     [RECORD_RIVAL] = "(rival)",
    [RECORD_NO_RIVAL] = "no rival", [RECORD_TOO_FEW] = "too few repeats",
    [RECORD_UNCLEAR] = "unclear",   [RECORD_NO_CHANGE] = "no change",
    [RECORD_IMPROVED] = "improved", [RECORD_REGRESSED] = "REGRESSED"};

static void
row_print(const struct record *now, const struct record_row *row, const struct record_row *above)
{
    const struct record_comparison *comparison = &row->comparison;
    const struct record_workload *workload = record_workload_find(now, row->workload);
    double scale = workload != NULL && !comparison->of_latency ? workload->scale : 1;
    double median = row_median(row, comparison->of_latency);

    if (above == NULL || strcmp(above->workload, row->workload) != 0 ||
        above->threads != row->threads || strcmp(above->distribution, row->distribution) != 0)
        printf("\n%s, %u thread%s%s%s, %s\n", row->workload, row->threads,
               row->threads == 1 ? "" : "s", row->distribution[0] != '\0' ? ", " : "",
               row->distribution,
               comparison->of_latency ? "p99 in ns"
               : workload != NULL     ? workload->unit
                                      : "ops/s");
    printf("  %-15s %11.3f %11.3f %+8.1f%%", row->contender, comparison->median / scale,
           comparison->of_latency && median > 0 ? 1e9 / median : median / scale,
           comparison->difference * 100);
    if (comparison->rivals != 0)
        printf(" %+8.1f%%", comparison->against * 100);
    else
        printf(" %9s", "");
    printf("  %s\n", verdict_words[comparison->verdict]);
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
    const struct record_row *above = NULL;

    printf("\ncompared with %s%s%s\n", baseline->date, baseline->machine.commit[0] ? ", " : "",
           baseline->machine.commit);
    records_warn(now, baseline);
    printf("  %-15s %11s %11s %9s %9s  %s\n", "contender", "was", "is", "better", "to rivals",
           "verdict");
    for (size_t i = 0; i < now->row_count; i++) {
        const struct record_row *row = now->rows[i];
        counts[row->comparison.verdict]++;
        if (row->comparison.verdict == RECORD_NOT_COMPARED)
            continue;
        row_print(now, row, above);
        above = row;
    }
    printf("\nlatchkey's rows: %zu regressed, %zu improved, %zu did not change, %zu unclear\n",
           counts[RECORD_REGRESSED], counts[RECORD_IMPROVED], counts[RECORD_NO_CHANGE],
           counts[RECORD_UNCLEAR]);
    if (counts[RECORD_TOO_FEW] != 0)
        printf("%zu with too few repeats for a verdict (4 on both sides are enough)\n",
               counts[RECORD_TOO_FEW]);
    if (counts[RECORD_NO_RIVAL] != 0)
        printf("%zu without a rival in both runs: nothing says how the machine changed\n",
               counts[RECORD_NO_RIVAL]);
    size_t gone = rows_alone(baseline, now), new = rows_alone(now, baseline);
    if (gone != 0 || new != 0)
        printf("%zu rows are in the older record only, %zu in the newer only\n", gone, new);
}

int
compare_status(const struct record *now, double worse_most)
{
    size_t compared = 0, clear = 0, worse = 0;

    if (worse_most < 0)
        return STATUS_OK;
    for (size_t i = 0; i < now->row_count; i++) {
        const struct record_row *row = now->rows[i];
        compared += row->comparison.verdict >= RECORD_UNCLEAR;
        clear += row->comparison.verdict > RECORD_UNCLEAR;
        if (row->comparison.verdict != RECORD_REGRESSED ||
            -fmax(row->comparison.difference, row->comparison.against) <= worse_most)
            continue;
        printf("WORSE by more than %g %%: %s, %s, %u threads\n", worse_most * 100, row->workload,
               row->contender, row->threads);
        worse++;
    }
    if (compared == 0) {
        fprintf(stderr,
                "latchkey-bench: no row of latchkey could be judged against the baseline\n");
        return STATUS_USAGE;
    }
    if (clear == 0)
        fprintf(stderr, "latchkey-bench: every row is unclear, so nothing is said of a regression; "
                        "measure longer, or on an idle machine\n");
    return worse != 0 ? STATUS_WORSE : STATUS_OK;
}

int
compare_files(const char *old, const char *new, double worse_most)
{
    struct record now, before;
    int status = STATUS_USAGE;

    if (!record_read(&before, old))
        return STATUS_USAGE;
    if (record_read(&now, new)) {
        compare_records(&now, &before);
        compare_print(&now, &before);
        status = compare_status(&now, worse_most);
        record_close(&now);
    }
    record_close(&before);
    return status;
}
