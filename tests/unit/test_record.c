/* SPDX-License-Identifier: MIT
 *
 * Records: of each size, in a cell or apart; those that views look at while they are replaced; the
 * memory of those that are written often, and of all that are gone. What calls return: the
 * conformance suite; what meets: schedule_midst_cells.c.
 */
#include "store/head.h"
#include "support/inside.h"

/* Keys of 8 to 16 bytes each are read in a way of their own. */
static void
test_set_of_each_size_is_read_back(void **state)
{
    kit *k = *state;
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
            assert_true(lkc_equal(lk_result_item(k->result, 0)->data, item.data));
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
test_memory_after_deleting_all_is_that_of_an_empty_store(void **state)
{
    kit *k = *state;
    kit_set(k, "p", "s", "x");
    assert_status(LK_OK, lk_delete(k->db, &(lk_key){{"p", 1}, {"s", 1}}, 1));
    kit_sweep(k);
    size_t empty = atomic_load(&k->memory.bytes), full = 0;
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 20000; i++) {
            lk_item item = {.key = lkc_numbered(i % 10 == 0 ? "other" : "p", i),
                            .data = lk_string("some data")};
            assert_status(LK_OK, lk_set(k->db, &item, 1));
            if (i % 7 == 0)
                (void)kit_lock(k, item.key);
        }
        full = atomic_load(&k->memory.bytes);
        for (uint64_t i = 0; i < 20000; i++) {
            lk_key key = lkc_numbered(i % 10 == 0 ? "other" : "p", i);
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
    kit *k = *state;
    lk_item first, second, none;
    kit_set(k, "p", "s", "before");
    assert_status(LK_INVALID, lk_view(k->db, lk_key_of("p", "s"), &first));
    lk_read_begin(k->db);
    assert_status(LK_OK, lk_view(k->db, lk_key_of("p", "s"), &first));
    lk_read_begin(k->db);
    kit_set(k, "p", "s", "after");
    assert_status(LK_OK, lk_view(k->db, lk_key_of("p", "s"), &second));
    assert_status(LK_OK, lk_delete(k->db, &first.key, 1)); /* a key in the very cell that goes */
    lkc_fill(&none, sizeof none);
    assert_status(LK_NOT_FOUND, lk_view(k->db, lk_key_of("p", "s"), &none));
    assert_true(lkc_is_filled(&none, sizeof none));
    for (uint64_t i = 0; i < 2000; i++) {
        lk_item item = {.key = lkc_numbered("p", i), .data = lk_string("other")};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
        assert_status(LK_OK, lk_delete(k->db, &item.key, 1));
    }
    kit_sweep(k);
    lk_read_end(k->db);
    kit_sweep(k);
    assert_true(lkc_is(first.data, "before") && lkc_is(second.data, "after"));
    assert_true(lkc_is(first.key.sk, "s") && lkc_is(second.key.pk, "p"));
    lk_read_end(k->db);
    assert_status(LK_INVALID, lk_view(k->db, lk_key_of("p", "s"), &first));
    lk_read_end(k->db); /* one too many does nothing */
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).cells, 0);
    assert_int_equal(kit_statistics(k).retired_bytes, 0);
}

static bool
is_home(kit *k, lk_key key)
{
    lki_cell *cell = inside_cell(k, key);
    return lki_load_acquire(&cell->item) == (uintptr_t)lki_cell_record(cell);
}

/* P20: a snapshot may need what is before a record whose stamp is above the clock of the seal. */
static void
test_record_that_is_newer_than_the_seal_stays_apart_until_it_is_written_again(void **state)
{
    kit *k = *state;
    lk_key key = kit_key("p", "k");
    lki_thread *thread = inside_thread(k);
    kit_set(k, "p", "k", "old");
    kit_sweep(k);
    kit_set(k, "p", "k", "new");
    lki_write_enter(thread);
    lki_seal(thread);
    (void)lki_snapshot(k->db->state, thread);
    lki_leave(thread);
    kit_set(k, "p", "k", "newer");
    for (int i = 0; i < 3; i++) {
        ck_epoch_begin(&thread->epoch, NULL);
        (void)ck_epoch_poll(&thread->epoch);
        ck_epoch_end(&thread->epoch, NULL);
    }
    lki_reclaim_portion(thread, 1000);
    assert_false(is_home(k, key));
    assert_true(kit_holds(k, key, "newer"));
    kit_set(k, "p", "k", "newest");
    kit_sweep(k);
    assert_true(is_home(k, key));
    assert_true(kit_holds(k, key, "newest"));
}

/* However often it is written, in whatever order, an item costs what it did. */
static void
test_item_that_is_written_often_costs_what_it_did(void **state)
{
    enum { ITEMS = 1000 };
    kit *k = *state;
    size_t before = 0, blocks = 0;
    char text[65] = {0};
    memset(text, 'x', 64);
    for (uint64_t n = 0; n < 101 * ITEMS; n++) {
        lk_item item = {lkc_numbered("many", n % 7 == 0 ? n * 31 % ITEMS : n % ITEMS),
                        lk_string(text), 0};
        if (n < ITEMS)
            item.key = lkc_numbered("many", n);
        assert_status(LK_OK, lk_set(k->db, &item, 1));
        if (n != ITEMS - 1)
            continue;
        kit_sweep(k);
        before = atomic_load(&k->memory.bytes);
        blocks = atomic_load(&k->memory.blocks);
    }
    kit_sweep(k);
    assert_int_equal(atomic_load(&k->memory.bytes), before);
    assert_int_equal(atomic_load(&k->memory.blocks), blocks);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_set_of_each_size_is_read_back),
        KIT_TEST(test_memory_after_deleting_all_is_that_of_an_empty_store),
        KIT_TEST(test_view_inside_pairs_stays_as_it_was),
        KIT_TEST(test_record_that_is_newer_than_the_seal_stays_apart_until_it_is_written_again),
        KIT_TEST(test_item_that_is_written_often_costs_what_it_did),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
