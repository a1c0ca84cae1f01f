/* SPDX-License-Identifier: MIT
 *
 * A thread that stops inside a queue call holds up nobody. For each call and each n, a thread makes the call and stops at its n-th
 * access to a shared word. Meanwhile the main thread makes all the others on the same queue, and none that wants a latch. Each has to
 * end within so many accesses; all jobs that are not in the stopped thread's hands are pulled, in order; what is in its hands comes
 * back once its time is over. Then the call goes on, and ends as some order of all calls would have it; each job has ended once.
 *
 * In four companies: others that leave its jobs alone as far as they can, others whose clock runs on until its claims have lapsed,
 * others that lock and set its very jobs, others that purge the queue.
 */
#include "support/jobs.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include "base/atomic.h"

enum {
    NUMBERS = 32,
    NUMBER_ITS = 24, /* of the first job that the stopped thread pushes */
    BATCH = 8,
    YIELDS_MAX = 3000,
    HANG_SECONDS = 30,
    LAPSE_MS = JOB_VISIBILITY_MS + 1000,
    RECHECK_MS = 250,
    PULLS_MAX = 5
};

enum company { BESIDE, LAPSE, MEDDLE, PURGE, COMPANIES };
static const char *const company_names[COMPANIES] = {"beside", "lapse", "meddle", "purge"};

#define BIT(status) (1U << (status))
#define HOLDER (BIT(LK_OK) | BIT(LK_LATE) | BIT(LK_LOST))

typedef struct operation {
    const char *name;
    void (*prepare)(void);
    lk_status (*run)(void);
    lk_status alone;   /* its status where nobody was at its jobs */
    unsigned together; /* and where somebody was */
    size_t hands;      /* the jobs from 0 on that it is about */
    bool ends, pulls;  /* it takes job 0 out; it claims jobs */
    size_t adds;
} operation;

typedef struct entry {
    job claim; /* of the main thread */
    bool held, known, present;
    unsigned pulled, ended;
} entry;

static struct {
    kit k;
    const operation *op;
    enum company company;
    unsigned long stop_at; /* yield of the thread that is stopped */
    sem_t stopped, go_on;
    pthread_t worker;
    bool at_work;
    entry jobs[NUMBERS];
    size_t count; /* pushed by the main thread */
    lk_result *its;
    job mine; /* claimed for the operation */
    lk_status status;
    unsigned long most; /* yields of one call of the main thread */
    int again;          /* most looks that a lapse took */
} test;

static __thread bool is_worker;
static __thread unsigned long yields;
static _Atomic(bool) counting;
static char where[200];

static void
where_write(void)
{
    ssize_t ignored = write(2, where, strlen(where));
    (void)ignored;
}

static void
give_up(int signal)
{
    (void)signal;
    where_write();
    _exit(1);
}

static void
yield_hook(void)
{
    yields++;
    if (is_worker && yields == test.stop_at) {
        sem_post(&test.stopped);
        while (sem_wait(&test.go_on) != 0) {}
    }
    if (counting && !is_worker && yields > YIELDS_MAX)
        give_up(0);
}

/* A call of the main thread: its accesses are counted anew. */
#define STEP(call) (step_begin(), step_end(call))

static void
step_begin(void)
{
    yields = 0;
}

static lk_status
step_end(lk_status status)
{
    if (counting && yields > test.most)
        test.most = yields;
    return status;
}

static lk_bytes
text_of(size_t number)
{
    static __thread char text[4][16];
    static __thread unsigned next;
    char *to = text[next++ % 4];
    snprintf(to, sizeof text[0], "%08zu", number);
    return lk_string(to);
}

/* ---- what the main thread does ---- */

static void
push(const char *sk)
{
    assert_true(test.count < NUMBER_ITS);
    lk_item item = {.key = lk_key_of("q", sk), .data = text_of(test.count)};
    assert_status(LK_OK, STEP(lk_queue_push(test.k.db, &item, 1, NULL, NULL)));
    test.jobs[test.count++].known = true;
}

static void
push_plain(size_t count)
{
    for (size_t i = 0; i < count; i++)
        push(NULL);
}

