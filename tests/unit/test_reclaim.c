/* SPDX-License-Identifier: MIT
 *
 * Reclamation by itself: accounts, portions, what cannot be disposed of yet, room, the limit, when
 * upkeep does what, since when somebody holds the epoch back. What runs at once is in
 * schedule_rooms.c.
 */
#include "support/things.h"

enum { ADVANCE_EVERY = 64, CREDIT_HURRY = 1088, SPARES = 2 }; /* of reclaim.c */

/* ---- objects ---- */

static void
test_objects_go_two_epochs_after_they_were_retired(void **state)
{
    (void)state;
    begin(LARGE);
    retire(t.own, 3, 100, true);
    assert_int_equal(retired_bytes(), bag_bytes(3, 100));
    lki_reclaim_portion(t.own, SIZE_MAX);
    assert_int_equal(disposed(), 0);
    lki_reclaim_portion(t.own, SIZE_MAX);
    assert_int_equal(disposed(), 3);
    assert_int_equal(retired_bytes(), 0);
    assert_int_equal(lki_load_relaxed(&t.own->counter[LKI_RETIRED]), 3);
    assert_int_equal(lki_load_relaxed(&t.own->counter[LKI_FREED]), 3);
    end();
}

static void
test_portion_disposes_of_bags_until_it_has_as_many_as_it_says(void **state)
{
    (void)state;
    static const struct {
        size_t portion, wanted;
    } cases[] = {{0, 0}, {3, 10}, {50, 50}, {51, 100}, {SIZE_MAX, 50}};
    begin(LARGE);
    for (int i = 0; i < 5; i++)
        retire(t.own, i == 0 ? 10 : 50, 8, true);
    epoch_move(2);
    size_t wanted = 0;
    for (size_t i = 0; i < KIT_COUNT(cases); i++) {
        retire(t.own, 1, 8, false);
        lki_reclaim_portion(t.own, cases[i].portion);
        assert_int_equal(disposed(), wanted += cases[i].wanted);
        assert_int_equal(lki_load_relaxed(&t.own->counter[LKI_FREED]), wanted);
    }
    retire(t.own, 1, 8, true);
    epoch_move(2);
    lki_reclaim_portion(t.own, SIZE_MAX);
    assert_int_equal(disposed(), t.used);
    assert_int_equal(retired_bytes(), 0);
    lki_write_enter(t.own);
    retire(t.own, 1, 8, true);
    lki_reclaim_portion(t.own, SIZE_MAX); /* in a section: nothing */
    lki_leave(t.own);
    assert_int_equal(disposed(), t.used - 1);
    end();
}

static void
test_what_cannot_go_now_is_kept_behind_the_rest(void **state)
{
    (void)state;
    begin(LARGE);
    retire(t.own, 5, 8, true);
    t.things[1].refused = t.things[3].refused = true;
    retire(t.own, 4, 8, true);
    epoch_move(2);
    lki_reclaim_portion(t.own, 1);
    assert_int_equal(disposed(), 3);
    assert_int_equal(lki_load_relaxed(&t.own->counter[LKI_FREED]), 3);
    lki_reclaim_portion(t.own, SIZE_MAX);
    assert_int_equal(disposed(), 7);
    assert_true(t.things[1].asked == 1 && t.things[3].asked == 1);
    assert_int_equal(retired_bytes(), bag_bytes(5, 8)); /* till it is empty */
    for (unsigned gone = 1; gone <= 2; gone++) {
        t.things[2 * gone - 1].refused = false;
        epoch_move(2);
        lki_reclaim_portion(t.own, SIZE_MAX);
        assert_int_equal(disposed(), 7 + gone);
        assert_true(t.things[1].asked == 2 && t.things[3].asked == 1 + gone);
    }
    assert_int_equal(retired_bytes(), 0);
    end();
}

