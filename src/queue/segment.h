/* SPDX-License-Identifier: MIT
 *
 * Segments of a queue: arrays of slots in which jobs without an sk of their own lie, in the order
 * of their places. Pages and a directory find a segment by its number.
 *
 * Threads: a push reserves slots in the last segment, the tail. A pull claims from the head
 * segment. Any thread may find a slot by its place, in a section. Ordering pairs P11 to P14:
 * queue.h.
 */
#ifndef LKI_QUEUE_SEGMENT_H
#define LKI_QUEUE_SEGMENT_H

#include "base/reclaim.h"
#include "base/ulid.h"
#include "queue/times.h"

/* A full-size segment has 8 KB of slots; behind them is memory for as many cells. */
enum {
    LKI_SEGMENT_BITS = 9,
    LKI_SEGMENT_SLOTS = LKI_OR_SMALL(500, 3),
    LKI_PAGE_SEGMENTS = LKI_OR_SMALL(64, 2)
};

typedef struct lki_queue_page lki_queue_page;
typedef struct lki_segment lki_segment;

typedef struct lki_slot {
    _Atomic(uint64_t) word; /* [P11] see word.h */
    lki_cell *cell;         /* [const] once the word is set; freed some time after DONE */
} lki_slot;

struct lki_segment {
    lki_object object;
    uint64_t number;      /* [const] place of slot 0 = number << LKI_SEGMENT_BITS */
    uint64_t before;      /* [const] places reserved in earlier segments */
    int64_t first_ms;     /* [const] no ULID in it has less, none in earlier ones more */
    uint32_t capacity;    /* [const] */
    uint32_t cell_size;   /* [const] bytes of a slot's part of `cells` */
    unsigned char *cells; /* [const] behind the slots */
    lki_queue_page *page; /* [const] */
    lki_queue *queue;     /* [const] */
    lki_next_due *due;    /* [const] its next due time, in its page */
    unsigned char text[2 * LKI_ULID_WORD]; /* [const] of slot 0's sk, behind the milliseconds */
    _Atomic(lki_segment *) next;           /* [P13] set soon after the seal */
    /* ms of the last ULID << 16 | sealed << 15 | slots reserved */
    _Atomic(uint64_t) word __attribute__((aligned(LKI_LINE)));   /* [P14] */
    _Atomic(uint32_t) cursor __attribute__((aligned(LKI_LINE))); /* [stat] no FRONT below it */
    _Atomic(uint32_t) finished;                                  /* [P14] slots given up */
    _Atomic(uint32_t) leaving;                                   /* [P14] a ticket is out */
    lki_slot slots[] __attribute__((aligned(LKI_LINE)));
};
#define LKI_SEALED ((uint64_t)0x8000)
#define LKI_RESERVED(word) ((uint32_t)((word)&0x7fff))

/* A page: pointers to 64 segments, and their next due times side by side, so that a scan is
 * short. */
struct lki_queue_page {
    lki_object object;
    uint64_t first;         /* [const] number of its first segment, a multiple of 64 */
    _Atomic(uint32_t) live; /* [P13] segments in it */
    _Atomic(lki_segment *) segment[LKI_PAGE_SEGMENTS]; /* [P13] */
    lki_next_due due[LKI_PAGE_SEGMENTS];               /* of plain jobs: deadlines and delays */
    lki_next_due expires[LKI_PAGE_SEGMENTS];           /* of plain jobs: their expiry */
};

typedef struct lki_directory {
    lki_object object;
    size_t room, count;
    lki_queue_page *page[]; /* [const] ascending by `first` */
} lki_directory;

/* Consecutive places from `slot` of `segment` on, continued in the segments that follow. */
typedef struct lki_places {
    lki_segment *segment;
    uint32_t slot;
    int64_t ms;
} lki_places;
/* Reserves `count` > 0 places. `max_depth`: of the queue, 0: no limit. `cell_size`: room for each
 * cell if a new segment is made. Caller: in a write section. LK_OK, LK_CLOSED, LK_BUSY: too deep,
 * LK_NO_MEMORY, LK_NOT_FOUND: the queue is dead. */
lk_status lki_places_reserve(lki_queue *queue, lki_thread *thread, size_t count, int64_t ms,
                             size_t max_depth, size_t cell_size, lki_places *places);
