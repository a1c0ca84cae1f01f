/* SPDX-License-Identifier: MIT
 *
 * The queue room's hooks, which a store calls (store/hooks.h).
 */
#ifndef LKI_QUEUE_HOOKS_H
#define LKI_QUEUE_HOOKS_H

#include "store/hooks.h"

extern const lki_hooks lki_queue_hooks;

#endif
