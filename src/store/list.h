/* SPDX-License-Identifier: MIT
 *
 * The pks that have a live item, a page at a time.
 */
#ifndef LKI_STORE_LIST_H
#define LKI_STORE_LIST_H

#include "base/result.h"
#include "store/store.h"

/* How far a listing has come: the next one is the first that is not before this place. */
typedef struct lki_list_place {
    uint64_t half;  /* of the hash by which the set files a pk; 2^32: behind all of them */
    uint64_t other; /* of the pks with this half the first ones have been listed: by another hash */
} lki_list_place;

/* A position as callers keep it. False: it is none of this store. */
bool lki_list_place_read(const lki_store *store, const lk_position *position,
                         lki_list_place *place);
void lki_list_place_write(const lki_store *store, const lki_list_place *place,
                          lk_position *position);

/* Up to `limit` pks go to `into` behind what is there, and *place moves on: a part of the work,
 * which may find none. `now`: read before the section. Caller: in a section. LK_OK; LK_END: *place
 * was behind all; LK_NO_MEMORY. */
lk_status lki_list_some(lki_store *store, lki_thread *thread, lki_list_place *place, lki_time *now,
                        size_t limit, lk_result *into);

#endif
