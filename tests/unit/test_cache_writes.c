/* SPDX-License-Identifier: MIT
 *
 * Each call that writes, against what the cache holds: it updates or drops the key, also where it
 * ends in a fault, before or after the database did it. Reads and writes that meet it:
 * test_cache_meetings.c.
 */
#include "support/writings.h"

static bool
kept(const char *data)
{
    return cached_hits(&c, the_key(), data);
}

/* ---- alone ---- */

static void
check_write(const writing *w)
{
    cached_warm(&c, the_key(), "old item");
    HOLDS(w->write() == LK_OK);
    HOLDS(w->updates ? kept(w->after) : dropped(w->after));
    HOLDS(kit_holds(&c.k, the_key(), w->after));
}

static void
test_write_of_a_cached_key_updates_or_drops_it(void **state)
{
    (void)state;
    each_writing(check_write);
}

static void
check_write_of_uncached(const writing *w)
{
    HOLDS(w->write() == LK_OK);
    HOLDS(dropped(w->after));
    if (w->after != NULL)
        HOLDS(kept(w->after));
}

static void
test_write_of_an_uncached_key_is_read(void **state)
{
    (void)state;
    each_writing(check_write_of_uncached);
}

/* A memory that there was no such key, and then a write of it. */
static void
test_write_of_a_key_known_to_be_missing_is_read(void **state)
{
    static lk_status (*const writes[])(void) = {write_set, write_commit_put, write_commit_push,
                                                write_push};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(writes); i++) {
        lk_cache_options options = {.max_items = 100, .keep_missing = true};
        cached_open(&c, &options);
        cached_warm(&c, the_key(), NULL);
        assert_status(LK_OK, writes[i]());
        assert_true(cached_holds(&c, the_key(), "new"));
        cached_close(&c);
    }
}

static void
test_dead_letter_of_a_key_known_to_be_missing_is_read(void **state)
{
    lk_cache_options options = {.max_items = 100, .keep_missing = true};
    (void)state;
    cached_open(&c, &options);
    prepare_received();
    cached_warm(&c, lk_key_of("dead", "1"), NULL);
    assert_status(LK_OK, write_dead_letter());
    assert_true(cached_holds(&c, lk_key_of("dead", "1"), "old item"));
    assert_true(cached_holds(&c, the_key(), NULL));
    cached_close(&c);
}

/* ---- faults ---- */

static const lk_status faults[] = {LK_NO_MEMORY, LK_BUSY, LK_UNSUPPORTED, LK_UNAVAILABLE,
                                   LK_UNKNOWN,   LK_RACE, LK_LOST,        LK_CLOSED};

static void
check_faults(const writing *w, enum counted_when when)
{
    for (size_t i = 0; i < KIT_COUNT(faults); i++) {
        if (i != 0) {
            assert_status(LK_OK, lk_delete(c.k.db, (lk_key[]){the_key()}, 1));
            assert_status(LK_OK, lk_queue_purge(c.k.db, lk_string("q"), NULL));
            w->prepare();
            /* Behind the cache's back; a failed write lets it forget. */
            counted_fail(&c.inner, COUNTED_SET, COUNTED_BEFORE, 1, LK_BUSY);
            HOLDS(write_set() == LK_BUSY);
        }
        cached_warm(&c, the_key(), "old item");
        counted_fail(&c.inner, w->call, when, 1, faults[i]);
        HOLDS(w->write() == faults[i]);
        if (faults[i] == LK_UNKNOWN) { /* the write may yet happen: nothing is kept meanwhile */
            HOLDS(cached_asks(&c, the_key(), when == COUNTED_BEFORE ? "old item" : w->after));
            kit_advance(&c.k, LK_UNKNOWN_SETTLES_MS - 1);
            HOLDS(cached_asks(&c, the_key(), when == COUNTED_BEFORE ? "old item" : w->after));
            kit_advance(&c.k, 1);
        }
        HOLDS(dropped(when == COUNTED_BEFORE ? "old item" : w->after));
    }
}

static void
check_faults_before(const writing *w)
{
    check_faults(w, COUNTED_BEFORE);
}

static void
test_write_that_fails_drops_the_key(void **state)
{
    (void)state;
    each_writing(check_faults_before);
}

static void
check_faults_after(const writing *w)
{
    check_faults(w, COUNTED_AFTER);
}

