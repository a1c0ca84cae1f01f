/* SPDX-License-Identifier: MIT
 *
 * See check.h: the checks that are not inlined.
 */
#include "api/check.h"

#include <stdlib.h>

#include "base/alloc.h"

lk_status
lki_check_query(const lk_db *db, const lk_query *query)
{
    if (db == NULL || query == NULL || query->pk.size == 0)
        return LK_INVALID;
    lk_status status = lki_check_bytes(query->pk, db->max_pk_size);
    if (status == LK_OK)
        status = lki_check_sk_part(db, query->sk_prefix);
    return status != LK_OK ? status : lki_check_sk_part(db, query->after);
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
write_key(const lki_named *named, size_t i)
{
    if (named->writes == NULL) {
        const lk_key *key = &named->items[i].key;
        return named->jobs && key->sk.size == 0 ? NULL : key;
    }
    const lk_write *write = &named->writes[i];
    const lk_key *key = write->kind == LK_ACKNOWLEDGE ? &write->claim->key : &write->item.key;
    return write->kind == LK_PUSH && key->sk.size == 0 ? NULL : key;
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
        if (write_key(named, i) != NULL)
            keys[count++] = write_key(named, i);
    bool duplicates = keys_have_duplicates(keys, count);
    for (size_t i = 0; i < lock_count; i++)
        keys[i] = &locks[i].key;
    duplicates = duplicates || keys_have_duplicates(keys, lock_count);
    lki_free(NULL, keys, room * sizeof *keys);
    return duplicates ? LK_INVALID : LK_OK;
}
