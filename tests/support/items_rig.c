/* SPDX-License-Identifier: MIT
 *
 * See items_rig.h. A failure prints the seed and the step.
 */
#include "support/items_rig.h"

#include "support/model_queue.h"

enum {
    PKS = ITEMS_PKS,
    SKS = ITEMS_SKS,
    KEYS = ITEMS_KEYS,
    POOL = ITEMS_POOL,
    DATA_MAX = ITEMS_DATA_MAX,
    BATCH = ITEMS_BATCH,
    REFRESH_MS = ITEMS_REFRESH_MS,
    TTL_MS = 2000
};

typedef items_rig rig;
typedef items_held held;

static const lk_bytes pks[PKS] = {{"p", 1}, {"p\0", 2}, {"\xff\x61 partition", 12}};

#include "support/beside_model.h"

/* All strings of up to three of 0x00, 'a' and 0xff; of the last pk behind eight bytes, so that
 * these keys have the lengths that the store is quick with. */
static void
keys_make(rig *r)
{
    static const unsigned char letters[3] = {0x00, 'a', 0xff};
    size_t made = 0;
    for (size_t size = 0; size <= 3; size++) {
        size_t count = size == 0 ? 1 : size == 1 ? 3 : size == 2 ? 9 : 27;
        for (size_t i = 0; i < count; i++, made++) {
            memcpy(r->sk[made], "sort-key", 8);
            for (size_t at = 0, rest = i; at < size; at++, rest /= 3)
                r->sk[made][8 + at] = letters[rest % 3];
            for (size_t pk = 0; pk < PKS; pk++) {
                lk_bytes sk = {r->sk[made] + 8, size}, longer = {r->sk[made], 8 + size};
                r->keys[pk * SKS + made] = (lk_key){pks[pk], pk + 1 < PKS ? sk : longer};
            }
        }
    }
    r->key_count = KEYS;
}

void
items_rig_keys(rig *r, const lk_key *keys, size_t count)
{
    memcpy(r->keys, keys, count * sizeof *keys);
    r->key_count = count;
}

void
items_rig_open(rig *r, kit_random random, const lk_memory_options *options)
{
    memset(r, 0, sizeof *r);
    kit_open(&r->k, options);
    r->random = random;
    r->options = *options;
    r->m = model_new(options);
    assert_non_null(r->m);
    model_set_clock(r->m, r->k.now_ms);
    model_set_locks_absent(r->m, kit_can(&r->k, LK_LOCKS_ABSENT));
    keys_make(r);
}

static int
version_compare(const void *left, const void *right)
{
    uint64_t l = *(const uint64_t *)left, g = *(const uint64_t *)right;
    return (l > g) - (l < g);
}

void
items_rig_close(rig *r)
{
    if (r->version_count > 0)
        qsort(r->version, r->version_count, sizeof *r->version, version_compare);
    for (size_t i = 1; i < r->version_count; i++)
        EXPECT(r, r->version[i] == 0 || r->version[i] != r->version[i - 1]);
    kit_close(&r->k);
    model_free(r->m);
    free(r->version);
}

/* ---- comparisons ---- */

static void
versions_match(rig *r, size_t key, uint64_t real, uint64_t ideal)
{
    if (real == 0 || ideal == 0) {
        EXPECT(r, real == ideal);
        return;
    }
    if (ideal >= r->version_room) {
        size_t room = ideal * 2 + 1024;
        r->version = realloc(r->version, room * sizeof *r->version);
        assert_non_null(r->version);
        memset(r->version + r->version_room, 0, (room - r->version_room) * sizeof *r->version);
        r->version_room = room;
    }
    if (ideal >= r->version_count)
        r->version_count = ideal + 1;
    if (r->version[ideal] == 0) {
        EXPECT(r, real > r->last[key]);
        r->last[key] = real;
        r->version[ideal] = real;
    }
    EXPECT(r, r->version[ideal] == real);
}

/* ---- arguments ---- */

static size_t
draw_key(rig *r)
{
    /* Half of the time one of eight, so that calls meet. */
    return draw(r, 2) == 0 ? draw(r, 8) * (r->key_count / 8) : draw(r, r->key_count);
}

