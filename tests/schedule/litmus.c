/* SPDX-License-Identifier: MIT
 *
 * Runs litmus programs (litmus.h). A choice is which thread runs its next statement, or what the
 * memory asks of schedule_choose; executions are enumerated depth first, by running the program
 * again with the choices so far, the last of them changed.
 */
#include "schedule/litmus.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schedule/memory.h"

enum { CHOICES_MAX = 128, WORDS = 8, REGISTERS = 8, ACQ_REL = __ATOMIC_ACQ_REL };

static struct {
    uint32_t taken[CHOICES_MAX], of[CHOICES_MAX];
    unsigned depth; /* choices of this execution so far */
    unsigned fixed; /* how many of them are given */
    bool raced;
    uint64_t random; /* not 0: choices are drawn, not enumerated */
} search;

/* Each in 8 bytes of its own. */
static uint64_t words[WORDS];
static uint64_t registers[REGISTERS];

static const struct {
    const char *name;
    int order;
} orders[] = {{"relaxed", __ATOMIC_RELAXED},
              {"acquire", __ATOMIC_ACQUIRE},
              {"release", __ATOMIC_RELEASE},
              {"acq_rel", __ATOMIC_ACQ_REL},
              {"seq_cst", __ATOMIC_SEQ_CST}};
enum { ORDERS = sizeof(orders) / sizeof(orders[0]) };

uint32_t
schedule_choose(uint32_t n)
{
    if (search.random != 0) {
        search.random = search.random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        return (uint32_t)(search.random >> 33) % n;
    }
    unsigned at = search.depth++;
    if (at >= CHOICES_MAX)
        abort();
    if (at >= search.fixed)
        search.taken[at] = 0;
    search.of[at] = n;
    return search.taken[at];
}

void
schedule_fail(const char *format, ...)
{
    if (strncmp(format, "data race", 9) != 0) {
        va_list arguments;
        va_start(arguments, format);
        (void)vfprintf(stderr, format, arguments);
        va_end(arguments);
        abort();
    }
    search.raced = true;
}

/* The next execution's choices. False: there is none. */
static bool
search_next(void)
{
    unsigned at = search.depth;
    while (at > 0 && search.taken[at - 1] + 1 == search.of[at - 1])
        at--;
    if (at == 0)
        return false;
    search.taken[at - 1]++;
    search.fixed = at;
    return true;
}

static void
parse_fail(const char *text, const char *why)
{
    (void)fprintf(stderr, "litmus: %s at \"%s\"\n", why, text);
    exit(2);
}

static void
spaces_skip(const char **at)
{
    *at += strspn(*at, " ");
}

static bool
sign_take(const char **at, char sign)
{
    spaces_skip(at);
    bool found = **at == sign;
    *at += found;
    spaces_skip(at);
    return found;
}

static char
letter_take(const char **at, char first, char last)
{
    spaces_skip(at);
    if (**at < first || **at > last)
        parse_fail(*at, "another letter or digit expected");
    char letter = **at;
    ++*at;
    spaces_skip(at);
    return letter;
}

static uint8_t
digit_take(const char **at)
{
    return (uint8_t)(letter_take(at, '0', '9') - '0');
}

static void
order_take(const char **at, litmus_statement *statement)
{
    spaces_skip(at);
    statement->mark = ' ';
    if (strncmp(*at, "plain", 5) == 0 &&
        (statement->kind == LITMUS_STORE || statement->kind == LITMUS_LOAD)) {
        *at += 5;
        statement->kind = statement->kind == LITMUS_STORE ? LITMUS_WRITE : LITMUS_READ;
        statement->order = __ATOMIC_RELAXED;
        return;
    }
    for (unsigned i = 0; i < ORDERS; i++)
        if (strncmp(*at, orders[i].name, strlen(orders[i].name)) == 0) {
            *at += strlen(orders[i].name);
            statement->order = orders[i].order;
            if (**at == '*' || **at == '+')
                statement->mark = *(*at)++;
            return;
        }
    parse_fail(*at, "an order expected");
}

