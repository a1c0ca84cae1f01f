/* SPDX-License-Identifier: MIT
 *
 * latchkey/adapter.h: for people who put a database of their own behind a lk_db.
 *
 * An adapter is a table of operations and a state of the adapter's own. lk_adapter_open makes a
 * handle of the two, and every call of latchkey.h then works on it: the library checks the
 * arguments, calls the operation, and passes its status on. "How to add a database" in the README
 * walks through a whole one; latchkey/conformance.h tells whether it was done right.
 *
 *     static const lk_operations operations = {
 *         .size = sizeof operations, .close = my_close,
 *         .get_at = my_get, .set = my_set, .remove = my_remove, .query = my_query};
 *
 *     lk_status my_open(const char *where, lk_db **db)
 *     {
 *         lk_adapter adapter = LK_ADAPTER_INIT;
 *         adapter.name = "mine";
 *         adapter.capabilities = LK_HAS_QUERY;
 *         adapter.state = ...;
 *         return lk_adapter_open(&operations, &adapter, db);
 *     }
 *
 * WHAT AN OPERATION MAY RELY ON
 *   Arguments were checked: pointers are there, sizes are within the handle's limits, a pk is never
 *   empty, times are not negative. No key is named twice among the items of a commit, among its
 *   locks, or among the jobs of a push (unless the adapter is LK_CHECKS_DUPLICATES). There are at
 *   most LK_COMMIT_MAX items, locks, and jobs where one has an sk. Optional outputs of the call
 *   (conflict, swept, purged) are there; `pushed` may be NULL. No operation of this handle runs
 *   once `close` was called, and none in the child of a fork.
 *
 *   Arguments may point into the result that the operation fills. They are good until the operation
 *   publishes, or passes that result to another handle. An operation may be called inside a read
 *   pair of the same thread.
 *
 * WHAT AN OPERATION OWES
 *   What latchkey.h says of its call: statuses, semantics, outputs untouched on anything but
 *   success, input copied before it returns, any thread at any time. Operations run side by side.
 *   It does not throw, exit or print, and leaves errno as it found it.
 *   A write takes effect before its call returns, or never, also if it ends in a fault. Only a
 *   write that ended in LK_UNKNOWN may take effect later, by up to LK_UNKNOWN_SETTLES_MS; for so
 *   long a cache in front keeps nothing of its keys.
 *
 * STATUSES  LK_UNAVAILABLE: the database cannot do it now (no connection, an I/O error).
 * LK_NO_MEMORY: it has no room. LK_UNKNOWN: a write whose outcome nobody can know.
 *
 * TIME  The handle's clocks are those of the lk_adapter, or the system's. An adapter keeps the
 * handle that lk_adapter_open gave it, and asks lk_now_ms and lk_monotonic_ms, so that tests and
 * wrappers share its time. Expiry counts on the first clock, everything of queues on the second.
 *
 * THREADS, PROGRESS  lk_adapter_open, _hold, _release and lk_close take a short latch of the
 * process; everything else here never waits.
 */
#ifndef LATCHKEY_ADAPTER_H
#define LATCHKEY_ADAPTER_H

#include <latchkey/latchkey.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- capabilities ---- */

/* Groups of operations. A bit is set iff all operations of its group are in the table, and none of
 * them where it is not: lk_adapter_open checks that. get, set and remove are always there. An
 * operation that takes a key is there in either form: get_at, get_lock_at and view_at do for get,
 * get_lock, view. */
