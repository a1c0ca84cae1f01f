/* SPDX-License-Identifier: MIT
 *
 * A skip list without latches (order.h).
 *
 * STRUCTURE. Level 0 is a linked list of all entries in order; it alone says which entries are in
 * the set. Each higher level is a list of about every fourth entry of the level below, and only
 * shortens searches. Pugh, "Skip lists: a probabilistic alternative to balanced trees", 1990. A
 * list is Harris's ("A pragmatic implementation of non-blocking linked-lists", 2001), unlinked
 * entry by entry as in Michael ("High performance dynamic lock-free hash tables and list-based
 * sets", 2002): bit 0 of an entry's link, the mark, says that the *entry* is being removed at that
 * level. A marked link never changes again, so nothing is linked behind an entry that is being
 * removed. Several levels of such lists: Fraser, "Practical lock-freedom", 2004, chapter 4.3;
 * Herlihy and Shavit, "The Art of Multiprocessor Programming", chapter 14.4.
 *
 * WRITERS. An insertion links level 0 first; from then on the entry is in the set. Then it links
 * the higher levels, upwards, and stops where it finds a mark. A removal marks the higher levels,
 * downwards, then level 0: the thread that sets that mark has removed the entry. A search unlinks
 * all marked entries on its way, and retires none. No step waits for another thread: if a thread
 * stops, its entry may stay half linked or half marked, and others pass it.
 *
 * WHO RETIRES. An inserter may still be linking a high level after a remover has marked and
 * unlinked all of them: it has seen no mark, stops, the entry is unlinked, and then it links. So an
 * entry has two parties, inserter and remover, and each adds to `done` after its last link or last
 * mark. The second one knows that no new link to the entry can appear and that all levels are
 * marked. It walks all levels once more (order_search with `sweep`), after which no level leads to
 * the entry, and retires it. If one party has stopped for ever, others unlink the entry and it is
 * never freed.
 *
 * WHY THIS LAST WALK PASSES EQUAL ENTRIES. Level 0 never holds two equal entries: a search unlinks
 * the marked one before it lets the new one in. A higher level may: insertion B, on its way down,
 * saw an entry A there that was not marked yet, and found it marked at level 0; so B enters level 0
 * and then links the higher level before A, which stays there. A search that stops at the first
 * entry that is not less would never see A behind B. The last walk stops only at a greater entry.
 *
 * WHAT MAY BE FOLLOWED. A section found A linked at a level, and A's link there leads to B. Look at
 * the time when B was unlinked from that level. Either A was linked then and led elsewhere, so it
 * never leads to B again. Or A was not linked yet, and was linked later with a link to an entry
 * that was linked then. Or A had been removed already. The first two cases are excluded; the third
 * happened after the section began, or it would not have found A. So B is not disposed of before
 * the section ends. By induction this holds for all entries that are found from B, even along
 * marked links: lki_order_next may continue from an entry that was removed.
 *
 * This holds within one level only. A search changes levels. So it steps only onto entries that it
 * saw unmarked, hence linked at the lower levels too (I-order2), and leaves them by unmarked links.
 * It needs the marks as they are at that moment, so its loads are seq_cst, and so are all stores to
 * links that other threads can see. On the machines we know such loads cost nothing extra.
 *
 * WHY AN ENTRY THAT OTHERS UNLINKED MAY BE RETIRED HERE. The last walk has loaded the links as they
 * were after that. The epoch of the bag is loaded after a full fence (reclaim.c). A section of a
 * later epoch loads its links behind the barriers of its beginning, and finds the same links or
 * newer ones.
 *
 * Invariants  I-order1: each level is in order; level 0 has no equal entries.
 *             I-order2: an entry that is linked at a level, and not marked there, is linked at all
 *             lower ones.
 *             I-order3: if a level of an entry is marked, all higher ones are. A search that finds
 *             its place marked starts again, and unlinks that entry where it stepped onto it.
 *             I-order4: an entry is linked at a level once, by its inserter.
 * Ordering    P10: an entry's fields, then the link that leads to it (compare-and-swap); load of
 *             the link (acquire or seq_cst), then the fields. The same for marks: a thread that
 *             sees the mark of a level sees those above. P10b: last link or last mark of a party,
 *             then `done` (RMW); the second RMW, then the last walk.
 */
