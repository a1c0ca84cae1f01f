/* SPDX-License-Identifier: MIT
 *
 * The functions that the library exported before the headers defined them inline, for programs that
 * were compiled then.
 */
#ifndef LATCHKEY_TESTS_EARLIER_H
#define LATCHKEY_TESTS_EARLIER_H

#include <latchkey/adapter.h>

typedef struct earlier_calls {
    lk_status (*get)(lk_db *db, lk_key key, lk_result *result);
    lk_status (*get_into)(lk_db *db, lk_key key, void *buffer, size_t capacity, size_t *size);
    lk_status (*view)(lk_db *db, lk_key key, lk_item *item);
    lk_status (*get_lock)(lk_db *db, lk_key key, lk_lock *lock);
    lk_status (*adapter_pass)(const lk_db *inner, lk_operations *operations, lk_adapter *adapter);
} earlier_calls;

extern const earlier_calls earlier;

#endif
