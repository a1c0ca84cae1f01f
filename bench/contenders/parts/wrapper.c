/* SPDX-License-Identifier: MIT
 *
 * The adapters that wrapper.h names. Their state is the inner handle itself.
 *
 * The slow one sleeps and does not spin: who waits for a database leaves the processor to others,
 * and with more threads than processors spinning would make them wait for each other as well. A
 * thread's timer slack is set to the least, so that 100 us do not become 150.
 */
#include "contenders/parts/wrapper.h"

#include <latchkey/adapter.h>
#include <sys/prctl.h>
#include <time.h>

static _Thread_local uint64_t reads;

uint64_t
wrapper_reads(void)
{
    return reads;
}

static void
delay_wait(void)
{
    static _Thread_local bool precise;
    struct timespec delay = {0, WRAPPER_DELAY_US * 1000};

    if (!precise)
        precise = prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL) == 0;
    while (nanosleep(&delay, &delay) != 0)
        continue;
}

static lk_status
pass_get(void *state, lk_key key, lk_result *result)
{
    return lk_get(state, key, result);
}

static lk_status
count_get(void *state, lk_key key, lk_result *result)
{
    reads++;
    return lk_get(state, key, result);
}

static lk_status
slow_get(void *state, lk_key key, lk_result *result)
{
    reads++;
    delay_wait();
    return lk_get(state, key, result);
}

static lk_status
empty_get(void *state, lk_key key, lk_result *result)
{
    (void)state;
    (void)key;
    (void)result;
    return LK_NOT_FOUND;
}

static lk_status
pass_set(void *state, const lk_item *items, size_t count)
{
    return lk_set(state, items, count);
}

static lk_status
pass_remove(void *state, const lk_key *keys, size_t count)
{
    return lk_delete(state, keys, count);
}

lk_db *
wrapper_open(lk_db *inner, enum wrapper_kind kind)
{
    static lk_status (*const gets[])(void *, lk_key, lk_result *) = {
        [WRAPPER_PASS] = pass_get,
        [WRAPPER_EMPTY] = empty_get,
        [WRAPPER_COUNT] = count_get,
        [WRAPPER_SLOW] = slow_get,
    };
    lk_operations operations = {.size = sizeof operations, .get = gets[kind]};
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_db *db;

    operations.set = pass_set;
    operations.remove = pass_remove;
    if (lk_adapter_read(inner, &adapter) != LK_OK)
        return NULL;
    adapter.name = "bench";
    adapter.capabilities = 0;
    adapter.state = inner;
    return lk_adapter_open(&operations, &adapter, &db) == LK_OK ? db : NULL;
}

/* ---- the database of a cache ----------------------------------------------------------------- */

bool
database_open(struct database *database)
{
    database->db = NULL;
    database->memory = bench_expected.database;
    if (database->memory == NULL && lk_memory_open(NULL, &database->memory) != LK_OK)
        return false;
    database->db =
        wrapper_open(database->memory, bench_expected.slow ? WRAPPER_SLOW : WRAPPER_COUNT);
    if (database->db == NULL)
        database_close(database);
    return database->db != NULL;
}

void
database_close(struct database *database)
{
    lk_close(database->db);
    if (database->memory != bench_expected.database)
        lk_close(database->memory);
}
