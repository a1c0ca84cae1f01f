/* SPDX-License-Identifier: MIT
 *
 * See calls.h.
 */
#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- short ways ---- */

/* Whoever prepares or looks must succeed. */
static void
must(lk_status status, const char *what)
{
    if (status == LK_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, lk_status_string(status));
    exit(1);
}

static lk_item
item_of(const char *pk, const char *sk, const char *text)
{
    return (lk_item){.key = lk_key_of(pk, sk), .data = lk_string(text)};
}

static void
put(const run *r, const char *sk, const char *text)
{
    lk_item item = item_of(r->pk, sk, text);
    must(lk_set(r->direct, &item, 1), "set");
}

static bool
is_text(lk_bytes bytes, const char *text)
{
    return lk_bytes_compare(bytes, lk_string(text)) == 0;
}

/* Does the key hold just that? NULL: is there none? */
static bool
holds_at(const run *r, const char *pk, const char *sk, const char *text)
{
    lk_status status = lk_get(r->direct, lk_key_of(pk, sk), r->seen);
    if (status == LK_NOT_FOUND)
        return text == NULL;
    must(status, "get");
    return text != NULL && is_text(lk_result_item(r->seen, 0)->data, text);
}

static bool
holds(const run *r, const char *sk, const char *text)
{
    return holds_at(r, r->pk, sk, text);
}

/* Of several things that are done in one step: were all, or none? */
static trace
all_or_none(int done, int undone, int all)
{
    return done == all ? DONE : undone == all ? NOTHING : TORN;
}

static void
push_named(const run *r, const char *sk)
{
    lk_item job = item_of(r->pk, sk, sk);
    must(lk_queue_push(r->direct, &job, 1, NULL, NULL), "push");
}

/* Pushes jobs "0", "1", ... and claims them. */
static void
claim_jobs(run *r, size_t count)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    for (size_t i = 0; i < count; i++)
        push_named(r, i == 0 ? "0" : i == 1 ? "1" : "2");
    options.pk = lk_string(r->pk);
    options.max_jobs = count;
    must(lk_queue_pull(r->direct, &options, r->seen), "pull");
    for (size_t i = 0; i < count && i < lk_result_count(r->seen); i++) {
        r->claims[i] = *lk_result_claim(r->seen, i);
        snprintf(r->sks[i], NAME_ROOM, "%zu", i);
        r->claims[i].key = lk_key_of(r->pk, r->sks[i]);
    }
}

/* ---- reads ---- */

static void
prepare_three(run *r)
{
    put(r, "a", "1");
    put(r, "b", "2");
    put(r, "c", "3");
}

static bool
item_is(const lk_result *result, size_t i, const char *text)
{
    const lk_item *item = i < lk_result_count(result) ? lk_result_item(result, i) : NULL;
    return item != NULL && is_text(item->data, text);
}

static lk_status
checked(lk_status status, bool right)
{
    return status == LK_OK && !right ? LK_INVALID : status;
}

static lk_status
make_get(run *r)
{
    lk_status status = lk_get(r->db, lk_key_of(r->pk, "a"), r->result);
    return checked(status, status != LK_OK || item_is(r->result, 0, "1"));
}

static lk_status
make_get_into(run *r)
{
    char buffer[8];
    size_t size = 0;
    lk_status status = lk_get_into(r->db, lk_key_of(r->pk, "b"), buffer, sizeof buffer, &size);
    return checked(status, size == 1 && buffer[0] == '2');
}

static lk_status
make_get_many(run *r)
{
    lk_key keys[3] = {lk_key_of(r->pk, "c"), lk_key_of(r->pk, "none"), lk_key_of(r->pk, "a")};
    lk_status status = lk_get_many(r->db, keys, 3, r->result);
    return status != LK_OK ? status
                           : checked(status, lk_result_item(r->result, 1) == NULL &&
                                                 item_is(r->result, 0, "3"));
}

