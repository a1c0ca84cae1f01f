/* SPDX-License-Identifier: MIT
 *
 * Which policy of eviction a cache should have: simulated hit rates of several on the same traces,
 * by one thread, without stores. Its own tables; runs only when asked for.
 *
 * Hit rates are counted after a warm-up, over the
 * zipf requests, and in a line of their own over all requests. "best" is what the hottest keys
 * alone would give if they were known and stayed: no policy can do better over the zipf requests.
 */
#include "driver/bench.h"
#include "record/record.h"
#include "workloads/parts/policies.h"
#include "workloads/parts/trace.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX 10
#define SIZES_MAX 3

struct column {
    struct policy_kind kind;
    unsigned shards;
};

/* A table: each trace with each theta and each capacity is a row, each policy a column; the first
 * column is what the others are measured against. */
struct contest {
    const char *workload, *title;
    size_t keys, requests;
    unsigned kinds; /* of traces, bits */
    double thetas[5];
    size_t capacities[SIZES_MAX];
    struct column columns[COLUMNS_MAX];
};

struct rates {
    double zipf, all;
};

/* For a kind of trace and a column: the difference to the first column. */
struct summary {
    double least, sum;
    unsigned rows, below, five_above;
};

/* What the `capacity` hottest keys get of all zipf requests. */
static double
rate_best(size_t keys, double theta, size_t capacity)
{
    double hot = 0, all = 0;

    for (size_t i = 1; i <= keys; i++) {
        double weight = pow((double)i, -theta);
        all += weight;
        if (i <= capacity)
            hot += weight;
    }
    return hot / all;
}

/* ---- one cell -------------------------------------------------------------------------------- */

/* False: out of memory, or a policy that lost count. */
static bool
cell_run(const struct trace *trace, const struct column *column, size_t capacity,
         struct rates *rates)
{
    struct policy *policy = policy_open(&column->kind, trace->bound, capacity, column->shards);
    size_t hits[2] = {0, 0}, asks[2] = {0, 0};

    if (policy == NULL)
        return false;
    for (size_t i = 0; i < trace->count; i++) {
        bool scan = (trace->asks[i] & TRACE_SCAN) != 0;
        bool hit = policy_ask(policy, trace->asks[i] & ~TRACE_SCAN);
        if (i < trace->warmup)
            continue;
        asks[scan]++;
        hits[scan] += hit;
    }
    rates->zipf = 100.0 * (double)hits[0] / (double)asks[0];
    rates->all = 100.0 * (double)(hits[0] + hits[1]) / (double)(asks[0] + asks[1]);
    bool sound = policy_check(policy);
    policy_close(policy);
    return sound;
}

