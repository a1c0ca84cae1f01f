/* SPDX-License-Identifier: MIT
 *
 * All memory of the library comes from here, so that a test can fail the n-th allocation. The default allocator is
 * jemalloc with sized frees where the program links it, else malloc; the choice is made once and the two are never
 * mixed. Any thread; progress as the allocator's.
 */
#ifndef LKI_BASE_ALLOC_H
#define LKI_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include <latchkey/latchkey.h>

typedef struct lki_allocator {
    lk_allocate allocate; /* NULL: the default one */
    lk_deallocate deallocate;
    void *context;
} lki_allocator;

/* The allocator of what belongs to no store (results, threads). Replaced by tests before any thread runs. */
extern lki_allocator lki_default_allocator;

/* NULL: no memory. Aligned like malloc's. Contents undefined. */
void *lki_alloc(const lki_allocator *allocator, size_t size);
void *lki_alloc_zeroed(const lki_allocator *allocator, size_t size);

/* `size` as it was asked for. NULL is allowed. */
void lki_free(const lki_allocator *allocator, void *memory, size_t size);

/* The same, on a cache line of its own; `size` is rounded up to whole lines. Zeroed. Only with each other. */
void *lki_alloc_lines(const lki_allocator *allocator, size_t size);
void lki_free_lines(const lki_allocator *allocator, void *memory, size_t size);

#endif