#define LK_HAS_GET_MANY ((uint64_t)1 << 0) /* get_many */
#define LK_HAS_QUERY ((uint64_t)1 << 1)    /* query: lk_query_items and streams */
#define LK_HAS_LOCKS ((uint64_t)1 << 2)    /* get_lock, commit: also lk_set_atomic, lk_get_locked */
#define LK_HAS_QUEUES ((uint64_t)1 << 3)   /* push, pull, acknowledge, release, extend, queue_* */
#define LK_HAS_QUEUE_FD ((uint64_t)1 << 4) /* queue_fd; only with LK_HAS_QUEUES */
#define LK_HAS_VIEWS ((uint64_t)1 << 5)    /* read_begin, read_end, view */
#define LK_HAS_SWEEP ((uint64_t)1 << 6)    /* sweep */
#define LK_HAS_STATISTICS ((uint64_t)1 << 7) /* statistics */
/* put_if, touch, add; with LK_HAS_LOCKS also as steps of commit: its conditions, LK_TOUCH, LK_ADD.
 * Without it, where there is LK_HAS_LOCKS, the library puts them together from get_locked and
 * commit: right beside one another and beside all who write under locks, while what a plain set
 * writes in between may be lost. Such a write gives the lock of its key a new version, and makes it
 * where there is none. The locks of a commit and those of such writes are at most LK_COMMIT_MAX,
 * else LK_TOO_BIG. Of the writes that are refused, one with a condition comes first. */
#define LK_HAS_CONDITIONS ((uint64_t)1 << 8)
#define LK_HAS_PARTITIONS ((uint64_t)1 << 9)     /* list_partitions */
#define LK_HAS_QUEUE_INSPECT ((uint64_t)1 << 10) /* queue_inspect; only with LK_HAS_QUEUES */

/* Promises that no table shows. The conformance suite holds an adapter to each that it makes, and
 * leaves out the cases of those that it does not make. */

/* get_many and query show one instant: never half of a commit. Without this promise get_many is one
 * get after the other, and each query is as one that is relaxed. */
#define LK_IS_SNAPSHOT ((uint64_t)1 << 16)
/* What ended in LK_OK is there after the process died. (What is there after the machine died, the
 * adapter says.) */
#define LK_IS_DURABLE ((uint64_t)1 << 17)
/* commit also takes LK_PUSH and LK_ACKNOWLEDGE; without it the library answers LK_UNSUPPORTED. Only
 * with LK_HAS_QUEUES and LK_HAS_LOCKS. */
#define LK_COMMITS_JOBS ((uint64_t)1 << 18)
/* commit, set_atomic and push themselves check for keys that are named twice, and answer
 * LK_INVALID. Then the library does not check for duplicates before it calls them: one pass over
 * the keys less, for an adapter that would notice them anyway. */
#define LK_CHECKS_DUPLICATES ((uint64_t)1 << 19)
/* query, and count where it is there, heed query->from and query->until; without it the library
 * answers LK_UNSUPPORTED to a query that has one. Only with LK_HAS_QUERY. */
#define LK_QUERIES_RANGES ((uint64_t)1 << 20)
/* commit takes LK_RELEASE, and heeds the options of LK_PUSH; without it the library answers
 * LK_UNSUPPORTED. Only with LK_COMMITS_JOBS. */
#define LK_COMMITS_RELEASES ((uint64_t)1 << 21)
/* get_locked gives version 0 for a key with neither lock nor item, and creates nothing there; a
 * commit under version 0 succeeds iff that is still so. Only with LK_HAS_LOCKS and get_locked. */
#define LK_LOCKS_ABSENT ((uint64_t)1 << 22)

/* ---- operations ---- */

#define LK_UNKNOWN_SETTLES_MS LK_SECONDS(60)

/* One page of an ordered read. lk_query_items is one page without bounds, a stream is many. */
typedef struct lk_page {
    const lk_query *query; /* `limit` counts for the page */
    /* begin behind query->after, which may be empty as an sk may; else begin at the start */
    bool has_after;
    /* Bounds that a page may take as hints; SIZE_MAX: none. A page that ends for one of them says
     * so by lk_result_more. */
    size_t max_visits; /* keys to look at, live or not */
    size_t max_bytes;  /* of data; the item that exceeds it is still part of the page */
} lk_page;

/* Each operation does what latchkey.h says of the call that is named beside it. `state` is that of
 * the lk_adapter.
 *
 * KEYS BY ADDRESS  An operation on a single key has two forms: with the key by value (get), and at
 * the end of the table with the key by address (get_at). An adapter gives one of the two, by
 * address where speed counts. Where both are there the library calls the form by address. */
