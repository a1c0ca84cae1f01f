/* SPDX-License-Identifier: MIT
 *
 * Queues without memory; see support/scarce.h.
 */
#include "support/jobs.h"
#include "support/scarce.h"

#include <stdlib.h>

enum { HELD = 20, LONG = 600 };

static job held[HELD];
static unsigned tries;

static void
prepare_nothing(rig *it)
{
    (void)it;
    tries = 0;
}

/* What is in "q": all of them ready, claimed or delayed. */
static bool
depths_are(rig *it, const char *pk, uint64_t ready, uint64_t claimed, uint64_t delayed)
{
    lk_queue_statistics s;
    return lk_queue_stats(it->k.db, lk_string(pk), &s) == LK_OK && s.ready == ready &&
           s.claimed == claimed && s.delayed == delayed;
}

static bool
items_are(rig *it, const char *pk, size_t count)
{
    lk_query query = {.pk = lk_string(pk)};
    return lk_query_items(it->k.db, &query, it->k.result) == LK_OK &&
           lk_result_count(it->k.result) == count;
}

static bool
holds(rig *it, const char *pk, size_t ready, size_t claimed, size_t delayed)
{
    return depths_are(it, pk, ready, claimed, delayed) &&
           items_are(it, pk, ready + claimed + delayed);
}

/* ---- push ---- */

static lk_status
call_push_one(rig *it)
{
    lk_item item = kit_item("q", NULL, "x");
    return lk_queue_push(it->k.db, &item, 1, NULL, it->out);
}

static bool
is_empty(rig *it)
{
    return holds(it, "q", 0, 0, 0);
}

static bool
has_one(rig *it)
{
    return holds(it, "q", 1, 0, 0) && lk_result_count(it->out) == 1;
}

static lk_status
call_push_long(rig *it)
{
    return jobs_try_push_batch(&it->k, "q", 0, LONG, NULL, it->out);
}

static bool
has_long(rig *it)
{
    return holds(it, "q", LONG, 0, 0) && lk_result_count(it->out) == LONG;
}

static lk_status
push_keyed(rig *it, size_t count, const lk_push_options *options)
{
    lk_item items[GROWTH];
    for (size_t i = 0; i < count; i++)
        items[i] = (lk_item){.key = {lk_string("q"), scarce_key(it, i).sk}, .data = {"new", 3}};
    return lk_queue_push(it->k.db, items, count, options, it->out);
}

static lk_status
call_push_keyed(rig *it)
{
    lk_push_options options = {.delay_ms = 10, .unique = true, .max_depth = GROWTH};
    return push_keyed(it, GROWTH, &options);
}

static bool
has_delayed(rig *it)
{
    return holds(it, "q", 0, 0, GROWTH);
}

static lk_status
call_push_mixed(rig *it)
{
    lk_item items[6];
    for (size_t i = 0; i < 6; i++)
        items[i] = kit_item("q", i % 2 == 0 ? NULL : it->keys[i], "new");
    return lk_queue_push(it->k.db, items, 6, NULL, it->out);
}

static bool
has_six(rig *it)
{
    return holds(it, "q", 6, 0, 0);
}

/* HELD jobs that are claimed: half of them with keys, some of those with locks. */
static void
prepare_claimed(rig *it)
{
    tries = 0;
    for (size_t i = 0; i < HELD / 2; i++)
        jobs_push(&it->k, "q", it->keys[i], "old");
    for (size_t i = HELD / 2; i < HELD; i++)
        jobs_push(&it->k, "q", NULL, "old");
    for (size_t i = 0; i < HELD; i++)
        assert_status(LK_OK, lkc_try_pull(it->k.db, it->k.result, "q", &held[i]));
    for (size_t i = 0; i < 4; i++)
        it->locks[i] = it->locks_before[i] = kit_lock(&it->k, held[i * 6].claim.key);
    it->lock_count = 4;
}

