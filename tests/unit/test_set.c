/* SPDX-License-Identifier: MIT
 *
 * The set against an array, in one thread: hashes that spread and hashes that meet in few buckets,
 * parts that double, split, shrink and are cleaned, walks between changes, every allocation
 * failing, and no block left at the end. A failure prints the seed; LK_TEST_SEED repeats it.
 */
#include "base/part.h"
#include "support/domain_rig.h"

enum { OBJECTS = 6000, ROOM = 16 };

typedef struct object {
    lki_keyed keyed;
    uint64_t id;   /* the key */
    uint64_t hash; /* whole */
    bool there;
    unsigned seen; /* by the walk */
} object;

/* ---- the rig: a domain whose memory is counted, a set, the objects that may be in it ---- */

typedef struct rig {
    lki_set set;
    object *objects;
} rig;

static bool
object_is(const void *o, const lki_hashed *hashed)
{
    return lki_keyed_is(o, offsetof(object, id), hashed);
}

static int
rig_open(void **state)
{
    rig *r = aligned_alloc(LKI_LINE, (sizeof *r + LKI_LINE - 1) & ~(size_t)(LKI_LINE - 1));
    memset(r, 0, sizeof *r);
    r->objects = calloc(OBJECTS, sizeof *r->objects);
    base_open(64 << 20, LKI_OBJECT, NULL);
    *state = r;
    return 0;
}

static int
rig_close(void **state)
{
    rig *r = *state;
    lki_set_close(&r->set);
    int left = base_close(); /* what is disposed of may look at the rest */
    free(r->objects);
    free(r);
    return left;
}

/* A new set; objects whose hashes have so many different first bits, last bits and tags. */
static void
rig_begin(rig *r, unsigned bits, size_t buckets_max, unsigned first, unsigned last, unsigned tags,
          uint64_t expected)
{
    lki_set_close(&r->set);
    memset(&r->set, 0, sizeof r->set);
    EXPECT(lki_set_open(&r->set, &base.domain.allocator, object_is, bits, expected));
    if (buckets_max != 0)
        r->set.buckets_max = buckets_max;
    for (size_t i = 0; i < OBJECTS; i++) {
        uint64_t half = base_draw((uint64_t)1 << first) << (32 - first);
        half |= base_draw((uint64_t)1 << last);
        if (last < 6) /* but different places in the ck_hs */
            half |= base_draw(64) << 6;
        uint64_t hash = lki_half_hash((uint32_t)half) | base_draw((uint64_t)1 << tags) << 24;
        r->objects[i] = (object){{(uint32_t)half, 8, 0}, i, hash, false, 0};
    }
    base.count = 0;
}

static void
object_check(rig *r, object *o)
{
    const lk_key key = {{&o->id, sizeof o->id}, {NULL, 0}};
    lki_hashed hashed = {&key, o->hash, lki_key_sizes(&key), false};
    bool final;
    void *expected = o->there ? o : NULL;
    EXPECT(lki_set_get(&r->set, &hashed) == expected);
    void *found =
        lki_bucket_find(lki_set_bucket(&r->set, o->hash), &hashed, offsetof(object, id), &final);
    EXPECT(found == expected || (found == NULL && !final));
}

/* Adds or removes it. */
static void
object_change(rig *r, object *o)
{
    lki_write_enter(base.thread);
    uint64_t before = lki_load_relaxed(&base.thread->counter[LKI_RETIRED]);
    if (lki_reserve(base.thread, 4)) {
        if (o->there) {
            lki_set_remove_latched(&r->set, base.thread, o);
            o->there = false;
            base.count--;
        } else if (lki_set_add_latched(&r->set, base.thread, o, o->hash) == LKI_SET_ADDED) {
            o->there = true;
            base.count++;
        } else {
            EXPECT(base.failed != 0);
        }
        lki_set_added again = LKI_SET_HAS_IT;
        if (o->there)
            again = lki_set_add_latched(&r->set, base.thread, o, o->hash);
        EXPECT(again == LKI_SET_HAS_IT); /* also where there is no memory */
        EXPECT(lki_load_relaxed(&base.thread->counter[LKI_RETIRED]) <= before + 4);
    }
    lki_write_leave(base.thread);
}

