/* SPDX-License-Identifier: MIT
 *
 * Latencies, fairness between threads, and the scaling fit of one workload.
 */
#include "page/chart.h"
#include "page/fit.h"
#include "page/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- latencies ------------------------------------------------------------------------------- */

#define LATENCIES 5

static const struct {
    const char *name;
    double fraction; /* 1: the maximum, which is exact */
    uint64_t least;  /* samples for it to mean something */
} latency_points[LATENCIES] = {
    {"p50", 0.5, 1}, {"p90", 0.9, 10}, {"p99", 0.99, 100}, {"p99.9", 0.999, 1000}, {"max", 1, 1}};

static double
latency_at(const struct record_row *row, size_t point)
{
    double fraction = latency_points[point].fraction;

    return fraction < 1 ? (double)histogram_percentile(&row->latency, fraction)
                        : (double)row->latency.maximum;
}

static bool
latency_known(const struct record_row *row)
{
    return row != NULL && row->latency.total > 0;
}

static void
latency_collect(const struct view *view, struct chart *chart)
{
    double least = HUGE_VAL, most = 1;

    for (size_t i = 0; i < view->contender_count; i++) {
        const struct record_row *row = view_row(view, i, view->main_threads);
        struct chart_series *series = &chart->series[i];
        series->name = view->contenders[i];
        series->style = view->styles[i];
        series->strong = strcmp(series->name, view->subject) == 0;
        for (size_t j = 0; latency_known(row) && j < LATENCIES; j++) {
            double ns = fmax(1, latency_at(row, j));
            series_add(series, (double)j, ns, 1, 0);
            least = fmin(least, ns);
            most = fmax(most, ns);
        }
    }
    axis_decades(&chart->y, least < most ? least : 1, most, text_duration);
    chart->y.title = "latency";
    chart->value = text_duration;
    chart->x.title = "percentile";
    chart->x.low = 0;
    chart->x.high = LATENCIES - 1;
    for (size_t i = 0; i < LATENCIES; i++) {
        chart->x.ticks[i].at = (double)i;
        snprintf(chart->x.ticks[i].label.s, sizeof chart->x.ticks[i].label.s, "%s",
                 latency_points[i].name);
    }
    chart->x.tick_count = LATENCIES;
}

static void
latency_chart(struct page *page, const struct view *view)
{
    struct chart chart;

    if (!chart_open(&chart, view->contender_count, LATENCIES)) {
        page->complete = false;
        return;
    }
    latency_collect(view, &chart);
    chart.title = "Latency by percentile";
    chart.of = view->workload->name;
    chart_lines(page, &chart);
    chart_close(&chart);
}

static void
latency_rows(struct page *page, const struct view *view, unsigned threads)
{
    for (size_t i = 0; i < view->contender_count; i++) {
        const struct record_row *row = view_row(view, i, threads);
        if (!latency_known(row))
            continue;
        page_print(page, "<tr>");
        page_contender(page, view, i);
        for (size_t j = 0; j < LATENCIES; j++) {
            bool few = row->latency.total < latency_points[j].least;
            page_print(page, "<td class=\"%s\">%s%s</td>", few ? "few" : "enough",
                       text_duration(latency_at(row, j)).s, few ? "†" : "");
        }
        page_print(page, "<td>%s</td></tr>\n", text_count(row->latency.total).s);
    }
}

void
part_latency(struct page *page, const struct view *view)
{
    char caption[256];

    if (!view->has_latencies)
        return;
    page_print(page, "<h3>Latency</h3>\n");
    snprintf(caption, sizeof caption, "Of %s%s%s; the scale is logarithmic.",
             page->by_rate ? "every operation, from its intended start on"
                           : "one operation in each batch",
             view->main_threads != 0 ? ", with " : "", text_threads(view->main_threads).s);
    figure_begin(page, caption);
    latency_chart(page, view);
    figure_table(page, "Latencies, all repeats together; † too few samples for this percentile");
    page_print(page, "<thead><tr><th scope=\"col\">contender</th>");
    for (size_t i = 0; i < LATENCIES; i++)
        page_print(page, "<th scope=\"col\">%s</th>", latency_points[i].name);
    page_print(page, "<th scope=\"col\">samples</th></tr></thead>\n");
    for (size_t i = 0; i < view->thread_count; i++) {
        page_print(page, "<tbody>");
        if (view->thread_count > 1)
            page_print(page,
                       "<tr><th scope=\"rowgroup\" colspan=\"%d\" class=\"group\">%s</th></tr>\n",
                       LATENCIES + 2, text_threads(view->threads[i]).s);
        latency_rows(page, view, view->threads[i]);
        page_print(page, "</tbody>\n");
    }
    figure_end(page);
}

