/* SPDX-License-Identifier: MIT
 *
 * A switch saves what the calling convention says a call preserves, on the stack that it leaves.
 */
#include "schedule/fiber.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)

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

#elif defined(__aarch64__)

enum { SAVED = 20 };

__asm__(".text\n"
        ".globl fiber_switch\n"
        ".type fiber_switch, %function\n"
        "fiber_switch:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x2, sp\n"
        "    str x2, [x0]\n"
        "    ldr x2, [x1]\n"
        "    mov sp, x2\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size fiber_switch, . - fiber_switch\n");

void
fiber_prepare(fiber_context *context, void *stack, size_t size, void (*entry)(void))
{
    uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
    uintptr_t *words = (uintptr_t *)top - SAVED;
    memset(words, 0, SAVED * sizeof *words);
    words[11] = (uintptr_t)entry; /* the link register */
    context->stack_pointer = words;
}

#else

#include <stdlib.h>
#include <ucontext.h>

void
fiber_prepare(fiber_context *context, void *stack, size_t size, void (*entry)(void))
{
    ucontext_t *made = stack; /* it lies at the stack's end */
    if (getcontext(made) != 0)
        abort();
    made->uc_stack.ss_sp = (char *)stack + sizeof *made;
    made->uc_stack.ss_size = size - sizeof *made;
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
