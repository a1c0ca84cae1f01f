/* SPDX-License-Identifier: MIT
 *
 * Area: get_many. Positions, holes, one snapshot.
 */
#include "suite.h"

static void
test_get_many_of_thousands_answers_each_position(rig *r)
{
    enum { MANY = 2500 };
    lk_key *keys = calloc(MANY, sizeof *keys);
    char(*sk)[16] = calloc(MANY, sizeof *sk);
    assert_true(keys != NULL && sk != NULL);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(sk[i], sizeof sk[i], "%06zu", i * 7919 % MANY);
        keys[i] = lk_key_of("many", sk[i]);
        if (i % 3 != 0)
            lkc_set(r, "many", sk[i], sk[i]);
    }
    for (int turn = 0; turn < 2; turn++) {
        assert_status(LK_OK, lk_get_many(r->db, keys, MANY, r->result));
        assert_int_equal(lk_result_count(r->result), MANY);
        for (size_t i = 0; i < MANY; i++) {
            const lk_item *item = lk_result_item(r->result, i);
            assert_true(i % 3 == 0 ? item == NULL : item != NULL && lkc_is(item->data, sk[i]));
        }
    }
    free(keys);
    free(sk);
}

static void
test_get_many_takes_its_keys_from_the_result_that_it_fills(rig *r)
{
    lk_key keys[3];
    char large[5000]; /* so that the result has to grow */
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    lkc_set(r, "a", "1", "one");
    lkc_set(r, "a", "2", large);
    lk_key first[] = {lk_key_of("a", "1"), lk_key_of("a", "2")};
    assert_status(LK_OK, lk_get_many(r->db, first, 2, r->result));
    for (int turn = 0; turn < 10; turn++) {
        keys[0] = lk_result_item(r->result, 1)->key;
        keys[1] = lk_result_item(r->result, 0)->key;
        keys[2] = keys[0];
        assert_status(LK_OK, lk_get_many(r->db, keys, 3, r->result));
        const char *wanted = turn % 2 == 0 ? large : "one";
        assert_true(lkc_is(lk_result_item(r->result, 0)->data, wanted));
        assert_true(lkc_is(lk_result_item(r->result, 2)->data, wanted));
    }
}

/* "One call uses one `now` throughout." Items of one end are all there, or none is; whatever the
 * clock does in between. */
static void
test_reads_of_several_use_one_now(rig *r)
{
    enum { ITEMS = 8 };
    lk_key keys[ITEMS];
    lk_query query = {.pk = lk_string("a")};
    for (uint64_t i = 0; i < ITEMS; i++)
        keys[i] = lkc_numbered("a", i);
    for (int turn = 0; turn < 12; turn++) {
        int64_t end_ms = lkc_now(r) + 20;
        for (size_t i = 0; i < ITEMS; i++)
            lkc_set_until(r, "a", keys[i].sk.data, "x", end_ms);
        atomic_store(&r->now_ms, end_ms - turn);
        atomic_store(&r->ticks, true);
        bool seen = true;
        for (int reads = 0; reads < 40 && seen; reads++) {
            size_t count = 0;
            if (reads % 2 == 0 || !lkc_can(r, LK_HAS_QUERY)) {
                assert_status(LK_OK, lk_get_many(r->db, keys, ITEMS, r->result));
                for (size_t i = 0; i < ITEMS; i++)
                    count += lk_result_item(r->result, i) != NULL;
            } else {
                assert_status(LK_OK, lk_query_items(r->db, &query, r->result));
                count = lk_result_count(r->result);
            }
            assert_true(count == 0 || count == ITEMS);
            seen = count != 0;
        }
        assert_false(seen);
        atomic_store(&r->ticks, false);
    }
}

/* ---- "One snapshot: it never shows one half of a set_atomic." ---- */

enum { ROW = 6, WRITERS = 2, READERS = 2 };

typedef struct row {
    atomic_int writing;
    atomic_ullong reads, writes;
    uint64_t rounds; /* of writes, and of reads beside them */
} row;

static void
keys_make(lk_key keys[ROW], char sk[ROW][16], size_t turn)
{
    for (size_t i = 0; i < ROW; i++) {
        snprintf(sk[i], sizeof sk[i], "key%zu", (i + turn) % ROW);
        keys[i] = lk_key_of("row", sk[i]);
    }
}

/* Writes one number to all keys, by what `m` reads of one lock. */
static void
row_write(member *m, uint64_t round)
{
    char sk[ROW][16];
    lk_key keys[ROW];
    lk_lock lock;
    lk_item items[ROW];
    keys_make(keys, sk, round);
    for (unsigned attempt = 0;; attempt++) {
        lk_status status = lk_get_lock(m->r->db, lk_key_of("row", "lock"), &lock);
        EXPECT(status == LK_OK, status, 0);
        status = lk_get(m->r->db, keys[0], m->result);
        EXPECT(status == LK_OK, status, 0);
        if (!lkc_is_well())
            return;
        int64_t next = lkc_number(lk_result_item(m->result, 0)) + 1;
        for (size_t i = 0; i < ROW; i++)
            items[i] = lkc_number_item(keys[i], &next);
        status = lk_set_atomic(m->r->db, items, ROW, &lock, 1, NULL);
        EXPECT(status == LK_OK || status == LK_RACE, status, 0);
        if (status != LK_RACE)
            return;
        lk_backoff(attempt);
    }
}

