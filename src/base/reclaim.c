/* SPDX-License-Identifier: MIT
 *
 * Reclamation: sections by ck_epoch, bags of retired objects by the library (reclaim.h).
 *
 * WHY NOT ck_epoch_call. Its lists belong to one thread: what an idle thread has retired waits for
 * ever, unregistering drops it, and no other thread may touch it. Here a thread collects retired
 * objects in a bag of 58. A full bag, or one with 64 KiB, is *sealed*: it gets the epoch as a tag
 * and goes to the domain. There any writer takes the oldest bag when it is due.
 *
 * WHY TWO EPOCHS. A section that can hold a reference began before the unlinking, so the epoch L
 * that it loaded is at most the tag G (loaded after the unlinking and a full fence). The epoch
 * moves from e to e+1 only when every running section has loaded e. So while that section runs the
 * epoch is at most L+1 <= G+1, and at G+2 it has ended.
 *
 * HOW THE EPOCH MOVES. By ck_epoch_poll on the caller's own record, inside a section made for
 * nothing else: if no section at all were running, ck would not advance but dispatch its own lists,
 * which are empty here. Never inside a section in which a thread reads: poll overwrites the epoch
 * of the record that it is given.
 *
 * WHO HAS A BAG. A thread fills its open bag, and may stay idle for ever with it. So any thread may
 * take the bag away, by a swap of `open`. The owner may be in the middle of a write and continue to
 * fill the bag. That is a section that found the bag before it was taken, as it might have found
 * any object, and it has ended when the bag is due. It unlinks what it puts in up to one epoch
 * after the swap, so the tag is one more than the epoch (P8b).
 *   The sealed bags of a quarter of the threads form a group: `sealed`, onto which they are pushed,
 *   and `waiting`, a queue. A thread that takes a bag swaps a mark for the queue, appends what was
 *   sealed, and puts back what is not due. Other threads that meet the mark get no bag. A thread
 *   first takes bags of its own group, as these objects are in its cache.
 *
 * Invariants  I-bag1: a bag is open in one thread, in one list, or taken by one thread.
 *             I-bag2: an object is in one bag, once (except tickets: a cell and a ticket for it).
 *             I-bag3: retired_bytes is the sum of the bytes of sealed bags.
 * Ordering    P8 bags and lists; P8b open bags; P9 list of threads, release by the registering
 *             thread, acquire by threads that walk it; P20 stamp and tag of a bag (bag_push).
 */
#include "base/reclaim.h"

#include <string.h>

enum {
    SPARES = 2, /* empty bags that a thread keeps */
    /* credit between attempts to move the epoch, while retired objects wait */
    ADVANCE_EVERY = LKI_OR_SMALL(64, 1),
    OTHERS_EVERY = 4,                    /* every so many upkeeps also serves another group */
    COLLECT_EVERY = LKI_OR_SMALL(64, 2), /* every so many epochs takes the bags of idle threads */
    CREDIT_SHIFT = 10,                   /* 2 to this power bytes retired count as one write */
    CREDIT_HURRY = ADVANCE_EVERY + (1 << (20 - CREDIT_SHIFT)), /* 1 MiB does not wait */
};
_Static_assert(sizeof(lki_bag) <= 512, "a bag is one size class");

/* ---- epochs ---- */

uint32_t
lki_epoch_now(lki_domain *domain)
{
    /* Without the fence the unlinking store could still wait in the store buffer while an old epoch
     * is loaded. A section that begins after the next epoch would find the object, and two epochs
     * from the tag would be one too few. */
    lki_fence_seq_cst();
    return ck_epoch_value(&domain->epoch);
}

static int64_t
domain_clock(const lki_domain *domain)
{
    return domain->monotonic_ms(domain->clock_context);
}

/* Is this thread in a section that keeps the epoch from moving? */
static bool
thread_lags(lki_thread *thread, uint32_t epoch)
{
    return ck_pr_load_uint(&thread->epoch.active) != 0 &&
           ck_pr_load_uint(&thread->epoch.epoch) != epoch;
}

