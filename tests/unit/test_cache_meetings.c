/* SPDX-License-Identifier: MIT
 *
 * Each call that writes, and what meets it in a cache: no read of the database that met it is kept,
 * reads meanwhile ask the database, and of two writes that overlap nothing is kept. Calls that are
 * to meet are held at gates, so the order is exact.
 */
#include "support/writings.h"

static lk_status
later_write(cached *it, later *self)
{
    const writing *w = (const void *)self->data;
    (void)it;
    return w->write();
}

static void
start_write(later *l, const writing *w)
{
    later_start(l, &c, later_write, the_key(), (const char *)(const void *)w);
}

/* ---- reads that meet it ---- */

/* The database answers the read, then comes the write, then the read is told. */
static void
check_fill_raced(const writing *w)
{
    later reader;
    later_start_leader(&reader, &c, the_key(), COUNTED_AFTER);
    HOLDS(w->write() == LK_OK);
    counted_go(&c.inner, COUNTED_GET);
    HOLDS(later_join(&reader) == LK_OK && later_read(&reader, "old item"));
    later_free(&reader);
    HOLDS(dropped(w->after));
}

static void
test_fill_that_raced_with_a_write_is_not_kept(void **state)
{
    (void)state;
    each_writing(check_fill_raced);
}

/* It begins before the write and is told while the write is under way. */
static void
check_fill_ends_within(const writing *w)
{
    later reader, writer;
    later_start_leader(&reader, &c, the_key(), COUNTED_AFTER);
    counted_shut(&c.inner, w->call, COUNTED_BEFORE);
    start_write(&writer, w);
    counted_wait(&c.inner, w->call);
    counted_go(&c.inner, COUNTED_GET);
    HOLDS(later_join(&reader) == LK_OK && later_read(&reader, "old item"));
    HOLDS(dropped("old item"));
    counted_go(&c.inner, w->call);
    HOLDS(later_join(&writer) == LK_OK);
    later_free(&reader);
    later_free(&writer);
    HOLDS(dropped(w->after));
}

static void
test_fill_that_ends_within_a_write_is_not_kept(void **state)
{
    (void)state;
    each_writing(check_fill_ends_within);
}

/* It begins while the write is under way and is told after that has ended. */
static void
check_fill_begins_within(const writing *w)
{
    later reader, writer;
    counted_shut(&c.inner, w->call, COUNTED_BEFORE);
    start_write(&writer, w);
    counted_wait(&c.inner, w->call);
    later_start_leader(&reader, &c, the_key(), COUNTED_AFTER);
    counted_go(&c.inner, w->call);
    HOLDS(later_join(&writer) == LK_OK);
    counted_go(&c.inner, COUNTED_GET);
    HOLDS(later_join(&reader) == LK_OK && later_read(&reader, "old item"));
    later_free(&reader);
    later_free(&writer);
    HOLDS(dropped(w->after));
}

static void
test_fill_that_begins_within_a_write_is_not_kept(void **state)
{
    (void)state;
    each_writing(check_fill_begins_within);
}

static void
check_reads_within(const writing *w, enum counted_when when)
{
    later writer;
    const char *now = when == COUNTED_BEFORE ? "old item" : w->after;
    lk_key keys[2] = {the_key(), the_key()};
    cached_warm(&c, the_key(), "old item");
    counted_shut(&c.inner, w->call, when);
    start_write(&writer, w);
    counted_wait(&c.inner, w->call);
    for (int i = 0; i < 3; i++)
        HOLDS(dropped(now));
    (void)cached_asked(&c);
    HOLDS(lk_get_many(c.cache, keys, 2, c.k.result) == LK_OK && cached_asked(&c) == 2);
    for (size_t i = 0; i < 2; i++) {
        const lk_item *item = lk_result_item(c.k.result, i);
        HOLDS(now == NULL ? item == NULL : item != NULL && lkc_is(item->data, now));
    }
    counted_go(&c.inner, w->call);
    HOLDS(later_join(&writer) == LK_OK);
    later_free(&writer);
    HOLDS(cached_holds(&c, the_key(), w->after));
}

static void
check_reads_before(const writing *w)
{
    check_reads_within(w, COUNTED_BEFORE);
}

static void
check_reads_after(const writing *w)
{
    check_reads_within(w, COUNTED_AFTER);
}

static void
test_reads_within_a_write_ask_the_database(void **state)
{
    (void)state;
    each_writing(check_reads_before);
    each_writing(check_reads_after);
}

/* ---- writes that meet it ---- */

/* Another write begins and ends while this one is under way; the database does that one first, or
 * this one. */
static void
check_writes_overlap(const writing *w, enum counted_when when)
{
    later writer;
    cached_warm(&c, the_key(), "old item");
    counted_shut(&c.inner, COUNTED_SET, when);
    later_start(&writer, &c, later_set, the_key(), "slow");
    counted_wait(&c.inner, COUNTED_SET);
    lk_status status = w->write(); /* the gate stops one */
    counted_go(&c.inner, COUNTED_SET);
    HOLDS(later_join(&writer) == LK_OK);
    later_free(&writer);
    if (w->group == 0 || when == COUNTED_BEFORE) { /* others do what the key said before them */
        HOLDS(status == LK_OK);
        HOLDS(kit_holds(&c.k, the_key(), when == COUNTED_BEFORE ? "slow" : w->after));
    }
    char now[16] = "";
    size_t size = 0;
    bool there = lk_get_into(c.k.db, the_key(), now, sizeof now - 1, &size) == LK_OK;
    HOLDS(dropped(there ? now : NULL));
}

static void
check_overlap_first(const writing *w)
{
    check_writes_overlap(w, COUNTED_BEFORE);
}

static void
check_overlap_last(const writing *w)
{
    check_writes_overlap(w, COUNTED_AFTER);
}

static void
test_writes_that_overlap_are_not_kept(void **state)
{
    (void)state;
    each_writing(check_overlap_first);
    each_writing(check_overlap_last);
}

/* The one that began first ends last, and the other way round: the windows close in another
 * order. */
static void
test_writes_that_overlap_in_a_chain_are_not_kept(void **state)
{
    (void)state;
    later first, second;
    cached_open(&c, NULL);
    prepare_item();
    cached_warm(&c, the_key(), "old item");
    counted_shut(&c.inner, COUNTED_SET, COUNTED_AFTER);
    later_start(&first, &c, later_set, the_key(), "first");
    counted_wait(&c.inner, COUNTED_SET);
    counted_shut(&c.inner, COUNTED_REMOVE, COUNTED_BEFORE);
    later_start(&second, &c, later_delete, the_key(), NULL);
    counted_wait(&c.inner, COUNTED_REMOVE);
    counted_go(&c.inner, COUNTED_SET);
    assert_status(LK_OK, later_join(&first));
    assert_true(cached_asks(&c, the_key(), "first"));
    assert_true(cached_asks(&c, the_key(), "first"));
    counted_go(&c.inner, COUNTED_REMOVE);
    assert_status(LK_OK, later_join(&second));
    assert_true(cached_asks(&c, the_key(), NULL));
    later_free(&first);
    later_free(&second);
    cached_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill_that_raced_with_a_write_is_not_kept),
        cmocka_unit_test(test_fill_that_ends_within_a_write_is_not_kept),
        cmocka_unit_test(test_fill_that_begins_within_a_write_is_not_kept),
        cmocka_unit_test(test_reads_within_a_write_ask_the_database),
        cmocka_unit_test(test_writes_that_overlap_are_not_kept),
        cmocka_unit_test(test_writes_that_overlap_in_a_chain_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
