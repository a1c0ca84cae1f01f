/* SPDX-License-Identifier: MIT
 *
 * Walks of the ordered index that stay open while it changes, on one thread, so that each
 * interleaving of whole calls can be had: keys in strict order, and every cell that stays exactly
 * once.
 */
#include "support/index_rig.h"

typedef struct open_walk {
    lki_index_walk walk;
    lki_cell *last;
    bool reverse, open;
    size_t fixed_left; /* cells of the fixed set that it has yet to return */
} open_walk;

/* Cells that are never removed in these tests carry this flag. */
static bool
cell_is_fixed(const lki_cell *cell)
{
    return cell->hash == 1;
}

static void
open_walk_begin(rig *r, open_walk *w)
{
    unsigned char key[KEY_ROOM];
    bool found;
    w->open = true;
    w->last = NULL;
    w->reverse = base_draw(2) != 0;
    w->fixed_left = 0;
    if (base_draw(3) == 0) {
        size_t size = key_number(key), at = model_find(r, key, size, &found);
        lki_index_walk_begin(&w->walk, &r->index, &(lk_bytes){key, size}, false, w->reverse);
        for (size_t i = w->reverse ? 0 : at; i < (w->reverse ? at : base.count); i++)
            w->fixed_left += cell_is_fixed(r->model[i]);
    } else {
        lki_index_walk_begin(&w->walk, &r->index, NULL, false, w->reverse);
        for (size_t i = 0; i < base.count; i++)
            w->fixed_left += cell_is_fixed(r->model[i]);
    }
}

static void
open_walk_go_on(open_walk *w)
{
    lki_cell *cells[64];
    size_t room = 1 + base_draw(64), taken = lki_index_walk_next(&w->walk, cells, room);
    for (size_t i = 0; i < taken; i++) {
        lki_cell *cell = cells[i];
        if (w->last != NULL) {
            int order = key_compare(lki_cell_sk(w->last), w->last->sk_size, lki_cell_sk(cell),
                                    cell->sk_size);
            EXPECT(w->reverse ? order > 0 : order < 0);
        }
        w->last = cell;
        w->fixed_left -= cell_is_fixed(cell);
    }
    if (taken < room) {
        EXPECT(w->fixed_left == 0);
        w->open = false;
    }
}

/* Removed cells go to a graveyard: open walks may still return them, as in a section. `dense`:
 * the numbers near `around`, so that whole neighbourhoods are dropped and come back. */
static void
open_walks_disturb(rig *r, lki_cell **graveyard, size_t *dead, uint64_t around)
{
    char key[32];
    bool found;
    int size =
        snprintf(key, sizeof key, "user:%011llu", (unsigned long long)(around + base_draw(300)));
    size_t at = model_find(r, key, (size_t)size, &found);
    if (!found && base_draw(2) != 0) {
        rig_insert(r, key, (size_t)size);
    } else if (at < base.count && !cell_is_fixed(r->model[at])) {
        graveyard[(*dead)++] = rig_take_at(r, at);
    }
}

static void
test_index_open_walks_see_what_stays(void **state)
{
    rig *r = *state;
    enum { WALKS = 6, STEPS = 3000 };
    lki_cell **graveyard = malloc(STEPS * 8 * sizeof *graveyard);
    uint64_t rounds = test_scaled(60);
    for (uint64_t round = 0; round < rounds; round++) {
        open_walk walks[WALKS] = {0};
        size_t dead = 0, every = 20 + base_draw(400);
        for (uint64_t i = 0; i < 6000; i++) {
            rig_insert_number(r, "user:%011llu", i * 7919 % 100000);
            if (i % 300 == 0)
                for (size_t j = 0; j < base.count; j++)
                    r->model[j]->hash = j % every == 0;
        }
        lki_enter(base.thread);
        for (uint64_t step = 0; step < STEPS; step++) {
            open_walk *w = &walks[base_draw(WALKS)];
            if (!w->open)
                open_walk_begin(r, w);
            if (base_draw(4) == 0)
                open_walk_go_on(w);
            uint64_t around = step / 500 % 2 == 0 ? base_draw(100000) : step / 200 * 500;
            for (size_t i = 0; i < 8; i++)
                open_walks_disturb(r, graveyard, &dead, around);
        }
        rig_check(r);
        lki_leave(base.thread);
        while (dead > 0)
            free(graveyard[--dead]);
        for (size_t i = 0; i < base.count; i++)
            r->model[i]->hash = 0;
        rig_empty(r);
    }
    free(graveyard);
}

