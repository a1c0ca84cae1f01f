/* SPDX-License-Identifier: MIT
 *
 * What the threads of one workload do to each other: the counters of the stores as one small chart
 * each, over one table; the keys that lose races; how many attempts a commit takes.
 */
#include "driver/contention.h"
#include "page/chart.h"
#include "page/parts.h"

#include <math.h>
#include <string.h>

static void
series_name(const struct view *view, size_t contender, struct chart_series *series)
{
    series->name = view->contenders[contender];
    series->style = view->styles[contender];
    series->strong = strcmp(series->name, view->subject) == 0;
}

/* Over the numbers of threads, or as bars where there is one. */
static void
chart_print(struct page *page, const struct view *view, struct chart *chart)
{
    struct text mark;
    unsigned processors = page->record->machine.processors;

    chart->of = view->workload->name;
    if (view->thread_count > 1) {
        axis_threads(&chart->x, view->threads, view->thread_count);
        snprintf(mark.s, sizeof mark.s, "> %u processor%s", processors, plural(processors));
        chart->mark = processors;
        chart->mark_text = mark.s;
        chart_lines(page, chart);
    } else
        chart_bars(page, chart);
    chart_close(chart);
}

/* ---- counters -------------------------------------------------------------------------------- */

static const struct record_figure *
counter_find(const struct record_row *row, const char *name)
{
    const struct record_figure *counter = row != NULL ? record_row_figure_find(row, name) : NULL;

    return counter != NULL && counter->contention ? counter : NULL;
}

/* Whether an earlier row of the view has it. */
static bool
counter_seen(const struct view *view, size_t row, const char *name)
{
    for (size_t i = 0; i < row; i++)
        if (counter_find(view->rows[i], name) != NULL)
            return true;
    return false;
}

/* Whether any row has more of it than nothing. */
static bool
counter_counts(const struct view *view, const char *name)
{
    for (size_t i = 0; i < view->row_count; i++) {
        const struct record_figure *counter = counter_find(view->rows[i], name);
        if (counter != NULL && counter->value > 0)
            return true;
    }
    return false;
}

static bool
contender_counts(const struct view *view, size_t contender, const char *name)
{
    for (size_t i = 0; i < view->thread_count; i++)
        if (counter_find(view_row(view, contender, view->threads[i]), name) != NULL)
            return true;
    return false;
}

/* Without a unit it is per operation, and shown per thousand, which are numbers for people. */
static double
counter_value(const struct record_figure *counter)
{
    return counter->unit[0] == '\0' ? 1000 * counter->value : counter->value;
}

static void
counter_chart(struct page *page, const struct view *view, const struct record_figure *like)
{
    bool bytes = strcmp(like->unit, "bytes") == 0;
    char title[96];
    struct chart chart;
    double most = 0;

    if (!chart_open(&chart, view->contender_count, view->thread_count)) {
        page->complete = false;
        return;
    }
    for (size_t i = 0; i < view->contender_count; i++) {
        struct chart_series *series = &chart.series[i];
        series_name(view, i, series);
        for (size_t j = 0; j < view->thread_count; j++) {
            const struct record_figure *counter =
                counter_find(view_row(view, i, view->threads[j]), like->name);
            if (counter == NULL) {
                series->gap = true;
                continue;
            }
            series_add(series, view->threads[j], fmax(0, counter_value(counter)), 1, 0);
            most = fmax(most, counter_value(counter));
        }
    }
    snprintf(title, sizeof title, "%s%s%s", like->name,
             like->unit[0] == '\0' ? " per 1,000 operations"
             : bytes               ? ""
                                   : ", ",
             bytes ? "" : like->unit);
    chart.title = chart.y.title = title;
    chart.value = bytes ? text_bytes : text_number;
    axis_linear(&chart.y, most, text_short);
    chart_print(page, view, &chart);
}

static void
counter_rows(struct page *page, const struct view *view, const struct record_figure *like)
{
    page_print(page,
               "<tr><th scope=\"rowgroup\" colspan=\"%zu\" class=\"group\">%s%s%s</th></tr>\n",
               view->thread_count + 1, like->name, like->unit[0] != '\0' ? ": the most, in " : "",
               like->unit);
    for (size_t i = 0; i < view->contender_count; i++) {
        if (!contender_counts(view, i, like->name))
            continue;
        page_print(page, "<tr>");
        page_contender(page, view, i);
        for (size_t j = 0; j < view->thread_count; j++) {
            const struct record_figure *counter =
                counter_find(view_row(view, i, view->threads[j]), like->name);
            if (counter != NULL)
                page_print(page, "<td><span class=\"main\">%s</span></td>",
                           strcmp(counter->unit, "bytes") == 0
                               ? text_bytes(counter->value).s
                               : text_number(counter_value(counter)).s);
            else
                page_print(page, "<td>–</td>");
        }
        page_print(page, "</tr>\n");
    }
}

