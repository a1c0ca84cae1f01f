/* SPDX-License-Identifier: MIT
 *
 * The adapter for LMDB where there is no room, and where there is much: a map that is full, for
 * every kind of write; disks that fail or are full (the system's calls that LMDB writes with are
 * replaced here); more jobs than one transaction moves.
 */
#define _GNU_SOURCE /* fallocate */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "support/lmdb_checked.h"

/* ---- a disk that fails ---- */

/* LMDB writes pages with pwrite and writev, the page that makes a commit valid with a short pwrite,
 * and flushes with fdatasync. 0: works; else the errno of the next such call, once. */
static int fail_page, fail_meta, fail_flush;
/* Of so many pages that are written or allocated from now on; -1: any number. A write that does not
 * fit is shortened, as a full disk does. */
static ssize_t room = -1;
/* How often pages were flushed, and short writes made that wait for the disk. */
static unsigned flushes, waiting_metas;

static int
taken(int *fault)
{
    int code = *fault;
    *fault = 0;
    return code;
}

/* How much of a write fits. 0: nothing, and errno says so. */
static size_t
room_take(size_t size)
{
    if (room < 0 || size < 4096)
        return size;
    size_t fits = size / 4096 > (size_t)room ? (size_t)room * 4096 : size;
    room -= (ssize_t)(fits / 4096);
    if (fits == 0)
        errno = ENOSPC;
    return fits;
}

int
fallocate(int fd, int mode, off_t at, off_t size)
{
    (void)fd, (void)mode, (void)at;
    if (room >= 0 && size / 4096 > room) {
        errno = ENOSPC;
        return -1;
    }
    return 0;
}

ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    int code = taken(size < 4096 ? &fail_meta : &fail_page);
    if (code != 0) {
        errno = code;
        return -1;
    }
    waiting_metas += size < 4096 && (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
    struct iovec part = {(void *)(uintptr_t)bytes, room_take(size)};
    return part.iov_len != 0 ? pwritev(fd, &part, 1, at) : -1;
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
    int code = taken(&fail_page);
    if (code != 0) {
        errno = code;
        return -1;
    }
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        size_t size = room_take(parts[i].iov_len);
        ssize_t done = size != 0 ? write(fd, parts[i].iov_base, size) : -1;
        if (done < 0)
            return sum > 0 ? sum : done;
        sum += done;
        if ((size_t)done < parts[i].iov_len)
            break;
    }
    return sum;
}

int
fdatasync(int fd)
{
    int code = taken(&fail_flush);
    if (code != 0) {
        errno = code;
        return -1;
    }
    flushes++;
    return fsync(fd);
}

static void
rig_sync(lmdb_rig *r, lk_lmdb_sync sync)
{
    lmdb_close(r);
    r->options.sync = sync;
    lmdb_open(r);
}

static void
test_commit_waits_for_the_disk_as_was_asked(void **state)
{
    lmdb_rig *r = *state;
    static const struct {
        lk_lmdb_sync sync;
        unsigned flushes, metas;
    } wanted[] = {
        {LK_LMDB_SYNC_COMMIT, 1, 1}, {LK_LMDB_SYNC_LATER, 1, 0}, {LK_LMDB_SYNC_NEVER, 0, 0}};
    for (size_t i = 0; i < KIT_COUNT(wanted); i++) {
        rig_sync(r, wanted[i].sync);
        for (int k = 0; k < 3; k++) {
            flushes = waiting_metas = 0;
            kit_set(&r->k, "p", "s", "x");
            assert_int_equal(flushes, wanted[i].flushes);
            assert_int_equal(waiting_metas, wanted[i].metas);
        }
    }
    flushes = 0;
    lmdb_close(r);
    assert_true(flushes > 0); /* also where no commit waited */
    lmdb_open(r);
}

