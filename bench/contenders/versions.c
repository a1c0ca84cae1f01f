/* SPDX-License-Identifier: MIT
 *
 * One plain ck_hs set whose items carry a version word: odd while somebody writes. Reads are those
 * of a sequence lock; a commit locks the words of its items in the order of their addresses, by
 * compare-and-swap from the version that it read. Values are written where they lie and keep their
 * capacity. Items are never removed, so that a client may keep pointers to them between its read
 * and its commit.
 */
#include "contenders/parts/ck_items.h"

struct versions_note {
    struct ck_item *item;
    uint64_t version;
};

struct versions_client {
    struct ck_member member;
    struct versions_note notes[BENCH_GROUP];
    struct copies copies; /* whole words */
};

static void *
versions_attach(void *store)
{
    struct versions_client *client = COPIES_CLIENT(client);

    return ck_member_open(client, store);
}

/* The words of a value start at the next multiple of eight behind the key. */
static uint64_t *
item_words(struct ck_item *item)
{
    return (uint64_t *)(((uintptr_t)item_value(&item->item) + 7) & ~(uintptr_t)7);
}

/* Copies a value that nobody wrote meanwhile; returns its version. */
static uint64_t
item_read(struct ck_item *item, uint64_t *buffer)
{
    const uint64_t *words = item_words(item);
    size_t count = (item->item.value_size + 7u) / 8;

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
    bool found = count <= BENCH_GROUP;

    ck_session_enter(&client->member.session);
    for (size_t i = 0; found && i < count; i++) {
        char *copy = client->copies.bytes + i * client->copies.capacity;
        struct ck_item *item = ck_item_find(client->member.store, item_hash(&keys[i]), &keys[i]);
        found = item != NULL && item->item.value_size <= client->copies.capacity;
        if (!found)
            break;
        client->notes[i].item = item;
        client->notes[i].version = item_read(item, (uint64_t *)(void *)copy);
        values[i] = (lk_bytes){copy, item->item.value_size};
    }
    ck_session_leave(&client->member.session);
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
    size_t order[BENCH_GROUP];
    size_t locked = 0;

    (void)keys;
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        if (values[i].size != client->notes[i].item->item.value_size)
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
    ck_session_enter(&client->member.session);
    struct ck_item *item = ck_item_find(client->member.store, hash, key);
    ck_session_leave(&client->member.session);
    return item;
}

static bool
item_insert(struct versions_client *client, uint64_t hash, const lk_item *put)
{
    struct ck_store *store = client->member.store;
    struct ck_item *item =
        malloc(offsetof(struct ck_item, item) + item_size(&put->key, put->data.size + 15));

    if (item == NULL)
        return false;
    item->hash = hash;
    item_init(&item->item, &put->key, put->data);
    item_write_locked(item, 0, put->data);
    ck_session_enter(&client->member.session);
    ck_spinlock_lock_eb(&store->latch);
    bool done = ck_hs_put(&store->set, hash, item);
    ck_spinlock_unlock(&store->latch);
    ck_session_leave(&client->member.session);
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
    uint64_t hash = item_hash(key);

    for (;;) {
        struct ck_item *item = item_find(client, hash, key);
        if (item == NULL) {
            if (item_insert(client, hash, put))
                return true;
            item = item_find(client, hash, key);
        }
        if (item == NULL || value.size != item->item.value_size)
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
    .open = ck_store_open,
    .close = ck_store_close,
    .attach = versions_attach,
    .detach = ck_member_close,
    .get = versions_get,
    .set = versions_set,
    .read = versions_read,
    .commit = versions_commit,
};
BENCH_CONTENDER(contender_versions)
