/* SPDX-License-Identifier: MIT
 *
 * Ordered reads of a partition, one page at a time.
 *
 * The snapshot is taken first, the index is read second. A cell is in the index before its first
 * record can be seen, so a walk that begins after the snapshot finds every record that is stamped
 * at or below it.
 *
 * A page is read in one pass. The index gives pointers to cells, in runs. The first line of each
 * cell is prefetched FAR cells before its turn, what it points to NEAR cells before. Each item is
 * copied as soon as it is judged, so that the processor copies while memory answers.
 *
 * Progress    never waits. A relaxed query takes each record as it is when it is met.
 * Ordering    P1, P2, P2b (head.h).
 */
#include "store/query.h"

#include <string.h>

#include "base/copy.h"
#include "base/scratch.h"
#include "store/head.h"
#include "store/partition.h"

enum { RUN = 128, NEAR = 32, FAR = 64, FEW = 256 };

/* The keys of a page: from `low` on, below `high`. A prefix is such a range, too. */
typedef struct range {
    lk_bytes low, high;
    bool strict; /* above `low`, not from it on */
    bool ends;   /* else there is no `high` */
} range;

static void
range_end(range *r, lk_bytes high)
{
    if (!r->ends || lk_bytes_compare(high, r->high) < 0)
        r->high = high;
    r->ends = true;
}

/* Ends the range at the first byte string above all that begin with the prefix. `memory`: room for
 * it. */
static void
range_end_prefix(range *r, lk_bytes prefix, unsigned char *memory)
{
    size_t size = prefix.size;
    if (size != 0)
        memcpy(memory, prefix.data, size);
    while (size > 0 && memory[size - 1] == 0xff)
        size--;
    if (size == 0)
        return;
    memory[size - 1]++;
    range_end(r, (lk_bytes){memory, size});
}

static range
range_of(const lki_page *page, unsigned char *memory)
{
    const lk_query *query = page->query;
    range r = {.low = query->sk_prefix};
    range_end_prefix(&r, query->sk_prefix, memory);
    if (query->until.size != 0)
        range_end(&r, query->until);
    if (page->has_after && query->reverse)
        range_end(&r, query->after);
    if (lk_bytes_compare(query->from, r.low) > 0)
        r.low = query->from;
    if (page->has_after && !query->reverse && lk_bytes_compare(query->after, r.low) >= 0) {
        r.low = query->after;
        r.strict = true;
    }
    return r;
}

/* Prefetches what the first line of a cell points to: the rest of its key, and its record with 64
 * bytes of data. The last of these bytes is named, not the next line: cells begin anywhere in a
 * line, and a line that is left out costs a miss for every other cell. A count needs only the
 * record's first line. */
LKI_INLINE void
cell_prefetch_rest(const lki_cell *cell, bool counts)
{
    uintptr_t head = lki_load_relaxed(&cell->item); /* only a hint for the cache */
    LKI_PREFETCH_FAR(head);
    if (counts)
        return;
    LKI_PREFETCH_FAR((uintptr_t)cell + LKI_LINE);
    LKI_PREFETCH_FAR(head + LKI_RECORD_HEADER + 63);
}

typedef struct scan {
    lki_store *store;
    lki_page *page;
    const lki_cell *last; /* the last cell that was judged; NULL: none */
    uint64_t snapshot;    /* UINT64_MAX: what is effective now */
    lki_time now;
    int64_t before_ms; /* of lki_record_is_gone */
    size_t bytes;
    const lk_bytes *stop; /* the far end of the range; NULL: none */
    bool done;            /* there is nothing after `last` */
} scan;

/* Adds an item to a page, which begins with the one pk of all its items. */
LKI_INLINE bool
scan_put(lk_result *into, size_t pk_size, const lki_cell *cell, const lki_record *record)
{
    size_t sk_size = cell->sk_size, size = record->size;
    if (LKI_UNLIKELY(into->count == into->item_room ||
                     sk_size + size > into->byte_room - into->used) &&
        !lki_result_extend(into, 1, sk_size + size))
        return false;
    unsigned char *to = into->bytes + into->used;
    lk_item *item = &into->items[into->count++];
    into->used += sk_size + size;
    item->key.pk.data = into->bytes;
    item->key.pk.size = pk_size;
    item->key.sk.data = to;
    item->key.sk.size = sk_size;
    item->data.data = to + sk_size;
    item->data.size = size;
    item->expires_at_ms = lki_record_expires(record);
    lki_copy(to, lki_cell_sk(cell), sk_size);
    lki_copy(to + sk_size, lki_record_data(record), size);
    return true;
}

static bool
is_behind(const lki_cell *cell, const lk_bytes *stop, bool reverse)
{
    int order = lk_bytes_compare((lk_bytes){lki_cell_sk(cell), cell->sk_size}, *stop);
    return reverse ? order < 0 : order >= 0;
}