static lk_status
make_query(run *r)
{
    lk_query query = {.pk = lk_string(r->pk), .from = lk_string("b"), .reverse = true};
    lk_status status = lk_query_items(r->db, &query, r->result);
    return checked(status, status != LK_OK ||
                               (lk_result_count(r->result) == 2 && item_is(r->result, 0, "3")));
}

static lk_status
make_stream(run *r)
{
    lk_query query = {.pk = lk_string(r->pk)};
    lk_stream *stream;
    lk_item item;
    unsigned count = 0;
    lk_status status = lk_stream_open(r->db, &query, &stream);
    if (status != LK_OK)
        return status;
    while ((status = lk_stream_next(stream, &item)) == LK_OK)
        count++;
    lk_stream_close(stream);
    return status != LK_END ? status : checked(LK_OK, count == 3);
}

static lk_status
make_count(run *r)
{
    lk_query query = {.pk = lk_string(r->pk), .until = lk_string("c")};
    size_t count = 0;
    lk_status status = lk_count(r->db, &query, &count);
    return checked(status, count == 2);
}

static lk_status
make_list(run *r)
{
    lk_position position = {{0}};
    bool seen = false;
    lk_status status;
    while ((status = lk_list_partitions(r->db, &position, 0, r->result)) == LK_OK)
        for (size_t i = 0; i < lk_result_count(r->result); i++)
            seen = seen || is_text(lk_result_item(r->result, i)->key.pk, r->pk);
    return status != LK_END ? status : checked(LK_OK, seen);
}

static void
prepare_job(run *r)
{
    push_named(r, "0");
}

static lk_status
make_inspect(run *r)
{
    lk_job job = {.state = LK_JOB_DELAYED};
    lk_status status = lk_queue_inspect(r->db, lk_key_of(r->pk, "0"), &job);
    return checked(status, job.state == LK_JOB_READY);
}

static lk_status
make_statistics(run *r)
{
    lk_statistics statistics;
    return lk_statistics_read(r->db, &statistics);
}

/* ---- items ---- */

static lk_status
make_set(run *r)
{
    lk_item item = item_of(r->pk, "a", "new");
    return lk_set(r->db, &item, 1);
}

static trace
look_set(const run *r)
{
    return holds(r, "a", "new") ? DONE : holds(r, "a", "1") ? NOTHING : TORN;
}

static lk_status
make_set_many(run *r)
{
    lk_item items[3] = {item_of(r->pk, "c", "x"), item_of(r->pk, "a", "x"),
                        item_of(r->pk, "d", "x")};
    return lk_set(r->db, items, 3);
}

static trace
look_set_many(const run *r)
{
    int done = holds(r, "a", "x") + holds(r, "c", "x") + holds(r, "d", "x");
    int undone = holds(r, "a", "1") + holds(r, "c", "3") + holds(r, "d", NULL);
    return all_or_none(done, undone, 3);
}

static lk_status
make_delete(run *r)
{
    lk_key keys[2] = {lk_key_of(r->pk, "b"), lk_key_of(r->pk, "a")};
    return lk_delete(r->db, keys, 2);
}

static trace
look_delete(const run *r)
{
    return all_or_none(holds(r, "a", NULL) + holds(r, "b", NULL),
                       holds(r, "a", "1") + holds(r, "b", "2"), 2);
}

static lk_status
make_put_absent(run *r)
{
    lk_item item = item_of(r->pk, "d", "new");
    return lk_put_if(r->db, &item, LK_IF_ABSENT, (lk_bytes){NULL, 0});
}

static trace
look_put_absent(const run *r)
{
    return holds(r, "d", "new") ? DONE : holds(r, "d", NULL) ? NOTHING : TORN;
}

static lk_status
make_put_present(run *r)
{
    lk_item item = item_of(r->pk, "a", "new");
    return lk_put_if(r->db, &item, LK_IF_PRESENT, (lk_bytes){NULL, 0});
}

static lk_status
make_put_equal(run *r)
{
    lk_item item = item_of(r->pk, "a", "new");
    return lk_put_if(r->db, &item, LK_IF_EQUAL, lk_string("1"));
}

