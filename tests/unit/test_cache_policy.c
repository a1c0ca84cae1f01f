/* SPDX-License-Identifier: MIT
 *
 * Who has to go: the capacity in items and in bytes is never exceeded, exact LRU is that of a list,
 * S3-FIFO keeps what is read again through a scan, and capacities of one, two and three items work.
 */
#include "support/cached.h"

enum { KEYS = 40, HEADER = 72, PK = 1, SK = 8 };

static cached c;

static lk_key
key_of(uint64_t i)
{
    return lkc_numbered("p", i);
}

/* The data of key i: its length says which. */
static char data_room[KEYS][1200];

static void
data_fill(void)
{
    for (size_t i = 0; i < KEYS; i++)
        memset(data_room[i], (int)('A' + i), sizeof data_room[i] - 1);
}

static lk_bytes
data_of(uint64_t i, size_t size)
{
    return (lk_bytes){data_room[i % KEYS], size};
}

static void
open_policy(lk_cache_policy policy, size_t max_items, size_t max_bytes)
{
    lk_cache_options options = {.max_items = max_items, .max_bytes = max_bytes, .policy = policy};
    cached_open(&c, &options);
    data_fill();
}

/* Directly in the store. */
static void
store_fill(uint64_t count, size_t size)
{
    for (uint64_t i = 0; i < count; i++) {
        lk_item item = {.key = key_of(i), .data = data_of(i, size)};
        assert_status(LK_OK, lk_set(c.k.db, &item, 1));
    }
}

/* A get; was it a hit? */
static bool
touch(uint64_t i)
{
    (void)cached_asked(&c);
    assert_status(LK_OK, lk_get(c.cache, key_of(i), c.k.result));
    const lk_item *item = lk_result_item(c.k.result, 0);
    assert_true(item->data.size == 0 || *(const char *)item->data.data == (char)('A' + i % KEYS));
    return cached_asked(&c) == 0;
}

static void
capacity_check(size_t max_items, size_t max_bytes)
{
    lk_statistics s = cached_statistics(&c);
    assert_true(max_items == 0 || s.cache_items <= max_items);
    assert_true(max_bytes == 0 || s.cache_bytes <= max_bytes);
    assert_true(s.cache_bytes >= s.cache_items * (HEADER + PK + SK));
}

/* ---- capacity ---- */

/* Reads, writes that grow and shrink, deletes, absences, locks that race: whatever happens, the
 * limits hold. */
static void
capacity_run(lk_cache_policy policy, size_t max_items, size_t max_bytes)
{
    kit_random random = kit_random_of(7 + max_items * 31 + max_bytes);
    open_policy(policy, max_items, max_bytes);
    for (uint64_t turn = 0; turn < 1000 + test_scaled(2000); turn++) {
        uint64_t i = kit_draw(&random, KEYS);
        lk_key keys[3] = {key_of(i), key_of(kit_draw(&random, KEYS)), key_of(i)};
        lk_item item = {.key = keys[0], .data = data_of(i, kit_draw(&random, 700))};
        lk_status status = LK_OK;
        switch (kit_draw(&random, 8)) {
        case 0:
            status = lk_delete(c.cache, keys, 1);
            break;
        case 1:
        case 2:
            status = lk_set(c.cache, &item, 1);
            break;
        case 3:
            status = lk_get_many(c.cache, keys, 3, c.k.result);
            break;
        default:
            status = lk_get(c.cache, keys[0], c.k.result);
            status = status == LK_NOT_FOUND ? LK_OK : status;
            break;
        }
        assert_status(LK_OK, status);
        capacity_check(max_items, max_bytes);
    }
    uint64_t hits = cached_statistics(&c).cache_hits;
    assert_true((max_bytes != 0 && max_bytes < 700) || hits > 0);
    /* Of what may be anywhere, some is there: it does not just throw everything out. */
    store_fill(KEYS, 0);
    for (uint64_t i = 0; i < KEYS; i++)
        assert_status(LK_OK, lk_get(c.cache, key_of(i), c.k.result));
    lk_statistics s = cached_statistics(&c);
    assert_true(max_bytes != 0 || s.cache_items == (max_items < KEYS ? max_items : KEYS));
    cached_close(&c);
}

