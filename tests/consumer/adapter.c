/* SPDX-License-Identifier: MIT
 *
 * The adapter of a user, outside of the library's tree: the least that there is, over an embedded
 * store. It runs the conformance suite on itself, and so shows that both were installed. */
#include <latchkey/conformance.h>

#include <stdio.h>

static lk_status
least_get(void *state, const lk_key *key, lk_result *result)
{
    return lk_get_at((lk_db *)state, key, result);
}

static lk_status
least_set(void *state, const lk_item *items, size_t count)
{
    return lk_set((lk_db *)state, items, count);
}

static lk_status
least_remove(void *state, const lk_key *keys, size_t count)
{
    return lk_delete((lk_db *)state, keys, count);
}

static void
least_close(void *state)
{
    lk_close((lk_db *)state);
}

static const lk_operations operations = {.size = sizeof operations,
                                         .close = least_close,
                                         .get_at = least_get,
                                         .set = least_set,
                                         .remove = least_remove};

static lk_status
least_open(void *context, const lk_conformance_setup *setup, lk_db **db)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_db *inner = NULL;
    (void)context;
    options.realtime_ms = adapter.realtime_ms = setup->realtime_ms;
    options.monotonic_ms = adapter.monotonic_ms = setup->monotonic_ms;
    options.clock_context = adapter.clock_context = setup->clock_context;
    lk_status status = lk_memory_open(&options, &inner);
    adapter.name = "least";
    adapter.state = inner;
    if (status == LK_OK)
        status = lk_adapter_open(&operations, &adapter, db);
    if (status != LK_OK)
        lk_close(inner);
    return status;
}

int
main(int argc, char **argv)
{
    const lk_conformance least = {.name = "least", .open = least_open};
    int failed = lk_conformance_main(&least, argc, argv);
    puts(failed ? "failed" : "ok");
    return failed;
}
