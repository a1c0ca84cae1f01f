/* SPDX-License-Identifier: MIT
 *
 * Calls of one queue that record themselves: see record.h. A job is a number, which is its data.
 */
#ifndef LATCHKEY_TESTS_CHECK_RECORD_JOBS_H
#define LATCHKEY_TESTS_CHECK_RECORD_JOBS_H

#include "check/record.h"

enum { RECORD_SK_ROOM = 32 };

/* A job's key, as a push or a pull told it. */
typedef struct record_name {
    uint32_t job;
    char sk[RECORD_SK_ROOM]; /* filled up with zeros */
} record_name;

/* A claim that outlives its result. */
typedef struct record_claim {
    uint32_t job;
    size_t sk_size;
    char sk[RECORD_SK_ROOM];
    lk_claim claim; /* its key: record_claim_of */
} record_claim;

/* Jobs first, first + 1, ... `sk` NULL: generated, else the key of the one job, which another job
 * may have had. life_ms 0: they do not expire. */
lk_status record_push(recorder *r, uint32_t first, uint32_t count, const char *sk,
                      const lk_push_options *options, int64_t life_ms);
/* What a commit does besides: ends a claim, and puts the item of world->beside. */
typedef struct record_end {
    const record_claim *claim;
    bool releases; /* else it acknowledges */
    int64_t delay_ms;
} record_end;
/* The same by lk_commit, which does not tell a generated key. `end` may be NULL; `options` too. */
lk_status record_push_commit(recorder *r, uint32_t first, uint32_t count, const char *sk,
                             const lk_push_options *options, const record_end *end);
/* `claims` has room for max_jobs; *count: how many came. */
lk_status record_pull(recorder *r, const lk_pull_options *options, record_claim *claims,
                      uint32_t *count);
lk_status record_acknowledge(recorder *r, const record_claim *claim);
lk_status record_release(recorder *r, const record_claim *claim, int64_t delay_ms);
lk_status record_extend(recorder *r, record_claim *claim, int64_t visibility_ms);
/* By key: `token` 0 acknowledges, else lk_delete. */
lk_status record_take_out(recorder *r, const record_claim *claim, bool deletes);
lk_status record_close(recorder *r);
/* An item of world->beside is there exactly for each claim that such a commit has ended. False:
 * `job` is one of which it is not so. */
bool record_beside(const history *merged, recorder *r, uint32_t *job);
lk_status record_purge(recorder *r);
lk_status record_stats(recorder *r);

/* Of record_reserve: names of so many jobs, and batches up to RECORD_MANY. */
void record_jobs_reserve(recorder *r, size_t names);

/* Fills in the places of all pushes, once the recorders have been merged. False: a job's key is not
 * known; it has none then. */
bool record_rank(const recorder *all, size_t count, history *merged);

#endif
