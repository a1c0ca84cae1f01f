/* SPDX-License-Identifier: MIT
 *
 * A stream of calls of queues, claims that lapse, items, locks and commits on the same keys,
 * against the reference model (support/queues_rig.h). In the end some queues are closed, and
 * drained by what is left of the stream.
 */
#include "fuzz/fuzz.h"
#include "support/queues_rig.h"

enum { STEPS_MAX = 3000 };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static queues_rig r;
    kit_random random = kit_random_bytes(data, size);
    fuzz_random = (unsigned)kit_draw(&random, 4);
    size_t shards = (size_t)1 << kit_draw(&random, 7), depth = 1 + kit_draw(&random, 60);
    uint64_t open = kit_draw(&random, STEPS_MAX);
    queues_rig_open(&r, random, shards, depth);
    queues_rig_run(&r, open);
    queues_rig_end(&r);
    queues_rig_run(&r, STEPS_MAX - open);
    queues_rig_close(&r);
    return 0;
}
