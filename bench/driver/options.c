/* SPDX-License-Identifier: MIT
 *
 * The command line: three commands, of which `run` need not be written, and their options.
 */
#include "driver/options.h"

#include "driver/bench.h"
#include "driver/data.h"
#include "driver/driver.h"
#include "driver/pin.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOCKS_DEFAULT 4

struct bench_options bench_options = {
    .duration_s = 0.03,
    .warmup_s = 0.01,
    .repeats = 7,
    .hurried = true,
    .keys = 1000000,
    .value_size = 64,
    .seed = 1,
    .worse_most = -1,
};

enum option_key {
    OPTION_WORKLOAD = 'w',
    OPTION_CONTENDER = 'c',
    OPTION_THREADS = 't',
    OPTION_DURATION = 'd',
    OPTION_REPEAT = 'r',
    OPTION_KEYS = 'k',
    OPTION_HTML = 'o',
    OPTION_WARMUP = 256,
    OPTION_VALUE_SIZE,
    OPTION_DISTRIBUTION,
    OPTION_LOCKS,
    OPTION_RATE,
    OPTION_PIN,
    OPTION_TIME,
    OPTION_SEED,
    OPTION_JSON,
    OPTION_CSV,
    OPTION_HGRM,
    OPTION_BASELINE,
    OPTION_WORSE,
    OPTION_LIST,
    OPTION_QUICK,
};

static const struct argp_option option_table[] = {
    {NULL, 0, NULL, 0, "What is measured:", 1},
    {"workload", OPTION_WORKLOAD, "NAME,..", 0, "Run these only", 1},
    {"contender", OPTION_CONTENDER, "NAME,..", 0, "Compare these only", 1},
    {"threads", OPTION_THREADS, "N,..", 0, "Numbers of threads (default: the workload's)", 1},
    {"keys", OPTION_KEYS, "N", 0, "Items in the store (default 1000000)", 1},
    {"value-size", OPTION_VALUE_SIZE, "BYTES", 0, "Of a value (default 64; 24 to 65536)", 1},
    {"distribution", OPTION_DISTRIBUTION, "HOW", 0,
     "Of keys: uniform, zipf:THETA, hot:KEYS (default: the workload's)", 1},
    {"locks-per-commit", OPTION_LOCKS, "N", 0, "Of the workload commit (default 4; 2 to 16)", 1},
    {"seed", OPTION_SEED, "N", 0, "Of all that is random (default 1)", 1},
    {NULL, 0, NULL, 0, "How:", 2},
    {"duration", OPTION_DURATION, "TIME", 0, "Of each measurement (default 30ms)", 2},
    {"warmup", OPTION_WARMUP, "TIME", 0, "Before each measurement (default 10ms)", 2},
    {"repeat", OPTION_REPEAT, "N", 0, "Measurements, contenders in turn (default 7)", 2},
    {"rate", OPTION_RATE, "OPS", 0,
     "Operations per second of all threads together, on a fixed schedule; latencies are from the "
     "intended start (default: as fast as they can)",
     2},
    {"pin", OPTION_PIN, "HOW", 0,
     "Threads to processors: none, compact (neighbours first), spread (cores first)", 2},
    {"time", OPTION_TIME, "HOW", 0,
     "Rates per second of the clock, or of the processor that a thread had (of workloads on "
     "stores; for "
     "a machine with other work to do; waiting is then free)",
     2},
    {"quick", OPTION_QUICK, NULL, 0, "All that can be run, as briefly as possible", 2},
    {NULL, 0, NULL, 0, "What becomes of it:", 3},
    {"json", OPTION_JSON, "FILE", 0, "Write all of it, to be compared later", 3},
    {"html", OPTION_HTML, "FILE", 0, "Write a page with charts, to be opened in a browser", 3},
    {"csv", OPTION_CSV, "FILE", 0, "Write a line for each row and repeat", 3},
    {"hgrm", OPTION_HGRM, "PREFIX", 0,
     "Write latencies in HdrHistogram's format, a file for each row: PREFIX-NAME.hgrm, or "
     "NAME.hgrm in a folder",
     3},
    {"baseline", OPTION_BASELINE, "FILE", 0, "Compare with this record (of --json) at the end", 3},
    {"fail-if-worse", OPTION_WORSE, "PERCENT", 0,
     "Exit with 3 if a row of latchkey regressed since the baseline by more than that", 3},
    {"list", OPTION_LIST, NULL, 0, "The same as the command list", 3},
    {0},
};

