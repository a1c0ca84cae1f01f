/* SPDX-License-Identifier: MIT
 *
 * The weak memory of memory.h. How it works:
 *
 * Each fiber has a vector clock; its own part moves on after each release. A view is nothing but a
 * clock: a message (a store in a history) notes for each fiber when that fiber first saw it, and
 * who has a clock that covers one of these moments knows the message, and so nothing older in its
 * word. That covers the four rules of coherence and happens-before at once, and costs no map of
 * words. A message carries the clock that whoever acquires from it joins.
 *
 * One part of each clock counts seq_cst accesses instead of a fiber's steps: a message notes the
 * number of the first seq_cst access that saw or made it. A seq_cst access takes all of these for
 * known; a seq_cst fence sets the fiber's part to the number reached.
 *
 * Invariants
 *   I1  The words of a history lie in the order of modification; `base` is older than all of them.
 *   I2  Real memory holds the newest message of each byte, or base where there is none.
 *   I3  Messages whose masks overlap but are not equal appear only where sizes are mixed; nothing
 *       is chosen then.
 */
#include "schedule/memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    PARTS = MEMORY_FIBERS + 1,
    S_PART = MEMORY_FIBERS, /* counts seq_cst accesses */
    NEVER = INT32_MAX,
    ACCESSES = 6,
    PAGE_GRANULES = 512,
    PAGES = 2048,
    HISTORIES = 1 << 16
};

enum { KIND_WRITE = 1, KIND_ATOMIC = 2 };

struct clock {
    int32_t at[PARTS];
};

struct message {
    struct clock view; /* what its acquirer learns */
    struct clock seen; /* when each fiber first saw it, or NEVER */
    uint64_t value;    /* its bytes at their places in the granule */
    uint8_t mask;      /* its bytes */
    bool rmw;          /* a read-modify-write: nothing comes between it and the one before */
};

struct history {
    struct clock base_view;
    uint64_t base;
    uint8_t base_stale; /* bytes of base that are to be read from memory first */
    uint8_t base_mask;  /* bytes whose messages base_view comes from */
    uint8_t count;
    uint8_t order[MEMORY_STORES]; /* messages, the oldest first; behind count those that are free */
    struct message messages[MEMORY_STORES];
};

struct access {
    int32_t epoch;
    uint8_t fiber;
    uint8_t mask; /* 0: none */
    uint8_t kind;
};

/* 8 bytes of memory, or (lowest bit of the key set) an object of memory_release. */
struct shadow {
    uint64_t key;
    uint32_t generation; /* of another one it is free */
    uint32_t history;    /* 0: none */
    struct access accesses[ACCESSES];
};

static struct shadow shadows[PAGES * PAGE_GRANULES];
static struct history histories[HISTORIES];
static uint32_t generation = 1;
static uint32_t histories_used;
static unsigned victim; /* which access of a full shadow goes next */
static unsigned depth_max = MEMORY_STORES + 1;

static struct clock now[MEMORY_FIBERS];
static struct clock fence_released[MEMORY_FIBERS]; /* clock at the last release fence */
static struct clock fence_pending[MEMORY_FIBERS];  /* what an acquire fence will learn */
static struct clock fences;                        /* what seq_cst fences know */
static int32_t s_count;                            /* seq_cst accesses so far */

static void
clock_join(struct clock *restrict to, const struct clock *restrict from)
{
    for (unsigned i = 0; i < PARTS; i++)
        to->at[i] = to->at[i] > from->at[i] ? to->at[i] : from->at[i];
}

static bool
clock_knows(const struct clock *clock, const struct message *message)
{
    int32_t found = 0;
    for (unsigned i = 0; i < PARTS; i++)
        found |= message->seen.at[i] <= clock->at[i];
    return found != 0;
}

static bool
order_acquires(int order)
{
    return order == __ATOMIC_CONSUME || order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL ||
           order == __ATOMIC_SEQ_CST;
}

