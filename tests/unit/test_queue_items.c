/* SPDX-License-Identifier: MIT
 *
 * Jobs are items: every read sees them whoever holds them, a set leaves their place and their claim, a delete takes them out, locks
 * guard their keys.
 */
#include "support/jobs.h"
#include "support/model.h"

static const char *const sks[] = {NULL, "own"};

/* The key of the only item of "q", of its own memory. */
static lk_key
key_of_the_only_one(kit *k, char text[JOB_ROOM])
{
    lk_query query = {.pk = lk_string("q")};
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    assert_int_equal(lk_result_count(k->result), 1);
    lk_bytes sk = lk_result_item(k->result, 0)->key.sk;
    assert_true(sk.size < JOB_ROOM);
    memcpy(text, sk.data, sk.size);
    text[sk.size] = '\0';
    return lk_key_of("q", text);
}

/* ---- reads ---- */

/* All reads agree that `key` holds `data`; NULL: that nothing is there. */
static void
all_reads_say(kit *k, lk_key key, const char *data)
{
    char buffer[JOB_ROOM];
    size_t size = 0;
    lk_item item;
    lk_key keys[3] = {lk_key_of("none", "x"), key, key};
    lk_query query = {.pk = key.pk, .sk_prefix = key.sk, .limit = 1};
    lk_stream *stream = NULL;
    lk_status there = data != NULL ? LK_OK : LK_NOT_FOUND;
    assert_true(kit_holds(k, key, data));
    assert_true(data == NULL || lk_result_claim(k->result, 0) == NULL);
    assert_status(there, lk_get_into(k->db, key, buffer, sizeof buffer, &size));
    lk_read_begin(k->db);
    assert_status(there, lk_view(k->db, key, &item));
    assert_true(data == NULL || (kit_bytes_are(item.data, data) && size == item.data.size));
    lk_read_end(k->db);
    assert_status(LK_OK, lk_get_many(k->db, keys, 3, k->result));
    assert_null(lk_result_item(k->result, 0));
    for (size_t i = 1; i < 3; i++) {
        const lk_item *found = lk_result_item(k->result, i);
        assert_true(data == NULL ? found == NULL : kit_bytes_are(found->data, data));
    }
    for (int form = 0; form < 4; form++) {
        query.reverse = form % 2 != 0;
        query.relaxed = form / 2 != 0;
        assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
        assert_int_equal(lk_result_count(k->result), data != NULL);
        assert_status(LK_OK, lk_stream_open(k->db, &query, &stream));
        assert_status(data != NULL ? LK_OK : LK_END, lk_stream_next(stream, &item));
        assert_true(data == NULL || kit_bytes_are(item.data, data));
        lk_stream_close(stream);
    }
}

static void
test_reads_see_a_job_through_its_whole_life(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        char text[JOB_ROOM];
        job j;
        jobs_push_delayed(k, "q", sks[i], "life", 100);
        lk_key key = key_of_the_only_one(k, text);
        all_reads_say(k, key, "life"); /* delayed */
        kit_advance(k, 100);
        all_reads_say(k, key, "life"); /* ready */
        assert_pull(k, "q", "life", &j);
        all_reads_say(k, key, "life"); /* claimed */
        assert_status(LK_OK, lk_queue_release(k->db, &j.claim, 10));
        all_reads_say(k, key, "life"); /* released */
        kit_advance(k, 11);
        assert_pull(k, "q", "life", &j);
        kit_advance(k, JOB_VISIBILITY_MS + 1);
        all_reads_say(k, key, "life"); /* lapsed */
        assert_status(LK_LATE, lk_queue_acknowledge(k->db, &j.claim, 1));
        all_reads_say(k, key, NULL);
        assert_int_equal(jobs_items(k, "q"), 0);
    }
}

/* One partition of 2,000: generated jobs, jobs with keys, items; a third of the jobs claimed. */
static size_t
mixture_make(kit *k)
{
    static const char *const prefixes[] = {"!", "01", "zz"};
    char sk[JOB_ROOM];
    size_t made = 0;
    for (size_t i = 0; i < 400; i++) {
        for (size_t at = 0; at < KIT_COUNT(prefixes); at++, made++) {
            snprintf(sk, sizeof sk, "%s%04zu", prefixes[at], i * 7 % 400);
            if ((i + at) % 2 == 0)
                kit_set(k, "q", sk, "item");
            else
                jobs_push(k, "q", sk, "job");
        }
        assert_status(LK_OK, jobs_try_push_batch(k, "q", i * 2, 2, NULL, NULL));
        made += 2;
    }
    for (size_t i = 0; i < 400; i++) {
        job j;
        assert_status(LK_OK, jobs_try_pull(k, "q", &j));
        if (i % 8 == 0) {
            assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
            made--;
        }
    }
    return made;
}

