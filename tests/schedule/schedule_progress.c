/* SPDX-License-Identifier: MIT
 *
 * The progress table of the public header. Fiber 1 does one operation, and stops at each of its
 * points in turn; fiber 2 meanwhile reads in all ways, writes keys that exist, and works on a
 * queue: it has to get through. What is there in the end is what some order of both gives.
 *
 * The stopped one may hold latches: what fiber 2 does wants none.
 *
 * `kill_*`: fiber 1 never goes on. What it holds back of memory is bounded, and its claims lapse.
 * `exit`: its thread ends between two calls, with a section open, claims and records in hand:
 * nothing is held back, and its claims lapse.
 */
#include "schedule/store.h"

enum {
    KEYS = 4,
    OTHERS = 7,
    JOBS = 6,
    CALLS = 9, /* of `leave` */
    RETIRED_BYTES = 64 << 10,
    RETIRED_SLACK = 32 << 10,
    VALUE_BYTES = 4 << 10,
    REPLACED = 40 /* values, which are more than RETIRED_BYTES */
};

static lk_db *db;
static lk_key key[KEYS];
static lk_lock lock[2];
static lk_result *held; /* of claims */
static lk_claim claim[2];
static bool writes;
static uint64_t
    left[2]; /* what the operation leaves of the first two keys, where nobody else wrote */
static bool checks_locks;     /* it comes before all writes of others, or not at all */
static bool seen_after;       /* by fiber 2 */
static bool does_all;         /* fiber 1 makes calls of all kinds */
static uint32_t steps;        /* of fiber 1, before its thread ends */
static uint32_t taken_out[3]; /* jobs that each fiber has acknowledged, a bit each */

/* ---- what is there before ---- */

static lk_item
job_of(const uint64_t *number)
{
    return store_item((lk_key){.pk = lk_string("queue")}, number);
}

static void
push(uint64_t number)
{
    lk_item job = job_of(&number);
    STORE_MUST(lk_queue_push(db, &job, 1, NULL, NULL));
}

static lk_status
pull(lk_result *result)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("queue");
    return lk_queue_pull(db, &options, result);
}

static void
prepare(void)
{
    static const char *const names[KEYS] = {"a", "b", "c", "d"};
    db = store_open_bounded(RETIRED_BYTES);
    for (int i = 0; i < KEYS; i++)
        key[i] = lk_key_of("pk", names[i]);
    for (int i = 0; i < KEYS - 1; i++)
        store_set(db, key[i], 1);
    for (uint64_t i = 0; i < JOBS; i++)
        push(i + 1);
    held = store_result();
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("queue");
    options.max_jobs = 2;
    STORE_MUST(lk_queue_pull(db, &options, held));
    for (size_t i = 0; i < 2; i++)
        claim[i] = *lk_result_claim(held, i);
    left[0] = left[1] = 1;
}

static void
prepare_locks(void)
{
    prepare();
    for (int i = 0; i < 2; i++)
        STORE_MUST(lk_get_lock(db, key[i], &lock[i]));
}

static void
prepare_set(void)
{
    prepare();
    left[0] = 100;
}

static void
prepare_delete(void)
{
    prepare();
    left[0] = 0;
}

static void
prepare_delete_locked(void)
{
    prepare_locks();
    left[0] = 0;
}

static void
prepare_set_atomic(void)
{
    prepare_locks();
    left[0] = left[1] = 100;
    checks_locks = true;
}

static void
prepare_commit(void)
{
    prepare_locks();
    left[0] = 100;
    left[1] = 0;
}

/* Removals that are soon due, and something that has expired. */
static void
prepare_removals(void)
{
    static const char *const gone[] = {"e", "f", "g", "h"};
    prepare();
    uint64_t number = 1;
    lk_item expired = store_item(lk_key_of("expired", "x"), &number);
    expired.expires_at_ms = 1;
    STORE_MUST(lk_set(db, &expired, 1));
    for (int i = 0; i < 4; i++) {
        lk_key one = lk_key_of("gone", gone[i]);
        store_set(db, one, 1);
        STORE_MUST(lk_delete(db, &one, 1));
    }
}

