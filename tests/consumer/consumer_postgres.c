/* SPDX-License-Identifier: MIT
 *
 * What a user of the adapter for PostgreSQL writes: an item that another handle finds, on the
 * server that LATCHKEY_POSTGRES names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <latchkey/postgres.h>

static int
stored(const char *conninfo, const char *data)
{
    lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
    lk_db *db;
    lk_item item = {.key = lk_key_of("user", "name"), .data = lk_string(data)};
    char read[16];
    size_t size = 0;
    options.schema = "latchkey_consumer";
    options.create = true;
    if (lk_postgres_open(conninfo, &options, &db) != LK_OK)
        return 0;
    lk_status status =
        data != NULL ? lk_set(db, &item, 1) : lk_get_into(db, item.key, read, sizeof read, &size);
    lk_close(db);
    return status == LK_OK && (data != NULL || (size == 3 && memcmp(read, "Ada", 3) == 0));
}

int
main(void)
{
    const char *conninfo = getenv("LATCHKEY_POSTGRES");
    int well = conninfo != NULL && stored(conninfo, "Ada") && stored(conninfo, NULL);
    puts(well ? "ok" : "not stored");
    return well ? 0 : 1;
}
