/* SPDX-License-Identifier: MIT
 *
 * Distributions of keys: parsing, printing, drawing.
 */
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Constants of Gray, Sundaresan, Englert, Baclawski, Weinberger, "Quickly Generating
 * Billion-Record Synthetic Databases", 1994, as YCSB uses them. */
struct zipf {
    double bound, theta, alpha, zeta, eta, second;
};

static void
zipf_init(struct zipf *zipf, size_t bound, double theta)
{
    double zeta = 0;

    for (size_t i = bound; i >= 1; i--)
        zeta += pow((double)i, -theta);
    zipf->bound = (double)bound;
    zipf->theta = theta;
    zipf->zeta = zeta;
    zipf->second = 1.0 + pow(0.5, theta);
    zipf->alpha = 1.0 / (1.0 - theta);
    zipf->eta = (1.0 - pow(2.0 / zipf->bound, 1.0 - theta)) / (1.0 - zipf->second / zeta);
}

static size_t
zipf_rank(const struct zipf *zipf, double unit)
{
    double scaled = unit * zipf->zeta;

    if (scaled < 1.0)
        return 0;
    if (scaled < zipf->second)
        return 1;
    return (size_t)(zipf->bound * pow(zipf->eta * unit - zipf->eta + 1.0, zipf->alpha));
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
               distribution->theta < 1;
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
            size_t rank = zipf_rank(&zipf, random_unit(&random));
            indexes[i] = random_scatter(rank < bound ? rank : bound - 1, bound);
        } else if (distribution->kind == DISTRIBUTION_HOT) {
            indexes[i] = random_scatter(random_below(&random, hot), bound);
        } else {
            indexes[i] = random_below(&random, bound);
        }
    }
}
