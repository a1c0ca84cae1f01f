/* SPDX-License-Identifier: MIT
 *
 * What the user sees: progress while it runs, tables when a workload is done. The tables are of the
 * record's rows; the other forms of report are named in record.h.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "driver/measured.h"
#include "driver/options.h"

/* The machine and the plan, before the first workload. */
void report_begin(double planned_s);

/* A line that is overwritten, on a terminal only. */
void progress_begin(unsigned cells);
void progress_show(const char *workload, const char *contender, unsigned threads);
void progress_step(void);
void progress_clear(void);

/* One workload: a heading, then rows for each number of threads. `distribution` may be NULL. Both
 * enter what they print into the current record. */
void report_workload(const struct bench_workload *workload,
                     const struct distribution *distribution);
void report_rows(const struct bench_workload *workload, unsigned threads,
                 const struct driver_result *results, size_t count);

#define REPORT_COLUMNS 80 /* what a line of a table, or of words, fits */

/* Words, broken into lines; those after the first are indented. Ends the line. */
__attribute__((format(printf, 1, 2))) void report_words(const char *format, ...);

/* A time in at most 8 characters: nanoseconds as they are, longer ones with their unit. */
struct report_time {
    char s[24];
};
struct report_time report_time(uint64_t ns);

/* Below a row, in a line of its own whose end the caller writes: a target in words, and whether it
 * was met; not `known`: there is no figure. */
void report_target(const char *target, bool known, bool met);

void report_end(void);

#endif
