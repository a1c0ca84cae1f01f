/* SPDX-License-Identifier: MIT
 *
 * Parts of sets; set.c describes the whole. An object lies in its bucket. If that was full, it lies
 * in the part's ck_hs, and the bucket has the mark FULL: a miss in a bucket without the mark is
 * final, else the ck_hs decides. So each object is in one place, and stays there as long as the
 * part.
 *
 * ck_hs (Concurrency Kit 0.7.1) allows one writer, the holder of the latch; its readers are
 * lock-free. The words stored in it are {tag of the hash, pointer of 48 bits}: in DIRECT mode ck
 * stores what it is given, and the compare function rejects most other keys without reading their
 * objects. ck_hs_put may replace the map if its probe limit is reached or it is half full.
 *
 * Ordering    P3: an object's fields, then its slot, then its tag (each release); a reader loads
 *             them in the other order (acquire). A bucket gets its mark after the object is in the
 *             ck_hs; within the ck_hs a store fence before the put, and the reader's dependency
 *             through the loaded pointer, give the same order.
 */
#include "base/part.h"

enum {
    MAP_MIN = 8,
    PREFETCH_AHEAD = 2 /* buckets ahead, while lki_part_spread runs */
};

/* A word in a ck_hs: the tag in the 16 bits above a pointer of 48. */
#define POINTER_MASK ((uint64_t)0x0000fffffffffff8)

/* ---- what ck_hs calls ---- */

/* A key that is looked up. Bit 0 of its pointer distinguishes it from a word that is being put in,
 * which equals no other. */