static bool
held_are_good(rig *it, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (jobs_touch(&it->k, &held[i]) != LK_OK || !kit_holds(&it->k, held[i].claim.key, "old"))
            return false;
    return true;
}

static bool
all_are_held(rig *it)
{
    return held_are_good(it, 0, HELD) && holds(it, "q", 0, HELD, 0);
}

static lk_status
call_push_over(rig *it)
{
    return push_keyed(it, HELD / 2, NULL);
}

static bool
half_is_fresh(rig *it)
{
    for (size_t i = 0; i < HELD / 2; i++)
        if (!kit_holds(&it->k, (lk_key){lk_string("q"), scarce_key(it, i).sk}, "new"))
            return false;
    return holds(it, "q", HELD / 2, HELD / 2, 0);
}

/* ---- pull ---- */

static void
prepare_ready(rig *it)
{
    tries = 0;
    for (size_t i = 0; i < GROWTH / 2; i++)
        jobs_push(&it->k, "q", it->keys[i], "x");
    assert_status(LK_OK, jobs_try_push_batch(&it->k, "q", 0, GROWTH / 2, NULL, NULL));
}

static lk_status
call_pull_one(rig *it)
{
    lk_pull_options options = {.pk = lk_string("q")};
    return lk_queue_pull(it->k.db, &options, it->out);
}

static bool
all_are_ready(rig *it)
{
    return holds(it, "q", GROWTH, 0, 0);
}

static bool
one_is_claimed(rig *it)
{
    return holds(it, "q", GROWTH - 1, 1, 0) && lk_result_count(it->out) == 1 &&
           lk_result_claim(it->out, 0)->receives == 1;
}

static lk_status
call_pull_all(rig *it)
{
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = GROWTH, .wait_ms = -1};
    return lk_queue_pull(it->k.db, &options, it->out);
}

/* As many as came, which may be fewer than were asked for. */
static bool
pulled_are_claimed_once(rig *it)
{
    size_t count = lk_result_count(it->out);
    bool good = count > 0 && holds(it, "q", GROWTH - count, count, 0);
    for (size_t i = 0; good && i < count; i++)
        good = lk_result_claim(it->out, i)->receives == 1;
    return good;
}

/* Lapsed ones, released ones, delayed ones that are due. */
static void
prepare_returned(rig *it)
{
    prepare_claimed(it);
    for (size_t i = 0; i < HELD; i += 3)
        assert_status(LK_OK, lk_queue_release(it->k.db, &held[i].claim, i % 2 == 0 ? 0 : 10));
    kit_advance(&it->k, VISIBILITY_MS + 1);
}

static bool
returned_are_ready(rig *it)
{
    return holds(it, "q", HELD, 0, 0);
}

static lk_status
call_pull_returned(rig *it)
{
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = HELD};
    return lk_queue_pull(it->k.db, &options, it->out);
}

/* Those that lapsed may come a few at a time. */
static bool
returned_are_claimed(rig *it)
{
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = HELD};
    lk_status more = LK_OK;
    bool good = lk_result_claim(it->out, 0)->receives == 2;
    while (more == LK_OK)
        more = lk_queue_pull(it->k.db, &options, it->k.result);
    return good && more == LK_EMPTY && holds(it, "q", 0, HELD, 0);
}

static lk_status
call_pull_dead(rig *it)
{
    lk_pull_options options = {
        .pk = lk_string("q"), .max_receives = 1, .dead_pk = lk_string("dead")};
    lk_status status = lk_queue_pull(it->k.db, &options, it->out);
    return status == LK_EMPTY ? LK_OK : status;
}

