/* SPDX-License-Identifier: MIT
 *
 * Making the requests of a thread.
 */
#include "driver/requests.h"

#include "driver/data.h"

#include <stdlib.h>

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

bool
requests_open(struct requests *requests, const uint32_t *indexes, size_t count, bool writes,
              unsigned thread)
{
    struct request_body *bodies = malloc(count * sizeof *bodies);

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

void
requests_close(struct requests *requests)
{
    free((void *)(uintptr_t)requests->keys);
    free((void *)(uintptr_t)requests->items);
    free((void *)(uintptr_t)requests->bodies);
    free(requests->values);
    *requests = (struct requests){0};
}
