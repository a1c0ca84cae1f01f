/* SPDX-License-Identifier: MIT
 *
 * Area: items and locks under several threads. Single keys are linearizable, updates under locks
 * are never lost, a commit is seen whole.
 */
#include <sched.h>

#include "suite.h"

/* ---- "Linearizable.": each key against its history ---- */

enum { THREADS = 3, CALLS = 5, HISTORY = THREADS * CALLS };

/* One call: what it wrote (0: a delete), or read (0: nothing), between two ticks. */
typedef struct call {
    bool reads;
    int64_t value;
    uint64_t begin, end;
} call;

typedef struct registers {
    pthread_barrier_t turn;
    atomic_ullong clock;
    uint64_t keys;
    uint64_t key; /* the one that is worked on */
    call history[HISTORY];
    uint64_t broken; /* histories that no order explains */
} registers;

static call
register_call(member *m, lk_key key, int64_t value)
{
    registers *t = m->context;
    call c = {.value = value};
    uint64_t kind = lkc_random(&m->random) % 5;
    lk_item item = lkc_number_item(key, &value);
    c.reads = kind < 2;
    c.begin = atomic_fetch_add(&t->clock, 1);
    if (c.reads) {
        lk_status status = lk_get(m->r->db, key, m->result);
        EXPECT(status == LK_OK || status == LK_NOT_FOUND, status, 0);
        c.value = status == LK_OK ? lkc_number(lk_result_item(m->result, 0)) : 0;
    } else if (kind == 2) {
        EXPECT_OK(lk_delete(m->r->db, &key, 1));
        c.value = 0;
    } else if (kind == 3 && lkc_can(m->r, LK_HAS_LOCKS)) {
        lk_write write = {.kind = LK_PUT, .item = item};
        EXPECT_OK(lk_commit(m->r->db, &write, 1, NULL, 0, NULL));
    } else {
        EXPECT_OK(lk_set(m->r->db, &item, 1));
    }
    c.end = atomic_fetch_add(&t->clock, 1);
    return c;
}

/* Wing, Gong, "Testing and Verifying Concurrent Objects", 1993: some order of the calls explains
 * what they read, in which none comes before one that had ended when it began. `tried`: sets of
 * calls and last writes that lead nowhere. */
static bool
order_exists(const call *history, uint32_t made, uint32_t last, unsigned char *tried)
{
    if (made == (1u << HISTORY) - 1)
        return true;
    size_t slot = (size_t)made * (HISTORY + 1) + last;
    if (tried[slot / 8] >> slot % 8 & 1)
        return false;
    tried[slot / 8] |= (unsigned char)(1 << slot % 8);
    uint64_t first_end = UINT64_MAX;
    for (uint32_t i = 0; i < HISTORY; i++)
        if ((made >> i & 1) == 0 && history[i].end < first_end)
            first_end = history[i].end;
    int64_t value = last == HISTORY ? 0 : history[last].value;
    for (uint32_t i = 0; i < HISTORY; i++) {
        const call *c = &history[i];
        if ((made >> i & 1) != 0 || c->begin > first_end || (c->reads && c->value != value))
            continue;
        if (order_exists(history, made | 1u << i, c->reads ? last : i, tried))
            return true;
    }
    return false;
}

static void
register_member(member *m)
{
    registers *t = m->context;
    for (uint64_t key = 0; key < t->keys; key++) {
        pthread_barrier_wait(&t->turn);
        for (size_t i = 0; i < CALLS; i++) {
            size_t at = m->index * CALLS + i;
            t->history[at] = register_call(m, lkc_numbered("register", key), (int64_t)at + 1);
        }
        pthread_barrier_wait(&t->turn);
        if (m->index != 0)
            continue;
        unsigned char *tried = calloc(1, ((size_t)(HISTORY + 1) << HISTORY) / 8);
        EXPECT(tried != NULL, 0, 0);
        if (tried != NULL && !order_exists(t->history, 0, HISTORY, tried))
            t->broken++;
        free(tried);
    }
}

static void
test_single_keys_are_linearizable(rig *r)
{
    registers *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->keys = lkc_scaled(1000);
    assert_int_equal(pthread_barrier_init(&t->turn, NULL, THREADS), 0);
    lkc_crowd(r, THREADS, register_member, t);
    pthread_barrier_destroy(&t->turn);
    assert_int_equal(t->broken, 0);
    free(t);
}

/* ---- values are whole ---- */

enum { WHOLE_MAX = 600 };

