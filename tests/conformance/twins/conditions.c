/* SPDX-License-Identifier: MIT
 *
 * Twins that are broken in conditional writes, touch and add, in counts and lists, in steps of
 * queues inside a commit, and in locks of nothing.
 */
#include <sched.h>
#include <stdlib.h>

#include "twins.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- put_if ---- */

static lk_status
put_if_always(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    (void)condition, (void)expected;
    return lk_set(inner_of(state), item, 1);
}

/* Anything of that size is equal. */
static lk_status
put_if_size(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    size_t size;
    if (condition != LK_IF_EQUAL)
        return lk_put_if(inner_of(state), item, condition, expected);
    lk_status status = lk_get_into(inner_of(state), item->key, NULL, 0, &size);
    if (status == LK_NOT_FOUND || size != expected.size)
        return LK_RACE;
    return lk_set(inner_of(state), item, 1);
}

static lk_status
put_if_in_two_steps(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    lk_result *result = lk_result_new();
    lk_status found = lk_get(inner_of(state), item->key, result), status = LK_OK;
    bool live = found == LK_OK;
    if (condition == LK_IF_ABSENT && live)
        status = LK_EXISTS;
    else if (condition == LK_IF_PRESENT && !live)
        status = LK_NOT_FOUND;
    else if (condition == LK_IF_EQUAL &&
             (!live || lk_bytes_compare(lk_result_item(result, 0)->data, expected) != 0))
        status = LK_RACE;
    lk_result_free(result);
    sched_yield();
    return status == LK_OK ? lk_set(inner_of(state), item, 1) : status;
}

static lk_status
put_if_races(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    lk_status status = lk_put_if(inner_of(state), item, condition, expected);
    return status == LK_EXISTS || status == LK_NOT_FOUND ? LK_RACE : status;
}

static lk_status
put_if_for_ever(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    lk_item copy = *item;
    copy.expires_at_ms = 0;
    return lk_put_if(inner_of(state), &copy, condition, expected);
}

/* ---- touch, add ---- */

static lk_status
touch_that_makes(void *state, const lk_key *key, int64_t expires_at_ms)
{
    lk_status status = lk_touch_at(inner_of(state), key, expires_at_ms);
    lk_item item = {.key = *key, .expires_at_ms = expires_at_ms};
    return status == LK_NOT_FOUND ? lk_set(inner_of(state), &item, 1) : status;
}

static lk_status
touch_that_empties(void *state, const lk_key *key, int64_t expires_at_ms)
{
    lk_item item = {.key = *key, .expires_at_ms = expires_at_ms};
    return lk_put_if(inner_of(state), &item, LK_IF_PRESENT, item.data);
}

/* Writes the bytes that it has read, whatever came in between. */
static lk_status
touch_in_two_steps(void *state, const lk_key *key, int64_t expires_at_ms)
{
    lk_result *result = lk_result_new();
    lk_status status = lk_get_at(inner_of(state), key, result);
    sched_yield();
    if (status == LK_OK) {
        lk_item item = *lk_result_item(result, 0);
        item.expires_at_ms = expires_at_ms;
        status = lk_set(inner_of(state), &item, 1);
    }
    lk_result_free(result);
    return status;
}

static lk_status
add_in_two_steps(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms,
                 int64_t *value)
{
    int64_t sum;
    lk_status status = lk_add_at(inner_of(state), key, 0, expires_at_ms, &sum);
    lk_item item = {.key = *key, .data = {&sum, sizeof sum}, .expires_at_ms = expires_at_ms};
    if (status != LK_OK)
        return status;
    if (__builtin_add_overflow(sum, delta, &sum))
        return LK_TOO_BIG;
    sched_yield();
    status = lk_set(inner_of(state), &item, 1);
    if (status == LK_OK)
        *value = sum;
    return status;
}

static lk_status
add_that_renews(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms,
                int64_t *value)
{
    lk_status status = lk_add_at(inner_of(state), key, delta, expires_at_ms, value);
    if (status == LK_OK && lk_touch_at(inner_of(state), key, expires_at_ms) < LK_OK)
        return LK_BUSY;
    return status;
}

