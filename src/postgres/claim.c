/* SPDX-License-Identifier: MIT
 *
 * What holders of claims call. Called through the table of operations.
 *
 * A job has the token of the last claim until it is given back, also after the claim has lapsed: so
 * who is late can still end it, unless somebody has claimed it since.
 */
#include <stdlib.h>

#include "postgres/many.h"
#include "postgres/operations.h"
#include "postgres/queue.h"

/* ---- acknowledge ---- */

/* One needs no join, which is half of what several cost. */
static lk_status
claim_ask(lki_pg *store, const lk_claim *claim, PGresult **answer)
{
    lki_pg_parameters p = {.count = 0};
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    lki_pg_add_bytes(&p, claim->key.pk);
    lki_pg_add_bytes(&p, claim->key.sk);
    lki_pg_add_number(&p, (int64_t)claim->token);
    return lki_pg_call(store, LKI_PG_ACKNOWLEDGE_ONE, false, &p, answer);
}

static lk_status
claims_ask(lki_pg *store, const lk_claim *claims, size_t count, PGresult **answer)
{
    lki_pg_parameters p = {.count = 0};
    lki_pg_array pks, sks, tokens;
    lk_status status = LK_NO_MEMORY;
    bool whole = lki_pg_keys_begin(&pks, &sks, count);
    lki_pg_array_begin(&tokens, LKI_PG_OF_NUMBERS, count);
    for (size_t i = 0; whole && i < count; i++) {
        whole = lki_pg_keys_add(&pks, &sks, &claims[i].key);
        lki_pg_array_number(&tokens, (int64_t)claims[i].token);
    }
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    if (whole && lki_pg_add_array(&p, &pks) && lki_pg_add_array(&p, &sks) &&
        lki_pg_add_array(&p, &tokens))
        status = lki_pg_call(store, LKI_PG_ACKNOWLEDGE, false, &p, answer);
    lki_pg_array_free(&pks);
    lki_pg_array_free(&sks);
    lki_pg_array_free(&tokens);
    return status;
}

static void
claim_count(lki_pg *store, const lk_claim *claim, lk_status status)
{
    if (status == LK_LATE)
        lki_pg_queue_add_to(store, claim->key.pk, LKI_PG_LATE, 1);
    else if (status == LK_LOST)
        lki_pg_queue_add_to(store, claim->key.pk, LKI_PG_LOST, 1);
}

/* The status of a claim whose job was visible from then on before the call. */
static lk_status
claim_status(const lk_claim *claim, int64_t visible_at_ms, int64_t job_now_ms)
{
    return claim->token != 0 && visible_at_ms <= job_now_ms ? LK_LATE : LK_OK;
}

/* The same job named twice: the second time it is lost, as the first has ended it. */
static bool
is_named_before(const lk_claim *claims, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (lki_pg_key_order(&claims[j].key, &claims[i].key) == 0)
            return true;
    return false;
}

lk_status
lki_pg_acknowledge(void *state, const lk_claim *claims, size_t count)
{
    lki_pg *store = state;
    int64_t job_now_ms = lki_pg_job_now_ms(store);
    PGresult *answer;
    lk_status status = count == 1 ? claim_ask(store, claims, &answer)
                                  : claims_ask(store, claims, count, &answer),
              first = LK_OK;
    if (status != LK_OK)
        return status;
    int *rows = lki_pg_rows_by_key(answer, count, &status);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        int64_t visible_at_ms;
        lk_status one = LK_LOST;
        if (rows[i] >= 0 && lki_pg_read_number(answer, rows[i], 1, &visible_at_ms) &&
            !(count > 1 && claims[i].token == 0 && is_named_before(claims, i)))
            one = claim_status(&claims[i], visible_at_ms, job_now_ms);
        claim_count(store, &claims[i], one);
        first = first == LK_OK ? one : first;
        if (one != LK_LOST)
            lki_pg_queue_tell(store, claims[i].key.pk, LKI_PG_GONE, 0);
    }
    free(rows);
    PQclear(answer);
    return status != LK_OK ? status : first;
}

/* ---- release, extend ---- */

static lk_status
job_ask(lki_pg *store, lki_pg_statement statement, const lk_claim *claim, int64_t visible_at_ms)
{
    lki_pg_parameters p = {.count = 0};
    PGresult *answer;
    int64_t before_ms, job_now_ms = lki_pg_job_now_ms(store);
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    lki_pg_add_bytes(&p, claim->key.pk);
    lki_pg_add_bytes(&p, claim->key.sk);
    lki_pg_add_number(&p, (int64_t)claim->token);
    lki_pg_add_number(&p, visible_at_ms);
    lk_status status = lki_pg_call(store, statement, false, &p, &answer);
    if (status != LK_OK)
        return status;
    if (PQntuples(answer) == 0)
        status = LK_LOST;
    else if (!lki_pg_read_number(answer, 0, 0, &before_ms))
        status = LK_UNAVAILABLE;
    else
        status = claim_status(claim, before_ms, job_now_ms);
    PQclear(answer);
    return status;
}

lk_status
lki_pg_release(void *state, const lk_claim *claim, int64_t delay_ms)
{
    lki_pg *store = state;
    int64_t visible_at_ms =
        delay_ms == 0 ? 0 : lki_pg_time_after(lki_pg_job_now_ms(store), delay_ms);
    lk_status status = job_ask(store, LKI_PG_RELEASE, claim, visible_at_ms);
    claim_count(store, claim, status);
    if (status == LK_OK || status == LK_LATE)
        lki_pg_queue_tell(store, claim->key.pk, delay_ms == 0 ? LKI_PG_FRONT : LKI_PG_LATER,
                          visible_at_ms);
    return status;
}

lk_status
lki_pg_extend(void *state, lk_claim *claim, int64_t visibility_ms)
{
    lki_pg *store = state;
    int64_t length_ms = visibility_ms != 0 ? visibility_ms : LK_MINUTES(5);
    int64_t deadline_ms = lki_pg_time_after(lki_pg_job_now_ms(store), length_ms);
    int64_t visible_at_ms = deadline_ms + 1;
    lk_status status = job_ask(store, LKI_PG_EXTEND, claim, visible_at_ms);
    if (status == LK_LOST)
        claim_count(store, claim, status);
    if (status != LK_OK && status != LK_LATE)
        return status;
    lki_pg_queue_tell(store, claim->key.pk, LKI_PG_LATER, visible_at_ms);
    claim->deadline_ms = lki_pg_job_as_monotonic(store, deadline_ms);
    return LK_OK;
}
