/* SPDX-License-Identifier: MIT
 *
 * What is drawn has the distribution that was asked for: chi-square against the exact
 * probabilities, with a seed, so that it holds always or never. And the twin: against the
 * probabilities of a slightly different distribution the same draws fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "driver/random.h"

enum { BOUND = 100, DRAWS = 200000 };

/* The quantile 0.999 of chi-square with BOUND - 1 degrees of freedom. */
#define CHI_SQUARE_MOST 148.2

static uint32_t drawn[DRAWS];
static double seen[BOUND], expected[BOUND];

/* Draws, and counts by rank. */
static void
draws_count(const char *text, uint64_t seed)
{
    struct distribution distribution;
    size_t rank_of[BOUND];

    assert_true(distribution_parse(text, &distribution));
    distribution_draw(&distribution, seed, BOUND, drawn, DRAWS);
    for (size_t rank = 0; rank < BOUND; rank++)
        rank_of[distribution.kind == DISTRIBUTION_UNIFORM ? rank : random_scatter(rank, BOUND)] =
            rank;
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < DRAWS; i++) {
        assert_in_range(drawn[i], 0, BOUND - 1);
        seen[rank_of[drawn[i]]]++;
    }
}

static double
zipf_chi_square(double theta)
{
    double all = 0, sum = 0;

    for (size_t i = 0; i < BOUND; i++)
        all += expected[i] = pow((double)(i + 1), -theta);
    for (size_t i = 0; i < BOUND; i++) {
        double wanted = expected[i] / all * DRAWS;
        sum += (seen[i] - wanted) * (seen[i] - wanted) / wanted;
    }
    return sum;
}

static void
test_zipf_draws_have_their_distribution_and_no_other(void **state)
{
    static const struct {
        const char *text;
        double theta, near;
    } cases[] = {{"zipf:0.5", 0.5, 0.52},
                 {"zipf:0.99", 0.99, 0.97},
                 {"zipf:1", 1, 1.02},
                 {"zipf:1.5", 1.5, 1.47}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            draws_count(cases[i].text, seed);
            assert_true(zipf_chi_square(cases[i].theta) < CHI_SQUARE_MOST);
            assert_true(zipf_chi_square(cases[i].near) > CHI_SQUARE_MOST);
        }
}

static void
test_uniform_draws_are_alike(void **state)
{
    (void)state;
    draws_count("uniform", 1);
    assert_true(zipf_chi_square(0) < CHI_SQUARE_MOST);
    assert_true(zipf_chi_square(0.03) > CHI_SQUARE_MOST);
}

static void
test_hot_draws_are_of_the_hot_keys_alike(void **state)
{
    double sum = 0;

    (void)state;
    draws_count("hot:4", 1);
    for (size_t i = 0; i < BOUND; i++) {
        double wanted = i < 4 ? DRAWS / 4.0 : 0;
        if (i >= 4)
            assert_true(seen[i] == 0);
        else
            sum += (seen[i] - wanted) * (seen[i] - wanted) / wanted;
    }
    assert_true(sum < 16.3); /* quantile 0.999, 3 degrees of freedom */
}

static void
test_draws_of_one_seed_are_the_same_of_another_are_not(void **state)
{
    static uint32_t again[DRAWS];
    struct distribution distribution;

    (void)state;
    draws_count("zipf:0.99", 7);
    assert_true(distribution_parse("zipf:0.99", &distribution));
    distribution_draw(&distribution, 7, BOUND, again, DRAWS);
    assert_memory_equal(drawn, again, sizeof drawn);
    distribution_draw(&distribution, 8, BOUND, again, DRAWS);
    assert_true(memcmp(drawn, again, sizeof drawn) != 0);
}

static void
test_distribution_bad_text_is_refused(void **state)
{
    static const char *const bad[] = {"",        "zipf", "zipf:", "zipf:0", "zipf:5",
                                      "zipf:1x", "hot:", "hot:0", "hot:2x", "uniform:1"};
    struct distribution distribution;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(distribution_parse(bad[i], &distribution));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zipf_draws_have_their_distribution_and_no_other),
        cmocka_unit_test(test_uniform_draws_are_alike),
        cmocka_unit_test(test_hot_draws_are_of_the_hot_keys_alike),
        cmocka_unit_test(test_draws_of_one_seed_are_the_same_of_another_are_not),
        cmocka_unit_test(test_distribution_bad_text_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
