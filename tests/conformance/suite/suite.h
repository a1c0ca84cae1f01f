/* SPDX-License-Identifier: MIT
 *
 * What the areas of the suite share: a database under test with clocks that are set by hand, short
 * ways to write, read, lock, push and pull, threads that note what went wrong. Public headers only:
 * the suite knows no database from inside. Names that other objects see begin with lkc_, since they
 * end up in other people's programs.
 */
#ifndef LATCHKEY_CONFORMANCE_SUITE_H
#define LATCHKEY_CONFORMANCE_SUITE_H

#include <pthread.h>
#include <stdatomic.h>

#include <latchkey/conformance.h>

#include "jobs.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Beside the capabilities of adapter.h: conditional writes, be they put together by the library. */
#define LKC_CONDITIONS ((uint64_t)1 << 63)

enum { TTL_HOURS = 24, REFRESH_HOURS = 1 };

/* ---- a database under test ---- */

typedef struct rig {
    const lk_conformance *adapter;
    lk_db *db;
    lk_result *result;
    lk_adapter about;  /* as lk_adapter_read tells: limits, capabilities */
    uint64_t composed; /* LKC_CONDITIONS, or 0 */
    lk_conformance_setup setup;
    _Atomic(int64_t) now_ms, monotonic_ms;
    atomic_bool ticks; /* the realtime clock moves on by 1 ms each time it is read */
} rig;

/* A text of cases: script.h. */
typedef struct lkc_script {
    const char *name, *text;
    size_t size;
} lkc_script;

/* A case runs where all of `needs` are claimed, and none of `lacks`. */
typedef struct lkc_case {
    const char *name;
    void (*run)(rig *r);
    uint64_t needs, lacks;
    const lkc_script *script; /* if not NULL, it stands there instead, below this line */
    size_t line;
} lkc_case;

typedef struct lkc_area {
    const lkc_case *cases;
    size_t count;
} lkc_area;

extern const lkc_area lkc_handle_area, lkc_items_area, lkc_items_bad_area, lkc_many_area,
    lkc_query_area, lkc_query_threads_area, lkc_stream_area, lkc_view_area, lkc_locks_area,
    lkc_set_atomic_area, lkc_threads_area, lkc_queue_bad_area, lkc_wait_area,
    lkc_queue_threads_area, lkc_durable_area, lkc_strangers_area, lkc_figures_area, lkc_errno_area,
    lkc_job_results_area, lkc_conditions_threads_area, lkc_whole_area;

#define CASE(name, needs)                \
    {                                    \
#name, name, (needs), 0, NULL, 0 \
    }
#define CASE_WITHOUT(name, lacks)        \
    {                                    \
#name, name, 0, (lacks), NULL, 0 \
    }
/* Those that belong to the suite: made of scripts/ when it is built. */
extern const lkc_script lkc_scripts[];
extern const size_t lkc_script_count;
/* How many cases a script has; puts them into `cases`. A script that cannot be read ends the
 * program. */
size_t lkc_script_cases(const lkc_script *script, lkc_case *cases, size_t room);
void lkc_script_run(rig *r, const lkc_case *asked);

#define AREA(area, cases) const lkc_area area = {cases, COUNT(cases)}

/* Opens; fails the case where that fails. */
void lkc_open(rig *r, bool reopen);
void lkc_close(rig *r);
/* Closes and opens what was there. */
void lkc_reopen(rig *r);
/* Moves both clocks. */
void lkc_advance(rig *r, int64_t ms);
int64_t lkc_now(rig *r);
bool lkc_can(const rig *r, uint64_t capabilities);

/* ---- asserts ---- */

/* `key` holds exactly `data`; NULL: it is absent. */
#define assert_holds(r, key, data) lkc_assert_holds((r), (key), (data), __FILE__, __LINE__)
void lkc_assert_holds(rig *r, lk_key key, const char *data, const char *file, int line);
/* Puts something into a result; does it hold that still? */
void lkc_prime(lk_result *result);
bool lkc_is_primed(const lk_result *result);

/* ---- items ---- */

lk_bytes lkc_bytes(const void *data, size_t size);
lk_key lkc_key(lk_bytes pk, lk_bytes sk);
lk_item lkc_item(const char *pk, const char *sk, const char *data);
void lkc_set(rig *r, const char *pk, const char *sk, const char *data);
void lkc_set_until(rig *r, const char *pk, const char *sk, const char *data, int64_t expires_at_ms);
void lkc_delete(rig *r, const char *pk, const char *sk);
lk_lock lkc_lock(rig *r, lk_key key);
/* Data that is a number; -1: it is none. */
lk_item lkc_number_item(lk_key key, const int64_t *number);
int64_t lkc_number(const lk_item *item);

/* ---- randomness, volume ---- */

uint64_t lkc_seed(void);
uint64_t lkc_random(uint64_t *state);
/* `count` in percent of LK_TEST_SCALE; at least 1. */
uint64_t lkc_scaled(uint64_t count);

/* ---- threads ---- */

enum { CROWD_MAX = 8 };

typedef struct member {
    rig *r;
    size_t index;
    uint64_t random;
    lk_result *result;
    void *context;
} member;

/* `count` threads run `body` from a common start. Fails the case when all have ended, if one of
 * them noted something. */
void lkc_crowd(rig *r, size_t count, void (*body)(member *m), void *context);
/* A thread's assertion, with two numbers that tell more. cmocka's are for the main thread. */
#define EXPECT(condition, a, b) \
    ((condition) ? (void)0 : lkc_note(__FILE__, __LINE__, #condition, (int64_t)(a), (int64_t)(b)))
#define EXPECT_OK(call) EXPECT((call) == LK_OK, 0, 0)
void lkc_note(const char *file, int line, const char *what, int64_t a, int64_t b);
bool lkc_is_well(void);
/* Does a writer go on, that has made `writes`, beside readers that have made `reads`? Until there
 * are `wanted` of both, so that the two meet whichever is faster. */
bool lkc_goes_on(uint64_t writes, const atomic_ullong *reads, uint64_t wanted);

/* A thread that waits in a pull. */
typedef struct waiter {
    rig *r;
    pthread_t thread;
    lk_pull_options options;
    lk_result *result;
    lk_status status;
    atomic_bool started, done;
} waiter;

void lkc_wait_begin(waiter *w, rig *r, const char *pk, int64_t wait_ms);
/* Waits for its end, and moves both clocks by `step_ms` again and again meanwhile. A thread that
 * does not come back ends the program. */
lk_status lkc_wait_end(waiter *w, int64_t step_ms);
/* `done` comes to be true, soon. */
void lkc_await(rig *r, const atomic_bool *done, int64_t step_ms, const char *what);

#endif
