/* SPDX-License-Identifier: MIT
 *
 * Connections to the server, and the pool of them. A call takes a connection, sends one statement
 * or several at once (a pipeline: one round trip), reads the answers, and gives it back.
 *
 * Every wait is a poll(2) with the end of the call's time, so a server that is silent ends in a
 * status. A connection on which anything was not as it should be is closed when it is given back.
 *
 * A call that writes is in doubt from the moment at which its last message may have gone out, until
 * the server says that it was done, or that it was not: an error by the server's own word is such a
 * thing, also where it is the session's last one; that the connection is lost is not.
 */
#ifndef LKI_PG_CONNECTION_H
#define LKI_PG_CONNECTION_H

#include "postgres/clock.h"
#include "postgres/parameters.h"
#include "postgres/state.h"

_Static_assert(LKI_PG_STATEMENTS <= 64, "a bit of `prepared` for each");

struct lki_pg_connection {
    PGconn *pg;
    lki_pg *store;
    lki_pg_connection *next;
    int64_t until_ms;      /* when the call that has it gives up; lki_pg_clock_ms */
    bool broken;           /* it lost its way */
    bool in_doubt;         /* broken, and what was asked last may have been done */
    bool ended;            /* the server said so; what is asked from then on is not done */
    uint64_t prepared;     /* a bit for each statement */
    int64_t planned_at_ms; /* its plans are not older; lki_pg_clock_ms */
};

/* Waits for a connection's socket, by poll(2). False: the time is over, or it is closed. */
bool lki_pg_socket_wait(lki_pg_connection *c, short events, int64_t until_ms);

/* The call that this thread makes begins (lki_pg_time_begin), and the server's clock is looked at,
 * if it is time: before the call reckons with it. */
void lki_pg_call_begin(lki_pg *store);
/* A connection for the call that this thread makes. LK_OK. LK_UNAVAILABLE, LK_NO_MEMORY. */
lk_status lki_pg_take(lki_pg *store, lki_pg_connection **connection);
void lki_pg_give(lki_pg_connection *connection);
/* Closes all. None is in use. */
void lki_pg_pool_free(lki_pg *store);

/* Sends one statement and waits for its answer, which is to be cleared. Anything but LK_OK: there
 * is none. LK_UNAVAILABLE with c->broken: nobody knows what the server did with it, if
 * c->in_doubt. */
lk_status lki_pg_ask(lki_pg_connection *c, lki_pg_statement statement,
                     const lki_pg_parameters *parameters, PGresult **answer);

/* The same of several, which are done one behind the other; where one fails, none behind it is
 * done. Status and answers: of all, else of the first that failed. A transaction that begins so has
 * limits (LKI_PG_LIMITS) where its session has none. */
typedef struct lki_pg_step {
    lki_pg_statement statement;
    lki_pg_parameters parameters;
    PGresult *answer;
} lki_pg_step;
lk_status lki_pg_ask_many(lki_pg_connection *c, lki_pg_step *steps, int count);
void lki_pg_clear(lki_pg_step *steps, int count);

/* Ends what has begun and did not come to its end, if there is such a thing. */
void lki_pg_rollback(lki_pg_connection *c);

/* Behind a pooler a session's settings are not this handle's: so each transaction has its own. */
bool lki_pg_sets_limits(const lki_pg *store);
/* How long the server is to wait for locks, and for the end of a transaction. */
int64_t lki_pg_limit_ms(const lki_pg *store);

/* A text without parameters that is sent once; and one whose answer says nothing. */
lk_status lki_pg_ask_text(lki_pg_connection *c, const char *text, PGresult **answer);
lk_status lki_pg_do_text(lki_pg_connection *c, const char *text);

/* Each life of the server begins with new connections: each makes the life's number where there is
 * none (LKI_PG_XACT). Where nothing may be written there is none. LK_UNAVAILABLE: c->broken. */
lk_status lki_pg_life_make(lki_pg_connection *c);

/* ---- a call that is one statement ---- */

/* Takes a connection, asks, gives it back; and again, where that does no harm: what only reads
 * whenever the connection broke, and what writes where nothing of it happened. LK_UNKNOWN: a write
 * of which nobody knows. */
lk_status lki_pg_call(lki_pg *store, lki_pg_statement statement, bool reads,
                      const lki_pg_parameters *parameters, PGresult **answer);

/* The same of a statement whose answer says nothing. */
lk_status lki_pg_do(lki_pg *store, lki_pg_statement statement, bool reads,
                    const lki_pg_parameters *parameters);

/* A try was in vain, and nothing of it happened. After a pause: true, once more. False: it was the
 * last one, or the time is over. */
bool lki_pg_try_again(lki_pg *store, int tries);
/* How often a call is tried, and the pause before the next try: random, longer each time. */
enum { LKI_PG_TRIES = 20 };
void lki_pg_pause(int tries);

#endif