static void
right_side_take(const char **at, litmus_statement *statement)
{
    statement->word = letter_take(at, 's', 'z');
    statement->kind = LITMUS_LOAD;
    if (**at != '\0' && strchr("+-&|", **at) != NULL) {
        statement->kind = LITMUS_RMW;
        statement->op = *(*at)++;
        statement->value = digit_take(at);
    } else if (sign_take(at, ':')) {
        statement->kind = LITMUS_CAS;
        statement->expected = digit_take(at);
        if (!sign_take(at, '>'))
            parse_fail(*at, "> expected");
        statement->value = digit_take(at);
    }
}

static void
statement_take(const char **at, litmus_statement *statement)
{
    memset(statement, 0, sizeof(*statement));
    spaces_skip(at);
    statement->when = ' ';
    if (**at >= 'a' && **at <= 'h' && strncmp(*at, "fence", 5) != 0) {
        char letter = letter_take(at, 'a', 'h');
        if (**at == '?' || **at == '!') {
            statement->guard = letter;
            statement->when = *(*at)++;
            spaces_skip(at);
        } else {
            statement->target = letter;
        }
    }
    if (statement->target == 0 && strncmp(*at, "fence", 5) == 0) {
        *at += 5;
        statement->kind = LITMUS_FENCE;
    } else {
        char left = statement->target != 0 ? statement->target : letter_take(at, 'a', 'z');
        if (!sign_take(at, '='))
            parse_fail(*at, "= expected");
        if (left <= 'h') {
            statement->target = left;
            right_side_take(at, statement);
        } else {
            statement->kind = LITMUS_STORE;
            statement->word = left;
            statement->value = digit_take(at);
        }
    }
    order_take(at, statement);
}

void
litmus_parse(litmus_program *program, const char *const threads[LITMUS_THREADS])
{
    memset(program, 0, sizeof(*program));
    for (unsigned i = 0; i < LITMUS_THREADS && threads[i] != NULL; i++) {
        const char *at = threads[i];
        do {
            if (program->counts[i] == LITMUS_STATEMENTS)
                parse_fail(at, "too many statements");
            statement_take(&at, &program->statements[i][program->counts[i]++]);
        } while (sign_take(&at, ';'));
        if (*at != '\0')
            parse_fail(at, "the end expected");
        program->threads = i + 1;
    }
}

static enum memory_op
op_of(char op)
{
    return op == '+' ? MEMORY_ADD : op == '-' ? MEMORY_SUB : op == '&' ? MEMORY_AND : MEMORY_OR;
}

static void
statement_run(const litmus_statement *statement, unsigned fiber)
{
    if (statement->order < 0 || (statement->when != ' ' && (registers[statement->guard - 'a'] !=
                                                            0) != (statement->when == '?')))
        return;
    uint64_t *word = statement->word != 0 ? &words[statement->word - 's'] : NULL;
    uint64_t found = 0;
    switch (statement->kind) {
    case LITMUS_STORE:
        memory_store(fiber, word, 8, statement->value, statement->order);
        return;
    case LITMUS_WRITE:
        memory_write(fiber, word, 8);
        *word = statement->value;
        return;
    case LITMUS_FENCE:
        memory_fence(fiber, statement->order);
        return;
    case LITMUS_LOAD:
        found = memory_load(fiber, word, 8, statement->order);
        break;
    case LITMUS_READ:
        memory_read(fiber, word, 8);
        found = *word;
        break;
    case LITMUS_RMW:
        found =
            memory_rmw(fiber, word, 8, op_of(statement->op), statement->value, statement->order);
        break;
    case LITMUS_CAS: {
        int failure = statement->order == ACQ_REL            ? __ATOMIC_ACQUIRE
                      : statement->order == __ATOMIC_RELEASE ? __ATOMIC_RELAXED
                                                             : statement->order;
        found = statement->expected;
        (void)memory_cas(fiber, word, 8, &found, statement->value, statement->order, failure);
        break;
    }
    }
    registers[statement->target - 'a'] = found;
}

