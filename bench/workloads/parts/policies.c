/* SPDX-License-Identifier: MIT
 *
 * The policies that policies.h names.
 *
 * LRU, FIFO and CLOCK are what textbooks say. SIEVE: Zhang, Yang, Yue, Vigfusson, Rashmi, "SIEVE is
 * Simpler than LRU", NSDI 2024. S3-FIFO: Yang, Zhang, Qiu, Yue, Vigfusson, "FIFO queues are all you
 * need for cache eviction", SOSP 2023.
 *
 * Invariants
 *   I1 a node is in the list that its place names, and in no other; lists run from the newest
 *      (`head`) to the oldest (`tail`).
 *   I2 small and main together hold at most the capacity, ghost at most its own.
 */
#include "workloads/parts/policies.h"

#include "driver/random.h"

#include <stdlib.h>

#define NODE_NONE UINT32_MAX

enum node_place { PLACE_NONE, PLACE_SMALL, PLACE_MAIN, PLACE_GHOST };

struct node {
    uint32_t newer, older;
    uint8_t place;
    uint8_t hits;
};

struct node_list {
    uint32_t head, tail;
    size_t count;
    enum node_place place;
};

/* The families other than S3-FIFO use `main` alone. */
struct policy_shard {
    struct node_list small, main, ghost;
    uint32_t hand; /* SIEVE's; NODE_NONE: at the tail */
    size_t capacity, small_capacity, ghost_capacity;
};

struct policy {
    struct policy_kind kind;
    struct node *nodes;
    struct policy_shard *shards;
    size_t keys;
    unsigned shard_count;
};

/* ---- lists ----------------------------------------------------------------------------------- */

static void
list_init(struct node_list *list, enum node_place place)
{
    list->head = list->tail = NODE_NONE;
    list->count = 0;
    list->place = place;
}

static void
list_push(struct node *nodes, struct node_list *list, uint32_t key)
{
    struct node *node = &nodes[key];

    node->newer = NODE_NONE;
    node->older = list->head;
    node->place = (uint8_t)list->place;
    if (list->head != NODE_NONE)
        nodes[list->head].newer = key;
    else
        list->tail = key;
    list->head = key;
    list->count++;
}

static void
list_remove(struct node *nodes, struct node_list *list, uint32_t key)
{
    struct node *node = &nodes[key];

    if (node->newer != NODE_NONE)
        nodes[node->newer].older = node->older;
    else
        list->head = node->older;
    if (node->older != NODE_NONE)
        nodes[node->older].newer = node->newer;
    else
        list->tail = node->newer;
    node->place = PLACE_NONE;
    list->count--;
}

static void
list_renew(struct node *nodes, struct node_list *list, uint32_t key)
{
    if (list->head == key)
        return;
    list_remove(nodes, list, key);
    list_push(nodes, list, key);
}

/* ---- one list: FIFO, LRU, CLOCK, SIEVE ------------------------------------------------------- */

static void
clock_evict(struct node *nodes, struct policy_shard *shard)
{
    while (nodes[shard->main.tail].hits != 0) {
        nodes[shard->main.tail].hits--;
        list_renew(nodes, &shard->main, shard->main.tail);
    }
    list_remove(nodes, &shard->main, shard->main.tail);
}

/* The hand goes from the oldest to the newest and begins anew; items stay where they are. */
static void
sieve_evict(struct node *nodes, struct policy_shard *shard)
{
    uint32_t at = shard->hand != NODE_NONE ? shard->hand : shard->main.tail;

    while (nodes[at].hits != 0) {
        nodes[at].hits = 0;
        at = nodes[at].newer != NODE_NONE ? nodes[at].newer : shard->main.tail;
    }
    shard->hand = nodes[at].newer;
    list_remove(nodes, &shard->main, at);
}

static void
single_insert(struct policy *policy, struct policy_shard *shard, uint32_t key)
{
    struct node *nodes = policy->nodes;

    if (shard->main.count >= shard->capacity) {
        if (policy->kind.family == POLICY_CLOCK)
            clock_evict(nodes, shard);
        else if (policy->kind.family == POLICY_SIEVE)
            sieve_evict(nodes, shard);
        else
            list_remove(nodes, &shard->main, shard->main.tail);
    }
    nodes[key].hits = 0;
    list_push(nodes, &shard->main, key);
}

/* ---- S3-FIFO --------------------------------------------------------------------------------- */

static void
ghost_push(struct node *nodes, struct policy_shard *shard, uint32_t key)
{
    if (shard->ghost_capacity == 0)
        return;
    if (shard->ghost.count >= shard->ghost_capacity)
        list_remove(nodes, &shard->ghost, shard->ghost.tail);
    list_push(nodes, &shard->ghost, key);
}

