/* SPDX-License-Identifier: MIT
 *
 * Commits: several keys in one step (lk_set_atomic, lk_commit).
 *
 *   plan     find the cells of all keys (make those that are missing); one step per key, for item
 *            and lock together, in the order of the cells' addresses
 *   attempt  make one commit word, and one record per step. Install each record over what is
 *            effective on its head, a lock only at the caller's version. INSTALLING -> READY is the
 *            instant at which all of it happens. Then read the stamp
 *   undo     if another thread aborted the attempt, or a demand failed: put each head back to what
 *            it was, unless it was replaced
 *   stamp    give each record the stamp in place of the commit; retire what it replaced; make
 *            tickets for tombstones
 *
 * This is the multi-word compare-and-swap of Harris, Fraser, Pratt, "A Practical Multi-Word
 * Compare-and-Swap Operation", 2002, with a time stamp in place of a status, and without helping:
 * only the owner installs, and a stopped owner is aborted. A helper could install a record of a
 * commit that was retired long ago.
 *
 * Progress    Non-blocking: an owner that stops before READY is aborted by a thread that needs one
 *             of its heads. If it stops later, a thread that reads one of its records sets the
 *             stamp. Two running commits do not abort each other for ever: both install in address
 *             order, and a thread waits as long as the other one makes progress.
 * Invariants  I-commit1: a record whose commit is INSTALLING or ABORTED is never effective.
 *             I-commit2: the stamp is read after READY: a snapshot that saw INSTALLING is below.
 *             I-commit3: nothing that the caller can see fails after READY.
 *             I-commit4: LK_RACE only for a lock that really is at another version, gone, or
 *             lapsed, or for a condition that does not hold.
 *             I-commit5: the outcome of a write is judged by the record under its own, and what was
 *             live then is still live when all is installed.
 * Ordering    P1, P2, P2b (head.h).
 */
#include "store/commit.h"

#include <string.h>

#include "base/scratch.h"
#include "store/find.h"
#include "store/lock.h"
#include "store/new_cell.h"
#include "store/record.h"
#include "store/refusal.h"
#include "store/removal.h"
#include "store/sweep.h"

enum { ATTEMPTS = LKI_OR_SMALL(8, 1) }; /* for one plan, in one section */

/* A step: what a commit does to one key. */
typedef struct step {
    lki_cell *cell;
    lki_record *record;  /* the installed record; NULL: none yet */
    lki_record *over;    /* what was effective before it */
    const lk_item *item; /* the new item, or the key to delete; NULL: only the lock is written */
    lk_lock *lock;       /* to be checked, and given a new version; NULL: none */
    const lki_job_step *job; /* of a step of a queue; NULL: it is none */
    const lk_write *asks;    /* see step_asks */
    uint64_t version;        /* of the lock in `record` */
    bool gone;               /* the item is deleted, and its lock */
    bool simple;             /* a plain item and the lock of its key */
    bool plain;              /* installed by the fast path, over a plain value */
    bool expires;            /* what was installed has a new expiry */
} step;

typedef struct plan {
    lki_store *store;
    lki_thread *thread;
    const lki_writes *writes;
    lk_lock *locks;
    size_t lock_count;
    lki_sought *sought; /* of the locks from `known` on; has room for the writes, too */
    step *steps;        /* of the locks, then of the writes of other keys */
    lki_job_step *jobs; /* of the writes, if there are steps of queues */
    step **order;       /* in the order of the cells' addresses */
    size_t step_count;  /* in steps */
    size_t count;       /* in order */
    size_t absent;      /* number of locks at version 0 that have no cell yet */
    size_t known;       /* the first locks whose cells the thread may remember */
    size_t paired;      /* the first items that share the steps of the same locks */
    lki_time now;
    int64_t horizon_ms;    /* a lock that ends after this has not lapsed */
    int64_t expires_at_ms; /* the new expiry of all its locks */
    bool again;            /* it was planned before */
    bool asking;           /* some outcome depends on what is there; then: */
    int64_t until_ms;      /* the earliest end of what was judged to be live */
    size_t refused;        /* the write that could not be planned */
    bool sorted;           /* the steps of the locks were in order already */
    lki_commit *commit;
} plan;

