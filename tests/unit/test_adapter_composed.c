/* SPDX-License-Identifier: MIT
 *
 * Conditions, LK_TOUCH and LK_ADD that the library puts together for an adapter that has locks and
 * none of these, nor get_locked: what comes in between, and faults. What they say:
 * conformance_composed.c.
 */
#include <pthread.h>

#include "base/alloc.h"
#include "support/counted_db.h"
#include "support/kit.h"

static kit k;
static counted_db inner;
static lk_db *db;

static void
rig_open(uint64_t without)
{
    lki_default_allocator = (lki_allocator){kit_allocate, kit_deallocate, &k.memory, NULL, NULL};
    kit_open(&k, NULL);
    assert_status(LK_OK, counted_open(&inner, k.db, without | LK_HAS_CONDITIONS));
    db = inner.db;
    assert_true((lk_capabilities(db) & LK_HAS_CONDITIONS) == 0);
}

static void
rig_close(void)
{
    lk_thread_detach();
    counted_close(&inner);
    kit_close(&k);
    lki_default_allocator = (lki_allocator){0};
}

#define NUMBER(n)             \
    {                         \
        n "\0\0\0\0\0\0\0", 8 \
    }
static const lk_bytes one = NUMBER("\1"), two = NUMBER("\2"), three = NUMBER("\3");

static const lk_key the_key = {{"p", 1}, {"s", 1}};

static bool
key_holds(lk_key key, const lk_bytes *data, int64_t expires_at_ms)
{
    lk_status status = lk_get(k.db, key, k.result);
    const lk_item *item = lk_result_item(k.result, 0);
    return data == NULL ? status == LK_NOT_FOUND
                        : status == LK_OK && lkc_equal(item->data, *data) &&
                              item->expires_at_ms == expires_at_ms;
}

/* ---- others in between ---- */

typedef struct adding {
    pthread_t thread;
    lk_status status;
    int64_t value;
} adding;

static void *
adding_main(void *context)
{
    adding *a = context;
    a->status = lk_add(db, the_key, 1, 0, &a->value);
    return NULL;
}

/* The add has read and judged; then the key changes; then it commits. */
static void
test_write_is_judged_again_where_its_key_has_changed(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        adding a = {.value = 0};
        int64_t value = 0;
        rig_open(0);
        assert_status(LK_OK, lk_add(db, the_key, 1, 0, &value));
        counted_shut(&inner, COUNTED_COMMIT, COUNTED_BEFORE);
        assert_int_equal(pthread_create(&a.thread, NULL, adding_main, &a), 0);
        counted_wait(&inner, COUNTED_COMMIT);
        if (how == 0) {
            assert_status(LK_OK, lk_add(db, the_key, 1, 0, &value));
        } else if (how == 1) {
            assert_status(LK_OK, lk_delete(k.db, &the_key, 1));
        } else {
            lk_lock lock = kit_lock(&k, the_key);
            lk_item item = {the_key, two, 0};
            assert_status(LK_OK, lk_set_atomic(k.db, &item, 1, &lock, 1, NULL));
        }
        counted_go(&inner, COUNTED_COMMIT);
        assert_int_equal(pthread_join(a.thread, NULL), 0);
        assert_status(LK_OK, a.status);
        assert_int_equal(a.value, how == 1 ? 1 : 3);
        assert_true(key_holds(the_key, how == 1 ? &one : &three, 0));
        rig_close();
    }
}

/* ---- faults ---- */

static void
test_write_whose_commit_fails_says_so(void **state)
{
    static const lk_status faults[] = {LK_NO_MEMORY, LK_BUSY, LK_UNAVAILABLE, LK_UNKNOWN};
    (void)state;
    rig_open(0);
    for (size_t i = 0; i < KIT_COUNT(faults); i++) {
        int64_t value = 7;
        counted_fail(&inner, COUNTED_COMMIT, COUNTED_BEFORE, 1, faults[i]);
        assert_status(faults[i], lk_add(db, the_key, 1, 0, &value));
        assert_int_equal(value, 7);
        assert_true(key_holds(the_key, NULL, 0));
    }
    /* Nothing is known of the locks of a write that was refused. */
    lk_write write = {.kind = LK_TOUCH, .item.key = the_key};
    lk_lock lock = kit_lock(&k, lk_key_of("p", "guard"));
    lk_conflict conflict = {77, 77, 77};
    for (uint64_t nth = 1; nth < 3; nth++) {
        counted_fail(&inner, COUNTED_GET_MANY, COUNTED_BEFORE, nth, LK_UNAVAILABLE);
        assert_status(LK_UNAVAILABLE, lk_commit(db, &write, 1, &lock, 1, &conflict));
        assert_true(conflict.index == 77 && conflict.write == 77);
    }
    rig_close();
}

