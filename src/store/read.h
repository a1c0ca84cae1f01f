/* SPDX-License-Identifier: MIT
 *
 * Reads of several keys as of one instant.
 */
#ifndef LKI_STORE_READ_H
#define LKI_STORE_READ_H

#include "store/find.h"

/* An item that a read has found; valid in the section. */
typedef struct lki_found {
    const lki_cell *cell;
    const lki_record *record; /* NULL: no item */
} lki_found;

/* Reads the records of `count` keys as of one instant; see read.c. Caller: in a section. */
void lki_read_many(lki_store *store, lki_thread *thread, const lk_key *keys, lki_seen *seen,
                   size_t count);
/* The same, if each key has a good lock that need not be renewed, or has neither lock nor item;
 * *bytes: of the items and their keys. False: a lock has to be made or renewed. */
bool lki_read_locked(lki_store *store, lki_thread *thread, const lk_key *keys, lki_seen *seen,
                     size_t count, size_t *bytes);

#endif
