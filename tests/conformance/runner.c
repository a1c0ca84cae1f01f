/* SPDX-License-Identifier: MIT
 *
 * Do scripts have teeth? Each of these lines is wrong about the embedded store, or is no line at
 * all: the case has to fail, and to say script, line, and what came instead. Each runs in a child,
 * from a file, as a user's own script does.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory_options.h"

typedef struct example {
    const char *lines, *message; /* NULL: the case passes */
} example;

/* Line 1 is the case, so the first of these is line 2. */
static const example examples[] = {
    {"push q a\n pull q -> a@1\n after 5m 1\n ack @1 -> LATE\n get q a -> NOT_FOUND", NULL},
    {"each n in {08..11} x\n  set a $n=$n\n get a 09 -> 09\n get a x -> x", NULL},
    {"set a x=ab*3\n get a x -> ababab\n set a y=\"a b\\x00\\\"\" # behind it\n get a y -> \"a "
     "b\\0\\\"\"",
     NULL},
    /* A wrong status, on either side. */
    {"get a b -> x", ":2: get a b -> x: LK_NOT_FOUND, not LK_OK"},
    {"set a b=x\n get a b -> NOT_FOUND", ":3: get a b -> NOT_FOUND: LK_OK, not LK_NOT_FOUND"},
    {"push q a\n close q\n push q b", ":4: push q b: LK_CLOSED, not LK_OK"},
    {"ack q a", ":2: ack q a: LK_LOST, not LK_OK"},
    /* A wrong byte. */
    {"set a b=xyz\n get a b -> xyZ", ":3: get a b -> xyZ: xyZ=xyz, not xyZ=xyZ"},
    {"set a b=\"x\\x01\"\n get a b -> \"x\\x02\"", "x\\x01, not"},
    {"push q =x\n pull q -> =y", "=x, not =y"},
    {"push q own=x\n pull q -> =x", "own=x, not =x"},
    {"push q =x\n pull q -> own=x", "=x, not own=x"},
    {"set a b=x, until +5\n get a b -> x, until +6", "it expires -1 ms later"},
    {"push q a, until +5\n pull q -> a, until +4", "it expires at another time"},
    /* A missing result, one too many, the wrong order. */
    {"push q a b\n pull q, max 2 -> a", "2 jobs, not 1"},
    {"push q a\n pull q, max 2 -> a b", "1 jobs, not 2"},
    {"set a 1=x 2=y\n query a -> 1=x", "2 items, not 1"},
    {"set a 1=x\n query a -> 1=x 2=y", "1 items, not 2"},
    {"set a 1=x 2=y\n query a -> 2=y 1=x", "1=x, not 2=y"},
    {"set a 1=x 2=y\n many a 1 2 -> x -", "answer 2 is an item"},
    {"set a 1=x\n many a 1 2 -> x y", "there is no item"},
    /* Claims. */
    {"push q a\n pull q -> a@j\n release @j\n pull q -> a", "it was received 2 times"},
    {"push q a\n pull q -> a, receives 2", "it was received 1 times"},
    {"push q a\n pull q -> a@j\n lost @j", "LK_OK, not LK_LOST"},
    {"push q a\n pull q -> a@j\n ack @j\n held @j", "LK_LOST, not LK_OK"},
    {"push q a\n pull q -> a@j\n ack @k", "nothing has the name @k"},
    {"lock a b @l -> until +23h", "its end is in 86400000 ms"},
    {"lock a b @l\n lock a b @m -> newer @l", "beside"},
    {"lock a b @l -> older", "a lock is `same`, `newer`, and there `until`"},
    /* Figures. */
    {"push q a\n holds q", "ready 1, not 0"},
    {"push q a\n holds q, 1 ready, 1 claimed", "claimed 0, not 1"},
    {"push q a\n stats q -> pushes 2", "pushes 1, not 2"},
    {"push q a\n stats q -> zero", "ready 1, not 0"},
    {"push q a\n purge q -> 2", "1 jobs, not 2"},
    {"push q a\n readable q no", "it is readable"},
    {"readable q yes", "it is not readable"},
    /* Locks. */
    {"lock a b @l\n lock a b @m -> newer @l", "beside"},
    {"lock a b @l\n delete a b\n lock a b @m -> same @l", "beside"},
    {"lock a b @l\n lock a c @m\n commit with @m\n commit with @l -> RACE @l",
     "LK_OK, not LK_RACE"},
    {"lock a b @l\n lock a c @m\n delete a c\n commit with @l @m -> RACE @l 0", "lock 2 is stale"},
    {"lock a b @l\n delete a b\n commit with @l -> RACE @l 7", "its version is 0"},
    /* Conditional writes, numbers, jobs that are looked at. */
    {"set a b=x\n put a b=y, if absent -> EXISTS\n put a b=y, if equal x\n get a b -> y", NULL},
    {"set a b=x\n put a b=y, if present -> EXISTS", "LK_OK, not LK_EXISTS"},
    {"put a b=y, if absnt", "a condition is absent, present or equal"},
    {"add a n 5 -> 5\n add a n -6 -> -2", "-1, not -2"},
    {"add a n 1, until +5 -> 1\n touch a n, until +6\n get a n -> \"\\x01\\0\\0\\0\\0\\0\\0\\0\", "
     "until +5",
     "it expires 1 ms later"},
    {"push q a, delay 5\n inspect q a -> ready", "it is delayed, was received 0 times"},
    {"push q a\n inspect q a -> ready, receives 1", "was received 0 times"},
    {"push q a, delay 5\n inspect q a -> delayed, in 6", "changes in 5 ms"},
    {"push q a\n inspect q a -> NOT_FOUND", "lk_queue_inspect: LK_OK"},
    {"set a b, c d\n partitions -> a", "c is not asked for, or comes again"},
    {"set a b\n partitions -> a c", "1 partitions, not 2"},
    {"set a b=x\n absent a b @l", "a lock, or an item, is there"},
    {"set a 1=x\n commit put a 2=x; put a 1=y, if absent -> EXISTS write 0", "write 1 was refused"},
    {"set a 1=x\n lock a l @l\n commit put a 1=y, if equal z; with @l -> RACE @l", "is stale"},
    {"set a 1=x 2=x 3=x\n query a, from 2, until 3 -> 2=x 3=x", "1 items, not 2"},
    /* What is no line. */
    {"pusch q a", ":2: pusch q a: there is no such word"},
    {"push q a, delya 5", "it has no `delya`"},
    {"pull q, mux 5", "it has no `mux`"},
    {"push q $a", "there is no such variable"},
    {"push q \"a", "a quote has no end"},
    {"push q \"\\q\"", "there is no such escape"},
    {"push q {1-3}", "a range is"},
    {"after 5x", "a time is like"},
    {"get a", "a word is missing"},
    {"set a b -> OKAY", "nothing can be expected but a status"},
    {"stats q -> pushed 1", "a queue has no such figure"},
    {"do it", "there is no such way"},
    {"each a in\n  set a b", "a loop is"},
    {"set a b\n  set a c", "only what is below a loop"},
};

