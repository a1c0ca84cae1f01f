/* SPDX-License-Identifier: MIT
 *
 * Keys that were made to collide cost a store no more than others: counted, not timed. Families of
 * keys that defeat hashes without a secret, or with the secret zero, and random keys of the same
 * shape: what a set and a get of each cost in accesses to shared words is at most 1.2 times as
 * much, and the memory at most 1.1 times. The twins: with the secret zero, which any of these
 * families knows, it is not so.
 */
#include <string.h>

#include "adapter/handle.h"
#include "schedule/store.h"
#include "store/store.h"

enum { WORDS = 4, KEYS = 10000, TWIN = 2500 };

static uint64_t
mixed(uint64_t i)
{
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

/* What the library makes once is there before. */
static void
prepare(void)
{
    lk_close(store_open());
}

typedef struct cost {
    uint64_t accesses, bytes;
} cost;

/* pk of two words, sk of two; those from `at` on differ. Of a hostile key one of them is zero: the
 * product of one half with the secret zero is zero, whatever the other is. */
static cost
cost_of(size_t at, bool hostile, bool secret_is_zero, uint64_t count)
{
    lk_db *db = store_open();
    lk_statistics now;
    size_t size;
    lki_store *store = db->state;
    if (secret_is_zero)
        memset(&store->secret, 0, sizeof store->secret);
    uint64_t before = schedule_step();
    for (int reads = 0; reads < 2; reads++)
        for (uint64_t i = 0; i < count; i++) {
            uint64_t words[WORDS] = {0}, value = 0;
            for (size_t k = 0; k < 2; k++)
                if (!hostile || i % 2 == k)
                    words[at + k] = mixed(2 * i + k);
            lk_key key = {{words, 16}, {words + 2, 16}};
            lk_item item = store_item(key, &value);
            STORE_MUST(reads ? lk_get_into(db, key, &value, sizeof value, &size)
                             : lk_set(db, &item, 1));
        }
    uint64_t accesses = schedule_step() - before;
    STORE_MUST(lk_statistics_read(db, &now));
    lk_close(db);
    return (cost){accesses, now.allocated_bytes};
}

static void
flood(size_t at, bool secret_is_zero, uint64_t count)
{
    cost wanted = cost_of(at, false, secret_is_zero, count);
    cost of = cost_of(at, true, secret_is_zero, count);
    schedule_note("%d keys: %d accesses, %d bytes; random ones: %d, %d", (int)count,
                  (int)of.accesses, (int)of.bytes, (int)wanted.accesses, (int)wanted.bytes);
    if (of.accesses * 10 > wanted.accesses * 12 || of.bytes * 10 > wanted.bytes * 11)
        schedule_fail("keys that collide cost %d accesses and %d bytes, others %d and %d",
                      (int)of.accesses, (int)of.bytes, (int)wanted.accesses, (int)wanted.bytes);
}

static void
flood_of_keys(void)
{
    flood(2, false, KEYS);
}

static void
flood_of_partitions(void)
{
    flood(0, false, KEYS);
}

static void
flood_of_keys_that_knows(void)
{
    flood(2, true, TWIN);
}

static void
flood_of_partitions_that_knows(void)
{
    flood(0, true, TWIN);
}

#define FLOOD(title, what, ...)                                                          \
    {                                                                                    \
        .name = title, .prepare = prepare, .body = {what}, .count = 1, .limit = 1 << 30, \
        .memory = SCHEDULE_SC, __VA_ARGS__                                               \
    }

const schedule_scenario schedule_scenarios[] = {
    FLOOD("flood_keys", flood_of_keys),
    FLOOD("flood_partitions", flood_of_partitions),
    FLOOD("flood_keys_known", flood_of_keys_that_knows, .fails = "keys that collide"),
    FLOOD("flood_partitions_known", flood_of_partitions_that_knows, .fails = "keys that collide"),
    {0},
};
