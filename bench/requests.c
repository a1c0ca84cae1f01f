/* SPDX-License-Identifier: MIT
 *
 * Making the requests of a thread.
 */
#include "requests.h"

#include "data.h"

#include <stdlib.h>

_Static_assert(REQUEST_KEY_SIZE == DATA_KEY_SIZE, "a request has room for a key");

static lk_key
body_make(struct request_body *body, size_t index)
{
    struct data_text text;
    lk_key made = data_key(index, &text);

    memcpy(body->pk, made.pk.data, REQUEST_KEY_SIZE);
    memcpy(body->sk, made.sk.data, REQUEST_KEY_SIZE);
    body->proof = data_proof(body->sk);
    return (lk_key){{body->pk, REQUEST_KEY_SIZE}, {body->sk, REQUEST_KEY_SIZE}};
}

static bool
reads_make(struct requests *requests, struct request_body *bodies, const uint32_t *indexes,
           size_t count)
{
    lk_key *keys = malloc(count * sizeof *keys);

    requests->keys = keys;
    for (size_t i = 0; keys != NULL && i < count; i++)
        keys[i] = body_make(&bodies[i], indexes[i]);
    return keys != NULL;
}

static bool
writes_make(struct requests *requests, struct request_body *bodies, const uint32_t *indexes,
            size_t count, unsigned thread)
{
    size_t size = requests->value_size;
    lk_item *items = malloc(count * sizeof *items);
    char *values = calloc(count, size);

    requests->items = items;
    requests->values = values;
    for (size_t i = 0; items != NULL && values != NULL && i < count; i++) {
        uint64_t number = ((uint64_t)thread << 40) + i;
        items[i].key = body_make(&bodies[i], indexes[i]);
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
        .bodies = bodies, .value_size = bench_options.value_size, .mask = count - 1};
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
