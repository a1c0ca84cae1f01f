/* SPDX-License-Identifier: MIT
 *
 * See model_queue.h.
 */
#include "support/model_queue.h"

#include <stdlib.h>
#include <string.h>

#include "support/model_inside.h"

void
model_set_monotonic(model *m, int64_t monotonic_ms)
{
    pthread_mutex_lock(&m->mutex);
    m->monotonic_ms = monotonic_ms;
    pthread_mutex_unlock(&m->mutex);
}

/* ---- jobs ---- */

static bool
job_is_there(const model *m, const model_entry *e)
{
    return model_item_is_live(m, e) && e->is_job;
}

static bool
job_is_visible(const model *m, const model_entry *e)
{
    if (!job_is_there(m, e))
        return false;
    return e->claimed ? m->monotonic_ms > e->due_ms : m->monotonic_ms >= e->due_ms;
}

static int64_t
time_after(const model *m, int64_t ms)
{
    return ms > INT64_MAX - m->monotonic_ms ? INT64_MAX : m->monotonic_ms + ms;
}

static void
job_wait(model *m, model_entry *e, int64_t delay_ms)
{
    e->claimed = false;
    e->due_ms = time_after(m, delay_ms);
}

static void
job_put(model *m, const lk_item *item, int64_t delay_ms)
{
    model_item_put(m, item);
    model_entry *e = model_entry_find(m, item->key);
    e->is_job = true;
    e->receives = 0;
    e->token = 0;
    job_wait(m, e, delay_ms);
}

static size_t
jobs_count(const model *m, lk_bytes pk)
{
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++)
        count += job_is_there(m, &m->entries[i]) && model_compare(m->entries[i].key.pk, pk) == 0;
    return count;
}

static bool
queue_is_closed(const model *m, lk_bytes pk)
{
    for (size_t i = 0; i < m->closed_count; i++)
        if (model_compare(m->closed[i], pk) == 0)
            return true;
    return false;
}

static lk_status
name_check(const model *m, lk_bytes pk)
{
    return model_key_check(m, (lk_key){pk, {NULL, 0}});
}

/* ---- push ---- */

static lk_status
push_check(const model *m, const lk_item *jobs, size_t count, const lk_push_options *options)
{
    bool keyed = false;
    lk_status status = options->delay_ms < 0 ? LK_INVALID : LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        status = model_item_check(m, &jobs[i]);
        if (status == LK_OK && model_compare(jobs[0].key.pk, jobs[i].key.pk) != 0)
            status = LK_INVALID;
        keyed |= jobs[i].key.sk.size != 0;
    }
    if (status == LK_OK && keyed && count > LK_COMMIT_MAX)
        status = LK_TOO_BIG;
    for (size_t i = 0; status == LK_OK && i < count; i++)
        for (size_t j = 0; jobs[i].key.sk.size != 0 && j < i; j++)
            if (model_compare(jobs[i].key.sk, jobs[j].key.sk) == 0)
                status = LK_INVALID;
    return status;
}

/* What the store said, if that is one of the things that are wrong; else one of these. */
static lk_status
one_of(const lk_status *wrong, size_t count, lk_status said)
{
    for (size_t i = 0; i < count; i++)
        if (wrong[i] == said)
            return said;
    return count == 0 ? LK_OK : wrong[0];
}

/* What the writes before a push do to its queue, in the same commit. Jobs that these delete may
 * still count. */
typedef struct before {
    size_t pushed, acknowledged, deleted;
} before;

static lk_status
push_judge(model *m, const lk_item *jobs, size_t count, const lk_push_options *options,
           const before *b, lk_status said)
{
    lk_status wrong[3];
    size_t faults = 0, more = 0;
    bool exists = false;
    for (size_t i = 0; i < count; i++) {
        const model_entry *e = jobs[i].key.sk.size == 0 ? NULL : model_entry_find(m, jobs[i].key);
        exists |= model_item_is_live(m, e);
        more += !job_is_there(m, e);
    }
    if (queue_is_closed(m, jobs[0].key.pk))
        wrong[faults++] = LK_CLOSED;
    if (options->unique && exists)
        wrong[faults++] = LK_EXISTS;
    if (options->max_depth != 0 && more != 0) {
        size_t deep = jobs_count(m, jobs[0].key.pk) + b->pushed + more - b->acknowledged;
        if (deep > options->max_depth + (said == LK_BUSY ? 0 : b->deleted))
            wrong[faults++] = LK_BUSY;
    }
    return one_of(wrong, faults, said);
}

