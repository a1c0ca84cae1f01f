/* SPDX-License-Identifier: MIT
 *
 * The ordered set under threads. `line`: as the queue uses it, some threads insert entries and
 * others take the first one; every entry is taken exactly once. `collide`: all threads insert and
 * remove the same few names, in towers that are higher than usual, so that removals meet
 * insertions that are half linked, and equal entries meet each other. All the while some threads
 * walk: upwards, past every entry that is never removed. What is disposed of is linked nowhere, and
 * in the end nothing is left. Exercises the pairs P10 and P10b. LK_TEST_SEED repeats a run as far
 * as the scheduler does.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/order.h"
#include "support/scale.h"

enum {
    WRITERS = 4,
    WALKERS = 2,
    NAMES = 12,     /* that collide */
    FIXED = 8,      /* entries that are never removed */
    GONE = 0x6f6e65 /* rank of what was disposed of */
};

static struct {
    lki_domain domain;
    lki_order order;
    pthread_barrier_t start;
    _Atomic(uint32_t) writers_left;
    _Atomic(uint64_t) blocks, disposals;
    _Atomic(uint64_t) ids, taken; /* of the line */
    _Atomic(uint8_t) *state;      /* of each id: 0: to come, 1: inserted, 2: taken */
    _Atomic(uint64_t) inserted[NAMES], removed[NAMES];
    uint64_t seed, operations;
    bool line;
} test;

