/* SPDX-License-Identifier: MIT
 *
 * get, get_many, get_into, set, delete, view: what they return, what they say to bad arguments, what they leave untouched.
 */
#include "support/kit.h"

static kit *
kit_of(void **state)
{
    return *state;
}

/* Keys that no call takes. */
static const struct {
    lk_key key;
    lk_status wanted;
} bad_keys[] = {
    {{{NULL, 0}, {NULL, 0}}, LK_INVALID},   {{{"", 0}, {"s", 1}}, LK_INVALID},
    {{{NULL, 1}, {"s", 1}}, LK_INVALID},    {{{"p", 1}, {NULL, 1}}, LK_INVALID},
    {{{NULL, 9999}, {"s", 1}}, LK_INVALID}, {{{"p", 2049}, {"s", 1}}, LK_TOO_BIG},
    {{{"p", 1}, {"s", 1025}}, LK_TOO_BIG},  {{{"p", SIZE_MAX}, {"s", 1}}, LK_TOO_BIG},
};

static void
test_reads_of_bad_keys_say_so_and_touch_nothing(void **state)
{
    kit *k = kit_of(state);
    kit_set(k, "p", "s", "kept");
    assert_true(kit_holds(k, lk_key_of("p", "s"), "kept"));
    for (size_t i = 0; i < KIT_COUNT(bad_keys); i++) {
        lk_key two[2] = {lk_key_of("p", "s"), bad_keys[i].key};
        char buffer[4];
        size_t size;
        lk_item item;
        lk_lock lock[2];
        kit_fill(buffer, sizeof buffer);
        kit_fill(&size, sizeof size);
        kit_fill(&item, sizeof item);
        kit_fill(lock, sizeof lock);
        lk_status wanted = bad_keys[i].wanted;
        assert_status(wanted, lk_get(k->db, two[1], k->result));
        assert_status(wanted, lk_get_many(k->db, two, 2, k->result));
        assert_status(wanted, lk_get_into(k->db, two[1], buffer, sizeof buffer, &size));
        lk_read_begin(k->db);
        assert_status(wanted, lk_view(k->db, two[1], &item));
        lk_read_end(k->db);
        assert_status(wanted, lk_get_lock(k->db, two[1], lock));
        assert_status(wanted, lk_get_locked(k->db, two, 2, lock, k->result));
        assert_status(wanted, lk_delete(k->db, two, 2));
        assert_true(kit_is_filled(buffer, sizeof buffer) && kit_is_filled(&size, sizeof size));
        assert_true(kit_is_filled(&item, sizeof item) && kit_is_filled(lock, sizeof lock));
        assert_int_equal(lk_result_count(k->result), 1);
        assert_true(kit_bytes_are(lk_result_item(k->result, 0)->data, "kept"));
    }
    assert_true(kit_holds(k, lk_key_of("p", "s"), "kept"));
    assert_int_equal(kit_statistics(k).locks_created, 0);
}

static void
test_writes_of_bad_items_say_so_and_write_nothing(void **state)
{
    kit *k = kit_of(state);
    lk_item bad[KIT_COUNT(bad_keys) + 3];
    lk_status wanted[KIT_COUNT(bad)];
    size_t count = 0;
    for (; count < KIT_COUNT(bad_keys); count++) {
        bad[count] = (lk_item){.key = bad_keys[count].key};
        wanted[count] = bad_keys[count].wanted;
    }
    bad[count] = (lk_item){.key = lk_key_of("p", "s"), .expires_at_ms = -1};
    wanted[count++] = LK_INVALID;
    bad[count] = (lk_item){.key = lk_key_of("p", "s"), .data = {NULL, 1}};
    wanted[count++] = LK_INVALID;
    bad[count] = (lk_item){.key = lk_key_of("p", "s"), .data = {"", (16 << 20) + 1}};
    wanted[count++] = LK_TOO_BIG;
    lk_lock lock = kit_lock(k, lk_key_of("l", ""));
    for (size_t i = 0; i < count; i++) {
        lk_item two[2] = {kit_item("good", "one", "x"), bad[i]};
        lk_write writes[2] = {{.item = two[0]}, {.item = two[1]}};
        assert_status(wanted[i], lk_set(k->db, two, 2));
        assert_status(wanted[i], lk_set_atomic(k->db, two, 2, &lock, 1, NULL));
        assert_status(wanted[i], lk_commit(k->db, writes, 2, NULL, 0, NULL));
        assert_true(kit_holds(k, two[0].key, NULL));
    }
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
}

