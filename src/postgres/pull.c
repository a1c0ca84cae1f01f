/* SPDX-License-Identifier: MIT
 *
 * Pulls, and waiting for jobs. Called through the table of operations.
 *
 * A pull looks for jobs that have come due, if it may be time, and makes them ready; then it claims
 * the first ready ones in the order of their sk. Others' locks are passed over, so pulls never wait
 * for one another. Claims of a pull that fails are given back.
 *
 * What was taken out stays in the server's index until nobody's snapshot needs it any more. So that
 * a pull need not step over all that, it begins at the first job that was seen last, or a second
 * ago; and at the front where it finds nothing so, and every so often: looks from the front are at
 * most a twentieth of the time, however long each takes.
 *
 * Of the threads of a handle that wait for one queue, one asks the server, again and again with
 * longer pauses; the others wait for it, or for what this process brings.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "postgres/operations.h"
#include "postgres/plan.h"
#include "postgres/watch.h"

enum { DUE_ONCE = 1000, DUE_EVERY_MS = 100, DUE_FULL_MS = 10000, DUE_SLACK_MS = 5000 };
enum { FULL_PART = 20, FULL_LAST_US = 2000000, BEFORE_NOW_MS = 1000 };
enum { BURIED_ONCE = 1000, AGAIN_MOST = 12 };

typedef struct pulling {
    lki_pg *store;
    lki_pg_queue *queue;
    const lk_pull_options *options;
    lk_result *result;
    size_t wanted, buried;
    lk_bytes unburied;   /* the sk of a job that was to be buried, in vain; empty: there is none */
    int64_t deadline_ms; /* of its claims, in job time */
    uint64_t token;      /* of its claims: a job has another one each time */
} pulling;

/* ---- jobs that come due ---- */

static bool
due_is_time(pulling *p, int64_t now_ms, int64_t *above_ms, int64_t *seen_ms)
{
    lki_pg_queue *q = p->queue;
    bool hooked = p->store->monotonic_ms != NULL;
    pthread_mutex_lock(&p->store->queues_latch);
    bool full = hooked || now_ms >= q->due_full_at_ms;
    bool is_time = full || now_ms >= q->due_at_ms;
    *above_ms = full ? 0 : q->due_above_ms;
    *seen_ms = q->due_at_ms;
    pthread_mutex_unlock(&p->store->queues_latch);
    return is_time;
}

/* All that is due up to `now_ms` was found, or not all. `seen_ms`: what due_at_ms was before. */
static void
due_note(pulling *p, int64_t now_ms, int64_t above_ms, int64_t seen_ms, bool all, bool any)
{
    lki_pg_queue *q = p->queue;
    pthread_mutex_lock(&p->store->queues_latch);
    if (all) {
        if (q->due_at_ms == seen_ms || q->due_at_ms > now_ms + DUE_EVERY_MS)
            q->due_at_ms = now_ms + DUE_EVERY_MS; /* else one came meanwhile */
        q->due_above_ms = now_ms - DUE_SLACK_MS;
        if (above_ms == 0)
            q->due_full_at_ms = now_ms + DUE_FULL_MS;
    }
    if (any) {
        q->fronts++;
        q->has_from = false;
        lki_pg_watch_news(p->store, q, true, true);
    }
    pthread_mutex_unlock(&p->store->queues_latch);
}

/* A job comes due then. */
static void
due_expect(pulling *p, int64_t due_ms)
{
    pthread_mutex_lock(&p->store->queues_latch);
    if (due_ms < p->queue->due_at_ms)
        p->queue->due_at_ms = due_ms;
    if (due_ms <= p->queue->due_above_ms)
        p->queue->due_full_at_ms = INT64_MIN; /* it was passed over */
    pthread_mutex_unlock(&p->store->queues_latch);
}

