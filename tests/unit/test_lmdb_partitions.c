/* SPDX-License-Identifier: MIT
 *
 * The adapter for LMDB lists partitions whose pks do not fit into a position: many that begin with
 * the same bytes, of any size, page by page, while others come and go.
 */
#include <latchkey/adapter.h>

#include "support/lmdb_checked.h"

enum { NAMES_MAX = 6000, PK_MAX = 474 };

/* pks by number, and how often each has come. */
typedef struct names {
    char pk[NAMES_MAX][PK_MAX + 1];
    size_t count;
    unsigned seen[NAMES_MAX];
} names;

static names n;

static int
setup(void **state)
{
    int code = lmdb_setup(state);
    lmdb_rig *r = *state;
    lmdb_close(r);
    r->options.max_pk_size = PK_MAX;
    r->options.max_sk_size = 26;
    r->options.sync = LK_LMDB_SYNC_NEVER;
    lmdb_open(r);
    memset(&n, 0, sizeof n);
    return code;
}

/* A pk of `size` bytes, which begins as all do and ends in its number. */
static size_t
name_add(size_t size, char filler)
{
    char number[16];
    size_t digits = (size_t)snprintf(number, sizeof number, "%zu", n.count);
    char *pk = n.pk[n.count];
    memset(pk, filler, size);
    memcpy(pk + size - digits, number, digits);
    return n.count++;
}

static lk_item
item_of(size_t name, const char *sk, int64_t expires_at_ms)
{
    return (lk_item){lk_key_of(n.pk[name], sk), lk_string("x"), expires_at_ms};
}

static void
name_set(lmdb_rig *r, size_t name, const char *sk, int64_t expires_at_ms)
{
    lk_item item = item_of(name, sk, expires_at_ms);
    assert_status(LK_OK, lk_set(r->k.db, &item, 1));
}

static void
name_delete(lmdb_rig *r, size_t name, const char *sk)
{
    lk_key key = lk_key_of(n.pk[name], sk);
    assert_status(LK_OK, lk_delete(r->k.db, &key, 1));
}

static void
page_note(lmdb_rig *r, size_t limit)
{
    size_t count = lk_result_count(r->k.result);
    assert_in_range(count, 1, limit != 0 ? limit : 1024);
    for (size_t i = 0; i < count; i++) {
        const lk_item *item = lk_result_item(r->k.result, i);
        size_t k = 0;
        while (k < n.count && !lkc_is(item->key.pk, n.pk[k]))
            k++;
        assert_true(k < n.count && item->key.sk.size == 0 && item->data.size == 0);
        n.seen[k]++;
    }
}

/* Lists all, and calls `between` after each page. */
static size_t
list(lmdb_rig *r, size_t limit, void (*between)(lmdb_rig *r, size_t page))
{
    lk_position position = {{0}}, before;
    size_t pages = 0;
    memset(n.seen, 0, sizeof n.seen);
    for (lk_status status = LK_OK;; pages++) {
        before = position;
        status = lk_list_partitions(r->k.db, &position, limit, r->k.result);
        if (status == LK_END)
            break;
        assert_status(LK_OK, status);
        page_note(r, limit);
        if (between != NULL)
            between(r, pages);
    }
    assert_memory_equal(&before, &position, sizeof position);
    return pages;
}

static void
each_came(size_t begin, size_t end, unsigned times)
{
    for (size_t i = begin; i < end; i++)
        if (n.seen[i] != times)
            fail_msg("%s came %u times", n.pk[i], n.seen[i]);
}

static void
test_each_partition_comes_once_however_long_its_pk_is(void **state)
{
    lmdb_rig *r = *state;
    static const size_t sizes[] = {4, 22, 23, 29, 30, 31, 32, 38, 39, 100, 473, PK_MAX};
    static const size_t limits[] = {1, 2, 7, 100, 1024, 5000, 0};
    for (size_t i = 0; i < KIT_COUNT(sizes); i++)
        for (int k = 0; k < (sizes[i] == 100 ? 400 : 23); k++) {
            size_t name = name_add(sizes[i], k % 5 == 0 ? '\xff' : 'a');
            for (int items = 0; items <= k % 3; items++)
                name_set(r, name, items == 0 ? "" : items == 1 ? "s" : "t", 0);
        }
    for (size_t i = 0; i < KIT_COUNT(limits); i++) {
        size_t pages = list(r, limits[i], NULL), limit = limits[i] != 0 ? limits[i] : 1024;
        assert_int_equal(pages, (n.count + limit - 1) / limit);
        each_came(0, n.count, 1);
    }
}

