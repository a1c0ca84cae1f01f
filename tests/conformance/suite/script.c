/* SPDX-License-Identifier: MIT
 *
 * Finds the cases of a script, and runs one: its lines one after the other, loops, ways. See
 * scripts/README.md.
 */
#include "script.h"

#include <ctype.h>

/* ---- lines of a script ---- */

/* Line `number`, from 1 on, without what surrounds it. False: there is none. */
typedef struct row {
    const char *text;
    size_t size, indent;
} row;

static bool
row_read(const lkc_script *script, size_t number, row *found)
{
    const char *at = script->text, *end = at + script->size;
    for (size_t i = 1; i < number; i++) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        if (next == NULL)
            return false;
        at = next + 1;
    }
    if (at == end)
        return false;
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    stop = stop != NULL ? stop : end;
    const char *first = at;
    while (first < stop && *first == ' ')
        first++;
    *found = (row){first, (size_t)(stop - first), (size_t)(first - at)};
    return true;
}

static bool
row_is_empty(const row *found)
{
    return found->size == 0 || *found->text == '#';
}

/* The first line behind `number` that does not belong to it: one that is not further to the
 * right. */
static size_t
block_end(const lkc_script *script, size_t number)
{
    row head = {NULL, 0, 0}, found;
    (void)row_read(script, number, &head);
    while (row_read(script, ++number, &found))
        if (!row_is_empty(&found) && found.indent <= head.indent)
            break;
    return number;
}

/* ---- cases ---- */

static const struct {
    const char *name;
    uint64_t capability;
} capabilities[] = {{"get_many", LK_HAS_GET_MANY},
                    {"query", LK_HAS_QUERY},
                    {"locks", LK_HAS_LOCKS},
                    {"queues", LK_HAS_QUEUES},
                    {"descriptors", LK_HAS_QUEUE_FD},
                    {"views", LK_HAS_VIEWS},
                    {"sweep", LK_HAS_SWEEP},
                    {"statistics", LK_HAS_STATISTICS},
                    {"snapshots", LK_IS_SNAPSHOT},
                    {"reopening", LK_IS_DURABLE},
                    {"job_commits", LK_COMMITS_JOBS},
                    {"conditions", LKC_CONDITIONS},
                    {"own_conditions", LK_HAS_CONDITIONS},
                    {"partitions", LK_HAS_PARTITIONS},
                    {"inspect", LK_HAS_QUEUE_INSPECT},
                    {"ranges", LK_QUERIES_RANGES},
                    {"releases", LK_COMMITS_RELEASES},
                    {"absent_locks", LK_LOCKS_ABSENT}};

static lk_bytes
no_variable(void *context, const char *name)
{
    (void)context;
    (void)name;
    return (lk_bytes){NULL, 0};
}

static _Noreturn void
file_fail(const lkc_script *script, size_t number, const char *what)
{
    fprintf(stderr, "%s:%zu: %s\n", script->name, number, what);
    exit(2);
}

/* `case NAME, needs queues locks, lacks query` */
static lkc_case
case_read(const lkc_script *script, size_t number, const row *head)
{
    line l = {.words = NULL};
    const char *wrong = lkc_line_read(&l, head->text, head->size, no_variable, NULL);
    if (wrong != NULL || l.count < 2)
        file_fail(script, number, wrong != NULL ? wrong : "a case has a name");
    lk_bytes name = l.words[1].bytes;
    lkc_case one = {.script = script, .line = number};
    span rest = {l.words + 2, l.count - 2};
    (void)lkc_span_cut(&rest, ',');
    while (rest.count != 0) {
        span part = lkc_span_cut(&rest, ',');
        uint64_t *to =
            part.count != 0 && lkc_word_is(part.words, "lacks") ? &one.lacks : &one.needs;
        for (size_t i = 1; i < part.count; i++) {
            uint64_t found = 0;
            for (size_t j = 0; j < COUNT(capabilities); j++)
                if (lkc_word_is(&part.words[i], capabilities[j].name))
                    found = capabilities[j].capability;
            if (found == 0)
                file_fail(script, number, "there is no such capability");
            *to |= found;
        }
    }
    char *text = calloc(1, name.size + 1);
    if (text == NULL)
        file_fail(script, number, "no memory");
    memcpy(text, name.data, name.size);
    one.name = text;
    lkc_line_free(&l);
    return one;
}

