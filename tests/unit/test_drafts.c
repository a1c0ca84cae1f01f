/* SPDX-License-Identifier: MIT
 *
 * Drafts: how adapters fill results. What was published stays until the next is; holes, claims,
 * what there is more of a page; growth, memory that runs out; ULIDs one after the other.
 */
#include "base/alloc.h"
#include "base/ulid.h"
#include "support/fake.h"

/* ---- a result, its memory counted ---- */

static kit_memory memory;

static int
result_setup(void **state)
{
    memset(&memory, 0, sizeof memory);
    lki_default_allocator = (lki_allocator){kit_allocate, kit_deallocate, &memory, NULL, NULL};
    *state = lk_result_new();
    return *state == NULL;
}

static int
result_teardown(void **state)
{
    kit_memory_fail(&memory, 0, false);
    lk_result_free(*state);
    lki_default_allocator = (lki_allocator){0};
    return atomic_load(&memory.broken) || atomic_load(&memory.blocks) != 0;
}

/* Item `i` of a round: its sizes and bytes follow from the two. */
typedef struct sample {
    char pk[8], sk[40], data[256];
    lk_item item;
} sample;

static lk_item
sample_of(sample *s, unsigned i, unsigned round)
{
    size_t sk_size = (i * 7 + round) % sizeof s->sk,
           data_size = (i * 31 + round * 5) % sizeof s->data;
    snprintf(s->pk, sizeof s->pk, "p%u", i % 1000);
    memset(s->sk, (int)(i + round) % 251, sizeof s->sk);
    memset(s->data, (int)(i * 3 + round) % 249, sizeof s->data);
    s->item = (lk_item){.key = {lk_string(s->pk), {s->sk, sk_size}},
                        .data = {s->data, data_size},
                        .expires_at_ms = (int64_t)i + 1};
    return s->item;
}

static bool
items_are_equal(const lk_item *left, const lk_item *right)
{
    return lkc_equal(left->key.pk, right->key.pk) && lkc_equal(left->key.sk, right->key.sk) &&
           lkc_equal(left->data, right->data) && left->expires_at_ms == right->expires_at_ms;
}

static bool
is_hole(unsigned i, unsigned every)
{
    return every != 0 && i % every == 0;
}

/* Adds `count` samples, every n-th a hole; then what there is more, if so asked. */
static lk_status
samples_add(lk_result *result, unsigned count, unsigned round, unsigned holes, bool more)
{
    sample s;
    lk_status status = LK_OK;
    lk_result_draft(result);
    for (unsigned i = 0; status == LK_OK && i < count; i++) {
        lk_item item = sample_of(&s, i, round);
        status = lk_result_add(result, is_hole(i, holes) ? NULL : &item);
        lkc_fill(&s, sizeof s); /* it was copied */
    }
    if (status == LK_OK && more)
        status = lk_result_more(result, sample_of(&s, count, round).key.sk);
    return status;
}

static bool
samples_are_there(const lk_result *result, unsigned count, unsigned round, unsigned holes)
{
    sample s;
    if (lk_result_count(result) != count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        const lk_item *item = lk_result_item(result, i);
        lk_item wanted = sample_of(&s, i, round);
        if (is_hole(i, holes) ? item != NULL : item == NULL || !items_are_equal(item, &wanted))
            return false;
    }
    return lk_result_item(result, count) == NULL && lk_result_claim(result, 0) == NULL;
}

static void
samples_publish(lk_result *result, unsigned count, unsigned round, unsigned holes)
{
    assert_status(LK_OK, samples_add(result, count, round, holes, false));
    lk_result_publish(result);
    assert_true(samples_are_there(result, count, round, holes));
}

/* ---- published and not ---- */

