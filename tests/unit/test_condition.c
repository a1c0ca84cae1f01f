/* SPDX-License-Identifier: MIT
 *
 * Writes that ask what is there - conditional puts and deletes, touch, add - alone and in a commit:
 * what is refused and by which write, what stays of lock and expiry, what is left of a refusal.
 */
#include "support/kit.h"

static const lk_bytes none;

static kit *
kit_of(void **state)
{
    return *state;
}

static lk_write
put_if(const char *sk, const char *data, lk_condition condition, const char *expected)
{
    return (lk_write){.kind = LK_PUT,
                      .item = kit_item("p", sk, data),
                      .condition = condition,
                      .expected = lk_string(expected)};
}

static lk_write
add(const char *sk, int64_t delta)
{
    return (lk_write){.kind = LK_ADD, .item = {.key = lk_key_of("p", sk)}, .delta = delta};
}

static void
number_set(kit *k, const char *sk, int64_t number, int64_t expires_at_ms)
{
    lk_item item = {.key = lk_key_of("p", sk), .expires_at_ms = expires_at_ms};
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)number >> 8 * i);
    item.data = (lk_bytes){bytes, sizeof bytes};
    assert_status(LK_OK, lk_set(k->db, &item, 1));
}

static int64_t
number_get(kit *k, const char *sk)
{
    unsigned char bytes[8];
    size_t size;
    uint64_t number = 0;
    assert_status(LK_OK, lk_get_into(k->db, lk_key_of("p", sk), bytes, sizeof bytes, &size));
    assert_int_equal(size, 8);
    for (int i = 0; i < 8; i++)
        number |= (uint64_t)bytes[i] << 8 * i;
    return (int64_t)number;
}

static int64_t
expiry_get(kit *k, lk_key key)
{
    assert_status(LK_OK, lk_get(k->db, key, k->result));
    return lk_result_item(k->result, 0)->expires_at_ms;
}

/* Each condition, of an item that is there, one that never was, one that is gone, one that has
 * expired, and of a lock alone. */
static void
test_conditions_judge_the_live_item(void **state)
{
    kit *k = kit_of(state);
    static const char *const sk[] = {"there", "never", "gone", "expired", "lock"};
    for (size_t i = 0; i < KIT_COUNT(sk); i++) {
        for (int commit = 0; commit < 2; commit++) {
            lk_item item = kit_item("p", sk[i], "old"), next = kit_item("p", sk[i], "new");
            lk_lock lock = {.version = 0};
            item.expires_at_ms = i == 3 ? k->now_ms : 0;
            assert_status(LK_OK, lk_delete(k->db, &item.key, 1));
            if (i == 0 || i == 2 || i == 3)
                assert_status(LK_OK, lk_set(k->db, &item, 1));
            if (i == 2)
                assert_status(LK_OK, lk_delete(k->db, &item.key, 1));
            if (i == 4)
                lock = kit_lock(k, item.key);
            kit_advance(k, 1);
            const struct {
                lk_condition condition;
                const char *expected;
                lk_status live, absent;
            } cases[] = {
                {LK_IF_PRESENT, "", LK_OK, LK_NOT_FOUND}, {LK_IF_EQUAL, "other", LK_RACE, LK_RACE},
                {LK_IF_EQUAL, "", LK_RACE, LK_RACE},      {LK_IF_EQUAL, "ne", LK_RACE, LK_RACE},
                {LK_IF_EQUAL, "new", LK_OK, LK_RACE},     {LK_IF_ABSENT, "", LK_EXISTS, LK_OK}};
            for (size_t c = 0; c < KIT_COUNT(cases); c++) {
                lk_status wanted = i == 0 ? cases[c].live : cases[c].absent;
                lk_write write = put_if(sk[i], "new", cases[c].condition, cases[c].expected);
                lk_conflict conflict = {7, 7, 7};
                if (commit)
                    assert_status(wanted, lk_commit(k->db, &write, 1, NULL, 0, &conflict));
                else
                    assert_status(wanted, lk_put_if(k->db, &next, write.condition, write.expected));
                if (commit && wanted != LK_OK)
                    assert_true(conflict.index == SIZE_MAX && conflict.current_version == 0 &&
                                conflict.write == 0);
                else
                    assert_true(conflict.index == 7 && conflict.write == 7);
            }
            assert_true(kit_holds(k, item.key, "new"));
            if (i == 4)
                assert_int_equal(kit_lock(k, item.key).version, lock.version);
        }
    }
}

