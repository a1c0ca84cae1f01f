/* SPDX-License-Identifier: MIT
 *
 * Lanes: where the jobs of a queue lie. Structure only; who may do what with a job, and when, is
 * the queue room's business. src/queue/README.md has the whole picture.
 *
 *   segment.c  segments, pages, directory: places are reserved, found, given up
 *   lane.c     the lane of a partition; the store's list of lanes
 *   job.[ch]   states of jobs, plain (the slot's word) and headed (a record on the item's head)
 *
 * Ordering pairs
 *   P11  word of a slot: cell and record, then the word (compare-and-swap); who loads the word
 *        (acquire) may use the cell.
 *   P12  bounds. A claimer swaps a word, then loads the bound; a tender marks the bound, then loads
 *        the words (all seq_cst): one of the two sees the other. Else a claim that nobody covers.
 *   P13  segment, page, directory, lane: contents, then the pointer (release, acquire).
 *   P16  closing: a push by a commit counts itself in `pushing`, then loads `closed`; a pull loads
 *        `closed`, then `pushing`, then the depth. A job that goes is counted (by or before a
 *        read-modify-write), then `closed` is loaded; who closes stores it, then loads the counts
 *        (seq_cst). Else a job comes after the last pull, or an end wakes nobody.
 *   P14  sealing: who finishes a slot adds to `finished`, then loads the segment's word; who seals
 *        swaps the word, then loads `finished` (all seq_cst). Else a segment that stays for ever.
 */
#ifndef LKI_STORE_LANE_H
#define LKI_STORE_LANE_H

#include "base/order.h"
#include "base/ulid.h"
#include "base/wait.h"
#include "store/record.h"
#include "store/times.h"

/* The slots of a segment of the full size are 8 KB; behind them is memory for as many cells. */
enum { LKI_SEGMENT_BITS = 9, LKI_SEGMENT_SLOTS = 500, LKI_PAGE_SEGMENTS = 64 };

typedef struct lki_lane_page lki_lane_page;
typedef struct lki_segment lki_segment;

typedef struct lki_slot {
    _Atomic(uint64_t) word; /* [P11] see job.h */
    lki_cell *cell;         /* [const] once the word is set; gone some time after DONE */
} lki_slot;

struct lki_segment {
    lki_object object;
    uint64_t number;             /* [const] place of slot 0 = number << LKI_SEGMENT_BITS */
    uint64_t before;             /* [const] places reserved in earlier segments */
    int64_t first_ms;            /* [const] no ULID in it has less, none in earlier ones more */
    uint32_t capacity;           /* [const] */
    uint32_t cell_size;          /* [const] of each slot's cell in `cells` */
    unsigned char *cells;        /* [const] behind the slots */
    lki_lane_page *page;         /* [const] */
    lki_lane *lane;              /* [const] */
    _Atomic(lki_segment *) next; /* [P13] set before the seal */
    /* ms of the last ULID << 16 | sealed << 15 | slots reserved */
    _Atomic(uint64_t) word __attribute__((aligned(LKI_LINE)));   /* [P14] */
    _Atomic(uint32_t) cursor __attribute__((aligned(LKI_LINE))); /* [stat] no FRONT below it */
    _Atomic(uint32_t) finished;                                  /* [P14] slots given up */
    _Atomic(uint32_t) leaving;                                   /* [P14] a ticket is out */
    lki_slot slots[] __attribute__((aligned(LKI_LINE)));
};
#define LKI_SEALED ((uint64_t)0x8000)
#define LKI_RESERVED(word) ((uint32_t)((word)&0x7fff))

/* Lower bounds of times, dense, for 64 segments. */
struct lki_lane_page {
    lki_object object;
    uint64_t first;         /* [const] number of its first segment, a multiple of 64 */
    _Atomic(uint32_t) live; /* [P13] segments in it */
    _Atomic(uint32_t) full; /* [P13] no more segments will come */
    _Atomic(lki_segment *) segment[LKI_PAGE_SEGMENTS]; /* [P13] */
    lki_bound due[LKI_PAGE_SEGMENTS];                  /* of plain words */
    lki_bound expires[LKI_PAGE_SEGMENTS];              /* of plain jobs */
};

typedef struct lki_directory {
    lki_object object;
    size_t room, count;
    lki_lane_page *page[]; /* [const] ascending by `first` */
} lki_directory;

