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
 * number of the first seq_cst access that saw or made it, and a seq_cst fence sets the fiber's part
 * to the number reached.
 *
 * Of the last seq_cst accesses it is noted which must come before which in S: by happens-before, or
 * since one saw of a word what the other replaced. A seq_cst access may see what leaves S without a
 * circle. Accesses that are not remembered any more come before all others, but for those of which
 * it was noted that they come before them.
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

#include "schedule/races.h"

enum {
    NEVER = INT32_MAX,
    HISTORIES = 1 << 16,
    EVENTS = 32, /* seq_cst accesses that are remembered: bits of a uint32_t */
    BASE = 0xff  /* instead of a slot */
};

struct message {
    races_clock view; /* what its acquirer learns */
    races_clock seen; /* when each fiber first saw it, or NEVER */
    uint64_t value;   /* its bytes at their places in the granule */
    uint32_t serial;  /* no two messages have the same */
    uint8_t mask;     /* its bytes */
    bool rmw;         /* a read-modify-write: nothing comes between it and the one before */
};

struct history {
    races_clock base_view;
    uint64_t base;
    uint8_t base_stale; /* bytes of base that are to be read from memory first */
    uint8_t base_mask;  /* bytes whose messages base_view comes from */
    uint8_t count;
    uint8_t order[MEMORY_STORES]; /* messages, the oldest first; behind count those that are free */
    struct message messages[MEMORY_STORES];
};

/* A seq_cst access. */
struct event {
    const struct history *history;
    uint32_t serial; /* of the message that it saw or made */
    uint32_t before; /* events that come before it in S */
    int32_t epoch;
    uint8_t fiber;
    uint8_t mask;
    uint8_t slot; /* of the message; BASE */
    bool write;
};

static struct history histories[HISTORIES];
static uint32_t histories_used;
static unsigned depth_max = MEMORY_STORES + 1;

static races_clock fence_released[MEMORY_FIBERS]; /* clock at the last release fence */
static races_clock fence_pending[MEMORY_FIBERS];  /* what an acquire fence will learn */
static races_clock fences;                        /* what seq_cst fences know */
static int32_t s_count;                           /* seq_cst accesses so far */
static uint32_t serials;                          /* messages so far */
static struct event events[EVENTS];               /* the last ones of s_count */
static uint32_t s_first;                          /* events that come before all that is to come */

