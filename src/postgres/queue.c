/* SPDX-License-Identifier: MIT
 *
 * See queue.h.
 */
#include "postgres/queue.h"

#include <stdlib.h>
#include <string.h>

#include "postgres/watch.h"

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
    lki_pg_cond_init(&queue->wake);
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

/* ---- the order of use ---- */

/* [latch] */
static void
use_unlink(lki_pg *store, lki_pg_queue *queue)
{
    *(queue->newer != NULL ? &queue->newer->older : &store->queue_newest) = queue->older;
    *(queue->older != NULL ? &queue->older->newer : &store->queue_oldest) = queue->newer;
}

/* [latch] */
static void
use_link(lki_pg *store, lki_pg_queue *queue)
{
    queue->newer = NULL;
    queue->older = store->queue_newest;
    *(queue->older != NULL ? &queue->older->newer : &store->queue_oldest) = queue;
    store->queue_newest = queue;
}

/* [latch] */
static void
queue_link(lki_pg *store, lki_pg_queue *queue)
{
    lki_pg_queue **bucket = bucket_of(store, (lk_bytes){queue->pk, queue->pk_size});
    queue->next = *bucket;
    *bucket = queue;
    use_link(store, queue);
    store->queue_count++;
}

/* [latch] */
static void
queue_unlink(lki_pg *store, lki_pg_queue *queue)
{
    lki_pg_queue **link = bucket_of(store, (lk_bytes){queue->pk, queue->pk_size});
    while (*link != queue)
        link = &(*link)->next;
    *link = queue->next;
    use_unlink(store, queue);
    store->queue_count--;
}

/* ---- counters go to the server ---- */

enum { TALLIES = 256 };

typedef struct tally {
    lk_bytes pk;
    uint64_t counts[LKI_PG_COUNTERS];
} tally;

/* [latch] Takes a queue's counters. False: they are all 0. */
static bool
tally_take(tally *t, lki_pg_queue *queue)
{
    bool any = false;
    t->pk = (lk_bytes){queue->pk, queue->pk_size};
    for (int i = 0; i < LKI_PG_COUNTERS; i++) {
        t->counts[i] = queue->counts[i];
        any = any || queue->counts[i] != 0;
        queue->counts[i] = 0;
    }
    return any;
}

/* [latch] */
static void
tally_return(const tally *t, lki_pg_queue *queue)
{
    for (int i = 0; i < LKI_PG_COUNTERS; i++)
        queue->counts[i] += t->counts[i];
}

/* LK_OK: the server has them; or they are lost, as nobody knows. */
static lk_status
tallies_send(lki_pg *store, const tally *tallies, size_t count)
{
    lki_pg_parameters p = {.count = 0};
    lki_pg_array columns[1 + LKI_PG_COUNTERS];
    bool whole = true;
    lk_status status = LK_NO_MEMORY;
    if (count == 0)
        return LK_OK;
    for (int i = 0; i < 1 + LKI_PG_COUNTERS; i++) {
        lki_pg_array_begin(&columns[i], i == 0 ? LKI_PG_OF_BYTES : LKI_PG_OF_NUMBERS, count);
        for (size_t k = 0; k < count; k++)
            if (i == 0)
                lki_pg_array_bytes(&columns[0], tallies[k].pk);
            else
                lki_pg_array_number(&columns[i], (int64_t)tallies[k].counts[i - 1]);
        whole = whole && lki_pg_add_array(&p, &columns[i]);
    }
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    if (whole)
        status = lki_pg_do(store, LKI_PG_QUEUE_COUNT, false, &p);
    for (int i = 0; i < 1 + LKI_PG_COUNTERS; i++)
        lki_pg_array_free(&columns[i]);
    return status == LK_UNKNOWN ? LK_OK : status;
}

lk_status
lki_pg_queue_flush(lki_pg *store, lki_pg_queue *queue)
{
    tally t;
    pthread_mutex_lock(&store->queues_latch);
    bool any = tally_take(&t, queue);
    pthread_mutex_unlock(&store->queues_latch);
    lk_status status = tallies_send(store, &t, any);
    if (status == LK_OK)
        return LK_OK;
    pthread_mutex_lock(&store->queues_latch);
    tally_return(&t, queue);
    pthread_mutex_unlock(&store->queues_latch);
    return status;
}

/* ---- queues are forgotten ---- */

