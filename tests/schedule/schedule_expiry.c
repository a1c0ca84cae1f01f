/* SPDX-License-Identifier: MIT
 *
 * Time passes while three threads are at work: an item is there until its expiry and not a
 * millisecond longer, whoever sweeps or writes it anew; its lock goes with it; a sleeping pull is
 * woken by a delay that ends. `expiry_put_off`: what is replaced before it expires is never gone.
 *
 * `midst_*`: it expires in the midst of a commit, at each of its points. The commit has one time:
 * what it has found to be live stays so to its end, and what it leaves behind is over from then on,
 * the lock with it.
 */
#include "schedule/one_store.h"

enum { LIFE_MS = 4, READS = 4 };

static lk_key key, lasting;
static lk_lock lock;
static int64_t end_ms; /* the item is there while now <= end_ms */
static bool renewed;

static void
prepare(void)
{
    db = store_open();
    key = lk_key_of("pk", "goes");
    lasting = lk_key_of("pk", "stays");
    store_set(db, lasting, 1);
    uint64_t number = 1;
    lk_item item = store_item(key, &number);
    end_ms = item.expires_at_ms = schedule_unix_ms() + LIFE_MS;
    STORE_MUST(lk_set(db, &item, 1));
    STORE_MUST(lk_get_lock(db, key, &lock));
}

static void
time_passes(void)
{
    for (int i = 0; i < 2 * LIFE_MS; i++) {
        schedule_time_pass(1);
        if (schedule_choose(2) == 1)
            schedule_yield();
    }
}

/* A call that began and ended then says whether the item is there. */
static void
judge(bool found, int64_t began, int64_t ended)
{
    schedule_note("from %d to %d: %s", (int)(began - end_ms), (int)(ended - end_ms),
                  found ? "there" : "gone");
    if (found && began > end_ms)
        schedule_fail("an item is read %d ms after its end", (int)(began - end_ms));
    if (!found && ended <= end_ms)
        schedule_fail("an item is gone %d ms before its end", (int)(end_ms - ended));
}

static void
read_some(void)
{
    lk_result *result = store_result();
    for (int i = 0; i < READS; i++) {
        int64_t began = schedule_unix_ms();
        bool found;
        if (i % 2 == 0) {
            lk_status status = lk_get(db, key, result);
            SCHEDULE_EXPECT(status == LK_OK || status == LK_NOT_FOUND);
            found = status == LK_OK;
        } else {
            lk_query query = {.pk = key.pk};
            STORE_MUST(lk_query_items(db, &query, result));
            found = lk_result_count(result) == 2;
            SCHEDULE_EXPECT(found || lk_result_count(result) == 1);
        }
        judge(found, began, schedule_unix_ms());
    }
    lk_result_free(result);
}

static void
sweep(void)
{
    for (int i = 0; i < 2; i++) {
        STORE_MUST(lk_sweep(db, 0, NULL));
        schedule_yield();
    }
}

/* Under the lock: goes well until the end, and is LK_RACE after it. */
static void
set_under_lock(void)
{
    if (schedule_choose(2) == 1)
        schedule_yield();
    uint64_t number = 2;
    lk_item item = store_item(key, &number);
    item.expires_at_ms = end_ms;
    int64_t began = schedule_unix_ms();
    lk_status status = lk_set_atomic(db, &item, 1, &lock, 1, NULL);
    if (status != LK_RACE)
        STORE_MUST(status);
    judge(status == LK_OK, began, schedule_unix_ms());
}

static void
check_gone(void)
{
    schedule_time_pass(LIFE_MS);
    lk_result *result = store_result();
    SCHEDULE_EXPECT(lk_get(db, key, result) == LK_NOT_FOUND);
    STORE_MUST(lk_get(db, lasting, result));
    lk_result_free(result);
    lk_statistics statistics = {.cells = 0};
    for (int i = 0; i < 6; i++)
        STORE_MUST(lk_sweep(db, 0, NULL));
    STORE_MUST(lk_statistics_read(db, &statistics));
    SCHEDULE_EXPECT(statistics.cells == 1);
}

/* The end is taken away, or a new item comes: that one stays. */
static void
renew(void)
{
    store_set(db, key, 3);
    renewed = true;
}

static void
check_renewed(void)
{
    SCHEDULE_EXPECT(renewed);
    schedule_time_pass(LIFE_MS);
    for (int i = 0; i < 6; i++)
        STORE_MUST(lk_sweep(db, 0, NULL));
    lk_result *result = store_result();
    STORE_MUST(lk_get(db, key, result));
    SCHEDULE_EXPECT(store_number(lk_result_item(result, 0)) == 3);
    lk_result_free(result);
}

/* ---- an item whose end is put off in time ---- */

static void
put_off(void)
{
    for (int i = 0; i < READS; i++) {
        uint64_t number = 4;
        lk_item item = store_item(key, &number);
        item.expires_at_ms = schedule_unix_ms() + LIFE_MS;
        STORE_MUST(lk_set(db, &item, 1));
        schedule_time_pass(LIFE_MS);
    }
}

static void
read_always(void)
{
    lk_result *result = store_result();
    for (int i = 0; i < READS; i++) {
        lk_query query = {.pk = key.pk, .reverse = i % 2 != 0};
        size_t count = 0;
        STORE_MUST(lk_get(db, key, result));
        STORE_MUST(lk_get_many(db, &key, 1, result));
        SCHEDULE_EXPECT(lk_result_item(result, 0) != NULL);
        STORE_MUST(lk_get_locked(db, &key, 1, &lock, result));
        SCHEDULE_EXPECT(lk_result_item(result, 0) != NULL && lock.version != 0);
        STORE_MUST(lk_query_items(db, &query, result));
        SCHEDULE_EXPECT(lk_result_count(result) == 2);
        STORE_MUST(lk_count(db, &query, &count));
        SCHEDULE_EXPECT(count == 2);
    }
    lk_result_free(result);
}

