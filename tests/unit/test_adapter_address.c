/* SPDX-License-Identifier: MIT
 *
 * Operations that take a key, in both forms: by value and by address. Which tables are accepted,
 * which form is called, and what becomes of a wrapper that replaced one of the two that
 * lk_adapter_pass gave it. And keys that lie in what a call fills.
 */
#include <latchkey/adapter.h>

#include "support/earlier.h"
#include "support/fake.h"

/* ---- an adapter that notes what was called ---- */

enum { GET, GET_INTO, GET_LOCK, VIEW, OPERATIONS };

typedef struct noting {
    lk_db *inner; /* first: lk_adapter_pass; NULL: it answers by itself */
    int by_value[OPERATIONS], by_address[OPERATIONS];
} noting;

static const lk_key the_key = {{"pk", 2}, {"sk", 2}};
static lk_db *const no_inner = NULL;

static bool
is_the_key(lk_key key)
{
    return lk_bytes_compare(key.pk, the_key.pk) == 0 && lk_bytes_compare(key.sk, the_key.sk) == 0;
}

/* The whole answer of one operation, whatever its form. */
static lk_status
get_answer(noting *n, lk_key key, lk_result *result)
{
    lk_item item = {key, {"data", 4}, 0};
    if (n->inner != NULL)
        return lk_get(n->inner, key, result);
    assert_true(is_the_key(key));
    lk_result_draft(result);
    lk_status status = lk_result_add(result, &item);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

static lk_status
value_get(void *state, lk_key key, lk_result *result)
{
    ((noting *)state)->by_value[GET]++;
    return get_answer(state, key, result);
}

static lk_status
address_get(void *state, const lk_key *key, lk_result *result)
{
    ((noting *)state)->by_address[GET]++;
    return get_answer(state, *key, result);
}

static lk_status
get_into_answer(noting *n, lk_key key, void *buffer, size_t capacity, size_t *size)
{
    if (n->inner != NULL)
        return lk_get_into(n->inner, key, buffer, capacity, size);
    assert_true(is_the_key(key) && capacity >= 4);
    memcpy(buffer, "into", 4);
    *size = 4;
    return LK_OK;
}

static lk_status
value_get_into(void *state, lk_key key, void *buffer, size_t capacity, size_t *size)
{
    ((noting *)state)->by_value[GET_INTO]++;
    return get_into_answer(state, key, buffer, capacity, size);
}

static lk_status
address_get_into(void *state, const lk_key *key, void *buffer, size_t capacity, size_t *size)
{
    ((noting *)state)->by_address[GET_INTO]++;
    return get_into_answer(state, *key, buffer, capacity, size);
}

static lk_status
value_get_lock(void *state, lk_key key, lk_lock *lock)
{
    noting *n = state;
    n->by_value[GET_LOCK]++;
    if (n->inner != NULL)
        return lk_get_lock(n->inner, key, lock);
    assert_true(is_the_key(key));
    *lock = (lk_lock){{{NULL, 0}, {NULL, 0}}, 7, 8}; /* by value it may write the key, too */
    return LK_OK;
}

static lk_status
address_get_lock(void *state, const lk_key *key, lk_lock *lock)
{
    noting *n = state;
    n->by_address[GET_LOCK]++;
    if (n->inner != NULL)
        return lk_get_lock_at(n->inner, key, lock);
    assert_true(is_the_key(*key));
    lock->version = 7;
    lock->expires_at_ms = 8;
    return LK_OK;
}

static lk_status
view_answer(noting *n, lk_key key, lk_item *item)
{
    if (n->inner != NULL)
        return lk_view(n->inner, key, item);
    assert_true(is_the_key(key));
    *item = (lk_item){the_key, {"view", 4}, 0};
    return LK_OK;
}

static lk_status
value_view(void *state, lk_key key, lk_item *item)
{
    ((noting *)state)->by_value[VIEW]++;
    return view_answer(state, key, item);
}

static lk_status
address_view(void *state, const lk_key *key, lk_item *item)
{
    ((noting *)state)->by_address[VIEW]++;
    return view_answer(state, *key, item);
}

/* ---- the four calls ---- */

static void
call_all(lk_db *db)
{
    lk_result *result = lk_result_new();
    char buffer[16];
    size_t size = 0;
    lk_lock lock = {0};
    lk_item item = {0};
    assert_status(LK_OK, lk_get_at(db, &the_key, result));
    assert_memory_equal(lk_result_item(result, 0)->data.data, "data", 4);
    assert_status(LK_OK, lk_get_into_at(db, &the_key, buffer, sizeof buffer, &size));
    assert_true(size == 4 && (memcmp(buffer, "into", 4) == 0 || memcmp(buffer, "data", 4) == 0));
    assert_status(LK_OK, lk_get_lock_at(db, &the_key, &lock));
    assert_true(lock.version == 7 && lock.expires_at_ms == 8 && is_the_key(lock.key));
    assert_status(LK_OK, lk_view_at(db, &the_key, &item));
    assert_memory_equal(item.data.data, "view", 4);
    lk_result_free(result);
}

static void
pair_mark(void *state)
{
    (void)state;
}

static const uint64_t both_groups = LK_HAS_LOCKS | LK_HAS_VIEWS;

/* A table with the forms that are asked for: bit i of `values` and of `addresses` is operation
 * i. */
static lk_operations
table_of(unsigned values, unsigned addresses)
{
    lk_operations o = fake_operations_of(both_groups);
    o.close = NULL; /* states here are no fakes */
    o.read_begin = o.read_end = pair_mark;
    o.get = (values >> GET & 1) != 0 ? value_get : NULL;
    o.get_into = (values >> GET_INTO & 1) != 0 ? value_get_into : NULL;
    o.get_lock = (values >> GET_LOCK & 1) != 0 ? value_get_lock : NULL;
    o.view = (values >> VIEW & 1) != 0 ? value_view : NULL;
    o.get_at = (addresses >> GET & 1) != 0 ? address_get : NULL;
    o.get_into_at = (addresses >> GET_INTO & 1) != 0 ? address_get_into : NULL;
    o.get_lock_at = (addresses >> GET_LOCK & 1) != 0 ? address_get_lock : NULL;
    o.view_at = (addresses >> VIEW & 1) != 0 ? address_view : NULL;
    return o;
}

static lk_status
noting_open(noting *n, const lk_operations *operations, uint64_t capabilities, lk_db **db)
{
    lk_adapter adapter = LK_ADAPTER_INIT;
    adapter.state = n;
    adapter.capabilities = capabilities;
    return lk_adapter_open(operations, &adapter, db);
}

/* ---- tables ---- */

static void
test_open_takes_every_operation_in_either_form_and_calls_the_one_by_address(void **state)
{
    (void)state;
    const unsigned all = (1U << OPERATIONS) - 1;
    for (unsigned values = 0; values <= all; values++)
        for (unsigned addresses = 0; addresses <= all; addresses++) {
            noting n = {no_inner, {0}, {0}};
            lk_db *db = NULL;
            lk_operations o = table_of(values, addresses);
            bool whole = ((values | addresses) | 1U << GET_INTO) == all;
            assert_status(whole ? LK_OK : LK_INVALID, noting_open(&n, &o, both_groups, &db));
            if (!whole)
                continue;
            call_all(db);
            for (unsigned i = 0; i < OPERATIONS; i++) {
                bool at = (addresses >> i & 1) != 0, by_value = !at && (values >> i & 1) != 0;
                bool into_by_get = ((values | addresses) >> GET_INTO & 1) == 0;
                int calls = i == GET && into_by_get ? 2 : 1; /* lk_get_into is made of it then */
                assert_int_equal(n.by_address[i], at ? calls : 0);
                assert_int_equal(n.by_value[i], by_value ? calls : 0);
            }
            lk_close(db);
        }
}

static void
test_open_with_an_operation_by_address_and_without_its_capability_is_invalid(void **state)
{
    (void)state;
    noting n = {no_inner, {0}, {0}};
    lk_db *db = NULL;
    for (int i = 0; i < 2; i++) {
        lk_operations o = fake_operations_of(0);
        if (i == 0)
            o.get_lock_at = address_get_lock;
        else
            o.view_at = address_view;
        assert_status(LK_INVALID, noting_open(&n, &o, 0, &db));
    }
    assert_null(db);
}

static void
test_an_older_table_is_called_by_value_whatever_lies_behind_it(void **state)
{
    (void)state;
    noting n = {no_inner, {0}, {0}};
    lk_db *db = NULL;
    lk_operations o = table_of(15, 15);
    o.size = offsetof(lk_operations, get_at);
    assert_status(LK_OK, noting_open(&n, &o, both_groups, &db));
    call_all(db);
    for (int i = 0; i < OPERATIONS; i++)
        assert_true(n.by_value[i] == 1 && n.by_address[i] == 0);
    lk_close(db);
}

/* ---- wrappers ---- */

typedef struct replaced {
    unsigned values, cleared,
        addresses; /* bits: by value replaced, set to NULL; by address replaced */
} replaced;

static void
table_replace(lk_operations *o, const replaced *r)
{
    lk_operations mine = table_of(r->values, r->addresses);
#define REPLACE(which, form)            \
    if ((r->cleared >> (which)&1) != 0) \
        o->form = NULL;                 \
    else if (mine.form != NULL)         \
        o->form = mine.form;            \
    if (mine.form##_at != NULL)         \
    o->form##_at = mine.form##_at
    REPLACE(GET, get);
    REPLACE(GET_INTO, get_into);
    REPLACE(GET_LOCK, get_lock);
    REPLACE(VIEW, view);
#undef REPLACE
}

/* Over an adapter of either kind, by either version of lk_adapter_pass. */
static void
wrapper_check(const replaced *r, bool inner_by_address, bool small)
{
    noting inner = {no_inner, {0}, {0}}, outer = {NULL, {0}, {0}};
    lk_operations o = inner_by_address ? table_of(0, 15) : table_of(15, 0);
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_db *db = NULL;
    assert_status(LK_OK, noting_open(&inner, &o, both_groups, &outer.inner));
    memset(&o, 0x5a, sizeof o);
    size_t size = small ? offsetof(lk_operations, get_at) : sizeof o;
    assert_status(LK_OK, lk_adapter_pass_sized(outer.inner, &o, size, &adapter));
    for (size_t i = size; i < sizeof o; i++)
        assert_int_equal(((unsigned char *)&o)[i], 0x5a);
    table_replace(&o, r);
    adapter.state = &outer;
    assert_status(LK_OK, lk_adapter_open(&o, &adapter, &db));
    call_all(db);
    int *reached = inner_by_address ? inner.by_address : inner.by_value;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        bool at = !small && (r->addresses >> i & 1) != 0;
        bool by_value = !at && (r->values >> i & 1) != 0;
        bool into_by_get = i == GET && !at && (r->cleared >> GET_INTO & 1) != 0;
        assert_int_equal(outer.by_address[i], at);
        assert_int_equal(outer.by_value[i], by_value + (by_value && into_by_get));
        if (i != GET && i != GET_INTO) /* these two may be made of one another */
            assert_int_equal(reached[i], 1);
    }
    assert_int_equal(reached[GET] + reached[GET_INTO], 2);
    lk_close(db);
    lk_close(outer.inner);
}

static lk_status
my_set(void *state, const lk_item *items, size_t count)
{
    return lk_set(*(lk_db **)state, items, count);
}

static lk_status
my_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
          size_t lock_count, lk_conflict *conflict)
{
    return lk_commit(*(lk_db **)state, writes, write_count, locks, lock_count, conflict);
}

