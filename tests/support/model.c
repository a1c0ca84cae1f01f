/* SPDX-License-Identifier: MIT
 *
 * See model.h.
 */
#include "support/model_inside.h"

#include <stdlib.h>
#include <string.h>

/* ---- bytes ---- */

int
model_compare(lk_bytes left, lk_bytes right)
{
    size_t common = left.size < right.size ? left.size : right.size;
    int order = common == 0 ? 0 : memcmp(left.data, right.data, common);
    return order != 0 ? order : (left.size > right.size) - (left.size < right.size);
}

int
model_key_compare(lk_key left, lk_key right)
{
    int order = model_compare(left.pk, right.pk);
    return order != 0 ? order : model_compare(left.sk, right.sk);
}

lk_bytes
model_bytes_copy(lk_bytes bytes)
{
    char *memory = malloc(bytes.size + 1);
    if (memory == NULL)
        abort();
    if (bytes.size != 0)
        memcpy(memory, bytes.data, bytes.size);
    return (lk_bytes){memory, bytes.size};
}

static void
bytes_free(lk_bytes bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

/* ---- the array ---- */

/* The first entry that is not before `key`. */
size_t
model_entry_position(const model *m, lk_key key)
{
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (model_key_compare(m->entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

model_entry *
model_entry_find(model *m, lk_key key)
{
    size_t at = model_entry_position(m, key);
    return at < m->count && model_key_compare(m->entries[at].key, key) == 0 ? &m->entries[at]
                                                                            : NULL;
}

model_entry *
model_entry_obtain(model *m, lk_key key)
{
    size_t at = model_entry_position(m, key);
    if (at < m->count && model_key_compare(m->entries[at].key, key) == 0)
        return &m->entries[at];
    if (m->count == m->room) {
        m->room = m->room * 2 + 16;
        m->entries = realloc(m->entries, m->room * sizeof *m->entries);
        if (m->entries == NULL)
            abort();
    }
    memmove(&m->entries[at + 1], &m->entries[at], (m->count - at) * sizeof *m->entries);
    m->count++;
    m->entries[at] = (model_entry){.key = {model_bytes_copy(key.pk), model_bytes_copy(key.sk)}};
    return &m->entries[at];
}

static void
item_drop(model_entry *e)
{
    if (e->has_item)
        bytes_free(e->data);
    e->has_item = false;
    e->is_job = false;
    e->data = (lk_bytes){NULL, 0};
}

/* Neither an item nor a lock: out of the array. */
static void
entry_drop_if_void(model *m, model_entry *e)
{
    if (e->has_item || e->version != 0)
        return;
    bytes_free(e->key.pk);
    bytes_free(e->key.sk);
    size_t at = (size_t)(e - m->entries);
    m->count--;
    memmove(e, e + 1, (m->count - at) * sizeof *e);
}

bool
model_item_is_live(const model *m, const model_entry *e)
{
    return e != NULL && e->has_item && (e->expires_at_ms == 0 || m->now_ms <= e->expires_at_ms);
}

static bool
lock_is_good(const model *m, const model_entry *e)
{
    return e != NULL && e->version != 0 && m->now_ms <= e->lock_expires_at_ms &&
           (!e->has_item || model_item_is_live(m, e)); /* a lock goes with its item */
}

static lk_item
item_of(const model_entry *e)
{
    return (lk_item){e->key, e->data, e->expires_at_ms};
}

/* ---- arguments ---- */

lk_status
model_bytes_check(lk_bytes bytes, size_t max)
{
    if (bytes.data == NULL && bytes.size != 0)
        return LK_INVALID;
    return bytes.size > max ? LK_TOO_BIG : LK_OK;
}

lk_status
model_key_check(const model *m, lk_key key)
{
    if (key.pk.size == 0)
        return LK_INVALID;
    lk_status status = model_bytes_check(key.pk, m->max_pk_size);
    return status != LK_OK ? status : model_bytes_check(key.sk, m->max_sk_size);
}

lk_status
model_item_check(const model *m, const lk_item *item)
{
    lk_status status = model_key_check(m, item->key);
    if (status != LK_OK)
        return status;
    return item->expires_at_ms < 0 ? LK_INVALID : model_bytes_check(item->data, m->max_data_size);
}

/* ---- life ---- */

model *
model_new(const lk_memory_options *options)
{
    model *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    pthread_mutex_init(&m->mutex, NULL);
    m->lock_ttl_ms = options->lock_ttl_ms;
    m->lock_refresh_ms = options->lock_refresh_ms;
    m->max_pk_size = options->max_pk_size;
    m->max_sk_size = options->max_sk_size;
    m->max_data_size = options->max_data_size;
    return m;
}

void
model_free(model *m)
{
    for (size_t i = 0; i < m->count; i++) {
        item_drop(&m->entries[i]);
        bytes_free(m->entries[i].key.pk);
        bytes_free(m->entries[i].key.sk);
    }
    for (size_t i = 0; i < m->closed_count; i++)
        bytes_free(m->closed[i]);
    free(m->entries);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

void
model_set_clock(model *m, int64_t now_ms)
{
    pthread_mutex_lock(&m->mutex);
    m->now_ms = now_ms;
    pthread_mutex_unlock(&m->mutex);
}

void
model_set_locks_absent(model *m, bool locks_absent)
{
    m->locks_absent = locks_absent;
}

/* ---- calls ---- */

lk_status
model_get(model *m, lk_key key, lk_item *item)
{
    pthread_mutex_lock(&m->mutex);
    lk_status status = model_key_check(m, key);
    const model_entry *e = status == LK_OK ? model_entry_find(m, key) : NULL;
    if (status == LK_OK && !model_item_is_live(m, e))
        status = LK_NOT_FOUND;
    if (status == LK_OK)
        *item = item_of(e);
    pthread_mutex_unlock(&m->mutex);
    return status;
}

void
model_expired_drop(const model *m, model_entry *e)
{
    if (!e->has_item || model_item_is_live(m, e))
        return;
    item_drop(e);
    e->version = 0;
}

void
model_item_put(model *m, const lk_item *item)
{
    lk_bytes data = model_bytes_copy(item->data);
    model_entry *e = model_entry_obtain(m, item->key);
    model_expired_drop(m, e);
    bool is_job = e->is_job;
    item_drop(e);
    e->is_job = is_job;
    e->has_item = true;
    e->data = data;
    e->expires_at_ms = item->expires_at_ms;
}

void
model_key_delete(model *m, lk_key key)
{
    model_entry *e = model_entry_find(m, key);
    if (e == NULL)
        return;
    item_drop(e);
    e->version = 0;
    entry_drop_if_void(m, e);
}

lk_status
model_set(model *m, const lk_item *items, size_t count)
{
    lk_status status = LK_OK;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = model_item_check(m, &items[i]);
    for (size_t i = 0; status == LK_OK && i < count; i++)
        model_item_put(m, &items[i]);
    pthread_mutex_unlock(&m->mutex);
    return status;
}

lk_status
model_delete(model *m, const lk_key *keys, size_t count)
{
    lk_status status = LK_OK;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = model_key_check(m, keys[i]);
    for (size_t i = 0; status == LK_OK && i < count; i++)
        model_key_delete(m, keys[i]);
    pthread_mutex_unlock(&m->mutex);
    return status;
}

void
model_lock_renew(model *m, model_entry *e)
{
    e->version = ++m->last_version;
    e->lock_expires_at_ms = m->now_ms + m->lock_ttl_ms;
}

lk_status
model_get_lock(model *m, lk_key key, lk_lock *lock)
{
    pthread_mutex_lock(&m->mutex);
    lk_status status = model_key_check(m, key);
    if (status == LK_OK) {
        model_entry *e = model_entry_obtain(m, key);
        bool fresh = lock_is_good(m, e) && (m->lock_refresh_ms < 0 ||
                                            e->lock_expires_at_ms - m->now_ms > m->lock_refresh_ms);
        model_expired_drop(m, e);
        if (!fresh)
            model_lock_renew(m, e);
        *lock = (lk_lock){key, e->version, e->lock_expires_at_ms};
    }
    pthread_mutex_unlock(&m->mutex);
    return status;
}

/* lk_get_locked of one key: nothing is made where nothing is, if the store promises that. */
lk_status
model_get_locked(model *m, lk_key key, lk_lock *lock)
{
    pthread_mutex_lock(&m->mutex);
    const model_entry *e = model_entry_find(m, key);
    bool absent = m->locks_absent && !lock_is_good(m, e) && !model_item_is_live(m, e);
    pthread_mutex_unlock(&m->mutex);
    if (!absent)
        return model_get_lock(m, key, lock);
    *lock = (lk_lock){.key = key};
    return LK_OK;
}

/* The first stale lock in the caller's order. */
lk_status
model_locks_check(model *m, const lk_lock *locks, size_t count, lk_conflict *conflict)
{
    for (size_t i = 0; i < count; i++) {
        const model_entry *e = model_entry_find(m, locks[i].key);
        uint64_t current = lock_is_good(m, e) ? e->version : 0;
        bool absent = m->locks_absent && current == 0 && !model_item_is_live(m, e);
        if (current == locks[i].version && (current != 0 || absent))
            continue;
        *conflict = (lk_conflict){i, current, SIZE_MAX};
        return LK_RACE;
    }
    return LK_OK;
}

/* ---- conditions, touch, add ---- */

/* The number of an item, or 0 where there is none; false: it is no number. */
static bool
number_read(const model *m, const model_entry *e, uint64_t *number)
{
    const unsigned char *bytes = model_item_is_live(m, e) ? e->data.data : NULL;
    *number = 0;
    for (size_t i = 8; bytes != NULL && e->data.size == 8 && i-- > 0;)
        *number = *number << 8 | bytes[i];
    return bytes == NULL || e->data.size == 8;
}

lk_status
model_write_judge(model *m, const lk_write *write)
{
    const model_entry *e = model_entry_find(m, write->item.key);
    bool live = model_item_is_live(m, e);
    uint64_t number;
    int64_t sum;
    if (write->condition == LK_IF_ABSENT && live)
        return LK_EXISTS;
    if (write->condition == LK_IF_PRESENT && !live)
        return LK_NOT_FOUND;
    if (write->condition == LK_IF_EQUAL && (!live || model_compare(e->data, write->expected) != 0))
        return LK_RACE;
    if (write->kind == LK_TOUCH && !live)
        return LK_NOT_FOUND;
    if (write->kind != LK_ADD)
        return LK_OK;
    if (!number_read(m, e, &number))
        return LK_INVALID;
    return __builtin_add_overflow((int64_t)number, write->delta, &sum) ? LK_TOO_BIG : LK_OK;
}

void
model_number_add(model *m, const lk_write *write)
{
    const model_entry *e = model_entry_find(m, write->item.key);
    lk_item item = write->item;
    unsigned char bytes[8];
    uint64_t number;
    (void)number_read(m, e, &number);
    number += (uint64_t)write->delta;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
    item.data = (lk_bytes){bytes, sizeof bytes};
    if (model_item_is_live(m, e))
        item.expires_at_ms = e->expires_at_ms;
    model_item_put(m, &item);
}

static bool
query_matches(const model *m, const lk_query *query, const model_entry *e)
{
    if (!model_item_is_live(m, e) || model_compare(e->key.pk, query->pk) != 0)
        return false;
    lk_bytes sk = e->key.sk, prefix = query->sk_prefix;
    if (sk.size < prefix.size ||
        (prefix.size != 0 && memcmp(sk.data, prefix.data, prefix.size) != 0))
        return false;
    if ((query->from.size != 0 && model_compare(sk, query->from) < 0) ||
        (query->until.size != 0 && model_compare(sk, query->until) >= 0))
        return false;
    if (query->after.size == 0)
        return true;
    int order = model_compare(sk, query->after);
    return query->reverse ? order < 0 : order > 0;
}

lk_status
model_query(model *m, const lk_query *query, lk_item *items, size_t room, size_t *count)
{
    pthread_mutex_lock(&m->mutex);
    lk_status status = model_key_check(m, (lk_key){query->pk, query->sk_prefix});
    if (status == LK_OK)
        status = model_bytes_check(query->after, m->max_sk_size);
    if (status == LK_OK)
        status = model_bytes_check(query->from, m->max_sk_size);
    if (status == LK_OK)
        status = model_bytes_check(query->until, m->max_sk_size);
    size_t found = 0;
    for (size_t i = 0; status == LK_OK && i < m->count; i++) {
        const model_entry *e = &m->entries[query->reverse ? m->count - 1 - i : i];
        if (!query_matches(m, query, e))
            continue;
        if (query->limit != 0 && found == query->limit)
            break;
        if (found < room)
            items[found] = item_of(e);
        found++;
    }
    if (status == LK_OK)
        *count = found;
    pthread_mutex_unlock(&m->mutex);
    return status;
}

size_t
model_partitions(model *m, lk_bytes *pks, size_t room)
{
    size_t found = 0;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->count; i++) {
        const model_entry *e = &m->entries[i];
        if (!model_item_is_live(m, e) ||
            (found != 0 && model_compare(pks[found - 1], e->key.pk) == 0))
            continue;
        if (found == room)
            break;
        pks[found++] = e->key.pk;
    }
    pthread_mutex_unlock(&m->mutex);
    return found;
}

/* ---- upkeep ---- */

size_t
model_live(model *m)
{
    size_t live = 0;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->count; i++)
        live += model_item_is_live(m, &m->entries[i]);
    pthread_mutex_unlock(&m->mutex);
    return live;
}

size_t
model_keys(model *m)
{
    pthread_mutex_lock(&m->mutex);
    size_t count = m->count;
    pthread_mutex_unlock(&m->mutex);
    return count;
}

size_t
model_sweep(model *m)
{
    size_t swept = 0;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = m->count; i-- > 0;) {
        model_entry *e = &m->entries[i];
        if (e->has_item && !model_item_is_live(m, e)) {
            model_expired_drop(m, e);
            swept++;
        }
        if (!e->has_item && e->version != 0 && !lock_is_good(m, e)) {
            e->version = 0;
            swept++;
        }
        entry_drop_if_void(m, e);
    }
    pthread_mutex_unlock(&m->mutex);
    return swept;
}
