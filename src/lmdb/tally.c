/* SPDX-License-Identifier: MIT
 *
 * See tally.h. A pull in vain writes nothing to the file, so its count is kept in memory, for as
 * long as the handle has the queue.
 *
 * A table of lists that doubles when there are more counts than lists, so a pull looks at one or
 * two.
 */
#include "lmdb/tally.h"

#include <errno.h>
#include <stdlib.h>

enum { BUCKETS = 64 };

struct lki_lmdb_tally {
    lki_lmdb_tally *next;
    uint64_t count;
    uint32_t hash;
    size_t size;
    unsigned char pk[];
};

/* FNV-1a: Fowler, Noll, Vo; a queue's name is short. */
static uint32_t
hash_of(lk_bytes pk)
{
    const unsigned char *bytes = pk.data;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < pk.size; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

/* Where the tally of a queue hangs, or would. The table is there. */
static lki_lmdb_tally **
tally_find_latched(lki_lmdb *store, lk_bytes pk, uint32_t hash)
{
    lki_lmdb_tally **at = &store->tallies[hash & (store->tally_buckets - 1)];
    while (*at != NULL &&
           ((*at)->hash != hash || lk_bytes_compare((lk_bytes){(*at)->pk, (*at)->size}, pk) != 0))
        at = &(*at)->next;
    return at;
}

/* Makes twice as many lists, or the first. Where memory has run out the lists only get longer. */
static void
table_grow_latched(lki_lmdb *store)
{
    size_t buckets = store->tally_buckets != 0 ? store->tally_buckets * 2 : BUCKETS;
    lki_lmdb_tally **table = calloc(buckets, sizeof(lki_lmdb_tally *));
    if (table == NULL)
        return;
    for (size_t i = 0; i < store->tally_buckets; i++)
        for (lki_lmdb_tally *tally = store->tallies[i]; tally != NULL;) {
            lki_lmdb_tally *next = tally->next, **to = &table[tally->hash & (buckets - 1)];
            tally->next = *to;
            *to = tally;
            tally = next;
        }
    LKI_LMDB_ASSERT((buckets & (buckets - 1)) == 0);
    free(store->tallies);
    store->tallies = table;
    store->tally_buckets = buckets;
}

static void
tally_add_latched(lki_lmdb *store, lk_bytes pk)
{
    uint32_t hash = hash_of(pk);
    if (store->tally_count >= store->tally_buckets)
        table_grow_latched(store);
    if (store->tally_buckets == 0)
        return;
    lki_lmdb_tally **at = tally_find_latched(store, pk, hash);
    if (*at == NULL) {
        lki_lmdb_tally *tally = malloc(sizeof *tally + pk.size);
        if (tally == NULL)
            return;
        *tally = (lki_lmdb_tally){.hash = hash, .size = pk.size};
        memcpy(tally->pk, pk.data, pk.size);
        *at = tally;
        store->tally_count++;
    }
    (*at)->count++;
}

void
lki_lmdb_tally_add(lki_lmdb *store, lk_bytes pk)
{
    int saved = errno;
    pthread_mutex_lock(&store->tally_latch);
    tally_add_latched(store, pk);
    pthread_mutex_unlock(&store->tally_latch);
    errno = saved;
}

void
lki_lmdb_tally_drop(lki_lmdb *store, lk_bytes pk)
{
    pthread_mutex_lock(&store->tally_latch);
    if (store->tally_buckets != 0) {
        lki_lmdb_tally **at = tally_find_latched(store, pk, hash_of(pk)), *gone = *at;
        if (gone != NULL) {
            LKI_LMDB_ASSERT(store->tally_count != 0);
            *at = gone->next;
            free(gone);
            store->tally_count--;
        }
    }
    pthread_mutex_unlock(&store->tally_latch);
}

uint64_t
lki_lmdb_tally_read(lki_lmdb *store, lk_bytes pk)
{
    uint64_t count = 0;
    pthread_mutex_lock(&store->tally_latch);
    if (store->tally_buckets != 0) {
        const lki_lmdb_tally *tally = *tally_find_latched(store, pk, hash_of(pk));
        count = tally != NULL ? tally->count : 0;
    }
    pthread_mutex_unlock(&store->tally_latch);
    return count;
}

void
lki_lmdb_tallies_free(lki_lmdb *store)
{
    for (size_t i = 0; i < store->tally_buckets; i++)
        while (store->tallies[i] != NULL) {
            lki_lmdb_tally *tally = store->tallies[i];
            store->tallies[i] = tally->next;
            free(tally);
        }
    free(store->tallies);
    store->tallies = NULL;
    store->tally_count = store->tally_buckets = 0;
}