typedef struct lk_operations {
    /* sizeof(lk_operations): operations that are newer than the adapter count as NULL */
    size_t size;

    /* lk_close: frees the state. NULL: there is nothing to free. */
    void (*close)(void *state);

    /* lk_get; lk_get_into where there is none. */
    lk_status (*get)(void *state, lk_key key, lk_result *result);
    /* lk_set: one item after the other; the last of a key that is named twice wins. */
    lk_status (*set)(void *state, const lk_item *items, size_t count);
    /* lk_delete. */
    lk_status (*remove)(void *state, const lk_key *keys, size_t count);
    /* lk_get_into. May be NULL, in both forms. */
    lk_status (*get_into)(void *state, lk_key key, void *buffer, size_t capacity, size_t *size);

    /* lk_get_many: `count` positions, holes by lk_result_add(result, NULL). */
    lk_status (*get_many)(void *state, const lk_key *keys, size_t count, lk_result *result);

    /* lk_query_items, lk_stream_next. */
    lk_status (*query)(void *state, const lk_page *page, lk_result *result);

    /* lk_get_lock: sets version and expires_at_ms; the library sets the key. */
    lk_status (*get_lock)(void *state, lk_key key, lk_lock *lock);
    /* lk_get_locked; the library sets the keys. May be NULL: then it is get_lock for each key, then
     * get_many. */
    lk_status (*get_locked)(void *state, const lk_key *keys, size_t count, lk_lock *locks,
                            lk_result *result);
    /* lk_commit; lk_set_atomic where `set_atomic` is NULL. (A wrapper that does more than pass one
     * of the two on needs both, or only this one.) */
    lk_status (*commit)(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
                        size_t lock_count, lk_conflict *conflict);
    /* lk_set_atomic. May be NULL. */
    lk_status (*set_atomic)(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                            size_t lock_count, lk_conflict *conflict);

    /* lk_queue_push; count is not 0, all jobs have one pk. `pushed` may be NULL. */
    lk_status (*push)(void *state, const lk_item *jobs, size_t count,
                      const lk_push_options *options, lk_result *pushed);
    /* lk_queue_pull; 0 in visibility_ms and max_jobs stands for the default: 5 minutes, 1 job. */
    lk_status (*pull)(void *state, const lk_pull_options *options, lk_result *result);
    /* lk_queue_acknowledge; count is not 0. */
    lk_status (*acknowledge)(void *state, const lk_claim *claims, size_t count);
    lk_status (*release)(void *state, const lk_claim *claim, int64_t delay_ms);
    /* lk_queue_extend; visibility_ms 0 stands for 5 minutes. */
    lk_status (*extend)(void *state, lk_claim *claim, int64_t visibility_ms);
    lk_status (*queue_stats)(void *state, lk_bytes pk, lk_queue_statistics *stats);
    lk_status (*queue_purge)(void *state, lk_bytes pk, size_t *purged);
    lk_status (*queue_close)(void *state, lk_bytes pk);
    lk_status (*queue_fd)(void *state, lk_bytes pk, int *fd);

    /* lk_read_begin, lk_read_end, lk_view. */
    void (*read_begin)(void *state);
    void (*read_end)(void *state);
    lk_status (*view)(void *state, lk_key key, lk_item *item);

    /* lk_sweep. */
    lk_status (*sweep)(void *state, size_t max_items, size_t *swept);
    /* lk_statistics_read: *stats is zeroed before. */
    lk_status (*statistics)(void *state, lk_statistics *stats);

    /* get, get_into, get_lock and view with the key by address. `key` is the caller's, and may lie
     * in what the operation fills: read it before you write there. NULL: the form by value is
     * called. */
    lk_status (*get_at)(void *state, const lk_key *key, lk_result *result);
    lk_status (*get_into_at)(void *state, const lk_key *key, void *buffer, size_t capacity,
                             size_t *size);
    /* Writes version and expires_at_ms of `lock`, and not lock->key, to which `key` may point. */
    lk_status (*get_lock_at)(void *state, const lk_key *key, lk_lock *lock);
    lk_status (*view_at)(void *state, const lk_key *key, lk_item *item);

    /* lk_put_if, lk_touch, lk_add: LK_HAS_CONDITIONS. `value` is there. */
    lk_status (*put_if)(void *state, const lk_item *item, lk_condition condition,
                        lk_bytes expected);
    lk_status (*touch)(void *state, const lk_key *key, int64_t expires_at_ms);
    lk_status (*add)(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms,
                     int64_t *value);
    /* lk_count. May be NULL: then it is what query finds. */
    lk_status (*count)(void *state, const lk_query *query, size_t *count);
    /* lk_list_partitions; limit is 1 to 1,024, or more where the caller asked for more. */
    lk_status (*list_partitions)(void *state, lk_position *position, size_t limit,
                                 lk_result *result);
    /* lk_queue_inspect of several keys: jobs[i] is zeroed where there is no job of keys[i]. It does
     * not have to be one instant. */
    lk_status (*queue_inspect)(void *state, const lk_key *keys, size_t count, lk_job *jobs);
} lk_operations;

