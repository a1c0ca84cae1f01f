/* SPDX-License-Identifier: MIT
 *
 * Reclamation: when may memory be freed that other threads may still be reading? Epoch-based, over
 * ck_epoch, which only these files and thread.[ch] know. A *domain* belongs to a store. Each thread
 * that calls the store has one lki_thread in it, found by lki_thread_self(), made at its first call
 * and recycled after its exit.
 *
 * A thread reads shared memory only inside a *section* (lki_enter .. lki_leave; they nest). A
 * thread that unlinks an object *retires* it inside the same section. The object is disposed of
 * when every section that could have seen it has ended. ck_epoch keeps the sections and the epoch.
 * The bags of retired objects are the library's own, tagged with the epoch that was current after
 * the unlinking, because ck's lists die with an idle thread (see reclaim.c).
 *
 * Guarantees   An object is disposed of once, two epochs after its tag, outside of every latch.
 * Progress     Sections: wait-free. lki_retire: lock-free (room is reserved before). Upkeep:
 *              lock-free; if two threads want a bag at once, one may get none.
 * Ordering     P8, P8b, P9, P20 (reclaim.c).
 */
#ifndef LKI_BASE_RECLAIM_H
#define LKI_BASE_RECLAIM_H

#include "base/thread.h"

/* For assertions: is the thread in a section that may retire? */
LKI_INLINE bool
lki_is_writing(const lki_thread *thread)
{
#if LKI_CHECK > 0
    return thread->writing != 0 && thread->epoch.active >= thread->writing;
#else
    return lki_is_entered(thread);
#endif
}

/* For assertions: has the write section room for so many retirements? */
LKI_INLINE bool
lki_is_reserved(const lki_thread *thread, size_t count)
{
#if LKI_CHECK > 0
    return lki_is_writing(thread) && thread->reserved >= count;
#else
    return lki_is_entered(thread) || count == 0;
#endif
}

LKI_INLINE void
lki_enter(lki_thread *thread)
{
#if LKI_CHECK > 0
    if (!lki_is_writing(thread))
        thread->writing = 0;
#endif
    if (LKI_UNLIKELY(thread->epoch.active != 0)) {
        ck_epoch_begin(&thread->epoch, NULL); /* nested: only counts */
        return;
    }
    ck_epoch_begin(&thread->epoch, NULL);
    /* ck 0.7.1 orders the load of the epoch after the flag. On weakly ordered machines it does not
     * order the caller's loads after that of the epoch: a section could see newer memory than its
     * epoch says. */
    ck_pr_fence_load();
}

LKI_INLINE void
lki_leave(lki_thread *thread)
{
    LK_ASSERT(thread->epoch.active != 0);
#if defined(__x86_64__) && !defined(LKI_TSAN)
    /* ck_epoch_end in one instruction: a store on x86-64 is a release, and aligned words are stored
     * at once. */
    __asm__ volatile("subl $1, %0" : "+m"(thread->epoch.active) : : "memory", "cc");
#else
    LKI_TSAN_RELEASE(thread->domain);
    ck_epoch_end(&thread->epoch, NULL);
#endif
}

/* Begins a section that may retire. Upkeep runs at its end. */
LKI_INLINE void
lki_write_enter(lki_thread *thread)
{
    lki_enter(thread);
#if LKI_CHECK > 0
    if (thread->writing == 0) {
        thread->writing = thread->epoch.active;
        thread->reserved = 0;
    }
#endif
    /* Loaded inside the section: a thread that takes the bag away waits for this section before it
     * empties the bag. */
    thread->bag = lki_load_acquire(&thread->open); /* P8b */
}

/* Seals the bag that is being filled, if it is not empty. Caller: in a write section. */
void lki_seal(lki_thread *thread);
/* Disposes of due objects and moves the epoch on, as far as this is the thread's share. Ends the
 * section. */
void lki_upkeep(lki_thread *thread);

enum { LKI_SEAL_BYTES = LKI_OR_SMALL(64 * 1024, 1) }; /* such a bag is sealed, full or not */
enum { LKI_UPKEEP_CREDIT = LKI_OR_SMALL(24, 1) };     /* writes and objects retired until upkeep */

LKI_INLINE void
lki_write_leave(lki_thread *thread)
{
    if (LKI_UNLIKELY(lki_load_relaxed(&thread->open_bytes) >= LKI_SEAL_BYTES))
        lki_seal(thread);
    if (LKI_UNLIKELY(++thread->credit >= LKI_UPKEEP_CREDIT))
        lki_upkeep(thread);
    else
        lki_leave(thread);
}

/* Reserves room for `count` retirements, and for LKI_BAG_ROOM more, which cover the few that every
 * call makes. Called before the first store that others can see. False: no memory. */
bool lki_reserve_slow(lki_thread *thread, size_t count);