/* Reserves one place for a dead letter in a closed queue. LK_OK, LK_NO_MEMORY. */
lk_status lki_places_reserve_closed(lki_queue *queue, lki_thread *thread, int64_t ms,
                                    lki_places *to);
LKI_INLINE void
lki_places_next(lki_places *places)
{
    LK_ASSERT(places->segment != NULL && places->slot < places->segment->capacity);
    if (LKI_LIKELY(++places->slot < places->segment->capacity))
        return;
    places->segment = lki_load_acquire(&places->segment->next); /* P13 */
    places->slot = 0;
}
enum { LKI_SLAB_CELL_MAX = 512 }; /* a larger cell is allocated apart */
LKI_INLINE lki_cell *
lki_slab_cell(const lki_segment *segment, uint32_t slot)
{
    return (lki_cell *)(void *)(segment->cells + (size_t)slot * segment->cell_size);
}
/* Number of jobs, those with keys included, when the tail's segment word was `word`. May be too
 * high while jobs are removed. */
uint64_t lki_queue_depth(lki_queue *queue, const lki_segment *tail, uint64_t word);
/* Are there more than `max_depth` + `but` jobs? Exact at some instant of the call. A job counts
 * from when it has its place, or has pinned the queue (P21). */
bool lki_queue_is_deeper(lki_queue *queue, size_t max_depth, size_t but);
/* Number of places that were ever filled. A place that was filled again counts again. */
uint64_t lki_queue_places(lki_queue *queue, const lki_segment *tail, uint64_t word);
/* The slot word, for a reader that will report that no job is there, or none in its snapshot. An
 * empty word of a reserved place becomes PASSED, so its job gets a stamp after this read. Returns
 * EMPTY if the place is not reserved. */
uint64_t lki_slot_look(lki_segment *segment, lki_slot *slot);
/* The next segment that is still in its page. (The field `next` may lead to a segment that has
 * left.) Caller: in a section. */
lki_segment *lki_segment_next(const lki_segment *segment);
/* `count` slots of the segment are DONE. Caller: in a write section with 1 retirement reserved. */
void lki_segment_leave(lki_segment *segment, lki_thread *thread);
LKI_INLINE void
lki_slots_finish(lki_segment *segment, lki_thread *thread, uint32_t count)
{
    uint32_t finished = lki_add_seq_cst(&segment->finished, count) + count; /* P14 */
    uint64_t word = lki_load_seq_cst(&segment->word);                       /* P14 */
    LK_ASSERT(lki_is_writing(thread) && finished <= LKI_RESERVED(word));
    if (LKI_UNLIKELY((word & LKI_SEALED) != 0 && finished == LKI_RESERVED(word)))
        lki_segment_leave(segment, thread);
}
/* Ends the giving out of places. The last segment stays with the queue. */
void lki_queue_seal_latched(lki_queue *queue);
/* Writes the sk of a place; the second function writes all but its milliseconds. */
void lki_sk_write(unsigned char *sk, const lki_segment *segment, uint32_t slot, int64_t ms);
LKI_INLINE void
lki_sk_write_place(unsigned char *sk, const lki_segment *segment, uint32_t slot)
{
    memcpy(sk + LKI_ULID_OWNER, segment->text, sizeof segment->text);
    /* A slot has 9 bits, and the last two characters 10. */
    sk[LK_ULID_SIZE - 2] = lki_ulid_digit[(segment->number & 1) << 4 | slot >> 5];
    sk[LK_ULID_SIZE - 1] = lki_ulid_digit[slot & 31];
}
/* The place of a slot, as an sk encodes it. */
LKI_INLINE uint64_t
lki_slot_place(const lki_segment *segment, const lki_slot *slot)
{
    return (segment->number << LKI_SEGMENT_BITS | (uint64_t)(slot - segment->slots)) &
           LKI_ULID_MASK;
}
void lki_segment_free(lki_store *store, lki_segment *segment);
/* Bytes of a directory, its pages and their segments. */
size_t lki_segments_size(const lki_directory *directory);
/* The first segment with a number from `number` on, in this direction; NULL: none. */
lki_segment *lki_queue_segment_from(const lki_directory *directory, uint64_t number, bool reverse);

#endif
