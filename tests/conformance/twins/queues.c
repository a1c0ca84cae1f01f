/* SPDX-License-Identifier: MIT
 *
 * Twins that are broken in what they do with jobs.
 */
#include <sched.h>
#include <stdlib.h>

#include "twins.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- push ---- */

static lk_status
push_backwards(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
               lk_result *pushed)
{
    lk_item *turned = calloc(count, sizeof *turned);
    for (size_t i = 0; i < count; i++)
        turned[i] = jobs[count - 1 - i];
    lk_status status = lk_queue_push(inner_of(state), turned, count, options, pushed);
    free(turned);
    return status;
}

static lk_status
push_one_by_one(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
                lk_result *pushed)
{
    lk_result *one = lk_result_new(), *all = pushed != NULL ? pushed : one;
    lk_status status = LK_OK;
    lk_result_draft(all);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        sched_yield();
        status = lk_queue_push(inner_of(state), &jobs[i], 1, options, one);
        if (status == LK_OK && pushed != NULL)
            status = lk_result_add(pushed, lk_result_item(one, 0));
    }
    if (status == LK_OK)
        lk_result_publish(all);
    lk_result_free(one);
    return status;
}

/* ULIDs of the clock alone. */
static lk_status
push_by_the_clock(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
                  lk_result *pushed)
{
    lk_item *named = calloc(count, sizeof *named);
    char(*ulid)[LK_ULID_SIZE] = calloc(count, sizeof *ulid);
    for (size_t i = 0; i < count; i++) {
        named[i] = jobs[i];
        lk_ulid_next(ulid[i], lk_realtime_now_ms(inner_of(state)));
        if (named[i].key.sk.size == 0)
            named[i].key.sk = (lk_bytes){ulid[i], LK_ULID_SIZE};
    }
    lk_status status = lk_queue_push(inner_of(state), named, count, options, pushed);
    free(named);
    free(ulid);
    return status;
}

static lk_status
push_other(void *state, const lk_item *jobs, size_t count, lk_push_options options,
           lk_result *pushed)
{
    return lk_queue_push(inner_of(state), jobs, count, &options, pushed);
}

static lk_status
push_without_depth(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
                   lk_result *pushed)
{
    return push_other(state, jobs, count, (lk_push_options){options->delay_ms, 0, options->unique},
                      pushed);
}

static lk_status
push_without_delay(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
                   lk_result *pushed)
{
    return push_other(state, jobs, count, (lk_push_options){0, options->max_depth, options->unique},
                      pushed);
}

static lk_status
push_without_unique(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
                    lk_result *pushed)
{
    return push_other(state, jobs, count,
                      (lk_push_options){options->delay_ms, options->max_depth, false}, pushed);
}

/* Looks first and pushes then. */
static lk_status
push_that_looks(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
                lk_result *pushed)
{
    lk_queue_statistics s;
    if (lk_queue_stats(inner_of(state), jobs[0].key.pk, &s) != LK_OK)
        return LK_BUSY;
    if (options->max_depth != 0 && s.ready + s.claimed + s.delayed >= options->max_depth)
        return LK_BUSY; /* of a batch only the first counts */
    return push_without_depth(state, jobs, count, options, pushed);
}

/* ---- pull ---- */

static lk_status
pull_other(void *state, lk_pull_options options, lk_result *result)
{
    return lk_queue_pull(inner_of(state), &options, result);
}

/* Gives the job to the next one too. */
static lk_status
pull_for_two(void *state, const lk_pull_options *options, lk_result *result)
{
    lk_status status = lk_queue_pull(inner_of(state), options, result);
    if (status == LK_OK) {
        lk_claim by_key = {.key = lk_result_item(result, 0)->key};
        if (lk_queue_release(inner_of(state), &by_key, 0) < LK_OK)
            return LK_BUSY;
    }
    return status;
}

static lk_status
pull_for_a_minute(void *state, const lk_pull_options *options, lk_result *result)
{
    lk_pull_options other = *options;
    if (other.visibility_ms == 0)
        other.visibility_ms = LK_MINUTES(1);
    return pull_other(state, other, result);
}