/* The next run of a walk. */
static void
walk_step(rig *r, lki_set_position *at)
{
    void *objects[ROOM];
    size_t count = lki_set_walk(&r->set, at, objects, ROOM);
    EXPECT(count <= ROOM);
    for (size_t i = 0; i < count; i++)
        ((object *)objects[i])->seen++;
}

static void
walk_check(rig *r)
{
    lki_set_position at = {0};
    for (size_t i = 0; i < OBJECTS; i++)
        r->objects[i].seen = 0;
    while (!lki_set_is_end(&at))
        walk_step(r, &at);
    for (size_t i = 0; i < OBJECTS; i++)
        EXPECT(r->objects[i].seen == r->objects[i].there);
    EXPECT(lki_set_check(&r->set) == base.count);
}

/* Up to `count` objects, and back to nothing, and everything in between. */
static void
rig_changes(rig *r, size_t count, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        bool grows = (i * 4 / steps) % 2 == 0;
        object *o = &r->objects[base_draw(count)];
        for (unsigned tries = 0; tries < 3 && o->there == grows; tries++)
            o = &r->objects[base_draw(count)];
        object_change(r, o);
        object_check(r, o);
        object_check(r, &r->objects[base_draw(count)]);
        if (i % (steps / 8) == 0)
            walk_check(r);
    }
    for (size_t i = 0; i < count; i++)
        object_check(r, &r->objects[i]);
    walk_check(r);
    for (size_t i = 0; i < count; i++)
        if (r->objects[i].there)
            object_change(r, &r->objects[i]);
    walk_check(r);
    (void)lki_reclaim_now(base.thread);
}

static void
test_set_any_changes_equals_model(void **state)
{
    rig *r = *state;
    for (uint64_t round = 0; round < test_scaled(4); round++) {
        rig_begin(r, 0, 0, 16, 16, 8, 0); /* one shard: 1 to 1,024 buckets */
        rig_changes(r, OBJECTS, 40000);
        rig_begin(r, 4, 4, 16, 16, 8, 0); /* small parts, many bits of the directory */
        rig_changes(r, OBJECTS, 40000);
        rig_begin(r, 8, 0, 16, 16, 2, 0); /* tags that are often the same */
        rig_changes(r, OBJECTS, 20000);
    }
}

static void
test_set_full_buckets_equals_model(void **state)
{
    rig *r = *state;
    for (uint64_t round = 0; round < test_scaled(4); round++) {
        rig_begin(r, 0, 64, 16, 2, 8, 0); /* four buckets of 64 are used: most lie in the ck_hs */
        rig_changes(r, 300, 10000);
        rig_begin(r, 2, 16, 16, 1, 1, 0);
        rig_changes(r, 1000, 20000);
    }
}

/* A removal makes room in a bucket whose other objects did not fit: what comes next takes it, and
 * what lies in the ck_hs is found all the same, until the mark is cleaned away. */
static void
test_set_room_in_full_bucket_is_used(void **state)
{
    rig *r = *state;
    rig_begin(r, 0, 0, 16, 0, 8, 512 * 5); /* 512 buckets, and all meet in one */
    for (size_t i = 0; i < 20; i++)
        object_change(r, &r->objects[i]);
    for (size_t i = 0; i < 5; i++)
        object_change(r, &r->objects[i]);
    for (size_t i = 20; i < 25; i++)
        object_change(r, &r->objects[i]);
    for (size_t i = 0; i < 30; i++)
        object_check(r, &r->objects[i]);
    walk_check(r);
    for (size_t i = 7; i < 20; i++) /* out of the ck_hs, in the end */
        object_change(r, &r->objects[i]);
    for (size_t i = 0; i < 30; i++)
        object_check(r, &r->objects[i]);
    walk_check(r);
    bool marked = true;
    for (unsigned i = 0; marked && i < 20; i++) { /* in and out of the ck_hs */
        object_change(r, &r->objects[7]);
        object_change(r, &r->objects[7]);
        lki_bucket *bucket = lki_set_bucket(&r->set, r->objects[0].hash);
        marked = (lki_load_relaxed(&bucket->tags) & LKI_BUCKET_FULL) != 0;
    }
    EXPECT(!marked);
    walk_check(r);
}

