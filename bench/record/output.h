/* SPDX-License-Identifier: MIT
 *
 * A file that is there as a whole or not at all: it is written beside its place and put there in
 * the end, so that two runs that write the same file do not mix, and a full disk leaves the old
 * one.
 */
#ifndef BENCH_OUTPUT_H
#define BENCH_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

struct output {
    FILE *file;       /* NULL: it could not be opened */
    const char *path; /* where it is to be */
    char beside[4096];
};

/* False: it could not be opened, and errno says why. `path` stays with the caller until the end. */
bool output_open(struct output *output, const char *path);

/* Puts the file into its place if `good`, else takes it away. False: not there, and errno says why
 * (0: nobody knows). Also of one that could not be opened. */
bool output_close(struct output *output, bool good);

#endif
