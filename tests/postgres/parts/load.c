/* SPDX-License-Identifier: MIT
 *
 * See load.h.
 */
#include "load.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/crowd.h"

enum { ACCOUNTS = 8, MOVERS = 3, HANDERS = 2, PUSHERS = 1, FINISHERS = 2, HANDED = 40 };
enum { MEMBERS = 1 + MOVERS + HANDERS + PUSHERS + FINISHERS, ATTEMPTS = 200000, NAME_ROOM = 48 };
enum { VISIBILITY_MS = 1000, PAUSE_MS = 5, WAIT_S = 60, TEXT_ROOM = 32 };

/* What became of an attempt. */
enum { NEVER, MADE, PERHAPS };

typedef struct attempts {
    unsigned count;
    unsigned char became[ATTEMPTS];
} attempts;

static lk_db *db;
static const char *load_name;
static void (*harm_do)(void);

static pthread_mutex_t latch = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static load_figures sum; /* [latch] */
static bool over;        /* [latch] */

static attempts moves[MOVERS], pushes;
static unsigned finished[ATTEMPTS];                       /* [latch] how often */
static bool perhaps_finished[ATTEMPTS], pulled[ATTEMPTS]; /* [latch] */

/* ---- progress ---- */

static void
until_set(struct timespec *until, long ms)
{
    clock_gettime(CLOCK_REALTIME, until);
    until->tv_sec += ms / 1000;
    until->tv_nsec += ms % 1000 * 1000000;
    if (until->tv_nsec >= 1000000000) {
        until->tv_sec++;
        until->tv_nsec -= 1000000000;
    }
}

/* Where the server is not there, it is asked again a little later. */
static void
call_count(lk_status status)
{
    pthread_mutex_lock(&latch);
    sum.acknowledged += status == LK_OK || status == LK_LATE;
    sum.unknown += status == LK_UNKNOWN;
    sum.unavailable += status == LK_UNAVAILABLE;
    sum.refused += status > 0 && status != LK_LATE;
    pthread_cond_broadcast(&changed);
    struct timespec until;
    until_set(&until, PAUSE_MS);
    if (status == LK_UNAVAILABLE && !over)
        pthread_cond_timedwait(&changed, &latch, &until);
    pthread_mutex_unlock(&latch);
    bool known = status >= 0 || status == LK_UNKNOWN || status == LK_UNAVAILABLE;
    EXPECT(known, -status, 0);
}

static bool
is_over(void)
{
    pthread_mutex_lock(&latch);
    bool is = over;
    pthread_mutex_unlock(&latch);
    return is || !crowd_is_well();
}

static void
wait_for(const uint64_t *figure, const uint64_t *other, uint64_t calls)
{
    struct timespec until;
    bool in_time = true;
    until_set(&until, WAIT_S * 1000L);
    pthread_mutex_lock(&latch);
    uint64_t wanted = *figure + *other + calls;
    while (in_time && *figure + *other < wanted)
        in_time = pthread_cond_timedwait(&changed, &latch, &until) == 0;
    pthread_mutex_unlock(&latch);
    EXPECT(in_time, calls, 0);
}

void
load_wait(uint64_t calls)
{
    static const uint64_t none;
    wait_for(&sum.acknowledged, &none, calls);
}

void
load_wait_failures(uint64_t calls)
{
    wait_for(&sum.unknown, &sum.unavailable, calls);
}

/* ---- transfers: each leaves a receipt ---- */

static lk_key
account(uint64_t i, char *sk)
{
    snprintf(sk, NAME_ROOM, "%u", (unsigned)i);
    return (lk_key){lk_string("account"), lk_string(sk)};
}

static lk_key
receipt(size_t mover, unsigned n, char *sk)
{
    snprintf(sk, NAME_ROOM, "%s.%zu.%u", load_name, mover, n);
    return (lk_key){lk_string("receipt"), lk_string(sk)};
}

static unsigned char
what_became(lk_status status)
{
    return status == LK_OK || status == LK_LATE ? MADE : status == LK_UNKNOWN ? PERHAPS : NEVER;
}

