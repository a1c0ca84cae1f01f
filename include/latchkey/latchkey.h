/* SPDX-License-Identifier: MIT
 *
 * latchkey: an in-process keyed store and work queue, shared by all threads of a process.
 *
 * Items live in one table under a partition key `pk` and a sort key `sk`. Several of them are
 * written in one step under optimistic locks (lk_set_atomic, lk_commit), read as one snapshot
 * (lk_get_many, lk_query_items), and expire.
 *
 *     lk_db *db;
 *     if (lk_memory_open(NULL, &db) != LK_OK)
 *         return 1;
 *     lk_item item = {.key = lk_key_of("user#1", "profile"), .data = lk_string("{}")};
 *     lk_status status = lk_set(db, &item, 1);
 *     lk_close(db);
 *
 * WORDS
 *   item      {pk, sk, data, expires_at_ms}. The bytes of a stored item never change; a write
 *             replaces it.
 *   lock      an optimistic lock of the caller's for a key: {key, version, expires_at_ms}. It has
 *             the same key as the item that it guards; the two never collide.
 *   version   64-bit number, unique in the store, never reused, strictly increasing for each key.
 *             Never 0.
 *   job       an item that was pushed to a queue; the queue's name is its pk.
 *   claim     the right to work on a job until a deadline.
 *   latch     short exclusion inside the library. Never called a lock.
 *   snapshot  the state of the whole store at one instant.
 *
 * KEYS are byte strings of any content, compared with memcmp, the shorter first on a tie. A pk is
 * never empty, an sk may be. ("a:b","c") and ("a","b:c") are different keys. A NULL pointer is
 * allowed only with size 0.
 *
 * TIMES are Unix milliseconds (realtime clock) for expiry, 0 = never: an item is expired iff now >
 * expires_at_ms. lk_expires_in makes such a time. Visibility timeouts, delays and waits use the
 * monotonic clock. One call uses one `now` throughout.
 *
 * STATUS Calls that can fail return lk_status: 0 is success, positive an outcome that is no fault,
 * negative a fault. On anything but LK_OK (and LK_LATE) outputs are untouched and nothing was
 * written, unless the call says otherwise. Each call names its statuses for an embedded store;
 * where another database stands behind the handle, any call may also end in LK_UNSUPPORTED or
 * LK_UNAVAILABLE, and a call that writes in LK_UNKNOWN. No call prints, aborts on bad input,
 * touches errno or keeps an error text.
 *
 * THREADS Any thread calls anything on any lk_db at any time, without registering; lk_close alone
 * needs all other calls on that lk_db to have finished. A lk_result, a lk_stream and a lk_item
 * that a call fills belong to one thread at a time. After fork() the child must not use a store of
 * its parent: every call gives LK_INVALID there (a stream may first return what is left of its
 * page). No call may be made from a signal handler.
 *
 * CANCELLATION No call on an embedded store, nor through a cache of one, is a point of
 * cancellation: pthread_cancel takes effect after the call (a pull with a wait goes on waiting). A
 * thread that is cancelled between calls leaves the same as a thread that exits: its read pairs
 * end, its claims lapse, its results and streams stay allocated unless a cleanup handler frees
 * them. Asynchronous cancellation must be off in a call. A thread that may be in a call on another
 * database, LMDB too, must not be cancelled.
 *
 * OWNERSHIP Input is copied before the call returns. Every pointer in a lk_result is valid until
 * that result is used for another call or freed; input may point into the very result that a call
 * fills (a cursor does). Clocks and allocators of the options are called from any thread and must
 * stay valid until lk_close returns.
 *
 * PROGRESS
 *   lk_get, lk_get_many, lk_get_into, lk_view,     | never wait for another thread, wherever that
 *   lk_query_items, lk_stream_*, lk_read_*,        | one stopped
 *   lk_count, lk_list_partitions, lk_queue_inspect |
 *   lk_set, lk_put_if, lk_add of existing keys,    | lock-free
 *   lk_touch, lk_delete, lk_get_locked,            |
 *   lk_get_lock of an existing lock                |
 *   lk_set_atomic, lk_commit on existing keys      | non-blocking: a thread that stops half-way
 *                                                  | holds up nobody
 *   lk_queue_pull without wait, _acknowledge,      | lock-free
 *   _release, _extend; _push but each 500th        |
 *   first write of a key, removal of its slot      | takes a latch of the shard, of the partition
 *   a thread's exit, open, close                   | takes a latch of the process
 * These promises are about the library's own steps. Where a call needs memory, the allocator makes
 * promises of its own.
 */
#ifndef LATCHKEY_LATCHKEY_H
#define LATCHKEY_LATCHKEY_H

#include <latchkey/types.h>

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LK_VERSION_MAJOR 0
#define LK_VERSION_MINOR 1
#define LK_VERSION_PATCH 0

/* ---- open and close ---- */

typedef int64_t (*lk_clock)(void *context);
/* aligned like malloc; NULL: no memory */
typedef void *(*lk_allocate)(void *context, size_t size);
typedef void (*lk_deallocate)(void *context, void *memory, size_t size);

