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

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/scratch.h"

#ifdef LKI_TEST_HOOKS
void (*lki_yield_hook)(void);
#endif
#ifdef LKI_TSAN
_Atomic(uint32_t) lki_fence_word;
#endif

enum {
    SPARES = 2,          /* empty batches that a limbo keeps */
    THREADS_MAX = 65535, /* a version has 16 bits for the thread */
    ADVANCE_EVERY = 16   /* writes between attempts to move the epoch, while something waits */
};
_Static_assert(sizeof(lki_batch) <= 512, "a batch is one size class");

/* ---- the registry of open domains, and each thread's attachments ---- */

typedef struct attachment {
    struct attachment *next;
    uint64_t id;
    lki_thread *thread;
} attachment;

static struct {
    pthread_mutex_t latch;
    lki_domain *open; /* [latch] */
    uint64_t last_id; /* [latch] */
    uint64_t forks;   /* from the first process to this one; written while there is one thread */
} registry = {PTHREAD_MUTEX_INITIALIZER, NULL, 0, 0};

static pthread_once_t registry_once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static bool exit_key_made;

__thread lki_self_cache lki_self __attribute__((tls_model("initial-exec")));
static __thread attachment *attachments __attribute__((tls_model("initial-exec")));

static void
fork_prepare(void)
{
    pthread_mutex_lock(&registry.latch);
}

static void
fork_parent(void)
{
    pthread_mutex_unlock(&registry.latch);
}

/* The child keeps the one thread that forked. Its cached record would let it into its parent's
 * stores: forget it, so that the next call comes by lki_thread_attach, which counts
 * forks (a process id would be a system call each time a thread goes from one store to another). */
static void
fork_child(void)
{
    lki_self.id = 0;
    registry.forks++;
    pthread_mutex_unlock(&registry.latch);
}

static void
thread_exits(void *unused)
{
    (void)unused;
    lki_thread_detach_all();
}

static void
registry_open(void)
{
    exit_key_made = pthread_key_create(&exit_key, thread_exits) == 0;
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static lki_domain *
registry_find_latched(uint64_t id)
{
    lki_domain *domain = registry.open;
    while (domain != NULL && domain->id != id)
        domain = domain->next_open;
    return domain;
}

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

/* Notes since when each lagging section has been seen, for the statistics. */
static void
stalls_note(lki_domain *domain)
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
    batch->tag = lki_epoch_now(domain);
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
        from->sealed = from->sealed_last = NULL;
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
    lki_thread *victim = lki_load_relaxed(&domain->theft_cursor);
    if (victim == NULL)
        victim = lki_load_acquire(&domain->threads); /* P9 */
    lki_store_relaxed(&domain->theft_cursor, victim->next);
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
        for (; batch->cursor < batch->count && budget > 0; batch->cursor++, budget--) {
            uintptr_t entry = batch->entry[batch->cursor];
            if (domain->dispose[entry & 7](thread, (void *)(entry & ~(uintptr_t)7)))
                lki_count(thread, LKI_FREED, 1);
            else
                batch->entry[batch->kept++] = entry;
        }
        if (batch->cursor < batch->count)
            break;
        limbo->sealed = batch->next;
        if (limbo->sealed == NULL)
            limbo->sealed_last = NULL;
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
}

enum lki_upkeep_need
lki_upkeep_need(lki_thread *thread)
{
    const lki_limbo *limbo = thread->limbo;
    if (thread->epoch.active > 1) {
        thread->retired_in_pair = true; /* inside of a longer section: its end will do it */
        return LKI_UPKEEP_WAIT;
    }
    if (lki_epoch_passed(thread->domain, limbo->sealed->tag))
        return LKI_UPKEEP_DISPOSE;
    bool sealed_now = limbo->open == NULL || limbo->open->count < thread->retired_in_call;
    return sealed_now || ++thread->upkeep_tick % ADVANCE_EVERY == 0 ? LKI_UPKEEP_ADVANCE
                                                                    : LKI_UPKEEP_WAIT;
}

