/* SPDX-License-Identifier: MIT
 *
 * The parts of the page, in its order. report_html.c calls them.
 */
#ifndef BENCH_REPORT_PARTS_H
#define BENCH_REPORT_PARTS_H

#include "page/duel.h"
#include "page/page.h"

/* Who wins where, in words, as dots and as a table; what makes the figures doubtful. */
void part_verdict(struct page *page);

/* What became better or worse since the baseline; nothing without one. */
void part_baseline(struct page *page);

/* All about one workload; `number` counts them. */
void part_workload(struct page *page, const struct view *view, size_t number);

/* Its figures, one after the other; each is left out where the workload has nothing for it. */
void part_throughput(struct page *page, const struct view *view);
void part_commits(struct page *page, const struct view *view);
void part_attempts(struct page *page, const struct view *view);
void part_hot(struct page *page, const struct view *view);
void part_contention(struct page *page, const struct view *view);
void part_latency(struct page *page, const struct view *view);
void part_fairness(struct page *page, const struct view *view);
void part_scaling(struct page *page, const struct view *view);
void part_figures(struct page *page, const struct view *view);

/* How to read it, the contenders, the machine and the options, the command, all rows. */
void part_reading(struct page *page);
void part_machine(struct page *page);
void part_rows(struct page *page);

/* A standing by its sign and word, or by its sign and a text. */
void standing_print(struct page *page, enum standing standing, const char *text);

#endif