static void
test_draft_that_is_not_published_leaves_the_result(void **state)
{
    lk_result *result = *state;
    samples_publish(result, 20, 1, 0);
    const lk_item *item = lk_result_item(result, 7);
    const void *bytes = item->data.data;
    for (unsigned round = 2; round < 6; round++) {
        assert_status(LK_OK, samples_add(result, 50 * round, round, 3, true));
        assert_true(samples_are_there(result, 20, 1, 0));
        assert_true(lk_result_item(result, 7) == item && item->data.data == bytes);
        lk_bytes sk = {NULL, 99};
        assert_false(lk_result_has_more(result, &sk));
        assert_true(sk.size == 99 && sk.data == NULL);
    }
    samples_publish(result, 5, 9, 0); /* nothing of those that were dropped */
}

static void
test_draft_that_is_published_empty_empties_the_result(void **state)
{
    lk_result *result = *state;
    lk_result_draft(result);
    lk_result_publish(result); /* there was never a draft */
    assert_int_equal(lk_result_count(result), 0);
    samples_publish(result, 20, 1, 0);
    lk_result_draft(result);
    assert_int_equal(lk_result_count(result), 20);
    lk_result_publish(result);
    assert_int_equal(lk_result_count(result), 0);
    assert_null(lk_result_item(result, 0));
    /* Filled by the library itself meanwhile, with no draft at all. */
    lk_result *other = lk_result_new();
    lk_result_publish(other);
    assert_int_equal(lk_result_count(other), 0);
    lk_result_free(other);
}

static void
test_draft_of_many_items_and_holes_holds_each(void **state)
{
    lk_result *result = *state;
    for (unsigned holes = 0; holes < 5; holes++)
        for (unsigned count = 0; count < 40; count++)
            samples_publish(result, count, count, holes);
    samples_publish(result, 3000, 1, 0);
    samples_publish(result, 3000, 2, 2);
}

/* Before there are any bytes, while they move, and alone. */
static void
test_draft_with_holes_in_front_keeps_them_while_it_grows(void **state)
{
    for (unsigned front = 1; front < 40; front++) {
        sample s;
        lk_result *result = lk_result_new();
        assert_non_null(result);
        for (unsigned i = 0; i < front; i++)
            assert_status(LK_OK, lk_result_add(result, NULL));
        for (unsigned i = 0; i < 100; i++) {
            lk_item item = sample_of(&s, i, 0);
            assert_status(LK_OK, lk_result_add(result, &item));
        }
        lk_result_publish(result);
        assert_int_equal(lk_result_count(result), front + 100);
        for (unsigned i = 0; i < front + 100; i++)
            assert_true((lk_result_item(result, i) == NULL) == (i < front));
        lk_result_free(result);
    }
    lk_result *result = *state;
    lk_result_draft(result);
    assert_status(LK_OK, lk_result_add(result, NULL));
    lk_result_publish(result);
    assert_int_equal(lk_result_count(result), 1);
    assert_null(lk_result_item(result, 0));
}

static void
test_draft_whose_input_lies_in_the_result_copies_it(void **state)
{
    lk_result *result = *state;
    sample s;
    samples_publish(result, 10, 3, 0);
    lk_result_draft(result);
    for (unsigned i = 0; i < 500; i++) /* the draft moves many times meanwhile */
        assert_status(LK_OK, lk_result_add(result, lk_result_item(result, i % 10)));
    assert_status(LK_OK, lk_result_more(result, lk_result_item(result, 9)->key.sk));
    lk_result_publish(result);
    assert_int_equal(lk_result_count(result), 500);
    for (unsigned i = 0; i < 500; i++) {
        lk_item wanted = sample_of(&s, i % 10, 3);
        assert_true(items_are_equal(lk_result_item(result, i), &wanted));
    }
    lk_bytes sk;
    assert_true(lk_result_has_more(result, &sk));
    assert_true(lkc_equal(sk, sample_of(&s, 9, 3).key.sk));
}

/* ---- claims ---- */

static lk_claim
claim_of(unsigned i)
{
    return (lk_claim){lk_key_of("not", "this"), i + 1, (int64_t)i * 10, i * 2};
}

