/* SPDX-License-Identifier: MIT
 *
 * The walk over the cells of a queue's jobs that lie in slots, in the order of their sk. The store
 * merges it with its walk over the index.
 */
#ifndef LKI_QUEUE_QUEUE_WALK_H
#define LKI_QUEUE_QUEUE_WALK_H

#include "store/hooks.h"

/* `walk` of lki_hooks: the next cell; NULL: there is none. */
lki_cell *lki_queue_walk_next(lki_hooked_walk *walk);

#endif