/* Are they the same bytes in memory, as in most commits the key of an item and of its lock? */
static bool
key_is_same(const lk_key *left, const lk_key *right)
{
    return left->pk.data == right->pk.data && left->sk.data == right->sk.data &&
           left->pk.size == right->pk.size && left->sk.size == right->sk.size;
}

/* ---- the plan ---- */

/* Sets up a step that changes nothing yet. */
LKI_INLINE void
step_begin(step *s, lki_cell *cell, lk_lock *lock)
{
    s->cell = cell;
    s->record = NULL;
    s->item = NULL;
    s->lock = lock;
    s->job = NULL;
    s->gone = s->simple = s->plain = false;
}

static step *
step_add(plan *p, lki_cell *cell)
{
    step *s = &p->steps[p->step_count];
    step_begin(s, cell, NULL);
    p->order[p->step_count++] = s;
    return s;
}

static bool
step_before(const step *left, const step *right)
{
    return (uintptr_t)left->cell < (uintptr_t)right->cell;
}

static void
steps_sift(step **order, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && step_before(order[child], order[child + 1]))
            child++;
        if (!step_before(order[at], order[child]))
            return;
        step *swapped = order[at];
        order[at] = order[child];
        order[child] = swapped;
    }
}

/* Sorts by insertion if there are few, else by heap sort, as qsort may allocate. True: two steps
 * may have one cell. */
static bool
steps_sort(step **order, size_t count)
{
    bool repeats = false;
    if (LKI_LIKELY(count <= 16)) {
        for (size_t i = 1; i < count; i++) {
            step *moved = order[i];
            size_t j = i;
            for (; j > 0 && step_before(moved, order[j - 1]); j--)
                order[j] = order[j - 1];
            order[j] = moved;
            repeats |= j > 0 && order[j - 1]->cell == moved->cell;
        }
        return repeats;
    }
    for (size_t i = count / 2; i-- > 0;)
        steps_sift(order, i, count);
    for (size_t i = count; i-- > 1;) {
        step *last = order[i];
        order[i] = order[0];
        order[0] = last;
        steps_sift(order, 0, i);
    }
    return true;
}

/* The write of a step, if its outcome depends on what is there; else NULL. The field `asks` is set
 * only in commits with such a write. */
LKI_INLINE const lk_write *
step_asks(const plan *p, const step *s)
{
    return LKI_LIKELY(!p->asking) || s->item == NULL || s->job != NULL ? NULL : s->asks;
}

/* Does the step only check and renew a lock? */
static bool
step_is_lock(const step *s)
{
    return s->item == NULL && s->job == NULL;
}

/* Merges the steps of a lock and of a write of the same key. LK_INVALID: a key was named twice. */
static LKI_APART lk_status
steps_merge(plan *p)
{
    p->count = 0;
    for (size_t i = 0; i < p->step_count; i++) {
        step *next = p->order[i], *last = p->count > 0 ? p->order[p->count - 1] : NULL;
        if (LKI_LIKELY(last == NULL || last->cell != next->cell)) {
            p->order[p->count++] = next;
            continue;
        }
        step *held = step_is_lock(last) ? last : next, *written = held == last ? next : last;
        if (!step_is_lock(held) || written->lock != NULL)
            return LK_INVALID;
        written->lock = held->lock;
        p->order[p->count - 1] = written;
    }
    return LK_OK;
}

/* Hashes the keys of the locks whose cells are not remembered, and prefetches their buckets. */
static LKI_APART void
locks_seek(plan *p)
{
    for (size_t i = p->known; i < p->lock_count; i++) {
        lki_sought *at = &p->sought[i];
        at->hashed = lki_hashed_of(&p->store->secret, &p->locks[i].key);
        at->bucket = lki_shard_bucket(p->store, at->hashed.hash);
        LKI_PREFETCH(at->bucket);
    }
}

/* The cell of a lock's key, from the tables. NULL also for version 0: that cell is found or made as
 * for a write. */