/* What waits, what was kept, what is newly sealed or is not; bags were in use before, and full. */
static void
test_close_disposes_of_each_object_once(void **state)
{
    (void)state;
    for (size_t portion = 0; portion <= 10; portion += 10) {
        begin(LARGE);
        for (int i = 4; i > 0; i--) {
            retire(t.own, (size_t)i * LKI_BAG_ROOM, 8, true);
            assert_true(lki_reclaim_now(t.own));
        }
        size_t first = t.used;
        retire(t.own, 10, 8, true);
        retire(t.own, 10, 8, true);
        t.things[first + 1].refused = t.things[first + 4].refused = true;
        epoch_move(2);
        lki_reclaim_portion(t.own, portion);
        t.things[first + 1].refused = t.things[first + 4].refused = false;
        retire(t.own, 2, 8, false);
        retire(t.other, 2, 8, portion == 0);
        t.own->stamp = t.other->stamp = 7; /* of the bag before */
        end();
        assert_int_equal(t.things[first + 20].stamp, 0); /* nothing comes home any more */
    }
}

static void
test_what_disposal_retires_goes_in_the_same_call(void **state)
{
    (void)state;
    begin(LARGE);
    retire(t.own, 1, 8, true);
    t.things[0].next = &t.things[t.used++];
    assert_true(lki_reclaim_now(t.own));
    assert_int_equal(disposed(), 2);
    /* A large one is sealed at once, in its turn. */
    for (size_t below = 0; below < 2; below++) {
        retire(t.own, 1, 8, true);
        t.things[t.used - 1].next = &t.things[t.used];
        t.things[t.used - 1].next_size = LKI_SEAL_BYTES - sizeof(uintptr_t) - below;
        t.used++;
        epoch_move(2);
        lki_reclaim_portion(t.own, SIZE_MAX);
        assert_int_equal(disposed(), t.used - 1);
        assert_int_equal(retired_bytes() != 0, below == 0);
        assert_true(lki_reclaim_now(t.own));
        assert_int_equal(disposed(), t.used);
    }
    end();
}

/* ---- room ---- */

static void
test_room_is_what_was_reserved(void **state)
{
    (void)state;
    begin(LARGE);
    size_t before = atomic_load(&t.memory.blocks);
    lki_write_enter(t.own);
    kit_memory_fail(&t.memory, 2, false);
    assert_false(lki_reserve(t.own, 100));
    assert_int_equal(t.own->spare_count, 1);
    assert_true(lki_reserve(t.own, 100));
    assert_int_equal(t.own->spare_count, 2);
    assert_int_equal(atomic_load(&t.memory.blocks), before + 3);
    lki_leave(t.own);
    retire(t.own, 100, 8, true);
    assert_true(lki_reclaim_now(t.own));
    /* The last spare one is open: then there is none. */
    retire(t.own, LKI_BAG_ROOM * 3, 8, true);
    while (t.own->spare_count > 0)
        retire(t.own, LKI_BAG_ROOM - 1, 8, true);
    assert_true(lki_reclaim_now(t.own));
    assert_int_equal(disposed(), t.used);
    assert_int_equal(t.own->spare_count, SPARES);
    assert_in_range(atomic_load(&t.memory.blocks), before + SPARES, before + SPARES + 1);
    end();
}

static void
test_last_bag_is_sealed_without_another(void **state)
{
    (void)state;
    begin(LARGE);
    lki_write_enter(t.own);
    assert_true(lki_reserve(t.own, 1));
    for (int i = 0; i <= LKI_BAG_ROOM; i++)
        lki_retire(t.own, THING, &t.things[t.used++], 8);
    assert_int_equal(t.own->spare_count, 0);
    lki_leave(t.own);
    for (int i = 0; i < 2; i++) {
        assert_true(lki_reclaim_now(t.own));
        assert_int_equal(disposed(), t.used);
        assert_int_equal(retired_bytes(), 0);
    }
    end();
}

