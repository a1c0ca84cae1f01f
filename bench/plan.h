/* SPDX-License-Identifier: MIT
 *
 * The plan: which workloads run on which contenders, in which order.
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

/* Runs what the options ask for. Returns the exit status: 0, or 1 if an invariant was broken, or
 * 2 for a bad name. */
int plan_run(void);

#endif
