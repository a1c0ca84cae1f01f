/* SPDX-License-Identifier: MIT
 *
 * What the page says beyond the record: who is ahead, what that adds up to, what makes it doubtful.
 * All of it is members that are added to the record's JSON, as are the texts of tables (tables.h).
 *
 * A row is ahead or behind where the workload's subject and it have enough repeats that do not
 * overlap (statistics_judge); with a fixed rate p99 is compared, else the rate. A workload is ahead
 * or level where it is so in all rows of rivals, behind where it is in one.
 */
#ifndef BENCH_PAGE_FACTS_H
#define BENCH_PAGE_FACTS_H

#include "record/record.h"

#include <cjson/cJSON.h>

enum standing { STANDING_NONE, STANDING_AHEAD, STANDING_LEVEL, STANDING_BEHIND, STANDING_UNCLEAR };
#define STANDINGS 5

/* The workload's subject against one row. */
struct duel {
    const struct record_row *own; /* NULL: they cannot be compared */
    double ratio; /* how many times as good the subject is; of p99, lower is better */
    enum standing standing;
    bool tested, rival; /* enough repeats for a verdict; the row is of no contender of ours */
};

/* Whether the row has a rate. */
bool row_measured(const struct record_row *row);

/* How a standing is shown: `kind`, `sign`, `word`. */
void standing_add(cJSON *object, enum standing standing);

/* One for each row, for free(). NULL: out of memory. */
struct duel *duels_fight(const struct record *record);

/* To the JSON of the record: rows get `versus`, `standing`, `rival` and `comparison`, workloads
 * `standing`. This is what the page's script sees. */
void facts_judge(cJSON *root, const struct record *record, const struct duel *duels);

/* Then what the template alone needs: `verdict`, `doubts`, and the words of each workload. */
void facts_tell(cJSON *root, const struct record *record, const struct duel *duels);

#endif
