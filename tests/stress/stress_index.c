/* SPDX-License-Identifier: MIT
 *
 * The ordered index under threads: writers that take turns on a latch fill, thin out and empty
 * ranges of keys, so that every kind of node is split, merged, dropped and closed, while readers
 * walk both ways without one. A reader must find keys in strict order, and every cell that is never
 * removed exactly once. Exercises the pairs P4 and P4b. LK_TEST_SEED repeats a run as far as the
 * scheduler does.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pressure.h"
#include "store/index.h"
#include "support/scale.h"

enum {
    WRITERS = 2,
    READERS = 3,
    NUMBERS = 40000,
    FIXED_EVERY = 50, /* numbers divisible by it are never removed, .. */
    FIXED_GAP = 8000, /* .. but for those of every second gap, where whole nodes come and go */
    KEY_ROOM = 32
};

static struct {
    lki_domain domain;
    pthread_mutex_t latch;
    lki_index index;              /* [latch] to write */
    lki_cell *by_number[NUMBERS]; /* [latch] */
    pthread_barrier_t start;
    _Atomic(uint32_t) writers_left;
    uint64_t seed, operations;
} test = {.latch = PTHREAD_MUTEX_INITIALIZER};

static void
require(bool condition, const char *what, uint64_t number)
{
    if (condition)
        return;
    fprintf(stderr, "stress_index: %s at number %" PRIu64 ", seed %" PRIu64 "\n", what, number,
            test.seed);
    abort();
}

static uint64_t
random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dU >> 11;
}

static bool
number_is_fixed(uint64_t number)
{
    return number % FIXED_EVERY == 0 && number / FIXED_GAP % 2 == 0;
}

/* Half of the keys end where others go on. */
static size_t
key_write(char *key, uint64_t number)
{
    int size = snprintf(key, KEY_ROOM, "session:%010" PRIu64 "%s", number / 2,
                        number % 2 != 0 ? "/x" : "");
    return (size_t)size;
}

static lki_cell *
cell_make(uint64_t number)
{
    char key[KEY_ROOM];
    size_t size = key_write(key, number);
    lki_cell *cell = calloc(1, sizeof *cell + 1 + size);
    require(cell != NULL, "no memory", number);
    cell->hash = (uint32_t)number;
    cell->pk_size = 1;
    cell->sk_size = (uint16_t)size;
    memcpy(cell->bytes + 1, key, size);
    return cell;
}

static bool
cell_dispose(lki_thread *thread, void *cell)
{
    (void)thread;
    memset(cell, 0xdd, sizeof(lki_cell)); /* who still reads it notices */
    free(cell);
    return true;
}

static lki_thread *
thread_self(void)
{
    lk_status why;
    lki_thread *thread = lki_thread_self(&test.domain, &why);
    require(thread != NULL, "no thread", 0);
    return thread;
}

/* ---- writers ---- */

static void
number_insert(lki_thread *thread, uint64_t number)
{
    lki_cell *cell = cell_make(number), *existing = NULL;
    lki_write_enter(thread);
    pthread_mutex_lock(&test.latch);
    lki_index_found found = lki_index_insert_latched(&test.index, thread, cell, NULL, &existing);
    require(found == (test.by_number[number] == NULL ? LKI_INDEX_ADDED : LKI_INDEX_EXISTS),
            "wrong insertion", number);
    if (found == LKI_INDEX_ADDED)
        test.by_number[number] = cell;
    else
        require(existing == test.by_number[number], "wrong existing cell", number);
    pthread_mutex_unlock(&test.latch);
    lki_write_leave(thread);
    if (found != LKI_INDEX_ADDED)
        free(cell);
}

static void
number_remove(lki_thread *thread, uint64_t number)
{
    lki_write_enter(thread);
    pthread_mutex_lock(&test.latch);
    lki_cell *cell = test.by_number[number];
    if (cell != NULL) {
        require(lki_index_remove_latched(&test.index, thread, cell) && lki_reserve(thread, 1),
                "no memory", number);
        test.by_number[number] = NULL;
        lki_retire(thread, LKI_CELL, cell, sizeof *cell + 1 + cell->sk_size);
    }
    pthread_mutex_unlock(&test.latch);
    lki_write_leave(thread);
}

/* A run of operations on one range: filled upwards, downwards or at random; emptied likewise; or
 * churned. */
static uint64_t
range_work(lki_thread *thread, uint64_t *random)
{
    static const uint64_t sizes[] = {3, 60, 150, 600, 5000};
    uint64_t size = sizes[random_next(random) % 5], first = random_next(random) % (NUMBERS - size);
    uint64_t how = random_next(random) % 5, order = random_next(random) % 3;
    for (uint64_t i = 0; i < size; i++) {
        uint64_t place = order == 0 ? i : order == 1 ? size - 1 - i : random_next(random) % size;
        uint64_t number = first + place;
        if (number_is_fixed(number))
            continue;
        if (how < 2 || (how == 4 && random_next(random) % 2 == 0))
            number_insert(thread, number);
        else
            number_remove(thread, number);
        (void)lki_memory_is_bounded(thread);
    }
    return size;
}

