/* SPDX-License-Identifier: MIT
 *
 * For programs whose scenarios are over one store each.
 */
#ifndef LKI_SCHEDULE_ONE_STORE_H
#define LKI_SCHEDULE_ONE_STORE_H

#include "base/thread.h"
#include "schedule/store.h"

static lk_db *db;

static inline void
store_prepare(void)
{
    db = store_open();
}

static inline void
store_teardown(void)
{
    lk_close(db);
}

/* The calling thread's record. */
static inline lki_thread *
store_self(void)
{
    lk_read_begin(db);
    lk_read_end(db);
    return lki_self.thread;
}

/* All schedules in which one of two calls stops at one of its points, and the other one goes on to
 * its end there, or to where it gives way. */
#define STORE_MIDST(title, before, begin, first, second, after)                                    \
    {                                                                                              \
        .name = title, .prepare = before, .setup = begin, .body = {first, second}, .check = after, \
        .teardown = store_teardown, .all = 2, .stops = 2, .waits = true, .memory = SCHEDULE_SC     \
    }

#endif
