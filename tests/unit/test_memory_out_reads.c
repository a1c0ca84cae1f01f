/* SPDX-License-Identifier: MIT
 *
 * Reads, locks and upkeep without memory; see support/scarce.h.
 */
#include <latchkey/adapter.h>

#include "support/scarce.h"

static bool
locks_untouched(rig *it)
{
    return memcmp(it->locks, it->locks_before, it->lock_count * sizeof *it->locks) == 0;
}

static bool
out_is_untouched(rig *it)
{
    return lk_result_count(it->out) == 0 && lk_result_item(it->out, 0) == NULL;
}

static bool
always(rig *it)
{
    (void)it;
    return true;
}

/* ---- locks ---- */

static lk_status
call_get_lock(rig *it)
{
    return lk_get_lock(it->k.db, scarce_key(it, 0), &it->locks[0]);
}

static void
prepare_fill_lock(rig *it)
{
    lkc_fill(it->locks, sizeof it->locks);
    lkc_fill(it->locks_before, sizeof it->locks_before);
    it->lock_count = MANY;
}

static void
prepare_lock_of_item(rig *it)
{
    scarce_prepare_old(it);
    prepare_fill_lock(it);
}

static void
prepare_lock_lapsed(rig *it)
{
    (void)kit_lock(&it->k, scarce_key(it, 0));
    kit_advance(&it->k, LK_HOURS(25));
    prepare_fill_lock(it);
}

static void
prepare_lock_near_end(rig *it)
{
    (void)kit_lock(&it->k, scarce_key(it, 0));
    kit_advance(&it->k, LK_MINUTES(23 * 60 + 30));
    prepare_fill_lock(it);
}

static bool
lock_works(rig *it)
{
    lk_lock copy = it->locks[0];
    return copy.version != 0 && lk_set_atomic(it->k.db, NULL, 0, &copy, 1, NULL) == LK_OK;
}

static lk_status
call_get_locked(rig *it)
{
    lk_key keys[MANY];
    for (size_t i = 0; i < MANY; i++)
        keys[i] = scarce_key(it, i);
    return lk_get_locked(it->k.db, keys, MANY, it->locks, it->out);
}

static bool
get_locked_is_before(rig *it)
{
    return locks_untouched(it) && out_is_untouched(it);
}

static bool
get_locked_is_after(rig *it)
{
    return lk_result_count(it->out) == MANY && lock_works(it);
}

/* ---- reads ---- */

static void
prepare_growth(rig *it)
{
    scarce_fill(it, 0, GROWTH, "old", 0);
}

static lk_status
call_get(rig *it)
{
    return lk_get(it->k.db, scarce_key(it, 0), it->out);
}

static bool
out_is_one(rig *it)
{
    return lk_result_count(it->out) == 1 && lkc_is(lk_result_item(it->out, 0)->data, "old");
}

static lk_status
call_get_many(rig *it)
{
    lk_key keys[MANY + 1];
    for (size_t i = 0; i < MANY; i++)
        keys[i] = scarce_key(it, i);
    keys[MANY] = lk_key_of("no", "such");
    return lk_get_many(it->k.db, keys, MANY + 1, it->out);
}

static bool
out_is_many(rig *it)
{
    return lk_result_count(it->out) == MANY + 1 && lk_result_item(it->out, MANY) == NULL &&
           lkc_is(lk_result_item(it->out, MANY - 1)->data, "old");
}

static lk_status
call_query(rig *it)
{
    lk_query query = {.pk = lk_string("pk"), .sk_prefix = lk_string("0"), .reverse = true};
    return lk_query_items(it->k.db, &query, it->out);
}

static lk_status
call_page(rig *it)
{
    lk_query query = {.pk = lk_string("pk")};
    lk_page page = {.query = &query, .max_visits = SIZE_MAX, .max_bytes = SIZE_MAX};
    return lk_query_page(it->k.db, &page, it->out);
}

static bool
out_is_growth(rig *it)
{
    return lk_result_count(it->out) == GROWTH && lkc_is(lk_result_item(it->out, 0)->data, "old");
}

static lk_status
call_count(rig *it)
{
    char long_prefix[1024] = {0};
    lk_query query = {.pk = lk_string("pk"), .sk_prefix = {long_prefix, sizeof long_prefix}};
    size_t count = 1;
    lk_status status = lk_count(it->k.db, &query, &count);
    return count == (status == LK_OK ? 0 : 1) ? status : LK_UNKNOWN;
}

