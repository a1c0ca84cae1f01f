/* SPDX-License-Identifier: MIT
 *
 * Pushes, acknowledgements and releases as steps of a commit; what is built on that: pushes of jobs
 * with keys, the acknowledgement of a record job, dead letters.
 *
 * Each time store/commit.c plans a step it calls job_plan, which says which record has to be
 * effective on the item's head, and which state comes:
 *
 *   acknowledge  the job becomes a record job, in the state that was judged; the commit puts a
 *                tombstone over it, as for a delete
 *   release      the same, with the next state instead of a tombstone; its entry goes in now
 *   push         the cell of the key. Or, if the sk is to be generated, a place in the queue whose
 *                slot is HEADED from the start; all pushes of the commit to one queue reserve
 *                theirs together, so that they are contiguous. The ready entry goes in now, before
 *                the record can be effective: a thread that sees one write of the commit finds the
 *                job, too
 *
 * A plan that is made again makes new entries. At the end entries that were not needed are removed,
 * and places that were not needed are given up by the burial of their cells.
 *
 * Progress    as store/commit.c; making a queue or a segment takes latches.
 * Ordering    P11, P16, P21 (queue.h).
 */
#include "queue/commit.h"

#include <string.h>

#include "base/pressure.h"
#include "base/result.h"
#include "queue/due.h"
#include "queue/job.h"
#include "queue/job_cell.h"
#include "store/commit.h"
#include "store/new_cell.h"
#include "store/removal.h"
#include "store/sweep.h"

typedef struct planned {
    lki_queue *queue;               /* of a push: pinned by it with LKI_QUEUE_KEYED */
    lki_cell *cell;                 /* in its slot, if the sk is generated */
    lki_state to;                   /* of a push or a release */
    lk_status judged;               /* of an acknowledgement or a release */
    unsigned char sk[LK_ULID_SIZE]; /* generated */
    bool generated, announced;
    bool displaced; /* a dead letter whose key exists there: its sk is generated */
    bool replaces;  /* replaces a job by a job */
    bool adds;      /* adds a job: there was none, or it had expired */
    bool in_queue;  /* the cell lies in a slot */
} planned;

typedef struct job_commit job_commit;
struct job_commit {
    const lk_write *writes;
    size_t count;
    const lki_found_job *exactly; /* acknowledge the job in this state; NULL: by the claim */
    planned *planned;
    lk_result *pushed; /* filled on success; may be NULL */
    lki_ticks ticks;
};

/* ---- the state that comes ---- */

static lk_bytes
planned_sk(const job_commit *c, size_t i)
{
    const lk_write *write = &c->writes[i];
    const planned *p = &c->planned[i];
    if (p->generated)
        return (lk_bytes){p->sk, sizeof p->sk};
    return write->kind == LK_PUSH ? write->item.key.sk : write->claim->key.sk;
}

static lki_state
state_waiting(job_commit *c, lki_store *store, lki_thread *thread, int64_t delay_ms)
{
    lki_state to = {.identity = lki_identity_new(thread), .phase = LKI_WAITING};
    if (delay_ms > 0)
        to.time = lki_ticks_after(store, &c->ticks, delay_ms) - 1;
    return to;
}

/* Inserts the entry of the coming state. A pull that meets it before the commit finds the state
 * `from`, and leaves the entry. */
static lk_status
entry_make(const job_commit *c, lki_thread *thread, size_t i, uint64_t from)
{
    planned *p = &c->planned[i];
    LK_ASSERT(p->queue != NULL && !p->announced && p->to.identity != from);
    lk_status status =
        lki_job_announce(p->queue, thread, planned_sk(c, i), from, &p->to, c->ticks.now);
    p->announced = status == LK_OK;
    return status;
}

