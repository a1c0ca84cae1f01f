/* SPDX-License-Identifier: MIT
 *
 * An item expires in the midst of a call on it: at its n-th access to a shared word, for each n. A call has one time: what it
 * has found to be live stays so to its end, and what it leaves behind is over from then on, the lock with it.
 */
#include "support/kit.h"

#include "base/atomic.h"

static struct {
    kit k;
    unsigned long yields, stop_at;
    bool is_counting, has_met;
} m;

static void
yield_hook(void)
{
    if (!m.is_counting || ++m.yields != m.stop_at)
        return;
    m.has_met = true;
    kit_advance(&m.k, 11);
}

/* An item that has 10 ms to live, and its lock. */
static lk_lock
expiring_make(bool is_job)
{
    lk_item item = kit_item("p", "k", "x");
    kit_sweep(&m.k);
    assert_status(LK_OK, lk_delete(m.k.db, &item.key, 1));
    item.expires_at_ms = m.k.now_ms + 10;
    assert_status(LK_OK,
                  is_job ? lk_queue_push(m.k.db, &item, 1, NULL, NULL) : lk_set(m.k.db, &item, 1));
    lk_lock lock = kit_lock(&m.k, item.key);
    m.yields = 0;
    m.has_met = false;
    m.is_counting = true;
    return lock;
}

/* Only the lock is bumped: the item goes on to its end, and the new lock no further. */
static void
test_lock_that_was_bumped_as_its_item_expired_is_gone(void **state)
{
    (void)state;
    size_t done = 0, met = 0;
    for (int is_job = 0; is_job < 2; is_job++)
        for (m.stop_at = 1, m.has_met = true; m.has_met; m.stop_at++) {
            lk_lock lock = expiring_make(is_job != 0), held = lock;
            lk_status status = lk_set_atomic(m.k.db, NULL, 0, &held, 1, NULL);
            m.is_counting = false;
            assert_true(status == LK_OK || status == LK_RACE);
            done += status == LK_OK && m.has_met;
            met += m.has_met;
            if (!m.has_met)
                kit_advance(&m.k, 11);
            assert_true(kit_holds(&m.k, held.key, NULL));
            assert_status(LK_RACE, lk_set_atomic(m.k.db, NULL, 0, &held, 1, NULL));
            assert_true(kit_lock(&m.k, held.key).version > held.version);
        }
    assert_true(done > 4 && met > done);
}

/* What is put over a live job stays one, by the time of the commit. */
static void
test_job_that_was_written_as_it_expired_stays_one(void **state)
{
    (void)state;
    size_t done = 0;
    lk_pull_options pull = {.pk = lk_string("p")};
    for (m.stop_at = 1, m.has_met = true; m.has_met; m.stop_at++) {
        lk_lock lock = expiring_make(true);
        lk_item item = kit_item("p", "k", "again");
        lk_status status = lk_set_atomic(m.k.db, &item, 1, &lock, 1, NULL);
        m.is_counting = false;
        assert_true(status == LK_OK || status == LK_RACE);
        done += status == LK_OK && m.has_met;
        assert_status(status == LK_OK ? LK_OK : LK_EMPTY, lk_queue_pull(m.k.db, &pull, m.k.result));
        if (status != LK_OK)
            continue;
        assert_true(kit_holds(&m.k, item.key, "again"));
        assert_status(LK_OK, lk_set_atomic(m.k.db, NULL, 0, &lock, 1, NULL));
    }
    assert_true(done > 2);
}

static int
setup(void **state)
{
    (void)state;
    kit_open(&m.k, NULL);
    lki_yield_hook = yield_hook;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    lki_yield_hook = NULL;
    kit_close(&m.k);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lock_that_was_bumped_as_its_item_expired_is_gone),
        TEST(test_job_that_was_written_as_it_expired_stays_one),
    };
    return cmocka_run_group_tests_name("hooked_expiry", tests, NULL, NULL);
}
