/* SPDX-License-Identifier: MIT
 *
 * Money moves between accounts and is never made or lost: every snapshot, of any kind, adds up. Or it moves between two keys: every
 * snapshot sees it at exactly one of them. Exercises P1, P2 and the commit protocol under many aborts.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "support/crowd.h"

enum { BALANCE = 1000, BLOCK = 256, ACCOUNTS_MAX = 2048, NOISE_KEYS = 32 };

static struct {
    lk_db *db;
    size_t accounts, block, writers, readers;
    uint64_t transfers; /* of each writer */
    char sk[ACCOUNTS_MAX][16];
    atomic_ullong done, races, snapshots, moves[ACCOUNTS_MAX];
    atomic_uint writing;
} bank;

static lk_key
account_key(size_t account)
{
    return lk_key_of("bank", bank.sk[account]);
}

static uint64_t
balance_of(const lk_item *item, size_t account)
{
    uint64_t balance = 0;
    EXPECT(item != NULL && crowd_value_check(item->data, account, &balance), account, balance);
    return balance;
}

static void
pick_two(crowd_member *m, size_t *from, size_t *to)
{
    size_t block = bank.block < bank.accounts ? bank.block : bank.accounts;
    size_t first = crowd_random(&m->random) % (bank.accounts / block) * block;
    *from = first + crowd_random(&m->random) % block;
    *to = first + (*from - first + 1 + crowd_random(&m->random) % (block - 1)) % block;
}

/* One transfer, retried until it is made; sometimes a second one with the locks that the first gave back. */
static void
transfer(crowd_member *m)
{
    unsigned char bytes[2][CROWD_VALUE_MAX];
    size_t account[2];
    pick_two(m, &account[0], &account[1]);
    lk_key keys[2] = {account_key(account[0]), account_key(account[1])};
    for (unsigned attempt = 0; crowd_is_well(); attempt++) {
        lk_lock locks[2];
        EXPECT_OK(lk_get_locked(bank.db, keys, 2, locks, m->result));
        if (crowd_random(&m->random) % 16 == 0)
            sched_yield(); /* two cores are few: let others in between reading and writing */
        uint64_t held[2];
        for (size_t i = 0; i < 2; i++)
            held[i] = balance_of(lk_result_item(m->result, i), account[i]);
        lk_status status = LK_OK;
        for (int again = 0; status == LK_OK && again < 2; again++) {
            uint64_t amount = crowd_random(&m->random) % (held[0] + 1);
            held[0] -= amount;
            held[1] += amount;
            lk_item items[2];
            for (size_t i = 0; i < 2; i++)
                items[i] = (lk_item){
                    .key = keys[i], .data = {bytes[i], crowd_value(bytes[i], account[i], held[i])}};
            uint64_t before[2] = {locks[0].version, locks[1].version};
            lk_conflict conflict;
            status = lk_set_atomic(bank.db, items, 2, locks, 2, &conflict);
            EXPECT(status == LK_OK || status == LK_RACE, (uint64_t)(unsigned)status, 0);
            if (status == LK_RACE)
                EXPECT(conflict.index < 2 && conflict.current_version != before[conflict.index],
                       before[0], before[1]);
            else
                EXPECT(locks[0].version > before[0] && locks[1].version > before[1], before[0],
                       locks[0].version);
            atomic_fetch_add_explicit(status == LK_OK ? &bank.done : &bank.races, 1,
                                      memory_order_relaxed);
            if (status != LK_OK || crowd_random(&m->random) % 4 != 0)
                break;
        }
        if (status == LK_OK)
            return;
        lk_backoff(attempt);
    }
}

