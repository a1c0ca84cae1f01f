/* SPDX-License-Identifier: MIT
 *
 * Who races with whom: the clocks of the fibers, and for each 8 bytes the last accesses by them
 * (memory.h: G6). FastTrack's epochs; several accesses instead of its last write and a clock of
 * reads, since a word has parts.
 */
#ifndef LKI_SCHEDULE_RACES_H
#define LKI_SCHEDULE_RACES_H

#include <stdbool.h>
#include <stdint.h>

#include "schedule/memory.h"

enum {
    RACES_PARTS = MEMORY_FIBERS + 1,
    RACES_S = MEMORY_FIBERS, /* the part that counts seq_cst accesses */
    RACES_ACCESSES = 6
};

enum { RACES_WRITE = 1, RACES_ATOMIC = 2 };

typedef struct races_clock {
    int32_t at[RACES_PARTS];
} races_clock;

typedef struct races_access {
    int32_t epoch;
    uint8_t fiber;
    uint8_t mask; /* 0: none */
    uint8_t kind;
} races_access;

/* 8 bytes of memory, or (lowest bit of the key set) an object of memory_release. */
typedef struct races_shadow {
    uint64_t key;
    uint32_t generation; /* of another one it is free */
    uint32_t history;    /* 0: none */
    races_access accesses[RACES_ACCESSES];
} races_shadow;

/* What happens before what the fiber does next. Its own part moves on after each release. */
extern races_clock races_now[MEMORY_FIBERS];

static inline void
races_join(races_clock *restrict to, const races_clock *restrict from)
{
    for (unsigned i = 0; i < RACES_PARTS; i++)
        to->at[i] = to->at[i] > from->at[i] ? to->at[i] : from->at[i];
}

/* NULL: there is none, and none is to be made. */
races_shadow *races_find(uint64_t key, bool make);
/* Reports a race of this access with an earlier one; remembers it. */
void races_note(races_shadow *shadow, unsigned fiber, uint8_t mask, uint8_t kind);
void races_reset(void);

#endif
