/* SPDX-License-Identifier: MIT
 *
 * Each call that writes, against what the cache holds: it updates or drops the key, also where it ends in a fault, before or after the
 * database did it; and no read of the database that met it is kept. All about the key ("q", "1"), which holds "old"; calls
 * that meet are held at gates, so the order is exact.
 */
#include "support/cached.h"

static cached c;
static lk_lock lock;
static lk_claim claim;

static lk_key
the_key(void)
{
    return lk_key_of("q", "1");
}

/* ---- what there is before ---- */

static void
prepare_item(void)
{
    kit_set(&c.k, "q", "1", "old");
}

static void
prepare_locked(void)
{
    prepare_item();
    lock = kit_lock(&c.k, the_key());
}

static void
prepare_job(void)
{
    lk_item job = kit_item("q", "1", "old");
    assert_status(LK_OK, lk_queue_push(c.k.db, &job, 1, NULL, NULL));
}

static void
prepare_claimed(void)
{
    lk_pull_options options = {.pk = lk_string("q")};
    prepare_job();
    assert_status(LK_OK, lk_queue_pull(c.k.db, &options, c.k.result));
    claim = *lk_result_claim(c.k.result, 0);
    claim.key = the_key();
}

/* The next pull with max_receives 1 moves it. */
static void
prepare_received(void)
{
    prepare_claimed();
    assert_status(LK_OK, lk_queue_release(c.k.db, &claim, 0));
}

/* ---- the writes ---- */

static lk_status
write_set(void)
{
    lk_item item = kit_item("q", "1", "new");
    return lk_set(c.cache, &item, 1);
}

static lk_status
write_set_several(void)
{
    lk_item items[3] = {kit_item("q", "0", "x"), kit_item("q", "1", "new"),
                        kit_item("r", "1", "x")};
    return lk_set(c.cache, items, 3);
}

static lk_status
write_set_twice(void)
{
    lk_item items[2] = {kit_item("q", "1", "between"), kit_item("q", "1", "new")};
    return lk_set(c.cache, items, 2);
}

static lk_status
write_delete(void)
{
    lk_key keys[2] = {lk_key_of("q", "0"), the_key()};
    return lk_delete(c.cache, keys, 2);
}

static lk_status
write_set_atomic(void)
{
    lk_item items[2] = {kit_item("r", "1", "x"), kit_item("q", "1", "new")};
    return lk_set_atomic(c.cache, items, 2, &lock, 1, NULL);
}

static lk_status
commit_one(lk_write_kind kind)
{
    lk_write writes[2] = {{.kind = LK_PUT, .item = kit_item("r", "1", "x")},
                          {.kind = kind, .item = kit_item("q", "1", "new"), .claim = &claim}};
    return lk_commit(c.cache, writes, 2, NULL, 0, NULL);
}

static lk_status
write_commit_put(void)
{
    return commit_one(LK_PUT);
}

static lk_status
write_commit_delete(void)
{
    return commit_one(LK_DELETE);
}

static lk_status
write_commit_push(void)
{
    return commit_one(LK_PUSH);
}

static lk_status
write_commit_acknowledge(void)
{
    return commit_one(LK_ACKNOWLEDGE);
}

static lk_status
write_push(void)
{
    lk_item jobs[2] = {kit_item("q", "0", "x"), kit_item("q", "1", "new")};
    return lk_queue_push(c.cache, jobs, 2, NULL, NULL);
}

static lk_status
write_acknowledge(void)
{
    return lk_queue_acknowledge(c.cache, &claim, 1);
}

static lk_status
write_acknowledge_by_key(void)
{
    lk_claim by_key = {.key = the_key()};
    return lk_queue_acknowledge(c.cache, &by_key, 1);
}

static lk_status
write_purge(void)
{
    return lk_queue_purge(c.cache, lk_string("q"), NULL);
}

static lk_status
write_dead_letter(void)
{
    lk_pull_options options = {
        .pk = lk_string("q"), .max_receives = 1, .dead_pk = lk_string("dead")};
    lk_result *result = lk_result_new();
    lk_status status = lk_queue_pull(c.cache, &options, result);
    lk_result_free(result);
    return status == LK_EMPTY ? LK_OK : status;
}

