/* SPDX-License-Identifier: MIT
 *
 * Latches, conditions, keys and futexes of fibers, behind the names of instead.h. A latch is its
 * first word: 0, or the fiber that holds it plus 1; who waits is woken, and tries again.
 */
#ifndef LKI_SCHEDULE_THREADS_H
#define LKI_SCHEDULE_THREADS_H

/* The running fiber ends: the destructors of its keys run. */
void threads_exit(void);

#endif
