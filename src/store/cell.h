/* SPDX-License-Identifier: MIT
 *
 * Cells, records, commits: the words that everything in the store is made of. No functions but
 * accessors.
 *
 * A cell is one key, at a stable address as long as a section may see it. Its head is EMPTY, DEAD, or
 * the newest record of a chain. A record says all of its key at an instant: the item, the job that it
 * may be, the lock. It is immutable once it was published, but for its word: the stamp of its
 * instant, or the commit that will tell.
 */
#ifndef LKI_STORE_CELL_H
#define LKI_STORE_CELL_H

#include <string.h>

#include "base/atomic.h"
#include "base/check.h"

typedef struct lki_record lki_record;
typedef struct lki_commit lki_commit;
typedef struct lki_cell lki_cell;
typedef struct lki_partition lki_partition;
typedef struct lki_lane lki_lane;

/* A head: 0 is empty, LKI_DEAD says that the cell has left the table, else a lki_record *. */
typedef _Atomic(uintptr_t) lki_head;
#define LKI_EMPTY ((uintptr_t)0)
#define LKI_DEAD ((uintptr_t)1)

/* A commit's state, shared by all of its records: one of these, or its stamp << 2. */
enum { LKI_INSTALLING = 1, LKI_READY = 2, LKI_ABORTED = 3 };
struct lki_commit {
    _Atomic(uint64_t) state; /* [P2] */
    _Atomic(uint64_t)
        installed; /* [stat] records so far; who waits looks whether the owner gets on */
};

/* A record's word: 0 not stamped yet; negative: lki_commit * | LKI_WORD_COMMIT; positive: the stamp. */
#define LKI_WORD_COMMIT ((uint64_t)1 << 63)

/* A value may have a lock; a lock alone has no item; a tombstone has neither, and keeps the last version. */
enum lki_record_kind { LKI_VALUE, LKI_TOMBSTONE, LKI_LOCK };

/* The last two are the bytes that they put before the data. */
enum {
    LKI_FLAG_BORROWED = 1, /* job: the source is that of the record that this one is to replace */
    LKI_FLAG_INLINE = 2,   /* lies in its cell */
    LKI_FLAG_JOB = 4,      /* begins a lki_job: the bytes are those of `source` */
    LKI_FLAG_EXPIRES = 8,  /* an expiry; not of a job */
    LKI_FLAG_LOCKED = 16   /* a lki_lock; of a job: behind its state */
};
#define LKI_FLAGS_BEFORE_DATA (LKI_FLAG_EXPIRES | LKI_FLAG_LOCKED)

/* A user's lock. */
typedef struct lki_lock {
    uint64_t version;
    int64_t expires_at_ms; /* INT64_MAX: never */
} lki_lock;

struct lki_record {
    uintptr_t
        prev; /* [const] the record that was effective when this one was installed, or LKI_EMPTY */
    _Atomic(uint64_t) word; /* [P2] */
    union {
        uint32_t size;         /* value: bytes of data; [const] */
        _Atomic(uint32_t) tag; /* [P5] tombstone: when it may be buried, see store/removal.c */
    };
    uint8_t flags; /* [const] */
    uint8_t kind;  /* [const] */
    union {
        uint64_t version;      /* tombstones: of the last lock, or 0; [const] */
        lki_record *source;    /* jobs: a value that is none; [const] */
        int64_t expires_at_ms; /* values with LKI_FLAG_EXPIRES; [const] */
        unsigned char data[1]; /* as many: expiry and lock, where there are, and data; [const] */
    };
};
enum { LKI_RECORD_HEADER = 24 };
_Static_assert(sizeof(struct lki_record) == LKI_RECORD_HEADER + 8, "a tombstone is 32 bytes");
_Static_assert(LKI_FLAG_EXPIRES == sizeof(int64_t) && LKI_FLAG_LOCKED == sizeof(lki_lock),
               "flags are sizes");

enum lki_phase {
    LKI_NO_JOB = 0,
    LKI_FRONT = 1,   /* plain: visible, never received, found by the frontier */
    LKI_WAITING = 2, /* visible once `time` has passed; plain: 0: has its ready entry */
    LKI_CLAIMED = 3, /* visible again once `time` has passed */
    LKI_PASSED = 4,  /* plain: reserved, the producer was late */
    LKI_HEADED = 5,  /* plain: look at the item's head */
    LKI_DONE = 6,    /* plain: gone; carries its stamp */
    LKI_LAPSED = 7   /* plain: was CLAIMED until `time`; visible, and has its ready entry */
};

/* The state of a job. `identity` comes once for each key: the word of a plain job (odd), a version
 * << 1 of a headed one. */
typedef struct lki_state {
    uint64_t identity, token, time;
    uint32_t receives;
    enum lki_phase phase; /* NO_JOB, FRONT, WAITING, CLAIMED or LAPSED */
} lki_state;

/* A record on an item's head that says that the item is a job, and in which state. */
typedef struct lki_job {
    lki_record record;
    lki_state state; /* [const] */
} lki_job;