/* Each of them in one of the two queues, none in both, none claimed. */
static bool
dead_or_alive(rig *it)
{
    lk_queue_statistics q, dead;
    if (lk_queue_stats(it->k.db, lk_string("q"), &q) != LK_OK ||
        lk_queue_stats(it->k.db, lk_string("dead"), &dead) != LK_OK)
        return false;
    for (size_t i = 0; i < HELD; i++) {
        lk_key key = held[i].claim.key;
        bool alive = lk_get(it->k.db, key, it->k.result) == LK_OK;
        key.pk = lk_string("dead");
        if (alive == (lk_get(it->k.db, key, it->k.result) == LK_OK))
            return false;
    }
    return q.claimed + q.delayed + dead.claimed + dead.delayed == 0 && q.ready + dead.ready == HELD;
}

static bool
all_are_dead(rig *it)
{
    return dead_or_alive(it) && holds(it, "q", 0, 0, 0) && holds(it, "dead", HELD, 0, 0);
}

/* ---- claims ---- */

/* Of several, those before the one that failed are judged: a second call finds them lost. */
static lk_status
call_acknowledge(rig *it)
{
    lk_claim claims[HELD];
    for (size_t i = 0; i < HELD; i++)
        claims[i] = held[i].claim;
    lk_status status = lk_queue_acknowledge(it->k.db, claims, HELD);
    return status == LK_LOST && tries++ > 0 ? LK_OK : (tries++, status);
}

static bool
acknowledged_are_prefix(rig *it)
{
    size_t i = 0;
    while (i < HELD && kit_holds(&it->k, held[i].claim.key, NULL))
        i++;
    return i < HELD && held_are_good(it, i, HELD) && holds(it, "q", 0, HELD - i, 0);
}

/* The first of the two may have been given back: it was a call of its own. */
static lk_status
call_release(rig *it)
{
    lk_status status = lk_queue_release(it->k.db, &held[0].claim, 10);
    if (status == LK_LOST && tries > 0)
        status = LK_OK;
    tries++;
    return status != LK_OK ? status : lk_queue_release(it->k.db, &held[HELD - 1].claim, 0);
}

static bool
release_is_before(rig *it)
{
    return held_are_good(it, 1, HELD) &&
           (holds(it, "q", 0, HELD, 0) || holds(it, "q", 0, HELD - 1, 1));
}

static bool
two_are_released(rig *it)
{
    return held_are_good(it, 1, HELD - 1) && holds(it, "q", 1, HELD - 2, 1);
}

static lk_status
call_extend(rig *it)
{
    lk_claim keyed = held[0].claim, generated = held[HELD - 1].claim;
    lk_status status = lk_queue_extend(it->k.db, &keyed, LK_HOURS(1));
    if (status == LK_OK)
        status = lk_queue_extend(it->k.db, &generated, LK_HOURS(1));
    return status;
}

static bool
extended_outlive_the_others(rig *it)
{
    kit_advance(&it->k, VISIBILITY_MS + 1);
    return holds(it, "q", HELD - 2, 2, 0);
}

/* ---- the queue ---- */

static lk_status
call_stats(rig *it)
{
    lk_queue_statistics s;
    lk_status status = lk_queue_stats(it->k.db, lk_string("q"), &s);
    return status != LK_OK || s.claimed == HELD ? status : LK_INVALID;
}

static lk_status
call_purge(rig *it)
{
    return lk_queue_purge(it->k.db, lk_string("q"), NULL);
}

static bool
some_are_out(rig *it)
{
    size_t there = 0;
    for (size_t i = 0; i < HELD; i++) {
        bool good = kit_holds(&it->k, held[i].claim.key, "old");
        there += good;
        if (good != (jobs_touch(&it->k, &held[i]) == LK_OK))
            return false;
    }
    return holds(it, "q", 0, there, 0);
}

static lk_status
call_close(rig *it)
{
    return lk_queue_close(it->k.db, lk_string("new"));
}

static bool
new_is_open(rig *it)
{
    return lkc_try_pull(it->k.db, it->k.result, "new", NULL) == LK_EMPTY;
}

