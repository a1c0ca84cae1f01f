/* SPDX-License-Identifier: MIT
 *
 * How far a look at the jobs with keys has come.
 */
#ifndef LKI_QUEUE_KEYED_HAND_H
#define LKI_QUEUE_KEYED_HAND_H

#include "base/reclaim.h"
#include "store/store.h"

/* How far a round over the jobs with keys has come that looks for expired ones: an object that is
 * replaced as a whole. */
typedef struct lki_keyed_hand {
    lki_object object;
    uint64_t begun;  /* [const] the mark on the bound when the round began */
    int64_t next_ms; /* [const] the least expiry that the round has met */
    uint32_t size;   /* [const] of the sk that it has come to */
    unsigned char sk[];
} lki_keyed_hand;
/* NULL: no memory. */
lki_keyed_hand *lki_keyed_hand_new(lki_store *store, const lki_cell *at, uint64_t begun,
                                   int64_t next_ms);
size_t lki_keyed_hand_size(const lki_keyed_hand *hand);
void lki_keyed_hand_free(lki_store *store, lki_keyed_hand *hand); /* NULL is allowed */

#endif