static void
whole_member(member *m)
{
    unsigned char bytes[WHOLE_MAX];
    lk_key key = lk_key_of("whole", "one");
    for (uint64_t i = 0; i < lkc_scaled(4000) && lkc_is_well(); i++) {
        uint64_t random = lkc_random(&m->random);
        size_t size = 1 + random % WHOLE_MAX;
        if (m->index < 2) {
            memset(bytes, (int)(size % 251), size);
            lk_item item = {.key = key, .data = {bytes, size}};
            EXPECT_OK(lk_set(m->r->db, &item, 1));
            continue;
        }
        size_t got = 0;
        lk_bytes data;
        if (random % 2 == 0) {
            EXPECT_OK(lk_get(m->r->db, key, m->result));
            if (!lkc_is_well())
                return;
            data = lk_result_item(m->result, 0)->data;
        } else {
            EXPECT_OK(lk_get_into(m->r->db, key, bytes, sizeof bytes, &got));
            data = lkc_bytes(bytes, got);
        }
        for (size_t j = 0; j < data.size; j++)
            EXPECT(((const unsigned char *)data.data)[j] == data.size % 251, j, data.size);
    }
}

/* set: "each atomic" */
static void
test_values_are_read_whole(rig *r)
{
    lkc_set(r, "whole", "one", "\x01");
    lkc_crowd(r, 4, whole_member, NULL);
}

/* ---- updates under locks ---- */

enum { ACCOUNTS = 4, BALANCE = 1000 };

typedef struct bank {
    uint64_t rounds;
    atomic_ullong increments;
} bank;

static lk_key
account(uint64_t i)
{
    return lkc_numbered("bank", i);
}

/* Locks and balances of three keys: by get_locked now and then, where there is one. */
static void
accounts_read(member *m, const lk_key keys[3], lk_lock locks[3], int64_t held[3])
{
    if (lkc_can(m->r, LK_HAS_GET_MANY) && lkc_random(&m->random) % 2 == 0) {
        EXPECT_OK(lk_get_locked(m->r->db, keys, 3, locks, m->result));
        for (size_t i = 0; i < 3; i++)
            held[i] = lkc_number(lk_result_item(m->result, i));
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        EXPECT_OK(lk_get_lock(m->r->db, keys[i], &locks[i]));
        EXPECT_OK(lk_get(m->r->db, keys[i], m->result));
        held[i] = lkc_number(lk_result_item(m->result, 0));
    }
}

/* Moves money between two accounts and counts that in a third key, in one commit. */
static void
transfer(member *m)
{
    bank *b = m->context;
    uint64_t from = lkc_random(&m->random) % ACCOUNTS;
    uint64_t to = (from + 1 + lkc_random(&m->random) % (ACCOUNTS - 1)) % ACCOUNTS;
    lk_key keys[3] = {account(from), account(to), lk_key_of("bank", "count")};
    for (unsigned attempt = 0; lkc_is_well(); attempt++) {
        lk_lock locks[3];
        lk_item items[3];
        int64_t held[3];
        accounts_read(m, keys, locks, held);
        if (lkc_random(&m->random) % 4 == 0)
            sched_yield();
        int64_t amount = (int64_t)(lkc_random(&m->random) % 50);
        held[0] -= amount;
        held[1] += amount;
        held[2]++;
        for (size_t i = 0; i < 3; i++)
            items[i] = lkc_number_item(keys[i], &held[i]);
        uint64_t before = locks[2].version;
        lk_conflict conflict = {9, 9, 9};
        lk_status status = lk_set_atomic(m->r->db, items, 3, locks, 3, &conflict);
        EXPECT(status == LK_OK || status == LK_RACE, status, 0);
        if (status == LK_OK) {
            EXPECT(locks[2].version > before, locks[2].version, before);
            atomic_fetch_add(&b->increments, 1);
            return;
        }
        /* "A RACE means that a version really changed" */
        EXPECT(conflict.index < 3, conflict.index, 0);
        if (conflict.index < 3)
            EXPECT(conflict.current_version != locks[conflict.index].version,
                   conflict.current_version, conflict.index);
        lk_backoff(attempt);
    }
}

static void
bank_member(member *m)
{
    for (uint64_t i = 0; i < ((bank *)m->context)->rounds && lkc_is_well(); i++)
        transfer(m);
}

static void
test_updates_under_locks_are_never_lost(rig *r)
{
    bank b = {.rounds = lkc_scaled(1500)};
    int64_t zero = 0, balance = BALANCE, sum = 0;
    lk_item count = lkc_number_item(lk_key_of("bank", "count"), &zero);
    assert_status(LK_OK, lk_set(r->db, &count, 1));
    for (uint64_t i = 0; i < ACCOUNTS; i++) {
        lk_item item = lkc_number_item(account(i), &balance);
        assert_status(LK_OK, lk_set(r->db, &item, 1));
    }
    lkc_crowd(r, 4, bank_member, &b);
    for (uint64_t i = 0; i < ACCOUNTS; i++) {
        assert_status(LK_OK, lk_get(r->db, account(i), r->result));
        sum += lkc_number(lk_result_item(r->result, 0));
    }
    assert_int_equal(sum, ACCOUNTS * BALANCE);
    assert_status(LK_OK, lk_get(r->db, count.key, r->result));
    assert_int_equal(lkc_number(lk_result_item(r->result, 0)), b.increments);
    assert_int_equal(b.increments, 4 * b.rounds);
}

