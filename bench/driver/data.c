/* SPDX-License-Identifier: MIT
 *
 * The synthetic data: making it, loading it, looking at all of it.
 */
#include "driver/data.h"

#include <stdio.h>
#include <stdlib.h>

const char (*data_pks)[BENCH_KEY_SIZE];
const uint32_t *data_order;

const struct bench_source data_source = {.name = "synthetic", DATA_CALLS};
const struct bench_source data_thousand_source = {.name = "thousand", .items = 1000, DATA_CALLS};
const struct bench_source data_few_source = {
    .name = "few", .most = 100000, .read_once = true, DATA_CALLS};

size_t
data_count(const struct bench_source *source)
{
    size_t count = source->items != 0 ? source->items : bench_options.keys;

    return source->most != 0 && count > source->most ? source->most : count;
}

bool
data_open(const char **why)
{
    size_t keys = bench_options.keys > DATA_LEAST ? bench_options.keys : DATA_LEAST;
    size_t partitions = (keys - 1) / DATA_PARTITION_LEAST + 1;
    char text[BENCH_KEY_SIZE + 8];

    if (data_pks != NULL)
        return true;
    char(*pks)[BENCH_KEY_SIZE] = malloc(partitions * BENCH_KEY_SIZE);
    if (pks == NULL) {
        *why = "out of memory";
        return false;
    }
    for (size_t i = 0; i < partitions; i++) {
        snprintf(text, sizeof text, "part-%011u", (unsigned)i);
        memcpy(pks[i], text, BENCH_KEY_SIZE);
    }
    data_pks = (const char(*)[BENCH_KEY_SIZE])pks;
    return true;
}

/* In an order without locality, as items come in a server: neighbours in a partition are no
 * neighbours in memory. */
size_t
data_load(const struct bench_source *source, const struct bench_contender *contender, void *client)
{
    char *value = calloc(1, bench_options.value_size);
    struct data_text text;
    size_t done = 0, count = data_count(source);
    uint64_t sum = 0;

    if (value == NULL || (contender->bulk_begin != NULL && !contender->bulk_begin(client))) {
        free(value);
        return 0;
    }
    for (; done < count; done++) {
        uint32_t index = random_scatter(done, count);
        lk_item put = {data_key(index, &text), {NULL, 0}, 0};
        put.data = data_value(value, text.sk, index);
        if (!contender->set(client, &put))
            break;
    }
    free(value);
    if (contender->bulk_end != NULL && !contender->bulk_end(client))
        return 0;
    if (source->read_once && data_verify(source, contender, client, 0, 1, count, &sum) != 0)
        return 0;
    return done == count ? count : 0;
}

bool
data_read(const struct bench_contender *contender, void *client, size_t index, uint64_t *sum)
{
    struct data_text text;
    lk_key key = data_key(index, &text);
    lk_bytes value;
    uint64_t number;

    if (!contender->get(client, &key, &value) || !data_proves(value, text.sk, &number))
        return false;
    *sum += number;
    return true;
}

uint64_t
data_verify(const struct bench_source *source, const struct bench_contender *contender,
            void *client, size_t first, size_t step, size_t end, uint64_t *sum)
{
    size_t count = source->count(source);
    uint64_t wrong = 0;

    for (size_t i = first; i < end; i += step)
        wrong += !source->read(contender, client, random_scatter(i, count), sum);
    return wrong;
}

uint64_t
data_sum(const struct bench_contender *contender, void *store, size_t first, size_t step,
         size_t end, uint64_t *wrong)
{
    void *client = contender->attach(store);
    uint64_t sum = 0;

    *wrong += client == NULL;
    for (size_t i = first; client != NULL && i < end; i += step)
        *wrong += !data_read(contender, client, i, &sum);
    if (client != NULL)
        contender->detach(client);
    return sum;
}

void
data_key_name(size_t index, char *text, size_t size)
{
    struct data_text bytes;
    lk_key key = data_key(index, &bytes);

    snprintf(text, size, "%.*s/%.*s", BENCH_KEY_SIZE, (const char *)key.pk.data, BENCH_KEY_SIZE,
             (const char *)key.sk.data);
}

static int
order_compare(const void *left, const void *right)
{
    uint64_t a = random_mix(*(const uint32_t *)left), b = random_mix(*(const uint32_t *)right);

    return a < b ? -1 : a > b;
}

bool
data_order_open(void)
{
    size_t count = bench_options.keys;

    if (data_order != NULL)
        return true;
    uint32_t *order = malloc(count * sizeof *order);
    if (order == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    for (size_t i = 0; i < count; i += DATA_PARTITION_ITEMS) {
        size_t size = count - i < DATA_PARTITION_ITEMS ? count - i : DATA_PARTITION_ITEMS;
        qsort(order + i, size, sizeof *order, order_compare);
    }
    data_order = order;
    return true;
}
