/* SPDX-License-Identifier: MIT
 *
 * See watch.h. lk_queue_fd is called through the table of operations.
 *
 * A descriptor is an eventfd. What this process makes ready raises it at once. All else the watcher
 * finds: it looks at each queue when a job comes due there, and every so often, with pauses that
 * grow while nothing changes. A look lowers a descriptor only where nothing has happened in this
 * process since it began, and no other look was told of; so a descriptor may be readable in vain
 * for a moment, and is unreadable in vain only until the next look, where another process has
 * pushed.
 */
#include "postgres/watch.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "postgres/operations.h"

enum { PAUSE_FIRST_MS = 10, PAUSE_LAST_MS = 1000 };

struct lki_pg_watch {
    lki_pg_watch *next;
    lki_pg_queue *queue; /* taken: it stays */
    int fd;
    bool raised;
    int64_t look_at_ms, pause_ms; /* lki_pg_clock_ms */
};

/* ---- looks ---- */

lk_status
lki_pg_look(lki_pg *store, lk_bytes pk, lki_pg_sight *sight)
{
    lki_pg_parameters p = {.count = 0};
    PGresult *answer;
    int64_t ready, unready, closed;
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    lki_pg_add_bytes(&p, pk);
    lk_status status = lki_pg_call(store, LKI_PG_QUEUE_LOOK, true, &p, &answer);
    if (status != LK_OK)
        return status;
    sight->due_ms = INT64_MAX;
    if (PQntuples(answer) != 1 || !lki_pg_read_number(answer, 0, 0, &ready) ||
        !lki_pg_read_number(answer, 0, 1, &unready) || !lki_pg_read_number(answer, 0, 3, &closed))
        status = LK_UNAVAILABLE;
    else
        (void)lki_pg_read_number(answer, 0, 2, &sight->due_ms);
    PQclear(answer);
    if (status != LK_OK)
        return status;
    sight->closed = closed != 0;
    sight->over = closed != 0 && ready == 0 && unready == 0;
    sight->ready = sight->over || ready != 0 || sight->due_ms <= lki_pg_job_now_ms(store);
    return LK_OK;
}

/* ---- writers ---- */

/* Is one of `before` among those of an answer? */
static bool
writer_is_left(const PGresult *before, const PGresult *now)
{
    for (int i = 0; i < PQntuples(now); i++)
        for (int j = 0; j < PQntuples(before); j++) {
            int64_t a, b;
            if (lki_pg_read_number(now, i, 0, &a) && lki_pg_read_number(before, j, 0, &b) && a == b)
                return true;
        }
    return false;
}

lk_status
lki_pg_writers_wait(lki_pg *store)
{
    PGresult *before, *now;
    lk_status status = lki_pg_call(store, LKI_PG_WRITERS, true, NULL, &before);
    if (status != LK_OK)
        return status;
    bool left = PQntuples(before) != 0;
    for (int tries = 0; status == LK_OK && left; tries++) {
        if (lki_pg_clock_ms() >= lki_pg_until_ms())
            status = LK_UNAVAILABLE;
        lki_pg_pause(tries);
        if (status == LK_OK)
            status = lki_pg_call(store, LKI_PG_WRITERS, true, NULL, &now);
        if (status != LK_OK)
            break;
        left = writer_is_left(before, now);
        PQclear(now);
    }
    PQclear(before);
    return status;
}

/* ---- up and down ---- */

static void
raise_latched(lki_pg_watch *watch)
{
    uint64_t one = 1;
    if (!watch->raised)
        (void)!write(watch->fd, &one, sizeof one);
    watch->raised = true;
}

static void
lower_latched(lki_pg_watch *watch)
{
    uint64_t ignored;
    if (watch->raised)
        (void)!read(watch->fd, &ignored, sizeof ignored);
    watch->raised = false;
}

static lki_pg_watch *
watch_find_latched(const lki_pg *store, const lki_pg_queue *queue)
{
    lki_pg_watch *watch = store->watches;
    while (watch != NULL && watch->queue != queue)
        watch = watch->next;
    return watch;
}

static void
look_soon_latched(lki_pg *store, lki_pg_watch *watch)
{
    watch->pause_ms = PAUSE_FIRST_MS;
    watch->look_at_ms = 0;
    pthread_cond_signal(&store->watcher_wake);
}

void
lki_pg_watch_news(lki_pg *store, const lki_pg_queue *queue, bool now, bool soon)
{
    lki_pg_watch *watch = watch_find_latched(store, queue);
    if (watch == NULL)
        return;
    if (now)
        raise_latched(watch);
    if (soon) {
        look_soon_latched(store, watch);
        return;
    }
    int64_t later_ms = lki_pg_clock_ms() + PAUSE_FIRST_MS;
    if (watch->look_at_ms > later_ms && watch->look_at_ms != INT64_MAX) {
        watch->look_at_ms = later_ms;
        pthread_cond_signal(&store->watcher_wake);
    }
}

/* The next look is when a job comes due, or after a pause. */
static void
sight_apply_latched(lki_pg *store, lki_pg_watch *watch, const lki_pg_sight *sight)
{
    bool as_before = watch->raised == sight->ready;
    int64_t now_ms = lki_pg_clock_ms();
    watch->queue->closed |= sight->closed;
    watch->queue->looks++;
    if (sight->ready)
        raise_latched(watch);
    else
        lower_latched(watch);
    watch->pause_ms = !as_before                            ? PAUSE_FIRST_MS
                      : watch->pause_ms < PAUSE_LAST_MS / 2 ? watch->pause_ms * 2
                                                            : PAUSE_LAST_MS;
    watch->look_at_ms = now_ms + watch->pause_ms;
    if (!sight->ready && sight->due_ms != INT64_MAX) {
        int64_t left_ms = sight->due_ms - lki_pg_job_now_ms(store);
        if (left_ms < watch->pause_ms)
            watch->look_at_ms = now_ms + (left_ms > 1 ? left_ms : 1);
    }
}

