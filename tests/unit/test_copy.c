/* SPDX-License-Identifier: MIT
 *
 * lk_copy: batches, progress, reports, faults; and jobs that come and go while they are read. The
 * first store is a stage: partitions, states of jobs and what happens between two calls are as the
 * test says. All kinds of handles: test_lmdb_copy.c.
 */
#include "adapter/pass.h"
#include "base/alloc.h"
#include "support/counted_db.h"
#include "support/kit.h"

/* ---- the stage ---- */

enum step { BEFORE_INSPECT, BEFORE_GET, STEPS };

typedef struct stage {
    lk_db *inner; /* first: lk_adapter_pass */
    lk_db *db;
    kit k; /* behind `inner` */
    const char *pks[8];
    bool is_job; /* what is at `the_key` */
    int calls[STEPS];
    void (*happens)(struct stage *s, enum step step, int nth); /* NULL: nothing */
    lk_status list_ends;                                       /* LK_OK: as it does */
} stage;

static const lk_key the_key = {{"q", 1}, {"k", 1}};

static void
step_reach(stage *s, enum step step)
{
    int nth = ++s->calls[step];
    if (s->happens != NULL)
        s->happens(s, step, nth);
}

static lk_status
stage_list_partitions(void *state, lk_position *position, size_t limit, lk_result *result)
{
    stage *s = state;
    if (s->list_ends != LK_OK)
        return s->list_ends;
    if (position->opaque[0] == KIT_COUNT(s->pks) || s->pks[position->opaque[0]] == NULL)
        return LK_END;
    assert_true(limit > 1);
    lk_result_draft(result);
    for (int i = 0; i < 2 && s->pks[position->opaque[0]] != NULL; i++) {
        lk_item item = {.key.pk = lk_string(s->pks[position->opaque[0]++])};
        if (lk_result_add(result, &item) != LK_OK)
            return LK_NO_MEMORY;
    }
    lk_result_publish(result);
    return LK_OK;
}

/* Jobs are at `the_key`, if it is so, and in partitions whose name begins with "jobs". */
static lk_status
stage_queue_inspect(void *state, const lk_key *keys, size_t count, lk_job *jobs)
{
    stage *s = state;
    step_reach(s, BEFORE_INSPECT);
    memset(jobs, 0, count * sizeof *jobs);
    for (size_t i = 0; i < count; i++) {
        bool is_key = lkc_equal(keys[i].pk, the_key.pk) && lkc_equal(keys[i].sk, the_key.sk);
        bool is_jobs = keys[i].pk.size >= 4 && memcmp(keys[i].pk.data, "jobs", 4) == 0;
        if (is_key ? s->is_job : is_jobs)
            jobs[i] = (lk_job){LK_JOB_CLAIMED, 3, 99};
    }
    return LK_OK;
}

static lk_status
stage_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    step_reach(state, BEFORE_GET);
    return lk_get_many(((stage *)state)->inner, keys, count, result);
}

static void
stage_open(stage *s, uint64_t without)
{
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_operations operations;
    memset(s, 0, sizeof *s);
    kit_open(&s->k, NULL);
    s->inner = s->k.db;
    assert_status(LK_OK, lk_adapter_pass(s->inner, &operations, &adapter));
    operations.list_partitions = stage_list_partitions;
    operations.queue_inspect = stage_queue_inspect;
    operations.get_many = stage_get_many;
    adapter.capabilities |= LK_HAS_PARTITIONS | LK_HAS_QUEUE_INSPECT;
    adapter.capabilities &= ~without;
    adapter.state = s;
    lki_operations_trim(&operations, adapter.capabilities);
    assert_status(LK_OK, lk_adapter_open(&operations, &adapter, &s->db));
}

static void
stage_close(stage *s)
{
    lk_close(s->db);
    kit_close(&s->k);
}

/* ---- what is copied ---- */

static stage from;
static kit to;

static void
both_open(void)
{
    stage_open(&from, 0);
    kit_open(&to, NULL);
}

static void
both_close(void)
{
    stage_close(&from);
    kit_close(&to);
}

enum { ITEMS = 700 + 3 + 10, JOBS = 280, OTHERS = 20, PARTITIONS = 5 };

/* "many", 700 items; "jobs" and "jobs too", 300; "few", 3, one of which expires, one with an empty
 * sk; "gone"; "large". */
