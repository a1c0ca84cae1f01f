/* SPDX-License-Identifier: MIT
 *
 * The sets of cells and partitions. The only room that knows ck_hs. Called by cell.c, removal.c,
 * sweep.c, query.c, store.c.
 *
 * ck_hs (Concurrency Kit 0.7.1) has one writer, so every mutator runs under the shard's latch; its
 * readers are lock-free. Its words here are {tag of the hash, pointer of 48 bits}: in DIRECT mode
 * it stores what it is given, and the compare function rejects most other keys without touching
 * them (Debian's build has pointer packing off).
 *
 * One function, set_rebuild, grows, shrinks and cleans a set: ck_hs's tombstones never become
 * empty again, so misses would get slower without bound; and ck_hs never shrinks. A rebuilt set is
 * a new map under the same ck_hs; the old one is retired. It prefetches the cells that ck_hs asks
 * for their hashes. ck_hs_put can grow the map itself where its probe limit is hit; our own count
 * only decides when to rebuild.
 *
 * The lookaside is written under the latch only. A bucket that was ever full has a mark: a miss in
 * an unmarked one is final, else the set decides. It is replaced together with the set.
 *
 * Guarantees  A cell that was added before a find began, and not removed before it ended, is
 *             found.
 * Invariants  I-shard1: a cell in the lookaside is in the set. I-shard2: a cell of the set that is
 *             not in the lookaside has a marked bucket. I-shard3: no two cells of the set have one
 *             key.
 * Ordering    P3: a cell's fields, then its word (release); a reader loads the word (acquire),
 *             then the fields. For ck_hs a store fence before the put and the dependency through
 *             the loaded pointer do the same.
 */
#include "store/shard.h"

#include <ck_hs.h>
#include <stdlib.h>

#include "store/record.h"

typedef struct shard_set {
    ck_hs_t hs;
    size_t count, capacity, removed; /* [latch] */
    _Atomic(size_t) published_count; /* [stat] */
    _Atomic(size_t) generation;      /* [stat] maps so far */
} shard_set;

struct lki_shard {
    lki_latch latch;
    shard_set cells, partitions;
    _Atomic(uint64_t) floor; /* [latch] to write; [P7] */
} __attribute__((aligned(LKI_LINE)));

enum {
    CAPACITY_MIN = 8,
    BUCKET_SHARE =
        /* slots of the set for each bucket: with the set half full, four cells in seven places */
    8,
    PREFETCH_AHEAD = 16
};

/* A word of a set: the tag in the 16 bits above a pointer of 48. */
#define POINTER_MASK ((uint64_t)0x0000fffffffffff8)

/* ---- what ck_hs calls ---- */

/* A key that is looked up: bit 0 tells it from a word that is being put in, which is equal to no
 * other. */
typedef struct probe {
    const lki_hashed *hashed; /* NULL: exactly `object` */
    const void *object;
    uint64_t tag;
} probe;

static const void *
probe_key(const probe *p)
{
    return (const char *)p + 1;
}

static void *
word_pointer(const void *word)
{
    return (void *)((uintptr_t)word & POINTER_MASK);
}

static bool
cell_compare(const void *stored, const void *key)
{
    if (((uintptr_t)key & 1) == 0)
        return false;
    const probe *p = (const probe *)(const void *)((const char *)key - 1);
    const lki_cell *cell = word_pointer(stored);
    if (p->hashed == NULL)
        return cell == p->object;
    LKI_TSAN_ACQUIRE(cell);
    return (uintptr_t)stored >> 48 == p->tag && lki_cell_is(cell, p->hashed);
}

static bool
partition_compare(const void *stored, const void *key)
{
    if (((uintptr_t)key & 1) == 0)
        return false;
    const probe *p = (const probe *)(const void *)((const char *)key - 1);
    const lki_partition *partition = word_pointer(stored);
    if (p->hashed == NULL)
        return partition == p->object;
    LKI_TSAN_ACQUIRE(partition);
    const lk_bytes *pk = &p->hashed->key.pk;
    return (uintptr_t)stored >> 48 == p->tag && partition->hash == (uint32_t)p->hashed->hash &&
           partition->pk_size == pk->size && lki_bytes_equal(partition->pk, pk->data, pk->size);
}

