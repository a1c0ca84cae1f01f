/* SPDX-License-Identifier: MIT
 *
 * Queues beside the reference model: streams of all calls on three queues with few keys, half of
 * them generated, with clocks that step over deadlines, delays and expiries. After each step both
 * have said the same: statuses, items, receives, deadlines, depths. Tokens are compared by what can
 * be done with them. What is called is drawn from a kit_random: a seed's numbers, or a fuzzer's
 * bytes.
 */
#ifndef LATCHKEY_TESTS_QUEUES_RIG_H
#define LATCHKEY_TESTS_QUEUES_RIG_H

#include "support/jobs.h"
#include "support/model.h"

enum {
    QUEUES_COUNT = 3,
    QUEUES_KNOWN = 24,
    QUEUES_CLAIMS = 32,
    QUEUES_LOCKS = 24,
    QUEUES_BATCH = 4,
    QUEUES_FOUND = 4096
};

/* A claim that somebody got some time ago, as both sides gave it; its key lies here. */
typedef struct queues_claim {
    lk_claim real, ideal;
    size_t queue;
    char sk[JOB_ROOM];
    size_t sk_size;
} queues_claim;

typedef struct queues_lock {
    lk_lock real, ideal;
    size_t queue;
    char sk[JOB_ROOM];
    size_t sk_size;
} queues_lock;

typedef struct queues_rig {
    kit k;
    model *m;
    lk_result *pushed;
    kit_random random;
    uint64_t step;
    size_t depth; /* pushes without another limit have this one */
    char known[QUEUES_COUNT][QUEUES_KNOWN][ULID_SIZE];
    size_t known_count[QUEUES_COUNT];
    char last[QUEUES_COUNT][ULID_SIZE];
    queues_claim claims[QUEUES_CLAIMS];
    size_t claimed;
    queues_lock locks[QUEUES_LOCKS];
    size_t locked;
    char data[QUEUES_BATCH][40], names[QUEUES_BATCH][JOB_ROOM];
    lk_item found[QUEUES_FOUND];
    lk_claim found_claims[QUEUES_FOUND];
} queues_rig;

/* `depth`: the max_depth of most pushes. */
void queues_rig_open(queues_rig *r, kit_random random, size_t shards, size_t depth);
/* So many steps, or as far as the bytes go. */
void queues_rig_run(queues_rig *r, uint64_t steps);
/* Two of three queues, drawn, take no more jobs. */
void queues_rig_end(queues_rig *r);
void queues_rig_close(queues_rig *r);

#endif
