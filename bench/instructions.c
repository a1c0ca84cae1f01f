/* SPDX-License-Identifier: MIT
 *
 * latchkey-instructions WHAT COUNT [SLICES]: does one thing so many times in one thread, on a small
 * store, for a tool that counts instructions. bench/counters runs it with two counts; the
 * difference is free of what comes before and after. With SLICES it does so as often, and prints the
 * nanoseconds of the fastest slice for each time, by the thread's own clock.
 *
 *   get          lk_get of an item of 64 bytes
 *   get-into     the same into the caller's buffer
 *   set          lk_set of such an item, which is there
 *   commit       lk_get_locked of two items and lk_set_atomic of both
 *   queue        a job pushed, pulled, acknowledged
 */
#include <latchkey/latchkey.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS 1000
#define KEY_SIZE 16
#define VALUE_SIZE 64

static lk_db *db;
static lk_result *result;
static char texts[KEYS][KEY_SIZE + 1];
static char value[VALUE_SIZE];

static lk_item
item_at(size_t i)
{
    lk_item item = {{{"partition", 9}, {texts[i % KEYS], KEY_SIZE}}, {value, sizeof value}, 0};

    return item;
}

static lk_status
get_do(size_t i)
{
    return lk_get(db, item_at(i).key, result);
}

static lk_status
get_into_do(size_t i)
{
    char buffer[VALUE_SIZE];
    size_t size;

    return lk_get_into(db, item_at(i).key, buffer, sizeof buffer, &size);
}

static lk_status
set_do(size_t i)
{
    lk_item item = item_at(i);

    return lk_set(db, &item, 1);
}

static lk_status
commit_do(size_t i)
{
    lk_item items[2] = {item_at(i), item_at(i + 7)};
    lk_key keys[2] = {items[0].key, items[1].key};
    lk_lock locks[2];
    lk_status status = lk_get_locked(db, keys, 2, locks, result);

    return status == LK_OK ? lk_set_atomic(db, items, 2, locks, 2, NULL) : status;
}

static lk_status
queue_do(size_t i)
{
    lk_item job = {{{"jobs", 4}, {NULL, 0}}, {value, sizeof value}, 0};
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    lk_status status = lk_queue_push(db, &job, 1, NULL, NULL);

    (void)i;
    pull.pk = job.key.pk;
    if (status == LK_OK)
        status = lk_queue_pull(db, &pull, result);
    return status == LK_OK ? lk_queue_acknowledge(db, lk_result_claim(result, 0), 1) : status;
}

static const struct {
    const char *name;
    lk_status (*once)(size_t i);
} things[] = {{"get", get_do},
              {"get-into", get_into_do},
              {"set", set_do},
              {"commit", commit_do},
              {"queue", queue_do}};

static lk_status
thing_repeat(lk_status (*once)(size_t i), size_t count)
{
    lk_status status = LK_OK;

    for (size_t i = 0; i < count && status == LK_OK; i++)
        status = once(i);
    return status;
}

static double
own_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static lk_status
thing_time(lk_status (*once)(size_t i), size_t count, size_t slices)
{
    double best = 0;

    for (size_t i = 0; i < slices; i++) {
        double start = own_ns();
        lk_status status = thing_repeat(once, count);
        double each = (own_ns() - start) / (double)count;
        if (status != LK_OK)
            return status;
        best = i == 0 || each < best ? each : best;
    }
    printf("%.2f\n", best);
    return LK_OK;
}

int
main(int argc, char **argv)
{
    size_t count = argc >= 3 ? (size_t)strtoul(argv[2], NULL, 10) : 0;
    size_t slices = argc >= 4 ? (size_t)strtoul(argv[3], NULL, 10) : 0;
    lk_status status = LK_INVALID;

    if (lk_memory_open(NULL, &db) != LK_OK || (result = lk_result_new()) == NULL)
        return EXIT_FAILURE;
    for (size_t i = 0; i < KEYS; i++)
        snprintf(texts[i], sizeof texts[i], "%016zu", i);
    for (size_t i = 0; i < sizeof things / sizeof *things && count != 0; i++)
        if (strcmp(things[i].name, argv[1]) == 0) {
            status = thing_repeat(set_do, KEYS);
            if (status == LK_OK)
                status = thing_repeat(things[i].once, KEYS);
            if (status == LK_OK)
                status = slices == 0 ? thing_repeat(things[i].once, count)
                                     : thing_time(things[i].once, count, slices);
        }
    if (status != LK_OK)
        fprintf(stderr, "latchkey-instructions: %s\n", lk_status_string(status));
    lk_result_free(result);
    lk_close(db);
    return status == LK_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
