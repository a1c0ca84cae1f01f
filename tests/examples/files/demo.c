/* SPDX-License-Identifier: MIT
 *
 * demo FOLDER TEXT...: a diary in a folder. Each TEXT becomes an entry; then all entries are shown,
 * of this run and of those before.
 */
#include "files.h"

#include <stdio.h>
#include <time.h>

int
main(int argc, char **argv)
{
    lk_db *db;
    lk_result *result = lk_result_new();
    lk_query query = {.pk = lk_string("diary")};
    if (argc < 2 || result == NULL || files_open(argv[1], NULL, NULL, &db) != LK_OK)
        return 1;
    lk_status status = LK_OK;
    for (int i = 2; status == LK_OK && i < argc; i++) {
        char sk[64];
        snprintf(sk, sizeof sk, "%lld #%d", (long long)time(NULL), i - 1);
        lk_item item = {.key = lk_key_of("diary", sk), .data = lk_string(argv[i])};
        status = lk_set(db, &item, 1);
    }
    if (status == LK_OK)
        status = lk_query_items(db, &query, result);
    for (size_t i = 0; status == LK_OK && i < lk_result_count(result); i++) {
        const lk_item *item = lk_result_item(result, i);
        printf("%.*s: %.*s\n", (int)item->key.sk.size, (const char *)item->key.sk.data,
               (int)item->data.size, (const char *)item->data.data);
    }
    lk_result_free(result);
    lk_close(db);
    return status == LK_OK ? 0 : 1;
}
