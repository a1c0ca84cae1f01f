// SPDX-License-Identifier: MIT
//
// libcuckoo's cuckoohash_map: two candidate buckets for each key, a spinlock for each group of
// buckets; values are copied out and assigned under two of them. No commits. libcuckoo has strings
// for keys and values, libcuckoo-fixed arrays.
// Needs: header libcuckoo/cuckoohash_map.hh
#include "contenders/parts/maps.hpp"

#include <libcuckoo/cuckoohash_map.hh>

template <typename Sizes> struct CuckooMap {
    using Probe = typename Sizes::Probe;
    using Value = typename Sizes::Value;
    libcuckoo::cuckoohash_map<typename Sizes::Key, Value, KeyHash, KeyEqual> map;

    template <typename Keep>
    __attribute__((always_inline)) inline bool
    read(const lk_key *key, Keep keep)
    {
        return map.find_fn(Probe{key}, [=](const Value &stored) { keep(stored); });
    }

    __attribute__((always_inline)) inline bool
    set(const lk_key *key, std::string_view text)
    {
        if (!Sizes::fits(key, text.size()))
            return false;
        map.upsert(
            Probe{key}, [text](Value &stored) { stored.assign(text); }, text);
        return true;
    }

    bool
    remove(const lk_key *key)
    {
        return map.erase(Probe{key});
    }
};

BENCH_MAP(libcuckoo_sized, CuckooMap<Sized>, .name = "libcuckoo",
          .what = "libcuckoo::cuckoohash_map, striped spinlocks; no commits", .order = 32)
BENCH_MAP(libcuckoo_fixed, CuckooMap<Fixed>, .name = "libcuckoo-fixed",
          .what = "the same with keys and values of fixed size in its table", .order = 34,
          .fixed_sizes = true)
