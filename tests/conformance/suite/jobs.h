/* SPDX-License-Identifier: MIT
 *
 * Jobs and claims, of the suite and of the unit tests, which link it too: short ways to push and
 * pull, claims that outlive their result. The macros take whatever has `db`, `result` and
 * `monotonic_ms`: a rig of the suite, a kit of the unit tests.
 */
#ifndef LATCHKEY_CONFORMANCE_JOBS_H
#define LATCHKEY_CONFORMANCE_JOBS_H

#include "shared.h"

enum { JOB_ROOM = 64, VISIBILITY_MS = 30000, ULID_SIZE = LK_ULID_SIZE };

/* What a pull gave, in memory of its own. Not to be copied: the claim points into it. */
typedef struct job {
    lk_claim claim;
    char pk[JOB_ROOM], sk[JOB_ROOM], data[JOB_ROOM]; /* terminated */
} job;

/* One job; sk NULL: generated. */
lk_status lkc_try_push(lk_db *db, const char *pk, const char *sk, const char *data,
                       const lk_push_options *options);
void lkc_push(lk_db *db, const char *pk, const char *sk, const char *data);
void lkc_push_delayed(lk_db *db, const char *pk, const char *sk, const char *data,
                      int64_t delay_ms);
/* Position i of a pull. */
void lkc_job_keep(job *j, const lk_result *result, size_t i);
/* One job, for VISIBILITY_MS, without wait; `j` may be NULL. */
lk_status lkc_try_pull(lk_db *db, lk_result *result, const char *pk, job *j);
/* Pulls a job whose data is `wanted`. */
#define assert_pull(r, pk, wanted, j) \
    lkc_assert_pull((r)->db, (r)->result, (pk), (wanted), (j), __FILE__, __LINE__)
void lkc_assert_pull(lk_db *db, lk_result *result, const char *pk, const char *wanted, job *j,
                     const char *file, int line);
#define assert_empty(r, pk) assert_status(LK_EMPTY, lkc_try_pull((r)->db, (r)->result, (pk), NULL))
/* The claim is good: it is extended to the same deadline. */
#define assert_held(r, j) \
    lkc_assert_held((r)->db, (j), atomic_load(&(r)->monotonic_ms), __FILE__, __LINE__)
void lkc_assert_held(lk_db *db, job *j, int64_t now_ms, const char *file, int line);
lk_queue_statistics lkc_stats(lk_db *db, const char *pk);
#define assert_depths(r, pk, ready, claimed, delayed) \
    lkc_assert_depths((r)->db, (pk), (ready), (claimed), (delayed), __FILE__, __LINE__)
void lkc_assert_depths(lk_db *db, const char *pk, uint64_t ready, uint64_t claimed,
                       uint64_t delayed, const char *file, int line);
bool lkc_is_ulid(lk_bytes sk);
int64_t lkc_ulid_ms(lk_bytes sk);

#endif
