/* SPDX-License-Identifier: MIT
 *
 * See jobs.h.
 */
#include "support/jobs.h"

/* ---- push ---- */

void
jobs_push(kit *k, const char *pk, const char *sk, const char *data)
{
    lkc_push(k->db, pk, sk, data);
}

lk_status
jobs_try_push_batch(kit *k, const char *pk, size_t from, size_t count,
                    const lk_push_options *options, lk_result *pushed)
{
    lk_item *items = calloc(count + 1, sizeof *items);
    char(*texts)[24] = calloc(count + 1, sizeof *texts);
    assert_true(items != NULL && texts != NULL);
    for (size_t i = 0; i < count; i++) {
        snprintf(texts[i], sizeof texts[i], "%08zu", from + i);
        items[i] = kit_item(pk, NULL, texts[i]);
    }
    lk_status status = lk_queue_push(k->db, items, count, options, pushed);
    free(items);
    free(texts);
    return status;
}

void
jobs_push_expiring(kit *k, const char *pk, const char *sk, const char *data, int64_t expires_at_ms)
{
    lk_item item = kit_item(pk, sk, data);
    item.expires_at_ms = expires_at_ms;
    assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, NULL));
}

/* ---- pull ---- */

lk_status
jobs_pull_once(kit *k, const char *pk, const char *dead_pk)
{
    lk_pull_options options = {.pk = lk_string(pk),
                               .visibility_ms = VISIBILITY_MS,
                               .max_receives = 1,
                               .dead_pk = lk_string(dead_pk)};
    return lk_queue_pull(k->db, &options, k->result);
}

uint64_t
job_number(const lk_item *item)
{
    char text[9] = {0};
    assert_non_null(item);
    assert_int_equal(item->data.size, 8);
    memcpy(text, item->data.data, 8);
    return strtoull(text, NULL, 10);
}

lk_status
jobs_touch(kit *k, job *j)
{
    return lk_queue_extend(k->db, &j->claim, j->claim.deadline_ms - k->monotonic_ms);
}

void
jobs_assert_lost(kit *k, job *j, const char *file, int line)
{
    lk_claim before = j->claim;
    lkc_assert_status(LK_LOST, lk_queue_extend(k->db, &j->claim, 1000), "extend", file, line);
    lkc_assert_status(LK_LOST, lk_queue_release(k->db, &j->claim, 0), "release", file, line);
    lkc_assert_status(LK_LOST, lk_queue_acknowledge(k->db, &j->claim, 1), "acknowledge", file,
                      line);
    lk_write write = {.kind = LK_ACKNOWLEDGE, .claim = &j->claim};
    lkc_assert_status(LK_LOST, lk_commit(k->db, &write, 1, NULL, 0, NULL), "commit", file, line);
    assert_memory_equal(&before, &j->claim, sizeof before);
}

/* ---- what there is ---- */

size_t
jobs_items(kit *k, const char *pk)
{
    lk_query query = {.pk = lk_string(pk)};
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    return lk_result_count(k->result);
}

/* ---- pictures ---- */

static void
picture_add(picture *p, const void *bytes, size_t size)
{
    assert_true(size <= PICTURE_ROOM - p->size);
    if (size != 0)
        memcpy(p->bytes + p->size, bytes, size);
    p->size += size;
}

static void
picture_add_bytes(picture *p, lk_bytes bytes)
{
    picture_add(p, &bytes.size, sizeof bytes.size);
    picture_add(p, bytes.data, bytes.size);
}

void
picture_take(kit *k, const char *const *pks, size_t count, picture *p)
{
    lk_result *result = lk_result_new();
    assert_non_null(result);
    p->size = 0;
    for (size_t i = 0; i < count; i++) {
        lk_query query = {.pk = lk_string(pks[i])};
        assert_status(LK_OK, lk_query_items(k->db, &query, result));
        for (size_t j = 0; j < lk_result_count(result); j++) {
            const lk_item *item = lk_result_item(result, j);
            picture_add_bytes(p, item->key.sk);
            picture_add_bytes(p, item->data);
            picture_add(p, &item->expires_at_ms, sizeof item->expires_at_ms);
        }
        lk_queue_statistics statistics = lkc_stats(k->db, pks[i]);
        picture_add(p, &statistics, sizeof statistics);
    }
    lk_result_free(result);
}

bool
picture_equals(const picture *left, const picture *right)
{
    return left->size == right->size && memcmp(left->bytes, right->bytes, left->size) == 0;
}
