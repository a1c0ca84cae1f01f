/* SPDX-License-Identifier: MIT
 *
 * Looks at the pages of data.mdb before LMDB maps them. LMDB trusts its file: a page that is not
 * there ends the process (SIGBUS), and a damaged page may do so too. So each page is read with
 * pread here, and all is judged that LMDB would trust. Called by folder.c when a store is opened.
 *
 * Judged are both meta pages; of each page that is reached its number, its kind, its nodes
 * (inside the page, beside one another, keys in order), where it points (inside the file, to a page
 * that nothing else points to); the free list. Not judged are the bytes of keys and rows: the code
 * that reads a row judges it.
 */
#ifndef LKI_LMDB_PAGES_H
#define LKI_LMDB_PAGES_H

#include <latchkey/adapter.h>

enum {
    /* How many pages are visited, from the roots downwards: 64 MiB of 4 KiB each. Of a file that is
     * shorter than its meta pages say, which a good one may be, all are. */
    LKI_LMDB_VISITS = 16384
};

/* The file of `fd`. LK_OK, and *is_new: it is empty, or what was left by a process that died (or
 * had no room) while it made it, so nothing was ever in it. LK_INVALID: no file of LMDB.
 * LK_UNSUPPORTED: of another version of LMDB. LK_UNAVAILABLE: damaged, or it cannot be read.
 * LK_NO_MEMORY. */
lk_status lki_lmdb_pages_check(int fd, bool *is_new);

#endif
