/* SPDX-License-Identifier: MIT
 *
 * Ordered reads of a partition, one page at a time.
 */
#ifndef LKI_STORE_QUERY_H
#define LKI_STORE_QUERY_H

#include "base/result.h"
#include "store/store.h"

/* Reads one page of a query: up to `limit` live items, from about `max_cells` cells, up to the item
 * that exceeds `max_bytes` of data. They go to `into`, which is empty; all share one copy of the
 * pk. If there may be more, the sk after which to continue goes there, too. Caller: in a section.
 * LK_OK, LK_NO_MEMORY. */
typedef struct lki_page {
    const lk_query *query;
    bool has_after; /* query->after applies, even if it is empty */
    size_t limit, max_cells, max_bytes;
    lk_result *into; /* NULL: only count them */
    size_t count;    /* number of items */
} lki_page;
lk_status lki_query_page(lki_store *store, lki_thread *thread, lki_page *page);

#endif