static bool
order_releases(int order)
{
    return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static struct shadow *
shadow_find(uint64_t key, bool make)
{
    uint64_t page = ((key >> 12) * UINT64_C(0x9e3779b97f4a7c15)) >> 53;
    size_t place = (size_t)page * PAGE_GRANULES + (key >> 3) % PAGE_GRANULES;
    for (unsigned tries = 0; tries < PAGES; tries++) {
        struct shadow *shadow = &shadows[place];
        if (shadow->generation != generation) {
            if (!make)
                return NULL;
            memset(shadow, 0, sizeof(*shadow));
            shadow->key = key;
            shadow->generation = generation;
            return shadow;
        }
        if (shadow->key == key)
            return shadow;
        place = (place + PAGE_GRANULES) % (PAGES * PAGE_GRANULES);
    }
    schedule_fail("memory model: too many words");
    abort();
}

static uint64_t
granule_of(const volatile void *p)
{
    return (uint64_t)(uintptr_t)p & ~UINT64_C(7);
}

/* Ones in the bytes of the mask. */
static uint64_t
mask_bits(uint8_t mask)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++)
        if ((mask & 1U << i) != 0)
            bits |= UINT64_C(0xff) << (8 * i);
    return bits;
}

static struct history *
history_of(struct shadow *shadow)
{
    if (shadow->history == 0) {
        if (histories_used + 1 == HISTORIES) {
            schedule_fail("memory model: too many atomic words");
            abort();
        }
        shadow->history = ++histories_used;
        struct history *history = &histories[shadow->history];
        memset(&history->base_view, 0, sizeof(history->base_view));
        history->base_stale = 0xff;
        history->base_mask = 0;
        history->count = 0;
        for (unsigned i = 0; i < MEMORY_STORES; i++)
            history->order[i] = (uint8_t)i;
    }
    return &histories[shadow->history];
}

static struct message *
message_at(struct history *history, unsigned place)
{
    return &history->messages[history->order[place]];
}

static void
message_drop(struct history *history, unsigned place)
{
    uint8_t slot = history->order[place];
    history->count--;
    memmove(&history->order[place], &history->order[place + 1], history->count - place);
    history->order[history->count] = slot;
}

/* The bytes of the mask have no history any more; what memory holds is what there is. */
static void
history_end(struct history *history, uint8_t mask)
{
    for (unsigned i = history->count; i-- > 0;) {
        struct message *message = message_at(history, i);
        message->mask &= (uint8_t)~mask;
        if (message->mask == 0)
            message_drop(history, i);
    }
    history->base_stale |= mask;
    history->base_mask &= (uint8_t)~mask;
    if (history->base_mask == 0)
        memset(&history->base_view, 0, sizeof(history->base_view));
}

/* The oldest message becomes part of the base. */
static void
history_shorten(struct history *history)
{
    struct message *message = message_at(history, 0);
    uint64_t bits = mask_bits(message->mask);
    history->base = (history->base & ~bits) | (message->value & bits);
    if ((history->base_mask & ~message->mask) == 0)
        history->base_view = message->view;
    else
        clock_join(&history->base_view, &message->view);
    history->base_mask |= message->mask;
    message_drop(history, 0);
}

/* A place for a message that comes at `place`. */
static struct message *
message_insert(struct history *history, unsigned place)
{
    if (history->count == MEMORY_STORES) {
        history_shorten(history);
        place -= place > 0;
    }
    uint8_t slot = history->order[history->count];
    memmove(&history->order[place + 1], &history->order[place], history->count - place);
    history->order[place] = slot;
    history->count++;
    return &history->messages[slot];
}

/* What an access is about. */
struct word {
    struct history *history;
    volatile void *p;
    unsigned fiber;
    unsigned size;
    unsigned shift; /* bits from the granule's start */
    uint64_t bits;
    uint8_t mask;
};

static uint64_t
memory_get(const volatile void *p, unsigned size)
{
    switch (size) {
    case 1:
        return *(const volatile uint8_t *)p;
    case 2:
        return *(const volatile uint16_t *)p;
    case 4:
        return *(const volatile uint32_t *)p;
    default:
        return *(const volatile uint64_t *)p;
    }
}

