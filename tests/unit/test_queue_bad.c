/* SPDX-License-Identifier: MIT
 *
 * Wrong arguments of every queue call: a status, and nothing changes: no item, no claim, no count.
 */
#include <limits.h>

#include "support/jobs.h"

enum { MAX_PK = 8, MAX_SK = 32, MAX_DATA = 100, JOBS_MAX = 1100 };

static const char *const pks[] = {"q", "dead", "other"};
static char many[200];

/* The options of the store, and a little of everything in it. */
static int
bad_setup(void **state)
{
    lk_memory_options options = {
        .max_pk_size = MAX_PK, .max_sk_size = MAX_SK, .max_data_size = MAX_DATA};
    kit *k = malloc(sizeof *k);
    assert_non_null(k);
    kit_open(k, &options);
    kit_set(k, "q", "item", "x");
    jobs_push_delayed(k, "q", "delayed", "x", LK_HOURS(1));
    jobs_push(k, "q", "own", "x");
    jobs_push(k, "q", NULL, "x");
    jobs_push(k, "q", NULL, "claimed");
    jobs_push(k, "dead", "d", "x");
    memset(many, 'm', sizeof many);
    *state = k;
    return 0;
}

/* Nothing changed, and `j` is held. */
static void
assert_unchanged(kit *k, const picture *before, job *j, const char *what)
{
    static picture after;
    picture_take(k, pks, KIT_COUNT(pks), &after);
    if (!picture_equals(before, &after))
        print_error("%s changed something\n", what);
    assert_true(picture_equals(before, &after));
    assert_held(k, j);
}

static void
claim_first(kit *k, job *j)
{
    assert_status(LK_OK, jobs_try_pull(k, "q", j));
}

static void
assert_status_of(const char *what, lk_status wanted, lk_status status)
{
    if (status != wanted)
        print_error("%s: ", what);
    assert_status(wanted, status);
}

/* ---- push ---- */

static const lk_push_options plain = LK_PUSH_OPTIONS_INIT, delay_negative = {.delay_ms = -1},
                             delay_least = {.delay_ms = INT64_MIN};

typedef struct push_case {
    const char *what;
    lk_item items[2];
    size_t count;
    const lk_push_options *options;
    lk_status wanted;
} push_case;

#define KEY(p, s)                                          \
    {                                                      \
        .pk = {p, sizeof p - 1}, .sk = { s, sizeof s - 1 } \
    }
#define GOOD                       \
    {                              \
        KEY("q", "s"), {"d", 1}, 0 \
    }

static const push_case pushes[] = {
    {"negative delay", {GOOD}, 1, &delay_negative, LK_INVALID},
    {"least delay", {GOOD}, 1, &delay_least, LK_INVALID},
    {"negative delay, generated", {{KEY("q", ""), {"d", 1}, 0}}, 1, &delay_negative, LK_INVALID},
    {"empty pk", {{KEY("", "s"), {"d", 1}, 0}}, 1, &plain, LK_INVALID},
    {"empty pk, generated", {{KEY("", ""), {"d", 1}, 0}}, 1, NULL, LK_INVALID},
    {"pk of NULL", {{{{NULL, 1}, {"s", 1}}, {"d", 1}, 0}}, 1, NULL, LK_INVALID},
    {"sk of NULL", {{{{"q", 1}, {NULL, 1}}, {"d", 1}, 0}}, 1, NULL, LK_INVALID},
    {"data of NULL", {{KEY("q", "s"), {NULL, 1}, 0}}, 1, NULL, LK_INVALID},
    {"data of NULL, generated", {{KEY("q", ""), {NULL, 1}, 0}}, 1, NULL, LK_INVALID},
    {"negative expiry", {{KEY("q", "s"), {"d", 1}, -1}}, 1, NULL, LK_INVALID},
    {"least expiry, generated", {{KEY("q", ""), {"d", 1}, INT64_MIN}}, 1, NULL, LK_INVALID},
    {"large pk", {{{{many, MAX_PK + 1}, {NULL, 0}}, {"d", 1}, 0}}, 1, NULL, LK_TOO_BIG},
    {"large sk", {{{{"q", 1}, {many, MAX_SK + 1}}, {"d", 1}, 0}}, 1, NULL, LK_TOO_BIG},
    {"large data", {{KEY("q", "s"), {many, MAX_DATA + 1}, 0}}, 1, NULL, LK_TOO_BIG},
    {"large data, generated", {{KEY("q", ""), {many, MAX_DATA + 1}, 0}}, 1, NULL, LK_TOO_BIG},
    {"second of another pk", {GOOD, {KEY("other", "t"), {"d", 1}, 0}}, 2, NULL, LK_INVALID},
    {"second of another pk, generated",
     {{KEY("q", ""), {"d", 1}, 0}, {KEY("other", ""), {"d", 1}, 0}},
     2,
     NULL,
     LK_INVALID},
    {"second of a longer pk, generated",
     {{KEY("q", ""), {"d", 1}, 0}, {KEY("qq", ""), {"d", 1}, 0}},
     2,
     NULL,
     LK_INVALID},
    {"second bad", {GOOD, {KEY("q", "t"), {NULL, 1}, 0}}, 2, NULL, LK_INVALID},
    {"second bad, generated",
     {{KEY("q", ""), {"d", 1}, 0}, {KEY("q", ""), {"d", 1}, -1}},
     2,
     NULL,
     LK_INVALID},
    {"second large", {GOOD, {KEY("q", ""), {many, MAX_DATA + 1}, 0}}, 2, NULL, LK_TOO_BIG},
    {"a key twice", {GOOD, GOOD}, 2, NULL, LK_INVALID},
};

