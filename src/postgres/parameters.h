/* SPDX-License-Identifier: MIT
 *
 * Parameters of a statement, and columns of its answer, in PostgreSQL's binary format: numbers lie
 * there with the highest byte first, arrays behind a header of five numbers.
 */
#ifndef LKI_PG_PARAMETERS_H
#define LKI_PG_PARAMETERS_H

#include <latchkey/adapter.h>
#include <libpq-fe.h>

#include "postgres/assert.h"

enum { LKI_PG_PARAMETERS = 16 };

typedef struct lki_pg_parameters {
    int count;
    const char *values[LKI_PG_PARAMETERS]; /* NULL: SQL's NULL */
    int sizes[LKI_PG_PARAMETERS];
    char numbers[LKI_PG_PARAMETERS][8];
} lki_pg_parameters;

/* Each adds the next parameter. Bytes are borrowed until the statement was sent. */
void lki_pg_add_bytes(lki_pg_parameters *parameters, lk_bytes bytes);
void lki_pg_add_number(lki_pg_parameters *parameters, int64_t number);
void lki_pg_add_null(lki_pg_parameters *parameters);

/* ---- arrays: of one dimension, without holes unless NULLs are put in ---- */

typedef struct lki_pg_array {
    char *bytes;
    size_t size, room;
    bool failed; /* no memory, or larger than a parameter may be */
} lki_pg_array;

enum { LKI_PG_OF_BYTES = 17, LKI_PG_OF_NUMBERS = 20 }; /* the server's numbers of bytea and int8 */

void lki_pg_array_begin(lki_pg_array *array, unsigned of, size_t count);
void lki_pg_array_bytes(lki_pg_array *array, lk_bytes bytes);
void lki_pg_array_number(lki_pg_array *array, int64_t number);
/* NULL where it is not there. */
void lki_pg_array_bytes_if(lki_pg_array *array, bool is_there, lk_bytes bytes);
void lki_pg_array_number_if(lki_pg_array *array, bool is_there, int64_t number);
void lki_pg_array_free(lki_pg_array *array);
/* Adds it as the next parameter. False: it failed before. */
bool lki_pg_add_array(lki_pg_parameters *parameters, const lki_pg_array *array);

/* ---- answers: false where the column is not what it should be ---- */

bool lki_pg_is_null(const PGresult *result, int row, int column);
bool lki_pg_read_number(const PGresult *result, int row, int column, int64_t *number);
/* Borrowed until the result is cleared. */
lk_bytes lki_pg_read_bytes(const PGresult *result, int row, int column);

/* ---- numbers of items: 8 bytes, the lowest first, whatever the machine does ---- */

/* False: it is none. */
bool lki_pg_item_number(lk_bytes data, int64_t *number);
void lki_pg_item_number_write(int64_t number, void *bytes);

#endif
