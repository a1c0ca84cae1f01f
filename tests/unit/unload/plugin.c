/* SPDX-License-Identifier: MIT
 *
 * The plug-in of test_unload.c: a library that the static library is part of.
 */
#include <stdio.h>

#include <latchkey/latchkey.h>

int plugin_open(void);
int plugin_use(int number, int detach);
void plugin_close(void);

enum { STORES = 6 };
static lk_db *stores[STORES];

int
plugin_open(void)
{
    for (int i = 0; i < STORES; i++)
        if (lk_memory_open(NULL, &stores[i]) != LK_OK)
            return -1;
    return 0;
}

static lk_status
store_use(lk_db *db, int number, lk_result *result)
{
    char sk[16], data[300] = "data";
    snprintf(sk, sizeof sk, "%d", number);
    lk_item item = {.key = lk_key_of("p", sk), .data = {data, sizeof data}};
    lk_item job = {.key = lk_key_of("q", NULL), .data = lk_string("job")};
    lk_status status = LK_OK;
    for (int i = 0; i < 100 && status == LK_OK; i++) /* garbage, and an epoch that moves */
        status = lk_set(db, &item, 1);
    if (status == LK_OK)
        status = lk_queue_push(db, &job, 1, NULL, NULL);
    if (status == LK_OK)
        status = lk_get(db, item.key, result);
    return status;
}

int
plugin_use(int number, int detach)
{
    lk_status status = LK_OK;
    lk_result *result = lk_result_new();
    if (result == NULL)
        return -1;
    for (int i = 0; i < STORES && status == LK_OK; i++)
        status = store_use(stores[i], number, result);
    lk_result_free(result);
    if (detach)
        lk_thread_detach();
    return status == LK_OK ? 0 : -1;
}

void
plugin_close(void)
{
    for (int i = 0; i < STORES; i++)
        lk_close(stores[i]);
}
