/* SPDX-License-Identifier: MIT
 *
 * No call of the library is a cancellation point. A thread that ended inside one would leave a
 * latch held, a section open, or a waiting thread counted. So each call of a function that POSIX
 * makes a cancellation point (read, write, close, a sleep, a wait, a join) stands between these
 * two.
 */
#ifndef LKI_BASE_CANCEL_H
#define LKI_BASE_CANCEL_H

#include <pthread.h>

/* Returns the state for lki_cancel_allow. */
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
