/* SPDX-License-Identifier: MIT
 *
 * The smallest uses of the library in which its ordering pairs meet: two or three threads, a call
 * or two each. `audit` runs them with each order made weaker.
 */
#include <latchkey/latchkey.h>

#include <stdio.h>
#include <string.h>

#include "schedule/schedule.h"

static lk_db *db, *cache;
static lk_lock old_lock;
static lk_claim claims[4];
static char claim_sk[4][32];
/* By each fiber: they share nothing but the library. */
static struct {
    unsigned pulled, pushed;
    bool told_closed;
} done[SCHEDULE_FIBERS + 1];
#define DONE (done[schedule_self()])

static void
must(lk_status status)
{
    if (status != LK_OK)
        schedule_fail("a call that has to succeed gives %s", lk_status_string(status));
}

static void
store_open(void)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.shards = 1;
    must(lk_memory_open(&options, &db));
}

static void
store_close(void)
{
    lk_close(db);
}

static void
put(lk_db *to, const char *sk, const char *text)
{
    lk_item item = {.key = lk_key_of("p", sk), .data = lk_string(text)};
    schedule_note("set %s %s", sk, text);
    must(lk_set(to, &item, 1));
}

/* Values are one letter, over and over. The letter; 0: there is none. */
static char
letter_of(const lk_item *item)
{
    const char *data = item->data.data;
    if (item->data.size == 0)
        schedule_fail("an item without bytes");
    for (size_t i = 1; i < item->data.size; i++)
        if (data[i] != data[0])
            schedule_fail("a torn value: %.*s", (int)item->data.size, data);
    return data[0];
}

static char
get(lk_db *from, const char *sk)
{
    lk_result *result = lk_result_new();
    char letter = 0;
    lk_status status = lk_get(from, lk_key_of("p", sk), result);
    if (status == LK_OK)
        letter = letter_of(lk_result_item(result, 0));
    else if (status != LK_NOT_FOUND)
        must(status);
    schedule_note("get %s: %c", sk, letter != 0 ? letter : '-');
    lk_result_free(result);
    return letter;
}

static void
queries(void)
{
    lk_result *result = lk_result_new();
    lk_query query = {.pk = lk_string("p")};
    for (int i = 0; i < 2; i++) {
        must(lk_query_items(db, &query, result));
        for (size_t k = 0; k < lk_result_count(result); k++) {
            const lk_item *item = lk_result_item(result, k);
            (void)letter_of(item);
            if (k > 0 && lk_bytes_compare(lk_result_item(result, k - 1)->key.sk, item->key.sk) >= 0)
                schedule_fail("a query is not sorted");
        }
    }
    lk_result_free(result);
}

/* ---- values: P1, P2 ---- */

static void
value_prepare(void)
{
    store_open();
    put(db, "k", "aaaa");
}

static void
value_set_b(void)
{
    put(db, "k", "bbbbbbbb");
}

static void
value_set_c(void)
{
    put(db, "k", "cc");
    put(db, "k", "dddddddddddd");
}

static void
value_get(void)
{
    char last = 'a';
    for (int i = 0; i < 3; i++) {
        char letter = get(db, "k");
        if ((letter == 'a' && last != 'a') || (letter == 'c' && last == 'd'))
            schedule_fail("%c after %c", letter, last);
        last = letter;
    }
}

/* One key after the other; who sees the second, sees the first. P2. */
static void
snapshot_prepare(void)
{
    store_open();
    put(db, "a", "aa");
    put(db, "b", "aa");
}

static void
snapshot_write(void)
{
    for (const char *text = "bc"; *text != '\0'; text++) {
        char value[3] = {*text, *text, 0};
        put(db, "a", value);
        put(db, "b", value);
    }
}