/* Gives the item a later end, alone and in a commit: it is there, and has the bytes that it had. */
static void
touch_always(void)
{
    for (int i = 0; i < READS; i++) {
        int64_t expires_at_ms = schedule_unix_ms() + 100 * LIFE_MS;
        lk_write touch = {.kind = LK_TOUCH, .item = {.key = key, .expires_at_ms = expires_at_ms}};
        STORE_MUST(lk_touch(db, key, expires_at_ms));
        STORE_MUST(lk_commit(db, &touch, 1, NULL, 0, NULL));
    }
}

/* ---- delays ---- */

static int64_t due_ms;

static void
push_late(void)
{
    uint64_t number = 1;
    lk_item job = store_item((lk_key){.pk = lk_string("queue")}, &number);
    lk_push_options options = {.delay_ms = LIFE_MS};
    due_ms = schedule_monotonic_ms() + LIFE_MS;
    STORE_MUST(lk_queue_push(db, &job, 1, &options, NULL));
}

static void
pull_and_wait(void)
{
    lk_result *result = store_result();
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("queue");
    options.wait_ms = -1;
    STORE_MUST(lk_queue_pull(db, &options, result));
    lk_result_free(result);
}

static void
check_delay(void)
{
    if (schedule_monotonic_ms() <= due_ms - 1)
        schedule_fail("a job came %d ms early", (int)(due_ms - schedule_monotonic_ms()));
    if (schedule_monotonic_ms() > due_ms + 1)
        schedule_fail("a job came %d ms late", (int)(schedule_monotonic_ms() - due_ms));
}

/* ---- in the midst of a commit ---- */

static lk_status status_of_commit;
static lk_lock bumped;

static void
prepare_job(void)
{
    prepare();
    uint64_t number = 1;
    lk_item job = store_item(key, &number);
    job.expires_at_ms = end_ms;
    STORE_MUST(lk_queue_push(db, &job, 1, NULL, NULL));
    STORE_MUST(lk_get_lock(db, key, &lock));
}

static void
commit(const lk_item *items, size_t count)
{
    bumped = lock;
    status_of_commit = lk_set_atomic(db, items, count, &bumped, 1, NULL);
    if (status_of_commit != LK_RACE)
        STORE_MUST(status_of_commit);
}

/* The item goes on to its end, and the new lock no further. */
static void
bump(void)
{
    commit(NULL, 0);
}

static void
put_again(void)
{
    uint64_t number = 2;
    lk_item item = store_item(key, &number);
    commit(&item, 1);
}

static void
end_passes(void)
{
    schedule_time_pass(LIFE_MS + 1);
}

static void
check_bumped(void)
{
    lk_lock fresh;
    lk_result *result = store_result();
    SCHEDULE_EXPECT(lk_get(db, key, result) == LK_NOT_FOUND);
    SCHEDULE_EXPECT(lk_set_atomic(db, NULL, 0, &bumped, 1, NULL) == LK_RACE);
    STORE_MUST(lk_get_lock(db, key, &fresh));
    SCHEDULE_EXPECT(fresh.version > bumped.version);
    lk_result_free(result);
}

/* What is put over a live job stays one, by the time of the commit. */
static void
check_job(void)
{
    lk_result *result = store_result();
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    pull.pk = key.pk;
    lk_status wanted = status_of_commit == LK_OK ? LK_OK : LK_EMPTY;
    SCHEDULE_EXPECT(lk_queue_pull(db, &pull, result) == wanted);
    if (wanted == LK_OK) {
        SCHEDULE_EXPECT(store_number(lk_result_item(result, 0)) == 2);
        STORE_MUST(lk_set_atomic(db, NULL, 0, &bumped, 1, NULL));
    }
    lk_result_free(result);
}

#define EXPIRY(title, ...)                                                                         \
    {                                                                                              \
        .name = title, .prepare = prepare, .teardown = store_teardown, .count = 10000, __VA_ARGS__ \
    }

#define MIDST(title, before, operation, after)                                             \
    {                                                                                      \
        .name = title, .prepare = before, .body = {operation, end_passes}, .check = after, \
        .teardown = store_teardown, .count = 500, .stops = 1                               \
    }

const schedule_scenario schedule_scenarios[] = {
    EXPIRY("expiry", .body = {time_passes, read_some, sweep}, .check = check_gone),
    EXPIRY("expiry_lock", .body = {time_passes, set_under_lock, sweep}, .check = check_gone),
    EXPIRY("expiry_renewed", .body = {time_passes, renew, sweep, sweep}, .check = check_renewed),
    /* Nothing but the order in which they ran ties time to what is read. */
    EXPIRY("expiry_put_off", .body = {put_off, read_always}, .memory = SCHEDULE_SC),
    EXPIRY("expiry_put_off_touched", .body = {put_off, touch_always}, .memory = SCHEDULE_SC),
    EXPIRY("expiry_delay", .body = {pull_and_wait, push_late}, .check = check_delay),
    MIDST("midst_of_a_bump", prepare, bump, check_bumped),
    MIDST("midst_of_a_bump_of_a_job", prepare_job, bump, check_bumped),
    MIDST("midst_of_a_put_over_a_job", prepare_job, put_again, check_job),
    {0},
};
