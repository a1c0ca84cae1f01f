/* SPDX-License-Identifier: MIT
 *
 * latchkey/latchkey.hpp: latchkey for C++17. Header only, nothing that the C interface does not do:
 * owners that close by themselves (move-only), std::string_view for bytes, ranges over results, and
 * the loop that every optimistic commit needs. Nothing here throws by itself.
 *
 *     latchkey::database db;
 *     latchkey::result result;
 *     if (latchkey::database::open_memory(db) != LK_OK)
 *         return 1;
 *     if (db.set(latchkey::item("user#1", "profile", "{}")) != LK_OK)
 *         return 1;
 *     if (db.query(latchkey::query_of("user#1"), result) != LK_OK)
 *         return 1;
 *     for (const lk_item &item : result)
 *         std::cout << latchkey::view(item.data);
 *
 * Each call is the C call of the same name, with its statuses, threads and progress: see
 * latchkey.h. A result or a stream that could not be made for want of memory is empty, and calls
 * that need it answer LK_NO_MEMORY.
 */
#ifndef LATCHKEY_LATCHKEY_HPP
#define LATCHKEY_LATCHKEY_HPP

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <latchkey/latchkey.h>
#if __has_include(<latchkey/lmdb.h>)
#include <latchkey/lmdb.h>
#endif
#if __has_include(<latchkey/postgres.h>)
#include <latchkey/postgres.h>
#endif

namespace latchkey
{

/* ---- bytes, keys, items: they borrow what they are made of ---- */

inline lk_bytes
bytes(std::string_view text) noexcept
{
    return lk_bytes{text.data(), text.size()};
}

inline std::string_view
view(lk_bytes bytes) noexcept
{
    return std::string_view(static_cast<const char *>(bytes.data), bytes.size);
}

inline lk_key
key(std::string_view pk, std::string_view sk = {}) noexcept
{
    return lk_key{bytes(pk), bytes(sk)};
}

inline lk_item
item(std::string_view pk, std::string_view sk, std::string_view data,
     std::int64_t expires_at_ms = 0) noexcept
{
    return lk_item{key(pk, sk), bytes(data), expires_at_ms};
}

/* The queries of most callers; the struct has the rest. */
inline lk_query
query_of(std::string_view pk, std::string_view sk_prefix = {}) noexcept
{
    lk_query query{};
    query.pk = bytes(pk);
    query.sk_prefix = bytes(sk_prefix);
    return query;
}

/* From `from` on, and before `until`; empty: from the first, to the last. */
inline lk_query
range_of(std::string_view pk, std::string_view from, std::string_view until) noexcept
{
    lk_query query{};
    query.pk = bytes(pk);
    query.from = bytes(from);
    query.until = bytes(until);
    return query;
}

/* ---- what a commit writes ---- */

inline lk_write
put(const lk_item &what, lk_condition condition = LK_ALWAYS,
    std::string_view expected = {}) noexcept
{
    lk_write write{};
    write.kind = LK_PUT;
    write.item = what;
    write.condition = condition;
    write.expected = bytes(expected);
    return write;
}

inline lk_write
remove(const lk_key &what, lk_condition condition = LK_ALWAYS,
       std::string_view expected = {}) noexcept
{
    lk_write write = put(lk_item{what, lk_bytes{}, 0}, condition, expected);
    write.kind = LK_DELETE;
    return write;
}

inline lk_write
touch(const lk_key &what, std::int64_t expires_at_ms) noexcept
{
    lk_write write{};
    write.kind = LK_TOUCH;
    write.item.key = what;
    write.item.expires_at_ms = expires_at_ms;
    return write;
}

inline lk_write
add(const lk_key &what, std::int64_t delta, std::int64_t expires_at_ms = 0) noexcept
{
    lk_write write = touch(what, expires_at_ms);
    write.kind = LK_ADD;
    write.delta = delta;
    return write;
}

/* `options` stay the caller's, until the commit returns; and so does `claim` below. */
inline lk_write
push(const lk_item &what, const lk_push_options *options = nullptr) noexcept
{
    lk_write write{};
    write.kind = LK_PUSH;
    write.item = what;
    write.push = options;
    return write;
}

inline lk_write
acknowledge(const lk_claim &claim) noexcept
{
    lk_write write{};
    write.kind = LK_ACKNOWLEDGE;
    write.claim = &claim;
    return write;
}

inline lk_write
release(const lk_claim &claim, std::int64_t delay_ms = 0) noexcept
{
    lk_write write = acknowledge(claim);
    write.kind = LK_RELEASE;
    write.delay_ms = delay_ms;
    return write;
}

/* ---- many of something ---- */

/* Borrows an array, a vector, or the list in braces of a call: allocates nothing. */
template <class T> class span
{
  public:
    constexpr span() noexcept = default;
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size)
    {
    }
    template <std::size_t Size>
    constexpr span(T (&array)[Size]) noexcept : data_(array), size_(Size)
    {
    }
    template <class Container, class = std::enable_if_t<std::is_convertible_v<
                                   decltype(std::declval<Container &>().data()), T *>>>
    constexpr span(Container &&container) noexcept
        : data_(container.data()), size_(container.size())
    {
    }
    /* Lives as long as the call that it is written in. */
    constexpr span(std::initializer_list<std::remove_const_t<T>> list) noexcept
        : span(list.begin(), list.size())
    {
    }
    constexpr T *
    data() const noexcept
    {
        return data_;
    }
    constexpr std::size_t
    size() const noexcept
    {
        return size_;
    }

