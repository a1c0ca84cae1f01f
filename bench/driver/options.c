/* SPDX-License-Identifier: MIT
 *
 * The command line: three commands, of which `run` need not be written, and one table of options.
 * The table parses them and prints their help.
 */
#include "driver/options.h"

#include "driver/data.h"
#include "driver/pin.h"
#include "record/compare.h"
#include "record/record.h"

#include <argp.h>
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

struct unit {
    const char *name;
    double factor;
};

static const struct unit units_none[] = {{"", 1}, {0}};
static const struct unit units_time[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"m", 60}, {0}};
static const struct unit units_count[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {0}};
static const struct unit units_part[] = {{"", 0.01}, {"%", 0.01}, {0}};

enum option_kind {
    KIND_TEXT,  /* `check` says whether it is a good one */
    KIND_REAL,  /* a double, from `least` to `most`, in one of the units */
    KIND_WHOLE, /* a uint64_t, the same */
    KIND_QUICK,
    KIND_LIST
};

struct choice {
    const char *name, *argument;
    char letter; /* 0: has none */
    enum option_kind kind;
    size_t offset; /* in bench_options */
    const struct unit *units;
    double least, most;
    bool (*check)(const char *text);
    const char *wanted; /* what a good text is */
    const char *help;
};

static bool
distribution_is_good(const char *text)
{
    struct distribution distribution;

    return distribution_parse(text, &distribution);
}

static bool
pin_is_good(const char *text)
{
    return pin_parse(text, NULL);
}

static bool
time_is_good(const char *text)
{
    return strcmp(text, "clock") == 0 || strcmp(text, "processor") == 0;
}

#define AT(field) offsetof(struct bench_options, field)
#define TEXT(field, good, wanted) KIND_TEXT, AT(field), NULL, 0, 0, good, wanted
#define REAL(field, units, least, most) KIND_REAL, AT(field), units, least, most, NULL, NULL
#define WHOLE(field, units, least, most) KIND_WHOLE, AT(field), units, least, most, NULL, NULL
#define FLAG(kind) kind, 0, NULL, 0, 0, NULL, NULL

/* An option without a name heads those behind it. */
static const struct choice options[] = {
    {.help = "What is measured:"},
    {"workload", "NAME,..", 'w', TEXT(workloads, NULL, NULL), "Run these only"},
    {"contender", "NAME,..", 'c', TEXT(contenders, NULL, NULL), "Compare these only"},
    {"subject", "NAME", 0, TEXT(subject, NULL, NULL),
     "The contender that the others are compared with (default: the workload's)"},
    {"threads", "N,..", 't', TEXT(threads, NULL, NULL),
     "Numbers of threads (default: the workload's)"},
    {"keys", "N", 'k', WHOLE(keys, units_count, 1000, 1e9), "Items in the store (default 1000000)"},
    {"value-size", "BYTES", 0, WHOLE(value_size, units_none, DATA_VALUE_MIN, DATA_VALUE_MAX),
     "Of a value (default 64; 24 to 65536)"},
    {"distribution", "HOW", 0,
     TEXT(distribution, distribution_is_good, "uniform, zipf:0.01 to zipf:4, or hot:KEYS"),
     "Of keys: uniform, zipf:THETA, hot:KEYS (default: the workload's)"},
    {"locks-per-commit", "N", 0, WHOLE(locks_per_commit, units_none, 2, BENCH_GROUP),
     "Of the workload commit (default 4; 2 to 16)"},
    {"seed", "N", 0, WHOLE(seed, units_none, 0, 1e15), "Of all that is random (default 1)"},
    {.help = "How:"},
    {"duration", "TIME", 'd', REAL(duration_s, units_time, 0.001, 3600),
     "Of each measurement (default 30ms)"},
    {"warmup", "TIME", 0, REAL(warmup_s, units_time, 0, 3600),
     "Before each measurement (default 10ms)"},
    {"repeat", "N", 'r', WHOLE(repeats, units_none, 1, RECORD_REPEATS_MAX),
     "Measurements, contenders in turn (default 7)"},
    {"rate", "OPS", 0, REAL(rate, units_count, 1, 1e9),
     "Operations per second of all threads together, on a fixed schedule; latencies are from the "
     "intended start (default: as fast as they can)"},
    {"pin", "HOW", 0, TEXT(pin, pin_is_good, "none, compact or spread"),
     "Threads to processors: none, compact (neighbours first), spread (cores first)"},
    {"time", "HOW", 0, TEXT(time, time_is_good, "clock or processor"),
     "Rates per second of the clock, or of the processor that a thread had (for a machine with "
     "other "
     "work to do; waiting is then free)"},
    {"quick", NULL, 0, FLAG(KIND_QUICK), "All that can be run, as briefly as possible"},
    {.help = "What becomes of it:"},
    {"json", "FILE", 0, TEXT(json, NULL, NULL), "Write all of it, to be compared later"},
    {"html", "FILE", 'o', TEXT(html, NULL, NULL),
     "Write a page with charts, to be opened in a browser"},
    {"csv", "FILE", 0, TEXT(csv, NULL, NULL), "Write a line for each row and repeat"},
    {"hgrm", "PREFIX", 0, TEXT(hgrm, NULL, NULL),
     "Write latencies in HdrHistogram's format, a file for each row: PREFIX-NAME.hgrm, or "
     "NAME.hgrm in the folder PREFIX/"},
    {"baseline", "FILE", 0, TEXT(baseline, NULL, NULL),
     "Compare with this record (of --json) at the end"},
    {"fail-if-worse", "PERCENT", 0, REAL(worse_most, units_part, 0, 10),
     "Exit with 3 if a row of latchkey regressed since the baseline by more than that"},
    {"list", NULL, 0, FLAG(KIND_LIST), "The same as the command list"},
};

