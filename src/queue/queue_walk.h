/* SPDX-License-Identifier: MIT
 *
 * The cells of a partition in the order of their sk: those of the index, and between them those of
 * the jobs that lie in its queue.
 */
#ifndef LKI_QUEUE_QUEUE_WALK_H
#define LKI_QUEUE_QUEUE_WALK_H

#include "queue/queue.h"

enum { LKI_WALK_RUN = 128 };

typedef struct lki_queue_walk {
    lki_store *store;
    lki_queue *queue; /* NULL: the index alone */
    const lki_directory *directory;
    lki_segment *segment; /* NULL: at the end */
    int64_t slot;         /* the next one to look at */
    uint64_t snapshot;    /* jobs that were there then; UINT64_MAX: that are there now */
    lk_bytes from;        /* of the first segment: keys on the wrong side of it are left out */
    bool bounded, strict, reverse;
    lki_index_walk index;
    lki_cell *of_index[LKI_WALK_RUN];
    size_t index_at, index_count;
    lki_cell *of_queue; /* the next one; NULL: none */
} lki_queue_walk;

/* As lki_index_walk_begin and _next. `from` stays the caller's. Caller: in a section, after the
 * snapshot was taken. */
void lki_queue_walk_begin(lki_queue_walk *walk, lki_store *store, lki_partition *partition,
                          uint64_t snapshot, const lk_bytes *from, bool strict, bool reverse);
size_t lki_queue_walk_next(lki_queue_walk *walk, lki_cell **cells, size_t room);

#endif
