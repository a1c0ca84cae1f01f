/* SPDX-License-Identifier: MIT
 *
 * The cell of a key that is not short, or not the first that its bucket names.
 */
#include "store/find.h"

lki_cell *
lki_find_any(lki_store *store, const lki_hashed *hashed)
{
    return lki_find_at(store, hashed, UINT64_MAX);
}
