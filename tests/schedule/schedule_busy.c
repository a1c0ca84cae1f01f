/* SPDX-License-Identifier: MIT
 *
 * Readers that stay, and what writers do then, in virtual time. A write waits for a reader that is
 * on its way: it is LK_BUSY only where somebody has been in a read pair for as long as a writer
 * waits, never takes longer than the longest wait, and once the readers are gone none is refused.
 * Of a reader that is known to stay one writer has waited, and the others hardly wait.
 */
#include <stdatomic.h>

#include "base/pressure.h"
#include "base/reclaim.h"
#include "schedule/one_store.h"

enum { VALUE = 64 * 1024, LIMIT = 2 * VALUE, WRITES = 6, PAIRS = 3, READERS = 2, SLACK_MS = 50 };

static struct {
    _Atomic(bool) reads;
    _Atomic(int64_t) began_ms;
} reader[SCHEDULE_FIBERS + 1];
static _Atomic(uint32_t) refused, readers_left;

static void
prepare(void)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.shards = 1;
    options.max_retired_bytes = LIMIT;
    STORE_MUST(lk_memory_open(&options, &db));
}

static void
setup(void)
{
    refused = 0;
    readers_left = READERS;
}

/* Pairs of any length, one behind the other. */
static void
read_for_a_while(void)
{
    static const int64_t lengths_ms[] = {
        0, 1, 100, LKI_STALL_MS - 1, LKI_STALL_MS + 1, 2 * LKI_WAIT_MAX_MS};
    uint32_t self = schedule_self();
    for (int i = 0; i < PAIRS; i++) {
        lk_read_begin(db);
        reader[self].began_ms = schedule_monotonic_ms();
        reader[self].reads = true;
        schedule_sleep(lengths_ms[schedule_random() % (sizeof lengths_ms / sizeof *lengths_ms)]);
        lk_read_end(db);
        reader[self].reads = false;
        schedule_yield();
    }
    readers_left--;
}

/* Is somebody in a pair who has been there for long? */
static bool
somebody_stays(int64_t now)
{
    for (uint32_t i = 0; i <= SCHEDULE_FIBERS; i++)
        if (reader[i].reads && now - reader[i].began_ms >= LKI_STALL_MS)
            return true;
    return false;
}

static lk_status
write_big(uint64_t key)
{
    static const unsigned char value[VALUE];
    lk_item item = {.key = lk_key_of("pk", key == 0   ? "a"
                                           : key == 1 ? "b"
                                                      : "c"),
                    .data = {value, VALUE}};
    return lk_set(db, &item, 1);
}

static void
write_one(uint64_t key)
{
    int64_t began = schedule_monotonic_ms();
    lk_status status = write_big(key);
    int64_t now = schedule_monotonic_ms();
    schedule_note("%s after %d ms", lk_status_string(status), (int)(now - began));
    if (now - began > LKI_WAIT_MAX_MS + SLACK_MS)
        schedule_fail("a write took %d ms", (int)(now - began));
    if (status == LK_BUSY && !somebody_stays(now) && now - began < LKI_WAIT_MAX_MS)
        schedule_fail("a write is busy after %d ms, and nobody stays", (int)(now - began));
    if (status == LK_BUSY)
        refused++;
    else
        STORE_MUST(status);
}

static void
write_some(void)
{
    for (uint64_t i = 0; i < WRITES; i++) {
        write_one(schedule_random() % 3);
        if (schedule_random() % 4 == 0)
            schedule_sleep(200);
    }
}

static void
check(void)
{
    SCHEDULE_EXPECT(readers_left == 0);
    schedule_note("%u refused", (unsigned)refused);
    for (uint64_t i = 0; i < WRITES; i++)
        STORE_MUST(write_big(i % 3));
    lk_statistics s;
    STORE_MUST(lk_statistics_read(db, &s));
    SCHEDULE_EXPECT(s.retired_bytes <= LIMIT + 2 * VALUE); /* each is a batch of its own */
}

/* The second one knows what the first has learned. */
static void
stay(void)
{
    lk_read_begin(db);
    schedule_sleep(4 * LKI_WAIT_MAX_MS);
    lk_read_end(db);
}

static void
write_until_refused(void)
{
    int64_t busy_ms = 0;
    schedule_sleep(1);
    for (int i = 0; i < 4 * WRITES && refused < 2 * WRITES; i++) {
        int64_t began = schedule_monotonic_ms();
        lk_status status = write_big(schedule_random() % 3);
        if (status == LK_BUSY) {
            refused++;
            busy_ms += schedule_monotonic_ms() - began;
        }
    }
    if (busy_ms > LKI_STALL_MS + SLACK_MS)
        schedule_fail("a writer was held up for %d ms by a reader that is known to stay",
                      (int)busy_ms);
    SCHEDULE_EXPECT(refused != 0);
}

#define BUSY(title, ...)                                                               \
    {                                                                                  \
        .name = title, .prepare = prepare, .setup = setup, .teardown = store_teardown, \
        .limit = 4000000, __VA_ARGS__                                                  \
    }

const schedule_scenario schedule_scenarios[] = {
    BUSY("busy", .body = {read_for_a_while, read_for_a_while, write_some, write_some},
         .check = check, .count = 200),
    BUSY("busy_known", .body = {stay, write_until_refused, write_until_refused}, .count = 100),
    {0},
};