/* Options of the embedded store. A field that is 0 or NULL stands for its default. */
typedef struct lk_memory_options {
    /* Parts of the table, each with one latch for keys that come and go; a power of two, at most
     * 4,096; default 256. */
    size_t shards;
    lk_clock realtime_ms;  /* Unix milliseconds; default CLOCK_REALTIME */
    lk_clock monotonic_ms; /* default CLOCK_MONOTONIC */
    void *clock_context;
    int64_t lock_ttl_ms; /* life of a lock; default 24 h */
    /* A lock is renewed on access within so much of its end; default 1 h, or half of its life where
     * that is shorter; less than lock_ttl_ms; -1: never. */
    int64_t lock_refresh_ms;
    size_t max_pk_size; /* bytes; default 2,048; at most 65,535 */
    /* bytes; default 1,024; at most 65,535. An sk of 26 bytes, as queues generate them, is always
     * accepted, and so is a part of one as the prefix or the cursor of a query */
    size_t max_sk_size;
    size_t max_data_size; /* bytes; default 16 MiB; at most 4 GiB - 1 */
    /* Memory that stalled readers may hold back before writers get LK_BUSY; default 256 MiB. What
     * was replaced, deleted or acknowledged counts with all its bytes until no reader can see it.
     * Beyond the limit a writer first waits for readers that are on their way out: until nothing
     * has moved for 500 ms, and for 2 s at most. While the same reader stays after that, a writer
     * is refused within about a millisecond. Inside of its own lk_read_begin pair a writer does not
     * wait. */
    size_t max_retired_bytes;
    /* A background thread sweeps once in so long; 0: there is no thread, writes and lk_sweep do
     * it. */
    int64_t sweep_interval_ms;
    /* Both or neither; default: jemalloc where the program links it, else malloc. */
    lk_allocate allocate;
    lk_deallocate deallocate;
    void *allocator_context;
    /* The tables are made for so many items when the store is opened, with about 16 bytes for each,
     * so that they hardly grow on the way there. They never get smaller. Default 0: they begin
     * small, and grow in steps. At most 2^36, else LK_TOO_BIG. LK_NO_MEMORY where the tables alone
     * would take more than an eighth of the machine's memory. Not a limit: more items may come. */
    uint64_t expected_items;
    /* All that the store may have allocated, tables, queues and what waits for readers included, as
     * it asks the allocator for it. A write that would need more: LK_NO_MEMORY. Deletes, pulls and
     * acknowledgements go on: a 32nd of the bound and 32 KiB are kept for them. What waits for
     * readers is at most a 16th of it. Default 0: no bound. LK_NO_MEMORY at open where the empty
     * store needs more. */
    uint64_t max_bytes;
} lk_memory_options;
#define LK_MEMORY_OPTIONS_INIT                                           \
    {                                                                    \
        0, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0 \
    }

typedef enum lk_cache_policy {
    /* Scans and single reads do not push out what is read again and again. Hits write at most one
     * bit. Yang and others, "FIFO Queues are All You Need for Cache Eviction", 2023. */
    LK_CACHE_S3_FIFO = 0,
    /* What was not read for the longest time goes. This is exact, so there is one shard, and each
     * hit writes the time of use: slower with many threads. Better where the hot keys are replaced
     * all at once every so often. */
    LK_CACHE_LRU = 1
} lk_cache_policy;

/* Options of a cache. A field that is 0 stands for its default. */
typedef struct lk_cache_options {
    /* Capacity. Not both 0. The cache is split into up to 64 shards of at least 64 items and 4 MiB,
     * and each keeps to its part; an item larger than a shard's part is not kept. */
    size_t max_items; /* 0: no limit */
    size_t max_bytes; /* of keys, data and 72 bytes for each item; 0: no limit */
    lk_cache_policy policy;
    /* Also remember that there is no item. (Not for an sk of 26 bytes: a queue may generate it.) */
    bool keep_missing;
    /* An item is read anew after so long: for a database that others write to as well. The time
     * counts on the monotonic clock of the database, from before the database was asked; steps of
     * the realtime clock do not matter. 0: never. */
    int64_t max_age_ms;
    /* How long a read waits for another thread that is reading the same key from the database,
     * before it reads the key itself. A read of the database that hangs, or whose thread has ended
     * inside, costs the others this wait once: what they read then is kept, and nobody waits for
     * that read any more. On the system's monotonic clock. 0: 1 s; -1: a read does not wait. */
    int64_t load_wait_ms;
} lk_cache_options;
#define LK_CACHE_OPTIONS_INIT               \
    {                                       \
        0, 0, LK_CACHE_S3_FIFO, false, 0, 0 \
    }

/* Opens an embedded store. `options` may be NULL (defaults) and need not outlive the call. On
 * LK_OK `*db` is the caller's, to be given to lk_close. LK_INVALID: bad options. LK_TOO_BIG: a
 * limit above its hard cap, or too many expected items. LK_NO_MEMORY. */
LK_API LK_CHECKED lk_status lk_memory_open(const lk_memory_options *options, lk_db **db);