/* One pull; false: nothing there. A job has one holder. */
static bool
pull(size_t *number)
{
    lk_pull_options options = {.pk = lk_string("q"), .visibility_ms = JOB_VISIBILITY_MS};
    lk_status status = STEP(lk_queue_pull(test.k.db, &options, test.k.result));
    if (status == LK_EMPTY)
        return false;
    assert_int_equal(status, LK_OK);
    *number = job_number(lk_result_item(test.k.result, 0));
    assert_true(*number < NUMBERS);
    entry *e = &test.jobs[*number];
    assert_true(!e->held || e->claim.claim.deadline_ms < test.k.monotonic_ms);
    assert_int_equal(e->ended, 0);
    job_keep(&e->claim, test.k.result, 0);
    e->held = true;
    e->pulled++;
    return true;
}

/* All that is visible, in order. */
static void
pull_all(void)
{
    char last[JOB_ROOM] = "";
    for (size_t number; pull(&number);) {
        assert_true(strcmp(last, test.jobs[number].claim.sk) < 0);
        memcpy(last, test.jobs[number].claim.sk, sizeof last);
    }
}

static void
ended(entry *e)
{
    assert_int_equal(e->ended, 0);
    e->ended = 1;
    e->held = false;
}

static void
acknowledge(entry *e)
{
    assert_status(LK_OK, STEP(lk_queue_acknowledge(test.k.db, &e->claim.claim, 1)));
    ended(e);
    assert_status(LK_LOST, STEP(lk_queue_acknowledge(test.k.db, &e->claim.claim, 1)));
}

static void
acknowledge_all(void)
{
    for (size_t i = 0; i < NUMBERS; i++)
        if (test.jobs[i].held)
            acknowledge(&test.jobs[i]);
}

static void
acknowledge_in_commit(entry *e)
{
    lk_write writes[] = {{.kind = LK_ACKNOWLEDGE, .claim = &e->claim.claim},
                         {.kind = LK_PUT, .item = kit_item("items", "b", "new")},
                         {.kind = LK_PUSH, .item = kit_item("mail", "n", "new")}};
    assert_status(LK_OK, STEP(lk_commit(test.k.db, writes, 3, NULL, 0, NULL)));
    assert_true(kit_holds(&test.k, kit_key("items", "b"), "new"));
    ended(e);
}

static void
lock_and_set(lk_key key, size_t number)
{
    lk_lock lock;
    lk_item item = {.key = key, .data = text_of(number)};
    assert_status(LK_OK, STEP(lk_get_lock(test.k.db, key, &lock)));
    assert_status(LK_OK, STEP(lk_set(test.k.db, &item, 1)));
    assert_status(LK_OK, STEP(lk_get_lock(test.k.db, key, &lock)));
    assert_status(LK_OK, STEP(lk_set_atomic(test.k.db, &item, 1, &lock, 1, NULL)));
}

/* Each kind of thing that a holder does, to one job or another. */
static void
work_on(size_t number, unsigned kind)
{
    entry *e = &test.jobs[number];
    lk_claim *claim = &e->claim.claim;
    switch (kind % 7) {
    case 0:
        assert_status(LK_OK, STEP(lk_queue_extend(test.k.db, claim, JOB_VISIBILITY_MS + 10)));
        acknowledge(e);
        break;
    case 1:
        assert_status(LK_OK, STEP(lk_queue_release(test.k.db, claim, 0)));
        e->held = false;
        break;
    case 2:
        acknowledge_in_commit(e);
        break;
    case 3:
        lock_and_set(claim->key, number); /* and keep it */
        break;
    case 4:
        assert_status(LK_OK, STEP(lk_delete(test.k.db, &claim->key, 1)));
        ended(e);
        assert_status(LK_LOST, STEP(lk_queue_extend(test.k.db, claim, JOB_VISIBILITY_MS)));
        break;
    case 5:
        assert_status(LK_OK, STEP(lk_queue_release(test.k.db, claim, 10)));
        e->held = false;
        break;
    default:
        assert_status(LK_OK, STEP(lk_queue_extend(test.k.db, claim, 10)));
        break;
    }
}

/* ---- what there is ---- */

static bool
is_in_hands(size_t number)
{
    return number < test.op->hands;
}