static lk_status
add_that_wraps(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms, int64_t *value)
{
    int64_t sum;
    lk_status status = lk_add_at(inner_of(state), key, delta, expires_at_ms, value);
    if (status != LK_TOO_BIG || lk_add_at(inner_of(state), key, 0, 0, &sum) != LK_OK)
        return status;
    *value = (int64_t)((uint64_t)sum + (uint64_t)delta);
    lk_item item = {.key = *key, .data = {value, sizeof *value}};
    return lk_set(inner_of(state), &item, 1);
}

static lk_status
add_to_anything(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms,
                int64_t *value)
{
    lk_status status = lk_add_at(inner_of(state), key, delta, expires_at_ms, value);
    if (status != LK_INVALID)
        return status;
    *value = delta;
    lk_item item = {.key = *key, .data = {value, sizeof *value}};
    return lk_set(inner_of(state), &item, 1);
}

/* What was there before. */
static lk_status
add_that_tells_the_old(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms,
                       int64_t *value)
{
    lk_status status = lk_add_at(inner_of(state), key, delta, expires_at_ms, value);
    if (status == LK_OK)
        *value = (int64_t)((uint64_t)*value - (uint64_t)delta);
    return status;
}

/* ---- bounds, counts, lists ---- */

static lk_status
query_with(void *state, const lk_page *page, lk_bytes from, lk_bytes until, lk_result *result)
{
    lk_query query = *page->query;
    lk_page other = *page;
    query.from = from;
    query.until = until;
    other.query = &query;
    return lk_query_page(inner_of(state), &other, result);
}

static lk_status
query_without_until(void *state, const lk_page *page, lk_result *result)
{
    return query_with(state, page, page->query->from, (lk_bytes){NULL, 0}, result);
}

/* The other way round in the other direction. */
static lk_status
query_that_turns_its_bounds(void *state, const lk_page *page, lk_result *result)
{
    const lk_query *query = page->query;
    return query->reverse ? query_with(state, page, query->until, query->from, result)
                          : query_with(state, page, query->from, query->until, result);
}

static lk_status
count_without_limit(void *state, const lk_query *query, size_t *count)
{
    lk_query all = *query;
    all.limit = 0;
    return lk_count(inner_of(state), &all, count);
}

static lk_status
count_from_the_start(void *state, const lk_query *query, size_t *count)
{
    lk_query all = *query;
    all.after.size = 0;
    return lk_count(inner_of(state), &all, count);
}

static lk_status
list_of_one_page(void *state, lk_position *position, size_t limit, lk_result *result)
{
    static const lk_position start;
    if (memcmp(position, &start, sizeof start) != 0)
        return LK_END;
    return lk_list_partitions(inner_of(state), position, limit, result);
}

static lk_status
list_that_stays(void *state, lk_position *position, size_t limit, lk_result *result)
{
    lk_position copy = *position;
    return lk_list_partitions(inner_of(state), &copy, limit, result);
}

/* An empty page instead of LK_END. */
static lk_status
list_that_ends_in_nothing(void *state, lk_position *position, size_t limit, lk_result *result)
{
    lk_status status = lk_list_partitions(inner_of(state), position, limit, result);
    if (status == LK_END)
        lk_result_draft(result), lk_result_publish(result);
    return status;
}

/* ---- commits ---- */

enum { WRITES_MAX = LK_COMMIT_MAX };

/* These have conditions of their own, so that they come to `commit` as they are. */
static lk_status
put_if_honest(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    return lk_put_if(inner_of(state), item, condition, expected);
}

static lk_status
commit_of(void *state, const lk_write *writes, size_t count, lk_lock *locks, size_t lock_count,
          lk_conflict *conflict, void (*change)(lk_write *write))
{
    lk_write *copy = calloc(count + 1, sizeof *copy);
    if (copy == NULL)
        return LK_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        copy[i] = writes[i];
        change(&copy[i]);
    }
    lk_status status = lk_commit(inner_of(state), copy, count, locks, lock_count, conflict);
    free(copy);
    return status;
}

static void
condition_drop(lk_write *write)
{
    write->condition = LK_ALWAYS;
}

static lk_status
commit_without_conditions(void *state, const lk_write *writes, size_t count, lk_lock *locks,
                          size_t lock_count, lk_conflict *conflict)
{
    return commit_of(state, writes, count, locks, lock_count, conflict, condition_drop);
}

static void
push_options_drop(lk_write *write)
{
    write->push = NULL;
}