#define OPTIONS (sizeof options / sizeof *options)
#define KEY_FIRST 256 /* of options without a letter: that and their place */

static int
option_key(size_t i)
{
    return options[i].letter != 0 ? options[i].letter : KEY_FIRST + (int)i;
}

static const char option_text[] =
    "latchkey-bench -- latchkey against what people write by hand\v"
    "TIME is in seconds, or with a unit: 500ms, 3s, 2m. Numbers of operations may end with k or M. "
    "Without options it runs the workloads that matter most, in about half a minute. `compare' "
    "puts two records next to each other, the older one first; `report' makes a page of one "
    "(report.html, or where -o says), with a comparison where there is a --baseline.\n\n"
    "Exit status: 0 all is well, 1 an invariant was broken, 2 bad usage or a file that cannot be "
    "read or written, 3 worse than the baseline (with --fail-if-worse), 130 interrupted; what was "
    "measured until then is written, and marked as partial.";

/* A number within the option's bounds, followed by one of its units, or the end of the program with
 * a word why. */
static double
option_number(struct argp_state *state, const struct choice *option, const char *text)
{
    const struct unit *units = option->units;
    char *end;
    double number = strtod(text, &end);

    for (size_t i = 0; end != text && units[i].name != NULL; i++)
        if (strcmp(end, units[i].name) == 0 && number * units[i].factor >= option->least &&
            number * units[i].factor <= option->most)
            return number * units[i].factor;
    argp_error(state, "'%s' is not a number from %g to %g%s", text, option->least / units[0].factor,
               option->most / units[0].factor,
               units == units_time   ? " s (also 500ms, 3s, 2m)"
               : units == units_part ? " %"
                                     : "");
    return 0;
}

static void
option_set(struct argp_state *state, const struct choice *option, const char *text)
{
    struct bench_options *into = &bench_options;
    void *field = (char *)into + option->offset;

    switch (option->kind) {
    case KIND_TEXT:
        if (option->check != NULL && !option->check(text))
            argp_error(state, "'%s' is not %s", text, option->wanted);
        *(const char **)field = text;
        break;
    case KIND_REAL:
        *(double *)field = option_number(state, option, text);
        break;
    case KIND_WHOLE:
        *(uint64_t *)field = (uint64_t)option_number(state, option, text);
        break;
    case KIND_QUICK:
        into->keys = 50000;
        into->repeats = 1;
        into->duration_s = 0.02;
        into->warmup_s = 0.005;
        break;
    case KIND_LIST:
        into->command = BENCH_LIST;
    }
    /* Who says how long or how often means it. */
    if (field == &into->duration_s || field == &into->repeats || field == &into->baseline)
        into->hurried = false;
}