static void
test_disk_error_before_the_end_of_a_commit_writes_nothing(void **state)
{
    lmdb_rig *r = *state;
    static const struct {
        int error;
        int *fault;
        lk_status wanted;
    } faults[] = {{EIO, &fail_page, LK_UNAVAILABLE},
                  {EIO, &fail_flush, LK_UNAVAILABLE},
                  {ENOSPC, &fail_page, LK_NO_MEMORY},
                  {EDQUOT, &fail_page, LK_NO_MEMORY},
                  {ENOSPC, &fail_flush, LK_NO_MEMORY}};
    rig_sync(r, LK_LMDB_SYNC_COMMIT);
    kit_set(&r->k, "p", "s", "before");
    jobs_push(&r->k, "q", "1", "job");
    for (size_t i = 0; i < KIT_COUNT(faults); i++) {
        lk_item item = kit_item("p", "s", "after");
        lk_lock lock = kit_lock(&r->k, item.key), was = lock;
        lk_pull_options pull = {.pk = lk_string("q")};
        *faults[i].fault = faults[i].error;
        assert_status(faults[i].wanted, lk_set(r->k.db, &item, 1));
        *faults[i].fault = faults[i].error;
        assert_status(faults[i].wanted, lk_set_atomic(r->k.db, &item, 1, &lock, 1, NULL));
        assert_memory_equal(&lock, &was, sizeof lock);
        *faults[i].fault = faults[i].error;
        assert_status(faults[i].wanted, lk_queue_pull(r->k.db, &pull, r->k.result));
        assert_int_equal(*faults[i].fault, 0);
        assert_true(kit_holds(&r->k, item.key, "before"));
        assert_depths(&r->k, "q", 1, 0, 0);
        assert_status(LK_OK, lk_set_atomic(r->k.db, NULL, 0, &lock, 1, NULL));
        assert_true(lock.version > was.version);
    }
    lmdb_reopen(r, 0);
    assert_true(kit_holds(&r->k, lk_key_of("p", "s"), "before"));
    assert_pull(&r->k, "q", "job", NULL);
}

static void
test_disk_error_at_the_end_of_a_commit_is_unknown(void **state)
{
    lmdb_rig *r = *state;
    static const lk_lmdb_sync syncs[] = {LK_LMDB_SYNC_COMMIT, LK_LMDB_SYNC_LATER,
                                         LK_LMDB_SYNC_NEVER};
    for (size_t i = 0; i < KIT_COUNT(syncs); i++) {
        lk_item items[2] = {kit_item("p", "s", "after"), kit_item("p", "t", "after")};
        rig_sync(r, syncs[i]);
        kit_set(&r->k, "p", "s", "before");
        kit_set(&r->k, "p", "t", "before");
        fail_meta = EIO;
        assert_status(LK_UNKNOWN, lk_set(r->k.db, items, 2));
        assert_status(LK_UNAVAILABLE, lk_set(r->k.db, items, 2));
        assert_status(LK_UNAVAILABLE, lk_get(r->k.db, items[0].key, r->k.result));
        lmdb_reopen(r, 0);
        bool after = kit_holds(&r->k, items[0].key, "after");
        assert_true(after || kit_holds(&r->k, items[0].key, "before"));
        assert_true(kit_holds(&r->k, items[1].key, after ? "after" : "before"));
    }
}

/* ---- a disk that is full ---- */

static off_t
file_size(const lmdb_rig *r)
{
    struct stat about;
    assert_int_equal(stat(lmdb_path(r->folder, "data.mdb"), &about), 0);
    return about.st_size;
}

/* Whether no page is written any more, or some of a write, and whatever its size. */
static void
test_full_disk_is_no_memory_and_gets_back_what_was_written(void **state)
{
    lmdb_rig *r = *state;
    static const size_t sizes[] = {10, 5000, 100000, 3 << 20};
    char *data = calloc(1, (size_t)3 << 20);
    kit_set(&r->k, "p", "s", "before");
    jobs_push(&r->k, "q", "1", "job");
    off_t size = file_size(r);
    int64_t added = 0;
    for (size_t i = 0; i < KIT_COUNT(sizes); i++) {
        for (ssize_t pages = 0; pages < 12; pages++) {
            lk_item item = {lk_key_of("p", "s"), {data, sizes[i]}, 0};
            lk_push_options options = {.delay_ms = 5};
            room = pages;
            lk_status status = lk_set(r->k.db, &item, 1);
            room = pages;
            item.key.pk = lk_string("q");
            lk_status pushed = lk_queue_push(r->k.db, &item, 1, &options, NULL);
            int64_t sum = added;
            room = pages;
            lk_status counted = lk_add(r->k.db, lk_key_of("p", "sum"), 1, 0, &sum);
            room = -1;
            assert_true(status == LK_NO_MEMORY || (pages >= 2 && status == LK_OK));
            assert_true(pushed == LK_NO_MEMORY || (pages >= 2 && pushed == LK_OK));
            assert_true(counted == LK_NO_MEMORY || (pages >= 2 && counted == LK_OK));
            added += counted == LK_OK;
            assert_int_equal(sum, added);
            if (status == LK_OK)
                kit_set(&r->k, "p", "s", "before");
            if (pushed == LK_OK)
                assert_status(LK_OK, lk_delete(r->k.db, &item.key, 1));
            if (status == LK_NO_MEMORY && pushed == LK_NO_MEMORY && counted == LK_NO_MEMORY)
                assert_true(file_size(r) <= size);
            size = file_size(r);
            assert_true(kit_holds(&r->k, lk_key_of("p", "s"), "before"));
        }
    }
    free(data);
    lmdb_reopen(r, 0);
    assert_true(kit_holds(&r->k, lk_key_of("p", "s"), "before"));
    assert_pull(&r->k, "q", "job", NULL);
}

