/* SPDX-License-Identifier: MIT
 *
 * The record as a JSON file, and back. One table for each kind of object says the names of its
 * fields and where they are; what a field means is said in record.h. A histogram is its total, its
 * maximum and pairs [value, count] of the buckets that are not empty.
 *
 * A field that is not there, or of another kind, is empty: it may be newer than the file. Numbers
 * are held to what the record has room for; what follows from the repeats is computed again.
 */
#include "record/output.h"
#include "record/record.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_MOST UINT64_C(1000000000000000) /* the numbers of a file have 15 digits */
#define SMALL_MOST (1u << 30)

enum kind { TEXT, REAL, SMALL, WHOLE, FLAG, OUTCOME };

struct field {
    const char *name;
    enum kind kind;
    size_t offset, size;
};

#define FIELD(type, kind, member)                                                        \
    {                                                                                    \
#member, kind, offsetof(struct type, member), sizeof(((struct type *)0)->member) \
    }
#define NAMED(type, kind, name, member)                                               \
    {                                                                                 \
        name, kind, offsetof(struct type, member), sizeof(((struct type *)0)->member) \
    }

static const struct field root_fields[] = {
    FIELD(record, FLAG, partial),
    FIELD(record, TEXT, date),
    FIELD(record, TEXT, command),
    FIELD(record, REAL, elapsed_s),
    FIELD(record, SMALL, faults),
    FIELD(record, SMALL, targets_met),
    FIELD(record, SMALL, targets_missed),
    FIELD(record, SMALL, targets_open),
    {0},
};

static const struct field machine_fields[] = {
    FIELD(record_machine, TEXT, processor),     FIELD(record_machine, SMALL, processors),
    FIELD(record_machine, WHOLE, memory_bytes), FIELD(record_machine, TEXT, kernel),
    FIELD(record_machine, TEXT, compiler),      FIELD(record_machine, TEXT, flags),
    FIELD(record_machine, TEXT, allocator),     FIELD(record_machine, TEXT, ck),
    FIELD(record_machine, TEXT, library),       FIELD(record_machine, TEXT, commit),
    FIELD(record_machine, REAL, load_average),  {0},
};

static const struct field options_fields[] = {
    FIELD(record_options, TEXT, workloads),
    FIELD(record_options, TEXT, contenders),
    FIELD(record_options, TEXT, threads),
    FIELD(record_options, TEXT, distribution),
    FIELD(record_options, TEXT, pin),
    FIELD(record_options, TEXT, time),
    FIELD(record_options, REAL, duration_s),
    FIELD(record_options, REAL, warmup_s),
    FIELD(record_options, REAL, rate),
    FIELD(record_options, SMALL, repeats),
    FIELD(record_options, SMALL, locks_per_commit),
    FIELD(record_options, WHOLE, keys),
    FIELD(record_options, WHOLE, value_size),
    FIELD(record_options, WHOLE, seed),
    {0},
};

static const struct field contender_fields[] = {
    FIELD(record_contender, TEXT, name),
    FIELD(record_contender, TEXT, what),
    FIELD(record_contender, FLAG, ours),
    {0},
};

static const struct field workload_fields[] = {
    FIELD(record_workload, TEXT, name),
    FIELD(record_workload, TEXT, what),
    FIELD(record_workload, TEXT, unit),
    FIELD(record_workload, REAL, scale),
    FIELD(record_workload, TEXT, distribution),
    FIELD(record_workload, TEXT, subject),
    {0},
};

static const struct field row_fields[] = {
    FIELD(record_row, TEXT, workload),     FIELD(record_row, TEXT, contender),
    FIELD(record_row, TEXT, distribution), FIELD(record_row, SMALL, threads),
    FIELD(record_row, SMALL, planned),     FIELD(record_row, REAL, median),
    FIELD(record_row, REAL, spread),       FIELD(record_row, REAL, ratio),
    FIELD(record_row, WHOLE, commits),     FIELD(record_row, WHOLE, races),
    FIELD(record_row, WHOLE, retries),     FIELD(record_row, WHOLE, raced_keys),
    FIELD(record_row, WHOLE, late),        FIELD(record_row, REAL, jain),
    FIELD(record_row, REAL, slowest),      FIELD(record_row, REAL, elapsed_s),
    FIELD(record_row, REAL, others_s),     FIELD(record_row, FLAG, transacts),
    FIELD(record_row, FLAG, has_retries),  FIELD(record_row, TEXT, fault),
    FIELD(record_row, TEXT, missing),      FIELD(record_row, WHOLE, wrong),
    FIELD(record_row, WHOLE, failed),      FIELD(record_row, FLAG, partial),
    FIELD(record_row, FLAG, crowded),      FIELD(record_row, FLAG, unsteady),
    FIELD(record_row, FLAG, busy),         {0},
};

