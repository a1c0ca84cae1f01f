// SPDX-License-Identifier: MIT
//
// libcuckoo's cuckoohash_map: two candidate buckets for each key, a spinlock for each group of
// buckets; values are copied out and assigned under two of them. No commits. Optional: built where
// its header is found.
#include "item_key.hpp"

#include <exception>
#include <libcuckoo/cuckoohash_map.hh>
#include <new>

namespace
{

struct Hash {
    template <typename Key>
    std::size_t
    operator()(const Key &key) const
    {
        return item_hash(key);
    }
};

struct Equal {
    template <typename Left, typename Right>
    bool
    operator()(const Left &left, const Right &right) const
    {
        return item_equal(left, right);
    }
};

using Store = libcuckoo::cuckoohash_map<ItemKey, std::string, Hash, Equal>;
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
    return client->store->find_fn(
        ItemProbe{key}, [=](const std::string &stored) { client->keep(i, stored, value); });
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
map_set(void *client, lk_key key, lk_bytes value)
try {
    std::string_view text = text_of(value);
    static_cast<Client *>(client)->store->upsert(
        ItemProbe{key}, [text](std::string &stored) { stored.assign(text); }, text);
    return true;
} catch (const std::exception &) {
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
    contender.name = "libcuckoo";
    contender.what = "libcuckoo::cuckoohash_map, striped spinlocks; no commits";
    contender.order = 32;
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

const bench_contender contender_libcuckoo = contender_make();

} // namespace

BENCH_CONTENDER(contender_libcuckoo)