/* Of many that begin with the same bytes. */
enum { MANY = 1500, STAY = 500 };

/* Those behind the first STAY go, one after the other, and new ones come. */
static void
others_change(lmdb_rig *r, size_t page)
{
    for (size_t i = 0; i < 10; i++) {
        size_t gone = STAY + page * 10 + i;
        if (gone < MANY)
            name_delete(r, gone, "s");
        if (n.count < NAMES_MAX)
            name_set(r, name_add(40 + i % 2, 'a'), "s", 0);
    }
}

static void
test_partition_that_stays_comes_once_while_others_come_and_go(void **state)
{
    lmdb_rig *r = *state;
    for (size_t i = 0; i < MANY; i++)
        name_set(r, name_add(40 + i % 2, 'a'), "s", 0);
    assert_true(list(r, 10, others_change) > STAY / 10);
    each_came(0, STAY, 1);
    for (size_t i = STAY; i < n.count; i++)
        assert_true(n.seen[i] <= 1);
}

/* The last of each page goes before the next one is asked for. */
static void
page_delete(lmdb_rig *r, size_t page)
{
    (void)page;
    lk_bytes pk = lk_result_item(r->k.result, lk_result_count(r->k.result) - 1)->key.pk;
    lk_key key = {pk, lk_string("s")};
    assert_status(LK_OK, lk_delete(r->k.db, &key, 1));
}

static void
test_position_is_good_where_its_partition_has_gone(void **state)
{
    lmdb_rig *r = *state;
    for (size_t size = 5; size < 60; size += 3)
        for (int i = 0; i < 5; i++)
            name_set(r, name_add(size, 'a'), "s", 0);
    list(r, 2, page_delete);
    each_came(0, n.count, 1);
    while (list(r, 1, page_delete) > 0) /* all but those that went on the way */
        ;
    assert_int_equal(kit_statistics(&r->k).cells, 0);
}

static void
reopen(lmdb_rig *r, size_t page)
{
    (void)page;
    lmdb_reopen(r, 0);
}

static void
test_position_outlives_its_handle(void **state)
{
    lmdb_rig *r = *state;
    for (size_t i = 0; i < 60; i++)
        name_set(r, name_add(20 + i, 'a'), "s", 0);
    list(r, 7, reopen);
    each_came(0, n.count, 1);
}

static void
test_partition_without_a_live_item_does_not_come(void **state)
{
    lmdb_rig *r = *state;
    for (size_t i = 0; i < 200; i++) {
        char sk[16];
        size_t name = name_add(10 + i / 5, 'a');
        for (int k = 0; k < 5; k++) {
            snprintf(sk, sizeof sk, "%d", k);
            name_set(r, name, sk, k == 4 && i % 2 == 0 ? 0 : KIT_START_MS + 10);
        }
    }
    list(r, 3, NULL);
    each_came(0, n.count, 1);
    kit_advance(&r->k, 11);
    for (size_t limit = 0; limit < 4; limit++) {
        list(r, limit, NULL);
        for (size_t i = 0; i < n.count; i++)
            assert_int_equal(n.seen[i], i % 2 == 0);
    }
}

static void
test_what_was_never_a_position_is_refused(void **state)
{
    lmdb_rig *r = *state;
    lk_position position, before;
    kit_set(&r->k, "p", "s", "x");
    memset(&position, 0xff, sizeof position);
    before = position;
    assert_status(LK_INVALID, lk_list_partitions(r->k.db, &position, 0, r->k.result));
    assert_memory_equal(&before, &position, sizeof position);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, lmdb_checked_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_partition_comes_once_however_long_its_pk_is),
        TEST(test_partition_that_stays_comes_once_while_others_come_and_go),
        TEST(test_position_is_good_where_its_partition_has_gone),
        TEST(test_position_outlives_its_handle),
        TEST(test_partition_without_a_live_item_does_not_come),
        TEST(test_what_was_never_a_position_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
