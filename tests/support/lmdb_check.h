/* SPDX-License-Identifier: MIT
 *
 * The file of a closed database of the adapter for LMDB, looked at with LMDB alone: does it keep
 * the invariants of src/lmdb? A header, so that only tests that are linked with LMDB see it.
 */
#ifndef LATCHKEY_TESTS_LMDB_CHECK_H
#define LATCHKEY_TESTS_LMDB_CHECK_H

#include "lmdb/invariants.h"

static inline lki_lmdb_walk
lmdb_check_walk(const char *folder)
{
    lki_lmdb_tables in;
    lki_lmdb_walk walk = {.in = &in, .says = true};
    MDB_env *env = NULL;
    if (mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 16) == 0 &&
        mdb_env_open(env, folder, MDB_RDONLY | MDB_NOLOCK, 0600) == 0 &&
        mdb_txn_begin(env, NULL, MDB_RDONLY, &walk.txn) == 0 &&
        lki_lmdb_tables_open(walk.txn, 0, &in) == 0)
        lki_lmdb_walk_file(&walk);
    else
        walk.failed = true;
    walk.faults += walk.failed;
    if (walk.txn != NULL)
        mdb_txn_abort(walk.txn);
    if (env != NULL)
        mdb_env_close(env);
    return walk;
}

/* How much is wrong with it; the first few on stderr. */
static inline uint64_t
lmdb_check_file(const char *folder)
{
    return lmdb_check_walk(folder).faults;
}

#endif