static LKI_APART lki_cell *
lock_find_any(plan *p, size_t i)
{
    if (p->locks[i].version == 0)
        return NULL;
    lki_hashed hashed = lki_hashed_of(&p->store->secret, &p->locks[i].key);
    return lki_find_any(p->store, &hashed);
}

/* The same; tries first what the thread remembers from its last locked read, or the bucket. */
LKI_INLINE lki_cell *
lock_find(plan *p, size_t i)
{
    lki_cell *cell = NULL;
    unsigned matches;
    bool none;
    if (LKI_LIKELY(i < p->known)) {
        const lk_key *key = &p->locks[i].key;
        lki_cell *const *known = lki_store_thread_of(p->thread)->cells;
        const lki_hashed of = {key, 0, lki_key_sizes(key), true};
        if (LKI_LIKELY(lki_key_is_short(key)) &&
            LKI_LIKELY(lki_keyed_is(known[i], LKI_CELL_HEADER, &of)))
            cell = known[i];
    } else if (LKI_LIKELY(p->sought[i].hashed.is_short)) {
        cell = lki_bucket_first(p->sought[i].bucket, &p->sought[i].hashed, LKI_CELL_HEADER,
                                &matches, &none);
    }
    return LKI_UNLIKELY(cell == NULL) || LKI_UNLIKELY(p->again) ? lock_find_any(p, i) : cell;
}

/* Finds the cells of all locks, in their order. An item with the key of the lock of the same number
 * shares its step. The installation decides whether locks are stale. LK_RACE: one has no cell. */
static lk_status
plan_locks(plan *p)
{
    const lk_item *items = p->writes->items;
    size_t item_count = items != NULL ? p->writes->count : 0;
    size_t count = p->lock_count, paired = 0, absent = 0;
    uintptr_t last = 0;
    bool sorted = true;
    for (size_t i = 0; i < count; i++) {
        lki_cell *cell = lock_find(p, i);
        if (LKI_UNLIKELY(cell == NULL)) {
            if (p->locks[i].version != 0)
                return LK_RACE;
            absent++;
        }
        step *s = p->order[i] = &p->steps[i];
        step_begin(s, cell, &p->locks[i]);
        sorted &= (uintptr_t)cell > last;
        last = (uintptr_t)cell;
        if (LKI_LIKELY(i < item_count) && LKI_LIKELY(paired == i) &&
            key_is_same(&items[i].key, &p->locks[i].key)) {
            s->item = &items[i];
            s->simple = lki_item_is_plain(&items[i]);
            paired++;
        }
    }
    p->step_count = count;
    p->paired = paired;
    p->absent = absent;
    p->sorted = sorted;
    return LK_OK;
}

/* Finds or makes the cell of a key that is written. LK_RACE: it would be made for a write that then
 * could not happen. `item`: the new item, NULL: none; `asks`: as in a step. */
static LKI_APART lk_status
cell_find(plan *p, const lk_key *key, const lk_item *item, const lk_write *asks, lki_cell **cell)
{
    lki_outcome outcome = {.item = item};
    lki_hashed hashed = lki_hashed_of(&p->store->secret, key);
    lk_status status = lki_find_to_write(p->store, p->thread, &hashed, cell);
    if (status != LK_OK)
        return status;
    if (*cell == NULL && asks != NULL &&
        lki_write_outcome(p->store, asks, NULL, &p->now, &outcome) != LK_OK)
        return LK_RACE;
    size_t payload = item == NULL ? 0 : lki_item_payload(outcome.item);
    if (LKI_UNLIKELY(*cell == NULL || lki_cell_is_dead(*cell)))
        status =
            lki_cell_find_or_create(p->store, p->thread, &hashed, payload, *cell == NULL, cell);
    return LKI_LIKELY(status != LK_BUSY) ? status : LK_END; /* else the commit would try again */
}

/* Called if a key is to have nothing. What it had may have ended since `now`, so the end of what is
 * live counts (asking), and no step is simple. */
static void
absent_ask(plan *p)
{
    for (size_t i = 0; i < p->step_count; i++) {
        p->steps[i].simple = false;
        if (i < p->paired)
            p->steps[i].asks = NULL;
    }
    p->asking = true;
    p->until_ms = INT64_MAX;
}

