/* SPDX-License-Identifier: MIT
 *
 * Locks, and several writes in one step. Called through the table of operations.
 *
 * A commit takes two round trips. The first locks the rows of all keys, those that are missing are
 * made, and reads them: from then on nobody changes them. The call judges locks and conditions
 * here. The second writes what the rows are to be and commits, or rolls back, so that whatever is
 * refused leaves nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "postgres/many.h"
#include "postgres/operations.h"

static int64_t
after(int64_t time, int64_t ms)
{
    int64_t sum;
    return __builtin_add_overflow(time, ms, &sum) ? INT64_MAX : sum;
}

/* ---- a row ---- */

typedef struct row {
    const lk_key *key;
    bool has_data, has_job;
    lk_bytes data;
    int64_t expires_at_ms;                /* 0: never */
    int64_t version, lock_until_ms;       /* version 0: no lock */
    int64_t claim_until, token, receives; /* of a job; `token` 0: NULL */
} row;

static bool
number_or_zero(const PGresult *answer, int at, int column, int64_t *number)
{
    *number = 0;
    return lki_pg_is_null(answer, at, column) || lki_pg_read_number(answer, at, column, number);
}

/* Reads what ROWS_READ says of a key. An item that has expired is not there, nor its lock, nor its
 * job. */
static lk_status
row_read(row *r, const PGresult *answer, int at, int64_t now_ms)
{
    r->has_data = !lki_pg_is_null(answer, at, 1);
    r->data = lki_pg_read_bytes(answer, at, 1);
    r->has_job = !lki_pg_is_null(answer, at, 5);
    if (!lki_pg_read_number(answer, at, 2, &r->expires_at_ms) ||
        !number_or_zero(answer, at, 3, &r->version) ||
        !number_or_zero(answer, at, 4, &r->lock_until_ms) ||
        !number_or_zero(answer, at, 5, &r->claim_until) ||
        !number_or_zero(answer, at, 6, &r->token) ||
        !lki_pg_read_number(answer, at, 7, &r->receives))
        return LK_UNAVAILABLE;
    if (r->has_data && lk_has_expired(r->expires_at_ms, now_ms))
        *r = (row){.key = r->key};
    if (!r->has_data)
        r->expires_at_ms = 0; /* it was the lock's */
    return LK_OK;
}

/* ---- the plan of a commit ---- */

typedef struct plan {
    lki_pg *store;
    int64_t now_ms;
    row *rows;
    size_t count;
    size_t *of_writes, *of_locks; /* the row of each */
    int64_t *sums;                /* of the writes that add, where their data lie */
    lk_write const *writes;
    size_t write_count;
    lk_lock *locks;
    size_t lock_count;
    lk_conflict *conflict;
    PGresult *read;     /* what the rows borrow from */
    PGresult *versions; /* one for each lock */
} plan;

static int
key_order(const void *left, const void *right)
{
    const lk_key *a = *(const lk_key *const *)left, *b = *(const lk_key *const *)right;
    int order = lk_bytes_compare(a->pk, b->pk);
    return order != 0 ? order : lk_bytes_compare(a->sk, b->sk);
}

