/* SPDX-License-Identifier: MIT
 *
 * See plan.h.
 */
#include "postgres/plan.h"

#include <stdlib.h>
#include <string.h>

#include "postgres/queue.h"

/* ---- rows ---- */

static bool
number_or_zero(const PGresult *answer, int at, int column, int64_t *number)
{
    *number = 0;
    return lki_pg_is_null(answer, at, column) || lki_pg_read_number(answer, at, column, number);
}

/* Reads what ROWS_READ says of a key. An item that has expired is not there, nor its lock, nor its
 * job. */
static lk_status
row_read(lki_pg_row *r, const PGresult *answer, int at, int64_t now_ms)
{
    r->has_data = !lki_pg_is_null(answer, at, 1);
    r->data = lki_pg_read_bytes(answer, at, 1);
    r->has_job = r->has_data && !lki_pg_is_null(answer, at, 5);
    if (!lki_pg_read_number(answer, at, 2, &r->expires_at_ms) ||
        !number_or_zero(answer, at, 3, &r->version) ||
        !number_or_zero(answer, at, 4, &r->lock_until_ms) ||
        !number_or_zero(answer, at, 5, &r->visible_at_ms) ||
        !number_or_zero(answer, at, 6, &r->token) ||
        !lki_pg_read_number(answer, at, 7, &r->receives))
        return LK_UNAVAILABLE;
    if (r->has_data && lk_has_expired(r->expires_at_ms, now_ms))
        *r = (lki_pg_row){.key = r->key};
    if (!r->has_data && lk_has_expired(r->lock_until_ms, now_ms))
        r->version = 0;
    if (!r->has_data)
        r->expires_at_ms = 0; /* it was the lock's */
    return LK_OK;
}

static int
key_compare(const lk_key *a, const lk_key *b)
{
    int order = lk_bytes_compare(a->pk, b->pk);
    return order != 0 ? order : lk_bytes_compare(a->sk, b->sk);
}

static int
row_order(const void *left, const void *right)
{
    return key_compare(&((const lki_pg_row *)left)->key, &((const lki_pg_row *)right)->key);
}

