/* SPDX-License-Identifier: MIT
 *
 * Every call of the C++ interface, and how its transactions end: also where C++ has no memory left.
 */
#include <latchkey/latchkey.hpp>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string_view>
#include <vector>

#define CHECK(what)                                                \
    do {                                                           \
        if (!(what)) {                                             \
            std::printf("%s:%d: %s\n", __FILE__, __LINE__, #what); \
            std::exit(1);                                          \
        }                                                          \
    } while (0)

static bool memory_is_out;

void *
operator new(std::size_t size)
{
    void *memory = memory_is_out ? nullptr : std::malloc(size);
    if (memory == nullptr)
        throw std::bad_alloc();
    return memory;
}

void
operator delete(void *memory) noexcept
{
    std::free(memory);
}

void
operator delete(void *memory, std::size_t) noexcept
{
    std::free(memory);
}

namespace
{

using latchkey::key;
using latchkey::range_of;
using latchkey::view;

bool
holds(const latchkey::database &db, const lk_key &what, std::string_view data)
{
    char buffer[64];
    std::size_t size = 0;
    return db.get_into(what, buffer, sizeof buffer, size) == LK_OK &&
           std::string_view(buffer, size) == data;
}

void
items_check(const latchkey::database &db, latchkey::result &result)
{
    std::int64_t number = 0;
    std::size_t count = 0;

    CHECK(db.put_if(latchkey::item("u", "a", "1"), LK_IF_ABSENT) == LK_OK);
    CHECK(db.put_if(latchkey::item("u", "a", "2"), LK_IF_ABSENT) == LK_EXISTS);
    CHECK(db.put_if(latchkey::item("u", "a", "2"), LK_IF_EQUAL, "0") == LK_RACE);
    CHECK(db.put_if(latchkey::item("u", "a", "2"), LK_IF_EQUAL, "1") == LK_OK);
    CHECK(holds(db, key("u", "a"), "2"));
    CHECK(db.set({latchkey::item("u", "b", "3"), latchkey::item("u", "c", "4")}) == LK_OK);
    CHECK(db.get(key("u", "c"), result) == LK_OK && view(result[0]->data) == "4");
    CHECK(db.touch(key("u", "c"), db.expires_in(LK_HOURS(1))) == LK_OK);
    CHECK(db.touch(key("u", "d"), 0) == LK_NOT_FOUND);
    CHECK(db.add(key("n", "x"), 5) == LK_OK);
    CHECK(db.add(key("n", "x"), -7, 0, &number) == LK_OK && number == -2);

    CHECK(db.query(range_of("u", "b", "c"), result) == LK_OK && result.size() == 1);
    CHECK(db.query(range_of("u", "b", {}), result) == LK_OK && result.size() == 2);
    CHECK(db.count(latchkey::query_of("u"), count) == LK_OK && count == 3);
    CHECK(db.count(latchkey::query_of("u", "b"), count) == LK_OK && count == 1);
    lk_position position{};
    CHECK(db.list_partitions(position, result) == LK_OK && result.size() == 2);
    CHECK(db.list_partitions(position, result, 1) == LK_END);

    CHECK(db.get_many({key("u", "a"), key("u", "z")}, result) == LK_OK && result.size() == 2);
    CHECK(db.remove({key("u", "b"), key("u", "c")}) == LK_OK);
    CHECK(db.remove(key("u", "a")) == LK_OK && db.get(key("u", "a"), result) == LK_NOT_FOUND);
}

void
commits_check(const latchkey::database &db, latchkey::result &result)
{
    const lk_key keys[] = {key("l", "1"), key("l", "2")};
    lk_lock locks[2];
    lk_conflict conflict{};

    CHECK(db.get_locked(keys, {locks, 1}, result) == LK_INVALID);
    CHECK(db.get_locked(keys, locks, result) == LK_OK);
    CHECK(db.set_atomic({latchkey::item("l", "1", "x")}, locks) == LK_OK);
    CHECK(db.get_lock(keys[1], locks[1]) == LK_OK);
    CHECK(db.set(latchkey::item("n", "y", {"\1\0\0\0\0\0\0\0", 8})) == LK_OK);
    CHECK(db.commit({latchkey::put(latchkey::item("l", "2", "y"), LK_IF_ABSENT),
                     latchkey::remove(keys[0], LK_IF_EQUAL, "x"),
                     latchkey::add(key("n", "y"), 2)}) == LK_OK);
    CHECK(holds(db, key("n", "y"), {"\3\0\0\0\0\0\0\0", 8}));
    CHECK(db.commit({latchkey::put(latchkey::item("l", "2", "z"), LK_IF_ABSENT)}) == LK_EXISTS);
    const std::int64_t later = db.expires_in(LK_HOURS(1));
    CHECK(db.commit({latchkey::touch(keys[1], later)}) == LK_OK);
    CHECK(db.get(keys[1], result) == LK_OK && result[0]->expires_at_ms == later);
    CHECK(db.commit({latchkey::touch(keys[1], 0), latchkey::touch(keys[0], 0)}, {}, &conflict) ==
              LK_NOT_FOUND &&
          conflict.write == 1);
    CHECK(db.commit({latchkey::remove(keys[1])}, locks, &conflict) == LK_RACE);
    CHECK(conflict.index == 0);
}

void
queues_check(const latchkey::database &db, latchkey::result &result)
{
    lk_push_options options = LK_PUSH_OPTIONS_INIT;
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    lk_queue_statistics stats;
    lk_job job;
    std::size_t purged = 0;
    int fd = -1;

    options.unique = true;
    pull.pk = latchkey::bytes("q");
    CHECK(db.push(latchkey::item("q", "1", "work"), &options) == LK_OK);
    CHECK(db.commit({latchkey::push(latchkey::item("q", "1", "work"), &options)}) == LK_EXISTS);
    CHECK(db.push({latchkey::item("q", "2", "more"), latchkey::item("q", "3", "more")}) == LK_OK);
    CHECK(db.inspect(key("q", "1"), job) == LK_OK && job.state == LK_JOB_READY);
    CHECK(db.pull(pull, result) == LK_OK);
    CHECK(db.commit({latchkey::release(*result.claim(0), LK_HOURS(1)),
                     latchkey::put(latchkey::item("errors", "1", "no network"))}) == LK_OK);
    CHECK(db.inspect(key("q", "1"), job) == LK_OK && job.state == LK_JOB_DELAYED);
    CHECK(db.pull(pull, result) == LK_OK && view(result[0]->key.sk) == "2");
    lk_claim claim = *result.claim(0);
    CHECK(db.extend(claim, LK_HOURS(1)) == LK_OK && db.release(claim) == LK_OK);
    pull.max_jobs = 2;
    CHECK(db.pull(pull, result) == LK_OK && result.size() == 2);
    CHECK(db.commit({latchkey::acknowledge(*result.claim(0))}) == LK_OK);
    CHECK(db.acknowledge(*result.claim(1)) == LK_OK);
    CHECK(db.acknowledge({*result.claim(0), *result.claim(1)}) == LK_LOST);
    CHECK(db.push({latchkey::item("q", {}, "last")}, nullptr, result) == LK_OK);
    CHECK(result[0]->key.sk.size == 26);
    CHECK(db.queue_stats("q", stats) == LK_OK && stats.delayed == 1 && stats.ready == 1);
    CHECK(db.queue_fd("q", fd) == LK_OK && fd >= 0);
    CHECK(db.purge_queue("q", &purged) == LK_OK && purged == 2);
    CHECK(db.close_queue("q") == LK_OK && db.pull(pull, result) == LK_CLOSED);
}

/* Somebody else's commit: what has the lock of the key is stale after it. */
void
commit_beside(const latchkey::database &db, const lk_key &what)
{
    lk_lock lock;
    CHECK(db.get_lock(what, lock) == LK_OK);
    CHECK(db.set_atomic({lk_item{what, latchkey::bytes("theirs"), 0}}, {&lock, 1}) == LK_OK);
}

/* A transaction ends with the status of its change, unless that is LK_OK, then with that of the
 * commit. Only a race of the commit begins it anew. */
void
transactions_check(const latchkey::database &db)
{
    const lk_key from = key("t", "1"), to = key("t", "2");
    lk_status status = LK_RACE;
    int calls = 0, races = 2;
    auto copy = [&](const latchkey::result &items, std::vector<lk_write> &writes) {
        if (calls++ < races)
            commit_beside(db, from);
        CHECK(writes.empty());
        writes.push_back(latchkey::put(latchkey::item("t", "2", view(items[0]->data))));
        return LK_OK;
    };
    auto refuse = [&](const latchkey::result &, std::vector<lk_write> &writes) {
        calls++;
        writes.push_back(latchkey::remove(to));
        return status;
    };

    CHECK(db.set(latchkey::item("t", "1", "ours")) == LK_OK);
    CHECK(db.transact({from}, copy) == LK_OK && calls == 3 && holds(db, to, "theirs"));
    CHECK((calls = 0, db.transact({from}, copy, 2)) == LK_RACE && calls == 2);
    CHECK(db.transact({from}, copy, 0) == LK_RACE && calls == 2);
    CHECK((calls = 0, db.transact({from}, refuse)) == LK_RACE && calls == 1);
    status = LK_EMPTY;
    CHECK(db.transact({from}, refuse) == LK_EMPTY && holds(db, to, "theirs"));
    CHECK(db.transact({key({})}, refuse) == LK_INVALID && calls == 2);

    /* no memory: for the locks; for what the change writes; what it throws itself passes through */
    memory_is_out = true;
    lk_status at_once = db.transact({from}, refuse);
    memory_is_out = false;
    CHECK(at_once == LK_NO_MEMORY);
    at_once =
        db.transact({from}, [&](const latchkey::result &items, std::vector<lk_write> &writes) {
            memory_is_out = true;
            return refuse(items, writes);
        });
    memory_is_out = false;
    CHECK(at_once == LK_NO_MEMORY && holds(db, to, "theirs"));
    try {
        (void)db.transact({from}, [](const latchkey::result &, std::vector<lk_write> &writes) {
            writes.push_back(latchkey::remove(key("t", "2")));
            throw std::runtime_error("no");
            return LK_OK;
        });
        CHECK(!"thrown");
    } catch (const std::runtime_error &) {
        CHECK(holds(db, to, "theirs"));
    }
}

/* Of the store in `db`: into another, through a cache, and by a handle that is borrowed. */
void
handles_check(const latchkey::database &db, latchkey::result &result)
{
    latchkey::database other, cache;
    lk_cache_options options = LK_CACHE_OPTIONS_INIT;
    lk_copy_report report{};
    lk_statistics stats;
    std::size_t swept = 1;

    CHECK(latchkey::database::open_memory(other) == LK_OK);
    options.max_items = 100;
    CHECK(latchkey::database::open_cache(cache, other, options) == LK_OK);
    CHECK(db.set(latchkey::item("c", "1", "one")) == LK_OK);
    CHECK(latchkey::copy(db, cache, nullptr, &report) == LK_OK && report.items >= 1);
    {
        const latchkey::database borrowed = latchkey::database::borrow(cache.get());
        CHECK(borrowed && borrowed.get(key("c", "1"), result) == LK_OK);
        CHECK(borrowed.get(key("c", "1"), result) == LK_OK);
    }
    CHECK(cache.statistics(stats) == LK_OK && stats.cache_hits == 1);
    CHECK(cache.sweep(0, &swept) == LK_OK && swept == 0);
    cache.close();
    latchkey::database taken(std::move(other));
    CHECK(!other && holds(taken, key("c", "1"), "one"));
    CHECK(taken.monotonic_ms() > 0 && taken.now_ms() > 0);
}

} // namespace

int
main()
{
    latchkey::database db;
    latchkey::result result;
    CHECK(latchkey::database::open_memory(db) == LK_OK);
    items_check(db, result);
    commits_check(db, result);
    queues_check(db, result);
    transactions_check(db);
    handles_check(db, result);
    return 0;
}
