/* SPDX-License-Identifier: MIT
 *
 * Latches: short exclusion among threads that make or remove keys. A pthread mutex, so that who
 * waits sleeps. Who holds one takes no other, with three exceptions (src/README.md), and the
 * registry's (rank 0) is held over none of these.
 */
#ifndef LKI_BASE_LATCH_H
#define LKI_BASE_LATCH_H

#include <pthread.h>

#include "base/reclaim.h"

typedef pthread_mutex_t lki_latch;

LKI_INLINE void
lki_latch_init(lki_latch *latch)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(latch, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

LKI_INLINE void
lki_latch_take(lki_latch *latch, lki_thread *thread)
{
    LKI_YIELD();
    if (pthread_mutex_trylock(latch) == 0)
        return;
    lki_count(thread, LKI_LATCH_WAITS, 1);
    pthread_mutex_lock(latch);
}

LKI_INLINE bool
lki_latch_try(lki_latch *latch)
{
    return pthread_mutex_trylock(latch) == 0;
}

LKI_INLINE void
lki_latch_drop(lki_latch *latch)
{
    pthread_mutex_unlock(latch);
}

#endif