uint64_t
lki_pg_watch_begin_latched(const lki_pg_queue *queue)
{
    return queue->news + queue->looks;
}

/* One that is not the last to have begun may be older than what was told since. It raises all the
 * same. */
static void
tell_latched(lki_pg *store, lki_pg_watch *watch, uint64_t begun, const lki_pg_sight *sight)
{
    if (sight->ready || lki_pg_watch_begin_latched(watch->queue) == begun)
        sight_apply_latched(store, watch, sight);
    else
        look_soon_latched(store, watch);
}

void
lki_pg_watch_tell(lki_pg *store, lki_pg_queue *queue, uint64_t begun, const lki_pg_sight *sight)
{
    pthread_mutex_lock(&store->queues_latch);
    lki_pg_watch *watch = watch_find_latched(store, queue);
    if (watch != NULL)
        tell_latched(store, watch, begun, sight);
    pthread_mutex_unlock(&store->queues_latch);
}

/* ---- the watcher ---- */

/* Looks once, without the latch meanwhile. Where the server is not there the descriptor is raised:
 * who pulls then learns of it. */
static void
watch_look_latched(lki_pg *store, lki_pg_watch *watch)
{
    lki_pg_queue *queue = watch->queue;
    lki_pg_sight sight = {.ready = true, .due_ms = INT64_MAX};
    uint64_t begun = lki_pg_watch_begin_latched(queue);
    lki_pg_time_begin(store);
    watch->look_at_ms = INT64_MAX; /* until this one is over, or there are news */
    pthread_mutex_unlock(&store->queues_latch);
    lk_status status = lki_pg_look(store, (lk_bytes){queue->pk, queue->pk_size}, &sight);
    if (status != LK_OK)
        sight = (lki_pg_sight){.ready = true, .due_ms = INT64_MAX};
    pthread_mutex_lock(&store->queues_latch);
    tell_latched(store, watch, begun, &sight);
}

static lki_pg_watch *
watch_first_latched(const lki_pg *store)
{
    lki_pg_watch *first = store->watches;
    for (lki_pg_watch *watch = first; watch != NULL; watch = watch->next)
        if (watch->look_at_ms < first->look_at_ms)
            first = watch;
    return first;
}

static void *
watcher_run(void *state)
{
    lki_pg *store = state;
    pthread_mutex_lock(&store->queues_latch);
    while (!store->watcher_ends) {
        lki_pg_watch *first = watch_first_latched(store);
        if (first != NULL && first->look_at_ms <= lki_pg_clock_ms()) {
            watch_look_latched(store, first);
        } else if (first == NULL || first->look_at_ms == INT64_MAX) {
            pthread_cond_wait(&store->watcher_wake, &store->queues_latch);
        } else {
            (void)lki_pg_cond_wait(&store->watcher_wake, &store->queues_latch, first->look_at_ms);
        }
    }
    pthread_mutex_unlock(&store->queues_latch);
    return NULL;
}

/* The program's signals are not for it. */
static bool
watcher_begin_latched(lki_pg *store)
{
    sigset_t all, before;
    if (store->has_watcher)
        return true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    store->has_watcher = pthread_create(&store->watcher, NULL, watcher_run, store) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return store->has_watcher;
}

/* ---- descriptors ---- */

/* NULL: no memory, no descriptors, no threads. */
static lki_pg_watch *
watch_make_latched(lki_pg *store, lki_pg_queue *queue)
{
    lki_pg_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return NULL;
    watch->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->fd < 0 || !watcher_begin_latched(store)) {
        if (watch->fd >= 0)
            close(watch->fd);
        free(watch);
        return NULL;
    }
    queue->users++;
    watch->queue = queue;
    watch->pause_ms = PAUSE_FIRST_MS;
    watch->look_at_ms = INT64_MAX; /* its maker looks */
    watch->next = store->watches;
    store->watches = watch;
    return watch;
}

lk_status
lki_pg_queue_fd(void *state, lk_bytes pk, int *fd)
{
    lki_pg *store = state;
    lki_pg_queue *queue;
    lk_status status = lki_pg_queue_take(store, pk, &queue);
    if (status != LK_OK)
        return status;
    pthread_mutex_lock(&store->queues_latch);
    lki_pg_watch *watch = watch_find_latched(store, queue);
    if (watch == NULL) {
        watch = watch_make_latched(store, queue);
        if (watch != NULL)
            watch_look_latched(store, watch);
    }
    if (watch != NULL) {
        *fd = watch->fd;
        if (watch->look_at_ms != INT64_MAX)
            pthread_cond_signal(&store->watcher_wake);
    }
    pthread_mutex_unlock(&store->queues_latch);
    lki_pg_queue_give(store, queue);
    return watch != NULL ? LK_OK : LK_NO_MEMORY;
}

void
lki_pg_watches_free(lki_pg *store)
{
    pthread_mutex_lock(&store->queues_latch);
    store->watcher_ends = true;
    pthread_cond_signal(&store->watcher_wake);
    pthread_mutex_unlock(&store->queues_latch);
    if (store->has_watcher)
        pthread_join(store->watcher, NULL);
    while (store->watches != NULL) {
        lki_pg_watch *watch = store->watches;
        store->watches = watch->next;
        close(watch->fd);
        lki_pg_queue_give(store, watch->queue);
        free(watch);
    }
}