enum {
    LKI_CELL_PENDING = 1, /* a ticket for this cell is under way */
    LKI_CELL_ROOM = 2,    /* the record inside the cell is free to be used */
    LKI_CELL_GONE = 4,
    /* the cell was disposed of while its inner record was not: that one frees the cell */
    LKI_CELL_LANE = 8, /* [const] lies in a slot of a lane, neither in the set nor in the index */
    LKI_CELL_SLAB = 16 /* [const] and its memory, with the record inside, is the segment's */
};

struct lki_cell {
    uint32_t hash;             /* [const] half of the key's hash: lki_half_of */
    uint16_t pk_size, sk_size; /* [const] */
    lki_head item;             /* [P1] */
    _Atomic(uint32_t) flags;   /* [P6] */
    uint32_t room; /* [const] bytes behind the header of the record inside; 0: none inside */
    /* pk, sk, padding to 8, record if room */
    unsigned char bytes[];
};
enum { LKI_CELL_HEADER = 24 };
_Static_assert(sizeof(struct lki_cell) == LKI_CELL_HEADER, "keys begin behind three words");

/* Both in one load: 0 but for the flags, of a value. */
LKI_INLINE uint32_t
lki_record_shape(const lki_record *record)
{
    return (uint32_t)record->flags | (uint32_t)record->kind << 8;
}

/* These two never change. */
LKI_INLINE bool
lki_cell_is_in_lane(const lki_cell *cell)
{
    return (lki_load_relaxed(&cell->flags) & LKI_CELL_LANE) != 0;
}

LKI_INLINE bool
lki_cell_is_in_slab(const lki_cell *cell)
{
    return (lki_load_relaxed(&cell->flags) & LKI_CELL_SLAB) != 0;
}

LKI_INLINE const unsigned char *
lki_cell_sk(const lki_cell *cell)
{
    return cell->bytes + cell->pk_size;
}

LKI_INLINE lki_record *
lki_cell_record(lki_cell *cell)
{
    size_t keys = ((size_t)cell->pk_size + cell->sk_size + 7) & ~(size_t)7;
    return (lki_record *)(void *)(cell->bytes + keys);
}

LKI_INLINE size_t
lki_cell_size(const lki_cell *cell)
{
    size_t keys = ((size_t)cell->pk_size + cell->sk_size + 7) & ~(size_t)7;
    return LKI_CELL_HEADER + keys + (cell->room != 0 ? LKI_RECORD_HEADER + (size_t)cell->room : 0);
}

/* Bytes behind the header. */
LKI_INLINE size_t
lki_record_payload(const lki_record *record)
{
    size_t before = record->flags & LKI_FLAGS_BEFORE_DATA;
    if (record->kind == LKI_TOMBSTONE)
        return sizeof record->version;
    if (LKI_UNLIKELY((record->flags & LKI_FLAG_JOB) != 0))
        return sizeof(lki_job) - LKI_RECORD_HEADER + before;
    return before + (record->kind == LKI_VALUE ? record->size : 0);
}

LKI_INLINE size_t
lki_record_size(const lki_record *record)
{
    return LKI_RECORD_HEADER + lki_record_payload(record);
}

/* NULL: there is none. */
LKI_INLINE lki_lock *
lki_record_lock(lki_record *record)
{
    if (LKI_LIKELY((record->flags & LKI_FLAG_LOCKED) == 0))
        return NULL;
    size_t at = LKI_UNLIKELY((record->flags & LKI_FLAG_JOB) != 0)
                    ? sizeof(lki_job) - LKI_RECORD_HEADER
                    : record->flags & LKI_FLAG_EXPIRES;
    return (lki_lock *)(void *)(record->data + at);
}

/* Of the lock that is there, or was last; 0: there never was one, or the floor knows. */
LKI_INLINE uint64_t
lki_record_version(lki_record *record)
{
    const lki_lock *lock = lki_record_lock(record);
    return lock != NULL ? lock->version : record->kind == LKI_TOMBSTONE ? record->version : 0;
}

LKI_INLINE bool
lki_record_is_job(const lki_record *record)
{
    return record != NULL && (record->flags & LKI_FLAG_JOB) != 0;
}

/* Of a record that is a job. */
LKI_INLINE const lki_state *
lki_record_state(const lki_record *record)
{
    return &((const lki_job *)(const void *)record)->state;
}

/* The value that holds the bytes. */
LKI_INLINE lki_record *
lki_record_value(lki_record *record)
{
    return LKI_UNLIKELY((record->flags & LKI_FLAG_JOB) != 0) ? record->source : record;
}

LKI_INLINE const unsigned char *
lki_record_data(const lki_record *record)
{
    if (LKI_UNLIKELY((record->flags & LKI_FLAG_JOB) != 0))
        record = record->source;
    return record->data + (record->flags & LKI_FLAGS_BEFORE_DATA);
}

/* Of a value; 0: never. */
LKI_INLINE int64_t
lki_record_expires(const lki_record *record)
{
    if (LKI_UNLIKELY((record->flags & LKI_FLAG_JOB) != 0))
        record = record->source;
    return (record->flags & LKI_FLAG_EXPIRES) != 0 ? record->expires_at_ms : 0;
}

#endif