/* What a handle is made of, besides its operations. Begin with LK_ADAPTER_INIT. */
typedef struct lk_adapter {
    size_t size;           /* sizeof(lk_adapter) */
    const char *name;      /* the kind of database, for people; static */
    uint64_t capabilities; /* LK_HAS_... and the promises */
    void *state;           /* first argument of each operation; may be NULL */
    /* Limits, in bytes; 0: 2,048, 1,024 and 16 MiB. At most 65,535, 65,535 and 4 GiB - 1. */
    size_t max_pk_size, max_sk_size, max_data_size;
    /* The clocks that the operations use, so that wrappers use them too. NULL: the system's. They
     * stay valid until `close` has returned. */
    lk_clock realtime_ms, monotonic_ms;
    void *clock_context;
} lk_adapter;
#define LK_ADAPTER_INIT                                              \
    {                                                                \
        sizeof(lk_adapter), NULL, 0, NULL, 0, 0, 0, NULL, NULL, NULL \
    }

/* Makes a handle. Both arguments are copied. On LK_OK `*db` is the caller's, to be given to
 * lk_close, which calls operations->close; on anything else the state is still the caller's and
 * nothing was called. LK_INVALID: a size that no version of this header has; an operation is
 * missing that its capability or every adapter needs, or is there without its capability; unknown
 * capabilities. LK_TOO_BIG: a limit above its cap. LK_NO_MEMORY. */
LK_API LK_CHECKED lk_status lk_adapter_open(const lk_operations *operations,
                                            const lk_adapter *adapter, lk_db **db);

/* What a handle is made of, limits and clocks with their defaults filled in; `state` is NULL. Begin
 * with LK_ADAPTER_INIT. LK_OK.
 * LK_INVALID: the handle is closed, or adapter->size is not one of this header. */
LK_API LK_CHECKED lk_status lk_adapter_read(const lk_db *db, lk_adapter *adapter);

/* The capabilities of a handle; 0 where it is NULL or closed. */
LK_API uint64_t lk_capabilities(const lk_db *db);

/* For a wrapper, which stands in front of another handle and may be closed after it. Between hold
 * and release the other handle stays valid memory: once lk_close was called on it, every call on it
 * is LK_INVALID, and another lk_close does nothing.
 * lk_adapter_hold: LK_OK; LK_INVALID: NULL or closed. */
LK_API LK_CHECKED lk_status lk_adapter_hold(lk_db *db);
LK_API void lk_adapter_release(lk_db *db);

/* lk_now_ms and lk_monotonic_ms by the names that say which clock it is. */
static inline int64_t
lk_realtime_now_ms(const lk_db *db)
{
    return lk_now_ms(db);
}
static inline int64_t
lk_monotonic_now_ms(const lk_db *db)
{
    return lk_monotonic_ms(db);
}

