/* SPDX-License-Identifier: MIT
 *
 * The bound of all memory: how much a domain has allocated, and how much it may. Bytes count as
 * requested.
 *
 * A domain has one account, a number that all its threads share. A thread takes from it in
 * portions, into a purse of its own, and pays for its allocations from there: so nearly all
 * allocations write to no shared line. Allocated is what was taken from the account, less what the
 * purses hold.
 *
 * Guarantees  No more than the limit is taken, except by calls that are exempt.
 * Progress    lock-free.
 */
#ifndef LKI_BASE_ACCOUNT_H
#define LKI_BASE_ACCOUNT_H

#include "base/atomic.h"
#include "base/check.h"

/* RETIRED: retired memory is beyond its limit. BOUND: little is left of the account. */
enum { LKI_PRESSURE_RETIRED = 1, LKI_PRESSURE_BOUND = 2 };

typedef struct lki_account {
    uint64_t domain;             /* [const] its id */
    uint64_t limit;              /* [const] UINT64_MAX: no limit */
    uint64_t near;               /* [const] if less is left, writers free what they can */
    uint64_t most;               /* [const] beyond this exempt calls wait for readers, too */
    _Atomic(uint32_t) *pressure; /* [const] of the domain */
    _Atomic(uint64_t) taken __attribute__((aligned(LKI_LINE))); /* [stat] */
} lki_account;

/* The purse of one thread. `room` 0: the shared one, for callers without a thread record. */
typedef struct lki_purse {
    lki_account *account;   /* [const] */
    uint64_t room;          /* [const] the most it holds: two portions */
    _Atomic(uint64_t) left; /* [stat] written by its thread */
    uint32_t exempt;        /* [thread] not 0: the limit does not apply */
} lki_purse;

/* A purse that is always empty. */
extern lki_purse lki_purse_none;

/* The calling thread's purse in the domain that it used last. thread.c maintains it. */
extern __thread struct lki_purse_own {
    uint64_t domain;
    lki_purse *purse;
} lki_purse_own __attribute__((tls_model("initial-exec")));

/* `max_bytes` 0: no limit. A part of it is reserved for exempt calls. */
void lki_account_open(lki_account *account, uint64_t max_bytes);
/* Sets up a thread's purse. */
void lki_purse_open(lki_purse *purse, lki_account *account);
/* Gives all that is left in the purse back to the account. */
void lki_purse_empty(lki_purse *purse);
bool lki_account_is_near(const lki_account *account);

/* Pays for an allocation, gives back for a free. False: it would exceed the limit. `purse` may be
 * NULL: nothing is counted. */
bool lki_purse_pay(lki_purse *purse, uint64_t size);
void lki_purse_refund(lki_purse *purse, uint64_t size);

/* Does the purse hold so much? Has it room for so much? False for size 0. */
LKI_INLINE bool
lki_purse_has(const lki_purse *purse, uint64_t size)
{
    return size - 1 < lki_stat_load(&purse->left);
}
LKI_INLINE bool
lki_purse_has_room(const lki_purse *purse, uint64_t size)
{
    return size - 1 < purse->room - lki_stat_load(&purse->left);
}

#endif