static void
test_write_beside_a_claim_that_has_lapsed_is_late_and_moves_the_locks(void **state)
{
    (void)state;
    rig_open(0);
    lk_item job = kit_item("queue", "1", "x");
    lk_pull_options pull = {.pk = job.key.pk, .visibility_ms = 10};
    assert_status(LK_OK, lk_queue_push(k.db, &job, 1, NULL, NULL));
    assert_status(LK_OK, lk_queue_pull(k.db, &pull, k.result));
    lk_claim claim = *lk_result_claim(k.result, 0);
    claim.key = job.key;
    kit_advance(&k, 11);
    lk_lock lock = kit_lock(&k, lk_key_of("p", "guard"));
    lk_write writes[2] = {{.kind = LK_ADD, .item.key = the_key, .delta = 1},
                          {.kind = LK_ACKNOWLEDGE, .claim = &claim}};
    assert_status(LK_LATE, lk_commit(db, writes, 2, &lock, 1, NULL));
    assert_true(key_holds(the_key, &one, 0));
    assert_status(LK_LOST, lk_commit(db, writes, 2, &lock, 1, NULL));
    assert_true(key_holds(the_key, &one, 0));
    assert_status(LK_OK, lk_commit(db, writes, 1, &lock, 1, NULL));
    assert_true(key_holds(the_key, &two, 0));
    rig_close();
}

static void
test_write_without_memory_is_not_done(void **state)
{
    (void)state;
    int failures = 0;
    for (int64_t nth = 1;; nth++) {
        rig_open(0);
        lk_lock lock = kit_lock(&k, lk_key_of("p", "guard")), as_read = lock;
        lk_write writes[2] = {{.kind = LK_ADD, .item.key = the_key, .delta = 1},
                              {.kind = LK_PUT, .item = kit_item("p", "beside", "x")}};
        lk_conflict conflict = {77, 77, 77};
        kit_memory_fail(&k.memory, nth, false);
        lk_status status = lk_commit(db, writes, 2, &lock, 1, &conflict);
        bool failed = atomic_load(&k.memory.failed) != 0;
        kit_memory_fail(&k.memory, 0, false);
        assert_true(status == LK_OK || (failed && status == LK_NO_MEMORY));
        assert_true(key_holds(the_key, status == LK_OK ? &one : NULL, 0));
        assert_true((lock.version == as_read.version) == (status != LK_OK));
        assert_true(conflict.index == 77 && conflict.write == 77);
        rig_close();
        failures += status != LK_OK;
        if (!failed)
            break;
    }
    assert_true(failures > 3);
}

static void
test_write_over_too_many_locks_is_too_big(void **state)
{
    (void)state;
    static char names[LK_COMMIT_MAX + 1][8];
    static lk_write writes[LK_COMMIT_MAX];
    static lk_lock locks[LK_COMMIT_MAX];
    rig_open(0);
    for (size_t i = 0; i < LK_COMMIT_MAX; i++) {
        snprintf(names[i], sizeof names[i], "%zu", i);
        writes[i] = (lk_write){.kind = LK_ADD, .item.key = lk_key_of("p", names[i]), .delta = 1};
        locks[i] = kit_lock(&k, writes[i].item.key);
    }
    /* Those of the same keys are one and the same. */
    assert_status(LK_OK, lk_commit(db, writes, LK_COMMIT_MAX, locks, LK_COMMIT_MAX, NULL));
    writes[3].item.key = lk_key_of("q", "another");
    assert_status(LK_TOO_BIG, lk_commit(db, writes, LK_COMMIT_MAX, locks, LK_COMMIT_MAX, NULL));
    assert_true(key_holds(lk_key_of("p", "0"), &one, 0));
    writes[3].item.key = lk_key_of("p", "5");
    assert_status(LK_INVALID, lk_commit(db, writes, LK_COMMIT_MAX, locks, 1, NULL));
    rig_close();
}

/* Also of single reads, where there is no other. */
static void
test_write_is_put_together_of_whatever_reads_there_are(void **state)
{
    (void)state;
    rig_open(LK_HAS_GET_MANY);
    lk_item item = {the_key, two, 0};
    lk_write write = {.kind = LK_ADD, .item.key = the_key, .delta = 1};
    lk_lock lock = kit_lock(&k, lk_key_of("p", "guard"));
    lk_conflict conflict = {77, 77, 77};
    assert_status(LK_OK, lk_put_if(db, &item, LK_IF_ABSENT, one));
    assert_status(LK_EXISTS, lk_put_if(db, &item, LK_IF_ABSENT, one));
    assert_status(LK_OK, lk_commit(db, &write, 1, &lock, 1, &conflict));
    assert_true(key_holds(the_key, &three, 0) && conflict.write == 77);
    lock.version--;
    assert_status(LK_RACE, lk_commit(db, &write, 1, &lock, 1, &conflict));
    assert_true(key_holds(the_key, &three, 0) && conflict.index == 0);
    rig_close();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_is_judged_again_where_its_key_has_changed),
        cmocka_unit_test(test_write_whose_commit_fails_says_so),
        cmocka_unit_test(test_write_beside_a_claim_that_has_lapsed_is_late_and_moves_the_locks),
        cmocka_unit_test(test_write_without_memory_is_not_done),
        cmocka_unit_test(test_write_over_too_many_locks_is_too_big),
        cmocka_unit_test(test_write_is_put_together_of_whatever_reads_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