typedef struct writing {
    const char *name;
    void (*prepare)(void);
    lk_status (*write)(void);
    enum counted_call call; /* of the database */
    const char *after;      /* NULL: the key is gone */
    bool updates;           /* the cache then has the new item */
} writing;

static const writing writings[] = {
    {"set", prepare_item, write_set, COUNTED_SET, "new", true},
    {"set of several", prepare_item, write_set_several, COUNTED_SET, "new", true},
    {"set twice", prepare_item, write_set_twice, COUNTED_SET, "new", false},
    {"delete", prepare_item, write_delete, COUNTED_REMOVE, NULL, false},
    {"set_atomic", prepare_locked, write_set_atomic, COUNTED_COMMIT, "new", true},
    {"put in a commit", prepare_item, write_commit_put, COUNTED_COMMIT, "new", true},
    {"delete in a commit", prepare_item, write_commit_delete, COUNTED_COMMIT, NULL, false},
    {"push in a commit", prepare_item, write_commit_push, COUNTED_COMMIT, "new", false},
    {"acknowledge in a commit", prepare_claimed, write_commit_acknowledge, COUNTED_COMMIT, NULL,
     false},
    {"push", prepare_item, write_push, COUNTED_PUSH, "new", false},
    {"acknowledge", prepare_claimed, write_acknowledge, COUNTED_ACKNOWLEDGE, NULL, false},
    {"acknowledge by key", prepare_job, write_acknowledge_by_key, COUNTED_ACKNOWLEDGE, NULL, false},
    {"purge", prepare_job, write_purge, COUNTED_PURGE, NULL, false},
    {"dead letter", prepare_received, write_dead_letter, COUNTED_PULL, NULL, false},
};

/* Each writing on fresh stores, with and without memory of what is not there. */
static void
each_writing(void (*check)(const writing *w))
{
    for (size_t i = 0; i < KIT_COUNT(writings) * 2; i++) {
        const writing *w = &writings[i / 2];
        lk_cache_options options = LK_CACHE_OPTIONS_INIT;
        options.max_items = 100;
        options.keep_missing = i % 2 != 0;
        options.load_wait_ms = -1;
        cached_open(&c, &options);
        w->prepare();
        check(w);
        cached_close(&c);
    }
}

/* The test says which writing it was. */
#define HOLDS(condition)                                      \
    do {                                                      \
        if (!(condition)) {                                   \
            print_error("%s: %s\n", w->name, #condition);     \
            assert_true(!"a writing; its name stands above"); \
        }                                                     \
    } while (0)

static lk_status
later_write(cached *it, later *self)
{
    const writing *w = (const void *)self->data;
    (void)it;
    return w->write();
}

static void
start_write(later *l, const writing *w)
{
    later_start(l, &c, later_write, the_key(), (const char *)(const void *)w);
}

static bool
kept(const char *data)
{
    return cached_hits(&c, the_key(), data);
}

static bool
dropped(const char *data)
{
    return cached_asks(&c, the_key(), data);
}

/* ---- alone ---- */

static void
check_write(const writing *w)
{
    cached_warm(&c, the_key(), "old");
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
    assert_true(cached_holds(&c, lk_key_of("dead", "1"), "old"));
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
        cached_warm(&c, the_key(), "old");
        counted_fail(&c.inner, w->call, when, 1, faults[i]);
        HOLDS(w->write() == faults[i]);
        if (faults[i] == LK_UNKNOWN) { /* the write may yet happen: nothing is kept meanwhile */
            HOLDS(cached_asks(&c, the_key(), when == COUNTED_BEFORE ? "old" : w->after));
            kit_advance(&c.k, LK_UNKNOWN_SETTLES_MS - 1);
            HOLDS(cached_asks(&c, the_key(), when == COUNTED_BEFORE ? "old" : w->after));
            kit_advance(&c.k, 1);
        }
        HOLDS(dropped(when == COUNTED_BEFORE ? "old" : w->after));
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
        kit_set(&c.k, "r", "2", "old");
        lk_lock locks[2] = {kit_lock(&c.k, lk_key_of("r", "2")), lock};
        cached_warm(&c, the_key(), "old");
        cached_warm(&c, lk_key_of("r", "2"), "old");
        lk_item item = kit_item("q", "1", "behind");
        assert_status(LK_OK, lk_set_atomic(c.k.db, &item, 1, &lock, 1, NULL));
        assert_true(cached_hits(&c, the_key(), "old"));
        lk_item other = kit_item("r", "9", "x");
        lk_write write = {.kind = LK_PUT, .item = other};
        lk_conflict conflict = {9, 9};
        lk_status status = atomic != 0 ? lk_set_atomic(c.cache, &other, 1, locks, 2, &conflict)
                                       : lk_commit(c.cache, &write, 1, locks, 2, &conflict);
        assert_status(LK_RACE, status);
        assert_int_equal(conflict.index, 1);
        assert_int_equal(conflict.current_version, lock.version);
        assert_true(cached_asks(&c, the_key(), "behind"));
        assert_true(cached_asks(&c, lk_key_of("r", "2"), "old"));
        cached_close(&c);
    }
}

