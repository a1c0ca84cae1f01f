/* SPDX-License-Identifier: MIT
 *
 * See scarce.h.
 */
#include "support/scarce.h"

#include <pthread.h>

#include "base/alloc.h"
#include "support/crowd.h"

enum { NTH_DENSE = 64 };

static rig r;

/* ---- verbs ---- */

lk_key
scarce_key(rig *it, size_t i)
{
    return lk_key_of("pk", it->keys[i]);
}

void
scarce_fill(rig *it, size_t from, size_t to, const char *data, int64_t expires_at_ms)
{
    for (size_t i = from; i < to; i++) {
        lk_item item = {
            .key = scarce_key(it, i), .data = lk_string(data), .expires_at_ms = expires_at_ms};
        assert_status(LK_OK, lk_set(it->k.db, &item, 1));
    }
}

void
scarce_lock(rig *it, size_t count)
{
    for (size_t i = 0; i < count; i++)
        it->locks[i] = it->locks_before[i] = kit_lock(&it->k, scarce_key(it, i));
    it->lock_count = count;
}

bool
scarce_all_hold(rig *it, size_t from, size_t to, const char *data)
{
    for (size_t i = from; i < to; i++)
        if (!kit_holds(&it->k, scarce_key(it, i), data))
            return false;
    return true;
}

void
scarce_prepare_old(rig *it)
{
    scarce_fill(it, 0, MANY, "old", 0);
}

/* ---- running them ---- */

enum mode { ATTACHED, DETACHED, NEW, MODES };

/* A thread that prepares and stays, so that its record is not used again. */
typedef struct preparer {
    pthread_t thread;
    pthread_barrier_t done, leave;
    const scenario *s;
} preparer;

static void *
preparer_run(void *context)
{
    preparer *p = context;
    p->s->prepare(&r);
    pthread_barrier_wait(&p->done);
    pthread_barrier_wait(&p->leave);
    return NULL;
}

static void
preparer_start(preparer *p, const scenario *s)
{
    p->s = s;
    pthread_barrier_init(&p->done, NULL, 2);
    pthread_barrier_init(&p->leave, NULL, 2);
    assert_int_equal(pthread_create(&p->thread, NULL, preparer_run, p), 0);
    pthread_barrier_wait(&p->done);
}

static void
preparer_end(preparer *p)
{
    pthread_barrier_wait(&p->leave);
    pthread_join(p->thread, NULL);
    pthread_barrier_destroy(&p->done);
    pthread_barrier_destroy(&p->leave);
}

static void
rig_open(void)
{
    memset(&r, 0, sizeof r);
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.shards = 4;
    lki_default_allocator = (lki_allocator){kit_allocate, kit_deallocate, &r.k.memory, NULL, NULL};
    kit_open(&r.k, &options);
    r.out = lk_result_new();
    assert_non_null(r.out);
    for (size_t i = 0; i < GROWTH; i++)
        snprintf(r.keys[i], sizeof r.keys[i], "%08zu", i);
}

/* Closes without memory: nothing of it needs any. */
static void
rig_close(void)
{
    lk_stream_close(r.stream);
    lk_result_free(r.out);
    kit_memory_fail(&r.k.memory, 1, true);
    lk_thread_detach();
    kit_close(&r.k);
    lki_default_allocator = (lki_allocator){0};
}

#define HOLDS(condition)                                                                       \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            print_error("%s, mode %d, allocation %lld, for ever %d: %s\n", s->name, (int)mode, \
                        (long long)nth, for_ever, lk_status_string(status));                   \
            assert_true(condition);                                                            \
        }                                                                                      \
    } while (0)

/* False: the call did not come to its n-th allocation. */
static bool
scenario_run(const scenario *s, enum mode mode, int64_t nth, bool for_ever)
{
    preparer p;
    rig_open();
    if (mode == NEW)
        preparer_start(&p, s);
    else
        s->prepare(&r);
    if (mode == DETACHED)
        lk_thread_detach();
    kit_memory_fail(&r.k.memory, nth, for_ever);
    lk_status status = s->call(&r);
    kit_memory_fail(&r.k.memory, 0, false);
    bool failed = atomic_load(&r.k.memory.failed) > 0;
    HOLDS(status == LK_OK || (failed && status == LK_NO_MEMORY));
    HOLDS(status == LK_OK ? s->after(&r) : s->before(&r));
    if (status != LK_OK) {
        status = s->call(&r);
        HOLDS(status == LK_OK && s->after(&r));
    }
    if (nth % 2 == 0)
        kit_sweep(&r.k);
    if (mode == NEW)
        preparer_end(&p);
    rig_close();
    return failed;
}

/* Every allocation; of the many of long calls a part where the tests are to do less. */
static int64_t
nth_after(int64_t nth, uint64_t *random)
{
    uint64_t part = 100 / test_scaled(100);
    return nth < NTH_DENSE || part < 2 ? nth + 1
                                       : nth + 1 + (int64_t)(crowd_random(random) % (2 * part - 1));
}

void
scarce_run(const scenario *s)
{
    uint64_t random = crowd_seed();
    for (int mode = ATTACHED; mode < MODES; mode++)
        for (int for_ever = 0; for_ever < 2; for_ever++) {
            int64_t nth = 1;
            while (scenario_run(s, (enum mode)mode, nth, for_ever != 0))
                nth = nth_after(nth, &random);
        }
}
