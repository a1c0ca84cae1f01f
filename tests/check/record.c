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

/* The end of a call that writes: happened, or was refused; came to nothing; or nobody knows. */
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

/* The same of numbers, which are an item's own key's only by their place. */
static size_t
expected_value(const record_world *world, unsigned char *buffer, uint32_t key, uint64_t value)
{
    if (!HISTORY_IS_NUMBER(value))
        return record_value(world, buffer, key, value);
    uint64_t sum = value & ~HISTORY_NUMBER(0);
    for (size_t i = 0; i < sizeof sum; i++)
        buffer[i] = (unsigned char)(sum >> 8 * i);
    return sizeof sum;
}

static uint64_t
bytes_check(recorder *r, lk_bytes data, uint32_t key)
{
    if (data.size == sizeof(uint64_t)) {
        const unsigned char *bytes = data.data;
        uint64_t sum = 0;
        for (size_t i = 0; i < sizeof sum; i++)
            sum |= (uint64_t)bytes[i] << 8 * i;
        return HISTORY_NUMBER(sum);
    }
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

/* Where nobody knows the outcome, perhaps there is a lock that nobody has seen. */
lk_status
record_get_lock(recorder *r, uint32_t key, lk_lock *lock)
{
    record_call(r, "get_lock");
    lk_status status = lk_get_lock(r->world->db, r->world->keys[key], lock);
    if (status == LK_OK || status == LK_UNKNOWN)
        history_add(&r->history,
                    (history_step){.kind = STEP_LOCK,
                                   .key = key,
                                   .after = status == LK_OK ? lock->version : HISTORY_ANY,
                                   .expires_ms = lock->expires_at_ms});
    return write_done(r, status, status == LK_OK);
}

static void
step_add(recorder *r, history_kind kind, const record_write *w, uint64_t value)
{
    history_add(&r->history, (history_step){.kind = kind, .key = w->key, .value = value});
}

/* What a write asks is so. */
static void
condition_steps(recorder *r, const record_write *w)
{
    if (w->condition == LK_IF_ABSENT)
        step_add(r, STEP_READ, w, 0);
    else if (w->condition == LK_IF_PRESENT)
        step_add(r, STEP_THERE, w, 0);
    else if (w->condition == LK_IF_EQUAL)
        step_add(r, STEP_READ, w, w->expected);
}

/* It might be, but for another write. */
static void
allowed_steps(recorder *r, const record_write *w)
{
    condition_steps(r, w);
    if (w->kind == LK_TOUCH)
        step_add(r, STEP_THERE, w, 0);
    else if (w->kind == LK_ADD)
        step_add(r, STEP_NUMBER, w, 0);
}

/* `sum`: of an add, 0: not known. */
static void
write_steps(recorder *r, const record_write *w, uint64_t sum)
{
    history_step s = {.key = w->key, .value = w->value, .expires_ms = w->expires_ms};
    condition_steps(r, w);
    s.kind = w->kind == LK_TOUCH ? STEP_TOUCH
             : w->kind == LK_ADD ? STEP_ADD
             : w->value == 0     ? STEP_ERASE
                                 : STEP_WRITE;
    if (s.kind == STEP_ERASE)
        s.value = w->number;
    if (s.kind == STEP_ADD) {
        s.before = w->value;
        s.value = sum;
    }
    history_add(&r->history, s);
}

/* Is it a status with which a write may be refused? */
static bool
refused_steps(recorder *r, const record_write *w, lk_status status)
{
    if (status == LK_EXISTS && w->condition == LK_IF_ABSENT)
        step_add(r, STEP_THERE, w, 0);
    else if (status == LK_NOT_FOUND && (w->condition == LK_IF_PRESENT || w->kind == LK_TOUCH))
        step_add(r, STEP_READ, w, 0);
    else if (status == LK_RACE && w->condition == LK_IF_EQUAL)
        step_add(r, STEP_OTHER, w, w->expected);
    else if (status == LK_INVALID && w->kind == LK_ADD)
        step_add(r, STEP_TEXT, w, 0);
    else
        return false;
    if (status == LK_INVALID)
        condition_steps(r, w);
    return true;
}

lk_status
record_ask(recorder *r, const record_write *w)
{
    unsigned char bytes[RECORD_VALUE_MAX], expected[RECORD_VALUE_MAX];
    lk_item item = {.key = r->world->keys[w->key],
                    .data = {bytes, record_value(r->world, bytes, w->key, w->value)},
                    .expires_at_ms = w->expires_ms};
    lk_bytes wanted = {expected, expected_value(r->world, expected, w->key, w->expected)};
    int64_t sum = 0;
    lk_status status;
    if (w->kind == LK_TOUCH) {
        record_call(r, "touch");
        status = lk_touch(r->world->db, item.key, w->expires_ms);
    } else if (w->kind == LK_ADD) {
        record_call(r, "add");
        status = lk_add(r->world->db, item.key, (int64_t)w->value, w->expires_ms, &sum);
    } else {
        record_call(r, "put_if");
        status = lk_put_if(r->world->db, &item, w->condition, wanted);
    }
    if (status == LK_OK || status == LK_UNKNOWN) {
        write_steps(r, w, status == LK_OK && sum != 0 ? HISTORY_NUMBER(sum) : 0);
        return write_done(r, status, true);
    }
    return write_done(r, status, refused_steps(r, w, status));
}

/* What a commit did, did not, or may have done. False: nothing is known of it. */
static bool
commit_steps(recorder *r, lk_status status, const record_write *writes, uint32_t write_count,
             const lk_lock *locks, const uint64_t *before, const uint32_t *locked,
             uint32_t lock_count, const lk_conflict *conflict)
{
    history *h = &r->history;
    bool done = status == LK_OK || status == LK_UNKNOWN;
    if (status == LK_RACE && conflict->index < lock_count) {
        history_add(h, (history_step){.kind = STEP_STALE,
                                      .key = locked[conflict->index],
                                      .before = before[conflict->index],
                                      .after = conflict->current_version});
        return true;
    }
    if (!done && conflict->write >= write_count)
        return false;
    for (uint32_t i = 0; i < lock_count; i++)
        history_add(h, (history_step){.kind = done ? STEP_BUMP : STEP_HELD,
                                      .key = locked[i],
                                      .before = before[i],
                                      .after = status == LK_OK ? locks[i].version : HISTORY_ANY,
                                      .expires_ms = locks[i].expires_at_ms});
    for (uint32_t i = 0; i < write_count && done; i++)
        write_steps(r, &writes[i], 0);
    for (uint32_t i = 0; i < conflict->write && !done; i++)
        allowed_steps(r, &writes[i]);
    return done || refused_steps(r, &writes[conflict->write], status);
}

lk_status
record_commit(recorder *r, const record_write *writes, uint32_t write_count, lk_lock *locks,
              const uint32_t *locked, uint32_t lock_count)
{
    unsigned char bytes[RECORD_MANY][RECORD_VALUE_MAX], expected[RECORD_MANY][RECORD_VALUE_MAX];
    uint64_t before[RECORD_MANY];
    lk_write steps[RECORD_MANY];
    lk_conflict conflict = {SIZE_MAX, 0, SIZE_MAX};
    for (uint32_t i = 0; i < lock_count; i++)
        before[i] = locks[i].version;
    for (uint32_t i = 0; i < write_count; i++) {
        const record_write *w = &writes[i];
        lk_item item = {.key = r->world->keys[w->key],
                        .data = {bytes[i], record_value(r->world, bytes[i], w->key, w->value)},
                        .expires_at_ms = w->expires_ms};
        steps[i] = (lk_write){.kind = w->kind != LK_PUT ? w->kind
                                      : w->value == 0   ? LK_DELETE
                                                        : LK_PUT,
                              .item = item,
                              .condition = w->condition,
                              .delta = (int64_t)w->value};
        steps[i].expected =
            (lk_bytes){expected[i], expected_value(r->world, expected[i], w->key, w->expected)};
    }
    record_call(r, "commit");
    lk_status status = lk_commit(r->world->db, steps, write_count, locks, lock_count, &conflict);
    bool known =
        commit_steps(r, status, writes, write_count, locks, before, locked, lock_count, &conflict);
    if (status == LK_RACE && !known)
        record_wrong(r, "a race without a lock that is stale", status);
    return write_done(r, status, known);
}
