/* SPDX-License-Identifier: MIT
 *
 * A stream of calls of items, locks, commits, ordered reads and the clock, against the reference
 * model (support/items_rig.h).
 */
#include "fuzz/fuzz.h"
#include "support/items_rig.h"

enum { STEPS_MAX = 3000 };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static items_rig r;
    kit_random random = kit_random_bytes(data, size);
    fuzz_random = (unsigned)kit_draw(&random, 4);
    size_t shards = (size_t)1 << kit_draw(&random, 7);
    int64_t refresh_ms = kit_draw(&random, 4) == 0 ? -1 : ITEMS_REFRESH_MS;
    lk_memory_options options = items_rig_options(shards, refresh_ms);
    items_rig_open(&r, random, &options);
    items_rig_run(&r, STEPS_MAX);
    items_rig_close(&r);
    return 0;
}
