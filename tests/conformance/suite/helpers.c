/* SPDX-License-Identifier: MIT
 *
 * Asserts, items, locks, randomness: see suite.h.
 */
#include "suite.h"

/* ---- asserts ---- */

void
lkc_assert_holds(rig *r, lk_key key, const char *data, const char *file, int line)
{
    lk_status status = lk_get(r->db, key, r->result);
    lkc_assert_status(data == NULL ? LK_NOT_FOUND : LK_OK, status, "lk_get", file, line);
    if (data == NULL)
        return;
    const lk_item *item = lk_result_item(r->result, 0);
    if (lk_result_count(r->result) == 1 && item != NULL && lkc_equal(item->key.pk, key.pk) &&
        lkc_equal(item->key.sk, key.sk) && lkc_is(item->data, data))
        return;
    print_error("%s:%d: an item does not hold \"%s\"\n", file, line, data);
    _fail(file, line);
}

static const char *const primed[] = {"primed 0", "primed 1"};

void
lkc_prime(lk_result *result)
{
    lk_result_draft(result);
    for (size_t i = 0; i < COUNT(primed); i++) {
        lk_item item = lkc_item(primed[i], primed[i], primed[i]);
        assert_status(LK_OK, lk_result_add(result, &item));
    }
    assert_status(LK_OK, lk_result_add(result, NULL));
    lk_result_publish(result);
}

bool
lkc_is_primed(const lk_result *result)
{
    if (lk_result_count(result) != COUNT(primed) + 1 ||
        lk_result_item(result, COUNT(primed)) != NULL || lk_result_claim(result, 0) != NULL)
        return false;
    for (size_t i = 0; i < COUNT(primed); i++) {
        const lk_item *item = lk_result_item(result, i);
        if (item == NULL || !lkc_is(item->key.pk, primed[i]) || !lkc_is(item->key.sk, primed[i]) ||
            !lkc_is(item->data, primed[i]))
            return false;
    }
    return true;
}

/* ---- items ---- */

lk_bytes
lkc_bytes(const void *data, size_t size)
{
    return (lk_bytes){data, size};
}

lk_key
lkc_key(lk_bytes pk, lk_bytes sk)
{
    return (lk_key){pk, sk};
}

lk_item
lkc_item(const char *pk, const char *sk, const char *data)
{
    return (lk_item){.key = lk_key_of(pk, sk), .data = lk_string(data)};
}

void
lkc_set(rig *r, const char *pk, const char *sk, const char *data)
{
    lkc_set_until(r, pk, sk, data, 0);
}

void
lkc_set_until(rig *r, const char *pk, const char *sk, const char *data, int64_t expires_at_ms)
{
    lk_item item = lkc_item(pk, sk, data);
    item.expires_at_ms = expires_at_ms;
    assert_status(LK_OK, lk_set(r->db, &item, 1));
}

void
lkc_delete(rig *r, const char *pk, const char *sk)
{
    lk_key key = lk_key_of(pk, sk);
    assert_status(LK_OK, lk_delete(r->db, &key, 1));
}

lk_lock
lkc_lock(rig *r, lk_key key)
{
    lk_lock lock = {0};
    assert_status(LK_OK, lk_get_lock(r->db, key, &lock));
    assert_true(lock.version != 0);
    assert_ptr_equal(lock.key.pk.data, key.pk.data); /* it borrows */
    assert_bytes(key.sk, lock.key.sk);
    return lock;
}

lk_item
lkc_number_item(lk_key key, const int64_t *number)
{
    return (lk_item){.key = key, .data = {number, sizeof *number}};
}

int64_t
lkc_number(const lk_item *item)
{
    int64_t number = -1;
    if (item != NULL && item->data.size == sizeof number)
        memcpy(&number, item->data.data, sizeof number);
    return number;
}

/* ---- randomness, volume ---- */

uint64_t
lkc_seed(void)
{
    const char *text = getenv("LK_TEST_SEED");
    return text != NULL ? strtoull(text, NULL, 10) : 20260101;
}

uint64_t
lkc_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

uint64_t
lkc_scaled(uint64_t count)
{
    const char *text = getenv("LK_TEST_SCALE");
    uint64_t percent = text != NULL ? strtoull(text, NULL, 10) : 100;
    uint64_t scaled = count / 100 * percent + count % 100 * percent / 100;
    return scaled > 0 ? scaled : 1;
}
