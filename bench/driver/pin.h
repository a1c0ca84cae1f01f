/* SPDX-License-Identifier: MIT
 *
 * Threads to processors. `compact` fills a core, then the next one beside it; `spread` takes a core
 * of each package in turn and a core's second thread only when all cores have one. Only processors
 * that the program may use are given out; more threads than these start again at the first.
 */
#ifndef BENCH_PIN_H
#define BENCH_PIN_H

#include <stdbool.h>
#include <stddef.h>

enum pin_mode { PIN_NONE, PIN_COMPACT, PIN_SPREAD };

struct pin_processor {
    unsigned number, package, core;
    unsigned sibling; /* how many of the same core come before it */
    unsigned core_at; /* how many cores of the same package come before its own */
};

/* Reads none, compact or spread. `mode` may be NULL. */
bool pin_parse(const char *text, enum pin_mode *mode);

/* The order in which processors are given out. Fills `sibling` and `core_at`. */
void pin_order(struct pin_processor *processors, size_t count, enum pin_mode mode);

/* Binds the calling thread, the run's thread of that number, by --pin; by `otherwise` where that
 * was not given. A thread that cannot be bound stays as it is. */
void pin_settle(unsigned number, enum pin_mode otherwise);

#endif
