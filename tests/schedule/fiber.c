/* SPDX-License-Identifier: MIT
 *
 * A switch saves what the calling convention says a call preserves, on the stack that it leaves.
 */
#include "schedule/fiber.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && !defined(FIBER_UCONTEXT)

enum { SAVED = 6 };

__asm__(".text\n"
        ".globl fiber_switch\n"
        ".type fiber_switch, @function\n"
        "fiber_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq (%rsi), %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size fiber_switch, . - fiber_switch\n");

void
fiber_prepare(fiber_context *context, void *stack, size_t size, void (*entry)(void))
{
    uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
    uintptr_t *words = (uintptr_t *)top - 1; /* as after a call: 8 below a multiple of 16 */
    *words = 0;                              /* where the chain of frames ends */
    *--words = (uintptr_t)entry;
    words -= SAVED;
    memset(words, 0, SAVED * sizeof *words);
    context->stack_pointer = words;
}

#else

#include <stdlib.h>
#include <ucontext.h>

void
fiber_prepare(fiber_context *context, void *stack, size_t size, void (*entry)(void))
{
    uintptr_t top = ((uintptr_t)stack + size - sizeof(ucontext_t)) & ~(uintptr_t)63;
    ucontext_t *made = (ucontext_t *)top; /* the lowest page is nobody's */
    if (getcontext(made) != 0)
        abort();
    made->uc_stack.ss_sp = stack;
    made->uc_stack.ss_size = top - (uintptr_t)stack;
    makecontext(made, entry, 0);
    context->stack_pointer = made;
}

void
fiber_switch(fiber_context *from, const fiber_context *to)
{
    ucontext_t here;
    from->stack_pointer = &here;
    if (swapcontext(&here, to->stack_pointer) != 0)
        abort();
}

#endif