static void
program_run(const litmus_program *program)
{
    unsigned done[LITMUS_THREADS] = {0};
    memset(words, 0, sizeof(words));
    memset(registers, 0, sizeof(registers));
    /* Fiber 0 has prepared the words. */
    for (unsigned i = 1; i <= program->threads; i++)
        memory_sync(i, 0);
    for (;;) {
        unsigned ready[LITMUS_THREADS];
        uint32_t n = 0;
        for (unsigned i = 0; i < program->threads; i++)
            if (done[i] < program->counts[i])
                ready[n++] = i;
        if (n == 0)
            return;
        unsigned thread = ready[n > 1 ? schedule_choose(n) : 0];
        statement_run(&program->statements[thread][done[thread]++], thread + 1);
    }
}

static bool
outcome_holds(const char *outcome)
{
    const char *at = outcome;
    while (*at != '\0') {
        char name = letter_take(&at, 'a', 'z');
        if (!sign_take(&at, '='))
            parse_fail(at, "= expected");
        uint64_t value = digit_take(&at);
        uint64_t found = name <= 'h' ? registers[name - 'a'] : words[name - 's'];
        if (found != value)
            return false;
    }
    return true;
}

void
litmus_explore(void (*run)(void *context), void *context)
{
    search.fixed = 0;
    do {
        search.depth = 0;
        search.raced = false;
        memory_reset();
        run(context);
    } while (search_next());
}

bool
litmus_raced(void)
{
    return search.raced;
}

void
litmus_sample(void (*run)(void *context), void *context, uint64_t seed)
{
    search.random = seed * 2 + 1;
    search.raced = false;
    memory_reset();
    run(context);
    search.random = 0;
}

struct exploration {
    const litmus_program *program;
    const char *outcome;
    litmus_result *result;
};

static void
exploration_run(void *context)
{
    const struct exploration *exploration = context;
    program_run(exploration->program);
    exploration->result->executions++;
    exploration->result->races += search.raced;
    exploration->result->shown += outcome_holds(exploration->outcome);
}

void
litmus_run(const litmus_program *program, const char *outcome, litmus_result *result)
{
    memset(result, 0, sizeof(*result));
    struct exploration exploration = {.program = program, .outcome = outcome, .result = result};
    litmus_explore(exploration_run, &exploration);
}

bool
litmus_weaken(litmus_statement *statement, bool fully)
{
    if (statement->order <= __ATOMIC_RELAXED || statement->kind == LITMUS_READ ||
        statement->kind == LITMUS_WRITE)
        return false;
    if (statement->kind == LITMUS_FENCE)
        statement->order = -1;
    else if (statement->order != __ATOMIC_SEQ_CST || fully)
        statement->order = __ATOMIC_RELAXED;
    else
        statement->order = statement->kind == LITMUS_STORE  ? __ATOMIC_RELEASE
                           : statement->kind == LITMUS_LOAD ? __ATOMIC_ACQUIRE
                                                            : __ATOMIC_ACQ_REL;
    return true;
}

const char *
litmus_text(const litmus_statement *statement)
{
    static char text[64];
    const char *order = "none";
    for (unsigned i = 0; i < ORDERS; i++)
        if (orders[i].order == statement->order)
            order = orders[i].name;
    switch (statement->kind) {
    case LITMUS_FENCE:
        (void)snprintf(text, sizeof(text), "fence %s", order);
        break;
    case LITMUS_STORE:
    case LITMUS_WRITE:
        (void)snprintf(text, sizeof(text), "%c = %u %s", statement->word, statement->value, order);
        break;
    case LITMUS_RMW:
        (void)snprintf(text, sizeof(text), "%c = %c %c %u %s", statement->target, statement->word,
                       statement->op, statement->value, order);
        break;
    case LITMUS_CAS:
        (void)snprintf(text, sizeof(text), "%c = %c : %u > %u %s", statement->target,
                       statement->word, statement->expected, statement->value, order);
        break;
    case LITMUS_LOAD:
    case LITMUS_READ:
        (void)snprintf(text, sizeof(text), "%c = %c %s", statement->target, statement->word, order);
        break;
    }
    return text;
}
