/* SPDX-License-Identifier: MIT
 *
 * What happens between two accesses of a queue call. For each call, each thing that may happen meanwhile, and each n: the call stops at
 * its n-th access to a shared word, another thread does that thing from the beginning to the end, and the call goes on. Each meeting has a
 * queue of its own in one store.
 *
 * Order: of jobs of which the smaller was visible before the larger, the smaller comes first. By key: release, acknowledge and an
 * acknowledgement in a commit are LK_OK or LK_LOST while the queue comes to be, or goes for want of use and comes anew, and no job is lost.
 * Batches: jobs without an sk are contiguous also where others of the batch have one. Depth: never more jobs than max_depth.
 */
#include "support/jobs.h"

#include <pthread.h>
#include <semaphore.h>

#include "base/atomic.h"

enum { POINTS_MAX = 400, IDLE_MS = 61 * 1000 };

typedef struct meeting {
    kit k;
    lk_result *its; /* of the other thread */
    char queue[24], letters[24];
    unsigned long yields, stop_at;
    bool is_counting, has_met;
    lk_status (*step)(void); /* what the other thread is to do */
    lk_status step_status;
    sem_t asked, done, go_on;
    pthread_t other;
    bool over;
    unsigned long other_yields, other_stop_at; /* of a step that stops halfway */
    bool other_counts;
    job claimed;
} meeting;

static meeting m;
static __thread bool is_other;

static void
step_ask(lk_status (*step)(void))
{
    m.step = step;
    sem_post(&m.asked);
    while (sem_wait(&m.done) != 0) {}
}

static void *
other_main(void *unused)
{
    (void)unused;
    is_other = true;
    for (;;) {
        while (sem_wait(&m.asked) != 0) {}
        if (m.over)
            return NULL;
        m.step_status = m.step();
        sem_post(&m.done);
    }
}

static void
yield_hook(void)
{
    if (is_other) {
        if (m.other_counts && ++m.other_yields == m.other_stop_at) {
            sem_post(&m.done);
            while (sem_wait(&m.go_on) != 0) {}
        }
        return;
    }
    if (!m.is_counting || ++m.yields != m.stop_at)
        return;
    m.is_counting = false;
    m.has_met = true;
    if (m.other_counts) {
        sem_post(&m.go_on);
        while (sem_wait(&m.done) != 0) {}
    } else {
        step_ask(m.step);
        assert_status(LK_OK, m.step_status);
    }
    m.is_counting = true;
}

/* ---- what may happen ---- */

static lk_status
push(const char *queue, const char *sk, const char *data)
{
    lk_item item = {.key = kit_key(queue, sk), .data = lk_string(data)};
    return lk_queue_push(m.k.db, &item, 1, NULL, NULL);
}

static lk_status
push_by_commit(const char *first_sk, const char *first, const char *second_sk, const char *second)
{
    lk_write writes[2] = {
        {.kind = LK_PUSH, .item = {kit_key(m.queue, first_sk), lk_string(first), 0}},
        {.kind = LK_PUSH, .item = {kit_key(m.queue, second_sk), lk_string(second), 0}}};
    return lk_commit(m.k.db, writes, second != NULL ? 2 : 1, NULL, 0, NULL);
}

static lk_status
step_plain_then_key(void)
{
    lk_status status = push(m.queue, NULL, "small");
    return status != LK_OK ? status : push(m.queue, "z", "large");
}

static lk_status
step_key_then_key(void)
{
    lk_status status = push(m.queue, "b", "small");
    return status != LK_OK ? status : push(m.queue, "z", "large");
}

static lk_status
step_commit_then_key(void)
{
    lk_status status = push_by_commit(NULL, "small", NULL, NULL);
    return status != LK_OK ? status : push(m.queue, "z", "large");
}

static lk_status
step_one_commit(void)
{
    return push_by_commit("z", "large", NULL, "small");
}

static lk_status
step_one_batch(void)
{
    lk_item items[2] = {{.key = kit_key(m.queue, "z"), .data = lk_string("large")},
                        {.key = kit_key(m.queue, "b"), .data = lk_string("small")}};
    return lk_queue_push(m.k.db, items, 2, NULL, NULL);
}

