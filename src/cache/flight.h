/* SPDX-License-Identifier: MIT
 *
 * A flight: one write of one key on its way through a cache to the database. Called by the cache's
 * adapter before and after the call that writes.
 *
 * Guarantees  From lki_flight_begin to lki_flight_end the key's window is open, so no read finds
 *             the key in the cache. Afterwards the cache holds what was written, or nothing.
 */
#ifndef LKI_CACHE_FLIGHT_H
#define LKI_CACHE_FLIGHT_H

#include "cache/table.h"

/* On the stack of a call. Keeps what it needs: the key's bytes may change while the database
 * works. */
typedef struct lki_flight {
    uint64_t hash;
    uint64_t begun, partition_word; /* windows as they were then */
    lki_cached *entry;              /* the key's, stale now; held. NULL: there was none */
    bool alone;                     /* no other write was under way */
} lki_flight;

void lki_flight_begin(lki_cache *cache, lki_thread *thread, lki_flight *flight,
                      const lki_hashed *hashed);
/* `item`: what the key now holds; NULL: unknown, or nothing. `in_doubt`: the write ended in
 * LK_UNKNOWN. `read_at_ms`: from before the write. */
void lki_flight_end(lki_cache *cache, lki_thread *thread, const lki_flight *flight,
                    const lk_item *item, bool in_doubt, int64_t read_at_ms);

#endif
