/* SPDX-License-Identifier: MIT
 *
 * Templates. See template.h.
 */
#include "page/template.h"

#include <string.h>

#define NAME_MOST 64

/* The values that names are looked for in, the innermost first. */
struct scope {
    const cJSON *value;
    const struct scope *outer;
};

/* One tag: what stands between its braces. */
struct tag {
    char kind; /* one of # ^ / &, or 0 */
    char name[NAME_MOST];
    const char *begin, *end; /* of the tag itself, braces included */
};

/* The next tag from a place on. False: there is none, or `bad` says that it has no end. */
static bool
tag_next(const char *at, const char *end, struct tag *tag, bool *bad)
{
    const char *open = at < end ? strstr(at, "{{") : NULL;

    if (open == NULL || open >= end)
        return false;
    const char *name = open + 2, *close = strstr(name, "}}");
    tag->kind = *name != '\0' && strchr("#^/&", *name) != NULL ? *name++ : '\0';
    if (close == NULL || close >= end || close <= name || close - name >= NAME_MOST) {
        *bad = true;
        return false;
    }
    memcpy(tag->name, name, (size_t)(close - name));
    tag->name[close - name] = '\0';
    tag->begin = open;
    tag->end = close + 2;
    return true;
}

/* The tag that ends a section. */
static bool
section_end(const struct tag *section, const char *end, struct tag *close, bool *bad)
{
    const char *at = section->end;

    for (unsigned depth = 1; tag_next(at, end, close, bad); at = close->end) {
        if (strcmp(close->name, section->name) != 0)
            continue;
        depth += close->kind == '#' || close->kind == '^';
        depth -= close->kind == '/';
        if (depth == 0)
            return true;
    }
    *bad = true;
    return false;
}

static const cJSON *
name_find(const struct scope *scope, const char *name)
{
    char first[NAME_MOST];
    const char *dot = strchr(name, '.');
    size_t size = dot != NULL ? (size_t)(dot - name) : strlen(name);

    memcpy(first, name, size);
    first[size] = '\0';
    for (; scope != NULL; scope = scope->outer) {
        const cJSON *found = cJSON_GetObjectItemCaseSensitive(scope->value, first);
        if (found == NULL)
            continue;
        struct scope inner = {found, NULL};
        return dot != NULL ? name_find(&inner, dot + 1) : found;
    }
    return NULL;
}

static bool
value_holds(const cJSON *value)
{
    if (value == NULL || cJSON_IsNull(value) || cJSON_IsFalse(value))
        return false;
    if (cJSON_IsString(value))
        return value->valuestring[0] != '\0';
    if (cJSON_IsRaw(value))
        return strcmp(value->valuestring, "0") != 0;
    if (cJSON_IsNumber(value))
        return value->valuedouble < 0 || value->valuedouble > 0;
    return !cJSON_IsArray(value) || value->child != NULL;
}

static void
text_escape(FILE *out, const char *text)
{
    static const char from[] = "&<>\"'";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};

    for (; *text != '\0'; text++) {
        const char *special = strchr(from, *text);
        if (special != NULL)
            fputs(to[special - from], out);
        else /* control characters are not allowed in HTML */
            fputc((unsigned char)*text < ' ' && *text != '\n' ? ' ' : *text, out);
    }
}

static void
value_print(FILE *out, const cJSON *value, bool raw)
{
    if (cJSON_IsNumber(value))
        fprintf(out, "%.15g", value->valuedouble);
    else if (cJSON_IsRaw(value) || (raw && cJSON_IsString(value)))
        fputs(value->valuestring, out);
    else if (cJSON_IsString(value))
        text_escape(out, value->valuestring);
}

static bool fill(FILE *out, const char *at, const char *end, const struct scope *scope);

static bool
section_fill(FILE *out, const struct tag *open, const struct tag *close, const struct scope *scope)
{
    const cJSON *value = name_find(scope, open->name);
    bool good = true;

    if (value_holds(value) != (open->kind == '#'))
        return true;
    if (open->kind == '#' && cJSON_IsArray(value)) {
        for (const cJSON *one = value->child; one != NULL && good; one = one->next) {
            struct scope inner = {one, scope};
            good = fill(out, open->end, close->begin, &inner);
        }
        return good;
    }
    struct scope inner = {value, scope};
    return fill(out, open->end, close->begin, cJSON_IsObject(value) ? &inner : scope);
}

/* As deep as sections stand in each other. */
static bool
fill(FILE *out, const char *at, const char *end, const struct scope *scope)
{
    struct tag tag, close;
    bool bad = false;

    while (tag_next(at, end, &tag, &bad)) {
        fwrite(at, 1, (size_t)(tag.begin - at), out);
        at = tag.end;
        if (tag.kind == '\0' || tag.kind == '&') {
            value_print(out, name_find(scope, tag.name), tag.kind == '&');
            continue;
        }
        if (tag.kind == '/' || !section_end(&tag, end, &close, &bad) ||
            !section_fill(out, &tag, &close, scope))
            return false;
        at = close.end;
    }
    fwrite(at, 1, (size_t)(end - at), out);
    return !bad;
}

bool
template_fill(FILE *out, const char *text, const cJSON *value)
{
    struct scope scope = {value, NULL};

    return fill(out, text, text + strlen(text), &scope);
}