/* Alone and in a commit: the lowest index, locks first, and nothing happens. */
static void
test_first_refused_write_is_told(void **state)
{
    kit *k = kit_of(state);
    kit_set(k, "p", "b", "there");
    kit_set(k, "p", "text", "no number");
    number_set(k, "most", INT64_MAX, 0);
    lk_lock stale = kit_lock(k, lk_key_of("p", "lock")), good = stale;
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &good, 1, NULL));
    lk_write touch = {.kind = LK_TOUCH, .item = {.key = lk_key_of("p", "nothing")}};
    lk_write erase = {.kind = LK_DELETE,
                      .item = {.key = lk_key_of("p", "b")},
                      .condition = LK_IF_EQUAL,
                      .expected = lk_string("else")};
    const struct {
        lk_write refused;
        lk_status status;
    } cases[] = {{put_if("b", "x", LK_IF_ABSENT, ""), LK_EXISTS},
                 {put_if("c", "x", LK_IF_PRESENT, ""), LK_NOT_FOUND},
                 {put_if("b", "x", LK_IF_EQUAL, "x"), LK_RACE},
                 {erase, LK_RACE},
                 {touch, LK_NOT_FOUND},
                 {add("text", 1), LK_INVALID},
                 {add("most", 1), LK_TOO_BIG}};
    for (size_t c = 0; c < KIT_COUNT(cases); c++)
        for (size_t at = 0; at < 3; at++) {
            lk_write writes[4] = {put_if("a", "x", LK_ALWAYS, ""), add("n", 1),
                                  put_if("d", "x", LK_IF_ABSENT, "")};
            lk_conflict conflict;
            writes[3] = put_if("z", "x", LK_IF_PRESENT, ""); /* refused as well, but behind */
            writes[at] = cases[c].refused;
            assert_status(cases[c].status, lk_commit(k->db, writes, 4, &good, 1, &conflict));
            assert_true(conflict.index == SIZE_MAX && conflict.current_version == 0);
            assert_true(conflict.write == at);
            assert_status(LK_RACE, lk_commit(k->db, writes, 4, &stale, 1, &conflict));
            assert_true(conflict.index == 0 && conflict.write == SIZE_MAX);
            assert_true(conflict.current_version == good.version);
            writes[3] = writes[at];
            assert_status(LK_INVALID, lk_commit(k->db, writes, 4, &good, 1, NULL));
        }
    assert_true(kit_holds(k, lk_key_of("p", "a"), NULL) && kit_holds(k, lk_key_of("p", "n"), NULL));
    assert_true(kit_holds(k, lk_key_of("p", "d"), NULL) &&
                kit_holds(k, lk_key_of("p", "b"), "there"));
    assert_true(kit_lock(k, good.key).version == good.version);
}

/* A claim that is lost, before and behind a condition that does not hold. */
static void
test_refused_write_of_a_queue_has_its_index(void **state)
{
    kit *k = kit_of(state);
    lk_item job = kit_item("q", "", "job");
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    pull.pk = job.key.pk;
    assert_status(LK_OK, lk_queue_push(k->db, &job, 1, NULL, NULL));
    assert_status(LK_OK, lk_queue_pull(k->db, &pull, k->result));
    lk_claim claim = *lk_result_claim(k->result, 0);
    assert_status(LK_OK, lk_queue_acknowledge(k->db, &claim, 1));
    lk_write acknowledge = {.kind = LK_ACKNOWLEDGE, .claim = &claim};
    for (int form = 0; form < 2; form++) {
        lk_write writes[3] = {put_if("a", "x", LK_IF_ABSENT, "")};
        lk_conflict conflict;
        writes[form == 0 ? 1 : 2] = acknowledge;
        writes[form == 0 ? 2 : 1] = put_if("b", "x", LK_IF_PRESENT, "");
        assert_status(form == 0 ? LK_LOST : LK_NOT_FOUND,
                      lk_commit(k->db, writes, 3, NULL, 0, &conflict));
        assert_true(conflict.write == 1 && conflict.index == SIZE_MAX);
    }
    assert_true(kit_holds(k, lk_key_of("p", "a"), NULL));
}

/* A refused write of a key that nobody has leaves nothing behind, and a lock is not made. */
static void
test_refusals_make_no_cells(void **state)
{
    kit *k = kit_of(state);
    for (uint64_t i = 0; i < 1000; i++) {
        lk_key key = kit_numbered("new", i);
        lk_item item = {.key = key, .data = lk_string("x")};
        lk_write writes[2] = {
            {.kind = LK_TOUCH, .item = {.key = key}},
            {.kind = LK_DELETE, .item = {.key = key}, .condition = LK_IF_PRESENT}};
        assert_status(LK_NOT_FOUND, lk_put_if(k->db, &item, LK_IF_PRESENT, none));
        assert_status(LK_RACE, lk_put_if(k->db, &item, LK_IF_EQUAL, none));
        assert_status(LK_NOT_FOUND, lk_touch(k->db, key, 0));
        for (int w = 0; w < 2; w++)
            assert_status(LK_NOT_FOUND, lk_commit(k->db, &writes[w], 1, NULL, 0, NULL));
    }
    assert_int_equal(kit_statistics(k).cells, 0);
    assert_int_equal(kit_statistics(k).sets, 0);
}

