/* SPDX-License-Identifier: MIT
 *
 * The texts of tables. See tables.h.
 */
#include "page/tables.h"

#include "page/text.h"

#include <stdio.h>
#include <string.h>

/* ---- one row --------------------------------------------------------------------------------- */

static void
notes_add(cJSON *object, const struct record_row *row)
{
    const struct {
        bool holds;
        const char *text;
    } notes[] = {{row->fault[0] != '\0', "wrong"},
                 {row->missing[0] != '\0', row->missing},
                 {row->partial, "partial"},
                 {row->repeats == 1, "1 repeat"},
                 {row->crowded, "crowded"},
                 {row->unsteady, "unsteady"},
                 {row->busy, "busy"}};
    char text[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < sizeof notes / sizeof *notes && used < sizeof text; i++)
        if (notes[i].holds)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used > 0 ? ", " : "",
                                     notes[i].text);
    cJSON_AddStringToObject(object, "notes", text);
}

static void
latency_add(cJSON *object, const struct histogram *latency)
{
    static const struct {
        const char *name;
        double fraction;
        uint64_t least; /* samples for it to mean something */
    } points[] = {{"p50", 0.5, 1}, {"p99", 0.99, 100}, {"p999", 0.999, 1000}};

    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        cJSON_AddStringToObject(
            object, points[i].name,
            latency->total >= points[i].least
                ? text_duration((double)histogram_percentile(latency, points[i].fraction)).s
                : "–");
    cJSON_AddStringToObject(object, "most",
                            latency->total > 0 ? text_duration((double)latency->maximum).s : "–");
}

static void
races_add(cJSON *object, const struct record_row *row)
{
    char text[96] = "–";
    double commits = row->commits > 0 ? (double)row->commits : 1;

    if (row->transacts)
        snprintf(text, sizeof text, "%s", text_share((double)row->races / commits).s);
    if (row->transacts && row->has_retries)
        snprintf(text + strlen(text), sizeof text - strlen(text), ", retries %s",
                 text_share((double)row->retries / commits).s);
    cJSON_AddStringToObject(object, "races_text", text);
}

static void
row_tell(cJSON *object, const struct record_row *row, const struct record_workload *workload,
         const struct duel *duel, bool by_rate)
{
    bool measured = row_measured(row);
    double scale = workload != NULL ? workload->scale : 1;

    cJSON_AddBoolToObject(object, "strong",
                          workload != NULL && strcmp(row->contender, workload->subject) == 0);
    cJSON_AddStringToObject(object, "rate", measured ? text_number(row->median / scale).s : "–");
    cJSON_AddStringToObject(object, "spread_text",
                            row->repeats > 1 ? text_share(row->spread).s : "–");
    cJSON_AddStringToObject(object, "versus_text",
                            duel->own != NULL ? text_ratio(duel->ratio).s : "");
    cJSON_AddStringToObject(object, "threads_text", text_threads(row->threads).s);
    cJSON_AddBoolToObject(object, "by_latency", by_rate);
    standing_add(object, duel->standing);
    latency_add(object, &row->latency);
    cJSON_AddStringToObject(object, "slowest_text",
                            row->threads > 1 && row->jain > 0 ? text_share(row->slowest).s : "–");
    races_add(object, row);
    notes_add(object, row);
    cJSON *comparison = cJSON_GetObjectItem(object, "comparison");
    if (comparison == NULL)
        return;
    cJSON_AddStringToObject(comparison, "median_text",
                            row->comparison.of_latency
                                ? text_duration(row->comparison.median).s
                                : text_number(row->comparison.median / scale).s);
    cJSON_AddStringToObject(comparison, "plus", row->comparison.difference > 0 ? "+" : "");
    cJSON_AddStringToObject(comparison, "difference_text",
                            text_share(row->comparison.difference).s);
    cJSON_AddStringToObject(comparison, "against_text",
                            row->comparison.rivals != 0 ? text_share(row->comparison.against).s
                                                        : "–");
}

/* ---- what a workload has --------------------------------------------------------------------- */

static void
targets_tell(cJSON *into, const struct record_row *row)
{
    static const char *const words[] = {"met", "not reached", "no figure"};
    static const char *const kinds[] = {"ahead", "level", "none"};

    for (size_t i = 0; i < row->target_count; i++) {
        const struct record_target *target = &row->targets[i];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", target->aim ? "aim" : "target");
        cJSON_AddStringToObject(one, "text", target->text);
        cJSON_AddStringToObject(one, "contender", row->contender);
        cJSON_AddStringToObject(one, "threads_text", text_threads(row->threads).s);
        cJSON_AddStringToObject(one, "kind", kinds[target->outcome]);
        cJSON_AddStringToObject(one, "word", words[target->outcome]);
        cJSON_AddStringToObject(one, "is", row->ratio > 0 ? text_ratio(row->ratio).s : "");
        cJSON_AddItemToArray(into, one);
    }
}

/* Figures with names of their own, and counters, which are per operation where they have no unit.
 * */
static void
figures_tell(cJSON *figures, cJSON *counters, const struct record_row *row)
{
    for (size_t i = 0; i < row->figure_count; i++) {
        const struct record_figure *figure = &row->figures[i];
        bool counter = figure->contention && figure->unit[0] == '\0';
        if (figure->contention && !(figure->value > 0))
            continue;
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "contender", row->contender);
        cJSON_AddNumberToObject(one, "threads", row->threads);
        cJSON_AddStringToObject(one, "name", figure->name);
        cJSON_AddStringToObject(one, "value",
                                text_number(counter ? 1000 * figure->value : figure->value).s);
        cJSON_AddStringToObject(one, "unit", counter ? "per 1,000 operations" : figure->unit);
        cJSON_AddItemToArray(figure->contention ? counters : figures, one);
    }
}