static lk_status
step_release_then_key(void)
{
    lk_status status = lk_queue_release(m.k.db, &m.claimed.claim, 0);
    return status != LK_OK ? status : push(m.queue, "z", "large");
}

static lk_status
step_release_then_plain(void)
{
    lk_status status = lk_queue_release(m.k.db, &m.claimed.claim, 0);
    return status != LK_OK ? status : push(m.queue, NULL, "large");
}

/* The small one comes as a dead letter. */
static lk_status
step_letter_then_key(void)
{
    lk_pull_options options = {
        .pk = lk_string(m.letters), .max_receives = 1, .dead_pk = lk_string(m.queue)};
    lk_status status = lk_queue_pull(m.k.db, &options, m.its);
    return status != LK_EMPTY ? LK_INVALID : push(m.queue, "z", "large");
}

static void
prepare_nothing(void)
{
}

static void
prepare_claimed(void)
{
    assert_status(LK_OK, push(m.queue, NULL, "small"));
    assert_status(LK_OK, jobs_try_pull(&m.k, m.queue, &m.claimed));
}

static void
prepare_letter(void)
{
    assert_status(LK_OK, push(m.letters, "b", "small"));
    assert_status(LK_OK, jobs_try_pull(&m.k, m.letters, &m.claimed));
    assert_status(LK_OK, lk_queue_release(m.k.db, &m.claimed.claim, 0));
}

/* What lies in the way, and is nothing: expired, and an entry of a job that is gone. */
static void
prepare_expired(void)
{
    jobs_push_expiring(&m.k, m.queue, NULL, "gone", m.k.now_ms + 1);
    jobs_push_expiring(&m.k, m.queue, "a", "gone", m.k.now_ms + 1);
    kit_advance(&m.k, 2);
}

typedef struct happening {
    const char *name;
    void (*prepare)(void);
    lk_status (*step)(void);
    bool halfway; /* it has begun, and stopped at each of its accesses, when the call begins */
} happening;

static void
meeting_name(const char *what, unsigned long i, unsigned long k)
{
    snprintf(m.queue, sizeof m.queue, "%.8s%lu.%lu", what, i, k);
    snprintf(m.letters, sizeof m.letters, "letters%lu.%lu", i, k);
}

/* ---- order ---- */

/* The jobs that are pulled in the meeting and after it. */
static void
order_judge(const char *name, size_t max_jobs, unsigned long i)
{
    bool small = false, large = false;
    for (lk_status status = LK_OK; status == LK_OK;) {
        for (size_t at = 0; at < lk_result_count(m.k.result); at++) {
            const lk_item *item = lk_result_item(m.k.result, at);
            if (kit_bytes_are(item->data, "large") && !small)
                fail_msg("%s, pulls of %zu, stopped at access %lu: the larger came first", name,
                         max_jobs, i);
            small |= kit_bytes_are(item->data, "small");
            large |= kit_bytes_are(item->data, "large");
        }
        lk_pull_options options = {.pk = lk_string(m.queue), .max_jobs = max_jobs};
        status = lk_queue_pull(m.k.db, &options, m.k.result);
    }
    assert_true(small && large);
}

static bool
order_meet(const happening *h, size_t max_jobs, unsigned long at, unsigned long halfway_at)
{
    meeting_name(max_jobs == 1 ? "one" : "some", at, halfway_at);
    lk_pull_options options = {.pk = lk_string(m.queue), .max_jobs = max_jobs};
    h->prepare();
    m.yields = 0;
    m.stop_at = at;
    m.has_met = false;
    m.step = h->step;
    bool is_halfway = false;
    if (h->halfway) {
        m.other_yields = 0;
        m.other_stop_at = halfway_at;
        m.other_counts = true;
        step_ask(h->step);
        is_halfway = m.other_yields == halfway_at;
        m.other_counts = is_halfway;
    }
    m.is_counting = true;
    lk_status status = lk_queue_pull(m.k.db, &options, m.k.result);
    m.is_counting = false;
    if (is_halfway && !m.has_met) {
        sem_post(&m.go_on);
        while (sem_wait(&m.done) != 0) {}
    }
    m.other_counts = false;
    if (!m.has_met && !h->halfway)
        return false;
    assert_true(status == LK_OK || status == LK_EMPTY);
    if (status == LK_EMPTY) /* the first thing afterwards */
        status = lk_queue_pull(m.k.db, &options, m.k.result);
    assert_status(LK_OK, status);
    order_judge(h->name, max_jobs, at);
    return m.has_met && (!h->halfway || is_halfway);
}

