/* SPDX-License-Identifier: MIT
 *
 * Swarms (Groce and others, "Swarm Testing", 2012): each seed draws what its fibers do - which
 * calls, how often, on how many keys, with what of time and failing allocations - and the checkers
 * of tests/check judge the history. Items, locks, commits, expiry and snapshots as one object of a
 * few keys; the same through a cache, key by key.
 */
#include "check/items.h"
#include "check/snapshot.h"
#include "schedule/recorded.h"

enum { FIBERS = 3, KEYS = 3, CALLS_MAX = 5, TTL_MS = 40, REFRESH_MS = 10 };

typedef enum act {
    ACT_GET,
    ACT_GET_INTO,
    ACT_GET_MANY,
    ACT_QUERY,
    ACT_SET,
    ACT_DELETE,
    ACT_GET_LOCK,
    ACT_COMMIT,       /* under the lock that was got last */
    ACT_COMMIT_BLIND, /* of several keys */
    ACT_TIME,
    ACT_SWEEP,
    ACTS
} act;

/* What the seed has drawn. */
static struct {
    uint32_t weight[ACTS], total;
    uint32_t keys, calls;
    bool expires;
} mix;

static lk_key keys[KEYS];
static lk_db *store;
static lk_cache_options cache = {.max_items = 2};
static bool cached;

static uint64_t
draw(uint64_t below)
{
    return schedule_random() % below;
}

/* ---- calls ---- */

static int64_t
expiry_draw(void)
{
    return mix.expires && draw(2) == 0 ? schedule_unix_ms() + (int64_t)draw(6) : 0;
}

static void
query(recorder *r)
{
    lk_query q = {.pk = lk_string("k"), .reverse = draw(2) == 0, .limit = draw(3)};
    if (draw(3) == 0)
        q.after = keys[draw(mix.keys)].sk;
    (void)record_query(r, &q);
}

static void
commit(recorder *r, lk_lock *locks, uint32_t *own)
{
    record_write writes[KEYS];
    uint32_t count = 0, locked[KEYS], lock_count = 0;
    lk_lock held[KEYS];
    for (uint32_t key = 0; key < mix.keys; key++) {
        if (locks != NULL && locks[key].version != 0 && draw(2) == 0) {
            locked[lock_count] = key;
            held[lock_count++] = locks[key];
        }
        if (draw(2) == 0)
            writes[count++] = (record_write){.key = key,
                                             .value = draw(4) == 0 ? 0 : recorded_number(own),
                                             .expires_ms = expiry_draw()};
    }
    for (uint32_t i = 0; i < count; i++)
        if (writes[i].value == 0)
            writes[i].expires_ms = 0;
    if (count + lock_count == 0)
        return;
    lk_status status = record_commit(r, writes, count, held, locked, lock_count);
    for (uint32_t i = 0; i < lock_count && status == LK_OK; i++)
        locks[locked[i]] = held[i];
}

static void
act_do(recorder *r, act a, lk_lock *locks, uint32_t *own)
{
    uint32_t key = (uint32_t)draw(mix.keys);
    const uint32_t all[KEYS] = {key, (key + 1) % mix.keys, (key + 2) % mix.keys};
    switch (a) {
    case ACT_GET:
        (void)record_get(r, key);
        break;
    case ACT_GET_INTO:
        (void)record_get_into(r, key);
        break;
    case ACT_GET_MANY:
        (void)record_get_many(r, all, mix.keys);
        break;
    case ACT_QUERY:
        query(r);
        break;
    case ACT_SET:
        (void)record_set(r, key, recorded_number(own), expiry_draw());
        break;
    case ACT_DELETE:
        (void)record_delete(r, key, 0);
        break;
    case ACT_GET_LOCK:
        (void)record_get_lock(r, key, &locks[key]);
        break;
    case ACT_COMMIT:
        commit(r, locks, own);
        break;
    case ACT_COMMIT_BLIND:
        commit(r, NULL, own);
        break;
    case ACT_TIME:
        schedule_time_pass(1 + (int64_t)draw(draw(3) == 0 ? TTL_MS : 4));
        break;
    default:
        (void)!lk_sweep(store, 0, NULL);
    }
}

static void
calls_make(uint32_t count)
{
    recorder *r = recorded_mine();
    lk_lock locks[KEYS] = {0};
    uint32_t own = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = draw(mix.total);
        act a = ACT_GET;
        for (; at >= mix.weight[a]; a++)
            at -= mix.weight[a];
        act_do(r, a, locks, &own);
    }
}

static void
body(void)
{
    calls_make(1 + (uint32_t)draw(mix.calls));
}

/* ---- around a schedule ---- */

