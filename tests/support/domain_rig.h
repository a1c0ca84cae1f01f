/* SPDX-License-Identifier: MIT
 *
 * What the tests of the structures of base/ and of the index share: a domain whose memory is
 * counted and can run out, and seeded draws. One test at a time. A failure prints the seed;
 * LK_TEST_SEED repeats it.
 */
#ifndef LATCHKEY_TESTS_DOMAIN_RIG_H
#define LATCHKEY_TESTS_DOMAIN_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/reclaim.h"
#include "support/scale.h"

static struct {
    lki_domain domain;
    lki_thread *thread;
    size_t count;     /* of what is in the structure that is tested */
    size_t live;      /* blocks of the domain's allocator */
    uint64_t fail_at; /* the n-th allocation from now fails; 0: none does */
    uint64_t failed;
    uint64_t seed, random;
} base;

#define EXPECT(condition)                                                                      \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            print_error("seed %llu, %zu inside\n", (unsigned long long)base.seed, base.count); \
            assert_true(condition);                                                            \
        }                                                                                      \
    } while (0)

static inline uint64_t
base_draw(uint64_t below)
{
    base.random ^= base.random << 13;
    base.random ^= base.random >> 7;
    base.random ^= base.random << 17;
    return (base.random * 0x2545f4914f6cdd1dU >> 11) % below;
}

static void *
base_allocate(void *context, size_t size)
{
    (void)context;
    if (base.fail_at != 0 && --base.fail_at == 0) {
        base.failed++;
        return NULL;
    }
    void *memory = malloc(size);
    base.live += memory != NULL;
    return memory;
}

static void
base_deallocate(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    base.live--;
    free(memory);
}

/* `dispose`: of objects of this kind; NULL: as usual. */
static inline void
base_open(size_t max_retired_bytes, int kind, bool (*dispose)(lki_thread *thread, void *object))
{
    static uint64_t tests;
    const char *text = getenv("LK_TEST_SEED");
    lk_status why;
    memset(&base, 0, sizeof base);
    base.seed = text != NULL ? strtoull(text, NULL, 10) : 20260101 + ++tests;
    base.random = base.seed * 0x9e3779b97f4a7c15U | 1;
    base.domain.allocator = (lki_allocator){base_allocate, base_deallocate, NULL, NULL, NULL};
    base.domain.max_retired_bytes = max_retired_bytes;
    base.domain.monotonic_ms = lki_monotonic_ms;
    if (dispose != NULL)
        base.domain.dispose[kind] = dispose;
    lki_domain_open(&base.domain);
    base.thread = lki_thread_self(&base.domain, &why);
    assert_non_null(base.thread);
}

/* Nothing is left. */
static inline int
base_close(void)
{
    lki_domain_close(&base.domain);
    if (base.live != 0)
        print_error("%zu blocks leaked\n", base.live);
    return base.live != 0;
}

#endif
