// SPDX-License-Identifier: MIT
//
// libcuckoo's cuckoohash_map: two candidate buckets for each key, a spinlock for each group of
// buckets; values are copied out and assigned under two of them. No commits. libcuckoo has strings
// for keys and values, libcuckoo-fixed arrays.
// Needs: header libcuckoo/cuckoohash_map.hh
#include "contenders/parts/item_key.hpp"

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

template <typename Sizes> struct CuckooMap {
    using Probe = typename Sizes::Probe;
    using Value = typename Sizes::Value;
    using Store = libcuckoo::cuckoohash_map<typename Sizes::Key, Value, Hash, Equal>;
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
        return client->store->find_fn(Probe{key},
                                      [=](const Value &stored) { client->keep(i, stored, value); });
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
        std::string_view text = text_of(put->data);

        if (!Sizes::fits(&put->key, put->data.size))
            return false;
        static_cast<Client *>(client)->store->upsert(
            Probe{&put->key}, [text](Value &stored) { stored.assign(text); }, text);
        return true;
    } catch (const std::exception &) {
        return false;
    }

    static bool
    remove(void *client, const lk_key *key)
    {
        return static_cast<Client *>(client)->store->erase(Probe{key});
    }
};

using SizedMap = CuckooMap<Sized>;
using FixedMap = CuckooMap<Fixed>;

BENCH_LOOPS(sized_loops, SizedMap::get, SizedMap::get_many, SizedMap::set)
BENCH_LOOPS(fixed_loops, FixedMap::get, FixedMap::get_many, FixedMap::set)

const bench_contender contender_libcuckoo = map_contender<SizedMap>(
    "libcuckoo", "libcuckoo::cuckoohash_map, striped spinlocks; no commits", 32, &sized_loops);

constexpr bench_contender
fixed_make()
{
    bench_contender contender = map_contender<FixedMap>(
        "libcuckoo-fixed", "the same with keys and values of fixed size in its table", 34,
        &fixed_loops);
    contender.fixed_sizes = true;
    return contender;
}

const bench_contender contender_libcuckoo_fixed = fixed_make();

} // namespace

BENCH_CONTENDER(contender_libcuckoo)
BENCH_CONTENDER(contender_libcuckoo_fixed)