lk_status
model_queue_push(model *m, const lk_item *jobs, size_t count, const lk_push_options *options,
                 const lk_item *stored, lk_status said)
{
    pthread_mutex_lock(&m->mutex);
    const before none = {0, 0, 0};
    lk_status status = push_check(m, jobs, count, options);
    if (status == LK_OK && count > 0)
        status = push_judge(m, jobs, count, options, &none, said);
    for (size_t i = 0; status == LK_OK && stored != NULL && i < count; i++)
        job_put(m, &stored[i], options->delay_ms);
    pthread_mutex_unlock(&m->mutex);
    return status;
}

/* ---- pull ---- */

static lk_status
pull_check(const model *m, const lk_pull_options *options)
{
    lk_status status = name_check(m, options->pk);
    if (status == LK_OK && (options->visibility_ms < 0 || options->wait_ms < -1))
        status = LK_INVALID;
    if (status == LK_OK && options->max_receives != 0)
        status = name_check(m, options->dead_pk);
    if (status == LK_OK && options->max_receives != 0 &&
        model_compare(options->pk, options->dead_pk) == 0)
        status = LK_INVALID;
    return status;
}

void
model_queue_displaced(model *m, lk_bytes sk)
{
    if (m->displaced_count < sizeof m->displaced / sizeof *m->displaced)
        m->displaced[m->displaced_count++] = model_bytes_copy(sk);
}

static void
displaced_forget(model *m)
{
    for (size_t i = 0; i < m->displaced_count; i++)
        free((void *)(uintptr_t)m->displaced[i].data);
    m->displaced_at = m->displaced_count = 0;
}

static void
job_bury(model *m, size_t at, lk_bytes dead_pk)
{
    model_entry *e = &m->entries[at];
    lk_bytes sk = model_bytes_copy(e->key.sk), data = model_bytes_copy(e->data);
    lk_bytes pk = model_bytes_copy(e->key.pk);
    lk_item item = {{dead_pk, sk}, data, e->expires_at_ms};
    const model_entry *there = model_entry_find(m, item.key);
    if (there != NULL && model_item_is_live(m, there) && m->displaced_at < m->displaced_count)
        item.key.sk = m->displaced[m->displaced_at++];
    model_key_delete(m, (lk_key){pk, sk});
    job_put(m, &item, 0);
    free((void *)(uintptr_t)sk.data);
    free((void *)(uintptr_t)data.data);
    free((void *)(uintptr_t)pk.data);
}

/* The first visible job of the queue that may be received once more; those before it that may not
 * are buried. NULL: none. */
static model_entry *
job_next(model *m, const lk_pull_options *options)
{
    for (;;) {
        size_t i = 0;
        while (i < m->count && (model_compare(m->entries[i].key.pk, options->pk) != 0 ||
                                !job_is_visible(m, &m->entries[i])))
            i++;
        if (i == m->count)
            return NULL;
        if (options->max_receives == 0 || m->entries[i].receives < options->max_receives)
            return &m->entries[i];
        job_bury(m, i, options->dead_pk);
    }
}

/* Claimed, delayed or visible. */
static bool
queue_has_jobs(model *m, lk_bytes pk)
{
    for (size_t i = 0; i < m->count; i++)
        if (model_compare(m->entries[i].key.pk, pk) == 0 && job_is_there(m, &m->entries[i]))
            return true;
    return false;
}

