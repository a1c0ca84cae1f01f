/* SPDX-License-Identifier: MIT
 *
 * Who is ahead, and what that adds up to. See facts.h; the texts of tables are in tables.c.
 */
#include "page/facts.h"

#include "page/text.h"
#include "record/statistics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *kind, *sign, *word;
} standings[STANDINGS] = {{"none", "", "not compared"},
                          {"ahead", "▲", "ahead"},
                          {"level", "=", "level"},
                          {"behind", "▼", "behind"},
                          {"unclear", "?", "unclear"}};

void
standing_add(cJSON *object, enum standing standing)
{
    cJSON_AddStringToObject(object, "kind", standings[standing].kind);
    cJSON_AddStringToObject(object, "sign", standings[standing].sign);
    cJSON_AddStringToObject(object, "word", standings[standing].word);
}

/* ---- rows against each other ----------------------------------------------------------------- */

bool
row_measured(const struct record_row *row)
{
    return row != NULL && row->repeats > 0 && row->median > 0;
}

static void
duel_fight(const struct record *record, const struct record_row *row, struct duel *duel)
{
    static const enum standing of[] = {[STATISTICS_TOO_FEW] = STANDING_UNCLEAR,
                                       [STATISTICS_UNCLEAR] = STANDING_UNCLEAR,
                                       [STATISTICS_ALIKE] = STANDING_LEVEL,
                                       [STATISTICS_MORE] = STANDING_AHEAD,
                                       [STATISTICS_LESS] = STANDING_BEHIND};
    const struct record_workload *workload = record_workload_find(record, row->workload);
    const char *subject =
        workload != NULL && workload->subject[0] != '\0' ? workload->subject : "latchkey";
    const struct record_row *own =
        record_row_find(record, row->workload, subject, row->threads, row->distribution);
    double mine[RECORD_REPEATS_MAX], other[RECORD_REPEATS_MAX];

    duel->rival = !record_ours(record, row->contender);
    if (!row_measured(own) || !row_measured(row) || own == row || own->fault[0] != '\0' ||
        row->fault[0] != '\0')
        return;
    bool of_latency = record->options.rate > 0;
    size_t mine_count = record_scores(own, of_latency, mine);
    size_t count = record_scores(row, of_latency, other);
    double median = statistics_median(other, count), best = statistics_median(mine, mine_count);
    if (!(median > 0) || !(best > 0))
        return;
    enum statistics_judgement judgement = statistics_judge(mine, mine_count, other, count, 0);
    duel->own = own;
    duel->ratio = best / median;
    duel->standing = of[judgement];
    duel->tested = judgement != STATISTICS_TOO_FEW;
}

struct duel *
duels_fight(const struct record *record)
{
    struct duel *duels = calloc(record->row_count + 1, sizeof *duels);

    for (size_t i = 0; duels != NULL && i < record->row_count; i++)
        duel_fight(record, record->rows[i], &duels[i]);
    return duels;
}

/* ---- a workload ------------------------------------------------------------------------------ */

#define NO_ROW SIZE_MAX

struct match {
    unsigned counts[STANDINGS]; /* of rows */
    enum standing standing;
    size_t worst,
        behind; /* rows with the least ratio, of all and of those that are lost for sure */
};

static struct match
match_play(const struct record *record, const struct duel *duels, const char *workload)
{
    static const enum standing order[] = {STANDING_BEHIND, STANDING_UNCLEAR, STANDING_LEVEL,
                                          STANDING_AHEAD};
    struct match match = {.worst = NO_ROW, .behind = NO_ROW};

    for (size_t i = 0; i < record->row_count; i++) {
        const struct duel *duel = &duels[i];
        if (duel->own == NULL || !duel->rival || strcmp(record->rows[i]->workload, workload) != 0)
            continue;
        match.counts[duel->standing]++;
        if (match.worst == NO_ROW || duel->ratio < duels[match.worst].ratio)
            match.worst = i;
        if (duel->standing == STANDING_BEHIND &&
            (match.behind == NO_ROW || duel->ratio < duels[match.behind].ratio))
            match.behind = i;
    }
    for (size_t i = 0; i < 4 && match.standing == STANDING_NONE; i++)
        if (match.counts[order[i]] > 0)
            match.standing = order[i];
    return match;
}

/* ---- what the script sees -------------------------------------------------------------------- */

static void
comparison_add(cJSON *object, const struct record_comparison *comparison)
{
    static const char *const words[] = {"not compared", "a rival",   "no rival", "too few repeats",
                                        "unclear",      "no change", "improved", "regressed"};

    if (comparison->verdict == RECORD_NOT_COMPARED)
        return;
    cJSON *into = cJSON_AddObjectToObject(object, "comparison");
    cJSON_AddStringToObject(into, "verdict", words[comparison->verdict]);
    cJSON_AddNumberToObject(into, "median", comparison->median);
    cJSON_AddNumberToObject(into, "difference", comparison->difference);
    cJSON_AddNumberToObject(into, "against", comparison->against);
    cJSON_AddNumberToObject(into, "rivals", comparison->rivals);
    cJSON_AddBoolToObject(into, "of_latency", comparison->of_latency);
}

