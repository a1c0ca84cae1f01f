/* SPDX-License-Identifier: MIT
 *
 * What the verbs of scripts share: what a line says of statuses, times, claims and items, and what
 * the handle answered; inputs that are spoiled behind each call, so that who kept a pointer to one
 * is found out.
 */
#include "script.h"

#include <ctype.h>

/* ---- inputs ---- */

void *
lkc_input_room(script_run *run, size_t size)
{
    input one = {malloc(size + 1), size};
    run->inputs = realloc(run->inputs, (run->input_count + 1) * sizeof *run->inputs);
    assert_true(run->inputs != NULL && one.bytes != NULL);
    run->inputs[run->input_count++] = one;
    return one.bytes;
}

lk_bytes
lkc_input(script_run *run, lk_bytes bytes)
{
    void *copy = lkc_input_room(run, bytes.size);
    if (bytes.size != 0)
        memcpy(copy, bytes.data, bytes.size);
    return (lk_bytes){copy, bytes.size};
}

void
lkc_inputs_spoil(script_run *run)
{
    for (size_t i = 0; i < run->input_count; i++) {
        lkc_fill(run->inputs[i].bytes, run->inputs[i].size);
        free(run->inputs[i].bytes);
    }
    run->input_count = 0;
}

const lk_push_options *
lkc_input_push_options(script_run *run, const lk_push_options *options)
{
    if (options->delay_ms == 0 && options->max_depth == 0 && !options->unique)
        return NULL;
    return memcpy(lkc_input_room(run, sizeof *options), options, sizeof *options);
}

lk_item
lkc_input_item(script_run *run, const word *pk, const word *item)
{
    return (lk_item){.key = {lkc_input(run, pk->bytes), lkc_input(run, lkc_word_sk(item))},
                     .data = lkc_input(run, lkc_word_data(item))};
}

/* ---- names ---- */

named *
lkc_name(script_run *run, lk_bytes name, lk_key key)
{
    size_t i = 0;
    while (i < run->name_count && !lkc_is(name, run->names[i].name))
        i++;
    if (i == run->name_count) {
        if (name.size >= NAME_ROOM)
            lkc_script_fail(run, "the name is too long");
        run->names = realloc(run->names, ++run->name_count * sizeof *run->names);
        assert_non_null(run->names);
        run->names[i] = (named){.pk = NULL};
        memcpy(run->names[i].name, name.data, name.size);
    }
    named *n = &run->names[i];
    char *pk = malloc(key.pk.size + 1), *sk = malloc(key.sk.size + 1);
    assert_true(pk != NULL && sk != NULL);
    memcpy(pk, key.pk.data, key.pk.size);
    if (key.sk.size != 0)
        memcpy(sk, key.sk.data, key.sk.size);
    free(n->pk);
    free(n->sk);
    n->pk = pk;
    n->sk = sk;
    n->claim = (lk_claim){.key = {{pk, key.pk.size}, {sk, key.sk.size}}};
    n->lock = (lk_lock){.key = n->claim.key};
    return n;
}

named *
lkc_named(script_run *run, const word *w)
{
    lk_bytes name = lkc_word_name(w);
    for (size_t i = 0; i < run->name_count && w->at == 0; i++)
        if (lkc_is(name, run->names[i].name))
            return &run->names[i];
    lkc_script_fail(run, "nothing has the name %.*s", (int)w->bytes.size,
                    (const char *)w->bytes.data);
}

lk_claim *
lkc_input_claim(script_run *run, span words)
{
    lk_claim *claim = lkc_input_room(run, sizeof *claim);
    const word *first = lkc_word(run, words, 0);
    if (first->at == 0)
        *claim = lkc_named(run, first)->claim;
    else
        *claim = (lk_claim){.key = {first->bytes, lkc_word(run, words, 1)->bytes}};
    claim->key = (lk_key){lkc_input(run, claim->key.pk), lkc_input(run, claim->key.sk)};
    return claim;
}

/* ---- numbers, times ---- */

const word *
lkc_word(script_run *run, span words, size_t i)
{
    if (i >= words.count || words.words[i].sign != '\0')
        lkc_script_fail(run, "a word is missing");
    return &words.words[i];
}

/* All of its bytes are a number. */
static bool
number_read(const char *text, size_t size, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < size; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        *number = 10 * *number + (uint64_t)(text[i] - '0');
    }
    return size != 0;
}

uint64_t
lkc_word_number(script_run *run, const word *w)
{
    uint64_t number;
    if (!number_read(w->bytes.data, w->bytes.size, &number))
        lkc_script_fail(run, "%.*s is no number", (int)w->bytes.size, (const char *)w->bytes.data);
    return number;
}

int64_t
lkc_word_signed(script_run *run, const word *w)
{
    const char *text = w->bytes.data;
    bool negative = w->bytes.size != 0 && *text == '-';
    uint64_t number;
    if (lkc_word_is(w, "most") || lkc_word_is(w, "least"))
        return lkc_word_is(w, "most") ? INT64_MAX : INT64_MIN;
    if (!number_read(text + negative, w->bytes.size - negative, &number))
        lkc_script_fail(run, "%.*s is no number", (int)w->bytes.size, text);
    return negative ? -(int64_t)number : (int64_t)number;
}

