/* SPDX-License-Identifier: MIT
 *
 * See queues_rig.h. A failure prints the seed and the step.
 */
#include "support/queues_rig.h"

#include "support/model_queue.h"

enum {
    QUEUES = QUEUES_COUNT,
    OWN = 7,
    KNOWN = QUEUES_KNOWN,
    CLAIMS = QUEUES_CLAIMS,
    LOCKS = QUEUES_LOCKS,
    BATCH = QUEUES_BATCH,
    LARGE = 700,
    FOUND = QUEUES_FOUND,
    TTL_MS = 3000,
    REFRESH_MS = 300
};

typedef queues_rig rig;
typedef queues_claim held;
typedef queues_lock held_lock;

static const lk_bytes pks[QUEUES] = {{"p", 1}, {"p\0", 2}, {"\xff", 1}};
static const lk_bytes own[OWN] = {{"", 0},  {"!", 1},   {"00", 2},  {"0Z", 2},
                                  {"Z", 1}, {"~\0", 2}, {"\xff", 1}};

#include "support/beside_model.h"

static bool
chance(rig *r, uint64_t one_in)
{
    return draw(r, one_in) == 0;
}

/* ---- comparisons ---- */

static void
stats_match(rig *r, size_t queue)
{
    lk_queue_statistics real, ideal;
    EXPECT(r, model_queue_stats(r->m, pks[queue], &ideal) == LK_OK);
    EXPECT(r, lk_queue_stats(r->k.db, pks[queue], &real) == LK_OK);
    EXPECT(r, real.ready == ideal.ready);
    EXPECT(r, real.claimed == ideal.claimed);
    EXPECT(r, real.delayed == ideal.delayed);
}

/* ---- arguments ---- */

/* Remembers a generated key: it is greater than all before it. */
static void
ulid_learn(rig *r, size_t queue, lk_bytes sk)
{
    EXPECT(r, lkc_is_ulid(sk));
    EXPECT(r, memcmp(r->last[queue], sk.data, ULID_SIZE) < 0);
    memcpy(r->last[queue], sk.data, ULID_SIZE);
    memcpy(r->known[queue][r->known_count[queue]++ % KNOWN], sk.data, ULID_SIZE);
}

/* One of the keys of one's own, or of those that were generated lately; copied to `name`. */
static lk_key
draw_key(rig *r, size_t queue, char name[JOB_ROOM])
{
    size_t known = r->known_count[queue] < KNOWN ? r->known_count[queue] : KNOWN;
    lk_bytes sk = own[draw(r, OWN)];
    if (known > 0 && chance(r, 2))
        sk = (lk_bytes){r->known[queue][draw(r, known)], ULID_SIZE};
    memcpy(name, sk.data, sk.size);
    return (lk_key){pks[queue], {name, sk.size}};
}

static lk_item
draw_item(rig *r, size_t queue, size_t slot)
{
    lk_item item = {.key = draw_key(r, queue, r->names[slot])};
    item.data = (lk_bytes){r->data[slot], draw(r, sizeof r->data[slot])};
    for (size_t i = 0; i < item.data.size; i++)
        r->data[slot][i] = (char)(r->step * 7 + i * 3 + slot);
    if (chance(r, 5))
        item.expires_at_ms = r->k.now_ms + (int64_t)draw(r, 12);
    return item;
}

static lk_item
draw_job(rig *r, size_t queue, size_t slot)
{
    lk_item item = draw_item(r, queue, slot);
    if (!chance(r, 3))
        item.key.sk.size = 0;
    return item;
}

/* Once in a while an argument that is wrong; one at most in a call. */
static void
spoil(rig *r, lk_item *item)
{
    static const char many[80];
    switch (draw(r, 150)) {
    case 0:
        item->key.pk.size = 0;
        break;
    case 1:
        item->key.sk = (lk_bytes){many, sizeof many};
        break;
    case 2:
        item->data = (lk_bytes){NULL, 1};
        break;
    case 3:
        item->expires_at_ms = -1;
        break;
    case 4:
        item->data = (lk_bytes){many, sizeof many};
        break;
    default:
        break;
    }
}