static void
stage_fill(stage *s)
{
    static const char *const pks[] = {"many", "few", "jobs", "jobs too", "gone", "large"};
    static const char large[300000];
    memcpy(s->pks, pks, sizeof pks);
    for (unsigned i = 0; i < 700; i++) {
        lk_item item = {.key = lkc_numbered("many", i), .data = {&i, sizeof i}};
        assert_status(LK_OK, lk_set(s->inner, &item, 1));
    }
    for (unsigned i = 0; i < JOBS + OTHERS; i++) {
        lk_item job = {.key = lkc_numbered("jobs", i), .data = {&i, sizeof i}};
        job.key.pk = lk_string(i < JOBS ? "jobs" : "jobs too");
        assert_status(LK_OK, lk_queue_push(s->inner, &job, 1, NULL, NULL));
    }
    kit_set(&s->k, "few", "", "empty");
    kit_set(&s->k, "few", "none", "");
    lk_item expires = kit_item("few", "brief", "x"), gone = kit_item("gone", "1", "x");
    expires.expires_at_ms = KIT_START_MS + 500;
    gone.expires_at_ms = KIT_START_MS - 1;
    assert_status(LK_OK, lk_set(s->inner, &expires, 1));
    assert_status(LK_OK, lk_set(s->inner, &gone, 1));
    for (unsigned i = 0; i < 10; i++) {
        lk_item item = {.key = lkc_numbered("large", i), .data = {large, sizeof large}};
        assert_status(LK_OK, lk_set(s->inner, &item, 1));
    }
}

static bool
partition_is_same(lk_db *left, lk_db *right, const char *pk)
{
    lk_result *a = lk_result_new(), *b = lk_result_new();
    lk_query query = {.pk = lk_string(pk)};
    assert_status(LK_OK, lk_query_items(left, &query, a));
    assert_status(LK_OK, lk_query_items(right, &query, b));
    bool same = lk_result_count(a) == lk_result_count(b);
    for (size_t i = 0; same && i < lk_result_count(a); i++) {
        const lk_item *x = lk_result_item(a, i), *y = lk_result_item(b, i);
        same = lkc_equal(x->key.sk, y->key.sk) && lkc_equal(x->data, y->data) &&
               x->expires_at_ms == y->expires_at_ms;
    }
    lk_result_free(a);
    lk_result_free(b);
    return same;
}

static bool
stage_is_copied(stage *s, kit *k)
{
    lk_queue_statistics stats;
    bool same = true;
    for (size_t i = 0; i < KIT_COUNT(s->pks) && s->pks[i] != NULL; i++)
        same = same && partition_is_same(s->inner, k->db, s->pks[i]);
    assert_status(LK_OK, lk_queue_stats(k->db, lk_string("jobs"), &stats));
    if (!same || stats.ready != JOBS)
        return false;
    lk_pull_options pull = {.pk = lk_string("jobs"), .max_jobs = JOBS};
    assert_status(LK_OK, lk_queue_pull(k->db, &pull, k->result));
    for (unsigned i = 0; i < JOBS; i++)
        same = same && lk_result_claim(k->result, i)->receives == 1 &&
               lkc_equal(lk_result_item(k->result, i)->key.sk, lkc_numbered("jobs", i).sk);
    assert_status(LK_EMPTY, lk_queue_pull(k->db, &pull, k->result));
    pull.pk = lk_string("jobs too");
    assert_status(LK_OK, lk_queue_pull(k->db, &pull, k->result));
    return same && lk_result_count(k->result) == OTHERS;
}

/* ---- batches and progress ---- */

typedef struct watcher {
    int calls, stops_at; /* 0: does not */
    lk_copy_report last;
} watcher;

static bool
watch(void *context, const lk_copy_report *so_far)
{
    watcher *w = context;
    assert_true(so_far->items + so_far->jobs > w->last.items + w->last.jobs);
    assert_true(so_far->bytes > w->last.bytes && so_far->partitions >= w->last.partitions);
    w->last = *so_far;
    return ++w->calls != w->stops_at;
}

/* The last partition may end behind the last batch. */
static bool
watched(const watcher *w, const lk_copy_report *report)
{
    return w->last.items == report->items && w->last.jobs == report->jobs &&
           w->last.bytes == report->bytes && w->last.partitions <= report->partitions;
}