static void
memory_put(volatile void *p, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        *(volatile uint8_t *)p = (uint8_t)value;
        break;
    case 2:
        *(volatile uint16_t *)p = (uint16_t)value;
        break;
    case 4:
        *(volatile uint32_t *)p = (uint32_t)value;
        break;
    default:
        *(volatile uint64_t *)p = value;
    }
}

static const char *
kind_text(unsigned kind)
{
    static const char *const texts[] = {"read", "write", "atomic read", "atomic write"};
    return texts[kind & 3U];
}

/* FastTrack's rule: of the accesses that are ordered before this one, those that conflict with less
 * are forgotten. */
static void
access_note(struct shadow *shadow, unsigned fiber, uint8_t mask, uint8_t kind)
{
    const struct clock *clock = &now[fiber];
    struct access *free_place = NULL;
    for (struct access *access = shadow->accesses; access < shadow->accesses + ACCESSES; access++) {
        if (access->mask == 0) {
            if (free_place == NULL)
                free_place = access;
            break;
        }
        bool own = access->fiber == fiber;
        if (own && access->epoch == clock->at[fiber] && access->kind == kind &&
            (mask & ~access->mask) == 0)
            return;
        bool ordered = own || access->epoch <= clock->at[access->fiber];
        bool conflict = ((access->kind | kind) & KIND_WRITE) != 0 &&
                        (access->kind & kind & KIND_ATOMIC) == 0 && (access->mask & mask) != 0;
        if (!ordered && conflict) {
            schedule_fail("data race at %#llx: %s by fiber %u, after %s by fiber %u",
                          (unsigned long long)shadow->key, kind_text(kind), fiber,
                          kind_text(access->kind), access->fiber);
            ordered = true; /* told once */
        }
        if (ordered && (access->mask & ~mask) == 0 &&
            (access->kind & KIND_WRITE) <= (kind & KIND_WRITE) &&
            (access->kind & KIND_ATOMIC) >= (kind & KIND_ATOMIC) && free_place == NULL)
            free_place = access;
    }
    if (free_place == NULL)
        free_place = &shadow->accesses[victim++ % ACCESSES];
    *free_place = (struct access){
        .epoch = clock->at[fiber], .fiber = (uint8_t)fiber, .mask = mask, .kind = kind};
}

/* The newest message that overlaps the word; count: none. */
static unsigned
word_newest(const struct word *word)
{
    struct history *history = word->history;
    for (unsigned i = history->count; i-- > 0;)
        if ((message_at(history, i)->mask & word->mask) != 0)
            return i;
    return history->count;
}

/* Makes base and memory agree with the history: what was written by code that is not instrumented
 * synchronises with everybody. */
static void
word_settle(const struct word *word)
{
    struct history *history = word->history;
    uint64_t real = memory_get(word->p, word->size) << word->shift;
    if ((history->base_stale & word->mask) != 0) {
        uint64_t bits = mask_bits(history->base_stale & word->mask);
        history->base = (history->base & ~bits) | (real & bits);
        history->base_stale &= (uint8_t)~word->mask;
    }
    unsigned newest = word_newest(word);
    uint64_t known = history->base;
    if (newest < history->count) {
        const struct message *message = message_at(history, newest);
        if ((word->mask & ~message->mask) != 0)
            return;
        known = message->value;
    }
    if (((known ^ real) & word->bits) == 0)
        return;
    history_end(history, word->mask);
    history->base = (history->base & ~word->bits) | real;
    history->base_stale &= (uint8_t)~word->mask;
    history->base_mask |= word->mask;
    for (unsigned i = 0; i < MEMORY_FIBERS; i++)
        clock_join(&history->base_view, &now[i]);
}

