/* SPDX-License-Identifier: MIT
 *
 * A commit of two keys under their locks, in whose midst another thread writes them; and writes in
 * whose midst a snapshot is taken.
 *
 *   Each is as if one had come after the other: what is told to have been written is there, or was
 *   replaced as a whole; a lock is stale only where it is at another version. Who is stopped in the
 *   middle of a commit holds up nobody. What a snapshot does not see at once it never sees, and the
 *   other way round.
 */
#include "support/inside.h"
#include "support/meeting.h"

#include "store/head.h"

enum { KEYS = 2 };

/* What is there of a key at an instant. */
typedef struct sight {
    uint64_t version, kind;
    char data[8]; /* its first three bytes tell it apart */
} sight;

static struct {
    kit k;
    lk_lock locks[KEYS];
    lk_status status;
    uint64_t bumped;      /* the version that the other thread has made; 0: it has not */
    unsigned long aborts; /* that are still to come */
    bool looks;
    lki_cell *cells[KEYS];
    uint64_t snapshot;
    sight seen[KEYS];
    bool same, only_data;
} m;

static lk_key
key_of(size_t i)
{
    return kit_key("partition", i == 0 ? "sort-key-a" : "sort-key-b"); /* short ones */
}

static void
items_of(lk_item *items, const char *value)
{
    for (size_t i = 0; i < KEYS; i++)
        items[i] = (lk_item){key_of(i), lk_string(value), 0};
}

static void
keys_set(const char *value)
{
    lk_item items[KEYS];
    items_of(items, value);
    assert_status(LK_OK, lk_set(m.k.db, items, KEYS));
}

/* Who is at home has the room. */
static void
room_check(size_t i)
{
    lki_cell *cell = inside_cell(&m.k, key_of(i));
    if (cell != NULL && lki_load_acquire(&cell->item) == (uintptr_t)lki_cell_record(cell))
        assert_true((lki_load_relaxed(lki_cell_flags(cell)) & LKI_CELL_ROOM) == 0);
}

static void
key_bare(size_t i)
{
    lk_key key = key_of(i);
    lk_item item = {key, lk_string("a value that takes so much room, as locks do, too"), 0};
    assert_status(LK_OK, lk_set(m.k.db, &item, 1));
    assert_status(LK_OK, lk_delete(m.k.db, &key, 1));
    (void)kit_lock(&m.k, key);
    kit_sweep(&m.k);
}

static void
keys_commit(void)
{
    lk_item items[KEYS];
    items_of(items, "old");
    for (int i = 0; i < 40; i++)
        assert_status(LK_OK, lk_set_atomic(m.k.db, items, KEYS, m.locks, KEYS, NULL));
}

enum { AT_HOME, APART, EXPIRES, JOBS, BARE, FORMS };

/* What is there: at home; apart, by a commit, with freed records at hand; with an expiry; jobs; no
 * item, but a lock, and room in the cell. */
static void
keys_prepare(int form)
{
    lk_item items[KEYS];
    items_of(items, "old");
    (void)!lk_queue_purge(m.k.db, lk_string("partition"), NULL);
    if (form != APART)
        kit_sweep(&m.k);
    for (size_t i = 0; i < KEYS; i++)
        room_check(i);
    if (form == JOBS)
        assert_status(LK_OK, lk_queue_push(m.k.db, items, KEYS, NULL, NULL));
    for (size_t i = 0; i < KEYS; i++) {
        items[i].expires_at_ms = form == EXPIRES ? m.k.now_ms + LK_HOURS(1) : 0;
        if (form == BARE)
            key_bare(i);
        else
            assert_status(LK_OK, lk_set(m.k.db, &items[i], 1));
        m.locks[i] = kit_lock(&m.k, key_of(i));
    }
    for (int i = 0; i < 2 && form == APART; i++) {
        keys_commit();
        meeting_do(keys_commit);
    }
    m.bumped = 0;
}

static void
call_set(void)
{
    lk_item item = {key_of(0), lk_string("set"), 0};
    assert_status(LK_OK, lk_set(m.k.db, &item, 1));
}

static void
call_delete(void)
{
    lk_key key = key_of(0);
    assert_status(LK_OK, lk_delete(m.k.db, &key, 1));
}

static void
call_commit(void)
{
    lk_item items[KEYS];
    items_of(items, "mine");
    m.status = lk_set_atomic(m.k.db, items, KEYS, m.locks, KEYS, NULL);
}

static void
call_bump_both(void)
{
    m.status = lk_set_atomic(m.k.db, NULL, 0, m.locks, KEYS, NULL);
}

static void
call_push(void)
{
    lk_item items[KEYS];
    items_of(items, "mine");
    assert_status(LK_OK, lk_queue_push(m.k.db, items, KEYS, NULL, NULL));
}

