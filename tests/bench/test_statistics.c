/* SPDX-License-Identifier: MIT
 *
 * Medians, spreads and fairness; the U-test against published and computed values, and against a
 * count of all ways to split small groups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "random.h"
#include "record.h"
#include "statistics.h"

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

/* Groups that do not overlap: 2 of all ways to choose. */
static void
test_u_test_groups_apart_gives_two_of_all_ways(void **state)
{
    static const double low[] = {1, 2, 3, 4, 5}, high[] = {6, 7, 8, 9, 10};

    (void)state;
    close_assert(statistics_u_test(low, 3, high, 3), 2.0 / 20);
    close_assert(statistics_u_test(low, 4, high, 4), 2.0 / 70);
    close_assert(statistics_u_test(high, 5, low, 5), 2.0 / 252);
    close_assert(statistics_u_test(low, 3, high, 5), 2.0 / 56);
    close_assert(statistics_u_test_least(5, 5), 2.0 / 252);
    close_assert(statistics_u_test_least(3, 5), 2.0 / 56);
    close_assert(statistics_u_test_least(1, 1), 1);
    close_assert(statistics_u_test(low, 0, high, 5), 1);
}

/* Ages at diagnosis of diabetes, the example of scipy.stats.mannwhitneyu: p = 0.1111 exactly. */
static void
test_u_test_published_example_gives_its_p(void **state)
{
    static const double left[] = {19, 22, 16, 29, 24}, right[] = {20, 11, 17, 12};

    (void)state;
    close_assert(statistics_u_test(left, COUNT(left), right, COUNT(right)), 1.0 / 9);
    close_assert(statistics_u_test(right, COUNT(right), left, COUNT(left)), 1.0 / 9);
}

/* Twice the sum of ranks of the numbers whose bits are set; ties share their mean. */
static unsigned
halves_sum(const double *numbers, size_t count, unsigned chosen)
{
    unsigned sum = 0;

    for (size_t i = 0; i < count; i++) {
        if ((chosen >> i & 1) == 0)
            continue;
        for (size_t j = 0; j < count; j++)
            sum += numbers[j] < numbers[i] ? 2 : numbers[j] > numbers[i] ? 0 : 1;
        sum += 1;
    }
    return sum;
}

static double
counted_p(const double *numbers, size_t count, size_t left)
{
    int expected = (int)(left * (count + 1)), seen, far = 0, all = 0;

    seen = (int)halves_sum(numbers, count, (1u << left) - 1);
    for (unsigned chosen = 0; chosen < 1u << count; chosen++) {
        if ((size_t)__builtin_popcount(chosen) != left)
            continue;
        int sum = (int)halves_sum(numbers, count, chosen);
        far += abs(sum - expected) >= abs(seen - expected);
        all++;
    }
    return (double)far / all;
}

static void
test_u_test_small_groups_agree_with_a_count_of_all_ways(void **state)
{
    struct random_state random;
    double numbers[10];

    (void)state;
    random_seed(&random, 11);
    for (unsigned round = 0; round < 400; round++) {
        size_t left = 1 + random_below(&random, 5), right = 1 + random_below(&random, 5);
        /* Few different numbers: many ties. */
        for (size_t i = 0; i < left + right; i++)
            numbers[i] = random_below(&random, round % 2 == 0 ? 4 : 1000);
        close_assert(statistics_u_test(numbers, left, numbers + left, right),
                     counted_p(numbers, left + right, left));
    }
}

/* Above 40 numbers the normal approximation. The exact values were counted by a program of its own:
 * 0, 2, ... 58 against 25 numbers from 2 * shift + 1 on, two apart. */
static void
test_u_test_large_groups_are_near_the_exact_p(void **state)
{
    static const struct {
        unsigned shift;
        double exact;
    } cases[] = {{0, 0.405798}, {3, 0.681174}, {5, 0.209753}, {8, 0.014432}, {12, 0.000105}};
    double left[30], right[30];

    (void)state;
    for (size_t c = 0; c < COUNT(cases); c++) {
        for (unsigned i = 0; i < 30; i++) {
            left[i] = 2 * i;
            right[i] = 2 * (i + cases[c].shift) + 1;
        }
        double p = statistics_u_test(left, 30, right, 25);
        if (fabs(p - cases[c].exact) > 0.004)
            fail_msg("shift %u: %f instead of %f", cases[c].shift, p, cases[c].exact);
    }
    for (unsigned i = 0; i < 30; i++)
        right[i] = 1000 + i;
    assert_true(statistics_u_test(left, 30, right, 30) < 1e-9);
    assert_true(statistics_u_test(left, 30, left, 30) > 0.99);
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
        cmocka_unit_test(test_u_test_groups_apart_gives_two_of_all_ways),
        cmocka_unit_test(test_u_test_published_example_gives_its_p),
        cmocka_unit_test(test_u_test_small_groups_agree_with_a_count_of_all_ways),
        cmocka_unit_test(test_u_test_large_groups_are_near_the_exact_p),
        cmocka_unit_test(test_fairness_even_uneven_and_idle_threads_give_jain_and_slowest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
