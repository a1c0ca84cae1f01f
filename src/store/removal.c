/* SPDX-License-Identifier: MIT
 *
 * Burial of cells in two grace periods. Called by whoever installs tombstones, and by the
 * reclamation when a ticket is due.
 *
 *   lki_removal_schedule  a tombstone is installed and stamped: it is tagged with the epoch, and a
 *                         ticket is retired
 *   lki_removal_ticket    two epochs later no section with a snapshot older than the tombstone
 *                         runs any more. Under the shard's latch: is the head empty, or a
 *                         tombstone that is old enough? It becomes DEAD, the cell leaves the set
 *   lki_partition_leave   under the latches of the pk's shard and of the partition: the cell
 *                         leaves the index; an empty partition leaves its set
 *   and then              cell and tombstone are retired; two epochs later they are freed
 *
 * A ticket is a pointer to the cell in a bag of reclaim.c; LKI_CELL_PENDING says that there is one,
 * so there is at most one, and a cell with a ticket is not freed. The ticket's handler clears the
 * flag before it looks at the head, and whoever installs a tombstone sets it afterwards: so a
 * tombstone is either seen by the handler or gets a ticket of its own (P6). A tombstone that an
 * unfinished commit covers counts as young, because the commit may be undone. The handler runs in
 * whatever call comes by, so it only tries latches: where one is held, the ticket goes round again.
 *
 * Why a get that meets DEAD need not look the key up again: the cell was in the set when it was
 * found, so no other cell of the key was; the key was absent at the later of that moment and the
 * burial. Reads of several keys do look again (read.c).
 *
 * Invariants  I-removal1: a head becomes DEAD only under the shard's latch, only from empty or
 * from a tombstone two epochs old.
 *             I-removal2: only the handler of the ticket takes a cell out. I-removal3: the floor
 *             of the shard is raised to the lock's last version before the cell leaves the set
 *             (P7).
 * Ordering    P5: tag of a tombstone, release by who installed it after the stamp, acquire by the
 * handler. P6, P7.
 */
#include "store/removal.h"

#include "store/hooks.h"
#include "store/partition.h"
#include "store/record.h"
#include "store/shard.h"

enum verdict { HEAD_ALIVE, HEAD_YOUNG, HEAD_OLD };

/* A ticket holds the cell back, with its tombstones and its places in the index and the set. */
static void
ticket_retire(lki_thread *thread, lki_cell *cell)
{
    enum { PLACES = 48 };
    lki_retire(thread, LKI_TICKET, cell,
               lki_cell_size(cell) + LKI_RECORD_BEFORE + sizeof(lki_record) + PLACES);
}

void
lki_removal_schedule(lki_thread *thread, lki_cell *cell, lki_record *tombstone)
{
    if (tombstone != NULL)
        lki_store_release(&tombstone->tag,
                          lki_epoch_now(thread->domain) << 1 | 1); /* P5: after the stamp */
    if ((lki_or_seq_cst(lki_cell_flags(cell), LKI_CELL_PENDING) & LKI_CELL_PENDING) == 0) /* P6 */
        ticket_retire(thread, cell);
}

void
lki_removal_if_void(lki_thread *thread, lki_cell *cell)
{
    if (lki_load_relaxed(&cell->item) == LKI_EMPTY && lki_reserve(thread, 1))
        lki_removal_schedule(thread, cell, NULL);
}

static enum verdict
head_verdict(lki_store *store, uintptr_t head)
{
    if (head == LKI_EMPTY)
        return HEAD_OLD;
    lki_record *record = lki_effective(store, head, NULL);
    if (record != NULL && record->kind != LKI_TOMBSTONE)
        return HEAD_ALIVE;
    /* Under a commit that is not done yet there is a tombstone, or nothing, and the commit may be
     * undone: then this ticket is the only one. */
    if (record != (lki_record *)head)
        return HEAD_YOUNG;
    uint32_t tag = lki_load_acquire(&record->tag); /* P5 */
    if ((tag & 1) == 0)
        return HEAD_YOUNG;
    return lki_epoch_is_past(lki_epoch_now(&store->domain), tag >> 1, UINT32_MAX >> 1) ? HEAD_OLD
                                                                                       : HEAD_YOUNG;
}

/* A dead cell: finishes, or comes again. */
static void
dead_bury(lki_store *store, lki_thread *thread, lki_cell *cell)
{
    if (lki_cell_is_in_slab(cell))
        return; /* its memory is the segment's */
    if (lki_cell_is_in_queue(cell) || lki_partition_leave(store, thread, cell))
        lki_retire(thread, LKI_CELL, cell, lki_cell_size(cell));
    else
        ticket_retire(thread, cell);
}

/* Kills the cell of a ticket, if it is time. Else the ticket goes round again, if it is not too
 * late. */
static bool
cell_kill(lki_store *store, lki_thread *thread, lki_cell *cell)
{
    _Atomic(uint16_t) *flags = lki_cell_flags(cell);
    lki_and_seq_cst(flags, (uint16_t)~LKI_CELL_PENDING); /* P6: first */
    uintptr_t head = lki_load_acquire(&cell->item);      /* P1 */
    enum verdict verdict = head_verdict(store, head);
    if (verdict == HEAD_ALIVE)
        return false;
    if ((lki_or_seq_cst(flags, LKI_CELL_PENDING) & LKI_CELL_PENDING) != 0) /* P6 */
        return false; /* somebody has made another ticket meanwhile */
    /* The flag stays set on a dead cell: nobody makes a ticket for it any more. */
    bool killed = false, in_queue = lki_cell_is_in_queue(cell);
    uint64_t hash = lki_cell_hash(store, cell);
    lki_latch *latch = lki_shard_latch(store, hash);
    if (verdict == HEAD_OLD && lki_latch_try(latch)) {
        /* The floor first (P7); raised in vain it does no harm. */
        if (head != LKI_EMPTY)
            lki_shard_raise_floor(store, hash, ((lki_record *)head)->version);
        uintptr_t expected = head;
        killed = lki_cas_seq_cst(&cell->item, &expected, LKI_DEAD); /* P1 */
        if (killed && in_queue)
            store->hooks->replaced(store, thread, cell, (lki_record *)head, NULL);
        else if (killed)
            lki_shard_remove_latched(store, thread, cell, hash);
        lki_latch_drop(latch);
    }
    if (!killed) {
        ticket_retire(thread, cell);
        return false;
    }
    lki_count(thread, LKI_CELLS_REMOVED, !in_queue);
    if (head != LKI_EMPTY)
        lki_retire(thread, LKI_RECORD, (lki_record *)head, lki_record_size((lki_record *)head));
    return true;
}

bool
lki_removal_ticket(lki_thread *thread, void *object)
{
    lki_store *store = lki_thread_store(thread);
    lki_cell *cell = object;
    if (store->closing) {
        /* The cells of the set go with the set; a dead one is not in it any more. */
        if (lki_cell_is_dead(cell))
            lki_cell_dispose(thread, cell);
        return true;
    }
    if (!lki_reserve(thread, 16))
        return false;
    if (lki_cell_is_dead(cell)) {
        dead_bury(store, thread, cell);
        return true;
    }
    if (cell_kill(store, thread, cell))
        dead_bury(store, thread, cell);
    return true;
}
