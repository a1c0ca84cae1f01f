/* SPDX-License-Identifier: MIT
 *
 * What a pull costs does not depend on how many jobs are in flight: counted in places and entries
 * that pulls look at, whatever the mix of claims, lapses, releases and delays.
 */
#include "support/kit.h"

enum { FEW = 100, MANY = 200000, BATCH = 1000, PULLS = 20000 };

static void
jobs_in_flight(kit *k, size_t count)
{
    lk_pull_options options = {
        .pk = lk_string("q"), .visibility_ms = LK_HOURS(1), .max_jobs = BATCH};
    lk_item job = kit_item("q", "", "x");
    for (size_t i = 0; i < count; i++)
        assert_int_equal(lk_queue_push(k->db, &job, 1, NULL, NULL), LK_OK);
    for (size_t taken = 0; taken < count; taken += lk_result_count(k->result))
        assert_int_equal(lk_queue_pull(k->db, &options, k->result), LK_OK);
}

/* Jobs come and go beside those in flight: most are acknowledged, some lapse, some are released at
 * once or with a delay, some come with a delay. How many places and entries a pull looked at, on
 * the average. */
static double
visits_per_pull(kit *k, bool mixed)
{
    uint64_t before = kit_statistics(k).slots_visited, pulls = 0;
    lk_item job = kit_item("q", "", "x");
    lk_push_options delayed = {.delay_ms = 7};
    for (size_t i = 0; i < PULLS; i++) {
        lk_pull_options options = {.pk = lk_string("q"), .visibility_ms = 50};
        assert_int_equal(lk_queue_push(k->db, &job, 1, mixed && i % 5 == 0 ? &delayed : NULL, NULL),
                         LK_OK);
        if (mixed && i % 4 == 0)
            kit_advance(k, 1);
        pulls++;
        if (lk_queue_pull(k->db, &options, k->result) != LK_OK)
            continue;
        const lk_claim *claim = lk_result_claim(k->result, 0);
        if (mixed && i % 7 == 0)
            assert_int_equal(lk_queue_release(k->db, claim, 0), LK_OK);
        else if (mixed && i % 11 == 0)
            assert_int_equal(lk_queue_release(k->db, claim, 9), LK_OK);
        else if (!mixed || i % 13 != 0)
            assert_int_equal(lk_queue_acknowledge(k->db, claim, 1), LK_OK);
    }
    return (double)(kit_statistics(k).slots_visited - before) / (double)pulls;
}

static double
measure(size_t in_flight, bool mixed)
{
    kit k;
    kit_open(&k, NULL);
    jobs_in_flight(&k, test_scaled(in_flight));
    double visits = visits_per_pull(&k, mixed);
    kit_close(&k);
    return visits;
}

static void
test_pull_looks_at_one_place_however_many_are_in_flight(void **state)
{
    (void)state;
    double few = measure(FEW, false), many = measure(MANY, false);
    assert_true(few < 2.5 && many < 2.5);
}

/* A look for what is due goes over one segment of 500 places; it is made when something is due. */
static void
test_pull_of_any_mix_looks_at_no_more_with_many_in_flight(void **state)
{
    (void)state;
    double few = measure(FEW, true), many = measure(MANY, true);
    print_message("per pull: %.1f with %d in flight, %.1f with %d\n", few, FEW, many, MANY);
    assert_true(many <= 1.3 * few + 10);
    assert_true(many < 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pull_looks_at_one_place_however_many_are_in_flight),
        cmocka_unit_test(test_pull_of_any_mix_looks_at_no_more_with_many_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
