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
path_make(char *buffer, size_t size, const char *path, const struct record_row *row)
{
    struct stat status;
    bool folder =
        path[strlen(path) - 1] == '/' || (stat(path, &status) == 0 && S_ISDIR(status.st_mode));
    int start = snprintf(buffer, size, "%s%s", path,
                         !folder                         ? "-"
                         : path[strlen(path) - 1] != '/' ? "/"
                                                         : "");

    if (start < 0 || (size_t)start >= size)
        return;
    snprintf(buffer + start, size - (size_t)start, "%s-%s-%u.hgrm", row->workload, row->contender,
             row->threads);
    for (char *at = buffer + start; *at != '\0'; at++)
        if (strchr("/:\\ *?<>|\"", *at) != NULL)
            *at = '_';
}

bool
report_hgrm(const struct record *record, const char *path)
{
    char name[4096];
    bool good = true;

    if (*path != '\0' && path[strlen(path) - 1] == '/' && mkdir(path, 0777) != 0 &&
        errno != EEXIST) {
        fprintf(stderr, "latchkey-bench: %s: %s\n", path, strerror(errno));
        return false;
    }
    for (size_t i = 0; i < record->row_count && *path != '\0'; i++) {
        if (record->rows[i]->latency.total == 0)
            continue;
        path_make(name, sizeof name, path, record->rows[i]);
        FILE *file = fopen(name, "w");
        bool written = file != NULL;
        if (written) {
            histogram_write(file, &record->rows[i]->latency);
            written = !ferror(file);
            written = fclose(file) == 0 && written;
        }
        if (!written)
            fprintf(stderr, "latchkey-bench: %s: %s\n", name, strerror(errno));
        good = good && written;
    }
    return good;
}
