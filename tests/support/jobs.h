/* SPDX-License-Identifier: MIT
 *
 * Jobs for tests, beside what the suite's jobs.h has: batches, claims that are lost, pictures of
 * whole partitions to compare.
 */
#ifndef LATCHKEY_TESTS_JOBS_H
#define LATCHKEY_TESTS_JOBS_H

#include "conformance/suite/jobs.h"
#include "support/kit.h"

enum { PICTURE_ROOM = 1 << 16 };

void jobs_push(kit *k, const char *pk, const char *sk, const char *data);
/* `count` jobs without sk in one batch; their data is 8 digits: `from`, from + 1, ... */
lk_status jobs_try_push_batch(kit *k, const char *pk, size_t from, size_t count,
                              const lk_push_options *options, lk_result *pushed);
/* The number that such data is. */
uint64_t job_number(const lk_item *item);
void jobs_push_expiring(kit *k, const char *pk, const char *sk, const char *data,
                        int64_t expires_at_ms);
/* One job, which nobody has received yet; one that has been goes to `dead_pk`. */
lk_status jobs_pull_once(kit *k, const char *pk, const char *dead_pk);

/* Extends the claim to the same deadline. */
lk_status jobs_touch(kit *k, job *j);
/* Nothing can be done with the claim. */
#define assert_lost(k, j) jobs_assert_lost((k), (j), __FILE__, __LINE__)
void jobs_assert_lost(kit *k, job *j, const char *file, int line);

/* How many items a partition has. */
size_t jobs_items(kit *k, const char *pk);

/* ---- pictures ---- */

/* Everything that can be seen of some partitions: all items, all statistics of their queues. */
typedef struct picture {
    size_t size;
    unsigned char bytes[PICTURE_ROOM];
} picture;

void picture_take(kit *k, const char *const *pks, size_t count, picture *p);
bool picture_equals(const picture *left, const picture *right);

#endif