static void
order_check(void **state)
{
    const happening *h = *state;
    unsigned long met = 0, halfway = 1;
    for (bool more = true; more; halfway++) {
        more = false;
        for (unsigned long at = 1; at < POINTS_MAX; at++)
            for (size_t max_jobs = 1; max_jobs <= 3; max_jobs += 2) {
                bool has_met = order_meet(h, max_jobs, at, halfway);
                met += has_met;
                more |= has_met && h->halfway;
                if (!has_met && max_jobs == 3)
                    at = POINTS_MAX;
            }
    }
    print_message("%s: %lu meetings\n", h->name, met);
}

static const happening happenings[] = {
    {"plain_then_key", prepare_nothing, step_plain_then_key, false},
    {"plain_then_key_behind_expired", prepare_expired, step_plain_then_key, false},
    {"key_then_key", prepare_nothing, step_key_then_key, false},
    {"key_then_key_behind_expired", prepare_expired, step_key_then_key, false},
    {"commit_then_key", prepare_nothing, step_commit_then_key, false},
    {"commit_of_both", prepare_nothing, step_one_commit, false},
    {"release_then_key", prepare_claimed, step_release_then_key, false},
    {"release_then_plain", prepare_claimed, step_release_then_plain, false},
    {"letter_then_key", prepare_letter, step_letter_then_key, false},
    {"commit_of_both_halfway", prepare_nothing, step_one_commit, true},
    {"batch_of_both_halfway", prepare_nothing, step_one_batch, true},
};

/* ---- by key, while the queue comes ---- */

static lk_status
step_push_key(void)
{
    return push(m.queue, "k", "job");
}

static lk_status
step_commit_key(void)
{
    return push_by_commit("k", "job", NULL, NULL);
}

/* The queue was idle: it goes, and comes anew. */
static lk_status
step_anew(void)
{
    size_t swept;
    lk_status status = lk_sweep(m.k.db, 0, &swept);
    return status != LK_OK ? status : push(m.queue, "k", "job");
}

static void
prepare_idle(void)
{
    jobs_push(&m.k, m.queue, "k", "older");
    assert_status(LK_OK, jobs_try_pull(&m.k, m.queue, &m.claimed));
    lk_claim by_key = {.key = kit_key(m.queue, "k")};
    assert_status(LK_OK, lk_queue_acknowledge(m.k.db, &by_key, 1));
    kit_sweep(&m.k);
    kit_advance(&m.k, IDLE_MS);
}

static lk_status
call_release(void)
{
    lk_claim claim = {.key = kit_key(m.queue, "k")};
    return lk_queue_release(m.k.db, &claim, 0);
}

static lk_status
call_acknowledge(void)
{
    lk_claim claim = {.key = kit_key(m.queue, "k")};
    return lk_queue_acknowledge(m.k.db, &claim, 1);
}

static lk_status
call_commit(void)
{
    lk_claim claim = {.key = kit_key(m.queue, "k")};
    lk_write write = {.kind = LK_ACKNOWLEDGE, .claim = &claim};
    return lk_commit(m.k.db, &write, 1, NULL, 0, NULL);
}

typedef struct by_key {
    const char *name;
    lk_status (*call)(void);
    bool ends;
    happening meanwhile;
} by_key;

static const by_key by_keys[] = {
    {"release_while_pushed", call_release, false, {"r", prepare_nothing, step_push_key, false}},
    {"release_while_committed",
     call_release,
     false,
     {"c", prepare_nothing, step_commit_key, false}},
    {"release_while_anew", call_release, false, {"a", prepare_idle, step_anew, false}},
    {"acknowledge_while_pushed",
     call_acknowledge,
     true,
     {"p", prepare_nothing, step_push_key, false}},
    {"acknowledge_while_anew", call_acknowledge, true, {"n", prepare_idle, step_anew, false}},
    {"commit_while_pushed", call_commit, true, {"o", prepare_nothing, step_push_key, false}},
    {"commit_while_anew", call_commit, true, {"w", prepare_idle, step_anew, false}},
};

