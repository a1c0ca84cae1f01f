/* SPDX-License-Identifier: MIT
 *
 * The record as a JSON file; record_read.c reads what is written here. Units are last in names; what
 * a field means is said in record.h. A histogram is its total, its maximum and pairs [value, count]
 * of the buckets that are not empty.
 */
#include "record/output.h"
#include "record/record.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
number_add(cJSON *object, const char *name, double value)
{
    cJSON_AddNumberToObject(object, name, value);
}

/* All 64 bits of it, where a double would lose some. */
static void
whole_add(cJSON *object, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    cJSON_AddRawToObject(object, name, text);
}

static void
machine_add(cJSON *root, const struct record_machine *machine)
{
    cJSON *object = cJSON_AddObjectToObject(root, "machine");

    cJSON_AddStringToObject(object, "processor", machine->processor);
    number_add(object, "processors", machine->processors);
    whole_add(object, "memory_bytes", machine->memory_bytes);
    cJSON_AddStringToObject(object, "kernel", machine->kernel);
    cJSON_AddStringToObject(object, "compiler", machine->compiler);
    cJSON_AddStringToObject(object, "flags", machine->flags);
    cJSON_AddStringToObject(object, "allocator", machine->allocator);
    cJSON_AddStringToObject(object, "ck", machine->ck);
    cJSON_AddStringToObject(object, "library", machine->library);
    cJSON_AddStringToObject(object, "commit", machine->commit);
    number_add(object, "load_average", machine->load_average);
}

static void
options_add(cJSON *root, const struct record_options *options)
{
    cJSON *object = cJSON_AddObjectToObject(root, "options");

    cJSON_AddStringToObject(object, "workloads", options->workloads);
    cJSON_AddStringToObject(object, "contenders", options->contenders);
    cJSON_AddStringToObject(object, "threads", options->threads);
    cJSON_AddStringToObject(object, "distribution", options->distribution);
    cJSON_AddStringToObject(object, "pin", options->pin);
    cJSON_AddStringToObject(object, "time", options->time);
    number_add(object, "duration_s", options->duration_s);
    number_add(object, "warmup_s", options->warmup_s);
    number_add(object, "rate", options->rate);
    number_add(object, "repeats", options->repeats);
    number_add(object, "locks_per_commit", options->locks_per_commit);
    whole_add(object, "keys", options->keys);
    whole_add(object, "value_size", options->value_size);
    whole_add(object, "seed", options->seed);
}

static void
workload_add(cJSON *array, const struct record_workload *workload)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "name", workload->name);
    cJSON_AddStringToObject(object, "what", workload->what);
    cJSON_AddStringToObject(object, "unit", workload->unit);
    number_add(object, "scale", workload->scale);
    cJSON_AddStringToObject(object, "distribution", workload->distribution);
    cJSON_AddStringToObject(object, "subject", workload->subject);
    cJSON_AddItemToArray(array, object);
}

static void
histogram_add_to(cJSON *row, const struct histogram *histogram)
{
    static const struct {
        const char *name;
        double fraction;
    } points[] = {{"p50_ns", 0.5},
                  {"p90_ns", 0.9},
                  {"p99_ns", 0.99},
                  {"p999_ns", 0.999},
                  {"p9999_ns", 0.9999}};
    cJSON *object = cJSON_AddObjectToObject(row, "latency");
    double mean, deviation;

    whole_add(object, "count", histogram->total);
    if (histogram->total == 0)
        return;
    histogram_moments(histogram, &mean, &deviation);
    number_add(object, "mean_ns", mean);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        whole_add(object, points[i].name, histogram_percentile(histogram, points[i].fraction));
    whole_add(object, "maximum_ns", histogram->maximum);
    cJSON *buckets = cJSON_AddArrayToObject(object, "buckets");
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->buckets[i] == 0)
            continue;
        double pair[2] = {(double)histogram_value(i), (double)histogram->buckets[i]};
        cJSON_AddItemToArray(buckets, cJSON_CreateDoubleArray(pair, 2));
    }
}

static void
repeats_add(cJSON *object, const struct record_row *row)
{
    cJSON *repeats = cJSON_AddArrayToObject(object, "repeats");

    for (unsigned i = 0; i < row->repeats; i++) {
        cJSON *repeat = cJSON_CreateObject();
        number_add(repeat, "rate", row->rates[i]);
        whole_add(repeat, "p50_ns", row->latencies[i].p50);
        whole_add(repeat, "p99_ns", row->latencies[i].p99);
        whole_add(repeat, "p999_ns", row->latencies[i].p999);
        whole_add(repeat, "maximum_ns", row->latencies[i].maximum);
        cJSON *operations = cJSON_AddArrayToObject(repeat, "thread_operations");
        for (unsigned j = 0; j < row->threads; j++)
            cJSON_AddItemToArray(operations, cJSON_CreateNumber((double)row->operations[i][j]));
        cJSON_AddItemToArray(repeats, repeat);
    }
}

