/* SPDX-License-Identifier: MIT
 *
 * Keys and rows as they lie in the file. The order of keys is memcmp's, so numbers in keys are big
 * endian; rows are copied in and out as they are in memory (a file of LMDB does not move between
 * machines of other byte orders or word sizes anyway).
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

#include <lmdb.h>
#include <string.h>

#include <latchkey/adapter.h>

enum {
    LKI_LMDB_FORMAT = 1,
    LKI_LMDB_FRAME = 2,
    LKI_LMDB_TIME = 8,
    LKI_LMDB_KEY_MAX = 511, /* LMDB's */
    /* The longest keys are those of expiry. */
    LKI_LMDB_NAMES_MAX = LKI_LMDB_KEY_MAX - LKI_LMDB_FRAME - LKI_LMDB_TIME - 1,
    /* A pk that leaves room for a generated sk. */
    LKI_LMDB_QUEUE_MAX = LKI_LMDB_NAMES_MAX - LK_ULID_SIZE,
    LKI_LMDB_ITEM_HEADER = 9,
    LKI_LMDB_ITEM_IS_JOB = 1, /* in flags: there is a row in jobs */
    LKI_LMDB_OF_ITEM = 0,     /* kinds in expiry */
    LKI_LMDB_OF_LOCK = 1
};

typedef struct lki_lmdb_key {
    size_t size;
    size_t pk_size;
    unsigned char bytes[LKI_LMDB_KEY_MAX + 1];
} lki_lmdb_key;

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

/* ---- keys ---- */

/* A key that would be longer than LMDB's is cut to one byte more than that. There is no such key in
 * the file, and LMDB refuses to write one (LK_TOO_BIG). So no sizes, of arguments or of rows, lead
 * beyond the buffer. */
static inline void
lki_lmdb_key_append(lki_lmdb_key *key, const void *bytes, size_t size)
{
    size_t room = sizeof key->bytes - key->size;
    size = size < room ? size : room;
    if (size != 0)
        memcpy(key->bytes + key->size, bytes, size);
    key->size += size;
}

static inline void
lki_lmdb_key_append_time(lki_lmdb_key *key, int64_t time)
{
    if (key->size + LKI_LMDB_TIME > sizeof key->bytes) {
        key->size = sizeof key->bytes;
        return;
    }
    uint64_t value = (uint64_t)time ^ (uint64_t)1 << 63; /* negative ones come first */
    for (int i = 7; i >= 0; i--, value >>= 8)
        key->bytes[key->size + (size_t)i] = (unsigned char)value;
    key->size += LKI_LMDB_TIME;
}

static inline int64_t
lki_lmdb_time_read(const unsigned char *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < LKI_LMDB_TIME; i++)
        value = value << 8 | bytes[i];
    return (int64_t)(value ^ (uint64_t)1 << 63);
}

/* What all keys of a partition begin with. */
static inline void
lki_lmdb_key_frame(lki_lmdb_key *key, lk_bytes pk)
{
    key->bytes[0] = (unsigned char)(pk.size >> 8);
    key->bytes[1] = (unsigned char)pk.size;
    key->size = LKI_LMDB_FRAME;
    lki_lmdb_key_append(key, pk.data, pk.size);
    key->pk_size = key->size - LKI_LMDB_FRAME;
}

static inline void
lki_lmdb_key_make(lki_lmdb_key *key, lk_key of)
{
    lki_lmdb_key_frame(key, of.pk);
    lki_lmdb_key_append(key, of.sk.data, of.sk.size);
}

static inline lk_bytes
lki_lmdb_key_pk(const lki_lmdb_key *key)
{
    return (lk_bytes){key->bytes + LKI_LMDB_FRAME, key->pk_size};
}

static inline lk_bytes
lki_lmdb_key_sk(const lki_lmdb_key *key)
{
    size_t front = LKI_LMDB_FRAME + key->pk_size;
    return (lk_bytes){key->bytes + front, key->size - front};
}

static inline lk_key
lki_lmdb_key_names(const lki_lmdb_key *key)
{
    return (lk_key){lki_lmdb_key_pk(key), lki_lmdb_key_sk(key)};
}

/* The key of a job in due. */
static inline void
lki_lmdb_key_due(lki_lmdb_key *due, const lki_lmdb_key *key, int64_t time)
{
    lk_bytes sk = lki_lmdb_key_sk(key);
    lki_lmdb_key_frame(due, lki_lmdb_key_pk(key));
    lki_lmdb_key_append_time(due, time);
    lki_lmdb_key_append(due, sk.data, sk.size);
}

static inline void
lki_lmdb_key_expiry(lki_lmdb_key *expiry, const lki_lmdb_key *key, int64_t time, unsigned char kind)
{
    expiry->size = expiry->pk_size = 0;
    lki_lmdb_key_append_time(expiry, time);
    lki_lmdb_key_append(expiry, &kind, 1);
    lki_lmdb_key_append(expiry, key->bytes, key->size);
}

static inline MDB_val
lki_lmdb_key_value(const lki_lmdb_key *key)
{
    return (MDB_val){key->size, (void *)(uintptr_t)key->bytes};
}

/* A key as in items, from the file. False: it is none. One that is may be joined with a time and a
 * kind. */
static inline bool
lki_lmdb_key_read(lki_lmdb_key *key, const void *bytes, size_t size)
{
    if (size < LKI_LMDB_FRAME || size > LKI_LMDB_FRAME + LKI_LMDB_NAMES_MAX)
        return false;
    memcpy(key->bytes, bytes, size);
    key->size = size;
    key->pk_size = (size_t)key->bytes[0] << 8 | key->bytes[1];
    return key->pk_size != 0 && key->pk_size + LKI_LMDB_FRAME <= size;
}

static inline bool
lki_lmdb_key_fits(const lki_lmdb_key *key)
{
    return key->size <= LKI_LMDB_FRAME + LKI_LMDB_NAMES_MAX;
}

static inline bool
lki_lmdb_begins_with(const MDB_val *value, const lki_lmdb_key *prefix)
{
    return value->mv_size >= prefix->size &&
           memcmp(value->mv_data, prefix->bytes, prefix->size) == 0;
}

/* ---- times ---- */

/* Clocks are anybody's, and times in the file are not trusted: sums and differences end where the
 * numbers do. */
static inline int64_t
lki_lmdb_after(int64_t time, int64_t ms)
{
    int64_t sum;
    if (__builtin_add_overflow(time, ms, &sum))
        return ms > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

static inline int64_t
lki_lmdb_span(int64_t from, int64_t to)
{
    int64_t span;
    if (__builtin_sub_overflow(to, from, &span))
        return to > from ? INT64_MAX : INT64_MIN;
    return span;
}

#endif