static void
test_free_chunks_are_given_back(void **state)
{
    (void)state;
    begin(LARGE);
    size_t before = atomic_load(&t.memory.blocks);
    for (size_t class = 1; class < LKI_CHUNK_CLASSES; class ++)
        for (int i = 0; i < 2; i++) {
            void *chunk = lki_alloc(&t.domain.allocator, class * 16);
            assert_non_null(chunk);
            memcpy(chunk, &t.own->chunks[class], sizeof chunk);
            t.own->chunks[class] = chunk;
            t.own->chunk_count[class]++;
        }
    assert_true(lki_reclaim_now(t.own));
    assert_int_equal(atomic_load(&t.memory.blocks), before);
    for (size_t class = 0; class < LKI_CHUNK_CLASSES; class ++)
        assert_true(t.own->chunks[class] == NULL && t.own->chunk_count[class] == 0);
    end();
}

/* ---- the limit ---- */

static void
test_pressure_is_on_exactly_beyond_the_limit(void **state)
{
    (void)state;
    const size_t bag = bag_bytes(1, 100);
    begin(2 * bag);
    retire(t.own, 1, 100, true);
    retire(t.own, 1, 100, true);
    assert_false(pressure());
    epoch_move(1);
    lki_enter(t.other); /* it holds back what is retired from here on */
    retire(t.own, 1, 100, true);
    retire(t.own, 1, 100, true);
    assert_true(pressure());
    lki_reclaim_portion(t.own, 1);
    assert_int_equal(retired_bytes(), 3 * bag);
    assert_true(pressure());
    lki_reclaim_portion(t.own, SIZE_MAX);
    assert_int_equal(retired_bytes(), 2 * bag);
    assert_false(pressure());
    assert_true(lki_reclaim_now(t.own));
    retire(t.own, 1, 1, true);
    assert_true(pressure());
    assert_false(lki_reclaim_now(t.own));
    assert_true(pressure());
    lki_leave(t.other);
    lki_write_enter(t.own);
    assert_false(lki_reclaim_now(t.own)); /* inside it only judges */
    assert_false(lki_memory_wait(t.own));
    lki_leave(t.own);
    assert_int_equal(disposed(), 2);
    assert_true(lki_memory_wait(t.own));
    assert_int_equal(disposed(), t.used);
    assert_false(pressure());
    lki_store_relaxed(&t.domain.pressure, 1); /* by who was slow to say so */
    assert_true(lki_reclaim_now(t.own));
    assert_false(pressure());
    end();
}

static void
test_memory_is_looked_for_where_it_helps(void **state)
{
    (void)state;
    begin(100);
    retire(t.own, 1, 8, false);
    lki_memory_look(t.own); /* no pressure */
    assert_int_equal(disposed(), 0);
    retire(t.own, 1, 100, true);
    retire(t.own, 1, 8, false);
    size_t bytes = retired_bytes();
    stall_is_known();
    lki_memory_look(t.own); /* somebody stays */
    assert_int_equal(retired_bytes(), bytes);
    epoch_move(1); /* no longer */
    lki_memory_look(t.own);
    assert_int_equal(retired_bytes(), 0);
    assert_int_equal(disposed(), t.used);
    assert_false(pressure());
    end();
}

/* ---- when upkeep does what ---- */

static uint32_t
epoch(void)
{
    return ck_epoch_value(&t.domain.epoch);
}

static void
upkeep_with(uint32_t credit, uint32_t advance_credit, uint32_t moves)
{
    uint32_t before = epoch();
    lki_write_enter(t.own);
    t.own->credit = credit;
    t.own->advance_credit = advance_credit;
    lki_upkeep(t.own);
    assert_int_equal(epoch(), before + moves);
    assert_int_equal(t.own->credit, 0);
    assert_int_equal(t.own->advance_credit, moves == 0 ? credit + advance_credit : 0);
    assert_int_equal(t.own->epoch.active, 0);
}

