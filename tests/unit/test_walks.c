/* SPDX-License-Identifier: MIT
 *
 * The walks of check level 2 (store/check.h) stop at each kind of damage, and at a whole store they
 * do not. Damage is done in a child, which is to end by an assertion.
 */
#include "support/inside.h"

#include "queue/job.h"
#include "queue/queue.h"
#include "store/partition.h"
#include "support/child.h"

static lki_store *
store_of(kit *k)
{
    return k->db->state;
}

static lki_partition *
partition_of(kit *k, const char *pk)
{
    lki_partition *partition = lki_partition_find(store_of(k), lk_string(pk));
    assert_non_null(partition);
    return partition;
}

static lki_queue *
queue_of(kit *k)
{
    return lki_load_acquire(&partition_of(k, "q")->queue);
}

static lki_segment *
segment_of(kit *k)
{
    return lki_load_acquire(&queue_of(k)->tail);
}

/* Items short and long, with expiry and lock; jobs pushed, claimed, released, done, with a key. */
static void
store_fill(kit *k)
{
    static char data[2000] = "data";
    for (uint64_t i = 0; i < 200; i++) {
        lk_item item = {.key = lkc_numbered("p", i),
                        .data = {data, i % 7 == 0 ? sizeof data : (size_t)i},
                        .expires_at_ms = i % 3 == 0 ? KIT_START_MS + 1 : 0};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
        assert_status(LK_OK, i % 2 == 0 ? lk_set(k->db, &item, 1) : LK_OK);
        assert_status(LK_OK, i % 5 == 0 ? lk_delete(k->db, &item.key, 1) : LK_OK);
    }
    kit_set(k, "p", "locked", "data");
    kit_set(k, "p", "s", "data");
    (void)kit_lock(k, kit_key("p", "locked"));
    lk_item job = {.key = lk_key_of("q", NULL), .data = lk_string("job")};
    for (int i = 0; i < 600; i++)
        assert_status(LK_OK, lk_queue_push(k->db, &job, 1, NULL, NULL));
    job.key.sk = lk_string("keyed");
    assert_status(LK_OK, lk_queue_push(k->db, &job, 1, NULL, NULL));
    lk_pull_options pull = {.pk = lk_string("q"), .visibility_ms = 1000, .max_jobs = 4};
    assert_status(LK_OK, lk_queue_pull(k->db, &pull, k->result));
    assert_int_equal(lk_result_count(k->result), 4);
    const lk_claim *claims = lk_result_claim(k->result, 0);
    assert_status(LK_OK, lk_queue_acknowledge(k->db, claims, 1));
    assert_status(LK_OK, lk_queue_release(k->db, claims + 1, 0));
    assert_status(LK_OK, lk_queue_release(k->db, claims + 2, 5000));
    kit_advance(k, 2);
}

/* ---- damage ---- */

static void
cell_has_another_hash(kit *k)
{
    inside_cell(k, kit_key("p", "s"))->hash++;
}

static void
cell_has_another_partition(kit *k)
{
    inside_cell(k, kit_key("p", "s"))->bytes[0]++;
}

static void
cell_is_dead_in_the_set(kit *k)
{
    lki_store_relaxed(&inside_cell(k, kit_key("p", "s"))->item, LKI_DEAD);
}

static void
record_outgrows_its_cell(kit *k)
{
    lki_cell *cell = inside_cell(k, kit_key("p", "s"));
    lki_cell_record(cell)->size = 100000;
}

static void
room_is_free_and_used(kit *k)
{
    (void)lki_or_seq_cst(lki_cell_flags(inside_cell(k, kit_key("p", "s"))), LKI_CELL_ROOM);
}

static void
stamp_is_ahead_of_the_clock(kit *k)
{
    lki_record *record = lki_cell_record(inside_cell(k, kit_key("p", "s")));
    lki_store_relaxed(&record->word, lki_load_relaxed(&store_of(k)->clock) + 1);
}

static void
index_counts_one_more(kit *k)
{
    partition_of(k, "p")->index.count++;
}

static void
partition_is_dead_in_the_set(kit *k)
{
    partition_of(k, "p")->dead = true;
}

static void
queue_is_not_its_partitions(kit *k)
{
    lki_store_relaxed(&partition_of(k, "q")->queue, NULL);
}

static void
queue_is_taken_out_and_listed(kit *k)
{
    queue_of(k)->dead = true;
}

static void
claim_is_not_covered(kit *k)
{
    lki_store_relaxed(&queue_of(k)->due, LKI_NEVER);
}

static void
ready_entry_is_gone(kit *k)
{
    lki_thread *thread = inside_thread(k);
    lki_write_enter(thread);
    assert_true(lki_reserve(thread, 8));
    const lki_entry *entry = lki_order_first(&queue_of(k)->ready);
    lk_bytes sk = {lki_entry_key(entry), entry->size};
    assert_true(lki_order_remove(&queue_of(k)->ready, thread, 0, sk, entry->to));
    lki_write_leave(thread);
}

static void
job_before_the_cursor_is_front(kit *k)
{
    lki_segment *segment = segment_of(k);
    lki_store_relaxed(&segment->cursor, segment->capacity);
}

static void
job_beyond_the_reserved_places(kit *k)
{
    lki_segment *segment = segment_of(k);
    lki_store_relaxed(&segment->slots[segment->capacity - 1].word, lki_job_word(LKI_DONE, 0, 0));
}

static void
more_finished_than_done(kit *k)
{
    lki_store_relaxed(&segment_of(k)->finished, segment_of(k)->capacity);
}

static void
cell_is_of_another_slot(kit *k)
{
    lki_segment *segment = segment_of(k);
    segment->slots[0].cell = segment->slots[1].cell;
}

static void
nothing(kit *k)
{
    (void)k;
}

typedef void harm(kit *k);

static void
store_walk(void *context)
{
    harm **damage = context;
    kit k;
    kit_open(&k, NULL);
    store_fill(&k);
    (*damage)(&k);
    (void)freopen("/dev/null", "w", stderr);
    kit_check(&k);
}

/* Does the walk end, in a store with that damage? */
static bool
walk_ends(harm *damage)
{
    return child_ends(store_walk, &damage);
}

static void
test_whole_store_passes(void **state)
{
    (void)state;
    assert_true(walk_ends(nothing));
}

static void
test_each_damage_stops_a_checked_build(void **state)
{
    static harm *const damages[] = {
        cell_has_another_hash,          cell_has_another_partition,     cell_is_dead_in_the_set,
        record_outgrows_its_cell,       room_is_free_and_used,          stamp_is_ahead_of_the_clock,
        index_counts_one_more,          partition_is_dead_in_the_set,   queue_is_not_its_partitions,
        queue_is_taken_out_and_listed,  claim_is_not_covered,           ready_entry_is_gone,
        job_before_the_cursor_is_front, job_beyond_the_reserved_places, more_finished_than_done,
        cell_is_of_another_slot};
    (void)state;
    if (LKI_CHECK < 2)
        skip();
    for (size_t i = 0; i < KIT_COUNT(damages); i++)
        if (walk_ends(damages[i]))
            fail_msg("damage %zu was not seen", i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_store_passes),
        cmocka_unit_test(test_each_damage_stops_a_checked_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
