/* SPDX-License-Identifier: MIT
 *
 * Reads of the database through a cache that meet: who misses a key that another thread is reading
 * waits for its answer, for so long and no longer, and only if no write came in between. Leaders
 * are held at gates; that others have joined is seen in the statistics.
 */
#include "support/cached.h"

enum { OTHERS = 5 };

static cached c;

static lk_key
the_key(void)
{
    return lk_key_of("q", "1");
}

static void
open_waiting(int64_t load_wait_ms)
{
    lk_cache_options options = {.max_items = 100, .load_wait_ms = load_wait_ms};
    cached_open(&c, &options);
    kit_set(&c.k, "q", "1", "old");
}

static lk_status
later_get_into(cached *it, later *self)
{
    char buffer[8];
    size_t size;
    lk_status status = lk_get_into(it->cache, self->key, buffer, sizeof buffer, &size);
    return status != LK_OK || (size == 3 && memcmp(buffer, "old", 3) == 0) ? status : LK_INVALID;
}

/* The key, another one, and the key. */
static lk_status
later_get_many(cached *it, later *self)
{
    lk_key keys[3] = {self->key, lk_key_of("q", "2"), self->key};
    return lk_get_many(it->cache, keys, 3, self->result);
}

static bool
many_read(const later *l, const char *data)
{
    for (size_t i = 0; i < 3; i++) {
        const lk_item *item = lk_result_item(l->result, i);
        const char *wanted = i == 1 ? "two" : data;
        if (wanted == NULL ? item != NULL : item == NULL || !lkc_is(item->data, wanted))
            return false;
    }
    return lk_result_count(l->result) == 3;
}

/* ---- waiting for another's answer ---- */

static void
test_misses_of_one_key_at_once_ask_once(void **state)
{
    (void)state;
    later leader, others[OTHERS];
    open_waiting(LK_HOURS(1));
    later_start_leader(&leader, &c, the_key(), COUNTED_BEFORE);
    for (size_t i = 0; i < OTHERS; i++)
        later_start(&others[i], &c, i % 2 != 0 ? later_get_into : later_get, the_key(), NULL);
    cached_await_joined(&c, OTHERS);
    later_end_leader(&leader, LK_OK);
    for (size_t i = 0; i < OTHERS; i++) {
        assert_status(LK_OK, later_join(&others[i]));
        assert_true(i % 2 != 0 || later_read(&others[i], "old"));
        later_free(&others[i]);
    }
    assert_int_equal(cached_asked(&c), 1);
    assert_true(cached_hits(&c, the_key(), "old"));
    assert_int_equal(cached_statistics(&c).cache_joined, OTHERS);
    cached_close(&c);
}

/* What the leader is told, what the others are, how often the database is asked, at least and at
 * most. */
static void
failure_check(lk_status leaders, lk_status others_wanted, uint64_t least, uint64_t most)
{
    later leader, others[OTHERS];
    counted_fail(&c.inner, COUNTED_GET, COUNTED_BEFORE, 1, leaders);
    later_start_leader(&leader, &c, the_key(), COUNTED_BEFORE);
    uint64_t joined = cached_statistics(&c).cache_joined;
    for (size_t i = 0; i < OTHERS; i++)
        later_start(&others[i], &c, later_get, the_key(), NULL);
    cached_await_joined(&c, joined + OTHERS);
    later_end_leader(&leader, leaders);
    for (size_t i = 0; i < OTHERS; i++) {
        assert_status(others_wanted, later_join(&others[i]));
        later_free(&others[i]);
    }
    assert_in_range(cached_asked(&c), least, most);
}

static void
test_leader_that_fails_tells_all(void **state)
{
    (void)state;
    open_waiting(LK_HOURS(1));
    failure_check(LK_UNAVAILABLE, LK_UNAVAILABLE, 1, 1);
    failure_check(LK_BUSY, LK_BUSY, 1, 1);
    failure_check(LK_NOT_FOUND, LK_NOT_FOUND, 1, 1);
    /* One's want of memory is not another's: they ask themselves, until the first answer is
     * there. */
    failure_check(LK_NO_MEMORY, LK_OK, 2, 1 + OTHERS);
    assert_true(cached_hits(&c, the_key(), "old"));
    cached_close(&c);
}

static void
test_leader_that_is_slow_is_not_waited_for(void **state)
{
    (void)state;
    static const int64_t waits[] = {1, -1};
    for (size_t i = 0; i < KIT_COUNT(waits); i++) {
        later leader;
        open_waiting(waits[i]);
        later_start_leader(&leader, &c, the_key(), COUNTED_BEFORE);
        assert_true(cached_asks(&c, the_key(), "old"));
        assert_int_equal(cached_statistics(&c).cache_joined, waits[i] > 0 ? 1 : 0);
        later_end_leader(&leader, LK_OK);
        assert_true(cached_hits(&c, the_key(), "old"));
        cached_close(&c);
    }
}

