// SPDX-License-Identifier: MIT
//
// How a transaction ends: with the status of its change, whatever that is, unless the change says
// LK_OK; then with that of the commit. Only a race of the commit begins it anew: an order is taken
// only as long as there is stock, however many take one.
#include <latchkey/latchkey.hpp>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace
{

const lk_key stock = lk_key_of("shop", "stock");

/* LK_NOT_FOUND: sold out. LK_RACE, of the change itself: somebody else is preferred; it is not
 * tried again. */
lk_status
take_one(const latchkey::database &db, bool gives_way, int &calls)
{
    std::string left;
    return db.transact({stock}, [&](const latchkey::result &items, std::vector<lk_write> &writes) {
        calls++;
        const lk_item *item = lk_result_item(items.get(), 0);
        long now = item == nullptr
                       ? 0
                       : std::stol(std::string(static_cast<const char *>(item->data.data),
                                               item->data.size));
        if (now == 0)
            return LK_NOT_FOUND;
        if (gives_way)
            return LK_RACE;
        left = std::to_string(now - 1);
        writes.push_back(
            latchkey::put({stock, {left.data(), left.size()}, db.expires_in(LK_HOURS(1))}));
        return LK_OK;
    });
}

} // namespace

int
main()
{
    enum { THREADS = 4, EACH = 100, STOCK = 250 };
    lk_db *opened = nullptr;
    if (lk_memory_open(nullptr, &opened) != LK_OK)
        return 1;
    latchkey::database db(opened);
    std::string all = std::to_string(STOCK);
    if (db.set({stock, {all.data(), all.size()}, 0}) != LK_OK)
        return 1;

    int calls = 0;
    if (take_one(db, true, calls) != LK_RACE || calls != 1)
        return 1;

    long sold[THREADS] = {}, refused[THREADS] = {};
    std::vector<std::thread> threads;
    for (int i = 0; i < THREADS; i++)
        threads.emplace_back([&, i] {
            for (int j = 0; j < EACH; j++) {
                int tries = 0;
                lk_status status = take_one(db, false, tries);
                sold[i] += status == LK_OK;
                refused[i] += status == LK_NOT_FOUND;
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    long sum = 0, rest = 0;
    for (int i = 0; i < THREADS; i++) {
        sum += sold[i];
        rest += refused[i];
    }
    std::printf("%ld sold, %ld refused\n", sum, rest);
    return sum == STOCK && rest == THREADS * EACH - STOCK ? 0 : 1;
}