/* ---- push, pull ---- */

/* Among many keys each call takes out a part only of the jobs that have expired. */
static bool
is_to_be_asked_again(const rig *r, lk_status said, size_t times)
{
    return said == LK_BUSY && times < model_keys(r->m) / 1000;
}

static void
step_push(rig *r)
{
    lk_item items[BATCH], stored[BATCH];
    size_t queue = draw(r, QUEUES), count = draw(r, BATCH + 1);
    lk_push_options options = {.delay_ms = chance(r, 3) ? (int64_t)draw(r, 9) : 0,
                               .max_depth = chance(r, 4) ? 1 + draw(r, 20) : r->depth,
                               .unique = chance(r, 4)};
    for (size_t i = 0; i < count; i++)
        items[i] = draw_job(r, queue, i);
    if (count > 0)
        spoil(r, &items[draw(r, count)]);
    if (count > 0 && chance(r, 200))
        options.delay_ms = -1;
    if (count > 1 && chance(r, 50))
        items[1].key.pk = pks[(queue + 1) % QUEUES];
    lk_status said = lk_queue_push(r->k.db, items, count, &options, r->pushed);
    for (size_t i = 0; is_to_be_asked_again(r, said, i); i++)
        said = lk_queue_push(r->k.db, items, count, &options, r->pushed);
    if (said == LK_OK)
        EXPECT(r, lk_result_count(r->pushed) == count);
    for (size_t i = 0; said == LK_OK && i < count; i++) {
        const lk_item *item = lk_result_item(r->pushed, i);
        EXPECT(r, item != NULL);
        if (items[i].key.sk.size == 0) {
            ulid_learn(r, queue, item->key.sk);
            items[i].key.sk = (lk_bytes){"", 0};
        }
        stored[i] = items[i];
        stored[i].key.sk = item->key.sk;
        items_match(r, item, &stored[i]);
    }
    EXPECT_SAME(r,
                model_queue_push(r->m, items, count, &options, said == LK_OK ? stored : NULL, said),
                said);
}

/* Over the ends of blocks. */
static void
step_push_large(rig *r)
{
    static lk_item items[LARGE], stored[LARGE];
    size_t queue = draw(r, QUEUES), count = LARGE - draw(r, 400);
    lk_push_options options = {.delay_ms = chance(r, 2) ? 5 : 0};
    if (!chance(r, 60))
        return;
    for (size_t i = 0; i < count; i++)
        items[i] = (lk_item){.key = {.pk = pks[queue]}, .data = {&r->step, sizeof r->step}};
    lk_status said = lk_queue_push(r->k.db, items, count, &options, r->pushed);
    for (size_t i = 0; said == LK_OK && i < count; i++) {
        stored[i] = *lk_result_item(r->pushed, i);
        ulid_learn(r, queue, stored[i].key.sk);
    }
    EXPECT_SAME(r,
                model_queue_push(r->m, items, count, &options, said == LK_OK ? stored : NULL, said),
                said);
    if (chance(r, 2))
        return;
    /* And some of them go again, so that the queue does not stay long. */
    size_t real = 0, ideal = 0;
    EXPECT(r, lk_queue_purge(r->k.db, pks[queue], &real) == LK_OK);
    EXPECT(r, model_queue_purge(r->m, pks[queue], &ideal) == LK_OK);
    EXPECT(r, real == ideal);
}

static void
claim_hold(rig *r, size_t queue, const lk_claim *real, const lk_claim *ideal)
{
    held *h = &r->claims[r->claimed < CLAIMS ? r->claimed++ : draw(r, CLAIMS)];
    *h = (held){.real = *real, .ideal = *ideal, .queue = queue, .sk_size = real->key.sk.size};
    if (h->sk_size > 0)
        memcpy(h->sk, real->key.sk.data, h->sk_size);
    h->real.key = h->ideal.key = (lk_key){pks[queue], {h->sk, h->sk_size}};
}

