/* SPDX-License-Identifier: MIT
 *
 * Memory that runs out by itself, for a program of one file that is linked with --wrap for malloc,
 * calloc and realloc: whatever of it is linked statically gets no memory where the program says so.
 * One thread.
 */
#ifndef LATCHKEY_TESTS_WRAPPED_H
#define LATCHKEY_TESTS_WRAPPED_H

#include <stdlib.h>

#include "base/alloc.h"

static int64_t fail_at; /* the n-th allocation from now; 0: none */
static uint64_t failed;

static bool
fails(void)
{
    if (fail_at == 0 || --fail_at != 0)
        return false;
    failed++;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

void *
__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *block, size_t size)
{
    return fails() ? NULL : __real_realloc(block, size);
}

static void *
wrapped_allocate(void *unused, size_t size)
{
    (void)unused;
    return malloc(size);
}

static void
wrapped_deallocate(void *unused, void *block, size_t size)
{
    (void)unused;
    (void)size;
    free(block);
}

/* The library's own memory may come from elsewhere: now it comes from there, too. */
static void
wrapped_begin(void)
{
    lki_default_allocator = (lki_allocator){wrapped_allocate, wrapped_deallocate, NULL, NULL, NULL};
}

#endif
