/* SPDX-License-Identifier: MIT
 *
 * The histogram holds its error bound, for single values and for percentiles of many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "driver/random.h"
#include "record/histogram.h"

#define SAMPLES 50000

static struct histogram histogram, other;

static size_t
bucket_filled(void)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (histogram.buckets[i] != 0)
            return i;
    fail_msg("no bucket");
    return 0;
}

static void
error_assert(uint64_t is, uint64_t should)
{
    double off = fabs((double)is - (double)should);

    if (off > HISTOGRAM_ERROR * (double)should)
        fail_msg("%llu stands for %llu", (unsigned long long)is, (unsigned long long)should);
}

/* A random value of a random length in bits. */
static uint64_t
value_draw(struct random_state *random)
{
    return random_next(random) >> (63 - random_below(random, HISTOGRAM_VALUE_BITS));
}

static void
test_histogram_any_value_stands_within_the_bound(void **state)
{
    struct random_state random;

    (void)state;
    random_seed(&random, 3);
    for (unsigned round = 0; round < 5000; round++) {
        uint64_t value = round < 600 ? round : value_draw(&random);
        if (value >> HISTOGRAM_VALUE_BITS != 0)
            continue;
        memset(&histogram, 0, sizeof histogram);
        histogram_add(&histogram, value);
        size_t bucket = bucket_filled();
        error_assert(histogram_value(bucket), value);
        assert_true(histogram_value_highest(bucket) >= value);
        assert_int_equal(histogram.maximum, value);
        assert_int_equal(histogram_percentile(&histogram, 1), value);
    }
}

static void
test_histogram_every_bucket_counts_its_own_value_and_its_highest(void **state)
{
    (void)state;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        memset(&histogram, 0, sizeof histogram);
        histogram_add(&histogram, histogram_value(i));
        histogram_add_many(&histogram, histogram_value_highest(i), 2);
        assert_int_equal(histogram.buckets[i], 3);
        if (i + 1 == HISTOGRAM_BUCKETS)
            continue;
        histogram_add(&histogram, histogram_value_highest(i) + 1);
        assert_int_equal(histogram.buckets[i + 1], 1);
    }
}

static void
test_histogram_value_too_long_counts_in_the_last_bucket(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(histogram.buckets[HISTOGRAM_BUCKETS - 1], 1);
    assert_true(histogram.maximum == UINT64_MAX);
}

static int
value_compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

static void
test_histogram_percentiles_of_merged_halves_are_within_the_bound(void **state)
{
    static uint64_t values[SAMPLES];
    static const double fractions[] = {0, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999};
    struct random_state random;
    double sum = 0, mean, deviation;

    (void)state;
    random_seed(&random, 5);
    memset(&histogram, 0, sizeof histogram);
    memset(&other, 0, sizeof other);
    for (size_t i = 0; i < SAMPLES; i++) {
        values[i] = value_draw(&random) >> 8;
        sum += (double)values[i];
        histogram_add(i % 2 == 0 ? &histogram : &other, values[i]);
    }
    histogram_merge(&histogram, &other);
    qsort(values, SAMPLES, sizeof *values, value_compare);
    assert_int_equal(histogram.total, SAMPLES);
    assert_int_equal(histogram.maximum, values[SAMPLES - 1]);
    for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++)
        error_assert(histogram_percentile(&histogram, fractions[i]),
                     values[(size_t)(SAMPLES * fractions[i])]);
    histogram_moments(&histogram, &mean, &deviation);
    assert_true(fabs(mean - sum / SAMPLES) <= HISTOGRAM_ERROR * sum / SAMPLES);
    assert_true(deviation > 0);
}

static void
test_histogram_without_samples_says_zero(void **state)
{
    double mean, deviation;

    (void)state;
    memset(&histogram, 0, sizeof histogram);
    histogram_add_many(&histogram, 77, 0);
    assert_int_equal(histogram_percentile(&histogram, 0.5), 0);
    histogram_moments(&histogram, &mean, &deviation);
    assert_true(mean == 0 && deviation == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram_any_value_stands_within_the_bound),
        cmocka_unit_test(test_histogram_every_bucket_counts_its_own_value_and_its_highest),
        cmocka_unit_test(test_histogram_value_too_long_counts_in_the_last_bucket),
        cmocka_unit_test(test_histogram_percentiles_of_merged_halves_are_within_the_bound),
        cmocka_unit_test(test_histogram_without_samples_says_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
