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

/* What the api calls without a look at the operations, if the handle is that and takes all short
 * keys: its state, and the number of its domain, by which a thread knows itself there (lki_self);
 * else LKI_NO_DOMAIN, which is nobody's. */
enum lki_known_kind { LKI_KNOWN_STORE, LKI_KNOWN_CACHE, LKI_KNOWN };
#define LKI_NO_DOMAIN UINT64_MAX
struct lki_known {
    uint64_t domain;
    void *state;
};

struct lk_db {
    /* [const] until the handle is closed, with no other call running then */
    size_t max_pk_size, max_sk_size, max_data_size;
    void *state;
    struct lki_known known[LKI_KNOWN];
    lk_db *inner;             /* of a cache */
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

/* A handle that nobody else has yet is of that kind. `inner`: what it stands in front of, or NULL;
 * when that is closed, the handle is not known any more, and its operations find out. */
void lki_handle_know(lk_db *db, enum lki_known_kind kind, void *state, uint64_t domain,
                     lk_db *inner);

/* What a call answers that finds its operation NULL. */
LKI_COLD lk_status lki_db_lacks(const lk_db *db);

#endif
