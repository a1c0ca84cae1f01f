/* SPDX-License-Identifier: MIT
 *
 * Swarms over a queue: each seed draws what its fibers do - pushes one by one, in batches, by
 * commits, delayed, with keys of their own; pulls of one or two, with and without a wait;
 * acknowledgements, releases, extensions, deletes, a close - and how time passes, and which
 * allocation fails. Then the queue is drained, and tests/check/queue.h judges the history: Q1 to
 * Q7. `stopped_*`: each call stops at each of its points, and holds up nobody.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "check/queue.h"
#include "schedule/recorded.h"

enum {
    FIBERS = 3,
    CALLS_MAX = 5,
    HELD_MAX = 4,
    VISIBILITY_MS = 5,
    DRAIN_MAX = 200,
    RECEIVES_MAX = 2,
    TICK_MS = 20 /* after which what has lapsed is seen */
};

typedef enum act {
    ACT_PUSH,
    ACT_PUSH_BATCH,
    ACT_PUSH_COMMIT,
    ACT_PUSH_KEYED,
    ACT_PUSH_DELAYED,
    ACT_PUSH_EXPIRING,
    ACT_PUSH_UNIQUE,
    ACT_PUSH_BOUNDED,
    ACT_PULL,
    ACT_PULL_TWO,
    ACT_PULL_WAIT,
    ACT_ACKNOWLEDGE,
    ACT_RELEASE,
    ACT_EXTEND,
    ACT_HAND_ON, /* acknowledges or releases, and pushes, in one step */
    ACT_TAKE_OUT,
    ACT_SET,  /* the item of a job anew */
    ACT_LOCK, /* its lock */
    ACT_CLOSE,
    ACT_PURGE,
    ACT_STATS,
    ACT_TIME,
    ACT_SWEEP,
    ACTS
} act;

static struct {
    uint32_t weight[ACTS], total, calls;
    bool limited;   /* how often a job is received */
    bool shared;    /* jobs have keys that others have had */
    uint64_t began; /* stamp */
} mix;

/* What a fiber holds, newest last, and how many jobs it has pushed; claims may be used again after
 * their end. */
typedef struct hand {
    record_claim claims[HELD_MAX];
    uint32_t count, pushed;
} hand;

static uint64_t
draw(uint64_t below)
{
    return schedule_random() % below;
}

/* ---- calls ---- */

static const act commits_push[] = {ACT_PUSH,         ACT_PUSH_BATCH,  ACT_PUSH_KEYED,
                                   ACT_PUSH_DELAYED, ACT_PUSH_UNIQUE, ACT_PUSH_BOUNDED};

/* `end`: of a claim, in the same commit. */
static void
push(recorder *r, act a, hand *h, const record_end *end)
{
    bool by_commit = a == ACT_PUSH_COMMIT || end != NULL;
    if (by_commit)
        a = commits_push[draw(sizeof commits_push / sizeof *commits_push)];
    lk_push_options options = {.delay_ms = a == ACT_PUSH_DELAYED ? 1 + (int64_t)draw(4) : 0,
                               .max_depth = a == ACT_PUSH_BOUNDED ? 1 + draw(4) : 0,
                               .unique = a == ACT_PUSH_UNIQUE};
    bool keyed =
        a == ACT_PUSH_KEYED || a == ACT_PUSH_UNIQUE || (a == ACT_PUSH_BOUNDED && draw(2) == 0);
    uint32_t first = recorded_number(&h->pushed);
    uint32_t count = a == ACT_PUSH_BATCH || (a == ACT_PUSH_BOUNDED && !keyed && draw(2) == 0)
                         ? 2 + (uint32_t)draw(3)
                         : 1;
    char sk[RECORD_SK_ROOM];
    h->pushed += count - 1;
    snprintf(sk, sizeof sk, "%c%u-%u", "0Z"[draw(2)], (unsigned)draw(3), mix.shared ? 0 : first);
    if (by_commit)
        (void)record_push_commit(r, first, count, keyed ? sk : NULL, &options, end);
    else
        (void)record_push(r, first, count, keyed ? sk : NULL, &options,
                          a == ACT_PUSH_EXPIRING ? 1 + (int64_t)draw(6) : 0);
}

