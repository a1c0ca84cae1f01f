/* SPDX-License-Identifier: MIT
 *
 * What the table of operations calls (latchkey/adapter.h says what each does); `state` is a lki_pg.
 */
#ifndef LKI_PG_OPERATIONS_H
#define LKI_PG_OPERATIONS_H

#include <latchkey/adapter.h>

/* The table: entry.c, through which each call comes. */
extern const lk_operations lki_pg_operations;

void lki_pg_close(void *state);
lk_status lki_pg_get(void *state, const lk_key *key, lk_result *result);
lk_status lki_pg_get_into(void *state, const lk_key *key, void *buffer, size_t capacity,
                          size_t *size);
lk_status lki_pg_get_many(void *state, const lk_key *keys, size_t count, lk_result *result);
lk_status lki_pg_query(void *state, const lk_page *page, lk_result *result);
lk_status lki_pg_count_items(void *state, const lk_query *query, size_t *count);
lk_status lki_pg_set(void *state, const lk_item *items, size_t count);
lk_status lki_pg_remove(void *state, const lk_key *keys, size_t count);
lk_status lki_pg_put_if(void *state, const lk_item *item, lk_condition condition,
                        lk_bytes expected);
lk_status lki_pg_touch(void *state, const lk_key *key, int64_t expires_at_ms);
lk_status lki_pg_add(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms,
                     int64_t *value);
lk_status lki_pg_get_lock(void *state, const lk_key *key, lk_lock *lock);
lk_status lki_pg_get_locked(void *state, const lk_key *keys, size_t count, lk_lock *locks,
                            lk_result *result);
lk_status lki_pg_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
                        size_t lock_count, lk_conflict *conflict);
lk_status lki_pg_push(void *state, const lk_item *jobs, size_t count,
                      const lk_push_options *options, lk_result *pushed);
lk_status lki_pg_pull(void *state, const lk_pull_options *options, lk_result *result);
lk_status lki_pg_acknowledge(void *state, const lk_claim *claims, size_t count);
lk_status lki_pg_release(void *state, const lk_claim *claim, int64_t delay_ms);
lk_status lki_pg_extend(void *state, lk_claim *claim, int64_t visibility_ms);
lk_status lki_pg_queue_stats(void *state, lk_bytes pk, lk_queue_statistics *stats);
lk_status lki_pg_queue_purge(void *state, lk_bytes pk, size_t *purged);
lk_status lki_pg_queue_close(void *state, lk_bytes pk);
lk_status lki_pg_queue_fd(void *state, lk_bytes pk, int *fd);
lk_status lki_pg_queue_inspect(void *state, const lk_key *keys, size_t count, lk_job *jobs);
lk_status lki_pg_list_partitions(void *state, lk_position *position, size_t limit,
                                 lk_result *result);
lk_status lki_pg_sweep(void *state, size_t max_items, size_t *swept);
lk_status lki_pg_statistics(void *state, lk_statistics *stats);

#endif