/* Calls for each counter of the view, in the order of the rows. Returns how many there were. */
static size_t
counters_walk(struct page *page, const struct view *view, bool that_count,
              void (*print)(struct page *, const struct view *, const struct record_figure *))
{
    size_t count = 0;

    for (size_t i = 0; i < view->row_count; i++)
        for (size_t j = 0; j < view->rows[i]->figure_count; j++) {
            const struct record_figure *counter = &view->rows[i]->figures[j];
            if (!counter->contention || counter_seen(view, i, counter->name) ||
                counter_counts(view, counter->name) != that_count)
                continue;
            count++;
            if (print != NULL)
                print(page, view, counter);
        }
    return count;
}

static void
counter_name(struct page *page, const struct view *view, const struct record_figure *counter)
{
    (void)view;
    page_print(page, "<li>%s</li>", counter->name);
}

void
part_contention(struct page *page, const struct view *view)
{
    if (!view->has_contention)
        return;
    page_print(page, "<h3>Contention</h3>\n");
    if (counters_walk(page, view, true, NULL) > 0) {
        page_print(page, "<figure class=\"many\">\n<figcaption>Counters of the stores, for "
                         "1,000 operations; of levels the most that was seen.</figcaption>\n<div "
                         "class=\"plot\">\n");
        counters_walk(page, view, true, counter_chart);
        figure_table(page, "Per 1,000 operations; a contender that is not named does not count it");
        threads_head(page, view, 0);
        counters_walk(page, view, true, counter_rows);
        page_print(page, "</tbody>");
        figure_end(page);
    }
    if (counters_walk(page, view, false, NULL) > 0) {
        page_print(page,
                   "<ul class=\"targets\" aria-label=\"Counted, and nothing found\"><li>never, "
                   "in any row:</li>");
        counters_walk(page, view, false, counter_name);
        page_print(page, "</ul>\n");
    }
}

/* ---- hot keys -------------------------------------------------------------------------------- */

static bool
hot_known(const struct record_row *row)
{
    return row != NULL && row->raced_keys > 0;
}

/* What the hottest keys of a row are at least of all that raced. */
static double
hot_share(const struct record_row *row)
{
    double share = 0;

    for (size_t i = 0; i < row->hot_count; i++)
        share += row->hot[i].least;
    return share;
}

static void
hot_chart(struct page *page, const struct view *view)
{
    struct chart chart;

    if (!chart_open(&chart, view->contender_count, view->thread_count)) {
        page->complete = false;
        return;
    }
    for (size_t i = 0; i < view->contender_count; i++) {
        series_name(view, i, &chart.series[i]);
        for (size_t j = 0; j < view->thread_count; j++) {
            const struct record_row *row = view_row(view, i, view->threads[j]);
            if (hot_known(row))
                series_add(&chart.series[i], view->threads[j], hot_share(row), 1, 0);
            else
                chart.series[i].gap = true;
        }
    }
    axis_linear(&chart.y, 1, text_share);
    chart.title = "Hot keys: their part of all that raced";
    chart.y.title = "hot keys of all that raced";
    chart.value = text_share;
    chart_print(page, view, &chart);
}

static void
hot_cell(struct page *page, const struct record_row *row)
{
    if (!hot_known(row)) {
        page_print(page, "<td>–</td>");
        return;
    }
    page_print(page, "<td><span class=\"main\">%s</span>", text_share(hot_share(row)).s);
    if (row->hot_count > 0)
        page_print(page, "<span class=\"sub\">hottest %s</span>", text_share(row->hot[0].least).s);
    page_print(page, "<span class=\"sub\">of %s</span></td>", text_count(row->raced_keys).s);
}

static void
hot_names(struct page *page, const struct view *view, unsigned threads)
{
    char caption[160];

    snprintf(caption, sizeof caption,
             "The keys, with %s: their part of all that raced, at least and at most",
             text_threads(threads).s);
    table_begin(page, caption);
    page_print(page, "<thead><tr><th scope=\"col\">key</th><th scope=\"col\">at least</th><th "
                     "scope=\"col\">at most</th></tr></thead>\n");
    for (size_t i = 0; i < view->contender_count; i++) {
        const struct record_row *row = view_row(view, i, threads);
        if (!hot_known(row) || row->hot_count == 0)
            continue;
        page_print(page,
                   "<tbody><tr><th scope=\"rowgroup\" colspan=\"3\" class=\"group\">%s</th></tr>\n",
                   view->contenders[i]);
        for (size_t j = 0; j < row->hot_count; j++)
            page_print(
                page, "<tr><th scope=\"row\"><code>%s</code></th><td>%s</td><td>%s</td></tr>\n",
                row->hot[j].key, text_share(row->hot[j].least).s, text_share(row->hot[j].most).s);
        page_print(page, "</tbody>\n");
    }
    table_end(page);
}

