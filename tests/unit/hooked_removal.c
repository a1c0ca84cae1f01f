/* SPDX-License-Identifier: MIT
 *
 * A ticket of a cell falls due in the midst of a call on its key. The key was deleted, or its cell
 * was made in vain; the call stops at its n-th access to a shared word, for each n, and there
 * another thread looks at all tickets; or who looks at the tickets stops, and there a call is made.
 *
 * Whatever meets: the call says what it would have said alone; a tombstone younger than two epochs
 * keeps its cell; and in the end, when all keys are gone, so are their cells, and the memory is
 * what it was.
 */
#include "support/inside.h"
#include "support/meeting.h"

#include "store/head.h"
#include "store/partition.h"
#include "store/shard.h"

enum { KEYS = 6 };

static struct {
    kit k;
    lk_lock lock, stale; /* of key "lock", as it is and as it was */
    lk_lock locks[KEYS];
    const char *value;  /* of the keys, in the end; NULL: gone */
    void (*call)(void); /* NULL: it was made */
    char job_sk[64];    /* of a job whose key was generated */
    size_t job_sk_size;
    int64_t fails_at; /* the other thread's allocation */
} m;

/* ---- the keys, and their tickets ---- */

static lk_item
item_of(size_t i, const char *value)
{
    static const char *const names[KEYS] = {"sort-key-a", "sort-key-b", "sort-key-c",
                                            "sort-key-d", "sort-key-e", "sort-key-f"};
    return kit_item("partition", names[i], value);
}

static void
items_of(lk_item *items, const char *value)
{
    for (size_t i = 0; i < KEYS; i++)
        items[i] = item_of(i, value);
}

