/* SPDX-License-Identifier: MIT
 *
 * What a domain has allocated, and may. Bytes count as they were asked for.
 *
 * The account of a domain is one number that all share: so threads take from it in portions, into
 * purses of their own, and pay from these. What is allocated is what was taken, but for what is in
 * purses.
 *
 * Guarantees  Never more than the limit is taken, but for what is exempt.
 * Progress    Lock-free.
 */
#ifndef LKI_BASE_ACCOUNT_H
#define LKI_BASE_ACCOUNT_H

#include "base/atomic.h"
#include "base/check.h"

/* What waits for readers is beyond its limit; nearly all is taken that may be allocated. */
enum { LKI_PRESSURE_RETIRED = 1, LKI_PRESSURE_BOUND = 2 };

typedef struct lki_account {
    uint64_t domain; /* [const] its id */
    uint64_t limit;  /* [const] UINT64_MAX: none */
    uint64_t near;   /* [const] where less than this is left of it, writers free what they can */
    uint64_t most;   /* [const] what is exempt waits for readers beyond this */
    _Atomic(uint32_t) *pressure;                                /* [const] of the domain */
    _Atomic(uint64_t) taken __attribute__((aligned(LKI_LINE))); /* [stat] */
} lki_account;

/* Of one thread; `room` 0: of those who have none. */
typedef struct lki_purse {
    lki_account *account;   /* [const] */
    uint64_t room;          /* [const] what it holds at most, twice a portion */
    _Atomic(uint64_t) left; /* [stat] its thread's */
    uint32_t exempt;        /* [thread] not 0: the limit does not count */
} lki_purse;

/* Nothing is in it, ever. */
extern lki_purse lki_purse_none;

/* The calling thread's purse in the domain that it used last; thread.c keeps it. */
extern __thread struct lki_purse_own {
    uint64_t domain;
    lki_purse *purse;
} lki_purse_own __attribute__((tls_model("initial-exec")));

/* `max_bytes` 0: no limit. A part of it is kept for what is exempt. */
void lki_account_open(lki_account *account, uint64_t max_bytes);
/* A thread's. */
void lki_purse_open(lki_purse *purse, lki_account *account);
/* What is left in it goes back. */
void lki_purse_empty(lki_purse *purse);
bool lki_account_is_near(const lki_account *account);

/* False: that would be beyond the limit. `purse` may be NULL: nobody counts. */
bool lki_purse_pay(lki_purse *purse, uint64_t size);
void lki_purse_refund(lki_purse *purse, uint64_t size);

/* Is so much in a purse? Has it room for so much? Nothing is never there. */
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
