/* SPDX-License-Identifier: MIT
 *
 * What has expired goes: when somebody sweeps, and beside writes.
 */
#ifndef LKI_PG_SWEEP_H
#define LKI_PG_SWEEP_H

#include "postgres/connection.h"

/* The end of a call that wrote: every so often it takes out some of what has expired. */
void lki_pg_tidy(lki_pg *store);

#endif
