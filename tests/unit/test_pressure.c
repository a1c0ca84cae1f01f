/* SPDX-License-Identifier: MIT
 *
 * How long a writer waits before it is told LK_BUSY, to the millisecond, and how: the system's
 * clock and its pauses are this program's. What others do meanwhile they do in one of the pauses.
 */
#include <sched.h>
#include <time.h>

#include "support/things.h"

enum { YIELDS = 8, FIRST_NS = 50000, MS_NS = 1000000 }; /* of pressure.c */

static struct {
    int64_t now_ns, first_ns, longest_ns;
    unsigned yields, pauses;
} clocked;

/* Pauses and yields until then; NULL: nothing happens. */
static unsigned pauses_left;
static void (*then)(void);

static void
others_act(void)
{
    void (*act)(void) = then;
    if (act == NULL || pauses_left-- != 0)
        return;
    then = NULL;
    act();
}

int
clock_gettime(clockid_t which, struct timespec *at)
{
    (void)which;
    *at =
        (struct timespec){clocked.now_ns / 1000 / MS_NS, clocked.now_ns % ((int64_t)1000 * MS_NS)};
    return 0;
}

int
nanosleep(const struct timespec *pause, struct timespec *rest)
{
    (void)rest;
    assert_int_equal(pause->tv_sec, 0);
    clocked.now_ns += pause->tv_nsec;
    clocked.first_ns = clocked.pauses++ == 0 ? pause->tv_nsec : clocked.first_ns;
    clocked.longest_ns = pause->tv_nsec > clocked.longest_ns ? pause->tv_nsec : clocked.longest_ns;
    assert_in_range(clocked.pauses, 1, 2 * LKI_WAIT_MAX_MS);
    others_act();
    return 0;
}

int
sched_yield(void)
{
    clocked.yields++;
    others_act();
    return 0;
}

static void
other_leaves(void)
{
    lki_leave(t.other);
}

static bool
waits(void)
{
    memset(&clocked, 0, sizeof clocked);
    return lki_memory_wait(t.own);
}

static int64_t
waited_ms(void)
{
    return clocked.now_ns / MS_NS;
}

/* A bag beyond the limit, held back. */
static void
begin_with_reader(void)
{
    begin(100);
    retire(t.own, 1, 100, true);
    lki_enter(t.other);
    epoch_move_by_own();
}

static void
test_who_stays_is_waited_for_once(void **state)
{
    (void)state;
    begin_with_reader();
    assert_false(waits());
    assert_int_equal(waited_ms(), LKI_STALL_MS);
    assert_int_equal(clocked.yields, YIELDS);
    assert_int_equal(clocked.first_ns, FIRST_NS);
    assert_int_equal(clocked.longest_ns, MS_NS);
    retire(t.own, 1, 8, false);
    size_t bytes = retired_bytes();
    assert_false(waits()); /* it is known: a pause, and nothing is sealed, or looked for */
    assert_int_equal(clocked.now_ns, MS_NS);
    assert_true(clocked.pauses == 1 && clocked.yields == 0);
    assert_int_equal(retired_bytes(), bytes);
    int before;
    assert_int_equal(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before), 0);
    assert_int_equal(before, PTHREAD_CANCEL_ENABLE);
    lki_leave(t.other);
    assert_true(waits());
    assert_true(clocked.pauses == 0 && clocked.yields == 0);
    assert_int_equal(disposed(), t.used);
    end();
}

/* What cannot be disposed of is not somebody who stays. */
static void
test_wait_ends_though_the_epoch_goes_on(void **state)
{
    (void)state;
    begin(100);
    retire(t.own, 1, 100, true);
    t.things[0].refused = true;
    assert_false(waits());
    assert_int_equal(waited_ms(), LKI_WAIT_MAX_MS);
    assert_int_equal(lki_load_relaxed(&t.domain.stalled_at), 0);
    t.things[0].refused = false;
    assert_true(waits());
    end();
}

/* The one that is known to stay goes, and another comes, who may be on its way. */
static void
other_comes_anew(void)
{
    lki_leave(t.other);
    epoch_move(1);
    lki_enter(t.other);
    retire(t.other, 1, 100, true);
    epoch_move_by_own();
    pauses_left = 3;
    then = other_leaves;
}

static void
test_another_than_the_one_that_stays_is_waited_for(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 2 * YIELDS; at++) {
        begin_with_reader();
        if (at == 0)
            stall_is_known();
        pauses_left = at;
        then = other_comes_anew;
        assert_true(waits());
        assert_true(then == NULL && disposed() == t.used);
        end();
    }
}

static size_t freed;

/* As the accounts show it to who waits. */
static void
others_free(void)
{
    freed = lki_swap_seq_cst(&t.domain.retired_bytes, 0);
}

/* What others find out, or free, ends the wait of all. */
static void
test_wait_ends_with_that_of_others(void **state)
{
    (void)state;
    for (int frees = 0; frees < 2; frees++) {
        begin_with_reader();
        pauses_left = 3 * YIELDS;
        then = frees ? others_free : stall_is_known;
        assert_int_equal(waits(), frees);
        assert_in_range(waited_ms(), 1, LKI_STALL_MS - 1);
        if (frees)
            lki_store_relaxed(&t.domain.retired_bytes, freed);
        lki_leave(t.other);
        end();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_stays_is_waited_for_once),
        cmocka_unit_test(test_wait_ends_though_the_epoch_goes_on),
        cmocka_unit_test(test_wait_ends_with_that_of_others),
        cmocka_unit_test(test_another_than_the_one_that_stays_is_waited_for),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    end_if_failed();
    return failed;
}
