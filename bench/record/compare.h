/* SPDX-License-Identifier: MIT
 *
 * Two records row by row: which of latchkey's regressed, improved or did not change. A row is
 * judged by its repeats, and by how the rivals beside it changed: where they became slower too, the
 * machine did. Rivals are shown, not judged. Rates are compared, or, where both records are of a
 * fixed rate, the p99 of each repeat.
 */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include "record/record.h"

/* What the program's exit status means. */
enum {
    STATUS_OK = 0,
    STATUS_BROKEN = 1,        /* an invariant: a contender lost or changed something */
    STATUS_USAGE = 2,         /* a bad option, or a file that cannot be read or written */
    STATUS_WORSE = 3,         /* than the baseline by more than --fail-if-worse */
    STATUS_INTERRUPTED = 130, /* by SIGINT or SIGTERM; what was measured is written */
};

/* Fills `comparison` of each row that the baseline has too. */
void compare_records(struct record *now, const struct record *baseline);

/* The rows side by side, then a count of the verdicts. */
void compare_print(const struct record *now, const struct record *baseline);

/* STATUS_WORSE if a row regressed by more than `worse_most` (a part; below 0: never), and names
 * it; STATUS_USAGE if no row could be judged, though somebody asks; else STATUS_OK. Rows that are
 * unclear were judged: that they regressed is not shown; where all are, it says so. */
int compare_status(const struct record *now, double worse_most);

/* The command: reads, compares, prints. Returns the exit status. */
int compare_files(const char *old, const char *new, double worse_most);

#endif
