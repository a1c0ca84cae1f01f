/* SPDX-License-Identifier: MIT
 *
 * See record.h. The clock is read outside of the stamps at the beginning, and before them at the
 * end (queue.h).
 */
#include "check/record.h"

#include <stdlib.h>
#include <string.h>

#include "check/record_jobs.h"

enum { VALUE_HEADER = 16 };

void
record_begin(recorder *r, const record_world *world, uint32_t thread, lk_result *result)
{
    r->world = world;
    r->thread = thread;
    r->result = result;
    r->wrong = NULL;
    r->wrong_status = LK_OK;
    r->name_count = 0;
    history_clear(&r->history);
}

void
record_reserve(recorder *r, size_t ops, size_t steps)
{
    history_reserve(&r->history, ops, steps);
    record_jobs_reserve(r, ops);
}

void
record_free(recorder *r)
{
    history_free(&r->history);
    free(r->names);
    free(r->batch);
    memset(r, 0, sizeof *r);
}

const recorder *
record_merge(const recorder *all, size_t count, history *out)
{
    const recorder *wrong = NULL;
    history_clear(out);
    for (size_t i = count; i-- > 0;)
        if (all[i].wrong != NULL)
            wrong = &all[i];
    for (size_t i = 0; i < count; i++)
        history_append(out, &all[i].history);
    return wrong;
}

void
record_wrong(recorder *r, const char *what, lk_status status)
{
    if (r->wrong != NULL)
        return;
    r->wrong = what;
    r->wrong_status = status;
}

static int64_t
now_ms(const recorder *r)
{
    return r->world->now_ms != NULL ? r->world->now_ms() : 0;
}

void
record_call(recorder *r, const char *call)
{
    int64_t now = now_ms(r);
    history_begin(&r->history, call, r->thread, r->world->stamp(), now);
}

void
record_done(recorder *r, bool happened)
{
    int64_t now = now_ms(r);
    if (happened)
        history_end(&r->history, r->world->stamp(), now);
    else
        history_drop(&r->history);
}

/* The end of a call that writes: happened, came to nothing, or nobody knows. */
static lk_status
write_done(recorder *r, lk_status status, bool happened)
{
    if (status != LK_UNKNOWN)
        record_done(r, happened);
    if (status > LK_OK && !happened)
        record_wrong(r, "a write ended in a status that it has not", status);
    return status;
}

/* ---- values ---- */

size_t
record_value(const record_world *world, unsigned char *buffer, uint32_t key, uint64_t value)
{
    uint64_t head[2] = {key, value};
    size_t size = VALUE_HEADER + (world->spread != 0 ? value * 31 % world->spread : 0);
    memcpy(buffer, head, sizeof head);
    memset(buffer + VALUE_HEADER, (int)(unsigned char)(value * 7 + key), size - VALUE_HEADER);
    return size;
}

static uint64_t
bytes_check(recorder *r, lk_bytes data, uint32_t key)
{
    unsigned char wanted[RECORD_VALUE_MAX];
    uint64_t head[2] = {0, 0};
    if (data.size >= VALUE_HEADER)
        memcpy(head, data.data, sizeof head);
    if (head[0] == key && record_value(r->world, wanted, key, head[1]) == data.size &&
        memcmp(wanted, data.data, data.size) == 0)
        return head[1];
    record_wrong(r, "a value is not whole, or another key's", LK_OK);
    return 0;
}

uint64_t
record_value_of(recorder *r, const lk_item *item, uint32_t key)
{
    return item != NULL ? bytes_check(r, item->data, key) : 0;
}

static void
read_add(recorder *r, uint32_t key, uint64_t value)
{
    history_add(&r->history, (history_step){.kind = STEP_READ, .key = key, .value = value});
}

/* ---- reads ---- */

static lk_status
read_done(recorder *r, lk_status status, bool seen)
{
    record_done(r, seen);
    if (!seen && status != LK_NO_MEMORY && status != LK_UNAVAILABLE)
        record_wrong(r, "a read ended in a status that it has not", status);
    return status;
}

lk_status
record_get(recorder *r, uint32_t key)
{
    record_call(r, "get");
    lk_status status = lk_get(r->world->db, r->world->keys[key], r->result);
    bool seen = status == LK_OK || status == LK_NOT_FOUND;
    if (seen)
        read_add(r, key,
                 status == LK_OK ? record_value_of(r, lk_result_item(r->result, 0), key) : 0);
    return read_done(r, status, seen);
}

lk_status
record_get_into(recorder *r, uint32_t key)
{
    unsigned char buffer[RECORD_VALUE_MAX];
    lk_bytes data = {buffer, 0};
    record_call(r, "get_into");
    lk_status status =
        lk_get_into(r->world->db, r->world->keys[key], buffer, sizeof buffer, &data.size);
    bool seen = status == LK_OK || status == LK_NOT_FOUND;
    if (seen)
        read_add(r, key, status == LK_OK ? bytes_check(r, data, key) : 0);
    return read_done(r, status, seen);
}

lk_status
record_get_many(recorder *r, const uint32_t *keys, uint32_t count)
{
    lk_key wanted[RECORD_MANY];
    for (uint32_t i = 0; i < count; i++)
        wanted[i] = r->world->keys[keys[i]];
    record_call(r, "get_many");
    lk_status status = lk_get_many(r->world->db, wanted, count, r->result);
    for (uint32_t i = 0; i < count && status == LK_OK; i++)
        read_add(r, keys[i], record_value_of(r, lk_result_item(r->result, i), keys[i]));
    return read_done(r, status, status == LK_OK);
}

