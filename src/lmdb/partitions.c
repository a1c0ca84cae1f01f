/* SPDX-License-Identifier: MIT
 *
 * The partitions of the store, page by page. Called through the table of operations.
 *
 * A position has 32 bytes, a pk up to 500. So partitions are listed in groups: those whose pks have
 * the same size and begin with the same bytes. Groups come in the order of their keys. A pk that
 * fits into a position is a group by itself. Of a longer one its first bytes name the group; inside
 * of it partitions come in the order of the hashes of their pks, and the position has, beside the
 * group, the least hash that has not come yet. So a position depends on nothing that is in the
 * file, and a partition that is there throughout comes once, whatever comes and goes beside it.
 *
 * Each page of a group of long pks walks over the group twice: the first walk finds the greatest
 * hash of the page, the second one takes all up to that. So such a group is best read in large
 * pages. Partitions with equal hashes are never parted: they exceed the limit, if they have to.
 * (The hash is SipHash: nobody makes many of them.)
 */
#include <stdlib.h>

#include "lmdb/operations.h"
#include "lmdb/reader.h"

enum {
    PAGE = 1024, /* partitions, unless more are asked for */
    PAGE_MAX = 65536,
    EXACT = sizeof(lk_position) - LKI_LMDB_FRAME, /* the longest pk that fits */
    PREFIX = EXACT - sizeof(uint64_t)             /* of a longer one */
};

#define GROUP_END UINT64_MAX /* more than any hash */

_Static_assert(sizeof(lk_position) == 32, "a frame, the beginning of a pk, a hash");

typedef struct listing {
    MDB_cursor *cursor;
    lk_result *result;
    int64_t now_ms;
    lki_lmdb_key group; /* the frame of the pks, and what they begin with; size 0: the start */
    uint64_t from;      /* lower hashes of the group have come */
    uint64_t last;      /* of this page */
    size_t limit, added;
    MDB_val key, row; /* where the cursor is, */
    int code;         /* if this is 0 */
    size_t room, kept;
    uint64_t *hashes; /* room for `limit` */
} listing;

/* ---- positions ---- */

static size_t
group_size(size_t pk_size)
{
    return LKI_LMDB_FRAME + (pk_size <= EXACT ? pk_size : PREFIX);
}

static bool
group_is_one(const lki_lmdb_key *group)
{
    return group->size == LKI_LMDB_FRAME + ((size_t)group->bytes[0] << 8 | group->bytes[1]);
}

/* False: that was never a position. */
static bool
position_read(const lk_position *position, listing *l)
{
    memcpy(l->group.bytes, position->opaque, sizeof *position);
    size_t pk_size = (size_t)l->group.bytes[0] << 8 | l->group.bytes[1];
    l->group.size = pk_size != 0 ? group_size(pk_size) : 0;
    l->from = GROUP_END;
    if (pk_size > EXACT)
        memcpy(&l->from, l->group.bytes + l->group.size, sizeof l->from);
    return pk_size <= LKI_LMDB_NAMES_MAX;
}

static void
position_write(const listing *l, lk_position *position)
{
    unsigned char bytes[sizeof *position] = {0};
    memcpy(bytes, l->group.bytes, l->group.size);
    if (!group_is_one(&l->group))
        memcpy(bytes + l->group.size, &l->from, sizeof l->from);
    memcpy(position->opaque, bytes, sizeof bytes);
}

/* ---- hashes ---- */

static void
sip_round(uint64_t v[4])
{
    v[0] += v[1], v[2] += v[3];
    v[1] = (v[1] << 13 | v[1] >> 51) ^ v[0];
    v[3] = (v[3] << 16 | v[3] >> 48) ^ v[2];
    v[0] = (v[0] << 32 | v[0] >> 32) + v[3];
    v[2] += v[1];
    v[1] = (v[1] << 17 | v[1] >> 47) ^ v[2];
    v[3] = (v[3] << 21 | v[3] >> 43) ^ v[0];
    v[2] = v[2] << 32 | v[2] >> 32;
}