/* Who is there, by a query. */
static size_t
query_present(void)
{
    lk_query query = {.pk = lk_string("q")};
    for (size_t i = 0; i < NUMBERS; i++)
        test.jobs[i].present = false;
    assert_status(LK_OK, STEP(lk_query_items(test.k.db, &query, test.k.result)));
    size_t count = lk_result_count(test.k.result);
    for (size_t i = 0; i < count; i++) {
        size_t number = job_number(lk_result_item(test.k.result, i));
        assert_true(number < NUMBERS && !test.jobs[number].present);
        test.jobs[number].present = true;
    }
    return count;
}

/* The statistics, and who is there: what they have counted stays. */
static size_t
census(void)
{
    lk_queue_statistics stats;
    assert_status(LK_OK, STEP(lk_queue_stats(test.k.db, lk_string("q"), &stats)));
    size_t count = query_present();
    assert_int_equal(stats.ready + stats.claimed + stats.delayed, count);
    for (size_t i = 0; i < NUMBERS; i++) {
        const entry *e = &test.jobs[i];
        bool doubtful = test.at_work && test.op->ends && is_in_hands(i);
        assert_true(e->ended == 0 || !e->present);
        assert_true(e->ended != 0 || e->present || !(e->known || e->held) ||
                    (doubtful && !e->held));
    }
    return count;
}

/* Pulls until it holds all that are there; what lapses may have to be looked for again. */
static void
pull_until_all(void)
{
    for (int looks = 0;; looks++) {
        bool all = true;
        pull_all();
        (void)census();
        for (size_t i = 0; i < NUMBERS; i++) {
            const entry *e = &test.jobs[i];
            all &= !e->present || (e->held && e->claim.claim.deadline_ms >= test.k.monotonic_ms);
        }
        if (looks > test.again)
            test.again = looks;
        if (all)
            return;
        assert_true(looks + 1 < PULLS_MAX);
        kit_advance(&test.k, RECHECK_MS + 1);
    }
}

static void
purge_all(void)
{
    size_t count = census(), purged;
    assert_status(LK_OK, STEP(lk_queue_purge(test.k.db, lk_string("q"), &purged)));
    assert_int_equal(purged, count);
    for (size_t i = 0; i < NUMBERS; i++) {
        test.jobs[i].ended += test.jobs[i].present;
        test.jobs[i].held &= !test.jobs[i].present;
    }
    assert_int_equal(census(), 0);
}

/* ---- the operations ---- */

static void
prepare_plain(void)
{
    push_plain(6);
    push("zz");
}

static void
prepare_keyed(void)
{
    push("!");
    push_plain(5);
    push("zz");
}

/* The first one, for the operation. */
static void
claim_first(void)
{
    jobs_assert_pull(&test.k, "q", "00000000", &test.mine, __FILE__, __LINE__);
    kit_advance(&test.k, 10);
}

static void
prepare_claimed(void)
{
    prepare_plain();
    claim_first();
}

static void
prepare_keyed_claimed(void)
{
    prepare_keyed();
    claim_first();
}

static void
prepare_lapsed(void)
{
    prepare_claimed();
    kit_advance(&test.k, JOB_VISIBILITY_MS);
}

static void
prepare_keyed_lapsed(void)
{
    prepare_keyed_claimed();
    kit_advance(&test.k, JOB_VISIBILITY_MS);
}

static void
prepare_released(void)
{
    prepare_claimed();
    assert_status(LK_OK, lk_queue_release(test.k.db, &test.mine.claim, 0));
}

/* The main thread holds them all. */
static void
prepare_held(void)
{
    prepare_plain();
    pull_all();
}

static void
prepare_many(void)
{
    push_plain(BATCH + 2);
    push("zz");
}

/* Of all kinds: with a key, lapsed, released, never received. */
static void
prepare_mixed(void)
{
    size_t number;
    push("!");
    push_plain(BATCH);
    push("zz");
    for (size_t i = 0; i < 5; i++)
        assert_true(pull(&number));
    kit_advance(&test.k, JOB_VISIBILITY_MS + 1);
    assert_status(LK_LATE, lk_queue_release(test.k.db, &test.jobs[3].claim.claim, 0));
    for (size_t i = 0; i < 5; i++)
        test.jobs[i].held = false;
}

static lk_status
push_its(const char *sk, size_t count, const lk_push_options *options)
{
    lk_item items[3];
    for (size_t i = 0; i < count; i++)
        items[i] = (lk_item){.key = lk_key_of("q", sk), .data = text_of(NUMBER_ITS + i)};
    return lk_queue_push(test.k.db, items, count, options, NULL);
}

