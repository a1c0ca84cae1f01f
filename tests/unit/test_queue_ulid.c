/* SPDX-License-Identifier: MIT
 *
 * Generated keys: the places that are in them, contiguous in a batch, and what keys that look like
 * them may not do. (That they grow whatever the clock does: conformance/scripts/push.script.)
 */
#include "support/jobs.h"

/* Crockford's base 32. */
static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* Pushes one job; its key into `sk`. */
static void
ulid_push(kit *k, const char *pk, char sk[JOB_ROOM])
{
    lk_item item = kit_item(pk, NULL, "x");
    assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, k->result));
    lk_bytes got = lk_result_item(k->result, 0)->key.sk;
    assert_true(lkc_is_ulid(got));
    memcpy(sk, got.data, ULID_SIZE);
    sk[ULID_SIZE] = '\0';
}

static void
test_ulids_tell_the_time_of_their_push(void **state)
{
    kit *k = *state;
    char sk[JOB_ROOM];
    for (int i = 0; i < 20; i++) {
        ulid_push(k, "q", sk);
        assert_int_equal(lkc_ulid_ms(lk_string(sk)), k->now_ms);
        kit_advance(k, i * i * 1000);
    }
}

static void
test_ulids_of_batches_are_contiguous_and_in_order(void **state)
{
    kit *k = *state;
    static const size_t sizes[] = {1, 2, 511, 512, 513, 1000, 1, 2000, 3, 1024, 1025, 5000};
    char last[JOB_ROOM] = "";
    size_t pushed = 0;
    for (size_t i = 0; i < KIT_COUNT(sizes); i++) {
        atomic_fetch_add(&k->now_ms, i % 3 == 0 ? -100 : 40);
        assert_status(LK_OK, jobs_try_push_batch(k, "q", pushed, sizes[i], NULL, k->result));
        assert_int_equal(lk_result_count(k->result), sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++, pushed++) {
            const lk_item *item = lk_result_item(k->result, at);
            assert_true(lkc_is_ulid(item->key.sk));
            assert_true(memcmp(last, item->key.sk.data, ULID_SIZE) < 0);
            memcpy(last, item->key.sk.data, ULID_SIZE);
            assert_int_equal(job_number(item), pushed);
        }
    }
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = 777};
    for (size_t seen = 0; seen < pushed;) {
        assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
        for (size_t i = 0; i < lk_result_count(k->result); i++)
            assert_int_equal(job_number(lk_result_item(k->result, i)), seen++);
    }
    assert_empty(k, "q");
    assert_depths(k, "q", 0, pushed, 0);
}

/* Some jobs of the batch have an sk: the others lie in a row all the same, over the borders of
 * segments too. */
static void
test_ulids_of_mixed_batches_are_contiguous_and_in_order(void **state)
{
    kit *k = *state;
    static const size_t sizes[] = {2, 15, 17, 130, 499, 1024, 3, 1024};
    lk_item *items = calloc(1024, sizeof *items);
    assert_non_null(items);
    for (size_t i = 0; i < KIT_COUNT(sizes); i++) {
        uint64_t last = 0;
        for (size_t at = 0; at < sizes[i]; at++) {
            items[at] = (lk_item){.key = kit_key("q", NULL), .data = lk_string("x")};
            if (at % 7 == i % 7)
                items[at].key = lkc_numbered("q", at / 7);
            if (at % 7 == i % 7 && at / 7 >= 8)
                items[at].key.sk = lk_string(NULL); /* lkc_numbered has eight */
        }
        assert_status(LK_OK, lk_queue_push(k->db, items, sizes[i], NULL, k->result));
        for (size_t at = 0; at < sizes[i]; at++) {
            const lk_item *item = lk_result_item(k->result, at);
            if (items[at].key.sk.size != 0)
                continue;
            uint64_t place = 0;
            for (size_t c = ULID_SIZE - 8; c < ULID_SIZE; c++)
                place = place << 5 |
                        (uint64_t)(strchr(letters, ((const char *)item->key.sk.data)[c]) - letters);
            /* the next place, or the first of the next segment */
            assert_true(last == 0 || place == last + 1 || (place & 511) == 0);
            last = place;
        }
    }
    free(items);
}

static void
test_ulids_of_different_queues_and_stores_differ(void **state)
{
    kit *k = *state;
    kit other;
    char sk[3][JOB_ROOM];
    kit_open(&other, NULL);
    for (int i = 0; i < 50; i++) {
        ulid_push(k, "a", sk[0]);
        ulid_push(k, "b", sk[1]);
        ulid_push(&other, "a", sk[2]);
        assert_true(strcmp(sk[0], sk[1]) != 0 && strcmp(sk[0], sk[2]) != 0);
    }
    kit_close(&other);
}

