/* SPDX-License-Identifier: MIT
 *
 * See queue.h.
 */
#include "postgres/queue.h"

#include <stdlib.h>
#include <string.h>

#include "postgres/watch.h"

enum { QUEUES_KEPT = 1024 };

/* ---- the table ---- */

static lki_pg_queue **
bucket_of(lki_pg *store, lk_bytes pk)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < pk.size; i++)
        hash = (hash ^ ((const unsigned char *)pk.data)[i]) * UINT64_C(1099511628211);
    return &store->queues[(hash ^ hash >> 32) % LKI_PG_BUCKETS];
}

static lki_pg_queue *
queue_new(lk_bytes pk)
{
    lki_pg_queue *queue = calloc(1, sizeof *queue + pk.size);
    if (queue == NULL)
        return NULL;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    queue->due_at_ms = INT64_MIN;
    queue->pk_size = pk.size;
    memcpy(queue->pk, pk.data, pk.size);
    return queue;
}

static void
queue_free(lki_pg_queue *queue)
{
    pthread_cond_destroy(&queue->wake);
    free(queue);
}

/* [latch] */
static lki_pg_queue *
queue_find(lki_pg *store, lk_bytes pk)
{
    lki_pg_queue *queue = *bucket_of(store, pk);
    while (queue != NULL && (queue->pk_size != pk.size || memcmp(queue->pk, pk.data, pk.size) != 0))
        queue = queue->next;
    return queue;
}

static bool
queue_has_counts(const lki_pg_queue *queue)
{
    for (int i = 0; i < LKI_PG_COUNTERS; i++)
        if (queue->counts[i] != 0)
            return true;
    return false;
}

/* [latch] Forgets the queues of a bucket that nobody uses and that have nothing to tell. */
static void
bucket_trim(lki_pg *store, lki_pg_queue **link)
{
    while (*link != NULL) {
        lki_pg_queue *queue = *link;
        if (queue->users != 0 || queue_has_counts(queue)) {
            link = &queue->next;
            continue;
        }
        *link = queue->next;
        queue_free(queue);
        store->queue_count--;
    }
}

lk_status
lki_pg_queue_take(lki_pg *store, lk_bytes pk, lki_pg_queue **taken)
{
    pthread_mutex_lock(&store->queues_latch);
    lki_pg_queue *queue = queue_find(store, pk);
    if (queue == NULL) {
        lki_pg_queue **bucket = bucket_of(store, pk);
        if (store->queue_count >= QUEUES_KEPT)
            bucket_trim(store, bucket);
        queue = queue_new(pk);
        if (queue != NULL) {
            queue->next = *bucket;
            *bucket = queue;
            store->queue_count++;
        }
    }
    if (queue != NULL) {
        queue->users++;
        queue->used_at_ms = lki_pg_clock_ms();
    }
    pthread_mutex_unlock(&store->queues_latch);
    *taken = queue;
    return queue == NULL ? LK_NO_MEMORY : LK_OK;
}

void
lki_pg_queue_give(lki_pg *store, lki_pg_queue *queue)
{
    pthread_mutex_lock(&store->queues_latch);
    LKI_PG_ASSERT(queue->users != 0);
    queue->users--;
    pthread_mutex_unlock(&store->queues_latch);
}

void
lki_pg_queue_add(lki_pg *store, lki_pg_queue *queue, lki_pg_counter counter, uint64_t n)
{
    pthread_mutex_lock(&store->queues_latch);
    queue->counts[counter] += n;
    pthread_mutex_unlock(&store->queues_latch);
}

void
lki_pg_queue_add_to(lki_pg *store, lk_bytes pk, lki_pg_counter counter, uint64_t n)
{
    lki_pg_queue *queue;
    if (n == 0 || lki_pg_queue_take(store, pk, &queue) != LK_OK)
        return;
    lki_pg_queue_add(store, queue, counter, n);
    lki_pg_queue_give(store, queue);
}

static void
news_latched(lki_pg *store, lki_pg_queue *queue, lki_pg_news what, int64_t due_at_ms)
{
    bool ready = what == LKI_PG_READY || what == LKI_PG_FRONT;
    bool over = what == LKI_PG_GONE && queue->closed;
    queue->news += what != LKI_PG_GONE || over; /* what goes makes nothing ready */
    if (what == LKI_PG_FRONT) {
        queue->fronts++;
        queue->has_from = false;
    }
    if (what == LKI_PG_LATER && due_at_ms < queue->due_at_ms)
        queue->due_at_ms = due_at_ms;
    lki_pg_watch_news(store, queue, ready || over, what != LKI_PG_GONE || over);
    if (queue->waiters != 0 && (what != LKI_PG_GONE || over))
        pthread_cond_broadcast(&queue->wake);
}

