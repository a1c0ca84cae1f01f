/* SPDX-License-Identifier: MIT
 *
 * A file that is there as a whole or not at all: it is written beside its place and put there in
 * the end, so that two runs that write the same file do not mix, and a full disk leaves the old
 * one.
 */
#ifndef BENCH_OUTPUT_H
#define BENCH_OUTPUT_H

#include "record/record.h"

#include <stdio.h>

/* Has `write` write a record into the file. False: it is not there, and stderr says why. */
bool output_write(const char *path, bool (*write)(FILE *file, const struct record *record),
                  const struct record *record);

#endif
