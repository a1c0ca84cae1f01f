/* SPDX-License-Identifier: MIT
 *
 * For scenarios of single rooms of base/: a domain of threads and of what they retire.
 */
#ifndef LKI_SCHEDULE_DOMAIN_H
#define LKI_SCHEDULE_DOMAIN_H

#include "base/clock.h"
#include "base/reclaim.h"
#include "schedule/schedule.h"

static lki_domain domain;

static inline lki_thread *
self(void)
{
    lk_status why = LK_OK;
    lki_thread *thread = lki_thread_self(&domain, &why);
    SCHEDULE_EXPECT(thread != NULL);
    return thread;
}

/* What is disposed of in another way is set before. */
static inline void
domain_open(void)
{
    domain.monotonic_ms = lki_monotonic_ms;
    domain.max_retired_bytes = 1 << 20;
    lki_domain_open(&domain);
}

#endif