/* Judges and copies a run of cells, an array with room for FAR more. `counts` (a constant): nothing
 * is copied. LK_OK: go on; LK_END: the page is full, or the range is at its end (`done`); LK_RACE:
 * see lki_record_is_gone; LK_NO_MEMORY. */
LKI_INLINE lk_status
scan_run(scan *s, lki_cell **cells, size_t count, bool counts)
{
    lki_page *page = s->page;
    /* Repeats the last cell, so that prefetching ahead need not check for the end of the run. */
    for (size_t i = 0; i < FAR; i++)
        cells[count + i] = cells[count - 1];
    for (size_t i = 0; i < count && i < FAR; i++)
        LKI_PREFETCH_FAR(cells[i]);
    for (size_t i = 0; i < count && i < NEAR; i++)
        cell_prefetch_rest(cells[i], counts);
    for (size_t i = 0; i < count; i++) {
        LKI_PREFETCH_FAR(cells[i + FAR]);
        cell_prefetch_rest(cells[i + NEAR], counts);
        const lki_cell *cell = cells[i];
        if (s->stop != NULL && is_behind(cell, s->stop, page->query->reverse)) {
            s->done = true;
            return LK_END;
        }
        s->last = cell;
        lki_record *record =
            lki_record_at(s->store, lki_load_acquire(&cell->item), s->snapshot); /* P1 */
        if (LKI_UNLIKELY(!lki_record_is_live(s->store, record, &s->now))) {
            if (!lki_record_is_gone(cell, record, &s->now, &s->before_ms))
                return LK_RACE;
            continue;
        }
        if (!counts && !scan_put(page->into, page->query->pk.size, cell, record))
            return LK_NO_MEMORY;
        s->bytes += record->size;
        if (++page->count == page->limit || (!counts && s->bytes >= page->max_bytes))
            return LK_END;
    }
    return LK_OK;
}

/* Reads the page, from its start again after LK_RACE. */
static lk_status
scan_all(scan *s, lki_thread *thread, const range *r)
{
    lki_page *page = s->page;
    const lk_query *query = page->query;
    lki_cell *cells[RUN + FAR];
    lki_partition_walk walk;
    *s = (scan){.store = s->store, .page = page, .before_ms = s->before_ms};
    page->count = 0;
    if (page->into != NULL) {
        page->into->count = 0;
        page->into->used = query->pk.size;
    }
    /* Before the index is read. */
    s->snapshot = query->relaxed ? UINT64_MAX : lki_snapshot(s->store, thread);
    lki_partition *partition = lki_partition_find(s->store, query->pk);
    if (partition == NULL)
        return LK_OK;
    const lk_bytes *low = r->low.size != 0 || r->strict ? &r->low : NULL;
    const lk_bytes *high = r->ends ? &r->high : NULL;
    s->stop = query->reverse ? low : high;
    lki_partition_walk_begin(&walk, s->store, partition, s->snapshot, query->reverse ? high : low,
                             r->strict, query->reverse);
    lk_status status = LK_OK;
    size_t visited = 0;
    while (status == LK_OK && visited < page->max_cells) {
        size_t left = page->limit - page->count;
        size_t count = lki_partition_walk_next(&walk, cells, left < RUN - 4 ? left + 4 : RUN);
        if (count == 0)
            return LK_OK;
        visited += count;
        status =
            page->into == NULL ? scan_run(s, cells, count, true) : scan_run(s, cells, count, false);
    }
    if (status == LK_NO_MEMORY || status == LK_RACE)
        return status;
    if (s->done || s->last == NULL || page->into == NULL)
        return LK_OK;
    if (!lki_result_extend(page->into, 0, s->last->sk_size))
        return LK_NO_MEMORY;
    lki_result_put_more(page->into, lki_cell_sk(s->last), s->last->sk_size);
    return LK_OK;
}

lk_status
lki_query_page(lki_store *store, lki_thread *thread, lki_page *page)
{
    const lk_query *query = page->query;
    scan s = {.store = store, .page = page};
    if (page->into != NULL) {
        if (!lki_result_extend(page->into, 0, query->pk.size))
            return LK_NO_MEMORY;
        lki_copy(page->into->bytes, query->pk.data, query->pk.size);
    }
    /* The end of a prefix is a byte string of its own. */
    unsigned char few[FEW];
    lki_scratch many = {NULL, 0};
    bool fits = query->sk_prefix.size <= sizeof few;
    if (!fits && !lki_scratch_take(thread, &many, query->sk_prefix.size))
        return LK_NO_MEMORY;
    range r = range_of(page, fits ? few : many.memory);
    lk_status status;
    do
        status = scan_all(&s, thread, &r);
    while (LKI_UNLIKELY(status == LK_RACE));
    lki_scratch_give(thread, &many);
    return status;
}
