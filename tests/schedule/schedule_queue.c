/* SPDX-License-Identifier: MIT
 *
 * Queues with two or three threads: nothing is lost, nothing comes twice, a job has one holder, the
 * order is that of the pushes; a claim lapses when its deadline has passed and not before; who
 * waits is woken.
 */
#include <stdatomic.h>
#include <string.h>

#include "schedule/one_store.h"

enum { JOBS_MAX = 8, PULLS_MAX = 8 };

typedef struct pull {
    uint64_t job; /* 0: none */
    uint64_t began, ended;
} pull;

static int64_t began_ms;
static struct {
    uint64_t began, ended; /* of its push */
} pushed[JOBS_MAX + 1];
static _Atomic(uint32_t) holder[JOBS_MAX + 1];
static pull pulls[SCHEDULE_FIBERS + 1][PULLS_MAX];
static uint32_t pull_count[SCHEDULE_FIBERS + 1];
static uint32_t done[SCHEDULE_FIBERS + 1][JOBS_MAX + 1]; /* acknowledged by */

/* ---- calls ---- */

static void
push_some(uint64_t first, uint64_t count)
{
    uint64_t numbers[JOBS_MAX];
    lk_item items[JOBS_MAX] = {0};
    for (uint64_t i = 0; i < count; i++) {
        numbers[i] = first + i;
        items[i] = store_item((lk_key){.pk = lk_string("queue")}, &numbers[i]);
        pushed[first + i].began = schedule_step();
    }
    STORE_MUST(lk_queue_push(db, items, count, NULL, NULL));
    for (uint64_t i = 0; i < count; i++)
        pushed[first + i].ended = schedule_step();
}

static lk_status
pull_into(lk_result *result, int64_t visibility_ms, int64_t wait_ms)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("queue");
    options.visibility_ms = visibility_ms;
    options.wait_ms = wait_ms;
    return lk_queue_pull(db, &options, result);
}

/* Pulls one job and acknowledges it; its number, 0: there was none. */
static uint64_t
work_one(int64_t wait_ms)
{
    uint32_t self = schedule_self();
    lk_result *result = store_result();
    pull *mine = &pulls[self][pull_count[self]++];
    *mine = (pull){0, schedule_step(), 0};
    lk_status status = pull_into(result, 0, wait_ms);
    mine->ended = schedule_step();
    if (status == LK_OK) {
        uint64_t job = mine->job = store_number(lk_result_item(result, 0));
        schedule_note("pulled %d", (int)job);
        uint32_t nobody = 0;
        if (!atomic_compare_exchange_strong_explicit(&holder[job], &nobody, self,
                                                     memory_order_relaxed, memory_order_relaxed))
            schedule_fail("job %d has two holders, %u and %u", (int)job, nobody, self);
        STORE_MUST(lk_queue_acknowledge(db, lk_result_claim(result, 0), 1));
        done[self][job]++;
    } else if (status != LK_CLOSED && (status != LK_EMPTY || wait_ms != 0)) {
        STORE_MUST(status);
    }
    lk_result_free(result);
    return mine->job;
}

/* ---- what must hold ---- */

static void
each_is_done_once(uint64_t jobs)
{
    for (uint64_t job = 1; job <= jobs; job++) {
        uint32_t times = 0;
        for (uint32_t i = 0; i <= SCHEDULE_FIBERS; i++)
            times += done[i][job];
        if (times != 1)
            schedule_fail("job %d was done %u times", (int)job, times);
    }
}

/* A pull that ended before another one began has not the later job of two that were there, one
 * pushed after the other. */
static void
first_in_is_first_out(const pull *early, const pull *late)
{
    uint64_t a = early->job, b = late->job;
    if (early->ended >= late->began || b == 0)
        return;
    if (a == 0) {
        if (pushed[b].ended != 0 && pushed[b].ended < early->began)
            schedule_fail("a pull finds nothing while job %d is there", (int)b);
    } else if (pushed[b].ended != 0 && pushed[b].ended < early->began &&
               pushed[b].ended < pushed[a].began) {
        schedule_fail("job %d comes before job %d, which was pushed earlier", (int)a, (int)b);
    } else if (pushed[a].began > pushed[b].ended && pushed[b].ended < early->began) {
        schedule_fail("job %d comes before job %d", (int)a, (int)b);
    }
}