static lk_status
my_touch(void *state, const lk_key *key, int64_t expires_at_ms)
{
    return lk_touch_at(*(lk_db **)state, key, expires_at_ms);
}

static lk_status
my_query(void *state, const lk_page *page, lk_result *result)
{
    return lk_query_page(*(lk_db **)state, page, result);
}

/* Who replaces older writes, and knows nothing of the newer ones, gets none of those past him. */
static void
test_a_wrapper_has_no_calls_that_pass_those_which_it_replaced(void **state)
{
    (void)state;
    const uint64_t newer = LK_HAS_CONDITIONS | LK_COMMITS_RELEASES, absent = LK_LOCKS_ABSENT;
    for (int which = 0; which < 6; which++) {
        fake f = {.answer = LK_OK};
        lk_operations o = fake_operations;
        o.close = NULL;
        lk_adapter adapter = fake_adapter(&f, FAKE_ALL | absent);
        lk_db *inner = NULL, *db = NULL;
        assert_status(LK_OK, lk_adapter_open(&o, &adapter, &inner));
        assert_status(LK_OK, lk_adapter_pass(inner, &o, &adapter));
        uint64_t all = adapter.capabilities, wanted = all;
        o.set = which == 1 || which == 3 ? my_set : o.set;
        o.commit = which == 2 ? my_commit : o.commit;
        o.touch = which == 3 ? my_touch : o.touch;
        o.query = which == 4 ? my_query : o.query;
        o.get_locked = which == 5 ? NULL : o.get_locked;
        wanted &= which == 1 || which == 2 ? ~newer : which == 5 ? ~absent : all;
        adapter.state = &inner;
        assert_status(LK_OK, lk_adapter_open(&o, &adapter, &db));
        assert_true(lk_capabilities(db) == wanted);
        size_t count = 0;
        lk_query query = {.pk = the_key.pk};
        f.answer = LK_BUSY;
        assert_status(LK_BUSY, lk_count(db, &query, &count));
        assert_string_equal(f.order, which != 4 ? "n" : "x"); /* what that query finds */
        lk_close(db);
        lk_close(inner);
    }
}

