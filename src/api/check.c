/* SPDX-License-Identifier: MIT
 *
 * See check.h: the checks that are not inlined.
 */
#include "api/check.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/step.h"

lk_status
lki_check_query(const lk_db *db, const lk_query *query)
{
    if (db == NULL || query == NULL || query->pk.size == 0)
        return LK_INVALID;
    lk_status status = lki_check_bytes(query->pk, db->max_pk_size);
    const lk_bytes parts[] = {query->sk_prefix, query->after, query->from, query->until};
    for (size_t i = 0; status == LK_OK && i < sizeof parts / sizeof *parts; i++)
        status = lki_check_sk_part(db, parts[i]);
    if (status != LK_OK)
        return status;
    bool ranges = query->from.size != 0 || query->until.size != 0;
    return LKI_UNLIKELY(db->operations.query == NULL ||
                        (ranges && (db->capabilities & LK_QUERIES_RANGES) == 0))
               ? lki_db_lacks(db)
               : LK_OK;
}

/* ---- keys that are named twice ---- */

static int
key_compare(const void *left, const void *right)
{
    const lk_key *a = *(const lk_key *const *)left, *b = *(const lk_key *const *)right;
    int order = lk_bytes_compare(a->pk, b->pk);
    return order != 0 ? order : lk_bytes_compare(a->sk, b->sk);
}

static bool
keys_have_duplicates(const lk_key **keys, size_t count)
{
    qsort(keys, count, sizeof *keys, key_compare);
    for (size_t i = 1; i < count; i++)
        if (key_compare(&keys[i - 1], &keys[i]) == 0)
            return true;
    return false;
}

/* The key of write `i`; NULL: it has none yet. */
static const lk_key *
named_key(const lki_named *named, size_t i)
{
    if (named->writes != NULL)
        return lki_write_key(&named->writes[i]);
    const lk_key *key = &named->items[i].key;
    return named->jobs && key->sk.size == 0 ? NULL : key;
}

lk_status
lki_check_duplicates(const lki_named *named, const lk_lock *locks, size_t lock_count)
{
    if (named->count < 2 && lock_count < 2)
        return LK_OK;
    size_t room = named->count > lock_count ? named->count : lock_count; /* at most LK_COMMIT_MAX */
    size_t count = 0;
    const lk_key **keys = lki_alloc(NULL, room * sizeof *keys);
    if (keys == NULL)
        return LK_NO_MEMORY;
    for (size_t i = 0; i < named->count; i++)
        if (named_key(named, i) != NULL)
            keys[count++] = named_key(named, i);
    bool duplicates = keys_have_duplicates(keys, count);
    for (size_t i = 0; i < lock_count; i++)
        keys[i] = &locks[i].key;
    duplicates = duplicates || keys_have_duplicates(keys, lock_count);
    lki_free(NULL, keys, room * sizeof *keys);
    return duplicates ? LK_INVALID : LK_OK;
}