static void
test_bad_pushes_change_nothing(void **state)
{
    kit *k = *state;
    static picture before;
    job j;
    claim_first(k, &j);
    kit_set(k, "other", "a", "kept");
    picture_take(k, pks, KIT_COUNT(pks), &before);
    for (size_t i = 0; i < KIT_COUNT(pushes); i++) {
        const push_case *c = &pushes[i];
        assert_true(kit_holds(k, kit_key("other", "a"), "kept"));
        assert_status_of(c->what, c->wanted,
                         lk_queue_push(k->db, c->items, c->count, c->options, k->result));
        assert_true(kit_bytes_are(lk_result_item(k->result, 0)->data, "kept")); /* untouched */
        assert_unchanged(k, &before, &j, c->what);
        assert_status_of(c->what, c->wanted,
                         lk_queue_push(k->db, c->items, c->count, c->options, NULL));
    }
    assert_status(LK_INVALID, lk_queue_push(k->db, NULL, 1, NULL, NULL));
    assert_status(LK_INVALID, lk_queue_push(NULL, pushes[0].items, 1, NULL, NULL));
    assert_unchanged(k, &before, &j, "push of NULL");
}

static void
test_push_of_too_many_with_keys_is_too_big(void **state)
{
    kit *k = *state;
    static lk_item items[JOBS_MAX];
    static char texts[JOBS_MAX][12];
    static picture before;
    job j;
    claim_first(k, &j);
    picture_take(k, pks, KIT_COUNT(pks), &before);
    for (size_t i = 0; i < JOBS_MAX; i++) {
        snprintf(texts[i], sizeof texts[i], "k%06zu", i);
        items[i] = kit_item("other", texts[i], "x");
    }
    assert_status(LK_TOO_BIG, lk_queue_push(k->db, items, LK_COMMIT_MAX + 1, NULL, NULL));
    items[5].key.sk.size = 0;
    assert_status(LK_TOO_BIG, lk_queue_push(k->db, items, LK_COMMIT_MAX + 1, NULL, NULL));
    assert_unchanged(k, &before, &j, "push of too many");
    assert_status(LK_OK, lk_queue_push(k->db, items, LK_COMMIT_MAX, NULL, NULL));
    assert_depths(k, "other", LK_COMMIT_MAX, 0, 0);
}

