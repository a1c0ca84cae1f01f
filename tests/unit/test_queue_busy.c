/* SPDX-License-Identifier: MIT
 *
 * Queues beyond the limit of retired bytes, while another thread stays in a read pair: every call
 * that may retire something is LK_BUSY and has changed nothing; afterwards each one goes well. And
 * inside of the thread's own pair: what a pull works off in portions.
 */
#include "support/jobs.h"

#include <pthread.h>

enum { LIMIT = 1 << 20, BIG = 64 * 1024, PORTIONS = 700 };

typedef struct rig {
    kit k;
    pthread_t reader;
    pthread_barrier_t turn;
    job plain, late, keyed; /* claimed */
    lk_lock lock;
} rig;

static void *
reader_run(void *context)
{
    rig *it = context;
    lk_read_begin(it->k.db);
    pthread_barrier_wait(&it->turn);
    pthread_barrier_wait(&it->turn);
    lk_read_end(it->k.db);
    return NULL;
}

/* ---- the calls ---- */

static lk_status
call_acknowledge(rig *it)
{
    return lk_queue_acknowledge(it->k.db, &it->plain.claim, 1);
}

static lk_status
call_release(rig *it)
{
    return lk_queue_release(it->k.db, &it->late.claim, 1000);
}

static lk_status
call_extend(rig *it)
{
    return lk_queue_extend(it->k.db, &it->keyed.claim, 2 * VISIBILITY_MS);
}

static lk_status
call_push(rig *it)
{
    return lkc_try_push(it->k.db, "other", NULL, "x", NULL);
}

static lk_status
call_push_key(rig *it)
{
    return lkc_try_push(it->k.db, "other", "key", "x", NULL);
}

static lk_status
call_commit(rig *it)
{
    lk_write writes[] = {{.kind = LK_ACKNOWLEDGE, .claim = &it->keyed.claim},
                         {.kind = LK_PUSH, .item = kit_item("other", "next", "x")},
                         {.kind = LK_PUT, .item = kit_item("items", "done", "x")}};
    return lk_commit(it->k.db, writes, 3, NULL, 0, NULL);
}

static lk_status
call_pull(rig *it)
{
    return lkc_try_pull(it->k.db, it->k.result, "q", NULL);
}

static lk_status
call_wait(rig *it)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("q");
    options.wait_ms = 10;
    lk_status status = lk_queue_pull(it->k.db, &options, it->k.result);
    return status;
}

static lk_status
call_purge(rig *it)
{
    size_t purged = 77;
    lk_status status = lk_queue_purge(it->k.db, lk_string("q"), &purged);
    assert_true(status != LK_BUSY || purged == 77);
    return status;
}

static lk_status
call_statistics(rig *it)
{
    lk_queue_statistics s;
    lkc_fill(&s, sizeof s);
    lk_status status = lk_queue_stats(it->k.db, lk_string("q"), &s);
    assert_true(status != LK_BUSY || lkc_is_filled(&s, sizeof s));
    return status;
}

static lk_status
call_fd(rig *it)
{
    int fd = -77;
    lk_status status = lk_queue_fd(it->k.db, lk_string("polled"), &fd);
    assert_true((status == LK_OK) == (fd != -77));
    return status;
}

static lk_status
call_close(rig *it)
{
    return lk_queue_close(it->k.db, lk_string("closed"));
}

static const struct {
    const char *name;
    lk_status (*run)(rig *it);
} calls[] = {
    {"acknowledge", call_acknowledge},
    {"release", call_release},
    {"extend", call_extend},
    {"push", call_push},
    {"push with a key", call_push_key},
    {"commit", call_commit},
    {"pull", call_pull},
    {"pull that waits", call_wait},
    {"purge", call_purge},
    {"statistics", call_statistics},
    {"descriptor", call_fd},
    {"close", call_close},
};

static void
test_every_call_is_busy_while_a_reader_stays_and_changes_nothing(void **state)
{
    (void)state;
    static char data[BIG];
    static const char *const pks[] = {"q", "other", "items", "closed", "polled"};
    rig *it = calloc(1, sizeof *it);
    picture *before = malloc(sizeof *before), *after = malloc(sizeof *after);
    kit_open(&it->k, &(lk_memory_options){.max_retired_bytes = LIMIT});
    for (int i = 0; i < 4; i++)
        jobs_push(&it->k, "q", NULL, "job");
    jobs_push(&it->k, "q", "key", "job");
    assert_pull(&it->k, "q", "job", &it->plain);
    assert_pull(&it->k, "q", "job", &it->late);
    lk_claim by_key = {.key = kit_key("q", "key")};
    assert_status(LK_OK, lk_queue_release(it->k.db, &by_key, 0));
    assert_pull(&it->k, "q", "job", NULL);
    assert_pull(&it->k, "q", "job", NULL);
    assert_pull(&it->k, "q", "job", &it->keyed);
    jobs_push(&it->k, "q", NULL, "job");
    picture_take(&it->k, pks, KIT_COUNT(pks), before);

    pthread_barrier_init(&it->turn, NULL, 2);
    assert_int_equal(pthread_create(&it->reader, NULL, reader_run, it), 0);
    pthread_barrier_wait(&it->turn);
    lk_status status = LK_OK;
    lk_item item = {kit_key("p", "big"), {data, BIG}, 0};
    while (status == LK_OK)
        status = lk_set(it->k.db, &item, 1);
    assert_status(LK_BUSY, status);
    for (size_t i = 0; i < KIT_COUNT(calls); i++)
        for (int again = 0; again < 2; again++) {
            status = calls[i].run(it);
            if (status != LK_BUSY)
                fail_msg("%s: %s", calls[i].name, lk_status_string(status));
        }
    pthread_barrier_wait(&it->turn);
    pthread_join(it->reader, NULL);
    pthread_barrier_destroy(&it->turn);

    picture_take(&it->k, pks, KIT_COUNT(pks), after);
    assert_true(picture_equals(before, after));
    for (size_t i = 0; i < KIT_COUNT(calls); i++) {
        if (calls[i].run == call_wait) /* this clock stands still */
            continue;
        status = calls[i].run(it);
        if (status != LK_OK)
            fail_msg("%s afterwards: %s", calls[i].name, lk_status_string(status));
    }
    kit_close(&it->k);
    free(before);
    free(after);
    free(it);
}

/* Between portions memory is freed, but for who pulls inside of a pair: its section goes on. */
static void
test_pull_in_a_pair_works_off_what_has_expired(void **state)
{
    kit *k = *state;
    for (int keyed = 0; keyed < 2; keyed++) {
        for (uint64_t i = 0; i < PORTIONS; i++) {
            lk_item item = {.key = lkc_numbered("q", i), .data = lk_string("gone")};
            item.expires_at_ms = atomic_load(&k->now_ms) + 10;
            if (keyed == 0)
                item.key.sk = (lk_bytes){NULL, 0};
            assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, NULL));
        }
        jobs_push(k, "q", "z", "there");
        kit_advance(k, 20);
        job j;
        lk_read_begin(k->db);
        assert_pull(k, "q", "there", &j);
        assert_empty(k, "q");
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
        lk_read_end(k->db);
        assert_int_equal(jobs_items(k, "q"), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_is_busy_while_a_reader_stays_and_changes_nothing),
        KIT_TEST(test_pull_in_a_pair_works_off_what_has_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
