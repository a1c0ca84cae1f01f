/* SPDX-License-Identifier: MIT
 *
 * The figures of a workload that have names of their own: bytes per item, hit rates, costs in ns. The
 * counters of contention are in part_contention.c. One chart and table for each name.
 */
#include "page/chart.h"
#include "page/parts.h"

#include <math.h>
#include <string.h>

static struct text
value_text(const struct record_figure *figure)
{
    struct text text;

    if (strcmp(figure->unit, "ns") == 0)
        return text_duration(figure->value);
    snprintf(text.s, sizeof text.s, "%.20s %.24s", text_number(figure->value).s, figure->unit);
    return text;
}

static const struct record_figure *
figure_find(const struct record_row *row, const struct record_figure *like)
{
    for (size_t i = 0; row != NULL && i < row->figure_count; i++)
        if (strcmp(row->figures[i].name, like->name) == 0 &&
            strcmp(row->figures[i].unit, like->unit) == 0)
            return &row->figures[i];
    return NULL;
}

/* Whether an earlier row or figure of the view has the name and unit. */
static bool
figure_seen(const struct view *view, size_t row, size_t at)
{
    const struct record_figure *figure = &view->rows[row]->figures[at];

    for (size_t i = 0; i < row; i++)
        if (figure_find(view->rows[i], figure) != NULL)
            return true;
    return figure_find(view->rows[row], figure) != figure;
}

/* The view without the numbers of threads that lack the figure. */
static void
view_narrow(const struct view *view, const struct record_figure *like, struct view *narrow)
{
    *narrow = *view;
    narrow->thread_count = 0;
    for (size_t i = 0; i < view->thread_count; i++) {
        bool any = false;
        for (size_t j = 0; j < view->row_count; j++)
            any = any || (view->rows[j]->threads == view->threads[i] &&
                          figure_find(view->rows[j], like) != NULL);
        if (any)
            narrow->threads[narrow->thread_count++] = view->threads[i];
    }
}

static bool
contender_has(const struct view *view, size_t contender, const struct record_figure *like)
{
    for (size_t i = 0; i < view->thread_count; i++)
        if (figure_find(view_row(view, contender, view->threads[i]), like) != NULL)
            return true;
    return false;
}

static void
figure_chart(struct page *page, const struct view *view, const struct record_figure *like)
{
    struct chart chart;
    double most = 0;

    if (!chart_open(&chart, view->contender_count, view->thread_count)) {
        page->complete = false;
        return;
    }
    for (size_t i = 0; i < view->contender_count; i++) {
        struct chart_series *series = &chart.series[i];
        series->name = view->contenders[i];
        series->style = view->styles[i];
        series->strong = strcmp(series->name, view->subject) == 0;
        for (size_t j = 0; j < view->thread_count; j++) {
            const struct record_figure *figure =
                figure_find(view_row(view, i, view->threads[j]), like);
            if (figure == NULL) {
                series->gap = true;
                continue;
            }
            series_add(series, view->threads[j], fmax(0, figure->value), 1, 0);
            most = fmax(most, figure->value);
        }
    }
    chart.title = like->name;
    chart.of = view->workload->name;
    chart.y.title = like->unit;
    axis_linear(&chart.y, most, text_short);
    if (view->thread_count > 1) {
        axis_threads(&chart.x, view->threads, view->thread_count);
        chart_lines(page, &chart);
    } else
        chart_bars(page, &chart);
    chart_close(&chart);
}

static void
figure_table_print(struct page *page, const struct view *view, const struct record_figure *like)
{
    if (view->thread_count > 1)
        threads_head(page, view, 0);
    else
        page_print(page,
                   "<thead><tr><th scope=\"col\">contender</th><th scope=\"col\">%s</th></tr>"
                   "</thead>\n<tbody>\n",
                   like->name);
    for (size_t i = 0; i < view->contender_count; i++) {
        if (!contender_has(view, i, like))
            continue;
        page_print(page, "<tr>");
        page_contender(page, view, i);
        for (size_t j = 0; j < view->thread_count; j++) {
            const struct record_figure *figure =
                figure_find(view_row(view, i, view->threads[j]), like);
            if (figure != NULL)
                page_print(page, "<td><span class=\"main\">%s</span></td>",
                           view->thread_count > 1 ? text_number(figure->value).s
                                                  : value_text(figure).s);
            else
                page_print(page, "<td>–</td>");
        }
        page_print(page, "</tr>\n");
    }
}

static void
figure_print(struct page *page, const struct view *view, const struct record_figure *like)
{
    struct view narrow;
    char caption[160];

    view_narrow(view, like, &narrow);
    snprintf(caption, sizeof caption, "%s%s%s%s%s", like->name,
             like->unit[0] != '\0' ? ", in " : "", like->unit,
             narrow.thread_count == 1 && narrow.threads[0] > 0 ? ", with " : "",
             narrow.thread_count == 1 ? text_threads(narrow.threads[0]).s : "");
    figure_begin(page, caption);
    figure_chart(page, &narrow, like);
    figure_table(page, caption);
    figure_table_print(page, &narrow, like);
    page_print(page, "</tbody>");
    figure_end(page);
}

void
part_figures(struct page *page, const struct view *view)
{
    if (!view->has_figures)
        return;
    page_print(page, "<h3>%s</h3>\n", view->has_rates ? "Further figures" : "Figures");
    for (size_t i = 0; i < view->row_count; i++)
        for (size_t j = 0; j < view->rows[i]->figure_count; j++)
            if (!view->rows[i]->figures[j].contention && !figure_seen(view, i, j))
                figure_print(page, view, &view->rows[i]->figures[j]);
}
