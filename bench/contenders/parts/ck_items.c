/* SPDX-License-Identifier: MIT
 *
 * Sets of items and epoch records for the contenders on Concurrency Kit.
 */
#include "contenders/parts/ck_items.h"

#include <pthread.h>

#define SHARD_INITIAL_ITEMS 64

/* In front of every block that a set allocates, so that it can be retired. A line, so that
 * alignment stays. */
struct set_block {
    _Alignas(64) ck_epoch_entry_t retired;
};

/* The session that retires the map which a set outgrew: ck_hs hands its allocator no context. */
static _Thread_local struct ck_session *session_current;

static void *
set_allocate(size_t size)
{
    struct set_block *block = aligned_alloc(64, (sizeof *block + size + 63) / 64 * 64);

    if (block == NULL)
        return NULL;
    memset(block, 0, sizeof *block + size);
    return block + 1;
}

static void
set_block_destroy(ck_epoch_entry_t *entry)
{
    free(entry);
}

static void
set_free(void *memory, size_t size, bool defer)
{
    struct set_block *block = (struct set_block *)memory - 1;

    (void)size;
    if (defer && session_current != NULL)
        ck_session_retire(session_current, &block->retired, set_block_destroy);
    else
        free(block);
}

struct ck_malloc ck_items_allocator = {.malloc = set_allocate, .free = set_free};

static unsigned long
item_hash(const void *item, unsigned long seed)
{
    (void)seed;
    return ((const struct ck_item *)item)->hash;
}

static bool
item_is(const struct ck_item *item, uint64_t hash, const lk_key *key)
{
    return item->hash == hash && item->pk_size == key->pk.size && item->sk_size == key->sk.size &&
           memcmp(item->bytes, key->pk.data, key->pk.size) == 0 &&
           memcmp(item->bytes + key->pk.size, key->sk.data, key->sk.size) == 0;
}

static bool
item_compare(const void *stored, const void *wanted)
{
    if (((uintptr_t)wanted & 1) != 0) {
        const struct ck_probe *probe = (const void *)((const char *)wanted - 1);
        return item_is(stored, probe->hash, probe->key);
    }
    const struct ck_item *item = wanted;
    lk_key key = {{item->bytes, item->pk_size}, {item->bytes + item->pk_size, item->sk_size}};
    return item_is(stored, item->hash, &key);
}

bool
ck_shard_init(struct ck_shard *shard)
{
    ck_spinlock_init(&shard->latch);
    return ck_hs_init(&shard->set, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT, item_hash, item_compare,
                      &ck_items_allocator, SHARD_INITIAL_ITEMS, 0);
}

void
ck_shard_free(struct ck_shard *shard, void (*item_free)(struct ck_item *item))
{
    ck_hs_iterator_t iterator = CK_HS_ITERATOR_INITIALIZER;
    void *item;

    while (ck_hs_next(&shard->set, &iterator, &item))
        item_free(item);
    ck_hs_destroy(&shard->set);
}

struct ck_item *
ck_item_new(uint64_t hash, const lk_key *key, size_t room)
{
    struct ck_item *item = malloc(sizeof *item + key->pk.size + key->sk.size + room);

    if (item == NULL)
        return NULL;
    item->hash = hash;
    item->pk_size = (uint16_t)key->pk.size;
    item->sk_size = (uint16_t)key->sk.size;
    item->value_size = 0;
    memcpy(item->bytes, key->pk.data, key->pk.size);
    memcpy(item->bytes + key->pk.size, key->sk.data, key->sk.size);
    return item;
}

bool
ck_session_open(struct ck_session *session, ck_epoch_t *epoch)
{
    session->retired = 0;
    session->record = ck_epoch_recycle(epoch, NULL);
    if (session->record == NULL) {
        session->record = aligned_alloc(64, (sizeof *session->record + 63) / 64 * 64);
        if (session->record == NULL)
            return false;
        ck_epoch_register(epoch, session->record, NULL);
    }
    session_current = session;
    return true;
}

void
ck_session_close(struct ck_session *session)
{
    ck_epoch_barrier(session->record);
    ck_epoch_unregister(session->record);
    session_current = NULL;
}

void
ck_sessions_free(ck_epoch_t *epoch)
{
    ck_stack_entry_t *entry = CK_STACK_FIRST(&epoch->records);

    while (entry != NULL) {
        ck_stack_entry_t *next = CK_STACK_NEXT(entry);
        free((char *)entry - offsetof(ck_epoch_record_t, record_next));
        entry = next;
    }
}