static lk_status
commit_without_push_options(void *state, const lk_write *writes, size_t count, lk_lock *locks,
                            size_t lock_count, lk_conflict *conflict)
{
    return commit_of(state, writes, count, locks, lock_count, conflict, push_options_drop);
}

static void
delay_drop(lk_write *write)
{
    write->delay_ms = 0;
}

static lk_status
commit_without_delays(void *state, const lk_write *writes, size_t count, lk_lock *locks,
                      size_t lock_count, lk_conflict *conflict)
{
    return commit_of(state, writes, count, locks, lock_count, conflict, delay_drop);
}

static lk_status
commit_that_blames_the_last(void *state, const lk_write *writes, size_t count, lk_lock *locks,
                            size_t lock_count, lk_conflict *conflict)
{
    conflict->write = SIZE_MAX;
    lk_status status = lk_commit(inner_of(state), writes, count, locks, lock_count, conflict);
    if (status != LK_OK && status != LK_LATE && conflict->write < count)
        conflict->write = count - 1;
    return status;
}

/* Releases what it names before it looks at the rest. */
static lk_status
commit_that_releases_first(void *state, const lk_write *writes, size_t count, lk_lock *locks,
                           size_t lock_count, lk_conflict *conflict)
{
    lk_status status = lk_commit(inner_of(state), writes, count, locks, lock_count, conflict);
    for (size_t i = 0; i < count && status == LK_RACE; i++)
        if (writes[i].kind == LK_RELEASE &&
            lk_queue_release(inner_of(state), writes[i].claim, writes[i].delay_ms) < LK_OK)
            return LK_BUSY;
    return status;
}

/* ---- jobs that are looked at ---- */

static lk_status
inspect_that_sees_none_delayed(void *state, const lk_key *keys, size_t count, lk_job *jobs)
{
    lk_status status = lk_queue_inspect_many(inner_of(state), keys, count, jobs);
    for (size_t i = 0; i < count && status == LK_OK; i++)
        if (jobs[i].state == LK_JOB_DELAYED)
            jobs[i].state = LK_JOB_READY;
    return status;
}

static lk_status
inspect_that_tells_deadlines(void *state, const lk_key *keys, size_t count, lk_job *jobs)
{
    lk_status status = lk_queue_inspect_many(inner_of(state), keys, count, jobs);
    for (size_t i = 0; i < count && status == LK_OK; i++)
        jobs[i].changes_at_ms -= jobs[i].state == LK_JOB_CLAIMED;
    return status;
}

static lk_status
inspect_that_takes_items_for_jobs(void *state, const lk_key *keys, size_t count, lk_job *jobs)
{
    lk_status status = lk_queue_inspect_many(inner_of(state), keys, count, jobs);
    size_t size;
    for (size_t i = 0; i < count && status == LK_OK; i++)
        if (jobs[i].state == 0 &&
            lk_get_into(inner_of(state), keys[i], NULL, 0, &size) != LK_NOT_FOUND)
            jobs[i].state = LK_JOB_READY;
    return status;
}

/* ---- locks of nothing ---- */

static lk_status
get_locked_that_makes(void *state, const lk_key *keys, size_t count, lk_lock *locks,
                      lk_result *result)
{
    lk_lock made;
    for (size_t i = 0; i < count; i++)
        if (lk_get_lock(inner_of(state), keys[i], &made) != LK_OK)
            return LK_BUSY;
    return lk_get_locked(inner_of(state), keys, count, locks, result);
}

/* Under version 0 it takes whatever is there. */
static lk_status
set_atomic_that_trusts_zero(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                            size_t lock_count, lk_conflict *conflict)
{
    for (size_t i = 0; i < lock_count; i++)
        if (locks[i].version == 0 && lk_get_lock(inner_of(state), locks[i].key, &locks[i]) != LK_OK)
            return LK_BUSY;
    return lk_set_atomic(inner_of(state), items, item_count, locks, lock_count, conflict);
}

