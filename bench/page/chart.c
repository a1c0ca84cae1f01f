/* SPDX-License-Identifier: MIT
 *
 * Axes, markers, and charts of lines. See chart.h; bars and dots are in chart_bars.c.
 */
#include "page/chart.h"

#include "page/chart_inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* In units of the picture, which is as wide as its column. */
#define WIDTH 480.0
#define HEIGHT 316.0
#define LEFT 50.0
#define RIGHT 112.0
#define TOP 42.0
#define BOTTOM 42.0
#define LABEL_STEP 14.5 /* between names at the ends of lines */

bool
chart_open(struct chart *chart, size_t series, size_t points)
{
    memset(chart, 0, sizeof *chart);
    chart->value = text_number;
    chart->series = calloc(series + 1, sizeof *chart->series);
    if (chart->series == NULL)
        return false;
    for (; chart->count < series; chart->count++) {
        struct chart_series *one = &chart->series[chart->count];
        one->points = calloc(points + 1, sizeof *one->points);
        if (one->points != NULL)
            continue;
        chart_close(chart);
        return false;
    }
    return true;
}

void
chart_close(struct chart *chart)
{
    for (size_t i = 0; i < chart->count; i++)
        free(chart->series[i].points);
    free(chart->series);
}

void
series_add(struct chart_series *series, double x, double y, double low, double high)
{
    series->points[series->count++] = (struct chart_point){x, y, low, high, series->gap};
    series->gap = false;
}

/* ---- axes ------------------------------------------------------------------------------------ */

static void
tick_add(struct chart_axis *axis, double at, struct text label)
{
    if (axis->tick_count == CHART_TICKS_MAX)
        return;
    axis->ticks[axis->tick_count].at = at;
    axis->ticks[axis->tick_count++].label = label;
}

void
axis_linear(struct chart_axis *axis, double most, struct text (*label)(double))
{
    static const double steps[] = {1, 2, 2.5, 5, 10};
    double power = most > 0 ? pow(10, floor(log10(most / 4))) : 1, step = power;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        step = steps[i] * power;
        if (step * 5 >= most)
            break;
    }
    axis->low = 0;
    axis->high = most > 0 ? step * ceil(most / step - 1e-9) : 1;
    for (int i = 0; i * step <= axis->high * (1 + 1e-9); i++)
        tick_add(axis, i * step, label(i * step));
}

void
axis_decades(struct chart_axis *axis, double least, double most, struct text (*label)(double))
{
    int first = (int)floor(log10(least > 0 ? least : 1));
    int last = (int)ceil(log10(most > 0 ? most : 10));

    if (last <= first)
        last = first + 1;
    axis->logarithmic = true;
    axis->low = pow(10, first);
    axis->high = pow(10, last);
    for (int i = first; i <= last; i++)
        tick_add(axis, pow(10, i), label(pow(10, i)));
}

void
axis_threads(struct chart_axis *axis, const unsigned *threads, size_t count)
{
    axis->title = "threads";
    axis->logarithmic = true;
    axis->low = threads[0];
    axis->high = threads[count - 1];
    for (size_t i = 0; i < count; i++) {
        struct text label;
        double near = axis->tick_count == 0 ? 0 : threads[i] / axis->ticks[axis->tick_count - 1].at;
        if (near != 0 && near < 1.15 && i + 1 < count)
            continue;
        snprintf(label.s, sizeof label.s, "%u", threads[i]);
        tick_add(axis, threads[i], label);
    }
}

double
axis_place(const struct chart_axis *axis, double value, double from, double to)
{
    double low = axis->low, high = axis->high;

    if (axis->logarithmic) {
        value = log(value < low ? low : value);
        low = log(low);
        high = log(high);
    }
    return high > low ? from + (to - from) * (value - low) / (high - low) : (from + to) / 2;
}

/* ---- markers --------------------------------------------------------------------------------- */

