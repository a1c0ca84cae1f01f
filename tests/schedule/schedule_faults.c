/* SPDX-License-Identifier: MIT
 *
 * What the runtime has to find, each fault in a few lines; and beside each what looks like it and
 * is none.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "schedule/schedule.h"

static pthread_mutex_t latch[2];
static pthread_cond_t condition;
static _Atomic(int) x, y, turn;
static int r[2], plain, wanted;
static char *memory;

static void
latches_make(void)
{
    for (int i = 0; i < 2; i++)
        pthread_mutex_init(&latch[i], NULL);
    pthread_cond_init(&condition, NULL);
}

/* ---- latches ---- */

static void
take_both(int first)
{
    pthread_mutex_lock(&latch[first]);
    pthread_mutex_lock(&latch[1 - first]);
    plain++;
    pthread_mutex_unlock(&latch[1 - first]);
    pthread_mutex_unlock(&latch[first]);
}

static void
take_01(void)
{
    take_both(0);
}

static void
take_10(void)
{
    take_both(1);
}

static void
check_two(void)
{
    SCHEDULE_EXPECT(plain == 2);
}

static void
wait_and_may_die(void)
{
    pthread_mutex_lock(&latch[0]);
    while (!wanted)
        pthread_cond_wait(&condition, &latch[0]);
    pthread_mutex_unlock(&latch[0]);
}

static void
wait_for_one(void)
{
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    wait_and_may_die();
    pthread_setcancelstate(before, &before);
}

static void
set_one(void)
{
    pthread_mutex_lock(&latch[0]);
    wanted = 1;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&latch[0]);
}

/* Looks without the latch, and sleeps past the signal. */
static void
wait_wrongly(void)
{
    int before;
    if (atomic_load(&x) == 0) {
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
        pthread_mutex_lock(&latch[0]);
        pthread_cond_wait(&condition, &latch[0]);
        pthread_mutex_unlock(&latch[0]);
    }
}

static void
set_wrongly(void)
{
    atomic_store(&x, 1);
    pthread_cond_signal(&condition);
}

/* ---- spinning ---- */

static void
spin_until_x(void)
{
    while (atomic_load(&x) == 0) {}
}

static void
set_x(void)
{
    atomic_store(&x, 1);
}

static void
spin_a_while(void)
{
    for (int i = 0; i < 100; i++)
        (void)atomic_load(&x);
}

/* All that is there of it is one failure that lasts: who tries again and again never ends. */
static void
allocate_in_vain(void)
{
    void *mine = NULL;
    while ((mine = malloc(20)) == NULL)
        (void)atomic_load(&x);
    free(mine);
}

static void
fail_for_ever(void)
{
    if (schedule_random() % 64 == 0)
        schedule_fail_allocation(1, true);
}

static void
nothing(void)
{
}

/* ---- memory ---- */

static void
memory_make(void)
{
    memory = malloc(20);
    memset(memory, 0, 20);
}

static void
memory_free(void)
{
    free(memory);
}

static void
free_when_set(void)
{
    if (atomic_load(&x) != 0)
        free(memory);
}

static void
read_then_set(void)
{
    r[0] = memory[19];
    atomic_store(&x, 1);
}

static void
set_then_read(void)
{
    atomic_store(&x, 1);
    r[0] = memory[19];
}

static void
read_beyond(void)
{
    volatile int at = 20;
    r[0] = memory[at];
}

static void
allocate(void)
{
    char *mine = malloc(8);
    if (mine == NULL)
        r[0] = 1;
    free(mine);
}

static void
fail_second(void)
{
    schedule_fail_allocation(2, false);
}

static void
check_one_failed(void)
{
    SCHEDULE_EXPECT(r[0] == 1);
}

/* ---- races and orders ---- */

static void
add_in_two_steps(void)
{
    int old = atomic_load(&x);
    atomic_store(&x, old + 1);
}

static void
add_in_one_step(void)
{
    atomic_fetch_add(&x, 1);
}

/* One of them may have been killed before. */
static void
check_x_some(void)
{
    SCHEDULE_EXPECT(atomic_load(&x) == 1 || atomic_load(&x) == 2);
}

static void
check_x_two(void)
{
    SCHEDULE_EXPECT(atomic_load(&x) == 2);
}

static void
write_plain(void)
{
    plain = 1;
}

static void
read_plain(void)
{
    r[0] = plain;
}

static void
store_x_load_y(void)
{
    atomic_store_explicit(&x, 1, memory_order_release);
    r[0] = atomic_load_explicit(&y, memory_order_acquire);
}

static void
store_y_load_x(void)
{
    atomic_store_explicit(&y, 1, memory_order_release);
    r[1] = atomic_load_explicit(&x, memory_order_acquire);
}

