/* SPDX-License-Identifier: MIT
 *
 * A push and a snapshot, each stopped at each of its accesses to a shared word, in either order. Then the main thread sets an item of
 * the queue's partition, and looks for the job. Both go on, the push first, or the push in the midst of that look, at each of its accesses.
 * If the main thread has not found the job, its item was there before the job was: a snapshot that has the job has the item
 * (tests/model/push.pml). Once the push has ended everybody finds the job. And the same for the end of jobs: if the main thread has found
 * them, a snapshot that lacks them has its item.
 */
#include "support/kit.h"

#include <pthread.h>
#include <semaphore.h>

#include "base/atomic.h"

enum { POINTS_MAX = 400 };

typedef struct actor {
    pthread_t thread;
    sem_t asked, stopped; /* it is to go on; it has stopped, or has ended */
    void (*step)(struct actor *);
    lk_result *result;
    unsigned long yields, stop_at;
    bool ended, over;
    lk_status status;
} actor;

static struct {
    kit k;
    char queue[24];
    actor pusher, reader;
    lk_claim claims[2]; /* of jobs that the pusher acknowledges; none: it pushes */
    size_t claim_count;
    lk_result *pulled;
    unsigned long looks, look_at; /* of the main thread; 0: the push ends afterwards */
} test;

static __thread actor *self;

static void
actor_go(actor *a)
{
    sem_post(&a->asked);
    while (sem_wait(&a->stopped) != 0) {}
}

static void
yield_hook(void)
{
    if (self == NULL) {
        if (test.look_at != 0 && ++test.looks == test.look_at && !test.pusher.ended)
            actor_go(&test.pusher);
        return;
    }
    if (++self->yields != self->stop_at)
        return;
    sem_post(&self->stopped);
    while (sem_wait(&self->asked) != 0) {}
}

static void *
actor_main(void *argument)
{
    actor *a = argument;
    for (;;) {
        while (sem_wait(&a->asked) != 0) {}
        if (a->over)
            return NULL;
        self = a;
        a->yields = 0;
        a->step(a);
        self = NULL;
        a->ended = true;
        sem_post(&a->stopped);
    }
}

static void
actor_begin(actor *a, unsigned long stop_at)
{
    a->stop_at = stop_at;
    a->ended = false;
    actor_go(a);
}

static void
actor_end(actor *a)
{
    if (!a->ended)
        actor_go(a);
    assert_true(a->ended);
    assert_int_equal(a->status, LK_OK);
}

static void
actor_open(actor *a, void (*step)(actor *))
{
    a->step = step;
    a->result = lk_result_new();
    assert_non_null(a->result);
    sem_init(&a->asked, 0, 0);
    sem_init(&a->stopped, 0, 0);
    assert_int_equal(pthread_create(&a->thread, NULL, actor_main, a), 0);
}

static void
actor_close(actor *a)
{
    a->over = true;
    sem_post(&a->asked);
    pthread_join(a->thread, NULL);
    sem_destroy(&a->asked);
    sem_destroy(&a->stopped);
    lk_result_free(a->result);
}

static lk_item
item_of(const char *sk, const char *text)
{
    return (lk_item){.key = lk_key_of(test.queue, sk), .data = lk_string(text)};
}

static void
push_step(actor *a)
{
    lk_item jobs[2] = {item_of(NULL, "job"), item_of(NULL, "job")};
    if (test.claim_count != 0)
        a->status = lk_queue_acknowledge(test.k.db, test.claims, test.claim_count);
    else
        a->status = lk_queue_push(test.k.db, jobs, 2, NULL, NULL);
}

/* Two jobs that it will acknowledge. */
static void
jobs_claim(void)
{
    lk_pull_options options = {.pk = lk_string(test.queue), .max_jobs = 2};
    test.claim_count = 0;
    push_step(&test.pusher);
    assert_int_equal(test.pusher.status, LK_OK);
    assert_int_equal(lk_queue_pull(test.k.db, &options, test.pulled), LK_OK);
    for (size_t i = 0; i < 2; i++)
        test.claims[i] = *lk_result_claim(test.pulled, i);
    test.claim_count = 2;
}

static lk_status
all_read(lk_result *result)
{
    lk_query query = {.pk = lk_string(test.queue)};
    return lk_query_items(test.k.db, &query, result);
}

