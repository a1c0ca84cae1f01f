/* SPDX-License-Identifier: MIT
 *
 * Conditions, LK_TOUCH and LK_ADD that the library puts together for an adapter that has locks and
 * none of these: the embedded store without that capability. What an adapter says for itself is the
 * conformance suite's.
 */
#include <pthread.h>

#include "adapter/pass.h"
#include "base/alloc.h"
#include "support/counted_db.h"
#include "support/crowd.h"
#include "support/kit.h"

static kit k;
static counted_db inner;
static lk_db *db;

/* A wrapper that only passes on: it has get_locked, which the counted one has not. */
static lk_db *passing;

static void
passing_open(void)
{
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_operations operations;
    assert_status(LK_OK, lk_adapter_pass(k.db, &operations, &adapter));
    adapter.capabilities &= ~LK_HAS_CONDITIONS;
    adapter.state = &k.db;
    lki_operations_trim(&operations, adapter.capabilities);
    assert_status(LK_OK, lk_adapter_open(&operations, &adapter, &passing));
}

static void
rig_open(uint64_t without)
{
    lki_default_allocator = (lki_allocator){kit_allocate, kit_deallocate, &k.memory, NULL, NULL};
    kit_open(&k, NULL);
    assert_status(LK_OK, counted_open(&inner, k.db, without | LK_HAS_CONDITIONS));
    passing_open();
    db = inner.db;
    assert_true((lk_capabilities(db) & LK_HAS_CONDITIONS) == 0);
}

static void
rig_close(void)
{
    lk_thread_detach();
    lk_close(passing);
    counted_close(&inner);
    kit_close(&k);
    lki_default_allocator = (lki_allocator){0};
}

#define NUMBER(n)             \
    {                         \
        n "\0\0\0\0\0\0\0", 8 \
    }
static const lk_bytes one = NUMBER("\1"), three = NUMBER("\3"), two = NUMBER("\2"),
                      largest = {"\xff\xff\xff\xff\xff\xff\xff\x7f", 8},
                      minus_two = {"\xfe\xff\xff\xff\xff\xff\xff\xff", 8}, text = {"text", 4},
                      other = {"other", 5}, none = {NULL, 0};

/* ---- one write, by each way in ---- */

typedef struct judged {
    const char *name;
    const lk_bytes *before; /* what the key holds; NULL: nothing */
    lk_write_kind kind;
    lk_condition condition;
    const lk_bytes *expected;
    int64_t delta;
    lk_status status;
    const lk_bytes *after; /* NULL: nothing */
} judged;

