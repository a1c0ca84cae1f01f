/* SPDX-License-Identifier: MIT
 *
 * The pks that have a live item, one page at a time.
 */
#ifndef LKI_STORE_LIST_H
#define LKI_STORE_LIST_H

#include "base/result.h"
#include "store/store.h"

/* The position of a listing: the next pk is the first that is not before it. */
typedef struct lki_list_place {
    uint64_t half;  /* of the hash by which the set places a pk; 2^32: after all pks */
    uint64_t other; /* those with this half and a smaller other hash were listed */
} lki_list_place;

/* Converts from and to the form that callers keep. False: the position is not from this store. */
bool lki_list_place_read(const lki_store *store, const lk_position *position,
                         lki_list_place *place);
void lki_list_place_write(const lki_store *store, const lki_list_place *place,
                          lk_position *position);

/* Adds up to `limit` pks to `into` and moves *place on. It does a part of the work, which may find
 * none. `now`: read before the section. Caller: in a section. LK_OK; LK_END: *place was after all
 * pks; LK_NO_MEMORY. */
lk_status lki_list_some(lki_store *store, lki_thread *thread, lki_list_place *place, lki_time *now,
                        size_t limit, lk_result *into);

#endif
