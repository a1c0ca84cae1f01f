/* SPDX-License-Identifier: MIT
 *
 * What an author of a scenario sees. A program of scenarios is a file schedule_*.c that defines
 * `schedule_scenarios` and includes nothing else of this room. It is compiled like the library: its
 * accesses are points, too.
 *
 * One schedule: the state that `prepare` left, comes back (memory, variables, thread-local ones,
 * time); `setup`; then the bodies, as fibers 1, 2, ..., each to its end, with switches wherever
 * the policy likes; `check`; `teardown`, after which no allocation may be left. All is a
 * function of the seed: no clocks, descriptors or random numbers of the system.
 */
#ifndef LKI_SCHEDULE_SCHEDULE_H
#define LKI_SCHEDULE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

enum { SCHEDULE_FIBERS = 8 };

typedef enum schedule_memory {
    SCHEDULE_BOTH, /* by the seed */
    SCHEDULE_SC,   /* sequentially consistent, races are not looked for: the fastest */
    SCHEDULE_WEAK,
} schedule_memory;

typedef struct schedule_scenario {
    const char *name;
    void (*prepare)(void); /* once for all schedules; may be NULL, as all but the first body */
    void (*setup)(void);
    void (*body[SCHEDULE_FIBERS])(void);
    void (*check)(void);
    void (*teardown)(void);
    uint64_t count; /* schedules of tests/run; twenty times as many at night; 0: 10,000 */
    uint64_t limit; /* points of a schedule beyond which it is a livelock; 0: by those of a run
                       without switches */
    schedule_memory memory;
    uint32_t stops; /* also stop each of the first so many fibers at each of its points: the others
                       have to end meanwhile, in no more points than `limit` */
    bool waits;     /* but it goes on where they wait for it */
    bool kills;     /* and never lets it go on: then only `check` comes, no `teardown` */
    bool spins;     /* they wait for each other without sleeping: nobody is stopped by the seed */
    const char *fails; /* not NULL: it is broken, and some schedule has to fail with these words */
    uint32_t all;      /* not 0: all schedules with fewer unasked switches than that; no seeds */
} schedule_scenario;

/* The last one has no name. */
extern const schedule_scenario schedule_scenarios[];

/* The schedule has failed. Does not return. */
void schedule_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define SCHEDULE_EXPECT(condition) \
    ((condition) ? (void)0 : schedule_fail("%s:%d: %s", __FILE__, __LINE__, #condition))
/* A line of the history that a failure prints. */
void schedule_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A number below n (n > 0) that belongs to the schedule: tried in all values by exhaustive search,
 * and shrunk towards 0. */
uint32_t schedule_choose(uint32_t n);
/* A number that belongs to the seed: what a scenario does, sizes, mixes. */
uint64_t schedule_random(void);
/* The fiber that runs: 1 is body[0]; 0: none. */
uint32_t schedule_self(void);
/* Points of all fibers so far: an order of all that happens in a schedule. */
uint64_t schedule_step(void);
/* Are stale reads possible in this schedule? */
bool schedule_is_weak(void);
/* A point where others are preferred. */
void schedule_yield(void);

/* Virtual time. It passes when all wait, and when a fiber says so. */
int64_t schedule_monotonic_ms(void);
int64_t schedule_unix_ms(void);
void schedule_sleep(int64_t ms);
void schedule_time_pass(int64_t ms);
void schedule_unix_step(int64_t ms); /* the Unix clock is set; either way */

/* The n-th allocation from now on fails (1: the next), and with `forever` all after it; 0: none. */
void schedule_fail_allocation(uint64_t n, bool forever);
uint64_t schedule_allocations(void); /* so far in this schedule */
uint64_t schedule_live(void);        /* that are there */

#endif