/* Cells and partitions both begin with the low half of their hash. */
static unsigned long
word_hash(const void *word, unsigned long seed)
{
    (void)seed;
    return *(const uint32_t *)word_pointer(word);
}

/* ck_malloc has no context: the allocator and the thread of the running mutator. Latched code
 * never nests. */
static __thread struct {
    const lki_allocator *allocator;
    lki_thread *thread;
} running __attribute__((tls_model("initial-exec")));

/* Zeroed: ck 0.7.1 leaves the count of tombstones of a new map unset. */
static void *
map_allocate(size_t size)
{
    lki_block *block = lki_alloc_seldom(running.allocator, sizeof *block + size);
    if (block == NULL)
        return NULL;
    *block = (lki_block){.object = {lki_block_dispose}, .size = sizeof *block + size};
    return (char *)block + sizeof *block;
}
_Static_assert(sizeof(lki_block) % 16 == 0, "a map is aligned like malloc's memory");

static void
map_free(void *map, size_t size, bool defer)
{
    (void)size;
    lki_block *block = (lki_block *)(void *)((char *)map - sizeof *block);
    if (defer && running.thread != NULL)
        lki_retire(running.thread, LKI_OBJECT, block, block->size);
    else
        lki_free(running.allocator, block, block->size);
}

static struct ck_malloc map_allocator = {.malloc = map_allocate, .free = map_free};

static void
running_set(lki_store *store, lki_thread *thread)
{
    running.allocator = &store->domain.allocator;
    running.thread = thread;
}

/* ---- lookaside ---- */

static uintptr_t
lookaside_make(lki_store *store, size_t capacity)
{
    size_t buckets = capacity / BUCKET_SHARE;
    void *memory = lki_alloc_lines(&store->domain.allocator, buckets * LKI_LINE);
    return memory == NULL ? 0 : (uintptr_t)memory | (uintptr_t)__builtin_ctzll(buckets);
}

static size_t
lookaside_size(uintptr_t lookaside)
{
    return (size_t)LKI_LINE << (lookaside & 63);
}

static lki_bucket *
lookaside_bucket(uintptr_t lookaside, uint32_t hash)
{
    return (lki_bucket *)(lookaside & ~(uintptr_t)63) +
           (hash & (((uint64_t)1 << (lookaside & 63)) - 1));
}

/* The cell first, its tag second. */
static void
lookaside_put(uintptr_t lookaside, uint32_t hash, uint64_t tag, const void *cell)
{
    lki_bucket *bucket = lookaside_bucket(lookaside, hash);
    uint64_t tags = lki_load_relaxed(&bucket->tags); /* under the latch */
    for (unsigned i = 0; i < LKI_BUCKET_SLOTS; i++) {
        if ((tags >> 8 * i & 0xff) == 0) {
            lki_store_release(&bucket->cell[i], (uintptr_t)cell);  /* P3: to lki_shard_find_in */
            lki_store_release(&bucket->tags, tags | tag << 8 * i); /* P3 */
            return;
        }
    }
    lki_store_release(&bucket->tags, tags | LKI_BUCKET_FULL); /* P3 */
}

/* The tag first, the cell second. */
static void
lookaside_take(uintptr_t lookaside, const lki_cell *cell)
{
    lki_bucket *bucket = lookaside_bucket(lookaside, cell->hash);
    for (unsigned i = 0; i < LKI_BUCKET_SLOTS; i++) {
        if (lki_load_relaxed(&bucket->cell[i]) != (uintptr_t)cell) /* under the latch */
            continue;
        uint64_t tags = lki_load_relaxed(&bucket->tags);
        lki_store_release(&bucket->tags, tags & ~((uint64_t)0xff << 8 * i)); /* P3 */
        lki_store_release(&bucket->cell[i], LKI_EMPTY);                      /* P3 */
    }
}

/* ---- sets ---- */