/* What neither locks nor money depend on: other keys of the partition, locks of the accounts. */
static void
noise(crowd_member *m)
{
    char sk[16];
    size_t number = crowd_random(&m->random) % NOISE_KEYS;
    lk_lock lock;
    snprintf(sk, sizeof sk, "noise%02zu", number);
    if (crowd_random(&m->random) % 8 == 0) {
        lk_key key = lk_key_of("bank", sk);
        EXPECT_OK(lk_delete(bank.db, &key, 1));
    } else {
        EXPECT_OK(crowd_set(bank.db, lk_key_of("bank", sk), number, crowd_random(&m->random)));
    }
    EXPECT_OK(lk_get_lock(bank.db, account_key(crowd_random(&m->random) % bank.accounts), &lock));
}

/* ---- readers ---- */

static void
read_many(crowd_member *m)
{
    lk_key keys[ACCOUNTS_MAX];
    size_t count = bank.block < bank.accounts ? bank.block : bank.accounts;
    size_t first = crowd_random(&m->random) % (bank.accounts / count) * count,
           turn = crowd_random(&m->random);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        keys[i] = account_key(first + (i + turn) % count);
    EXPECT_OK(lk_get_many(bank.db, keys, count, m->result));
    for (size_t i = 0; i < count; i++)
        sum += balance_of(lk_result_item(m->result, i), first + (i + turn) % count);
    EXPECT(sum == count * BALANCE, sum, count * BALANCE);
}

static void
read_query(crowd_member *m)
{
    uint64_t random = crowd_random(&m->random), sum = 0;
    lk_query query = {.pk = lk_string("bank"),
                      .sk_prefix = lk_string("acct"),
                      .reverse = random % 2 != 0,
                      .relaxed = random % 4 >= 2};
    EXPECT_OK(lk_query_items(bank.db, &query, m->result));
    EXPECT(lk_result_count(m->result) == bank.accounts, lk_result_count(m->result), bank.accounts);
    for (size_t i = 0; i < lk_result_count(m->result) && i < bank.accounts; i++) {
        size_t account = query.reverse ? bank.accounts - 1 - i : i;
        const lk_item *item = lk_result_item(m->result, i);
        EXPECT(item->key.sk.size == 9 && memcmp(item->key.sk.data, bank.sk[account], 9) == 0, i,
               account);
        sum += balance_of(item, account);
    }
    EXPECT(query.relaxed || sum == bank.accounts * BALANCE, sum, bank.accounts * BALANCE);
}

/* Pages of a stream are snapshots, and blocks are pages. */
static void
read_stream(crowd_member *m)
{
    lk_query query = {.pk = lk_string("bank"), .sk_prefix = lk_string("acct")};
    lk_stream *stream = NULL;
    lk_item item;
    lk_status status;
    uint64_t sum = 0;
    size_t count = 0;
    (void)m;
    EXPECT_OK(lk_stream_open(bank.db, &query, &stream));
    while ((status = lk_stream_next(stream, &item)) == LK_OK && count < bank.accounts) {
        EXPECT(item.key.sk.size == 9 && memcmp(item.key.sk.data, bank.sk[count], 9) == 0, count, 0);
        sum += balance_of(&item, count++);
        if (count % BLOCK == 0 || count == bank.accounts) {
            EXPECT(sum == ((count - 1) % BLOCK + 1) * BALANCE, sum, count);
            sum = 0;
        }
    }
    EXPECT(status == LK_END && count == bank.accounts, count, bank.accounts);
    lk_stream_close(stream);
}

static void
bank_member(crowd_member *m)
{
    if (m->index < bank.writers) {
        for (uint64_t i = 0; i < bank.transfers && crowd_is_well(); i++)
            transfer(m);
        atomic_fetch_sub(&bank.writing, 1);
        return;
    }
    while (atomic_load(&bank.writing) > 0 && crowd_is_well()) {
        uint64_t kind = crowd_random(&m->random) % 8;
        if (m->index == bank.writers) {
            noise(m);
            sched_yield();
            continue;
        }
        if (kind < 4)
            read_many(m);
        else if (kind < 7)
            read_query(m);
        else
            read_stream(m);
        atomic_fetch_add_explicit(&bank.snapshots, 1, memory_order_relaxed);
        if (crowd_random(&m->random) % 2 == 0)
            sched_yield();
    }
}

