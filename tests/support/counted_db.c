/* SPDX-License-Identifier: MIT
 *
 * See counted_db.h.
 */
#include "support/counted_db.h"

#include <sched.h>

#include "adapter/pass.h"
#include "support/crowd.h"

/* ---- by chance ---- */

static bool
chance(const _Atomic(uint32_t) *one_in)
{
    static _Thread_local uint64_t random;
    uint32_t n = atomic_load_explicit(one_in, memory_order_relaxed);
    if (n == 0)
        return false;
    if (random == 0)
        random = crowd_seed() + (uintptr_t)&random;
    return crowd_random(&random) % n == 0;
}

/* ---- gates and failures ---- */

static void
gate_pass(counted_db *c, enum counted_call call, enum counted_when when)
{
    counted_gate *gate = &c->gates[call];
    pthread_mutex_lock(&c->latch);
    if (gate->shut && !gate->reached && gate->when == when) {
        gate->reached = true;
        pthread_cond_broadcast(&c->moved);
        while (gate->shut)
            pthread_cond_wait(&c->moved, &c->latch);
        gate->reached = false;
    }
    pthread_mutex_unlock(&c->latch);
}

/* The status that this call is to end in; LK_OK: its own. */
static lk_status
failure_take(counted_db *c, enum counted_call call, enum counted_when when)
{
    counted_failure *failure = &c->failures[call];
    lk_status status = LK_OK;
    pthread_mutex_lock(&c->latch);
    if (failure->left != 0 && failure->when == when && --failure->left == 0)
        status = failure->status;
    pthread_mutex_unlock(&c->latch);
    return status;
}

static lk_status
call_begin(counted_db *c, enum counted_call call)
{
    atomic_fetch_add_explicit(&c->calls[call], 1, memory_order_relaxed);
    if (chance(&c->yield_one_in))
        sched_yield();
    if (chance(&c->fail_one_in))
        return LK_UNAVAILABLE;
    if (!atomic_load_explicit(&c->watched, memory_order_acquire))
        return LK_OK;
    gate_pass(c, call, COUNTED_BEFORE);
    return failure_take(c, call, COUNTED_BEFORE);
}

static lk_status
call_end(counted_db *c, enum counted_call call, lk_status status)
{
    if (chance(&c->yield_one_in))
        sched_yield();
    if (call > COUNTED_GET_MANY && chance(&c->fail_one_in))
        return LK_UNKNOWN;
    if (!atomic_load_explicit(&c->watched, memory_order_acquire))
        return status;
    gate_pass(c, call, COUNTED_AFTER);
    lk_status instead = failure_take(c, call, COUNTED_AFTER);
    return instead != LK_OK ? instead : status;
}

void
counted_shut(counted_db *c, enum counted_call call, enum counted_when when)
{
    pthread_mutex_lock(&c->latch);
    c->gates[call] = (counted_gate){when, true, false};
    atomic_store(&c->watched, true);
    pthread_mutex_unlock(&c->latch);
}

void
counted_wait(counted_db *c, enum counted_call call)
{
    pthread_mutex_lock(&c->latch);
    while (!c->gates[call].reached)
        pthread_cond_wait(&c->moved, &c->latch);
    pthread_mutex_unlock(&c->latch);
}

void
counted_go(counted_db *c, enum counted_call call)
{
    pthread_mutex_lock(&c->latch);
    c->gates[call].shut = false;
    pthread_cond_broadcast(&c->moved);
    pthread_mutex_unlock(&c->latch);
}

void
counted_fail(counted_db *c, enum counted_call call, enum counted_when when, uint64_t nth,
             lk_status status)
{
    pthread_mutex_lock(&c->latch);
    c->failures[call] = (counted_failure){when, nth, status};
    atomic_store(&c->watched, true);
    pthread_mutex_unlock(&c->latch);
}

/* ---- what is counted ---- */

/* The body of an operation: `call` on the database behind `c`. */
#define PASS(which, call)                                               \
    do {                                                                \
        counted_db *c = state;                                          \
        lk_status status = call_begin(c, (which));                      \
        return status != LK_OK ? status : call_end(c, (which), (call)); \
    } while (0)

