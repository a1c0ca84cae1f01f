/* SPDX-License-Identifier: MIT
 *
 * lk_result: a reusable owner of what a read returns. An adapter first makes room for everything,
 * then copies, which cannot fail. A result belongs to one thread at a time.
 */
#ifndef LKI_BASE_RESULT_H
#define LKI_BASE_RESULT_H

#include <stdint.h>

#include <latchkey/latchkey.h>

#include "base/copy.h"

struct lk_result {
    lk_item *items; /* a hole has no pk.data */
    unsigned char *bytes;
    size_t count;
    size_t item_room, byte_room; /* byte_room is 0 if item_room is */
    size_t used;                 /* bytes used */
    lk_claim *claims;            /* of the first claim_count items */
    size_t claim_room;
    uint32_t claim_count;
    uint32_t has_more; /* of a page: there may be more items above the sk in `bytes` at `resume` */
    size_t resume, resume_size;
    lk_result *draft; /* filled by adapters until it is published; made on first use */
};

/* Makes room for so many items and bytes. The result is empty then. False: no memory, nothing
 * changed. Frees what the result held: nothing that is still needed may point into it. */
bool lki_result_grow(lk_result *result, size_t items, size_t bytes);

LKI_INLINE bool
lki_result_has_room(const lk_result *result, size_t items, size_t bytes)
{
    return LKI_LIKELY(items <= result->item_room) && LKI_LIKELY(bytes <= result->byte_room);
}

LKI_INLINE void
lki_result_clear(lk_result *result)
{
    result->count = 0;
    result->used = 0;
    result->claim_count = 0;
    result->has_more = 0;
}

LKI_INLINE bool
lki_result_begin(lk_result *result, size_t items, size_t bytes)
{
    if (LKI_UNLIKELY(!lki_result_has_room(result, items, bytes)) &&
        !lki_result_grow(result, items, bytes))
        return false;
    lki_result_clear(result);
    return true;
}

/* Makes room for `items` more items of `bytes` bytes in all behind the present ones, which stay.
 * False: no memory. */
bool lki_result_extend(lk_result *result, size_t items, size_t bytes);
/* The empty draft, to which an answer is written while the result stays as it is. NULL: no memory.
 * lk_result_publish makes it the result. */
lk_result *lki_result_draft(lk_result *result);

/* Makes room for `items` more items of `bytes` bytes in all, and as many claims, behind the present
 * ones or in their place; these stay until the caller replaces them. For callers that do not know
 * yet how many items come. False: no memory. */
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

/* The answer of lk_get_into: copies data into the caller's buffer if they fit. LK_OK, LK_TOO_SMALL;
 * *size is set. */
LKI_INLINE lk_status
lki_copy_into(lk_bytes data, void *buffer, size_t capacity, size_t *size)
{
    *size = data.size;
    if (LKI_UNLIKELY(data.size > capacity))
        return LK_TOO_SMALL;
    lki_copy(buffer, data.data, data.size);
    return LK_OK;
}

/* Lets an item point to its bytes, which are, or will be, at `to`: pk, sk, data. */
LKI_INLINE void
lki_item_point(lk_item *item, const unsigned char *to, size_t pk_size, size_t sk_size,
               size_t data_size, int64_t expires_at_ms)
{
    item->key.pk.data = to;
    item->key.pk.size = pk_size;
    item->key.sk.data = to + pk_size;
    item->key.sk.size = sk_size;
    item->data.data = to + pk_size + sk_size;
    item->data.size = data_size;
    item->expires_at_ms = expires_at_ms;
}

/* Adds an item. Returns where the caller has to put its bytes. */
LKI_INLINE unsigned char *
lki_result_place(lk_result *result, size_t pk_size, size_t sk_size, size_t data_size,
                 int64_t expires_at_ms)
{
    unsigned char *to = result->bytes + result->used;
    lki_item_point(&result->items[result->count++], to, pk_size, sk_size, data_size, expires_at_ms);
    result->used += pk_size + sk_size + data_size;
    return to;
}

/* Fills an item: copies pk and sk, which lie together at `keys`, and the data to `to`. Returns the
 * end of the copy. */
