/* SPDX-License-Identifier: MIT
 *
 * Sets of keyed objects. The only room that knows ck_hs. Called by store/shard.c and cache/table.c.
 *
 * ck_hs (Concurrency Kit 0.7.1) has one writer, so every mutator runs under a latch of the caller's;
 * its readers are lock-free. Its words here are {tag of the hash, pointer of 48 bits}: in DIRECT mode
 * it stores what it is given, and the compare function rejects most other keys without touching
 * them (Debian's build has pointer packing off).
 *
 * One function, set_rebuild, grows, shrinks and cleans a set: ck_hs's tombstones never become
 * empty again, so misses would get slower without bound; and ck_hs never shrinks. A rebuilt set is
 * a new map under the same ck_hs; the old one is retired. It prefetches the objects that ck_hs asks
 * for their hashes. ck_hs_put can grow the map itself where its probe limit is hit; our own count
 * only decides when to rebuild.
 *
 * The lookaside is written under the latch only. A bucket that was ever full has a mark: a miss in
 * an unmarked one is final, else the set decides. It is replaced together with the set.
 *
 * Invariants  I-set1: an object in the lookaside is in the set. I-set2: an object of the set that is
 *             not in the lookaside has a marked bucket. I-set3: no two objects of a set have one
 *             key.
 * Ordering    P3: an object's fields, then its word (release); a reader loads the word (acquire),
 *             then the fields. For ck_hs a store fence before the put and the dependency through
 *             the loaded pointer do the same.
 */
#include "base/set.h"

#include <stdlib.h>

