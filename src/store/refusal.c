/* SPDX-License-Identifier: MIT
 *
 * Why a commit does not happen. Whether it may is told by the installation of its records
 * (commit.c), in the order of their addresses; which of the caller's demands did not hold, in the
 * caller's order, is looked at here, afterwards.
 *
 * Progress    wait-free.
 * Ordering    P1.
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

static lki_record *
record_find(lki_store *store, const lk_key *key)
{
    lki_hashed hashed = lki_hashed_of(&store->secret, key);
    lki_cell *cell = lki_find_any(store, &hashed);
    return cell == NULL ? NULL : lki_effective(store, lki_load_acquire(&cell->item), NULL); /* P1 */
}

lk_status
lki_demands_judge(lki_store *store, const lki_demands *of, lki_time *now, lk_conflict *conflict)
{
    for (size_t i = 0; i < of->lock_count; i++) {
        const lki_lock *lock = lki_good_lock(store, record_find(store, &of->locks[i].key), now);
        uint64_t version = lock != NULL ? lock->version : 0;
        if (version == of->locks[i].version && version != 0)
            continue;
        *conflict = (lk_conflict){i, version, SIZE_MAX};
        return LK_RACE;
    }
    return LK_OK;
}
