// SPDX-License-Identifier: MIT
//
// What a C++ programmer writes where order counts: a std::map per partition under a
// std::shared_mutex, found through striped directories of partitions. A partition is never removed,
// so that a pointer to it outlives its directory's latch. std::map-one: one std::map of all under
// one std::shared_mutex.
#include "contenders/parts/maps.hpp"

#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

constexpr std::size_t DirectoryCount = 64;

// A std::map under a lock, with any kind of key that can be looked for as a Probe.
template <typename Key, typename Less> struct LockedMap {
    std::shared_mutex latch;
    std::map<Key, std::string, Less> items;

    template <typename Probe, typename Keep>
    __attribute__((always_inline)) inline bool
    read(const Probe &probe, Keep keep)
    {
        std::shared_lock guard(latch);
        auto found = items.find(probe);
        if (found != items.end())
            keep(found->second);
        return found != items.end();
    }

    template <typename Probe>
    __attribute__((always_inline)) inline bool
    set(const Probe &probe, std::string_view text)
    {
        std::unique_lock guard(latch);
        auto place = items.lower_bound(probe);
        if (place != items.end() && !Less()(probe, place->first))
            place->second.assign(text);
        else
            items.emplace_hint(place, probe, text);
        return true;
    }

    template <typename Probe>
    bool
    remove(const Probe &probe)
    {
        std::unique_lock guard(latch);
        auto found = items.find(probe);
        if (found == items.end())
            return false;
        items.erase(found);
        return true;
    }
};

// ---- a map per partition -------------------------------------------------------------------------

struct TextHash {
    using is_transparent = void;
    std::size_t
    operator()(std::string_view text) const
    {
        return std::hash<std::string_view>()(text);
    }
};

struct Partitions {
    using Partition = LockedMap<std::string, std::less<>>;
    struct alignas(BENCH_LINE) Directory {
        std::shared_mutex latch;
        std::unordered_map<std::string, std::unique_ptr<Partition>, TextHash, std::equal_to<>>
            partitions;
    };
    std::array<Directory, DirectoryCount> directories;

    Directory &
    directory(std::string_view pk)
    {
        return directories[TextHash()(pk) >> 32 & (DirectoryCount - 1)];
    }

    Partition *
    find(std::string_view pk)
    {
        Directory &place = directory(pk);
        std::shared_lock guard(place.latch);
        auto found = place.partitions.find(pk);
        return found == place.partitions.end() ? nullptr : found->second.get();
    }

    Partition *
    find_or_add(std::string_view pk)
    {
        if (Partition *partition = find(pk))
            return partition;
        Directory &place = directory(pk);
        std::unique_lock guard(place.latch);
        std::unique_ptr<Partition> &slot = place.partitions[std::string(pk)];
        if (!slot)
            slot = std::make_unique<Partition>();
        return slot.get();
    }

    template <typename Keep>
    __attribute__((always_inline)) inline bool
    read(const lk_key *key, Keep keep)
    {
        Partition *partition = find(text_of(key->pk));
        return partition != nullptr && partition->read(text_of(key->sk), keep);
    }

    __attribute__((always_inline)) inline bool
    set(const lk_key *key, std::string_view text)
    {
        return find_or_add(text_of(key->pk))->set(text_of(key->sk), text);
    }

    bool
    remove(const lk_key *key)
    {
        Partition *partition = find(text_of(key->pk));
        return partition != nullptr && partition->remove(text_of(key->sk));
    }

    template <typename Keep>
    void
    scan(const lk_query *query, Keep keep)
    {
        Partition *partition = find(text_of(query->pk));
        std::string_view prefix = text_of(query->sk_prefix), after = text_of(query->after);
        if (partition == nullptr)
            return;
        std::shared_lock guard(partition->latch);
        auto &items = partition->items;
        auto at = after.empty() ? items.lower_bound(prefix) : items.upper_bound(after);
        for (std::size_t count = 0;
             at != items.end() && (query->limit == 0 || count < query->limit); ++at, ++count) {
            if (at->first.compare(0, prefix.size(), prefix) != 0)
                break;
            keep(at->first, at->second);
        }
    }
};

BENCH_MAP(map_partitions, Partitions, .name = "std::map",
          .what = "a std::map per partition under a std::shared_mutex (C++)", .order = 30)

// ---- one map of all ------------------------------------------------------------------------------

struct PairLess {
    using is_transparent = void;
    template <typename Left, typename Right>
    bool
    operator()(const Left &left, const Right &right) const
    {
        int order = std::string_view(left.first).compare(std::string_view(right.first));
        return order != 0 ? order < 0
                          : std::string_view(left.second) < std::string_view(right.second);
    }
};

struct MapOfAll {
    using Probe = std::pair<std::string_view, std::string_view>;
    LockedMap<std::pair<std::string, std::string>, PairLess> map;

    static Probe
    probe(const lk_key *key)
    {
        return {text_of(key->pk), text_of(key->sk)};
    }

    template <typename Keep>
    __attribute__((always_inline)) inline bool
    read(const lk_key *key, Keep keep)
    {
        return map.read(probe(key), keep);
    }

    __attribute__((always_inline)) inline bool
    set(const lk_key *key, std::string_view text)
    {
        return map.set(probe(key), text);
    }

    bool
    remove(const lk_key *key)
    {
        return map.remove(probe(key));
    }
};

BENCH_MAP(map_of_all, MapOfAll, .name = "std::map-one",
          .what = "one std::map of all items under a std::shared_mutex (C++)", .order = 30)
