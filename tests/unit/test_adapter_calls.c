/* SPDX-License-Identifier: MIT
 *
 * What the library puts together for an adapter that lacks it (lk_get_into, lk_get_locked,
 * lk_set_atomic), and what it looks for before a commit: keys that are named twice, jobs where
 * there are no queues.
 */
#include "base/alloc.h"
#include "support/fake.h"

/* ---- a handle over a fake ---- */

typedef struct rig {
    fake f;
    lk_db *db;
    lk_result *result;
} rig;

static const uint64_t composed = LK_HAS_GET_MANY | LK_HAS_LOCKS;

static rig *
rig_open(uint64_t capabilities)
{
    static rig r;
    r = (rig){.f = {.data = {"12345678", 8}}};
    r.db = fake_open(&r.f, capabilities);
    r.result = lk_result_new();
    assert_non_null(r.result);
    return &r;
}

static void
rig_close(rig *r)
{
    lk_close(r->db);
    lk_result_free(r->result);
    assert_int_equal(r->f.closes, 1);
}

static kit_memory memory;

/* The n-th allocation of the library from now on fails; 0: memory is as usual again. */
static void
memory_fail(int64_t nth)
{
    if (nth != 0)
        memset(&memory, 0, sizeof memory);
    kit_memory_fail(&memory, nth, false);
    if (nth != 0)
        lki_default_allocator = (lki_allocator){kit_allocate, kit_deallocate, &memory, NULL, NULL};
    else
        lki_default_allocator = (lki_allocator){0};
}

static const lk_key key_a = {{"p", 1}, {"a", 1}}, key_b = {{"p", 1}, {"b", 1}};

/* ---- lk_get_into ---- */

static void
test_get_into_that_is_put_together_without_memory_touches_nothing(void **state)
{
    (void)state;
    rig *r = rig_open(0);
    int failures = 0;
    lk_status status = LK_NO_MEMORY;
    for (int64_t nth = 1; status != LK_OK; nth++) {
        char buffer[8];
        size_t size = 99;
        lkc_fill(buffer, sizeof buffer);
        memory_fail(nth);
        status = lk_get_into(r->db, key_a, buffer, sizeof buffer, &size);
        memory_fail(0);
        assert_false(atomic_load(&memory.broken));
        assert_int_equal(atomic_load(&memory.blocks), 0);
        if (status == LK_OK)
            break;
        assert_status(LK_NO_MEMORY, status);
        assert_true(size == 99 && lkc_is_filled(buffer, sizeof buffer));
        failures++;
    }
    assert_true(failures >= 3);
    rig_close(r);
}

/* ---- lk_get_locked ---- */

static void
test_get_locked_that_is_put_together_reads_each_lock_before_its_item(void **state)
{
    (void)state;
    rig *r = rig_open(composed);
    lk_key keys[3] = {key_a, key_b, key_a};
    lk_lock locks[3];
    assert_status(LK_OK, lk_get_locked(r->db, keys, 3, locks, r->result));
    assert_string_equal(r->f.order, "lllm");
    assert_int_equal(lk_result_count(r->result), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(locks[i].version == 100 + i && locks[i].expires_at_ms == 200 + (int64_t)i);
        assert_true(locks[i].key.pk.data == keys[i].pk.data &&
                    locks[i].key.sk.data == keys[i].sk.data);
        assert_true(lkc_equal(lk_result_item(r->result, i)->key.sk, keys[i].sk));
    }
    assert_status(LK_OK, lk_get_locked(r->db, NULL, 0, NULL, r->result));
    assert_int_equal(lk_result_count(r->result), 0);
    assert_status(LK_INVALID, lk_get_locked(r->db, keys, 1, NULL, r->result));
    assert_status(LK_INVALID, lk_get_locked(r->db, keys, 1, locks, NULL));
    assert_status(LK_INVALID, lk_get_locked(r->db, NULL, 1, locks, r->result));
    rig_close(r);
}

