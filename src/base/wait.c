/* SPDX-License-Identifier: MIT
 *
 * Futexes and descriptors (wait.h).
 *
 * Why not ck_ec: its increment clears the flag that threads sleep, so it has to wake all of them;
 * 64 waiting threads would run for each job. Here sleeping threads are counted.
 *
 * The descriptor is an epoll instance over an eventfd (something is there) and a timerfd (something
 * will be there by time alone). Lowering it drains both and then looks again, so an event that was
 * raised in between is raised again: it may be set in vain, and is never missing.
 *
 * Ordering     P15 (wait.h).
 */
#include "base/wait.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cancel.h"

enum { RAISING = 1, RAISED = 2 };

/* Keeps the caller's errno, as the functions below. */
static void
futex(_Atomic(uint32_t) *word, int operation, uint32_t value, const struct timespec *timeout)
{
    int saved = errno;
    syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
    errno = saved;
}

static void
descriptor_write(int fd)
{
    int saved = errno, before = lki_cancel_forbid();
    uint64_t one = 1;
    (void)!write(fd, &one, sizeof one);
    lki_cancel_allow(before);
    errno = saved;
}

static void
descriptor_drain(int fd)
{
    int saved = errno, before = lki_cancel_forbid();
    uint64_t ignored;
    (void)!read(fd, &ignored, sizeof ignored);
    lki_cancel_allow(before);
    errno = saved;
}

LKI_COLD void
lki_wait_notify_slow(lki_wait *wait, uint32_t count)
{
    lki_add_seq_cst(&wait->signal, 1); /* P15 */
    futex(&wait->signal, FUTEX_WAKE, count, NULL);
    if (lki_wait_is_polled(wait))
        lki_wait_raise(wait);
}

LKI_COLD void
lki_wait_look_again(lki_wait *wait)
{
    if (lki_load_seq_cst(&wait->waiters) == 0) /* P15 */
        return;
    lki_add_seq_cst(&wait->signal, 1); /* P15 */
    futex(&wait->signal, FUTEX_WAKE, INT32_MAX, NULL);
}

void
lki_wait_sleep(lki_wait *wait, uint32_t seen, int64_t ms)
{
    struct timespec timeout = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    futex(&wait->signal, FUTEX_WAIT, seen, ms < 0 ? NULL : &timeout);
}

void
lki_wait_end(lki_wait *wait)
{
    lki_add_seq_cst(&wait->waiters, (uint32_t)-1); /* P15 */
}

static int
descriptors_open(int fds[3])
{
    fds[0] = epoll_create1(EPOLL_CLOEXEC);
    fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fds[2] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    bool ready = fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0;
    for (int i = 1; ready && i < 3; i++) {
        struct epoll_event event = {.events = EPOLLIN};
        ready = epoll_ctl(fds[0], EPOLL_CTL_ADD, fds[i], &event) == 0;
    }
    for (int i = 0; !ready && i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return ready ? 0 : -1;
}

lk_status
lki_wait_open_latched(lki_wait *wait, int *fd)
{
    int32_t there = lki_load_acquire(&wait->poll_fd); /* P15 */
    if (there == 0) {
        int fds[3], saved = errno, before = lki_cancel_forbid();
        int failed = descriptors_open(fds);
        lki_cancel_allow(before);
        errno = saved;
        if (failed != 0)
            return LK_NO_MEMORY;
        wait->event_fd = fds[1];
        wait->timer_fd = fds[2];
        there = fds[0] + 1;
        lki_store_seq_cst(&wait->poll_fd, there); /* P15 */
        lki_add_seq_cst(&wait->waiters, 1);       /* P15: for good; before the caller's look */
    }
    *fd = there - 1;
    return LK_OK;
}

static void
timer_set(lki_wait *wait, int64_t ms)
{
    int saved = errno;
    struct itimerspec when = {.it_value = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000}};
    if (ms == 0)
        when.it_value.tv_nsec = 1; /* 0 would stop the timer */
    else if (ms < 0)
        when.it_value.tv_sec = when.it_value.tv_nsec = 0;
    timerfd_settime(wait->timer_fd, 0, &when, NULL);
    errno = saved;
}

void
lki_wait_lower(lki_wait *wait, int64_t ms)
{
    descriptor_drain(wait->event_fd);
    timer_set(wait, ms);
    /* After the drain and before the caller's look: a thread that still saw it raised, and did not
     * write, had published before, so the look finds that. */
    lki_store_seq_cst(&wait->raised, 0); /* P15 */
    lki_fence_seq_cst(); /* P15: also before the pointers of the look, loaded with acquire */
}

void
lki_wait_raise(lki_wait *wait)
{
    uint32_t raising = RAISING;
    if (lki_load_seq_cst(&wait->raised) == RAISED) /* P15 */
        return;
    lki_store_seq_cst(&wait->raised, RAISING); /* P15 */
    descriptor_write(wait->event_fd);
    /* Only now may others rely on this write, and only if no thread has drained it since. */
    lki_cas_seq_cst(&wait->raised, &raising, RAISED); /* P15 */
}

void
lki_wait_close(lki_wait *wait)
{
    int32_t poll_fd = lki_load_relaxed(&wait->poll_fd); /* no other thread is there */
    if (poll_fd == 0)
        return;
    int saved = errno, before = lki_cancel_forbid();
    close(poll_fd - 1);
    close(wait->event_fd);
    close(wait->timer_fd);
    lki_cancel_allow(before);
    errno = saved;
}