static void
test_a_wrapper_gets_the_calls_that_it_replaced_in_either_form(void **state)
{
    (void)state;
    static const replaced cases[] = {
        {0, 0, 0},
        {1U << GET, 1U << GET_INTO, 0}, /* as adapters were written before there were addresses */
        {1U << GET, 0, 0},
        {1U << GET | 1U << GET_INTO, 0, 0},
        {1U << GET_LOCK, 0, 0},
        {1U << VIEW, 0, 0},
        {15, 0, 0},
        {0, 0, 1U << GET},
        {0, 0, 1U << GET_LOCK | 1U << VIEW},
        {0, 0, 15},
        {15, 0, 15},
    };
    for (size_t i = 0; i < KIT_COUNT(cases); i++)
        for (int kind = 0; kind < 4; kind++)
            wrapper_check(&cases[i], (kind & 1) != 0, (kind & 2) != 0);
}

static void
test_a_wrapper_may_take_out_what_its_capabilities_lack(void **state)
{
    (void)state;
    noting inner = {no_inner, {0}, {0}}, outer = {NULL, {0}, {0}};
    lk_operations o = table_of(0, 15);
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_db *db = NULL;
    lk_lock lock;
    lk_item item;
    assert_status(LK_OK, noting_open(&inner, &o, both_groups, &outer.inner));
    assert_status(LK_OK, lk_adapter_pass(outer.inner, &o, &adapter));
    o.get_lock = NULL; /* as they were taken out before there were addresses */
    o.get_locked = NULL;
    o.commit = NULL;
    o.set_atomic = NULL;
    o.read_begin = o.read_end = NULL;
    o.view = NULL;
    adapter.capabilities &= ~both_groups;
    adapter.state = &outer;
    assert_status(LK_OK, lk_adapter_open(&o, &adapter, &db));
    assert_status(LK_UNSUPPORTED, lk_get_lock(db, the_key, &lock));
    assert_status(LK_UNSUPPORTED, lk_view(db, the_key, &item));
    lk_close(db);
    lk_close(outer.inner);
}

