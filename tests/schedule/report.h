/* SPDX-License-Identifier: MIT
 *
 * Failures: how a run ends with one, and what is remembered for its history.
 */
#ifndef LKI_SCHEDULE_REPORT_H
#define LKI_SCHEDULE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schedule/policy.h"

enum { REPORT_FRAMES = 16, REPORT_EVENTS = 1 << 14, REPORT_TEXT = 120 };

typedef enum report_kind {
    REPORT_READ,
    REPORT_WRITE,
    REPORT_LOAD,
    REPORT_STORE,
    REPORT_CHANGE, /* a read-modify-write */
    REPORT_FENCE,
    REPORT_SYNC,
    REPORT_SWITCH,
    REPORT_NOTE,
    REPORT_FAILURE,
} report_kind;

typedef struct report_event {
    uint8_t kind;
    uint32_t fiber, count, next;
    uintptr_t address, size;
    uint64_t value; /* before the access */
    const void *frame[REPORT_FRAMES];
    char text[REPORT_TEXT];
} report_event;

/* What the process that runs schedules leaves to the one that watches it. */
typedef struct report_board {
    policy_trace noted;
    policy_trace replayed;
    uint64_t seed, schedules, points, switches, nanoseconds;
    uint64_t freeze_fiber, freeze_count; /* of the schedule that failed; 0: nobody is stopped */
    bool failed, is_complete;
    char message[1024];
    const void *where; /* the access that failed, if it is one */
    uint32_t events;
    report_event event[REPORT_EVENTS];
} report_board;

extern report_board *report;
extern bool report_records; /* is a history kept? */
extern void (*report_ended)(
    void); /* not NULL: called when a schedule has failed; may end the process in its own way */
extern const void *report_last; /* where the last access was */

static inline void
report_at(const void *where)
{
    report_last = where;
}

void report_open(void);
void report_point(report_kind kind, const volatile void *p, size_t size, const void *where);
void report_switch_slow(uint32_t next);
static inline void
report_switch(uint32_t next)
{
    if (__builtin_expect(report_records, 0))
        report_switch_slow(next);
}
/* A place in the code for the message that follows. */
void report_place(const void *where);
/* Ends the process of the schedule: it has failed. */
void schedule_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Ends it: the scenario, or this room, is wrong. */
void report_misuse(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Prints what is on the board. */
void report_print(const char *program);

#endif
