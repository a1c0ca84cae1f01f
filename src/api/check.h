/* SPDX-License-Identifier: MIT
 *
 * The checks that every call makes of its arguments before an operation sees them. Called by the
 * files of this room.
 */
#ifndef LKI_API_CHECK_H
#define LKI_API_CHECK_H

#include "adapter/handle.h"
#include "base/hash.h"

LKI_INLINE lk_status
lki_check_bytes(lk_bytes bytes, size_t max)
{
    if (LKI_UNLIKELY(bytes.data == NULL && bytes.size != 0))
        return LK_INVALID;
    return LKI_LIKELY(bytes.size <= max) ? LK_OK : LK_TOO_BIG;
}

/* An sk of the size that queues generate is allowed whatever the limit is, if the handle has
 * queues. */
LKI_INLINE lk_status
lki_check_sk(const lk_db *db, lk_bytes sk)
{
    lk_status status = lki_check_bytes(sk, db->max_sk_size);
    if (LKI_UNLIKELY(status == LK_TOO_BIG) && sk.size == LK_ULID_SIZE &&
        db->operations.push != NULL)
        return LK_OK;
    return status;
}

/* The size of the largest sk that there may be. */
LKI_INLINE size_t
lki_sk_room(const lk_db *db)
{
    return db->max_sk_size > LK_ULID_SIZE ? db->max_sk_size : LK_ULID_SIZE;
}

/* A part of an sk, as queries have it; the sk may be one that a queue has generated. */
LKI_INLINE lk_status
lki_check_sk_part(const lk_db *db, lk_bytes part)
{
    return lki_check_bytes(part, db->operations.push != NULL ? lki_sk_room(db) : db->max_sk_size);
}

/* Is the key good at first sight? Most are. */
LKI_INLINE bool
lki_key_is_good(const lk_db *db, const lk_key *key)
{
    /* A pk of no bytes wraps round to a size above every limit. */
    return LKI_LIKELY(key->pk.size - 1 < db->max_pk_size) &&
           LKI_LIKELY(key->sk.size <= db->max_sk_size) && LKI_LIKELY(key->pk.data != NULL) &&
           (LKI_LIKELY(key->sk.data != NULL) || key->sk.size == 0);
}
/* The same of a short key, which is within every limit of a handle that is known (handle.h). */
LKI_INLINE bool
lki_key_is_good_short(const lk_key *key)
{
    return lki_key_is_short(key) && LKI_LIKELY(key->pk.data != NULL) &&
           LKI_LIKELY(key->sk.data != NULL);
}
/* What is wrong with a key that is not; LK_OK: nothing. */
LKI_COLD lk_status lki_key_fault(const lk_db *db, const lk_key *key);

LKI_INLINE lk_status
lki_check_key(const lk_db *db, const lk_key *key)
{
    return LKI_LIKELY(lki_key_is_good(db, key)) ? LK_OK : lki_key_fault(db, key);
}

LKI_INLINE bool
lki_item_is_good(const lk_db *db, const lk_item *item)
{
    return lki_key_is_good(db, &item->key) && LKI_LIKELY(item->expires_at_ms >= 0) &&
           LKI_LIKELY(item->data.size <= db->max_data_size) &&
           (LKI_LIKELY(item->data.data != NULL) || item->data.size == 0);
}
/* What is wrong with an item that is not good at first sight; LK_OK: nothing. */
LKI_COLD lk_status lki_item_fault(const lk_db *db, const lk_item *item);

LKI_INLINE lk_status
lki_check_item(const lk_db *db, const lk_item *item)
{
    return LKI_LIKELY(lki_item_is_good(db, item)) ? LK_OK : lki_item_fault(db, item);
}

/* Also whether the handle has such a query. */
lk_status lki_check_query(const lk_db *db, const lk_query *query);

/* What a call names: one of writes and items (`jobs`: those without an sk have no key yet). */
typedef struct lki_named {
    const lk_write *writes;
    const lk_item *items;
    size_t count;
    bool jobs;
} lki_named;
/* Is a key named twice, by these or by the locks? LK_OK, LK_INVALID, LK_NO_MEMORY. */
lk_status lki_check_duplicates(const lki_named *named, const lk_lock *locks, size_t lock_count);

#endif
