/* SPDX-License-Identifier: MIT
 *
 * Reclamation: when may memory be freed that other threads may still be reading? The only room that knows ck_epoch.
 * A *domain* belongs to a store; each thread that calls the store has one lki_thread in it, found by
 * lki_thread_self(), made at its first call and recycled after its exit.
 *
 * A thread reads shared memory only inside a *section* (lki_enter .. lki_leave; they nest). An object that was unlinked is
 * *retired* inside the section that unlinked it; it is disposed of when every section that could have seen it has
 * ended. ck_epoch keeps the sections and the epoch; the lists of retired objects are our own, tagged with the epoch
 * that was current after the unlinking, because ck's lists die with an idle thread (see reclaim.c).
 *
 * Guarantees   An object is disposed of once, two epochs after its tag, outside of every latch.
 * Progress     Sections: wait-free. lki_retire: wait-free (room is reserved before). Upkeep: lock-free.
 */
#ifndef LKI_BASE_RECLAIM_H
#define LKI_BASE_RECLAIM_H

#include <ck_epoch.h>
#include <string.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/check.h"
#include "base/counter.h"

typedef struct lki_thread lki_thread;
typedef struct lki_domain lki_domain;

/* What a retired pointer is; the store hangs a function behind each. Three bits: objects are 8-aligned. */
enum lki_kind {
    LKI_RECORD, /* a record of a chain, inside its cell or apart */
    LKI_CELL,
    LKI_NODE,    /* of an index */
    LKI_TICKET,  /* a cell whose removal may be due; see store/removal.c */
    LKI_INLINE_RECORD, /* the record inside the cell that the pointer names */
    LKI_BLOCK,   /* begins with a lki_block */
    LKI_PARTITION,
    LKI_CHUNK,   /* of LKI_CHUNK_SIZE bytes, from lki_chunk_alloc */
    LKI_KINDS
};

/* Memory that knows its size; `lines`: it came from lki_alloc_lines, and `memory` is it, freed with this header. */
typedef struct lki_block {
    size_t size; /* of the block, this header included */
    void *lines;
    size_t lines_size;
} lki_block;

/* Called inside a write section of `thread`. False: not now (no memory); it is called again later. */
typedef bool (*lki_dispose)(lki_thread *thread, void *object);

enum { LKI_BATCH_ROOM = 58 };

/* A batch of retired objects; 512 bytes. */
typedef struct lki_batch {
    struct lki_batch *next;
    uint32_t tag;    /* epoch after the last unlinking; valid once sealed */
    uint16_t count;  /* entries retired */
    uint16_t cursor; /* entries that were looked at */
    uint16_t kept;   /* of these, that could not be disposed of: entry[0] to entry[kept - 1] */
    size_t bytes;
    uintptr_t entry[LKI_BATCH_ROOM]; /* pointer | kind */
} lki_batch;

/* One owner's retired objects: `open` is being filled, `sealed` waits for its epochs, oldest first. */
typedef struct lki_limbo {
    lki_batch *open;
    lki_batch *sealed, *sealed_last;
    lki_batch *spare;
    size_t spare_count;
} lki_limbo;

struct lki_thread {
    ck_epoch_record_t epoch; /* first: ck recycles records, and the record is the thread */
    /* [thread] from here */
    lki_domain *domain;
    lki_limbo *limbo;        /* the one in use by the running write: &slots[0] or &slots[1] */
    uint64_t sequence;       /* of versions: Lamport, "Time, Clocks, and the Ordering of Events", 1978 */
    uint32_t slot;           /* number of this record in its domain; never reused by another record */
    uint32_t retired_in_call;
    uint32_t pins;           /* lk_read_begin pairs that are open */
    bool retired_in_pair;    /* something was retired inside of them */
    bool may_splice;         /* the running write may use both slots */
    uint32_t upkeep_tick, theft_tick, sweep_tick;
    uint32_t expiring_writes; /* since the last step of a sweep */
    void *scratch;           /* of the room that runs a call; grows, kept between calls */
    size_t scratch_size;
    void *stock;             /* free chunks, each beginning with the next */
    uint32_t stock_count;
    lki_thread *next;        /* [const] in the domain's list of all records */
    _Atomic(uint64_t) counter[LKI_COUNTERS]; /* [stat] */
    lki_limbo slots[2];      /* [0]: the owner's, unless a thief asked for it while the owner was outside; [1]: then */
    _Atomic(uint32_t) request __attribute__((aligned(LKI_LINE))); /* [P8] a thief wants slots[request - 1]; 0: none */
    _Atomic(int64_t) stalled_since_ms; /* [stat] first noticed to hold the epoch back; 0: does not */
    _Atomic(uint32_t) stalled_epoch;   /* [stat] its epoch then */
    _Atomic(int64_t) kernel_id;        /* [stat] 0: not attached */
    _Atomic(size_t) open_bytes;        /* [stat] in slots[0].open */
    _Atomic(uint64_t) seen_mark, taken_mark; /* [stat] LKI_RETIRED when a thief last looked, last took */
};