/* More than TRIM_ONCE go each time that so many have come, so that none stay where the server was
 * away for a while. */
enum { QUEUES_KEPT = 1024, TRIM_ONCE = TALLIES / 2 };

/* [latch] Takes out queues that nobody has, those that were used least recently first. */
static size_t
queues_take_out(lki_pg *store, lki_pg_queue *out[TALLIES])
{
    size_t count = 0;
    for (int looks = 0; looks < 2 * TALLIES; looks++) {
        lki_pg_queue *queue = store->queue_oldest;
        if (count == TALLIES || store->queue_count <= QUEUES_KEPT)
            break;
        if (queue->users == 0) {
            queue_unlink(store, queue);
            out[count++] = queue;
        } else { /* it is in use */
            use_unlink(store, queue);
            use_link(store, queue);
        }
    }
    return count;
}

/* [latch] A queue that was taken out comes back, as its counters could not be sent. */
static void
queue_return(lki_pg *store, lki_pg_queue *queue, const tally *t)
{
    lki_pg_queue *now = queue_find(store, t->pk);
    if (now == NULL) {
        queue_link(store, queue);
        tally_return(t, queue);
    } else {
        tally_return(t, now);
        queue_free(queue);
    }
}

static void
queues_trim(lki_pg *store)
{
    lki_pg_queue *out[TALLIES], *told[TALLIES];
    tally tallies[TALLIES] = {{.pk = {NULL, 0}}};
    size_t kept = 0;
    pthread_mutex_lock(&store->queues_latch);
    size_t count = queues_take_out(store, out);
    pthread_mutex_unlock(&store->queues_latch);
    for (size_t i = 0; i < count; i++)
        if (tally_take(&tallies[kept], out[i]))
            told[kept++] = out[i];
        else
            queue_free(out[i]);
    lk_status status = tallies_send(store, tallies, kept);
    pthread_mutex_lock(&store->queues_latch);
    for (size_t i = 0; i < kept; i++)
        if (status == LK_OK)
            queue_free(told[i]);
        else
            queue_return(store, told[i], &tallies[i]);
    /* What came back is not tried again with the next call. */
    store->queues_trim_at = store->queue_count + TRIM_ONCE;
    pthread_mutex_unlock(&store->queues_latch);
}

/* Nobody else is there. Where the server is gone only the first ones wait for it. */
void
lki_pg_queues_free(lki_pg *store)
{
    lk_status status = LK_OK;
    while (store->queue_oldest != NULL) {
        tally tallies[TALLIES] = {{.pk = {NULL, 0}}};
        size_t count = 0;
        lki_pg_queue *until = store->queue_oldest;
        for (; until != NULL && count < TALLIES; until = until->newer)
            count += tally_take(&tallies[count], until);
        if (status == LK_OK)
            status = tallies_send(store, tallies, count);
        while (store->queue_oldest != until) {
            lki_pg_queue *queue = store->queue_oldest;
            LKI_PG_ASSERT(queue->users == 0);
            queue_unlink(store, queue);
            queue_free(queue);
        }
    }
}

/* ---- calls ---- */

lk_status
lki_pg_queue_take(lki_pg *store, lk_bytes pk, lki_pg_queue **taken)
{
    pthread_mutex_lock(&store->queues_latch);
    lki_pg_queue *queue = queue_find(store, pk);
    if (queue != NULL) {
        use_unlink(store, queue);
        use_link(store, queue);
    } else if ((queue = queue_new(pk)) != NULL) {
        queue_link(store, queue);
    }
    if (queue != NULL)
        queue->users++;
    bool many = store->queue_count >= QUEUES_KEPT + TRIM_ONCE &&
                store->queue_count >= store->queues_trim_at;
    pthread_mutex_unlock(&store->queues_latch);
    if (many)
        queues_trim(store);
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

/* ---- generated sks ---- */

/* A second at a time is marked on the server before sks of it are given out. A handle begins behind
 * the mark where the clock has not passed it: so sks grow over a restart, whatever the clock did.
 */
enum { MARK_MS = 1000 };

static lk_status
mark_move(lki_pg *store, int64_t ms)
{
    lki_pg_parameters p = {.count = 0};
    lki_pg_add_number(&p, ms);
    return lki_pg_do(store, LKI_PG_ULID_MARK, true, &p);
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