  private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

namespace detail
{
struct closer {
    void
    operator()(lk_result *result) const noexcept
    {
        lk_result_free(result);
    }
    void
    operator()(lk_stream *stream) const noexcept
    {
        lk_stream_close(stream);
    }
};
struct handle_closer {
    bool borrowed = false; /* others close it */

    void
    operator()(lk_db *db) const noexcept
    {
        if (!borrowed)
            lk_close(db);
    }
};
} // namespace detail

/* ---- results ---- */

/* Owns what a read returned; reusable. Items are valid until the next call with it. */
class result
{
  public:
    /* Over the items that are there; holes of a get_many are passed over. */
    class iterator
    {
      public:
        using iterator_category = std::forward_iterator_tag;
        using value_type = lk_item;
        using difference_type = std::ptrdiff_t;
        using pointer = const lk_item *;
        using reference = const lk_item &;

        iterator() noexcept = default;
        iterator(const lk_result *of, std::size_t at) noexcept : of_(of), at_(at)
        {
            skip();
        }
        reference
        operator*() const noexcept
        {
            return *lk_result_item(of_, at_);
        }
        pointer
        operator->() const noexcept
        {
            return lk_result_item(of_, at_);
        }
        iterator &
        operator++() noexcept
        {
            at_++;
            skip();
            return *this;
        }
        iterator
        operator++(int) noexcept
        {
            iterator before = *this;
            ++*this;
            return before;
        }
        bool
        operator==(const iterator &other) const noexcept
        {
            return at_ == other.at_;
        }
        bool
        operator!=(const iterator &other) const noexcept
        {
            return at_ != other.at_;
        }
        /* The position in the result. */
        std::size_t
        index() const noexcept
        {
            return at_;
        }

      private:
        void
        skip() noexcept
        {
            while (at_ < lk_result_count(of_) && lk_result_item(of_, at_) == nullptr)
                at_++;
        }
        const lk_result *of_ = nullptr;
        std::size_t at_ = 0;
    };

    result() noexcept : owned_(lk_result_new())
    {
    }

    /* Positions, holes included. */
    std::size_t
    size() const noexcept
    {
        return lk_result_count(owned_.get());
    }
    /* nullptr: no item there. */
    const lk_item *
    operator[](std::size_t i) const noexcept
    {
        return lk_result_item(owned_.get(), i);
    }
    /* After a pull. */
    const lk_claim *
    claim(std::size_t i) const noexcept
    {
        return lk_result_claim(owned_.get(), i);
    }
    iterator
    begin() const noexcept
    {
        return iterator(owned_.get(), 0);
    }
    iterator
    end() const noexcept
    {
        return iterator(owned_.get(), size());
    }

    /* For the C calls. nullptr: no memory. */
    lk_result *
    get() const noexcept
    {
        return owned_.get();
    }

  private:
    std::unique_ptr<lk_result, detail::closer> owned_;
};

/* ---- streams ---- */

/* The items of a query one by one, in bounded memory. Closed before its database. */
class stream
{
  public:
    stream() noexcept = default;

    [[nodiscard]] lk_status
    next(lk_item &item) noexcept
    {
        return lk_stream_next(owned_.get(), &item);
    }
    lk_stream *
    get() const noexcept
    {
        return owned_.get();
    }