static void
require(bool condition, const char *what, uint64_t number)
{
    if (condition)
        return;
    fprintf(stderr, "stress_order: %s: %s at %" PRIu64 ", seed %" PRIu64 "\n",
            test.line ? "line" : "collide", what, number, test.seed);
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

static void *
counted_allocate(void *context, size_t size)
{
    (void)context;
    lki_add_relaxed(&test.blocks, 1);
    return malloc(size);
}

static void
counted_deallocate(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    lki_sub_relaxed(&test.blocks, 1);
    free(memory);
}

static lki_thread *
thread_self(void)
{
    lk_status why;
    lki_thread *thread = lki_thread_self(&test.domain, &why);
    require(thread != NULL, "no thread", 0);
    return thread;
}

/* Nobody can find what is disposed of, at any level; and who still reads it notices. */
static bool
object_dispose(lki_thread *thread, void *object)
{
    lki_entry *gone = object;
    require(gone->rank != GONE, "disposed of twice", gone->to);
    bool look = !test.line || lki_load_relaxed(&test.disposals) % 64 == 0;
    for (unsigned level = 0; level < gone->height && look; level++) {
        const uintptr_t mark = 1;
        uintptr_t link = lki_load_acquire(&test.order.head[level]);
        for (size_t steps = 0; link != 0 && steps < 500; steps++) {
            const lki_entry *entry = (const lki_entry *)link;
            require(entry != gone, "disposed of while linked", level);
            link = lki_load_acquire(&entry->next[level]) & ~mark;
        }
    }
    lki_add_relaxed(&test.disposals, 1);
    gone->rank = GONE;
    return gone->object.dispose(thread, gone);
}

/* ---- entries ---- */

/* An entry's place follows from `rank`, `to` and whether it is fixed; its key proves it. */
static lk_bytes
key_write(char *key, uint64_t rank, uint64_t to)
{
    int size = snprintf(key, 48, "%.*s%" PRIu64, (int)(rank % 7 * 5),
                        "a common beginning of some length..", to * 31 + rank);
    return (lk_bytes){key, (size_t)size};
}

static void
entry_prove(const lki_entry *entry)
{
    char key[48];
    require(entry->rank != GONE, "an entry that was freed", entry->to);
    lk_bytes wanted = key_write(key, entry->rank, entry->to);
    require(entry->size == wanted.size &&
                memcmp(lki_entry_key(entry), wanted.data, wanted.size) == 0,
            "not its key", entry->to);
}

/* Of at least this height. Heights are drawn by the set, so other ones are thrown away. */
static lki_entry *
entry_make(lki_thread *thread, uint64_t rank, uint64_t to, unsigned height)
{
    char key[48];
    lk_bytes bytes = key_write(key, rank, to);
    lki_entry *entry = lki_entry_new(thread, rank, bytes, 0, to);
    while (entry != NULL && entry->height < height) {
        lki_entry_discard(thread, entry);
        entry = lki_entry_new(thread, rank, bytes, 0, to);
    }
    require(entry != NULL, "no memory", to);
    return entry;
}

static bool
number_insert(lki_thread *thread, uint64_t rank, uint64_t to, unsigned height)
{
    lki_write_enter(thread);
    lki_entry *entry = entry_make(thread, rank, to, height);
    require(lki_reserve(thread, 1), "no memory", to);
    bool inserted = lki_order_insert(&test.order, thread, entry);
    if (!inserted)
        lki_entry_discard(thread, entry);
    lki_write_leave(thread);
    return inserted;
}

static bool
number_remove(lki_thread *thread, uint64_t rank, uint64_t to)
{
    char key[48];
    lki_write_enter(thread);
    require(lki_reserve(thread, 1), "no memory", to);
    bool removed = lki_order_remove(&test.order, thread, rank, key_write(key, rank, to), to);
    require(thread->retired_in_call <= 1, "more retired than reserved", to);
    lki_write_leave(thread);
    return removed;
}

/* ---- writers ---- */

/* Ranks 0 to 3 are taken; the fixed entries stand behind them. */
static void
line_step(lki_thread *thread, uint64_t *random, bool inserts)
{
    if (inserts) {
        uint64_t id = lki_add_relaxed(&test.ids, 1);
        lki_store_relaxed(&test.state[id], 1);
        require(number_insert(thread, random_next(random) % 4, id, 1), "an equal one", id);
        return;
    }
    lki_write_enter(thread);
    require(lki_reserve(thread, 1), "no memory", 0);
    const lki_entry *first = lki_order_first(&test.order);
    require(first != NULL, "the fixed ones are gone", 0);
    entry_prove(first);
    uint64_t id = first->to;
    if (first->rank < 4 && lki_order_remove(&test.order, thread, first->rank,
                                            (lk_bytes){lki_entry_key(first), first->size}, id)) {
        entry_prove(first); /* still, until the section ends */
        uint8_t inserted = 1;
        require(lki_cas_seq_cst(&test.state[id], &inserted, 2), "taken twice", id);
        lki_add_relaxed(&test.taken, 1);
    }
    lki_write_leave(thread);
}

/* Names 1, 4, 7, .. between the fixed ones. */
static void
collide_step(lki_thread *thread, uint64_t *random)
{
    uint64_t name = random_next(random) % NAMES, rank = name / 3 * 4 + 1, to = name % 3;
    if (random_next(random) % 2 == 0) {
        if (number_insert(thread, rank, to, 1 + (unsigned)(random_next(random) % 4)))
            lki_add_relaxed(&test.inserted[name], 1);
    } else {
        if (number_remove(thread, rank, to))
            lki_add_relaxed(&test.removed[name], 1);
    }
}

static void *
writer_main(void *argument)
{
    uint64_t number = (uintptr_t)argument, random = (test.seed + number + 1) * 0x9e3779b97f4a7c15U;
    lki_thread *thread = thread_self();
    pthread_barrier_wait(&test.start);
    for (uint64_t i = 0; i < test.operations; i++) {
        if (test.line)
            line_step(thread, &random, number < WRITERS / 2);
        else
            collide_step(thread, &random);
        (void)lki_memory_is_bounded(thread);
    }
    lki_sub_relaxed(&test.writers_left, 1);
    return NULL;
}

/* ---- walkers ---- */

static int
entry_order(const lki_entry *a, const lki_entry *b)
{
    size_t size = a->size < b->size ? a->size : b->size;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    int order = memcmp(lki_entry_key(a), lki_entry_key(b), size);
    if (order == 0)
        order = (a->size > b->size) - (a->size < b->size);
    return order != 0 ? order : (a->to > b->to) - (a->to < b->to);
}

static bool
entry_is_fixed(const lki_entry *entry)
{
    return entry->rank % 2 == 0 && entry->rank >= (test.line ? 4 : 0);
}

static void
walk_once(lki_thread *thread)
{
    uint64_t fixed = 0;
    const lki_entry *last = NULL;
    lki_enter(thread);
    const lki_entry *entry = lki_order_first(&test.order);
    for (; entry != NULL; last = entry, entry = lki_order_next(entry)) {
        entry_prove(entry);
        require(last == NULL || entry_order(last, entry) < 0, "out of order", entry->to);
        fixed += entry_is_fixed(entry);
    }
    require(fixed == FIXED, "a fixed entry was missed", fixed);
    lki_leave(thread);
}

static void *
walker_main(void *argument)
{
    (void)argument;
    lki_thread *thread = thread_self();
    pthread_barrier_wait(&test.start);
    while (lki_load_relaxed(&test.writers_left) > 0)
        walk_once(thread);
    return NULL;
}

/* ---- the test ---- */

static void
test_open(bool line)
{
    memset(&test.order, 0, sizeof test.order);
    memset(&test.domain, 0, sizeof test.domain);
    test.line = line;
    test.operations = test_scaled(line ? 250000 : 300000);
    test.state = calloc(WRITERS * test.operations, sizeof *test.state);
    lki_store_relaxed(&test.disposals, 0);
    test.domain.allocator = (lki_allocator){counted_allocate, counted_deallocate, NULL};
    test.domain.dispose[LKI_OBJECT] = object_dispose;
    test.domain.max_retired_bytes = 1 << 20;
    test.domain.monotonic_ms = lki_monotonic_ms;
    lki_domain_open(&test.domain);
    pthread_barrier_init(&test.start, NULL, WRITERS + WALKERS);
    lki_store_relaxed(&test.writers_left, WRITERS);
    for (uint64_t i = 0; i < FIXED; i++)
        require(number_insert(thread_self(), i * 2 + (line ? 4 : 0), i, 1), "no insertion", i);
}

static void
line_end(lki_thread *thread)
{
    uint64_t ids = lki_load_relaxed(&test.ids);
    require(lki_order_check(&test.order) == ids - lki_load_relaxed(&test.taken) + FIXED,
            "the set is broken", ids);
    for (const lki_entry *entry; (entry = lki_order_first(&test.order))->rank < 4;)
        line_step(thread, NULL, false);
    for (uint64_t id = 0; id < ids; id++)
        require(lki_load_relaxed(&test.state[id]) == 2, "an entry was lost", id);
}

static void
collide_end(lki_thread *thread)
{
    size_t count = 0;
    for (uint64_t name = 0; name < NAMES; name++)
        count += lki_load_relaxed(&test.inserted[name]) != lki_load_relaxed(&test.removed[name]);
    require(lki_order_check(&test.order) == count + FIXED, "the set is broken", count);
    for (uint64_t name = 0; name < NAMES; name++) {
        uint64_t there =
            lki_load_relaxed(&test.inserted[name]) - lki_load_relaxed(&test.removed[name]);
        require(number_remove(thread, name / 3 * 4 + 1, name % 3) == there, "wrong count", name);
    }
}

static void
test_close(void)
{
    lki_thread *thread = thread_self();
    if (test.line)
        line_end(thread);
    else
        collide_end(thread);
    require(lki_order_check(&test.order) == FIXED, "the set is broken", 0);
    lki_order_close(&test.order, &test.domain.allocator);
    lki_domain_close(&test.domain);
    require(lki_load_relaxed(&test.blocks) == 0, "blocks leaked", lki_load_relaxed(&test.blocks));
    pthread_barrier_destroy(&test.start);
    free(test.state);
}

static void
test_run(bool line)
{
    pthread_t threads[WRITERS + WALKERS];
    test_open(line);
    for (uintptr_t i = 0; i < WRITERS + WALKERS; i++)
        require(pthread_create(&threads[i], NULL, i < WRITERS ? writer_main : walker_main,
                               (void *)i) == 0,
                "no thread", i);
    for (size_t i = 0; i < WRITERS + WALKERS; i++)
        pthread_join(threads[i], NULL);
    test_close();
}

int
main(void)
{
    const char *text = getenv("LK_TEST_SEED");
    test.seed = text != NULL ? strtoull(text, NULL, 10) : 20260101;
    test_run(true);
    test_run(false);
    return 0;
}