/* All in order, all of the prefix, as a query says. */
static size_t
query_holds(kit *k, const lk_query *query)
{
    char after[JOB_ROOM]; /* the cursor may lie in the result */
    size_t after_size = query->after.size;
    assert_true(after_size < sizeof after);
    if (after_size > 0)
        memcpy(after, query->after.data, after_size);
    assert_status(LK_OK, lk_query_items(k->db, query, k->result));
    size_t count = lk_result_count(k->result);
    for (size_t i = 0; i < count; i++) {
        lk_bytes sk = lk_result_item(k->result, i)->key.sk;
        lk_bytes last =
            i == 0 ? (lk_bytes){after, after_size} : lk_result_item(k->result, i - 1)->key.sk;
        int order = model_compare(last, sk);
        assert_true((i == 0 && last.size == 0) || (query->reverse ? order > 0 : order < 0));
        assert_true(sk.size >= query->sk_prefix.size &&
                    (query->sk_prefix.size == 0 ||
                     memcmp(sk.data, query->sk_prefix.data, query->sk_prefix.size) == 0));
    }
    return count;
}

static void
test_queries_and_streams_merge_jobs_and_items(void **state)
{
    kit *k = *state;
    static const char *const prefixes[] = {"", "!", "0", "01", "01HF7YAT", "zz", "zz00", "?"};
    size_t all = mixture_make(k), of_prefix[KIT_COUNT(prefixes)];
    for (size_t i = 0; i < KIT_COUNT(prefixes); i++) {
        for (int form = 0; form < 4; form++) {
            lk_query query = {.pk = lk_string("q"),
                              .sk_prefix = lk_string(prefixes[i]),
                              .reverse = form % 2 != 0,
                              .relaxed = form / 2 != 0};
            size_t count = query_holds(k, &query), paged = 0, streamed = 0;
            assert_true(form == 0 || count == of_prefix[i]);
            of_prefix[i] = count;
            query.limit = 70;
            for (size_t page = 70; page == 70; paged += page) {
                page = query_holds(k, &query);
                if (page > 0) /* the cursor points into the result that the next page fills */
                    query.after = lk_result_item(k->result, page - 1)->key.sk;
            }
            assert_int_equal(paged, count);
            query.limit = 0;
            query.after = (lk_bytes){NULL, 0};
            lk_stream *stream = NULL;
            lk_item item;
            char last[JOB_ROOM] = "";
            assert_status(LK_OK, lk_stream_open(k->db, &query, &stream));
            for (; lk_stream_next(stream, &item) == LK_OK; streamed++) {
                int order = model_compare(lk_string(last), item.key.sk);
                assert_true(streamed == 0 || (query.reverse ? order > 0 : order < 0));
                memcpy(last, item.key.sk.data, item.key.sk.size);
                last[item.key.sk.size] = '\0';
            }
            lk_stream_close(stream);
            assert_int_equal(streamed, count);
        }
    }
    assert_int_equal(of_prefix[0], all);
    assert_int_equal(of_prefix[0], of_prefix[1] + of_prefix[2] + of_prefix[5]);
    assert_int_equal(of_prefix[7], 0);
}

/* ---- items that are no jobs ---- */

static void
test_items_are_never_pulled(void **state)
{
    kit *k = *state;
    kit_set(k, "q", "!", "item");
    kit_set(k, "q", "", "item of the empty sk");
    jobs_push(k, "q", NULL, "job");
    kit_set(k, "q", "zz", "item");
    assert_depths(k, "q", 1, 0, 0);
    job j;
    assert_pull(k, "q", "job", &j);
    assert_empty(k, "q");
    assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
    assert_int_equal(jobs_items(k, "q"), 3);
    /* What was a job and is written anew after it went is an item. */
    kit_set(k, "q", j.sk, "again");
    jobs_push(k, "q", "own", "job");
    assert_pull(k, "q", "job", &j);
    assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
    kit_set(k, "q", "own", "again");
    assert_empty(k, "q");
    kit_advance(k, LK_HOURS(1));
    assert_empty(k, "q");
}

/* ---- set ---- */

