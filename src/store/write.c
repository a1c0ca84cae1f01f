/* SPDX-License-Identifier: MIT
 *
 * Writes of single keys: set, conditional put, touch, add, delete.
 *
 * A set is one record over whatever is effective; the table is not touched if the key exists.
 * Several items are written in groups, so that their cache misses overlap; each item is atomic, all
 * together are not. A delete is a tombstone, which ends the item and its lock.
 *
 * Progress    lock-free on keys that exist; else the latches of new_cell.c.
 * Ordering    P1, P2 (head.h).
 */
#include "store/write.h"

#include "base/pressure.h"
#include "store/find.h"
#include "store/new_cell.h"
#include "store/record.h"
#include "store/removal.h"
#include "store/sweep.h"

enum { GROUP = 16 };

/* A write whose outcome depends on what is there, and that outcome. */
typedef struct asking {
    const lk_write *write;
    lki_outcome *outcome;
    lki_time now;
} asking;

/* The record of a head, if it is stamped. NULL: it is not, or there is none. */
LKI_INLINE lki_record *
head_stamped(const lki_cell *cell)
{
    uintptr_t head = lki_load_acquire(&cell->item); /* P1 */
    lki_record *over = (lki_record *)head;
    if (LKI_UNLIKELY(head <= LKI_DEAD) ||
        LKI_UNLIKELY(!lki_word_is_stamp(lki_load_acquire(&over->word)))) /* P2 */
        return NULL;
    return over;
}

/* Puts a value over another one; neither is a job. False: the head has changed. */
LKI_INLINE bool
value_put(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *record,
          lki_record *over)
{
    uintptr_t head = (uintptr_t)over;
    LK_ASSERT(lki_is_reserved(thread, 2) && (record->flags & LKI_FLAG_INLINE) == 0);
    LK_ASSERT(over->kind == LKI_VALUE && !lki_record_is_job(over));
    *lki_record_before(record) = head;
    lki_store_relaxed(&record->word, 0);
    if (LKI_UNLIKELY(!lki_cas_seq_cst(&cell->item, &head, (uintptr_t)record))) { /* P1, P2 */
        lki_record_discard(thread, cell, record);
        lk_backoff(0); /* the other thread gets several writes done meanwhile */
        return false;
    }
    lki_record_stamp(store, record);
    lki_record_retire(thread, cell, over);
    return true;
}

/* Fast path of a set, for most: a plain value over a plain value, of a key that is not generated.
 * False: it is not such a case, and nothing was done. */
LKI_INLINE bool
set_plain(lki_store *store, lki_thread *thread, lki_cell *cell, const lk_item *item)
{
    lki_record *over = head_stamped(cell);
    if (LKI_UNLIKELY(over == NULL))
        return false;
    lki_record *record = lki_record_over_plain(thread, item, over);
    return LKI_LIKELY(record != NULL) && value_put(store, thread, cell, record, over);
}

/* The same for a write whose outcome depends on what is there; *status is its status. */
LKI_INLINE bool
write_plain(lki_store *store, lki_thread *thread, lki_cell *cell, asking *asked, lk_status *status)
{
    lki_record *over = head_stamped(cell);
    if (LKI_UNLIKELY(over == NULL) || LKI_UNLIKELY((over->flags & LKI_FLAG_JOB) != 0) ||
        LKI_UNLIKELY(!lki_record_is_live(store, over, &asked->now)))
        return false;
    *status = lki_write_outcome(store, asked->write, over, &asked->now, asked->outcome);
    if (LKI_UNLIKELY(*status != LK_OK))
        return true;
    const lk_item *item = asked->outcome->item;
    if (LKI_UNLIKELY(item->data.size > LKI_COPY_STEPS_MAX))
        return false;
    lki_record *record = lki_record_over_live(thread, item, over);
    return LKI_LIKELY(record != NULL) && value_put(store, thread, cell, record, over);
}

/* Called after an item with a new expiry was written. */
static void
expiry_expect(lki_store *store, lki_thread *thread, int64_t expires_at_ms)
{
    lki_store_thread_of(thread)->expiring_writes++;
    lki_sweep_expect(store, expires_at_ms);
}