static void
test_get_locked_that_fails_at_any_lock_touches_nothing(void **state)
{
    (void)state;
    for (int at = 0; at < 4; at++) { /* the last one: of get_many */
        rig *r = rig_open(composed);
        lk_key keys[3] = {key_a, key_b, key_a};
        lk_lock locks[3];
        assert_status(LK_OK, lk_get(r->db, key_b, r->result));
        r->f.calls = 0;
        lkc_fill(locks, sizeof locks);
        r->f.scripted = true;
        if (at < 3)
            r->f.script[at] = LK_BUSY;
        else
            r->f.answer = LK_BUSY; /* get_lock has its script */
        assert_status(LK_BUSY, lk_get_locked(r->db, keys, 3, locks, r->result));
        assert_true(lkc_is_filled(locks, sizeof locks));
        assert_int_equal(lk_result_count(r->result), 1);
        assert_int_equal(r->f.calls, at + 1);
        rig_close(r);
    }
}

static void
test_get_locked_that_is_put_together_without_memory_touches_nothing(void **state)
{
    (void)state;
    rig *r = rig_open(composed);
    int failures = 0;
    lk_status status = LK_NO_MEMORY;
    for (int64_t nth = 1; status != LK_OK; nth++) {
        lk_lock locks[2];
        lk_key keys[2] = {key_a, key_b};
        lkc_fill(locks, sizeof locks);
        memory_fail(nth);
        lk_result *result = lk_result_new();
        status = result == NULL ? LK_NO_MEMORY : lk_get_locked(r->db, keys, 2, locks, result);
        size_t count = lk_result_count(result);
        lk_result_free(result);
        memory_fail(0);
        assert_false(atomic_load(&memory.broken));
        assert_int_equal(atomic_load(&memory.blocks), 0);
        if (status != LK_OK) {
            assert_status(LK_NO_MEMORY, status);
            assert_true(count == 0 && lkc_is_filled(locks, sizeof locks));
            failures++;
        }
    }
    assert_true(failures >= 4);
    rig_close(r);
}

/* ---- lk_set_atomic ---- */

static void
test_set_atomic_that_is_put_together_is_a_commit_of_puts(void **state)
{
    (void)state;
    rig *r = rig_open(LK_HAS_LOCKS);
    lk_item items[2] = {{key_a, {"1", 1}, 11}, {key_b, {"22", 2}, 0}};
    lk_lock locks[2] = {{key_a, 5, 50}, {key_b, 7, 70}};
    assert_status(LK_OK, lk_set_atomic(r->db, items, 2, locks, 2, NULL));
    assert_string_equal(r->f.order, "c");
    assert_true(r->f.write_count == 2 && r->f.lock_count == 2 && r->f.locks == locks);
    for (size_t i = 0; i < 2; i++) {
        const lk_write *write = &r->f.writes[i];
        assert_true(write->kind == LK_PUT && write->claim == NULL);
        assert_memory_equal(&write->item, &items[i], sizeof items[i]);
    }
    assert_true(locks[0].version == 6 && locks[1].version == 8);
    assert_false(r->f.optional_is_null);

    lk_conflict conflict;
    r->f.answer = LK_RACE;
    assert_status(LK_RACE, lk_set_atomic(r->db, items, 2, locks, 2, &conflict));
    assert_true(conflict.index == 1 && conflict.current_version == 77);
    assert_status(LK_RACE, lk_set_atomic(r->db, items, 2, locks, 2, NULL));
    assert_status(LK_RACE, lk_set_atomic(r->db, NULL, 0, locks, 1, NULL));
    assert_status(LK_INVALID, lk_set_atomic(r->db, items, 2, locks, 0, NULL));
    assert_status(LK_INVALID, lk_set_atomic(r->db, NULL, 1, locks, 1, NULL));
    assert_false(r->f.optional_is_null);
    rig_close(r);
}

