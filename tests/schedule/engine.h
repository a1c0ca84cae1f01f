/* SPDX-License-Identifier: MIT
 *
 * The engine: which fibers there are, which one runs, who waits for what. All rooms of the runtime
 * stand on it. Fiber 0 is the program itself, which prepares and checks; it has no points and waits
 * for nobody.
 *
 * A point is where the running fiber may give way. Each fiber counts its own: a choice is named by
 * its fiber and that fiber's count, so that it means the same when choices before it are left out.
 */
#ifndef LKI_SCHEDULE_ENGINE_H
#define LKI_SCHEDULE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schedule/fiber.h"

enum {
    ENGINE_FIBERS = 9, /* with fiber 0 */
    ENGINE_STACK = 256 << 10,
    ENGINE_STACKS = ENGINE_FIBERS * ENGINE_STACK,
    ENGINE_KEYS = 4,     /* of pthread_key_create */
    ENGINE_LOCAL = 1024, /* bytes of thread-local variables */
};
#define ENGINE_NEVER INT64_MAX

typedef enum engine_state {
    ENGINE_DONE,
    ENGINE_RUNNABLE,
    ENGINE_WAITING,
    ENGINE_FROZEN,
} engine_state;

typedef struct engine_fiber {
    fiber_context context;
    void (*body)(void);
    engine_state state;
    uint32_t count;        /* of its points and choices */
    const void *waits_for; /* the name of what; NULL: only for time */
    int64_t deadline_ns;   /* ENGINE_NEVER: none */
    bool timed_out;        /* how the last wait ended */
    uint32_t priority;     /* of PCT; the highest runs */
    uint32_t replayed;     /* the next choice of a replay that is this fiber's */
    bool keeps_on;         /* it cannot be cancelled now */
    void *specific[ENGINE_KEYS];
    _Alignas(16) unsigned char local[ENGINE_LOCAL]; /* thread-local variables while it rests */
    unsigned char *stack;
} engine_fiber;

typedef struct engine_run {
    uint32_t current;      /* 0: outside of fibers */
    uint32_t count, event; /* of the running fiber: its points, and the one where something is up */
    bool plain_points;     /* are plain accesses points, too? */
    bool weak;             /* are accesses the memory model's? */
    bool verbose;          /* is each point noted? */
    uintptr_t stack_low;   /* of the running fiber */
    uintptr_t local_low;   /* thread-local variables of the program */
    size_t local_size;
    uint64_t hash;         /* of all points so far */
    uint32_t fibers;       /* how many, without fiber 0 */
    uint32_t runnable;     /* a bit for each fiber */
    uint64_t steps, limit; /* of all fibers, up to the last switch; where it is a livelock */
    uint32_t since;        /* the running fiber's count at the last switch */
    uint32_t slice;        /* points after which a fiber gives way to whoever wants */
    uint64_t switches;
    uint32_t freeze_fiber, freeze_count; /* 0: nobody is */
    bool freeze_kills;                   /* it never goes on */
    bool freeze_yields;                  /* it goes on where others wait for it */
    bool frozen;                         /* it has happened */
    uint64_t heal_at;                    /* steps; from then on nothing new goes wrong */
    bool healed;
    uint64_t budget; /* points after a stop, or after the last fault, until all others have ended */
    engine_fiber fiber[ENGINE_FIBERS];
} engine_run;

extern engine_run engine;

/* Once. */
void engine_open(void);
/* Runs all bodies to their ends. */
void engine_run_all(void (*const *bodies)(void), uint32_t count);

/* The slow side of a point. */
void engine_event(void);
/* Where the running fiber's next event is; a policy calls it with its own. */
void engine_event_at(uint64_t count);
/* Points so far of all fibers. */
uint64_t engine_steps(void);

/* The running fiber waits until it is woken or the time has come. False: the time came. */
bool engine_wait(const void *object, int64_t deadline_ns);
/* Wakes up to `most` of those that wait for the object. How many it were. */
uint32_t engine_wake(const void *object, uint32_t most);
/* Wakes those whose time has come. */
void engine_wake_due(int64_t now_ns);
/* Gives way, if somebody else can run. */
void engine_yield(void);

#endif
