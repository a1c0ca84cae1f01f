/* SPDX-License-Identifier: MIT
 *
 * The pks that have a live item, one page at a time.
 *
 * Partitions have an order that depends only on the pk and the store's secret: by the half of the
 * hash by which the set places them, then by another hash. A caller keeps a place in that order,
 * and nothing else. Each page has the first pks from that place on. So changes of the set between
 * two pages, or during one, do not matter.
 *
 * A part of the set has all partitions whose halves lie in a range, and the ranges of its parts
 * follow each other. So the set is walked part by part, and the least partitions are kept. A walk
 * may meet a partition twice, if its part is replaced meanwhile.
 *
 * A pk may have a live item at each instant, but another one each time: a walk over its cells as
 * they are may miss all of them, a walk over a snapshot does not. Expiry is judged by a time before
 * the snapshot, so that an item counts that is there until the snapshot.
 *
 * Guarantees  A pk that has a live item from the first page to the last is listed once; no pk is
 *             listed twice. (Two pks with both hashes equal, 96 bits, count as one if a page ends
 *             between them.)
 * Progress    never waits. A call visits some thousand partitions, besides those without a live
 *             item.
 * Ordering    P2b (head.h): the snapshot, then the walk over the set.
 */
#include "store/list.h"

#include <string.h>

#include "store/head.h"
#include "store/partition.h"

enum {
    PAGE = LKI_OR_SMALL(256, 4),
    CHUNK = LKI_OR_SMALL(64, 8),        /* objects */
    VISITS = LKI_OR_SMALL(4096, CHUNK), /* buckets after which a page may end early */
    FEW = 16
};

/* ---- places ---- */

/* A keyed hash of a position, so that nobody can make one up. */
static uint64_t
position_check(const lki_store *store, const lk_position *position)
{
    return lki_hash_bytes(&store->secret, (lk_bytes){position->opaque, 3 * sizeof(uint64_t)});
}

bool
lki_list_place_read(const lki_store *store, const lk_position *position, lki_list_place *place)
{
    static const lk_position start;
    *place = (lki_list_place){position->opaque[0], position->opaque[1]};
    return memcmp(position, &start, sizeof start) == 0 ||
           position->opaque[3] == position_check(store, position);
}

void
lki_list_place_write(const lki_store *store, const lki_list_place *place, lk_position *position)
{
    lk_position made = {{place->half, place->other, 0, 0}};
    made.opaque[3] = position_check(store, &made);
    *position = made;
}

/* The other hash, under other words of the secret. */
static uint64_t
other_hash(const lki_store *store, const lki_partition *partition)
{
    enum { SHIFT = 40 };
    return XXH3_64bits_withSecret(partition->pk, partition->pk_size, store->secret.bytes + SHIFT,
                                  LKI_SECRET_SIZE - SHIFT);
}

static bool
is_before_place(const lki_store *store, const lki_partition *partition, const lki_list_place *place)
{
    if (partition->hash != place->half || place->other == 0)
        return partition->hash < place->half;
    return other_hash(store, partition) < place->other;
}

static bool
is_before(const lki_store *store, const lki_partition *partition, const lki_partition *other)
{
    if (partition->hash != other->hash || partition == other)
        return partition->hash < other->hash;
    return other_hash(store, partition) < other_hash(store, other);
}

static lki_list_place
place_behind(const lki_store *store, const lki_partition *partition)
{
    uint64_t other = other_hash(store, partition) + 1;
    return (lki_list_place){partition->hash + (uint64_t)(other == 0), other};
}

/* ---- pages ---- */

/* The least partitions met so far, in order. */
typedef struct page {
    lki_store *store;
    const lki_list_place *from;
    size_t limit, count;
    lki_partition *least[PAGE];
} page;

static void
page_offer(page *p, lki_partition *partition)
{
    size_t low = 0, high = p->count;
    if (is_before_place(p->store, partition, p->from))
        return;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (is_before(p->store, p->least[middle], partition))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == p->limit || (low < p->count && p->least[low] == partition))
        return;
    p->count += p->count < p->limit;
    memmove(p->least + low + 1, p->least + low, (p->count - low - 1) * sizeof *p->least);
    p->least[low] = partition;
}

/* Fills a page. Returns its end: the page has all partitions before that place and not before
 * p->from. */
static lki_list_place
page_fill(page *p)
{
    lki_set_position at = {.half = p->from->half};
    size_t visits = 0;
    bool full = false;
    /* Never ends within the first part: else that would be walked again and again. */
    while (!lki_set_is_end(&at) && !full && (visits < VISITS || at.half == p->from->half)) {
        void *partitions[CHUNK];
        size_t count = lki_set_walk(&p->store->partitions, &at, partitions, CHUNK);
        for (size_t i = 0; i < count; i++)
            page_offer(p, partitions[i]);
        visits += CHUNK;
        full = p->count == p->limit && p->least[p->count - 1]->hash < at.half;
    }
    if (full)
        return place_behind(p->store, p->least[p->count - 1]);
    while (p->count > 0 && p->least[p->count - 1]->hash >= at.half)
        p->count--; /* the walk has not seen all of its part */
    return (lki_list_place){at.half, 0};
}

static bool
partition_is_live(lki_store *store, lki_partition *partition, uint64_t snapshot, lki_time *now)
{
    lki_partition_walk walk;
    lki_cell *cells[FEW];
    size_t count;
    lki_partition_walk_begin(&walk, store, partition, snapshot, NULL, false, false);
    while ((count = lki_partition_walk_next(&walk, cells, FEW)) != 0)
        for (size_t i = 0; i < count; i++) {
            uintptr_t head = lki_load_acquire(&cells[i]->item); /* P1 */
            if (lki_record_is_live(store, lki_record_at(store, head, snapshot), now))
                return true;
        }
    return false;
}

lk_status
lki_list_some(lki_store *store, lki_thread *thread, lki_list_place *place, lki_time *now,
              size_t limit, lk_result *into)
{
    page p = {.store = store, .from = place, .limit = limit < PAGE ? limit : PAGE};
    if (place->half > UINT32_MAX)
        return LK_END;
    uint64_t snapshot = lki_snapshot(store, thread); /* P2b: before the set is walked */
    lki_list_place end = page_fill(&p);
    for (size_t i = 0; i < p.count; i++) {
        const lki_partition *partition = p.least[i];
        if (!partition_is_live(store, p.least[i], snapshot, now))
            continue;
        if (!lki_result_extend(into, 1, partition->pk_size))
            return LK_NO_MEMORY;
        const lk_bytes none = {NULL, 0};
        lki_result_put_item(into, (lk_bytes){partition->pk, partition->pk_size}, none, none, 0);
    }
    *place = end;
    return LK_OK;
}
