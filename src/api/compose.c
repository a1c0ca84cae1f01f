/* SPDX-License-Identifier: MIT
 *
 * See compose.h.
 *
 * CONDITIONS, LK_TOUCH and LK_ADD of an adapter that has locks and none of these: the locks and
 * items of their keys are read, each lock before its item. What a write asks for is judged by the
 * item, and it becomes a put or a delete under the lock. So it is done only if that lock did not
 * change in between: no commit under it, no delete, no other write that is put together like this.
 * Where it did change, all is read and judged again.
 *
 * A lock sees no lk_set and no push of its key: what these write between the reading and the commit
 * is overwritten. And a write that is put together makes a lock where there is none, and gives it a
 * new version. adapter.h says so.
 *
 * Progress  As get_locked and commit of the adapter. All begins anew only where a commit or a
 *           delete of one of the keys was done meanwhile.
 */
#include "api/compose.h"

#include "adapter/pass.h"
#include "api/check.h"
#include "base/alloc.h"
#include "base/number.h"
#include "base/result.h"
#include "base/step.h"

lk_status
lki_compose_get_into(lk_db *db, const lk_key *key, void *buffer, size_t capacity, size_t *size)
{
    lk_result *result = lk_result_new();
    if (result == NULL)
        return LK_NO_MEMORY;
    lk_status status = lk_get_at(db, key, result);
    if (status == LK_OK && lk_result_item(result, 0) == NULL)
        status = LK_INVALID; /* an adapter that found nothing and says LK_OK */
    if (status == LK_OK)
        status = lki_copy_into(lk_result_item(result, 0)->data, buffer, capacity, size);
    lk_result_free(result);
    return status;
}

lk_status
lki_compose_get_locked(lk_db *db, const lk_key *keys, size_t count, lk_lock *locks,
                       lk_result *result)
{
    const lk_operations *o = &db->operations;
    if ((o->get_lock_at == NULL && o->get_lock == NULL) || o->get_many == NULL)
        return lki_db_lacks(db);
    size_t size;
    if (__builtin_mul_overflow(count, sizeof *locks, &size))
        return LK_NO_MEMORY;
    lk_lock *read = lki_alloc(NULL, size + (size == 0));
    lk_status status = read == NULL ? LK_NO_MEMORY : LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = lk_get_lock_at(db, &keys[i], &read[i]);
    if (status == LK_OK)
        status = db->operations.get_many(db->state, keys, count, result);
    if (status == LK_OK && count != 0)
        memcpy(locks, read, size);
    lki_free(NULL, read, size + (size == 0));
    return status;
}

lk_status
lki_compose_set_atomic(lk_db *db, const lk_item *items, size_t item_count, lk_lock *locks,
                       size_t lock_count, lk_conflict *conflict)
{
    if (db->operations.commit == NULL)
        return lki_db_lacks(db);
    size_t size = (item_count + 1) * sizeof(lk_write); /* at most LK_COMMIT_MAX */
    lk_write *writes = lki_alloc(NULL, size);
    if (writes == NULL)
        return LK_NO_MEMORY;
    for (size_t i = 0; i < item_count; i++)
        writes[i] = (lk_write){.kind = LK_PUT, .item = items[i]};
    lk_status status = LK_OK;
    if ((db->capabilities & LK_CHECKS_DUPLICATES) == 0)
        status = lki_check_duplicates(&(lki_named){.items = items, .count = item_count}, locks,
                                      lock_count);
    if (status == LK_OK)
        status = db->operations.commit(db->state, writes, item_count, locks, lock_count, conflict);
    lki_free(NULL, writes, size);
    return status;
}

lk_status
lki_compose_count(lk_db *db, const lk_query *query, size_t *count)
{
    lk_result *result = lk_result_new();
    if (result == NULL)
        return LK_NO_MEMORY;
    lk_status status = lk_query_items(db, query, result);
    if (status == LK_OK)
        *count = lk_result_count(result);
    lk_result_free(result);
    return status;
}

/* ---- conditions ---- */

/* A write that has to be judged. */
typedef struct judged {
    size_t write; /* its index */
    unsigned char sum[LKI_NUMBER_SIZE];
} judged;

typedef struct composed {
    lk_db *db;
    const lk_write *writes;
    lk_lock *locks; /* the caller's */
    size_t write_count, lock_count, judged_count;
    lk_conflict *conflict;
    int64_t *value; /* of a single LK_ADD; may be NULL */
    /* in one allocation */
    lk_write *plain; /* the writes as the adapter gets them */
    lk_lock *all;    /* the caller's locks, then those of judged keys that are not among them */
    lk_lock *read;   /* locks as they were read */
    lk_key *keys;    /* to be read */
    judged *judged;
    lk_result *items; /* as they were read */
} composed;