static void
setup(void)
{
    writes = schedule_random() % 2 == 0;
}

static void
teardown(void)
{
    lk_result_free(held);
    lk_close(db);
}

/* ---- the operations ---- */

static void
run_set(void)
{
    store_set(db, key[0], 100);
}

static void
run_delete(void)
{
    STORE_MUST(lk_delete(db, &key[0], 1));
}

static void
run_get_lock(void)
{
    lk_lock mine;
    STORE_MUST(lk_get_lock(db, key[0], &mine));
}

static void
run_set_atomic(void)
{
    uint64_t number = 100;
    lk_item items[2] = {store_item(key[0], &number), store_item(key[1], &number)};
    lk_status status = lk_set_atomic(db, items, 2, lock, 2, NULL);
    if (status != LK_RACE)
        STORE_MUST(status);
}

static void
run_commit(void)
{
    uint64_t number = 100;
    lk_write both[2] = {{.kind = LK_PUT, .item = store_item(key[0], &number)},
                        {.kind = LK_DELETE, .item = {.key = key[1]}}};
    STORE_MUST(lk_commit(db, both, 2, NULL, 0, NULL));
}

static void
run_put_if(void)
{
    uint64_t number = 100;
    lk_item item = store_item(key[0], &number);
    STORE_MUST(lk_put_if(db, &item, LK_IF_PRESENT, item.data));
}

/* What is there stays so, whoever was first. */
static void
run_add(void)
{
    int64_t sum;
    STORE_MUST(lk_add(db, key[0], 0, 0, &sum));
}

static void
run_touch(void)
{
    STORE_MUST(lk_touch(db, key[0], INT64_MAX));
}

static void
run_commit_asks(void)
{
    uint64_t number = 100;
    lk_write all[3] = {
        {.kind = LK_PUT, .item = store_item(key[0], &number), .condition = LK_IF_PRESENT},
        {.kind = LK_DELETE, .item = {.key = key[1]}, .condition = LK_IF_PRESENT},
        {.kind = LK_ADD, .item = {.key = key[2]}}};
    STORE_MUST(lk_commit(db, all, 3, NULL, 0, NULL));
}

static void
run_new_lock(void)
{
    lk_lock mine;
    STORE_MUST(lk_get_lock(db, key[3], &mine));
}

static void
run_get(void)
{
    lk_result *result = store_result();
    lk_status status = lk_get(db, key[0], result);
    if (status != LK_NOT_FOUND)
        STORE_MUST(status);
    lk_result_free(result);
}

static void
run_get_many(void)
{
    lk_result *result = store_result();
    STORE_MUST(lk_get_many(db, key, KEYS, result));
    lk_result_free(result);
}

static void
run_query(void)
{
    lk_result *result = store_result();
    lk_query query = {.pk = key[0].pk};
    STORE_MUST(lk_query_items(db, &query, result));
    lk_result_free(result);
}

static void
run_list(void)
{
    lk_result *result = store_result();
    lk_query query = {.pk = key[0].pk, .from = key[0].sk, .until = key[2].sk};
    lk_position position = {{0}};
    size_t count = 0;
    STORE_MUST(lk_count(db, &query, &count));
    SCHEDULE_EXPECT(count <= 2);
    count = 0;
    while (lk_list_partitions(db, &position, 1, result) == LK_OK)
        count++;
    SCHEDULE_EXPECT(count >= 2); /* key[2] stays, and so do four jobs */
    lk_result_free(result);
}

static void
run_new_key(void)
{
    store_set(db, key[3], 100);
}

static void
run_new_partition(void)
{
    store_set(db, lk_key_of("new", "x"), 100);
}

static void
run_sweep(void)
{
    STORE_MUST(lk_sweep(db, 0, NULL));
}

static void
run_upkeep(void)
{
    for (int i = 0; i < 20; i++)
        store_set(db, key[2], 1);
}

static void
run_push(void)
{
    push(7);
}

static void
run_pull(void)
{
    lk_result *result = store_result();
    (void)!pull(result);
    lk_result_free(result);
}

static void
run_acknowledge(void)
{
    STORE_MUST(lk_queue_acknowledge(db, &claim[0], 1));
}

