/* SPDX-License-Identifier: MIT
 *
 * Contenders with a fault, for the checks of the benchmark. Each is this library with one call that
 * does what it should, but for now and then.
 */
#include "contenders/latchkey.h"
#include "driver/data.h"

#include <stdatomic.h>

#define LOST_EVERY 100       /* commits */
#define LOST_JOBS_EVERY 1000 /* pushes */
#define CONFUSED_EVERY 100   /* gets, sets */
#define STALL_NS UINT64_C(200000000)
#define STALL_AFTER_NS UINT64_C(300000000) /* since the thread attached */

#define sound (&contender_latchkey)

/* A contender that is a copy of the sound one in all but what follows. */
#define FAULTY(id, itself, does, place, ...)                \
    static struct bench_contender id;                       \
    __attribute__((constructor)) static void id##_add(void) \
    {                                                       \
        id = *sound;                                        \
        id.name = itself;                                   \
        id.what = does;                                     \
        id.order = place;                                   \
        id.ours = false;                                    \
        id.loops = NULL;                                    \
        id.queue = NULL;                                    \
        id.counters = NULL;                                 \
        id.contention = NULL;                               \
        __VA_ARGS__;                                        \
        bench_contender_add(&id);                           \
    }

static enum bench_commit
lossy_commit(void *client, const lk_key *keys, size_t count, const lk_bytes *values)
{
    static atomic_uint commits;

    if (atomic_fetch_add(&commits, 1) % LOST_EVERY == LOST_EVERY - 1)
        return BENCH_COMMITTED;
    return sound->commit(client, keys, count, values);
}

static bool
lossy_increment(void *client, const lk_key *key, int64_t delta)
{
    static atomic_uint adds;

    return atomic_fetch_add(&adds, 1) % LOST_EVERY == LOST_EVERY - 1 ||
           sound->add(client, key, delta);
}

FAULTY(lossy, "lossy", "loses a commit, or an add, of a hundred", 900, lossy.commit = lossy_commit,
       lossy.add = lossy_increment)

/* ---- unlucky --------------------------------------------------------------------------------- */

static atomic_uint_fast64_t unlucky_tries;

/* No commit gets through before its third attempt. */
static enum bench_commit
unlucky_commit(void *client, const lk_key *keys, size_t count, const lk_bytes *values)
{
    static _Thread_local unsigned attempts;

    atomic_fetch_add(&unlucky_tries, 1);
    return ++attempts % 3 != 0 ? BENCH_RACED : sound->commit(client, keys, count, values);
}

static size_t
unlucky_contention(void *store, struct bench_counter *counters)
{
    (void)store;
    counters[0] = (struct bench_counter){"tries", "", false, atomic_load(&unlucky_tries)};
    counters[1] = (struct bench_counter){"busy", "", false, atomic_load(&unlucky_tries)};
    counters[2] = (struct bench_counter){"height", "m", true, 7};
    return 3;
}

FAULTY(unlucky, "unlucky", "two of three attempts at a commit race", 903,
       unlucky.commit = unlucky_commit, unlucky.contention = unlucky_contention)

/* ---- stalled --------------------------------------------------------------------------------- */

static _Thread_local uint64_t attached_ns;
static _Thread_local bool has_stalled;

static void *
stalled_attach(void *store)
{
    attached_ns = bench_now_ns();
    return sound->attach(store);
}

static bool
stalled_get(void *client, const lk_key *key, lk_bytes *value)
{
    uint64_t now = bench_now_ns();

    if (!has_stalled && now - attached_ns > STALL_AFTER_NS) {
        has_stalled = true;
        while (bench_now_ns() - now < STALL_NS)
            continue;
    }
    return sound->get(client, key, value);
}

FAULTY(stalled, "stalled", "stalls for 200 ms, once in each thread", 901,
       stalled.attach = stalled_attach, stalled.get = stalled_get)

/* ---- wrong values ---------------------------------------------------------------------------- */

static bool
confused_get(void *client, const lk_key *key, lk_bytes *value)
{
    static _Thread_local unsigned gets;
    struct data_text text;
    lk_key other = data_key(1, &text);

    return sound->get(client, ++gets % CONFUSED_EVERY == 0 ? &other : key, value);
}

static size_t
confused_count(void *client, const lk_query *query)
{
    return sound->count(client, query) + 1;
}

FAULTY(confused, "confused", "one get of a hundred is of another key, and each count", 904,
       confused.get = confused_get, confused.get_many = NULL, confused.count = confused_count)

static bool
forgetful_set(void *client, const lk_item *put)
{
    static _Thread_local unsigned sets;

    return ++sets % CONFUSED_EVERY == 0 || sound->set(client, put);
}

static bool
forgetful_put_new(void *client, const lk_item *put)
{
    static _Thread_local unsigned puts;

    return ++puts % CONFUSED_EVERY == 0 || sound->put_new(client, put);
}

FAULTY(forgetful, "forgetful", "drops one set of a hundred", 906, forgetful.set = forgetful_set,
       forgetful.put_new = forgetful_put_new)

/* A byte that no loop looks at. */
static bool
damaged_get(void *client, const lk_key *key, lk_bytes *value)
{
    static _Thread_local char copy[256];

    if (!sound->get(client, key, value) || value->size > sizeof copy)
        return false;
    memcpy(copy, value->data, value->size);
    copy[value->size / 2]++;
    value->data = copy;
    return true;
}

FAULTY(damaged, "damaged", "changes a byte in the middle of what is read", 905,
       damaged.get = damaged_get, damaged.get_many = NULL)

/* ---- a queue --------------------------------------------------------------------------------- */

static bool
lossy_push(void *client, const struct queue_job *jobs, size_t count)
{
    static atomic_uint pushes;

    if (atomic_fetch_add(&pushes, 1) % LOST_JOBS_EVERY == LOST_JOBS_EVERY - 1)
        return true;
    return latchkey_queue.push(client, jobs, count);
}

static struct queue_operations lossy_queue;

FAULTY(lossy_deque, "lossy-deque", "loses a job of a thousand", 902, lossy_queue = latchkey_queue,
       lossy_queue.push = lossy_push, lossy_deque.queue = &lossy_queue)
