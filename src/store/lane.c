/* SPDX-License-Identifier: MIT
 *
 * The lane of a partition: made, found, counted, taken out when nobody needs it; and the cells of
 * jobs that lie in one, by their keys. Called by find.h, job.c and the queue room.
 *
 * A lane is reached through its partition and keeps it alive. It is taken out when it is empty, was
 * not used for a minute, and nobody has pinned it: jobs with keys, waiting threads, a descriptor
 * and a closed queue pin. The list of lanes is in the order in which they were looked at, so the
 * first one alone says whether anybody's minute is over. Each lane that comes brings a few looks
 * with it, so that lanes go as fast as they come. Taking out swaps the pins from 0 to DEAD and seals the last segment under
 * the word that was empty, so neither kind of push can slip in.
 *
 * Progress    finding never waits; making and taking out take latches.
 * Ordering    P13 (lane.h).
 */
#include "store/lane.h"

#include <string.h>

#include "store/job.h"

enum { IDLE_MS = 60 * 1000 };

lki_lane *
lki_lane_find(lki_store *store, lk_bytes pk)
{
    const lki_partition *partition =
        lki_shard_partition(store, pk, lki_hash_bytes(&store->secret, pk));
    return partition == NULL ? NULL : lki_load_acquire(&partition->lane); /* P13 */
}

lki_lane *
lki_lane_find_slow(lki_store *store, lki_thread *thread, lk_bytes pk)
{
    uint64_t gone = lki_load_seq_cst(&store->lanes_gone); /* P13: before the search */
    const unsigned char *name = pk.data;
    if (thread->lanes_gone != gone) {
        memset(thread->lanes, 0, sizeof thread->lanes);
        thread->lanes_gone = gone;
    }
    lki_lane *lane = lki_lane_find(store, pk);
    thread->lanes[name[pk.size - 1] % LKI_LANES_KNOWN] = lane;
    return lane;
}

/* ---- made and freed ---- */

static void
lane_free(lki_store *store, lki_lane *lane)
{
    const lki_allocator *allocator = &store->domain.allocator;
    lki_directory *directory = lki_load_acquire(&lane->directory); /* P13 */
    for (size_t i = 0; directory != NULL && i < directory->count; i++) {
        lki_lane_page *page = directory->page[i];
        for (size_t k = 0; k < LKI_PAGE_SEGMENTS; k++) {
            lki_segment *segment = lki_load_acquire(&page->segment[k]); /* P13 */
            if (segment != NULL)
                lki_segment_free(store, segment);
        }
        lki_free(allocator, page, sizeof *page);
    }
    if (directory != NULL)
        lki_free(allocator, directory,
                 sizeof *directory + directory->room * sizeof *directory->page);
    for (size_t i = 0; i < LKI_LANE_LINES; i++) {
        lki_lane_line *line = lki_load_acquire(&lane->lines[i]); /* P13 */
        if (line != NULL)
            lki_free_lines(allocator, line, sizeof *line);
    }
    lki_keyed_hand_free(store, lki_load_acquire(&lane->keyed_hand)); /* P13 */
    lki_order_close(&lane->ready, allocator);
    lki_order_close(&lane->later, allocator);
    lki_order_close(&lane->avoided, allocator);
    lki_wait_close(&lane->wait);
    pthread_mutex_destroy(&lane->latch);
    lki_free_lines(allocator, lane, sizeof *lane);
}

static bool
lane_dispose(lki_thread *thread, void *object)
{
    lane_free(lki_thread_store(thread), object);
    return true;
}