static void
test_commit_of_locks_alone_that_races_drops_their_keys(void **state)
{
    (void)state;
    cached_open(&c, NULL);
    prepare_locked();
    cached_warm(&c, the_key(), "old");
    assert_status(LK_OK, lk_commit(c.cache, NULL, 0, &lock, 1, NULL));
    assert_true(cached_hits(&c, the_key(), "old"));
    lock.version--;
    assert_status(LK_RACE, lk_commit(c.cache, NULL, 0, &lock, 1, NULL));
    assert_true(cached_asks(&c, the_key(), "old"));
    cached_close(&c);
}

/* ---- reads that meet it ---- */

/* The database answers the read, then comes the write, then the read is told. */
static void
check_fill_raced(const writing *w)
{
    later reader;
    counted_shut(&c.inner, COUNTED_GET, COUNTED_AFTER);
    later_start(&reader, &c, later_get, the_key(), NULL);
    counted_wait(&c.inner, COUNTED_GET);
    HOLDS(w->write() == LK_OK);
    counted_go(&c.inner, COUNTED_GET);
    HOLDS(later_join(&reader) == LK_OK && later_read(&reader, "old"));
    later_free(&reader);
    HOLDS(dropped(w->after));
}

static void
test_fill_that_raced_with_a_write_is_not_kept(void **state)
{
    (void)state;
    each_writing(check_fill_raced);
}

/* It begins before the write and is told while the write is under way. */
static void
check_fill_ends_within(const writing *w)
{
    later reader, writer;
    counted_shut(&c.inner, COUNTED_GET, COUNTED_AFTER);
    later_start(&reader, &c, later_get, the_key(), NULL);
    counted_wait(&c.inner, COUNTED_GET);
    counted_shut(&c.inner, w->call, COUNTED_BEFORE);
    start_write(&writer, w);
    counted_wait(&c.inner, w->call);
    counted_go(&c.inner, COUNTED_GET);
    HOLDS(later_join(&reader) == LK_OK && later_read(&reader, "old"));
    HOLDS(dropped("old"));
    counted_go(&c.inner, w->call);
    HOLDS(later_join(&writer) == LK_OK);
    later_free(&reader);
    later_free(&writer);
    HOLDS(dropped(w->after));
}

static void
test_fill_that_ends_within_a_write_is_not_kept(void **state)
{
    (void)state;
    each_writing(check_fill_ends_within);
}

/* It begins while the write is under way and is told after that has ended. */
static void
check_fill_begins_within(const writing *w)
{
    later reader, writer;
    counted_shut(&c.inner, w->call, COUNTED_BEFORE);
    start_write(&writer, w);
    counted_wait(&c.inner, w->call);
    counted_shut(&c.inner, COUNTED_GET, COUNTED_AFTER);
    later_start(&reader, &c, later_get, the_key(), NULL);
    counted_wait(&c.inner, COUNTED_GET);
    counted_go(&c.inner, w->call);
    HOLDS(later_join(&writer) == LK_OK);
    counted_go(&c.inner, COUNTED_GET);
    HOLDS(later_join(&reader) == LK_OK && later_read(&reader, "old"));
    later_free(&reader);
    later_free(&writer);
    HOLDS(dropped(w->after));
}

static void
test_fill_that_begins_within_a_write_is_not_kept(void **state)
{
    (void)state;
    each_writing(check_fill_begins_within);
}

