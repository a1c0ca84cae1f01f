/* SPDX-License-Identifier: MIT
 *
 * What a store keeps of each of its threads: when its next part of the upkeep is due, and where the
 * keys lie that it has just read. All of it is the thread's own; nobody else looks at it.
 */
#ifndef LKI_STORE_STORE_THREAD_H
#define LKI_STORE_STORE_THREAD_H

#include "base/reclaim.h"
#include "store/cell.h"

enum { LKI_CELLS_KNOWN = LKI_OR_SMALL(8, 1) };

typedef struct lki_store_thread {
    lki_thread thread;        /* first: all of the store knows it by this */
    uint32_t sweep_tick;      /* writes since the last step of a sweep; lki_sweep_step */
    uint32_t hooks_tick;      /* steps since the hooks had their part */
    uint32_t expiring_writes; /* of what expires, since the last step */
    uint32_t pending; /* by the hooks, in this call: what their `refresh` looks at before it ends */
    /* cells of the keys under the locks that it read last, and of which epoch; see find.h */
    lki_cell *cells[LKI_CELLS_KNOWN];
    uint32_t cell_count, cell_epoch;
    int64_t cell_ms;
} lki_store_thread;

LKI_INLINE lki_store_thread *
lki_store_thread_of(lki_thread *thread)
{
    LK_ASSERT(thread->domain->thread_size >= sizeof(lki_store_thread));
    return (lki_store_thread *)(void *)thread;
}

#endif
