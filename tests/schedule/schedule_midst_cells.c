/* SPDX-License-Identifier: MIT
 *
 * What happens in the midst of a call to the key's cell (midst.h). `home`: a record comes home into
 * it. Whatever meets, the call says what it would have said alone, and no version is lost.
 * `ticket`: a ticket of it falls due. A tombstone younger than two epochs keeps its cell, and in
 * the end, when all keys are gone, so are their cells. `last`: who comes last to a cell frees it.
 * `room`: two records, and room for one.
 * `memory`: a new partition, without memory.
 */
#include "schedule/midst.h"

/* Keys whose cells lie before, and behind, the others. */
static const lk_key low_key = {{"other", 5}, {"low", 3}}, high_key = {{"other", 5}, {"high", 4}};
static lk_lock low_stale, high_lock, high_stale; /* as they are, and as they were */
static uint64_t value;                           /* of the keys in the end; 0: gone */

/* ---- a record comes home ---- */

static bool
is_home(lk_key key)
{
    lk_read_begin(db);
    lki_cell *cell = cell_of(key);
    bool home = cell != NULL && lki_load_acquire(&cell->item) == (uintptr_t)lki_cell_record(cell);
    lk_read_end(db);
    return home;
}

static void
epoch_pass(lki_thread *thread)
{
    ck_epoch_begin(&thread->epoch, NULL);
    (void)ck_epoch_poll(&thread->epoch);
    ck_epoch_end(&thread->epoch, NULL);
}

static void
seal(lki_thread *thread)
{
    lki_write_enter(thread);
    lki_seal(thread);
    lki_leave(thread);
}

/* The first record lies apart, and the one in its cell may be disposed of. */
static void
home_prepare(int64_t expires_at_ms)
{
    uint64_t number = MINE;
    for (size_t i = 0; i < KEYS; i++) {
        set_long(keys[i]); /* for a lock beside the number */
        locks[i] = lock_of(keys[i]);
        store_set(db, keys[i], OLD);
    }
    sweep();
    SCHEDULE_EXPECT(is_home(keys[0]));
    lk_item item = store_item(keys[0], &number);
    item.expires_at_ms = expires_at_ms;
    STORE_MUST(lk_set(db, &item, 1));
    seal(store_self());
    for (int i = 0; i < 3; i++)
        epoch_pass(store_self());
    SCHEDULE_EXPECT(!is_home(keys[0]));
    value = MINE;
}

static void
pair_expect(const lk_result *result)
{
    SCHEDULE_EXPECT(lk_result_count(result) == KEYS);
    SCHEDULE_EXPECT(store_number(lk_result_item(result, 0)) == MINE &&
                    store_number(lk_result_item(result, 1)) == OLD);
}

static void
home_read(void)
{
    lk_lock now[KEYS];
    lk_result *result = store_result();
    lk_query query = {.pk = keys[0].pk};
    SCHEDULE_EXPECT(number_of(keys[0]) == MINE);
    STORE_MUST(lk_get_many(db, keys, KEYS, result));
    pair_expect(result);
    STORE_MUST(lk_query_items(db, &query, result));
    pair_expect(result);
    STORE_MUST(lk_get_locked(db, keys, KEYS, now, result));
    pair_expect(result);
    for (size_t i = 0; i < KEYS; i++)
        SCHEDULE_EXPECT(now[i].version == locks[i].version);
    lk_result_free(result);
}

static void
home_lock(void)
{
    SCHEDULE_EXPECT(lock_of(keys[0]).version == locks[0].version);
}

static void
home_set(void)
{
    call_set();
    value = SET;
}

/* Under both locks: a record that moved is the same version. */
static void
home_commit(void)
{
    uint64_t before = locks[0].version;
    commit_mine();
    STORE_MUST(status);
    SCHEDULE_EXPECT(locks[0].version > before);
}

/* The item is not written: its bytes come with the new version. */
static void
home_bump(void)
{
    STORE_MUST(lk_set_atomic(db, NULL, 0, locks, 1, NULL));
}

static void
home_delete(void)
{
    call_delete();
    value = locks[0].version = 0;
}

static void
home_setup(void)
{
    static void (*const calls[])(void) = {home_read, home_lock,   home_set, home_commit,
                                          home_bump, home_delete, push_mine};
    home_prepare(0);
    call = calls[schedule_choose(7)];
}

static void
home_come(void)
{
    STORE_MUST(lk_sweep(db, schedule_choose(2), NULL));
}

static void
home_check(void)
{
    sweep();
    SCHEDULE_EXPECT(number_of(keys[0]) == value);
    if (locks[0].version != 0)
        SCHEDULE_EXPECT(lock_of(keys[0]).version == locks[0].version);
}