static void
extras_add(cJSON *object, const struct record_row *row)
{
    static const char *const outcomes[] = {"met", "missed", "no figure"};
    cJSON *targets = cJSON_AddArrayToObject(object, "targets");
    cJSON *figures = cJSON_AddArrayToObject(object, "figures");

    for (size_t i = 0; i < row->target_count; i++) {
        cJSON *target = cJSON_CreateObject();
        cJSON_AddStringToObject(target, "text", row->targets[i].text);
        cJSON_AddStringToObject(target, "outcome", outcomes[row->targets[i].outcome]);
        cJSON_AddBoolToObject(target, "aim", row->targets[i].aim);
        cJSON_AddItemToArray(targets, target);
    }
    for (size_t i = 0; i < row->figure_count; i++) {
        cJSON *figure = cJSON_CreateObject();
        cJSON_AddStringToObject(figure, "name", row->figures[i].name);
        cJSON_AddStringToObject(figure, "unit", row->figures[i].unit);
        number_add(figure, "value", row->figures[i].value);
        if (row->figures[i].contention)
            cJSON_AddBoolToObject(figure, "contention", true);
        cJSON_AddItemToArray(figures, figure);
    }
}

/* Of rows that commit. */
static void
commits_add(cJSON *object, const struct record_row *row)
{
    double attempts[RECORD_ATTEMPTS];
    uint64_t sum = 0;

    for (size_t i = 0; i < RECORD_ATTEMPTS; i++) {
        attempts[i] = (double)row->attempts[i];
        sum += row->attempts[i];
    }
    if (sum != 0)
        cJSON_AddItemToObject(object, "attempts",
                              cJSON_CreateDoubleArray(attempts, RECORD_ATTEMPTS));
    if (row->raced_keys == 0)
        return;
    whole_add(object, "raced_keys", row->raced_keys);
    cJSON *hot = cJSON_AddArrayToObject(object, "hot_keys");
    for (size_t i = 0; i < row->hot_count; i++) {
        cJSON *key = cJSON_CreateObject();
        cJSON_AddStringToObject(key, "key", row->hot[i].key);
        number_add(key, "share_least", row->hot[i].least);
        number_add(key, "share_most", row->hot[i].most);
        cJSON_AddItemToArray(hot, key);
    }
}

static void
row_add(cJSON *array, const struct record_row *row)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "workload", row->workload);
    cJSON_AddStringToObject(object, "contender", row->contender);
    cJSON_AddStringToObject(object, "distribution", row->distribution);
    number_add(object, "threads", row->threads);
    number_add(object, "planned", row->planned);
    number_add(object, "median", row->median);
    number_add(object, "spread", row->spread);
    number_add(object, "ratio", row->ratio);
    repeats_add(object, row);
    histogram_add_to(object, &row->latency);
    whole_add(object, "commits", row->commits);
    whole_add(object, "races", row->races);
    whole_add(object, "retries", row->retries);
    commits_add(object, row);
    whole_add(object, "late", row->late);
    number_add(object, "jain", row->jain);
    number_add(object, "slowest", row->slowest);
    number_add(object, "elapsed_s", row->elapsed_s);
    number_add(object, "others_s", row->others_s);
    cJSON_AddBoolToObject(object, "transacts", row->transacts);
    cJSON_AddBoolToObject(object, "has_retries", row->has_retries);
    cJSON_AddStringToObject(object, "fault", row->fault);
    cJSON_AddStringToObject(object, "missing", row->missing);
    whole_add(object, "wrong", row->wrong);
    whole_add(object, "failed", row->failed);
    cJSON_AddBoolToObject(object, "partial", row->partial);
    cJSON_AddBoolToObject(object, "crowded", row->crowded);
    cJSON_AddBoolToObject(object, "unsteady", row->unsteady);
    cJSON_AddBoolToObject(object, "busy", row->busy);
    extras_add(object, row);
    cJSON_AddItemToArray(array, object);
}

cJSON *
record_json(const struct record *record)
{
    cJSON *root = cJSON_CreateObject();

    cJSON_AddStringToObject(root, "format", RECORD_FORMAT);
    cJSON_AddBoolToObject(root, "partial", record->partial);
    cJSON_AddStringToObject(root, "date", record->date);
    cJSON_AddStringToObject(root, "command", record->command);
    number_add(root, "elapsed_s", record->elapsed_s);
    number_add(root, "faults", record->faults);
    number_add(root, "targets_met", record->targets_met);
    number_add(root, "targets_missed", record->targets_missed);
    number_add(root, "targets_open", record->targets_open);
    machine_add(root, &record->machine);
    options_add(root, &record->options);
    cJSON *workloads = cJSON_AddArrayToObject(root, "workloads");
    for (size_t i = 0; i < record->workload_count; i++)
        workload_add(workloads, &record->workloads[i]);
    cJSON *rows = cJSON_AddArrayToObject(root, "rows");
    for (size_t i = 0; i < record->row_count; i++)
        row_add(rows, record->rows[i]);
    return root;
}

char *
record_json_text(const struct record *record)
{
    cJSON *root = record_json(record);
    char *text = cJSON_Print(root);

    cJSON_Delete(root);
    return text;
}

bool
report_json(const struct record *record, const char *path)
{
    char *text = record_json_text(record);
    struct output output;
    bool good = text != NULL && output_open(&output, path);

    if (good) {
        good = fputs(text, output.file) >= 0 && fputc('\n', output.file) != EOF;
        good = output_close(&output, good);
    }
    free(text);
    if (!good)
        fprintf(stderr, "latchkey-bench: %s: %s\n", path, strerror(errno));
    return good;
}