static lk_item
draw_item(rig *r, size_t slot)
{
    size_t size = draw(r, 8) == 0 ? DATA_MAX : draw(r, 4) == 0 ? 8 : draw(r, 40);
    for (size_t i = 0; i < size; i++)
        r->data[slot][i] = (unsigned char)(r->step * 7 + i * 3 + slot);
    lk_item item = {.key = r->keys[draw_key(r)], .data = {r->data[slot], size}};
    int64_t now = r->k.now_ms;
    switch (draw(r, 8)) {
    case 0:
        item.expires_at_ms = now - 1;
        break;
    case 1:
        item.expires_at_ms = now + (int64_t)draw(r, 4);
        break;
    case 2:
        item.expires_at_ms = now + (int64_t)draw(r, 5000);
        break;
    default:
        break;
    }
    return item;
}

/* Once in a while an argument that is wrong. */
static void
spoil(rig *r, lk_item *item)
{
    static const unsigned char many[UINT16_MAX + 1];
    switch (draw(r, 40)) {
    case 0:
        item->key.pk = (lk_bytes){NULL, 0};
        break;
    case 1:
        item->key.sk = (lk_bytes){many, r->options.max_sk_size + 1};
        break;
    case 2:
        item->key.pk = (lk_bytes){many, r->options.max_pk_size + 1};
        break;
    case 3:
        item->data = (lk_bytes){NULL, 1};
        break;
    case 4:
        item->expires_at_ms = -1;
        break;
    case 5:
        item->data.size = DATA_MAX + 1;
        break;
    default:
        break;
    }
}

/* ---- steps ---- */

static void
step_set(rig *r)
{
    lk_item items[BATCH];
    size_t count = draw(r, BATCH + 1);
    for (size_t i = 0; i < count; i++) {
        items[i] = draw_item(r, i);
        spoil(r, &items[i]);
    }
    lk_status wanted = model_set(r->m, items, count);
    EXPECT(r, lk_set(r->k.db, items, count) == wanted);
}

void
items_rig_fill(rig *r)
{
    for (size_t i = 0; i < r->key_count; i++) {
        lk_item item = {.key = r->keys[i], .data = {"filled", i % 7}};
        EXPECT(r, lk_set(r->k.db, &item, 1) == model_set(r->m, &item, 1));
    }
}

static void
step_delete(rig *r)
{
    lk_key keys[BATCH];
    size_t count = draw(r, 4);
    for (size_t i = 0; i < count; i++) {
        lk_item item = {.key = r->keys[draw_key(r)]};
        spoil(r, &item);
        keys[i] = item.key;
    }
    lk_status wanted = model_delete(r->m, keys, count);
    EXPECT(r, lk_delete(r->k.db, keys, count) == wanted);
}

static void
step_read(rig *r)
{
    size_t key = draw_key(r);
    lk_status status = lk_get(r->k.db, r->keys[key], r->k.result);
    EXPECT(r, status == LK_OK || status == LK_NOT_FOUND);
    key_matches(r, r->keys[key], status == LK_OK ? lk_result_item(r->k.result, 0) : NULL);

    unsigned char buffer[DATA_MAX];
    size_t size = SIZE_MAX, capacity = draw(r, 60);
    lk_item ideal;
    lk_status wanted = model_get(r->m, r->keys[key], &ideal);
    if (wanted == LK_OK && ideal.data.size > capacity)
        wanted = LK_TOO_SMALL;
    EXPECT(r, lk_get_into(r->k.db, r->keys[key], buffer, capacity, &size) == wanted);
    EXPECT(r, size == (wanted == LK_NOT_FOUND ? SIZE_MAX : ideal.data.size));
    EXPECT(r, wanted != LK_OK || size == 0 || memcmp(buffer, ideal.data.data, size) == 0);

    lk_item view;
    lk_read_begin(r->k.db);
    status = lk_view(r->k.db, r->keys[key], &view);
    key_matches(r, r->keys[key], status == LK_OK ? &view : NULL);
    lk_read_end(r->k.db);
}

static void
step_get_many(rig *r)
{
    size_t which[20], count = draw(r, 21);
    lk_key keys[20];
    for (size_t i = 0; i < count; i++)
        keys[i] = r->keys[which[i] = draw_key(r)];
    EXPECT(r, lk_get_many(r->k.db, keys, count, r->k.result) == LK_OK);
    EXPECT(r, lk_result_count(r->k.result) == count);
    for (size_t i = 0; i < count; i++)
        key_matches(r, keys[i], lk_result_item(r->k.result, i));
}

