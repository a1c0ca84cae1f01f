/* SPDX-License-Identifier: MIT
 *
 * Sets of keyed objects: how they grow and shrink (set.h).
 *
 * A set is extendible hashing (Fagin, Nievergelt, Pippenger, Strong, 1979). A directory, indexed by
 * the first bits of an object's half of the hash, names parts. A part is an array of buckets,
 * indexed by the last bits, and a ck_hs for what did not fit into them (part.c).
 *
 * Within a part no object moves. A part that is too small is replaced by one with twice the
 * buckets; one of the largest size by two, which divide its objects by one more bit. A part that is
 * nearly empty is replaced by a smaller one, and a part from whose ck_hs much was removed by a
 * clean one. The new parts are complete before the directory names them, and the old one is
 * retired. So a step of growth is one part, of at most 2,560 objects. Hashes are read from the
 * objects, which are prefetched. The directory doubles when a part needs more bits than it has; it
 * never shrinks (16 bytes for each part).
 *
 * A part changes under the latch of its shard; the directory under its own latch, held for a few
 * stores or for its doubling.
 *
 * Invariants  I-set1: an object is in its bucket, or in the ck_hs of its part and its bucket has
 *             the mark.
 *             I-set2: a part lies in one shard.
 *             I-set3: no two objects of a set have the same key.
 * Ordering    P3: a part's contents (part.c), then its directory word; the contents of a directory,
 *             then its address. A reader loads them in the other order (acquire).
 */
#include "base/part.h"

enum {
    LOAD_SMALL =
        LKI_OR_SMALL(4, 1), /* objects for each bucket; a fuller part grows: 2 % do not fit */
    LOAD_MAX =
        LKI_OR_SMALL(5, 2), /* the same for the largest parts: 5 %, as memory counts more there */
    BUCKETS_MAX = LKI_HALF_BUCKETS,      /* of a part */
    BITS_MAX = 32 - LKI_HALF_BUCKET_BITS /* of the directory */
};
_Static_assert((BUCKETS_MAX - 1) * sizeof(lki_bucket) <= UINT16_MAX, "a mask fits into a word");

/* ---- the directory ---- */

/* Number of bits of an index, at least 1. */
static unsigned
directory_bits(uintptr_t directory)
{
    return 64 - (unsigned)(directory & 63);
}

/* A directory has two arrays: the words by which readers probe (lki_word_of), and the parts. */
static _Atomic(uintptr_t) *
directory_words(uintptr_t directory)
{
    return (_Atomic(uintptr_t) *)(directory & ~(uintptr_t)63);
}

static _Atomic(lki_part *) *
directory_parts(uintptr_t directory)
{
    return (_Atomic(lki_part *) *)(directory_words(directory) +
                                   ((size_t)1 << directory_bits(directory)));
}

static size_t
directory_size(unsigned bits)
{
    return (sizeof(uintptr_t) + sizeof(lki_part *)) << bits;
}

static uintptr_t
directory_make(const lki_allocator *allocator, unsigned bits)
{
    void *memory = lki_alloc_lines(allocator, directory_size(bits));
    return memory == NULL ? 0 : (uintptr_t)memory | (64 - bits);
}

static void
directory_put(uintptr_t directory, size_t i, lki_part *part)
{
    uintptr_t word = part == NULL ? 0 : lki_word_of(part->block.lines, part->buckets);
    /* The part first: a thread that finds a word finds that part, or a later one. */
    lki_store_release(&directory_parts(directory)[i], part); /* P3: to part_of */
    lki_store_release(&directory_words(directory)[i], word); /* P3: to lki_set_bucket */
}

/* Doubles the directory. False: no memory. */
static bool
directory_double_latched(lki_set *set, lki_thread *thread)
{
    uintptr_t old = lki_load_relaxed(&set->directory); /* under the latch */
    unsigned bits = directory_bits(old);
    uintptr_t made = directory_make(set->allocator, bits + 1);
    lki_block *block = lki_alloc(set->allocator, sizeof *block);
    if (made == 0 || block == NULL) {
        if (made != 0)
            lki_free_lines(set->allocator, directory_words(made), directory_size(bits + 1));
        lki_free(set->allocator, block, sizeof *block);
        return false;
    }
    for (size_t i = 0; i < (size_t)2 << bits; i++)
        directory_put(made, i, lki_load_relaxed(&directory_parts(old)[i / 2]));
    lki_store_release(&set->directory, made); /* P3: to lki_set_bucket */
    *block =
        (lki_block){{lki_block_dispose}, sizeof *block, directory_words(old), directory_size(bits)};
    lki_retire(thread, LKI_OBJECT, block, block->size + block->lines_size);
    return true;
}