/* With any number of pages for the files of a new database, and a missing table of readers. */
static void
test_open_on_a_full_disk_is_no_memory_until_there_is_room(void **state)
{
    lmdb_rig *r = *state;
    for (int there = 0; there < 2; there++) {
        for (ssize_t pages = 0; pages < 24; pages++) {
            lmdb_close(r);
            unlink(lmdb_path(r->folder, "lock.mdb"));
            if (there == 0)
                unlink(lmdb_path(r->folder, "data.mdb"));
            room = pages;
            lk_status status = lmdb_try_open(r);
            room = -1;
            assert_true(status == LK_NO_MEMORY || (pages >= 3 && status == LK_OK));
            lmdb_open(r);
            if (there == 1)
                assert_true(kit_holds(&r->k, lk_key_of("p", "s"), "x"));
            kit_set(&r->k, "p", "s", "x");
        }
    }
}

/* ---- a map that is full ---- */

enum { FILL_SIZE = 3000 };

static void
rig_shrink(lmdb_rig *r, size_t map_size)
{
    lmdb_close(r);
    r->options.map_size = map_size;
    lmdb_open(r);
}

/* Sets items until one does not fit; how many did. */
static uint64_t
map_fill(lmdb_rig *r)
{
    char data[FILL_SIZE];
    uint64_t count = 0;
    lk_status status = LK_OK;
    memset(data, 'f', sizeof data);
    for (; status == LK_OK; count += status == LK_OK) {
        lk_item item = {lkc_numbered("fill", count), {data, sizeof data}, 0};
        status = lk_set(r->k.db, &item, 1);
    }
    assert_status(LK_NO_MEMORY, status);
    assert_true(count > 10);
    return count;
}

static void
test_full_map_says_so_and_the_store_goes_on(void **state)
{
    lmdb_rig *r = *state;
    rig_shrink(r, (size_t)1 << 20);
    kit_set(&r->k, "p", "s", "x");
    uint64_t count = map_fill(r);
    assert_true(kit_holds(&r->k, lkc_numbered("fill", count), NULL));
    for (int round = 0; round < 20; round++) {
        lk_key key = lkc_numbered("fill", (uint64_t)round);
        assert_status(LK_OK, lk_delete(r->k.db, &key, 1));
        kit_set(&r->k, "p", "s", round % 2 == 0 ? "y" : "z");
    }
    assert_true(map_fill(r) >= 10);
    lmdb_reopen(r, 0);
    assert_true(kit_holds(&r->k, lk_key_of("p", "s"), "z"));
    rig_shrink(r, (size_t)4 << 20); /* which is more */
    assert_true(map_fill(r) > 2 * count);
    lk_query query = {.pk = lk_string("fill")};
    assert_status(LK_OK, lk_query_items(r->k.db, &query, r->k.result));
    assert_true(lk_result_count(r->k.result) > 2 * count);
}

/* Keys and times are scattered, so a batch of either needs more pages than a full map has left. */
static void
test_full_map_is_swept_and_purged(void **state)
{
    lmdb_rig *r = *state;
    char data[130] = {0};
    lk_status status = LK_OK;
    size_t items = 0, jobs = 0, out;
    rig_shrink(r, (size_t)4 << 20);
    for (uint64_t i = 0; status == LK_OK; i++) {
        lk_item item = {lkc_numbered("p", i * 7919 % 100003),
                        {data, sizeof data},
                        KIT_START_MS + 10 + (int64_t)(i % 50)};
        status = lk_set(r->k.db, &item, 1);
        items += status == LK_OK;
        item.key.pk = lk_string("q");
        item.expires_at_ms = 0;
        if (status == LK_OK)
            status = lk_queue_push(r->k.db, &item, 1, NULL, NULL);
        jobs += status == LK_OK;
    }
    assert_status(LK_NO_MEMORY, status);
    kit_advance(&r->k, 100);
    assert_status(LK_OK, lk_sweep(r->k.db, 0, &out));
    assert_int_equal(out, items);
    assert_status(LK_OK, lk_queue_purge(r->k.db, lk_string("q"), &out));
    assert_int_equal(out, jobs);
    assert_int_equal(kit_statistics(&r->k).cells, 0);
}

