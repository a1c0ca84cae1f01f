/* SPDX-License-Identifier: MIT
 *
 * Latches: short mutual exclusion among threads that add or remove keys. A latch is a pthread
 * mutex, so a waiting thread sleeps.
 *
 * Invariants  I-latch1: a thread waits for a latch only while all latches that it holds have lower
 *             ranks, so there is no deadlock. A latch of any rank may be tried. Asserted.
 *             (src/README.md says who takes which. The registry's latch, rank 0, is a plain mutex
 *             of thread.c.)
 */
#ifndef LKI_BASE_LATCH_H
#define LKI_BASE_LATCH_H

#include <pthread.h>

#include "base/reclaim.h"

/* All ranks, lowest first. */
enum lki_rank {
    LKI_RANK_SWEEP = 1,
    LKI_RANK_QUEUES,    /* the list of queues */
    LKI_RANK_SHARD,     /* of the store */
    LKI_RANK_PARTITION, /* one of the store's 256 */
    LKI_RANK_INNER,     /* one queue, one shard of a cache */
    LKI_RANK_DIRECTORY  /* of a set */
};

typedef struct lki_latch {
    pthread_mutex_t mutex;
#if LKI_CHECK > 0
    enum lki_rank rank;
    const unsigned
        *holder; /* [latch] lki_ranks_held of the thread that holds it; NULL: none does */
#endif
} lki_latch;

#if LKI_CHECK > 0
/* Of the calling thread: bit `rank` is set for each latch that it holds. */
extern __thread unsigned lki_ranks_held __attribute__((tls_model("initial-exec")));
#endif

void lki_latch_init(lki_latch *latch, enum lki_rank rank);
void lki_latch_destroy(lki_latch *latch);

/* For assertions: does the calling thread hold it? */
LKI_INLINE bool
lki_latch_is_held(const lki_latch *latch)
{
#if LKI_CHECK > 0
    return (lki_ranks_held >> latch->rank & 1) != 0 && latch->holder == &lki_ranks_held;
#else
    return latch != NULL;
#endif
}

/* Records that the thread holds it. */
LKI_INLINE void
lki_latch_record(lki_latch *latch)
{
#if LKI_CHECK > 0
    LK_ASSERT((lki_ranks_held >> latch->rank & 1) == 0 && latch->holder == NULL);
    lki_ranks_held |= 1u << latch->rank;
    latch->holder = &lki_ranks_held;
#else
    (void)latch;
#endif
}

/* The thread is about to give it up. */
LKI_INLINE void
lki_latch_forget(lki_latch *latch)
{
    LK_ASSERT(lki_latch_is_held(latch));
#if LKI_CHECK > 0
    lki_ranks_held &= ~(1u << latch->rank);
    latch->holder = NULL;
#else
    (void)latch;
#endif
}

/* Takes a latch. `thread`: counts a wait; NULL: nothing is counted. */
LKI_INLINE void
lki_latch_take(lki_latch *latch, lki_thread *thread)
{
#if LKI_CHECK > 0
    LK_ASSERT(lki_ranks_held >> latch->rank == 0); /* I-latch1 */
#endif
    if (pthread_mutex_trylock(&latch->mutex) != 0) {
        if (thread != NULL)
            lki_count(thread, LKI_LATCH_WAITS, 1);
        pthread_mutex_lock(&latch->mutex);
    }
    lki_latch_record(latch);
}

LKI_INLINE bool
lki_latch_try(lki_latch *latch)
{
    if (pthread_mutex_trylock(&latch->mutex) != 0)
        return false;
    lki_latch_record(latch);
    return true;
}

LKI_INLINE void
lki_latch_drop(lki_latch *latch)
{
    lki_latch_forget(latch);
    pthread_mutex_unlock(&latch->mutex);
}

/* Waits for `wake`, and gives the latch up meanwhile. False: it is `until`. */
LKI_INLINE bool
lki_latch_wait(lki_latch *latch, pthread_cond_t *wake, const struct timespec *until)
{
    lki_latch_forget(latch);
    bool woken = pthread_cond_timedwait(wake, &latch->mutex, until) == 0;
    lki_latch_record(latch);
    return woken;
}

#endif
