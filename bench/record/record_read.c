/* SPDX-License-Identifier: MIT
 *
 * Reading what record_json.c writes. A field that is not there, or of another kind, is empty: it may
 * be newer than the file. Numbers are held to what the record has room for; what follows from the
 * repeats is computed again.
 */
#include "record/record.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
text_get(const cJSON *object, const char *name, char *buffer, size_t size)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    snprintf(buffer, size, "%s", text != NULL ? text : "");
}

#define TEXT_GET(object, name, array) text_get(object, name, array, sizeof(array))

static double
number_get(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    /* 1e999 is infinite, which no file can hold. */
    return cJSON_IsNumber(item) && isfinite(item->valuedouble) ? item->valuedouble : 0;
}

#define EXACT_MOST UINT64_C(1000000000000000) /* the numbers of a file have 15 digits */

/* The nearest number that a conversion stands. */
static uint64_t
number_whole(double number)
{
    return !(number > 0) ? 0 : number < 0x1p63 ? (uint64_t)number : UINT64_MAX;
}

static uint64_t
whole_get(const cJSON *object, const char *name)
{
    return number_whole(number_get(object, name));
}

static bool
bool_get(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static unsigned
count_get(const cJSON *object, const char *name, unsigned most)
{
    uint64_t count = whole_get(object, name);

    return count < most ? (unsigned)count : most;
}

static void
machine_get(const cJSON *root, struct record_machine *machine)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, "machine");

    TEXT_GET(object, "processor", machine->processor);
    machine->processors = count_get(object, "processors", 1u << 20);
    machine->memory_bytes = whole_get(object, "memory_bytes");
    TEXT_GET(object, "kernel", machine->kernel);
    TEXT_GET(object, "compiler", machine->compiler);
    TEXT_GET(object, "flags", machine->flags);
    TEXT_GET(object, "allocator", machine->allocator);
    TEXT_GET(object, "ck", machine->ck);
    TEXT_GET(object, "library", machine->library);
    TEXT_GET(object, "commit", machine->commit);
    machine->load_average = number_get(object, "load_average");
}

static void
options_get(const cJSON *root, struct record_options *options)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, "options");

    TEXT_GET(object, "workloads", options->workloads);
    TEXT_GET(object, "contenders", options->contenders);
    TEXT_GET(object, "threads", options->threads);
    TEXT_GET(object, "distribution", options->distribution);
    TEXT_GET(object, "pin", options->pin);
    TEXT_GET(object, "time", options->time);
    options->duration_s = number_get(object, "duration_s");
    options->warmup_s = number_get(object, "warmup_s");
    options->rate = number_get(object, "rate");
    options->repeats = count_get(object, "repeats", RECORD_REPEATS_MAX);
    options->locks_per_commit = count_get(object, "locks_per_commit", 1u << 20);
    options->keys = whole_get(object, "keys");
    options->value_size = whole_get(object, "value_size");
    options->seed = whole_get(object, "seed");
}

static void
workloads_get(const cJSON *root, struct record *record)
{
    const cJSON *object;
    char name[sizeof record->workloads->name];

    cJSON_ArrayForEach(object, cJSON_GetObjectItemCaseSensitive(root, "workloads"))
    {
        TEXT_GET(object, "name", name);
        struct record_workload *workload = record_workload(record, name);
        TEXT_GET(object, "what", workload->what);
        TEXT_GET(object, "unit", workload->unit);
        workload->scale = number_get(object, "scale");
        if (!(workload->scale > 0))
            workload->scale = 1;
        TEXT_GET(object, "distribution", workload->distribution);
        TEXT_GET(object, "subject", workload->subject);
    }
}

static void
histogram_get(const cJSON *row, struct histogram *histogram)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(row, "latency"), *pair;

    cJSON_ArrayForEach(pair, cJSON_GetObjectItemCaseSensitive(object, "buckets"))
    {
        const cJSON *value = cJSON_GetArrayItem(pair, 0), *number = cJSON_GetArrayItem(pair, 1);
        if (!cJSON_IsNumber(value) || !cJSON_IsNumber(number))
            continue;
        uint64_t count = number_whole(number->valuedouble), most = EXACT_MOST - histogram->total;
        histogram_add_many(histogram, number_whole(value->valuedouble),
                           count < most ? count : most);
    }
    histogram->maximum = whole_get(object, "maximum_ns");
}

static void
repeats_get(const cJSON *object, struct record_row *row)
{
    const cJSON *repeat, *operations;

    cJSON_ArrayForEach(repeat, cJSON_GetObjectItemCaseSensitive(object, "repeats"))
    {
        unsigned i = row->repeats, thread = 0;
        if (i == RECORD_REPEATS_MAX)
            return;
        row->rates[i] = number_get(repeat, "rate");
        row->latencies[i].p50 = whole_get(repeat, "p50_ns");
        row->latencies[i].p99 = whole_get(repeat, "p99_ns");
        row->latencies[i].p999 = whole_get(repeat, "p999_ns");
        row->latencies[i].maximum = whole_get(repeat, "maximum_ns");
        cJSON_ArrayForEach(operations,
                           cJSON_GetObjectItemCaseSensitive(repeat, "thread_operations"))
        {
            if (thread < RECORD_THREADS_MAX)
                row->operations[i][thread++] = number_whole(cJSON_GetNumberValue(operations));
        }
        row->repeats++;
    }
}

