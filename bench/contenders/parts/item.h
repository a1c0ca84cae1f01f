/* SPDX-License-Identifier: MIT
 *
 * What the hand-written contenders share: an item with key and value in one block, and the copies
 * of values that a client returns. A contender puts what it hangs on an item in front of it, in a
 * struct whose last member is the item.
 */
#ifndef BENCH_ITEM_H
#define BENCH_ITEM_H

#include "driver/contender.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Eight bytes and pk, sk, value, so that a contender's own few words in front of it decide which
 * lines of the cache the value lies in. */
struct item {
    uint32_t value_size;
    uint16_t pk_size, sk_size;
    char bytes[];
};

static inline uint64_t
item_hash(const lk_key *key)
{
    return XXH3_64bits_withSeed(key->sk.data, key->sk.size,
                                XXH3_64bits(key->pk.data, key->pk.size));
}

/* Of an item with room for so many bytes of value, beside what lies in front of it. */
static inline size_t
item_size(const lk_key *key, size_t room)
{
    return sizeof(struct item) + key->pk.size + key->sk.size + room;
}

static inline char *
item_value(struct item *item)
{
    return item->bytes + item->pk_size + item->sk_size;
}

static inline void
item_write(struct item *item, lk_bytes value)
{
    memcpy(item_value(item), value.data, value.size);
    item->value_size = (uint32_t)value.size;
}

static inline void
item_init(struct item *item, const lk_key *key, lk_bytes value)
{
    item->pk_size = (uint16_t)key->pk.size;
    item->sk_size = (uint16_t)key->sk.size;
    memcpy(item->bytes, key->pk.data, key->pk.size);
    memcpy(item->bytes + key->pk.size, key->sk.data, key->sk.size);
    item_write(item, value);
}

/* Memory of `front` bytes, which are not filled, and an item behind them; NULL: there is none. */
static inline void *
item_new(size_t front, const lk_key *key, lk_bytes value)
{
    char *memory = malloc(front + item_size(key, value.size));

    if (memory != NULL)
        item_init((struct item *)(void *)(memory + front), key, value);
    return memory;
}

static inline bool
item_is(const struct item *item, const lk_key *key)
{
    return item->pk_size == key->pk.size && item->sk_size == key->sk.size &&
           memcmp(item->bytes, key->pk.data, key->pk.size) == 0 &&
           memcmp(item->bytes + key->pk.size, key->sk.data, key->sk.size) == 0;
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* Room for one value of each key of a group; the last member of a client. */
struct copies {
    size_t capacity; /* of each */
    char bytes[];
};

static inline size_t
copies_capacity(void)
{
    return bench_expected.value_size > 64 ? (bench_expected.value_size + 7) / 8 * 8 : 64;
}

/* A client of `size` bytes, zeroed, with room behind its copies; NULL: out of memory. */
#define COPIES_CLIENT(client) \
    copies_client(sizeof *(client), offsetof(__typeof__(*(client)), copies))
static inline void *
copies_client(size_t size, size_t offset)
{
    size += BENCH_GROUP * copies_capacity();
    char *client = aligned_alloc(BENCH_LINE, (size + BENCH_LINE - 1) / BENCH_LINE * BENCH_LINE);

    if (client == NULL)
        return NULL;
    memset(client, 0, size);
    ((struct copies *)(void *)(client + offset))->capacity = copies_capacity();
    return client;
}

/* Copies a value into the client's i-th place. False: it is too large. */
static inline __attribute__((always_inline)) bool
copies_keep(struct copies *copies, size_t i, const char *bytes, size_t size, lk_bytes *value)
{
    char *copy = copies->bytes + i * copies->capacity;

    if (size > copies->capacity)
        return false;
    memcpy(copy, bytes, size);
    *value = (lk_bytes){copy, size};
    return true;
}

#endif
