/* SPDX-License-Identifier: MIT
 *
 * What libpq and the server say, as statuses.
 */
#ifndef LKI_PG_STATUS_H
#define LKI_PG_STATUS_H

#include <latchkey/adapter.h>
#include <libpq-fe.h>

/* Not a status of the contract: nothing was written, and the call may be made again. The server
 * said so (a serialization failure, a deadlock), or it was not reached. */
#define LKI_PG_AGAIN ((lk_status)100)

/* The same: a generated sk was taken, others are to be made. */
#define LKI_PG_TAKEN ((lk_status)101)

/* LK_OK: the statement was done. */
lk_status lki_pg_status(const PGresult *result);

/* Does the server say that it did not do the statement, nor anything else of its transaction? Not
 * so where libpq or a pooler have lost the server (class 08), or where the server goes down over
 * it: it may have happened. */
bool lki_pg_is_refusal(const PGresult *result);

#endif