size_t
lkc_script_cases(const lkc_script *script, lkc_case *cases, size_t room)
{
    row head;
    size_t count = 0;
    for (size_t i = 1; row_read(script, i, &head); i++) {
        if (row_is_empty(&head) || head.indent != 0 || strncmp(head.text, "way ", 4) == 0)
            continue;
        if (strncmp(head.text, "case ", 5) != 0)
            file_fail(script, i, head.size == 0 ? "" : "neither a case nor a way");
        if (count == room)
            file_fail(script, i, "too many cases");
        cases[count++] = case_read(script, i, &head);
    }
    return count;
}

/* ---- what goes wrong ---- */

void
lkc_script_fail(const script_run *run, const char *format, ...)
{
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    print_error("%s:%zu: %.*s: %s%s\n", run->script->name, run->number, run->text_size, run->text,
                what, run->by_commits ? " (each write is a commit)" : "");
    _fail(run->script->name, (int)run->number);
    abort();
}

/* ---- variables ---- */

enum { LARGE = 70000 }; /* bytes of data, where the handle takes as much */

static void
variable_set(script_run *run, lk_bytes name, lk_bytes value)
{
    size_t i = 0;
    while (i < VARIABLES_MAX && run->variables[i].value != NULL &&
           !lkc_is(name, run->variables[i].name))
        i++;
    if (i == VARIABLES_MAX || name.size >= NAME_ROOM)
        lkc_script_fail(run, "there are too many variables, or this has too long a name");
    memcpy(run->variables[i].name, name.data, name.size);
    run->variables[i].name[name.size] = '\0';
    free(run->variables[i].value);
    run->variables[i].value = malloc(value.size + 1);
    run->variables[i].size = value.size;
    assert_non_null(run->variables[i].value);
    memcpy(run->variables[i].value, value.data, value.size);
}

/* `$j.sk`: the sk of @j. */
static lk_bytes
field_read(script_run *run, const char *name, const char *dot)
{
    static char number[24];
    const char *field = dot + 1;
    for (size_t i = 0; i < run->name_count; i++) {
        const named *n = &run->names[i];
        if (strlen(n->name) != (size_t)(dot - name) || memcmp(n->name, name, strlen(n->name)) != 0)
            continue;
        if (strcmp(field, "pk") == 0)
            return n->claim.key.pk;
        if (strcmp(field, "sk") == 0)
            return n->claim.key.sk;
        if (strcmp(field, "token") == 0)
            snprintf(number, sizeof number, "%llu", (unsigned long long)n->claim.token);
        else if (strcmp(field, "version") == 0)
            snprintf(number, sizeof number, "%llu", (unsigned long long)n->lock.version);
        else
            break;
        return lk_string(number);
    }
    return (lk_bytes){NULL, 0};
}

static lk_bytes
variable_get(void *context, const char *name)
{
    script_run *run = context;
    const char *dot = strchr(name, '.');
    static char number[24];
    const struct {
        const char *name;
        size_t value;
    } limits[] = {
        {"max_pk", run->r->about.max_pk_size},
        {"max_sk", run->r->about.max_sk_size},
        {"over_pk", run->r->about.max_pk_size + 1},
        {"over_sk", run->r->about.max_sk_size + 1},
        {"large", run->r->about.max_data_size < LARGE ? run->r->about.max_data_size : LARGE}};
    if (dot != NULL)
        return field_read(run, name, dot);
    for (size_t i = 0; i < VARIABLES_MAX && run->variables[i].value != NULL; i++)
        if (strcmp(run->variables[i].name, name) == 0)
            return (lk_bytes){run->variables[i].value, run->variables[i].size};
    for (size_t i = 0; i < COUNT(limits); i++)
        if (strcmp(limits[i].name, name) == 0) {
            snprintf(number, sizeof number, "%zu", limits[i].value);
            return lk_string(number);
        }
    return (lk_bytes){NULL, 0};
}

/* ---- lines that run ---- */

static void lines_run(script_run *run, size_t from, size_t to);