static const judged table[] = {
    {"put if absent, absent", NULL, LK_PUT, LK_IF_ABSENT, &none, 0, LK_OK, &other},
    {"put if absent, present", &text, LK_PUT, LK_IF_ABSENT, &none, 0, LK_EXISTS, &text},
    {"put if present, absent", NULL, LK_PUT, LK_IF_PRESENT, &none, 0, LK_NOT_FOUND, NULL},
    {"put if present, present", &text, LK_PUT, LK_IF_PRESENT, &none, 0, LK_OK, &other},
    {"put if equal, absent", NULL, LK_PUT, LK_IF_EQUAL, &none, 0, LK_RACE, NULL},
    {"put if equal, another", &text, LK_PUT, LK_IF_EQUAL, &other, 0, LK_RACE, &text},
    {"put if equal, shorter", &text, LK_PUT, LK_IF_EQUAL, &none, 0, LK_RACE, &text},
    {"put if equal, equal", &text, LK_PUT, LK_IF_EQUAL, &text, 0, LK_OK, &other},
    {"put if equal, both empty", &none, LK_PUT, LK_IF_EQUAL, &none, 0, LK_OK, &other},
    {"delete if absent, absent", NULL, LK_DELETE, LK_IF_ABSENT, &none, 0, LK_OK, NULL},
    {"delete if absent, present", &text, LK_DELETE, LK_IF_ABSENT, &none, 0, LK_EXISTS, &text},
    {"delete if present, absent", NULL, LK_DELETE, LK_IF_PRESENT, &none, 0, LK_NOT_FOUND, NULL},
    {"delete if equal, another", &text, LK_DELETE, LK_IF_EQUAL, &other, 0, LK_RACE, &text},
    {"delete if equal, equal", &text, LK_DELETE, LK_IF_EQUAL, &text, 0, LK_OK, NULL},
    {"touch, absent", NULL, LK_TOUCH, LK_ALWAYS, &none, 0, LK_NOT_FOUND, NULL},
    {"touch, present", &text, LK_TOUCH, LK_ALWAYS, &none, 0, LK_OK, &text},
    {"touch if absent, absent", NULL, LK_TOUCH, LK_IF_ABSENT, &none, 0, LK_NOT_FOUND, NULL},
    {"touch if equal, another", &text, LK_TOUCH, LK_IF_EQUAL, &other, 0, LK_RACE, &text},
    {"touch if equal, absent", NULL, LK_TOUCH, LK_IF_EQUAL, &none, 0, LK_RACE, NULL},
    {"touch if equal, equal", &text, LK_TOUCH, LK_IF_EQUAL, &text, 0, LK_OK, &text},
    {"add, absent", NULL, LK_ADD, LK_ALWAYS, &none, 2, LK_OK, &two},
    {"add, present", &one, LK_ADD, LK_ALWAYS, &none, 2, LK_OK, &three},
    {"add, below zero", &one, LK_ADD, LK_ALWAYS, &none, -3, LK_OK, &minus_two},
    {"add, another size", &text, LK_ADD, LK_ALWAYS, &none, 1, LK_INVALID, &text},
    {"add, empty", &none, LK_ADD, LK_ALWAYS, &none, 1, LK_INVALID, &none},
    {"add, too much", &largest, LK_ADD, LK_ALWAYS, &none, 1, LK_TOO_BIG, &largest},
    {"add, too little", &minus_two, LK_ADD, LK_ALWAYS, &none, INT64_MIN, LK_TOO_BIG, &minus_two},
    {"add if absent, another size", &text, LK_ADD, LK_IF_ABSENT, &none, 1, LK_EXISTS, &text},
    {"add if present, absent", NULL, LK_ADD, LK_IF_PRESENT, &none, 1, LK_NOT_FOUND, NULL},
    {"add if equal, equal", &one, LK_ADD, LK_IF_EQUAL, &one, 1, LK_OK, &two},
};

static const lk_key the_key = {{"p", 1}, {"s", 1}};
static const int64_t before_ms = KIT_START_MS + 500, after_ms = KIT_START_MS + 900;

static bool
key_holds(lk_key key, const lk_bytes *data, int64_t expires_at_ms)
{
    lk_status status = lk_get(k.db, key, k.result);
    const lk_item *item = lk_result_item(k.result, 0);
    return data == NULL ? status == LK_NOT_FOUND
                        : status == LK_OK && kit_bytes_equal(item->data, *data) &&
                              item->expires_at_ms == expires_at_ms;
}

static void
prepare(const judged *j)
{
    lk_item item = {the_key, j->before != NULL ? *j->before : none, before_ms};
    assert_status(LK_OK, lk_delete(k.db, &the_key, 1));
    if (j->before != NULL)
        assert_status(LK_OK, lk_set(k.db, &item, 1));
}

static lk_write
write_of(const judged *j)
{
    return (lk_write){.kind = j->kind,
                      .item = {the_key, j->kind == LK_PUT ? other : none, after_ms},
                      .condition = j->condition,
                      .expected = *j->expected,
                      .delta = j->delta};
}

/* An add keeps the expiry of what is there, a refused write changes nothing. */
static int64_t
expiry_after(const judged *j)
{
    bool keeps = j->status != LK_OK || (j->kind == LK_ADD && j->before != NULL);
    return keeps ? before_ms : after_ms;
}

