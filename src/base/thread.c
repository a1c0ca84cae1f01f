/* SPDX-License-Identifier: MIT
 *
 * Domains and threads: which stores are open, and which record this thread has in each of them.
 * What the records hold is in reclaim.c.
 *
 * A record belongs to one thread from its first call in the domain until it exits or detaches; then
 * it goes, with what was retired into it, to the next new thread of the domain.
 *
 * Ordering    P9: list of threads, release by the registering thread, acquire by one that walks it.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/reclaim.h"
#include "base/scratch.h"

enum { THREADS_MAX = 65535 }; /* a version has 16 bits for the thread */

/* ---- the registry of open domains, and each thread's attachments ---- */

static struct {
    pthread_mutex_t latch;
    lki_domain *open; /* [latch] by number */
    uint64_t last_id; /* [latch] */
    uint64_t forks;   /* from the first process to this one; written while there is one thread */
} registry = {PTHREAD_MUTEX_INITIALIZER, NULL, 0, 0};

/* The call at a thread's exit. GONE: the library is being unloaded, or the process ends. */
enum { EXIT_NONE, EXIT_MADE, EXIT_GONE };
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static _Atomic(uint32_t) exit_state;

/* This thread's record in the domain of an id; by the domain's number, which is small and used
 * again after its end: so nothing is ever looked for. */
typedef struct attachment {
    uint64_t id; /* 0: none */
    lki_thread *thread;
} attachment;

/* A thread's attachments from number ATTACHED_FEW on. */
enum { ATTACHED_FEW = LKI_OR_SMALL(4, 1) };
typedef struct attached_more {
    struct attached_more *next, **link; /* [latch] of all threads */
    size_t room;                        /* [thread] */
    attachment at[];                    /* [thread] */
} attached_more;

static attached_more *all_more; /* [latch] */

static __thread struct {
    attachment few[ATTACHED_FEW];
    attached_more *more;
    bool any; /* since it last detached; then `thread_exits` is called at its exit */
} attached __attribute__((tls_model("initial-exec")));

__thread lki_self_cache lki_self __attribute__((tls_model("initial-exec")));
__thread struct lki_purse_own lki_purse_own __attribute__((tls_model("initial-exec")));

static void
self_set(uint64_t id, lki_thread *thread)
{
    lki_self = (lki_self_cache){id, thread};
    lki_purse_own = (struct lki_purse_own){id, thread != NULL ? &thread->purse : NULL};
}

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
 * stores. It is forgotten, so that the next call enters lki_thread_attach, which compares counts of
 * forks (a process id would be a system call each time a thread goes from one store to another). */