static void
run_release(void)
{
    STORE_MUST(lk_queue_release(db, &claim[0], 0));
}

static void
run_extend(void)
{
    STORE_MUST(lk_queue_extend(db, &claim[0], 1000));
}

static void
run_push_commit(void)
{
    uint64_t number = 100;
    lk_write both[2] = {{.kind = LK_PUSH, .item = store_item(lk_key_of("queue", "k"), &number)},
                        {.kind = LK_ACKNOWLEDGE, .claim = &claim[0]}};
    STORE_MUST(lk_commit(db, both, 2, NULL, 0, NULL));
}

static void
run_release_commit(void)
{
    uint64_t number = 100;
    lk_write both[2] = {{.kind = LK_PUT, .item = store_item(key[0], &number)},
                        {.kind = LK_RELEASE, .claim = &claim[0]}};
    STORE_MUST(lk_commit(db, both, 2, NULL, 0, NULL));
}

/* ---- what the other one does ---- */

/* The two keys in one snapshot: before the operation, or after it; and after, once that was
 * seen. */
static void
pair_check(const lk_item *first, const lk_item *second)
{
    uint64_t a = store_number(first), b = store_number(second);
    bool before = a == 1 && b == 1, after = a == left[0] && b == left[1];
    if (writes || does_all)
        return;
    if (!after && (!before || seen_after))
        schedule_fail("a snapshot has %d and %d", (int)a, (int)b);
    seen_after |= !before;
}

/* Of a query: who is absent has no place. */
static void
query_check(const lk_result *result)
{
    const lk_item *pair[2] = {NULL, NULL};
    for (size_t i = 0; i < lk_result_count(result); i++)
        for (int k = 0; k < 2; k++)
            if (lk_bytes_compare(lk_result_item(result, i)->key.sk, key[k].sk) == 0)
                pair[k] = lk_result_item(result, i);
    pair_check(pair[0], pair[1]);
}

static void
read_all(void)
{
    lk_result *result = store_result();
    lk_query query = {.pk = key[0].pk};
    lk_stream *stream = NULL;
    lk_item item;
    STORE_MUST(lk_get_many(db, key, KEYS, result));
    pair_check(lk_result_item(result, 0), lk_result_item(result, 1));
    STORE_MUST(lk_query_items(db, &query, result));
    query_check(result);
    for (int i = 0; i < KEYS; i++) {
        lk_status status = lk_get(db, key[i], result);
        SCHEDULE_EXPECT(status == LK_OK || status == LK_NOT_FOUND);
        if (i < 2 && !writes && seen_after)
            SCHEDULE_EXPECT(store_number(status == LK_OK ? lk_result_item(result, 0) : NULL) ==
                            left[i]);
    }
    query.relaxed = true;
    STORE_MUST(lk_query_items(db, &query, result));
    STORE_MUST(lk_stream_open(db, &query, &stream));
    while (lk_stream_next(stream, &item) == LK_OK) {}
    lk_stream_close(stream);
    lk_read_begin(db);
    for (int i = 0; i < KEYS; i++)
        (void)!lk_view(db, key[i], &item);
    lk_read_end(db);
    for (size_t i = 0; i < 2; i++) {
        lk_job job = {.receives = 0};
        lk_status status = lk_queue_inspect(db, claim[i].key, &job);
        SCHEDULE_EXPECT(status == LK_NOT_FOUND || (status == LK_OK && job.receives != 0));
    }
    lk_result_free(result);
    run_list();
}

static void
write_all(void)
{
    lk_lock mine[2];
    for (int i = 0; i < 2; i++) {
        store_set(db, key[i], OTHERS);
        STORE_MUST(lk_get_lock(db, key[i], &mine[i]));
    }
    uint64_t number = OTHERS;
    lk_item items[2] = {store_item(key[0], &number), store_item(key[1], &number)};
    lk_status status = lk_set_atomic(db, items, 2, mine, 2, NULL);
    if (status != LK_RACE)
        STORE_MUST(status);
    lk_write both[2] = {{.kind = LK_PUT, .item = items[0]}, {.kind = LK_PUT, .item = items[1]}};
    STORE_MUST(lk_commit(db, both, 2, NULL, 0, NULL));
}

