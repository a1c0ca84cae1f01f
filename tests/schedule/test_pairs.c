/* SPDX-License-Identifier: MIT
 *
 * Each ordering pair of src/README.md as a litmus program (litmus.h), as small as it can be. The
 * verbs and their orders are those of the code; a section's entry (ck_epoch_begin) is a relaxed
 * store and a fence, its end a release store, a call of a database's a release or an acquire.
 *
 * A pair holds if no execution ends in its outcome, and none has a data race. Then each of its
 * orders is weakened in turn, and the pair has to break exactly where the text says so:
 *   seq_cst*   one step weaker (acquire, release, acq_rel; a fence left out) breaks it
 *   acquire*   relaxed breaks it
 *   seq_cst+   one step weaker would do in this program, relaxed breaks it
 *   seq_cst    relaxed would do in this program
 * A `+`, or no mark, is not a reason to weaken the code: other programs run over the same words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "schedule/litmus.h"

static const struct row {
    const char *pair;
    const char *what;
    const char *outcome; /* what must not be */
    const char *threads[LITMUS_THREADS];
} rows[] = {
    /* x record, y head */
    {"P1",
     "a record's bytes before its head",
     "a=1 b=0",
     {"x=1 plain; c=y:0>1 seq_cst+", "a=y acquire*; a?b=x plain"}},
    /* x head, commit's state or places of a push; y clock, which is the writer's stamp */
    {"P2",
     "a stamp above each snapshot that missed the record",
     "b=0 d=0",
     {"a=x:0>1 seq_cst*; b=y seq_cst*", "c=y:0>1 seq_cst; fence seq_cst*; d=x acquire"}},
    /* The same, by who finds a record without a stamp. (C++20 needs the acquire; the memory orders
     * what comes after a seq_cst fence as it ran.) */
    {"P2",
     "a stamp of a helper that found the record",
     "d=0 f=0 e=1",
     {"a=x:0>1 seq_cst*", "c=y:0>1 seq_cst; fence seq_cst*; d=x acquire",
      "e=x acquire; f=y seq_cst*"}},
    /* x what leads to the cell, by whoever made it; y clock. What is found and goes on is `a`. */
    {"P2b",
     "a stamp above each snapshot that missed the cell",
     "a=1 b=0 d=0",
     {"x=1 release", "a=x acquire; fence seq_cst*; b=y seq_cst",
      "c=y:0>1 seq_cst; fence seq_cst*; d=x acquire"}},
    /* x cell, y slot, z tags */
    {"P3",
     "a cell before its slot",
     "a=1 b=0",
     {"x=1 plain; y=1 release*", "a=y acquire*; a?b=x plain"}},
    {"P3",
     "a slot before its tag",
     "a=1 b=0",
     {"y=1 release; z=1 release*", "a=z acquire*; b=y acquire"}},
    /* x part, y its word in the directory, z directory */
    {"P3",
     "a part before its word, a word before its directory",
     "a=1 b=0",
     {"x=1 plain; y=1 release; z=1 release*", "a=z acquire*; a?b=y acquire; b?c=x plain"}},
    /* x node, y its pointer */
    {"P4",
     "a node before its pointer",
     "a=1 b=0",
     {"x=1 plain; y=1 release*", "a=y acquire*; a?b=x plain"}},
    /* x entry, y count */
    {"P4b",
     "an entry before the count",
     "a=1 b=0",
     {"x=1 plain; y=1 release*", "a=y acquire*; a?b=x plain"}},
    /* x stamp, y tag */
    {"P5",
     "a stamp before the tag",
     "a=1 b=0",
     {"c=x:0>1 seq_cst; y=1 release*", "a=y acquire*; b=x relaxed"}},
    /* x head, z flags: 1 is no ticket; who installs makes one only if there is none */
    {"P6",
     "a tombstone is seen by the handler, or gets a ticket",
     "a=0 c=0",
     {"d=x:0>1 seq_cst; c=z&0 seq_cst+", "b=z|1 seq_cst+; a=x acquire"}},
    /* x cell's memory, z flags: 1 ROOM, 2 GONE; the second one frees */
    {"P6",
     "the second of two frees a cell",
     "a=0 b=0",
     {"c=x plain; a=z|1 seq_cst+; a?x=1 plain", "d=x plain; b=z|2 seq_cst+; b?x=2 plain"}},
    /* x head or place in the set, y floor */
    {"P7",
     "the floor before a version goes",
     "a=1 b=0",
     {"c=y:0>1 seq_cst; d=x:0>1 seq_cst+", "a=x acquire*; b=y acquire"}},
    /* x bag, y list */
    {"P8",
     "a bag before its list",
     "a=1 b=0",
     {"x=1 plain; c=y:0>1 seq_cst+", "a=y:1>2 seq_cst+; a?b=x plain"}},
    /* x links of the bags in hand, y what waits */
    {"P8",
     "bags in hand before they wait again",
     "a=1 b=0",
     {"x=1 plain; y=1 release*", "a=y:1>2 seq_cst+; a?b=x plain"}},
    /* x whether the open bag was taken, y section flag, z what is in it */
    {"P8b",
     "a bag is emptied after it was filled",
     "x=9",
     {"y=1 relaxed; fence seq_cst*; c=x acquire; c!z=2 plain; y=0 release*",
      "a=x:0>1 seq_cst; fence seq_cst*; b=y relaxed; fence acquire*; b!z=1 plain"}},
    /* x bag, y open */
    {"P8b",
     "an empty bag before it is open",
     "a=1 b=0",
     {"x=1 plain; y=1 release*", "a=y:1>2 seq_cst+; a?b=x plain"}},
    {"P8b",
     "an empty bag before it is open in place of another",
     "a=1 b=0",
     {"x=1 plain; c=y:0>1 seq_cst+", "a=y:1>2 seq_cst+; a?b=x plain"}},
    /* x bytes in the open bag, y whether that was taken: what is in the next one is not lost sight
     * of */
    {"P8b",
     "the bytes of a bag that is taken, then those of the next one",
     "a=1 x=2",
     {"x=2 relaxed; c=y:0>1 seq_cst+", "a=y acquire*; a?x=1 relaxed"}},
    /* x record, y list */
    {"P9",
     "a thread's record before its place in the list",
     "a=1 b=0",
     {"x=1 plain; c=y:0>1 seq_cst+", "a=y acquire*; a?b=x plain"}},
    /* x entry, y link */
    {"P10",
     "an entry before its link",
     "a=1 b=0",
     {"x=1 plain; c=y:0>1 seq_cst+", "a=y acquire*; a?b=x plain"}},
    /* x mark above, y mark below */
    {"P10",
     "the marks above before those below",
     "a=1 b=0",
     {"c=x|1 seq_cst; d=y|1 seq_cst+", "a=y seq_cst+; b=x seq_cst"}},
    /* x first link, y what a thread announces */
    {"P10",
     "an insertion and an announcement: one sees the other",
     "b=0 d=0",
     {"a=x:0>1 seq_cst*; b=y seq_cst*", "c=y+1 seq_cst*; d=x seq_cst*"}},
    /* x, y last link or mark of each party, z done */
    {"P10b",
     "the second party sees what the first has linked",
     "a=1 c=0",
     {"x=1 seq_cst; a=z+1 seq_cst+; a?c=y relaxed", "y=1 seq_cst; b=z+1 seq_cst+; b?d=x relaxed"}},
    /* x entry's memory, z done */
    {"P10b",
     "the second party frees",
     "a=0 b=0",
     {"c=x plain; a=z+1 seq_cst+; a?x=1 plain", "d=x plain; b=z+1 seq_cst+; b?x=2 plain"}},
    /* x cell and record, y the slot's word */
    {"P11",
     "a cell before its slot's word",
     "a=1 b=0",
     {"x=1 plain; c=y:0>1 seq_cst+", "a=y acquire*; a?b=x plain"}},
    /* x word, y bound with its mark */
    {"P12",
     "a claim and a tender: one sees the other",
     "b=0 d=0",
     {"a=x:0>1 seq_cst*; b=y seq_cst*", "c=y:0>1 seq_cst*; d=x seq_cst*"}},
    /* x pointer to the segment of the claim, y bound: the tender loads pointers with acquire */
    {"P12",
     "a claim in a new segment and a tender: one sees the other",
     "b=0 d=0",
     {"a=x:0>1 seq_cst*; b=y seq_cst*", "c=y:0>1 seq_cst; fence seq_cst*; d=x acquire"}},
    /* x contents, y pointer */
    {"P13",
     "a segment, page, directory, queue before its pointer",
     "a=1 b=0",
     {"x=1 plain; y=1 release*", "a=y acquire*; a?b=x plain"}},
    /* x pointer of the queue (1: gone), y queues_gone */
    {"P13",
     "who reads queues_gone before the search remembers no queue that went before",
     "a=1 b=0",
     {"x=1 seq_cst; c=y+1 seq_cst+", "a=y seq_cst+; b=x acquire"}},
    /* x queue's memory, y queues_gone, s section flag */
    {"P13",
     "a remembered queue is not freed under its section",
     "x=9",
     {"s=1 relaxed; fence seq_cst*; a=y seq_cst; a!b=x plain; s=0 release*",
      "c=y+1 seq_cst; fence seq_cst*; d=s relaxed; fence acquire*; d!x=1 plain"}},
    /* x finished, y segment's word */
    {"P14",
     "the last slot and the seal: one sees the other",
     "b=0 d=0",
     {"a=x+1 seq_cst*; b=y seq_cst*", "c=y|1 seq_cst*; d=x seq_cst*"}},
    /* x job's word, y waiters; the look is in a section of its own */
    {"P15",
     "a job and a sleeper: one sees the other",
     "b=0 d=0",
     {"a=x:0>1 seq_cst*; b=y seq_cst*", "c=y+1 seq_cst; fence seq_cst*; d=x acquire"}},
    /* x count of jobs that are gone, z finished, y waiters */
    {"P15",
     "the count of the last job and a sleeper: one sees the other",
     "b=0 d=0",
     {"x=1 relaxed; a=z+1 seq_cst; fence seq_cst*; b=y seq_cst",
      "c=y+1 seq_cst; fence seq_cst*; d=x relaxed"}},
    /* x job's word, stored by a producer who was late, y waiters */
    {"P15",
     "a job that comes late and a sleeper: one sees the other",
     "b=0 d=0",
     {"x=1 seq_cst*; b=y seq_cst*", "c=y+1 seq_cst; fence seq_cst*; d=x acquire"}},
    /* x pointer to the segment of the job, y raised, which is 0 for who need not raise it */
    {"P15",
     "a job and a descriptor that is lowered: one sees the other",
     "b=0 d=0",
     {"a=x:0>1 seq_cst*; b=y seq_cst*", "y=1 seq_cst; fence seq_cst*; d=x acquire"}},
    /* x the descriptors below, y poll_fd */
    {"P15",
     "the descriptors before the one over them",
     "a=1 b=0",
     {"x=1 plain; y=1 seq_cst+", "a=y acquire*; a?b=x plain"}},
    /* x job's word, z signal, which the kernel compares with the noted one */
    {"P15",
     "a sleeper notes the signal before it looks",
     "e=1 d=0",
     {"a=x:0>1 seq_cst; b=z+1 seq_cst+", "e=z seq_cst+; d=x acquire"}},
    /* x first link of the ready entries, which are looked at without a fence in between */
    {"P15",
     "a ready entry and a sleeper: one sees the other",
     "b=0 d=0",
     {"a=x:0>1 seq_cst*; b=y seq_cst*", "c=y+1 seq_cst*; d=x seq_cst*"}},
    /* x pins, y closed, z places */
    {"P16",
     "no job after the last pull was told that none will come",
     "b=0 c=1 d=0 e=0",
     {"a=x+1 seq_cst*; b=y seq_cst*; b!z=1 seq_cst; f=x-1 seq_cst+", "y=1 seq_cst",
      "c=y seq_cst+; d=x seq_cst*; e=z seq_cst"}},
    /* x depth, y closed */
    {"P16",
     "who takes the last job and who closes: one sees the other",
     "b=0 d=0",
     {"a=x+1 seq_cst*; b=y seq_cst*", "y=1 seq_cst*; d=x seq_cst*"}},
    /* x depth, z finished of the segment, y closed, s signal */
    {"P16",
     "who takes the last job tells it, or the waiters that are told to look again see it",
     "b=0 e=1 f=0",
     {"x=1 relaxed; a=z+1 seq_cst+; b=y seq_cst", "y=1 seq_cst; c=z+0 seq_cst+; d=s+1 seq_cst+",
      "e=s seq_cst+; f=x relaxed"}},
    /* x bound of expiry, y closed */
    {"P16",
     "an expiry and who closes: one sees the other",
     "b=0 d=0",
     {"a=x:0>1 seq_cst*; b=y seq_cst*", "y=1 seq_cst*; d=x seq_cst*"}},
    /* x mark of the entry, y the database's item */
    {"P17",
     "no old item from the cache after the new one from the database",
     "a=1 b=0",
     {"x=1 seq_cst; y=1 release*", "a=y acquire*; b=x seq_cst"}},
    /* x word of the partition, y the database's item */
    {"P18",
     "what was read in a window is not entered as read after it",
     "a=2 b=0",
     {"c=x+1 seq_cst; y=1 release; d=x+1 seq_cst+", "a=x seq_cst+; b=y acquire"}},
    {"P18",
     "no old item from the cache after the new one from the database",
     "a=1 b=0",
     {"c=x+1 seq_cst; y=1 release*", "a=y acquire*; b=x seq_cst"}},
    /* z announced, x place of the new entry, y word of the job that is claimed then */
    {"P19",
     "a job behind a look is announced before one in front of it is claimed",
     "d=0 e=1 f=0",
     {"a=x:0>1 seq_cst; b=z+1 seq_cst; c=y:0>1 seq_cst+",
      "d=x acquire; e=y acquire*; f=z seq_cst"}},
    {"P19",
     "what was announced before a look is found by it",
     "g=1 d=0",
     {"a=x:0>1 seq_cst; b=z+1 seq_cst+", "g=z seq_cst+; d=x acquire"}},
    /* x epoch, y clock. What orders epoch and tag by fences besides is not in it. */
    {"P20",
     "a seal that saw a snapshot's step is not tagged below its epoch",
     "a=1 b=1 d=0",
     {"x=1 seq_cst", "a=x relaxed; c=y:0>1 seq_cst+", "b=y seq_cst+; d=x relaxed"}},
    /* The same, where another one has moved the clock: x epoch, y clock. Nothing synchronises; by
     * the two fences C++20 orders the loads of the epoch (C11 did not yet, all its compilers'
     * fences do). */
    {"P20",
     "a seal that saw a stranger's step is not tagged below the epoch of a snapshot before it",
     "a=1 b=0 e=1 d=0",
     {"x=1 relaxed", "a=x relaxed; fence seq_cst*; b=y seq_cst", "c=y:0>1 seq_cst",
      "e=y seq_cst; fence seq_cst*; d=x relaxed"}},
    /* x places, y pins */
    {"P21",
     "a job with a place and one with a key: one counts the other",
     "b=0 d=0",
     {"a=x:0>1 seq_cst*; b=y seq_cst*", "c=y+1 seq_cst*; d=x seq_cst*"}},
    /* x head of what expires, y bound of the sweep */
    {"P22",
     "an expiry is noted, or met by the round",
     "b=0 d=0",
     {"a=x:0>1 seq_cst*; b=y seq_cst*", "y=1 seq_cst; fence seq_cst*; d=x acquire"}},
    /* x places, y what is gone, by a thread with a line of its own, and by one without */
    {"P23",
     "what is gone had a place",
     "a=1 b=1 d=0",
     {"c=x:0>1 seq_cst", "a=x acquire; y=1 release*", "b=y acquire*; d=x seq_cst"}},
    {"P23",
     "the same, in the line that threads share",
     "a=1 b=1 d=0",
     {"c=x:0>1 seq_cst", "a=x acquire; e=y+1 seq_cst+", "b=y acquire*; d=x seq_cst"}},
    /* Of the adapter for LMDB (src/lmdb/atomic.h). x transaction of a place, y its flag (1:
     * nobody's) */
    {"L1",
     "a place is left before it is taken",
     "a=1 b=0",
     {"x=1 plain; y=1 release*", "a=y:1>0 acquire*; a?b=x plain"}},
    /* x meta page, y number of the last commit */
    {"L2",
     "who has copied half of a page sees that a commit has come",
     "a=1 b=0",
     {"y=1 relaxed; fence release*; x=1 relaxed", "a=x relaxed; fence acquire*; b=y relaxed"}},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static bool
breaks(const litmus_program *program, const struct row *row, litmus_result *result)
{
    litmus_run(program, row->outcome, result);
    return result->shown != 0 || result->races != 0;
}

/* How much of the statement's order the program needs: as the marks say it. */
static char
need_of(const litmus_program *program, const struct row *row, unsigned thread, unsigned i)
{
    litmus_result result;
    litmus_program weaker = *program;
    litmus_statement *statement = &weaker.statements[thread][i];
    (void)litmus_weaken(statement, false);
    if (breaks(&weaker, row, &result))
        return '*';
    *statement = program->statements[thread][i];
    (void)litmus_weaken(statement, true);
    return breaks(&weaker, row, &result) ? '+' : ' ';
}

static void
test_pairs_hold_and_their_weakened_twins_do_not(void **state)
{
    (void)state;
    unsigned wrong = 0, twins = 0;
    for (unsigned r = 0; r < ROWS; r++) {
        const struct row *row = &rows[r];
        litmus_program program;
        litmus_result result;
        char needs[400] = "";
        size_t length = 0;
        unsigned broken = 0;
        litmus_parse(&program, row->threads);
        if (breaks(&program, row, &result)) {
            print_error("%s, %s: broken in %llu of %llu executions\n", row->pair, row->what,
                        (unsigned long long)(result.shown + result.races),
                        (unsigned long long)result.executions);
            wrong++;
        }
        for (unsigned t = 0; t < program.threads; t++)
            for (unsigned i = 0; i < program.counts[t]; i++) {
                litmus_statement statement = program.statements[t][i];
                if (!litmus_weaken(&statement, false))
                    continue;
                statement = program.statements[t][i];
                char need = need_of(&program, row, t, i);
                broken += need != ' ';
                if (need != statement.mark) {
                    print_error("%s, %s: \"%s\" of thread %u is '%c', not '%c'\n", row->pair,
                                row->what, litmus_text(&statement), t + 1, need, statement.mark);
                    wrong++;
                }
                if (need != ' ')
                    length += (size_t)snprintf(needs + length, sizeof(needs) - length, "%s%s",
                                               length != 0 ? "; " : "", litmus_text(&statement));
            }
        /* A pair none of whose orders is needed would be no pair. */
        if (broken == 0)
            wrong++;
        twins += broken;
        print_message("%-4s %-70s %6llu executions, %u twins fail: %s\n", row->pair, row->what,
                      (unsigned long long)result.executions, broken, needs);
    }
    assert_int_equal(wrong, 0);
    assert_true(twins > 2 * ROWS);
}

static void
test_pairs_are_all_there(void **state)
{
    (void)state;
    for (unsigned number = 1; number <= 23; number++) {
        char pair[8];
        unsigned count = 0;
        (void)snprintf(pair, sizeof(pair), "P%u", number);
        for (unsigned r = 0; r < ROWS; r++)
            count += strcmp(rows[r].pair, pair) == 0;
        assert_true(count > 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs_hold_and_their_weakened_twins_do_not),
        cmocka_unit_test(test_pairs_are_all_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
