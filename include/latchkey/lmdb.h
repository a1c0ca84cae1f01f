/* SPDX-License-Identifier: MIT
 *
 * latchkey/lmdb.h: a store that survives a restart, on LMDB (the Lightning Memory-Mapped Database).
 * The library latchkey-lmdb; every call of latchkey.h works on its handles, but for lk_view
 * (LK_UNSUPPORTED).
 *
 *     lk_db *db;
 *     if (lk_lmdb_open("/var/lib/mine", NULL, &db) != LK_OK)
 *         return 1;
 *     ... as with any other lk_db ...
 *     lk_close(db);
 *
 * ONE HANDLE A PATH  A database is open in one process, and there once: while a handle has it open,
 * a second lk_lmdb_open of the same folder is LK_BUSY, in this process or another. The kernel frees
 * the folder when the process ends, however it ends. But the child of a fork that outlives a killed
 * parent goes on holding it.
 *
 * WHAT IS DURABLE WHEN  A call that writes is one transaction (a purge, a sweep or a pull of many:
 * several). When it returns LK_OK, or LK_LATE, all of it is there. On anything else nothing of it
 * is there, unless latchkey.h says otherwise, or the status is LK_UNKNOWN. lk_set and lk_delete of
 * several keys are one step too, which is more than latchkey.h promises. Killing the process, at
 * any instant, loses nothing that was acknowledged and tears nothing. What the death of the machine
 * does, see lk_lmdb_sync.
 *
 * TIME  Expiry of items and locks counts on the realtime clock, and goes on while the database is
 * closed. Deadlines of claims and delays count on the monotonic clock while the database is open: a
 * realtime clock that jumps changes nothing. While the database is closed they count on the
 * realtime clock; if that clock goes back meanwhile, they stand still. So a claim's token is good
 * after a restart as it was before. Its deadline_ms is on the monotonic clock of the handle that
 * gave it.
 *
 * THREADS, PROGRESS  As latchkey.h says, but: reads never wait for a writer, and writes queue up
 * behind one another, for the time of a commit each.
 *
 * BOUNDED WORK
 *   A pull notices jobs that came due in the order of their times: 4,096 of them, or max_jobs if
 *   that is more. Where more are due, a job counts as visible from when it was noticed, and a pull
 *   takes nothing behind the next job that is due as long as it has another.
 *   A pull without wait takes out 4,096 jobs that have expired or were received too often (fewer
 *   where they have more than 4 KiB). It is LK_EMPTY if these were all it met; the next pull goes
 *   on. A push to a queue that is too deep, be it a step of a commit, takes out 8,192 expired items
 *   and locks of the whole store, the oldest first. If that has not made room it is LK_BUSY; the
 *   next push goes on.
 *   A page of lk_list_partitions begins at once where the last one ended, if pks have up to 30
 *   bytes. Of longer ones each page walks over all that have the same size and the same first 22
 *   bytes, some 0.2 us each: where these are many, ask for large pages (a limit of up to 65,536).
 *   A purge, and a sweep without a limit, go on to the end, with 512 entries in a transaction;
 *   other writers come in between.
 *
 * OTHER PROCESSES  Programs of LMDB (mdb_stat, mdb_copy) may read the database while it is open
 * here. A reader whose process was killed holds nothing back for long: dead readers are cleared at
 * opening, when the file grows, and when a place for a reader is missing.
 *
 * DAMAGE  LMDB trusts its file. So lk_lmdb_open looks at it first, and says LK_UNAVAILABLE where
 * pages are missing (a file that was cut, an interrupted copy) or are not what they should be: both
 * meta pages, then the pages from the roots downwards, 16,384 of them at most (64 MiB of 4 KiB),
 * and the free list. A file that is shorter than its meta page says is looked at as a whole, so
 * opening it takes the time of reading it. Rows are checked when they are read. Not noticed: damage
 * in the bytes of keys and data; damage in a page beyond the first 16,384; and whatever changes the
 * file while it is open. Of these the last two may end the process. A database that was never made
 * to the end (a full disk, a kill) is made anew by the next open.
 *
 * STATISTICS  lk_statistics_read: `cells` is the number of items and locks together; lk_put_if,
 * lk_touch and lk_add count as sets; what latchkey.h says of threads, contention, allocated and
 * retired memory stays 0. Counters of queues are in the database; only empty_pulls begins anew with
 * each handle. A queue that is empty, not closed, and was not used for a minute is taken out, with
 * its counters. lk_sweep does so, and so does each new queue with two others: queues that are used
 * once do not pile up.
 *
 * STATUSES, besides those of latchkey.h
 *   LK_NO_MEMORY    also: the map or the disk is full. Nothing was written, what the write has
 *                   taken of the disk is given back, and the store goes on; reads need no room.
 *                   Deleting needs a few free pages too (a purge and a sweep then take less at
 *                   once). Where a database is full to the last page, open it again with a larger
 *                   map_size.
 *   LK_UNAVAILABLE  an I/O error, a damaged database. From a write: nothing was written. Where LMDB
 *                   cannot go on, every call is LK_UNAVAILABLE until the database is opened anew.
 *   LK_UNKNOWN      the last write of a commit failed: the commit may be there or not. Every call
 *                   after it is LK_UNAVAILABLE; opening the database again shows which.
 *   LK_TOO_BIG      also: more was written in one call than a transaction holds (some 500 MB); a
 *                   push without an sk, or a pull with max_receives, where pk, or dead_pk, is
 *                   longer than 474 and so leaves no room for a generated sk.
 *   LK_BUSY         also: other processes (mdb_stat, mdb_copy) have taken all places for readers.
 */