static lk_status
run_push(void)
{
    return push_its(NULL, 1, NULL);
}

static lk_status
run_push_three(void)
{
    return push_its(NULL, 3, NULL);
}

static lk_status
run_push_delayed(void)
{
    lk_push_options options = {.delay_ms = 1000};
    return push_its(NULL, 1, &options);
}

/* In the place of job 0. */
static lk_status
run_push_keyed(void)
{
    return push_its("!", 1, NULL);
}

static lk_status
pull_its(size_t max_jobs, uint32_t max_receives)
{
    lk_pull_options options = {.pk = lk_string("q"),
                               .visibility_ms = JOB_VISIBILITY_MS,
                               .max_jobs = max_jobs,
                               .max_receives = max_receives};
    if (max_receives != 0)
        options.dead_pk = lk_string("dead");
    return lk_queue_pull(test.k.db, &options, test.its);
}

static lk_status
run_pull(void)
{
    return pull_its(1, 0);
}

static lk_status
run_pull_batch(void)
{
    return pull_its(BATCH, 0);
}

static lk_status
run_pull_dead(void)
{
    return pull_its(1, 1);
}

static lk_status
run_acknowledge(void)
{
    return lk_queue_acknowledge(test.k.db, &test.mine.claim, 1);
}

static lk_status
run_release(void)
{
    return lk_queue_release(test.k.db, &test.mine.claim, 0);
}

static lk_status
run_release_delayed(void)
{
    return lk_queue_release(test.k.db, &test.mine.claim, 1000);
}

static lk_status
run_extend(void)
{
    return lk_queue_extend(test.k.db, &test.mine.claim, JOB_VISIBILITY_MS);
}

static lk_status
run_extend_shorter(void)
{
    return lk_queue_extend(test.k.db, &test.mine.claim, 1000);
}

static lk_status
run_commit(void)
{
    lk_write writes[] = {{.kind = LK_ACKNOWLEDGE, .claim = &test.mine.claim},
                         {.kind = LK_PUT, .item = kit_item("items", "a", "new")},
                         {.kind = LK_PUSH, .item = kit_item("mail", "m", "new")}};
    return lk_commit(test.k.db, writes, 3, NULL, 0, NULL);
}

/* With a job that has no sk, into the same queue. */
static lk_status
run_commit_push(void)
{
    lk_item item = {.key = lk_key_of("q", NULL), .data = text_of(NUMBER_ITS)};
    lk_write writes[] = {{.kind = LK_ACKNOWLEDGE, .claim = &test.mine.claim},
                         {.kind = LK_PUT, .item = kit_item("items", "a", "new")},
                         {.kind = LK_PUSH, .item = item}};
    return lk_commit(test.k.db, writes, 3, NULL, 0, NULL);
}

static lk_status
run_get_lock(void)
{
    lk_lock lock;
    return lk_get_lock(test.k.db, test.mine.claim.key, &lock);
}

static lk_status
run_set(void)
{
    lk_item item = {.key = test.mine.claim.key, .data = text_of(0)};
    return lk_set(test.k.db, &item, 1);
}

static lk_status
run_delete(void)
{
    return lk_delete(test.k.db, &test.mine.claim.key, 1);
}

/* ---- the companies ---- */

/* Of a commit all or nothing is seen. */
static void
commit_look(void)
{
    lk_key keys[] = {test.mine.claim.key, kit_key("items", "a"), kit_key("mail", "m")};
    if (test.op->run != run_commit && test.op->run != run_commit_push)
        return;
    assert_status(LK_OK, STEP(lk_get_many(test.k.db, keys, 3, test.k.result)));
    bool done = kit_bytes_are(lk_result_item(test.k.result, 1)->data, "new");
    assert_int_equal(done, lk_result_item(test.k.result, 0) == NULL);
    if (test.op->run == run_commit)
        assert_int_equal(done, kit_bytes_are(lk_result_item(test.k.result, 2)->data, "new"));
}

