/* SPDX-License-Identifier: MIT
 *
 * Threads, failures, values and an allocator for stress tests.
 */
#include "support/crowd.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { VALUE_HEADER = 24, FAILURES_SHOWN = 8 };

static atomic_uint failures;
static atomic_ullong allocated;
static pthread_barrier_t start;
static void (*running)(crowd_member *);

uint64_t
crowd_seed(void)
{
    const char *text = getenv("LK_TEST_SEED");
    return text != NULL ? strtoull(text, NULL, 10) : 20260101;
}

void
crowd_fail(const char *file, int line, const char *what, uint64_t a, uint64_t b)
{
    if (atomic_fetch_add(&failures, 1) < FAILURES_SHOWN)
        fprintf(stderr, "%s:%d: %s (%" PRIu64 ", %" PRIu64 "); LK_TEST_SEED=%" PRIu64 "\n", file,
                line, what, a, b, crowd_seed());
}

void
crowd_expect_ok(const char *file, int line, const char *what, lk_status status)
{
    if (status != LK_OK)
        crowd_fail(file, line, what, (uint64_t)(status < 0 ? -status : status), status < 0);
}

bool
crowd_is_well(void)
{
    return atomic_load(&failures) == 0;
}

uint64_t
crowd_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

uint64_t
crowd_pick(crowd_member *m, uint64_t below)
{
    return crowd_random(&m->random) % below;
}

uint64_t
crowd_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void *
member_main(void *argument)
{
    crowd_member *member = argument;
    member->result = lk_result_new();
    EXPECT(member->result != NULL, 0, 0);
    pthread_barrier_wait(&start);
    if (member->result != NULL)
        running(member);
    lk_result_free(member->result);
    return NULL;
}

void
crowd_run(size_t count, void (*body)(crowd_member *), void *context)
{
    pthread_t threads[CROWD_MAX];
    crowd_member members[CROWD_MAX];
    running = body;
    pthread_barrier_init(&start, NULL, (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        members[i] = (crowd_member){i, crowd_seed() * 1000003 + i, context, NULL};
        if (pthread_create(&threads[i], NULL, member_main, &members[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
}

void
crowd_note(const char *what, uint64_t count)
{
    printf("  %s %" PRIu64, what, count);
}

static bool
is_named(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc < 2;
}

int
crowd_main(int argc, char **argv, const crowd_scenario *scenarios, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_named(argc, argv, scenarios[i].name))
            continue;
        uint64_t begin = crowd_now_ns();
        printf("%-24s", scenarios[i].name);
        fflush(stdout);
        scenarios[i].run();
        double seconds = (double)(crowd_now_ns() - begin) / 1e9;
        printf("  %.1f s%s\n", seconds, crowd_is_well() ? "" : "  FAILED");
        if (!crowd_is_well())
            return 1;
    }
    return 0;
}

/* ---- values ---- */

static uint64_t
value_word(uint64_t key, uint64_t counter)
{
    uint64_t state = key * 0x100000001b3U ^ counter;
    return crowd_random(&state);
}

static size_t
value_size(uint64_t word)
{
    return VALUE_HEADER + (word % 16 == 0 ? 300 + word / 16 % 300 : word / 16 % 90);
}

size_t
crowd_value(unsigned char *buffer, uint64_t key, uint64_t counter)
{
    uint64_t word = value_word(key, counter);
    size_t size = value_size(word);
    memcpy(buffer, &key, 8);
    memcpy(buffer + 8, &counter, 8);
    memcpy(buffer + 16, &word, 8);
    for (size_t i = VALUE_HEADER; i < size; i++)
        buffer[i] = (unsigned char)(word >> i % 8 * 8);
    return size;
}

bool
crowd_value_check(lk_bytes data, uint64_t key, uint64_t *counter)
{
    const unsigned char *bytes = data.data;
    uint64_t its, word;
    if (data.size < VALUE_HEADER)
        return false;
    memcpy(&its, bytes, 8);
    memcpy(counter, bytes + 8, 8);
    memcpy(&word, bytes + 16, 8);
    if (its != key || word != value_word(key, *counter) || data.size != value_size(word))
        return false;
    for (size_t i = VALUE_HEADER; i < data.size; i++)
        if (bytes[i] != (unsigned char)(word >> i % 8 * 8))
            return false;
    return true;
}

lk_status
crowd_set(lk_db *db, lk_key key, uint64_t number, uint64_t counter)
{
    unsigned char value[CROWD_VALUE_MAX];
    lk_item item = {.key = key, .data = {value, crowd_value(value, number, counter)}};
    return lk_set(db, &item, 1);
}

/* ---- allocator ---- */

static void *
count_allocate(void *context, size_t size)
{
    (void)context;
    void *memory = malloc(size);
    if (memory != NULL)
        atomic_fetch_add(&allocated, size);
    return memory;
}

static void
count_deallocate(void *context, void *memory, size_t size)
{
    (void)context;
    atomic_fetch_sub(&allocated, size);
    free(memory);
}

void
crowd_allocator(lk_memory_options *options)
{
    options->allocate = count_allocate;
    options->deallocate = count_deallocate;
}

uint64_t
crowd_allocated(void)
{
    return atomic_load(&allocated);
}
