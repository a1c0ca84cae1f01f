/* SPDX-License-Identifier: MIT
 *
 * See cached.h.
 */
#include "support/cached.h"

#include <sched.h>

#include "base/alloc.h"

void
cached_open_without(cached *c, const lk_cache_options *options, uint64_t without)
{
    lk_cache_options plain = LK_CACHE_OPTIONS_INIT;
    plain.max_items = 100;
    assert_false(c->open);
    memset(c, 0, sizeof *c);
    c->open = true;
    lki_default_allocator = (lki_allocator){kit_allocate, kit_deallocate, &c->k.memory, NULL, NULL};
    lk_memory_options store = LK_MEMORY_OPTIONS_INIT;
    store.shards = 4;
    kit_open(&c->k, &store);
    assert_status(LK_OK, counted_open(&c->inner, c->k.db, without));
    assert_status(LK_OK, lk_cache_open(c->inner.db, options != NULL ? options : &plain, &c->cache));
}

void
cached_open(cached *c, const lk_cache_options *options)
{
    cached_open_without(c, options, 0);
}

void
cached_close(cached *c)
{
    lk_thread_detach();
    lk_close(c->cache);
    counted_close(&c->inner);
    kit_close(&c->k);
    lki_default_allocator = (lki_allocator){0};
    c->open = false;
}

uint64_t
cached_asked(cached *c)
{
    uint64_t keys = atomic_load(&c->inner.keys), asked = keys - c->keys_seen;
    c->keys_seen = keys;
    return asked;
}

static bool
result_holds(const lk_result *result, lk_key key, const char *data)
{
    const lk_item *item = lk_result_item(result, 0);
    return lk_result_count(result) == 1 && item != NULL && lkc_equal(item->key.pk, key.pk) &&
           lkc_equal(item->key.sk, key.sk) && lkc_is(item->data, data);
}

bool
cached_holds(cached *c, lk_key key, const char *data)
{
    lk_status status = lk_get(c->cache, key, c->k.result);
    return data == NULL ? status == LK_NOT_FOUND
                        : status == LK_OK && result_holds(c->k.result, key, data);
}

bool
cached_hits(cached *c, lk_key key, const char *data)
{
    (void)cached_asked(c);
    return cached_holds(c, key, data) && cached_asked(c) == 0;
}

bool
cached_asks(cached *c, lk_key key, const char *data)
{
    (void)cached_asked(c);
    return cached_holds(c, key, data) && cached_asked(c) == 1;
}

void
cached_warm(cached *c, lk_key key, const char *data)
{
    assert_true(cached_holds(c, key, data));
    assert_true(cached_hits(c, key, data));
}

void
cached_set(cached *c, const char *pk, const char *sk, const char *data)
{
    lk_item item = kit_item(pk, sk, data);
    assert_status(LK_OK, lk_set(c->cache, &item, 1));
}

lk_statistics
cached_statistics(cached *c)
{
    lk_statistics statistics;
    assert_status(LK_OK, lk_statistics_read(c->cache, &statistics));
    return statistics;
}

/* ---- later ---- */

static void *
later_main(void *context)
{
    later *l = context;
    l->status = l->call(l->c, l);
    return NULL;
}

void
later_start(later *l, cached *c, lk_status (*call)(cached *c, later *self), lk_key key,
            const char *data)
{
    *l = (later){.c = c, .call = call, .key = key, .data = data, .result = lk_result_new()};
    assert_non_null(l->result);
    assert_int_equal(pthread_create(&l->thread, NULL, later_main, l), 0);
}

lk_status
later_join(later *l)
{
    assert_int_equal(pthread_join(l->thread, NULL), 0);
    return l->status;
}

void
later_free(later *l)
{
    lk_result_free(l->result);
}

bool
later_read(const later *l, const char *data)
{
    return result_holds(l->result, l->key, data);
}

lk_status
later_get(cached *c, later *self)
{
    return lk_get(c->cache, self->key, self->result);
}

lk_status
later_set(cached *c, later *self)
{
    lk_item item = {.key = self->key, .data = lk_string(self->data)};
    return lk_set(c->cache, &item, 1);
}

lk_status
later_delete(cached *c, later *self)
{
    return lk_delete(c->cache, &self->key, 1);
}

/* ---- leaders, and those who join them ---- */

void
later_start_leader(later *l, cached *c, lk_key key, enum counted_when when)
{
    counted_shut(&c->inner, COUNTED_GET, when);
    later_start(l, c, later_get, key, NULL);
    counted_wait(&c->inner, COUNTED_GET);
}

void
later_end_leader(later *l, lk_status wanted)
{
    counted_go(&l->c->inner, COUNTED_GET);
    assert_status(wanted, later_join(l));
    later_free(l);
}

void
cached_await_joined(cached *c, uint64_t count)
{
    while (cached_statistics(c).cache_joined < count)
        sched_yield();
}