static void
keys_count(counted_db *c, size_t count)
{
    atomic_fetch_add_explicit(&c->keys, count, memory_order_relaxed);
}

static lk_status
counted_get(void *state, lk_key key, lk_result *result)
{
    keys_count(state, 1);
    PASS(COUNTED_GET, lk_get(c->inner, key, result));
}

static lk_status
counted_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    keys_count(state, count);
    PASS(COUNTED_GET_MANY, lk_get_many(c->inner, keys, count, result));
}

static lk_status
counted_set(void *state, const lk_item *items, size_t count)
{
    PASS(COUNTED_SET, lk_set(c->inner, items, count));
}

static lk_status
counted_remove(void *state, const lk_key *keys, size_t count)
{
    PASS(COUNTED_REMOVE, lk_delete(c->inner, keys, count));
}

static lk_status
counted_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
               size_t lock_count, lk_conflict *conflict)
{
    PASS(COUNTED_COMMIT, lk_commit(c->inner, writes, write_count, locks, lock_count, conflict));
}

static lk_status
counted_put_if(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    PASS(COUNTED_CONDITION, lk_put_if(c->inner, item, condition, expected));
}

static lk_status
counted_touch(void *state, const lk_key *key, int64_t expires_at_ms)
{
    PASS(COUNTED_CONDITION, lk_touch_at(c->inner, key, expires_at_ms));
}

static lk_status
counted_add(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms, int64_t *value)
{
    PASS(COUNTED_CONDITION, lk_add_at(c->inner, key, delta, expires_at_ms, value));
}

static lk_status
counted_push(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
             lk_result *pushed)
{
    PASS(COUNTED_PUSH, lk_queue_push(c->inner, jobs, count, options, pushed));
}

static lk_status
counted_pull(void *state, const lk_pull_options *options, lk_result *result)
{
    PASS(COUNTED_PULL, lk_queue_pull(c->inner, options, result));
}

static lk_status
counted_acknowledge(void *state, const lk_claim *claims, size_t count)
{
    PASS(COUNTED_ACKNOWLEDGE, lk_queue_acknowledge(c->inner, claims, count));
}

static lk_status
counted_purge(void *state, lk_bytes pk, size_t *purged)
{
    PASS(COUNTED_PURGE, lk_queue_purge(c->inner, pk, purged));
}

/* ---- open and close ---- */

/* What is counted is replaced; the rest goes through, or is made of what is counted. */
static void
operations_replace(lk_operations *o)
{
    o->get = counted_get;
    o->get_into = NULL;
    o->set = counted_set;
    o->remove = counted_remove;
    o->get_many = counted_get_many;
    o->get_locked = NULL;
    o->commit = counted_commit;
    o->set_atomic = NULL;
    o->put_if = counted_put_if;
    o->touch = counted_touch;
    o->add = counted_add;
    o->push = counted_push;
    o->pull = counted_pull;
    o->acknowledge = counted_acknowledge;
    o->queue_purge = counted_purge;
}

lk_status
counted_open(counted_db *c, lk_db *inner, uint64_t without)
{
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_operations operations;
    memset(c, 0, sizeof *c);
    pthread_mutex_init(&c->latch, NULL);
    pthread_cond_init(&c->moved, NULL);
    c->inner = inner;
    lk_status status = lk_adapter_pass(inner, &operations, &adapter);
    if (status != LK_OK)
        return status;
    operations_replace(&operations);
    adapter.name = "counted";
    /* Its get_locked is put together. */
    adapter.capabilities =
        lki_capabilities_whole(adapter.capabilities & ~(without | LK_LOCKS_ABSENT));
    adapter.state = c;
    lki_operations_trim(&operations, adapter.capabilities);
    return lk_adapter_open(&operations, &adapter, &c->db);
}

void
counted_close(counted_db *c)
{
    lk_close(c->db);
    pthread_cond_destroy(&c->moved);
    pthread_mutex_destroy(&c->latch);
}