/* Half of the calls are left out of each mix, the others have their weights. */
static void
setup(void)
{
    mix.total = 0;
    for (uint32_t a = 0; a < ACTS; a++) {
        mix.weight[a] = draw(2) == 0 ? 0 : 1 + (uint32_t)draw(4);
        mix.total += mix.weight[a];
    }
    mix.weight[ACT_SET] += mix.total == 0;
    mix.total += mix.total == 0;
    mix.keys = 1 + (uint32_t)draw(KEYS);
    mix.calls = 1 + (uint32_t)draw(CALLS_MAX);
    mix.expires = draw(2) == 0;
    recorded_world.key_count = mix.keys;
    calls_make((uint32_t)draw(4)); /* what is there at the beginning */
    if (draw(4) == 0)
        schedule_fail_allocation(1 + draw(12), draw(4) == 0);
    recorded_begin(FIBERS);
}

static void
check(void)
{
    static const items_options options = {.lock_ttl_ms = TTL_MS, .lock_refresh_ms = REFRESH_MS};
    report r = {.size = 0};
    schedule_fail_allocation(0, false);
    recorded_end();
    for (uint32_t key = 0; key < mix.keys; key++)
        (void)record_get(&recorded[0], key);
    recorded_merge(FIBERS);
    recorded_verdict(cached ? items_check_each(&recorded_all, mix.keys, &options, &r)
                            : items_check(&recorded_all, mix.keys, &options, &r),
                     &r, FIBERS);
}

static void
prepare(void)
{
    static const char *const names[KEYS] = {"a", "ab", "b"};
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.shards = 1;
    options.lock_ttl_ms = TTL_MS;
    options.lock_refresh_ms = REFRESH_MS;
    STORE_MUST(lk_memory_open(&options, &store));
    for (uint32_t i = 0; i < KEYS; i++)
        keys[i] = lk_key_of("k", names[i]);
    recorded_world.db = store;
    recorded_world.keys = keys;
    recorded_world.now_ms = schedule_unix_ms;
    if (cached)
        STORE_MUST(lk_cache_open(store, &cache, &recorded_world.db));
    recorded_prepare(FIBERS);
}

static void
prepare_cached(void)
{
    cached = true;
    prepare();
}

static void
teardown(void)
{
    recorded_teardown(FIBERS);
    if (cached)
        lk_close(recorded_world.db);
    lk_close(store);
    lk_thread_detach(); /* of several handles: what it keeps of them goes with the thread */
}

/* ---- one writer for each key, who numbers what it writes: what others see is of one instant
 * ---- */

static void
write_numbered(void)
{
    recorder *r = recorded_mine();
    uint64_t number[KEYS] = {0};
    for (uint32_t i = 0; i < 4; i++) {
        record_write writes[2];
        uint32_t first = (uint32_t)draw(KEYS), count = 1 + (uint32_t)draw(2);
        for (uint32_t k = 0; k < count; k++) {
            uint32_t key = (first + k) % KEYS;
            writes[k] = (record_write){.key = key, .number = ++number[key]};
            writes[k].value = draw(3) == 0 ? 0 : number[key];
        }
        (void)record_commit(r, writes, count, NULL, NULL, 0);
    }
}

static void
read_numbered(void)
{
    const uint32_t all[KEYS] = {2, 0, 1};
    for (uint32_t i = 0; i < 3; i++) {
        if (draw(2) == 0)
            (void)record_get_many(recorded_mine(), all, KEYS);
        else
            query(recorded_mine());
    }
}

static void
setup_numbered(void)
{
    mix.keys = recorded_world.key_count = KEYS;
    recorded_begin(FIBERS);
}

static void
check_numbered(void)
{
    report r = {.size = 0};
    recorded_end();
    recorded_merge(FIBERS);
    recorded_verdict(snapshot_check(&recorded_all, KEYS, &r), &r, FIBERS);
}

/* ---- what swarms have found, once ---- */

/* A key that is new is committed with one that is there, while others take a snapshot of both. */
static void
setup_new_key(void)
{
    mix.keys = recorded_world.key_count = 2;
    (void)record_set(&recorded[0], 0, 1, 0);
    recorded_begin(FIBERS);
}

static void
commit_new_key(void)
{
    const record_write writes[3] = {
        {.key = 0, .value = 2}, {.key = 0, .value = 3}, {.key = 1, .value = 4}};
    (void)record_commit(recorded_mine(), writes, 1, NULL, NULL, 0);
    (void)record_commit(recorded_mine(), writes + 1, 2, NULL, NULL, 0);
}

static void
read_new_key(void)
{
    const uint32_t both[2] = {1, 0};
    (void)record_get_many(recorded_mine(), both, 2);
}

#define SWARM(title, begin)                                                          \
    {                                                                                \
        .name = title, .prepare = begin, .setup = setup, .body = {body, body, body}, \
        .check = check, .teardown = teardown, .count = 20000                         \
    }

const schedule_scenario schedule_scenarios[] = {
    SWARM("items", prepare),
    SWARM("items_cached", prepare_cached),
    {.name = "new_key",
     .prepare = prepare,
     .setup = setup_new_key,
     .body = {commit_new_key, read_new_key},
     .check = check,
     .teardown = teardown,
     .memory = SCHEDULE_WEAK},
    {.name = "snapshots",
     .prepare = prepare,
     .setup = setup_numbered,
     .body = {write_numbered, read_numbered, read_numbered},
     .check = check_numbered,
     .teardown = teardown},
    {0},
};
