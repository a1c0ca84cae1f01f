/* SPDX-License-Identifier: MIT
 *
 * Charts as SVG in the page: lines over an axis, bars, and dots around 1. Colours, dashes and sizes
 * of letters are page.css's. What a chart shows stands in a table beside it, too.
 */
#ifndef BENCH_REPORT_CHART_H
#define BENCH_REPORT_CHART_H

#include "page/page.h"

#define CHART_TICKS_MAX 12

struct chart_point {
    double x, y;
    double low, high; /* ends of the error bar; low > high: none */
    bool gap;         /* nothing is known between the last point and this one */
};

struct chart_series {
    const char *name;
    unsigned style;
    bool strong; /* whose report it is */
    bool bare;   /* a line without markers and name */
    bool dots;   /* markers without a line */
    bool gap;    /* before the next point, for series_add */
    struct chart_point *points;
    size_t count;
};

struct chart_tick {
    double at;
    struct text label;
};

struct chart_axis {
    const char *title;
    bool logarithmic;
    double low, high;
    struct chart_tick ticks[CHART_TICKS_MAX];
    size_t tick_count;
};

struct chart {
    const char *title; /* read out by screen readers, with the series */
    const char *of;    /* workload: title is "<title>, <of>" */
    struct chart_axis x, y;
    struct text (*value)(double); /* of y, for tips */
    struct chart_series *series;
    size_t count;
    double left;           /* of dots: how wide their labels are */
    double mark;           /* a line across at this x; 0: none */
    const char *mark_text; /* what is right of it */
};

/* Room for so many series of so many points each, zeroed. False: out of memory. */
bool chart_open(struct chart *chart, size_t series, size_t points);
void chart_close(struct chart *chart);

/* One more point; there is room for it. Without an error bar, low is above high. */
void series_add(struct chart_series *series, double x, double y, double low, double high);

/* The axis from 0 to at least `most`, or around both in decades, with its ticks. */
void axis_linear(struct chart_axis *axis, double most, struct text (*label)(double));
void axis_decades(struct chart_axis *axis, double least, double most, struct text (*label)(double));
/* One tick for each number of threads, in octaves. */
void axis_threads(struct chart_axis *axis, const unsigned *threads, size_t count);

void chart_lines(struct page *page, const struct chart *chart);

/* The first point of each series as a bar. */
void chart_bars(struct page *page, const struct chart *chart);

/* A row of dots around 1 on a logarithmic axis. */
struct dots_row {
    const char *label;
    struct chart_series *series; /* of one point each, whose x counts */
    size_t count;
};

void chart_dots(struct page *page, const struct chart *chart, const struct dots_row *rows,
                size_t count, const char *left, const char *right);

/* A marker around a place, as the path of its style. */
void marker_print(struct page *page, unsigned style, double x, double y, double size);

#endif