static void
call_commit_without_locks(void)
{
    lk_item items[KEYS];
    lk_write writes[KEYS];
    items_of(items, "its");
    for (size_t i = 0; i < KEYS; i++)
        writes[i] = (lk_write){.kind = LK_PUT, .item = items[i]};
    assert_status(LK_OK, lk_commit(m.k.db, writes, KEYS, NULL, 0, NULL));
}

static void
call_bump(void)
{
    lk_lock lock = kit_lock(&m.k, key_of(0));
    assert_status(LK_OK, lk_set_atomic(m.k.db, NULL, 0, &lock, 1, NULL));
    m.bumped = lock.version;
}

/* ---- a commit in whose midst another thread writes ---- */

/* What the first key, and the second, may hold where the commit has happened. */
static const struct {
    void (*step)(void);
    const char *a, *b;
    bool deletes;
} steps[] = {{call_set, "set", "mine", false},
             {call_delete, NULL, "mine", true},
             {call_commit_without_locks, "its", "its", false},
             {call_bump, "mine", "mine", false}};

static void
commit_check(size_t s)
{
    bool mine = kit_holds(&m.k, key_of(0), "mine") && kit_holds(&m.k, key_of(1), "mine");
    bool other = kit_holds(&m.k, key_of(0), steps[s].a) && kit_holds(&m.k, key_of(1), steps[s].b);
    lk_lock now = kit_lock(&m.k, key_of(0));
    if (m.status == LK_OK) {
        assert_true(mine || (meeting.met && other));
        assert_true(steps[s].deletes
                        ? now.version >= m.locks[0].version
                        : now.version == (m.bumped != 0 ? m.bumped : m.locks[0].version));
        assert_true(kit_lock(&m.k, key_of(1)).version == m.locks[1].version);
    } else {
        assert_status(LK_RACE, m.status);
        assert_true(meeting.met && (m.bumped != 0 || steps[s].deletes));
        assert_true(now.version != m.locks[0].version);
        assert_false(kit_holds(&m.k, key_of(0), "mine") || kit_holds(&m.k, key_of(1), "mine"));
        assert_true(kit_lock(&m.k, key_of(1)).version == m.locks[1].version);
    }
}

static void
test_commit_in_whose_midst_its_keys_are_written(void **state)
{
    (void)state;
    for (int form = 0; form < FORMS; form++)
        for (size_t s = 0; s < KIT_COUNT(steps); s++)
            MEETING_EACH
            {
                keys_prepare(form);
                MEETING(steps[s].step, call_commit());
                commit_check(s);
            }
}

/* Nothing but the versions is written: what the other thread writes stays. */
static void
test_locks_in_whose_midst_their_keys_are_written(void **state)
{
    (void)state;
    for (int form = 0; form < BARE; form++)
        for (size_t s = 0; s < KIT_COUNT(steps); s++)
            MEETING_EACH
            {
                keys_prepare(form);
                MEETING(steps[s].step, call_bump_both());
                const char *a = steps[s].step == call_bump ? "old" : steps[s].a;
                const char *b = steps[s].step == call_commit_without_locks ? "its" : "old";
                assert_true(kit_holds(&m.k, key_of(0), meeting.met ? a : "old"));
                assert_true(kit_holds(&m.k, key_of(1), meeting.met ? b : "old"));
                if (m.status == LK_OK)
                    assert_true(kit_lock(&m.k, key_of(1)).version == m.locks[1].version);
            }
}

static void
test_push_in_whose_midst_its_keys_are_written(void **state)
{
    (void)state;
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("partition");
    options.max_jobs = KEYS;
    for (int form = 0; form < FORMS; form++)
        for (size_t s = 0; s < KIT_COUNT(steps); s++)
            MEETING_EACH
            {
                keys_prepare(form);
                MEETING(steps[s].step, call_push());
                lk_status status = lk_queue_pull(m.k.db, &options, m.k.result);
                assert_true(status == LK_OK || (status == LK_EMPTY && steps[s].deletes));
                size_t count = status == LK_OK ? lk_result_count(m.k.result) : 0;
                assert_true(count == KEYS || (count == KEYS - 1 && steps[s].deletes));
                if (!meeting.met)
                    assert_true(kit_holds(&m.k, key_of(0), "mine") &&
                                kit_holds(&m.k, key_of(1), "mine"));
            }
}

/* Where one of its records is on a head, somebody comes who aborts it. */
static void
abort_hook(void)
{
    if (meeting_is_other || m.aborts == 0 || m.looks)
        return;
    m.looks = true;
    for (size_t i = 0; i < KEYS && m.aborts > 0; i++)
        if (!lki_head_is_stamped(lki_load_acquire(&m.cells[i]->item))) {
            m.aborts--;
            meeting_do(call_commit_without_locks);
        }
    m.looks = false;
}