/* `each a b in 1 2 3 4`: what is below runs with 1 and 2, then with 3 and 4. */
static void
each_run(script_run *run, size_t number, size_t to)
{
    /* The line's memory is used for others meanwhile. */
    line own = run->line;
    size_t variables = 1;
    run->line = (line){.words = NULL};
    while (variables < own.count && !lkc_word_is(&own.words[variables], "in"))
        variables++;
    size_t values = variables + 1;
    variables--;
    if (variables == 0 || values >= own.count || (own.count - values) % variables != 0)
        lkc_script_fail(run, "a loop is `each NAME in VALUE...`");
    for (size_t i = values; i < own.count; i += variables) {
        for (size_t j = 0; j < variables; j++)
            variable_set(run, own.words[1 + j].bytes, own.words[i + j].bytes);
        lines_run(run, number + 1, to);
    }
    lkc_line_free(&run->line);
    run->line = own;
}

/* `do NAME`: the lines below `way NAME` run here. */
static void
way_run(script_run *run)
{
    row head;
    char name[2 * NAME_ROOM];
    lk_bytes asked = lkc_word(run, (span){run->line.words, run->line.count}, 1)->bytes;
    int size = snprintf(name, sizeof name, "way %.*s", (int)asked.size, (const char *)asked.data);
    for (size_t i = 1; row_read(run->script, i, &head); i++)
        if (head.indent == 0 && head.size == (size_t)size &&
            memcmp(head.text, name, (size_t)size) == 0) {
            lines_run(run, i + 1, block_end(run->script, i));
            return;
        }
    lkc_script_fail(run, "there is no such way");
}

static void
verb_run(script_run *run)
{
    static const verb *const tables[] = {lkc_item_verbs, lkc_commit_verbs, lkc_queue_verbs};
    span rest = {run->line.words, run->line.count};
    span words = lkc_span_cut(&rest, '>');
    const word *name = lkc_word(run, words, 0);
    words.words++;
    words.count--;
    for (size_t i = 0; i < COUNT(tables); i++)
        for (const verb *v = tables[i]; v->name != NULL; v++)
            if (lkc_word_is(name, v->name)) {
                v->run(run, words, rest);
                lkc_inputs_spoil(run);
                return;
            }
    lkc_script_fail(run, "there is no such word");
}

/* Those from `from` on, before `to`. */
static void
lines_run(script_run *run, size_t from, size_t to)
{
    row found;
    size_t indent = 0;
    for (size_t i = from; i < to && row_read(run->script, i, &found); i++) {
        if (row_is_empty(&found))
            continue;
        run->number = i;
        run->text = found.text;
        run->text_size = (int)found.size;
        const char *wrong = lkc_line_read(&run->line, found.text, found.size, variable_get, run);
        if (wrong != NULL)
            lkc_script_fail(run, "%s", wrong);
        indent = indent == 0 ? found.indent : indent;
        if (found.indent != indent)
            lkc_script_fail(run, "only what is below a loop stands further to the right");
        if (lkc_word_is(run->line.words, "each")) {
            size_t end = block_end(run->script, i);
            each_run(run, i, end);
            i = end - 1;
        } else if (lkc_word_is(run->line.words, "do")) {
            way_run(run);
        } else {
            verb_run(run);
        }
    }
}

static void
run_end(script_run *run)
{
    lkc_line_free(&run->line);
    for (size_t i = 0; i < VARIABLES_MAX; i++)
        free(run->variables[i].value);
    for (size_t i = 0; i < run->name_count; i++) {
        free(run->names[i].pk);
        free(run->names[i].sk);
    }
    free(run->names);
    free(run->inputs);
}

/* Where a commit can do what a call does, the case runs again with commits. */
void
lkc_script_run(rig *r, const lkc_case *asked)
{
    bool commits =
        lkc_can(r, LK_HAS_LOCKS) && (!lkc_can(r, LK_HAS_QUEUES) || lkc_can(r, LK_COMMITS_JOBS));
    for (int turn = 0; turn < (commits ? 2 : 1); turn++) {
        script_run run = {.r = r, .script = asked->script, .by_commits = turn != 0};
        if (turn != 0) {
            lkc_close(r);
            lkc_open(r, false);
        }
        lines_run(&run, asked->line + 1, block_end(asked->script, asked->line));
        run_end(&run);
    }
}