/* Opens a cache in front of `inner`. The cache answers lk_get, lk_get_into and lk_get_many from
 * memory where it can. All other calls go through, and those that write update or drop what the
 * cache holds. It has the capabilities of `inner`, with lk_get_many and statistics and without the
 * snapshot. It never returns an expired item, by the clock of `inner`.
 *
 * With all writes through the cache its reads are linearizable for each key; lk_get_many through it
 * is no snapshot. What others write to `inner` directly is seen when the entry is too old
 * (max_age_ms), or when lk_set_atomic or lk_commit through the cache end in LK_RACE. Where others
 * do write, begin a read-modify-write with lk_get_locked, which reads from `inner`: a lock from
 * lk_get_lock says nothing of an item that lk_get finds in the cache.
 *
 * Close the cache before `inner`; if `inner` is closed first, calls on the cache are LK_INVALID
 * from then on. A queue pull with max_receives may move jobs: it drops what is cached of its two
 * partitions, and the cache keeps nothing of them while it runs. Threads that stop inside a hit
 * hold back up to 64 MiB of what was thrown out; beyond that nothing new is kept.
 *
 * An adapter may use the cache in front of it inside its operations. Such a read does not wait for
 * another thread's read. A thread that ends inside the adapter's operation (pthread_exit,
 * cancellation) leaves a few hundred bytes until the cache is closed; if that was a write, the
 * cache keeps nothing more of about one key in 4,096.
 *
 * Progress: hits never wait, and take no latch. Misses and writes take the latch of a shard before
 * and after they ask `inner`, and do not hold it meanwhile. A miss waits for the thread that is
 * reading the same key, up to load_wait_ms, also inside a read pair.
 * LK_OK. LK_INVALID: no capacity, an unknown policy, negative times, `inner` closed.
 * LK_NO_MEMORY. */
LK_API LK_CHECKED lk_status lk_cache_open(lk_db *inner, const lk_cache_options *options,
                                          lk_db **db);

/* Closes a handle and frees all that it owns. NULL is allowed. No other call on `db` may run
 * meanwhile or follow. Its streams must be closed before; results stay valid. Progress: waits for
 * the background sweeper only. */
LK_API void lk_close(lk_db *db);

/* ---- results ---- */

/* A reusable owner of what reads return. It grows to the largest answer seen, and then allocates no
 * more. Of queries it holds two answers at a time: the one before stays until the new one is whole.
 * lk_result_new: NULL when memory ran out. lk_result_free: NULL is allowed. */
LK_API lk_result *lk_result_new(void);
LK_API void lk_result_free(lk_result *result);

/* How many positions the last successful call left: 1 after lk_get, the number of keys after
 * lk_get_many. */
LK_API size_t lk_result_count(const lk_result *result);

/* Position i; NULL: no item there (a hole of lk_get_many), or i out of range. */
LK_API const lk_item *lk_result_item(const lk_result *result, size_t i);

/* The claim of position i after a pull; NULL after any other call. */
LK_API const lk_claim *lk_result_claim(const lk_result *result, size_t i);

/* ---- items ---- */

/* A call that takes a single key takes it by address (lk_get_at): the key is borrowed until the
 * call returns. Beside it is the same call by value (lk_get), which is inline and passes the
 * address on. Why by address: the compiler stores a key that is passed by value in words and reads
 * it in vectors. No processor forwards such a store, so each call would wait for the one before. */

/* Reads one item. Linearizable. `key` may lie in `result`. LK_OK: `result` holds the item.
 * LK_NOT_FOUND, LK_INVALID, LK_TOO_BIG, LK_NO_MEMORY. Progress: never waits. Writes no line that
 * other threads use. */
LK_API LK_CHECKED lk_status lk_get_at(lk_db *db, const lk_key *key, lk_result *result);
static inline LK_CHECKED lk_status
lk_get(lk_db *db, lk_key key, lk_result *result)
{
    return lk_get_at(db, &key, result);
}

/* Reads `count` items as one snapshot, which never shows one half of a commit (on a handle that is
 * LK_IS_SNAPSHOT, see adapter.h; a cache is not). Position i of the result answers keys[i], with a
 * hole where there is no item. LK_OK whatever was found (count 0 too). LK_INVALID, LK_TOO_BIG,
 * LK_NO_MEMORY. Progress: never waits. Double collect: Afek, Attiya, Dolev, Gafni, Merritt, Shavit,
 * "Atomic Snapshots of Shared Memory", 1993; where that sees a change, a snapshot by time stamp. */
LK_API LK_CHECKED lk_status lk_get_many(lk_db *db, const lk_key *keys, size_t count,
                                        lk_result *result);

/* Copies the data of one item into the caller's buffer. LK_OK: *size bytes. LK_TOO_SMALL: *size is
 * what is needed and the buffer is untouched. `buffer` may be NULL with capacity 0. LK_NOT_FOUND,
 * LK_INVALID, LK_TOO_BIG. */
LK_API LK_CHECKED lk_status lk_get_into_at(lk_db *db, const lk_key *key, void *buffer,
                                           size_t capacity, size_t *size);
static inline LK_CHECKED lk_status
lk_get_into(lk_db *db, lk_key key, void *buffer, size_t capacity, size_t *size)
{
    return lk_get_into_at(db, &key, buffer, capacity, size);
}

/* Writes items without looking at any lock, one after the other: each atomically, the batch not.
 * The arguments are checked as a whole before the first is written. LK_OK. LK_INVALID, LK_TOO_BIG:
 * nothing was written. LK_NO_MEMORY, LK_BUSY: the items before the one that failed are written. An
 * item that is expired already is as good as deleted. Progress: lock-free for keys that exist; the
 * first write of a key takes a latch. */
LK_API LK_CHECKED lk_status lk_set(lk_db *db, const lk_item *items, size_t count);

/* Deletes items and their locks, each key atomically. A lock that was read before is stale for
 * ever, also when the lock is created anew. LK_OK, also for what is not there. LK_INVALID,
 * LK_TOO_BIG: nothing was deleted. LK_NO_MEMORY, LK_BUSY: the keys before the one that failed are
 * deleted. Progress: as lk_set. */
