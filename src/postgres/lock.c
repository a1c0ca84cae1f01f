/* SPDX-License-Identifier: MIT
 *
 * Locks for callers: read where they are, made or renewed where they have to be. Called through the
 * table of operations.
 */
#include <stdlib.h>

#include "postgres/many.h"
#include "postgres/operations.h"
#include "postgres/queue.h"
#include "postgres/sweep.h"

/* Is a lock there that has not lapsed? */
static bool
lock_lives(const PGresult *answer, int at, int64_t now_ms)
{
    int64_t until_ms;
    return at >= 0 && lki_pg_read_number(answer, at, 4, &until_ms) &&
           !lk_has_expired(until_ms, now_ms);
}

/* Is a lock there, and not to be renewed? `renew_below_ms`: those that lapse before. */
static bool
lock_tell(const PGresult *answer, int at, int64_t renew_below_ms, lk_lock *lock)
{
    int64_t version, until_ms;
    if (at < 0 || !lki_pg_read_number(answer, at, 3, &version) ||
        !lki_pg_read_number(answer, at, 4, &until_ms) || until_ms < renew_below_ms)
        return false;
    lock->version = (uint64_t)version;
    lock->expires_at_ms = until_ms;
    return true;
}

static int64_t
renew_below(const lki_pg *store, int64_t now_ms)
{
    return store->lock_refresh_ms < 0 ? now_ms
                                      : lki_pg_time_after(now_ms, store->lock_refresh_ms + 1);
}

/* One attempt to make a lock, of the keys in `key`: its row is made where it is missing, and
 * locked, then it gets its version. Made twice, it only has a greater version. */
static lk_status
lock_try(lki_pg *store, const lki_pg_array key[2], const lki_pg_parameters *make, PGresult **answer)
{
    lki_pg_step steps[4] = {{.statement = LKI_PG_BEGIN},
                            {.statement = LKI_PG_ROWS_TAKE},
                            {.statement = LKI_PG_LOCK_MAKE, .parameters = *make},
                            {.statement = LKI_PG_COMMIT}};
    lki_pg_connection *c;
    if (!lki_pg_add_array(&steps[1].parameters, &key[0]) ||
        !lki_pg_add_array(&steps[1].parameters, &key[1]))
        return LK_NO_MEMORY;
    lk_status status = lki_pg_take(store, &c);
    if (status != LK_OK)
        return status;
    status = lki_pg_ask_many(c, steps, 4);
    if (c->broken)
        status = LKI_PG_AGAIN;
    *answer = steps[2].answer;
    steps[2].answer = NULL;
    lki_pg_clear(steps, 4);
    lki_pg_rollback(c);
    lki_pg_give(c);
    return status;
}

static lk_status
lock_ask(lki_pg *store, const lk_key *key, const lki_pg_parameters *make, PGresult **answer)
{
    lki_pg_array of[2];
    int tries = 0;
    lk_status status = LK_NO_MEMORY;
    if (lki_pg_keys_begin(&of[0], &of[1], 1) && lki_pg_keys_add(&of[0], &of[1], key))
        do
            status = lock_try(store, of, make, answer);
        while (status == LKI_PG_AGAIN && lki_pg_try_again(store, tries++));
    lki_pg_array_free(&of[0]);
    lki_pg_array_free(&of[1]);
    return status == LKI_PG_AGAIN ? LK_UNAVAILABLE : status;
}

/* Makes or renews a lock, unless another thread has just done so: LK_NOT_FOUND then. `counter`:
 * which of the two it is, by what was read before. */
