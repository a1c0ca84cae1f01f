/* SPDX-License-Identifier: MIT
 *
 * Adapters that are broken in what a token is good for, in what a push replaces, in what they
 * count, and in what they do to errno.
 */
#include <errno.h>

#include "twins.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- tokens ---- */

/* Tokens that are the number of receives: each is good whenever the job was received so often. */
static lk_status
pull_by_receives(void *state, const lk_pull_options *options, lk_result *result)
{
    lk_result *real = ((pass *)state)->seen;
    lk_status status = lk_queue_pull(inner_of(state), options, real);
    if (status != LK_OK)
        return status;
    lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < lk_result_count(real); i++) {
        lk_claim claim = *lk_result_claim(real, i);
        claim.token = claim.receives;
        status = lk_result_add_claimed(result, lk_result_item(real, i), &claim);
    }
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

/* The claim that the store knows, of a claim of the above: the last pull's, as often received. */
static lk_claim
claim_of_receives(void *state, const lk_claim *claim)
{
    const lk_result *real = ((pass *)state)->seen;
    lk_claim found = *claim;
    for (size_t i = 0; i < lk_result_count(real); i++) {
        const lk_claim *last = lk_result_claim(real, i);
        if (last != NULL && lk_bytes_compare(last->key.sk, claim->key.sk) == 0 &&
            last->receives == claim->token)
            found.token = last->token;
    }
    return found;
}

static lk_status
acknowledge_by_receives(void *state, const lk_claim *claims, size_t count)
{
    lk_status first = LK_OK;
    for (size_t i = 0; i < count; i++) {
        lk_claim claim = claim_of_receives(state, &claims[i]);
        lk_status status = lk_queue_acknowledge(inner_of(state), &claim, 1);
        first = first == LK_OK ? status : first;
    }
    return first;
}

static lk_status
release_by_receives(void *state, const lk_claim *claim, int64_t delay_ms)
{
    lk_claim found = claim_of_receives(state, claim);
    return lk_queue_release(inner_of(state), &found, delay_ms);
}

static lk_status
extend_by_receives(void *state, lk_claim *claim, int64_t visibility_ms)
{
    lk_claim found = claim_of_receives(state, claim);
    lk_status status = lk_queue_extend(inner_of(state), &found, visibility_ms);
    if (status == LK_OK)
        claim->deadline_ms = found.deadline_ms;
    return status;
}

/* ---- strangers ---- */

/* What was put where the generated keys go on is taken for the queue's own. */
static lk_status
push_over_items(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
                lk_result *pushed)
{
    lk_query last = {.pk = jobs[0].key.pk};
    lk_result *seen = ((pass *)state)->seen;
    if (jobs[0].key.sk.size == 0 && lk_query_items(inner_of(state), &last, seen) == LK_OK)
        for (size_t i = 0; i < lk_result_count(seen); i++) {
            const lk_item *item = lk_result_item(seen, i);
            if (item->key.sk.size == LK_ULID_SIZE &&
                lk_bytes_compare(item->data, lk_string("item")) == 0 &&
                lk_delete(inner_of(state), &item->key, 1) != LK_OK)
                return LK_BUSY;
        }
    return lk_queue_push(inner_of(state), jobs, count, options, pushed);
}

/* What is put where nothing lives becomes a job, if anybody has pushed that key. */
static lk_status
set_that_pushes(void *state, const lk_item *items, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        bool new = lk_get(inner_of(state), items[i].key, ((pass *)state)->seen) == LK_NOT_FOUND;
        lk_queue_statistics stats;
        status = lk_queue_stats(inner_of(state), items[i].key.pk, &stats);
        if (status == LK_OK)
            status = new &&stats.pushes != 0 && items[i].key.sk.size != 0
                         ? lk_queue_push(inner_of(state), &items[i], 1, NULL, NULL)
                         : lk_set(inner_of(state), &items[i], 1);
    }
    return status;
}

/* The dead stay where they are while their queue is closed. */
static lk_status
pull_that_fears_closed_queues(void *state, const lk_pull_options *options, lk_result *result)
{
    lk_pull_options without = *options, look = {.pk = options->dead_pk};
    if (options->max_receives != 0 &&
        lk_queue_pull(inner_of(state), &look, ((pass *)state)->seen) == LK_CLOSED)
        without.max_receives = 0;
    return lk_queue_pull(inner_of(state), &without, result);
}

/* ---- figures ---- */

static lk_status
stats_in_calls(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    lk_status status = lk_queue_stats(inner_of(state), pk, stats);
    if (status == LK_OK && stats->pushes > 2)
        stats->pushes -= 2;
    return status;
}

static lk_status
stats_of_pulls_in_calls(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    lk_status status = lk_queue_stats(inner_of(state), pk, stats);
    if (status == LK_OK)
        stats->pulls = (stats->pulls + 2) / 3;
    return status;
}