static void
test_expiry_before_the_answer_is_shared_is_seen(void **state)
{
    (void)state;
    later leader, other, several;
    open_waiting(LK_HOURS(1));
    kit_set(&c.k, "q", "2", "two");
    lk_item item = kit_item("q", "1", "old");
    item.expires_at_ms = KIT_START_MS + 10;
    assert_status(LK_OK, lk_set(c.k.db, &item, 1));
    later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
    later_start(&other, &c, later_get, the_key(), NULL);
    later_start(&several, &c, later_get_many, the_key(), NULL);
    cached_await_joined(&c, 3);
    kit_advance(&c.k, 11);
    later_end_leader(&leader, LK_OK); /* it was there when the database was asked */
    assert_status(LK_NOT_FOUND, later_join(&other));
    assert_status(LK_OK, later_join(&several));
    assert_true(many_read(&several, NULL));
    later_free(&other);
    later_free(&several);
    cached_close(&c);
}

/* ---- writes in between ---- */

static lk_status
write_nothing(void)
{
    return LK_OK;
}

static lk_status
write_set(void)
{
    lk_item item = kit_item("q", "1", "new");
    return lk_set(c.cache, &item, 1);
}

static lk_status
write_delete(void)
{
    return lk_delete(c.cache, (lk_key[]){the_key()}, 1);
}

static lk_status
write_purge(void)
{
    return lk_queue_purge(c.cache, lk_string("q"), NULL);
}

static lk_status
write_failing(void)
{
    counted_fail(&c.inner, COUNTED_SET, COUNTED_AFTER, 1, LK_UNKNOWN);
    return write_set() == LK_UNKNOWN ? LK_OK : LK_INVALID;
}

static void
test_read_after_a_write_does_not_join_an_older_one(void **state)
{
    static lk_status (*const writes[])(void) = {write_set, write_delete, write_purge,
                                                write_failing};
    static const char *const after[] = {"new", NULL, NULL, "new"};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(writes); i++) {
        later leader;
        lk_item job = kit_item("q", "1", "old");
        open_waiting(LK_HOURS(1));
        assert_status(LK_OK, lk_queue_push(c.k.db, &job, 1, NULL, NULL));
        later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
        assert_status(LK_OK, writes[i]());
        assert_true(cached_asks(&c, the_key(), after[i])); /* the leader still stands there */
        later_end_leader(&leader, LK_OK);
        assert_true(cached_holds(&c, the_key(), after[i]));
        cached_close(&c);
    }
}

static void
test_read_within_a_write_does_not_join(void **state)
{
    (void)state;
    later leader, writer;
    open_waiting(LK_HOURS(1));
    later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
    counted_shut(&c.inner, COUNTED_SET, COUNTED_AFTER);
    later_start(&writer, &c, later_set, the_key(), "new");
    counted_wait(&c.inner, COUNTED_SET);
    assert_true(cached_asks(&c, the_key(), "new"));
    later_end_leader(&leader, LK_OK);
    assert_true(cached_asks(&c, the_key(), "new"));
    counted_go(&c.inner, COUNTED_SET);
    assert_status(LK_OK, later_join(&writer));
    later_free(&writer);
    assert_true(cached_holds(&c, the_key(), "new"));
    cached_close(&c);
}

/* Who joined before the write may be told what was there before it. */
static void
test_write_after_the_others_joined_leaves_them_the_answer(void **state)
{
    static lk_status (*const writes[])(void) = {write_nothing, write_set, write_purge};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(writes); i++) {
        later leader, other;
        open_waiting(LK_HOURS(1));
        later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
        later_start(&other, &c, later_get, the_key(), NULL);
        cached_await_joined(&c, 1);
        assert_status(LK_OK, writes[i]());
        later_end_leader(&leader, LK_OK);
        assert_status(LK_OK, later_join(&other));
        assert_true(later_read(&other, "old"));
        later_free(&other);
        assert_int_equal(cached_statistics(&c).cache_dropped, i == 0 ? 0 : 1);
        const char *now = i == 1 ? "new" : "old"; /* no job was there to be purged */
        assert_true(i == 0 ? cached_hits(&c, the_key(), now) : cached_asks(&c, the_key(), now));
        cached_close(&c);
    }
}

/* A queue gives a key to a job that nobody has named: such a load's "not found" is nobody
 * else's. */