static lk_status
lock_make(lki_pg *store, const lk_key *key, lki_pg_statistic *counter, lk_lock *lock)
{
    int64_t now_ms = lki_pg_now_ms(store);
    lki_pg_parameters p = {.count = 0};
    PGresult *answer = NULL;
    lki_pg_add_number(&p, now_ms);
    lki_pg_add_bytes(&p, key->pk);
    lki_pg_add_bytes(&p, key->sk);
    lki_pg_add_number(&p, lki_pg_time_after(now_ms, store->lock_ttl_ms));
    lki_pg_add_number(&p, renew_below(store, now_ms));
    lk_status status = lock_ask(store, key, &p, &answer);
    int64_t version, until_ms;
    if (status != LK_OK)
        return status;
    if (PQntuples(answer) == 0)
        status = LK_NOT_FOUND;
    else if (!lki_pg_read_number(answer, 0, 0, &version) ||
             !lki_pg_read_number(answer, 0, 1, &until_ms))
        status = LK_UNAVAILABLE;
    PQclear(answer);
    if (status != LK_OK)
        return status;
    lock->version = (uint64_t)version;
    lock->expires_at_ms = until_ms;
    lki_pg_count(counter, 1);
    lki_pg_tidy(store);
    return LK_OK;
}

static lki_pg_statistic *
counter_of(lki_pg *store, bool renews)
{
    return renews ? &store->locks_renewed : &store->locks_created;
}

lk_status
lki_pg_get_lock(void *state, const lk_key *key, lk_lock *lock)
{
    lki_pg *store = state;
    lk_status status = LK_NOT_FOUND;
    for (int tries = 0; status == LK_NOT_FOUND && tries < LKI_PG_TRIES; tries++) {
        PGresult *answer;
        int *rows;
        status = lki_pg_ask_keys(store, LKI_PG_LOCK_READ, key, 1, &answer, &rows);
        if (status != LK_OK)
            return status;
        int64_t now_ms = lki_pg_now_ms(store);
        bool told = lock_tell(answer, rows[0], renew_below(store, now_ms), lock);
        lki_pg_statistic *counter = counter_of(store, lock_lives(answer, rows[0], now_ms));
        free(rows);
        PQclear(answer);
        status = told ? LK_OK : lock_make(store, key, counter, lock);
    }
    return status == LK_NOT_FOUND ? LK_UNAVAILABLE : status;
}

/* Tells the locks of an answer, or makes those that are missing beside an item or have lapsed, and
 * then says so by LK_NOT_FOUND: all is to be read again. */
static lk_status
locks_tell(lki_pg *store, const PGresult *answer, const int *rows, const lk_key *keys, size_t count,
           lk_lock *locks)
{
    int64_t now_ms = lki_pg_now_ms(store), below_ms = renew_below(store, now_ms);
    lk_status status = LK_OK;
    for (size_t i = 0; i < count; i++) {
        bool item = rows[i] >= 0 && !lki_pg_is_null(answer, rows[i], 1);
        bool lock = lock_lives(answer, rows[i], now_ms);
        bool nothing = !item && !lock;
        locks[i].version = 0;
        locks[i].expires_at_ms = 0;
        if (nothing || lock_tell(answer, rows[i], below_ms, &locks[i]))
            continue;
        lk_status made = lock_make(store, &keys[i], counter_of(store, lock), &locks[i]);
        if (made != LK_OK && made != LK_NOT_FOUND)
            return made;
        status = LK_NOT_FOUND;
    }
    return status;
}

lk_status
lki_pg_get_locked(void *state, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    lki_pg *store = state;
    lk_lock *told = malloc((count + 1) * sizeof *told);
    lk_status status = told == NULL ? LK_NO_MEMORY : LK_NOT_FOUND;
    for (int tries = 0; status == LK_NOT_FOUND && tries < LKI_PG_TRIES; tries++) {
        PGresult *answer;
        int *rows;
        status = lki_pg_ask_keys(store, LKI_PG_LOCK_READ, keys, count, &answer, &rows);
        if (status != LK_OK)
            break;
        status = locks_tell(store, answer, rows, keys, count, told);
        if (status == LK_OK)
            status = lki_pg_add_rows(answer, rows, keys, count, result);
        free(rows);
        PQclear(answer);
    }
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        locks[i].version = told[i].version;
        locks[i].expires_at_ms = told[i].expires_at_ms;
    }
    if (status == LK_OK)
        lk_result_publish(result);
    free(told);
    lki_pg_count(&store->multi_gets, count);
    return status == LK_NOT_FOUND ? LK_UNAVAILABLE : status;
}
