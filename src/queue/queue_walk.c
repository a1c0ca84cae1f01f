/* SPDX-License-Identifier: MIT
 *
 * Walks over the cells of a queue's jobs that have a place.
 *
 * A place is reserved, in a segment that is in the directory, before the stamp of its job is read,
 * so what is reserved after the snapshot was taken is not in it; and what is reserved and not
 * published when the walk comes there is passed over, and gets a later stamp: a walk that begins
 * after its snapshot finds every job that was there. A job that is gone counts if its stamp is
 * above the snapshot; its cell is still there, because the section is older than its retirement,
 * and so is its segment.
 *
 * Progress    never waits.
 */
#include "queue/queue_walk.h"

#include <string.h>

#include "queue/job.h"

static lk_bytes
cell_sk(const lki_cell *cell)
{
    return (lk_bytes){lki_cell_sk(cell), cell->sk_size};
}

/* No key of the segment is below this, and no key of an earlier one above. */
static bool
segment_is_above(const lki_segment *segment, lk_bytes key)
{
    unsigned char least[LK_ULID_SIZE];
    lki_sk_write(least, segment, 0, segment->first_ms);
    return lk_bytes_compare((lk_bytes){least, sizeof least}, key) > 0;
}

/* The segment where the walk begins: the last one whose least key is not above `from`, for both
 * directions. Found by halving the range of numbers: of what is left of a range the first segment
 * is asked. */
static lki_segment *
segment_first(const lki_hooked_walk *w)
{
    const lki_directory *directory = w->directory;
    if (!w->bounded)
        return lki_queue_segment_from(directory, w->reverse ? UINT64_MAX : 0, w->reverse);
    lki_segment *first = lki_queue_segment_from(directory, 0, false), *found = NULL;
    uint64_t low = 0, high = 0; /* segments below `low` are not above, those from `high` on are */
    if (first != NULL)
        high = directory->page[directory->count - 1]->first + LKI_PAGE_SEGMENTS;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        lki_segment *segment = lki_queue_segment_from(directory, middle, false);
        if (segment == NULL || segment->number >= high || segment_is_above(segment, w->from)) {
            high = middle;
        } else {
            found = segment;
            low = segment->number + 1;
        }
    }
    return found != NULL || w->reverse ? found : first;
}

/* The key of a slot from `slot` on whose cell is there; NULL: there is none below `end`. *at: its
 * slot. */
static const lki_cell *
slot_known(const lki_hooked_walk *w, int64_t slot, int64_t end, int64_t *at)
{
    lki_segment *segment = w->segment;
    for (; slot < end; slot++) {
        lki_slot *here = &segment->slots[slot];
        uint64_t word = lki_load_acquire(&here->word); /* P11 */
        enum lki_phase phase = lki_job_word_phase(word);
        *at = slot;
        if (word != LKI_JOB_WORD_EMPTY && phase != LKI_PASSED &&
            (phase != LKI_DONE || lki_done_stamp(w->store, here, word) > w->snapshot))
            return here->cell;
    }
    return NULL;
}

/* The first slot whose key is not below `from`; those that are gone count as either. */
static int64_t
slot_first(const lki_hooked_walk *w, int64_t reserved)
{
    int64_t low = 0, high = reserved, at;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        const lki_cell *cell = slot_known(w, middle, high, &at);
        if (cell == NULL || lk_bytes_compare(cell_sk(cell), w->from) >= 0)
            high = middle;
        else
            low = at + 1;
    }
    return low;
}

static void
segment_enter(lki_hooked_walk *w, lki_segment *segment)
{
    w->segment = segment;
    if (segment == NULL)
        return;
    int64_t reserved = LKI_RESERVED(lki_load_seq_cst(&segment->word)); /* P14 */
    w->slot = w->reverse ? reserved - 1 : 0;
    if (w->bounded)
        w->slot = slot_first(w, reserved) - w->reverse;
}

/* The cell of the slot, if its job counts. */
static lki_cell *
slot_cell(const lki_hooked_walk *w, lki_slot *slot)
{
    uint64_t word = lki_slot_look(w->segment, slot);
    enum lki_phase phase = lki_job_word_phase(word);
    if (word == LKI_JOB_WORD_EMPTY || phase == LKI_PASSED)
        return NULL;
    if (phase == LKI_DONE && lki_done_stamp(w->store, slot, word) <= w->snapshot)
        return NULL;
    lki_cell *cell = slot->cell;
    if (!w->bounded)
        return cell;
    int order = lk_bytes_compare(cell_sk(cell), w->from);
    bool wanted = w->reverse ? order < 0 : order > 0 || (order == 0 && !w->strict);
    return wanted ? cell : NULL;
}

static lki_cell *
slot_next(lki_hooked_walk *w)
{
    while (w->segment != NULL) {
        lki_segment *segment = w->segment;
        uint32_t reserved = LKI_RESERVED(lki_load_seq_cst(&segment->word)); /* P14 */
        while (w->slot >= 0 && w->slot < (int64_t)reserved) {
            lki_slot *slot = &segment->slots[w->slot];
            w->slot += w->reverse ? -1 : 1;
            lki_cell *cell = slot_cell(w, slot);
            if (cell == NULL)
                continue;
            w->bounded = false; /* all that follow are on the right side */
            return cell;
        }
        uint64_t number = segment->number;
        if (w->reverse && number == 0)
            segment_enter(w, NULL);
        else
            segment_enter(w, lki_queue_segment_from(
                                 w->directory, w->reverse ? number - 1 : number + 1, w->reverse));
    }
    return NULL;
}

lki_cell *
lki_queue_walk_next(lki_hooked_walk *w)
{
    if (!w->begun) {
        w->directory = lki_load_acquire(&w->queue->directory); /* P13 */
        segment_enter(w, segment_first(w));
        w->begun = true;
    }
    return slot_next(w);
}