/* ---- one attempt ---- */

/* The locks of keys[0] to keys[count - 1], then their items. */
static lk_status
keys_read(composed *c, size_t count)
{
    lk_status status = LK_OK;
    if (c->db->operations.get_locked != NULL) {
        status = lk_get_locked(c->db, c->keys, count, c->read, c->items);
    } else {
        for (size_t i = 0; status == LK_OK && i < count; i++)
            status = lk_get_lock_at(c->db, &c->keys[i], &c->read[i]);
        if (status == LK_OK)
            status = lki_get_each(c->db, c->keys, count, c->items);
    }
    return status;
}

/* Write `index` was refused with `why`. But the caller's locks come first: one that is good now was
 * good when the write was judged, and one that is stale stays so, which makes a race of its own. */
static lk_status
refuse(composed *c, size_t index, lk_status why)
{
    for (size_t i = 0; i < c->lock_count; i++)
        c->keys[i] = c->locks[i].key;
    lk_status status = c->lock_count != 0 ? keys_read(c, c->lock_count) : LK_OK;
    if (status != LK_OK)
        return status;
    for (size_t i = 0; i < c->lock_count; i++)
        if (c->read[i].version != c->locks[i].version)
            return c->db->operations.commit(c->db->state, NULL, 0, c->locks, c->lock_count,
                                            c->conflict);
    *c->conflict = (lk_conflict){SIZE_MAX, 0, index};
    return why;
}

static bool
key_is(const lk_key *key, const lk_key *other)
{
    return lk_bytes_compare(key->sk, other->sk) == 0 && lk_bytes_compare(key->pk, other->pk) == 0;
}

/* The caller's locks and those of the judged keys. How many there are. */
static size_t
locks_join(composed *c)
{
    size_t count = c->lock_count;
    if (count != 0)
        memcpy(c->all, c->locks, count * sizeof *c->all);
    for (size_t j = 0; j < c->judged_count; j++) {
        bool named = false;
        for (size_t i = 0; !named && i < c->lock_count; i++)
            named = key_is(&c->locks[i].key, &c->read[j].key);
        if (!named)
            c->all[count++] = c->read[j];
    }
    return count;
}

static lk_status
condition_judge(const lk_write *write, const lk_item *live)
{
    switch (write->condition) {
    case LK_IF_ABSENT:
        return live == NULL ? LK_OK : LK_EXISTS;
    case LK_IF_PRESENT:
        return live != NULL ? LK_OK : LK_NOT_FOUND;
    case LK_IF_EQUAL:
        return live != NULL && lk_bytes_compare(live->data, write->expected) == 0 ? LK_OK : LK_RACE;
    case LK_ALWAYS:
        break;
    }
    return LK_OK;
}

static lk_status
number_add(const lk_item *live, int64_t delta, unsigned char *sum)
{
    int64_t number = 0;
    if (live != NULL && live->data.size != LKI_NUMBER_SIZE)
        return LK_INVALID;
    if (live != NULL)
        number = lki_number_read(live->data.data);
    if (__builtin_add_overflow(number, delta, &number))
        return LK_TOO_BIG;
    lki_number_write(sum, number);
    return LK_OK;
}

/* Judges a write by the live item of its key (NULL: there is none), and makes the plain one. */
static lk_status
write_judge(composed *c, judged *j, const lk_item *live)
{
    const lk_write *write = &c->writes[j->write];
    lk_item *item = &c->plain[j->write].item;
    lk_status status = condition_judge(write, live);
    if (status == LK_OK && write->kind == LK_TOUCH && live == NULL)
        status = LK_NOT_FOUND;
    if (status == LK_OK && write->kind == LK_ADD)
        status = number_add(live, write->delta, j->sum);
    if (status != LK_OK)
        return refuse(c, j->write, status);
    c->plain[j->write] =
        (lk_write){.kind = write->kind == LK_DELETE ? LK_DELETE : LK_PUT, .item = write->item};
    if (write->kind == LK_TOUCH)
        item->data = live->data;
    if (write->kind == LK_ADD)
        item->data = (lk_bytes){j->sum, sizeof j->sum};
    if (write->kind == LK_ADD && live != NULL)
        item->expires_at_ms = live->expires_at_ms;
    return LK_OK;
}

