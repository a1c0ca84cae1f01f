/* SPDX-License-Identifier: MIT
 *
 * Reclamation without a store: what is retired is a thing here that notes what happens to it, and
 * the test says when each thread is in a section, and when the epoch moves. Both records are used
 * by one thread, so each test has one outcome.
 */
#ifndef LATCHKEY_TESTS_THINGS_H
#define LATCHKEY_TESTS_THINGS_H

#include <pthread.h>
#include <unistd.h>

#include "base/pressure.h"
#include "base/reclaim.h"
#include "support/kit.h"

enum { THINGS = 2048, LARGE = 1 << 30 };
enum { THING = 1 }; /* what is retired */

typedef struct thing {
    struct thing *next; /* retired as this one is disposed of */
    size_t next_size;
    unsigned asked, disposed;
    uint64_t stamp; /* of the thread, as it was disposed of */
    bool refused;   /* it cannot be disposed of now */
} thing;

static struct {
    lki_domain domain;
    kit_memory memory;
    int64_t now_ms;
    lki_thread *own, *other;
    pthread_t thread; /* whose record `other` is */
    pthread_barrier_t turn;
    thing things[THINGS];
    size_t used;
} t;

static inline bool
thing_dispose(lki_thread *thread, void *object)
{
    thing *it = object;
    it->asked++;
    if (it->refused)
        return false;
    it->disposed++;
    it->stamp = thread->stamp;
    if (it->next != NULL) {
        assert_true(lki_reserve(thread, 1));
        lki_retire(thread, THING, it->next, it->next_size);
    }
    return true;
}

static inline int64_t
now(void *unused)
{
    (void)unused;
    return t.now_ms;
}

static inline lki_thread *
self(void)
{
    lk_status why;
    lki_thread *thread = lki_thread_self(&t.domain, &why);
    assert_non_null(thread);
    return thread;
}

static inline void *
other_run(void *unused)
{
    (void)unused;
    t.other = self();
    pthread_barrier_wait(&t.turn);
    pthread_barrier_wait(&t.turn);
    return NULL;
}

/* A test that has failed leaves a thread, and a domain that is open. */
static inline void
end_if_failed(void)
{
    if (t.own == NULL)
        return;
    fflush(NULL);
    _exit(1);
}

static inline void
begin(size_t limit)
{
    end_if_failed();
    memset(&t, 0, sizeof t);
    t.now_ms = 1000;
    t.domain.allocator = (lki_allocator){kit_allocate, kit_deallocate, &t.memory, NULL, NULL};
    t.domain.monotonic_ms = now;
    t.domain.max_retired_bytes = limit;
    t.domain.dispose[THING] = thing_dispose;
    lki_domain_open(&t.domain);
    t.own = self();
    pthread_barrier_init(&t.turn, NULL, 2);
    assert_int_equal(pthread_create(&t.thread, NULL, other_run, NULL), 0);
    pthread_barrier_wait(&t.turn);
}

/* All that was retired has been disposed of once, and all memory came back. */
static inline void
end(void)
{
    lki_domain_close(&t.domain);
    pthread_barrier_wait(&t.turn);
    pthread_join(t.thread, NULL);
    pthread_barrier_destroy(&t.turn);
    for (size_t i = 0; i < t.used; i++)
        assert_int_equal(t.things[i].disposed, 1);
    assert_int_equal(atomic_load(&t.memory.blocks), 0);
    assert_false(atomic_load(&t.memory.broken));
    t.own = NULL;
}

/* Without upkeep. */
static inline void
retire(lki_thread *thread, size_t count, size_t size, bool seal)
{
    lki_write_enter(thread);
    assert_true(lki_reserve(thread, count));
    for (size_t i = 0; i < count; i++)
        lki_retire(thread, THING, &t.things[t.used++], size);
    if (seal)
        lki_seal(thread);
    lki_leave(thread);
}

/* What a sealed bag counts with `count` objects of `size` in it. */
static inline size_t
bag_bytes(size_t count, size_t size)
{
    return offsetof(lki_bag, entry) + count * (size + sizeof(uintptr_t));
}

static inline size_t
disposed(void)
{
    size_t count = 0;
    for (size_t i = 0; i < t.used; i++)
        count += t.things[i].disposed;
    return count;
}

static inline size_t
retired_bytes(void)
{
    return lki_load_relaxed(&t.domain.retired_bytes);
}

static inline bool
pressure(void)
{
    return lki_load_relaxed(&t.domain.pressure) != 0;
}

/* By `other`, so that `own` has done nothing. */
static inline void
epoch_move(int times)
{
    while (times-- > 0)
        lki_reclaim_portion(t.other, 0);
}

static inline void
epoch_move_by_own(void)
{
    lki_reclaim_portion(t.own, 0);
}

static inline void
upkeep(lki_thread *thread)
{
    lki_write_enter(thread);
    lki_upkeep(thread);
}

static inline void
stall_is_known(void)
{
    lki_store_relaxed(&t.domain.stalled_at, (uint64_t)1 << 32 | ck_epoch_value(&t.domain.epoch));
}

#endif
