/* SPDX-License-Identifier: MIT
 *
 * See record_jobs.h.
 */
#include "check/record_jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/queue.h"

static void
names_reserve(recorder *r, size_t count)
{
    if (r->name_count + count <= r->name_room)
        return;
    r->name_room = r->name_room * 2 + count;
    r->names = realloc(r->names, r->name_room * sizeof *r->names);
    if (r->names == NULL)
        abort();
}

static void
batch_reserve(recorder *r, uint32_t count)
{
    if (r->batch_room >= count)
        return;
    r->batch = realloc(r->batch, count * (sizeof *r->batch + sizeof(uint32_t)));
    r->batch_room = count;
    if (r->batch == NULL)
        abort();
}

void
record_jobs_reserve(recorder *r, size_t names)
{
    names_reserve(r, names);
    batch_reserve(r, RECORD_MANY);
}

static void
name_add(recorder *r, uint32_t job, lk_bytes sk)
{
    names_reserve(r, 1);
    record_name *n = &r->names[r->name_count++];
    memset(n, 0, sizeof *n);
    n->job = job;
    if (sk.size > RECORD_SK_ROOM)
        record_wrong(r, "a key is too long", LK_OK);
    else
        memcpy(n->sk, sk.data, sk.size);
}

static void
step_add(recorder *r, history_kind kind, uint32_t job, uint64_t receive, int64_t time_ms)
{
    history_add(&r->history,
                (history_step){.kind = kind, .key = job, .value = receive, .expires_ms = time_ms});
}

static void
pushed_add(recorder *r, uint32_t first, uint32_t count, uint64_t generated, int64_t delay_ms,
           int64_t expires_ms)
{
    for (uint32_t i = 0; i < count; i++)
        history_add(&r->history, (history_step){.kind = STEP_PUSH,
                                                .key = first + i,
                                                .after = generated,
                                                .value = (uint64_t)expires_ms,
                                                .expires_ms = delay_ms});
}

/* What comes of the wish to have no more jobs than that, or no other of the key. */
static void
wish_add(recorder *r, uint32_t first, uint32_t count, const lk_push_options *options,
         lk_status status)
{
    history_step s = {.kind = STEP_KINDS, .value = options->max_depth, .before = count};
    if (options->max_depth != 0 && (status == LK_OK || status == LK_LATE))
        s.kind = STEP_ROOM;
    else if (options->max_depth != 0 && status == LK_BUSY)
        s.kind = STEP_FULL;
    else if (options->unique && status == LK_EXISTS)
        s = (history_step){.kind = STEP_EXISTS, .key = first};
    else if (status == LK_EXISTS)
        record_wrong(r, "a push that need not be unique found another job", status);
    if (s.kind != STEP_KINDS)
        history_add(&r->history, s);
}

/* One that failed stays in the history, without steps. */
static lk_status
push_done(recorder *r, lk_status status, uint32_t first, uint32_t count,
          const lk_push_options *options)
{
    history_op *op = &r->history.ops[r->history.count - 1];
    if (status != LK_OK && status != LK_LATE && status != LK_UNKNOWN) {
        r->history.step_count = op->first;
        op->count = 0;
        if (status == LK_CLOSED)
            step_add(r, STEP_REFUSED, 0, 0, 0);
    }
    if (options != NULL)
        wish_add(r, first, count, options, status);
    if (status != LK_UNKNOWN)
        record_done(r, true);
    return status;
}

static uint64_t
push_marks(const char *sk, const lk_push_options *options)
{
    if (sk == NULL)
        return STEP_GENERATED;
    return options != NULL && options->unique ? STEP_UNIQUE : 0;
}

static const lk_item *
batch_make(recorder *r, uint32_t first, uint32_t count, const char *sk, int64_t expires_ms)
{
    batch_reserve(r, count);
    uint32_t *numbers = (uint32_t *)(void *)(r->batch + count);
    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = first + i;
        r->batch[i] = (lk_item){.key = {r->world->queue, lk_string(sk)},
                                .data = {&numbers[i], sizeof numbers[i]},
                                .expires_at_ms = expires_ms};
    }
    return r->batch;
}