enum { LATER = INT32_MAX };

static lk_status
make_touch(run *r)
{
    return lk_touch(r->db, lk_key_of(r->pk, "a"), INT64_C(1000) * LATER);
}

static trace
look_touch(const run *r)
{
    must(lk_get(r->direct, lk_key_of(r->pk, "a"), r->seen), "get");
    int64_t expires_at_ms = lk_result_item(r->seen, 0)->expires_at_ms;
    return expires_at_ms == 0 ? NOTHING : expires_at_ms == INT64_C(1000) * LATER ? DONE : TORN;
}

static lk_status
make_add(run *r)
{
    int64_t sum = 0;
    lk_status status = lk_add(r->db, lk_key_of(r->pk, "n"), 5, 0, &sum);
    return checked(status, sum == 5);
}

static trace
look_number(const run *r, const char *sk, int64_t done)
{
    int64_t sum;
    if (holds(r, sk, NULL))
        return NOTHING;
    must(lk_add(r->direct, lk_key_of(r->pk, sk), 0, 0, &sum), "add");
    return sum == done ? DONE : TORN;
}

static trace
look_add(const run *r)
{
    return look_number(r, "n", 5);
}

/* ---- locks and commits ---- */

static lk_status
make_get_lock(run *r)
{
    lk_lock lock;
    lk_status status = lk_get_lock(r->db, lk_key_of(r->pk, "a"), &lock);
    return checked(status, status != LK_OK || (lk_get_lock(r->direct, lk_key_of(r->pk, "a"),
                                                           &r->locks[0]) == LK_OK &&
                                               r->locks[0].version == lock.version));
}

static lk_status
make_get_locked(run *r)
{
    lk_key keys[2] = {lk_key_of(r->pk, "a"), lk_key_of(r->pk, "none")};
    lk_lock locks[2] = {{.version = 7}, {.version = 7}};
    lk_status status = lk_get_locked(r->db, keys, 2, locks, r->result);
    return status != LK_OK ? status
                           : checked(status, locks[0].version != 0 && locks[1].version == 0 &&
                                                 item_is(r->result, 0, "1"));
}

static void
prepare_locks(run *r)
{
    prepare_three(r);
    must(lk_get_lock(r->direct, lk_key_of(r->pk, "a"), &r->locks[0]), "get_lock");
    must(lk_get_lock(r->direct, lk_key_of(r->pk, "b"), &r->locks[1]), "get_lock");
}

static lk_status
make_set_atomic(run *r)
{
    lk_item items[2] = {item_of(r->pk, "a", "x"), item_of(r->pk, "d", "x")};
    uint64_t before = r->locks[1].version;
    lk_status status = lk_set_atomic(r->db, items, 2, r->locks, 2, NULL);
    return checked(status, status != LK_OK || r->locks[1].version > before);
}

static trace
look_set_atomic(const run *r)
{
    return all_or_none(holds(r, "a", "x") + holds(r, "d", "x"),
                       holds(r, "a", "1") + holds(r, "d", NULL), 2);
}

static void
prepare_commit(run *r)
{
    claim_jobs(r, 2);
    prepare_locks(r);
    put(r, "t", "t");
}

/* Every kind of step. */
static lk_status
make_commit(run *r)
{
    static const lk_push_options bounded = {.max_depth = 100, .unique = true};
    lk_write writes[7] = {
        {.kind = LK_PUT, .item = item_of(r->pk, "a", "x")},
        {.kind = LK_DELETE, .item = {.key = lk_key_of(r->pk, "b")}, .condition = LK_IF_PRESENT},
        {.kind = LK_TOUCH,
         .item = {.key = lk_key_of(r->pk, "t"), .expires_at_ms = INT64_C(1000) * LATER}},
        {.kind = LK_ADD, .item = {.key = lk_key_of(r->pk, "n")}, .delta = 5},
        {.kind = LK_PUSH, .item = item_of(r->other, "p", "x"), .push = &bounded},
        {.kind = LK_ACKNOWLEDGE, .claim = &r->claims[0]},
        {.kind = LK_RELEASE, .claim = &r->claims[1], .delay_ms = 1}};
    return lk_commit(r->db, writes, 7, r->locks, 2, NULL);
}