static bool
set_open(shard_set *set, ck_hs_compare_cb_t *compare)
{
    set->capacity = CAPACITY_MIN;
    return ck_hs_init(&set->hs, CK_HS_MODE_SPMC | CK_HS_MODE_DIRECT, word_hash, compare,
                      &map_allocator, CAPACITY_MIN, 0);
}

/* Replaces the map of `set` by one of `capacity`; with it the lookaside, if there is one. False:
 * no memory, as before. */
static bool
set_rebuild(lki_store *store, lki_thread *thread, shard_set *set, _Atomic(uintptr_t) *lookaside,
            size_t capacity)
{
    ck_hs_t fresh;
    uintptr_t words = 0;
    lki_block *old_lines = NULL;
    if (!ck_hs_init(&fresh, set->hs.mode, set->hs.hf, set->hs.compare, &map_allocator, capacity, 0))
        return false;
    if (lookaside != NULL) {
        words = lookaside_make(store, capacity);
        old_lines = lki_alloc(&store->domain.allocator, sizeof *old_lines);
        if (words == 0 || old_lines == NULL)
            goto no_memory;
    }
    ck_hs_iterator_t ahead = CK_HS_ITERATOR_INITIALIZER, at = CK_HS_ITERATOR_INITIALIZER;
    void *word;
    for (size_t i = 0; i < PREFETCH_AHEAD && ck_hs_next(&set->hs, &ahead, &word); i++)
        LKI_PREFETCH(word_pointer(word));
    while (ck_hs_next(&set->hs, &at, &word)) {
        void *later;
        if (ck_hs_next(&set->hs, &ahead, &later))
            LKI_PREFETCH(word_pointer(later));
        if (!ck_hs_put_unique(&fresh, word_hash(word, 0), word))
            goto no_memory;
        if (words != 0)
            lookaside_put(words, (uint32_t)word_hash(word, 0), (uintptr_t)word >> 48,
                          word_pointer(word));
    }
    struct ck_hs_map *old = set->hs.map;
    lki_store_seq_cst(&set->generation, lki_load_relaxed(&set->generation) +
                                            1); /* before and after: a walk sees one of them */
    ck_pr_fence_store();
    ck_pr_store_ptr(&set->hs.map, fresh.map); /* as ck_hs_grow publishes a map */
    lki_store_seq_cst(&set->generation, lki_load_relaxed(&set->generation) + 1);
    set->capacity = capacity;
    set->removed = 0;
    map_free(old, 0, true);
    if (lookaside != NULL) {
        uintptr_t was = lki_load_relaxed(lookaside); /* under the latch */
        lki_store_release(lookaside, words);         /* P3: to lki_shard_bucket */
        *old_lines = (lki_block){{lki_block_dispose},
                                 sizeof *old_lines,
                                 (void *)(was & ~(uintptr_t)63),
                                 lookaside_size(was)};
        lki_retire(thread, LKI_OBJECT, old_lines, old_lines->size + old_lines->lines_size);
    }
    return true;
no_memory:
    map_free(fresh.map, 0, false);
    if (words != 0)
        lki_free_lines(&store->domain.allocator, (void *)(words & ~(uintptr_t)63),
                       lookaside_size(words));
    lki_free(&store->domain.allocator, old_lines, sizeof *old_lines);
    return false;
}

static bool
set_add(lki_store *store, lki_thread *thread, shard_set *set, _Atomic(uintptr_t) *lookaside,
        const void *object, uint32_t hash, uint64_t tag)
{
    const void *word = (const void *)((uintptr_t)object | (uintptr_t)(tag << 48));
    running_set(store, thread);
    LK_ASSERT(((uintptr_t)object & ~POINTER_MASK) == 0);
    if ((set->count + 1) * 2 > set->capacity &&
        !set_rebuild(store, thread, set, lookaside, set->capacity * 2))
        return false;
    LKI_TSAN_RELEASE(object);
    /* P3: ck_hs_put_unique does not order the object before its slot on weakly ordered machines */
    ck_pr_fence_store();
    if (!ck_hs_put_unique(&set->hs, hash, word))
        return false;
    if (lookaside != NULL)
        lookaside_put(lki_load_relaxed(lookaside), hash, tag, object);
    set->count++;
    lki_store_relaxed(&set->published_count, set->count);
    return true;
}