  private:
    friend class database;
    std::unique_ptr<lk_stream, detail::closer> owned_;
};

/* ---- databases ---- */

/* A handle that closes itself, or borrows one that others close. Any thread may call it. */
class database
{
  public:
    database() noexcept = default;
    /* Takes a handle over: it is closed with this. */
    explicit database(lk_db *db) noexcept : owned_(db)
    {
    }
    /* Leaves `db` to its owner, who closes it after the last call of this. */
    [[nodiscard]] static database
    borrow(lk_db *db) noexcept
    {
        database borrowed;
        borrowed.owned_ = {db, detail::handle_closer{true}};
        return borrowed;
    }

    [[nodiscard]] static lk_status
    open_memory(database &db, const lk_memory_options *options = nullptr) noexcept
    {
        return opened(db, [&](lk_db **to) { return lk_memory_open(options, to); });
    }
    /* `inner` must outlive the cache. */
    [[nodiscard]] static lk_status
    open_cache(database &db, const database &inner, const lk_cache_options &options) noexcept
    {
        return opened(db, [&](lk_db **to) { return lk_cache_open(inner.get(), &options, to); });
    }
#ifdef LATCHKEY_LMDB_H
    /* The program links latchkey-lmdb as well. */
    [[nodiscard]] static lk_status
    open_lmdb(database &db, const char *path, const lk_lmdb_options *options = nullptr) noexcept
    {
        return opened(db, [&](lk_db **to) { return lk_lmdb_open(path, options, to); });
    }
#endif
#ifdef LATCHKEY_POSTGRES_H
    /* The program links latchkey-postgres as well. */
    [[nodiscard]] static lk_status
    open_postgres(database &db, const char *conninfo,
                  const lk_postgres_options *options = nullptr) noexcept
    {
        return opened(db, [&](lk_db **to) { return lk_postgres_open(conninfo, options, to); });
    }
#endif

    explicit operator bool() const noexcept
    {
        return owned_ != nullptr;
    }
    lk_db *
    get() const noexcept
    {
        return owned_.get();
    }
    void
    close() noexcept
    {
        owned_.reset();
    }

    /* ---- time ---- */

    [[nodiscard]] std::int64_t
    now_ms() const noexcept
    {
        return lk_now_ms(get());
    }
    [[nodiscard]] std::int64_t
    monotonic_ms() const noexcept
    {
        return lk_monotonic_ms(get());
    }
    /* For expires_at_ms: db.set(item(pk, sk, data, db.expires_in(LK_MINUTES(30)))). */
    [[nodiscard]] std::int64_t
    expires_in(std::int64_t ms) const noexcept
    {
        return lk_expires_in(get(), ms);
    }

    /* ---- items ---- */

    [[nodiscard]] lk_status
    get(const lk_key &what, result &to) const noexcept
    {
        return with(to, [&](lk_result *r) { return lk_get_at(get(), &what, r); });
    }
    [[nodiscard]] lk_status
    get_into(const lk_key &what, void *buffer, std::size_t capacity,
             std::size_t &size) const noexcept
    {
        return lk_get_into_at(get(), &what, buffer, capacity, &size);
    }
    [[nodiscard]] lk_status
    get_many(span<const lk_key> keys, result &to) const noexcept
    {
        return with(to,
                    [&](lk_result *r) { return lk_get_many(get(), keys.data(), keys.size(), r); });
    }
    [[nodiscard]] lk_status
    set(const lk_item &what) const noexcept
    {
        return lk_set(get(), &what, 1);
    }
    [[nodiscard]] lk_status
    set(span<const lk_item> items) const noexcept
    {
        return lk_set(get(), items.data(), items.size());
    }
    [[nodiscard]] lk_status
    put_if(const lk_item &what, lk_condition condition,
           std::string_view expected = {}) const noexcept
    {
        return lk_put_if(get(), &what, condition, bytes(expected));
    }
    [[nodiscard]] lk_status
    touch(const lk_key &what, std::int64_t expires_at_ms) const noexcept
    {
        return lk_touch_at(get(), &what, expires_at_ms);
    }
    /* A counter that is not there counts as 0, and the new one gets this expiry. */
    [[nodiscard]] lk_status
    add(const lk_key &what, std::int64_t delta, std::int64_t expires_at_ms = 0,
        std::int64_t *value = nullptr) const noexcept
    {
        return lk_add_at(get(), &what, delta, expires_at_ms, value);
    }
    [[nodiscard]] lk_status
    remove(const lk_key &what) const noexcept
    {
        return lk_delete(get(), &what, 1);
    }
    [[nodiscard]] lk_status
    remove(span<const lk_key> keys) const noexcept
    {
        return lk_delete(get(), keys.data(), keys.size());
    }

