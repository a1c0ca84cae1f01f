/* SPDX-License-Identifier: MIT
 *
 * The conformance suite against handles that lack what the library can put together, or has to
 * refuse: the embedded store without conditions; with the least that its locks and queues need; and
 * without locks.
 */
#include "memory_options.h"

typedef struct composed {
    lk_db *inner; /* first: lk_adapter_pass */
    uint64_t without;
    bool least; /* no operation that an adapter may leave out */
} composed;

static lk_status
composed_open(void *context, const lk_conformance_setup *setup, lk_db **db)
{
    composed *c = context;
    lk_memory_options options = memory_options(setup);
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_operations o;
    lk_status status = lk_memory_open(&options, &c->inner);
    if (status != LK_OK)
        return status;
    if (lk_adapter_pass(c->inner, &o, &adapter) != LK_OK)
        return LK_INVALID;
    o.put_if = NULL;
    o.touch = NULL;
    o.add = NULL;
    if (c->least) {
        o.get_into = NULL;
        o.get_many = NULL;
        o.set_atomic = NULL;
        o.count = NULL;
    }
    if ((c->without & LK_HAS_LOCKS) != 0) {
        o.get_lock = NULL;
        o.get_locked = NULL;
        o.commit = NULL;
        o.set_atomic = NULL;
    }
    adapter.capabilities &= ~(c->without | LK_HAS_CONDITIONS);
    adapter.state = c;
    return lk_adapter_open(&o, &adapter, db);
}

static void
composed_close(void *context, lk_db *db)
{
    lk_close(db);
    lk_close(((composed *)context)->inner);
}

int
main(int argc, char **argv)
{
    composed plain = {.without = 0};
    composed least = {.without = LK_HAS_GET_MANY, .least = true};
    composed unlocked = {.without = LK_HAS_LOCKS | LK_LOCKS_ABSENT | LK_COMMITS_JOBS |
                                    LK_COMMITS_RELEASES};
    const lk_conformance handles[] = {
        {"no conditions", composed_open, composed_close, &plain},
        {"the least", composed_open, composed_close, &least},
        {"no locks", composed_open, composed_close, &unlocked},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++)
        failed |= lk_conformance_main(&handles[i], argc, argv);
    return failed;
}
