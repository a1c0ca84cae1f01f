/* SPDX-License-Identifier: MIT
 *
 * The queue of a partition: its segments, the next due times of its jobs, the sets of entries, its
 * counters. README.md describes what may happen to a job, and when.
 *
 * Ordering pairs
 *   P11  slot word. A push writes cell and record, then the word (compare-and-swap). A thread that
 *        loads the word (acquire) may use the cell. A thread that finds a place reserved and its
 *        word empty makes it PASSED before it reports that there is no job: see P2 of push.c.
 *   P12  next due times. A claim swaps a word, then loads the next due time; a scan marks the next
 *        due time, then loads the words (all seq_cst). One of the two sees the other. Else a claim
 *        lapses that no next due time covers, and no pull finds the job.
 *   P13  segment, page, directory, queue: contents, then the pointer (release, acquire).
 *   P14  sealing. A thread that finishes a slot adds to `finished`, then loads the segment word; a
 *        thread that seals swaps the word, then loads `finished` (all seq_cst). Else neither sees
 *        that all slots are DONE, and the segment stays for ever.
 *   P16  closing. A push by a commit pins, then loads `closed`; a pull loads `closed`, then the
 *        count of removed jobs, then the pins, then the places. A thread that removes a job counts
 *        it (by or before a read-modify-write), then loads `closed`; the thread that closes stores
 *        it, then loads the counts (seq_cst). Else a job comes after the last pull, or nobody wakes
 *        the threads that wait for the end.
 *   P21  depth. A push of a job with a place reserves it, then loads the pins; a push of a job with
 *        a key pins, then loads the tail and its segment word (all seq_cst). Else both are let in,
 *        and the queue is too deep.
 *   P23  depth. A job's place is reserved before the job is counted as removed (release). A thread
 *        that loads that count (acquire), then the tail's segment word, finds the places of all
 *        jobs that it counted. Else a queue that was full all the time seems to have room.
 */
#ifndef LKI_QUEUE_QUEUE_H
#define LKI_QUEUE_QUEUE_H

#include "base/order.h"
#include "base/wait.h"
#include "queue/queue_thread.h"
#include "queue/segment.h"
#include "store/partition.h"

/* What is counted. Each thread counts in a line of its own. */
enum lki_queue_counter {
    LKI_QUEUE_PUSHES,
    LKI_QUEUE_PULLS,
    LKI_QUEUE_EMPTY,
    LKI_QUEUE_LAPSES,
    LKI_QUEUE_LATE,
    LKI_QUEUE_LOST,
    LKI_QUEUE_DEADS,
    LKI_QUEUE_REMOVED, /* removed jobs that had a place */
    LKI_QUEUE_COUNTERS
};
enum { LKI_QUEUE_LINES = LKI_OR_SMALL(64, 2) };
typedef struct lki_queue_line {
    _Atomic(uint64_t) counter[LKI_QUEUE_COUNTERS]; /* [stat] */
} lki_queue_line;
_Static_assert(sizeof(lki_queue_line) == LKI_LINE, "one line");

/* All queues of a store; lies behind the store in memory. */
typedef struct lki_queues {
    lki_latch latch;
    lki_queue *first, **end;        /* [latch] in the order of their last idle check */
    lki_queue *next_visit;          /* [latch] the next queue that upkeep visits */
    _Atomic(size_t) listed;         /* [stat] how many queues there are; written under the latch */
    _Atomic(uint64_t) count;        /* queues ever made: part of their ULIDs */
    _Atomic(uint64_t) gone;         /* [P13] queues taken out; see thread->queues_gone */
    _Atomic(int64_t) ulid_floor_ms; /* no removed queue gave out a later ms */
    uint64_t token_mark;            /* [const] in the token of every record job */
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
    lki_latch latch;                                  /* guards growth, closing, taking out */
    _Atomic(uint32_t) closed;                         /* [P16] written under the latch */
    bool dead;                                        /* [latch] taken out for want of use */
    lki_queue *next, **link;                          /* [latch] of the store's queues */
    _Atomic(uint32_t) used;                           /* [stat] since the last idle check */
    int64_t used_ms;                                  /* [latch] of the queues: last idle check */
    _Atomic(lki_directory *) directory;               /* [P13] */
    _Atomic(lki_queue_line *) lines[LKI_QUEUE_LINES]; /* [P13] */
    lki_queue_line shared;                            /* for threads without a line of their own */
    lki_wait wait;
    /* producers */
    _Atomic(lki_segment *) tail __attribute__((aligned(LKI_LINE))); /* [P13] */
    _Atomic(uint64_t) removed_seen; /* [stat] a lower bound of what LKI_QUEUE_REMOVED sums to */
    _Atomic(uint64_t) returned;     /* [stat] jobs pushed into a place whose job was removed */
    /* consumers */
    _Atomic(lki_segment *) head_segment __attribute__((aligned(LKI_LINE))); /* [P13] */
    lki_next_due due;                                                       /* of all segments */
    lki_next_due keyed_expires;                          /* expiry of the jobs with keys */
    _Atomic(struct lki_keyed_position *) keyed_position; /* [P13] where their scan has stopped */
    lki_next_due expires;                                /* expiry, of all segments */
    _Atomic(uint32_t) expire_position; /* [stat] where the next scan for expiry begins */
    lki_order ready;                   /* by sk: visible jobs that are not FRONT */
    _Atomic(uint32_t) announced;       /* [P19] entries ever inserted into it */
    lki_order later;                   /* by time and sk: record jobs */
    lki_order avoided;                 /* ms of user keys that the queue could generate */
    /* [P16] low half: number of jobs with keys and of pushes by commits that have not ended; upper
     * half: number of threads and objects that need the queue beyond a section */
    _Atomic(uint64_t) pins __attribute__((aligned(LKI_LINE)));
};
#define LKI_QUEUE_KEYED ((uint64_t)1)
#define LKI_QUEUE_PIN ((uint64_t)1 << 32)
#define LKI_QUEUE_DEAD ((uint64_t)1 << 63)