static const struct field latency_fields[] = {
    NAMED(record_latency, WHOLE, "p50_ns", p50),
    NAMED(record_latency, WHOLE, "p99_ns", p99),
    NAMED(record_latency, WHOLE, "p999_ns", p999),
    NAMED(record_latency, WHOLE, "maximum_ns", maximum),
    {0},
};

static const struct field target_fields[] = {
    FIELD(record_target, TEXT, text),
    FIELD(record_target, OUTCOME, outcome),
    FIELD(record_target, FLAG, aim),
    {0},
};

static const struct field figure_fields[] = {
    FIELD(record_figure, TEXT, name),
    FIELD(record_figure, TEXT, unit),
    FIELD(record_figure, REAL, value),
    FIELD(record_figure, FLAG, contention),
    {0},
};

static const struct field hot_fields[] = {
    FIELD(record_hot, TEXT, key),
    NAMED(record_hot, REAL, "share_least", least),
    NAMED(record_hot, REAL, "share_most", most),
    {0},
};

static const char *const outcomes[] = {
    [REPORT_MET] = "met", [REPORT_MISSED] = "missed", [REPORT_NO_FIGURE] = "no figure"};

/* ---- writing --------------------------------------------------------------------------------- */

/* All 64 bits of it, where a double would lose some. */
static cJSON *
whole_item(uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return cJSON_CreateRaw(text);
}

static cJSON *
wholes_item(const uint64_t *from, size_t count)
{
    cJSON *array = cJSON_CreateArray();

    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, whole_item(from[i]));
    return array;
}

static void
whole_write(cJSON *object, const char *name, uint64_t value)
{
    cJSON_AddItemToObject(object, name, whole_item(value));
}

/* A number that reads as it was, in as few digits as that takes. cJSON takes 15 digits for enough
 * where they are one bit off, and writes the greatest double as a number that reads as infinite. */
static cJSON *
real_item(double value)
{
    char text[32];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return isfinite(value) ? cJSON_CreateRaw(text) : cJSON_CreateNull();
}

static void
real_write(cJSON *object, const char *name, double value)
{
    cJSON_AddItemToObject(object, name, real_item(value));
}

static void
fields_write(cJSON *object, const struct field *fields, const void *from)
{
    for (const struct field *field = fields; field->name != NULL; field++) {
        const void *at = (const char *)from + field->offset;
        switch (field->kind) {
        case TEXT:
            cJSON_AddStringToObject(object, field->name, at);
            break;
        case REAL:
            real_write(object, field->name, *(const double *)at);
            break;
        case SMALL:
            whole_write(object, field->name, *(const unsigned *)at);
            break;
        case WHOLE:
            whole_write(object, field->name, *(const uint64_t *)at);
            break;
        case FLAG:
            cJSON_AddBoolToObject(object, field->name, *(const bool *)at);
            break;
        case OUTCOME:
            cJSON_AddStringToObject(object, field->name,
                                    outcomes[*(const enum report_outcome *)at]);
        }
    }
}

/* An array of objects, which lie one behind the other. */
static void
list_write(cJSON *object, const char *name, const struct field *fields, const void *from,
           size_t size, size_t count)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);

    for (size_t i = 0; i < count; i++) {
        cJSON *one = cJSON_CreateObject();
        fields_write(one, fields, (const char *)from + i * size);
        cJSON_AddItemToArray(array, one);
    }
}

#define LIST_WRITE(object, name, fields, array, count) \
    list_write(object, name, fields, array, sizeof *(array), count)