static void
test_calls_with_null_say_invalid(void **state)
{
    kit *k = kit_of(state);
    lk_key key = lk_key_of("p", "s");
    lk_item item = kit_item("p", "s", "x");
    size_t size = 0;
    assert_status(LK_INVALID, lk_get(NULL, key, k->result));
    assert_status(LK_INVALID, lk_get(k->db, key, NULL));
    assert_status(LK_INVALID, lk_get_many(NULL, &key, 1, k->result));
    assert_status(LK_INVALID, lk_get_many(k->db, NULL, 1, k->result));
    assert_status(LK_INVALID, lk_get_many(k->db, &key, 1, NULL));
    assert_status(LK_INVALID, lk_get_into(NULL, key, NULL, 0, &size));
    assert_status(LK_INVALID, lk_get_into(k->db, key, NULL, 1, &size));
    assert_status(LK_INVALID, lk_get_into(k->db, key, NULL, 0, NULL));
    assert_status(LK_INVALID, lk_set(NULL, &item, 1));
    assert_status(LK_INVALID, lk_set(k->db, NULL, 1));
    assert_status(LK_INVALID, lk_delete(NULL, &key, 1));
    assert_status(LK_INVALID, lk_delete(k->db, NULL, 1));
    assert_status(LK_INVALID, lk_view(NULL, key, &item));
    assert_status(LK_INVALID, lk_view(k->db, key, NULL));
    lk_read_begin(NULL);
    lk_read_end(NULL);
}

static void
test_calls_with_count_zero_do_nothing(void **state)
{
    kit *k = kit_of(state);
    assert_status(LK_OK, lk_set(k->db, NULL, 0));
    assert_status(LK_OK, lk_delete(k->db, NULL, 0));
    kit_set(k, "p", "s", "x");
    assert_true(kit_holds(k, lk_key_of("p", "s"), "x"));
    assert_status(LK_OK, lk_get_many(k->db, NULL, 0, k->result));
    assert_int_equal(lk_result_count(k->result), 0);
    assert_status(LK_OK, lk_get_locked(k->db, NULL, 0, NULL, k->result));
    assert_int_equal(lk_result_count(k->result), 0);
}

static void
test_get_of_a_missing_item_leaves_the_result(void **state)
{
    kit *k = kit_of(state);
    kit_set(k, "p", "s", "x");
    assert_true(kit_holds(k, lk_key_of("p", "s"), "x"));
    assert_status(LK_NOT_FOUND, lk_get(k->db, lk_key_of("p", "t"), k->result));
    assert_int_equal(lk_result_count(k->result), 1);
    assert_true(kit_bytes_are(lk_result_item(k->result, 0)->data, "x"));
}

/* Keys of 8 to 16 bytes each are read in a way of their own. */
static void
test_set_of_each_size_is_read_back(void **state)
{
    kit *k = kit_of(state);
    static unsigned char data[70000], buffer[70000];
    static const char *const keys[][2] = {{"p", "s"}, {"partition", "sort key"}};
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 131 + i / 251);
    for (size_t size = 0; size < sizeof data; size = size < 300 ? size + 1 : size * 3 / 2) {
        for (unsigned i = 0; i < 4; i++) {
            lk_item item = {.key = lk_key_of(keys[i / 2][0], keys[i / 2][1]),
                            .data = {data, size},
                            .expires_at_ms = i % 2 ? INT64_MAX : 0};
            assert_status(LK_OK, lk_set(k->db, &item, 1));
            assert_status(LK_OK, lk_get(k->db, item.key, k->result));
            assert_true(kit_bytes_equal(lk_result_item(k->result, 0)->data, item.data));
            assert_true(lk_result_item(k->result, 0)->expires_at_ms == item.expires_at_ms);
            size_t got = 0;
            memset(buffer, 0xa5, size + 1);
            assert_status(LK_OK, lk_get_into(k->db, item.key, buffer, sizeof buffer, &got));
            assert_true(got == size && memcmp(buffer, data, size) == 0 && buffer[size] == 0xa5);
        }
    }
    lk_statistics s = kit_statistics(k); /* no read has left its section open */
    assert_int_equal(s.oldest_reader_thread, 0);
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).retired_bytes, 0);
}

