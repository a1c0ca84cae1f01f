/* SPDX-License-Identifier: MIT
 *
 * The embedded store keeps the contract.
 */
#include <latchkey/conformance.h>

static lk_status
memory_open(void *context, const lk_conformance_setup *setup, lk_db **db)
{
    (void)context;
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.realtime_ms = setup->realtime_ms;
    options.monotonic_ms = setup->monotonic_ms;
    options.clock_context = setup->clock_context;
    options.lock_ttl_ms = setup->lock_ttl_ms;
    options.lock_refresh_ms = setup->lock_refresh_ms;
    return lk_memory_open(&options, db);
}

int
main(int argc, char **argv)
{
    const lk_conformance memory = {.name = "memory", .open = memory_open};
    return lk_conformance_main(&memory, argc, argv);
}