#include "base/order.h"
#include "base/chunk.h"

#include <string.h>

#include "base/chunk.h"
#include "base/hash.h"

typedef _Atomic(uintptr_t) link_word;

#define MARK ((uintptr_t)1)

_Static_assert(LKI_ORDER_LEVELS * 2 <= 32, "a height is drawn from 32 bits");
_Static_assert(sizeof(lki_entry) == offsetof(lki_entry, next), "links begin where the entry ends");

/* The values that an entry is compared with. */
typedef struct target {
    uint64_t rank, to;
    lk_bytes key;
} target;

/* The place of a target: at each level the links of the last entry that is less (or the heads), and
 * the first entry that is not less. */
typedef struct place {
    link_word *less[LKI_ORDER_LEVELS];
    uintptr_t found[LKI_ORDER_LEVELS];
} place;

/* ---- entries ---- */

/* Draws a height: each further level has a probability of a quarter. Each thread draws from its own
 * sequence, which begins at the thread's number, so that a thread's heights are the same in every
 * run. */
static unsigned
height_draw(void)
{
    static _Atomic(uint64_t) threads; /* [stat] */
    static __thread uint64_t state __attribute__((tls_model("initial-exec")));
    if (state == 0) /* the odd factor keeps it from becoming 0 */
        state = (lki_add_relaxed(&threads, 1) + 1) * 0x9e3779b97f4a7c15U;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    uint32_t bits = (uint32_t)(state >> 32) | UINT32_C(1) << 2 * (LKI_ORDER_LEVELS - 1);
    return 1 + (unsigned)__builtin_ctz(bits) / 2;
}

static bool
entry_dispose(lki_thread *thread, void *object)
{
    lki_entry *entry = object;
    lki_chunk_free(thread, entry, lki_entry_bytes(entry));
    return true;
}

lki_entry *
lki_entry_new(lki_thread *thread, uint64_t rank, lk_bytes key, uint64_t from, uint64_t to)
{
    LK_ASSERT(key.size <= UINT32_MAX);
    unsigned height = height_draw();
    size_t links = height * sizeof(link_word);
    lki_entry *entry = lki_chunk_alloc(thread, sizeof *entry + links + key.size);
    if (entry == NULL)
        return NULL;
    entry->object.dispose = entry_dispose;
    entry->rank = rank;
    entry->from = from;
    entry->to = to;
    entry->size = (uint32_t)key.size;
    entry->height = (uint8_t)height;
    lki_store_relaxed(&entry->done, 0); /* not published yet */
    if (key.size > 0)
        memcpy(entry->next + height, key.data, key.size);
    return entry;
}

void
lki_entry_discard(lki_thread *thread, lki_entry *entry)
{
    if (entry != NULL)
        lki_chunk_free(thread, entry, lki_entry_bytes(entry));
}

static target
entry_target(const lki_entry *entry)
{
    return (target){entry->rank, entry->to, {lki_entry_key(entry), entry->size}};
}

/* Negative, 0 or positive, as the entry is less than, equal to or greater than the target. */
static int
entry_compare(const lki_entry *entry, const target *t)
{
    if (entry->rank != t->rank)
        return entry->rank < t->rank ? -1 : 1;
    int order = lk_bytes_compare((lk_bytes){lki_entry_key(entry), entry->size}, t->key);
    if (order != 0)
        return order;
    return (entry->to > t->to) - (entry->to < t->to);
}

/* ---- searching ---- */

/* Goes along a level from `*links` to the last entry that is less than the target (or equal, with
 * `past_equals`), and unlinks marked entries on the way. *found: the entry after it, or 0. False:
 * the entry that it stands on is being removed at this level; start again. */