static void
set_remove(lki_store *store, lki_thread *thread, shard_set *set, _Atomic(uintptr_t) *lookaside,
           const void *object, uint32_t hash)
{
    probe p = {NULL, object, 0};
    running_set(store, thread);
    void *removed = ck_hs_remove(&set->hs, hash, probe_key(&p));
    LK_ASSERT(removed != NULL);
    (void)removed;
    set->count--;
    set->removed++;
    lki_store_relaxed(&set->published_count, set->count);
    /* Where memory runs out here the set stays as it is, and the next removal tries again. */
    if (set->capacity > CAPACITY_MIN && set->count * 8 < set->capacity)
        (void)set_rebuild(store, thread, set, lookaside, set->capacity / 2);
    else if (set->removed * 4 > set->capacity)
        (void)set_rebuild(store, thread, set, lookaside, set->capacity);
}

/* ---- for the other rooms ---- */

static lki_shard *
shard_of(lki_store *store, uint64_t hash)
{
    return &store->shards[lki_shard_number(store, hash)];
}

lki_latch *
lki_shard_latch(lki_store *store, uint64_t hash)
{
    return &shard_of(store, hash)->latch;
}

LKI_COLD lki_cell *
lki_shard_get_slow(lki_store *store, const lki_hashed *hashed)
{
    probe p = {hashed, NULL, lki_shard_tag(hashed->hash)};
    return word_pointer(
        ck_hs_get(&shard_of(store, hashed->hash)->cells.hs, (uint32_t)hashed->hash, probe_key(&p)));
}

bool
lki_shard_add_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash)
{
    _Atomic(uintptr_t) *lookaside = &store->lookaside[lki_shard_number(store, hash)];
    return set_add(store, thread, &shard_of(store, hash)->cells, lookaside, cell, cell->hash,
                   lki_shard_tag(hash));
}

void
lki_shard_remove_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash)
{
    _Atomic(uintptr_t) *lookaside = &store->lookaside[lki_shard_number(store, hash)];
    lookaside_take(lki_load_relaxed(lookaside), cell);
    set_remove(store, thread, &shard_of(store, hash)->cells, lookaside, cell, cell->hash);
}

lki_partition *
lki_shard_partition(lki_store *store, lk_bytes pk, uint64_t hash)
{
    lki_hashed hashed = {.key = {.pk = pk}, .hash = hash};
    probe p = {&hashed, NULL, lki_shard_tag(hash)};
    return word_pointer(
        ck_hs_get(&shard_of(store, hash)->partitions.hs, (uint32_t)hash, probe_key(&p)));
}

bool
lki_shard_add_partition_latched(lki_store *store, lki_thread *thread, lki_partition *partition,
                                uint64_t hash)
{
    return set_add(store, thread, &shard_of(store, hash)->partitions, NULL, partition,
                   partition->hash, lki_shard_tag(hash));
}

void
lki_shard_remove_partition_latched(lki_store *store, lki_thread *thread, lki_partition *partition,
                                   uint64_t hash)
{
    set_remove(store, thread, &shard_of(store, hash)->partitions, NULL, partition, partition->hash);
}

uint64_t
lki_shard_floor(lki_store *store, uint64_t hash)
{
    return lki_load_acquire(&shard_of(store, hash)->floor); /* P7 */
}

void
lki_shard_raise_floor_latched(lki_store *store, uint64_t hash, uint64_t version)
{
    _Atomic(uint64_t) *floor = &shard_of(store, hash)->floor;
    if (lki_load_relaxed(floor) < version)
        lki_store_release(
            floor,
            version); /* P7: before the cell leaves the set; its successor's lock reads it after */
}