static void
test_push_that_generates_the_key_of_a_load_is_seen(void **state)
{
    (void)state;
    char ulid[LK_ULID_SIZE + 1] = "";
    later leader;
    lk_item job = kit_item("q", NULL, "x");
    open_waiting(LK_HOURS(1));
    assert_status(LK_OK, lk_queue_push(c.cache, &job, 1, NULL, c.k.result));
    memcpy(ulid, lk_result_item(c.k.result, 0)->key.sk.data, LK_ULID_SIZE);
    lk_ulid_next(ulid, KIT_START_MS);
    lk_key key = lk_key_of("q", ulid);
    later_start_leader(&leader, &c, key, COUNTED_AFTER);
    assert_status(LK_OK, lk_queue_push(c.cache, &job, 1, NULL, NULL)); /* its key is that one */
    later other;
    later_start(&other, &c, later_get, key, NULL);
    cached_await_joined(&c, 1);
    later_end_leader(&leader, LK_NOT_FOUND);
    assert_status(LK_OK, later_join(&other));
    assert_true(later_read(&other, "x"));
    later_free(&other);
    cached_close(&c);
}

/* ---- several keys ---- */

static void
test_get_many_with_duplicates_asks_for_each_key_once(void **state)
{
    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        lk_cache_options options = {.max_items = 100, .keep_missing = keep != 0};
        cached_open(&c, &options);
        kit_set(&c.k, "q", "1", "one");
        kit_set(&c.k, "q", "2", "two");
        lk_key one = lk_key_of("q", "1"), two = lk_key_of("q", "2"), no = lk_key_of("q", "no");
        lk_key keys[8] = {no, one, no, two, one, no, two, one};
        cached_warm(&c, two, "two");
        (void)cached_asked(&c);
        assert_status(LK_OK, lk_get_many(c.cache, keys, 8, c.k.result));
        assert_int_equal(cached_asked(&c), 2);
        assert_int_equal(lk_result_count(c.k.result), 8);
        for (size_t i = 0; i < 8; i++) {
            const lk_item *item = lk_result_item(c.k.result, i);
            bool there = lkc_equal(keys[i].sk, no.sk);
            assert_int_equal(item == NULL, there);
            assert_true(item == NULL || lkc_equal(item->key.sk, keys[i].sk));
        }
        assert_status(LK_OK, lk_get_many(c.cache, keys, 0, c.k.result));
        assert_int_equal(lk_result_count(c.k.result), 0);
        cached_close(&c);
    }
}

/* So many that some of them share a window, where loads are found. */
static void
test_get_many_of_many_keys_answers_each(void **state)
{
    enum { COUNT = 3000 };
    static char names[COUNT][8];
    static lk_key keys[COUNT];
    lk_cache_options options = {.max_items = 2 * COUNT, .policy = LK_CACHE_LRU};
    (void)state;
    cached_open(&c, &options);
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "%zu", i);
        keys[i] = lk_key_of("q", names[i]);
        if (i % 3 != 0)
            kit_set(&c.k, "q", names[i], names[i]);
    }
    for (int turn = 0; turn < 2; turn++) {
        assert_status(LK_OK, lk_get_many(c.cache, keys, COUNT, c.k.result));
        assert_int_equal(cached_asked(&c), turn == 0 ? COUNT : COUNT / 3);
        for (size_t i = 0; i < COUNT; i++) {
            const lk_item *item = lk_result_item(c.k.result, i);
            assert_int_equal(item != NULL, i % 3 != 0);
            assert_true(item == NULL || lkc_is(item->data, names[i]));
        }
    }
    assert_int_equal(cached_statistics(&c).cache_joined, 0);
    cached_close(&c);
}

static void
test_get_many_of_hits_asks_nothing(void **state)
{
    (void)state;
    open_waiting(0);
    kit_set(&c.k, "q", "2", "two");
    lk_key keys[3] = {the_key(), lk_key_of("q", "2"), the_key()};
    for (int i = 0; i < 3; i++) {
        assert_status(LK_OK, lk_get_many(c.cache, keys, 3, c.k.result));
        assert_int_equal(cached_asked(&c), i == 0 ? 2 : 0);
        assert_int_equal(atomic_load(&c.inner.calls[COUNTED_GET_MANY]), 1);
        assert_true(lkc_is(lk_result_item(c.k.result, 0)->data, "old"));
        assert_true(lkc_is(lk_result_item(c.k.result, 1)->data, "two"));
        assert_true(lkc_is(lk_result_item(c.k.result, 2)->data, "old"));
    }
    cached_close(&c);
}