LKI_INLINE bool
lki_reserve(lki_thread *thread, size_t count)
{
    const lki_bag *bag = thread->bag;
    bool room =
        LKI_LIKELY(bag != NULL && bag->count + count < LKI_BAG_ROOM && thread->spare_count > 0) ||
        lki_reserve_slow(thread, count);
#if LKI_CHECK > 0
    if (room && thread->reserved < count + LKI_BAG_ROOM)
        thread->reserved = count + LKI_BAG_ROOM;
#endif
    return room;
}

LKI_INLINE void
lki_count(lki_thread *thread, enum lki_counter which, uint64_t n)
{
#ifdef LKI_NO_COUNTERS /* to measure the cost of counting; lk_sweep needs this one */
    if (which != LKI_EXPIRED_SWEPT)
        return;
#endif
    lki_stat_add(&thread->counter[which], n);
}

/* Retires an object that this section unlinked, with a read-modify-write or a full fence since
 * then. `size`: its bytes, for the accounts. Uses reserved room. */
LKI_INLINE void
lki_retire(lki_thread *thread, unsigned kind, void *object, size_t size)
{
    lki_bag *bag = thread->bag;
    LK_ASSERT(thread->epoch.active != 0 && ((uintptr_t)object & 7) == 0);
    LK_ASSERT(kind < LKI_KINDS && thread->domain->dispose[kind] != NULL);
    LK_ASSERT(bag != NULL && bag->count < LKI_BAG_ROOM);
#if LKI_CHECK > 0
    LK_ASSERT(thread->reserved != 0); /* also where there happens to be more room than that */
    thread->reserved--;
#endif
    bag->entry[bag->count++] = (uintptr_t)object | kind;
    lki_stat_add(&thread->open_bytes, size + sizeof *bag->entry);
    lki_count(thread, LKI_RETIRED, 1);
    thread->credit++;
    if (LKI_UNLIKELY(bag->count == LKI_BAG_ROOM))
        lki_seal(thread);
}

/* The epoch, read after a full fence: sections that could have seen what was unlinked before have
 * this epoch or an earlier one. */
uint32_t lki_epoch_now(lki_domain *domain);
/* Is `tag` at least two epochs before `now`? Epochs are numbers modulo `mask` + 1. A tag that is
 * not within a few epochs of now has passed, however old it is. A tag that is a whole circle old is
 * taken for young, until the epoch has moved on a little. (No epoch is ever above one that is read
 * later; LKI_EPOCHS_AHEAD is a safety margin.) */
enum { LKI_EPOCHS_AHEAD = 1024 };
LKI_INLINE bool
lki_epoch_is_past(uint32_t now, uint32_t tag, uint32_t mask)
{
    return ((now - tag - 2) & mask) < mask - 2 - LKI_EPOCHS_AHEAD;
}

/* Have all sections ended that had begun when `tag` was read? */
LKI_INLINE bool
lki_epoch_passed(lki_domain *domain, uint32_t tag)
{
    return lki_epoch_is_past(ck_epoch_value(&domain->epoch), tag, UINT32_MAX);
}

LKI_INLINE bool
lki_retired_is_bounded(lki_domain *domain)
{
    size_t retired = lki_load_relaxed(&domain->retired_bytes);
    return retired == 0 || (retired <= domain->max_retired_bytes &&
                            lki_load_relaxed(&domain->account.taken) <= domain->account.most);
}

/* Tries once to move the epoch on. True: it has moved. Caller: in no section. */
bool lki_epoch_advance(lki_thread *thread);

/* Moves the epoch on and frees what it can at once, also what idle threads hold. Inside a section
 * it only answers. True: retired_bytes is not above the limit. */
bool lki_reclaim_now(lki_thread *thread);

/* For work in portions, each in a section of its own: tries to move the epoch on, and disposes of
 * `count` objects, or up to a bag more. So what portions retire is freed as fast as it comes.
 * Inside a section it does nothing. */
void lki_reclaim_portion(lki_thread *thread, size_t count);

/* For thread.c. Frees the thread's free chunks; disposes of all that was retired, when no other
 * thread is there; records since when each section has held the epoch back. */
void lki_chunks_free(lki_thread *thread);
void lki_bags_drain(lki_domain *domain);
void lki_stalls_record(lki_domain *domain);

typedef struct lki_reclaim_report {
    uint64_t threads, thread_records, retired_bytes, allocated_bytes;
    int64_t oldest_reader_ms, oldest_reader_thread;
    uint64_t counter[LKI_COUNTERS];
} lki_reclaim_report;
void lki_reclaim_read(lki_domain *domain, lki_reclaim_report *report);

/* Ends the section of a read of one key. */
LKI_INLINE void
lki_read_end(lki_thread *thread, bool found)
{
    lki_leave(thread);
    lki_count(thread, found ? LKI_HITS : LKI_MISSES, 1);
}
/* The same, after it has copied the rest of a long value. LK_OK. */
lk_status lki_read_end_long(lki_thread *thread, unsigned char *to, const unsigned char *from,
                            size_t size);

#endif
