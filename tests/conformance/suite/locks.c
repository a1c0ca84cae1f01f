/* SPDX-License-Identifier: MIT
 *
 * Area: the life of optimistic locks. Made, renewed, lapsed, deleted; their versions; get_locked.
 */
#include "suite.h"

#define TTL_MS LK_HOURS(TTL_HOURS)
#define REFRESH_MS LK_HOURS(REFRESH_HOURS)

static lk_status
use(rig *r, lk_lock *lock)
{
    return lk_set_atomic(r->db, NULL, 0, lock, 1, NULL);
}

/* ---- made ---- */

static void
test_get_lock_of_bad_keys_touches_nothing(rig *r)
{
    lk_lock lock;
    lk_key key = lk_key_of("a", "b");
    char *large = calloc(1, r->about.max_pk_size + 1);
    assert_non_null(large);
    lkc_fill(&lock, sizeof lock);
    assert_status(LK_INVALID, lk_get_lock(NULL, key, &lock));
    assert_status(LK_INVALID, lk_get_lock(r->db, key, NULL));
    assert_status(LK_INVALID, lk_get_lock(r->db, lk_key_of("", "b"), &lock));
    assert_status(LK_INVALID, lk_get_lock(r->db, (lk_key){{"a", 1}, {NULL, 1}}, &lock));
    lk_key too_big = {{large, r->about.max_pk_size + 1}, {NULL, 0}};
    assert_status(LK_TOO_BIG, lk_get_lock(r->db, too_big, &lock));
    assert_true(lkc_is_filled(&lock, sizeof lock));
    free(large);
}

/* ---- versions ---- */

static int
version_compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The lock of a key that has none, by a commit under version 0, where the handle knows that. */
static lk_lock
lock_of_nothing(rig *r, lk_key key)
{
    lk_lock lock;
    if (!lkc_can(r, LK_LOCKS_ABSENT))
        return lkc_lock(r, key);
    assert_status(LK_OK, lk_get_locked(r->db, &key, 1, &lock, r->result));
    assert_true(lock.version == 0);
    assert_status(LK_OK, use(r, &lock));
    return lock;
}

/* The key and its lock go, in one of the ways in which they can. */
static void
key_end(rig *r, lk_key key, size_t way)
{
    lk_write gone = {.kind = LK_DELETE, .item.key = key};
    if (way == 0)
        assert_status(LK_OK, lk_delete(r->db, &key, 1));
    else if (way == 1)
        assert_status(LK_OK, lk_commit(r->db, &gone, 1, NULL, 0, NULL));
}

/* "unique in the store and never reused, strictly increasing per key"; "afterwards a lock that was
 * read before is stale for ever (LK_RACE), also when the lock is created anew" */
static void
test_versions_only_grow_and_are_never_used_again(rig *r)
{
    enum { TURNS = 60, KEYS = 3 };
    uint64_t seen[2 * TURNS * KEYS], last[KEYS] = {0};
    lk_lock old[TURNS];
    size_t count = 0;
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < KEYS; i++) {
            lk_key key = lkc_numbered("a", i);
            lk_lock lock = turn / 4 % 2 == 0 ? lkc_lock(r, key) : lock_of_nothing(r, key);
            assert_true(lock.version > last[i]);
            seen[count++] = lock.version;
            if (i == 0)
                old[turn] = (lk_lock){lk_key_of("a", "00000000"), lock.version, 0};
            assert_status(LK_OK, use(r, &lock));
            assert_true(lock.version > seen[count - 1]);
            last[i] = seen[count++] = lock.version;
        }
        for (size_t i = 0; i < KEYS; i++)
            key_end(r, lkc_numbered("a", i), turn % 3);
        if (turn % 3 == 2)
            lkc_advance(r, TTL_MS + 1);
        for (int i = 0; turn % 5 < 3 && i < 4 && lkc_can(r, LK_HAS_SWEEP); i++)
            assert_status(LK_OK, lk_sweep(r->db, 0, NULL));
        for (size_t i = turn % 10 == 9 ? 0 : turn; i <= turn; i++)
            assert_status(LK_RACE, use(r, &old[i]));
    }
    qsort(seen, count, sizeof *seen, version_compare);
    for (size_t i = 1; i < count; i++)
        assert_true(seen[i] != seen[i - 1]);
}

/* ---- get_locked ---- */

/* "the locks of several keys as lk_get_lock gives them, and their items as lk_get_many does"; a key
 * may be named twice */
