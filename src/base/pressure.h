/* SPDX-License-Identifier: MIT
 *
 * Memory pressure: what a writer does when more is retired than the domain's limit allows, because
 * a reader holds the epoch back. It waits for a reader that is about to leave its section, and
 * returns LK_BUSY if a reader stays.
 *
 * Guarantees  Retired memory is bounded by the limit, plus one step of each running call.
 * Progress    No thread waits longer than LKI_WAIT_MAX_MS; inside a section none waits.
 */
#ifndef LKI_BASE_PRESSURE_H
#define LKI_BASE_PRESSURE_H

#include "base/reclaim.h"

/* A writer waits as long as readers leave their sections: until the epoch has not moved for
 * LKI_STALL_MS of the system's clock, and LKI_WAIT_MAX_MS in all. Once an epoch is known to stand
 * still, no writer waits that long for it again, but only leaves a millisecond to other threads. */
enum { LKI_STALL_MS = 500, LKI_WAIT_MAX_MS = 2000 };
bool lki_memory_wait(lki_thread *thread);

/* Writers call it first, without a latch, and not again inside their section: there it would not
 * wait, and return LK_BUSY for a reader that is about to leave. False: LK_BUSY. */
LKI_INLINE bool
lki_memory_is_bounded(lki_thread *thread)
{
    if (LKI_LIKELY(lki_load_relaxed(&thread->domain->pressure) == 0))
        return true;
    return lki_memory_wait(thread);
}

/* May upkeep retire more? Yes, up to the limit: expired items that it left in place would be
 * counted by no limit. */
LKI_INLINE bool
lki_memory_has_room(const lki_thread *thread)
{
    return (lki_load_relaxed(&thread->domain->pressure) & LKI_PRESSURE_RETIRED) == 0;
}

/* Has this section retired so much that work in portions should end it after this step? Whether
 * memory is bounded is then decided, and waited for, outside of it: a portion never gets LK_BUSY
 * because of what it retired itself, and exceeds the limit by at most one step. */
LKI_INLINE bool
lki_section_is_full(const lki_thread *thread)
{
    return LKI_UNLIKELY(lki_load_relaxed(&thread->open_bytes) >= LKI_SEAL_BYTES) ||
           LKI_UNLIKELY(!lki_memory_has_room(thread));
}

/* If too much is retired, frees what it can without waiting. */
void lki_memory_look(lki_thread *thread);
LKI_INLINE bool
lki_memory_is_bounded_now(lki_thread *thread)
{
    if (LKI_LIKELY(lki_memory_has_room(thread)))
        return true;
    lki_memory_look(thread);
    return lki_memory_has_room(thread);
}

#endif
