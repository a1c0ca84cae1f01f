/* SPDX-License-Identifier: MIT
 *
 * What the tests of the ordered index share: a domain whose memory is counted, an index, the sorted
 * array that it must equal, and families of keys that collide in every way. A failure prints the
 * seed; LK_TEST_SEED repeats it.
 */
#ifndef LATCHKEY_TESTS_INDEX_RIG_H
#define LATCHKEY_TESTS_INDEX_RIG_H

#include "store/index.h"
#include "support/domain_rig.h"

enum { MODEL_MAX = 1 << 17, LEAF_CELLS = 62 };

/* ---- the rig: a domain whose memory is counted, an index, and the sorted array that it must
 * equal ---- */

typedef struct rig {
    lki_index index;
    lki_cell **model; /* sorted */
} rig;

static inline int
rig_open(void **state)
{
    rig *r = calloc(1, sizeof *r);
    r->model = calloc(MODEL_MAX, sizeof *r->model);
    base_open(1 << 20, LKI_NODE, lki_index_dispose);
    *state = r;
    return 0;
}

/* Whatever a test left is freed, and nothing may be left then. */
static inline int
rig_close(void **state)
{
    rig *r = *state;
    lki_index_destroy(&r->index, &base.domain.allocator);
    for (size_t i = 0; i < base.count; i++)
        free(r->model[i]);
    int left = base_close(); /* what is disposed of may look at the rest */
    free(r->model);
    free(r);
    return left;
}

static inline lki_cell *
cell_make(const void *sk, size_t size)
{
    lki_cell *cell = calloc(1, sizeof *cell + 1 + size);
    cell->pk_size = 1;
    cell->sk_size = (uint16_t)size;
    cell->bytes[0] = 'p';
    if (size > 0)
        memcpy(cell->bytes + 1, sk, size);
    return cell;
}