typedef struct probe {
    const lki_hashed *hashed; /* NULL: look for exactly `object` */
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

static unsigned long
word_hash(const void *word, unsigned long seed)
{
    (void)seed;
    return lki_object_half(word_pointer(word));
}

/* The set and the thread of the running writer, as ck_malloc has no context. Thread NULL: no other
 * thread knows the map. Such calls never nest. */
static __thread struct {
    lki_set *set;
    lki_thread *thread;
} running __attribute__((tls_model("initial-exec")));

/* The header before a map. */
typedef struct map_header {
    lki_block block;
    uint64_t number; /* [const] as of a part */
    uint64_t unused;
} map_header;
_Static_assert(sizeof(map_header) % 16 == 0, "a map is aligned like malloc's memory");

static uint64_t
number_next(lki_set *set)
{
    return lki_add_relaxed(&set->number, 1) + 1; /* only has to be unique */
}

/* Zeroed, because ck 0.7.1 does not set the tombstone count of a new map. */
static void *
map_allocate(size_t size)
{
    map_header *header = lki_alloc_zeroed(running.set->allocator, sizeof *header + size);
    if (header == NULL)
        return NULL;
    header->block = (lki_block){.object = {lki_block_dispose}, .size = sizeof *header + size};
    header->number = number_next(running.set);
    LKI_TSAN_RELEASE(header + 1); /* ck publishes the map after a fence */
    return header + 1;
}

static void
map_free(void *map, size_t size, bool defer)
{
    (void)size;
    map_header *header = (map_header *)map - 1;
    if (defer && running.thread != NULL)
        lki_retire(running.thread, LKI_OBJECT, header, header->block.size);
    else
        lki_free(running.set->allocator, header, header->block.size);
}

static struct ck_malloc map_allocator = {.malloc = map_allocate, .free = map_free};

static void
running_set(lki_set *set, lki_thread *thread)
{
    running.set = set;
    running.thread = thread;
}

/* ---- parts ---- */

lki_part *
lki_part_new(lki_set *set, const lki_allocator *allocator, unsigned depth, size_t buckets)
{
    lki_part *part = lki_alloc_zeroed(allocator, sizeof *part);
    if (part == NULL)
        return NULL;
    void *lines = lki_alloc_lines(allocator, buckets * LKI_LINE);
    if (lines == NULL) {
        lki_free(allocator, part, sizeof *part);
        return NULL;
    }
    part->block = (lki_block){{lki_block_dispose}, sizeof *part, lines, buckets * LKI_LINE};
    part->number = number_next(set);
    part->buckets = (uint32_t)buckets;
    part->depth = depth;
    return part;
}

void
lki_part_free(lki_set *set, lki_part *part)
{
    if (part == NULL)
        return;
    running_set(set, NULL);
    if (part->unfitting.map != NULL)
        ck_hs_destroy(&part->unfitting);
    lki_free_lines(set->allocator, part->block.lines, part->block.lines_size);
    lki_free(set->allocator, part, sizeof *part);
}

void
lki_part_retire(lki_set *set, lki_thread *thread, lki_part *part)
{
    running_set(set, thread);
    if (part->unfitting.map != NULL)
        map_free(part->unfitting.map, 0, true);
    lki_retire(thread, LKI_OBJECT, part, part->block.size + part->block.lines_size);
}

/* ---- putting and taking ---- */

/* Puts an object into the ck_hs. False: no memory. */
static bool
part_put_unfitting(lki_part *part, uint32_t half, uint64_t tag, const void *object)
{
    if (part->unfitting.map == NULL) {
        ck_hs_t made;
        if (!ck_hs_init(&made, CK_HS_MODE_SPMC | CK_HS_MODE_DIRECT, word_hash, word_compare,
                        &map_allocator, MAP_MIN, 0))
            return false;
        /* All but the map, which is published last: walks may run meanwhile. */
        part->unfitting.m = made.m;
        part->unfitting.mode = made.mode;
        part->unfitting.seed = made.seed;
        part->unfitting.hf = made.hf;
        part->unfitting.compare = made.compare;
        ck_pr_fence_store();
        ck_pr_store_ptr(&part->unfitting.map, made.map);
    }
    /* P3: ck_hs_put_unique does not order the object before its slot on weakly ordered machines */
    ck_pr_fence_store();
    LKI_TSAN_RELEASE(object); /* to lki_part_walk_unfitting */
    return ck_hs_put_unique(&part->unfitting, half,
                            (const void *)((uintptr_t)object | (uintptr_t)(tag << 48)));
}

/* A bit in the first byte that is 0, and no lower bit; 0: no byte is 0. */
static uint64_t
tags_empty(uint64_t tags)
{
    uint64_t x = tags | ~LKI_BUCKET_TAGS;
    return (x - LKI_BYTES) & ~x & (LKI_BYTES << 7);
}

bool
lki_part_put(lki_set *set, lki_thread *thread, lki_part *part, uint32_t half, uint64_t tag,
             const void *object)
{
    lki_bucket *bucket = lki_part_bucket(part, half);
    uint64_t tags = lki_load_relaxed(&bucket->tags); /* under the latch */
    uint64_t empty = tags_empty(tags);
    if (LKI_LIKELY(empty != 0)) {
        unsigned slot = (unsigned)__builtin_ctzll(empty) / 8;
        lki_store_release(&bucket->object[slot], (uintptr_t)object); /* P3: to lki_bucket_find */
        lki_store_release(&bucket->tags, tags | tag << 8 * slot);    /* P3 */
    } else {
        running_set(set, thread);
        if (!part_put_unfitting(part, half, tag, object))
            return false;
        /* The mark last: a reader that sees it finds the object in the ck_hs. */
        lki_store_release(&bucket->tags, tags | LKI_BUCKET_FULL); /* P3 */
    }
    part->count++;
    return true;
}

/* The slot of an object in its bucket; negative: none. A slot without a tag is empty, whatever its
 * pointer. */
static int
bucket_slot(lki_bucket *bucket, const void *object)
{
    int slot = LKI_BUCKET_SLOTS - 1;
    uint64_t tags = lki_load_relaxed(&bucket->tags); /* under the latch, as below */
    while (slot >= 0 && ((tags >> 8 * slot & 0xff) == 0 ||
                         lki_load_relaxed(&bucket->object[slot]) != (uintptr_t)object))
        slot--;
    return slot;
}

bool
lki_part_spread(lki_set *set, const lki_part *old, lki_part *made[2])
{
    lki_bucket *buckets = old->block.lines;
    unsigned shift = 31 - old->depth, two = made[1] != NULL;
    ck_hs_iterator_t at = CK_HS_ITERATOR_INITIALIZER;
    ck_hs_t view = old->unfitting;
    void *word;
    for (size_t i = 0; i < old->buckets + (size_t)PREFETCH_AHEAD; i++) {
        for (unsigned j = 0; i < old->buckets && j < LKI_BUCKET_SLOTS; j++)
            LKI_PREFETCH(lki_load_relaxed(&buckets[i].object[j])); /* under the latch, as below */
        if (i < PREFETCH_AHEAD)
            continue;
        lki_bucket *bucket = &buckets[i - PREFETCH_AHEAD];
        uint64_t tags = lki_load_relaxed(&bucket->tags) & LKI_BUCKET_TAGS;
        for (unsigned j = 0; tags != 0; j++, tags >>= 8) {
            if ((tags & 0xff) == 0)
                continue;
            const void *object = (const void *)lki_load_relaxed(&bucket->object[j]);
            uint32_t half = lki_object_half(object);
            if (!lki_part_put(set, NULL, made[two & half >> shift], half, tags & 0xff, object))
                return false;
        }
    }
    while (view.map != NULL && ck_hs_next(&view, &at, &word)) {
        uint32_t half = lki_object_half(word_pointer(word));
        if (!lki_part_put(set, NULL, made[two & half >> shift], half, (uintptr_t)word >> 48,
                          word_pointer(word)))
            return false;
    }
    return true;
}

void
lki_part_take(lki_set *set, lki_thread *thread, lki_part *part, const void *object)
{
    uint32_t half = lki_object_half(object);
    lki_bucket *bucket = lki_part_bucket(part, half);
    int slot = bucket_slot(bucket, object);
    if (slot >= 0) {
        /* The pointer stays, for readers that have seen the tag, until the slot is used again. */
        uint64_t tags = lki_load_relaxed(&bucket->tags); /* under the latch */
        lki_store_release(&bucket->tags, tags & ~((uint64_t)0xff << 8 * slot)); /* P3 */
    } else {
        probe p = {NULL, object, 0, NULL};
        running_set(set, thread);
        void *removed = ck_hs_remove(&part->unfitting, half, probe_key(&p));
        LK_ASSERT(removed != NULL);
        (void)removed;
        part->taken_out++;
    }
    part->count--;
}

/* ---- reading ---- */

bool
lki_part_has(lki_part *part, uint32_t half, uint64_t hash, const void *object)
{
    lki_bucket *bucket = lki_part_bucket(part, half);
    uint64_t tags = lki_load_relaxed(&bucket->tags); /* under the latch, as below */
    for (unsigned m = lki_bucket_matches(tags, hash); m != 0; m &= m - 1)
        if (lki_load_relaxed(lki_bucket_object(bucket, m)) == (uintptr_t)object)
            return true;
    probe p = {NULL, object, 0, NULL};
    return LKI_UNLIKELY((tags & LKI_BUCKET_FULL) != 0) &&
           ck_hs_get(&part->unfitting, half, probe_key(&p)) != NULL;
}

void *
lki_part_get(lki_part *part, const lki_hashed *hashed, lki_is is)
{
    lki_bucket *bucket = lki_part_bucket(part, (uint32_t)(hashed->hash / LKI_LINE));
    uint64_t tags = lki_load_acquire(&bucket->tags); /* P3 */
    for (unsigned m = lki_bucket_matches(tags, hashed->hash); m != 0; m &= m - 1) {
        void *object = (void *)lki_load_acquire(lki_bucket_object(bucket, m)); /* P3 */
        if (is(object, hashed))
            return object;
    }
    if (LKI_LIKELY((tags & LKI_BUCKET_FULL) == 0))
        return NULL;
    probe p = {hashed, NULL, lki_set_tag(hashed->hash), is};
    return word_pointer(ck_hs_get(&part->unfitting, lki_half_of(hashed->hash), probe_key(&p)));
}

size_t
lki_bucket_walk(lki_bucket *bucket, void **objects)
{
    size_t count = 0;
    uint64_t tags = lki_load_acquire(&bucket->tags) & LKI_BUCKET_TAGS; /* P3 */
    for (unsigned i = 0; tags != 0; i++, tags >>= 8) {
        objects[count] = (void *)lki_load_acquire(&bucket->object[i]); /* P3 */
        if ((tags & 0xff) == 0)
            continue;
        LKI_PREFETCH(objects[count]);
        count++;
    }
    return count;
}

/* A replaced map is walked from its beginning. */
size_t
lki_part_walk_unfitting(lki_part *part, lki_set_position *at, void **objects, size_t room)
{
    ck_hs_t view = {.map = ck_pr_load_ptr(&part->unfitting.map)}; /* one load: one map */
    size_t count = 0;
    void *word;
    if (view.map == NULL)
        return 0;
    LKI_TSAN_ACQUIRE(view.map);
    const map_header *header = (const map_header *)(const void *)view.map - 1;
    if (at->map != header->number)
        at->offset = 0;
    at->map = header->number;
    ck_hs_iterator_t next = {.offset = at->offset};
    while (count < room && ck_hs_next(&view, &next, &word)) {
        objects[count] = word_pointer(word);
        LKI_TSAN_ACQUIRE(objects[count]);
        LKI_PREFETCH(objects[count]);
        count++;
    }
    at->offset = next.offset;
    return count;
}

/* ---- checking ---- */

/* Each object has the first bits of the part, those of `first`, and the last bits of its bucket.
 * For each object in the ck_hs the bucket has the mark, and no slot. */
size_t
lki_part_check(lki_part *part)
{
    lki_bucket *buckets = part->block.lines;
    ck_hs_iterator_t at = CK_HS_ITERATOR_INITIALIZER;
    size_t count = 0;
    void *word, *first = NULL;
    for (size_t i = 0; i < part->buckets; i++) {
        uint64_t tags = lki_load_relaxed(&buckets[i].tags); /* under the latch, as below */
        for (unsigned j = 0; j < LKI_BUCKET_SLOTS; j++) {
            void *object = (void *)lki_load_relaxed(&buckets[i].object[j]);
            if ((tags >> 8 * j & 0xff) == 0)
                continue;
            if (object == NULL)
                return SIZE_MAX;
            count++;
            first = first != NULL ? first : object;
            uint64_t other = lki_object_half(object) ^ lki_object_half(first);
            if (lki_part_bucket(part, lki_object_half(object)) != &buckets[i] ||
                other >> (32 - part->depth) != 0)
                return SIZE_MAX;
        }
    }
    while (part->unfitting.map != NULL && ck_hs_next(&part->unfitting, &at, &word)) {
        uint32_t half = lki_object_half(word_pointer(word));
        lki_bucket *bucket = lki_part_bucket(part, half);
        uint64_t other = half ^ (first != NULL ? lki_object_half(first) : half);
        if ((lki_load_relaxed(&bucket->tags) & LKI_BUCKET_FULL) == 0 ||
            bucket_slot(bucket, word_pointer(word)) >= 0 || other >> (32 - part->depth) != 0)
            return SIZE_MAX;
        count++;
    }
    return count == part->count ? count : SIZE_MAX;
}
