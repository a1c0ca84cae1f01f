// SPDX-License-Identifier: MIT
//
// What a C++ programmer writes where order counts: a std::map per partition under a
// std::shared_mutex, found through striped directories of partitions. A partition is never removed,
// so that a pointer to it outlives its directory's latch.
#include "contenders/parts/maps.hpp"

#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

constexpr std::size_t DirectoryCount = 64;

struct Partition {
    std::shared_mutex latch;
    std::map<std::string, std::string, std::less<>> items;
};

struct TextHash {
    using is_transparent = void;
    std::size_t
    operator()(std::string_view text) const
    {
        return std::hash<std::string_view>()(text);
    }
};

struct Partitions {
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
        if (partition == nullptr)
            return false;
        std::shared_lock guard(partition->latch);
        auto found = partition->items.find(text_of(key->sk));
        if (found == partition->items.end())
            return false;
        keep(found->second);
        return true;
    }

    __attribute__((always_inline)) inline bool
    set(const lk_key *key, std::string_view text)
    {
        Partition *partition = find_or_add(text_of(key->pk));
        std::unique_lock guard(partition->latch);
        auto place = partition->items.lower_bound(text_of(key->sk));
        if (place != partition->items.end() && place->first == text_of(key->sk))
            place->second.assign(text);
        else
            partition->items.emplace_hint(place, text_of(key->sk), text);
        return true;
    }

    bool
    remove(const lk_key *key)
    {
        Partition *partition = find(text_of(key->pk));
        if (partition == nullptr)
            return false;
        std::unique_lock guard(partition->latch);
        auto found = partition->items.find(text_of(key->sk));
        if (found == partition->items.end())
            return false;
        partition->items.erase(found);
        return true;
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