static trace
look_commit(const run *r)
{
    lk_job job;
    bool released = lk_queue_inspect(r->direct, lk_key_of(r->pk, "1"), &job) == LK_OK &&
                    job.state != LK_JOB_CLAIMED;
    trace number = look_number(r, "n", 5);
    int done = holds(r, "a", "x") + holds(r, "b", NULL) + (number == DONE) +
               holds_at(r, r->other, "p", "x") + holds(r, "0", NULL) + released;
    int undone = holds(r, "a", "1") + holds(r, "b", "2") + (number == NOTHING) +
                 holds_at(r, r->other, "p", NULL) + holds(r, "0", "0") + !released;
    return all_or_none(done, undone, 6);
}

/* A transfer without locks, that leaves a receipt. */
static lk_status
make_transfer(run *r)
{
    lk_write writes[3] = {
        {.kind = LK_ADD, .item = {.key = lk_key_of(r->pk, "m")}, .delta = -5},
        {.kind = LK_ADD, .item = {.key = lk_key_of(r->pk, "n")}, .delta = 5},
        {.kind = LK_PUT, .item = item_of(r->pk, "r", "x"), .condition = LK_IF_ABSENT}};
    return lk_commit(r->db, writes, 3, NULL, 0, NULL);
}

static trace
look_transfer(const run *r)
{
    trace m = look_number(r, "m", -5), n = look_number(r, "n", 5);
    bool receipt = holds(r, "r", "x");
    return m != n || (m == DONE) != receipt ? TORN : m;
}

static lk_status
make_refused(run *r)
{
    lk_write writes[2] = {
        {.kind = LK_PUT, .item = item_of(r->pk, "a", "new")},
        {.kind = LK_PUT, .item = item_of(r->pk, "b", "new"), .condition = LK_IF_ABSENT}};
    return lk_commit(r->db, writes, 2, NULL, 0, NULL);
}

static lk_status
make_race(run *r)
{
    lk_item item = item_of(r->pk, "a", "new");
    lk_lock stale = r->locks[0];
    stale.version--;
    return lk_set_atomic(r->db, &item, 1, &stale, 1, NULL);
}

/* ---- queues ---- */

static size_t
jobs_at(const run *r, const char *pk)
{
    lk_query query = {.pk = lk_string(pk)};
    size_t count = 0;
    must(lk_count(r->direct, &query, &count), "count");
    return count;
}

static lk_status
push_some(run *r, size_t count)
{
    lk_item jobs[3];
    for (size_t i = 0; i < count; i++)
        jobs[i] = item_of(r->pk, "", "x");
    return lk_queue_push(r->db, jobs, count, NULL, r->result);
}

static lk_status
make_push(run *r)
{
    return push_some(r, 1);
}

static lk_status
make_push_many(run *r)
{
    return push_some(r, 3);
}

static trace
look_push(const run *r)
{
    size_t jobs = jobs_at(r, r->pk);
    return jobs == 0 ? NOTHING : jobs == 1 ? DONE : TORN;
}

static trace
look_push_many(const run *r)
{
    size_t jobs = jobs_at(r, r->pk);
    return jobs == 0 ? NOTHING : jobs == 3 ? DONE : TORN;
}

static lk_status
make_push_planned(run *r)
{
    static const lk_push_options options = {.max_depth = 5, .unique = true, .delay_ms = 1};
    lk_item jobs[2] = {item_of(r->pk, "1", "x"), item_of(r->pk, "0", "x")};
    return lk_queue_push(r->db, jobs, 2, &options, r->result);
}

static trace
look_push_planned(const run *r)
{
    return all_or_none(holds(r, "0", "x") + holds(r, "1", "x"),
                       holds(r, "0", NULL) + holds(r, "1", NULL), 2);
}