static lk_status
pull_without_wait(void *state, const lk_pull_options *options, lk_result *result)
{
    lk_pull_options other = *options;
    other.wait_ms = 0;
    return pull_other(state, other, result);
}

static lk_status
pull_without_dead(void *state, const lk_pull_options *options, lk_result *result)
{
    lk_pull_options other = *options;
    other.max_receives = 0;
    return pull_other(state, other, result);
}

/* The dead are moved by hand. */
static lk_status
pull_that_moves_in_steps(void *state, const lk_pull_options *options, lk_result *result)
{
    lk_db *db = inner_of(state);
    if (options->max_receives == 0)
        return lk_queue_pull(db, options, result);
    lk_result *found = lk_result_new();
    lk_pull_options other = *options;
    other.max_receives = 0;
    lk_status status = lk_queue_pull(db, &other, found);
    if (status == LK_OK && lk_result_claim(found, 0)->receives > options->max_receives) {
        lk_item dead = *lk_result_item(found, 0);
        dead.key.pk = options->dead_pk;
        status = lk_queue_acknowledge(db, lk_result_claim(found, 0), 1);
        sched_yield();
        if (status == LK_OK)
            status = lk_queue_push(db, &dead, 1, NULL, NULL);
        status = status == LK_OK ? LK_EMPTY : status;
    }
    lk_result_free(found);
    return status;
}

/* One more than it may. */
static lk_status
pull_with_one_more(void *state, const lk_pull_options *options, lk_result *result)
{
    lk_pull_options other = *options;
    other.max_receives += other.max_receives != 0;
    return pull_other(state, other, result);
}

static lk_status
pull_that_counts_nothing(void *state, const lk_pull_options *options, lk_result *result)
{
    lk_result *found = lk_result_new();
    lk_status status = lk_queue_pull(inner_of(state), options, found);
    if (status == LK_OK) {
        lk_result_draft(result);
        for (size_t i = 0; status == LK_OK && i < lk_result_count(found); i++) {
            lk_claim claim = *lk_result_claim(found, i);
            claim.receives = 1;
            status = lk_result_add_claimed(result, lk_result_item(found, i), &claim);
        }
        if (status == LK_OK)
            lk_result_publish(result);
    }
    lk_result_free(found);
    return status;
}

/* ---- claims ---- */

static lk_status
acknowledge_that_is_never_late(void *state, const lk_claim *claims, size_t count)
{
    lk_status status = lk_queue_acknowledge(inner_of(state), claims, count);
    return status == LK_LATE ? LK_OK : status;
}

static lk_status
acknowledge_that_is_never_lost(void *state, const lk_claim *claims, size_t count)
{
    lk_status status = lk_queue_acknowledge(inner_of(state), claims, count);
    return status == LK_LOST ? LK_OK : status;
}

static lk_status
acknowledge_by_key(void *state, const lk_claim *claims, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0; i < count; i++) {
        lk_claim by_key = {.key = claims[i].key};
        lk_status one = lk_queue_acknowledge(inner_of(state), &by_key, 1);
        status = status == LK_OK ? one : status;
    }
    return status;
}

static lk_status
acknowledge_until_one_fails(void *state, const lk_claim *claims, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = lk_queue_acknowledge(inner_of(state), &claims[i], 1);
    return status;
}

static lk_status
acknowledge_that_says_the_last(void *state, const lk_claim *claims, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0; i < count; i++) {
        lk_status one = lk_queue_acknowledge(inner_of(state), &claims[i], 1);
        status = one != LK_OK ? one : status;
    }
    return status;
}

static lk_status
release_that_keeps(void *state, const lk_claim *claim, int64_t delay_ms)
{
    (void)state;
    (void)claim;
    (void)delay_ms;
    return LK_OK;
}