static void
pool_put(rig *r, held h)
{
    r->pool[r->pooled < POOL ? r->pooled++ : draw(r, POOL)] = h;
}

static void
lock_matches(rig *r, held *h)
{
    versions_match(r, h->key, h->real.version, h->ideal.version);
    EXPECT(r, h->real.expires_at_ms == h->ideal.expires_at_ms);
}

static void
step_get_lock(rig *r)
{
    held h = {.key = draw_key(r)};
    EXPECT(r, model_get_lock(r->m, r->keys[h.key], &h.ideal) == LK_OK);
    EXPECT(r, lk_get_lock(r->k.db, r->keys[h.key], &h.real) == LK_OK);
    lock_matches(r, &h);
    pool_put(r, h);
}

static void
step_get_locked(rig *r)
{
    held h[BATCH];
    lk_key keys[BATCH];
    lk_lock locks[BATCH];
    size_t count = draw(r, BATCH + 1);
    for (size_t i = 0; i < count; i++) {
        h[i].key = draw_key(r);
        keys[i] = r->keys[h[i].key];
        EXPECT(r, model_get_locked(r->m, keys[i], &h[i].ideal) == LK_OK);
    }
    EXPECT(r, lk_get_locked(r->k.db, keys, count, locks, r->k.result) == LK_OK);
    EXPECT(r, lk_result_count(r->k.result) == count);
    for (size_t i = 0; i < count; i++) {
        h[i].real = locks[i];
        lock_matches(r, &h[i]);
        key_matches(r, keys[i], lk_result_item(r->k.result, i));
        pool_put(r, h[i]);
    }
}

/* Of a put, delete, touch or add: a key, and a condition that holds half of the time. */
static lk_write
draw_write(rig *r, lk_write_kind kind, size_t slot)
{
    static const int64_t deltas[] = {1, -1, 1000, INT64_MAX, INT64_MIN};
    lk_write write = {.kind = kind, .item = draw_item(r, slot)};
    lk_item there;
    spoil(r, &write.item);
    write.delta = deltas[draw(r, KIT_COUNT(deltas))];
    if (!kit_can(&r->k, LK_HAS_CONDITIONS) || draw(r, 2) == 0)
        return write;
    write.condition = (lk_condition)draw(r, 4);
    if (write.condition != LK_IF_EQUAL)
        return write;
    write.expected = (lk_bytes){r->expected[slot], draw(r, 3)};
    if (draw(r, 4) != 0 && model_get(r->m, write.item.key, &there) == LK_OK) {
        write.expected.size = there.data.size;
        memcpy(r->expected[slot], there.data.data, there.data.size);
    }
    return write;
}

/* lk_put_if, lk_touch, lk_add: as a commit of one. */
static void
step_write(rig *r)
{
    static const lk_write_kind kinds[] = {LK_PUT, LK_TOUCH, LK_ADD};
    lk_write w = draw_write(r, kinds[draw(r, KIT_COUNT(kinds))], 0);
    lk_conflict conflict;
    lk_item there;
    int64_t value = 77, number = 77;
    if (!kit_can(&r->k, LK_HAS_CONDITIONS))
        return;
    if (w.kind != LK_PUT)
        w.condition = LK_ALWAYS;
    lk_status wanted = model_commit(r->m, &w, 1, NULL, 0, &conflict, &w.item, LK_OK);
    if (w.kind == LK_PUT)
        EXPECT(r, lk_put_if(r->k.db, &w.item, w.condition, w.expected) == wanted);
    else if (w.kind == LK_TOUCH)
        EXPECT(r, lk_touch(r->k.db, w.item.key, w.item.expires_at_ms) == wanted);
    else
        EXPECT(r, lk_add(r->k.db, w.item.key, w.delta, w.item.expires_at_ms, &value) == wanted);
    if (w.kind == LK_ADD && wanted == LK_OK &&
        model_get(r->m, w.item.key, &there) == LK_OK) /* it may have expired at once */
        memcpy(&number, there.data.data, sizeof number);
    else
        number = value;
    EXPECT(r, number == value && (wanted == LK_OK || value == 77));
}

