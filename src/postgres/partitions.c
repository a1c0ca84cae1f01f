/* SPDX-License-Identifier: MIT
 *
 * The partitions of the store, page by page. Called through the table of operations.
 *
 * A position has 32 bytes, a pk up to 2,600. So short pks, which fit into a position, come first,
 * in the server's order. Then the long ones, in groups of those that begin with the same bytes;
 * inside of a group by their hash (MD5, by the server), so that a position says all there is to
 * say, and a partition that is there throughout comes once, whatever comes and goes beside it.
 * Each page of a group walks over the whole group: such a group is best read in large pages.
 *
 * The server finds the next pk by one look into its index each, however many items a partition has.
 */
#include <stdlib.h>
#include <string.h>

#include "postgres/connection.h"
#include "postgres/operations.h"

enum { SHORT = 29, PREFIX = 21, CHUNK = 1000 };

/* Which part of the order a position is in. */
enum { AT_SHORT, AT_LONG, AT_KINDS };

typedef struct place {
    unsigned char kind;
    unsigned char size; /* of `bytes`: the last short pk, or the group's prefix */
    unsigned char bytes[SHORT + 1];
    int64_t hash; /* of a group: hashes up to this have come; kept in the last 8 bytes */
} place;

static bool
place_read(const lk_position *position, place *at)
{
    unsigned char bytes[sizeof *position];
    memcpy(bytes, position->opaque, sizeof bytes);
    *at = (place){.kind = bytes[0], .size = bytes[1], .hash = INT64_MIN};
    memcpy(at->bytes, bytes + 2, sizeof at->bytes);
    if (at->kind == AT_LONG)
        memcpy(&at->hash, bytes + sizeof bytes - 8, 8);
    return at->kind < AT_KINDS && at->size <= (at->kind == AT_LONG ? PREFIX : SHORT);
}

static void
place_write(const place *at, lk_position *position)
{
    unsigned char bytes[sizeof *position] = {at->kind, at->size};
    memcpy(bytes + 2, at->bytes, at->size);
    if (at->kind == AT_LONG)
        memcpy(bytes + sizeof bytes - 8, &at->hash, 8);
    memcpy(position->opaque, bytes, sizeof bytes);
}

typedef struct listing {
    lki_pg *store;
    lk_result *result;
    size_t limit, added;
    place at;
} listing;

static lk_status
pk_add(listing *l, lk_bytes pk)
{
    lk_item item = {.key = {.pk = pk}};
    l->added++;
    return lk_result_add(l->result, &item);
}

/* ---- short pks ---- */

static lk_status
short_list(listing *l)
{
    lki_pg_parameters p = {.count = 0};
    PGresult *answer;
    size_t wanted = l->limit - l->added;
    lki_pg_add_number(&p, lki_pg_now_ms(l->store));
    lki_pg_add_bytes(&p, (lk_bytes){l->at.bytes, l->at.size});
    lki_pg_add_number(&p, wanted < INT64_MAX ? (int64_t)wanted : INT64_MAX);
    lki_pg_add_number(&p, SHORT);
    lk_status status = lki_pg_call(l->store, LKI_PG_PARTITIONS, true, &p, &answer);
    if (status != LK_OK)
        return status;
    int rows = PQntuples(answer);
    for (int row = 0; status == LK_OK && row < rows; row++) {
        lk_bytes pk = lki_pg_read_bytes(answer, row, 0);
        if (pk.size == 0 || pk.size > SHORT)
            status = LK_UNAVAILABLE;
        else
            status = pk_add(l, pk);
        if (status == LK_OK && row == rows - 1) {
            memcpy(l->at.bytes, pk.data, pk.size);
            l->at.size = (unsigned char)pk.size;
        }
    }
    PQclear(answer);
    if (status == LK_OK && (size_t)rows < wanted)
        l->at = (place){.kind = AT_LONG, .hash = INT64_MAX};
    return status;
}

/* ---- long pks ---- */

/* The first of the long pks at or behind `from`, `limit` of them, with their hashes. */
static lk_status
long_ask(const listing *l, lk_bytes from, int64_t limit, PGresult **answer)
{
    lki_pg_parameters p = {.count = 0};
    lki_pg_add_number(&p, lki_pg_now_ms(l->store));
    lki_pg_add_bytes(&p, from);
    lki_pg_add_number(&p, limit);
    lki_pg_add_number(&p, SHORT);
    return lki_pg_call(l->store, LKI_PG_PARTITIONS_LONG, true, &p, answer);
}

/* The group behind this one; false in *any: there is none. */
static lk_status
group_next(listing *l, bool *any)
{
    unsigned char behind[PREFIX];
    size_t size = l->at.size;
    PGresult *answer;
    memcpy(behind, l->at.bytes, size);
    while (size != 0 && behind[size - 1] == 0xff)
        size--;
    *any = l->at.size == 0 || size != 0;
    if (!*any)
        return LK_OK;
    if (size != 0)
        behind[size - 1]++;
    lk_status status = long_ask(l, (lk_bytes){behind, size}, 1, &answer);
    if (status != LK_OK)
        return status;
    *any = PQntuples(answer) != 0;
    if (*any) {
        lk_bytes pk = lki_pg_read_bytes(answer, 0, 0);
        l->at = (place){.kind = AT_LONG, .size = PREFIX, .hash = INT64_MIN};
        if (pk.size <= PREFIX)
            status = LK_UNAVAILABLE;
        else
            memcpy(l->at.bytes, pk.data, PREFIX);
    }
    PQclear(answer);
    return status;
}