static int64_t
time_read(script_run *run, const char *text, size_t size)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    int64_t sign = size != 0 && *text == '-' ? -1 : 1, ms = 1;
    if (size != 0 && (*text == '-' || *text == '+')) {
        text++;
        size--;
    }
    for (size_t i = 0; i < COUNT(units) && size != 0; i++)
        if (text[size - 1] == units[i].unit) {
            ms = units[i].ms;
            size--;
            break;
        }
    uint64_t number;
    if (!number_read(text, size, &number))
        lkc_script_fail(run, "a time is like 500, 30s, 5m, 2h or 7d");
    return sign * ms * (int64_t)number;
}

int64_t
lkc_duration(script_run *run, span words)
{
    int64_t ms = 0;
    (void)lkc_word(run, words, 0);
    for (size_t i = 0; i < words.count; i++) {
        if (lkc_word_is(&words.words[i], "ever"))
            return INT64_MAX;
        ms += time_read(run, words.words[i].bytes.data, words.words[i].bytes.size);
    }
    return ms;
}

int64_t
lkc_moment(script_run *run, span words)
{
    const word *first = lkc_word(run, words, 0);
    const char *text = first->bytes.data;
    if (lkc_word_is(first, "never"))
        return 0;
    int64_t ms = lkc_duration(run, words);
    bool relative = first->bytes.size != 0 && (*text == '+' || *text == '-');
    return relative ? lkc_now(run->r) + ms : ms;
}

/* ---- options ---- */

static void
option_read(script_run *run, const option *o, span part)
{
    span value = {part.words + 1, part.count - 1};
    if (o->kind == OPTION_FLAG)
        *(bool *)o->to = true;
    else if (o->kind == OPTION_NUMBER)
        *(size_t *)o->to = lkc_word_number(run, lkc_word(run, value, 0));
    else if (o->kind == OPTION_DURATION)
        *(int64_t *)o->to = lkc_duration(run, value);
    else if (o->kind == OPTION_MOMENT)
        *(int64_t *)o->to = lkc_moment(run, value);
    else if (o->kind == OPTION_WORDS)
        *(span *)o->to = value;
    else
        *(lk_bytes *)o->to = lkc_input(run, lkc_word(run, part, part.count - 1)->bytes);
}

void
lkc_options_read(script_run *run, span words, const option *options)
{
    while (words.count != 0) {
        span part = lkc_span_cut(&words, ',');
        const word *name = lkc_word(run, part, 0);
        bool known = false;
        for (const option *o = options; o->name != NULL; o++)
            if (lkc_word_is(name, o->name)) {
                option_read(run, o, part);
                known = true;
            }
        if (!known)
            lkc_script_fail(run, "it has no `%.*s`", (int)name->bytes.size,
                            (const char *)name->bytes.data);
    }
}

/* ---- what came out ---- */

static const lk_status statuses[] = {
    LK_OK,        LK_NOT_FOUND, LK_RACE,   LK_EMPTY,       LK_LOST,        LK_LATE,
    LK_TIMED_OUT, LK_CLOSED,    LK_EXISTS, LK_END,         LK_INVALID,     LK_TOO_BIG,
    LK_TOO_SMALL, LK_NO_MEMORY, LK_BUSY,   LK_UNSUPPORTED, LK_UNAVAILABLE, LK_UNKNOWN};

lk_status
lkc_wanted_status(span *wanted)
{
    for (size_t i = 0; i < COUNT(statuses) && wanted->count != 0; i++)
        if (lkc_word_is(wanted->words, lk_status_string(statuses[i]) + strlen("LK_"))) {
            wanted->words++;
            wanted->count--;
            return statuses[i];
        }
    return LK_OK;
}

void
lkc_status_check(script_run *run, lk_status wanted, lk_status got)
{
    if (wanted != got)
        lkc_script_fail(run, "%s, not %s", lk_status_string(got), lk_status_string(wanted));
    if (got != LK_OK && got != LK_LATE && !lkc_is_primed(run->r->result))
        lkc_script_fail(run, "%s, but the result is another one", lk_status_string(got));
}

void
lkc_answer_check(script_run *run, span wanted, lk_status got)
{
    lk_status status = lkc_wanted_status(&wanted);
    if (wanted.count != 0)
        lkc_script_fail(run, "nothing can be expected but a status");
    lkc_status_check(run, status, got);
}

/* At most 40 bytes, as a script could write them. */
static const char *
bytes_show(lk_bytes bytes, char text[192])
{
    size_t at = 0, shown = bytes.size < 40 ? bytes.size : 40;
    for (size_t i = 0; i < shown; i++) {
        unsigned char byte = ((const unsigned char *)bytes.data)[i];
        at += (size_t)sprintf(text + at, byte > ' ' && byte < 127 ? "%c" : "\\x%02x", byte);
    }
    if (shown != bytes.size)
        sprintf(text + at, "... (%zu bytes)", bytes.size);
    text[at] = shown != bytes.size ? text[at] : '\0';
    return text;
}

void
lkc_item_check(script_run *run, const word *wanted, const lk_item *got)
{
    char texts[4][192];
    if (wanted->at == 0)
        return; /* a name alone */
    lk_bytes sk = lkc_word_sk(wanted), data = lkc_word_data(wanted);
    bool same = sk.size != 0 ? lkc_equal(sk, got->key.sk)
                             : got->key.sk.size == 0 || lkc_is_ulid(got->key.sk);
    if (!same || !lkc_equal(data, got->data))
        lkc_script_fail(run, "%s=%s, not %s=%s", bytes_show(got->key.sk, texts[0]),
                        bytes_show(got->data, texts[1]), bytes_show(sk, texts[2]),
                        bytes_show(data, texts[3]));
}