struct lki_domain {
    uint64_t id; /* [const] never reused; 0 is nobody's */
    int64_t process; /* [const] pid: the child of a fork gets an error */
    lki_allocator allocator;          /* [const] */
    lki_dispose dispose[LKI_KINDS];   /* [const] */
    void *store;                      /* [const] */
    size_t max_retired_bytes;         /* [const] */
    lk_clock monotonic_ms;            /* [const] */
    void *clock_context;              /* [const] */
    ck_epoch_t epoch __attribute__((aligned(LKI_LINE)));
    _Atomic(uint32_t) pressure __attribute__((aligned(LKI_LINE))); /* [stat] read by every write */
    _Atomic(size_t) retired_bytes __attribute__((aligned(LKI_LINE))); /* [stat] in sealed batches */
    _Atomic(lki_batch *) orphans;     /* [P9] of threads that exited */
    _Atomic(lki_thread *) threads;    /* [P10] all records ever made */
    _Atomic(uint32_t) thread_count;
    _Atomic(lki_thread *) theft_cursor; /* [stat] whom a thief looks at next; NULL: the first */
    lki_domain *next_open;            /* under the registry's latch */
};

/* The caller's record of the domain, cached for the last domain used. */
typedef struct lki_self_cache {
    uint64_t id;
    lki_thread *thread;
} lki_self_cache;
extern __thread lki_self_cache lki_self __attribute__((tls_model("initial-exec")));

/* Slow path: finds or makes the record. NULL: no memory, or the child of a fork (*forked says which). */
lki_thread *lki_thread_attach(lki_domain *domain, lk_status *why);

/* This thread's record of the domain; NULL with *why set. */
LKI_INLINE lki_thread *
lki_thread_self(lki_domain *domain, lk_status *why)
{
    if (LKI_LIKELY(lki_self.id == domain->id))
        return lki_self.thread;
    return lki_thread_attach(domain, why);
}

/* `domain` is zeroed memory with its [const] fields but id and process set. */
void lki_domain_open(lki_domain *domain);
/* No other thread uses the domain any more. Disposes of all that is retired and frees all records. The dispose functions must
 * not retire anything then. */
void lki_domain_close(lki_domain *domain);
/* Is this process the one that opened the domain? */
bool lki_domain_is_ours(const lki_domain *domain);
/* Detaches the calling thread from all domains. */
void lki_thread_detach_all(void);

LKI_INLINE void
lki_enter(lki_thread *thread)
{
    ck_epoch_begin(&thread->epoch, NULL);
    /* ck 0.7.1 orders the load of the epoch after the flag, but not the caller's loads after that of the epoch on weakly
     * ordered machines: a section could see newer memory than its epoch admits to. */
    ck_pr_fence_load();
}

LKI_INLINE void
lki_leave(lki_thread *thread)
{
    LKI_TSAN_RELEASE(thread->domain);
    ck_epoch_end(&thread->epoch, NULL);
}

/* A section that may retire. Upkeep runs at its end. */
LKI_INLINE void
lki_write_enter(lki_thread *thread)
{
    lki_enter(thread);
    /* Pair P8: the section's flag was stored with a full barrier; a thief stores its request, fences, and reads the flag. One
     * of the two sees the other. */
    uint32_t request = lki_load_acquire(&thread->request);
    thread->limbo = &thread->slots[request == 1];
    thread->may_splice = request == 0;
    thread->retired_in_call = 0;
}

/* What upkeep there is to do, found out inside the section: outside of it the limbo may be a thief's. */
enum lki_upkeep_need { LKI_UPKEEP_NONE, LKI_UPKEEP_WAIT, LKI_UPKEEP_ADVANCE, LKI_UPKEEP_DISPOSE };
enum lki_upkeep_need lki_upkeep_need(lki_thread *thread);
void lki_upkeep(lki_thread *thread, enum lki_upkeep_need need);

/* Closes the open batch, if there is anything in it. Caller: owns the limbo. */
void lki_limbo_seal(lki_thread *thread, lki_limbo *limbo);

enum { LKI_SEAL_BYTES = 64 * 1024 }; /* an open batch of more bytes does not wait to be full */

LKI_INLINE void
lki_write_leave(lki_thread *thread)
{
    if (LKI_UNLIKELY(thread->limbo->open != NULL && thread->limbo->open->bytes >= LKI_SEAL_BYTES))
        lki_limbo_seal(thread, thread->limbo);
    enum lki_upkeep_need need = thread->limbo->sealed == NULL ? LKI_UPKEEP_NONE : lki_upkeep_need(thread);
    lki_leave(thread);
    if (need > LKI_UPKEEP_WAIT)
        lki_upkeep(thread, need);
}