/* What is counted, by each thread in a line of its own. */
enum lki_lane_counter {
    LKI_LANE_PUSHES,
    LKI_LANE_PULLS,
    LKI_LANE_EMPTY,
    LKI_LANE_LAPSES,
    LKI_LANE_LATE,
    LKI_LANE_LOST,
    LKI_LANE_DEADS,
    LKI_LANE_REMOVED, /* jobs that had a place and are gone */
    LKI_LANE_COUNTERS
};
enum { LKI_LANE_LINES = 64 };
typedef struct lki_lane_line {
    _Atomic(uint64_t) counter[LKI_LANE_COUNTERS]; /* [stat] */
} lki_lane_line;
_Static_assert(sizeof(lki_lane_line) == LKI_LINE, "one line");

struct lki_lane {
    lki_object object;
    /* [const] */
    lki_store *store;
    lki_partition *partition; /* outlives the lane */
    unsigned char owner[LKI_ULID_WORD];
    lki_latch latch;                                /* guards growth, closing, the end */
    _Atomic(uint32_t) closed;                       /* [P16] written under the latch */
    _Atomic(uint32_t) pushing;                      /* [P16] pushes by commits on their way */
    bool dead;                                      /* [latch] taken out for want of use */
    lki_lane *next, **link;                         /* [latch] of the store's lanes */
    _Atomic(uint32_t) used;                         /* [stat] since it was last looked at */
    int64_t used_ms;                                /* [latch] of the lanes: looked at then */
    _Atomic(lki_directory *) directory;             /* [P13] */
    _Atomic(lki_lane_line *) lines[LKI_LANE_LINES]; /* [P13] */
    lki_lane_line shared;                           /* of threads beyond, or without memory */
    lki_wait wait;
    /* producers */
    _Atomic(lki_segment *) tail __attribute__((aligned(LKI_LINE))); /* [P13] */
    _Atomic(uint64_t) removed_seen; /* [stat] a lower bound of what LKI_LANE_REMOVED sums to */
    _Atomic(uint64_t) returned; /* [stat] jobs that came into a place that was counted as removed */
    /* consumers */
    _Atomic(lki_segment *) frontier __attribute__((aligned(LKI_LINE))); /* [P13] */
    lki_bound due;                                                      /* of all segments */
    lki_bound keyed_expires;                                            /* of the jobs with keys */
    _Atomic(struct lki_keyed_hand *) keyed_hand; /* [P13] how far a look at them has come */
    lki_bound expires;                           /* of all segments */
    _Atomic(uint32_t) expire_hand; /* [stat] the segment to begin a look at expiry with */
    lki_order ready;               /* by sk: what is visible and not at the frontier */
    lki_order later;               /* by time and sk: headed jobs */
    lki_order avoided;             /* ms to come for which users have keys of their own */
    /* jobs with keys in the low half; in the upper half who needs the lane beyond a section */
    _Atomic(uint64_t) pins __attribute__((aligned(LKI_LINE)));
};
#define LKI_LANE_KEYED ((uint64_t)1)
#define LKI_LANE_PIN ((uint64_t)1 << 32)
#define LKI_LANE_DEAD ((uint64_t)1 << 63)

/* ---- lane.c ---- */
/* Somebody pushes or pulls. */
LKI_INLINE void
lki_lane_used(lki_lane *lane)
{
    if (LKI_UNLIKELY(lki_load_relaxed(&lane->used) == 0))
        lki_store_relaxed(&lane->used, 1);
}

/* Caller: in a section. NULL: there is none. */
lki_lane *lki_lane_find(lki_store *store, lk_bytes pk);
/* The same, for who comes often: the thread remembers a few. */
lki_lane *lki_lane_find_slow(lki_store *store, lki_thread *thread, lk_bytes pk);
LKI_INLINE lki_lane *
lki_lane_find_known(lki_store *store, lki_thread *thread, lk_bytes pk)
{
    const unsigned char *name = pk.data;
    lki_lane *lane = thread->lanes[name[pk.size - 1] % LKI_LANES_KNOWN];
    /* A lane is retired after that number has moved: while it stands, what was remembered is there,
     * and in this section it stays. */
    if (LKI_LIKELY(lane != NULL &&
                   lki_load_seq_cst(&store->lanes_gone) == thread->lanes_gone && /* P13 */
                   lane->partition->pk_size == pk.size &&
                   lki_bytes_equal(lane->partition->pk, pk.data, pk.size)))
        return lane;
    return lki_lane_find_slow(store, thread, pk);
}
/* Made where there is none. Caller: in a write section. LK_OK, LK_NO_MEMORY. */
lk_status lki_lane_obtain(lki_store *store, lki_thread *thread, lk_bytes pk, lki_lane **lane);
/* Obtains it, and keeps it from being taken out until the unpin. */
lk_status lki_lane_obtain_pinned(lki_store *store, lki_thread *thread, lk_bytes pk, uint64_t pin,
                                 lki_lane **lane);
