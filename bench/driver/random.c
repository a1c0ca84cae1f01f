/* SPDX-License-Identifier: MIT
 *
 * Distributions of keys: parsing, printing, drawing.
 */
#include "driver/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Draws of exactly 1/rank^theta, for any theta, by rejection-inversion: Hoermann, Derflinger,
 * "Rejection-inversion to generate variates from monotone discrete distributions", 1996. The
 * integral of the density is drawn from and inverted; few draws are thrown away. */
struct zipf {
    double bound, theta, first, last, sure;
};

/* (exp(x) - 1) / x and log(1 + x) / x, also near 0. */
static double
zipf_expm1_over(double x)
{
    return fabs(x) > 1e-8 ? expm1(x) / x : 1.0 + x / 2;
}

static double
zipf_log1p_over(double x)
{
    return fabs(x) > 1e-8 ? log1p(x) / x : 1.0 - x / 2;
}

static double
zipf_density(const struct zipf *zipf, double x)
{
    return exp(-zipf->theta * log(x));
}

static double
zipf_integral(const struct zipf *zipf, double x)
{
    double logarithm = log(x);

    return zipf_expm1_over((1.0 - zipf->theta) * logarithm) * logarithm;
}

static double
zipf_integral_inverse(const struct zipf *zipf, double y)
{
    double scaled = y * (1.0 - zipf->theta);

    return exp(zipf_log1p_over(scaled > -1.0 ? scaled : -1.0) * y);
}

static void
zipf_init(struct zipf *zipf, size_t bound, double theta)
{
    zipf->bound = (double)bound;
    zipf->theta = theta;
    zipf->first = zipf_integral(zipf, 1.5) - 1.0;
    zipf->last = zipf_integral(zipf, zipf->bound + 0.5);
    zipf->sure =
        2.0 - zipf_integral_inverse(zipf, zipf_integral(zipf, 2.5) - zipf_density(zipf, 2.0));
}

/* A rank from 0. */
static size_t
zipf_rank(const struct zipf *zipf, struct random_state *random)
{
    for (;;) {
        double y = zipf->last + random_unit(random) * (zipf->first - zipf->last);
        double x = zipf_integral_inverse(zipf, y);
        double rank = floor(x + 0.5);

        rank = rank < 1.0 ? 1.0 : rank > zipf->bound ? zipf->bound : rank;
        if (rank - x <= zipf->sure ||
            y >= zipf_integral(zipf, rank + 0.5) - zipf_density(zipf, rank))
            return (size_t)rank - 1;
    }
}

bool
distribution_parse(const char *text, struct distribution *distribution)
{
    char *end;

    memset(distribution, 0, sizeof *distribution);
    if (strcmp(text, "uniform") == 0) {
        distribution->kind = DISTRIBUTION_UNIFORM;
        return true;
    }
    if (strncmp(text, "zipf:", 5) == 0) {
        distribution->kind = DISTRIBUTION_ZIPF;
        distribution->theta = strtod(text + 5, &end);
        return end != text + 5 && *end == '\0' && distribution->theta > 0 &&
               distribution->theta <= 4;
    }
    if (strncmp(text, "hot:", 4) == 0) {
        distribution->kind = DISTRIBUTION_HOT;
        distribution->hot = strtoul(text + 4, &end, 10);
        return end != text + 4 && *end == '\0' && distribution->hot > 0;
    }
    return false;
}

const char *
distribution_text(const struct distribution *distribution, char *buffer, size_t size)
{
    switch (distribution->kind) {
    case DISTRIBUTION_ZIPF:
        snprintf(buffer, size, "zipf %.2f", distribution->theta);
        break;
    case DISTRIBUTION_HOT:
        snprintf(buffer, size, "%zu hot keys", distribution->hot);
        break;
    case DISTRIBUTION_UNIFORM:
    default:
        snprintf(buffer, size, "uniform");
        break;
    }
    return buffer;
}

void
distribution_draw(const struct distribution *distribution, uint64_t seed, size_t bound,
                  uint32_t *indexes, size_t count)
{
    struct random_state random;
    struct zipf zipf = {0};
    size_t hot = distribution->hot < bound ? distribution->hot : bound;

    random_seed(&random, seed);
    if (distribution->kind == DISTRIBUTION_ZIPF)
        zipf_init(&zipf, bound, distribution->theta);
    for (size_t i = 0; i < count; i++) {
        if (distribution->kind == DISTRIBUTION_ZIPF) {
            indexes[i] = random_scatter(zipf_rank(&zipf, &random), bound);
        } else if (distribution->kind == DISTRIBUTION_HOT) {
            indexes[i] = random_scatter(random_below(&random, hot), bound);
        } else {
            indexes[i] = random_below(&random, bound);
        }
    }
}