static void
snapshot_read(void)
{
    lk_result *result = lk_result_new();
    lk_key keys[2] = {lk_key_of("p", "a"), lk_key_of("p", "b")};
    lk_query query = {.pk = lk_string("p")};
    char last = 'a';
    for (int i = 0; i < 2; i++) {
        must(i == 0 ? lk_get_many(db, keys, 2, result) : lk_query_items(db, &query, result));
        char first = letter_of(lk_result_item(result, 0));
        char second = letter_of(lk_result_item(result, 1));
        schedule_note("%c %c", first, second);
        if (first < second || first > second + 1 || second < last)
            schedule_fail("one snapshot has %c and %c, after %c", first, second, last);
        last = second;
    }
    lk_result_free(result);
}

/* ---- new keys: P3, P4, P4b ---- */

enum { KEYS = 24 };

static void
keys_prepare(void)
{
    store_open();
    for (int i = 0; i < KEYS; i++) {
        char sk[8];
        snprintf(sk, sizeof sk, "%02d", 2 * i);
        put(db, sk, "ooo");
    }
}

static void
key_add_first(void)
{
    put(db, "01", "xxxx");
}

static void
keys_add(void)
{
    put(db, "01", "xxxx");
    put(db, "21", "xxxx");
    put(db, "47", "xxxx");
}

static void
keys_add_more(void)
{
    put(db, "03", "yy");
    put(db, "23", "yy");
}

static void
keys_get(void)
{
    for (int i = 0; i < 2; i++) {
        char first = get(db, "47"), second = get(db, "21");
        if (first != 0 && second == 0)
            schedule_fail("the first is there, not the one before it");
        if (get(db, "20") == 0)
            schedule_fail("a key that was there is not found");
    }
}

/* ---- keys that go: P5, P6, P7 ---- */

static void
gone_prepare(void)
{
    store_open();
    put(db, "k", "aaaa");
    must(lk_get_lock(db, lk_key_of("p", "k"), &old_lock));
}

static void
gone_delete(void)
{
    lk_key key = lk_key_of("p", "k");
    lk_status status = lk_delete(db, &key, 1);
    if (status != LK_OK && status != LK_NOT_FOUND)
        must(status);
    for (int i = 0; i < 3; i++) {
        status = lk_sweep(db, 0, NULL);
        if (status != LK_BUSY)
            must(status);
    }
}

static void
gone_set(void)
{
    put(db, "k", "cccc");
    gone_delete();
}

static void
gone_lock(void)
{
    for (int i = 0; i < 2; i++) {
        lk_lock lock;
        bool there = get(db, "k") != 0;
        must(lk_get_lock(db, lk_key_of("p", "k"), &lock));
        if (!there && lock.version <= old_lock.version)
            schedule_fail("a lock of a deleted key has version %llu, which was given before",
                          (unsigned long long)lock.version);
    }
}

/* Whatever the threads did, in the end the key goes, and its cell: no ticket was lost. P6. */
static void
gone_for_good(void)
{
    lk_statistics statistics = {0};
    for (int i = 0; i < 3; i++) {
        gone_delete();
        must(lk_statistics_read(db, &statistics));
    }
    if (statistics.cells != 0)
        schedule_fail("the cell of a key that is gone stays");
}

static void
gone_check(void)
{
    lk_item item = {.key = lk_key_of("p", "k"), .data = lk_string("z")};
    if (lk_set_atomic(db, &item, 1, &old_lock, 1, NULL) != LK_RACE)
        schedule_fail("a lock outlives its item");
    gone_for_good();
}

/* A snapshot in which the first key is old has the second one, too, however soon it is buried.
 * P5. */
static void
buried_prepare(void)
{
    store_open();
    put(db, "a", "aa");
    put(db, "k", "kk");
}

static void
buried_delete(void)
{
    put(db, "a", "bb");
    gone_delete();
}

static void
buried_read(void)
{
    lk_result *result = lk_result_new();
    lk_key keys[2] = {lk_key_of("p", "a"), lk_key_of("p", "k")};
    lk_query query = {.pk = lk_string("p")};
    for (int i = 0; i < 2; i++) {
        bool old, there;
        if (i == 0) {
            must(lk_query_items(db, &query, result));
            there = lk_result_count(result) == 2;
        } else {
            must(lk_get_many(db, keys, 2, result));
            there = lk_result_item(result, 1) != NULL;
        }
        old = letter_of(lk_result_item(result, 0)) == 'a';
        schedule_note("%s, %s", old ? "old" : "new", there ? "there" : "gone");
        if (old && !there)
            schedule_fail(
                "one snapshot has the old item, and not the one that went after it changed");
    }
    lk_result_free(result);
}