void
lki_pg_queue_tell(lki_pg *store, lk_bytes pk, lki_pg_news what, int64_t due_at_ms)
{
    pthread_mutex_lock(&store->queues_latch);
    lki_pg_queue *queue = queue_find(store, pk);
    if (queue != NULL)
        news_latched(store, queue, what, due_at_ms);
    pthread_mutex_unlock(&store->queues_latch);
}

void
lki_pg_queues_tell(lki_pg *store)
{
    pthread_mutex_lock(&store->queues_latch);
    for (int i = 0; i < LKI_PG_BUCKETS; i++)
        for (lki_pg_queue *queue = store->queues[i]; queue != NULL; queue = queue->next)
            news_latched(store, queue, LKI_PG_GONE, 0);
    pthread_mutex_unlock(&store->queues_latch);
}

void
lki_pg_queue_seen_closed(lki_pg *store, lk_bytes pk)
{
    pthread_mutex_lock(&store->queues_latch);
    lki_pg_queue *queue = queue_find(store, pk);
    if (queue != NULL) {
        queue->closed = true;
        news_latched(store, queue, LKI_PG_GONE, 0);
    }
    pthread_mutex_unlock(&store->queues_latch);
}

/* ---- counters ---- */

lk_status
lki_pg_queue_flush(lki_pg *store, lki_pg_queue *queue)
{
    uint64_t counts[LKI_PG_COUNTERS];
    lki_pg_parameters p = {.count = 0};
    pthread_mutex_lock(&store->queues_latch);
    bool has = queue_has_counts(queue);
    memcpy(counts, queue->counts, sizeof counts);
    memset(queue->counts, 0, sizeof counts);
    pthread_mutex_unlock(&store->queues_latch);
    if (!has)
        return LK_OK;
    lki_pg_add_bytes(&p, (lk_bytes){queue->pk, queue->pk_size});
    for (int i = 0; i < LKI_PG_COUNTERS; i++)
        lki_pg_add_number(&p, (int64_t)counts[i]);
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    PGresult *answer;
    lk_status status = lki_pg_call(store, LKI_PG_QUEUE_COUNT, false, &p, &answer);
    if (status == LK_OK)
        PQclear(answer);
    else if (status != LK_UNKNOWN)
        for (int i = 0; i < LKI_PG_COUNTERS; i++)
            lki_pg_queue_add(store, queue, (lki_pg_counter)i, counts[i]);
    return status == LK_UNKNOWN ? LK_OK : status; /* they are there, or lost */
}

void
lki_pg_queues_free(lki_pg *store)
{
    lk_status status = LK_OK;
    for (int i = 0; i < LKI_PG_BUCKETS; i++)
        while (store->queues[i] != NULL) {
            lki_pg_queue *queue = store->queues[i];
            LKI_PG_ASSERT(queue->users == 0);
            store->queues[i] = queue->next;
            if (status == LK_OK) /* with the server gone, each would wait for it */
                status = lki_pg_queue_flush(store, queue);
            queue_free(queue);
        }
}

/* ---- generated sks ---- */

/* A second at a time is marked on the server before sks of it are given out. A handle begins behind
 * the mark where the clock has not passed it: so sks grow over a restart, whatever the clock did.
 */
enum { MARK_MS = 1000 };

static lk_status
mark_move(lki_pg *store, int64_t ms)
{
    lki_pg_parameters p = {.count = 0};
    PGresult *answer;
    lki_pg_add_number(&p, ms);
    lk_status status = lki_pg_call(store, LKI_PG_ULID_MARK, true, &p, &answer);
    if (status == LK_OK)
        PQclear(answer);
    return status;
}

lk_status
lki_pg_ulids(lki_pg *store, char *sks, size_t count)
{
    lk_status status = LK_OK;
    int64_t began_ms = lki_pg_clock_ms();
    pthread_mutex_lock(&store->ulid_latch);
    int64_t now_ms = lki_pg_now_ms(store);
    if (now_ms < store->ulid_from_ms)
        now_ms = store->ulid_from_ms;
    if (now_ms > store->ulid_mark_ms && store->ulid_failed_at_ms > began_ms) {
        status = LK_UNAVAILABLE; /* others have waited for the server meanwhile, in vain */
    } else if (now_ms > store->ulid_mark_ms) {
        /* Behind another handle's mark sks count up in one millisecond, until the clock is there:
         * else each handle that begins would be a second ahead of the one before. */
        int64_t mark_ms = now_ms == store->ulid_from_ms ? now_ms : now_ms + MARK_MS;
        status = mark_move(store, mark_ms);
        if (status == LK_OK)
            store->ulid_mark_ms = mark_ms;
        else
            store->ulid_failed_at_ms = lki_pg_clock_ms();
    }
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        lk_ulid_next(store->ulid, now_ms);
        memcpy(sks + i * LK_ULID_SIZE, store->ulid, LK_ULID_SIZE);
    }
    pthread_mutex_unlock(&store->ulid_latch);
    return status;
}
