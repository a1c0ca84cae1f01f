/* SPDX-License-Identifier: MIT
 *
 * Results (result.h; lk_result_... of adapter.h). Only the owner's thread uses a result.
 */
#include "base/result.h"

#include <latchkey/adapter.h>

#include "base/alloc.h"

lk_result *
lk_result_new(void)
{
    return lki_alloc_zeroed(NULL, sizeof(lk_result));
}

void
lki_result_drop(lk_result *result)
{
    lki_free(NULL, result->items, result->item_room * sizeof *result->items);
    lki_free(NULL, result->bytes, result->byte_room);
    lki_free(NULL, result->claims, result->claim_room * sizeof *result->claims);
}

void
lki_result_swap(lk_result *result, lk_result *from)
{
    lk_result swapped = *result, *of_result = result->draft, *of_from = from->draft;
    *result = *from;
    *from = swapped;
    result->draft = of_result;
    from->draft = of_from;
}

void
lk_result_free(lk_result *result)
{
    if (result == NULL)
        return;
    lk_result_free(result->draft); /* a draft has no draft */
    lki_result_drop(result);
    lki_free(NULL, result, sizeof *result);
}

size_t
lk_result_count(const lk_result *result)
{
    return result == NULL ? 0 : result->count;
}

const lk_item *
lk_result_item(const lk_result *result, size_t i)
{
    if (result == NULL || i >= result->count || result->items[i].key.pk.data == NULL)
        return NULL;
    return &result->items[i];
}

const lk_claim *
lk_result_claim(const lk_result *result, size_t i)
{
    return result == NULL || i >= result->claim_count ? NULL : &result->claims[i];
}

/* Half as much again, so that an answer that grows slowly does not allocate each time. */
static size_t
room_for(size_t room, size_t wanted)
{
    size_t grown = room + room / 2 + 16;
    return grown > wanted ? grown : wanted;
}

bool
lki_result_grow(lk_result *result, size_t items, size_t bytes)
{
    items += items == 0; /* bytes only where there is room for an item */
    size_t item_room =
        items > result->item_room ? room_for(result->item_room, items) : result->item_room;
    size_t byte_room =
        bytes > result->byte_room ? room_for(result->byte_room, bytes) : result->byte_room;
    lk_item *more_items = NULL;
    unsigned char *more_bytes = NULL;
    if (item_room > SIZE_MAX / sizeof *more_items)
        return false;
    if (item_room != result->item_room &&
        (more_items = lki_alloc(NULL, item_room * sizeof *more_items)) == NULL)
        return false;
    if (byte_room != result->byte_room && (more_bytes = lki_alloc(NULL, byte_room)) == NULL) {
        lki_free(NULL, more_items, item_room * sizeof *more_items);
        return false;
    }
    if (more_items != NULL) {
        lki_free(NULL, result->items, result->item_room * sizeof *result->items);
        result->items = more_items;
        result->item_room = item_room;
    }
    if (more_bytes != NULL) {
        lki_free(NULL, result->bytes, result->byte_room);
        result->bytes = more_bytes;
        result->byte_room = byte_room;
    }
    return true;
}

/* Makes room for `wanted` elements and keeps the first `count`. False: no memory. */
static bool
array_widen(void **array, size_t *room, size_t count, size_t wanted, size_t size)
{
    if (wanted <= *room)
        return true;
    size_t more = room_for(*room, wanted);
    void *grown = more <= SIZE_MAX / size ? lki_alloc(NULL, more * size) : NULL;
    if (grown == NULL)
        return false;
    if (count != 0)
        memcpy(grown, *array, count * size);
    lki_free(NULL, *array, *room * size);
    *array = grown;
    *room = more;
    return true;
}

