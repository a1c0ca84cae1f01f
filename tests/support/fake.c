/* SPDX-License-Identifier: MIT
 *
 * See fake.h.
 */
#include "support/fake.h"

#include "adapter/pass.h"

static lk_status
noted(void *state, char letter)
{
    fake *f = state;
    size_t length = strlen(f->order);
    if (length + 1 < sizeof f->order)
        f->order[length] = letter;
    f->calls++;
    return f->answer;
}

/* ---- operations ---- */

static void
fake_close(void *state)
{
    ((fake *)state)->closes++;
}

static lk_status
fake_get(void *state, lk_key key, lk_result *result)
{
    lk_status status = noted(state, 'g');
    lk_item item = {.key = key, .data = ((fake *)state)->data};
    lk_result_draft(result);
    if (status == LK_OK)
        status = lk_result_add(result, &item);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

static lk_status
fake_set(void *state, const lk_item *items, size_t count)
{
    (void)items, (void)count;
    return noted(state, 'x');
}

static lk_status
fake_remove(void *state, const lk_key *keys, size_t count)
{
    (void)keys, (void)count;
    return noted(state, 'x');
}

static lk_status
fake_get_into(void *state, lk_key key, void *buffer, size_t capacity, size_t *size)
{
    (void)key, (void)buffer, (void)capacity, (void)size;
    return noted(state, 'x');
}

static lk_status
fake_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    lk_status status = noted(state, 'm');
    lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        lk_item item = {.key = keys[i], .data = ((fake *)state)->data};
        status = lk_result_add(result, &item);
    }
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

static lk_status
fake_query(void *state, const lk_page *page, lk_result *result)
{
    fake *f = state;
    lk_status status = noted(f, 'x');
    return f->query != NULL ? f->query(f, page, result) : status;
}

static lk_status
fake_get_lock(void *state, lk_key key, lk_lock *lock)
{
    fake *f = state;
    int turn = f->calls;
    lk_status status = noted(f, 'l');
    (void)key;
    if (f->scripted)
        status = turn < FAKE_SCRIPT ? f->script[turn] : LK_OK;
    if (status == LK_OK) {
        lock->version = 100 + (uint64_t)turn;
        lock->expires_at_ms = 200 + turn;
    }
    return status;
}

static lk_status
fake_get_locked(void *state, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    (void)keys, (void)count, (void)locks, (void)result;
    return noted(state, 'x');
}

static lk_status
commit_noted(void *state, char letter, lk_lock *locks, size_t lock_count, lk_conflict *conflict)
{
    fake *f = state;
    lk_status status = noted(f, letter);
    f->locks = locks;
    f->lock_count = lock_count;
    f->optional_is_null |= conflict == NULL;
    for (size_t i = 0; status == LK_OK && i < lock_count; i++)
        locks[i].version++;
    if (status == LK_RACE && conflict != NULL)
        *conflict = (lk_conflict){1, 77, SIZE_MAX};
    return status;
}

static lk_status
fake_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
            size_t lock_count, lk_conflict *conflict)
{
    fake *f = state;
    f->write_count = write_count;
    for (size_t i = 0; i < write_count && i < FAKE_WRITES; i++)
        f->writes[i] = writes[i];
    return commit_noted(state, 'c', locks, lock_count, conflict);
}

static lk_status
fake_set_atomic(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                size_t lock_count, lk_conflict *conflict)
{
    (void)items;
    ((fake *)state)->write_count = item_count;
    return commit_noted(state, 'a', locks, lock_count, conflict);
}

static lk_status
fake_push(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
          lk_result *pushed)
{
    (void)jobs, (void)count, (void)pushed;
    ((fake *)state)->optional_is_null |= options == NULL;
    return noted(state, 'x');
}

static lk_status
fake_pull(void *state, const lk_pull_options *options, lk_result *result)
{
    (void)options, (void)result;
    return noted(state, 'x');
}