static void
test_keys_that_differ_in_one_byte_or_in_the_border_are_apart(void **state)
{
    kit *k = kit_of(state);
    static const lk_key keys[] = {
        {{"a:b", 3}, {"c", 1}}, {{"a", 1}, {"b:c", 3}},     {{"a:bc", 4}, {"", 0}},
        {{"a", 1}, {":bc", 3}}, {{"\0", 1}, {"", 0}},       {{"\0", 1}, {"\0", 1}},
        {{"\0\0", 2}, {"", 0}}, {{"\0\0\0", 3}, {NULL, 0}}, {{"\0", 1}, {"\0\0", 2}},
        {{"\xff", 1}, {"", 0}}, {{"\xff\xff", 2}, {"", 0}}, {{"\xff", 1}, {"\xff", 1}},
    };
    for (size_t i = 0; i < KIT_COUNT(keys); i++) {
        lk_item item = {.key = keys[i], .data = {&i, sizeof i}};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
    assert_status(LK_OK, lk_get_many(k->db, keys, KIT_COUNT(keys), k->result));
    for (size_t i = 0; i < KIT_COUNT(keys); i++) {
        const lk_item *item = lk_result_item(k->result, i);
        assert_true(item != NULL && kit_bytes_equal(item->key.pk, keys[i].pk) &&
                    kit_bytes_equal(item->key.sk, keys[i].sk));
        assert_memory_equal(item->data.data, &i, sizeof i);
    }
    assert_int_equal(kit_statistics(k).cells, KIT_COUNT(keys));
}

static void
test_set_of_one_key_twice_in_a_batch_keeps_the_last(void **state)
{
    kit *k = kit_of(state);
    lk_item items[3] = {kit_item("p", "s", "1"), kit_item("p", "s", "2"), kit_item("p", "s", "3")};
    assert_status(LK_OK, lk_set(k->db, items, 3));
    assert_true(kit_holds(k, items[0].key, "3"));
}

static void
test_get_many_with_holes_and_repetitions_answers_each_position(void **state)
{
    kit *k = kit_of(state);
    kit_set(k, "p", "a", "A");
    kit_set(k, "p", "b", "B");
    lk_key keys[] = {lk_key_of("p", "b"), lk_key_of("p", "x"), lk_key_of("p", "a"),
                     lk_key_of("p", "b"), lk_key_of("q", "b"), lk_key_of("p", "x")};
    const char *wanted[] = {"B", NULL, "A", "B", NULL, NULL};
    assert_status(LK_OK, lk_get_many(k->db, keys, KIT_COUNT(keys), k->result));
    assert_int_equal(lk_result_count(k->result), KIT_COUNT(keys));
    for (size_t i = 0; i < KIT_COUNT(keys); i++) {
        const lk_item *item = lk_result_item(k->result, i);
        assert_true((item == NULL) == (wanted[i] == NULL));
        assert_true(item == NULL || kit_bytes_are(item->data, wanted[i]));
    }
}

static void
test_get_many_of_thousands_answers_each_position(void **state)
{
    kit *k = kit_of(state);
    enum { COUNT = 5000 };
    static char sk[COUNT][12];
    static lk_key keys[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(sk[i], sizeof sk[i], "%zu", i);
        keys[i] = lk_key_of("p", sk[i]);
        if (i % 3 != 0)
            kit_set(k, "p", sk[i], sk[i]);
    }
    assert_status(LK_OK, lk_get_many(k->db, keys, COUNT, k->result));
    assert_int_equal(lk_result_count(k->result), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const lk_item *item = lk_result_item(k->result, i);
        assert_true(i % 3 == 0 ? item == NULL : item != NULL && kit_bytes_are(item->data, sk[i]));
    }
}

static void
test_reads_take_their_keys_from_the_result_that_they_fill(void **state)
{
    kit *k = kit_of(state);
    static char large[5000];
    memset(large, 'x', sizeof large - 1);
    kit_set(k, "p", "a", "small");
    kit_set(k, "p", "b", large);
    lk_key keys[2] = {lk_key_of("p", "a"), lk_key_of("p", "b")};
    for (int round = 0; round < 3; round++) {
        assert_status(LK_OK, lk_get(k->db, keys[0], k->result));
        assert_status(LK_OK, lk_get(k->db, lk_result_item(k->result, 0)->key, k->result));
        assert_true(kit_bytes_are(lk_result_item(k->result, 0)->data, "small"));
        assert_status(LK_OK, lk_get_many(k->db, keys, 2, k->result));
        lk_key inside[8];
        for (size_t i = 0; i < 8; i++)
            inside[i] = lk_result_item(k->result, i % 2)->key;
        assert_status(LK_OK, lk_get_many(k->db, inside, 8, k->result)); /* it has to grow */
        assert_int_equal(lk_result_count(k->result), 8);
        assert_true(kit_bytes_are(lk_result_item(k->result, 6)->data, "small"));
        assert_true(kit_bytes_are(lk_result_item(k->result, 7)->data, large));
        lk_item again = *lk_result_item(k->result, 7);
        assert_status(LK_OK, lk_set(k->db, &again, 1));
        assert_status(LK_OK, lk_get(k->db, again.key, k->result));
        assert_true(kit_bytes_are(lk_result_item(k->result, 0)->data, large));
    }
}

static void
test_get_into_of_each_capacity(void **state)
{
    kit *k = kit_of(state);
    char buffer[8];
    size_t size = 0;
    kit_set(k, "p", "s", "12345");
    kit_set(k, "p", "empty", "");
    for (size_t capacity = 0; capacity <= sizeof buffer; capacity++) {
        kit_fill(buffer, sizeof buffer);
        size = 99;
        assert_status(capacity < 5 ? LK_TOO_SMALL : LK_OK,
                      lk_get_into(k->db, lk_key_of("p", "s"), buffer, capacity, &size));
        assert_int_equal(size, 5);
        assert_true(capacity < 5 ? kit_is_filled(buffer, sizeof buffer)
                                 : memcmp(buffer, "12345", 5) == 0);
        assert_true(kit_is_filled(buffer + 5, sizeof buffer - 5));
    }
    assert_status(LK_TOO_SMALL, lk_get_into(k->db, lk_key_of("p", "s"), NULL, 0, &size));
    assert_status(LK_OK, lk_get_into(k->db, lk_key_of("p", "empty"), NULL, 0, &size));
    assert_int_equal(size, 0);
    size = 99;
    assert_status(LK_NOT_FOUND,
                  lk_get_into(k->db, lk_key_of("p", "none"), buffer, sizeof buffer, &size));
    assert_int_equal(size, 99);
}

static void
test_delete_of_missing_and_repeated_keys_is_ok(void **state)
{
    kit *k = kit_of(state);
    lk_key keys[] = {lk_key_of("p", "none"), lk_key_of("p", "s"), lk_key_of("p", "s"),
                     lk_key_of("none", "s")};
    assert_status(LK_OK, lk_delete(k->db, keys, KIT_COUNT(keys)));
    assert_int_equal(kit_statistics(k).cells, 0);
    kit_set(k, "p", "s", "x");
    assert_status(LK_OK, lk_delete(k->db, keys, KIT_COUNT(keys)));
    assert_true(kit_holds(k, keys[1], NULL));
    assert_status(LK_OK, lk_delete(k->db, keys, KIT_COUNT(keys)));
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).cells, 0);
    assert_int_equal(kit_statistics(k).partitions, 0);
}

