/* SPDX-License-Identifier: MIT
 *
 * The weak memory (memory.h) against the classic litmus tests: all executions of each are run. What
 * C++20 forbids never shows; what it allows does, but for what memory.h says is not modelled. The
 * names are those of the literature (Alglave, Maranget, Tautschnig, "Herding cats", TOPLAS 2014).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "schedule/litmus.h"
#include "schedule/memory.h"

enum verdict {
    ALLOWED,   /* shows */
    FORBIDDEN, /* never shows */
    LEFT_OUT,  /* C++20 allows it; the model does not show it */
    RACES      /* some execution has a data race; all others have none */
};

static const struct row {
    const char *name;
    enum verdict verdict;
    const char *outcome;
    const char *threads[LITMUS_THREADS];
} rows[] = {
    /* Store buffering. */
    {"SB", ALLOWED, "a=0 b=0", {"x=1 relaxed; a=y relaxed", "y=1 relaxed; b=x relaxed"}},
    {"SB+rel+acq", ALLOWED, "a=0 b=0", {"x=1 release; a=y acquire", "y=1 release; b=x acquire"}},
    {"SB+sc", FORBIDDEN, "a=0 b=0", {"x=1 seq_cst; a=y seq_cst", "y=1 seq_cst; b=x seq_cst"}},
    {"SB+sc, one load acquire",
     ALLOWED,
     "a=0 b=0",
     {"x=1 seq_cst; a=y acquire", "y=1 seq_cst; b=x seq_cst"}},
    {"SB+sc, one store release",
     ALLOWED,
     "a=0 b=0",
     {"x=1 release; a=y seq_cst", "y=1 seq_cst; b=x seq_cst"}},
    {"SB+fences",
     FORBIDDEN,
     "a=0 b=0",
     {"x=1 relaxed; fence seq_cst; a=y relaxed", "y=1 relaxed; fence seq_cst; b=x relaxed"}},
    {"SB+fence+no",
     ALLOWED,
     "a=0 b=0",
     {"x=1 relaxed; fence seq_cst; a=y relaxed", "y=1 relaxed; b=x relaxed"}},
    {"SB+fences acq_rel",
     ALLOWED,
     "a=0 b=0",
     {"x=1 relaxed; fence acq_rel; a=y relaxed", "y=1 relaxed; fence acq_rel; b=x relaxed"}},
    {"SB+fence+sc",
     FORBIDDEN,
     "a=0 b=0",
     {"x=1 relaxed; fence seq_cst; a=y relaxed", "y=1 seq_cst; b=x seq_cst"}},
    {"SB+fence+sc, load acquire",
     ALLOWED,
     "a=0 b=0",
     {"x=1 relaxed; fence seq_cst; a=y relaxed", "y=1 seq_cst; b=x acquire"}},
    {"SB+rmw sc, loads sc",
     FORBIDDEN,
     "a=0 b=0",
     {"c=x+1 seq_cst; a=y seq_cst", "d=y+1 seq_cst; b=x seq_cst"}},
    {"SB+rmw sc, loads acquire",
     ALLOWED,
     "a=0 b=0",
     {"c=x+1 seq_cst; a=y acquire", "d=y+1 seq_cst; b=x acquire"}},
    {"SB+rmw of one word between",
     FORBIDDEN,
     "a=0 b=0",
     {"x=1 relaxed; c=z+1 acq_rel; a=y relaxed", "y=1 relaxed; d=z+1 acq_rel; b=x relaxed"}},
    {"SB+rmws as loads",
     FORBIDDEN,
     "a=0 b=0",
     {"x=1 release; a=y+0 acq_rel", "y=1 release; b=x+0 acq_rel"}},

    /* Message passing. */
    {"MP", ALLOWED, "a=1 b=0", {"x=1 relaxed; y=1 relaxed", "a=y relaxed; b=x relaxed"}},
    {"MP+rel+acq", FORBIDDEN, "a=1 b=0", {"x=1 relaxed; y=1 release", "a=y acquire; b=x relaxed"}},
    {"MP+rel+rlx", ALLOWED, "a=1 b=0", {"x=1 relaxed; y=1 release", "a=y relaxed; b=x relaxed"}},
    {"MP+rlx+acq", ALLOWED, "a=1 b=0", {"x=1 relaxed; y=1 relaxed", "a=y acquire; b=x relaxed"}},
    {"MP+rlx+acq, sc between",
     ALLOWED,
     "a=1 b=0",
     {"x=1 seq_cst; y=1 relaxed", "a=y acquire; b=x acquire"}},
    {"MP+sc", FORBIDDEN, "a=1 b=0", {"x=1 seq_cst; y=1 seq_cst", "a=y seq_cst; b=x seq_cst"}},
    {"MP+sc, relaxed between",
     ALLOWED,
     "a=1 b=0",
     {"x=1 seq_cst; y=1 relaxed", "a=y relaxed; b=x seq_cst"}},
    {"MP+sc, release, acquire between",
     FORBIDDEN,
     "a=1 b=0",
     {"x=1 seq_cst; y=1 release", "a=y acquire; b=x seq_cst"}},
    {"MP+fence+fence",
     FORBIDDEN,
     "a=1 b=0",
     {"x=1 relaxed; fence release; y=1 relaxed", "a=y relaxed; fence acquire; b=x relaxed"}},
    {"MP+fence+acq",
     FORBIDDEN,
     "a=1 b=0",
     {"x=1 relaxed; fence release; y=1 relaxed", "a=y acquire; b=x relaxed"}},
    {"MP+rel+fence",
     FORBIDDEN,
     "a=1 b=0",
     {"x=1 relaxed; y=1 release", "a=y relaxed; fence acquire; b=x relaxed"}},
    {"MP+fence+no",
     ALLOWED,
     "a=1 b=0",
     {"x=1 relaxed; fence release; y=1 relaxed", "a=y relaxed; b=x relaxed"}},
    {"MP+no+fence",
     ALLOWED,
     "a=1 b=0",
     {"x=1 relaxed; y=1 relaxed", "a=y relaxed; fence acquire; b=x relaxed"}},
    {"MP+acquire fence where release belongs",
     ALLOWED,
     "a=1 b=0",
     {"x=1 relaxed; fence acquire; y=1 relaxed", "a=y acquire; b=x relaxed"}},
    {"MP+fence too late",
     ALLOWED,
     "a=1 b=0",
     {"fence release; x=1 relaxed; y=1 relaxed", "a=y acquire; b=x relaxed"}},
    {"MP+fences sc",
     FORBIDDEN,
     "a=1 b=0",
     {"x=1 relaxed; fence seq_cst; y=1 relaxed", "a=y relaxed; fence seq_cst; b=x relaxed"}},
    {"MP+cas",
     FORBIDDEN,
     "a=1 b=0",
     {"x=1 relaxed; c=y:0>1 release", "a=y:1>2 acquire; b=x relaxed"}},
    {"MP+failed cas, relaxed",
     ALLOWED,
     "a=1 b=0",
     {"x=1 relaxed; y=1 release", "a=y:9>2 relaxed; b=x relaxed"}},
    {"MP+failed cas, stale",
     ALLOWED,
     "a=1 b=0",
     {"x=1 relaxed; y=1 relaxed", "a=y relaxed; b=x:5>2 acquire"}},
    {"MP+failed cas, acquire",
     FORBIDDEN,
     "a=1 b=0",
     {"x=1 relaxed; y=1 release", "a=y:9>2 acquire; b=x relaxed"}},

    /* Release sequences: read-modify-writes carry them on, stores do not. */
    {"MP+rmw in between",
     FORBIDDEN,
     "b=2 c=0",
     {"x=1 relaxed; y=1 release", "a=y+1 relaxed", "b=y acquire; c=x relaxed"}},
    {"MP+store in between",
     ALLOWED,
     "a=1 b=2 c=0",
     {"x=1 relaxed; y=1 release", "a=y relaxed; y=2 relaxed", "b=y acquire; c=x relaxed"}},
    {"MP+own store after (C++20)",
     ALLOWED,
     "a=2 b=0",
     {"x=1 relaxed; y=1 release; y=2 relaxed", "a=y acquire; b=x relaxed"}},
    {"MP+two rmws in between",
     FORBIDDEN,
     "c=3 d=0",
     {"x=1 relaxed; y=1 release", "a=y+1 relaxed", "b=y+1 relaxed", "c=y acquire; d=x relaxed"}},
    {"MP+fence, rmw in between",
     FORBIDDEN,
     "b=2 c=0",
     {"x=1 relaxed; fence release; y=1 relaxed", "a=y+1 relaxed",
      "b=y relaxed; fence acquire; c=x relaxed"}},

    /* Independent reads of independent writes. */
    {"IRIW",
     ALLOWED,
     "a=1 b=0 c=1 d=0",
     {"x=1 relaxed", "y=1 relaxed", "a=x relaxed; b=y relaxed", "c=y relaxed; d=x relaxed"}},
    {"IRIW+rel+acq",
     ALLOWED,
     "a=1 b=0 c=1 d=0",
     {"x=1 release", "y=1 release", "a=x acquire; b=y acquire", "c=y acquire; d=x acquire"}},
    {"IRIW+sc",
     FORBIDDEN,
     "a=1 b=0 c=1 d=0",
     {"x=1 seq_cst", "y=1 seq_cst", "a=x seq_cst; b=y seq_cst", "c=y seq_cst; d=x seq_cst"}},
    {"IRIW+sc stores, acquire loads",
     ALLOWED,
     "a=1 b=0 c=1 d=0",
     {"x=1 seq_cst", "y=1 seq_cst", "a=x acquire; b=y acquire", "c=y acquire; d=x acquire"}},
    {"IRIW+rel+sc loads",
     FORBIDDEN,
     "a=1 b=0 c=1 d=0",
     {"x=1 release", "y=1 release", "a=x seq_cst; b=y seq_cst", "c=y seq_cst; d=x seq_cst"}},
    {"IRIW+fences",
     FORBIDDEN,
     "a=1 b=0 c=1 d=0",
     {"x=1 relaxed", "y=1 relaxed", "a=x relaxed; fence seq_cst; b=y relaxed",
      "c=y relaxed; fence seq_cst; d=x relaxed"}},
    {"IRIW+fences acq_rel",
     ALLOWED,
     "a=1 b=0 c=1 d=0",
     {"x=1 release", "y=1 release", "a=x relaxed; fence acq_rel; b=y relaxed",
      "c=y relaxed; fence acq_rel; d=x relaxed"}},

    /* Stores that come before others. */
    {"2+2W", ALLOWED, "x=1 y=1", {"x=1 relaxed; y=2 relaxed", "y=1 relaxed; x=2 relaxed"}},
    {"2+2W+rel", ALLOWED, "x=1 y=1", {"x=1 release; y=2 release", "y=1 release; x=2 release"}},
    {"2+2W+sc", FORBIDDEN, "x=1 y=1", {"x=1 seq_cst; y=2 seq_cst", "y=1 seq_cst; x=2 seq_cst"}},
    {"2+2W+fences",
     FORBIDDEN,
     "x=1 y=1",
     {"x=1 relaxed; fence seq_cst; y=2 relaxed", "y=1 relaxed; fence seq_cst; x=2 relaxed"}},
    {"2+2W+rmw",
     FORBIDDEN,
     "a=0 x=1",
     {"a=x+1 relaxed; y=2 relaxed", "b=y+1 relaxed; x=2 relaxed"}},
    {"R", ALLOWED, "y=2 a=0", {"x=1 relaxed; y=1 relaxed", "y=2 relaxed; a=x relaxed"}},
    {"R+rel+acq", ALLOWED, "y=2 a=0", {"x=1 release; y=1 release", "y=2 release; a=x acquire"}},
    {"R+sc", FORBIDDEN, "y=2 a=0", {"x=1 seq_cst; y=1 seq_cst", "y=2 seq_cst; a=x seq_cst"}},
    {"R+fences",
     FORBIDDEN,
     "y=2 a=0",
     {"x=1 relaxed; fence seq_cst; y=1 relaxed", "y=2 relaxed; fence seq_cst; a=x relaxed"}},
    {"R+fence+no",
     ALLOWED,
     "y=2 a=0",
     {"x=1 relaxed; fence seq_cst; y=1 relaxed", "y=2 relaxed; a=x relaxed"}},
    {"S", ALLOWED, "a=1 x=2", {"x=2 relaxed; y=1 relaxed", "a=y relaxed; x=1 relaxed"}},
    {"S+rel+acq", FORBIDDEN, "a=1 x=2", {"x=2 relaxed; y=1 release", "a=y acquire; x=1 relaxed"}},
    {"S+rel+rlx", ALLOWED, "a=1 x=2", {"x=2 relaxed; y=1 release", "a=y relaxed; x=1 relaxed"}},
    {"S+rlx+acq", ALLOWED, "a=1 x=2", {"x=2 relaxed; y=1 relaxed", "a=y acquire; x=1 relaxed"}},

    /* Chains. */
    {"WRC",
     ALLOWED,
     "a=1 b=1 c=0",
     {"x=1 relaxed", "a=x relaxed; y=1 relaxed", "b=y relaxed; c=x relaxed"}},
    {"WRC+rlx+rel+acq",
     FORBIDDEN,
     "a=1 b=1 c=0",
     {"x=1 relaxed", "a=x relaxed; y=1 release", "b=y acquire; c=x relaxed"}},
    {"WRC, second store relaxed",
     ALLOWED,
     "a=1 b=1 c=0",
     {"x=1 release", "a=x acquire; y=1 relaxed", "b=y acquire; c=x relaxed"}},
    {"WRC, last load relaxed",
     ALLOWED,
     "a=1 b=1 c=0",
     {"x=1 release", "a=x acquire; y=1 release", "b=y relaxed; c=x relaxed"}},
    {"ISA2",
     FORBIDDEN,
     "a=1 b=1 c=0",
     {"x=1 relaxed; y=1 release", "a=y acquire; z=1 release", "b=z acquire; c=x relaxed"}},
    {"ISA2, middle load relaxed",
     ALLOWED,
     "a=1 b=1 c=0",
     {"x=1 relaxed; y=1 release", "a=y relaxed; z=1 release", "b=z acquire; c=x relaxed"}},
    {"RWC+rel+acq",
     ALLOWED,
     "a=1 b=0 c=0",
     {"x=1 release", "a=x acquire; b=y acquire", "y=1 release; c=x acquire"}},
    {"RWC+sc",
     FORBIDDEN,
     "a=1 b=0 c=0",
     {"x=1 seq_cst", "a=x seq_cst; b=y seq_cst", "y=1 seq_cst; c=x seq_cst"}},
    {"RWC+fences",
     FORBIDDEN,
     "a=1 b=0 c=0",
     {"x=1 relaxed", "a=x relaxed; fence seq_cst; b=y relaxed",
      "y=1 relaxed; fence seq_cst; c=x relaxed"}},
    {"RWC+sc, a chain",
     FORBIDDEN,
     "a=0 b=1 c=0",
     {"x=1 seq_cst; a=y seq_cst", "y=1 seq_cst; z=1 seq_cst", "b=z seq_cst; c=x seq_cst"}},
    {"RWC+sc, a chain, one load acquire",
     ALLOWED,
     "a=0 b=1 c=0",
     {"x=1 seq_cst; a=y acquire", "y=1 seq_cst; z=1 seq_cst", "b=z seq_cst; c=x seq_cst"}},
    {"W+RWC",
     FORBIDDEN,
     "a=1 b=0 c=0",
     {"x=1 relaxed; z=1 release", "a=z acquire; fence seq_cst; b=y relaxed",
      "y=1 relaxed; fence seq_cst; c=x relaxed"}},
    {"W+RWC, one fence",
     ALLOWED,
     "a=1 b=0 c=0",
     {"x=1 relaxed; z=1 release", "a=z acquire; b=y relaxed",
      "y=1 relaxed; fence seq_cst; c=x relaxed"}},

    /* Coherence holds for relaxed accesses, too. */
    {"CoRR", FORBIDDEN, "a=1 b=0", {"x=1 relaxed", "a=x relaxed; b=x relaxed"}},
    {"CoRR2",
     FORBIDDEN,
     "a=1 b=2 c=2 d=1",
     {"x=1 relaxed", "x=2 relaxed", "a=x relaxed; b=x relaxed", "c=x relaxed; d=x relaxed"}},
    {"CoWR", FORBIDDEN, "a=0", {"x=1 relaxed; a=x relaxed", "x=2 relaxed"}},
    {"CoRW", FORBIDDEN, "a=2 x=2", {"a=x relaxed; x=1 relaxed", "x=2 relaxed"}},
    {"CoRW across threads",
     FORBIDDEN,
     "a=1 b=1 x=1",
     {"x=1 relaxed", "a=x relaxed; y=1 release", "b=y acquire; x=2 relaxed"}},
    {"CoWW", FORBIDDEN, "x=1", {"x=1 relaxed; x=2 relaxed"}},
    {"CoRR across threads",
     FORBIDDEN,
     "a=1 b=1 c=0",
     {"x=1 relaxed", "a=x relaxed; y=1 release", "b=y acquire; c=x relaxed"}},
    {"reads come late",
     ALLOWED,
     "a=0 b=2",
     {"x=1 relaxed; x=2 relaxed", "a=x relaxed; b=x relaxed"}},
    {"reads come in between",
     ALLOWED,
     "a=1 b=1",
     {"x=1 relaxed; x=2 relaxed", "a=x relaxed; b=x relaxed"}},

    /* Read-modify-writes. */
    {"two additions", FORBIDDEN, "a=0 b=0", {"a=x+1 relaxed", "b=x+1 relaxed"}},
    {"no addition is lost", FORBIDDEN, "x=1", {"a=x+1 relaxed", "b=x+1 relaxed"}},
    {"two swaps", FORBIDDEN, "a=0 b=0", {"a=x:0>1 relaxed", "b=x:0>1 relaxed"}},
    {"nothing comes in between",
     FORBIDDEN,
     "a=0 x=1 b=2",
     {"x=1 relaxed; b=x relaxed", "a=x+2 relaxed"}},
    {"a store before an addition", ALLOWED, "a=1 x=3", {"x=1 relaxed", "a=x+2 relaxed"}},
    {"an addition keeps the store after it", ALLOWED, "a=0 x=1", {"x=1 relaxed", "a=x+2 relaxed"}},

    /* What memory.h says is not modelled. */
    {"LB", LEFT_OUT, "a=1 b=1", {"a=x relaxed; y=1 relaxed", "b=y relaxed; x=1 relaxed"}},
    {"LB+rel+acq", FORBIDDEN, "a=1 b=1", {"a=x acquire; y=1 release", "b=y acquire; x=1 release"}},
    {"Z6.U",
     LEFT_OUT,
     "a=0 b=1 c=3",
     {"x=1 seq_cst; y=1 release", "b=y+1 seq_cst; c=y relaxed", "y=3 seq_cst; a=x seq_cst"}},

    {"MP+sc, relaxed between, fence",
     LEFT_OUT,
     "a=1 b=0",
     {"x=1 seq_cst; y=1 relaxed", "a=y relaxed; fence seq_cst; b=x relaxed"}},

    /* Data races. */
    {"race: relaxed", RACES, "", {"x=1 plain; y=1 relaxed", "a=y relaxed; a?b=x plain"}},
    {"race: no acquire", RACES, "", {"x=1 plain; y=1 release", "a=y relaxed; a?b=x plain"}},
    {"race: no release", RACES, "", {"x=1 plain; y=1 relaxed", "a=y acquire; a?b=x plain"}},
    {"race: not asked", RACES, "", {"x=1 plain; y=1 release", "a=y acquire; b=x plain"}},
    {"race: two writes", RACES, "", {"x=1 plain", "x=2 plain"}},
    {"race: write and atomic load", RACES, "", {"x=1 plain", "a=x seq_cst"}},
    {"race: read and atomic store", RACES, "", {"a=x plain", "x=1 seq_cst"}},
    {"race: write after the release",
     RACES,
     "",
     {"y=1 release; x=1 plain", "a=y acquire; a?b=x plain"}},
    {"race: release sequence cut",
     RACES,
     "",
     {"x=1 plain; y=1 release", "a=y relaxed; a?y=2 relaxed", "b=y acquire; b?c=x plain"}},
    {"no race: release, acquire",
     FORBIDDEN,
     "a=1 b=0",
     {"x=1 plain; y=1 release", "a=y acquire; a?b=x plain"}},
    {"no race: fences",
     FORBIDDEN,
     "a=1 b=0",
     {"x=1 plain; fence release; y=1 relaxed", "a=y relaxed; fence acquire; a?b=x plain"}},
    {"no race: two reads", ALLOWED, "a=0 b=0", {"a=x plain", "b=x plain"}},
    {"no race: read and atomic load", ALLOWED, "a=0 b=0", {"a=x plain", "b=x relaxed"}},
    {"no race: one owner at a time",
     FORBIDDEN,
     "a=0 b=0",
     {"a=y:0>1 acquire; a!x=1 plain", "b=y:0>1 acquire; b!x=2 plain"}},
};