/* It has expired, and moves while a sweep looks at it: if that does not take it out, a later one
 * does, though nobody asks for it. */
static void
home_expired_setup(void)
{
    call = home_come;
    home_prepare(schedule_unix_ms() + 10);
    schedule_time_pass(11);
}

/* Without an epoch of its own: the sweep that it meets is in a section. */
static void
home_move(void)
{
    lki_reclaim_portion(store_self(), 1000);
}

static void
home_expired_check(void)
{
    lk_statistics now;
    schedule_time_pass(2000);
    for (int i = 0; i < 400; i++)
        store_set(db, keys[1], OLD);
    STORE_MUST(lk_statistics_read(db, &now));
    SCHEDULE_EXPECT(now.cells == 1);
}

/* ---- a ticket falls due ---- */

static lk_lock gone[KEYS]; /* locks of what was deleted */
static char job_sk[64];    /* of a job whose key was generated */
static lk_key job_key;     /* no pk: none */

static void
stale_make(lk_key key, lk_lock *was, lk_lock *is)
{
    store_set(db, key, OLD);
    *was = *is = lock_of(key);
    STORE_MUST(lk_set_atomic(db, NULL, 0, is, 1, NULL));
}

static void
prepare_stale(void)
{
    store_prepare();
    stale_make(low_key, &low_stale, &high_lock);
}

static void
keys_set(uint64_t number)
{
    lk_item items[KEYS] = {store_item(keys[0], &number), store_item(keys[1], &number)};
    STORE_MUST(lk_set(db, items, KEYS));
}

/* The tickets of tombstones. */
static void
deleted_make(void)
{
    keys_set(OLD);
    for (size_t i = 0; i < KEYS; i++)
        gone[i] = lock_of(keys[i]);
    stale_make(high_key, &high_stale, &high_lock);
    STORE_MUST(lk_delete(db, keys, KEYS));
}

/* Tickets of keys that are there again. */
static void
alive_make(void)
{
    deleted_make();
    keys_set(OLD);
    value = OLD;
}

/* Tickets of cells that a commit has made, before it saw that its lock is stale. */
static void
void_make(void)
{
    stale_make(high_key, &high_stale, &high_lock);
    SCHEDULE_EXPECT(set_under(&low_stale, 1, MINE, NULL) == LK_RACE);
}

/* The ticket of a cell in a queue: its job has a head, since somebody had a lock of its key, and
 * was deleted. */
static void
job_make(void)
{
    stale_make(high_key, &high_stale, &high_lock);
    uint64_t number = OLD;
    lk_result *result = store_result();
    lk_item job = store_item((lk_key){{"q", 1}, {NULL, 0}}, &number);
    STORE_MUST(lk_queue_push(db, &job, 1, NULL, result));
    lk_bytes sk = lk_result_item(result, 0)->key.sk;
    SCHEDULE_EXPECT(sk.size <= sizeof job_sk);
    __builtin_memcpy(job_sk, sk.data, sk.size);
    job_key = (lk_key){{"q", 1}, {job_sk, sk.size}};
    lk_result_free(result);
    (void)lock_of(job_key);
    STORE_MUST(lk_delete(db, &job_key, 1));
}

static void
ticket_set(void)
{
    store_set(db, keys[0], SET);
    keys_set(SET);
    value = SET;
}

static void
ticket_commit(void)
{
    STORE_MUST(set_under(&high_lock, 1, MINE, NULL));
    value = MINE;
}

/* What it has installed until it comes to the lock is undone. */
static void
ticket_race(void)
{
    SCHEDULE_EXPECT(set_under(&high_stale, 1, MINE, NULL) == LK_RACE);
}

static void
ticket_late(void)
{
    lk_conflict conflict = {9, 9, 9};
    SCHEDULE_EXPECT(set_under(gone, KEYS, MINE, &conflict) == LK_RACE);
    SCHEDULE_EXPECT(conflict.index == 0 && conflict.current_version == 0);
}

/* The first one's cell is still there. */
static void
ticket_delete(void)
{
    call_delete();
    lk_read_begin(db);
    lki_cell *cell = cell_of(keys[0]);
    SCHEDULE_EXPECT(cell != NULL && !lki_cell_is_dead(cell));
    lk_read_end(db);
    STORE_MUST(lk_delete(db, keys, KEYS));
    value = 0;
}

static void
ticket_read(void)
{
    lk_result *result = store_result();
    lk_query query = {.pk = keys[0].pk};
    SCHEDULE_EXPECT(hold(value, value));
    STORE_MUST(lk_get_many(db, keys, KEYS, result));
    for (size_t i = 0; i < KEYS; i++)
        SCHEDULE_EXPECT(store_number(lk_result_item(result, i)) == value);
    STORE_MUST(lk_query_items(db, &query, result));
    SCHEDULE_EXPECT(lk_result_count(result) == (value != 0 ? KEYS : 0));
    lk_result_free(result);
}