static void
test_draft_with_claims_has_them_with_the_keys_of_their_items(void **state)
{
    lk_result *result = *state;
    for (unsigned count = 1; count < 200; count += 17) {
        sample s;
        lk_result_draft(result);
        for (unsigned i = 0; i < count; i++) {
            lk_item item = sample_of(&s, i, count);
            lk_claim claim = claim_of(i);
            assert_status(LK_OK, lk_result_add_claimed(result, &item, &claim));
        }
        lk_result_publish(result);
        assert_int_equal(lk_result_count(result), count);
        for (unsigned i = 0; i < count; i++) {
            const lk_claim *claim = lk_result_claim(result, i);
            lk_item wanted = sample_of(&s, i, count);
            assert_non_null(claim);
            assert_true(items_are_equal(lk_result_item(result, i), &wanted));
            assert_true(claim->key.pk.data == lk_result_item(result, i)->key.pk.data);
            assert_true(claim->key.sk.data == lk_result_item(result, i)->key.sk.data);
            assert_true(claim->key.sk.size == wanted.key.sk.size);
            assert_true(claim->token == i + 1 && claim->receives == i * 2);
            assert_true(claim->deadline_ms == (int64_t)i * 10);
        }
        assert_null(lk_result_claim(result, count));
    }
    samples_publish(result, 3, 1, 0); /* and no claims any more */
}

/* ---- what there is more ---- */

static void
test_draft_with_more_says_behind_which_sk(void **state)
{
    lk_result *result = *state;
    sample s;
    lk_bytes sk;
    for (unsigned count = 0; count < 60; count++) {
        assert_status(LK_OK, samples_add(result, count, 4, 0, true));
        lk_result_publish(result);
        assert_true(samples_are_there(result, count, 4, 0));
        assert_true(lk_result_has_more(result, &sk));
        assert_true(lkc_equal(sk, sample_of(&s, count, 4).key.sk));
    }
    /* The last one counts; items may follow it; an empty sk is one too. */
    lk_result_draft(result);
    assert_status(LK_OK, lk_result_more(result, lk_string("first")));
    assert_status(LK_OK, lk_result_more(result, lk_string("second")));
    for (unsigned i = 0; i < 300; i++) {
        lk_item item = sample_of(&s, i, 1);
        assert_status(LK_OK, lk_result_add(result, &item));
    }
    lk_result_publish(result);
    assert_true(samples_are_there(result, 300, 1, 0));
    assert_true(lk_result_has_more(result, &sk) && lkc_is(sk, "second"));
    lk_result_draft(result);
    assert_status(LK_OK, lk_result_more(result, (lk_bytes){NULL, 0}));
    lk_result_publish(result);
    assert_true(lk_result_has_more(result, &sk) && sk.size == 0);
    samples_publish(result, 2, 2, 0);
    assert_false(lk_result_has_more(result, &sk));
}

/* ---- memory ---- */

static void
test_draft_that_has_grown_allocates_no_more(void **state)
{
    lk_result *result = *state;
    for (unsigned round = 0; round < 10; round++) {
        if (round == 2) /* both halves have grown */
            kit_memory_fail(&memory, 1, true);
        assert_status(LK_OK, samples_add(result, 200, round % 2, 3, true));
        lk_result_publish(result);
        assert_true(samples_are_there(result, 200, round % 2, 3));
    }
    assert_int_equal(atomic_load(&memory.failed), 0);
}

static lk_status
claimed_add(lk_result *result, unsigned count)
{
    sample s;
    lk_status status = LK_OK;
    lk_result_draft(result);
    for (unsigned i = 0; status == LK_OK && i < count; i++) {
        lk_item item = sample_of(&s, i, 0);
        lk_claim claim = claim_of(i);
        status = lk_result_add_claimed(result, &item, &claim);
    }
    return status;
}

/* Every allocation of the draft fails in turn, once and for ever; the published half never
 * moves. */