static lk_status
commit_call(rig *r, bool plain, const lk_write *writes, size_t count, lk_lock *locks,
            size_t lock_count, lk_conflict *conflict)
{
    lk_item items[BATCH];
    if (!plain)
        return lk_commit(r->k.db, writes, count, locks, lock_count, conflict);
    for (size_t i = 0; i < count; i++)
        items[i] = writes[i].item;
    return lk_set_atomic(r->k.db, items, count, locks, lock_count, conflict);
}

static void
step_commit(rig *r)
{
    lk_write writes[BATCH];
    lk_item items[BATCH];
    lk_lock real[4], ideal[4];
    size_t which[4], count = draw(r, 5), lock_count = r->pooled == 0 ? 0 : draw(r, 4);
    static const lk_write_kind kinds[] = {LK_PUT, LK_PUT, LK_DELETE, LK_TOUCH, LK_ADD};
    size_t kind_count = kit_can(&r->k, LK_HAS_CONDITIONS) ? KIT_COUNT(kinds) : 3;
    bool plain = lock_count > 0 && draw(r, 2) == 0;
    for (size_t i = 0; i < count; i++) {
        writes[i] = draw_write(r, plain ? LK_PUT : kinds[draw(r, kind_count)], i);
        if (plain)
            writes[i].condition = LK_ALWAYS;
        items[i] = writes[i].item;
        if (writes[i].kind == LK_DELETE && lock_count > 0 && draw(r, 2) == 0)
            writes[i].item.key = r->keys[r->pool[0].key]; /* delete and lock of one key meet */
    }
    for (size_t i = 0; i < lock_count; i++) {
        which[i] = i == 0 && draw(r, 2) == 0 ? 0 : draw(r, r->pooled);
        real[i] = r->pool[which[i]].real;
        ideal[i] = r->pool[which[i]].ideal;
    }
    lk_conflict conflict = {77, 77, 77}, ideal_conflict = {77, 77, 77};
    bool twice = model_names_twice(writes, count, real, lock_count);
    lk_status wanted =
        model_commit(r->m, writes, count, ideal, lock_count, &ideal_conflict, items, LK_OK);
    lk_status status = commit_call(r, plain, writes, count, real, lock_count, &conflict);
    if (twice && wanted == LK_INVALID && status == LK_RACE)
        return; /* stale and named twice: either may be said first */
    EXPECT(r, status == wanted);
    EXPECT(r, conflict.index == ideal_conflict.index);
    EXPECT(r, conflict.write == ideal_conflict.write);
    if (status == LK_RACE && conflict.write == SIZE_MAX)
        versions_match(r, r->pool[which[conflict.index]].key, conflict.current_version,
                       ideal_conflict.current_version);
    for (size_t i = 0; i < lock_count; i++) {
        held *h = &r->pool[which[i]];
        h->real = real[i];
        h->ideal = ideal[i];
        lock_matches(r, h);
    }
}

static lk_query
draw_query(rig *r)
{
    lk_query query = {.pk = r->keys[draw(r, r->key_count)].pk,
                      .reverse = draw(r, 2) == 0,
                      .relaxed = draw(r, 4) == 0};
    if (draw(r, 2) == 0)
        query.sk_prefix = r->keys[draw(r, r->key_count)].sk;
    if (draw(r, 2) == 0)
        query.after = r->keys[draw(r, r->key_count)].sk;
    if (kit_can(&r->k, LK_QUERIES_RANGES) && draw(r, 4) == 0)
        query.from = r->keys[draw(r, r->key_count)].sk;
    if (kit_can(&r->k, LK_QUERIES_RANGES) && draw(r, 4) == 0)
        query.until = r->keys[draw(r, r->key_count)].sk;
    query.limit = draw(r, 2) == 0 ? 0 : 1 + draw(r, SKS);
    return query;
}

static void
step_query(rig *r)
{
    lk_query query = draw_query(r);
    query_matches(r, &query);
}

