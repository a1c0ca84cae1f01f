/* SPDX-License-Identifier: MIT
 *
 * See many.h.
 */
#include "postgres/many.h"

#include <stdlib.h>

int
lki_pg_key_order(const lk_key *a, const lk_key *b)
{
    int order = lk_bytes_compare(a->pk, b->pk);
    return order != 0 ? order : lk_bytes_compare(a->sk, b->sk);
}

bool
lki_pg_keys_begin(lki_pg_array *pks, lki_pg_array *sks, size_t count)
{
    lki_pg_array_begin(pks, LKI_PG_OF_BYTES, count);
    lki_pg_array_begin(sks, LKI_PG_OF_BYTES, count);
    return !pks->failed && !sks->failed;
}

bool
lki_pg_keys_add(lki_pg_array *pks, lki_pg_array *sks, const lk_key *key)
{
    lki_pg_array_bytes(pks, key->pk);
    lki_pg_array_bytes(sks, key->sk);
    return !pks->failed && !sks->failed;
}

int *
lki_pg_rows_by_key(const PGresult *answer, size_t count, lk_status *status)
{
    int *rows = malloc((count + 1) * sizeof *rows);
    *status = rows == NULL ? LK_NO_MEMORY : LK_OK;
    for (size_t i = 0; rows != NULL && i < count; i++)
        rows[i] = -1;
    for (int row = 0; *status == LK_OK && row < PQntuples(answer); row++) {
        int64_t which;
        if (lki_pg_read_number(answer, row, 0, &which) && which >= 1 && (uint64_t)which <= count)
            rows[which - 1] = row;
        else
            *status = LK_UNAVAILABLE;
    }
    if (*status == LK_OK)
        return rows;
    free(rows);
    return NULL;
}

lk_status
lki_pg_ask_keys(lki_pg *store, lki_pg_statement statement, const lk_key *keys, size_t count,
                PGresult **answer, int **rows)
{
    lki_pg_parameters p = {.count = 0};
    lki_pg_array pks, sks;
    lk_status status = LK_NO_MEMORY;
    bool whole = lki_pg_keys_begin(&pks, &sks, count);
    for (size_t i = 0; whole && i < count; i++)
        whole = lki_pg_keys_add(&pks, &sks, &keys[i]);
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    if (whole && lki_pg_add_array(&p, &pks) && lki_pg_add_array(&p, &sks))
        status = lki_pg_call(store, statement, true, &p, answer);
    if (status == LK_OK) {
        *rows = lki_pg_rows_by_key(*answer, count, &status);
        if (*rows == NULL)
            PQclear(*answer);
    }
    lki_pg_array_free(&pks);
    lki_pg_array_free(&sks);
    return status;
}

lk_status
lki_pg_add_row(const PGresult *answer, int row, int column, const lk_key *key, lk_result *result)
{
    lk_item item = {.key = *key, .data = lki_pg_read_bytes(answer, row, column)};
    if (lki_pg_is_null(answer, row, column) ||
        !lki_pg_read_number(answer, row, column + 1, &item.expires_at_ms))
        return LK_UNAVAILABLE;
    return lk_result_add(result, &item);
}

lk_status
lki_pg_add_rows(const PGresult *answer, const int *rows, const lk_key *keys, size_t count,
                lk_result *result)
{
    lk_status status = LK_OK;
    lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = rows[i] < 0 || lki_pg_is_null(answer, rows[i], 1)
                     ? lk_result_add(result, NULL)
                     : lki_pg_add_row(answer, rows[i], 1, &keys[i], result);
    return status;
}
