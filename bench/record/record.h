/* SPDX-License-Identifier: MIT
 *
 * The whole run as one value: the machine, the options, the workloads and a row for each workload,
 * contender and number of threads. The plan and the workloads fill it (driver/measured.h); every
 * form of report (tables, JSON, CSV, .hgrm, HTML) and every comparison takes it. A JSON file is the
 * same value on disk.
 *
 * Invariants
 *   I1 rates and the other figures of repeats are of whole measurements; a repeat that was
 *      interrupted is not in the record, and the row is marked partial.
 *   I2 no two rows have the same workload, contender, threads and distribution.
 *   I3 text is cut to its array, never missing its end.
 */
#ifndef BENCH_RECORD_H
#define BENCH_RECORD_H

#include "record/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_FORMAT "latchkey-bench 1" /* of the JSON file; another number: cannot be compared */
#define RECORD_REPEATS_MAX 64
#define RECORD_THREADS_MAX 64
#define RECORD_TARGETS_MAX 4
#define RECORD_HOT_MAX 8
#define RECORD_ATTEMPTS 6    /* 1, 2, 3-4, 5-8, 9-16, more */
#define RECORD_UNSTEADY 0.05 /* a spread above that is marked */

struct record_machine {
    char processor[128];
    char kernel[96];
    char compiler[96];
    char flags[256];
    char allocator[64];
    char ck[32];
    char library[32]; /* latchkey's version */
    char commit[64];  /* of the sources at build time, "-dirty" behind it; "": unknown */
    unsigned processors;
    uint64_t memory_bytes;
    double load_average; /* of a minute, before the start; below 0: unknown */
};

/* What was asked for; the text is that of the command line, or "". */
struct record_options {
    char workloads[256];
    char contenders[256];
    char threads[64];
    char distribution[32];
    char pin[16];
    char time[16]; /* that rates are per second of; "": the clock's */
    double duration_s, warmup_s;
    double rate; /* operations per second of all threads; 0: as fast as they can */
    unsigned repeats;
    unsigned locks_per_commit;
    uint64_t keys, value_size, seed;
};

struct record_contender {
    char name[48];
    char what[96];
    bool ours; /* this library under some name or in front of it */
};

struct record_workload {
    char name[48];
    char what[192];
    char unit[32]; /* of a row's rates after division by `scale` */
    double scale;  /* 1e6 for "M ops/s", 1e3 for "k jobs/s" */
    char distribution[32];
    char subject[32]; /* whom the other contenders are compared with */
};

/* A figure with a name of its own: contention counters, bytes per item, hit rates. A counter of
 * contention is per operation, or, with a unit, the most that was seen of a level. */
struct record_figure {
    char name[48];
    char unit[24];
    double value;
    bool contention;
};

/* A key of commits that raced. Its part of the keys of all of them lies between the two. */
struct record_hot {
    char key[80];
    double least, most;
};

enum report_outcome { REPORT_MET, REPORT_MISSED, REPORT_NO_FIGURE };

/* What the reader may expect of the workload's subject against this row. */
struct record_target {
    char text[48];
    enum report_outcome outcome;
    bool aim; /* shown, not counted */
};

/* Latencies of one repeat, or of all. Nanoseconds. */
struct record_latency {
    uint64_t p50, p99, p999, maximum;
};

enum record_verdict {
    RECORD_NOT_COMPARED,
    RECORD_RIVAL,    /* of latchkey: shown, and judged by nobody */
    RECORD_NO_RIVAL, /* in both runs that could say how the machine changed */
    RECORD_TOO_FEW,  /* repeats for a verdict at all */
    RECORD_UNCLEAR,  /* it may be a change, and may be noise */
    RECORD_NO_CHANGE,
    RECORD_IMPROVED,
    RECORD_REGRESSED
};

/* Against the same row of a baseline. */
struct record_comparison {
    enum record_verdict verdict;
    double median;     /* of the baseline */
    double difference; /* of the medians over the baseline's: above 0 is better, whatever is
                          compared */
    double against;    /* the same with the rivals' own change taken out */
    double noise;      /* what a difference has to exceed */
    unsigned rivals;   /* how many took part in that; 0: `against` is 0 */
    bool of_latency;   /* p99 is compared, as rates are given (--rate) */
};

struct record_row {
    char workload[48];
    char contender[48];
    char distribution[32];
    unsigned threads; /* 0: the workload knows none */

    unsigned planned;                                            /* repeats */
    unsigned repeats;                                            /* that were measured whole */
    double rates[RECORD_REPEATS_MAX];                            /* operations per second */
    struct record_latency latencies[RECORD_REPEATS_MAX];         /* of each repeat */
    uint64_t operations[RECORD_REPEATS_MAX][RECORD_THREADS_MAX]; /* measured, of each thread */
    double median, spread; /* of the rates; the spread over the median */
    double ratio;          /* the subject's median over this one; 0: not compared */

