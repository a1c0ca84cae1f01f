/* SPDX-License-Identifier: MIT
 *
 * Memory and threads that come and go. Views stay readable while others replace and delete what
 * they show; threads begin and end during traffic, some of them inside of a read pair; idle threads
 * sit on garbage, and others take it; processes fork. In the end all of it has been given back.
 * Meant for AddressSanitizer; values prove themselves elsewhere. Exercises P8, P9, P10.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/crowd.h"

enum { KEYS = 24, WRITERS = 2, READERS = 2, SPAWNERS = 2, IDLERS = 4, VIEWS = 6, SWEEPS = 2000 };

static struct {
    lk_db *db;
    char name[KEYS][CROWD_KEY_ROOM];
    atomic_uint spawning, working; /* threads that spawn; that do anything but idle */
    atomic_ullong counter, views, threads, forks, busy;
    pthread_barrier_t idle, over;
    uint64_t spawns;
} test;

static lk_key
key_of(size_t key)
{
    return lk_key_of(key % 4 == 0 ? test.name[key] : "common", test.name[key]);
}

static void
write_once(uint64_t *random)
{
    size_t key = crowd_random(random) % KEYS;
    lk_key its = key_of(key);
    lk_lock lock;
    lk_status status;
    switch (crowd_random(random) % 8) {
    case 0:
    case 1:
        status = lk_delete(test.db, &its, 1);
        break;
    case 2:
        status = lk_get_lock(test.db, its, &lock);
        break;
    default:
        status = crowd_set(test.db, its, key, atomic_fetch_add(&test.counter, 1));
    }
    EXPECT(status == LK_OK || status == LK_BUSY, (uint64_t)(unsigned)status, key);
    atomic_fetch_add_explicit(&test.busy, status == LK_BUSY, memory_order_relaxed);
}

/* Several views in one section, read again and again. */
static void
views_hold(uint64_t *random, bool leave)
{
    lk_item item[VIEWS];
    size_t key[VIEWS], count = 0;
    uint64_t counter[VIEWS], again;
    lk_read_begin(test.db);
    for (size_t i = 0; i < VIEWS; i++) {
        key[count] = crowd_random(random) % KEYS;
        lk_status status = lk_view(test.db, key_of(key[count]), &item[count]);
        EXPECT(status == LK_OK || status == LK_NOT_FOUND, (uint64_t)(unsigned)status, key[count]);
        if (status != LK_OK)
            continue;
        EXPECT(crowd_value_check(item[count].data, key[count], &counter[count]), key[count], 0);
        count++;
    }
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < count; i++)
            EXPECT(crowd_value_check(item[i].data, key[i], &again) && again == counter[i], key[i],
                   counter[i]);
        if (crowd_random(random) % 4 == 0)
            write_once(random); /* any call may be made inside */
        if (crowd_random(random) % 2 == 0)
            sched_yield();
    }
    if (leave)
        lk_read_end(test.db);
    atomic_fetch_add_explicit(&test.views, count, memory_order_relaxed);
}

/* A short life. Some detach, some end inside of a pair, some do neither. */
static void *
short_life(void *argument)
{
    uint64_t random = (uint64_t)(uintptr_t)argument, end = crowd_random(&random) % 4;
    for (uint64_t i = crowd_random(&random) % 100; i > 0; i--)
        write_once(&random);
    views_hold(&random, end != 0);
    if (end == 1) {
        lk_thread_detach();
        write_once(&random); /* attaches anew */
        lk_thread_detach();
    }
    return NULL;
}

/* The child may call nothing, and may close. */
static void
fork_once(void)
{
    pid_t child = fork();
    if (child == 0) {
        lk_lock lock;
        lk_key key = key_of(0);
        lk_read_begin(test.db);
        bool refused = lk_get_lock(test.db, key, &lock) == LK_INVALID &&
                       crowd_set(test.db, key, 0, 0) == LK_INVALID &&
                       lk_delete(test.db, &key, 1) == LK_INVALID &&
                       lk_sweep(test.db, 0, NULL) == LK_INVALID;
        lk_item item;
        refused = refused && lk_view(test.db, key, &item) == LK_INVALID;
        lk_read_end(test.db);
        lk_close(test.db);
        _exit(refused ? 0 : 1);
    }
    int status = 0;
    EXPECT(child > 0 && waitpid(child, &status, 0) == child && status == 0, child, status);
    atomic_fetch_add(&test.forks, 1);
}

