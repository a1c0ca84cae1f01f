/* SPDX-License-Identifier: MIT
 *
 * What the tests of the store share: a store with a clock that is set by hand and memory that is
 * counted and can run out, short ways to write keys and items, seeded randomness. Includes cmocka
 * with what it needs.
 */
#ifndef LATCHKEY_TESTS_KIT_H
#define LATCHKEY_TESTS_KIT_H

#include "conformance/suite/shared.h"
#include "support/scale.h"

#define KIT_START_MS INT64_C(1700000000000)
#define KIT_COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- memory ---- */

/* An allocator that counts, and fails where it is told to. Any thread may use it; `fail_at` is set
 * by one at a time. */
typedef struct kit_memory {
    atomic_size_t bytes, blocks; /* out now */
    _Atomic(int64_t) fail_at;    /* the n-th allocation from now fails; 0: none does */
    atomic_bool for_ever;        /* and all after it */
    _Atomic(uint64_t) failed;
    atomic_bool broken; /* a block was freed twice, with another size, or to another allocator */
} kit_memory;

void *kit_allocate(void *memory, size_t size);
void kit_deallocate(void *memory, void *block, size_t size);
/* The n-th allocation from now fails, and all after it if so asked; 0: none does. */
void kit_memory_fail(kit_memory *memory, int64_t nth, bool for_ever);

/* ---- a store ---- */

typedef struct kit {
    lk_db *db;
    lk_result *result;
    _Atomic(int64_t) now_ms;
    _Atomic(int64_t) monotonic_ms;
    kit_memory memory;
} kit;

/* The kit's clocks and allocator over `base`; NULL: over the defaults. */
lk_memory_options kit_options(kit *k, const lk_memory_options *base);
/* Opens with those; fails the test where that fails. Clocks start at KIT_START_MS. */
void kit_open(kit *k, const lk_memory_options *base);
/* Closes, and sees that all memory came back. */
void kit_close(kit *k);
/* Setup and teardown for cmocka: *state is a kit. */
int kit_setup(void **state);
int kit_teardown(void **state);
#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
/* Does the database behind the kit have that capability? */
bool kit_can(const kit *k, uint64_t capability);
/* Moves both clocks. */
void kit_advance(kit *k, int64_t ms);
lk_statistics kit_statistics(kit *k);
/* At check level 2: walks the whole store (store/check.h), if the kit's handle is the embedded
 * store's. No other thread is in a call. */
void kit_check(kit *k);
/* Sweeps until nothing that could go is held back. */
void kit_sweep(kit *k);

/* ---- keys, items, reads ---- */

lk_key kit_key(const char *pk, const char *sk);
lk_item kit_item(const char *pk, const char *sk, const char *data);
void kit_set(kit *k, const char *pk, const char *sk, const char *data);
lk_lock kit_lock(kit *k, lk_key key);
/* Does `key` hold exactly `data`? NULL: is it absent? */
bool kit_holds(kit *k, lk_key key, const char *data);

/* ---- randomness ---- */

typedef struct kit_random {
    uint64_t seed, state;
    const unsigned char *bytes, *end; /* if given, draws are made of these, and 0 behind them */
} kit_random;

/* LK_TEST_SEED, else `otherwise`; printed by who fails. */
kit_random kit_random_of(uint64_t otherwise);
/* Somebody else's choices, as a fuzzer's. */
kit_random kit_random_bytes(const unsigned char *bytes, size_t size);
/* All bytes were drawn; never where there are none. */
bool kit_random_ended(const kit_random *random);
/* Below `below`, which is not 0. */
uint64_t kit_draw(kit_random *random, uint64_t below);

#endif