/* The second half of the styles has the first one's markers again, hollow. */
void
marker_print(struct page *page, unsigned style, double x, double y, double r)
{
    static const char *const paths[PAGE_STYLES / 2] = {
        "M-1 0A1 1 0 1 1 1 0A1 1 0 1 1-1 0Z",                           /* disc */
        "M-.88-.88H.88V.88H-.88Z",                                      /* square */
        "M0-1.15L1.1.8H-1.1Z",                                          /* triangle */
        "M0-1.25L1.25 0 0 1.25-1.25 0Z",                                /* diamond */
        "M0 1.15L1.1-.8H-1.1Z",                                         /* triangle on its tip */
        "M-1-.5L-.5-1 0-.5.5-1 1-.5.5 0 1 .5.5 1 0 .5-.5 1-1 .5-.5 0Z", /* cross */
        "M-.4-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4Z",           /* plus */
        "M-.6-1.05H.6L1.2 0 .6 1.05H-.6L-1.2 0Z",                       /* hexagon */
    };
    bool hollow = style >= PAGE_STYLES / 2;

    page_print(page,
               "<path class=\"mark%s\" transform=\"translate(%.1f %.1f) scale(%.1f)\" d=\"%s\"/>",
               hollow ? " hollow" : "", x, y, r, paths[style % (PAGE_STYLES / 2)]);
}

/* ---- the frame ------------------------------------------------------------------------------- */

void
chart_head(struct page *page, const struct chart *chart, double width, double height)
{
    unsigned id = ++page->ids;

    page_print(page,
               "<svg class=\"chart\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
               "aria-labelledby=\"c%u-t c%u-d\">\n<title id=\"c%u-t\">%s, %s</title>\n"
               "<desc id=\"c%u-d\">",
               width, height, id, id, id, chart->title, chart->of, id);
}

void
chart_begin(struct page *page, const struct chart *chart, double width, double height)
{
    chart_head(page, chart, width, height);
    for (size_t i = 0; i < chart->count; i++) {
        const struct chart_series *series = &chart->series[i];
        if (series->bare || series->count == 0)
            continue;
        page_print(page, "%s: ", series->name);
        for (size_t j = 0; j < series->count; j++)
            page_print(page, "%s%s", j > 0 ? ", " : "", chart->value(series->points[j].y).s);
        page_print(page, ". ");
    }
    page_print(page, "The table beside has the figures.</desc>\n");
}