static void
spawn(crowd_member *m)
{
    for (uint64_t i = 0; i < test.spawns && crowd_is_well(); i++) {
        pthread_t threads[3];
        size_t count = 1 + crowd_random(&m->random) % 3;
        for (size_t t = 0; t < count; t++)
            if (pthread_create(&threads[t], NULL, short_life,
                               (void *)(uintptr_t)crowd_random(&m->random)) != 0)
                abort();
        for (size_t t = 0; t < count; t++)
            pthread_join(threads[t], NULL);
        atomic_fetch_add(&test.threads, count);
        if (crowd_random(&m->random) % 32 == 0)
            fork_once();
    }
    atomic_fetch_sub(&test.spawning, 1);
}

static void
member(crowd_member *m)
{
    if (m->index < IDLERS) { /* writes for a while, then only is there */
        for (unsigned i = 0; i < 400; i++)
            write_once(&m->random);
        pthread_barrier_wait(&test.idle);
        pthread_barrier_wait(&test.over);
        return;
    }
    if (m->index < IDLERS + SPAWNERS)
        spawn(m);
    while (atomic_load(&test.spawning) > 0 && crowd_is_well()) {
        if (m->index < IDLERS + SPAWNERS + WRITERS)
            write_once(&m->random);
        else
            views_hold(&m->random, true);
        if (crowd_random(&m->random) % 64 == 0)
            sched_yield();
    }
    atomic_fetch_sub(&test.working, 1);
}

static void
all_delete(void)
{
    for (size_t i = 0; i < KEYS; i++) {
        lk_key key = key_of(i);
        EXPECT_OK(lk_delete(test.db, &key, 1));
    }
}

/* While idle threads are still there: what they hold is taken from them. Only deletes, so that no
 * room is wanted. */
static void *
end_check(void *unused)
{
    lk_statistics s = {.cells = 1};
    (void)unused;
    pthread_barrier_wait(&test.idle);
    while (atomic_load(&test.working) > 0)
        sched_yield();
    all_delete();
    for (int i = 0; i < SWEEPS && s.cells + s.partitions + s.retired_bytes != 0; i++) {
        EXPECT_OK(lk_sweep(test.db, 0, NULL));
        EXPECT_OK(lk_statistics_read(test.db, &s));
        sched_yield(); /* others may still be on their way out */
    }
    EXPECT(s.cells == 0 && s.partitions == 0 && s.retired_bytes == 0, s.cells, s.retired_bytes);
    pthread_barrier_wait(&test.over);
    return NULL;
}

static void
emptied_check(void)
{
    lk_statistics s = {.cells = 1};
    EXPECT_OK(lk_statistics_read(test.db, &s));
    EXPECT(s.cells == 0 && s.partitions == 0 && s.retired_bytes == 0, s.cells, s.retired_bytes);
    EXPECT(s.threads == 1, s.threads, 0); /* this one */
    EXPECT(s.thread_records <= IDLERS + 3 * SPAWNERS + WRITERS + READERS + 4, s.thread_records, 0);
}

static void
run(size_t max_retired_bytes)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    pthread_t checker;
    options.shards = 4;
    options.max_retired_bytes = max_retired_bytes;
    crowd_allocator(&options);
    for (size_t i = 0; i < KEYS; i++)
        snprintf(test.name[i], sizeof test.name[i], "key%zu", i);
    test.spawns = test_scaled(600);
    atomic_store(&test.spawning, SPAWNERS);
    atomic_store(&test.working, SPAWNERS + WRITERS + READERS);
    atomic_store(&test.views, 0);
    atomic_store(&test.threads, 0);
    atomic_store(&test.forks, 0);
    atomic_store(&test.busy, 0);
    pthread_barrier_init(&test.idle, NULL, IDLERS + 1);
    pthread_barrier_init(&test.over, NULL, IDLERS + 1);
    EXPECT_OK(lk_memory_open(&options, &test.db));
    if (pthread_create(&checker, NULL, end_check, NULL) != 0)
        abort();
    crowd_run(IDLERS + SPAWNERS + WRITERS + READERS, member, NULL);
    pthread_join(checker, NULL);
    emptied_check();
    crowd_note("views", test.views);
    crowd_note("threads", test.threads);
    crowd_note("forks", test.forks);
    crowd_note("busy", test.busy);
    lk_close(test.db);
    EXPECT(crowd_allocated() == 0, crowd_allocated(), 0);
    pthread_barrier_destroy(&test.idle);
    pthread_barrier_destroy(&test.over);
}

static void
run_roomy(void)
{
    run(0);
}

static void
run_tight(void)
{
    run(20000);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"roomy", run_roomy}, {"tight", run_tight}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
