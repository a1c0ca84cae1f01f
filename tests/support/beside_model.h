/* SPDX-License-Identifier: MIT
 *
 * What the rigs that run a store beside the reference model have in common. For items_rig.c and
 * queues_rig.c, behind their `rig`: a kit `k`, a model `m`, `random`, `step`, and room for what was
 * `found`. A failure prints the seed and the step.
 */
#ifndef LATCHKEY_TESTS_BESIDE_MODEL_H
#define LATCHKEY_TESTS_BESIDE_MODEL_H

#define EXPECT(r, condition)                                                                    \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            print_error("LK_TEST_SEED=%llu, step %llu\n", (unsigned long long)(r)->random.seed, \
                        (unsigned long long)(r)->step);                                         \
            assert_true(condition);                                                             \
        }                                                                                       \
    } while (0)
#define EXPECT_SAME(r, wanted, got)                                                         \
    do {                                                                                    \
        lk_status wanted_ = (wanted), got_ = (got);                                         \
        if (wanted_ != got_)                                                                \
            print_error("%s, not %s\n", lk_status_string(got_), lk_status_string(wanted_)); \
        EXPECT(r, wanted_ == got_);                                                         \
    } while (0)

static uint64_t
draw(rig *r, uint64_t below)
{
    return kit_draw(&r->random, below);
}

static void
items_match(rig *r, const lk_item *real, const lk_item *ideal)
{
    EXPECT(r, real != NULL);
    EXPECT(r, lkc_equal(real->key.pk, ideal->key.pk));
    EXPECT(r, lkc_equal(real->key.sk, ideal->key.sk));
    EXPECT(r, lkc_equal(real->data, ideal->data));
    EXPECT(r, real->expires_at_ms == ideal->expires_at_ms);
}

/* What was read of a key; NULL: nothing. */
static void
key_matches(rig *r, lk_key key, const lk_item *real)
{
    lk_item ideal;
    lk_status status = model_get(r->m, key, &ideal);
    EXPECT(r, (real != NULL) == (status == LK_OK));
    if (real != NULL)
        items_match(r, real, &ideal);
}

static void
query_matches(rig *r, const lk_query *query)
{
    size_t count = 0, counted = SIZE_MAX;
    EXPECT_SAME(r, LK_OK, model_query(r->m, query, r->found, KIT_COUNT(r->found), &count));
    EXPECT(r, count <= KIT_COUNT(r->found));
    EXPECT_SAME(r, LK_OK, lk_query_items(r->k.db, query, r->k.result));
    EXPECT(r, lk_result_count(r->k.result) == count);
    for (size_t i = 0; i < count; i++)
        items_match(r, lk_result_item(r->k.result, i), &r->found[i]);
    EXPECT_SAME(r, LK_OK, lk_count(r->k.db, query, &counted));
    EXPECT(r, counted == count);
}

#endif
