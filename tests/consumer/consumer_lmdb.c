/* SPDX-License-Identifier: MIT
 *
 * What a user of the adapter for LMDB writes: an item that is there after a restart.
 */
#define _XOPEN_SOURCE 700
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <latchkey/lmdb.h>

static int
stored(const char *folder, const char *data)
{
    lk_db *db;
    lk_item item = {.key = lk_key_of("user", "name"), .data = lk_string(data)};
    char read[16];
    size_t size = 0;
    if (lk_lmdb_open(folder, NULL, &db) != LK_OK)
        return 0;
    lk_status status =
        data != NULL ? lk_set(db, &item, 1) : lk_get_into(db, item.key, read, sizeof read, &size);
    lk_close(db);
    return status == LK_OK && (data != NULL || (size == 3 && memcmp(read, "Ada", 3) == 0));
}

int
main(void)
{
    char folder[] = "/tmp/latchkey-consumer-XXXXXX", command[64];
    if (mkdtemp(folder) == NULL)
        return 1;
    int well = stored(folder, "Ada") && stored(folder, NULL);
    snprintf(command, sizeof command, "rm -r %s", folder);
    well = system(command) == 0 && well;
    puts(well ? "ok" : "not stored");
    return well ? 0 : 1;
}
