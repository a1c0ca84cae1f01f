/* SPDX-License-Identifier: MIT
 *
 * How a rate grows with threads, as the Universal Scalability Law says:
 *
 *     X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))
 *
 * lambda is one thread's rate, sigma the part of the work that waits for others (contention), kappa
 * the cost of agreeing between any two (coherence). Without kappa it is Amdahl's law, without both
 * a straight line. Knows numbers only.
 */
#ifndef BENCH_REPORT_FIT_H
#define BENCH_REPORT_FIT_H

#include <stdbool.h>
#include <stddef.h>

#define FIT_LEAST 4 /* numbers of threads, for a fit to mean something */

struct fit {
    double lambda, sigma, kappa;
    double r2; /* of the rates: 1 where the law is met exactly, 0 or less where it says nothing */
};

/* Least squares of relative errors over N / X(N), which is linear in the law's terms; none of them
 * is below 0, and sigma is at most 1. False: fewer than FIT_LEAST points, or none
 * that the law could meet. */
bool fit_rates(const double *threads, const double *rates, size_t count, struct fit *fit);

double fit_rate(const struct fit *fit, double threads);

/* The number of threads with the highest rate; 0: none, more are always better. */
double fit_peak(const struct fit *fit);

#endif
