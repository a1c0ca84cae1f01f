/* SPDX-License-Identifier: MIT
 *
 * Swarms (Groce and others, "Swarm Testing", 2012): each seed draws what its fibers do - which
 * calls, how often, on how many keys, with what of time and failing allocations - and the checkers
 * of tests/check judge the history. Items, locks, commits, expiry and snapshots as one object of a
 * few keys; the same through a cache, key by key; both once more with writes that ask what is
 * there.
 */
#include <latchkey/adapter.h>

#include "check/items.h"
#include "check/snapshot.h"
#include "schedule/recorded.h"

enum { FIBERS = 3, KEYS = 3, CALLS_MAX = 5, LIFE_MS = 4, TTL_MS = 40, REFRESH_MS = 10 };

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
    ACTS_PLAIN,
    ACT_ASK = ACTS_PLAIN, /* put_if, touch, add; where commits ask, too */
    ACTS
} act;

/* What a fiber knows. */
typedef struct known {
    lk_lock locks[KEYS]; /* that it got last */
    uint64_t seen[KEYS]; /* values that it read, or wrote */
    uint32_t own;        /* how many values it wrote */
} known;

static known at_first;

/* What the seed has drawn. */
static struct {
    uint32_t weight[ACTS], total;
    uint32_t keys, calls;
    bool expires;
} mix;

static lk_key keys[KEYS];
static lk_db *store;
static lk_cache_options cache = {.max_items = 2};
static bool cached, asking;

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
seen_learn(const recorder *r, known *k)
{
    const history *h = &r->history;
    const history_op *op = h->count != 0 ? &h->ops[h->count - 1] : NULL;
    for (uint32_t i = 0; op != NULL && i < op->count; i++) {
        const history_step *s = &h->steps[op->first + i];
        bool tells = s->kind == STEP_READ || s->kind == STEP_WRITE || s->kind == STEP_ADD;
        if (tells && s->value != 0)
            k->seen[s->key] = s->value;
    }
}

static record_write
ask_draw(uint32_t key, known *k)
{
    static const lk_write_kind kinds[] = {LK_PUT, LK_PUT, LK_TOUCH, LK_ADD};
    record_write w = {.key = key,
                      .kind = kinds[draw(4)],
                      .condition = (lk_condition)draw(4),
                      .expected = k->seen[key] != 0 ? k->seen[key] : 1,
                      .expires_ms = expiry_draw()};
    w.value = w.kind == LK_ADD ? 1 + draw(3) : recorded_number(&k->own);
    return w;
}

static void
commit(recorder *r, known *k, bool blind)
{
    lk_lock *locks = k->locks;
    record_write writes[KEYS];
    uint32_t count = 0, locked[KEYS], lock_count = 0;
    lk_lock held[KEYS];
    for (uint32_t key = 0; key < mix.keys; key++) {
        if (!blind && (locks[key].version != 0 || draw(2) == 0) && draw(2) == 0) {
            locked[lock_count] = key;
            held[lock_count] = locks[key];
            held[lock_count++].key = keys[key];
        }
        if (draw(2) != 0)
            continue;
        if (asking && draw(2) == 0)
            writes[count++] = ask_draw(key, k);
        else
            writes[count++] = (record_write){.key = key,
                                             .value = draw(4) == 0 ? 0 : recorded_number(&k->own),
                                             .expires_ms = expiry_draw()};
    }
    for (uint32_t i = 0; i < count; i++)
        if (asking && writes[i].kind == LK_PUT && draw(4) == 0)
            writes[i].value = 0;
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
act_do(recorder *r, act a, known *k)
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
        (void)record_set(r, key, recorded_number(&k->own), expiry_draw());
        break;
    case ACT_DELETE:
        (void)record_delete(r, key, 0);
        break;
    case ACT_GET_LOCK:
        (void)record_get_lock(r, key, &k->locks[key]);
        break;
    case ACT_COMMIT:
        commit(r, k, false);
        break;
    case ACT_COMMIT_BLIND:
        commit(r, k, true);
        break;
    case ACT_ASK: {
        record_write w = ask_draw(key, k);
        if (w.kind != LK_PUT)
            w.condition = LK_ALWAYS;
        (void)record_ask(r, &w);
        break;
    }
    case ACT_TIME:
        schedule_time_pass(1 + (int64_t)draw(draw(3) == 0 ? TTL_MS : 4));
        break;
    default:
        (void)!lk_sweep(store, 0, NULL);
    }
}

static void
calls_make(uint32_t count, known *k)
{
    recorder *r = recorded_mine();
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = draw(mix.total);
        act a = ACT_GET;
        for (; at >= mix.weight[a]; a++)
            at -= mix.weight[a];
        act_do(r, a, k);
        seen_learn(r, k);
    }
}

static void
body(void)
{
    known mine = {.own = 0};
    memcpy(mine.seen, at_first.seen, sizeof mine.seen);
    calls_make(1 + (uint32_t)draw(mix.calls), &mine);
}

/* ---- around a schedule ---- */

