/* SPDX-License-Identifier: MIT
 *
 * The outcome of a write over what it finds (outcome.h). The one `now` of the call decides whether
 * an item is live.
 *
 * Progress    wait-free.
 * Invariants  I-outcome1: the caller puts the result over exactly the record that was judged, so
 *             the outcome is true at the instant of the write.
 */
#include "store/outcome.h"

#include "store/head.h"

/* `live`: the live item; NULL: none. */
static lk_status
condition_judge(const lk_write *write, const lki_record *live)
{
    switch (write->condition) {
    case LK_IF_ABSENT:
        return live == NULL ? LK_OK : LK_EXISTS;
    case LK_IF_PRESENT:
        return live != NULL ? LK_OK : LK_NOT_FOUND;
    case LK_IF_EQUAL:
        return live != NULL && live->size == write->expected.size &&
                       lki_bytes_equal(lki_record_data(live), write->expected.data, live->size)
                   ? LK_OK
                   : LK_RACE;
    case LK_ALWAYS:
        break;
    }
    return LK_OK;
}

static lk_status
number_add(const lk_write *write, const lki_record *live, lki_outcome *outcome)
{
    int64_t sum = 0;
    if (live != NULL && live->size != LKI_NUMBER_SIZE)
        return LK_INVALID;
    if (live != NULL)
        sum = lki_number_read(lki_record_data(live));
    if (__builtin_add_overflow(sum, write->delta, &sum))
        return LK_TOO_BIG;
    lki_number_write(outcome->sum, sum);
    outcome->item = &outcome->made;
    outcome->made.data = (lk_bytes){outcome->sum, sizeof outcome->sum};
    outcome->made.expires_at_ms =
        live != NULL ? lki_record_expires(live) : write->item.expires_at_ms;
    outcome->kept = live != NULL;
    return LK_OK;
}

lk_status
lki_write_outcome(const lki_store *store, const lk_write *write, const lki_record *found,
                  lki_time *now, lki_outcome *outcome)
{
    const lki_record *live = lki_record_is_live(store, found, now) ? found : NULL;
    outcome->item = &write->item;
    outcome->kept = false;
    lk_status status = condition_judge(write, live);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    if (write->kind == LK_ADD)
        return number_add(write, live, outcome);
    if (write->kind != LK_TOUCH)
        return LK_OK;
    if (live == NULL)
        return LK_NOT_FOUND;
    outcome->item = &outcome->made;
    outcome->made.data = (lk_bytes){lki_record_data(live), live->size};
    outcome->made.expires_at_ms = write->item.expires_at_ms;
    return LK_OK;
}
