/* SPDX-License-Identifier: MIT
 *
 * Area: figures. What calls count that a script cannot make: a wait, a sweep in steps.
 */
#include "suite.h"

/* Pulls that found no job, each once: without a wait, with one, and at the end of a closed
 * queue. */
static void
test_statistics_count_each_empty_pull_once(rig *r)
{
    waiter w;
    lkc_push_delayed(r->db, "q", NULL, "much later", LK_HOURS(24000));
    assert_empty(r, "q");
    assert_int_equal(lkc_stats(r->db, "q").empty_pulls, 1);
    lkc_wait_begin(&w, r, "q", 20);
    assert_status(LK_TIMED_OUT, lkc_wait_end(&w, 6));
    lk_result_free(w.result);
    assert_int_equal(lkc_stats(r->db, "q").empty_pulls, 2);
    assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), NULL));
    assert_status(LK_OK, lk_queue_close(r->db, lk_string("q")));
    assert_status(LK_CLOSED, lkc_try_pull(r->db, r->result, "q", NULL));
    assert_int_equal(lkc_stats(r->db, "q").empty_pulls, 3);
}

/* latchkey.h: "stops soon after `max_items` were taken out. `swept`: how many." */
static void
test_sweep_says_how_many_it_took_out(rig *r)
{
    enum { COUNT_EXPIRED = 10 };
    size_t swept = 77, all = 0;
    for (uint64_t i = 0; i < COUNT_EXPIRED; i++) {
        lk_item item = {.key = lkc_numbered("a", i), .data = lk_string("x")};
        item.expires_at_ms = lkc_now(r) + 1000;
        assert_status(LK_OK, lk_set(r->db, &item, 1));
    }
    lkc_set(r, "a", "stays", "x");
    assert_status(LK_OK, lk_sweep(r->db, 0, &swept));
    assert_int_equal(swept, 0);
    lkc_advance(r, 1001);
    for (int turn = 0; turn < 100 && swept + all < COUNT_EXPIRED; turn++) {
        assert_status(LK_OK, lk_sweep(r->db, 0, &swept));
        all += swept;
        swept = 0;
    }
    assert_int_equal(all,
                     COUNT_EXPIRED); /* nothing was written meanwhile, so nobody else took them */
    assert_status(LK_OK, lk_sweep(r->db, 0, &swept));
    assert_int_equal(swept, 0);
    assert_holds(r, lk_key_of("a", "stays"), "x");
}

static const lkc_case cases[] = {
    CASE(test_statistics_count_each_empty_pull_once, LK_HAS_QUEUES),
    CASE(test_sweep_says_how_many_it_took_out, LK_HAS_SWEEP),
};
AREA(lkc_figures_area, cases);