void
lki_stalls_record(lki_domain *domain)
{
    int64_t now = domain_clock(domain);
    uint32_t epoch = ck_epoch_value(&domain->epoch);
    for (lki_thread *t = lki_load_acquire(&domain->threads); t != NULL; t = t->next) { /* P9 */
        if (!thread_lags(t, epoch)) {
            lki_store_relaxed(&t->stalled_since_ms, 0);
            continue;
        }
        uint32_t its = ck_pr_load_uint(&t->epoch.epoch);
        if (lki_load_relaxed(&t->stalled_since_ms) == 0 ||
            lki_load_relaxed(&t->stalled_epoch) != its) {
            lki_store_relaxed(&t->stalled_epoch, its);
            lki_store_relaxed(&t->stalled_since_ms, now != 0 ? now : 1);
        }
    }
}

bool
lki_epoch_advance(lki_thread *thread)
{
    LK_ASSERT(thread->epoch.active == 0);
    uint32_t before = ck_epoch_value(&thread->domain->epoch);
    ck_epoch_begin(&thread->epoch, NULL);
    ck_epoch_poll(&thread->epoch);
    ck_epoch_end(&thread->epoch, NULL);
    return ck_epoch_value(&thread->domain->epoch) != before;
}

/* ---- bags ---- */

static lki_bag *
spare_pop(lki_thread *thread)
{
    lki_bag *bag = thread->spare;
    if (bag != NULL) {
        thread->spare = bag->next;
        thread->spare_count--;
        bag->count = 0;
    }
    return bag;
}

static void
spare_push(lki_thread *thread, lki_bag *bag)
{
    bag->next = thread->spare;
    thread->spare = bag;
    thread->spare_count++;
}

bool
lki_reserve_slow(lki_thread *thread, size_t count)
{
    size_t wanted = count / LKI_BAG_ROOM + 2;
    LK_ASSERT(thread->epoch.active != 0);
    while (thread->spare_count < wanted) {
        lki_bag *bag = lki_alloc(&thread->allocator, sizeof *bag);
        if (bag == NULL)
            return false;
        spare_push(thread, bag);
    }
    if (thread->bag == NULL) {
        thread->bag = spare_pop(thread);
        lki_store_release(&thread->open, thread->bag); /* P8b */
    }
    return true;
}

/* Stands in `waiting` while a thread has taken the list. */
static lki_bag in_hand;
#define TAKEN (&in_hand)

static lki_bags *
bags_of(lki_domain *domain, uint32_t number)
{
    return &domain->bags[number % LKI_BAG_GROUPS];
}

/* Pushes a bag onto its group. `ahead`: how many epochs after now its objects may have been
 * unlinked. Caller: in a section. */
static void
bag_push(lki_thread *thread, lki_bag *bag, uint32_t ahead)
{
    lki_domain *domain = thread->domain;
    LK_ASSERT(thread->epoch.active != 0);
    /* P20: the stamp, then the epoch, after a full fence. A snapshot that is below `stamp` was
     * taken, in its section, before `stamp` was read: so its section is waited for. In the other
     * order a section could begin, and take a snapshot, in between. */
    bag->stamp = domain->stamps != NULL ? lki_load_seq_cst(domain->stamps) : 0;
    bag->tag = lki_epoch_now(domain) + ahead;
    _Atomic(lki_bag *) *sealed = &bags_of(domain, thread->slot)->sealed;
    bag->next = lki_load_relaxed(sealed);
    while (!lki_cas_seq_cst(sealed, &bag->next, bag)) {} /* P8 */
}

static void
pressure_set(lki_domain *domain, uint32_t kind, bool on)
{
    bool is_on = (lki_load_relaxed(&domain->pressure) & kind) != 0;
    if (LKI_UNLIKELY(on && !is_on))
        lki_or_seq_cst(&domain->pressure, kind);
    else if (LKI_UNLIKELY(!on && is_on))
        lki_and_seq_cst(&domain->pressure, ~kind);
}

