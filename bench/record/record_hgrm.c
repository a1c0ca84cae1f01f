/* SPDX-License-Identifier: MIT
 *
 * Latencies in the percentile format of HdrHistogram, which its plotters read: five lines for each
 * halving of the distance to 100 %, values in microseconds. A value is the highest of its bucket,
 * as HdrHistogram has it, but never more than the maximum.
 */
#include "record/record.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TICKS_PER_HALVING 5

static void
line_write(FILE *file, uint64_t value_ns, double part, uint64_t count)
{
    if (part < 1)
        fprintf(file, "%12.3f %2.12f %10llu %14.2f\n", (double)value_ns / 1e3, part,
                (unsigned long long)count, 1 / (1 - part));
    else
        fprintf(file, "%12.3f %2.12f %10llu\n", (double)value_ns / 1e3, part,
                (unsigned long long)count);
}

/* The next part of all samples to print after `part`. */
static double
part_next(double part)
{
    double halvings = floor(log2(1 / (1 - part))) + 1;

    return part + 1 / (TICKS_PER_HALVING * exp2(halvings));
}

static void
lines_write(FILE *file, const struct histogram *histogram)
{
    double total = (double)histogram->total, wanted = 0;
    uint64_t seen = 0;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS && seen < histogram->total; i++) {
        if (histogram->buckets[i] == 0)
            continue;
        seen += histogram->buckets[i];
        uint64_t highest = histogram_value_highest(i);
        if (highest > histogram->maximum || seen == histogram->total)
            highest = histogram->maximum;
        /* All parts that this bucket reaches. */
        while (seen < histogram->total && (double)seen / total >= wanted) {
            line_write(file, highest, wanted, seen);
            wanted = part_next(wanted);
        }
    }
    line_write(file, histogram->maximum, 1, histogram->total);
}

static void
histogram_write(FILE *file, const struct histogram *histogram)
{
    double mean, deviation;

    histogram_moments(histogram, &mean, &deviation);
    fprintf(file, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
            "1/(1-Percentile)");
    lines_write(file, histogram);
    fprintf(file, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean / 1e3, deviation / 1e3);
    fprintf(file, "#[Max     = %12.3f, Total count    = %12llu]\n",
            (double)histogram->maximum / 1e3, (unsigned long long)histogram->total);
    fprintf(file, "#[Buckets = %12d, SubBuckets     = %12d]\n",
            HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1, HISTOGRAM_STEPS);
}

/* Where a row's file is. Characters that a name of a file should not have become '_'. */
static void
path_make(char *buffer, size_t size, const char *prefix, const struct record_row *row)
{
    const char *dash = prefix[strlen(prefix) - 1] == '/' ? "" : "-";

    snprintf(buffer, size, "%s%s%s-%s-%u.hgrm", prefix, dash, row->workload, row->contender,
             row->threads);
    for (size_t i = strlen(prefix); i < size && buffer[i] != '\0'; i++)
        if (strchr("/:\\ *?<>|\"", buffer[i]) != NULL)
            buffer[i] = '_';
}

static bool
row_write(const char *path, const struct histogram *histogram)
{
    FILE *file = fopen(path, "w");
    bool good = file != NULL;

    if (good) {
        histogram_write(file, histogram);
        good = !ferror(file);
        good = fclose(file) == 0 && good;
    }
    if (!good)
        fprintf(stderr, "latchkey-bench: %s: %s\n", path, strerror(errno));
    return good;
}

bool
report_hgrm(const struct record *record, const char *prefix)
{
    char path[4096];
    bool good = true;

    if (*prefix != '\0' && prefix[strlen(prefix) - 1] == '/')
        (void)mkdir(prefix, 0777); /* where that is not possible, the first file says so */
    for (size_t i = 0; i < record->row_count && *prefix != '\0'; i++) {
        if (record->rows[i]->latency.total == 0)
            continue;
        path_make(path, sizeof path, prefix, record->rows[i]);
        good = row_write(path, &record->rows[i]->latency) && good;
    }
    return good;
}
