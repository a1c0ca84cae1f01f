/* SPDX-License-Identifier: MIT
 *
 * Traces of requests, with which the workload cache-rate compares caches.
 *
 * A "zipf" request asks for a key by rank. Scan requests, a quarter of all where there are any,
 * walk over keys in order.
 */
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_SCAN UINT32_C(0x80000000) /* marks a request of a scan */

enum trace_kind {
    TRACE_PLAIN,
    TRACE_SCAN_MIXED,  /* every fourth request is of a scan over keys that never come again */
    TRACE_SCAN_BURSTS, /* the same, keys/50 of them at once */
    TRACE_SCAN_TABLE,  /* keys/50 at once, round and round over the zipf's own keys */
    TRACE_KINDS
};

struct trace {
    enum trace_kind kind;
    size_t keys; /* of the zipf requests */
    size_t count, warmup;
    uint32_t *asks;
};

/* Fills `trace` with so many requests, a third of them for the warm-up. False: out of memory. */
bool trace_open(struct trace *trace, enum trace_kind kind, size_t keys, size_t requests,
                double theta, uint64_t seed);
void trace_close(struct trace *trace);

const char *trace_name(enum trace_kind kind);

static inline bool
trace_has_scans(enum trace_kind kind)
{
    return kind == TRACE_SCAN_MIXED || kind == TRACE_SCAN_BURSTS || kind == TRACE_SCAN_TABLE;
}

#endif