/* ---- fairness -------------------------------------------------------------------------------- */

/* How many numbers of threads are more than one. */
static size_t
fairness_counts(const struct view *view)
{
    size_t count = 0;

    for (size_t i = 0; i < view->thread_count; i++)
        count += view->threads[i] > 1;
    return count;
}

static bool
fairness_known(const struct record_row *row)
{
    return row_measured(row) && row->threads > 1 && row->jain > 0;
}

static void
fairness_chart(struct page *page, const struct view *view)
{
    struct chart chart;
    struct text mark;
    size_t counts = fairness_counts(view);

    if (!chart_open(&chart, view->contender_count, counts)) {
        page->complete = false;
        return;
    }
    for (size_t i = 0; i < view->contender_count; i++) {
        struct chart_series *series = &chart.series[i];
        series->name = view->contenders[i];
        series->style = view->styles[i];
        series->strong = strcmp(series->name, view->subject) == 0;
        for (size_t j = 0; j < view->thread_count; j++) {
            const struct record_row *row = view_row(view, i, view->threads[j]);
            if (fairness_known(row))
                series_add(series, view->threads[j], row->slowest, 1, 0);
            else
                series->gap = true;
        }
    }
    axis_linear(&chart.y, 1, text_share);
    chart.title = "Fairness: the slowest thread's part of the fastest's";
    chart.of = view->workload->name;
    chart.y.title = "slowest / fastest thread";
    chart.value = text_share;
    if (counts > 1) {
        axis_threads(&chart.x, &view->threads[view->thread_count - counts], counts);
        snprintf(mark.s, sizeof mark.s, "> %u processors", page->record->machine.processors);
        chart.mark = page->record->machine.processors;
        chart.mark_text = mark.s;
        if (chart.mark < chart.x.low)
            chart.mark = 0;
        chart_lines(page, &chart);
    } else
        chart_bars(page, &chart);
    chart_close(&chart);
}

void
part_fairness(struct page *page, const struct view *view)
{
    if (!view->shared)
        return;
    page_print(page, "<h3>Fairness</h3>\n");
    figure_begin(page, "What the slowest thread did, of what the fastest one did: at 100 % all "
                       "threads did alike.");
    fairness_chart(page, view);
    figure_table(page,
                 "Slowest over fastest thread; Jain's index (1: all alike, 1/n: one thread of "
                 "n did everything)");
    threads_head(page, view, 2);
    for (size_t i = 0; i < view->contender_count; i++) {
        page_print(page, "<tr>");
        page_contender(page, view, i);
        for (size_t j = 0; j < view->thread_count; j++) {
            const struct record_row *row = view_row(view, i, view->threads[j]);
            if (view->threads[j] <= 1)
                continue;
            if (fairness_known(row))
                page_print(page,
                           "<td><span class=\"main\">%s</span><span class=\"sub\">Jain "
                           "%.3f</span></td>",
                           text_share(row->slowest).s, row->jain);
            else
                page_print(page, "<td>–</td>");
        }
        page_print(page, "</tr>\n");
    }
    page_print(page, "</tbody>");
    figure_end(page);
}

/* ---- scaling --------------------------------------------------------------------------------- */

#define CURVE_POINTS 40
#define FIT_POOR 0.5 /* an R2 below it: the law does not describe the figures */

static bool
contender_fit(const struct view *view, size_t contender, struct fit *fit)
{
    double threads[RECORD_THREADS_MAX + 1], rates[RECORD_THREADS_MAX + 1];
    size_t count = 0;

    for (size_t i = 0; i < view->thread_count; i++) {
        const struct record_row *row = view_row(view, contender, view->threads[i]);
        if (!row_measured(row) || view->threads[i] == 0)
            continue;
        threads[count] = view->threads[i];
        rates[count++] = row->median;
    }
    return fit_rates(threads, rates, count, fit);
}

/* Two series for each contender: what was measured, as marks, and the law, as a line. */
static double
scaling_collect(const struct view *view, struct chart *chart)
{
    double most = 1, last = view->threads[view->thread_count - 1];
    double first = view->threads[0];
    struct fit fit;

    for (size_t i = 0; i < view->contender_count; i++) {
        struct chart_series *marks = &chart->series[2 * i], *line = &chart->series[2 * i + 1];
        marks->name = line->name = view->contenders[i];
        marks->style = line->style = view->styles[i];
        marks->strong = line->strong = strcmp(marks->name, view->subject) == 0;
        marks->dots = line->bare = true;
        if (!contender_fit(view, i, &fit))
            continue;
        for (size_t j = 0; j < view->thread_count; j++) {
            const struct record_row *row = view_row(view, i, view->threads[j]);
            if (!row_measured(row))
                continue;
            double speedup = row->median / fit.lambda;
            series_add(marks, view->threads[j], speedup, 1, 0);
            most = fmax(most, speedup);
        }
        for (int j = 0; j <= CURVE_POINTS; j++) {
            double at = first * pow(last / first, (double)j / CURVE_POINTS);
            double speedup = fit_rate(&fit, at) / fit.lambda;
            series_add(line, at, speedup, 1, 0);
            most = fmax(most, speedup);
        }
    }
    return most;
}