/* Finds or makes the cells of locks at version 0. */
static LKI_APART lk_status
plan_absent(plan *p)
{
    lk_status status = LK_OK;
    lki_locks_expect(p->store);
    absent_ask(p);
    for (size_t i = 0; status == LK_OK && i < p->lock_count; i++) {
        step *s = &p->steps[i];
        lki_cell *cell = s->cell;
        if (cell == NULL)
            status = cell_find(p, &s->lock->key, s->gone ? NULL : s->item, step_asks(p, s), &cell);
        if (status == LK_OK)
            s->cell = cell;
    }
    return status;
}

/* The step of a write; that of the lock of the same number, if that has the same key. If its cell
 * is dead, the installation finds out. */
LKI_INLINE lk_status
write_step(plan *p, size_t i, const lk_item *item, bool gone, const lk_write *asks, step **found)
{
    if (LKI_LIKELY(i < p->lock_count) && key_is_same(&item->key, &p->locks[i].key)) {
        *found = &p->steps[i];
        return LK_OK;
    }
    lki_cell *cell;
    lk_status status = cell_find(p, &item->key, gone ? NULL : item, asks, &cell);
    if (LKI_LIKELY(status == LK_OK))
        *found = step_add(p, cell);
    return status;
}

/* Plans a step of a queue: the queue room says which record must be there, and what comes. */
static lk_status
plan_job(plan *p, size_t i)
{
    lki_job_step *job = &p->jobs[i];
    lk_status status = p->writes->plan(p->writes->context, p->store, p->thread, i, job);
    if (status != LK_OK)
        return status;
    LK_ASSERT(job->cell != NULL && lki_is_writing(p->thread));
    step *s = step_add(p, job->cell);
    s->job = job;
    lk_write_kind kind = p->writes->writes[i].kind;
    s->gone = kind == LK_ACKNOWLEDGE;
    s->item = kind == LK_PUSH ? lki_writes_item(p->writes, i) : NULL;
    return LK_OK;
}

/* Plans any other write. */
LKI_INLINE lk_status
plan_write(plan *p, size_t i)
{
    const lk_item *item = lki_writes_item(p->writes, i);
    bool gone = lki_writes_is_delete(p->writes, i);
    const lk_write *asks = lki_writes_asking(p->writes, i);
    step *s;
    lk_status status = write_step(p, i, item, gone, asks, &s);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    s->gone = gone;
    s->item = item;
    s->asks = asks;
    if (LKI_UNLIKELY(asks != NULL)) {
        p->asking = true;
        p->until_ms = INT64_MAX;
    }
    return LK_OK;
}

/* Reserves room for all that the writes of new keys, and an attempt, retire. */
LKI_INLINE bool
plan_reserve(plan *p)
{
    size_t apart = p->writes->count - p->paired + p->absent;
    return lki_reserve(p->thread, 4 * p->lock_count + 6 * apart + 4);
}

static lk_status
plan_writes(plan *p)
{
    if (LKI_UNLIKELY(!plan_reserve(p)))
        return LK_NO_MEMORY;
    for (size_t i = p->paired; i < p->writes->count; i++) {
        bool of_queue = LKI_UNLIKELY(lki_writes_is_of_queue(p->writes, i));
        lk_status status = of_queue ? plan_job(p, i) : plan_write(p, i);
        if (LKI_UNLIKELY(status != LK_OK)) {
            p->refused = i;
            return status;
        }
    }
    p->count = p->step_count;
    if (p->sorted && p->step_count == p->lock_count)
        return LK_OK;
    lk_status status = LKI_UNLIKELY(p->absent != 0) ? plan_absent(p) : LK_OK;
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    return LKI_UNLIKELY(steps_sort(p->order, p->step_count)) ? steps_merge(p) : LK_OK;
}

/* ---- one attempt ---- */

/* Prepares a record to be installed over `over`: its word is the commit. */
LKI_INLINE void
record_commit(plan *p, lki_record *record, lki_record *over)
{
    lki_record_put_over(record, over);
    lki_store_relaxed(&record->word, (uint64_t)(uintptr_t)p->commit | LKI_WORD_COMMIT);
}