static void
summary_add(struct summary *summary, double difference)
{
    if (summary->rows == 0 || difference < summary->least)
        summary->least = difference;
    summary->sum += difference;
    summary->rows++;
    summary->below += difference < -0.05;
    summary->five_above += difference >= 5;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static size_t
column_count(const struct contest *contest)
{
    size_t count = 0;

    while (count < COLUMNS_MAX && contest->columns[count].kind.name != NULL)
        count++;
    return count;
}

static void
heading_print(const struct contest *contest, size_t columns)
{
    printf("\n%s; %zu keys, %zu requests, a third of them warm-up; hits in percent\n",
           contest->title, contest->keys, contest->requests);
    printf("  %-15s %5s %7s", "trace", "theta", "items");
    for (size_t i = 0; i < columns; i++)
        printf(" %11s", contest->columns[i].kind.name);
    printf(" %7s\n", "best");
}

static void
rate_record(const struct contest *contest, const struct trace *trace, double theta, size_t capacity,
            size_t column, double hits)
{
    char text[48];

    snprintf(text, sizeof text, "%zu keys, %s %.1f, %zu items", contest->keys,
             trace_name(trace->kind), theta, capacity);
    record_figure(contest->workload, contest->columns[column].kind.name, 0, text, "%", hits);
}

static bool
row_run(const struct contest *contest, const struct trace *trace, double theta, size_t capacity,
        struct summary *summaries)
{
    size_t columns = column_count(contest);
    struct rates rates[COLUMNS_MAX];

    for (size_t i = 0; i < columns; i++) {
        if (!cell_run(trace, &contest->columns[i], capacity, &rates[i])) {
            printf("  WRONG: %s lost count\n", contest->columns[i].kind.name);
            return false;
        }
        summary_add(&summaries[i], rates[i].zipf - rates[0].zipf);
        rate_record(contest, trace, theta, capacity, i, rates[i].zipf);
    }
    printf("  %-15s %5.1f %7zu", trace_name(trace->kind), theta, capacity);
    for (size_t i = 0; i < columns; i++)
        printf(" %11.2f", rates[i].zipf);
    if (trace->kind <= TRACE_SCAN_TABLE)
        printf(" %7.2f", 100 * rate_best(contest->keys, theta, capacity));
    printf("\n");
    if (!trace_has_scans(trace->kind))
        return true;
    printf("  %29s", "all requests");
    for (size_t i = 0; i < columns; i++)
        printf(" %11.2f", rates[i].all);
    printf("\n");
    return true;
}

static void
summary_print(const struct contest *contest, enum trace_kind kind, const struct summary *summaries)
{
    size_t columns = column_count(contest);

    printf("  %-29s", trace_name(kind));
    for (size_t i = 0; i < columns; i++)
        printf(" %+4.1f %+6.2f", summaries[i].sum / summaries[i].rows, summaries[i].least);
    printf("\n  %15s %u rows: < 0, >= 5", "", summaries[0].rows);
    for (size_t i = 0; i < columns; i++)
        printf(" %4u %6u", summaries[i].below, summaries[i].five_above);
    printf("\n");
}

static bool
contest_run(const struct contest *contest)
{
    struct summary summaries[TRACE_KINDS][COLUMNS_MAX];
    bool good = true;

    memset(summaries, 0, sizeof summaries);
    heading_print(contest, column_count(contest));
    for (enum trace_kind kind = 0; kind < TRACE_KINDS; kind++) {
        for (size_t t = 0; t < 5 && contest->thetas[t] > 0 && !bench_interrupted(); t++) {
            struct trace trace;
            if ((contest->kinds & 1u << kind) == 0)
                continue;
            if (!trace_open(&trace, kind, contest->keys, contest->requests, contest->thetas[t],
                            bench_options.seed))
                return false;
            for (size_t s = 0; s < SIZES_MAX && contest->capacities[s] > 0; s++)
                good = row_run(contest, &trace, contest->thetas[t], contest->capacities[s],
                               summaries[kind]) &&
                       good;
            trace_close(&trace);
        }
    }
    printf("  over the zipf requests, points above %s: mean, least; rows below it, rows with 5\n",
           contest->columns[0].kind.name);
    for (enum trace_kind kind = 0; kind < TRACE_KINDS; kind++)
        if (summaries[kind][0].rows > 0)
            summary_print(contest, kind, summaries[kind]);
    return good;
}

/* ---- contests -------------------------------------------------------------------------------- */

#define KINDS_ALL ((1u << TRACE_KINDS) - 1)
#define KINDS_SOME (1u << TRACE_PLAIN | 1u << TRACE_SCAN_MIXED | 1u << TRACE_SHIFT)

/* name, family, most, promote, small, ghost, kept */
#define COLUMN_LRU                            \
    {                                         \
        {"lru", POLICY_LRU, 0, 0, 0, 0, 0}, 1 \
    }

#define COLUMNS_POLICIES                                         \
    {                                                            \
        COLUMN_LRU, {{"fifo", POLICY_FIFO, 0, 0, 0, 0, 0}, 1},   \
            {{"clock", POLICY_CLOCK, 1, 0, 0, 0, 0}, 1},         \
            {{"sieve", POLICY_SIEVE, 1, 0, 0, 0, 0}, 1},         \
            {{"s3:3>=2", POLICY_S3_FIFO, 3, 2, 0.1, 0.9, 0}, 1}, \
            {{"s3:3>=1", POLICY_S3_FIFO, 3, 1, 0.1, 0.9, 0}, 1}, \
            {{"s3:2>=2", POLICY_S3_FIFO, 2, 2, 0.1, 0.9, 0}, 1}, \
            {{"s3:2>=1", POLICY_S3_FIFO, 2, 1, 0.1, 0.9, 0}, 1}, \
            {{"s3:1>=1", POLICY_S3_FIFO, 1, 1, 0.1, 0.9, 0}, 1}, \
    }

static const struct contest contests[] = {
    {
        .workload = "cache-policy",
        .title = "policies; s3:M>=P is S3-FIFO that counts hits to M and promotes at P",
        .keys = 100000,
        .requests = 900000,
        .kinds = KINDS_ALL,
        .thetas = {0.8, 0.9, 1.0, 1.1, 1.2},
        .capacities = {100, 1000, 10000},
        .columns = COLUMNS_POLICIES,
    },
    {
        .workload = "cache-policy",
        .title = "S3-FIFO with two unary bits: promotion, small share, ghost share, hits kept",
        .keys = 100000,
        .requests = 900000,
        .kinds = KINDS_SOME,
        .thetas = {0.8, 1.0, 1.2},
        .capacities = {100, 1000, 10000},
        .columns =
            {
                COLUMN_LRU,
                {{">=2", POLICY_S3_FIFO, 2, 2, 0.1, 0.9, 0}, 1},
                {{">=1", POLICY_S3_FIFO, 2, 1, 0.1, 0.9, 0}, 1},
                {{">=1 ghost 1", POLICY_S3_FIFO, 2, 1, 0.1, 1.0, 0}, 1},
                {{">=1 gh 0.5", POLICY_S3_FIFO, 2, 1, 0.1, 0.5, 0}, 1},
                {{">=1 gh 2", POLICY_S3_FIFO, 2, 1, 0.1, 2.0, 0}, 1},
                {{">=1 small 5", POLICY_S3_FIFO, 2, 1, 0.05, 0.9, 0}, 1},
                {{">=1 small20", POLICY_S3_FIFO, 2, 1, 0.2, 0.9, 0}, 1},
                {{">=1 kept", POLICY_S3_FIFO, 2, 1, 0.1, 0.9, 1}, 1},
                {{">=2 kept", POLICY_S3_FIFO, 2, 2, 0.1, 0.9, 1}, 1},
            },
    },
    {
        .workload = "cache-policy",
        .title = "the capacity split over shards (/16, /64)",
        .keys = 100000,
        .requests = 900000,
        .kinds = KINDS_SOME,
        .thetas = {0.8, 1.0, 1.2},
        .capacities = {100, 1000, 10000},
        .columns =
            {
                COLUMN_LRU,
                {{"lru/16", POLICY_LRU, 0, 0, 0, 0, 0}, 16},
                {{"lru/64", POLICY_LRU, 0, 0, 0, 0, 0}, 64},
                {{"s3:2>=1", POLICY_S3_FIFO, 2, 1, 0.1, 0.9, 0}, 1},
                {{"s3:2>=1/16", POLICY_S3_FIFO, 2, 1, 0.1, 0.9, 0}, 16},
                {{"s3:2>=1/64", POLICY_S3_FIFO, 2, 1, 0.1, 0.9, 0}, 64},
                {{"s3:1>=1/16", POLICY_S3_FIFO, 1, 1, 0.1, 0.9, 0}, 16},
                {{"s3:1>=1/64", POLICY_S3_FIFO, 1, 1, 0.1, 0.9, 0}, 64},
                {{"sieve/16", POLICY_SIEVE, 1, 0, 0, 0, 0}, 16},
                {{"sieve/64", POLICY_SIEVE, 1, 0, 0, 0, 0}, 64},
            },
    },
    {
        .workload = "cache-policy",
        .title = "small caches",
        .keys = 1000,
        .requests = 100000,
        .kinds = KINDS_ALL,
        .thetas = {0.8, 1.0, 1.2},
        .capacities = {3, 10, 100},
        .columns = COLUMNS_POLICIES,
    },
};

static const struct contest contest_large = {
    .workload = "cache-policy-large",
    .title = "policies; s3:M>=P is S3-FIFO that counts hits to M and promotes at P",
    .keys = 1000000,
    .requests = 6000000,
    .kinds = KINDS_ALL,
    .thetas = {0.8, 0.9, 1.0, 1.1, 1.2},
    .capacities = {1000, 10000, 100000},
    .columns = COLUMNS_POLICIES,
};

static bool
cache_policy_run(const struct bench_contender *const *contenders, size_t count)
{
    bool good = true;

    (void)contenders;
    (void)count;
    for (size_t i = 0; i < sizeof contests / sizeof contests[0]; i++)
        good = contest_run(&contests[i]) && good;
    return good;
}

static bool
cache_policy_large_run(const struct bench_contender *const *contenders, size_t count)
{
    (void)contenders;
    (void)count;
    return contest_run(&contest_large);
}

static bool
can_cache_policy(const struct bench_contender *contender)
{
    return contender->order == 0;
}

static const struct bench_workload workload_cache_policy = {
    .name = "cache-policy",
    .what = "simulated hit rates of policies of eviction, 100,000 keys",
    .order = 84,
    .on_request = true,
    .can = can_cache_policy,
    .run = cache_policy_run,
};
BENCH_WORKLOAD(workload_cache_policy)

static const struct bench_workload workload_cache_policy_large = {
    .name = "cache-policy-large",
    .what = "the same with 1,000,000 keys, a minute",
    .order = 85,
    .on_request = true,
    .can = can_cache_policy,
    .run = cache_policy_large_run,
};
BENCH_WORKLOAD(workload_cache_policy_large)
