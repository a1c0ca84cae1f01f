/* SPDX-License-Identifier: MIT
 *
 * The queue of a partition: the list of its segments, what is due in them, the entries of its jobs,
 * its counters. What may happen to a job, and when, is said by README.md.
 *
 * Ordering pairs
 *   P11  word of a slot: cell and record, then the word (compare-and-swap); who loads the word
 *        (acquire) may use the cell. Who finds a place reserved and its word empty passes it over,
 *        before he says that there is no job: see P2 of push.c.
 *   P12  bounds. A claimer swaps a word, then loads the bound; a tender marks the bound, then loads
 *        the words (all seq_cst): one of the two sees the other. Else a claim that nobody covers.
 *   P13  segment, page, directory, queue: contents, then the pointer (release, acquire).
 *   P16  closing: a push by a commit pins, then loads `closed`; a pull loads `closed`, then what is
 *        gone, then the pins, then the places. A job that goes is counted (by or before a
 *        read-modify-write), then `closed` is loaded; who closes stores it, then loads the counts
 *        (seq_cst). Else a job comes after the last pull, or an end wakes nobody.
 *   P21  depth: a push of a job with a place reserves it, then loads the pins; one of a job with a
 *        key pins, then loads the last segment and its word (all seq_cst). Else both are too many.
 *   P23  depth: a job's place is reserved, then the job is counted as gone (release); who sums what
 *        is gone (acquire), then loads the last segment's word, finds the places of all of that.
 *        Else a queue that was full all the time is taken to have room.
 *   P14  sealing: who finishes a slot adds to `finished`, then loads the segment's word; who seals
 *        swaps the word, then loads `finished` (all seq_cst). Else a segment that stays for ever.
 */
#ifndef LKI_QUEUE_QUEUE_H
#define LKI_QUEUE_QUEUE_H

#include "base/order.h"
#include "base/wait.h"
#include "queue/segment.h"
#include "store/partition.h"

/* What is counted, by each thread in a line of its own. */
enum lki_queue_counter {
    LKI_QUEUE_PUSHES,
    LKI_QUEUE_PULLS,
    LKI_QUEUE_EMPTY,
    LKI_QUEUE_LAPSES,
    LKI_QUEUE_LATE,
    LKI_QUEUE_LOST,
    LKI_QUEUE_DEADS,
    LKI_QUEUE_REMOVED, /* jobs that had a place and are gone */
    LKI_QUEUE_COUNTERS
};
enum { LKI_QUEUE_LINES = LKI_OR_SMALL(64, 2) };
typedef struct lki_queue_line {
    _Atomic(uint64_t) counter[LKI_QUEUE_COUNTERS]; /* [stat] */
} lki_queue_line;
_Static_assert(sizeof(lki_queue_line) == LKI_LINE, "one line");

/* All queues of a store: behind it. */
typedef struct lki_queues {
    lki_latch latch;
    lki_queue *first, **end;        /* [latch] the first was not looked at for the longest time */
    lki_queue *hand;                /* [latch] whom to visit next */
    _Atomic(uint64_t) count;        /* queues ever made: part of their ULIDs */
    _Atomic(uint64_t) gone;         /* [P13] queues taken out: what remembers one is stale */
    _Atomic(int64_t) ulid_floor_ms; /* no queue that is gone has given out more */
    uint64_t token_mark;            /* [const] in every token of a headed claim */
} lki_queues;
LKI_INLINE lki_queues *
lki_queues_of(const lki_store *store)
{
    return (lki_queues *)(uintptr_t)(store + 1);
}

struct lki_queue {
    lki_object object;
    /* [const] */
    lki_store *store;
    lki_partition *partition; /* outlives the queue */
    unsigned char owner[LKI_ULID_WORD];
    lki_latch latch;                                  /* guards growth, closing, the end */
    _Atomic(uint32_t) closed;                         /* [P16] written under the latch */
    bool dead;                                        /* [latch] taken out for want of use */
    lki_queue *next, **link;                          /* [latch] of the store's queues */
    _Atomic(uint32_t) used;                           /* [stat] since it was last looked at */
    int64_t used_ms;                                  /* [latch] of the queues: looked at then */
    _Atomic(lki_directory *) directory;               /* [P13] */
    _Atomic(lki_queue_line *) lines[LKI_QUEUE_LINES]; /* [P13] */
    lki_queue_line shared;                            /* of threads beyond, or without memory */
    lki_wait wait;
    /* producers */
    _Atomic(lki_segment *) tail __attribute__((aligned(LKI_LINE))); /* [P13] */
    _Atomic(uint64_t) removed_seen; /* [stat] a lower bound of what LKI_QUEUE_REMOVED sums to */
    _Atomic(uint64_t) returned; /* [stat] jobs that came into a place that was counted as removed */
    /* consumers */
    _Atomic(lki_segment *) head_segment __attribute__((aligned(LKI_LINE))); /* [P13] */
    lki_next_due due;                                                       /* of all segments */
    lki_next_due keyed_expires;                  /* of the jobs with keys */
    _Atomic(struct lki_keyed_hand *) keyed_hand; /* [P13] how far a look at them has come */
    lki_next_due expires;                        /* of all segments */
    _Atomic(uint32_t) expire_hand; /* [stat] the segment to begin a look at expiry with */
    lki_order ready;               /* by sk: what is visible and not at the head segment */
    _Atomic(uint32_t) announced;   /* [P19] entries that went into it */
    lki_order later;               /* by time and sk: headed jobs */
    lki_order avoided;             /* ms to come for which users have keys of their own */
    /* [P16] jobs with keys, and pushes by commits on their way, in the low half; in the upper half
     * who needs the queue beyond a section */
    _Atomic(uint64_t) pins __attribute__((aligned(LKI_LINE)));
};
#define LKI_QUEUE_KEYED ((uint64_t)1)
#define LKI_QUEUE_PIN ((uint64_t)1 << 32)
#define LKI_QUEUE_DEAD ((uint64_t)1 << 63)

