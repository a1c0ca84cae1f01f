/* SPDX-License-Identifier: MIT
 *
 * What the driver asks of the system: time to pass, other processes' time, a child process, memory
 * shared with it, and threads that end.
 */
#include "driver/driver.h"

#include "driver/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAP_NS 50000000 /* between looks whether somebody wants the end */
#define PATIENCE_S 60   /* for a thread that has been told to end */

size_t
driver_processors(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    return processors < 1 ? 1 : (size_t)processors;
}

bool
driver_sleep(double seconds)
{
    uint64_t end = bench_now_ns() + (uint64_t)(seconds * 1e9);

    for (uint64_t now; (now = bench_now_ns()) < end;) {
        if (bench_interrupted())
            return false;
        uint64_t nap = end - now < NAP_NS ? end - now : NAP_NS;
        struct timespec pause = {0, (long)nap};
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

double
driver_others_s(void)
{
    unsigned long long user, nice, system, idle, wait, interrupt, soft, steal;
    FILE *file = fopen("/proc/stat", "r");
    struct timespec own;

    if (file == NULL)
        return 0;
    int found = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
                       &idle, &wait, &interrupt, &soft, &steal);
    fclose(file);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    if (found != 8)
        return 0;
    return (double)(user + nice + system + interrupt + soft + steal) /
               (double)sysconf(_SC_CLK_TCK) -
           (double)own.tv_sec - (double)own.tv_nsec / 1e9;
}

void *
driver_shared_open(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory != MAP_FAILED ? memory : NULL;
}

void
driver_shared_close(void *memory, size_t size)
{
    munmap(memory, size);
}

bool
driver_fork(void (*child)(void *context), void *context)
{
    int status = 1;

    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        child(context);
        _exit(EXIT_SUCCESS);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

void
driver_give_up(const char *contender)
{
    printf("  WRONG: %s: a thread does not come back\n", contender);
    fflush(NULL);
    _exit(EXIT_FAILURE);
}

void
driver_join(const pthread_t *threads, unsigned count, const char *contender)
{
    struct timespec until;

    for (unsigned i = 0; i < count; i++) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += PATIENCE_S;
        if (pthread_timedjoin_np(threads[i], NULL, &until) != 0)
            driver_give_up(contender);
    }
}
