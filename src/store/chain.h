/* SPDX-License-Identifier: MIT
 *
 * Records: what a chain is made of. Layout and accessors, no more.
 *
 * A record says all of its key at an instant: the item, the job that it may be, the lock. It is
 * immutable once it was published, but for its word: the stamp of its instant, or the commit that
 * will tell. It lies apart, in a chunk of its own, or at home, inside its cell. What was effective
 * before it stands in front of a record apart; at home nothing does, as nobody needs it there
 * (head.c).
 */
#ifndef LKI_STORE_CHAIN_H
#define LKI_STORE_CHAIN_H

#include <string.h>

#include "base/atomic.h"
#include "base/check.h"

typedef struct lki_record lki_record;

/* What stands for a record where there is none. */
#define LKI_EMPTY ((uintptr_t)0)

/* A record's word: 0 not stamped yet; negative: lki_commit * | LKI_WORD_COMMIT; positive: the
 * stamp. */
#define LKI_WORD_COMMIT ((uint64_t)1 << 63)

/* A value may have a lock; a lock alone has no item; a tombstone has neither, and keeps the last
 * version. */
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
    _Atomic(uint64_t) word; /* [P2] */
    union {
        uint32_t size;         /* value: bytes of data; [const] */
        _Atomic(uint32_t) tag; /* [P5] tombstone: when it may be buried, see store/removal.c */
    };
    uint8_t flags;          /* [const] */
    uint8_t kind;           /* [const] */
    _Atomic(uint16_t) cell; /* [P6] of the one at home: flags of the cell, and its room */
    union {
        uint64_t version;      /* tombstones: of the last lock, or 0; [const] */
        lki_record *source;    /* jobs: a value that is none; [const] */
        int64_t expires_at_ms; /* values with LKI_FLAG_EXPIRES; [const] */
        unsigned char data[1]; /* as many: expiry and lock, where there are, and data; [const] */
    };
};
enum { LKI_RECORD_HEADER = 16, LKI_RECORD_BEFORE = sizeof(uintptr_t) };
_Static_assert(sizeof(struct lki_record) == LKI_RECORD_HEADER + 8, "a tombstone is 32 bytes");
_Static_assert(LKI_FLAG_EXPIRES == sizeof(int64_t) && LKI_FLAG_LOCKED == sizeof(lki_lock),
               "flags are sizes");

enum lki_phase {
    LKI_NO_JOB = 0,
    LKI_FRONT = 1,   /* plain: visible, never received, found by the head segment */
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

/* In front of a record apart: the record that was effective when this one was installed, or
 * LKI_EMPTY; [const]. The chunk begins there. */
LKI_INLINE uintptr_t *
lki_record_before(const lki_record *record)
{
    return (uintptr_t *)((uintptr_t)record - LKI_RECORD_BEFORE);
}

/* NULL also where nobody needs it. */
LKI_INLINE lki_record *
lki_record_prev(const lki_record *record)
{
    if ((record->flags & LKI_FLAG_INLINE) != 0)
        return NULL;
    return (lki_record *)*lki_record_before(record);
}

/* Before it is published. At home is only what comes over nothing, or comes home. */
LKI_INLINE void
lki_record_put_over(lki_record *record, const lki_record *over)
{
    LK_ASSERT(over == NULL || (record->flags & LKI_FLAG_INLINE) == 0);
    if (LKI_LIKELY((record->flags & LKI_FLAG_INLINE) == 0))
        *lki_record_before(record) = (uintptr_t)over;
}

/* Both in one load: 0 but for the flags, of a value. */
LKI_INLINE uint32_t
lki_record_shape(const lki_record *record)
{
    return (uint32_t)record->flags | (uint32_t)record->kind << 8;
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

/* Of the chunk of a record apart. */
LKI_INLINE size_t
lki_record_size(const lki_record *record)
{
    return LKI_RECORD_BEFORE + LKI_RECORD_HEADER + lki_record_payload(record);
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