static bool
clock_knows(const races_clock *clock, const struct message *message)
{
    int32_t found = 0;
    for (unsigned i = 0; i < RACES_PARTS; i++)
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
history_of(races_shadow *shadow)
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
        races_join(&history->base_view, &message->view);
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
        races_join(&history->base_view, &races_now[i]);
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
    races_shadow *shadow = races_find(granule_of(p), true);
    unsigned offset = (uintptr_t)p % 8;
    uint8_t mask = (uint8_t)(((1U << size) - 1U) << offset);
    races_note(shadow, fiber, mask, kind | RACES_ATOMIC);
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
static races_clock
clock_of(unsigned fiber, int order)
{
    races_clock clock = races_now[fiber];
    if (order == __ATOMIC_SEQ_CST) {
        races_join(&clock, &fences);
        if (clock.at[RACES_S] < s_count - EVENTS)
            clock.at[RACES_S] = s_count - EVENTS;
    }
    return clock;
}

/* Where the message of an event lies: twice its place, plus 1; less than that of all others where
 * it is not there any more. */
static int
event_rank(const struct event *event)
{
    const struct history *history = event->history;
    if (event->slot == BASE || history->messages[event->slot].serial != event->serial)
        return -1;
    int place = 0;
    while (history->order[place] != event->slot)
        place++;
    return place < history->count ? 2 * place + 1 : -1;
}

/* Of an access of the word that ranks there among its messages (a read as the message that it sees,
 * a write between two): which events come before it, and after it. */
static void
events_judge(const struct word *word, int rank, uint32_t *before, uint32_t *after)
{
    const races_clock *clock = &races_now[word->fiber];
    *before = s_first;
    *after = 0;
    for (unsigned i = 0; i < EVENTS && (int32_t)i < s_count; i++) {
        const struct event *event = &events[i];
        bool earlier = event->epoch <= clock->at[event->fiber];
        if (event->history == word->history && (event->mask & word->mask) != 0) {
            int other = event_rank(event);
            earlier |= other < rank || (other == rank && event->write);
            if (other > rank)
                *after |= UINT32_C(1) << i;
        }
        if (earlier)
            *before |= UINT32_C(1) << i | event->before;
    }
}

/* Makes place for an event: what stands there comes before all others that it need not follow. */
static unsigned
event_forget(void)
{
    unsigned at = (unsigned)s_count % EVENTS;
    uint32_t bit = UINT32_C(1) << at;
    if (s_count < EVENTS)
        return at;
    s_first |= events[at].before;
    for (unsigned i = 0; i < EVENTS; i++)
        if ((events[at].before & UINT32_C(1) << i) == 0)
            events[i].before |= events[at].before;
    for (unsigned i = 0; i < EVENTS; i++)
        events[i].before &= ~bit;
    s_first &= ~bit;
    return at;
}

static bool
event_fits(const struct word *word, int rank, int order)
{
    uint32_t before, after;
    if (order != __ATOMIC_SEQ_CST)
        return true;
    events_judge(word, rank, &before, &after);
    return (before & after) == 0;
}

/* Of a seq_cst access that fits: before it takes place. The message is told afterwards. */
static struct event *
event_add(const struct word *word, int rank)
{
    uint32_t before, after;
    unsigned at = event_forget();
    uint32_t bit = UINT32_C(1) << at;
    events[at] = (struct event){.history = NULL, .epoch = NEVER};
    events_judge(word, rank, &before, &after);
    for (unsigned i = 0; after != 0 && i < EVENTS && (int32_t)i < s_count; i++)
        if ((after & UINT32_C(1) << i) != 0 || (events[i].before & after) != 0)
            events[i].before |= before | bit;
    s_count++;
    events[at] = (struct event){.history = word->history,
                                .before = before,
                                .epoch = races_now[word->fiber].at[word->fiber],
                                .fiber = (uint8_t)word->fiber,
                                .mask = word->mask,
                                .slot = BASE};
    return &events[at];
}

static void
message_saw(struct message *message, unsigned fiber, int order)
{
    if (message->seen.at[fiber] == NEVER)
        message->seen.at[fiber] = races_now[fiber].at[fiber];
    if (order == __ATOMIC_SEQ_CST && message->seen.at[RACES_S] == NEVER)
        message->seen.at[RACES_S] = s_count;
}

static void
view_learn(unsigned fiber, const races_clock *view, int order)
{
    races_join(order_acquires(order) ? &races_now[fiber] : &fence_pending[fiber], view);
}

/* Reads the message at that place; count: the base. `rmw`: the event is that of the write. */
static uint64_t
message_read(const struct word *word, unsigned place, int order, bool rmw)
{
    struct history *history = word->history;
    bool base = place >= history->count;
    struct event *event = NULL;
    if (order == __ATOMIC_SEQ_CST && depth_max > 1 && !rmw)
        event = event_add(word, base ? -1 : 2 * (int)place + 1);
    if (base) {
        view_learn(word->fiber, &history->base_view, order);
        return word_value(word, history->base);
    }
    struct message *message = message_at(history, place);
    if (event != NULL) {
        event->slot = history->order[place];
        event->serial = message->serial;
    }
    message_saw(message, word->fiber, order);
    view_learn(word->fiber, &message->view, order);
    return word_value(word, message->value);
}

/* Bytes that stores of other sizes wrote: all of them are seen. */
static uint64_t
mixed_read(const struct word *word, int order)
{
    struct history *history = word->history;
    for (unsigned i = 0; i < history->count; i++) {
        struct message *message = message_at(history, i);
        if ((message->mask & word->mask) == 0)
            continue;
        message_saw(message, word->fiber, order);
        view_learn(word->fiber, &message->view, order);
    }
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
    races_clock clock = clock_of(word->fiber, order);
    unsigned n = 0;
    for (unsigned i = history->count; i-- > 0 && n < depth_max;) {
        const struct message *message = message_at(history, i);
        if ((message->mask & word->mask) == 0)
            continue;
        if ((word->mask & ~message->mask) != 0)
            return n;
        if (n == 0 || event_fits(word, 2 * (int)i + 1, order))
            places[n++] = i;
        if (clock_knows(&clock, message))
            return n;
    }
    if (n == 0 || (n < depth_max && event_fits(word, -1, order)))
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
newest_read(const struct word *word, int order, races_clock *view)
{
    struct history *history = word->history;
    unsigned newest = word_newest(word);
    if (word_mixed(word, newest)) {
        *view = history->base_view;
        for (unsigned i = 0; i < history->count; i++)
            races_join(view, &message_at(history, i)->view);
        return mixed_read(word, order);
    }
    *view = newest < history->count ? message_at(history, newest)->view : history->base_view;
    return message_read(word, newest, order, true);
}

/* A new message at that place. `before`: the view of the message that a read-modify-write
 * follows. */
static void
message_add(const struct word *word, unsigned place, uint64_t value, int order,
            const races_clock *before)
{
    unsigned fiber = word->fiber;
    struct event *event = NULL;
    if (order == __ATOMIC_SEQ_CST && depth_max > 1)
        event = event_add(word, 2 * (int)place);
    struct message *message = message_insert(word->history, place);
    message->serial = ++serials;
    if (event != NULL) {
        event->slot = (uint8_t)(message - word->history->messages);
        event->serial = message->serial;
        event->write = true;
    }
    message->value = value << word->shift;
    message->mask = word->mask;
    message->rmw = before != NULL;
    for (unsigned i = 0; i < RACES_PARTS; i++)
        message->seen.at[i] = NEVER;
    message_saw(message, fiber, order);
    message->view = order_releases(order) ? races_now[fiber] : fence_released[fiber];
    if (before != NULL)
        races_join(&message->view, before);
    if (order_releases(order))
        races_now[fiber].at[fiber]++;
}

static void
rmw_write(const struct word *word, uint64_t value, int order, const races_clock *before)
{
    message_add(word, word->history->count, value, order, before);
    memory_put(word->p, word->size, value);
}

uint64_t
memory_load(unsigned fiber, const volatile void *p, unsigned size, int order)
{
    struct word word = word_of(fiber, p, size, 0);
    if (word_mixed(&word, word_newest(&word)))
        return mixed_read(&word, order);
    unsigned places[MEMORY_STORES + 1];
    unsigned n = candidates_find(&word, order, places);
    return message_read(&word, places[choose(n)], order, false);
}

void
memory_store(unsigned fiber, volatile void *p, unsigned size, uint64_t value, int order)
{
    struct word word = word_of(fiber, p, size, RACES_WRITE);
    struct history *history = word.history;
    /* Places where it may stand: behind all, or before messages that the fiber does not know. */
    unsigned places[MEMORY_STORES + 1] = {history->count};
    unsigned n = 1;
    races_clock clock = clock_of(fiber, order);
    for (unsigned i = history->count; i-- > 0 && n < depth_max;) {
        const struct message *message = message_at(history, i);
        if ((message->mask & word.mask) == 0)
            continue;
        if (message->mask != word.mask || clock_knows(&clock, message))
            break;
        /* Of a full history the oldest is about to become the base, and nothing comes before
         * that. */
        if (!message->rmw && (i > 0 || history->count < MEMORY_STORES) &&
            event_fits(&word, 2 * (int)i, order))
            places[n++] = i;
    }
    unsigned choice = choose(n);
    message_add(&word, places[choice], value, order, NULL);
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
    struct word word = word_of(fiber, p, size, RACES_WRITE);
    races_clock before;
    uint64_t old = newest_read(&word, order, &before);
    uint64_t result = op_result(op, old, value);
    rmw_write(&word, word_value(&word, result << word.shift), order, &before);
    return old;
}

bool
memory_cas(unsigned fiber, volatile void *p, unsigned size, uint64_t *expected, uint64_t desired,
           int success, int failure)
{
    struct word word = word_of(fiber, p, size, RACES_WRITE);
    races_clock before;
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
    *expected =
        n == 0 ? mixed_read(&word, failure) : message_read(&word, places[choice], failure, false);
    return false;
}

void
memory_fence(unsigned fiber, int order)
{
    if (order_acquires(order))
        races_join(&races_now[fiber], &fence_pending[fiber]);
    if (order == __ATOMIC_SEQ_CST) {
        races_join(&races_now[fiber], &fences);
        races_now[fiber].at[RACES_S] = s_count;
        fences = races_now[fiber];
    }
    if (order_releases(order)) {
        fence_released[fiber] = races_now[fiber];
        races_now[fiber].at[fiber]++;
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
        races_shadow *shadow = races_find(at - first, true);
        races_note(shadow, fiber, mask, kind);
        if (kind == RACES_WRITE && shadow->history != 0)
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
    plain_access(fiber, p, size, RACES_WRITE);
}

void
memory_sync(unsigned fiber, unsigned other)
{
    races_join(&races_now[fiber], &races_now[other]);
    races_now[other].at[other]++;
}

void
memory_release(unsigned fiber, const volatile void *object)
{
    struct history *history = history_of(races_find((uint64_t)(uintptr_t)object | 1, true));
    races_join(&history->base_view, &races_now[fiber]);
    races_now[fiber].at[fiber]++;
}

void
memory_acquire(unsigned fiber, const volatile void *object)
{
    races_shadow *shadow = races_find((uint64_t)(uintptr_t)object | 1, false);
    if (shadow != NULL && shadow->history != 0)
        races_join(&races_now[fiber], &history_of(shadow)->base_view);
}

void
memory_fresh(void *p, size_t size)
{
    uint64_t end = (uint64_t)(uintptr_t)p + size;
    for (uint64_t at = granule_of(p); at < end; at += 8) {
        races_shadow *shadow = races_find(at, false);
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
    races_reset();
    histories_used = 0;
    s_count = 0;
    s_first = 0;
    serials = 0;
    memset(fence_released, 0, sizeof(fence_released));
    memset(fence_pending, 0, sizeof(fence_pending));
    memset(&fences, 0, sizeof(fences));
}
