/* SPDX-License-Identifier: MIT
 *
 * The folder of a database and its files, before LMDB sees them: data.mdb and lock.mdb, which are
 * LMDB's, and latchkey.lock: whoever has it locked (flock) has the database.
 *
 * LMDB maps lock.mdb as a file with holes, and writes to it through the map. On a full disk a write
 * to a hole ends the process (SIGBUS). So the whole file is allocated first. LMDB writes data.mdb
 * with system calls, which fail where there is no room.
 */
#ifndef LKI_LMDB_FOLDER_H
#define LKI_LMDB_FOLDER_H

#include <latchkey/adapter.h>

/* The folder is there (made if need be) and the caller's; its files can be given to LMDB, with a
 * table of `readers` places. *lock_fd is the locked file, -1 where that failed; the caller closes
 * it, later or at once. LK_BUSY: another handle has it. Other statuses as those of lk_lmdb_open. */
lk_status lki_lmdb_folder_take(const char *path, unsigned readers, int *lock_fd);

#endif
