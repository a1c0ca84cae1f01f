/* SPDX-License-Identifier: MIT
 *
 * See parameters.h.
 */
#include "postgres/parameters.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void
number_write(char *to, uint64_t number, int size)
{
    for (int i = size - 1; i >= 0; i--, number >>= 8)
        to[i] = (char)(number & 0xff);
}

static void
add(lki_pg_parameters *p, const void *value, size_t size)
{
    LKI_PG_ASSERT(p->count < LKI_PG_PARAMETERS && size <= INT_MAX);
    p->values[p->count] = value;
    p->sizes[p->count++] = (int)size;
}

void
lki_pg_add_bytes(lki_pg_parameters *p, lk_bytes bytes)
{
    add(p, bytes.size != 0 ? bytes.data : "", bytes.size); /* NULL would be SQL's */
}

void
lki_pg_add_number(lki_pg_parameters *p, int64_t number)
{
    LKI_PG_ASSERT(p->count < LKI_PG_PARAMETERS);
    number_write(p->numbers[p->count], (uint64_t)number, 8);
    add(p, p->numbers[p->count], 8);
}

void
lki_pg_add_null(lki_pg_parameters *p)
{
    add(p, NULL, 0);
}

/* ---- arrays ---- */

static char *
array_grow(lki_pg_array *a, size_t more)
{
    if (a->failed || more > INT_MAX - a->size) {
        a->failed = true;
        return NULL;
    }
    if (a->size + more > a->room) {
        size_t room = (a->size + more) * 2;
        char *bytes = realloc(a->bytes, room);
        if (bytes == NULL) {
            a->failed = true;
            return NULL;
        }
        a->bytes = bytes;
        a->room = room;
    }
    a->size += more;
    return a->bytes + a->size - more;
}

void
lki_pg_array_begin(lki_pg_array *a, unsigned of, size_t count)
{
    *a = (lki_pg_array){NULL, 0, 0, false};
    char *to = array_grow(a, count != 0 ? 20 : 12);
    if (to == NULL)
        return;
    number_write(to, count != 0, 4); /* dimensions */
    number_write(to + 4, 1, 4);      /* there may be NULLs */
    number_write(to + 8, of, 4);
    if (count != 0) {
        number_write(to + 12, count, 4);
        number_write(to + 16, 1, 4); /* the first one's index */
    }
}

void
lki_pg_array_bytes(lki_pg_array *a, lk_bytes bytes)
{
    char *to = bytes.size < INT_MAX ? array_grow(a, 4 + bytes.size) : NULL;
    if (to == NULL) {
        a->failed = true;
        return;
    }
    number_write(to, bytes.size, 4);
    if (bytes.size != 0)
        memcpy(to + 4, bytes.data, bytes.size);
}

void
lki_pg_array_number(lki_pg_array *a, int64_t number)
{
    char *to = array_grow(a, 12);
    if (to == NULL)
        return;
    number_write(to, 8, 4);
    number_write(to + 4, (uint64_t)number, 8);
}

static void
array_null(lki_pg_array *a)
{
    char *to = array_grow(a, 4);
    if (to != NULL)
        number_write(to, UINT32_MAX, 4);
}

void
lki_pg_array_bytes_if(lki_pg_array *a, bool is_there, lk_bytes bytes)
{
    if (is_there)
        lki_pg_array_bytes(a, bytes);
    else
        array_null(a);
}

void
lki_pg_array_number_if(lki_pg_array *a, bool is_there, int64_t number)
{
    if (is_there)
        lki_pg_array_number(a, number);
    else
        array_null(a);
}

void
lki_pg_array_free(lki_pg_array *a)
{
    free(a->bytes);
    a->bytes = NULL;
}

bool
lki_pg_add_array(lki_pg_parameters *p, const lki_pg_array *array)
{
    if (array->failed)
        return false;
    add(p, array->bytes, array->size);
    return true;
}

/* ---- answers ---- */

bool
lki_pg_is_null(const PGresult *result, int row, int column)
{
    return column >= PQnfields(result) || PQgetisnull(result, row, column) != 0;
}

bool
lki_pg_read_number(const PGresult *result, int row, int column, int64_t *number)
{
    if (lki_pg_is_null(result, row, column))
        return false;
    int size = PQgetlength(result, row, column);
    const unsigned char *bytes = (const unsigned char *)PQgetvalue(result, row, column);
    if (size != 8 && size != 4)
        return false;
    uint64_t read = size == 4 && (bytes[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (int i = 0; i < size; i++)
        read = read << 8 | bytes[i];
    *number = (int64_t)read;
    return true;
}

lk_bytes
lki_pg_read_bytes(const PGresult *result, int row, int column)
{
    int size = PQgetlength(result, row, column);
    return (lk_bytes){size != 0 ? PQgetvalue(result, row, column) : NULL, (size_t)size};
}

/* ---- numbers of items ---- */

bool
lki_pg_item_number(lk_bytes data, int64_t *number)
{
    uint64_t read = 0;
    if (data.size != 8)
        return false;
    for (size_t i = 8; i > 0; i--)
        read = read << 8 | ((const unsigned char *)data.data)[i - 1];
    *number = (int64_t)read;
    return true;
}

void
lki_pg_item_number_write(int64_t number, void *bytes)
{
    for (int i = 0; i < 8; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)((uint64_t)number >> 8 * i);
}