/* What is there throughout comes at least once, whatever is replaced meanwhile. */
static void
test_set_walk_between_changes_misses_nothing(void **state)
{
    rig *r = *state;
    for (uint64_t round = 0; round < test_scaled(100); round++) {
        if (round % 2 == 0)
            rig_begin(r, 1, 8, 16, 16, 8, 0);
        else
            rig_begin(r, 0, 64, 16, 1, 8, 0);
        size_t stay = 20 + base_draw(130), all = stay + 150;
        for (size_t i = 0; i < stay; i++)
            object_change(r, &r->objects[i]);
        lki_set_position at = {0};
        unsigned often = 1 + (unsigned)base_draw(20), steps = 0;
        while (!lki_set_is_end(&at)) {
            walk_step(r, &at);
            for (unsigned i = 0; i < often && steps < 5000; i++, steps++)
                object_change(r, &r->objects[stay + base_draw(all - stay)]);
        }
        for (size_t i = 0; i < stay; i++)
            EXPECT(r->objects[i].seen > 0);
        EXPECT(lki_set_check(&r->set) == base.count);
    }
}

static void
test_set_no_memory_changes_nothing(void **state)
{
    rig *r = *state;
    lki_set other;
    memset(&other, 0, sizeof other);
    for (uint64_t n = 1; n < 12; n++) {
        base.fail_at = n;
        size_t live = base.live;
        if (lki_set_open(&other, &base.domain.allocator, object_is, 2, 100)) {
            EXPECT(base.fail_at != 0);
            lki_set_close(&other);
            memset(&other, 0, sizeof other);
        }
        EXPECT(!lki_set_is_open(&other) && base.live == live);
    }
    for (uint64_t round = 0; round < test_scaled(6); round++) {
        rig_begin(r, round % 2 == 0 ? 1 : 0, 4, 16, round % 2 == 0 ? 16 : 1, 8, 0);
        for (size_t i = 0; i < 4000; i++) {
            object *o = &r->objects[base_draw(900)];
            base.fail_at = base_draw(3) == 0 ? 1 + base_draw(12) : 0;
            object_change(r, o);
            base.fail_at = 0;
            object_check(r, o);
            if (i % 500 == 0)
                walk_check(r);
        }
        EXPECT(base.failed != 0);
        walk_check(r);
    }
}

/* What is expected has its room: no part is replaced on the way there. */
static void
test_set_expected_objects_need_no_growth(void **state)
{
    rig *r = *state;
    rig_begin(r, 3, 0, 16, 16, 8, OBJECTS);
    uint64_t number = lki_load_relaxed(&r->set.number);
    uintptr_t directory = lki_load_relaxed(&r->set.directory);
    for (size_t i = 0; i < OBJECTS * 3 / 4; i++)
        object_change(r, &r->objects[i]);
    walk_check(r);
    EXPECT(lki_load_relaxed(&r->set.directory) == directory);
    EXPECT(lki_load_relaxed(&r->set.number) - number < 8 + 8 * 8); /* maps of what did not fit */
    EXPECT(lki_load_relaxed(&r->set.directory) == directory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_set_any_changes_equals_model, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(test_set_full_buckets_equals_model, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(test_set_room_in_full_bucket_is_used, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(test_set_walk_between_changes_misses_nothing, rig_open,
                                        rig_close),
        cmocka_unit_test_setup_teardown(test_set_no_memory_changes_nothing, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(test_set_expected_objects_need_no_growth, rig_open,
                                        rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