static void
test_memory_litmus_is_as_cxx20_says(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        litmus_program program;
        litmus_result result;
        litmus_parse(&program, row->threads);
        litmus_run(&program, row->outcome, &result);
        bool shows = row->verdict == ALLOWED;
        bool races = row->verdict == RACES;
        if ((!races && (result.shown > 0) != shows) || (result.races > 0) != races) {
            wrong++;
            print_error("%s: %llu executions, outcome shown in %llu, races in %llu\n", row->name,
                        (unsigned long long)result.executions, (unsigned long long)result.shown,
                        (unsigned long long)result.races);
        }
    }
    assert_int_equal(wrong, 0);
}

/* With one store to choose from, memory is sequentially consistent. */
static void
test_memory_depth_of_one_is_sequentially_consistent(void **state)
{
    (void)state;
    static const char *const weak[] = {"SB", "MP", "IRIW", "2+2W", "R", "S", "WRC", "RWC+rel+acq"};
    unsigned run = 0;
    memory_depth(1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t k = 0; k < sizeof(weak) / sizeof(weak[0]); k++) {
            if (strcmp(rows[i].name, weak[k]) != 0)
                continue;
            litmus_program program;
            litmus_result result;
            litmus_parse(&program, rows[i].threads);
            litmus_run(&program, rows[i].outcome, &result);
            assert_true(result.executions > 1);
            assert_int_equal(result.shown, 0);
            run++;
        }
    memory_depth(MEMORY_STORES + 1);
    assert_int_equal(run, sizeof(weak) / sizeof(weak[0]));
}