static void
pull(recorder *r, act a, hand *h)
{
    record_claim claims[2];
    uint32_t count;
    lk_pull_options options = {.pk = recorded_world.queue,
                               .visibility_ms = 1 + (int64_t)draw(VISIBILITY_MS),
                               .max_jobs = a == ACT_PULL_TWO ? 2 : 1,
                               .wait_ms = a == ACT_PULL_WAIT ? (int64_t)draw(4) : 0};
    if (mix.limited) {
        options.max_receives = RECEIVES_MAX;
        options.dead_pk = lk_string("dead");
    }
    (void)record_pull(r, &options, claims, &count);
    for (uint32_t i = 0; i < count && mix.limited; i++)
        SCHEDULE_EXPECT(claims[i].claim.receives <= RECEIVES_MAX);
    for (uint32_t i = 0; i < count; i++)
        h->claims[h->count < HELD_MAX ? h->count++ : draw(HELD_MAX)] = claims[i];
}

/* A job is an item, too: to write it or to lock it changes nothing of the queue. */
static void
item_use(act a, const record_claim *c)
{
    lk_lock lock;
    lk_item item = {.key = {recorded_world.queue, {c->sk, c->sk_size}},
                    .data = {&c->job, sizeof c->job}};
    if (a == ACT_SET)
        (void)!lk_set(recorded_world.db, &item, 1);
    else if (lk_get_lock(recorded_world.db, item.key, &lock) == LK_OK && draw(2) == 0)
        (void)!lk_set_atomic(recorded_world.db, &item, 1, &lock, 1, NULL);
}

static void
claim_use(recorder *r, act a, hand *h)
{
    if (h->count == 0) {
        pull(r, ACT_PULL, h);
        return;
    }
    record_claim *c = &h->claims[h->count - 1 - draw(h->count)];
    if (a == ACT_ACKNOWLEDGE)
        (void)record_acknowledge(r, c);
    else if (a == ACT_RELEASE)
        (void)record_release(r, c, draw(2) == 0 ? 0 : 1 + (int64_t)draw(3));
    else if (a == ACT_EXTEND)
        (void)record_extend(r, c, 1 + (int64_t)draw(2 * VISIBILITY_MS));
    else if (a == ACT_HAND_ON)
        push(r, a, h, &(record_end){c, draw(2) == 0, draw(2) == 0 ? 0 : 1 + (int64_t)draw(3)});
    else if (a == ACT_TAKE_OUT)
        (void)record_take_out(r, c, draw(2) == 0);
    else
        item_use(a, c);
}

static void
act_do(recorder *r, act a, hand *h)
{
    if (a <= ACT_PUSH_BOUNDED)
        push(r, a, h, NULL);
    else if (a <= ACT_PULL_WAIT)
        pull(r, a, h);
    else if (a <= ACT_LOCK)
        claim_use(r, a, h);
    else if (a == ACT_CLOSE)
        (void)record_close(r);
    else if (a == ACT_PURGE)
        (void)record_purge(r);
    else if (a == ACT_STATS)
        (void)record_stats(r);
    else if (a == ACT_TIME)
        schedule_time_pass(1 + (int64_t)draw(VISIBILITY_MS));
    else
        (void)!lk_sweep(recorded_world.db, 0, NULL);
}

static void
calls_make(uint32_t count)
{
    recorder *r = recorded_mine();
    hand h = {.count = 0};
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = draw(mix.total);
        act a = ACT_PUSH;
        for (; at >= mix.weight[a]; a++)
            at -= mix.weight[a];
        act_do(r, a, &h);
    }
}

static void
body(void)
{
    calls_make(1 + (uint32_t)draw(mix.calls));
}

/* ---- around a schedule ---- */

static void
setup(void)
{
    mix.total = 0;
    for (uint32_t a = 0; a < ACTS; a++) {
        bool often = a == ACT_PUSH || a == ACT_PULL || a == ACT_ACKNOWLEDGE;
        mix.weight[a] = draw(2) == 0 ? often : 1 + (uint32_t)draw(4);
        mix.total += mix.weight[a];
    }
    if (draw(3) != 0) { /* a close ends most of what is interesting */
        mix.total -= mix.weight[ACT_CLOSE];
        mix.weight[ACT_CLOSE] = 0;
    }
    mix.limited = draw(3) == 0;
    if (mix.limited) { /* what is dead may expire unseen */
        mix.total -= mix.weight[ACT_PUSH_EXPIRING];
        mix.weight[ACT_PUSH_EXPIRING] = 0;
    }
    mix.shared = draw(2) == 0;
    if (mix.weight[ACT_PUSH_EXPIRING] != 0 ||
        mix.shared) { /* a write gives a job another expiry, or number */
        mix.total -= mix.weight[ACT_SET] + mix.weight[ACT_LOCK];
        mix.weight[ACT_SET] = mix.weight[ACT_LOCK] = 0;
    }
    mix.calls = 1 + (uint32_t)draw(CALLS_MAX);
    mix.began = history_next_stamp();
    calls_make((uint32_t)draw(6));
    if (draw(4) == 0)
        schedule_fail_allocation(1 + draw(12), draw(4) == 0);
    recorded_begin(FIBERS);
}

