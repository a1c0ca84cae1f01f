/* SPDX-License-Identifier: MIT
 *
 * base/wait.h, by one thread: when the signal moves, when a sleep ends at once, when the descriptor
 * is readable. That nobody sleeps past what came (P15): schedule_rooms.c, test_pairs.c; over a
 * queue: the cases of waits in the conformance suite.
 */
#include <poll.h>

#include "base/wait.h"
#include "support/kit.h"

static bool
is_readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) == 1 && (one.revents & POLLIN) != 0;
}

static void
test_wait_without_sleepers_is_notified_for_nothing(void **state)
{
    lki_wait wait = {0};
    (void)state;
    lki_wait_notify(&wait, 1);
    lki_wait_notify(&wait, SIZE_MAX);
    assert_int_equal(lki_wait_signal(&wait), 0);
}

/* These sleeps would not end. */
static void
test_wait_that_was_notified_since_the_look_does_not_sleep(void **state)
{
    static const size_t counts[] = {1, 2, INT32_MAX, SIZE_MAX};
    lki_wait wait = {0};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(counts); i++) {
        lki_wait_begin(&wait);
        uint32_t seen = lki_wait_signal(&wait);
        lki_wait_notify(&wait, counts[i]);
        assert_true(lki_wait_signal(&wait) != seen);
        lki_wait_sleep(&wait, seen, -1);
        seen = lki_wait_signal(&wait);
        lki_wait_look_again(&wait);
        assert_true(lki_wait_signal(&wait) != seen);
        lki_wait_sleep(&wait, seen, -1);
        lki_wait_end(&wait);
    }
    uint32_t seen = lki_wait_signal(&wait);
    lki_wait_notify(&wait, 1); /* nobody is left */
    assert_int_equal(lki_wait_signal(&wait), seen);
}

static void
test_wait_of_no_time_ends(void **state)
{
    lki_wait wait = {0};
    (void)state;
    lki_wait_begin(&wait);
    lki_wait_sleep(&wait, lki_wait_signal(&wait), 0);
    lki_wait_end(&wait);
}

static void
test_wait_descriptor_is_readable_until_it_is_lowered(void **state)
{
    lki_wait wait = {0};
    int fd = -1, same = -1;
    (void)state;
    assert_false(lki_wait_is_polled(&wait));
    assert_status(LK_OK, lki_wait_open_latched(&wait, &fd));
    assert_status(LK_OK, lki_wait_open_latched(&wait, &same));
    assert_true(fd >= 0 && fd == same && lki_wait_is_polled(&wait));
    assert_false(is_readable(fd));
    for (int turn = 0; turn < 3; turn++) {
        if (turn == 1)
            lki_wait_raise(&wait);
        else
            lki_wait_notify(&wait, 1); /* a descriptor counts as a sleeper */
        assert_true(is_readable(fd));
        lki_wait_raise(&wait); /* it is already */
        assert_true(is_readable(fd));
        lki_wait_lower(&wait, -1);
        assert_false(is_readable(fd));
    }
    lki_wait_look_again(&wait);
    assert_false(is_readable(fd));
    lki_wait_lower(&wait, 0); /* by time, now */
    assert_true(is_readable(fd));
    lki_wait_lower(&wait, LK_HOURS(1));
    assert_false(is_readable(fd));
    lki_wait_close(&wait);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait_without_sleepers_is_notified_for_nothing),
        cmocka_unit_test(test_wait_that_was_notified_since_the_look_does_not_sleep),
        cmocka_unit_test(test_wait_of_no_time_ends),
        cmocka_unit_test(test_wait_descriptor_is_readable_until_it_is_lowered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