static void
test_copy_takes_all_items_and_jobs_in_batches_of_any_size(void **state)
{
    static const size_t batches[] = {0, 1, 7, 256, 1000, LK_COMMIT_MAX};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(batches); i++) {
        watcher w = {.calls = 0};
        lk_copy_options options = {.progress = watch, .context = &w, .batch = batches[i]};
        lk_copy_report report;
        both_open();
        stage_fill(&from);
        assert_status(LK_OK, lk_copy(from.db, to.db, &options, &report));
        assert_true(report.items == ITEMS && report.jobs == JOBS + OTHERS);
        assert_true(report.partitions == PARTITIONS);
        assert_int_equal(report.bytes, 700 * (4 + 8 + 4) + JOBS * (4 + 8 + 4) +
                                           OTHERS * (8 + 8 + 4) + 10 * (5 + 8 + 300000) + (3 + 5) +
                                           (3 + 4) + (3 + 5 + 1));
        assert_true(stage_is_copied(&from, &to));
        size_t batch = batches[i] != 0 ? batches[i] : 256;
        size_t whole = ITEMS + JOBS + OTHERS, least = (whole + batch - 1) / batch;
        least = least < 3 ? 3 : least; /* of a megabyte */
        assert_in_range(w.calls, least, whole / batch + 4);
        assert_true(watched(&w, &report));
        both_close();
    }
}

static void
test_copy_that_was_stopped_goes_on_when_it_begins_again(void **state)
{
    (void)state;
    both_open();
    stage_fill(&from);
    for (int stops_at = 1; stops_at < 11; stops_at++) {
        watcher w = {.stops_at = stops_at};
        lk_copy_options options = {.progress = watch, .context = &w, .batch = 100};
        lk_copy_report report;
        assert_status(LK_END, lk_copy(from.db, to.db, &options, &report));
        assert_int_equal(w.calls, stops_at);
        assert_true(watched(&w, &report));
        assert_int_equal(report.items + report.jobs, 100 * stops_at);
        assert_int_equal(report.partitions, stops_at < 8 ? 0 : stops_at < 10 ? 2 : 3);
    }
    assert_status(LK_OK, lk_copy(from.db, to.db, NULL, NULL));
    assert_true(stage_is_copied(&from, &to));
    /* Jobs that others hold by now are visible again. */
    assert_status(LK_OK, lk_copy(from.db, to.db, NULL, NULL));
    assert_true(stage_is_copied(&from, &to));
    both_close();
}

static void
test_copy_of_nothing_writes_nothing(void **state)
{
    (void)state;
    watcher w = {.calls = 0};
    lk_copy_options options = {.progress = watch, .context = &w};
    lk_copy_report report;
    lkc_fill(&report, sizeof report);
    both_open();
    from.pks[0] = "never there";
    assert_status(LK_OK, lk_copy(from.db, to.db, &options, &report));
    assert_true(report.items == 0 && report.jobs == 0 && report.bytes == 0);
    assert_int_equal(w.calls, 0);
    assert_int_equal(kit_statistics(&to).sets, 0);
    both_close();
}

static void
test_copy_into_what_is_there_replaces_the_same_keys_and_leaves_others(void **state)
{
    (void)state;
    both_open();
    stage_fill(&from);
    kit_set(&to, "many", "another", "stays");
    kit_set(&to, "few", "none", "goes");
    assert_status(LK_OK, lk_copy(from.db, to.db, NULL, NULL));
    assert_true(kit_holds(&to, lk_key_of("many", "another"), "stays"));
    assert_true(partition_is_same(from.inner, to.db, "few"));
    both_close();
}

/* ---- arguments and handles ---- */

static void
test_copy_with_bad_arguments_does_nothing(void **state)
{
    (void)state;
    lk_copy_options large = {.batch = LK_COMMIT_MAX + 1};
    lk_copy_report report;
    lkc_fill(&report, sizeof report);
    both_open();
    stage_fill(&from);
    assert_status(LK_INVALID, lk_copy(NULL, to.db, NULL, &report));
    assert_status(LK_INVALID, lk_copy(from.db, NULL, NULL, &report));
    assert_status(LK_INVALID, lk_copy(from.db, from.db, NULL, &report));
    assert_status(LK_TOO_BIG, lk_copy(from.db, to.db, &large, &report));
    lk_cache_options capacity = {.max_items = 10};
    lk_db *cache, *another;
    assert_status(LK_OK, lk_cache_open(from.db, &capacity, &cache));
    assert_status(LK_OK, lk_cache_open(from.db, &capacity, &another));
    assert_status(LK_INVALID, lk_copy(from.db, cache, NULL, &report));
    assert_status(LK_INVALID, lk_copy(cache, from.db, NULL, &report));
    assert_status(LK_INVALID, lk_copy(cache, another, NULL, &report));
    lk_close(another);
    lk_close(cache);
    assert_true(lkc_is_filled(&report, sizeof report));
    assert_int_equal(kit_statistics(&to).sets, 0);
    both_close();
}