const twin twins_of_conditions[] = {
    {"put_if heeds no condition",
     {.put_if = put_if_always},
     .cases = {"test_put_if_absent*", "test_put_if_present*", "test_put_if_equal*",
               "test_condition_judges*"}},
    {"put_if compares sizes", {.put_if = put_if_size}, .cases = {"test_put_if_equal*"}},
    {"put_if in two steps",
     {.put_if = put_if_in_two_steps},
     .cases = {"test_one_of_several*", "test_touch_and_put_if_present*"}},
    {"put_if is always a race",
     {.put_if = put_if_races},
     .cases = {"test_put_if_absent*", "test_put_if_present*"}},
    {"put_if forgets the expiry",
     {.put_if = put_if_for_ever},
     .cases = {"test_put_if_gives*", "test_condition_judges*"}},
    {"touch makes items", {.touch = touch_that_makes}, .cases = {"test_touch_never*"}},
    {"touch drops the bytes", {.touch = touch_that_empties}, .cases = {"test_touch_gives*"}},
    {"touch in two steps",
     {.touch = touch_in_two_steps},
     .cases = {"test_touch_and_put_if_present*"}},
    {"add in two steps", {.add = add_in_two_steps}, .cases = {"test_adds_of_several*"}},
    {"add renews the expiry", {.add = add_that_renews}, .cases = {"test_add_keeps*"}},
    {"add wraps", {.add = add_that_wraps}, .cases = {"test_add_to_the_ends*"}},
    {"add takes any size", {.add = add_to_anything}, .cases = {"test_add_to_what_is_no*"}},
    {"add tells the old number",
     {.add = add_that_tells_the_old},
     .cases = {"test_add_counts*", "test_adds_of_several*"}},
    {"query has no upper bound",
     {.query = query_without_until},
     .cases = {"test_query_from_and_until*", "test_query_of_each_pair*"}},
    {"bounds turn with the direction",
     {.query = query_that_turns_its_bounds},
     .cases = {"test_query_with_bounds_has*", "test_query_of_each_pair*"}},
    {"count heeds no limit", {.count = count_without_limit}, .cases = {"test_count_is*"}},
    {"count heeds no cursor", {.count = count_from_the_start}, .cases = {"test_count_is*"}},
    {"list has one page",
     {.list_partitions = list_of_one_page},
     .cases = {"test_list_of_many*", "test_partitions_with_names*"}},
    {"list stays where it is",
     {.list_partitions = list_that_stays},
     .cases = {"test_list_of_many*", "test_partition_that_stays*", "test_partitions_are*"}},
    {"list ends in an empty result",
     {.list_partitions = list_that_ends_in_nothing},
     .cases = {"test_partitions_are*"}},
    {"commit heeds no condition",
     {.commit = commit_without_conditions, .put_if = put_if_honest},
     .cases = {"test_refused_condition*", "test_delete_if*", "test_touch_and_add_heed*",
               "test_hand_over_under*"}},
    {"commit blames the last write",
     {.commit = commit_that_blames_the_last, .put_if = put_if_honest},
     .cases = {"test_conflict_names*", "test_conflict_of_jobs_names*"}},
    {"commit heeds no options of a push",
     {.commit = commit_without_push_options, .put_if = put_if_honest},
     .cases = {"test_push_of_a_commit_heeds_its*", "test_push_of_a_commit_that_is_unique*",
               "test_push_of_a_commit_heeds_the*"}},
    {"commit heeds no delay of a release",
     {.commit = commit_without_delays, .put_if = put_if_honest},
     .cases = {"test_release_in_a_commit_is*"}},
    {"commit releases in a race",
     {.commit = commit_that_releases_first, .put_if = put_if_honest},
     .cases = {"test_release_in_a_commit_under*"}},
    {"delayed jobs look ready",
     {.queue_inspect = inspect_that_sees_none_delayed},
     .cases = {"test_inspect_tells*", "test_inspect_changes*"}},
    {"a job changes at its deadline",
     {.queue_inspect = inspect_that_tells_deadlines},
     .cases = {"test_inspect_tells*"}},
    {"items look like jobs",
     {.queue_inspect = inspect_that_takes_items_for_jobs},
     .cases = {"test_inspect_of_what_is*"}},
    {"get_locked makes locks",
     {.get_locked = get_locked_that_makes},
     .cases = {"test_lock_of_nothing_is*", "test_rate_limit*"}},
    {"a lock of nothing is trusted",
     {.set_atomic = set_atomic_that_trusts_zero},
     .cases = {"test_commit_under_the_lock_of_nothing_f*", "test_lock_of_nothing_tells*"}},
};
const size_t twins_of_conditions_count = COUNT(twins_of_conditions);
