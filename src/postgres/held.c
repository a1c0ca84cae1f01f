/* SPDX-License-Identifier: MIT
 *
 * The commit of items under locks that the caller holds: each lock has a version, and each item
 * that is written has a lock. See plan.h for all others.
 *
 * One statement writes the rows, in the order of their keys, which have the versions that are
 * expected. Where that are all, the second round trip commits; else it rolls back, and the plan
 * says who stands in the way. The new versions were drawn before. So where the answer was lost, the
 * plan is tried again: it finds the old versions, and commits; or the new ones, and has committed;
 * or neither, and nobody knows.
 */
#include "postgres/plan.h"

#include <stdlib.h>
#include <string.h>

#include "postgres/queue.h"
#include "postgres/sweep.h"

enum { HELD_MOST = 64 };

typedef struct held {
    lki_pg *store;
    const lk_write *writes;
    size_t write_count;
    lk_lock *locks;
    size_t lock_count;
    const lk_lock *order[HELD_MOST]; /* in the order of their keys */
    const lk_item *items[HELD_MOST]; /* what is written to each; NULL: nothing */
    int64_t versions[HELD_MOST];     /* the new ones */
    int64_t lock_until_ms;
} held;

/* ---- what can be done so ---- */

static int
lock_order(const void *left, const void *right)
{
    return lki_pg_key_order(&(*(const lk_lock *const *)left)->key,
                            &(*(const lk_lock *const *)right)->key);
}

/* False: two are of one key, or one is of a key that nobody has. */
static bool
locks_sort(held *h)
{
    for (size_t i = 0; i < h->lock_count; i++) {
        h->order[i] = &h->locks[i];
        if (h->locks[i].version == 0)
            return false;
    }
    qsort(h->order, h->lock_count, sizeof *h->order, lock_order);
    for (size_t i = 1; i < h->lock_count; i++)
        if (lock_order(&h->order[i - 1], &h->order[i]) == 0)
            return false;
    return true;
}

/* False: it is not a put under a lock, or the second one to its key. */
static bool
write_place(held *h, const lk_write *write)
{
    lk_lock of_key = {.key = write->item.key};
    const lk_lock *wanted = &of_key;
    if (write->kind != LK_PUT || write->condition != LK_ALWAYS)
        return false;
    const lk_lock **at = bsearch(&wanted, h->order, h->lock_count, sizeof *h->order, lock_order);
    if (at == NULL || h->items[at - h->order] != NULL)
        return false;
    h->items[at - h->order] = &write->item;
    return true;
}

static bool
held_can(held *h)
{
    if (h->lock_count == 0 || h->lock_count > HELD_MOST || !locks_sort(h))
        return false;
    for (size_t i = 0; i < h->write_count; i++)
        if (!write_place(h, &h->writes[i]))
            return false;
    return true;
}

/* ---- versions ---- */

/* Takes those of the stock that are above all that the locks have. */
static size_t
versions_take(held *h)
{
    lki_pg *store = h->store;
    int64_t above = 0;
    size_t taken = 0;
    for (size_t i = 0; i < h->lock_count; i++)
        above = (int64_t)h->locks[i].version > above ? (int64_t)h->locks[i].version : above;
    pthread_mutex_lock(&store->latch);
    while (taken < h->lock_count && store->version_count != 0) {
        int64_t version = store->versions[--store->version_count];
        if (version > above)
            h->versions[taken++] = version;
    }
    pthread_mutex_unlock(&store->latch);
    return taken;
}

static void
versions_keep(lki_pg *store, int64_t version)
{
    pthread_mutex_lock(&store->latch);
    if (store->version_count < LKI_PG_VERSIONS_KEPT)
        store->versions[store->version_count++] = version;
    pthread_mutex_unlock(&store->latch);
}

/* The rest of them, and some for the next commits, come from the server: they are above all that
 * there are. */
static lk_status
versions_draw(held *h)
{
    lki_pg_parameters p = {.count = 0};
    PGresult *answer;
    size_t taken = versions_take(h);
    lk_status status = LK_OK;
    if (taken == h->lock_count)
        return LK_OK;
    lki_pg_add_number(&p, (int64_t)h->lock_count + LKI_PG_VERSIONS_KEPT);
    status = lki_pg_call(h->store, LKI_PG_VERSIONS, true, &p, &answer);
    if (status != LK_OK)
        return status;
    /* The least ones are used first: those that are left must be above what has been used. */
    size_t first = h->lock_count - taken;
    for (int row = PQntuples(answer) - 1; status == LK_OK && row >= 0; row--) {
        int64_t version;
        if (!lki_pg_read_number(answer, row, 0, &version))
            status = LK_UNAVAILABLE;
        else if ((size_t)row >= first)
            versions_keep(h->store, version);
        else
            h->versions[taken++] = version;
    }
    PQclear(answer);
    return status == LK_OK && taken < h->lock_count ? LK_UNAVAILABLE : status;
}

/* ---- the statement ---- */

enum { COLUMNS = 6, BYTES_COLUMNS = 3 };