static void
test_copy_between_handles_that_lack_calls_is_unsupported(void **state)
{
    static const uint64_t lacks[] = {LK_HAS_PARTITIONS, LK_HAS_QUERY | LK_QUERIES_RANGES,
                                     LK_HAS_QUEUE_INSPECT};
    (void)state;
    kit_open(&to, NULL);
    for (size_t i = 0; i < KIT_COUNT(lacks); i++) {
        stage_open(&from, lacks[i]);
        stage_fill(&from);
        assert_status(LK_UNSUPPORTED, lk_copy(from.db, to.db, NULL, NULL));
        stage_close(&from);
    }
    assert_int_equal(kit_statistics(&to).sets, 0);
    kit_close(&to);
}

enum { QUEUES = LK_HAS_QUEUES | LK_HAS_QUEUE_FD | LK_HAS_QUEUE_INSPECT | LK_COMMITS_JOBS };

static void
test_copy_into_a_handle_without_queues_ends_at_the_first_job(void **state)
{
    (void)state;
    counted_db plain;
    lk_copy_report report;
    for (int jobs = 0; jobs < 2; jobs++) {
        both_open();
        stage_fill(&from);
        if (jobs == 0)
            from.pks[2] = from.pks[3] = "few"; /* instead */
        assert_status(LK_OK, counted_open(&plain, to.db, QUEUES | LK_COMMITS_RELEASES));
        assert_status(jobs != 0 ? LK_UNSUPPORTED : LK_OK,
                      lk_copy(from.db, plain.db, NULL, &report));
        assert_true(report.jobs == 0 && report.items >= (jobs != 0 ? 256 : 700));
        counted_close(&plain);
        both_close();
    }
}

static void
test_copy_of_a_handle_without_queues_or_get_many_takes_all_as_items(void **state)
{
    (void)state;
    lk_copy_report report;
    stage_open(&from, QUEUES | LK_COMMITS_RELEASES | LK_HAS_GET_MANY);
    kit_open(&to, NULL);
    stage_fill(&from);
    assert_status(LK_OK, lk_copy(from.db, to.db, NULL, &report));
    assert_true(report.items == ITEMS + JOBS + OTHERS && report.jobs == 0);
    assert_int_equal(from.calls[BEFORE_INSPECT], 0);
    for (size_t i = 0; i < 6; i++)
        assert_true(partition_is_same(from.inner, to.db, from.pks[i]));
    both_close();
    stage_open(&from, LK_HAS_GET_MANY);
    kit_open(&to, NULL);
    stage_fill(&from);
    assert_status(LK_OK, lk_copy(from.db, to.db, NULL, NULL));
    assert_true(stage_is_copied(&from, &to));
    both_close();
}

/* ---- faults ---- */

static void
test_copy_ends_with_what_a_call_of_it_ended_in(void **state)
{
    static const enum counted_call calls[] = {COUNTED_SET, COUNTED_PUSH};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(calls); i++) {
        counted_db failing;
        lk_copy_options options = {.batch = 100};
        lk_copy_report report;
        both_open();
        stage_fill(&from);
        assert_status(LK_OK, counted_open(&failing, to.db, 0));
        counted_fail(&failing, calls[i], COUNTED_BEFORE, 2, LK_UNAVAILABLE);
        assert_status(LK_UNAVAILABLE, lk_copy(from.db, failing.db, &options, &report));
        lk_statistics s = kit_statistics(&to);
        assert_true(calls[i] == COUNTED_SET ? report.items == 100 && s.sets == 100
                                            : report.jobs != 0 && report.jobs <= 100);
        assert_status(LK_OK, lk_copy(from.db, failing.db, &options, &report));
        assert_true(stage_is_copied(&from, &to));
        counted_close(&failing);
        both_close();
    }
    both_open();
    stage_fill(&from);
    from.list_ends = LK_UNKNOWN;
    assert_status(LK_UNKNOWN, lk_copy(from.db, to.db, NULL, NULL));
    both_close();
}

