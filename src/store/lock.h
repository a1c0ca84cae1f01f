/* SPDX-License-Identifier: MIT
 *
 * The lock in a record: is it good, must it be renewed, and which version is next?
 */
#ifndef LKI_STORE_LOCK_H
#define LKI_STORE_LOCK_H

#include "base/pressure.h"
#include "store/record.h"

LKI_INLINE int64_t
lki_lock_deadline(const lki_store *store, int64_t now_ms)
{
    return now_ms > INT64_MAX - store->lock_ttl_ms ? INT64_MAX : now_ms + store->lock_ttl_ms;
}

/* A time such that a lock that ends after it has not lapsed, by either clock, and will not for `ms`
 * more (0 or more). */
LKI_INLINE int64_t
lki_lock_horizon(const lki_store *store, lki_time *now, int64_t ms)
{
    if (!now->read)
        *now = (lki_time){lki_now(store), true, store->precise_ms == NULL};
    return lki_time_after(now->ms, ms > LKI_COARSE_LAG_MS ? ms : LKI_COARSE_LAG_MS);
}

/* Fast path: the lock of a record, if the record alone tells that it is good: no expiry, no job,
 * and the lock ends after the horizon. NULL: use lki_good_lock. */
LKI_INLINE const lki_lock *
lki_plain_lock(const lki_record *record, int64_t horizon_ms)
{
    const unsigned mask = LKI_FLAG_LOCKED | LKI_FLAG_EXPIRES | LKI_FLAG_JOB;
    if (LKI_UNLIKELY(record == NULL) || LKI_UNLIKELY((record->flags & mask) != LKI_FLAG_LOCKED))
        return NULL;
    const lki_lock *lock = (const lki_lock *)(const void *)record->data;
    return LKI_LIKELY(lock->expires_at_ms > horizon_ms) ? lock : NULL;
}

/* The lock of a record; NULL: there is none, it has lapsed, or it ended with its item. */
LKI_INLINE const lki_lock *
lki_good_lock(const lki_store *store, lki_record *record, lki_time *now)
{
    const lki_lock *lock = record != NULL ? lki_record_lock(record) : NULL;
    if (LKI_UNLIKELY(lock == NULL) || LKI_UNLIKELY(lki_is_past(store, now, lock->expires_at_ms)) ||
        LKI_UNLIKELY(lki_record_is_over(store, record, now)))
        return NULL;
    return lock;
}

/* The version of that lock; 0: there is none. */
LKI_INLINE uint64_t
lki_good_version(const lki_store *store, lki_record *record, lki_time *now)
{
    const lki_lock *lock = lki_good_lock(store, record, now);
    return LKI_LIKELY(lock != NULL) ? lock->version : 0;
}

/* Is the lock at this version? Version 0: is there neither a lock nor an item? */
LKI_INLINE bool
lki_lock_is_at(const lki_store *store, lki_record *record, uint64_t version, lki_time *now)
{
    return LKI_LIKELY(lki_good_version(store, record, now) == version) &&
           (LKI_LIKELY(version != 0) || !lki_record_is_live(store, record, now));
}

/* As lki_good_lock, and NULL also if the lock is so near its end that it must be renewed. */
LKI_INLINE const lki_lock *
lki_fresh_lock(const lki_store *store, lki_record *record, lki_time *now)
{
    const lki_lock *lock = lki_good_lock(store, record, now);
    if (LKI_UNLIKELY(lock == NULL))
        return NULL;
    bool fresh = store->lock_refresh_ms < 0 || lock->expires_at_ms == INT64_MAX ||
                 lki_span_ms(now->ms, lock->expires_at_ms) > store->lock_refresh_ms;
    return LKI_LIKELY(fresh) ? lock : NULL;
}

/* An upper bound of all versions that the key ever had. `over` was read from its head before. */
uint64_t lki_version_below(lki_store *store, const lki_cell *cell, lki_record *over);

/* The next version of this thread: unique in the store, greater than `above`. See
 * lki_thread.sequence. */
LKI_INLINE uint64_t
lki_version_above(lki_thread *thread, uint64_t above)
{
    uint64_t sequence = above >> 16;
    if (sequence < thread->sequence)
        sequence = thread->sequence;
    thread->sequence = sequence + 1;
    LK_ASSERT(thread->sequence >> 48 == 0 && thread->slot <= UINT16_MAX);
    LK_ASSERT((thread->sequence << 16 | thread->slot) > above); /* I-lock1 */
    return thread->sequence << 16 | thread->slot;
}

struct lki_seen;

/* Makes the locks of all keys that have none, or renews them; *last: the lock of the last key.
 * `last` NULL: no lock is made for a key without an item. Uses only `hashed` of each key. */
lk_status lki_store_get_locks(lki_store *store, lki_thread *thread, const struct lki_seen *seen,
                              size_t count, lk_lock *last);

#endif