static void
bag_count(lki_domain *domain, lki_bag *bag, size_t bytes)
{
    bag->bytes = bytes + offsetof(lki_bag, entry);
    size_t all = lki_add_relaxed(&domain->retired_bytes, bag->bytes) + bag->bytes;
    if (all > domain->max_retired_bytes)
        pressure_set(domain, LKI_PRESSURE_RETIRED, true);
}

void
lki_seal(lki_thread *thread)
{
    lki_bag *bag = thread->bag;
    LK_ASSERT(thread->epoch.active != 0);
    if (bag == NULL || bag->count == 0)
        return;
    size_t bytes = lki_load_relaxed(&thread->open_bytes);
    thread->credit += (uint32_t)(bytes >> CREDIT_SHIFT);
    thread->bag = spare_pop(thread);
    if (lki_swap_seq_cst(&thread->open, thread->bag) != bag)
        return; /* P8b: the thread that took it pushes it; later bytes count with the next bag */
    lki_store_relaxed(&thread->open_bytes, 0);
    bag_count(thread->domain, bag, bytes);
    bag_push(thread, bag, 0);
}

/* Takes away the open bags of other threads that are outside of sections: they may be idle for
 * ever, or have ended. Caller: in a write section. */
static void
bags_collect(lki_thread *thread)
{
    lki_domain *domain = thread->domain;
    for (lki_thread *t = lki_load_acquire(&domain->threads); t != NULL; t = t->next) { /* P9 */
        if (t == thread || lki_load_relaxed(&t->open_bytes) == 0 ||
            ck_pr_load_uint(&t->epoch.active) != 0)
            continue;
        /* Reset before the bag is taken: bytes of the owner's next bag must count, or no thread
         * would look for it. */
        size_t bytes = lki_load_relaxed(&t->open_bytes);
        lki_store_relaxed(&t->open_bytes, 0);
        /* Its owner may have begun a section meanwhile, and continue to fill the bag. Such a
         * section has at most the epoch that is read now, and what it unlinks is unlinked at most
         * one epoch later. */
        lki_bag *bag = lki_swap_seq_cst(&t->open, NULL); /* P8b */
        if (bag == NULL)
            continue;
        bag_count(domain, bag, bytes);
        bag_push(thread, bag, 1);
    }
}

static void
bag_free(lki_thread *thread, lki_bag *bag)
{
    lki_domain *domain = thread->domain;
    size_t bytes = lki_sub_relaxed(&domain->retired_bytes, bag->bytes) - bag->bytes;
    if (bytes <= domain->max_retired_bytes)
        pressure_set(domain, LKI_PRESSURE_RETIRED, false);
    if (thread->spare_count < SPARES)
        spare_push(thread, bag);
    else
        lki_free(&thread->allocator, bag, sizeof *bag);
}

/* Appends the newly sealed bags to those that wait, the oldest first. */
static lki_bag *
waiting_append(lki_bag *first, lki_bag *newest)
{
    lki_bag *oldest = NULL, *next;
    for (lki_bag *bag = newest; bag != NULL; bag = next) {
        next = bag->next;
        bag->next = oldest;
        oldest = bag;
    }
    if (first == NULL)
        first = oldest;
    else
        first->last->next = oldest;
    first->last = newest;
    return first;
}

/* Takes the oldest bag, if it is due. NULL: it is not, there is none, or another thread is just
 * taking one. Caller: in a section; a thread that stops here holds back the epoch, as in any
 * section. */
static lki_bag *
bag_take(lki_domain *domain, lki_bags *bags)
{
    if (lki_load_relaxed(&bags->waiting) == NULL && lki_load_relaxed(&bags->sealed) == NULL)
        return NULL;
    lki_bag *first = lki_swap_seq_cst(&bags->waiting, TAKEN); /* P8 */
    if (first == TAKEN)
        return NULL;
    lki_bag *newest = lki_swap_seq_cst(&bags->sealed, NULL); /* P8 */
    if (newest != NULL)
        first = waiting_append(first, newest);
    lki_bag *due = NULL;
    if (first != NULL && lki_epoch_passed(domain, first->tag)) {
        LKI_TSAN_ACQUIRE(domain); /* from the sections that have ended: one may have filled it */
        due = first;
        first = due->next;
        if (first != NULL)
            first->last = due->last;
    }
    lki_store_release(&bags->waiting, first); /* P8 */
    return due;
}

