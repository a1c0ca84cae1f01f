/* SPDX-License-Identifier: MIT
 *
 * A load: one read of the database for all threads that miss the same key. Called by the cache's
 * adapter around its calls to the database.
 *
 * A read that misses leads the load of its key. Others that miss meanwhile join it and wait for its
 * answer, unless a write came in between. A load that somebody has waited for in vain is late:
 * nobody joins it any more, and whoever waited leads one of its own. Of several loads of a key the
 * first answer is kept; what began before that is not.
 *
 * A database may use the cache in front of it inside its operations. Such a read is not patient:
 * the load that it would wait for may be its own thread's, or wait for it.
 *
 * Progress  lki_load_wait ends after load_wait_ms. The others take the latch of one shard, briefly.
 */
#ifndef LKI_CACHE_LOAD_H
#define LKI_CACHE_LOAD_H

#include "cache/table.h"

enum lki_load_role {
    LKI_LOAD_FOUND,  /* the answer is known; miss->entry, if it has one, is held */
    LKI_LOAD_LEADS,  /* ask the database, then lki_load_end */
    LKI_LOAD_ALONE,  /* the same, but the answer is not kept: a write is under way, or no memory */
    LKI_LOAD_JOINED, /* another thread asks: lki_load_wait, after all own loads have ended */
    LKI_LOAD_VAIN,   /* there is no answer, or none yet: lki_load_begin */
    LKI_LOAD_ENDED   /* this read has asked */
};

typedef struct lki_load lki_load;

/* A read of one key that missed; on the stack of a call. */
typedef struct lki_miss {
    lki_hashed hashed;
    enum lki_load_role role;
    lki_load *load;    /* LEADS, JOINED */
    lki_cached *entry; /* FOUND; the caller releases it */
} lki_miss;

/* Decides what the read of miss->hashed is to do, and sets the rest of the miss. `patient`: it may
 * join another thread's load. `now_ms`: of the database's realtime clock. Loads that one call of
 * the database answers have one number (lki_cache_thread.asks). Caller: not in a section. */
void lki_load_begin(lki_cache *cache, lki_thread *thread, lki_miss *miss, bool patient,
                    int64_t now_ms);
/* The database's answer: LK_OK with the item, LK_NOT_FOUND, or a fault. LK_RACE: there is no
 * answer, and the threads that wait ask for themselves. Wakes them, and keeps the answer if it may.
 * The role becomes ENDED. */
void lki_load_end(lki_cache *cache, lki_thread *thread, lki_miss *miss, lk_status status,
                  const lk_item *item);
/* Waits for the answer that another thread asked for, until that time of the system's monotonic
 * clock. LK_OK: miss->entry, which the caller releases. LK_NOT_FOUND, or the fault. LK_RACE: there
 * is none, and the role becomes VAIN. until_ms 0 only leaves the load. No point of cancellation. */
lk_status lki_load_wait(lki_cache *cache, lki_miss *miss, int64_t until_ms);
/* Until when a call that begins to wait now may wait, for all its loads together. */
int64_t lki_load_deadline(const lki_cache *cache);

#endif