static bool
new_is_closed(rig *it)
{
    return lkc_try_push(it->k.db, "new", NULL, "x", NULL) == LK_CLOSED;
}

static lk_status
call_fd(rig *it)
{
    int fd = -1, again = -1;
    lk_status status = lk_queue_fd(it->k.db, lk_string("new"), &fd);
    if (status != LK_OK)
        return fd == -1 ? status : LK_INVALID;
    status = lk_queue_fd(it->k.db, lk_string("new"), &again);
    return status == LK_OK && again != fd ? LK_INVALID : status;
}

static bool
new_works(rig *it)
{
    return lkc_try_push(it->k.db, "new", NULL, "x", NULL) == LK_OK &&
           lk_queue_purge(it->k.db, lk_string("new"), NULL) == LK_OK;
}

/* ---- items and commits ---- */

/* A put, a delete, pushes, acknowledges and releases of either kind, with locks. */
static lk_status
call_commit(rig *it)
{
    lk_push_options second = {.max_depth = 2};
    lk_write writes[] = {
        {.kind = LK_ACKNOWLEDGE, .claim = &held[0].claim},
        {.kind = LK_RELEASE, .claim = &held[3].claim},
        {.kind = LK_RELEASE, .claim = &held[HELD - 3].claim, .delay_ms = 10},
        {.kind = LK_PUSH, .item = kit_item("next", NULL, "x")},
        {.kind = LK_ACKNOWLEDGE, .claim = &held[HELD - 1].claim},
        {.kind = LK_PUSH, .item = kit_item("next", "own", "x"), .push = &second},
        {.kind = LK_PUT, .item = kit_item("results", "new", "x")},
        {.kind = LK_DELETE, .item = {.key = held[1].claim.key}},
        {.kind = LK_PUT, .item = {.key = held[2].claim.key, .data = {"put", 3}}},
        {.kind = LK_PUSH, .item = {.key = held[HELD - 2].claim.key, .data = {"again", 5}}}};
    return lk_commit(it->k.db, writes, KIT_COUNT(writes), it->locks, it->lock_count, NULL);
}

static bool
commit_is_before(rig *it)
{
    return all_are_held(it) && holds(it, "next", 0, 0, 0) &&
           kit_holds(&it->k, kit_key("results", "new"), NULL) &&
           memcmp(it->locks, it->locks_before, it->lock_count * sizeof *it->locks) == 0;
}

static bool
commit_is_after(rig *it)
{
    return holds(it, "q", 2, HELD - 6, 1) && holds(it, "next", 2, 0, 0) &&
           kit_holds(&it->k, kit_key("results", "new"), "x") &&
           kit_holds(&it->k, held[2].claim.key, "put") &&
           kit_holds(&it->k, held[HELD - 2].claim.key, "again") &&
           jobs_touch(&it->k, &held[2]) == LK_OK &&
           it->locks[1].version > it->locks_before[1].version;
}

/* One by one: each call is a step of its own, and may be made again. */
static lk_status
call_items(rig *it)
{
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < HELD; i++) {
        lk_item item = {.key = held[i].claim.key, .data = {"put", 3}};
        lk_lock lock;
        if (i % 5 == 0)
            status = lk_get_lock(it->k.db, item.key, &lock);
        else if (i % 5 == 1)
            status = lk_delete(it->k.db, &item.key, 1);
        else if (i % 5 == 2)
            status = lk_set(it->k.db, &item, 1);
        else
            status = lk_get(it->k.db, item.key, it->out);
    }
    return status;
}

static bool
items_are_between(rig *it)
{
    lk_queue_statistics s;
    return lk_queue_stats(it->k.db, lk_string("q"), &s) == LK_OK && s.ready + s.delayed == 0 &&
           s.claimed >= HELD - HELD / 5 && items_are(it, "q", s.claimed);
}

