/* SPDX-License-Identifier: MIT
 *
 * What the tests of the adapter for LMDB share: a kit over a database in a folder of its own.
 */
#ifndef LATCHKEY_TESTS_LMDB_RIG_H
#define LATCHKEY_TESTS_LMDB_RIG_H

#include <latchkey/lmdb.h>

#include "support/jobs.h"

enum { LMDB_PATH_ROOM = 256 };

typedef struct lmdb_rig {
    kit k; /* k.db is NULL while the database is closed */
    lk_lmdb_options options;
    char folder[LMDB_PATH_ROOM];
} lmdb_rig;

/* A new empty folder under TMPDIR, or /tmp. False: none. */
bool lmdb_folder_make(char *folder);
/* The files of a database, and the folder. */
void lmdb_folder_remove(const char *folder);
/* "folder/name", in a buffer of the thread. */
const char *lmdb_path(const char *folder, const char *name);

/* Setup and teardown for cmocka: *state is a rig whose database is open, on the kit's clocks. */
int lmdb_setup(void **state);
int lmdb_teardown(void **state);
/* Opens with the rig's options; fails the test where that fails. */
void lmdb_open(lmdb_rig *r);
void lmdb_close(lmdb_rig *r);
/* Closed for so long, and opened again: the realtime clock goes on, the monotonic one is anew. */
void lmdb_reopen(lmdb_rig *r, int64_t closed_ms);
/* What lk_lmdb_open says now; what it opened is closed again. */
lk_status lmdb_try_open(const lmdb_rig *r);

#endif