lk_status
model_queue_pull(model *m, const lk_pull_options *options, lk_item *jobs, lk_claim *claims,
                 size_t room, size_t *count)
{
    pthread_mutex_lock(&m->mutex);
    lk_status status = pull_check(m, options);
    size_t pulled = 0, wanted = options->max_jobs == 0 ? 1 : options->max_jobs;
    int64_t visibility_ms = options->visibility_ms == 0 ? LK_MINUTES(5) : options->visibility_ms;
    while (status == LK_OK && pulled < wanted && pulled < room) {
        model_entry *e = job_next(m, options);
        if (e == NULL)
            break;
        e->claimed = true;
        e->due_ms = time_after(m, visibility_ms);
        e->receives++;
        e->token = ++m->last_token;
        jobs[pulled] = (lk_item){e->key, e->data, e->expires_at_ms};
        claims[pulled++] = (lk_claim){e->key, e->token, e->due_ms, e->receives};
    }
    displaced_forget(m);
    if (status == LK_OK)
        *count = pulled;
    if (status == LK_OK && pulled == 0)
        status = queue_is_closed(m, options->pk) && !queue_has_jobs(m, options->pk) ? LK_CLOSED
                                                                                    : LK_EMPTY;
    pthread_mutex_unlock(&m->mutex);
    return status;
}

/* ---- claims ---- */

/* LK_OK, LK_LATE or LK_LOST. */
static lk_status
claim_judge(model *m, const lk_claim *claim, model_entry **found)
{
    model_entry *e = model_entry_find(m, claim->key);
    *found = e;
    if (!job_is_there(m, e))
        return LK_LOST;
    if (claim->token == 0)
        return LK_OK;
    if (!e->claimed || e->token != claim->token)
        return LK_LOST;
    return m->monotonic_ms > e->due_ms ? LK_LATE : LK_OK;
}

lk_status
model_queue_acknowledge(model *m, const lk_claim *claims, size_t count)
{
    lk_status status = LK_OK;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = model_key_check(m, claims[i].key);
    for (size_t i = 0; status >= LK_OK && i < count; i++) {
        model_entry *e;
        lk_status one = claim_judge(m, &claims[i], &e);
        if (one != LK_LOST)
            model_key_delete(m, claims[i].key);
        status = status == LK_OK ? one : status;
    }
    pthread_mutex_unlock(&m->mutex);
    return status;
}

lk_status
model_queue_release(model *m, const lk_claim *claim, int64_t delay_ms)
{
    pthread_mutex_lock(&m->mutex);
    model_entry *e = NULL;
    lk_status status = model_key_check(m, claim->key);
    if (status == LK_OK && delay_ms < 0)
        status = LK_INVALID;
    if (status == LK_OK)
        status = claim_judge(m, claim, &e);
    if (status == LK_OK || status == LK_LATE)
        job_wait(m, e, delay_ms);
    pthread_mutex_unlock(&m->mutex);
    return status;
}

lk_status
model_queue_extend(model *m, lk_claim *claim, int64_t visibility_ms)
{
    pthread_mutex_lock(&m->mutex);
    model_entry *e = NULL;
    lk_status status = model_key_check(m, claim->key);
    if (status == LK_OK && (visibility_ms < 0 || claim->token == 0))
        status = LK_INVALID;
    if (status == LK_OK)
        status = claim_judge(m, claim, &e);
    if (status == LK_OK || status == LK_LATE) {
        e->due_ms = time_after(m, visibility_ms == 0 ? LK_MINUTES(5) : visibility_ms);
        claim->deadline_ms = e->due_ms;
        status = LK_OK;
    }
    pthread_mutex_unlock(&m->mutex);
    return status;
}

/* ---- the queue ---- */

lk_status
model_queue_stats(model *m, lk_bytes pk, lk_queue_statistics *stats)
{
    pthread_mutex_lock(&m->mutex);
    lk_status status = name_check(m, pk);
    if (status == LK_OK)
        *stats = (lk_queue_statistics){0};
    for (size_t i = 0; status == LK_OK && i < m->count; i++) {
        const model_entry *e = &m->entries[i];
        if (!job_is_there(m, e) || model_compare(e->key.pk, pk) != 0)
            continue;
        if (job_is_visible(m, e))
            stats->ready++;
        else if (e->claimed)
            stats->claimed++;
        else
            stats->delayed++;
    }
    pthread_mutex_unlock(&m->mutex);
    return status;
}

lk_status
model_queue_inspect(model *m, const lk_key *keys, size_t count, lk_job *jobs)
{
    pthread_mutex_lock(&m->mutex);
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = model_key_check(m, keys[i]);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        const model_entry *e = model_entry_find(m, keys[i]);
        jobs[i] = (lk_job){0};
        if (!job_is_there(m, e))
            continue;
        bool ready = job_is_visible(m, e);
        jobs[i] =
            (lk_job){ready        ? LK_JOB_READY
                     : e->claimed ? LK_JOB_CLAIMED
                                  : LK_JOB_DELAYED,
                     e->receives, ready ? 0 : e->due_ms + (e->claimed && e->due_ms != INT64_MAX)};
    }
    pthread_mutex_unlock(&m->mutex);
    return status;
}