static struct word
word_of(unsigned fiber, const volatile void *p, unsigned size, uint8_t kind)
{
    if (fiber >= MEMORY_FIBERS || (size != 1 && size != 2 && size != 4 && size != 8) ||
        (uintptr_t)p % size != 0) {
        schedule_fail("memory model: fiber %u, %u bytes at %p", fiber, size,
                      (const void *)(uintptr_t)p);
        abort();
    }
    struct shadow *shadow = shadow_find(granule_of(p), true);
    unsigned offset = (uintptr_t)p % 8;
    uint8_t mask = (uint8_t)(((1U << size) - 1U) << offset);
    access_note(shadow, fiber, mask, kind | KIND_ATOMIC);
    struct word word = {.history = history_of(shadow),
                        .p = (volatile void *)(uintptr_t)p,
                        .fiber = fiber,
                        .size = size,
                        .shift = 8 * offset,
                        .bits = UINT64_MAX >> (64 - 8 * size) << (8 * offset),
                        .mask = mask};
    word_settle(&word);
    return word;
}

static uint64_t
word_value(const struct word *word, uint64_t granule)
{
    return (granule & word->bits) >> word->shift;
}

/* What an access with this order knows already. */
static struct clock
clock_of(unsigned fiber, int order)
{
    struct clock clock = now[fiber];
    if (order == __ATOMIC_SEQ_CST) {
        clock_join(&clock, &fences);
        clock.at[S_PART] = NEVER - 1;
    }
    return clock;
}

static void
message_saw(struct message *message, unsigned fiber, int order)
{
    if (message->seen.at[fiber] == NEVER)
        message->seen.at[fiber] = now[fiber].at[fiber];
    if (order == __ATOMIC_SEQ_CST && message->seen.at[S_PART] == NEVER)
        message->seen.at[S_PART] = s_count;
}

static void
view_learn(unsigned fiber, const struct clock *view, int order)
{
    clock_join(order_acquires(order) ? &now[fiber] : &fence_pending[fiber], view);
}

/* Reads the message at that place; count: the base. */
static uint64_t
message_read(const struct word *word, unsigned place, int order)
{
    struct history *history = word->history;
    if (place >= history->count) {
        view_learn(word->fiber, &history->base_view, order);
        return word_value(word, history->base);
    }
    struct message *message = message_at(history, place);
    message_saw(message, word->fiber, order);
    view_learn(word->fiber, &message->view, order);
    return word_value(word, message->value);
}

/* Bytes that stores of other sizes wrote: all of them are seen. */
static uint64_t
mixed_read(const struct word *word, int order)
{
    struct history *history = word->history;
    for (unsigned i = 0; i < history->count; i++)
        if ((message_at(history, i)->mask & word->mask) != 0)
            (void)message_read(word, i, order);
    view_learn(word->fiber, &history->base_view, order);
    return memory_get(word->p, word->size);
}

static bool
word_mixed(const struct word *word, unsigned newest)
{
    return newest < word->history->count &&
           (word->mask & ~message_at(word->history, newest)->mask) != 0;
}

/* Places of the messages that a load may return, the newest first; count stands for the base. */
static unsigned
candidates_find(const struct word *word, int order, unsigned places[MEMORY_STORES + 1])
{
    struct history *history = word->history;
    struct clock clock = clock_of(word->fiber, order);
    unsigned n = 0;
    for (unsigned i = history->count; i-- > 0 && n < depth_max;) {
        const struct message *message = message_at(history, i);
        if ((message->mask & word->mask) == 0)
            continue;
        if ((word->mask & ~message->mask) != 0)
            return n;
        places[n++] = i;
        if (clock_knows(&clock, message))
            return n;
    }
    if (n < depth_max)
        places[n++] = history->count;
    return n;
}

static unsigned
choose(unsigned n)
{
    return n > 1 ? schedule_choose(n) : 0;
}

/* The message that a read-modify-write follows, or nothing: then the view of all. */
static uint64_t
newest_read(const struct word *word, int order, struct clock *view)
{
    struct history *history = word->history;
    unsigned newest = word_newest(word);
    if (word_mixed(word, newest)) {
        *view = history->base_view;
        for (unsigned i = 0; i < history->count; i++)
            clock_join(view, &message_at(history, i)->view);
        return mixed_read(word, order);
    }
    *view = newest < history->count ? message_at(history, newest)->view : history->base_view;
    return message_read(word, newest, order);
}

