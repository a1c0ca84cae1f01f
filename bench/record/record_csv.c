/* SPDX-License-Identifier: MIT
 *
 * The record as CSV (RFC 4180): a heading, then a line for each row and repeat.
 */
#include "record/output.h"
#include "record/record.h"

#include <stdio.h>
#include <string.h>

static void
text_write(FILE *file, const char *text)
{
    if (text[strcspn(text, ",\"\r\n")] == '\0') {
        fprintf(file, "%s,", text);
        return;
    }
    fputc('"', file);
    for (; *text != '\0'; text++)
        fprintf(file, "%s%c", *text == '"' ? "\"" : "", *text);
    fputs("\",", file);
}

static void
row_write(FILE *file, const struct record_row *row)
{
    for (unsigned i = 0; i < row->repeats; i++) {
        const struct record_latency *latency = &row->latencies[i];
        double jain, slowest;
        record_fairness(row->operations[i], row->threads, &jain, &slowest);
        text_write(file, row->workload);
        text_write(file, row->distribution);
        text_write(file, row->contender);
        fprintf(file, "%u,%u,%.3f,%llu,%llu,%llu,%llu,%.4f,%.4f,%s\r\n", row->threads, i + 1,
                row->rates[i], (unsigned long long)latency->p50, (unsigned long long)latency->p99,
                (unsigned long long)latency->p999, (unsigned long long)latency->maximum, jain,
                slowest, row->partial ? "partial" : "");
    }
}

static bool
rows_write(FILE *file, const struct record *record)
{
    fputs("workload,distribution,contender,threads,repeat,operations_per_second,p50_ns,p99_ns,"
          "p999_ns,maximum_ns,jain,slowest,partial\r\n",
          file);
    for (size_t i = 0; i < record->row_count; i++)
        row_write(file, record->rows[i]);
    return true;
}

bool
report_csv(const struct record *record, const char *path)
{
    return output_write(path, rows_write, record);
}