    struct histogram latency;           /* all repeats and threads together */
    uint64_t commits, races;            /* warm-up included, as is the next */
    uint64_t retries;                   /* inside the store */
    uint64_t attempts[RECORD_ATTEMPTS]; /* commits by how often they were tried */
    uint64_t raced_keys;                /* of all commits that raced, each as often as it did */
    struct record_hot hot[RECORD_HOT_MAX];
    size_t hot_count;
    uint64_t late;        /* scheduled by --rate, and not begun when the measurement ended */
    double jain, slowest; /* fairness: medians over repeats, see record_fairness; 0: unknown */

    double elapsed_s, others_s; /* measured time; processor time of other processes in it */
    bool transacts;             /* commits, races and retries mean something */
    bool has_retries;           /* the store counts them */
    char fault[96];             /* what was wrong; "": nothing */
    char missing[96];           /* why there is no figure; "": there is one */
    uint64_t wrong, failed;     /* answers and calls, of a fault */

    bool partial;  /* interrupted before all repeats were done */
    bool crowded;  /* more threads than processors */
    bool unsteady; /* spread above RECORD_UNSTEADY */
    bool busy;     /* others took more of the processors than were idle anyway */

    struct record_target targets[RECORD_TARGETS_MAX];
    size_t target_count;
    struct record_figure *figures;
    size_t figure_count;
    struct record_comparison comparison;
};

struct record {
    char date[32]; /* of the start, ISO 8601, UTC */
    char command[1024];
    struct record_machine machine;
    struct record_options options;
    struct record_contender *contenders; /* of the rows */
    size_t contender_count;
    struct record_workload *workloads; /* in the order of the tables, as are the rows */
    size_t workload_count;
    struct record_row **rows;
    size_t row_count;
    unsigned targets_met, targets_missed, targets_open;
    unsigned faults;
    double elapsed_s;
    bool partial; /* interrupted: rows may be missing */
    char baseline[256];
};

/* Copies a text, cut to its array; NULL is "". */
#define RECORD_TEXT(array, text) snprintf(array, sizeof(array), "%s", (text) != NULL ? (text) : "")

/* ---- filling --------------------------------------------------------------------------------- */

void record_close(struct record *record);

/* The workload, or the contender, of a name, made if there is none. Out of memory ends the program.
 * */
struct record_workload *record_workload(struct record *record, const char *name);
void record_contender(struct record *record, const char *name, const char *what, bool ours);

const struct record_workload *record_workload_find(const struct record *record, const char *name);

/* Whether a contender is this library, so that it is judged. In records that name no contenders its
 * name says so. */
bool record_ours(const struct record *record, const char *contender);

/* The row, made if there is none. Out of memory ends the program. */
struct record_row *record_row(struct record *record, const char *workload, const char *contender,
                              unsigned threads);
const struct record_row *record_row_find(const struct record *record, const char *workload,
                                         const char *contender, unsigned threads,
                                         const char *distribution);

/* A figure of a row; one of that name is replaced. */
struct record_figure *record_row_figure(struct record_row *row, const char *name, const char *unit,
                                        double value);

/* The row's figure of that name; NULL: it has none. */
const struct record_figure *record_row_figure_find(const struct record_row *row, const char *name);

/* The median, spread, fairness and marks of a row, from its repeats. */
void record_summarise(struct record_row *row, unsigned processors);

/* Fairness of one repeat. Jain's index: (sum x)^2 / (n * sum x^2), 1 where all threads did alike,
 * 1/n where one did all. `slowest`: the slowest thread's part of the fastest's. */
void record_fairness(const uint64_t *operations, unsigned threads, double *jain, double *slowest);

struct record_latency record_latency_of(const struct histogram *histogram);

/* What a row is judged by, repeat by repeat, more is better: rates; where these are given (--rate),
 * the inverse of p99, in seconds. Returns how many there are, at most RECORD_REPEATS_MAX. */
size_t record_scores(const struct record_row *row, bool of_latency, double *scores);

/* ---- forms ----------------------------------------------------------------------------------- */

/* Each writes the file; false: it could not, and stderr says why. */
bool report_json(const struct record *record, const char *path);
/* What report_json writes, as a value and as a text, for cJSON_Delete and free(). NULL: no memory.
 * */
struct cJSON *record_json(const struct record *record);
char *record_json_text(const struct record *record);
bool report_csv(const struct record *record, const char *path);
/* One .hgrm file (HdrHistogram's percentile format, microseconds) for each row with latencies:
 * <prefix>-<name>.hgrm, or <name>.hgrm in the folder where the prefix ends with '/'. */
bool report_hgrm(const struct record *record, const char *prefix);
/* One page that needs no network. */
bool report_html(const struct record *record, const char *path);

/* Reads what report_json wrote. False: it could not, and stderr says why; `record` is empty. */
bool record_read(struct record *record, const char *path);

#endif