/* Fills a new message. `before`: the view of the message that a read-modify-write follows. */
static void
message_fill(struct message *message, const struct word *word, uint64_t value, int order,
             const struct clock *before)
{
    unsigned fiber = word->fiber;
    message->value = value << word->shift;
    message->mask = word->mask;
    message->rmw = before != NULL;
    for (unsigned i = 0; i < PARTS; i++)
        message->seen.at[i] = NEVER;
    message_saw(message, fiber, order);
    message->view = order_releases(order) ? now[fiber] : fence_released[fiber];
    if (before != NULL)
        clock_join(&message->view, before);
    if (order_releases(order))
        now[fiber].at[fiber]++;
}

static void
rmw_write(const struct word *word, uint64_t value, int order, const struct clock *before)
{
    struct message *message = message_insert(word->history, word->history->count);
    message_fill(message, word, value, order, before);
    memory_put(word->p, word->size, value);
}

uint64_t
memory_load(unsigned fiber, const volatile void *p, unsigned size, int order)
{
    struct word word = word_of(fiber, p, size, 0);
    s_count += order == __ATOMIC_SEQ_CST;
    if (word_mixed(&word, word_newest(&word)))
        return mixed_read(&word, order);
    unsigned places[MEMORY_STORES + 1];
    unsigned n = candidates_find(&word, order, places);
    return message_read(&word, places[choose(n)], order);
}

void
memory_store(unsigned fiber, volatile void *p, unsigned size, uint64_t value, int order)
{
    struct word word = word_of(fiber, p, size, KIND_WRITE);
    struct history *history = word.history;
    s_count += order == __ATOMIC_SEQ_CST;
    /* Places where it may stand: behind all, or before messages that the fiber does not know. */
    unsigned places[MEMORY_STORES + 1] = {history->count};
    unsigned n = 1;
    struct clock clock = clock_of(fiber, order);
    for (unsigned i = history->count; i-- > 0 && n < depth_max;) {
        const struct message *message = message_at(history, i);
        if ((message->mask & word.mask) == 0)
            continue;
        if (message->mask != word.mask || clock_knows(&clock, message))
            break;
        /* Of a full history the oldest is about to become the base, and nothing comes before that. */
        if (!message->rmw && (i > 0 || history->count < MEMORY_STORES))
            places[n++] = i;
    }
    unsigned choice = choose(n);
    message_fill(message_insert(history, places[choice]), &word, value, order, NULL);
    if (choice == 0)
        memory_put(p, size, value);
}

static uint64_t
op_result(enum memory_op op, uint64_t old, uint64_t value)
{
    switch (op) {
    case MEMORY_EXCHANGE:
        return value;
    case MEMORY_ADD:
        return old + value;
    case MEMORY_SUB:
        return old - value;
    case MEMORY_AND:
        return old & value;
    case MEMORY_OR:
        return old | value;
    case MEMORY_XOR:
        return old ^ value;
    case MEMORY_NAND:
        return ~(old & value);
    }
    return old;
}

uint64_t
memory_rmw(unsigned fiber, volatile void *p, unsigned size, enum memory_op op, uint64_t value,
           int order)
{
    struct word word = word_of(fiber, p, size, KIND_WRITE);
    s_count += order == __ATOMIC_SEQ_CST;
    struct clock before;
    uint64_t old = newest_read(&word, order, &before);
    uint64_t result = op_result(op, old, value);
    rmw_write(&word, word_value(&word, result << word.shift), order, &before);
    return old;
}

