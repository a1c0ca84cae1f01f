/* SPDX-License-Identifier: MIT
 *
 * Verdicts on two records, of simulated runs: what a change of latchkey is, and what the machine or
 * a rival did. Nothing is measured here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "driver/random.h"
#include "record/compare.h"
#include "record/record.h"

enum { REPEATS = 5, ROWS = 20, RUNS = 400 };

static struct record_row *
row_add(struct record *record, const char *workload, const char *contender, const double *rates,
        unsigned repeats)
{
    struct record_row *row = record_row(record, workload, contender, 2);

    row->planned = row->repeats = repeats;
    memcpy(row->rates, rates, repeats * sizeof *rates);
    for (unsigned i = 0; i < repeats; i++)
        row->latencies[i] = (struct record_latency){.p99 = (uint64_t)(1e9 / rates[i])};
    record_summarise(row, 2);
    return row;
}

/* Repeats of `rate`, + 1, + 2, ... */
static struct record_row *
row_steady(struct record *record, const char *contender, double rate, unsigned repeats)
{
    double rates[REPEATS];

    for (unsigned i = 0; i < repeats; i++)
        rates[i] = rate + i;
    return row_add(record, "get", contender, rates, repeats);
}

/* The verdict on latchkey where it has the rates `is` and had `was`, and one rival likewise. */
static enum record_verdict
verdict_of(double is, unsigned repeats, double was, double rival_is, double rival_was)
{
    struct record now = {0}, before = {0};

    row_steady(&now, "latchkey", is, repeats);
    row_steady(&before, "latchkey", was, REPEATS);
    if (rival_is > 0)
        row_steady(&now, "mutex", rival_is, REPEATS);
    if (rival_was > 0)
        row_steady(&before, "mutex", rival_was, REPEATS);
    compare_records(&now, &before);
    enum record_verdict verdict = now.rows[0]->comparison.verdict;
    if (now.row_count > 1 && before.row_count > 1)
        assert_int_equal(now.rows[1]->comparison.verdict, RECORD_RIVAL);
    record_close(&now);
    record_close(&before);
    return verdict;
}

static void
test_compare_a_change_of_latchkey_alone_is_a_verdict(void **state)
{
    (void)state;
    assert_int_equal(verdict_of(1000, 5, 2000, 3000, 3000), RECORD_REGRESSED);
    assert_int_equal(verdict_of(900, 5, 1000, 3000, 3010), RECORD_REGRESSED);
    assert_int_equal(verdict_of(2000, 5, 1000, 3000, 3000), RECORD_IMPROVED);
    assert_int_equal(verdict_of(1000, 5, 1000, 3000, 3000), RECORD_NO_CHANGE);
    assert_int_equal(verdict_of(1000, 5, 1020, 3000, 3000), RECORD_NO_CHANGE);
    assert_int_equal(verdict_of(1000, 3, 2000, 3000, 3000), RECORD_TOO_FEW);
    assert_int_equal(verdict_of(1000, 0, 2000, 3000, 3000), RECORD_NOT_COMPARED);
}

static void
test_compare_a_slower_machine_is_no_verdict(void **state)
{
    (void)state;
    assert_int_equal(verdict_of(700, 5, 1000, 2100, 3000), RECORD_NO_CHANGE);
    assert_int_equal(verdict_of(1000, 5, 700, 3000, 2100), RECORD_NO_CHANGE);
    assert_int_equal(verdict_of(600, 5, 1000, 2100, 3000), RECORD_UNCLEAR);
    assert_int_equal(verdict_of(1000, 5, 1000, 9000, 3000), RECORD_UNCLEAR); /* a rival's luck */
    assert_int_equal(verdict_of(1000, 5, 2000, 0, 3000), RECORD_NO_RIVAL);
    assert_int_equal(verdict_of(1000, 5, 2000, 3000, 0), RECORD_NO_RIVAL);
}

/* A number near 1: each step multiplies by up to 1 + wide, or divides. */
static double
noise(struct random_state *random, double wide)
{
    double exponent = 0;

    for (int i = 0; i < 3; i++)
        exponent += 2 * random_unit(random) - 1;
    return pow(1 + wide, exponent / 1.7);
}

/* One run of one program: each row has its rate, the machine is slower or faster as a whole
 * (`run`), now and then (`slow`: repeats of a row at once), and in each repeat (`each`). */
static void
run_simulate(struct record *record, struct random_state *random, double run, double slow,
             double each, double latchkey)
{
    static const char *const contenders[] = {"latchkey", "mutex", "striped"};
    double whole = noise(random, run), rates[REPEATS];
    char name[16];

    for (unsigned row = 0; row < ROWS; row++) {
        double moment = noise(random, slow);
        snprintf(name, sizeof name, "w%u", row);
        for (unsigned i = 0; i < 3; i++) {
            for (unsigned j = 0; j < REPEATS; j++)
                rates[j] = 1e6 * (row + 1) * (i + 1) * whole * moment * noise(random, each) *
                           (i == 0 ? latchkey : 1);
            row_add(record, name, contenders[i], rates, REPEATS);
        }
    }
}

static unsigned
rows_count(const struct record *record, enum record_verdict verdict)
{
    unsigned count = 0;

    for (size_t i = 0; i < record->row_count; i++)
        count += record->rows[i]->comparison.verdict == verdict;
    return count;
}

