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
lk_result_free(lk_result *result)
{
    if (result == NULL)
        return;
    lki_free(NULL, result->items, result->item_room * sizeof *result->items);
    lki_free(NULL, result->bytes, result->byte_room);
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
    (void)result;
    (void)i;
    return NULL; /* only a pull leaves claims */
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