/* Letters whose key was taken have one that the model does not know, and that did not come with
 * them. */
static void
displaced_learn(rig *r, const lk_pull_options *options)
{
    lk_item ideal;
    lk_query query = {.pk = options->dead_pk};
    size_t queue = 0;
    while (!lkc_equal(pks[queue], options->dead_pk))
        queue++;
    EXPECT(r, lk_query_items(r->k.db, &query, r->k.result) == LK_OK);
    for (size_t i = 0; i < lk_result_count(r->k.result); i++) {
        lk_key key = lk_result_item(r->k.result, i)->key, source = {options->pk, key.sk};
        if (key.sk.size != ULID_SIZE || memcmp(key.sk.data, r->last[queue], ULID_SIZE) <= 0 ||
            model_get(r->m, key, &ideal) == LK_OK || model_get(r->m, source, &ideal) == LK_OK)
            continue;
        ulid_learn(r, queue, key.sk);
        model_queue_displaced(r->m, key.sk);
    }
}

static void
pull_with(rig *r, size_t queue, const lk_pull_options *options)
{
    size_t count = 0;
    lk_status said = lk_queue_pull(r->k.db, options, r->pushed);
    if (options->max_receives != 0 && !lkc_equal(options->pk, options->dead_pk))
        displaced_learn(r, options);
    EXPECT_SAME(r, model_queue_pull(r->m, options, r->found, r->found_claims, FOUND, &count), said);
    if (said != LK_OK)
        return;
    EXPECT(r, lk_result_count(r->pushed) == count);
    for (size_t i = 0; i < count; i++) {
        const lk_claim *real = lk_result_claim(r->pushed, i), *ideal = &r->found_claims[i];
        items_match(r, lk_result_item(r->pushed, i), &r->found[i]);
        EXPECT(r, real != NULL && real->token != 0);
        EXPECT(r, lkc_equal(real->key.pk, ideal->key.pk));
        EXPECT(r, lkc_equal(real->key.sk, ideal->key.sk));
        EXPECT(r, real->receives == ideal->receives);
        EXPECT(r, real->deadline_ms == ideal->deadline_ms);
        if (count < 20 || chance(r, 30))
            claim_hold(r, queue, real, ideal);
    }
}

static void
step_pull(rig *r)
{
    size_t queue = draw(r, QUEUES);
    lk_pull_options options = {.pk = pks[queue],
                               .visibility_ms = (int64_t)draw(r, 12),
                               .max_jobs = chance(r, 100) ? FOUND : draw(r, 5)};
    if (chance(r, 3)) {
        options.max_receives = (uint32_t)draw(r, 4);
        options.dead_pk = pks[draw(r, QUEUES)];
    }
    /* The model moves all that were received too often, a pull about 1,000. */
    lk_queue_statistics stats;
    EXPECT(r, model_queue_stats(r->m, pks[queue], &stats) == LK_OK);
    if (stats.ready > LARGE)
        options.max_receives = 0;
    pull_with(r, queue, &options);
}

/* ---- claims ---- */

/* A claim of the pool, or one by key, or one that never was. */
static held
draw_claim(rig *r, char name[JOB_ROOM])
{
    held h = {.queue = draw(r, QUEUES)};
    if (r->claimed > 0 && !chance(r, 8)) {
        h = r->claims[draw(r, r->claimed)];
        if (h.sk_size > 0)
            memcpy(name, h.sk, h.sk_size);
        h.real.key = h.ideal.key = (lk_key){pks[h.queue], {name, h.sk_size}};
    } else {
        h.real.key = h.ideal.key = draw_key(r, h.queue, name);
        h.real.token = h.ideal.token = chance(r, 2) ? 0 : UINT64_MAX - draw(r, 1000);
    }
    if (chance(r, 12))
        h.real.token = h.ideal.token = 0;
    return h;
}