static void
order_check(void)
{
    for (uint32_t i = 0; i <= SCHEDULE_FIBERS; i++)
        for (uint32_t j = 0; j <= SCHEDULE_FIBERS; j++)
            for (uint32_t k = 0; k < pull_count[i]; k++)
                for (uint32_t l = 0; l < pull_count[j]; l++)
                    first_in_is_first_out(&pulls[i][k], &pulls[j][l]);
}

static void
prepare(void)
{
    db = store_open();
    push_some(8, 1);
    (void)work_one(0);
    memset(pull_count, 0, sizeof pull_count);
}

static void
setup(void)
{
    began_ms = schedule_monotonic_ms();
}

/* ---- push, pull, acknowledge ---- */

static void
push_1_2(void)
{
    push_some(1, 1);
    push_some(2, 1);
}

static void
push_3_4(void)
{
    push_some(3, 2);
}

static void
work_twice(void)
{
    (void)work_one(0);
    (void)work_one(0);
}

static void
drain(void)
{
    while (pull_count[0] < PULLS_MAX && work_one(0) != 0) {}
}

static void
check_four(void)
{
    drain();
    each_is_done_once(4);
    order_check();
}

/* ---- waiting ---- */

static void
wait_and_work(void)
{
    if (work_one(-1) == 0)
        schedule_fail("a pull that waits for ever ends without a job");
}

static void
push_two(void)
{
    push_some(1, 2);
}

/* Whoever slept was woken: a sleeper that is not looks again by itself after a while. */
static void
check_two(void)
{
    each_is_done_once(2);
    order_check();
    if (schedule_monotonic_ms() != began_ms)
        schedule_fail("somebody slept for %d ms", (int)(schedule_monotonic_ms() - began_ms));
}

static void
work_until_closed(void)
{
    while (work_one(-1) != 0) {}
}

static void
push_and_close(void)
{
    push_some(1, 2);
    STORE_MUST(lk_queue_close(db, lk_string("queue")));
}

/* ---- a push and snapshots ---- */

static bool writer_saw_job, reader_saw_job, reader_saw_item;

static lk_key
item_key(void)
{
    return lk_key_of("queue", "~");
}

static void
queue_look(bool *job, bool *item)
{
    lk_result *result = store_result();
    lk_query query = {.pk = lk_string("queue")};
    STORE_MUST(lk_query_items(db, &query, result));
    for (size_t i = 0; i < lk_result_count(result); i++)
        *(lk_result_item(result, i)->key.sk.size == 1 ? item : job) = true;
    lk_result_free(result);
}

static void
setup_snapshots(void)
{
    writer_saw_job = reader_saw_job = reader_saw_item = false;
}

static void
push_one(void)
{
    push_some(1, 1);
}

static void
write_and_look(void)
{
    bool item = false;
    store_set(db, item_key(), 9);
    queue_look(&writer_saw_job, &item);
    SCHEDULE_EXPECT(item);
}

static void
look_once(void)
{
    queue_look(&reader_saw_job, &reader_saw_item);
}

static char claim_sk[32];
static lk_claim held; /* or the key of the job that comes next */

static void
prepare_next(void)
{
    prepare();
    uint64_t number = 7;
    lk_item item = store_item((lk_key){.pk = lk_string("queue")}, &number);
    lk_result *result = store_result();
    STORE_MUST(lk_queue_push(db, &item, 1, NULL, result));
    held.key = lk_result_item(result, 0)->key;
    memcpy(claim_sk, held.key.sk.data, held.key.sk.size);
    held.key = (lk_key){lk_string("queue"), {claim_sk, held.key.sk.size}};
    STORE_MUST(lk_queue_acknowledge(db, &held, 1));
    claim_sk[held.key.sk.size - 1]++;
    lk_result_free(result);
}

/* As write_and_look, by the key of a job that is perhaps on its way. */
static void
write_and_release(void)
{
    lk_claim claim = held;
    store_set(db, item_key(), 9);
    writer_saw_job = lk_queue_release(db, &claim, 0) == LK_OK;
}

static void
prepare_held(void)
{
    prepare();
    push_some(1, 1);
    lk_result *result = store_result();
    STORE_MUST(pull_into(result, 0, 0));
    held = *lk_result_claim(result, 0);
    SCHEDULE_EXPECT(held.key.sk.size < sizeof claim_sk);
    memcpy(claim_sk, held.key.sk.data, held.key.sk.size);
    held.key = (lk_key){lk_string("queue"), {claim_sk, held.key.sk.size}};
    lk_result_free(result);
}

