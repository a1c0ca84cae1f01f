/* SPDX-License-Identifier: MIT
 *
 * One of each that src/gdb.py shows; gdb stops in `shown`.
 */
#include <assert.h>
#include <latchkey/latchkey.h>

#include "adapter/handle.h"
#include "queue/queue.h"
#include "store/find.h"

static void
shown(lki_cell *cell, lki_cell *locked, lki_cell *deleted, lki_queue *queue, lki_slot *claimed,
      lki_slot *waiting)
{
    assert(cell != NULL && locked != NULL && deleted != NULL && queue != NULL);
    assert(claimed != NULL && waiting != NULL);
}

static lki_cell *
cell_of(lki_store *store, const char *sk)
{
    lk_key key = {lk_string("users"), lk_string(sk)};
    lki_hashed hashed = lki_hashed_of(&store->secret, &key);
    return lki_find(store, &hashed);
}

int
main(void)
{
    lk_db *db = NULL;
    lk_result *result = lk_result_new();
    lk_lock lock;
    lk_status status = lk_memory_open(NULL, &db);
    const lk_item items[] = {
        {.key = {lk_string("users"), lk_string("alice")}, .data = lk_string("hello")},
        {.key = {lk_string("users"), lk_string("bob")}, .data = lk_string("his \"bytes\"\n")},
        {.key = {lk_string("users"), lk_string("gone")}, .data = lk_string("x")},
    };
    const lk_item jobs[] = {
        {.key.pk = lk_string("mail"), .data = lk_string("first")},
        {.key.pk = lk_string("mail"), .data = lk_string("second")},
    };
    for (int i = 0; status == LK_OK && i < 2; i++)
        status = lk_set(db, items, 3);
    if (status == LK_OK)
        status = lk_get_lock(db, items[1].key, &lock);
    if (status == LK_OK)
        status = lk_delete(db, &items[2].key, 1);
    if (status == LK_OK)
        status = lk_queue_push(db, jobs, 2, NULL, NULL);
    lk_pull_options pull = {.pk = lk_string("mail"), .max_jobs = 1, .visibility_ms = 60000};
    if (status == LK_OK)
        status = lk_queue_pull(db, &pull, result);
    if (status != LK_OK)
        return 1;

    lki_store *store = db->state;
    lki_queue *queue = lki_queues_of(store)->first;
    lki_segment *segment = lki_load_acquire(&queue->head_segment);
    shown(cell_of(store, "alice"), cell_of(store, "bob"), cell_of(store, "gone"), queue,
          &segment->slots[0], &segment->slots[1]);
    lk_result_free(result);
    lk_close(db);
    return 0;
}
