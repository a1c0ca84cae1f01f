/* SPDX-License-Identifier: MIT
 *
 * Which processor a thread gets. The topology is what Linux says under /sys; without it every
 * processor counts as a core of its own.
 */
#include "driver/pin.h"

#include "driver/options.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pin_processor known[CPU_SETSIZE];
static size_t known_count;
static enum pin_mode known_mode;
static pthread_mutex_t known_mutex = PTHREAD_MUTEX_INITIALIZER;

bool
pin_parse(const char *text, enum pin_mode *mode)
{
    static const char *const names[] = {
        [PIN_NONE] = "none", [PIN_COMPACT] = "compact", [PIN_SPREAD] = "spread"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i]) != 0)
            continue;
        if (mode != NULL)
            *mode = (enum pin_mode)i;
        return true;
    }
    return false;
}

static int
number_compare(unsigned a, unsigned b)
{
    return a < b ? -1 : a > b;
}

static int
compact_compare(const void *left, const void *right)
{
    const struct pin_processor *a = left, *b = right;
    int order = number_compare(a->package, b->package);

    if (order == 0)
        order = number_compare(a->core, b->core);
    return order != 0 ? order : number_compare(a->number, b->number);
}

static int
spread_compare(const void *left, const void *right)
{
    const struct pin_processor *a = left, *b = right;
    int order = number_compare(a->sibling, b->sibling);

    if (order == 0)
        order = number_compare(a->core_at, b->core_at);
    if (order == 0)
        order = number_compare(a->package, b->package);
    return order != 0 ? order : number_compare(a->number, b->number);
}

void
pin_order(struct pin_processor *processors, size_t count, enum pin_mode mode)
{
    qsort(processors, count, sizeof *processors, compact_compare);
    for (size_t i = 0; i < count; i++) {
        struct pin_processor *here = &processors[i];
        const struct pin_processor *before = i > 0 ? here - 1 : NULL;
        bool same_package = before != NULL && before->package == here->package;
        bool same_core = same_package && before->core == here->core;
        here->sibling = same_core ? before->sibling + 1 : 0;
        here->core_at = !same_package ? 0 : before->core_at + (same_core ? 0 : 1);
    }
    if (mode == PIN_SPREAD)
        qsort(processors, count, sizeof *processors, spread_compare);
}

static unsigned
topology_read(unsigned number, const char *what, unsigned otherwise)
{
    char path[96];
    unsigned value = otherwise;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/topology/%s", number, what);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return otherwise;
    if (fscanf(file, "%u", &value) != 1)
        value = otherwise;
    fclose(file);
    return value;
}

/* A thread inherits the mask of the one that starts it, and the main thread is never bound. */
static void
known_fill(enum pin_mode mode)
{
    cpu_set_t allowed;

    known_count = 0;
    known_mode = mode;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (unsigned i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &allowed))
            continue;
        struct pin_processor *processor = &known[known_count++];
        processor->number = i;
        processor->package = topology_read(i, "physical_package_id", 0);
        processor->core = topology_read(i, "core_id", i);
    }
    pin_order(known, known_count, mode);
}

void
pin_settle(unsigned number, enum pin_mode otherwise)
{
    enum pin_mode mode = otherwise;
    cpu_set_t one;

    if (bench_options.pin != NULL)
        (void)pin_parse(bench_options.pin, &mode);
    if (mode == PIN_NONE)
        return;
    CPU_ZERO(&one);
    pthread_mutex_lock(&known_mutex);
    if (known_count == 0 || known_mode != mode)
        known_fill(mode);
    if (known_count > 0)
        CPU_SET(known[number % known_count].number, &one);
    pthread_mutex_unlock(&known_mutex);
    if (CPU_COUNT(&one) > 0)
        (void)sched_setaffinity(0, sizeof one, &one);
}