void
facts_judge(cJSON *root, const struct record *record, const struct duel *duels)
{
    cJSON *rows = cJSON_GetObjectItem(root, "rows"), *object;
    size_t at = 0;

    cJSON_AddStringToObject(root, "baseline", record->baseline);
    cJSON_ArrayForEach(object, rows)
    {
        const struct duel *duel = &duels[at];
        cJSON_AddNumberToObject(object, "versus", duel->own != NULL ? duel->ratio : 0);
        cJSON_AddStringToObject(object, "standing", standings[duel->standing].kind);
        cJSON_AddBoolToObject(object, "rival", duel->rival);
        comparison_add(object, &record->rows[at++]->comparison);
    }
    cJSON_ArrayForEach(object, cJSON_GetObjectItem(root, "workloads"))
    {
        const char *name = cJSON_GetObjectItem(object, "name")->valuestring;
        struct match match = match_play(record, duels, name);
        cJSON_AddStringToObject(object, "standing", standings[match.standing].kind);
    }
}

/* ---- the verdict ----------------------------------------------------------------------------- */

/* "in get with 2 threads, striped is 1.41 times as fast as latchkey", in parts. */
static cJSON *
end_of(const struct record *record, const struct duel *duels, size_t row)
{
    const struct record_row *rival = record->rows[row];
    const struct duel *duel = &duels[row];
    bool ahead = duel->ratio >= 1;
    cJSON *end = cJSON_CreateObject();

    cJSON_AddStringToObject(end, "workload", rival->workload);
    cJSON_AddStringToObject(end, "threads_text", text_threads(rival->threads).s);
    cJSON_AddStringToObject(end, "winner", ahead ? duel->own->contender : rival->contender);
    cJSON_AddStringToObject(end, "loser", ahead ? rival->contender : duel->own->contender);
    cJSON_AddStringToObject(end, "times", text_ratio(ahead ? duel->ratio : 1 / duel->ratio).s);
    cJSON_AddBoolToObject(end, "doubtful", duel->standing == STANDING_UNCLEAR);
    return end;
}

/* The numbers of threads that were compared: "1 and 2 threads". */
static void
threads_add(cJSON *verdict, const struct record *record, const struct duel *duels)
{
    bool seen[RECORD_THREADS_MAX + 1] = {false};
    unsigned last = 0;
    char text[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < record->row_count; i++)
        if (duels[i].own != NULL && record->rows[i]->threads <= RECORD_THREADS_MAX)
            seen[record->rows[i]->threads] = true;
    for (unsigned i = 1; i <= RECORD_THREADS_MAX; i++)
        last = seen[i] ? i : last;
    for (unsigned i = 1; i <= last && used < sizeof text; i++)
        if (seen[i])
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%u",
                                     used == 0   ? ""
                                     : i == last ? " and "
                                                 : ", ",
                                     i);
    if (last != 0 && used < sizeof text)
        snprintf(text + used, sizeof text - used, " thread%s", plural(last));
    cJSON_AddStringToObject(verdict, "threads", text);
}

static cJSON *
verdict_add(cJSON *root, const struct record *record, const struct duel *duels)
{
    unsigned workloads[STANDINGS] = {0}, rows[STANDINGS] = {0};
    size_t lead = NO_ROW, deficit = NO_ROW;
    cJSON *verdict = cJSON_AddObjectToObject(root, "verdict");
    cJSON *losses = cJSON_AddArrayToObject(verdict, "losses");

    for (size_t i = 0; i < record->workload_count; i++) {
        struct match match = match_play(record, duels, record->workloads[i].name);
        workloads[match.standing]++;
        for (size_t j = 0; j < STANDINGS; j++)
            rows[j] += match.counts[j];
        if (match.standing == STANDING_AHEAD &&
            (lead == NO_ROW || duels[match.worst].ratio > duels[lead].ratio))
            lead = match.worst;
        if (match.worst != NO_ROW && duels[match.worst].ratio < 1 &&
            (deficit == NO_ROW || duels[match.worst].ratio < duels[deficit].ratio))
            deficit = match.worst;
        if (match.behind != NO_ROW)
            cJSON_AddItemToArray(losses, end_of(record, duels, match.behind));
    }
    for (size_t i = STANDING_AHEAD; i < STANDINGS; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s_rows", standings[i].kind);
        cJSON_AddNumberToObject(verdict, standings[i].kind, workloads[i]);
        cJSON_AddNumberToObject(verdict, name, rows[i]);
    }
    cJSON_AddNumberToObject(verdict, "all",
                            (double)(record->workload_count - workloads[STANDING_NONE]));
    threads_add(verdict, record, duels);
    if (lead != NO_ROW)
        cJSON_AddItemToObject(verdict, "lead", end_of(record, duels, lead));
    if (deficit != NO_ROW)
        cJSON_AddItemToObject(verdict, "deficit", end_of(record, duels, deficit));
    return verdict;
}

/* ---- how far to trust it --------------------------------------------------------------------- */

