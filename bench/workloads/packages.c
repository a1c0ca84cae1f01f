/* SPDX-License-Identifier: MIT
 *
 * Real data: the files that the machine's own packages installed, as dpkg lists them in lines
 * "<checksum>  <path>" of <package>.md5sums. Package is pk, path is sk, the value is the checksum
 * and a revision. Partitions are as large as packages are: 1 to 10,000 files and more. Files are
 * read by key, the documents of a package by prefix, and pairs of files are updated in one step.
 * Every checksum is compared with the one in the database, at each read and, after the updates, for
 * all files; the revisions must add up to the commits.
 *
 * Invariants
 *   I1 files are sorted by package, then path, as a store sorts them; no two have the same key.
 *   I2 value = {32 digits of the checksum, revision}.
 */
#include "driver/workload.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "/var/lib/dpkg/info/"
#define SUFFIX ".md5sums"
#define PREFIX "usr/share/doc/"
#define CHECKSUM_SIZE 32
#define VALUE_SIZE (CHECKSUM_SIZE + 8)
#define DRAWS_MOST 10000

/* Texts are kept for the life of the program; keys and checksums point into them. */
struct file {
    lk_key key;
    const char *checksum;
    size_t docs; /* of its package: the first file that is not before PREFIX */
};

static struct file *files;
static size_t file_count;

/* ---- the database ---------------------------------------------------------------------------- */

static int
file_compare(const void *left, const void *right)
{
    return bench_key_compare(&((const struct file *)left)->key, &((const struct file *)right)->key);
}

/* The files of one package. False: out of memory. */
static bool
package_read(const char *path)
{
    size_t length = strlen(path) - strlen(FOLDER) - strlen(SUFFIX), room = 0;
    char *package = strndup(path + strlen(FOLDER), length), *line = NULL;
    FILE *stream = fopen(path, "r");
    bool good = package != NULL;

    while (good && stream != NULL && getline(&line, &room, stream) > CHECKSUM_SIZE + 2) {
        line[strcspn(line, "\n")] = '\0';
        if ((file_count & (file_count - 1)) == 0) {
            struct file *grown = realloc(files, (file_count * 2 + 1) * sizeof *files);
            good = grown != NULL;
            files = good ? grown : files;
        }
        const char *name = line + CHECKSUM_SIZE + strspn(line + CHECKSUM_SIZE, " ");
        if (good)
            files[file_count++] = (struct file){lk_key_of(package, name), line, 0};
        line = NULL;
        room = 0;
    }
    free(line);
    if (stream != NULL)
        fclose(stream);
    return good;
}