/* What is in the stopped thread's hands is made to be something else, as far as it is there. */
static void
meddle(void)
{
    lk_query query = {.pk = lk_string("q")};
    lk_result *all = lk_result_new();
    assert_non_null(all);
    assert_status(LK_OK, STEP(lk_query_items(test.k.db, &query, all)));
    for (size_t i = 0; i < lk_result_count(all); i++) {
        const lk_item *item = lk_result_item(all, i);
        size_t number = job_number(item);
        if (is_in_hands(number) || number >= NUMBER_ITS)
            lock_and_set(item->key, number);
    }
    lk_result_free(all);
}

/* What one kind of read has seen the others see too. */
static void
reads_agree(void)
{
    if (test.mine.claim.token == 0)
        return;
    lk_status status = STEP(lk_get(test.k.db, test.mine.claim.key, test.k.result));
    assert_true(status == LK_OK || status == LK_NOT_FOUND);
    if (status == LK_OK)
        assert_int_equal(job_number(lk_result_item(test.k.result, 0)), 0);
    (void)query_present();
    assert_int_equal(test.jobs[0].present, status == LK_OK);
}

static void
others_work(void)
{
    commit_look();
    if (test.company % 2 == 0)
        reads_agree();
    (void)census();
    if (test.company == MEDDLE)
        meddle();
    if (test.company == PURGE)
        purge_all();
    pull_all();
    for (size_t i = 0; i < test.count; i++) {
        const entry *e = &test.jobs[i];
        assert_true(e->held || e->ended != 0 || is_in_hands(i));
        if (e->held)
            work_on(i, (unsigned)(i + test.stop_at));
    }
    push(NULL);
    pull_all();
    assert_true(test.jobs[test.count - 1].held);
    (void)census();
    if (test.company != BESIDE) {
        kit_advance(&test.k, LAPSE_MS);
        pull_until_all();
    } else {
        kit_advance(&test.k, 11);
        pull_all();
    }
    acknowledge_all();
    for (size_t i = 0; i < test.count; i++)
        assert_true(test.jobs[i].ended != 0 || is_in_hands(i));
    push(NULL); /* which is left */
    (void)census();
}

/* ---- what the operation has done ---- */

static void
its_jobs_judge(void)
{
    for (size_t i = 0; test.op->pulls && test.status == LK_OK && i < lk_result_count(test.its);
         i++) {
        job j;
        job_keep(&j, test.its, i);
        entry *e = &test.jobs[job_number(lk_result_item(test.its, i))];
        lk_status status = lk_queue_acknowledge(test.k.db, &j.claim, 1);
        assert_true((HOLDER & BIT(status)) != 0);
        /* Lost only to somebody who had it after. */
        if (status == LK_LOST)
            assert_true(e->pulled != 0 || e->ended != 0);
        else
            ended(e);
    }
}

static void
status_judge(void)
{
    const operation *op = test.op;
    bool alone = test.company == BESIDE && !op->pulls;
    unsigned bits = alone ? BIT(op->alone) : BIT(op->alone) | op->together;
    assert_true(test.status >= LK_OK);
    assert_true((bits & BIT(test.status)) != 0);
    bool done = test.status == LK_OK || test.status == LK_LATE;
    if (op->run == run_delete || op->run == run_push_keyed) {
        test.jobs[0].ended = 1; /* by it, or before */
        test.jobs[0].held = false;
    } else if (op->ends && done && !op->pulls) {
        ended(&test.jobs[0]);
    }
    for (size_t i = 0; done && i < op->adds; i++)
        test.jobs[NUMBER_ITS + i].known = true;
    if (op->run == run_set && test.jobs[0].ended != 0) /* perhaps an item, and no job */
        assert_status(LK_OK, lk_delete(test.k.db, &test.mine.claim.key, 1));
    its_jobs_judge();
    bool committed = (op->run == run_commit || op->run == run_commit_push) && done;
    assert_true(kit_holds(&test.k, kit_key("items", "a"), committed ? "new" : "old"));
    assert_true(kit_holds(&test.k, kit_key("mail", "m"),
                          committed && op->run == run_commit ? "new" : "old"));
}

