/* SPDX-License-Identifier: MIT
 *
 * The page under construction: text that is escaped on its way out, numbers for people, and a view
 * of each workload's rows. Every part of the report is written through it.
 *
 * Invariants
 *   I1 whatever a %s brings is escaped; markup stands in formats only.
 *   I2 nothing that is written makes a browser ask for another file.
 */
#ifndef BENCH_REPORT_PAGE_H
#define BENCH_REPORT_PAGE_H

#include "record/record.h"

#include <stdio.h>

#define PAGE_STYLES 16 /* how many series can be told apart; page.css has their colours */

/* The rows of one workload, as a grid of contenders and numbers of threads. */
struct view {
    const struct record_workload *workload;
    const char *subject;
    const struct record_row **rows;
    size_t row_count;
    const char **contenders; /* in the order of the rows */
    unsigned *styles;        /* of the contenders: below PAGE_STYLES, alike on the whole page */
    size_t contender_count;
    unsigned threads[RECORD_THREADS_MAX + 1]; /* ascending */
    size_t thread_count;
    unsigned main_threads; /* the most that are not more than the processors; what is summed up */
    bool has_rates, has_latencies, has_figures, has_contention, has_targets, transacts, shared;
};

struct page {
    FILE *out;
    const struct record *record;
    struct view *views; /* one for each workload with rows */
    size_t view_count;
    unsigned ids;  /* of elements, the last one given */
    bool by_rate;  /* operations came on a schedule: latencies are compared, not rates */
    bool complete; /* false: out of memory */
};

/* ---- writing --------------------------------------------------------------------------------- */

/* Understands %s (escaped), %c, %d, %u, %zu, %llu, %f, %g and %% with flags, width, precision. */
__attribute__((format(printf, 2, 3))) void page_print(struct page *page, const char *format, ...);

/* One text of at most so many bytes, to be used before the full expression ends. */
struct text {
    char s[48];
};

struct text text_number(double number);     /* three digits: 8.15, 150, 1,460 */
struct text text_short(double number);      /* for axes and prose: 7, 60, 1.5 M */
struct text text_count(uint64_t number);    /* all digits: 12,345,678 */
struct text text_ratio(double ratio);       /* 0.07, 1.41, 11.7 */
struct text text_share(double fraction);    /* 0.4 %, 79 % */
struct text text_duration(double ns);       /* 190 ns, 1.15 us, 3.78 ms */
struct text text_bytes(double bytes);       /* 23.5 GiB */
struct text text_threads(unsigned threads); /* 1 thread, 2 threads; 0: nothing */
const char *plural(uint64_t count);         /* "" or "s" */

/* ---- views ----------------------------------------------------------------------------------- */

/* False: out of memory. */
bool page_views_open(struct page *page);
void page_views_close(struct page *page);

/* NULL: there is none. */
const struct record_row *view_row(const struct view *view, size_t contender, unsigned threads);

/* Whether the row has a rate. */
bool row_measured(const struct record_row *row);
double row_least(const struct record_row *row); /* of its rates */
double row_most(const struct record_row *row);

/* Whether a contender is this library under another name or in front of it, no rival. */
bool contender_is_ours(const char *name);

/* The heads of a table with a column for each number of threads from `least` on; opens its body. */
void threads_head(struct page *page, const struct view *view, unsigned least);

/* A little picture of how a contender is drawn. */
void page_swatch(struct page *page, unsigned style);

/* The contender's name as the heading of a table's row, with its swatch. */
void page_contender(struct page *page, const struct view *view, size_t contender);

/* ---- figures --------------------------------------------------------------------------------- */

/* A figure: its caption, a chart, a table that has the same and more. Between the calls the chart
 * is written, then the table's head and body. Captions are texts. */
void figure_begin(struct page *page, const char *caption);
void figure_table(struct page *page, const char *caption);
void figure_end(struct page *page);

/* The same without a chart. */
void table_begin(struct page *page, const char *caption);
void table_end(struct page *page);

#endif
