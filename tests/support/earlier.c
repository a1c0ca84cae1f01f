/* SPDX-License-Identifier: MIT
 *
 * The inline functions have other names here: clang would take them for the exported ones.
 */
#define lk_get inline_get
#define lk_get_into inline_get_into
#define lk_view inline_view
#define lk_get_lock inline_get_lock
#define lk_adapter_pass inline_adapter_pass
#include "support/earlier.h"
#undef lk_get
#undef lk_get_into
#undef lk_view
#undef lk_get_lock
#undef lk_adapter_pass

#define EARLIER(name) __asm__(#name)
lk_status earlier_get(lk_db *db, lk_key key, lk_result *result) EARLIER(lk_get);
lk_status earlier_get_into(lk_db *db, lk_key key, void *buffer, size_t capacity, size_t *size)
    EARLIER(lk_get_into);
lk_status earlier_view(lk_db *db, lk_key key, lk_item *item) EARLIER(lk_view);
lk_status earlier_get_lock(lk_db *db, lk_key key, lk_lock *lock) EARLIER(lk_get_lock);
lk_status earlier_adapter_pass(const lk_db *inner, lk_operations *operations, lk_adapter *adapter)
    EARLIER(lk_adapter_pass);

const earlier_calls earlier = {earlier_get, earlier_get_into, earlier_view, earlier_get_lock,
                               earlier_adapter_pass};
