// SPDX-License-Identifier: MIT
//
// What a C++ programmer writes where order counts: a std::map per partition under a
// std::shared_mutex, found through striped directories of partitions. A partition is never removed,
// so that a pointer to it outlives its directory's latch. std::map-one: one std::map of all under
// one std::shared_mutex.
#include "driver/loops.h"

#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace
{

constexpr std::size_t DirectoryCount = 64;

std::string_view
text_of(lk_bytes bytes)
{
    return {static_cast<const char *>(bytes.data), bytes.size};
}

lk_bytes
bytes_of(std::string_view text)
{
    return {text.data(), text.size()};
}

struct Partition {
    std::shared_mutex latch;
    std::map<std::string, std::string, std::less<>> items;
};

using Probe = std::pair<std::string_view, std::string_view>;

Probe
probe_of(const lk_key *key)
{
    return {text_of(key->pk), text_of(key->sk)};
}

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

struct TextHash {
    using is_transparent = void;
    std::size_t
    operator()(std::string_view text) const
    {
        return std::hash<std::string_view>()(text);
    }
};

struct alignas(BENCH_LINE) Directory {
    std::shared_mutex latch;
    std::unordered_map<std::string, std::unique_ptr<Partition>, TextHash, std::equal_to<>>
        partitions;
};

struct Store {
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
};

struct Row {
    std::size_t sk_size, value_size;
};

struct Client {
    Store *store;
    std::string copy;
    std::vector<Row> rows;
};

void *
map_open()
{
    return new (std::nothrow) Store;
}

void
map_close(void *store)
{
    delete static_cast<Store *>(store);
}

void *
map_attach(void *store)
{
    return new (std::nothrow) Client{static_cast<Store *>(store), {}, {}};
}

void
map_detach(void *client)
{
    delete static_cast<Client *>(client);
}

BENCH_INLINE bool
map_get(void *handle, const lk_key *key, lk_bytes *value)
{
    Client *client = static_cast<Client *>(handle);
    Partition *partition = client->store->find(text_of(key->pk));
    if (partition == nullptr)
        return false;
    std::shared_lock guard(partition->latch);
    auto found = partition->items.find(text_of(key->sk));
    if (found == partition->items.end())
        return false;
    client->copy.assign(found->second);
    *value = bytes_of(client->copy);
    return true;
}

BENCH_INLINE bool
map_set(void *handle, const lk_item *put)
try {
    const lk_key *key = &put->key;
    lk_bytes value = put->data;
    Client *client = static_cast<Client *>(handle);
    Partition *partition = client->store->find_or_add(text_of(key->pk));
    std::unique_lock guard(partition->latch);
    auto place = partition->items.lower_bound(text_of(key->sk));
    if (place != partition->items.end() && place->first == text_of(key->sk))
        place->second.assign(text_of(value));
    else
        partition->items.emplace_hint(place, text_of(key->sk), text_of(value));
    return true;
} catch (const std::bad_alloc &) {
    return false;
}

bool
map_remove(void *handle, const lk_key *key)
{
    Client *client = static_cast<Client *>(handle);
    Partition *partition = client->store->find(text_of(key->pk));
    if (partition == nullptr)
        return false;
    std::unique_lock guard(partition->latch);
    auto found = partition->items.find(text_of(key->sk));
    if (found == partition->items.end())
        return false;
    partition->items.erase(found);
    return true;
}

// Copies the rows out under the latch, one after the other in one buffer; visits them after it.
std::size_t
map_scan(void *handle, const lk_query *query, bench_visit *visit, void *context)
{
    Client *client = static_cast<Client *>(handle);
    Partition *partition = client->store->find(text_of(query->pk));
    std::string_view prefix = text_of(query->sk_prefix), after = text_of(query->after);
    if (partition == nullptr)
        return 0;
    client->copy.clear();
    client->rows.clear();
    {
        std::shared_lock guard(partition->latch);
        auto &items = partition->items;
        auto at = after.empty() ? items.lower_bound(prefix) : items.upper_bound(after);
        for (; at != items.end() && at->first.compare(0, prefix.size(), prefix) == 0; ++at) {
            if (query->limit != 0 && client->rows.size() == query->limit)
                break;
            client->copy.append(at->first).append(at->second);
            client->rows.push_back({at->first.size(), at->second.size()});
        }
    }
    const char *bytes = client->copy.data();
    for (const Row &row : client->rows) {
        visit(context, {bytes, row.sk_size}, {bytes + row.sk_size, row.value_size});
        bytes += row.sk_size + row.value_size;
    }
    return client->rows.size();
}

BENCH_LOOPS(map_loops, map_get, NULL, map_set)

// ---- one map of all ----

struct OneStore {
    std::shared_mutex latch;
    std::map<std::pair<std::string, std::string>, std::string, PairLess> items;
};

struct OneClient {
    OneStore *store;
    std::string copy;
};

void *
one_open()
{
    return new (std::nothrow) OneStore;
}

void
one_close(void *store)
{
    delete static_cast<OneStore *>(store);
}

void *
one_attach(void *store)
{
    return new (std::nothrow) OneClient{static_cast<OneStore *>(store), {}};
}

void
one_detach(void *client)
{
    delete static_cast<OneClient *>(client);
}

BENCH_INLINE bool
one_get(void *handle, const lk_key *key, lk_bytes *value)
{
    OneClient *client = static_cast<OneClient *>(handle);
    std::shared_lock guard(client->store->latch);
    auto found = client->store->items.find(probe_of(key));
    if (found == client->store->items.end())
        return false;
    client->copy.assign(found->second);
    *value = bytes_of(client->copy);
    return true;
}

BENCH_INLINE bool
one_set(void *handle, const lk_item *put)
try {
    OneStore *store = static_cast<OneClient *>(handle)->store;
    std::unique_lock guard(store->latch);
    auto place = store->items.lower_bound(probe_of(&put->key));
    if (place != store->items.end() && !PairLess()(probe_of(&put->key), place->first))
        place->second.assign(text_of(put->data));
    else
        store->items.emplace_hint(place, probe_of(&put->key), text_of(put->data));
    return true;
} catch (const std::bad_alloc &) {
    return false;
}

bool
one_remove(void *handle, const lk_key *key)
{
    OneStore *store = static_cast<OneClient *>(handle)->store;
    std::unique_lock guard(store->latch);
    auto found = store->items.find(probe_of(key));
    if (found == store->items.end())
        return false;
    store->items.erase(found);
    return true;
}

BENCH_LOOPS(one_loops, one_get, NULL, one_set)

constexpr bench_contender
one_make()
{
    bench_contender contender{};
    contender.name = "std::map-one";
    contender.what = "one std::map of all items under a std::shared_mutex (C++)";
    contender.order = 30;
    contender.open = one_open;
    contender.close = one_close;
    contender.attach = one_attach;
    contender.detach = one_detach;
    contender.get = one_get;
    contender.set = one_set;
    contender.remove = one_remove;
    contender.loops = &one_loops;
    return contender;
}

const bench_contender contender_map_one = one_make();

constexpr bench_contender
contender_make()
{
    bench_contender contender{};
    contender.name = "std::map";
    contender.what = "a std::map per partition under a std::shared_mutex (C++)";
    contender.order = 30;
    contender.open = map_open;
    contender.close = map_close;
    contender.attach = map_attach;
    contender.detach = map_detach;
    contender.get = map_get;
    contender.set = map_set;
    contender.remove = map_remove;
    contender.scan = map_scan;
    contender.loops = &map_loops;
    return contender;
}

const bench_contender contender_map = contender_make();

} // namespace

BENCH_CONTENDER(contender_map)
BENCH_CONTENDER(contender_map_one)
