/* SPDX-License-Identifier: MIT
 *
 * bound: what the machine gives a table of this kind that promises nothing else. A key's hash names
 * one line with seven tags and seven pointers; a tag that fits leads to the item, key and value in
 * one block. So a get costs two misses that no table with keys of any size can do without. A read
 * is inside an epoch section; a write makes a new item and swaps the pointer. No versions, no
 * expiry, no order, no growth: the table is made for what it will be loaded with, and for as much
 * again.
 *
 * Invariants
 *   I1 tag i of a line is 0 while pointer i is NULL, and follows the pointer; neither is taken
 * back.
 *   I2 an item lies in its own line, or in one behind it with only full lines in between.
 */
#include "contenders/parts/ck_items.h"
#include "driver/loops.h"

#define BOUND_SLOTS 7
#define BOUND_POLL_EVERY 32    /* items retired */
#define BOUND_ITEMS_PER_LINE 4 /* when loaded, at most */
#define BYTES_ONE UINT64_C(0x0101010101010101)
#define BYTES_HIGH UINT64_C(0x8080808080808080)

struct bound_item {
    ck_epoch_entry_t retired;
    struct item item;
};

struct bound_line {
    _Alignas(64) uint64_t tags; /* a byte each; the highest one stays 0 */
    struct bound_item *items[BOUND_SLOTS];
};

struct bound_store {
    _Alignas(BENCH_LINE) struct bound_line *lines;
    size_t mask;
    ck_epoch_t epoch;
    _Alignas(BENCH_LINE) ck_spinlock_t latch; /* of those who bring new keys */
};

struct bound_client {
    struct ck_session session;
    ck_stack_t free_items; /* after their grace period */
    struct bound_store *store;
    struct copies copies;
};

static void *
bound_open(void)
{
    struct bound_store *store = aligned_alloc(BENCH_LINE, sizeof *store);
    size_t count = 2;

    if (store == NULL)
        return NULL;
    while (count * BOUND_ITEMS_PER_LINE < bench_expected.items)
        count *= 2;
    store->lines = aligned_alloc(BENCH_LINE, count * sizeof *store->lines);
    if (store->lines == NULL) {
        free(store);
        return NULL;
    }
    memset(store->lines, 0, count * sizeof *store->lines);
    store->mask = count - 1;
    ck_epoch_init(&store->epoch);
    ck_spinlock_init(&store->latch);
    return store;
}

static void
bound_close(void *handle)
{
    struct bound_store *store = handle;

    for (size_t i = 0; i <= store->mask; i++)
        for (size_t j = 0; j < BOUND_SLOTS; j++)
            free(store->lines[i].items[j]);
    ck_sessions_free(&store->epoch);
    free(store->lines);
    free(store);
}

static void *
bound_attach(void *store)
{
    struct bound_client *client = COPIES_CLIENT(client);

    if (client == NULL)
        return NULL;
    client->store = store;
    ck_stack_init(&client->free_items);
    if (ck_session_open(&client->session, &client->store->epoch))
        return client;
    free(client);
    return NULL;
}

static void
item_destroy(ck_epoch_entry_t *entry)
{
    free(entry);
}

/* Frees so many at most: the allocator's cache of a thread takes them one by one. */
BENCH_INLINE void
items_free(struct bound_client *client, size_t most)
{
    ck_stack_entry_t *entry;

    while (most-- > 0 && (entry = ck_stack_pop_npsc(&client->free_items)) != NULL)
        item_destroy((void *)((char *)entry - offsetof(ck_epoch_entry_t, stack_entry)));
}

static void
bound_detach(void *handle)
{
    struct bound_client *client = handle;

    items_free(client, SIZE_MAX);
    ck_session_close(&client->session);
    free(client);
}

/* ---- finding --------------------------------------------------------------------------------- */

/* Two words at a time, multiplied to 128 bits and folded: wyhash (Wang Yi), for pairs of 16 bytes;
 * other keys take the long way. */
BENCH_INLINE uint64_t
bound_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