/* Removes the entry of a plan that did not happen. */
static void
entry_withdraw(const job_commit *c, lki_thread *thread, size_t i)
{
    planned *p = &c->planned[i];
    LK_ASSERT(!p->announced || (p->queue != NULL && lki_is_writing(thread)));
    if (p->announced)
        lki_job_forget(p->queue, thread, planned_sk(c, i), &p->to);
    p->announced = false;
}

/* ---- acknowledge, release ---- */

static lk_status
claim_prepare(job_commit *c, lki_store *store, lki_thread *thread, size_t i,
              const lki_found_job *job, lki_job_step *step)
{
    const lk_write *write = &c->writes[i];
    planned *p = &c->planned[i];
    lk_status status = LK_OK;
    LK_ASSERT(!job->plain && lki_record_is_job(job->record));
    if (write->kind == LK_RELEASE) {
        p->to = state_waiting(c, store, thread, write->delay_ms);
        p->to.receives = job->state.receives;
        p->to.token = job->state.token;
        status = entry_make(c, thread, i, job->state.identity);
    }
    *step = (lki_job_step){job->cell, job->record, p->to};
    return status;
}

static lk_status
plan_claim(job_commit *c, lki_store *store, lki_thread *thread, size_t i, lki_job_step *step)
{
    const lk_claim *claim = c->writes[i].claim;
    planned *p = &c->planned[i];
    lki_queue *queue = lki_queue_find(store, claim->key.pk);
    for (;;) {
        lki_found_job job;
        lki_job_find(store, &queue, claim->key, &job);
        p->queue = queue;
        if (c->exactly == NULL)
            p->judged = lki_claim_judge(store, &job, claim->token, &c->ticks);
        else if (job.state.identity != c->exactly->state.identity)
            p->judged = LK_LOST;
        if (p->judged == LK_LOST) {
            if (queue != NULL && c->exactly == NULL)
                lki_queue_count(queue, thread, LKI_QUEUE_LOST, 1);
            return LK_LOST;
        }
        LK_ASSERT(queue != NULL && job.state.phase != LKI_NO_JOB);
        if (!job.plain)
            return claim_prepare(c, store, thread, i, &job, step);
        lk_status status = lki_job_to_record(store, thread, queue, &job);
        if (status != LK_OK)
            return status;
    }
}

/* ---- push ---- */

static lk_status
queue_pin(lki_store *store, lki_thread *thread, const lk_item *item, planned *p)
{
    lki_queue *queue;
    LK_ASSERT(p->queue == NULL); /* one pin for each push */
    lk_status status =
        lki_queue_find_or_create_pinned(store, thread, item->key.pk, LKI_QUEUE_KEYED, &queue);
    if (status != LK_OK)
        return status;
    p->queue = queue;
    return lki_load_seq_cst(&queue->closed) != 0 ? LK_CLOSED : LK_OK; /* P16: after the pin */
}

static const lk_push_options *
push_options(const job_commit *c, size_t i)
{
    static const lk_push_options defaults = LK_PUSH_OPTIONS_INIT;
    const lk_push_options *options = c->writes[i].push;
    return options != NULL ? options : &defaults;
}

/* Is the queue deeper than write `i` allows, after the writes before it? All pushes of the commit
 * count already, by pins and perhaps by places, so those that come later, or replace a job, are
 * taken off. A job that is acknowledged counts until the commit has happened. */
static bool
queue_is_too_deep(const job_commit *c, lki_store *store, lki_thread *thread, size_t i)
{
    size_t max_depth = push_options(c, i)->max_depth;
    if (max_depth == 0 || !c->planned[i].adds)
        return false; /* whatever the depth */
    lki_queue *queue = c->planned[i].queue;
    size_t counted = 0, added = 0;
    for (size_t k = 0; k < c->count; k++) {
        const planned *p = &c->planned[k];
        if (p->queue != queue)
            continue;
        if (c->writes[k].kind == LK_PUSH) {
            counted += p->generated ? 2 : 1; /* perhaps by an earlier plan's place */
            added += k <= i && p->adds;
        } else {
            counted += k < i && c->writes[k].kind == LK_ACKNOWLEDGE;
        }
    }
    for (int again = 0;; again++) {
        if (!lki_queue_is_deeper(queue, max_depth, counted - added)) /* P21: after the pin */
            return false;
        if (again != 0)
            return true;
        lki_due_make_room(store, thread, queue, c->count);
    }
}

