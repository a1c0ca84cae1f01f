/* SPDX-License-Identifier: MIT
 *
 * The schedule of a fixed rate, and the order in which processors are given out. Schedules start in
 * the past, so that nothing here waits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "driver/options.h"
#include "driver/pin.h"
#include "driver/schedule.h"

#define SECOND UINT64_C(1000000000)

static struct histogram latency;
static _Atomic int phase;

static void
schedule_set(struct schedule *schedule, double rate, unsigned threads, unsigned number)
{
    bench_options.warmup_s = 1;
    bench_options.duration_s = 2;
    memset(&latency, 0, sizeof latency);
    schedule_init(schedule, SECOND, rate, 1, threads, number);
}

/* All threads together start `rate` operations in each second, evenly. */
static void
test_schedule_threads_together_keep_the_rate(void **state)
{
    enum { THREADS = 3, RATE = 1000 };
    unsigned due[3 * RATE] = {0};

    (void)state;
    for (unsigned number = 0; number < THREADS; number++) {
        struct schedule schedule;
        uint64_t intended;
        schedule_set(&schedule, RATE, THREADS, number);
        while (schedule_wait(&schedule, &phase, 1, &intended))
            due[(intended - SECOND) / (SECOND / RATE)]++;
        assert_int_equal(schedule_late(&schedule, &latency, UINT64_MAX), 0);
    }
    for (size_t i = 0; i < 3 * RATE; i++)
        assert_in_range(due[i], 0, 2); /* a third of a nanosecond may fall to the neighbour */
    unsigned all = 0;
    for (size_t i = 0; i < 3 * RATE; i++)
        all += due[i];
    assert_in_range(all, 3 * RATE - 1, 3 * RATE + 1);
}

static void
test_schedule_stopped_gives_no_more(void **state)
{
    struct schedule schedule;
    uint64_t intended = 5;

    (void)state;
    schedule_set(&schedule, 1000, 1, 0);
    atomic_store(&phase, 1);
    assert_false(schedule_wait(&schedule, &phase, 1, &intended));
    assert_int_equal(intended, 5);
    assert_int_equal(schedule.begun, 0);
    atomic_store(&phase, 0);
}

/* Latencies count from the intended start, of the measured time only. */
static void
test_schedule_latencies_are_of_the_measured_time(void **state)
{
    struct schedule schedule;

    (void)state;
    schedule_set(&schedule, 1000, 1, 0);
    schedule_add(&schedule, &latency, 2 * SECOND - 1, 9 * SECOND);
    schedule_add(&schedule, &latency, 4 * SECOND, 9 * SECOND);
    assert_int_equal(latency.total, 0);
    schedule_add(&schedule, &latency, 2 * SECOND, 9 * SECOND);
    schedule_add(&schedule, &latency, 4 * SECOND - 1, 9 * SECOND);
    assert_int_equal(latency.total, 2);
    assert_int_equal(latency.maximum, 7 * SECOND);
}

/* A stall to the end: what was not begun has waited from its time to the end. */
static void
test_schedule_never_begun_counts_as_late_with_its_wait(void **state)
{
    struct schedule schedule;

    (void)state;
    schedule_set(&schedule, 1000, 1, 0);
    assert_int_equal(schedule_late(&schedule, &latency, UINT64_MAX), 2000);
    assert_int_equal(latency.total, 2000);
    assert_int_equal(latency.maximum, 2 * SECOND);

    schedule_set(&schedule, 1000, 1, 0);
    schedule.begun = 2500; /* half of those that count */
    assert_int_equal(schedule_late(&schedule, &latency, UINT64_MAX), 500);
    assert_int_equal(latency.maximum, SECOND / 2);

    /* Interrupted in the middle of the measured time. */
    schedule_set(&schedule, 1000, 1, 0);
    assert_int_equal(schedule_late(&schedule, &latency, 3 * SECOND), 1000);
    assert_int_equal(latency.maximum, SECOND);
    schedule_set(&schedule, 1000, 1, 0);
    assert_int_equal(schedule_late(&schedule, &latency, SECOND / 2), 0);
}

/* Very many are entered by samples, and all count. */
static void
test_schedule_very_many_late_all_count(void **state)
{
    struct schedule schedule;

    (void)state;
    schedule_set(&schedule, 1e9, 1, 0);
    assert_int_equal(schedule_late(&schedule, &latency, UINT64_MAX), 2 * SECOND);
    assert_int_equal(latency.total, 2 * SECOND);
    assert_in_range(histogram_percentile(&latency, 0.5), SECOND - SECOND / 100,
                    SECOND + SECOND / 100);
}

/* Two packages of two cores with two threads each, numbered as Linux does: second threads last. */
static void
topology_set(struct pin_processor *processors)
{
    memset(processors, 0, 8 * sizeof *processors);
    for (unsigned i = 0; i < 8; i++) {
        processors[i].number = i;
        processors[i].package = i / 2 % 2;
        processors[i].core = i % 2;
    }
}

static void
order_assert(const struct pin_processor *processors, const unsigned *numbers)
{
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(processors[i].number, numbers[i]);
}

static void
test_pin_compact_fills_a_core_then_the_next(void **state)
{
    static const unsigned numbers[] = {0, 4, 1, 5, 2, 6, 3, 7};
    struct pin_processor processors[8];

    (void)state;
    topology_set(processors);
    pin_order(processors, 8, PIN_COMPACT);
    order_assert(processors, numbers);
}

static void
test_pin_spread_takes_packages_in_turn_and_second_threads_last(void **state)
{
    static const unsigned numbers[] = {0, 2, 1, 3, 4, 6, 5, 7};
    struct pin_processor processors[8];

    (void)state;
    topology_set(processors);
    pin_order(processors, 8, PIN_SPREAD);
    order_assert(processors, numbers);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule_threads_together_keep_the_rate),
        cmocka_unit_test(test_schedule_stopped_gives_no_more),
        cmocka_unit_test(test_schedule_latencies_are_of_the_measured_time),
        cmocka_unit_test(test_schedule_never_begun_counts_as_late_with_its_wait),
        cmocka_unit_test(test_schedule_very_many_late_all_count),
        cmocka_unit_test(test_pin_compact_fills_a_core_then_the_next),
        cmocka_unit_test(test_pin_spread_takes_packages_in_turn_and_second_threads_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