/* Room for `count` retirements from now on, and for LKI_BATCH_ROOM more, from which the few fixed ones of a call are taken.
 * Call it before the first store that others can see. */
bool lki_reserve_slow(lki_thread *thread, size_t count);

LKI_INLINE bool
lki_reserve(lki_thread *thread, size_t count)
{
    const lki_limbo *limbo = thread->limbo;
    if (LKI_LIKELY(limbo->open != NULL && limbo->open->count + count < LKI_BATCH_ROOM && limbo->spare_count > 0))
        return true;
    return lki_reserve_slow(thread, count);
}

/* Hands over an object that this section unlinked, with a read-modify-write or a full fence since. `size`: its bytes, for
 * the accounts. Uses reserved room. */
LKI_INLINE void
lki_retire(lki_thread *thread, enum lki_kind kind, void *object, size_t size)
{
    lki_limbo *limbo = thread->limbo;
    lki_batch *batch = limbo->open;
    LK_ASSERT(thread->epoch.active != 0 && batch != NULL && ((uintptr_t)object & 7) == 0);
    batch->entry[batch->count++] = (uintptr_t)object | (uintptr_t)kind;
    batch->bytes += size;
    thread->retired_in_call++;
    lki_stat_add(&thread->counter[LKI_RETIRED], 1);
    lki_store_relaxed(&thread->open_bytes, batch->bytes);
    if (LKI_UNLIKELY(batch->count == LKI_BATCH_ROOM))
        lki_limbo_seal(thread, limbo);
}

/* The current epoch, read after a full fence: sections that could have seen what was unlinked before have at most it. */
uint32_t lki_epoch_now(lki_domain *domain);
/* Have all sections ended that had begun when `tag` was read? */
LKI_INLINE bool
lki_epoch_passed(lki_domain *domain, uint32_t tag)
{
    return (int32_t)(ck_epoch_value(&domain->epoch) - tag) >= 2;
}

/* Tries to move the epoch on and to free, for callers that want memory back now (outside of sections). Takes over what
 * idle threads hold. True: retired_bytes is below the limit. */
bool lki_reclaim_now(lki_thread *thread);

/* Writers call it first. False: LK_BUSY. */
LKI_INLINE bool
lki_memory_is_bounded(lki_thread *thread)
{
    if (LKI_LIKELY(lki_load_relaxed(&thread->domain->pressure) == 0))
        return true;
    return lki_reclaim_now(thread); /* inside of a section it only judges */
}

typedef struct lki_reclaim_report {
    uint64_t threads, thread_records, retired_bytes;
    int64_t oldest_reader_ms, oldest_reader_thread;
    uint64_t counter[LKI_COUNTERS];
} lki_reclaim_report;
void lki_reclaim_read(lki_domain *domain, lki_reclaim_report *report);

LKI_INLINE void
lki_count(lki_thread *thread, enum lki_counter which, uint64_t n)
{
    lki_stat_add(&thread->counter[which], n);
}

/* The small things that commits are made of, kept in stock by each thread. NULL: no memory. */
enum { LKI_CHUNK_SIZE = 32, LKI_STOCK_MAX = 256 };
#if defined(__SANITIZE_ADDRESS__)
#define LKI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LKI_ASAN 1
#endif
#endif
#ifdef LKI_ASAN
#define LKI_STOCK 0 /* each use its own memory, so that a use after free is seen */
#else
#define LKI_STOCK 1
#endif

LKI_INLINE void *
lki_chunk_alloc(lki_thread *thread)
{
    void *chunk = thread->stock;
    if (LKI_UNLIKELY(chunk == NULL))
        return lki_alloc(&thread->domain->allocator, LKI_CHUNK_SIZE);
    memcpy(&thread->stock, chunk, sizeof thread->stock);
    thread->stock_count--;
    return chunk;
}

LKI_INLINE void
lki_chunk_free(lki_thread *thread, void *chunk)
{
    if (!LKI_STOCK || LKI_UNLIKELY(thread->stock_count == LKI_STOCK_MAX)) {
        lki_free(&thread->domain->allocator, chunk, LKI_CHUNK_SIZE);
        return;
    }
    memcpy(chunk, &thread->stock, sizeof thread->stock);
    thread->stock = chunk;
    thread->stock_count++;
}

bool lki_chunk_dispose(lki_thread *thread, void *chunk);

/* At least `size` bytes of the thread's own, kept between calls; what was in them stays when they grow. NULL: no memory. */
void *lki_scratch(lki_thread *thread, size_t size);

#endif
