/* SPDX-License-Identifier: MIT
 *
 * Queues against the reference model, under long random streams of all calls: see
 * support/queues_rig.h. LK_TEST_SEED repeats a failure.
 */
#include "support/queues_rig.h"

static void
test_short_queues_under_random_calls_equal_the_model(void **state)
{
    (void)state;
    static queues_rig r;
    queues_rig_open(&r, kit_random_of(11), 0, 8);
    queues_rig_run(&r, test_scaled(150000));
    queues_rig_close(&r);
}

static void
test_longer_queues_under_random_calls_equal_the_model(void **state)
{
    (void)state;
    static queues_rig r;
    queues_rig_open(&r, kit_random_of(12), 1, 60);
    queues_rig_run(&r, test_scaled(60000));
    queues_rig_close(&r);
}

static void
test_many_short_lives_of_queues_that_close_equal_the_model(void **state)
{
    (void)state;
    static queues_rig r;
    for (uint64_t life = 0; life < test_scaled(300); life++) {
        queues_rig_open(&r, kit_random_of(2000 + life), (size_t)1 << life % 7, 8);
        queues_rig_run(&r, 60);
        queues_rig_end(&r);
        queues_rig_run(&r, 60);
        queues_rig_close(&r);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_queues_under_random_calls_equal_the_model),
        cmocka_unit_test(test_longer_queues_under_random_calls_equal_the_model),
        cmocka_unit_test(test_many_short_lives_of_queues_that_close_equal_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
