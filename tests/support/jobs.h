/* SPDX-License-Identifier: MIT
 *
 * Jobs for tests: short ways to push and pull, claims that outlive their result, pictures of whole
 * partitions to compare.
 */
#ifndef LATCHKEY_TESTS_JOBS_H
#define LATCHKEY_TESTS_JOBS_H

#include "support/kit.h"

enum { JOB_ROOM = 48, JOB_VISIBILITY_MS = 30000, ULID_SIZE = 26, PICTURE_ROOM = 1 << 16 };

/* What a pull gave, of its own memory. Not to be copied: the claim points into it. */
typedef struct job {
    lk_claim claim;
    char pk[JOB_ROOM], sk[JOB_ROOM], data[JOB_ROOM]; /* terminated */
    int64_t expires_at_ms;
} job;

/* Position i of a result of a pull. */
void job_keep(job *j, const lk_result *result, size_t i);

/* One job; sk NULL: generated. */
lk_status jobs_try_push(kit *k, const char *pk, const char *sk, const char *data,
                        const lk_push_options *options);
void jobs_push(kit *k, const char *pk, const char *sk, const char *data);
/* `count` jobs without sk in one batch; their data is 8 digits: `from`, from + 1, ... */
lk_status jobs_try_push_batch(kit *k, const char *pk, size_t from, size_t count,
                              const lk_push_options *options, lk_result *pushed);
void jobs_push_delayed(kit *k, const char *pk, const char *sk, const char *data, int64_t delay_ms);
void jobs_push_expiring(kit *k, const char *pk, const char *sk, const char *data,
                        int64_t expires_at_ms);

/* One job, for JOB_VISIBILITY_MS, without wait; `j` may be NULL. */
lk_status jobs_try_pull(kit *k, const char *pk, job *j);
/* The same, with a dead_pk. */
lk_status jobs_try_pull_limited(kit *k, const char *pk, uint32_t max_receives, const char *dead_pk,
                                job *j);
/* The number that the data of jobs_try_push_batch is. */
uint64_t job_number(const lk_item *item);

/* Pulls a job whose data is `wanted`. */
#define assert_pull(k, pk, wanted, j) jobs_assert_pull((k), (pk), (wanted), (j), __FILE__, __LINE__)
#define assert_empty(k, pk) assert_status(LK_EMPTY, jobs_try_pull((k), (pk), NULL))
void jobs_assert_pull(kit *k, const char *pk, const char *wanted, job *j, const char *file,
                      int line);
/* The claim is good: extends it, to the same deadline. */
#define assert_held(k, j) assert_status(LK_OK, jobs_touch((k), (j)))
lk_status jobs_touch(kit *k, job *j);
/* Nothing can be done with the claim. */
#define assert_lost(k, j) jobs_assert_lost((k), (j), __FILE__, __LINE__)
void jobs_assert_lost(kit *k, job *j, const char *file, int line);

lk_queue_statistics jobs_statistics(kit *k, const char *pk);
#define assert_depths(k, pk, ready, claimed, delayed) \
    jobs_assert_depths((k), (pk), (ready), (claimed), (delayed), __FILE__, __LINE__)
void jobs_assert_depths(kit *k, const char *pk, uint64_t ready, uint64_t claimed, uint64_t delayed,
                        const char *file, int line);
/* How many items a partition has. */
size_t jobs_items(kit *k, const char *pk);

/* ---- generated keys ---- */

bool jobs_is_ulid(lk_bytes sk);
int64_t jobs_ulid_ms(lk_bytes sk);

/* ---- pictures ---- */

/* Everything that can be seen of some partitions: all items, all statistics of their queues. */
typedef struct picture {
    size_t size;
    unsigned char bytes[PICTURE_ROOM];
} picture;

void picture_take(kit *k, const char *const *pks, size_t count, picture *p);
bool picture_equals(const picture *left, const picture *right);

#endif
