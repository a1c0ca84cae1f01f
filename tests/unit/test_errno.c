/* SPDX-License-Identifier: MIT
 *
 * latchkey.h: "No call touches errno." Here the allocator does, at each of its calls, as malloc
 * may: the library puts it back. Every call, with memory and without, through the embedded store
 * and a cache. Calls that end in all other ways: the conformance suite, whose allocator does the
 * same.
 */
#include <errno.h>
#include <pthread.h>

#include <latchkey/adapter.h>

#include "base/alloc.h"
#include "support/fake.h"

enum { MARK = 4711 };

static kit k;
static lk_db *db; /* the store, or the cache in front of it */

static void *
touching_allocate(void *memory, size_t size)
{
    void *block = kit_allocate(memory, size);
    errno = ENOMEM;
    return block;
}

static void
touching_deallocate(void *memory, void *block, size_t size)
{
    kit_deallocate(memory, block, size);
    errno = EINVAL;
}

static void
note_touched(const char *call, int line)
{
    if (errno != MARK) {
        print_error("line %d: %s leaves errno %d\n", line, call, errno);
        fail();
    }
}

/* Runs a call, whatever it answers. */
#define KEEPS(call)                    \
    do {                               \
        errno = MARK;                  \
        (void)!(call);                 \
        note_touched(#call, __LINE__); \
    } while (0)
#define KEEPS_VOID(call)               \
    do {                               \
        errno = MARK;                  \
        call;                          \
        note_touched(#call, __LINE__); \
    } while (0)

static lk_memory_options
touching_options(void)
{
    lk_memory_options options = kit_options(&k, NULL);
    options.allocate = touching_allocate;
    options.deallocate = touching_deallocate;
    options.allocator_context = &k.memory;
    options.shards = 4;
    return options;
}

/* Every call once, with good arguments, and what ends and begins anew. */
static void
call_all(void)
{
    fake_rig rig = {.db = db, .result = k.result, .claim = {.key = lk_key_of("p", "s")}};
    for (size_t i = 0; i < fake_call_count; i++) {
        KEEPS_VOID(lk_read_begin(db));
        errno = MARK;
        (void)!fake_calls[i].run(&rig);
        note_touched(fake_calls[i].name, __LINE__);
        KEEPS_VOID(lk_read_end(db));
    }
    kit_advance(&k, 10);
    KEEPS_VOID(lk_thread_detach());
    KEEPS(lk_get(db, lk_key_of("p", "k"), k.result)); /* attaches anew */
    KEEPS_VOID(lk_backoff(0));
    KEEPS_VOID(lk_backoff(30));
}

static void
opened(void (*body)(void))
{
    lk_db *store = NULL, *cache = NULL;
    lk_cache_options around = {.max_items = 20, .max_age_ms = 5, .keep_missing = true};
    memset(&k, 0, sizeof k);
    lki_default_allocator =
        (lki_allocator){touching_allocate, touching_deallocate, &k.memory, NULL, NULL};
    lk_memory_options options = touching_options();
    k.now_ms = KIT_START_MS;
    KEEPS(k.result = lk_result_new());
    KEEPS(lk_memory_open(&options, &store));
    KEEPS(lk_cache_open(store, &around, &cache));
    assert_non_null(cache);
    db = store;
    body();
    db = cache;
    body();
    kit_memory_fail(&k.memory, 0, false);
    KEEPS_VOID(lk_close(cache));
    KEEPS_VOID(lk_close(store));
    KEEPS_VOID(lk_close(NULL));
    KEEPS_VOID(lk_result_free(k.result));
    lk_thread_detach();
    assert_int_equal(atomic_load(&k.memory.blocks), 0);
    lki_default_allocator = (lki_allocator){0};
}

static void
test_calls_leave_errno(void **state)
{
    (void)state;
    opened(call_all);
}

static void
call_all_without_memory(void)
{
    for (int64_t nth = 1; nth < 120; nth++) {
        kit_memory_fail(&k.memory, nth, true);
        call_all();
        kit_memory_fail(&k.memory, 0, false);
    }
}

static void
test_calls_without_memory_leave_errno(void **state)
{
    (void)state;
    opened(call_all_without_memory);
}

static void
test_bad_opens_leave_errno(void **state)
{
    (void)state;
    lk_db *opened_db = NULL;
    lk_memory_options bad = {.shards = 3};
    memset(&k, 0, sizeof k);
    lki_default_allocator =
        (lki_allocator){touching_allocate, touching_deallocate, &k.memory, NULL, NULL};
    KEEPS(lk_memory_open(&bad, &opened_db));
    KEEPS(lk_memory_open(NULL, NULL));
    KEEPS(lk_cache_open(NULL, NULL, &opened_db));
    KEEPS(lk_adapter_open(NULL, NULL, &opened_db));
    for (int64_t nth = 1; nth < 40; nth++) {
        lk_memory_options options = touching_options();
        lk_cache_options around = {.max_items = 20};
        lk_db *cache = NULL;
        options.sweep_interval_ms = LK_HOURS(1);
        opened_db = NULL;
        kit_memory_fail(&k.memory, nth, true);
        KEEPS(lk_memory_open(&options, &opened_db));
        if (opened_db != NULL)
            KEEPS(lk_cache_open(opened_db, &around, &cache));
        kit_memory_fail(&k.memory, 0, false);
        KEEPS_VOID(lk_close(cache));
        KEEPS_VOID(lk_close(opened_db));
    }
    assert_int_equal(atomic_load(&k.memory.blocks), 0);
    lki_default_allocator = (lki_allocator){0};
}

/* A pull that waits, and is woken, or is not. */
static void *
pull_in_thread(void *wait_ms)
{
    lk_pull_options options = {.pk = lk_string("q"), .wait_ms = *(int64_t *)wait_ms};
    lk_result *result = lk_result_new();
    errno = MARK;
    lk_status status = lk_queue_pull(db, &options, result);
    int left = errno;
    lk_result_free(result);
    return (void *)(intptr_t)(left == MARK && (status == LK_OK || status == LK_TIMED_OUT));
}

static void
test_pulls_that_wait_leave_errno(void **state)
{
    static const int64_t waits[] = {1, LK_HOURS(1)};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(waits); i++) {
        pthread_t thread;
        void *kept;
        lk_item job = kit_item("q", NULL, "x");
        assert_status(LK_OK, lk_memory_open(NULL, &db));
        assert_int_equal(
            pthread_create(&thread, NULL, pull_in_thread, (void *)(uintptr_t)&waits[i]), 0);
        if (i == 1)
            assert_status(LK_OK, lk_queue_push(db, &job, 1, NULL, NULL));
        assert_int_equal(pthread_join(thread, &kept), 0);
        assert_true(kept != NULL);
        lk_close(db);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_leave_errno),
        cmocka_unit_test(test_calls_without_memory_leave_errno),
        cmocka_unit_test(test_bad_opens_leave_errno),
        cmocka_unit_test(test_pulls_that_wait_leave_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
