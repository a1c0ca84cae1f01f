/* SPDX-License-Identifier: MIT
 *
 * A crowd: the threads of a stress test. Members note what went wrong and go on; crowd_main fails
 * the program in the end, with the seed (LK_TEST_SEED). Values prove themselves: whose they are,
 * which one, and that no byte of them is another's.
 */
#ifndef LATCHKEY_TESTS_CROWD_H
#define LATCHKEY_TESTS_CROWD_H

#include <latchkey/latchkey.h>

#include "support/scale.h"

enum { CROWD_MAX = 16, CROWD_VALUE_MAX = 700, CROWD_KEY_ROOM = 48 };

typedef struct crowd_member {
    size_t index;
    uint64_t random;
    void *context;
    lk_result *result;
} crowd_member;

typedef struct crowd_scenario {
    const char *name;
    void (*run)(void);
} crowd_scenario;

/* A member's assertion, with two numbers that tell more. */
#define EXPECT(condition, a, b) \
    ((condition) ? (void)0      \
                 : crowd_fail(__FILE__, __LINE__, #condition, (uint64_t)(a), (uint64_t)(b)))
#define EXPECT_OK(call) crowd_expect_ok(__FILE__, __LINE__, #call, (call))

void crowd_fail(const char *file, int line, const char *what, uint64_t a, uint64_t b);
void crowd_expect_ok(const char *file, int line, const char *what, lk_status status);
bool crowd_is_well(void);
uint64_t crowd_seed(void);
uint64_t crowd_random(uint64_t *state);
/* A number of the member's below `below`. */
uint64_t crowd_pick(crowd_member *m, uint64_t below);
/* Of the monotonic clock. */
uint64_t crowd_now_ns(void);

/* `count` threads run `body` from a common start; returns when all have ended. */
void crowd_run(size_t count, void (*body)(crowd_member *), void *context);

/* A line about what a scenario did. */
void crowd_note(const char *what, uint64_t count);

/* Runs all scenarios, or those named by the arguments; the status of the program. */
int crowd_main(int argc, char **argv, const crowd_scenario *scenarios, size_t count);

/* A value of `key`, number `counter`; its size varies with both. */
size_t crowd_value(unsigned char *buffer, uint64_t key, uint64_t counter);
/* False: it is not a value of `key`, or not whole. */
bool crowd_value_check(lk_bytes data, uint64_t key, uint64_t *counter);
/* Puts one value by lk_set. */
lk_status crowd_set(lk_db *db, lk_key key, uint64_t number, uint64_t counter);

/* An allocator that counts the bytes that are out. */
void crowd_allocator(lk_memory_options *options);
uint64_t crowd_allocated(void);

#endif