/* The general path of a set of `item`, or, if `asked` is not NULL, of such a write. `none`: a
 * search has just found no such key. */
LKI_INLINE lk_status
item_write(lki_store *store, lki_thread *thread, const lki_hashed *hashed, const lk_item *item,
           asking *asked, bool none)
{
    lki_cell *cell = NULL;
    if (!none) {
        lk_status status = lki_find_to_write(store, thread, hashed, &cell);
        if (status != LK_OK)
            return status;
    }
    lki_time now = {0, false, false};
    lki_change change = {.item = item, .now = asked != NULL ? &asked->now : &now};
    for (bool looked = true;; looked = false) {
        bool fresh = cell == NULL;
        if (!lki_reserve(thread, 4))
            return LK_NO_MEMORY;
        if (fresh) {
            lk_status status = LK_OK;
            if (LKI_UNLIKELY(asked != NULL)) {
                status = lki_write_outcome(store, asked->write, NULL, &asked->now, asked->outcome);
                change.item = asked->outcome->item;
            }
            if (LKI_LIKELY(status == LK_OK))
                status = lki_cell_find_or_create(store, thread, hashed,
                                                 lki_item_payload(change.item), looked, &cell);
            if (status != LK_OK)
                return status;
        }
        lk_status status = asked == NULL ? lki_head_change(store, thread, cell, &change, NULL)
                                         : lki_head_write(store, thread, cell, &change,
                                                          asked->write, asked->outcome);
        if (LKI_LIKELY(status == LK_OK))
            break;
        LK_ASSERT(status != LK_RACE || asked != NULL); /* a set demands nothing */
        if (fresh && status == LK_NO_MEMORY)
            lki_removal_schedule(thread, cell, NULL);
        if (status != LK_NOT_FOUND || !lki_cell_is_dead(cell))
            return status;
        cell = NULL; /* it has died: search again, or make a new one */
    }
    if (asked == NULL && item->expires_at_ms != 0)
        expiry_expect(store, thread, item->expires_at_ms);
    return LK_OK;
}

static LKI_APART lk_status
set_rest(lki_store *store, lki_thread *thread, const lki_hashed *hashed, const lk_item *item,
         bool none)
{
    return item_write(store, thread, hashed, item, NULL, none);
}

LKI_INLINE lk_status
set_one(lki_store *store, lki_thread *thread, const lki_hashed *hashed, const lk_item *item)
{
    bool none = false;
    if (LKI_LIKELY(hashed->is_short) && LKI_LIKELY(lki_reserve(thread, 4))) {
        lki_cell *cell = lki_find_first(store, hashed, &none);
        if (LKI_LIKELY(cell != NULL) && LKI_LIKELY(set_plain(store, thread, cell, item)))
            return LK_OK;
    }
    return set_rest(store, thread, hashed, item, none);
}

/* Sets a group of items. *done: how many, at least one on success; fewer if the section is full. */
static lk_status
set_group(lki_store *store, lki_thread *thread, const lk_item *items, size_t count, size_t *done)
{
    lki_hashed hashed[GROUP];
    for (size_t i = 0; i < count; i++) {
        hashed[i] = lki_hashed_of(&store->secret, &items[i].key);
        LKI_PREFETCH(lki_shard_bucket(store, hashed[i].hash));
    }
    for (size_t i = 0; i < count; i++) {
        const lki_cell *guess =
            lki_bucket_guess(lki_shard_bucket(store, hashed[i].hash), hashed[i].hash);
        LKI_PREFETCH(guess);
        LKI_PREFETCH_AT(guess, LKI_LINE);
    }
    for (*done = 0; *done < count;) {
        lk_status status = set_one(store, thread, &hashed[*done], &items[*done]);
        if (status != LK_OK)
            return status;
        lki_count(thread, LKI_SETS, 1);
        if (++*done < count && lki_section_is_full(thread))
            break;
    }
    return LK_OK;
}

