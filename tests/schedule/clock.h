/* SPDX-License-Identifier: MIT
 *
 * Virtual time. It stands still while fibers run, unless one of them moves it; when all wait, it
 * jumps to the first deadline.
 */
#ifndef LKI_SCHEDULE_CLOCK_H
#define LKI_SCHEDULE_CLOCK_H

#include <stdint.h>

#include "schedule/instead.h"

int64_t clock_now_ns(void);
void clock_reset(int64_t now_ns);
/* Nobody can run: on to the first deadline, if there is one, and who waits for it is woken. */
void clock_jump(void);
/* Not back. Who waits for a time until then is woken. */
void clock_move_to(int64_t now_ns);

#endif