enum {
    CAPACITY_MIN = 8,
    /* slots of the set for each bucket: with the set half full, four objects in seven places */
    BUCKET_SHARE = 8,
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
    lki_is is;
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
word_compare(const void *stored, const void *key)
{
    if (((uintptr_t)key & 1) == 0)
        return false;
    const probe *p = (const probe *)(const void *)((const char *)key - 1);
    const void *object = word_pointer(stored);
    if (p->hashed == NULL)
        return object == p->object;
    LKI_TSAN_ACQUIRE(object);
    return (uintptr_t)stored >> 48 == p->tag && p->is(object, p->hashed);
}

/* Objects begin with the low half of their hash. */
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
running_set(const lki_set *set, lki_thread *thread)
{
    running.allocator = set->allocator;
    running.thread = thread;
}

/* ---- lookaside ---- */

static uintptr_t
lookaside_make(const lki_allocator *allocator, size_t capacity)
{
    size_t buckets = capacity / BUCKET_SHARE;
    void *memory = lki_alloc_lines(allocator, buckets * LKI_LINE);
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

/* The object first, its tag second. */
static void
lookaside_put(uintptr_t lookaside, uint32_t hash, uint64_t tag, const void *object)
{
    lki_bucket *bucket = lookaside_bucket(lookaside, hash);
    uint64_t tags = lki_load_relaxed(&bucket->tags); /* under the latch */
    for (unsigned i = 0; i < LKI_BUCKET_SLOTS; i++) {
        if ((tags >> 8 * i & 0xff) == 0) {
            lki_store_release(&bucket->object[i], (uintptr_t)object); /* P3: to lki_bucket_find */
            lki_store_release(&bucket->tags, tags | tag << 8 * i);    /* P3 */
            return;
        }
    }
    lki_store_release(&bucket->tags, tags | LKI_BUCKET_FULL); /* P3 */
}

/* The tag first, the object second. */
static void
lookaside_take(uintptr_t lookaside, const void *object, uint32_t hash)
{
    lki_bucket *bucket = lookaside_bucket(lookaside, hash);
    for (unsigned i = 0; i < LKI_BUCKET_SLOTS; i++) {
        if (lki_load_relaxed(&bucket->object[i]) != (uintptr_t)object) /* under the latch */
            continue;
        uint64_t tags = lki_load_relaxed(&bucket->tags);
        lki_store_release(&bucket->tags, tags & ~((uint64_t)0xff << 8 * i)); /* P3 */
        lki_store_release(&bucket->object[i], 0);                            /* P3 */
    }
}

/* ---- sets ---- */

/* Replaces the map of `set` by one of `capacity`; with it the lookaside, if there is one. False:
 * no memory, as before. */
static bool
set_rebuild(lki_set *set, lki_thread *thread, size_t capacity)
{
    _Atomic(uintptr_t) *lookaside = set->lookaside;
    ck_hs_t fresh;
    uintptr_t words = 0;
    lki_block *old_lines = NULL;
    if (!ck_hs_init(&fresh, set->hs.mode, set->hs.hf, set->hs.compare, &map_allocator, capacity, 0))
        return false;
    if (lookaside != NULL) {
        words = lookaside_make(set->allocator, capacity);
        old_lines = lki_alloc(set->allocator, sizeof *old_lines);
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
        lki_store_release(lookaside, words);         /* P3: to lki_set_bucket */
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
        lki_free_lines(set->allocator, (void *)(words & ~(uintptr_t)63), lookaside_size(words));
    lki_free(set->allocator, old_lines, sizeof *old_lines);
    return false;
}

bool
lki_set_add_latched(lki_set *set, lki_thread *thread, const void *object, uint64_t hash)
{
    uint64_t tag = lki_set_tag(hash);
    const void *word = (const void *)((uintptr_t)object | (uintptr_t)(tag << 48));
    running_set(set, thread);
    LK_ASSERT(((uintptr_t)object & ~POINTER_MASK) == 0);
    if ((set->count + 1) * 2 > set->capacity && !set_rebuild(set, thread, set->capacity * 2))
        return false;
    LKI_TSAN_RELEASE(object);
    /* P3: ck_hs_put_unique does not order the object before its slot on weakly ordered machines */
    ck_pr_fence_store();
    if (!ck_hs_put_unique(&set->hs, (uint32_t)hash, word))
        return false;
    if (set->lookaside != NULL)
        lookaside_put(lki_load_relaxed(set->lookaside), (uint32_t)hash, tag, object);
    set->count++;
    lki_store_relaxed(&set->published_count, set->count);
    return true;
}

void
lki_set_remove_latched(lki_set *set, lki_thread *thread, const void *object)
{
    uint32_t hash = (uint32_t)word_hash(object, 0);
    probe p = {NULL, object, 0, NULL};
    running_set(set, thread);
    if (set->lookaside != NULL)
        lookaside_take(lki_load_relaxed(set->lookaside), object, hash); /* under the latch */
    void *removed = ck_hs_remove(&set->hs, hash, probe_key(&p));
    LK_ASSERT(removed != NULL);
    (void)removed;
    set->count--;
    set->removed++;
    lki_store_relaxed(&set->published_count, set->count);
    /* Where memory runs out here the set stays as it is, and the next removal tries again. */
    if (set->capacity > CAPACITY_MIN && set->count * 8 < set->capacity)
        (void)set_rebuild(set, thread, set->capacity / 2);
    else if (set->removed * 4 > set->capacity)
        (void)set_rebuild(set, thread, set->capacity);
}

/* ---- reading ---- */

void *
lki_set_get(const lki_set *set, const lki_hashed *hashed)
{
    probe p = {hashed, NULL, lki_set_tag(hashed->hash), set->is};
    /* ck_hs_get writes nothing; it only lacks the const. */
    return word_pointer(
        ck_hs_get((ck_hs_t *)(uintptr_t)&set->hs, (uint32_t)hashed->hash, probe_key(&p)));
}

size_t
lki_set_walk(const lki_set *set, size_t *offset, void **objects, size_t room)
{
    ck_hs_t view = set->hs;
    view.map = ck_pr_load_ptr(&set->hs.map); /* one map for this walk; retired, not freed */
    ck_hs_iterator_t at = {.offset = *offset};
    size_t count = 0;
    void *word;
    while (view.map != NULL && count < room && ck_hs_next(&view, &at, &word)) {
        objects[count] = word_pointer(word);
        LKI_TSAN_ACQUIRE(objects[count]);
        LKI_PREFETCH(objects[count]);
        count++;
    }
    *offset = at.offset;
    return count;
}

/* ---- open and close ---- */

bool
lki_set_open(lki_set *set, const lki_allocator *allocator, _Atomic(uintptr_t) *lookaside, lki_is is)
{
    set->allocator = allocator;
    set->lookaside = lookaside;
    set->is = is;
    set->capacity = CAPACITY_MIN;
    running_set(set, NULL);
    if (lookaside != NULL) {
        uintptr_t words = lookaside_make(allocator, CAPACITY_MIN);
        lki_store_relaxed(lookaside, words); /* before anybody reads it */
        if (words == 0)
            return false;
    }
    return ck_hs_init(&set->hs, CK_HS_MODE_SPMC | CK_HS_MODE_DIRECT, word_hash, word_compare,
                      &map_allocator, CAPACITY_MIN, 0);
}

void
lki_set_close(lki_set *set)
{
    uintptr_t words = set->lookaside != NULL ? lki_load_relaxed(set->lookaside) : 0;
    running_set(set, NULL);
    if (set->hs.map != NULL)
        ck_hs_destroy(&set->hs);
    if (words != 0)
        lki_free_lines(set->allocator, (void *)(words & ~(uintptr_t)63), lookaside_size(words));
}
