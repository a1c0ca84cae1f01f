/* SPDX-License-Identifier: MIT
 *
 * A plug-in that the static library is part of is loaded, used by threads and unloaded; the threads
 * exit afterwards, or go on and use the plug-in when it is loaded again. Nothing may call into what
 * is gone: no thread's exit, no fork, no allocator.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/kit.h"

typedef struct plugin {
    void *library;
    int (*open)(void);
    int (*use)(int number, int detach);
    void (*close)(void);
} plugin;

static void *
plugin_symbol(const plugin *p, const char *name)
{
    void *symbol = dlsym(p->library, name);
    assert_non_null(symbol);
    return symbol;
}

static void
plugin_load(plugin *p)
{
    p->library = dlopen(LATCHKEY_TEST_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    if (p->library == NULL)
        fail_msg("%s", dlerror());
    void *symbols[3] = {plugin_symbol(p, "plugin_open"), plugin_symbol(p, "plugin_use"),
                        plugin_symbol(p, "plugin_close")};
    memcpy(&p->open, &symbols[0], sizeof symbols[0]);
    memcpy(&p->use, &symbols[1], sizeof symbols[1]);
    memcpy(&p->close, &symbols[2], sizeof symbols[2]);
}

static void
plugin_unload(plugin *p)
{
    assert_int_equal(dlclose(p->library), 0);
    assert_null(dlopen(LATCHKEY_TEST_PLUGIN, RTLD_NOW | RTLD_NOLOAD)); /* it is really gone */
}

/* ---- threads that use it, one step between two barriers ---- */

enum { THREADS = 4, ROUNDS = 6 };

typedef struct user {
    pthread_t thread;
    pthread_barrier_t *turn;
    plugin *p;
    int number, rounds;
    bool detach;
    int failed;
} user;

static void *
user_run(void *context)
{
    user *u = context;
    for (int round = 0; round < u->rounds; round++) {
        pthread_barrier_wait(u->turn); /* loaded */
        u->failed |= u->p->use(u->number, u->detach);
        pthread_barrier_wait(u->turn); /* used */
        pthread_barrier_wait(u->turn); /* unloaded */
    }
    return NULL;
}

/* `rounds` times: loaded, used by all, unloaded. Then the threads exit. */
static void
rounds_run(int rounds)
{
    pthread_barrier_t turn;
    plugin p;
    user users[THREADS];
    pthread_barrier_init(&turn, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        users[i] =
            (user){.turn = &turn, .p = &p, .number = i, .rounds = rounds, .detach = i % 2 == 0};
        assert_int_equal(pthread_create(&users[i].thread, NULL, user_run, &users[i]), 0);
    }
    for (int round = 0; round < rounds; round++) {
        plugin_load(&p);
        assert_int_equal(p.open(), 0);
        assert_int_equal(p.use(THREADS, round % 2), 0);
        pthread_barrier_wait(&turn);
        pthread_barrier_wait(&turn);
        p.close();
        plugin_unload(&p);
        pthread_barrier_wait(&turn);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(users[i].thread, NULL);
        assert_int_equal(users[i].failed, 0);
    }
    pthread_barrier_destroy(&turn);
}

static void
test_threads_that_exit_after_the_unloading_call_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++)
        rounds_run(1);
}

static void
test_threads_that_live_on_use_it_again(void **state)
{
    (void)state;
    rounds_run(ROUNDS);
}

static void
test_fork_after_the_unloading_calls_nothing(void **state)
{
    (void)state;
    rounds_run(1);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* jemalloc's, where the program has it. */
__attribute__((weak)) extern int mallctl(const char *name, void *old, size_t *old_size, void *new,
                                         size_t new_size);

/* What goes through the program's allocator afterwards meets what the plug-in left there. */
static void
test_allocator_works_after_the_unloading(void **state)
{
    (void)state;
    rounds_run(1);
    if (mallctl != NULL) /* all arenas, those of the plug-in too, by the functions that they have */
        assert_int_equal(mallctl("arena.4096.purge", NULL, NULL, NULL, 0), 0);
    kit k;
    kit_open(&k, NULL);
    for (uint64_t i = 0; i < 1000; i++) {
        lk_item item = {.key = lkc_numbered("p", i), .data = lk_string("x")};
        assert_status(LK_OK, lk_set(k.db, &item, 1));
    }
    kit_close(&k);
    void *blocks[64];
    for (size_t i = 0; i < KIT_COUNT(blocks); i++)
        blocks[i] = malloc(i * 100000 + 1);
    for (size_t i = 0; i < KIT_COUNT(blocks); i++)
        free(blocks[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_that_exit_after_the_unloading_call_nothing),
        cmocka_unit_test(test_threads_that_live_on_use_it_again),
        cmocka_unit_test(test_fork_after_the_unloading_calls_nothing),
        cmocka_unit_test(test_allocator_works_after_the_unloading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
