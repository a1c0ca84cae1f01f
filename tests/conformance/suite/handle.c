/* SPDX-License-Identifier: MIT
 *
 * Area: the handle. What it says of itself, what it answers for calls that it lacks, when it is
 * closed, in the child of a fork.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

enum { KEY_CAP = 65535 };

/* "Limits [...] hard caps 65,535 / 65,535 / 4 GiB - 1" */
static void
test_handle_tells_what_it_is(rig *r)
{
    assert_non_null(r->about.name);
    assert_true(r->about.name[0] != '\0');
    assert_null(r->about.state);
    assert_in_range(r->about.max_pk_size, 64, KEY_CAP);
    assert_in_range(r->about.max_sk_size, 64, KEY_CAP);
    assert_in_range(r->about.max_data_size, 4096, UINT32_MAX);
    assert_true(lk_capabilities(r->db) == r->about.capabilities);
    assert_true(lk_capabilities(NULL) == 0);
    lk_adapter about = {.size = 1};
    assert_status(LK_INVALID, lk_adapter_read(r->db, &about));
    assert_status(LK_INVALID, lk_adapter_read(NULL, &r->about));
    lkc_advance(r, 12345);
    assert_int_equal(lk_realtime_now_ms(r->db), lkc_now(r));
    if ((r->about.capabilities & LK_HAS_QUEUES) != 0)
        assert_int_equal(lk_monotonic_now_ms(r->db), atomic_load(&r->monotonic_ms));
}

/* ---- "a call that an adapter lacks is LK_UNSUPPORTED" ---- */

static void
test_handle_without_get_many_says_unsupported(rig *r)
{
    lk_key key = lk_key_of("a", "b");
    lkc_prime(r->result);
    assert_status(LK_UNSUPPORTED, lk_get_many(r->db, &key, 1, r->result));
    assert_true(lkc_is_primed(r->result));
}

static void
test_handle_without_query_says_unsupported(rig *r)
{
    lk_query query = {.pk = lk_string("a")};
    lk_stream *stream = NULL;
    size_t count = 77;
    lkc_prime(r->result);
    assert_status(LK_UNSUPPORTED, lk_count(r->db, &query, &count));
    assert_int_equal(count, 77);
    assert_status(LK_UNSUPPORTED, lk_query_items(r->db, &query, r->result));
    assert_true(lkc_is_primed(r->result));
    assert_status(LK_UNSUPPORTED, lk_stream_open(r->db, &query, &stream));
    assert_null(stream);
}

static void
test_handle_without_locks_says_unsupported(rig *r)
{
    lk_item item = lkc_item("a", "b", "x");
    lk_lock lock, before;
    lk_write write = {.kind = LK_PUT, .item = item};
    lkc_fill(&lock, sizeof lock);
    assert_status(LK_UNSUPPORTED, lk_get_lock(r->db, item.key, &lock));
    assert_true(lkc_is_filled(&lock, sizeof lock));
    lkc_prime(r->result);
    assert_status(LK_UNSUPPORTED, lk_get_locked(r->db, &item.key, 1, &lock, r->result));
    assert_true(lkc_is_filled(&lock, sizeof lock) && lkc_is_primed(r->result));
    lock = before = (lk_lock){item.key, 1, 0};
    assert_status(LK_UNSUPPORTED, lk_set_atomic(r->db, &item, 1, &lock, 1, NULL));
    assert_status(LK_UNSUPPORTED, lk_commit(r->db, &write, 1, &lock, 1, NULL));
    assert_int_equal(lock.version, before.version);
    assert_holds(r, item.key, NULL);
}