/* SipHash-1-3 under a fixed key, less one bit: below GROUP_END. */
static uint64_t
pk_hash(lk_bytes pk)
{
    uint64_t v[4] = {0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261,
                     0x7465646279746573};
    const unsigned char *bytes = pk.data;
    for (size_t at = 0, part = 8; part == 8; at += part) {
        uint64_t word = 0;
        part = pk.size - at < 8 ? pk.size - at : 8;
        memcpy(&word, bytes + at, part);
        if (part < 8)
            word |= (uint64_t)pk.size << 56;
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return (v[0] ^ v[1] ^ v[2] ^ v[3]) >> 1;
}

/* Keeps the least hashes, as many as there is room for: in a heap, the greatest of them first. */
static void
hash_keep(listing *l, uint64_t hash)
{
    size_t i = 0;
    if (l->kept < l->room) {
        for (i = l->kept++; i != 0 && l->hashes[(i - 1) / 2] < hash; i = (i - 1) / 2)
            l->hashes[i] = l->hashes[(i - 1) / 2];
    } else {
        if (hash >= l->hashes[0])
            return;
        for (size_t child; (child = 2 * i + 1) < l->kept; i = child) {
            child += child + 1 < l->kept && l->hashes[child + 1] > l->hashes[child];
            if (l->hashes[child] <= hash)
                break;
            l->hashes[i] = l->hashes[child];
        }
    }
    l->hashes[i] = hash;
}

/* ---- walks ---- */

static void
cursor_seek(listing *l, const lki_lmdb_key *to)
{
    l->key = lki_lmdb_key_value(to);
    l->code = mdb_cursor_get(l->cursor, &l->key, &l->row, MDB_SET_RANGE);
}

static void
cursor_next(listing *l)
{
    l->code = mdb_cursor_get(l->cursor, &l->key, &l->row, MDB_NEXT);
}

/* Adds the partition whose frame is `pk` if it has a live item. The cursor is at its first one, and
 * stays inside, or behind the first key behind it. */
static lk_status
partition_add(listing *l, const lki_lmdb_key *pk)
{
    for (; l->code == 0 && lki_lmdb_begins_with(&l->key, pk); cursor_next(l)) {
        lki_lmdb_item item;
        lk_status status = lki_lmdb_item_parse(&l->row, &item);
        if (status != LK_OK)
            return status;
        if (lk_has_expired(item.expires_at_ms, l->now_ms))
            continue;
        lk_item found = {.key = {.pk = lki_lmdb_key_pk(pk)}};
        l->added++;
        return lk_result_add(l->result, &found);
    }
    return LK_OK;
}

/* From anywhere in a partition, or from the first key behind it. */
static void
partition_leave(listing *l, const lki_lmdb_key *pk)
{
    if (l->code == 0 && lki_lmdb_begins_with(&l->key, pk))
        cursor_next(l); /* most have one item */
    if (l->code != 0 || !lki_lmdb_begins_with(&l->key, pk))
        return;
    lki_lmdb_key behind = *pk;
    lki_lmdb_key_behind(&behind);
    cursor_seek(l, &behind);
}

/* Keeps the hashes of all partitions of the group that have not come yet, or adds those up to the
 * last of the page. */
static lk_status
group_walk(listing *l, bool adds)
{
    lki_lmdb_key pks[2] = {{.size = 0}, {.size = 0}}; /* this one and the one before */
    cursor_seek(l, &l->group);
    for (int i = 0; l->code == 0 && lki_lmdb_begins_with(&l->key, &l->group); i = !i) {
        lki_lmdb_key *pk = &pks[i];
        lk_status status = LK_OK;
        if (!lki_lmdb_key_read(pk, l->key.mv_data, l->key.mv_size))
            return LK_UNAVAILABLE; /* damaged */
        pk->size = LKI_LMDB_FRAME + pk->pk_size;
        if (lk_bytes_compare(lki_lmdb_key_bytes(pk), lki_lmdb_key_bytes(&pks[!i])) <= 0)
            return LK_UNAVAILABLE; /* damaged: keys that are not in order have no end */
        uint64_t hash = group_is_one(&l->group) ? 0 : pk_hash(lki_lmdb_key_pk(pk));
        if (hash >= l->from && !adds)
            hash_keep(l, hash);
        if (hash >= l->from && hash <= l->last && adds)
            status = partition_add(l, pk);
        if (status != LK_OK)
            return status;
        partition_leave(l, pk);
    }
    return l->code == MDB_NOTFOUND ? LK_OK : lki_lmdb_status(l->code);
}

/* What of the group has not come yet, as far as there is room. */
static lk_status
group_add(listing *l)
{
    l->room = l->limit - l->added;
    l->kept = 0;
    lk_status status = group_is_one(&l->group) ? LK_OK : group_walk(l, false);
    l->last = l->kept == l->room ? l->hashes[0] : GROUP_END - 1;
    if (status == LK_OK)
        status = group_walk(l, true);
    l->from = l->last + 1;
    return status;
}

/* Goes on to the next group. LK_NOT_FOUND: there is none. */
static lk_status
group_next(listing *l)
{
    lki_lmdb_key behind = l->group;
    if (behind.size == 0)
        behind.bytes[behind.size++] = 0;
    else
        lki_lmdb_key_behind(&behind);
    cursor_seek(l, &behind);
    if (l->code != 0)
        return lki_lmdb_status(l->code);
    if (!lki_lmdb_key_read(&l->group, l->key.mv_data, l->key.mv_size) ||
        lk_bytes_compare(lki_lmdb_key_bytes(&l->group), lki_lmdb_key_bytes(&behind)) < 0)
        return LK_UNAVAILABLE; /* damaged */
    l->group.size = group_size(l->group.pk_size);
    l->from = 0;
    return LK_OK;
}

static lk_status
page_make(listing *l)
{
    lk_status status = LK_OK;
    while (status == LK_OK && l->added < l->limit) {
        if (l->from == GROUP_END)
            status = group_next(l);
        if (status == LK_OK)
            status = group_add(l);
    }
    return status == LK_NOT_FOUND ? l->added != 0 ? LK_OK : LK_END : status;
}

static lk_status
page_read(lki_lmdb *store, listing *l)
{
    lki_lmdb_reader *reader;
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    l->cursor = reader->cursor;
    l->now_ms = lki_lmdb_now(store);
    l->added = 0;
    lk_result_draft(l->result);
    status = lki_lmdb_status(mdb_cursor_renew(reader->txn, reader->cursor));
    if (status == LK_OK)
        status = page_make(l);
    lki_lmdb_read_end(reader);
    return status;
}

lk_status
lki_lmdb_list_partitions(void *state, lk_position *position, size_t limit, lk_result *result)
{
    uint64_t few[PAGE];
    listing l;
    if (!position_read(position, &l))
        return LK_INVALID;
    l.result = result;
    l.limit = limit == 0 ? PAGE : limit < PAGE_MAX ? limit : PAGE_MAX;
    l.hashes = l.limit <= PAGE ? few : malloc(l.limit * sizeof *l.hashes);
    if (l.hashes == NULL)
        return LK_NO_MEMORY;
    lk_status status = page_read(state, &l);
    if (l.hashes != few)
        free(l.hashes);
    if (status == LK_OK) {
        lk_result_publish(result);
        position_write(&l, position);
    }
    return status;
}