static lki_lane *
lane_new(lki_store *store, lki_partition *partition)
{
    lki_lane *lane = lki_alloc_lines(&store->domain.allocator, sizeof *lane);
    if (lane == NULL)
        return NULL;
    lane->object.dispose = lane_dispose;
    lane->store = store;
    lane->partition = partition;
    /* 15 bits of the store's, 25 of the lane's own. */
    uint64_t number = lki_add_seq_cst(&store->lane_count, 1);
    lki_ulid_write(lane->owner, number & 0x1ffffff);
    memcpy(lane->owner, store->ulid_mark, sizeof store->ulid_mark);
    lki_latch_init(&lane->latch);
    lki_store_relaxed(&lane->due, LKI_NEVER);
    lki_store_relaxed(&lane->expires, LKI_NEVER);
    lki_store_relaxed(&lane->keyed_expires, LKI_NEVER);
    lane->used_ms = (int64_t)lki_tick(store);
    return lane;
}

/* At the end of the list: it was used last. */
static void
lane_append_latched(lki_store *store, lki_lane *lane)
{
    lane->next = NULL;
    lane->link = store->lanes != NULL ? store->lanes_end : &store->lanes;
    *lane->link = lane;
    store->lanes_end = &lane->next;
}

static void
lane_unlink_latched(lki_store *store, lki_lane *lane)
{
    *lane->link = lane->next;
    if (lane->next != NULL)
        lane->next->link = lane->link;
    else
        store->lanes_end = lane->link;
    if (store->lanes_hand == lane)
        store->lanes_hand = lane->next;
}

static void
lane_link(lki_store *store, lki_thread *thread, lki_lane *lane)
{
    lki_latch_take(&store->lanes_latch, thread);
    lane_append_latched(store, lane);
    lki_latch_drop(&store->lanes_latch);
    lki_sweep_soon(thread); /* where queues come, others go */
}

lk_status
lki_lane_obtain(lki_store *store, lki_thread *thread, lk_bytes pk, lki_lane **obtained)
{
    for (;;) {
        *obtained = lki_lane_find_known(store, thread, pk);
        if (LKI_LIKELY(*obtained != NULL))
            return LK_OK;
        lki_partition *partition =
            lki_reserve(thread, 8) ? lki_partition_obtain(store, thread, pk) : NULL;
        if (partition == NULL)
            return LK_NO_MEMORY;
        lki_lane *made = lane_new(store, partition);
        if (made == NULL) {
            lki_partition_bury_if_empty(store, thread, partition);
            return LK_NO_MEMORY;
        }
        lki_latch *latch = lki_partition_latch(store, partition);
        lki_latch_take(latch, thread);
        bool dead = partition->dead, first = false;
        if (!dead && lki_load_acquire(&partition->lane) == NULL) { /* P13 */
            lki_store_release(&partition->lane, made);             /* P13 */
            first = true;
        }
        lki_latch_drop(latch);
        if (first) {
            lane_link(store, thread, made);
            *obtained = made;
            return LK_OK;
        }
        lane_free(store, made);
        if (dead)
            lki_shard_wait(store, thread, lki_hash_bytes(&store->secret, pk));
    }
}

lk_status
lki_lane_obtain_pinned(lki_store *store, lki_thread *thread, lk_bytes pk, uint64_t pin,
                       lki_lane **lane)
{
    for (;;) {
        lk_status status = lki_lane_obtain(store, thread, pk, lane);
        if (status != LK_OK)
            return status;
        if ((lki_add_seq_cst(&(*lane)->pins, pin) & LKI_LANE_DEAD) == 0) /* P16, P21 */
            return LK_OK;
        lki_lane_unpin(*lane, pin); /* it is being taken out, under the latch of the shard */
        lki_shard_wait(store, thread, lki_hash_bytes(&store->secret, pk));
    }
}

void
lki_lane_unpin(lki_lane *lane, uint64_t pin)
{
    lki_add_seq_cst(&lane->pins, (uint64_t)0 - pin); /* P16: after what counts instead */
}

/* ---- counters ---- */

lki_lane_line *
lki_lane_line_slow(lki_lane *lane, lki_thread *thread)
{
    if (thread->slot >= LKI_LANE_LINES)
        return &lane->shared;
    lki_lane_line *line = lki_alloc_lines(&lane->store->domain.allocator, sizeof *line);
    if (line == NULL)
        return &lane->shared;
    lki_store_release(&lane->lines[thread->slot], line); /* P13; only this thread writes it */
    return line;
}

