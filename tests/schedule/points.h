/* SPDX-License-Identifier: MIT
 *
 * What the compiler puts before each access of instrumented code (-fsanitize=thread), and what the
 * runtime says of accesses that it makes in the name of such code.
 */
#ifndef LKI_SCHEDULE_POINTS_H
#define LKI_SCHEDULE_POINTS_H

#include <stddef.h>

/* A plain access follows. */
void points_read(const volatile void *p, size_t size);
void points_write(volatile void *p, size_t size);
/* A step that orders, but is no access: a point. */
void points_sync(const volatile void *object);

#endif