static lk_status
keys_delete(void)
{
    lk_key keys[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = item_of(i, "").key;
    return lk_delete(m.k.db, keys, KEYS);
}

/* One epoch passes: what was retired before this is due in the next. */
static void
epoch_pass(void)
{
    lki_thread *thread = inside_thread(&m.k);
    lki_write_enter(thread);
    lki_seal(thread);
    lki_leave(thread);
    ck_epoch_begin(&thread->epoch, NULL);
    (void)ck_epoch_poll(&thread->epoch);
    ck_epoch_end(&thread->epoch, NULL);
}

/* The tickets of tombstones. */
static void
prepare_deleted(void)
{
    lk_item items[KEYS];
    items_of(items, "old");
    assert_status(LK_OK, lk_set(m.k.db, items, KEYS));
    assert_status(LK_OK, keys_delete());
    epoch_pass();
}

/* The same; who comes has locks of what was deleted. */
static void
prepare_deleted_locked(void)
{
    lk_item items[KEYS];
    items_of(items, "old");
    assert_status(LK_OK, lk_set(m.k.db, items, KEYS));
    for (size_t i = 0; i < KEYS; i++)
        m.locks[i] = kit_lock(&m.k, items[i].key);
    assert_status(LK_OK, keys_delete());
    epoch_pass();
}

/* Tickets of keys that are there again. */
static void
prepare_alive(void)
{
    lk_item items[KEYS];
    items_of(items, "old");
    assert_status(LK_OK, lk_set(m.k.db, items, KEYS));
    assert_status(LK_OK, keys_delete());
    assert_status(LK_OK, lk_set(m.k.db, items, KEYS));
    epoch_pass();
}

/* Tickets of cells that a commit has made, before it saw that its lock is stale. */
static void
prepare_void(void)
{
    lk_item items[KEYS];
    lk_lock stale = m.stale;
    items_of(items, "in vain");
    assert_status(LK_RACE, lk_set_atomic(m.k.db, items, KEYS, &stale, 1, NULL));
    epoch_pass();
}

/* The ticket of a cell in a queue: its job has a head, since somebody had a lock of its key, and
 * was deleted. */
static void
prepare_job(void)
{
    lk_item job = {.key = {lk_string("q"), {NULL, 0}}, .data = lk_string("job")};
    assert_status(LK_OK, lk_queue_push(m.k.db, &job, 1, NULL, m.k.result));
    lk_bytes sk = lk_result_item(m.k.result, 0)->key.sk;
    assert_true(sk.size <= sizeof m.job_sk);
    memcpy(m.job_sk, sk.data, sk.size);
    m.job_sk_size = sk.size;
    lk_key key = {lk_string("q"), {m.job_sk, m.job_sk_size}};
    (void)kit_lock(&m.k, key);
    assert_status(LK_OK, lk_delete(m.k.db, &key, 1));
    epoch_pass();
}

/* Freed tombstones lie at hand, for the next ones. */
static void
chunks_fill(void)
{
    for (int i = 0; i < 4; i++) {
        lk_key key = kit_key("chunks", "x");
        kit_set(&m.k, "chunks", "x", "x");
        assert_status(LK_OK, lk_delete(m.k.db, &key, 1));
        for (int round = 0; round < 6; round++) {
            epoch_pass();
            lki_reclaim_portion(inside_thread(&m.k), 1000);
        }
    }
}

/* An epoch passes, and the tickets are looked at. */
static void
tickets_fall_due(void)
{
    lki_reclaim_portion(inside_thread(&m.k), 1000);
}

/* ---- calls ---- */

static void
call_set(void)
{
    lk_item item = item_of(0, "new");
    lk_item others[KEYS];
    items_of(others, "new");
    assert_status(LK_OK, lk_set(m.k.db, &item, 1));
    meeting.counts = false;
    assert_status(LK_OK, lk_set(m.k.db, others, KEYS));
    m.value = "new";
}

static void
call_commit(void)
{
    lk_item items[KEYS];
    items_of(items, "committed");
    assert_status(LK_OK, lk_set_atomic(m.k.db, items, KEYS, &m.lock, 1, NULL));
    m.value = "committed";
}

/* What it has installed until it comes to the lock is undone. */
static void
call_race(void)
{
    lk_item items[KEYS];
    lk_lock stale = m.stale;
    items_of(items, "in vain");
    assert_status(LK_RACE, lk_set_atomic(m.k.db, items, KEYS, &stale, 1, NULL));
}

static void
call_late(void)
{
    lk_item items[KEYS];
    lk_conflict conflict = {9, 9, 9};
    items_of(items, "in vain");
    assert_status(LK_RACE, lk_set_atomic(m.k.db, items, KEYS, m.locks, KEYS, &conflict));
    assert_true(conflict.index == 0 && conflict.current_version == 0);
}

/* Not all at once: of each tombstone it is told whether its cell is still there. */
static void
call_delete(void)
{
    lk_key key = item_of(0, "").key;
    assert_status(LK_OK, lk_delete(m.k.db, &key, 1));
    meeting.counts = false;
    lk_read_begin(m.k.db);
    lki_cell *cell = inside_cell(&m.k, key);
    assert_true(cell != NULL && !lki_cell_is_dead(cell));
    lk_read_end(m.k.db);
    assert_status(LK_OK, keys_delete());
    m.value = NULL;
}

static void
call_read(void)
{
    lk_key keys[KEYS];
    lk_query query = {.pk = lk_string("partition")};
    for (size_t i = 0; i < KEYS; i++) {
        keys[i] = item_of(i, "").key;
        assert_true(kit_holds(&m.k, keys[i], m.value));
    }
    assert_status(LK_OK, lk_get_many(m.k.db, keys, KEYS, m.k.result));
    for (size_t i = 0; i < KEYS; i++)
        assert_true((lk_result_item(m.k.result, i) != NULL) == (m.value != NULL));
    assert_status(LK_OK, lk_query_items(m.k.db, &query, m.k.result));
    assert_int_equal(lk_result_count(m.k.result), m.value != NULL ? KEYS : 0);
}

/* An item where the job was. */
static void
call_set_job(void)
{
    lk_item item = {.key = {lk_string("q"), {m.job_sk, m.job_sk_size}}, .data = lk_string("item")};
    assert_status(LK_OK, lk_set(m.k.db, &item, 1));
}

/* It is there, and goes. */
static void
job_check(void)
{
    lk_key key = {lk_string("q"), {m.job_sk, m.job_sk_size}};
    lk_query query = {.pk = key.pk};
    if (m.job_sk_size == 0)
        return;
    assert_true(kit_holds(&m.k, key, "item"));
    assert_status(LK_OK, lk_query_items(m.k.db, &query, m.k.result));
    assert_int_equal(lk_result_count(m.k.result), 1);
    assert_status(LK_OK, lk_delete(m.k.db, &key, 1));
}

typedef struct visit {
    void (*prepare)(void), (*call)(void);
    const char *value; /* before the call */
} visit;
static const visit meetings[] = {
    {prepare_deleted, call_set, NULL},
    {prepare_deleted, call_commit, NULL},
    {prepare_deleted, call_race, NULL},
    {prepare_deleted, call_read, NULL},
    {prepare_void, call_set, NULL},
    {prepare_void, call_commit, NULL},
    {prepare_void, call_race, NULL},
    {prepare_void, call_read, NULL},
    {prepare_alive, call_delete, "old"},
    {prepare_alive, call_commit, "old"},
    {prepare_alive, call_race, "old"},
    {prepare_alive, call_read, "old"},
    {prepare_deleted_locked, call_late, NULL},
    {prepare_job, call_set_job, NULL},
};

static void
end_check(void)
{
    call_read();
    kit_sweep(&m.k);
    call_read();
    job_check();
    assert_status(LK_OK, keys_delete());
    kit_sweep(&m.k);
    lk_statistics s = kit_statistics(&m.k);
    assert_int_equal(s.cells, 1);
    assert_int_equal(s.partitions, m.job_sk_size != 0 ? 2 : 1); /* a queue stays */
}

static void
test_call_in_whose_midst_a_ticket_falls_due(void **state)
{
    (void)state;
    for (size_t c = 0; c < KIT_COUNT(meetings); c++)
        MEETING_EACH
        {
            chunks_fill();
            meeting_do(meetings[c].prepare);
            m.value = meetings[c].value;
            MEETING(tickets_fall_due, meetings[c].call());
            end_check();
        }
}

static bool
latch_is_free(lki_latch *latch)
{
    bool free = lki_latch_try(latch);
    if (free)
        lki_latch_drop(latch);
    return free;
}

/* Does who is stopped hold none of the latches that a call on the key may wait for? */
static bool
key_is_free(lk_key key)
{
    lki_store *store = m.k.db->state;
    uint64_t hash = lki_hash_bytes(&store->secret, key.pk);
    lki_enter(inside_thread(&m.k));
    lki_partition *partition = lki_partition_find(store, key.pk);
    bool free = latch_is_free(lki_shard_latch(store, hash)) &&
                latch_is_free(lki_shard_latch(store, lki_hashed_of(&store->secret, &key).hash)) &&
                (partition == NULL || latch_is_free(lki_partition_latch(store, partition)));
    lki_leave(inside_thread(&m.k));
    return free;
}

static void
call_if_free(void)
{
    lk_key job = {lk_string("q"), {m.job_sk, m.job_sk_size}};
    bool free = key_is_free(job);
    for (size_t i = 0; i < KEYS; i++)
        free &= key_is_free(item_of(i, "").key);
    if (free) {
        m.call();
        m.call = NULL;
    }
}

static void
test_ticket_in_whose_midst_a_call_is_made(void **state)
{
    (void)state;
    for (size_t c = 0; c < KIT_COUNT(meetings); c++)
        MEETING_EACH
        {
            meetings[c].prepare();
            epoch_pass();
            m.value = meetings[c].value;
            m.call = meetings[c].call;
            MEETING(call_if_free, tickets_fall_due());
            if (m.call != NULL)
                m.call();
            end_check();
        }
}

/* ---- the room in a cell ---- */

static void
call_set_once(void)
{
    lk_item item = item_of(0, "new");
    assert_status(LK_OK, lk_set(m.k.db, &item, 1));
}

static void
step_set_once(void)
{
    lk_item item = item_of(0, "its");
    assert_status(LK_OK, lk_set(m.k.db, &item, 1));
}

/* Both would like to lie in it. Until the grace period of who does is over it is nobody else's. */
static void
test_two_over_an_empty_head(void **state)
{
    (void)state;
    lk_key key = item_of(0, "").key;
    MEETING_EACH
    {
        prepare_void();
        MEETING(step_set_once, call_set_once());
        unsigned flags = lki_load_relaxed(lki_cell_flags(inside_cell(&m.k, key)));
        assert_true((flags & LKI_CELL_ROOM) == 0);
        m.value = kit_holds(&m.k, key, "its") ? "its" : "new";
        kit_sweep(&m.k);
        assert_true(kit_holds(&m.k, key, m.value));
        assert_status(LK_OK, keys_delete());
        kit_sweep(&m.k);
    }
}

/* ---- without memory ---- */

static lk_status
new_set(const char *sk, int64_t fails_at)
{
    lk_item item = kit_item("new", sk, "x");
    kit_memory_fail(&m.k.memory, fails_at, true);
    return lk_set(m.k.db, &item, 1);
}

static void
new_set_other(void)
{
    if (key_is_free(kit_key("new", "own")) && key_is_free(kit_key("new", "other")))
        (void)!new_set("other", m.fails_at);
}

/* Each may be the one that takes out the partition in which it could not enter its key. */
static void
test_two_without_memory_in_the_same_new_partition(void **state)
{
    (void)state;
    lk_key keys[2] = {kit_key("new", "own"), kit_key("new", "other")};
    for (int64_t n = 0; n < 36; n++)
        MEETING_EACH
        {
            m.fails_at = n / 6 + 1;
            MEETING(new_set_other, new_set("own", n % 6 + 1));
            assert_status(LK_OK, new_set("own", 0));
            assert_true(kit_holds(&m.k, keys[0], "x"));
            assert_status(LK_OK, lk_delete(m.k.db, keys, 2));
            kit_sweep(&m.k);
            assert_int_equal(kit_statistics(&m.k).partitions, 1);
        }
}

/* ---- */

static int
setup(void **state)
{
    *state = &m.k;
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    kit_open(&m.k, &options);
    m.job_sk_size = 0;
    kit_set(&m.k, "other", "lock", "x");
    m.stale = m.lock = kit_lock(&m.k, kit_key("other", "lock"));
    assert_status(LK_OK, lk_set_atomic(m.k.db, NULL, 0, &m.lock, 1, NULL));
    meeting_open();
    meeting_do(epoch_pass); /* the thread's record is there from now on */
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        MEETING_TEST(test_call_in_whose_midst_a_ticket_falls_due),
        MEETING_TEST(test_ticket_in_whose_midst_a_call_is_made),
        MEETING_TEST(test_two_over_an_empty_head),
        MEETING_TEST(test_two_without_memory_in_the_same_new_partition),
    };
    return cmocka_run_group_tests_name("hooked_removal", tests, NULL, NULL);
}