uint64_t
lki_lane_sum(lki_lane *lane, enum lki_lane_counter which)
{
    uint64_t sum = lki_load_relaxed(&lane->shared.counter[which]);
    for (size_t i = 0; i < LKI_LANE_LINES; i++) {
        lki_lane_line *line = lki_load_acquire(&lane->lines[i]); /* P13 */
        if (line != NULL)
            sum += lki_load_relaxed(&line->counter[which]);
    }
    return sum;
}

/* ---- the end of a closed queue, the descriptor ---- */

/* A push by a commit, or of a dead letter, holds a pin until its job is counted otherwise; who has
 * not pinned by then finds the queue closed. A job goes from pin to place to what is gone; so these
 * are read the other way, the places last. Then there was nothing when the pins were read
 * (tests/model/close.pml). */
bool
lki_lane_is_over(lki_lane *lane)
{
    if (lki_load_seq_cst(&lane->closed) == 0) /* P16 */
        return false;
    uint64_t removed = lki_lane_sum(lane, LKI_LANE_REMOVED);
    lki_fence_seq_cst(); /* P16: these loads before those of the pins */
    if ((uint32_t)lki_load_seq_cst(&lane->pins) != 0) /* P16 */
        return false;
    lki_segment *tail = lki_load_acquire(&lane->tail);                /* P13 */
    uint64_t word = tail != NULL ? lki_load_seq_cst(&tail->word) : 0; /* P14 */
    return lki_lane_places(lane, tail, word) == removed;
}

LKI_COLD void
lki_lane_tell_over(lki_lane *lane)
{
    /* P15: before the load of `waiters`. The last job may have been counted by a plain store; a sleeper
     * has a fence between its own count and the look at ours. Without this one both could miss the
     * other, and the sleeper would wait for what has ended. */
    lki_fence_seq_cst();
    if (lki_lane_is_over(lane))
        lki_wait_notify(&lane->wait, SIZE_MAX);
}

void
lki_lane_place_left(lki_lane *lane, lki_thread *thread)
{
    uint32_t slot = thread->slot;
    lki_lane_line *line =
        slot < LKI_LANE_LINES ? lki_load_acquire(&lane->lines[slot]) : NULL; /* P13 */
    if (LKI_UNLIKELY(line == NULL))
        line = lki_lane_line_slow(lane, thread);
    lki_add_seq_cst(&line->counter[LKI_LANE_REMOVED], 1); /* P16 */
    lki_lane_left(lane);
}

/* Where there is no memory for it, it says that something is there, and a pull will find out. A lane with
 * a descriptor is pinned for good. */
LKI_COLD void
lki_lane_unsettle_slow(lki_lane *lane, lki_thread *thread)
{
    uint32_t count = thread->unsettled_count;
    for (uint32_t i = 0; i < count; i++)
        if (*lki_unsettled_at(thread, i) == lane)
            return;
    if (lki_unsettled_has_room(thread)) {
        thread->unsettled_count++;
        *lki_unsettled_at(thread, count) = lane;
    } else {
        lki_wait_raise(&lane->wait);
    }
}

LKI_COLD void
lki_lane_sooner(lki_lane *lane)
{
    lk_status why;
    lki_wait_look_again(&lane->wait); /* sleepers sleep until then at most */
    lki_thread *thread =
        lki_wait_is_polled(&lane->wait) ? lki_thread_self(&lane->store->domain, &why) : NULL;
    if (thread != NULL)
        lki_lane_unsettle_slow(lane, thread);
}

/* ---- taken out ---- */

