/* SPDX-License-Identifier: MIT
 *
 * Waiting for something to come: threads that sleep on a futex, and a descriptor to poll. What is
 * waited for is the caller's; here is only how nobody misses it.
 *
 * A sleeper counts itself, notes the signal, looks once more, and sleeps if the signal is still
 * that one. Who brings something makes it visible, then looks for sleepers, and only where there
 * are some moves the signal and wakes as many as it brings.
 *
 * Ordering     P15: publication (read-modify-write), then load of `waiters`; count of `waiters`
 *              (read-modify-write), then the look. All seq_cst: one of the two sees the other, else
 *              a job lies there while its consumer sleeps.
 * Progress     notifying never waits; a system call only where somebody sleeps or polls.
 */
#ifndef LKI_BASE_WAIT_H
#define LKI_BASE_WAIT_H

#include <latchkey/latchkey.h>

#include "base/atomic.h"
#include "base/check.h"

typedef struct lki_wait {
    _Atomic(uint32_t) signal; /* [P15] moves when there is reason to look again */
    _Atomic(uint32_t)
        waiters; /* [P15] threads that sleep, or are about to; 1 more for a descriptor */
    _Atomic(int32_t) poll_fd;   /* [P15] an epoll instance over the two below, plus 1; 0: none */
    _Atomic(uint32_t) raised;   /* [P15] of the event: 0, being set, set */
    int32_t event_fd, timer_fd; /* [const] once poll_fd is set */
} lki_wait;

void lki_wait_notify_slow(lki_wait *wait, uint32_t count);

/* `count` jobs have become visible. */
LKI_INLINE void
lki_wait_notify(lki_wait *wait, size_t count)
{
    if (LKI_UNLIKELY(lki_load_seq_cst(&wait->waiters) != 0)) /* P15 */
        lki_wait_notify_slow(wait, count < INT32_MAX ? (uint32_t)count : INT32_MAX);
}

/* All sleepers look again: the next time is another one, or so. The descriptor stays as it is. */
void lki_wait_look_again(lki_wait *wait);

/* Between begin and end: look, and sleep if there is nothing. */
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
/* Until the signal is not `seen` any more, or for `ms` milliseconds (-1: no limit), or for no
 * reason at all. */
void lki_wait_sleep(lki_wait *wait, uint32_t seen, int64_t ms);
void lki_wait_end(lki_wait *wait);

/* The descriptor, made where there is none. Caller: holds the latch of what is waited for.
 * LK_OK, LK_NO_MEMORY. */
lk_status lki_wait_open_latched(lki_wait *wait, int *fd);
LKI_INLINE bool
lki_wait_is_polled(lki_wait *wait)
{
    return LKI_UNLIKELY(lki_load_acquire(&wait->poll_fd) != 0); /* P15 */
}
/* The descriptor is not readable any more; it will be in `ms` milliseconds (-1: not by time). The
 * caller then looks once more, and calls lki_wait_raise if there is something. */
void lki_wait_lower(lki_wait *wait, int64_t ms);
void lki_wait_raise(lki_wait *wait);
void lki_wait_close(lki_wait *wait);

#endif
