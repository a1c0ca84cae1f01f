/* SPDX-License-Identifier: MIT
 *
 * What the report computes and how it writes: the fit of the scalability law, numbers for people,
 * escapes. How the page looks is for tests/bench/report.
 */
#include "page/fit.h"
#include "page/page.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double threads[] = {1, 2, 4, 8, 16};

/* Rates that follow the law, each off by a factor of 1 + error or 1 - error in turn. */
static void
rates_make(double lambda, double sigma, double kappa, double error, double *rates)
{
    for (size_t i = 0; i < 5; i++) {
        double n = threads[i];
        rates[i] = lambda * n / (1 + sigma * (n - 1) + kappa * n * (n - 1));
        rates[i] *= 1 + (i % 2 == 0 ? error : -error);
    }
}

static void
test_fit_exact_rates_gives_their_terms(void **state)
{
    static const double terms[][3] = {{1e7, 0.05, 0.01}, {2e6, 0.25, 0}, {5e5, 0, 0},
                                      {3e6, 0, 0.02},    {1e6, 1, 0},    {1e6, 1, 0.3}};
    double rates[5];
    struct fit fit;

    (void)state;
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
        rates_make(terms[i][0], terms[i][1], terms[i][2], 0, rates);
        assert_true(fit_rates(threads, rates, 5, &fit));
        assert_true(fabs(fit.lambda / terms[i][0] - 1) < 1e-6);
        assert_true(fabs(fit.sigma - terms[i][1]) < 1e-6);
        assert_true(fabs(fit.kappa - terms[i][2]) < 1e-6);
        assert_true(fit.r2 > 0.999999);
    }
}

static void
test_fit_rough_rates_is_near_and_within_bounds(void **state)
{
    double rates[5];
    struct fit fit;

    (void)state;
    rates_make(1e7, 0.05, 0.01, 0.03, rates);
    assert_true(fit_rates(threads, rates, 5, &fit));
    assert_true(fabs(fit.lambda / 1e7 - 1) < 0.06);
    assert_true(fit.sigma >= 0 && fit.sigma < 0.15 && fit.kappa > 0.005 && fit.kappa < 0.02);
    assert_true(fit.r2 > 0.95 && fit.r2 < 1);
    /* Better than in step with the threads, and worse than one thread: the bounds hold. */
    for (size_t i = 0; i < 5; i++)
        rates[i] = 1e6 * pow(threads[i], 1.2);
    assert_true(fit_rates(threads, rates, 5, &fit));
    assert_true(fit.sigma == 0 && fit.kappa == 0);
    for (size_t i = 0; i < 5; i++)
        rates[i] = 1e6 / threads[i];
    assert_true(fit_rates(threads, rates, 5, &fit));
    assert_true(fit.sigma <= 1 && fit.kappa > 0);
    assert_true(fit_peak(&fit) == 1);
}

static void
test_fit_peak_is_where_the_rate_is_highest(void **state)
{
    struct fit fit = {1e7, 0.05, 0.01, 1};
    double peak = fit_peak(&fit);

    (void)state;
    assert_true(fit_rate(&fit, peak) > fit_rate(&fit, peak * 1.01));
    assert_true(fit_rate(&fit, peak) > fit_rate(&fit, peak * 0.99));
    fit.kappa = 0;
    assert_true(fit_peak(&fit) == 0);
}

static void
test_fit_few_points_is_refused(void **state)
{
    double rates[5];
    struct fit fit;

    (void)state;
    rates_make(1e7, 0.05, 0.01, 0, rates);
    assert_false(fit_rates(threads, rates, FIT_LEAST - 1, &fit));
    assert_true(fit_rates(threads, rates, FIT_LEAST, &fit));
}

#define NARROW "\u202f"

static void
test_text_numbers_have_three_digits(void **state)
{
    (void)state;
    assert_string_equal(text_number(0).s, "0");
    assert_string_equal(text_number(8.149).s, "8.15");
    assert_string_equal(text_number(9.996).s, "10.0");
    assert_string_equal(text_number(149.6).s, "150");
    assert_string_equal(text_number(1459.6).s, "1,460");
    assert_string_equal(text_number(NAN).s, "–");
    assert_string_equal(text_short(60).s, "60");
    assert_string_equal(text_short(1500000).s, "1.5" NARROW "M");
    assert_string_equal(text_count(12345678).s, "12,345,678");
    assert_string_equal(text_count(UINT64_MAX).s, "18,446,744,073,709,551,615");
    assert_string_equal(text_ratio(0.0671).s, "0.067");
    assert_string_equal(text_ratio(11.66).s, "11.7");
    assert_string_equal(text_share(0.05).s, "5" NARROW "%");
    assert_string_equal(text_share(1.866).s, "187" NARROW "%");
    assert_string_equal(text_duration(190).s, "190" NARROW "ns");
    assert_string_equal(text_duration(1148).s, "1.15" NARROW "µs");
    assert_string_equal(text_duration(2e10).s, "20" NARROW "s");
    assert_string_equal(text_bytes(25276510208).s, "23.5" NARROW "GiB");
}

static void
test_page_texts_are_escaped_and_markup_is_not(void **state)
{
    char *text = NULL;
    size_t size;
    struct page page = {.out = open_memstream(&text, &size)};

    (void)state;
    assert_non_null(page.out);
    page_print(&page, "<b title=\"%s\">%u %5.2f%% %zu %llu %c %s</b>", "a\"b'c\001", 7u, 1.5,
               (size_t)8, 9ull, 'x', "</b><script>&");
    page_print(&page, "%f", (double)INFINITY);
    fclose(page.out);
    assert_string_equal(text, "<b title=\"a&quot;b&#39;c \">7  1.50% 8 9 x "
                              "&lt;/b&gt;&lt;script&gt;&amp;</b>0.000000");
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fit_exact_rates_gives_their_terms),
        cmocka_unit_test(test_fit_rough_rates_is_near_and_within_bounds),
        cmocka_unit_test(test_fit_peak_is_where_the_rate_is_highest),
        cmocka_unit_test(test_fit_few_points_is_refused),
        cmocka_unit_test(test_text_numbers_have_three_digits),
        cmocka_unit_test(test_page_texts_are_escaped_and_markup_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