/* Disposes of the objects in the bag. Those that need memory that is not there stay in it and wait
 * again. Returns the number of objects. */
static size_t
bag_dispose(lki_thread *thread, lki_bag *bag)
{
    lki_domain *domain = thread->domain;
    uint32_t count = bag->count, kept = 0;
    LK_ASSERT(thread->epoch.active != 0 && bag != thread->bag && count <= LKI_BAG_ROOM);
    thread->stamp = bag->stamp;
    for (const uintptr_t *at = bag->entry, *end = at + count; at < end; at++) {
        uintptr_t entry = *at;
        if (LKI_UNLIKELY(!domain->dispose[entry & 7](thread, (void *)(entry & ~(uintptr_t)7))))
            bag->entry[kept++] = entry;
    }
    lki_count(thread, LKI_FREED, count - kept);
    if (kept == 0) {
        bag_free(thread, bag);
    } else {
        bag->count = kept;
        bag_push(thread, bag, 0);
    }
    return count;
}

/* Disposes of `budget` due objects, or up to a bag more. Caller: in a write section. */
static void
bags_dispose(lki_thread *thread, lki_bags *bags, size_t budget)
{
    lki_bag *bag;
    lki_exempt_begin(thread);
    for (size_t done = 0; done < budget && (bag = bag_take(thread->domain, bags)) != NULL;)
        done += bag_dispose(thread, bag);
    lki_exempt_end(thread);
    if (lki_load_relaxed(&thread->open_bytes) >= LKI_SEAL_BYTES) /* retired by the disposal */
        lki_seal(thread);
}

/* ---- upkeep ---- */

/* Upkeep in the running section, which it ends. Caller: in a write section. */
static void
upkeep_section(lki_thread *thread, size_t budget)
{
    bags_dispose(thread, bags_of(thread->domain, thread->slot), budget);
    if (++thread->upkeep_tick % OTHERS_EVERY == 0)
        bags_dispose(thread, bags_of(thread->domain, thread->upkeep_tick / OTHERS_EVERY), budget);
    lki_leave(thread);
}

/* Credit between attempts to move the epoch. An attempt reads every record that was ever made, each
 * for about half the cost of a write: so with many records it waits for several times as many
 * writes. */
static uint32_t
advance_price(lki_domain *domain)
{
    uint32_t records = lki_load_relaxed(&domain->thread_count);
    return records <= ADVANCE_EVERY ? ADVANCE_EVERY : 4 * (records - ADVANCE_EVERY) + ADVANCE_EVERY;
}

static void
upkeep_advance(lki_thread *thread)
{
    lki_domain *domain = thread->domain;
    bool hurry = thread->advance_credit >= CREDIT_HURRY;
    thread->advance_credit = 0;
    if (!lki_epoch_advance(thread)) {
        if (++thread->stall_tick % ADVANCE_EVERY == 0 &&
            lki_load_relaxed(&domain->retired_bytes) > domain->max_retired_bytes / 16)
            lki_stalls_record(domain);
        return;
    }
    bool collect = ck_epoch_value(&domain->epoch) % COLLECT_EVERY == 0;
    hurry = hurry && lki_epoch_advance(thread);
    if (!hurry && !collect)
        return;
    lki_write_enter(thread);
    if (collect)
        bags_collect(thread);
    upkeep_section(thread, hurry ? CREDIT_HURRY : 0);
}

void
lki_upkeep(lki_thread *thread)
{
    lki_domain *domain = thread->domain;
    if (thread->epoch.active > 1) {
        thread->retired_in_pair = true; /* nested in a longer section, whose end does it */
        lki_leave(thread);
        return;
    }
    size_t budget = thread->credit + thread->credit / 2; /* faster than objects come */
    thread->advance_credit += thread->credit;
    thread->credit = 0;
    upkeep_section(thread, budget);
    if (thread->advance_credit >= advance_price(domain) &&
        lki_load_relaxed(&domain->retired_bytes) != 0)
        upkeep_advance(thread);
}