static void
by_key_check(void **state)
{
    const by_key *b = *state;
    unsigned long met = 0, done = 0;
    for (unsigned long at = 1; at < POINTS_MAX; at++) {
        meeting_name(b->meanwhile.name, at, 0);
        b->meanwhile.prepare();
        m.yields = 0;
        m.stop_at = at;
        m.has_met = false;
        m.step = b->meanwhile.step;
        m.is_counting = true;
        lk_status status = b->call();
        m.is_counting = false;
        if (!m.has_met)
            break;
        met++;
        done += status == LK_OK;
        if (status != LK_OK && status != LK_LOST)
            fail_msg("%s, stopped at access %lu: %s", b->name, at, lk_status_string(status));
        if (status == LK_OK && b->ends)
            assert_empty(&m.k, m.queue);
        else
            assert_pull(&m.k, m.queue, "job", NULL);
        assert_empty(&m.k, m.queue);
    }
    assert_true(met > 0);
    print_message("%s: %lu meetings, %lu times the job was found\n", b->name, met, done);
}

/* ---- batches in which some jobs have an sk ---- */

/* Keys and segments that they need are there before: a stopped push holds no latch then. */
enum { MIXED = 20, BEFORE = 20 };

/* Their data are "0", "1", ...; those at every third position have an sk. */
static lk_status
mixed_push(size_t keyed_at)
{
    static char data[MIXED][4], sk[MIXED][8];
    lk_item items[MIXED];
    for (size_t i = 0; i < MIXED; i++) {
        bool keyed = i % 3 == keyed_at;
        snprintf(data[i], sizeof data[i], "%zu", i);
        snprintf(sk[i], sizeof sk[i], "own%zu", i);
        items[i] = (lk_item){.key = kit_key(m.queue, NULL), .data = lk_string(data[i])};
        if (keyed)
            items[i].key.sk = lk_string(sk[i]);
    }
    return lk_queue_push(m.k.db, items, MIXED, NULL, NULL);
}

static lk_status
step_singles(void)
{
    lk_status status = push(m.queue, NULL, "other");
    for (int i = 0; status == LK_OK && i < 3; i++) /* the cells of the stopped batch among them */
        status = push(m.queue, i == 0 ? "own0" : i == 1 ? "own1" : "own2", "replaced");
    return status != LK_OK ? status : push(m.queue, NULL, "other");
}

static void
keys_make(void)
{
    for (int i = 0; i < MIXED; i++) {
        char sk[8];
        snprintf(sk, sizeof sk, "own%d", i);
        assert_status(LK_OK, push(m.queue, sk, "other"));
    }
}

static void
mixed_judge(size_t keyed_at, unsigned long at)
{
    lk_query query = {.pk = lk_string(m.queue), .sk_prefix = lk_string("0")};
    assert_status(LK_OK, lk_query_items(m.k.db, &query, m.k.result));
    size_t next = 0, seen = 0;
    for (size_t i = 0; i < lk_result_count(m.k.result); i++) {
        const lk_item *item = lk_result_item(m.k.result, i);
        char wanted[4];
        next += next % 3 == keyed_at;
        snprintf(wanted, sizeof wanted, "%zu", next);
        if (kit_bytes_are(item->data, "other") && seen == 0)
            continue;
        if (kit_bytes_are(item->data, "other")) {
            assert_true(next >= MIXED);
            continue;
        }
        if (!kit_bytes_are(item->data, wanted))
            fail_msg("stopped at access %lu: not contiguous at %zu", at, next);
        next++;
        seen++;
    }
    assert_true(next + (next % 3 == keyed_at) >= MIXED);
}

static void
mixed_check(void **state)
{
    (void)state;
    unsigned long met = 0;
    for (size_t keyed_at = 0; keyed_at < 3; keyed_at++)
        for (unsigned long at = 1;; at++, met++) {
            meeting_name("mixed", at, keyed_at);
            m.yields = 0;
            m.stop_at = at;
            m.has_met = false;
            m.step = step_singles;
            for (size_t i = 0; i < BEFORE; i++)
                assert_status(LK_OK, push(m.queue, NULL, "other"));
            keys_make();
            m.is_counting = true;
            lk_status status = mixed_push(keyed_at);
            m.is_counting = false;
            assert_status(LK_OK, status);
            mixed_judge(keyed_at, at);
            if (!m.has_met)
                break;
        }
    print_message("mixed batches: %lu meetings\n", met);
}