/* The one segment that is left, if nothing lies in it. */
static bool
lane_is_empty(lki_lane *lane)
{
    const lki_directory *directory = lki_load_acquire(&lane->directory); /* P13 */
    const lki_segment *tail = lki_load_acquire(&lane->tail);             /* P13 */
    uint32_t live = 0;
    for (size_t i = 0; directory != NULL && i < directory->count; i++)
        live += lki_load_seq_cst(&directory->page[i]->live); /* P13 */
    return live == (tail != NULL ? 1 : 0) && lki_order_first(&lane->ready) == NULL &&
           lki_order_first(&lane->later) == NULL;
}

/* Nobody can reserve a place, or pin it, from here on. False: somebody needs it. */
static bool
lane_end_latched(lki_lane *lane)
{
    uint64_t none = 0;
    if (!lane_is_empty(lane) || !lki_cas_seq_cst(&lane->pins, &none, LKI_LANE_DEAD))
        return false;
    lki_segment *tail = lki_load_acquire(&lane->tail);                /* P13 */
    uint64_t word = tail != NULL ? lki_load_seq_cst(&tail->word) : 0; /* P14 */
    bool ended =
        tail == NULL || (LKI_RESERVED(word) == lki_load_seq_cst(&tail->finished) && /* P14 */
                         lki_swap_seq_cst(&tail->leaving, 1) == 0 &&                /* P14 */
                         lki_cas_seq_cst(&tail->word, &word, word | LKI_SEALED));   /* P14 */
    if (!ended) {
        if (tail != NULL)
            lki_store_seq_cst(&tail->leaving, 0); /* P14: not sealed, so nobody could miss it */
        lki_lane_unpin(lane, LKI_LANE_DEAD);
        return false;
    }
    lane->dead = true;
    int64_t last = (int64_t)(word >> 16), floor = lki_load_seq_cst(&lane->store->ulid_floor_ms);
    while (floor < last && !lki_cas_seq_cst(&lane->store->ulid_floor_ms, &floor, last)) {}
    return true;
}

/* All that goes with it. */
static size_t
lane_size(lki_lane *lane)
{
    const lki_directory *directory = lki_load_acquire(&lane->directory); /* P13 */
    size_t size = sizeof *lane + (directory != NULL ? lki_segments_size(directory) : 0);
    for (size_t i = 0; i < LKI_LANE_LINES; i++)
        size += lki_load_acquire(&lane->lines[i]) != NULL ? sizeof(lki_lane_line) : 0; /* P13 */
    return size;
}

/* Caller: holds the latches of the lanes, of the pk's shard and of the partition, and has reserved. */
static bool
lane_take_out_latched(lki_store *store, lki_thread *thread, lki_lane *lane)
{
    lki_partition *partition = lane->partition;
    if (!lki_latch_try(&lane->latch))
        return false;
    bool ended = lane_end_latched(lane);
    lki_latch_drop(&lane->latch);
    if (!ended)
        return false;
    lki_store_seq_cst(&partition->lane, NULL); /* P13 */
    lki_add_seq_cst(&store->lanes_gone, 1);    /* P13: before it is retired */
    lane_unlink_latched(store, lane);
    lki_partition_bury_latched(store, thread, partition);
    lki_retire(thread, LKI_OBJECT, lane, lane_size(lane));
    return true;
}

/* Takes the lane out, if it can go: latches in the order of their ranks, and only tried. */
static bool
lane_take_out(lki_store *store, lki_thread *thread, lki_lane *lane)
{
    lki_latch *shard = lki_shard_latch(store, lki_half_hash(lane->partition->hash));
    lki_latch *partition = lki_partition_latch(store, lane->partition);
    bool gone = false;
    if (!lki_reserve(thread, 8) || !lki_latch_try(shard))
        return false;
    if (lki_latch_try(partition)) {
        gone = lane_take_out_latched(store, thread, lane);
        lki_latch_drop(partition);
    }
    lki_latch_drop(shard);
    return gone;
}

/* The lane that was looked at, or came, the longest time ago. Who is not idle, or cannot go, is looked
 * at again in a minute. False: nobody's minute is over. */