static void
test_sizes_at_their_limits_are_pushed_and_pulled(void **state)
{
    kit *k = *state;
    lk_item items[2] = {
        {.key = {{many, MAX_PK}, {many, MAX_SK}}, .data = {many, MAX_DATA}},
        {.key = {.pk = {many, MAX_PK}}, .data = {many, MAX_DATA}},
    };
    for (size_t i = 0; i < 2; i++)
        assert_status(LK_OK, lk_queue_push(k->db, &items[i], 1, NULL, NULL));
    lk_pull_options options = {.pk = {many, MAX_PK}, .max_jobs = 2};
    assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
    assert_int_equal(lk_result_count(k->result), 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(lk_result_item(k->result, i)->data.size, MAX_DATA);
}

/* ---- pull ---- */

typedef struct pull_case {
    const char *what;
    lk_pull_options options;
    lk_status wanted;
} pull_case;

#define Q .pk = {"q", 1}

static const pull_case pulls[] = {
    {"negative visibility", {Q, .visibility_ms = -1}, LK_INVALID},
    {"least visibility", {Q, .visibility_ms = INT64_MIN}, LK_INVALID},
    {"wait -2", {Q, .wait_ms = -2}, LK_INVALID},
    {"least wait", {Q, .wait_ms = INT64_MIN}, LK_INVALID},
    {"empty pk", {.pk = {"", 0}}, LK_INVALID},
    {"pk of NULL", {.pk = {NULL, 1}}, LK_INVALID},
    {"large pk", {.pk = {many, MAX_PK + 1}}, LK_TOO_BIG},
    {"a limit and nowhere to go", {Q, .max_receives = 1}, LK_INVALID},
    {"a limit and itself", {Q, .max_receives = 1, .dead_pk = {"q", 1}}, LK_INVALID},
    {"a limit and NULL", {Q, .max_receives = 1, .dead_pk = {NULL, 1}}, LK_INVALID},
    {"a limit and too far", {Q, .max_receives = 1, .dead_pk = {many, MAX_PK + 1}}, LK_TOO_BIG},
};

static void
test_bad_pulls_change_nothing(void **state)
{
    kit *k = *state;
    static picture before;
    job j;
    claim_first(k, &j);
    kit_set(k, "other", "a", "kept");
    picture_take(k, pks, KIT_COUNT(pks), &before);
    for (size_t i = 0; i < KIT_COUNT(pulls); i++) {
        assert_true(kit_holds(k, kit_key("other", "a"), "kept"));
        assert_status_of(pulls[i].what, pulls[i].wanted,
                         lk_queue_pull(k->db, &pulls[i].options, k->result));
        assert_true(kit_bytes_are(lk_result_item(k->result, 0)->data, "kept"));
        assert_unchanged(k, &before, &j, pulls[i].what);
    }
    lk_pull_options good = {Q};
    assert_status(LK_INVALID, lk_queue_pull(k->db, NULL, k->result));
    assert_status(LK_INVALID, lk_queue_pull(k->db, &good, NULL));
    assert_status(LK_INVALID, lk_queue_pull(NULL, &good, k->result));
    assert_unchanged(k, &before, &j, "pull of NULL");
}

/* ---- claims ---- */

typedef struct claim_case {
    const char *what;
    lk_key key;
    lk_status wanted;
} claim_case;

static const claim_case claims_bad[] = {
    {"empty pk", KEY("", "s"), LK_INVALID},
    {"pk of NULL", {{NULL, 1}, {"s", 1}}, LK_INVALID},
    {"sk of NULL", {{"q", 1}, {NULL, 1}}, LK_INVALID},
    {"large pk", {{many, MAX_PK + 1}, {"s", 1}}, LK_TOO_BIG},
    {"large sk", {{"q", 1}, {many, MAX_SK + 1}}, LK_TOO_BIG},
};

static void
test_bad_claims_change_nothing(void **state)
{
    kit *k = *state;
    static picture before;
    job j;
    claim_first(k, &j);
    picture_take(k, pks, KIT_COUNT(pks), &before);
    for (size_t i = 0; i < KIT_COUNT(claims_bad) * 2; i++) {
        const claim_case *c = &claims_bad[i / 2];
        lk_claim claims[2] = {j.claim, {.key = c->key, .token = i % 2 == 0 ? 0 : 99}};
        lk_claim *bad = &claims[1];
        lk_write writes[2] = {{.kind = LK_ACKNOWLEDGE, .claim = &claims[0]},
                              {.kind = LK_ACKNOWLEDGE, .claim = bad}};
        assert_status_of(c->what, c->wanted, lk_queue_acknowledge(k->db, bad, 1));
        assert_status_of(c->what, c->wanted, lk_queue_acknowledge(k->db, claims, 2));
        assert_status_of(c->what, c->wanted, lk_queue_release(k->db, bad, 0));
        bad->token = 99;
        assert_status_of(c->what, c->wanted, lk_queue_extend(k->db, bad, 1000));
        assert_status_of(c->what, c->wanted, lk_commit(k->db, writes, 2, NULL, 0, NULL));
        assert_unchanged(k, &before, &j, c->what);
    }
    assert_status(LK_INVALID, lk_queue_acknowledge(k->db, NULL, 1));
    assert_status(LK_INVALID, lk_queue_acknowledge(NULL, &j.claim, 1));
    assert_status(LK_INVALID, lk_queue_release(k->db, NULL, 0));
    assert_status(LK_INVALID, lk_queue_release(NULL, &j.claim, 0));
    assert_status(LK_INVALID, lk_queue_extend(k->db, NULL, 0));
    assert_status(LK_INVALID, lk_queue_extend(NULL, &j.claim, 0));
    assert_unchanged(k, &before, &j, "a claim of NULL");
}

static void
test_negative_times_of_good_claims_change_nothing(void **state)
{
    kit *k = *state;
    static picture before;
    job j;
    claim_first(k, &j);
    picture_take(k, pks, KIT_COUNT(pks), &before);
    lk_claim by_key = {.key = j.claim.key}, copy = j.claim;
    assert_status(LK_INVALID, lk_queue_release(k->db, &j.claim, -1));
    assert_status(LK_INVALID, lk_queue_release(k->db, &j.claim, INT64_MIN));
    assert_status(LK_INVALID, lk_queue_release(k->db, &by_key, -1));
    assert_status(LK_INVALID, lk_queue_extend(k->db, &j.claim, -1));
    assert_status(LK_INVALID, lk_queue_extend(k->db, &j.claim, INT64_MIN));
    assert_status(LK_INVALID, lk_queue_extend(k->db, &by_key, 1000));
    assert_memory_equal(&copy, &j.claim, sizeof copy);
    assert_unchanged(k, &before, &j, "a negative time");
}

/* ---- the others ---- */

static void
test_bad_names_of_queues_change_nothing(void **state)
{
    kit *k = *state;
    static picture before;
    static const lk_bytes names[] = {{"", 0}, {NULL, 0}, {NULL, 1}, {many, MAX_PK + 1}};
    job j;
    claim_first(k, &j);
    picture_take(k, pks, KIT_COUNT(pks), &before);
    for (size_t i = 0; i < KIT_COUNT(names); i++) {
        lk_status wanted = i == 3 ? LK_TOO_BIG : LK_INVALID;
        lk_queue_statistics statistics;
        size_t purged = 77;
        int fd = -77;
        kit_fill(&statistics, sizeof statistics);
        assert_status(wanted, lk_queue_stats(k->db, names[i], &statistics));
        assert_status(wanted, lk_queue_purge(k->db, names[i], &purged));
        assert_status(wanted, lk_queue_close(k->db, names[i]));
        assert_status(wanted, lk_queue_fd(k->db, names[i], &fd));
        assert_true(kit_is_filled(&statistics, sizeof statistics));
        assert_true(purged == 77 && fd == -77);
        assert_unchanged(k, &before, &j, "a bad name");
    }
}

static void
test_calls_without_handle_or_room_are_invalid(void **state)
{
    kit *k = *state;
    static picture before;
    lk_bytes q = lk_string("q");
    lk_queue_statistics statistics;
    size_t purged = 77;
    int fd = -77;
    job j;
    claim_first(k, &j);
    picture_take(k, pks, KIT_COUNT(pks), &before);
    assert_status(LK_INVALID, lk_queue_stats(k->db, q, NULL));
    assert_status(LK_INVALID, lk_queue_stats(NULL, q, &statistics));
    assert_status(LK_INVALID, lk_queue_purge(NULL, q, &purged));
    assert_status(LK_INVALID, lk_queue_close(NULL, q));
    assert_status(LK_INVALID, lk_queue_fd(k->db, q, NULL));
    assert_status(LK_INVALID, lk_queue_fd(NULL, q, &fd));
    assert_true(purged == 77 && fd == -77);
    assert_unchanged(k, &before, &j, "a call without handle");
}

/* ---- commits ---- */

static void
commit_is(kit *k, const picture *before, job *j, lk_status wanted, const char *what, lk_write first,
          lk_write second)
{
    for (int turn = 0; turn < 2; turn++) {
        lk_write writes[2] = {turn == 0 ? first : second, turn == 0 ? second : first};
        lk_lock lock = kit_lock(k, kit_key("locks", "a")), copy = lock;
        lk_conflict conflict = {77, 77};
        assert_status_of(what, wanted, lk_commit(k->db, writes, 2, NULL, 0, NULL));
        assert_status_of(what, wanted, lk_commit(k->db, writes, 2, &lock, 1, &conflict));
        assert_memory_equal(&lock, &copy, sizeof lock);
        assert_true(conflict.index == 77 && conflict.current_version == 77);
        assert_unchanged(k, before, j, what);
    }
}

static void
test_bad_commits_with_jobs_change_nothing(void **state)
{
    kit *k = *state;
    static picture before;
    job j;
    claim_first(k, &j);
    picture_take(k, pks, KIT_COUNT(pks), &before);
    lk_claim other = {.key = kit_key("dead", "d")}, by_key = {.key = j.claim.key};
    lk_write push = {.kind = LK_PUSH, .item = kit_item("other", "s", "x")};
    lk_write put = {.kind = LK_PUT, .item = kit_item("other", "s", "x")};
    lk_write remove = {.kind = LK_DELETE, .item = kit_item("other", "s", NULL)};
    lk_write ack = {.kind = LK_ACKNOWLEDGE, .claim = &j.claim};
    lk_write ack_by_key = {.kind = LK_ACKNOWLEDGE, .claim = &by_key};
    lk_write ack_other = {.kind = LK_ACKNOWLEDGE, .claim = &other};
    lk_write put_job = {.kind = LK_PUT, .item = kit_item("q", j.sk, "x")};
    lk_write delete_job = {.kind = LK_DELETE, .item = kit_item("q", j.sk, NULL)};
    lk_write push_job = {.kind = LK_PUSH, .item = kit_item("q", j.sk, "x")};
    commit_is(k, &before, &j, LK_INVALID, "a push and a put", push, put);
    commit_is(k, &before, &j, LK_INVALID, "a push and a delete", push, remove);
    commit_is(k, &before, &j, LK_INVALID, "two pushes", push, push);
    commit_is(k, &before, &j, LK_INVALID, "two acknowledges", ack, ack);
    commit_is(k, &before, &j, LK_INVALID, "acknowledges, by claim and by key", ack, ack_by_key);
    commit_is(k, &before, &j, LK_INVALID, "an acknowledge and a put", ack, put_job);
    commit_is(k, &before, &j, LK_INVALID, "an acknowledge and a delete", ack, delete_job);
    commit_is(k, &before, &j, LK_INVALID, "an acknowledge and a push", ack, push_job);
    ack.claim = NULL;
    commit_is(k, &before, &j, LK_INVALID, "an acknowledge of NULL", ack, ack_other);
    push.item.expires_at_ms = -1;
    commit_is(k, &before, &j, LK_INVALID, "a push of negative expiry", push, ack_other);
    push.item = kit_item("", "s", "x");
    commit_is(k, &before, &j, LK_INVALID, "a push without pk", push, ack_other);
    push.item = kit_item("other", NULL, "x");
    push.item.data.size = MAX_DATA + 1;
    push.item.data.data = many;
    commit_is(k, &before, &j, LK_TOO_BIG, "a large push", push, ack_other);
    put.kind = (lk_write_kind)4;
    commit_is(k, &before, &j, LK_INVALID, "an unknown kind", put, ack_other);
    put.kind = (lk_write_kind)INT_MAX;
    commit_is(k, &before, &j, LK_INVALID, "an unknown kind", put, ack_other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bad_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bad_pushes_change_nothing),
        TEST(test_push_of_too_many_with_keys_is_too_big),
        TEST(test_sizes_at_their_limits_are_pushed_and_pulled),
        TEST(test_bad_pulls_change_nothing),
        TEST(test_bad_claims_change_nothing),
        TEST(test_negative_times_of_good_claims_change_nothing),
        TEST(test_bad_names_of_queues_change_nothing),
        TEST(test_calls_without_handle_or_room_are_invalid),
        TEST(test_bad_commits_with_jobs_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
