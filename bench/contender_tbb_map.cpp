// SPDX-License-Identifier: MIT
//
// tbb::concurrent_hash_map of oneTBB: a reader-writer lock in each element, held by accessors;
// values are copied out and assigned under it. No commits. Its queue is in contender_tbb.cpp.
// Optional: built where the library is found.
#include "item_key.hpp"

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

using Store = tbb::concurrent_hash_map<ItemKey, std::string, HashCompare>;
using Client = MapClient<Store>;

void *
map_open()
try {
    return new Store;
} catch (const std::bad_alloc &) {
    return nullptr;
}

void
map_close(void *store)
{
    delete static_cast<Store *>(store);
}

void *
map_attach(void *store)
{
    return new (std::nothrow) Client{static_cast<Store *>(store), {}};
}

void
map_detach(void *client)
{
    delete static_cast<Client *>(client);
}

bool
value_get(Client *client, lk_key key, std::size_t i, lk_bytes *value)
{
    Store::const_accessor found;

    if (!client->store->find(found, ItemProbe{key}))
        return false;
    client->keep(i, found->second, value);
    return true;
}

bool
map_get(void *client, lk_key key, lk_bytes *value)
{
    return value_get(static_cast<Client *>(client), key, 0, value);
}

// No snapshot: key by key.
bool
map_get_many(void *client, const lk_key *keys, std::size_t count, lk_bytes *values)
{
    for (std::size_t i = 0; i < count; i++)
        if (i == BENCH_GROUP || !value_get(static_cast<Client *>(client), keys[i], i, &values[i]))
            return false;
    return true;
}

bool
map_set(void *handle, lk_key key, lk_bytes value)
try {
    Client *client = static_cast<Client *>(handle);
    Store::accessor place;

    client->store->insert(place, ItemProbe{key});
    place->second.assign(text_of(value));
    return true;
} catch (const std::bad_alloc &) {
    return false;
}

bool
map_remove(void *client, lk_key key)
{
    return static_cast<Client *>(client)->store->erase(ItemProbe{key});
}

constexpr bench_contender
contender_make()
{
    bench_contender contender{};
    contender.name = "tbb-map";
    contender.what = "tbb::concurrent_hash_map, a lock in each element; no commits";
    contender.order = 31;
    contender.open = map_open;
    contender.close = map_close;
    contender.attach = map_attach;
    contender.detach = map_detach;
    contender.get = map_get;
    contender.get_many = map_get_many;
    contender.set = map_set;
    contender.remove = map_remove;
    return contender;
}

const bench_contender contender_tbb_map = contender_make();

} // namespace

BENCH_CONTENDER(contender_tbb_map)
