/* SPDX-License-Identifier: MIT
 *
 * Listings of partitions, inside: pages while partitions come and go by thousands, so that the
 * parts of their set double, split and shrink; pks with one half of a hash, which a page may end
 * between; positions that are none. What is a live item: the conformance suite; what meets:
 * schedule_list.c.
 */
#include "support/kit.h"

#include "adapter/handle.h"
#include "base/bucket.h"
#include "store/store.h"

enum { STAYING = 300, COMING = 6000, PAIRED = 1 << 19 };

/* A pk is a number. */
static lk_bytes
pk_of(size_t number)
{
    return lkc_numbered("", number).sk;
}

static void
partition_set(kit *k, size_t number, bool there)
{
    lk_item item = {.key = {pk_of(number), {NULL, 0}}};
    assert_status(LK_OK, there ? lk_set(k->db, &item, 1) : lk_delete(k->db, &item.key, 1));
}

/* One page, whose pks count in `seen`. False: there was none. */
static bool
page_read(kit *k, lk_position *position, size_t limit, unsigned *seen, size_t room)
{
    lk_status status = lk_list_partitions(k->db, position, limit, k->result);
    if (status == LK_END)
        return false;
    assert_status(LK_OK, status);
    assert_in_range(lk_result_count(k->result), 1, limit != 0 ? limit : 1024);
    for (size_t i = 0; i < lk_result_count(k->result); i++) {
        const lk_item *item = lk_result_item(k->result, i);
        char name[32] = "";
        assert_true(item->key.sk.size == 0 && item->data.size == 0 && item->expires_at_ms == 0);
        assert_true(item->key.pk.size < sizeof name);
        memcpy(name, item->key.pk.data, item->key.pk.size);
        size_t number = strtoul(name, NULL, 10);
        assert_true(number < room && lkc_equal(item->key.pk, pk_of(number)));
        seen[number]++;
    }
    return true;
}

/* From here on `come` of the others are there. Those that go leave their parts smaller. */
static void
others_set(kit *k, size_t *there, size_t come)
{
    for (; *there < come; ++*there)
        partition_set(k, STAYING + *there, true);
    for (; *there > come; --*there)
        partition_set(k, STAYING + *there - 1, false);
    kit_sweep(k);
}

static void
test_list_while_the_set_grows_and_shrinks_has_what_stays_once(void **state)
{
    static unsigned seen[STAYING + COMING];
    kit k = {.db = NULL};
    kit_random random = kit_random_of(7);
    size_t rounds = test_scaled(60), there = 0;
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    (void)state;
    options.shards = 1;
    kit_open(&k, &options);
    for (size_t i = 0; i < STAYING; i++)
        partition_set(&k, i, true);
    for (size_t round = 0; round < rounds; round++) {
        lk_position position = {{0}};
        size_t limit = 1 + kit_draw(&random, 20), pages = 0;
        memset(seen, 0, sizeof seen);
        while (page_read(&k, &position, limit, seen, KIT_COUNT(seen)))
            if (++pages % 64 == 1)
                others_set(&k, &there, kit_draw(&random, 2) * kit_draw(&random, COMING));
        for (size_t i = 0; i < KIT_COUNT(seen); i++)
            if (seen[i] > 1 || (i < STAYING && seen[i] == 0))
                fail_msg("LK_TEST_SEED=%llu: in round %zu %zu came %u times",
                         (unsigned long long)random.seed, round, i, seen[i]);
    }
    kit_close(&k);
}

/* ---- one half for two pks ---- */

typedef struct hashed {
    uint32_t half, number;
} hashed;

static int
hashed_compare(const void *left, const void *right)
{
    const hashed *l = left, *r = right;
    return (l->half > r->half) - (l->half < r->half);
}

