/* SPDX-License-Identifier: MIT
 *
 * What reads write and allocate. The whole store lies in memory that is made read-only once it is
 * loaded, apart from the reading thread's own record: a get, get_many or view that stored into
 * anything else that threads share would end the program. The same allocator counts, and must not
 * be called.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <latchkey/latchkey.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"

enum { KEYS = 1000, BATCH = 16, ARENA = 64 << 20 };

typedef struct arena {
    char *memory;
    size_t used;
    unsigned long calls;
} arena;

static arena shared_part, own_part;
static arena *current = &shared_part;

static void
arena_open(arena *a)
{
    a->memory = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(a->memory != MAP_FAILED);
    a->used = 0;
}

static void *
arena_allocate(void *context, size_t size)
{
    (void)context;
    current->calls++;
    size = (size + 15) & ~(size_t)15;
    if (ARENA - current->used < size)
        return NULL;
    void *memory = current->memory + current->used;
    current->used += size;
    return memory;
}

static void
arena_deallocate(void *context, void *memory, size_t size)
{
    (void)context, (void)memory, (void)size;
}

static lk_key
key_of(char text[16], unsigned i)
{
    snprintf(text, 16, "%u", i);
    return lk_key_of("part", text);
}

/* Every read that promises to write nothing: hits, misses, batches, views. */
static void
read_all(lk_db *db, lk_result *result)
{
    char text[BATCH][16], buffer[64];
    lk_key keys[BATCH];
    lk_item item;
    size_t size;
    for (unsigned i = 0; i < KEYS + 10; i++) {
        lk_status expected = i < KEYS ? LK_OK : LK_NOT_FOUND;
        lk_key key = key_of(text[0], i);
        assert_int_equal(lk_get(db, key, result), expected);
        assert_int_equal(lk_get_into(db, key, buffer, sizeof buffer, &size), expected);
        lk_read_begin(db);
        assert_int_equal(lk_view(db, key, &item), expected);
        lk_read_end(db);
    }
    for (unsigned i = 0; i + BATCH <= KEYS; i += BATCH) {
        for (unsigned j = 0; j < BATCH; j++)
            keys[j] = key_of(text[j], i + j);
        assert_int_equal(lk_get_many(db, keys, BATCH, result), LK_OK);
    }
}

static void
test_reads_of_a_loaded_store_write_no_shared_memory_and_allocate_nothing(void **unused)
{
    (void)unused;
    arena_open(&shared_part);
    arena_open(&own_part);
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.allocate = arena_allocate;
    options.deallocate = arena_deallocate;
    lk_db *db = NULL;
    assert_int_equal(lk_memory_open(&options, &db), LK_OK);
    lk_result *result = lk_result_new();
    char text[16];

    /* This thread's record, and what it keeps between calls, is its own; the rest is shared. */
    current = &own_part;
    lk_key keys[BATCH];
    for (unsigned i = 0; i < BATCH; i++)
        keys[i] = key_of(text, 0);
    assert_int_equal(lk_get_many(db, keys, BATCH, result), LK_OK);
    current = &shared_part;
    for (unsigned i = 0; i < KEYS; i++) {
        lk_item one = {.key = key_of(text, i), .data = lk_string("some value")};
        assert_int_equal(lk_set(db, &one, 1), LK_OK);
        if (i % 3 == 0) /* some of the records lie apart from their cells */
            assert_int_equal(lk_set(db, &one, 1), LK_OK);
    }
    read_all(db, result); /* grows the result */

    lki_allocator saved = lki_default_allocator;
    unsigned long calls = shared_part.calls + own_part.calls;
    lki_default_allocator = (lki_allocator){arena_allocate, arena_deallocate, NULL, NULL, NULL};
    assert_int_equal(mprotect(shared_part.memory, ARENA, PROT_READ), 0);
    read_all(db, result);
    assert_int_equal(mprotect(shared_part.memory, ARENA, PROT_READ | PROT_WRITE), 0);
    lki_default_allocator = saved;
    assert_int_equal(shared_part.calls + own_part.calls, calls);

    lk_result_free(result);
    lk_close(db);
    munmap(shared_part.memory, ARENA);
    munmap(own_part.memory, ARENA);
}

