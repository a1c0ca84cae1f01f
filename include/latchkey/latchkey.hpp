/* SPDX-License-Identifier: MIT
 *
 * latchkey/latchkey.hpp: latchkey for C++17. Header only, no exceptions, nothing that the C
 * interface does not do: owners that close by themselves (move-only), std::string_view for bytes,
 * ranges over results, and the loop that every optimistic commit needs.
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
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <latchkey/latchkey.h>

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

inline lk_write
put(const lk_item &what) noexcept
{
    lk_write step{};
    step.kind = LK_PUT;
    step.item = what;
    return step;
}

inline lk_write
remove(lk_key what) noexcept
{
    lk_write step{};
    step.kind = LK_DELETE;
    step.item.key = what;
    return step;
}

inline lk_write
push(const lk_item &what) noexcept
{
    lk_write step = put(what);
    step.kind = LK_PUSH;
    return step;
}

/* `claim` stays the caller's, until the commit returns. */
inline lk_write
acknowledge(const lk_claim &claim) noexcept
{
    lk_write step{};
    step.kind = LK_ACKNOWLEDGE;
    step.claim = &claim;
    return step;
}

namespace detail
{
struct closer {
    void
    operator()(lk_db *db) const noexcept
    {
        lk_close(db);
    }
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

    [[nodiscard]] static lk_status
    open_memory(database &db, const lk_memory_options *options = nullptr) noexcept
    {
        lk_db *opened = nullptr;
        lk_status status = lk_memory_open(options, &opened);
        if (status == LK_OK)
            db.owned_.reset(opened);
        return status;
    }

    /* `inner` must outlive the cache. */
    [[nodiscard]] static lk_status
    open_cache(database &db, const database &inner, const lk_cache_options &options) noexcept
    {
        lk_db *opened = nullptr;
        lk_status status = lk_cache_open(inner.get(), &options, &opened);
        if (status == LK_OK)
            db.owned_.reset(opened);
        return status;
    }

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
    get_many(const lk_key *keys, std::size_t count, result &to) const noexcept
    {
        return with(to, [&](lk_result *r) { return lk_get_many(get(), keys, count, r); });
    }
    [[nodiscard]] lk_status
    get_many(const std::vector<lk_key> &keys, result &to) const noexcept
    {
        return get_many(keys.data(), keys.size(), to);
    }
    [[nodiscard]] lk_status
    set(const lk_item &what) const noexcept
    {
        return lk_set(get(), &what, 1);
    }
    [[nodiscard]] lk_status
    set(const std::vector<lk_item> &items) const noexcept
    {
        return lk_set(get(), items.data(), items.size());
    }
    [[nodiscard]] lk_status
    remove(lk_key what) const noexcept
    {
        return lk_delete(get(), &what, 1);
    }
    [[nodiscard]] lk_status
    remove(const std::vector<lk_key> &keys) const noexcept
    {
        return lk_delete(get(), keys.data(), keys.size());
    }

    /* ---- locks and commits ---- */

    [[nodiscard]] lk_status
    get_lock(const lk_key &what, lk_lock &lock) const noexcept
    {
        return lk_get_lock_at(get(), &what, &lock);
    }
    [[nodiscard]] lk_status
    set_atomic(const std::vector<lk_item> &items, std::vector<lk_lock> &locks,
               lk_conflict *conflict = nullptr) const noexcept
    {
        return lk_set_atomic(get(), items.data(), items.size(), locks.data(), locks.size(),
                             conflict);
    }
    [[nodiscard]] lk_status
    commit(const std::vector<lk_write> &writes, std::vector<lk_lock> &locks,
           lk_conflict *conflict = nullptr) const noexcept
    {
        return lk_commit(get(), writes.data(), writes.size(), locks.data(), locks.size(), conflict);
    }
    [[nodiscard]] lk_status
    commit(const std::vector<lk_write> &writes) const noexcept
    {
        return lk_commit(get(), writes.data(), writes.size(), nullptr, 0, nullptr);
    }

    /* A read-modify-write: reads the items of `keys` with their locks, lets `change` say what to
     * write, and commits that under the locks; after a race it begins anew. `change` is called as
     * lk_status change(const result &items, std::vector<lk_write> &writes) with items in the order
     * of the keys and `writes` empty; what the writes borrow has to live until the next call of
     * `change`, or the end. Anything but LK_OK from it ends the transaction without a write, with
     * that status, LK_RACE too: only a race of the commit itself begins it anew. So LK_RACE is that
     * of `change`, or says that the commit raced `attempts` times (0: nothing was tried). */
    template <class Change>
    [[nodiscard]] lk_status
    transact(const std::vector<lk_key> &keys, Change &&change, unsigned attempts = ~0u) const
    {
        result items;
        std::vector<lk_lock> locks(keys.size());
        std::vector<lk_write> writes;
        if (items.get() == nullptr)
            return LK_NO_MEMORY;
        for (unsigned attempt = 0; attempt < attempts; attempt++) {
            if (attempt > 0)
                lk_backoff(attempt - 1);
            writes.clear();
            lk_status status =
                lk_get_locked(get(), keys.data(), keys.size(), locks.data(), items.get());
            if (status == LK_OK)
                status = change(static_cast<const result &>(items), writes);
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
    open_stream(const lk_query &what, stream &to) const noexcept
    {
        lk_stream *opened = nullptr;
        lk_status status = lk_stream_open(get(), &what, &opened);
        if (status == LK_OK)
            to.owned_.reset(opened);
        return status;
    }

    /* ---- queues ---- */

    [[nodiscard]] lk_status
    push(const lk_item &job, const lk_push_options *options = nullptr) const noexcept
    {
        return lk_queue_push(get(), &job, 1, options, nullptr);
    }
    [[nodiscard]] lk_status
    push(const std::vector<lk_item> &jobs, const lk_push_options *options = nullptr) const noexcept
    {
        return lk_queue_push(get(), jobs.data(), jobs.size(), options, nullptr);
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
    close_queue(std::string_view pk) const noexcept
    {
        return lk_queue_close(get(), bytes(pk));
    }

  private:
    template <class Call>
    static lk_status
    with(result &to, Call &&call) noexcept
    {
        return to.get() == nullptr ? LK_NO_MEMORY : call(to.get());
    }
    std::unique_ptr<lk_db, detail::closer> owned_;
};

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
