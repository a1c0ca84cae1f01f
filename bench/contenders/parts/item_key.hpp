// SPDX-License-Identifier: MIT
//
// What the C++ hash maps among the contenders share: the keys and values that they hold, and how a
// key is looked for. Sized: strings, for keys and values of any size. Fixed: arrays in the node
// itself, for keys of 16 and 16 bytes and values of 64 alone, which is two misses less.
#ifndef BENCH_ITEM_KEY_HPP
#define BENCH_ITEM_KEY_HPP

#include "driver/loops.h"

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

inline std::string_view
text_of(lk_bytes bytes)
{
    return {static_cast<const char *>(bytes.data), bytes.size};
}

// ---- any size ----

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

inline std::size_t
item_hash(std::string_view pk, std::string_view sk)
{
    return XXH3_64bits_withSeed(sk.data(), sk.size(), XXH3_64bits(pk.data(), pk.size()));
}

inline std::size_t
item_hash(const SizedProbe &probe)
{
    return item_hash(text_of(probe.key->pk), text_of(probe.key->sk));
}

inline std::size_t
item_hash(const SizedKey &key)
{
    return item_hash(key.pk(), key.sk());
}

inline bool
item_equal(const SizedKey &a, const SizedKey &b)
{
    return a.pk_size == b.pk_size && a.text == b.text;
}

inline bool
item_equal(const SizedKey &a, const SizedProbe &b)
{
    return a.pk() == text_of(b.key->pk) && a.sk() == text_of(b.key->sk);
}

inline bool
item_equal(const SizedProbe &a, const SizedKey &b)
{
    return item_equal(b, a);
}

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

// ---- fixed sizes ----

struct FixedKey {
    char bytes[2 * REQUEST_KEY_SIZE];

    FixedKey() = default;
    explicit FixedKey(const lk_key *key)
    {
        std::memcpy(bytes, key->pk.data, REQUEST_KEY_SIZE);
        std::memcpy(bytes + REQUEST_KEY_SIZE, key->sk.data, REQUEST_KEY_SIZE);
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
item_hash(const FixedKey &key)
{
    return XXH3_64bits(key.bytes, sizeof key.bytes);
}

inline bool
item_equal(const FixedKey &a, const FixedKey &b)
{
    return std::memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

struct Fixed {
    using Probe = FixedKey;
    using Key = FixedKey;
    using Value = FixedValue;

    static bool
    fits(const lk_key *key, std::size_t value_size)
    {
        return key->pk.size == REQUEST_KEY_SIZE && key->sk.size == REQUEST_KEY_SIZE &&
               value_size == BENCH_FIXED_VALUE;
    }
};

// ---- clients ----

// A client of such a map: its store, and buffers for the copies of values that reads return.
template <typename Store> struct MapClient {
    Store *store;
    std::size_t capacity;
    std::unique_ptr<char[]> buffers;

    explicit MapClient(void *of)
        : store(static_cast<Store *>(of)), capacity(bench_options.value_size),
          buffers(new char[BENCH_GROUP * capacity])
    {
    }

    __attribute__((always_inline)) inline void
    keep(std::size_t i, std::string_view value, lk_bytes *out)
    {
        char *buffer = buffers.get() + i * capacity;
        std::memcpy(buffer, value.data(), value.size() < capacity ? value.size() : capacity);
        *out = {buffer, value.size()};
    }
};

// The table of a contender of class `Map`: open, close, attach, detach, get, get_many, set, remove.
template <typename Map>
constexpr bench_contender
map_contender(const char *name, const char *what, int order, const bench_loops *loops)
{
    bench_contender contender{};
    contender.name = name;
    contender.what = what;
    contender.order = order;
    contender.open = Map::open;
    contender.close = Map::close;
    contender.attach = Map::attach;
    contender.detach = Map::detach;
    contender.get = Map::get;
    contender.get_many = Map::get_many;
    contender.set = Map::set;
    contender.remove = Map::remove;
    contender.loops = loops;
    return contender;
}

#endif
