/* SPDX-License-Identifier: MIT
 *
 * A folder of files behind a lk_db: one file per item. See files.c.
 */
#ifndef FILES_H
#define FILES_H

#include <latchkey/latchkey.h>

/* Opens `folder`, which is made where it is not there; to be closed with lk_close. The clock says
 * what has expired; NULL: the system's. One handle, of one process, at a time. LK_OK,
 * LK_NO_MEMORY. LK_UNAVAILABLE: the folder can be neither opened nor made. */
lk_status files_open(const char *folder, lk_clock realtime_ms, void *clock_context, lk_db **db);

#endif
