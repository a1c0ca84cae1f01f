/* SPDX-License-Identifier: MIT
 *
 * Cells: where key, flags, room and the record inside lie, for each size; how the cell of a key is
 * found, until it has gone; the cells that a thread remembers. What happens to their heads:
 * test_record.c, test_commit.c; what meets: schedule_midst_cells.c.
 */
#include "support/inside.h"

#include "store/record.h"

static void
test_cell_has_its_key_its_flags_and_its_room(void **state)
{
    static _Alignas(16) unsigned char memory[512];
    (void)state;
    for (size_t pk = 1; pk < 40; pk++)
        for (size_t sk = 0; sk < 40; sk++)
            for (size_t room = 0; room <= 256; room += 64) {
                lki_cell *cell = (lki_cell *)(void *)memory;
                memset(memory, 0, sizeof memory);
                cell->pk_size = (uint16_t)pk;
                cell->sk_size = (uint16_t)sk;
                lki_cell_set_flags(cell, LKI_CELL_ROOM | LKI_CELL_QUEUE, room);
                assert_ptr_equal(lki_cell_sk(cell), cell->bytes + pk);
                assert_int_equal(lki_cell_room(cell), room);
                assert_true(lki_cell_is_in_queue(cell) && !lki_cell_is_in_slab(cell));
                unsigned char *home = (unsigned char *)lki_cell_record(cell);
                assert_int_equal((uintptr_t)home % 8, 0);
                assert_in_range(home - (cell->bytes + pk + sk), 0, 7);
                assert_int_equal(lki_cell_size(cell),
                                 (size_t)(home - memory) + LKI_RECORD_HEADER + room);
                assert_int_equal(lki_load_relaxed(&cell->item), 0);
            }
}

/* Short and long keys are looked up in ways of their own. */
static void
test_cell_is_found_until_it_has_gone(void **state)
{
    static const char *const keys[][2] = {{"p", "s"},
                                          {"partition", "sort key"},
                                          {"p", ""},
                                          {"a pk that is rather long", "and its sk, which is too"}};
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(keys); i++) {
        lk_key key = lk_key_of(keys[i][0], keys[i][1]);
        assert_null(inside_cell(k, key));
        kit_set(k, keys[i][0], keys[i][1], "data");
        lki_cell *cell = inside_cell(k, key);
        assert_non_null(cell);
        assert_int_equal(cell->pk_size, key.pk.size);
        assert_int_equal(cell->sk_size, key.sk.size);
        assert_true(lki_load_acquire(&cell->item) == (uintptr_t)lki_cell_record(cell));
        assert_true(lki_cell_room(cell) >= 4 && !lki_cell_is_in_queue(cell));
        (void)kit_lock(k, key); /* it has no room for that: the record lies apart */
        kit_set(k, keys[i][0], keys[i][1], "data that is longer than there is room in the cell");
        assert_ptr_equal(inside_cell(k, key), cell);
        assert_true(lki_load_acquire(&cell->item) != (uintptr_t)lki_cell_record(cell));
        assert_status(LK_OK, lk_delete(k->db, &key, 1));
        assert_ptr_equal(inside_cell(k, key), cell);
        kit_sweep(k);
        assert_null(inside_cell(k, key));
    }
    assert_int_equal(kit_statistics(k).partitions, 0);
}

/* That of a job whose key was generated lies in its queue. */
static void
test_cell_of_a_generated_key_is_in_its_queue(void **state)
{
    kit *k = *state;
    lk_item job = kit_item("q", NULL, "job");
    assert_status(LK_OK, lk_queue_push(k->db, &job, 1, NULL, k->result));
    lk_key key = lk_result_item(k->result, 0)->key;
    assert_true(lki_key_is_generated(k->db->state, &key));
    lki_cell *cell = inside_cell(k, key);
    assert_true(cell == NULL || lki_cell_is_in_queue(cell));
    lk_key like = lk_key_of("q", "01HF7YAT00AAAAAAAAAAAAAAAA"); /* nobody's */
    assert_false(lki_key_is_generated(k->db->state, &like));
    assert_null(inside_cell(k, like));
}

static void
test_cells_are_remembered_for_a_section_epoch_and_a_second(void **state)
{
    kit *k = *state;
    kit_set(k, "p", "s", "data");
    lki_cell *cell = inside_cell(k, lk_key_of("p", "s"));
    lki_thread *thread = inside_thread(k);
    lki_seen seen[2] = {{.cell = cell}, {.cell = cell}};
    int64_t now_ms = atomic_load(&k->now_ms);
    lki_enter(thread);
    lki_cells_remember(thread, seen, 2, now_ms);
    assert_int_equal(lki_cells_known(thread, now_ms), 2);
    assert_ptr_equal(lki_store_thread_of(thread)->cells[1], cell);
    assert_int_equal(lki_cells_known(thread, now_ms + LKI_CELLS_KNOWN_MS - 1), 2);
    assert_int_equal(lki_cells_known(thread, now_ms + LKI_CELLS_KNOWN_MS), 0);
    assert_int_equal(lki_cells_known(thread, now_ms - 1), 0);
    lki_leave(thread);
    kit_set(k, "p", "other", "data");
    kit_set(k, "p", "other", "data that is longer than there is room in the cell");
    kit_sweep(k); /* epochs pass */
    lki_enter(thread);
    assert_int_equal(lki_cells_known(thread, now_ms), 0);
    lki_leave(thread);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cell_has_its_key_its_flags_and_its_room),
        KIT_TEST(test_cell_is_found_until_it_has_gone),
        KIT_TEST(test_cell_of_a_generated_key_is_in_its_queue),
        KIT_TEST(test_cells_are_remembered_for_a_section_epoch_and_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