static void
test_handle_without_queues_says_unsupported(rig *r)
{
    lk_item item = lkc_item("q", "b", "x");
    lk_pull_options pull = {.pk = lk_string("q"), .wait_ms = -1};
    lk_claim claim = {item.key, 1, 2, 3};
    lk_queue_statistics stats;
    size_t purged = 77;
    lkc_prime(r->result);
    assert_status(LK_UNSUPPORTED, lk_queue_push(r->db, &item, 1, NULL, r->result));
    assert_status(LK_UNSUPPORTED, lk_queue_pull(r->db, &pull, r->result));
    assert_true(lkc_is_primed(r->result));
    assert_status(LK_UNSUPPORTED, lk_queue_acknowledge(r->db, &claim, 1));
    assert_status(LK_UNSUPPORTED, lk_queue_release(r->db, &claim, 0));
    assert_status(LK_UNSUPPORTED, lk_queue_extend(r->db, &claim, 5));
    assert_true(claim.token == 1 && claim.deadline_ms == 2 && claim.receives == 3);
    lkc_fill(&stats, sizeof stats);
    assert_status(LK_UNSUPPORTED, lk_queue_stats(r->db, pull.pk, &stats));
    assert_true(lkc_is_filled(&stats, sizeof stats));
    assert_status(LK_UNSUPPORTED, lk_queue_purge(r->db, pull.pk, &purged));
    assert_int_equal(purged, 77);
    assert_status(LK_UNSUPPORTED, lk_queue_close(r->db, pull.pk));
    assert_holds(r, item.key, NULL);
}

static void
test_handle_without_descriptors_says_unsupported(rig *r)
{
    int fd = 77;
    assert_status(LK_UNSUPPORTED, lk_queue_fd(r->db, lk_string("q"), &fd));
    assert_int_equal(fd, 77);
}

static void
test_handle_without_views_says_unsupported(rig *r)
{
    lk_item item;
    lkc_set(r, "a", "b", "x");
    lkc_fill(&item, sizeof item);
    lk_read_begin(r->db);
    assert_status(LK_UNSUPPORTED, lk_view(r->db, lk_key_of("a", "b"), &item));
    lk_read_end(r->db);
    assert_true(lkc_is_filled(&item, sizeof item));
}

static void
test_handle_without_sweep_says_unsupported(rig *r)
{
    size_t swept = 77;
    assert_status(LK_UNSUPPORTED, lk_sweep(r->db, 0, &swept));
    assert_int_equal(swept, 77);
}

static void
test_handle_without_statistics_says_unsupported(rig *r)
{
    lk_statistics stats;
    lkc_fill(&stats, sizeof stats);
    assert_status(LK_UNSUPPORTED, lk_statistics_read(r->db, &stats));
    assert_true(lkc_is_filled(&stats, sizeof stats));
}

/* latchkey/adapter.h: without LK_COMMITS_JOBS "the library answers LK_UNSUPPORTED" */
static void
test_handle_that_commits_no_jobs_says_unsupported(rig *r)
{
    lk_claim claim = {lk_key_of("q", "job"), 0, 0, 0};
    lk_write push[] = {{.kind = LK_PUT, .item = lkc_item("a", "b", "x")},
                       {.kind = LK_PUSH, .item = lkc_item("q", "job", "x")}};
    lk_write acknowledge[] = {{.kind = LK_PUT, .item = lkc_item("a", "b", "x")},
                              {.kind = LK_ACKNOWLEDGE, .claim = &claim}};
    assert_status(LK_UNSUPPORTED, lk_commit(r->db, push, 2, NULL, 0, NULL));
    assert_status(LK_UNSUPPORTED, lk_commit(r->db, acknowledge, 2, NULL, 0, NULL));
    assert_holds(r, lk_key_of("a", "b"), NULL);
    assert_holds(r, lk_key_of("q", "job"), NULL);
}

/* The same of its options, and of releases. */
static void
test_handle_that_commits_no_releases_says_unsupported(rig *r)
{
    lk_claim claim = {lk_key_of("q", "job"), 0, 0, 0};
    lk_push_options options = {.unique = true};
    lk_write push[] = {{.kind = LK_PUT, .item = lkc_item("a", "b", "x")},
                       {.kind = LK_PUSH, .item = lkc_item("q", "new", "x"), .push = &options}};
    lk_write release[] = {{.kind = LK_PUT, .item = lkc_item("a", "b", "x")},
                          {.kind = LK_RELEASE, .claim = &claim}};
    if (lkc_can(r, LK_HAS_QUEUES))
        lkc_push(r->db, "q", "job", "x");
    assert_status(LK_UNSUPPORTED, lk_commit(r->db, push, 2, NULL, 0, NULL));
    assert_status(LK_UNSUPPORTED, lk_commit(r->db, release, 2, NULL, 0, NULL));
    assert_holds(r, lk_key_of("a", "b"), NULL);
    assert_holds(r, lk_key_of("q", "new"), NULL);
}