static void
test_copy_of_what_does_not_fit_is_too_big(void **state)
{
    (void)state;
    lk_memory_options small = LK_MEMORY_OPTIONS_INIT;
    small.max_data_size = 299999;
    stage_open(&from, 0);
    kit_open(&to, &small);
    stage_fill(&from);
    lk_copy_report report;
    assert_status(LK_TOO_BIG, lk_copy(from.db, to.db, NULL, &report));
    assert_true(report.items >= 700 && report.items < ITEMS);
    both_close();
}

static void
test_copy_without_memory_says_so_and_leaks_nothing(void **state)
{
    (void)state;
    kit_memory memory = {.bytes = 0};
    lk_status status = LK_NO_MEMORY;
    for (int64_t nth = 1; status != LK_OK; nth++) {
        both_open();
        kit_set(&from.k, "few", "1", "x");
        lk_item job = kit_item("jobs", "1", "x");
        assert_status(LK_OK, lk_queue_push(from.inner, &job, 1, NULL, NULL));
        from.pks[0] = "few";
        from.pks[1] = "jobs";
        lk_copy_report report = {.items = 9};
        lki_default_allocator = (lki_allocator){kit_allocate, kit_deallocate, &memory, NULL, NULL};
        kit_memory_fail(&memory, nth, false);
        status = lk_copy(from.db, to.db, NULL, &report);
        lki_default_allocator = (lki_allocator){0};
        assert_true(status == LK_OK || status == LK_NO_MEMORY);
        assert_int_equal(atomic_load(&memory.blocks), 0);
        assert_false(atomic_load(&memory.broken));
        assert_true(report.items + report.jobs <= 2 && (status != LK_OK || report.jobs == 1));
        both_close();
    }
    assert_true(atomic_load(&memory.failed) != 0);
}

/* ---- jobs that come and go ---- */

static int happens_at; /* calls of a step: 1 is the first of BEFORE_INSPECT, 2 of BEFORE_GET, ... */

static void
key_push(stage *s)
{
    lk_item job = {the_key, {"pushed", 6}, 0};
    assert_status(LK_OK, lk_queue_push(s->inner, &job, 1, NULL, NULL));
    s->is_job = true;
}

static void
key_acknowledge(stage *s)
{
    lk_claim claim = {.key = the_key};
    assert_status(LK_OK, lk_queue_acknowledge(s->inner, &claim, 1));
    s->is_job = false;
}

/* The steps of all rounds, in their order: inspect, get, inspect, get, inspect, and so on. */
static int
moment(enum step step, int nth)
{
    return step == BEFORE_GET ? 2 * nth : 2 * nth - 1;
}

static void
push_happens(stage *s, enum step step, int nth)
{
    if (moment(step, nth) == happens_at)
        key_push(s);
}

static void
acknowledgement_happens(stage *s, enum step step, int nth)
{
    if (moment(step, nth) == happens_at)
        key_acknowledge(s);
}

/* After a push that is noticed in the first round. */
static void
push_and_acknowledgement_happen(stage *s, enum step step, int nth)
{
    if (moment(step, nth) == 2)
        key_push(s);
    if (moment(step, nth) == happens_at)
        key_acknowledge(s);
}

/* It is there only when it is read. */
static void
comes_between(stage *s, enum step step, int nth)
{
    if (moment(step, nth) == 1 || moment(step, nth) == 3)
        key_acknowledge(s);
    if (moment(step, nth) == 2)
        key_push(s);
}

/* It goes before it is read, and comes again before its state is asked for. */
static void
comes_anew(stage *s, enum step step, int nth)
{
    if (moment(step, nth) == 2)
        key_acknowledge(s);
    if (moment(step, nth) == 3)
        key_push(s);
}

static void
again_and_again(stage *s, enum step step, int nth)
{
    if (step == BEFORE_INSPECT && nth % 2 == 1 && s->is_job)
        key_acknowledge(s);
    if (step == BEFORE_INSPECT && nth % 2 == 0)
        key_push(s);
}