BENCH_INLINE uint64_t
bound_hash(const lk_key *key)
{
    uint64_t pk[2], sk[2];

    if (key->pk.size != sizeof pk || key->sk.size != sizeof sk)
        return item_hash(key);
    memcpy(pk, key->pk.data, sizeof pk);
    memcpy(sk, key->sk.data, sizeof sk);
    uint64_t left =
        bound_fold(pk[0] ^ UINT64_C(0x2d358dccaa6c78a5), pk[1] ^ UINT64_C(0x8bb84b93962eacc9));
    uint64_t right =
        bound_fold(sk[0] ^ UINT64_C(0x4b33a62ed433d4a3), sk[1] ^ UINT64_C(0x4d5a2da51de1aa47));
    return bound_fold(left ^ UINT64_C(0xa0761d6478bd642f), right ^ UINT64_C(0xe7037ed1a0b428db));
}

/* Far from the 0 of a free slot. */
BENCH_INLINE uint64_t
bound_tag(uint64_t hash)
{
    return hash >> 57 | 0x80;
}

/* The highest bit of each byte that may be the tag. Above a match a tag that differs in its lowest
 * bit alone may be among them: the key tells. */
BENCH_INLINE uint64_t
tags_match(uint64_t tags, uint64_t tag)
{
    uint64_t different = tags ^ tag * BYTES_ONE;

    return (different - BYTES_ONE) & ~different & BYTES_HIGH & ~(UINT64_C(0xff) << 56);
}

BENCH_INLINE bool
line_is_full(uint64_t tags)
{
    return tags >> 48 != 0;
}

BENCH_INLINE bool
bytes_are(const char *stored, const char *wanted, size_t size)
{
    uint64_t a[2], b[2];

    if (size != sizeof a)
        return memcmp(stored, wanted, size) == 0;
    memcpy(a, stored, sizeof a);
    memcpy(b, wanted, sizeof b);
    return ((a[0] ^ b[0]) | (a[1] ^ b[1])) == 0;
}

BENCH_INLINE bool
bound_item_is(const struct item *item, const lk_key *key)
{
    return item->pk_size == key->pk.size && item->sk_size == key->sk.size &&
           bytes_are(item->bytes, key->pk.data, key->pk.size) &&
           bytes_are(item->bytes + key->pk.size, key->sk.data, key->sk.size);
}

/* Where the pointer to the key's item lies; NULL: it is not there. */
BENCH_INLINE struct bound_item **
slot_find_entered(struct bound_store *store, uint64_t hash, const lk_key *key,
                  struct bound_item **item)
{
    for (size_t i = hash;; i++) {
        struct bound_line *line = &store->lines[i & store->mask];
        uint64_t tags = __atomic_load_n(&line->tags, __ATOMIC_ACQUIRE);
        for (uint64_t m = tags_match(tags, bound_tag(hash)); m != 0; m &= m - 1) {
            struct bound_item **slot = &line->items[__builtin_ctzll(m) / 8];
            *item = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
            if (bound_item_is(&(*item)->item, key))
                return slot;
        }
        if (!line_is_full(tags))
            return NULL;
    }
}

/* Copies a value in steps of known width, so that no store waits for its address. */
BENCH_INLINE bool
value_copy_entered(struct bound_client *client, struct bound_item *item, size_t i, lk_bytes *value)
{
    const char *bytes = item_value(&item->item);

    if (item->item.value_size == 64)
        return copies_keep(&client->copies, i, bytes, 64, value);
    return copies_keep(&client->copies, i, bytes, item->item.value_size, value);
}

BENCH_INLINE bool
bound_get(void *handle, const lk_key *key, lk_bytes *value)
{
    struct bound_client *client = handle;
    struct bound_item *item;

    ck_session_enter(&client->session);
    bool found = slot_find_entered(client->store, bound_hash(key), key, &item) != NULL &&
                 value_copy_entered(client, item, 0, value);
    ck_session_leave(&client->session);
    return found;
}

