/* SPDX-License-Identifier: MIT
 *
 * How much a test does. tests/run sets LK_TEST_SCALE, in percent: 100 for every push, less under
 * sanitizers, much more at night.
 */
#ifndef LATCHKEY_TESTS_SCALE_H
#define LATCHKEY_TESTS_SCALE_H

#include <stdint.h>
#include <stdlib.h>

/* `count` rounds of a push, scaled; at least 1. */
static inline uint64_t
test_scaled(uint64_t count)
{
    const char *text = getenv("LK_TEST_SCALE");
    uint64_t percent = text != NULL ? strtoull(text, NULL, 10) : 100;
    uint64_t scaled = count / 100 * percent + count % 100 * percent / 100;
    return scaled > 0 ? scaled : 1;
}

#endif