/* ---- queue.c ---- */
/* A thread pushes or pulls: the queue is not idle. */
LKI_INLINE void
lki_queue_used(lki_queue *queue)
{
    if (LKI_UNLIKELY(lki_load_relaxed(&queue->used) == 0))
        lki_store_relaxed(&queue->used, 1);
}

/* Finds the queue of a partition. NULL: there is none. Caller: in a section. */
lki_queue *lki_queue_find(lki_store *store, lk_bytes pk);
/* The same; the thread remembers the result. Use lki_queue_find_known, which looks there first. */
lki_queue *lki_queue_find_slow(lki_store *store, lki_thread *thread, lk_bytes pk);
LKI_INLINE lki_queue *
lki_queue_find_known(lki_store *store, lki_thread *thread, lk_bytes pk)
{
    const unsigned char *name = pk.data;
    const lki_queue_thread *of = lki_queue_thread_of(thread);
    lki_queue *queue = of->queues[name[pk.size - 1] % LKI_QUEUES_KNOWN];
    /* `gone` grows before a queue is retired. If it has not changed, the remembered queue exists
     * and stays for this section. */
    if (LKI_LIKELY(queue != NULL &&
                   lki_load_seq_cst(&lki_queues_of(store)->gone) == of->queues_gone && /* P13 */
                   queue->partition->pk_size == pk.size &&
                   lki_bytes_equal(queue->partition->pk, pk.data, pk.size)))
        return queue;
    return lki_queue_find_slow(store, thread, pk);
}
/* Finds the queue or makes it. Caller: in a write section. LK_OK, LK_NO_MEMORY. */
lk_status lki_queue_find_or_create(lki_store *store, lki_thread *thread, lk_bytes pk,
                                   lki_queue **queue);
/* The same, and pins it: it is not taken out before the unpin. */
lk_status lki_queue_find_or_create_pinned(lki_store *store, lki_thread *thread, lk_bytes pk,
                                          uint64_t pin, lki_queue **queue);
void lki_queue_unpin(lki_queue *queue, uint64_t pin);
lki_queue_line *lki_queue_line_slow(lki_queue *queue, lki_thread *thread);
uint64_t lki_queue_sum(lki_queue *queue, enum lki_queue_counter which);
/* Checks up to `count` queues that were not checked for a minute, and takes out those that are
 * empty and were not used since. Returns how many it checked. Caller: outside of sections, as
 * below. */
size_t lki_queues_remove_idle(lki_store *store, lki_thread *thread, size_t count);
/* Visits the next `count` queues, each visit in a write section of its own. `whole`: repeats the
 * visit of a queue as long as it returns true. */
typedef bool (*lki_queue_visit)(lki_store *store, lki_thread *thread, lki_queue *queue);
void lki_queues_visit(lki_store *store, lki_thread *thread, size_t count, bool whole,
                      lki_queue_visit visit);
void lki_queues_open(lki_store *store);
void lki_queues_close(lki_store *store);

/* The slot of a place, as an sk encodes it. NULL: not reserved, or its segment has left. */
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
    if (LKI_LIKELY(line != &queue->shared)) /* its own line: no other thread writes it */
        lki_store_release(&line->counter[which],
                          lki_load_relaxed(&line->counter[which]) + n); /* P23 */
    else
        lki_add_seq_cst(&line->counter[which], n); /* P23 */
}

#endif