/* Each kind of write, of more than there is room for: nothing of it is there afterwards. */
static void
test_full_map_leaves_no_half_of_any_write(void **state)
{
    lmdb_rig *r = *state;
    static picture before, after;
    static const char *const pks[] = {"p", "q", "dead"};
    size_t size = (size_t)2 << 20;
    char *data = calloc(1, size);
    rig_shrink(r, (size_t)1 << 20);
    lk_item small = kit_item("p", "a", "new"), big = {lk_key_of("p", "b"), {data, size}, 0};
    lk_item both[2] = {small, big};
    lk_item jobs[2] = {kit_item("q", "1", "new"), {lk_key_of("q", "2"), {data, size}, 0}};
    kit_set(&r->k, "p", "a", "old");
    jobs_push(&r->k, "q", "0", "old");
    lk_lock lock = kit_lock(&r->k, small.key), was = lock;
    job held;
    assert_pull(&r->k, "q", "old", &held);
    picture_take(&r->k, pks, 3, &before);
    lk_write writes[4] = {{.kind = LK_ACKNOWLEDGE, .claim = &held.claim},
                          {.kind = LK_PUT, .item = small},
                          {.kind = LK_PUSH, .item = jobs[0]},
                          {.kind = LK_PUT, .item = big}};
    lk_write puts[4] = {{.kind = LK_RELEASE, .claim = &held.claim, .delay_ms = 5},
                        {.kind = LK_TOUCH, .item = kit_item("p", "a", "")},
                        {.kind = LK_ADD, .item = kit_item("p", "n", ""), .delta = 7},
                        {.kind = LK_PUT, .item = big, .condition = LK_IF_ABSENT}};
    puts[1].item.expires_at_ms = KIT_START_MS + 1;
    assert_status(LK_NO_MEMORY, lk_commit(r->k.db, puts, 4, &lock, 1, NULL));
    assert_status(LK_NO_MEMORY, lk_put_if(r->k.db, &big, LK_IF_ABSENT, big.data));
    assert_status(LK_NO_MEMORY, lk_set(r->k.db, both, 2));
    assert_status(LK_NO_MEMORY, lk_set_atomic(r->k.db, both, 2, &lock, 1, NULL));
    assert_status(LK_NO_MEMORY, lk_queue_push(r->k.db, jobs, 2, NULL, r->k.result));
    assert_status(LK_NO_MEMORY, lk_commit(r->k.db, writes, 4, &lock, 1, NULL));
    assert_memory_equal(&lock, &was, sizeof lock);
    picture_take(&r->k, pks, 3, &after);
    assert_true(picture_equals(&before, &after));
    assert_held(&r->k, &held);
    assert_status(LK_OK, lk_commit(r->k.db, writes, 3, &lock, 1, NULL));
    assert_true(kit_holds(&r->k, small.key, "new"));
    free(data);
}

static void
test_map_that_is_too_small_to_begin_with_is_no_memory(void **state)
{
    lmdb_rig *r = *state;
    lmdb_close(r);
    unlink(lmdb_path(r->folder, "data.mdb"));
    unlink(lmdb_path(r->folder, "lock.mdb"));
    fail_page = ENOSPC;
    assert_status(LK_NO_MEMORY, lmdb_try_open(r));
    fail_page = 0;
    r->options.map_size = 1;
    lk_status status = lmdb_try_open(r); /* a map has 64 KiB at least */
    assert_true(status == LK_OK || status == LK_NO_MEMORY);
    r->options.map_size = (size_t)1 << 20;
    lmdb_open(r);
    kit_set(&r->k, "p", "s", "x");
}

/* ---- more than one transaction moves ---- */

enum { MANY = 9000 };

static void
jobs_push_many(lmdb_rig *r, size_t count, int64_t delay_ms)
{
    lk_push_options options = {.delay_ms = delay_ms};
    assert_status(LK_OK, jobs_try_push_batch(&r->k, "q", 0, count, &options, NULL));
}

