/* SPDX-License-Identifier: MIT
 *
 * Keys as they lie in the file, and times as they lie in keys. row.h shows which database has which
 * keys. The order of keys is memcmp's, so numbers in keys are big endian, and the size of a pk
 * comes before it.
 */
#ifndef LKI_LMDB_KEY_H
#define LKI_LMDB_KEY_H

#include <lmdb.h>
#include <string.h>

#include <latchkey/adapter.h>

enum {
    LKI_LMDB_FRAME = 2, /* bytes of a pk's size */
    LKI_LMDB_TIME = 8,
    LKI_LMDB_KEY_MAX = 511, /* LMDB's */
    /* pk and sk together. The longest keys are those of expiry. */
    LKI_LMDB_NAMES_MAX = LKI_LMDB_KEY_MAX - LKI_LMDB_FRAME - LKI_LMDB_TIME - 1,
    /* A pk that leaves room for a generated sk. */
    LKI_LMDB_QUEUE_MAX = LKI_LMDB_NAMES_MAX - LK_ULID_SIZE
};

typedef struct lki_lmdb_key {
    size_t size;
    size_t pk_size;
    unsigned char bytes[LKI_LMDB_KEY_MAX + 1];
} lki_lmdb_key;

/* A key that would be longer than LMDB's is cut to one byte more than that. There is no such key in
 * the file, and LMDB refuses to write one (LK_TOO_BIG). So no size, of an argument or of a row,
 * leads beyond the buffer. */
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

/* The key of a queue in queues: its pk alone. */
static inline void
lki_lmdb_key_name(lki_lmdb_key *key, lk_bytes pk)
{
    key->size = key->pk_size = 0;
    lki_lmdb_key_append(key, pk.data, pk.size);
}

/* The frame of a partition: what all its keys begin with. */
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

/* The key of an item or a lock in expiry. */
static inline void
lki_lmdb_key_expiry(lki_lmdb_key *expiry, const lki_lmdb_key *key, int64_t time, unsigned char kind)
{
    expiry->size = expiry->pk_size = 0;
    lki_lmdb_key_append_time(expiry, time);
    lki_lmdb_key_append(expiry, &kind, 1);
    lki_lmdb_key_append(expiry, key->bytes, key->size);
}

/* Makes of a prefix, which begins with a frame, the least key behind all that begin with it. */
static inline void
lki_lmdb_key_behind(lki_lmdb_key *prefix)
{
    while (prefix->bytes[prefix->size - 1] == 0xff) /* a pk's size begins with less */
        prefix->size--;
    prefix->bytes[prefix->size - 1]++;
}

static inline lk_bytes
lki_lmdb_key_bytes(const lki_lmdb_key *key)
{
    return (lk_bytes){key->bytes, key->size};
}

static inline MDB_val
lki_lmdb_key_value(const lki_lmdb_key *key)
{
    return (MDB_val){key->size, (void *)(uintptr_t)key->bytes};
}

/* Reads a key from the file that is to be one of items. False: it cannot be. A key that can be may
 * be joined with a time and a kind. */
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

/* May the key be one of items? */
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

#endif
