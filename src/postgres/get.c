/* SPDX-License-Identifier: MIT
 *
 * Reads of items by their keys. Called through the table of operations.
 */
#include <stdlib.h>
#include <string.h>

#include "postgres/many.h"
#include "postgres/operations.h"

/* LK_OK: one row, with the item's data and expiry; to be cleared. */
static lk_status
one_ask(lki_pg *store, const lk_key *key, PGresult **answer)
{
    lki_pg_parameters p = {.count = 0};
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    lki_pg_add_bytes(&p, key->pk);
    lki_pg_add_bytes(&p, key->sk);
    lk_status status = lki_pg_call(store, LKI_PG_GET, true, &p, answer);
    if (status == LK_OK && PQntuples(*answer) == 0) {
        PQclear(*answer);
        *answer = NULL;
        status = LK_NOT_FOUND;
    }
    lki_pg_count(&store->gets, 1);
    lki_pg_count(&store->hits, status == LK_OK);
    return status;
}

lk_status
lki_pg_get(void *state, const lk_key *key, lk_result *result)
{
    PGresult *answer;
    lk_status status = one_ask(state, key, &answer);
    if (status != LK_OK)
        return status;
    lk_result_draft(result);
    status = lki_pg_add_row(answer, 0, 0, key, result);
    PQclear(answer);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

lk_status
lki_pg_get_into(void *state, const lk_key *key, void *buffer, size_t capacity, size_t *size)
{
    PGresult *answer;
    lk_status status = one_ask(state, key, &answer);
    if (status != LK_OK)
        return status;
    lk_bytes data = lki_pg_read_bytes(answer, 0, 0);
    *size = data.size;
    if (data.size > capacity)
        status = LK_TOO_SMALL;
    else if (data.size != 0)
        memcpy(buffer, data.data, data.size);
    PQclear(answer);
    return status;
}

/* ---- many ---- */

lk_status
lki_pg_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    PGresult *answer;
    int *rows;
    lki_pg *store = state;
    lk_status status = lki_pg_ask_keys(store, LKI_PG_GET_MANY, keys, count, &answer, &rows);
    if (status != LK_OK)
        return status;
    status = lki_pg_add_rows(answer, rows, keys, count, result);
    free(rows);
    PQclear(answer);
    lki_pg_count(&store->multi_gets, count);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}