static void
test_pass_fills_a_table_of_any_size_and_no_more(void **state)
{
    (void)state;
    union {
        lk_operations known;
        unsigned char bytes[sizeof(lk_operations) + 64];
    } table;
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_db *db = NULL;
    assert_status(LK_OK, lk_memory_open(NULL, &db));
    for (size_t size = 0; size <= sizeof table; size++) {
        memset(&table, 0x5a, sizeof table);
        bool known = size % sizeof(void *) == 0 && size >= offsetof(lk_operations, remove);
        lk_status status = lk_adapter_pass_sized(db, &table.known, size, &adapter);
        assert_status(known ? LK_OK : LK_INVALID, status);
        for (size_t i = known ? size : 0; i < sizeof table; i++)
            assert_int_equal(table.bytes[i], 0x5a);
        for (size_t i = sizeof table.known; known && i < size; i++)
            assert_int_equal(table.bytes[i], 0);
        if (known)
            assert_int_equal(table.known.size, size);
    }
    assert_status(LK_INVALID, lk_adapter_pass(db, NULL, &adapter));
    lk_close(db);
}

/* ---- keys ---- */

static void
test_a_key_that_is_null_is_invalid_and_reaches_no_operation(void **state)
{
    (void)state;
    noting n = {no_inner, {0}, {0}};
    lk_db *db = NULL;
    lk_operations o = table_of(0, 15);
    lk_result *result = lk_result_new();
    char buffer[4];
    size_t size = 99;
    lk_lock lock = {.version = 99};
    lk_item item = {.expires_at_ms = 99};
    assert_status(LK_OK, noting_open(&n, &o, both_groups, &db));
    assert_status(LK_INVALID, lk_get_at(db, NULL, result));
    assert_status(LK_INVALID, lk_get_into_at(db, NULL, buffer, sizeof buffer, &size));
    assert_status(LK_INVALID, lk_get_lock_at(db, NULL, &lock));
    assert_status(LK_INVALID, lk_view_at(db, NULL, &item));
    assert_true(size == 99 && lock.version == 99 && item.expires_at_ms == 99);
    for (int i = 0; i < OPERATIONS; i++)
        assert_true(n.by_value[i] == 0 && n.by_address[i] == 0);
    lk_result_free(result);
    lk_close(db);
}

