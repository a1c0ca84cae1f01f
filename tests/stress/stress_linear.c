/* SPDX-License-Identifier: MIT
 *
 * Recorded histories of single keys against what a register with a lock may do. Threads note when each call began and ended and what
 * it gave; a checker looks for an order of the calls that explains it (Wing, Gong, "Testing and Verifying Concurrent Objects",
 * 1993; just in time, with a set of what was reached before: Lowe, "Testing for Linearizability", 2017). Its teeth: stores
 * that are broken in one place each must be refused.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "support/crowd.h"

enum { THREADS = 5, KEYS = 3, ROUNDS = 8, REACHED_MAX = 1 << 14 };

enum call_kind { CALL_GET, CALL_SET, CALL_DELETE, CALL_LOCK, CALL_COMMIT };

typedef struct call {
    int64_t begin, end; /* nanoseconds */
    uint64_t value;     /* read or written; 0: absent */
    uint64_t version;   /* of the lock that was got, or that was to be committed */
    uint64_t after;     /* the version that a commit gave, or found instead */
    uint8_t kind, key, thread;
    bool succeeded;
} call;

/* What is called: the store, or a broken imitation. */
typedef struct subject {
    void (*open)(void);
    void (*close)(void);
    void (*run)(call *c, lk_result *result); /* fills in what the call gave */
} subject;

static struct {
    const subject *subject;
    size_t calls; /* of each thread in a round */
    uint64_t round;
    call *log[THREADS];
    atomic_ullong values;
} test;

static int64_t
now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- the checker ---- */

typedef struct state {
    uint64_t value, version;
    uint64_t highest; /* version so far */
    uint32_t made;    /* bit of each thread whose running call has taken effect */
} state;

typedef struct checker {
    state *reached; /* distinct states that explain all so far */
    size_t count;
    const call *running[THREADS];
} checker;

/* Can the call take effect now? The state after it. */
static bool
call_apply(const call *c, state *s)
{
    switch (c->kind) {
    case CALL_GET:
        return s->value == c->value;
    case CALL_SET:
        s->value = c->value;
        return true;
    case CALL_DELETE:
        s->value = s->version = 0;
        return true;
    case CALL_LOCK:
        if (s->version == c->version)
            return true;
        if (s->version != 0 || c->version <= s->highest)
            return false;
        s->version = s->highest = c->version;
        return true;
    default:
        if (!c->succeeded)
            return s->version == c->after && c->after != c->version;
        if (s->version != c->version || c->after <= s->highest)
            return false;
        s->value = c->value;
        s->version = s->highest = c->after;
        return true;
    }
}

static bool
state_equals(const state *a, const state *b)
{
    return a->value == b->value && a->version == b->version && a->highest == b->highest &&
           a->made == b->made;
}

/* Adds a state unless it was reached before. */
static void
reached_add(checker *k, const state *s)
{
    for (size_t i = 0; i < k->count; i++)
        if (state_equals(&k->reached[i], s))
            return;
    EXPECT(k->count < REACHED_MAX, k->count, 0);
    if (k->count < REACHED_MAX)
        k->reached[k->count++] = *s;
}

/* All that running calls can lead to, in any order. */
static void
reached_close(checker *k)
{
    for (size_t i = 0; i < k->count; i++)
        for (size_t t = 0; t < THREADS; t++) {
            state s = k->reached[i];
            if (k->running[t] == NULL || (s.made >> t & 1) != 0 || !call_apply(k->running[t], &s))
                continue;
            s.made |= 1U << t;
            reached_add(k, &s);
        }
}

/* The call of thread `t` returned: only states in which it took effect remain. False: there is none. */
static bool
reached_return(checker *k, size_t t)
{
    state *from = k->reached;
    size_t count = k->count;
    k->count = 0;
    for (size_t i = 0; i < count; i++) {
        state s = from[i];
        if ((s.made >> t & 1) == 0)
            continue;
        s.made &= ~(1U << t);
        reached_add(k, &s); /* never writes behind what was read: it only drops states */
    }
    k->running[t] = NULL;
    return k->count > 0;
}