static bool
level_walk(link_word **links, unsigned level, const target *t, bool past_equals, uintptr_t *found)
{
    link_word *here = *links;
    uintptr_t link = lki_load_seq_cst(&here[level]); /* P10 */
    for (;;) {
        if ((link & MARK) != 0)
            return false;
        if (link == 0)
            break;
        lki_entry *entry = (lki_entry *)link;
        uintptr_t next = lki_load_seq_cst(&entry->next[level]); /* P10 */
        if ((next & MARK) != 0) {
            /* P10: a thread that follows the new link acquires what `next` was published with. The
             * swap fails if `here` was marked or leads elsewhere now; `link` is then its value. */
            if (lki_cas_seq_cst(&here[level], &link, next & ~MARK))
                link = next & ~MARK;
            continue;
        }
        int order = entry_compare(entry, t);
        if (order > 0 || (order == 0 && !past_equals))
            break;
        here = entry->next;
        link = next;
    }
    *links = here;
    *found = link;
    return true;
}

/* Finds the target's place at all levels. At levels below `sweep` it also passes entries equal to
 * the target, so that no marked one stays linked there. */
static void
order_search(lki_order *order, const target *t, unsigned sweep, place *p)
{
    bool steady;
    do {
        link_word *links = order->head;
        steady = true;
        for (unsigned level = LKI_ORDER_LEVELS; steady && level-- > 0;) {
            steady = level_walk(&links, level, t, false, &p->found[level]);
            p->less[level] = links;
            if (steady && level < sweep) {
                uintptr_t greater;
                link_word *equal = links; /* lower levels may have equal entries before it */
                steady = level_walk(&equal, level, t, true, &greater);
            }
        }
    } while (!steady);
}

/* A party has stored its last link or mark. True: it was the second one. */
static bool
entry_leave(lki_entry *entry)
{
    /* P10b: the RMW that finds 1 sees all that the other party has stored, and no link is stored
     * after it. Without it both parties could be first, or the walk that follows could miss a link
     * or a mark, and the entry would be freed while it is linked. */
    return lki_add_seq_cst(&entry->done, 1) != 0;
}

/* Unlinks the entry from all its levels. `last`: by the second party, which retires it. */
static void
entry_unlink(lki_order *order, lki_thread *thread, lki_entry *entry, bool last)
{
    place p;
    const target t = entry_target(entry);
    order_search(order, &t, entry->height, &p);
    if (last)
        lki_retire(thread, LKI_OBJECT, entry, lki_entry_bytes(entry));
}

/* ---- insertion ---- */

/* Links the entry at a level above 0. False: it is being removed. */
static bool
level_link(lki_order *order, lki_entry *entry, const target *t, unsigned level, place *p)
{
    uintptr_t next = lki_load_relaxed(&entry->next[level]); /* for the mark alone */
    for (;;) {
        /* By compare-and-swap, so that a mark is not overwritten. */
        while ((next & MARK) == 0 && next != p->found[level])
            if (lki_cas_seq_cst(&entry->next[level], &next, p->found[level]))
                next = p->found[level];
        if ((next & MARK) != 0)
            return false;
        uintptr_t expected = p->found[level];
        if (lki_cas_seq_cst(&p->less[level][level], &expected, (uintptr_t)entry)) /* P10 */
            return true;
        order_search(order, t, 0, p);
        next = lki_load_relaxed(&entry->next[level]); /* as above */
    }
}

bool
lki_order_insert(lki_order *order, lki_thread *thread, lki_entry *entry)
{
    place p;
    const target t = entry_target(entry);
    uintptr_t expected;
    do {
        order_search(order, &t, 0, &p);
        const lki_entry *found = (const lki_entry *)p.found[0];
        if (found != NULL && entry_compare(found, &t) == 0)
            return false;
        for (unsigned level = 0; level < entry->height; level++)
            lki_store_relaxed(&entry->next[level], p.found[level]); /* published by the swap */
        expected = p.found[0];
    } while (!lki_cas_seq_cst(&p.less[0][0], &expected, (uintptr_t)entry)); /* P10 */
    unsigned level = 1;
    while (level < entry->height && level_link(order, entry, &t, level, &p))
        level++;
    if (entry_leave(entry)) /* P10b; from the first party's count on the entry may be freed */
        entry_unlink(order, thread, entry, true);
    return true;
}

