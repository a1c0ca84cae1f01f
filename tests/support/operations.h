/* SPDX-License-Identifier: MIT
 *
 * Tables of operations for the adapters of tests.
 */
#ifndef LATCHKEY_TESTS_OPERATIONS_H
#define LATCHKEY_TESTS_OPERATIONS_H

#include <latchkey/adapter.h>

/* Takes out the operations of all groups that `capabilities` does not have. */
static inline void
operations_limit(lk_operations *o, uint64_t capabilities)
{
    if ((capabilities & LK_HAS_GET_MANY) == 0)
        o->get_many = NULL;
    if ((capabilities & LK_HAS_QUERY) == 0)
        o->query = NULL;
    if ((capabilities & LK_HAS_LOCKS) == 0) {
        o->get_lock = NULL;
        o->get_lock_at = NULL;
        o->get_locked = NULL;
        o->commit = NULL;
        o->set_atomic = NULL;
    }
    if ((capabilities & LK_HAS_QUEUES) == 0) {
        o->push = NULL;
        o->pull = NULL;
        o->acknowledge = NULL;
        o->release = NULL;
        o->extend = NULL;
        o->queue_stats = NULL;
        o->queue_purge = NULL;
        o->queue_close = NULL;
    }
    if ((capabilities & LK_HAS_QUEUE_FD) == 0)
        o->queue_fd = NULL;
    if ((capabilities & LK_HAS_VIEWS) == 0) {
        o->read_begin = NULL;
        o->read_end = NULL;
        o->view = NULL;
        o->view_at = NULL;
    }
    if ((capabilities & LK_HAS_SWEEP) == 0)
        o->sweep = NULL;
    if ((capabilities & LK_HAS_STATISTICS) == 0)
        o->statistics = NULL;
}

#endif
