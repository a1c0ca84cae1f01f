/* SPDX-License-Identifier: MIT
 *
 * The allocator room. Called by every room.
 * Invariant I-alloc: what came from one family (jemalloc's mallocx, malloc, the user's) goes back to it, because
 * the family is a function of the allocator and of whether the weak symbols are bound, which never changes.
 */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { ALIGN_LINE = 6 }; /* mallocx's flag for an alignment of 1 << 6 */
_Static_assert(1 << ALIGN_LINE == LKI_LINE, "the flag names the size of a line");

lki_allocator lki_default_allocator;

static const lki_allocator *allocator_or_default(const lki_allocator *allocator)
{
    return allocator != NULL && allocator->allocate != NULL ? allocator : &lki_default_allocator;
}

void *
lki_alloc_slow(const lki_allocator *allocator, size_t size)
{
    const lki_allocator *a = allocator_or_default(allocator);
    if (size == 0)
        size = 1;
    if (a->allocate != NULL)
        return a->allocate(a->context, size);
    return mallocx != NULL ? mallocx(size, 0) : malloc(size);
}

void *
lki_alloc_zeroed(const lki_allocator *allocator, size_t size)
{
    void *memory = lki_alloc(allocator, size);
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

void
lki_free_slow(const lki_allocator *allocator, void *memory, size_t size)
{
    const lki_allocator *a = allocator_or_default(allocator);
    if (memory == NULL)
        return;
    if (size == 0)
        size = 1;
    if (a->allocate != NULL)
        a->deallocate(a->context, memory, size);
    else if (mallocx != NULL)
        sdallocx(memory, size, 0);
    else
        free(memory);
}

static size_t lines_size(size_t size)
{
    return (size + LKI_LINE - 1) & ~(size_t)(LKI_LINE - 1);
}

void *
lki_alloc_lines(const lki_allocator *allocator, size_t size)
{
    const lki_allocator *a = allocator_or_default(allocator);
    void *memory;
    size = lines_size(size);
    if (a->allocate != NULL) {
        /* A user's allocator knows malloc's alignment only: the pointer that it gave stands before the lines. */
        char *raw = a->allocate(a->context, size + LKI_LINE);
        if (raw == NULL)
            return NULL;
        uintptr_t start = ((uintptr_t)raw + LKI_LINE) & ~(uintptr_t)(LKI_LINE - 1);
        memory = raw + (start - (uintptr_t)raw);
        memcpy((char *)memory - sizeof raw, &raw, sizeof raw);
    } else {
        memory = mallocx != NULL ? mallocx(size, ALIGN_LINE) : aligned_alloc(LKI_LINE, size);
    }
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

void
lki_free_lines(const lki_allocator *allocator, void *memory, size_t size)
{
    const lki_allocator *a = allocator_or_default(allocator);
    if (memory == NULL)
        return;
    size = lines_size(size);
    if (a->allocate != NULL) {
        char *raw;
        memcpy(&raw, (char *)memory - sizeof raw, sizeof raw);
        a->deallocate(a->context, raw, size + LKI_LINE);
    } else if (mallocx != NULL) {
        sdallocx(memory, size, ALIGN_LINE);
    } else {
        free(memory);
    }
}
