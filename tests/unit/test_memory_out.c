/* SPDX-License-Identifier: MIT
 *
 * Writes, and opening, without memory; see support/scarce.h.
 */
#include "base/alloc.h"
#include "support/scarce.h"

static void
prepare_nothing(rig *it)
{
    (void)it;
}

static bool
locks_untouched(rig *it)
{
    return memcmp(it->locks, it->locks_before, it->lock_count * sizeof *it->locks) == 0;
}

/* ---- writes ---- */

static lk_status
set_range(rig *it, size_t count, const char *data)
{
    lk_item items[GROWTH];
    for (size_t i = 0; i < count; i++)
        items[i] = (lk_item){.key = scarce_key(it, i), .data = lk_string(data)};
    return lk_set(it->k.db, items, count);
}

static lk_status
call_set_one(rig *it)
{
    return set_range(it, 1, "new");
}

static bool
first_is_absent(rig *it)
{
    return scarce_all_hold(it, 0, 1, NULL);
}

static bool
first_is_new(rig *it)
{
    return scarce_all_hold(it, 0, 1, "new");
}

static const char large[] =
    "a value that is too large for the room that the cell of the first write had in it: "
    "it was made for three bytes, and these are some more, so that it lies apart from it";

static lk_status
call_set_large(rig *it)
{
    return set_range(it, 1, large);
}

static bool
first_is_old(rig *it)
{
    return scarce_all_hold(it, 0, MANY, "old");
}

static bool
first_is_large(rig *it)
{
    return scarce_all_hold(it, 0, 1, large) && scarce_all_hold(it, 1, MANY, "old");
}

static lk_status
call_set_growth(rig *it)
{
    return set_range(it, GROWTH, "new");
}

/* Of a batch, the items before the one that failed are written. */
static bool
growth_is_prefix(rig *it)
{
    size_t i = 0;
    while (i < GROWTH && kit_holds(&it->k, scarce_key(it, i), "new"))
        i++;
    return i < GROWTH && scarce_all_hold(it, i, GROWTH, NULL);
}

static bool
growth_is_whole(rig *it)
{
    lk_query query = {.pk = lk_string("pk")};
    return scarce_all_hold(it, 0, GROWTH, "new") &&
           lk_query_items(it->k.db, &query, it->k.result) == LK_OK &&
           lk_result_count(it->k.result) == GROWTH;
}

static void
prepare_locked(rig *it)
{
    scarce_fill(it, 0, MANY, "old", 0);
    scarce_lock(it, 3);
}

/* The third lock is of a key that is to have nothing. */
static void
prepare_locked_nothing(rig *it)
{
    prepare_locked(it);
    it->locks[2] = it->locks_before[2] = (lk_lock){.key = scarce_key(it, MANY + 1)};
}

static lk_status
call_delete(rig *it)
{
    lk_key keys[MANY];
    for (size_t i = 0; i < MANY; i++)
        keys[i] = scarce_key(it, i);
    return lk_delete(it->k.db, keys, MANY);
}

static bool
deleted_is_prefix(rig *it)
{
    size_t i = 0;
    while (i < MANY && kit_holds(&it->k, scarce_key(it, i), NULL))
        i++;
    return i < MANY && scarce_all_hold(it, i, MANY, "old");
}

static bool
deleted_is_whole(rig *it)
{
    lk_lock stale = it->locks_before[0];
    return scarce_all_hold(it, 0, MANY, NULL) &&
           lk_set_atomic(it->k.db, NULL, 0, &stale, 1, NULL) == LK_RACE;
}

/* ---- writes that ask ---- */

static lk_status
call_put_if_absent(rig *it)
{
    lk_item item = {.key = scarce_key(it, 0), .data = lk_string("new")};
    return lk_put_if(it->k.db, &item, LK_IF_ABSENT, lk_string(NULL));
}

static lk_status
call_put_if_equal(rig *it)
{
    lk_item item = {.key = scarce_key(it, 0), .data = lk_string(large)};
    return lk_put_if(it->k.db, &item, LK_IF_EQUAL, lk_string("old"));
}

static lk_status
call_touch(rig *it)
{
    return lk_touch(it->k.db, scarce_key(it, 0), INT64_MAX);
}

static int64_t
first_expires(rig *it)
{
    return lk_get(it->k.db, scarce_key(it, 0), it->k.result) == LK_OK
               ? lk_result_item(it->k.result, 0)->expires_at_ms
               : -1;
}

static bool
first_stays_for_ever(rig *it)
{
    return first_is_old(it) && first_expires(it) == 0;
}

static bool
first_is_touched(rig *it)
{
    return first_is_old(it) && first_expires(it) == INT64_MAX;
}

static lk_status
call_add(rig *it)
{
    return lk_add(it->k.db, scarce_key(it, 0), 5, 0, NULL);
}

static void
prepare_number(rig *it)
{
    assert_status(LK_OK, call_add(it));
}

static bool
first_is_number(rig *it, int64_t wanted)
{
    int64_t value;
    return lk_add(it->k.db, scarce_key(it, 0), 0, 0, &value) == LK_OK && value == wanted;
}

static bool
first_is_five(rig *it)
{
    return first_is_number(it, 5);
}

static bool
first_is_ten(rig *it)
{
    return first_is_number(it, 10);
}

/* ---- commits ---- */

static lk_status
call_set_atomic(rig *it)
{
    lk_item items[3];
    for (size_t i = 0; i < 3; i++)
        items[i] = (lk_item){.key = scarce_key(it, MANY - 1 + i), .data = lk_string("new")};
    return lk_set_atomic(it->k.db, items, 3, it->locks, it->lock_count, NULL);
}