static lk_status
fake_acknowledge(void *state, const lk_claim *claims, size_t count)
{
    (void)claims, (void)count;
    return noted(state, 'x');
}

static lk_status
fake_release(void *state, const lk_claim *claim, int64_t delay_ms)
{
    (void)claim, (void)delay_ms;
    return noted(state, 'x');
}

static lk_status
fake_extend(void *state, lk_claim *claim, int64_t visibility_ms)
{
    (void)claim, (void)visibility_ms;
    return noted(state, 'x');
}

static lk_status
fake_queue_stats(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    (void)pk, (void)stats;
    return noted(state, 'x');
}

static lk_status
fake_queue_purge(void *state, lk_bytes pk, size_t *purged)
{
    (void)pk;
    ((fake *)state)->optional_is_null |= purged == NULL;
    return noted(state, 'x');
}

static lk_status
fake_queue_close(void *state, lk_bytes pk)
{
    (void)pk;
    return noted(state, 'x');
}

static lk_status
fake_queue_fd(void *state, lk_bytes pk, int *fd)
{
    (void)pk, (void)fd;
    return noted(state, 'x');
}

static void
fake_read_mark(void *state)
{
    (void)noted(state, 'r');
}

static lk_status
fake_view(void *state, lk_key key, lk_item *item)
{
    (void)key, (void)item;
    return noted(state, 'x');
}

static lk_status
fake_sweep(void *state, size_t max_items, size_t *swept)
{
    (void)max_items;
    ((fake *)state)->optional_is_null |= swept == NULL;
    return noted(state, 'x');
}

static lk_status
fake_statistics(void *state, lk_statistics *stats)
{
    stats->gets++;
    return noted(state, 'x');
}

static lk_status
fake_put_if(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    (void)item, (void)condition, (void)expected;
    return noted(state, 'x');
}

static lk_status
fake_touch(void *state, const lk_key *key, int64_t expires_at_ms)
{
    (void)key, (void)expires_at_ms;
    return noted(state, 'x');
}

static lk_status
fake_add(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms, int64_t *value)
{
    (void)key, (void)delta, (void)expires_at_ms;
    ((fake *)state)->optional_is_null |= value == NULL;
    return noted(state, 'x');
}

static lk_status
fake_count(void *state, const lk_query *query, size_t *count)
{
    (void)query, (void)count;
    return noted(state, 'n');
}

static lk_status
fake_list_partitions(void *state, lk_position *position, size_t limit, lk_result *result)
{
    (void)position, (void)result;
    ((fake *)state)->optional_is_null |= limit == 0;
    return noted(state, 'x');
}

static lk_status
fake_queue_inspect(void *state, const lk_key *keys, size_t count, lk_job *jobs)
{
    (void)keys, (void)count, (void)jobs;
    return noted(state, 'x');
}

const lk_operations fake_operations = {sizeof fake_operations,
                                       fake_close,
                                       fake_get,
                                       fake_set,
                                       fake_remove,
                                       fake_get_into,
                                       fake_get_many,
                                       fake_query,
                                       fake_get_lock,
                                       fake_get_locked,
                                       fake_commit,
                                       fake_set_atomic,
                                       fake_push,
                                       fake_pull,
                                       fake_acknowledge,
                                       fake_release,
                                       fake_extend,
                                       fake_queue_stats,
                                       fake_queue_purge,
                                       fake_queue_close,
                                       fake_queue_fd,
                                       fake_read_mark,
                                       fake_read_mark,
                                       fake_view,
                                       fake_sweep,
                                       fake_statistics,
                                       NULL, /* no operation by address */
                                       NULL,
                                       NULL,
                                       NULL,
                                       fake_put_if,
                                       fake_touch,
                                       fake_add,
                                       fake_count,
                                       fake_list_partitions,
                                       fake_queue_inspect};

/* ---- handles ---- */

lk_operations
fake_operations_of(uint64_t capabilities)
{
    lk_operations o = fake_operations;
    o.get_into = NULL;
    o.get_locked = NULL;
    o.set_atomic = NULL;
    o.count = NULL;
    lki_operations_trim(&o, capabilities);
    return o;
}

