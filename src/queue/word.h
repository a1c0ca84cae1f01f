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