/* ---- queues: P11 to P16 ---- */

static lk_status
pull_one(int64_t wait_ms, int64_t visibility_ms, lk_claim *claim, char *sk)
{
    lk_result *result = lk_result_new();
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("q");
    options.wait_ms = wait_ms;
    options.visibility_ms = visibility_ms;
    lk_status status = lk_queue_pull(db, &options, result);
    schedule_note("pull: %s", lk_status_string(status));
    if (status == LK_OK) {
        (void)letter_of(lk_result_item(result, 0));
        *claim = *lk_result_claim(result, 0);
        memcpy(sk, claim->key.sk.data, claim->key.sk.size);
        claim->key.pk = lk_string("q");
        claim->key.sk.data = sk;
    }
    lk_result_free(result);
    return status;
}

static void
push(unsigned count)
{
    lk_item jobs[2] = {{.key = lk_key_of("q", ""), .data = lk_string("jjjj")},
                       {.key = lk_key_of("q", ""), .data = lk_string("kkkkkkkk")}};
    schedule_note("push %u", count);
    must(lk_queue_push(db, jobs, count, NULL, NULL));
    DONE.pushed += count;
}

static void
queue_prepare(void)
{
    store_open();
    push(1);
    DONE.pushed = 0;
    must(pull_one(0, 0, &claims[0], claim_sk[0]));
    must(lk_queue_acknowledge(db, &claims[0], 1));
}

static void
push_two(void)
{
    push(2);
}

static void
push_one(void)
{
    push(1);
}

/* Time passes only while all wait. So where nobody lets it pass, who waited was woken in vain, or
 * not at all. */
static void
take(unsigned which, int64_t wait_ms)
{
    int64_t began_ms = schedule_monotonic_ms();
    lk_status status = pull_one(wait_ms, 0, &claims[which], claim_sk[which]);
    if (schedule_monotonic_ms() != began_ms)
        schedule_fail("a waiting pull slept past what it waited for");
    if (status == LK_OK) {
        DONE.pulled++;
        must(lk_queue_acknowledge(db, &claims[which], 1));
    } else if (status == LK_CLOSED) {
        DONE.told_closed = true;
    } else if (status != LK_EMPTY) {
        must(status);
    }
}

static void
take_1(void)
{
    take(1, 0);
}

static void
take_2(void)
{
    take(2, 0);
    take(2, 0);
}

static void
take_waiting_1(void)
{
    take(1, -1);
}

static void
take_waiting_2(void)
{
    take(2, -1);
}

static void
rest_check(void)
{
    while (pull_one(0, 0, &claims[0], claim_sk[0]) == LK_OK) {
        DONE.pulled++;
        must(lk_queue_acknowledge(db, &claims[0], 1));
    }
    unsigned pulled = 0, pushed = 0;
    for (unsigned i = 0; i <= SCHEDULE_FIBERS; i++) {
        pulled += done[i].pulled;
        pushed += done[i].pushed;
    }
    if (pulled != pushed)
        schedule_fail("%u jobs pushed, %u pulled", pushed, pulled);
}

static void
lapse_prepare(void)
{
    queue_prepare();
    push(1);
}

/* One has lapsed, and is noticed, while the next is claimed: it lapses, too. P12. */
static void
lapses_prepare(void)
{
    queue_prepare();
    push(2);
    must(pull_one(0, 10, &claims[0], claim_sk[0]));
}

static void
lapses_claim(void)
{
    (void)pull_one(0, 15, &claims[1], claim_sk[1]);
}

static void
lapses_notice(void)
{
    schedule_time_pass(30);
    (void)pull_one(0, 100000, &claims[2], claim_sk[2]); /* so late that it covers no other claim */
}

