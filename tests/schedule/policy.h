/* SPDX-License-Identifier: MIT
 *
 * Who runs next, and whatever else is left to choice. All choices are made here and noted: a run is
 * a function of its scenario, its seed and the choices that are not 0.
 *
 * Random walk: a fiber runs for a random number of points, whose mean the seed draws.
 * PCT: fibers have priorities, the highest runs; at d - 1 random points the running one becomes the
 * lowest. Burckhardt, Kothari, Musuvathi, Nagarakatte, "A Randomized Scheduler with Probabilistic
 * Guarantees of Finding Bugs", 2010.
 * All: depth first over all choices with at most so many switches that nobody asked for. Musuvathi,
 * Qadeer, "Iterative Context Bounding for Systematic Testing of Multithreaded Programs", 2007.
 * Bytes: those of a fuzzer.
 * Replay: the choices of a list, 0 elsewhere.
 */
#ifndef LKI_SCHEDULE_POLICY_H
#define LKI_SCHEDULE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum policy_kind {
    POLICY_MIX, /* by the seed: random walk or PCT */
    POLICY_RANDOM,
    POLICY_PCT,
    POLICY_ALL,
    POLICY_REPLAY,
    POLICY_BYTES, /* choices and what policy_random gives are somebody's bytes */
    POLICY_NONE,  /* each fiber to its end: to count points */
    POLICY_FAIR,  /* everybody in turn */
} policy_kind;

/* What fiber chose at its point number `count`, where it was not 0. Of a switch: the fiber that
 * came. */
typedef struct policy_choice {
    uint32_t fiber, count, value;
} policy_choice;

enum { POLICY_CHOICES = 1 << 16 };

typedef struct policy_trace {
    uint32_t count;
    policy_choice choice[POLICY_CHOICES];
} policy_trace;

/* Before each run. `points`: of all fibers together, about. */
void policy_begin(policy_kind kind, uint64_t seed, uint64_t points);
/* Where choices are noted; the list of a replay. */
void policy_traces(policy_trace *noted, const policy_trace *replayed);
/* Of POLICY_ALL: goes on to the next run. False: there is none. */
bool policy_advance(void);
/* Of POLICY_ALL: so many switches that nobody asked for. */
void policy_bound(uint32_t switches);
/* From now on everybody has his turn, and all choices are the least remarkable. */
void policy_heal(void);

/* A number of the seed: the same in each run of it, whatever is chosen. */
uint64_t policy_random(void);
/* A number below n (n > 0). 0 is the choice that is least remarkable. */
uint32_t schedule_choose(uint32_t n);

/* Of POLICY_BYTES: what is drawn comes from their front, what is chosen from their back, so that a
 * change of the one moves nothing of the other. Where the two meet, all is 0, and there are no more
 * switches that nobody asked for. Before policy_begin. */
void policy_bytes(const uint8_t *bytes, size_t size);

/* Called by the engine. */
void policy_started(void);         /* the fibers of a run are there */
uint32_t policy_next(void);        /* at an event: who runs on */
uint32_t policy_forced(void);      /* one of engine.runnable has to be chosen */
void policy_next_event(void);      /* after a switch */
void policy_woken(uint32_t fiber); /* it has become runnable */

#endif