static void
test_set_of_a_job_leaves_its_claim(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push(k, "q", sks[i], "a");
        assert_pull(k, "q", "a", &j);
        for (int form = 0; form < 3; form++) {
            lk_write put = {.kind = LK_PUT, .item = kit_item("q", j.sk, "put")};
            lk_lock lock = {0};
            if (form == 0)
                kit_set(k, "q", j.sk, "set");
            else if (form == 1)
                assert_status(LK_OK, lk_commit(k->db, &put, 1, NULL, 0, NULL));
            else
                lock = kit_lock(k, j.claim.key);
            if (form == 2)
                assert_status(LK_OK, lk_set_atomic(k->db, &put.item, 1, &lock, 1, NULL));
            all_reads_say(k, j.claim.key, form == 0 ? "set" : "put");
            assert_empty(k, "q");
            assert_held(k, &j);
            assert_depths(k, "q", 0, 1, 0);
        }
        kit_advance(k, JOB_VISIBILITY_MS + 1);
        job again;
        assert_pull(k, "q", "put", &again);
        assert_int_equal(again.claim.receives, 2);
        assert_lost(k, &j);
        kit_set(k, "q", j.sk, "last");
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &again.claim, 1));
        assert_true(kit_holds(k, again.claim.key, NULL));
    }
}

static void
test_set_of_a_job_leaves_its_place_and_its_delay(void **state)
{
    kit *k = *state;
    char sk[3][JOB_ROOM];
    for (size_t form = 0; form < 2; form++) {
        lk_item items[3];
        for (size_t i = 0; i < 3; i++)
            items[i] = kit_item("q", form == 0 ? NULL : i == 0 ? "a" : i == 1 ? "b" : "c", "old");
        lk_push_options options = {.delay_ms = 100};
        assert_status(LK_OK, lk_queue_push(k->db, items, 2, NULL, k->result));
        for (size_t i = 0; i < 2; i++)
            snprintf(sk[i], JOB_ROOM, "%.*s", (int)lk_result_item(k->result, i)->key.sk.size,
                     (const char *)lk_result_item(k->result, i)->key.sk.data);
        assert_status(LK_OK, lk_queue_push(k->db, &items[2], 1, &options, k->result));
        snprintf(sk[2], JOB_ROOM, "%.*s", (int)lk_result_item(k->result, 0)->key.sk.size,
                 (const char *)lk_result_item(k->result, 0)->key.sk.data);
        for (size_t i = 3; i-- > 0;)
            kit_set(k, "q", sk[i], i == 0 ? "0" : i == 1 ? "1" : "2");
        assert_depths(k, "q", 2, 0, 1);
        job j;
        for (uint32_t turn = 1; turn <= 2; turn++) {
            assert_pull(k, "q", "0", &j);
            assert_int_equal(j.claim.receives, turn);
            assert_status(LK_OK, lk_queue_release(k->db, &j.claim, 0));
        }
        assert_pull(k, "q", "0", NULL);
        assert_pull(k, "q", "1", NULL);
        assert_empty(k, "q");
        kit_advance(k, 99);
        assert_empty(k, "q");
        kit_advance(k, 1);
        assert_pull(k, "q", "2", &j);
        assert_int_equal(j.claim.receives, 1);
        assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
    }
}

static void
test_set_of_a_job_replaces_its_expiry(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push_expiring(k, "q", sks[i], "a", k->now_ms + 100);
        assert_pull(k, "q", "a", &j);
        kit_set(k, "q", j.sk, "b"); /* never */
        kit_advance(k, 101);
        assert_held(k, &j);
        lk_item item = kit_item("q", j.sk, "c");
        item.expires_at_ms = k->now_ms + 5;
        assert_status(LK_OK, lk_set(k->db, &item, 1));
        assert_held(k, &j);
        kit_advance(k, 6);
        assert_lost(k, &j);
        assert_depths(k, "q", 0, 0, 0);
        kit_set(k, "q", j.sk, "an item now");
        kit_advance(k, LK_HOURS(1));
        assert_empty(k, "q");
        assert_lost(k, &j);
        assert_true(kit_holds(k, j.claim.key, "an item now"));
    }
}

static void
test_set_of_a_job_to_an_expired_item_takes_it_out(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push(k, "q", sks[i], "a");
        assert_pull(k, "q", "a", &j);
        lk_item item = kit_item("q", j.sk, "c");
        item.expires_at_ms = k->now_ms - 1;
        assert_status(LK_OK, lk_set(k->db, &item, 1));
        assert_lost(k, &j);
        kit_advance(k, LK_HOURS(1));
        assert_empty(k, "q");
        assert_int_equal(jobs_items(k, "q"), 0);
    }
}

