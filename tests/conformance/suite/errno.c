/* SPDX-License-Identifier: MIT
 *
 * Area: errno. latchkey.h: "No call prints, aborts on bad input, touches errno"; adapter.h, of
 * operations: "leaves errno as it found it". Also where a call fails, and in open and close.
 */
#include <errno.h>

#include "suite.h"

enum { MARK = 4711 };

/* Runs a call, whatever it answers. */
#define KEEPS(call)                                                                \
    do {                                                                           \
        errno = MARK;                                                              \
        lk_status keeps_ = (call);                                                 \
        errno_is_kept(errno, #call, lk_status_string(keeps_), __FILE__, __LINE__); \
    } while (0)

static void
errno_is_kept(int saw, const char *call, const char *status, const char *file, int line)
{
    if (saw == MARK)
        return;
    print_error("%s:%d: %s (%s) sets errno to %d\n", file, line, call, status, saw);
    _fail(file, line);
}

static void
test_item_calls_leave_errno(rig *r)
{
    lk_item items[2] = {lkc_item("p", "1", "one"), lkc_item("p", "2", "two")};
    lk_key keys[3] = {items[0].key, items[1].key, lk_key_of("nobody", "3")}, bad = {0};
    char buffer[2];
    size_t size;
    for (int turn = 0; turn < 2; turn++) {
        KEEPS(lk_set(r->db, items, 2));
        KEEPS(lk_get(r->db, keys[0], r->result));
        KEEPS(lk_get(r->db, keys[2], r->result));
        KEEPS(lk_get(r->db, bad, r->result));
        KEEPS(lk_get_into(r->db, keys[0], buffer, sizeof buffer, &size));
        KEEPS(lk_get_into(r->db, keys[2], buffer, sizeof buffer, &size));
        KEEPS(lk_get_many(r->db, keys, 3, r->result));
        items[0].expires_at_ms = lkc_now(r) + 1;
        KEEPS(lk_set(r->db, items, 1));
        lkc_advance(r, 2);
        KEEPS(lk_get(r->db, keys[0], r->result));
        KEEPS(lk_set(r->db, items, 1));
        KEEPS(lk_sweep(r->db, 0, &size));
        KEEPS(lk_delete(r->db, keys, 3));
        KEEPS(lk_delete(r->db, keys, 3));
        items[0].expires_at_ms = 0;
    }
}

/* Of those that the handle lacks, too. */
static void
test_conditional_writes_leave_errno(rig *r)
{
    lk_item item = lkc_item("p", "1", "one");
    lk_key number = lk_key_of("p", "n"), none = lk_key_of("nobody", "3");
    lk_position position = {{0}};
    int64_t value;
    lk_job found;
    for (int turn = 0; turn < 3; turn++) {
        KEEPS(lk_put_if(r->db, &item, LK_IF_ABSENT, item.data));
        KEEPS(lk_put_if(r->db, &item, LK_IF_EQUAL, item.data));
        KEEPS(lk_put_if(r->db, &item, LK_IF_EQUAL, lk_string("two")));
        KEEPS(lk_touch(r->db, item.key, lkc_now(r) + 10));
        KEEPS(lk_touch(r->db, none, 0));
        KEEPS(lk_add(r->db, number, INT64_MAX, 0, &value));
        KEEPS(lk_add(r->db, item.key, 1, 0, &value));
        KEEPS(lk_list_partitions(r->db, &position, 1, r->result));
        KEEPS(lk_queue_inspect(r->db, none, &found));
        lkc_advance(r, 11);
    }
}

static void
test_ordered_reads_leave_errno(rig *r)
{
    lk_query query = {.pk = lk_string("p")}, nobody = {.pk = lk_string("nobody")};
    size_t count;
    lk_stream *stream = NULL;
    lk_item item;
    for (uint64_t i = 0; i < 40; i++)
        assert_status(LK_OK, lk_set(r->db, &(lk_item){.key = lkc_numbered("p", i)}, 1));
    KEEPS(lk_query_items(r->db, &query, r->result));
    KEEPS(lk_count(r->db, &query, &count));
    KEEPS(lk_query_items(r->db, &nobody, r->result));
    query.reverse = true;
    query.limit = 3;
    KEEPS(lk_query_items(r->db, &query, r->result));
    query.limit = 0;
    KEEPS(lk_stream_open(r->db, &query, &stream));
    for (int i = 0; i < 42; i++)
        KEEPS(lk_stream_next(stream, &item));
    errno = MARK;
    lk_stream_close(stream);
    errno_is_kept(errno, "lk_stream_close", "", __FILE__, __LINE__);
}

static void
test_locks_and_commits_leave_errno(rig *r)
{
    lk_item items[2] = {lkc_item("p", "1", "one"), lkc_item("p", "2", "two")};
    lk_lock lock = {0};
    for (int turn = 0; turn < 2; turn++) {
        KEEPS(lk_get_lock(r->db, items[0].key, &lock));
        KEEPS(lk_set_atomic(r->db, items, 2, &lock, 1, NULL));
        lk_lock stale = lock;
        KEEPS(lk_set_atomic(r->db, items, 2, &lock, 1, NULL));
        KEEPS(lk_set_atomic(r->db, items, 2, &stale, 1, NULL));
        if (lkc_can(r, LK_HAS_GET_MANY))
            KEEPS(lk_get_locked(r->db, &items[0].key, 1, &lock, r->result));
        lk_write writes[2] = {{.kind = LK_PUT, .item = items[0]},
                              {.kind = LK_DELETE, .item = items[1]}};
        KEEPS(lk_commit(r->db, writes, 2, NULL, 0, NULL));
        KEEPS(lk_commit(r->db, writes, 2, &stale, 1, NULL));
    }
}

static void
test_queue_calls_leave_errno(rig *r)
{
    lk_item jobs[3] = {lkc_item("q", NULL, "1"), lkc_item("q", "own", "2"),
                       lkc_item("q", NULL, "3")};
    lk_pull_options options = {
        .pk = lk_string("q"), .visibility_ms = 50, .max_receives = 1, .dead_pk = lk_string("dead")};
    lk_queue_statistics stats;
    job j;
    size_t purged;
    for (int turn = 0; turn < 2; turn++) {
        KEEPS(lk_queue_pull(r->db, &options, r->result)); /* nothing there */
        KEEPS(lk_queue_push(r->db, jobs, 3, NULL, r->result));
        KEEPS(lk_queue_push(r->db, &jobs[1], 1, &(lk_push_options){.unique = true}, NULL));
        KEEPS(lk_queue_push(r->db, jobs, 1, &(lk_push_options){.max_depth = 1}, NULL));
        KEEPS(lk_queue_pull(r->db, &options, r->result));
        lkc_job_keep(&j, r->result, 0);
        KEEPS(lk_queue_extend(r->db, &j.claim, 60));
        KEEPS(lk_queue_release(r->db, &j.claim, 0));
        KEEPS(lk_queue_release(r->db, &j.claim, 0));      /* lost */
        KEEPS(lk_queue_pull(r->db, &options, r->result)); /* one dies */
        lkc_job_keep(&j, r->result, 0);
        lkc_advance(r, 100);
        KEEPS(lk_queue_acknowledge(r->db, &j.claim, 1)); /* late */
        KEEPS(lk_queue_acknowledge(r->db, &j.claim, 1)); /* lost */
        KEEPS(lk_queue_stats(r->db, lk_string("q"), &stats));
        KEEPS(lk_queue_purge(r->db, lk_string("q"), &purged));
    }
    KEEPS(lk_queue_close(r->db, lk_string("q")));
    KEEPS(lk_queue_push(r->db, jobs, 1, NULL, NULL));
    KEEPS(lk_queue_pull(r->db, &options, r->result));
}

static void
test_open_and_close_leave_errno(rig *r)
{
    lkc_set(r, "p", "1", "one");
    errno = MARK;
    lkc_close(r);
    errno_is_kept(errno, "close", "", __FILE__, __LINE__);
    errno = MARK;
    lkc_open(r, lkc_can(r, LK_IS_DURABLE));
    errno_is_kept(errno, "open", "", __FILE__, __LINE__);
}

static const lkc_case cases[] = {
    CASE(test_item_calls_leave_errno, 0),
    CASE(test_conditional_writes_leave_errno, 0),
    CASE(test_ordered_reads_leave_errno, LK_HAS_QUERY),
    CASE(test_locks_and_commits_leave_errno, LK_HAS_LOCKS),
    CASE(test_queue_calls_leave_errno, LK_HAS_QUEUES),
    CASE(test_open_and_close_leave_errno, 0),
};
AREA(lkc_errno_area, cases);