static void
acknowledge_held(void)
{
    STORE_MUST(lk_queue_acknowledge(db, &held, 1));
}

static void
write_and_acknowledge(void)
{
    store_set(db, item_key(), 9);
    acknowledge_held();
}

static void
check_ends_after(void)
{
    if (!reader_saw_job && !reader_saw_item)
        schedule_fail("a snapshot lacks the job, and what was written before it went");
}

/* Who learns that the job has ended does not find it afterwards. */
static void
learn_and_look(void)
{
    lk_claim claim = held;
    bool job = false, item;
    lk_status status = lk_queue_extend(db, &claim, LK_HOURS(1));
    SCHEDULE_EXPECT(status == LK_OK || status == LK_LOST);
    if (status == LK_LOST)
        queue_look(&job, &item);
    if (job)
        schedule_fail("a job has ended, and is there afterwards");
}

/* Who wrote the item saw the job after that: so the job went after the item. */
static void
check_ends(void)
{
    if (writer_saw_job && !reader_saw_job && !reader_saw_item)
        schedule_fail("a snapshot lacks the job, and lacks what was there before it went");
}

/* Who wrote the item saw no job after that: so the job came after the item. */
static void
check_snapshots(void)
{
    if (!writer_saw_job && reader_saw_job && !reader_saw_item)
        schedule_fail("a snapshot has the job, and lacks what was there before it");
}

static void
check_next(void)
{
    lk_claim claim = held;
    STORE_MUST(lk_queue_release(db, &claim, 0)); /* it was that key */
    check_snapshots();
}

/* ---- a claim lapses ---- */

enum { VISIBLE_MS = 10 };

static struct {
    int64_t deadline; /* of the first claim */
    uint64_t settled; /* the step at which its acknowledgement had begun; 0: not yet */
    lk_status first, second, first_done, second_done;
    int64_t second_began, second_ended, done_began, done_ended;
} lapse;

static void
prepare_lapse(void)
{
    prepare();
    push_some(1, 1);
}

static void
setup_lapse(void)
{
    memset(&lapse, 0, sizeof lapse);
    lapse.first = lapse.second = LK_INVALID;
}

/* Pulls, and is slow. */
static void
lapse_first(void)
{
    lk_result *result = store_result();
    lapse.first = pull_into(result, VISIBLE_MS, 0);
    if (lapse.first == LK_OK) {
        lapse.deadline = lk_result_claim(result, 0)->deadline_ms;
        schedule_sleep((int64_t)(schedule_random() % (2 * VISIBLE_MS)));
        lapse.done_began = schedule_monotonic_ms();
        lapse.first_done = lk_queue_acknowledge(db, lk_result_claim(result, 0), 1);
        lapse.done_ended = schedule_monotonic_ms();
    }
    lk_result_free(result);
}

static void
lapse_second(void)
{
    lk_result *result = store_result();
    lapse.second_began = schedule_monotonic_ms();
    lapse.second = pull_into(result, 1000, 3 * VISIBLE_MS);
    lapse.second_ended = schedule_monotonic_ms();
    if (lapse.second == LK_OK)
        lapse.second_done = lk_queue_acknowledge(db, lk_result_claim(result, 0), 1);
    lk_result_free(result);
}

static void
time_passes(void)
{
    for (int i = 0; i < VISIBLE_MS / 2; i++) {
        schedule_time_pass(1);
        schedule_yield();
    }
}

static void
check_lapse(void)
{
    schedule_note("first %s, done %s; second %s, done %s", lk_status_string(lapse.first),
                  lk_status_string(lapse.first_done), lk_status_string(lapse.second),
                  lk_status_string(lapse.second_done));
    if (lapse.first == LK_OK && lapse.second == LK_OK) {
        /* One of them was first, and the other one came when its time was over. */
        bool first_lost = lapse.first_done == LK_LOST;
        SCHEDULE_EXPECT(first_lost != (lapse.second_done == LK_LOST));
        SCHEDULE_EXPECT(first_lost);
        SCHEDULE_EXPECT(lapse.second_done == LK_OK);
        SCHEDULE_EXPECT(lapse.second_ended > lapse.deadline);
    } else if (lapse.first == LK_OK) {
        SCHEDULE_EXPECT(lapse.first_done == LK_OK || lapse.first_done == LK_LATE);
        if (lapse.first_done == LK_OK)
            SCHEDULE_EXPECT(lapse.done_began <= lapse.deadline);
        else
            SCHEDULE_EXPECT(lapse.done_ended > lapse.deadline);
    } else {
        SCHEDULE_EXPECT(lapse.second == LK_OK && lapse.second_done == LK_OK);
    }
    lk_result *result = store_result();
    SCHEDULE_EXPECT(pull_into(result, 0, 0) == LK_EMPTY);
    lk_result_free(result);
}