static bool
write_is_generated(const job_commit *c, size_t i)
{
    return c->writes[i].kind == LK_PUSH &&
           (c->writes[i].item.key.sk.size == 0 || c->planned[i].displaced);
}

/* The pushes that reserve places together with write `first`, up to the one before `end`: those to
 * the same queue whose sk is generated, until a push to another queue. */
static size_t
run_end(const job_commit *c, size_t first)
{
    lk_bytes pk = c->writes[first].item.key.pk;
    size_t end = first + 1;
    for (; end < c->count; end++) {
        lk_bytes other = c->writes[end].item.key.pk;
        if (c->writes[end].kind == LK_PUSH &&
            (other.size != pk.size || !lki_bytes_equal(other.data, pk.data, pk.size)))
            break;
    }
    return end;
}

static void
cells_discard(job_commit *c, lki_store *store, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        if (write_is_generated(c, i) && c->planned[i].cell != NULL) {
            lki_cell_destroy(store, c->planned[i].cell);
            c->planned[i].cell = NULL;
        }
}

/* Puts the cell of a write into its place. */
static void
place_fill(lki_queue *queue, planned *p, const lki_places *at)
{
    lki_slot *slot = &at->segment->slots[at->slot];
    unsigned char *sk = p->cell->bytes + p->cell->pk_size;
    LK_ASSERT(!p->generated && at->segment->queue == queue);
    LK_ASSERT(at->ms >= at->segment->first_ms && at->ms <= LKI_ULID_MS_MAX);
    lki_sk_write(sk, at->segment, at->slot, at->ms);
    memcpy(p->sk, sk, sizeof p->sk);
    if (p->queue == NULL) { /* the first one is pinned already */
        uint64_t pins = lki_add_seq_cst(&queue->pins, LKI_QUEUE_KEYED); /* P16 */
        LK_ASSERT((uint32_t)pins != 0 && (pins & LKI_QUEUE_DEAD) == 0);
        (void)pins;
        p->queue = queue;
    }
    LK_ASSERT(p->queue == queue);
    p->generated = true;
    slot->cell = p->cell;
    /* The word is EMPTY, or a pull has made it PASSED. */
    uint64_t before = lki_swap_seq_cst(&slot->word, lki_job_word(LKI_IN_RECORD, 0, 0)); /* P11 */
    LK_ASSERT(!lki_job_word_is_settled(before));
    (void)before;
    lki_slot_pass(at->segment, slot);
}

/* Reserves places for jobs whose sk is generated, in one step, so that no other job comes between
 * them. They belong to the commit until its end, however often it is planned: its section keeps the
 * cells. */
static lk_status
places_reserve(job_commit *c, lki_store *store, lki_thread *thread, size_t first)
{
    lki_queue *queue = c->planned[first].queue;
    size_t end = run_end(c, first), count = 0;
    lk_status status = LK_OK;
    LK_ASSERT(queue != NULL && write_is_generated(c, first));
    for (size_t i = first; status == LK_OK && i < end; i++) {
        if (!write_is_generated(c, i))
            continue;
        c->planned[i].cell = lki_cell_new_in_queue(thread, &c->writes[i].item);
        status = c->planned[i].cell != NULL ? LK_OK : LK_NO_MEMORY;
        count++;
    }
    lki_places places;
    if (status == LK_OK)
        status = lki_places_reserve(queue, thread, count, lki_now(store), 0, 0, &places);
    if (status == LK_CLOSED && c->exactly != NULL)
        status = lki_places_reserve_closed(queue, thread, lki_now(store), &places);
    if (status != LK_OK) {
        cells_discard(c, store, first, end);
        return status == LK_NOT_FOUND ? LK_CLOSED : status; /* pinned: it cannot be dead */
    }
    for (size_t i = first; i < end; i++)
        if (write_is_generated(c, i)) {
            place_fill(queue, &c->planned[i], &places);
            lki_places_next(&places);
        }
    return LK_OK;
}

