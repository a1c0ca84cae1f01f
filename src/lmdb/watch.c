/* SPDX-License-Identifier: MIT
 *
 * Descriptors of queues, for poll, select and epoll; see watch.h. lk_queue_fd is called through the
 * table of operations.
 *
 * A descriptor is an epoll instance over an eventfd (something is visible) and a timerfd (something
 * will be, though nobody notifies). A call that makes a job visible raises the descriptor. A call
 * that changes jobs refreshes it: both are drained, then the queue is looked at, then the
 * descriptor is raised again or the timer is set. All of that is under one latch, so a look is
 * never older than the one before it; and a job that is committed after a look is raised after it.
 * A descriptor may be readable in vain, and is never unreadable in vain.
 */
#include "lmdb/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lmdb/look.h"
#include "lmdb/operations.h"

struct lki_lmdb_watch {
    lki_lmdb_watch *next;
    int poll_fd, event_fd, timer_fd;
    lki_lmdb_key queue; /* its frame */
};

static void
watch_free(lki_lmdb_watch *watch)
{
    const int fds[] = {watch->poll_fd, watch->event_fd, watch->timer_fd};
    for (size_t i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(watch);
}

void
lki_lmdb_watches_free(lki_lmdb *store)
{
    while (store->watches != NULL) {
        lki_lmdb_watch *watch = store->watches;
        store->watches = watch->next;
        watch_free(watch);
    }
}

static lki_lmdb_watch *
watch_new(lk_bytes pk)
{
    lki_lmdb_watch *watch = malloc(sizeof *watch);
    if (watch == NULL)
        return NULL;
    lki_lmdb_key_frame(&watch->queue, pk);
    watch->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watch->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    bool made = watch->poll_fd >= 0 && watch->event_fd >= 0 && watch->timer_fd >= 0;
    const int fds[] = {watch->event_fd, watch->timer_fd};
    for (size_t i = 0; made && i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN};
        made = epoll_ctl(watch->poll_fd, EPOLL_CTL_ADD, fds[i], &event) == 0;
    }
    if (made)
        return watch;
    watch_free(watch);
    return NULL;
}

static lki_lmdb_watch *
watch_find_latched(const lki_lmdb *store, lk_bytes pk)
{
    lki_lmdb_watch *watch = store->watches;
    while (watch != NULL && lk_bytes_compare(lki_lmdb_key_pk(&watch->queue), pk) != 0)
        watch = watch->next;
    return watch;
}

/* ---- up and down ---- */

static void
descriptor_raise(const lki_lmdb_watch *watch)
{
    uint64_t one = 1;
    (void)!write(watch->event_fd, &one, sizeof one); /* full is raised, too */
}

static void
descriptor_drain(const lki_lmdb_watch *watch)
{
    uint64_t ignored;
    (void)!read(watch->event_fd, &ignored, sizeof ignored);
    (void)!read(watch->timer_fd, &ignored, sizeof ignored);
}

/* Lets the timer fire in so many milliseconds; negative: never. */
static void
timer_set(const lki_lmdb_watch *watch, int64_t ms)
{
    struct itimerspec when = {.it_value = {0, 0}};
    if (ms >= 0) {
        when.it_value.tv_sec = (time_t)(ms / 1000);
        when.it_value.tv_nsec = (long)(ms % 1000) * 1000000 + 1; /* 0 would stop it */
    }
    timerfd_settime(watch->timer_fd, 0, &when, NULL);
}

static void
watch_refresh_latched(lki_lmdb *store, const lki_lmdb_watch *watch)
{
    lki_lmdb_sight sight;
    descriptor_drain(watch);
    lk_status status = lki_lmdb_look(store, &watch->queue, &sight);
    if (status != LK_EMPTY) { /* a job, or closed, or no way to find out */
        descriptor_raise(watch);
        return;
    }
    int64_t ms = -1;
    if (sight.first_due != INT64_MAX)
        ms = sight.first_due > sight.time ? lki_lmdb_span(sight.time, sight.first_due) : 0;
    timer_set(watch, ms);
}

void
lki_lmdb_watch_raise(lki_lmdb *store, lk_bytes pk)
{
    int saved = errno;
    pthread_mutex_lock(&store->watch_latch);
    const lki_lmdb_watch *watch = watch_find_latched(store, pk);
    if (watch != NULL)
        descriptor_raise(watch);
    pthread_mutex_unlock(&store->watch_latch);
    errno = saved;
}

void
lki_lmdb_watch_refresh(lki_lmdb *store, lk_bytes pk)
{
    int saved = errno;
    pthread_mutex_lock(&store->watch_latch);
    for (const lki_lmdb_watch *watch = store->watches; watch != NULL; watch = watch->next)
        if (pk.size == 0 || lk_bytes_compare(lki_lmdb_key_pk(&watch->queue), pk) == 0)
            watch_refresh_latched(store, watch);
    pthread_mutex_unlock(&store->watch_latch);
    errno = saved;
}

lk_status
lki_lmdb_queue_fd(void *state, lk_bytes pk, int *fd)
{
    lki_lmdb *store = state;
    int saved = errno;
    pthread_mutex_lock(&store->watch_latch);
    lki_lmdb_watch *watch = watch_find_latched(store, pk);
    if (watch == NULL && (watch = watch_new(pk)) != NULL) {
        watch->next = store->watches;
        store->watches = watch;
        watch_refresh_latched(store, watch);
    }
    if (watch != NULL)
        *fd = watch->poll_fd;
    pthread_mutex_unlock(&store->watch_latch);
    errno = saved;
    return watch != NULL ? LK_OK : LK_NO_MEMORY;
}