static void
test_upkeep_moves_the_epoch_as_often_as_it_says(void **state)
{
    (void)state;
    begin(LARGE);
    upkeep_with(5, ADVANCE_EVERY, 0); /* nothing waits */
    retire(t.other, 1, 8, true);
    upkeep_with(5, ADVANCE_EVERY - 6, 0);
    upkeep_with(5, ADVANCE_EVERY - 5, 1);
    retire(t.own, 1, 8, true);
    lki_store_relaxed(&t.domain.thread_count, ADVANCE_EVERY + 8); /* so many records were made */
    upkeep_with(1, ADVANCE_EVERY + 30, 0);
    upkeep_with(1, ADVANCE_EVERY + 31, 1);
    lki_store_relaxed(&t.domain.thread_count, 2);
    assert_false(t.own->retired_in_pair);
    lki_enter(t.own);
    lki_write_enter(t.own);
    t.own->credit = 10 * ADVANCE_EVERY;
    uint32_t before = epoch();
    lki_upkeep(t.own);
    assert_true(t.own->retired_in_pair && t.own->epoch.active == 1);
    assert_true(epoch() == before && t.own->credit == 10 * ADVANCE_EVERY);
    lki_leave(t.own);
    end();
}

/* Half as many again as came; bags are not divided. */
static void
test_upkeep_disposes_of_as_many_as_it_says(void **state)
{
    (void)state;
    static const struct {
        uint32_t credit;
        size_t wanted;
    } cases[] = {{0, 0}, {1, 10}, {7, 10}, {8, 20}, {20, 30}, {21, 40}};
    begin(LARGE);
    for (int i = 0; i < 11; i++)
        retire(t.own, 10, 8, true);
    epoch_move(2);
    size_t wanted = 0;
    for (size_t i = 0; i < KIT_COUNT(cases); i++) {
        t.own->upkeep_tick = 0;
        upkeep_with(cases[i].credit, 0, 0);
        assert_int_equal(disposed(), wanted += cases[i].wanted);
    }
    assert_int_equal(wanted, t.used);
    end();
}

static void
test_upkeep_in_a_hurry_moves_the_epoch_twice(void **state)
{
    (void)state;
    for (uint32_t below = 0; below < 2; below++) {
        begin(LARGE);
        retire(t.own, 1, 8, true);
        upkeep_with(1, CREDIT_HURRY - 1 - below, 2 - below);
        assert_int_equal(disposed(), 1 - below);
        end();
    }
}

/* ---- what others have ---- */

enum { OTHERS_EVERY = 4, COLLECT_EVERY = 64 }; /* of reclaim.c */

/* Upkeep comes by all groups; bags that are sealed go from there, though their thread does
 * nothing. */
static void
test_upkeep_disposes_of_sealed_bags_of_others(void **state)
{
    (void)state;
    begin(LARGE);
    for (int i = 0; i < 6; i++)
        retire(t.other, 1, 8, true);
    epoch_move(2);
    for (int i = 0; i < OTHERS_EVERY * LKI_BAG_GROUPS - 1; i++)
        upkeep_with(1, 0, 0);
    assert_in_range(disposed(), 0, 1);
    for (int i = 0; i < 6 * OTHERS_EVERY * LKI_BAG_GROUPS; i++)
        upkeep_with(1, 0, 0);
    assert_int_equal(disposed(), 6);
    end();
}

static void
upkeep_until(uint32_t moved)
{
    retire(t.own, 1, 8, true);
    while (epoch() % COLLECT_EVERY != moved)
        upkeep_with(0, ADVANCE_EVERY, 1);
}

/* An open bag is taken away every so many epochs, if its thread is in no section. Its owner may be
 * slow to see it. */
static void
test_open_bags_are_taken_from_who_is_outside(void **state)
{
    (void)state;
    for (int inside = 0; inside < 2; inside++) {
        begin(LARGE);
        upkeep_until(COLLECT_EVERY - 1);
        retire(t.other, 2, 8, false);
        if (inside)
            lki_enter(t.other);
        retire(t.own, 1, 8, true);
        upkeep_with(0, ADVANCE_EVERY, 1);
        assert_int_equal(lki_load_relaxed(&t.other->open) != NULL, inside);
        assert_int_equal(lki_load_relaxed(&t.other->open_bytes) != 0, inside);
        if (inside)
            lki_leave(t.other);
        retire(t.other, 1, 8, true);
        assert_true(lki_reclaim_now(t.own));
        assert_int_equal(disposed(), t.used);
        assert_int_equal(retired_bytes(), 0);
        end();
    }
}

/* ---- who holds the epoch back, and since when ---- */