/* Fast path, for most steps: an item with the lock of its key, over a plain value with that lock,
 * or over the lock alone. False: it is not such a case, and nothing was done. */
LKI_INLINE bool
step_install_plain(plan *p, step *s)
{
    uintptr_t seen = lki_load_acquire(&s->cell->item); /* P1 */
    lki_record *over = (lki_record *)seen;
    if (LKI_UNLIKELY(!s->simple) || LKI_UNLIKELY(seen <= LKI_DEAD) ||
        LKI_UNLIKELY(!lki_word_is_stamp(lki_load_acquire(&over->word)))) /* P2 */
        return false;
    const lki_lock *lock = lki_plain_lock(over, p->horizon_ms);
    if (LKI_UNLIKELY(lock == NULL) || LKI_UNLIKELY(lock->version != s->lock->version))
        return false;
    uint64_t version = lock->version;
    lki_record *record = lki_record_plain(p->thread, s->item, LKI_FLAG_LOCKED);
    if (LKI_UNLIKELY(record == NULL))
        return false;
    lki_lock *bumped = (lki_lock *)(void *)record->data;
    s->version = bumped->version = lki_version_above(p->thread, version);
    bumped->expires_at_ms = p->expires_at_ms;
    record_commit(p, record, over);
    if (LKI_UNLIKELY(!lki_cas_seq_cst(&s->cell->item, &seen, (uintptr_t)record))) { /* P1 */
        lki_record_discard(p->thread, s->cell, record);
        lki_count(p->thread, LKI_HEAD_CONFLICTS, 1);
        return false;
    }
    s->record = record;
    s->over = over;
    s->plain = true;
    return true;
}

/* Makes the record of any step over `over`. `item`: the new item, if any. */
static lki_record *
step_record(plan *p, step *s, lki_record *over, const lk_item *item)
{
    lki_lock bumped = {0, p->expires_at_ms};
    if (s->lock != NULL) {
        uint64_t below = s->lock->version;
        if (LKI_UNLIKELY(below == 0))
            below = lki_version_below(p->store, s->cell, over);
        bumped.version = s->version = lki_version_above(p->thread, below);
    }
    const lki_change change = {.item = item,
                               .job = s->job != NULL ? &s->job->to : NULL,
                               .lock = s->lock != NULL ? &bumped : NULL,
                               .gone = s->gone,
                               .now = &p->now};
    lki_record *record = lki_record_over(p->store, p->thread, s->cell, &change, over);
    if (LKI_LIKELY(record != NULL))
        record_commit(p, record, over);
    return record;
}

/* Waits for an unfinished commit (NULL: another write was faster). False: this one was aborted. */
static bool
step_wait(plan *p, lki_commit *blocker)
{
    if (blocker != NULL)
        lki_commit_resolve(p->thread, blocker);
    else
        lki_count(p->thread, LKI_HEAD_CONFLICTS, 1);
    return lki_load_acquire(&p->commit->state) != LKI_ABORTED; /* P2; the end checks again */
}

/* If `over` is live, remembers its end: it must be live still when all is judged. Else an item that
 * has ended since would count beside one that ends with it. */
static LKI_APART void
asked_until(plan *p, const step *s, lki_record *over)
{
    const lki_lock *lock = s->lock != NULL ? lki_good_lock(p->store, over, &p->now) : NULL;
    int64_t ends_ms[] = {lki_record_is_live(p->store, over, &p->now) ? lki_record_expires(over) : 0,
                         lock != NULL ? lock->expires_at_ms : 0};
    for (size_t i = 0; i < 2; i++)
        if (ends_ms[i] != 0 && ends_ms[i] < p->until_ms)
            p->until_ms = ends_ms[i];
}

/* All is judged: is it still live? Only such commits read a time later than their `now`. */
static bool
asked_in_time(plan *p)
{
    lki_time later = {0, false, false};
    return LKI_LIKELY(!p->asking) || p->until_ms == INT64_MAX ||
           !lki_is_past(p->store, &later, p->until_ms);
}

