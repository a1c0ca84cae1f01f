/* SPDX-License-Identifier: MIT
 *
 * What the contenders on Concurrency Kit share: an item, its set, and a thread's epoch record. ck
 * 0.7.1 wants to be held with care: a set has one writer at a time; it needs zeroed memory; a map
 * that it outgrew is freed after a grace period; ck_epoch_call belongs inside the section, with a
 * full fence between unlinking and it; polling comes after the section; a record is never freed,
 * only used again.
 */
#ifndef BENCH_CK_ITEMS_H
#define BENCH_CK_ITEMS_H

#include "driver/bench.h"

#include <ck_epoch.h>
#include <ck_hs.h>
#include <ck_spinlock.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* A key, and what the contender hangs on it. Bytes: pk, sk, and the value where it is kept
 * inside. */
struct ck_item {
    uint64_t hash;
    uint16_t pk_size, sk_size;
    uint32_t value_size;
    union {
        ck_epoch_entry_t retired;
        void *value;
        uint64_t version;
    } own;
    char bytes[];
};

/* A key to look for. ck_hs gets its address with the lowest bit set, which tells it from an
 * item. */
struct ck_probe {
    uint64_t hash;
    const lk_key *key;
};

/* One set with its writers' latch. */
struct ck_shard {
    _Alignas(BENCH_LINE) ck_hs_t set;
    _Alignas(BENCH_LINE) ck_spinlock_t latch;
};

struct ck_session {
    ck_epoch_record_t *record;
    unsigned retired; /* since the last poll */
};

static inline uint64_t
ck_item_hash(const lk_key *key)
{
    return XXH3_64bits_withSeed(key->sk.data, key->sk.size,
                                XXH3_64bits(key->pk.data, key->pk.size));
}

static inline struct ck_item *
ck_shard_find(struct ck_shard *shard, uint64_t hash, const lk_key *key)
{
    struct ck_probe probe = {hash, key};

    return ck_hs_get(&shard->set, hash, (const char *)&probe + 1);
}

/* Gives zeroed memory, aligned to a line; memory that readers may still look at is freed after a
 * grace period of the thread's session. */
extern struct ck_malloc ck_items_allocator;

bool ck_shard_init(struct ck_shard *shard);
/* Frees the set and, through `item_free`, all that is in it. */
void ck_shard_free(struct ck_shard *shard, void (*item_free)(struct ck_item *item));

/* A new item without value; `room` bytes are left for one behind the key. */
struct ck_item *ck_item_new(uint64_t hash, const lk_key *key, size_t room);

/* A thread's membership in an epoch. The ends of threads wait for what they retired. */
bool ck_session_open(struct ck_session *session, ck_epoch_t *epoch);
void ck_session_close(struct ck_session *session);

/* Frees the records of all threads, which have closed their sessions for ever. */
void ck_sessions_free(ck_epoch_t *epoch);

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