static void
lapses_check(void)
{
    schedule_time_pass(1000);
    if (pull_one(0, 0, &claims[0], claim_sk[0]) != LK_OK)
        schedule_fail("a claim does not lapse");
}

/* Two jobs, one after the other, and who looks at the queue as items: P2 of places. */
static void
push_one_and_one(void)
{
    push(1);
    push(1);
}

static void
jobs_look(void)
{
    lk_result *result = lk_result_new();
    lk_query query = {.pk = lk_string("q")};
    size_t last = 0;
    for (int i = 0; i < 3; i++) {
        must(lk_query_items(db, &query, result));
        schedule_note("%zu jobs", lk_result_count(result));
        if (lk_result_count(result) < last)
            schedule_fail("%zu jobs after %zu", lk_result_count(result), last);
        last = lk_result_count(result);
    }
    lk_result_free(result);
}

/* Jobs that are given back: the ordered sets. P10, P10b. */
static void
back_prepare(void)
{
    queue_prepare();
    push(2);
    for (unsigned i = 1; i < 3; i++)
        must(pull_one(0, 0, &claims[i], claim_sk[i]));
}

static void
back(unsigned which, int64_t delay_ms)
{
    must(lk_queue_release(db, &claims[which], delay_ms));
}

static void
back_1(void)
{
    back(1, 0);
}

static void
back_2(void)
{
    back(2, 0);
}

static void
back_take(void)
{
    lk_claim claim;
    char sk[32];
    for (int i = 0; i < 2; i++)
        if (pull_one(0, 0, &claim, sk) == LK_OK) {
            DONE.pulled++;
            must(lk_queue_acknowledge(db, &claim, 1));
        }
}

static void
back_take_waiting(void)
{
    take(3, -1);
}

/* A segment with one place left: its successor, and its end. */
enum { FIRST_SEGMENT = 16 };

static void
full_prepare(void)
{
    store_open();
    lk_item job = {.key = lk_key_of("q", ""), .data = lk_string("jjjj")};
    for (int i = 0; i < FIRST_SEGMENT - 1; i++) {
        must(lk_queue_push(db, &job, 1, NULL, NULL));
        must(pull_one(0, 0, &claims[0], claim_sk[0]));
        must(lk_queue_acknowledge(db, &claims[0], 1));
    }
}

/* ---- closing: P16 ---- */

static void
close_queue(void)
{
    schedule_note("close");
    must(lk_queue_close(db, lk_string("q")));
}

static void
push_by_commit(void)
{
    lk_write write = {.kind = LK_PUSH,
                      .item = {.key = lk_key_of("q", ""), .data = lk_string("jjjj")}};
    lk_status status = lk_commit(db, &write, 1, NULL, 0, NULL);
    schedule_note("push by commit: %s", lk_status_string(status));
    if (status == LK_OK)
        DONE.pushed++;
    else if (status != LK_CLOSED)
        must(status);
}

static void
close_check(void)
{
    if (done[3].told_closed && pull_one(0, 0, &claims[0], claim_sk[0]) == LK_OK)
        schedule_fail("a job after the last pull was told that none will come");
    rest_check();
}

static void
take_until_closed(void)
{
    for (int i = 0; i < 4 && !DONE.told_closed; i++)
        take(1, 0);
}

static void
take_until_closed_waiting(void)
{
    while (!DONE.told_closed)
        take(1, -1);
}

/* ---- the cache: P17, P18 ---- */

static void
cache_prepare(void)
{
    store_open();
    lk_cache_options options = LK_CACHE_OPTIONS_INIT;
    options.max_items = 64;
    put(db, "k", "aaaa");
    must(lk_cache_open(db, &options, &cache));
    (void)get(cache, "k");
}

static void
cache_set(void)
{
    put(cache, "k", "bbbb");
}

static void
cache_look(void)
{
    char inside = get(db, "k"), through = get(cache, "k");
    if (inside == 'b' && through == 'a')
        schedule_fail("the database has the new item, the cache the old one");
}

/* The same of a job that a purge takes out, which names none. */
static void
purge_prepare(void)
{
    cache_prepare();
    lk_item job = {.key = lk_key_of("p", "j"), .data = lk_string("jj")};
    must(lk_queue_push(cache, &job, 1, NULL, NULL));
}