static lk_status
stats_with_the_age_of_all(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    lk_status status = lk_queue_stats(inner_of(state), pk, stats);
    if (status == LK_OK && stats->delayed != 0)
        stats->oldest_age_ms += 1;
    return status;
}

static lk_status
stats_that_lose_extends(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    lk_status status = lk_queue_stats(inner_of(state), pk, stats);
    if (status == LK_OK)
        stats->lost = stats->lost / 2;
    return status;
}

static lk_status
stats_with_releases_as_lapses(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    lk_status status = lk_queue_stats(inner_of(state), pk, stats);
    if (status == LK_OK && stats->pulls > 1)
        stats->lapses = stats->pulls - 1;
    return status;
}

static lk_status
stats_with_one_empty_pull(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    lk_status status = lk_queue_stats(inner_of(state), pk, stats);
    if (status == LK_OK && stats->empty_pulls > 1)
        stats->empty_pulls = 1;
    return status;
}

static lk_status
purge_that_counts_too_much(void *state, lk_bytes pk, size_t *purged)
{
    lk_status status = lk_queue_purge(inner_of(state), pk, purged);
    if (status == LK_OK && *purged == 3)
        *purged = 4;
    return status;
}

static lk_status
sweep_that_says_nothing(void *state, size_t max_items, size_t *swept)
{
    lk_status status = lk_sweep(inner_of(state), max_items, swept);
    *swept = 0;
    return status;
}

/* ---- errno ---- */

static lk_status
get_that_sets_errno(void *state, lk_key key, lk_result *result)
{
    errno = ENOENT;
    return lk_get(inner_of(state), key, result);
}

static lk_status
query_that_sets_errno(void *state, const lk_page *page, lk_result *result)
{
    errno = 0;
    return lk_query_page(inner_of(state), page, result);
}

static lk_status
commit_that_sets_errno(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
                       size_t lock_count, lk_conflict *conflict)
{
    lk_status status = lk_commit(inner_of(state), writes, write_count, locks, lock_count, conflict);
    if (status == LK_RACE)
        errno = EAGAIN;
    return status;
}

static lk_status
acknowledge_that_sets_errno(void *state, const lk_claim *claims, size_t count)
{
    lk_status status = lk_queue_acknowledge(inner_of(state), claims, count);
    if (status == LK_LOST)
        errno = ENOENT;
    return status;
}

const twin twins_of_figures[] = {
    {"tokens are numbers of receives",
     {.pull = pull_by_receives,
      .acknowledge = acknowledge_by_receives,
      .release = release_by_receives,
      .extend = extend_by_receives},
     .cases = {"test_token_of_a_job_that_is_gone*"}},
    {"generated keys replace items",
     {.push = push_over_items},
     .cases = {"test_generated_keys_replace*"}},
    {"what is put over an expired job is a job",
     {.set = set_that_pushes},
     .cases = {"test_item_put_over*"}},
    {"no dead letter enters a closed queue",
     {.pull = pull_that_fears_closed_queues},
     .cases = {"test_dead_letters_enter*"}},
    {"pushes are counted in calls",
     {.queue_stats = stats_in_calls},
     .cases = {"test_statistics_count_pushes*"}},
    {"pulls are counted in calls",
     {.queue_stats = stats_of_pulls_in_calls},
     .cases = {"test_statistics_count_pushes*"}},
    {"the age is that of a delayed job",
     {.queue_stats = stats_with_the_age_of_all},
     .cases = {"test_statistics_tell_the_age*"}},
    {"half of the lost calls count",
     {.queue_stats = stats_that_lose_extends},
     .cases = {"test_statistics_count_late*", "test_statistics_count_commits*"}},
    {"releases count as lapses",
     {.queue_stats = stats_with_releases_as_lapses},
     .cases = {"test_statistics_count_no_release*"}},
    {"empty pulls count once",
     {.queue_stats = stats_with_one_empty_pull},
     .cases = {"test_statistics_count_each_empty*"}},
    {"purge counts the expired",
     {.queue_purge = purge_that_counts_too_much},
     .cases = {"test_purge_counts*"}},
    {"sweep says nothing", {.sweep = sweep_that_says_nothing}, .cases = {"test_sweep_says_how*"}},
    {"get sets errno", {.get = get_that_sets_errno}, .cases = {"test_item_calls_leave*"}},
    {"query clears errno",
     {.query = query_that_sets_errno},
     .cases = {"test_ordered_reads_leave*"}},
    {"a race sets errno",
     {.commit = commit_that_sets_errno},
     .cases = {"test_locks_and_commits_leave*"}},
    {"a lost claim sets errno",
     {.acknowledge = acknowledge_that_sets_errno},
     .cases = {"test_queue_calls_leave*"}},
};
const size_t twins_of_figures_count = COUNT(twins_of_figures);
