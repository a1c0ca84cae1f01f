/* SPDX-License-Identifier: MIT
 *
 * The arena only grows within a run: an allocation is a header and its bytes, behind the one before
 * it, and a grain that nobody may touch.
 */
#define _GNU_SOURCE
#include "schedule/heap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "schedule/engine.h"
#include "schedule/instead.h"
#include "schedule/memory.h"
#include "schedule/points.h"
#include "schedule/report.h"

enum { POISON = 0xdb, FRESH = 0xcd };
enum { BLOCK_LIVE = 0x11feb10c, BLOCK_FREED = 0xf4eedb10 };

typedef struct block {
    _Alignas(HEAP_GRAIN) uint32_t state;
    uint32_t before; /* grains back to the header before it; 0: none */
    size_t size;
    uint32_t maker, freer; /* fibers */
    const void *made_at;   /* in the code */
} block;

uint8_t *heap_shadow;

static heap_state now;
static uint64_t allocations, fail_at;
static bool fail_forever;

void
heap_open(void)
{
    void *arena = mmap((void *)HEAP_BASE, HEAP_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    heap_shadow = mmap(NULL, HEAP_SIZE / HEAP_GRAIN, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena != (void *)HEAP_BASE || heap_shadow == MAP_FAILED)
        report_misuse("no memory for the arena");
    now = (heap_state){.used = HEAP_GRAIN};
}

void
heap_keep(heap_copy *copy)
{
    copy->state = now;
    copy->bytes = malloc(now.used);
    copy->shadow = malloc(now.used / HEAP_GRAIN);
    if (copy->bytes == NULL || copy->shadow == NULL)
        report_misuse("no memory for a copy of the arena");
    memcpy(copy->bytes, (void *)HEAP_BASE, now.used);
    memcpy(copy->shadow, heap_shadow, now.used / HEAP_GRAIN);
}

void
heap_reset(const heap_copy *copy)
{
    size_t used = copy->state.used;
    memcpy((void *)HEAP_BASE, copy->bytes, used);
    memcpy(heap_shadow, copy->shadow, used / HEAP_GRAIN);
    if (now.used > used)
        memset(heap_shadow + used / HEAP_GRAIN, 0, (now.used - used) / HEAP_GRAIN);
    now = copy->state;
    allocations = fail_at = 0;
    fail_forever = false;
}

uint64_t
heap_live(void)
{
    return now.live;
}

void
heap_fail_at(uint64_t n, bool forever)
{
    fail_at = n == 0 ? 0 : allocations + n;
    fail_forever = forever;
}

void
heap_heal(void)
{
    if (!fail_forever || allocations < fail_at)
        fail_at = 0;
}

uint64_t
heap_allocations(void)
{
    return allocations;
}

/* ---- blocks ---- */

static void *
block_make(size_t alignment, size_t size, const void *made_at)
{
    allocations++;
    if (fail_at != 0 && (allocations == fail_at || (fail_forever && allocations > fail_at)))
        return NULL;
    uintptr_t place = HEAP_BASE + now.used + sizeof(block);
    place = (place + alignment - 1) & ~(alignment - 1);
    size_t end = (place - HEAP_BASE + size + HEAP_GRAIN - 1) / HEAP_GRAIN * HEAP_GRAIN;
    if (size > HEAP_SIZE || end + HEAP_GRAIN > HEAP_SIZE)
        return NULL;
    block *header = (block *)place - 1;
    uint32_t grain = (uint32_t)(((uintptr_t)header - HEAP_BASE) / HEAP_GRAIN);
    *header =
        (block){BLOCK_LIVE, now.last == 0 ? 0 : grain - now.last, size, engine.current, 0, made_at};
    uint8_t *shadow = heap_shadow + (place - HEAP_BASE) / HEAP_GRAIN;
    memset(shadow, HEAP_GRAIN, size / HEAP_GRAIN);
    if (size % HEAP_GRAIN != 0)
        shadow[size / HEAP_GRAIN] = size % HEAP_GRAIN;
    memset((void *)place, FRESH, size);
    now.used = end + HEAP_GRAIN;
    now.last = grain;
    now.live++;
    if (engine.weak)
        memory_fresh((void *)place, size);
    return (void *)place;
}

static block *
block_of(void *memory)
{
    if ((uintptr_t)memory - HEAP_BASE >= HEAP_SIZE || (uintptr_t)memory % HEAP_GRAIN != 0)
        schedule_fail("%p is freed, which was never allocated", memory);
    block *header = (block *)memory - 1;
    if (header->state == BLOCK_FREED)
        schedule_fail("%p is freed by fiber %u, which fiber %u had freed before", memory,
                      engine.current, header->freer);
    if (header->state != BLOCK_LIVE)
        schedule_fail("%p is freed, which is not where memory was allocated", memory);
    return header;
}

void *
schedule_malloc(size_t size)
{
    return block_make(HEAP_GRAIN, size, __builtin_return_address(0));
}

void *
schedule_calloc(size_t count, size_t size)
{
    size_t all;
    if (__builtin_mul_overflow(count, size, &all))
        return NULL;
    void *memory = block_make(HEAP_GRAIN, all, __builtin_return_address(0));
    return memory != NULL ? memset(memory, 0, all) : NULL;
}

void *
schedule_aligned_alloc(size_t alignment, size_t size)
{
    return block_make(alignment > HEAP_GRAIN ? alignment : HEAP_GRAIN, size,
                      __builtin_return_address(0));
}

void
schedule_free(void *memory)
{
    if (memory == NULL)
        return;
    block *header = block_of(memory);
    points_write(memory, header->size);
    if (engine.weak)
        memory_fresh(memory, header->size);
    memset(memory, POISON, header->size);
    memset(heap_shadow + ((uintptr_t)memory - HEAP_BASE) / HEAP_GRAIN, 0,
           (header->size + HEAP_GRAIN - 1) / HEAP_GRAIN);
    header->state = BLOCK_FREED;
    header->freer = engine.current;
    now.live--;
}

void *
schedule_realloc(void *memory, size_t size)
{
    void *moved = block_make(HEAP_GRAIN, size, __builtin_return_address(0));
    if (moved != NULL && memory != NULL) {
        size_t old = block_of(memory)->size;
        memcpy(moved, memory, old < size ? old : size);
        schedule_free(memory);
    }
    return moved;
}

/* ---- judgement ---- */

/* The block that the address lies in or behind; NULL: none. */
static block *
block_at(uintptr_t address)
{
    uint32_t grain = now.last;
    while (grain != 0) {
        block *header = (block *)(HEAP_BASE + (uintptr_t)grain * HEAP_GRAIN);
        if ((uintptr_t)(header + 1) <= address)
            return header;
        grain = header->before == 0 ? 0 : grain - header->before;
    }
    return NULL;
}

void
heap_judge(const volatile void *p, size_t size)
{
    uintptr_t address = (uintptr_t)p, end = address + size;
    for (uintptr_t at = address; at < end; at = (at / HEAP_GRAIN + 1) * HEAP_GRAIN) {
        uintptr_t offset = at - HEAP_BASE, stop = (at / HEAP_GRAIN + 1) * HEAP_GRAIN;
        size_t part = (stop < end ? stop : end) - at;
        if (offset >= HEAP_SIZE || offset % HEAP_GRAIN + part > heap_shadow[offset / HEAP_GRAIN]) {
            const block *header = block_at(address);
            if (header == NULL)
                schedule_fail("fiber %u accesses %p, which is no memory", engine.current,
                              (const void *)(uintptr_t)address);
            schedule_fail("fiber %u accesses byte %zu of %zu bytes that fiber %u allocated%s",
                          engine.current, (size_t)(address - (uintptr_t)(header + 1)), header->size,
                          header->maker,
                          header->state == BLOCK_FREED ? " and that were freed" : "");
        }
    }
}

void
heap_fail_leaks(void)
{
    uint32_t grain = now.last;
    const block *first = NULL;
    while (grain != 0) {
        const block *header = (const block *)(HEAP_BASE + (uintptr_t)grain * HEAP_GRAIN);
        if (header->state == BLOCK_LIVE)
            first = header;
        grain = header->before == 0 ? 0 : grain - header->before;
    }
    if (first != NULL) {
        report_place(first->made_at);
        schedule_fail("%llu allocations are left, the first of %zu bytes by fiber %u",
                      (unsigned long long)now.live, first->size, first->maker);
    }
}
