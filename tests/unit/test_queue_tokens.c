/* SPDX-License-Identifier: MIT
 *
 * A claim is good in the store that gave it, and in no other, also where both have done the same
 * with the same keys.
 */
#include "support/jobs.h"

static void
test_claims_of_another_store_are_lost(void **state)
{
    (void)state;
    static const char *const sks[] = {"own", NULL};
    enum { STORES = 3, TURNS = 4 };
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        kit k[STORES];
        job j[STORES];
        for (size_t s = 0; s < STORES; s++)
            kit_open(&k[s], NULL);
        for (int turn = 0; turn < TURNS; turn++) {
            for (size_t s = 0; s < STORES; s++) {
                jobs_push(&k[s], "q", sks[i], "x");
                assert_pull(&k[s], "q", "x", &j[s]);
            }
            for (size_t s = 0; s < STORES; s++) {
                size_t other = (s + 1) % STORES;
                lk_claim foreign = j[other].claim;
                foreign.key = j[s].claim.key;
                lk_write writes[2] = {{.kind = LK_ACKNOWLEDGE, .claim = &foreign},
                                      {.kind = LK_PUT, .item = kit_item("done", "x", "x")}};
                if (sks[i] == NULL && foreign.token == j[s].claim.token)
                    foreign.key = j[other].claim.key; /* the same place: the key tells them apart */
                assert_lost(&k[s], &(job){.claim = foreign});
                assert_status(LK_LOST, lk_queue_acknowledge(k[s].db, &foreign, 1));
                assert_status(LK_LOST, lk_commit(k[s].db, writes, 2, NULL, 0, NULL));
                assert_true(kit_holds(&k[s], kit_key("done", "x"), NULL));
                assert_held(&k[s], &j[s]);
            }
            for (size_t s = 0; s < STORES; s++)
                assert_status(LK_OK, lk_queue_acknowledge(k[s].db, &j[s].claim, 1));
        }
        for (size_t s = 0; s < STORES; s++)
            kit_close(&k[s]);
    }
}

/* Whichever bit of it is another one. */
static void
test_claims_with_one_wrong_bit_are_lost(void **state)
{
    kit *k = *state;
    static const char *const sks[] = {"own", NULL};
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push(k, "q", sks[i], "x");
        assert_pull(k, "q", "x", &j);
        job forged = {.claim = j.claim};
        for (unsigned bit = 0; bit < 64; bit++) {
            forged.claim.token = j.claim.token ^ UINT64_C(1) << bit;
            if (forged.claim.token != 0)
                assert_lost(k, &forged);
        }
        assert_held(k, &j);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims_of_another_store_are_lost),
        KIT_TEST(test_claims_with_one_wrong_bit_are_lost),
    };
    return cmocka_run_group_tests_name("queue_tokens", tests, NULL, NULL);
}