/* Finds or makes the cell of a push. */
static lk_status
push_cell(job_commit *c, lki_store *store, lki_thread *thread, size_t i, lki_cell **cell)
{
    const lk_item *item = &c->writes[i].item;
    planned *p = &c->planned[i];
    if (!write_is_generated(c, i)) {
        lki_hashed hashed = lki_hashed_of(&store->secret, &item->key);
        size_t payload = item->data.size + (item->expires_at_ms != 0 ? 8 : 0);
        lk_status status = lki_cell_find_or_create(store, thread, &hashed, payload, false, cell);
        if (status != LK_OK || c->exactly == NULL)
            return status;
        lki_time now = {0, false, false};
        const lki_record *there =
            lki_effective(store, lki_load_acquire(&(*cell)->item), NULL); /* P1 */
        if (!lki_record_is_live(store, there, &now))
            return LK_OK; /* the installation checks that again */
        p->displaced = true;
    }
    lk_status status = p->generated ? LK_OK : places_reserve(c, store, thread, i);
    *cell = p->cell;
    return status;
}

/* Checks that the push may happen, and prepares its state and its entry. */
static lk_status
push_prepare(job_commit *c, lki_store *store, lki_thread *thread, size_t i, lki_cell *cell,
             lki_job_step *step)
{
    planned *p = &c->planned[i];
    LK_ASSERT(cell != NULL && p->queue != NULL); /* pinned */
    if (!lki_reserve(thread, 8))
        return LK_NO_MEMORY;
    lki_record *record = lki_effective(store, lki_load_acquire(&cell->item), NULL); /* P1 */
    lki_time now = {0, false, false};
    bool live = lki_record_is_live(store, record, &now);
    const lk_push_options *options = push_options(c, i);
    if (options->unique && live)
        return LK_EXISTS;
    p->in_queue = lki_cell_is_in_queue(cell);
    p->replaces = lki_record_is_job(record);
    p->adds = !p->replaces || !live;
    if (queue_is_too_deep(c, store, thread, i))
        return LK_BUSY;
    p->to = state_waiting(c, store, thread, options->delay_ms);
    *step = (lki_job_step){cell, record, p->to};
    return entry_make(c, thread, i, p->replaces ? lki_record_state(record)->identity : 0);
}

static lk_status
plan_push(job_commit *c, lki_store *store, lki_thread *thread, size_t i, lki_job_step *step)
{
    const lk_item *item = &c->writes[i].item;
    planned *p = &c->planned[i];
    lk_status status = p->queue == NULL ? queue_pin(store, thread, item, p) : LK_OK;
    if (status == LK_CLOSED && c->exactly != NULL)
        status = LK_OK; /* dead letters may go to a closed queue */
    lki_cell *cell = NULL;
    if (status == LK_OK)
        status = push_cell(c, store, thread, i, &cell);
    if (status != LK_OK)
        return status;
    status = push_prepare(c, store, thread, i, cell, step);
    if (status != LK_OK) /* the commit has not taken it over */
        lki_removal_if_void(thread, cell);
    return status;
}

/* ---- the commit ---- */

static lk_status
job_plan(void *context, lki_store *store, lki_thread *thread, size_t i, lki_job_step *step)
{
    job_commit *c = context;
    LK_ASSERT(i < c->count && lki_is_writing(thread));
    if (!lki_reserve(thread, 8))
        return LK_NO_MEMORY;
    entry_withdraw(c, thread, i);
    lk_status status = c->writes[i].kind == LK_PUSH ? plan_push(c, store, thread, i, step)
                                                    : plan_claim(c, store, thread, i, step);
    /* On LK_BUSY the commit would plan again; LK_END ends it, and commit_run turns it back. */
    return status == LK_BUSY ? LK_END : status;
}