LK_API LK_CHECKED lk_status lk_delete(lk_db *db, const lk_key *keys, size_t count);

/* Writes one item iff `condition` holds at that instant; `expected` is looked at for LK_IF_EQUAL
 * only. LK_OK. LK_EXISTS, LK_NOT_FOUND, LK_RACE: the condition does not hold, see lk_condition;
 * nothing was written. LK_INVALID: also a condition that there is not. LK_TOO_BIG, LK_NO_MEMORY,
 * LK_BUSY. Progress: as lk_set. */
LK_API LK_CHECKED lk_status lk_put_if(lk_db *db, const lk_item *item, lk_condition condition,
                                      lk_bytes expected);

/* Gives a live item a new expiry (0: never) and leaves its bytes as they are. Never brings back
 * what has expired. LK_OK. LK_NOT_FOUND. LK_INVALID: also a negative time. LK_TOO_BIG,
 * LK_NO_MEMORY, LK_BUSY. Progress: lock-free. */
LK_API LK_CHECKED lk_status lk_touch_at(lk_db *db, const lk_key *key, int64_t expires_at_ms);
static inline LK_CHECKED lk_status
lk_touch(lk_db *db, lk_key key, int64_t expires_at_ms)
{
    return lk_touch_at(db, &key, expires_at_ms);
}

/* Adds to a number: an item of 8 bytes, a signed integer, the lowest byte first. No item counts as
 * 0, and the new one gets `expires_at_ms` (0: never); a live one keeps its own expiry. `value` (may
 * be NULL): the sum. LK_OK. LK_INVALID: also an item of another size. LK_TOO_BIG: the sum would be
 * below INT64_MIN or above INT64_MAX; nothing was written. LK_NO_MEMORY, LK_BUSY. Progress: as
 * lk_set. */
LK_API LK_CHECKED lk_status lk_add_at(lk_db *db, const lk_key *key, int64_t delta,
                                      int64_t expires_at_ms, int64_t *value);
static inline LK_CHECKED lk_status
lk_add(lk_db *db, lk_key key, int64_t delta, int64_t expires_at_ms, int64_t *value)
{
    return lk_add_at(db, &key, delta, expires_at_ms, value);
}

/* ---- zero-copy reads ---- */

/* Between begin and end, items that lk_view returned stay where they are. Pairs nest. Any call may
 * be made inside. Memory that others replace is held back meanwhile, up to max_retired_bytes: keep
 * pairs short. lk_read_begin does nothing where memory ran out or the handle is no embedded store:
 * lk_view then says so. */
LK_API void lk_read_begin(lk_db *db);
LK_API void lk_read_end(lk_db *db);

/* The item where it lies, until the matching lk_read_end of this thread. `key` may be that of
 * `item`. LK_OK. LK_NOT_FOUND. LK_INVALID: outside of a pair. LK_TOO_BIG, LK_UNSUPPORTED. Progress:
 * never waits, allocates nothing. */
LK_API LK_CHECKED lk_status lk_view_at(lk_db *db, const lk_key *key, lk_item *item);
static inline LK_CHECKED lk_status
lk_view(lk_db *db, lk_key key, lk_item *item)
{
    return lk_view_at(db, &key, item);
}

/* ---- optimistic locks ---- */

/* Gets the lock of a key. The lock is created where there is none or the old one has lapsed, and
 * renewed (with a new version) within lock_refresh_ms of its end. When its item expires it goes, as
 * with lk_delete. Concurrent callers get the same version. `lock->key` is a copy of `key`, and
 * borrows the bytes; `key` may be that of `lock`. LK_OK, LK_INVALID, LK_TOO_BIG, LK_NO_MEMORY,
 * LK_BUSY. Progress: lock-free for a key that exists; the first lock of an item copies the item
 * once, to lie beside it. Optimistic concurrency: Kung, Robinson, "On Optimistic Methods for
 * Concurrency Control", 1981. */
LK_API LK_CHECKED lk_status lk_get_lock_at(lk_db *db, const lk_key *key, lk_lock *lock);
static inline LK_CHECKED lk_status
lk_get_lock(lk_db *db, lk_key key, lk_lock *lock)
{
    return lk_get_lock_at(db, &key, lock);
}

/* What a read-modify-write starts with: the locks of several keys as lk_get_lock gives them, and
 * their items as lk_get_many does, each lock read before its item. A key with neither lock nor item
 * gets a lock of version 0, and nothing is created: a commit under it succeeds iff there is still
 * neither, and makes the lock. `locks` has room for `count`; their keys borrow from `keys`, which
 * must not point into `result` then. A key may be named twice. LK_OK, LK_INVALID, LK_TOO_BIG,
 * LK_NO_MEMORY, LK_BUSY (locks may have been created). */
LK_API LK_CHECKED lk_status lk_get_locked(lk_db *db, const lk_key *keys, size_t count,
                                          lk_lock *locks, lk_result *result);

