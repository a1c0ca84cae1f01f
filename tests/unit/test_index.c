/* SPDX-License-Identifier: MIT
 *
 * The ordered index against a sorted array: keys that collide in every way, every size of leaf,
 * deep trees, and every allocation failing once.
 */
#include "support/index_rig.h"

static void
test_index_empty_walks_nowhere(void **state)
{
    rig *r = *state;
    rig_check(r);
    walk_expect(r, NULL, false, false, 0, SIZE_MAX);
    walk_expect(r, NULL, false, true, 0, SIZE_MAX);
    walks_expect_from(r, "", 0, SIZE_MAX);
    walks_expect_from(r, "key", 3, SIZE_MAX);
}

static void
test_index_one_cell_has_no_node(void **state)
{
    rig *r = *state;
    size_t live = base.live;
    for (size_t size = 0; size < 3; size++) {
        rig_insert(r, "\0\0", size);
        rig_check(r);
        walks_expect(r, 1);
        EXPECT(base.live == live);
        rig_empty(r);
    }
}

static void
test_index_existing_key_is_returned(void **state)
{
    rig *r = *state;
    for (uint64_t i = 0; i < 300; i++) {
        for (uint64_t j = 0; j <= i; j += 1 + i / 8)
            if (j < base.count)
                rig_insert(r, lki_cell_sk(r->model[j]), r->model[j]->sk_size);
        rig_insert_number(r, "%03llu", i * 7 % 300);
    }
    EXPECT(base.count == 300);
    rig_check(r);
}

static const lki_cell *replaceable;

static bool
replace_asked(const lki_cell *existing)
{
    return existing == replaceable;
}

static void
test_index_replaceable_cell_gives_way(void **state)
{
    rig *r = *state;
    for (uint64_t n = 1; n < 200; n++) {
        rig_insert_number(r, "%04llu", n * 37 % 1000);
        size_t at = base_draw(base.count);
        lki_cell *old = r->model[at], *existing = NULL;
        lki_cell *cell = cell_make(lki_cell_sk(old), old->sk_size);
        replaceable = NULL;
        EXPECT(index_insert(r, cell, replace_asked, &existing) == LKI_INDEX_EXISTS);
        EXPECT(existing == old);
        replaceable = old;
        EXPECT(index_insert(r, cell, replace_asked, &existing) == LKI_INDEX_ADDED);
        r->model[at] = cell;
        EXPECT(index_remove(r, old)); /* is not in it any more: the other cell stays */
        free(old);
        rig_check(r);
        walk_expect(r, NULL, false, false, 0, SIZE_MAX);
    }
}

static void
test_index_absent_cell_is_not_removed(void **state)
{
    rig *r = *state;
    for (uint64_t n = 0; n < 150; n++) {
        lki_cell *same = cell_make("0000", 4), *other = cell_make("0000x", 5);
        EXPECT(index_remove(r, same) && index_remove(r, other));
        rig_check(r);
        rig_insert_number(r, "%04llu", n);
        free(same);
        free(other);
    }
}

/* Every number of cells, so every size of leaf and every first split, in the orders that writers
 * come in. */
static void
test_index_every_size_grows_and_shrinks(void **state)
{
    rig *r = *state;
    enum { SIZES = 3 * LEAF_CELLS + 5 };
    for (unsigned order = 0; order < 9; order++) {
        for (uint64_t n = 0; n < SIZES; n++) {
            uint64_t number = order % 3 == 0 ? n : order % 3 == 1 ? SIZES - n : n * 83 % SIZES;
            rig_insert_number(r, "key %03llu", number);
            rig_check(r);
            walks_expect(r, n % 16 == 0 ? base.count : 2);
        }
        while (base.count > 0) {
            size_t end = order < 3 ? 0 : base.count - 1;
            rig_remove_at(r, order < 6 ? end : base_draw(base.count));
            rig_check(r);
            walks_expect(r, base.count % 16 == 0 ? base.count : 2);
        }
        EXPECT(lki_load_relaxed(&r->index.root) == LKI_EMPTY);
    }
}

static void
test_index_random_life_matches_sorted_array(void **state)
{
    rig *r = *state;
    for (size_t f = 0; f < FAMILIES; f++) {
        uint64_t steps = test_scaled(40000);
        for (uint64_t i = 0; i < steps; i++) {
            rig_step(r, families[f], i / 4000 % 2 == 0);
            if (i % 512 == 0) {
                rig_check(r);
                walks_expect(r, 8);
            }
        }
        rig_check(r);
        walks_expect(r, base.count);
        rig_empty(r);
    }
}

/* Keys of the greatest size, that differ at their start, in the middle, at their end, or in size
 * alone. */
static void
test_index_longest_keys_are_ordered(void **state)
{
    rig *r = *state;
    enum { LONGEST = 65535 };
    unsigned char *key = malloc(LONGEST);
    static const size_t places[] = {0, 1, 39, 40, 41, 32767, LONGEST - 9, LONGEST - 1};
    uint64_t steps = test_scaled(1500);
    for (uint64_t i = 0; i < steps; i++) {
        memset(key, 0, LONGEST);
        for (size_t p = 0; p < 8; p++)
            key[places[p]] = (unsigned char)base_draw(4);
        rig_insert(r, key, base_draw(3) == 0 ? LONGEST - base_draw(200) : LONGEST);
        if (base.count > 400 || base_draw(3) == 0)
            rig_remove_at(r, base_draw(base.count));
        if (i % 64 == 0) {
            rig_check(r);
            walks_expect(r, 4);
        }
    }
    free(key);
    rig_check(r);
    rig_empty(r);
}

