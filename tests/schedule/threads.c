/* SPDX-License-Identifier: MIT
 *
 * Threads' functions for fibers. See threads.h.
 */
#define _GNU_SOURCE
#include "schedule/threads.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "schedule/clock.h"
#include "schedule/engine.h"
#include "schedule/instead.h"
#include "schedule/memory.h"
#include "schedule/points.h"
#include "schedule/policy.h"
#include "schedule/report.h"

enum { NS_PER_S = 1000000000, FIRST_ID = 1000 };

static int64_t
time_of(const struct timespec *t)
{
    return (int64_t)t->tv_sec * NS_PER_S + t->tv_nsec;
}

/* ---- latches ---- */

static uint32_t *
latch_word(pthread_mutex_t *m)
{
    return (uint32_t *)(void *)m;
}

static bool
latch_try(pthread_mutex_t *m)
{
    if (*latch_word(m) != 0)
        return false;
    *latch_word(m) = engine.current + 1;
    if (engine.weak)
        memory_acquire(engine.current, m);
    return true;
}

int
schedule_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attributes)
{
    (void)attributes;
    points_write(m, sizeof *m);
    memset(m, 0, sizeof *m);
    return 0;
}

int
schedule_pthread_mutex_destroy(pthread_mutex_t *m)
{
    if (*latch_word(m) != 0)
        schedule_fail("a latch that fiber %u holds is destroyed", *latch_word(m) - 1);
    return 0;
}

int
schedule_pthread_mutex_lock(pthread_mutex_t *m)
{
    points_sync(m);
    if (*latch_word(m) == engine.current + 1)
        schedule_fail("fiber %u waits for a latch that it holds", engine.current);
    while (!latch_try(m))
        engine_wait(m, ENGINE_NEVER);
    return 0;
}

int
schedule_pthread_mutex_trylock(pthread_mutex_t *m)
{
    points_sync(m);
    return latch_try(m) ? 0 : EBUSY;
}

static void
latch_drop(pthread_mutex_t *m)
{
    if (*latch_word(m) != engine.current + 1)
        schedule_fail("fiber %u drops a latch that it does not hold", engine.current);
    if (engine.weak)
        memory_release(engine.current, m);
    *latch_word(m) = 0;
    engine_wake(m, UINT32_MAX);
}

int
schedule_pthread_mutex_unlock(pthread_mutex_t *m)
{
    points_sync(m);
    latch_drop(m);
    return 0;
}

/* ---- conditions ---- */

int
schedule_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attributes)
{
    (void)attributes; /* all of the library's are of the monotonic clock */
    memset(c, 0, sizeof *c);
    return 0;
}

int
schedule_pthread_cond_destroy(pthread_cond_t *c)
{
    (void)c;
    return 0;
}

static bool
condition_wait(pthread_cond_t *c, pthread_mutex_t *m, int64_t deadline_ns)
{
    points_sync(c);
    bool in_time = true;
    if (engine.current != 0 && !engine.fiber[engine.current].keeps_on)
        schedule_fail("fiber %u could be cancelled where it waits, inside of a call",
                      engine.current);
    latch_drop(m);
    if (deadline_ns > clock_now_ns())
        in_time = engine_wait(c, deadline_ns);
    else
        in_time = false;
    while (!latch_try(m))
        engine_wait(m, ENGINE_NEVER);
    return in_time;
}

int
schedule_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    condition_wait(c, m, ENGINE_NEVER);
    return 0;
}

int
schedule_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
    return condition_wait(c, m, time_of(until)) ? 0 : ETIMEDOUT;
}

int
schedule_pthread_cond_signal(pthread_cond_t *c)
{
    points_sync(c);
    engine_wake(c, 1);
    return 0;
}

int
schedule_pthread_cond_broadcast(pthread_cond_t *c)
{
    points_sync(c);
    engine_wake(c, UINT32_MAX);
    return 0;
}

/* ---- once, keys ---- */