static void
fork_child(void)
{
    lki_self.id = lki_purse_own.domain = 0;
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
registry_begin(void)
{
    if (pthread_key_create(&exit_key, thread_exits) == 0)
        lki_store_relaxed(&exit_state, EXIT_MADE); /* the once orders it */
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static size_t
more_size(size_t room)
{
    return sizeof(attached_more) + room * sizeof(attachment);
}

static void
more_free_latched(attached_more *more)
{
    *more->link = more->next;
    if (more->next != NULL)
        more->next->link = more->link;
    lki_free(NULL, more, more_size(more->room));
}

/* The library is unloaded with the plug-in that it is part of, or the process ends. Threads may
 * exit later: the key must not lead them to code that is unmapped. (The handlers for forks are
 * removed by libc: they were registered with the handle of this object.) If no store is open, no
 * thread needs its attachments any more. jemalloc's cache of a thread stays with the thread. */
__attribute__((destructor)) static void
registry_end(void)
{
    lki_thread_detach_all();
    if (lki_swap_seq_cst(&exit_state, EXIT_GONE) == EXIT_MADE)
        pthread_key_delete(exit_key);
    pthread_mutex_lock(&registry.latch);
    while (registry.open == NULL && all_more != NULL)
        more_free_latched(all_more);
    pthread_mutex_unlock(&registry.latch);
    lki_alloc_end();
}

/* NULL: the thread's array is shorter. */
static attachment *
attachment_at(uint32_t number)
{
    if (number < ATTACHED_FEW)
        return &attached.few[number];
    number -= ATTACHED_FEW;
    return attached.more != NULL && number < attached.more->room ? &attached.more->at[number]
                                                                 : NULL;
}

/* NULL: no memory. */
static attachment *
attachment_make(uint32_t number)
{
    attachment *at = attachment_at(number);
    if (at != NULL)
        return at;
    attached_more *old = attached.more;
    size_t before = old != NULL ? old->room : 0;
    size_t wanted = (size_t)number - ATTACHED_FEW + 1, room = 2 * before + 16;
    room = room < wanted ? wanted : room;
    attached_more *more = lki_alloc(NULL, more_size(room));
    if (more == NULL)
        return NULL;
    memset(more, 0, more_size(room));
    more->room = room;
    if (old != NULL)
        memcpy(more->at, old->at, before * sizeof *more->at);
    pthread_mutex_lock(&registry.latch);
    if (old != NULL)
        more_free_latched(old);
    more->next = all_more;
    more->link = &all_more;
    if (more->next != NULL)
        more->next->link = &more->next;
    all_more = more;
    pthread_mutex_unlock(&registry.latch);
    attached.more = more;
    return attachment_at(number);
}

/* Sees to it that this thread detaches when it exits. False: no memory. */
static bool
exit_prepare(void)
{
    if (attached.any)
        return true;
    uint32_t state = lki_load_relaxed(&exit_state);
    attached.any =
        state == EXIT_GONE || (state == EXIT_MADE && pthread_setspecific(exit_key, &attached) == 0);
    return attached.any;
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
    lki_thread *thread = lki_alloc_lines(&domain->allocator, domain->thread_size);
    if (thread == NULL)
        return NULL;
    lki_purse_open(&thread->purse, &domain->account);
    thread->allocator = domain->allocator;
    thread->allocator.purse = &thread->purse;
    thread->allocator.straight =
        lki_alloc_is_jemalloc(&domain->allocator) ? &thread->purse : &lki_purse_none;
    /* A number is given out once: versions are made of it. */
    uint32_t slot = lki_load_relaxed(&domain->thread_count);
    while (slot < THREADS_MAX && !lki_cas_seq_cst(&domain->thread_count, &slot, slot + 1)) {}
    if (slot >= THREADS_MAX) {
        lki_free_lines(&domain->allocator, thread, domain->thread_size);
        return NULL;
    }
    thread->domain = domain;
    thread->slot = slot;
    ck_epoch_register(&domain->epoch, &thread->epoch, NULL);
    thread->next = lki_load_relaxed(&domain->threads);
    while (!lki_cas_seq_cst(&domain->threads, &thread->next,
                            thread)) { /* P9: release to lki_load_acquire(&threads) */
    }
    return thread;
}

lki_thread *
lki_thread_attach(lki_domain *domain, lk_status *why)
{
    if (!lki_domain_is_ours(domain)) {
        *why = LK_INVALID;
        return NULL;
    }
    attachment *at = attachment_at(domain->number);
    if (at != NULL && at->id == domain->id) {
        self_set(at->id, at->thread);
        return at->thread;
    }
    lki_alloc_thread_begin();
    at = attachment_make(domain->number);
    lki_thread *thread = at != NULL && exit_prepare() ? thread_register(domain) : NULL;
    if (thread == NULL) {
        *why = LK_NO_MEMORY;
        return NULL;
    }
    lki_store_relaxed(&thread->kernel_id, (int64_t)syscall(SYS_gettid));
    *at = (attachment){domain->id, thread};
    self_set(domain->id, thread);
    return thread;
}

/* What is kept for a running thread alone. */
static void
thread_empty(lki_thread *thread)
{
    if (thread->domain->thread_end != NULL)
        thread->domain->thread_end(thread);
    lki_chunks_free(thread);
    lki_scratch_free(thread);
    lki_purse_empty(&thread->purse);
}

/* The record, with what was retired into it, goes to the next new thread; until then anybody may
 * take its bag. */
static void
thread_hand_over(lki_thread *thread)
{
    LK_ASSERT(thread->epoch.active == 0);
    thread_empty(thread);
    thread->pins = 0;
    lki_store_relaxed(&thread->kernel_id, 0);
    lki_store_relaxed(&thread->stalled_since_ms, 0);
    LKI_TSAN_RELEASE(thread->domain);
    ck_epoch_unregister(&thread->epoch);
}

void
lki_thread_detach_all(void)
{
    self_set(0, NULL);
    if (attached.any) {
        pthread_mutex_lock(&registry.latch);
        for (lki_domain *domain = registry.open; domain != NULL; domain = domain->next_open) {
            const attachment *at = attachment_at(domain->number);
            if (at == NULL || at->id != domain->id || !lki_domain_is_ours(domain))
                continue;
            /* A thread that exits inside a section reads no more: ends it, as ck_epoch_end does. */
            ck_pr_fence_release();
            ck_pr_store_uint(&at->thread->epoch.active, 0);
            thread_hand_over(at->thread);
        }
        if (attached.more != NULL && lki_load_relaxed(&exit_state) != EXIT_GONE)
            more_free_latched(attached.more); /* else it is gone, or the process ends */
        pthread_mutex_unlock(&registry.latch);
        if (lki_load_relaxed(&exit_state) == EXIT_MADE)
            pthread_setspecific(exit_key, NULL);
    }
    memset(&attached, 0, sizeof attached);
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
    const lki_allocator *allocator = &thread->allocator;
    if (block->lines != NULL)
        lki_free_lines(allocator, block->lines, block->lines_size);
    lki_free(allocator, block, block->size);
    return true;
}

void
lki_domain_open(lki_domain *domain)
{
    lki_account_open(&domain->account, domain->max_bytes);
    domain->account.pressure = &domain->pressure;
    domain->purse.account = &domain->account;
    domain->allocator.purse = &domain->purse;
    domain->allocator.straight = &lki_purse_none;
    if (domain->dispose[LKI_OBJECT] == NULL)
        domain->dispose[LKI_OBJECT] = object_dispose;
    if (domain->thread_size == 0)
        domain->thread_size = sizeof(lki_thread);
    LK_ASSERT(domain->thread_size >= sizeof(lki_thread));
    pthread_once(&registry_once, registry_begin);
    ck_epoch_init(&domain->epoch);
    domain->forks = registry.forks;
    pthread_mutex_lock(&registry.latch);
    domain->id = domain->account.domain = ++registry.last_id;
    domain->number = 0; /* the smallest that is free */
    lki_domain **link = &registry.open;
    for (; *link != NULL && (*link)->number == domain->number; link = &(*link)->next_open)
        domain->number++;
    domain->next_open = *link;
    *link = domain;
    pthread_mutex_unlock(&registry.latch);
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
        self_set(0, NULL);
    LKI_TSAN_ACQUIRE(domain);
    lki_bags_drain(domain);
    lki_thread *thread = lki_load_acquire(&domain->threads); /* P9 */
    while (thread != NULL) {
        lki_thread *next = thread->next;
        thread_empty(thread);
        lki_free_lines(&domain->allocator, thread, domain->thread_size);
        thread = next;
    }
}

void
lki_reclaim_read(lki_domain *domain, lki_reclaim_report *report)
{
    *report = (lki_reclaim_report){0};
    lki_stalls_record(domain);
    int64_t now = domain->monotonic_ms(domain->clock_context);
    report->retired_bytes = lki_load_relaxed(&domain->retired_bytes);
    uint64_t left = 0;
    for (lki_thread *t = lki_load_acquire(&domain->threads); t != NULL; t = t->next) { /* P9 */
        report->thread_records++;
        report->threads += lki_load_relaxed(&t->kernel_id) != 0;
        report->retired_bytes += lki_load_relaxed(&t->open_bytes);
        left += lki_stat_load(&t->purse.left);
        for (size_t i = 0; i < LKI_COUNTERS; i++)
            report->counter[i] += lki_load_relaxed(&t->counter[i]);
        int64_t since = lki_load_relaxed(&t->stalled_since_ms);
        if (since != 0 &&
            (report->oldest_reader_thread == 0 || now - since > report->oldest_reader_ms)) {
            report->oldest_reader_ms = now - since;
            report->oldest_reader_thread = lki_load_relaxed(&t->kernel_id);
        }
    }
    uint64_t taken = lki_load_relaxed(&domain->account.taken);
    report->allocated_bytes = taken > left ? taken - left : 0;
}
