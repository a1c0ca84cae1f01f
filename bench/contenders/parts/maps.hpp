// SPDX-License-Identifier: MIT
//
// A contender out of a C++ map. A map is a class with `read`, which hands the value of a key on
// while it is held, `set` and `remove`; and `scan`, if it has an order. BENCH_MAP makes the table,
// the client and the loops. Sized: keys and values in strings, of any size. Fixed: arrays in the
// node itself, for keys of 16 and 16 bytes and values of 64 alone, which is two misses less.
#ifndef BENCH_MAPS_HPP
#define BENCH_MAPS_HPP

#include "driver/loops.h"

#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

inline std::string_view
text_of(lk_bytes bytes)
{
    return {static_cast<const char *>(bytes.data), bytes.size};
}

// ---- clients
// -------------------------------------------------------------------------------------

struct Row {
    std::size_t sk_size, value_size;
};

// A client of a map: copies of what reads return.
template <typename Map> struct MapClient {
    Map *map;
    std::size_t capacity = bench_expected.value_size;
    std::unique_ptr<char[]> copies{new char[BENCH_GROUP * capacity]};
    std::string scanned; // rows one after the other
    std::vector<Row> rows;

    explicit MapClient(void *of) : map(static_cast<Map *>(of))
    {
    }

    __attribute__((always_inline)) inline bool
    get(const lk_key *key, std::size_t i, lk_bytes *value)
    {
        char *copy = copies.get() + i * capacity;

        return map->read(key, [=, this](std::string_view found) {
            std::memcpy(copy, found.data(), found.size() < capacity ? found.size() : capacity);
            *value = {copy, found.size()};
        });
    }
};

template <typename Map> struct MapCalls {
    using Client = MapClient<Map>;

    static void *
    open()
    try {
        return new Map;
    } catch (const std::bad_alloc &) {
        return nullptr;
    }

    static void
    close(void *map)
    {
        delete static_cast<Map *>(map);
    }

    static void *
    attach(void *map)
    try {
        return new Client(map);
    } catch (const std::bad_alloc &) {
        return nullptr;
    }

    static void
    detach(void *client)
    {
        delete static_cast<Client *>(client);
    }

    BENCH_INLINE bool
    get(void *client, const lk_key *key, lk_bytes *value)
    {
        return static_cast<Client *>(client)->get(key, 0, value);
    }

    // No snapshot: key by key.
    BENCH_INLINE bool
    get_many(void *client, const lk_key *keys, std::size_t count, lk_bytes *values)
    {
        bool found = count <= BENCH_GROUP;

        for (std::size_t i = 0; found && i < count; i++)
            found = static_cast<Client *>(client)->get(&keys[i], i, &values[i]);
        return found;
    }

    BENCH_INLINE bool
    set(void *client, const lk_item *put)
    try {
        return static_cast<Client *>(client)->map->set(&put->key, text_of(put->data));
    } catch (const std::exception &) {
        return false;
    }

    static bool
    remove(void *client, const lk_key *key)
    {
        return static_cast<Client *>(client)->map->remove(key);
    }

    // Copies the rows out while they are held; visits them after it.
    static std::size_t
    scan(void *handle, const lk_query *query, bench_visit *visit, void *context)
    {
        Client *client = static_cast<Client *>(handle);

        client->scanned.clear();
        client->rows.clear();
        client->map->scan(query, [client](const std::string &sk, const std::string &value) {
            client->scanned.append(sk).append(value);
            client->rows.push_back({sk.size(), value.size()});
        });
        const char *bytes = client->scanned.data();
        for (const Row &row : client->rows) {
            visit(context, {bytes, row.sk_size}, {bytes + row.sk_size, row.value_size});
            bytes += row.sk_size + row.value_size;
        }
        return client->rows.size();
    }

    static std::size_t
    count(void *client, const lk_query *query)
    {
        std::size_t found = 0;

        static_cast<Client *>(client)->map->scan(
            query, [&found](const std::string &, const std::string &) { found++; });
        return found;
    }
};

template <typename Map>
concept Ordered = requires(Map *map, const lk_query *query)
{
    map->scan(query, [](const std::string &, const std::string &) {});
};