lk_adapter
fake_adapter(fake *state, uint64_t capabilities)
{
    lk_adapter adapter = LK_ADAPTER_INIT;
    adapter.name = "fake";
    adapter.capabilities = capabilities;
    adapter.state = state;
    return adapter;
}

lk_db *
fake_open_with(fake *state, const lk_operations *operations, uint64_t capabilities)
{
    lk_db *db = NULL;
    lk_adapter adapter = fake_adapter(state, capabilities);
    assert_status(LK_OK, lk_adapter_open(operations, &adapter, &db));
    assert_non_null(db);
    return db;
}

lk_db *
fake_open(fake *state, uint64_t capabilities)
{
    lk_operations operations = fake_operations_of(capabilities);
    return fake_open_with(state, &operations, capabilities);
}

/* ---- every call ---- */

static const lk_key key = {{"p", 1}, {"s", 1}};
static const lk_item item = {{{"p", 1}, {"s", 1}}, {"data", 4}, 0};

static lk_status
call_get(fake_rig *r)
{
    return lk_get(r->db, key, r->result);
}

static lk_status
call_get_many(fake_rig *r)
{
    return lk_get_many(r->db, &key, 1, r->result);
}

static lk_status
call_get_into(fake_rig *r)
{
    char buffer[16];
    return lk_get_into(r->db, key, buffer, sizeof buffer, &r->out.size);
}

static lk_status
call_set(fake_rig *r)
{
    return lk_set(r->db, &item, 1);
}

static lk_status
call_delete(fake_rig *r)
{
    return lk_delete(r->db, &key, 1);
}

static lk_status
call_put_if(fake_rig *r)
{
    return lk_put_if(r->db, &item, LK_IF_EQUAL, item.data);
}

static lk_status
call_touch(fake_rig *r)
{
    return lk_touch(r->db, key, 0);
}

static lk_status
call_add(fake_rig *r)
{
    return lk_add(r->db, key, 1, 0, NULL);
}

static lk_status
call_view(fake_rig *r)
{
    return lk_view(r->db, key, &r->out.item);
}

static lk_status
call_get_lock(fake_rig *r)
{
    return lk_get_lock(r->db, key, &r->out.lock);
}

static lk_status
call_get_locked(fake_rig *r)
{
    return lk_get_locked(r->db, &key, 1, &r->out.lock, r->result);
}

static lk_status
call_set_atomic(fake_rig *r)
{
    lk_lock lock = {.key = key, .version = 1};
    return lk_set_atomic(r->db, &item, 1, &lock, 1, NULL);
}

static lk_status
call_commit(fake_rig *r)
{
    lk_write write = {.kind = LK_PUT, .item = item};
    return lk_commit(r->db, &write, 1, NULL, 0, NULL);
}

static lk_status
call_commit_push(fake_rig *r)
{
    lk_write write = {.kind = LK_PUSH, .item = item};
    return lk_commit(r->db, &write, 1, NULL, 0, NULL);
}

static lk_status
call_commit_acknowledge(fake_rig *r)
{
    lk_write write = {.kind = LK_ACKNOWLEDGE, .claim = &r->claim};
    return lk_commit(r->db, &write, 1, NULL, 0, NULL);
}

static lk_status
call_commit_push_later(fake_rig *r)
{
    const lk_push_options options = LK_PUSH_OPTIONS_INIT;
    lk_write write = {.kind = LK_PUSH, .item = item, .push = &options};
    return lk_commit(r->db, &write, 1, NULL, 0, NULL);
}

static lk_status
call_commit_release(fake_rig *r)
{
    lk_write write = {.kind = LK_RELEASE, .claim = &r->claim};
    return lk_commit(r->db, &write, 1, NULL, 0, NULL);
}

