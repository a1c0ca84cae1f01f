/* SPDX-License-Identifier: MIT
 *
 * Charts of bars, one for each contender, and of dots around 1, one row for each workload. See
 * chart.h.
 */
#include "page/chart_inside.h"

#include <math.h>

#define WIDTH 480.0
#define LEFT 118.0
#define RIGHT 74.0
#define TOP 24.0
#define ROW 30.0
#define THICK 14.0

#define DOTS_WIDTH 720.0
#define DOTS_RIGHT 20.0
#define DOTS_TOP 46.0
#define DOTS_ROW 27.0

/* ---- bars ------------------------------------------------------------------------------------ */

static void
bar_print(struct page *page, const struct chart *chart, const struct chart_series *series,
          double top)
{
    const struct chart_point *point = &series->points[0];
    double end = axis_place(&chart->y, point->y, LEFT, WIDTH - RIGHT);
    double middle = top + THICK / 2, tail = end;

    page_print(page,
               "<g class=\"series s%u%s\" data-series=\"%s\"><text class=\"end\" x=\"%.0f\" "
               "y=\"%.1f\">%s</text><path class=\"bar\" d=\"M%.0f %.1fH%.1fv%.0fH%.0fZ\"/>",
               series->style, series->strong ? " strong" : "", series->name, LEFT - 22, middle + 4,
               series->name, LEFT, top, end, THICK, LEFT);
    marker_print(page, series->style, LEFT - 11, middle, 4.5);
    if (point->high > point->low) {
        double low = axis_place(&chart->y, point->low, LEFT, WIDTH - RIGHT);
        tail = axis_place(&chart->y, point->high, LEFT, WIDTH - RIGHT);
        page_print(page, "<path class=\"whisker\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8\"/>",
                   low, middle, tail, low, middle - 4, tail, middle - 4);
    }
    page_print(page, "<text class=\"figure\" x=\"%.1f\" y=\"%.1f\">%s</text></g>\n", tail + 6,
               middle + 4, chart->value(point->y).s);
}

void
chart_bars(struct page *page, const struct chart *chart)
{
    size_t bars = 0, at = 0;

    for (size_t i = 0; i < chart->count; i++)
        bars += chart->series[i].count > 0;
    double bottom = TOP + ROW * (double)bars + 4;
    chart_begin(page, chart, WIDTH, bottom + 24);
    page_print(page, "<text class=\"title\" x=\"0\" y=\"12\">%s</text><g class=\"grid\">",
               chart->y.title);
    for (size_t i = 0; i < chart->y.tick_count; i++) {
        double x = axis_place(&chart->y, chart->y.ticks[i].at, LEFT, WIDTH - RIGHT);
        page_print(page,
                   "<path d=\"M%.1f %.0fV%.0f\"/><text class=\"middle\" x=\"%.1f\" "
                   "y=\"%.0f\">%s</text>",
                   x, TOP - 4, bottom, x, bottom + 16, chart->y.ticks[i].label.s);
    }
    page_print(page, "</g>\n");
    for (size_t i = 0; i < chart->count; i++)
        if (chart->series[i].count > 0)
            bar_print(page, chart, &chart->series[i], TOP + ROW * (double)at++ + (ROW - THICK) / 2);
    page_print(page, "</svg>\n");
}

/* ---- dots ------------------------------------------------------------------------------------ */

/* Ticks of an axis of ratios: 1 and what is 2, 5, 10, ... times as much or as little. */
static void
ratios_print(struct page *page, const struct chart *chart, double bottom)
{
    static const double ratios[] = {0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1,
                                    2,     5,    10,   20,   50,  100, 1000};
    static const double fine[] = {0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2};
    bool narrow = chart->x.high / chart->x.low < 5;
    const double *ticks = narrow ? fine : ratios;
    size_t count = narrow ? sizeof fine / sizeof *fine : sizeof ratios / sizeof *ratios;

    for (size_t i = 0; i < count; i++) {
        if (ticks[i] < chart->x.low * 0.999 || ticks[i] > chart->x.high * 1.001)
            continue;
        double x = axis_place(&chart->x, ticks[i], chart->left, DOTS_WIDTH - DOTS_RIGHT);
        page_print(page,
                   "<path class=\"%s\" d=\"M%.1f %.0fV%.0f\"/><text class=\"middle\" x=\"%.1f\" "
                   "y=\"%.0f\">%g ×</text>",
                   ticks[i] == 1 ? "one" : "tick", x, DOTS_TOP - 8, bottom, x, bottom + 17,
                   ticks[i]);
    }
}

static void
dots_row_print(struct page *page, const struct chart *chart, const struct dots_row *row, double y)
{
    page_print(page, "<text class=\"end\" x=\"%.0f\" y=\"%.1f\">%s</text>", chart->left - 10, y + 4,
               row->label);
    for (size_t i = 0; i < row->count; i++) {
        const struct chart_series *series = &row->series[i];
        double x = series->points[0].x;
        page_print(page, "<g class=\"series s%u\" data-series=\"%s\"><title>%s, %s: %s ×</title>",
                   series->style, series->name, row->label, series->name, text_ratio(x).s);
        marker_print(page, series->style,
                     axis_place(&chart->x, x, chart->left, DOTS_WIDTH - DOTS_RIGHT), y, 5.5);
        page_print(page, "</g>");
    }
    page_print(page, "\n");
}

void
chart_dots(struct page *page, const struct chart *chart, const struct dots_row *rows, size_t count,
           const char *left, const char *right)
{
    double bottom = DOTS_TOP + DOTS_ROW * (double)count;
    double one = axis_place(&chart->x, 1, chart->left, DOTS_WIDTH - DOTS_RIGHT);

    chart_head(page, chart, DOTS_WIDTH, bottom + 28);
    for (size_t i = 0; i < count; i++) {
        page_print(page, "%s: ", rows[i].label);
        for (size_t j = 0; j < rows[i].count; j++)
            page_print(page, "%s%s %s", j > 0 ? ", " : "", rows[i].series[j].name,
                       text_ratio(rows[i].series[j].points[0].x).s);
        page_print(page, ". ");
    }
    page_print(
        page,
        "</desc>\n<rect class=\"better\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%.0f\"/>"
        "<g class=\"title\"><text class=\"end\" x=\"%.1f\" y=\"18\">◀ %s</text>"
        "<text x=\"%.1f\" y=\"18\">%s ▶</text></g>\n<g class=\"grid\">",
        one, DOTS_TOP - 8, DOTS_WIDTH - DOTS_RIGHT - one, bottom - DOTS_TOP + 8, one - 10, left,
        one + 10, right);
    ratios_print(page, chart, bottom);
    for (size_t i = 0; i < count; i++)
        page_print(page, "<path class=\"row\" d=\"M%.0f %.1fH%.0f\"/>", chart->left,
                   DOTS_TOP + DOTS_ROW * ((double)i + 0.4), DOTS_WIDTH - DOTS_RIGHT);
    page_print(page, "</g>\n");
    for (size_t i = 0; i < count; i++)
        dots_row_print(page, chart, &rows[i], DOTS_TOP + DOTS_ROW * ((double)i + 0.4));
    page_print(page, "</svg>\n");
}
