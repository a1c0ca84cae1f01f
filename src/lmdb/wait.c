/* SPDX-License-Identifier: MIT
 *
 * Waiting for jobs; see wait.h. One process has the database, so a mutex and a list of waiters will
 * do. A queue that nobody waits for costs a look at the list.
 *
 * A waiter joins the list, then looks, then sleeps until it is notified. A call that makes a job
 * visible commits first and notifies second: either the look sees the job, or the notification
 * finds the waiter.
 *
 * Guarantees  Each visible job notifies one waiter of its queue: the one that has waited longest
 *             and was not notified yet. A waiter that leaves hands on a notification that came
 *             after its last look. If something is due at a time, some waiter of the queue wakes by
 *             then: a notification for a time wakes one if none would, and a waiter that leaves
 *             hands its watch on.
 */
#include "lmdb/wait.h"

#include <errno.h>
#include <time.h>

#include "lmdb/watch.h"

/* A clock of the caller's may move at any time, so a waiter looks at it now and then. */
enum { HOOKED_SLICE_MS = 5, SLICE_MAX_MS = 60 * 1000 };

lk_status
lki_lmdb_waiter_join(lki_lmdb *store, lki_lmdb_waiter *waiter, const lki_lmdb_key *queue)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return LK_NO_MEMORY;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&waiter->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (failed != 0)
        return LK_NO_MEMORY;
    waiter->queue = queue;
    waiter->notified = false;
    waiter->wake_at = INT64_MAX;
    waiter->next = NULL;
    pthread_mutex_lock(&store->wait_latch);
    LKI_LMDB_ASSERT((store->first_waiter == NULL) == (store->last_waiter == NULL));
    waiter->previous = store->last_waiter;
    if (store->last_waiter != NULL)
        store->last_waiter->next = waiter;
    else
        store->first_waiter = waiter;
    store->last_waiter = waiter;
    pthread_mutex_unlock(&store->wait_latch);
    return LK_OK;
}

void
lki_lmdb_waiter_look(lki_lmdb *store, lki_lmdb_waiter *waiter)
{
    pthread_mutex_lock(&store->wait_latch);
    waiter->notified = false;
    waiter->wake_at = INT64_MAX; /* it watches over no time until it has looked */
    pthread_mutex_unlock(&store->wait_latch);
}

static void
slice_sleep(lki_lmdb *store, lki_lmdb_waiter *waiter, int64_t ms)
{
    int64_t slice_ms = store->monotonic_is_hooked ? HOOKED_SLICE_MS : SLICE_MAX_MS;
    struct timespec until;
    if (ms > slice_ms)
        ms = slice_ms;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&waiter->wake, &store->wait_latch, &until);
}

void
lki_lmdb_waiter_sleep(lki_lmdb *store, lki_lmdb_waiter *waiter, int64_t due, int64_t end)
{
    int64_t until = due < end ? due : end;
    pthread_mutex_lock(&store->wait_latch);
    waiter->wake_at = until;
    while (!waiter->notified) {
        int64_t time = lki_lmdb_time(store, lki_lmdb_monotonic(store));
        if (time >= until)
            break;
        slice_sleep(store, waiter, lki_lmdb_span(time, until));
    }
    pthread_mutex_unlock(&store->wait_latch);
}

/* ---- notifications ---- */

static bool
waiter_is_of(const lki_lmdb_waiter *waiter, lk_bytes pk)
{
    return pk.size == 0 || lk_bytes_compare(lki_lmdb_key_pk(waiter->queue), pk) == 0;
}

static void
notify_latched(lki_lmdb *store, lk_bytes pk, size_t count)
{
    for (lki_lmdb_waiter *w = store->first_waiter; w != NULL && count > 0; w = w->next) {
        if (w->notified || !waiter_is_of(w, pk))
            continue;
        w->notified = true;
        pthread_cond_signal(&w->wake);
        count--;
    }
}

static void
notify_at_latched(lki_lmdb *store, lk_bytes pk, int64_t time)
{
    for (const lki_lmdb_waiter *w = store->first_waiter; w != NULL; w = w->next)
        if (waiter_is_of(w, pk) && (w->notified || w->wake_at <= time))
            return; /* it looks by then */
    notify_latched(store, pk, 1);
}

void
lki_lmdb_notify(lki_lmdb *store, lk_bytes pk, size_t count)
{
    pthread_mutex_lock(&store->wait_latch);
    notify_latched(store, pk, count);
    pthread_mutex_unlock(&store->wait_latch);
    lki_lmdb_watch_raise(store, pk);
}

void
lki_lmdb_notify_all(lki_lmdb *store, lk_bytes pk)
{
    pthread_mutex_lock(&store->wait_latch);
    notify_latched(store, pk, SIZE_MAX);
    pthread_mutex_unlock(&store->wait_latch);
}

void
lki_lmdb_notify_at(lki_lmdb *store, lk_bytes pk, int64_t time)
{
    if (time == INT64_MAX)
        return;
    pthread_mutex_lock(&store->wait_latch);
    notify_at_latched(store, pk, time);
    pthread_mutex_unlock(&store->wait_latch);
    lki_lmdb_watch_refresh(store, pk);
}

void
lki_lmdb_notify_after(lki_lmdb *store, lk_bytes pk, size_t count, int64_t time, int64_t delay_ms)
{
    if (delay_ms == 0)
        lki_lmdb_notify(store, pk, count);
    else
        lki_lmdb_notify_at(store, pk, lki_lmdb_after(time, delay_ms));
}

void
lki_lmdb_waiter_leave(lki_lmdb *store, lki_lmdb_waiter *waiter, int64_t due)
{
    lk_bytes pk = lki_lmdb_key_pk(waiter->queue);
    pthread_mutex_lock(&store->wait_latch);
    LKI_LMDB_ASSERT((waiter->previous != NULL ? waiter->previous->next : store->first_waiter) ==
                    waiter);
    LKI_LMDB_ASSERT((waiter->next != NULL ? waiter->next->previous : store->last_waiter) == waiter);
    if (waiter->previous != NULL)
        waiter->previous->next = waiter->next;
    else
        store->first_waiter = waiter->next;
    if (waiter->next != NULL)
        waiter->next->previous = waiter->previous;
    else
        store->last_waiter = waiter->previous;
    if (waiter->notified)
        notify_latched(store, pk, 1);
    if (due != INT64_MAX)
        notify_at_latched(store, pk, due);
    pthread_mutex_unlock(&store->wait_latch);
    pthread_cond_destroy(&waiter->wake);
}