    /* ---- locks and commits ---- */

    [[nodiscard]] lk_status
    get_lock(const lk_key &what, lk_lock &lock) const noexcept
    {
        return lk_get_lock_at(get(), &what, &lock);
    }
    /* LK_INVALID, too: fewer locks than keys. */
    [[nodiscard]] lk_status
    get_locked(span<const lk_key> keys, span<lk_lock> locks, result &to) const noexcept
    {
        if (locks.size() < keys.size())
            return LK_INVALID;
        return with(to, [&](lk_result *r) {
            return lk_get_locked(get(), keys.data(), keys.size(), locks.data(), r);
        });
    }
    [[nodiscard]] lk_status
    set_atomic(span<const lk_item> items, span<lk_lock> locks,
               lk_conflict *conflict = nullptr) const noexcept
    {
        return lk_set_atomic(get(), items.data(), items.size(), locks.data(), locks.size(),
                             conflict);
    }
    [[nodiscard]] lk_status
    commit(span<const lk_write> writes, span<lk_lock> locks = {},
           lk_conflict *conflict = nullptr) const noexcept
    {
        return lk_commit(get(), writes.data(), writes.size(), locks.data(), locks.size(), conflict);
    }

    /* A read-modify-write: reads the items of `keys` with their locks, lets `change` say what to
     * write, and commits that under the locks; after a race it begins anew. `change` is called as
     * lk_status change(const result &items, std::vector<lk_write> &writes) with items in the order
     * of the keys and `writes` empty; what the writes borrow has to live until the next call of
     * `change`, or the end. Anything but LK_OK from it ends the transaction without a write, with
     * that status, LK_RACE too: only a race of the commit itself begins it anew. So LK_RACE is that
     * of `change`, or says that the commit raced `attempts` times (0: nothing was tried). Where
     * `change` throws, nothing is written: std::bad_alloc, as of a vector or string that grows, is
     * LK_NO_MEMORY, and anything else passes through. */
    template <class Change>
    [[nodiscard]] lk_status
    transact(span<const lk_key> keys, Change &&change, unsigned attempts = ~0u) const
    {
        result items;
        std::unique_ptr<lk_lock[]> made(new (std::nothrow) lk_lock[keys.size()]);
        span<lk_lock> locks(made.get(), keys.size());
        std::vector<lk_write> writes;
        if (made == nullptr)
            return LK_NO_MEMORY;
        for (unsigned attempt = 0; attempt < attempts; attempt++) {
            if (attempt > 0)
                lk_backoff(attempt - 1);
            writes.clear();
            lk_status status = get_locked(keys, locks, items);
            if (status == LK_OK)
                status = changed(change, items, writes);
            if (status != LK_OK)
                return status;
            status = commit(writes, locks);
            if (status != LK_RACE)
                return status;
        }
        return LK_RACE;
    }

    /* ---- ordered reads ---- */

    [[nodiscard]] lk_status
    query(const lk_query &what, result &to) const noexcept
    {
        return with(to, [&](lk_result *r) { return lk_query_items(get(), &what, r); });
    }
    [[nodiscard]] lk_status
    count(const lk_query &what, std::size_t &count) const noexcept
    {
        return lk_count(get(), &what, &count);
    }
    [[nodiscard]] lk_status
    open_stream(const lk_query &what, stream &to) const noexcept
    {
        lk_stream *opened = nullptr;
        lk_status status = lk_stream_open(get(), &what, &opened);
        if (status == LK_OK)
            to.owned_.reset(opened);
        return status;
    }
    /* The next page; `position` begins as lk_position{}. */
    [[nodiscard]] lk_status
    list_partitions(lk_position &position, result &to, std::size_t limit = 0) const noexcept
    {
        return with(to,
                    [&](lk_result *r) { return lk_list_partitions(get(), &position, limit, r); });
    }

    /* ---- queues ---- */