static void
extras_get(const cJSON *object, struct record_row *row)
{
    const cJSON *item;
    char outcome[16];

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "targets"))
    {
        if (row->target_count == RECORD_TARGETS_MAX)
            break;
        struct record_target *target = &row->targets[row->target_count++];
        TEXT_GET(item, "text", target->text);
        TEXT_GET(item, "outcome", outcome);
        target->outcome = strcmp(outcome, "met") == 0      ? REPORT_MET
                          : strcmp(outcome, "missed") == 0 ? REPORT_MISSED
                                                           : REPORT_NO_FIGURE;
        target->aim = bool_get(item, "aim");
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "figures"))
    {
        char name[sizeof row->figures->name], unit[sizeof row->figures->unit];
        TEXT_GET(item, "name", name);
        TEXT_GET(item, "unit", unit);
        record_row_figure(row, name, unit, number_get(item, "value"))->contention =
            bool_get(item, "contention");
    }
}

static void
commits_get(const cJSON *object, struct record_row *row)
{
    const cJSON *item;
    size_t at = 0;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "attempts"))
    {
        if (at < RECORD_ATTEMPTS)
            row->attempts[at++] = number_whole(cJSON_GetNumberValue(item));
    }
    row->raced_keys = whole_get(object, "raced_keys");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "hot_keys"))
    {
        if (row->hot_count == RECORD_HOT_MAX)
            break;
        struct record_hot *hot = &row->hot[row->hot_count++];
        TEXT_GET(item, "key", hot->key);
        hot->least = number_get(item, "share_least");
        hot->most = number_get(item, "share_most");
    }
}

static void
row_get(const cJSON *object, struct record *record)
{
    char workload[sizeof record->rows[0]->workload], contender[sizeof record->rows[0]->contender];

    TEXT_GET(object, "workload", workload);
    TEXT_GET(object, "contender", contender);
    struct record_row *row =
        record_row(record, workload, contender, count_get(object, "threads", RECORD_THREADS_MAX));
    TEXT_GET(object, "distribution", row->distribution);
    row->planned = count_get(object, "planned", RECORD_REPEATS_MAX);
    row->ratio = number_get(object, "ratio");
    repeats_get(object, row);
    histogram_get(object, &row->latency);
    row->commits = whole_get(object, "commits");
    row->races = whole_get(object, "races");
    row->retries = whole_get(object, "retries");
    commits_get(object, row);
    row->late = whole_get(object, "late");
    row->elapsed_s = number_get(object, "elapsed_s");
    row->others_s = number_get(object, "others_s");
    row->transacts = bool_get(object, "transacts");
    row->has_retries = bool_get(object, "has_retries");
    TEXT_GET(object, "fault", row->fault);
    TEXT_GET(object, "missing", row->missing);
    row->wrong = whole_get(object, "wrong");
    row->failed = whole_get(object, "failed");
    row->partial = bool_get(object, "partial");
    extras_get(object, row);
    record_summarise(row, record->machine.processors);
}

static bool
record_from_json(struct record *record, const cJSON *root)
{
    const cJSON *row;
    char format[32];

    TEXT_GET(root, "format", format);
    if (strcmp(format, RECORD_FORMAT) != 0)
        return false;
    record->partial = bool_get(root, "partial");
    TEXT_GET(root, "date", record->date);
    TEXT_GET(root, "command", record->command);
    record->elapsed_s = number_get(root, "elapsed_s");
    record->faults = count_get(root, "faults", 1u << 30);
    record->targets_met = count_get(root, "targets_met", 1u << 30);
    record->targets_missed = count_get(root, "targets_missed", 1u << 30);
    record->targets_open = count_get(root, "targets_open", 1u << 30);
    machine_get(root, &record->machine);
    options_get(root, &record->options);
    workloads_get(root, record);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(root, "rows")) row_get(row, record);
    return true;
}

/* The whole file with a zero behind it; NULL: errno says why. */
static char *
file_read(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    long size = -1;

    if (file == NULL)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0)
        text = malloc((size_t)size + 1);
    if (text != NULL)
        text[fread(text, 1, (size_t)size, file)] = '\0';
    fclose(file);
    return text;
}

bool
record_read(struct record *record, const char *path)
{
    char *text = file_read(path);

    memset(record, 0, sizeof *record);
    if (text == NULL) {
        fprintf(stderr, "latchkey-bench: %s: %s\n", path, strerror(errno));
        return false;
    }
    cJSON *root = cJSON_Parse(text);
    bool good = record_from_json(record, root);
    cJSON_Delete(root);
    free(text);
    if (!good)
        fprintf(stderr, "latchkey-bench: %s is not a record of this version (%s)\n", path,
                RECORD_FORMAT);
    return good;
}
