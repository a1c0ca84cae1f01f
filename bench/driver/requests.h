/* SPDX-License-Identifier: MIT
 *
 * The requests of one thread, made before the clock starts: keys, their bytes, and what is to be
 * written, one after the other, as a server finds them in its buffers. A loop that measures reads
 * them in order and does nothing else between two operations.
 *
 * Invariants
 *   I1 keys[i], or items[i], borrows the bytes of bodies[i].
 *   I2 a value that was written for bodies[i] holds three numbers: `proof` exclusive-or n, n, and n
 *      again at its end (data.h, I2). So a few instructions prove it, without a branch.
 */
#ifndef BENCH_REQUESTS_H
#define BENCH_REQUESTS_H

#include "driver/contender.h"

struct request_body {
    char pk[BENCH_KEY_SIZE];
    char sk[BENCH_KEY_SIZE];
    uint64_t proof;
};

struct requests {
    const lk_key *keys;   /* of a stream that only reads */
    const lk_item *items; /* of one that writes */
    const struct request_body *bodies;
    char *values; /* of the items */
    size_t value_size;
    size_t mask; /* their number less one, which is a power of two; else all ones: no way round */
    size_t at;   /* counts on; the place is `at & mask` */
};

#endif
