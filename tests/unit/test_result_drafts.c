/* SPDX-License-Identifier: MIT
 *
 * Drafts of results: holes and items that an adapter adds, one by one, while the memory behind them moves.
 */
#include <latchkey/adapter.h>

#include "support/kit.h"

/* Holes at the positions whose bit is set. */
static void
test_draft_that_grows_keeps_holes_and_items(void **state)
{
    enum { COUNT = 6 };
    static char data[COUNT][400];
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        memset(data[i], (int)('a' + i), i * 70);
    for (unsigned holes = 0; holes < 1U << COUNT; holes++) {
        lk_result *result = lk_result_new();
        assert_non_null(result);
        for (int turn = 0; turn < 3; turn++) {
            lk_result_draft(result);
            for (size_t i = 0; i < COUNT; i++) {
                lk_item item = kit_item("p", i % 2 != 0 ? "" : "s", data[i]);
                assert_status(LK_OK, lk_result_add(result, (holes >> i & 1) != 0 ? NULL : &item));
            }
            lk_result_publish(result);
            assert_int_equal(lk_result_count(result), COUNT);
            for (size_t i = 0; i < COUNT; i++) {
                const lk_item *item = lk_result_item(result, i);
                assert_int_equal(item == NULL, (int)(holes >> i & 1));
                assert_true(item == NULL || (kit_bytes_are(item->key.pk, "p") &&
                                             kit_bytes_are(item->key.sk, i % 2 != 0 ? "" : "s") &&
                                             kit_bytes_are(item->data, data[i])));
            }
        }
        lk_result_free(result);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draft_that_grows_keeps_holes_and_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
