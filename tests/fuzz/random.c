/* SPDX-License-Identifier: MIT
 *
 * See fuzz.h. The targets are linked with --wrap=getrandom.
 */
#include <sys/types.h>

#include "fuzz/fuzz.h"

unsigned fuzz_random;

ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags);

ssize_t
__wrap_getrandom(void *buffer, size_t size, unsigned flags)
{
    unsigned char *bytes = buffer;
    uint32_t state = fuzz_random;
    (void)flags;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + (fuzz_random != 0 ? 1013904223 : 0);
        bytes[i] = (unsigned char)(state >> 24);
    }
    return (ssize_t)size;
}
