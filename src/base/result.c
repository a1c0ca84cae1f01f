/* SPDX-License-Identifier: MIT
 *
 * Results. Called by users, and by adapters through result.h. No thread but the owner's is
 * involved.
 */
#include "base/result.h"

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
    lk_result swapped = *result;
    *result = *from;
    *from = swapped;
}

void
lk_result_free(lk_result *result)
{
    if (result == NULL)
        return;
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

/* Half as much again, so that a slowly growing answer does not allocate each time. */
static size_t
room_for(size_t room, size_t wanted)
{
    size_t grown = room + room / 2 + 16;
    return grown > wanted ? grown : wanted;
}

bool
lki_result_grow(lk_result *result, size_t items, size_t bytes)
{
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

/* Room for `wanted` elements, with the first `count` kept. False: no memory. */
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

bool
lki_result_widen(lk_result *result, size_t more, size_t bytes, bool behind)
{
    size_t count = behind ? result->count + more : more,
           used = behind ? result->used + bytes : bytes;
    void *items = result->items, *claims = result->claims, *memory = result->bytes;
    bool wide = array_widen(&items, &result->item_room, result->count, count, sizeof(lk_item));
    result->items = items;
    wide = wide &&
           array_widen(&claims, &result->claim_room, result->claim_count, count, sizeof(lk_claim));
    result->claims = claims;
    if (!wide || used <= result->byte_room)
        return wide;
    const unsigned char *old = result->bytes;
    lk_item *item = result->items;
    /* Items point into the bytes: they move along. */
    for (size_t i = 0; i < result->count; i++) {
        item[i].key.pk.data = (const void *)((uintptr_t)item[i].key.pk.data - (uintptr_t)old);
        item[i].key.sk.data = (const void *)((uintptr_t)item[i].key.sk.data - (uintptr_t)old);
        item[i].data.data = (const void *)((uintptr_t)item[i].data.data - (uintptr_t)old);
    }
    wide = array_widen(&memory, &result->byte_room, result->used, used, 1);
    result->bytes = memory;
    for (size_t i = 0; i < result->count; i++) {
        item[i].key.pk.data = result->bytes + (uintptr_t)item[i].key.pk.data;
        item[i].key.sk.data = result->bytes + (uintptr_t)item[i].key.sk.data;
        item[i].data.data = result->bytes + (uintptr_t)item[i].data.data;
    }
    for (size_t i = 0; i < result->claim_count; i++)
        result->claims[i].key = item[i].key;
    return wide;
}
