/* SPDX-License-Identifier: MIT
 *
 * The record of this run: what the plan and the workloads enter into it.
 */
#ifndef BENCH_MEASURED_H
#define BENCH_MEASURED_H

#include "driver/driver.h"

extern struct record record_current;

/* The machine, the date and the options, before anything runs. */
void record_begin(struct record *record, int argc, char **argv);

/* The contender that the others are compared with. */
const char *measured_subject(const struct bench_workload *workload);

/* Says what a workload is. The distribution may be NULL. */
void record_describe(const struct bench_workload *workload,
                     const struct distribution *distribution);

/* What a driver's runs gave, as a row. */
struct record_row *record_result(const struct bench_workload *workload, unsigned threads,
                                 const struct driver_result *result);

/* One more figure of a row, which is made if there is none. A figure of that name is replaced.
 * Threads 0: of no number. */
void record_figure(const struct bench_workload *workload, const char *contender, unsigned threads,
                   const char *name, const char *unit, double value);

#endif
