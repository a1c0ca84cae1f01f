/* SPDX-License-Identifier: MIT
 *
 * The fit of the Universal Scalability Law. See fit.h.
 */
#include "fit.h"

#include <math.h>
#include <string.h>

#define TERMS 3

/* Solves the system by elimination with pivots. False: it has no single solution. */
static bool
system_solve(double matrix[TERMS][TERMS + 1], size_t size)
{
    for (size_t i = 0; i < size; i++) {
        size_t pivot = i;
        for (size_t j = i + 1; j < size; j++)
            if (fabs(matrix[j][i]) > fabs(matrix[pivot][i]))
                pivot = j;
        if (!(fabs(matrix[pivot][i]) > 1e-300))
            return false;
        for (size_t k = 0; k <= size; k++) {
            double swap = matrix[i][k];
            matrix[i][k] = matrix[pivot][k];
            matrix[pivot][k] = swap;
        }
        for (size_t j = 0; j < size; j++) {
            double factor = matrix[j][i] / matrix[i][i];
            for (size_t k = i; j != i && k <= size; k++)
                matrix[j][k] -= factor * matrix[i][k];
        }
    }
    for (size_t i = 0; i < size; i++)
        matrix[i][size] /= matrix[i][i];
    return true;
}

/* The terms of one point over what they should sum up to, so that errors are relative. */
static void
point_terms(double threads, double rate, double *terms)
{
    double each = rate / threads;

    terms[0] = each;
    terms[1] = each * (threads - 1);
    terms[2] = each * threads * (threads - 1);
}

/* Fits with the terms of the set (bit i: term i), the others being 0. The sum of squared errors, or
 * -1 where a term would be below 0. */
static double
subset_fit(const double *threads, const double *rates, size_t count, unsigned set, double *factors)
{
    double matrix[TERMS][TERMS + 1] = {{0}}, terms[TERMS], sum = 0;
    size_t chosen[TERMS], size = 0;

    for (size_t i = 0; i < TERMS; i++) {
        factors[i] = 0;
        if (set & (1u << i))
            chosen[size++] = i;
    }
    for (size_t i = 0; i < count; i++) {
        point_terms(threads[i], rates[i], terms);
        for (size_t j = 0; j < size; j++) {
            for (size_t k = 0; k < size; k++)
                matrix[j][k] += terms[chosen[j]] * terms[chosen[k]];
            matrix[j][size] += terms[chosen[j]];
        }
    }
    if (!system_solve(matrix, size))
        return -1;
    for (size_t i = 0; i < size; i++) {
        factors[chosen[i]] = matrix[i][size];
        if (!(matrix[i][size] >= 0))
            return -1;
    }
    for (size_t i = 0; i < count; i++) {
        point_terms(threads[i], rates[i], terms);
        double error = factors[0] * terms[0] + factors[1] * terms[1] + factors[2] * terms[2] - 1;
        sum += error * error;
    }
    return sum;
}

static double
fit_quality(const struct fit *fit, const double *threads, const double *rates, size_t count)
{
    double mean = 0, errors = 0, spread = 0;

    for (size_t i = 0; i < count; i++)
        mean += rates[i] / (double)count;
    for (size_t i = 0; i < count; i++) {
        double error = rates[i] - fit_rate(fit, threads[i]);
        errors += error * error;
        spread += (rates[i] - mean) * (rates[i] - mean);
    }
    return spread > 0 ? 1 - errors / spread : 1;
}

bool
fit_rates(const double *threads, const double *rates, size_t count, struct fit *fit)
{
    /* The best fit whose terms are not negative is the best one of some subset. The first term is
     * always needed: one thread has a rate. */
    static const unsigned sets[] = {1, 3, 5, 7};
    double best[TERMS] = {0}, factors[TERMS], least = -1;

    memset(fit, 0, sizeof *fit);
    if (count < FIT_LEAST)
        return false;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        double sum = subset_fit(threads, rates, count, sets[i], factors);
        if (sum < 0 || !(factors[0] > 0) || (least >= 0 && sum >= least))
            continue;
        least = sum;
        memcpy(best, factors, sizeof best);
    }
    if (least < 0)
        return false;
    fit->lambda = 1 / best[0];
    fit->sigma = best[1] / best[0];
    fit->kappa = best[2] / best[0];
    fit->r2 = fit_quality(fit, threads, rates, count);
    return true;
}

double
fit_rate(const struct fit *fit, double threads)
{
    return fit->lambda * threads /
           (1 + fit->sigma * (threads - 1) + fit->kappa * threads * (threads - 1));
}

double
fit_peak(const struct fit *fit)
{
    if (!(fit->kappa > 0))
        return 0;
    return fit->sigma < 1 ? fmax(1, sqrt((1 - fit->sigma) / fit->kappa)) : 1;
}