static void
check_reads_within(const writing *w, enum counted_when when)
{
    later writer;
    const char *now = when == COUNTED_BEFORE ? "old" : w->after;
    lk_key keys[2] = {the_key(), the_key()};
    cached_warm(&c, the_key(), "old");
    counted_shut(&c.inner, w->call, when);
    start_write(&writer, w);
    counted_wait(&c.inner, w->call);
    for (int i = 0; i < 3; i++)
        HOLDS(dropped(now));
    (void)cached_asked(&c);
    HOLDS(lk_get_many(c.cache, keys, 2, c.k.result) == LK_OK && cached_asked(&c) == 2);
    for (size_t i = 0; i < 2; i++) {
        const lk_item *item = lk_result_item(c.k.result, i);
        HOLDS(now == NULL ? item == NULL : item != NULL && kit_bytes_are(item->data, now));
    }
    counted_go(&c.inner, w->call);
    HOLDS(later_join(&writer) == LK_OK);
    later_free(&writer);
    HOLDS(cached_holds(&c, the_key(), w->after));
}

static void
check_reads_before(const writing *w)
{
    check_reads_within(w, COUNTED_BEFORE);
}

static void
check_reads_after(const writing *w)
{
    check_reads_within(w, COUNTED_AFTER);
}

static void
test_reads_within_a_write_ask_the_database(void **state)
{
    (void)state;
    each_writing(check_reads_before);
    each_writing(check_reads_after);
}

/* ---- writes that meet it ---- */

/* Another write begins and ends while this one is under way; the database does that one first, or this one. */
static void
check_writes_overlap(const writing *w, enum counted_when when)
{
    later writer;
    cached_warm(&c, the_key(), "old");
    counted_shut(&c.inner, COUNTED_SET, when);
    later_start(&writer, &c, later_set, the_key(), "slow");
    counted_wait(&c.inner, COUNTED_SET);
    lk_status status = w->write(); /* the gate stops one */
    counted_go(&c.inner, COUNTED_SET);
    HOLDS(later_join(&writer) == LK_OK);
    later_free(&writer);
    HOLDS(status == LK_OK);
    HOLDS(kit_holds(&c.k, the_key(), when == COUNTED_BEFORE ? "slow" : w->after));
    HOLDS(dropped(when == COUNTED_BEFORE ? "slow" : w->after));
}

static void
check_overlap_first(const writing *w)
{
    check_writes_overlap(w, COUNTED_BEFORE);
}

static void
check_overlap_last(const writing *w)
{
    check_writes_overlap(w, COUNTED_AFTER);
}

static void
test_writes_that_overlap_are_not_kept(void **state)
{
    (void)state;
    each_writing(check_overlap_first);
    each_writing(check_overlap_last);
}

/* The one that began first ends last, and the other way round: the windows close in another order. */
static void
test_writes_that_overlap_in_a_chain_are_not_kept(void **state)
{
    (void)state;
    later first, second;
    cached_open(&c, NULL);
    prepare_item();
    cached_warm(&c, the_key(), "old");
    counted_shut(&c.inner, COUNTED_SET, COUNTED_AFTER);
    later_start(&first, &c, later_set, the_key(), "first");
    counted_wait(&c.inner, COUNTED_SET);
    counted_shut(&c.inner, COUNTED_REMOVE, COUNTED_BEFORE);
    later_start(&second, &c, later_delete, the_key(), NULL);
    counted_wait(&c.inner, COUNTED_REMOVE);
    counted_go(&c.inner, COUNTED_SET);
    assert_status(LK_OK, later_join(&first));
    assert_true(cached_asks(&c, the_key(), "first"));
    assert_true(cached_asks(&c, the_key(), "first"));
    counted_go(&c.inner, COUNTED_REMOVE);
    assert_status(LK_OK, later_join(&second));
    assert_true(cached_asks(&c, the_key(), NULL));
    later_free(&first);
    later_free(&second);
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
        cmocka_unit_test(test_commit_of_locks_alone_that_races_drops_their_keys),
        cmocka_unit_test(test_fill_that_raced_with_a_write_is_not_kept),
        cmocka_unit_test(test_fill_that_ends_within_a_write_is_not_kept),
        cmocka_unit_test(test_fill_that_begins_within_a_write_is_not_kept),
        cmocka_unit_test(test_reads_within_a_write_ask_the_database),
        cmocka_unit_test(test_writes_that_overlap_are_not_kept),
        cmocka_unit_test(test_writes_that_overlap_in_a_chain_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
