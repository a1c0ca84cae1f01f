/* SPDX-License-Identifier: MIT
 *
 * One workload: its own verdict, the throughput, the commits, and the figures with names of their
 * own. Latencies, fairness and scaling are in part_threads.c.
 */
#include "page/chart.h"
#include "page/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the heading ----------------------------------------------------------------------------- */

/* "ahead of mutex (1.22 x), behind striped (0.79 x with 2 threads)": each rival at its best. */
static void
match_print(struct page *page, const struct view *view)
{
    static const struct {
        enum standing standing;
        const char *word;
    } groups[] = {{STANDING_AHEAD, "ahead of"},
                  {STANDING_LEVEL, "level with"},
                  {STANDING_BEHIND, "behind"},
                  {STANDING_UNCLEAR, "unclear against"}};
    unsigned printed = 0;
    struct duel duel;

    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        unsigned count = 0;
        for (size_t j = 0; j < view->contender_count; j++) {
            if (contender_is_ours(view->contenders[j]) || !duel_worst(page, view, j, &duel) ||
                duel.standing != groups[i].standing)
                continue;
            if (count++ == 0)
                page_print(page, "%s%s ", printed == 0 ? "" : "; ", groups[i].word);
            else
                page_print(page, ", ");
            page_print(page, "%s (%s ×%s%s)", view->contenders[j], text_ratio(duel.ratio).s,
                       view->thread_count > 1 ? " with " : "",
                       view->thread_count > 1 ? text_threads(duel.own->threads).s : "");
        }
        printed += count;
    }
}

static void
heading_print(struct page *page, const struct view *view)
{
    const struct record_workload *workload = view->workload;
    struct match match;

    page_print(page, "<h2>%s</h2>\n<p class=\"what\">%s%s%s.</p>\n", workload->name, workload->what,
               workload->distribution[0] != '\0' ? "; keys: " : "", workload->distribution);
    match_play(page, view, &match);
    if (match.standing == STANDING_NONE)
        return;
    page_print(page, "<p class=\"words\">");
    standing_print(page, match.standing, view->subject);
    page_print(page, "%s: ",
               view->thread_count > 1 ? ", at the number of threads that is worst for it" : "");
    match_print(page, view);
    page_print(page, ".</p>\n");
}

static void
faults_print(struct page *page, const struct view *view)
{
    for (size_t i = 0; i < view->row_count; i++) {
        const struct record_row *row = view->rows[i];
        if (row->fault[0] != '\0')
            page_print(page,
                       "<p class=\"fault\"><b>Wrong</b>: %s%s%s: %s (%s wrong, %s failed).</p>\n",
                       row->contender, row->threads != 0 ? ", " : "", text_threads(row->threads).s,
                       row->fault, text_count(row->wrong).s, text_count(row->failed).s);
        if (row->missing[0] != '\0')
            page_print(page, "<p class=\"fault\"><b>No figure</b>: %s%s%s: %s.</p>\n",
                       row->contender, row->threads != 0 ? ", " : "", text_threads(row->threads).s,
                       row->missing);
    }
}

void
part_workload(struct page *page, const struct view *view, size_t number)
{
    page_print(page, "<section id=\"w%zu\" class=\"workload\">", number);
    heading_print(page, view);
    faults_print(page, view);
    part_throughput(page, view);
    part_commits(page, view);
    part_attempts(page, view);
    part_hot(page, view);
    part_contention(page, view);
    part_latency(page, view);
    part_fairness(page, view);
    part_scaling(page, view);
    part_figures(page, view);
    page_print(page, "</section>\n");
}

/* ---- throughput ------------------------------------------------------------------------------ */

static void
mark_processors(const struct page *page, struct chart *chart, struct text *text)
{
    unsigned processors = page->record->machine.processors;

    snprintf(text->s, sizeof text->s, "> %u processor%s", processors, plural(processors));
    chart->mark = processors;
    chart->mark_text = text->s;
}