static lk_status
due_ready(pulling *p)
{
    int64_t now_ms = lki_pg_job_now_ms(p->store), above_ms, seen_ms;
    int64_t limit = p->wanted > DUE_ONCE ? (int64_t)p->wanted : DUE_ONCE;
    lki_pg_parameters parameters = {.count = 0};
    PGresult *answer;
    uint64_t lapses = 0;
    if (!due_is_time(p, now_ms, &above_ms, &seen_ms))
        return LK_OK;
    lki_pg_add_bytes(&parameters, p->options->pk);
    lki_pg_add_number(&parameters, above_ms);
    lki_pg_add_number(&parameters, now_ms);
    lki_pg_add_number(&parameters, limit);
    /* Made ready twice, they are ready. */
    lk_status status = lki_pg_call(p->store, LKI_PG_DUE, true, &parameters, &answer);
    if (status != LK_OK)
        return status;
    int rows = PQntuples(answer);
    for (int row = 0; row < rows; row++)
        lapses += PQgetlength(answer, row, 1) == 1 && PQgetvalue(answer, row, 1)[0] != 0;
    PQclear(answer);
    lki_pg_queue_add(p->store, p->queue, LKI_PG_LAPSES, lapses);
    due_note(p, now_ms, above_ms, seen_ms, rows < limit, rows != 0);
    return LK_OK;
}

/* ---- where to begin ---- */

/* Where the look begins; false: at the front. */
static bool
from_read(pulling *p, unsigned char from[LK_ULID_SIZE], uint64_t *fronts)
{
    int64_t now_us = lki_pg_clock_us();
    pthread_mutex_lock(&p->store->queues_latch);
    bool has = p->queue->has_from && now_us < p->queue->full_at_us;
    if (has)
        memcpy(from, p->queue->from, LK_ULID_SIZE);
    *fronts = p->queue->fronts;
    pthread_mutex_unlock(&p->store->queues_latch);
    return has;
}

/* A look from the front took so long. */
static void
full_note(pulling *p, int64_t took_us)
{
    int64_t pause_us = took_us * FULL_PART;
    pause_us = pause_us < FULL_LAST_US ? pause_us : FULL_LAST_US;
    pthread_mutex_lock(&p->store->queues_latch);
    p->queue->full_at_us = lki_pg_clock_us() + pause_us;
    pthread_mutex_unlock(&p->store->queues_latch);
}

/* The first job of a look is here: the next ones begin there, but not within the last second, since
 * a push takes its time, and other machines know the server's clock not to the millisecond. */
static void
from_note(pulling *p, lk_bytes sk, uint64_t fronts)
{
    char low[LK_ULID_SIZE] = {0};
    if (sk.size != LK_ULID_SIZE || p->store->monotonic_ms != NULL)
        return;
    int64_t ms = lki_pg_now_ms(p->store) - BEFORE_NOW_MS;
    lk_ulid_next(low, ms > 0 ? ms : 0);
    memset(low + 10, '0', LK_ULID_SIZE - 10);
    pthread_mutex_lock(&p->store->queues_latch);
    if (p->queue->fronts == fronts) { /* nothing came back meanwhile */
        memcpy(p->queue->from, memcmp(sk.data, low, LK_ULID_SIZE) < 0 ? sk.data : (const void *)low,
               LK_ULID_SIZE);
        p->queue->has_from = true;
    }
    pthread_mutex_unlock(&p->store->queues_latch);
}

/* ---- claims ---- */

static lk_status
ready_ask(pulling *p, lk_bytes from, PGresult **answer)
{
    lki_pg_parameters parameters = {.count = 0};
    lki_pg_add_number(&parameters, lki_pg_now_ms(p->store));
    lki_pg_add_bytes(&parameters, p->options->pk);
    lki_pg_add_bytes(&parameters, from);
    lki_pg_add_number(&parameters, p->wanted < INT64_MAX ? (int64_t)p->wanted : INT64_MAX);
    lki_pg_add_number(&parameters, p->deadline_ms + 1);
    lki_pg_add_number(&parameters, (int64_t)p->token);
    /* Claimed in vain, where the answer was lost, they come back at their deadline. */
    return lki_pg_call(p->store, LKI_PG_PULL, true, &parameters, answer);
}

typedef struct found {
    lk_bytes sk;
    int row;
} found;

static int
found_order(const void *left, const void *right)
{
    return lk_bytes_compare(((const found *)left)->sk, ((const found *)right)->sk);
}

/* The rows of an answer, in the order of their sk. NULL: no memory. */
static found *
found_sort(const PGresult *answer)
{
    int count = PQntuples(answer);
    found *sorted = malloc(((size_t)count + 1) * sizeof *sorted);
    for (int row = 0; sorted != NULL && row < count; row++)
        sorted[row] = (found){lki_pg_read_bytes(answer, row, 0), row};
    if (sorted != NULL)
        qsort(sorted, (size_t)count, sizeof *sorted, found_order);
    return sorted;
}