/* ---- removal ---- */

bool
lki_order_remove(lki_order *order, lki_thread *thread, uint64_t rank, lk_bytes key, uint64_t to)
{
    place p;
    const target t = {rank, to, key};
    order_search(order, &t, 0, &p);
    lki_entry *entry = (lki_entry *)p.found[0];
    if (entry == NULL || entry_compare(entry, &t) != 0)
        return false;
    for (unsigned level = entry->height; --level > 0;)
        lki_or_seq_cst(&entry->next[level], MARK); /* P10: before the marks below */
    /* The moment of removal. If another call was first, there was an instant since the search at
     * which the set had no such entry. */
    if ((lki_or_seq_cst(&entry->next[0], MARK) & MARK) != 0) /* P10 */
        return false;
    bool last = entry_leave(entry); /* P10b */
    /* Unlink also as the first party: the inserter may have stopped. The section keeps the
     * entry. */
    entry_unlink(order, thread, entry, last);
    return true;
}

/* ---- walks ---- */

const lki_entry *
lki_order_live(uintptr_t link)
{
    for (;;) {
        const lki_entry *entry = (const lki_entry *)(link & ~MARK);
        if (entry == NULL)
            return NULL;
        link = lki_load_acquire(&entry->next[0]); /* P10 */
        if ((link & MARK) == 0)
            return entry;
    }
}

const lki_entry *
lki_order_from(lki_order *order, uint64_t rank)
{
    place p;
    const target t = {rank, 0, {NULL, 0}}; /* the least possible of this rank */
    order_search(order, &t, 0, &p);
    return p.found[0] == 0 ? NULL : lki_order_live(p.found[0]);
}

/* ---- without other threads ---- */

void
lki_order_close(lki_order *order, const lki_allocator *allocator)
{
    uintptr_t link = lki_load_acquire(&order->head[0]); /* P10 */
    while (link != 0) {
        lki_entry *entry = (lki_entry *)link;
        link = lki_load_acquire(&entry->next[0]) & ~MARK; /* P10 */
        lki_chunk_release(allocator, entry, lki_entry_bytes(entry));
    }
    for (unsigned level = 0; level < LKI_ORDER_LEVELS; level++)
        lki_store_relaxed(&order->head[level], 0); /* no other thread is there */
}

/* Counts the entries of a level. *higher: how many reach the next level. SIZE_MAX: an invariant is
 * broken. */
static size_t
level_check(const lki_order *order, unsigned level, size_t *higher)
{
    size_t count = 0;
    const lki_entry *last = NULL;
    uintptr_t link = lki_load_acquire(&order->head[level]); /* P10 */
    *higher = 0;
    while (link != 0) {
        const lki_entry *entry = (const lki_entry *)(link & ~MARK);
        const target t = entry_target(entry);
        if ((link & MARK) != 0 || entry->height <= level || entry->height > LKI_ORDER_LEVELS ||
            lki_load_relaxed(&entry->done) != 1 || (last != NULL && entry_compare(last, &t) >= 0))
            return SIZE_MAX;
        *higher += entry->height > level + 1;
        count++;
        last = entry;
        link = lki_load_acquire(&entry->next[level]); /* P10 */
    }
    return count;
}

size_t
lki_order_check(const lki_order *order)
{
    size_t higher, count = level_check(order, 0, &higher);
    size_t expected = higher;
    for (unsigned level = 1; level < LKI_ORDER_LEVELS && count != SIZE_MAX; level++) {
        if (level_check(order, level, &higher) != expected)
            return SIZE_MAX;
        expected = higher;
    }
    return count;
}