/* An item where the job was. */
static void
ticket_set_job(void)
{
    store_set(db, job_key, SET);
}

static const struct {
    void (*make)(void), (*call)(void);
} tickets[] = {
    {deleted_make, ticket_set},  {deleted_make, ticket_commit}, {deleted_make, ticket_race},
    {deleted_make, ticket_read}, {void_make, ticket_set},       {void_make, ticket_commit},
    {void_make, ticket_race},    {void_make, ticket_read},      {alive_make, ticket_delete},
    {alive_make, ticket_commit}, {alive_make, ticket_race},     {alive_make, ticket_read},
    {deleted_make, ticket_late}, {job_make, ticket_set_job}};

/* In the one case an epoch has to pass until they are due, in the other it has passed. */
static void
ticket_setup(void)
{
    uint32_t i = schedule_choose(14);
    tickets[i].make();
    call = tickets[i].call;
    seal(store_self());
    for (uint32_t passed = schedule_choose(2); passed < 2; passed++)
        epoch_pass(store_self());
}

static void
ticket_check(void)
{
    lk_statistics now;
    ticket_read();
    sweep();
    ticket_read();
    if (job_key.pk.size != 0) {
        SCHEDULE_EXPECT(number_of(job_key) == SET);
        STORE_MUST(lk_delete(db, &job_key, 1));
    }
    STORE_MUST(lk_delete(db, keys, KEYS));
    sweep();
    STORE_MUST(lk_statistics_read(db, &now));
    SCHEDULE_EXPECT(now.cells == 2);
    SCHEDULE_EXPECT(now.partitions == 1 + (job_key.pk.size != 0)); /* a queue stays */
}

/* ---- the last one frees ---- */

/* The cell goes before the ticket of its room, which is in another thread's hands. */
static void
last_setup(void)
{
    store_set(db, keys[0], OLD);
    sweep();
    store_set(db, keys[0], MINE);
}

static void
last_delete(void)
{
    lki_thread *thread = store_self();
    call_delete();
    for (int i = 0; i < 6; i++) {
        seal(thread);
        lki_reclaim_portion(thread, 1000);
    }
}

static void
last_check(void)
{
    lk_statistics now;
    sweep();
    STORE_MUST(lk_statistics_read(db, &now));
    SCHEDULE_EXPECT(now.cells == 0);
}

/* ---- the room in a cell ---- */

static void
room_set(void)
{
    store_set(db, keys[0], ITS);
}

/* Both would like to lie in it. Until the grace period of who does is over it is nobody else's. */
static void
room_check(void)
{
    lk_read_begin(db);
    unsigned flags = lki_load_relaxed(lki_cell_flags(cell_of(keys[0])));
    lk_read_end(db);
    SCHEDULE_EXPECT((flags & LKI_CELL_ROOM) == 0);
    value = number_of(keys[0]);
    SCHEDULE_EXPECT(value == SET || value == ITS);
    sweep();
    SCHEDULE_EXPECT(number_of(keys[0]) == value);
}

/* ---- without memory ---- */

/* Each may be the one that takes out the partition in which it could not enter its key. */
static void
memory_set(void)
{
    uint64_t number = SET;
    lk_item item = store_item(keys[schedule_self() - 1], &number);
    (void)store_self();
    schedule_fail_allocation(1 + schedule_choose(6), true);
    lk_status ends = lk_set(db, &item, 1);
    if (ends != LK_NO_MEMORY)
        STORE_MUST(ends);
}

static void
memory_check(void)
{
    lk_statistics now;
    schedule_fail_allocation(0, false);
    store_set(db, keys[0], SET);
    SCHEDULE_EXPECT(number_of(keys[0]) == SET);
    STORE_MUST(lk_delete(db, keys, KEYS));
    sweep();
    STORE_MUST(lk_statistics_read(db, &now));
    SCHEDULE_EXPECT(now.partitions == 1 && now.cells == 1);
}

const schedule_scenario schedule_scenarios[] = {
    STORE_MIDST("home", store_prepare, home_setup, call_run, home_come, home_check),
    STORE_MIDST("home_expired", store_prepare, home_expired_setup, call_run, home_move,
                home_expired_check),
    STORE_MIDST("ticket", prepare_stale, ticket_setup, call_run, home_move, ticket_check),
    ALONE("last", last_setup, last_delete, last_check),
    STORE_MIDST("room", prepare_stale, void_make, call_set, room_set, room_check),
    STORE_MIDST("memory", prepare_stale, NULL, memory_set, memory_set, memory_check),
    {0},
};
