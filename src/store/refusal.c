/* SPDX-License-Identifier: MIT
 *
 * Why a commit did not happen. The installation of records (commit.c) decides whether it happens,
 * in the order of the cells' addresses. Afterwards this file finds which demand did not hold, in
 * the caller's order.
 *
 * Progress    wait-free.
 * Ordering    P1, P2 (head.h).
 */
#include "store/refusal.h"

#include "store/lock.h"

static bool
key_equals(const lki_sought *left, const lki_sought *right)
{
    const lk_key *a = left->hashed.key, *b = right->hashed.key;
    return a != NULL && b != NULL && left->hashed.hash == right->hashed.hash &&
           a->pk.size == b->pk.size && a->sk.size == b->sk.size &&
           lki_bytes_equal(a->pk.data, b->pk.data, a->pk.size) &&
           lki_bytes_equal(a->sk.data, b->sk.data, a->sk.size);
}

bool
lki_demands_repeat(const lki_store *store, const lki_demands *of, lki_sought *room)
{
    size_t locks = of->lock_count, all = locks + of->writes->count;
    for (size_t i = 0; i < all; i++) {
        const lk_key *key = i < locks ? &of->locks[i].key : lki_writes_key(of->writes, i - locks);
        room[i].hashed.key = NULL;
        if (key != NULL)
            room[i].hashed = lki_hashed_of(&store->secret, key);
    }
    for (size_t i = 0; i < all; i++)
        for (size_t j = i + 1; j < (i < locks ? locks : all); j++)
            if (key_equals(&room[i], &room[j]))
                return true;
    return false;
}

/* Does a write depend on what is there, or must a key have nothing? What these find may change back
 * and forth, unlike another stale lock. So only a snapshot tells which was the first to fail. */
static bool
demands_ask(const lki_demands *of)
{
    for (size_t i = 0; i < of->lock_count; i++)
        if (of->locks[i].version == 0)
            return true;
    for (size_t i = 0; i < of->write_count; i++)
        if (lki_writes_asking(of->writes, i) != NULL)
            return true;
    return false;
}

/* A judgement of all demands. */
typedef struct judgement {
    lki_store *store;
    uint64_t snapshot; /* UINT64_MAX: what is effective now */
    lki_time *now;
    int64_t before_ms; /* of lki_record_is_gone */
    bool again;        /* a record had expired, but may have been replaced in time */
} judgement;

static lki_record *
record_find(judgement *j, const lk_key *key)
{
    lki_hashed hashed = lki_hashed_of(&j->store->secret, key);
    lki_cell *cell = lki_find_at(j->store, &hashed, j->snapshot);
    if (cell == NULL)
        return NULL;
    lki_record *record =
        lki_record_at(j->store, lki_load_acquire(&cell->item), j->snapshot); /* P1 */
    if (!lki_record_is_live(j->store, record, j->now) &&
        !lki_record_is_gone(cell, record, j->now, &j->before_ms))
        j->again = true;
    return record;
}

static lk_status
locks_judge(judgement *j, const lki_demands *of, lk_conflict *conflict)
{
    for (size_t i = 0; i < of->lock_count; i++) {
        lki_record *record = record_find(j, &of->locks[i].key);
        if (lki_lock_is_at(j->store, record, of->locks[i].version, j->now))
            continue;
        *conflict = (lk_conflict){i, lki_good_version(j->store, record, j->now), SIZE_MAX};
        return LK_RACE;
    }
    return LK_OK;
}

static lk_status
writes_judge(judgement *j, const lki_demands *of, lk_conflict *conflict)
{
    for (size_t i = 0; i < of->write_count; i++) {
        const lk_write *write = lki_writes_asking(of->writes, i);
        lki_outcome ignored;
        lk_status status = LK_OK;
        if (write != NULL)
            status = lki_write_outcome(j->store, write, record_find(j, &write->item.key), j->now,
                                       &ignored);
        if (status == LK_OK)
            continue;
        *conflict = (lk_conflict){SIZE_MAX, 0, i};
        return status;
    }
    return LK_OK;
}

lk_status
lki_demands_judge(lki_store *store, lki_thread *thread, const lki_demands *of, lki_time *now,
                  lk_conflict *conflict)
{
    judgement j = {.store = store, .snapshot = UINT64_MAX, .now = now};
    lk_status status;
    do {
        j.again = false;
        if (demands_ask(of)) { /* the time is read after it: an end counts for all */
            j.snapshot = lki_snapshot(store, thread);
            *now = (lki_time){0, false, false};
        }
        status = locks_judge(&j, of, conflict);
        if (status == LK_OK)
            status = writes_judge(&j, of, conflict);
    } while (j.again);
    return status;
}
