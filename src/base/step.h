/* SPDX-License-Identifier: MIT
 *
 * Questions about one write of a commit, by its kind.
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

/* Is it a push, an acknowledgement or a release? */
LKI_INLINE bool
lki_write_is_of_queue(const lk_write *write)
{
    return write->kind == LK_PUSH || lki_write_is_of_claim(write);
}

/* Does it bring bytes that take memory? */
LKI_INLINE bool
lki_write_brings(const lk_write *write)
{
    return write->kind != LK_DELETE && !lki_write_is_of_claim(write);
}

/* Does its outcome depend on what is there? Else it always happens, and puts or deletes its
 * item. */
LKI_INLINE bool
lki_write_asks(const lk_write *write)
{
    return write->condition != LK_ALWAYS || write->kind == LK_TOUCH || write->kind == LK_ADD;
}

/* The key that it names. NULL: none; the sk of its job is to be generated. */
LKI_INLINE const lk_key *
lki_write_key(const lk_write *write)
{
    if (lki_write_is_of_claim(write))
        return &write->claim->key;
    const lk_key *key = &write->item.key;
    return write->kind == LK_PUSH && key->sk.size == 0 ? NULL : key;
}

#endif
