/* SPDX-License-Identifier: MIT
 *
 * One plain ck_hs set under an epoch: readers take no latch, writers a spinlock. The value lies in
 * the item; a write makes a new item and retires the old one.
 */
#include "contenders/parts/ck_items.h"
#include "driver/loops.h"

struct client {
    struct ck_member member;
    struct copies copies;
};

static void *
hs_attach(void *store)
{
    struct client *client = COPIES_CLIENT(client);

    return ck_member_open(client, store);
}

BENCH_INLINE bool
hs_get(void *handle, const lk_key *key, lk_bytes *value)
{
    struct client *client = handle;
    uint64_t hash = item_hash(key);

    ck_session_enter(&client->member.session);
    struct ck_item *found = ck_item_find(client->member.store, hash, key);
    bool kept = found != NULL && copies_keep(&client->copies, 0, item_value(&found->item),
                                             found->item.value_size, value);
    ck_session_leave(&client->member.session);
    return kept;
}

static void
item_destroy(ck_epoch_entry_t *entry)
{
    free((char *)entry - offsetof(struct ck_item, own.retired));
}

BENCH_INLINE bool
hs_set(void *handle, const lk_item *put)
{
    struct client *client = handle;
    struct ck_store *store = client->member.store;
    uint64_t hash = item_hash(&put->key);
    struct ck_item *item = item_new(offsetof(struct ck_item, item), &put->key, put->data);
    void *previous = NULL;

    if (item == NULL)
        return false;
    item->hash = hash;
    ck_session_enter(&client->member.session);
    ck_spinlock_lock_eb(&store->latch);
    bool done = ck_hs_set(&store->set, hash, item, &previous);
    ck_spinlock_unlock(&store->latch);
    if (done && previous != NULL)
        ck_session_retire(&client->member.session, &((struct ck_item *)previous)->own.retired,
                          item_destroy);
    ck_session_leave(&client->member.session);
    if (!done)
        free(item);
    return done;
}

static bool
hs_remove(void *handle, const lk_key *key)
{
    struct client *client = handle;
    struct ck_store *store = client->member.store;
    struct ck_probe probe = {item_hash(key), key};

    ck_session_enter(&client->member.session);
    ck_spinlock_lock_eb(&store->latch);
    struct ck_item *item = ck_hs_remove(&store->set, probe.hash, (const char *)&probe + 1);
    ck_spinlock_unlock(&store->latch);
    if (item != NULL)
        ck_session_retire(&client->member.session, &item->own.retired, item_destroy);
    ck_session_leave(&client->member.session);
    return item != NULL;
}

BENCH_LOOPS(hs_loops, hs_get, NULL, hs_set)

/* No get_many: a plain set has none, its users call get in a loop. */
static const struct bench_contender contender_ck_hs = {
    .name = "ck_hs",
    .what = "one plain ck_hs with an epoch, a spinlock for writers",
    .order = 20,
    .open = ck_store_open,
    .close = ck_store_close,
    .attach = hs_attach,
    .detach = ck_member_close,
    .get = hs_get,
    .set = hs_set,
    .remove = hs_remove,
    .loops = &hs_loops,
};
BENCH_CONTENDER(contender_ck_hs)