static bool
lane_oldest_look_latched(lki_store *store, lki_thread *thread)
{
    lki_lane *lane = store->lanes;
    int64_t now = (int64_t)lki_tick(store);
    if (lane == NULL || now - lane->used_ms <= IDLE_MS)
        return false;
    bool used = lki_load_relaxed(&lane->used) != 0;
    if (!used && lane_take_out(store, thread, lane))
        return true;
    lki_store_relaxed(&lane->used, 0);
    lane->used_ms = now;
    lane_unlink_latched(store, lane);
    lane_append_latched(store, lane);
    return true;
}

size_t
lki_lanes_expel(lki_store *store, lki_thread *thread, size_t count)
{
    size_t looks = 0;
    for (bool more = true; more && looks < count; looks += more) {
        lki_write_enter(thread);
        more = lki_latch_try(&store->lanes_latch);
        if (more) {
            more = lane_oldest_look_latched(store, thread);
            lki_latch_drop(&store->lanes_latch);
        }
        lki_write_leave(thread);
    }
    return looks;
}

/* The next lane in turn, which cannot go before it is unpinned. NULL: there is none, or somebody else
 * is at it. */
static lki_lane *
lane_next_pinned(lki_store *store)
{
    if (!lki_latch_try(&store->lanes_latch))
        return NULL;
    lki_lane *lane = store->lanes_hand != NULL ? store->lanes_hand : store->lanes;
    store->lanes_hand = lane != NULL ? lane->next : NULL;
    if (lane != NULL)
        lki_add_seq_cst(&lane->pins, LKI_LANE_PIN);
    lki_latch_drop(&store->lanes_latch);
    return lane;
}

void
lki_lanes_visit(lki_store *store, lki_thread *thread, size_t count, bool whole,
                lki_lane_visit visit)
{
    for (size_t i = 0; i < count; i++) {
        lki_lane *lane = lane_next_pinned(store);
        if (lane == NULL)
            return;
        bool more = true;
        while (more) {
            lki_write_enter(thread);
            more = visit(store, thread, lane) && whole;
            lki_write_leave(thread);
        }
        lki_lane_unpin(lane, LKI_LANE_PIN);
    }
}

static void
segment_empty(lki_store *store, lki_segment *segment)
{
    for (uint32_t i = 0; i < segment->capacity; i++) {
        lki_slot *slot = &segment->slots[i];
        uint64_t word = lki_load_relaxed(&slot->word); /* nobody else is there */
        if (lki_word_is_plain(word) || lki_word_phase(word) == LKI_HEADED)
            lki_shard_cell_free(store, slot->cell);
    }
}

void
lki_lanes_close(lki_store *store)
{
    for (lki_lane *lane = store->lanes, *next; lane != NULL; lane = next) {
        next = lane->next;
        const lki_directory *directory = lki_load_acquire(&lane->directory); /* P13 */
        for (lki_segment *segment = lki_lane_segment_from(directory, 0, false); segment != NULL;
             segment = lki_segment_next(segment))
            segment_empty(store, segment);
        lane_free(store, lane);
    }
    store->lanes = NULL;
}

/* ---- cells by their keys ---- */

static lki_slot *
key_slot(lki_store *store, const lk_key *key, lki_lane **lane, lki_segment **segment)
{
    *lane = lki_lane_find(store, key->pk);
    return *lane != NULL ? lki_job_slot(*lane, key->sk, segment) : NULL;
}

static bool
slot_is(const lki_slot *slot, lk_bytes sk)
{
    return memcmp(lki_cell_sk(slot->cell), sk.data, LK_ULID_SIZE) == 0;
}

lki_cell *
lki_lane_cell_at(lki_store *store, const lk_key *key, uint64_t snapshot)
{
    lki_lane *lane;
    lki_segment *segment;
    lki_slot *slot = key_slot(store, key, &lane, &segment);
    uint64_t word = slot != NULL ? lki_load_acquire(&slot->word) : LKI_WORD_EMPTY; /* P11 */
    if (word == LKI_WORD_EMPTY || lki_word_phase(word) == LKI_PASSED)
        return NULL;
    if (lki_word_phase(word) == LKI_DONE && lki_done_stamp(store, slot, word) <= snapshot)
        return NULL;
    return slot_is(slot, key->sk) ? slot->cell : NULL;
}

