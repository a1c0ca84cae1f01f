/* SPDX-License-Identifier: MIT
 *
 * The embedded store of a setup of the conformance suite. Its allocator touches errno at each call,
 * as malloc may.
 */
#ifndef LATCHKEY_CONFORMANCE_MEMORY_OPTIONS_H
#define LATCHKEY_CONFORMANCE_MEMORY_OPTIONS_H

#include <errno.h>
#include <stdlib.h>

#include <latchkey/conformance.h>

static void *
touching_allocate(void *context, size_t size)
{
    (void)context;
    void *block = malloc(size);
    errno = ENOMEM;
    return block;
}

static void
touching_deallocate(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    free(block);
    errno = EINVAL;
}

static lk_memory_options
memory_options(const lk_conformance_setup *setup)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.realtime_ms = setup->realtime_ms;
    options.monotonic_ms = setup->monotonic_ms;
    options.clock_context = setup->clock_context;
    options.lock_ttl_ms = setup->lock_ttl_ms;
    options.lock_refresh_ms = setup->lock_refresh_ms;
    options.allocate = touching_allocate;
    options.deallocate = touching_deallocate;
    return options;
}

#endif