/* Takes items off the small queue until one leaves the cache or none is left. True: one left. */
static bool
small_evict(struct policy *policy, struct policy_shard *shard)
{
    struct node *nodes = policy->nodes;

    while (shard->small.count > 0) {
        uint32_t key = shard->small.tail;
        list_remove(nodes, &shard->small, key);
        if (nodes[key].hits < policy->kind.promote) {
            ghost_push(nodes, shard, key);
            return true;
        }
        if (!policy->kind.kept)
            nodes[key].hits = 0;
        list_push(nodes, &shard->main, key);
    }
    return false;
}

static void
s3_evict(struct policy *policy, struct policy_shard *shard)
{
    if (shard->small.count >= shard->small_capacity || shard->main.count == 0)
        if (small_evict(policy, shard))
            return;
    clock_evict(policy->nodes, shard);
}

static void
s3_insert(struct policy *policy, struct policy_shard *shard, uint32_t key)
{
    struct node *nodes = policy->nodes;
    bool known = nodes[key].place == PLACE_GHOST;

    if (known)
        list_remove(nodes, &shard->ghost, key);
    if (shard->small.count + shard->main.count >= shard->capacity)
        s3_evict(policy, shard);
    nodes[key].hits = 0;
    list_push(nodes, known ? &shard->main : &shard->small, key);
}

/* ---- what the workloads call ----------------------------------------------------------------- */

static size_t
share_of(size_t capacity, double share)
{
    return (size_t)((double)capacity * share + 0.5);
}

static void
shard_init(struct policy_shard *shard, const struct policy_kind *kind, size_t capacity)
{
    list_init(&shard->small, PLACE_SMALL);
    list_init(&shard->main, PLACE_MAIN);
    list_init(&shard->ghost, PLACE_GHOST);
    shard->hand = NODE_NONE;
    shard->capacity = capacity > 0 ? capacity : 1;
    shard->small_capacity = share_of(shard->capacity, kind->small);
    if (shard->small_capacity == 0)
        shard->small_capacity = 1;
    shard->ghost_capacity = share_of(shard->capacity, kind->ghost);
}

struct policy *
policy_open(const struct policy_kind *kind, size_t keys, size_t capacity, unsigned shards)
{
    struct policy *policy = malloc(sizeof *policy);

    if (policy == NULL)
        return NULL;
    policy->kind = *kind;
    policy->keys = keys;
    policy->shard_count = shards;
    policy->nodes = calloc(keys, sizeof *policy->nodes);
    policy->shards = malloc(shards * sizeof *policy->shards);
    if (policy->nodes == NULL || policy->shards == NULL) {
        policy_close(policy);
        return NULL;
    }
    for (unsigned i = 0; i < shards; i++)
        shard_init(&policy->shards[i], kind, capacity / shards + (i < capacity % shards));
    return policy;
}

void
policy_close(struct policy *policy)
{
    if (policy == NULL)
        return;
    free(policy->nodes);
    free(policy->shards);
    free(policy);
}

bool
policy_ask(struct policy *policy, uint32_t key)
{
    unsigned number =
        policy->shard_count > 1 ? (unsigned)(random_mix(key) % policy->shard_count) : 0;
    struct policy_shard *shard = &policy->shards[number];
    struct node *node = &policy->nodes[key];

    if (node->place == PLACE_SMALL || node->place == PLACE_MAIN) {
        if (policy->kind.family == POLICY_LRU)
            list_renew(policy->nodes, &shard->main, key);
        else if (node->hits < policy->kind.most)
            node->hits++;
        return true;
    }
    if (policy->kind.family == POLICY_S3_FIFO)
        s3_insert(policy, shard, key);
    else
        single_insert(policy, shard, key);
    return false;
}

static bool
list_check(const struct policy *policy, const struct node_list *list)
{
    size_t count = 0;

    for (uint32_t at = list->head; at != NODE_NONE; at = policy->nodes[at].older)
        if (policy->nodes[at].place != (uint8_t)list->place || ++count > list->count)
            return false;
    return count == list->count;
}

bool
policy_check(const struct policy *policy)
{
    size_t listed = 0, placed = 0;

    for (unsigned i = 0; i < policy->shard_count; i++) {
        const struct policy_shard *shard = &policy->shards[i];
        if (!list_check(policy, &shard->small) || !list_check(policy, &shard->main) ||
            !list_check(policy, &shard->ghost) ||
            shard->small.count + shard->main.count > shard->capacity ||
            shard->ghost.count > shard->ghost_capacity)
            return false;
        listed += shard->small.count + shard->main.count + shard->ghost.count;
    }
    for (size_t i = 0; i < policy->keys; i++)
        placed += policy->nodes[i].place != PLACE_NONE;
    return listed == placed;
}
