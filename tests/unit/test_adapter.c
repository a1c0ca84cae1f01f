/* SPDX-License-Identifier: MIT
 *
 * lk_adapter_open and the life of a handle: which tables are accepted, limits, clocks, what every
 * call answers on a full adapter, on one that lacks it, on a closed one that is held, and in the
 * child of a fork.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "support/fake.h"

static fake state_of_fake;

/* A fresh fake: nothing seen, every answer LK_OK. */
static fake *
fake_new(void)
{
    state_of_fake = (fake){.data = {"data", 4}};
    return &state_of_fake;
}

static lk_status
open_status(const lk_operations *operations, const lk_adapter *adapter)
{
    lk_db *const untouched = (lk_db *)(void *)&state_of_fake;
    lk_db *db = untouched;
    lk_status status = lk_adapter_open(operations, adapter, &db);
    if (status == LK_OK) {
        assert_true(db != untouched);
        lk_close(db);
    } else {
        assert_true(db == untouched && state_of_fake.closes == 0);
    }
    assert_int_equal(state_of_fake.calls, 0);
    return status;
}

/* Of a table, with nothing else that could be wrong. */
static lk_status
table_status(const lk_operations *operations, uint64_t capabilities)
{
    lk_adapter adapter = fake_adapter(fake_new(), capabilities);
    return open_status(operations, &adapter);
}

/* ---- tables ---- */

typedef struct member {
    const char *name;
    size_t offset;
    uint64_t group; /* 0: may be there or not */
} member;

#define MEMBER(name, group)                         \
    {                                               \
#name, offsetof(lk_operations, name), group \
    }
#define EVERY UINT64_MAX
static const member members[] = {
    MEMBER(close, 0),
    MEMBER(get, EVERY),
    MEMBER(set, EVERY),
    MEMBER(remove, EVERY),
    MEMBER(get_into, 0),
    MEMBER(get_many, LK_HAS_GET_MANY),
    MEMBER(query, LK_HAS_QUERY),
    MEMBER(get_lock, LK_HAS_LOCKS),
    MEMBER(get_locked, 0),
    MEMBER(commit, LK_HAS_LOCKS),
    MEMBER(set_atomic, 0),
    MEMBER(push, LK_HAS_QUEUES),
    MEMBER(pull, LK_HAS_QUEUES),
    MEMBER(acknowledge, LK_HAS_QUEUES),
    MEMBER(release, LK_HAS_QUEUES),
    MEMBER(extend, LK_HAS_QUEUES),
    MEMBER(queue_stats, LK_HAS_QUEUES),
    MEMBER(queue_purge, LK_HAS_QUEUES),
    MEMBER(queue_close, LK_HAS_QUEUES),
    MEMBER(queue_fd, LK_HAS_QUEUE_FD),
    MEMBER(read_begin, LK_HAS_VIEWS),
    MEMBER(read_end, LK_HAS_VIEWS),
    MEMBER(view, LK_HAS_VIEWS),
    MEMBER(sweep, LK_HAS_SWEEP),
    MEMBER(statistics, LK_HAS_STATISTICS),
    MEMBER(put_if, LK_HAS_CONDITIONS),
    MEMBER(touch, LK_HAS_CONDITIONS),
    MEMBER(add, LK_HAS_CONDITIONS),
    MEMBER(count, 0),
    MEMBER(list_partitions, LK_HAS_PARTITIONS),
    MEMBER(queue_inspect, LK_HAS_QUEUE_INSPECT),
};
/* And four by address, which the fake does without: test_adapter_address.c. */
enum { BY_ADDRESS = 4 };

static void
member_clear(lk_operations *operations, const member *m)
{
    memset((unsigned char *)operations + m->offset, 0, sizeof operations->close);
}

static void
member_put(lk_operations *operations, const member *m)
{
    memcpy((unsigned char *)operations + m->offset,
           (const unsigned char *)&fake_operations + m->offset, sizeof operations->close);
}

