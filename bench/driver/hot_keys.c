/* SPDX-License-Identifier: MIT
 *
 * Space-Saving. A key that is not in the table takes the place of the one with the lowest count,
 * and its count: it may have been named so often before. Two tables are merged as in Agarwal et al.
 * (Mergeable Summaries, 2012): a key that one of them lacks may have been named there as often as
 * the lowest count says.
 */
#include "driver/hot_keys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct hot_key *
key_find(struct hot_key *keys, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (keys[i].count != 0 && keys[i].id == id)
            return &keys[i];
    return NULL;
}

static struct hot_key *
key_lowest(struct hot_key *keys)
{
    struct hot_key *lowest = keys;

    for (size_t i = 1; i < HOT_KEYS; i++)
        if (keys[i].count < lowest->count)
            lowest = &keys[i];
    return lowest;
}

void
hot_keys_add(struct hot_keys *hot, uint64_t id)
{
    struct hot_key *key = key_find(hot->keys, HOT_KEYS, id);

    hot->total++;
    if (key == NULL) {
        key = key_lowest(hot->keys);
        key->id = id;
        key->error = key->count;
    }
    key->count++;
    assert(key->error < key->count && key->count <= hot->total); /* I1 */
}

static int
count_compare(const void *left, const void *right)
{
    const struct hot_key *a = left, *b = right;

    return (a->count < b->count) - (a->count > b->count);
}

static int
least_compare(const void *left, const void *right)
{
    const struct hot_key *a = left, *b = right;
    uint64_t x = a->count - a->error, y = b->count - b->error;

    return x != y ? (x < y) - (x > y) : count_compare(left, right);
}

void
hot_keys_merge(struct hot_keys *hot, const struct hot_keys *other)
{
    struct hot_key all[2 * HOT_KEYS], theirs[HOT_KEYS];
    uint64_t own_lowest = key_lowest(hot->keys)->count;
    size_t count = 0;

    memcpy(theirs, other->keys, sizeof theirs);
    uint64_t their_lowest = key_lowest(theirs)->count;
    for (size_t i = 0; i < HOT_KEYS; i++) {
        if (hot->keys[i].count == 0)
            continue;
        struct hot_key *same = key_find(theirs, HOT_KEYS, hot->keys[i].id);
        all[count] = hot->keys[i];
        all[count].count += same != NULL ? same->count : their_lowest;
        all[count++].error += same != NULL ? same->error : their_lowest;
        if (same != NULL)
            same->count = 0;
    }
    for (size_t i = 0; i < HOT_KEYS; i++) {
        if (theirs[i].count == 0)
            continue;
        all[count] = theirs[i];
        all[count].count += own_lowest;
        all[count++].error += own_lowest;
    }
    qsort(all, count, sizeof *all, count_compare);
    memset(hot->keys, 0, sizeof hot->keys);
    memcpy(hot->keys, all, (count < HOT_KEYS ? count : HOT_KEYS) * sizeof *all);
    hot->total += other->total;
}

void
hot_keys_sort(struct hot_keys *hot)
{
    qsort(hot->keys, HOT_KEYS, sizeof *hot->keys, least_compare);
}
