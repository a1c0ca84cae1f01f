/* SPDX-License-Identifier: MIT
 *
 * The synthetic data: making it, loading it, looking at all of it.
 */
#include "driver/data.h"

#include <stdio.h>
#include <stdlib.h>

const char (*data_pks)[DATA_KEY_SIZE];
const uint32_t *data_order;

static size_t
data_count(void)
{
    return bench_options.keys;
}

static bool
data_open(const char **why)
{
    size_t keys = data_count() > DATA_LEAST ? data_count() : DATA_LEAST;
    size_t partitions = (keys - 1) / DATA_PARTITION_LEAST + 1;
    char text[DATA_KEY_SIZE + 8];

    if (data_pks != NULL)
        return true;
    char(*pks)[DATA_KEY_SIZE] = malloc(partitions * DATA_KEY_SIZE);
    if (pks == NULL) {
        *why = "out of memory";
        return false;
    }
    for (size_t i = 0; i < partitions; i++) {
        snprintf(text, sizeof text, "part-%011u", (unsigned)i);
        memcpy(pks[i], text, DATA_KEY_SIZE);
    }
    data_pks = (const char(*)[DATA_KEY_SIZE])pks;
    return true;
}

/* In an order without locality, as items come in a server: neighbours in a partition are no
 * neighbours in memory. */
static size_t
data_load_count(const struct bench_contender *contender, void *client, size_t count)
{
    char *value = calloc(1, bench_options.value_size);
    struct data_text text;
    size_t done = 0;

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
    return done == count ? count : 0;
}

static size_t
data_load(const struct bench_contender *contender, void *client)
{
    return data_load_count(contender, client, data_count());
}

static uint64_t
data_verify_count(const struct bench_contender *contender, void *client, size_t count, size_t first,
                  size_t step, size_t end, uint64_t *sum)
{
    struct data_text text;
    uint64_t wrong = 0;

    for (size_t i = first; i < end; i += step) {
        lk_key key = data_key(random_scatter(i, count), &text);
        lk_bytes value;
        uint64_t number;
        if (!contender->get(client, &key, &value) || !data_proves(value, text.sk, &number))
            wrong++;
        else
            *sum += number;
    }
    return wrong;
}

static uint64_t
data_verify(const struct bench_contender *contender, void *client, size_t first, size_t step,
            size_t end, uint64_t *sum)
{
    return data_verify_count(contender, client, data_count(), first, step, end, sum);
}

static void
data_name(size_t index, char *text, size_t size)
{
    struct data_text bytes;
    lk_key key = data_key(index, &bytes);

    snprintf(text, size, "%.*s/%.*s", DATA_KEY_SIZE, (const char *)key.pk.data, DATA_KEY_SIZE,
             (const char *)key.sk.data);
}

const struct bench_source data_source = {
    .name = "synthetic",
    .open = data_open,
    .load = data_load,
    .count = data_count,
    .verify = data_verify,
    .key_name = data_name,
};

/* ---- the first ones alone ---- */

static size_t
thousand_count(void)
{
    return DATA_THOUSAND;
}

static size_t
thousand_load(const struct bench_contender *contender, void *client)
{
    return data_load_count(contender, client, DATA_THOUSAND);
}

static uint64_t
thousand_verify(const struct bench_contender *contender, void *client, size_t first, size_t step,
                size_t end, uint64_t *sum)
{
    return data_verify_count(contender, client, DATA_THOUSAND, first, step, end, sum);
}

const struct bench_source data_thousand_source = {
    .name = "thousand",
    .open = data_open,
    .load = thousand_load,
    .count = thousand_count,
    .verify = thousand_verify,
    .key_name = data_name,
};

static size_t
few_count(void)
{
    return bench_options.keys < DATA_FEW ? bench_options.keys : DATA_FEW;
}

static uint64_t
few_verify(const struct bench_contender *contender, void *client, size_t first, size_t step,
           size_t end, uint64_t *sum)
{
    return data_verify_count(contender, client, few_count(), first, step, end, sum);
}

/* Reads each item once, so that a cache has it. */
static size_t
few_load(const struct bench_contender *contender, void *client)
{
    size_t count = few_count();
    uint64_t sum = 0;

    if (data_load_count(contender, client, count) != count)
        return 0;
    return few_verify(contender, client, 0, 1, count, &sum) == 0 ? count : 0;
}

const struct bench_source data_few_source = {
    .name = "few",
    .open = data_open,
    .load = few_load,
    .count = few_count,
    .verify = few_verify,
    .key_name = data_name,
};

static int
order_compare(const void *left, const void *right)
{
    uint64_t a = random_mix(*(const uint32_t *)left), b = random_mix(*(const uint32_t *)right);

    return a < b ? -1 : a > b;
}

bool
data_order_open(void)
{
    size_t count = data_count();

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