static void
test_capacity_is_never_exceeded(void **state)
{
    static const size_t limits[][2] = {{1, 0},   {2, 0},     {3, 0},   {5, 0},     {17, 0},
                                       {0, 60},  {0, 100},   {0, 700}, {0, 5000},  {3, 900},
                                       {9, 900}, {30, 5000}, {200, 0}, {0, 100000}};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(limits); i++) {
        capacity_run(LK_CACHE_S3_FIFO, limits[i][0], limits[i][1]);
        capacity_run(LK_CACHE_LRU, limits[i][0], limits[i][1]);
    }
}

/* Many shards: each keeps to its part, and all of them are used. */
static void
test_capacity_of_many_shards_is_their_sum(void **state)
{
    enum { CAPACITY = 64 * 64 + 17, READ = 30000 };
    (void)state;
    for (int policy = 0; policy < 2; policy++) {
        open_policy((lk_cache_policy)policy, CAPACITY, 0);
        store_fill(READ, 0);
        for (uint64_t i = 0; i < READ; i++) {
            assert_status(LK_OK, lk_get(c.cache, key_of(i), c.k.result));
            if (i % 1000 == 0)
                capacity_check(CAPACITY, 0);
        }
        lk_statistics s = cached_statistics(&c);
        assert_int_equal(s.cache_items, CAPACITY);
        assert_int_equal(s.cache_evictions, READ - CAPACITY);
        cached_close(&c);
    }
}

static void
test_item_larger_than_its_part_is_served_and_not_kept(void **state)
{
    (void)state;
    for (int policy = 0; policy < 2; policy++) {
        enum { PART = 1000, MOST = PART - HEADER - PK - SK };
        open_policy((lk_cache_policy)policy, 0, PART);
        store_fill(1, MOST);
        assert_false(touch(0));
        assert_true(touch(0)); /* it just fits */
        lk_item item = {.key = key_of(1), .data = data_of(1, MOST + 1)};
        assert_status(LK_OK, lk_set(c.k.db, &item, 1));
        assert_false(touch(1));
        assert_false(touch(1));
        assert_true(touch(0)); /* and it pushed nothing out */
        assert_int_equal(cached_statistics(&c).cache_dropped, 2);
        item.key = key_of(0); /* what is kept grows beyond the part */
        item.data = data_of(0, MOST + 1);
        assert_status(LK_OK, lk_set(c.cache, &item, 1));
        assert_false(touch(0));
        assert_int_equal(cached_statistics(&c).cache_items, 0);
        assert_int_equal(cached_statistics(&c).cache_bytes, 0);
        cached_close(&c);
    }
}

static void
test_item_that_grows_in_place_throws_others_out(void **state)
{
    (void)state;
    for (int policy = 0; policy < 2; policy++) {
        enum { EACH = HEADER + PK + SK + 100 };
        open_policy((lk_cache_policy)policy, 0, 4 * EACH);
        store_fill(4, 100);
        for (uint64_t i = 0; i < 4; i++)
            assert_false(touch(i));
        for (uint64_t i = 0; i < 4; i++)
            assert_true(touch(i));
        lk_item item = {.key = key_of(2), .data = data_of(2, 50)};
        assert_status(LK_OK, lk_set(c.cache, &item, 1));
        assert_int_equal(cached_statistics(&c).cache_bytes, 4 * EACH - 50);
        item.data = data_of(2, 150);
        assert_status(LK_OK, lk_set(c.cache, &item, 1));
        assert_true(touch(2));
        lk_statistics s = cached_statistics(&c);
        assert_int_equal(s.cache_items, 3);
        assert_int_equal(s.cache_bytes, 3 * EACH + 50);
        assert_int_equal(s.cache_evictions, 1);
        cached_close(&c);
    }
}

/* ---- exact LRU ---- */

