/* SPDX-License-Identifier: MIT
 *
 * The command line, and what the program's exit status means.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

enum {
    STATUS_OK = 0,
    STATUS_BROKEN = 1,        /* an invariant: a contender lost or changed something */
    STATUS_USAGE = 2,         /* a bad option, or a file that cannot be read or written */
    STATUS_WORSE = 3,         /* than the baseline by more than --fail-if-worse */
    STATUS_INTERRUPTED = 130, /* by SIGINT or SIGTERM; what was measured is written */
};

/* Fills bench_options. Ends the program with STATUS_USAGE and a word why where it cannot. */
void options_parse(int argc, char **argv);

#endif