/* ---- "get, then get of another item of the same commit, never goes back in time" ---- */

typedef struct timeline {
    atomic_int writing;
    atomic_ullong reads;
    uint64_t rounds; /* of writes, and of reads beside them */
} timeline;

static void
timeline_member(member *m)
{
    timeline *t = m->context;
    static const char *const sks[] = {"a", "b", "c"};
    if (m->index == 0) {
        lk_lock lock;
        EXPECT_OK(lk_get_lock(m->r->db, lk_key_of("time", "lock"), &lock));
        for (int64_t i = 1; lkc_goes_on((uint64_t)i, &t->reads, t->rounds); i++) {
            lk_item items[3];
            for (size_t j = 0; j < 3; j++)
                items[j] = lkc_number_item(lk_key_of("time", sks[j]), &i);
            EXPECT_OK(lk_set_atomic(m->r->db, items, 3, &lock, 1, NULL));
        }
        atomic_store(&t->writing, 0);
        return;
    }
    int64_t seen = 0;
    for (; atomic_load(&t->writing) != 0 && lkc_is_well(); atomic_fetch_add(&t->reads, 1)) {
        lk_key key = lk_key_of("time", sks[lkc_random(&m->random) % 3]);
        EXPECT_OK(lk_get(m->r->db, key, m->result));
        int64_t number = lkc_number(lk_result_item(m->result, 0));
        EXPECT(number >= seen, number, seen);
        seen = number;
    }
}

static void
test_get_after_get_never_goes_back_in_time(rig *r)
{
    timeline t = {.rounds = lkc_scaled(10000)};
    int64_t zero = 0;
    lk_item items[] = {lkc_number_item(lk_key_of("time", "a"), &zero),
                       lkc_number_item(lk_key_of("time", "b"), &zero),
                       lkc_number_item(lk_key_of("time", "c"), &zero)};
    assert_status(LK_OK, lk_set(r->db, items, 3));
    atomic_store(&t.writing, 1);
    lkc_crowd(r, 3, timeline_member, &t);
}

/* ---- a delete against commits ---- */

/* Each thread takes the one item out or puts it in, by the state that it read under the lock. The
 * lock dies with each delete: nobody may succeed with one of before. */
static void
toggle_member(member *m)
{
    bank *b = m->context;
    lk_key key = lk_key_of("toggle", "one");
    int64_t one = 1;
    for (uint64_t i = 0; i < b->rounds && lkc_is_well(); i++)
        for (unsigned attempt = 0; lkc_is_well(); attempt++) {
            lk_lock lock;
            EXPECT_OK(lk_get_lock(m->r->db, key, &lock));
            lk_status found = lk_get(m->r->db, key, m->result);
            lk_write write = {.kind = found == LK_OK ? LK_DELETE : LK_PUT,
                              .item = lkc_number_item(key, &one)};
            if (lkc_random(&m->random) % 4 == 0)
                sched_yield();
            lk_status status = lk_commit(m->r->db, &write, 1, &lock, 1, NULL);
            EXPECT(status == LK_OK || status == LK_RACE, status, 0);
            if (status == LK_OK) {
                atomic_fetch_add(&b->increments, found == LK_OK ? (unsigned long long)-1 : 1);
                break;
            }
            lk_backoff(attempt);
        }
}

static void
test_deletes_and_puts_under_a_lock_take_turns(rig *r)
{
    bank b = {.rounds = lkc_scaled(1500)};
    lkc_crowd(r, 3, toggle_member, &b);
    /* Puts and deletes took turns: what is there is what they leave. */
    assert_status(b.increments == 1 ? LK_OK : LK_NOT_FOUND,
                  lk_get(r->db, lk_key_of("toggle", "one"), r->result));
    assert_in_range(b.increments, 0, 1);
}

static const lkc_case cases[] = {
    CASE(test_single_keys_are_linearizable, 0),
    CASE(test_values_are_read_whole, 0),
    CASE(test_updates_under_locks_are_never_lost, LK_HAS_LOCKS),
    CASE(test_get_after_get_never_goes_back_in_time, LK_HAS_LOCKS),
    CASE(test_deletes_and_puts_under_a_lock_take_turns, LK_HAS_LOCKS),
};
AREA(lkc_threads_area, cases);
