/* SPDX-License-Identifier: MIT
 *
 * lk_copy: all of a handle into another one, by the calls that a program has. Partitions as
 * lk_list_partitions gives them, each as a stream; what the streams give is collected, across
 * partitions, until a batch is full, and then written.
 *
 * JOBS  A stream does not say which of its items are jobs, and others may push, acknowledge and
 * delete meanwhile. So of a database that has queues only the keys of a batch are collected. Their
 * states are asked for; then, in rounds, their items are read, and the states again. A key that was
 * a job both times is written as one. A key that was a job before and is none afterwards was absent
 * in between, so leaving it out is right. A key that was no job either time is written as an item
 * once it was so in CLEAN rounds: in one, it may have been pushed and acknowledged between the
 * looks. A key that became a job meanwhile (a push replaces an item in one step) is read once more.
 */
#include "adapter/pass.h"
#include "api/check.h"
#include "base/alloc.h"
#include "base/result.h"

enum {
    BATCH = 256,
    BATCH_BYTES = 1 << 20,
    PAGE = 16384 /* partitions: a database may look at many for each page (lmdb.h) */
};

typedef struct copying {
    lk_db *from, *to;
    const lk_copy_options *options;
    lk_copy_report report;
    bool has_jobs;        /* the first handle may have jobs */
    bool stopped;         /* by the caller: LK_END */
    size_t batch;         /* items of one */
    size_t count, bytes;  /* collected */
    lk_result *collected; /* of these, what is written: all, or the keys */
    lk_result *read;      /* the items of `keys` */
    lk_key *keys;
    lk_job *before, *after; /* their states */
    lk_item *items, *jobs;  /* to be written */
} copying;

/* ---- writing a batch ---- */

static void
report_add(copying *c, uint64_t *kind, const lk_item *items, size_t count)
{
    *kind += count;
    for (size_t i = 0; i < count; i++)
        c->report.bytes += items[i].key.pk.size + items[i].key.sk.size + items[i].data.size;
}

static lk_status
items_write(copying *c, const lk_item *items, size_t count)
{
    lk_status status = count == 0 ? LK_OK : lk_set(c->to, items, count);
    if (status == LK_OK)
        report_add(c, &c->report.items, items, count);
    return status;
}

/* Those of each queue in one push. */
static lk_status
jobs_write(copying *c, const lk_item *jobs, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0, next; status == LK_OK && i < count; i = next) {
        for (next = i + 1; next < count; next++)
            if (lk_bytes_compare(jobs[next].key.pk, jobs[i].key.pk) != 0)
                break;
        status = lk_queue_push(c->to, &jobs[i], next - i, NULL, NULL);
        if (status == LK_OK)
            report_add(c, &c->report.jobs, &jobs[i], next - i);
    }
    return status;
}

enum { CLEAN = 4, ROUNDS = CLEAN + 2 };

/* Writes what the keys hold, whose states are in `before`; *count: of those that have to be read
 * again, which come first then. */
static lk_status
keys_write(copying *c, int round, size_t *count)
{
    size_t items = 0, jobs = 0, again = 0;
    lk_status status = lki_get_each(c->from, c->keys, *count, c->read);
    if (status == LK_OK)
        status = lk_queue_inspect_many(c->from, c->keys, *count, c->after);
    for (size_t i = 0; status == LK_OK && i < *count; i++) {
        bool was_job = c->before[i].state != 0, is_job = c->after[i].state != 0;
        const lk_item *item = lk_result_item(c->read, i);
        bool in_doubt = !was_job && (is_job || (item != NULL && round < CLEAN - 1));
        if (in_doubt && round < ROUNDS - 1) {
            c->before[again] = c->after[i];
            c->keys[again++] = c->keys[i];
        } else if (item != NULL && is_job) {
            c->jobs[jobs++] = *item;
        } else if (item != NULL && !was_job) {
            c->items[items++] = *item;
        }
    }
    *count = again;
    if (status == LK_OK)
        status = items_write(c, c->items, items);
    return status != LK_OK ? status : jobs_write(c, c->jobs, jobs);
}

static lk_status
batch_write(copying *c)
{
    lk_status status = LK_OK;
    if (c->has_jobs) {
        size_t left = c->count;
        for (size_t i = 0; i < left; i++)
            c->keys[i] = c->collected->items[i].key;
        status = lk_queue_inspect_many(c->from, c->keys, left, c->before);
        for (int round = 0; status == LK_OK && left != 0 && round < ROUNDS; round++)
            status = keys_write(c, round, &left);
    } else {
        status = items_write(c, c->collected->items, c->count);
    }
    c->count = c->bytes = 0;
    lki_result_clear(c->collected);
    c->stopped = status == LK_OK && c->options->progress != NULL &&
                 !c->options->progress(c->options->context, &c->report);
    return c->stopped ? LK_END : status;
}