static void *
writer_main(void *argument)
{
    uint64_t random = (test.seed + (uintptr_t)argument + 1) * 0x9e3779b97f4a7c15U, done = 0;
    lki_thread *thread = thread_self();
    pthread_barrier_wait(&test.start);
    while (done < test.operations)
        done += range_work(thread, &random);
    lki_sub_relaxed(&test.writers_left, 1);
    return NULL;
}

/* ---- readers ---- */

/* The next fixed number at or after `number` in the direction of the walk; NUMBERS when there is
 * none. */
static uint64_t
fixed_next(uint64_t number, bool reverse)
{
    while (number < NUMBERS && !number_is_fixed(number))
        number += reverse ? UINT64_MAX : 1;
    return number < NUMBERS ? number : NUMBERS;
}

/* One walk, of all or of at most `limit` cells from some key. */
static void
walk_once(lki_thread *thread, uint64_t *random)
{
    bool reverse = random_next(random) % 2 != 0, whole = random_next(random) % 4 == 0;
    uint64_t from = random_next(random) % NUMBERS, last = NUMBERS, limit = whole ? UINT64_MAX : 200,
             seen = 0;
    uint64_t fixed = fixed_next(whole     ? (reverse ? NUMBERS - 1 : 0)
                                : reverse ? from - 1
                                          : from,
                                reverse);
    size_t room = 1 + random_next(random) % 100, taken = room;
    char key[KEY_ROOM];
    const lk_bytes bytes = {key, key_write(key, from)};
    lki_cell *cells[100];
    lki_index_walk walk;
    lki_enter(thread);
    lki_index_walk_begin(&walk, &test.index, whole ? NULL : &bytes, false, reverse);
    while (taken == room && seen < limit) {
        taken = lki_index_walk_next(&walk, cells, room);
        for (size_t i = 0; i < taken; i++, seen++) {
            uint64_t number = cells[i]->hash;
            require(number < NUMBERS, "a cell that was freed", number);
            require(last == NUMBERS || (reverse ? number < last : number > last), "out of order",
                    number);
            require(fixed == NUMBERS || (reverse ? number >= fixed : number <= fixed),
                    "a fixed cell was missed", fixed);
            if (number == fixed)
                fixed = fixed_next(reverse ? number - 1 : number + 1, reverse);
            last = number;
        }
    }
    require(taken == room || fixed == NUMBERS, "the end came before a fixed cell", fixed);
    lki_leave(thread);
}

static void *
reader_main(void *argument)
{
    uint64_t random = (test.seed + 100 + (uintptr_t)argument) * 0x9e3779b97f4a7c15U;
    lki_thread *thread = thread_self();
    pthread_barrier_wait(&test.start);
    while (lki_load_relaxed(&test.writers_left) > 0)
        walk_once(thread, &random);
    return NULL;
}

/* ---- the test ---- */

static void
test_open(void)
{
    const char *text = getenv("LK_TEST_SEED");
    test.seed = text != NULL ? strtoull(text, NULL, 10) : 20260101;
    test.operations = test_scaled(1000000);
    test.domain.dispose[LKI_NODE] = lki_index_dispose;
    test.domain.dispose[LKI_CELL] = cell_dispose;
    test.domain.max_retired_bytes = 4 << 20;
    test.domain.monotonic_ms = lki_monotonic_ms;
    lki_domain_open(&test.domain);
    pthread_barrier_init(&test.start, NULL, WRITERS + READERS);
    lki_store_relaxed(&test.writers_left, WRITERS);
    for (uint64_t number = 0; number < NUMBERS; number++)
        if (number_is_fixed(number))
            number_insert(thread_self(), number);
}

static void
test_close(void)
{
    size_t count = 0;
    for (uint64_t number = 0; number < NUMBERS; number++)
        count += test.by_number[number] != NULL;
    require(lki_index_check(&test.index, NULL, NULL) == count, "the index is broken", count);
    for (uint64_t number = 0; number < NUMBERS; number++)
        number_remove(thread_self(), number);
    require(lki_load_relaxed(&test.index.root) == LKI_EMPTY, "the index is not empty", 0);
    lki_domain_close(&test.domain);
    pthread_barrier_destroy(&test.start);
}

int
main(void)
{
    pthread_t threads[WRITERS + READERS];
    test_open();
    for (uintptr_t i = 0; i < WRITERS + READERS; i++)
        require(pthread_create(&threads[i], NULL, i < WRITERS ? writer_main : reader_main,
                               (void *)i) == 0,
                "no thread", i);
    for (size_t i = 0; i < WRITERS + READERS; i++)
        pthread_join(threads[i], NULL);
    test_close();
    return 0;
}
