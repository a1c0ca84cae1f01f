/* SPDX-License-Identifier: MIT
 *
 * A store: open, close, statistics.
 */
#include "store/open.h"

#include <string.h>

#include "base/limits.h"
#include "base/ulid.h"
#include "store/check.h"
#include "store/partition.h"
#include "store/record.h"
#include "store/removal.h"
#include "store/shard.h"
#include "store/sweep.h"

enum {
    SHARDS = 256,
    SHARDS_MAX = 4096,
    RETIRED_BYTES = 256 << 20,
    /* At most this part of a memory bound may be retired: so the memory that deletes need, besides
     * what they give back, fits into the reserve of the account. */
    RETIRED_PART = 16
};
#define EXPECTED_MAX ((uint64_t)1 << 36)

static lk_status
options_check(const lk_memory_options *o)
{
    bool shards = o->shards == 0 || (o->shards <= SHARDS_MAX && (o->shards & (o->shards - 1)) == 0);
    bool allocator = (o->allocate == NULL) == (o->deallocate == NULL);
    int64_t ttl = o->lock_ttl_ms != 0 ? o->lock_ttl_ms : LK_HOURS(24);
    int64_t refresh = o->lock_refresh_ms != 0 ? o->lock_refresh_ms : LK_HOURS(1);
    bool lifetimes =
        ttl > 0 && refresh >= -1 && (refresh < ttl || (o->lock_refresh_ms == 0 && ttl > 1));
    return shards && allocator && lifetimes && o->sweep_interval_ms >= 0 ? LK_OK : LK_INVALID;
}

static lk_status
options_apply(lki_store *store, const lk_memory_options *o)
{
    lki_domain *domain = &store->domain;
    store->realtime_ms = o->realtime_ms != NULL ? o->realtime_ms : lki_realtime_coarse_ms;
    store->precise_ms = o->realtime_ms != NULL ? NULL : lki_realtime_ms;
    store->clock_context = domain->clock_context = o->clock_context;
    domain->monotonic_ms = o->monotonic_ms != NULL ? o->monotonic_ms : lki_monotonic_ms;
    store->monotonic_ms = o->monotonic_ms != NULL ? o->monotonic_ms : lki_monotonic_coarse_ms;
    store->monotonic_precise_ms = o->monotonic_ms != NULL ? NULL : lki_monotonic_ms;
    int64_t opened_ms = domain->monotonic_ms(o->clock_context);
    store->monotonic_base_ms = opened_ms > INT64_MIN + 1 ? opened_ms - 2 : INT64_MIN;
    domain->max_retired_bytes = o->max_retired_bytes != 0 ? o->max_retired_bytes : RETIRED_BYTES;
    domain->max_bytes = o->max_bytes;
    if (o->max_bytes != 0 && domain->max_retired_bytes > o->max_bytes / RETIRED_PART)
        domain->max_retired_bytes = (size_t)(o->max_bytes / RETIRED_PART);
    store->lock_ttl_ms = o->lock_ttl_ms != 0 ? o->lock_ttl_ms : LK_HOURS(24);
    store->lock_refresh_ms = o->lock_refresh_ms != 0 ? o->lock_refresh_ms : LK_HOURS(1);
    if (o->lock_refresh_ms == 0 && store->lock_refresh_ms >= store->lock_ttl_ms)
        store->lock_refresh_ms =
            store->lock_ttl_ms / 2; /* a short life was given, and no time of renewal */
    store->sweep_interval_ms = o->sweep_interval_ms;
    lk_status status =
        lki_limit_take(o->max_pk_size, LKI_PK_SIZE, LKI_KEY_SIZE_CAP, &store->max_pk_size);
    if (status == LK_OK)
        status = lki_limit_take(o->max_sk_size, LKI_SK_SIZE, LKI_KEY_SIZE_CAP, &store->max_sk_size);
    if (status == LK_OK)
        status = lki_limit_take(o->max_data_size, LKI_DATA_SIZE, LKI_DATA_SIZE_CAP,
                                &store->max_data_size);
    return status == LK_OK && o->expected_items > EXPECTED_MAX ? LK_TOO_BIG : status;
}

static void
domain_prepare(lki_store *store)
{
    lki_domain *domain = &store->domain;
    domain->store = store;
    domain->stamps = &store->clock;
    domain->thread_size =
        store->hooks->thread_size != 0 ? store->hooks->thread_size : sizeof(lki_store_thread);
    domain->thread_end = store->hooks->thread_end;
    domain->thread_urge = lki_sweep_now;
    domain->dispose[LKI_RECORD] = lki_record_dispose;
    domain->dispose[LKI_CELL] = lki_cell_dispose;
    domain->dispose[LKI_NODE] = lki_index_dispose;
    domain->dispose[LKI_TICKET] = lki_removal_ticket;
    domain->dispose[LKI_INLINE_RECORD] = lki_record_dispose_inline;
    domain->dispose[LKI_PARTITION] = lki_partition_dispose;
    domain->dispose[LKI_COMMIT] = lki_commit_dispose;
    lki_domain_open(domain);
}

