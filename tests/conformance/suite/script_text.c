/* SPDX-License-Identifier: MIT
 *
 * The words of a line: quotes, escapes, variables, ranges, repetitions. See scripts/README.md.
 */
#include "script.h"

#include <ctype.h>

enum { BRACE_ROOM = 64 };

/* One word of the text while it is read. Its bytes begin at `from` in the line's. */
typedef struct reading {
    line *l;
    const char *at, *end;
    line_variable variable;
    void *context;
    size_t turn; /* which of a range's numbers */
    size_t from, star;
    word w;
} reading;

static void
bytes_append(line *l, const void *bytes, size_t size)
{
    if (l->bytes_room - l->size < size) {
        l->bytes_room = 2 * l->bytes_room + size + 256;
        l->bytes = realloc(l->bytes, l->bytes_room);
        assert_non_null(l->bytes);
    }
    if (size != 0)
        memcpy(l->bytes + l->size, bytes, size);
    l->size += size;
}

/* Until all are read, bytes.size is the word's, and bytes.data nothing: the memory may still
 * move. */
static void
word_append(line *l, word w)
{
    if (l->count == l->room) {
        l->room = 2 * l->room + 16;
        l->words = realloc(l->words, l->room * sizeof *l->words);
        assert_non_null(l->words);
    }
    l->words[l->count++] = w;
}

/* ---- parts of a word ---- */

static const char *
escape_read(reading *t)
{
    static const char letters[] = "0nt\\\"", bytes[] = "\0\n\t\\\"";
    char letter = t->at < t->end ? *t->at++ : ' ';
    const char *found = strchr(letters, letter);
    unsigned byte;
    if (letter == 'x' && t->end - t->at >= 2 && sscanf(t->at, "%2x", &byte) == 1) {
        char one = (char)byte;
        t->at += 2;
        bytes_append(t->l, &one, 1);
        return NULL;
    }
    if (found == NULL)
        return "there is no such escape";
    bytes_append(t->l, bytes + (found - letters), 1);
    return NULL;
}

static const char *
quoted_read(reading *t)
{
    for (t->w.quoted = true; t->at < t->end && *t->at != '"';) {
        char letter = *t->at++;
        const char *wrong = NULL;
        if (letter == '\\')
            wrong = escape_read(t);
        else
            bytes_append(t->l, &letter, 1);
        if (wrong != NULL)
            return wrong;
    }
    if (t->at == t->end)
        return "a quote has no end";
    t->at++;
    return NULL;
}

/* A name behind a $; `dot`: the name of a field. */
static size_t
name_read(const char *at, const char *end, bool dot, char name[BRACE_ROOM])
{
    size_t size = 0;
    while (at + size < end && size + 1 < BRACE_ROOM &&
           (isalnum((unsigned char)at[size]) || at[size] == '_' || (dot && at[size] == '.')))
        size++;
    memcpy(name, at, size);
    name[size] = '\0';
    return size;
}

/* What stands between { and }, with variables done; *behind is behind the }. */
static bool
brace_read(const reading *t, const char *at, const char **behind, char text[BRACE_ROOM])
{
    char name[BRACE_ROOM];
    size_t size = 0;
    for (at++; at < t->end && *at != '}'; at++) {
        lk_bytes value = {at, 1};
        if (*at == '$') {
            at += name_read(at + 1, t->end, false, name);
            value = t->variable(t->context, name);
        }
        if (value.data == NULL || size + value.size >= BRACE_ROOM)
            return false;
        memcpy(text + size, value.data, value.size);
        size += value.size;
    }
    text[size] = '\0';
    *behind = at + 1;
    return at < t->end;
}

/* `$name`, or `${name}`, in which other variables may stand. */
static const char *
variable_read(reading *t)
{
    char name[BRACE_ROOM];
    if (t->at < t->end && *t->at == '{') {
        if (!brace_read(t, t->at, &t->at, name))
            return "a name is ${NAME}";
    } else {
        t->at += name_read(t->at, t->end, true, name);
    }
    lk_bytes value = t->variable(t->context, name);
    if (value.data == NULL)
        return "there is no such variable";
    bytes_append(t->l, value.data, value.size);
    return NULL;
}

/* `{7..12}` at `at`; zeros in front of the first number are kept. */
typedef struct range {
    unsigned long first, last;
    int digits;
} range;

static bool
range_read(const reading *t, const char *at, const char **behind, range *found)
{
    char text[BRACE_ROOM];
    int first = 0, all = 0;
    if (!brace_read(t, at, behind, text) ||
        sscanf(text, "%lu%n..%lu%n", &found->first, &first, &found->last, &all) != 2 ||
        text[all] != '\0')
        return false;
    found->digits = text[0] == '0' ? first : 1;
    return true;
}

/* The number of this turn. */
static const char *
number_read(reading *t)
{
    range found;
    char text[32];
    if (!range_read(t, t->at - 1, &t->at, &found))
        return "a range is {FIRST..LAST}";
    unsigned long number =
        found.first <= found.last ? found.first + t->turn : found.first - t->turn;
    int size = snprintf(text, sizeof text, "%0*lu", found.digits, number);
    bytes_append(t->l, text, (size_t)size);
    return NULL;
}