static union {
    uint64_t granule;
    uint32_t halves[2];
    uint8_t bytes[8];
} word;
static uint64_t other;
static unsigned found[2]; /* executions that found 0, or not 0 */

static void
explore(void (*run)(void *))
{
    memset(found, 0, sizeof(found));
    litmus_explore(run, NULL);
}

static void
begin(void)
{
    word.granule = 0;
    other = 0;
    for (unsigned fiber = 1; fiber < 4; fiber++)
        memory_sync(fiber, 0);
}

static void
find(uint64_t value)
{
    found[value != 0]++;
}

/* A store that the memory was not told of synchronises: nothing before it is stale. */
static void
foreign_run(void *context)
{
    (void)context;
    begin();
    memory_store(1, &other, 8, 1, __ATOMIC_RELAXED);
    (void)memory_load(2, &word.granule, 8, __ATOMIC_RELAXED);
    word.granule = 7;
    assert_int_equal(memory_load(2, &word.granule, 8, __ATOMIC_ACQUIRE), 7);
    find(memory_load(2, &other, 8, __ATOMIC_RELAXED));
}

static void
test_memory_foreign_store_synchronises(void **state)
{
    (void)state;
    explore(foreign_run);
    assert_int_equal(found[0], 0);
    assert_true(found[1] > 0);
}