static void
throughput_collect(const struct view *view, struct chart *chart)
{
    double most = 0, scale = view->workload->scale;

    for (size_t i = 0; i < view->contender_count; i++) {
        struct chart_series *series = &chart->series[i];
        series->name = view->contenders[i];
        series->style = view->styles[i];
        series->strong = strcmp(series->name, view->subject) == 0;
        for (size_t j = 0; j < view->thread_count; j++) {
            const struct record_row *row = view_row(view, i, view->threads[j]);
            if (!row_measured(row)) {
                series->gap = true;
                continue;
            }
            series_add(series, view->threads[j], row->median / scale, row_least(row) / scale,
                       row_most(row) / scale);
            most = fmax(most, row_most(row) / scale);
        }
    }
    axis_linear(&chart->y, most, text_short);
    chart->y.title = view->workload->unit;
}

static void
throughput_chart(struct page *page, const struct view *view)
{
    struct chart chart;
    struct text mark;

    if (!chart_open(&chart, view->contender_count, view->thread_count)) {
        page->complete = false;
        return;
    }
    throughput_collect(view, &chart);
    chart.title = "Throughput";
    chart.of = view->workload->name;
    if (view->thread_count > 1) {
        axis_threads(&chart.x, view->threads, view->thread_count);
        mark_processors(page, &chart, &mark);
        chart_lines(page, &chart);
    } else
        chart_bars(page, &chart);
    chart_close(&chart);
}

static void
rate_cell(struct page *page, const struct view *view, size_t contender, unsigned threads)
{
    const struct record_row *row = view_row(view, contender, threads);
    struct duel duel;

    if (!row_measured(row)) {
        page_print(page, "<td>%s</td>", row != NULL ? "no figure" : "–");
        return;
    }
    page_print(page, "<td><span class=\"main\">%s</span>",
               text_number(row->median / view->workload->scale).s);
    if (!page->by_rate && duel_fight(page, view, contender, threads, &duel)) {
        char text[64];
        snprintf(text, sizeof text, "%s ×", text_ratio(duel.ratio).s);
        standing_print(page, duel.standing, text);
    }
    page_print(page, "<span class=\"sub%s\">", row->unsteady ? " warn" : "");
    if (row->repeats > 1)
        page_print(page, "± %s", text_share(row->spread).s);
    else
        page_print(page, "1 repeat");
    page_print(page, "</span>");
    if (row->busy || row->partial || row->fault[0] != '\0')
        page_print(page, "<span class=\"sub warn\">%s%s%s</span>", row->busy ? "busy " : "",
                   row->partial ? "partial " : "", row->fault[0] != '\0' ? "wrong" : "");
    page_print(page, "</td>");
}

static void
targets_print(struct page *page, const struct view *view)
{
    static const char *const words[] = {"met", "not reached", "no figure"};
    static const char *const kinds[] = {"ahead", "level", "none"};

    if (!view->has_targets)
        return;
    page_print(page, "<ul class=\"targets\" aria-label=\"Targets\">");
    for (size_t i = 0; i < view->row_count; i++)
        for (size_t j = 0; j < view->rows[i]->target_count; j++) {
            const struct record_row *row = view->rows[i];
            const struct record_target *target = &row->targets[j];
            page_print(page, "<li>%s %s of %s%s%s: <span class=\"stand %s\">%s</span>",
                       target->aim ? "aim" : "target", target->text, row->contender,
                       row->threads != 0 ? " with " : "", text_threads(row->threads).s,
                       kinds[target->outcome], words[target->outcome]);
            if (row->ratio > 0)
                page_print(page, " with %s ×", text_ratio(row->ratio).s);
            page_print(page, "</li>");
        }
    page_print(page, "</ul>\n");
}

