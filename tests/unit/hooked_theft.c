/* SPDX-License-Identifier: MIT
 *
 * Garbage that changes hands: whose slots a thief may take, and when; the owner comes, leaves, or writes at each access to a
 * shared word of the thief.
 */
#include "support/things.h"

enum { STEAL_EVERY = 4 }; /* of reclaim.c */

/* ---- slots, and thieves ---- */

static void
upkeep_of_own(void)
{
    epoch_move(2);
    upkeep(t.own);
}

static void
portion_of_own(void)
{
    epoch_move(2);
    lki_reclaim_portion(t.own, SIZE_MAX);
}

static void
now_by_own(void)
{
    (void)lki_reclaim_now(t.own);
}

static void (*const disposals[])(void) = {upkeep_of_own, portion_of_own, now_by_own};

static void
test_owner_keeps_off_the_slot_that_a_thief_has(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(disposals); i++) {
        begin(LARGE);
        retire(t.own, 2, 8, true);
        lki_store_relaxed(&t.own->request, 1);
        retire(t.own, 2, 8, true);
        const lki_batch *first = t.own->slots[0].sealed, *open = t.own->slots[0].open;
        disposals[i]();
        assert_true(t.things[0].disposed == 0 && t.things[2].disposed == 1);
        assert_true(t.own->slots[0].sealed == first && first->next == NULL);
        assert_true(t.own->slots[0].open == open);
        retire(t.own, 1, 8, true);
        retire(t.own, 1, 8, false);
        lki_store_relaxed(&t.own->request, 0); /* it was stopped before it took any */
        disposals[i]();
        assert_true(t.things[0].disposed == 1 && t.things[4].disposed == 1);
        disposals[i]();
        disposals[i]();
        assert_int_equal(disposed(), t.used);
        end();
    }
}

static void
other_fills_both_slots(void)
{
    retire(t.other, 2, 8, true);
    retire(t.other, 1, 8, false);
    lki_store_relaxed(&t.other->request, 1);
    retire(t.other, 2, 8, true);
    retire(t.other, 1, 8, false);
    lki_store_relaxed(&t.other->request, 0);
}

static void
test_thief_takes_both_slots_of_who_is_outside(void **state)
{
    (void)state;
    begin(LARGE);
    other_fills_both_slots();
    lki_enter(t.other);
    (void)lki_reclaim_now(t.own);
    lki_leave(t.other);
    (void)lki_reclaim_now(t.own);
    assert_int_equal(lki_load_relaxed(&t.other->request), 0);
    assert_int_equal(lki_load_relaxed(&t.other->open_bytes), 0);
    assert_int_equal(disposed(), 6);
    /* In its section, nothing is taken; nor where another thief is at work. */
    other_fills_both_slots();
    epoch_move(3);
    lki_enter(t.other);
    (void)lki_reclaim_now(t.own);
    assert_int_equal(disposed(), 6);
    assert_int_equal(lki_load_relaxed(&t.other->request), 0);
    lki_leave(t.other);
    lki_store_relaxed(&t.other->request, 2);
    (void)lki_reclaim_now(t.own);
    assert_int_equal(disposed(), 6);
    assert_int_equal(lki_load_relaxed(&t.other->request), 2);
    lki_store_relaxed(&t.other->request, 0);
    (void)lki_reclaim_now(t.own);
    assert_int_equal(disposed(), 12);
    end();
}

static void
rounds_of_upkeep(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        upkeep(t.own);
        lki_reclaim_portion(t.own, 0);
    }
}

/* A look at it, and one at the thief itself. */
enum { LOOK_ROUNDS = 2 * STEAL_EVERY };

static void
test_upkeep_takes_from_who_is_idle_only(void **state)
{
    (void)state;
    begin(LARGE);
    for (int i = 0; i < 6; i++) {
        retire(t.other, 1, 8, true);
        rounds_of_upkeep(LOOK_ROUNDS);
        assert_non_null(t.other->slots[0].sealed);
    }
    assert_int_equal(disposed(), 0);
    rounds_of_upkeep(2 * LOOK_ROUNDS);
    assert_int_equal(disposed(), 6);
    end();
}

/* ---- what meets a thief, at each of its steps ---- */

static void
other_retires(void)
{
    retire(t.other, 2, 8, false);
}

static void
other_enters(void)
{
    lki_enter(t.other);
}

static void
test_garbage_comes_back_whenever_its_owner_comes_or_leaves(void **state)
{
    (void)state;
    lki_yield_hook = yields;
    for (int comes = 0; comes < 2; comes++) {
        bool met = true;
        long at = 0;
        for (; met; at++) {
            begin(LARGE);
            other_fills_both_slots();
            if (!comes)
                lki_enter(t.other);
            t.yields_left = at;
            t.meets = comes ? other_enters : other_leaves;
            rounds_of_upkeep(4 * LOOK_ROUNDS);
            met = t.meets == NULL;
            t.meets = NULL;
            if (comes == met)
                lki_leave(t.other);
            rounds_of_upkeep(4 * LOOK_ROUNDS);
            assert_int_equal(disposed(), t.used);
            assert_int_equal(retired_bytes(), 0);
            end();
        }
        assert_true(at > 20);
    }
    lki_yield_hook = NULL;
}

static void
test_owner_writes_in_the_midst_of_a_theft(void **state)
{
    (void)state;
    lki_yield_hook = yields;
    bool met = true;
    long at = 0;
    for (; met; at++) {
        begin(LARGE);
        other_retires();
        t.yields_left = at;
        t.meets = other_retires;
        (void)lki_reclaim_now(t.own);
        met = t.meets == NULL;
        t.meets = NULL;
        for (int i = 0; i < 3; i++)
            (void)lki_reclaim_now(t.own);
        assert_int_equal(disposed(), t.used);
        assert_int_equal(retired_bytes(), 0);
        assert_int_equal(lki_load_relaxed(&t.other->open_bytes), 0);
        end();
    }
    lki_yield_hook = NULL;
    assert_true(at > 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owner_keeps_off_the_slot_that_a_thief_has),
        cmocka_unit_test(test_thief_takes_both_slots_of_who_is_outside),
        cmocka_unit_test(test_upkeep_takes_from_who_is_idle_only),
        cmocka_unit_test(test_garbage_comes_back_whenever_its_owner_comes_or_leaves),
        cmocka_unit_test(test_owner_writes_in_the_midst_of_a_theft),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    end_if_failed();
    return failed;
}
