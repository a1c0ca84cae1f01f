/* SPDX-License-Identifier: MIT
 *
 * Latches: one holder; and, where assertions are on, a thread that waits for latches in an order in
 * which two of them could wait for each other is stopped at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/latch.h"
#include "support/child.h"

typedef struct latches {
    lki_latch shard, partition, other_shard;
} latches;

static void
latches_init(latches *l)
{
    lki_latch_init(&l->shard, LKI_RANK_SHARD);
    lki_latch_init(&l->partition, LKI_RANK_PARTITION);
    lki_latch_init(&l->other_shard, LKI_RANK_SHARD);
}

static void
latches_destroy(latches *l)
{
    lki_latch_destroy(&l->shard);
    lki_latch_destroy(&l->partition);
    lki_latch_destroy(&l->other_shard);
}

static void
in_order(latches *l)
{
    lki_latch_take(&l->shard, NULL);
    lki_latch_take(&l->partition, NULL);
    lki_latch_drop(&l->partition);
    lki_latch_drop(&l->shard);
    lki_latch_take(&l->other_shard, NULL);
    lki_latch_drop(&l->other_shard);
}

static void
tried_against_the_order(latches *l)
{
    lki_latch_take(&l->partition, NULL);
    if (!lki_latch_try(&l->shard))
        abort();
    lki_latch_drop(&l->shard);
    lki_latch_drop(&l->partition);
}

static void
against_the_order(latches *l)
{
    lki_latch_take(&l->partition, NULL);
    lki_latch_take(&l->shard, NULL);
}

static void
two_of_one_rank(latches *l)
{
    lki_latch_take(&l->shard, NULL);
    lki_latch_take(&l->other_shard, NULL);
}

static void
dropped_by_who_has_it_not(latches *l)
{
    lki_latch_drop(&l->shard);
}

typedef void use(latches *l);

static void
latches_use(void *context)
{
    use **body = context;
    latches l;
    latches_init(&l);
    (*body)(&l);
}

static bool
ends(use *body)
{
    return child_ends(latches_use, &body);
}

static void
test_latch_has_one_holder(void **state)
{
    latches l;
    (void)state;
    latches_init(&l);
    pthread_mutex_lock(&l.shard.mutex); /* as another thread does */
    assert_false(lki_latch_try(&l.shard));
    pthread_mutex_unlock(&l.shard.mutex);
    assert_true(lki_latch_try(&l.shard));
    assert_int_not_equal(pthread_mutex_trylock(&l.shard.mutex), 0);
    lki_latch_drop(&l.shard);
    latches_destroy(&l);
}

static void
test_latches_in_the_order_of_ranks_are_taken(void **state)
{
    (void)state;
    assert_true(ends(in_order));
    assert_true(ends(tried_against_the_order));
}

static void
test_latches_in_another_order_stop_a_checked_build(void **state)
{
    (void)state;
    if (LKI_CHECK == 0)
        skip();
    assert_false(ends(against_the_order));
    assert_false(ends(two_of_one_rank));
    assert_false(ends(dropped_by_who_has_it_not));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_latch_has_one_holder),
        cmocka_unit_test(test_latches_in_the_order_of_ranks_are_taken),
        cmocka_unit_test(test_latches_in_another_order_stop_a_checked_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