static size_t
docs_find(lk_bytes package)
{
    const struct file from = {.key = {package, lk_string(PREFIX)}};
    size_t first = 0, end = file_count;

    while (first < end) {
        size_t middle = (first + end) / 2;
        if (file_compare(&files[middle], &from) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

static bool
packages_open(const char **why)
{
    glob_t found;
    size_t kept = 0;
    bool good = file_count != 0 || glob(FOLDER "*" SUFFIX, 0, NULL, &found) == 0;

    *why = "no package database in " FOLDER;
    if (file_count != 0 || !good)
        return good;
    for (size_t i = 0; good && i < found.gl_pathc; i++)
        good = package_read(found.gl_pathv[i]);
    printf("\npackage database: %zu files in %zu packages\n", file_count, (size_t)found.gl_pathc);
    globfree(&found);
    qsort(files, file_count, sizeof *files, file_compare);
    for (size_t i = 0; i < file_count; i++)
        if (kept == 0 || file_compare(&files[kept - 1], &files[i]) != 0)
            files[kept++] = files[i];
    file_count = kept;
    for (size_t i = 0; i < file_count; i++)
        files[i].docs = docs_find(files[i].key.pk);
    return good && file_count != 0;
}

static bool
value_proves(const struct file *file, lk_bytes value, uint64_t *revision)
{
    if (value.size != VALUE_SIZE || memcmp(value.data, file->checksum, CHECKSUM_SIZE) != 0)
        return false;
    memcpy(revision, (const char *)value.data + CHECKSUM_SIZE, sizeof *revision);
    return true;
}

static lk_bytes
value_make(const struct file *file, uint64_t revision, char *buffer)
{
    memcpy(buffer, file->checksum, CHECKSUM_SIZE);
    memcpy(buffer + CHECKSUM_SIZE, &revision, sizeof revision);
    return (lk_bytes){buffer, VALUE_SIZE};
}

static size_t
packages_load(const struct bench_source *source, const struct bench_contender *contender,
              void *client)
{
    char value[VALUE_SIZE];

    (void)source;
    for (size_t i = 0; i < file_count; i++) {
        lk_item put = {files[i].key, value_make(&files[i], 0, value), 0};
        if (!contender->set(client, &put))
            return 0;
    }
    return file_count;
}

static size_t
packages_count(const struct bench_source *source)
{
    (void)source;
    return file_count;
}

static bool
file_read(const struct bench_contender *contender, void *client, size_t index, uint64_t *sum)
{
    uint64_t revision;
    lk_bytes value;

    if (!contender->get(client, &files[index].key, &value) ||
        !value_proves(&files[index], value, &revision))
        return false;
    *sum += revision;
    return true;
}

static void
packages_key_name(size_t index, char *text, size_t size)
{
    const lk_key *key = &files[index].key;

    snprintf(text, size, "%.*s/%.*s", (int)key->pk.size, (const char *)key->pk.data,
             (int)key->sk.size, (const char *)key->sk.data);
}

static const struct bench_source packages_source = {
    .name = "packages",
    .any_sizes = true,
    .open = packages_open,
    .load = packages_load,
    .count = packages_count,
    .read = file_read,
    .key_name = packages_key_name,
};

/* ---- what is done with it -------------------------------------------------------------------- */

static void
file_get(struct bench_worker *worker, uint32_t index)
{
    lk_bytes value;
    uint64_t revision;

    if (!worker->contender->get(worker->client, &files[index].key, &value))
        worker->counts.failed++;
    else if (!value_proves(&files[index], value, &revision))
        worker->counts.wrong++;
}

/* Whether a file is a document of a package. */
static bool
file_is_doc(const struct file *file, lk_bytes package)
{
    return lk_bytes_compare(file->key.pk, package) == 0 && file->key.sk.size >= strlen(PREFIX) &&
           memcmp(file->key.sk.data, PREFIX, strlen(PREFIX)) == 0;
}

struct prefix_state {
    const struct file *next; /* that must come */
    uint64_t wrong;
};

static void
prefix_visit(void *context, lk_bytes sk, lk_bytes value)
{
    struct prefix_state *state = context;
    uint64_t revision;

    if (state->next == files + file_count || lk_bytes_compare(sk, state->next->key.sk) != 0 ||
        !value_proves(state->next, value, &revision))
        state->wrong++;
    else
        state->next++;
}

/* The documents of a file's package: all of them, in order, and no others. */
static void
docs_query(struct bench_worker *worker, uint32_t index)
{
    lk_bytes package = files[index].key.pk;
    lk_query query = {.pk = package, .sk_prefix = lk_string(PREFIX)};
    struct prefix_state state = {.next = files + files[index].docs};

    worker->contender->scan(worker->client, &query, prefix_visit, &state);
    worker->counts.wrong += state.wrong;
    worker->counts.failed += state.next < files + file_count && file_is_doc(state.next, package);
}

static enum bench_commit
update_try(struct bench_worker *worker, const uint32_t *pair)
{
    lk_key keys[2] = {files[pair[0]].key, files[pair[1]].key};
    char buffers[2][VALUE_SIZE];
    lk_bytes values[2];
    uint64_t revision = 0;

    if (!worker->contender->read(worker->client, keys, 2, values))
        return BENCH_FAILED;
    for (size_t i = 0; i < 2; i++) {
        worker->counts.wrong += !value_proves(&files[pair[i]], values[i], &revision);
        values[i] = value_make(&files[pair[i]], revision + 1, buffers[i]);
    }
    return worker->contender->commit(worker->client, keys, 2, values);
}

static void
pair_update(struct bench_worker *worker, uint32_t index)
{
    uint32_t pair[2] = {index, worker_next(worker)};

    /* Drawn again where they are the same: commits stay among what the distribution has. */
    for (unsigned draws = 0; pair[1] == index && draws < DRAWS_MOST; draws++)
        pair[1] = worker_next(worker);
    if (pair[1] == index)
        pair[1] = (uint32_t)((index + 1) % file_count);
    for (unsigned attempt = 0; worker_raced(worker, update_try(worker, pair), attempt, pair, 2);
         attempt++)
        continue;
}

#define PACKAGES_ALL .on_request = true, .distribution = "uniform", .source = &packages_source

static const struct bench_workload workloads[] = {
    {
        .name = "packages-get",
        .what = "checksum of a random file of the package database",
        .order = 40,
        .unit = "M ops/s",
        .threads = "2",
        PACKAGES_ALL,
        .contenders = "latchkey,mutex,striped,ck_hs,std::map",
        .needs = NEEDS_GET | NEEDS_SET,
        .reads_only = true,
        .mix = {{100, file_get}},
    },
    {
        .name = "packages-prefix",
        .what = "all files under " PREFIX " of a random file's package",
        .order = 41,
        .unit = "M queries/s",
        .threads = "2",
        PACKAGES_ALL,
        .contenders = "latchkey,std::map",
        .batch = 16,
        .needs = NEEDS_GET | NEEDS_SET | NEEDS_SCAN,
        .reads_only = true,
        .mix = {{100, docs_query}},
    },
    {
        .name = "packages-update",
        .what = "2 random files updated under 2 locks",
        .order = 42,
        .unit = "M commits/s",
        .threads = "2,8",
        PACKAGES_ALL,
        .contenders = "latchkey,striped,versions",
        .transacts = true,
        .increment = 2,
        .needs = NEEDS_GET | NEEDS_SET | NEEDS_COMMIT,
        .mix = {{100, pair_update}},
    },
};
BENCH_WORKLOADS(workloads)
