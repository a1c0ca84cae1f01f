/* SPDX-License-Identifier: MIT
 *
 * Ordered reads. Called by memory_db.c, in a section, a page at a time.
 *
 * The snapshot first, the index second: a cell is in the index before its first record can be
 * seen, so whatever is stamped at or below the snapshot is found by a walk that begins after it.
 * Cells come out of the index in runs, with their first lines under way; their values are
 * prefetched a dozen ahead.
 *
 * Progress    never waits. A relaxed query takes each record as it is when it is met.
 */
#include <string.h>

#include "store/lane_walk.h"

enum { RUN = 128, AHEAD = 12, FEW = 256 };

typedef struct bounds {
    lk_bytes from;
    bool bounded; /* else from the very end */
    bool strict;
    bool empty; /* nothing can match */
} bounds;

static bool
has_prefix(const lki_cell *cell, lk_bytes prefix)
{
    return cell->sk_size >= prefix.size &&
           (prefix.size == 0 || memcmp(lki_cell_sk(cell), prefix.data, prefix.size) == 0);
}

static bounds
bounds_ascending(const lk_query *query, bool has_after)
{
    bounds b = {.from = query->sk_prefix, .bounded = query->sk_prefix.size != 0};
    if (has_after && lk_bytes_compare(query->after, query->sk_prefix) >= 0)
        b = (bounds){.from = query->after, .bounded = true, .strict = true};
    return b;
}

/* Everything below the first byte string that is above all with the prefix; `memory`: room for
 * it. */
static bounds
bounds_descending(const lk_query *query, bool has_after, unsigned char *memory)
{
    bounds b = {.bounded = false};
    size_t size = query->sk_prefix.size;
    if (size != 0)
        memcpy(memory, query->sk_prefix.data, size);
    while (size > 0 && memory[size - 1] == 0xff)
        size--;
    if (size > 0) {
        memory[size - 1]++;
        b = (bounds){.from = {memory, size}, .bounded = true};
    }
    if (has_after && (!b.bounded || lk_bytes_compare(query->after, b.from) < 0)) {
        b = (bounds){.from = query->after, .bounded = true};
        b.empty = lk_bytes_compare(query->after, query->sk_prefix) <= 0;
    }
    return b;
}

/* Room for one more in the page. */
static bool
page_grow(lki_thread *thread, lki_page *page, size_t *room)
{
    if (LKI_LIKELY(page->count < *room))
        return true;
    if (!lki_scratch_grow(thread, &page->scratch, (*room + 1) * sizeof *page->found))
        return false;
    page->found = page->scratch.memory;
    *room = page->scratch.size / sizeof *page->found;
    return true;
}

static void
cell_prefetch(const lki_cell *cell)
{
    LKI_PREFETCH_AT(cell, LKI_LINE);
    LKI_PREFETCH_AT(cell, 2 * LKI_LINE);
}

typedef struct scan {
    lki_store *store;
    lki_thread *thread;
    lki_page *page;
    size_t room; /* in page->found */
    uint64_t snapshot;
    lki_time now;
    size_t bytes;
} scan;

static lki_record *
scan_record(scan *s, const lki_cell *cell)
{
    uintptr_t head = lki_load_acquire(&cell->item); /* P1 */
    lki_record *record = s->page->query->relaxed ? lki_effective(s->store, head, NULL)
                                                 : lki_record_at(s->store, head, s->snapshot);
    return lki_record_is_live(s->store, record, &s->now) ? record : NULL;
}

/* A run of cells. LK_OK: go on; LK_END: the page is full, or the prefix is behind us
 * (page->done). */
static lk_status
scan_run(scan *s, lki_cell *const *cells, size_t count)
{
    lki_page *page = s->page;
    for (size_t i = 0; i < count && i < AHEAD; i++)
        cell_prefetch(cells[i]);
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            cell_prefetch(cells[i + AHEAD]);
        if (i + AHEAD / 2 < count)
            LKI_PREFETCH(
                lki_load_relaxed(&cells[i + AHEAD / 2]->item)); /* only a hint for the cache */
        const lki_cell *cell = cells[i];
        if (!has_prefix(cell, page->query->sk_prefix)) {
            page->done = true;
            return LK_END;
        }
        page->resume = cell;
        lki_record *record = scan_record(s, cell);
        if (record == NULL)
            continue;
        if (!page_grow(s->thread, page, &s->room))
            return LK_NO_MEMORY;
        page->found[page->count++] = (lki_found){cell, record};
        s->bytes += record->size;
        if (page->count == page->limit || s->bytes >= page->max_bytes)
            return LK_END;
    }
    return LK_OK;
}

/* What is left of the query once its bounds are known. */
static lk_status
scan_all(scan *s, bounds b)
{
    lki_page *page = s->page;
    const lk_query *query = page->query;
    lki_cell *cells[RUN];
    lki_lane_walk walk;
    s->snapshot =
        query->relaxed ? 0 : lki_snapshot(s->store, s->thread); /* before the index is looked at */
    lki_partition *partition =
        lki_shard_partition(s->store, query->pk, lki_hash_bytes(&s->store->secret, query->pk));
    if (partition == NULL || b.empty) {
        page->done = true;
        return LK_OK;
    }
    lki_lane_walk_begin(&walk, s->store, partition, query->relaxed ? UINT64_MAX : s->snapshot,
                        b.bounded ? &b.from : NULL, b.strict, query->reverse);
    lk_status status = LK_OK;
    size_t visited = 0;
    while (status == LK_OK && visited < page->max_cells) {
        size_t wanted = page->limit == 0 || page->limit - page->count >= RUN
                            ? RUN
                            : page->limit - page->count + 4;
        size_t count = lki_lane_walk_next(&walk, cells, wanted < RUN ? wanted : RUN);
        if (count == 0) {
            page->done = true;
            return LK_OK;
        }
        visited += count;
        status = scan_run(s, cells, count);
    }
    return status == LK_NO_MEMORY ? LK_NO_MEMORY : LK_OK;
}

lk_status
lki_query_page(lki_store *store, lki_thread *thread, lki_page *page)
{
    const lk_query *query = page->query;
    scan s = {.store = store, .thread = thread, .page = page};
    page->count = 0;
    page->resume = NULL;
    page->done = false;
    if (!lki_scratch_take(thread, &page->scratch, sizeof *page->found))
        return LK_NO_MEMORY;
    page->found = page->scratch.memory;
    s.room = page->scratch.size / sizeof *page->found;
    if (!query->reverse)
        return scan_all(&s, bounds_ascending(query, page->has_after));
    /* Where the walk begins is a byte string of its own: it outlasts every growth of the page. */
    unsigned char few[FEW];
    lki_scratch many = {NULL, 0};
    bool fits = query->sk_prefix.size <= sizeof few;
    if (!fits && !lki_scratch_take(thread, &many, query->sk_prefix.size))
        return LK_NO_MEMORY;
    lk_status status =
        scan_all(&s, bounds_descending(query, page->has_after, fits ? few : many.memory));
    lki_scratch_give(thread, &many);
    return status;
}