/* Three passes, each of which brings to the cache what the next one reads. No snapshot. */
BENCH_INLINE bool
bound_get_many(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    struct bound_client *client = handle;
    struct bound_store *store = client->store;
    struct bound_item *item;
    uint64_t hashes[BENCH_GROUP];
    bool found = count <= BENCH_GROUP;

    ck_session_enter(&client->session);
    for (size_t i = 0; found && i < count; i++) {
        hashes[i] = bound_hash(&keys[i]);
        __builtin_prefetch(&store->lines[hashes[i] & store->mask]);
    }
    for (size_t i = 0; found && i < count; i++) {
        const struct bound_line *line = &store->lines[hashes[i] & store->mask];
        uint64_t tags = __atomic_load_n(&line->tags, __ATOMIC_ACQUIRE);
        uint64_t match = tags_match(tags, bound_tag(hashes[i]));
        if (match == 0)
            continue;
        const char *likely = (const char *)line->items[__builtin_ctzll(match) / 8];
        __builtin_prefetch(likely);
        __builtin_prefetch(likely + 64);
    }
    for (size_t i = 0; found && i < count; i++)
        found = slot_find_entered(store, hashes[i], &keys[i], &item) != NULL &&
                value_copy_entered(client, item, i, &values[i]);
    ck_session_leave(&client->session);
    return found;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Puts an item into the first free slot. False: the table is full. */
static bool
item_add_latched(struct bound_store *store, uint64_t hash, struct bound_item *item)
{
    for (size_t i = 0; i <= store->mask; i++) {
        struct bound_line *line = &store->lines[(hash + i) & store->mask];
        uint64_t tags = line->tags;
        size_t slot = 0;
        while (slot < BOUND_SLOTS && (tags >> 8 * slot & 0xff) != 0)
            slot++;
        if (slot == BOUND_SLOTS)
            continue;
        __atomic_store_n(&line->items[slot], item, __ATOMIC_RELEASE);
        __atomic_store_n(&line->tags, tags | bound_tag(hash) << 8 * slot, __ATOMIC_RELEASE);
        return true;
    }
    return false;
}

BENCH_INLINE void
item_replace_entered(struct bound_client *client, struct bound_item **slot, struct bound_item *item)
{
    struct bound_item *old = __atomic_exchange_n(slot, item, __ATOMIC_ACQ_REL);

    ck_session_retire(&client->session, &old->retired, item_destroy);
}

/* Outside of the section. */
BENCH_INLINE void
retired_collect(struct bound_client *client)
{
    items_free(client, 2);
    if (client->session.retired >= BOUND_POLL_EVERY) {
        client->session.retired = 0;
        ck_epoch_poll_deferred(client->session.record, &client->free_items);
    }
}

/* For a key that was not there a moment ago. */
static bool
item_insert_entered(struct bound_client *client, uint64_t hash, const lk_key *key,
                    struct bound_item *item)
{
    struct bound_store *store = client->store;
    struct bound_item *old = NULL;
    bool done = true;

    ck_spinlock_lock_eb(&store->latch);
    struct bound_item **slot = slot_find_entered(store, hash, key, &old);
    if (slot != NULL)
        item_replace_entered(client, slot, item);
    else
        done = item_add_latched(store, hash, item);
    ck_spinlock_unlock(&store->latch);
    return done;
}

BENCH_INLINE bool
bound_set(void *handle, const lk_item *put)
{
    struct bound_client *client = handle;
    struct bound_item *item = item_new(offsetof(struct bound_item, item), &put->key, put->data);
    struct bound_item *old;
    uint64_t hash = bound_hash(&put->key);
    bool done = true;

    if (item == NULL)
        return false;
    ck_session_enter(&client->session);
    struct bound_item **slot = slot_find_entered(client->store, hash, &put->key, &old);
    if (slot != NULL)
        item_replace_entered(client, slot, item);
    else
        done = item_insert_entered(client, hash, &put->key, item);
    ck_epoch_end(client->session.record, NULL);
    retired_collect(client);
    if (!done)
        free(item);
    return done;
}

BENCH_LOOPS(bound_loops, bound_get, bound_get_many, bound_set)

static const struct bench_contender contender_bound = {
    .name = "bound",
    .what = "the least that a get can cost: a line of tags, then the item; promises nothing",
    .order = 50,
    .open = bound_open,
    .close = bound_close,
    .attach = bound_attach,
    .detach = bound_detach,
    .get = bound_get,
    .get_many = bound_get_many,
    .set = bound_set,
    .loops = &bound_loops,
};
BENCH_CONTENDER(contender_bound)
