/* SPDX-License-Identifier: MIT
 *
 * What chart.c lends chart_bars.c.
 */
#ifndef BENCH_REPORT_CHART_INSIDE_H
#define BENCH_REPORT_CHART_INSIDE_H

#include "page/chart.h"

/* The opening tag, the title, the start of the description; the caller goes on with its text and
 * closes both. */
void chart_head(struct page *page, const struct chart *chart, double width, double height);

/* The same with a description of all series; the caller closes the picture. */
void chart_begin(struct page *page, const struct chart *chart, double width, double height);

/* Where a value lies between two places. */
double axis_place(const struct chart_axis *axis, double value, double from, double to);

#endif