static void
test_set_atomic_of_its_own_is_used_where_there_is_one(void **state)
{
    (void)state;
    rig *r = rig_open(0);
    lk_operations operations = fake_operations_of(LK_HAS_LOCKS);
    operations.set_atomic = fake_operations.set_atomic;
    operations.get_locked = fake_operations.get_locked; /* without get_many, too */
    lk_db *db = fake_open_with(&r->f, &operations, LK_HAS_LOCKS);
    lk_item items[2] = {{.key = key_a}, {.key = key_a}};
    lk_lock lock = {.key = key_a};
    assert_status(LK_OK, lk_set_atomic(db, items, 1, &lock, 1, NULL));
    lkc_fill(&lock, sizeof lock);
    assert_status(LK_OK, lk_get_locked(db, &key_b, 1, &lock, r->result));
    assert_string_equal(r->f.order, "ax");
    assert_true(lock.key.sk.data == key_b.sk.data && lock.key.sk.size == key_b.sk.size);
    lock.key = key_a;
    assert_status(LK_INVALID, lk_set_atomic(db, items, 2, &lock, 1, NULL));
    assert_string_equal(r->f.order, "ax");
    assert_false(r->f.optional_is_null);
    lk_close(db);
    r->f.closes = 0;
    rig_close(r);
}

static void
test_commit_without_memory_for_its_looks_reaches_no_operation(void **state)
{
    (void)state;
    rig *r = rig_open(LK_HAS_LOCKS);
    lk_item items[2] = {{.key = key_a}, {.key = key_b}};
    lk_write writes[2] = {{.item = items[0]}, {.item = items[1]}};
    lk_lock locks[2] = {{.key = key_a, .version = 1}, {.key = key_b, .version = 1}};
    int failures = 0;
    for (int which = 0; which < 2; which++)
        for (int64_t nth = 1;; nth++) {
            int calls = r->f.calls;
            memory_fail(nth);
            lk_status status = which == 0 ? lk_commit(r->db, writes, 2, locks, 2, NULL)
                                          : lk_set_atomic(r->db, items, 2, locks, 2, NULL);
            memory_fail(0);
            assert_int_equal(atomic_load(&memory.blocks), 0);
            if (status == LK_OK)
                break;
            assert_status(LK_NO_MEMORY, status);
            assert_int_equal(r->f.calls, calls);
            failures++;
        }
    assert_int_equal(failures, 3);
    rig_close(r);
}

/* ---- keys that are named twice ---- */

enum { PUT = LK_PUT, DELETE = LK_DELETE, PUSH = LK_PUSH, ACKNOWLEDGE = LK_ACKNOWLEDGE };

static lk_write
write_of(int kind, lk_key key, lk_claim *claim)
{
    *claim = (lk_claim){.key = key, .token = 1};
    lk_write write = {.kind = (lk_write_kind)kind};
    if (kind == LK_ACKNOWLEDGE)
        write.claim = claim;
    else
        write.item.key = key;
    return write;
}

static lk_status
commit_of(rig *r, int first, lk_key first_key, int second, lk_key second_key)
{
    lk_claim claims[3];
    lk_write writes[3] = {write_of(first, first_key, &claims[0]),
                          write_of(PUT, lk_key_of("between", "them"), &claims[1]),
                          write_of(second, second_key, &claims[2])};
    return lk_commit(r->db, writes, 3, NULL, 0, NULL);
}

static void
test_commit_that_names_a_key_twice_is_invalid_whatever_the_writes(void **state)
{
    (void)state;
    rig *r = rig_open(FAKE_ALL);
    const lk_key empty_sk = {{"p", 1}, {NULL, 0}};
    int committed = 0;
    for (int first = PUT; first <= ACKNOWLEDGE; first++)
        for (int second = PUT; second <= ACKNOWLEDGE; second++) {
            assert_status(LK_INVALID, commit_of(r, first, key_a, second, key_a));
            assert_int_equal(r->f.calls, committed);
            assert_status(LK_OK, commit_of(r, first, key_a, second, key_b));
            /* A job without an sk has no key yet. */
            bool jobs = first == PUSH || second == PUSH;
            assert_status(jobs ? LK_OK : LK_INVALID,
                          commit_of(r, first, empty_sk, second, empty_sk));
            committed += 1 + jobs;
        }
    assert_int_equal(r->f.calls, committed);
    rig_close(r);
}

