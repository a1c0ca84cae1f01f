// SPDX-License-Identifier: MIT
//
// tbb::concurrent_hash_map of oneTBB: a reader-writer lock in each element, held by accessors;
// values are copied out and assigned under it. No commits. tbb-map has strings for keys and values,
// tbb-fixed arrays.
// Needs: pkg-config tbb
#include "contenders/parts/item_key.hpp"

#include <new>
#include <tbb/concurrent_hash_map.h>

namespace
{

struct HashCompare {
    using is_transparent = void;

    template <typename Key>
    std::size_t
    hash(const Key &key) const
    {
        return item_hash(key);
    }
    template <typename Left, typename Right>
    bool
    equal(const Left &left, const Right &right) const
    {
        return item_equal(left, right);
    }
};

template <typename Sizes> struct TbbMap {
    using Probe = typename Sizes::Probe;
    using Store = tbb::concurrent_hash_map<typename Sizes::Key, typename Sizes::Value, HashCompare>;
    using Client = MapClient<Store>;

    static void *
    open()
    try {
        return new Store;
    } catch (const std::bad_alloc &) {
        return nullptr;
    }

    static void
    close(void *store)
    {
        delete static_cast<Store *>(store);
    }

    static void *
    attach(void *store)
    try {
        return new Client(store);
    } catch (const std::bad_alloc &) {
        return nullptr;
    }

    static void
    detach(void *client)
    {
        delete static_cast<Client *>(client);
    }

    BENCH_INLINE bool
    value_get(Client *client, const lk_key *key, std::size_t i, lk_bytes *value)
    {
        typename Store::const_accessor found;

        if (!client->store->find(found, Probe{key}))
            return false;
        client->keep(i, found->second, value);
        return true;
    }

    BENCH_INLINE bool
    get(void *client, const lk_key *key, lk_bytes *value)
    {
        return value_get(static_cast<Client *>(client), key, 0, value);
    }

    // No snapshot: key by key.
    BENCH_INLINE bool
    get_many(void *client, const lk_key *keys, std::size_t count, lk_bytes *values)
    {
        bool found = count <= BENCH_GROUP;

        for (std::size_t i = 0; found && i < count; i++)
            found = value_get(static_cast<Client *>(client), &keys[i], i, &values[i]);
        return found;
    }

    BENCH_INLINE bool
    set(void *client, const lk_item *put)
    try {
        typename Store::accessor place;

        if (!Sizes::fits(&put->key, put->data.size))
            return false;
        static_cast<Client *>(client)->store->insert(place, Probe{&put->key});
        place->second.assign(text_of(put->data));
        return true;
    } catch (const std::bad_alloc &) {
        return false;
    }

    static bool
    remove(void *client, const lk_key *key)
    {
        return static_cast<Client *>(client)->store->erase(Probe{key});
    }
};

using SizedMap = TbbMap<Sized>;
using FixedMap = TbbMap<Fixed>;

BENCH_LOOPS(sized_loops, SizedMap::get, SizedMap::get_many, SizedMap::set)
BENCH_LOOPS(fixed_loops, FixedMap::get, FixedMap::get_many, FixedMap::set)

const bench_contender contender_tbb_map = map_contender<SizedMap>(
    "tbb-map", "tbb::concurrent_hash_map, a lock in each element; no commits", 31, &sized_loops);

constexpr bench_contender
fixed_make()
{
    bench_contender contender = map_contender<FixedMap>(
        "tbb-fixed", "the same with keys and values of fixed size in its nodes", 33, &fixed_loops);
    contender.fixed_sizes = true;
    return contender;
}

const bench_contender contender_tbb_fixed = fixed_make();

} // namespace

BENCH_CONTENDER(contender_tbb_map)
BENCH_CONTENDER(contender_tbb_fixed)