static void
test_open_of_a_whole_table_works_and_a_missing_operation_is_invalid(void **state)
{
    (void)state;
    assert_int_equal((KIT_COUNT(members) + BY_ADDRESS) * sizeof(void *) + sizeof(size_t),
                     sizeof(lk_operations));
    assert_status(LK_OK, table_status(&fake_operations, FAKE_ALL));
    for (size_t i = 0; i < KIT_COUNT(members); i++) {
        lk_operations operations = fake_operations;
        member_clear(&operations, &members[i]);
        lk_status status = table_status(&operations, FAKE_ALL);
        if (status != (members[i].group == 0 ? LK_OK : LK_INVALID))
            fail_msg("without %s: %s", members[i].name, lk_status_string(status));
    }
}

static void
test_open_of_a_small_table_is_invalid_with_an_operation_or_a_capability_more(void **state)
{
    (void)state;
    lk_operations small = fake_operations_of(0);
    assert_status(LK_OK, table_status(&small, 0));
    for (size_t i = 0; i < KIT_COUNT(members); i++) {
        uint64_t group = members[i].group;
        lk_operations operations = small;
        if (group == EVERY)
            continue;
        member_put(&operations, &members[i]);
        bool free = members[i].offset == offsetof(lk_operations, close) ||
                    members[i].offset == offsetof(lk_operations, get_into);
        lk_status status = table_status(&operations, 0);
        if (status != (free ? LK_OK : LK_INVALID))
            fail_msg("%s without its capability: %s", members[i].name, lk_status_string(status));
        if (group != 0)
            assert_status(LK_INVALID, table_status(&small, group));
    }
}

/* Each group by itself, with every subset of its operations, with and without its bit. */
static void
test_open_of_a_group_that_is_not_whole_is_invalid(void **state)
{
    static const uint64_t groups[] = {LK_HAS_GET_MANY,   LK_HAS_QUERY,      LK_HAS_LOCKS,
                                      LK_HAS_QUEUES,     LK_HAS_VIEWS,      LK_HAS_SWEEP,
                                      LK_HAS_STATISTICS, LK_HAS_CONDITIONS, LK_HAS_PARTITIONS};
    (void)state;
    for (size_t g = 0; g < KIT_COUNT(groups); g++) {
        const member *of_group[8];
        unsigned count = 0, opened = 0;
        for (size_t i = 0; i < KIT_COUNT(members); i++)
            if (members[i].group == groups[g])
                of_group[count++] = &members[i];
        for (unsigned subset = 0; subset < 1U << count; subset++) {
            lk_operations operations = fake_operations_of(0);
            for (unsigned i = 0; i < count; i++)
                if ((subset & 1U << i) != 0)
                    member_put(&operations, of_group[i]);
            bool none = subset == 0, all = subset == (1U << count) - 1;
            assert_status(none ? LK_OK : LK_INVALID, table_status(&operations, 0));
            assert_status(all ? LK_OK : LK_INVALID, table_status(&operations, groups[g]));
            opened += all;
        }
        assert_int_equal(opened, 1);
    }
}

