/* SPDX-License-Identifier: MIT
 *
 * A PostgreSQL server of a test's own, which it may stop, kill and fill up: a cluster in a new
 * directory, reached by a Unix socket there. It goes with the test, however that ends.
 *
 * Not for several threads, but for server_ask and server_conninfo.
 */
#ifndef LATCHKEY_TESTS_SERVER_H
#define LATCHKEY_TESTS_SERVER_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct server server;

/* Makes a cluster and starts it. `settings`: options of the program postgres, one after the other,
 * NULL at the end; may be NULL. `parent`: the directory to make it in; NULL: that of temporary
 * files. Ends the program, as skipped, where no server is installed; and as failed, where it does
 * not start. */
server *server_new(const char *const *settings, const char *parent);
/* The same as a copy of `primary`, which is stopped for it, that follows it. */
server *server_new_standby(server *primary, const char *const *settings);
void server_free(server *s);

const char *server_directory(const server *s); /* its socket, and its cluster below `data` */
const char *server_conninfo(const server *s);

/* Stops it by a signal to its first process, and waits for its end: SIGINT (fast), SIGQUIT
 * (immediate), SIGKILL (and all other processes, too). */
void server_stop(server *s, int signal_number);
/* Starts it again, and waits until it answers. */
void server_start(server *s);
/* The same, but with other settings from now on. */
void server_start_with(server *s, const char *const *settings);
/* Sends a signal to all processes of the server: SIGSTOP, SIGCONT. */
void server_signal(const server *s, int signal_number);
/* A standby becomes a primary. */
void server_promote(server *s);

/* Asks statements as the superuser; fails the program where the server refuses. `answer`: room for
 * the first value of the last one; may be NULL. */
void server_ask(const server *s, const char *text, char *answer, size_t room);
long long server_number(const server *s, const char *text);
/* A session that holds the row of an item, until it is let go. */
PGconn *server_row_hold(const server *s, const char *pk, const char *sk);
void server_row_free(PGconn *holder);
/* How many lines of the log have this text. */
unsigned server_log_count(const server *s, const char *text);
/* Prints what the log ends with. */
void server_log_show(const server *s);

#endif