/* As many locks as there are hot keys, at most. */
static void
locks_settle(struct argp_state *state)
{
    struct distribution distribution = {.kind = DISTRIBUTION_UNIFORM};
    const char *text = bench_options.distribution;
    uint64_t *locks = &bench_options.locks_per_commit, most = BENCH_GROUP;

    if (text != NULL && distribution_parse(text, &distribution) &&
        distribution.kind == DISTRIBUTION_HOT && distribution.hot < most)
        most = distribution.hot;
    if (*locks > most)
        argp_error(state, "%u locks per commit are more than %u hot keys", (unsigned)*locks,
                   (unsigned)most);
    if (*locks == 0)
        *locks = most < LOCKS_DEFAULT ? most : LOCKS_DEFAULT;
}

/* A word that is no option: the command, or a file of it. */
static void
word_parse(const char *word, struct argp_state *state)
{
    static const struct {
        const char *name;
        unsigned files;
    } commands[] = {[BENCH_RUN] = {"run", 0},
                    [BENCH_COMPARE] = {"compare", 2},
                    [BENCH_REPORT] = {"report", 1},
                    [BENCH_LIST] = {"list", 0}};

    if (state->arg_num == 0) {
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
            if (strcmp(word, commands[i].name) == 0) {
                bench_options.command = (enum bench_command)i;
                return;
            }
        argp_error(state, "'%s' is not run, compare, report or list", word);
    }
    if (state->arg_num > commands[bench_options.command].files)
        argp_error(state, "'%s' is too much", word);
    bench_options.compared[state->arg_num - 1] = word;
}

static void
options_check(struct argp_state *state)
{
    const struct bench_options *all = &bench_options;

    if (all->command == BENCH_COMPARE && all->compared[1] == NULL)
        argp_error(state, "compare needs two records: the older one, the newer one");
    if (all->command == BENCH_REPORT && all->compared[0] == NULL)
        argp_error(state, "report needs a record (of --json)");
    if (all->command == BENCH_RUN && all->worse_most >= 0 && all->baseline == NULL)
        argp_error(state, "--fail-if-worse needs a --baseline");
    locks_settle(state);
}

static error_t
option_parse(int key, char *argument, struct argp_state *state)
{
    if (key == ARGP_KEY_ARG) {
        word_parse(argument, state);
        return 0;
    }
    if (key == ARGP_KEY_END) {
        options_check(state);
        return 0;
    }
    for (size_t i = 0; i < OPTIONS; i++)
        if (options[i].name != NULL && option_key(i) == key) {
            option_set(state, &options[i], argument);
            return 0;
        }
    return ARGP_ERR_UNKNOWN;
}

void
options_parse(int argc, char **argv)
{
    struct argp_option table[OPTIONS + 1] = {{0}};
    const struct argp parser = {
        .options = table,
        .parser = option_parse,
        .args_doc = "[run]\ncompare OLD.json NEW.json\nreport RECORD.json\nlist",
        .doc = option_text,
    };
    int group = 0;

    for (size_t i = 0; i < OPTIONS; i++) {
        group += options[i].name == NULL;
        table[i] = (struct argp_option){.name = options[i].name,
                                        .key = options[i].name != NULL ? option_key(i) : 0,
                                        .arg = options[i].argument,
                                        .doc = options[i].help,
                                        .group = group};
    }
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, NULL);
    bench_options.processor_time =
        bench_options.time != NULL && strcmp(bench_options.time, "processor") == 0;
    bench_expected.value_size = bench_options.value_size;
}

/* ---- lists ----------------------------------------------------------------------------------- */

bool
list_has(const char *list, const char *name)
{
    size_t size = strlen(name);

    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == '\0'))
            return true;
    }
    return false;
}

size_t
list_numbers(const char *text, unsigned *numbers)
{
    size_t count = 0;
    char *end;

    for (; count < BENCH_THREADS_MAX; text = end + 1) {
        unsigned long number = strtoul(text, &end, 10);
        if (end == text || number < 1 || number > BENCH_THREADS_MAX)
            return 0;
        numbers[count++] = (unsigned)number;
        if (*end != ',')
            return *end == '\0' ? count : 0;
    }
    return 0;
}
