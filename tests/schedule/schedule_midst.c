/* SPDX-License-Identifier: MIT
 *
 * What happens in the midst of a commit (midst.h). `commit`, `bump`, `push`: writes of two keys,
 * under their locks or without; the other thread writes the keys. Each is as if one had come after
 * the other: what is told to have been written is there, or was replaced as a whole; a lock is
 * stale only where it is at another version. `rivals`: the same of others who come again and
 * again. `rise`: versions rise over a delete. `snapshot`: what a snapshot does not see at once it
 * never sees, and the other way round.
 */
#include "base/chunk.h"
#include "schedule/midst.h"

static uint64_t bumped; /* the version that the other thread has made; 0: none */

/* ---- two keys, and what is there of them ---- */

static void
commit_its(void)
{
    uint64_t number = ITS;
    lk_write writes[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        writes[i] = (lk_write){.kind = LK_PUT, .item = store_item(keys[i], &number)};
    STORE_MUST(lk_commit(db, writes, KEYS, NULL, 0, NULL));
}

enum { RISE_MAX = 1 << 24 };
enum { AT_HOME, APART, EXPIRES, JOBS, BARE, FORMS };
static uint32_t form;

/* At home; apart, by a commit; with an expiry; jobs; no item, but a lock, and room in the cell. */
static void
keys_prepare(uint32_t forms)
{
    form = schedule_choose(forms);
    if (form == JOBS)
        push_mine();
    for (size_t i = 0; i < KEYS; i++) {
        uint64_t number = OLD;
        lk_item item = store_item(keys[i], &number);
        item.expires_at_ms = form == EXPIRES ? schedule_unix_ms() + LK_HOURS(1) : 0;
        if (form == BARE) {
            set_long(keys[i]);
            STORE_MUST(lk_delete(db, &keys[i], 1));
        } else {
            STORE_MUST(lk_set(db, &item, 1));
        }
        locks[i] = lock_of(keys[i]);
    }
    if (form == AT_HOME || form == BARE)
        sweep();
    for (int i = 0; i < 2 && form == APART; i++) {
        commit_mine();
        for (size_t k = 0; k < KEYS; k++)
            store_set(db, keys[k], OLD);
    }
}

/* Freed records are at hand, for the shortest ways. (With the small constants nothing is kept.) */
static void
chunks_fill(void)
{
    enum { RECORDS = 3 };
    static const size_t sizes[2] = {LKI_RECORD_BEFORE + LKI_RECORD_HEADER + sizeof(uint64_t),
                                    LKI_RECORD_BEFORE + LKI_RECORD_HEADER + sizeof(uint64_t) +
                                        LKI_FLAG_LOCKED};
    void *chunk[2 * RECORDS];
    lki_thread *thread = store_self();
    if (form != APART)
        return;
    for (size_t i = 0; i < 2 * RECORDS; i++)
        chunk[i] = lki_chunk_alloc(thread, sizes[i % 2]);
    for (size_t i = 0; i < 2 * RECORDS; i++)
        lki_chunk_free(thread, chunk[i], sizes[i % 2]);
}

static void
call_commit(void)
{
    chunks_fill();
    commit_mine();
}

static void
call_bump_both(void)
{
    chunks_fill();
    status = lk_set_atomic(db, NULL, 0, locks, KEYS, NULL);
}

/* It loses where the other one comes between. */
static void
call_bump(void)
{
    lk_lock lock = lock_of(keys[0]);
    if (lk_set_atomic(db, NULL, 0, &lock, 1, NULL) == LK_OK)
        bumped = lock.version;
}

/* ---- a call in whose midst another thread writes ---- */

/* What the keys hold where it comes last, or alone; 0: nothing. */
static const struct {
    void (*step)(void);
    uint64_t a, b;
    bool deletes;
} writes[] = {{call_set, SET, MINE, false},
              {call_delete, 0, MINE, true},
              {commit_its, ITS, ITS, false},
              {call_bump, MINE, MINE, false}};
static uint32_t which;

static void
step_run(void)
{
    writes[which].step();
}

static void
meeting_setup(void (*what)(void), uint32_t forms)
{
    keys_prepare(forms);
    which = schedule_choose(4);
    call = what;
}

static void
commit_setup(void)
{
    meeting_setup(call_commit, FORMS);
}

static void
bump_setup(void)
{
    meeting_setup(call_bump_both, BARE);
}

static void
push_setup(void)
{
    meeting_setup(push_mine, FORMS);
}

static void
commit_check(void)
{
    bool mine = hold(MINE, MINE), its = hold(writes[which].a, writes[which].b);
    lk_lock now[KEYS] = {lock_of(keys[0]), lock_of(keys[1])};
    if (status == LK_OK) {
        SCHEDULE_EXPECT(mine || its);
        SCHEDULE_EXPECT(writes[which].deletes
                            ? now[0].version >= locks[0].version
                            : now[0].version == (bumped != 0 ? bumped : locks[0].version));
    } else {
        SCHEDULE_EXPECT(status == LK_RACE && (bumped != 0 || writes[which].deletes));
        SCHEDULE_EXPECT(now[0].version != locks[0].version);
        SCHEDULE_EXPECT(number_of(keys[0]) != MINE && number_of(keys[1]) != MINE);
    }
    SCHEDULE_EXPECT(now[1].version == locks[1].version);
}

/* Nothing but the versions is written: what the other thread writes stays. */
static void
bump_check(void)
{
    SCHEDULE_EXPECT(hold(writes[which].step == call_bump ? OLD : writes[which].a,
                         writes[which].step == commit_its ? ITS : OLD));
    SCHEDULE_EXPECT(status == LK_OK ||
                    (status == LK_RACE && (bumped != 0 || writes[which].deletes)));
    if (status == LK_OK)
        SCHEDULE_EXPECT(lock_of(keys[1]).version == locks[1].version);
}

static void
push_check(void)
{
    lk_result *result = store_result();
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = keys[0].pk;
    options.max_jobs = KEYS;
    STORE_MUST(lk_queue_pull(db, &options, result));
    size_t count = lk_result_count(result);
    SCHEDULE_EXPECT(count == KEYS || (count == KEYS - 1 && writes[which].deletes));
    for (size_t i = 0; i < count; i++)
        SCHEDULE_EXPECT(store_number(lk_result_item(result, i)) != OLD);
    lk_result_free(result);
}

/* However often it is aborted, it comes to its end. */
static void
rivals_setup(void)
{
    keys_prepare(1);
    which = 2;
}

static void
commit_its_often(void)
{
    for (int i = 0; i < 4; i++)
        commit_its();
}

static void
rivals_check(void)
{
    STORE_MUST(status);
    commit_check();
}

/* Versions rise over a delete, by some, also where who asks has never made one that high. */
static void
rise_setup(void)
{
    keys_prepare(1);
    for (int i = 0; i < 3; i++)
        commit_mine();
    call_delete();
    if (schedule_choose(2) == 0)
        call_set();
}

static void
rise_ask(void)
{
    uint64_t version = lock_of(keys[0]).version;
    SCHEDULE_EXPECT(version > locks[0].version && version < locks[0].version + RISE_MAX);
}

/* ---- a snapshot in the midst ---- */

typedef struct sight {
    uint64_t version, kind, number;
} sight;
enum { PLAINLY, BEHIND_READ, UNDER_COMMIT, TAKES };
static uint32_t take;

/* Not where it lies: it may come home meanwhile. */
static void
snapshot_look(uint64_t snapshot, sight *seen)
{
    for (size_t i = 0; i < KEYS; i++) {
        lki_record *record =
            lki_record_at(db->state, lki_load_acquire(&cell_of(keys[i])->item), snapshot);
        seen[i] = (sight){0};
        if (record == NULL)
            continue;
        seen[i].kind = 1 + record->kind;
        seen[i].version = lki_record_version(record);
        if (record->kind == LKI_VALUE && record->size == sizeof seen[i].number)
            __builtin_memcpy(&seen[i].number, lki_record_data(record), sizeof seen[i].number);
    }
}

/* UNDER_COMMIT: nobody looks before the keys are written once more. BEHIND_READ: what was read
 * before it, it sees, if nobody has written in between. */
static void
snapshot_take(void)
{
    sight seen[KEYS], now[KEYS];
    uint64_t read[KEYS] = {0, 0};
    bool was_over = over;
    for (size_t i = 0; i < KEYS && take == BEHIND_READ; i++)
        read[i] = number_of(keys[i]);
    lk_read_begin(db);
    uint64_t snapshot = lki_snapshot(db->state, lki_self.thread);
    bool only_reads = take == BEHIND_READ && over == was_over;
    if (take == UNDER_COMMIT)
        commit_mine();
    if (!only_reads)
        snapshot_look(snapshot, seen);
    while (!over)
        schedule_sleep(1);
    snapshot_look(snapshot, now);
    for (size_t i = 0; i < KEYS; i++)
        if (only_reads)
            SCHEDULE_EXPECT(now[i].number == read[i]);
        else
            SCHEDULE_EXPECT(__builtin_memcmp(&now[i], &seen[i], sizeof *now) == 0);
    lk_read_end(db);
}

static void
snapshot_setup(void)
{
    static void (*const calls[])(void) = {call_set, call_delete, call_commit, commit_its,
                                          call_bump};
    keys_prepare(FORMS);
    call = calls[schedule_choose(5)];
    take = schedule_choose(call == call_set ? TAKES : UNDER_COMMIT);
}

const schedule_scenario schedule_scenarios[] = {
    STORE_MIDST("commit", store_prepare, commit_setup, call_run, step_run, commit_check),
    STORE_MIDST("bump", store_prepare, bump_setup, call_run, step_run, bump_check),
    STORE_MIDST("push", store_prepare, push_setup, call_run, step_run, push_check),
    {.name = "rivals",
     .prepare = store_prepare,
     .setup = rivals_setup,
     .body = {call_commit, commit_its_often, commit_its_often, commit_its_often},
     .check = rivals_check,
     .teardown = store_teardown,
     .count = 2000,
     .memory = SCHEDULE_SC},
    ALONE("rise", rise_setup, rise_ask, NULL),
    STORE_MIDST("snapshot", store_prepare, snapshot_setup, call_run, snapshot_take, NULL),
    {0},
};
