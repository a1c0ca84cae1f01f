/* SPDX-License-Identifier: MIT
 *
 * What the user sees: progress while it runs, tables when a workload is done. The tables are of the
 * record's rows; the other forms of report are named in record.h.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "driver.h"
#include "record.h"

/* The machine and the plan, before the first workload. */
void report_begin(double planned_s);

/* A line that is overwritten, on a terminal only. */
void progress_begin(unsigned cells);
void progress_show(const char *workload, const char *contender, unsigned threads);
void progress_step(void);
void progress_clear(void);

struct report_summary {
    double median; /* of the repeats, per second */
    double spread;
};

struct report_summary report_summary(const struct driver_result *result);

/* One workload: a heading, then rows for each number of threads. `distribution` may be NULL. Both
 * enter what they print into the current record. */
void report_workload(const struct bench_workload *workload,
                     const struct distribution *distribution);
void report_rows(const struct bench_workload *workload, unsigned threads,
                 const struct driver_result *results, size_t count);

/* The end of a row: a target in words, and what became of it. */
void report_target(const char *target, enum report_outcome outcome);

/* How fast stores were loaded that are new since the last call. */
void report_loads(const struct bench_source *source, struct driver_store *const *stores,
                  size_t count);

void report_end(void);

#endif