static lk_status
call_commit_if(fake_rig *r)
{
    lk_write write = {.kind = LK_DELETE, .item = item, .condition = LK_IF_PRESENT};
    return lk_commit(r->db, &write, 1, NULL, 0, NULL);
}

static lk_status
call_commit_touch(fake_rig *r)
{
    lk_write write = {.kind = LK_TOUCH, .item = item};
    return lk_commit(r->db, &write, 1, NULL, 0, NULL);
}

static lk_status
call_commit_add(fake_rig *r)
{
    lk_write write = {.kind = LK_ADD, .item = item};
    return lk_commit(r->db, &write, 1, NULL, 0, NULL);
}

static lk_status
call_count(fake_rig *r)
{
    lk_query query = {.pk = key.pk};
    return lk_count(r->db, &query, &r->out.size);
}

static lk_status
call_query_range(fake_rig *r)
{
    lk_query query = {.pk = key.pk, .until = key.sk};
    return lk_query_items(r->db, &query, r->result);
}

static lk_status
call_list_partitions(fake_rig *r)
{
    lk_position position = {{0}};
    return lk_list_partitions(r->db, &position, 0, r->result);
}

static lk_status
call_queue_inspect(fake_rig *r)
{
    return lk_queue_inspect(r->db, key, &r->out.job);
}

static lk_status
call_queue_inspect_many(fake_rig *r)
{
    return lk_queue_inspect_many(r->db, &key, 1, &r->out.job);
}

static lk_status
call_query_items(fake_rig *r)
{
    lk_query query = {.pk = key.pk};
    return lk_query_items(r->db, &query, r->result);
}

static lk_status
call_query_page(fake_rig *r)
{
    lk_query query = {.pk = key.pk};
    lk_page page = {&query, false, 10, 10};
    return lk_query_page(r->db, &page, r->result);
}

static lk_status
call_stream(fake_rig *r)
{
    lk_query query = {.pk = key.pk};
    lk_stream *stream = r->stream;
    lk_status status = stream != NULL ? LK_OK : lk_stream_open(r->db, &query, &stream);
    if (status == LK_OK)
        status = lk_stream_next(stream, &r->out.item);
    if (r->stream == NULL)
        lk_stream_close(stream);
    return status;
}

static lk_status
call_push(fake_rig *r)
{
    return lk_queue_push(r->db, &item, 1, NULL, r->result);
}

static lk_status
call_pull(fake_rig *r)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = key.pk;
    return lk_queue_pull(r->db, &options, r->result);
}

static lk_status
call_acknowledge(fake_rig *r)
{
    return lk_queue_acknowledge(r->db, &r->claim, 1);
}

static lk_status
call_release(fake_rig *r)
{
    return lk_queue_release(r->db, &r->claim, 0);
}

static lk_status
call_extend(fake_rig *r)
{
    return lk_queue_extend(r->db, &r->claim, 0);
}

static lk_status
call_queue_stats(fake_rig *r)
{
    return lk_queue_stats(r->db, key.pk, &r->out.queue);
}

static lk_status
call_queue_purge(fake_rig *r)
{
    return lk_queue_purge(r->db, key.pk, NULL);
}

static lk_status
call_queue_close(fake_rig *r)
{
    return lk_queue_close(r->db, key.pk);
}

static lk_status
call_queue_fd(fake_rig *r)
{
    return lk_queue_fd(r->db, key.pk, &r->out.fd);
}

static lk_status
call_sweep(fake_rig *r)
{
    return lk_sweep(r->db, 0, NULL);
}

static lk_status
call_statistics(fake_rig *r)
{
    return lk_statistics_read(r->db, &r->out.statistics);
}