typedef struct member {
    int64_t hash;
    unsigned char *pk;
    size_t size;
} member;

static int
member_order(const void *left, const void *right)
{
    int64_t a = ((const member *)left)->hash, b = ((const member *)right)->hash;
    return (a > b) - (a < b);
}

typedef struct members {
    member *of;
    size_t count, room;
} members;

static void
members_free(members *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->of[i].pk);
    free(m->of);
}

/* The first `limit` by hash stay, and those that have the last one's hash. */
static void
members_trim(members *m, size_t limit)
{
    if (m->count <= limit)
        return;
    qsort(m->of, m->count, sizeof *m->of, member_order);
    size_t kept = limit;
    while (kept < m->count && m->of[kept].hash == m->of[limit - 1].hash)
        kept++;
    while (m->count > kept)
        free(m->of[--m->count].pk);
}

static lk_status
member_add(members *m, lk_bytes pk, int64_t hash)
{
    if (m->count == m->room) {
        size_t room = m->room != 0 ? m->room * 2 : 64;
        member *grown = realloc(m->of, room * sizeof *grown);
        if (grown == NULL)
            return LK_NO_MEMORY;
        m->of = grown;
        m->room = room;
    }
    unsigned char *copy = malloc(pk.size);
    if (copy == NULL)
        return LK_NO_MEMORY;
    memcpy(copy, pk.data, pk.size);
    m->of[m->count++] = (member){hash, copy, pk.size};
    return LK_OK;
}

/* Adds a chunk of the group to those that are still to come. *more: the group goes on behind
 * `last`. */
static lk_status
chunk_add(const listing *l, members *m, const PGresult *answer, lk_bytes *last, bool *more)
{
    int rows = PQntuples(answer);
    lk_status status = LK_OK;
    *more = rows == CHUNK;
    for (int row = 0; status == LK_OK && row < rows; row++) {
        int64_t hash;
        lk_bytes pk = lki_pg_read_bytes(answer, row, 0);
        if (pk.size <= PREFIX || !lki_pg_read_number(answer, row, 1, &hash))
            return LK_UNAVAILABLE;
        if (memcmp(pk.data, l->at.bytes, PREFIX) != 0) {
            *more = false;
            break;
        }
        if (hash > l->at.hash)
            status = member_add(m, pk, hash);
        *last = pk;
    }
    return status;
}

/* All that is left of a group, or the page's part of it. */
static lk_status
group_read(const listing *l, members *m)
{
    lk_status status = LK_OK;
    unsigned char *from = malloc(PREFIX);
    size_t size = PREFIX;
    bool more = from != NULL;
    if (!more)
        return LK_NO_MEMORY;
    memcpy(from, l->at.bytes, PREFIX);
    while (status == LK_OK && more) {
        PGresult *answer;
        lk_bytes last = {NULL, 0};
        status = long_ask(l, (lk_bytes){from, size}, CHUNK, &answer);
        if (status != LK_OK)
            break;
        status = chunk_add(l, m, answer, &last, &more);
        members_trim(m, l->limit - l->added);
        if (status == LK_OK && more) { /* behind the last one */
            unsigned char *next = realloc(from, last.size + 1);
            status = next != NULL ? LK_OK : LK_NO_MEMORY;
            if (next != NULL) {
                from = next;
                memcpy(from, last.data, last.size);
                from[last.size] = 0;
                size = last.size + 1;
            }
        }
        PQclear(answer);
    }
    free(from);
    return status;
}

static lk_status
long_list(listing *l, bool *end)
{
    members m = {NULL, 0, 0};
    if (l->at.hash == INT64_MAX) {
        bool any;
        lk_status status = group_next(l, &any);
        *end = status == LK_OK && !any;
        return status;
    }
    lk_status status = group_read(l, &m);
    if (m.count != 0)
        qsort(m.of, m.count, sizeof *m.of, member_order);
    bool all = m.count < l->limit - l->added;
    for (size_t i = 0; status == LK_OK && i < m.count; i++) {
        status = pk_add(l, (lk_bytes){m.of[i].pk, m.of[i].size});
        l->at.hash = m.of[i].hash;
    }
    if (all)
        l->at.hash = INT64_MAX;
    members_free(&m);
    return status;
}

lk_status
lki_pg_list_partitions(void *state, lk_position *position, size_t limit, lk_result *result)
{
    listing l = {.store = state, .result = result, .limit = limit};
    bool end = false;
    lk_status status = LK_OK;
    if (!place_read(position, &l.at))
        return LK_INVALID;
    lk_result_draft(result);
    while (status == LK_OK && !end && l.added < limit)
        status = l.at.kind == AT_SHORT ? short_list(&l) : long_list(&l, &end);
    if (status != LK_OK || l.added == 0)
        return status != LK_OK ? status : LK_END;
    place_write(&l.at, position);
    lk_result_publish(result);
    return LK_OK;
}
