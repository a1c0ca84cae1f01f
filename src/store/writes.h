/* SPDX-License-Identifier: MIT
 *
 * What a commit is asked to write.
 */
#ifndef LKI_STORE_WRITES_H
#define LKI_STORE_WRITES_H

#include "base/step.h"
#include "store/outcome.h"

/* What a commit does for a step of a queue: the record that has to be effective on the item's head
 * of `cell`, and, unless the job goes, the state that comes. */
typedef struct lki_job_step {
    lki_cell *cell;
    const lki_record *expected;
    lki_state to;
} lki_job_step;
/* Called for each such write when a commit is planned, and again when it is planned anew; in the
 * section of the commit. On anything but LK_OK (not LK_RACE, LK_NOT_FOUND, LK_BUSY) the commit ends
 * with that. */
typedef lk_status (*lki_job_plan)(void *context, lki_store *store, lki_thread *thread, size_t write,
                                  lki_job_step *step);

/* `items` (puts), or `writes`. */
typedef struct lki_writes {
    const lk_item *items;
    const lk_write *writes;
    size_t count;
    lki_job_plan plan; /* NULL: no steps of queues */
    void *context;
} lki_writes;

LKI_INLINE const lk_item *
lki_writes_item(const lki_writes *writes, size_t i)
{
    return writes->items != NULL ? &writes->items[i] : &writes->writes[i].item;
}

LKI_INLINE bool
lki_writes_is_delete(const lki_writes *writes, size_t i)
{
    return writes->items == NULL && writes->writes[i].kind == LK_DELETE;
}

/* NULL: it asks nothing of what is there. */
LKI_INLINE const lk_write *
lki_writes_asking(const lki_writes *writes, size_t i)
{
    if (writes->items != NULL || LKI_LIKELY(!lki_write_asks(&writes->writes[i])))
        return NULL;
    return &writes->writes[i];
}

LKI_INLINE bool
lki_writes_is_of_queue(const lki_writes *writes, size_t i)
{
    return writes->items == NULL && lki_write_is_of_queue(&writes->writes[i]);
}

/* NULL: a push whose sk is to be generated names no key. */
LKI_INLINE const lk_key *
lki_writes_key(const lki_writes *writes, size_t i)
{
    return writes->items != NULL ? &writes->items[i].key : lki_write_key(&writes->writes[i]);
}

#endif
