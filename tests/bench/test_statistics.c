/* SPDX-License-Identifier: MIT
 *
 * Medians, spreads and fairness; when two groups of repeats are told apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "record/record.h"
#include "record/statistics.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void
close_assert(double is, double should)
{
    if (fabs(is - should) > 1e-9)
        fail_msg("%.12f instead of %.12f", is, should);
}

static void
test_median_of_odd_even_and_none_is_the_middle(void **state)
{
    static const double odd[] = {5, 1, 3}, even[] = {4, 1, 3, 2};

    (void)state;
    close_assert(statistics_median(odd, 3), 3);
    close_assert(statistics_median(even, 4), 2.5);
    close_assert(statistics_median(odd, 0), 0);
    close_assert(statistics_spread(odd, 3), 4.0 / 3);
    close_assert(statistics_spread(even, 0), 0);
}

static void
test_judge_says_more_only_where_nothing_speaks_against_it(void **state)
{
    static const double tens[] = {10, 10.1, 10.2, 10.3}, twelves[] = {12, 12.1, 12.2, 12.3};
    static const double wide[] = {11, 13, 14, 19}, touching[] = {10.3, 12, 12.5, 13};
    static const double near[] = {10.4, 10.4, 10.5, 10.5}, far[] = {8, 10, 10.4, 14};

    (void)state;
    assert_int_equal(statistics_judge(twelves, 4, tens, 4, 0), STATISTICS_MORE);
    assert_int_equal(statistics_judge(tens, 4, twelves, 4, 0), STATISTICS_LESS);
    assert_int_equal(statistics_judge(twelves, 4, tens, 4, 0.15), STATISTICS_MORE);
    assert_int_equal(statistics_judge(twelves, 4, tens, 4, 0.25), STATISTICS_UNCLEAR);
    assert_int_equal(statistics_judge(twelves, 3, tens, 3, 0), STATISTICS_TOO_FEW);
    assert_int_equal(statistics_judge(twelves, 1, tens, 1, 0), STATISTICS_TOO_FEW);
    assert_int_equal(statistics_judge(wide, 4, tens, 4, 0), STATISTICS_UNCLEAR);
    assert_int_equal(statistics_judge(touching, 4, tens, 4, 0), STATISTICS_UNCLEAR);
    assert_int_equal(statistics_judge(near, 4, tens, 4, 0), STATISTICS_ALIKE);
    assert_int_equal(statistics_judge(tens, 4, tens, 4, 0), STATISTICS_ALIKE);
    assert_int_equal(statistics_judge(far, 4, tens, 4, 0), STATISTICS_UNCLEAR);
}

static void
test_fairness_even_uneven_and_idle_threads_give_jain_and_slowest(void **state)
{
    static const uint64_t even[] = {7, 7, 7, 7}, one[] = {0, 9, 0, 0}, half[] = {1, 3};
    double jain, slowest;

    (void)state;
    record_fairness(even, 4, &jain, &slowest);
    close_assert(jain, 1);
    close_assert(slowest, 1);
    record_fairness(one, 4, &jain, &slowest);
    close_assert(jain, 0.25);
    close_assert(slowest, 0);
    record_fairness(half, 2, &jain, &slowest);
    close_assert(jain, 16.0 / 20);
    close_assert(slowest, 1.0 / 3);
    record_fairness(one, 1, &jain, &slowest);
    close_assert(jain, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median_of_odd_even_and_none_is_the_middle),
        cmocka_unit_test(test_judge_says_more_only_where_nothing_speaks_against_it),
        cmocka_unit_test(test_fairness_even_uneven_and_idle_threads_give_jain_and_slowest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
