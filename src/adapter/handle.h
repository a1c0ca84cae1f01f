/* SPDX-License-Identifier: MIT
 *
 * A handle: a copy of an adapter's operations, its state and its limits. The calls of api/ check
 * their arguments against the limits and come to the operations with valid ones; an operation that
 * is NULL is LK_UNSUPPORTED, or LK_INVALID once the handle is closed. Handles are listed, so that
 * the child of a fork finds all of them closed.
 */
#ifndef LKI_ADAPTER_HANDLE_H
#define LKI_ADAPTER_HANDLE_H

#include <latchkey/adapter.h>

#include <stddef.h>

#include "base/check.h"

#define LKI_NO_DOMAIN UINT64_MAX

struct lk_db {
    /* [const] until the handle is closed, with no other call running then */
    size_t max_pk_size, max_sk_size, max_data_size;
    void *state;
    /* The state, if it is the embedded store and takes all short keys, and the number of its domain, by which a
     * thread knows itself there; else NULL and LKI_NO_DOMAIN, which is nobody's. */
    struct lki_store *embedded;
    uint64_t embedded_id;
    lk_operations operations; /* all NULL: closed */
    uint64_t capabilities;
    const char *name;
    lk_clock realtime_ms, monotonic_ms;
    void *clock_context;
    /* under the latch of the handles */
    lk_db *next;
    size_t holders; /* lk_adapter_hold and, until lk_close, the owner */
    bool forked;    /* of the parent of this process */
};

/* Some version of adapter.h has tables of such a size, or will. */
LKI_INLINE bool
lki_operations_size_is_known(size_t size)
{
    return size >= offsetof(lk_operations, set) + sizeof(void *) && size % sizeof(void *) == 0 &&
           size <= sizeof(lk_operations) * 4;
}

/* Of a table that began as lk_adapter_pass's: where an operation by value was replaced, the passing form by
 * address goes, which would be called in its place. */
void lki_pass_give_way(lk_operations *operations);

/* What a call answers that finds its operation NULL. */
LKI_COLD lk_status lki_db_lacks(const lk_db *db);

#endif