static void
test_many_that_are_due_at_once_come_in_order(void **state)
{
    lmdb_rig *r = *state;
    lk_pull_options pull = {.pk = lk_string("q"), .max_jobs = MANY, .visibility_ms = 100};
    jobs_push_many(r, MANY, 50);
    assert_empty(&r->k, "q");
    kit_advance(&r->k, 50);
    for (int round = 0; round < 2; round++) { /* delays that are over; claims that have lapsed */
        assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
        assert_int_equal(lk_result_count(r->k.result), MANY);
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(job_number(lk_result_item(r->k.result, i)), i);
        kit_advance(&r->k, 101);
    }
    pull.max_jobs = 1;
    assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
    assert_int_equal(job_number(lk_result_item(r->k.result, 0)), 0);
    assert_int_equal(lk_result_claim(r->k.result, 0)->receives, 3);
    assert_in_range(lkc_stats(r->k.db, "q").lapses, MANY + 1000, MANY + 5000);
    pull.max_jobs = MANY;
    assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
    assert_int_equal(lk_result_count(r->k.result), MANY - 1);
    assert_int_equal(lkc_stats(r->k.db, "q").lapses, 2 * MANY);
}

/* Pulls until nothing is left; how often. Each takes a portion out of the queue, and not much
 * more. */
static size_t
pulls_of_portions(lmdb_rig *r, size_t least, size_t most)
{
    size_t pulls = 0;
    lk_pull_options pull = {.pk = lk_string("q"), .max_receives = 1, .dead_pk = lk_string("dead")};
    for (size_t items = jobs_items(&r->k, "q"); items != 0; pulls++) {
        assert_status(LK_EMPTY, lk_queue_pull(r->k.db, &pull, r->k.result));
        size_t left = jobs_items(&r->k, "q"), out = items - left;
        assert_true(out <= most && (out >= least || left == 0));
        items = left;
    }
    return pulls;
}

static void
test_many_that_were_received_too_often_are_buried_in_portions(void **state)
{
    lmdb_rig *r = *state;
    lk_pull_options pull = {.pk = lk_string("q"), .max_jobs = MANY};
    jobs_push_many(r, MANY, 0);
    assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
    kit_advance(&r->k, LK_HOURS(1));
    assert_true(pulls_of_portions(r, 1000, 5000) > 1);
    assert_depths(&r->k, "q", 0, 0, 0);
    assert_depths(&r->k, "dead", MANY, 0, 0);
    assert_int_equal(lkc_stats(r->k.db, "q").dead, MANY);
    pull.pk = lk_string("dead");
    assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(job_number(lk_result_item(r->k.result, i)), i);
}

static void
test_many_that_have_expired_go_in_portions(void **state)
{
    lmdb_rig *r = *state;
    static lk_item jobs[MANY];
    for (size_t i = 0; i < MANY; i++)
        jobs[i] = (lk_item){lk_key_of("q", NULL), lk_string("x"), KIT_START_MS + 10};
    assert_status(LK_OK, lk_queue_push(r->k.db, jobs, MANY, NULL, NULL));
    jobs_push(&r->k, "q", NULL, "stays");
    kit_advance(&r->k, 11);
    lk_pull_options pull = {.pk = lk_string("q")};
    lk_status status = LK_EMPTY;
    uint64_t swept = 0;
    for (int pulls = 0; status == LK_EMPTY; pulls++) {
        assert_true(pulls < MANY / 2000 + 1);
        status = lk_queue_pull(r->k.db, &pull, r->k.result);
        uint64_t now = kit_statistics(&r->k).expired_swept;
        assert_true(now - swept <= 5000 && (now - swept >= 2000 || status == LK_OK));
        swept = now;
    }
    assert_status(LK_OK, status);
    assert_true(lk_result_item(r->k.result, 0)->expires_at_ms == 0);
}

/* Who waits goes through all portions. */
static void
test_wait_goes_on_where_a_pull_without_is_empty(void **state)
{
    lmdb_rig *r = *state;
    lk_pull_options pull = {.pk = lk_string("q"), .max_jobs = MANY};
    jobs_push_many(r, MANY, 0);
    assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
    kit_advance(&r->k, LK_HOURS(1));
    jobs_push(&r->k, "q", NULL, "good");
    pull = (lk_pull_options){
        .pk = lk_string("q"), .max_receives = 1, .dead_pk = lk_string("dead"), .wait_ms = -1};
    assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
    assert_int_equal(lk_result_claim(r->k.result, 0)->receives, 1);
    assert_int_equal(jobs_items(&r->k, "dead"), MANY);
}