/* Nothing is lost, and nothing ends twice. */
static void
end_judge(void)
{
    size_t purged;
    assert_status(LK_OK, lk_queue_purge(test.k.db, lk_string("dead"), &purged));
    test.jobs[0].ended += (unsigned)purged;
    (void)census();
    if (test.stop_at % 2 == 0) {
        purge_all();
    } else {
        kit_advance(&test.k, LAPSE_MS);
        pull_until_all();
        acknowledge_all();
    }
    for (size_t i = 0; i < NUMBERS; i++)
        assert_int_equal(test.jobs[i].ended, test.jobs[i].known);
    assert_int_equal(census(), 0);
    assert_status(LK_OK, lk_queue_purge(test.k.db, lk_string("mail"), &purged));
    assert_int_equal(purged, 2);
}

/* ---- one point ---- */

static void *
worker_main(void *unused)
{
    (void)unused;
    lk_status status = lk_get(test.k.db, kit_key("items", "a"), test.its); /* attached by it */
    yields = 0;
    is_worker = true;
    test.status = status == LK_OK ? test.op->run() : status;
    is_worker = false;
    sem_post(&test.stopped);
    return NULL;
}

static void
point_open(const operation *op, enum company company, unsigned long n)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.shards = 2;
    kit_open(&test.k, &options);
    memset(test.jobs, 0, sizeof test.jobs);
    memset(&test.mine, 0, sizeof test.mine);
    test.count = 0;
    test.op = op;
    test.company = company;
    test.stop_at = n;
    test.its = lk_result_new();
    assert_non_null(test.its);
    kit_set(&test.k, "items", "a", "old");
    kit_set(&test.k, "items", "b", "old");
    jobs_push(&test.k, "mail", "m", "old");
    jobs_push(&test.k, "mail", "n", "old");
    op->prepare();
}

static void
worker_join(void)
{
    counting = false;
    sem_post(&test.go_on);
    pthread_join(test.worker, NULL);
    test.at_work = false;
}

/* True: the operation ended before its n-th yield. */
static bool
point_run(const operation *op, enum company company, unsigned long n)
{
    snprintf(where, sizeof where, "hooked_queue: %s stopped at its yield %lu, company \"%s\"\n",
             op->name, n, company_names[company]);
    alarm(HANG_SECONDS);
    point_open(op, company, n);
    sem_init(&test.stopped, 0, 0);
    sem_init(&test.go_on, 0, 0);
    lki_yield_hook = yield_hook;
    assert_int_equal(pthread_create(&test.worker, NULL, worker_main, NULL), 0);
    test.at_work = true;
    sem_wait(&test.stopped);
    counting = true;
    others_work();
    worker_join();
    bool over = sem_trywait(&test.stopped) != 0; /* posted once: it was never stopped */
    lki_yield_hook = NULL;
    status_judge();
    end_judge();
    lk_result_free(test.its);
    kit_close(&test.k);
    alarm(0);
    return over;
}

static int
teardown(void **state)
{
    (void)state;
    if (where[0] == '\0')
        return 0;
    where_write(); /* it has failed there */
    if (test.at_work)
        worker_join();
    lki_yield_hook = NULL;
    alarm(0);
    return 0;
}

static void
operation_check(const operation *op)
{
    unsigned long n = 1;
    test.most = 0;
    test.again = 0;
    signal(SIGALRM, give_up);
    signal(SIGABRT, give_up);
    for (bool over = false; !over; n++)
        for (int company = 0; company < COMPANIES; company++)
            over = point_run(op, (enum company)company, n);
    print_message("%s: stopped at %lu points; others: at most %lu accesses, %d looks again\n",
                  op->name, n - 2, test.most, test.again);
    where[0] = '\0';
}