static void
test_open_with_bits_that_are_unknown_or_need_others_is_invalid(void **state)
{
    (void)state;
    const uint64_t promises = LK_IS_SNAPSHOT | LK_IS_DURABLE | LK_CHECKS_DUPLICATES;
    lk_operations small = fake_operations_of(0);
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t one = (uint64_t)1 << bit, known = FAKE_ALL | promises | LK_LOCKS_ABSENT;
        if ((known & one) == 0)
            assert_status(LK_INVALID, table_status(&fake_operations, FAKE_ALL | one));
        assert_status((promises & one) != 0 ? LK_OK : LK_INVALID, table_status(&small, one));
    }
    assert_status(LK_OK, table_status(&fake_operations, FAKE_ALL | promises));

    const uint64_t locks = LK_HAS_LOCKS, queues = LK_HAS_QUEUES, fd = LK_HAS_QUEUE_FD;
    lk_operations with_fd = fake_operations_of(fd), both = fake_operations_of(locks | queues);
    lk_operations only_locks = fake_operations_of(locks), only_queues = fake_operations_of(queues);
    assert_status(LK_INVALID, table_status(&with_fd, fd));
    assert_status(LK_OK, table_status(&both, locks | queues));
    assert_status(LK_OK, table_status(&both, locks | queues | LK_COMMITS_JOBS));
    assert_status(LK_INVALID, table_status(&only_locks, locks | LK_COMMITS_JOBS));
    assert_status(LK_INVALID, table_status(&only_queues, queues | LK_COMMITS_JOBS));

    const uint64_t query = LK_HAS_QUERY, inspect = LK_HAS_QUEUE_INSPECT;
    lk_operations only_query = fake_operations_of(query),
                  with_inspect = fake_operations_of(inspect);
    lk_operations queues_inspect = fake_operations_of(queues | inspect);
    assert_status(LK_INVALID, table_status(&with_inspect, inspect));
    assert_status(LK_OK, table_status(&queues_inspect, queues | inspect));
    assert_status(LK_OK, table_status(&only_query, query | LK_QUERIES_RANGES));
    assert_status(LK_INVALID, table_status(&only_locks, locks | LK_LOCKS_ABSENT));
    only_locks.get_locked = fake_operations.get_locked;
    assert_status(LK_OK, table_status(&only_locks, locks | LK_LOCKS_ABSENT));
    assert_status(LK_INVALID, table_status(&both, locks | queues | LK_COMMITS_RELEASES));
    assert_status(LK_OK,
                  table_status(&both, locks | queues | LK_COMMITS_JOBS | LK_COMMITS_RELEASES));
}

/* ---- sizes ---- */

/* What a table of that size may claim. */
static uint64_t
claims_within(size_t size)
{
    uint64_t capabilities = 0, broken = 0;
    for (size_t i = 0; i < KIT_COUNT(members); i++) {
        if (members[i].group == EVERY || members[i].group == 0)
            continue;
        capabilities |= members[i].group;
        if (members[i].offset + sizeof(void *) > size)
            broken |= members[i].group;
    }
    return capabilities & ~broken;
}

static void
test_open_of_an_older_table_takes_what_is_newer_as_absent(void **state)
{
    (void)state;
    int opened = 0;
    for (size_t size = 0; size <= sizeof(lk_operations); size++) {
        /* What lies behind `size` is there, and must not be seen. */
        lk_operations operations = fake_operations_of(claims_within(size));
        for (size_t i = 0; i < KIT_COUNT(members); i++)
            if (members[i].offset + sizeof(void *) > size)
                member_put(&operations, &members[i]);
        operations.size = size;
        bool whole = size % sizeof(void *) == 0 &&
                     size >= offsetof(lk_operations, remove) + sizeof operations.remove;
        assert_status(whole ? LK_OK : LK_INVALID, table_status(&operations, claims_within(size)));
        if (size < offsetof(lk_operations, get_at) && whole)
            assert_status(LK_INVALID, table_status(&operations, claims_within(sizeof operations)));
        opened += whole;
    }
    assert_int_equal(opened, KIT_COUNT(members) + BY_ADDRESS -
                                 3); /* close, get, set alone are too little */
}

static void
test_open_of_a_newer_table_works_if_the_news_is_zero(void **state)
{
    (void)state;
    union {
        lk_operations known;
        unsigned char bytes[6 * sizeof(lk_operations)];
    } newer;
    memset(&newer, 0, sizeof newer);
    newer.known = fake_operations;
    for (size_t size = sizeof newer.known; size <= sizeof newer; size++) {
        bool sane = size % sizeof(void *) == 0 && size <= 4 * sizeof newer.known;
        newer.known.size = size;
        assert_status(sane ? LK_OK : LK_INVALID, table_status(&newer.known, FAKE_ALL));
    }
    newer.known.size = sizeof newer.known + 2 * sizeof(void *);
    for (size_t i = sizeof newer.known; i < newer.known.size + 4; i++) {
        newer.bytes[i] = 1;
        bool inside = i < newer.known.size;
        assert_status(inside ? LK_INVALID : LK_OK, table_status(&newer.known, FAKE_ALL));
        newer.bytes[i] = 0;
    }
    newer.known.size = SIZE_MAX / 8 * 8;
    assert_status(LK_INVALID, table_status(&newer.known, FAKE_ALL));
}