lk_status
model_queue_purge(model *m, lk_bytes pk, size_t *purged)
{
    pthread_mutex_lock(&m->mutex);
    lk_status status = name_check(m, pk);
    size_t count = 0;
    for (size_t i = m->count; status == LK_OK && i-- > 0;) {
        model_entry *e = &m->entries[i];
        if (!job_is_there(m, e) || model_compare(e->key.pk, pk) != 0)
            continue;
        model_key_delete(m, e->key);
        count++;
    }
    if (status == LK_OK)
        *purged = count;
    pthread_mutex_unlock(&m->mutex);
    return status;
}

lk_status
model_queue_close(model *m, lk_bytes pk)
{
    pthread_mutex_lock(&m->mutex);
    lk_status status = name_check(m, pk);
    if (status == LK_OK && !queue_is_closed(m, pk))
        m->closed[m->closed_count++] = model_bytes_copy(pk);
    pthread_mutex_unlock(&m->mutex);
    return status;
}

/* ---- commit ---- */

static bool
write_has_claim(const lk_write *write)
{
    return write->kind == LK_ACKNOWLEDGE || write->kind == LK_RELEASE;
}

static lk_key
write_key(const lk_write *write)
{
    return write_has_claim(write) ? write->claim->key : write->item.key;
}

static bool
write_names_a_key(const lk_write *write)
{
    return write->kind != LK_PUSH || write->item.key.sk.size != 0;
}

static lk_status
write_check(const model *m, const lk_write *write)
{
    bool conditional = write->kind != LK_PUSH && !write_has_claim(write);
    if ((write_has_claim(write) && write->claim == NULL) ||
        (!conditional && write->condition != LK_ALWAYS) ||
        (write->kind == LK_RELEASE && write->delay_ms < 0) ||
        (write->kind == LK_PUSH && write->push != NULL && write->push->delay_ms < 0))
        return LK_INVALID;
    lk_status status = write->condition == LK_IF_EQUAL
                           ? model_bytes_check(write->expected, m->max_data_size)
                           : LK_OK;
    if (status != LK_OK)
        return status;
    if (write->kind == LK_PUT || write->kind == LK_PUSH)
        return model_item_check(m, &write->item);
    status = model_key_check(m, write_key(write));
    if (status == LK_OK && (write->kind == LK_TOUCH || write->kind == LK_ADD) &&
        write->item.expires_at_ms < 0)
        status = LK_INVALID;
    return status;
}

bool
model_names_twice(const lk_write *writes, size_t write_count, const lk_lock *locks,
                  size_t lock_count)
{
    for (size_t i = 0; i < write_count; i++)
        for (size_t j = 0; write_names_a_key(&writes[i]) && j < i; j++)
            if (write_names_a_key(&writes[j]) &&
                model_key_compare(write_key(&writes[i]), write_key(&writes[j])) == 0)
                return true;
    for (size_t i = 0; i < lock_count; i++)
        for (size_t j = 0; j < i; j++)
            if (model_key_compare(locks[i].key, locks[j].key) == 0)
                return true;
    return false;
}

static lk_status
commit_check(const model *m, const lk_write *writes, size_t write_count, const lk_lock *locks,
             size_t lock_count)
{
    lk_status status = write_count + lock_count == 0 ? LK_INVALID : LK_OK;
    if (write_count > LK_COMMIT_MAX || lock_count > LK_COMMIT_MAX)
        return LK_TOO_BIG;
    for (size_t i = 0; status == LK_OK && i < write_count; i++)
        status = write_check(m, &writes[i]);
    for (size_t i = 0; status == LK_OK && i < lock_count; i++)
        status = model_key_check(m, locks[i].key);
    if (status == LK_OK && model_names_twice(writes, write_count, locks, lock_count))
        status = LK_INVALID;
    return status;
}

