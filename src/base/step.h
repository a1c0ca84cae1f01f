/* SPDX-License-Identifier: MIT
 *
 * Questions about one write of a commit.
 */
#ifndef LKI_BASE_STEP_H
#define LKI_BASE_STEP_H

#include <latchkey/latchkey.h>

#include "base/check.h"

/* Does it name its key by a claim? */
LKI_INLINE bool
lki_write_is_of_claim(const lk_write *write)
{
    return write->kind == LK_ACKNOWLEDGE || write->kind == LK_RELEASE;
}

/* A step of a queue: push, acknowledge, release. */
LKI_INLINE bool
lki_write_is_of_queue(const lk_write *write)
{
    return write->kind == LK_PUSH || lki_write_is_of_claim(write);
}

/* Does it bring anything that takes memory? */
LKI_INLINE bool
lki_write_brings(const lk_write *write)
{
    return write->kind != LK_DELETE && !lki_write_is_of_claim(write);
}

/* Does it have to look at what is there? Else it always happens, and puts or takes its item. */
LKI_INLINE bool
lki_write_asks(const lk_write *write)
{
    return write->condition != LK_ALWAYS || write->kind == LK_TOUCH || write->kind == LK_ADD;
}

/* The key that it names. NULL: a push whose sk is to be generated names none. */
LKI_INLINE const lk_key *
lki_write_key(const lk_write *write)
{
    if (lki_write_is_of_claim(write))
        return &write->claim->key;
    const lk_key *key = &write->item.key;
    return write->kind == LK_PUSH && key->sk.size == 0 ? NULL : key;
}

#endif
