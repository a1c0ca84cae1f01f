/* SPDX-License-Identifier: MIT
 *
 * A proxy between libpq and the server: a thread that hands on whole messages of the protocol, from
 * Unix socket to Unix socket, and does harm at one of them, once.
 *
 * A conversation is counted from proxy_watch on. It falls into exchanges: what the client sends up
 * to a Sync, and what the server answers up to ReadyForQuery.
 */
#ifndef LATCHKEY_TESTS_PROXY_H
#define LATCHKEY_TESTS_PROXY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct proxy proxy;

typedef enum proxy_side { PROXY_CLIENT, PROXY_SERVER } proxy_side; /* whose message it is */

typedef enum proxy_harm {
    PROXY_NONE,
    PROXY_CUT,       /* the connection breaks before the message, for both */
    PROXY_TRUNCATE,  /* in the middle of it */
    PROXY_TERMINATE, /* the server ends the session before it, and says so */
    PROXY_STALL,     /* nothing goes on, from the message on, until the client hangs up */
    PROXY_GARBAGE,   /* it comes as something else */
    PROXY_HOLD       /* it comes when the server has said something by itself */
} proxy_harm;

enum { PROXY_MESSAGES = 4096 };

/* What was said since proxy_watch. */
typedef struct proxy_message {
    char type;    /* as in the protocol; '0': a start */
    char tag;     /* the first letter: of CommandComplete its tag, of Bind its statement */
    int exchange; /* counted by its own side, from 0 */
} proxy_message;

typedef struct proxy_talk {
    proxy_message said[2][PROXY_MESSAGES];
    int count[2];
    int connects; /* connections that were made */
    bool harmed;  /* the harm was done; what the client had sent behind it is noted, too */
} proxy_talk;

/* Between the server of `conninfo`, which has its socket in `directory`, and who connects to
 * proxy_conninfo. */
proxy *proxy_new(const char *conninfo, const char *directory);
void proxy_free(proxy *p);
const char *proxy_conninfo(const proxy *p);

/* Counts anew. `harm` is done at message `at` (from 0) of `side`. */
void proxy_watch(proxy *p, proxy_harm harm, proxy_side side, int at);
/* Waits until the server has nothing more to do with connections that were harmed; then what was
 * said. */
void proxy_settle(proxy *p, proxy_talk *talk);
/* Connections that the client has open, once there are no more than `most`, or after a while. */
int proxy_open(proxy *p, int most);
/* Breaks all of them. */
void proxy_drop(proxy *p);
/* New connections find nobody: refused (true), or taken again. */
void proxy_refuse(proxy *p, bool refuse);
/* From now on the server says that it has this version; NULL: the truth. */
void proxy_fake_version(proxy *p, const char *version);

#endif
