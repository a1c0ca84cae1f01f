/* SPDX-License-Identifier: MIT
 *
 * One plain ck_hs set whose items carry a version word: odd while somebody writes. Reads are those
 * of a sequence lock; a commit locks the words of its items in the order of their addresses, by
 * compare-and-swap from the version that it read. Values are written where they lie and keep their
 * capacity. Items are never removed, so that a client may keep pointers to them between its read
 * and its commit.
 */
#include "contenders/parts/ck_items.h"

#define VERSIONS_KEYS_MAX BENCH_GROUP

struct versions_store {
    struct ck_shard shard;
    ck_epoch_t epoch;
};

struct versions_note {
    struct ck_item *item;
    uint64_t version;
};

struct versions_client {
    struct ck_session session;
    struct versions_store *store;
    struct versions_note notes[VERSIONS_KEYS_MAX];
    size_t words; /* of each buffer */
    uint64_t buffers[];
};

static void *
versions_open(void)
{
    struct versions_store *store = aligned_alloc(BENCH_LINE, sizeof *store);

    if (store == NULL)
        return NULL;
    ck_epoch_init(&store->epoch);
    return ck_shard_init(&store->shard) ? store : NULL;
}

static void
versions_item_free(struct ck_item *item)
{
    free(item);
}

static void
versions_close(void *handle)
{
    struct versions_store *store = handle;

    ck_shard_free(&store->shard, versions_item_free);
    ck_sessions_free(&store->epoch);
    free(store);
}

static void *
versions_attach(void *store)
{
    size_t size = bench_options.value_size > 64 ? bench_options.value_size : 64;
    size_t words = (size + 7) / 8;
    struct versions_client *client =
        malloc(sizeof *client + VERSIONS_KEYS_MAX * words * sizeof(uint64_t));

    if (client == NULL)
        return NULL;
    client->store = store;
    client->words = words;
    if (!ck_session_open(&client->session, &client->store->epoch)) {
        free(client);
        return NULL;
    }
    return client;
}

static void
versions_detach(void *handle)
{
    struct versions_client *client = handle;

    ck_session_close(&client->session);
    free(client);
}

/* The words of a value start at the next multiple of eight behind the key. */
static uint64_t *
item_words(struct ck_item *item)
{
    size_t offset = ((size_t)item->pk_size + item->sk_size + 7) / 8 * 8;

    return (uint64_t *)(void *)(item->bytes + offset);
}

/* Copies a value that nobody wrote meanwhile; returns its version. */
static uint64_t
item_read(struct ck_item *item, uint64_t *buffer)
{
    const uint64_t *words = item_words(item);
    size_t count = (item->value_size + 7u) / 8;

    for (;;) {
        uint64_t version = __atomic_load_n(&item->own.version, __ATOMIC_ACQUIRE);
        if ((version & 1) == 0) {
            for (size_t i = 0; i < count; i++)
                buffer[i] = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
            __atomic_thread_fence(__ATOMIC_ACQUIRE);
            if (__atomic_load_n(&item->own.version, __ATOMIC_RELAXED) == version)
                return version;
        }
        ck_pr_stall();
    }
}

