/* SPDX-License-Identifier: MIT
 *
 * No call of the library is a point of cancellation: a thread that were to end in the middle of one
 * would leave a latch held, a section open, a waiter counted. Where a step is a function that POSIX
 * lets end the thread (read, write, close, a sleep, a wait, a join), it stands between these two.
 */
#ifndef LKI_BASE_CANCEL_H
#define LKI_BASE_CANCEL_H

#include <pthread.h>

/* What lki_cancel_allow is to have. */
static inline int
lki_cancel_forbid(void)
{
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static inline void
lki_cancel_allow(int before)
{
    pthread_setcancelstate(before, &before);
}

#endif
