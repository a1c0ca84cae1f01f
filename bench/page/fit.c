/* SPDX-License-Identifier: MIT
 *
 * The fit of the Universal Scalability Law. See fit.h.
 */
#include "page/fit.h"

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

/* What may be fitted: each row tells which terms have a factor of their own (1), share that of the
 * row's first one (2), or have none (0). The first is always needed, one thread has a rate; where
 * the second shares it, contention is whole. The best fit within bounds is the best of these. */
static const int shapes[][TERMS] = {{1, 0, 0}, {1, 1, 0}, {1, 0, 1},
                                    {1, 1, 1}, {1, 2, 0}, {1, 2, 1}};

/* The sum of squared errors, or -1 where a factor is out of bounds. */
static double
shape_fit(const double *threads, const double *rates, size_t count, const int *shape,
          double *factors)
{
    double matrix[TERMS][TERMS + 1] = {{0}}, terms[TERMS], sum = 0;
    size_t size = 1u + (shape[1] == 1) + (shape[2] == 1), last = size - 1;

    for (size_t i = 0; i < count; i++) {
        point_terms(threads[i], rates[i], terms);
        double own[TERMS] = {terms[0] + (shape[1] == 2 ? terms[1] : 0), terms[1], terms[2]};
        if (shape[1] != 1)
            own[1] = terms[2];
        for (size_t j = 0; j < size; j++) {
            for (size_t k = 0; k < size; k++)
                matrix[j][k] += own[j] * own[k];
            matrix[j][size] += own[j];
        }
    }
    if (!system_solve(matrix, size))
        return -1;
    factors[0] = matrix[0][size];
    factors[1] = shape[1] == 1 ? matrix[1][size] : shape[1] == 2 ? factors[0] : 0;
    factors[2] = shape[2] == 1 ? matrix[last][size] : 0;
    if (!(factors[0] > 0) || factors[1] < 0 || factors[1] > factors[0] || factors[2] < 0)
        return -1;
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
    double best[TERMS] = {0}, factors[TERMS], least = -1;

    memset(fit, 0, sizeof *fit);
    if (count < FIT_LEAST)
        return false;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        double sum = shape_fit(threads, rates, count, shapes[i], factors);
        if (sum < 0 || (least >= 0 && sum >= least))
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