static void
test_open_with_another_size_of_the_adapter_is_invalid(void **state)
{
    (void)state;
    const size_t right = sizeof(lk_adapter);
    const size_t sizes[] = {0, 1, 8, right - 8, right - 1, right + 1, right + 8, SIZE_MAX};
    lk_adapter adapter = fake_adapter(fake_new(), FAKE_ALL);
    lk_adapter read = {.size = right};
    assert_status(LK_OK, open_status(&fake_operations, &adapter));
    lk_db *db = fake_open(fake_new(), 0);
    for (size_t i = 0; i < KIT_COUNT(sizes); i++) {
        adapter.size = read.size = sizes[i];
        state_of_fake.closes = 0;
        assert_status(LK_INVALID, open_status(&fake_operations, &adapter));
        assert_status(LK_INVALID, lk_adapter_read(db, &read));
        assert_true(read.size == sizes[i] && read.name == NULL);
    }
    lk_close(db);
}

static void
test_open_with_null_arguments_is_invalid(void **state)
{
    (void)state;
    lk_adapter adapter = fake_adapter(fake_new(), FAKE_ALL);
    assert_status(LK_INVALID, open_status(NULL, &adapter));
    assert_status(LK_INVALID, open_status(&fake_operations, NULL));
    assert_status(LK_INVALID, open_status(NULL, NULL));
    assert_status(LK_INVALID, lk_adapter_open(&fake_operations, &adapter, NULL));
    assert_int_equal(state_of_fake.closes, 0);
    assert_status(LK_INVALID, lk_adapter_read(NULL, &adapter));
    assert_status(LK_INVALID, lk_adapter_hold(NULL));
    assert_true(lk_capabilities(NULL) == 0);
    lk_adapter_release(NULL);
    lk_close(NULL);
    lk_db *db = fake_open(fake_new(), 0);
    assert_status(LK_INVALID, lk_adapter_read(db, NULL));
    lk_close(db);
}

/* ---- limits and clocks ---- */

static void
test_open_without_limits_has_the_defaults(void **state)
{
    (void)state;
    lk_db *db = fake_open(fake_new(), LK_HAS_QUERY | LK_IS_DURABLE);
    lk_adapter read = LK_ADAPTER_INIT;
    read.state = &read;
    assert_status(LK_OK, lk_adapter_read(db, &read));
    assert_true(read.size == sizeof read && read.state == NULL);
    assert_string_equal(read.name, "fake");
    assert_true(read.capabilities == (LK_HAS_QUERY | LK_IS_DURABLE));
    assert_true(lk_capabilities(db) == read.capabilities);
    assert_true(read.max_pk_size == 2048 && read.max_sk_size == 1024);
    assert_true(read.max_data_size == (size_t)16 << 20);
    assert_true(read.realtime_ms == lki_realtime_ms && read.monotonic_ms == lki_monotonic_ms);
    lk_close(db);

    lk_adapter nameless = fake_adapter(fake_new(), 0);
    lk_operations small = fake_operations_of(0);
    nameless.name = NULL;
    assert_status(LK_OK, lk_adapter_open(&small, &nameless, &db));
    assert_status(LK_OK, lk_adapter_read(db, &read));
    assert_string_equal(read.name, "");
    lk_close(db);
}

static void
test_open_with_limits_up_to_their_caps_works_and_above_is_too_big(void **state)
{
    (void)state;
    const size_t caps[3] = {65535, 65535, UINT32_MAX};
    for (size_t which = 0; which < 3; which++)
        for (int above = 0; above < 3; above++) {
            lk_adapter adapter = fake_adapter(fake_new(), FAKE_ALL);
            size_t *limits[3] = {&adapter.max_pk_size, &adapter.max_sk_size,
                                 &adapter.max_data_size};
            *limits[which] = above == 2 ? SIZE_MAX : caps[which] + (size_t)above;
            assert_status(above == 0 ? LK_OK : LK_TOO_BIG, open_status(&fake_operations, &adapter));
        }
}

