/* SPDX-License-Identifier: MIT
 *
 * The cell of a key, wherever it is: in the set of cells; or in a slot, if a queue of this store
 * generated the key (by the hooks); or remembered by the thread.
 */
#ifndef LKI_STORE_FIND_H
#define LKI_STORE_FIND_H

#include "base/ulid.h"
#include "store/hooks.h"
#include "store/shard.h"
#include "store/store_thread.h"

/* Could a queue of this store have generated the sk? */
LKI_INLINE bool
lki_key_is_generated(const lki_store *store, const lk_key *key)
{
    if (LKI_LIKELY(key->sk.size != LK_ULID_SIZE))
        return false;
    return memcmp((const char *)key->sk.data + LKI_ULID_OWNER, store->ulid_mark,
                  sizeof store->ulid_mark) == 0;
}

LKI_INLINE bool
lki_hashed_is_generated(const lki_store *store, const lki_hashed *hashed)
{
    _Static_assert(LK_ULID_SIZE > LKI_SHORT, "what a queue has generated is not short");
    return LKI_UNLIKELY(!hashed->is_short) && lki_key_is_generated(store, hashed->key);
}

/* Fast path: the cell of a short key, if it is the first in its bucket with the tag. NULL: it is
 * not; *none: the key has no cell. Caller: in a section. */
LKI_INLINE lki_cell *
lki_find_first(const lki_store *store, const lki_hashed *hashed, bool *none)
{
    unsigned matches;
    return lki_bucket_first(lki_shard_bucket(store, hashed->hash), hashed, LKI_CELL_HEADER,
                            &matches, none);
}

lki_cell *lki_find_any(lki_store *store, const lki_hashed *hashed);

/* The cell of a key; NULL: none. Caller: in a section. */
LKI_INLINE lki_cell *
lki_find(lki_store *store, const lki_hashed *hashed)
{
    if (LKI_LIKELY(hashed->is_short)) {
        bool none;
        lki_cell *cell = lki_find_first(store, hashed, &none);
        if (LKI_LIKELY(cell != NULL) || none)
            return cell;
    }
    return lki_find_any(store, hashed);
}

/* The same as of a snapshot that was taken before: a job that was removed since then counts. */
LKI_INLINE lki_cell *
lki_find_at(lki_store *store, const lki_hashed *hashed, uint64_t snapshot)
{
    if (LKI_UNLIKELY(lki_hashed_is_generated(store, hashed)) && store->hooks->find != NULL) {
        lki_cell *cell = store->hooks->find(store, hashed->key, snapshot);
        if (cell != NULL)
            return cell;
    }
    return lki_shard_find(store, hashed);
}

/* The same for a write, of this key or with others: from now on the cell's head alone says what the
 * key has. LK_OK: *cell, or NULL. LK_NO_MEMORY. Caller: in a write section. */
LKI_INLINE lk_status
lki_find_to_write(lki_store *store, lki_thread *thread, const lki_hashed *hashed, lki_cell **cell)
{
    *cell = NULL;
    if (LKI_UNLIKELY(lki_hashed_is_generated(store, hashed)) &&
        store->hooks->find_to_write != NULL) {
        lk_status status = store->hooks->find_to_write(store, thread, hashed->key, false, cell);
        if (status != LK_OK || *cell != NULL)
            return status;
    }
    *cell = lki_shard_find(store, hashed);
    return LK_OK;
}

/* A key that was looked up together with others. */
typedef struct lki_seen {
    lki_hashed hashed;
    lki_cell *cell;     /* NULL: there is none */
    lki_record *record; /* effective, live or not; NULL: none */
} lki_seen;

/* Remembers the cells of keys that were just read with their locks, in their order: the commit that
 * usually follows need not look them up. `now_ms`: of the call. Caller of both: in a section. */
LKI_INLINE void
lki_cells_remember(lki_thread *thread, const lki_seen *seen, size_t count, int64_t now_ms)
{
    lki_store_thread *of = lki_store_thread_of(thread);
    size_t known = count < LKI_CELLS_KNOWN ? count : LKI_CELLS_KNOWN;
    for (size_t i = 0; i < known; i++)
        of->cells[i] = seen[i].cell;
    of->cell_count = (uint32_t)known;
    of->cell_epoch = lki_section_epoch(thread);
    of->cell_ms = now_ms;
}

/* How many remembered cells may still be used: they belong to sections of the same epoch. Each is
 * the cell of the key that it says, unless it is dead. (Epochs wrap, but not within a second.) */
enum { LKI_CELLS_KNOWN_MS = 1000 };
LKI_INLINE size_t
lki_cells_known(lki_thread *thread, int64_t now_ms)
{
    const lki_store_thread *of = lki_store_thread_of(thread);
    bool same = of->cell_epoch == lki_section_epoch(thread) &&
                (uint64_t)now_ms - (uint64_t)of->cell_ms < LKI_CELLS_KNOWN_MS;
    return same ? of->cell_count : 0;
}

#endif
