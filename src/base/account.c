/* SPDX-License-Identifier: MIT
 *
 * Accounts and purses (account.h).
 *
 * Invariants  I-account1: `taken` is the sum of all that is allocated and all that the purses hold.
 */
#include "base/account.h"

enum {
    PORTION_MAX = 128 << 10,
    PORTIONS = 1024, /* of a limit */
    RESERVE = 32,    /* exempt calls have a 32nd of the bound and RESERVE_MORE */
    RESERVE_MORE = 32 << 10
};

lki_purse lki_purse_none;

void
lki_account_open(lki_account *account, uint64_t max_bytes)
{
    uint64_t reserve = max_bytes / RESERVE + RESERVE_MORE;
    account->limit = account->most = UINT64_MAX;
    if (max_bytes == 0)
        return;
    account->limit = max_bytes > reserve ? max_bytes - reserve : 0;
    account->most = account->limit + reserve / 2;
    account->near = 2 * reserve;
}

bool
lki_account_is_near(const lki_account *account)
{
    uint64_t taken = lki_load_relaxed(&account->taken);
    return taken > account->limit || account->limit - taken < account->near;
}

static void
near_set(lki_account *account)
{
    if ((lki_load_relaxed(account->pressure) & LKI_PRESSURE_BOUND) == 0)
        lki_or_seq_cst(account->pressure, LKI_PRESSURE_BOUND);
}

void
lki_purse_open(lki_purse *purse, lki_account *account)
{
    uint64_t portion = account->limit / PORTIONS;
    purse->account = account;
    purse->room = 2 * (portion < PORTION_MAX ? portion : PORTION_MAX);
}

/* The calling thread's purse, if it is known; else the shared one, which is as correct. */
static lki_purse *
purse_own(lki_purse *purse)
{
    bool known = purse->room == 0 && lki_purse_own.domain == purse->account->domain;
    return known && lki_purse_own.purse != NULL ? lki_purse_own.purse : purse;
}

bool
lki_purse_pay(lki_purse *purse, uint64_t size)
{
    if (purse == NULL)
        return true;
    purse = purse_own(purse);
    lki_account *account = purse->account;
    uint64_t left = lki_stat_load(&purse->left);
    if (lki_purse_has(purse, size)) {
        lki_stat_add(&purse->left, -size);
        return true;
    }
    uint64_t taken = lki_load_relaxed(&account->taken), more;
    do {
        uint64_t room = taken < account->limit ? account->limit - taken : 0;
        more = size - left;
        if (room >= more + purse->room / 2)
            more += purse->room / 2;
        else if (room < more && purse->exempt == 0) {
            near_set(account);
            return false;
        }
    } while (!lki_cas_seq_cst(&account->taken, &taken, taken + more));
    if (left + more != size || left != 0)
        lki_stat_add(&purse->left, more - size);
    if (lki_account_is_near(account))
        near_set(account);
    return true;
}

void
lki_purse_refund(lki_purse *purse, uint64_t size)
{
    if (purse == NULL)
        return;
    purse = purse_own(purse);
    uint64_t left = lki_stat_load(&purse->left);
    if (lki_purse_has_room(purse, size)) {
        lki_stat_add(&purse->left, size);
        return;
    }
    lki_account *account = purse->account;
    /* Beyond the limit a purse keeps nothing. */
    uint64_t kept = lki_load_relaxed(&account->taken) > account->limit ? 0 : purse->room / 2;
    if (left != kept)
        lki_stat_add(&purse->left, kept - left);
    lki_sub_relaxed(&account->taken, left + size - kept);
}

void
lki_purse_empty(lki_purse *purse)
{
    uint64_t left = lki_stat_load(&purse->left);
    lki_stat_add(&purse->left, -left);
    lki_sub_relaxed(&purse->account->taken, left);
}
