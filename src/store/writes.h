/* SPDX-License-Identifier: MIT
 *
 * The writes of a commit, in the two forms in which the calls give them, and the steps that a queue
 * adds to a commit.
 */
#ifndef LKI_STORE_WRITES_H
#define LKI_STORE_WRITES_H

#include "base/step.h"
#include "store/outcome.h"

/* What a commit does for a step of a queue: the record that must be effective on the head of
 * `cell`, and, unless the job is removed, its next state. */
typedef struct lki_job_step {
    lki_cell *cell;
    const lki_record *expected;
    lki_state to;
} lki_job_step;
/* Called for each such write each time a commit is planned, in the section of the commit. Any
 * status but LK_OK ends the commit with that status (never LK_RACE, LK_NOT_FOUND or LK_BUSY). */
typedef lk_status (*lki_job_plan)(void *context, lki_store *store, lki_thread *thread, size_t write,
                                  lki_job_step *step);

/* Either `items`, which are puts, or `writes`. */
typedef struct lki_writes {
    const lk_item *items;
    const lk_write *writes;
    size_t count;
    lki_job_plan plan; /* NULL: there are no steps of queues */
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

/* The write, if its outcome depends on what is there; else NULL. */
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

/* The key of a write; NULL: a push whose sk is to be generated. */
LKI_INLINE const lk_key *
lki_writes_key(const lki_writes *writes, size_t i)
{
    return writes->items != NULL ? &writes->items[i].key : lki_write_key(&writes->writes[i]);
}

#endif
