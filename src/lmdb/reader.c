/* SPDX-License-Identifier: MIT
 *
 * Reading: a fixed number of places, each with a read transaction and a cursor. They are made once,
 * and each call renews them.
 *
 * A thread begins its search at the place that it had last, so it mostly finds its own. A read then
 * costs one swap of a flag on a line of its own, and no allocation. Where all places are taken the
 * thread yields until one is free; a place is held for the time of one look.
 *
 * Ordering pairs  L1, L2 (lmdb/atomic.h)
 */
#include "lmdb/reader.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

enum { SNAPSHOT_TRIES = 1000 };

static __thread uint32_t last_place = UINT32_MAX;

lk_status
lki_lmdb_readers_open(lki_lmdb *store, uint32_t count)
{
    size_t size = (size_t)count * sizeof *store->readers;
    store->readers = aligned_alloc(LKI_LMDB_LINE, size);
    if (store->readers == NULL)
        return LK_NO_MEMORY;
    memset(store->readers, 0, size);
    store->reader_count = count;
    return LK_OK;
}

void
lki_lmdb_readers_close(lki_lmdb *store)
{
    for (uint32_t i = 0; store->readers != NULL && i < store->reader_count; i++) {
        if (store->readers[i].cursor != NULL)
            mdb_cursor_close(store->readers[i].cursor);
        if (store->readers[i].txn != NULL)
            mdb_txn_abort(store->readers[i].txn);
    }
    free(store->readers);
}

/* Takes a place for the caller. */
static lki_lmdb_reader *
place_take(lki_lmdb *store)
{
    static lki_lmdb_flag threads;
    if (last_place == UINT32_MAX)
        last_place = lki_lmdb_number(&threads);
    for (uint32_t i = last_place % store->reader_count;;) {
        for (uint32_t tries = 0; tries < store->reader_count; tries++) {
            if (lki_lmdb_flag_take(&store->readers[i].taken)) {
                last_place = i;
                return &store->readers[i];
            }
            i = i + 1 == store->reader_count ? 0 : i + 1;
        }
        sched_yield();
    }
}

/* Makes what a place has, at its first use. */
static int
place_open(const lki_lmdb *store, lki_lmdb_reader *reader)
{
    int saved = errno, code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &reader->txn);
    if (code == MDB_READERS_FULL) { /* perhaps with readers of a process that was killed */
        code = mdb_reader_check(store->env, NULL);
        if (code == 0)
            code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &reader->txn);
    }
    if (code == 0)
        code = mdb_cursor_open(reader->txn, store->in.items, &reader->cursor);
    if (code != 0 && reader->txn != NULL) {
        mdb_txn_abort(reader->txn);
        reader->cursor = NULL;
    }
    if (code != 0)
        reader->txn = NULL;
    errno = saved;
    return code;
}

/* Renews the transaction until its snapshot is one. LMDB 0.9 takes the number N of the last commit,
 * then copies its roots from the meta page of N, which commit N + 2 overwrites. A reader that loses
 * its time slice in between gets the roots of a later commit, or half of them, and what it reads
 * next may be older. If the last commit is still N after the copy, commit N + 2 had not begun to
 * write; if it is a later one, the reader tries again. It stays N + 1 where its writer has stopped
 * between its meta page and the number: then commit N + 2 cannot begin, and readers must not
 * wait. */
static int
snapshot_confirm(const lki_lmdb *store, lki_lmdb_reader *reader)
{
    for (unsigned tries = 0;; tries++) {
        MDB_envinfo info;
        lki_lmdb_fence_acquire(); /* L2: the copy before the look */
        int code = mdb_env_info(store->env, &info);
        if (code != 0)
            return code;
        size_t number = mdb_txn_id(reader->txn);
        if (info.me_last_txnid <= number ||
            (info.me_last_txnid == number + 1 && tries >= SNAPSHOT_TRIES))
            return 0;
        mdb_txn_reset(reader->txn);
        code = mdb_txn_renew(reader->txn);
        if (code != 0)
            return code;
    }
}

lk_status
lki_lmdb_read_begin(lki_lmdb *store, lki_lmdb_reader **taken)
{
    lki_lmdb_reader *reader = place_take(store);
    int code = reader->txn == NULL ? place_open(store, reader) : mdb_txn_renew(reader->txn);
    if (code == 0)
        code = snapshot_confirm(store, reader);
    if (code != 0) {
        lki_lmdb_flag_drop(&reader->taken);
        return lki_lmdb_status(code);
    }
    *taken = reader;
    return LK_OK;
}

lk_status
lki_lmdb_found_add(lk_result *result, const lk_key *key, const lki_lmdb_item *found)
{
    if (found == NULL)
        return lk_result_add(result, NULL);
    lk_item item = {*key, found->data, found->expires_at_ms};
    return lk_result_add(result, &item);
}

void
lki_lmdb_read_end(lki_lmdb_reader *reader)
{
    LKI_LMDB_ASSERT(reader->txn != NULL);
    mdb_txn_reset(reader->txn);
    lki_lmdb_flag_drop(&reader->taken);
}

/* ---- rows ---- */

lk_status
lki_lmdb_seek(MDB_txn *txn, MDB_dbi dbi, const lki_lmdb_key *from, MDB_val *key)
{
    MDB_cursor *cursor;
    int code = mdb_cursor_open(txn, dbi, &cursor);
    if (code != 0)
        return lki_lmdb_status(code);
    MDB_val value;
    *key = lki_lmdb_key_value(from);
    code = mdb_cursor_get(cursor, key, &value, MDB_SET_RANGE);
    mdb_cursor_close(cursor);
    return lki_lmdb_status(code);
}

lk_status
lki_lmdb_row(MDB_txn *txn, MDB_dbi dbi, const lki_lmdb_key *key, void *row, size_t size)
{
    MDB_val k = lki_lmdb_key_value(key), value;
    int code = mdb_get(txn, dbi, &k, &value);
    if (code != 0)
        return lki_lmdb_status(code);
    if (value.mv_size != size)
        return LK_UNAVAILABLE; /* damaged */
    memcpy(row, value.mv_data, size);
    return LK_OK;
}

lk_status
lki_lmdb_item_parse(const MDB_val *value, lki_lmdb_item *item)
{
    const unsigned char *bytes = value->mv_data;
    if (value->mv_size < LKI_LMDB_ITEM_HEADER)
        return LK_UNAVAILABLE; /* damaged */
    memcpy(&item->expires_at_ms, bytes, sizeof item->expires_at_ms);
    item->flags = bytes[LKI_LMDB_ITEM_HEADER - 1];
    item->data = (lk_bytes){bytes + LKI_LMDB_ITEM_HEADER, value->mv_size - LKI_LMDB_ITEM_HEADER};
    return LK_OK;
}

lk_status
lki_lmdb_item_find(const lki_lmdb *store, MDB_txn *txn, const lki_lmdb_key *key,
                   lki_lmdb_item *item)
{
    MDB_val k = lki_lmdb_key_value(key), value;
    int code = mdb_get(txn, store->in.items, &k, &value);
    return code != 0 ? lki_lmdb_status(code) : lki_lmdb_item_parse(&value, item);
}
