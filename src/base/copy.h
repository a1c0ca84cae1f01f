/* SPDX-License-Identifier: MIT
 *
 * Copies of items, in steps of known width: a branch for each bit of the size, and no address that depends
 * on it. A size has often just been loaded, and came late; where the address of a store waits for it, no
 * load of what the thread does next is sure of its bytes before, and waits too. Branches are predicted.
 */
#ifndef LKI_BASE_COPY_H
#define LKI_BASE_COPY_H

#include <stddef.h>
#include <string.h>

#include "base/check.h"

enum { LKI_COPY_STEPS_MAX = 127 };

/* Up to LKI_COPY_STEPS_MAX bytes. `from` may be NULL where size is 0. */
LKI_INLINE void
lki_copy_steps(unsigned char *to, const unsigned char *from, size_t size)
{
/* The compiler must not reckon `to` as a distance from `from`, which may come late as well. */
#define LKI_COPY_STEP(width)           \
    if ((size & (width)) != 0) {       \
        memcpy(to, from, width);       \
        if ((size & ((width)-1)) == 0) \
            return;                    \
        to += (width);                 \
        from += (width);               \
        __asm__("" : "+r"(to));        \
    }
    LKI_COPY_STEP(64)
    LKI_COPY_STEP(32)
    LKI_COPY_STEP(16)
    LKI_COPY_STEP(8)
    LKI_COPY_STEP(4)
    LKI_COPY_STEP(2)
    LKI_COPY_STEP(1)
#undef LKI_COPY_STEP
}

LKI_INLINE void
lki_copy(unsigned char *to, const unsigned char *from, size_t size)
{
    if (LKI_LIKELY(size <= LKI_COPY_STEPS_MAX))
        lki_copy_steps(to, from, size);
    else
        memcpy(to, from, size);
}

/* 16 to 32 bytes, where the size has been known for a while, as that of a key has. */
LKI_INLINE void
lki_copy_pair(unsigned char *to, const unsigned char *from, size_t size)
{
    memcpy(to, from, 16);
    memcpy(to + size - 16, from + size - 16, 16);
}

#endif