static void
step_acknowledge(rig *r)
{
    char names[3][JOB_ROOM];
    lk_claim real[3], ideal[3];
    size_t count = draw(r, 4);
    for (size_t i = 0; i < count; i++) {
        held h = draw_claim(r, names[i]);
        real[i] = h.real;
        ideal[i] = h.ideal;
    }
    EXPECT_SAME(r, model_queue_acknowledge(r->m, ideal, count),
                lk_queue_acknowledge(r->k.db, real, count));
}

static void
step_release(rig *r)
{
    char name[JOB_ROOM];
    held h = draw_claim(r, name);
    int64_t delay_ms = chance(r, 2) ? 0 : (int64_t)draw(r, 10) - (chance(r, 20) ? 3 : 0);
    EXPECT_SAME(r, model_queue_release(r->m, &h.ideal, delay_ms),
                lk_queue_release(r->k.db, &h.real, delay_ms));
}

static void
step_extend(rig *r)
{
    char name[JOB_ROOM];
    held h = draw_claim(r, name);
    int64_t visibility_ms = (int64_t)draw(r, 15) - (chance(r, 20) ? 3 : 0);
    EXPECT_SAME(r, model_queue_extend(r->m, &h.ideal, visibility_ms),
                lk_queue_extend(r->k.db, &h.real, visibility_ms));
    EXPECT(r, h.real.deadline_ms == h.ideal.deadline_ms);
}

/* ---- items ---- */

static void
step_set(rig *r)
{
    lk_item items[2];
    size_t count = 1 + draw(r, 2), queue = draw(r, QUEUES);
    for (size_t i = 0; i < count; i++)
        items[i] = draw_item(r, queue, i);
    EXPECT_SAME(r, model_set(r->m, items, count), lk_set(r->k.db, items, count));
}

static void
step_delete(rig *r)
{
    char name[JOB_ROOM];
    lk_key key = draw_key(r, draw(r, QUEUES), name);
    EXPECT_SAME(r, model_delete(r->m, &key, 1), lk_delete(r->k.db, &key, 1));
}

static void
step_read(rig *r)
{
    char names[4][JOB_ROOM];
    lk_key keys[4];
    for (size_t i = 0; i < 4; i++)
        keys[i] = draw_key(r, draw(r, QUEUES), names[i]);
    lk_status status = lk_get(r->k.db, keys[0], r->k.result);
    key_matches(r, keys[0], status == LK_OK ? lk_result_item(r->k.result, 0) : NULL);
    EXPECT(r, lk_get_many(r->k.db, keys, 4, r->k.result) == LK_OK);
    for (size_t i = 0; i < 4; i++)
        key_matches(r, keys[i], lk_result_item(r->k.result, i));
    lk_item view;
    lk_read_begin(r->k.db);
    status = lk_view(r->k.db, keys[1], &view);
    key_matches(r, keys[1], status == LK_OK ? &view : NULL);
    lk_read_end(r->k.db);
}

static void
step_query(rig *r)
{
    char name[4][JOB_ROOM];
    size_t queue = draw(r, QUEUES);
    lk_query query = {.pk = pks[queue], .reverse = chance(r, 2), .relaxed = chance(r, 4)};
    if (chance(r, 2))
        query.sk_prefix = draw_key(r, queue, name[0]).sk;
    if (query.sk_prefix.size > 0)
        query.sk_prefix.size = 1 + draw(r, query.sk_prefix.size);
    if (chance(r, 2))
        query.after = draw_key(r, queue, name[1]).sk;
    if (kit_can(&r->k, LK_QUERIES_RANGES) && chance(r, 3))
        query.from = draw_key(r, queue, name[2]).sk;
    if (kit_can(&r->k, LK_QUERIES_RANGES) && chance(r, 3))
        query.until = draw_key(r, queue, name[3]).sk;
    query.limit = chance(r, 2) ? 0 : 1 + draw(r, 20);
    query_matches(r, &query);
}

/* ---- locks, commits ---- */