/* `x*300`: what stands between = and * is there 300 times. */
static void
star_end(reading *t)
{
    if (t->star == SIZE_MAX)
        return;
    bytes_append(t->l, "", 1);
    size_t from = t->from + (t->w.equals == SIZE_MAX ? 0 : t->w.equals + 1);
    size_t size = t->star - from;
    unsigned long long times = strtoull(t->l->bytes + t->star, NULL, 10);
    char *once = malloc(size + 1);
    assert_non_null(once);
    memcpy(once, t->l->bytes + from, size);
    t->l->size = from;
    for (unsigned long long i = 0; i < times; i++)
        bytes_append(t->l, once, size);
    free(once);
    t->star = SIZE_MAX;
}

/* ---- words ---- */

static bool
is_end(const reading *t)
{
    return t->at == t->end || *t->at == ' ' ||
           ((*t->at == ',' || *t->at == ';') && (t->at + 1 == t->end || t->at[1] == ' '));
}

static const char *
word_read(reading *t)
{
    const char *wrong = NULL;
    t->from = t->l->size;
    t->star = SIZE_MAX;
    t->w = (word){.equals = SIZE_MAX, .at = SIZE_MAX};
    while (wrong == NULL && !is_end(t)) {
        char letter = *t->at++;
        if (letter == '"')
            wrong = quoted_read(t);
        else if (letter == '$')
            wrong = variable_read(t);
        else if (letter == '{')
            wrong = number_read(t);
        else if (letter == '*' && t->at < t->end &&
                 (isdigit((unsigned char)*t->at) || *t->at == '$'))
            t->star = t->l->size;
        else {
            if (letter == '@' || letter == '=')
                star_end(t);
            if (letter == '@')
                t->w.at = t->l->size - t->from;
            if (letter == '=' && t->w.equals == SIZE_MAX)
                t->w.equals = t->l->size - t->from;
            bytes_append(t->l, &letter, 1);
        }
    }
    star_end(t);
    t->w.bytes.size = t->l->size - t->from;
    word_append(t->l, t->w);
    return wrong;
}

/* A word with a range is as many words as the range has numbers. */
static const char *
words_read(reading *t)
{
    const char *begin = t->at, *wrong = NULL;
    size_t turns = 1;
    range found;
    for (const char *at = begin; at < t->end && *at != ' ' && *at != '"'; at++)
        if (*at == '{' && (at == begin || at[-1] != '$') && range_read(t, at, &at, &found)) {
            turns =
                (found.first <= found.last ? found.last - found.first : found.first - found.last) +
                1;
            break;
        }
    for (t->turn = 0; wrong == NULL && t->turn < turns; t->turn++) {
        t->at = begin;
        wrong = word_read(t);
    }
    return wrong;
}

const char *
lkc_line_read(line *l, const char *text, size_t size, line_variable variable, void *context)
{
    reading t = {.l = l, .at = text, .end = text + size, .variable = variable, .context = context};
    l->count = l->size = 0;
    while (t.at < t.end && *t.at != '#') {
        const char *wrong = NULL;
        char letter = *t.at;
        if (letter == ' ') {
            t.at++;
        } else if (letter == ',' || letter == ';') {
            word_append(l, (word){.sign = letter});
            t.at++;
        } else if (letter == '-' && t.end - t.at >= 2 && t.at[1] == '>') {
            word_append(l, (word){.sign = '>'});
            t.at += 2;
        } else {
            wrong = words_read(&t);
        }
        if (wrong != NULL)
            return wrong;
    }
    size_t from = 0;
    bytes_append(l, "", 1);
    for (size_t i = 0; i < l->count; i++) {
        l->words[i].bytes.data = l->bytes + from;
        from += l->words[i].bytes.size;
    }
    return NULL;
}

void
lkc_line_free(line *l)
{
    free(l->words);
    free(l->bytes);
    *l = (line){.words = NULL};
}

/* ---- spans, parts ---- */

span
lkc_span_cut(span *rest, char sign)
{
    span part = {rest->words, 0};
    while (part.count < rest->count && rest->words[part.count].sign != sign)
        part.count++;
    size_t taken = part.count + (part.count < rest->count);
    rest->words += taken;
    rest->count -= taken;
    return part;
}

static size_t
data_end(const word *w)
{
    return w->at != SIZE_MAX ? w->at : w->bytes.size;
}

lk_bytes
lkc_word_sk(const word *w)
{
    return (lk_bytes){w->bytes.data, w->equals != SIZE_MAX ? w->equals : data_end(w)};
}

lk_bytes
lkc_word_data(const word *w)
{
    size_t from = w->equals != SIZE_MAX ? w->equals + 1 : 0;
    return (lk_bytes){(const char *)w->bytes.data + from, data_end(w) - from};
}

lk_bytes
lkc_word_name(const word *w)
{
    if (w->at == SIZE_MAX)
        return (lk_bytes){NULL, 0};
    return (lk_bytes){(const char *)w->bytes.data + w->at + 1, w->bytes.size - w->at - 1};
}

bool
lkc_word_is(const word *w, const char *text)
{
    return w->sign == '\0' && !w->quoted && lkc_is(w->bytes, text);
}
