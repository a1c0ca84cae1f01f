/* SPDX-License-Identifier: MIT
 *
 * The cell of a key: the general path of find.h.
 */
#include "store/find.h"

lki_cell *
lki_find_any(lki_store *store, const lki_hashed *hashed)
{
    return lki_find_at(store, hashed, UINT64_MAX);
}