static bool
is_asked_for(const lk_query *query, const lk_key *key)
{
    const unsigned char *sk = key->sk.data;
    size_t size = query->sk_prefix.size;
    if (lk_bytes_compare(key->pk, query->pk) != 0 || key->sk.size < size ||
        (size != 0 && memcmp(sk, query->sk_prefix.data, size) != 0))
        return false;
    int order = query->after.size == 0 ? 0 : lk_bytes_compare(key->sk, query->after);
    return query->after.size == 0 || (query->reverse ? order < 0 : order > 0);
}

/* Each key that the query asks for was there or was not; behind the last of a full page nothing is
 * known. */
static void
query_steps(recorder *r, const lk_query *query)
{
    const record_world *w = r->world;
    size_t found = 0, count = lk_result_count(r->result);
    for (uint32_t i = 0; i < w->key_count; i++) {
        uint32_t key = query->reverse ? w->key_count - 1 - i : i;
        if (!is_asked_for(query, &w->keys[key]))
            continue;
        if (query->limit != 0 && found == query->limit)
            break;
        const lk_item *item = lk_result_item(r->result, found);
        bool there = item != NULL && lk_bytes_compare(item->key.sk, w->keys[key].sk) == 0;
        read_add(r, key, there ? record_value_of(r, item, key) : 0);
        found += there;
    }
    if (found != count)
        record_wrong(r, "a query is out of order, or gave what nobody wrote", LK_OK);
}

lk_status
record_query(recorder *r, const lk_query *query)
{
    record_call(r, query->reverse ? "query, descending" : "query");
    lk_status status = lk_query_items(r->world->db, query, r->result);
    if (status == LK_OK)
        query_steps(r, query);
    return read_done(r, status, status == LK_OK);
}

/* ---- writes ---- */

lk_status
record_set(recorder *r, uint32_t key, uint64_t value, int64_t expires_ms)
{
    unsigned char bytes[RECORD_VALUE_MAX];
    lk_item item = {.key = r->world->keys[key],
                    .data = {bytes, record_value(r->world, bytes, key, value)},
                    .expires_at_ms = expires_ms};
    record_call(r, "set");
    history_add(
        &r->history,
        (history_step){.kind = STEP_WRITE, .key = key, .value = value, .expires_ms = expires_ms});
    lk_status status = lk_set(r->world->db, &item, 1);
    return write_done(r, status, status == LK_OK);
}

lk_status
record_delete(recorder *r, uint32_t key, uint64_t number)
{
    record_call(r, "delete");
    history_add(&r->history, (history_step){.kind = STEP_ERASE, .key = key, .value = number});
    lk_status status = lk_delete(r->world->db, &r->world->keys[key], 1);
    return write_done(r, status, status == LK_OK);
}

lk_status
record_get_lock(recorder *r, uint32_t key, lk_lock *lock)
{
    record_call(r, "get_lock");
    lk_status status = lk_get_lock(r->world->db, r->world->keys[key], lock);
    if (status == LK_OK)
        history_add(&r->history, (history_step){.kind = STEP_LOCK,
                                                .key = key,
                                                .after = lock->version,
                                                .expires_ms = lock->expires_at_ms});
    return write_done(r, status, status == LK_OK);
}

/* What a commit did, did not, or may have done. */
static void
commit_steps(recorder *r, lk_status status, const record_write *writes, uint32_t write_count,
             const lk_lock *locks, const uint64_t *before, const uint32_t *locked,
             uint32_t lock_count, const lk_conflict *conflict)
{
    history *h = &r->history;
    if (status == LK_RACE && conflict->index < lock_count) {
        history_add(h, (history_step){.kind = STEP_STALE,
                                      .key = locked[conflict->index],
                                      .before = before[conflict->index],
                                      .after = conflict->current_version});
        return;
    }
    if (status != LK_OK && status != LK_UNKNOWN)
        return;
    for (uint32_t i = 0; i < lock_count; i++)
        history_add(h, (history_step){.kind = STEP_BUMP,
                                      .key = locked[i],
                                      .before = before[i],
                                      .after = status == LK_OK ? locks[i].version : HISTORY_ANY,
                                      .expires_ms = locks[i].expires_at_ms});
    for (uint32_t i = 0; i < write_count; i++) {
        bool erases = writes[i].value == 0;
        history_add(h, (history_step){.kind = erases ? STEP_ERASE : STEP_WRITE,
                                      .key = writes[i].key,
                                      .value = erases ? writes[i].number : writes[i].value,
                                      .expires_ms = writes[i].expires_ms});
    }
}

lk_status
record_commit(recorder *r, const record_write *writes, uint32_t write_count, lk_lock *locks,
              const uint32_t *locked, uint32_t lock_count)
{
    unsigned char bytes[RECORD_MANY][RECORD_VALUE_MAX];
    uint64_t before[RECORD_MANY];
    lk_write steps[RECORD_MANY];
    lk_conflict conflict = {0, 0, 0};
    for (uint32_t i = 0; i < lock_count; i++)
        before[i] = locks[i].version;
    for (uint32_t i = 0; i < write_count; i++) {
        const record_write *w = &writes[i];
        lk_item item = {.key = r->world->keys[w->key],
                        .data = {bytes[i], record_value(r->world, bytes[i], w->key, w->value)},
                        .expires_at_ms = w->expires_ms};
        steps[i] = (lk_write){.kind = w->value == 0 ? LK_DELETE : LK_PUT, .item = item};
    }
    record_call(r, "commit");
    lk_status status = lk_commit(r->world->db, steps, write_count, locks, lock_count, &conflict);
    commit_steps(r, status, writes, write_count, locks, before, locked, lock_count, &conflict);
    if (status == LK_RACE && conflict.index >= lock_count)
        record_wrong(r, "a race without a lock that is stale", status);
    return write_done(r, status, status == LK_OK || status == LK_RACE);
}