static void
bank_open(size_t accounts, size_t writers, uint64_t transfers)
{
    memset(&bank, 0, sizeof bank);
    bank.accounts = accounts;
    bank.block = BLOCK;
    bank.writers = writers;
    bank.transfers = test_scaled(transfers);
    atomic_store(&bank.writing, (unsigned)writers);
    EXPECT_OK(lk_memory_open(NULL, &bank.db));
    for (size_t i = 0; i < accounts; i++)
        snprintf(bank.sk[i], sizeof bank.sk[i], "acct%05zu", i);
}

static void
bank_run(size_t accounts, size_t writers, size_t readers, uint64_t transfers)
{
    bank_open(accounts, writers, transfers);
    for (size_t i = 0; i < accounts; i++)
        EXPECT_OK(crowd_set(bank.db, account_key(i), i, BALANCE));
    crowd_run(writers + 1 + readers, bank_member, NULL);
    crowd_member m = {0, crowd_seed(), NULL, lk_result_new()};
    for (int i = 0; i < 8; i++) {
        read_query(&m);
        read_many(&m);
    }
    lk_result_free(m.result);
    lk_statistics s;
    EXPECT_OK(lk_statistics_read(bank.db, &s));
    EXPECT(s.commits == bank.done && s.races == bank.races, s.commits, bank.done);
    crowd_note("transfers", bank.done);
    crowd_note("races", bank.races);
    crowd_note("snapshots", bank.snapshots);
    crowd_note("aborts", s.aborts);
    lk_close(bank.db);
}

static void
run_hot(void)
{
    bank_run(4, 4, 2, 60000);
}

static void
run_large(void)
{
    bank_run(1024, 3, 2, 60000);
}

/* ---- tokens that move between two keys ---- */

static void
token_keys(size_t token, char sk[2][CROWD_KEY_ROOM], lk_key keys[2])
{
    for (size_t side = 0; side < 2; side++) {
        snprintf(sk[side], CROWD_KEY_ROOM, "token%03zu%c", token, "lr"[side]);
        keys[side] = lk_key_of("tokens", sk[side]);
    }
}

static void
token_move(crowd_member *m)
{
    char sk[2][CROWD_KEY_ROOM];
    unsigned char value[CROWD_VALUE_MAX];
    lk_key keys[2];
    size_t token = crowd_random(&m->random) % bank.accounts;
    token_keys(token, sk, keys);
    for (unsigned attempt = 0; crowd_is_well(); attempt++) {
        lk_lock locks[2];
        EXPECT_OK(lk_get_locked(bank.db, keys, 2, locks, m->result));
        const lk_item *left = lk_result_item(m->result, 0), *right = lk_result_item(m->result, 1);
        EXPECT((left == NULL) != (right == NULL), token, left != NULL);
        if ((left == NULL) == (right == NULL))
            return;
        if (crowd_random(&m->random) % 16 == 0)
            sched_yield();
        uint64_t moves = balance_of(left != NULL ? left : right, token);
        size_t from = left == NULL, to = 1 - from;
        lk_write writes[2] = {
            {.kind = LK_PUT,
             .item = {.key = keys[to], .data = {value, crowd_value(value, token, moves + 1)}}},
            {.kind = LK_DELETE, .item = {.key = keys[from]}}};
        lk_status status = lk_commit(bank.db, writes, 2, locks, 2, NULL);
        EXPECT(status == LK_OK || status == LK_RACE, (uint64_t)(unsigned)status, token);
        if (status == LK_OK) {
            EXPECT(locks[from].version == 0 && locks[to].version != 0, locks[from].version,
                   locks[to].version);
            atomic_fetch_add(&bank.moves[token], 1);
            atomic_fetch_add(&bank.done, 1);
            return;
        }
        atomic_fetch_add(&bank.races, 1);
        lk_backoff(attempt);
    }
}

