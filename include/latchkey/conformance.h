/* SPDX-License-Identifier: MIT
 *
 * latchkey/conformance.h: does a database behind a lk_db keep the contract? One suite for every
 * adapter, inside and outside of the library. The test program of an adapter is this:
 *
 *     #include <latchkey/conformance.h>
 *     #include "my_adapter.h"
 *
 *     static lk_status
 *     open_mine(void *context, const lk_conformance_setup *setup, lk_db **db)
 *     {
 *         return my_open("/tmp/mine", setup->realtime_ms, setup->clock_context, db);
 *     }
 *
 *     int
 *     main(int argc, char **argv)
 *     {
 *         const lk_conformance mine = {.name = "mine", .open = open_mine};
 *         return lk_conformance_main(&mine, argc, argv);
 *     }
 *
 * Link with latchkey_conformance, latchkey and cmocka (pkg-config latchkey-conformance, or the
 * CMake target latchkey::conformance).
 *
 * The suite asks the handle what it can do (lk_capabilities). Cases for what the adapter does not
 * claim are shown as skipped; that each call which it lacks is LK_UNSUPPORTED is a case of its own.
 * An adapter has to allow at least 64 bytes of pk, 64 of sk and 4,096 of data.
 *
 * The suite does not sleep and uses no wall clock: it moves time by hand, through the clocks of the
 * setup. While a pull waits in a thread the suite moves them too, so a waiting pull has to look at
 * them now and then (every few milliseconds, say). A pull that does not come back within a minute
 * ends the program.
 */
#ifndef LATCHKEY_CONFORMANCE_H
#define LATCHKEY_CONFORMANCE_H

#include <latchkey/adapter.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How the suite wants the database. */
typedef struct lk_conformance_setup {
    /* The database as the last close left it (asked for only where it is LK_IS_DURABLE); false: an
     * empty one, whatever there was before. */
    bool reopen;
    /* Set by hand; the adapter has to use them, and hand them to lk_adapter_open. */
    lk_clock realtime_ms, monotonic_ms;
    void *clock_context;
    /* Lifetimes of locks: the defaults, 24 h and 1 h. */
    int64_t lock_ttl_ms, lock_refresh_ms;
} lk_conformance_setup;

/* An adapter under test. */
typedef struct lk_conformance {
    const char *name;
    /* Opens the database. One at a time is open; it is called from one thread. */
    lk_status (*open)(void *context, const lk_conformance_setup *setup, lk_db **db);
    /* Closes it, with all that stands behind it. NULL: lk_close. */
    void (*close)(void *context, lk_db *db);
    void *context;
} lk_conformance;

/* Runs the suite; with names as arguments (a `*` at the end stands for any ending) a part of it;
 * "--list" prints the names. An argument that ends in ".script" is a file of cases of one's own, as
 * in tests/conformance/scripts. Prints like cmocka. 0: all passed; 1: some failed; 2: there is no
 * case of that name. LK_TEST_SCALE is the volume of the cases with threads in percent (less where a
 * call is a round trip), LK_TEST_SEED the seed of the random ones. */
int lk_conformance_main(const lk_conformance *adapter, int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
