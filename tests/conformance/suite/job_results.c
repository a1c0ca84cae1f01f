/* SPDX-License-Identifier: MIT
 *
 * Area: queues and the result that they fill: their input may lie in it.
 */
#include "suite.h"

static void
test_push_takes_its_jobs_from_the_result_that_it_fills(rig *r)
{
    lkc_set(r, "q", "own", "the data of an item that is somewhat longer than others");
    assert_status(LK_OK, lk_get(r->db, lk_key_of("q", "own"), r->result));
    for (int turn = 0; turn < 5; turn++) {
        lk_item item = *lk_result_item(r->result, 0);
        assert_status(LK_OK, lk_queue_push(r->db, &item, 1, NULL, r->result));
        assert_true(lkc_is(lk_result_item(r->result, 0)->key.sk, "own"));
    }
    assert_pull(r, "q", "the data of an item that is somewhat longer than others", NULL);
    assert_empty(r, "q");
}

static void
test_pull_takes_its_names_from_the_result_that_it_fills(rig *r)
{
    for (int i = 0; i < 4; i++)
        lkc_push(r->db, "q", NULL, "q");
    assert_pull(r, "q", "q", NULL);
    for (int i = 0; i < 3; i++) {
        lk_pull_options options = {.pk = lk_result_item(r->result, 0)->key.pk};
        assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
        assert_true(lkc_is(lk_result_item(r->result, 0)->key.pk, "q"));
        assert_int_equal(lk_result_claim(r->result, 0)->receives, 1);
    }
}

static const lkc_case cases[] = {
    CASE(test_push_takes_its_jobs_from_the_result_that_it_fills, LK_HAS_QUEUES),
    CASE(test_pull_takes_its_names_from_the_result_that_it_fills, LK_HAS_QUEUES),
};
AREA(lkc_job_results_area, cases);