static void
doubts_add(cJSON *root, const struct record *record)
{
    unsigned rows = 0, busy = 0, crowded = 0, unsteady = 0, few = 0, single = 0, missing = 0,
             faults = 0;
    const struct record_row *worst = NULL;
    uint64_t late = 0;
    cJSON *doubts = cJSON_AddObjectToObject(root, "doubts");

    for (size_t i = 0; i < record->row_count; i++) {
        const struct record_row *row = record->rows[i];
        faults += row->fault[0] != '\0';
        missing += row->missing[0] != '\0';
        if (!row_measured(row))
            continue;
        rows++;
        busy += row->busy;
        crowded += row->crowded;
        unsteady += row->unsteady;
        single += row->repeats == 1;
        few += row->repeats > 1 && row->repeats < STATISTICS_REPEATS;
        late += row->late;
        worst = worst == NULL || row->spread > worst->spread ? row : worst;
    }
    cJSON_AddNumberToObject(doubts, "rows", rows);
    cJSON_AddNumberToObject(doubts, "busy", busy);
    cJSON_AddBoolToObject(doubts, "loaded", busy != 0 || record->machine.load_average > 0.5);
    cJSON_AddNumberToObject(doubts, "crowded", crowded);
    cJSON_AddNumberToObject(doubts, "unsteady", unsteady);
    cJSON_AddNumberToObject(doubts, "single", single);
    cJSON_AddNumberToObject(doubts, "few", few);
    cJSON_AddNumberToObject(doubts, "missing", missing);
    cJSON_AddNumberToObject(doubts, "faults", record->faults != 0 ? record->faults : faults);
    cJSON_AddStringToObject(doubts, "late", late != 0 ? text_count(late).s : "");
    cJSON_AddStringToObject(doubts, "spread", worst != NULL ? text_share(worst->spread).s : "");
    cJSON_AddStringToObject(doubts, "spread_of", worst != NULL ? worst->contender : "");
    cJSON_AddStringToObject(doubts, "spread_in", worst != NULL ? worst->workload : "");
    cJSON_AddStringToObject(doubts, "spread_threads",
                            worst != NULL ? text_threads(worst->threads).s : "");
    cJSON_AddStringToObject(doubts, "load", text_number(record->machine.load_average).s);
    cJSON_AddStringToObject(doubts, "brief",
                            record->options.duration_s > 0 && record->options.duration_s < 0.2
                                ? text_duration(record->options.duration_s * 1e9).s
                                : "");
}

/* Whether a row of a rival is the worst of all with that rival. */
static bool
row_is_worst(const struct record *record, const struct duel *duels, size_t at)
{
    const struct record_row *row = record->rows[at];

    for (size_t i = 0; i < record->row_count; i++) {
        const struct record_row *other = record->rows[i];
        bool better = duels[i].own == NULL || duels[i].ratio > duels[at].ratio ||
                      (!(duels[i].ratio < duels[at].ratio) && i >= at);
        if (!better && strcmp(row->workload, other->workload) == 0 &&
            strcmp(row->contender, other->contender) == 0)
            return false;
    }
    return duels[at].own != NULL && duels[at].rival;
}

/* A workload's own verdict: "ahead of mutex (1.22 x with 1 thread); behind striped (0.79 x)". */
static void
workload_judge(cJSON *object, const struct record *record, const struct duel *duels)
{
    static const struct {
        enum standing standing;
        const char *word;
    } groups[] = {{STANDING_AHEAD, "ahead of"},
                  {STANDING_LEVEL, "level with"},
                  {STANDING_BEHIND, "behind"},
                  {STANDING_UNCLEAR, "unclear against"}};
    const char *name = cJSON_GetObjectItem(object, "name")->valuestring;
    enum standing standing = match_play(record, duels, name).standing;
    char text[4096] = "";
    size_t used = 0;

    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        unsigned count = 0;
        for (size_t j = 0; j < record->row_count && used < sizeof text; j++) {
            const struct record_row *row = record->rows[j];
            if (duels[j].standing != groups[i].standing || strcmp(row->workload, name) != 0 ||
                !row_is_worst(record, duels, j))
                continue;
            used +=
                (size_t)snprintf(text + used, sizeof text - used, "%s%s%s%s (%s ×%s%s)",
                                 count > 0  ? ", "
                                 : used > 0 ? "; "
                                            : "",
                                 count > 0 ? "" : groups[i].word, count > 0 ? "" : " ",
                                 row->contender, text_ratio(duels[j].ratio).s,
                                 row->threads != 0 ? " with " : "", text_threads(row->threads).s);
            count++;
        }
    }
    standing_add(object, standing);
    cJSON_AddStringToObject(object, "words", text);
}

void
facts_tell(cJSON *root, const struct record *record, const struct duel *duels)
{
    cJSON *object;

    cJSON_AddBoolToObject(root, "by_rate", record->options.rate > 0);
    verdict_add(root, record, duels);
    doubts_add(root, record);
    cJSON_ArrayForEach(object, cJSON_GetObjectItem(root, "workloads"))
        workload_judge(object, record, duels);
}