/* However often that is, it comes to its end. */
static void
test_commit_that_is_aborted_many_times(void **state)
{
    (void)state;
    uint64_t most = 0;
    for (unsigned long aborts = 1; aborts < 60; aborts++) {
        keys_prepare(0);
        lk_statistics before = kit_statistics(&m.k);
        for (size_t i = 0; i < KEYS; i++)
            m.cells[i] = inside_cell(&m.k, key_of(i));
        m.aborts = aborts;
        lki_yield_hook = abort_hook;
        call_commit();
        lki_yield_hook = meeting_yield;
        lk_statistics after = kit_statistics(&m.k);
        uint64_t retries = after.retries - before.retries;
        assert_true(after.aborts - before.aborts >= retries);
        most = retries > most ? retries : most;
        commit_check(2);
        assert_status(LK_OK, m.status);
    }
    assert_true(most > 10); /* more than in one section */
}

static void
its_lock(void)
{
    m.bumped = kit_lock(&m.k, key_of(0)).version;
}

/* Also where the key was deleted, and set again, and who asks has never made a version that
 * high. */
static void
test_versions_rise_over_a_delete(void **state)
{
    (void)state;
    for (int round = 0; round < 8; round++) {
        keys_prepare(AT_HOME);
        keys_commit();
        keys_commit();
        uint64_t before = m.locks[0].version;
        call_delete();
        if (round % 2 == 0)
            call_set();
        meeting_do(its_lock);
        assert_true(m.bumped > before);
    }
}

/* ---- a snapshot in the midst ---- */

/* Not where it lies: it may come home meanwhile. */
static sight
snapshot_sees(size_t i)
{
    sight seen = {0};
    lki_record *record = lki_record_at(
        m.k.db->state, lki_load_acquire(&inside_cell(&m.k, key_of(i))->item), m.snapshot);
    if (record == NULL)
        return seen;
    seen.kind = 1 + record->kind;
    seen.version = lki_record_version(record);
    if (record->kind == LKI_VALUE)
        memcpy(seen.data, lki_record_data(record), 3);
    return seen;
}

static void
snapshot_begin(void)
{
    lk_read_begin(m.k.db);
    m.snapshot = lki_snapshot(m.k.db->state, inside_thread(&m.k));
}

static void
snapshot_take(void)
{
    snapshot_begin();
    for (size_t i = 0; i < KEYS; i++)
        m.seen[i] = snapshot_sees(i);
}

/* Nobody looks before the keys are written once more. */
static void
snapshot_take_under_commit(void)
{
    snapshot_begin();
    call_commit();
    for (size_t i = 0; i < KEYS; i++)
        m.seen[i] = snapshot_sees(i);
}

/* What was read before it, it sees. */
static void
snapshot_take_behind_read(void)
{
    sight seen[KEYS];
    m.snapshot = UINT64_MAX;
    for (size_t i = 0; i < KEYS; i++) {
        seen[i] = (sight){0};
        if (lk_get(m.k.db, key_of(i), m.k.result) == LK_OK)
            memcpy(seen[i].data, lk_result_item(m.k.result, 0)->data.data, 3);
    }
    snapshot_begin();
    memcpy(m.seen, seen, sizeof seen);
    m.only_data = true;
}

static void
snapshot_check(void)
{
    for (size_t i = 0; i < KEYS; i++) {
        sight now = snapshot_sees(i);
        if (m.only_data)
            now.version = now.kind = 0;
        m.same &= memcmp(&now, &m.seen[i], sizeof now) == 0;
    }
    lk_read_end(m.k.db);
}

static void
test_snapshot_in_the_midst_of_a_write_sees_the_same_for_ever(void **state)
{
    (void)state;
    static void (*const calls[])(void) = {call_set, call_delete, call_commit,
                                          call_commit_without_locks, call_bump};
    static void (*const takes[])(void) = {snapshot_take, snapshot_take_behind_read,
                                          snapshot_take_under_commit};
    for (int form = 0; form < FORMS; form++)
        for (size_t c = 0; c < KIT_COUNT(calls); c++)
            for (size_t t = 0; t < (calls[c] == call_set ? 3 : 2); t++)
                MEETING_EACH
                {
                    keys_prepare(form);
                    m.only_data = false;
                    MEETING(takes[t], calls[c]());
                    m.same = true;
                    if (meeting.met)
                        meeting_do(snapshot_check);
                    assert_true(m.same);
                }
}

/* ---- */

static int
setup(void **state)
{
    *state = &m.k;
    kit_open(&m.k, NULL);
    keys_set("first");
    meeting_open();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        MEETING_TEST(test_commit_in_whose_midst_its_keys_are_written),
        MEETING_TEST(test_locks_in_whose_midst_their_keys_are_written),
        MEETING_TEST(test_push_in_whose_midst_its_keys_are_written),
        MEETING_TEST(test_versions_rise_over_a_delete),
        MEETING_TEST(test_commit_that_is_aborted_many_times),
        MEETING_TEST(test_snapshot_in_the_midst_of_a_write_sees_the_same_for_ever),
    };
    return cmocka_run_group_tests_name("hooked_commit", tests, NULL, NULL);
}