static inline int
key_compare(const void *a, size_t a_size, const void *b, size_t b_size)
{
    size_t size = a_size < b_size ? a_size : b_size;
    int order = size > 0 ? memcmp(a, b, size) : 0;
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* The first cell of the model that is not less. */
static inline size_t
model_find(const rig *r, const void *sk, size_t size, bool *found)
{
    size_t low = 0, high = base.count;
    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const lki_cell *cell = r->model[middle];
        int order = key_compare(lki_cell_sk(cell), cell->sk_size, sk, size);
        *found |= order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline void
model_insert(rig *r, size_t at, lki_cell *cell)
{
    memmove(r->model + at + 1, r->model + at, (base.count++ - at) * sizeof r->model[0]);
    r->model[at] = cell;
}

static inline void
model_remove(rig *r, size_t at)
{
    memmove(r->model + at, r->model + at + 1, (--base.count - at) * sizeof r->model[0]);
}

static inline bool
index_remove(rig *r, lki_cell *cell)
{
    lki_write_enter(base.thread);
    bool removed = lki_index_remove_latched(&r->index, base.thread, cell);
    lki_write_leave(base.thread);
    return removed;
}

static inline lki_index_found
index_insert(rig *r, lki_cell *cell, bool (*replace)(const lki_cell *), lki_cell **existing)
{
    lki_write_enter(base.thread);
    lki_index_found found =
        lki_index_insert_latched(&r->index, base.thread, cell, replace, existing);
    lki_write_leave(base.thread);
    return found;
}

/* Inserts a key into both; if it is there, the index must say which cell it is. */
static inline void
rig_insert(rig *r, const void *sk, size_t size)
{
    bool there;
    size_t at = model_find(r, sk, size, &there);
    lki_cell *cell = cell_make(sk, size), *existing = NULL;
    lki_index_found found = index_insert(r, cell, NULL, &existing);
    if (there) {
        EXPECT(found == LKI_INDEX_EXISTS && existing == r->model[at]);
        free(cell);
    } else {
        EXPECT(found == LKI_INDEX_ADDED && existing == NULL);
        model_insert(r, at, cell);
    }
}

/* Removes a cell from both; it is the caller's then. */
static inline lki_cell *
rig_take_at(rig *r, size_t at)
{
    lki_cell *cell = r->model[at];
    EXPECT(index_remove(r, cell));
    model_remove(r, at);
    return cell;
}

static inline void
rig_remove_at(rig *r, size_t at)
{
    free(rig_take_at(r, at));
}

static inline void
rig_insert_number(rig *r, const char *format, uint64_t number)
{
    char text[64];
    int size = snprintf(text, sizeof text, format, (unsigned long long)number);
    rig_insert(r, text, (size_t)size);
}

static inline void
rig_check(rig *r)
{
    size_t nodes, bytes;
    EXPECT(lki_index_check(&r->index, &nodes, &bytes) == base.count);
    EXPECT((nodes == 0) == (base.count <= 1) && (bytes == 0) == (nodes == 0));
}

/* The walk must return model[first], model[first + 1], .. to the end, or downwards from
 * model[first - 1]. */
static inline void
walk_expect(rig *r, const lk_bytes *from, bool strict, bool reverse, size_t first, size_t limit)
{
    lki_cell *cells[200];
    lki_index_walk walk;
    size_t seen = 0, left = reverse ? first : base.count - first;
    lki_index_walk_begin(&walk, &r->index, from, strict, reverse);
    while (seen < limit) {
        size_t room = 1 + base_draw(base_draw(2) != 0 ? 5 : 200);
        size_t taken = lki_index_walk_next(&walk, cells, room);
        EXPECT(taken == (left - seen < room ? left - seen : room));
        for (size_t i = 0; i < taken; i++, seen++)
            EXPECT(cells[i] == r->model[reverse ? first - 1 - seen : first + seen]);
        if (taken < room) {
            EXPECT(seen == left);
            EXPECT(lki_index_walk_next(&walk, cells, room) == 0);
            return;
        }
    }
}

/* Walks from this key: as it is, without its end, and with something behind it; it need not be
 * in the index. */
static inline void
walks_expect_from(rig *r, const void *sk, size_t size, size_t limit)
{
    bool found;
    size_t at = model_find(r, sk, size, &found);
    const lk_bytes from = {sk, size};
    walk_expect(r, &from, false, false, at, limit);
    walk_expect(r, &from, true, false, at + found, limit);
    walk_expect(r, &from, false, true, at, limit);
}

static inline void
walks_expect(rig *r, size_t boundaries)
{
    walk_expect(r, NULL, false, false, 0, SIZE_MAX);
    walk_expect(r, NULL, false, true, base.count, SIZE_MAX);
    for (size_t i = 0; i < boundaries && base.count > 0; i++) {
        lki_cell *cell =
            r->model[boundaries >= base.count ? i % base.count : base_draw(base.count)];
        size_t size = cell->sk_size;
        unsigned char *sk = malloc(size + 1);
        memcpy(sk, lki_cell_sk(cell), size);
        sk[size] = base_draw(2) != 0 ? 0 : 0xff;
        walks_expect_from(r, sk, size, 150);
        walks_expect_from(r, sk, size + 1, 150);
        if (size > 0) {
            walks_expect_from(r, sk, size - 1, 150);
            sk[base_draw(size)] ^= (unsigned char)(1 + base_draw(255));
            walks_expect_from(r, sk, size, 150);
        }
        free(sk);
    }
}

/* ---- families of keys ---- */

typedef size_t (*family)(unsigned char *key);
enum { KEY_ROOM = 400 };

static inline size_t
tail_make(unsigned char *key, size_t longest)
{
    static const unsigned char alphabet[] = {0x00, 0x00, 0x01, 'a', 0xff};
    size_t size = base_draw(longest + 1);
    for (size_t i = 0; i < size; i++)
        key[i] = alphabet[base_draw(sizeof alphabet)];
    return size;
}

/* Few symbols, among them the padding and its opposite; the empty key; prefixes of each other. */
static inline size_t
key_tiny(unsigned char *key)
{
    return tail_make(key, 6);
}

/* A common prefix that fits into a node, then one of nothing but zeros, as long as a slice and
 * longer. */
static inline size_t
key_prefixed(unsigned char *key)
{
    memcpy(key, "order:2026:", 11);
    size_t zeros = base_draw(3) * 8;
    memset(key + 11, 0, zeros);
    return 11 + zeros + tail_make(key + 11 + zeros, 5);
}

/* A common prefix that does not fit into a node. */
static inline size_t
key_deep(unsigned char *key)
{
    memset(key, 'x', 100);
    return 100 + tail_make(key + 100, 7);
}

/* Groups far apart, each with a long prefix of its own. */
static inline size_t
key_grouped(unsigned char *key)
{
    size_t group = base_draw(5), size = 30 + group * 60;
    memset(key, (int)(group * 63), size);
    key[size - 1] = (unsigned char)base_draw(3);
    return size + tail_make(key + size, 4);
}

static inline size_t
key_number(unsigned char *key)
{
    return (size_t)snprintf((char *)key, KEY_ROOM, "user:%011llu",
                            (unsigned long long)base_draw(100000));
}

static inline size_t
key_binary(unsigned char *key)
{
    uint64_t number = base_draw(1 << 16) << base_draw(48);
    for (size_t i = 0; i < 8; i++)
        key[i] = (unsigned char)(number >> (56 - 8 * i));
    return base_draw(4) == 0 ? base_draw(9) : 8;
}

static const family families[] = {key_tiny,    key_prefixed, key_deep,
                                  key_grouped, key_number,   key_binary};
enum { FAMILIES = sizeof families / sizeof families[0] };

/* One step of a random life: mostly growth or mostly shrinking, by turns. */
static inline void
rig_step(rig *r, family make, bool grow)
{
    unsigned char key[KEY_ROOM];
    bool found;
    size_t size = make(key);
    if (base_draw(10) < (grow ? 8 : 2)) {
        rig_insert(r, key, size);
    } else if (base.count > 0) {
        size_t at = model_find(r, key, size, &found);
        rig_remove_at(r, found ? at : base_draw(base.count));
    }
}

static inline void
rig_empty(rig *r)
{
    while (base.count > 0)
        rig_remove_at(r, base_draw(base.count));
    EXPECT(lki_load_relaxed(&r->index.root) == LKI_EMPTY);
}

#define INDEX_TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)

#endif
