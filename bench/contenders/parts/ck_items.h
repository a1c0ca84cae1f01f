/* SPDX-License-Identifier: MIT
 *
 * What the contenders on one ck_hs share: a store with a set of items and an epoch, and a thread's
 * part in it. ck 0.7.1 wants to be held with care: a set has one writer at a time; it needs zeroed
 * memory; a map that it outgrew is freed after a grace period; ck_epoch_call belongs inside the
 * section, with a full fence between unlinking and it; polling comes after the section; a record is
 * never freed, only used again.
 */
#ifndef BENCH_CK_ITEMS_H
#define BENCH_CK_ITEMS_H

#include "contenders/parts/item.h"

#include <ck_epoch.h>
#include <ck_hs.h>
#include <ck_spinlock.h>

struct ck_item {
    uint64_t hash;
    union {
        ck_epoch_entry_t retired;
        uint64_t version;
    } own;
    struct item item;
};

struct ck_store {
    _Alignas(BENCH_LINE) ck_hs_t set;
    _Alignas(BENCH_LINE) ck_spinlock_t latch; /* of writers */
    ck_epoch_t epoch;
};

/* A thread's membership in an epoch. */
struct ck_session {
    ck_epoch_record_t *record;
    unsigned retired; /* since the last poll */
};

/* The first member of a client. */
struct ck_member {
    struct ck_session session;
    struct ck_store *store;
};

/* A key to look for. ck_hs gets its address with the lowest bit set, which tells it from an
 * item. */
struct ck_probe {
    uint64_t hash;
    const lk_key *key;
};

void *ck_store_open(void);
void ck_store_close(void *store);

/* The ends of threads wait for what they retired. */
bool ck_session_open(struct ck_session *session, ck_epoch_t *epoch);
void ck_session_close(struct ck_session *session);

/* Makes a client, whose first member is one, a member of a store. Returns the client; NULL: it
 * failed, and the client is freed. */
void *ck_member_open(void *client, void *store);
void ck_member_close(void *client);

/* Frees the records of all threads, which have closed their sessions for ever. */
void ck_sessions_free(ck_epoch_t *epoch);

static inline struct ck_item *
ck_item_find(struct ck_store *store, uint64_t hash, const lk_key *key)
{
    struct ck_probe probe = {hash, key};

    return ck_hs_get(&store->set, hash, (const char *)&probe + 1);
}

static inline void
ck_session_enter(struct ck_session *session)
{
    ck_epoch_begin(session->record, NULL);
}

static inline void
ck_session_leave(struct ck_session *session)
{
    ck_epoch_end(session->record, NULL);
    if (session->retired >= 64) {
        session->retired = 0;
        ck_epoch_poll(session->record);
    }
}

/* Frees an object after a grace period. Inside the section, after the object was unlinked. */
static inline void
ck_session_retire(struct ck_session *session, ck_epoch_entry_t *entry, ck_epoch_cb_t *destroy)
{
    ck_pr_fence_memory();
    ck_epoch_call(session->record, entry, destroy);
    session->retired++;
}

#endif