/* Makes partitions of numbers whose halves are equal. How many. */
static size_t
equals_make(kit *k, uint32_t numbers[16])
{
    const lki_store *store = k->db->state;
    hashed *all = malloc(PAIRED * sizeof *all);
    size_t count = 0;
    assert_non_null(all);
    for (uint32_t i = 0; i < PAIRED; i++)
        all[i] = (hashed){lki_half_of(lki_hash_bytes(&store->secret, pk_of(i))), i};
    qsort(all, PAIRED, sizeof *all, hashed_compare);
    for (size_t i = 1; i < PAIRED && count < 16; i++)
        if (all[i].half == all[i - 1].half) {
            numbers[count++] = all[i - 1].number;
            numbers[count++] = all[i].number;
        }
    free(all);
    for (size_t i = 0; i < count; i++)
        partition_set(k, numbers[i], true);
    return count;
}

static void
test_list_of_pks_with_one_half_has_each_once(void **state)
{
    static unsigned seen[PAIRED];
    kit *k = *state;
    uint32_t numbers[16];
    size_t count = equals_make(k, numbers);
    assert_true(count >= 2);
    for (size_t limit = 1; limit < 4; limit++) {
        lk_position position = {{0}};
        memset(seen, 0, sizeof seen);
        while (page_read(k, &position, limit, seen, PAIRED)) {}
        for (size_t i = 0; i < count; i++)
            assert_int_equal(seen[numbers[i]], 1);
    }
}

/* ---- positions ---- */

static void
test_position_that_no_call_gave_is_refused(void **state)
{
    kit *k = *state, other;
    lk_position position = {{0}}, kept;
    kit_open(&other, NULL);
    for (size_t i = 0; i < 8; i++) {
        partition_set(k, i, true);
        partition_set(&other, i, true);
    }
    assert_status(LK_OK, lk_list_partitions(k->db, &position, 1, k->result));
    kept = position;
    assert_status(LK_INVALID, lk_list_partitions(other.db, &position, 1, other.result));
    for (size_t i = 0; i < 4; i++) {
        position.opaque[i]++;
        lk_position wrong = position;
        assert_status(LK_INVALID, lk_list_partitions(k->db, &position, 1, k->result));
        assert_memory_equal(&position, &wrong, sizeof wrong);
        position = kept;
    }
    assert_int_equal(lk_result_count(k->result), 1);
    assert_status(LK_OK, lk_list_partitions(k->db, &position, 0, k->result));
    assert_int_equal(lk_result_count(k->result), 7);
    kept = position;
    for (size_t i = 0; i < 3; i++)
        assert_status(LK_END, lk_list_partitions(k->db, &position, 1, k->result));
    assert_memory_equal(&position, &kept, sizeof kept);
    assert_int_equal(lk_result_count(k->result), 7);
    kit_close(&other);
}

/* A pk whose items are all over, be they many, is not listed, and does not end a listing. */
static void
test_list_passes_over_what_is_not_live(void **state)
{
    enum { DEAD = 3000 };
    static unsigned seen[DEAD + 1];
    kit *k = *state;
    lk_position position = {{0}};
    for (size_t i = 0; i < DEAD; i++) {
        lk_item item = {.key = {pk_of(i), {NULL, 0}}, .expires_at_ms = KIT_START_MS};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
        (void)kit_lock(k, lkc_numbered("locked", i));
    }
    assert_status(LK_OK, lk_list_partitions(k->db, &position, 1, k->result));
    kit_advance(k, 1);
    position = (lk_position){{0}};
    assert_status(LK_END, lk_list_partitions(k->db, &position, 1, k->result));
    assert_true(kit_statistics(k).cells > DEAD);
    partition_set(k, DEAD, true);
    assert_true(page_read(k, &position, 1, seen, DEAD + 1));
    assert_false(page_read(k, &position, 1, seen, DEAD + 1));
    assert_int_equal(seen[DEAD], 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_while_the_set_grows_and_shrinks_has_what_stays_once),
        KIT_TEST(test_list_of_pks_with_one_half_has_each_once),
        KIT_TEST(test_position_that_no_call_gave_is_refused),
        KIT_TEST(test_list_passes_over_what_is_not_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