static void
test_item_deleted_and_set_again_many_times_is_there(void **state)
{
    kit *k = kit_of(state);
    lk_key key = lk_key_of("p", "s");
    for (int i = 0; i < 3000; i++) {
        kit_set(k, "p", "s", i % 2 ? "odd" : "even");
        assert_true(kit_holds(k, key, i % 2 ? "odd" : "even"));
        assert_status(LK_OK, lk_delete(k->db, &key, 1));
        assert_true(kit_holds(k, key, NULL));
        if (i % 100 == 0)
            kit_sweep(k);
    }
}

static void
test_memory_after_deleting_all_is_that_of_an_empty_store(void **state)
{
    kit *k = kit_of(state);
    kit_set(k, "p", "s", "x");
    assert_status(LK_OK, lk_delete(k->db, &(lk_key){{"p", 1}, {"s", 1}}, 1));
    kit_sweep(k);
    size_t empty = atomic_load(&k->memory.bytes), full = 0;
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 20000; i++) {
            lk_item item = {.key = kit_numbered(i % 10 == 0 ? "other" : "p", i),
                            .data = lk_string("some data")};
            assert_status(LK_OK, lk_set(k->db, &item, 1));
            if (i % 7 == 0)
                (void)kit_lock(k, item.key);
        }
        full = atomic_load(&k->memory.bytes);
        for (uint64_t i = 0; i < 20000; i++) {
            lk_key key = kit_numbered(i % 10 == 0 ? "other" : "p", i);
            assert_status(LK_OK, lk_delete(k->db, &key, 1));
        }
        kit_sweep(k);
        assert_int_equal(kit_statistics(k).cells, 0);
        assert_int_equal(kit_statistics(k).partitions, 0);
        assert_int_equal(kit_statistics(k).retired_bytes, 0);
        /* Some batches that wait to be used, some small sets. */
        assert_true(atomic_load(&k->memory.bytes) < empty + 16384);
    }
    assert_true(full > empty + 1000000);
}