#define OPERATION_TEST(title, ...)                                      \
    static void test_queue_##title##_stopped_others_go_on(void **state) \
    {                                                                   \
        static const operation op = {.name = #title, __VA_ARGS__};      \
        (void)state;                                                    \
        operation_check(&op);                                           \
    }

#define HOLDS .hands = 1, .alone = LK_OK, .together = HOLDER
#define PULLS .alone = LK_OK, .together = BIT(LK_EMPTY), .pulls = true

OPERATION_TEST(push, .prepare = prepare_plain, .run = run_push, .adds = 1)
OPERATION_TEST(push_three, .prepare = prepare_plain, .run = run_push_three, .adds = 3)
OPERATION_TEST(push_delayed, .prepare = prepare_plain, .run = run_push_delayed, .adds = 1)
OPERATION_TEST(push_keyed, .prepare = prepare_keyed, .run = run_push_keyed, .hands = 1,
               .ends = true, .adds = 1)
OPERATION_TEST(pull_front, .prepare = prepare_plain, .run = run_pull, .hands = 1, PULLS)
OPERATION_TEST(pull_keyed, .prepare = prepare_keyed, .run = run_pull, .hands = 1, PULLS)
OPERATION_TEST(pull_lapsed, .prepare = prepare_lapsed, .run = run_pull, .hands = 1, PULLS)
OPERATION_TEST(pull_keyed_lapsed, .prepare = prepare_keyed_lapsed, .run = run_pull, .hands = 1,
               PULLS)
OPERATION_TEST(pull_released, .prepare = prepare_released, .run = run_pull, .hands = 1, PULLS)
OPERATION_TEST(pull_empty, .prepare = prepare_held, .run = run_pull, PULLS)
OPERATION_TEST(pull_batch, .prepare = prepare_many, .run = run_pull_batch, .hands = BATCH, PULLS)
OPERATION_TEST(pull_mixed, .prepare = prepare_mixed, .run = run_pull_batch, .hands = BATCH, PULLS)
OPERATION_TEST(pull_dead, .prepare = prepare_lapsed, .run = run_pull_dead, .hands = 2, .ends = true,
               PULLS)
OPERATION_TEST(acknowledge, .prepare = prepare_claimed, .run = run_acknowledge, HOLDS, .ends = true)
OPERATION_TEST(acknowledge_keyed, .prepare = prepare_keyed_claimed, .run = run_acknowledge, HOLDS,
               .ends = true)
OPERATION_TEST(release, .prepare = prepare_claimed, .run = run_release, HOLDS)
OPERATION_TEST(release_keyed, .prepare = prepare_keyed_claimed, .run = run_release, HOLDS)
OPERATION_TEST(release_delayed, .prepare = prepare_claimed, .run = run_release_delayed, HOLDS)
OPERATION_TEST(release_keyed_delayed, .prepare = prepare_keyed_claimed, .run = run_release_delayed,
               HOLDS)
OPERATION_TEST(extend, .prepare = prepare_claimed, .run = run_extend, HOLDS)
OPERATION_TEST(extend_shorter, .prepare = prepare_claimed, .run = run_extend_shorter, HOLDS)
OPERATION_TEST(extend_keyed, .prepare = prepare_keyed_claimed, .run = run_extend, HOLDS)
OPERATION_TEST(commit, .prepare = prepare_claimed, .run = run_commit, HOLDS, .ends = true)
OPERATION_TEST(commit_keyed, .prepare = prepare_keyed_claimed, .run = run_commit, HOLDS,
               .ends = true)
OPERATION_TEST(commit_push, .prepare = prepare_claimed, .run = run_commit_push, HOLDS, .ends = true,
               .adds = 1)
OPERATION_TEST(get_lock, .prepare = prepare_claimed, .run = run_get_lock, .hands = 1)
OPERATION_TEST(set, .prepare = prepare_claimed, .run = run_set, .hands = 1)
OPERATION_TEST(delete, .prepare = prepare_claimed, .run = run_delete, .hands = 1, .ends = true)
OPERATION_TEST(delete_keyed, .prepare = prepare_keyed_claimed, .run = run_delete, .hands = 1,
               .ends = true)

#define RUN(title) cmocka_unit_test_teardown(test_queue_##title##_stopped_others_go_on, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(push),
        RUN(push_three),
        RUN(push_delayed),
        RUN(push_keyed),
        RUN(pull_front),
        RUN(pull_keyed),
        RUN(pull_lapsed),
        RUN(pull_keyed_lapsed),
        RUN(pull_released),
        RUN(pull_empty),
        RUN(pull_batch),
        RUN(pull_mixed),
        RUN(pull_dead),
        RUN(acknowledge),
        RUN(acknowledge_keyed),
        RUN(release),
        RUN(release_keyed),
        RUN(release_delayed),
        RUN(release_keyed_delayed),
        RUN(extend),
        RUN(extend_shorter),
        RUN(extend_keyed),
        RUN(commit),
        RUN(commit_keyed),
        RUN(commit_push),
        RUN(get_lock),
        RUN(set),
        RUN(delete),
        RUN(delete_keyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