static void
test_calls_beyond_the_limits_are_too_big_and_reach_no_operation(void **state)
{
    (void)state;
    static const char bytes[32];
    const lk_key fits = {{bytes, 3}, {bytes, 5}}, long_pk = {{bytes, 4}, {bytes, 5}},
                 long_sk = {{bytes, 3}, {bytes, 6}};
    const lk_bytes long_part = {bytes, 27}; /* of no key of the store's own, nor of a queue's */
    fake *f = fake_new();
    lk_adapter adapter = fake_adapter(f, FAKE_ALL);
    adapter.max_pk_size = 3;
    adapter.max_sk_size = 5;
    adapter.max_data_size = 7;
    lk_result *result = lk_result_new();
    lk_db *db;
    assert_status(LK_OK, lk_adapter_open(&fake_operations, &adapter, &db));
    lk_item item = {.key = fits, .data = {bytes, 7}}, big = {.key = fits, .data = {bytes, 8}};
    assert_status(LK_OK, lk_set(db, &item, 1));
    assert_status(LK_OK, lk_get(db, fits, result));
    assert_int_equal(f->calls, 2);
    assert_status(LK_TOO_BIG, lk_set(db, &big, 1));
    assert_status(LK_TOO_BIG, lk_get(db, long_pk, result));
    assert_status(LK_TOO_BIG, lk_get(db, long_sk, result));
    assert_status(LK_TOO_BIG, lk_delete(db, &long_sk, 1));
    assert_status(LK_TOO_BIG, lk_queue_close(db, long_pk.pk));
    lk_query queries[] = {{.pk = long_pk.pk},
                          {.pk = fits.pk, .sk_prefix = long_part},
                          {.pk = fits.pk, .after = long_part}};
    for (size_t i = 0; i < KIT_COUNT(queries); i++) {
        lk_page page = {&queries[i], true, 1, 1};
        assert_status(LK_TOO_BIG, lk_query_items(db, &queries[i], result));
        assert_status(LK_TOO_BIG, lk_query_page(db, &page, result));
    }
    assert_status(LK_INVALID, lk_query_page(db, NULL, result));
    assert_status(LK_INVALID, lk_query_page(db, &(lk_page){0}, result));
    assert_status(LK_INVALID, lk_query_page(NULL, &(lk_page){.query = queries}, result));
    assert_status(LK_INVALID, lk_query_page(db, &(lk_page){.query = queries}, NULL));
    assert_int_equal(f->calls, 2);
    lk_close(db);
    lk_result_free(result);
}

static int64_t
clock_real(void *context)
{
    return *(int64_t *)context + 1;
}

static int64_t
clock_monotonic(void *context)
{
    return *(int64_t *)context + 2;
}

static void
test_clocks_of_the_adapter_are_those_of_the_handle(void **state)
{
    (void)state;
    int64_t base = 5000;
    lk_operations operations = fake_operations_of(0);
    lk_adapter adapter = fake_adapter(fake_new(), 0), read = LK_ADAPTER_INIT;
    adapter.realtime_ms = clock_real;
    adapter.monotonic_ms = clock_monotonic;
    adapter.clock_context = &base;
    lk_db *db;
    assert_status(LK_OK, lk_adapter_open(&operations, &adapter, &db));
    assert_true(lk_realtime_now_ms(db) == 5001 && lk_monotonic_now_ms(db) == 5002);
    base = -7;
    assert_true(lk_realtime_now_ms(db) == -6 && lk_monotonic_now_ms(db) == -5);
    assert_status(LK_OK, lk_adapter_read(db, &read));
    assert_true(read.realtime_ms == clock_real && read.monotonic_ms == clock_monotonic);
    assert_ptr_equal(read.clock_context, &base);
    assert_status(LK_OK, lk_adapter_hold(db));
    lk_close(db); /* from here on the adapter's clocks may be gone */
    assert_true(lk_realtime_now_ms(db) > INT64_C(1000000000000));
    assert_true(lk_monotonic_now_ms(db) != -5 && lk_monotonic_now_ms(NULL) != -5);
    lk_adapter_release(db);
    assert_true(lk_realtime_now_ms(NULL) > INT64_C(1000000000000));
}

/* ---- every call, on handles of each kind ---- */

