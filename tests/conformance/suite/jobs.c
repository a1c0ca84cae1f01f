/* SPDX-License-Identifier: MIT
 *
 * See jobs.h.
 */
#include "jobs.h"

/* ---- push ---- */

lk_status
lkc_try_push(lk_db *db, const char *pk, const char *sk, const char *data,
             const lk_push_options *options)
{
    lk_item item = {.key = lk_key_of(pk, sk), .data = lk_string(data)};
    return lk_queue_push(db, &item, 1, options, NULL);
}

void
lkc_push(lk_db *db, const char *pk, const char *sk, const char *data)
{
    assert_status(LK_OK, lkc_try_push(db, pk, sk, data, NULL));
}

void
lkc_push_delayed(lk_db *db, const char *pk, const char *sk, const char *data, int64_t delay_ms)
{
    lk_push_options options = {.delay_ms = delay_ms};
    assert_status(LK_OK, lkc_try_push(db, pk, sk, data, &options));
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
lkc_job_keep(job *j, const lk_result *result, size_t i)
{
    const lk_item *item = lk_result_item(result, i);
    const lk_claim *claim = lk_result_claim(result, i);
    assert_true(item != NULL && claim != NULL);
    assert_bytes(item->key.pk, claim->key.pk);
    assert_bytes(item->key.sk, claim->key.sk);
    assert_true(claim->token != 0);
    text_keep(j->pk, claim->key.pk);
    text_keep(j->sk, claim->key.sk);
    text_keep(j->data, item->data);
    j->claim = *claim;
    j->claim.key.pk.data = j->pk;
    j->claim.key.sk.data = j->sk;
}

lk_status
lkc_try_pull(lk_db *db, lk_result *result, const char *pk, job *j)
{
    job own;
    lk_pull_options options = {.pk = lk_string(pk), .visibility_ms = VISIBILITY_MS};
    lk_status status = lk_queue_pull(db, &options, result);
    if (status != LK_OK)
        return status;
    assert_int_equal(lk_result_count(result), 1);
    lkc_job_keep(j != NULL ? j : &own, result, 0);
    return status;
}

void
lkc_assert_pull(lk_db *db, lk_result *result, const char *pk, const char *wanted, job *j,
                const char *file, int line)
{
    job own;
    j = j != NULL ? j : &own;
    lkc_assert_status(LK_OK, lkc_try_pull(db, result, pk, j), "pull", file, line);
    if (strcmp(j->data, wanted) == 0)
        return;
    print_error("%s:%d: pulled \"%s\", not \"%s\"\n", file, line, j->data, wanted);
    _fail(file, line);
}

/* ---- what there is ---- */

void
lkc_assert_held(lk_db *db, job *j, int64_t now_ms, const char *file, int line)
{
    int64_t left_ms = j->claim.deadline_ms - now_ms;
    lkc_assert_status(LK_OK, lk_queue_extend(db, &j->claim, left_ms), "extend", file, line);
}

lk_queue_statistics
lkc_stats(lk_db *db, const char *pk)
{
    lk_queue_statistics stats;
    lkc_fill(&stats, sizeof stats);
    assert_status(LK_OK, lk_queue_stats(db, lk_string(pk), &stats));
    return stats;
}

void
lkc_assert_depths(lk_db *db, const char *pk, uint64_t ready, uint64_t claimed, uint64_t delayed,
                  const char *file, int line)
{
    lk_queue_statistics s = lkc_stats(db, pk);
    if (s.ready == ready && s.claimed == claimed && s.delayed == delayed)
        return;
    print_error("%s:%d: ready %llu claimed %llu delayed %llu, not %llu %llu %llu\n", file, line,
                (unsigned long long)s.ready, (unsigned long long)s.claimed,
                (unsigned long long)s.delayed, (unsigned long long)ready,
                (unsigned long long)claimed, (unsigned long long)delayed);
    _fail(file, line);
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
lkc_is_ulid(lk_bytes sk)
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
lkc_ulid_ms(lk_bytes sk)
{
    int64_t ms = 0;
    for (size_t i = 0; i < 10; i++)
        ms = ms * 32 + digit_of(((const char *)sk.data)[i]);
    return ms;
}
