/* SPDX-License-Identifier: MIT
 *
 * The store against the reference model, under long random streams of all calls: see
 * support/items_rig.h. LK_TEST_SEED repeats a failure.
 */
#include "support/items_rig.h"

static void
test_store_under_random_calls_equals_the_model(void **state)
{
    (void)state;
    static items_rig r;
    lk_memory_options options = items_rig_options(0, ITEMS_REFRESH_MS);
    items_rig_open(&r, kit_random_of(1), &options);
    items_rig_run(&r, test_scaled(700000));
    items_rig_close(&r);
}

static void
test_store_of_one_shard_under_random_calls_equals_the_model(void **state)
{
    (void)state;
    static items_rig r;
    lk_memory_options options = items_rig_options(1, ITEMS_REFRESH_MS);
    items_rig_open(&r, kit_random_of(2), &options);
    items_rig_run(&r, test_scaled(250000));
    items_rig_close(&r);
}

static void
test_store_that_never_renews_under_random_calls_equals_the_model(void **state)
{
    (void)state;
    static items_rig r;
    lk_memory_options options = items_rig_options(4, -1);
    items_rig_open(&r, kit_random_of(3), &options);
    items_rig_run(&r, test_scaled(150000));
    items_rig_close(&r);
}

static void
test_many_short_lives_of_stores_equal_the_model(void **state)
{
    (void)state;
    static items_rig r;
    for (uint64_t life = 0; life < test_scaled(300); life++) {
        lk_memory_options options = items_rig_options((size_t)1 << life % 7, ITEMS_REFRESH_MS);
        items_rig_open(&r, kit_random_of(1000 + life), &options);
        items_rig_run(&r, 60);
        items_rig_close(&r);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_under_random_calls_equals_the_model),
        cmocka_unit_test(test_store_of_one_shard_under_random_calls_equals_the_model),
        cmocka_unit_test(test_store_that_never_renews_under_random_calls_equals_the_model),
        cmocka_unit_test(test_many_short_lives_of_stores_equal_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