static void
store_x_fence_load_y(void)
{
    atomic_store_explicit(&x, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    r[0] = atomic_load_explicit(&y, memory_order_relaxed);
}

static void
store_y_fence_load_x(void)
{
    atomic_store_explicit(&y, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    r[1] = atomic_load_explicit(&x, memory_order_relaxed);
}

static void
check_one_saw(void)
{
    SCHEDULE_EXPECT(r[0] != 0 || r[1] != 0);
}

/* ---- time ---- */

static void
sleep_long(void)
{
    schedule_sleep(20);
    SCHEDULE_EXPECT(atomic_load(&turn) == 1);
    SCHEDULE_EXPECT(schedule_monotonic_ms() == 3600020);
}

static void
sleep_short(void)
{
    schedule_sleep(10);
    atomic_store(&turn, 1);
    SCHEDULE_EXPECT(schedule_monotonic_ms() == 3600010);
}

static void
sleep_too_long(void)
{
    schedule_sleep(30);
    atomic_store(&turn, 1);
}

/* ---- stopping ---- */

static void
hold_latch(void)
{
    pthread_mutex_lock(&latch[0]);
    plain++;
    pthread_mutex_unlock(&latch[0]);
}

static void
add_without_latch(void)
{
    int old = atomic_load(&x);
    while (!atomic_compare_exchange_strong(&x, &old, old + 1)) {}
}

static void
say_x_then_crash(void)
{
    if (atomic_load(&x) == 1)
        abort();
}

#define TWO(title, a, b, ...)                                     \
    {                                                             \
        .name = title, .body = {a, b}, .count = 2000, __VA_ARGS__ \
    }

const schedule_scenario schedule_scenarios[] = {
    TWO("latches", take_01, take_01, .setup = latches_make, .check = check_two),
    TWO("latches_crossed", take_01, take_10, .setup = latches_make, .fails = "deadlock"),
    TWO("condition", wait_for_one, set_one, .setup = latches_make),
    TWO("condition_missed", wait_wrongly, set_wrongly, .setup = latches_make, .fails = "deadlock"),
    TWO("cancelled", wait_and_may_die, set_one, .setup = latches_make, .fails = "be cancelled"),
    TWO("spin", spin_until_x, set_x, .check = nothing, .spins = true),
    TWO("spin_stopped", spin_until_x, set_x, .check = nothing, .fails = "is stopped"),
    TWO("spin_for_ever", spin_until_x, nothing, .fails = "livelock"),
    TWO("in_vain", allocate_in_vain, spin_a_while, .setup = fail_for_ever, .fails = "no end"),
    TWO("kills", add_without_latch, add_without_latch, .check = check_x_some, .stops = 1,
        .kills = true),
    TWO("kills_latch", hold_latch, hold_latch, .setup = latches_make, .stops = 1, .kills = true,
        .fails = "deadlock"),
    TWO("free", free_when_set, read_then_set, .setup = memory_make),
    TWO("free_too_early", free_when_set, set_then_read, .setup = memory_make, .fails = "were freed",
        .memory = SCHEDULE_SC),
    TWO("free_unordered", free_when_set, set_then_read, .setup = memory_make, .fails = "data race",
        .memory = SCHEDULE_WEAK),
    TWO("free_twice", memory_free, memory_free, .setup = memory_make, .fails = "freed before"),
    TWO("beyond", read_beyond, nothing, .setup = memory_make, .fails = "byte 20 of 20"),
    TWO("leak", nothing, nothing, .setup = memory_make, .teardown = nothing, .fails = "are left"),
    TWO("no_leak", nothing, nothing, .setup = memory_make, .teardown = memory_free),
    TWO("allocation", allocate, allocate, .setup = fail_second, .check = check_one_failed),
    TWO("add", add_in_one_step, add_in_one_step, .check = check_x_two),
    TWO("add_lost", add_in_two_steps, add_in_two_steps, .check = check_x_two, .fails = "== 2"),
    TWO("add_lost_all", add_in_two_steps, add_in_two_steps, .check = check_x_two, .fails = "== 2",
        .all = 2),
    TWO("race", write_plain, read_plain, .fails = "data race"),
    TWO("store_buffers", store_x_load_y, store_y_load_x, .check = check_one_saw,
        .fails = "r[0] != 0"),
    TWO("store_buffers_sc", store_x_load_y, store_y_load_x, .check = check_one_saw,
        .memory = SCHEDULE_SC),
    TWO("fences", store_x_fence_load_y, store_y_fence_load_x, .check = check_one_saw),
    TWO("time", sleep_long, sleep_short, .memory = SCHEDULE_SC),
    TWO("time_late", sleep_long, sleep_too_long, .fails = "turn"),
    TWO("stops", add_without_latch, add_without_latch, .stops = 1),
    TWO("stops_latch", hold_latch, hold_latch, .setup = latches_make, .stops = 1,
        .fails = "is stopped"),
    TWO("crash", say_x_then_crash, set_x, .fails = "Aborted"),
    {0},
};