static void
frame_print(struct page *page, const struct chart *chart)
{
    const struct chart_axis *x = &chart->x, *y = &chart->y;
    double right = WIDTH - RIGHT, bottom = HEIGHT - BOTTOM;

    if (chart->mark > 0 && chart->mark < x->high) {
        double at = axis_place(x, chart->mark, LEFT, right);
        page_print(page,
                   "<rect class=\"beyond\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%.0f\"/>"
                   "<text class=\"note end\" x=\"%.1f\" y=\"%.0f\">%s</text>\n",
                   at, TOP, right - at + 8, bottom - TOP, right + 8, TOP - 6, chart->mark_text);
    }
    page_print(page, "<g class=\"grid\">");
    for (size_t i = 0; i < y->tick_count; i++) {
        double at = axis_place(y, y->ticks[i].at, bottom, TOP);
        page_print(page,
                   "<path d=\"M%.0f %.1fH%.0f\"/><text class=\"end\" x=\"%.0f\" y=\"%.1f\">%s"
                   "</text>",
                   LEFT, at, right + 8, LEFT - 7, at + 4, y->ticks[i].label.s);
    }
    page_print(page, "</g>\n<g class=\"axis\"><path d=\"M%.0f %.0fH%.0f\"/>", LEFT, bottom,
               right + 8);
    for (size_t i = 0; i < x->tick_count; i++) {
        double at = axis_place(x, x->ticks[i].at, LEFT, right);
        page_print(page,
                   "<path d=\"M%.1f %.0fv5\"/><text class=\"middle\" x=\"%.1f\" y=\"%.0f\">%s"
                   "</text>",
                   at, bottom, at, bottom + 18, x->ticks[i].label.s);
    }
    page_print(page,
               "<text class=\"title middle\" x=\"%.0f\" y=\"%.0f\">%s</text>"
               "<text class=\"title\" x=\"0\" y=\"12\">%s</text></g>\n",
               (LEFT + right) / 2, HEIGHT - 6, x->title, y->title);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void
errors_print(struct page *page, const struct chart *chart, const struct chart_series *series)
{
    double bottom = HEIGHT - BOTTOM;

    for (size_t i = 0; i < series->count; i++) {
        const struct chart_point *point = &series->points[i];
        if (!(point->high > point->low))
            continue;
        double x = axis_place(&chart->x, point->x, LEFT, WIDTH - RIGHT);
        page_print(page, "<path class=\"error\" d=\"M%.1f %.1fV%.1fM%.1f %.1fh6M%.1f %.1fh6\"/>", x,
                   axis_place(&chart->y, point->low, bottom, TOP),
                   axis_place(&chart->y, point->high, bottom, TOP), x - 3,
                   axis_place(&chart->y, point->low, bottom, TOP), x - 3,
                   axis_place(&chart->y, point->high, bottom, TOP));
    }
}

static void
points_print(struct page *page, const struct chart *chart, const struct chart_series *series)
{
    for (size_t i = 0; i < series->count; i++) {
        const struct chart_point *point = &series->points[i];
        page_print(page, "<g><title>%s: %s</title>", series->name, chart->value(point->y).s);
        marker_print(page, series->style, axis_place(&chart->x, point->x, LEFT, WIDTH - RIGHT),
                     axis_place(&chart->y, point->y, HEIGHT - BOTTOM, TOP), series->strong ? 5 : 4);
        page_print(page, "</g>");
    }
}

static void
series_print(struct page *page, const struct chart *chart, const struct chart_series *series)
{
    if (series->count == 0)
        return;
    page_print(page, "<g class=\"series s%u%s\" data-series=\"%s\">", series->style,
               series->strong ? " strong" : "", series->name);
    errors_print(page, chart, series);
    if (!series->dots && series->count > 1) {
        page_print(page, "<path class=\"line\" d=\"");
        for (size_t i = 0; i < series->count; i++)
            page_print(page, "%c%.1f %.1f", i == 0 || series->points[i].gap ? 'M' : 'L',
                       axis_place(&chart->x, series->points[i].x, LEFT, WIDTH - RIGHT),
                       axis_place(&chart->y, series->points[i].y, HEIGHT - BOTTOM, TOP));
        page_print(page, "\"/>");
    }
    if (!series->bare)
        points_print(page, chart, series);
    page_print(page, "</g>\n");
}

/* ---- names at the ends of lines -------------------------------------------------------------- */

struct label {
    const struct chart_series *series;
    double x, y, at; /* end of the line; where the name stands */
};

static int
label_compare(const void *left, const void *right)
{
    const struct label *a = left, *b = right;

    return (a->y > b->y) - (a->y < b->y);
}

/* Pushes names apart, down first, then up from the bottom. */
static void
labels_spread(struct label *labels, size_t count)
{
    double most = HEIGHT - BOTTOM + 4;

    qsort(labels, count, sizeof *labels, label_compare);
    for (size_t i = 0; i < count; i++) {
        labels[i].at = labels[i].y;
        if (i > 0 && labels[i].at < labels[i - 1].at + LABEL_STEP)
            labels[i].at = labels[i - 1].at + LABEL_STEP;
    }
    for (size_t i = count; i-- > 0; most = labels[i].at - LABEL_STEP)
        if (labels[i].at > most)
            labels[i].at = most;
}

static void
labels_print(struct page *page, const struct chart *chart)
{
    struct label *labels = calloc(chart->count + 1, sizeof *labels);
    double x = WIDTH - RIGHT + 22;
    size_t count = 0;

    for (size_t i = 0; labels != NULL && i < chart->count; i++) {
        const struct chart_series *series = &chart->series[i];
        if (series->count == 0 || series->bare)
            continue;
        const struct chart_point *last = &series->points[series->count - 1];
        labels[count++] =
            (struct label){series, axis_place(&chart->x, last->x, LEFT, WIDTH - RIGHT),
                           axis_place(&chart->y, last->y, HEIGHT - BOTTOM, TOP), 0};
    }
    labels_spread(labels, count);
    for (size_t i = 0; i < count; i++) {
        const struct chart_series *series = labels[i].series;
        page_print(page,
                   "<g class=\"name s%u%s\" data-series=\"%s\"><path class=\"leader\" d=\"M%.1f "
                   "%.1fL%.1f %.1f\"/><text x=\"%.1f\" y=\"%.1f\">%s</text></g>",
                   series->style, series->strong ? " strong" : "", series->name, labels[i].x + 7,
                   labels[i].y, x - 3, labels[i].at, x, labels[i].at + 4, series->name);
    }
    free(labels);
}

void
chart_lines(struct page *page, const struct chart *chart)
{
    chart_begin(page, chart, WIDTH, HEIGHT);
    frame_print(page, chart);
    for (size_t i = 0; i < chart->count; i++)
        if (!chart->series[i].strong)
            series_print(page, chart, &chart->series[i]);
    for (size_t i = 0; i < chart->count; i++)
        if (chart->series[i].strong)
            series_print(page, chart, &chart->series[i]);
    labels_print(page, chart);
    page_print(page, "</svg>\n");
}
