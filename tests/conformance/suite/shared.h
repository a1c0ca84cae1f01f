/* SPDX-License-Identifier: MIT
 *
 * What the suite shares with the unit tests, which link it too. Public headers only.
 */
#ifndef LATCHKEY_CONFORMANCE_SHARED_H
#define LATCHKEY_CONFORMANCE_SHARED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <latchkey/adapter.h>

/* ---- asserts ---- */

/* Fails the case with both names. */
#define assert_status(wanted, call) lkc_assert_status((wanted), (call), #call, __FILE__, __LINE__)
void lkc_assert_status(lk_status wanted, lk_status got, const char *call, const char *file,
                       int line);
#define assert_bytes(wanted, got) assert_true(lkc_equal((wanted), (got)))

bool lkc_equal(lk_bytes left, lk_bytes right);
bool lkc_is(lk_bytes bytes, const char *text);
/* Every byte 0xa5; is it so still? */
void lkc_fill(void *memory, size_t size);
bool lkc_is_filled(const void *memory, size_t size);

/* ---- items ---- */

/* The key of number `i`, in one of eight rotating buffers of the thread. */
lk_key lkc_numbered(const char *pk, uint64_t i);

#endif