/* Writes all items and bumps all locks in one step, iff every lock is at the version it carries
 * and has not lapsed. LK_OK: each locks[i].version and expires_at_ms is the new one, so that the
 * caller goes on without reading. LK_RACE: nothing was written, `conflict` (may be NULL) names the
 * first stale lock. A commit that was only in another's way never causes a race. At least one
 * lock; 0 to 1,024 items; a key named twice among the items, or among the locks: LK_INVALID.
 * LK_TOO_BIG, LK_NO_MEMORY, LK_BUSY. Progress: non-blocking on existing keys.
 *
 *     for (unsigned attempt = 0;; attempt++) {
 *         lk_lock lock;
 *         if (lk_get_lock(db, key, &lock) != LK_OK) return -1;
 *         ... read with lk_get, compute ...
 *         lk_status status = lk_set_atomic(db, &item, 1, &lock, 1, NULL);
 *         if (status != LK_RACE) return status;
 *         lk_backoff(attempt);
 *     } */
LK_API LK_CHECKED lk_status lk_set_atomic(lk_db *db, const lk_item *items, size_t item_count,
                                          lk_lock *locks, size_t lock_count, lk_conflict *conflict);

/* lk_set_atomic with any mix of writes, and with no locks at all if the caller likes (locks NULL,
 * lock_count 0; at least one write or lock). A deleted key loses its lock as with lk_delete; where
 * `locks` names that lock too, its version is checked and becomes 0. A key is named by at most one
 * write.
 * LK_PUSH makes a job (see queues), by its options, and replaces one of its key; LK_CLOSED where
 * its queue is closed, LK_EXISTS and LK_BUSY as lk_queue_push. What writes before it push counts
 * for its max_depth, and what they acknowledge does not. LK_ACKNOWLEDGE takes a job out, and
 * LK_RELEASE gives it back, iff the claim is good, else LK_LOST; LK_LATE: all of the commit is
 * done, though that claim had lapsed. LK_TOUCH and LK_ADD are as lk_touch and lk_add.
 * Where a lock is stale, a condition does not hold or a step cannot be done, nothing of the commit
 * happens. The locks are judged first, then the writes in their order; the status is that of the
 * first that was refused, and `conflict` (may be NULL) names it. A condition comes before what its
 * kind asks for. */
LK_API LK_CHECKED lk_status lk_commit(lk_db *db, const lk_write *writes, size_t write_count,
                                      lk_lock *locks, size_t lock_count, lk_conflict *conflict);

/* Between retries of LK_RACE: a randomised pause that grows with `attempt` (0 for the first), from
 * half a microsecond to some ten, then a yield of the processor. Never sleeps longer than a
 * scheduler's slice. */
LK_API void lk_backoff(unsigned attempt);

/* ---- ordered reads ---- */

/* The items that `query` asks for, in order, as one snapshot (unless relaxed). LK_OK, with count 0
 * where there is none. LK_INVALID, LK_TOO_BIG, LK_NO_MEMORY. Progress: never waits. */
LK_API LK_CHECKED lk_status lk_query_items(lk_db *db, const lk_query *query, lk_result *result);

/* How many items lk_query_items would find, at most query->limit. Copies nothing. LK_OK,
 * LK_INVALID, LK_TOO_BIG, LK_NO_MEMORY. Progress: never waits. */
LK_API LK_CHECKED lk_status lk_count(lk_db *db, const lk_query *query, size_t *count);

/* The same items one by one in bounded memory. Reads in pages, each one snapshot (relaxed: none);
 * no item twice, sorted; an item that is present throughout is returned. An open stream holds back
 * no memory between its calls. `query` is copied. The items of lk_stream_next are valid until the
 * stream's next call. lk_stream_next: LK_OK, LK_END (again and again), LK_NO_MEMORY (may be tried
 * again). lk_stream_close: NULL is allowed. */
LK_API LK_CHECKED lk_status lk_stream_open(lk_db *db, const lk_query *query, lk_stream **stream);
LK_API LK_CHECKED lk_status lk_stream_next(lk_stream *stream, lk_item *item);
LK_API void lk_stream_close(lk_stream *stream);

/* ---- all of a store ---- */

/* The pks that have a live item, page by page, in no order. `position`: zeroed for the start; moved
 * behind the page. `result`: items of which there is the key's pk alone. `limit`: at most so many;
 * 0: a page of up to 1,024. A pk that has a live item from the first page to the last comes exactly
 * once; one that comes or goes meanwhile may come, at most once unless it was gone in between.
 * LK_OK: at least one. LK_END: none behind `position`; outputs are untouched. LK_INVALID: also a
 * position that no call gave. LK_NO_MEMORY. Progress: never waits. */
LK_API LK_CHECKED lk_status lk_list_partitions(lk_db *db, lk_position *position, size_t limit,
                                               lk_result *result);

/* Copies all live items of a store, with their expiry, into another one, of any kind: backup,
 * restore, moving. Jobs become jobs of the same key: visible at once, never received. Other
 * threads may go on in both: each batch is read at one instant, all of them are not, and what is
 * there throughout is copied. (A key at which others push and finish jobs several times in the
 * moment in which it is read may come as an item.) Locks, closed queues and statistics are not
 * copied. What `to` has under other keys stays; under the same key it is replaced, as lk_set and
 * lk_queue_push do. So a copy that ended early may just be started again. Both handles need not
 * have the same limits: LK_TOO_BIG where an item does not fit into `to`. `options` may be NULL.
 * `report` (may be NULL) counts what was written, also where the copy ends early.
 * LK_OK: all was copied. LK_END: `progress` stopped it. Nothing was done: LK_INVALID, also from ==
 * to, or a cache and what it stands in front of; LK_TOO_BIG, a batch above LK_COMMIT_MAX;
 * LK_UNSUPPORTED, `from` cannot list its partitions or query them, or has queues and cannot tell
 * which items are jobs. Else the first status of a read of `from` or a write to `to` that was not
 * LK_OK: LK_UNSUPPORTED too, for a job where `to` has no queues. Progress: as that of the calls of
 * the two handles. */