static void
row_put(const held *h, size_t i, lki_pg_array columns[COLUMNS])
{
    static const lk_item none;
    const lk_item *item = h->items[i] != NULL ? h->items[i] : &none;
    lki_pg_array_bytes(&columns[0], h->order[i]->key.pk);
    lki_pg_array_bytes(&columns[1], h->order[i]->key.sk);
    lki_pg_array_bytes_if(&columns[2], item != &none, item->data);
    lki_pg_array_number_if(&columns[3], item->expires_at_ms != 0, item->expires_at_ms);
    lki_pg_array_number(&columns[4], (int64_t)h->order[i]->version);
    lki_pg_array_number(&columns[5], h->versions[i]);
}

/* One attempt, on a connection. *in_doubt: it may have happened. */
static lk_status
held_try(const held *h, lki_pg_connection *c, const lki_pg_parameters *p, bool *in_doubt)
{
    lki_pg_step steps[2] = {{.statement = LKI_PG_BEGIN}, {.statement = LKI_PG_HELD_WRITE}};
    PGresult *answer;
    steps[1].parameters = *p;
    lk_status status = lki_pg_ask_many(c, steps, 2);
    bool all = status == LK_OK && (size_t)PQntuples(steps[1].answer) == h->lock_count;
    lki_pg_clear(steps, 2);
    *in_doubt = false;
    if (c->broken || PQtransactionStatus(c->pg) == PQTRANS_IDLE)
        return status;
    lk_status ended = lki_pg_ask(c, all ? LKI_PG_COMMIT : LKI_PG_ROLLBACK, NULL, &answer);
    PQclear(answer);
    *in_doubt = all && ended != LK_OK && c->broken && c->in_doubt;
    return status != LK_OK ? status : all ? ended : LK_RACE;
}

static lk_status
held_commit(const held *h, const lki_pg_parameters *p)
{
    for (int tries = 0;; tries++) {
        lki_pg_connection *c;
        bool in_doubt;
        lk_status status = lki_pg_take(h->store, &c);
        if (status != LK_OK)
            return status;
        status = held_try(h, c, p, &in_doubt);
        bool again = status == LKI_PG_AGAIN || (status != LK_OK && c->broken);
        lki_pg_give(c);
        if (in_doubt)
            return LK_UNKNOWN;
        if (!again)
            return status;
        if (!lki_pg_try_again(h->store, tries))
            return LK_UNAVAILABLE;
    }
}

/* LK_OK: it was committed. LK_RACE: nothing was written. LK_UNKNOWN: nobody knows yet. */
static lk_status
held_ask(held *h)
{
    lki_pg_parameters p = {.count = 0};
    lki_pg_array columns[COLUMNS];
    int64_t now_ms = lki_pg_now_ms(h->store);
    bool whole = true;
    h->lock_until_ms = lki_pg_time_after(now_ms, h->store->lock_ttl_ms);
    for (int i = 0; i < COLUMNS; i++)
        lki_pg_array_begin(&columns[i], i < BYTES_COLUMNS ? LKI_PG_OF_BYTES : LKI_PG_OF_NUMBERS,
                           h->lock_count);
    for (size_t i = 0; i < h->lock_count; i++)
        row_put(h, i, columns);
    lki_pg_add_number(&p, now_ms);
    for (int i = 0; i < COLUMNS; i++)
        whole = whole && lki_pg_add_array(&p, &columns[i]);
    lki_pg_add_number(&p, h->lock_until_ms);
    lki_pg_add_number(&p, (int64_t)h->lock_count);
    lk_status status = whole ? held_commit(h, &p) : LK_NO_MEMORY;
    for (int i = 0; i < COLUMNS; i++)
        lki_pg_array_free(&columns[i]);
    return status;
}

/* Gives the locks what was written. */
static void
locks_bump(const held *h)
{
    for (size_t i = 0; i < h->lock_count; i++) {
        lk_lock *lock = &h->locks[h->order[i] - h->locks];
        lock->version = (uint64_t)h->versions[i];
        lock->expires_at_ms = h->lock_until_ms;
    }
}

/* Whether a lock that was found to have another version has the one that this commit gave it. */
static bool
is_own(const held *h, const lk_conflict *conflict)
{
    if (conflict->index >= h->lock_count)
        return false;
    for (size_t i = 0; i < h->lock_count; i++)
        if (h->order[i] == &h->locks[conflict->index])
            return conflict->current_version == (uint64_t)h->versions[i];
    return false;
}

static void
held_end(const held *h)
{
    locks_bump(h);
    for (size_t i = 0; i < h->write_count; i++) /* it may have been a job, and over */
        lki_pg_queue_tell(h->store, h->writes[i].item.key.pk, LKI_PG_GONE, 0);
    lki_pg_tidy(h->store);
}

lk_status
lki_pg_held_commit(lki_pg_plan *plan)
{
    held h = {.store = plan->store,
              .writes = plan->writes,
              .write_count = plan->write_count,
              .locks = plan->locks,
              .lock_count = plan->lock_count};
    if (!held_can(&h))
        return lki_pg_plan_run(plan);
    lk_status status = versions_draw(&h);
    if (status == LK_OK)
        status = held_ask(&h);
    bool in_doubt = status == LK_UNKNOWN;
    if (in_doubt || status == LK_RACE) /* it says who stands in the way */
        status = lki_pg_plan_run(plan);
    else if (status == LK_OK)
        held_end(&h);
    if (in_doubt && status == LK_RACE && is_own(&h, plan->conflict)) {
        locks_bump(&h);
        return LK_OK;
    }
    return in_doubt && status != LK_OK ? LK_UNKNOWN : status;
}