static char claimed_sk[27]; /* a ULID */

/* A queue that was used and has nothing to pull: by another thread, so that nothing of it is this
 * thread's. */
static void *
queue_use(void *context)
{
    lk_db *db = context;
    lk_result *result = lk_result_new();
    lk_item jobs[3] = {{.key = lk_key_of("queue", "")},
                       {.key = lk_key_of("queue", "")},
                       {.key = lk_key_of("queue", "own")}};
    lk_pull_options options = {.pk = lk_string("queue"), .max_jobs = 3};
    bool well = lk_queue_push(db, jobs, 2, NULL, NULL) == LK_OK &&
                lk_queue_push(db, &jobs[2], 1, NULL, NULL) == LK_OK &&
                lk_queue_pull(db, &options, result) == LK_OK && lk_result_count(result) == 3 &&
                lk_queue_acknowledge(db, lk_result_claim(result, 0), 1) == LK_OK;
    if (well)
        memcpy(claimed_sk, lk_result_claim(result, 1)->key.sk.data, sizeof claimed_sk - 1);
    lk_result_free(result);
    return well ? context : NULL;
}

static void
queue_look(lk_db *db, lk_result *result)
{
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    lk_job job;
    pull.pk = lk_string("queue");
    assert_int_equal(lk_queue_pull(db, &pull, result), LK_EMPTY);
    assert_int_equal(lk_queue_inspect(db, lk_key_of("queue", claimed_sk), &job), LK_OK);
    assert_int_equal(job.state, LK_JOB_CLAIMED);
    assert_int_equal(lk_queue_inspect(db, lk_key_of("queue", "own"), &job), LK_OK);
    assert_int_equal(lk_queue_inspect(db, lk_key_of("queue", "none"), &job), LK_NOT_FOUND);
}

static void
test_empty_pulls_and_inspections_write_no_shared_memory_and_allocate_nothing(void **unused)
{
    (void)unused;
    arena_open(&shared_part);
    arena_open(&own_part);
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.allocate = arena_allocate;
    options.deallocate = arena_deallocate;
    lk_db *db = NULL;
    void *well = NULL;
    pthread_t user;
    current = &shared_part;
    assert_int_equal(lk_memory_open(&options, &db), LK_OK);
    lk_result *result = lk_result_new();
    current =
        &own_part; /* this thread's record, before the other one comes and leaves one behind */
    assert_int_equal(lk_get(db, lk_key_of("a", "b"), result), LK_NOT_FOUND);
    current = &shared_part;
    assert_int_equal(pthread_create(&user, NULL, queue_use, db), 0);
    assert_int_equal(pthread_join(user, &well), 0);
    assert_non_null(well);

    current = &own_part; /* this thread's line of the queue's counters */
    for (int i = 0; i < 10; i++)
        queue_look(db, result);
    unsigned long calls = shared_part.calls + own_part.calls;
    assert_int_equal(mprotect(shared_part.memory, ARENA, PROT_READ), 0);
    for (int i = 0; i < 1000; i++)
        queue_look(db, result);
    assert_int_equal(mprotect(shared_part.memory, ARENA, PROT_READ | PROT_WRITE), 0);
    assert_int_equal(shared_part.calls + own_part.calls, calls);

    lk_result_free(result);
    lk_close(db);
    munmap(shared_part.memory, ARENA);
    munmap(own_part.memory, ARENA);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_of_a_loaded_store_write_no_shared_memory_and_allocate_nothing),
        cmocka_unit_test(
            test_empty_pulls_and_inspections_write_no_shared_memory_and_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
