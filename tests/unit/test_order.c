/* SPDX-License-Identifier: MIT
 *
 * The ordered set against a sorted array, in one thread: few keys that collide in every way, towers
 * of every height, walks that stand on what was removed, every allocation failing, and no block
 * left at the end. A failure prints the seed; LK_TEST_SEED repeats it.
 */
#include "base/order.h"
#include "support/domain_rig.h"

enum { MODEL_MAX = 1 << 15, KEY_ROOM = 65535 };

/* ---- the rig: a domain whose memory is counted, a set, the sorted array that it equals ---- */

typedef struct rig {
    lki_order order;
    const lki_entry **model; /* sorted */
    size_t disposals;        /* of retired entries */
    uint64_t ids;
} rig;

static rig *rig_now;

/* Nothing that is disposed of is still linked, at any level. */
static bool
object_dispose(lki_thread *thread, void *object)
{
    const lki_entry *gone = object;
    for (unsigned level = 0; level < gone->height && base.count < 64; level++) {
        uintptr_t link = lki_load_relaxed(&rig_now->order.head[level]);
        while (link != 0) {
            const lki_entry *entry = (const lki_entry *)link;
            EXPECT(entry != gone && (link & 1) == 0);
            link = lki_load_relaxed(&entry->next[level]);
        }
    }
    rig_now->disposals++;
    return ((const lki_object *)object)->dispose(thread, object);
}

static int
rig_open(void **state)
{
    rig *r = calloc(1, sizeof *r);
    r->model = calloc(MODEL_MAX, sizeof *r->model);
    base_open(1 << 20, LKI_OBJECT, object_dispose);
    rig_now = r;
    *state = r;
    return 0;
}

/* Whatever a test left is freed, and nothing may be left then. */
static int
rig_close(void **state)
{
    rig *r = *state;
    lki_order_close(&r->order, &base.domain.allocator);
    base.count = lki_order_check(&r->order);
    EXPECT(base.count == 0);
    int left = base_close(); /* what is disposed of may look at the rest */
    free(r->model);
    free(r);
    return left;
}

/* ---- the model ---- */

typedef struct name {
    uint64_t rank, to;
    lk_bytes key;
} name;

static int
name_compare(const lki_entry *a, const name *b)
{
    size_t size = a->size < b->key.size ? a->size : b->key.size;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    int order = size > 0 ? memcmp(lki_entry_key(a), b->key.data, size) : 0;
    if (order == 0)
        order = (a->size > b->key.size) - (a->size < b->key.size);
    return order != 0 ? order : (a->to > b->to) - (a->to < b->to);
}