lk_status
record_push(recorder *r, uint32_t first, uint32_t count, const char *sk,
            const lk_push_options *options, int64_t life_ms)
{
    int64_t expires_ms = life_ms != 0 ? r->world->now_ms() + life_ms : 0;
    const lk_item *items =
        batch_make(r, first, count, sk, expires_ms != 0 ? expires_ms + r->world->unix_ms : 0);
    record_call(r, "push");
    pushed_add(r, first, count, push_marks(sk, options), options != NULL ? options->delay_ms : 0,
               expires_ms);
    lk_status status = lk_queue_push(r->world->db, items, count, options, r->result);
    if (status > LK_OK && status != LK_CLOSED && status != LK_EXISTS)
        record_wrong(r, "a push ended in a status that it has not", status);
    status = push_done(r, status, first, count, options);
    if (status == LK_EXISTS)
        name_add(r, first, lk_string(sk));
    for (uint32_t i = 0; i < count && status == LK_OK; i++) {
        const lk_item *item = lk_result_item(r->result, i);
        if (item == NULL)
            record_wrong(r, "a push did not tell what it stored", status);
        else
            name_add(r, first + i, item->key.sk);
    }
    return status;
}

static lk_claim
claim_of(const recorder *r, const record_claim *c)
{
    lk_claim claim = c->claim;
    claim.key = (lk_key){r->world->queue, {c->sk, c->sk_size}};
    return claim;
}

static const char handed_on[] = "commit: push, end a claim";

/* The item that goes with the end of a claim. */
typedef struct beside {
    uint32_t job, receives;
    char sk[24];
} beside;
enum { BESIDE_MAX = 64 }; /* receives; of more there is none */

static bool
beside_is_put(const recorder *r, uint64_t receives)
{
    return r->world->beside.size != 0 && receives < BESIDE_MAX;
}

static lk_item
beside_item(const recorder *r, beside *b)
{
    snprintf(b->sk, sizeof b->sk, "%u-%u", (unsigned)b->job, (unsigned)b->receives);
    return (lk_item){.key = {r->world->beside, lk_string(b->sk)},
                     .data = {b, 2 * sizeof(uint32_t)}};
}

static bool
ends_claim(history_kind kind)
{
    return kind == STEP_ACKNOWLEDGE || kind == STEP_LATE || kind == STEP_RELEASE;
}

bool
record_beside(const history *merged, recorder *r, uint32_t *job)
{
    uint32_t jobs = history_keys(merged);
    uint64_t *ended = calloc(jobs + 1, sizeof *ended); /* a bit for each receive */
    bool right = ended != NULL;
    if (ended == NULL)
        abort();
    for (size_t i = 0; i < merged->count; i++)
        for (uint32_t k = 0; k < merged->ops[i].count; k++) {
            const history_step *s = &merged->steps[merged->ops[i].first + k];
            if (merged->ops[i].call == handed_on && ends_claim(s->kind) &&
                beside_is_put(r, s->value))
                ended[s->key] |= (uint64_t)1 << s->value;
        }
    lk_query all = {.pk = r->world->beside};
    lk_status status = lk_query_items(r->world->db, &all, r->result);
    for (size_t i = 0; i < lk_result_count(r->result) && status == LK_OK && right; i++) {
        beside found;
        memcpy(&found, lk_result_item(r->result, i)->data.data, 2 * sizeof(uint32_t));
        *job = found.job;
        right = found.job < jobs && (ended[found.job] >> found.receives & 1) != 0;
        if (right)
            ended[found.job] ^= (uint64_t)1 << found.receives;
    }
    for (uint32_t j = 0; j < jobs && right; j++)
        if (ended[j] != 0) {
            *job = j;
            right = false;
        }
    free(ended);
    return right;
}

/* The claim's end, as the status tells it; what was pushed has its steps already. */
static void
end_note(recorder *r, const record_end *end, uint32_t count, lk_status status)
{
    history_op *op = &r->history.ops[r->history.count - 1];
    history_step *last = &r->history.steps[op->first + op->count - 1];
    const record_claim *c = end->claim;
    if (status == LK_LATE && end->releases)
        last->before = 1;
    else if (status == LK_LATE)
        last->kind = STEP_LATE;
    if (status != LK_LOST)
        return;
    r->history.step_count = op->first;
    op->count = 0;
    step_add(r, STEP_LOST, c->job, c->claim.receives, 0);
    r->history.steps[op->first].before = count;
}