/* Neither its own, nor any that the library could put together. */
static void
test_handle_without_conditions_says_unsupported(rig *r)
{
    lk_item item = lkc_item("a", "b", "x");
    int64_t value = 77;
    assert_status(LK_UNSUPPORTED, lk_put_if(r->db, &item, LK_IF_ABSENT, item.data));
    assert_status(LK_UNSUPPORTED, lk_touch(r->db, item.key, 0));
    assert_status(LK_UNSUPPORTED, lk_add(r->db, item.key, 1, 0, &value));
    assert_int_equal(value, 77);
    assert_holds(r, item.key, NULL);
}

static void
test_handle_without_a_list_of_partitions_says_unsupported(rig *r)
{
    lk_position position = {{0}};
    lkc_set(r, "a", "b", "x");
    lkc_prime(r->result);
    assert_status(LK_UNSUPPORTED, lk_list_partitions(r->db, &position, 0, r->result));
    assert_true(lkc_is_primed(r->result) && position.opaque[0] == 0);
}

static void
test_handle_without_inspection_says_unsupported(rig *r)
{
    lk_job found;
    lkc_fill(&found, sizeof found);
    assert_status(LK_UNSUPPORTED, lk_queue_inspect(r->db, lk_key_of("q", "b"), &found));
    assert_true(lkc_is_filled(&found, sizeof found));
}

/* ---- results (adapter.h) ---- */

static void
draft_fill(lk_result *result, uint64_t count)
{
    lk_result_draft(result);
    for (uint64_t i = 0; i < count; i++) {
        lk_item item = {.key = lkc_numbered("a", i), .data = lk_string("x")};
        assert_status(LK_OK, lk_result_add(result, i % 3 == 0 ? NULL : &item));
    }
    assert_status(LK_OK, lk_result_more(result, lk_string("resume")));
}

/* "An answer is written as a draft behind what the result holds, which stays as it is, and valid,
 * until the draft is published" */
static void
test_result_keeps_what_it_holds_until_a_draft_is_published(rig *r)
{
    lk_bytes sk;
    lkc_prime(r->result);
    draft_fill(r->result, 300);
    assert_true(lkc_is_primed(r->result));
    draft_fill(r->result, 3); /* drops the one before */
    assert_true(lkc_is_primed(r->result) && !lk_result_has_more(r->result, &sk));
    lk_result_publish(r->result);
    assert_int_equal(lk_result_count(r->result), 3);
    assert_true(lk_result_has_more(r->result, &sk) && lkc_is(sk, "resume"));
    lk_result_draft(r->result);
    lk_result_publish(r->result);
    assert_true(lk_result_count(r->result) == 0 && !lk_result_has_more(r->result, &sk));
}

/* A hole stays one, and an item what it is, as the draft grows. */
static void
test_result_that_grows_keeps_its_holes(rig *r)
{
    enum { MANY = 700 };
    draft_fill(r->result, MANY);
    lk_result_publish(r->result);
    assert_int_equal(lk_result_count(r->result), MANY);
    for (uint64_t i = 0; i < MANY; i++) {
        const lk_item *item = lk_result_item(r->result, i);
        assert_true((item == NULL) == (i % 3 == 0));
        assert_true(item == NULL || lkc_equal(item->key.sk, lkc_numbered("a", i).sk));
        assert_true(item == NULL || lkc_is(item->data, "x"));
    }
}

/* ---- calls that stand in no group ---- */

/* latchkey.h: "Takes expired items and lapsed locks out and gives memory back" */
static void
test_sweep_takes_out_nothing_that_is_live(rig *r)
{
    for (uint64_t i = 0; i < 40; i++) {
        lk_item item = {.key = lkc_numbered("a", i), .data = lk_string("x")};
        item.expires_at_ms = i % 2 == 0 ? 0 : lkc_now(r) + 10;
        assert_status(LK_OK, lk_set(r->db, &item, 1));
    }
    lkc_advance(r, 11);
    size_t all = 0, swept = SIZE_MAX;
    for (int turn = 0; turn < 50 && swept != 0; turn++) {
        assert_status(LK_OK, lk_sweep(r->db, turn < 5 ? 3 : 0, &swept));
        all += swept;
    }
    assert_int_equal(swept, 0);
    assert_in_range(all, 0, 20); /* writes take some out too */
    assert_status(LK_OK, lk_sweep(r->db, 0, NULL));
    for (uint64_t i = 0; i < 40; i++)
        assert_holds(r, lkc_numbered("a", i), i % 2 == 0 ? "x" : NULL);
    assert_status(LK_INVALID, lk_sweep(NULL, 0, NULL));
}