static lki_part *
part_of(const lki_set *set, uint64_t hash)
{
    uintptr_t directory = lki_load_acquire(&set->directory);                        /* P3 */
    return lki_load_acquire(&directory_parts(directory)[hash >> (directory & 63)]); /* P3 */
}

/* ---- changes ---- */

/* Puts one part, or two of one bit more, in the place of the part of `half`. `wait`: for the
 * directory's latch. False: the latch was held, or no memory; nothing changed. */
static bool
directory_replace(lki_set *set, lki_thread *thread, uint32_t half, lki_part *made[2], bool wait)
{
    if (wait)
        lki_latch_take(&set->latch, thread);
    else if (!lki_latch_try(&set->latch))
        return false;
    unsigned depth = made[0]->depth, two = made[1] != NULL;
    bool room = depth <= directory_bits(lki_load_relaxed(&set->directory)) ||
                directory_double_latched(set, thread);
    if (LKI_LIKELY(room)) {
        uintptr_t directory = lki_load_relaxed(&set->directory); /* under the latch */
        unsigned more = directory_bits(directory) - depth;
        size_t first = ((uint64_t)half >> (32 - depth) & ~(uint64_t)two) << more;
        for (size_t i = 0; i < (size_t)(1 + two) << more; i++)
            directory_put(directory, first + i, made[i >> more]);
    }
    lki_latch_drop(&set->latch);
    return room;
}

/* Replaces a part by one or two with so many buckets. False: as directory_replace. */
static bool
part_replace(lki_set *set, lki_thread *thread, lki_part *old, uint32_t half, unsigned parts,
             size_t buckets, bool wait)
{
    lki_part *made[2] = {NULL, NULL};
    bool whole = true;
    for (unsigned i = 0; whole && i < parts; i++) {
        made[i] = lki_part_new(set, &thread->allocator, old->depth + parts - 1, buckets);
        whole = made[i] != NULL;
    }
    if (!whole || !lki_part_spread(set, old, made) ||
        !directory_replace(set, thread, half, made, wait)) {
        lki_part_free(set, made[0]);
        lki_part_free(set, made[1]);
        return false;
    }
    lki_part_retire(set, thread, old);
    return true;
}

/* ---- adding and removing ---- */

/* The half of the hash has no more bits. */
static bool
part_is_largest(const lki_part *part)
{
    return part->depth == BITS_MAX && part->buckets == BUCKETS_MAX;
}

static bool
part_grow(lki_set *set, lki_thread *thread, lki_part *part, uint32_t half)
{
    if (part->buckets < set->buckets_max || part->depth == BITS_MAX)
        return part_replace(set, thread, part, half, 1, (size_t)part->buckets * 2, true);
    return part_replace(set, thread, part, half, 2, part->buckets, true);
}

lki_set_added
lki_set_add_latched(lki_set *set, lki_thread *thread, const void *object, uint64_t hash)
{
    uint32_t half = lki_half_of(hash);
    lki_part *part = part_of(set, hash);
    size_t load = part->buckets < set->buckets_max ? LOAD_SMALL : LOAD_MAX;
    LK_ASSERT(lki_object_half(object) == half);
    if (lki_part_has(part, half, hash, object))
        return LKI_SET_HAS_IT;
    if (LKI_UNLIKELY(part->count >= part->buckets * load) && !part_is_largest(part)) {
        if (!part_grow(set, thread, part, half))
            return LKI_SET_NO_MEMORY;
        part = part_of(set, hash);
    }
    return lki_part_put(set, thread, part, half, lki_set_tag(hash), object) ? LKI_SET_ADDED
                                                                            : LKI_SET_NO_MEMORY;
}

void
lki_set_remove_latched(lki_set *set, lki_thread *thread, const void *object)
{
    uint32_t half = lki_object_half(object);
    lki_part *part = part_of(set, lki_half_hash(half));
    lki_part_take(set, thread, part, object);
    /* If memory runs out here, or the directory's latch is held, the part stays as it is, and the
     * next removal tries again. A removal from a ck_hs leaves a tombstone there, and the mark. */
    if (part->buckets > set->buckets_min && part->count < part->buckets)
        (void)part_replace(set, thread, part, half, 1, part->buckets / 2, false);
    else if (part->taken_out > part->count / 16 + 8)
        (void)part_replace(set, thread, part, half, 1, part->buckets, false);
}

/* ---- reading ---- */

void *
lki_set_get(const lki_set *set, const lki_hashed *hashed)
{
    /* Searches one part throughout: what the caller has seen in an earlier one does not count. */
    return lki_part_get(part_of(set, hashed->hash), hashed, set->is);
}