const fake_call fake_calls[] = {
    {"lk_get", call_get, 0},
    {"lk_get_many", call_get_many, LK_HAS_GET_MANY},
    {"lk_get_into", call_get_into, 0},
    {"lk_set", call_set, 0},
    {"lk_delete", call_delete, 0},
    {"lk_put_if", call_put_if, LK_HAS_CONDITIONS},
    {"lk_touch", call_touch, LK_HAS_CONDITIONS},
    {"lk_add", call_add, LK_HAS_CONDITIONS},
    {"lk_view", call_view, LK_HAS_VIEWS},
    {"lk_get_lock", call_get_lock, LK_HAS_LOCKS},
    {"lk_get_locked", call_get_locked, LK_HAS_LOCKS | LK_HAS_GET_MANY},
    {"lk_set_atomic", call_set_atomic, LK_HAS_LOCKS},
    {"lk_commit", call_commit, LK_HAS_LOCKS},
    {"lk_commit, LK_PUSH", call_commit_push, LK_COMMITS_JOBS},
    {"lk_commit, LK_ACKNOWLEDGE", call_commit_acknowledge, LK_COMMITS_JOBS},
    {"lk_commit, LK_PUSH with options", call_commit_push_later, LK_COMMITS_RELEASES},
    {"lk_commit, LK_RELEASE", call_commit_release, LK_COMMITS_RELEASES},
    {"lk_commit with a condition", call_commit_if, LK_HAS_CONDITIONS},
    {"lk_commit, LK_TOUCH", call_commit_touch, LK_HAS_CONDITIONS},
    {"lk_commit, LK_ADD", call_commit_add, LK_HAS_CONDITIONS},
    {"lk_count", call_count, LK_HAS_QUERY},
    {"lk_query_items of a range", call_query_range, LK_QUERIES_RANGES},
    {"lk_list_partitions", call_list_partitions, LK_HAS_PARTITIONS},
    {"lk_query_items", call_query_items, LK_HAS_QUERY},
    {"lk_query_page", call_query_page, LK_HAS_QUERY},
    {"lk_stream_next", call_stream, LK_HAS_QUERY},
    {"lk_queue_push", call_push, LK_HAS_QUEUES},
    {"lk_queue_pull", call_pull, LK_HAS_QUEUES},
    {"lk_queue_acknowledge", call_acknowledge, LK_HAS_QUEUES},
    {"lk_queue_release", call_release, LK_HAS_QUEUES},
    {"lk_queue_extend", call_extend, LK_HAS_QUEUES},
    {"lk_queue_stats", call_queue_stats, LK_HAS_QUEUES},
    {"lk_queue_purge", call_queue_purge, LK_HAS_QUEUES},
    {"lk_queue_close", call_queue_close, LK_HAS_QUEUES},
    {"lk_queue_fd", call_queue_fd, LK_HAS_QUEUE_FD},
    {"lk_queue_inspect", call_queue_inspect, LK_HAS_QUEUE_INSPECT},
    {"lk_queue_inspect_many", call_queue_inspect_many, LK_HAS_QUEUE_INSPECT},
    {"lk_sweep", call_sweep, LK_HAS_SWEEP},
    {"lk_statistics_read", call_statistics, LK_HAS_STATISTICS},
};
const size_t fake_call_count = KIT_COUNT(fake_calls);

fake_rig
fake_rig_of(lk_db *db)
{
    fake_rig rig = {.db = db, .result = lk_result_new()};
    assert_non_null(rig.result);
    rig.claim = (lk_claim){lk_key_of("p", "s"), 5, 6, 7};
    lkc_fill(&rig.out, sizeof rig.out);
    return rig;
}

void
fake_rig_answers(fake_rig *rig, uint64_t but, lk_status wanted)
{
    if ((but & LK_HAS_LOCKS) != 0)
        but |= LK_HAS_CONDITIONS; /* the library puts these together */
    for (size_t i = 0; i < fake_call_count; i++) {
        if (but != 0 && (fake_calls[i].needs & ~but) == 0)
            continue;
        lk_status status = fake_calls[i].run(rig);
        if (status != wanted || !lkc_is_filled(&rig->out, sizeof rig->out) ||
            lk_result_count(rig->result) != 0)
            fail_msg("%s: %s, or it touched its outputs", fake_calls[i].name,
                     lk_status_string(status));
    }
}
