/* SPDX-License-Identifier: MIT
 *
 * What instrumented code calls in place of the system's functions. Its sources are compiled with
 * `-include schedule/instead.h`: each function keeps its name and its type there, and gets another
 * symbol. The runtime itself is compiled without, and defines those symbols.
 */
#ifndef LKI_SCHEDULE_INSTEAD_H
#define LKI_SCHEDULE_INSTEAD_H

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#ifdef LKI_SCHEDULE_INSTEAD /* in instrumented code */

#define LKI_INSTEAD(name) extern __typeof(name) name __asm__("schedule_" #name)
LKI_INSTEAD(malloc);
LKI_INSTEAD(calloc);
LKI_INSTEAD(realloc);
LKI_INSTEAD(aligned_alloc);
LKI_INSTEAD(free);
LKI_INSTEAD(memcpy);
LKI_INSTEAD(memmove);
LKI_INSTEAD(memset);
LKI_INSTEAD(memcmp);
LKI_INSTEAD(clock_gettime);
LKI_INSTEAD(nanosleep);
LKI_INSTEAD(sched_yield);
LKI_INSTEAD(syscall);
LKI_INSTEAD(getrandom);
LKI_INSTEAD(sysconf);
LKI_INSTEAD(pthread_mutex_init);
LKI_INSTEAD(pthread_mutex_destroy);
LKI_INSTEAD(pthread_mutex_lock);
LKI_INSTEAD(pthread_mutex_trylock);
LKI_INSTEAD(pthread_mutex_unlock);
LKI_INSTEAD(pthread_cond_init);
LKI_INSTEAD(pthread_cond_destroy);
LKI_INSTEAD(pthread_cond_wait);
LKI_INSTEAD(pthread_cond_timedwait);
LKI_INSTEAD(pthread_cond_signal);
LKI_INSTEAD(pthread_cond_broadcast);
LKI_INSTEAD(pthread_once);
LKI_INSTEAD(pthread_key_create);
LKI_INSTEAD(pthread_key_delete);
LKI_INSTEAD(pthread_getspecific);
LKI_INSTEAD(pthread_setspecific);
LKI_INSTEAD(pthread_setcancelstate);
LKI_INSTEAD(pthread_atfork);
#undef LKI_INSTEAD

void schedule_pause(void);
#define __builtin_ia32_pause schedule_pause

#else

void *schedule_malloc(size_t size);
void *schedule_calloc(size_t count, size_t size);
void *schedule_realloc(void *memory, size_t size);
void *schedule_aligned_alloc(size_t alignment, size_t size);
void schedule_free(void *memory);
void *schedule_memcpy(void *to, const void *from, size_t size);
void *schedule_memmove(void *to, const void *from, size_t size);
void *schedule_memset(void *to, int byte, size_t size);
int schedule_memcmp(const void *a, const void *b, size_t size);
int schedule_clock_gettime(clockid_t which, struct timespec *to);
int schedule_nanosleep(const struct timespec *length, struct timespec *left);
int schedule_sched_yield(void);
void schedule_pause(void);
long schedule_syscall(long number, ...);
ssize_t schedule_getrandom(void *to, size_t size, unsigned flags);
long schedule_sysconf(int name);
int schedule_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attributes);
int schedule_pthread_mutex_destroy(pthread_mutex_t *m);
int schedule_pthread_mutex_lock(pthread_mutex_t *m);
int schedule_pthread_mutex_trylock(pthread_mutex_t *m);
int schedule_pthread_mutex_unlock(pthread_mutex_t *m);
int schedule_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attributes);
int schedule_pthread_cond_destroy(pthread_cond_t *c);
int schedule_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int schedule_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
                                    const struct timespec *until);
int schedule_pthread_cond_signal(pthread_cond_t *c);
int schedule_pthread_cond_broadcast(pthread_cond_t *c);
int schedule_pthread_once(pthread_once_t *once, void (*begin)(void));
int schedule_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int schedule_pthread_key_delete(pthread_key_t key);
void *schedule_pthread_getspecific(pthread_key_t key);
int schedule_pthread_setspecific(pthread_key_t key, const void *value);
int schedule_pthread_setcancelstate(int state, int *before);
int schedule_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

#endif
#endif
