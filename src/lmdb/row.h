/* SPDX-License-Identifier: MIT
 *
 * Rows as they lie in the file. They are copied in and out as they are in memory: a file of LMDB
 * does not move between machines of other byte orders or word sizes anyway. Keys are in key.h.
 *
 *   database   key                                        row
 *   items      pk's size (2) pk sk                        expires_at_ms (8) flags (1) data
 *   locks      as items                                   lki_lmdb_lock
 *   jobs       as items                                   lki_lmdb_job
 *   ready      as items                                   nothing: a job that is visible
 *   due        pk's size (2) pk time (8) sk               nothing: a job that will be, at that time
 *   queues     pk                                         lki_lmdb_queue
 *   expiry     time (8) kind (1) key as items             nothing
 *   latchkey   "meta"                                     lki_lmdb_meta
 */
#ifndef LKI_LMDB_ROW_H
#define LKI_LMDB_ROW_H

#include "lmdb/key.h"

enum {
    LKI_LMDB_FORMAT = 1,
    LKI_LMDB_ITEM_HEADER = 9,
    LKI_LMDB_ITEM_IS_JOB = 1, /* in flags: there is a row in jobs */
    LKI_LMDB_OF_ITEM = 0,     /* kinds in expiry */
    LKI_LMDB_OF_LOCK = 1
};

/* The databases of an environment. */
typedef struct lki_lmdb_tables {
    MDB_dbi meta, items, locks, jobs, ready, due, queues, expiry;
} lki_lmdb_tables;

/* Opens all. A code of LMDB. */
static inline int
lki_lmdb_tables_open(MDB_txn *txn, unsigned flags, lki_lmdb_tables *in)
{
    const struct {
        const char *name;
        MDB_dbi *dbi;
    } all[] = {{"latchkey", &in->meta}, {"items", &in->items},  {"locks", &in->locks},
               {"jobs", &in->jobs},     {"ready", &in->ready},  {"due", &in->due},
               {"queues", &in->queues}, {"expiry", &in->expiry}};
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof all / sizeof *all; i++)
        code = mdb_dbi_open(txn, all[i].name, flags, all[i].dbi);
    return code;
}

typedef struct lki_lmdb_item {
    int64_t expires_at_ms;
    unsigned flags;
    lk_bytes data; /* in the map: until the next write of the transaction, or its end */
} lki_lmdb_item;

typedef struct lki_lmdb_lock {
    uint64_t version;
    int64_t expires_at_ms;
    int64_t indexed_ms; /* of its key in expiry: expires_at_ms, or earlier */
} lki_lmdb_lock;

/* READY and LAPSED are in ready; DELAYED and CLAIMED in due. */
enum lki_lmdb_phase {
    LKI_LMDB_READY = 1,
    LKI_LMDB_DELAYED = 2,
    LKI_LMDB_CLAIMED = 3,
    LKI_LMDB_LAPSED = 4 /* CLAIMED, and a pull has noticed that its time is over */
};

typedef struct lki_lmdb_job {
    int64_t time; /* of the store: visible from then on; a deadline counts as one more */
    uint64_t token;
    uint32_t receives;
    uint8_t phase;
    uint8_t generated; /* its sk is a ULID that a push made */
    uint8_t zero[2];
} lki_lmdb_job;

static inline bool
lki_lmdb_job_is_in_ready(const lki_lmdb_job *job)
{
    return job->phase == LKI_LMDB_READY || job->phase == LKI_LMDB_LAPSED;
}

/* Has the job a claim, be it one that lapsed? */
static inline bool
lki_lmdb_job_has_claim(const lki_lmdb_job *job)
{
    return job->phase == LKI_LMDB_CLAIMED || job->phase == LKI_LMDB_LAPSED;
}

typedef struct lki_lmdb_queue {
    uint64_t depth; /* jobs, those that have expired included */
    uint64_t pushes, pulls, lapses, late, lost, dead;
    int64_t used; /* time of the store when it was last written */
    char ulid[LK_ULID_SIZE];
    uint8_t closed;
    uint8_t zero[5];
} lki_lmdb_queue;

typedef struct lki_lmdb_meta {
    uint32_t format;
    uint32_t zero;
    uint64_t version;        /* none from here on was ever handed out */
    int64_t time;            /* of the store, at most a second ago when it was last written */
    char ulid[LK_ULID_SIZE]; /* greater than all of queues that were forgotten */
    uint8_t more_zero[6];
} lki_lmdb_meta;

_Static_assert(sizeof(lki_lmdb_lock) == 24 && sizeof(lki_lmdb_job) == 24, "rows have no holes");
_Static_assert(sizeof(lki_lmdb_queue) == 96 && sizeof(lki_lmdb_meta) == 56, "rows have no holes");

#endif