static void
test_compare_two_runs_of_one_program_never_regressed(void **state)
{
    static const struct {
        double run, slow, each;
    } machines[] = {{0.01, 0.01, 0.01}, {0.2, 0.02, 0.02}, {0.5, 0.3, 0.1},
                    {0.02, 0.5, 0.3},   {1, 0.05, 0.05},   {0.1, 0.1, 1}};
    struct random_state random;

    (void)state;
    random_seed(&random, 20);
    for (size_t machine = 0; machine < sizeof machines / sizeof *machines; machine++)
        for (unsigned i = 0; i < RUNS / 4; i++) {
            struct record now = {0}, before = {0};
            run_simulate(&before, &random, machines[machine].run, machines[machine].slow,
                         machines[machine].each, 1);
            run_simulate(&now, &random, machines[machine].run, machines[machine].slow,
                         machines[machine].each, 1);
            compare_records(&now, &before);
            if (rows_count(&now, RECORD_REGRESSED) + rows_count(&now, RECORD_IMPROVED) != 0)
                fail_msg("machine %zu, pair %u: %u rows regressed, %u improved", machine, i,
                         rows_count(&now, RECORD_REGRESSED), rows_count(&now, RECORD_IMPROVED));
            compare_records(&now, &now);
            assert_int_equal(rows_count(&now, RECORD_NO_CHANGE), ROWS);
            record_close(&now);
            record_close(&before);
        }
}

/* It can be seen where it is there: 20 % on a machine that is not perfect. */
static void
test_compare_a_slower_program_regressed(void **state)
{
    struct random_state random;
    struct record now = {0}, before = {0};

    (void)state;
    random_seed(&random, 21);
    run_simulate(&before, &random, 0.02, 0.01, 0.01, 1);
    run_simulate(&now, &random, 0.02, 0.01, 0.01, 0.8);
    compare_records(&now, &before);
    assert_int_equal(rows_count(&now, RECORD_REGRESSED), ROWS);
    compare_records(&before, &now);
    assert_int_equal(rows_count(&before, RECORD_IMPROVED), ROWS);
    record_close(&now);
    record_close(&before);
}

static void
test_compare_status_fails_above_the_limit_only(void **state)
{
    struct record now = {0}, before = {0};

    (void)state;
    row_steady(&now, "latchkey", 900, 5);
    row_steady(&now, "mutex", 1000, 5);
    row_steady(&before, "latchkey", 1000, 5);
    row_steady(&before, "mutex", 1000, 5);
    compare_records(&now, &before);
    assert_int_equal(compare_status(&now, -1), STATUS_OK);
    assert_int_equal(compare_status(&now, 0.05), STATUS_WORSE);
    assert_int_equal(compare_status(&now, 0.2), STATUS_OK);
    assert_int_equal(compare_status(&before, 0.05), STATUS_USAGE); /* was compared with nothing */
    record_close(&now);
    record_close(&before);
}

/* One program on a busy machine: nothing is shown, so nothing has failed. */
static void
test_compare_status_of_what_is_unclear_is_no_failure(void **state)
{
    static const double fast[] = {1000, 1900, 1400, 700, 1600}, slow[] = {300, 900, 500, 1200, 400};
    struct record now = {0}, before = {0};

    (void)state;
    row_add(&now, "get", "latchkey", slow, REPEATS);
    row_add(&now, "get", "mutex", fast, REPEATS);
    row_add(&before, "get", "latchkey", fast, REPEATS);
    row_add(&before, "get", "mutex", slow, REPEATS);
    compare_records(&now, &before);
    assert_int_equal(now.rows[0]->comparison.verdict, RECORD_UNCLEAR);
    assert_int_equal(compare_status(&now, 0), STATUS_OK);
    record_close(&now);
    record_close(&before);
}

/* A rival that became slower, or faster, is nobody's failure. */
static void
test_compare_status_leaves_rivals_out(void **state)
{
    struct record now = {0}, before = {0};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        row_steady(i == 0 ? &now : &before, "latchkey", 1000, 5);
        row_steady(i == 0 ? &now : &before, "mutex", i == 0 ? 100 : 1000, 5);
        row_steady(i == 0 ? &now : &before, "striped", 1000, 5);
        row_steady(i == 0 ? &now : &before, "rwlock", 1000, 5);
    }
    compare_records(&now, &before);
    assert_int_equal(now.rows[0]->comparison.verdict, RECORD_NO_CHANGE);
    assert_int_equal(compare_status(&now, 0), STATUS_OK);
    compare_records(&before, &now);
    assert_int_equal(compare_status(&before, 0), STATUS_OK);
    record_close(&now);
    record_close(&before);
}

/* At a fixed rate the rates are what they are told to be: the p99 is judged. */
static void
test_compare_at_a_fixed_rate_judges_the_latency(void **state)
{
    struct record now = {0}, before = {0};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        row_steady(i == 0 ? &now : &before, "latchkey", 1000, 5);
        row_steady(i == 0 ? &now : &before, "mutex", 1000, 5);
    }
    now.options.rate = before.options.rate = 100;
    for (unsigned i = 0; i < 5; i++)
        now.rows[0]->latencies[i].p99 *= 3;
    compare_records(&now, &before);
    assert_true(now.rows[0]->comparison.of_latency);
    assert_int_equal(now.rows[0]->comparison.verdict, RECORD_REGRESSED);
    compare_records(&before, &now);
    assert_int_equal(before.rows[0]->comparison.verdict, RECORD_IMPROVED);
    record_close(&now);
    record_close(&before);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare_a_change_of_latchkey_alone_is_a_verdict),
        cmocka_unit_test(test_compare_a_slower_machine_is_no_verdict),
        cmocka_unit_test(test_compare_two_runs_of_one_program_never_regressed),
        cmocka_unit_test(test_compare_a_slower_program_regressed),
        cmocka_unit_test(test_compare_status_fails_above_the_limit_only),
        cmocka_unit_test(test_compare_status_of_what_is_unclear_is_no_failure),
        cmocka_unit_test(test_compare_status_leaves_rivals_out),
        cmocka_unit_test(test_compare_at_a_fixed_rate_judges_the_latency),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