static void
test_get_locked_gives_locks_and_items(rig *r)
{
    lk_key keys[] = {lk_key_of("a", "1"), lk_key_of("a", "none"), lk_key_of("b", ""),
                     lk_key_of("a", "1")};
    lk_lock locks[COUNT(keys)];
    lkc_set(r, "a", "1", "one");
    lkc_set(r, "b", "", "two");
    lk_lock before = lkc_lock(r, keys[2]);
    assert_status(LK_OK, lk_get_locked(r->db, keys, COUNT(keys), locks, r->result));
    assert_int_equal(lk_result_count(r->result), COUNT(keys));
    assert_true(lkc_is(lk_result_item(r->result, 0)->data, "one"));
    assert_null(lk_result_item(r->result, 1));
    assert_true(lkc_is(lk_result_item(r->result, 2)->data, "two"));
    assert_true(lkc_is(lk_result_item(r->result, 3)->data, "one"));
    assert_true(locks[2].version == before.version && locks[0].version == locks[3].version);
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_ptr_equal(locks[i].key.pk.data, keys[i].pk.data);
        assert_bytes(keys[i].sk, locks[i].key.sk);
        if (i == 1 && lkc_can(r, LK_LOCKS_ABSENT)) {
            assert_true(locks[i].version == 0);
            continue;
        }
        assert_true(lkc_lock(r, keys[i]).version == locks[i].version);
        assert_int_equal(locks[i].expires_at_ms, lkc_now(r) + TTL_MS);
    }
    lk_item items[] = {lkc_item("a", "1", "three"), lkc_item("a", "none", "four")};
    assert_status(LK_OK, lk_set_atomic(r->db, items, 2, locks, 3, NULL));
    assert_status(LK_OK, lk_get_locked(r->db, keys, 2, locks, r->result));
    assert_true(lkc_is(lk_result_item(r->result, 1)->data, "four"));
    assert_status(LK_OK, lk_get_locked(r->db, NULL, 0, NULL, r->result));
    assert_int_equal(lk_result_count(r->result), 0);
}

static void
test_get_locked_of_bad_arguments_touches_nothing(rig *r)
{
    lk_key keys[] = {lk_key_of("a", "1"), lk_key_of("", "1")};
    lk_lock locks[2];
    lkc_prime(r->result);
    lkc_fill(locks, sizeof locks);
    assert_status(LK_INVALID, lk_get_locked(r->db, keys, 2, locks, r->result));
    assert_status(LK_INVALID, lk_get_locked(NULL, keys, 1, locks, r->result));
    assert_status(LK_INVALID, lk_get_locked(r->db, NULL, 1, locks, r->result));
    assert_status(LK_INVALID, lk_get_locked(r->db, keys, 1, NULL, r->result));
    assert_status(LK_INVALID, lk_get_locked(r->db, keys, 1, locks, NULL));
    keys[1] = (lk_key){{"a", 1}, {"x", r->about.max_sk_size + 1}};
    assert_status(LK_TOO_BIG, lk_get_locked(r->db, keys, 2, locks, r->result));
    assert_true(lkc_is_primed(r->result) && lkc_is_filled(locks, sizeof locks));
}

/* ---- several threads ---- */

enum { THREADS = 4, ROUNDS = 400, TURNS_MAX = 4 };

typedef struct callers {
    uint64_t version[THREADS][ROUNDS];
    uint64_t rounds;
} callers;

static void
caller_member(member *m)
{
    callers *c = m->context;
    for (uint64_t i = 0; i < c->rounds; i++) {
        lk_lock lock = {.version = 0};
        EXPECT_OK(lk_get_lock(m->r->db, lkc_numbered("a", i), &lock));
        c->version[m->index][i] = lock.version;
    }
}

/* "Concurrent callers get the same version." Of new locks, and of those that are to be renewed. */
static void
test_concurrent_callers_get_one_version(rig *r)
{
    callers *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->rounds = lkc_scaled(ROUNDS) < ROUNDS ? lkc_scaled(ROUNDS) : ROUNDS;
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        lkc_crowd(r, THREADS, caller_member, c);
        for (uint64_t i = 0; i < c->rounds; i++)
            for (size_t j = 1; j < THREADS; j++)
                assert_true(c->version[j][i] == c->version[0][i]);
        lkc_advance(r, turn % 2 == 0 ? TTL_MS - REFRESH_MS + 1 : TTL_MS + 1);
    }
    free(c);
}

static const lkc_case cases[] = {
    CASE(test_get_lock_of_bad_keys_touches_nothing, LK_HAS_LOCKS),
    CASE(test_versions_only_grow_and_are_never_used_again, LK_HAS_LOCKS),
    CASE(test_get_locked_gives_locks_and_items, LK_HAS_LOCKS | LK_HAS_GET_MANY),
    CASE(test_get_locked_of_bad_arguments_touches_nothing, LK_HAS_LOCKS | LK_HAS_GET_MANY),
    CASE(test_concurrent_callers_get_one_version, LK_HAS_LOCKS),
};
AREA(lkc_locks_area, cases);
