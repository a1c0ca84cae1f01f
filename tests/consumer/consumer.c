/* SPDX-License-Identifier: MIT
 *
 * A program of a user, built in every way a user may build it. Valid as C11 and as C++17. With an
 * argument: that is the allocator which the store must say it has. */
#include <latchkey/latchkey.h>

#include <stdio.h>
#include <string.h>

int
main(int argc, char **argv)
{
    lk_statistics stats;
    lk_db *db = NULL;
    lk_item item;
    lk_result *result = lk_result_new();
    int failed = 1;

    memset(&item, 0, sizeof item);
    item.key = lk_key_of("user#1", "profile");
    item.data = lk_string("{}");
    if (result != NULL && lk_memory_open(NULL, &db) == LK_OK && lk_set(db, &item, 1) == LK_OK &&
        lk_get(db, item.key, result) == LK_OK && lk_result_item(result, 0)->data.size == 2 &&
        strcmp(lk_status_string(LK_RACE), "LK_RACE") == 0 &&
        lk_statistics_read(db, &stats) == LK_OK && stats.allocator != NULL &&
        (argc < 2 || strcmp(stats.allocator, argv[1]) == 0))
        failed = 0;
    lk_result_free(result);
    lk_close(db);
    puts(failed ? "failed" : "ok");
    return failed;
}