/* The keys by their last use, the latest first. */
typedef struct reference {
    uint64_t keys[KEYS];
    size_t count;
} reference;

static bool
reference_take(reference *r, uint64_t key)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->keys[i] == key) {
            memmove(&r->keys[i], &r->keys[i + 1], (r->count - i - 1) * sizeof r->keys[0]);
            r->count--;
            return true;
        }
    return false;
}

static bool
reference_read(reference *r, uint64_t key, size_t capacity)
{
    bool hit = reference_take(r, key);
    if (r->count == capacity)
        r->count--;
    memmove(&r->keys[1], &r->keys[0], r->count * sizeof r->keys[0]);
    r->keys[0] = key;
    r->count++;
    return hit;
}

static void
lru_run(size_t capacity, uint64_t seed)
{
    kit_random random = kit_random_of(seed);
    reference r = {.count = 0};
    open_policy(LK_CACHE_LRU, capacity, 0);
    store_fill(KEYS, 3);
    for (uint64_t turn = 0; turn < 1000 + test_scaled(30000); turn++) {
        uint64_t i = kit_draw(&random, KEYS), j = kit_draw(&random, KEYS);
        if (kit_draw(&random, 2) != 0)
            i = i * i / KEYS; /* some keys more often */
        lk_key keys[2] = {key_of(i), key_of(j)};
        lk_item item = {.key = keys[0], .data = data_of(i, 3)};
        bool hit;
        switch (kit_draw(&random, 8)) {
        case 0: /* a write is no use, and keeps what was there */
            assert_status(LK_OK, lk_set(c.cache, &item, 1));
            break;
        case 1: /* out it goes */
            assert_status(LK_OK, lk_delete(c.cache, keys, 1));
            assert_status(LK_OK, lk_set(c.k.db, &item, 1));
            (void)reference_take(&r, i);
            break;
        case 2:
            hit = reference_read(&r, i, capacity);
            if (!hit) { /* a single miss, then the hits of both */
                assert_false(touch(i));
                break;
            }
            (void)cached_asked(&c);
            assert_status(LK_OK, lk_get_many(c.cache, keys, 2, c.k.result));
            assert_int_equal(cached_asked(&c), reference_read(&r, j, capacity) ? 0 : 1);
            break;
        default:
            hit = reference_read(&r, i, capacity);
            if (touch(i) != hit)
                fail_msg("capacity %zu, turn %llu, LK_TEST_SEED=%llu", capacity,
                         (unsigned long long)turn, (unsigned long long)random.seed);
            break;
        }
        assert_int_equal(cached_statistics(&c).cache_items, r.count);
    }
    for (size_t i = r.count; i > 0; i--)
        assert_true(touch(r.keys[i - 1]));
    cached_close(&c);
}

static void
test_lru_is_that_of_a_list(void **state)
{
    static const size_t capacities[] = {1, 2, 3, 4, 7, 16, 39, 40};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(capacities); i++)
        for (uint64_t seed = 1; seed < 4; seed++)
            lru_run(capacities[i], seed);
}

/* ---- S3-FIFO ---- */

/* Hits of a hot set, each read once per round, between scans of keys that never come again. */
static uint64_t
hits_through_scans(lk_cache_policy policy)
{
    enum { CAPACITY = 100, HOT = 60, SCAN = 300, ROUNDS = 30 };
    uint64_t hits = 0, next = 1000;
    open_policy(policy, CAPACITY, 0);
    store_fill(1000 + SCAN * ROUNDS, 1);
    for (int twice = 0; twice < 3; twice++)
        for (uint64_t i = 0; i < HOT; i++)
            (void)touch(i);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (uint64_t i = 0; i < SCAN; i++)
            (void)touch(next++);
        for (uint64_t i = 0; i < HOT; i++)
            hits += touch(i);
    }
    cached_close(&c);
    assert_int_equal(next, 1000 + SCAN * ROUNDS);
    return hits * 100 / (HOT * ROUNDS);
}