LK_API LK_CHECKED lk_status lk_copy(lk_db *from, lk_db *to, const lk_copy_options *options,
                                    lk_copy_report *report);

/* ---- queues ---- */

/* A queue is a partition: its name is `pk`, its jobs are items of that partition. It is there as
 * soon as somebody pushes to it, waits for it, closes it or asks for its descriptor.
 *
 *                push                    pull                  acknowledge
 *     (nothing) ------> visible, or ----------> claimed ---------------------> (nothing)
 *                       delayed  ^                 |  ^ extend
 *                                |                 |__|
 *                                +-----------------+
 *                       release, the deadline passes, the delay is over
 *
 * ORDER Jobs are pulled in the order of their sk. A job that is pushed without an sk gets a ULID
 * (26 characters, Crockford base 32): in each queue strictly increasing in push order, across
 * threads and when the clock steps back. Released and lapsed jobs come again at their own place.
 * Of jobs with an sk that became visible by time, at more than 16,384 different milliseconds since
 * the last pull, those that did so first may come first.
 *
 * JOBS ARE ITEMS lk_get, lk_get_many, lk_view, lk_query_items and streams see them, whoever holds
 * them. lk_set and LK_PUT replace the bytes of a job and leave its place, its delay and its claim
 * as they are. lk_delete takes the job out and makes every claim on it LK_LOST. A job that expires
 * is gone, claimed or not. An item that was only put is no job and is never pulled.
 *
 * TIME Visibility, delays and waits count on the monotonic clock, expiry on the realtime clock. A
 * claim has lapsed iff now > deadline_ms. A thread that exits releases nothing; its claims lapse.
 *
 * PROGRESS A push without an sk is lock-free but for each 500th one, which takes the queue's
 * latch; a push with an sk is as lk_commit, and takes latches where the key is new. Pull (without
 * wait), acknowledge, release, extend: lock-free. A thread that stops inside any of these holds up
 * nobody: what it had reserved is passed over, what it had claimed lapses. */

/* Adds jobs, in order. Those without sk are contiguous: no other job comes between them. `options`
 * may be NULL. Where a job has an sk, the whole batch is one step, as lk_commit (at most
 * LK_COMMIT_MAX jobs, no key twice): an existing job of that key is replaced, visible again and
 * never received, its claims LK_LOST; with options->unique any item there is LK_EXISTS. `pushed`
 * (may be NULL) receives the jobs as they are stored. All jobs have the same pk, else LK_INVALID.
 * count 0: LK_OK, and `pushed` is empty. delay_ms negative: LK_INVALID.
 * LK_OK. LK_CLOSED. LK_EXISTS. LK_BUSY: it would be more than max_depth jobs (one that a call
 * under way takes out may still count, one that it pushes even twice; in a partition of more than a
 * thousand keys those that have expired may, until some calls more), or retired memory is at its
 * limit. LK_INVALID, LK_TOO_BIG, LK_NO_MEMORY. On anything but LK_OK nothing was pushed.
 * Segmented queue: after Michael, Scott, "Simple, Fast, and Practical Non-Blocking and Blocking
 * Concurrent Queue Algorithms", 1996; ULID: github.com/ulid/spec, 2016. */
LK_API LK_CHECKED lk_status lk_queue_push(lk_db *db, const lk_item *jobs, size_t count,
                                          const lk_push_options *options, lk_result *pushed);

/* Claims up to max_jobs of the visible jobs with the smallest sk. `result`: the jobs in order, and
 * their claims (lk_result_claim). At any instant a job has at most one holder whose deadline has
 * not passed. A job that was received max_receives times moves to dead_pk instead, in one step: it
 * keeps its sk, data and expiry, and is a fresh job there, also where that queue is closed. It
 * overwrites nothing: where its key is taken in dead_pk, by a job or an item, it gets a generated
 * sk. visibility_ms: 0 is 5 minutes; negative: LK_INVALID. wait_ms: 0 does not wait, -1 for ever,
 * other negative: LK_INVALID. max_receives needs a dead_pk that differs from pk, else LK_INVALID.
 * Waiting threads sleep; a push wakes as many as it brings jobs. Inside a read pair it does not
 * wait.
 * Work is bounded: a pull without wait takes out at least 2,000 jobs that have expired, and moves
 * about 1,000 that were received too often. It is LK_EMPTY if these were all it met; the next one
 * goes on.
 * LK_OK: 1 to max_jobs jobs. LK_EMPTY: no visible job at some instant of the call. LK_TIMED_OUT:
 * nor after wait_ms. LK_CLOSED: closed, and empty for good. LK_INVALID, LK_TOO_BIG, LK_NO_MEMORY,
 * LK_BUSY. On anything but LK_OK nothing was claimed (jobs may have moved to dead_pk). An empty
 * pull writes no line that other threads use. */
LK_API LK_CHECKED lk_status lk_queue_pull(lk_db *db, const lk_pull_options *options,
                                          lk_result *result);