static bool
items_are_after(rig *it)
{
    bool good = holds(it, "q", 0, HELD - HELD / 5, 0);
    for (size_t i = 0; good && i < HELD; i++)
        good = kit_holds(&it->k, held[i].claim.key,
                         i % 5 == 1   ? NULL
                         : i % 5 == 2 ? "put"
                                      : "old") &&
               (i % 5 == 1 || jobs_touch(&it->k, &held[i]) == LK_OK);
    return good;
}

static lk_status
call_query(rig *it)
{
    lk_query query = {.pk = lk_string("q")};
    lk_stream *stream = NULL;
    lk_item item;
    lk_status status = lk_query_items(it->k.db, &query, it->out);
    if (status == LK_OK)
        status = lk_stream_open(it->k.db, &query, &stream);
    while (status == LK_OK)
        status = lk_stream_next(stream, &item);
    lk_stream_close(stream);
    return status == LK_END ? LK_OK : status;
}

/* ---- what is in the way ---- */

enum { EXPIRED = 80 };

static void
prepare_named(rig *it)
{
    kit_set(&it->k, "names", "n", "q");
    jobs_push(&it->k, "q", NULL, "old");
}

/* The name of the queue lies in what the pull will overwrite. */
static lk_status
call_pull_named(rig *it)
{
    lk_status status = lk_get(it->k.db, kit_key("names", "n"), it->out);
    if (status != LK_OK)
        return status;
    lk_pull_options options = {.pk = lk_result_item(it->out, 0)->data};
    return lk_queue_pull(it->k.db, &options, it->out);
}

static bool
named_is_ready(rig *it)
{
    return holds(it, "q", 1, 0, 0);
}

static bool
named_is_claimed(rig *it)
{
    return holds(it, "q", 0, 1, 0);
}

static void
prepare_expired(rig *it)
{
    for (uint64_t i = 0; i < EXPIRED; i++) {
        lk_item item = {lkc_numbered("q", i), {"x", 1}, it->k.now_ms + 1};
        if (i % 8 == 0)
            item.key.sk = (lk_bytes){NULL, 0};
        assert_status(LK_OK, lk_queue_push(it->k.db, &item, 1, NULL, NULL));
    }
    kit_advance(&it->k, 2);
}

static lk_status
call_push_deep(rig *it)
{
    lk_push_options options = {.max_depth = EXPIRED};
    return lkc_try_push(it->k.db, "q", NULL, "x", &options);
}

static bool
has_one_alone(rig *it)
{
    return holds(it, "q", 1, 0, 0);
}

static char ahead[JOB_ROOM];

/* A key as the queue will generate it in a thousand years. */
static void
prepare_ahead(rig *it)
{
    lk_item item = kit_item("q", NULL, "x");
    assert_status(LK_OK, lk_queue_push(it->k.db, &item, 1, NULL, it->k.result));
    memcpy(ahead, lk_result_item(it->k.result, 0)->key.sk.data, ULID_SIZE);
    ahead[ULID_SIZE] = '\0';
    ahead[0] = '1';
}

static lk_status
call_set_ahead(rig *it)
{
    lk_item item = kit_item("q", ahead, "mine");
    return lk_set(it->k.db, &item, 1);
}

static bool
ahead_is_free(rig *it)
{
    return kit_holds(&it->k, kit_key("q", ahead), NULL) && has_one_alone(it);
}

static bool
ahead_is_mine(rig *it)
{
    return kit_holds(&it->k, kit_key("q", ahead), "mine") && depths_are(it, "q", 1, 0, 0);
}

