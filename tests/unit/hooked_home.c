/* SPDX-License-Identifier: MIT
 *
 * A record comes home while others look at it. A key is written twice, so that its record lies
 * apart and the room in its cell can be used again.
 *
 *   a call on the key stops at its n-th access to a shared word, and in its midst the record comes
 *   home; for each n the move home stops at its n-th access, and in its midst a call on the key is
 *   made from beginning to end; for each n
 *
 * Whatever meets, the call says what it would have said alone, no version is lost, nothing is a
 * race, and in the end the memory is what it was.
 */
#include "support/inside.h"
#include "support/meeting.h"

#include "store/head.h"

static struct {
    kit k;
    unsigned long came_home;
    lk_lock lock, pair_lock; /* as the call found them */
    const char *value;       /* of the key, in the end; NULL: gone */
    int64_t expires_at_ms;   /* of what is written apart */
} m;

/* Only where it lies tells. */
static bool
is_home(void)
{
    lki_cell *cell = inside_cell(&m.k, kit_key("p", "k"));
    return cell != NULL && lki_load_acquire(&cell->item) == (uintptr_t)lki_cell_record(cell);
}

/* ---- the call's side ---- */

static void
call_get(void)
{
    assert_true(kit_holds(&m.k, kit_key("p", "k"), "new"));
}

static void
call_get_many(void)
{
    lk_key keys[2] = {kit_key("p", "k"), kit_key("p", "pair")};
    assert_status(LK_OK, lk_get_many(m.k.db, keys, 2, m.k.result));
    assert_true(lkc_is(lk_result_item(m.k.result, 0)->data, "new"));
    assert_true(lkc_is(lk_result_item(m.k.result, 1)->data, "pair"));
}

static void
call_query(void)
{
    lk_query query = {.pk = lk_string("p")};
    assert_status(LK_OK, lk_query_items(m.k.db, &query, m.k.result));
    assert_int_equal(lk_result_count(m.k.result), 2);
    assert_true(lkc_is(lk_result_item(m.k.result, 0)->data, "new"));
}

static void
call_get_lock(void)
{
    assert_true(kit_lock(&m.k, kit_key("p", "k")).version == m.lock.version);
    call_get();
}

static void
call_get_locked(void)
{
    lk_key keys[2] = {kit_key("p", "k"), kit_key("p", "pair")};
    lk_lock locks[2];
    assert_status(LK_OK, lk_get_locked(m.k.db, keys, 2, locks, m.k.result));
    assert_true(locks[0].version == m.lock.version && locks[1].version == m.pair_lock.version);
    assert_true(lkc_is(lk_result_item(m.k.result, 0)->data, "new"));
}

static void
call_set(void)
{
    kit_set(&m.k, "p", "k", "set");
    m.value = "set";
}

/* Under both locks: a record that moved is the same version. */
static void
call_commit(void)
{
    lk_item items[2] = {kit_item("p", "k", "committed"), kit_item("p", "pair", "pair")};
    lk_lock locks[2] = {m.lock, m.pair_lock};
    assert_status(LK_OK, lk_set_atomic(m.k.db, items, 2, locks, 2, NULL));
    assert_true(locks[0].version > m.lock.version);
    m.lock = locks[0];
    m.pair_lock = locks[1];
    m.value = "committed";
}

/* The item is not written: its bytes come with the new version. */
static void
call_bump(void)
{
    assert_status(LK_OK, lk_set_atomic(m.k.db, NULL, 0, &m.lock, 1, NULL));
}

static void
call_delete(void)
{
    lk_key key = kit_key("p", "k");
    assert_status(LK_OK, lk_delete(m.k.db, &key, 1));
    m.lock.version = 0;
    m.value = NULL;
}

static void
call_push(void)
{
    lk_item job = kit_item("p", "k", "job");
    assert_status(LK_OK, lk_queue_push(m.k.db, &job, 1, NULL, NULL));
    m.value = "job";
}

static void (*const calls[])(void) = {call_get,        call_get_many, call_query,  call_get_lock,
                                      call_get_locked, call_set,      call_commit, call_bump,
                                      call_delete,     call_push};

/* ---- the other side ---- */

static void
epochs_pass(lki_thread *thread)
{
    for (int i = 0; i < 3; i++) {
        ck_epoch_begin(&thread->epoch, NULL);
        (void)ck_epoch_poll(&thread->epoch);
        ck_epoch_end(&thread->epoch, NULL);
    }
}

/* The record inside the cell is replaced, and its grace period passes; it is not yet disposed
 * of. */
static void
key_write_apart(void)
{
    lki_thread *thread = inside_thread(&m.k);
    lk_item item = kit_item("p", "k", "new");
    item.expires_at_ms = m.expires_at_ms;
    lk_status status = lk_set(m.k.db, &item, 1);
    lki_write_enter(thread);
    lki_seal(thread);
    lki_leave(thread);
    epochs_pass(thread);
    if (status != LK_OK)
        m.value = "not written";
}

static void
home_come(void)
{
    (void)!lk_sweep(m.k.db, 0, NULL);
    m.came_home += is_home();
}