size_t
lki_set_walk(const lki_set *set, lki_set_position *at, void **objects, size_t room)
{
    size_t count = 0, looked = 0;
    while (!lki_set_is_end(at) && looked < room) {
        lki_part *part = part_of(set, lki_half_hash((uint32_t)at->half));
        if (at->number != part->number) {
            at->number = part->number;
            at->bucket = at->offset = at->map = 0;
        }
        for (; at->bucket < part->buckets && looked < room; at->bucket++, looked++) {
            if (count + LKI_BUCKET_SLOTS > room)
                return count;
            count += lki_bucket_walk((lki_bucket *)part->block.lines + at->bucket, objects + count);
        }
        if (at->bucket < part->buckets)
            break;
        count += lki_part_walk_unfitting(part, at, objects + count, room - count);
        if (count == room)
            break; /* there may be more */
        /* The part may not begin at `half`: while two parts replace one, the directory names the
         * first of them and then still the old one. */
        at->half = ((at->half >> (32 - part->depth)) + 1) << (32 - part->depth);
        at->number = 0;
    }
    return count;
}

void
lki_set_each(const lki_set *set, void (*visit)(void *context, void *object), void *context)
{
    enum { ROOM = 64 };
    void *objects[ROOM];
    lki_set_position at = {0};
    while (!lki_set_is_end(&at)) {
        size_t count = lki_set_walk(set, &at, objects, ROOM);
        for (size_t i = 0; i < count; i++)
            visit(context, objects[i]);
    }
}

/* ---- open and close ---- */

static void
directory_free(lki_set *set, uintptr_t directory)
{
    unsigned bits = directory_bits(directory);
    for (size_t i = 0; i < (size_t)1 << bits;) {
        lki_part *part = lki_load_relaxed(&directory_parts(directory)[i]); /* alone here */
        i += part != NULL ? (size_t)1 << (bits - part->depth) : 1;
        lki_part_free(set, part);
    }
    lki_free_lines(set->allocator, directory_words(directory), directory_size(bits));
}

bool
lki_set_open(lki_set *set, const lki_allocator *allocator, lki_is is, unsigned bits,
             uint64_t expected)
{
    size_t buckets = 1;
    bits += bits == 0;
    while (bits < BITS_MAX && (expected >> bits) > (uint64_t)BUCKETS_MAX * LOAD_MAX)
        bits++;
    while (buckets < BUCKETS_MAX && (expected >> bits) > buckets * LOAD_SMALL)
        buckets *= 2;
    if (expected >> bits > buckets * LOAD_MAX ||
        (expected != 0 && (uint64_t)(buckets * LKI_LINE) << bits > lki_alloc_machine_size() / 8))
        return false;
    set->allocator = allocator;
    set->is = is;
    set->buckets_max = BUCKETS_MAX;
    set->buckets_min = buckets;
    uintptr_t directory = directory_make(allocator, bits);
    if (directory == 0)
        return false;
    for (size_t i = 0; i < (size_t)1 << bits; i++) {
        lki_part *part = lki_part_new(set, allocator, bits, buckets);
        if (part == NULL) {
            directory_free(set, directory);
            return false;
        }
        directory_put(directory, i, part);
    }
    lki_latch_init(&set->latch, LKI_RANK_DIRECTORY);
    lki_store_release(&set->directory, directory); /* P3 */
    return true;
}

void
lki_set_close(lki_set *set)
{
    if (!lki_set_is_open(set))
        return;
    directory_free(set, lki_load_relaxed(&set->directory)); /* no other thread is there */
    lki_latch_destroy(&set->latch);
}

/* ---- checking ---- */

size_t
lki_set_check(lki_set *set)
{
    uintptr_t directory = lki_load_relaxed(&set->directory); /* no other thread is there */
    unsigned bits = directory_bits(directory);
    size_t count = 0;
    for (size_t i = 0; i < (size_t)1 << bits;) {
        lki_part *part = lki_load_relaxed(&directory_parts(directory)[i]);
        size_t places = (size_t)1 << (bits - part->depth), objects = lki_part_check(part);
        uintptr_t word = lki_load_relaxed(&directory_words(directory)[i]);
        if (objects == SIZE_MAX || i % places != 0 || word >> 16 == 0)
            return SIZE_MAX;
        for (size_t j = i; j < i + places; j++)
            if (lki_load_relaxed(&directory_parts(directory)[j]) != part ||
                lki_load_relaxed(&directory_words(directory)[j]) != word)
                return SIZE_MAX;
        count += objects;
        i += places;
    }
    return count;
}
