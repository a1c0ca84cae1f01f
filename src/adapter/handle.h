/* SPDX-License-Identifier: MIT
 *
 * A handle: a copy of an adapter's operations, its state and its limits. The calls of api/ check
 * their arguments against the limits, so operations get valid ones. A call whose operation is NULL
 * answers LK_UNSUPPORTED, or LK_INVALID once the handle is closed. Handles are listed, so that the
 * child of a fork finds all of them closed.
 */
#ifndef LKI_ADAPTER_HANDLE_H
#define LKI_ADAPTER_HANDLE_H

#include <latchkey/adapter.h>

#include <stddef.h>

#include "base/check.h"

/* A kind of handle that the api knows: it calls its reads of one short key without a look at the
 * operations. `domain` is the number by which a thread finds its record there (lki_self). A handle
 * that is not of the kind, or has a limit below some short keys, has LKI_NO_DOMAIN, in which no
 * thread has a record. */
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
    size_t holders; /* calls of lk_adapter_hold and, until lk_close, the owner */
    bool forked;    /* of the parent of this process */
};

/* May some version of adapter.h, also one to come, have tables of this size? */
LKI_INLINE bool
lki_operations_size_is_known(size_t size)
{
    return size >= offsetof(lk_operations, set) + sizeof(void *) && size % sizeof(void *) == 0 &&
           size <= sizeof(lk_operations) * 4;
}

/* The same without those that are unknown, or need others that are not there. */
uint64_t lki_capabilities_whole(uint64_t capabilities);

/* Says that a new handle, which no other thread has yet, is of that kind. `inner`: the handle that
 * it stands in front of, or NULL; when `inner` is closed the handle is not known any more, and its
 * operations find out that it is closed. */
void lki_handle_know(lk_db *db, enum lki_known_kind kind, void *state, uint64_t domain,
                     lk_db *inner);

/* The status of a call whose operation is NULL. */
LKI_COLD lk_status lki_db_lacks(const lk_db *db);

#endif
