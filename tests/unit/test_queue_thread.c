/* SPDX-License-Identifier: MIT
 *
 * What the queue room keeps of a thread: queues whose descriptors its call has to set right, more
 * of them than have room beside it, without memory, and where the thread ends in the middle of a
 * call.
 */
#include "support/inside.h"

#include <poll.h>
#include <pthread.h>

#include "queue/over.h"

enum { MANY = 5 * LKI_CHANGED_HERE };

static lki_queue_thread *
own_thread(kit *k)
{
    return lki_queue_thread_of(inside_thread(k));
}

static void
test_queues_are_remembered_once_and_kept_in_their_order(void **state)
{
    kit *k = *state;
    static lki_queue queues[MANY];
    lki_queue_thread *thread = own_thread(k);
    for (int again = 0; again < 2; again++)
        for (size_t i = 0; i < MANY; i++)
            assert_true(lki_queue_thread_remember(thread, &queues[i]));
    assert_int_equal(thread->store.pending, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        assert_ptr_equal(lki_queue_thread_changed(thread, i), &queues[i]);
    thread->store.pending = 0; /* these queues are none that a call could set right */
}

static void
test_without_memory_what_is_remembered_stays(void **state)
{
    kit *k = *state;
    static lki_queue queues[LKI_CHANGED_HERE + 1];
    lki_queue_thread *thread = own_thread(k);
    for (size_t i = 0; i < LKI_CHANGED_HERE; i++)
        assert_true(lki_queue_thread_remember(thread, &queues[i]));
    kit_memory_fail(&k->memory, 1, true);
    assert_false(lki_queue_thread_remember(thread, &queues[LKI_CHANGED_HERE]));
    assert_true(lki_queue_thread_remember(thread, &queues[0]));
    kit_memory_fail(&k->memory, 0, false);
    assert_int_equal(thread->store.pending, LKI_CHANGED_HERE);
    assert_true(lki_queue_thread_remember(thread, &queues[LKI_CHANGED_HERE]));
    thread->store.pending = 0;
}

/* ---- a thread ends in the middle of a call, as by pthread_exit in a signal's handler ---- */

static void *
remember_and_end(void *argument)
{
    kit *k = argument;
    lki_store *store = k->db->state;
    lki_thread *thread = &own_thread(k)->store.thread;
    lki_enter(thread);
    lki_queue *queue = lki_queue_find(store, (lk_bytes){"q", 1});
    assert_non_null(queue);
    lki_queue_remember_change(queue, thread);
    lki_leave(thread);
    return NULL;
}

static void *
use(void *argument)
{
    kit *k = argument;
    kit_set(k, "p", "s", "data");
    assert_int_equal(own_thread(k)->store.pending, 0);
    return NULL;
}

static bool
is_readable(int fd)
{
    struct pollfd of = {.fd = fd, .events = POLLIN};
    return poll(&of, 1, 0) == 1;
}

static void
test_what_an_ended_thread_remembered_makes_the_descriptor_readable(void **state)
{
    kit *k = *state;
    lk_bytes q = {"q", 1};
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    pull.pk = q;
    pthread_t thread;
    int fd;
    assert_status(LK_OK, lk_queue_fd(k->db, q, &fd));
    assert_false(is_readable(fd));
    assert_int_equal(pthread_create(&thread, NULL, remember_and_end, k), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(is_readable(fd)); /* for who looks: perhaps in vain */
    assert_status(LK_EMPTY, lk_queue_pull(k->db, &pull, k->result));
    assert_false(is_readable(fd));
    assert_int_equal(pthread_create(&thread, NULL, use, k), 0); /* gets the same record */
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_queues_are_remembered_once_and_kept_in_their_order),
        KIT_TEST(test_without_memory_what_is_remembered_stays),
        KIT_TEST(test_what_an_ended_thread_remembered_makes_the_descriptor_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