static void
test_write_that_was_done_and_then_failed_drops_the_key(void **state)
{
    (void)state;
    each_writing(check_faults_after);
}

/* All locks of a commit that raced are dropped: somebody changed what they guard. */
static void
test_race_drops_the_keys_of_the_locks(void **state)
{
    (void)state;
    for (int atomic = 0; atomic < 2; atomic++) {
        cached_open(&c, NULL);
        prepare_locked();
        kit_set(&c.k, "r", "2", "old item");
        lk_lock locks[2] = {kit_lock(&c.k, lk_key_of("r", "2")), lock};
        cached_warm(&c, the_key(), "old item");
        cached_warm(&c, lk_key_of("r", "2"), "old item");
        lk_item item = kit_item("q", "1", "behind");
        assert_status(LK_OK, lk_set_atomic(c.k.db, &item, 1, &lock, 1, NULL));
        assert_true(cached_hits(&c, the_key(), "old item"));
        lk_item other = kit_item("r", "9", "x");
        lk_write write = {.kind = LK_PUT, .item = other};
        lk_conflict conflict = {9, 9, 9};
        lk_status status = atomic != 0 ? lk_set_atomic(c.cache, &other, 1, locks, 2, &conflict)
                                       : lk_commit(c.cache, &write, 1, locks, 2, &conflict);
        assert_status(LK_RACE, status);
        assert_int_equal(conflict.index, 1);
        assert_int_equal(conflict.current_version, lock.version);
        assert_true(cached_asks(&c, the_key(), "behind"));
        assert_true(cached_asks(&c, lk_key_of("r", "2"), "old item"));
        cached_close(&c);
    }
}

/* Others have written past the cache: who asked for what it holds reads the database next time. */
static void
test_condition_that_does_not_hold_drops_the_key(void **state)
{
    (void)state;
    const lk_bytes old = lk_string("old item");
    for (int i = 0; i < 6; i++) {
        bool together = i % 2 != 0;
        lk_item item = kit_item("q", "1", "new");
        lk_write write = {.item = item, .condition = LK_IF_EQUAL, .expected = old};
        lk_conflict conflict = {9, 9, 9};
        cached_open_without(&c, NULL, together ? LK_HAS_CONDITIONS : 0);
        prepare_item();
        cached_warm(&c, the_key(), "old item");
        kit_set(&c.k, "q", "1", "behind");
        if (i < 2) {
            assert_status(LK_RACE, lk_put_if(c.cache, &item, LK_IF_EQUAL, old));
        } else if (i < 4) {
            assert_status(LK_RACE, lk_commit(c.cache, &write, 1, NULL, 0, &conflict));
            assert_true(conflict.write == 0 && conflict.index == SIZE_MAX);
        } else {
            lk_key key = the_key();
            assert_status(LK_OK, lk_delete(c.k.db, &key, 1));
            assert_status(LK_NOT_FOUND, lk_touch(c.cache, key, 0));
        }
        assert_true(cached_asks(&c, the_key(), i < 4 ? "behind" : NULL));
        cached_close(&c);
    }
}

static void
test_commit_of_locks_alone_that_races_drops_their_keys(void **state)
{
    (void)state;
    cached_open(&c, NULL);
    prepare_locked();
    cached_warm(&c, the_key(), "old item");
    assert_status(LK_OK, lk_commit(c.cache, NULL, 0, &lock, 1, NULL));
    assert_true(cached_hits(&c, the_key(), "old item"));
    lock.version--;
    assert_status(LK_RACE, lk_commit(c.cache, NULL, 0, &lock, 1, NULL));
    assert_true(cached_asks(&c, the_key(), "old item"));
    cached_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_of_a_cached_key_updates_or_drops_it),
        cmocka_unit_test(test_write_of_an_uncached_key_is_read),
        cmocka_unit_test(test_write_of_a_key_known_to_be_missing_is_read),
        cmocka_unit_test(test_dead_letter_of_a_key_known_to_be_missing_is_read),
        cmocka_unit_test(test_write_that_fails_drops_the_key),
        cmocka_unit_test(test_write_that_was_done_and_then_failed_drops_the_key),
        cmocka_unit_test(test_race_drops_the_keys_of_the_locks),
        cmocka_unit_test(test_condition_that_does_not_hold_drops_the_key),
        cmocka_unit_test(test_commit_of_locks_alone_that_races_drops_their_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