static bool
item_try_lock(struct ck_item *item, uint64_t version)
{
    return __atomic_compare_exchange_n(&item->own.version, &version, version | 1, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Writes a locked item and unlocks it under the next version. */
static void
item_write_locked(struct ck_item *item, uint64_t version, lk_bytes value)
{
    uint64_t *words = item_words(item);

    /* The odd version before the words: a reader that saw a new word sees it too when it looks
     * again. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (size_t i = 0; i * 8 < value.size; i++) {
        uint64_t word = 0;
        size_t rest = value.size - i * 8;
        memcpy(&word, (const char *)value.data + i * 8, rest < 8 ? rest : 8);
        __atomic_store_n(&words[i], word, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&item->own.version, version + 2, __ATOMIC_RELEASE);
}

static bool
versions_read(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    struct versions_client *client = handle;
    bool found = count <= VERSIONS_KEYS_MAX;

    ck_session_enter(&client->session);
    for (size_t i = 0; found && i < count; i++) {
        uint64_t *buffer = client->buffers + i * client->words;
        struct ck_item *item =
            ck_shard_find(&client->store->shard, ck_item_hash(&keys[i]), &keys[i]);
        found = item != NULL && item->value_size <= client->words * 8;
        if (!found)
            break;
        client->notes[i].item = item;
        client->notes[i].version = item_read(item, buffer);
        values[i].data = buffer;
        values[i].size = item->value_size;
    }
    ck_session_leave(&client->session);
    return found;
}

static bool
versions_get(void *handle, const lk_key *key, lk_bytes *value)
{
    return versions_read(handle, key, 1, value);
}

static enum bench_commit
versions_commit(void *handle, const lk_key *keys, size_t count, const lk_bytes *values)
{
    struct versions_client *client = handle;
    size_t order[VERSIONS_KEYS_MAX];
    size_t locked = 0;

    (void)keys;
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        if (values[i].size != client->notes[i].item->value_size)
            return BENCH_FAILED;
        for (; at > 0 && client->notes[order[at - 1]].item > client->notes[i].item; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    while (locked < count) {
        const struct versions_note *note = &client->notes[order[locked]];
        if (!item_try_lock(note->item, note->version))
            break;
        locked++;
    }
    if (locked < count) {
        while (locked-- > 0) {
            const struct versions_note *note = &client->notes[order[locked]];
            __atomic_store_n(&note->item->own.version, note->version, __ATOMIC_RELEASE);
        }
        return BENCH_RACED;
    }
    for (size_t i = 0; i < count; i++)
        item_write_locked(client->notes[i].item, client->notes[i].version, values[i]);
    return BENCH_COMMITTED;
}

static struct ck_item *
item_find(struct versions_client *client, uint64_t hash, const lk_key *key)
{
    ck_session_enter(&client->session);
    struct ck_item *item = ck_shard_find(&client->store->shard, hash, key);
    ck_session_leave(&client->session);
    return item;
}

static bool
item_insert(struct versions_client *client, uint64_t hash, const lk_key *key, lk_bytes value)
{
    struct ck_shard *shard = &client->store->shard;
    struct ck_item *item = ck_item_new(hash, key, value.size + 15);

    if (item == NULL)
        return false;
    item->value_size = (uint32_t)value.size;
    item_write_locked(item, 0, value);
    ck_session_enter(&client->session);
    ck_spinlock_lock_eb(&shard->latch);
    bool done = ck_hs_put(&shard->set, hash, item);
    ck_spinlock_unlock(&shard->latch);
    ck_session_leave(&client->session);
    if (!done)
        free(item);
    return done;
}

static bool
versions_set(void *handle, const lk_item *put)
{
    const lk_key *key = &put->key;
    lk_bytes value = put->data;
    struct versions_client *client = handle;
    uint64_t hash = ck_item_hash(key);

    for (;;) {
        struct ck_item *item = item_find(client, hash, key);
        if (item == NULL) {
            if (item_insert(client, hash, key, value))
                return true;
            item = item_find(client, hash, key);
        }
        if (item == NULL || value.size != item->value_size)
            return false;
        uint64_t version = __atomic_load_n(&item->own.version, __ATOMIC_RELAXED);
        if ((version & 1) == 0 && item_try_lock(item, version)) {
            item_write_locked(item, version, value);
            return true;
        }
        ck_pr_stall();
    }
}

static const struct bench_contender contender_versions = {
    .name = "versions",
    .what = "one plain ck_hs with version words; commits lock them in order",
    .order = 22,
    .open = versions_open,
    .close = versions_close,
    .attach = versions_attach,
    .detach = versions_detach,
    .get = versions_get,
    .set = versions_set,
    .read = versions_read,
    .commit = versions_commit,
};
BENCH_CONTENDER(contender_versions)
