/* SPDX-License-Identifier: MIT
 *
 * The data of reclamation: a domain for each store, a record for each thread in it, bags of retired
 * objects; and how a thread finds its record. The operations are in reclaim.h, which is the one to
 * include.
 */
#ifndef LKI_BASE_THREAD_H
#define LKI_BASE_THREAD_H

#include <ck_epoch.h>
#include <string.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/check.h"
#include "base/counter.h"

typedef struct lki_thread lki_thread;
typedef struct lki_domain lki_domain;

/* The kind of a retired object tells how it is disposed of. LKI_OBJECT begins with a lki_object,
 * which says so itself; the others are the owner's, who gives the domain a function for each. Three
 * bits: objects are 8-aligned. */
enum { LKI_OBJECT, LKI_KINDS = 8 };

/* Called inside a write section of `thread`. False: not now (no memory); it is called again
 * later. */
typedef bool (*lki_dispose)(lki_thread *thread, void *object);

/* What says itself how it is disposed of. */
typedef struct lki_object {
    lki_dispose dispose; /* [const] */
} lki_object;

/* Memory that knows its size; `lines`: it came from lki_alloc_lines and is freed with this
 * header. */
typedef struct lki_block {
    lki_object object;
    size_t size; /* of the block, this header included */
    void *lines;
    size_t lines_size;
} lki_block;
bool lki_block_dispose(lki_thread *thread, void *block);

enum { LKI_BAG_ROOM = 58 };

/* A bag of retired objects; 512 bytes. A thread fills it; then it is sealed, and waits in its
 * domain. */
typedef struct lki_bag {
    struct lki_bag *next;
    struct lki_bag *last; /* of those behind it; of the first one that waits */
    uint64_t stamp; /* [P20] what the owner's clock of stamps said before the epoch was read */
    size_t bytes;   /* that the accounts of the domain have for it; once sealed */
    uint32_t tag;   /* epoch at which it was sealed */
    uint32_t count;
    uintptr_t entry[LKI_BAG_ROOM]; /* pointer | kind */
} lki_bag;

/* Sealed bags of some of the threads, first in, first out; see reclaim.c. */
typedef struct lki_bags {
    _Atomic(lki_bag *) sealed __attribute__((aligned(LKI_LINE))); /* [P8] the newest first */
    _Atomic(lki_bag *) waiting; /* [P8] the oldest first; or a mark that somebody has them */
} lki_bags;
enum { LKI_BAG_GROUPS = LKI_OR_SMALL(4, 1) };

#if defined(__SANITIZE_ADDRESS__)
#define LKI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LKI_ASAN 1
#endif
#endif
#if defined(LKI_ASAN) || defined(LKI_SMALL)
#define LKI_KEEPS_CHUNKS 0 /* each use its own memory, so that a use after free is seen */
#else
#define LKI_KEEPS_CHUNKS 1
#endif

/* Chunks of up to 256 bytes that each thread keeps in free lists, in classes of 16 bytes:
 * chunk.h. */
enum { LKI_CHUNK_CLASSES = 17, LKI_CHUNKS_KEPT = 64 };

/* What base keeps of a thread in a domain. The domain's owner keeps what is its own behind it: see
 * `thread_size`. */
struct lki_thread {
    ck_epoch_record_t epoch; /* first: ck recycles records, and the record is the thread */
    /* [thread] from here */
    lki_domain *domain;
    lki_allocator allocator; /* the domain's, paid from this purse */
    lki_purse purse;
    lki_bag *bag;   /* what the running write fills: `open`, as its section found it */
    lki_bag *spare; /* empty bags, for what was reserved */
    size_t spare_count;
#if LKI_CHECK > 0
    /* of this write section: retirements that lki_reserve has promised room for, and that did not
     * come */
    size_t reserved;
    uint32_t writing; /* how many sections are nested up to its write section; 0: it has none */
#endif
    uint64_t sequence; /* of versions: Lamport, "Time, Clocks, and the Ordering of Events", 1978 */
    uint32_t slot;     /* number of this record in its domain; never reused by another record */
    uint32_t credit;   /* writes, objects and KiB that they retired, since the last upkeep */
    uint32_t advance_credit; /* the same, since it last tried to move the epoch */
    uint32_t pins;           /* lk_read_begin pairs that are open */
    bool retired_in_pair;    /* something was retired inside of them */
    uint64_t stamp;          /* of the bag that is being disposed of */
    uint32_t upkeep_tick, stall_tick;
    void *scratch; /* kept between calls, while no call has taken it: scratch.h */
    size_t scratch_size;
    void *chunks[LKI_CHUNK_CLASSES]; /* free chunks by size, each beginning with the next */
    uint8_t chunk_count[LKI_CHUNK_CLASSES];
    lki_thread *next;                        /* [const] in the domain's list of all records */
    _Atomic(uint64_t) counter[LKI_COUNTERS]; /* [stat] */
    /* [P8b] the bag that its writes fill, until another thread takes it; NULL: none */
    _Atomic(lki_bag *) open __attribute__((aligned(LKI_LINE)));
    _Atomic(uint64_t) open_bytes; /* [stat] in it */
    /* [stat] when it was first seen to hold the epoch back; 0: it does not */
    _Atomic(int64_t) stalled_since_ms;
    _Atomic(uint32_t) stalled_epoch; /* [stat] its epoch then */
    _Atomic(int64_t) kernel_id;      /* [stat] 0: not attached */
};