static void
test_scan_leaves_the_hot_set_with_s3_fifo_and_not_with_lru(void **state)
{
    (void)state;
    assert_true(hits_through_scans(LK_CACHE_S3_FIFO) >= 95);
    assert_int_equal(hits_through_scans(LK_CACHE_LRU), 0);
}

enum { PLACES = 20, SETTLED = 18 };

/* Fills a cache so that keys 0 to SETTLED - 1 are in the main queue. Key `*next` is the next one
 * that never came. */
static void
main_fill(uint64_t *next)
{
    open_policy(LK_CACHE_S3_FIFO, PLACES, 0);
    store_fill(2000, 1);
    *next = 1000;
    for (int twice = 0; twice < 2; twice++)
        for (uint64_t i = 0; i < SETTLED; i++)
            (void)touch(i);
    for (int i = 0; i < PLACES; i++)
        (void)touch((*next)++);
}

/* Through the small queue, and out of it. */
static void
pass_through(uint64_t key, uint64_t *next)
{
    assert_false(touch(key));
    for (int i = 0; i < 3; i++)
        (void)touch((*next)++);
}

/* Who was thrown out of the small queue and comes again soon goes to the main queue at once; who
 * comes late does not. */
static void
test_ghost_that_returns_soon_stays(void **state)
{
    uint64_t next;
    (void)state;
    main_fill(&next);
    pass_through(100, &next);
    pass_through(200, &next);
    for (int i = 0; i < PLACES; i++)
        (void)touch(next++);
    pass_through(100, &next); /* it is remembered no more */
    assert_false(touch(100)); /* it is a ghost; from here on it is in the main queue */
    for (int i = 0; i < PLACES / 2; i++)
        (void)touch(next++);
    assert_true(touch(100));
    cached_close(&c);
}

/* The main queue throws out who was not hit there, be it younger. */
static void
test_hit_in_the_main_queue_is_a_second_chance(void **state)
{
    uint64_t next;
    (void)state;
    main_fill(&next);
    for (uint64_t i = 0; i < SETTLED - 4; i++)
        assert_true(touch(i));
    for (uint64_t key = 200; key < 204; key++) { /* each takes a place of the main queue */
        pass_through(key, &next);
        assert_false(touch(key));
    }
    for (uint64_t i = 0; i < SETTLED - 4; i++)
        assert_true(touch(i));
    cached_close(&c);
}

/* One key that is read between all others stays, whatever the capacity; with one place none can. */
static void
test_small_capacities_serve_and_keep_what_is_read_again(void **state)
{
    (void)state;
    for (int policy = 0; policy < 2; policy++)
        for (size_t capacity = 1; capacity <= 3; capacity++) {
            open_policy((lk_cache_policy)policy, capacity, 0);
            store_fill(KEYS, 1);
            uint64_t hits = 0;
            (void)touch(0);
            (void)touch(0);
            for (uint64_t i = 1; i < KEYS; i++) {
                assert_false(touch(i));
                hits += touch(0);
                capacity_check(capacity, 0);
            }
            assert_true(capacity == 1 ? hits <= 1 : hits >= KEYS / 2);
            for (uint64_t i = 0; i < 3 * KEYS; i++) {
                assert_true(i % 3 == 0 || touch(i / 3)); /* the same key three times */
                if (i % 3 == 0)
                    (void)touch(i / 3);
            }
            cached_close(&c);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capacity_is_never_exceeded),
        cmocka_unit_test(test_capacity_of_many_shards_is_their_sum),
        cmocka_unit_test(test_item_larger_than_its_part_is_served_and_not_kept),
        cmocka_unit_test(test_item_that_grows_in_place_throws_others_out),
        cmocka_unit_test(test_lru_is_that_of_a_list),
        cmocka_unit_test(test_scan_leaves_the_hot_set_with_s3_fifo_and_not_with_lru),
        cmocka_unit_test(test_ghost_that_returns_soon_stays),
        cmocka_unit_test(test_hit_in_the_main_queue_is_a_second_chance),
        cmocka_unit_test(test_small_capacities_serve_and_keep_what_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
