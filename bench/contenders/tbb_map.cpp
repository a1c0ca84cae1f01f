// SPDX-License-Identifier: MIT
//
// tbb::concurrent_hash_map of oneTBB: a reader-writer lock in each element, held by accessors;
// values are copied out and assigned under it. No commits. tbb-map has strings for keys and values,
// tbb-fixed arrays.
// Needs: pkg-config tbb
#include "contenders/parts/maps.hpp"

#include <tbb/concurrent_hash_map.h>

struct HashCompare {
    using is_transparent = void;

    template <typename Key>
    std::size_t
    hash(const Key &key) const
    {
        return KeyHash()(key);
    }
    template <typename Left, typename Right>
    bool
    equal(const Left &left, const Right &right) const
    {
        return KeyEqual()(left, right);
    }
};

template <typename Sizes> struct TbbMap {
    using Probe = typename Sizes::Probe;
    using Map = tbb::concurrent_hash_map<typename Sizes::Key, typename Sizes::Value, HashCompare>;
    Map map;

    template <typename Keep>
    __attribute__((always_inline)) inline bool
    read(const lk_key *key, Keep keep)
    {
        typename Map::const_accessor found;

        if (!map.find(found, Probe{key}))
            return false;
        keep(found->second);
        return true;
    }

    __attribute__((always_inline)) inline bool
    set(const lk_key *key, std::string_view text)
    {
        typename Map::accessor place;

        if (!Sizes::fits(key, text.size()))
            return false;
        map.insert(place, Probe{key});
        place->second.assign(text);
        return true;
    }

    bool
    remove(const lk_key *key)
    {
        return map.erase(Probe{key});
    }
};

BENCH_MAP(tbb_sized, TbbMap<Sized>, .name = "tbb-map",
          .what = "tbb::concurrent_hash_map, a lock in each element; no commits", .order = 31)
BENCH_MAP(tbb_fixed, TbbMap<Fixed>, .name = "tbb-fixed",
          .what = "the same with keys and values of fixed size in its nodes", .order = 33,
          .fixed_sizes = true)
