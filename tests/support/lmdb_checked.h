/* SPDX-License-Identifier: MIT
 *
 * For tests that are linked with LMDB: a rig whose file is looked at when a test has ended.
 */
#ifndef LATCHKEY_TESTS_LMDB_CHECKED_H
#define LATCHKEY_TESTS_LMDB_CHECKED_H

#include "support/lmdb_check.h"
#include "support/lmdb_rig.h"

/* A teardown of lmdb_rig: what is left keeps the invariants. */
static inline int
lmdb_checked_teardown(void **state)
{
    lmdb_rig *r = *state;
    lmdb_close(r);
    assert_int_equal(lmdb_check_file(r->folder), 0);
    return lmdb_teardown(state);
}

#define LMDB_TEST(name) cmocka_unit_test_setup_teardown(name, lmdb_setup, lmdb_checked_teardown)

#endif
