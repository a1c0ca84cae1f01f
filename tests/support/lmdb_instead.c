/* SPDX-License-Identifier: MIT
 *
 * Tests of the embedded store that any store has to pass, over the adapter for LMDB: programs that
 * are linked with --wrap=lk_memory_open get a database in an empty folder instead
 * (tests/CMakeLists.txt: over_lmdb_*). Views, which the adapter has not, become copies. A commit
 * costs some ten times what it costs the embedded store: these programs do a tenth of the volume.
 */
#include <pthread.h>

#include "support/lmdb_rig.h"

lk_status __wrap_lk_memory_open(const lk_memory_options *given, lk_db **db);
lk_status __wrap_lk_view_at(lk_db *db, const lk_key *key, lk_item *item);

__attribute__((constructor)) static void
volume_reduce(void)
{
    char percent[24];
    const char *text = getenv("LK_TEST_SCALE");
    unsigned long long scale = text != NULL ? strtoull(text, NULL, 10) : 100;
    snprintf(percent, sizeof percent, "%llu", scale >= 10 ? scale / 10 : 1);
    setenv("LK_TEST_SCALE", percent, 1);
}

static size_t
smaller(size_t size, size_t cap)
{
    return size < cap ? size : cap;
}

lk_status
__wrap_lk_memory_open(const lk_memory_options *given, lk_db **db)
{
    char folder[LMDB_PATH_ROOM];
    lk_lmdb_options options = LK_LMDB_OPTIONS_INIT;
    if (db == NULL)
        return LK_INVALID;
    options.map_size = (size_t)1 << 30;
    options.sync = LK_LMDB_SYNC_NEVER;
    if (given != NULL) {
        options.realtime_ms = given->realtime_ms;
        options.monotonic_ms = given->monotonic_ms;
        options.clock_context = given->clock_context;
        options.lock_ttl_ms = given->lock_ttl_ms;
        options.lock_refresh_ms = given->lock_refresh_ms;
        options.max_pk_size = smaller(given->max_pk_size, 240);
        options.max_sk_size = smaller(given->max_sk_size, 256);
        options.max_data_size = given->max_data_size;
    }
    if (!lmdb_folder_make(folder))
        return LK_UNAVAILABLE;
    lk_status status = lk_lmdb_open(folder, &options, db);
    lmdb_folder_remove(folder); /* open files stay until they are closed */
    return status;
}

/* A few copies of a thread's, for as long as a test looks at them; they go with the thread. */
typedef struct copies {
    lk_result *results[8];
    unsigned turn;
} copies;

static pthread_key_t copies_key;
static pthread_once_t copies_once = PTHREAD_ONCE_INIT;
static _Thread_local copies mine;

static void
copies_free(void *pointer)
{
    copies *c = pointer;
    for (size_t i = 0; i < KIT_COUNT(c->results); i++)
        lk_result_free(c->results[i]);
}

static void
copies_begin(void)
{
    if (pthread_key_create(&copies_key, copies_free) != 0)
        abort();
}

lk_status
__wrap_lk_view_at(lk_db *db, const lk_key *key, lk_item *item)
{
    unsigned i = mine.turn++ % KIT_COUNT(mine.results);
    if (db == NULL || item == NULL)
        return LK_INVALID;
    pthread_once(&copies_once, copies_begin);
    if (mine.results[i] == NULL)
        mine.results[i] = lk_result_new();
    if (mine.results[i] == NULL || pthread_setspecific(copies_key, &mine) != 0)
        return LK_NO_MEMORY;
    lk_status status = lk_get_at(db, key, mine.results[i]);
    if (status == LK_OK)
        *item = *lk_result_item(mine.results[i], 0);
    return status;
}