static void
purge(void)
{
    must(lk_queue_purge(cache, lk_string("p"), NULL));
}

static void
purge_fill(void)
{
    (void)get(cache, "j");
}

static void
purge_look(void)
{
    char inside = get(db, "j"), through = get(cache, "j");
    if (inside == 0 && through != 0)
        schedule_fail("the database has no job any more, the cache still has it");
}

static void
cache_close(void)
{
    lk_close(cache);
    lk_close(db);
    lk_thread_detach(); /* what it remembers of two handles may be memory of its own */
}

const schedule_scenario schedule_scenarios[] = {
    {.name = "value",
     .prepare = value_prepare,
     .body = {value_set_b, value_set_c, value_get},
     .check = queries,
     .teardown = store_close},
    {.name = "snapshot",
     .prepare = snapshot_prepare,
     .body = {snapshot_write, snapshot_read},
     .check = queries,
     .teardown = store_close},
    {.name = "keys",
     .prepare = keys_prepare,
     .body = {keys_add, keys_get, keys_add_more},
     .check = queries,
     .teardown = store_close},
    {.name = "keys_query",
     .prepare = keys_prepare,
     .body = {keys_add, queries, keys_add_more},
     .check = queries,
     .teardown = store_close},
    {.name = "key_first",
     .prepare = store_open,
     .body = {key_add_first, queries},
     .check = queries,
     .teardown = store_close},
    {.name = "gone",
     .prepare = gone_prepare,
     .body = {gone_delete, gone_lock, gone_delete},
     .check = gone_check,
     .teardown = store_close},
    {.name = "gone_again",
     .prepare = gone_prepare,
     .body = {gone_delete, gone_set},
     .check = gone_for_good,
     .teardown = store_close},
    {.name = "buried",
     .prepare = buried_prepare,
     .body = {buried_delete, buried_read},
     .teardown = store_close},
    {.name = "queue",
     .prepare = queue_prepare,
     .body = {push_two, take_1, take_2},
     .check = rest_check,
     .teardown = store_close},
    {.name = "queue_pushers",
     .prepare = queue_prepare,
     .body = {push_two, push_one, take_2},
     .check = rest_check,
     .teardown = store_close},
    {.name = "queue_full",
     .prepare = full_prepare,
     .body = {push_two, push_one, take_2},
     .check = rest_check,
     .teardown = store_close},
    {.name = "queue_wait",
     .prepare = queue_prepare,
     .body = {push_one, take_waiting_1},
     .check = rest_check,
     .teardown = store_close},
    {.name = "queue_wait_two",
     .prepare = queue_prepare,
     .body = {push_two, take_waiting_1, take_waiting_2},
     .check = rest_check,
     .teardown = store_close},
    {.name = "lapses",
     .prepare = lapses_prepare,
     .body = {lapses_claim, lapses_notice},
     .check = lapses_check,
     .teardown = store_close},
    {.name = "queue_look",
     .prepare = queue_prepare,
     .body = {push_one_and_one, jobs_look},
     .teardown = store_close},
    {.name = "back",
     .prepare = back_prepare,
     .body = {back_1, back_2, back_take},
     .check = rest_check,
     .teardown = store_close},
    {.name = "back_wait",
     .prepare = back_prepare,
     .body = {back_1, back_take_waiting},
     .teardown = store_close},
    {.name = "close",
     .prepare = queue_prepare,
     .body = {push_by_commit, close_queue, take_until_closed},
     .check = close_check,
     .teardown = store_close},
    {.name = "close_wait",
     .prepare = lapse_prepare,
     .body = {take_until_closed_waiting, close_queue, take_1},
     .teardown = store_close},
    {.name = "cache",
     .prepare = cache_prepare,
     .body = {cache_set, cache_look, cache_look},
     .teardown = cache_close},
    {.name = "cache_purge",
     .prepare = purge_prepare,
     .body = {purge, purge_look, purge_fill},
     .teardown = cache_close},
    {0},
};
