/* SPDX-License-Identifier: MIT
 *
 * See status.h. The codes are those of "PostgreSQL Error Codes", appendix A of its manual; the
 * first two characters are a class.
 */
#include "postgres/status.h"

#include <string.h>

typedef struct meaning {
    const char *code; /* a whole code, or its class */
    lk_status status;
} meaning;

static const meaning meanings[] = {
    {"40003", LK_UNKNOWN},     /* a statement whose completion is unknown */
    {"40", LKI_PG_AGAIN},      /* rolled back: serialization failures, deadlocks */
    {"55P03", LKI_PG_AGAIN},   /* a lock was not available in time */
    {"53300", LK_UNAVAILABLE}, /* too many connections */
    {"53", LK_NO_MEMORY},      /* no memory, no disk */
    {"54", LK_TOO_BIG},        /* beyond a limit of the server */
    {"22003", LK_TOO_BIG},     /* a number out of range */
    {"0A", LK_UNSUPPORTED},    /* not a feature of this engine */
};

bool
lki_pg_is_refusal(const PGresult *result)
{
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (PQresultStatus(result) != PGRES_FATAL_ERROR || code == NULL)
        return false;
    bool panics = severity != NULL && strcmp(severity, "PANIC") == 0;
    return !panics && strncmp(code, "08", 2) != 0 && strcmp(code, "40003") != 0;
}

lk_status
lki_pg_status(const PGresult *result)
{
    ExecStatusType kind = PQresultStatus(result);
    if (kind == PGRES_TUPLES_OK || kind == PGRES_COMMAND_OK)
        return LK_OK;
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    for (size_t i = 0; code != NULL && i < sizeof meanings / sizeof *meanings; i++)
        if (strncmp(code, meanings[i].code, strlen(meanings[i].code)) == 0)
            return meanings[i].status;
    return LK_UNAVAILABLE;
}