/* What a write of a commit is refused with; LK_OK, or LK_LATE of a claim. */
static lk_status
write_judge(model *m, const lk_write *writes, size_t i, lk_status said)
{
    static const lk_push_options defaults = LK_PUSH_OPTIONS_INIT;
    const lk_write *write = &writes[i];
    model_entry *e;
    if (write_has_claim(write))
        return claim_judge(m, write->claim, &e);
    if (write->kind != LK_PUSH)
        return model_write_judge(m, write);
    before b = {0, 0, 0};
    for (size_t j = 0; j < i; j++) {
        lk_key key = write_key(&writes[j]);
        bool there = job_is_there(m, model_entry_find(m, key));
        if (model_compare(key.pk, write->item.key.pk) != 0)
            continue;
        b.pushed += writes[j].kind == LK_PUSH && !there;
        b.acknowledged += writes[j].kind == LK_ACKNOWLEDGE && there;
        b.deleted += writes[j].kind == LK_DELETE && there;
    }
    return push_judge(m, &write->item, 1, write->push != NULL ? write->push : &defaults, &b, said);
}

/* LK_OK, LK_LATE, or what the first stale lock or else the first write is refused with. */
static lk_status
commit_judge(model *m, const lk_write *writes, size_t write_count, const lk_lock *locks,
             size_t lock_count, lk_conflict *conflict, lk_status said)
{
    lk_conflict own;
    lk_status claims = LK_OK, refused = model_locks_check(m, locks, lock_count, &own);
    for (size_t i = 0; i < write_count; i++) {
        lk_status one = write_judge(m, writes, i, said);
        if (one == LK_OK || one == LK_LATE)
            claims = claims == LK_OK ? one : claims;
        else if (refused == LK_OK || (one == said && refused != said)) {
            refused = one;
            own = (lk_conflict){SIZE_MAX, 0, i};
        }
    }
    if (refused == LK_OK)
        return claims;
    *conflict = own;
    return refused;
}

static void
key_take_out(model *m, lk_key key, lk_lock *locks, size_t lock_count)
{
    model_key_delete(m, key);
    for (size_t i = 0; i < lock_count; i++) {
        if (model_key_compare(locks[i].key, key) != 0)
            continue;
        locks[i].version = 0;
        locks[i].expires_at_ms = 0;
    }
}

static void
write_do(model *m, const lk_write *write, const lk_item *stored, lk_lock *locks, size_t lock_count)
{
    model_entry *e = model_entry_find(m, write_key(write));
    lk_item item = write->item;
    switch (write->kind) {
    case LK_TOUCH:
        item.data = e->data;
        model_item_put(m, &item);
        break;
    case LK_PUT:
        model_item_put(m, &item);
        break;
    case LK_ADD:
        model_number_add(m, write);
        break;
    case LK_PUSH:
        job_put(m, stored, write->push != NULL ? write->push->delay_ms : 0);
        break;
    case LK_RELEASE:
        job_wait(m, e, write->delay_ms);
        break;
    case LK_DELETE:
    case LK_ACKNOWLEDGE:
    default:
        key_take_out(m, write_key(write), locks, lock_count);
        break;
    }
}

static void
commit_do(model *m, const lk_write *writes, size_t write_count, lk_lock *locks, size_t lock_count,
          const lk_item *stored)
{
    for (size_t i = 0; i < lock_count; i++) {
        model_entry *e = model_entry_obtain(m, locks[i].key);
        model_expired_drop(m, e);
        model_lock_renew(m, e);
        locks[i].version = e->version;
        locks[i].expires_at_ms = e->lock_expires_at_ms;
    }
    for (size_t i = 0; i < write_count; i++)
        write_do(m, &writes[i], &stored[i], locks, lock_count);
}

lk_status
model_commit(model *m, const lk_write *writes, size_t write_count, lk_lock *locks,
             size_t lock_count, lk_conflict *conflict, const lk_item *stored, lk_status said)
{
    pthread_mutex_lock(&m->mutex);
    lk_status status = commit_check(m, writes, write_count, locks, lock_count);
    if (status == LK_OK)
        status = commit_judge(m, writes, write_count, locks, lock_count, conflict, said);
    if ((status == LK_OK || status == LK_LATE) && stored != NULL)
        commit_do(m, writes, write_count, locks, lock_count, stored);
    pthread_mutex_unlock(&m->mutex);
    return status;
}