static void
hot_tell(cJSON *into, const struct record_row *row)
{
    for (size_t i = 0; i < row->hot_count; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "contender", row->contender);
        cJSON_AddNumberToObject(one, "threads", row->threads);
        cJSON_AddStringToObject(one, "key", row->hot[i].key);
        cJSON_AddStringToObject(one, "least", text_share(row->hot[i].least).s);
        cJSON_AddStringToObject(one, "most", text_share(row->hot[i].most).s);
        cJSON_AddItemToArray(into, one);
    }
}

static void
workload_tell(cJSON *object, cJSON *rows, const struct record *record, size_t index)
{
    const struct record_workload *workload = &record->workloads[index];
    cJSON *measured = cJSON_AddArrayToObject(object, "measured");
    cJSON *faults = cJSON_AddArrayToObject(object, "faults");
    cJSON *targets = cJSON_AddArrayToObject(object, "targets");
    cJSON *figures = cJSON_AddArrayToObject(object, "figures");
    cJSON *counters = cJSON_AddArrayToObject(object, "counters");
    cJSON *hot = cJSON_AddArrayToObject(object, "hot");
    cJSON *row = rows->child;

    cJSON_AddNumberToObject(object, "index", (double)index);
    for (size_t i = 0; i < record->row_count; i++, row = row->next) {
        const struct record_row *one = record->rows[i];
        if (strcmp(one->workload, workload->name) != 0)
            continue;
        if (row_measured(one) || one->missing[0] != '\0' || one->fault[0] != '\0')
            cJSON_AddItemReferenceToArray(measured, row);
        if (one->fault[0] != '\0' || one->missing[0] != '\0')
            cJSON_AddItemReferenceToArray(faults, row);
        targets_tell(targets, one);
        figures_tell(figures, counters, one);
        hot_tell(hot, one);
    }
    cJSON_AddBoolToObject(object, "rated", measured->child != NULL);
    cJSON_AddBoolToObject(object, "targets_any", targets->child != NULL);
    cJSON_AddBoolToObject(object, "figured", figures->child != NULL);
    cJSON_AddBoolToObject(object, "counting", counters->child != NULL);
    cJSON_AddBoolToObject(object, "raced", hot->child != NULL);
    cJSON_AddBoolToObject(object, "counted", counters->child != NULL || hot->child != NULL);
}

/* ---- around the workloads -------------------------------------------------------------------- */

/* The command's options: without its first word, which may stand in quotes. */
static const char *
command_options(const char *command)
{
    if (*command == '\'')
        command += 1 + strcspn(command + 1, "'");
    return command + strcspn(command, " ");
}

static void
baseline_tell(cJSON *root, cJSON *rows, const struct record *record)
{
    unsigned counts[RECORD_REGRESSED + 1] = {0};
    cJSON *against = cJSON_AddObjectToObject(root, "against_baseline");
    cJSON *compared = cJSON_AddArrayToObject(against, "compared"), *row;

    for (size_t i = 0; i < record->row_count; i++)
        counts[record->rows[i]->comparison.verdict]++;
    cJSON_ArrayForEach(row, rows)
    {
        if (cJSON_GetObjectItem(row, "comparison") != NULL)
            cJSON_AddItemReferenceToArray(compared, row);
    }
    cJSON_AddNumberToObject(against, "regressed", counts[RECORD_REGRESSED]);
    cJSON_AddStringToObject(against, "plural", plural(counts[RECORD_REGRESSED]));
    cJSON_AddNumberToObject(against, "improved", counts[RECORD_IMPROVED]);
    cJSON_AddNumberToObject(against, "same", counts[RECORD_NO_CHANGE]);
    cJSON_AddNumberToObject(against, "unclear", counts[RECORD_UNCLEAR]);
    cJSON_AddNumberToObject(against, "few", counts[RECORD_TOO_FEW]);
    cJSON_AddNumberToObject(against, "alone", counts[RECORD_NO_RIVAL]);
}

void
tables_tell(cJSON *root, const struct record *record, const struct duel *duels)
{
    cJSON *rows = cJSON_GetObjectItem(root, "rows"), *object;
    const struct record_options *options = &record->options;
    char text[160];
    size_t at = 0;

    cJSON_ArrayForEach(object, rows)
    {
        const struct record_row *row = record->rows[at];
        row_tell(object, row, record_workload_find(record, row->workload), &duels[at++],
                 options->rate > 0);
    }
    at = 0;
    cJSON_ArrayForEach(object, cJSON_GetObjectItem(root, "workloads"))
        workload_tell(object, rows, record, at++);
    baseline_tell(root, rows, record);
    snprintf(text, sizeof text, "%u of %s after %s of warm-up", options->repeats,
             text_duration(options->duration_s * 1e9).s, text_duration(options->warmup_s * 1e9).s);
    cJSON_AddStringToObject(root, "repeats_text", text);
    cJSON_AddStringToObject(root, "command_options", command_options(record->command));
    cJSON_AddStringToObject(root, "took", text_duration(record->elapsed_s * 1e9).s);
    snprintf(text, sizeof text, "%s GiB",
             text_number((double)record->machine.memory_bytes / (1 << 30)).s);
    cJSON_AddStringToObject(root, "memory", record->machine.memory_bytes > 0 ? text : "");
    cJSON_AddNumberToObject(root, "targets_all",
                            record->targets_met + record->targets_missed + record->targets_open);
}