static void
test_status_of_each_operation_comes_through_with_outputs_untouched(void **state)
{
    (void)state;
    fake *f = fake_new();
    lk_db *db = fake_open_with(f, &fake_operations, FAKE_ALL);
    fake_rig rig = fake_rig_of(db);
    f->answer = LK_UNAVAILABLE;
    fake_rig_answers(&rig, 0, LK_UNAVAILABLE);
    assert_int_equal(f->calls, fake_call_count);
    assert_false(f->optional_is_null);
    f->answer = LK_UNKNOWN;
    fake_rig_answers(&rig, 0, LK_UNKNOWN);
    lk_read_begin(db);
    lk_read_end(db);
    assert_int_equal(f->calls, 2 * fake_call_count + 2);
    lk_close(db);
    assert_int_equal(f->closes, 1);
    lk_result_free(rig.result);
}

static void
test_calls_that_an_adapter_lacks_are_unsupported(void **state)
{
    (void)state;
    const uint64_t all = FAKE_ALL;
    for (unsigned bit = 0; bit <= 64; bit++) {
        uint64_t has = bit == 64 ? 0 : (uint64_t)1 << bit;
        if (bit < 64 && (all & has) == 0)
            continue;
        /* One group alone, with those that it needs. */
        has |= has == LK_HAS_QUEUE_FD ? LK_HAS_QUEUES : 0;
        has |= has == LK_COMMITS_RELEASES ? LK_COMMITS_JOBS : 0;
        has |= (has & LK_COMMITS_JOBS) != 0 ? LK_HAS_QUEUES | LK_HAS_LOCKS : 0;
        has |= has == LK_HAS_QUEUE_INSPECT ? LK_HAS_QUEUES : 0;
        has |= has == LK_QUERIES_RANGES ? LK_HAS_QUERY : 0;
        fake *f = fake_new();
        lk_db *db = fake_open(f, has);
        fake_rig rig = fake_rig_of(db);
        fake_rig_answers(&rig, has != 0 ? has : (uint64_t)1 << 63, LK_UNSUPPORTED);
        assert_int_equal(f->calls, 0);
        if ((has & LK_HAS_VIEWS) == 0) {
            lk_read_begin(db);
            lk_read_end(db);
            assert_int_equal(f->calls, 0);
        }
        lk_close(db);
        lk_result_free(rig.result);
    }
}

static void
test_call_of_an_empty_push_and_acknowledge_reaches_no_operation(void **state)
{
    (void)state;
    fake *f = fake_new();
    lk_db *db = fake_open(f, FAKE_ALL);
    fake_rig rig = fake_rig_of(db);
    assert_status(LK_OK, lk_get(db, lk_key_of("p", "s"), rig.result));
    assert_status(LK_OK, lk_queue_push(db, NULL, 0, NULL, rig.result));
    assert_int_equal(lk_result_count(rig.result), 0);
    assert_status(LK_OK, lk_queue_push(db, NULL, 0, NULL, NULL));
    assert_status(LK_OK, lk_queue_acknowledge(db, NULL, 0));
    assert_int_equal(f->calls, 1);
    lk_statistics statistics;
    lkc_fill(&statistics, sizeof statistics);
    assert_status(LK_OK, lk_statistics_read(db, &statistics)); /* zeroed before */
    assert_true(statistics.gets == 1 && statistics.sets == 0);
    lk_close(db);
    lk_result_free(rig.result);
}

/* ---- hold, close, release ---- */

static kit_memory memory;

static void
memory_count(void)
{
    memset(&memory, 0, sizeof memory);
    lki_default_allocator = (lki_allocator){kit_allocate, kit_deallocate, &memory, NULL, NULL};
}

/* All that was counted came back. */
static void
memory_uncount(void)
{
    lki_default_allocator = (lki_allocator){0};
    assert_false(atomic_load(&memory.broken));
    assert_int_equal(atomic_load(&memory.blocks), 0);
}