static void
test_set_of_many_jobs_to_other_sizes_is_read_by_pulls(void **state)
{
    kit *k = *state;
    enum { COUNT = 700 };
    static char big[1000];
    char texts[COUNT][JOB_ROOM];
    memset(big, 'x', sizeof big);
    assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, COUNT, NULL, k->result));
    for (size_t i = 0; i < COUNT; i++)
        snprintf(texts[i], JOB_ROOM, "%.26s",
                 (const char *)lk_result_item(k->result, i)->key.sk.data);
    for (size_t i = 0; i < COUNT; i += 2) {
        lk_item item = {.key = lk_key_of("q", texts[i]), .data = {big, i}};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = COUNT};
    assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
    assert_int_equal(lk_result_count(k->result), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const lk_item *item = lk_result_item(k->result, i);
        assert_true(kit_bytes_are(item->key.sk, texts[i]));
        assert_int_equal(item->data.size, i % 2 == 0 ? i : 8);
        assert_status(LK_OK, lk_queue_acknowledge(k->db, lk_result_claim(k->result, i), 1));
    }
    assert_int_equal(jobs_items(k, "q"), 0);
}

/* ---- delete ---- */

static void
test_delete_takes_a_job_out_in_every_state(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        for (int form = 0; form < 5; form++) { /* ready, claimed, lapsed, delayed, by a commit */
            char text[JOB_ROOM];
            job j;
            jobs_push_delayed(k, "q", sks[i], "a", form == 3 ? 100 : 0);
            lk_key key = key_of_the_only_one(k, text);
            lk_write write = {.kind = LK_DELETE, .item = {.key = key}};
            if (form != 0 && form != 3)
                assert_pull(k, "q", "a", &j);
            if (form == 2)
                kit_advance(k, JOB_VISIBILITY_MS + 1);
            assert_status(LK_OK, form == 4 ? lk_commit(k->db, &write, 1, NULL, 0, NULL)
                                           : lk_delete(k->db, &key, 1));
            all_reads_say(k, key, NULL);
            assert_depths(k, "q", 0, 0, 0);
            if (form != 0 && form != 3)
                assert_lost(k, &j);
            kit_advance(k, LK_HOURS(1));
            assert_empty(k, "q");
            assert_status(LK_OK, lk_delete(k->db, &key, 1));
        }
    }
}

static void
test_delete_in_the_middle_leaves_the_rest_in_order(void **state)
{
    kit *k = *state;
    enum { COUNT = 1100 };
    lk_key *keys = calloc(COUNT, sizeof *keys);
    lk_result *pushed = lk_result_new();
    assert_true(keys != NULL && pushed != NULL);
    assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, COUNT, NULL, pushed));
    size_t count = 0;
    for (size_t i = 0; i < COUNT; i++)
        if (i % 3 != 0)
            keys[count++] = lk_result_item(pushed, i)->key;
    assert_status(LK_OK, lk_delete(k->db, keys, count));
    free(keys);
    lk_result_free(pushed);
    for (size_t i = 0; i < COUNT; i += 3) {
        job j;
        assert_status(LK_OK, jobs_try_pull(k, "q", &j));
        assert_int_equal(strtoull(j.data, NULL, 10), i);
    }
    assert_empty(k, "q");
}

/* ---- locks ---- */

static void
test_lock_of_a_job_guards_its_key(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push(k, "q", sks[i], "a");
        assert_pull(k, "q", "a", &j);
        lk_lock lock = kit_lock(k, j.claim.key), stale = lock;
        assert_true(kit_lock(k, j.claim.key).version == lock.version);
        lk_item item = kit_item("q", j.sk, "b");
        assert_status(LK_OK, lk_set_atomic(k->db, &item, 1, &lock, 1, NULL));
        assert_status(LK_RACE, lk_set_atomic(k->db, &item, 1, &stale, 1, NULL));
        assert_held(k, &j);
        lk_lock locks[1];
        assert_status(LK_OK, lk_get_locked(k->db, &j.claim.key, 1, locks, k->result));
        assert_true(locks[0].version == lock.version);
        assert_true(kit_bytes_are(lk_result_item(k->result, 0)->data, "b"));
        /* Neither a release nor a pull is a write of the item. */
        assert_status(LK_OK, lk_queue_release(k->db, &j.claim, 0));
        assert_pull(k, "q", "b", &j);
        assert_status(LK_OK, lk_set_atomic(k->db, &item, 1, &lock, 1, NULL));
        assert_held(k, &j);
        assert_status(LK_OK, lk_delete(k->db, &j.claim.key, 1));
        assert_status(LK_RACE, lk_set_atomic(k->db, &item, 1, &lock, 1, NULL));
        assert_true(kit_lock(k, j.claim.key).version > lock.version);
    }
}