/* ---- reading ---- */

static lk_status
item_collect(copying *c, const lk_item *item)
{
    lk_bytes data = item->data;
    c->bytes += item->key.pk.size + item->key.sk.size + data.size;
    if (c->has_jobs)
        data = (lk_bytes){NULL, 0};
    size_t size = item->key.pk.size + item->key.sk.size + data.size;
    if (!lki_result_extend(c->collected, 1, size))
        return LK_NO_MEMORY;
    lki_result_put_item(c->collected, item->key.pk, item->key.sk, data, item->expires_at_ms);
    return ++c->count == c->batch || c->bytes >= BATCH_BYTES ? batch_write(c) : LK_OK;
}

static lk_status
partition_copy(copying *c, lk_bytes pk)
{
    lk_query query = {.pk = pk};
    lk_stream *stream = NULL;
    lk_item item;
    bool any = false;
    lk_status status = lk_stream_open(c->from, &query, &stream);
    while (status == LK_OK && (status = lk_stream_next(stream, &item)) == LK_OK) {
        any = true;
        status = item_collect(c, &item);
    }
    lk_stream_close(stream);
    bool whole = status == LK_END && !c->stopped;
    c->report.partitions += whole && any;
    return whole ? LK_OK : status;
}

static lk_status
partitions_copy(copying *c, lk_result *page)
{
    lk_position position = {{0}};
    lk_status status;
    while ((status = lk_list_partitions(c->from, &position, PAGE, page)) == LK_OK)
        for (size_t i = 0; i < lk_result_count(page); i++) {
            status = partition_copy(c, lk_result_item(page, i)->key.pk);
            if (status != LK_OK)
                return status;
        }
    if (status != LK_END)
        return status;
    return c->count != 0 ? batch_write(c) : LK_OK;
}

/* ---- the call ---- */

/* What a cache stands in front of; else the handle itself. */
static const lk_db *
database_of(const lk_db *db)
{
    while (db->inner != NULL)
        db = db->inner;
    return db;
}

/* What the two handles need to have. */
static lk_status
handles_check(const lk_db *from, const lk_db *to)
{
    if (from == NULL || to == NULL || database_of(from) == database_of(to))
        return LK_INVALID; /* a copy into itself would make all its jobs visible */
    if (to->operations.set == NULL)
        return lki_db_lacks(to);
    const uint64_t c = from->capabilities, wanted = LK_HAS_PARTITIONS | LK_HAS_QUERY;
    bool tells_jobs = (c & LK_HAS_QUEUES) == 0 || (c & LK_HAS_QUEUE_INSPECT) != 0;
    return (c & wanted) != wanted || !tells_jobs ? lki_db_lacks(from) : LK_OK;
}

lk_status
lk_copy(lk_db *from, lk_db *to, const lk_copy_options *options, lk_copy_report *report)
{
    static const lk_copy_options defaults = {NULL, NULL, 0};
    copying c = {.from = from, .to = to, .options = options != NULL ? options : &defaults};
    lk_status status = handles_check(from, to);
    if (status != LK_OK)
        return status;
    c.batch = c.options->batch != 0 ? c.options->batch : BATCH;
    if (c.batch > LK_COMMIT_MAX)
        return LK_TOO_BIG;
    c.has_jobs = (from->capabilities & LK_HAS_QUEUES) != 0;
    size_t size = c.batch * (sizeof *c.keys + sizeof *c.before * 2 + sizeof *c.items * 2);
    lk_result *page = lk_result_new();
    unsigned char *memory = lki_alloc(NULL, size);
    c.collected = lk_result_new();
    c.read = lk_result_new();
    status = LK_NO_MEMORY;
    if (page != NULL && memory != NULL && c.collected != NULL && c.read != NULL) {
        c.keys = (lk_key *)(void *)memory;
        c.items = (lk_item *)(void *)(c.keys + c.batch);
        c.jobs = c.items + c.batch;
        c.before = (lk_job *)(void *)(c.jobs + c.batch);
        c.after = c.before + c.batch;
        status = partitions_copy(&c, page);
    }
    if (report != NULL)
        *report = c.report;
    lk_result_free(c.read);
    lk_result_free(c.collected);
    lk_result_free(page);
    lki_free(NULL, memory, size);
    return status;
}
