/* SPDX-License-Identifier: MIT
 *
 * The command line: what was asked for, and lists in it.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_command { BENCH_RUN, BENCH_COMPARE, BENCH_REPORT, BENCH_LIST };

struct bench_options {
    enum bench_command command;
    const char *workloads;    /* comma separated; NULL: all but those on request */
    const char *contenders;   /* NULL: those of the workload */
    const char *subject;      /* whom the others are compared with; NULL: that of the workload */
    const char *threads;      /* NULL: those of the workload */
    const char *distribution; /* NULL: that of the workload */
    const char *pin;          /* none, compact or spread; NULL: nothing was asked for */
    const char *time;         /* clock or processor; NULL: nothing was asked for */
    double duration_s;
    double warmup_s;
    double rate;       /* operations per second of all threads; 0: as fast as they can */
    double worse_most; /* a row worse than that part fails the run; below 0: none does */
    uint64_t repeats, keys, value_size, seed;
    uint64_t locks_per_commit; /* of the workloads that can have any number */
    bool hurried;              /* fewer repeats where the machine is too slow for the plan */
    bool processor_time;       /* rates are per second of processor, not of the clock */

    const char *json, *csv, *hgrm, *html; /* files to write; NULL: none */
    const char *baseline;                 /* a record to compare with; NULL: none */
    const char *compared[2];              /* of the commands compare and report */
};

/* Set once by options_parse, before anything else runs. */
extern struct bench_options bench_options;

/* Fills bench_options. Ends the program with STATUS_USAGE and a word why where it cannot. */
void options_parse(int argc, char **argv);

/* Whether a comma separated list holds a name. */
bool list_has(const char *list, const char *name);

/* The numbers of a list like "1,2,4", at most BENCH_THREADS_MAX. Returns how many; 0: the list is
 * bad. */
size_t list_numbers(const char *text, unsigned *numbers);

#endif
