/* SPDX-License-Identifier: MIT
 *
 * Names that the library exported before their calls became inline in the public headers: for
 * programs that were compiled then. Nothing here is called by the library.
 */
#include <latchkey/adapter.h>
#include <stddef.h>

/* The headers define these names inline, so here they have others, and bear the old ones as
 * symbols. */
#define EARLIER(name) __asm__(#name)

LK_API lk_status earlier_get(lk_db *db, lk_key key, lk_result *result) EARLIER(lk_get);
LK_API lk_status earlier_get_into(lk_db *db, lk_key key, void *buffer, size_t capacity,
                                  size_t *size) EARLIER(lk_get_into);
LK_API lk_status earlier_view(lk_db *db, lk_key key, lk_item *item) EARLIER(lk_view);
LK_API lk_status earlier_get_lock(lk_db *db, lk_key key, lk_lock *lock) EARLIER(lk_get_lock);
LK_API lk_status earlier_adapter_pass(const lk_db *inner, lk_operations *operations,
                                      lk_adapter *adapter) EARLIER(lk_adapter_pass);

lk_status
earlier_get(lk_db *db, lk_key key, lk_result *result)
{
    return lk_get_at(db, &key, result);
}

lk_status
earlier_get_into(lk_db *db, lk_key key, void *buffer, size_t capacity, size_t *size)
{
    return lk_get_into_at(db, &key, buffer, capacity, size);
}

lk_status
earlier_view(lk_db *db, lk_key key, lk_item *item)
{
    return lk_view_at(db, &key, item);
}

lk_status
earlier_get_lock(lk_db *db, lk_key key, lk_lock *lock)
{
    return lk_get_lock_at(db, &key, lock);
}

/* The table ended before the operations by address then. */
lk_status
earlier_adapter_pass(const lk_db *inner, lk_operations *operations, lk_adapter *adapter)
{
    return lk_adapter_pass_sized(inner, operations, offsetof(lk_operations, get_at), adapter);
}