// What a contender says of itself; the calls come from its class.
template <typename Map>
constexpr bench_contender
map_contender(bench_contender contender, const bench_loops *loops)
{
    using Calls = MapCalls<Map>;

    contender.open = Calls::open;
    contender.close = Calls::close;
    contender.attach = Calls::attach;
    contender.detach = Calls::detach;
    contender.get = Calls::get;
    contender.set = Calls::set;
    contender.remove = Calls::remove;
    if constexpr (Ordered<Map>) {
        contender.scan = Calls::scan;
        contender.count = Calls::count;
    } else
        contender.get_many = Calls::get_many;
    contender.loops = loops;
    return contender;
}

#define BENCH_MAP(table, Map, ...)                                                              \
    BENCH_LOOPS(table##_loops, MapCalls<Map>::get, MapCalls<Map>::get_many, MapCalls<Map>::set) \
    static const bench_contender table = map_contender<Map>({__VA_ARGS__}, &table##_loops);     \
    BENCH_CONTENDER(table)

// ---- keys and values of hash maps
// ----------------------------------------------------------------

struct SizedProbe {
    const lk_key *key;
};

// pk, then sk, in one string.
struct SizedKey {
    std::string text;
    std::size_t pk_size = 0;

    SizedKey() = default;
    SizedKey(const SizedProbe &probe) : pk_size(probe.key->pk.size)
    {
        text.reserve(probe.key->pk.size + probe.key->sk.size);
        text.append(text_of(probe.key->pk)).append(text_of(probe.key->sk));
    }

    std::string_view
    pk() const
    {
        return std::string_view(text).substr(0, pk_size);
    }
    std::string_view
    sk() const
    {
        return std::string_view(text).substr(pk_size);
    }
};

struct FixedKey {
    char bytes[2 * BENCH_KEY_SIZE];

    FixedKey() = default;
    explicit FixedKey(const lk_key *key)
    {
        std::memcpy(bytes, key->pk.data, BENCH_KEY_SIZE);
        std::memcpy(bytes + BENCH_KEY_SIZE, key->sk.data, BENCH_KEY_SIZE);
    }
};

struct FixedValue {
    char bytes[BENCH_FIXED_VALUE];

    FixedValue() = default;
    explicit FixedValue(std::string_view text)
    {
        assign(text);
    }
    void
    assign(std::string_view text)
    {
        std::memcpy(bytes, text.data(), sizeof bytes);
    }
    operator std::string_view() const
    {
        return {bytes, sizeof bytes};
    }
};

inline std::size_t
pair_hash(std::string_view pk, std::string_view sk)
{
    return XXH3_64bits_withSeed(sk.data(), sk.size(), XXH3_64bits(pk.data(), pk.size()));
}

struct KeyHash {
    std::size_t
    operator()(const SizedProbe &probe) const
    {
        return pair_hash(text_of(probe.key->pk), text_of(probe.key->sk));
    }
    std::size_t
    operator()(const SizedKey &key) const
    {
        return pair_hash(key.pk(), key.sk());
    }
    std::size_t
    operator()(const FixedKey &key) const
    {
        return XXH3_64bits(key.bytes, sizeof key.bytes);
    }
};

struct KeyEqual {
    bool
    operator()(const SizedKey &a, const SizedKey &b) const
    {
        return a.pk_size == b.pk_size && a.text == b.text;
    }
    bool
    operator()(const SizedKey &a, const SizedProbe &b) const
    {
        return a.pk() == text_of(b.key->pk) && a.sk() == text_of(b.key->sk);
    }
    bool
    operator()(const SizedProbe &a, const SizedKey &b) const
    {
        return (*this)(b, a);
    }
    bool
    operator()(const FixedKey &a, const FixedKey &b) const
    {
        return std::memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
    }
};

struct Sized {
    using Probe = SizedProbe;
    using Key = SizedKey;
    using Value = std::string;

    static bool
    fits(const lk_key *, std::size_t)
    {
        return true;
    }
};

struct Fixed {
    using Probe = FixedKey;
    using Key = FixedKey;
    using Value = FixedValue;

    static bool
    fits(const lk_key *key, std::size_t value_size)
    {
        return key->pk.size == BENCH_KEY_SIZE && key->sk.size == BENCH_KEY_SIZE &&
               value_size == BENCH_FIXED_VALUE;
    }
};

#endif
