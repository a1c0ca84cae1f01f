/* SPDX-License-Identifier: MIT
 *
 * The stores of the driver: each contender is loaded once for each source, several at once, one
 * thread each; looked at as a whole by several threads; closed at the end.
 */
#include "driver/data.h"
#include "driver/driver.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define STORES_MAX (8 * BENCH_CONTENDERS_MAX)
#define HELPERS_MAX 16
#define CLOSE_ITEMS_MAX 200000

static struct driver_store stores[STORES_MAX];
static size_t store_count;

/* Work that helpers take one after the other. */
struct task {
    void (*work)(struct task *task, size_t index);
    size_t count;
    _Atomic size_t next;
    struct driver_store **stores;
    size_t end; /* of the ranks to look at */
    _Atomic uint64_t wrong, sum;
};

static size_t
helper_count(void)
{
    size_t processors = driver_processors();

    return processors < HELPERS_MAX ? processors : HELPERS_MAX;
}

static void *
task_main(void *argument)
{
    struct task *task = argument;
    size_t index;

    while ((index = atomic_fetch_add(&task->next, 1)) < task->count)
        task->work(task, index);
    return NULL;
}

/* The caller helps; it does all where no thread can be started. */
static void
task_run(struct task *task)
{
    pthread_t helpers[HELPERS_MAX];
    size_t started = 0;

    while (started + 1 < helper_count() &&
           pthread_create(&helpers[started], NULL, task_main, task) == 0)
        started++;
    task_main(task);
    for (size_t i = 0; i < started; i++)
        pthread_join(helpers[i], NULL);
}

static void
store_load(struct task *task, size_t index)
{
    struct driver_store *store = task->stores[index];
    const struct bench_contender *contender = store->contender;

    if (store->handle != NULL || store->failed)
        return;
    store->handle = contender->open();
    void *client = store->handle != NULL ? contender->attach(store->handle) : NULL;
    if (client != NULL) {
        store->items = store->source->load(store->source, contender, client);
        contender->detach(client);
        if (contender->loaded != NULL)
            contender->loaded(store->handle);
    }
    store->failed = store->items == 0;
}

/* The entry for a store, whether it is loaded or not. */
static struct driver_store *
store_find(const struct bench_contender *contender, const struct bench_source *source)
{
    for (size_t i = 0; i < store_count; i++)
        if (stores[i].contender == contender && stores[i].source == source)
            return &stores[i];
    assert(store_count < STORES_MAX);
    struct driver_store *store = &stores[store_count++];
    store->contender = contender;
    store->source = source;
    return store;
}

static const struct bench_contender *
contender_owner(const struct bench_contender *contender)
{
    return contender->store_of != NULL ? bench_contender_find(contender->store_of) : contender;
}

void
driver_expect(const struct bench_source *source)
{
    bench_expected.items = source->count(source);
    bench_expected.cache_items =
        source->cache_items != 0 ? source->cache_items : 2 * bench_expected.items;
    bench_expected.slow = source->slow;
}

void
driver_stores_load(const struct bench_source *source,
                   const struct bench_contender *const *contenders, size_t count,
                   struct driver_store **found)
{
    struct driver_store *owners[BENCH_CONTENDERS_MAX];
    struct task task = {.work = store_load, .stores = owners};

    assert(count <= BENCH_CONTENDERS_MAX);

    for (size_t i = 0; i < count; i++) {
        const struct bench_contender *owner = contender_owner(contenders[i]);
        struct driver_store *store = store_find(owner, source);
        bool seen = false;
        for (size_t j = 0; j < task.count; j++)
            seen = seen || owners[j] == store;
        if (!seen)
            owners[task.count++] = store;
    }
    driver_expect(source);
    task_run(&task);
    for (size_t i = 0; i < count; i++) {
        found[i] = store_find(contenders[i], source);
        if (contenders[i]->store_of == NULL)
            continue;
        const struct driver_store *owner = store_find(contender_owner(contenders[i]), source);
        found[i]->handle = owner->handle;
        found[i]->items = owner->items;
        found[i]->failed = owner->failed;
    }
}

void
driver_stores_name(const struct bench_source *source,
                   const struct bench_contender *const *contenders, size_t count,
                   struct driver_store **found)
{
    for (size_t i = 0; i < count; i++)
        found[i] = store_find(contenders[i], source);
    if (source != NULL)
        driver_expect(source);
}

struct driver_store *
driver_store_at(size_t i)
{
    return i < store_count ? &stores[i] : NULL;
}

static void
store_close(struct task *task, size_t index)
{
    struct driver_store *store = &stores[index];

    (void)task;
    if (store->handle != NULL && store->contender->store_of == NULL &&
        (store->items <= CLOSE_ITEMS_MAX || store->contender->outlives))
        store->contender->close(store->handle);
    store->handle = NULL;
}

void
driver_stores_close(void)
{
    struct task task = {.work = store_close, .count = store_count};

    task_run(&task);
    store_count = 0;
}

uint64_t
driver_look(const struct bench_source *source, const struct bench_contender *contender, void *store,
            size_t first, size_t step, size_t end, uint64_t *sum)
{
    void *client = contender->attach(store);

    if (client == NULL)
        return 1;
    uint64_t wrong = data_verify(source, contender, client, first, step, end, sum);
    contender->detach(client);
    return wrong;
}

static void
store_verify(struct task *task, size_t index)
{
    struct driver_store *store = task->stores[0];
    uint64_t sum = 0;

    atomic_fetch_add(&task->wrong, driver_look(store->source, store->contender, store->handle,
                                               index, task->count, task->end, &sum));
    atomic_fetch_add(&task->sum, sum);
}

uint64_t
driver_verify(struct driver_store *store, size_t end)
{
    struct task task = {
        .work = store_verify, .count = helper_count(), .stores = &store, .end = end};

    task_run(&task);
    store->sum = atomic_load(&task.sum);
    store->seen = end;
    return atomic_load(&task.wrong);
}