/* More is due than a portion: the job that was visible before does not overtake what came due, and
 * neither do those of a later time. */
static void
test_portion_of_what_is_due_is_not_overtaken(void **state)
{
    lmdb_rig *r = *state;
    enum { AT_ONCE = 1000 };
    jobs_push(&r->k, "q", "99999999", "visible all along");
    jobs_push_many(r, MANY, 50);
    kit_advance(&r->k, 50);
    lk_pull_options pull = {.pk = lk_string("q"), .max_jobs = AT_ONCE};
    size_t pulled = 0;
    for (; pulled < MANY; pulled += lk_result_count(r->k.result)) {
        assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
        for (size_t i = 0; i < lk_result_count(r->k.result) && pulled + i < MANY; i++)
            assert_int_equal(job_number(lk_result_item(r->k.result, i)), pulled + i);
    }
    if (pulled == MANY)
        assert_pull(&r->k, "q", "visible all along", NULL);
    else
        assert_int_equal(pulled, MANY + 1);
}

/* Transactions are cut by bytes too: all of a call's pages are in memory until its commit. */
static void
test_large_ones_are_buried_in_several_transactions(void **state)
{
    lmdb_rig *r = *state;
    enum { LARGE = 100 };
    size_t size = (size_t)1 << 20;
    lk_item large = {lk_key_of("q", NULL), {calloc(1, size), size}, 0};
    lk_pull_options pull = {.pk = lk_string("q"), .max_jobs = LARGE};
    for (int i = 0; i < LARGE; i++)
        assert_status(LK_OK, lk_queue_push(r->k.db, &large, 1, NULL, NULL));
    assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
    kit_advance(&r->k, LK_HOURS(1));
    rig_sync(r, LK_LMDB_SYNC_LATER);
    flushes = 0;
    assert_status(LK_EMPTY, jobs_pull_once(&r->k, "q", "dead"));
    assert_in_range(flushes, LARGE / 32, LARGE);
    assert_depths(&r->k, "dead", LARGE, 0, 0);
    free((void *)(uintptr_t)large.data.data);
}

static void
test_purge_and_sweep_of_many_take_all(void **state)
{
    lmdb_rig *r = *state;
    size_t out = 0;
    kit_set(&r->k, "q", "item", "stays");
    jobs_push_many(r, MANY, 0);
    assert_status(LK_OK, lk_queue_purge(r->k.db, lk_string("q"), &out));
    assert_int_equal(out, MANY);
    assert_int_equal(jobs_items(&r->k, "q"), 1);
    for (uint64_t i = 0; i < MANY; i++) {
        lk_item item = {lkc_numbered("p", i), lk_string("x"), KIT_START_MS + 10};
        assert_status(LK_OK, lk_set(r->k.db, &item, 1));
    }
    kit_advance(&r->k, 11);
    assert_status(LK_OK, lk_sweep(r->k.db, 1000, &out));
    assert_true(out >= 1000 && out < 1100);
    size_t rest = 0;
    assert_status(LK_OK, lk_sweep(r->k.db, 0, &rest));
    assert_int_equal(out + rest, MANY);
    assert_int_equal(kit_statistics(&r->k).cells, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LMDB_TEST(test_commit_waits_for_the_disk_as_was_asked),
        LMDB_TEST(test_disk_error_before_the_end_of_a_commit_writes_nothing),
        LMDB_TEST(test_disk_error_at_the_end_of_a_commit_is_unknown),
        LMDB_TEST(test_full_disk_is_no_memory_and_gets_back_what_was_written),
        LMDB_TEST(test_open_on_a_full_disk_is_no_memory_until_there_is_room),
        LMDB_TEST(test_full_map_says_so_and_the_store_goes_on),
        LMDB_TEST(test_full_map_is_swept_and_purged),
        LMDB_TEST(test_full_map_leaves_no_half_of_any_write),
        LMDB_TEST(test_map_that_is_too_small_to_begin_with_is_no_memory),
        LMDB_TEST(test_many_that_are_due_at_once_come_in_order),
        LMDB_TEST(test_many_that_were_received_too_often_are_buried_in_portions),
        LMDB_TEST(test_many_that_have_expired_go_in_portions),
        LMDB_TEST(test_wait_goes_on_where_a_pull_without_is_empty),
        LMDB_TEST(test_portion_of_what_is_due_is_not_overtaken),
        LMDB_TEST(test_large_ones_are_buried_in_several_transactions),
        LMDB_TEST(test_purge_and_sweep_of_many_take_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