struct lki_domain {
    uint64_t id;             /* [const] never reused; never 0 */
    uint64_t forks;          /* [const] as of its process: the child of a fork gets an error */
    uint32_t number;         /* [const] of no other open domain; small */
    lki_allocator allocator; /* [const] */
    lki_account account;
    lki_purse purse;                /* for calls of threads without a record here */
    lki_dispose dispose[LKI_KINDS]; /* [const] */
    void *store;                    /* [const] */
    /* [const] of a thread's record, what the owner keeps behind lki_thread included; 0: nothing */
    size_t thread_size;
    /* [const] each may be NULL. The thread ends, or the domain is closed: gives up the memory that
     * the owner keeps for it. Little memory is left: the owner's upkeep is due now. */
    void (*thread_end)(lki_thread *thread);
    void (*thread_urge)(lki_thread *thread);
    _Atomic(uint64_t) *stamps; /* [const] the owner's clock of stamps; NULL: it has none */
    size_t max_retired_bytes;  /* [const] */
    uint64_t max_bytes;        /* [const] all that may be allocated; 0: no bound */
    lk_clock monotonic_ms;     /* [const] */
    void *clock_context;       /* [const] */
    ck_epoch_t epoch __attribute__((aligned(LKI_LINE)));
    /* [stat] LKI_PRESSURE_...; read by every write */
    _Atomic(uint32_t) pressure __attribute__((aligned(LKI_LINE)));
    _Atomic(uint64_t)
        stalled_at; /* [stat] 2^32 + the epoch that is known to stand still; 0: none */
    _Atomic(size_t) retired_bytes __attribute__((aligned(LKI_LINE))); /* [stat] in sealed bags */
    _Atomic(lki_thread *) threads; /* [P9] all records ever made */
    _Atomic(uint32_t) thread_count;
    lki_bags bags[LKI_BAG_GROUPS];
    lki_domain *next_open; /* under the registry's latch */
};

/* The caller's record of the domain, cached for the last domain used. */
typedef struct lki_self_cache {
    uint64_t id;
    lki_thread *thread;
} lki_self_cache;
extern __thread lki_self_cache lki_self __attribute__((tls_model("initial-exec")));

/* Slow path: finds or makes the record. NULL: no memory, or the child of a fork (*why tells
 * which). */
lki_thread *lki_thread_attach(lki_domain *domain, lk_status *why);

/* This thread's record of the domain; NULL with *why set. */
LKI_INLINE lki_thread *
lki_thread_self(lki_domain *domain, lk_status *why)
{
    if (LKI_LIKELY(lki_self.id == domain->id)) {
        lki_thread *thread = lki_self.thread;
        LK_ASSERT(thread != NULL);
        if (thread == NULL)
            __builtin_unreachable(); /* so that callers' tests cost nothing here */
        return thread;
    }
    return lki_thread_attach(domain, why);
}

/* Between these two the bound of all memory does not apply: for work that gives memory back. May be
 * nested. */
LKI_INLINE void
lki_exempt_begin(lki_thread *thread)
{
    thread->purse.exempt++;
}
LKI_INLINE void
lki_exempt_end(lki_thread *thread)
{
    thread->purse.exempt--;
}

/* The epoch of the thread's section. What it has found in one is not freed before the end of a
 * later one of the same epoch: it was unlinked after it was found, so its tag is at least that
 * epoch, and while the later one runs the epoch is at most one more. */
LKI_INLINE uint32_t
lki_section_epoch(const lki_thread *thread)
{
    return thread->epoch.epoch;
}

/* Is the thread in a section? */
LKI_INLINE bool
lki_is_entered(const lki_thread *thread)
{
    return thread->epoch.active != 0;
}

/* `domain` is zeroed memory with its [const] fields but id and forks set. */
void lki_domain_open(lki_domain *domain);
/* No other thread uses the domain any more. Disposes of all that is retired and frees all records.
 * The dispose functions must not retire anything then. */
void lki_domain_close(lki_domain *domain);
/* Is this process the one that opened the domain? */
bool lki_domain_is_ours(const lki_domain *domain);
/* Detaches the calling thread from all domains. */
void lki_thread_detach_all(void);

#endif