LKI_INLINE unsigned char *
lki_item_fill(lk_item *item, unsigned char *to, const unsigned char *keys, size_t pk_size,
              size_t sk_size, const unsigned char *data, size_t data_size, int64_t expires_at_ms)
{
    size_t keys_size = pk_size + sk_size;
    lki_item_point(item, to, pk_size, sk_size, data_size, expires_at_ms);
    if (LKI_LIKELY(keys_size - 16 <= 16))
        lki_copy_pair(to, keys, keys_size);
    else
        lki_copy(to, keys, keys_size);
    lki_copy(to + keys_size, data, data_size);
    return to + keys_size + data_size;
}

/* Adds such an item. */
LKI_INLINE void
lki_result_put(lk_result *result, const unsigned char *keys, size_t pk_size, size_t sk_size,
               const unsigned char *data, size_t data_size, int64_t expires_at_ms)
{
    unsigned char *to = result->bytes + result->used;
    result->used += pk_size + sk_size + data_size;
    (void)lki_item_fill(&result->items[result->count++], to, keys, pk_size, sk_size, data,
                        data_size, expires_at_ms);
}

/* Makes the result one item with a short key, which lies at an offset in `object`, and data that
 * never expire. The steps are in an order that needs few registers. False: there is no room,
 * nothing changed. Else *c is what is left to copy; c->from NULL: the data follow the key. `key`
 * may lie in the result. */
LKI_INLINE bool
lki_result_put_short(lk_result *result, const lk_key *key, const void *object, size_t offset,
                     lki_copying *c)
{
    size_t pk_size = key->pk.size, sk_size = key->sk.size, keys_size = pk_size + sk_size;
    if (LKI_UNLIKELY(keys_size + c->size > result->byte_room)) /* if the bytes fit, one item does */
        return false;
    lki_result_clear(result);
    result->count = 1;
    result->used = keys_size + c->size;
    lk_item *item = result->items;
    unsigned char *to = result->bytes;
    size_t size = c->size;
    const unsigned char *from = object;
    memcpy(to, from + offset, 16);
    item->key.pk.data = to;
    item->key.pk.size = pk_size;
    to += pk_size;
    from += pk_size;
    __asm__("" : "+r"(to), "+r"(from)); /* in this order */
    item->key.sk.data = to;
    item->key.sk.size = sk_size;
    to += sk_size;
    __asm__("" : "+r"(to));
    memcpy(to - 16, from + sk_size + offset - 16, 16);
    item->data.data = to;
    item->data.size = size;
    item->expires_at_ms = 0;
    __asm__("" : "+r"(size)); /* its bits are tested later */
    *c = (lki_copying){to, c->from != NULL ? c->from : from + sk_size + offset, size};
    return true;
}

/* Adds an item from separate pieces. */
LKI_INLINE void
lki_result_put_item(lk_result *result, lk_bytes pk, lk_bytes sk, lk_bytes data,
                    int64_t expires_at_ms)
{
    unsigned char *to = lki_result_place(result, pk.size, sk.size, data.size, expires_at_ms);
    lki_copy(to, pk.data, pk.size);
    lki_copy(to + pk.size, sk.data, sk.size);
    lki_copy(to + pk.size + sk.size, data.data, data.size);
}

/* Records that there may be more items above `sk`. lki_result_begin has made room for it. */
LKI_INLINE void
lki_result_put_more(lk_result *result, const unsigned char *sk, size_t size)
{
    result->has_more = 1;
    result->resume = result->used;
    result->resume_size = size;
    lki_copy(result->bytes + result->used, sk, size);
    result->used += size;
}

/* Exchanges the contents of two results; each keeps its draft. */
void lki_result_swap(lk_result *result, lk_result *from);
/* Frees the memory of a result that lies on the stack. */
void lki_result_drop(lk_result *result);

LKI_INLINE void
lki_item_hole(lk_item *item)
{
    *item = (lk_item){{{NULL, 0}, {NULL, 0}}, {NULL, 0}, 0};
}

LKI_INLINE void
lki_result_put_hole(lk_result *result)
{
    lki_item_hole(&result->items[result->count++]);
}

#endif