/* ---- keys that look like generated ones ---- */

static void
ulid_of(char sk[JOB_ROOM], const char *like, int64_t ms, uint64_t place)
{
    memcpy(sk, like, JOB_ROOM);
    for (int i = 9; i >= 0; i--, ms >>= 5)
        sk[i] = letters[ms & 31];
    for (int i = 25; i >= 18; i--, place >>= 5)
        sk[i] = letters[place & 31];
}

/* A key of one's own under the queue's mark, wherever its place is and whenever it will be: an
 * ordinary job, which the queue never generates again. */
static void
test_keys_of_places_to_come_are_jobs_like_others(void **state)
{
    kit *k = *state;
    static const int64_t ahead_ms[] = {
        -LK_HOURS(10),           0, 1, LK_HOURS(23), LK_HOURS(25), LK_HOURS(24 * 400),
        LK_HOURS(24 * 365 * 300)};
    static const uint64_t places[] = {1, 2, 15, 16, 511, 512, 512 * 3, ((uint64_t)1 << 40) - 1};
    char like[JOB_ROOM], sk[JOB_ROOM];
    ulid_push(k, "q", like);
    for (size_t i = 0; i < KIT_COUNT(ahead_ms); i++)
        for (size_t p = 0; p < KIT_COUNT(places); p++)
            for (int way = 0; way < 3; way++) {
                job j;
                assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
                ulid_of(sk, like, k->now_ms + ahead_ms[i], places[p]);
                lk_write push = {.kind = LK_PUSH, .item = kit_item("q", sk, "own")};
                if (way == 0)
                    jobs_push(k, "q", sk, "own");
                else if (way == 1)
                    assert_status(LK_OK, lk_commit(k->db, &push, 1, NULL, 0, NULL));
                else
                    lkc_push_delayed(k->db, "q", sk, "own", 10);
                kit_advance(k, 11);
                assert_true(kit_holds(k, kit_key("q", sk), "own"));
                assert_depths(k, "q", 1, 0, 0);
                assert_pull(k, "q", "own", &j);
                assert_string_equal(j.sk, sk);
                assert_held(k, &j);
                kit_advance(k, VISIBILITY_MS + 1);
                assert_pull(k, "q", "own", &j);
                assert_int_equal(j.claim.receives, 2);
                assert_status(LK_OK, lk_queue_release(k->db, &j.claim, 0));
                lk_claim by_key = {.key = kit_key("q", sk)};
                assert_status(LK_OK, lk_queue_release(k->db, &by_key, 5));
                assert_depths(k, "q", 0, 0, 1);
                if (p % 2 == 0)
                    assert_status(LK_OK, lk_queue_acknowledge(k->db, &by_key, 1));
                else
                    assert_status(LK_OK, lk_delete(k->db, &by_key.key, 1));
                assert_true(kit_holds(k, kit_key("q", sk), NULL));
            }
}

/* The clock comes to where keys of one's own are: the queue passes over their time. */
static void
test_generated_keys_pass_over_keys_of_ones_own(void **state)
{
    kit *k = *state;
    enum { DAYS = 5 };
    char like[JOB_ROOM], sk[JOB_ROOM], last[JOB_ROOM] = "";
    ulid_push(k, "q", like);
    int64_t begin_ms = k->now_ms;
    for (int day = 1; day <= DAYS; day++)
        for (uint64_t place = 0; place < 40; place++)
            for (int64_t ms = 0; ms < 3; ms++) {
                ulid_of(sk, like, begin_ms + LK_HOURS(24) * day + ms, place);
                kit_set(k, "q", sk, "own");
            }
    for (int day = 1; day <= DAYS; day++) {
        kit_advance(k, begin_ms + LK_HOURS(24) * day - k->now_ms);
        for (int i = 0; i < 7; i++) {
            ulid_push(k, "q", sk);
            assert_true(strcmp(last, sk) < 0);
            memcpy(last, sk, sizeof last);
            assert_true(kit_holds(k, kit_key("q", sk), "x"));
        }
    }
    assert_int_equal(jobs_items(k, "q"), 1 + 7 * DAYS + DAYS * 40 * 3);
}