static void
histogram_write(cJSON *row, const struct histogram *histogram)
{
    struct record_latency latency = record_latency_of(histogram);
    cJSON *object = cJSON_AddObjectToObject(row, "latency");
    double mean, deviation;

    whole_write(object, "count", histogram->total);
    if (histogram->total == 0)
        return;
    histogram_moments(histogram, &mean, &deviation);
    real_write(object, "mean_ns", mean);
    whole_write(object, "p90_ns", histogram_percentile(histogram, 0.9));
    whole_write(object, "p9999_ns", histogram_percentile(histogram, 0.9999));
    fields_write(object, latency_fields, &latency);
    cJSON *buckets = cJSON_AddArrayToObject(object, "buckets");
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->buckets[i] == 0)
            continue;
        uint64_t pair[2] = {histogram_value(i), histogram->buckets[i]};
        cJSON_AddItemToArray(buckets, wholes_item(pair, 2));
    }
}

static void
row_write(cJSON *array, const struct record_row *row)
{
    cJSON *object = cJSON_CreateObject(), *repeats;

    fields_write(object, row_fields, row);
    repeats = cJSON_AddArrayToObject(object, "repeats");
    for (unsigned i = 0; i < row->repeats; i++) {
        cJSON *repeat = cJSON_CreateObject();
        real_write(repeat, "rate", row->rates[i]);
        fields_write(repeat, latency_fields, &row->latencies[i]);
        cJSON_AddItemToObject(repeat, "thread_operations",
                              wholes_item(row->operations[i], row->threads));
        cJSON_AddItemToArray(repeats, repeat);
    }
    histogram_write(object, &row->latency);
    if (row->transacts)
        cJSON_AddItemToObject(object, "attempts", wholes_item(row->attempts, RECORD_ATTEMPTS));
    LIST_WRITE(object, "hot_keys", hot_fields, row->hot, row->hot_count);
    LIST_WRITE(object, "targets", target_fields, row->targets, row->target_count);
    LIST_WRITE(object, "figures", figure_fields, row->figures, row->figure_count);
    cJSON_AddItemToArray(array, object);
}

cJSON *
record_json(const struct record *record)
{
    cJSON *root = cJSON_CreateObject();

    cJSON_AddStringToObject(root, "format", RECORD_FORMAT);
    fields_write(root, root_fields, record);
    fields_write(cJSON_AddObjectToObject(root, "machine"), machine_fields, &record->machine);
    fields_write(cJSON_AddObjectToObject(root, "options"), options_fields, &record->options);
    LIST_WRITE(root, "contenders", contender_fields, record->contenders, record->contender_count);
    LIST_WRITE(root, "workloads", workload_fields, record->workloads, record->workload_count);
    cJSON *rows = cJSON_AddArrayToObject(root, "rows");
    for (size_t i = 0; i < record->row_count; i++)
        row_write(rows, record->rows[i]);
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

static bool
text_write(FILE *file, const struct record *record)
{
    char *text = record_json_text(record);
    bool good = text != NULL && fputs(text, file) >= 0 && fputc('\n', file) != EOF;

    free(text);
    return good;
}

bool
report_json(const struct record *record, const char *path)
{
    return output_write(path, text_write, record);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The nearest number that a conversion stands. 1e999 is infinite, which no file can hold. */
static uint64_t
item_whole(const cJSON *item)
{
    double number = cJSON_IsNumber(item) ? item->valuedouble : 0;

    return !(number > 0) || !isfinite(number) ? 0 : number < 0x1p63 ? (uint64_t)number : UINT64_MAX;
}

static enum report_outcome
item_outcome(const cJSON *item)
{
    const char *text = cJSON_GetStringValue(item);

    for (enum report_outcome i = REPORT_MET; i < REPORT_NO_FIGURE; i++)
        if (text != NULL && strcmp(text, outcomes[i]) == 0)
            return i;
    return REPORT_NO_FIGURE;
}

static void
fields_read(const cJSON *object, const struct field *fields, void *into)
{
    for (const struct field *field = fields; field->name != NULL; field++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field->name);
        const char *text = cJSON_GetStringValue(item);
        void *at = (char *)into + field->offset;
        uint64_t whole = item_whole(item);
        switch (field->kind) {
        case TEXT:
            snprintf(at, field->size, "%s", text != NULL ? text : "");
            break;
        case REAL:
            *(double *)at =
                cJSON_IsNumber(item) && isfinite(item->valuedouble) ? item->valuedouble : 0;
            break;
        case SMALL:
            *(unsigned *)at = whole < SMALL_MOST ? (unsigned)whole : SMALL_MOST;
            break;
        case WHOLE:
            *(uint64_t *)at = whole;
            break;
        case FLAG:
            *(bool *)at = cJSON_IsTrue(item);
            break;
        case OUTCOME:
            *(enum report_outcome *)at = item_outcome(item);
        }
    }
}

/* At most so many objects; returns how many. */
static size_t
list_read(const cJSON *object, const char *name, const struct field *fields, void *into,
          size_t size, size_t most)
{
    const cJSON *item;
    size_t count = 0;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, name))
    {
        if (count == most)
            break;
        fields_read(item, fields, (char *)into + count++ * size);
    }
    return count;
}