/* Installs any step. LK_OK; LK_RACE: the lock is stale, or the write must not happen; LK_NOT_FOUND:
 * the cell is dead, or the job's state has changed; LK_BUSY: another thread aborted it;
 * LK_NO_MEMORY. */
static LKI_APART lk_status
step_install(plan *p, step *s)
{
    lki_outcome outcome = {.item = s->item};
    s->plain = false;
    for (;;) {
        uintptr_t seen = lki_load_acquire(&s->cell->item); /* P1 */
        if (LKI_UNLIKELY(seen == LKI_DEAD))
            return LK_NOT_FOUND;
        lki_commit *blocker = NULL;
        lki_record *over = lki_effective(p->store, seen, &blocker);
        if (s->lock != NULL &&
            LKI_UNLIKELY(!lki_lock_is_at(p->store, over, s->lock->version, &p->now)))
            return LK_RACE;
        if (s->job != NULL && LKI_UNLIKELY(over != s->job->expected))
            return LK_NOT_FOUND; /* plan again */
        const lk_write *asks = step_asks(p, s);
        if (LKI_UNLIKELY(asks != NULL) &&
            lki_write_outcome(p->store, asks, over, &p->now, &outcome) != LK_OK)
            return LK_RACE;
        if (LKI_UNLIKELY(p->asking))
            asked_until(p, s, over);
        if (LKI_UNLIKELY(blocker != NULL)) {
            if (!step_wait(p, blocker))
                return LK_BUSY;
            continue;
        }
        lki_record *record = step_record(p, s, over, outcome.item);
        if (LKI_UNLIKELY(record == NULL))
            return LK_NO_MEMORY;
        lki_head_before(seen);
        if (LKI_LIKELY(lki_cas_seq_cst(&s->cell->item, &seen, (uintptr_t)record))) { /* P1 */
            s->record = record;
            s->over = over;
            s->expires = outcome.item != NULL && outcome.item->expires_at_ms != 0 && !outcome.kept;
            return LK_OK;
        }
        lki_record_discard(p->thread, s->cell, record);
        if (!step_wait(p, NULL))
            return LK_BUSY;
    }
}

/* Takes everything back that the attempt has installed. */
static LKI_APART void
attempt_undo(plan *p)
{
    uint64_t installing = LKI_INSTALLING;
    lki_cas_seq_cst(&p->commit->state, &installing, LKI_ABORTED);
    LK_ASSERT(installing == LKI_INSTALLING || installing == LKI_ABORTED); /* I-commit3 */
    for (size_t i = 0; i < p->count; i++) {
        step *s = p->order[i];
        if (s->record == NULL)
            continue;
        uintptr_t mine = (uintptr_t)s->record;
        lki_cas_seq_cst(&s->cell->item, &mine,
                        (uintptr_t)s->over); /* unless another record lies over it */
        lki_record_retire_undone(p->thread, s->cell, s->record);
        s->record = NULL;
    }
    lki_retire(p->thread, LKI_COMMIT, p->commit, sizeof *p->commit);
    p->commit = NULL;
}

/* What is left to do for a step that was not installed by the fast path. */
static LKI_APART void
step_stamp_rest(plan *p, const step *s)
{
    LK_ASSERT(s->gone == (s->record->kind == LKI_TOMBSTONE));
    lki_record_replaced(p->store, p->thread, s->cell, s->over, s->record);
    if (s->lock != NULL) {
        lki_count(p->thread, LKI_LOCKS_CREATED, s->lock->version == 0 && !s->gone);
        s->lock->version = s->gone ? 0 : s->version;
        s->lock->expires_at_ms = s->gone ? 0 : p->expires_at_ms;
    }
    if (s->gone) {
        lki_removal_schedule(p->thread, s->cell, s->record);
    } else if (s->expires) {
        lki_sweep_expect(p->store, lki_record_expires(s->record));
        lki_store_thread_of(p->thread)->expiring_writes++;
    } else if (s->record->kind == LKI_LOCK) {
        lki_sweep_expect(p->store, p->expires_at_ms);
    }
}

