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
    size_t used;      /* bytes */
    lk_claim *claims; /* of the first claim_count items; their keys are filled in at the end */
    size_t claim_room, claim_count;
    bool has_more; /* of a page: there may be more behind the sk in `bytes` at `resume` */
    size_t resume, resume_size;
    lk_result *draft; /* what adapters fill before it is published; made when first needed */
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
    result->claim_count = 0;
    result->has_more = false;
    return true;
}

/* For who does not know yet whether something will come, or how much: room for `items` more items of
 * `bytes` bytes in all, and as many claims, `behind` what is there or in its place. What is there
 * stays. False: no memory. */
bool lki_result_widen_slow(lk_result *result, size_t items, size_t bytes, bool behind);
LKI_INLINE bool
lki_result_widen(lk_result *result, size_t items, size_t bytes, bool behind)
{
    size_t count = behind ? result->count + items : items;
    size_t used = behind ? result->used + bytes : bytes;
    if (LKI_LIKELY(count <= result->claim_room && count <= result->item_room &&
                   used <= result->byte_room))
        return true;
    return lki_result_widen_slow(result, items, bytes, behind);
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

/* The answer of lk_get_into: data into the caller's buffer, if they fit. LK_OK, LK_TOO_SMALL; *size is
 * set. */
LKI_INLINE lk_status
lki_copy_into(lk_bytes data, void *buffer, size_t capacity, size_t *size)
{
    *size = data.size;
    if (LKI_UNLIKELY(data.size > capacity))
        return LK_TOO_SMALL;
    if (data.size != 0)
        memcpy(buffer, data.data, data.size);
    return LK_OK;
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

/* The same from the caller's pieces. */
LKI_INLINE void
lki_result_put_item(lk_result *result, lk_bytes pk, lk_bytes sk, lk_bytes data,
                    int64_t expires_at_ms)
{
    unsigned char *to = result->bytes + result->used;
    result->items[result->count++] = (lk_item){{{to, pk.size}, {to + pk.size, sk.size}},
                                               {to + pk.size + sk.size, data.size},
                                               expires_at_ms};
    result->used += pk.size + sk.size + data.size;
    lki_copy(to, pk.data, pk.size);
    lki_copy(to + pk.size, sk.data, sk.size);
    lki_copy(to + pk.size + sk.size, data.data, data.size);
}

/* There is more behind `sk`, for which lki_result_begin has made room. */
LKI_INLINE void
lki_result_put_more(lk_result *result, const unsigned char *sk, size_t size)
{
    result->has_more = true;
    result->resume = result->used;
    result->resume_size = size;
    lki_copy(result->bytes + result->used, sk, size);
    result->used += size;
}

/* Hands the content of `from` over, and takes what was there. Drafts stay where they are. */
void lki_result_swap(lk_result *result, lk_result *from);
/* Frees what a result on the stack holds. */
void lki_result_drop(lk_result *result);

LKI_INLINE void
lki_result_put_hole(lk_result *result)
{
    result->items[result->count++] = (lk_item){{{NULL, 0}, {NULL, 0}}, {NULL, 0}, 0};
}

#endif