bool
memory_cas(unsigned fiber, volatile void *p, unsigned size, uint64_t *expected, uint64_t desired,
           int success, int failure)
{
    struct word word = word_of(fiber, p, size, KIND_WRITE);
    s_count += success == __ATOMIC_SEQ_CST;
    struct clock before;
    unsigned newest = word_newest(&word);
    uint64_t value = memory_get(p, size);
    unsigned places[MEMORY_STORES + 1];
    unsigned n = 0;
    if (!word_mixed(&word, newest)) {
        /* A failure may be stale; a success takes the newest. */
        unsigned found = candidates_find(&word, failure, places);
        for (unsigned i = 0; i < found; i++) {
            uint64_t granule = places[i] < word.history->count
                                   ? message_at(word.history, places[i])->value
                                   : word.history->base;
            if (i == 0 || word_value(&word, granule) != *expected)
                places[n++] = places[i];
        }
    }
    unsigned choice = choose(n);
    if (choice == 0 && value == *expected) {
        (void)newest_read(&word, success, &before);
        rmw_write(&word, desired, success, &before);
        return true;
    }
    *expected = n == 0 ? mixed_read(&word, failure) : message_read(&word, places[choice], failure);
    return false;
}

void
memory_fence(unsigned fiber, int order)
{
    if (order_acquires(order))
        clock_join(&now[fiber], &fence_pending[fiber]);
    if (order == __ATOMIC_SEQ_CST) {
        clock_join(&now[fiber], &fences);
        now[fiber].at[S_PART] = s_count;
        fences = now[fiber];
    }
    if (order_releases(order)) {
        fence_released[fiber] = now[fiber];
        now[fiber].at[fiber]++;
    }
}

static void
plain_access(unsigned fiber, const volatile void *p, size_t size, uint8_t kind)
{
    uintptr_t at = (uintptr_t)p;
    uintptr_t end = at + size;
    while (at < end) {
        unsigned first = at % 8;
        unsigned last = end - at + first < 8 ? (unsigned)(end - at) + first : 8;
        uint8_t mask = (uint8_t)(((1U << (last - first)) - 1U) << first);
        struct shadow *shadow = shadow_find(at - first, true);
        access_note(shadow, fiber, mask, kind);
        if (kind == KIND_WRITE && shadow->history != 0)
            history_end(history_of(shadow), mask);
        at += last - first;
    }
}

void
memory_read(unsigned fiber, const volatile void *p, size_t size)
{
    plain_access(fiber, p, size, 0);
}

void
memory_write(unsigned fiber, volatile void *p, size_t size)
{
    plain_access(fiber, p, size, KIND_WRITE);
}

void
memory_sync(unsigned fiber, unsigned other)
{
    clock_join(&now[fiber], &now[other]);
    now[other].at[other]++;
}

void
memory_release(unsigned fiber, const volatile void *object)
{
    struct history *history = history_of(shadow_find((uint64_t)(uintptr_t)object | 1, true));
    clock_join(&history->base_view, &now[fiber]);
    now[fiber].at[fiber]++;
}

void
memory_acquire(unsigned fiber, const volatile void *object)
{
    struct shadow *shadow = shadow_find((uint64_t)(uintptr_t)object | 1, false);
    if (shadow != NULL && shadow->history != 0)
        clock_join(&now[fiber], &history_of(shadow)->base_view);
}

void
memory_fresh(void *p, size_t size)
{
    uint64_t end = (uint64_t)(uintptr_t)p + size;
    for (uint64_t at = granule_of(p); at < end; at += 8) {
        struct shadow *shadow = shadow_find(at, false);
        if (shadow == NULL)
            continue;
        memset(shadow->accesses, 0, sizeof(shadow->accesses));
        if (shadow->history != 0)
            history_end(history_of(shadow), 0xff);
    }
}

void
memory_depth(unsigned stores)
{
    depth_max = stores < 1 ? 1 : stores > MEMORY_STORES + 1 ? MEMORY_STORES + 1 : stores;
}

void
memory_reset(void)
{
    if (++generation == 0) {
        memset(shadows, 0, sizeof(shadows));
        generation = 1;
    }
    histories_used = 0;
    victim = 0;
    s_count = 0;
    memset(now, 0, sizeof(now));
    memset(fence_released, 0, sizeof(fence_released));
    memset(fence_pending, 0, sizeof(fence_pending));
    memset(&fences, 0, sizeof(fences));
    for (unsigned i = 0; i < MEMORY_FIBERS; i++)
        now[i].at[i] = 1;
}