static void
test_sums_and_their_bounds(void **state)
{
    kit *k = kit_of(state);
    lk_key key = lk_key_of("p", "n");
    int64_t value = 77;
    assert_status(LK_OK, lk_add(k->db, key, INT64_MIN, 0, &value));
    assert_true(value == INT64_MIN && number_get(k, "n") == INT64_MIN);
    assert_status(LK_TOO_BIG, lk_add(k->db, key, -1, 0, &value));
    assert_true(value == INT64_MIN && number_get(k, "n") == INT64_MIN);
    assert_status(LK_OK, lk_add(k->db, key, INT64_MAX, 0, &value));
    assert_true(value == -1);
    assert_status(LK_OK, lk_add(k->db, key, 0x0102030405060709, 0, NULL));
    assert_int_equal(number_get(k, "n"), 0x0102030405060708);
    number_set(k, "n", INT64_MAX, 0);
    assert_status(LK_TOO_BIG, lk_add(k->db, key, 1, 0, &value));
    assert_status(LK_OK, lk_add(k->db, key, 0, 0, &value));
    assert_true(value == INT64_MAX);
    static const char bytes[9] = "12345678";
    for (size_t size = 0; size <= 9; size += size == 7 ? 2 : 1) {
        lk_item item = {.key = key, .data = {bytes, size}};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
        value = 77;
        assert_status(LK_INVALID, lk_add(k->db, key, 1, 0, &value));
        assert_true(value == 77 && kit_holds(k, key, NULL) == false);
    }
}

/* Of all ways to write over an item: with and without an expiry, short and long, locked or not,
 * alone and in a commit. */
static void
test_touch_and_add_keep_bytes_lock_and_expiry(void **state)
{
    kit *k = kit_of(state);
    static char bytes[400];
    memset(bytes, 'b', sizeof bytes);
    for (int form = 0; form < 16; form++) {
        bool expires = form & 1, locked = form & 2, large = form & 4, commit = form & 8;
        int64_t until = expires ? k->now_ms + 1000 : 0;
        lk_item item = {.key = lk_key_of("p", "item"), .data = {bytes, large ? 400 : 20}};
        lk_key number = lk_key_of("p", "number");
        lk_lock locks[2] = {{.version = 0}, {.version = 0}};
        item.expires_at_ms = until;
        assert_status(LK_OK, lk_delete(k->db, &item.key, 1));
        assert_status(LK_OK, lk_delete(k->db, &number, 1));
        assert_status(LK_OK, lk_set(k->db, &item, 1));
        number_set(k, "number", 40, until);
        if (locked) {
            locks[0] = kit_lock(k, item.key);
            locks[1] = kit_lock(k, number);
        }
        for (int again = 0; again < 3; again++) {
            int64_t next = again == 1 ? 0 : k->now_ms + 5000 + again, value = 0;
            lk_write writes[2] = {
                {.kind = LK_TOUCH, .item = {.key = item.key, .expires_at_ms = next}},
                {.kind = LK_ADD, .item = {.key = number, .expires_at_ms = next}, .delta = 2}};
            if (commit) {
                assert_status(LK_OK, lk_commit(k->db, writes, 2, NULL, 0, NULL));
            } else {
                assert_status(LK_OK, lk_touch(k->db, item.key, next));
                assert_status(LK_OK, lk_add(k->db, number, 2, next, &value));
                assert_int_equal(value, 42 + 2 * again);
            }
            assert_int_equal(expiry_get(k, item.key), next);
            assert_true(kit_bytes_equal(lk_result_item(k->result, 0)->data, item.data));
            assert_int_equal(expiry_get(k, number), until);
            assert_int_equal(number_get(k, "number"), 42 + 2 * again);
        }
        if (locked) {
            assert_true(kit_lock(k, item.key).version == locks[0].version);
            assert_true(kit_lock(k, number).version == locks[1].version);
            assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, locks, 2, NULL));
        }
    }
}

/* At its expiry an item is there, behind it not: it is not touched, counts as 0, and its lock is
 * over. */
