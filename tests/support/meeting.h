/* SPDX-License-Identifier: MIT
 *
 * Two threads that meet at each access to a shared word (over latchkey_hooked): a call stops at its
 * n-th, there the other thread makes a step from beginning to end, then the call goes on; for each
 * n until the call has fewer. Where the step would wait for what the call holds, `can` says so, and
 * they meet at the next access at which it does not.
 */
#ifndef LATCHKEY_TESTS_MEETING_H
#define LATCHKEY_TESTS_MEETING_H

#include <pthread.h>
#include <semaphore.h>

#include "base/atomic.h"
#include "support/kit.h"

static struct {
    unsigned long yields, stop_at;
    bool counts, met, over;
    void (*step)(void);
    bool (*can)(void); /* NULL: always */
    sem_t asked, done;
    pthread_t other;
} meeting;

static __thread bool meeting_is_other;

/* The other thread does this, now. */
static inline void
meeting_do(void (*step)(void))
{
    meeting.step = step;
    sem_post(&meeting.asked);
    while (sem_wait(&meeting.done) != 0) {}
}

static inline void *
meeting_main(void *unused)
{
    (void)unused;
    meeting_is_other = true;
    for (;;) {
        while (sem_wait(&meeting.asked) != 0) {}
        if (meeting.over)
            return NULL;
        meeting.step();
        sem_post(&meeting.done);
    }
}

static inline void
meeting_yield(void)
{
    if (meeting_is_other || !meeting.counts || ++meeting.yields < meeting.stop_at || meeting.met)
        return;
    meeting.counts = false;
    if (meeting.can == NULL || meeting.can()) {
        meeting.met = true;
        meeting_do(meeting.step);
    }
    meeting.counts = true;
}

/* The body is run for each n; it has one MEETING. */
#define MEETING_EACH for (meeting.stop_at = 1, meeting.met = true; meeting.met; meeting.stop_at++)

static inline void
meeting_begin(void (*step)(void))
{
    meeting.yields = 0;
    meeting.met = false;
    meeting.step = step;
    meeting.counts = true;
}

/* A call, in whose midst the other thread makes the step. */
#define MEETING(step, call)     \
    do {                        \
        meeting_begin(step);    \
        (void)(call);           \
        meeting.counts = false; \
    } while (0)

static inline void
meeting_open(void)
{
    meeting.over = meeting.counts = false;
    sem_init(&meeting.asked, 0, 0);
    sem_init(&meeting.done, 0, 0);
    if (pthread_create(&meeting.other, NULL, meeting_main, NULL) != 0)
        abort();
    lki_yield_hook = meeting_yield;
}

static inline void
meeting_close(void)
{
    lki_yield_hook = NULL;
    meeting.over = true;
    sem_post(&meeting.asked);
    pthread_join(meeting.other, NULL);
}

/* For cmocka: the teardown of a file whose `setup` opens a meeting and leaves its kit in *state. */
static inline int
meeting_teardown(void **state)
{
    meeting_close();
    kit_close(*state);
    return 0;
}
#define MEETING_TEST(name) cmocka_unit_test_setup_teardown(name, setup, meeting_teardown)

#endif
