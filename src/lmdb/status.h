/* SPDX-License-Identifier: MIT
 *
 * Statuses for what LMDB and the system answer. Called by all files that call these.
 */
#ifndef LKI_LMDB_STATUS_H
#define LKI_LMDB_STATUS_H

#include <latchkey/adapter.h>

/* Of a code of LMDB, or of an errno. */
lk_status lki_lmdb_status(int code);
/* Of a write's code. LMDB also says EIO where the system wrote fewer bytes than it was given: then
 * the disk is full, and errno, which was 0 before, is not EIO. */
lk_status lki_lmdb_write_status(int code);

#endif
