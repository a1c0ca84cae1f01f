/* SPDX-License-Identifier: MIT
 *
 * The store and the epoch records for the contenders on Concurrency Kit.
 */
#include "contenders/parts/ck_items.h"

#define SET_INITIAL_ITEMS 64

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

static unsigned long
entry_hash(const void *item, unsigned long seed)
{
    (void)seed;
    return ((const struct ck_item *)item)->hash;
}

static bool
entry_compare(const void *stored, const void *wanted)
{
    const struct ck_item *entry = stored;

    if (((uintptr_t)wanted & 1) != 0) {
        const struct ck_probe *probe = (const void *)((const char *)wanted - 1);
        return entry->hash == probe->hash && item_is(&entry->item, probe->key);
    }
    const struct ck_item *other = wanted;
    const char *bytes = other->item.bytes;
    lk_key key = {{bytes, other->item.pk_size}, {bytes + other->item.pk_size, other->item.sk_size}};
    return entry->hash == other->hash && item_is(&entry->item, &key);
}

void *
ck_store_open(void)
{
    static struct ck_malloc allocator = {.malloc = set_allocate, .free = set_free};
    struct ck_store *store = aligned_alloc(BENCH_LINE, sizeof *store);

    if (store == NULL)
        return NULL;
    ck_epoch_init(&store->epoch);
    ck_spinlock_init(&store->latch);
    if (ck_hs_init(&store->set, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT, entry_hash, entry_compare,
                   &allocator, SET_INITIAL_ITEMS, 0))
        return store;
    free(store);
    return NULL;
}

void
ck_store_close(void *handle)
{
    struct ck_store *store = handle;
    ck_hs_iterator_t iterator = CK_HS_ITERATOR_INITIALIZER;
    void *item;

    while (ck_hs_next(&store->set, &iterator, &item))
        free(item);
    ck_hs_destroy(&store->set);
    ck_sessions_free(&store->epoch);
    free(store);
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

void *
ck_member_open(void *client, void *store)
{
    struct ck_member *member = client;

    if (member == NULL)
        return NULL;
    member->store = store;
    if (ck_session_open(&member->session, &member->store->epoch))
        return client;
    free(client);
    return NULL;
}

void
ck_member_close(void *client)
{
    ck_session_close(&((struct ck_member *)client)->session);
    free(client);
}
