/* SPDX-License-Identifier: MIT
 *
 * The cells of the jobs that lie in the slots of a queue, in the order of their sk.
 */
#ifndef LKI_QUEUE_QUEUE_WALK_H
#define LKI_QUEUE_QUEUE_WALK_H

#include "store/hooks.h"

/* The walk of lki_hooks. */
lki_cell *lki_queue_walk_next(lki_hooked_walk *walk);

#endif
