/* SPDX-License-Identifier: MIT
 *
 * The counters of a thread, which lk_statistics_read adds up. Only the owner writes them, at the
 * cost of a plain addition to a line of its own.
 */
#ifndef LKI_BASE_COUNTER_H
#define LKI_BASE_COUNTER_H

enum lki_counter {
    LKI_HITS, /* each read of one key counts as a hit or a miss */
    LKI_MISSES,
    LKI_MULTI_GETS,
    LKI_QUERIES,
    LKI_ITEMS_QUERIED,
    LKI_SETS,
    LKI_DELETES,
    LKI_COMMITS,
    LKI_RACES,
    LKI_LOCKS_CREATED,
    LKI_LOCKS_RENEWED,
    LKI_RETRIES,
    LKI_ABORTS,
    LKI_HEAD_CONFLICTS,
    LKI_SNAPSHOTS,
    LKI_LATCH_WAITS,
    LKI_RETIRED,
    LKI_FREED,
    LKI_BUSY_CALLS,
    LKI_EXPIRED_SWEPT,
    LKI_LOCKS_SWEPT,
    LKI_CELLS_ADDED,
    LKI_CELLS_REMOVED,
    LKI_PARTITIONS_ADDED,
    LKI_PARTITIONS_REMOVED,
    LKI_SLOTS_VISITED,
    LKI_HELPED,
    LKI_CLAIM_COLLISIONS,
    LKI_EMPTY_PULLS,
    /* of a cache */
    LKI_EVICTIONS,
    LKI_LOADS_JOINED,
    LKI_FILLS_DROPPED,
    LKI_COUNTERS
};

#endif