static void
work_all(void)
{
    lk_result *result = store_result();
    for (int i = 0; i < 2; i++) {
        STORE_MUST(pull(result)); /* the stopped one has no more than two of six */
        lk_claim mine = *lk_result_claim(result, 0);
        taken_out[2] |= i == 0 ? 0 : 1U << store_number(lk_result_item(result, 0));
        STORE_MUST(lk_queue_extend(db, &mine, 2000));
        if (i == 0)
            STORE_MUST(lk_queue_release(db, &mine, 0));
        else
            STORE_MUST(lk_queue_acknowledge(db, &mine, 1));
    }
    lk_result_free(result);
}

static void
others(void)
{
    read_all();
    if (writes) {
        write_all();
        work_all();
    }
    read_all();
}

/* Each key is what one order of both gives. */
static void
check(void)
{
    lk_result *result = store_result();
    uint64_t number[2], its[2];
    for (int i = 0; i < 2; i++) {
        lk_status status = lk_get(db, key[i], result);
        number[i] = status == LK_OK ? store_number(lk_result_item(result, 0)) : 0;
        its[i] = writes && left[i] == 1 ? OTHERS : left[i];
    }
    lk_result_free(result);
    bool last = number[0] == its[0] && number[1] == its[1];
    bool first = writes && number[0] == OTHERS && number[1] == OTHERS;
    if (!first && (!last || (writes && checks_locks)))
        schedule_fail("in the end %d and %d", (int)number[0], (int)number[1]);
}

/* ---- what is left of a thread that never comes back ---- */

/* All jobs come, once each, but for those in `may_be_gone`, which may be gone, or new. */
static void
jobs_come_back(uint32_t may_be_gone)
{
    lk_result *result = store_result();
    uint32_t seen = 0;
    schedule_time_pass(LK_HOURS(1));
    while (pull(result) == LK_OK) {
        uint64_t job = store_number(lk_result_item(result, 0));
        if (job < 32 && (seen >> job & 1) != 0)
            schedule_fail("job %d comes twice", (int)job);
        seen |= job < 32 ? 1U << job : 0;
    }
    for (uint32_t job = 1; job <= JOBS; job++)
        if (((seen | may_be_gone) >> job & 1) == 0)
            schedule_fail("job %u does not come back", job);
    lk_result_free(result);
}

/* Values of a key are replaced. False: LK_BUSY, as too much is held back. */
static bool
values_replace(void)
{
    static const char bytes[VALUE_BYTES];
    lk_statistics now;
    lk_status status = LK_OK;
    for (int i = 0; i < REPLACED && status == LK_OK; i++) {
        lk_item item = {.key = key[2], .data = {bytes, sizeof bytes}};
        status = lk_set(db, &item, 1);
        if (status != LK_BUSY)
            STORE_MUST(status);
        STORE_MUST(lk_statistics_read(db, &now));
        if (now.retired_bytes > RETIRED_BYTES + RETIRED_SLACK)
            schedule_fail("%d bytes are held back", (int)now.retired_bytes);
    }
    return status == LK_OK;
}

static void
check_killed(void)
{
    read_all();
    jobs_come_back(1U << 1); /* the one that fiber 1 worked on */
    (void)values_replace();
    read_all();
}

/* Calls up to some number, in a section; the claim is fiber 1's own. */
static void
leave(void)
{
    static void (*const operations[CALLS])(void) = {run_set,     run_delete, run_get_lock,
                                                    run_commit,  run_pull,   run_push,
                                                    run_new_key, run_query,  run_acknowledge};
    lk_item item;
    lk_read_begin(db);
    (void)!lk_view(db, key[0], &item);
    for (uint32_t i = 0; i < steps; i++)
        operations[(i + steps) % CALLS]();
}

static void
setup_exit(void)
{
    does_all = true;
    steps = (uint32_t)(schedule_random() % (CALLS + 1));
    writes = schedule_random() % 2 == 0;
}

