/* SPDX-License-Identifier: MIT
 *
 * Litmus programs over the weak memory: a few threads of a few statements, all of whose executions
 * are run, each interleaving with each store that each load may return.
 *
 * A thread is a text of statements, separated by semicolons. Words are s to z, registers a to h,
 * all of them 0 at first; constants are one digit. ORDER is relaxed, acquire, release, acq_rel,
 * seq_cst.
 *   x = 1 ORDER           store        a = x ORDER             load
 *   x = 1 plain           store        a = x plain             load
 *   a = x + 1 ORDER       fetch-add (also - & |); a receives what was there
 *   a = x : 0 > 1 ORDER   compare-and-swap of 0 to 1; a receives what was found
 *   fence ORDER
 *   a ? STATEMENT         only if a is not 0       a ! STATEMENT         only if a is 0
 * An outcome names registers and words after all threads ended: "a=1 b=0 x=2".
 *
 * Behind an ORDER may stand what the program needs of it, see litmus_weaken: `*` or `+`.
 */
#ifndef LKI_SCHEDULE_LITMUS_H
#define LKI_SCHEDULE_LITMUS_H

#include <stdbool.h>
#include <stdint.h>

enum { LITMUS_THREADS = 4, LITMUS_STATEMENTS = 10 };

typedef struct litmus_statement {
    enum {
        LITMUS_STORE,
        LITMUS_LOAD,
        LITMUS_RMW,
        LITMUS_CAS,
        LITMUS_FENCE,
        LITMUS_READ,
        LITMUS_WRITE
    } kind;
    int order;  /* __ATOMIC_..., -1: left out */
    char mark;  /* '*', '+' or a space */
    char when;  /* '?', '!' or a space */
    char op;    /* of a read-modify-write */
    char guard; /* the register that `when` asks */
    char word, target;
    uint8_t value, expected;
} litmus_statement;

typedef struct litmus_program {
    litmus_statement statements[LITMUS_THREADS][LITMUS_STATEMENTS];
    unsigned counts[LITMUS_THREADS];
    unsigned threads;
} litmus_program;

typedef struct litmus_result {
    uint64_t executions;
    uint64_t shown; /* executions that ended in the outcome */
    uint64_t races; /* executions with a data race */
} litmus_result;

/* Runs `run` once for each way to answer its calls of schedule_choose. */
void litmus_explore(void (*run)(void *context), void *context);
/* Runs it once, with choices by the seed. */
void litmus_sample(void (*run)(void *context), void *context, uint64_t seed);
/* Has the running execution had a data race so far? */
bool litmus_raced(void);

/* Ends the program with a message where a text is none. */
void litmus_parse(litmus_program *program, const char *const threads[LITMUS_THREADS]);
void litmus_run(const litmus_program *program, const char *outcome, litmus_result *result);

/* Makes the order one step weaker: seq_cst to what fits the access of acquire, release and acq_rel;
 * all others to relaxed; `fully`: to relaxed at once. A fence is left out in both cases. False: it
 * is relaxed already, or plain. */
bool litmus_weaken(litmus_statement *statement, bool fully);
/* The statement as text. Valid until the next call. */
const char *litmus_text(const litmus_statement *statement);

#endif
