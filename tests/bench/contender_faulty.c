/* SPDX-License-Identifier: MIT
 *
 * Contenders with a fault, for the checks of the benchmark: each does what a sound one does, but
 * for now and then. `lossy` drops a commit and says that it was done, `lossy-deque` drops a job,
 * `stalled` does nothing for a while, once, `unlucky` lets a commit race twice before it succeeds.
 * `confused` now and then reads the value of another key, `damaged` changes a byte of what it reads,
 * `forgetful` drops a set.
 */
#include "driver/data.h"

#include <stdatomic.h>

#define LOST_EVERY 100       /* commits */
#define LOST_JOBS_EVERY 1000 /* pushes */
#define CONFUSED_EVERY 100   /* gets, sets */
#define DAMAGED_MOST 256
#define STALL_NS UINT64_C(200000000)
#define STALL_AFTER_NS UINT64_C(300000000) /* since the thread attached */

static const struct bench_contender *sound; /* whose store it is */
static const struct queue_operations *sound_queue;

static void *
faulty_open(void)
{
    sound = bench_contender_find("mutex");
    return sound != NULL ? sound->open() : NULL;
}

static void
faulty_close(void *store)
{
    sound->close(store);
}

static void *
faulty_attach(void *store)
{
    return sound->attach(store);
}

static void
faulty_detach(void *client)
{
    sound->detach(client);
}

static bool
faulty_get(void *client, const lk_key *key, lk_bytes *value)
{
    return sound->get(client, key, value);
}

static bool
faulty_set(void *client, const lk_item *put)
{
    return sound->set(client, put);
}

static bool
faulty_read(void *client, const lk_key *keys, size_t count, lk_bytes *values)
{
    return sound->read(client, keys, count, values);
}

static enum bench_commit
lossy_commit(void *client, const lk_key *keys, size_t count, const lk_bytes *values)
{
    static atomic_uint commits;

    if (atomic_fetch_add(&commits, 1) % LOST_EVERY == LOST_EVERY - 1)
        return BENCH_COMMITTED;
    return sound->commit(client, keys, count, values);
}

static const struct bench_contender lossy = {
    .name = "lossy",
    .what = "loses a commit of a hundred",
    .order = 900,
    .open = faulty_open,
    .close = faulty_close,
    .attach = faulty_attach,
    .detach = faulty_detach,
    .get = faulty_get,
    .set = faulty_set,
    .read = faulty_read,
    .commit = lossy_commit,
};
BENCH_CONTENDER(lossy)

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

static const struct bench_contender unlucky = {
    .name = "unlucky",
    .what = "two of three attempts at a commit race",
    .order = 903,
    .open = faulty_open,
    .close = faulty_close,
    .attach = faulty_attach,
    .detach = faulty_detach,
    .get = faulty_get,
    .set = faulty_set,
    .read = faulty_read,
    .commit = unlucky_commit,
    .contention = unlucky_contention,
};
BENCH_CONTENDER(unlucky)

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

static const struct bench_contender stalled = {
    .name = "stalled",
    .what = "stalls for 200 ms, once in each thread",
    .order = 901,
    .open = faulty_open,
    .close = faulty_close,
    .attach = stalled_attach,
    .detach = faulty_detach,
    .get = stalled_get,
    .set = faulty_set,
};
BENCH_CONTENDER(stalled)

/* ---- confused, damaged ----------------------------------------------------------------------- */

static bool
confused_get(void *client, const lk_key *key, lk_bytes *value)
{
    static _Thread_local unsigned gets;
    struct data_text text;
    lk_key other = data_key(1, &text);

    return sound->get(client, ++gets % CONFUSED_EVERY == 0 ? &other : key, value);
}

static const struct bench_contender confused = {
    .name = "confused",
    .what = "one get of a hundred is of another key",
    .order = 904,
    .open = faulty_open,
    .close = faulty_close,
    .attach = faulty_attach,
    .detach = faulty_detach,
    .get = confused_get,
    .set = faulty_set,
};
BENCH_CONTENDER(confused)

static bool
forgetful_set(void *client, const lk_item *put)
{
    static _Thread_local unsigned sets;

    return ++sets % CONFUSED_EVERY == 0 || sound->set(client, put);
}

static const struct bench_contender forgetful = {
    .name = "forgetful",
    .what = "drops one set of a hundred",
    .order = 906,
    .open = faulty_open,
    .close = faulty_close,
    .attach = faulty_attach,
    .detach = faulty_detach,
    .get = faulty_get,
    .set = forgetful_set,
};
BENCH_CONTENDER(forgetful)

/* A byte that no loop looks at. */
static bool
damaged_get(void *client, const lk_key *key, lk_bytes *value)
{
    static _Thread_local char copy[DAMAGED_MOST];

    if (!sound->get(client, key, value) || value->size > sizeof copy)
        return false;
    memcpy(copy, value->data, value->size);
    copy[value->size / 2]++;
    value->data = copy;
    return true;
}

static const struct bench_contender damaged = {
    .name = "damaged",
    .what = "changes a byte in the middle of what is read",
    .order = 905,
    .open = faulty_open,
    .close = faulty_close,
    .attach = faulty_attach,
    .detach = faulty_detach,
    .get = damaged_get,
    .set = faulty_set,
};
BENCH_CONTENDER(damaged)

/* ---- lossy-deque ----------------------------------------------------------------------------- */

static void *
lossy_queue_open(const struct queue_setup *setup, const char **missing)
{
    const struct bench_contender *owner = bench_contender_find("mutex-deque");

    if (owner == NULL)
        return NULL;
    sound_queue = owner->queue;
    return sound_queue->open(setup, missing);
}

static void
lossy_queue_close(void *queue)
{
    sound_queue->close(queue);
}

static void *
lossy_queue_attach(void *queue)
{
    return sound_queue->attach(queue);
}

static void
lossy_queue_detach(void *client)
{
    sound_queue->detach(client);
}

static bool
lossy_queue_push(void *client, const struct queue_job *jobs, size_t count)
{
    static atomic_uint pushes;

    if (atomic_fetch_add(&pushes, 1) % LOST_JOBS_EVERY == LOST_JOBS_EVERY - 1)
        return true;
    return sound_queue->push(client, jobs, count);
}

static size_t
lossy_queue_pull(void *client, struct queue_job *jobs, size_t count)
{
    return sound_queue->pull(client, jobs, count);
}

static bool
lossy_queue_acknowledge(void *client)
{
    return sound_queue->acknowledge(client);
}

static const struct queue_operations lossy_queue_operations = {
    .open = lossy_queue_open,
    .close = lossy_queue_close,
    .attach = lossy_queue_attach,
    .detach = lossy_queue_detach,
    .push = lossy_queue_push,
    .pull = lossy_queue_pull,
    .acknowledge = lossy_queue_acknowledge,
};

static const struct bench_contender lossy_deque = {
    .name = "lossy-deque",
    .what = "loses a job of a thousand",
    .order = 902,
    .queue = &lossy_queue_operations,
};
BENCH_CONTENDER(lossy_deque)
