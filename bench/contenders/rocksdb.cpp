// SPDX-License-Identifier: MIT
//
// RocksDB with optimistic transactions: a log-structured store on files, here in memory, without a
// write-ahead log and without compression. A read for a commit notes the sequence number of each
// key; the commit fails where a key has a newer one.
// Needs: pkg-config rocksdb
#include "contenders/parts/scratch.h"

#include "driver/bench.h"

#include <memory>
#include <new>
#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/optimistic_transaction_db.h>
#include <rocksdb/utilities/transaction.h>
#include <string>

namespace
{

constexpr std::size_t BufferSize = std::size_t{128} << 20;
constexpr std::size_t CacheSize = std::size_t{512} << 20;

struct Store {
    scratch folder;
    rocksdb::OptimisticTransactionDB *db;
};

struct Client {
    rocksdb::OptimisticTransactionDB *db;
    rocksdb::ReadOptions reading;
    rocksdb::WriteOptions writing;
    std::unique_ptr<rocksdb::Transaction> transaction; // used again and again
    std::string keys[BENCH_GROUP];
    rocksdb::PinnableSlice values[BENCH_GROUP];
};

rocksdb::Slice
slice_of(lk_bytes bytes)
{
    return {static_cast<const char *>(bytes.data), bytes.size};
}

// {size of pk, pk, sk}: items of a partition are neighbours, in the order of sk.
void
key_write(std::string &text, lk_bytes pk, lk_bytes sk)
{
    text.clear();
    text.push_back(static_cast<char>(pk.size >> 8));
    text.push_back(static_cast<char>(pk.size & 255));
    text.append(static_cast<const char *>(pk.data), pk.size);
    if (sk.size != 0)
        text.append(static_cast<const char *>(sk.data), sk.size);
}

void *
rocks_open()
try {
    auto store = std::make_unique<Store>();
    rocksdb::Options options;
    rocksdb::BlockBasedTableOptions table;

    table.block_cache = rocksdb::NewLRUCache(CacheSize);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.create_if_missing = true;
    options.write_buffer_size = BufferSize;
    options.compression = rocksdb::kNoCompression;
    options.info_log_level = rocksdb::FATAL_LEVEL;
    if (!scratch_open(&store->folder))
        return nullptr;
    if (rocksdb::OptimisticTransactionDB::Open(options, store->folder.path, &store->db).ok())
        return store.release();
    scratch_remove(&store->folder);
    return nullptr;
} catch (const std::bad_alloc &) {
    return nullptr;
}

void
rocks_close(void *handle)
{
    std::unique_ptr<Store> store(static_cast<Store *>(handle));

    delete store->db;
    scratch_remove(&store->folder);
}

void *
rocks_attach(void *store)
{
    Client *client = new (std::nothrow) Client;

    if (client == nullptr)
        return nullptr;
    client->db = static_cast<Store *>(store)->db;
    client->writing.disableWAL = true;
    return client;
}

void
rocks_detach(void *client)
{
    delete static_cast<Client *>(client);
}

void
value_give(Client *client, std::size_t i, lk_bytes *value)
{
    *value = {client->values[i].data(), client->values[i].size()};
}

bool
rocks_get(void *handle, const lk_key *key, lk_bytes *value)
{
    Client *client = static_cast<Client *>(handle);

    key_write(client->keys[0], key->pk, key->sk);
    client->values[0].Reset();
    if (!client->db
             ->Get(client->reading, client->db->DefaultColumnFamily(), client->keys[0],
                   &client->values[0])
             .ok())
        return false;
    value_give(client, 0, value);
    return true;
}

bool
rocks_get_many(void *handle, const lk_key *keys, std::size_t count, lk_bytes *values)
{
    Client *client = static_cast<Client *>(handle);
    rocksdb::Slice slices[BENCH_GROUP];
    rocksdb::Status statuses[BENCH_GROUP];

    if (count > BENCH_GROUP)
        return false;
    for (std::size_t i = 0; i < count; i++) {
        key_write(client->keys[i], keys[i].pk, keys[i].sk);
        slices[i] = client->keys[i];
        client->values[i].Reset();
    }
    client->db->MultiGet(client->reading, client->db->DefaultColumnFamily(), count, slices,
                         client->values, statuses);
    for (std::size_t i = 0; i < count; i++) {
        if (!statuses[i].ok())
            return false;
        value_give(client, i, &values[i]);
    }
    return true;
}

bool
rocks_set(void *handle, const lk_item *put)
{
    const lk_key *key = &put->key;
    lk_bytes value = put->data;
    Client *client = static_cast<Client *>(handle);

    key_write(client->keys[0], key->pk, key->sk);
    return client->db->Put(client->writing, client->keys[0], slice_of(value)).ok();
}

bool
rocks_remove(void *handle, const lk_key *key)
{
    Client *client = static_cast<Client *>(handle);

    key_write(client->keys[0], key->pk, key->sk);
    return client->db->Delete(client->writing, client->keys[0]).ok();
}

bool
rocks_read(void *handle, const lk_key *keys, std::size_t count, lk_bytes *values)
{
    Client *client = static_cast<Client *>(handle);
    rocksdb::ColumnFamilyHandle *family = client->db->DefaultColumnFamily();

    if (count > BENCH_GROUP)
        return false;
    rocksdb::Transaction *again = client->transaction.release();
    client->transaction.reset(client->db->BeginTransaction(
        client->writing, rocksdb::OptimisticTransactionOptions(), again));
    for (std::size_t i = 0; i < count; i++) {
        key_write(client->keys[i], keys[i].pk, keys[i].sk);
        client->values[i].Reset();
        if (!client->transaction
                 ->GetForUpdate(client->reading, family, client->keys[i], &client->values[i])
                 .ok())
            return false;
        value_give(client, i, &values[i]);
    }
    return true;
}

// TryAgain: the buffers that are kept do not reach back far enough to tell.
bench_commit
rocks_commit(void *handle, const lk_key *, std::size_t count, const lk_bytes *values)
{
    Client *client = static_cast<Client *>(handle);

    for (std::size_t i = 0; i < count; i++)
        if (!client->transaction->Put(client->keys[i], slice_of(values[i])).ok())
            return BENCH_FAILED;
    rocksdb::Status status = client->transaction->Commit();
    if (status.ok())
        return BENCH_COMMITTED;
    return status.IsBusy() || status.IsTryAgain() ? BENCH_RACED : BENCH_FAILED;
}

std::size_t
rocks_scan(void *handle, const lk_query *query, bench_visit *visit, void *context)
{
    Client *client = static_cast<Client *>(handle);
    std::string &prefix = client->keys[0], &from = client->keys[1];
    std::size_t partition = 2 + query->pk.size, count = 0;

    key_write(prefix, query->pk, query->sk_prefix);
    key_write(from, query->pk, query->after.size != 0 ? query->after : query->sk_prefix);
    if (from < prefix)
        from = prefix;
    std::unique_ptr<rocksdb::Iterator> at(client->db->NewIterator(client->reading));
    at->Seek(from);
    if (query->after.size != 0 && at->Valid() && at->key() == rocksdb::Slice(from))
        at->Next();
    for (; at->Valid() && at->key().starts_with(prefix); at->Next()) {
        if (query->limit != 0 && count == query->limit)
            break;
        rocksdb::Slice sk = at->key(), value = at->value();
        sk.remove_prefix(partition);
        visit(context, {sk.data(), sk.size()}, {value.data(), value.size()});
        count++;
    }
    return count;
}

constexpr bench_contender
contender_make()
{
    bench_contender contender{};
    contender.name = "rocksdb";
    contender.what = "RocksDB, optimistic transactions, files in memory, no log";
    contender.order = 40;
    contender.open = rocks_open;
    contender.close = rocks_close;
    contender.attach = rocks_attach;
    contender.detach = rocks_detach;
    contender.get = rocks_get;
    contender.get_many = rocks_get_many;
    contender.set = rocks_set;
    contender.remove = rocks_remove;
    contender.read = rocks_read;
    contender.commit = rocks_commit;
    contender.scan = rocks_scan;
    return contender;
}

const bench_contender contender_rocksdb = contender_make();

} // namespace

BENCH_CONTENDER(contender_rocksdb)
