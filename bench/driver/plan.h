/* SPDX-License-Identifier: MIT
 *
 * The plan: which workloads run on which contenders, in which order.
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

/* Runs what the options ask for. Returns the exit status (options.h). */
int plan_run(void);

#endif