static void
read_step(actor *a)
{
    a->status = all_read(a->result);
}

/* How many items of a result have these bytes. */
static size_t
count_of(const lk_result *result, const char *text)
{
    size_t count = 0;
    for (size_t i = 0; i < lk_result_count(result); i++)
        count += lk_bytes_compare(lk_result_item(result, i)->data, lk_string(text)) == 0;
    return count;
}

/* True: all were stopped on the way. */
static bool
meet(unsigned long push_at, unsigned long read_at, bool reader_first, unsigned long look_at,
     bool ends)
{
    static unsigned number;
    snprintf(test.queue, sizeof test.queue, "q%u", number++);
    lk_item before[2] = {item_of("z", "old"), item_of(NULL, "first")};
    lk_item set = item_of("z", "new");
    assert_int_equal(lk_set(test.k.db, before, 1), LK_OK);
    test.claim_count = 0;
    if (ends)
        jobs_claim();
    assert_int_equal(lk_queue_push(test.k.db, before + 1, 1, NULL, NULL), LK_OK);
    if (reader_first)
        actor_begin(&test.reader, read_at);
    actor_begin(&test.pusher, push_at);
    if (!reader_first)
        actor_begin(&test.reader, read_at);
    bool stopped = !test.pusher.ended && !test.reader.ended;
    assert_int_equal(lk_set(test.k.db, &set, 1), LK_OK);
    test.looks = 0;
    test.look_at = look_at;
    assert_int_equal(all_read(test.k.result), LK_OK);
    test.look_at = 0;
    size_t found = count_of(test.k.result, "job");
    actor_end(&test.pusher);
    actor_end(&test.reader);
    size_t seen = count_of(test.reader.result, "job");
    bool has_set = count_of(test.reader.result, "new") != 0;
    if ((ends ? seen < found : seen > found) && !has_set)
        fail_msg("push stopped at %lu, snapshot at %lu, look at %lu: the snapshot has %zu jobs and "
                 "not the item, after which %zu were there",
                 push_at, read_at, look_at, seen, found);
    assert_int_equal(all_read(test.k.result), LK_OK);
    assert_int_equal(count_of(test.k.result, "job"), ends ? 0 : 2);
    assert_int_equal(lk_queue_purge(test.k.db, lk_string(test.queue), NULL), LK_OK);
    return stopped && test.looks >= look_at;
}

static int
setup(void **state)
{
    (void)state;
    memset(&test, 0, sizeof test);
    kit_open(&test.k, NULL);
    test.pulled = lk_result_new();
    assert_non_null(test.pulled);
    actor_open(&test.pusher, push_step);
    actor_open(&test.reader, read_step);
    lki_yield_hook = yield_hook;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    lki_yield_hook = NULL;
    actor_close(&test.pusher);
    actor_close(&test.reader);
    lk_result_free(test.pulled);
    kit_close(&test.k);
    return 0;
}

static void
test_push_and_snapshot_wherever_they_stop_have_an_order(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 4; way++)
        for (unsigned long push_at = 1; push_at < POINTS_MAX; push_at++) {
            unsigned long read_at = 1;
            while (read_at < POINTS_MAX && meet(push_at, read_at, way % 2 != 0, 0, way >= 2))
                read_at++;
            assert_true(read_at < POINTS_MAX);
            if (test.pusher.yields < push_at)
                break; /* it has no such access */
        }
}

/* The snapshot stops at some of its accesses: of these nearly all are behind the moment of it. */
static void
test_push_that_ends_in_the_midst_of_a_look_has_an_order(void **state)
{
    (void)state;
    enum { SOME = 7 };
    for (int ends = 0; ends < 2; ends++)
        for (unsigned long push_at = 1; push_at < POINTS_MAX; push_at++) {
            bool more = true;
            for (unsigned long read_at = 1; more && read_at < POINTS_MAX; read_at += SOME) {
                unsigned long look_at = 1;
                while (look_at < POINTS_MAX && meet(push_at, read_at, false, look_at, ends != 0))
                    look_at++;
                more = look_at > 1;
            }
            if (test.pusher.yields < push_at)
                break;
        }
}

int
main(void)
{
#define MEETING(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        MEETING(test_push_and_snapshot_wherever_they_stop_have_an_order),
        MEETING(test_push_that_ends_in_the_midst_of_a_look_has_an_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
