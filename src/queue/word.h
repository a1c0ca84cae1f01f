/* SPDX-License-Identifier: MIT
 *
 * The slot word: the state of a plain job in 64 bits.
 *
 * One compare-and-swap of this word decides what happens to a plain job. The functions here build a
 * word and read its fields. job.c changes it.
 */
#ifndef LKI_QUEUE_WORD_H
#define LKI_QUEUE_WORD_H

#include "base/check.h"
#include "queue/times.h"
#include "store/chain.h"

/* Fields of the word of a plain job, from the lowest bit: 1 | phase (3 bits) | receives (15 bits) |
 * pinned (1 bit) | time (44 bits). A DONE word is 1 | phase | stamp << 4. EMPTY: no job was
 * published here yet. A pinned word changes to HEADED only, and any thread may make that change.
 * `time` is a tick (times.h); tick 0 has always passed. */
#define LKI_JOB_WORD_EMPTY ((uint64_t)0)
#define LKI_RECEIVES_MAX ((uint32_t)0x7fff)
#define LKI_JOB_WORD_PINNED ((uint64_t)1 << 19)
/* The token of a claim on a plain job is LKI_PLAIN_TOKEN | place << 16 | receives. That of a record
 * job comes from a version and is below this bit (lki_token_of). */
#define LKI_PLAIN_TOKEN ((uint64_t)1 << 63)

LKI_INLINE uint64_t
lki_job_word(enum lki_phase phase, uint32_t receives, uint64_t time)
{
    LK_ASSERT(receives <= LKI_RECEIVES_MAX && time <= LKI_TIME_MAX);
    return 1 | (uint64_t)phase << 1 | (uint64_t)receives << 4 | time << LKI_TIME_SHIFT;
}

LKI_INLINE enum lki_phase
lki_job_word_phase(uint64_t word)
{
    return (enum lki_phase)(word >> 1 & 7);
}

LKI_INLINE uint32_t
lki_job_word_receives(uint64_t word)
{
    return (uint32_t)(word >> 4) & LKI_RECEIVES_MAX;
}

LKI_INLINE lki_state
lki_job_word_state(uint64_t word, uint64_t place)
{
    uint32_t receives = lki_job_word_receives(word);
    return (lki_state){word & ~LKI_JOB_WORD_PINNED, LKI_PLAIN_TOKEN | place << 16 | receives,
                       word >> LKI_TIME_SHIFT, receives, lki_job_word_phase(word)};
}

/* Does the word itself hold the state of a job? */
LKI_INLINE bool
lki_job_word_is_plain(uint64_t word)
{
    enum lki_phase phase = lki_job_word_phase(word);
    return phase == LKI_FRONT || phase == LKI_WAITING || phase == LKI_CLAIMED ||
           phase == LKI_LAPSED;
}

/* Was the place ever published, or given up? Then its word never becomes EMPTY or PASSED again. */
LKI_INLINE bool
lki_job_word_is_settled(uint64_t word)
{
    return lki_job_word_phase(word) != LKI_NO_JOB && lki_job_word_phase(word) != LKI_PASSED;
}

/* lki_job_word_may_become, from the word of a plain job that is not pinned to another one. A claim
 * counts as received. Else the time may only grow while the job stays claimed, or until it waits:
 * no word comes twice (I-job1). */
LKI_INLINE bool
lki_plain_word_may_become(uint64_t from, uint64_t to)
{
    enum lki_phase was = lki_job_word_phase(from), is = lki_job_word_phase(to);
    uint64_t time = from >> LKI_TIME_SHIFT, then = to >> LKI_TIME_SHIFT;
    if (lki_job_word_receives(to) != lki_job_word_receives(from))
        return is == LKI_CLAIMED && lki_job_word_receives(to) == lki_job_word_receives(from) + 1;
    switch (was) {
    case LKI_FRONT:
        return is == LKI_WAITING || is == LKI_CLAIMED;
    case LKI_WAITING:
        return is == LKI_WAITING && time != 0 && then == 0;
    case LKI_CLAIMED:
        return (is == LKI_CLAIMED && then > time) || (is == LKI_LAPSED && then == time) ||
               (is == LKI_WAITING && (then == 0 || then >= time));
    default: /* LAPSED */
        return (is == LKI_CLAIMED && then > time) ||
               (is == LKI_WAITING && (then == 0 || then > time));
    }
}

/* For assertions: may a slot word become `to`? */
LKI_INLINE bool
lki_job_word_may_become(uint64_t from, uint64_t to)
{
    enum lki_phase was = lki_job_word_phase(from), is = lki_job_word_phase(to);
    bool stamped = is == LKI_DONE && to >> 4 != 0;
    if (was == LKI_IN_RECORD || was == LKI_DONE) /* DONE gets its stamp, once */
        return stamped && (was == LKI_IN_RECORD || from >> 4 == 0);
    if (was == LKI_PASSED)
        return is == LKI_WAITING || is == LKI_IN_RECORD || stamped;
    if (was == LKI_NO_JOB)
        return is == LKI_FRONT || is == LKI_WAITING || is == LKI_PASSED || is == LKI_IN_RECORD ||
               stamped;
    if ((from & LKI_JOB_WORD_PINNED) != 0)
        return is == LKI_IN_RECORD;
    if (to == (from | LKI_JOB_WORD_PINNED) || (is == LKI_DONE && !stamped))
        return true;
    return (to & LKI_JOB_WORD_PINNED) == 0 && lki_plain_word_may_become(from, to);
}

/* Does its time make a plain job visible? Then its next due time covers it. */
LKI_INLINE bool
lki_job_word_is_timed(uint64_t word)
{
    enum lki_phase phase = lki_job_word_phase(word);
    return phase == LKI_CLAIMED || (phase == LKI_WAITING && word >> LKI_TIME_SHIFT != 0);
}

/* May a job in this state be claimed at tick `now`? */
LKI_INLINE bool
lki_state_is_visible(const lki_state *state, uint64_t now)
{
    switch (state->phase) {
    case LKI_FRONT:
    case LKI_LAPSED:
        return true;
    case LKI_WAITING:
    case LKI_CLAIMED:
        return state->time < now;
    default:
        return false;
    }
}

#endif