/* Takes jobs out that are done. Each claim is judged on its own; the status is that of the first
 * that was not LK_OK. LK_OK. LK_LATE: done, though the deadline had passed (nobody had claimed the
 * job since). LK_LOST: the job was claimed by another, released, deleted or never there; nothing
 * happened. A token of 0 names the job by its key, whatever its state. LK_INVALID, LK_TOO_BIG:
 * nothing happened. LK_NO_MEMORY, LK_BUSY: the claims before the one that failed are judged. */
LK_API LK_CHECKED lk_status lk_queue_acknowledge(lk_db *db, const lk_claim *claims, size_t count);

/* Gives a job back, to its own place in the order: visible at once, or after delay_ms (negative:
 * LK_INVALID). The claim is LK_LOST from then on. LK_OK. LK_LATE: done, though the deadline had
 * passed. LK_LOST: as above; nothing happened. A token of 0 names the job by its key, whatever its
 * state; a thread that holds it has lost it. LK_INVALID, LK_TOO_BIG, LK_NO_MEMORY, LK_BUSY. */
LK_API LK_CHECKED lk_status lk_queue_release(lk_db *db, const lk_claim *claim, int64_t delay_ms);

/* Moves the deadline to visibility_ms from now (0: 5 minutes; negative: LK_INVALID), earlier or
 * later, and sets claim->deadline_ms. LK_OK, also after a lapse if nobody has claimed the job
 * since. LK_LOST: as above; the claim is untouched. Token 0: LK_INVALID. LK_TOO_BIG, LK_NO_MEMORY,
 * LK_BUSY. */
LK_API LK_CHECKED lk_status lk_queue_extend(lk_db *db, lk_claim *claim, int64_t visibility_ms);

/* What is known of a job, whoever holds it, without a claim. `job` is untouched unless it is LK_OK.
 * LK_OK. LK_NOT_FOUND: there is no job of that key; an item that was only put is none. LK_INVALID,
 * LK_TOO_BIG. Progress: never waits. */
LK_API LK_CHECKED lk_status lk_queue_inspect_at(lk_db *db, const lk_key *key, lk_job *job);
static inline LK_CHECKED lk_status
lk_queue_inspect(lk_db *db, lk_key key, lk_job *job)
{
    return lk_queue_inspect_at(db, &key, job);
}

/* What is in a queue, and what was done since it came to be. Visits each job, which takes 50 to 80
 * ms per million; the figures are not of one instant. A queue that is not there has zeros
 * everywhere. (A queue that is empty and was not used for a minute is taken out, and begins anew.)
 * LK_OK, LK_INVALID, LK_TOO_BIG, LK_NO_MEMORY, LK_BUSY. */
LK_API LK_CHECKED lk_status lk_queue_stats(lk_db *db, lk_bytes pk, lk_queue_statistics *stats);

/* Takes out all jobs of a queue, claimed or not; other items of the partition stay. `purged` (may
 * be NULL): how many. Each job goes atomically, the purge does not. LK_OK. LK_NO_MEMORY, LK_BUSY:
 * some are out. LK_INVALID, LK_TOO_BIG. */
LK_API LK_CHECKED lk_status lk_queue_purge(lk_db *db, lk_bytes pk, size_t *purged);

/* From now on pushes are LK_CLOSED. Pulls go on as long as there are jobs: while some are claimed
 * or delayed, a pull without wait is LK_EMPTY and a waiting one sleeps on, for a claim may lapse or
 * be released. When the last job is gone (acknowledged, deleted, purged, expired, moved to a
 * dead_pk) the queue is empty for good: pulls are LK_CLOSED, and every waiting thread wakes. So
 * "close, then join the workers" loses no job. (Only a dead letter may still come to a closed
 * dead_pk. Beside a push that is about to be LK_CLOSED a pull may still be LK_EMPTY, or sleep until
 * that.) A closed queue stays in memory (5 to 270 KiB). LK_OK, also when it was closed before.
 * LK_INVALID, LK_TOO_BIG, LK_NO_MEMORY, LK_BUSY. */
LK_API LK_CHECKED lk_status lk_queue_close(lk_db *db, lk_bytes pk);

/* A descriptor for poll, select and epoll: readable as long as a pull without wait would not be
 * LK_EMPTY, which is while a job is ready and when a closed queue is empty for good;
 * level-triggered, also when a claim lapses or a delay ends. It may be readable in vain for a
 * moment, or because the job that was ready has expired since. Never read or write it; pull, with
 * no wait, until LK_EMPTY. Where the clock is a hook of the options, the descriptor learns of it at
 * the next call that changes the queue. It is the store's, the same at each call, and is closed
 * with the store. LK_OK, LK_INVALID, LK_TOO_BIG. LK_NO_MEMORY: or no descriptors left. LK_BUSY. */
LK_API LK_CHECKED lk_status lk_queue_fd(lk_db *db, lk_bytes pk, int *fd);

/* ---- upkeep ---- */

/* Takes out expired items and lapsed locks, and gives memory back. Visits the whole table once, but
 * stops soon after `max_items` were taken out (0: no limit). `swept` (may be NULL): how many.
 * Writes do the same a little at a time. LK_OK, LK_INVALID. LK_NO_MEMORY, LK_BUSY (readers hold
 * back as much as they may): some were taken out. Progress: takes latches, one at a time and
 * briefly. */
LK_API LK_CHECKED lk_status lk_sweep(lk_db *db, size_t max_items, size_t *swept);