static void
mover_run(crowd_member *m, size_t mover)
{
    attempts *a = &moves[mover];
    while (!is_over() && a->count < ATTEMPTS) {
        char sks[3][NAME_ROOM], text[TEXT_ROOM];
        uint64_t from = crowd_pick(m, ACCOUNTS),
                 to = (from + 1 + crowd_pick(m, ACCOUNTS - 1)) % ACCOUNTS;
        snprintf(text, sizeof text, "%u %u", (unsigned)from, (unsigned)to);
        lk_write writes[3] = {{.kind = LK_ADD, .item = {.key = account(from, sks[0])}, .delta = -1},
                              {.kind = LK_ADD, .item = {.key = account(to, sks[1])}, .delta = 1},
                              {.kind = LK_PUT,
                               .item = {receipt(mover, a->count, sks[2]), lk_string(text), 0},
                               .condition = LK_IF_ABSENT}};
        lk_lock lock = {{{0}, {0}}, 0, 0};
        bool locked =
            crowd_pick(m, 4) == 0 && lk_get_lock(db, account(from, sks[0]), &lock) == LK_OK;
        lk_status status = lk_commit(db, writes, 3, locked ? &lock : NULL, locked, NULL);
        EXPECT(status != LK_EXISTS, a->count, mover);
        a->became[a->count++] = what_became(status);
        call_count(status);
    }
}

void
load_check_accounts(lk_db *checked)
{
    int64_t wanted[ACCOUNTS] = {0}, value;
    lk_query query = {.pk = lk_string("receipt")};
    lk_stream *stream;
    lk_item item;
    EXPECT_OK(lk_stream_open(checked, &query, &stream));
    while (lk_stream_next(stream, &item) == LK_OK) {
        char text[TEXT_ROOM] = {0};
        unsigned from, to;
        memcpy(text, item.data.data, item.data.size < TEXT_ROOM ? item.data.size : TEXT_ROOM - 1);
        if (sscanf(text, "%u %u", &from, &to) != 2 || from >= ACCOUNTS || to >= ACCOUNTS)
            abort();
        wanted[from]--;
        wanted[to]++;
    }
    lk_stream_close(stream);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        char sk[NAME_ROOM];
        EXPECT_OK(lk_add(checked, account(i, sk), 0, 0, &value));
        EXPECT(value == wanted[i], value, wanted[i]);
    }
}

static void
receipts_check(void)
{
    lk_result *result = lk_result_new();
    for (size_t mover = 0; mover < MOVERS; mover++)
        for (unsigned n = 0; n < moves[mover].count; n++) {
            char sk[NAME_ROOM];
            lk_status status = lk_get(db, receipt(mover, n, sk), result);
            unsigned char became = moves[mover].became[n];
            EXPECT(status == LK_OK || status == LK_NOT_FOUND, status, n);
            EXPECT(became != MADE || status == LK_OK, n, mover);
            EXPECT(became != NEVER || status == LK_NOT_FOUND, n, mover);
        }
    lk_result_free(result);
}

/* ---- jobs that are handed on ---- */

static const char *
side_name(char name[NAME_ROOM], bool left)
{
    snprintf(name, NAME_ROOM, "%s %s", load_name, left ? "left" : "right");
    return name;
}

static void
handed_push(void)
{
    char name[NAME_ROOM], sk[NAME_ROOM];
    for (int i = 0; i < HANDED; i++) {
        snprintf(sk, sizeof sk, "job%d", i);
        lk_item job = {.key = lk_key_of(side_name(name, true), sk)};
        EXPECT_OK(lk_queue_push(db, &job, 1, NULL, NULL));
    }
}

static void
hander_run(crowd_member *m, bool left)
{
    char names[2][NAME_ROOM];
    while (!is_over()) {
        lk_pull_options pull = LK_PULL_OPTIONS_INIT;
        left = !left;
        pull.pk = lk_string(side_name(names[0], left));
        pull.visibility_ms = VISIBILITY_MS;
        pull.wait_ms = 1;
        lk_status status = lk_queue_pull(db, &pull, m->result);
        if (status == LK_OK) {
            lk_item job = *lk_result_item(m->result, 0);
            job.key.pk = lk_string(side_name(names[1], !left));
            lk_write writes[2] = {{.kind = LK_ACKNOWLEDGE, .claim = lk_result_claim(m->result, 0)},
                                  {.kind = LK_PUSH, .item = job}};
            status = lk_commit(db, writes, 2, NULL, 0, NULL);
        }
        call_count(status);
    }
}

