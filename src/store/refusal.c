/* SPDX-License-Identifier: MIT
 *
 * Why a commit does not happen. Whether it may is told by the installation of its records
 * (commit.c), in the order of their addresses; which of the caller's demands did not hold, in the
 * caller's order, is looked at here, afterwards.
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

/* Is there a write that asks what is there, or a lock of a key that is to have nothing? Unlike
 * another stale lock, what they find may come and go, so that only a snapshot tells which was the
 * first to be refused. */
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

/* What counts of a key as of a snapshot, or (UINT64_MAX) now. */
static lki_record *
record_find(lki_store *store, const lk_key *key, uint64_t snapshot, lki_cell **cell)
{
    lki_hashed hashed = lki_hashed_of(&store->secret, key);
    *cell = lki_find_at(store, &hashed, snapshot);
    return *cell != NULL ? lki_record_at(store, lki_load_acquire(&(*cell)->item), snapshot)
                         : NULL; /* P1 */
}

static lk_status
locks_judge(lki_store *store, const lki_demands *of, uint64_t snapshot, lki_time *now,
            lk_conflict *conflict)
{
    for (size_t i = 0; i < of->lock_count; i++) {
        lki_cell *cell;
        lki_record *record = record_find(store, &of->locks[i].key, snapshot, &cell);
        if (lki_lock_is_at(store, record, of->locks[i].version, now))
            continue;
        *conflict = (lk_conflict){i, lki_good_version(store, record, now), SIZE_MAX};
        return LK_RACE;
    }
    return LK_OK;
}

lk_status
lki_demands_judge(lki_store *store, lki_thread *thread, const lki_demands *of, lki_time *now,
                  lk_conflict *conflict)
{
    uint64_t snapshot = demands_ask(of) ? lki_snapshot(store, thread) : UINT64_MAX;
    if (snapshot != UINT64_MAX) /* it is read after that: what has ended before, has so for all */
        *now = (lki_time){0, false, false};
    lk_status status = locks_judge(store, of, snapshot, now, conflict);
    for (size_t i = 0; status == LK_OK && i < of->write_count; i++) {
        const lk_write *write = lki_writes_asking(of->writes, i);
        if (write == NULL)
            continue;
        lki_outcome ignored;
        lki_cell *cell;
        int64_t before_ms = 0;
        lki_record *record = record_find(store, &write->item.key, snapshot, &cell);
        status = lki_write_outcome(store, write, record, now, &ignored);
        if (status != LK_OK && !lki_record_is_live(store, record, now) &&
            !lki_record_is_gone(cell, record, now, &before_ms))
            return LK_OK; /* what had expired was perhaps replaced in time */
        if (status != LK_OK)
            *conflict = (lk_conflict){SIZE_MAX, 0, i};
    }
    return status;
}