/* ---- queue.c ---- */
/* Somebody pushes or pulls. */
LKI_INLINE void
lki_queue_used(lki_queue *queue)
{
    if (LKI_UNLIKELY(lki_load_relaxed(&queue->used) == 0))
        lki_store_relaxed(&queue->used, 1);
}

/* Caller: in a section. NULL: there is none. */
lki_queue *lki_queue_find(lki_store *store, lk_bytes pk);
/* The same, for who comes often: the thread remembers a few. */
lki_queue *lki_queue_find_slow(lki_store *store, lki_thread *thread, lk_bytes pk);
LKI_INLINE lki_queue *
lki_queue_find_known(lki_store *store, lki_thread *thread, lk_bytes pk)
{
    const unsigned char *name = pk.data;
    lki_queue *queue = thread->queues[name[pk.size - 1] % LKI_QUEUES_KNOWN];
    /* A queue is retired after that number has moved: while it stands, what was remembered is
     * there, and in this section it stays. */
    if (LKI_LIKELY(queue != NULL &&
                   lki_load_seq_cst(&lki_queues_of(store)->gone) == thread->queues_gone && /* P13 */
                   queue->partition->pk_size == pk.size &&
                   lki_bytes_equal(queue->partition->pk, pk.data, pk.size)))
        return queue;
    return lki_queue_find_slow(store, thread, pk);
}
/* Made where there is none. Caller: in a write section. LK_OK, LK_NO_MEMORY. */
lk_status lki_queue_find_or_create(lki_store *store, lki_thread *thread, lk_bytes pk,
                                   lki_queue **queue);
/* Obtains it, and keeps it from being taken out until the unpin. */
lk_status lki_queue_find_or_create_pinned(lki_store *store, lki_thread *thread, lk_bytes pk,
                                          uint64_t pin, lki_queue **queue);
void lki_queue_unpin(lki_queue *queue, uint64_t pin);
lki_queue_line *lki_queue_line_slow(lki_queue *queue, lki_thread *thread);
uint64_t lki_queue_sum(lki_queue *queue, enum lki_queue_counter which);
/* Looks at up to `count` queues that were not looked at for a minute; those that are empty and were
 * not used since go. How many. Caller: outside of sections, as below. */
size_t lki_queues_expel(lki_store *store, lki_thread *thread, size_t count);
/* Visits `count` queues in turn, in a write section for each visit; `whole`: as long as it returns
 * true. */
typedef bool (*lki_queue_visit)(lki_store *store, lki_thread *thread, lki_queue *queue);
void lki_queues_visit(lki_store *store, lki_thread *thread, size_t count, bool whole,
                      lki_queue_visit visit);
void lki_queues_open(lki_store *store);
void lki_queues_close(lki_store *store);

/* The slot of a place as a key has it; NULL: none, not any more, or not yet. */
lki_slot *lki_queue_slot_slow(lki_queue *queue, uint64_t place, lki_segment **segment);
LKI_INLINE lki_slot *
lki_queue_slot(lki_queue *queue, uint64_t place, lki_segment **segment)
{
    lki_segment *front = lki_load_acquire(&queue->head_segment); /* P13 */
    uint32_t at = (uint32_t)place & ((1u << LKI_SEGMENT_BITS) - 1);
    if (LKI_UNLIKELY(front == NULL || at >= front->capacity ||
                     ((front->number << LKI_SEGMENT_BITS | at) & LKI_ULID_MASK) != place))
        return lki_queue_slot_slow(queue, place, segment);
    *segment = front;
    return &front->slots[at];
}

LKI_INLINE void
lki_queue_count(lki_queue *queue, lki_thread *thread, enum lki_queue_counter which, uint64_t n)
{
    uint32_t slot = thread->slot;
    lki_queue_line *line =
        slot < LKI_QUEUE_LINES ? lki_load_acquire(&queue->lines[slot]) : NULL; /* P13 */
    if (LKI_UNLIKELY(line == NULL))
        line = lki_queue_line_slow(queue, thread);
    if (LKI_LIKELY(line != &queue->shared)) /* its own: nobody else writes it */
        lki_store_release(&line->counter[which],
                          lki_load_relaxed(&line->counter[which]) + n); /* P23 */
    else
        lki_add_seq_cst(&line->counter[which], n); /* P23 */
}

#endif
