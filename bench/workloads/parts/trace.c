/* SPDX-License-Identifier: MIT
 *
 * Traces: how they are made.
 */
#include "workloads/parts/trace.h"

#include "driver/random.h"

#include <stdlib.h>

const char *
trace_name(enum trace_kind kind)
{
    static const char *const names[TRACE_KINDS] = {"zipf", "+ scan, mixed", "+ scan, bursts",
                                                   "+ scan, table"};

    return names[kind];
}

static size_t
share_of_keys(const struct trace *trace, size_t part)
{
    return trace->keys / part > 0 ? trace->keys / part : 1;
}

static bool
request_is_scan(const struct trace *trace, size_t i)
{
    if (trace->kind == TRACE_SCAN_MIXED)
        return i % 4 == 3;
    return trace_has_scans(trace->kind) && i / share_of_keys(trace, 50) % 4 == 3;
}

bool
trace_open(struct trace *trace, enum trace_kind kind, size_t keys, size_t requests, double theta,
           uint64_t seed)
{
    struct distribution distribution = {DISTRIBUTION_ZIPF, theta, 0};
    uint32_t *draws = malloc(requests * sizeof *draws);
    size_t asked = 0, scanned = 0;

    trace->kind = kind;
    trace->keys = keys;
    trace->count = requests;
    trace->warmup = requests / 3;
    trace->asks = malloc(requests * sizeof *trace->asks);
    if (draws == NULL || trace->asks == NULL) {
        free(draws);
        trace_close(trace);
        return false;
    }
    distribution_draw(&distribution, seed, keys, draws, requests);
    for (size_t i = 0; i < requests; i++) {
        if (!request_is_scan(trace, i)) {
            trace->asks[i] = draws[asked++];
            continue;
        }
        size_t key = kind == TRACE_SCAN_TABLE ? scanned % keys : keys + scanned;
        trace->asks[i] = (uint32_t)key | TRACE_SCAN;
        scanned++;
    }
    free(draws);
    return true;
}

void
trace_close(struct trace *trace)
{
    free(trace->asks);
    trace->asks = NULL;
}