/* Words that share 8 bytes have histories of their own: the first half may be stale when the second
 * is not, and either way round. */
static void
halves_run(void *context)
{
    (void)context;
    begin();
    memory_store(1, &word.halves[0], 4, 1, __ATOMIC_RELAXED);
    memory_store(1, &word.halves[1], 4, 1, __ATOMIC_RELAXED);
    if (memory_load(2, &word.halves[1], 4, __ATOMIC_RELAXED) == 1)
        find(memory_load(2, &word.halves[0], 4, __ATOMIC_RELAXED));
    assert_int_equal(word.halves[0] + word.halves[1], 2);
}

static void
test_memory_halves_have_histories_of_their_own(void **state)
{
    (void)state;
    explore(halves_run);
    assert_int_equal(found[0], 1);
    assert_int_equal(found[1], 1);
}

/* More bytes of one granule than stores are remembered: each still reads as what it is. */
static void
bytes_run(void *context)
{
    (void)context;
    begin();
    for (unsigned round = 1; round <= 3; round++)
        for (unsigned i = 0; i < 8; i++)
            memory_store(1, &word.bytes[i], 1, 10 * round + i, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(memory_load(1, &word.bytes[i], 1, __ATOMIC_RELAXED), 30 + i);
}

static void
test_memory_many_bytes_of_one_granule(void **state)
{
    (void)state;
    explore(bytes_run);
}

/* A load of the whole sees the newest of its parts, and synchronises with their writers. */
static void
mixed_run(void *context)
{
    (void)context;
    begin();
    memory_store(1, &other, 8, 1, __ATOMIC_RELAXED);
    memory_store(1, &word.halves[0], 4, 1, __ATOMIC_RELEASE);
    memory_store(3, &word.halves[1], 4, 2, __ATOMIC_RELAXED);
    assert_int_equal(memory_load(2, &word.granule, 8, __ATOMIC_ACQUIRE), word.granule);
    assert_int_equal(word.halves[0] + word.halves[1], 3);
    find(memory_load(2, &other, 8, __ATOMIC_RELAXED));
}

static void
test_memory_mixed_sizes_read_the_newest(void **state)
{
    (void)state;
    explore(mixed_run);
    assert_int_equal(found[0], 0);
    assert_true(found[1] > 0);
}

/* Longer than what is remembered: two fibers that each store to a word of their own and load the
 * other's; a third one that reads both. All seq_cst. */
enum { ROUNDS = 60 };
static uint64_t behind; /* stale loads: the test would be void without them */

static void
long_run(void *context)
{
    (void)context;
    uint64_t seen[2][ROUNDS + 1] = {{0}}, at[3] = {0};
    uint64_t *const words[2] = {&word.granule, &other};
    begin();
    while (at[0] + at[1] < 4 * ROUNDS) {
        uint32_t fiber = schedule_choose(3);
        if (fiber == 2) {
            uint64_t first = memory_load(3, words[1], 8, __ATOMIC_SEQ_CST);
            uint64_t second = memory_load(3, words[0], 8, __ATOMIC_SEQ_CST);
            /* Who stored the first had loaded the second before, a round ago. */
            assert_true(first < 2 || second >= seen[1][first - 1]);
            continue;
        }
        if (at[fiber] == 2 * ROUNDS)
            continue;
        uint64_t round = at[fiber]++ / 2 + 1;
        if (at[fiber] % 2 != 0) {
            memory_store(fiber + 1, words[fiber], 8, round, __ATOMIC_SEQ_CST);
        } else {
            seen[fiber][round] = memory_load(fiber + 1, words[1 - fiber], 8, __ATOMIC_SEQ_CST);
            behind += seen[fiber][round] != *words[1 - fiber];
        }
    }
    for (unsigned i = 1; i <= ROUNDS; i++)
        for (unsigned k = 1; k <= ROUNDS; k++)
            assert_false(seen[0][i] < k && seen[1][k] < i);
}

static void
test_memory_many_seq_cst_accesses_have_one_order(void **state)
{
    (void)state;
    behind = 0;
    for (uint64_t seed = 1; seed <= 500; seed++)
        litmus_sample(long_run, NULL, seed);
    assert_true(behind > 500);
}

/* What is allocated anew has no history, and races with none of those who used it before. */
static unsigned races;

static void
fresh_run(void *context)
{
    (void)context;
    begin();
    memory_store(1, &word.granule, 8, 1, __ATOMIC_RELAXED);
    memory_write(1, &other, 8);
    memory_fresh(&word, sizeof(word));
    memory_fresh(&other, sizeof(other));
    word.granule = 5;
    memory_write(2, &other, 8);
    assert_int_equal(memory_load(2, &word.granule, 8, __ATOMIC_RELAXED), 5);
    races += litmus_raced();
}

static void
test_memory_fresh_bytes_are_forgotten(void **state)
{
    (void)state;
    races = 0;
    explore(fresh_run);
    assert_int_equal(races, 0);
}

/* A latch as memory_release and memory_acquire; who is woken learns what the waker did. */
static void
latch_run(void *context)
{
    bool latched = *(bool *)context;
    begin();
    memory_write(1, &other, 8);
    if (latched)
        memory_release(1, &word);
    memory_sync(3, 1);
    memory_write(3, &word.granule, 8);
    memory_acquire(2, &word);
    memory_read(2, &other, 8);
    races += litmus_raced();
}

static void
test_memory_latch_orders_plain_accesses(void **state)
{
    (void)state;
    bool latched = true;
    races = 0;
    litmus_explore(latch_run, &latched);
    assert_int_equal(races, 0);
    latched = false;
    litmus_explore(latch_run, &latched);
    assert_true(races > 0);
}

/* Who starts another one hands over what it has done, not what it does from then on. */
static void
start_run(void *context)
{
    bool late = *(bool *)context;
    begin();
    if (!late)
        memory_write(1, &other, 8);
    memory_sync(2, 1);
    if (late)
        memory_write(1, &other, 8);
    memory_read(2, &other, 8);
    races += litmus_raced();
}

static void
test_memory_start_hands_over_what_was_done(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        bool is_late = late != 0;
        races = 0;
        litmus_explore(start_run, &is_late);
        assert_int_equal(races > 0, late);
    }
}