#define HOLDS(condition)                             \
    do {                                             \
        if (!(condition))                            \
            fail_msg("%s: %s", j->name, #condition); \
    } while (0)

/* The commit says which write it was, and does nothing else either. `locks`: good ones, of keys
 * that are not written to, and of the key itself. */
static void
commit_check(const judged *j, size_t lock_count)
{
    lk_write writes[3] = {{.kind = LK_PUT, .item = kit_item("p", "beside", "x")},
                          write_of(j),
                          {.kind = LK_PUT, .item = kit_item("q", "beside", "x")}};
    const lk_key keys[4] = {lk_key_of("p", "guard"), lk_key_of("q", "s"), the_key,
                            lk_key_of("p", "z")};
    lk_lock locks[4], as_read[4];
    prepare(j);
    kit_set(&k, "p", "beside", "old");
    for (size_t i = 0; i < lock_count; i++)
        as_read[i] = locks[i] = kit_lock(&k, keys[i]);
    lk_conflict conflict = {77, 77, 77};
    HOLDS(lk_commit(db, writes, 3, locks, lock_count, &conflict) == j->status);
    HOLDS(key_holds(the_key, j->after, expiry_after(j)));
    HOLDS(kit_holds(&k, lk_key_of("p", "beside"), j->status == LK_OK ? "x" : "old"));
    if (j->status == LK_OK)
        HOLDS(conflict.index == 77 && conflict.current_version == 77 && conflict.write == 77);
    else
        HOLDS(conflict.index == SIZE_MAX && conflict.current_version == 0 && conflict.write == 1);
    for (size_t i = 0; i < lock_count; i++)
        HOLDS((locks[i].version == as_read[i].version) == (j->status != LK_OK));
    if (lock_count != 0)
        HOLDS(lk_commit(db, NULL, 0, locks, 1, NULL) == LK_OK); /* goes on without reading */
}

/* A stale lock comes before a condition that does not hold. */
static void
stale_check(const judged *j)
{
    lk_write write = write_of(j);
    prepare(j);
    lk_lock locks[2] = {kit_lock(&k, lk_key_of("p", "guard")),
                        kit_lock(&k, lk_key_of("q", "guard"))};
    lk_lock stale = locks[1];
    assert_status(LK_OK, lk_commit(k.db, NULL, 0, &locks[1], 1, NULL));
    lk_conflict conflict = {77, 77, 77};
    uint64_t current = locks[1].version;
    locks[1] = stale;
    HOLDS(lk_commit(db, &write, 1, locks, 2, &conflict) == LK_RACE);
    HOLDS(conflict.index == 1 && conflict.write == SIZE_MAX && conflict.current_version == current);
    HOLDS(key_holds(the_key, j->before, before_ms));
    HOLDS(locks[1].version == stale.version);
}

static void
single_check(const judged *j)
{
    int64_t value = 12345;
    lk_write write = write_of(j);
    prepare(j);
    if (j->kind == LK_PUT)
        HOLDS(lk_put_if(db, &write.item, j->condition, *j->expected) == j->status);
    else if (j->kind == LK_TOUCH && j->condition == LK_ALWAYS)
        HOLDS(lk_touch(db, the_key, after_ms) == j->status);
    else if (j->kind == LK_ADD && j->condition == LK_ALWAYS)
        HOLDS(lk_add(db, the_key, j->delta, after_ms, &value) == j->status);
    else
        return;
    HOLDS(key_holds(the_key, j->after, expiry_after(j)));
    int64_t read = 12345;
    if (j->kind == LK_ADD && j->status == LK_OK)
        memcpy(&read, lk_result_item(k.result, 0)->data.data, sizeof read);
    HOLDS(value == read);
}

static void
table_check(void)
{
    for (size_t i = 0; i < KIT_COUNT(table); i++) {
        single_check(&table[i]);
        for (size_t lock_count = 0; lock_count < 5; lock_count++)
            commit_check(&table[i], lock_count);
        stale_check(&table[i]);
    }
}

static void
test_write_that_is_put_together_says_what_its_key_says(void **state)
{
    (void)state;
    rig_open(0);
    table_check();
    db = passing;
    table_check();
    rig_close();
}

static void
test_write_of_what_has_expired_finds_nothing(void **state)
{
    (void)state;
    int64_t value = 0;
    rig_open(0);
    lk_item item = {the_key, one, KIT_START_MS + 10};
    assert_status(LK_OK, lk_set(k.db, &item, 1));
    kit_advance(&k, 11);
    assert_status(LK_NOT_FOUND, lk_touch(db, the_key, after_ms));
    assert_status(LK_NOT_FOUND, lk_put_if(db, &item, LK_IF_PRESENT, none));
    assert_status(LK_RACE, lk_put_if(db, &item, LK_IF_EQUAL, one));
    assert_status(LK_OK, lk_add(db, the_key, 3, after_ms, &value));
    assert_true(value == 3 && key_holds(the_key, &three, after_ms));
    rig_close();
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

static void
crowd_add(crowd_member *m)
{
    const lk_key keys[2] = {the_key, lk_key_of("p", "once")};
    for (int i = 0; i < 200; i++) {
        int64_t value;
        EXPECT_OK(lk_add(db, keys[0], (int64_t)m->index + 1, 0, &value));
    }
    lk_item item = {keys[1], {&m->index, sizeof m->index}, 0};
    lk_status status = lk_put_if(db, &item, LK_IF_ABSENT, none);
    EXPECT(status == LK_OK || status == LK_EXISTS, status, 0);
    atomic_fetch_add((atomic_int *)m->context, status == LK_OK);
}

static void
test_writes_of_a_crowd_sum_exactly_and_one_is_the_first(void **state)
{
    atomic_int first = 0;
    int64_t value = 0;
    (void)state;
    rig_open(0);
    crowd_run(4, crowd_add, &first);
    assert_true(crowd_is_well());
    assert_int_equal(atomic_load(&first), 1);
    assert_status(LK_OK, lk_add(db, the_key, 0, 0, &value));
    assert_int_equal(value, 200 * (1 + 2 + 3 + 4));
    rig_close();
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

/* ---- what the adapter has ---- */

static void
test_write_is_put_together_of_whatever_reads_there_are(void **state)
{
    (void)state;
    rig_open(LK_HAS_GET_MANY);
    single_check(&table[1]);
    single_check(&table[19]);
    commit_check(&table[20], 2);
    stale_check(&table[1]);
    rig_close();
}

static void
test_write_without_locks_is_unsupported(void **state)
{
    (void)state;
    int64_t value = 7;
    lk_item item = {the_key, one, 0};
    rig_open(LK_HAS_LOCKS | LK_COMMITS_JOBS | LK_COMMITS_RELEASES | LK_LOCKS_ABSENT);
    assert_status(LK_UNSUPPORTED, lk_put_if(db, &item, LK_IF_ABSENT, none));
    assert_status(LK_UNSUPPORTED, lk_touch(db, the_key, 0));
    assert_status(LK_UNSUPPORTED, lk_add(db, the_key, 1, 0, &value));
    assert_true(value == 7 && key_holds(the_key, NULL, 0));
    rig_close();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_that_is_put_together_says_what_its_key_says),
        cmocka_unit_test(test_write_of_what_has_expired_finds_nothing),
        cmocka_unit_test(test_write_is_judged_again_where_its_key_has_changed),
        cmocka_unit_test(test_writes_of_a_crowd_sum_exactly_and_one_is_the_first),
        cmocka_unit_test(test_write_whose_commit_fails_says_so),
        cmocka_unit_test(test_write_beside_a_claim_that_has_lapsed_is_late_and_moves_the_locks),
        cmocka_unit_test(test_write_without_memory_is_not_done),
        cmocka_unit_test(test_write_over_too_many_locks_is_too_big),
        cmocka_unit_test(test_write_is_put_together_of_whatever_reads_there_are),
        cmocka_unit_test(test_write_without_locks_is_unsupported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
