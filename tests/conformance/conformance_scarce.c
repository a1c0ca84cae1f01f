/* SPDX-License-Identifier: MIT
 *
 * The conformance suite against an embedded store whose memory runs out. Each call is made with its
 * first allocation failing, with all that follow it and alone, then with its second one, and so on
 * until it gets all that it asks for. Each time that it says LK_NO_MEMORY, nothing may have
 * changed; then the same call, with memory, keeps the contract.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory_options.h"

/* What can be seen of a key and its queue, and of a result. */
typedef struct picture {
    lk_status there;
    size_t size, count;
    lk_queue_statistics stats;
    char first[16];
} picture;

/* A call that does without an allocation is not made again: so that others come to fail, too, the
 * first one is each in turn. */
enum { FIRST_MAX = 5 };

/* State of the handle. */
typedef struct scarce {
    lk_db *inner;
    uint64_t calls;
} scarce;

static struct {
    int64_t fail_at; /* the allocation from now on that fails; 0: none does */
    bool for_ever;   /* and all behind it */
    bool failed;
} allocation;

/* A call that is made again and again. */
typedef struct trial {
    const char *call;
    scarce *s;
    int64_t nth;
    bool for_ever;
    const lk_key *key; /* whose picture must stay; NULL: there is nothing to look at */
    picture before;
    unsigned long long calls;
    bool alone;        /* as far as this call's beginning */
    lk_result *result; /* says the same still */
} trial;

static void *
scarce_allocate(void *context, size_t size)
{
    (void)context;
    if (allocation.fail_at != 0) {
        if (--allocation.fail_at == 0) {
            allocation.fail_at = allocation.for_ever;
            allocation.failed = true;
            return NULL;
        }
    }
    return malloc(size);
}

static void
scarce_deallocate(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    free(block);
}

/* ---- trials ---- */

static picture
picture_take(const trial *t)
{
    picture p;
    char buffer[1];
    memset(&p, 0, sizeof p);
    const lk_item *item = t->result != NULL ? lk_result_item(t->result, 0) : NULL;
    if (t->result != NULL)
        p.count = lk_result_count(t->result);
    if (item != NULL && item->data.size < sizeof p.first)
        memcpy(p.first, item->data.data, item->data.size);
    if (t->key == NULL)
        return p;
    p.there = lk_get_into(t->s->inner, *t->key, buffer, 0, &p.size);
    if (lk_queue_stats(t->s->inner, t->key->pk, &p.stats) < LK_OK)
        memset(&p.stats, 0, sizeof p.stats);
    return p;
}

static void
trial_arm(trial *t)
{
    allocation.for_ever = t->for_ever;
    allocation.failed = false;
    allocation.fail_at = t->nth;
}

static trial
trial_begin(const char *call, void *state, const lk_key *key, lk_result *result)
{
    trial t = {.call = call, .s = state, .for_ever = true, .key = key, .result = result};
    t.nth = 1 + (int64_t)(t.s->calls++ % FIRST_MAX);
    t.before = picture_take(&t);
    trial_arm(&t);
    return t;
}

/* Is the call made once more? One that worked, though an allocation failed, is not. */
static bool
trial_goes_on(trial *t, lk_status status)
{
    allocation.fail_at = 0;
    /* Without memory to take out what has expired, there may be too many jobs, or none. */
    bool vague = allocation.failed && (status == LK_BUSY || status == LK_EMPTY);
    if (status != LK_NO_MEMORY && !vague)
        return false;
    picture after = picture_take(t);
    bool same = memcmp(&after, &t->before, sizeof after) == 0;
    if (!allocation.failed || !same) {
        fprintf(stderr, "%s without allocation %lld%s: %s\n", t->call, (long long)t->nth,
                t->for_ever ? ", and all behind it" : "",
                allocation.failed ? "LK_NO_MEMORY, and something has changed" : "LK_NO_MEMORY");
        abort();
    }
    t->nth += !t->for_ever;
    t->for_ever = !t->for_ever;
    trial_arm(t);
    return true;
}

/* The body of an operation: `call` on the store behind it. */
#define TRY(key, result, call)                                   \
    do {                                                         \
        trial t = trial_begin(__func__, state, (key), (result)); \
        lk_db *inner = t.s->inner;                               \
        lk_status status;                                        \
        do                                                       \
            status = (call);                                     \
        while (trial_goes_on(&t, status));                       \
        return status;                                           \
    } while (0)

/* ---- items ---- */

static lk_status
scarce_get(void *state, const lk_key *key, lk_result *result)
{
    TRY(NULL, result, lk_get(inner, *key, result));
}

/* Of several, those before the one that failed are written: then there is no picture. */
static lk_status
scarce_set(void *state, const lk_item *items, size_t count)
{
    TRY(count == 1 ? &items->key : NULL, NULL, lk_set(inner, items, count));
}

static lk_status
scarce_remove(void *state, const lk_key *keys, size_t count)
{
    TRY(count == 1 ? keys : NULL, NULL, lk_delete(inner, keys, count));
}

static lk_status
scarce_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    TRY(NULL, result, lk_get_many(inner, keys, count, result));
}

static lk_status
scarce_query(void *state, const lk_page *page, lk_result *result)
{
    TRY(NULL, result, lk_query_page(inner, page, result));
}

static lk_status
scarce_get_lock(void *state, const lk_key *key, lk_lock *lock)
{
    TRY(key, NULL, lk_get_lock(inner, *key, lock));
}

static lk_status
scarce_get_locked(void *state, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    TRY(NULL, result, lk_get_locked(inner, keys, count, locks, result));
}

