/* SPDX-License-Identifier: MIT
 *
 * What may end a process, in one of its own. Include cmocka before.
 */
#ifndef LATCHKEY_TESTS_CHILD_H
#define LATCHKEY_TESTS_CHILD_H

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Does `body` come to its end? False: an assertion has stopped it. Anything else fails the test. */
static inline bool
child_ends(void (*body)(void *context), void *context)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        body(context);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
        return false;
    assert_int_equal(status, 0);
    return true;
}

#endif
