/* SPDX-License-Identifier: MIT
 *
 * Ordered reads, a page at a time.
 *
 * The snapshot first, the index second: a cell is in the index before its first record can be
 * seen, so whatever is stamped at or below the snapshot is found by a walk that begins after it.
 *
 * A page is read in one pass. The index gives pointers to cells in runs; the first line of each
 * cell is asked for FAR cells before its turn, what that leads to NEAR cells before, and the item
 * is copied as soon as it has been judged: the processor copies while memory answers.
 *
 * Progress    never waits. A relaxed query takes each record as it is when it is met.
 */
#include "store/query.h"

#include <string.h>

#include "base/copy.h"
#include "base/scratch.h"
#include "store/head.h"
#include "store/partition.h"

enum { RUN = 128, NEAR = 32, FAR = 64, FEW = 256 };

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

/* What the first line of a cell leads to: the rest of its keys, and its record, with 64 bytes of
 * data. The last of these bytes is named, not the next line: cells begin anywhere in a line, and a
 * line that is left out costs a miss for every other cell. */
LKI_INLINE void
cell_prefetch_rest(const lki_cell *cell)
{
    uintptr_t head = lki_load_relaxed(&cell->item); /* only a hint for the cache */
    LKI_PREFETCH_FAR((uintptr_t)cell + LKI_LINE);
    LKI_PREFETCH_FAR(head);
    LKI_PREFETCH_FAR(head + LKI_RECORD_HEADER + 63);
}

typedef struct scan {
    lki_store *store;
    lki_page *page;
    const lki_cell *last; /* that was looked at; NULL: none */
    uint64_t snapshot;    /* UINT64_MAX: what is effective now */
    lki_time now;
    size_t bytes;
    bool done; /* there is nothing behind `last` */
} scan;

/* All items of a page have one pk: the page begins with it. */
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

/* A run of cells, with room for FAR more behind it. LK_OK: go on; LK_END: the page is full, or the
 * prefix is behind us (`done`); LK_NO_MEMORY. */
static lk_status
scan_run(scan *s, lki_cell **cells, size_t count)
{
    lki_page *page = s->page;
    lk_bytes prefix = page->query->sk_prefix;
    /* The last one again and again: what is asked for ahead need not know where the run ends. */
    for (size_t i = 0; i < FAR; i++)
        cells[count + i] = cells[count - 1];
    for (size_t i = 0; i < count && i < FAR; i++)
        LKI_PREFETCH_FAR(cells[i]);
    for (size_t i = 0; i < count && i < NEAR; i++)
        cell_prefetch_rest(cells[i]);
    for (size_t i = 0; i < count; i++) {
        LKI_PREFETCH_FAR(cells[i + FAR]);
        cell_prefetch_rest(cells[i + NEAR]);
        const lki_cell *cell = cells[i];
        if (prefix.size != 0 && !has_prefix(cell, prefix)) {
            s->done = true;
            return LK_END;
        }
        s->last = cell;
        lki_record *record =
            lki_record_at(s->store, lki_load_acquire(&cell->item), s->snapshot); /* P1 */
        if (!lki_record_is_live(s->store, record, &s->now))
            continue;
        if (!scan_put(page->into, page->query->pk.size, cell, record))
            return LK_NO_MEMORY;
        s->bytes += record->size;
        if (page->into->count == page->limit || s->bytes >= page->max_bytes)
            return LK_END;
    }
    return LK_OK;
}

/* What is left of the query once its bounds are known. */
static lk_status
scan_all(scan *s, lki_thread *thread, bounds b)
{
    lki_page *page = s->page;
    const lk_query *query = page->query;
    lki_cell *cells[RUN + FAR];
    lki_partition_walk walk;
    /* Before the index is looked at. */
    s->snapshot = query->relaxed ? UINT64_MAX : lki_snapshot(s->store, thread);
    lki_partition *partition = lki_partition_find(s->store, query->pk);
    if (partition == NULL || b.empty)
        return LK_OK;
    lki_partition_walk_begin(&walk, s->store, partition, s->snapshot, b.bounded ? &b.from : NULL,
                             b.strict, query->reverse);
    lk_status status = LK_OK;
    size_t visited = 0;
    while (status == LK_OK && visited < page->max_cells) {
        size_t left = page->limit - page->into->count;
        size_t count = lki_partition_walk_next(&walk, cells, left < RUN - 4 ? left + 4 : RUN);
        if (count == 0)
            return LK_OK;
        visited += count;
        status = scan_run(s, cells, count);
    }
    if (status == LK_NO_MEMORY)
        return LK_NO_MEMORY;
    if (s->done || s->last == NULL)
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
    if (!lki_result_extend(page->into, 0, query->pk.size))
        return LK_NO_MEMORY;
    lki_copy(page->into->bytes, query->pk.data, query->pk.size);
    page->into->used = query->pk.size;
    if (!query->reverse)
        return scan_all(&s, thread, bounds_ascending(query, page->has_after));
    /* Where the walk begins is a byte string of its own. */
    unsigned char few[FEW];
    lki_scratch many = {NULL, 0};
    bool fits = query->sk_prefix.size <= sizeof few;
    if (!fits && !lki_scratch_take(thread, &many, query->sk_prefix.size))
        return LK_NO_MEMORY;
    lk_status status =
        scan_all(&s, thread, bounds_descending(query, page->has_after, fits ? few : many.memory));
    lki_scratch_give(thread, &many);
    return status;
}