#ifndef LATCHKEY_LMDB_H
#define LATCHKEY_LMDB_H

#include <latchkey/latchkey.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a commit waits for. The process may be killed at any time with each of them. */
typedef enum lk_lmdb_sync {
    /* Data, then the page that makes them valid, are on the disk when a write returns: nothing that
     * was acknowledged is lost when the machine dies. Two flushes a commit. */
    LK_LMDB_SYNC_COMMIT = 0,
    /* The data are on the disk. The page that makes them valid follows with the next commit, or by
     * itself: when the machine dies the last commit may be lost, and no other, and none is torn.
     * One flush a commit (MDB_NOMETASYNC). */
    LK_LMDB_SYNC_LATER = 1,
    /* A commit waits for nothing; lk_close flushes. When the machine dies any number of the last
     * commits is lost; and unless the file system keeps the order of writes, the database may be
     * damaged beyond repair (MDB_NOSYNC). For data that can be made anew. */
    LK_LMDB_SYNC_NEVER = 2
} lk_lmdb_sync;

/* A field that is 0 or NULL stands for its default. */
typedef struct lk_lmdb_options {
    /* The size that the database may grow to, in bytes; rounded up to a page. This takes address
     * space only; the file grows as it is used. Default 64 GiB (1 GiB where pointers have 32 bits).
     * May differ each time; a size below that of the file counts as that of the file. */
    size_t map_size;
    lk_lmdb_sync sync;
    /* Called from any thread, also while a write has the store's latch: they make no call on the
     * store. */
    lk_clock realtime_ms; /* Unix milliseconds; default CLOCK_REALTIME */
    /* default CLOCK_MONOTONIC; waiting pulls look at a hook every 5 ms */
    lk_clock monotonic_ms;
    void *clock_context;
    /* As those of lk_memory_options. */
    int64_t lock_ttl_ms, lock_refresh_ms;
    /* Bytes; defaults 240, 256, 16 MiB. pk and sk together at most 500, since a key of LMDB has at
     * most 511; data at most 4 GiB - 10. An sk of 26 bytes, as queues generate, may be longer than
     * max_sk_size, where it fits to its pk. The limits may differ each time. What was written under
     * larger limits stays readable, but a stream that meets a longer sk than its handle allows is
     * LK_INVALID, and the claim of a job with such an sk is LK_TOO_BIG. A dead letter whose sk does
     * not fit to dead_pk gets a generated one. */
    size_t max_pk_size, max_sk_size, max_data_size;
    /* Reads that run at once; other reads wait for a place. Default 126. */
    unsigned max_readers;
} lk_lmdb_options;
#define LK_LMDB_OPTIONS_INIT                                       \
    {                                                              \
        0, LK_LMDB_SYNC_COMMIT, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0 \
    }

/* Opens the database in the folder `path`, which is made where it is missing (not its parents). The
 * folder (0700) and its files (0600) are the owner's only, less what the umask takes. `options` may
 * be NULL (defaults) and, like `path`, need not outlive the call. On LK_OK `*db` is the caller's,
 * to be given to lk_close. LK_INVALID: bad options; or there is something else in the folder: not a
 * database of LMDB, or not one of latchkey's. LK_TOO_BIG: a limit above its cap. LK_BUSY: somebody
 * has it open. LK_UNSUPPORTED: made by a newer version of this library or of LMDB. LK_UNAVAILABLE:
 * no such place, no permission, an I/O error, damage. LK_NO_MEMORY: or no address space for the
 * map, no room on the disk, no descriptors left. */
LK_API LK_CHECKED lk_status lk_lmdb_open(const char *path, const lk_lmdb_options *options,
                                         lk_db **db);

#ifdef __cplusplus
}
#endif
#endif