static lk_status
memory_open(void *context, const lk_conformance_setup *setup, lk_db **db)
{
    (void)context;
    lk_memory_options options = memory_options(setup);
    return lk_memory_open(&options, db);
}

/* The exit status of a child that runs the script; what it says. */
static int
script_run(const char *text, char *said, size_t room)
{
    char name[] = "/tmp/latchkey-XXXXXX.script", program[] = "runner";
    int file = mkstemps(name, 7), ends[2];
    if (file < 0 || pipe(ends) != 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
    close(file);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        const lk_conformance memory = {.name = "memory", .open = memory_open};
        char *arguments[] = {program, name, NULL};
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        int status = lk_conformance_main(&memory, 2, arguments);
        fflush(NULL);
        _exit(status);
    }
    close(ends[1]);
    size_t size = 0;
    for (ssize_t got = 1; got > 0 && size + 1 < room; size += (size_t)(got > 0 ? got : 0))
        got = read(ends[0], said + size, room - 1 - size);
    said[size] = '\0';
    close(ends[0]);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        status = -1;
    unlink(name);
    return status == -1 ? -1 : WEXITSTATUS(status);
}

static int
example_judge(const char *text, const char *message, int wanted)
{
    char said[8192];
    int status = script_run(text, said, sizeof said);
    if (status == wanted && (message == NULL || strstr(said, message) != NULL))
        return 0;
    printf("FAILED: ends with %d, without \"%s\":\n%s\n%s", status, message != NULL ? message : "",
           text, said);
    return 1;
}

int
main(void)
{
    int failures = 0;
    char text[1024];
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        const example *e = &examples[i];
        snprintf(text, sizeof text, "case test_example\n %s\n", e->lines);
        failures += example_judge(text, e->message, e->message != NULL);
    }
    /* A case of what the handle cannot do is skipped; a file that is no script ends the program. */
    failures += example_judge("case test_a, lacks queues\n ack q a\n", "SKIPPED", 0);
    failures += example_judge("case test_a, needs quoues\n ack q a\n", "no such capability", 2);
    failures += example_judge("test_a\n ack q a\n", "neither a case nor a way", 2);
    failures += example_judge("case test_a\n do it\n\nway it\n set a b\n get a b -> b\n", NULL, 0);
    printf("%zu examples, %d failures\n", sizeof examples / sizeof *examples + 4, failures);
    return failures != 0;
}