static void
test_statistics_are_there(rig *r)
{
    lk_statistics stats;
    lkc_set(r, "a", "b", "x");
    assert_status(LK_OK, lk_statistics_read(r->db, &stats));
    lkc_fill(&stats, sizeof stats);
    assert_status(LK_INVALID, lk_statistics_read(NULL, &stats));
    assert_true(lkc_is_filled(&stats, sizeof stats));
    assert_status(LK_INVALID, lk_statistics_read(r->db, NULL));
}

/* ---- the end ---- */

/* adapter.h: "Between hold and release the handle stays valid memory: once lk_close was called on
 * it, every call on it is LK_INVALID." */
static void
test_handle_that_is_held_and_closed_says_invalid(rig *r)
{
    lk_db *db = r->db;
    lk_item item = lkc_item("a", "b", "x");
    lk_lock lock = {item.key, 1, 0};
    lk_query query = {.pk = item.key.pk};
    lk_pull_options pull = {.pk = item.key.pk, .wait_ms = -1};
    lk_claim claim = {item.key, 1, 1, 1};
    lk_stream *stream = NULL;
    lk_statistics stats;
    lk_queue_statistics depths;
    size_t size = 0;
    int fd;
    int64_t value;
    lk_position position = {{0}};
    lk_job found;
    lkc_set(r, "a", "b", "x");
    assert_status(LK_OK, lk_adapter_hold(db));
    lkc_close(r);
    lkc_prime(r->result);
    assert_status(LK_INVALID, lk_get(db, item.key, r->result));
    assert_status(LK_INVALID, lk_get_many(db, &item.key, 1, r->result));
    assert_status(LK_INVALID, lk_get_into(db, item.key, NULL, 0, &size));
    assert_status(LK_INVALID, lk_set(db, &item, 1));
    assert_status(LK_INVALID, lk_delete(db, &item.key, 1));
    assert_status(LK_INVALID, lk_query_items(db, &query, r->result));
    assert_status(LK_INVALID, lk_stream_open(db, &query, &stream));
    assert_status(LK_INVALID, lk_get_lock(db, item.key, &lock));
    assert_status(LK_INVALID, lk_get_locked(db, &item.key, 1, &lock, r->result));
    assert_status(LK_INVALID, lk_set_atomic(db, &item, 1, &lock, 1, NULL));
    assert_status(LK_INVALID, lk_commit(db, NULL, 0, &lock, 1, NULL));
    assert_status(LK_INVALID, lk_put_if(db, &item, LK_IF_ABSENT, item.data));
    assert_status(LK_INVALID, lk_touch(db, item.key, 0));
    assert_status(LK_INVALID, lk_add(db, item.key, 1, 0, &value));
    assert_status(LK_INVALID, lk_count(db, &query, &size));
    assert_status(LK_INVALID, lk_list_partitions(db, &position, 0, r->result));
    assert_status(LK_INVALID, lk_queue_inspect(db, item.key, &found));
    assert_status(LK_INVALID, lk_queue_push(db, &item, 1, NULL, r->result));
    assert_status(LK_INVALID, lk_queue_pull(db, &pull, r->result));
    assert_status(LK_INVALID, lk_queue_acknowledge(db, &claim, 1));
    assert_status(LK_INVALID, lk_queue_release(db, &claim, 0));
    assert_status(LK_INVALID, lk_queue_extend(db, &claim, 0));
    assert_status(LK_INVALID, lk_queue_stats(db, pull.pk, &depths));
    assert_status(LK_INVALID, lk_queue_purge(db, pull.pk, NULL));
    assert_status(LK_INVALID, lk_queue_close(db, pull.pk));
    assert_status(LK_INVALID, lk_queue_fd(db, pull.pk, &fd));
    lk_read_begin(db);
    assert_status(LK_INVALID, lk_view(db, item.key, &item));
    lk_read_end(db);
    assert_status(LK_INVALID, lk_sweep(db, 0, NULL));
    assert_status(LK_INVALID, lk_statistics_read(db, &stats));
    assert_status(LK_INVALID, lk_adapter_hold(db));
    assert_status(LK_INVALID, lk_adapter_read(db, &r->about));
    assert_true(lk_capabilities(db) == 0);
    assert_true(lkc_is_primed(r->result));
    lk_adapter_release(db);
}