/* What was released stays so, however many stores to its neighbour follow. */
static void
neighbour_run(void *context)
{
    (void)context;
    begin();
    memory_write(1, &other, 8);
    memory_store(1, &word.halves[0], 4, 1, __ATOMIC_RELEASE);
    for (unsigned i = 1; i < 2 * MEMORY_STORES; i++)
        memory_store(3, &word.halves[1], 4, i, __ATOMIC_RELAXED);
    if (memory_load(2, &word.halves[0], 4, __ATOMIC_ACQUIRE) == 1)
        memory_read(2, &other, 8);
    find(memory_load(2, &word.halves[0], 4, __ATOMIC_RELAXED));
    races += litmus_raced();
}

static void
test_memory_neighbours_take_no_view_away(void **state)
{
    (void)state;
    races = 0;
    explore(neighbour_run);
    assert_int_equal(races, 0);
    assert_true(found[1] > 0);
}

/* Accesses of parts of 8 bytes race only where they meet. */
static void
parts_run(void *context)
{
    size_t from = *(size_t *)context;
    begin();
    memory_write(1, &word.bytes[0], 3);
    memory_read(2, &word.bytes[from], 8 - from);
    races += litmus_raced();
}

static void
test_memory_parts_race_where_they_meet(void **state)
{
    (void)state;
    for (size_t from = 0; from < 8; from++) {
        races = 0;
        litmus_explore(parts_run, &from);
        assert_int_equal(races > 0, from < 3);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_litmus_is_as_cxx20_says),
        cmocka_unit_test(test_memory_depth_of_one_is_sequentially_consistent),
        cmocka_unit_test(test_memory_foreign_store_synchronises),
        cmocka_unit_test(test_memory_halves_have_histories_of_their_own),
        cmocka_unit_test(test_memory_many_bytes_of_one_granule),
        cmocka_unit_test(test_memory_mixed_sizes_read_the_newest),
        cmocka_unit_test(test_memory_many_seq_cst_accesses_have_one_order),
        cmocka_unit_test(test_memory_fresh_bytes_are_forgotten),
        cmocka_unit_test(test_memory_latch_orders_plain_accesses),
        cmocka_unit_test(test_memory_start_hands_over_what_was_done),
        cmocka_unit_test(test_memory_neighbours_take_no_view_away),
        cmocka_unit_test(test_memory_parts_race_where_they_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
