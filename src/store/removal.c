/* SPDX-License-Identifier: MIT
 *
 * Burial of cells in two grace periods.
 *
 *   lki_removal_schedule  after a tombstone was installed and stamped: tags it with the epoch, and
 *                         retires a ticket
 *   lki_removal_ticket    two epochs later no section runs any more whose snapshot is older than
 *                         the tombstone. Under the shard's latch: if the head is EMPTY, or a
 *                         tombstone that is old enough, it becomes DEAD, and the cell leaves the
 *                         set
 *   lki_partition_leave   under the latches of the pk's shard and of the partition: the cell leaves
 *                         the index; an empty partition leaves its set
 *   then                  cell and tombstone are retired; two epochs later they are freed
 *
 * A ticket is a pointer to the cell in a bag of reclaim.c. LKI_CELL_PENDING says that there is one,
 * so there is at most one, and a cell with a ticket is not freed. The handler of the ticket clears
 * the flag before it reads the head; a thread that installs a tombstone sets the flag afterwards.
 * So each tombstone is seen by the handler, or gets a ticket of its own (P6). A tombstone below an
 * unfinished commit counts as young, because the commit may be undone. The handler runs inside
 * whatever call disposes of the bag, so it only tries latches; if one is held, the ticket is
 * retired again.
 *
 * Why a get that meets DEAD need not search again: the cell was in the set when it was found, so no
 * other cell of the key was. The key was absent at the later of that moment and the burial. Reads
 * of several keys do search again (read.c).
 *
 * Invariants  I-removal1: a head becomes DEAD only under the shard's latch, only from EMPTY or from
 *             a tombstone two epochs old.
 *             I-removal2: only the handler of the ticket removes a cell.
 *             I-removal3: the floor of the shard is raised to the lock's last version before the
 *             cell leaves the set (P7).
 * Ordering    P5: tag of a tombstone, stored with release after the stamp, loaded with acquire by
 *             the handler. P6, P7.
 */
#include "store/removal.h"

#include "store/hooks.h"
#include "store/partition.h"
#include "store/record.h"
#include "store/shard.h"

enum verdict { HEAD_ALIVE, HEAD_YOUNG, HEAD_OLD };

/* Retires a ticket. It keeps the cell, with its tombstone and its entries in index and set, and
 * counts their bytes. */
static void
ticket_retire(lki_thread *thread, lki_cell *cell)
{
    enum { PLACES = 48 };
    LK_ASSERT((lki_load_relaxed(lki_cell_flags(cell)) & LKI_CELL_PENDING) != 0);
    lki_retire(thread, LKI_TICKET, cell,
               lki_cell_size(cell) + LKI_RECORD_BEFORE + sizeof(lki_record) + PLACES);
}

/* For assertions: is it stamped, and was it not scheduled before? */
static bool
tombstone_is_new(lki_record *record)
{
    return record->kind == LKI_TOMBSTONE &&
           lki_word_is_stamp(lki_load_relaxed(&record->word)) && /* by this thread, or before it */
           lki_load_relaxed(&record->tag) == 0;                  /* only this thread sets it */
}

void
lki_removal_schedule(lki_thread *thread, lki_cell *cell, lki_record *tombstone)
{
    LK_ASSERT(lki_is_reserved(thread, 1) && (tombstone == NULL || tombstone_is_new(tombstone)));
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
    /* Below an unfinished commit there is a tombstone, or nothing. The commit may be undone, and
     * then this ticket is the only one. */
    if (record != (lki_record *)head)
        return HEAD_YOUNG;
    uint32_t tag = lki_load_acquire(&record->tag); /* P5 */
    if ((tag & 1) == 0)
        return HEAD_YOUNG;
    return lki_epoch_is_past(lki_epoch_now(&store->domain), tag >> 1, UINT32_MAX >> 1) ? HEAD_OLD
                                                                                       : HEAD_YOUNG;
}

/* Finishes the burial of a dead cell, or retires its ticket again. */
static void
dead_bury(lki_store *store, lki_thread *thread, lki_cell *cell)
{
    LK_ASSERT(lki_load_relaxed(&cell->item) == LKI_DEAD && lki_is_reserved(thread, 4));
    if (lki_cell_is_in_slab(cell))
        return; /* its memory belongs to the segment */
    if (lki_cell_is_in_queue(cell) || lki_partition_leave(store, thread, cell))
        lki_retire(thread, LKI_CELL, cell, lki_cell_size(cell));
    else
        ticket_retire(thread, cell);
}

/* Makes the cell of a ticket DEAD, if it is old enough; if it is only too young, the ticket is
 * retired again. True: it is DEAD. */
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
        return false; /* another ticket was made meanwhile */
    /* The flag stays set on a dead cell: no more tickets for it. */
    bool killed = false, in_queue = lki_cell_is_in_queue(cell);
    uint64_t hash = lki_cell_hash(store, cell);
    lki_latch *latch = lki_shard_latch(store, hash);
    if (verdict == HEAD_OLD && lki_latch_try(latch)) {
        /* The floor first (P7). Raising it in vain is harmless. */
        if (head != LKI_EMPTY)
            lki_shard_raise_floor(store, hash, ((lki_record *)head)->version);
        LK_ASSERT(head == LKI_EMPTY ||
                  ((lki_record *)head)->kind == LKI_TOMBSTONE); /* I-removal1 */
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
    LK_ASSERT(store->closing || lki_is_writing(thread));
    if (store->closing) {
        /* Cells in the set are freed with the set; a dead one is not in it. */
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