static bool
job_read(const pulling *p, const PGresult *answer, int row, lk_item *item, lk_claim *claim)
{
    int64_t receives;
    if (lki_pg_is_null(answer, row, 0) || lki_pg_is_null(answer, row, 1) ||
        !lki_pg_read_number(answer, row, 2, &item->expires_at_ms) ||
        !lki_pg_read_number(answer, row, 3, &receives))
        return false;
    item->key = (lk_key){p->options->pk, lki_pg_read_bytes(answer, row, 0)};
    item->data = lki_pg_read_bytes(answer, row, 1);
    *claim = (lk_claim){.key = item->key,
                        .token = p->token,
                        .deadline_ms = lki_pg_job_as_monotonic(p->store, p->deadline_ms),
                        .receives = (uint32_t)receives};
    return true;
}

/* ---- dead letters ---- */

/* Moves a job that was received too often: it was claimed by this pull, so it is this pull's. In
 * one step it is acknowledged and pushed; where its key is taken it gets a generated sk. */
static lk_status
job_bury(pulling *p, const lk_item *item, const lk_claim *claim)
{
    static const lk_push_options unique = {0, 0, true};
    lk_conflict conflict;
    lk_write writes[2] = {{.kind = LK_ACKNOWLEDGE, .claim = claim},
                          {.kind = LK_PUSH, .item = *item, .push = &unique}};
    writes[1].item.key.pk = p->options->dead_pk;
    for (;;) {
        lki_pg_plan plan = {.store = p->store,
                            .writes = writes,
                            .write_count = 2,
                            .conflict = &conflict,
                            .to_closed = true};
        lk_status status = lki_pg_plan_run(&plan);
        lki_pg_plan_free(&plan);
        if (status != LK_EXISTS || writes[1].item.key.sk.size == 0) {
            bool moved = status == LK_OK || status == LK_LATE;
            lki_pg_queue_add(p->store, p->queue, LKI_PG_DEAD, moved);
            return moved || status == LK_LOST ? LK_OK : status;
        }
        writes[1].item.key.sk = (lk_bytes){NULL, 0};
        writes[1].push = NULL;
    }
}

/* ---- one pull ---- */

/* Drafts what may be returned and buries the rest. *taken: how many are in the draft. */
static lk_status
jobs_judge(pulling *p, const PGresult *answer, const found *sorted, size_t *taken)
{
    lk_status status = LK_OK;
    *taken = 0;
    lk_result_draft(p->result);
    for (int i = 0; status == LK_OK && i < PQntuples(answer); i++) {
        lk_item item;
        lk_claim claim;
        if (!job_read(p, answer, sorted[i].row, &item, &claim))
            return LK_UNAVAILABLE;
        if (p->options->max_receives != 0 && claim.receives > p->options->max_receives) {
            status = job_bury(p, &item, &claim);
            p->buried++;
            if (status != LK_OK)
                p->unburied = item.key.sk;
        } else {
            status = lk_result_add_claimed(p->result, &item, &claim);
            (*taken)++;
        }
    }
    return status;
}

static uint64_t
news_read(pulling *p)
{
    pthread_mutex_lock(&p->store->queues_latch);
    uint64_t news = p->queue->news;
    pthread_mutex_unlock(&p->store->queues_latch);
    return news;
}

/* The call fails after its claims were made: they are undone, so that the jobs need not wait for
 * their deadline, and nobody has received them. Not so a job that could not be buried: at the front
 * of the queue it would fail each pull. Where this fails as well, as the server is gone, jobs come
 * back at their deadline. */
static void
claims_give_back(pulling *p)
{
    lki_pg_parameters parameters = {.count = 0};
    lki_pg_add_bytes(&parameters, p->options->pk);
    lki_pg_add_number(&parameters, p->deadline_ms + 1);
    lki_pg_add_number(&parameters, (int64_t)p->token);
    if (p->unburied.size != 0)
        lki_pg_add_bytes(&parameters, p->unburied);
    else
        lki_pg_add_null(&parameters);
    /* Done twice, the second time there are none. */
    if (lki_pg_do(p->store, LKI_PG_GIVE_BACK, true, &parameters) != LK_OK)
        due_expect(p, p->deadline_ms + 1);
    lki_pg_queue_tell(p->store, p->options->pk, LKI_PG_FRONT, 0);
}

