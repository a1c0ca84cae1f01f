/* SPDX-License-Identifier: MIT
 *
 * What another room keeps under keys of the store, as jobs are: cells that are in none of the
 * store's tables, and records that say more than the store reads (LKI_FLAG_JOB). The store asks for
 * them by this table; it does not know who fills it. An empty table is a store without any of this:
 * each hook may be NULL, and the functions below then answer as if there was nothing.
 *
 * All hooks are called in a section, and those with a thread in a write section, unless they say
 * otherwise.
 */
#ifndef LKI_STORE_HOOKS_H
#define LKI_STORE_HOOKS_H

#include "store/store.h"

/* A walk over the cells of one partition that are not in its index, in the order of their sk. */
typedef struct lki_hooked_walk {
    lki_store *store;
    lki_queue *queue;  /* the partition's */
    uint64_t snapshot; /* jobs that were there then; UINT64_MAX: that are there now */
    lk_bytes from;     /* as of lki_index_walk_begin; stays the caller's */
    bool bounded, strict, reverse;
    bool begun; /* false at first; from here on the hook's */
    const void *directory;
    void *segment;
    int64_t slot;
} lki_hooked_walk;

struct lki_hooks {
    /* The store is set up, and no other thread knows it. The hooks own `room` bytes of zeroed
     * memory behind it. */
    size_t room;
    void (*open)(lki_store *store);
    /* No other thread is there any more, and all that was retired is gone. */
    void (*close)(lki_store *store);
    /* The cell of a key with the store's mark, as of a snapshot that was taken before (UINT64_MAX:
     * as of now). NULL: it has none, or the store's tables do. */
    lki_cell *(*find)(lki_store *store, const lk_key *key, uint64_t snapshot);
    /* The same for who is going to write: what the cell is worth is said by its head from now on.
     * `make`: the caller makes a cell in the table if there is none; LK_BUSY: he must not yet.
     * LK_OK: *cell, or NULL. LK_NO_MEMORY. */
    lk_status (*find_to_write)(lki_store *store, lki_thread *thread, const lk_key *key, bool make,
                               lki_cell **cell);
    /* The next cell of a walk; NULL: there is none. */
    lki_cell *(*walk)(lki_hooked_walk *walk);
    /* `record` was effective on the head of a cell, `by` is, and one of them is a job. Neither is
     * retired yet. Or a cell died that is in no table: `by` is NULL then, and the caller holds the
     * latch of the key's shard. */
    void (*replaced)(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *record,
                     lki_record *by);
    /* A part of the upkeep; `all`: all of it. How many items it took out. Called outside of
     * sections. */
    size_t (*tend)(lki_store *store, lki_thread *thread, bool all);
    /* The thread has noted something in this call (lki_noted_at), which now ends. Called outside of
     * sections. */
    void (*refresh)(lki_store *store, lki_thread *thread);
};

#endif
