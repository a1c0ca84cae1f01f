/* SPDX-License-Identifier: MIT
 *
 * A stack without latches, whose pop is right as long as no node comes back: the first thing that a
 * scheduler has to break. `stack` counts its changes; `stack_aba` is its broken twin.
 */
#include <stdatomic.h>
#include <stddef.h>

#include "schedule/schedule.h"

enum { NODES = 3 };

typedef struct node {
    struct node *_Atomic next;
} node;

static _Atomic(uint64_t) top; /* number of a node, 0 for none; above it the changes */
static node nodes[NODES + 1];
static int taken[NODES + 1];
static bool counts_changes;

static uint64_t
word_of(uint64_t number, uint64_t old)
{
    return number | (counts_changes ? ((old >> 32) + 1) << 32 : 0);
}

static void
stack_push(uint64_t number)
{
    uint64_t old = atomic_load_explicit(&top, memory_order_relaxed);
    do
        atomic_store_explicit(&nodes[number].next, &nodes[(uint32_t)old], memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&top, &old, word_of(number, old),
                                                  memory_order_release, memory_order_relaxed));
}

static uint64_t
stack_pop(void)
{
    uint64_t old = atomic_load_explicit(&top, memory_order_acquire);
    while ((uint32_t)old != 0) {
        node *next = atomic_load_explicit(&nodes[(uint32_t)old].next, memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(&top, &old,
                                                  word_of((uint64_t)(next - nodes), old),
                                                  memory_order_acquire, memory_order_acquire))
            break;
    }
    return (uint32_t)old;
}

static void
stack_begin(bool counts)
{
    counts_changes = counts;
    for (uint64_t i = NODES; i > 0; i--)
        stack_push(i);
}

static void
setup(void)
{
    stack_begin(true);
}

static void
setup_aba(void)
{
    stack_begin(false);
}

static void
pop_one(void)
{
    taken[stack_pop()]++;
}

static void
pop_two_push_one(void)
{
    uint64_t a = stack_pop(), b = stack_pop();
    taken[b]++;
    if (a != 0)
        stack_push(a);
}

static void
check(void)
{
    int steps = 0;
    for (uint64_t n = (uint32_t)atomic_load(&top); n != 0 && steps++ < 9;
         n = (uint64_t)(atomic_load(&nodes[n].next) - nodes))
        taken[n]++;
    for (int i = 1; i <= NODES; i++)
        if (taken[i] != 1)
            schedule_fail("node %d is there %d times", i, taken[i]);
}

const schedule_scenario schedule_scenarios[] = {
    {.name = "stack",
     .setup = setup,
     .body = {pop_one, pop_two_push_one},
     .check = check,
     .count = 1000000},
    {.name = "stack_all",
     .setup = setup,
     .body = {pop_one, pop_two_push_one},
     .check = check,
     .all = 4},
    {.name = "stack_aba",
     .setup = setup_aba,
     .body = {pop_one, pop_two_push_one},
     .check = check,
     .count = 100000,
     .fails = "is there"},
    {0},
};