/* Gives up the place of a push that did not happen: its cell is buried, unless the commit has done
 * that. */
static void
place_give_up(lki_thread *thread, planned *p, bool room)
{
    LK_ASSERT(p->generated && lki_cell_is_in_queue(p->cell));
    lki_queue_place_left(p->queue, thread);
    if (room)
        lki_removal_schedule(thread, p->cell, NULL);
}

/* Ends what a push has pinned, reserved and announced. */
static void
push_finish(const job_commit *c, lki_thread *thread, size_t i, bool done, bool room)
{
    planned *p = &c->planned[i];
    int64_t expires_at_ms = c->writes[i].item.expires_at_ms;
    lki_queue *queue = p->queue;
    LK_ASSERT(!done || (p->announced && (p->in_queue || !p->generated)));
    if (done) {
        lki_queue_count(queue, thread, LKI_QUEUE_PUSHES, 1);
        if (expires_at_ms != 0 && !p->in_queue)
            lki_next_due_cover(&queue->keyed_expires, lki_expiry_time(expires_at_ms));
        /* The segment counts a place, and a replaced job was counted already. A job that came into
         * a slot whose job was removed counts again. */
        if (p->in_queue && !p->generated && !p->replaces)
            lki_add_seq_cst(&queue->returned, 1); /* P16: before the unpin */
        if (p->to.time == 0)
            lki_wait_notify(&queue->wait, 1);
        if (!p->in_queue && !p->replaces)
            return; /* the pin now belongs to the job, or went with it */
    } else if (p->generated) {
        place_give_up(thread, p, room);
    }
    lki_queue_key_left(queue); /* the other count may have ended meanwhile */
}

static lk_status
commit_finish(job_commit *c, lki_thread *thread, lk_status status, bool room)
{
    bool done = status == LK_OK;
    for (size_t i = 0; i < c->count; i++) {
        planned *p = &c->planned[i];
        lk_write_kind kind = c->writes[i].kind;
        if (p->queue == NULL)
            continue;
        if (!done && room)
            entry_withdraw(c, thread, i);
        if (kind == LK_PUSH)
            push_finish(c, thread, i, done, room);
        else if (done && kind == LK_RELEASE && p->to.time == 0)
            lki_wait_notify(&p->queue->wait, 1);
        if (done && p->judged == LK_LATE) {
            lki_queue_count(p->queue, thread, LKI_QUEUE_LATE, 1);
            status = LK_LATE;
        }
    }
    return status;
}

/* Fills `pushed` with the jobs as stored. */
static void
pushed_fill(const job_commit *c, lk_result *pushed)
{
    for (size_t i = 0; i < c->count; i++) {
        const lk_item *item = &c->writes[i].item;
        lki_result_put_item(pushed, item->key.pk, planned_sk(c, i), item->data,
                            item->expires_at_ms);
    }
}

static lk_status
commit_run(job_commit *c, lki_store *store, lki_thread *thread, lk_lock *locks, size_t lock_count,
           lk_conflict *conflict)
{
    planned few[4];
    size_t size = c->count * sizeof *c->planned;
    c->planned = c->count <= 4 ? few : lki_alloc(&thread->allocator, size);
    if (c->planned == NULL)
        return LK_NO_MEMORY;
    for (size_t i = 0; i < c->count; i++)
        c->planned[i] = (planned){.judged = LK_OK};
    c->ticks = lki_ticks_read(store);
    lki_writes writes = {.writes = c->writes, .count = c->count, .plan = job_plan, .context = c};
    lki_write_enter(thread); /* queues that were found stay valid */
    lk_status status = lki_store_commit(store, thread, &writes, locks, lock_count, conflict);
    /* Without memory some entries and cells without items stay; a pull and a sweep remove them. */
    bool room = lki_reserve(thread, 3 * c->count + 8);
    status = commit_finish(c, thread, status == LK_END ? LK_BUSY : status, room);
    if (status == LK_OK && c->pushed != NULL)
        pushed_fill(c, c->pushed);
    lki_write_leave(thread);
    if (c->planned != few)
        lki_free(&thread->allocator, c->planned, size);
    return status;
}