static const scenario scenarios[] = {
    {"pull by a name in its result", prepare_named, call_pull_named, named_is_ready,
     named_is_claimed},
    {"push over expired ones", prepare_expired, call_push_deep, is_empty, has_one_alone},
    {"a key ahead of the queue's", prepare_ahead, call_set_ahead, ahead_is_free, ahead_is_mine},
    {"push", prepare_nothing, call_push_one, is_empty, has_one},
    {"push of a thousand", prepare_nothing, call_push_long, is_empty, has_long},
    {"push with keys", prepare_nothing, call_push_keyed, is_empty, has_delayed},
    {"push with and without keys", prepare_nothing, call_push_mixed, is_empty, has_six},
    {"push over jobs", prepare_claimed, call_push_over, all_are_held, half_is_fresh},
    {"pull", prepare_ready, call_pull_one, all_are_ready, one_is_claimed},
    {"pull of many", prepare_ready, call_pull_all, all_are_ready, pulled_are_claimed_once},
    {"pull of returned ones", prepare_returned, call_pull_returned, returned_are_ready,
     returned_are_claimed},
    {"pull to the dead", prepare_returned, call_pull_dead, dead_or_alive, all_are_dead},
    {"acknowledge", prepare_claimed, call_acknowledge, acknowledged_are_prefix, is_empty},
    {"release", prepare_claimed, call_release, release_is_before, two_are_released},
    {"extend", prepare_claimed, call_extend, all_are_held, extended_outlive_the_others},
    {"stats", prepare_claimed, call_stats, all_are_held, all_are_held},
    {"purge", prepare_claimed, call_purge, some_are_out, is_empty},
    {"close", prepare_nothing, call_close, new_is_open, new_is_closed},
    {"descriptor", prepare_nothing, call_fd, new_works, new_works},
    {"commit", prepare_claimed, call_commit, commit_is_before, commit_is_after},
    {"items", prepare_claimed, call_items, items_are_between, items_are_after},
    {"query", prepare_claimed, call_query, all_are_held, all_are_held},
};

static void
test_queue_calls_without_memory_change_all_or_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(scenarios); i++)
        scarce_run(&scenarios[i]);
}

/* Whatever ends for want of memory while jobs are in every state: the store gives all back. */
static void
test_close_of_a_store_with_jobs_in_every_state_leaks_nothing(void **state)
{
    (void)state;
    kit k;
    job j;
    int fd = -1;
    kit_open(&k, NULL);
    for (size_t i = 0; i < 2; i++) {
        lkc_push_delayed(k.db, "q", i == 0 ? NULL : "delayed", "x", 100);
        jobs_push_expiring(&k, "q", i == 0 ? NULL : "expired", "x", k.now_ms - 1);
        jobs_push(&k, "q", i == 0 ? NULL : "a", "x");
        jobs_push(&k, "q", i == 0 ? NULL : "b", "x");
        jobs_push(&k, "q", i == 0 ? NULL : "c", "x");
        for (int turn = 0; turn < 3; turn++)
            assert_status(LK_OK, lkc_try_pull(k.db, k.result, "q", &j));
        assert_status(LK_OK, lk_queue_release(k.db, &j.claim, 0));
        (void)kit_lock(&k, j.claim.key);
    }
    assert_status(LK_OK, jobs_try_push_batch(&k, "long", 0, 2000, NULL, NULL));
    assert_status(LK_OK, lk_queue_close(k.db, lk_string("closed")));
    assert_status(LK_OK, lk_queue_fd(k.db, lk_string("q"), &fd));
    kit_close(&k);
}

/* Segments and pages that leave, and claims that end, while there is none: they do so later. */
static void
test_segments_that_leave_without_memory_leave_later(void **state)
{
    (void)state;
    enum { JOBS = 4000, BATCH_JOBS = 500 };
    kit k;
    kit_open(&k, NULL);
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = JOBS};
    assert_status(LK_OK, jobs_try_push_batch(&k, "q", 0, JOBS, NULL, NULL));
    assert_status(LK_OK, lk_queue_pull(k.db, &options, k.result));
    size_t done = 0;
    for (bool scarce = false; done < JOBS; scarce = !scarce) {
        kit_memory_fail(&k.memory, scarce ? 1 : 0, scarce);
        size_t end = done + BATCH_JOBS < JOBS ? done + BATCH_JOBS : JOBS;
        lk_status status = LK_OK;
        while (done < end && status == LK_OK) {
            status = lk_queue_acknowledge(k.db, lk_result_claim(k.result, done), 1);
            done += status == LK_OK;
        }
        assert_true(status == LK_OK || (scarce && status == LK_NO_MEMORY));
        for (int i = 0; i < 4; i++) {
            status = lk_sweep(k.db, 0, NULL);
            assert_true(status == LK_OK || (scarce && status == LK_NO_MEMORY));
        }
    }
    kit_memory_fail(&k.memory, 0, false);
    kit_sweep(&k);
    assert_int_equal(kit_statistics(&k).retired_bytes, 0);
    assert_int_equal(jobs_items(&k, "q"), 0);
    kit_close(&k);
}

