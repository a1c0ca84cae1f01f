/* SPDX-License-Identifier: MIT
 *
 * Handles: made by adapters inside and outside of the library, closed, and held by wrappers.
 *
 * Closing takes the operations out of the handle, so a wrapper that still holds it meets NULL
 * operations and nothing that was freed. After a fork the child's handler does the same to all
 * handles, since the other threads of the parent may have been anywhere in them.
 *
 * Invariants   I-handle1: an open handle is in the list, a closed one is not. I-handle2: a handle
 *              is freed when its last holder lets go; the owner is one until lk_close.
 * Progress     One latch of the process, held for a walk over the open handles at the most.
 */
#include "adapter/handle.h"

#include <errno.h>
#include <pthread.h>

#include "adapter/pass.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"

static struct {
    pthread_mutex_t latch;
    lk_db *open; /* [latch] */
} handles = {PTHREAD_MUTEX_INITIALIZER, NULL};

static pthread_once_t handles_once = PTHREAD_ONCE_INIT;

/* ---- fork ---- */

static void
fork_prepare(void)
{
    pthread_mutex_lock(&handles.latch);
}

static void
fork_parent(void)
{
    pthread_mutex_unlock(&handles.latch);
}

static void
handle_forget(lk_db *db)
{
    for (int kind = 0; kind < LKI_KNOWN; kind++)
        db->known[kind] = (struct lki_known){LKI_NO_DOMAIN, NULL};
}

static void
handle_disarm(lk_db *db)
{
    memset(&db->operations, 0, sizeof db->operations);
    db->state = NULL;
    handle_forget(db);
    db->capabilities = 0;
    db->realtime_ms = lki_realtime_ms;
    db->monotonic_ms = lki_monotonic_ms;
    db->clock_context = NULL;
}

static void
fork_child(void)
{
    for (lk_db *db = handles.open; db != NULL; db = db->next) {
        handle_disarm(db);
        db->forked = true;
    }
    handles.open = NULL;
    pthread_mutex_unlock(&handles.latch);
}

