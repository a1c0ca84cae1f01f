/* SPDX-License-Identifier: MIT
 *
 * A weak memory for fibers: the accesses of an instrumented program, executed one at a time by
 * several fibers of one thread, with every outcome that C11's orders allow (but for load
 * buffering), and with a report of each data race. The scheduler calls it for each access.
 *
 * Guarantees
 *   G1  Each 8 bytes have a history of their last stores in modification order. A load returns one
 *       that neither happens before a later store which happens before the load, nor is older than
 *       what the fiber knows by coherence. A store may also be placed before stores that it does
 *       not know. Choice 0 is always the newest: with it alone memory is sequentially consistent.
 *   G2  Release stores, release fences, release sequences (C++20: read-modify-writes only), acquire
 *       loads, acquire fences, failed compare-and-swaps (a load that may be stale): as in C++20.
 *   G3  There is an order S of all seq_cst accesses that agrees with happens-before and with what
 *       they saw of each word. A seq_cst fence is stronger than it need be: what follows it sees
 *       all that seq_cst accesses had seen when it ran, and what happened before earlier seq_cst
 *       fences; the latter also a seq_cst access sees of its word. So seq_cst accesses forbid store
 *       buffering; a seq_cst store, even a seq_cst read-modify-write, with a relaxed or acquire
 *       load after it does not. That is C++20 (and x86 but for the read-modify-write, a fence
 *       there).
 *   G4  A read-modify-write reads the newest store and is the next after it.
 *   G5  Real memory holds the newest store after each call. A load that finds something else there
 *       takes it for a store by code that is not instrumented, which synchronises with everybody.
 *   G6  Plain accesses race with whatever accesses the same bytes, if one writes and neither
 *       happens before the other: schedule_fail. A plain write ends the history of its bytes.
 * Not modelled: load buffering; C++20's "strongly happens before" (it is happens-before, as in
 * C++17); read-modify-writes of what is not the newest; a store that stays hidden for longer than
 * MEMORY_STORES later ones; accesses of different sizes to the same bytes (the newest bytes are
 * read, and synchronise).
 * Progress: no allocation; a load looks at no more than MEMORY_STORES stores.
 *
 * The rules come from: Lahav, Vafeiadis, Kang, Hur, Dreyer, "Repairing sequential consistency in
 * C/C++11" (PLDI 2017) and C++20 [atomics.order] for S and coherence; Kang, Hur, Lahav, Vafeiadis,
 * Dreyer, "A promising semantics for relaxed-memory concurrency" (POPL 2017) for messages with
 * views, and stores placed between older ones; Lidbury, Donaldson, "Dynamic race detection for
 * C++11" (POPL 2017) for stale loads from histories judged by vector clocks; Flanagan, Freund,
 * "FastTrack" (PLDI 2009) for races by epochs.
 *
 * One thread only: nothing here is thread-safe. Orders are the compiler's __ATOMIC_ numbers.
 */
#ifndef LKI_SCHEDULE_MEMORY_H
#define LKI_SCHEDULE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fibers are 0 to MEMORY_FIBERS - 1. Who sets up is one of them. */
#define MEMORY_FIBERS 15U
/* Stores that are remembered for each 8 bytes, besides one that stands for all before. */
#define MEMORY_STORES 8U

enum memory_op {
    MEMORY_EXCHANGE,
    MEMORY_ADD,
    MEMORY_SUB,
    MEMORY_AND,
    MEMORY_OR,
    MEMORY_XOR,
    MEMORY_NAND
};

/* What the scheduler provides. A number below n (n > 1); 0 is the choice without weakness. */
uint32_t schedule_choose(uint32_t n);
/* A data race, or misuse. May return: then the access goes on. */
void schedule_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Forgets all: histories, clocks, races. Takes no time. Before each schedule. */
void memory_reset(void);
/* How many stores a load may choose from: 1 is sequentially consistent, and never asks
 * schedule_choose; at most MEMORY_STORES + 1, which is where it stands at first. Survives
 * resets. */
void memory_depth(unsigned stores);

/* Atomic accesses of 1, 2, 4 or 8 bytes, aligned. Values are zero-extended. */
uint64_t memory_load(unsigned fiber, const volatile void *p, unsigned size, int order);
void memory_store(unsigned fiber, volatile void *p, unsigned size, uint64_t value, int order);
/* Returns what was there before. */
uint64_t memory_rmw(unsigned fiber, volatile void *p, unsigned size, enum memory_op op,
                    uint64_t value, int order);
/* Strong. On failure *expected receives what was found, which may be stale. */
bool memory_cas(unsigned fiber, volatile void *p, unsigned size, uint64_t *expected,
                uint64_t desired, int success, int failure);
void memory_fence(unsigned fiber, int order);

/* Plain accesses: the check for races, before the access; the caller reads or writes. A free is a
 * memory_write of the block, then memory_fresh: then a missing order before a free shows. */
void memory_read(unsigned fiber, const volatile void *p, size_t size);
void memory_write(unsigned fiber, volatile void *p, size_t size);

/* What `other` has done so far happens before what `fiber` does from now on: start, join, wake. */
void memory_sync(unsigned fiber, unsigned other);
/* The same through an object: what was done before a release happens before what follows an
 * acquire. For latches, conditions, and annotations of code that is not instrumented. The address
 * is only a name. */
void memory_release(unsigned fiber, const volatile void *object);
void memory_acquire(unsigned fiber, const volatile void *object);

/* Allocated or freed: the bytes have no history, and race with nobody. */
void memory_fresh(void *p, size_t size);

#endif