typedef struct event {
    int64_t at;
    const call *call;
    bool returns;
} event;

/* By time; where two are at once, calls begin before others return. */
static int
event_order(const void *left, const void *right)
{
    const event *a = left, *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return (int)a->returns - (int)b->returns;
}

/* The number of calls that an order explains: all of them, or fewer. */
static size_t
history_check(const event *events, size_t count)
{
    checker k = {.reached = calloc(REACHED_MAX, sizeof(state)), .count = 1};
    size_t explained = 0;
    for (size_t i = 0; i < count; i++) {
        size_t t = events[i].call->thread;
        if (!events[i].returns) {
            k.running[t] = events[i].call;
            continue;
        }
        reached_close(&k);
        if (!reached_return(&k, t))
            break;
        explained++;
    }
    free(k.reached);
    return explained;
}

/* All keys of a round. True: explained. */
static bool
round_check(bool tell)
{
    event *events = calloc(2 * THREADS * test.calls, sizeof *events);
    bool explained = true;
    for (size_t key = 0; key < KEYS; key++) {
        size_t count = 0;
        for (size_t t = 0; t < THREADS; t++)
            for (size_t i = 0; i < test.calls; i++) {
                const call *c = &test.log[t][i];
                if (c->key != key)
                    continue;
                events[count++] = (event){c->begin, c, false};
                events[count++] = (event){c->end, c, true};
            }
        qsort(events, count, sizeof *events, event_order);
        size_t done = history_check(events, count);
        explained = explained && done == count / 2;
        if (tell)
            EXPECT(done == count / 2, done, count / 2);
    }
    free(events);
    return explained;
}

/* ---- the store ---- */

static lk_db *db;

static void
store_open(void)
{
    EXPECT_OK(lk_memory_open(NULL, &db));
}

static void
store_close(void)
{
    lk_close(db);
}

static lk_key
store_key(const call *c)
{
    static const char *const names[KEYS] = {"x", "y", "z"};
    return lk_key_of("linear", names[c->key]);
}

static void
store_run(call *c, lk_result *result)
{
    unsigned char bytes[CROWD_VALUE_MAX];
    lk_key key = store_key(c);
    lk_lock lock = {key, c->version, 0};
    lk_item item = {.key = key, .data = {bytes, 0}};
    lk_conflict conflict = {0, 0};
    lk_status status = LK_OK;
    switch (c->kind) {
    case CALL_GET:
        c->value = 0;
        status = lk_get(db, key, result);
        if (status == LK_OK)
            EXPECT(crowd_value_check(lk_result_item(result, 0)->data, c->key, &c->value), c->key,
                   c->value);
        status = status == LK_NOT_FOUND ? LK_OK : status;
        break;
    case CALL_SET:
        status = crowd_set(db, key, c->key, c->value);
        break;
    case CALL_DELETE:
        status = lk_delete(db, &key, 1);
        break;
    case CALL_LOCK:
        status = lk_get_lock(db, key, &lock);
        c->version = lock.version;
        break;
    default:
        item.data.size = crowd_value(bytes, c->key, c->value);
        status = lk_set_atomic(db, &item, 1, &lock, 1, &conflict);
        c->succeeded = status == LK_OK;
        c->after = c->succeeded ? lock.version : conflict.current_version;
        status = status == LK_RACE ? LK_OK : status;
    }
    EXPECT_OK(status);
}

/* ---- broken imitations ---- */

enum fault {
    FAULT_NONE,
    FAULT_STALE_READ,
    FAULT_LOST_CAS,
    FAULT_LOCK_SURVIVES,
    FAULT_LOST_WRITE,
    FAULTS
};

static struct {
    pthread_mutex_t latch;
    enum fault fault;
    uint64_t random, version;
    uint64_t value[KEYS], before[KEYS], lock[KEYS];
} fake = {.latch = PTHREAD_MUTEX_INITIALIZER};

static void
fake_open(void)
{
    fake.random = crowd_seed();
    memset(fake.value, 0, sizeof fake.value);
    memset(fake.lock, 0, sizeof fake.lock);
}

static void
fake_close(void)
{
}

