/* SPDX-License-Identifier: MIT
 *
 * Reclamation: sections by ck_epoch, lists of retired objects by hand. Called by every room of the
 * store.
 *
 * WHY NOT ck_epoch_call. Its lists belong to one thread: what an idle thread has retired waits for
 * ever, unregistering drops it, and nobody else may touch it. Here retired objects lie in batches
 * of 58, each tagged with the epoch that was current after its last object had been unlinked, and
 * whole batches change hands.
 *
 * WHY TWO EPOCHS. A section that can hold a reference began before the unlinking, so the epoch L
 * that it loaded is at most the tag G (loaded after the unlinking and a full fence). The epoch
 * moves from e to e+1 only when every running section has loaded e. So while that section runs the
 * epoch is at most L+1 <= G+1, and at G+2 it has ended.
 *
 * HOW THE EPOCH MOVES. ck_epoch_poll on the caller's own record, inside a section made for nothing
 * else: with no section running at all ck would not advance but dispatch its own lists, which are
 * empty here. Never inside a section that somebody reads in: poll overwrites the epoch of the
 * record that it is given.
 *
 * WHO OWNS A LIMBO. A thread has two; inside its sections it uses slots[0]. A thief stores into
 * `request` which one it wants, fences, and looks at the victim's section flag: not set means that
 * any later section of the victim will see the request (P8) and keep to the other slot until the
 * thief is done. A thief that is stopped half-way holds up nobody.
 *
 * Invariants  I-limbo1: a batch is in one list. I-limbo2: an object is in one batch, once (tickets
 *             apart: a cell and a ticket for it). I-limbo3: retired_bytes is the sum of the bytes
 *             of sealed batches.
 * Ordering    P8 request and section flag; P9 list of threads, release by the registering thread,
 *             acquire by who walks it.
 */
#include "base/reclaim.h"

#include <limits.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "base/cancel.h"
#include "base/clock.h"

enum {
    SPARES = 2, /* empty batches that a limbo keeps */
    /* credit between attempts to move the epoch, while something waits */
    ADVANCE_EVERY = LKI_OR_SMALL(32, 1),
    STEAL_EVERY = 4,   /* upkeeps between looks at another thread */
    CREDIT_SHIFT = 10, /* so many bytes retired, as an exponent of two, count as one write */
    CREDIT_HURRY = ADVANCE_EVERY + (1 << (20 - CREDIT_SHIFT)), /* 1 MiB does not wait */
    /* Before LK_BUSY: */
    YIELDS = 8,
    SLEEP_FIRST_US = 50,
    SLEEP_LAST_US = 1000
};
_Static_assert(sizeof(lki_batch) <= 512, "a batch is one size class");

/* ---- epochs ---- */

