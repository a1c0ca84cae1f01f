/* SPDX-License-Identifier: MIT
 *
 * The position of the scan for expired jobs with keys (keyed_hand.h).
 */
#include "queue/keyed_hand.h"

#include <string.h>

size_t
lki_keyed_hand_size(const lki_keyed_hand *hand)
{
    return sizeof *hand + hand->size;
}

void
lki_keyed_hand_free(lki_store *store, lki_keyed_hand *hand)
{
    if (hand != NULL)
        lki_free(&store->domain.allocator, hand, lki_keyed_hand_size(hand));
}

static bool
hand_dispose(lki_thread *thread, void *object)
{
    lki_keyed_hand_free(lki_thread_store(thread), object);
    return true;
}

lki_keyed_hand *
lki_keyed_hand_new(lki_store *store, const lki_cell *at, uint64_t begun, int64_t next_ms)
{
    lki_keyed_hand *hand = lki_alloc(&store->domain.allocator, sizeof *hand + at->sk_size);
    if (hand == NULL)
        return NULL;
    hand->object.dispose = hand_dispose;
    hand->begun = begun;
    hand->next_ms = next_ms;
    hand->size = at->sk_size;
    memcpy(hand->sk, lki_cell_sk(at), at->sk_size);
    return hand;
}
