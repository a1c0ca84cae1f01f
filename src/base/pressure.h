/* SPDX-License-Identifier: MIT
 *
 * Pressure: more is retired than the domain's limit allows, because a reader holds the epoch back.
 * Writers wait for one that is on its way, and are told LK_BUSY where one stays.
 *
 * Guarantees  What is retired is bounded by the limit, and a step of each call that is under way.
 * Progress    Nobody waits longer than LKI_WAIT_MAX_MS, and inside of a section nobody waits.
 */
#ifndef LKI_BASE_PRESSURE_H
#define LKI_BASE_PRESSURE_H

#include "base/reclaim.h"

/* A writer waits for readers that are on their way, not for one that stays: until the epoch has not
 * moved for LKI_STALL_MS of the system's clock, and LKI_WAIT_MAX_MS in all. Once that is known of
 * an epoch, nobody waits for it that long again, but leaves a millisecond to others. */
enum { LKI_STALL_MS = 500, LKI_WAIT_MAX_MS = 2000 };
bool lki_memory_wait(lki_thread *thread);

/* Writers call it first, holding no latch, and not again inside of the section: there it only
 * judges, and a reader on its way would do for LK_BUSY. False: LK_BUSY. */
LKI_INLINE bool
lki_memory_is_bounded(lki_thread *thread)
{
    if (LKI_LIKELY(lki_load_relaxed(&thread->domain->pressure) == 0))
        return true;
    return lki_memory_wait(thread);
}

/* May upkeep that nobody has asked for retire more? It stops at the limit, not before: what has
 * expired and lies there while a reader stays would be memory that no limit bounds. */
LKI_INLINE bool
lki_memory_has_room(const lki_thread *thread)
{
    return (lki_load_relaxed(&thread->domain->pressure) & LKI_PRESSURE_RETIRED) == 0;
}

/* Has this section retired so much that who works in portions ends it after this step? Then what
 * was retired is judged, and waited for, outside of it: a portion is never LK_BUSY by its own
 * garbage, and goes beyond the limit by no more than a step. */
LKI_INLINE bool
lki_section_is_full(const lki_thread *thread)
{
    return LKI_UNLIKELY(lki_load_relaxed(&thread->open_bytes) >= LKI_SEAL_BYTES) ||
           LKI_UNLIKELY(!lki_memory_has_room(thread));
}

/* Where too much is retired, frees what it can, and waits for nobody. */
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
