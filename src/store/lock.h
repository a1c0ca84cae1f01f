/* SPDX-License-Identifier: MIT
 *
 * The lock that a record says: is it good, is it fresh, and which version comes next.
 */
#ifndef LKI_STORE_LOCK_H
#define LKI_STORE_LOCK_H

#include "store/record.h"

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

#endif