/* LK_OK: jobs were taken, the result is published. LK_NOT_FOUND: some were buried, and perhaps
 * there are others. LK_EMPTY: none is ready. */
static lk_status
ready_take(pulling *p)
{
    unsigned char bytes[LK_ULID_SIZE];
    uint64_t fronts;
    bool bounded = from_read(p, bytes, &fronts);
    size_t taken;
    PGresult *answer;
    lk_status status = LK_OK;
    if (bounded)
        status = ready_ask(p, (lk_bytes){bytes, sizeof bytes}, &answer);
    if (status == LK_OK && bounded && PQntuples(answer) == 0) {
        PQclear(answer);
        bounded = false;
    }
    if (status == LK_OK && !bounded) {
        int64_t began_us = lki_pg_clock_us();
        status = ready_ask(p, (lk_bytes){bytes, 0}, &answer);
        full_note(p, lki_pg_clock_us() - began_us);
    }
    if (status != LK_OK)
        return status;
    found *sorted = found_sort(answer);
    status = sorted == NULL ? LK_NO_MEMORY : jobs_judge(p, answer, sorted, &taken);
    if (status != LK_OK)
        claims_give_back(p);
    if (status == LK_OK && PQntuples(answer) == 0)
        status = LK_EMPTY;
    else if (status == LK_OK)
        from_note(p, sorted[0].sk, fronts);
    if (status == LK_OK && taken == 0)
        status = LK_NOT_FOUND;
    if (status == LK_OK) {
        lk_result_publish(p->result);
        lki_pg_queue_add(p->store, p->queue, LKI_PG_PULLS, taken);
        due_expect(p, p->deadline_ms + 1);
    }
    free(sorted);
    PQclear(answer);
    return status;
}

/* It seems to be closed and empty for good: but a push that began before may be under way. So the
 * first time, all that write now are waited for. */
static lk_status
over_confirm(pulling *p, lki_pg_sight *sight)
{
    pthread_mutex_lock(&p->store->queues_latch);
    bool is_over = p->queue->is_over;
    pthread_mutex_unlock(&p->store->queues_latch);
    if (is_over)
        return LK_CLOSED;
    if (lki_pg_writers_wait(p->store) != LK_OK)
        return LK_EMPTY;
    lk_status status = lki_pg_look(p->store, p->options->pk, sight);
    if (status != LK_OK || !sight->over)
        return status != LK_OK ? status : LK_EMPTY;
    pthread_mutex_lock(&p->store->queues_latch);
    p->queue->is_over = true;
    pthread_mutex_unlock(&p->store->queues_latch);
    return LK_CLOSED;
}

/* Why nothing was there, and when that may change. */
static lk_status
empty_look(pulling *p, uint64_t begun, lki_pg_sight *sight)
{
    lk_status status = lki_pg_look(p->store, p->options->pk, sight);
    if (status != LK_OK)
        return status;
    status = sight->over ? over_confirm(p, sight) : LK_EMPTY;
    due_expect(p, sight->due_ms);
    lki_pg_watch_tell(p->store, p->queue, begun, sight);
    return status;
}

/* LK_NOT_FOUND: so many were buried that the rest is for the next call. */
static lk_status
pull_try(pulling *p)
{
    lk_status status = LK_NOT_FOUND;
    while (status == LK_NOT_FOUND && p->buried < BURIED_ONCE) {
        status = due_ready(p);
        if (status == LK_OK)
            status = ready_take(p);
    }
    return status;
}

static lk_status
pull_once(pulling *p)
{
    for (int tries = 0;; tries++) {
        lki_pg_sight sight = {.ready = false};
        pthread_mutex_lock(&p->store->queues_latch);
        uint64_t begun = lki_pg_watch_begin_latched(p->queue);
        pthread_mutex_unlock(&p->store->queues_latch);
        lk_status status = pull_try(p);
        if (status == LK_NOT_FOUND)
            return LK_EMPTY;
        if (status == LK_EMPTY)
            status = empty_look(p, begun, &sight);
        /* One is ready: it was passed over, as somebody was at it. */
        bool again = status == LK_EMPTY && sight.ready && !sight.over && tries < AGAIN_MOST;
        if (!again)
            return status;
        lki_pg_pause(tries);
    }
}

