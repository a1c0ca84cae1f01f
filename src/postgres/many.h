/* SPDX-License-Identifier: MIT
 *
 * Questions about several keys in one statement, and their answers in the order of the keys.
 */
#ifndef LKI_PG_MANY_H
#define LKI_PG_MANY_H

#include "postgres/connection.h"

/* By pk, then by sk: the order in which rows are locked. */
int lki_pg_key_order(const lk_key *a, const lk_key *b);

/* Two parameters: the pks and the sks. False: no memory. Both are to be freed in any case. */
bool lki_pg_keys_begin(lki_pg_array *pks, lki_pg_array *sks, size_t count);
bool lki_pg_keys_add(lki_pg_array *pks, lki_pg_array *sks, const lk_key *key);

/* Asks a statement {now, pks, sks} whose first column says which key it is. LK_OK: the answer and
 * the row of each key, -1 where there is none; the caller clears and frees them. */
lk_status lki_pg_ask_keys(lki_pg *store, lki_pg_statement statement, const lk_key *keys,
                          size_t count, PGresult **answer, int **rows);
/* The same of an answer that is there. NULL: see *status. */
int *lki_pg_rows_by_key(const PGresult *answer, size_t count, lk_status *status);

/* Adds the item of a row whose columns from `column` on are data and expiry. */
lk_status lki_pg_add_row(const PGresult *answer, int row, int column, const lk_key *key,
                         lk_result *result);
/* Drafts the items of such an answer, whose next columns are data and expiry, holes where data is
 * NULL. */
lk_status lki_pg_add_rows(const PGresult *answer, const int *rows, const lk_key *keys, size_t count,
                          lk_result *result);

#endif