void
lki_upkeep(lki_thread *thread, enum lki_upkeep_need need)
{
    lki_domain *domain = thread->domain;
    if (need == LKI_UPKEEP_ADVANCE) {
        if (!epoch_advance(thread) && ++thread->upkeep_tick % ADVANCE_EVERY == 0 &&
            lki_load_relaxed(&domain->retired_bytes) > domain->max_retired_bytes / 16)
            stalls_note(domain);
        return;
    }
    size_t budget = 8 + 2 * (size_t)thread->retired_in_call;
    lki_write_enter(thread);
    if (thread->may_splice)
        limbo_splice(thread, &thread->slots[0], &thread->slots[1]);
    if (++thread->theft_tick % ADVANCE_EVERY == 0) {
        limbo_steal_next(thread);
    }
    limbo_dispose(thread, budget);
    lki_leave(thread);
}

static void
stock_free(lki_thread *thread)
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

bool
lki_reclaim_now(lki_thread *thread)
{
    lki_domain *domain = thread->domain;
    if (thread->epoch.active != 0)
        return lki_load_relaxed(&domain->retired_bytes) <= domain->max_retired_bytes;
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
    stock_free(thread);
    stalls_note(domain);
    bool bounded = lki_load_relaxed(&domain->retired_bytes) <= domain->max_retired_bytes;
    if (bounded)
        lki_store_relaxed(&domain->pressure, 0);
    return bounded;
}

/* ---- threads ---- */

bool
lki_domain_is_ours(const lki_domain *domain)
{
    return domain->forks == registry.forks;
}

static lki_thread *
thread_register(lki_domain *domain)
{
    ck_epoch_record_t *recycled = ck_epoch_recycle(&domain->epoch, NULL);
    if (recycled != NULL) {
        LKI_TSAN_ACQUIRE(domain);
        return (lki_thread *)(void *)recycled;
    }
    lki_thread *thread = lki_alloc_lines(&domain->allocator, sizeof *thread);
    if (thread == NULL)
        return NULL;
    /* A number is given out once: versions are made of it. */
    uint32_t slot = lki_load_relaxed(&domain->thread_count);
    while (slot < THREADS_MAX && !lki_cas_seq_cst(&domain->thread_count, &slot, slot + 1)) {}
    if (slot >= THREADS_MAX) {
        lki_free_lines(&domain->allocator, thread, sizeof *thread);
        return NULL;
    }
    thread->domain = domain;
    thread->slot = slot;
    thread->limbo = &thread->slots[0];
    ck_epoch_register(&domain->epoch, &thread->epoch, NULL);
    thread->next = lki_load_relaxed(&domain->threads);
    while (!lki_cas_seq_cst(&domain->threads, &thread->next,
                            thread)) { /* P9: release to lki_load_acquire(&threads) */
    }
    return thread;
}

/* Forgets attachments to domains that were closed. */
static void
attachments_prune(void)
{
    pthread_mutex_lock(&registry.latch);
    for (attachment **link = &attachments; *link != NULL;) {
        attachment *a = *link;
        if (registry_find_latched(a->id) == NULL) {
            *link = a->next;
            lki_free(NULL, a, sizeof *a);
        } else {
            link = &a->next;
        }
    }
    pthread_mutex_unlock(&registry.latch);
}

lki_thread *
lki_thread_attach(lki_domain *domain, lk_status *why)
{
    if (!lki_domain_is_ours(domain)) {
        *why = LK_INVALID;
        return NULL;
    }
    size_t known = 0;
    for (attachment *a = attachments; a != NULL; a = a->next, known++) {
        if (a->id == domain->id) {
            lki_self = (lki_self_cache){a->id, a->thread};
            return a->thread;
        }
    }
    if (known >= 8)
        attachments_prune();
    lki_alloc_thread_begin();
    attachment *a = lki_alloc(NULL, sizeof *a);
    lki_thread *thread = a != NULL ? thread_register(domain) : NULL;
    if (thread == NULL || !exit_key_made || pthread_setspecific(exit_key, a) != 0) {
        if (thread != NULL)
            ck_epoch_unregister(&thread->epoch);
        lki_free(NULL, a, sizeof *a);
        *why = LK_NO_MEMORY;
        return NULL;
    }
    lki_store_relaxed(&thread->kernel_id, (int64_t)syscall(SYS_gettid));
    *a = (attachment){attachments, domain->id, thread};
    attachments = a;
    lki_self = (lki_self_cache){a->id, thread};
    return thread;
}