int
schedule_pthread_once(pthread_once_t *once, void (*begin)(void))
{
    enum { BEGUN = 1, ENDED = 2 };
    points_sync(once);
    while (*once == BEGUN)
        engine_wait(once, ENGINE_NEVER);
    if (*once != ENDED) {
        *once = BEGUN;
        begin();
        if (engine.weak)
            memory_release(engine.current, once);
        *once = ENDED;
        engine_wake(once, UINT32_MAX);
    } else if (engine.weak) {
        memory_acquire(engine.current, once);
    }
    return 0;
}

static struct {
    bool is_used;
    void (*destructor)(void *);
} keys[ENGINE_KEYS];

int
schedule_pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    for (uint32_t i = 0; i < ENGINE_KEYS; i++)
        if (!keys[i].is_used) {
            keys[i].is_used = true;
            keys[i].destructor = destructor;
            *key = i;
            return 0;
        }
    return EAGAIN;
}

int
schedule_pthread_key_delete(pthread_key_t key)
{
    keys[key].is_used = false;
    return 0;
}

void *
schedule_pthread_getspecific(pthread_key_t key)
{
    return engine.fiber[engine.current].specific[key];
}

int
schedule_pthread_setspecific(pthread_key_t key, const void *value)
{
    engine.fiber[engine.current].specific[key] = (void *)(uintptr_t)value;
    return 0;
}

void
threads_exit(void)
{
    for (uint32_t i = 0; i < ENGINE_KEYS; i++) {
        void *value = engine.fiber[engine.current].specific[i];
        engine.fiber[engine.current].specific[i] = NULL;
        if (value != NULL && keys[i].is_used && keys[i].destructor != NULL)
            keys[i].destructor(value);
    }
}

int
schedule_pthread_setcancelstate(int state, int *before)
{
    engine_fiber *self = &engine.fiber[engine.current];
    *before = self->keeps_on ? PTHREAD_CANCEL_DISABLE : PTHREAD_CANCEL_ENABLE;
    self->keeps_on = state == PTHREAD_CANCEL_DISABLE;
    return 0;
}

int
schedule_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    (void)prepare;
    (void)parent;
    (void)child;
    return 0; /* nobody forks in a schedule */
}

/* ---- the kernel ---- */

int
schedule_sched_yield(void)
{
    engine_yield();
    return 0;
}

void
schedule_pause(void)
{
    engine_yield();
}

/* No order comes with it: what a sleeper may see it has to learn from the words. */
static long
futex(uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
    points_sync(word);
    switch (operation & ~FUTEX_PRIVATE_FLAG) {
    case FUTEX_WAIT:
        if (*word != value) {
            errno = EAGAIN;
            return -1;
        }
        if (engine_wait(word, timeout == NULL ? ENGINE_NEVER : clock_now_ns() + time_of(timeout)))
            return 0;
        errno = ETIMEDOUT;
        return -1;
    case FUTEX_WAKE:
        return (long)engine_wake(word, value);
    default:
        report_misuse("a futex operation that is not known: %d", operation);
    }
}

long
schedule_syscall(long number, ...)
{
    va_list rest;
    va_start(rest, number);
    long result = 0;
    if (number == SYS_futex) {
        uint32_t *word = va_arg(rest, uint32_t *);
        int operation = va_arg(rest, int);
        uint32_t value = va_arg(rest, uint32_t);
        result = futex(word, operation, value, va_arg(rest, const struct timespec *));
    } else if (number == SYS_gettid) {
        result = FIRST_ID + (long)engine.current;
    } else {
        report_misuse("a system call that is not known: %ld", number);
    }
    va_end(rest);
    return result;
}

ssize_t
schedule_getrandom(void *to, size_t size, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)to)[i] = (unsigned char)(policy_random() >> 24);
    return (ssize_t)size;
}

/* A machine that is the same everywhere. */
long
schedule_sysconf(int name)
{
    switch (name) {
    case _SC_NPROCESSORS_ONLN:
        return 2;
    case _SC_PHYS_PAGES:
        return 1 << 20;
    case _SC_PAGESIZE:
        return 4096;
    default:
        report_misuse("sysconf is asked for %d, which is not known", name);
    }
}