lki_cell *
lki_lane_cell(lki_store *store, const lk_key *key)
{
    return lki_lane_cell_at(store, key, UINT64_MAX);
}

lk_status
lki_lane_cell_headed(lki_store *store, lki_thread *thread, const lk_key *key, lki_cell **cell)
{
    lki_lane *lane = lki_lane_find(store, key->pk);
    lki_segment *segment;
    lki_slot *slot;
    *cell = NULL;
    while (lane != NULL && (slot = lki_job_slot(lane, key->sk, &segment)) != NULL) {
        lki_found_job job;
        lki_job_read(store, segment, slot, &job);
        if (job.cell == NULL || !slot_is(slot, key->sk))
            return LK_OK;
        if (!job.plain) {
            *cell = job.cell;
            return LK_OK;
        }
        lk_status status = lki_job_head(store, thread, lane, &job);
        if (status != LK_OK)
            return status;
    }
    return LK_OK;
}

bool
lki_lane_place_is_coming(lki_store *store, const lk_key *key)
{
    lki_lane *lane;
    lki_segment *segment;
    lki_slot *slot = key_slot(store, key, &lane, &segment); /* if it is empty it is passed over */
    return slot != NULL && lki_word_phase(lki_load_acquire(&slot->word)) == LKI_PASSED; /* P11 */
}

/* No place that is given out from here on has this ms, or a smaller one. False: there is no segment to
 * say so to, or the lane grows just now. */
static bool
ms_pass(lki_lane *lane, int64_t ms)
{
    lki_segment *tail = lki_load_acquire(&lane->tail); /* P13 */
    while (tail != NULL) {
        uint64_t word = lki_load_seq_cst(&tail->word); /* P14 */
        if ((int64_t)(word >> 16) > ms)
            return true;
        uint64_t above = (uint64_t)(ms + 1) << 16 | (word & 0xffff);
        if ((word & LKI_SEALED) == 0 && lki_cas_seq_cst(&tail->word, &word, above)) /* P14 */
            return true;
        if ((word & LKI_SEALED) != 0)
            tail = lki_load_acquire(&tail->next); /* P13 */
    }
    return false;
}

/* A key of the users' own that the lane may come to generate: its ms is skipped at once where it is near,
 * else when the clock comes there (segment.c). */
lk_status
lki_lane_avoid(lki_store *store, lki_thread *thread, const lk_key *key)
{
    enum { NEAR_MS = 24 * 3600 * 1000 };
    lki_lane *lane = lki_lane_find(store, key->pk);
    const unsigned char *sk = key->sk.data;
    int64_t ms;
    if (lane == NULL || memcmp(sk + LKI_ULID_OWNER, lane->owner, LKI_ULID_WORD) != 0 ||
        !lki_ulid_read_ms(sk, &ms) || ms >= LKI_ULID_MS_MAX)
        return LK_OK;
    if (ms <= lki_now(store) + NEAR_MS && ms_pass(lane, ms))
        return LK_OK;
    const lk_bytes none = {"", 0};
    lki_entry *entry = NULL;
    if (lki_reserve(thread, 8))
        entry = lki_entry_new(thread, (uint64_t)ms, none, 0, 0);
    if (entry == NULL)
        return LK_NO_MEMORY;
    if (!lki_order_insert(&lane->avoided, thread, entry))
        lki_entry_discard(thread, entry);
    lki_segment *tail = lki_load_acquire(&lane->tail);                        /* P13 */
    if (tail != NULL && (int64_t)(lki_load_seq_cst(&tail->word) >> 16) >= ms) /* P14 */
        (void)ms_pass(lane, ms); /* the clock was there before the entry */
    return LK_OK;
}