static void
fake_write(size_t key, uint64_t value)
{
    fake.before[key] = fake.value[key];
    fake.value[key] = value;
}

static void
fake_run(call *c, lk_result *result)
{
    (void)result;
    pthread_mutex_lock(&fake.latch);
    size_t key = c->key;
    bool fails = crowd_random(&fake.random) % 200 == 0;
    switch (c->kind) {
    case CALL_GET:
        c->value = fails && fake.fault == FAULT_STALE_READ ? fake.before[key] : fake.value[key];
        break;
    case CALL_SET:
        if (!fails || fake.fault != FAULT_LOST_WRITE)
            fake_write(key, c->value);
        break;
    case CALL_DELETE:
        fake_write(key, 0);
        if (!fails || fake.fault != FAULT_LOCK_SURVIVES)
            fake.lock[key] = 0;
        break;
    case CALL_LOCK:
        if (fake.lock[key] == 0)
            fake.lock[key] = ++fake.version;
        c->version = fake.lock[key];
        break;
    default:
        c->succeeded = fake.lock[key] == c->version || (fails && fake.fault == FAULT_LOST_CAS);
        if (c->succeeded) {
            fake_write(key, c->value);
            fake.lock[key] = ++fake.version;
        }
        c->after = fake.lock[key];
    }
    pthread_mutex_unlock(&fake.latch);
}

/* ---- recording ---- */

static void
member(crowd_member *m)
{
    uint64_t version[KEYS] = {0};
    m->random += test.round << 32;
    for (size_t i = 0; i < test.calls; i++) {
        uint64_t random = crowd_random(&m->random), kind = random / KEYS % 16;
        call *c = &test.log[m->index][i];
        *c = (call){.key = (uint8_t)(random % KEYS), .thread = (uint8_t)m->index};
        c->kind = kind < 5    ? CALL_GET
                  : kind < 8  ? CALL_SET
                  : kind < 10 ? CALL_DELETE
                  : kind < 13 ? CALL_LOCK
                              : CALL_COMMIT;
        if (c->kind == CALL_COMMIT && version[c->key] == 0)
            c->kind = CALL_LOCK;
        c->version = c->kind == CALL_COMMIT ? version[c->key] : 0;
        c->value = c->kind == CALL_GET ? 0 : atomic_fetch_add(&test.values, 1) + 1;
        c->begin = now_ns();
        test.subject->run(c, m->result);
        c->end = now_ns();
        if (c->kind == CALL_LOCK)
            version[c->key] = c->version;
        else if (c->kind == CALL_COMMIT)
            version[c->key] = c->succeeded ? c->after : 0;
        if (random >> 32 & 63)
            continue;
        sched_yield();
    }
}

static size_t
rounds_run(const subject *s, size_t rounds, size_t calls, bool tell)
{
    size_t refused = 0;
    test.subject = s;
    test.calls = calls;
    for (size_t t = 0; t < THREADS; t++)
        test.log[t] = calloc(calls, sizeof(call));
    for (test.round = 0; test.round < rounds && crowd_is_well(); test.round++) {
        s->open();
        crowd_run(THREADS, member, NULL);
        s->close();
        refused += !round_check(tell);
    }
    for (size_t t = 0; t < THREADS; t++)
        free(test.log[t]);
    return refused;
}

static void
run_store(void)
{
    static const subject store = {store_open, store_close, store_run};
    size_t calls = test_scaled(40000);
    EXPECT(rounds_run(&store, ROUNDS, calls, true) == 0, 0, 0);
    crowd_note("calls", ROUNDS * calls * THREADS);
}

static void
run_twins(void)
{
    static const subject imitation = {fake_open, fake_close, fake_run};
    for (int fault = FAULT_NONE; fault < FAULTS; fault++) {
        fake.fault = (enum fault)fault;
        size_t refused = rounds_run(&imitation, 2, 4000, false);
        EXPECT(refused == (fault == FAULT_NONE ? 0 : 2), fault, refused);
    }
    crowd_note("twins refused", FAULTS - 1);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"twins", run_twins}, {"store", run_store}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