/* Each pk once, in any order, on pages of any size. */
static void
step_partitions(rig *r)
{
    lk_bytes wanted[KEYS];
    lk_position position = {{0}};
    size_t count = model_partitions(r->m, wanted, KEYS), seen = 0;
    lk_status status = LK_OK;
    bool lists = kit_can(&r->k, LK_HAS_PARTITIONS) && !r->hashes_are_equal;
    while (lists && status == LK_OK) {
        size_t limit = draw(r, 4);
        status = lk_list_partitions(r->k.db, &position, limit, r->k.result);
        size_t got = status == LK_OK ? lk_result_count(r->k.result) : 0;
        EXPECT(r, got <= (limit == 0 ? KEYS : limit) && (status != LK_OK || got != 0));
        for (size_t i = 0; i < got; i++) {
            size_t at = seen++;
            while (at < count && !lkc_equal(wanted[at], lk_result_item(r->k.result, i)->key.pk))
                at++;
            EXPECT(r, at < count);
            lk_bytes found = wanted[at];
            wanted[at] = wanted[seen - 1];
            wanted[seen - 1] = found;
        }
    }
    EXPECT(r, !lists || (status == LK_END && seen == count));
}

static void
step_stream(rig *r)
{
    lk_query query = draw_query(r);
    size_t count = 0;
    lk_stream *stream = NULL;
    lk_item item;
    EXPECT(r, model_query(r->m, &query, r->found, KEYS, &count) == LK_OK);
    EXPECT(r, lk_stream_open(r->k.db, &query, &stream) == LK_OK);
    for (size_t i = 0; i < count; i++) {
        EXPECT(r, lk_stream_next(stream, &item) == LK_OK);
        items_match(r, &item, &r->found[i]);
    }
    EXPECT(r, lk_stream_next(stream, &item) == LK_END);
    lk_stream_close(stream);
}

static void
step_clock(rig *r)
{
    static const int64_t strides[] = {
        0,      1,         1, 2, 3, 100, REFRESH_MS, TTL_MS - REFRESH_MS - 1, TTL_MS - REFRESH_MS,
        TTL_MS, TTL_MS + 1};
    int64_t stride = strides[draw(r, draw(r, 4) == 0 ? KIT_COUNT(strides) : 5)];
    /* Sometimes exactly to where a lock of the pool is renewed, or lapses. */
    if (r->pooled > 0 && draw(r, 16) == 0) {
        int64_t end = r->pool[draw(r, r->pooled)].real.expires_at_ms;
        int64_t at = end - (draw(r, 2) == 0 ? REFRESH_MS : 0) + (int64_t)draw(r, 3) - 1;
        stride = at > r->k.now_ms ? at - r->k.now_ms : stride;
    }
    kit_advance(&r->k, stride);
    model_set_clock(r->m, r->k.now_ms);
}

static void
step_sweep(rig *r)
{
    if (draw(r, 20) != 0) {
        EXPECT(r, lk_sweep(r->k.db, draw(r, 3), NULL) == LK_OK);
        return;
    }
    kit_sweep(&r->k);
    model_sweep(r->m);
    lk_statistics statistics = kit_statistics(&r->k);
    if (kit_can(&r->k, LK_HAS_VIEWS)) /* others count otherwise */
        EXPECT(r, statistics.cells == model_keys(r->m));
    EXPECT(r, statistics.retired_bytes == 0);
}

void
items_rig_run(rig *r, uint64_t steps)
{
    static void (*const step[])(rig *) = {
        step_set,    step_set,      step_set,      step_delete,   step_delete,     step_read,
        step_read,   step_get_many, step_get_lock, step_get_lock, step_get_locked, step_commit,
        step_commit, step_commit,   step_query,    step_query,    step_stream,     step_clock,
        step_clock,  step_sweep,    step_write,    step_write,    step_query,      step_partitions};
    for (r->step = 0; r->step < steps && !kit_random_ended(&r->random); r->step++) {
        step[draw(r, KIT_COUNT(step))](r);
        kit_check(&r->k);
    }
}

lk_memory_options
items_rig_options(size_t shards, int64_t refresh_ms)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.shards = shards;
    options.lock_ttl_ms = TTL_MS;
    options.lock_refresh_ms = refresh_ms;
    options.max_pk_size = 16;
    options.max_sk_size = 16;
    options.max_data_size = DATA_MAX;
    return options;
}