/* What came of `the_key`, beside 20 others. */
static void
copied_check(bool job, const char *data)
{
    lk_pull_options pull = {.pk = the_key.pk, .max_jobs = 2};
    lk_copy_report report;
    assert_status(LK_OK, lk_copy(from.db, to.db, NULL, &report));
    assert_int_equal(report.items + report.jobs, 20 + (data != NULL));
    assert_int_equal(report.jobs, job);
    assert_true(kit_holds(&to, the_key, data));
    assert_status(job ? LK_OK : LK_EMPTY, lk_queue_pull(to.db, &pull, to.result));
    assert_true(kit_holds(&to, lk_key_of("q", "item"), "item"));
}

static void
both_open_with_key(bool job)
{
    both_open();
    from.pks[0] = "few";
    from.pks[1] = "q";
    for (unsigned i = 0; i < 19; i++) {
        lk_item item = {.key = lkc_numbered("few", i), .data = {"x", 1}};
        assert_status(LK_OK, lk_set(from.inner, &item, 1));
    }
    kit_set(&from.k, "q", "item", "item");
    if (job)
        key_push(&from);
    else
        kit_set(&from.k, "q", "k", "put");
}

static void
test_job_that_is_done_meanwhile_does_not_come_as_an_item(void **state)
{
    (void)state;
    for (happens_at = 1; happens_at < 4; happens_at++) {
        both_open_with_key(true);
        from.happens = acknowledgement_happens;
        copied_check(false, NULL);
        both_close();
    }
}

static void
test_item_that_becomes_a_job_meanwhile_comes_as_one(void **state)
{
    (void)state;
    for (happens_at = 1; happens_at < 10; happens_at++) { /* up to the end of the last round */
        both_open_with_key(false);
        from.happens = push_happens;
        copied_check(true, "pushed");
        both_close();
    }
}

static void
test_item_that_becomes_a_job_and_is_done_meanwhile_does_not_come(void **state)
{
    (void)state;
    for (happens_at = 4; happens_at < 6; happens_at++) {
        both_open_with_key(false);
        from.happens = push_and_acknowledgement_happen;
        copied_check(false, NULL);
        both_close();
    }
}

static void
test_job_that_was_gone_when_it_was_read_does_not_come(void **state)
{
    (void)state;
    both_open_with_key(true);
    from.happens = comes_anew;
    copied_check(false, NULL);
    both_close();
    both_open_with_key(true);
    from.happens = comes_between;
    copied_check(false, NULL);
    both_close();
}

static void
test_key_that_comes_and_goes_all_the_time_holds_up_nothing(void **state)
{
    (void)state;
    both_open_with_key(true);
    from.happens = again_and_again;
    copied_check(false, NULL);
    assert_int_equal(from.calls[BEFORE_GET], 4); /* as many rounds as the others need */
    both_close();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_takes_all_items_and_jobs_in_batches_of_any_size),
        cmocka_unit_test(test_copy_that_was_stopped_goes_on_when_it_begins_again),
        cmocka_unit_test(test_copy_of_nothing_writes_nothing),
        cmocka_unit_test(test_copy_into_what_is_there_replaces_the_same_keys_and_leaves_others),
        cmocka_unit_test(test_copy_with_bad_arguments_does_nothing),
        cmocka_unit_test(test_copy_between_handles_that_lack_calls_is_unsupported),
        cmocka_unit_test(test_copy_into_a_handle_without_queues_ends_at_the_first_job),
        cmocka_unit_test(test_copy_of_a_handle_without_queues_or_get_many_takes_all_as_items),
        cmocka_unit_test(test_copy_ends_with_what_a_call_of_it_ended_in),
        cmocka_unit_test(test_copy_of_what_does_not_fit_is_too_big),
        cmocka_unit_test(test_copy_without_memory_says_so_and_leaks_nothing),
        cmocka_unit_test(test_job_that_is_done_meanwhile_does_not_come_as_an_item),
        cmocka_unit_test(test_item_that_becomes_a_job_meanwhile_comes_as_one),
        cmocka_unit_test(test_item_that_becomes_a_job_and_is_done_meanwhile_does_not_come),
        cmocka_unit_test(test_job_that_was_gone_when_it_was_read_does_not_come),
        cmocka_unit_test(test_key_that_comes_and_goes_all_the_time_holds_up_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
