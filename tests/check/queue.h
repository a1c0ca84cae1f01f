/* SPDX-License-Identifier: MIT
 *
 * The laws of a queue, over the history of one queue, without a search (aspect by aspect:
 * Henzinger, Sezgin, Vafeiadis, "Aspect- Oriented Linearizability Proofs", 2013; Bouajjani, Emmi,
 * Enea, Mutluergil, "Proving Linearizability Using Forward Simulations" and "On Reducing
 * Linearizability to State Reachability", 2018). Jobs are numbers, and never pushed twice.
 *
 *   Q1  nothing is invented: what is pulled was pushed, and no receive is given twice
 *   Q2  one holder: a job is claimed only if it was given back, or its deadline has passed
 *   Q3  an acknowledgement succeeds once, and never for who has lost the claim; LK_LOST only if
 *       somebody took it
 *   Q4  a pull gives the smallest visible job; generated keys grow with time
 *   Q5  empty only if nothing was visible at some instant of the call
 *   Q6  a claim lapses when its deadline has passed: not before (Q2), and then it is visible (Q4,
 *       Q5); LK_LATE exactly then
 *   Q7  closed: no push comes in, and "over" is said only when no job is left, and then for ever
 *       (but for LK_EMPTY beside a push that is about to be refused: an operation without steps is
 *       one that failed)
 *   Q8  a key has one job: another push replaces it, and its claims are lost (Q3); a unique one
 *       comes in if there was none, and is told LK_EXISTS if there was one
 *   Q9  with max_depth a push comes in if there was room at some instant, and is told LK_BUSY if
 *       there was none at some
 *   Q10 the statistics lie between what has surely been done, or is there, and what perhaps; a
 *   purge counts what it takes out, and
 *       what was there when it began is gone when it ends (Q3)
 *
 * "Nothing is lost" is Q5 and Q7: who drains the queue until it is empty was told so of a job that
 * is there.
 *
 * Time is the monotonic clock. It is read before the stamp at an operation's beginning, and before
 * the stamp at its end. Each STEP_PUSH carries its place in the order in `before` (queue_rank fills
 * it in; jobs of one key have one place; 0: its key is not known, as a purge took it out before
 * anybody saw it), and in `after` STEP_GENERATED, STEP_UNIQUE. An operation of which the outcome is
 * not known (HISTORY_NEVER) may have taken its jobs out, or not.
 */
#ifndef LATCHKEY_TESTS_CHECK_QUEUE_H
#define LATCHKEY_TESTS_CHECK_QUEUE_H

#include "check/history.h"

/* Orders jobs by their keys: job j's is `room` bytes at keys + j * room, filled up with zeros. */
void queue_rank(history *h, const char *keys, size_t room, uint32_t jobs);

verdict queue_check(const history *h, report *r);

#endif
