/* SPDX-License-Identifier: MIT
 *
 * Copies in steps of known width: one branch for each bit of the size, and no address that depends
 * on the size.
 *
 * Why: the size has often just been loaded and arrives late. If the address of a store depends on
 * it, all later loads of the thread wait until that address is known. Branches are predicted
 * instead.
 */
#ifndef LKI_BASE_COPY_H
#define LKI_BASE_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/check.h"

enum { LKI_COPY_STEPS_MAX = 127 };

/* What is left to copy, and where. */
typedef struct lki_copying {
    unsigned char *to;
    const unsigned char *from;
    size_t size;
} lki_copying;

/* Copies all, if that is at most LKI_COPY_STEPS_MAX bytes. Else returns false, and *c is what is
 * left. `from` may be NULL if size is 0. */
LKI_INLINE bool
lki_copy_short(lki_copying *c)
{
    unsigned char *to = c->to;
    const unsigned char *from = c->from;
    size_t size = c->size;
/* The compiler must not compute `to` as a distance from `from`, which may arrive late as well. */
#define LKI_COPY_STEP(width)                 \
    if ((size & (width)) != 0) {             \
        memcpy(to, from, width);             \
        if ((size &= ~(size_t)(width)) == 0) \
            return true;                     \
        to += (width);                       \
        from += (width);                     \
        __asm__("" : "+r"(to));              \
    }
    LKI_COPY_STEP(64)
    if (LKI_UNLIKELY(size > LKI_COPY_STEPS_MAX)) {
        *c = (lki_copying){to, from, size};
        return false;
    }
    LKI_COPY_STEP(32)
    LKI_COPY_STEP(16)
    LKI_COPY_STEP(8)
    LKI_COPY_STEP(4)
    LKI_COPY_STEP(2)
    LKI_COPY_STEP(1)
#undef LKI_COPY_STEP
    return true;
}

LKI_INLINE void
lki_copy(unsigned char *to, const unsigned char *from, size_t size)
{
    lki_copying c = {to, from, size};
    if (LKI_UNLIKELY(!lki_copy_short(&c)))
        memcpy(c.to, c.from, c.size);
}

/* Copies 16 to 32 bytes whose size has been known for a while, as that of a key. */
LKI_INLINE void
lki_copy_pair(unsigned char *to, const unsigned char *from, size_t size)
{
    memcpy(to, from, 16);
    memcpy(to + size - 16, from + size - 16, 16);
}

#endif