static void
token_check(const lk_item *item, uint64_t *seen)
{
    uint64_t token = 0, moves = 0;
    for (const char *digit = (const char *)item->key.sk.data + 5;
         digit < (const char *)item->key.sk.data + 8; digit++)
        token = token * 10 + (uint64_t)(*digit - '0');
    EXPECT(token < bank.accounts && crowd_value_check(item->data, token, &moves), token, moves);
    EXPECT(moves >= seen[token], moves, seen[token]); /* what was seen once is never unseen */
    seen[token] = moves;
}

static void
tokens_read(crowd_member *m, uint64_t *seen)
{
    char sk[2][CROWD_KEY_ROOM];
    lk_key keys[2];
    if (crowd_random(&m->random) % 2 == 0) {
        token_keys(crowd_random(&m->random) % bank.accounts, sk, keys);
        EXPECT_OK(lk_get_many(bank.db, keys, 2, m->result));
        const lk_item *left = lk_result_item(m->result, 0), *right = lk_result_item(m->result, 1);
        EXPECT((left == NULL) != (right == NULL), left != NULL, right != NULL);
        if (left != NULL || right != NULL)
            token_check(left != NULL ? left : right, seen);
        return;
    }
    lk_query query = {.pk = lk_string("tokens"), .reverse = crowd_random(&m->random) % 2 != 0};
    EXPECT_OK(lk_query_items(bank.db, &query, m->result));
    EXPECT(lk_result_count(m->result) == bank.accounts, lk_result_count(m->result), bank.accounts);
    for (size_t i = 0; i < lk_result_count(m->result) && i < bank.accounts; i++) {
        const lk_item *item = lk_result_item(m->result, i);
        size_t token = query.reverse ? bank.accounts - 1 - i : i;
        snprintf(sk[0], sizeof sk[0], "token%03zu", token);
        EXPECT(item->key.sk.size == 9 && memcmp(item->key.sk.data, sk[0], 8) == 0, i, token);
        token_check(item, seen);
    }
}

static void
token_member(crowd_member *m)
{
    uint64_t seen[ACCOUNTS_MAX] = {0};
    if (m->index < bank.writers) {
        for (uint64_t i = 0; i < bank.transfers && crowd_is_well(); i++)
            token_move(m);
        atomic_fetch_sub(&bank.writing, 1);
        return;
    }
    while (atomic_load(&bank.writing) > 0 && crowd_is_well()) {
        tokens_read(m, seen);
        atomic_fetch_add_explicit(&bank.snapshots, 1, memory_order_relaxed);
        if (crowd_random(&m->random) % 2 == 0)
            sched_yield();
    }
}

static void
tokens_run(size_t tokens, uint64_t moves)
{
    char sk[2][CROWD_KEY_ROOM];
    lk_key keys[2];
    uint64_t seen[ACCOUNTS_MAX] = {0};
    bank_open(tokens, 3, moves);
    for (size_t i = 0; i < tokens; i++) {
        token_keys(i, sk, keys);
        EXPECT_OK(crowd_set(bank.db, keys[i % 2], i, 0));
    }
    crowd_run(6, token_member, NULL);
    for (size_t i = 0; i < tokens; i++)
        seen[i] = bank.moves[i];
    crowd_member m = {0, crowd_seed(), NULL, lk_result_new()};
    for (int i = 0; i < 16; i++)
        tokens_read(&m, seen);
    for (size_t i = 0; i < tokens; i++)
        EXPECT(seen[i] == bank.moves[i], seen[i], bank.moves[i]);
    lk_result_free(m.result);
    crowd_note("moves", bank.done);
    crowd_note("races", bank.races);
    crowd_note("snapshots", bank.snapshots);
    lk_close(bank.db);
}

static void
run_tokens_hot(void)
{
    tokens_run(2, 60000);
}

static void
run_tokens_many(void)
{
    tokens_run(40, 60000);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"hot", run_hot},
                                               {"large", run_large},
                                               {"tokens_hot", run_tokens_hot},
                                               {"tokens_many", run_tokens_many}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