static void
test_get_many_waits_for_another_read(void **state)
{
    static const lk_status ends[] = {LK_OK, LK_UNAVAILABLE, LK_NOT_FOUND};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(ends); i++) {
        later leader, several;
        open_waiting(LK_HOURS(1));
        kit_set(&c.k, "q", "2", "two");
        if (ends[i] == LK_NOT_FOUND)
            assert_status(LK_OK, lk_delete(c.k.db, (lk_key[]){the_key()}, 1));
        else if (ends[i] != LK_OK)
            counted_fail(&c.inner, COUNTED_GET, COUNTED_AFTER, 1, ends[i]);
        later_start_leader(&leader, &c, the_key(), COUNTED_BEFORE);
        later_start(&several, &c, later_get_many, the_key(), NULL);
        cached_await_joined(&c, 2);
        later_end_leader(&leader, ends[i]);
        assert_status(LK_OK, later_join(&several));
        assert_true(many_read(&several, ends[i] == LK_NOT_FOUND ? NULL : "old"));
        /* Where the leader failed it asks for itself. */
        assert_int_equal(cached_asked(&c), ends[i] == LK_UNAVAILABLE ? 4 : 2);
        later_free(&several);
        cached_close(&c);
    }
}

static void
test_get_waits_for_a_get_many(void **state)
{
    /* What a call of several keys failed with is no answer for one of them. */
    static const lk_status ends[] = {LK_OK, LK_TOO_BIG, LK_UNAVAILABLE};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(ends); i++) {
        later several, single;
        open_waiting(LK_HOURS(1));
        kit_set(&c.k, "q", "2", "two");
        if (ends[i] != LK_OK)
            counted_fail(&c.inner, COUNTED_GET_MANY, COUNTED_BEFORE, 1, ends[i]);
        counted_shut(&c.inner, COUNTED_GET_MANY, COUNTED_BEFORE);
        later_start(&several, &c, later_get_many, the_key(), NULL);
        counted_wait(&c.inner, COUNTED_GET_MANY);
        later_start(&single, &c, later_get, the_key(), NULL);
        cached_await_joined(&c, 2); /* one is the duplicate */
        counted_go(&c.inner, COUNTED_GET_MANY);
        assert_status(ends[i], later_join(&several));
        assert_status(LK_OK, later_join(&single));
        assert_true(later_read(&single, "old"));
        assert_int_equal(cached_asked(&c), ends[i] == LK_OK ? 2 : 3);
        if (ends[i] == LK_OK)
            assert_true(many_read(&several, "old"));
        else
            assert_int_equal(lk_result_count(several.result), 0);
        later_free(&single);
        later_free(&several);
        cached_close(&c);
    }
}

/* A database without get_many is asked key by key; a fault in the middle leaves the result as it
 * was. */
static void
test_get_many_of_single_reads_that_fail_is_nothing(void **state)
{
    (void)state;
    lk_key keys[3] = {the_key(), lk_key_of("q", "no"), lk_key_of("q", "2")};
    cached_open_without(&c, NULL, LK_HAS_GET_MANY);
    kit_set(&c.k, "q", "1", "old");
    kit_set(&c.k, "q", "2", "two");
    cached_warm(&c, keys[2], "two");
    cached_set(&c, "q", "2", "two");
    for (uint64_t nth = 1; nth < 3; nth++) {
        assert_true(cached_holds(&c, keys[2], "two"));
        counted_fail(&c.inner, COUNTED_GET, COUNTED_BEFORE, nth, LK_UNAVAILABLE);
        assert_status(LK_UNAVAILABLE, lk_get_many(c.cache, keys, 3, c.k.result));
        assert_int_equal(lk_result_count(c.k.result), 1);
        assert_true(lkc_is(lk_result_item(c.k.result, 0)->data, "two"));
    }
    assert_status(LK_OK, lk_get_many(c.cache, keys, 3, c.k.result));
    assert_true(lkc_is(lk_result_item(c.k.result, 0)->data, "old"));
    assert_null(lk_result_item(c.k.result, 1));
    assert_true(lkc_is(lk_result_item(c.k.result, 2)->data, "two"));
    cached_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misses_of_one_key_at_once_ask_once),
        cmocka_unit_test(test_leader_that_fails_tells_all),
        cmocka_unit_test(test_leader_that_is_slow_is_not_waited_for),
        cmocka_unit_test(test_expiry_before_the_answer_is_shared_is_seen),
        cmocka_unit_test(test_read_after_a_write_does_not_join_an_older_one),
        cmocka_unit_test(test_read_within_a_write_does_not_join),
        cmocka_unit_test(test_write_after_the_others_joined_leaves_them_the_answer),
        cmocka_unit_test(test_push_that_generates_the_key_of_a_load_is_seen),
        cmocka_unit_test(test_get_many_with_duplicates_asks_for_each_key_once),
        cmocka_unit_test(test_get_many_of_many_keys_answers_each),
        cmocka_unit_test(test_get_many_of_hits_asks_nothing),
        cmocka_unit_test(test_get_many_waits_for_another_read),
        cmocka_unit_test(test_get_waits_for_a_get_many),
        cmocka_unit_test(test_get_many_of_single_reads_that_fail_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