static size_t
model_find(const rig *r, const name *n, bool *found)
{
    size_t low = 0, high = base.count;
    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = name_compare(r->model[middle], n);
        *found |= order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static name
name_of(const lki_entry *entry)
{
    return (name){entry->rank, entry->to, {lki_entry_key(entry), entry->size}};
}

static lki_entry *
entry_make(rig *r, const name *n)
{
    lki_entry *entry = lki_entry_new(base.thread, n->rank, n->key, ++r->ids, n->to);
    EXPECT(entry != NULL && entry->rank == n->rank && entry->to == n->to && entry->from == r->ids);
    EXPECT(entry->size == n->key.size && entry->height >= 1 && entry->height <= LKI_ORDER_LEVELS);
    EXPECT(n->key.size == 0 || memcmp(lki_entry_key(entry), n->key.data, n->key.size) == 0);
    return entry;
}

static void
rig_insert(rig *r, const name *n)
{
    bool there;
    size_t at = model_find(r, n, &there);
    lki_write_enter(base.thread);
    lki_entry *entry = entry_make(r, n);
    EXPECT(lki_reserve(base.thread, 1));
    EXPECT(lki_order_insert(&r->order, base.thread, entry) == !there);
    if (there) {
        lki_entry_discard(base.thread, entry);
    } else {
        memmove(r->model + at + 1, r->model + at, (base.count++ - at) * sizeof r->model[0]);
        r->model[at] = entry;
    }
    lki_write_leave(base.thread);
}

static void
rig_remove(rig *r, const name *n)
{
    bool there;
    size_t at = model_find(r, n, &there);
    lki_write_enter(base.thread);
    EXPECT(lki_reserve(base.thread, 1));
    uint64_t before = lki_load_relaxed(&base.thread->counter[LKI_RETIRED]);
    EXPECT(lki_order_remove(&r->order, base.thread, n->rank, n->key, n->to) == there);
    EXPECT(lki_load_relaxed(&base.thread->counter[LKI_RETIRED]) == before + there);
    lki_write_leave(base.thread);
    if (there)
        memmove(r->model + at, r->model + at + 1, (--base.count - at) * sizeof r->model[0]);
}

static void
rig_remove_at(rig *r, size_t at)
{
    /* The name lies in the entry: it is there until the section has ended. */
    lki_enter(base.thread);
    const name n = name_of(r->model[at]);
    rig_remove(r, &n);
    lki_leave(base.thread);
}

static void
rig_check(rig *r)
{
    EXPECT(lki_order_check(&r->order) == base.count);
    const lki_entry *entry = lki_order_first(&r->order);
    for (size_t i = 0; i < base.count; i++, entry = lki_order_next(entry))
        EXPECT(entry == r->model[i]);
    EXPECT(entry == NULL);
}

static void
rig_empty(rig *r)
{
    while (base.count > 0)
        rig_remove_at(r, base_draw(base.count));
    rig_check(r);
    for (unsigned level = 0; level < LKI_ORDER_LEVELS; level++)
        EXPECT(lki_load_relaxed(&r->order.head[level]) == 0);
}

/* ---- families of names ---- */

typedef name (*family)(unsigned char *key);

static uint64_t
number_tiny(void)
{
    static const uint64_t numbers[] = {0, 1, UINT64_C(1) << 63, UINT64_MAX};
    return numbers[base_draw(4)];
}

static size_t
tail_make(unsigned char *key, size_t longest)
{
    static const unsigned char alphabet[] = {0x00, 0x00, 0x01, 0x7f, 0x80, 0xff};
    size_t size = base_draw(longest + 1);
    for (size_t i = 0; i < size; i++)
        key[i] = alphabet[base_draw(sizeof alphabet)];
    return size;
}

/* Everything decides: rank, bytes, size, `to`. */
static name
name_tiny(unsigned char *key)
{
    uint64_t rank = number_tiny(), to = number_tiny();
    return (name){rank, to, {key, tail_make(key, 3)}};
}

/* One rank, no bytes: `to` alone. */
static name
name_bare(unsigned char *key)
{
    (void)key;
    return (name){7, base_draw(2) != 0 ? base_draw(50) : number_tiny(), {NULL, 0}};
}

/* Keys that differ late, in entries of every class of chunks and larger ones. */
static name
name_long(unsigned char *key)
{
    static const size_t sizes[] = {0, 7, 60, 199, 200, 208, 216, 300, 5000, KEY_ROOM - 4};
    size_t size = sizes[base_draw(10)];
    memset(key, 'x', size);
    return (name){0, base_draw(2), {key, size + tail_make(key + size, 2)}};
}

static name
name_dated(unsigned char *key)
{
    int size = snprintf((char *)key, 32, "job:%08llu", (unsigned long long)base_draw(3000));
    return (name){base_draw(100), 0, {key, (size_t)size}};
}

static const family families[] = {name_tiny, name_bare, name_long, name_dated};
enum { FAMILIES = sizeof families / sizeof families[0] };

/* ---- tests ---- */

static lk_bytes
text(const char *string)
{
    return (lk_bytes){string, strlen(string)};
}

static void
test_order_empty_has_no_first(void **state)
{
    rig *r = *state;
    const name none[] = {{0, 0, {NULL, 0}}, {UINT64_MAX, UINT64_MAX, {"\xff", 1}}};
    rig_check(r);
    rig_remove(r, &none[0]);
    rig_remove(r, &none[1]);
    rig_check(r);
}

static void
test_order_is_by_rank_then_key_then_to(void **state)
{
    rig *r = *state;
    const name sorted[] = {{0, UINT64_MAX, {"\xff\xff", 2}},
                           {1, 0, {NULL, 0}},
                           {1, 5, {NULL, 0}},
                           {1, 0, {"\0", 1}},
                           {1, 0, {"\0\0", 2}},
                           {1, 9, text("a")},
                           {1, 0, text("ab")},
                           {1, 0, text("b")},
                           {1, 1, text("b")},
                           {1, UINT64_MAX, text("b")},
                           {1, 0, {"\x80", 1}},
                           {2, 0, {NULL, 0}},
                           {UINT64_C(1) << 63, 0, {"", 0}},
                           {UINT64_MAX, 0, {"", 0}}};
    enum { COUNT = sizeof sorted / sizeof sorted[0] };
    for (size_t i = 0; i < COUNT; i++)
        rig_insert(r, &sorted[i * 5 % COUNT]); /* 5 has no factor in common with 14 */
    const lki_entry *entry = lki_order_first(&r->order);
    for (size_t i = 0; i < COUNT; i++, entry = lki_order_next(entry))
        EXPECT(entry != NULL && name_compare(entry, &sorted[i]) == 0);
    EXPECT(entry == NULL);
    rig_check(r);
    rig_empty(r);
}

static void
test_order_equal_entry_stays_the_callers(void **state)
{
    rig *r = *state;
    const name n = {3, 4, text("key")};
    rig_insert(r, &n);
    const lki_entry *first = lki_order_first(&r->order);
    for (int i = 0; i < 200; i++) /* of every height; with another `from` */
        rig_insert(r, &n);
    EXPECT(base.count == 1 && lki_order_first(&r->order) == first);
    const name others[] = {{3, 5, text("key")}, {2, 4, text("key")}, {3, 4, text("ke")}};
    for (size_t i = 0; i < 3; i++)
        rig_remove(r, &others[i]);
    EXPECT(base.count == 1);
    rig_remove(r, &n);
    rig_remove(r, &n);
    rig_check(r);
}

static void
test_order_discarded_entries_leave_nothing(void **state)
{
    rig *r = *state;
    static unsigned char key[1000];
    lki_entry_discard(base.thread, NULL);
    for (size_t size = 0; size < sizeof key; size++) {
        const name n = {size, 0, {key, size}};
        lki_entry_discard(base.thread, entry_make(r, &n));
    }
}

static void
test_order_heights_fall_by_a_quarter(void **state)
{
    rig *r = *state;
    enum { DRAWS = 1 << 16 };
    const name n = {0, 0, {NULL, 0}};
    size_t at_least[LKI_ORDER_LEVELS + 2] = {0};
    for (size_t i = 0; i < DRAWS; i++) {
        lki_entry *entry = entry_make(r, &n);
        for (unsigned height = 1; height <= entry->height; height++)
            at_least[height]++;
        lki_entry_discard(base.thread, entry);
    }
    EXPECT(at_least[1] == DRAWS);
    for (size_t height = 2, expected = DRAWS / 4; height <= 5; height++, expected /= 4)
        EXPECT(at_least[height] > expected * 4 / 5 && at_least[height] < expected * 6 / 5);
    EXPECT(at_least[12] < 20);
}

static void
test_order_random_life_matches_sorted_array(void **state)
{
    rig *r = *state;
    unsigned char *key = malloc(KEY_ROOM);
    for (size_t f = 0; f < FAMILIES; f++) {
        uint64_t steps = test_scaled(60000);
        for (uint64_t i = 0; i < steps; i++) {
            const name n = families[f](key);
            if (base_draw(10) < (i / 3000 % 2 == 0 ? 7 : 3))
                rig_insert(r, &n);
            else
                rig_remove(r, &n);
            if (i % 64 == 0)
                rig_check(r);
        }
        rig_check(r);
        rig_empty(r);
    }
    free(key);
}

/* As the queue does: in at the end, out at the front. */
static void
test_order_line_is_served_in_order(void **state)
{
    rig *r = *state;
    uint64_t next = 0, steps = test_scaled(100000);
    char key[32];
    for (uint64_t i = 0; i < steps; i++) {
        if (base.count == 0 || (base.count < 2000 && base_draw(2) == 0)) {
            int size = snprintf(key, sizeof key, "%012llu", (unsigned long long)next++);
            const name n = {0, 0, {key, (size_t)size}};
            rig_insert(r, &n);
        } else {
            EXPECT(lki_order_first(&r->order) == r->model[0]);
            rig_remove_at(r, 0);
        }
    }
    rig_check(r);
}

/* A walk that stands on a removed entry goes on to what is there now, past others that went, and
 * does not leave its section's memory. */
static void
test_order_walk_goes_on_from_removed(void **state)
{
    rig *r = *state;
    unsigned char key[8];
    uint64_t rounds = test_scaled(3000);
    for (uint64_t i = 0; i < rounds; i++) {
        while (base.count < 20) {
            const name n = name_tiny(key);
            rig_insert(r, &n);
        }
        size_t at = base_draw(base.count), run = base_draw(base.count - at);
        lki_enter(base.thread);
        const lki_entry *entry = r->model[at];
        if (base_draw(2) == 0) { /* upwards: each has led to one that went after it */
            for (size_t n = 0; n <= run; n++)
                rig_remove_at(r, at);
        } else {
            for (size_t n = 0; n <= run; n++)
                rig_remove_at(r, at + run - n);
        }
        EXPECT(lki_order_next(entry) == (at < base.count ? r->model[at] : NULL));
        lki_leave(base.thread);
    }
    rig_check(r);
    rig_empty(r);
}

static void
test_order_removed_entries_are_disposed_of_once(void **state)
{
    rig *r = *state;
    size_t live = base.live;
    for (uint64_t i = 0; i < 1000; i++) {
        const name n = {i, 0, text("key")};
        rig_insert(r, &n);
    }
    rig_empty(r);
    (void)lki_reclaim_now(base.thread);
    EXPECT(r->disposals == 1000);
    EXPECT(base.live <= live + 4); /* empty batches */
}

static void
test_order_closed_frees_what_is_in_it(void **state)
{
    rig *r = *state; /* rig_close counts the blocks */
    unsigned char *key = malloc(KEY_ROOM);
    for (size_t f = 0; f < FAMILIES; f++) {
        for (int i = 0; i < 300; i++) {
            const name n = families[f](key);
            rig_insert(r, &n);
        }
    }
    free(key);
}

/* Each allocation of an insertion and of a removal fails once: it has no effect, and can be
 * repeated. */
static void
test_order_failed_allocation_changes_nothing(void **state)
{
    rig *r = *state;
    unsigned char *key = malloc(KEY_ROOM);
    uint64_t steps = test_scaled(4000);
    for (uint64_t i = 0; i < steps; i++) {
        const name n = families[i % FAMILIES](key);
        bool insert = base_draw(10) < (i / 500 % 2 == 0 ? 8 : 2), ready = false;
        for (uint64_t nth = 1; !ready; nth++) {
            base.failed = 0;
            lki_write_enter(base.thread);
            base.fail_at = nth;
            lki_entry *entry = insert ? lki_entry_new(base.thread, n.rank, n.key, 0, n.to) : NULL;
            ready = (entry != NULL || !insert) && lki_reserve(base.thread, 1);
            base.fail_at = 0;
            lki_entry_discard(base.thread, entry);
            lki_write_leave(base.thread);
            EXPECT(base.failed == !ready);
        }
        if (insert)
            rig_insert(r, &n);
        else
            rig_remove(r, &n);
        if (i % 50 == 0) {
            rig_check(r);
            (void)lki_reclaim_now(base.thread); /* gives free chunks back */
        }
    }
    free(key);
    rig_empty(r);
}

/* A search after which nothing is allocated: neither insertion nor removal may need memory. */
static void
test_order_changes_allocate_nothing(void **state)
{
    rig *r = *state;
    for (uint64_t i = 0; i < 3000; i++) {
        const name n = {i * 7919 % 3000, 0, {NULL, 0}};
        lki_write_enter(base.thread);
        lki_entry *entry = entry_make(r, &n);
        EXPECT(lki_reserve(base.thread, 1));
        size_t live = base.live;
        base.fail_at = 1;
        EXPECT(lki_order_insert(&r->order, base.thread, entry));
        if (i % 3 != 0)
            EXPECT(lki_order_remove(&r->order, base.thread, n.rank, n.key, n.to));
        EXPECT(base.fail_at == 1 && base.live == live);
        base.fail_at = 0;
        lki_write_leave(base.thread);
    }
    EXPECT(lki_order_check(&r->order) == 1000);
}

#define ORDER_TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ORDER_TEST(test_order_empty_has_no_first),
        ORDER_TEST(test_order_is_by_rank_then_key_then_to),
        ORDER_TEST(test_order_equal_entry_stays_the_callers),
        ORDER_TEST(test_order_discarded_entries_leave_nothing),
        ORDER_TEST(test_order_heights_fall_by_a_quarter),
        ORDER_TEST(test_order_random_life_matches_sorted_array),
        ORDER_TEST(test_order_line_is_served_in_order),
        ORDER_TEST(test_order_walk_goes_on_from_removed),
        ORDER_TEST(test_order_removed_entries_are_disposed_of_once),
        ORDER_TEST(test_order_closed_frees_what_is_in_it),
        ORDER_TEST(test_order_failed_allocation_changes_nothing),
        ORDER_TEST(test_order_changes_allocate_nothing),
    };
    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