static lk_status
call_list(rig *it)
{
    lk_position position = {{0}};
    lk_status status = lk_list_partitions(it->k.db, &position, 0, it->out);
    return status == LK_OK || position.opaque[0] == 0 ? status : LK_UNKNOWN;
}

static bool
out_is_partition(rig *it)
{
    return lk_result_count(it->out) == 1 && lkc_is(lk_result_item(it->out, 0)->key.pk, "pk");
}

static lk_status
call_get_into(rig *it)
{
    char buffer[8];
    size_t size;
    return lk_get_into(it->k.db, scarce_key(it, 0), buffer, sizeof buffer, &size);
}

static lk_status
call_view(rig *it)
{
    lk_item item;
    lk_read_begin(it->k.db);
    lk_status status = lk_view(it->k.db, scarce_key(it, 0), &item);
    lk_read_end(it->k.db);
    /* Where the begin had no memory and the view had, there is no pair. */
    return status == LK_INVALID && atomic_load(&it->k.memory.failed) > 0 ? LK_NO_MEMORY : status;
}

/* Opens and reads all of it; tried again, it goes on where it was. */
static lk_status
call_stream(rig *it)
{
    lk_query query = {.pk = lk_string("pk")};
    lk_status status = it->stream == NULL ? lk_stream_open(it->k.db, &query, &it->stream) : LK_OK;
    lk_item item;
    while (status == LK_OK && (status = lk_stream_next(it->stream, &item)) == LK_OK) {
        if (!lkc_equal(item.key.sk, scarce_key(it, it->streamed).sk))
            return LK_UNKNOWN;
        it->streamed++;
    }
    return status == LK_END ? LK_OK : status;
}

static bool
stream_is_after(rig *it)
{
    return it->streamed == GROWTH;
}

/* ---- upkeep ---- */

static void
prepare_expired(rig *it)
{
    scarce_fill(it, 0, MANY, "old", 0);
    scarce_fill(it, MANY, GROWTH, "brief", KIT_START_MS + 10);
    scarce_lock(it, 3);
    kit_advance(&it->k, LK_HOURS(25));
}

static lk_status
call_sweep(rig *it)
{
    return lk_sweep(it->k.db, 0, NULL);
}

static bool
sweep_is_before(rig *it)
{
    return scarce_all_hold(it, 0, MANY, "old") && scarce_all_hold(it, MANY, GROWTH, NULL);
}

static bool
sweep_is_after(rig *it)
{
    kit_sweep(&it->k);
    return sweep_is_before(it) && kit_statistics(&it->k).cells == MANY;
}

static lk_status
call_statistics(rig *it)
{
    lk_statistics statistics;
    return lk_statistics_read(it->k.db, &statistics);
}

static const scenario scenarios[] = {
    {"get_lock of a new key", prepare_fill_lock, call_get_lock, locks_untouched, lock_works},
    {"get_lock of an item", prepare_lock_of_item, call_get_lock, locks_untouched, lock_works},
    {"get_lock, lapsed", prepare_lock_lapsed, call_get_lock, locks_untouched, lock_works},
    {"get_lock, renewed", prepare_lock_near_end, call_get_lock, locks_untouched, lock_works},
    {"get_locked", prepare_lock_of_item, call_get_locked, get_locked_is_before,
     get_locked_is_after},
    {"get", scarce_prepare_old, call_get, out_is_untouched, out_is_one},
    {"get_many", scarce_prepare_old, call_get_many, out_is_untouched, out_is_many},
    {"query", prepare_growth, call_query, out_is_untouched, out_is_growth},
    {"page", prepare_growth, call_page, out_is_untouched, out_is_growth},
    {"count", prepare_growth, call_count, always, always},
    {"list", prepare_growth, call_list, out_is_untouched, out_is_partition},
    {"get_into", scarce_prepare_old, call_get_into, always, always},
    {"view", scarce_prepare_old, call_view, always, always},
    {"stream", prepare_growth, call_stream, always, stream_is_after},
    {"sweep", prepare_expired, call_sweep, sweep_is_before, sweep_is_after},
    {"statistics", scarce_prepare_old, call_statistics, always, always},
};

static void
test_reads_without_memory_leave_all_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(scenarios); i++)
        scarce_run(&scenarios[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_without_memory_leave_all_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