void
part_throughput(struct page *page, const struct view *view)
{
    char caption[256];

    if (!view->has_rates)
        return;
    page_print(page, "<h3>Throughput</h3>\n");
    figure_begin(page, view->thread_count > 1
                           ? "Medians against the number of threads; bars reach from the slowest "
                             "to the fastest repeat."
                           : "Medians; whiskers reach from the slowest to the fastest repeat.");
    throughput_chart(page, view);
    snprintf(caption, sizeof caption, "%s, median%s%s%s; spread of the repeats%s",
             view->workload->unit,
             page->by_rate ? " at the fixed rate" : "; how many times as fast ",
             page->by_rate ? "" : view->subject, page->by_rate ? "" : " is",
             view->threads[view->thread_count - 1] > page->record->machine.processors
                 ? " (* more threads than processors)"
                 : "");
    figure_table(page, caption);
    threads_head(page, view, 0);
    for (size_t i = 0; i < view->contender_count; i++) {
        page_print(page, "<tr>");
        page_contender(page, view, i);
        for (size_t j = 0; j < view->thread_count; j++)
            rate_cell(page, view, i, view->threads[j]);
        page_print(page, "</tr>\n");
    }
    page_print(page, "</tbody>");
    figure_end(page);
    targets_print(page, view);
}

/* ---- commits --------------------------------------------------------------------------------- */

static double
per_commit(const struct record_row *row, uint64_t count)
{
    return row->commits > 0 ? (double)count / (double)row->commits : 0;
}

static void
commits_collect(const struct view *view, struct chart *chart)
{
    double most = 0;

    for (size_t i = 0; i < view->contender_count; i++) {
        struct chart_series *series = &chart->series[i];
        series->name = view->contenders[i];
        series->style = view->styles[i];
        series->strong = strcmp(series->name, view->subject) == 0;
        for (size_t j = 0; j < view->thread_count; j++) {
            const struct record_row *row = view_row(view, i, view->threads[j]);
            if (!row_measured(row) || !row->transacts) {
                series->gap = true;
                continue;
            }
            double share = per_commit(row, row->races);
            series_add(series, view->threads[j], share, 1, 0);
            most = fmax(most, share);
        }
    }
    axis_linear(&chart->y, most, text_share);
    chart->y.title = "races per commit";
    chart->value = text_share;
}

static void
commits_chart(struct page *page, const struct view *view)
{
    struct chart chart;
    struct text mark;

    if (!chart_open(&chart, view->contender_count, view->thread_count)) {
        page->complete = false;
        return;
    }
    commits_collect(view, &chart);
    chart.title = "Races per commit";
    chart.of = view->workload->name;
    if (view->thread_count > 1) {
        axis_threads(&chart.x, view->threads, view->thread_count);
        mark_processors(page, &chart, &mark);
        chart_lines(page, &chart);
    } else
        chart_bars(page, &chart);
    chart_close(&chart);
}

static void
commits_cell(struct page *page, const struct record_row *row)
{
    if (!row_measured(row) || !row->transacts) {
        page_print(page, "<td>–</td>");
        return;
    }
    page_print(page, "<td><span class=\"main\">%s</span>",
               text_share(per_commit(row, row->races)).s);
    if (row->has_retries)
        page_print(page, "<span class=\"sub\">retries %s</span>",
                   text_share(per_commit(row, row->retries)).s);
    page_print(page, "<span class=\"sub\">of %s</span></td>", text_count(row->commits).s);
}

void
part_commits(struct page *page, const struct view *view)
{
    if (!view->transacts || !view->has_rates)
        return;
    page_print(page, "<h3>Aborts and retries</h3>\n");
    figure_begin(page, "Races per commit that succeeded: the caller sees a race, backs off and "
                       "tries again.");
    commits_chart(page, view);
    figure_table(page, "Races per commit; retries inside the store, unseen by the caller; commits, "
                       "warm-up included");
    threads_head(page, view, 0);
    for (size_t i = 0; i < view->contender_count; i++) {
        page_print(page, "<tr>");
        page_contender(page, view, i);
        for (size_t j = 0; j < view->thread_count; j++)
            commits_cell(page, view_row(view, i, view->threads[j]));
        page_print(page, "</tr>\n");
    }
    page_print(page, "</tbody>");
    figure_end(page);
}
