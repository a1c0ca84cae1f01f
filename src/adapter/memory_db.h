/* SPDX-License-Identifier: MIT
 *
 * Reads of one key of the embedded store. api.c calls them where it has seen that the key is short
 * (lki_key_is_short) and good, and that the handle is the embedded store's (lk_db.known).
 *
 * They are inlined there and go straight on while nothing is unusual: the thread is known, the
 * key's cell is the first that the bucket names, its record is a plain value. Where something is
 * unusual, a function apart goes on (memory_db.c), which is the general way. So the straight way
 * calls nothing, and has nothing to keep over a call.
 */
#ifndef LKI_ADAPTER_MEMORY_DB_H
#define LKI_ADAPTER_MEMORY_DB_H

#include "adapter/handle.h"
#include "base/result.h"
#include "store/find.h"
#include "store/head.h"
#include "store/read.h"

/* Operations; keys of any size. */
lk_status lki_memory_get(void *store, const lk_key *key, lk_result *result);
lk_status lki_memory_get_into(void *store, const lk_key *key, void *buffer, size_t capacity,
                              size_t *size);
lk_status lki_memory_view(void *store, const lk_key *key, lk_item *item);

/* The rest of the first two, in a section that has begun, which they end. `cell` NULL: from the
 * hash on; else the cell is known. */
lk_status lki_memory_get_rest(lki_thread *thread, const lk_key *key, lki_cell *cell,
                              lk_result *result);
lk_status lki_memory_get_into_rest(lki_thread *thread, const lk_key *key, lki_cell *cell,
                                   void *buffer, size_t capacity, size_t *size);

LKI_INLINE lk_status
lki_memory_get_short(lki_store *store, const lk_key *key, lk_result *result)
{
    lki_thread *thread = lki_self.thread;
    LK_ASSERT(thread->epoch.active == thread->pins); /* SECTIONS: memory_db.c */
    lki_hashed hashed = lki_hashed_of_short(&store->secret, key);
    bool none;
    lki_enter(thread);
    lki_cell *cell = lki_find_first(store, &hashed, &none);
    if (LKI_UNLIKELY(none)) {
        lki_read_end(thread, false);
        return LK_NOT_FOUND;
    }
    const lki_record *record;
    const unsigned char *data;
    if (LKI_UNLIKELY(cell == NULL))
        return lki_memory_get_rest(thread, key, NULL, result);
    if (LKI_UNLIKELY(!lki_read_plain(cell, &record, &data)))
        return lki_memory_get_rest(thread, key, cell, result);
    lki_copying c = {NULL, data, record->size};
    if (LKI_UNLIKELY(!lki_result_put_short(result, key, cell, LKI_CELL_HEADER, &c)))
        return lki_memory_get_rest(thread, key, cell, result);
    if (LKI_UNLIKELY(!lki_copy_short(&c)))
        return lki_read_end_long(thread, c.to, c.from, c.size);
    lki_read_end(thread, true);
    return LK_OK;
}

LKI_INLINE lk_status
lki_memory_get_into_short(lki_store *store, const lk_key *key, void *buffer, size_t capacity,
                          size_t *size)
{
    lki_thread *thread = lki_self.thread;
    LK_ASSERT(thread->epoch.active == thread->pins); /* SECTIONS: memory_db.c */
    lki_hashed hashed = lki_hashed_of_short(&store->secret, key);
    bool none;
    lki_enter(thread);
    lki_cell *cell = lki_find_first(store, &hashed, &none);
    if (LKI_UNLIKELY(none)) {
        lki_read_end(thread, false);
        return LK_NOT_FOUND;
    }
    const lki_record *record;
    const unsigned char *data;
    size_t bytes;
    if (LKI_UNLIKELY(cell == NULL) || LKI_UNLIKELY(!lki_read_plain(cell, &record, &data)) ||
        LKI_UNLIKELY((bytes = record->size) > capacity))
        return lki_memory_get_into_rest(thread, key, cell, buffer, capacity, size);
    *size = bytes;
    lki_copying c = {buffer, data, bytes};
    if (LKI_UNLIKELY(!lki_copy_short(&c)))
        return lki_read_end_long(thread, c.to, c.from, c.size);
    lki_read_end(thread, true);
    return LK_OK;
}

LKI_INLINE lk_status
lki_memory_view_short(lki_store *store, const lk_key *key, lk_item *item)
{
    lki_thread *thread = lki_self.thread;
    LK_ASSERT(thread->epoch.active == thread->pins); /* SECTIONS: memory_db.c */
    if (LKI_UNLIKELY(thread->pins == 0))
        return lki_memory_view(store, key, item);
    lki_hashed hashed = lki_hashed_of_short(&store->secret, key);
    bool none;
    lki_cell *cell = lki_find_first(store, &hashed, &none);
    const lki_record *record;
    const unsigned char *data;
    size_t sk_size = key->sk.size; /* just compared */
    if (LKI_UNLIKELY(cell == NULL) || LKI_UNLIKELY(!lki_read_plain(cell, &record, &data)))
        return lki_memory_view(store, key, item);
    lki_count(thread, LKI_HITS, 1);
    lki_item_point(item, cell->bytes, key->pk.size, sk_size, record->size, 0);
    item->data.data = data;
    return LK_OK;
}

#endif