static size_t
row_find(const lki_pg_plan *p, const lk_key *key)
{
    size_t low = 0, high = p->row_count;
    while (low + 1 < high) {
        size_t middle = (low + high) / 2;
        if (key_compare(&p->rows[middle].key, key) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ---- the plan is made ---- */

static bool
write_is_of_claim(const lk_write *write)
{
    return write->kind == LK_ACKNOWLEDGE || write->kind == LK_RELEASE;
}

/* The key of each write; jobs without one get a generated sk. */
static lk_status
keys_make(lki_pg_plan *p)
{
    size_t generated = 0;
    for (size_t i = 0; i < p->write_count; i++) {
        const lk_write *write = &p->writes[i];
        p->keys[i] = write_is_of_claim(write) ? write->claim->key : write->item.key;
        p->pushes |= write->kind == LK_PUSH;
        generated += write->kind == LK_PUSH && p->keys[i].sk.size == 0;
    }
    if (generated == 0)
        return LK_OK;
    p->sks = malloc(generated * LK_ULID_SIZE);
    lk_status status = p->sks == NULL ? LK_NO_MEMORY : lki_pg_ulids(p->store, p->sks, generated);
    char *next = p->sks;
    for (size_t i = 0; status == LK_OK && i < p->write_count; i++)
        if (p->writes[i].kind == LK_PUSH && p->keys[i].sk.size == 0) {
            p->keys[i].sk = (lk_bytes){next, LK_ULID_SIZE};
            next += LK_ULID_SIZE;
        }
    return status;
}

/* One row for each key that is named. */
static lk_status
plan_make(lki_pg_plan *p)
{
    size_t most = p->write_count + p->lock_count, kept = 0;
    p->keys = calloc(p->write_count + 1, sizeof *p->keys);
    p->rows = calloc(most + 1, sizeof *p->rows);
    p->of_writes = calloc(most + 1, sizeof *p->of_writes);
    p->sums = calloc(p->write_count + 1, sizeof *p->sums);
    p->bumped = calloc(p->lock_count + 1, sizeof *p->bumped);
    if (p->keys == NULL || p->rows == NULL || p->of_writes == NULL || p->sums == NULL ||
        p->bumped == NULL)
        return LK_NO_MEMORY;
    lk_status status = keys_make(p);
    if (status != LK_OK)
        return status;
    p->of_locks = p->of_writes + p->write_count;
    for (size_t i = 0; i < most; i++)
        p->rows[i].key = i < p->write_count ? p->keys[i] : p->locks[i - p->write_count].key;
    qsort(p->rows, most, sizeof *p->rows, row_order);
    for (size_t i = 0; i < most; i++)
        if (kept == 0 || row_order(&p->rows[i], &p->rows[kept - 1]) != 0)
            p->rows[kept++] = p->rows[i];
    p->row_count = kept;
    for (size_t i = 0; i < p->write_count; i++)
        p->of_writes[i] = row_find(p, &p->keys[i]);
    for (size_t i = 0; i < p->lock_count; i++)
        p->of_locks[i] = row_find(p, &p->locks[i].key);
    return LK_OK;
}

static void
answers_clear(lki_pg_plan *p)
{
    PQclear(p->read);
    PQclear(p->closed);
    PQclear(p->versions);
    p->read = p->closed = p->versions = NULL;
}

void
lki_pg_plan_free(lki_pg_plan *p)
{
    free(p->keys);
    free(p->rows);
    free(p->of_writes);
    free(p->sums);
    free(p->sks);
    free(p->bumped);
    p->keys = NULL;
    p->rows = NULL;
    p->of_writes = NULL;
    p->sums = NULL;
    p->sks = NULL;
    p->bumped = NULL;
    answers_clear(p);
}

/* ---- the first round trip ---- */

enum { TAKE_BEGIN, TAKE_ROWS, TAKE_READ, TAKE_CLOSED, TAKE_VERSIONS, TAKES };

static bool
steps_fill(const lki_pg_plan *p, lki_pg_step *steps, lki_pg_array *pks, lki_pg_array *sks,
           lki_pg_array *queues)
{
    bool whole = lki_pg_keys_begin(pks, sks, p->row_count);
    size_t pushes = 0;
    for (size_t i = 0; i < p->write_count; i++)
        pushes += p->writes[i].kind == LK_PUSH;
    lki_pg_array_begin(queues, LKI_PG_OF_BYTES, pushes);
    for (size_t i = 0; whole && i < p->row_count; i++)
        whole = lki_pg_keys_add(pks, sks, &p->rows[i].key);
    for (size_t i = 0; i < p->write_count; i++)
        if (p->writes[i].kind == LK_PUSH)
            lki_pg_array_bytes(queues, p->keys[i].pk);
    for (int i = TAKE_ROWS; whole && i <= TAKE_READ; i++)
        whole = lki_pg_add_array(&steps[i].parameters, pks) &&
                lki_pg_add_array(&steps[i].parameters, sks);
    lki_pg_add_number(&steps[TAKE_VERSIONS].parameters, (int64_t)p->lock_count);
    return whole && lki_pg_add_array(&steps[TAKE_CLOSED].parameters, queues);
}

/* Locks and reads the rows. Then it takes the versions, so each is above what its row had; and asks
 * which queues are closed: who closes one waits for all that have begun to write. */
static lk_status
rows_take(lki_pg_plan *p, lki_pg_connection *c)
{
    lki_pg_step steps[TAKES] = {{.statement = LKI_PG_BEGIN},
                                {.statement = LKI_PG_ROWS_TAKE},
                                {.statement = LKI_PG_ROWS_READ},
                                {.statement = LKI_PG_CLOSED_LOOK},
                                {.statement = LKI_PG_VERSIONS}};
    lki_pg_array pks, sks, queues;
    bool whole = steps_fill(p, steps, &pks, &sks, &queues);
    lk_status status = whole ? lki_pg_ask_many(c, steps, TAKES) : LK_NO_MEMORY;
    lki_pg_array_free(&pks);
    lki_pg_array_free(&sks);
    lki_pg_array_free(&queues);
    if (status != LK_OK)
        return status;
    p->read = steps[TAKE_READ].answer;
    p->closed = steps[TAKE_CLOSED].answer;
    p->versions = steps[TAKE_VERSIONS].answer;
    lki_pg_clear(steps, TAKE_READ);
    int *at = lki_pg_rows_by_key(p->read, p->row_count, &status);
    for (size_t i = 0; status == LK_OK && i < p->row_count; i++)
        status = at[i] < 0 ? LK_UNAVAILABLE : row_read(&p->rows[i], p->read, at[i], p->now_ms);
    free(at);
    return status;
}

/* ---- depths ---- */

/* Is it the first push to its queue among those with a bound? */
static bool
is_first_to(const lki_pg_plan *p, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (p->writes[j].kind == LK_PUSH && p->writes[j].push != NULL &&
            p->writes[j].push->max_depth != 0 &&
            lk_bytes_compare(p->keys[j].pk, p->keys[i].pk) == 0)
            return false;
    return true;
}

static bool
has_bound(const lki_pg_plan *p, size_t i)
{
    return p->writes[i].kind == LK_PUSH && p->writes[i].push != NULL &&
           p->writes[i].push->max_depth != 0;
}

/* How many jobs more than before the queue of write i has after this plan. */
static size_t
jobs_more(const lki_pg_plan *p, size_t i)
{
    size_t more = 0;
    for (size_t j = 0; j < p->write_count; j++)
        more += p->writes[j].kind == LK_PUSH &&
                lk_bytes_compare(p->keys[j].pk, p->keys[i].pk) == 0 &&
                !p->rows[p->of_writes[j]].has_job;
    return more;
}

/* Pushes with a bound to one queue take turns, as each locks the queue's row before it counts. */
static lk_status
depth_judge(lki_pg_plan *p, lki_pg_connection *c, size_t i)
{
    size_t max_depth = p->writes[i].push->max_depth, more = jobs_more(p, i);
    lki_pg_step steps[2] = {{.statement = LKI_PG_QUEUE_TAKE}, {.statement = LKI_PG_DEPTH}};
    int64_t depth = 0;
    if (max_depth >= INT64_MAX / 2)
        return LK_OK;
    lki_pg_add_bytes(&steps[0].parameters, p->keys[i].pk);
    lki_pg_add_number(&steps[0].parameters, p->now_ms);
    lki_pg_add_bytes(&steps[1].parameters, p->keys[i].pk);
    lki_pg_add_number(&steps[1].parameters, (int64_t)max_depth + 1);
    lki_pg_add_number(&steps[1].parameters, p->now_ms);
    lk_status status = lki_pg_ask_many(c, steps, 2);
    if (status != LK_OK)
        return status;
    if (!lki_pg_read_number(steps[1].answer, 0, 0, &depth))
        status = LK_UNAVAILABLE;
    else if ((uint64_t)depth + more > max_depth)
        status = LK_BUSY;
    lki_pg_clear(steps, 2);
    return status;
}

/* ---- judgement ---- */

static lk_status
refused(lki_pg_plan *p, size_t write, lk_status status)
{
    *p->conflict = (lk_conflict){SIZE_MAX, 0, write};
    return status;
}

static bool
lock_is_good(const lki_pg_plan *p, const lk_lock *lock, const lki_pg_row *r)
{
    if (lock->version == 0)
        return r->version == 0 && !r->has_data;
    return r->version == (int64_t)lock->version && !lk_has_expired(r->lock_until_ms, p->now_ms);
}

static lk_status
locks_judge(lki_pg_plan *p)
{
    for (size_t i = 0; i < p->lock_count; i++) {
        const lki_pg_row *r = &p->rows[p->of_locks[i]];
        bool lapsed = lk_has_expired(r->lock_until_ms, p->now_ms);
        if (lock_is_good(p, &p->locks[i], r))
            continue;
        *p->conflict = (lk_conflict){i, lapsed ? 0 : (uint64_t)r->version, SIZE_MAX};
        return LK_RACE;
    }
    return LK_OK;
}

static lk_status
condition_judge(const lk_write *write, const lki_pg_row *r)
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
add_apply(lki_pg_plan *p, size_t i, lki_pg_row *r)
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

static void
put_apply(const lk_item *item, lki_pg_row *r)
{
    r->has_data = true;
    r->data = item->data;
    r->expires_at_ms = item->expires_at_ms;
}

static bool
queue_is_closed(const lki_pg_plan *p, lk_bytes pk)
{
    for (int row = 0; row < PQntuples(p->closed); row++)
        if (lk_bytes_compare(lki_pg_read_bytes(p->closed, row, 0), pk) == 0)
            return true;
    return false;
}

static lk_status
push_apply(lki_pg_plan *p, size_t i, lki_pg_row *r)
{
    const lk_write *write = &p->writes[i];
    int64_t delay_ms = write->push != NULL ? write->push->delay_ms : 0;
    if (!p->to_closed && queue_is_closed(p, r->key.pk))
        return LK_CLOSED;
    if (r->has_data && write->item.key.sk.size == 0)
        return LKI_PG_TAKEN;
    if (r->has_data && write->push != NULL && write->push->unique)
        return LK_EXISTS;
    put_apply(&write->item, r);
    r->has_job = true;
    r->visible_at_ms = delay_ms != 0 ? lki_pg_job_after(p->job_now_ms, delay_ms) : 0;
    r->token = r->receives = 0;
    return LK_OK;
}

static lk_status
claim_apply(lki_pg_plan *p, const lk_write *write, lki_pg_row *r)
{
    uint64_t token = write->claim->token;
    if (!r->has_job || (token != 0 && r->token != (int64_t)token))
        return LK_LOST;
    p->is_late |= token != 0 && r->visible_at_ms <= p->job_now_ms;
    if (write->kind == LK_ACKNOWLEDGE) {
        *r = (lki_pg_row){.key = r->key};
    } else {
        r->visible_at_ms =
            write->delay_ms != 0 ? lki_pg_job_after(p->job_now_ms, write->delay_ms) : 0;
        r->token = 0;
    }
    return LK_OK;
}

static lk_status
write_apply(lki_pg_plan *p, size_t i)
{
    const lk_write *write = &p->writes[i];
    lki_pg_row *r = &p->rows[p->of_writes[i]];
    lk_status status = condition_judge(write, r);
    if (status != LK_OK)
        return status;
    switch (write->kind) {
    case LK_PUT:
        put_apply(&write->item, r);
        return LK_OK;
    case LK_DELETE:
        *r = (lki_pg_row){.key = r->key};
        return LK_OK;
    case LK_TOUCH:
        r->expires_at_ms = write->item.expires_at_ms;
        return r->has_data ? LK_OK : LK_NOT_FOUND;
    case LK_ADD:
        return add_apply(p, i, r);
    case LK_PUSH:
        return push_apply(p, i, r);
    case LK_ACKNOWLEDGE:
    case LK_RELEASE:
        return claim_apply(p, write, r);
    }
    return LK_INVALID;
}

/* What the rows are to be. */
static lk_status
plan_judge(lki_pg_plan *p, lki_pg_connection *c)
{
    p->is_late = false;
    lk_status status = locks_judge(p);
    for (size_t i = 0; status == LK_OK && i < p->write_count; i++) {
        if (has_bound(p, i) && is_first_to(p, i))
            status = depth_judge(p, c, i);
        if (status == LK_OK)
            status = write_apply(p, i);
        if (status != LK_OK)
            return c->broken || status == LKI_PG_AGAIN || status == LKI_PG_TAKEN
                       ? status
                       : refused(p, i, status);
    }
    return status;
}

/* Gives the locks their new versions: but not those whose key is deleted. */
static lk_status
locks_bump(lki_pg_plan *p)
{
    for (size_t i = 0; i < p->lock_count; i++) {
        lki_pg_row *r = &p->rows[p->of_locks[i]];
        bool gone = !r->has_data && r->version == 0 && p->locks[i].version != 0;
        p->bumped[i] = (lk_lock){.key = p->locks[i].key};
        if (gone)
            continue;
        if (!lki_pg_read_number(p->versions, (int)i, 0, &r->version))
            return LK_UNAVAILABLE;
        r->lock_until_ms = lki_pg_job_after(p->now_ms, p->store->lock_ttl_ms);
        p->bumped[i].version = (uint64_t)r->version;
        p->bumped[i].expires_at_ms = r->lock_until_ms;
    }
    return LK_OK;
}

/* ---- the second round trip ---- */

enum { COLUMNS = 9, BYTES_COLUMNS = 3 };

static void
number_put(lki_pg_array *array, bool is_there, int64_t number)
{
    if (is_there)
        lki_pg_array_number(array, number);
    else
        lki_pg_array_null(array);
}

static void
row_put(lki_pg_array columns[COLUMNS], const lki_pg_row *r)
{
    bool lock = r->version != 0;
    int64_t expires_at_ms = r->has_data ? r->expires_at_ms : r->lock_until_ms;
    lki_pg_array_bytes(&columns[0], r->key.pk);
    lki_pg_array_bytes(&columns[1], r->key.sk);
    if (r->has_data)
        lki_pg_array_bytes(&columns[2], r->data);
    else
        lki_pg_array_null(&columns[2]);
    number_put(&columns[3], expires_at_ms != 0, expires_at_ms);
    number_put(&columns[4], lock, r->version);
    number_put(&columns[5], lock, r->lock_until_ms);
    number_put(&columns[6], r->has_job, r->visible_at_ms);
    number_put(&columns[7], r->has_job && r->token != 0, r->token);
    lki_pg_array_number(&columns[8], r->receives);
}

static bool
row_stays(const lki_pg_row *r)
{
    return r->has_data || r->version != 0;
}

/* Writes the rows, takes out those that say nothing, and commits. */
static lk_status
rows_write(lki_pg_plan *p, lki_pg_connection *c)
{
    lki_pg_step steps[3] = {{.statement = LKI_PG_ROWS_REMOVE},
                            {.statement = LKI_PG_ROWS_WRITE},
                            {.statement = LKI_PG_COMMIT}};
    lki_pg_array gone[2], columns[COLUMNS];
    size_t kept = 0;
    for (size_t i = 0; i < p->row_count; i++)
        kept += row_stays(&p->rows[i]);
    bool whole = lki_pg_keys_begin(&gone[0], &gone[1], p->row_count - kept);
    for (int i = 0; i < COLUMNS; i++)
        lki_pg_array_begin(&columns[i], i < BYTES_COLUMNS ? LKI_PG_OF_BYTES : LKI_PG_OF_NUMBERS,
                           kept);
    for (size_t i = 0; i < p->row_count; i++)
        if (row_stays(&p->rows[i]))
            row_put(columns, &p->rows[i]);
        else
            whole = whole && lki_pg_keys_add(&gone[0], &gone[1], &p->rows[i].key);
    for (int i = 0; i < 2; i++)
        whole = whole && lki_pg_add_array(&steps[0].parameters, &gone[i]);
    for (int i = 0; i < COLUMNS; i++)
        whole = whole && lki_pg_add_array(&steps[1].parameters, &columns[i]);
    int skipped = kept == p->row_count ? 1 : 0; /* mostly nothing goes */
    lk_status status = whole ? lki_pg_ask_many(c, steps + skipped, 3 - skipped) : LK_NO_MEMORY;
    for (int i = 0; i < 2; i++)
        lki_pg_array_free(&gone[i]);
    for (int i = 0; i < COLUMNS; i++)
        lki_pg_array_free(&columns[i]);
    lki_pg_clear(steps, 3);
    return status;
}

/* ---- all of it ---- */

/* One attempt, on a connection. *in_doubt: it may have happened. */
static lk_status
plan_try(lki_pg_plan *p, lki_pg_connection *c, bool *in_doubt)
{
    *in_doubt = false;
    p->now_ms = lki_pg_now_ms(p->store);
    p->job_now_ms = lki_pg_job_now_ms(p->store);
    lk_status status = rows_take(p, c);
    if (status == LK_OK)
        status = plan_judge(p, c);
    if (status == LK_OK)
        status = locks_bump(p);
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
plan_commit(lki_pg_plan *p)
{
    for (int tries = 0;; tries++) {
        lki_pg_connection *c;
        bool in_doubt;
        lk_status status = lki_pg_take(p->store, &c);
        if (status != LK_OK)
            return status;
        status = plan_try(p, c, &in_doubt);
        bool again = (status == LKI_PG_AGAIN || c->broken) && lki_pg_clock_ms() < c->until_ms;
        lki_pg_give(c);
        answers_clear(p);
        if (in_doubt)
            return LK_UNKNOWN;
        if (!again || tries == LKI_PG_TRIES)
            return status == LKI_PG_AGAIN ? LK_UNAVAILABLE : status;
        lki_pg_count(&p->store->retries, 1);
        lki_pg_pause(tries);
    }
}

/* Whom it concerns hears of it. */
static void
plan_tell(const lki_pg_plan *p)
{
    for (size_t i = 0; i < p->write_count; i++) {
        const lk_write *write = &p->writes[i];
        const lki_pg_row *r = &p->rows[p->of_writes[i]];
        if (write->kind == LK_PUSH)
            lki_pg_queue_add_to(p->store, p->keys[i].pk, LKI_PG_PUSHES, 1);
        if (write->kind == LK_PUSH || write->kind == LK_RELEASE)
            lki_pg_queue_wake(p->store, p->keys[i].pk, r->visible_at_ms);
        else if (write->kind == LK_ACKNOWLEDGE || write->kind == LK_DELETE)
            lki_pg_queue_wake(p->store, p->keys[i].pk, 0); /* perhaps a closed one's last */
        if (write_is_of_claim(write) && p->is_late)
            lki_pg_queue_add_to(p->store, p->keys[i].pk, LKI_PG_LATE, 1);
    }
}

lk_status
lki_pg_plan_run(lki_pg_plan *p)
{
    lk_status status = LKI_PG_TAKEN;
    for (int tries = 0; status == LKI_PG_TAKEN && tries < LKI_PG_TRIES; tries++) {
        lki_pg_plan_free(p);
        status = plan_make(p);
        if (status == LK_OK)
            status = plan_commit(p);
    }
    if (status == LKI_PG_TAKEN)
        return LK_BUSY;
    if (status == LK_LOST)
        lki_pg_queue_add_to(p->store, p->keys[p->conflict->write].pk, LKI_PG_LOST, 1);
    if (status != LK_OK)
        return status;
    if (p->lock_count != 0)
        memcpy(p->locks, p->bumped, p->lock_count * sizeof *p->locks);
    plan_tell(p);
    return p->is_late ? LK_LATE : LK_OK;
}