/* ---- two pushes, and room for one job ---- */

static lk_status
push_to_one(const char *sk)
{
    lk_item item = {.key = kit_key(m.queue, sk), .data = lk_string("x")};
    lk_push_options options = {.max_depth = 1};
    lk_status status = lk_queue_push(m.k.db, &item, 1, &options, NULL);
    return status == LK_BUSY ? LK_OK : status;
}

static lk_status
step_plain_to_one(void)
{
    return push_to_one(NULL);
}

static lk_status
step_key_to_one(void)
{
    return push_to_one("k");
}

static void
depth_check(void **state)
{
    (void)state;
    unsigned long met = 0;
    for (int way = 0; way < 4; way++)
        for (unsigned long at = 1;; at++, met++) {
            meeting_name("depth", at, (size_t)way);
            m.yields = 0;
            m.stop_at = at;
            m.has_met = false;
            m.step = way % 2 == 0 ? step_key_to_one : step_plain_to_one;
            /* The segment, and the cells of the keys, are there: a stopped push holds no latch. */
            assert_status(LK_OK, push(m.queue, NULL, "before"));
            assert_status(LK_OK, lk_queue_purge(m.k.db, lk_string(m.queue), NULL));
            kit_set(&m.k, m.queue, "k", "item");
            kit_set(&m.k, m.queue, "l", "item");
            m.is_counting = true;
            lk_status status = push_to_one(way < 2 ? NULL : "l");
            m.is_counting = false;
            assert_status(LK_OK, status);
            lk_queue_statistics s = jobs_statistics(&m.k, m.queue);
            if (s.ready > 1)
                fail_msg("way %d, stopped at access %lu: %d jobs", way, at, (int)s.ready);
            assert_status(LK_OK, lk_queue_purge(m.k.db, lk_string(m.queue), NULL));
            lk_push_options one = {.max_depth = 1}; /* what was refused counts for nothing */
            assert_status(LK_OK, jobs_try_push(&m.k, m.queue, NULL, "x", &one));
            if (!m.has_met)
                break;
        }
    print_message("room for one: %lu meetings\n", met);
}

/* ---- */

static int
setup(void **state)
{
    (void)state;
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    kit_open(&m.k, &options);
    m.its = lk_result_new();
    m.over = m.is_counting = m.other_counts = false;
    sem_init(&m.asked, 0, 0);
    sem_init(&m.done, 0, 0);
    sem_init(&m.go_on, 0, 0);
    if (m.its == NULL || pthread_create(&m.other, NULL, other_main, NULL) != 0)
        return -1;
    lki_yield_hook = yield_hook;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    lki_yield_hook = NULL;
    m.over = true;
    sem_post(&m.asked);
    pthread_join(m.other, NULL);
    lk_result_free(m.its);
    kit_close(&m.k);
    return 0;
}

int
main(void)
{
    enum { ORDERS = KIT_COUNT(happenings), KEYS = KIT_COUNT(by_keys) };
    struct CMUnitTest tests[ORDERS + KEYS + 2];
    for (size_t i = 0; i < ORDERS; i++)
        tests[i] = (struct CMUnitTest){happenings[i].name, order_check, setup, teardown,
                                       (void *)(uintptr_t)&happenings[i]};
    for (size_t i = 0; i < KEYS; i++)
        tests[ORDERS + i] = (struct CMUnitTest){by_keys[i].name, by_key_check, setup, teardown,
                                                (void *)(uintptr_t)&by_keys[i]};
    tests[ORDERS + KEYS] =
        (struct CMUnitTest){"mixed_batch_is_contiguous", mixed_check, setup, teardown, NULL};
    tests[ORDERS + KEYS + 1] =
        (struct CMUnitTest){"no_more_than_max_depth", depth_check, setup, teardown, NULL};
    return cmocka_run_group_tests_name("hooked_meetings", tests, NULL, NULL);
}