static void
test_commit_of_keys_that_look_alike_is_not_invalid(void **state)
{
    (void)state;
    static const lk_key keys[] = {{{"a:b", 3}, {"c", 1}}, {{"a", 1}, {"b:c", 3}},
                                  {{"a", 1}, {"b\0", 2}}, {{"a", 1}, {"b", 1}},
                                  {{"ab", 2}, {NULL, 0}}, {{"a", 1}, {NULL, 0}},
                                  {{"a\0", 2}, {"b", 1}}, {{"\xff", 1}, {"b", 1}}};
    rig *r = rig_open(FAKE_ALL);
    lk_write writes[KIT_COUNT(keys)] = {{0}};
    lk_item items[KIT_COUNT(keys)] = {{.expires_at_ms = 0}};
    lk_lock locks[KIT_COUNT(keys)] = {{.version = 0}};
    for (size_t i = 0; i < KIT_COUNT(keys); i++)
        items[i].key = writes[i].item.key = locks[i].key = keys[i];
    assert_status(LK_OK, lk_commit(r->db, writes, KIT_COUNT(keys), locks, KIT_COUNT(keys), NULL));
    assert_status(LK_OK,
                  lk_set_atomic(r->db, items, KIT_COUNT(keys), locks, KIT_COUNT(keys), NULL));
    assert_int_equal(r->f.calls, 2);
    rig_close(r);
}

/* A full commit whose last key is that of its first. `locks`: among the locks, not the items. */
static void
full_commit(rig *r, size_t count, bool locks_too, bool twin, lk_status wanted)
{
    static char sks[LK_COMMIT_MAX + 1][8];
    static lk_item items[LK_COMMIT_MAX + 1];
    static lk_lock locks[LK_COMMIT_MAX + 1];
    for (size_t i = 0; i < count; i++) {
        snprintf(sks[i], sizeof sks[i], "%zu", (i * 37) % 1025);
        items[i] = (lk_item){.key = lk_key_of("p", sks[i])};
        locks[i] = (lk_lock){.key = items[i].key, .version = 1};
    }
    if (twin && locks_too)
        locks[count - 1].key = locks[0].key;
    else if (twin)
        items[count - 1].key = items[0].key;
    assert_status(wanted, lk_set_atomic(r->db, items, count, locks, locks_too ? count : 1, NULL));
}

static void
test_commit_as_large_as_can_be_finds_its_twins(void **state)
{
    (void)state;
    rig *r = rig_open(LK_HAS_LOCKS);
    for (int locks_too = 0; locks_too < 2; locks_too++) {
        full_commit(r, LK_COMMIT_MAX, locks_too != 0, false, LK_OK);
        full_commit(r, LK_COMMIT_MAX, locks_too != 0, true, LK_INVALID);
        full_commit(r, LK_COMMIT_MAX + 1, locks_too != 0, false, LK_TOO_BIG);
    }
    lk_lock lock = {.key = key_a};
    static lk_write writes[LK_COMMIT_MAX + 1];
    static lk_lock many[LK_COMMIT_MAX + 1];
    assert_status(LK_TOO_BIG, lk_commit(r->db, writes, LK_COMMIT_MAX + 1, &lock, 1, NULL));
    assert_status(LK_TOO_BIG, lk_commit(r->db, NULL, 0, many, LK_COMMIT_MAX + 1, NULL));
    assert_int_equal(r->f.calls, 2);
    rig_close(r);
}