lk_status
record_push_commit(recorder *r, uint32_t first, uint32_t count, const char *sk,
                   const lk_push_options *options, const record_end *end)
{
    lk_write writes[RECORD_MANY + 2];
    const lk_item *items = batch_make(r, first, count, sk, 0);
    lk_claim claim;
    beside b;
    uint32_t used = 0;
    for (; used < count; used++)
        writes[used] = (lk_write){.kind = LK_PUSH, .item = items[used], .push = options};
    record_call(r, end != NULL ? handed_on : "commit: push");
    pushed_add(r, first, count, push_marks(sk, options), options != NULL ? options->delay_ms : 0,
               0);
    if (end != NULL) {
        claim = claim_of(r, end->claim);
        writes[used++] = (lk_write){.kind = end->releases ? LK_RELEASE : LK_ACKNOWLEDGE,
                                    .claim = &claim,
                                    .delay_ms = end->delay_ms};
        step_add(r, end->releases ? STEP_RELEASE : STEP_ACKNOWLEDGE, end->claim->job,
                 claim.receives, end->releases ? end->delay_ms : 0);
    }
    if (end != NULL && beside_is_put(r, claim.receives)) {
        b = (beside){.job = end->claim->job, .receives = claim.receives};
        writes[used++] = (lk_write){.kind = LK_PUT, .item = beside_item(r, &b)};
    }
    lk_status status = lk_commit(r->world->db, writes, used, NULL, 0, NULL);
    if (status > LK_OK && status != LK_CLOSED && status != LK_EXISTS &&
        (end == NULL || (status != LK_LATE && status != LK_LOST)))
        record_wrong(r, "a commit ended in a status that it has not", status);
    if (end != NULL)
        end_note(r, end, count, status);
    if (status == LK_EXISTS)
        name_add(r, first, lk_string(sk));
    if (status == LK_LOST)
        record_done(r, true);
    else
        push_done(r, status, first, count, options);
    if (sk != NULL && (status == LK_OK || status == LK_LATE))
        name_add(r, first, lk_string(sk));
    return status;
}

/* ---- pulls ---- */

static void
pulled_add(recorder *r, uint32_t i, record_claim *c)
{
    const lk_item *item = lk_result_item(r->result, i);
    const lk_claim *claim = lk_result_claim(r->result, i);
    memset(c, 0, sizeof *c);
    if (item == NULL || claim == NULL || item->data.size != sizeof c->job ||
        claim->key.sk.size > RECORD_SK_ROOM) {
        record_wrong(r, "a pulled job is not whole", LK_OK);
        return;
    }
    memcpy(&c->job, item->data.data, sizeof c->job);
    c->claim = *claim;
    c->sk_size = claim->key.sk.size;
    memcpy(c->sk, claim->key.sk.data, c->sk_size);
    name_add(r, c->job, claim->key.sk);
    step_add(r, STEP_PULL, c->job, claim->receives, claim->deadline_ms);
}

lk_status
record_pull(recorder *r, const lk_pull_options *options, record_claim *claims, uint32_t *count)
{
    *count = 0;
    record_call(r, "pull");
    lk_status status = lk_queue_pull(r->world->db, options, r->result);
    bool seen =
        status == LK_OK || status == LK_EMPTY || status == LK_TIMED_OUT || status == LK_CLOSED;
    if (status == LK_OK) {
        *count = (uint32_t)lk_result_count(r->result);
        if (*count == 0 || *count > (options->max_jobs > 1 ? options->max_jobs : 1)) {
            record_wrong(r, "a pull gave too many jobs, or none", status);
            *count = 0;
        }
        for (uint32_t i = 0; i < *count; i++)
            pulled_add(r, i, &claims[i]);
    } else if (seen) {
        step_add(r, status == LK_CLOSED ? STEP_OVER : STEP_EMPTY, 0, 0, 0);
    } else if (status > LK_OK) {
        record_wrong(r, "a pull ended in a status that it has not", status);
    }
    record_done(r, seen);
    return status;
}

/* ---- claims ---- */

static lk_status
claim_done(recorder *r, lk_status status, history_kind good, history_kind late,
           const record_claim *c, int64_t time_ms)
{
    bool is_late = status == LK_LATE;
    if (status == LK_OK || is_late)
        step_add(r, is_late ? late : good, c->job, c->claim.receives, time_ms);
    else if (status == LK_LOST)
        step_add(r, STEP_LOST, c->job, c->claim.receives, 0);
    else if (status > LK_OK)
        record_wrong(r, "a claim ended in a status that it has not", status);
    if (is_late && late == STEP_RELEASE)
        r->history.steps[r->history.step_count - 1].before = 1;
    record_done(r, status == LK_OK || is_late || status == LK_LOST);
    return status;
}

