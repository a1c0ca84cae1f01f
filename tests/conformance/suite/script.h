/* SPDX-License-Identifier: MIT
 *
 * Scripts: examples of calls and of what they answer, which read as the specification.
 * scripts/README.md has the language. script_text.c makes words of a line, script.c runs a case,
 * script_calls.c has what the verbs share, script_items.c, script_commits.c and script_queues.c the
 * verbs.
 */
#ifndef LATCHKEY_CONFORMANCE_SCRIPT_H
#define LATCHKEY_CONFORMANCE_SCRIPT_H

#include "suite.h"

/* ---- words ---- */

/* A word of a line, or a sign between words. */
typedef struct word {
    lk_bytes bytes; /* of a word; escapes, variables and repetitions are done */
    /* Where the first bare = and the last bare @ stand in it; SIZE_MAX: nowhere. */
    size_t equals, at;
    char sign;   /* ',' ';' or '>' (an arrow): no word */
    bool quoted; /* some of it was */
} word;

/* Some words of a line that follow one another. */
typedef struct span {
    const word *words;
    size_t count;
} span;

/* A line's words, and the memory that they lie in. */
typedef struct line {
    word *words;
    size_t count, room;
    char *bytes;
    size_t size, bytes_room;
} line;

/* What a $name stands for; NULL data: nothing. */
typedef lk_bytes (*line_variable)(void *context, const char *name);

/* NULL, or what is wrong with the line. */
const char *lkc_line_read(line *l, const char *text, size_t size, line_variable variable,
                          void *context);
void lkc_line_free(line *l);

/* What stands before the next `sign`; takes that and the sign off `rest`. */
span lkc_span_cut(span *rest, char sign);
/* The parts of an item `SK=DATA@NAME`. Without = the data is the sk. */
lk_bytes lkc_word_sk(const word *w);
lk_bytes lkc_word_data(const word *w);
lk_bytes lkc_word_name(const word *w);
bool lkc_word_is(const word *w, const char *text);

/* ---- a case that runs ---- */

enum { NAME_ROOM = 24, VARIABLES_MAX = 16 };

/* What a @name stands for: the claim of a job, or its key alone (token 0); a lock. */
typedef struct named {
    char name[NAME_ROOM];
    char *pk, *sk; /* of its own memory; the keys point there */
    lk_claim claim;
    lk_lock lock;
} named;

/* A copy of an argument, which is spoiled after the call. */
typedef struct input {
    void *bytes;
    size_t size;
} input;

typedef struct script_run {
    rig *r;
    const lkc_script *script;
    size_t number; /* of the line that runs, from 1 */
    const char *text;
    int text_size;
    line line;
    bool by_commits; /* each write is made as a commit of one */
    struct {
        char name[NAME_ROOM];
        char *value;
        size_t size;
    } variables[VARIABLES_MAX];
    named *names;
    size_t name_count;
    input *inputs;
    size_t input_count;
} script_run;

/* A verb does what stands before the arrow, and sees that it comes out as what stands behind. */
typedef struct verb {
    const char *name;
    void (*run)(script_run *run, span words, span wanted);
} verb;

extern const verb lkc_item_verbs[], lkc_commit_verbs[], lkc_queue_verbs[];

/* Fails the case; says the script, the line, and this. */
_Noreturn void lkc_script_fail(const script_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The status behind the arrow, which it takes off; LK_OK where there is none. */
lk_status lkc_wanted_status(span *wanted);
/* Fails if these differ. If the call failed, the result is as lkc_prime left it. */
void lkc_status_check(script_run *run, lk_status wanted, lk_status got);
/* The same, and that nothing stands behind the arrow but the status. */
void lkc_answer_check(script_run *run, span wanted, lk_status got);
/* Does the item have the sk and data of the word? Without sk: has it none, or a generated one? */
void lkc_item_check(script_run *run, const word *wanted, const lk_item *got);

/* Copies for one call; lkc_inputs_spoil overwrites them behind it. */
lk_bytes lkc_input(script_run *run, lk_bytes bytes);
void *lkc_input_room(script_run *run, size_t size);
void lkc_inputs_spoil(script_run *run);
lk_item lkc_input_item(script_run *run, const word *pk, const word *item);

named *lkc_named(script_run *run, const word *w);
named *lkc_name(script_run *run, lk_bytes name, lk_key key);
/* A claim: `@j`, or `PK SK`: that key, token 0. */
lk_claim *lkc_input_claim(script_run *run, span words);

/* One of `words`, which has to be there. */
const word *lkc_word(script_run *run, span words, size_t i);
uint64_t lkc_word_number(script_run *run, const word *w);
/* `-7`; `most` and `least`: of 64 bits. */
int64_t lkc_word_signed(script_run *run, const word *w);
/* `5m 1`: milliseconds, all words together. */
int64_t lkc_duration(script_run *run, span words);
/* `until +5m`, `until 17`, `until never`: Unix milliseconds. */
int64_t lkc_moment(script_run *run, span words);

/* What may stand behind a comma: its name, what its value is, where that goes. */
typedef struct option {
    const char *name;
    enum {
        OPTION_FLAG,
        OPTION_NUMBER,
        OPTION_DURATION,
        OPTION_MOMENT,
        OPTION_INPUT,
        OPTION_WORDS
    } kind;
    void *to; /* bool, size_t, int64_t, int64_t, lk_bytes (the last word), span */
} option;

/* Sets those that are there; the table ends with a NULL. */
void lkc_options_read(script_run *run, span words, const option *options);

/* What a push needs for options; NULL: none. */
const lk_push_options *lkc_input_push_options(script_run *run, const lk_push_options *options);

/* `put PK ITEM`, `delete PK SK`, `touch PK SK`, `add PK SK DELTA`, `push Q ITEM`, `ack @j`,
 * `release @j`; with `until`, `if`, `delay`, `depth`, `unique`. */
lk_write lkc_input_write(script_run *run, span words);

#endif
