/* SPDX-License-Identifier: MIT
 *
 * Ordered reads, a page at a time.
 */
#ifndef LKI_STORE_QUERY_H
#define LKI_STORE_QUERY_H

#include "base/result.h"
#include "store/store.h"

/* One page of a query: up to `limit` live items from about `max_cells` cells, and up to the one
 * that exceeds `max_bytes` of data. They go to `into`, which is empty; all share one copy of the
 * pk. Where there may be more, the sk to go on behind goes there, too. Caller: in a section. LK_OK,
 * LK_NO_MEMORY. */
typedef struct lki_page {
    const lk_query *query;
    bool has_after; /* query->after counts, be it empty */
    size_t limit, max_cells, max_bytes;
    lk_result *into; /* NULL: they are only counted */
    size_t count;    /* how many there were */
} lki_page;
lk_status lki_query_page(lki_store *store, lki_thread *thread, lki_page *page);

#endif