static void
test_commit_whose_item_and_lock_share_a_key_is_not_invalid(void **state)
{
    (void)state;
    rig *r = rig_open(LK_HAS_LOCKS);
    lk_write write = {.kind = LK_DELETE, .item = {.key = key_a}};
    lk_lock locks[2] = {{.key = key_a}, {.key = key_b}},
            twins[2] = {{.key = key_a}, {.key = key_a}};
    assert_status(LK_OK, lk_commit(r->db, &write, 1, locks, 2, NULL));
    assert_status(LK_INVALID, lk_commit(r->db, &write, 1, twins, 2, NULL));
    assert_status(LK_INVALID, lk_commit(r->db, NULL, 0, twins, 2, NULL));
    assert_status(LK_INVALID, lk_commit(r->db, NULL, 0, NULL, 0, NULL));
    assert_int_equal(r->f.calls, 1);
    rig_close(r);
}

static void
test_commit_of_an_adapter_that_finds_twins_gets_them(void **state)
{
    (void)state;
    rig *r = rig_open(LK_HAS_LOCKS | LK_CHECKS_DUPLICATES);
    lk_item items[2] = {{.key = key_a}, {.key = key_a}};
    lk_write writes[2] = {{.item = items[0]}, {.item = items[1]}};
    lk_lock lock = {.key = key_a};
    assert_status(LK_OK, lk_commit(r->db, writes, 2, NULL, 0, NULL));
    assert_status(LK_OK, lk_set_atomic(r->db, items, 2, &lock, 1, NULL));
    assert_string_equal(r->f.order, "cc");
    rig_close(r);
}

/* ---- jobs ---- */

static void
test_commit_of_jobs_without_the_capability_is_unsupported_as_a_whole(void **state)
{
    (void)state;
    rig *r = rig_open(LK_HAS_LOCKS | LK_HAS_QUEUES);
    for (int first = PUT; first <= ACKNOWLEDGE; first++)
        for (int second = PUT; second <= ACKNOWLEDGE; second++) {
            bool jobs = first >= PUSH || second >= PUSH;
            lk_status status = commit_of(r, first, key_a, second, key_b);
            assert_status(jobs ? LK_UNSUPPORTED : LK_OK, status);
        }
    assert_int_equal(r->f.calls, 4);
    lk_write unknown = {.kind = (lk_write_kind)(LK_RELEASE + 1), .item = {.key = key_a}};
    lk_write no_claim = {.kind = LK_ACKNOWLEDGE};
    assert_status(LK_INVALID, lk_commit(r->db, &unknown, 1, NULL, 0, NULL));
    assert_status(LK_INVALID, lk_commit(r->db, &no_claim, 1, NULL, 0, NULL));
    assert_int_equal(r->f.calls, 4);
    rig_close(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_into_that_is_put_together_without_memory_touches_nothing),
        cmocka_unit_test(test_get_locked_that_is_put_together_reads_each_lock_before_its_item),
        cmocka_unit_test(test_get_locked_that_fails_at_any_lock_touches_nothing),
        cmocka_unit_test(test_get_locked_that_is_put_together_without_memory_touches_nothing),
        cmocka_unit_test(test_set_atomic_that_is_put_together_is_a_commit_of_puts),
        cmocka_unit_test(test_set_atomic_of_its_own_is_used_where_there_is_one),
        cmocka_unit_test(test_commit_without_memory_for_its_looks_reaches_no_operation),
        cmocka_unit_test(test_commit_that_names_a_key_twice_is_invalid_whatever_the_writes),
        cmocka_unit_test(test_commit_of_keys_that_look_alike_is_not_invalid),
        cmocka_unit_test(test_commit_as_large_as_can_be_finds_its_twins),
        cmocka_unit_test(test_commit_whose_item_and_lock_share_a_key_is_not_invalid),
        cmocka_unit_test(test_commit_of_an_adapter_that_finds_twins_gets_them),
        cmocka_unit_test(test_commit_of_jobs_without_the_capability_is_unsupported_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