/* All that is left comes out, in time. */
static void
drain(void)
{
    recorder *r = &recorded[0];
    record_claim claims[RECORD_MANY];
    uint32_t count;
    lk_pull_options options = {.pk = recorded_world.queue, .max_jobs = RECORD_MANY};
    (void)record_close(r);
    for (int i = 0; i < DRAIN_MAX; i++) {
        lk_status status = record_pull(r, &options, claims, &count);
        if (status == LK_CLOSED)
            return;
        for (uint32_t k = 0; k < count; k++)
            STORE_MUST(record_acknowledge(r, &claims[k]));
        if (status != LK_OK)
            schedule_time_pass(4);
    }
    recorded_tell(FIBERS);
    schedule_fail("a closed queue is never over");
}

/* Jobs that moved to the other queue: once each, and nobody acknowledged them. When they did is not
 * known. */
static void
dead_note(recorder *r)
{
    bool dead[RECORDED_NUMBERS * (FIBERS + 1)] = {false};
    lk_pull_options options = {.pk = lk_string("dead")};
    while (lk_queue_pull(recorded_world.db, &options, r->result) == LK_OK) {
        uint32_t job;
        memcpy(&job, lk_result_item(r->result, 0)->data.data, sizeof job);
        if (dead[job])
            schedule_fail("job %u is dead twice", job);
        dead[job] = true;
        history_begin(&r->history, "moved to the dead", 0, mix.began, 0);
        history_add(&r->history, (history_step){.kind = STEP_TAKE_OUT, .key = job});
    }
    for (uint32_t f = 0; f <= FIBERS; f++)
        for (size_t i = 0; i < recorded[f].history.step_count; i++) {
            const history_step *s = &recorded[f].history.steps[i];
            if ((s->kind == STEP_ACKNOWLEDGE || s->kind == STEP_LATE) && dead[s->key])
                schedule_fail("job %u is dead, and was acknowledged", s->key);
        }
}

static void
check(void)
{
    report r = {.size = 0};
    schedule_fail_allocation(0, false);
    recorded_end();
    drain();
    (void)record_stats(&recorded[0]);
    if (mix.limited)
        dead_note(&recorded[0]);
    recorded_merge(FIBERS);
    bool known = record_rank(recorded, FIBERS + 1, &recorded_all);
    recorded_verdict(queue_check(&recorded_all, &r), &r, FIBERS);
    uint32_t job;
    if (!record_beside(&recorded_all, &recorded[0], &job))
        schedule_fail("job %u and the item beside it were not one step", job);
    (void)known; /* of a job that was deleted before anybody saw it, no key is known */
}

static void
prepare(void)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.shards = 1;
    STORE_MUST(lk_memory_open(&options, &recorded_world.db));
    recorded_world.queue = lk_string("q");
    recorded_world.beside = lk_string("beside");
    recorded_world.now_ms = schedule_monotonic_ms;
    recorded_world.unix_ms = schedule_unix_ms() - schedule_monotonic_ms();
    recorded_prepare(FIBERS);
}

static void
teardown(void)
{
    recorded_teardown(FIBERS);
    lk_close(recorded_world.db);
}

/* ---- what swarms have found, once ---- */

static void
pull_some(size_t max_jobs, int64_t visibility_ms)
{
    record_claim claims[2];
    uint32_t count;
    lk_pull_options options = {
        .pk = recorded_world.queue, .visibility_ms = visibility_ms, .max_jobs = max_jobs};
    (void)record_pull(recorded_mine(), &options, claims, &count);
}

/* A claim lapses before the pull that made it has ended: the job is not taken twice. */
static void
setup_two(void)
{
    (void)record_push(&recorded[0], 1, 2, NULL, NULL, 0);
}

static void
setup_plain(void)
{
    (void)record_push(&recorded[0], 1, 1, NULL, NULL, 0);
}

static void
pull_one_and_two(void)
{
    pull_some(1, 1);
    pull_some(2, 1);
}

static void
pull_later(void)
{
    schedule_time_pass(5);
    pull_some(1, 1);
}

/* A job comes where a look has been before the one ahead of that look is claimed: there is always
 * one. */
