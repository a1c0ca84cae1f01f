/* SPDX-License-Identifier: MIT
 *
 * The reference model's queues: a job is an item with a little more, a pull walks the partition.
 * Tokens are 1, 2, 3, ...; generated keys are the store's own: who compares makes the store's call
 * first, and hands over what it stored.
 *
 * Where two things are wrong at once the contract does not say which is told; `said` is what the
 * store told, and is right if it is one of them.
 */
#ifndef LATCHKEY_TESTS_MODEL_QUEUE_H
#define LATCHKEY_TESTS_MODEL_QUEUE_H

#include "support/model.h"

void model_set_monotonic(model *m, int64_t monotonic_ms);

/* `stored`: the jobs with the keys that they got; NULL where the store pushed nothing. */
lk_status model_queue_push(model *m, const lk_item *jobs, size_t count,
                           const lk_push_options *options, const lk_item *stored, lk_status said);
/* Up to `room` jobs and their claims; *count: how many. */
/* The key that the store has generated for a letter whose own was taken; in their order, before the
 * pull. */
void model_queue_displaced(model *m, lk_bytes sk);
lk_status model_queue_pull(model *m, const lk_pull_options *options, lk_item *jobs,
                           lk_claim *claims, size_t room, size_t *count);
lk_status model_queue_acknowledge(model *m, const lk_claim *claims, size_t count);
lk_status model_queue_release(model *m, const lk_claim *claim, int64_t delay_ms);
lk_status model_queue_extend(model *m, lk_claim *claim, int64_t visibility_ms);
/* ready, claimed, delayed; the rest is 0. */
lk_status model_queue_stats(model *m, lk_bytes pk, lk_queue_statistics *stats);
lk_status model_queue_purge(model *m, lk_bytes pk, size_t *purged);
lk_status model_queue_close(model *m, lk_bytes pk);
/* Of `count` keys; state 0 where there is no job. */
lk_status model_queue_inspect(model *m, const lk_key *keys, size_t count, lk_job *jobs);
/* lk_commit of all kinds of writes, lk_set_atomic. `stored`: the items of the writes with the keys
 * that they got; NULL where the store did nothing. */
lk_status model_commit(model *m, const lk_write *writes, size_t write_count, lk_lock *locks,
                       size_t lock_count, lk_conflict *conflict, const lk_item *stored,
                       lk_status said);

#endif