    [[nodiscard]] lk_status
    push(const lk_item &job, const lk_push_options *options = nullptr) const noexcept
    {
        return lk_queue_push(get(), &job, 1, options, nullptr);
    }
    [[nodiscard]] lk_status
    push(span<const lk_item> jobs, const lk_push_options *options = nullptr) const noexcept
    {
        return lk_queue_push(get(), jobs.data(), jobs.size(), options, nullptr);
    }
    /* With the jobs as they are stored. */
    [[nodiscard]] lk_status
    push(span<const lk_item> jobs, const lk_push_options *options, result &pushed) const noexcept
    {
        return with(pushed, [&](lk_result *r) {
            return lk_queue_push(get(), jobs.data(), jobs.size(), options, r);
        });
    }
    [[nodiscard]] lk_status
    pull(const lk_pull_options &options, result &to) const noexcept
    {
        return with(to, [&](lk_result *r) { return lk_queue_pull(get(), &options, r); });
    }
    [[nodiscard]] lk_status
    acknowledge(const lk_claim &claim) const noexcept
    {
        return lk_queue_acknowledge(get(), &claim, 1);
    }
    [[nodiscard]] lk_status
    acknowledge(span<const lk_claim> claims) const noexcept
    {
        return lk_queue_acknowledge(get(), claims.data(), claims.size());
    }
    [[nodiscard]] lk_status
    release(const lk_claim &claim, std::int64_t delay_ms = 0) const noexcept
    {
        return lk_queue_release(get(), &claim, delay_ms);
    }
    [[nodiscard]] lk_status
    extend(lk_claim &claim, std::int64_t visibility_ms) const noexcept
    {
        return lk_queue_extend(get(), &claim, visibility_ms);
    }
    [[nodiscard]] lk_status
    inspect(const lk_key &what, lk_job &job) const noexcept
    {
        return lk_queue_inspect_at(get(), &what, &job);
    }
    [[nodiscard]] lk_status
    queue_stats(std::string_view pk, lk_queue_statistics &stats) const noexcept
    {
        return lk_queue_stats(get(), bytes(pk), &stats);
    }
    [[nodiscard]] lk_status
    purge_queue(std::string_view pk, std::size_t *purged = nullptr) const noexcept
    {
        return lk_queue_purge(get(), bytes(pk), purged);
    }
    [[nodiscard]] lk_status
    close_queue(std::string_view pk) const noexcept
    {
        return lk_queue_close(get(), bytes(pk));
    }
    [[nodiscard]] lk_status
    queue_fd(std::string_view pk, int &fd) const noexcept
    {
        return lk_queue_fd(get(), bytes(pk), &fd);
    }

    /* ---- upkeep ---- */

    [[nodiscard]] lk_status
    sweep(std::size_t max_items = 0, std::size_t *swept = nullptr) const noexcept
    {
        return lk_sweep(get(), max_items, swept);
    }
    [[nodiscard]] lk_status
    statistics(lk_statistics &stats) const noexcept
    {
        return lk_statistics_read(get(), &stats);
    }

  private:
    template <class Open>
    static lk_status
    opened(database &db, Open &&open) noexcept
    {
        lk_db *handle = nullptr;
        lk_status status = open(&handle);
        if (status == LK_OK)
            db = database(handle);
        return status;
    }
    template <class Call>
    static lk_status
    with(result &to, Call &&call) noexcept
    {
        return to.get() == nullptr ? LK_NO_MEMORY : call(to.get());
    }
    template <class Change>
    static lk_status
    changed(Change &change, const result &items, std::vector<lk_write> &writes)
    {
#ifdef __cpp_exceptions
        try {
            return change(items, writes);
        } catch (const std::bad_alloc &) {
            return LK_NO_MEMORY;
        }
#else
        return change(items, writes);
#endif
    }
    std::unique_ptr<lk_db, detail::handle_closer> owned_;
};

/* All live items and jobs of one handle into another: a backup, a restore, a move. */
[[nodiscard]] inline lk_status
copy(const database &from, const database &to, const lk_copy_options *options = nullptr,
     lk_copy_report *report = nullptr) noexcept
{
    return lk_copy(from.get(), to.get(), options, report);
}

/* While it lives, items that lk_view returned stay where they are. It belongs to the thread that
 * made it; sections of a thread end in reverse order. */
class read_section
{
  public:
    explicit read_section(const database &db) noexcept : db_(db.get())
    {
        lk_read_begin(db_);
    }
    ~read_section()
    {
        lk_read_end(db_);
    }
    read_section(const read_section &) = delete;
    read_section &operator=(const read_section &) = delete;

    [[nodiscard]] lk_status
    view(const lk_key &what, lk_item &item) const noexcept
    {
        return lk_view_at(db_, &what, &item);
    }

  private:
    lk_db *db_;
};

} // namespace latchkey

#endif