static void
scaling_chart(struct page *page, const struct view *view)
{
    struct chart chart;
    struct text mark;
    size_t points = view->thread_count > CURVE_POINTS ? view->thread_count : CURVE_POINTS + 1;

    if (!chart_open(&chart, 2 * view->contender_count, points)) {
        page->complete = false;
        return;
    }
    axis_linear(&chart.y, scaling_collect(view, &chart), text_short);
    axis_threads(&chart.x, view->threads, view->thread_count);
    chart.title = "Scaling: rate over the fitted rate of one thread";
    chart.of = view->workload->name;
    chart.y.title = "times one thread";
    chart.mark = page->record->machine.processors;
    snprintf(mark.s, sizeof mark.s, "> %u processors", page->record->machine.processors);
    chart.mark_text = mark.s;
    chart_lines(page, &chart);
    chart_close(&chart);
}

static void
fit_words(struct page *page, const struct fit *fit, double last)
{
    double peak = fit_peak(fit);

    page_print(page, "%s: ", fit->kappa > 0 ? "USL" : fit->sigma > 0 ? "Amdahl" : "linear");
    if (fit->r2 < FIT_POOR && (fit->sigma > 0 || fit->kappa > 0))
        page_print(page, "fits badly; ");
    if (!(fit->sigma > 0) && !(fit->kappa > 0))
        page_print(page, "grows in step with the threads");
    else if (peak > 0 && peak < 1.5)
        page_print(page, "falls from one thread on");
    else if (peak > 0 && peak <= 4 * last)
        page_print(page, "peaks near %s threads, at %s × one thread", text_short(round(peak)).s,
                   text_ratio(fit_rate(fit, peak) / fit->lambda).s);
    else if (fit->sigma > 0.995)
        page_print(page, "all threads together are as fast as one");
    else if (fit->sigma > 0)
        page_print(page, "levels off towards %s × one thread", text_ratio(1 / fit->sigma).s);
    else
        page_print(page, "no peak in sight");
}

static void
fit_row(struct page *page, const struct view *view, size_t contender)
{
    struct fit fit;
    bool fits = contender_fit(view, contender, &fit);

    page_print(page, "<tr class=\"upper\">");
    page_contender(page, view, contender);
    if (!fits) {
        page_print(page, "<td colspan=\"4\">too few numbers of threads</td></tr>\n");
        return;
    }
    page_print(page,
               "<td>%s</td><td>%s</td><td>%s</td><td>%.2f</td></tr>\n<tr><td colspan=\"5\" "
               "class=\"words lower\">",
               text_number(fit.lambda / view->workload->scale).s, text_share(fit.sigma).s,
               text_share(fit.kappa).s, fit.r2);
    fit_words(page, &fit, view->threads[view->thread_count - 1]);
    page_print(page, "</td></tr>\n");
}

void
part_scaling(struct page *page, const struct view *view)
{
    char caption[256];

    if (!view->has_rates || view->thread_count < FIT_LEAST || view->threads[0] == 0 ||
        page->by_rate)
        return;
    page_print(page, "<h3>Scaling</h3>\n");
    figure_begin(page, "Marks: measured medians. Lines: the Universal Scalability Law, fitted by "
                       "least squares of relative errors.");
    scaling_chart(page, view);
    snprintf(caption, sizeof caption,
             "The law's terms: one thread's rate (%s); contention, the part that waits for others; "
             "coherence, the cost of each pair; how well it fits (R²); below, the law in words%s",
             view->workload->unit,
             view->threads[view->thread_count - 1] > page->record->machine.processors
                 ? ". Beyond the processors the scheduler is fitted as well"
                 : "");
    figure_table(page, caption);
    page_print(page, "<thead><tr><th scope=\"col\">contender</th><th scope=\"col\">one "
                     "thread</th><th scope=\"col\">contention</th><th scope=\"col\">coherence</th>"
                     "<th scope=\"col\">R²</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < view->contender_count; i++)
        fit_row(page, view, i);
    page_print(page, "</tbody>");
    figure_end(page);
}
