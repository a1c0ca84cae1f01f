/* SPDX-License-Identifier: MIT
 *
 * Orders made weaker while the program runs: each ordered access and each fence of instrumented
 * code is known by the address of its call. The program `audit` asks for it by variables of the
 * environment, so that no scenario and no option has to do with it:
 *
 *   LK_AUDIT_SITES=FILE                 at the end the file has a line for each site that a
 *                                       schedule with weak memory has passed: address, one less
 *                                       (inside of the call), kind (load, store, change, fence),
 *                                       order (a number of __ATOMIC_), times
 *   LK_AUDIT_WEAKEN=ADDRESS:ORDER,...   these sites have that order; of a fence -1: it is not there
 */
#ifndef LKI_SCHEDULE_AUDIT_H
#define LKI_SCHEDULE_AUDIT_H

#include <stdbool.h>

#include "schedule/report.h"

extern bool audit_is_on;

int audit_order_slow(enum report_kind kind, const void *where, int order);
/* The order that the access has. */
static inline int
audit_order(enum report_kind kind, const void *where, int order)
{
    return __builtin_expect(audit_is_on, 0) ? audit_order_slow(kind, where, order) : order;
}

#endif