static void
test_open_without_memory_leaves_the_state_to_the_caller(void **state)
{
    (void)state;
    lk_adapter adapter = fake_adapter(fake_new(), FAKE_ALL);
    memory_count();
    kit_memory_fail(&memory, 1, false);
    lk_status status = open_status(&fake_operations, &adapter);
    memory_uncount();
    assert_status(LK_NO_MEMORY, status);
}

static void
test_handle_that_is_held_stays_after_its_close_and_answers_invalid(void **state)
{
    (void)state;
    lk_adapter read = LK_ADAPTER_INIT;
    fake *f = fake_new();
    memory_count();
    lk_db *db = fake_open_with(f, &fake_operations, FAKE_ALL);
    fake_rig rig = fake_rig_of(db);
    assert_status(LK_OK, lk_adapter_hold(db));
    assert_status(LK_OK, lk_adapter_hold(db));
    lk_adapter_release(db);
    assert_int_equal(f->closes, 0);
    lk_close(db);
    assert_int_equal(f->closes, 1);
    fake_rig_answers(&rig, 0, LK_INVALID);
    lk_read_begin(db);
    lk_read_end(db);
    assert_status(LK_INVALID, lk_adapter_hold(db));
    assert_status(LK_INVALID, lk_adapter_read(db, &read));
    assert_true(lk_capabilities(db) == 0);
    assert_true(f->calls == 0 && f->closes == 1);
    lk_close(db); /* once more: nothing */
    assert_true(f->closes == 1 && atomic_load(&memory.blocks) > 0);
    lk_result_free(rig.result);
    lk_adapter_release(db);
    memory_uncount();
    assert_int_equal(f->closes, 1);
}

static void
test_handle_that_was_released_before_its_close_is_freed_by_it(void **state)
{
    (void)state;
    fake *f = fake_new();
    memory_count();
    lk_db *db = fake_open(f, 0), *other = fake_open(f, FAKE_ALL);
    assert_status(LK_OK, lk_adapter_hold(db));
    lk_adapter_release(db);
    lk_close(db);
    assert_int_equal(f->closes, 1);
    lk_close(other);
    memory_uncount();
    assert_int_equal(f->closes, 2);
}

static lk_db *closing;
static lk_status seen_in_close;

static void
close_that_looks(void *state)
{
    fake *f = state;
    lk_result *result = lk_result_new();
    seen_in_close = lk_get(closing, lk_key_of("p", "s"), result);
    lk_result_free(result);
    f->closes++;
}

static void
test_close_that_calls_its_own_handle_gets_invalid(void **state)
{
    (void)state;
    fake *f = fake_new();
    lk_operations operations = fake_operations_of(0);
    operations.close = close_that_looks;
    seen_in_close = LK_OK;
    closing = fake_open_with(f, &operations, 0);
    lk_close(closing);
    assert_status(LK_INVALID, seen_in_close);
    assert_true(f->closes == 1 && f->calls == 0);
}

static void
test_close_that_is_null_is_not_called(void **state)
{
    (void)state;
    fake *f = fake_new();
    lk_operations operations = fake_operations_of(0);
    operations.close = NULL;
    lk_close(fake_open_with(f, &operations, 0));
    assert_true(f->closes == 0 && f->calls == 0);
}

static void
test_open_copies_table_and_adapter(void **state)
{
    (void)state;
    fake *f = fake_new();
    lk_operations operations = fake_operations_of(0);
    lk_adapter adapter = fake_adapter(f, 0);
    lk_db *db;
    assert_status(LK_OK, lk_adapter_open(&operations, &adapter, &db));
    lkc_fill(&operations, sizeof operations);
    lkc_fill(&adapter, sizeof adapter);
    assert_status(LK_OK, lk_set(db, NULL, 0));
    lk_close(db);
    assert_true(f->calls == 1 && f->closes == 1);
}

/* ---- fork ---- */