/* A whole leaf or a whole inner node is emptied, but for one cell, under full neighbours; walks
 * begin; then that cell goes too, its node is dropped, and keys of its range come back, which
 * are the neighbour's now. A walk in the old tree comes by the neighbour and by what was
 * dropped: it may return the old cell or the new ones, but never out of order. */
static void
dropped_range_round(rig *r, size_t first, size_t size, lki_cell **graveyard)
{
    enum { WALKS = 8 };
    open_walk walks[WALKS] = {0};
    size_t dead = 0, last = first + base_draw(size);
    lki_enter(base.thread);
    /* Neighbours may have room: behind the last key of the leaf before, behind the last child of
     * the inner node before, in the leaf behind. */
    if (first + size < base.count && base_draw(2) != 0)
        graveyard[dead++] = rig_take_at(r, first + size);
    size_t room = first < 4 * LEAF_CELLS ? first != 0 : base_draw(2) != 0 ? 1 : LEAF_CELLS;
    for (size_t n = 0; n < room; n++)
        graveyard[dead++] = rig_take_at(r, room == 1 ? first - 1 : first - 3 * LEAF_CELLS);
    first -= room;
    last -= room;
    lki_cell *kept = r->model[last];
    for (size_t i = 0; i < size - 1; i++)
        graveyard[dead++] = rig_take_at(r, r->model[first] == kept ? first + 1 : first);
    for (size_t i = 0; i < WALKS; i++) {
        open_walk_begin(r, &walks[i]);
        for (size_t n = base_draw(4); walks[i].open && n > 0; n--)
            open_walk_go_on(&walks[i]);
    }
    graveyard[dead++] = rig_take_at(r, first);
    char digits[12] = "";
    memcpy(digits, lki_cell_sk(kept) + 5, 11);
    uint64_t number = strtoull(digits, NULL, 10);
    for (uint64_t i = 0; i < 6; i++)
        rig_insert_number(r, "user:%011llu", number + base_draw(7) - 3);
    rig_check(r);
    for (size_t i = 0; i < WALKS; i++)
        while (walks[i].open)
            open_walk_go_on(&walks[i]);
    lki_leave(base.thread);
    while (dead > 0)
        free(graveyard[--dead]);
}

static void
test_index_dropped_range_keeps_walks_in_order(void **state)
{
    rig *r = *state;
    enum { CHILDREN = 64, CELLS = LEAF_CELLS * CHILDREN * 3 };
    lki_cell **graveyard = malloc(CELLS * sizeof *graveyard);
    uint64_t rounds = test_scaled(100);
    for (uint64_t round = 0; round < rounds; round++) {
        for (uint64_t i = 0; i < CELLS; i++)
            rig_insert_number(r, "user:%011llu", 10 * i + 10);
        size_t unit = round % 2 == 0 ? LEAF_CELLS : LEAF_CELLS * CHILDREN;
        dropped_range_round(r, base_draw(CELLS / unit) * unit, unit, graveyard);
        rig_empty(r);
    }
    free(graveyard);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        INDEX_TEST(test_index_open_walks_see_what_stays),
        INDEX_TEST(test_index_dropped_range_keeps_walks_in_order),
    };
    return cmocka_run_group_tests_name("index walks", tests, NULL, NULL);
}
