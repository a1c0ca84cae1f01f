/* SPDX-License-Identifier: MIT
 *
 * Area: queries and streams while others write. Sums that are conserved, keys that come and go.
 */
#include <sched.h>

#include "suite.h"

enum { FEW = 40, MANY = 400, ROOM = 24, BALANCE = 100, WRITERS = 2, READERS = 2 };

typedef struct field {
    atomic_int writing;
    atomic_ullong reads;
    uint64_t rounds; /* of writes, and of reads beside them */
    uint64_t fixed;
    bool relaxed;
} field;

/* The keys that stay: f000, f001, ...; between them come and go f000x, f001x, ... */
static lk_key
fixed_key(char sk[ROOM], uint64_t i)
{
    snprintf(sk, ROOM, "f%03llu", (unsigned long long)i);
    return lk_key_of("field", sk);
}

static void
field_begin(rig *r, field *f, int writers, uint64_t rounds, uint64_t fixed)
{
    char sk[ROOM];
    int64_t balance = BALANCE;
    *f = (field){.rounds = lkc_scaled(rounds), .fixed = fixed};
    atomic_store(&f->writing, writers);
    for (uint64_t i = 0; i < fixed; i++) {
        lk_item item = lkc_number_item(fixed_key(sk, i), &balance);
        assert_status(LK_OK, lk_set(r->db, &item, 1));
    }
}

/* ---- "One snapshot" ---- */

/* Moves some of the balance of one key to another. */
static void
balance_move(member *m)
{
    char sk[2][ROOM];
    uint64_t from = lkc_random(&m->random) % FEW, to = lkc_random(&m->random) % (FEW - 1);
    to += to >= from;
    lk_key keys[2] = {fixed_key(sk[0], from), fixed_key(sk[1], to)};
    for (unsigned attempt = 0; lkc_is_well(); attempt++) {
        lk_lock locks[2];
        lk_item items[2];
        int64_t held[2];
        for (size_t i = 0; i < 2; i++) {
            EXPECT_OK(lk_get_lock(m->r->db, keys[i], &locks[i]));
            EXPECT_OK(lk_get(m->r->db, keys[i], m->result));
            held[i] = lkc_number(lk_result_item(m->result, 0));
        }
        int64_t amount = (int64_t)(lkc_random(&m->random) % 10);
        held[0] -= amount;
        held[1] += amount;
        for (size_t i = 0; i < 2; i++)
            items[i] = lkc_number_item(keys[i], &held[i]);
        lk_status status = lk_set_atomic(m->r->db, items, 2, locks, 2, NULL);
        EXPECT(status == LK_OK || status == LK_RACE, status, 0);
        if (status != LK_RACE)
            return;
        lk_backoff(attempt);
    }
}

static void
sum_read(member *m)
{
    lk_query query = {.pk = lk_string("field"), .reverse = lkc_random(&m->random) % 2 != 0};
    int64_t sum = 0;
    EXPECT_OK(lk_query_items(m->r->db, &query, m->result));
    EXPECT(lk_result_count(m->result) == FEW, lk_result_count(m->result), FEW);
    for (size_t i = 0; i < lk_result_count(m->result); i++)
        sum += lkc_number(lk_result_item(m->result, i));
    EXPECT(sum == FEW * BALANCE, sum, FEW * BALANCE);
}

static void
sum_member(member *m)
{
    field *f = m->context;
    if (m->index < WRITERS) {
        for (uint64_t i = 0; lkc_goes_on(i, &f->reads, f->rounds); i++)
            balance_move(m);
        atomic_fetch_sub(&f->writing, 1);
        return;
    }
    for (; atomic_load(&f->writing) > 0 && lkc_is_well(); atomic_fetch_add(&f->reads, 1))
        sum_read(m);
}

static void
test_query_never_shows_half_of_a_set_atomic(rig *r)
{
    field f;
    field_begin(r, &f, WRITERS, 3000, FEW);
    lkc_crowd(r, WRITERS + READERS, sum_member, &f);
}

/* One token, which commits move to a new key each time: every snapshot has it exactly once. */
static void
token_member(member *m)
{
    field *f = m->context;
    if (m->index == 0) {
        char sk[2][ROOM];
        for (int64_t i = 0; lkc_goes_on((uint64_t)i, &f->reads, f->rounds); i++) {
            snprintf(sk[0], ROOM, "t%lld", (long long)(i * 7919 % 64));
            snprintf(sk[1], ROOM, "t%lld", (long long)((i + 1) * 7919 % 64));
            int64_t next = i + 1;
            lk_write writes[2] = {
                {.kind = LK_DELETE, .item = {.key = lk_key_of("token", sk[0])}},
                {.kind = LK_PUT, .item = lkc_number_item(lk_key_of("token", sk[1]), &next)}};
            EXPECT_OK(lk_commit(m->r->db, writes, 2, NULL, 0, NULL));
        }
        atomic_fetch_sub(&f->writing, 1);
        return;
    }
    int64_t seen = 0;
    for (uint64_t i = 0; atomic_load(&f->writing) > 0 && lkc_is_well(); i++) {
        lk_query query = {.pk = lk_string("token"), .reverse = i % 2 != 0};
        EXPECT_OK(lk_query_items(m->r->db, &query, m->result));
        EXPECT(lk_result_count(m->result) == 1, lk_result_count(m->result), seen);
        int64_t number = lkc_number(lk_result_item(m->result, 0));
        EXPECT(number >= seen, number, seen); /* never back in time */
        seen = number;
        atomic_fetch_add(&f->reads, 1);
    }
}