/* The number of the first thing that is wrong in the child; 0: nothing is. */
static int
child_finds(fake *f, fake_rig *rig, lk_db *held)
{
    lk_adapter read = LK_ADAPTER_INIT;
    int number = 1;
    for (size_t i = 0; i < fake_call_count; i++, number++)
        if (fake_calls[i].run(rig) != LK_INVALID)
            return number;
    lk_read_begin(rig->db);
    lk_read_end(rig->db);
    if (lk_adapter_hold(rig->db) != LK_INVALID || lk_adapter_read(rig->db, &read) != LK_INVALID)
        return 101;
    if (lk_capabilities(rig->db) != 0 || lk_realtime_now_ms(rig->db) < 0)
        return 102;
    lk_adapter_release(rig->db);
    lk_adapter_release(held); /* closed before the fork */
    lk_close(rig->db);
    lk_close(rig->db);
    if (!lkc_is_filled(&rig->out, sizeof rig->out) || f->calls != 0 || f->closes != 1)
        return 103;
    /* What the child opens is its own. */
    lk_db *own = NULL;
    lk_adapter adapter = fake_adapter(f, FAKE_ALL);
    if (lk_adapter_open(&fake_operations, &adapter, &own) != LK_OK || lk_set(own, NULL, 0) != LK_OK)
        return 104;
    lk_close(own);
    return f->calls == 1 && f->closes == 2 ? 0 : 105;
}

static void
test_child_of_a_fork_gets_invalid_and_close_is_not_called_there(void **state)
{
    (void)state;
    fake *f = fake_new();
    lk_query query = {.pk = lk_string("p")};
    lk_db *held = fake_open(f, 0);
    assert_status(LK_OK, lk_adapter_hold(held));
    lk_close(held);
    lk_db *db = fake_open_with(f, &fake_operations, FAKE_ALL);
    fake_rig rig = fake_rig_of(db);
    assert_status(LK_OK, lk_adapter_hold(db));
    assert_status(LK_OK, lk_stream_open(db, &query, &rig.stream));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(child_finds(f, &rig, held));
    int ended = -1;
    assert_true(pid > 0 && waitpid(pid, &ended, 0) == pid);
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), 0);
    lk_stream_close(rig.stream);
    assert_status(LK_OK, lk_set(db, NULL, 0)); /* the parent goes on */
    lk_adapter_release(db);
    lk_close(db);
    lk_adapter_release(held);
    assert_true(f->calls == 1 && f->closes == 2);
    lk_result_free(rig.result);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_of_a_whole_table_works_and_a_missing_operation_is_invalid),
        cmocka_unit_test(
            test_open_of_a_small_table_is_invalid_with_an_operation_or_a_capability_more),
        cmocka_unit_test(test_open_of_a_group_that_is_not_whole_is_invalid),
        cmocka_unit_test(test_open_with_bits_that_are_unknown_or_need_others_is_invalid),
        cmocka_unit_test(test_open_of_an_older_table_takes_what_is_newer_as_absent),
        cmocka_unit_test(test_open_of_a_newer_table_works_if_the_news_is_zero),
        cmocka_unit_test(test_open_with_another_size_of_the_adapter_is_invalid),
        cmocka_unit_test(test_open_with_null_arguments_is_invalid),
        cmocka_unit_test(test_open_without_limits_has_the_defaults),
        cmocka_unit_test(test_open_with_limits_up_to_their_caps_works_and_above_is_too_big),
        cmocka_unit_test(test_calls_beyond_the_limits_are_too_big_and_reach_no_operation),
        cmocka_unit_test(test_clocks_of_the_adapter_are_those_of_the_handle),
        cmocka_unit_test(test_status_of_each_operation_comes_through_with_outputs_untouched),
        cmocka_unit_test(test_calls_that_an_adapter_lacks_are_unsupported),
        cmocka_unit_test(test_call_of_an_empty_push_and_acknowledge_reaches_no_operation),
        cmocka_unit_test(test_open_without_memory_leaves_the_state_to_the_caller),
        cmocka_unit_test(test_handle_that_is_held_stays_after_its_close_and_answers_invalid),
        cmocka_unit_test(test_handle_that_was_released_before_its_close_is_freed_by_it),
        cmocka_unit_test(test_close_that_calls_its_own_handle_gets_invalid),
        cmocka_unit_test(test_close_that_is_null_is_not_called),
        cmocka_unit_test(test_open_copies_table_and_adapter),
        cmocka_unit_test(test_child_of_a_fork_gets_invalid_and_close_is_not_called_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
