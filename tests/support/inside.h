/* SPDX-License-Identifier: MIT
 *
 * The store behind a kit, from inside: this thread's record, the cell of a key.
 */
#ifndef LATCHKEY_TESTS_INSIDE_H
#define LATCHKEY_TESTS_INSIDE_H

#include "support/kit.h"

#include "adapter/handle.h"
#include "store/find.h"

static inline lki_thread *
inside_thread(kit *k)
{
    lk_status why;
    lki_store *store = k->db->state;
    lki_thread *thread = lki_thread_self(&store->domain, &why);
    assert_non_null(thread);
    return thread;
}

/* NULL: there is none. It may go when this returns, unless the caller is in a section. */
static inline lki_cell *
inside_cell(kit *k, lk_key key)
{
    lki_store *store = k->db->state;
    lki_hashed hashed = lki_hashed_of(&store->secret, &key);
    lki_enter(inside_thread(k));
    lki_cell *cell = lki_find(store, &hashed);
    lki_leave(inside_thread(k));
    return cell;
}

#endif