size_t
lki_shard_walk(lki_store *store, size_t shard, size_t *offset, lki_cell **cells, size_t room)
{
    ck_hs_t view = store->shards[shard].cells.hs;
    view.map = ck_pr_load_ptr(
        &store->shards[shard].cells.hs.map); /* one map for this walk; retired, not freed */
    ck_hs_iterator_t at = {.offset = *offset};
    size_t count = 0;
    void *word;
    while (count < room && ck_hs_next(&view, &at, &word)) {
        cells[count] = word_pointer(word);
        LKI_TSAN_ACQUIRE(cells[count]);
        LKI_PREFETCH(cells[count]);
        count++;
    }
    *offset = at.offset;
    return count;
}

size_t
lki_shard_generation(const lki_store *store, size_t shard)
{
    return lki_load_acquire(&store->shards[shard].cells.generation);
}

size_t
lki_shard_count(const lki_store *store)
{
    size_t count = 0;
    for (size_t i = 0; i < (size_t)1 << store->shard_bits; i++)
        count += lki_load_relaxed(&store->shards[i].cells.published_count);
    return count;
}

/* ---- open and close ---- */

lk_status
lki_shards_open(lki_store *store, size_t shards)
{
    const lki_allocator *allocator = &store->domain.allocator;
    store->shard_bits = (unsigned)__builtin_ctzll(shards);
    store->shards = lki_alloc_lines(allocator, shards * sizeof *store->shards);
    store->lookaside = lki_alloc_lines(allocator, shards * sizeof *store->lookaside);
    if (store->shards == NULL || store->lookaside == NULL)
        return LK_NO_MEMORY;
    running_set(store, NULL);
    for (size_t i = 0; i < shards; i++) {
        lki_shard *shard = &store->shards[i];
        lki_latch_init(&shard->latch);
        lki_store_relaxed(&store->lookaside[i], lookaside_make(store, CAPACITY_MIN));
        if (lki_load_relaxed(&store->lookaside[i]) == 0 || !set_open(&shard->cells, cell_compare) ||
            !set_open(&shard->partitions, partition_compare))
            return LK_NO_MEMORY;
    }
    return LK_OK;
}

void
lki_shard_cell_free(lki_store *store, lki_cell *cell)
{
    uintptr_t heads[2] = {lki_load_relaxed(&cell->item), lki_load_relaxed(&cell->lock)};
    for (size_t i = 0; i < 2; i++) {
        lki_record *record = heads[i] <= LKI_DEAD ? NULL : (lki_record *)heads[i];
        if (record != NULL)
            lki_record_free(&store->domain.allocator, record);
    }
    lki_cell_free(&store->domain.allocator, cell);
}

static void
shard_close(lki_store *store, lki_shard *shard)
{
    ck_hs_iterator_t at = CK_HS_ITERATOR_INITIALIZER;
    void *word;
    while (shard->cells.hs.map != NULL && ck_hs_next(&shard->cells.hs, &at, &word))
        lki_shard_cell_free(store, word_pointer(word));
    at = (ck_hs_iterator_t)CK_HS_ITERATOR_INITIALIZER;
    while (shard->partitions.hs.map != NULL && ck_hs_next(&shard->partitions.hs, &at, &word)) {
        lki_partition *partition = word_pointer(word);
        lki_index_destroy(&partition->index, &store->domain.allocator);
        lki_free(&store->domain.allocator, partition, sizeof *partition + partition->pk_size);
    }
    if (shard->cells.hs.map != NULL)
        ck_hs_destroy(&shard->cells.hs);
    if (shard->partitions.hs.map != NULL)
        ck_hs_destroy(&shard->partitions.hs);
}

void
lki_shards_close(lki_store *store)
{
    size_t shards = (size_t)1 << store->shard_bits;
    running_set(store, NULL);
    for (size_t i = 0; store->shards != NULL && store->lookaside != NULL && i < shards; i++) {
        shard_close(store, &store->shards[i]);
        uintptr_t lookaside = lki_load_relaxed(&store->lookaside[i]);
        if (lookaside != 0)
            lki_free_lines(&store->domain.allocator, (void *)(lookaside & ~(uintptr_t)63),
                           lookaside_size(lookaside));
    }
    lki_free_lines(&store->domain.allocator, store->shards, shards * sizeof *store->shards);
    lki_free_lines(&store->domain.allocator, store->lookaside, shards * sizeof *store->lookaside);
}