static lk_status
scarce_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
              size_t lock_count, lk_conflict *conflict)
{
    const lk_key *key = write_count == 0 ? NULL : &writes->item.key;
    if (key != NULL && writes->kind == LK_ACKNOWLEDGE)
        key = &writes->claim->key;
    TRY(key, NULL, lk_commit(inner, writes, write_count, locks, lock_count, conflict));
}

static lk_status
scarce_set_atomic(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                  size_t lock_count, lk_conflict *conflict)
{
    TRY(item_count != 0 ? &items->key : NULL, NULL,
        lk_set_atomic(inner, items, item_count, locks, lock_count, conflict));
}

/* ---- queues ---- */

static lk_status
scarce_push(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
            lk_result *pushed)
{
    TRY(&jobs->key, pushed, lk_queue_push(inner, jobs, count, options, pushed));
}

/* What has expired, lapsed or died meanwhile may have gone where it belongs. Of several there may
 * come fewer. */
static lk_status
scarce_pull(void *state, const lk_pull_options *options, lk_result *result)
{
    if (options->max_jobs > 1)
        return lk_queue_pull(((scarce *)state)->inner, options, result);
    TRY(NULL, result, lk_queue_pull(inner, options, result));
}

/* Of several each is judged on its own. */
static lk_status
acknowledge_one(void *state, const lk_claim *claim)
{
    TRY(&claim->key, NULL, lk_queue_acknowledge(inner, claim, 1));
}

static lk_status
scarce_acknowledge(void *state, const lk_claim *claims, size_t count)
{
    lk_status first = LK_OK;
    for (size_t i = 0; i < count; i++) {
        lk_status status = acknowledge_one(state, &claims[i]);
        first = first == LK_OK ? status : first;
    }
    return first;
}

static lk_status
scarce_release(void *state, const lk_claim *claim, int64_t delay_ms)
{
    TRY(&claim->key, NULL, lk_queue_release(inner, claim, delay_ms));
}

static lk_status
scarce_extend(void *state, lk_claim *claim, int64_t visibility_ms)
{
    TRY(&claim->key, NULL, lk_queue_extend(inner, claim, visibility_ms));
}

static lk_status
scarce_stats(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    TRY(NULL, NULL, lk_queue_stats(inner, pk, stats));
}

/* "LK_NO_MEMORY: some are out": how many, the statistics tell. */
static lk_status
scarce_purge(void *state, lk_bytes pk, size_t *purged)
{
    scarce *s = state;
    lk_queue_statistics stats;
    trial t = trial_begin(__func__, state, NULL, NULL);
    allocation.fail_at = 0;
    lk_status status = lk_queue_stats(s->inner, pk, &stats);
    bool whole = true;
    trial_arm(&t);
    do
        status = lk_queue_purge(s->inner, pk, purged);
    while (trial_goes_on(&t, status) && (whole = false, true));
    if (status == LK_OK && !whole)
        *purged = stats.ready + stats.claimed + stats.delayed;
    return status;
}

static lk_status
scarce_queue_close(void *state, lk_bytes pk)
{
    lk_key key = {pk, {NULL, 0}};
    TRY(&key, NULL, lk_queue_close(inner, pk));
}

/* ---- the handle ---- */

static void
scarce_close(void *state)
{
    scarce *s = state;
    lk_close(s->inner);
    free(s);
}

static lk_status
scarce_open(void *context, const lk_conformance_setup *setup, lk_db **db)
{
    (void)context;
    lk_memory_options options = memory_options(setup);
    options.allocate = scarce_allocate;
    options.deallocate = scarce_deallocate;
    scarce *s = calloc(1, sizeof *s);
    lk_operations operations;
    lk_adapter adapter = LK_ADAPTER_INIT;
    if (s == NULL || lk_memory_open(&options, &s->inner) != LK_OK ||
        lk_adapter_pass(s->inner, &operations, &adapter) != LK_OK)
        return LK_NO_MEMORY;
    adapter.name = "scarce";
    adapter.state = s;
    operations.close = scarce_close;
    operations.get_at = scarce_get;
    operations.set = scarce_set;
    operations.remove = scarce_remove;
    operations.get_many = scarce_get_many;
    operations.query = scarce_query;
    operations.get_lock_at = scarce_get_lock;
    operations.get_locked = scarce_get_locked;
    operations.commit = scarce_commit;
    operations.set_atomic = scarce_set_atomic;
    operations.push = scarce_push;
    operations.pull = scarce_pull;
    operations.acknowledge = scarce_acknowledge;
    operations.release = scarce_release;
    operations.extend = scarce_extend;
    operations.queue_stats = scarce_stats;
    operations.queue_purge = scarce_purge;
    operations.queue_close = scarce_queue_close;
    /* A descriptor waits for its timer where there was no memory to find out; these clocks have
     * none. */
    operations.queue_fd = NULL;
    adapter.capabilities &= ~LK_HAS_QUEUE_FD;
    return lk_adapter_open(&operations, &adapter, db);
}

/* All scripts, which have one thread; or what is asked for. */
int
main(int argc, char **argv)
{
    char all[] = "conformance_scarce claim.script items.script job_commit.script job_items.script "
                 "locks.script pull.script push.script queue.script tokens.script";
    char *scripts[16];
    int count = 0;
    for (char *name = strtok(all, " "); name != NULL; name = strtok(NULL, " "))
        scripts[count++] = name;
    const lk_conformance memory = {.name = "memory that runs out", .open = scarce_open};
    return argc > 1 ? lk_conformance_main(&memory, argc, argv)
                    : lk_conformance_main(&memory, count, scripts);
}