/* Makes room for so many items, and so many bytes, in all. */
static bool
result_widen(lk_result *result, size_t count, size_t used)
{
    void *items = result->items, *memory = result->bytes;
    count += count == 0;
    bool wide = array_widen(&items, &result->item_room, result->count, count, sizeof(lk_item));
    result->items = items;
    if (!wide || used <= result->byte_room)
        return wide;
    uintptr_t old = (uintptr_t)result->bytes;
    wide = array_widen(&memory, &result->byte_room, result->used, used, 1);
    result->bytes = memory;
    /* Items point into the bytes, which have moved. A hole points nowhere. */
    lk_item *item = result->items;
    for (size_t i = 0; i < result->count; i++) {
        if (item[i].key.pk.data == NULL)
            continue;
        item[i].key.pk.data = result->bytes + ((uintptr_t)item[i].key.pk.data - old);
        item[i].key.sk.data = result->bytes + ((uintptr_t)item[i].key.sk.data - old);
        item[i].data.data = result->bytes + ((uintptr_t)item[i].data.data - old);
    }
    for (size_t i = 0; i < result->claim_count; i++)
        result->claims[i].key = item[i].key;
    return wide;
}

static bool
claims_widen(lk_result *result, size_t count)
{
    void *claims = result->claims;
    bool wide =
        array_widen(&claims, &result->claim_room, result->claim_count, count, sizeof(lk_claim));
    result->claims = claims;
    return wide;
}

bool
lki_result_widen_slow(lk_result *result, size_t more, size_t bytes, bool behind)
{
    size_t count = behind ? result->count + more : more;
    return claims_widen(result, count) &&
           result_widen(result, count, behind ? result->used + bytes : bytes);
}

bool
lki_result_extend(lk_result *result, size_t items, size_t bytes)
{
    size_t used;
    return !__builtin_add_overflow(result->used, bytes, &used) &&
           result_widen(result, result->count + items, used);
}

/* ---- drafts ---- */

void
lk_result_draft(lk_result *result)
{
    if (result->draft == NULL)
        return; /* made by the first addition */
    (void)lki_result_begin(result->draft, 0, 0);
}

static lk_result *
draft_find_or_create(lk_result *result)
{
    if (result->draft == NULL)
        result->draft = lk_result_new();
    return result->draft;
}

lk_result *
lki_result_draft(lk_result *result)
{
    lk_result *draft = draft_find_or_create(result);
    if (draft != NULL)
        (void)lki_result_begin(draft, 0, 0);
    return draft;
}

/* The draft, with room for more items and bytes. NULL: no memory. */
static lk_result *
draft_widen(lk_result *result, size_t items, size_t bytes)
{
    lk_result *draft = draft_find_or_create(result);
    return draft != NULL && lki_result_extend(draft, items, bytes) ? draft : NULL;
}

lk_status
lk_result_add(lk_result *result, const lk_item *item)
{
    lk_result *draft = draft_widen(
        result, 1, item != NULL ? item->key.pk.size + item->key.sk.size + item->data.size : 0);
    if (draft == NULL)
        return LK_NO_MEMORY;
    if (item == NULL)
        lki_result_put_hole(draft);
    else
        lki_result_put_item(draft, item->key.pk, item->key.sk, item->data, item->expires_at_ms);
    return LK_OK;
}

lk_status
lk_result_add_claimed(lk_result *result, const lk_item *item, const lk_claim *claim)
{
    lk_result *draft = draft_find_or_create(result);
    if (draft == NULL || !claims_widen(draft, draft->count + 1))
        return LK_NO_MEMORY;
    lk_status status = lk_result_add(result, item);
    if (status == LK_OK) {
        lk_claim *added = &draft->claims[draft->claim_count++];
        *added = *claim;
        added->key = draft->items[draft->count - 1].key;
    }
    return status;
}

lk_status
lk_result_more(lk_result *result, lk_bytes sk)
{
    lk_result *draft = draft_widen(result, 0, sk.size);
    if (draft == NULL)
        return LK_NO_MEMORY;
    lki_result_put_more(draft, sk.data, sk.size);
    return LK_OK;
}

void
lk_result_publish(lk_result *result)
{
    if (result->draft == NULL)
        (void)lki_result_begin(result, 0, 0); /* nothing was added */
    else {
        lki_result_swap(result, result->draft);
        (void)lki_result_begin(result->draft, 0, 0); /* later additions begin with an empty draft */
    }
}

bool
lk_result_has_more(const lk_result *result, lk_bytes *sk)
{
    if (result == NULL || !result->has_more)
        return false;
    *sk = (lk_bytes){result->bytes + result->resume, result->resume_size};
    return true;
}