static void
test_draft_without_memory_fails_and_leaves_the_result(void **state)
{
    (void)state;
    for (int shape = 0; shape < 4; shape++) {
        bool claims = shape % 2 != 0, failed = true;
        for (int64_t nth = 1; failed; nth++) {
            lk_result *result = lk_result_new();
            assert_non_null(result);
            samples_publish(result, 4, 1, 2); /* the other half is small too */
            uint64_t before = atomic_load(&memory.failed);
            kit_memory_fail(&memory, nth, shape >= 2);
            lk_status status =
                claims ? claimed_add(result, 100) : samples_add(result, 100, 2, 7, true);
            kit_memory_fail(&memory, 0, false);
            failed = atomic_load(&memory.failed) != before;
            assert_status(failed ? LK_NO_MEMORY : LK_OK, status);
            assert_true(samples_are_there(result, 4, 1, 2));
            assert_true(nth > 5 || failed); /* it did allocate */
            samples_publish(result, 100, 2, 7);
            lk_result_free(result);
        }
    }
}

/* What was added before the failure is still right: an adapter may publish that. */
static void
test_draft_goes_on_after_memory_ran_out_once(void **state)
{
    lk_result *result = *state;
    sample s;
    unsigned failures = 0;
    lk_result_draft(result);
    for (unsigned i = 0; i < 300; i++) {
        lk_item item = sample_of(&s, i, 6);
        kit_memory_fail(&memory, 1, true);
        lk_status status = lk_result_add(result, is_hole(i, 4) ? NULL : &item);
        kit_memory_fail(&memory, 0, false);
        if (status == LK_OK)
            continue;
        failures++;
        assert_status(LK_NO_MEMORY, status);
        assert_status(LK_OK, lk_result_add(result, is_hole(i, 4) ? NULL : &item));
    }
    lk_result_publish(result);
    assert_true(failures > 5);
    assert_true(samples_are_there(result, 300, 6, 4));
}

/* ---- ULIDs ---- */

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static bool
ulid_is_one(const char *ulid)
{
    for (int i = 0; i < LK_ULID_SIZE; i++)
        if (ulid[i] == '\0' || strchr(alphabet, ulid[i]) == NULL)
            return false;
    return ulid[0] <= '7';
}

static int64_t
ulid_ms(const char *ulid)
{
    int64_t ms = 0;
    for (int i = 0; i < 10; i++)
        ms = ms * 32 + (strchr(alphabet, ulid[i]) - alphabet);
    return ms;
}

/* The next one is an ULID, greater, and of no earlier time. */
static void
ulid_goes_on(char *ulid, int64_t now_ms)
{
    char last[LK_ULID_SIZE];
    memcpy(last, ulid, sizeof last);
    lk_ulid_next(ulid, now_ms);
    assert_true(ulid_is_one(ulid));
    assert_true(memcmp(last, ulid, LK_ULID_SIZE) < 0);
    assert_true(ulid_ms(ulid) >= ulid_ms(last));
}

static void
test_ulid_next_is_sorted_strictly_and_bears_the_time(void **state)
{
    (void)state;
    kit_random random = kit_random_of(11);
    char ulid[LK_ULID_SIZE] = {0};
    int64_t now = KIT_START_MS, latest = now;
    lk_ulid_next(ulid, now);
    assert_true(ulid_is_one(ulid) && ulid_ms(ulid) == now);
    for (uint64_t i = 0; i < test_scaled(100000); i++) {
        uint64_t step =
            kit_draw(&random, 16); /* mostly none; some forward, some back, some far back */
        now += step == 0 ? 1 : step == 1 ? -1000 : step == 2 ? 997 : 0;
        int64_t given = step == 3 ? (int64_t)kit_draw(&random, 1000) : now;
        latest = given > latest ? given : latest;
        ulid_goes_on(ulid, given);
        assert_true(ulid_ms(ulid) == latest);
    }
}

