/* SPDX-License-Identifier: MIT
 *
 * See shared.h.
 */
#include "shared.h"

/* ---- asserts ---- */

void
lkc_assert_status(lk_status wanted, lk_status got, const char *call, const char *file, int line)
{
    if (wanted == got)
        return;
    print_error("%s:%d: %s: %s, not %s\n", file, line, call, lk_status_string(got),
                lk_status_string(wanted));
    _fail(file, line);
}

bool
lkc_equal(lk_bytes left, lk_bytes right)
{
    return left.size == right.size && lk_bytes_compare(left, right) == 0;
}

bool
lkc_is(lk_bytes bytes, const char *text)
{
    return lkc_equal(bytes, lk_string(text));
}

void
lkc_fill(void *memory, size_t size)
{
    memset(memory, 0xa5, size);
}

bool
lkc_is_filled(const void *memory, size_t size)
{
    const unsigned char *bytes = memory;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0xa5)
            return false;
    return true;
}

/* ---- items ---- */

lk_key
lkc_numbered(const char *pk, uint64_t i)
{
    static _Thread_local char buffer[8][24];
    static _Thread_local unsigned turn;
    char *text = buffer[turn++ % 8];
    snprintf(text, sizeof buffer[0], "%08llu", (unsigned long long)i);
    return lk_key_of(pk, text);
}
