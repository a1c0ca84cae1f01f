/* SPDX-License-Identifier: MIT
 *
 * The lock that a record says: is it good, is it fresh, and which version comes next.
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

/* What ends behind this has not passed, by whichever clock, for `ms` more, which is not below 0. */
LKI_INLINE int64_t
lki_lock_horizon(const lki_store *store, lki_time *now, int64_t ms)
{
    if (!now->read)
        *now = (lki_time){lki_now(store), true, store->precise_ms == NULL};
    return lki_time_after(now->ms, ms > LKI_COARSE_LAG_MS ? ms : LKI_COARSE_LAG_MS);
}

/* The lock that a record says, if that tells by itself that it is good: no expiry, no job, and it
 * ends behind the horizon. NULL: ask lki_good_lock. */
LKI_INLINE const lki_lock *
lki_plain_lock(const lki_record *record, int64_t horizon_ms)
{
    const unsigned mask = LKI_FLAG_LOCKED | LKI_FLAG_EXPIRES | LKI_FLAG_JOB;
    if (LKI_UNLIKELY(record == NULL) || LKI_UNLIKELY((record->flags & mask) != LKI_FLAG_LOCKED))
        return NULL;
    const lki_lock *lock = (const lki_lock *)(const void *)record->data;
    return LKI_LIKELY(lock->expires_at_ms > horizon_ms) ? lock : NULL;
}

/* The lock that a record says; NULL: there is none, it has lapsed, or it went with its item. */
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

/* Is the lock at this version? 0: there is neither a lock nor an item. */
LKI_INLINE bool
lki_lock_is_at(const lki_store *store, lki_record *record, uint64_t version, lki_time *now)
{
    return LKI_LIKELY(lki_good_version(store, record, now) == version) &&
           (LKI_LIKELY(version != 0) || !lki_record_is_live(store, record, now));
}

/* The same, and not so near its end that it is to be renewed. */
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

/* Whatever version the key ever had is at most this; `over` is on its head, and was looked at
 * before. */
uint64_t lki_version_below(lki_store *store, const lki_cell *cell, lki_record *over);

/* The next version of this thread's: unique in the store, above `above`. See
 * lki_thread.sequence. */
LKI_INLINE uint64_t
lki_version_above(lki_thread *thread, uint64_t above)
{
    uint64_t sequence = above >> 16;
    if (sequence < thread->sequence)
        sequence = thread->sequence;
    thread->sequence = sequence + 1;
    return thread->sequence << 16 | thread->slot;
}

struct lki_seen;

/* Makes the locks of all keys where there are none, or renews them; *last: that of the last key.
 * NULL: none is made where there is no item either. Only `hashed` of each is looked at. */
lk_status lki_store_get_locks(lki_store *store, lki_thread *thread, const struct lki_seen *seen,
                              size_t count, lk_lock *last);

#endif