static void
test_ulid_next_of_times_out_of_range_stays_in_range(void **state)
{
    (void)state;
    static const int64_t times[] = {INT64_MIN,        -1,       0, 1, ((int64_t)1 << 48) - 2,
                                    INT64_C(1) << 48, INT64_MAX};
    char ulid[LK_ULID_SIZE] = {0};
    for (size_t i = 0; i < KIT_COUNT(times); i++) {
        char fresh[LK_ULID_SIZE] = {0};
        int64_t most = ((int64_t)1 << 48) - 1;
        lk_ulid_next(fresh, times[i]);
        assert_true(ulid_is_one(fresh));
        assert_true(ulid_ms(fresh) == (times[i] < 0 ? 0 : times[i] > most ? most : times[i]));
        if (i == 0)
            memcpy(ulid, fresh, sizeof ulid);
        for (int j = 0; j < 50; j++)
            ulid_goes_on(ulid, times[i]);
    }
}

static void
test_ulid_next_after_the_last_of_a_millisecond_takes_the_next_one(void **state)
{
    (void)state;
    char ulid[LK_ULID_SIZE];
    lki_ulid_write_ms((unsigned char *)ulid, KIT_START_MS);
    memcpy(ulid + 10, "ZZZZZZZZZZZZZZZY", 16);
    ulid_goes_on(ulid, KIT_START_MS);
    assert_memory_equal(ulid + 10, "ZZZZZZZZZZZZZZZZ", 16);
    ulid_goes_on(ulid, KIT_START_MS);
    assert_true(ulid_ms(ulid) == KIT_START_MS + 1);
    memcpy(ulid + 10, "01234567ZZZZZZZZ", 16); /* carries from half to half */
    ulid_goes_on(ulid, 5);
    assert_memory_equal(ulid + 10, "0123456800000000", 16);
    assert_true(ulid_ms(ulid) == KIT_START_MS + 1);
}

static void
test_ulid_next_after_what_is_none_begins_anew(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",
        "not an ulid at all, is it?",
        "01HF7YAT00ILOUILOUILOUILOU",
        "01hf7yat00abcdefghjkmnpqrs",
        "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "7ZZZZZZZZZ\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    kit_random random = kit_random_of(12);
    for (uint64_t i = 0; i < test_scaled(10000) + KIT_COUNT(none); i++) {
        char ulid[LK_ULID_SIZE] = {0};
        if (i < KIT_COUNT(none))
            memcpy(ulid, none[i], strlen(none[i]));
        for (size_t j = 0; i >= KIT_COUNT(none) && j < sizeof ulid; j++)
            ulid[j] = (char)kit_draw(&random, 256);
        if (i >= KIT_COUNT(none) && ulid_is_one(ulid))
            continue;
        lk_ulid_next(ulid, KIT_START_MS);
        assert_true(ulid_is_one(ulid) && ulid_ms(ulid) == KIT_START_MS);
    }
}

static void
test_ulid_next_from_nothing_differs_each_time(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    char ulids[COUNT][LK_ULID_SIZE];
    memset(ulids, 0, sizeof ulids);
    for (int i = 0; i < COUNT; i++)
        lk_ulid_next(ulids[i], KIT_START_MS);
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(ulids[i], ulids[j], LK_ULID_SIZE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, result_setup, result_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_draft_that_is_not_published_leaves_the_result),
        TEST(test_draft_that_is_published_empty_empties_the_result),
        TEST(test_draft_of_many_items_and_holes_holds_each),
        TEST(test_draft_with_holes_in_front_keeps_them_while_it_grows),
        TEST(test_draft_whose_input_lies_in_the_result_copies_it),
        TEST(test_draft_with_claims_has_them_with_the_keys_of_their_items),
        TEST(test_draft_with_more_says_behind_which_sk),
        TEST(test_draft_that_has_grown_allocates_no_more),
        TEST(test_draft_without_memory_fails_and_leaves_the_result),
        TEST(test_draft_goes_on_after_memory_ran_out_once),
        cmocka_unit_test(test_ulid_next_is_sorted_strictly_and_bears_the_time),
        cmocka_unit_test(test_ulid_next_of_times_out_of_range_stays_in_range),
        cmocka_unit_test(test_ulid_next_after_the_last_of_a_millisecond_takes_the_next_one),
        cmocka_unit_test(test_ulid_next_after_what_is_none_begins_anew),
        cmocka_unit_test(test_ulid_next_from_nothing_differs_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