static void
test_touch_never_brings_back_and_add_begins_anew(void **state)
{
    kit *k = kit_of(state);
    for (int commit = 0; commit < 2; commit++) {
        lk_item item = kit_item("p", "session", "data");
        lk_key number = lk_key_of("p", "number");
        int64_t value = 0;
        item.expires_at_ms = k->now_ms + 10;
        assert_status(LK_OK, lk_set(k->db, &item, 1));
        number_set(k, "number", 5, k->now_ms + 10);
        lk_lock lock = kit_lock(k, number);
        kit_advance(k, 10);
        assert_status(LK_OK, lk_touch(k->db, item.key, k->now_ms));
        kit_advance(k, 1);
        lk_write writes[2] = {
            {.kind = LK_TOUCH, .item = {.key = item.key}},
            {.kind = LK_ADD, .item = {.key = number, .expires_at_ms = k->now_ms + 50}, .delta = 3}};
        assert_status(LK_NOT_FOUND, commit ? lk_commit(k->db, writes, 1, NULL, 0, NULL)
                                           : lk_touch(k->db, item.key, 0));
        assert_true(kit_holds(k, item.key, NULL));
        if (commit)
            assert_status(LK_OK, lk_commit(k->db, writes + 1, 1, NULL, 0, NULL));
        else
            assert_status(LK_OK, lk_add(k->db, number, 3, k->now_ms + 50, &value));
        assert_int_equal(number_get(k, "number"), 3);
        assert_int_equal(expiry_get(k, number), k->now_ms + 50);
        assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
        kit_advance(k, 51);
        assert_status(LK_NOT_FOUND, lk_touch(k->db, number, 0));
    }
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).cells, 0);
}

/* Under its own lock, and under another one. */
static void
test_asking_writes_go_with_locks(void **state)
{
    kit *k = kit_of(state);
    lk_lock locks[2] = {kit_lock(k, lk_key_of("p", "n")), kit_lock(k, lk_key_of("p", "other"))};
    for (int64_t i = 1; i < 20; i++) {
        lk_write writes[2] = {add("n", 3),
                              put_if("x", i % 2 ? "odd" : "even",
                                     i == 1 ? LK_IF_ABSENT : LK_IF_EQUAL, i % 2 ? "even" : "odd")};
        uint64_t before = locks[0].version;
        assert_status(LK_OK, lk_commit(k->db, writes, 2, locks, 2, NULL));
        assert_true(locks[0].version > before && number_get(k, "n") == 3 * i);
        assert_true(kit_lock(k, locks[0].key).version == locks[0].version);
    }
    lk_write erase = {.kind = LK_DELETE, .item = {.key = locks[0].key}, .condition = LK_IF_PRESENT};
    assert_status(LK_OK, lk_commit(k->db, &erase, 1, locks, 2, NULL));
    assert_int_equal(locks[0].version, 0);
    assert_true(kit_holds(k, locks[0].key, NULL));
}

/* What is written over a job leaves it the job that it is. */
static void
test_job_of_a_key_stays_one(void **state)
{
    kit *k = kit_of(state);
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    for (int generated = 0; generated < 2; generated++) {
        unsigned char zero[8] = {0};
        lk_item job = {.key = lk_key_of("q", generated ? "" : "own"), .data = {zero, 8}};
        lk_result *pushed = lk_result_new();
        assert_status(LK_OK, lk_queue_push(k->db, &job, 1, NULL, pushed));
        lk_key key = lk_result_item(pushed, 0)->key;
        int64_t value = 0;
        assert_status(LK_OK, lk_add(k->db, key, 7, 0, &value));
        assert_status(LK_OK, lk_touch(k->db, key, k->now_ms + 1000));
        lk_item item = {.key = key, .data = lk_string("new")};
        lk_bytes expected = {"\7\0\0\0\0\0\0\0", 8};
        assert_status(LK_EXISTS, lk_put_if(k->db, &item, LK_IF_ABSENT, none));
        assert_int_equal(expiry_get(k, key), k->now_ms + 1000);
        pull.pk = key.pk;
        assert_status(LK_OK, lk_queue_pull(k->db, &pull, k->result));
        assert_true(kit_bytes_equal(lk_result_item(k->result, 0)->data, expected));
        lk_claim claim = *lk_result_claim(k->result, 0);
        assert_status(LK_OK, lk_put_if(k->db, &item, LK_IF_EQUAL, expected));
        assert_true(kit_holds(k, key, "new"));
        lk_write erase = {.kind = LK_DELETE, .item = item, .condition = LK_IF_EQUAL};
        erase.expected = item.data;
        assert_status(LK_OK, lk_commit(k->db, &erase, 1, NULL, 0, NULL));
        assert_status(LK_LOST, lk_queue_acknowledge(k->db, &claim, 1));
        assert_status(LK_EMPTY, lk_queue_pull(k->db, &pull, k->result));
        lk_result_free(pushed);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_conditions_judge_the_live_item),
        TEST(test_first_refused_write_is_told),
        TEST(test_refused_write_of_a_queue_has_its_index),
        TEST(test_refusals_make_no_cells),
        TEST(test_sums_and_their_bounds),
        TEST(test_touch_and_add_keep_bytes_lock_and_expiry),
        TEST(test_touch_never_brings_back_and_add_begins_anew),
        TEST(test_asking_writes_go_with_locks),
        TEST(test_job_of_a_key_stays_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