/* At the deadline it is not there; a millisecond later it is. */
static void
lapse_exactly(void)
{
    lk_result *result = store_result();
    STORE_MUST(pull_into(result, VISIBLE_MS, 0));
    schedule_time_pass(VISIBLE_MS);
    SCHEDULE_EXPECT(pull_into(result, VISIBLE_MS, 0) == LK_EMPTY);
    schedule_time_pass(1);
    STORE_MUST(pull_into(result, VISIBLE_MS, 0));
    lk_result_free(result);
}

/* Who sleeps wakes when the claim of another one, which is gone, lapses. */
static void
wait_for_lapse(void)
{
    lk_result *result = store_result();
    int64_t began = schedule_monotonic_ms();
    STORE_MUST(pull_into(result, VISIBLE_MS, -1));
    SCHEDULE_EXPECT(schedule_monotonic_ms() - began <= 3 * VISIBLE_MS);
    lk_result_free(result);
}

/* Who sleeps wakes when what is released for a moment comes back. */
static void
wait_for_released(void)
{
    lk_result *result = store_result();
    int64_t began = schedule_monotonic_ms();
    STORE_MUST(lk_queue_release(db, &held, 1));
    STORE_MUST(pull_into(result, VISIBLE_MS, -1));
    SCHEDULE_EXPECT(schedule_monotonic_ms() - began <= VISIBLE_MS);
    lk_result_free(result);
}

#define QUEUE(title, begin, ...)                                                 \
    {                                                                            \
        .name = title, .prepare = begin, .teardown = store_teardown, __VA_ARGS__ \
    }

const schedule_scenario schedule_scenarios[] = {
    QUEUE("queue", prepare, .body = {push_1_2, work_twice, work_twice, push_3_4},
          .check = check_four, .count = 20000),
    QUEUE("queue_wait", prepare, .setup = setup, .body = {wait_and_work, wait_and_work, push_two},
          .check = check_two),
    QUEUE("queue_close", prepare, .setup = setup,
          .body = {work_until_closed, work_until_closed, push_and_close}, .check = check_two),
    QUEUE("snapshots", prepare, .setup = setup_snapshots,
          .body = {push_one, write_and_look, look_once}, .check = check_snapshots, .count = 4000),
    QUEUE("snapshots_by_key", prepare_next, .setup = setup_snapshots,
          .body = {push_one, write_and_release, look_once}, .check = check_next, .count = 4000),
    QUEUE("ends", prepare_held, .setup = setup_snapshots,
          .body = {acknowledge_held, write_and_look, look_once}, .check = check_ends,
          .count = 4000),
    QUEUE("ends_learnt", prepare_held, .body = {acknowledge_held, learn_and_look}, .all = 2,
          .memory = SCHEDULE_SC),
    QUEUE("ends_after", prepare_held, .setup = setup_snapshots,
          .body = {look_once, write_and_acknowledge}, .check = check_ends_after, .all = 3,
          .memory = SCHEDULE_SC),
    QUEUE("lapse", prepare_lapse, .setup = setup_lapse,
          .body = {lapse_first, lapse_second, time_passes}, .check = check_lapse, .count = 20000),
    QUEUE("lapse_all", prepare_lapse, .setup = setup_lapse,
          .body = {lapse_first, lapse_second, time_passes}, .check = check_lapse, .all = 2,
          .memory = SCHEDULE_SC),
    QUEUE("lapse_exactly", prepare_lapse, .body = {lapse_exactly}, .count = 10),
    QUEUE("lapse_wait", prepare_lapse, .body = {wait_for_lapse, wait_for_lapse, wait_for_lapse},
          .count = 5000),
    QUEUE("release_wait", prepare_held, .body = {wait_for_released}, .count = 10),
    {0},
};
