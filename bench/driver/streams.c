/* SPDX-License-Identifier: MIT
 *
 * What the threads of a run find ready: indexes of items, by a distribution, and requests.
 */
#include "driver/data.h"
#include "driver/driver.h"

#include <assert.h>
#include <stdlib.h>

#define STREAM_INDEXES ((size_t)1 << 18)
#define REQUESTS_BYTES ((size_t)1 << 30) /* of all threads */
#define REQUEST_BYTES (sizeof(lk_item) + sizeof(struct request_body))
#define REQUESTS_PER_ITEM 4

/* ---- requests ------------------------------------------------------------------------------- */

/* Numbers of new items are none of loaded ones, which are indexes. */
static uint64_t
number_of(unsigned thread, size_t i)
{
    return UINT64_C(1) << 48 | (uint64_t)thread << 40 | i;
}

static lk_key
body_make(struct request_body *body, lk_key made)
{
    memcpy(body->pk, made.pk.data, BENCH_KEY_SIZE);
    memcpy(body->sk, made.sk.data, BENCH_KEY_SIZE);
    body->proof = data_proof(body->sk);
    return (lk_key){{body->pk, BENCH_KEY_SIZE}, {body->sk, BENCH_KEY_SIZE}};
}

static bool
reads_make(struct requests *requests, struct request_body *bodies, const uint32_t *indexes,
           size_t count)
{
    lk_key *keys = malloc(count * sizeof *keys);
    struct data_text text;

    requests->keys = keys;
    for (size_t i = 0; keys != NULL && i < count; i++)
        keys[i] = body_make(&bodies[i], data_key(indexes[i], &text));
    return keys != NULL;
}

static bool
writes_make(struct requests *requests, struct request_body *bodies, const uint32_t *indexes,
            size_t count, unsigned thread)
{
    size_t size = requests->value_size;
    lk_item *items = malloc(count * sizeof *items);
    char *values = calloc(count, size);
    struct data_text text;

    requests->items = items;
    requests->values = values;
    for (size_t i = 0; items != NULL && values != NULL && i < count; i++) {
        uint64_t number = number_of(thread, i);
        lk_key key = indexes != NULL ? data_key(indexes[i], &text) : data_new_key(number, &text);
        items[i].key = body_make(&bodies[i], key);
        items[i].data = data_value(values + i * size, bodies[i].sk, number);
        items[i].expires_at_ms = 0;
    }
    return items != NULL && values != NULL;
}

static void
requests_close(struct requests *requests)
{
    free((void *)(uintptr_t)requests->keys);
    free((void *)(uintptr_t)requests->items);
    free((void *)(uintptr_t)requests->bodies);
    free(requests->values);
    *requests = (struct requests){0};
}

/* Requests to read the items with these indexes, or to write them, or to write new ones (`indexes`
 * NULL), of which no other thread has any. False: no memory, and nothing is left. */
static bool
requests_open(struct requests *requests, const uint32_t *indexes, size_t count, bool writes,
              unsigned thread)
{
    struct request_body *bodies = malloc(count * sizeof *bodies);

    assert(count > 0);
    *requests = (struct requests){
        .bodies = bodies,
        .value_size = bench_options.value_size,
        .mask = (count & (count - 1)) == 0 ? count - 1 : SIZE_MAX,
    };
    if (bodies != NULL && (writes ? writes_make(requests, bodies, indexes, count, thread)
                                  : reads_make(requests, bodies, indexes, count)))
        return true;
    requests_close(requests);
    return false;
}

/* ---- streams -------------------------------------------------------------------------------- */

/* So many that an item is not in the cache because its request came a moment ago; few where all
 * items are in it anyway, so that the requests are, too. Of new items as many as a run needs. */
static size_t
requests_count(const struct driver_streams *streams, const struct bench_workload *workload,
               size_t items)
{
    size_t bytes = REQUESTS_BYTES / streams->threads;
    size_t most = bytes / (REQUEST_BYTES + bench_options.value_size), count = BENCH_GROUP;
    size_t wanted = REQUESTS_PER_ITEM * items;

    if (workload->requests == REQUESTS_NEW)
        wanted = (size_t)(workload->fill * bench_options.duration_s);
    else if (wanted > streams->each)
        wanted = streams->each;
    while (count < wanted && 2 * count <= most)
        count *= 2;
    return count;
}

/* Lets two neighbours be different items, where there are two: the second one is drawn again. */
static void
indexes_pair(uint32_t *indexes, size_t count, size_t bound)
{
    for (size_t i = 0; i + 1 < count; i += 2) {
        size_t looks = 0;
        while (indexes[i + 1] == indexes[i] && looks++ < count)
            indexes[i + 1] = indexes[(i + 1 + looks) % count];
        if (indexes[i + 1] == indexes[i])
            indexes[i + 1] = (uint32_t)((indexes[i] + 1) % bound);
    }
}

/* Of all items, for all threads. */
static bool
requests_open_all(struct driver_streams *streams, size_t items, bool ordered)
{
    uint32_t *indexes = malloc(items * sizeof *indexes);

    for (size_t i = 0; indexes != NULL && i < items; i++)
        indexes[i] = ordered ? (uint32_t)i : random_scatter(i, items);
    bool good = indexes != NULL && requests_open(streams->requests, indexes, items, true, 0);
    free(indexes);
    return good;
}

static bool
streams_requests_open(struct driver_streams *streams, const struct bench_workload *workload,
                      size_t items)
{
    enum bench_requests kind = workload->requests;
    size_t count = requests_count(streams, workload, items);
    bool good = true;

    streams->requests = calloc(streams->threads, sizeof *streams->requests);
    streams->shared = kind >= REQUESTS_ALL;
    if (streams->requests == NULL)
        return false;
    if (streams->shared)
        return requests_open_all(streams, items, kind == REQUESTS_ALL_ORDERED);
    for (unsigned i = 0; i < streams->threads && good; i++) {
        uint32_t *indexes = streams->indexes + i * streams->each;
        if (kind == REQUESTS_PAIRS)
            indexes_pair(indexes, count, items);
        good = requests_open(&streams->requests[i], kind == REQUESTS_NEW ? NULL : indexes, count,
                             kind >= REQUESTS_WRITE, i);
    }
    return good;
}

bool
driver_streams_open(struct driver_streams *streams, const struct bench_workload *workload,
                    const struct bench_source *source, const struct distribution *distribution,
                    unsigned threads)
{
    size_t items = source != NULL ? source->count(source) : 0;

    *streams = (struct driver_streams){.each = STREAM_INDEXES, .threads = threads};
    if (distribution->kind == DISTRIBUTION_UNIFORM)
        streams->each *= 4;
    if (distribution->kind != DISTRIBUTION_NONE) {
        streams->indexes = malloc(streams->each * threads * sizeof *streams->indexes);
        if (streams->indexes == NULL)
            return false;
        distribution_draw(distribution, bench_options.seed, items, streams->indexes,
                          streams->each * threads);
    }
    if (workload->requests == REQUESTS_NONE || streams_requests_open(streams, workload, items))
        return true;
    driver_streams_close(streams);
    return false;
}

void
driver_streams_close(struct driver_streams *streams)
{
    for (unsigned i = 0; streams->requests != NULL && i < streams->threads; i++)
        requests_close(&streams->requests[i]);
    free(streams->requests);
    free(streams->indexes);
    *streams = (struct driver_streams){0};
}