static const char option_text[] =
    "latchkey-bench -- latchkey against what people write by hand\v"
    "TIME is in seconds, or with a unit: 500ms, 3s, 2m. Numbers of operations may end with k or M. "
    "Without options it runs the workloads that matter most, in about half a minute. `compare' "
    "puts two "
    "records next to each other, the older one first; `report' makes a page of one (report.html, "
    "or "
    "where -o says), with a comparison where there is a --baseline.\n\n"
    "Exit status: 0 all is well, 1 an invariant was broken, 2 bad usage or a file that cannot be "
    "read or written, 3 worse than the baseline (with --fail-if-worse), 130 interrupted; what was "
    "measured until then is written, and marked as partial.";

/* A number within bounds, followed by nothing or by one of the units (each with its factor), or the
 * end of the program with a word why. */
struct unit {
    const char *name;
    double factor;
};

static const struct unit units_none[] = {{"", 1}, {0}};
static const struct unit units_time[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"m", 60}, {0}};
static const struct unit units_count[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {0}};
static const struct unit units_part[] = {{"", 0.01}, {"%", 0.01}, {0}};

static double
option_number(struct argp_state *state, const char *text, const struct unit *units, double least,
              double most)
{
    char *end;
    double number = strtod(text, &end);

    for (size_t i = 0; end != text && units[i].name != NULL; i++)
        if (strcmp(end, units[i].name) == 0 && number * units[i].factor >= least &&
            number * units[i].factor <= most)
            return number * units[i].factor;
    argp_error(state, "'%s' is not a number from %g to %g%s", text, least / units[0].factor,
               most / units[0].factor,
               units == units_time   ? " s (also 500ms, 3s, 2m)"
               : units == units_part ? " %"
                                     : "");
    return 0;
}

static uint64_t
option_seed(struct argp_state *state, const char *text)
{
    char *end;

    errno = 0;
    uint64_t seed = strtoull(text, &end, 0);
    if (end == text || *end != '\0' || errno != 0 || *text == '-')
        argp_error(state, "'%s' is not a seed: a whole number", text);
    return seed;
}