static bool
atomic_is_before(rig *it)
{
    return locks_untouched(it) && scarce_all_hold(it, 0, MANY, "old") &&
           scarce_all_hold(it, MANY, MANY + 2, NULL);
}

static bool
atomic_is_after(rig *it)
{
    lk_lock stale = it->locks_before[1], fresh = it->locks[1];
    return scarce_all_hold(it, MANY - 1, MANY + 2, "new") &&
           it->locks[0].version > it->locks_before[0].version &&
           lk_set_atomic(it->k.db, NULL, 0, &stale, 1, NULL) == LK_RACE &&
           lk_set_atomic(it->k.db, NULL, 0, &fresh, 1, NULL) == LK_OK;
}

/* A third put anew, a third replaced, a third deleted; half of the locks are of deleted keys. */
static void
prepare_commit_many(rig *it)
{
    scarce_fill(it, 0, 2 * WRITES / 3, "old", 0);
    scarce_lock(it, WRITE_LOCKS);
}

static lk_status
call_commit_many(rig *it)
{
    lk_write writes[WRITES];
    for (size_t i = 0; i < WRITES; i++)
        writes[i] = (lk_write){
            .kind = i < WRITES / 3 ? LK_DELETE : LK_PUT,
            .item = {.key = scarce_key(it, i), .data = lk_string(i % 2 == 0 ? large : "new")}};
    return lk_commit(it->k.db, writes, WRITES, it->locks, it->lock_count, NULL);
}

static bool
commit_many_is_before(rig *it)
{
    return locks_untouched(it) && scarce_all_hold(it, 0, 2 * WRITES / 3, "old") &&
           scarce_all_hold(it, 2 * WRITES / 3, WRITES, NULL);
}

static bool
commit_many_is_after(rig *it)
{
    bool good = scarce_all_hold(it, 0, WRITES / 3, NULL);
    for (size_t i = WRITES / 3; i < WRITES; i++)
        good &= kit_holds(&it->k, scarce_key(it, i), i % 2 == 0 ? large : "new");
    for (size_t i = 0; i < WRITE_LOCKS; i++)
        good &= i < WRITES / 3 ? it->locks[i].version == 0
                               : it->locks[i].version > it->locks_before[i].version;
    return good;
}

static lk_status
call_commit_without_locks(rig *it)
{
    it->lock_count = 0;
    return call_commit_many(it);
}

static bool
commit_without_locks_is_after(rig *it)
{
    return scarce_all_hold(it, 0, WRITES / 3, NULL) &&
           kit_holds(&it->k, scarce_key(it, WRITES - 1), "new");
}

static const scenario scenarios[] = {
    {"set of a new key", prepare_nothing, call_set_one, first_is_absent, first_is_new},
    {"set of a key, larger", scarce_prepare_old, call_set_large, first_is_old, first_is_large},
    {"set of hundreds", prepare_nothing, call_set_growth, growth_is_prefix, growth_is_whole},
    {"delete", prepare_locked, call_delete, deleted_is_prefix, deleted_is_whole},
    {"put_if, absent", prepare_nothing, call_put_if_absent, first_is_absent, first_is_new},
    {"put_if, equal", scarce_prepare_old, call_put_if_equal, first_is_old, first_is_large},
    {"touch", scarce_prepare_old, call_touch, first_stays_for_ever, first_is_touched},
    {"add to nothing", prepare_nothing, call_add, first_is_absent, first_is_five},
    {"add to a number", prepare_number, call_add, first_is_five, first_is_ten},
    {"set_atomic", prepare_locked, call_set_atomic, atomic_is_before, atomic_is_after},
    {"set_atomic, nothing", prepare_locked_nothing, call_set_atomic, atomic_is_before,
     atomic_is_after},
    {"commit", prepare_commit_many, call_commit_many, commit_many_is_before, commit_many_is_after},
    {"commit without locks", prepare_commit_many, call_commit_without_locks, commit_many_is_before,
     commit_without_locks_is_after},
};

static void
test_writes_without_memory_change_all_or_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(scenarios); i++)
        scarce_run(&scenarios[i]);
}

static void
test_open_without_memory_leaves_nothing(void **state)
{
    (void)state;
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        lk_status status = LK_NO_MEMORY;
        for (int64_t nth = 1; status == LK_NO_MEMORY; nth++) {
            kit k = {0};
            lk_memory_options options = kit_options(&k, NULL);
            options.shards = 16;
            options.sweep_interval_ms = nth % 2 == 0 ? 0 : LK_HOURS(1);
            lk_db *db = (lk_db *)&k;
            kit_memory_fail(&k.memory, nth, for_ever != 0);
            status = lk_memory_open(&options, &db);
            kit_memory_fail(&k.memory, 0, false);
            assert_true(status == LK_OK || (status == LK_NO_MEMORY && db == (lk_db *)&k));
            assert_true(status == LK_OK || nth < 1000);
            if (status == LK_OK)
                lk_close(db);
            assert_int_equal(atomic_load(&k.memory.blocks), 0);
            assert_false(atomic_load(&k.memory.broken));
        }
    }
}

static void
test_result_new_without_memory_is_null(void **state)
{
    (void)state;
    kit_memory memory = {0};
    lki_default_allocator = (lki_allocator){kit_allocate, kit_deallocate, &memory, NULL, NULL};
    kit_memory_fail(&memory, 1, false);
    assert_null(lk_result_new());
    lk_result *result = lk_result_new();
    assert_non_null(result);
    lk_result_free(result);
    assert_int_equal(atomic_load(&memory.blocks), 0);
    lki_default_allocator = (lki_allocator){0};
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_without_memory_change_all_or_nothing),
        cmocka_unit_test(test_open_without_memory_leaves_nothing),
        cmocka_unit_test(test_result_new_without_memory_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