static void
setup_one(void)
{
    (void)record_push(&recorded[0], 1, 1, "/b", NULL, 0); /* before all that are generated */
}

static void
pull_one(void)
{
    pull_some(1, 5);
}

static void
push_and_pull(void)
{
    (void)record_push(recorded_mine(), 2, 1, "/c", NULL, 0);
    pull_some(1, 5);
}

static void
push_generated_and_pull(void)
{
    (void)record_push(recorded_mine(), 2, 1, NULL, NULL, 0);
    pull_some(1, 5);
}

/* A job in front of all others comes while one is about to be pulled, and then one behind. */
static void
push_front_and_behind(void)
{
    (void)record_push(recorded_mine(), 2, 1, NULL, NULL, 0);
    (void)record_push(recorded_mine(), 3, 1, "z", NULL, 0);
}

/* The same, with a job behind both: it is not taken while there is always one before it. */
static void
setup_two_keyed(void)
{
    (void)record_push(&recorded[0], 1, 1, "/c", NULL, 0);
    (void)record_push(&recorded[0], 3, 1, "/d", NULL, 0);
}

static void
push_between_and_pull(void)
{
    (void)record_push(recorded_mine(), 2, 1, "/cc", NULL, 0);
    pull_some(1, 5);
}

/* A place is passed over, and there is no memory for the entry that its job then needs. */
static void
setup_later(void)
{
    (void)record_push(&recorded[0], 2, 1, NULL, NULL, 0);
    pull_some(1, 1);
}

static void
push_scarcely(void)
{
    schedule_fail_allocation(1 + draw(12), draw(2) == 0);
    (void)record_push(recorded_mine(), 1, 1, NULL, NULL, 0);
    schedule_fail_allocation(0, false);
}

/* A write to a job as an item has pinned it, and had no memory for the rest; nor has the purge
 * then. */
static void
set_and_purge(void)
{
    const record_name *name = &recorded[0].names[0];
    uint32_t number = 1;
    lk_item item = {.key = {recorded_world.queue, lk_string(name->sk)},
                    .data = {&number, sizeof number}};
    schedule_fail_allocation(1 + draw(4), true);
    (void)!lk_set(recorded_world.db, &item, 1);
    (void)record_purge(recorded_mine());
}

/* A commit pushes while the queue is closed, and somebody is told that it is over. */
static void
close_and_pull(void)
{
    (void)record_close(recorded_mine());
    pull_some(1, 5);
}

static void
push_by_commit(void)
{
    (void)record_push_commit(recorded_mine(), 1, 1, NULL, NULL, NULL);
}

/* A batch that fills several segments (of the small library) while others look for the next one. */
static void
push_four(void)
{
    (void)record_push(recorded_mine(), 3, 4, NULL, NULL, 0);
}

static void
pull_twice(void)
{
    pull_some(1, 5);
    pull_some(1, 5);
}

/* A call by key while its queue comes to be. */
static void
push_keyed(void)
{
    (void)record_push(recorded_mine(), 1, 1, "k", NULL, 0);
}

static void
release_by_key(void)
{
    lk_claim claim = {.key = {recorded_world.queue, lk_string("k")}};
    lk_status status = lk_queue_release(recorded_world.db, &claim, 0);
    if (status != LK_OK && status != LK_LOST)
        schedule_fail("a release by key is %s", lk_status_string(status));
}

/* ---- a thread that stops in a call holds up nobody ---- */

/* Of the others: they leave its jobs alone, their clock runs on, they lock and set its very jobs,
 * or they purge the queue. */
enum company { BESIDE, LAPSE, MEDDLE, PURGE, COMPANIES };
static enum company company;
static act stopped_act;
static hand stopped_hand;
static bool stopped_limited; /* what is received too often it moves, and the others do not */

/* It holds a job, with a key or without; of the others one has lapsed. */
static void
setup_stopped(act from, act to)
{
    hand h = {.count = 0};
    recorder *r = recorded_mine();
    bool keyed = schedule_choose(from == ACT_PUSH ? 1 : 2) == 1;
    company = (enum company)schedule_choose(COMPANIES);
    stopped_act = from + schedule_choose(to - from + 1);
    if (stopped_act == ACT_PUSH_EXPIRING) /* the others would change that */
        stopped_act = ACT_PUSH;
    stopped_limited =
        stopped_act >= ACT_PULL && stopped_act <= ACT_PULL_TWO && schedule_choose(2) == 1;
    mix.began = history_next_stamp();
    push(r, ACT_PUSH, &h, NULL);
    push(r, ACT_PUSH_KEYED, &h, NULL);
    for (int i = 0; i < RECEIVES_MAX; i++) {
        pull(r, ACT_PULL, &h);
        schedule_time_pass(VISIBILITY_MS + TICK_MS);
    }
    (void)record_push(r, ++h.pushed, 1, keyed ? "/" : NULL, NULL, 0);
    pull(r, ACT_PULL, &stopped_hand);
    push(r, ACT_PUSH, &h, NULL);
    push(r, ACT_PUSH_KEYED, &h, NULL);
    recorded_begin(2);
}

