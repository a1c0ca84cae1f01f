/* SPDX-License-Identifier: MIT
 *
 * The position of the scan for expired jobs with keys (keyed_position.h).
 */
#include "queue/keyed_position.h"

#include <string.h>

size_t
lki_keyed_position_size(const lki_keyed_position *position)
{
    return sizeof *position + position->size;
}

void
lki_keyed_position_free(lki_store *store, lki_keyed_position *position)
{
    if (position != NULL)
        lki_free(&store->domain.allocator, position, lki_keyed_position_size(position));
}

static bool
position_dispose(lki_thread *thread, void *object)
{
    lki_keyed_position_free(lki_thread_store(thread), object);
    return true;
}

lki_keyed_position *
lki_keyed_position_new(lki_store *store, const lki_cell *at, uint64_t begun, int64_t next_ms)
{
    LK_ASSERT((begun & 1) != 0 && !lki_cell_is_in_queue(at));
    lki_keyed_position *position =
        lki_alloc(&store->domain.allocator, sizeof *position + at->sk_size);
    if (position == NULL)
        return NULL;
    position->object.dispose = position_dispose;
    position->begun = begun;
    position->next_ms = next_ms;
    position->size = at->sk_size;
    memcpy(position->sk, lki_cell_sk(at), at->sk_size);
    return position;
}
