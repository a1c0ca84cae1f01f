/* SPDX-License-Identifier: MIT
 *
 * The texts of the page's tables: each row's figures as people read them, and which rows, targets,
 * figures and hot keys each workload has.
 */
#ifndef BENCH_PAGE_TABLES_H
#define BENCH_PAGE_TABLES_H

#include "page/facts.h"

void tables_tell(cJSON *root, const struct record *record, const struct duel *duels);

/* How a standing is shown: `kind`, `sign`, `word`. */
void standing_add(cJSON *object, enum standing standing);

/* Whether the row has a rate. */
bool row_measured(const struct record_row *row);

#endif