static void
check_exit(void)
{
    jobs_come_back(1U << 1 | taken_out[2]);
    if (!values_replace())
        schedule_fail("a thread that has ended holds memory back");
}

#define STOPS(title, before, operation)                                                \
    {                                                                                  \
        .name = title, .prepare = before, .setup = setup, .body = {operation, others}, \
        .check = check, .teardown = teardown, .count = 500, .limit = 20000, .stops = 1 \
    }

/* It reads only: what is there in the end is known. */
#define KILLS(title, before, operation)                                                       \
    {                                                                                         \
        .name = title, .prepare = before, .body = {operation, others}, .check = check_killed, \
        .teardown = teardown, .count = 50, .limit = 20000, .stops = 1, .kills = true          \
    }

const schedule_scenario schedule_scenarios[] = {
    STOPS("stop_set", prepare_set, run_set),
    STOPS("stop_put_if", prepare_set, run_put_if),
    STOPS("stop_add", prepare, run_add),
    STOPS("stop_touch", prepare, run_touch),
    STOPS("stop_commit_asks", prepare_commit, run_commit_asks),
    STOPS("stop_delete", prepare_delete, run_delete),
    STOPS("stop_delete_locked", prepare_delete_locked, run_delete),
    STOPS("stop_get_lock", prepare_locks, run_get_lock),
    STOPS("stop_get_lock_new", prepare, run_get_lock),
    STOPS("stop_set_atomic", prepare_set_atomic, run_set_atomic),
    STOPS("stop_commit", prepare_commit, run_commit),
    STOPS("stop_get", prepare, run_get),
    STOPS("stop_get_many", prepare, run_get_many),
    STOPS("stop_query", prepare, run_query),
    STOPS("stop_list", prepare, run_list),
    STOPS("stop_new_key", prepare, run_new_key),
    STOPS("stop_new_lock", prepare, run_new_lock),
    STOPS("stop_new_partition", prepare, run_new_partition),
    STOPS("stop_sweep", prepare_removals, run_sweep),
    STOPS("stop_upkeep", prepare_removals, run_upkeep),
    STOPS("stop_push", prepare, run_push),
    STOPS("stop_pull", prepare, run_pull),
    STOPS("stop_acknowledge", prepare, run_acknowledge),
    STOPS("stop_release", prepare, run_release),
    STOPS("stop_extend", prepare, run_extend),
    STOPS("stop_push_commit", prepare, run_push_commit),
    STOPS("stop_release_commit", prepare_set, run_release_commit),
    KILLS("kill_set", prepare_set, run_set),
    KILLS("kill_delete", prepare_delete, run_delete),
    KILLS("kill_delete_locked", prepare_delete_locked, run_delete),
    KILLS("kill_get_lock", prepare_locks, run_get_lock),
    KILLS("kill_get_lock_new", prepare, run_get_lock),
    KILLS("kill_set_atomic", prepare_set_atomic, run_set_atomic),
    KILLS("kill_commit", prepare_commit, run_commit),
    KILLS("kill_commit_asks", prepare_commit, run_commit_asks),
    KILLS("kill_add", prepare, run_add),
    KILLS("kill_get_many", prepare, run_get_many),
    KILLS("kill_query", prepare, run_query),
    KILLS("kill_list", prepare, run_list),
    KILLS("kill_new_key", prepare, run_new_key),
    KILLS("kill_new_partition", prepare, run_new_partition),
    KILLS("kill_sweep", prepare_removals, run_sweep),
    KILLS("kill_upkeep", prepare_removals, run_upkeep),
    KILLS("kill_push", prepare, run_push),
    KILLS("kill_pull", prepare, run_pull),
    KILLS("kill_acknowledge", prepare, run_acknowledge),
    KILLS("kill_release", prepare, run_release),
    KILLS("kill_extend", prepare, run_extend),
    KILLS("kill_push_commit", prepare, run_push_commit),
    KILLS("kill_release_commit", prepare_set, run_release_commit),
    {.name = "exit",
     .prepare = prepare,
     .setup = setup_exit,
     .body = {leave, others},
     .check = check_exit,
     .teardown = teardown,
     .count = 5000},
    {0},
};