/* To the end of the queue. */
static lk_status
release_to_the_end(void *state, const lk_claim *claim, int64_t delay_ms)
{
    lk_result *found = lk_result_new();
    lk_push_options options = {.delay_ms = delay_ms};
    lk_status status = lk_get(inner_of(state), claim->key, found);
    if (status == LK_OK)
        status = lk_queue_acknowledge(inner_of(state), claim, 1);
    if (status == LK_OK) {
        lk_item again = *lk_result_item(found, 0);
        again.key.sk.size = 0;
        status = lk_queue_push(inner_of(state), &again, 1, &options, NULL);
    }
    lk_result_free(found);
    return status == LK_NOT_FOUND ? LK_LOST : status;
}

static lk_status
release_at_once(void *state, const lk_claim *claim, int64_t delay_ms)
{
    (void)delay_ms;
    return lk_queue_release(inner_of(state), claim, 0);
}

static lk_status
extend_in_words(void *state, lk_claim *claim, int64_t visibility_ms)
{
    claim->deadline_ms = lk_monotonic_now_ms(inner_of(state)) + visibility_ms;
    return LK_OK;
}

/* ---- the queue, jobs as items ---- */

static lk_status
close_in_words(void *state, lk_bytes pk)
{
    (void)state;
    (void)pk;
    return LK_OK;
}

/* As if a closed queue were over as soon as nothing is visible. */
static lk_status
pull_that_ends_early(void *state, const lk_pull_options *options, lk_result *result)
{
    lk_pull_options at_once = *options;
    at_once.wait_ms = 0;
    lk_item probes[2] = {{.key = {options->pk, {NULL, 0}}}, {.key = {options->pk, {NULL, 0}}}};
    lk_push_options none = LK_PUSH_OPTIONS_INIT;
    none.max_depth = 1; /* refused whatever is there, but a closed queue says that first */
    lk_status status = lk_queue_pull(inner_of(state), &at_once, result);
    if (status == LK_EMPTY && lk_queue_push(inner_of(state), probes, 2, &none, NULL) == LK_CLOSED)
        return LK_CLOSED;
    return status == LK_EMPTY && options->wait_ms != 0
               ? lk_queue_pull(inner_of(state), options, result)
               : status;
}

static lk_status
purge_that_leaves_one(void *state, lk_bytes pk, size_t *purged)
{
    lk_item left = {.key = {pk, {"left", 4}}};
    lk_status status = lk_queue_purge(inner_of(state), pk, purged);
    if (status == LK_OK && *purged != 0)
        return lk_queue_push(inner_of(state), &left, 1, NULL, NULL);
    return status;
}

static lk_status
purge_of_items(void *state, lk_bytes pk, size_t *purged)
{
    lk_result *found = lk_result_new();
    lk_query query = {.pk = pk};
    lk_status status = lk_queue_purge(inner_of(state), pk, purged);
    if (status == LK_OK)
        status = lk_query_items(inner_of(state), &query, found);
    for (size_t i = 0; status == LK_OK && i < lk_result_count(found); i++)
        status = lk_delete(inner_of(state), &lk_result_item(found, i)->key, 1);
    lk_result_free(found);
    return status;
}

static lk_status
stats_that_know_no_claims(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    lk_status status = lk_queue_stats(inner_of(state), pk, stats);
    if (status == LK_OK) {
        stats->ready += stats->claimed;
        stats->claimed = 0;
    }
    return status;
}

/* A set takes the job out. */
static lk_status
set_that_forgets_the_job(void *state, const lk_item *items, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        status = lk_delete(inner_of(state), &items[i].key, 1);
        if (status == LK_OK)
            status = lk_set(inner_of(state), &items[i], 1);
    }
    return status;
}

