// SPDX-License-Identifier: MIT
//
// What the C++ hash maps among the contenders share: a key that owns its bytes, a key to look for
// that borrows them, and the functions by which a map takes one for the other.
#ifndef BENCH_ITEM_KEY_HPP
#define BENCH_ITEM_KEY_HPP

#include "bench.h"

#include <cstring>
#include <string>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

inline std::string_view
text_of(lk_bytes bytes)
{
    return {static_cast<const char *>(bytes.data), bytes.size};
}

struct ItemProbe {
    lk_key key;
};

// pk, then sk, in one string.
struct ItemKey {
    std::string text;
    std::size_t pk_size = 0;

    ItemKey() = default;
    ItemKey(const ItemProbe &probe) : pk_size(probe.key.pk.size)
    {
        text.reserve(probe.key.pk.size + probe.key.sk.size);
        text.append(text_of(probe.key.pk)).append(text_of(probe.key.sk));
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
item_hash(const ItemProbe &probe)
{
    return item_hash(text_of(probe.key.pk), text_of(probe.key.sk));
}

inline std::size_t
item_hash(const ItemKey &key)
{
    return item_hash(key.pk(), key.sk());
}

inline bool
item_equal(const ItemKey &a, const ItemKey &b)
{
    return a.pk_size == b.pk_size && a.text == b.text;
}

inline bool
item_equal(const ItemKey &a, const ItemProbe &b)
{
    return a.pk() == text_of(b.key.pk) && a.sk() == text_of(b.key.sk);
}

inline bool
item_equal(const ItemProbe &a, const ItemKey &b)
{
    return item_equal(b, a);
}

// A client of such a map: its store, and the copies of values that reads return.
template <typename Store> struct MapClient {
    Store *store;
    std::string copies[BENCH_GROUP];

    void
    keep(std::size_t i, const std::string &value, lk_bytes *out)
    {
        copies[i].assign(value);
        *out = {copies[i].data(), copies[i].size()};
    }
};

#endif
