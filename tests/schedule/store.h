/* SPDX-License-Identifier: MIT
 *
 * For scenarios over a whole store: one that is small, calls that have to succeed.
 */
#ifndef LKI_SCHEDULE_STORE_H
#define LKI_SCHEDULE_STORE_H

#include <latchkey/latchkey.h>

#include "schedule/schedule.h"

static inline void
store_must_at(const char *file, int line, const char *call, lk_status status)
{
    if (status != LK_OK)
        schedule_fail("%s:%d: %s is %s", file, line, call, lk_status_string(status));
}
#define STORE_MUST(call) store_must_at(__FILE__, __LINE__, #call, (call))

/* `retired_bytes`: what may be held back; 0: as usual. */
static inline lk_db *
store_open_bounded(size_t retired_bytes)
{
    lk_db *db = NULL;
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.shards = 1;
    options.max_retired_bytes = retired_bytes;
    STORE_MUST(lk_memory_open(&options, &db));
    return db;
}

static inline lk_db *
store_open(void)
{
    return store_open_bounded(0);
}

/* A value that is a number. */
static inline lk_item
store_item(lk_key key, const uint64_t *number)
{
    return (lk_item){.key = key, .data = {number, sizeof *number}};
}

static inline void
store_set(lk_db *db, lk_key key, uint64_t number)
{
    lk_item item = store_item(key, &number);
    STORE_MUST(lk_set(db, &item, 1));
}

/* The number; 0: no item. */
static inline uint64_t
store_number(const lk_item *item)
{
    uint64_t number;
    if (item == NULL)
        return 0;
    SCHEDULE_EXPECT(item->data.size == sizeof number);
    __builtin_memcpy(&number, item->data.data, sizeof number);
    return number;
}

static inline lk_result *
store_result(void)
{
    lk_result *result = lk_result_new();
    SCHEDULE_EXPECT(result != NULL);
    return result;
}

#endif