LKI_INLINE void
step_stamp(plan *p, const step *s, uint64_t stamp)
{
    LK_ASSERT(s->record != NULL && s->record != s->over && lki_word_is_stamp(stamp));
    lki_store_release(&s->record->word, stamp); /* P2 */
    if (LKI_UNLIKELY(!s->plain)) {
        step_stamp_rest(p, s);
        return;
    }
    s->lock->version = s->version;
    s->lock->expires_at_ms = p->expires_at_ms;
    lki_record_retire(p->thread, s->cell, s->over);
}

/* The commit has happened: gives it and its records the stamp, and retires what they replaced. */
LKI_INLINE void
attempt_stamp(plan *p)
{
    uint64_t ready = LKI_READY;
    uint64_t stamp = lki_load_seq_cst(&p->store->clock); /* P2: after READY */
    if (!lki_cas_seq_cst(&p->commit->state, &ready, stamp << 2)) {
        stamp = ready >> 2;
        lki_count(p->thread, LKI_HELPED, 1);
    }
    for (size_t i = 0; i < p->count; i++)
        step_stamp(p, p->order[i], stamp);
    lki_retire(p->thread, LKI_COMMIT, p->commit, sizeof *p->commit);
    p->commit = NULL;
}

/* Makes one attempt. LK_OK; LK_NO_MEMORY or a status of step_install: nothing of it stays. */
LKI_INLINE lk_status
attempt(plan *p)
{
    lki_commit *commit = p->commit = lki_chunk_alloc(p->thread, sizeof *commit);
    if (LKI_UNLIKELY(commit == NULL))
        return LK_NO_MEMORY;
    lki_store_relaxed(&commit->state, LKI_INSTALLING);
    lk_status status = LK_OK;
    for (size_t i = 0; i < p->count; i++) {
        LK_ASSERT(i == 0 || step_before(p->order[i - 1], p->order[i]));
        lki_store_relaxed(&commit->installed, i);
        if (LKI_LIKELY(step_install_plain(p, p->order[i])))
            continue;
        status = step_install(p, p->order[i]);
        if (LKI_UNLIKELY(status != LK_OK))
            break;
    }
    if (LKI_LIKELY(status == LK_OK) && LKI_UNLIKELY(!asked_in_time(p)))
        status = LK_RACE;
    uint64_t installing = LKI_INSTALLING;
    if (LKI_LIKELY(status == LK_OK) &&
        LKI_UNLIKELY(!lki_cas_seq_cst(&commit->state, &installing, LKI_READY))) /* P2 */
        status = LK_BUSY;
    if (LKI_LIKELY(status == LK_OK))
        attempt_stamp(p);
    else
        attempt_undo(p);
    return status;
}

/* After a failure: schedules the removal of cells that were made in vain. */
static void
plan_discard(plan *p)
{
    for (size_t i = 0; i < p->step_count; i++)
        if (p->steps[i].cell != NULL)
            lki_removal_if_void(p->thread, p->steps[i].cell);
}

LKI_INLINE lk_status
plan_attempts(plan *p)
{
    for (unsigned i = 0;; i++) {
        lk_status status = attempt(p);
        if (LKI_LIKELY(status != LK_BUSY) || i == ATTEMPTS)
            return status;
        lki_count(p->thread, LKI_RETRIES, 1);
        lk_backoff(i);
        if (!plan_reserve(p))
            return LK_NO_MEMORY;
    }
}

/* The status if the commit did not happen: that of the first demand that does not hold, else
 * `refused`, with which write p->refused could not be planned. LK_OK: all demands hold now. */
static LKI_APART lk_status
plan_refuse(plan *p, lk_status refused, lk_conflict *conflict)
{
    lki_demands demands = {p->writes, p->writes->count, p->locks, p->lock_count};
    lk_conflict found = {SIZE_MAX, 0, p->refused}; /* unless an earlier demand failed */
    if (refused != LK_OK)
        demands.write_count = p->refused;
    lk_status status = lki_demands_judge(p->store, p->thread, &demands, &p->now, &found);
    if (status == LK_OK && refused == LK_OK)
        return LK_OK;
    if (lki_demands_repeat(p->store, &demands, p->sought))
        return LK_INVALID;
    if (conflict != NULL)
        *conflict = found;
    return status != LK_OK ? status : refused;
}

