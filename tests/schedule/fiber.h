/* SPDX-License-Identifier: MIT
 *
 * Fibers: stacks between which one thread goes to and fro. A switch is a dozen instructions and no
 * system call (but where the processor is not x86-64: there it is ucontext's).
 */
#ifndef LKI_SCHEDULE_FIBER_H
#define LKI_SCHEDULE_FIBER_H

#include <stddef.h>

/* Where a stack goes on that is not running. */
typedef struct fiber_context {
    void *stack_pointer;
} fiber_context;

/* `entry` runs on the stack when it is switched to; it must not return. */
void fiber_prepare(fiber_context *context, void *stack, size_t size, void (*entry)(void));
/* Leaves the running stack in `from` and goes on with `to`. */
void fiber_switch(fiber_context *from, const fiber_context *to);

#endif