/* On the embedded store, a cache over it, and an adapter that takes keys by value. */
static void
keys_inside_check(lk_db *db)
{
    lk_result *result = lk_result_new();
    for (int round = 0; round < 3; round++) {
        lk_lock lock = {the_key, 0, 0};
        lk_item item = {the_key, {NULL, 0}, 0};
        assert_status(LK_OK, lk_get(db, the_key, result));
        const lk_key *inside = &lk_result_item(result, 0)->key;
        assert_status(LK_OK, lk_get_at(db, inside, result));
        assert_true(is_the_key(lk_result_item(result, 0)->key));
        assert_memory_equal(lk_result_item(result, 0)->data.data, "data", 4);
        assert_status(LK_OK, lk_get_lock_at(db, &lock.key, &lock));
        assert_true(is_the_key(lock.key) && lock.version != 0);
        lk_read_begin(db);
        assert_status(LK_OK, lk_view_at(db, &item.key, &item));
        assert_true(is_the_key(item.key) && item.data.size == 4);
        lk_read_end(db);
    }
    lk_result_free(result);
}

static void
test_a_key_may_lie_in_what_the_call_fills(void **state)
{
    (void)state;
    noting n = {no_inner, {0}, {0}};
    lk_db *memory, *cache, *cold, *mine;
    lk_operations o = table_of(15, 0);
    lk_cache_options options = LK_CACHE_OPTIONS_INIT;
    lk_item item = {the_key, {"data", 4}, 0};
    options.max_items = 100;
    assert_status(LK_OK, lk_memory_open(NULL, &memory));
    assert_status(LK_OK, lk_set(memory, &item, 1));
    keys_inside_check(memory);
    assert_status(LK_OK, lk_cache_open(memory, &options, &cache));
    keys_inside_check(cache);
    lk_close(cache);
    assert_status(LK_OK, noting_open(&n, &o, both_groups, &mine));
    keys_inside_check(mine);

    /* A miss of a cache reads the key again after the database has filled the result. */
    assert_status(LK_OK, lk_cache_open(memory, &options, &cold));
    lk_result *result = lk_result_new();
    assert_status(LK_OK, lk_get(memory, the_key, result));
    assert_status(LK_OK, lk_get_at(cold, &lk_result_item(result, 0)->key, result));
    assert_status(LK_OK, lk_delete(memory, &the_key, 1)); /* past the cache */
    assert_status(LK_OK, lk_get(cold, the_key, result));
    assert_true(is_the_key(lk_result_item(result, 0)->key));
    lk_result_free(result);
    lk_close(cold);
    lk_close(mine);
    lk_close(memory);
}