static void
step_get_lock(rig *r)
{
    held_lock *h = &r->locks[r->locked < LOCKS ? r->locked++ : draw(r, LOCKS)];
    h->queue = draw(r, QUEUES);
    lk_key key = draw_key(r, h->queue, h->sk);
    h->sk_size = key.sk.size;
    EXPECT(r, model_get_lock(r->m, key, &h->ideal) == LK_OK);
    EXPECT(r, lk_get_lock(r->k.db, key, &h->real) == LK_OK);
    EXPECT(r, h->real.expires_at_ms == h->ideal.expires_at_ms);
}

typedef struct draft {
    lk_write writes[BATCH], ideal_writes[BATCH];
    lk_claim real_claims[BATCH], ideal_claims[BATCH];
    lk_push_options options[BATCH];
    char claim_names[BATCH][JOB_ROOM];
    lk_item stored[BATCH];
    size_t count;
    lk_lock real[2], ideal[2];
    size_t which[2], lock_count;
} draft;

static lk_write_kind
draw_kind(rig *r)
{
    static const lk_write_kind kinds[] = {LK_PUT,   LK_DELETE,      LK_PUSH,        LK_PUSH,
                                          LK_PUSH,  LK_ACKNOWLEDGE, LK_ACKNOWLEDGE, LK_RELEASE,
                                          LK_TOUCH, LK_ADD};
    for (;;) {
        lk_write_kind kind = kinds[draw(r, KIT_COUNT(kinds))];
        if (kind < LK_TOUCH ||
            kit_can(&r->k, kind == LK_RELEASE ? LK_COMMITS_RELEASES : LK_HAS_CONDITIONS))
            return kind;
    }
}

static void
draft_make(rig *r, draft *d)
{
    bool releases = kit_can(&r->k, LK_COMMITS_RELEASES);
    /* Beside what takes jobs out, the depth is only nearly counted. */
    bool pushes = releases && chance(r, 4);
    d->count = draw(r, BATCH + 1);
    d->lock_count = r->locked == 0 || chance(r, 2) ? 0 : draw(r, 3);
    for (size_t i = 0; i < d->count; i++) {
        size_t queue = draw(r, QUEUES);
        lk_write *w = &d->writes[i];
        *w = (lk_write){.kind = pushes ? LK_PUSH : draw_kind(r)};
        w->item = w->kind == LK_PUSH ? draw_job(r, queue, i) : draw_item(r, queue, i);
        w->delta = (int64_t)draw(r, 100);
        w->delay_ms = chance(r, 2) ? 0 : (int64_t)draw(r, 10);
        if (w->kind == LK_PUSH && releases) {
            d->options[i] = (lk_push_options){.delay_ms = chance(r, 3) ? (int64_t)draw(r, 9) : 0,
                                              .max_depth = pushes ? 1 + draw(r, 20) : 0,
                                              .unique = chance(r, 4)};
            w->push = chance(r, 4) ? NULL : &d->options[i];
        }
        if (w->kind == LK_ACKNOWLEDGE || w->kind == LK_RELEASE) {
            held h = draw_claim(r, d->claim_names[i]);
            d->real_claims[i] = h.real;
            d->ideal_claims[i] = h.ideal;
            w->claim = &d->real_claims[i];
        }
    }
    if (d->count > 0 && (d->writes[0].kind == LK_PUT || d->writes[0].kind == LK_PUSH))
        spoil(r, &d->writes[0].item);
    for (size_t i = 0; i < d->count; i++) {
        d->ideal_writes[i] = d->writes[i];
        if (d->writes[i].claim != NULL)
            d->ideal_writes[i].claim = &d->ideal_claims[i];
        d->stored[i] = d->writes[i].item;
    }
    for (size_t i = 0; i < d->lock_count; i++) {
        held_lock *h = &r->locks[d->which[i] = draw(r, r->locked)];
        if (i == 1 && model_compare(d->real[0].key.sk, (lk_bytes){h->sk, h->sk_size}) == 0) {
            d->lock_count = 1; /* stale and named twice: either may be said */
            break;
        }
        d->real[i] = h->real;
        d->ideal[i] = h->ideal;
        d->real[i].key = d->ideal[i].key = (lk_key){pks[h->queue], {h->sk, h->sk_size}};
    }
}

