/* SPDX-License-Identifier: MIT
 *
 * See lmdb_rig.h.
 */
#include "support/lmdb_rig.h"

#include <unistd.h>

bool
lmdb_folder_make(char *folder)
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, LMDB_PATH_ROOM, "%s/latchkey-lmdb-XXXXXX",
             parent != NULL && strlen(parent) < LMDB_PATH_ROOM - 64 ? parent : "/tmp");
    return mkdtemp(folder) != NULL;
}

const char *
lmdb_path(const char *folder, const char *name)
{
    static _Thread_local char path[LMDB_PATH_ROOM + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

void
lmdb_folder_remove(const char *folder)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "latchkey.lock"};
    for (size_t i = 0; i < KIT_COUNT(names); i++)
        unlink(lmdb_path(folder, names[i]));
    rmdir(folder);
}

void
lmdb_open(lmdb_rig *r)
{
    assert_status(LK_OK, lk_lmdb_open(r->folder, &r->options, &r->k.db));
}

void
lmdb_close(lmdb_rig *r)
{
    lk_close(r->k.db);
    r->k.db = NULL;
}

void
lmdb_reopen(lmdb_rig *r, int64_t closed_ms)
{
    lmdb_close(r);
    atomic_fetch_add(&r->k.now_ms, closed_ms);
    atomic_store(&r->k.monotonic_ms, 77); /* another boot */
    lmdb_open(r);
}

lk_status
lmdb_try_open(const lmdb_rig *r)
{
    lk_db *db = NULL;
    lk_status status = lk_lmdb_open(r->folder, &r->options, &db);
    assert_true((status == LK_OK) == (db != NULL));
    lk_close(db);
    return status;
}

int
lmdb_setup(void **state)
{
    lmdb_rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    assert_true(lmdb_folder_make(r->folder));
    atomic_store(&r->k.now_ms, KIT_START_MS);
    atomic_store(&r->k.monotonic_ms, 5000);
    lk_memory_options clocks = kit_options(&r->k, NULL);
    r->options = (lk_lmdb_options)LK_LMDB_OPTIONS_INIT;
    r->options.map_size = (size_t)256 << 20;
    r->options.sync = LK_LMDB_SYNC_NEVER;
    r->options.realtime_ms = clocks.realtime_ms;
    r->options.monotonic_ms = clocks.monotonic_ms;
    r->options.clock_context = clocks.clock_context;
    r->k.result = lk_result_new();
    assert_non_null(r->k.result);
    lmdb_open(r);
    *state = r;
    return 0;
}

int
lmdb_teardown(void **state)
{
    lmdb_rig *r = *state;
    lk_result_free(r->k.result);
    lk_close(r->k.db);
    lmdb_folder_remove(r->folder);
    free(r);
    return 0;
}