static void
setup_stopped_push(void)
{
    setup_stopped(ACT_PUSH, ACT_PULL_TWO);
}

static void
setup_stopped_claim(void)
{
    setup_stopped(ACT_ACKNOWLEDGE, ACT_LOCK);
}

static void
stop(void)
{
    mix.limited = stopped_limited;
    act_do(recorded_mine(), stopped_act, &stopped_hand);
}

static bool
is_there(const record_claim *c)
{
    lk_key key = {recorded_world.queue, {c->sk, c->sk_size}};
    return lk_get(recorded_world.db, key, recorded_mine()->result) == LK_OK;
}

/* Calls of all kinds that want no latch. (With the small constants a push makes a segment.) */
static void
others(void)
{
    static const act acts[] = {ACT_STATS,
                               ACT_PULL_TWO,
                               ACT_LOCK,
                               ACT_SET,
                               ACT_EXTEND,
                               ACT_ACKNOWLEDGE,
                               ACT_RELEASE,
                               ACT_PULL,
                               ACT_PULL,
                               ACT_TAKE_OUT,
                               LKI_OR_SMALL(ACT_PUSH, ACT_PULL),
                               ACT_PULL,
                               ACT_PULL,
                               ACT_PULL,
                               ACT_STATS};
    const record_claim *its = stopped_hand.claims;
    hand h = {.count = 0};
    recorder *r = recorded_mine();
    mix.limited = false;
    if (company == PURGE)
        (void)record_purge(r);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        if (company == LAPSE && i % 4 == 3)
            schedule_time_pass(VISIBILITY_MS + TICK_MS);
        if (company == MEDDLE && i < 2 && stopped_hand.count != 0 && is_there(&its[0]))
            item_use(i == 0 ? ACT_SET : ACT_LOCK, &its[0]);
        act_do(r, acts[i], &h);
    }
}

static void
check_stopped(void)
{
    mix.limited = stopped_limited;
    check();
}

#define QUEUE(title, begin, a, b, c, ...)                                                     \
    {                                                                                         \
        .name = title, .prepare = prepare, .setup = begin, .body = {a, b, c}, .check = check, \
        .teardown = teardown, __VA_ARGS__                                                     \
    }

#define STOPPED(title, begin)                                                                     \
    {                                                                                             \
        .name = title, .prepare = prepare, .setup = begin, .body = {stop, others},                \
        .check = check_stopped, .teardown = teardown, .all = 1, .stops = 1, .memory = SCHEDULE_SC \
    }

const schedule_scenario schedule_scenarios[] = {
    QUEUE("queue_laws", setup, body, body, body, .count = 20000),
    QUEUE("lapse_in_a_pull", setup_two, pull_one_and_two, pull_later, NULL, .count = 3000),
    QUEUE("empty_in_turns", setup_one, pull_one, push_and_pull, NULL, .count = 10000),
    QUEUE("empty_at_the_front", setup_one, pull_one, push_generated_and_pull, NULL, .count = 20000),
    QUEUE("overtaken_in_turns", setup_two_keyed, pull_one, push_between_and_pull, NULL,
          .count = 10000),
    QUEUE("passed_without_memory", setup_later, push_scarcely, pull_one, NULL, .count = 20000),
    QUEUE("purge_without_memory", setup_plain, set_and_purge, pull_one, NULL, .count = 3000),
    QUEUE("close_and_push", NULL, close_and_pull, push_by_commit, NULL, .count = 10000),
    QUEUE("batch_over_segments", setup_two, push_four, pull_twice, pull_one, .count = 10000),
    QUEUE("before_and_behind", NULL, push_front_and_behind, pull_one, NULL, .count = 10000),
    QUEUE("release_by_key", NULL, push_keyed, release_by_key, NULL, .count = 10000),
    STOPPED("stopped_push", setup_stopped_push),
    STOPPED("stopped_claim", setup_stopped_claim),
    {0},
};
