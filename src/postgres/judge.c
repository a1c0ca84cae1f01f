/* SPDX-License-Identifier: MIT
 *
 * The judgement of a plan, between its two round trips: the locks first, then the writes in their
 * order, each by what those before it have made of its row. See plan.h.
 */
#include <string.h>

#include "postgres/plan.h"
#include "postgres/queue.h"

static lk_status
refused(lki_pg_plan *p, size_t write, lk_status status)
{
    *p->conflict = (lk_conflict){SIZE_MAX, 0, write};
    return status;
}

static bool
lock_is_good(const lki_pg_plan *p, const lk_lock *lock, const lki_pg_row *r)
{
    if (lock->version == 0)
        return r->version == 0 && !r->has_data;
    return r->version == (int64_t)lock->version && !lk_has_expired(r->lock_until_ms, p->now_ms);
}

static lk_status
locks_judge(lki_pg_plan *p)
{
    for (size_t i = 0; i < p->lock_count; i++) {
        const lki_pg_row *r = &p->rows[p->of_locks[i]];
        bool lapsed = lk_has_expired(r->lock_until_ms, p->now_ms);
        if (lock_is_good(p, &p->locks[i], r))
            continue;
        *p->conflict = (lk_conflict){i, lapsed ? 0 : (uint64_t)r->version, SIZE_MAX};
        return LK_RACE;
    }
    return LK_OK;
}

static lk_status
condition_judge(const lk_write *write, const lki_pg_row *r)
{
    switch (write->condition) {
    case LK_ALWAYS:
        return LK_OK;
    case LK_IF_ABSENT:
        return r->has_data ? LK_EXISTS : LK_OK;
    case LK_IF_PRESENT:
        return r->has_data ? LK_OK : LK_NOT_FOUND;
    case LK_IF_EQUAL:
        return r->has_data && lk_bytes_compare(r->data, write->expected) == 0 ? LK_OK : LK_RACE;
    }
    return LK_INVALID;
}

static lk_status
add_apply(lki_pg_plan *p, size_t i, lki_pg_row *r)
{
    int64_t before = 0, sum;
    if (r->has_data && !lki_pg_item_number(r->data, &before))
        return LK_INVALID;
    if (__builtin_add_overflow(before, p->writes[i].delta, &sum))
        return LK_TOO_BIG;
    lki_pg_item_number_write(sum, &p->sums[i]);
    if (!r->has_data)
        r->expires_at_ms = p->writes[i].item.expires_at_ms;
    r->data = (lk_bytes){&p->sums[i], 8};
    r->has_data = true;
    return LK_OK;
}

static void
put_apply(const lk_item *item, lki_pg_row *r)
{
    r->has_data = true;
    r->data = item->data;
    r->expires_at_ms = item->expires_at_ms;
}

static bool
queue_is_closed(const lki_pg_plan *p, lk_bytes pk)
{
    for (int row = 0; row < PQntuples(p->closed); row++)
        if (lk_bytes_compare(lki_pg_read_bytes(p->closed, row, 0), pk) == 0)
            return true;
    return false;
}

static lk_status
push_apply(lki_pg_plan *p, size_t i, lki_pg_row *r)
{
    const lk_write *write = &p->writes[i];
    int64_t delay_ms = write->push != NULL ? write->push->delay_ms : 0;
    size_t max_depth = write->push != NULL ? write->push->max_depth : 0;
    lki_pg_depth *depth = lki_pg_depth_find(p, r->key.pk);
    if (!p->to_closed && queue_is_closed(p, r->key.pk))
        return LK_CLOSED;
    if (r->has_data && write->item.key.sk.size == 0)
        return LKI_PG_TAKEN;
    if (r->has_data && write->push != NULL && write->push->unique)
        return LK_EXISTS;
    if (depth != NULL && !r->has_job)
        depth->jobs++;
    if (depth != NULL && max_depth != 0 && depth->jobs > max_depth)
        return LK_BUSY;
    put_apply(&write->item, r);
    r->has_job = true;
    r->visible_at_ms = delay_ms != 0 ? lki_pg_time_after(p->job_now_ms, delay_ms) : 0;
    r->token = r->receives = 0;
    return LK_OK;
}

static lk_status
claim_apply(lki_pg_plan *p, size_t i, lki_pg_row *r)
{
    const lk_write *write = &p->writes[i];
    uint64_t token = write->claim->token;
    if (!r->has_job || (token != 0 && r->token != (int64_t)token))
        return LK_LOST;
    p->late[i] = token != 0 && r->visible_at_ms <= p->job_now_ms;
    p->is_late |= p->late[i];
    if (write->kind == LK_ACKNOWLEDGE) {
        *r = (lki_pg_row){.key = r->key};
    } else {
        r->visible_at_ms =
            write->delay_ms != 0 ? lki_pg_time_after(p->job_now_ms, write->delay_ms) : 0;
        r->token = 0;
    }
    return LK_OK;
}

static lk_status
write_apply(lki_pg_plan *p, size_t i)
{
    const lk_write *write = &p->writes[i];
    lki_pg_row *r = &p->rows[p->of_writes[i]];
    lk_status status = condition_judge(write, r);
    if (status != LK_OK)
        return status;
    switch (write->kind) {
    case LK_PUT:
        put_apply(&write->item, r);
        return LK_OK;
    case LK_DELETE:
        *r = (lki_pg_row){.key = r->key};
        return LK_OK;
    case LK_TOUCH:
        r->expires_at_ms = write->item.expires_at_ms;
        return r->has_data ? LK_OK : LK_NOT_FOUND;
    case LK_ADD:
        return add_apply(p, i, r);
    case LK_PUSH:
        return push_apply(p, i, r);
    case LK_ACKNOWLEDGE:
    case LK_RELEASE:
        return claim_apply(p, i, r);
    }
    return LK_INVALID;
}

/* Gives the locks their new versions: but not those whose key is deleted. */
static lk_status
locks_bump(lki_pg_plan *p)
{
    for (size_t i = 0; i < p->lock_count; i++) {
        lki_pg_row *r = &p->rows[p->of_locks[i]];
        bool gone = !r->has_data && r->version == 0 && p->locks[i].version != 0;
        p->bumped[i] = (lk_lock){.key = p->locks[i].key};
        if (gone)
            continue;
        if (!lki_pg_read_number(p->versions, (int)i, 0, &r->version))
            return LK_UNAVAILABLE;
        r->lock_until_ms = lki_pg_time_after(p->now_ms, p->store->lock_ttl_ms);
        p->bumped[i].version = (uint64_t)r->version;
        p->bumped[i].expires_at_ms = r->lock_until_ms;
    }
    return LK_OK;
}

lk_status
lki_pg_plan_judge(lki_pg_plan *p)
{
    p->is_late = false;
    lk_status status = locks_judge(p);
    for (size_t i = 0; status == LK_OK && i < p->write_count; i++) {
        status = write_apply(p, i);
        if (status != LK_OK && status != LKI_PG_TAKEN)
            return refused(p, i, status);
    }
    return status == LK_OK ? locks_bump(p) : status;
}
