/* SPDX-License-Identifier: MIT
 *
 * Walks over a partition with a queue. Called by query.c, in a section.
 *
 * A job is in its slot before its record has a stamp, and its segment in the directory before that:
 * a walk that begins after its snapshot finds every job that was there. A job that is gone counts
 * if its stamp is above the snapshot; its cell is still there, because the section is older than
 * its retirement, and so is its segment.
 *
 * Progress    never waits.
 */
#include "store/lane_walk.h"

#include <string.h>

#include "store/job.h"

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

/* The segment where the walk begins. */
static lki_segment *
segment_first(const lki_lane_walk *w)
{
    const lki_directory *directory = w->directory;
    lki_segment *segment =
        lki_lane_segment_from(directory, w->reverse ? UINT64_MAX : 0, w->reverse);
    if (!w->bounded)
        return segment;
    if (w->reverse) {
        while (segment != NULL && segment_is_above(segment, w->from))
            segment = segment->number == 0
                          ? NULL
                          : lki_lane_segment_from(directory, segment->number - 1, true);
        return segment;
    }
    for (lki_segment *next; segment != NULL; segment = next) {
        next = lki_lane_segment_from(directory, segment->number + 1, false);
        if (next == NULL || segment_is_above(next, w->from))
            break;
    }
    return segment;
}

static void
segment_enter(lki_lane_walk *w, lki_segment *segment)
{
    w->segment = segment;
    if (segment == NULL)
        return;
    uint32_t reserved = LKI_RESERVED(lki_load_seq_cst(&segment->word)); /* P14 */
    w->slot = w->reverse ? (int64_t)reserved - 1 : 0;
}

/* The cell of the slot, if its job counts. */
static lki_cell *
slot_cell(const lki_lane_walk *w, lki_slot *slot)
{
    uint64_t word = lki_load_acquire(&slot->word); /* P11 */
    enum lki_phase phase = lki_word_phase(word);
    if (word == LKI_WORD_EMPTY || phase == LKI_PASSED)
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

/* The next cell of the lane. */
static lki_cell *
lane_next(lki_lane_walk *w)
{
    while (w->segment != NULL) {
        lki_segment *segment = w->segment;
        uint32_t reserved = LKI_RESERVED(lki_load_seq_cst(&segment->word)); /* P14 */
        while (w->slot >= 0 && w->slot < (int64_t)reserved) {
            lki_slot *slot = &segment->slots[w->slot];
            w->slot += w->reverse ? -1 : 1;
            lki_cell *cell = slot_cell(w, slot);
            if (cell != NULL)
                return cell;
        }
        uint64_t number = segment->number;
        if (w->reverse && number == 0)
            segment_enter(w, NULL);
        else
            segment_enter(w, lki_lane_segment_from(
                                 w->directory, w->reverse ? number - 1 : number + 1, w->reverse));
    }
    return NULL;
}

void
lki_lane_walk_begin(lki_lane_walk *w, lki_store *store, lki_partition *partition, uint64_t snapshot,
                    const lk_bytes *from, bool strict, bool reverse)
{
    lki_lane *lane = lki_load_acquire(&partition->lane); /* P13 */
    lki_index_walk_begin(&w->index, &partition->index, from, strict, reverse);
    w->lane = lane;
    if (lane == NULL)
        return;
    w->store = store;
    w->directory = lki_load_acquire(&lane->directory); /* P13 */
    w->snapshot = snapshot;
    w->bounded = from != NULL;
    w->from = from != NULL ? *from : (lk_bytes){NULL, 0};
    w->strict = strict;
    w->reverse = reverse;
    w->index_at = w->index_count = 0;
    segment_enter(w, segment_first(w));
    w->of_lane = lane_next(w);
}

static lki_cell *
index_peek(lki_lane_walk *w)
{
    if (w->index_at == w->index_count) {
        w->index_count = lki_index_walk_next(&w->index, w->of_index, LKI_WALK_RUN);
        w->index_at = 0;
    }
    return w->index_count == 0 ? NULL : w->of_index[w->index_at];
}

size_t
lki_lane_walk_next(lki_lane_walk *w, lki_cell **cells, size_t room)
{
    if (LKI_LIKELY(w->lane == NULL))
        return lki_index_walk_next(&w->index, cells, room);
    size_t count = 0;
    while (count < room) {
        lki_cell *of_index = index_peek(w), *of_lane = w->of_lane;
        if (of_index == NULL && of_lane == NULL)
            break;
        int order = of_index == NULL  ? -1
                    : of_lane == NULL ? 1
                                      : lk_bytes_compare(cell_sk(of_lane), cell_sk(of_index));
        if (w->reverse && of_index != NULL && of_lane != NULL)
            order = -order;
        if (order >= 0)
            w->index_at++; /* of two with one key the job's is the one that was asked for */
        if (order <= 0)
            w->of_lane = lane_next(w);
        cells[count++] = order <= 0 ? of_lane : of_index;
    }
    return count;
}