void
lki_chunks_free(lki_thread *thread)
{
    for (size_t class = 0; class < LKI_CHUNK_CLASSES; class ++) {
        while (thread->chunks[class] != NULL) {
            void *chunk = thread->chunks[class];
            memcpy(&thread->chunks[class], chunk, sizeof chunk);
            lki_free(&thread->allocator, chunk, class * 16);
        }
        thread->chunk_count[class] = 0;
    }
}

void
lki_reclaim_portion(lki_thread *thread, size_t count)
{
    if (thread->epoch.active != 0)
        return;
    (void)lki_epoch_advance(thread);
    lki_write_enter(thread);
    bags_dispose(thread, bags_of(thread->domain, thread->slot), count);
    lki_leave(thread);
}

static bool
bags_are_empty(const lki_domain *domain)
{
    bool empty = true;
    for (size_t i = 0; i < LKI_BAG_GROUPS; i++)
        empty = empty && lki_load_relaxed(&domain->bags[i].waiting) == NULL &&
                lki_load_relaxed(&domain->bags[i].sealed) == NULL;
    return empty;
}

bool
lki_reclaim_now(lki_thread *thread)
{
    lki_domain *domain = thread->domain;
    if (thread->epoch.active != 0)
        return lki_retired_is_bounded(domain);
    /* Round 1 seals the bags. They are due two epochs later, or three; removals then retire cells
     * again, which are due two epochs after that. */
    bool empty = false;
    for (int round = 0; round < 7 && !empty; round++) {
        if (round > 0)
            lki_epoch_advance(thread);
        lki_write_enter(thread);
        bags_collect(thread);
        for (uint32_t i = 0; i < LKI_BAG_GROUPS; i++)
            bags_dispose(thread, bags_of(domain, thread->slot + i), SIZE_MAX);
        lki_seal(thread);
        empty = bags_are_empty(domain);
        lki_leave(thread);
    }
    lki_chunks_free(thread);
    lki_stalls_record(domain);
    bool bounded = lki_retired_is_bounded(domain);
    if (bounded)
        pressure_set(domain, LKI_PRESSURE_RETIRED, false);
    if (!lki_account_is_near(&domain->account))
        pressure_set(domain, LKI_PRESSURE_BOUND, false);
    return bounded;
}

/* ---- the end ---- */

/* Disposes of all bags of a list. No other thread is there. `thread` is NULL if there never was
 * one; then there is no bag either. */
static void
list_drain(lki_domain *domain, lki_thread *thread, lki_bag *bag)
{
    LK_ASSERT(thread != NULL || bag == NULL);
    while (bag != NULL) {
        lki_bag *next = bag->next;
        for (uint32_t i = 0; i < bag->count; i++)
            domain->dispose[bag->entry[i] & 7](thread, (void *)(bag->entry[i] & ~(uintptr_t)7));
        lki_free(&domain->allocator, bag, sizeof *bag);
        bag = next;
    }
}

void
lki_bags_drain(lki_domain *domain)
{
    lki_thread *threads = lki_load_relaxed(&domain->threads);
    for (lki_thread *t = threads; t != NULL; t = t->next) {
        t->stamp = 0; /* no record moves inline any more */
        for (lki_bag *bag = lki_load_relaxed(&t->open); bag != NULL; bag = NULL) {
            bag->next = NULL;
            list_drain(domain, t, bag);
        }
        for (lki_bag *bag; (bag = spare_pop(t)) != NULL;)
            lki_free(&domain->allocator, bag, sizeof *bag);
    }
    for (size_t i = 0; i < LKI_BAG_GROUPS; i++) {
        list_drain(domain, threads, lki_load_relaxed(&domain->bags[i].waiting));
        list_drain(domain, threads, lki_load_relaxed(&domain->bags[i].sealed));
    }
}

lk_status
lki_read_end_long(lki_thread *thread, unsigned char *to, const unsigned char *from, size_t size)
{
    memcpy(to, from, size);
    lki_read_end(thread, true);
    return LK_OK;
}
