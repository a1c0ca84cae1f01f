/* SPDX-License-Identifier: MIT
 *
 * Next due times: lowered, marked and raised (times.h).
 *
 * Progress    lock-free.
 * Ordering    P12 (queue.h).
 */
#include "queue/times.h"

LKI_COLD bool
lki_next_due_cover_slow(lki_next_due *bound, uint64_t time)
{
    uint64_t seen = lki_load_seq_cst(bound); /* P12 */
    LK_ASSERT(time <= LKI_TIME_MAX);
    for (;;) {
        bool news = seen >> LKI_TIME_SHIFT > time;
        /* The mark goes even if the time is low enough: the scan may have read this job's word
         * before the job changed. */
        uint64_t least = news ? time : seen >> LKI_TIME_SHIFT;
        /* The version stays. The next mark has the next one, so a scan that began earlier cannot
         * end. */
        if (lki_cas_seq_cst(bound, &seen,
                            least << LKI_TIME_SHIFT | (seen & LKI_VERSION_MASK))) /* P12 */
            return news;
    }
}

uint64_t
lki_next_due_begin(lki_next_due *bound)
{
    uint64_t seen = lki_load_seq_cst(bound); /* P12 */
    uint64_t begun;
    do
        begun = seen >> LKI_TIME_SHIFT << LKI_TIME_SHIFT |
                (((seen >> 1) + 1) << 1 & LKI_VERSION_MASK) | 1;
    while (!lki_cas_seq_cst(bound, &seen, begun)); /* P12 */
    /* The mark is set before the pointers to the words are loaded (acquire), too. */
    lki_fence_seq_cst(); /* P12 */
    return begun;
}

bool
lki_next_due_end(lki_next_due *bound, uint64_t begun, uint64_t time)
{
    LK_ASSERT((begun & 1) != 0 && time <= LKI_TIME_MAX); /* from lki_next_due_begin */
    return lki_cas_seq_cst(bound, &begun,
                           time << LKI_TIME_SHIFT | (begun & LKI_VERSION_MASK)); /* P12 */
}

uint64_t
lki_ticks_after(const lki_store *store, lki_ticks *ticks, int64_t ms)
{
    uint64_t lag = 0;
    LK_ASSERT(ms >= 0 && ticks->now != 0);
    if (!ticks->precise && ms < 1000)
        *ticks = (lki_ticks){lki_tick_precise(store), true};
    else if (!ticks->precise)
        lag = LKI_COARSE_LAG_MS;
    uint64_t time = ticks->now + lag + (uint64_t)ms;
    return time < LKI_TIME_MAX ? time : LKI_TIME_MAX;
}
