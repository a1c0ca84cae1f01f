/* SPDX-License-Identifier: MIT
 *
 * See status.h.
 */
#include "lmdb/status.h"

#include <errno.h>
#include <lmdb.h>

lk_status
lki_lmdb_status(int code)
{
    switch (code) {
    case MDB_SUCCESS:
        return LK_OK;
    case MDB_NOTFOUND:
        return LK_NOT_FOUND;
    case MDB_MAP_FULL:
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
        return LK_NO_MEMORY;
    case MDB_READERS_FULL:
        return LK_BUSY;
    case MDB_TXN_FULL:
    case MDB_BAD_VALSIZE: /* a key that is longer than LMDB's */
        return LK_TOO_BIG;
    case MDB_VERSION_MISMATCH:
        return LK_UNSUPPORTED;
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
        return LK_INVALID;
    default:
        return LK_UNAVAILABLE;
    }
}

lk_status
lki_lmdb_write_status(int code)
{
    return code == EIO && errno != EIO ? LK_NO_MEMORY : lki_lmdb_status(code);
}
