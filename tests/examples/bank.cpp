/* SPDX-License-Identifier: MIT
 *
 * A bank in C++17: accounts, transfers from several threads, and a ledger that a queue carries. A
 * transfer and its entry in the ledger happen both or not at all.
 */
#include <latchkey/latchkey.hpp>

#include <array>
#include <cassert>
#include <charconv>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace
{

constexpr long FIRST = 1000;
constexpr int TRANSFERS = 500, TELLERS = 4;

long
balance_of(const lk_item *item)
{
    long balance = 0;
    if (item != nullptr) {
        std::string_view text = latchkey::view(item->data);
        std::from_chars(text.data(), text.data() + text.size(), balance);
    }
    return balance;
}

/* Moves money. LK_NOT_FOUND: an account is not there; LK_EMPTY: not enough on it. */
lk_status
transfer(const latchkey::database &db, std::string_view from, std::string_view to, long amount)
{
    const std::vector<lk_key> accounts = {latchkey::key("account", from),
                                          latchkey::key("account", to)};
    std::string debit, credit, entry;
    return db.transact(accounts, [&](const latchkey::result &items, std::vector<lk_write> &writes) {
        if (items[0] == nullptr || items[1] == nullptr)
            return LK_NOT_FOUND;
        if (balance_of(items[0]) < amount)
            return LK_EMPTY;
        debit = std::to_string(balance_of(items[0]) - amount);
        credit = std::to_string(balance_of(items[1]) + amount);
        entry = std::string(from) + " -> " + std::string(to) + ": " + std::to_string(amount);
        writes.push_back(latchkey::put(latchkey::item("account", from, debit)));
        writes.push_back(latchkey::put(latchkey::item("account", to, credit)));
        writes.push_back(latchkey::push(latchkey::item("ledger", {}, entry)));
        return LK_OK;
    });
}

/* Takes the entries out until the queue is closed and empty. How many there were. */
int
ledger_write(const latchkey::database &db)
{
    latchkey::result jobs;
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = latchkey::bytes("ledger");
    options.max_jobs = 16;
    options.wait_ms = -1;
    int written = 0;
    while (db.pull(options, jobs) == LK_OK)
        for (auto job = jobs.begin(); job != jobs.end(); ++job)
            written += db.acknowledge(*jobs.claim(job.index())) == LK_OK;
    return written;
}

long
sum_of(const latchkey::database &db)
{
    latchkey::stream accounts;
    lk_item item;
    long sum = 0;
    lk_status status = db.open_stream(latchkey::query_of("account"), accounts);
    assert(status == LK_OK);
    (void)status;
    while (accounts.next(item) == LK_OK)
        sum += balance_of(&item);
    return sum;
}

} // namespace

int
main()
{
    const std::array<std::string, 3> names = {"alice", "bob", "carol"};
    latchkey::database opened;
    if (latchkey::database::open_memory(opened) != LK_OK)
        return 1;
    latchkey::database db = std::move(opened);
    assert(!opened && db);

    std::vector<lk_item> accounts;
    const std::string first = std::to_string(FIRST);
    for (const std::string &name : names)
        accounts.push_back(latchkey::item("account", name, first));
    if (db.set(accounts) != LK_OK)
        return 1;

    int written = 0;
    std::thread clerk([&] { written = ledger_write(db); });
    std::vector<std::thread> tellers;
    std::array<int, TELLERS> done{};
    for (std::size_t t = 0; t < TELLERS; t++)
        tellers.emplace_back([&, t] {
            for (std::size_t i = 0; i < TRANSFERS; i++) {
                const std::string &from = names[(t + i) % 3], &to = names[(t + i + 1 + i % 2) % 3];
                done[t] += transfer(db, from, to, 1 + static_cast<long>(i % 7)) == LK_OK;
            }
        });
    for (std::thread &teller : tellers)
        teller.join();
    if (db.close_queue("ledger") != LK_OK)
        return 1;
    clerk.join();

    int transfers = 0;
    for (int each : done)
        transfers += each;
    std::printf("%d transfers, %d in the ledger, %ld in all\n", transfers, written, sum_of(db));
    if (written != transfers || sum_of(db) != 3 * FIRST)
        return 1;
    if (transfer(db, "alice", "nobody", 1) != LK_NOT_FOUND ||
        transfer(db, "alice", "bob", 1 << 20) != LK_EMPTY)
        return 1;

    /* Holes, and reads where the items lie. */
    latchkey::result result;
    if (db.get_many({latchkey::key("account", "dave"), latchkey::key("account", "bob")}, result) !=
            LK_OK ||
        result.size() != 2 || result[0] != nullptr || result.begin().index() != 1)
        return 1;
    latchkey::read_section section(db);
    lk_item item;
    if (section.view(latchkey::key("account", "bob"), item) != LK_OK ||
        latchkey::view(item.data) != latchkey::view(result[1]->data))
        return 1;
    return 0;
}
