/* SPDX-License-Identifier: MIT
 *
 * Calls that a wrapper passes on to the handle behind it. Used by the wrappers of the library: the
 * operations of lk_adapter_pass, and the cache.
 *
 * A database may use the cache in front of it inside its operations. There it waits for no other
 * thread's load: so two threads cannot wait for each other's. Therefore each call from a cache, or
 * from a wrapper, to the handle behind it goes through LKI_INNER, which notes that this thread is
 * inside. The one exception is a cache that stands directly behind another one: it waits where that
 * one would.
 */
#ifndef LKI_ADAPTER_PASS_H
#define LKI_ADAPTER_PASS_H

#include "adapter/handle.h"
#include "base/cancel.h"

/* The innermost call to a handle behind a wrapper in which this thread is. */
typedef struct lki_inner_call {
    const lk_db *callee; /* NULL: none */
    bool patient;        /* the caller may wait for loads */
} lki_inner_call;

extern __thread lki_inner_call lki_inner_now __attribute__((tls_model("initial-exec")));

/* May this thread wait for loads in the cache of this handle? NULL: in any wrapper that is no
 * cache. */
LKI_INLINE bool
lki_inner_is_patient(const lk_db *self)
{
    /* A copy: gcc 12's UBSan takes the variable's address for NULL at times. */
    const lki_inner_call now = lki_inner_now;
    return now.callee == NULL || (now.callee == self && now.patient);
}

/* A call from `self` to `inner` begins. Returns what lki_inner_now is to be after it. */
LKI_INLINE lki_inner_call
lki_inner_begin(const lk_db *self, const lk_db *inner)
{
    lki_inner_call before = lki_inner_now;
    lki_inner_now = (lki_inner_call){inner, lki_inner_is_patient(self)};
    return before;
}

/* `step_` is what calls `inner_`. It is no point of cancellation. */
#define LKI_INNER(self_, inner_, step_)                                \
    do {                                                               \
        const lki_inner_call before_ = lki_inner_begin(self_, inner_); \
        int cancel_ = lki_cancel_forbid();                             \
        step_;                                                         \
        lki_cancel_allow(cancel_);                                     \
        lki_inner_now = before_;                                       \
    } while (0)

/* lk_get_many, or where the handle has none one lk_get after the other. */
lk_status lki_get_each(lk_db *db, const lk_key *keys, size_t count, lk_result *result);

/* In a table that began as lk_adapter_pass's: takes out each passing operation that would be called
 * in place of one that was replaced. That is a form by address beside one by value, count beside
 * query, and the newer writes beside the older ones. Returns the capabilities that go with them. */
uint64_t lki_pass_give_way(lk_operations *operations);
/* Takes out the operations of all groups that `capabilities` does not have. */
void lki_operations_trim(lk_operations *operations, uint64_t capabilities);

#endif