static lk_status
pull(run *r, int64_t wait_ms, uint32_t max_receives)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string(r->pk);
    options.wait_ms = wait_ms;
    options.max_receives = max_receives;
    options.dead_pk = max_receives != 0 ? lk_string(r->other) : (lk_bytes){NULL, 0};
    lk_status status = lk_queue_pull(r->db, &options, r->result);
    if (status != LK_OK)
        return status;
    lk_claim claim = *lk_result_claim(r->result, 0); /* is it good? */
    return checked(status, lk_queue_extend(r->direct, &claim, 60000) == LK_OK);
}

static lk_status
make_pull(run *r)
{
    return pull(r, 0, 0);
}

static void
prepare_delayed(run *r)
{
    static const lk_push_options soon = {.delay_ms = 1};
    lk_item job = item_of(r->pk, "0", "0");
    must(lk_queue_push(r->direct, &job, 1, &soon, NULL), "push");
}

static lk_status
make_pull_waiting(run *r)
{
    lk_status status = pull(r, 300, 0);
    return status == LK_TIMED_OUT ? LK_EMPTY : status;
}

/* It is claimed, or not; but it is there, and once. */
static trace
look_pull(const run *r)
{
    lk_job job;
    if (jobs_at(r, r->pk) != 1 || lk_queue_inspect(r->direct, lk_key_of(r->pk, "0"), &job) != LK_OK)
        return TORN;
    return job.state == LK_JOB_CLAIMED ? DONE : NOTHING;
}

static void
prepare_dead(run *r)
{
    claim_jobs(r, 1);
    must(lk_queue_release(r->direct, &r->claims[0], 0), "release");
}

static lk_status
make_pull_dead(run *r)
{
    return pull(r, 0, 1);
}

static trace
look_pull_dead(const run *r)
{
    size_t here = jobs_at(r, r->pk), there = jobs_at(r, r->other);
    return here + there != 1 ? TORN : there == 1 ? DONE : NOTHING;
}

static void
prepare_claim(run *r)
{
    claim_jobs(r, 1);
}

static void
prepare_claims(run *r)
{
    claim_jobs(r, 3);
}

static lk_status
make_acknowledge(run *r)
{
    return lk_queue_acknowledge(r->db, r->claims, 1);
}

static lk_status
make_acknowledge_many(run *r)
{
    return lk_queue_acknowledge(r->db, r->claims, 3);
}

static trace
look_acknowledge(const run *r)
{
    return jobs_at(r, r->pk) == 0 ? DONE : NOTHING;
}

static trace
look_acknowledge_many(const run *r)
{
    size_t jobs = jobs_at(r, r->pk);
    return jobs == 0 ? DONE : jobs == 3 ? NOTHING : TORN;
}

static lk_status
make_release(run *r)
{
    return lk_queue_release(r->db, &r->claims[0], 0);
}

static trace
look_release(const run *r)
{
    lk_job job;
    if (lk_queue_inspect(r->direct, lk_key_of(r->pk, "0"), &job) != LK_OK)
        return TORN;
    return job.state == LK_JOB_READY ? DONE : NOTHING;
}

static lk_status
make_extend(run *r)
{
    return lk_queue_extend(r->db, &r->claims[0], LK_HOURS(1));
}

static trace
look_extend(const run *r)
{
    lk_job job;
    if (lk_queue_inspect(r->direct, lk_key_of(r->pk, "0"), &job) != LK_OK ||
        job.state != LK_JOB_CLAIMED)
        return TORN;
    return job.changes_at_ms > lk_monotonic_ms(r->direct) + LK_MINUTES(30) ? DONE : NOTHING;
}

static lk_status
make_stats(run *r)
{
    lk_queue_statistics stats = {0};
    lk_status status = lk_queue_stats(r->db, lk_string(r->pk), &stats);
    return checked(status, stats.ready == 1);
}

static lk_status
make_purge(run *r)
{
    return lk_queue_purge(r->db, lk_string(r->pk), NULL);
}

static lk_status
make_close(run *r)
{
    return lk_queue_close(r->db, lk_string(r->pk));
}

