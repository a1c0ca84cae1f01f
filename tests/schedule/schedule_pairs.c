/* SPDX-License-Identifier: MIT
 *
 * Two commits over the same two keys, and a reader of both as one snapshot: the two values are
 * always alike.
 */
#include <latchkey/latchkey.h>

#include <stdio.h>
#include <string.h>

#include "schedule/schedule.h"

static lk_db *db;
static lk_key keys[2];

static void
must(lk_status status)
{
    if (status != LK_OK)
        schedule_fail("a call that has to succeed gives %s", lk_status_string(status));
}

static void
pair_write(const char *text)
{
    lk_item items[2];
    for (int i = 0; i < 2; i++)
        items[i] = (lk_item){.key = keys[i], .data = lk_string(text)};
    lk_write writes[2] = {{.kind = LK_PUT, .item = items[0]}, {.kind = LK_PUT, .item = items[1]}};
    schedule_note("commit %s", text);
    lk_status status = lk_commit(db, writes, 2, NULL, 0, NULL);
    schedule_note("commit %s: %s", text, lk_status_string(status));
    must(status);
}

static void
write_a(void)
{
    pair_write("a");
}

static void
write_b(void)
{
    pair_write("b");
}

static char
first_of(const lk_item *item)
{
    if (item == NULL || item->data.size != 1)
        schedule_fail("a key has no item, or another one");
    return *(const char *)item->data.data;
}

static void
read_both(void)
{
    lk_result *result = lk_result_new();
    must(lk_get_many(db, keys, 2, result));
    char left = first_of(lk_result_item(result, 0)), right = first_of(lk_result_item(result, 1));
    schedule_note("read %c %c", left, right);
    if (left != right)
        schedule_fail("one snapshot has %c and %c", left, right);
    lk_result_free(result);
}

static void
prepare(void)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.shards = 1;
    must(lk_memory_open(&options, &db));
    keys[0] = lk_key_of("pair", "left");
    keys[1] = lk_key_of("pair", "right");
    pair_write("0");
}

static void
teardown(void)
{
    lk_close(db);
}

const schedule_scenario schedule_scenarios[] = {
    {.name = "pairs",
     .prepare = prepare,
     .body = {write_a, write_b, read_both},
     .check = read_both,
     .teardown = teardown},
    {0},
};