static void
test_lock_of_a_key_outlives_the_push_of_a_job(void **state)
{
    kit *k = *state;
    lk_lock lock = kit_lock(k, lk_key_of("q", "own"));
    jobs_push(k, "q", "own", "a");
    lk_item item = kit_item("q", "own", "b");
    assert_status(LK_OK, lk_set_atomic(k->db, &item, 1, &lock, 1, NULL));
    assert_pull(k, "q", "b", NULL);
    jobs_push(k, "q", "own", "c");
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
    assert_pull(k, "q", "c", NULL);
}

/* Who read the lock of a job that is done since must not bring it back. */
static void
test_lock_of_a_job_is_stale_once_the_job_is_taken_out(void **state)
{
    kit *k = *state;
    for (int form = 0; form < 8; form++) {
        job j;
        jobs_push(k, "q", sks[form % 2], "a");
        assert_pull(k, "q", "a", &j);
        lk_lock lock = kit_lock(k, j.claim.key);
        lk_write write = {.kind = LK_ACKNOWLEDGE, .claim = &j.claim};
        lk_item item = kit_item("q", j.sk, "back again");
        if (form / 2 == 0)
            assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
        else if (form / 2 == 1)
            assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
        else if (form / 2 == 2)
            assert_status(LK_OK, lk_commit(k->db, &write, 1, NULL, 0, NULL));
        else
            assert_status(LK_OK, lk_queue_release(k->db, &j.claim, 0));
        if (form / 2 == 3)
            assert_status(LK_EMPTY, jobs_try_pull_limited(k, "q", 1, "dead", NULL));
        assert_status(LK_RACE, lk_set_atomic(k->db, &item, 1, &lock, 1, NULL));
        assert_true(kit_holds(k, j.claim.key, NULL));
        assert_true(kit_lock(k, j.claim.key).version > lock.version);
    }
}

/* They have heads, which go two epochs after them, and lie in the memory of segments that end with the last of them. */
static void
test_jobs_that_are_deleted_behind_their_locks_give_back_their_memory(void **state)
{
    kit *k = *state;
    enum { JOBS = 3000 };
    static lk_item jobs[JOBS];
    lk_result *pushed = lk_result_new();
    size_t before = 0;
    for (size_t i = 0; i < JOBS; i++)
        jobs[i] = kit_item("q", "", "some bytes");
    for (int round = 0; round < 4; round++) {
        assert_status(LK_OK, lk_queue_push(k->db, jobs, JOBS, NULL, pushed));
        for (size_t i = 0; i < JOBS; i++)
            (void)kit_lock(k, lk_result_item(pushed, i)->key);
        for (size_t i = 0; i < JOBS; i++)
            assert_status(LK_OK, lk_delete(k->db, &lk_result_item(pushed, i)->key, 1));
        kit_sweep(k);
        if (round == 1)
            before = atomic_load(&k->memory.bytes);
    }
    assert_true(atomic_load(&k->memory.bytes) <= before);
    lk_result_free(pushed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads_see_a_job_through_its_whole_life),
        TEST(test_queries_and_streams_merge_jobs_and_items),
        TEST(test_items_are_never_pulled),
        TEST(test_set_of_a_job_leaves_its_claim),
        TEST(test_set_of_a_job_leaves_its_place_and_its_delay),
        TEST(test_set_of_a_job_replaces_its_expiry),
        TEST(test_set_of_a_job_to_an_expired_item_takes_it_out),
        TEST(test_set_of_many_jobs_to_other_sizes_is_read_by_pulls),
        TEST(test_delete_takes_a_job_out_in_every_state),
        TEST(test_delete_in_the_middle_leaves_the_rest_in_order),
        TEST(test_lock_of_a_job_guards_its_key),
        TEST(test_lock_of_a_key_outlives_the_push_of_a_job),
        TEST(test_lock_of_a_job_is_stale_once_the_job_is_taken_out),
        TEST(test_jobs_that_are_deleted_behind_their_locks_give_back_their_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