static trace
look_close(const run *r)
{
    lk_item job = item_of(r->pk, "", "x");
    return lk_queue_push(r->direct, &job, 1, NULL, NULL) == LK_CLOSED ? DONE : NOTHING;
}

static void
prepare_expired(run *r)
{
    lk_item item = item_of(r->pk, "e", "x");
    item.expires_at_ms = 1;
    must(lk_set(r->direct, &item, 1), "set");
}

static lk_status
make_sweep(run *r)
{
    return lk_sweep(r->db, 0, NULL);
}

const call calls[] = {
    {.name = "get", .prepare = prepare_three, .make = make_get},
    {.name = "get_into", .prepare = prepare_three, .make = make_get_into},
    {.name = "get_many", .prepare = prepare_three, .make = make_get_many},
    {.name = "query", .prepare = prepare_three, .make = make_query},
    {.name = "stream", .prepare = prepare_three, .make = make_stream},
    {.name = "count", .prepare = prepare_three, .make = make_count},
    {.name = "list_partitions", .prepare = prepare_three, .make = make_list},
    {.name = "inspect", .prepare = prepare_job, .make = make_inspect},
    {.name = "statistics", .make = make_statistics},
    {"set", prepare_three, make_set, look_set, LK_OK, true, false, false},
    {"set many", prepare_three, make_set_many, look_set_many, LK_OK, true, false, false},
    {"delete", prepare_three, make_delete, look_delete, LK_OK, true, false, false},
    {"put_if absent", NULL, make_put_absent, look_put_absent, LK_OK, true, false, false},
    {"put_if present", prepare_three, make_put_present, look_set, LK_OK, true, false, false},
    {"put_if equal", prepare_three, make_put_equal, look_set, LK_OK, true, false, false},
    {"touch", prepare_three, make_touch, look_touch, LK_OK, true, false, false},
    {"add", NULL, make_add, look_add, LK_OK, true, false, false},
    {.name = "get_lock", .prepare = prepare_three, .make = make_get_lock},
    {.name = "get_locked", .prepare = prepare_three, .make = make_get_locked},
    {"set_atomic", prepare_locks, make_set_atomic, look_set_atomic, LK_OK, true, false, false},
    {"commit", prepare_commit, make_commit, look_commit, LK_OK, true, false, false},
    {"commit without locks", NULL, make_transfer, look_transfer, LK_OK, true, false, false},
    {"commit refused", prepare_three, make_refused, look_set, LK_EXISTS, false, false, false},
    {"commit stale", prepare_locks, make_race, look_set, LK_RACE, false, false, false},
    {"push", NULL, make_push, look_push, LK_OK, true, false, true},
    {"push many", NULL, make_push_many, look_push_many, LK_OK, true, false, true},
    {"push planned", NULL, make_push_planned, look_push_planned, LK_OK, true, false, false},
    {"pull", prepare_job, make_pull, look_pull, LK_OK, false, true, false},
    {"pull waiting", prepare_delayed, make_pull_waiting, look_pull, LK_OK, false, true, false},
    {"pull dead", prepare_dead, make_pull_dead, look_pull_dead, LK_EMPTY, true, true, false},
    {"acknowledge", prepare_claim, make_acknowledge, look_acknowledge, LK_OK, true, false, false},
    {"acknowledge many", prepare_claims, make_acknowledge_many, look_acknowledge_many, LK_OK, true,
     false, false},
    {"release", prepare_claim, make_release, look_release, LK_OK, true, false, false},
    {"extend", prepare_claim, make_extend, look_extend, LK_OK, true, false, false},
    {.name = "stats", .prepare = prepare_job, .make = make_stats},
    {"purge", prepare_claims, make_purge, look_acknowledge_many, LK_OK, true, false, false},
    {"close", NULL, make_close, look_close, LK_OK, true, false, false},
    {.name = "sweep", .prepare = prepare_expired, .make = make_sweep},
};
const unsigned call_count = sizeof calls / sizeof *calls;