static void
numbers_read(const cJSON *object, const char *name, uint64_t *into, size_t most)
{
    const cJSON *item;
    size_t at = 0;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, name))
    {
        if (at < most)
            into[at++] = item_whole(item);
    }
}

static void
histogram_read(const cJSON *row, struct histogram *histogram)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(row, "latency"), *pair;

    memset(histogram, 0, sizeof *histogram);
    cJSON_ArrayForEach(pair, cJSON_GetObjectItemCaseSensitive(object, "buckets"))
    {
        const cJSON *value = cJSON_GetArrayItem(pair, 0), *number = cJSON_GetArrayItem(pair, 1);
        if (!cJSON_IsNumber(value) || !cJSON_IsNumber(number))
            continue;
        uint64_t count = item_whole(number), most = EXACT_MOST - histogram->total;
        histogram_add_many(histogram, item_whole(value), count < most ? count : most);
    }
    histogram->maximum = item_whole(cJSON_GetObjectItemCaseSensitive(object, "maximum_ns"));
}

static void
repeats_read(const cJSON *object, struct record_row *row)
{
    const cJSON *repeat;

    row->repeats = 0;
    cJSON_ArrayForEach(repeat, cJSON_GetObjectItemCaseSensitive(object, "repeats"))
    {
        unsigned i = row->repeats;
        if (i == RECORD_REPEATS_MAX)
            return;
        double rate = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(repeat, "rate"));
        row->rates[i] = isfinite(rate) ? rate : 0;
        fields_read(repeat, latency_fields, &row->latencies[i]);
        numbers_read(repeat, "thread_operations", row->operations[i], RECORD_THREADS_MAX);
        row->repeats++;
    }
}

static void
row_read(const cJSON *object, struct record *record)
{
    struct record_row key;
    struct record_figure figure;
    const cJSON *item;

    fields_read(object, row_fields, &key);
    if (key.threads > RECORD_THREADS_MAX)
        key.threads = RECORD_THREADS_MAX;
    struct record_row *row = record_row(record, key.workload, key.contender, key.threads);
    fields_read(object, row_fields, row);
    row->threads = key.threads;
    repeats_read(object, row);
    histogram_read(object, &row->latency);
    numbers_read(object, "attempts", row->attempts, RECORD_ATTEMPTS);
    row->hot_count =
        list_read(object, "hot_keys", hot_fields, row->hot, sizeof *row->hot, RECORD_HOT_MAX);
    row->target_count = list_read(object, "targets", target_fields, row->targets,
                                  sizeof *row->targets, RECORD_TARGETS_MAX);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "figures"))
    {
        fields_read(item, figure_fields, &figure);
        record_row_figure(row, figure.name, figure.unit, figure.value)->contention =
            figure.contention;
    }
    record_summarise(row, record->machine.processors);
}

static bool
record_from_json(struct record *record, const cJSON *root)
{
    const char *format = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "format"));
    struct record_workload workload;
    struct record_contender contender;
    const cJSON *item;

    if (format == NULL || strcmp(format, RECORD_FORMAT) != 0)
        return false;
    fields_read(root, root_fields, record);
    fields_read(cJSON_GetObjectItemCaseSensitive(root, "machine"), machine_fields,
                &record->machine);
    fields_read(cJSON_GetObjectItemCaseSensitive(root, "options"), options_fields,
                &record->options);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "contenders"))
    {
        fields_read(item, contender_fields, &contender);
        record_contender(record, contender.name, contender.what, contender.ours);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "workloads"))
    {
        fields_read(item, workload_fields, &workload);
        workload.scale = workload.scale > 0 ? workload.scale : 1;
        *record_workload(record, workload.name) = workload;
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "rows")) row_read(item, record);
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