/* The record, with what was retired into it, goes to the next new thread; until then thieves may
 * take that. */
static void
thread_hand_over(lki_thread *thread)
{
    LK_ASSERT(thread->epoch.active == 0);
    stock_free(thread);
    lki_scratch_free(thread);
    thread->pins = 0;
    lki_store_relaxed(&thread->kernel_id, 0);
    lki_store_relaxed(&thread->stalled_since_ms, 0);
    LKI_TSAN_RELEASE(thread->domain);
    ck_epoch_unregister(&thread->epoch);
}

void
lki_thread_detach_all(void)
{
    lki_self = (lki_self_cache){0, NULL};
    if (attachments == NULL)
        return;
    pthread_mutex_lock(&registry.latch);
    while (attachments != NULL) {
        attachment *a = attachments;
        attachments = a->next;
        lki_domain *domain = registry_find_latched(a->id);
        if (domain != NULL && lki_domain_is_ours(domain)) {
            a->thread->epoch.active = 0; /* a thread that exits inside a section reads no more */
            thread_hand_over(a->thread);
        }
        lki_free(NULL, a, sizeof *a);
    }
    pthread_mutex_unlock(&registry.latch);
    lki_alloc_thread_end();
}

/* ---- domains ---- */

static bool
object_dispose(lki_thread *thread, void *object)
{
    return ((const lki_object *)object)->dispose(thread, object);
}

bool
lki_block_dispose(lki_thread *thread, void *object)
{
    lki_block *block = object;
    const lki_allocator *allocator = &thread->domain->allocator;
    if (block->lines != NULL)
        lki_free_lines(allocator, block->lines, block->lines_size);
    lki_free(allocator, block, block->size);
    return true;
}

void
lki_domain_open(lki_domain *domain)
{
    if (domain->dispose[LKI_OBJECT] == NULL)
        domain->dispose[LKI_OBJECT] = object_dispose;
    pthread_once(&registry_once, registry_open);
    ck_epoch_init(&domain->epoch);
    domain->forks = registry.forks;
    pthread_mutex_lock(&registry.latch);
    domain->id = ++registry.last_id;
    domain->next_open = registry.open;
    registry.open = domain;
    pthread_mutex_unlock(&registry.latch);
}

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

static void
thread_drain(lki_thread *thread)
{
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

void
lki_domain_close(lki_domain *domain)
{
    pthread_mutex_lock(&registry.latch);
    lki_domain **link = &registry.open;
    while (*link != domain)
        link = &(*link)->next_open;
    *link = domain->next_open;
    pthread_mutex_unlock(&registry.latch);
    if (lki_self.id == domain->id)
        lki_self = (lki_self_cache){0, NULL};
    LKI_TSAN_ACQUIRE(domain);
    lki_thread *thread = lki_load_acquire(&domain->threads); /* P9 */
    for (lki_thread *t = thread; t != NULL; t = t->next)
        thread_drain(t);
    while (thread != NULL) {
        lki_thread *next = thread->next;
        stock_free(thread);
        lki_scratch_free(thread);
        lki_free_lines(&domain->allocator, thread, sizeof *thread);
        thread = next;
    }
}

void
lki_reclaim_read(lki_domain *domain, lki_reclaim_report *report)
{
    *report = (lki_reclaim_report){0};
    stalls_note(domain);
    int64_t now = domain_clock(domain);
    report->retired_bytes = lki_load_relaxed(&domain->retired_bytes);
    for (lki_thread *t = lki_load_acquire(&domain->threads); t != NULL; t = t->next) { /* P9 */
        report->thread_records++;
        report->threads += lki_load_relaxed(&t->kernel_id) != 0;
        report->retired_bytes += lki_load_relaxed(&t->open_bytes);
        for (size_t i = 0; i < LKI_COUNTERS; i++)
            report->counter[i] += lki_load_relaxed(&t->counter[i]);
        int64_t since = lki_load_relaxed(&t->stalled_since_ms);
        if (since != 0 &&
            (report->oldest_reader_thread == 0 || now - since > report->oldest_reader_ms)) {
            report->oldest_reader_ms = now - since;
            report->oldest_reader_thread = lki_load_relaxed(&t->kernel_id);
        }
    }
}