/* Keys that the queue generates can be used whatever the limit is; others may not be longer. */
static void
test_generated_keys_can_be_used_below_their_size(void **state)
{
    (void)state;
    for (size_t limit = 1; limit <= 26; limit += 5) {
        kit k;
        char sk[JOB_ROOM];
        job j;
        lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
        options.max_sk_size = limit;
        kit_open(&k, &options);
        ulid_push(&k, "q", sk);
        lk_key key = kit_key("q", sk);
        assert_true(kit_holds(&k, key, "x"));
        kit_set(&k, "q", sk, "y");
        lk_lock lock = kit_lock(&k, key);
        lk_item item = {.key = key, .data = lk_string("z")};
        assert_status(LK_OK, lk_set_atomic(k.db, &item, 1, &lock, 1, NULL));
        lk_query query = {.pk = lk_string("q"), .sk_prefix = lk_string(sk)};
        assert_status(LK_OK, lk_query_items(k.db, &query, k.result));
        assert_int_equal(lk_result_count(k.result), 1);
        query = (lk_query){.pk = lk_string("q"), .after = lk_string(sk)};
        assert_status(LK_OK, lk_query_items(k.db, &query, k.result));
        assert_int_equal(lk_result_count(k.result), 0);
        for (size_t size = 1; size <= ULID_SIZE; size++) { /* parts of it */
            query = (lk_query){.pk = lk_string("q"), .sk_prefix = {sk, size}};
            assert_status(LK_OK, lk_query_items(k.db, &query, k.result));
            assert_int_equal(lk_result_count(k.result), 1);
            query = (lk_query){.pk = lk_string("q"), .after = {sk, size}};
            assert_status(LK_OK, lk_query_items(k.db, &query, k.result));
            assert_int_equal(lk_result_count(k.result), size < ULID_SIZE);
        }
        query.after = lk_string("123456789012345678901234567");
        assert_status(LK_TOO_BIG, lk_query_items(k.db, &query, k.result));
        lk_stream *stream;
        lk_item seen;
        for (int i = 0; i < 300; i++)
            ulid_push(&k, "many", sk);
        query = (lk_query){.pk = lk_string("many")};
        assert_status(LK_OK, lk_stream_open(k.db, &query, &stream));
        for (int i = 0; i < 300; i++)
            assert_status(LK_OK, lk_stream_next(stream, &seen));
        assert_status(LK_END, lk_stream_next(stream, &seen));
        lk_stream_close(stream);
        assert_pull(&k, "q", "z", &j);
        assert_held(&k, &j);
        assert_status(LK_OK, lk_queue_release(k.db, &j.claim, 0));
        assert_status(LK_EMPTY, jobs_pull_once(&k, "q", "dead"));
        assert_pull(&k, "dead", "z", &j);
        assert_status(LK_OK, lk_queue_acknowledge(k.db, &j.claim, 1));
        memset(sk, 'a', sizeof sk);
        sk[limit + 1] = '\0';
        if (limit + 1 != ULID_SIZE)
            assert_status(LK_TOO_BIG, lkc_try_push(k.db, "q", sk, "x", NULL));
        sk[limit] = '\0';
        jobs_push(&k, "q", sk, "x");
        kit_close(&k);
    }
}

static void
test_forged_ulids_find_nothing(void **state)
{
    kit *k = *state;
    char sk[JOB_ROOM], forged[JOB_ROOM];
    ulid_push(k, "q", sk);
    for (size_t at = 0; at < ULID_SIZE; at++) {
        for (const char *letter = "01289AHVZIabz!\xff"; *letter != '\0'; letter++) {
            memcpy(forged, sk, sizeof sk);
            if (forged[at] == *letter)
                continue;
            forged[at] = *letter;
            lk_key key = lk_key_of("q", forged);
            job j = {.claim = {.key = key, .token = 1}};
            assert_true(kit_holds(k, key, NULL));
            assert_status(LK_OK, lk_delete(k->db, &key, 1));
            assert_lost(k, &j);
            j.claim.token = 0;
            assert_status(LK_LOST, lk_queue_acknowledge(k->db, &j.claim, 1));
            assert_status(LK_LOST, lk_queue_release(k->db, &j.claim, 0));
        }
    }
    for (size_t size = 0; size < ULID_SIZE; size++)
        assert_true(kit_holds(k, (lk_key){lk_string("q"), {sk, size}}, NULL));
    assert_int_equal(jobs_items(k, "q"), 1);
    assert_pull(k, "q", "x", NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_ulids_tell_the_time_of_their_push),
        KIT_TEST(test_ulids_of_batches_are_contiguous_and_in_order),
        KIT_TEST(test_ulids_of_mixed_batches_are_contiguous_and_in_order),
        KIT_TEST(test_ulids_of_different_queues_and_stores_differ),
        KIT_TEST(test_keys_of_places_to_come_are_jobs_like_others),
        KIT_TEST(test_generated_keys_pass_over_keys_of_ones_own),
        cmocka_unit_test(test_generated_keys_can_be_used_below_their_size),
        KIT_TEST(test_forged_ulids_find_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