/* Half of the calls are left out of each mix, the others have their weights. */
static void
setup(void)
{
    mix.total = 0;
    memset(&at_first, 0, sizeof at_first);
    memset(mix.weight, 0, sizeof mix.weight);
    for (uint32_t a = 0; a < (asking ? ACTS : ACTS_PLAIN); a++) {
        mix.weight[a] = draw(2) == 0 ? 0 : 1 + (uint32_t)draw(4);
        mix.total += mix.weight[a];
    }
    mix.weight[ACT_SET] += mix.total == 0;
    mix.total += mix.total == 0;
    mix.keys = 1 + (uint32_t)draw(KEYS);
    mix.calls = 1 + (uint32_t)draw(CALLS_MAX);
    mix.expires = draw(2) == 0;
    recorded_world.key_count = mix.keys;
    calls_make((uint32_t)draw(4), &at_first); /* what is there at the beginning */
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
prepare_asking(void)
{
    prepare();
    asking = (lk_capabilities(recorded_world.db) & LK_HAS_CONDITIONS) != 0;
}

static void
prepare_asking_cached(void)
{
    cached = true;
    prepare_asking();
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

/* ---- a commit of two writes that ask, while what they ask changes one by one ---- */

static void
commit_two(lk_condition first, lk_condition second)
{
    const record_write writes[2] = {{.key = 0, .value = 8, .condition = first},
                                    {.key = 1, .value = 9, .condition = second}};
    (void)record_commit(recorded_mine(), writes, 2, NULL, NULL, 0);
}

static void
setup_refused(void)
{
    mix.keys = recorded_world.key_count = 2;
    (void)record_set(&recorded[0], 0, 1, 0);
    recorded_begin(FIBERS);
}

static void
commit_where_nothing_is(void)
{
    commit_two(LK_IF_ABSENT, LK_IF_ABSENT);
}

/* There is always something, and never the second alone. */
static void
change_one_by_one(void)
{
    (void)record_delete(recorded_mine(), 0, 0);
    (void)record_set(recorded_mine(), 0, 2, 0);
    (void)record_set(recorded_mine(), 1, 3, 0);
}

/* An item is put off before it ends: it is always there. (The checker lets each call judge by any
 * time within it, whatever the others' times are.) */
static void
setup_put_off(void)
{
    mix.keys = recorded_world.key_count = 1;
    (void)record_set(&recorded[0], 0, 1, schedule_unix_ms() + LIFE_MS);
    recorded_begin(FIBERS);
}

static void
ask_for_it(void)
{
    static const record_write asked[] = {{.kind = LK_TOUCH, .expires_ms = INT64_MAX},
                                         {.value = 8, .condition = LK_IF_PRESENT},
                                         {.value = 0, .condition = LK_IF_PRESENT}};
    uint32_t which = (uint32_t)draw(3);
    lk_status status = which != 2 && draw(2) == 0
                           ? record_ask(recorded_mine(), &asked[which])
                           : record_commit(recorded_mine(), &asked[which], 1, NULL, NULL, 0);
    if (status == LK_NOT_FOUND)
        schedule_fail("what was always there is not there");
}

static void
put_off(void)
{
    for (uint64_t i = 2; i < 6; i++) {
        (void)record_set(recorded_mine(), 0, i, schedule_unix_ms() + LIFE_MS);
        schedule_time_pass(LIFE_MS);
    }
}

/* Both end together, and go one behind the other. A commit installs in the order of addresses, as
 * they were made; the sweep comes to the second one first, which has the place of a key that is
 * gone. */
static void
setup_ends(void)
{
    uint32_t first = (uint32_t)draw(2);
    mix.keys = recorded_world.key_count = KEYS;
    (void)record_set(&recorded[0], 2, 1, 0);
    (void)record_set(&recorded[0], first, 2, schedule_unix_ms() + 1);
    (void)record_delete(&recorded[0], 2, 0);
    for (int i = 0; i < 4; i++)
        (void)!lk_sweep(store, 0, NULL);
    (void)record_set(&recorded[0], 1 - first, 3, schedule_unix_ms() + 1);
    recorded_begin(FIBERS);
}

static void
commit_at_the_end(void)
{
    lk_condition first = draw(2) == 0 ? LK_IF_ABSENT : LK_IF_PRESENT;
    commit_two(first, draw(2) == 0 ? LK_IF_ABSENT : LK_IF_PRESENT);
}

static void
end(void)
{
    schedule_time_pass(2 + (int64_t)draw(2) * TTL_MS); /* the sweep has a clock that lags */
    (void)!lk_sweep(store, 0, NULL);
}

#define SWARM(title, begin)                                                          \
    {                                                                                \
        .name = title, .prepare = begin, .setup = setup, .body = {body, body, body}, \
        .check = check, .teardown = teardown, .count = 20000                         \
    }

const schedule_scenario schedule_scenarios[] = {
    SWARM("items", prepare),
    SWARM("items_cached", prepare_cached),
    SWARM("asks", prepare_asking),
    {.name = "refused",
     .prepare = prepare,
     .setup = setup_refused,
     .body = {commit_where_nothing_is, change_one_by_one},
     .check = check,
     .teardown = teardown},
    {.name = "put_off",
     .prepare = prepare,
     .setup = setup_put_off,
     .body = {ask_for_it, put_off},
     .check = check,
     .teardown = teardown,
     .memory = SCHEDULE_SC}, /* the clock orders no accesses */
    {.name = "ends",
     .prepare = prepare,
     .setup = setup_ends,
     .body = {commit_at_the_end, end},
     .check = check,
     .teardown = teardown},
    SWARM("asks_cached", prepare_asking_cached),
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
