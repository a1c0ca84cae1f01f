/* SPDX-License-Identifier: MIT
 *
 * Allocation by jemalloc, malloc, or the caller's functions (alloc.h).
 *
 * Invariants  I-alloc: memory goes back to the family that it came from (jemalloc, malloc, the
 *             caller's). The family depends on the allocator and on whether the weak symbols are
 *             bound, and neither changes.
 */
#include "base/alloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/check.h"

enum { ALIGN_LINE = 6 }; /* mallocx's flag for an alignment of 1 << 6 */
_Static_assert(1 << ALIGN_LINE == LKI_LINE, "the flag names the size of a line");

lki_allocator lki_default_allocator;

__thread int lki_alloc_flags __attribute__((tls_model("initial-exec")));

/* ---- what jemalloc has ----
 *
 * Declared here, as jemalloc 5 has it, so that its header need not be installed where the library
 * is built. An older jemalloc has neither arenas.create nor extent_hooks, and gets no arenas from
 * the library. */

__attribute__((weak)) extern int mallctl(const char *name, void *old, size_t *old_size, void *new,
                                         size_t new_size);

enum { ARENA_SHIFT = 20, CACHE_SHIFT = 8 }; /* in the flags of mallocx */

typedef struct extent_hooks extent_hooks;
typedef bool (*extent_step)(extent_hooks *, void *, size_t, size_t, size_t, unsigned);
struct extent_hooks {
    void *(*alloc)(extent_hooks *, void *, size_t, size_t, bool *, bool *, unsigned);
    bool (*dalloc)(extent_hooks *, void *, size_t, bool, unsigned);
    void (*destroy)(extent_hooks *, void *, size_t, bool, unsigned);
    extent_step commit, decommit, purge_lazy, purge_forced;
    bool (*split)(extent_hooks *, void *, size_t, size_t, size_t, bool, unsigned);
    bool (*merge)(extent_hooks *, void *, size_t, void *, size_t, bool, unsigned);
};

static int
arena_flag(unsigned arena)
{
    return (int)((arena + 1) << ARENA_SHIFT);
}

static int
cache_flag(unsigned cache)
{
    return (int)((cache + 2) << CACHE_SHIFT);
}

/* ---- arenas in huge pages ----
 *
 * Most of the time of a store goes into misses: of the caches and, with pages of 4 KiB, of the TLB
 * each time. So jemalloc's extents of 2 MiB and more are advised to the kernel as huge pages. This
 * happens in arenas of the library's own; other memory of the program stays as it is. The arenas
 * live as long as the process, as explicit caches may hold memory of any of them. */

enum { ARENAS_MAX = 32, HUGE_PAGE = 2 << 20 };
static pthread_once_t arenas_once = PTHREAD_ONCE_INIT;
static unsigned arena_number[ARENAS_MAX];
static unsigned arena_count;
static _Atomic(unsigned) arena_turn;
static extent_hooks arena_hooks;  /* the library's */
static extent_hooks *plain_hooks; /* jemalloc's */

static void *
arena_extent(extent_hooks *hooks, void *address, size_t size, size_t alignment, bool *zero,
             bool *commit, unsigned arena)
{
    (void)hooks;
    int saved = errno; /* a failure here is not the caller's: errno stays */
    if (size >= HUGE_PAGE && alignment < HUGE_PAGE && address == NULL)
        alignment = HUGE_PAGE;
    void *extent = plain_hooks->alloc(plain_hooks, address, size, alignment, zero, commit, arena);
    if (extent != NULL && size >= HUGE_PAGE)
        (void)madvise(extent, size, MADV_HUGEPAGE); /* advice only */
    errno = saved;
    return extent;
}

static bool
arena_make(unsigned *number)
{
    size_t size = sizeof *number;
    if (mallctl("arenas.create", number, &size, NULL, 0) != 0)
        return false;
    char name[48];
    snprintf(name, sizeof name, "arena.%u.extent_hooks", *number);
    extent_hooks *found = NULL, *ours = &arena_hooks;
    size = sizeof found;
    if (plain_hooks == NULL) {
        if (mallctl(name, &found, &size, NULL, 0) != 0)
            return false;
        plain_hooks = found;
        arena_hooks = *found;
        arena_hooks.alloc = arena_extent;
    }
    return mallctl(name, NULL, NULL, &ours, sizeof ours) == 0;
}

static void
arenas_make(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned wanted = processors < 1            ? 1
                      : processors > ARENAS_MAX ? ARENAS_MAX
                                                : (unsigned)processors;
    while (mallctl != NULL && mallocx != NULL && arena_count < wanted &&
           arena_make(&arena_number[arena_count]))
        arena_count++;
}

static bool
cache_make(unsigned *cache)
{
    int saved = errno;
    size_t size = sizeof *cache;
    bool made = pthread_once(&arenas_once, arenas_make) == 0 && arena_count != 0 &&
                mallctl("tcache.create", cache, &size, NULL, 0) == 0;
    errno = saved;
    return made;
}

void
lki_alloc_end(void)
{
    for (unsigned i = 0; i < arena_count; i++) {
        char name[48];
        snprintf(name, sizeof name, "arena.%u.extent_hooks", arena_number[i]);
        (void)mallctl(name, NULL, NULL, &plain_hooks, sizeof plain_hooks);
        snprintf(name, sizeof name, "arena.%u.purge", arena_number[i]);
        (void)mallctl(name, NULL, NULL, NULL, 0); /* nothing purges it later */
    }
}

void
lki_alloc_thread_begin(void)
{
    unsigned cache;
    if (lki_alloc_flags != 0 || !cache_make(&cache))
        return;
    unsigned turn = lki_add_relaxed(&arena_turn, 1) % arena_count;
    lki_alloc_flags = arena_flag(arena_number[turn]) | cache_flag(cache);
    LK_ASSERT((cache_flag(cache) & ~LKI_ALLOC_CACHE) == 0);
}