/* A set of one item, without the arrays of a group. */
LKI_INLINE lk_status
set_single(lki_store *store, lki_thread *thread, const lk_item *item)
{
    if (!lki_memory_is_bounded(thread))
        return LK_BUSY;
    lki_write_enter(thread);
    lki_hashed hashed = lki_hashed_of(&store->secret, &item->key);
    lk_status status = set_one(store, thread, &hashed, item);
    lki_count(thread, LKI_SETS, status == LK_OK);
    lki_write_leave(thread);
    lki_sweep_step(store, thread, 1);
    return status;
}

lk_status
lki_store_set(lki_store *store, lki_thread *thread, const lk_item *items, size_t count)
{
    if (LKI_LIKELY(count == 1))
        return set_single(store, thread, items);
    lk_status status = LK_OK;
    for (size_t i = 0, done; status == LK_OK && i < count; i += done) {
        size_t group = count - i < GROUP ? count - i : GROUP;
        if (!lki_memory_is_bounded(thread))
            return LK_BUSY;
        lki_write_enter(thread);
        status = set_group(store, thread, items + i, group, &done);
        lki_write_leave(thread);
        lki_sweep_step(store, thread, done);
    }
    return status;
}

static lk_status
write_one(lki_store *store, lki_thread *thread, const lki_hashed *hashed, asking *asked)
{
    bool none = false;
    if (LKI_LIKELY(hashed->is_short) && LKI_LIKELY(lki_reserve(thread, 4))) {
        lk_status status;
        lki_cell *cell = lki_find_first(store, hashed, &none);
        if (LKI_LIKELY(cell != NULL) &&
            LKI_LIKELY(write_plain(store, thread, cell, asked, &status)))
            return status;
    }
    return item_write(store, thread, hashed, &asked->write->item, asked, none);
}

lk_status
lki_store_write(lki_store *store, lki_thread *thread, const lk_write *write, lki_outcome *outcome)
{
    if (!lki_memory_is_bounded(thread))
        return LK_BUSY;
    lki_write_enter(thread);
    lki_hashed hashed = lki_hashed_of(&store->secret, &write->item.key);
    asking asked = {write, outcome, {0, false, false}};
    lk_status status = write_one(store, thread, &hashed, &asked);
    if (LKI_LIKELY(status == LK_OK)) {
        lki_count(thread, LKI_SETS, 1);
        if (LKI_UNLIKELY(outcome->item->expires_at_ms != 0) && !outcome->kept)
            expiry_expect(store, thread, outcome->item->expires_at_ms);
    }
    lki_write_leave(thread);
    lki_sweep_step(store, thread, 1);
    return status;
}

/* Puts a tombstone over what is there. LK_NOT_FOUND: nothing is. */
static lk_status
delete_one(lki_store *store, lki_thread *thread, const lki_hashed *hashed)
{
    const lki_change change = {.gone = true};
    for (;;) {
        lki_cell *cell;
        lk_status status = lki_find_to_write(store, thread, hashed, &cell);
        if (status != LK_OK)
            return status;
        lki_record *record = cell != NULL
                                 ? lki_effective(store, lki_load_acquire(&cell->item), NULL)
                                 : NULL; /* P1 */
        if (record == NULL || record->kind == LKI_TOMBSTONE)
            return LK_NOT_FOUND;
        if (!lki_reserve(thread, 5))
            return LK_NO_MEMORY;
        lki_record *tombstone;
        status = lki_head_change(store, thread, cell, &change, &tombstone);
        if (status == LK_OK)
            lki_removal_schedule(thread, cell, tombstone);
        if (status != LK_NOT_FOUND) /* dead: there may be a new cell */
            return status;
    }
}

lk_status
lki_store_delete(lki_store *store, lki_thread *thread, const lk_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!lki_memory_is_bounded(thread))
            return LK_BUSY;
        lki_hashed hashed = lki_hashed_of(&store->secret, &keys[i]);
        lki_write_enter(thread);
        lki_exempt_begin(thread);
        lk_status status = delete_one(store, thread, &hashed);
        lki_exempt_end(thread);
        lki_write_leave(thread);
        lki_count(thread, LKI_DELETES, 1);
        if (status == LK_NOT_FOUND)
            continue;
        if (status != LK_OK)
            return status;
        lki_sweep_step(store, thread, 1);
    }
    return LK_OK;
}