static void
test_query_shows_what_a_commit_moves_exactly_once(rig *r)
{
    field f;
    int64_t zero = 0;
    lk_item item = lkc_number_item(lk_key_of("token", "t0"), &zero);
    field_begin(r, &f, 1, 6000, 0);
    assert_status(LK_OK, lk_set(r->db, &item, 1));
    lkc_crowd(r, 1 + READERS, token_member, &f);
}

/* ---- "sorted, no duplicates, every item present throughout" ---- */

/* Keys between those that stay come and go, and those that stay are written. */
static void
churn(member *m)
{
    char sk[ROOM];
    int64_t balance = BALANCE;
    field *f = m->context;
    lk_key key = fixed_key(sk, lkc_random(&m->random) % f->fixed);
    lk_item item = lkc_number_item(key, &balance);
    switch (lkc_random(&m->random) % 3) {
    case 0:
        EXPECT_OK(lk_set(m->r->db, &item, 1));
        break;
    default:
        strcat(sk, "x");
        item.key = lk_key_of("field", sk);
        if (lkc_random(&m->random) % 2 == 0)
            EXPECT_OK(lk_set(m->r->db, &item, 1));
        else
            EXPECT_OK(lk_delete(m->r->db, &item.key, 1));
    }
}

/* Takes the next item of an ordered read; `fixed` counts those that stay, of f->fixed. */
static void
order_check(const field *f, const lk_item *item, bool reverse, char last[ROOM], uint64_t *fixed)
{
    char sk[ROOM] = {0}, wanted[ROOM];
    EXPECT(item->key.sk.size < ROOM, item->key.sk.size, 0);
    if (item->key.sk.size >= ROOM)
        return;
    memcpy(sk, item->key.sk.data, item->key.sk.size);
    EXPECT(last[0] == '\0' || (reverse ? strcmp(sk, last) < 0 : strcmp(sk, last) > 0), *fixed, 0);
    memcpy(last, sk, ROOM);
    if (strlen(sk) != 4)
        return;
    fixed_key(wanted, reverse ? f->fixed - 1 - *fixed : *fixed);
    EXPECT(strcmp(sk, wanted) == 0, *fixed, sk[3]);
    ++*fixed;
}

static void
field_query(member *m)
{
    const field *f = m->context;
    char last[ROOM] = {0};
    uint64_t fixed = 0;
    lk_query query = {.pk = lk_string("field"), .relaxed = f->relaxed};
    query.reverse = lkc_random(&m->random) % 2 != 0;
    EXPECT_OK(lk_query_items(m->r->db, &query, m->result));
    for (size_t i = 0; i < lk_result_count(m->result) && lkc_is_well(); i++)
        order_check(f, lk_result_item(m->result, i), query.reverse, last, &fixed);
    EXPECT(fixed == f->fixed, fixed, f->fixed);
}

static void
field_stream(member *m)
{
    const field *f = m->context;
    char last[ROOM] = {0};
    uint64_t fixed = 0;
    lk_query query = {.pk = lk_string("field"), .relaxed = f->relaxed};
    lk_stream *stream = NULL;
    lk_item item;
    query.reverse = lkc_random(&m->random) % 2 != 0;
    EXPECT_OK(lk_stream_open(m->r->db, &query, &stream));
    if (stream == NULL)
        return;
    while (lkc_is_well() && lk_stream_next(stream, &item) == LK_OK) {
        order_check(f, &item, query.reverse, last, &fixed);
        if (lkc_random(&m->random) % 100 == 0)
            sched_yield();
    }
    EXPECT(fixed == f->fixed, fixed, f->fixed);
    lk_stream_close(stream);
}

static void
churn_member(member *m)
{
    field *f = m->context;
    if (m->index < WRITERS) {
        for (uint64_t i = 0; lkc_goes_on(i, &f->reads, f->rounds); i++)
            churn(m);
        atomic_fetch_sub(&f->writing, 1);
        return;
    }
    for (uint64_t i = 0; atomic_load(&f->writing) > 0 && lkc_is_well(); i++) {
        if (i % 2 == 0)
            field_query(m);
        else
            field_stream(m);
        atomic_fetch_add(&f->reads, 1);
    }
}

static void
test_ordered_reads_return_what_is_there_throughout(rig *r)
{
    for (int turn = 0; turn < 2; turn++) {
        field f;
        field_begin(r, &f, WRITERS, 500, MANY);
        f.relaxed = turn != 0;
        lkc_crowd(r, WRITERS + READERS, churn_member, &f);
    }
}

static const lkc_case cases[] = {
    CASE(test_query_never_shows_half_of_a_set_atomic, LK_HAS_QUERY | LK_HAS_LOCKS | LK_IS_SNAPSHOT),
    CASE(test_query_shows_what_a_commit_moves_exactly_once,
         LK_HAS_QUERY | LK_HAS_LOCKS | LK_IS_SNAPSHOT),
    CASE(test_ordered_reads_return_what_is_there_throughout, LK_HAS_QUERY),
};
AREA(lkc_query_threads_area, cases);