/* latchkey.h: lk_close: "results stay valid" */
static void
test_results_stay_valid_after_close(rig *r)
{
    lkc_set(r, "a", "b", "still here");
    assert_holds(r, lk_key_of("a", "b"), "still here");
    lkc_close(r);
    assert_true(lkc_is(lk_result_item(r->result, 0)->data, "still here"));
    lk_close(NULL);
}

/* An empty database is one, also where one was opened before. */
static void
test_open_without_reopen_is_empty(rig *r)
{
    lkc_set(r, "a", "b", "x");
    if (lkc_can(r, LK_HAS_QUEUES))
        lkc_push(r->db, "q", NULL, "x");
    lkc_close(r);
    lkc_open(r, false);
    assert_holds(r, lk_key_of("a", "b"), NULL);
    if (lkc_can(r, LK_HAS_QUEUES))
        assert_empty(r, "q");
}

/* latchkey.h: "After fork() the child must not use a store of its parent: every call gives
 * LK_INVALID there" */
static void
test_calls_in_the_child_of_a_fork_say_invalid(rig *r)
{
    lkc_set(r, "a", "b", "x");
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        lk_item item = lkc_item("a", "b", "y");
        bool good = lk_get(r->db, item.key, r->result) == LK_INVALID &&
                    lk_set(r->db, &item, 1) == LK_INVALID &&
                    lk_delete(r->db, &item.key, 1) == LK_INVALID;
        lk_close(r->db);
        _exit(good ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_holds(r, lk_key_of("a", "b"), "x");
}

static const lkc_case cases[] = {
    CASE(test_handle_tells_what_it_is, 0),
    CASE_WITHOUT(test_handle_without_get_many_says_unsupported, LK_HAS_GET_MANY),
    CASE_WITHOUT(test_handle_without_query_says_unsupported, LK_HAS_QUERY),
    CASE_WITHOUT(test_handle_without_locks_says_unsupported, LK_HAS_LOCKS),
    CASE_WITHOUT(test_handle_without_queues_says_unsupported, LK_HAS_QUEUES),
    CASE_WITHOUT(test_handle_without_descriptors_says_unsupported, LK_HAS_QUEUE_FD),
    CASE_WITHOUT(test_handle_without_views_says_unsupported, LK_HAS_VIEWS),
    CASE_WITHOUT(test_handle_without_sweep_says_unsupported, LK_HAS_SWEEP),
    CASE_WITHOUT(test_handle_without_statistics_says_unsupported, LK_HAS_STATISTICS),
    CASE_WITHOUT(test_handle_without_conditions_says_unsupported, LKC_CONDITIONS),
    CASE_WITHOUT(test_handle_without_a_list_of_partitions_says_unsupported, LK_HAS_PARTITIONS),
    CASE_WITHOUT(test_handle_without_inspection_says_unsupported, LK_HAS_QUEUE_INSPECT),
    {.name = "test_handle_that_commits_no_releases_says_unsupported",
     .run = test_handle_that_commits_no_releases_says_unsupported,
     .needs = LK_HAS_LOCKS,
     .lacks = LK_COMMITS_RELEASES},
    {.name = "test_handle_that_commits_no_jobs_says_unsupported",
     .run = test_handle_that_commits_no_jobs_says_unsupported,
     .needs = LK_HAS_LOCKS,
     .lacks = LK_COMMITS_JOBS},
    CASE(test_result_keeps_what_it_holds_until_a_draft_is_published, 0),
    CASE(test_result_that_grows_keeps_its_holes, 0),
    CASE(test_sweep_takes_out_nothing_that_is_live, LK_HAS_SWEEP),
    CASE(test_statistics_are_there, LK_HAS_STATISTICS),
    CASE(test_handle_that_is_held_and_closed_says_invalid, 0),
    CASE(test_results_stay_valid_after_close, 0),
    CASE(test_open_without_reopen_is_empty, 0),
    CASE(test_calls_in_the_child_of_a_fork_say_invalid, 0),
};
AREA(lkc_handle_area, cases);
