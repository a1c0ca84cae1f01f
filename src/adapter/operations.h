/* SPDX-License-Identifier: MIT
 *
 * What stands behind a lk_db: a table of operations. The calls of api/ check their arguments
 * against the handle's limits, then come here with valid ones; a NULL operation is LK_UNSUPPORTED.
 * A database is a struct that begins with lk_db.
 */
#ifndef LKI_ADAPTER_OPERATIONS_H
#define LKI_ADAPTER_OPERATIONS_H

#include <latchkey/latchkey.h>

#include "base/result.h"

/* One page of an ordered read: the api's query is one page without bounds, its stream many. */
typedef struct lki_page_request {
    const lk_query *query;
    bool has_after;   /* query->after counts, be it empty */
    size_t max_cells; /* look at so many keys at most; SIZE_MAX: all */
    size_t max_bytes; /* stop at so many bytes of data */
} lki_page_request;

/* Where a page ended: more behind it unless `done`. `resume` is behind the items in the result's
 * bytes. */
typedef struct lki_page_end {
    lk_bytes resume;
    bool done;
} lki_page_end;

typedef struct lki_operations {
    void (*close)(lk_db *db);
    lk_status (*get)(lk_db *db, lk_key key, lk_result *result);
    lk_status (*get_many)(lk_db *db, const lk_key *keys, size_t count, lk_result *result);
    lk_status (*get_into)(lk_db *db, lk_key key, void *buffer, size_t capacity, size_t *size);
    lk_status (*set)(lk_db *db, const lk_item *items, size_t count);
    lk_status (*remove)(lk_db *db, const lk_key *keys, size_t count);
    void (*read_begin)(lk_db *db);
    void (*read_end)(lk_db *db);
    lk_status (*view)(lk_db *db, lk_key key, lk_item *item);
    lk_status (*get_lock)(lk_db *db, lk_key key, lk_lock *lock);
    lk_status (*get_locked)(lk_db *db, const lk_key *keys, size_t count, lk_lock *locks,
                            lk_result *result);
    /* `items` (puts) or `writes`, the other NULL. */
    lk_status (*commit)(lk_db *db, const lk_item *items, const lk_write *writes, size_t write_count,
                        lk_lock *locks, size_t lock_count, lk_conflict *conflict);
    lk_status (*query)(lk_db *db, const lki_page_request *request, lk_result *result,
                       lki_page_end *end);
    lk_status (*push)(lk_db *db, const lk_item *jobs, size_t count, const lk_push_options *options,
                      lk_result *pushed);
    lk_status (*pull)(lk_db *db, const lk_pull_options *options, lk_result *result);
    lk_status (*acknowledge)(lk_db *db, const lk_claim *claims, size_t count);
    lk_status (*release)(lk_db *db, const lk_claim *claim, int64_t delay_ms);
    lk_status (*extend)(lk_db *db, lk_claim *claim, int64_t visibility_ms);
    lk_status (*queue_stats)(lk_db *db, lk_bytes pk, lk_queue_statistics *stats);
    lk_status (*queue_purge)(lk_db *db, lk_bytes pk, size_t *purged);
    lk_status (*queue_close)(lk_db *db, lk_bytes pk);
    lk_status (*queue_fd)(lk_db *db, lk_bytes pk, int *fd);
    lk_status (*sweep)(lk_db *db, size_t max_items, size_t *swept);
    lk_status (*statistics)(lk_db *db, lk_statistics *statistics);
} lki_operations;

struct lk_db {
    const lki_operations *operations;               /* [const] */
    size_t max_pk_size, max_sk_size, max_data_size; /* [const] */
};

#endif