static size_t
row_find(const plan *p, const lk_key *key)
{
    size_t low = 0, high = p->count;
    while (low + 1 < high) {
        size_t middle = (low + high) / 2;
        const lk_key *its = p->rows[middle].key;
        if (key_order(&its, &key) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* One row for each key that is named. */
static bool
plan_make(plan *p)
{
    size_t most = p->write_count + p->lock_count;
    const lk_key **keys = malloc((most + 1) * sizeof *keys);
    p->rows = calloc(most + 1, sizeof *p->rows);
    p->of_writes = calloc(most + 1, sizeof *p->of_writes);
    p->sums = calloc(p->write_count + 1, sizeof *p->sums);
    if (keys == NULL || p->rows == NULL || p->of_writes == NULL || p->sums == NULL) {
        free(keys);
        return false;
    }
    p->of_locks = p->of_writes + p->write_count;
    for (size_t i = 0; i < p->write_count; i++)
        keys[i] = &p->writes[i].item.key;
    for (size_t i = 0; i < p->lock_count; i++)
        keys[p->write_count + i] = &p->locks[i].key;
    qsort(keys, most, sizeof *keys, key_order);
    for (size_t i = 0; i < most; i++)
        if (p->count == 0 || key_order(&keys[i], &p->rows[p->count - 1].key) != 0)
            p->rows[p->count++].key = keys[i];
    free(keys);
    for (size_t i = 0; i < p->write_count; i++)
        p->of_writes[i] = row_find(p, &p->writes[i].item.key);
    for (size_t i = 0; i < p->lock_count; i++)
        p->of_locks[i] = row_find(p, &p->locks[i].key);
    return true;
}

static void
plan_free(plan *p)
{
    free(p->rows);
    free(p->of_writes);
    free(p->sums);
    PQclear(p->read);
    PQclear(p->versions);
}

/* Locks and reads the rows, and then takes the versions: so each is above what its row had. */
static lk_status
rows_take(plan *p, lki_pg_connection *c)
{
    lki_pg_step steps[4] = {{.statement = LKI_PG_BEGIN},
                            {.statement = LKI_PG_ROWS_TAKE},
                            {.statement = LKI_PG_ROWS_READ},
                            {.statement = LKI_PG_VERSIONS}};
    int count = p->lock_count == 0 ? 3 : 4;
    lki_pg_array pks, sks;
    lk_status status = LK_NO_MEMORY;
    bool whole = lki_pg_keys_begin(&pks, &sks, p->count);
    for (size_t i = 0; whole && i < p->count; i++)
        whole = lki_pg_keys_add(&pks, &sks, p->rows[i].key);
    for (int i = 1; whole && i < 3; i++)
        whole = lki_pg_add_array(&steps[i].parameters, &pks) &&
                lki_pg_add_array(&steps[i].parameters, &sks);
    lki_pg_add_number(&steps[3].parameters, (int64_t)p->lock_count);
    if (whole)
        status = lki_pg_ask_many(c, steps, count);
    lki_pg_array_free(&pks);
    lki_pg_array_free(&sks);
    if (status != LK_OK)
        return status;
    p->read = steps[2].answer;
    p->versions = steps[3].answer;
    lki_pg_clear(steps, 2);
    int *at = lki_pg_rows_by_key(p->read, p->count, &status);
    for (size_t i = 0; status == LK_OK && i < p->count; i++)
        status = at[i] < 0 ? LK_UNAVAILABLE : row_read(&p->rows[i], p->read, at[i], p->now_ms);
    free(at);
    return status;
}

/* ---- judgement ---- */

static lk_status
refused(plan *p, size_t write, lk_status status)
{
    *p->conflict = (lk_conflict){SIZE_MAX, 0, write};
    return status;
}

static bool
lock_is_good(const plan *p, const lk_lock *lock, const row *r)
{
    if (lock->version == 0)
        return r->version == 0 && !r->has_data;
    return r->version == (int64_t)lock->version && !lk_has_expired(r->lock_until_ms, p->now_ms);
}

static lk_status
locks_judge(plan *p)
{
    for (size_t i = 0; i < p->lock_count; i++) {
        const row *r = &p->rows[p->of_locks[i]];
        bool lapsed = lk_has_expired(r->lock_until_ms, p->now_ms);
        if (lock_is_good(p, &p->locks[i], r))
            continue;
        *p->conflict = (lk_conflict){i, lapsed ? 0 : (uint64_t)r->version, SIZE_MAX};
        return LK_RACE;
    }
    return LK_OK;
}

static lk_status
condition_judge(const lk_write *write, const row *r)
{
    switch (write->condition) {
    case LK_ALWAYS:
        return LK_OK;
    case LK_IF_ABSENT:
        return r->has_data ? LK_EXISTS : LK_OK;
    case LK_IF_PRESENT:
        return r->has_data ? LK_OK : LK_NOT_FOUND;
    case LK_IF_EQUAL:
        return r->has_data && lk_bytes_compare(r->data, write->expected) == 0 ? LK_OK : LK_RACE;
    }
    return LK_INVALID;
}

/* Numbers of items lie with the lowest byte first, whatever the machine does. */
static void
number_turn(const void *from, void *to)
{
    uint64_t number = 0;
    unsigned char bytes[8];
    memcpy(bytes, from, 8);
    for (int i = 7; i >= 0; i--)
        number = number << 8 | bytes[i];
    memcpy(to, &number, 8);
}

static lk_status
add_apply(plan *p, size_t i, row *r)
{
    int64_t before = 0, sum;
    if (r->has_data && r->data.size != 8)
        return LK_INVALID;
    if (r->has_data)
        number_turn(r->data.data, &before);
    if (__builtin_add_overflow(before, p->writes[i].delta, &sum))
        return LK_TOO_BIG;
    number_turn(&sum, &p->sums[i]);
    if (!r->has_data)
        r->expires_at_ms = p->writes[i].item.expires_at_ms;
    r->data = (lk_bytes){&p->sums[i], 8};
    r->has_data = true;
    return LK_OK;
}

static lk_status
write_apply(plan *p, size_t i)
{
    const lk_write *write = &p->writes[i];
    row *r = &p->rows[p->of_writes[i]];
    lk_status status = condition_judge(write, r);
    if (status != LK_OK)
        return status;
    switch (write->kind) {
    case LK_PUT:
        r->has_data = true;
        r->data = write->item.data;
        r->expires_at_ms = write->item.expires_at_ms;
        return LK_OK;
    case LK_DELETE:
        *r = (row){.key = r->key};
        return LK_OK;
    case LK_TOUCH:
        r->expires_at_ms = write->item.expires_at_ms;
        return r->has_data ? LK_OK : LK_NOT_FOUND;
    case LK_ADD:
        return add_apply(p, i, r);
    case LK_PUSH:
    case LK_ACKNOWLEDGE:
    case LK_RELEASE:
        break;
    }
    return LK_UNSUPPORTED;
}

/* What the rows are to be. */
static lk_status
plan_judge(plan *p)
{
    lk_status status = locks_judge(p);
    for (size_t i = 0; status == LK_OK && i < p->write_count; i++) {
        status = write_apply(p, i);
        if (status != LK_OK)
            return refused(p, i, status);
    }
    return status;
}

/* Gives the locks their new versions: but not those whose key is deleted. */
static lk_status
locks_bump(plan *p, lk_lock *bumped)
{
    for (size_t i = 0; i < p->lock_count; i++) {
        row *r = &p->rows[p->of_locks[i]];
        bool gone = !r->has_data && r->version == 0 && p->locks[i].version != 0;
        bumped[i] = p->locks[i];
        bumped[i].version = 0;
        bumped[i].expires_at_ms = 0;
        if (gone)
            continue;
        if (!lki_pg_read_number(p->versions, (int)i, 0, &r->version))
            return LK_UNAVAILABLE;
        r->lock_until_ms = after(p->now_ms, p->store->lock_ttl_ms);
        bumped[i].version = (uint64_t)r->version;
        bumped[i].expires_at_ms = r->lock_until_ms;
    }
    return LK_OK;
}

/* ---- writing ---- */

enum { COLUMNS = 9 };

static void
number_put(lki_pg_array *array, bool is_there, int64_t number)
{
    if (is_there)
        lki_pg_array_number(array, number);
    else
        lki_pg_array_null(array);
}

static void
row_put(lki_pg_array columns[COLUMNS], const row *r)
{
    bool lock = r->version != 0;
    int64_t expires_at_ms = r->has_data ? r->expires_at_ms : r->lock_until_ms;
    lki_pg_array_bytes(&columns[0], r->key->pk);
    lki_pg_array_bytes(&columns[1], r->key->sk);
    if (r->has_data)
        lki_pg_array_bytes(&columns[2], r->data);
    else
        lki_pg_array_null(&columns[2]);
    number_put(&columns[3], expires_at_ms != 0, expires_at_ms);
    number_put(&columns[4], lock, r->version);
    number_put(&columns[5], lock, r->lock_until_ms);
    number_put(&columns[6], r->has_job, r->claim_until);
    number_put(&columns[7], r->has_job && r->token != 0, r->token);
    lki_pg_array_number(&columns[8], r->receives);
}

/* Writes the rows, takes out those that say nothing, and commits. */
static lk_status
rows_write(plan *p, lki_pg_connection *c)
{
    lki_pg_step steps[3] = {{.statement = LKI_PG_ROWS_REMOVE},
                            {.statement = LKI_PG_ROWS_WRITE},
                            {.statement = LKI_PG_COMMIT}};
    lki_pg_array gone[2], columns[COLUMNS];
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++)
        kept += p->rows[i].has_data || p->rows[i].version != 0;
    bool whole = lki_pg_keys_begin(&gone[0], &gone[1], p->count - kept);
    for (int i = 0; i < COLUMNS; i++)
        lki_pg_array_begin(&columns[i], i < 3 ? LKI_PG_OF_BYTES : LKI_PG_OF_NUMBERS, kept);
    for (size_t i = 0; i < p->count; i++)
        if (p->rows[i].has_data || p->rows[i].version != 0)
            row_put(columns, &p->rows[i]);
        else
            whole = whole && lki_pg_keys_add(&gone[0], &gone[1], p->rows[i].key);
    for (int i = 0; i < 2; i++)
        whole = whole && lki_pg_add_array(&steps[0].parameters, &gone[i]);
    for (int i = 0; i < COLUMNS; i++)
        whole = whole && lki_pg_add_array(&steps[1].parameters, &columns[i]);
    int skipped = kept == p->count ? 1 : 0; /* mostly nothing goes */
    lk_status status = whole ? lki_pg_ask_many(c, steps + skipped, 3 - skipped) : LK_NO_MEMORY;
    for (int i = 0; i < 2; i++)
        lki_pg_array_free(&gone[i]);
    for (int i = 0; i < COLUMNS; i++)
        lki_pg_array_free(&columns[i]);
    lki_pg_clear(steps, 3);
    return status;
}

/* One attempt, on a connection. *in_doubt: it may have happened. */
static lk_status
commit_try(plan *p, lki_pg_connection *c, lk_lock *bumped, bool *in_doubt)
{
    *in_doubt = false;
    p->now_ms = lki_pg_now_ms(p->store);
    lk_status status = rows_take(p, c);
    if (status == LK_OK)
        status = plan_judge(p);
    if (status == LK_OK)
        status = locks_bump(p, bumped);
    if (status == LK_OK) {
        status = rows_write(p, c);
        *in_doubt = c->broken && c->in_doubt;
    }
    if (!c->broken && PQtransactionStatus(c->pg) != PQTRANS_IDLE) {
        PGresult *answer;
        (void)lki_pg_ask(c, LKI_PG_ROLLBACK, NULL, &answer);
        PQclear(answer);
    }
    return status;
}

static lk_status
commit_run(plan *p, lk_lock *bumped)
{
    for (int tries = 0;; tries++) {
        lki_pg_connection *c;
        bool in_doubt;
        lk_status status = lki_pg_take(p->store, &c);
        if (status != LK_OK)
            return status;
        status = commit_try(p, c, bumped, &in_doubt);
        bool again = (status == LKI_PG_AGAIN || c->broken) && lki_pg_clock_ms() < c->until_ms;
        lki_pg_give(c);
        PQclear(p->read);
        PQclear(p->versions);
        p->read = p->versions = NULL;
        if (in_doubt)
            return LK_UNKNOWN;
        if (!again || tries == LKI_PG_TRIES)
            return status == LKI_PG_AGAIN ? LK_UNAVAILABLE : status;
        lki_pg_count(&p->store->retries, 1);
        lki_pg_pause(tries);
    }
}

lk_status
lki_pg_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
              size_t lock_count, lk_conflict *conflict)
{
    plan p = {.store = state,
              .writes = writes,
              .write_count = write_count,
              .locks = locks,
              .lock_count = lock_count,
              .conflict = conflict};
    lk_lock *bumped = malloc((lock_count + 1) * sizeof *bumped);
    lk_status status = bumped != NULL && plan_make(&p) ? commit_run(&p, bumped) : LK_NO_MEMORY;
    if (status == LK_OK && lock_count != 0)
        memcpy(locks, bumped, lock_count * sizeof *locks);
    plan_free(&p);
    free(bumped);
    lki_pg_count(&p.store->commits, status == LK_OK);
    lki_pg_count(&p.store->races, status == LK_RACE);
    return status;
}

/* ---- locks for callers ---- */

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
    return store->lock_refresh_ms < 0 ? now_ms : after(now_ms, store->lock_refresh_ms + 1);
}

