/* SPDX-License-Identifier: MIT
 *
 * The package database at work: files read by key, the documents of a package read by prefix, and
 * pairs of files updated in one step by several threads. Every checksum is compared with the one in
 * the database, at each read and, after the updates, for all files; the revisions must add up to
 * the commits.
 */
#include "workloads/parts/packages.h"

static bool
can_get(const struct bench_contender *contender)
{
    return contender->get != NULL && contender->set != NULL;
}

static bool
can_prefix(const struct bench_contender *contender)
{
    return can_get(contender) && contender->scan != NULL;
}

static bool
can_update(const struct bench_contender *contender)
{
    return can_get(contender) && contender->read != NULL && contender->commit != NULL;
}

static void
get_step(struct bench_worker *worker, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct packages_file *file = &packages_files[worker_next(worker)];
        lk_bytes value;
        uint64_t revision;
        if (!worker->contender->get(worker->client, &file->key, &value))
            worker->counts.failed++;
        else if (!packages_proves(file, value, &revision))
            worker->counts.wrong++;
    }
}

struct prefix_state {
    const struct packages_file *next;
    const struct packages_file *end;
    uint64_t wrong;
};

static void
prefix_visit(void *context, lk_bytes sk, lk_bytes value)
{
    struct prefix_state *state = context;
    const struct packages_file *file = state->next;
    uint64_t revision;

    if (file == state->end || sk.size != file->key.sk.size ||
        memcmp(sk.data, file->key.sk.data, sk.size) != 0 ||
        !packages_proves(file, value, &revision)) {
        state->wrong++;
        return;
    }
    state->next++;
}

static void
prefix_step(struct bench_worker *worker, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct packages_file *file = &packages_files[worker_next(worker)];
        const struct packages_file *first = &packages_files[file->first_doc];
        struct prefix_state state = {first, first + file->docs, 0};
        lk_query query = {.pk = file->key.pk, .sk_prefix = lk_string(PACKAGES_PREFIX)};
        worker->contender->scan(worker->client, &query, prefix_visit, &state);
        worker->counts.wrong += state.wrong;
        if (state.next != state.end)
            worker->counts.failed++;
    }
}

static enum bench_commit
update_try(struct bench_worker *worker, const struct packages_file *const *pair)
{
    lk_key keys[2] = {pair[0]->key, pair[1]->key};
    char buffers[2][PACKAGES_VALUE_SIZE];
    lk_bytes values[2];
    uint64_t revision = 0;

    if (!worker->contender->read(worker->client, keys, 2, values))
        return BENCH_FAILED;
    for (size_t i = 0; i < 2; i++) {
        if (!packages_proves(pair[i], values[i], &revision))
            worker->counts.wrong++;
        values[i] = packages_value(pair[i], revision + 1, buffers[i]);
    }
    return worker->contender->commit(worker->client, keys, 2, values);
}

static void
update_step(struct bench_worker *worker, size_t count)
{
    size_t files = packages_source.count(&packages_source);

    for (size_t i = 0; i < count; i++) {
        uint32_t one = worker_next(worker), other = worker_next(worker);
        if (one == other)
            other = (uint32_t)((one + 1) % files);
        const struct packages_file *pair[2] = {&packages_files[one], &packages_files[other]};
        const uint32_t indexes[2] = {one, other};
        for (unsigned attempt = 0;
             worker_raced(worker, update_try(worker, pair), attempt, indexes, 2); attempt++)
            continue;
    }
}

static const struct bench_workload workload_packages_get = {
    .name = "packages-get",
    .on_request = true,
    .what = "checksum of a random file of the package database",
    .order = 40,
    .unit = "M ops/s",
    .threads = "2",
    .distribution = "uniform",
    .source = &packages_source,
    .contenders = "latchkey,mutex,striped,ck_hs,std::map",
    .can = can_get,
    .reads_only = true,
    .step = get_step,
};
BENCH_WORKLOAD(workload_packages_get)

static const struct bench_workload workload_packages_prefix = {
    .name = "packages-prefix",
    .on_request = true,
    .what = "all files under " PACKAGES_PREFIX " of a random file's package",
    .order = 41,
    .unit = "M queries/s",
    .threads = "2",
    .distribution = "uniform",
    .source = &packages_source,
    .contenders = "latchkey,std::map",
    .batch = 16,
    .can = can_prefix,
    .reads_only = true,
    .step = prefix_step,
};
BENCH_WORKLOAD(workload_packages_prefix)

static const struct bench_workload workload_packages_update = {
    .name = "packages-update",
    .on_request = true,
    .what = "2 random files updated under 2 locks",
    .order = 42,
    .unit = "M commits/s",
    .threads = "2,8",
    .distribution = "uniform",
    .source = &packages_source,
    .contenders = "latchkey,striped,versions",
    .transacts = true,
    .increment = 2,
    .can = can_update,
    .step = update_step,
};
BENCH_WORKLOAD(workload_packages_update)