static void
row_read(member *m, uint64_t turn, int64_t *seen)
{
    char sk[ROW][16];
    lk_key keys[ROW];
    keys_make(keys, sk, turn);
    lk_status status = lk_get_many(m->r->db, keys, ROW, m->result);
    EXPECT(status == LK_OK, status, 0);
    if (status != LK_OK)
        return;
    int64_t first = lkc_number(lk_result_item(m->result, 0));
    for (size_t i = 1; i < ROW; i++) {
        int64_t number = lkc_number(lk_result_item(m->result, i));
        EXPECT(number == first, number, first);
    }
    EXPECT(first >= *seen, first, *seen); /* never back in time */
    *seen = first;
}

static void
row_member(member *m)
{
    row *t = m->context;
    int64_t seen = 0;
    if (m->index < WRITERS) {
        for (uint64_t i = 0; lkc_goes_on(i, &t->reads, t->rounds); i++) {
            row_write(m, i);
            atomic_fetch_add(&t->writes, 1);
        }
        atomic_fetch_sub(&t->writing, 1);
        return;
    }
    for (uint64_t i = 0; atomic_load(&t->writing) > 0 && lkc_is_well(); i++) {
        row_read(m, i, &seen);
        atomic_fetch_add(&t->reads, 1);
    }
}

static void
test_get_many_never_shows_half_of_a_set_atomic(rig *r)
{
    row t = {.rounds = lkc_scaled(3000)};
    char sk[ROW][16];
    lk_key keys[ROW];
    int64_t zero = 0;
    atomic_store(&t.writing, WRITERS);
    keys_make(keys, sk, 0);
    for (size_t i = 0; i < ROW; i++) {
        lk_item item = lkc_number_item(keys[i], &zero);
        assert_status(LK_OK, lk_set(r->db, &item, 1));
    }
    lkc_crowd(r, WRITERS + READERS, row_member, &t);
    assert_status(LK_OK, lk_get(r->db, keys[0], r->result));
    assert_int_equal(lkc_number(lk_result_item(r->result, 0)), t.writes);
}

/* "the state of the whole store at one instant": of two keys that are written one after the other,
 * the first is never behind the second, and never two ahead. */
static void
pair_member(member *m)
{
    row *t = m->context;
    lk_key keys[2] = {lk_key_of("row", "first"), lk_key_of("row", "second")};
    if (m->index == 0) {
        for (int64_t i = 1; lkc_goes_on((uint64_t)i, &t->reads, t->rounds); i++)
            for (size_t j = 0; j < 2; j++) {
                lk_item item = lkc_number_item(keys[j], &i);
                EXPECT_OK(lk_set(m->r->db, &item, 1));
            }
        atomic_fetch_sub(&t->writing, 1);
        return;
    }
    for (uint64_t i = 0; atomic_load(&t->writing) > 0 && lkc_is_well(); i++) {
        size_t first = i % 2;
        lk_key asked[2] = {keys[first], keys[1 - first]};
        lk_status status = lk_get_many(m->r->db, asked, 2, m->result);
        EXPECT(status == LK_OK, status, 0);
        int64_t a = lkc_number(lk_result_item(m->result, first));
        int64_t b = lkc_number(lk_result_item(m->result, 1 - first));
        EXPECT(a == b || a == b + 1, a, b);
        atomic_fetch_add(&t->reads, 1);
    }
}

static void
test_get_many_shows_one_instant_of_single_sets(rig *r)
{
    row t = {.rounds = lkc_scaled(10000)};
    int64_t zero = 0;
    lk_item items[2] = {lkc_number_item(lk_key_of("row", "first"), &zero),
                        lkc_number_item(lk_key_of("row", "second"), &zero)};
    atomic_store(&t.writing, 1);
    assert_status(LK_OK, lk_set(r->db, items, 2));
    lkc_crowd(r, 1 + READERS, pair_member, &t);
}

static const lkc_case cases[] = {
    CASE(test_get_many_of_thousands_answers_each_position, LK_HAS_GET_MANY),
    CASE(test_get_many_takes_its_keys_from_the_result_that_it_fills, LK_HAS_GET_MANY),
    CASE(test_reads_of_several_use_one_now, LK_HAS_GET_MANY | LK_IS_SNAPSHOT),
    CASE(test_get_many_never_shows_half_of_a_set_atomic,
         LK_HAS_GET_MANY | LK_HAS_LOCKS | LK_IS_SNAPSHOT),
    CASE(test_get_many_shows_one_instant_of_single_sets, LK_HAS_GET_MANY | LK_IS_SNAPSHOT),
};
AREA(lkc_many_area, cases);