/* Makes or renews a lock, unless another thread has just done so: LK_NOT_FOUND then. */
static lk_status
lock_make(lki_pg *store, const lk_key *key, lk_lock *lock)
{
    int64_t now_ms = lki_pg_now_ms(store);
    lki_pg_parameters p = {.count = 0};
    PGresult *answer;
    lki_pg_add_bytes(&p, key->pk);
    lki_pg_add_bytes(&p, key->sk);
    lki_pg_add_number(&p, now_ms);
    lki_pg_add_number(&p, after(now_ms, store->lock_ttl_ms));
    lki_pg_add_number(&p, renew_below(store, now_ms));
    /* Made twice, it only has a greater version. */
    lk_status status = lki_pg_call(store, LKI_PG_LOCK_MAKE, true, &p, &answer);
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
    lki_pg_count(&store->locks_created, 1);
    return LK_OK;
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
        bool told = lock_tell(answer, rows[0], renew_below(store, lki_pg_now_ms(store)), lock);
        free(rows);
        PQclear(answer);
        status = told ? LK_OK : lock_make(store, key, lock);
    }
    return status == LK_NOT_FOUND ? LK_UNAVAILABLE : status;
}

/* Tells the locks of an answer, or makes those that are missing beside an item or have lapsed, and
 * then says so by LK_NOT_FOUND: all is to be read again. */
static lk_status
locks_tell(lki_pg *store, const PGresult *answer, const int *rows, const lk_key *keys, size_t count,
           lk_lock *locks)
{
    int64_t below_ms = renew_below(store, lki_pg_now_ms(store));
    lk_status status = LK_OK;
    for (size_t i = 0; i < count; i++) {
        bool nothing = rows[i] < 0 ||
                       (lki_pg_is_null(answer, rows[i], 1) && lki_pg_is_null(answer, rows[i], 3));
        locks[i].version = 0;
        locks[i].expires_at_ms = 0;
        if (nothing || lock_tell(answer, rows[i], below_ms, &locks[i]))
            continue;
        lk_status made = lock_make(store, &keys[i], &locks[i]);
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
