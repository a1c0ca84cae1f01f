/* SPDX-License-Identifier: MIT
 *
 * The texts of the page's tables, for the template alone: each row's figures as people read them,
 * and which rows, targets, figures and hot keys each workload has. After facts_judge.
 */
#ifndef BENCH_PAGE_TABLES_H
#define BENCH_PAGE_TABLES_H

#include "page/facts.h"

void tables_tell(cJSON *root, const struct record *record, const struct duel *duels);

#endif