static int64_t
stalled_since(void)
{
    lki_stalls_record(&t.domain);
    return lki_load_relaxed(&t.other->stalled_since_ms);
}

static void
test_stall_is_noted_with_its_beginning(void **state)
{
    (void)state;
    begin(LARGE);
    lki_enter(t.other);
    assert_int_equal(stalled_since(), 0); /* it is there, and holds nothing back */
    lki_reclaim_portion(t.own, 0);
    assert_int_equal(stalled_since(), 1000);
    t.now_ms = 1100;
    assert_int_equal(stalled_since(), 1000);
    lki_leave(t.other);
    lki_enter(t.other); /* another section, and nobody has looked in between */
    lki_reclaim_portion(t.own, 0);
    t.now_ms = 1200;
    assert_int_equal(stalled_since(), 1200);
    lki_store_relaxed(&t.other->stalled_since_ms,
                      0); /* by who looked before the epoch moved, and was slow */
    t.now_ms = 1300;
    assert_int_equal(stalled_since(), 1300);
    lki_leave(t.other);
    assert_int_equal(stalled_since(), 0);
    t.now_ms = 0;
    lki_enter(t.other);
    lki_reclaim_portion(t.own, 0);
    assert_true(stalled_since() != 0);
    lki_leave(t.other);
    t.now_ms = 500;
    lki_enter(t.other);
    lki_reclaim_portion(t.own, 0);
    (void)lki_reclaim_now(t.own);
    assert_int_equal(lki_load_relaxed(&t.other->stalled_since_ms), 500);
    lki_leave(t.other);
    end();
}

static void
upkeep_in_vain(void)
{
    t.own->advance_credit = ADVANCE_EVERY;
    upkeep(t.own);
    assert_int_equal(t.own->advance_credit, 0);
}

static void
test_upkeep_notes_a_stall_where_much_is_retired(void **state)
{
    (void)state;
    begin(16 * bag_bytes(1, 100));
    retire(t.own, 1, 100, true);
    lki_enter(t.other);
    lki_reclaim_portion(t.own, 0);
    for (int i = 0; i < 2 * ADVANCE_EVERY; i++)
        upkeep_in_vain();
    assert_int_equal(lki_load_relaxed(&t.other->stalled_since_ms), 0); /* it is a sixteenth */
    retire(t.own, 1, 1, true);
    for (int i = 0; i < ADVANCE_EVERY; i++) {
        assert_int_equal(lki_load_relaxed(&t.other->stalled_since_ms), 0);
        upkeep_in_vain();
    }
    assert_int_equal(lki_load_relaxed(&t.other->stalled_since_ms), 1000);
    lki_leave(t.other);
    end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_go_two_epochs_after_they_were_retired),
        cmocka_unit_test(test_portion_disposes_of_bags_until_it_has_as_many_as_it_says),
        cmocka_unit_test(test_what_cannot_go_now_is_kept_behind_the_rest),
        cmocka_unit_test(test_close_disposes_of_each_object_once),
        cmocka_unit_test(test_what_disposal_retires_goes_in_the_same_call),
        cmocka_unit_test(test_room_is_what_was_reserved),
        cmocka_unit_test(test_last_bag_is_sealed_without_another),
        cmocka_unit_test(test_free_chunks_are_given_back),
        cmocka_unit_test(test_pressure_is_on_exactly_beyond_the_limit),
        cmocka_unit_test(test_memory_is_looked_for_where_it_helps),
        cmocka_unit_test(test_upkeep_moves_the_epoch_as_often_as_it_says),
        cmocka_unit_test(test_upkeep_disposes_of_as_many_as_it_says),
        cmocka_unit_test(test_upkeep_in_a_hurry_moves_the_epoch_twice),
        cmocka_unit_test(test_upkeep_disposes_of_sealed_bags_of_others),
        cmocka_unit_test(test_open_bags_are_taken_from_who_is_outside),
        cmocka_unit_test(test_stall_is_noted_with_its_beginning),
        cmocka_unit_test(test_upkeep_notes_a_stall_where_much_is_retired),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    end_if_failed();
    return failed;
}
