/* SPDX-License-Identifier: MIT
 *
 * See kit.h.
 */
#include "support/kit.h"

#include "adapter/handle.h"
#include "store/check.h"

/* ---- memory ---- */

/* Stands before each block, so that a wrong free is seen. 16 bytes: the block behind it is aligned
 * like malloc's. */
typedef struct header {
    kit_memory *owner;
    size_t size;
} header;

void
kit_memory_fail(kit_memory *memory, int64_t nth, bool for_ever)
{
    atomic_store(&memory->fail_at, 0);
    atomic_store(&memory->for_ever, for_ever);
    atomic_store(&memory->fail_at, nth);
}

static bool
memory_fails(kit_memory *memory)
{
    if (atomic_load(&memory->fail_at) == 0)
        return false;
    int64_t left = atomic_fetch_sub(&memory->fail_at, 1) - 1;
    if (left > 0)
        return false;
    /* It has counted down: for ever means that it stays at one. */
    atomic_store(&memory->fail_at, atomic_load(&memory->for_ever) ? 1 : 0);
    atomic_fetch_add(&memory->failed, 1);
    return true;
}

void *
kit_allocate(void *context, size_t size)
{
    kit_memory *memory = context;
    if (memory_fails(memory))
        return NULL;
    header *block = malloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    *block = (header){memory, size};
    memset(block + 1, 0xdb, size < 4096 ? size : 4096);
    atomic_fetch_add(&memory->bytes, size);
    atomic_fetch_add(&memory->blocks, 1);
    return block + 1;
}

void
kit_deallocate(void *context, void *pointer, size_t size)
{
    kit_memory *memory = context;
    header *block = (header *)pointer - 1;
    if (block->owner != memory || block->size != size) {
        atomic_store(&memory->broken, true);
        return;
    }
    block->owner = NULL;
    /* Neither is it a cell that is a segment's, or lies in a queue. */
    memset(pointer, 0xa7, size < 4096 ? size : 4096);
    atomic_fetch_sub(&memory->bytes, size);
    atomic_fetch_sub(&memory->blocks, 1);
    free(block);
}

/* ---- a store ---- */

static int64_t
realtime(void *context)
{
    return atomic_load_explicit(&((kit *)context)->now_ms, memory_order_relaxed);
}

static int64_t
monotonic(void *context)
{
    return atomic_load_explicit(&((kit *)context)->monotonic_ms, memory_order_relaxed);
}

/* One context for both clocks: the store has one. */
lk_memory_options
kit_options(kit *k, const lk_memory_options *base)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    if (base != NULL)
        options = *base;
    options.realtime_ms = realtime;
    options.monotonic_ms = monotonic;
    options.clock_context = k;
    options.allocate = kit_allocate;
    options.deallocate = kit_deallocate;
    options.allocator_context = &k->memory;
    return options;
}

void
kit_open(kit *k, const lk_memory_options *base)
{
    memset(k, 0, sizeof *k);
    atomic_store(&k->now_ms, KIT_START_MS);
    atomic_store(&k->monotonic_ms, 5000);
    lk_memory_options options = kit_options(k, base);
    assert_status(LK_OK, lk_memory_open(&options, &k->db));
    k->result = lk_result_new();
    assert_non_null(k->result);
}

void
kit_close(kit *k)
{
    lk_result_free(k->result);
    lk_close(k->db);
    assert_false(atomic_load(&k->memory.broken));
    assert_int_equal(atomic_load(&k->memory.blocks), 0);
    assert_int_equal(atomic_load(&k->memory.bytes), 0);
}

void
kit_check(kit *k)
{
    if (strcmp(k->db->name, "memory") == 0)
        lki_store_check(k->db->state);
}

int
kit_setup(void **state)
{
    kit *k = malloc(sizeof *k);
    assert_non_null(k);
    kit_open(k, NULL);
    *state = k;
    return 0;
}

int
kit_teardown(void **state)
{
    kit_close(*state);
    free(*state);
    return 0;
}

bool
kit_can(const kit *k, uint64_t capability)
{
    return (lk_capabilities(k->db) & capability) != 0;
}

void
kit_advance(kit *k, int64_t ms)
{
    atomic_fetch_add(&k->now_ms, ms);
    atomic_fetch_add(&k->monotonic_ms, ms);
}

lk_statistics
kit_statistics(kit *k)
{
    lk_statistics statistics;
    assert_status(LK_OK, lk_statistics_read(k->db, &statistics));
    return statistics;
}

void
kit_sweep(kit *k)
{
    for (int i = 0; i < 4; i++)
        assert_status(LK_OK, lk_sweep(k->db, 0, NULL));
}

/* ---- keys, items, reads ---- */

lk_key
kit_key(const char *pk, const char *sk)
{
    return lk_key_of(pk, sk);
}

lk_item
kit_item(const char *pk, const char *sk, const char *data)
{
    return (lk_item){.key = lk_key_of(pk, sk), .data = lk_string(data)};
}

void
kit_set(kit *k, const char *pk, const char *sk, const char *data)
{
    lk_item item = kit_item(pk, sk, data);
    assert_status(LK_OK, lk_set(k->db, &item, 1));
}

lk_lock
kit_lock(kit *k, lk_key key)
{
    lk_lock lock = {0};
    assert_status(LK_OK, lk_get_lock(k->db, key, &lock));
    assert_true(lock.version != 0);
    return lock;
}

bool
kit_holds(kit *k, lk_key key, const char *data)
{
    lk_status status = lk_get(k->db, key, k->result);
    if (data == NULL)
        return status == LK_NOT_FOUND;
    if (status != LK_OK || lk_result_count(k->result) != 1)
        return false;
    const lk_item *item = lk_result_item(k->result, 0);
    return item != NULL && lkc_equal(item->key.pk, key.pk) && lkc_equal(item->key.sk, key.sk) &&
           lkc_is(item->data, data);
}

/* ---- randomness ---- */

kit_random
kit_random_of(uint64_t otherwise)
{
    const char *text = getenv("LK_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : otherwise;
    return (kit_random){.seed = seed, .state = (seed + 1) * 0x9e3779b97f4a7c15U};
}

kit_random
kit_random_bytes(const unsigned char *bytes, size_t size)
{
    static const unsigned char none[1];
    bytes = size > 0 ? bytes : none;
    return (kit_random){.bytes = bytes, .end = bytes + size};
}

bool
kit_random_ended(const kit_random *random)
{
    return random->bytes != NULL && random->bytes == random->end;
}

/* As many bytes as `below` needs, so that a small change of them is a small change of what they
 * say. */
static uint64_t
bytes_draw(kit_random *random, uint64_t below)
{
    uint64_t value = 0;
    for (uint64_t rest = below - 1; rest != 0 && random->bytes < random->end; rest >>= 8)
        value = value << 8 | *random->bytes++;
    return value % below;
}

uint64_t
kit_draw(kit_random *random, uint64_t below)
{
    if (random->bytes != NULL)
        return bytes_draw(random, below);
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return (random->state * 0x2545f4914f6cdd1dU >> 11) % below;
}
