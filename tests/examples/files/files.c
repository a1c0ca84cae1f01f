/* SPDX-License-Identifier: MIT
 *
 * An adapter: a folder of files as a database. The item {"user#1", "mail", "hello"} is the file
 * FOLDER/757365722331/-6d61696c, named by the hex digits of pk and sk, so that names sort as keys:
 *
 *     0         the time of expiry
 *     hello     the data
 *
 * A write goes to the file FOLDER/new, which then gets its name in one step: readers, which take
 * no latch, and a process that is killed find the old item or the new one.
 *
 * What it lacks: one instant for several items, because their files are read one after the other;
 * locks, because a commit of several files needs a journal. It does not wait for the disk: what a
 * killed process wrote is there, what a machine without power wrote may not be.
 */
#define _XOPEN_SOURCE 700
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <latchkey/adapter.h>

/* A name in a folder has at most 255 characters: a dash, and two for each byte. */
enum { KEY_SIZE = 127, NAME_SIZE = 512 };

typedef struct files {
    char *path;
    int folder;            /* the same, open */
    pthread_mutex_t latch; /* of who changes names, or lists them */
    lk_db *db;             /* knows the time */
} files;

/* Every operation leaves errno as it found it, however it ends: what calls the system saves it
 * first, and ends here. */
static lk_status
leave(int saved_errno, lk_status status)
{
    errno = saved_errno;
    return status;
}

/* ---- names ---- */

typedef struct name {
    char text[NAME_SIZE];
} name;

static char *
hex_write(char *to, lk_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *from = bytes.data;
    for (size_t i = 0; i < bytes.size; i++) {
        *to++ = digits[from[i] >> 4];
        *to++ = digits[from[i] & 15];
    }
    return to;
}

/* The file of an item: a slash separates the folder of its pk from its name there. */
static name
name_of(lk_bytes pk, lk_bytes sk)
{
    name n;
    char *to = hex_write(n.text, pk);
    *to++ = '/';
    *to++ = '-';
    *hex_write(to, sk) = '\0';
    return n;
}

static name
folder_of(lk_bytes pk)
{
    name n;
    *hex_write(n.text, pk) = '\0';
    return n;
}