/* A push looks for expired jobs among more keys than it looks at in one go: without memory for how
 * far it has come, the next one begins anew. */
static void
test_tour_over_keys_without_memory_is_made_later(void **state)
{
    (void)state;
    enum { KEYS = 1500, ALLOCATIONS = 6 };
    for (int64_t nth = 1; nth <= ALLOCATIONS; nth++) {
        kit k;
        kit_open(&k, NULL);
        for (size_t i = 0; i < KEYS; i++) {
            lk_item item = {lkc_numbered("q", i), {"x", 1}, k.now_ms + LK_HOURS(1)};
            assert_status(LK_OK, lk_queue_push(k.db, &item, 1, NULL, NULL));
        }
        jobs_push_expiring(&k, "q", "zz", "x", k.now_ms + 1);
        kit_advance(&k, 2);
        lk_push_options limit = {.max_depth = KEYS + 1};
        kit_memory_fail(&k.memory, nth, true);
        lk_status status = lkc_try_push(k.db, "q", NULL, "x", &limit);
        assert_true(status == LK_BUSY || status == LK_NO_MEMORY);
        kit_memory_fail(&k.memory, 0, false);
        for (int i = 0; i < 3 && status != LK_OK; i++)
            status = lkc_try_push(k.db, "q", NULL, "x", &limit);
        assert_status(LK_OK, status);
        kit_close(&k);
    }
}

/* Some were not looked at, which says more than that one before was lost. */
static void
test_lack_of_memory_is_told_behind_a_lost_claim(void **state)
{
    (void)state;
    enum { JOBS = 600 };
    kit k;
    lk_claim *claims = calloc(JOBS, sizeof *claims);
    assert_non_null(claims);
    kit_open(&k, NULL);
    for (size_t i = 0; i < JOBS; i++) {
        lk_item item = {lkc_numbered("q", i), {"x", 1}, 0};
        assert_status(LK_OK, lk_queue_push(k.db, &item, 1, NULL, NULL));
    }
    lk_pull_options all = {.pk = lk_string("q"), .max_jobs = JOBS};
    assert_status(LK_OK, lk_queue_pull(k.db, &all, k.result));
    for (size_t i = 0; i < JOBS; i++)
        claims[i] = *lk_result_claim(k.result, i);
    claims[0].token++;
    kit_memory_fail(&k.memory, 1, true);
    assert_status(LK_NO_MEMORY, lk_queue_acknowledge(k.db, claims, JOBS));
    kit_memory_fail(&k.memory, 0, false);
    assert_status(LK_LOST, lk_queue_acknowledge(k.db, claims, JOBS));
    assert_int_equal(jobs_items(&k, "q"), 1);
    free(claims);
    kit_close(&k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_calls_without_memory_change_all_or_nothing),
        cmocka_unit_test(test_segments_that_leave_without_memory_leave_later),
        cmocka_unit_test(test_tour_over_keys_without_memory_is_made_later),
        cmocka_unit_test(test_lack_of_memory_is_told_behind_a_lost_claim),
        cmocka_unit_test(test_close_of_a_store_with_jobs_in_every_state_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
