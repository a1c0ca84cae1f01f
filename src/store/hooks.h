/* SPDX-License-Identifier: MIT
 *
 * Hooks: what another room keeps under keys of the store, as the queue room keeps jobs. Such cells
 * are in none of the store's tables, and such records say more than the store reads (LKI_FLAG_JOB).
 * The store calls this table; it does not know which room fills it. Each hook may be NULL: a store
 * with an empty table behaves as if there was nothing of the kind.
 *
 * Hooks are called in a section, those with a thread in a write section, unless they say otherwise.
 */
#ifndef LKI_STORE_HOOKS_H
#define LKI_STORE_HOOKS_H

#include "store/store.h"

/* The state of a walk over the cells of one partition that are not in its index, in the order of
 * their sk. */
typedef struct lki_hooked_walk {
    lki_store *store;
    lki_queue *queue;  /* the partition's queue */
    uint64_t snapshot; /* jobs as of then; UINT64_MAX: as of now */
    lk_bytes from;     /* as for lki_index_walk_begin; the caller's */
    bool bounded, strict, reverse;
    bool begun; /* false at first; this and the fields below belong to the hook */
    const void *directory;
    void *segment;
    int64_t slot;
} lki_hooked_walk;

struct lki_hooks {
    /* What the hooks keep of each thread begins with a lki_store_thread and has this size (0: that
     * alone). `thread_end`: the thread ends, or the store is closed; outside of sections. */
    size_t thread_size;
    void (*thread_end)(lki_thread *thread);
    /* Called when the store is set up and no other thread knows it. The hooks own `room` bytes of
     * zeroed memory behind it. */
    size_t room;
    void (*open)(lki_store *store);
    /* Called when no other thread uses the store, after all retired objects were disposed of. */
    void (*close)(lki_store *store);
    /* At check level 2: asserts the invariants of what the hooks keep. No other thread uses the
     * store. Called outside of sections. */
    void (*check)(lki_store *store);
    /* The cell of a key with the store's mark, as of a snapshot that was taken before (UINT64_MAX:
     * as of now). NULL: none; the store's tables may have one. */
    lki_cell *(*find)(lki_store *store, const lk_key *key, uint64_t snapshot);
    /* The same for a write: from now on the cell's head alone says what the key has. `make`: the
     * caller will make a cell in the table if there is none. LK_OK: *cell, or NULL. LK_BUSY: the
     * caller must not make one yet. LK_NO_MEMORY. */
    lk_status (*find_to_write)(lki_store *store, lki_thread *thread, const lk_key *key, bool make,
                               lki_cell **cell);
    /* The next cell of a walk; NULL: none. */
    lki_cell *(*walk)(lki_hooked_walk *walk);
    /* `record` was effective on the head of a cell, now `by` is, and one of them is a job record.
     * Neither is retired yet. Or a cell died that is in no table: then `by` is NULL, and the caller
     * holds the latch of the key's shard. */
    void (*replaced)(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *record,
                     lki_record *by);
    /* Does a part of the upkeep, or `all`. Returns how many items it removed. Called outside of
     * sections. */
    size_t (*upkeep)(lki_store *store, lki_thread *thread, bool all);
    /* Called at the end of a call in which the thread has set lki_store_thread.pending, or at the
     * end of a part of it. It is in a section if the call was made, or goes on, in one. */
    void (*refresh)(lki_store *store, lki_thread *thread);
};

#endif
