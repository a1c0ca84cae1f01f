/* SPDX-License-Identifier: MIT
 *
 * The memory of a scenario: an arena at a fixed address, so that addresses are the same in every
 * run. What is freed is poisoned and never given out again in the same run; an access to what is
 * not allocated is a failure. The arena can be brought back to an earlier state.
 */
#ifndef LKI_SCHEDULE_HEAP_H
#define LKI_SCHEDULE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_BASE ((uintptr_t)0x600000000000)
#define HEAP_SIZE ((size_t)256 << 20)
enum { HEAP_GRAIN = 16 };
/* Behind it lie the stacks of fibers. */
#define HEAP_STACKS (HEAP_BASE + HEAP_SIZE)

/* For each grain: how many of its first bytes may be accessed. */
extern uint8_t *heap_shadow;

typedef struct heap_state {
    size_t used; /* bytes of the arena */
    uint64_t live;
    uint32_t last; /* grain of the last header */
} heap_state;

typedef struct heap_copy {
    heap_state state;
    unsigned char *bytes;
    uint8_t *shadow;
} heap_copy;

/* Once. */
void heap_open(void);
/* Notes the state of now; brings it back. */
void heap_keep(heap_copy *copy);
void heap_reset(const heap_copy *copy);

/* Allocations that are there. */
uint64_t heap_live(void);
/* Says which ones are, in a failure. */
void heap_fail_leaks(void);
/* The n-th allocation from now on fails (1: the next), and with `forever` all after it. 0: none. */
void heap_fail_at(uint64_t n, bool forever);
/* No allocation fails any more that would not have failed for ever. */
void heap_heal(void);
uint64_t heap_allocations(void);

/* The slow side of the check: fails if it is right that the access is wrong. */
void heap_judge(const volatile void *p, size_t size);

static inline void
heap_check(const volatile void *p, size_t size)
{
    uintptr_t offset = (uintptr_t)p - HEAP_BASE;
    if (offset >= HEAP_SIZE)
        return;
    const uint8_t *shadow = &heap_shadow[offset / HEAP_GRAIN];
    size_t end = offset % HEAP_GRAIN + size;
    if (end > shadow[0] &&
        (end > 2 * HEAP_GRAIN || shadow[0] < HEAP_GRAIN || end > HEAP_GRAIN + (size_t)shadow[1]))
        heap_judge(p, size);
}

#endif