void
lki_alloc_thread_end(void)
{
    if (lki_alloc_flags == 0)
        return;
    unsigned cache = (unsigned)((lki_alloc_flags & LKI_ALLOC_CACHE) >> CACHE_SHIFT) - 2;
    lki_alloc_flags = 0;
    (void)mallctl("tcache.destroy", NULL, NULL, &cache, sizeof cache);
}

static const lki_allocator *
allocator_or_default(const lki_allocator *allocator)
{
    return allocator != NULL && allocator->allocate != NULL ? allocator : &lki_default_allocator;
}

const char *
lki_alloc_name(const lki_allocator *allocator)
{
    if (allocator_or_default(allocator)->allocate != NULL)
        return "caller";
    return mallocx != NULL ? "jemalloc" : "malloc";
}

static lki_purse *
purse_of(const lki_allocator *allocator)
{
    return allocator != NULL ? allocator->purse : NULL;
}

void *
lki_alloc_slow(const lki_allocator *allocator, size_t size)
{
    const lki_allocator *a = allocator_or_default(allocator);
    int saved = errno;
    if (size == 0)
        size = 1;
    if (!lki_purse_pay(purse_of(allocator), size))
        return NULL;
    void *memory = a->allocate != NULL ? a->allocate(a->context, size)
                   : mallocx != NULL   ? mallocx(size, lki_alloc_flags)
                                       : malloc(size);
    errno = saved;
    if (memory == NULL)
        lki_purse_refund(purse_of(allocator), size);
    return memory;
}

void *
lki_alloc_zeroed(const lki_allocator *allocator, size_t size)
{
    void *memory = lki_alloc(allocator, size);
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

void *
lki_alloc_seldom(const lki_allocator *allocator, size_t size)
{
    enum { ZERO = 0x40 }; /* mallocx's flag */
    if (!lki_alloc_is_jemalloc(allocator))
        return lki_alloc_zeroed(allocator, size);
    if (!lki_purse_pay(allocator->purse, size))
        return NULL;
    void *memory = mallocx(size, ZERO);
    if (memory == NULL)
        lki_purse_refund(allocator->purse, size);
    return memory;
}

void
lki_free_slow(const lki_allocator *allocator, void *memory, size_t size)
{
    const lki_allocator *a = allocator_or_default(allocator);
    if (memory == NULL)
        return;
    int saved = errno;
    if (size == 0)
        size = 1;
    if (a->allocate != NULL)
        a->deallocate(a->context, memory, size);
    else if (mallocx != NULL)
        sdallocx(memory, size, lki_alloc_flags & LKI_ALLOC_CACHE);
    else
        free(memory);
    errno = saved;
    lki_purse_refund(purse_of(allocator), size);
}

static size_t
lines_size(size_t size)
{
    return (size + LKI_LINE - 1) & ~(size_t)(LKI_LINE - 1);
}

/* Bytes of the lines and of what stands before them. `size`: in whole lines. */
static size_t
lines_bytes(const lki_allocator *a, size_t size)
{
    return LKI_UNLIKELY(a->allocate != NULL) ? size + LKI_LINE : size;
}

size_t
lki_lines_bytes(const lki_allocator *allocator, size_t size)
{
    return lines_bytes(allocator_or_default(allocator), lines_size(size));
}

void *
lki_alloc_lines(const lki_allocator *allocator, size_t size)
{
    return lki_alloc_lines_partly(allocator, size, lines_size(size));
}

/* A caller's allocator has malloc's alignment only: the pointer that it returned is stored before
 * the lines. */
static void *
lines_of_caller(const lki_allocator *a, size_t size)
{
    char *raw = a->allocate(a->context, lines_bytes(a, size));
    if (raw == NULL)
        return NULL;
    uintptr_t start = ((uintptr_t)raw + LKI_LINE) & ~(uintptr_t)(LKI_LINE - 1);
    char *memory = raw + (start - (uintptr_t)raw);
    memcpy(memory - sizeof raw, &raw, sizeof raw);
    return memory;
}

void *
lki_alloc_lines_partly(const lki_allocator *allocator, size_t size, size_t zeroed)
{
    const lki_allocator *a = allocator_or_default(allocator);
    int saved = errno;
    size = lines_size(size);
    if (!lki_purse_pay(purse_of(allocator), lines_bytes(a, size)))
        return NULL;
    void *memory = a->allocate != NULL ? lines_of_caller(a, size)
                   : mallocx != NULL   ? mallocx(size, ALIGN_LINE | lki_alloc_flags)
                                       : aligned_alloc(LKI_LINE, size);
    errno = saved;
    if (memory != NULL)
        memset(memory, 0, zeroed);
    else
        lki_purse_refund(purse_of(allocator), lines_bytes(a, size));
    return memory;
}

void
lki_free_lines(const lki_allocator *allocator, void *memory, size_t size)
{
    const lki_allocator *a = allocator_or_default(allocator);
    int saved = errno;
    if (memory == NULL)
        return;
    size = lines_size(size);
    if (a->allocate != NULL) {
        char *raw;
        memcpy(&raw, (char *)memory - sizeof raw, sizeof raw);
        a->deallocate(a->context, raw, lines_bytes(a, size));
    } else if (mallocx != NULL) {
        sdallocx(memory, size, ALIGN_LINE | (lki_alloc_flags & LKI_ALLOC_CACHE));
    } else {
        free(memory);
    }
    errno = saved;
    lki_purse_refund(purse_of(allocator), lines_bytes(a, size));
}

uint64_t
lki_alloc_machine_size(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
}
