/* SPDX-License-Identifier: MIT
 *
 * lk_result: one reusable owner of what a read returns. Filled by adapters: room for everything
 * first, then the copies, which cannot fail. A result belongs to one thread at a time.
 */
#ifndef LKI_BASE_RESULT_H
#define LKI_BASE_RESULT_H

#include <stdint.h>
#include <string.h>

#include <latchkey/latchkey.h>

#include "base/check.h"

struct lk_result {
    lk_item *items; /* a hole has no pk.data */
    unsigned char *bytes;
    size_t count;
    size_t item_room, byte_room;
    size_t used; /* bytes */
};

/* Room for so many items and bytes, empty. False: no memory, the result as it was. Frees what it
 * held: nothing that is still needed may point into it. */
bool lki_result_grow(lk_result *result, size_t items, size_t bytes);

LKI_INLINE bool
lki_result_begin(lk_result *result, size_t items, size_t bytes)
{
    if (LKI_UNLIKELY(items > result->item_room || bytes > result->byte_room) &&
        !lki_result_grow(result, items, bytes))
        return false;
    result->count = 0;
    result->used = 0;
    return true;
}

/* Short copies without a call. */
LKI_INLINE void
lki_copy(unsigned char *to, const unsigned char *from, size_t size)
{
    if (LKI_LIKELY(size >= 16 && size <= 128)) {
        size_t last = size - 16;
        for (size_t i = 0; i < last; i += 16)
            memcpy(to + i, from + i, 16);
        memcpy(to + last, from + last, 16);
    } else if (size != 0) {
        memcpy(to, from, size);
    }
}

/* pk and sk stand one behind the other at `keys`. */
LKI_INLINE void
lki_result_put(lk_result *result, const unsigned char *keys, size_t pk_size, size_t sk_size,
               const unsigned char *data, size_t data_size, int64_t expires_at_ms)
{
    unsigned char *to = result->bytes + result->used;
    lk_item *item = &result->items[result->count++];
    *item = (lk_item){{{to, pk_size}, {to + pk_size, sk_size}},
                      {to + pk_size + sk_size, data_size},
                      expires_at_ms};
    result->used += pk_size + sk_size + data_size;
    lki_copy(to, keys, pk_size + sk_size);
    lki_copy(to + pk_size + sk_size, data, data_size);
}

LKI_INLINE void
lki_result_put_hole(lk_result *result)
{
    result->items[result->count++] = (lk_item){{{NULL, 0}, {NULL, 0}}, {NULL, 0}, 0};
}

#endif
