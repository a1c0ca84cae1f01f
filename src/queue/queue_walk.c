/* SPDX-License-Identifier: MIT
 *
 * The walk over the cells of a queue's jobs that lie in slots (lki_hooks).
 *
 * Why the walk finds every job of its snapshot: a push reserves its place before it reads its
 * stamp. A place that is reserved after the snapshot was taken therefore has a later stamp. A place
 * that is reserved but not published when the walk comes there becomes PASSED, and its job gets a
 * later stamp. A removed job counts if the stamp of its DONE word is above the snapshot. Its cell
 * and its segment still exist, as the walk's section began before they were retired.
 *
 * Progress    never waits.
 * Ordering    P11, P13, P14 (queue.h).
 */
#include "queue/queue_walk.h"

#include <string.h>

#include "queue/job.h"

static lk_bytes
cell_sk(const lki_cell *cell)
{
    return (lk_bytes){lki_cell_sk(cell), cell->sk_size};
}

/* Are all keys of the segment above `key`? No key of a segment is below its slot 0 at `first_ms`,
 * and no key of an earlier one is above that. */
static bool
segment_is_above(const lki_segment *segment, lk_bytes key)
{
    unsigned char least[LK_ULID_SIZE];
    lki_sk_write(least, segment, 0, segment->first_ms);
    return lk_bytes_compare((lk_bytes){least, sizeof least}, key) > 0;
}

/* The segment where the walk begins, in both directions: the last one whose least key is not above
 * `from`. Binary search over segment numbers; the first segment in a half of the range stands for
 * it, as numbers may be missing. */
static lki_segment *
segment_first(const lki_hooked_walk *w)
{
    const lki_directory *directory = w->directory;
    if (!w->bounded)
        return lki_queue_segment_from(directory, w->reverse ? UINT64_MAX : 0, w->reverse);
    lki_segment *first = lki_queue_segment_from(directory, 0, false), *found = NULL;
    uint64_t low = 0, high = 0; /* segments below `low`: not above; from `high` on: above */
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

/* The first slot from `slot` on whose cell can be read. NULL: there is none below `end`. *at: its
 * index. */
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

/* The first slot whose key is not below `from`, by binary search. A slot without a readable cell
 * counts for either side. */
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

/* The cell of the slot, if its job is in the snapshot and within the limits. */
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
    LK_ASSERT(lki_cell_is_in_queue(cell) && cell->sk_size == LK_ULID_SIZE);
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
            w->bounded = false; /* all that follow are within the limits */
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