void lki_lane_unpin(lki_lane *lane, uint64_t pin);
lki_lane_line *lki_lane_line_slow(lki_lane *lane, lki_thread *thread);
uint64_t lki_lane_sum(lki_lane *lane, enum lki_lane_counter which);
/* Looks at up to `count` lanes that were not looked at for a minute; those that are empty and were not used
 * since go. How many. Caller: outside of sections, as below. */
size_t lki_lanes_expel(lki_store *store, lki_thread *thread, size_t count);
/* Visits `count` lanes in turn, in a write section for each visit; `whole`: as long as it returns true. */
typedef bool (*lki_lane_visit)(lki_store *store, lki_thread *thread, lki_lane *lane);
void lki_lanes_visit(lki_store *store, lki_thread *thread, size_t count, bool whole,
                     lki_lane_visit visit);
void lki_lanes_close(lki_store *store);

LKI_INLINE void
lki_lane_count(lki_lane *lane, lki_thread *thread, enum lki_lane_counter which, uint64_t n)
{
    uint32_t slot = thread->slot;
    lki_lane_line *line =
        slot < LKI_LANE_LINES ? lki_load_acquire(&lane->lines[slot]) : NULL; /* P13 */
    if (LKI_UNLIKELY(line == NULL))
        line = lki_lane_line_slow(lane, thread);
    if (LKI_LIKELY(line != &lane->shared))
        lki_stat_add(&line->counter[which], n);
    else
        lki_add_relaxed(&line->counter[which], n);
}

/* ---- segment.c ---- */

/* Places in a row, from `slot` of `segment` on; what does not fit is in its successors. */
typedef struct lki_places {
    lki_segment *segment;
    uint32_t slot;
    int64_t ms;
} lki_places;
/* `count` > 0; `max_depth` 0: no limit; `cell_size`: of the cells of a new segment. Caller: in a write
 * section. LK_OK, LK_CLOSED, LK_BUSY: too deep, LK_NO_MEMORY, LK_NOT_FOUND: the lane is dead. */
lk_status lki_places_reserve(lki_lane *lane, lki_thread *thread, size_t count, int64_t ms,
                             size_t max_depth, size_t cell_size, lki_places *places);
/* One, for a dead letter, in a closed lane. LK_OK, LK_NO_MEMORY; LK_CLOSED: it is not closed. */
lk_status lki_places_reserve_closed(lki_lane *lane, lki_thread *thread, int64_t ms, lki_places *to);
void lki_places_next(lki_places *places);
enum { LKI_SLAB_CELL_MAX = 512 }; /* what is larger has a cell apart */
LKI_INLINE lki_cell *
lki_slab_cell(const lki_segment *segment, uint32_t slot)
{
    return (lki_cell *)(void *)(segment->cells + (size_t)slot * segment->cell_size);
}
/* Jobs that are there when the word of the tail was `word`, those with keys too; a little more than
 * the truth while jobs go. */
uint64_t lki_lane_depth(lki_lane *lane, const lki_segment *tail, uint64_t word);
/* The slot of a place as a key has it; NULL: none, not any more, or not yet. */
lki_slot *lki_lane_slot(lki_lane *lane, uint64_t place, lki_segment **segment);
/* The next segment that has not left. `next` is only for places that are reserved: a successor may have
 * left before. Caller: in a section. */
lki_segment *lki_segment_next(const lki_segment *segment);
/* One slot is done with. Caller: in a write section with 1 retirement reserved. */
void lki_slot_finish(lki_segment *segment, lki_thread *thread);
/* No places are given out any more; the last segment stays with the lane. */
void lki_lane_seal_latched(lki_lane *lane);
/* The sk of a place; all of it but its milliseconds. */
void lki_sk_write(unsigned char *sk, const lki_segment *segment, uint32_t slot, int64_t ms);
LKI_INLINE void
lki_sk_write_place(unsigned char *sk, const lki_segment *segment, uint32_t slot)
{
    memcpy(sk + LKI_ULID_OWNER, segment->lane->owner, LKI_ULID_WORD);
    lki_ulid_write(sk + LKI_ULID_PLACE,
                   (segment->number << LKI_SEGMENT_BITS | slot) & LKI_ULID_MASK);
}
/* The place of a slot as keys have it. */
LKI_INLINE uint64_t
lki_slot_place(const lki_segment *segment, const lki_slot *slot)
{
    return (segment->number << LKI_SEGMENT_BITS | (uint64_t)(slot - segment->slots)) &
           LKI_ULID_MASK;
}
void lki_segment_free(lki_store *store, lki_segment *segment);
/* Bytes of a directory with its pages and what is in them. */
size_t lki_segments_size(const lki_directory *directory);
/* The first segment that may hold a key from `number` on, in order; NULL: none. */
lki_segment *lki_lane_segment_from(const lki_directory *directory, uint64_t number, bool reverse);

#endif
