/* SPDX-License-Identifier: MIT
 *
 * A program without jemalloc that loads a plug-in (consumer.c as a library) at run time, uses it in
 * a thread, and unloads it while that thread still has to exit. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_barrier_t unloaded;
static int (*plugin_main)(int argc, char **argv);

static void *
work(void *failed)
{
    char name[] = "consumer", allocator[] = "malloc";
    char *argv[] = {name, allocator, NULL};

    *(int *)failed = plugin_main(2, argv);
    pthread_barrier_wait(&unloaded);
    pthread_barrier_wait(&unloaded);
    return NULL;
}

int
main(int argc, char **argv)
{
    void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbol = plugin != NULL ? dlsym(plugin, "plugin_main") : NULL;
    pthread_t worker;
    int failed = 1;

    if (symbol == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    memcpy(&plugin_main, &symbol, sizeof plugin_main);
    if (pthread_barrier_init(&unloaded, NULL, 2) != 0 ||
        pthread_create(&worker, NULL, work, &failed) != 0)
        return 1;
    pthread_barrier_wait(&unloaded);
    dlclose(plugin);
    pthread_barrier_wait(&unloaded);
    pthread_join(worker, NULL);
    return failed;
}
