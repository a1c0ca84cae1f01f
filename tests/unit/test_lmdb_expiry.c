/* SPDX-License-Identifier: MIT
 *
 * The adapter for LMDB: a lock goes with its item when that expires, whoever meets what has expired
 * first, and takes its job and all its rows along.
 */
#include "support/lmdb_checked.h"

/* An item, or a job, that expires; `then` is what happens to it next. */
typedef struct expired {
    const char *sk;
    bool is_job;
    void (*then)(lmdb_rig *r, lk_key key);
} expired;

static uint64_t
cells(lmdb_rig *r)
{
    return kit_statistics(&r->k).cells;
}

static void
then_nothing(lmdb_rig *r, lk_key key)
{
    (void)r;
    (void)key;
}

static void
then_swept(lmdb_rig *r, lk_key key)
{
    size_t swept = 0;
    (void)key;
    assert_int_equal(cells(r), 2);
    assert_status(LK_OK, lk_sweep(r->k.db, 0, &swept));
    assert_int_equal(swept, 1); /* the lock counts with its item */
    assert_int_equal(cells(r), 0);
}

static void
then_set(lmdb_rig *r, lk_key key)
{
    lk_item item = {key, lk_string("again"), 0};
    assert_status(LK_OK, lk_set(r->k.db, &item, 1));
    assert_int_equal(cells(r), 1);
}

static void
then_committed(lmdb_rig *r, lk_key key)
{
    lk_item item = {key, lk_string("again"), 0};
    lk_lock other = kit_lock(&r->k, lk_key_of("other", NULL));
    assert_status(LK_OK, lk_set_atomic(r->k.db, &item, 1, &other, 1, NULL));
    assert_int_equal(cells(r), 2);
}

static void
then_pushed(lmdb_rig *r, lk_key key)
{
    lk_push_options unique = {.unique = true, .max_depth = 1};
    lk_item item = {key, lk_string("job"), 0};
    assert_status(LK_OK, lk_queue_push(r->k.db, &item, 1, &unique, NULL));
    assert_status(LK_EXISTS, lk_queue_push(r->k.db, &item, 1, &unique, NULL));
    assert_depths(&r->k, "p", 1, 0, 0);
    assert_int_equal(cells(r), 1);
}

static void
then_pulled(lmdb_rig *r, lk_key key)
{
    (void)key;
    assert_empty(&r->k, "p");
    assert_int_equal(cells(r), 0);
}

static void
then_deleted(lmdb_rig *r, lk_key key)
{
    assert_status(LK_OK, lk_delete(r->k.db, &key, 1));
    assert_int_equal(cells(r), 0);
}

static void
then_locked(lmdb_rig *r, lk_key key)
{
    lk_lock lock;
    uint64_t before = cells(r);
    assert_status(LK_OK, lk_get_locked(r->k.db, &key, 1, &lock, r->k.result));
    assert_null(lk_result_item(r->k.result, 0));
    assert_int_equal(lock.version, 0);
    assert_int_equal(cells(r), before); /* it only looks */
    assert_status(LK_OK, lk_set_atomic(r->k.db, NULL, 0, &lock, 1, NULL));
    assert_int_equal(cells(r), 1);
}

static void
then_reopened(lmdb_rig *r, lk_key key)
{
    (void)key;
    lmdb_reopen(r, 1);
}

/* Good to the last millisecond, and stale for ever from the next one on. */
static void
lock_is_gone(lmdb_rig *r, const expired *e)
{
    kit *k = &r->k;
    lk_conflict conflict;
    lk_key key = lk_key_of("p", e->sk);
    lk_item item = {key, lk_string("x"), k->now_ms + 10};
    lk_lock lock = kit_lock(k, key), held = lock;
    assert_status(LK_OK,
                  e->is_job ? lk_queue_push(k->db, &item, 1, NULL, NULL) : lk_set(k->db, &item, 1));
    assert_int_equal(kit_lock(k, key).version, lock.version);
    kit_advance(k, 10);
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &held, 1, NULL));
    lock = held;
    kit_advance(k, 1);
    assert_status(LK_RACE, lk_set_atomic(k->db, &item, 1, &held, 1, &conflict));
    assert_int_equal(conflict.current_version, 0);
    e->then(r, key);
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &held, 1, &conflict));
    assert_true(conflict.current_version == 0 || conflict.current_version > lock.version);
    lk_lock fresh = kit_lock(k, key);
    assert_true(fresh.version > lock.version && kit_lock(k, key).version == fresh.version);
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &held, 1, &conflict));
    assert_int_equal(conflict.current_version, fresh.version);
    assert_memory_equal(&held, &lock, sizeof lock);
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &fresh, 1, NULL));
}