/* Plans and attempts until it is decided. LK_BUSY: aborted too often; the caller leaves the
 * section, so that the epoch can move, and tries again. */
static lk_status
plan_run(plan *p, lk_conflict *conflict)
{
    for (;; p->again = true) {
        lk_status status = LKI_UNLIKELY(p->again) ? plan_refuse(p, LK_OK, conflict) : LK_OK;
        if (LKI_UNLIKELY(status != LK_OK))
            return status;
        p->step_count = 0;
        status = plan_locks(p);
        if (LKI_LIKELY(status == LK_OK))
            status = plan_writes(p);
        if (LKI_LIKELY(status == LK_OK))
            status = plan_attempts(p);
        if (LKI_LIKELY(status == LK_OK))
            return LK_OK;
        plan_discard(p);
        if (status == LK_RACE || status == LK_NOT_FOUND)
            continue; /* a demand failed, or a cell has died: look again */
        p->again = true;
        return status > LK_OK ? plan_refuse(p, status, conflict) : status;
    }
}

/* Room on the stack for few keys, without steps of queues. */
enum { FEW = 8 };
typedef struct room {
    lki_sought sought[FEW];
    step steps[FEW];
    step *order[FEW];
} room;

/* Takes scratch memory for a large plan. False: no memory. */
static LKI_APART bool
plan_take(plan *p, lki_scratch *scratch, size_t keys, size_t jobs)
{
    if (!lki_scratch_take(p->thread, scratch,
                          keys * (sizeof(lki_sought) + sizeof(step) + sizeof(step *)) +
                              jobs * sizeof(lki_job_step)))
        return false;
    char *memory = scratch->memory;
    p->sought = (lki_sought *)(void *)memory;
    p->steps = (step *)(void *)(memory + keys * sizeof(lki_sought));
    p->order = (step **)(void *)(p->steps + keys);
    p->jobs = (lki_job_step *)(void *)(p->order + keys);
    return true;
}

lk_status
lki_store_commit(lki_store *store, lki_thread *thread, const lki_writes *writes, lk_lock *locks,
                 size_t lock_count, lk_conflict *conflict)
{
    size_t keys = lock_count + writes->count;
    lki_scratch scratch = {NULL, 0};
    room few;
    plan p; /* not zeroed as a whole: that would be a string instruction */
    LK_ASSERT(lock_count + writes->count != 0);
    p.store = store;
    p.thread = thread;
    p.writes = writes;
    p.locks = locks;
    p.lock_count = lock_count;
    p.sought = few.sought;
    p.steps = few.steps;
    p.order = few.order;
    p.now = (lki_time){0, false, false};
    p.horizon_ms = p.expires_at_ms = 0;
    p.again = p.asking = false;
    bool large = keys > FEW || writes->plan != NULL;
    if (LKI_UNLIKELY(large) &&
        !plan_take(&p, &scratch, keys, writes->plan != NULL ? writes->count : 0))
        return LK_NO_MEMORY;
    if (lock_count > 0) {
        p.horizon_ms = lki_lock_horizon(store, &p.now, 0);
        p.expires_at_ms = lki_lock_deadline(store, p.now.ms);
    }
    lk_status status;
    for (unsigned i = 0;; i++) {
        lki_write_enter(thread);
        p.known = lki_cells_known(thread, p.now.ms);
        if (LKI_UNLIKELY(p.known < lock_count))
            locks_seek(&p);
        status = plan_run(&p, conflict);
        lki_write_leave(thread);
        if (LKI_LIKELY(status != LK_BUSY))
            break;
        lk_backoff(i + ATTEMPTS);
    }
    if (LKI_UNLIKELY(large))
        lki_scratch_give(thread, &scratch);
    lki_sweep_step(store, thread, keys);
    return LKI_LIKELY(status != LK_END) ? status : LK_BUSY;
}