/* The keys that the store generated for a commit, in order: greater than all before, and unknown to
 * the model, which knows those that died here and come from other queues. */
static void
draft_learn(rig *r, draft *d)
{
    for (size_t queue = 0; queue < QUEUES; queue++) {
        size_t at = 0;
        lk_query query = {.pk = pks[queue]};
        EXPECT(r, lk_query_items(r->k.db, &query, r->pushed) == LK_OK);
        for (size_t i = 0; i < d->count; i++) {
            lk_key *key = &d->stored[i].key;
            if (d->writes[i].kind != LK_PUSH || key->sk.size != 0 ||
                !lkc_equal(key->pk, pks[queue]))
                continue;
            const lk_item *item = NULL;
            lk_item ideal;
            for (; at < lk_result_count(r->pushed); at++) {
                item = lk_result_item(r->pushed, at);
                if (item->key.sk.size == ULID_SIZE &&
                    memcmp(item->key.sk.data, r->last[queue], ULID_SIZE) > 0 &&
                    model_get(r->m, item->key, &ideal) == LK_NOT_FOUND)
                    break;
            }
            EXPECT(r, at++ < lk_result_count(r->pushed));
            ulid_learn(r, queue, item->key.sk);
            memcpy(r->names[i], item->key.sk.data, ULID_SIZE);
            key->sk = (lk_bytes){r->names[i], ULID_SIZE};
        }
    }
}

static void
step_commit(rig *r)
{
    static draft d;
    lk_conflict real, ideal = {77, 77, 77};
    memset(&d, 0, sizeof d);
    draft_make(r, &d);
    bool asked = !chance(r, 3);
    lk_status said = LK_BUSY;
    for (size_t i = 0; i == 0 || is_to_be_asked_again(r, said, i - 1); i++) {
        real = (lk_conflict){77, 77, 77};
        said = lk_commit(r->k.db, d.writes, d.count, d.real, d.lock_count, asked ? &real : NULL);
    }
    bool done = said == LK_OK || said == LK_LATE;
    if (done)
        draft_learn(r, &d);
    lk_status wanted = model_commit(r->m, d.ideal_writes, d.count, d.ideal, d.lock_count, &ideal,
                                    done ? d.stored : NULL, said);
    EXPECT_SAME(r, wanted, said);
    if (said == LK_RACE || kit_can(&r->k, LK_HAS_CONDITIONS)) {
        EXPECT(r, real.index == (asked ? ideal.index : 77));
        EXPECT(r, real.write == (asked ? ideal.write : 77));
    }
    for (size_t i = 0; i < d.lock_count; i++) {
        held_lock *h = &r->locks[d.which[i]];
        EXPECT(r, d.real[i].expires_at_ms == d.ideal[i].expires_at_ms);
        EXPECT(r, (d.real[i].version == 0) == (d.ideal[i].version == 0));
        h->real = d.real[i];
        h->ideal = d.ideal[i];
    }
}

/* ---- queues, time ---- */

static void
step_stats(rig *r)
{
    stats_match(r, draw(r, QUEUES));
}

static void
step_inspect(rig *r)
{
    char name[JOB_ROOM];
    lk_key key = draw_key(r, draw(r, QUEUES), name);
    lk_job real = {.receives = 77}, ideal;
    if (!kit_can(&r->k, LK_HAS_QUEUE_INSPECT))
        return;
    EXPECT(r, model_queue_inspect(r->m, &key, 1, &ideal) == LK_OK);
    EXPECT_SAME(r, ideal.state != 0 ? LK_OK : LK_NOT_FOUND, lk_queue_inspect(r->k.db, key, &real));
    EXPECT(r, real.state == ideal.state);
    EXPECT(r, real.receives == (ideal.state != 0 ? ideal.receives : 77));
    EXPECT(r, real.changes_at_ms == ideal.changes_at_ms);
}