static void
handles_begin(void)
{
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* ---- what lk_adapter_open checks ---- */

#define ALL_CAPABILITIES                                                                       \
    (LK_HAS_GET_MANY | LK_HAS_QUERY | LK_HAS_LOCKS | LK_HAS_QUEUES | LK_HAS_QUEUE_FD |         \
     LK_HAS_VIEWS | LK_HAS_SWEEP | LK_HAS_STATISTICS | LK_HAS_CONDITIONS | LK_HAS_PARTITIONS | \
     LK_HAS_QUEUE_INSPECT | LK_IS_SNAPSHOT | LK_IS_DURABLE | LK_COMMITS_JOBS |                 \
     LK_CHECKS_DUPLICATES | LK_QUERIES_RANGES | LK_COMMITS_RELEASES | LK_LOCKS_ABSENT)

/* Are all operations of a group there if it is claimed, and none if not? */
static bool
group_is_whole(uint64_t capabilities, uint64_t bit, int given, int all)
{
    return given == ((capabilities & bit) != 0 ? all : 0);
}

static bool
operations_are_whole(const lk_operations *o, uint64_t capabilities)
{
    uint64_t c = capabilities;
    int queues = (o->push != NULL) + (o->pull != NULL) + (o->acknowledge != NULL) +
                 (o->release != NULL) + (o->extend != NULL) + (o->queue_stats != NULL) +
                 (o->queue_purge != NULL) + (o->queue_close != NULL);
    bool get = o->get != NULL || o->get_at != NULL, view = o->view != NULL || o->view_at != NULL;
    bool get_lock = o->get_lock != NULL || o->get_lock_at != NULL;
    int views = (o->read_begin != NULL) + (o->read_end != NULL) + view;
    int conditions = (o->put_if != NULL) + (o->touch != NULL) + (o->add != NULL);
    bool locks_extra = o->get_locked != NULL || o->set_atomic != NULL;
    return get && o->set != NULL && o->remove != NULL &&
           group_is_whole(c, LK_HAS_GET_MANY, o->get_many != NULL, 1) &&
           group_is_whole(c, LK_HAS_QUERY, o->query != NULL, 1) &&
           group_is_whole(c, LK_HAS_LOCKS, get_lock + (o->commit != NULL), 2) &&
           (!locks_extra || (c & LK_HAS_LOCKS) != 0) &&
           (o->get_locked != NULL || (c & LK_LOCKS_ABSENT) == 0) &&
           group_is_whole(c, LK_HAS_QUEUES, queues, 8) &&
           group_is_whole(c, LK_HAS_QUEUE_FD, o->queue_fd != NULL, 1) &&
           group_is_whole(c, LK_HAS_VIEWS, views, 3) &&
           group_is_whole(c, LK_HAS_SWEEP, o->sweep != NULL, 1) &&
           group_is_whole(c, LK_HAS_STATISTICS, o->statistics != NULL, 1) &&
           group_is_whole(c, LK_HAS_CONDITIONS, conditions, 3) &&
           (o->count == NULL || (c & LK_HAS_QUERY) != 0) &&
           group_is_whole(c, LK_HAS_PARTITIONS, o->list_partitions != NULL, 1) &&
           group_is_whole(c, LK_HAS_QUEUE_INSPECT, o->queue_inspect != NULL, 1);
}

/* Capabilities that go with others only. */
static const struct {
    uint64_t bit, needs;
} needs[] = {
    {LK_HAS_QUEUE_FD, LK_HAS_QUEUES},      {LK_COMMITS_JOBS, LK_HAS_QUEUES | LK_HAS_LOCKS},
    {LK_HAS_QUEUE_INSPECT, LK_HAS_QUEUES}, {LK_COMMITS_RELEASES, LK_COMMITS_JOBS},
    {LK_QUERIES_RANGES, LK_HAS_QUERY},     {LK_LOCKS_ABSENT, LK_HAS_LOCKS},
};

uint64_t
lki_capabilities_whole(uint64_t capabilities)
{
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if ((capabilities & needs[i].needs) != needs[i].needs)
            capabilities &= ~needs[i].bit;
    return capabilities & ALL_CAPABILITIES;
}

/* Copies a table into one as this library knows it. False: no version has such a size, or the table
 * has an operation that this library does not know. */
static bool
operations_copy(const lk_operations *from, lk_operations *to, uint64_t *capabilities)
{
    const unsigned char *bytes = (const unsigned char *)from;
    size_t size = from->size;
    if (!lki_operations_size_is_known(size))
        return false;
    for (size_t i = sizeof *to; i < size; i++)
        if (bytes[i] != 0)
            return false;
    memset(to, 0, sizeof *to);
    memcpy(to, from, size < sizeof *to ? size : sizeof *to);
    *capabilities &= ~lki_pass_give_way(to);
    return true;
}

static lk_status
handle_fill(lk_db *db, const lk_operations *operations, const lk_adapter *adapter)
{
    if (operations == NULL || adapter == NULL || adapter->size != sizeof *adapter)
        return LK_INVALID;
    db->capabilities = adapter->capabilities;
    if (!operations_copy(operations, &db->operations, &db->capabilities) ||
        lki_capabilities_whole(db->capabilities) != db->capabilities ||
        !operations_are_whole(&db->operations, db->capabilities))
        return LK_INVALID;
    db->state = adapter->state;
    db->name = adapter->name != NULL ? adapter->name : "";
    db->realtime_ms = adapter->realtime_ms != NULL ? adapter->realtime_ms : lki_realtime_ms;
    db->monotonic_ms = adapter->monotonic_ms != NULL ? adapter->monotonic_ms : lki_monotonic_ms;
    db->clock_context = adapter->clock_context;
    lk_status status =
        lki_limit_take(adapter->max_pk_size, LKI_PK_SIZE, LKI_KEY_SIZE_CAP, &db->max_pk_size);
    if (status == LK_OK)
        status =
            lki_limit_take(adapter->max_sk_size, LKI_SK_SIZE, LKI_KEY_SIZE_CAP, &db->max_sk_size);
    if (status == LK_OK)
        status = lki_limit_take(adapter->max_data_size, LKI_DATA_SIZE, LKI_DATA_SIZE_CAP,
                                &db->max_data_size);
    return status;
}

/* ---- life ---- */

lk_status
lk_adapter_open(const lk_operations *operations, const lk_adapter *adapter, lk_db **opened)
{
    if (opened == NULL)
        return LK_INVALID;
    lk_db *db = lki_alloc_zeroed(NULL, sizeof *db);
    if (db == NULL)
        return LK_NO_MEMORY;
    lk_status status = handle_fill(db, operations, adapter);
    if (status != LK_OK) {
        lki_free(NULL, db, sizeof *db);
        return status;
    }
    db->holders = 1;
    handle_forget(db);
    pthread_once(&handles_once, handles_begin);
    pthread_mutex_lock(&handles.latch);
    db->next = handles.open;
    handles.open = db;
    pthread_mutex_unlock(&handles.latch);
    *opened = db;
    return LK_OK;
}

static bool
handle_is_open(const lk_db *db)
{
    return db != NULL && db->operations.set != NULL; /* every adapter has it */
}

void
lk_close(lk_db *db)
{
    if (!handle_is_open(db))
        return; /* closed before, and held; or of a fork's parent, whose things stay as they are */
    pthread_mutex_lock(&handles.latch);
    lk_db **link = &handles.open;
    while (*link != db) {
        LK_ASSERT(*link != NULL); /* I-handle1 */
        link = &(*link)->next;
    }
    *link = db->next;
    for (lk_db *other = handles.open; other != NULL; other = other->next)
        if (other->inner == db)
            handle_forget(other);
    pthread_mutex_unlock(&handles.latch);
    void (*close)(void *state) = db->operations.close;
    void *state = db->state;
    int saved = errno; /* also where an adapter's close forgets it */
    handle_disarm(db);
    if (close != NULL)
        close(state);
    lk_adapter_release(db);
    errno = saved;
}

lk_status
lk_adapter_hold(lk_db *db)
{
    if (!handle_is_open(db))
        return LK_INVALID;
    pthread_mutex_lock(&handles.latch);
    db->holders++;
    pthread_mutex_unlock(&handles.latch);
    return LK_OK;
}

void
lk_adapter_release(lk_db *db)
{
    if (db == NULL || db->forked)
        return;
    pthread_mutex_lock(&handles.latch);
    LK_ASSERT(db->holders != 0); /* I-handle2 */
    bool last = --db->holders == 0;
    pthread_mutex_unlock(&handles.latch);
    if (last)
        lki_free(NULL, db, sizeof *db);
}

void
lki_handle_know(lk_db *db, enum lki_known_kind kind, void *state, uint64_t domain, lk_db *inner)
{
    if (db->max_pk_size < LKI_SHORT || db->max_sk_size < LKI_SHORT)
        return;
    pthread_mutex_lock(&handles.latch);
    LK_ASSERT(db->holders == 1 && domain != LKI_NO_DOMAIN);
    db->known[kind] = (struct lki_known){domain, state};
    db->inner = inner;
    pthread_mutex_unlock(&handles.latch);
}

/* ---- what a handle tells ---- */

lk_status
lki_db_lacks(const lk_db *db)
{
    return handle_is_open(db) ? LK_UNSUPPORTED : LK_INVALID;
}

uint64_t
lk_capabilities(const lk_db *db)
{
    return db == NULL ? 0 : db->capabilities;
}

lk_status
lk_adapter_read(const lk_db *db, lk_adapter *adapter)
{
    if (!handle_is_open(db) || adapter == NULL || adapter->size != sizeof *adapter)
        return LK_INVALID;
    *adapter = (lk_adapter){.size = sizeof *adapter,
                            .name = db->name,
                            .capabilities = db->capabilities,
                            .max_pk_size = db->max_pk_size,
                            .max_sk_size = db->max_sk_size,
                            .max_data_size = db->max_data_size,
                            .realtime_ms = db->realtime_ms,
                            .monotonic_ms = db->monotonic_ms,
                            .clock_context = db->clock_context};
    return LK_OK;
}

int64_t
lk_now_ms(const lk_db *db)
{
    return db == NULL ? lki_realtime_ms(NULL) : db->realtime_ms(db->clock_context);
}

int64_t
lk_monotonic_ms(const lk_db *db)
{
    return db == NULL ? lki_monotonic_ms(NULL) : db->monotonic_ms(db->clock_context);
}

int64_t
lk_expires_in(const lk_db *db, int64_t ms)
{
    int64_t at_ms = lki_time_after(lk_now_ms(db), ms);
    return at_ms > 0 ? at_ms : 1;
}