/* Three levels of inner nodes, filled at the end, at the start, and at random, then thinned out. */
static void
test_index_many_cells_make_a_deep_tree(void **state)
{
    rig *r = *state;
    uint64_t count = test_scaled(60000);
    for (uint64_t i = 0; i < count; i++)
        rig_insert_number(r, "b%08llu", i);
    rig_check(r);
    for (uint64_t i = 0; i < count / 4; i++) {
        rig_insert_number(r, "b%08llux", base_draw(count));
        rig_insert_number(r, "a%08llu", count - i);
    }
    rig_check(r);
    walks_expect(r, 200);
    for (size_t i = 0; i < 3 && base.count > 0; i++) { /* a range, in order: whole nodes go */
        size_t first = base.count / 5, last = base.count - base.count / 5;
        for (size_t at = last; at > first; at--)
            rig_remove_at(r, i == 1 ? first : at - 1);
        rig_check(r);
        walks_expect(r, 50);
    }
    rig_empty(r);
}

static void
test_index_appended_cells_fill_their_leaves(void **state)
{
    rig *r = *state;
    size_t bytes;
    for (uint64_t i = 0; i < 20000; i++)
        rig_insert_number(r, "01hv%022llu", i);
    EXPECT(lki_index_check(&r->index, NULL, &bytes) == base.count);
    EXPECT(bytes < base.count * 19);
}

static void
test_index_thinned_cells_share_few_leaves(void **state)
{
    rig *r = *state;
    size_t bytes;
    uint64_t count = 20000;
    for (uint64_t i = 0; i < count; i++)
        rig_insert_number(r, "%08llu", i);
    while (base.count > count / 100)
        rig_remove_at(r, base_draw(base.count));
    EXPECT(lki_index_check(&r->index, NULL, &bytes) == base.count);
    EXPECT(bytes < base.count * 40);
}

/* ---- memory that runs out ---- */

/* Repeats an insertion or a removal, whose n-th allocation fails, for n = 1, 2, .. until it
 * needs no more than that. */
static void
starved_insert(rig *r, const void *sk, size_t size)
{
    bool there;
    size_t at = model_find(r, sk, size, &there);
    lki_cell *cell = cell_make(sk, size), *existing = NULL;
    lki_index_found found = LKI_INDEX_NO_MEMORY;
    for (uint64_t n = 1; found == LKI_INDEX_NO_MEMORY; n++) {
        size_t live = base.live;
        base.failed = 0;
        lki_write_enter(base.thread);
        base.fail_at = n;
        found = lki_index_insert_latched(&r->index, base.thread, cell, NULL, &existing);
        base.fail_at = 0;
        lki_leave(base.thread);
        if (found == LKI_INDEX_NO_MEMORY) {
            EXPECT(base.failed == 1 && base.live >= live &&
                   base.live <= live + 2); /* + spare batches */
            EXPECT(lki_index_check(&r->index, NULL, NULL) == base.count);
        }
    }
    EXPECT((found == LKI_INDEX_EXISTS) == there);
    if (there)
        free(cell);
    else
        model_insert(r, at, cell);
}

static void
starved_remove(rig *r, size_t at)
{
    lki_cell *cell = r->model[at];
    bool removed = false;
    for (uint64_t n = 1; !removed; n++) {
        size_t live = base.live;
        base.failed = 0;
        lki_write_enter(base.thread);
        base.fail_at = n;
        removed = lki_index_remove_latched(&r->index, base.thread, cell);
        base.fail_at = 0;
        lki_write_leave(base.thread);
        if (!removed) {
            EXPECT(base.failed == 1 && base.live <= live + 2);
            EXPECT(lki_index_check(&r->index, NULL, NULL) == base.count);
        }
    }
    model_remove(r, at);
    free(cell);
}

static void
test_index_failed_allocation_changes_nothing(void **state)
{
    rig *r = *state;
    unsigned char key[KEY_ROOM];
    uint64_t steps = test_scaled(6000);
    for (size_t f = 0; f < FAMILIES; f++) {
        for (uint64_t i = 0; i < steps; i++) {
            bool grow = i / 2000 % 2 == 0;
            if (base_draw(10) < (grow ? 9 : 1))
                starved_insert(r, key, families[f](key));
            else if (base.count > 0)
                starved_remove(r, base_draw(base.count));
            if (i % 256 == 0)
                walks_expect(r, 2);
        }
        while (base.count > 0)
            starved_remove(r, 0);
        EXPECT(lki_load_relaxed(&r->index.root) == LKI_EMPTY);
    }
}

static void
test_index_destroyed_leaves_no_node(void **state)
{
    rig *r = *state; /* rig_close counts the blocks */
    for (uint64_t i = 0; i < 10000; i++)
        rig_insert_number(r, "%06llu", i * 7919 % 100000);
    lki_index_destroy(&r->index, &base.domain.allocator);
    EXPECT(lki_index_check(&r->index, NULL, NULL) == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        INDEX_TEST(test_index_empty_walks_nowhere),
        INDEX_TEST(test_index_one_cell_has_no_node),
        INDEX_TEST(test_index_existing_key_is_returned),
        INDEX_TEST(test_index_replaceable_cell_gives_way),
        INDEX_TEST(test_index_absent_cell_is_not_removed),
        INDEX_TEST(test_index_every_size_grows_and_shrinks),
        INDEX_TEST(test_index_random_life_matches_sorted_array),
        INDEX_TEST(test_index_longest_keys_are_ordered),
        INDEX_TEST(test_index_many_cells_make_a_deep_tree),
        INDEX_TEST(test_index_appended_cells_fill_their_leaves),
        INDEX_TEST(test_index_thinned_cells_share_few_leaves),
        INDEX_TEST(test_index_failed_allocation_changes_nothing),
        INDEX_TEST(test_index_destroyed_leaves_no_node),
    };
    return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