/* The data and the workloads. */
static error_t
option_parse_what(int key, char *argument, struct argp_state *state)
{
    struct bench_options *options = state->input;
    struct distribution distribution;

    switch (key) {
    case OPTION_WORKLOAD:
        options->workloads = argument;
        return 0;
    case OPTION_CONTENDER:
        options->contenders = argument;
        return 0;
    case OPTION_THREADS:
        options->threads = argument;
        return 0;
    case OPTION_KEYS:
        options->keys = (size_t)option_number(state, argument, units_count, 1000, 1e9);
        return 0;
    case OPTION_VALUE_SIZE:
        options->value_size =
            (size_t)option_number(state, argument, units_none, DATA_VALUE_MIN, 65536);
        return 0;
    case OPTION_DISTRIBUTION:
        if (!distribution_parse(argument, &distribution))
            argp_error(state, "'%s' is not uniform, zipf:0.01 to zipf:4, or hot:KEYS", argument);
        options->distribution = argument;
        return 0;
    case OPTION_LOCKS:
        options->locks_per_commit =
            (unsigned)option_number(state, argument, units_none, 2, BENCH_GROUP);
        return 0;
    case OPTION_SEED:
        options->seed = option_seed(state, argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t
option_parse_how(int key, char *argument, struct argp_state *state)
{
    struct bench_options *options = state->input;

    switch (key) {
    case OPTION_DURATION:
        options->duration_s = option_number(state, argument, units_time, 0.001, 3600);
        options->hurried = false;
        return 0;
    case OPTION_WARMUP:
        options->warmup_s = option_number(state, argument, units_time, 0, 3600);
        return 0;
    case OPTION_REPEAT:
        options->repeats =
            (unsigned)option_number(state, argument, units_none, 1, DRIVER_REPEATS_MAX);
        options->repeats_given = true;
        options->hurried = false;
        return 0;
    case OPTION_RATE:
        options->rate = option_number(state, argument, units_count, 1, 1e9);
        return 0;
    case OPTION_PIN:
        if (!pin_parse(argument, NULL))
            argp_error(state, "'%s' is not none, compact or spread", argument);
        options->pin = argument;
        return 0;
    case OPTION_TIME:
        options->processor_time = strcmp(argument, "processor") == 0;
        if (!options->processor_time && strcmp(argument, "clock") != 0)
            argp_error(state, "'%s' is not clock or processor", argument);
        return 0;
    case OPTION_QUICK:
        options->keys = 50000;
        options->repeats = 1;
        options->repeats_given = true;
        options->duration_s = 0.02;
        options->warmup_s = 0.005;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t
option_parse_outcome(int key, char *argument, struct argp_state *state)
{
    struct bench_options *options = state->input;

    switch (key) {
    case OPTION_JSON:
        options->json = argument;
        return 0;
    case OPTION_HTML:
        options->html = argument;
        return 0;
    case OPTION_CSV:
        options->csv = argument;
        return 0;
    case OPTION_HGRM:
        options->hgrm = argument;
        return 0;
    case OPTION_BASELINE:
        options->baseline = argument;
        return 0;
    case OPTION_WORSE:
        options->worse_most = option_number(state, argument, units_part, 0, 10);
        return 0;
    case OPTION_LIST:
        options->command = BENCH_LIST;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* As many locks as there are hot keys, at most. */
static void
locks_settle(struct bench_options *options, struct argp_state *state)
{
    struct distribution distribution = {0};
    size_t most = BENCH_GROUP;

    if (options->distribution != NULL && distribution_parse(options->distribution, &distribution) &&
        distribution.kind == DISTRIBUTION_HOT && distribution.hot < most)
        most = distribution.hot;
    if (options->locks_per_commit > most)
        argp_error(state, "%u locks per commit are more than %zu hot keys",
                   options->locks_per_commit, most);
    if (options->locks_per_commit == 0)
        options->locks_per_commit = most < LOCKS_DEFAULT ? (unsigned)most : LOCKS_DEFAULT;
}

/* A word that is no option: the command, or a file to compare. */
static void
word_parse(const char *word, struct argp_state *state)
{
    static const char *const commands[] = {[BENCH_RUN] = "run",
                                           [BENCH_COMPARE] = "compare",
                                           [BENCH_REPORT] = "report",
                                           [BENCH_LIST] = "list"};
    struct bench_options *options = state->input;

    if (state->arg_num == 0) {
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
            if (strcmp(word, commands[i]) == 0) {
                options->command = (enum bench_command)i;
                return;
            }
        argp_error(state, "'%s' is not run, compare, report or list", word);
    }
    unsigned most = options->command == BENCH_COMPARE ? 2 : options->command == BENCH_REPORT;
    if (state->arg_num > most)
        argp_error(state, "'%s' is too much", word);
    options->compared[state->arg_num - 1] = word;
}

static void
options_check(const struct bench_options *options, struct argp_state *state)
{
    if (options->command == BENCH_COMPARE && options->compared[1] == NULL)
        argp_error(state, "compare needs two records: the older one, the newer one");
    if (options->command == BENCH_REPORT && options->compared[0] == NULL)
        argp_error(state, "report needs a record (of --json)");
    if (options->command == BENCH_RUN && options->worse_most >= 0 && options->baseline == NULL)
        argp_error(state, "--fail-if-worse needs a --baseline");
}

static error_t
option_parse(int key, char *argument, struct argp_state *state)
{
    struct bench_options *options = state->input;

    if (key == ARGP_KEY_ARG) {
        word_parse(argument, state);
        return 0;
    }
    if (key == ARGP_KEY_END) {
        options_check(options, state);
        locks_settle(options, state);
        return 0;
    }
    if (option_parse_what(key, argument, state) == 0 ||
        option_parse_how(key, argument, state) == 0 ||
        option_parse_outcome(key, argument, state) == 0)
        return 0;
    return ARGP_ERR_UNKNOWN;
}

static const struct argp option_parser = {
    option_table, option_parse, "[run]\ncompare OLD.json NEW.json\nreport RECORD.json\nlist",
    option_text,  NULL,         NULL,
    NULL};

void
options_parse(int argc, char **argv)
{
    struct bench_options *options = &bench_options;

    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&option_parser, argc, argv, 0, NULL, options);
    if (options->baseline != NULL)
        options->hurried = false;
}
