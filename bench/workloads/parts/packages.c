/* SPDX-License-Identifier: MIT
 *
 * Reading the package database: each <package>.md5sums has lines "<checksum>  <path>". Texts are
 * kept for the life of the program; keys and checksums point into them.
 */
#include "workloads/parts/packages.h"

#include "driver/random.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define PACKAGES_FOLDER "/var/lib/dpkg/info"
#define PACKAGES_SUFFIX ".md5sums"

const struct packages_file *packages_files;

static struct packages_file *files;
static size_t file_count, file_room;

static bool
file_add(const char *package, const char *line)
{
    if (strlen(line) <= PACKAGES_CHECKSUM_SIZE + 2)
        return true;
    const char *path = line + PACKAGES_CHECKSUM_SIZE;
    path += strspn(path, " ");
    if (*path == '\0')
        return true;
    if (file_count == file_room) {
        size_t room = file_room != 0 ? file_room * 2 : 4096;
        struct packages_file *grown = realloc(files, room * sizeof *files);
        if (grown == NULL)
            return false;
        files = grown;
        file_room = room;
    }
    struct packages_file *file = &files[file_count++];
    file->key = lk_key_of(package, path);
    file->checksum = line;
    return true;
}

/* The whole of a file as a string; NULL: it cannot be read. */
static char *
text_read(const char *path)
{
    FILE *stream = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;

    if (stream == NULL)
        return NULL;
    if (getdelim(&text, &room, '\0', stream) < 0) {
        free(text);
        text = NULL;
    }
    fclose(stream);
    return text;
}

static bool
package_read(const char *name)
{
    char path[512];
    size_t length = strlen(name), suffix = strlen(PACKAGES_SUFFIX);

    if (length <= suffix || strcmp(name + length - suffix, PACKAGES_SUFFIX) != 0)
        return true;
    snprintf(path, sizeof path, PACKAGES_FOLDER "/%s", name);
    char *package = strndup(name, length - suffix);
    char *text = text_read(path);
    if (package == NULL || text == NULL) {
        free(package);
        free(text);
        return true;
    }
    for (char *line = text, *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (!file_add(package, line))
            return false;
    }
    return true;
}

static int
bytes_compare(lk_bytes a, lk_bytes b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);

    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

static int
file_compare(const void *left, const void *right)
{
    const struct packages_file *a = left, *b = right;
    int order = bytes_compare(a->key.pk, b->key.pk);

    return order != 0 ? order : bytes_compare(a->key.sk, b->key.sk);
}

static bool
file_is_doc(const struct packages_file *file)
{
    size_t size = strlen(PACKAGES_PREFIX);

    return file->key.sk.size >= size && memcmp(file->key.sk.data, PACKAGES_PREFIX, size) == 0;
}

/* Tells the files from `first` to before `end`, one package, where its documents are. */
static void
package_docs(size_t first, size_t end)
{
    uint32_t first_doc = (uint32_t)first, docs = 0;

    for (size_t i = first; i < end; i++)
        if (file_is_doc(&files[i]) && docs++ == 0)
            first_doc = (uint32_t)i;
    for (size_t i = first; i < end; i++) {
        files[i].first_doc = first_doc;
        files[i].docs = docs;
    }
}

static void
files_arrange(void)
{
    size_t kept = 0, packages = 0, largest = 0;

    qsort(files, file_count, sizeof *files, file_compare);
    for (size_t i = 0; i < file_count; i++)
        if (kept == 0 || file_compare(&files[kept - 1], &files[i]) != 0)
            files[kept++] = files[i];
    file_count = kept;
    for (size_t first = 0, end; first < file_count; first = end) {
        for (end = first + 1; end < file_count; end++)
            if (bytes_compare(files[first].key.pk, files[end].key.pk) != 0)
                break;
        package_docs(first, end);
        packages++;
        if (end - first > largest)
            largest = end - first;
    }
    printf("\npackage database: %zu files in %zu packages, the largest of %zu\n", file_count,
           packages, largest);
}

static bool
packages_open(const char **why)
{
    *why = "no package database in " PACKAGES_FOLDER;
    if (packages_files != NULL)
        return true;
    DIR *folder = opendir(PACKAGES_FOLDER);
    if (folder == NULL)
        return false;
    bool good = true;
    for (struct dirent *entry; good && (entry = readdir(folder)) != NULL;)
        good = package_read(entry->d_name);
    closedir(folder);
    if (!good)
        *why = "out of memory";
    if (!good || file_count == 0)
        return false;
    files_arrange();
    packages_files = files;
    return true;
}

static size_t
packages_load(const struct bench_source *source, const struct bench_contender *contender,
              void *client)
{
    char value[PACKAGES_VALUE_SIZE];

    (void)source;
    for (size_t i = 0; i < file_count; i++) {
        lk_item put = {files[i].key, packages_value(&files[i], 0, value), 0};
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

static uint64_t
packages_verify(const struct bench_source *source, const struct bench_contender *contender,
                void *client, size_t first, size_t step, size_t end, uint64_t *sum)
{
    uint64_t wrong = 0, revision;
    lk_bytes value;

    (void)source;
    for (size_t i = first; i < end; i += step) {
        const struct packages_file *file = &files[random_scatter(i, file_count)];
        if (!contender->get(client, &file->key, &value) || !packages_proves(file, value, &revision))
            wrong++;
        else
            *sum += revision;
    }
    return wrong;
}

static void
packages_key_name(size_t index, char *text, size_t size)
{
    const lk_key *key = &packages_files[index].key;

    snprintf(text, size, "%.*s/%.*s", (int)key->pk.size, (const char *)key->pk.data,
             (int)key->sk.size, (const char *)key->sk.data);
}

const struct bench_source packages_source = {
    .any_sizes = true,
    .name = "packages",
    .open = packages_open,
    .load = packages_load,
    .count = packages_count,
    .verify = packages_verify,
    .key_name = packages_key_name,
};
