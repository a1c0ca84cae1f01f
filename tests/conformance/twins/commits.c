/* SPDX-License-Identifier: MIT
 *
 * Twins that are broken in what they do with locks and commits.
 */
#include <sched.h>

#include "twins.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Writes without a lock, on behalf of a commit. */
static void
writes_apply(void *state, const lk_write *writes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lk_status ignored = LK_OK;
        if (writes[i].kind == LK_PUT)
            ignored = lk_set(inner_of(state), &writes[i].item, 1);
        else if (writes[i].kind == LK_DELETE)
            ignored = lk_delete(inner_of(state), &writes[i].item.key, 1);
        (void)ignored;
        sched_yield();
    }
}

/* ---- set_atomic; NULL in the table makes the library use `commit` for both ---- */

static lk_status
set_atomic_that_writes_on_a_race(void *state, const lk_item *items, size_t item_count,
                                 lk_lock *locks, size_t lock_count, lk_conflict *conflict)
{
    lk_status status =
        lk_set_atomic(inner_of(state), items, item_count, locks, lock_count, conflict);
    if (status == LK_RACE && lk_set(inner_of(state), items, item_count) != LK_OK)
        return LK_BUSY;
    return status;
}

/* The locks in one step, the items behind them. */
static lk_status
set_atomic_in_two_steps(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                        size_t lock_count, lk_conflict *conflict)
{
    lk_status status = lk_set_atomic(inner_of(state), NULL, 0, locks, lock_count, conflict);
    for (size_t i = 0; status == LK_OK && i < item_count; i++) {
        sched_yield();
        status = lk_set(inner_of(state), &items[i], 1);
    }
    return status;
}

/* Checks nothing. */
static lk_status
set_atomic_that_trusts(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                       size_t lock_count, lk_conflict *conflict)
{
    lk_status status;
    do {
        for (size_t i = 0; i < lock_count; i++)
            if (lk_get_lock(inner_of(state), locks[i].key, &locks[i]) != LK_OK)
                return LK_BUSY;
        status = lk_set_atomic(inner_of(state), items, item_count, locks, lock_count, conflict);
    } while (status == LK_RACE);
    return status;
}

static lk_status
set_atomic_that_names_another(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                              size_t lock_count, lk_conflict *conflict)
{
    lk_status status =
        lk_set_atomic(inner_of(state), items, item_count, locks, lock_count, conflict);
    if (status == LK_RACE)
        conflict->index = lock_count - 1;
    return status;
}

static lk_status
set_atomic_that_knows_no_version(void *state, const lk_item *items, size_t item_count,
                                 lk_lock *locks, size_t lock_count, lk_conflict *conflict)
{
    lk_status status =
        lk_set_atomic(inner_of(state), items, item_count, locks, lock_count, conflict);
    if (status == LK_RACE)
        conflict->current_version = 0;
    return status;
}

static lk_status
set_atomic_that_keeps_the_locks(void *state, const lk_item *items, size_t item_count,
                                lk_lock *locks, size_t lock_count, lk_conflict *conflict)
{
    lk_lock copy[LK_COMMIT_MAX];
    memcpy(copy, locks, lock_count * sizeof *locks);
    return lk_set_atomic(inner_of(state), items, item_count, copy, lock_count, conflict);
}

static lk_status
set_atomic_that_spoils_the_locks(void *state, const lk_item *items, size_t item_count,
                                 lk_lock *locks, size_t lock_count, lk_conflict *conflict)
{
    lk_status status =
        lk_set_atomic(inner_of(state), items, item_count, locks, lock_count, conflict);
    if (status != LK_OK)
        locks[0].version++;
    return status;
}

/* The last of what is named twice. */
static lk_status
set_atomic_that_forgives(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                         size_t lock_count, lk_conflict *conflict)
{
    lk_item once[LK_COMMIT_MAX];
    size_t count = 0;
    for (size_t i = 0; i < item_count; i++) {
        bool again = false;
        for (size_t j = i + 1; j < item_count; j++)
            again |= lk_bytes_compare(items[i].key.pk, items[j].key.pk) == 0 &&
                     lk_bytes_compare(items[i].key.sk, items[j].key.sk) == 0;
        if (!again)
            once[count++] = items[i];
    }
    return lk_set_atomic(inner_of(state), once, count, locks, lock_count, conflict);
}

/* Whoever is in the way makes a race. */
static lk_status
set_atomic_that_races_for_nothing(void *state, const lk_item *items, size_t item_count,
                                  lk_lock *locks, size_t lock_count, lk_conflict *conflict)
{
    pass *p = state;
    if (atomic_fetch_add(&p->calls, 1) % 4 == 3) {
        *conflict = (lk_conflict){0, locks[0].version, SIZE_MAX};
        return LK_RACE;
    }
    return lk_set_atomic(inner_of(state), items, item_count, locks, lock_count, conflict);
}

/* ---- get_locked ---- */

/* Items first, locks behind them. */
static lk_status
get_locked_too_late(void *state, const lk_key *keys, size_t count, lk_lock *locks,
                    lk_result *result)
{
    lk_status status = lk_get_many(inner_of(state), keys, count, result);
    sched_yield();
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = lk_get_lock(inner_of(state), keys[i], &locks[i]);
    return status;
}

/* ---- commit ---- */