static void
step_purge(rig *r)
{
    size_t queue = draw(r, QUEUES), real = 77, ideal = 77;
    if (!chance(r, 12))
        return;
    EXPECT(r, lk_queue_purge(r->k.db, pks[queue], &real) == LK_OK);
    EXPECT(r, model_queue_purge(r->m, pks[queue], &ideal) == LK_OK);
    EXPECT(r, real == ideal);
}

static void
step_clock(rig *r)
{
    static const int64_t strides[] = {0, 0, 1, 1, 2, 3, 6, 12, 30, REFRESH_MS, TTL_MS, 70000};
    int64_t stride = strides[draw(r, chance(r, 8) ? KIT_COUNT(strides) : 7)];
    /* Sometimes exactly to a deadline, or right behind it. */
    if (r->claimed > 0 && chance(r, 6)) {
        int64_t at = r->claims[draw(r, r->claimed)].real.deadline_ms + (int64_t)draw(r, 2);
        stride = at > r->k.monotonic_ms && at < r->k.monotonic_ms + 1000 ? at - r->k.monotonic_ms
                                                                         : stride;
    }
    kit_advance(&r->k, stride);
    if (chance(r, 10))
        atomic_fetch_add(&r->k.now_ms, (int64_t)draw(r, 8));
    model_set_clock(r->m, r->k.now_ms);
    model_set_monotonic(r->m, r->k.monotonic_ms);
}

static void
step_sweep(rig *r)
{
    EXPECT(r, lk_sweep(r->k.db, draw(r, 3), NULL) == LK_OK);
    if (chance(r, 10))
        model_sweep(r->m);
}

static void
everything_matches(rig *r)
{
    for (size_t queue = 0; queue < QUEUES; queue++) {
        lk_query query = {.pk = pks[queue]};
        query_matches(r, &query);
        stats_match(r, queue);
    }
}

/* ---- running ---- */

void
queues_rig_open(rig *r, kit_random random, size_t shards, size_t depth)
{
    memset(r, 0, sizeof *r);
    lk_memory_options options = {.shards = shards,
                                 .lock_ttl_ms = TTL_MS,
                                 .lock_refresh_ms = REFRESH_MS,
                                 .max_pk_size = 8,
                                 .max_sk_size = 40,
                                 .max_data_size = 40};
    kit_open(&r->k, &options);
    r->random = random;
    r->depth = depth;
    r->m = model_new(&options);
    r->pushed = lk_result_new();
    assert_true(r->m != NULL && r->pushed != NULL);
    model_set_clock(r->m, r->k.now_ms);
    model_set_monotonic(r->m, r->k.monotonic_ms);
    model_set_locks_absent(r->m, kit_can(&r->k, LK_LOCKS_ABSENT));
}

void
queues_rig_close(rig *r)
{
    lk_result_free(r->pushed);
    kit_close(&r->k);
    model_free(r->m);
}

void
queues_rig_run(rig *r, uint64_t steps)
{
    static void (*const step[])(rig *) = {
        step_push,        step_push,        step_push,        step_push,     step_push_large,
        step_pull,        step_pull,        step_pull,        step_pull,     step_pull,
        step_acknowledge, step_acknowledge, step_acknowledge, step_release,  step_release,
        step_extend,      step_extend,      step_set,         step_delete,   step_read,
        step_read,        step_query,       step_query,       step_get_lock, step_commit,
        step_commit,      step_commit,      step_stats,       step_purge,    step_clock,
        step_clock,       step_clock,       step_sweep,       step_inspect};
    for (r->step = 0; r->step < steps && !kit_random_ended(&r->random); r->step++) {
        step[draw(r, KIT_COUNT(step))](r);
        kit_check(&r->k);
        if (r->step % 64 == 63)
            everything_matches(r);
    }
    everything_matches(r);
}

/* Closed queues go on to drain. */
void
queues_rig_end(rig *r)
{
    for (size_t queue = 0; queue < QUEUES; queue++) {
        if (chance(r, 3))
            continue;
        EXPECT(r, lk_queue_close(r->k.db, pks[queue]) == LK_OK);
        EXPECT(r, model_queue_close(r->m, pks[queue]) == LK_OK);
    }
}
