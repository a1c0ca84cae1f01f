/* SPDX-License-Identifier: MIT
 *
 * The conformance suite on LMDB, in a folder of its own that goes with the program. Each time the
 * database is closed its file is looked at with LMDB alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <latchkey/conformance.h>
#include <latchkey/lmdb.h>

#include "support/lmdb_check.h"

static char folder[256];
static uint64_t faults;

static void
files_remove(void)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "latchkey.lock"};
    char path[sizeof folder + 32];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
}

static lk_status
open_lmdb(void *context, const lk_conformance_setup *setup, lk_db **db)
{
    (void)context;
    lk_lmdb_options options = LK_LMDB_OPTIONS_INIT;
    options.map_size = (size_t)1 << 30;
    options.sync = LK_LMDB_SYNC_NEVER; /* what a killed process leaves is stress_lmdb_crash's */
    options.realtime_ms = setup->realtime_ms;
    options.monotonic_ms = setup->monotonic_ms;
    options.clock_context = setup->clock_context;
    options.lock_ttl_ms = setup->lock_ttl_ms;
    options.lock_refresh_ms = setup->lock_refresh_ms;
    if (!setup->reopen)
        files_remove();
    return lk_lmdb_open(folder, &options, db);
}

static void
close_lmdb(void *context, lk_db *db)
{
    (void)context;
    lk_close(db);
    faults += lmdb_check_file(folder);
}

int
main(int argc, char **argv)
{
    const lk_conformance lmdb = {.name = "lmdb", .open = open_lmdb, .close = close_lmdb};
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/latchkey-conformance-XXXXXX",
             parent != NULL && strlen(parent) < 200 ? parent : "/tmp");
    if (mkdtemp(folder) == NULL)
        return 1;
    int status = lk_conformance_main(&lmdb, argc, argv);
    files_remove();
    rmdir(folder);
    return status != 0 || faults != 0;
}
