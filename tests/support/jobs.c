/* SPDX-License-Identifier: MIT
 *
 * See jobs.h.
 */
#include "support/jobs.h"

/* ---- push ---- */

lk_status
jobs_try_push(kit *k, const char *pk, const char *sk, const char *data,
              const lk_push_options *options)
{
    lk_item item = kit_item(pk, sk, data);
    return lk_queue_push(k->db, &item, 1, options, NULL);
}

void
jobs_push(kit *k, const char *pk, const char *sk, const char *data)
{
    assert_status(LK_OK, jobs_try_push(k, pk, sk, data, NULL));
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
jobs_push_delayed(kit *k, const char *pk, const char *sk, const char *data, int64_t delay_ms)
{
    lk_push_options options = {.delay_ms = delay_ms};
    assert_status(LK_OK, jobs_try_push(k, pk, sk, data, &options));
}

void
jobs_push_expiring(kit *k, const char *pk, const char *sk, const char *data, int64_t expires_at_ms)
{
    lk_item item = kit_item(pk, sk, data);
    item.expires_at_ms = expires_at_ms;
    assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, NULL));
}

/* ---- pull ---- */

static void
text_keep(char text[JOB_ROOM], lk_bytes bytes)
{
    assert_true(bytes.size < JOB_ROOM);
    if (bytes.size != 0)
        memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
}

void
job_keep(job *j, const lk_result *result, size_t i)
{
    const lk_item *item = lk_result_item(result, i);
    const lk_claim *claim = lk_result_claim(result, i);
    assert_true(item != NULL && claim != NULL);
    assert_true(kit_bytes_equal(item->key.pk, claim->key.pk));
    assert_true(kit_bytes_equal(item->key.sk, claim->key.sk));
    text_keep(j->pk, claim->key.pk);
    text_keep(j->sk, claim->key.sk);
    text_keep(j->data, item->data);
    j->claim = *claim;
    j->claim.key.pk.data = j->pk;
    j->claim.key.sk.data = j->sk;
    j->expires_at_ms = item->expires_at_ms;
}

static lk_status
pull_one(kit *k, const lk_pull_options *options, job *j)
{
    lk_status status = lk_queue_pull(k->db, options, k->result);
    if (status != LK_OK)
        return status;
    assert_int_equal(lk_result_count(k->result), 1);
    job unused;
    job_keep(j != NULL ? j : &unused, k->result, 0);
    return status;
}

lk_status
jobs_try_pull(kit *k, const char *pk, job *j)
{
    lk_pull_options options = {.pk = lk_string(pk), .visibility_ms = JOB_VISIBILITY_MS};
    return pull_one(k, &options, j);
}

lk_status
jobs_try_pull_limited(kit *k, const char *pk, uint32_t max_receives, const char *dead_pk, job *j)
{
    lk_pull_options options = {.pk = lk_string(pk),
                               .visibility_ms = JOB_VISIBILITY_MS,
                               .max_receives = max_receives,
                               .dead_pk = lk_string(dead_pk)};
    return pull_one(k, &options, j);
}

uint64_t
job_number(const lk_item *item)
{
    char text[JOB_ROOM];
    assert_non_null(item);
    text_keep(text, item->data);
    assert_int_equal(strlen(text), 8);
    return strtoull(text, NULL, 10);
}

void
jobs_assert_pull(kit *k, const char *pk, const char *wanted, job *j, const char *file, int line)
{
    job own;
    j = j != NULL ? j : &own;
    kit_assert_status(LK_OK, jobs_try_pull(k, pk, j), "pull", file, line);
    if (strcmp(j->data, wanted) == 0)
        return;
    print_error("%s:%d: pulled \"%s\", not \"%s\"\n", file, line, j->data, wanted);
    _fail(file, line);
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
    kit_assert_status(LK_LOST, lk_queue_extend(k->db, &j->claim, 1000), "extend", file, line);
    kit_assert_status(LK_LOST, lk_queue_release(k->db, &j->claim, 0), "release", file, line);
    kit_assert_status(LK_LOST, lk_queue_acknowledge(k->db, &j->claim, 1), "acknowledge", file,
                      line);
    lk_write write = {.kind = LK_ACKNOWLEDGE, .claim = &j->claim};
    kit_assert_status(LK_LOST, lk_commit(k->db, &write, 1, NULL, 0, NULL), "commit", file, line);
    assert_memory_equal(&before, &j->claim, sizeof before);
}

/* ---- what there is ---- */

lk_queue_statistics
jobs_statistics(kit *k, const char *pk)
{
    lk_queue_statistics statistics;
    kit_fill(&statistics, sizeof statistics);
    assert_status(LK_OK, lk_queue_stats(k->db, lk_string(pk), &statistics));
    return statistics;
}

void
jobs_assert_depths(kit *k, const char *pk, uint64_t ready, uint64_t claimed, uint64_t delayed,
                   const char *file, int line)
{
    lk_queue_statistics s = jobs_statistics(k, pk);
    if (s.ready == ready && s.claimed == claimed && s.delayed == delayed)
        return;
    print_error("%s:%d: ready %llu claimed %llu delayed %llu, not %llu %llu %llu\n", file, line,
                (unsigned long long)s.ready, (unsigned long long)s.claimed,
                (unsigned long long)s.delayed, (unsigned long long)ready,
                (unsigned long long)claimed, (unsigned long long)delayed);
    _fail(file, line);
}

size_t
jobs_items(kit *k, const char *pk)
{
    lk_query query = {.pk = lk_string(pk)};
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    return lk_result_count(k->result);
}

/* ---- generated keys ---- */

static int
digit_of(char letter)
{
    static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    const char *at = letter == '\0' ? NULL : strchr(letters, letter);
    return at == NULL ? -1 : (int)(at - letters);
}

bool
jobs_is_ulid(lk_bytes sk)
{
    const char *text = sk.data;
    if (sk.size != ULID_SIZE || text[0] > '7')
        return false;
    for (size_t i = 0; i < ULID_SIZE; i++)
        if (digit_of(text[i]) < 0)
            return false;
    return true;
}

int64_t
jobs_ulid_ms(lk_bytes sk)
{
    int64_t ms = 0;
    for (size_t i = 0; i < 10; i++)
        ms = ms * 32 + digit_of(((const char *)sk.data)[i]);
    return ms;
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
        lk_queue_statistics statistics = jobs_statistics(k, pks[i]);
        picture_add(p, &statistics, sizeof statistics);
    }
    lk_result_free(result);
}

bool
picture_equals(const picture *left, const picture *right)
{
    return left->size == right->size && memcmp(left->bytes, right->bytes, left->size) == 0;
}