/* The bytes of hex digits; they lie in `buffer`. */
static lk_bytes
hex_read(const char *text, unsigned char *buffer)
{
    size_t size = strlen(text) / 2;
    for (size_t i = 0; i < size; i++) {
        const char pair[3] = {text[2 * i], text[1 + 2 * i], '\0'};
        buffer[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    return (lk_bytes){buffer, size};
}

static int
entry_compare(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static int
entry_compare_inodes(const struct dirent **left, const struct dirent **right)
{
    return ((*left)->d_ino > (*right)->d_ino) - ((*left)->d_ino < (*right)->d_ino);
}

/* Not ".", "..", nor "new". */
static int
entry_is_folder(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "new") != 0;
}

static void
entries_free(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

/* ---- one item, one file ---- */

/* The item of `key`; its data lies in *text, which the caller frees. LK_NOT_FOUND: there is none,
 * or it has expired. */
static lk_status
item_read(files *f, lk_key key, int64_t now_ms, lk_item *item, char **text)
{
    struct stat about = {0};
    name n = name_of(key.pk, key.sk);
    int saved = errno, fd = openat(f->folder, n.text, O_RDONLY | O_CLOEXEC);
    *text = NULL;
    if (fd < 0)
        return leave(saved, errno == ENOENT ? LK_NOT_FOUND : LK_UNAVAILABLE);
    bool good = fstat(fd, &about) == 0;
    size_t size = (size_t)about.st_size;
    char *end;
    *text = good ? malloc(size + 1) : NULL;
    lk_status status = !good ? LK_UNAVAILABLE : *text == NULL ? LK_NO_MEMORY : LK_OK;
    if (status == LK_OK && read(fd, *text, size) != (ssize_t)size)
        status = LK_UNAVAILABLE;
    close(fd);
    if (status == LK_OK) {
        (*text)[size] = '\0';
        *item = (lk_item){.key = key, .expires_at_ms = strtoll(*text, &end, 10)};
        item->data = (lk_bytes){end + 1, size - (size_t)(end + 1 - *text)};
        status = *end != '\n'                                  ? LK_UNAVAILABLE /* not our file */
                 : lk_has_expired(item->expires_at_ms, now_ms) ? LK_NOT_FOUND
                                                               : LK_OK;
    }
    return leave(saved, status);
}

/* Adds the item of `key` to the draft, and the size of its data to *bytes. */
static lk_status
item_add(files *f, lk_key key, int64_t now_ms, lk_result *result, size_t *bytes)
{
    lk_item item;
    char *text;
    lk_status status = item_read(f, key, now_ms, &item, &text);
    if (status == LK_OK) {
        status = lk_result_add(result, &item);
        *bytes += item.data.size;
    }
    free(text);
    return status;
}

static lk_status
item_write_latched(files *f, const lk_item *item)
{
    name n = name_of(item->key.pk, item->key.sk), folder = folder_of(item->key.pk);
    int saved = errno;
    int fd = openat(f->folder, "new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool good = fd >= 0 && dprintf(fd, "%lld\n", (long long)item->expires_at_ms) > 0 &&
                write(fd, item->data.data, item->data.size) == (ssize_t)item->data.size;
    good = fd >= 0 && close(fd) == 0 && good &&
           (mkdirat(f->folder, folder.text, 0777) == 0 || errno == EEXIST) &&
           renameat(f->folder, "new", f->folder, n.text) == 0;
    return leave(saved, good ? LK_OK : LK_UNAVAILABLE);
}

static lk_status
item_remove(files *f, lk_key key)
{
    name n = name_of(key.pk, key.sk), folder = folder_of(key.pk);
    int saved = errno;
    pthread_mutex_lock(&f->latch);
    bool good = unlinkat(f->folder, n.text, 0) == 0 || errno == ENOENT;
    (void)unlinkat(f->folder, folder.text, AT_REMOVEDIR); /* stays while there is something in it */
    pthread_mutex_unlock(&f->latch);
    return leave(saved, good ? LK_OK : LK_UNAVAILABLE);
}

/* ---- operations ---- */

static lk_status
files_get(void *state, const lk_key *key, lk_result *result)
{
    files *f = state;
    size_t bytes = 0;
    lk_result_draft(result);
    lk_status status = item_add(f, *key, lk_now_ms(f->db), result, &bytes);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

static lk_status
files_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    files *f = state;
    lk_status status = LK_OK;
    size_t bytes = 0;
    int64_t now_ms = lk_now_ms(f->db);
    lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        status = item_add(f, keys[i], now_ms, result, &bytes);
        if (status == LK_NOT_FOUND)
            status = lk_result_add(result, NULL); /* a hole */
    }
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

static lk_status
files_set(void *state, const lk_item *items, size_t count)
{
    files *f = state;
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        pthread_mutex_lock(&f->latch);
        status = item_write_latched(f, &items[i]);
        pthread_mutex_unlock(&f->latch);
    }
    return status;
}

static lk_status
files_remove(void *state, const lk_key *keys, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = item_remove(state, keys[i]);
    return status;
}

/* ---- conditional writes: judged and written under the latch ---- */

static lk_status
condition_judge(lk_condition condition, lk_bytes expected, const lk_item *there)
{
    if (condition == LK_IF_ABSENT)
        return there == NULL ? LK_OK : LK_EXISTS;
    if (condition == LK_IF_PRESENT)
        return there != NULL ? LK_OK : LK_NOT_FOUND;
    bool equal = there != NULL && lk_bytes_compare(there->data, expected) == 0;
    return condition == LK_ALWAYS || equal ? LK_OK : LK_RACE;
}

static lk_status
files_put_if(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    files *f = state;
    lk_item there;
    char *text;
    pthread_mutex_lock(&f->latch);
    lk_status status = item_read(f, item->key, lk_now_ms(f->db), &there, &text);
    if (status == LK_OK || status == LK_NOT_FOUND)
        status = condition_judge(condition, expected, status == LK_OK ? &there : NULL);
    if (status == LK_OK)
        status = item_write_latched(f, item);
    pthread_mutex_unlock(&f->latch);
    free(text);
    return status;
}

static lk_status
files_touch(void *state, const lk_key *key, int64_t expires_at_ms)
{
    files *f = state;
    lk_item item;
    char *text;
    pthread_mutex_lock(&f->latch);
    lk_status status = item_read(f, *key, lk_now_ms(f->db), &item, &text);
    item.expires_at_ms = expires_at_ms;
    if (status == LK_OK)
        status = item_write_latched(f, &item);
    pthread_mutex_unlock(&f->latch);
    free(text);
    return status;
}

/* The number of an item, 8 bytes, little-endian. */
static int64_t
number_of(const lk_item *item)
{
    const unsigned char *bytes = item->data.data;
    uint64_t number = 0;
    for (size_t i = item->data.size; i-- > 0;)
        number = number << 8 | bytes[i];
    return (int64_t)number;
}

static lk_status
files_add(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms, int64_t *value)
{
    files *f = state;
    lk_item item;
    char *text;
    unsigned char bytes[8];
    int64_t sum;
    pthread_mutex_lock(&f->latch);
    lk_status status = item_read(f, *key, lk_now_ms(f->db), &item, &text);
    if (status == LK_NOT_FOUND) {
        item = (lk_item){.key = *key, .data = {"\0\0\0\0\0\0\0", 8}};
        item.expires_at_ms = expires_at_ms;
        status = LK_OK;
    }
    if (status == LK_OK && item.data.size != sizeof bytes)
        status = LK_INVALID;
    if (status == LK_OK && __builtin_add_overflow(number_of(&item), delta, &sum))
        status = LK_TOO_BIG;
    for (size_t i = 0; status == LK_OK && i < sizeof bytes; i++)
        bytes[i] = (unsigned char)((uint64_t)sum >> 8 * i);
    item.data = (lk_bytes){bytes, sizeof bytes};
    if (status == LK_OK)
        status = item_write_latched(f, &item);
    pthread_mutex_unlock(&f->latch);
    free(text);
    if (status == LK_OK)
        *value = sum;
    return status;
}

/* ---- ordered reads, all partitions ---- */

/* Adds what the page asks for of a folder that is sorted. */
static lk_status
page_add(files *f, const lk_page *page, struct dirent **entries, size_t count, lk_result *result)
{
    const lk_query *query = page->query;
    name wanted = name_of(query->pk, query->sk_prefix), last = name_of(query->pk, query->after);
    const char *prefix = strchr(wanted.text, '/') + 1, *after = strchr(last.text, '/') + 1;
    int64_t now_ms = lk_now_ms(f->db);
    size_t live = 0, bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const char *text = entries[query->reverse ? count - 1 - i : i]->d_name;
        int order = query->reverse ? strcmp(after, text) : strcmp(text, after);
        unsigned char buffer[KEY_SIZE];
        lk_key key = {query->pk, hex_read(text + 1, buffer)}; /* the dash */
        if (strncmp(text, prefix, strlen(prefix)) != 0 || (page->has_after && order <= 0) ||
            lk_bytes_compare(key.sk, query->from) < 0 ||
            (query->until.size != 0 && lk_bytes_compare(key.sk, query->until) >= 0))
            continue;
        lk_status status = item_add(f, key, now_ms, result, &bytes);
        if (status == LK_OK && (++live == query->limit || bytes >= page->max_bytes))
            return lk_result_more(result, key.sk);
        if (status != LK_OK && status != LK_NOT_FOUND)
            return status;
    }
    return LK_OK;
}

static lk_status
files_query(void *state, const lk_page *page, lk_result *result)
{
    files *f = state;
    struct dirent **entries = NULL;
    char path[PATH_MAX + NAME_SIZE];
    int saved = errno;
    snprintf(path, sizeof path, "%s/%s", f->path, folder_of(page->query->pk).text);
    pthread_mutex_lock(&f->latch);
    int count = scandir(path, &entries, NULL, entry_compare), why = errno;
    pthread_mutex_unlock(&f->latch);
    lk_result_draft(result);
    lk_status status = count >= 0      ? page_add(f, page, entries, (size_t)count, result)
                       : why == ENOENT ? LK_OK /* no such pk */
                       : why == ENOMEM ? LK_NO_MEMORY
                                       : LK_UNAVAILABLE;
    entries_free(entries, count);
    if (status == LK_OK)
        lk_result_publish(result);
    return leave(saved, status);
}

/* A folder stays the same one, with the same inode, for as long as there is a file in it: so the
 * position is the inode of the last that was listed. */
static lk_status
files_list_partitions(void *state, lk_position *position, size_t limit, lk_result *result)
{
    files *f = state;
    struct dirent **entries = NULL;
    uint64_t last = position->opaque[0];
    size_t added = 0, most = limit == 0 ? 1024 : limit;
    int saved = errno;
    pthread_mutex_lock(&f->latch);
    int count = scandir(f->path, &entries, entry_is_folder, entry_compare_inodes), why = errno;
    pthread_mutex_unlock(&f->latch);
    lk_status status = count >= 0 ? LK_OK : why == ENOMEM ? LK_NO_MEMORY : LK_UNAVAILABLE;
    lk_result_draft(result);
    for (int i = 0; status == LK_OK && i < count && added < most; i++) {
        unsigned char buffer[KEY_SIZE];
        lk_item item = {.key = {.pk = hex_read(entries[i]->d_name, buffer)}};
        lk_query any = {.pk = item.key.pk, .limit = 1};
        size_t live = 0;
        if (entries[i]->d_ino <= last)
            continue;
        last = entries[i]->d_ino;
        status = lk_count(f->db, &any, &live);
        if (status == LK_OK && live != 0)
            status = lk_result_add(result, &item);
        added += live;
    }
    entries_free(entries, count);
    if (status == LK_OK && added == 0)
        status = LK_END;
    if (status == LK_OK) {
        position->opaque[0] = last;
        lk_result_publish(result);
    }
    return leave(saved, status);
}

/* ---- open, close ---- */

static void
files_close(void *state)
{
    files *f = state;
    int saved = errno;
    if (f->folder >= 0)
        close(f->folder);
    free(f->path);
    pthread_mutex_destroy(&f->latch);
    free(f);
    errno = saved;
}

lk_status
files_open(const char *folder, lk_clock realtime_ms, void *clock_context, lk_db **db)
{
    static const lk_operations operations = {.size = sizeof operations,
                                             .close = files_close,
                                             .get_at = files_get,
                                             .set = files_set,
                                             .remove = files_remove,
                                             .get_many = files_get_many,
                                             .query = files_query,
                                             .put_if = files_put_if,
                                             .touch = files_touch,
                                             .add = files_add,
                                             .list_partitions = files_list_partitions};
    int saved = errno;
    files *f = malloc(sizeof *f);
    if (f == NULL)
        return leave(saved, LK_NO_MEMORY);
    (void)mkdir(folder, 0777); /* may be there already */
    pthread_mutex_init(&f->latch, NULL);
    f->path = realpath(folder, NULL);
    f->folder = f->path == NULL ? -1 : open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->folder < 0) {
        files_close(f);
        return leave(saved, LK_UNAVAILABLE);
    }
    lk_adapter adapter = LK_ADAPTER_INIT;
    adapter.name = "files";
    adapter.capabilities = LK_HAS_GET_MANY | LK_HAS_QUERY | LK_QUERIES_RANGES | LK_HAS_CONDITIONS |
                           LK_HAS_PARTITIONS | LK_IS_DURABLE;
    adapter.state = f;
    adapter.max_pk_size = adapter.max_sk_size = KEY_SIZE;
    adapter.realtime_ms = realtime_ms;
    adapter.clock_context = clock_context;
    lk_status status = lk_adapter_open(&operations, &adapter, &f->db);
    if (status != LK_OK)
        files_close(f);
    else
        *db = f->db;
    return leave(saved, status);
}