const twin twins_of_queues[] = {
    {"a batch is pushed backwards",
     {.push = push_backwards},
     .cases = {"test_batches_are_in_order", "test_push_gives_the_jobs*"}},
    {"a batch is pushed one by one",
     {.push = push_one_by_one},
     .cases = {"test_push_beyond_max_depth*", "test_unique_push*", "test_bad_pushes*",
               "test_batches_of_many_threads*"}},
    {"ULIDs follow the clock", {.push = push_by_the_clock}, .cases = {"test_ulids_grow_whatever*"}},
    {"push ignores max_depth",
     {.push = push_without_depth},
     .cases = {"test_push_beyond*", "test_max_depth_does_not*", "test_max_depth_holds*"}},
    {"push looks at the depth before", {.push = push_that_looks}, .cases = {"test_push_beyond*"}},
    {"push ignores delay_ms", {.push = push_without_delay}, .cases = {"test_delayed_jobs_are*"}},
    {"push ignores unique",
     {.push = push_without_unique},
     .cases = {"test_unique_push*", "test_unique_job_is_pushed_once*"}},
    {"a job has two holders",
     {.pull = pull_for_two},
     .cases = {"test_jobs_come_first*", "test_each_job_has_one_holder*"}},
    {"pull holds for a minute", {.pull = pull_for_a_minute}, .cases = {"test_pull_by_defaults*"}},
    {"pull does not wait",
     {.pull = pull_without_wait},
     .cases = {"test_wait_for_nothing*", "test_lapse_and_delay*", "test_close_wakes_all*"}},
    {"no job dies", {.pull = pull_without_dead}, .cases = {"test_job_that_was_received*"}},
    {"a job dies in two steps",
     {.pull = pull_that_moves_in_steps},
     .cases = {"test_job_that_moves_is*"}},
    {"a job dies late",
     {.pull = pull_with_one_more},
     .cases = {"test_job_that_was_received*", "test_limit_of_receives*"}},
    {"receives are not counted",
     {.pull = pull_that_counts_nothing},
     .cases = {"test_lapsed_jobs_come_again*", "test_release_gives*"}},
    {"acknowledge is never late",
     {.acknowledge = acknowledge_that_is_never_late},
     .cases = {"test_acknowledge_after_the_deadline*"}},
    {"acknowledge is never lost",
     {.acknowledge = acknowledge_that_is_never_lost},
     .cases = {"test_claims_that_are_lost*", "test_each_job_is_done_once*"}},
    {"acknowledge heeds no token",
     {.acknowledge = acknowledge_by_key},
     .cases = {"test_claims_that_are_lost*", "test_acknowledge_after_the_deadline*"}},
    {"acknowledge stops at the first failure",
     {.acknowledge = acknowledge_until_one_fails},
     .cases = {"test_acknowledge_of_several_judges*"}},
    {"acknowledge says the last failure",
     {.acknowledge = acknowledge_that_says_the_last},
     .cases = {"test_acknowledge_of_several_says*"}},
    {"release keeps the claim",
     {.release = release_that_keeps},
     .cases = {"test_release_gives*", "test_release_with_delay*"}},
    {"release goes to the end",
     {.release = release_to_the_end},
     .cases = {"test_release_gives*", "test_claims_that_are_lost*"}},
    {"release ignores the delay",
     {.release = release_at_once},
     .cases = {"test_release_with_delay*"}},
    {"extend does nothing", {.extend = extend_in_words}, .cases = {"test_extend_moves*"}},
    {"close does nothing",
     {.queue_close = close_in_words},
     .cases = {"test_closed_queue_takes*", "test_close_is_for_good"}},
    {"a closed queue ends while jobs are claimed",
     {.pull = pull_that_ends_early},
     .cases = {"test_closed_queue_takes*", "test_closed_queue_is_not*", "test_waiters_at_a_closed*",
               "test_whatever_takes*"}},
    {"purge leaves one", {.queue_purge = purge_that_leaves_one}, .cases = {"test_purge_takes*"}},
    {"purge takes items", {.queue_purge = purge_of_items}, .cases = {"test_purge_takes*"}},
    {"claimed jobs count as ready",
     {.queue_stats = stats_that_know_no_claims},
     .cases = {"test_statistics_count*"}},
    {"set takes the job out",
     {.set = set_that_forgets_the_job},
     .cases = {"test_set_of_a_job_leaves*", "test_set_heeds_no_lock*"}},
};
const size_t twins_of_queues_count = COUNT(twins_of_queues);
