/* SPDX-License-Identifier: MIT
 *
 * The records of several keys at one instant.
 */
#ifndef LKI_STORE_READ_H
#define LKI_STORE_READ_H

#include "store/find.h"

/* Where a read found an item: valid in the section. */
typedef struct lki_found {
    const lki_cell *cell;
    const lki_record *record; /* NULL: no item */
} lki_found;

/* The records of `count` keys at one instant; see read.c. Caller: in a section. */
void lki_read_many(lki_store *store, lki_thread *thread, const lk_key *keys, lki_seen *seen,
                   size_t count);
/* The same of keys that have fresh locks, whose items do not expire before; *bytes: of the items
 * and their keys. False: one has none. */
bool lki_read_locked(lki_store *store, lki_thread *thread, const lk_key *keys, lki_seen *seen,
                     size_t count, size_t *bytes);

#endif