/* What a wrapper begins with: operations that pass every call on to another handle, and an
 * lk_adapter with the capabilities, limits and clocks of `inner`, and LK_CHECKS_DUPLICATES, since
 * the inner handle checks. The wrapper's state has to begin with the inner lk_db *. Then it
 *   sets adapter->state and name;
 *   replaces the operations that it does otherwise (with `get` also `get_into`, with `commit` also
 *   `set_atomic`, with `query` also `count`, or it sets these to NULL);
 *   takes out the capabilities that it does not pass on, and calls lk_adapter_open.
 * An operation on a single key is there in both forms, and replacing either is enough: where the
 * form by value was replaced, or set to NULL, lk_adapter_open leaves out the passing form by
 * address. Where `set` or `commit` was replaced and none of put_if, touch and add, it leaves these
 * out with LK_HAS_CONDITIONS, and LK_COMMITS_RELEASES: so no write goes past a wrapper that knows
 * the older ones only. With get_locked it leaves out LK_LOCKS_ABSENT.
 * LK_OK. LK_INVALID: as lk_adapter_read, or a size that no version of this header has. */
LK_API LK_CHECKED lk_status lk_adapter_pass_sized(const lk_db *inner, lk_operations *operations,
                                                  size_t size, lk_adapter *adapter);
static inline LK_CHECKED lk_status
lk_adapter_pass(const lk_db *inner, lk_operations *operations, lk_adapter *adapter)
{
    /* The table of this header: a library that is newer writes no more than that. */
    return lk_adapter_pass_sized(inner, operations, sizeof *operations, adapter);
}

/* Passes a page on to another handle, as a wrapper's `query` does. Checks it like
 * lk_query_items. */
LK_API LK_CHECKED lk_status lk_query_page(lk_db *db, const lk_page *page, lk_result *result);

/* lk_queue_inspect of several keys, as the operation queue_inspect does it: for a wrapper that
 * passes it on, and for who reads many. LK_OK whatever was found, a job with state 0 where there is
 * none. LK_INVALID, LK_TOO_BIG. */
LK_API LK_CHECKED lk_status lk_queue_inspect_many(lk_db *db, const lk_key *keys, size_t count,
                                                  lk_job *jobs);

/* ---- filling a result ---- */

/* An operation writes its answer as a draft. What the result holds stays as it is, and valid, until
 * the draft is published: so an operation that fails half-way just returns, and its input may point
 * into the result that it fills.
 *
 *     lk_result_draft(result);
 *     for (...)
 *         if (lk_result_add(result, &item) != LK_OK)
 *             return LK_NO_MEMORY;
 *     lk_result_publish(result);
 *
 * A result that has grown to fit allocates no more. */

/* Begins a draft, and drops one that was not published. Never fails. */
LK_API void lk_result_draft(lk_result *result);
/* Adds a copy of an item; NULL: a hole. LK_OK, LK_NO_MEMORY. */
LK_API LK_CHECKED lk_status lk_result_add(lk_result *result, const lk_item *item);
/* The same with a claim (of a pull), whose key is that of the item. All items of a result have
 * claims, or none. */
LK_API LK_CHECKED lk_status lk_result_add_claimed(lk_result *result, const lk_item *item,
                                                  const lk_claim *claim);
/* Says of a page that there may be more behind `sk` in the direction of the query; the next page
 * begins after that sk. A page with as many items as the query's limit need not say so. An sk that
 * is too long, or not behind the page's cursor, makes a stream LK_INVALID. LK_OK, LK_NO_MEMORY. */
LK_API LK_CHECKED lk_status lk_result_more(lk_result *result, lk_bytes sk);
/* The draft becomes what the result holds. Never fails. */
LK_API void lk_result_publish(lk_result *result);
/* Of a page that was published: is there more, and behind which sk (valid as long as the items)? */
LK_API bool lk_result_has_more(const lk_result *result, lk_bytes *sk);

/* ---- what most adapters need ---- */

#define LK_ULID_SIZE 26

/* The ULID of a job without sk. `ulid` is the last one of the queue, or LK_ULID_SIZE zero bytes. It
 * becomes the next one, of `now_ms`, and in any case greater than the last, also when the clock
 * steps back. The caller keeps other threads from the same `ulid` meanwhile. */
LK_API void lk_ulid_next(char *ulid, int64_t now_ms);

static inline bool
lk_has_expired(int64_t expires_at_ms, int64_t now_ms)
{
    return expires_at_ms != 0 && now_ms > expires_at_ms;
}

#ifdef __cplusplus
}
#endif
#endif
