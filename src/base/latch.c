/* SPDX-License-Identifier: MIT
 *
 * Latches: initialisation and destruction (latch.h).
 */
#include "base/latch.h"

#if LKI_CHECK > 0
__thread unsigned lki_ranks_held __attribute__((tls_model("initial-exec")));
#endif

void
lki_latch_init(lki_latch *latch, enum lki_rank rank)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&latch->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
#if LKI_CHECK > 0
    latch->rank = rank;
    latch->holder = NULL;
#else
    (void)rank;
#endif
}

void
lki_latch_destroy(lki_latch *latch)
{
    pthread_mutex_destroy(&latch->mutex);
}
