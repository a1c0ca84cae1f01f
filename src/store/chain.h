/* SPDX-License-Identifier: MIT
 *
 * Records: the layout of a record, and its accessors. Records of one key form a chain, the newest
 * on the head of the key's cell.
 *
 * A record says all about its key at one instant: the item, the job that it may be, the lock. It is
 * immutable once it is published, except for its word: 0, then the stamp of its instant, or the
 * commit that will give one. A record lies inside its cell (an *inline record*) or apart, in a
 * chunk of its own. A record apart is preceded in memory by a pointer to the record that was
 * effective before it. An inline record has none, as nobody needs an older one (head.c).
 */
#ifndef LKI_STORE_CHAIN_H
#define LKI_STORE_CHAIN_H

#include <string.h>

#include "base/atomic.h"
#include "base/check.h"

typedef struct lki_record lki_record;

/* Stands for "no record". */
#define LKI_EMPTY ((uintptr_t)0)

/* A record's word: 0: not stamped yet; negative: lki_commit * | LKI_WORD_COMMIT; positive: the
 * stamp. */
#define LKI_WORD_COMMIT ((uint64_t)1 << 63)

/* Kinds of records. A value may have a lock; a lock alone has no item; a tombstone has neither, and
 * keeps the last version. */
enum lki_record_kind { LKI_VALUE, LKI_TOMBSTONE, LKI_LOCK };

/* Flags of a record. The values of the last two are the number of bytes that they put before the
 * data. */
enum {
    LKI_FLAG_BORROWED = 1, /* job: the source belongs to the record that this one replaces */
    LKI_FLAG_INLINE = 2,   /* an inline record */
    LKI_FLAG_JOB = 4,      /* begins a lki_job: the bytes are in `source` */
    LKI_FLAG_EXPIRES = 8,  /* has an expiry; not for a job */
    LKI_FLAG_LOCKED = 16   /* has a lki_lock; in a job behind its state */
};
#define LKI_FLAGS_BEFORE_DATA (LKI_FLAG_EXPIRES | LKI_FLAG_LOCKED)

/* A user's lock. */
typedef struct lki_lock {
    uint64_t version;
    int64_t expires_at_ms; /* INT64_MAX: never */
} lki_lock;

struct lki_record {
    _Atomic(uint64_t) word; /* [P2] */
    union {
        uint32_t size;         /* [const] value: bytes of data */
        _Atomic(uint32_t) tag; /* [P5] tombstone: when it may be buried, see store/removal.c */
    };
    uint8_t flags;          /* [const] */
    uint8_t kind;           /* [const] */
    _Atomic(uint16_t) cell; /* [P6] inline record: flags of the cell, and its room */
    union {
        uint64_t version;      /* [const] tombstone: of the last lock, or 0 */
        lki_record *source;    /* [const] job: the value that holds the bytes */
        int64_t expires_at_ms; /* [const] value with LKI_FLAG_EXPIRES */
        unsigned char data[1]; /* [const] expiry and lock, if any, then the data */
    };
};
enum { LKI_RECORD_HEADER = 16, LKI_RECORD_BEFORE = sizeof(uintptr_t) };
_Static_assert(sizeof(struct lki_record) == LKI_RECORD_HEADER + 8, "a tombstone is 32 bytes");
_Static_assert(LKI_FLAG_EXPIRES == sizeof(int64_t) && LKI_FLAG_LOCKED == sizeof(lki_lock),
               "flags are sizes");

enum lki_phase {
    LKI_NO_JOB = 0,
    LKI_FRONT = 1,     /* slot word: visible, never received, found by the head segment */
    LKI_WAITING = 2,   /* visible once `time` has passed; slot word, time 0: has its ready entry */
    LKI_CLAIMED = 3,   /* visible again once `time` has passed */
    LKI_PASSED = 4,    /* slot word: reserved, the producer was late */
    LKI_IN_RECORD = 5, /* slot word: the state is on the item's head (record job) */
    LKI_DONE = 6,      /* slot word: the job is removed; carries its stamp */
    LKI_LAPSED = 7     /* slot word: was CLAIMED until `time`; has its ready entry */
};

/* The state of a job. An `identity` comes once for each key: the slot word of a plain job (odd), or
 * a version << 1 of a record job. */
typedef struct lki_state {
    uint64_t identity, token, time;
    uint32_t receives;
    enum lki_phase phase; /* NO_JOB, FRONT, WAITING, CLAIMED or LAPSED */
} lki_state;

/* A job record: a record on an item's head that says that the item is a job, and in which state. */
typedef struct lki_job {
    lki_record record;
    lki_state state; /* [const] */
} lki_job;

/* [const] Before a record apart: the record that was effective when this one was installed, or
 * LKI_EMPTY. The chunk begins there. */
LKI_INLINE uintptr_t *
lki_record_before(const lki_record *record)
{
    return (uintptr_t *)((uintptr_t)record - LKI_RECORD_BEFORE);
}

/* The record before; NULL also if nobody needs it. */
LKI_INLINE lki_record *
lki_record_prev(const lki_record *record)
{
    if ((record->flags & LKI_FLAG_INLINE) != 0)
        return NULL;
    return (lki_record *)*lki_record_before(record);
}

/* Sets the record before, of a record that is not published yet. An inline record has none. */
LKI_INLINE void
lki_record_put_over(lki_record *record, const lki_record *over)
{
    LK_ASSERT(over == NULL || (record->flags & LKI_FLAG_INLINE) == 0);
    if (LKI_LIKELY((record->flags & LKI_FLAG_INLINE) == 0))
        *lki_record_before(record) = (uintptr_t)over;
}

/* Flags and kind in one load. A value without flags has 0. */
LKI_INLINE uint32_t
lki_record_shape(const lki_record *record)
{
    return (uint32_t)record->flags | (uint32_t)record->kind << 8;
}

/* Bytes after the header. */
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

/* Bytes of the chunk of a record apart. */
LKI_INLINE size_t
lki_record_size(const lki_record *record)
{
    return LKI_RECORD_BEFORE + LKI_RECORD_HEADER + lki_record_payload(record);
}

/* The lock of a record; NULL: none. */
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

/* The version of its lock, or of its last one; 0: it never had one, or the floor holds it. */
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

/* The state of a job record. */
LKI_INLINE const lki_state *
lki_record_state(const lki_record *record)
{
    return &((const lki_job *)(const void *)record)->state;
}

/* The value record that holds the bytes. */
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

/* The expiry of a value; 0: never. */
LKI_INLINE int64_t
lki_record_expires(const lki_record *record)
{
    if (LKI_UNLIKELY((record->flags & LKI_FLAG_JOB) != 0))
        record = record->source;
    return (record->flags & LKI_FLAG_EXPIRES) != 0 ? record->expires_at_ms : 0;
}

#endif
