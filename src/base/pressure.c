/* SPDX-License-Identifier: MIT
 *
 * Memory pressure: what a writer does before it returns LK_BUSY (pressure.h).
 *
 * A stall is remembered as the epoch for which a writer has waited in vain. While the epoch stays
 * the same, writers do not wait for it again, so one stopped reader does not delay every write.
 */
#include "base/pressure.h"

#include <limits.h>
#include <sched.h>
#include <time.h>

#include "base/cancel.h"
#include "base/clock.h"

enum { YIELDS = 8, SLEEP_FIRST_US = 50, SLEEP_LAST_US = 1000 };

/* Remembers that the epoch stands still, until it moves. */
static void
stall_remember(lki_domain *domain, uint32_t epoch)
{
    lki_store_relaxed(&domain->stalled_at, (uint64_t)1 << 32 | epoch);
}

static bool
stall_is_known(lki_domain *domain)
{
    return lki_load_relaxed(&domain->stalled_at) ==
           ((uint64_t)1 << 32 | ck_epoch_value(&domain->epoch));
}

/* Lets other threads run: a reader that lost its time slice inside a section needs one. */
static void
others_run(unsigned round)
{
    if (round < YIELDS) {
        sched_yield();
        return;
    }
    unsigned doubled = round - YIELDS < 5 ? round - YIELDS : 5;
    long us = (long)SLEEP_FIRST_US << doubled;
    struct timespec pause = {0, (us < SLEEP_LAST_US ? us : SLEEP_LAST_US) * 1000};
    int before = lki_cancel_forbid();
    nanosleep(&pause, NULL);
    lki_cancel_allow(before);
}

bool
lki_memory_wait(lki_thread *thread)
{
    lki_domain *domain = thread->domain;
    if (thread->epoch.active != 0) /* it would wait for its own section */
        return lki_retired_is_bounded(domain);
    if (lki_memory_has_room(thread)) { /* little is left of the bound of all memory */
        if (domain->thread_urge != NULL)
            domain->thread_urge(thread);
        if (lki_reclaim_now(thread))
            return true;
    }
    if (stall_is_known(domain) && !lki_epoch_advance(thread)) {
        /* A caller that retries at once would take the time that the reader needs. */
        others_run(UINT_MAX);
        /* Checked last: the epoch may have moved meanwhile, and stand still for another reader. */
        if (!lki_epoch_advance(thread) && stall_is_known(domain))
            return lki_retired_is_bounded(domain);
    }
    if (lki_reclaim_now(thread))
        return true;
    uint32_t epoch = ck_epoch_value(&domain->epoch);
    int64_t begun = lki_monotonic_ms(NULL), moved = begun, now = begun;
    for (unsigned round = 0; now - moved < LKI_STALL_MS && now - begun < LKI_WAIT_MAX_MS; round++) {
        others_run(round);
        now = lki_monotonic_ms(NULL);
        (void)lki_epoch_advance(thread);
        uint32_t seen = ck_epoch_value(&domain->epoch);
        if (seen != epoch) {
            epoch = seen;
            moved = now;
            if (lki_reclaim_now(thread))
                return true;
        } else if (lki_retired_is_bounded(domain)) {
            return true;
        } else if (stall_is_known(domain)) {
            return false;
        }
    }
    if (now - moved >= LKI_STALL_MS)
        stall_remember(domain, epoch);
    return lki_retired_is_bounded(domain);
}

void
lki_memory_look(lki_thread *thread)
{
    if (!lki_memory_has_room(thread) && !stall_is_known(thread->domain))
        (void)lki_reclaim_now(thread);
}