lk_status
record_acknowledge(recorder *r, const record_claim *c)
{
    lk_claim claim = claim_of(r, c);
    record_call(r, "acknowledge");
    return claim_done(r, lk_queue_acknowledge(r->world->db, &claim, 1), STEP_ACKNOWLEDGE, STEP_LATE,
                      c, 0);
}

lk_status
record_release(recorder *r, const record_claim *c, int64_t delay_ms)
{
    lk_claim claim = claim_of(r, c);
    record_call(r, "release");
    return claim_done(r, lk_queue_release(r->world->db, &claim, delay_ms), STEP_RELEASE,
                      STEP_RELEASE, c, delay_ms);
}

lk_status
record_extend(recorder *r, record_claim *c, int64_t visibility_ms)
{
    lk_claim claim = claim_of(r, c);
    record_call(r, "extend");
    lk_status status = lk_queue_extend(r->world->db, &claim, visibility_ms);
    if (status == LK_LATE)
        record_wrong(r, "an extension is never late", status);
    c->claim.deadline_ms = claim.deadline_ms;
    return claim_done(r, status, STEP_EXTEND, STEP_EXTEND, c, claim.deadline_ms);
}

lk_status
record_take_out(recorder *r, const record_claim *c, bool deletes)
{
    lk_claim claim = claim_of(r, c);
    claim.token = 0;
    record_call(r, deletes ? "delete of a job" : "acknowledge by key");
    lk_status status = deletes ? lk_delete(r->world->db, &claim.key, 1)
                               : lk_queue_acknowledge(r->world->db, &claim, 1);
    if (status == LK_OK)
        step_add(r, STEP_TAKE_OUT, c->job, 0, 0);
    record_done(r, status == LK_OK);
    return status;
}

lk_status
record_close(recorder *r)
{
    record_call(r, "close");
    step_add(r, STEP_CLOSE, 0, 0, 0);
    lk_status status = lk_queue_close(r->world->db, r->world->queue);
    record_done(r, status == LK_OK);
    return status;
}

lk_status
record_purge(recorder *r)
{
    size_t purged = 0;
    record_call(r, "purge");
    lk_status status = lk_queue_purge(r->world->db, r->world->queue, &purged);
    history_add(&r->history,
                (history_step){.kind = STEP_PURGE, .value = purged, .before = status == LK_OK});
    if (status > LK_OK)
        record_wrong(r, "a purge ended in a status that it has not", status);
    record_done(r, true);
    return status;
}

lk_status
record_stats(recorder *r)
{
    lk_queue_statistics now;
    record_call(r, "statistics");
    lk_status status = lk_queue_stats(r->world->db, r->world->queue, &now);
    const uint64_t figures[] = {
        [FIGURE_PUSHES] = now.pushes,     [FIGURE_PULLS] = now.pulls,
        [FIGURE_LATE] = now.late,         [FIGURE_LOST] = now.lost,
        [FIGURE_EMPTY] = now.empty_pulls, [FIGURE_JOBS] = now.ready + now.claimed + now.delayed,
        [FIGURE_READY] = now.ready};
    for (uint32_t i = 0; i < sizeof figures / sizeof figures[0] && status == LK_OK; i++)
        history_add(&r->history,
                    (history_step){.kind = STEP_FIGURE, .key = i, .value = figures[i]});
    if (status > LK_OK)
        record_wrong(r, "statistics ended in a status that they have not", status);
    record_done(r, status == LK_OK);
    return status;
}

bool
record_rank(const recorder *all, size_t count, history *merged)
{
    uint32_t jobs = history_keys(merged);
    char *keys = calloc(jobs + 1, RECORD_SK_ROOM);
    bool known = true;
    if (keys == NULL)
        abort();
    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; n < all[i].name_count; n++)
            if (all[i].names[n].job < jobs)
                memcpy(keys + all[i].names[n].job * RECORD_SK_ROOM, all[i].names[n].sk,
                       RECORD_SK_ROOM);
    for (size_t i = 0; i < merged->step_count; i++)
        if (merged->steps[i].kind == STEP_PUSH)
            known = known && keys[merged->steps[i].key * RECORD_SK_ROOM] != 0;
    queue_rank(merged, keys, RECORD_SK_ROOM, jobs);
    free(keys);
    return known;
}