void
part_hot(struct page *page, const struct view *view)
{
    unsigned most = 0; /* threads of a row with hot keys */
    bool any = false;

    for (size_t i = 0; i < view->row_count; i++) {
        any = any || hot_known(view->rows[i]);
        if (view->rows[i]->hot_count > 0 && view->rows[i]->threads > most)
            most = view->rows[i]->threads;
    }
    if (!any)
        return;
    page_print(page, "<h3>Hot keys</h3>\n");
    figure_begin(page,
                 "Every key of a commit that raced counts, whichever of them it was. Hot are at "
                 "most eight that raced more than once.");
    hot_chart(page, view);
    figure_table(page,
                 "What the hot keys are of all that raced, at least; the hottest one; how many "
                 "raced, each as often as it did");
    threads_head(page, view, 0);
    for (size_t i = 0; i < view->contender_count; i++) {
        page_print(page, "<tr>");
        page_contender(page, view, i);
        for (size_t j = 0; j < view->thread_count; j++)
            hot_cell(page, view_row(view, i, view->threads[j]));
        page_print(page, "</tr>\n");
    }
    page_print(page, "</tbody>");
    figure_end(page);
    if (most > 0)
        hot_names(page, view, most);
}

/* ---- attempts -------------------------------------------------------------------------------- */

static uint64_t
attempts_sum(const struct record_row *row)
{
    uint64_t sum = 0;

    for (size_t i = 0; row != NULL && i < RECORD_ATTEMPTS; i++)
        sum += row->attempts[i];
    return sum;
}

static void
attempts_chart(struct page *page, const struct view *view, unsigned threads)
{
    struct chart chart;
    double least = 1;

    if (!chart_open(&chart, view->contender_count, RECORD_ATTEMPTS)) {
        page->complete = false;
        return;
    }
    for (size_t i = 0; i < view->contender_count; i++) {
        const struct record_row *row = view_row(view, i, threads);
        uint64_t sum = attempts_sum(row);
        series_name(view, i, &chart.series[i]);
        for (size_t j = 0; sum > 0 && j < RECORD_ATTEMPTS; j++) {
            double share = (double)row->attempts[j] / (double)sum;
            if (row->attempts[j] == 0) {
                chart.series[i].gap = true;
                continue;
            }
            series_add(&chart.series[i], (double)j, share, 1, 0);
            least = fmin(least, share);
        }
    }
    axis_decades(&chart.y, least, 1, text_share);
    chart.y.title = "of all commits";
    chart.value = text_share;
    chart.x = (struct chart_axis){.title = "attempts", .high = RECORD_ATTEMPTS - 1};
    for (size_t i = 0; i < RECORD_ATTEMPTS; i++) {
        chart.x.ticks[i].at = (double)i;
        snprintf(chart.x.ticks[i].label.s, sizeof chart.x.ticks[i].label.s, "%s",
                 contention_attempts_text(i));
    }
    chart.x.tick_count = RECORD_ATTEMPTS;
    chart.title = "Attempts per commit";
    chart.of = view->workload->name;
    chart_lines(page, &chart);
    chart_close(&chart);
}

static void
attempts_rows(struct page *page, const struct view *view, unsigned threads)
{
    for (size_t i = 0; i < view->contender_count; i++) {
        const struct record_row *row = view_row(view, i, threads);
        if (attempts_sum(row) == 0)
            continue;
        page_print(page, "<tr>");
        page_contender(page, view, i);
        for (size_t j = 0; j < RECORD_ATTEMPTS; j++)
            page_print(page, "<td>%s</td>", text_count(row->attempts[j]).s);
        page_print(page, "</tr>\n");
    }
}

void
part_attempts(struct page *page, const struct view *view)
{
    char caption[160];
    unsigned most = 0; /* threads */

    for (size_t i = 0; i < view->row_count; i++)
        if (attempts_sum(view->rows[i]) > 0 && view->rows[i]->threads > most)
            most = view->rows[i]->threads;
    if (most == 0)
        return;
    page_print(page, "<h3>Attempts</h3>\n");
    snprintf(caption, sizeof caption,
             "How often a commit was tried until it succeeded, with %s; the scale is logarithmic.",
             text_threads(most).s);
    figure_begin(page, caption);
    attempts_chart(page, view, most);
    figure_table(page, "Commits by the number of their attempts, warm-up included");
    page_print(page, "<thead><tr><th scope=\"col\">contender</th>");
    for (size_t i = 0; i < RECORD_ATTEMPTS; i++)
        page_print(page, "<th scope=\"col\">%s</th>", contention_attempts_text(i));
    page_print(page, "</tr></thead>\n");
    for (size_t i = 0; i < view->thread_count; i++) {
        page_print(page, "<tbody>");
        if (view->thread_count > 1)
            page_print(page,
                       "<tr><th scope=\"rowgroup\" colspan=\"%d\" class=\"group\">%s</th></tr>\n",
                       RECORD_ATTEMPTS + 1, text_threads(view->threads[i]).s);
        attempts_rows(page, view, view->threads[i]);
        page_print(page, "</tbody>\n");
    }
    figure_end(page);
}