/* Counters since lk_memory_open, summed over all threads; not one instant. */
typedef struct lk_statistics {
    /* what there is */
    uint64_t cells; /* keys with an item, a lock, or the remains of one */
    uint64_t partitions;
    uint64_t threads;        /* attached now */
    uint64_t thread_records; /* ever needed at once */
    /* what was done */
    /* single reads by lk_get, lk_get_into, lk_view; those that found an item */
    uint64_t gets, hits;
    uint64_t multi_gets; /* lk_get_many and the reads of lk_get_locked, in keys */
    uint64_t queries, items_queried;
    uint64_t sets, deletes;  /* in keys; put_if, touch and add are sets */
    uint64_t commits, races; /* of lk_set_atomic and lk_commit: LK_OK, LK_RACE */
    uint64_t locks_created, locks_renewed;
    /* contention */
    uint64_t retries;        /* commits that were aborted by others and tried again inside */
    uint64_t aborts;         /* of others' commits that stood in the way */
    uint64_t head_conflicts; /* compare-and-swaps of a head that failed */
    uint64_t snapshots;      /* reads that needed the clock */
    uint64_t latch_waits;    /* latches that were held when wanted */
    /* memory */
    uint64_t retired_objects, freed_objects;
    uint64_t retired_bytes; /* waiting now for readers to leave */
    uint64_t busy;          /* calls that ended in LK_BUSY */
    /* how long the oldest section has held memory back, as far as noticed; 0: none */
    int64_t oldest_reader_ms;
    int64_t oldest_reader_thread; /* its kernel thread id; 0: none */
    /* queues: places, entries and keys that pulls, and pushes that were refused, have looked at */
    uint64_t slots_visited;
    uint64_t helped;           /* commits whose last step another thread did */
    uint64_t claim_collisions; /* claims for which another thread was faster */
    uint64_t empty_pulls;      /* that found no job, with or without a wait */
    /* expiry */
    uint64_t expired_swept, locks_swept;
    uint64_t cells_removed;
    /* the longest time between expiry and sweep in the last round of the sweep */
    int64_t sweep_lag_ms;
    /* a cache: the fields above are those of the database behind it */
    /* in keys; some misses ask nothing, for another thread's answer came meanwhile */
    uint64_t cache_hits, cache_misses;
    uint64_t cache_evictions;
    uint64_t cache_items, cache_bytes; /* now */
    uint64_t cache_joined;             /* misses that waited for another thread's read of the key */
    /* reads that were not kept: a write came, no memory, too large. (A read that began during a
     * write is not meant to be kept.) */
    uint64_t cache_dropped;
    /* What memory comes from: "jemalloc" or "malloc" (the program links jemalloc, or does not),
     * "caller" (the functions of lk_memory_options). Of a cache: that of the database behind it.
     * Lives as long as the program. NULL: an adapter that does not say. */
    const char *allocator;
    uint64_t allocated_bytes; /* now, by what the store asked for: all that max_bytes counts */
} lk_statistics;

/* LK_OK, LK_INVALID, LK_UNSUPPORTED. */
LK_API LK_CHECKED lk_status lk_statistics_read(lk_db *db, lk_statistics *stats);

/* Gives back what this thread holds in all stores. Optional: the thread's exit does it. Not to be
 * called inside a read pair. A plug-in that brings the library with it may be unloaded once its
 * handles are closed and no thread is in a call; threads may live on and exit later. Where jemalloc
 * is there, its cache for such a thread is freed only if the thread detaches before the
 * unloading. */
LK_API void lk_thread_detach(void);

/* ---- time ---- */

/* The time by the clocks of a handle, which are those of its options: Unix milliseconds, and
 * milliseconds of the monotonic clock, by which deadlines of claims count. Where `db` is NULL,
 * closed, or of a fork's parent: the system's clocks. Any thread; never waits. */
LK_API int64_t lk_now_ms(const lk_db *db);
LK_API int64_t lk_monotonic_ms(const lk_db *db);

/* A value for expires_at_ms: when something expires that is to live for `ms` from now. With `ms` 0
 * or negative it has expired with the next millisecond, or already. Stops at INT64_MAX. The value
 * is at least 1: never 0, which would stand for never, and never a time that is LK_INVALID. Clocks
 * as above.
 *
 *     lk_item item = {key, data, lk_expires_in(db, LK_MINUTES(30))}; */
LK_API int64_t lk_expires_in(const lk_db *db, int64_t ms);

/* ---- helpers ---- */

/* A string without its terminating zero; borrows. NULL gives the empty string. */
static inline lk_bytes
lk_string(const char *text)
{
    lk_bytes bytes = {text, 0};
    if (text != NULL)
        while (text[bytes.size] != '\0')
            bytes.size++;
    return bytes;
}

static inline lk_key
lk_key_of(const char *pk, const char *sk)
{
    lk_key key;
    key.pk = lk_string(pk);
    key.sk = lk_string(sk);
    return key;
}

/* The order of keys: memcmp, the shorter first on a tie. Negative, 0 or positive. */
static inline int
lk_bytes_compare(lk_bytes left, lk_bytes right)
{
    size_t common = left.size < right.size ? left.size : right.size;
    int order = common == 0 ? 0 : memcmp(left.data, right.data, common);
    return order != 0 ? order : (left.size > right.size) - (left.size < right.size);
}

#ifdef __cplusplus
}
#endif
#endif
