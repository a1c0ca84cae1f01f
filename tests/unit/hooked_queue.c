/* SPDX-License-Identifier: MIT
 *
 * A thread that stops inside a queue call holds up nobody. For each call and each n, a thread makes
 * the call and stops at its n-th access to a shared word. Meanwhile the main thread makes all the
 * others on the same queue, and none that wants a latch. Each has to end within so many accesses;
 * all jobs that are not in the stopped thread's hands are pulled, in order; what is in its hands
 * comes back once its time is over. Then the call goes on, and ends as some order of all calls
 * would have it; each job has ended once.
 *
 * In five companies: others that leave its jobs alone as far as they can, others whose clock runs
 * on until its claims have lapsed, others that lock and set its very jobs, others that purge the
 * queue; and others that look for what is due at its n-th access, before it goes on to the next one
 * and stops there.
 */
#include "support/stopped_rig.h"

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
    lk_pull_options options = {.pk = lk_string("q"), .visibility_ms = SHORT_MS};
    assert_status(LK_OK, lk_queue_pull(test.k.db, &options, test.k.result));
    lkc_job_keep(&test.mine, test.k.result, 0);
    assert_string_equal(test.mine.data, "00000000");
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
    kit_advance(&test.k, SHORT_MS);
}

static void
prepare_keyed_lapsed(void)
{
    prepare_keyed_claimed();
    kit_advance(&test.k, SHORT_MS);
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
        assert_true(pull(&number, SHORT_MS));
    kit_advance(&test.k, SHORT_MS + 1);
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
                               .visibility_ms = VISIBILITY_MS,
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
    return lk_queue_extend(test.k.db, &test.mine.claim, VISIBILITY_MS);
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

static lk_status
run_commit_release(void)
{
    lk_write writes[] = {{.kind = LK_RELEASE, .claim = &test.mine.claim, .delay_ms = 1000},
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

static bool
op_commits(void)
{
    return test.op->run == run_commit || test.op->run == run_commit_push ||
           test.op->run == run_commit_release;
}

/* Of a commit all or nothing is seen. */
static void
commit_look(void)
{
    lk_key keys[] = {test.mine.claim.key, kit_key("items", "a"), kit_key("mail", "m")};
    if (!op_commits())
        return;
    assert_status(LK_OK, STEP(lk_get_many(test.k.db, keys, 3, test.k.result)));
    bool done = lkc_is(lk_result_item(test.k.result, 1)->data, "new");
    if (test.op->run != run_commit_release)
        assert_int_equal(done, lk_result_item(test.k.result, 0) == NULL);
    if (test.op->run != run_commit_push)
        assert_int_equal(done, lkc_is(lk_result_item(test.k.result, 2)->data, "new"));
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
    lk_job its;
    lk_status inspected = STEP(lk_queue_inspect(test.k.db, test.mine.claim.key, &its));
    assert_true(inspected == status || test.op->run == run_set || test.op->run == run_delete);
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
        lkc_job_keep(&j, test.its, i);
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
    bool committed = op_commits() && done;
    assert_true(kit_holds(&test.k, kit_key("items", "a"), committed ? "new" : "old"));
    assert_true(kit_holds(&test.k, kit_key("mail", "m"),
                          committed && op->run != run_commit_push ? "new" : "old"));
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

/* The first of all; the main thread's claim on it lapses before any of the operation's. */
static void
decoy_claim(void)
{
    size_t number;
    lk_item item = {.key = lk_key_of("q", NULL), .data = text_of(NUMBER_DECOY)};
    assert_status(LK_OK, lk_queue_push(test.k.db, &item, 1, NULL, NULL));
    test.jobs[NUMBER_DECOY].known = true;
    assert_true(pull(&number, VISIBILITY_MS));
    assert_int_equal(number, NUMBER_DECOY);
}

/* It lapses: a pull goes over what may be due. Then the operation makes one step more. */
static void
decoy_lapse(void)
{
    size_t number;
    int64_t deadline_ms = test.jobs[NUMBER_DECOY].claim.claim.deadline_ms;
    kit_advance(&test.k, deadline_ms + 1 - test.k.monotonic_ms);
    assert_true(pull(&number, main_ms()));
    sem_post(&test.go_on);
    sem_wait(&test.stopped);
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
    test.stops = 0;
    test.its = lk_result_new();
    assert_non_null(test.its);
    kit_set(&test.k, "items", "a", "old");
    kit_set(&test.k, "items", "b", "old");
    jobs_push(&test.k, "mail", "m", "old");
    jobs_push(&test.k, "mail", "n", "old");
    if (company == TEND)
        decoy_claim();
    op->prepare();
    kit_advance(&test.k, 10);
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
    if (company == TEND && test.stops != 0)
        decoy_lapse();
    others_work();
    worker_join();
    lki_yield_hook = NULL;
    status_judge();
    end_judge();
    lk_result_free(test.its);
    kit_close(&test.k);
    alarm(0);
    return test.stops == 0;
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

/* All companies at the first points, two of them at the many of long operations; at night all. */
static bool
is_wanted(unsigned long n, unsigned company)
{
    return n < POINTS_DENSE || test_scaled(100) > 100 || (n + company) % COMPANIES < 2;
}

static void
operation_check(void **state)
{
    const operation *op = *state;
    unsigned long n = 1;
    test.most = 0;
    test.again = 0;
    signal(SIGALRM, give_up);
    signal(SIGABRT, give_up);
    for (bool over = false; !over; n++) {
        over = true;
        for (unsigned company = 0; company < COMPANIES; company++)
            if (is_wanted(n, company))
                over &= point_run(op, (enum company)company, n);
    }
    print_message("%s: stopped at %lu points; others: at most %lu accesses, %d looks again\n",
                  op->name, n - 2, test.most, test.again);
    where[0] = '\0';
}

#define HOLDS .hands = 1, .alone = LK_OK, .together = HOLDER
#define PULLS .alone = LK_OK, .together = BIT(LK_EMPTY), .pulls = true

static const operation operations[] = {
    {"push", prepare_plain, run_push, .adds = 1},
    {"push_three", prepare_plain, run_push_three, .adds = 3},
    {"push_delayed", prepare_plain, run_push_delayed, .adds = 1},
    {"push_keyed", prepare_keyed, run_push_keyed, .hands = 1, .ends = true, .adds = 1},
    {"pull_front", prepare_plain, run_pull, .hands = 1, PULLS},
    {"pull_keyed", prepare_keyed, run_pull, .hands = 1, PULLS},
    {"pull_lapsed", prepare_lapsed, run_pull, .hands = 1, PULLS},
    {"pull_keyed_lapsed", prepare_keyed_lapsed, run_pull, .hands = 1, PULLS},
    {"pull_released", prepare_released, run_pull, .hands = 1, PULLS},
    {"pull_empty", prepare_held, run_pull, PULLS},
    {"pull_batch", prepare_many, run_pull_batch, .hands = BATCH, PULLS},
    {"pull_mixed", prepare_mixed, run_pull_batch, .hands = BATCH, PULLS},
    {"pull_dead", prepare_lapsed, run_pull_dead, .hands = 2, .ends = true, PULLS},
    {"acknowledge", prepare_claimed, run_acknowledge, HOLDS, .ends = true},
    {"acknowledge_keyed", prepare_keyed_claimed, run_acknowledge, HOLDS, .ends = true},
    {"release", prepare_claimed, run_release, HOLDS},
    {"release_keyed", prepare_keyed_claimed, run_release, HOLDS},
    {"release_delayed", prepare_claimed, run_release_delayed, HOLDS},
    {"release_keyed_delayed", prepare_keyed_claimed, run_release_delayed, HOLDS},
    {"extend", prepare_claimed, run_extend, HOLDS},
    {"extend_shorter", prepare_claimed, run_extend_shorter, HOLDS},
    {"extend_keyed", prepare_keyed_claimed, run_extend, HOLDS},
    {"commit", prepare_claimed, run_commit, HOLDS, .ends = true},
    {"commit_keyed", prepare_keyed_claimed, run_commit, HOLDS, .ends = true},
    {"commit_push", prepare_claimed, run_commit_push, HOLDS, .ends = true, .adds = 1},
    {"commit_release", prepare_claimed, run_commit_release, HOLDS},
    {"commit_release_keyed", prepare_keyed_claimed, run_commit_release, HOLDS},
    {"get_lock", prepare_claimed, run_get_lock, .hands = 1},
    {"set", prepare_claimed, run_set, .hands = 1},
    {"delete", prepare_claimed, run_delete, .hands = 1, .ends = true},
    {"delete_keyed", prepare_keyed_claimed, run_delete, .hands = 1, .ends = true},
};

int
main(void)
{
    struct CMUnitTest tests[KIT_COUNT(operations)];
    for (size_t i = 0; i < KIT_COUNT(operations); i++)
        tests[i] = (struct CMUnitTest){operations[i].name, operation_check, NULL, teardown,
                                       (void *)&operations[i]};
    return cmocka_run_group_tests_name("hooked_queue", tests, NULL, NULL);
}