lk_status
lki_queue_commit(lki_store *store, lki_thread *thread, const lk_write *writes, size_t count,
                 lk_lock *locks, size_t lock_count, lk_conflict *conflict)
{
    job_commit c = {.writes = writes, .count = count};
    if (!lki_memory_is_bounded(thread)) /* inside of a section it could not wait */
        return LK_BUSY;
    lk_status status = commit_run(&c, store, thread, locks, lock_count, conflict);
    lki_sweep_step(store, thread, count);
    return status;
}

lk_status
lki_job_remove(lki_store *store, lki_thread *thread, lki_queue *queue, const lki_found_job *job)
{
    if (job->plain) {
        lk_status status = lki_job_finish(store, thread, queue, job);
        return status == LK_RACE ? LK_LOST : status; /* a pinned word may need memory */
    }
    lk_claim claim = {.key = job->key};
    lk_write write = {.kind = LK_ACKNOWLEDGE, .claim = &claim};
    job_commit c = {.writes = &write, .count = 1, .exactly = job};
    return commit_run(&c, store, thread, NULL, 0, NULL);
}

lk_status
lki_job_move(lki_store *store, lki_thread *thread, const lki_found_job *job, lk_bytes to_pk)
{
    lk_claim claim = {.key = job->key};
    lk_item item = {{to_pk, job->key.sk},
                    {lki_record_data(job->record), job->record->size},
                    lki_record_expires(job->record)};
    lk_write writes[2] = {{.kind = LK_ACKNOWLEDGE, .claim = &claim},
                          {.kind = LK_PUSH, .item = item}};
    job_commit c = {.writes = writes, .count = 2, .exactly = job};
    return commit_run(&c, store, thread, NULL, 0, NULL);
}

/* ---- a push of jobs with keys ---- */

lk_status
lki_push_commit(lki_store *store, lki_thread *thread, const lk_item *jobs, size_t count,
                const lk_push_options *options, lk_result *pushed)
{
    if (!lki_memory_is_bounded(thread))
        return LK_BUSY;
    const lki_allocator *allocator = &thread->allocator;
    lk_write *writes = lki_alloc_zeroed(allocator, count * sizeof *writes);
    /* The jobs may lie in `pushed`: it is filled at the end, by a swap. */
    lk_result fresh = {0};
    size_t bytes = 0;
    for (size_t i = 0; writes != NULL && i < count; i++) {
        writes[i].kind = LK_PUSH;
        writes[i].item = jobs[i];
        writes[i].push = options;
        bytes += jobs[i].key.pk.size + jobs[i].data.size +
                 (jobs[i].key.sk.size != 0 ? jobs[i].key.sk.size : LK_ULID_SIZE);
    }
    lk_status status = LK_NO_MEMORY;
    if (writes != NULL && (pushed == NULL || lki_result_widen(&fresh, count, bytes, false))) {
        job_commit c = {.writes = writes, .count = count, .pushed = pushed != NULL ? &fresh : NULL};
        status = commit_run(&c, store, thread, NULL, 0, NULL);
    }
    if (status == LK_OK && pushed != NULL)
        lki_result_swap(pushed, &fresh);
    lki_sweep_step(store, thread, count);
    lki_result_drop(&fresh);
    if (writes != NULL)
        lki_free(allocator, writes, count * sizeof *writes);
    return status;
}