static void
handed_check(void)
{
    char names[2][NAME_ROOM];
    lk_query queries[2] = {{.pk = lk_string(side_name(names[0], true))},
                           {.pk = lk_string(side_name(names[1], false))}};
    size_t left = 0, right = 0;
    EXPECT_OK(lk_count(db, &queries[0], &left));
    EXPECT_OK(lk_count(db, &queries[1], &right));
    EXPECT(left + right == HANDED, left, right);
}

/* ---- jobs that are pushed, and finished ---- */

static void
pusher_run(crowd_member *m)
{
    (void)m;
    while (!is_over() && pushes.count < ATTEMPTS) {
        char text[TEXT_ROOM];
        snprintf(text, sizeof text, "%u", pushes.count);
        lk_item job = {.key = {lk_string(load_name), {NULL, 0}}, .data = lk_string(text)};
        lk_status status = lk_queue_push(db, &job, 1, NULL, NULL);
        pushes.became[pushes.count++] = what_became(status);
        call_count(status);
    }
}

static unsigned
job_number(const lk_item *item)
{
    char text[TEXT_ROOM] = {0};
    memcpy(text, item->data.data, item->data.size < TEXT_ROOM ? item->data.size : TEXT_ROOM - 1);
    unsigned long number = strtoul(text, NULL, 10);
    EXPECT(number < ATTEMPTS, number, 0);
    return number < ATTEMPTS ? (unsigned)number : 0;
}

static void
finisher_run(crowd_member *m)
{
    while (!is_over()) {
        lk_pull_options pull = LK_PULL_OPTIONS_INIT;
        pull.pk = lk_string(load_name);
        pull.visibility_ms = VISIBILITY_MS;
        pull.wait_ms = 10;
        lk_status status = lk_queue_pull(db, &pull, m->result);
        if (status == LK_OK) {
            unsigned n = job_number(lk_result_item(m->result, 0));
            status = lk_queue_acknowledge(db, lk_result_claim(m->result, 0), 1);
            pthread_mutex_lock(&latch);
            pulled[n] = true;
            finished[n] += status == LK_OK || status == LK_LATE;
            perhaps_finished[n] |= status == LK_UNKNOWN;
            pthread_mutex_unlock(&latch);
        }
        call_count(status);
    }
}

static void
pushed_check(void)
{
    static unsigned char there[ATTEMPTS];
    lk_query query = {.pk = lk_string(load_name)};
    lk_stream *stream;
    lk_item item;
    memset(there, 0, sizeof there);
    EXPECT_OK(lk_stream_open(db, &query, &stream));
    while (lk_stream_next(stream, &item) == LK_OK)
        there[job_number(&item)]++;
    lk_stream_close(stream);
    for (unsigned n = 0; n < pushes.count; n++) {
        bool ended = finished[n] != 0 || perhaps_finished[n];
        EXPECT(there[n] + finished[n] <= 1, there[n], finished[n]);               /* once */
        EXPECT(pushes.became[n] != MADE || there[n] != 0 || ended, n, pulled[n]); /* not lost */
        EXPECT(pushes.became[n] != NEVER || (there[n] == 0 && !pulled[n]), n, pulled[n]);
    }
}

/* ---- all of it ---- */

static void
member_run(crowd_member *m)
{
    size_t i = m->index;
    if (i == 0) {
        harm_do();
        pthread_mutex_lock(&latch);
        over = true;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&latch);
    } else if (i <= MOVERS) {
        mover_run(m, i - 1);
    } else if (i <= MOVERS + HANDERS) {
        hander_run(m, i % 2 == 0);
    } else if (i <= MOVERS + HANDERS + PUSHERS) {
        pusher_run(m);
    } else {
        finisher_run(m);
    }
}

void
load_run(lk_db *used, const char *name, void (*harm)(void), load_figures *figures)
{
    db = used;
    load_name = name;
    harm_do = harm;
    over = false;
    sum = (load_figures){0};
    memset(moves, 0, sizeof moves);
    memset(&pushes, 0, sizeof pushes);
    memset(finished, 0, sizeof finished);
    memset(perhaps_finished, 0, sizeof perhaps_finished);
    memset(pulled, 0, sizeof pulled);
    handed_push();
    crowd_run(MEMBERS, member_run, NULL);
    receipts_check();
    handed_check();
    pushed_check();
    *figures = sum;
}

void
load_note(const load_figures *figures)
{
    crowd_note("acknowledged", figures->acknowledged);
    crowd_note("unknown", figures->unknown);
    crowd_note("unavailable", figures->unavailable);
}