static void
test_lock_goes_with_its_expired_item(void **state)
{
    static const expired cases[] = {
        {"nothing", false, then_nothing},
        {"swept", false, then_swept},
        {"set", false, then_set},
        {"committed", false, then_committed},
        {"pushed", false, then_pushed},
        {"deleted", false, then_deleted},
        {"locked", false, then_locked},
        {"reopened", false, then_reopened},
        {"nothing, a job", true, then_nothing},
        {"swept, a job", true, then_swept},
        {"set, a job", true, then_set},
        {"committed, a job", true, then_committed},
        {"pushed, a job", true, then_pushed},
        {"pulled, a job", true, then_pulled},
        {"locked, a job", true, then_locked},
        {"reopened, a job", true, then_reopened},
    };
    lmdb_rig *r = *state;
    for (size_t i = 0; i < KIT_COUNT(cases); i++) {
        lk_key keys[] = {lk_key_of("p", cases[i].sk), lk_key_of("other", NULL)};
        lock_is_gone(r, &cases[i]);
        assert_status(LK_OK, lk_delete(r->k.db, keys, 2));
        assert_int_equal(cells(r), 0);
        assert_depths(&r->k, "p", 0, 0, 0);
    }
}

/* What get_lock finds expired it takes out: a closed queue has come to its end by it. */
static void
test_lock_of_an_expired_job_takes_the_job_out(void **state)
{
    lmdb_rig *r = *state;
    jobs_push_expiring(&r->k, "q", "s", "x", r->k.now_ms + 10);
    jobs_push_expiring(&r->k, "q", "t", "x", r->k.now_ms + 10);
    assert_status(LK_OK, lk_queue_close(r->k.db, lk_string("q")));
    assert_pull(&r->k, "q", "x", NULL);
    kit_advance(&r->k, 11);
    (void)kit_lock(&r->k, lk_key_of("q", "s"));
    (void)kit_lock(&r->k, lk_key_of("q", "t"));
    assert_int_equal(cells(r), 2); /* the locks */
    assert_depths(&r->k, "q", 0, 0, 0);
    assert_status(LK_CLOSED, lkc_try_pull(r->k.db, r->k.result, "q", NULL));
}

/* A clock that goes back brings back what nobody has taken out, item and lock alike. */
static void
test_lock_is_good_again_where_the_clock_goes_back(void **state)
{
    lmdb_rig *r = *state;
    lk_item item = kit_item("p", "s", "x");
    lk_lock lock = kit_lock(&r->k, item.key);
    item.expires_at_ms = r->k.now_ms + 10;
    assert_status(LK_OK, lk_set_atomic(r->k.db, &item, 1, &lock, 1, NULL));
    kit_advance(&r->k, 11);
    assert_status(LK_RACE, lk_set_atomic(r->k.db, NULL, 0, &lock, 1, NULL));
    kit_advance(&r->k, -1);
    assert_true(kit_holds(&r->k, item.key, "x"));
    assert_int_equal(kit_lock(&r->k, item.key).version, lock.version);
    assert_status(LK_OK, lk_set_atomic(r->k.db, NULL, 0, &lock, 1, NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LMDB_TEST(test_lock_goes_with_its_expired_item),
        LMDB_TEST(test_lock_of_an_expired_job_takes_the_job_out),
        LMDB_TEST(test_lock_is_good_again_where_the_clock_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