/* ---- programs that were compiled before ---- */

static void
test_the_functions_by_value_are_there_for_programs_compiled_before(void **state)
{
    (void)state;
    noting n = {no_inner, {0}, {0}};
    lk_operations o = table_of(0, 15), passing;
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_db *db = NULL;
    lk_result *result = lk_result_new();
    char buffer[16];
    size_t size = 0;
    lk_lock lock = {0};
    lk_item item = {0};
    assert_status(LK_OK, noting_open(&n, &o, both_groups, &db));
    assert_status(LK_OK, earlier.get(db, the_key, result));
    assert_status(LK_OK, earlier.get_into(db, the_key, buffer, sizeof buffer, &size));
    assert_status(LK_OK, earlier.get_lock(db, the_key, &lock));
    assert_status(LK_OK, earlier.view(db, the_key, &item));
    assert_true(lk_result_count(result) == 1 && size == 4 && lock.version == 7);
    assert_true(is_the_key(lock.key) && item.data.size == 4);
    for (int i = 0; i < OPERATIONS; i++)
        assert_int_equal(n.by_address[i], 1);
    memset(&passing, 0x5a, sizeof passing);
    assert_status(LK_OK, earlier.adapter_pass(db, &passing, &adapter));
    assert_int_equal(passing.size, offsetof(lk_operations, get_at));
    for (size_t i = passing.size; i < sizeof passing; i++)
        assert_int_equal(((unsigned char *)&passing)[i], 0x5a);
    lk_result_free(result);
    lk_close(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_open_takes_every_operation_in_either_form_and_calls_the_one_by_address),
        cmocka_unit_test(
            test_open_with_an_operation_by_address_and_without_its_capability_is_invalid),
        cmocka_unit_test(test_an_older_table_is_called_by_value_whatever_lies_behind_it),
        cmocka_unit_test(test_a_wrapper_has_no_calls_that_pass_those_which_it_replaced),
        cmocka_unit_test(test_a_wrapper_gets_the_calls_that_it_replaced_in_either_form),
        cmocka_unit_test(test_a_wrapper_may_take_out_what_its_capabilities_lack),
        cmocka_unit_test(test_pass_fills_a_table_of_any_size_and_no_more),
        cmocka_unit_test(test_a_key_that_is_null_is_invalid_and_reaches_no_operation),
        cmocka_unit_test(test_a_key_may_lie_in_what_the_call_fills),
        cmocka_unit_test(test_the_functions_by_value_are_there_for_programs_compiled_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