/* ---- waiting ---- */

enum { LOOK_FIRST_MS = 10, LOOK_LAST_MS = 1000, LOOK_HOOKED_MS = 5 };

static void
wait_for_ms(pulling *p, int64_t ms)
{
    (void)lki_pg_cond_wait(&p->queue->wake, &p->store->queues_latch, lki_pg_clock_ms() + ms);
}

/* Sleeps until there may be something new. `look_ms`: the pause of who asks the server; grows.
 * `left_ms`: no longer than that. */
static void
news_wait(pulling *p, uint64_t news, int64_t left_ms, int64_t *look_ms)
{
    lki_pg_queue *q = p->queue;
    bool hooked = p->store->monotonic_ms != NULL;
    pthread_mutex_lock(&p->store->queues_latch);
    q->waiters++;
    if (q->news == news && q->has_poller && !hooked) {
        wait_for_ms(p, left_ms < LOOK_LAST_MS ? left_ms : LOOK_LAST_MS);
    } else if (q->news == news) {
        int64_t due_ms = q->due_at_ms;
        q->has_poller = true;
        pthread_mutex_unlock(&p->store->queues_latch);
        int64_t until_due_ms = due_ms - lki_pg_job_now_ms(p->store);
        int64_t pause_ms =
            hooked ? LOOK_HOOKED_MS : *look_ms - lki_pg_clock_ms() % (*look_ms / 4 + 1);
        pause_ms = pause_ms < left_ms ? pause_ms : left_ms;
        if (until_due_ms > 0 && until_due_ms < pause_ms)
            pause_ms = until_due_ms;
        pthread_mutex_lock(&p->store->queues_latch);
        if (q->news == news)
            wait_for_ms(p, pause_ms);
        q->has_poller = false;
        pthread_cond_signal(&q->wake); /* another one goes on asking */
        *look_ms = *look_ms * 2 < LOOK_LAST_MS ? *look_ms * 2 : LOOK_LAST_MS;
    }
    if (q->news != news)
        *look_ms = LOOK_FIRST_MS;
    q->waiters--;
    pthread_mutex_unlock(&p->store->queues_latch);
}

/* A number that no claim has had: a random one. */
static bool
token_draw(uint64_t *token)
{
    uint64_t drawn = 0;
    if (getrandom(&drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn)
        return false;
    *token = drawn >> 1 | 1; /* it is a number with a sign there, and 0 is none */
    return true;
}

/* One look, with claims of its own. */
static lk_status
pull_look(pulling *p)
{
    int64_t now_ms = lki_pg_job_now_ms(p->store), visible_ms = p->options->visibility_ms;
    p->deadline_ms = lki_pg_time_after(now_ms, visible_ms != 0 ? visible_ms : LK_MINUTES(5));
    p->buried = 0;
    return token_draw(&p->token) ? pull_once(p) : LK_UNAVAILABLE;
}

static lk_status
pull_wait(pulling *p)
{
    int64_t began_ms = lki_pg_monotonic_ms(p->store), look_ms = LOOK_FIRST_MS;
    for (;;) {
        uint64_t news = news_read(p);
        lki_pg_call_begin(p->store);
        lk_status status = pull_look(p);
        if (status != LK_EMPTY || p->options->wait_ms == 0)
            return status;
        int64_t waited_ms = lki_pg_monotonic_ms(p->store) - began_ms, left_ms = LOOK_LAST_MS;
        if (p->options->wait_ms > 0) {
            left_ms = p->options->wait_ms - waited_ms;
            if (left_ms <= 0)
                return LK_TIMED_OUT;
        }
        news_wait(p, news, left_ms, &look_ms);
    }
}

lk_status
lki_pg_pull(void *state, const lk_pull_options *options, lk_result *result)
{
    pulling p = {.store = state, .options = options, .result = result};
    p.wanted = options->max_jobs != 0 ? options->max_jobs : 1;
    lk_status status = lki_pg_queue_take(p.store, options->pk, &p.queue);
    if (status != LK_OK)
        return status;
    status = pull_wait(&p);
    if (status == LK_EMPTY || status == LK_TIMED_OUT || status == LK_CLOSED)
        lki_pg_queue_add(p.store, p.queue, LKI_PG_EMPTY_PULLS, 1);
    lki_pg_queue_give(p.store, p.queue);
    return status;
}