uint32_t
lki_epoch_now(lki_domain *domain)
{
    /* Without the fence the unlinking store could still wait in the store buffer while an old
     * epoch is loaded: a section that begins after the next epoch would find the object, and two
     * epochs from the tag would be one too few. */
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
lki_stalls_note(lki_domain *domain)
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

/* One attempt to move the epoch on. Caller: in no section. */
static bool
epoch_advance(lki_thread *thread)
{
    LK_ASSERT(thread->epoch.active == 0);
    uint32_t before = ck_epoch_value(&thread->domain->epoch);
    ck_epoch_begin(&thread->epoch, NULL);
    ck_epoch_poll(&thread->epoch);
    ck_epoch_end(&thread->epoch, NULL);
    return ck_epoch_value(&thread->domain->epoch) != before;
}

/* ---- limbo ---- */

static lki_batch *
spare_pop(lki_limbo *limbo)
{
    lki_batch *batch = limbo->spare;
    if (batch != NULL) {
        limbo->spare = batch->next;
        limbo->spare_count--;
        batch->next = NULL;
        batch->count = batch->cursor = batch->kept = 0;
        batch->bytes = 0;
    }
    return batch;
}

static bool
spare_add(lki_thread *thread, lki_limbo *limbo)
{
    lki_batch *batch = lki_alloc(&thread->domain->allocator, sizeof *batch);
    if (batch == NULL)
        return false;
    batch->next = limbo->spare;
    limbo->spare = batch;
    limbo->spare_count++;
    return true;
}

bool
lki_reserve_slow(lki_thread *thread, size_t count)
{
    lki_limbo *limbo = thread->limbo;
    size_t wanted = count / LKI_BATCH_ROOM + 2;
    while (limbo->spare_count < wanted)
        if (!spare_add(thread, limbo))
            return false;
    if (limbo->open == NULL)
        limbo->open = spare_pop(limbo);
    return true;
}

static void
sealed_append(lki_limbo *limbo, lki_batch *first, lki_batch *last)
{
    if (limbo->sealed == NULL)
        limbo->sealed = first;
    else
        limbo->sealed_last->next = first;
    limbo->sealed_last = last;
}

void
lki_limbo_seal(lki_thread *thread, lki_limbo *limbo)
{
    lki_domain *domain = thread->domain;
    lki_batch *batch = limbo->open;
    if (batch == NULL || batch->count == 0)
        return;
    /* P20: the stamps, then the epoch, behind a full fence. A snapshot that is below `stamp` was taken, in its
     * section, before that was read: its section is waited for. The other way round one could begin, and
     * take a snapshot, in between. */
    batch->stamp = domain->stamps != NULL ? lki_load_seq_cst(domain->stamps) : 0;
    batch->tag = lki_epoch_now(domain);
    batch->bytes += sizeof *batch;
    uint32_t credit = (uint32_t)(batch->bytes >> CREDIT_SHIFT);
    thread->upkeep_credit += credit;
    thread->advance_credit += ADVANCE_EVERY + credit;
    sealed_append(limbo, batch, batch);
    limbo->open = spare_pop(limbo);
    size_t bytes = lki_add_relaxed(&domain->retired_bytes, batch->bytes) + batch->bytes;
    if (bytes > domain->max_retired_bytes)
        lki_store_relaxed(&domain->pressure, 1);
    lki_store_relaxed(&thread->open_bytes, 0);
}

/* All that `from` holds becomes sealed in `to`. Both are the caller's. */
static void
limbo_splice(lki_thread *thread, lki_limbo *to, lki_limbo *from)
{
    lki_limbo_seal(thread, from);
    if (from->sealed != NULL) {
        sealed_append(to, from->sealed, from->sealed_last);
        from->sealed = NULL;
    }
}

/* Takes over what one slot of `victim` holds, if it is outside of its sections. Caller: in a write
 * section of its own. */
static bool
slot_steal(lki_thread *thread, lki_thread *victim, uint32_t slot)
{
    uint32_t none = 0;
    bool stolen = false;
    if (!lki_cas_seq_cst(&victim->request, &none, slot + 1))
        return false;
    /* P8: the store of the request, then the load of the flag; the victim stores its flag with a
     * full barrier, then loads the request. Without the fence both could miss the other and own
     * the slot together. */
    lki_fence_seq_cst();
    if (ck_pr_load_uint(&victim->epoch.active) == 0) {
        ck_pr_fence_acquire();
        LKI_TSAN_ACQUIRE(thread->domain);
        limbo_splice(thread, thread->limbo, &victim->slots[slot]);
        lki_store_relaxed(&victim->open_bytes, 0);
        stolen = true;
    }
    lki_store_release(&victim->request,
                      0); /* P8: the slot is as the thief left it for who sees 0 again */
    return stolen;
}

static bool
limbo_steal(lki_thread *thread, lki_thread *victim)
{
    if (victim == thread)
        return false;
    bool first = slot_steal(thread, victim, 0);
    return slot_steal(thread, victim, 1) && first;
}

/* Looks at one other thread; takes its garbage if it has retired nothing since somebody last
 * looked. */
static void
limbo_steal_next(lki_thread *thread)
{
    lki_domain *domain = thread->domain;
    lki_thread *victim =
        lki_load_acquire(&domain->theft_cursor); /* P9: of who found it in the list */
    if (victim == NULL)
        victim = lki_load_acquire(&domain->threads);        /* P9 */
    lki_store_release(&domain->theft_cursor, victim->next); /* P9 */
    if (victim == thread)
        return;
    uint64_t mark = lki_load_relaxed(&victim->counter[LKI_RETIRED]);
    if (lki_load_relaxed(&victim->taken_mark) == mark)
        return;
    if (lki_load_relaxed(&victim->seen_mark) != mark) {
        lki_store_relaxed(&victim->seen_mark, mark);
        return;
    }
    if (limbo_steal(thread, victim)) /* else it was in a section: another time */
        lki_store_relaxed(&victim->taken_mark, mark);
}

static void
batch_free(lki_thread *thread, lki_limbo *limbo, lki_batch *batch)
{
    lki_domain *domain = thread->domain;
    size_t bytes = lki_sub_relaxed(&domain->retired_bytes, batch->bytes) - batch->bytes;
    if (bytes <= domain->max_retired_bytes && lki_load_relaxed(&domain->pressure) != 0)
        lki_store_relaxed(&domain->pressure, 0);
    if (limbo->spare_count < SPARES) {
        batch->next = limbo->spare;
        limbo->spare = batch;
        limbo->spare_count++;
    } else {
        lki_free(&domain->allocator, batch, sizeof *batch);
    }
}

/* Disposes of up to `budget` objects whose epochs have passed. What cannot be disposed of for want
 * of memory is kept, and goes to the end of the queue, so that it does not stand before what would
 * give memory back. Caller: in a write section. */
static void
limbo_dispose(lki_thread *thread, size_t budget)
{
    lki_domain *domain = thread->domain;
    lki_limbo *limbo = thread->limbo;
    const lki_batch *last = limbo->sealed_last;
    while (limbo->sealed != NULL && budget > 0) {
        lki_batch *batch = limbo->sealed;
        if (!lki_epoch_passed(domain, batch->tag))
            break;
        LKI_TSAN_ACQUIRE(domain);
        thread->stamp = batch->stamp;
        size_t left = (size_t)batch->count - batch->cursor, kept = batch->kept;
        size_t now = left < budget ? left : budget;
        const uintptr_t *at = batch->entry + batch->cursor, *end = at + now;
        for (; at < end; at++) {
            uintptr_t entry = *at;
            if (LKI_UNLIKELY(!domain->dispose[entry & 7](thread, (void *)(entry & ~(uintptr_t)7))))
                batch->entry[batch->kept++] = entry;
        }
        budget -= now;
        batch->cursor = (uint16_t)(batch->cursor + now);
        lki_count(thread, LKI_FREED, now - (batch->kept - kept));
        if (batch->cursor < batch->count)
            break;
        limbo->sealed = batch->next;
        batch->next = NULL;
        bool was_last = batch == last;
        if (batch->kept == 0) {
            batch_free(thread, limbo, batch);
        } else {
            batch->count = batch->kept;
            batch->cursor = batch->kept = 0;
            sealed_append(limbo, batch, batch);
        }
        if (was_last)
            break; /* what comes now was sealed, or kept, in this call */
    }
    if (limbo->open != NULL &&
        limbo->open->bytes >= LKI_SEAL_BYTES) /* what was retired meanwhile */
        lki_limbo_seal(thread, limbo);
}

enum lki_upkeep_need
lki_upkeep_need(lki_thread *thread)
{
    const lki_limbo *limbo = thread->limbo;
    uint32_t credit = thread->upkeep_credit;
    if (thread->epoch.active > 1) {
        thread->retired_in_pair = true; /* inside of a longer section: its end will do it */
        return LKI_UPKEEP_WAIT;
    }
    if (lki_epoch_passed(thread->domain, limbo->sealed->tag))
        return LKI_UPKEEP_DISPOSE;
    /* An attempt looks at every record that was ever made, at the price of half a write or so each: it
     * waits for several times as many writes. */
    uint32_t records = lki_load_relaxed(&thread->domain->thread_count);
    uint32_t wanted =
        records <= ADVANCE_EVERY ? ADVANCE_EVERY : 4 * (records - ADVANCE_EVERY) + ADVANCE_EVERY;
    thread->advance_credit += credit;
    if (thread->advance_credit >= wanted)
        return LKI_UPKEEP_ADVANCE;
    thread->upkeep_credit = 0;
    return LKI_UPKEEP_WAIT;
}

/* So many that what is retired goes faster than it comes. */
static size_t
upkeep_budget(lki_thread *thread)
{
    size_t credit = thread->upkeep_credit, most = 2 * LKI_UPKEEP_CREDIT + thread->retired_in_call;
    thread->upkeep_credit = 0;
    return 8 + 2 * (credit < most ? credit : most);
}

/* Caller: in a write section. */
static void
upkeep_dispose(lki_thread *thread, size_t budget)
{
    if (thread->may_splice)
        limbo_splice(thread, &thread->slots[0], &thread->slots[1]);
    if (++thread->theft_tick % STEAL_EVERY == 0)
        limbo_steal_next(thread);
    limbo_dispose(thread, budget);
}

void
lki_upkeep_dispose(lki_thread *thread)
{
    upkeep_dispose(thread, upkeep_budget(thread));
}

void
lki_upkeep_advance(lki_thread *thread)
{
    lki_domain *domain = thread->domain;
    size_t budget = upkeep_budget(thread);
    bool hurry = thread->advance_credit >= CREDIT_HURRY;
    thread->advance_credit = 0;
    bool moved = epoch_advance(thread);
    if (!moved && ++thread->upkeep_tick % ADVANCE_EVERY == 0 &&
        lki_load_relaxed(&domain->retired_bytes) > domain->max_retired_bytes / 16)
        lki_stalls_note(domain);
    if (!moved || !hurry || !epoch_advance(thread))
        return;
    lki_write_enter(thread);
    upkeep_dispose(thread, budget);
    lki_leave(thread);
}

void
lki_stock_free(lki_thread *thread)
{
    for (size_t class = 0; class < LKI_STOCK_CLASSES; class ++) {
        while (thread->stock[class] != NULL) {
            void *chunk = thread->stock[class];
            memcpy(&thread->stock[class], chunk, sizeof chunk);
            lki_free(&thread->domain->allocator, chunk, class * 16);
        }
        thread->stock_count[class] = 0;
    }
}

static bool
is_bounded(lki_domain *domain)
{
    return lki_load_relaxed(&domain->retired_bytes) <= domain->max_retired_bytes;
}

void
lki_reclaim_portion(lki_thread *thread, size_t count)
{
    if (thread->epoch.active != 0)
        return;
    (void)epoch_advance(thread);
    lki_write_enter(thread);
    if (thread->may_splice)
        limbo_splice(thread, &thread->slots[0], &thread->slots[1]);
    limbo_dispose(thread, count);
    lki_leave(thread);
}

bool
lki_reclaim_now(lki_thread *thread)
{
    lki_domain *domain = thread->domain;
    if (thread->epoch.active != 0)
        return is_bounded(domain);
    /* Round 1 seals what there is; two epochs later it can go; removals retire cells anew, which
     * go two epochs after. */
    for (int round = 0; round < 6; round++) {
        lki_write_enter(thread);
        if (thread->may_splice)
            limbo_splice(thread, &thread->slots[0], &thread->slots[1]);
        for (lki_thread *t = lki_load_acquire(&domain->threads); t != NULL; t = t->next) /* P9 */
            (void)limbo_steal(thread, t);
        lki_limbo_seal(thread, thread->limbo);
        limbo_dispose(thread, SIZE_MAX);
        bool idle = thread->limbo->sealed == NULL &&
                    (thread->limbo->open == NULL || thread->limbo->open->count == 0);
        lki_leave(thread);
        if (idle)
            break;
        epoch_advance(thread);
    }
    lki_stock_free(thread);
    lki_stalls_note(domain);
    bool bounded = is_bounded(domain);
    if (bounded)
        lki_store_relaxed(&domain->pressure, 0);
    return bounded;
}

/* ---- before LK_BUSY ---- */

/* That the epoch does not move is known from here on, until it does. */
static void
stall_remember(lki_domain *domain, uint32_t epoch)
{
    lki_store_relaxed(&domain->stalled_at, (uint64_t)1 << 32 | epoch);
}

static bool
stall_is_known(lki_domain *domain)
{
    return lki_load_relaxed(&domain->stalled_at) ==
           ((uint64_t)1 << 32 | ck_epoch_value(&domain->epoch));
}

/* Lets others run: who has lost its time slice in a section needs one. */
static void
others_run(unsigned round)
{
    if (round < YIELDS) {
        sched_yield();
        return;
    }
    unsigned doubled = round - YIELDS < 5 ? round - YIELDS : 5;
    long us = (long)SLEEP_FIRST_US << doubled;
    struct timespec pause = {0, (us < SLEEP_LAST_US ? us : SLEEP_LAST_US) * 1000};
    int before = lki_cancel_forbid();
    nanosleep(&pause, NULL);
    lki_cancel_allow(before);
}

bool
lki_memory_wait(lki_thread *thread)
{
    lki_domain *domain = thread->domain;
    if (thread->epoch.active != 0) /* it would wait for itself */
        return is_bounded(domain);
    if (stall_is_known(domain) && !epoch_advance(thread)) {
        /* A caller that tries again at once would take the time that the reader needs. */
        others_run(UINT_MAX);
        /* Asked last: others may have moved it meanwhile, and then it stands for another reader. */
        if (!epoch_advance(thread) && stall_is_known(domain))
            return is_bounded(domain);
    }
    if (lki_reclaim_now(thread))
        return true;
    uint32_t epoch = ck_epoch_value(&domain->epoch);
    int64_t begun = lki_monotonic_ms(NULL), moved = begun, now = begun;
    for (unsigned round = 0; now - moved < LKI_STALL_MS && now - begun < LKI_WAIT_MAX_MS; round++) {
        others_run(round);
        now = lki_monotonic_ms(NULL);
        (void)epoch_advance(thread);
        uint32_t seen = ck_epoch_value(&domain->epoch);
        if (seen != epoch) {
            epoch = seen;
            moved = now;
            if (lki_reclaim_now(thread))
                return true;
        } else if (is_bounded(domain)) {
            return true;
        } else if (stall_is_known(domain)) {
            return false;
        }
    }
    if (now - moved >= LKI_STALL_MS)
        stall_remember(domain, epoch);
    return is_bounded(domain);
}

void
lki_memory_look(lki_thread *thread)
{
    if (lki_load_relaxed(&thread->domain->pressure) != 0 && !stall_is_known(thread->domain))
        (void)lki_reclaim_now(thread);
}

/* ---- the end ---- */

/* Disposes of a whole list at once; no other thread is there. */
static void
batches_drain(lki_thread *thread, lki_batch *batch)
{
    lki_domain *domain = thread->domain;
    while (batch != NULL) {
        lki_batch *next = batch->next;
        for (uint16_t i = 0; i < batch->count; i++) {
            uintptr_t entry = batch->entry[i];
            if (i >= batch->kept && i < batch->cursor)
                continue;
            domain->dispose[entry & 7](thread, (void *)(entry & ~(uintptr_t)7));
        }
        lki_free(&domain->allocator, batch, sizeof *batch);
        batch = next;
    }
}

void
lki_thread_drain(lki_thread *thread)
{
    thread->stamp = 0; /* nothing comes home any more */
    for (size_t i = 0; i < 2; i++) {
        batches_drain(thread, thread->slots[i].sealed);
        batches_drain(thread, thread->slots[i].open);
        while (thread->slots[i].spare != NULL) {
            lki_batch *batch = thread->slots[i].spare;
            thread->slots[i].spare = batch->next;
            lki_free(&thread->domain->allocator, batch, sizeof *batch);
        }
    }
}

lk_status
lki_read_end_long(lki_thread *thread, unsigned char *to, const unsigned char *from, size_t size)
{
    memcpy(to, from, size);
    lki_read_end(thread, true);
    return LK_OK;
}