static void
ready_make(void)
{
    kit_sweep(&m.k);
    lk_key key = kit_key("p", "k");
    (void)!lk_queue_purge(m.k.db, key.pk, NULL);
    assert_status(LK_OK, lk_delete(m.k.db, &key, 1));
    kit_sweep(&m.k);
    kit_set(&m.k, "p", "k", "old and long enough for a lock beside it");
    kit_set(&m.k, "p", "pair", "pair");
    m.lock = kit_lock(&m.k, key);
    m.pair_lock = kit_lock(&m.k, kit_key("p", "pair"));
    kit_set(&m.k, "p", "k", "old");
    kit_sweep(&m.k);
    assert_true(is_home());
    m.value = "new";
}

static void
end_check(void)
{
    kit_sweep(&m.k);
    assert_true(kit_holds(&m.k, kit_key("p", "k"), m.value));
    if (m.lock.version != 0)
        assert_true(kit_lock(&m.k, kit_key("p", "k")).version == m.lock.version);
}

static void
test_call_in_whose_midst_the_record_comes_home(void **state)
{
    (void)state;
    for (size_t c = 0; c < KIT_COUNT(calls); c++)
        MEETING_EACH
        {
            ready_make();
            meeting_do(key_write_apart);
            assert_false(is_home());
            MEETING(home_come, calls[c]());
            end_check();
        }
    print_message("%lu came home in the midst of a call\n", m.came_home);
    assert_true(m.came_home > 100);
}

static void
test_move_home_in_whose_midst_a_call_is_made(void **state)
{
    (void)state;
    for (size_t c = 0; c < KIT_COUNT(calls); c++)
        MEETING_EACH
        {
            ready_make();
            key_write_apart();
            assert_false(is_home());
            MEETING(calls[c], (void)!lk_sweep(m.k.db, 1, NULL));
            end_check();
        }
}

/* Without an epoch of its own: the sweep that it meets is inside a section. */
static void
home_move(void)
{
    lki_reclaim_portion(inside_thread(&m.k), 1000);
    m.came_home += is_home();
}

/* It has expired, and the sweep that looked at it does not take it out, because it has moved: a
 * later one does, though nobody asks for it. */
static void
test_expired_record_that_comes_home_under_the_sweep_is_swept_all_the_same(void **state)
{
    (void)state;
    size_t swept;
    MEETING_EACH
    {
        ready_make();
        m.expires_at_ms = m.k.now_ms + 10;
        meeting_do(key_write_apart);
        m.expires_at_ms = 0;
        assert_false(is_home());
        kit_advance(&m.k, 11);
        MEETING(home_move, assert_status(LK_OK, lk_sweep(m.k.db, 0, &swept)));
        kit_advance(&m.k, 2000);
        for (int i = 0; i < 400; i++)
            kit_set(&m.k, "p", "pair", "pair");
        assert_int_equal(kit_statistics(&m.k).cells, 1);
    }
    print_message("%lu came home in the midst of a sweep\n", m.came_home);
    assert_true(m.came_home > 10);
}

/* P20: a snapshot may need what is before a record whose stamp is above the clock of the seal. */
static void
test_record_that_is_newer_than_the_seal_stays_apart_until_it_is_written_again(void **state)
{
    (void)state;
    ready_make();
    lki_thread *thread = inside_thread(&m.k);
    kit_set(&m.k, "p", "k", "new");
    lki_write_enter(thread);
    lki_seal(thread);
    (void)lki_snapshot(m.k.db->state, thread);
    lki_leave(thread);
    kit_set(&m.k, "p", "k", "newer");
    epochs_pass(thread);
    lki_reclaim_portion(thread, 1000);
    assert_false(is_home());
    assert_true(kit_holds(&m.k, kit_key("p", "k"), "newer"));
    kit_set(&m.k, "p", "k", "newest");
    kit_sweep(&m.k);
    assert_true(is_home());
    m.value = "newest";
    end_check();
}

/* However often it is written, in whatever order, an item costs what it did. */
static void
test_item_that_is_written_often_costs_what_it_did(void **state)
{
    (void)state;
    kit *k = &m.k;
    char text[65] = {0};
    memset(text, 'x', 64);
    for (uint64_t i = 0; i < 1000; i++) {
        lk_item item = {lkc_numbered("many", i), lk_string(text), 0};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
    kit_sweep(k);
    size_t before = atomic_load(&k->memory.bytes), blocks = atomic_load(&k->memory.blocks);
    for (uint64_t n = 0; n < 100000; n++) {
        lk_item item = {lkc_numbered("many", n % 7 == 0 ? n * 31 % 1000 : n % 1000),
                        lk_string(text), 0};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
    kit_sweep(k);
    assert_int_equal(atomic_load(&k->memory.bytes), before);
    assert_int_equal(atomic_load(&k->memory.blocks), blocks);
}

/* ---- */

static int
setup(void **state)
{
    *state = &m.k;
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    kit_open(&m.k, &options);
    m.came_home = 0;
    meeting_open();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        MEETING_TEST(test_call_in_whose_midst_the_record_comes_home),
        MEETING_TEST(test_move_home_in_whose_midst_a_call_is_made),
        MEETING_TEST(test_expired_record_that_comes_home_under_the_sweep_is_swept_all_the_same),
        MEETING_TEST(test_record_that_is_newer_than_the_seal_stays_apart_until_it_is_written_again),
        MEETING_TEST(test_item_that_is_written_often_costs_what_it_did),
    };
    return cmocka_run_group_tests_name("hooked_home", tests, NULL, NULL);
}