/* *again: a lock of a judged key has changed since it was read, nothing is done; LK_OK. */
static lk_status
attempt(composed *c, bool *again)
{
    *again = false;
    for (size_t j = 0; j < c->judged_count; j++)
        c->keys[j] = c->writes[c->judged[j].write].item.key;
    lk_status status = keys_read(c, c->judged_count);
    for (size_t j = 0; status == LK_OK && j < c->judged_count; j++)
        status = write_judge(c, &c->judged[j], lk_result_item(c->items, j));
    if (status != LK_OK)
        return status;
    size_t count = locks_join(c);
    if (count > LK_COMMIT_MAX)
        return LK_TOO_BIG;
    lk_conflict conflict = {SIZE_MAX, 0, SIZE_MAX};
    status =
        c->db->operations.commit(c->db->state, c->plain, c->write_count, c->all, count, &conflict);
    *again = status == LK_RACE && conflict.index >= c->lock_count && conflict.index < count;
    if ((status == LK_OK || status == LK_LATE) && c->lock_count != 0)
        memcpy(c->locks, c->all, c->lock_count * sizeof *c->locks);
    if (status == LK_OK && c->value != NULL)
        *c->value = lki_number_read(c->judged[0].sum);
    if (*again)
        return LK_OK;
    if (conflict.index != SIZE_MAX || conflict.write != SIZE_MAX)
        *c->conflict = conflict;
    return status;
}

/* ---- the call ---- */

static bool
composed_open(composed *c, size_t *size)
{
    size_t keys = c->judged_count > c->lock_count ? c->judged_count : c->lock_count;
    *size = c->write_count * sizeof *c->plain + (c->lock_count + c->judged_count) * sizeof *c->all +
            keys * (sizeof *c->read + sizeof *c->keys) + c->judged_count * sizeof *c->judged;
    c->items = lk_result_new();
    c->plain = lki_alloc(NULL, *size);
    if (c->items == NULL || c->plain == NULL)
        return false;
    c->all = (lk_lock *)(void *)(c->plain + c->write_count);
    c->read = c->all + c->lock_count + c->judged_count;
    c->keys = (lk_key *)(void *)(c->read + keys);
    c->judged = (judged *)(void *)(c->keys + keys);
    for (size_t i = 0, j = 0; i < c->write_count; i++) {
        c->plain[i] = c->writes[i];
        if (lki_write_asks(&c->writes[i]))
            c->judged[j++].write = i;
    }
    return true;
}

static lk_status
commit_judged(lk_db *db, const lk_write *writes, size_t write_count, lk_lock *locks,
              size_t lock_count, lk_conflict *conflict, int64_t *value)
{
    if (db->operations.commit == NULL)
        return lki_db_lacks(db);
    composed c = {.db = db,
                  .writes = writes,
                  .locks = locks,
                  .write_count = write_count,
                  .lock_count = lock_count,
                  .conflict = conflict,
                  .value = value};
    for (size_t i = 0; i < write_count; i++)
        c.judged_count += lki_write_asks(&writes[i]);
    size_t size = 0;
    bool again = true;
    lk_status status = lki_check_duplicates(&(lki_named){.writes = writes, .count = write_count},
                                            locks, lock_count);
    if (status == LK_OK && !composed_open(&c, &size))
        status = LK_NO_MEMORY;
    for (unsigned round = 0; status == LK_OK && again; round++) {
        if (round != 0)
            lk_backoff(round - 1);
        status = attempt(&c, &again);
    }
    lki_free(NULL, c.plain, size);
    lk_result_free(c.items);
    return status;
}

lk_status
lki_compose_commit(lk_db *db, const lk_write *writes, size_t write_count, lk_lock *locks,
                   size_t lock_count, lk_conflict *conflict)
{
    return commit_judged(db, writes, write_count, locks, lock_count, conflict, NULL);
}

static lk_status
write_judged(lk_db *db, const lk_write *write, int64_t *value)
{
    lk_conflict ignored;
    return commit_judged(db, write, 1, NULL, 0, &ignored, value);
}

lk_status
lki_compose_put_if(lk_db *db, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    const lk_write write = {
        .kind = LK_PUT, .item = *item, .condition = condition, .expected = expected};
    return write_judged(db, &write, NULL);
}

lk_status
lki_compose_touch(lk_db *db, const lk_key *key, int64_t expires_at_ms)
{
    const lk_write write = {.kind = LK_TOUCH, .item = {*key, {NULL, 0}, expires_at_ms}};
    return write_judged(db, &write, NULL);
}

lk_status
lki_compose_add(lk_db *db, const lk_key *key, int64_t delta, int64_t expires_at_ms, int64_t *value)
{
    const lk_write write = {
        .kind = LK_ADD, .item = {*key, {NULL, 0}, expires_at_ms}, .delta = delta};
    return write_judged(db, &write, value);
}