static void
test_view_inside_pairs_stays_as_it_was(void **state)
{
    kit *k = kit_of(state);
    lk_item first, second, none;
    kit_set(k, "p", "s", "before");
    assert_status(LK_INVALID, lk_view(k->db, lk_key_of("p", "s"), &first));
    lk_read_begin(k->db);
    assert_status(LK_OK, lk_view(k->db, lk_key_of("p", "s"), &first));
    lk_read_begin(k->db);
    kit_set(k, "p", "s", "after");
    assert_status(LK_OK, lk_view(k->db, lk_key_of("p", "s"), &second));
    assert_status(LK_OK, lk_delete(k->db, &first.key, 1)); /* a key in the very cell that goes */
    kit_fill(&none, sizeof none);
    assert_status(LK_NOT_FOUND, lk_view(k->db, lk_key_of("p", "s"), &none));
    assert_true(kit_is_filled(&none, sizeof none));
    for (uint64_t i = 0; i < 2000; i++) {
        lk_item item = {.key = kit_numbered("p", i), .data = lk_string("other")};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
        assert_status(LK_OK, lk_delete(k->db, &item.key, 1));
    }
    kit_sweep(k);
    lk_read_end(k->db);
    kit_sweep(k);
    assert_true(kit_bytes_are(first.data, "before") && kit_bytes_are(second.data, "after"));
    assert_true(kit_bytes_are(first.key.sk, "s") && kit_bytes_are(second.key.pk, "p"));
    lk_read_end(k->db);
    assert_status(LK_INVALID, lk_view(k->db, lk_key_of("p", "s"), &first));
    lk_read_end(k->db); /* one too many does nothing */
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).cells, 0);
    assert_int_equal(kit_statistics(k).retired_bytes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads_of_bad_keys_say_so_and_touch_nothing),
        TEST(test_writes_of_bad_items_say_so_and_write_nothing),
        TEST(test_calls_with_null_say_invalid),
        TEST(test_calls_with_count_zero_do_nothing),
        TEST(test_get_of_a_missing_item_leaves_the_result),
        TEST(test_set_of_each_size_is_read_back),
        TEST(test_keys_that_differ_in_one_byte_or_in_the_border_are_apart),
        TEST(test_set_of_one_key_twice_in_a_batch_keeps_the_last),
        TEST(test_get_many_with_holes_and_repetitions_answers_each_position),
        TEST(test_get_many_of_thousands_answers_each_position),
        TEST(test_reads_take_their_keys_from_the_result_that_they_fill),
        TEST(test_get_into_of_each_capacity),
        TEST(test_delete_of_missing_and_repeated_keys_is_ok),
        TEST(test_item_deleted_and_set_again_many_times_is_there),
        TEST(test_memory_after_deleting_all_is_that_of_an_empty_store),
        TEST(test_view_inside_pairs_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
