/* SPDX-License-Identifier: MIT
 *
 * Waiting for an event: threads that sleep on a futex, and a descriptor to poll. What the threads
 * wait for belongs to the caller; this file ensures that none misses it.
 *
 * A thread that waits adds itself to `waiters`, reads the signal, looks once more, and sleeps if
 * the signal is still the same. A thread that brings something publishes it, then loads `waiters`;
 * only if there are any it moves the signal and wakes as many threads as it brings.
 *
 * Ordering     P15: publication (read-modify-write), then load of `waiters`; count of `waiters`
 *              (read-modify-write), then the look. All seq_cst: one of the two sees the other. Else
 *              a job lies there while its consumer sleeps.
 * Progress     Notifying never waits; it makes a system call only if a thread sleeps or polls.
 */
#ifndef LKI_BASE_WAIT_H
#define LKI_BASE_WAIT_H

#include <latchkey/latchkey.h>

#include "base/atomic.h"
#include "base/check.h"

typedef struct lki_wait {
    _Atomic(uint32_t) signal; /* [P15] changes when a look is worth while */
    _Atomic(uint32_t)
        waiters; /* [P15] threads that sleep, or are about to; 1 more for a descriptor */
    _Atomic(int32_t) poll_fd;   /* [P15] the epoll instance over the two below, plus 1; 0: none */
    _Atomic(uint32_t) raised;   /* [P15] state of the event: 0, RAISING, RAISED */
    int32_t event_fd, timer_fd; /* [const] once poll_fd is set */
} lki_wait;

void lki_wait_notify_slow(lki_wait *wait, uint32_t count);

/* Tells that `count` jobs have become visible. */
LKI_INLINE void
lki_wait_notify(lki_wait *wait, size_t count)
{
    if (LKI_UNLIKELY(lki_load_seq_cst(&wait->waiters) != 0)) /* P15 */
        lki_wait_notify_slow(wait, count < INT32_MAX ? (uint32_t)count : INT32_MAX);
}

/* Lets all sleeping threads look again, as the next due time has changed, for example. The
 * descriptor stays as it is. */
void lki_wait_look_again(lki_wait *wait);

/* Between begin and end a thread reads the signal, looks, and sleeps if there is nothing. */
LKI_INLINE void
lki_wait_begin(lki_wait *wait)
{
    lki_add_seq_cst(&wait->waiters, 1); /* P15: before the look */
}
LKI_INLINE uint32_t
lki_wait_signal(lki_wait *wait)
{
    return lki_load_seq_cst(&wait->signal); /* P15: before the look */
}
/* Sleeps until the signal is not `seen` any more, or for `ms` milliseconds (-1: no limit). May wake
 * without a reason. */
void lki_wait_sleep(lki_wait *wait, uint32_t seen, int64_t ms);
void lki_wait_end(lki_wait *wait);

/* The descriptor; the first call makes it. Caller: holds the latch of what is waited for. LK_OK,
 * LK_NO_MEMORY. */
lk_status lki_wait_open_latched(lki_wait *wait, int *fd);
LKI_INLINE bool
lki_wait_is_polled(lki_wait *wait)
{
    return LKI_UNLIKELY(lki_load_acquire(&wait->poll_fd) != 0); /* P15 */
}
/* Makes the descriptor not readable; it becomes readable in `ms` milliseconds (-1: not by time).
 * The caller then looks once more, and calls lki_wait_raise if there is something. */
void lki_wait_lower(lki_wait *wait, int64_t ms);
void lki_wait_raise(lki_wait *wait);
void lki_wait_close(lki_wait *wait);

#endif