lk_status
lki_store_open(const lk_memory_options *options, const lki_hooks *hooks, lki_store **opened)
{
    const lk_memory_options defaults = LK_MEMORY_OPTIONS_INIT;
    const lk_memory_options *o = options != NULL ? options : &defaults;
    lk_status status = options_check(o);
    if (status != LK_OK)
        return status;
    lki_allocator allocator = {o->allocate, o->deallocate, o->allocator_context, NULL, NULL};
    size_t size = sizeof(lki_store) + hooks->room;
    lki_store *store = lki_alloc_lines(&allocator, size);
    if (store == NULL)
        return LK_NO_MEMORY;
    store->domain.allocator = allocator;
    lki_store_relaxed(&store->domain.account.taken, lki_lines_bytes(&allocator, size));
    store->hooks = hooks;
    status = options_apply(store, o);
    if (status == LK_OK && !lki_secret_draw(&store->secret))
        status = LK_NO_MEMORY;
    if (status != LK_OK) {
        lki_free_lines(&allocator, store, size);
        return status;
    }
    lki_latch_init(&store->sweep.latch, LKI_RANK_SWEEP);
    unsigned char mark[LKI_ULID_WORD];
    lki_ulid_write(mark, store->secret.other);
    memcpy(store->ulid_mark, mark, sizeof store->ulid_mark);
    lki_store_relaxed(&store->sweep.earliest_ms, INT64_MAX);
    lki_store_relaxed(&store->clock, 1);
    domain_prepare(store);
    if (hooks->open != NULL)
        hooks->open(store);
    status = lki_shards_open(store, o->shards != 0 ? o->shards : SHARDS, o->expected_items);
    if (!lki_partitions_open(store))
        status = LK_NO_MEMORY;
    if (status == LK_OK && store->sweep_interval_ms > 0 && !lki_sweeper_start(store))
        status = LK_NO_MEMORY;
    if (status != LK_OK) {
        lki_store_close(store);
        return status;
    }
    store->domain.purse.exempt = 1; /* for threads that attach later */
    *opened = store;
    return LK_OK;
}

static void
cell_prefetch_head(lki_cell *cell)
{
    uintptr_t head = lki_load_relaxed(&cell->item);
    if (head != (uintptr_t)lki_cell_record(cell))
        LKI_PREFETCH(head);
}

static void
cells_free(lki_store *store)
{
    enum { ROOM = 64 };
    void *objects[ROOM];
    lki_set_position at = {0};
    while (!lki_set_is_end(&at)) {
        size_t count = lki_set_walk(&store->cells, &at, objects, ROOM);
        /* The cells of the chunk were prefetched; now their records are, so that these misses
         * overlap, too. */
        for (size_t i = 0; i < count; i++)
            cell_prefetch_head(objects[i]);
        for (size_t i = 0; i < count; i++)
            lki_cell_destroy(store, objects[i]);
    }
}

void
lki_store_close(lki_store *store)
{
    if (!lki_domain_is_ours(&store->domain))
        return; /* the child of a fork: other threads may have been anywhere in it */
    lki_sweeper_stop(store);
    store->closing = true;
    lki_store_check(store);
    lki_domain_close(&store->domain);
    if (store->hooks->close != NULL)
        store->hooks->close(store);
    if (lki_set_is_open(&store->cells))
        cells_free(store);
    lki_partitions_close(store);
    lki_shards_close(store);
    lki_latch_destroy(&store->sweep.latch);
    lki_allocator allocator = store->domain.allocator;
    LK_ASSERT(lki_load_relaxed(&store->domain.account.taken) ==
              lki_lines_bytes(&allocator, sizeof *store + store->hooks->room)); /* I-account1 */
    allocator.purse = NULL;
    lki_free_lines(&allocator, store, sizeof *store + store->hooks->room);
}

static void
counters_copy(lk_statistics *s, const uint64_t *counter)
{
    s->partitions = counter[LKI_PARTITIONS_ADDED] - counter[LKI_PARTITIONS_REMOVED];
    s->gets = counter[LKI_HITS] + counter[LKI_MISSES];
    s->hits = counter[LKI_HITS];
    s->multi_gets = counter[LKI_MULTI_GETS];
    s->queries = counter[LKI_QUERIES];
    s->items_queried = counter[LKI_ITEMS_QUERIED];
    s->sets = counter[LKI_SETS];
    s->deletes = counter[LKI_DELETES];
    s->commits = counter[LKI_COMMITS];
    s->races = counter[LKI_RACES];
    s->locks_created = counter[LKI_LOCKS_CREATED];
    s->locks_renewed = counter[LKI_LOCKS_RENEWED];
    s->retries = counter[LKI_RETRIES];
    s->aborts = counter[LKI_ABORTS];
    s->head_conflicts = counter[LKI_HEAD_CONFLICTS];
    s->snapshots = counter[LKI_SNAPSHOTS];
    s->latch_waits = counter[LKI_LATCH_WAITS];
    s->retired_objects = counter[LKI_RETIRED];
    s->freed_objects = counter[LKI_FREED];
    s->busy = counter[LKI_BUSY_CALLS];
    s->expired_swept = counter[LKI_EXPIRED_SWEPT];
    s->locks_swept = counter[LKI_LOCKS_SWEPT];
    s->cells_removed = counter[LKI_CELLS_REMOVED];
    s->slots_visited = counter[LKI_SLOTS_VISITED];
    s->helped = counter[LKI_HELPED];
    s->claim_collisions = counter[LKI_CLAIM_COLLISIONS];
    s->empty_pulls = counter[LKI_EMPTY_PULLS];
}

void
lki_store_statistics(lki_store *store, lk_statistics *statistics)
{
    lki_reclaim_report report;
    lki_reclaim_read(&store->domain, &report);
    *statistics = (lk_statistics){.cells = lki_shard_count(store),
                                  .threads = report.threads,
                                  .thread_records = report.thread_records,
                                  .retired_bytes = report.retired_bytes,
                                  .allocated_bytes = report.allocated_bytes,
                                  .oldest_reader_ms = report.oldest_reader_ms,
                                  .oldest_reader_thread = report.oldest_reader_thread,
                                  .sweep_lag_ms = lki_load_relaxed(&store->sweep.lag_ms),
                                  .allocator = lki_alloc_name(&store->domain.allocator)};
    counters_copy(statistics, report.counter);
}
