/* SPDX-License-Identifier: MIT
 *
 * The embedded store keeps the contract.
 */
#include "memory_options.h"

static lk_status
memory_open(void *context, const lk_conformance_setup *setup, lk_db **db)
{
    (void)context;
    lk_memory_options options = memory_options(setup);
    return lk_memory_open(&options, db);
}

int
main(int argc, char **argv)
{
    const lk_conformance memory = {.name = "memory", .open = memory_open};
    return lk_conformance_main(&memory, argc, argv);
}