static lk_status
commit_in_two_steps(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
                    size_t lock_count, lk_conflict *conflict)
{
    size_t items = 0; /* puts and deletes before the jobs, alone */
    while (items < write_count && writes[items].kind <= LK_DELETE)
        items++;
    lk_status status = LK_OK;
    if (items < write_count || lock_count != 0)
        status = lk_commit(inner_of(state), writes + items, write_count - items, locks, lock_count,
                           conflict);
    if (status == LK_OK)
        writes_apply(state, writes, items);
    return status;
}

static lk_status
commit_that_writes_first(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
                         size_t lock_count, lk_conflict *conflict)
{
    for (size_t i = 0; i < write_count; i++)
        if (writes[i].kind == LK_PUSH &&
            lk_queue_push(inner_of(state), &writes[i].item, 1, NULL, NULL) != LK_OK)
            return LK_CLOSED;
    return lk_commit(inner_of(state), writes, write_count, locks, lock_count, conflict);
}

static lk_status
commit_that_is_never_late(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
                          size_t lock_count, lk_conflict *conflict)
{
    lk_status status = lk_commit(inner_of(state), writes, write_count, locks, lock_count, conflict);
    return status == LK_LATE ? LK_OK : status;
}

/* ---- get_lock ---- */

static lk_status
get_lock_anew(void *state, lk_key key, lk_lock *lock)
{
    lk_status status = lk_get_lock(inner_of(state), key, lock);
    return status != LK_OK ? status : lk_set_atomic(inner_of(state), NULL, 0, lock, 1, NULL);
}

static lk_status
get_lock_with_an_item(void *state, lk_key key, lk_lock *lock)
{
    size_t size;
    lk_item item = {.key = key};
    if (lk_get_into(inner_of(state), key, NULL, 0, &size) == LK_NOT_FOUND &&
        lk_set(inner_of(state), &item, 1) != LK_OK)
        return LK_BUSY;
    return lk_get_lock(inner_of(state), key, lock);
}

/* The same version for some time: what was used counts again. */
static lk_status
get_lock_of_few_versions(void *state, lk_key key, lk_lock *lock)
{
    lk_status status = lk_get_lock(inner_of(state), key, lock);
    if (status == LK_OK)
        lock->version = lock->version >> 18 << 18 | 1;
    return status;
}

static lk_status
set_atomic_of_few_versions(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                           size_t lock_count, lk_conflict *conflict)
{
    for (size_t i = 0; i < lock_count; i++) {
        lk_lock now;
        if (lk_get_lock(inner_of(state), locks[i].key, &now) != LK_OK)
            return LK_BUSY;
        if (now.version >> 18 == locks[i].version >> 18)
            locks[i].version = now.version;
    }
    return lk_set_atomic(inner_of(state), items, item_count, locks, lock_count, conflict);
}

const twin twins_of_commits[] = {
    {"set_atomic writes on a race",
     {.set_atomic = set_atomic_that_writes_on_a_race},
     .cases = {"test_race_names_the_first*", "test_lock_of_version_zero*"}},
    {"set_atomic in two steps",
     {.set_atomic = set_atomic_in_two_steps},
     .cases = {"test_get_many_never_shows_half*", "test_query_never_shows_half*",
               "test_get_after_get*", "test_updates_under_locks*"}},
    {"set_atomic checks nothing",
     {.set_atomic = set_atomic_that_trusts},
     .cases = {"test_race_names_the_first*", "test_updates_under_locks*",
               "test_delete_makes_a_lock*", "test_lock_lapses*"}},
    {"set_atomic names another lock",
     {.set_atomic = set_atomic_that_names_another},
     .cases = {"test_race_names_the_first*"}},
    {"set_atomic tells no version",
     {.set_atomic = set_atomic_that_knows_no_version},
     .cases = {"test_race_names_the_first*", "test_delete_makes_a_lock*"}},
    {"set_atomic leaves the caller's locks",
     {.set_atomic = set_atomic_that_keeps_the_locks},
     .cases = {"test_set_atomic_writes_all*"}},
    {"set_atomic touches locks on failure",
     {.set_atomic = set_atomic_that_spoils_the_locks},
     .cases = {"test_race_names_the_first*"}},
    {"set_atomic takes keys twice",
     {.set_atomic = set_atomic_that_forgives},
     .cases = {"test_commit_that_names_a_key_twice*"}},
    {"set_atomic races for nothing",
     {.set_atomic = set_atomic_that_races_for_nothing},
     .cases = {"test_set_atomic_writes_all*", "test_updates_under_locks*"}},
    {"get_locked reads the items first",
     {.get_locked = get_locked_too_late},
     .cases = {"test_updates_under_locks*"}},
    {"commit in two steps",
     {.commit = commit_in_two_steps},
     .cases = {"test_query_shows_what_a_commit*"}},
    {"commit pushes before it checks",
     {.commit = commit_that_writes_first},
     .cases = {"test_commit_that_fails_in_one*"}},
    {"commit is never late",
     {.commit = commit_that_is_never_late},
     .cases = {"test_commit_of_a_lapsed_claim*"}},
    {"get_lock renews each time",
     {.get_lock = get_lock_anew},
     .cases = {"test_lock_of_a_new_key*", "test_concurrent_callers*"}},
    {"a lock is an item too",
     {.get_lock = get_lock_with_an_item},
     .cases = {"test_lock_of_a_new_key*"}},
    {"versions are used again",
     {.get_lock = get_lock_of_few_versions, .set_atomic = set_atomic_of_few_versions},
     .cases = {"test_versions_only_grow*", "test_delete_makes_a_lock*"}},
};
const size_t twins_of_commits_count = COUNT(twins_of_commits);
