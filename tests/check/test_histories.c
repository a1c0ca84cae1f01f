/* SPDX-License-Identifier: MIT
 *
 * The checkers' teeth: for each law and each kind of violation a right history, and its neighbour
 * that is broken in one place and must be refused with the law's name.
 *
 * Histories are written as text, operations separated by '|': thread begin end [@now-now] steps.
 * The store's clock is the stamp, unless @ says otherwise; an end of '?' is an outcome that nobody
 * knows. Steps:
 *
 *   R0=5 W0=5~90 E0=2    read, write (expires at 90), erase of key 0
 *   L0>7~90 B0:7>8 S0:7>8    lock got at 7, bumped from 7 to 8, stale at 7 with 8 there
 *   P1 P1~50 K1=9        job 1 pushed (its place in the order is 1), with a delay of 50; with the
 *                        key at place 9
 *   G1.1~90 A1.1 T1.1 r1.1:1~50 x1.1~99 l1.1
 *                        got as receive 1 until 90, acknowledged, late, released (late), extended,
 *                        lost
 *   P1=30                job 1 pushed, expires at 30
 *   D1 Z C F O           taken out, empty, closed, refused, over
 *   U1=9 e1=9            job 1 pushed as the only one with the key at place 9; told that there
 *                        is another one
 *   m2:1 f2:1            one job came in where 2 are enough; was told that there are
 *   p3:1 n0=2            purged, 3 jobs and all; figure 0 is 2
 *   H0 Y0=5 N0 X0        key 0 is there, is another one than 5, is a number or not there, is none
 *   J0:7 V0~90 I0=8:3~90 found the lock at 7; touched, until 90; 3 added, which makes 8, until 90
 *                        where nothing was
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check/items.h"
#include "check/queue.h"
#include "check/serial.h"
#include "check/snapshot.h"

/* ---- histories from text ---- */

static uint64_t
number_read(const char **text)
{
    char *end;
    uint64_t number = strtoull(*text, &end, 10);
    assert_true(end != *text);
    *text = end;
    return number;
}

/* The number behind `mark`, or `otherwise`. */
static uint64_t
number_after(const char **text, char mark, uint64_t otherwise)
{
    if (**text != mark)
        return otherwise;
    ++*text;
    return number_read(text);
}

static void
step_read(history *h, const char **text)
{
    static const char letters[] = "RWELBSPGZATrxlDCFOpefmnHYNXJVI";
    char letter = *(*text)++;
    history_step s = {.kind = STEP_PUSH, .after = 1};
    if (letter != 'K' && letter != 'U') {
        const char *at = strchr(letters, letter);
        assert_non_null(at);
        s.kind = (history_kind)(at - letters);
    }
    if (strchr("ZCFOpfm", letter) == NULL)
        s.key = (uint32_t)number_read(text);
    else if (strchr("pfm", letter) != NULL)
        s.value = number_read(text);
    s.value = number_after(text, '=', s.value);
    s.value = number_after(text, '.', s.value);
    s.before = number_after(text, ':', 0);
    s.after = number_after(text, '>', s.after);
    s.expires_ms = (int64_t)number_after(text, '~', 0);
    if (s.kind == STEP_PUSH) {
        uint64_t expires_ms = letter == 'P' ? s.value : 0;
        s.before = letter == 'P' ? s.key : s.value;
        s.after = letter == 'P' ? STEP_GENERATED : letter == 'U' ? STEP_UNIQUE : 0;
        s.value = expires_ms;
    }
    if (s.value != 0 && s.kind == STEP_ADD)
        s.value = HISTORY_NUMBER(s.value);
    if (s.kind == STEP_EXISTS)
        s.before = s.value;
    history_add(h, s);
}

static void
blanks_skip(const char **text)
{
    while (**text == ' ')
        ++*text;
}

static void
history_read(history *h, const char *text)
{
    while (*text != '\0') {
        blanks_skip(&text);
        uint32_t thread = (uint32_t)number_read(&text);
        blanks_skip(&text);
        uint64_t begin = number_read(&text), end = HISTORY_NEVER;
        blanks_skip(&text);
        if (*text == '?')
            text++;
        else
            end = number_read(&text);
        blanks_skip(&text);
        uint64_t from = number_after(&text, '@', begin);
        uint64_t to = number_after(&text, '-', end == HISTORY_NEVER ? begin : end);
        history_begin(h, "call", thread, begin, (int64_t)from);
        for (blanks_skip(&text); *text != '|' && *text != '\0'; blanks_skip(&text))
            step_read(h, &text);
        history_end(h, end, (int64_t)to);
        text += *text == '|';
    }
}

/* ---- tables ---- */

typedef verdict judge(const history *h, report *r);

typedef struct history_case {
    const char *name, *right, *broken, *law;
} history_case;

static verdict
judged(judge *j, const char *text, report *r)
{
    history h = {0};
    history_read(&h, text);
    memset(r, 0, sizeof *r);
    verdict v = j(&h, r);
    history_free(&h);
    return v;
}

static void
cases_judge(judge *j, const history_case *cases, size_t count)
{
    static report r;
    for (size_t i = 0; i < count; i++) {
        const history_case *c = &cases[i];
        if (judged(j, c->right, &r) != VERDICT_HOLDS)
            fail_msg("%s: the right history was refused: %s", c->name, r.text);
        if (judged(j, c->broken, &r) != VERDICT_BROKEN)
            fail_msg("%s: the broken history was accepted", c->name);
        if (strncmp(r.text, c->law, strlen(c->law)) != 0)
            fail_msg("%s: refused for something else than \"%s\": %s", c->name, c->law, r.text);
    }
}

#define CASES(judge, cases) cases_judge(judge, cases, sizeof cases / sizeof cases[0])

/* ---- one key, a few keys ---- */

static verdict
judge_keys(const history *h, report *r)
{
    static const items_options options = {.lock_ttl_ms = 100, .lock_refresh_ms = 20};
    for (size_t i = 0; i < h->step_count; i++)
        if (h->steps[i].kind == STEP_LOCK || h->steps[i].kind == STEP_BUMP)
            return items_check(h, 3, &options, r);
    return items_check(h, 3, NULL, r);
}

static const char linearizability[] = "linearizability";

static void
test_keys_brokenInOnePlace_isRefused(void **state)
{
    static const history_case cases[] = {
        {"stale read", "0 1 2 W0=1|0 3 4 W0=2|1 5 6 R0=2", "0 1 2 W0=1|0 3 4 W0=2|1 5 6 R0=1",
         linearizability},
        {"read back in time", "0 1 9 W0=1|1 2 3 R0=0|1 4 5 R0=1",
         "0 1 9 W0=1|1 2 3 R0=1|1 4 5 R0=0", linearizability},
        {"lost write", "0 1 4 W0=1|1 2 3 W0=2|0 5 6 R0=1", "0 1 2 W0=1|1 3 4 W0=2|0 5 6 R0=1",
         linearizability},
        {"value of nobody", "0 1 2 W0=1|1 3 4 R0=1", "0 1 2 W0=1|1 3 4 R0=2", linearizability},
        {"what was deleted is seen", "0 1 2 W0=1|1 3 4 E0|0 5 6 R0=0",
         "0 1 2 W0=1|1 3 4 E0|0 5 6 R0=1", linearizability},
        {"lost compare-and-swap", "0 1 2 L0>5~101|0 3 9 B0:5>6~105|1 4 8 S0:5>6",
         "0 1 2 L0>5~101|0 3 9 B0:5>6~105|1 4 8 B0:5>7~105", linearizability},
        {"a race that was none", "0 1 2 L0>5~101|1 3 4 B0:5>6~103|0 5 6 S0:5>6",
         "0 1 2 L0>5~101|1 3 4 S0:5>6|0 5 6 B0:5>6~105", linearizability},
        {"version not raised", "0 1 2 L0>5~101|0 3 4 B0:5>6~103", "0 1 2 L0>5~101|0 3 4 B0:5>5~103",
         linearizability},
        {"two locks at once", "0 1 3 L0>5~101|1 2 4 L0>5~101", "0 1 3 L0>5~101|1 2 4 L0>6~102",
         linearizability},
        {"lock survives a delete", "0 1 2 L0>5~101|1 3 4 E0|0 5 6 S0:5>0|0 7 8 L0>6~107",
         "0 1 2 L0>5~101|1 3 4 E0|0 7 8 L0>5~101", linearizability},
        {"version used again after a delete", "0 1 2 L0>5~101|1 3 4 E0|0 5 6 L0>6~105",
         "0 1 2 L0>5~101|1 3 4 E0|0 5 6 L0>4~105", linearizability},
        {"expired item is seen", "0 1 2 W0=1~50|1 40 50 R0=1|1 51 52 R0=0",
         "0 1 2 W0=1~50|1 51 52 R0=1", linearizability},
        {"expires early", "0 1 2 W0=1~50|1 49 51 R0=0", "0 1 2 W0=1~50|1 49 50 R0=0",
         linearizability},
        {"expired and back", "0 1 2 W0=1~50|1 40 60 R0=0|2 45 61 R0=1",
         "0 1 2 W0=1~50|1 40 60 R0=0|2 61 62 R0=1", linearizability},
        {"lock outlives its item", "0 1 2 W0=1~50|0 3 4 L0>5~103|0 60 61 S0:5>0|0 62 63 L0>6~162",
         "0 1 2 W0=1~50|0 3 4 L0>5~103|0 60 61 B0:5>6~160", linearizability},
        {"lapsed lock is good", "0 1 1 L0>5~101|0 101 101 B0:5>6~201",
         "0 1 1 L0>5~101|0 102 102 B0:5>6~202", linearizability},
        {"lock lapses early", "0 1 1 L0>5~101|0 101 101 B0:5>6~201",
         "0 1 1 L0>5~101|0 101 101 S0:5>0", linearizability},
        {"lock not renewed", "0 1 1 L0>5~101|0 81 81 L0>6~181", "0 1 1 L0>5~101|0 81 81 L0>5~101",
         linearizability},
        {"lock renewed early", "0 1 1 L0>5~101|0 80 80 L0>5~101", "0 1 1 L0>5~101|0 80 80 L0>6~180",
         linearizability},
        {"version 0: an item is there", "0 1 2 B0:0>5~101 W0=1|0 3 4 S0:0>5",
         "0 1 2 W0=1|0 3 4 B0:0>5~103", linearizability},
        {"version 0: a lock is there", "0 1 2 W0=1|0 3 4 S0:0>0|0 5 6 E0|0 7 8 B0:0>5~107",
         "0 1 2 L0>5~102|1 3 4 B0:0>6~103", linearizability},
        {"stale at version 0, and nothing is there", "0 1 2 W0=1|0 3 4 S0:0>0",
         "0 1 2 E0|0 3 4 S0:0>0", linearizability},
        {"unknown outcome: at most once", "0 1 ? W0=1|1 2 3 R0=0|1 4 5 R0=1",
         "0 1 ? W0=1|1 2 3 R0=1|1 4 5 R0=0", linearizability},
        {"unknown outcome: not before it began", "0 1 ? W0=1|1 2 3 R0=1", "0 4 ? W0=1|1 2 3 R0=1",
         linearizability},
        {"unknown commit",
         "0 1 2 L0>5~101|0 3 ? B0:5>18446744073709551615 W0=1|1 4 5 L0>9~104|1 6 7 R0=1",
         "0 1 2 L0>5~101|0 3 ? B0:5>18446744073709551615 W0=1|1 4 5 L0>9~104|1 6 7 R0=0",
         linearizability},
        {"half a commit", "0 1 5 W0=1 W1=1|1 2 3 R0=1 R1=1", "0 1 5 W0=1 W1=1|1 2 3 R0=1 R1=0",
         linearizability},
        {"half a commit, key by key", "0 1 9 W0=1 W1=1|1 2 3 R0=0|1 4 5 R1=1",
         "0 1 9 W0=1 W1=1|1 2 3 R0=1|1 4 5 R1=0", linearizability},
        {"commit upon an old lock", "0 1 2 L1>5~101|0 3 4 B1:5>6~103 W0=1|1 5 6 S1:5>6",
         "0 1 2 L1>5~101|0 3 4 B1:5>6~103 W0=1|1 5 6 B1:5>7~105 W0=2", linearizability},
        {"two snapshots disagree", "0 1 9 W0=1|1 1 9 W1=1|2 2 3 R0=1 R1=0|3 4 5 R0=1 R1=1",
         "0 1 9 W0=1|1 1 9 W1=1|2 2 3 R0=1 R1=0|3 4 5 R0=0 R1=1", linearizability},
    };
    (void)state;
    CASES(judge_keys, cases);
}

static void
test_writesThatAsk_brokenInOnePlace_areRefused(void **state)
{
    static const history_case cases[] = {
        {"put twice where nothing was", "0 1 5 R0=0 W0=1|1 2 6 H0",
         "0 1 5 R0=0 W0=1|1 2 6 R0=0 W0=2", linearizability},
        {"nothing is there", "0 1 2 W0=1|1 3 4 H0", "0 1 2 W0=1|0 3 4 E0|1 5 6 H0",
         linearizability},
        {"equal, and yet refused", "0 1 2 W0=1|1 3 4 Y0=2", "0 1 2 W0=1|1 3 4 Y0=1",
         linearizability},
        {"refused at no instant", "0 1 9 R0=0 H1|1 2 3 W1=1|1 4 5 W0=1",
         "0 1 9 R0=0 H1|1 2 3 W0=1|1 4 5 W1=1", linearizability},
        {"refused under a stale lock", "0 1 2 L0>5~101|0 3 4 J0:5 Y0=1|1 5 6 B0:5>6~105",
         "0 1 2 L0>5~101|1 3 4 B0:5>6~103|0 5 6 J0:5 Y0=1", linearizability},
        {"lost addition", "0 1 5 I0=3:3|1 2 6 I0=5:2", "0 1 5 I0=3:3|1 2 6 I0=2:2",
         linearizability},
        {"added twice", "0 1 2 I0:3|0 3 4 I0:2|1 5 6 R0=4611686018427387909",
         "0 1 2 I0:3|0 3 4 I0:2|1 5 6 R0=4611686018427387911", linearizability},
        {"number gets another end", "0 1 2 I0=3:3~50|0 3 4 I0=5:2~90|1 51 52 R0=0",
         "0 1 2 I0=3:3~50|0 3 4 I0=5:2~90|1 51 52 I0=6:1", linearizability},
        {"new number without its end", "0 1 2 W0=1~50|0 51 52 I0=2:2~90|1 91 92 R0=0",
         "0 1 2 W0=1~50|0 51 52 I0=2:2~90|1 91 92 H0", linearizability},
        {"number over a text", "0 1 2 I0:1|1 3 4 N0", "0 1 2 W0=1|1 3 4 N0", linearizability},
        {"text, though a number", "0 1 2 W0=1|1 3 4 X0", "0 1 2 I0=1:1|1 3 4 X0", linearizability},
        {"added to a text", "0 1 2 W0=1|1 3 4 E0 I1:1", "0 1 2 W0=1|1 3 4 I0:1", linearizability},
        {"touch brings back", "0 1 2 W0=1~50|0 40 50 V0~90|1 60 61 R0=1",
         "0 1 2 W0=1~50|0 51 52 V0~90|1 60 61 R0=1", linearizability},
        {"touch does nothing", "0 1 2 W0=1~50|0 40 41 V0~90|1 60 61 R0=1",
         "0 1 2 W0=1~50|0 40 41 V0~90|1 60 61 R0=0", linearizability},
    };
    (void)state;
    CASES(judge_keys, cases);
}

/* One that the search cannot finish says so. */
static void
test_search_atItsLimit_isNotDecided(void **state)
{
    history h = {0};
    static report r;
    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        history_begin(&h, "set", i, i, 0);
        history_add(&h, (history_step){.kind = STEP_WRITE, .key = 0, .value = i + 1});
        history_end(&h, HISTORY_NEVER, 0);
    }
    history_begin(&h, "get", 20, 30, 0);
    history_add(&h, (history_step){.kind = STEP_READ, .key = 0, .value = 99});
    history_end(&h, 31, 0);
    assert_int_equal(items_check(&h, 1, NULL, &r), VERDICT_UNDECIDED);
    history_free(&h);
}

/* ---- transactions ---- */

static const char cycle[] = "serializability: a cycle";

static void
test_transactions_withACycle_areRefused(void **state)
{
    static const history_case cases[] = {
        {"lost update", "0 1 4 R0=0 W0=1|1 2 9 R0=1 W0=2", "0 1 4 R0=0 W0=1|1 2 9 R0=0 W0=1",
         cycle},
        {"write skew", "0 1 4 R0=0 R1=0 W0=1|1 2 9 R0=1 R1=0 W1=1",
         "0 1 4 R0=0 R1=0 W0=1|1 2 9 R0=0 R1=0 W1=1", cycle},
        {"half seen", "0 1 9 R0=0 R1=0 W0=1 W1=1|1 2 8 R0=1 R1=1",
         "0 1 9 R0=0 R1=0 W0=1 W1=1|1 2 8 R0=1 R1=0", cycle},
        {"real time", "0 1 4 R0=0 W0=1|1 5 9 R0=1", "0 1 4 R0=0 W0=1|1 5 9 R0=0", cycle},
        {"readers disagree", "0 1 9 R0=0 W0=1|1 1 9 R1=0 W1=1|2 2 8 R0=1 R1=0|3 2 8 R0=1 R1=1",
         "0 1 9 R0=0 W0=1|1 1 9 R1=0 W1=1|2 2 8 R0=1 R1=0|3 2 8 R0=0 R1=1", cycle},
        {"one version of a lock is replaced twice", "0 1 5 B0:7>8|1 2 6 B0:8>9",
         "0 1 5 B0:7>8|1 2 6 B0:7>9", cycle},
        {"lock read after its item", "0 1 9 L0>7 R1=0|1 2 8 B0:7>8 R1=0 W1=1",
         "0 1 9 L0>8 R1=0|1 2 8 B0:7>8 R1=0 W1=1", cycle},
        {"of three", "0 1 9 R0=0 W1=1|1 1 9 R1=1 W2=1|2 1 9 R2=1 R0=0 W0=1",
         "0 1 9 R0=0 R2=0 W1=1|1 1 9 R1=0 W0=1|2 1 9 R0=1 R1=0 W2=1|0 10 11 R1=1 R2=1|3 1 9 R2=1 "
         "R1=0 R0=0",
         cycle},
    };
    (void)state;
    CASES(serial_check, cases);
}

/* Of many, the shortest cycle is told. */
static void
test_transactions_withCycles_tellTheShortest(void **state)
{
    static report r;
    (void)state;
    assert_int_equal(
        judged(serial_check,
               "0 1 9 R0=0 R1=0 W0=1|1 1 9 R0=0 R1=0 W1=1|2 1 9 R2=0 W2=1|3 10 20 R2=0 R1=1", &r),
        VERDICT_BROKEN);
    assert_non_null(strstr(r.text, "a cycle of 2"));
}

/* ---- snapshots ---- */

static verdict
judge_snapshots(const history *h, report *r)
{
    return snapshot_check(h, 3, r);
}

static const char no_instant[] = "snapshot: there is no instant";

static void
test_snapshots_ofNoInstant_areRefused(void **state)
{
    static const history_case cases[] = {
        {"old and new", "0 1 2 W0=1|1 3 4 W1=1|2 1 9 R0=1 R1=0",
         "0 1 2 W0=1|1 3 4 W1=1|2 1 9 R0=0 R1=1", no_instant},
        {"too late", "0 1 2 W0=1|0 3 6 W0=2|2 5 9 R0=1", "0 1 2 W0=1|0 3 4 W0=2|2 5 9 R0=1",
         no_instant},
        {"too early", "0 1 2 W0=1|0 5 6 W0=2|2 4 5 R0=2", "0 1 2 W0=1|0 5 6 W0=2|2 3 4 R0=2",
         no_instant},
        {"never written", "0 1 2 W0=1|2 3 4 R0=1", "0 1 2 W0=1|2 3 4 R0=2", no_instant},
        {"absent between two", "0 1 2 W0=1|0 3 4 E0=2|0 5 6 W0=3|2 4 9 R0=0",
         "0 1 2 W0=1|0 3 4 E0=2|0 5 6 W0=3|2 7 9 R0=0", no_instant},
        {"two that were never absent together",
         "0 1 2 E0=1|0 5 6 W0=2|0 9 10 E0=3|1 1 2 W1=1|1 5 6 E1=2|1 9 10 W1=3|2 1 20 R0=0 R1=0",
         "0 1 2 E0=1|0 4 5 W0=2|0 9 10 E0=3|1 1 2 W1=1|1 6 7 E1=2|1 8 8 W1=3|2 3 20 R0=0 R1=0",
         no_instant},
        {"present after its erasure", "0 1 2 W0=1|0 3 7 E0=2|2 6 9 R0=1",
         "0 1 2 W0=1|0 3 4 E0=2|2 6 9 R0=1", no_instant},
        {"a later write ended", "0 1 2 W0=1|1 3 20 W0=2|2 4 9 W0=3|2 5 15 R0=1",
         "0 1 2 W0=1|1 3 20 W0=2|2 4 9 W0=3|2 10 15 R0=1", no_instant},
    };
    (void)state;
    CASES(judge_snapshots, cases);
}

/* ---- queues ---- */

static void
test_queue_jobsBrokenInOnePlace_areRefused(void **state)
{
    static const history_case cases[] = {
        {"pulled, never pushed", "0 1 4 P1|1 2 3 G1.1~90", "0 1 4 P1|1 2 3 G2.1~90", "queue: Q1"},
        {"pulled before its push", "0 2 4 P1|1 1 3 G1.1~90", "0 4 5 P1|1 1 3 G1.1~90", "queue: Q1"},
        {"one receive twice", "0 1 2 P1|1 3 4 G1.1~9|2 11 12 G1.2~90",
         "0 1 2 P1|1 3 4 G1.1~9|2 11 12 G1.1~90", "queue: Q1"},
        {"a receive that nobody got", "0 1 2 P1|1 3 4 G1.1~9|2 11 12 G1.2~90",
         "0 1 2 P1|1 3 4 G1.1~9|2 11 12 G1.3~90", "queue: Q1"},
        {"two holders", "0 1 2 P1|1 3 4 G1.1~9|2 8 10 G1.2~90",
         "0 1 2 P1|1 3 4 G1.1~9|2 8 9 G1.2~90", "queue: Q2"},
        {"two holders, extended", "0 1 2 P1|1 3 4 G1.1~9|1 5 6 x1.1~20|2 18 21 G1.2~90",
         "0 1 2 P1|1 3 4 G1.1~9|1 5 6 x1.1~20|2 18 19 G1.2~90", "queue: Q2"},
        {"claimed before it was given back", "0 1 2 P1|1 3 4 G1.1~90|1 5 7 r1.1|2 6 8 G1.2~90",
         "0 1 2 P1|1 3 4 G1.1~90|1 9 10 r1.1|2 6 8 G1.2~90", "queue: Q3"},
        {"acknowledged twice", "0 1 2 P1|1 3 4 G1.1~90|1 5 6 A1.1|1 7 8 l1.1",
         "0 1 2 P1|1 3 4 G1.1~90|1 5 6 A1.1|1 7 8 A1.1", "queue: Q3"},
        {"comes again after its acknowledgement", "0 1 2 P1|1 3 4 G1.1~90|1 5 6 r1.1|2 7 8 G1.2~90",
         "0 1 2 P1|1 3 4 G1.1~90|1 5 6 A1.1|2 7 8 G1.2~90", "queue: Q3"},
        {"comes after it was deleted", "0 1 2 P1|0 3 9 D1|1 7 8 G1.1~90",
         "0 1 2 P1|0 3 4 D1|1 7 8 G1.1~90", "queue: Q3"},
        {"old holder not fenced", "0 1 2 P1|1 3 4 G1.1~9|2 11 12 G1.2~90|1 13 14 l1.1",
         "0 1 2 P1|1 3 4 G1.1~9|2 11 12 G1.2~90|1 13 14 T1.1", "queue: Q3"},
        {"good after it was given back", "0 1 2 P1|1 3 4 G1.1~90|1 5 6 r1.1|1 7 8 l1.1",
         "0 1 2 P1|1 3 4 G1.1~90|1 5 6 r1.1|1 7 8 A1.1", "queue: Q3"},
        {"lost to nobody", "0 1 2 P1|1 3 4 G1.1~90|0 5 9 D1|1 6 7 l1.1",
         "0 1 2 P1|1 3 4 G1.1~90|1 6 7 l1.1", "queue: Q3"},
        {"in time after the deadline", "0 1 2 P1|1 3 4 G1.1~9|1 9 12 A1.1",
         "0 1 2 P1|1 3 4 G1.1~9|1 10 12 A1.1", "queue: Q6"},
        {"late before the deadline", "0 1 2 P1|1 3 4 G1.1~9|1 8 10 T1.1",
         "0 1 2 P1|1 3 4 G1.1~9|1 8 9 T1.1", "queue: Q6"},
        {"given back late before the deadline", "0 1 2 P1|1 3 4 G1.1~9|1 8 10 r1.1:1",
         "0 1 2 P1|1 3 4 G1.1~9|1 8 9 r1.1:1", "queue: Q6"},
        {"came after it had expired", "0 1 2 P1=20|1 19 22 G1.1~90", "0 1 2 P1=20|1 21 22 G1.1~90",
         "queue: Q6"},
        {"delay cut short", "0 1 2 P1~20|1 19 21 G1.1~90", "0 1 2 P1~20|1 19 20 G1.1~90",
         "queue: Q6"},
        {"delay of a release cut short", "0 1 2 P1|1 3 4 G1.1~90|1 5 6 r1.1~20|2 19 25 G1.2~90",
         "0 1 2 P1|1 3 4 G1.1~90|1 5 6 r1.1~20|2 19 24 G1.2~90", "queue: Q6"},
    };
    (void)state;
    CASES(queue_check, cases);
}

static void
test_queue_orderBrokenInOnePlace_isRefused(void **state)
{
    static const history_case cases[] = {
        {"overtaken", "0 1 2 P1|0 3 4 P2|1 5 6 G1.1~90|1 7 8 G2.1~90",
         "0 1 2 P1|0 3 4 P2|1 5 6 G2.1~90|1 7 8 G1.1~90", "queue: Q4"},
        {"overtaken, and never pulled", "0 1 6 P1|0 3 4 P2|1 5 7 G2.1~90",
         "0 1 2 P1|0 3 4 P2|1 5 7 G2.1~90", "queue: Q4"},
        {"overtaken in turns",
         "0 1 2 P1|0 1 2 P5|1 5 10 G5.1~90|2 6 7 G1.1~90|0 8 9 K4=2|2 11 12 G4.1~90",
         "0 1 2 P1|0 1 2 P5|1 4 10 G5.1~90|0 5 6 K4=2|2 7 8 G1.1~90|2 11 12 G4.1~90", "queue: Q4"},
        {"overtaken where it came back", "0 1 2 P1|0 1 2 P2|1 3 4 G1.1~90|1 5 9 r1.1|2 7 8 G2.1~90",
         "0 1 2 P1|0 1 2 P2|1 3 4 G1.1~90|1 5 6 r1.1|2 7 8 G2.1~90", "queue: Q4"},
        {"overtaken where it lapsed", "0 1 2 P1|0 1 2 P2|1 3 4 G1.1~9|2 9 12 G2.1~90|0 10 11 P3",
         "0 1 2 P1|0 1 2 P2|1 3 4 G1.1~9|2 10 12 G2.1~90|2 13 14 G1.2~90", "queue: Q4"},
        {"own key before generated ones", "0 1 2 P5|0 3 4 K6=1|1 5 6 G6.1~90",
         "0 1 2 P5|0 3 4 K6=1|1 5 6 G5.1~90", "queue: Q4"},
        {"batch out of order", "0 1 2 P1 P2|1 3 4 G1.1~90 G2.1~90",
         "0 1 2 P1 P2|1 3 4 G2.1~90 G1.1~90", "queue: Q4"},
        {"head segment skipped", "0 1 2 P1 P2 P3|1 3 4 G1.1~90|2 3 4 G2.1~90|1 5 6 G3.1~90",
         "0 1 2 P1 P2 P3|1 3 4 G1.1~90|2 3 4 G3.1~90|1 7 8 G2.1~90", "queue: Q4"},
        {"later push, smaller key", "0 1 2 P1|1 3 4 P2", "0 1 2 P2|1 3 4 P1", "queue: Q4"},
        {"empty with a job", "0 1 4 P1|1 3 5 Z", "0 1 2 P1|1 3 5 Z", "queue: Q5"},
        {"empty with a job in turns", "0 1 2 P1|1 5 9 Z|2 6 7 G1.1~90|0 7 8 P2",
         "0 1 2 P1|1 5 9 Z|0 6 7 P2|2 8 10 G1.1~90", "queue: Q5"},
        {"empty after a lapse", "0 1 2 P1|1 3 4 G1.1~9|2 9 12 Z",
         "0 1 2 P1|1 3 4 G1.1~9|2 5 10 Z|2 11 12 Z", "queue: Q5"},
        {"empty before it expired", "0 1 2 P1=9|2 8 10 Z", "0 1 2 P1=9|2 8 9 Z", "queue: Q5"},
        {"empty after a delay", "0 1 2 P1~9|2 10 12 Z", "0 1 2 P1~9|2 11 12 Z", "queue: Q5"},
        {"lost", "0 1 2 P1|1 3 4 G1.1~90|1 5 6 A1.1|1 7 8 Z",
         "0 1 2 P1|0 1 2 P2|1 3 4 G1.1~90|1 5 6 A1.1|1 7 8 Z", "queue: Q5"},
        {"pushed into a closed queue", "0 1 4 C|1 3 5 P1", "0 1 2 C|1 3 5 P1", "queue: Q7"},
        {"refused though open", "0 4 5 C|1 3 5 F", "0 6 7 C|1 3 5 F", "queue: Q7"},
        {"over though open", "0 4 5 C|1 3 5 O", "1 3 5 O", "queue: Q7"},
        {"lost at the end", "0 1 2 P1|0 3 4 C|1 5 6 G1.1~90|1 7 9 A1.1|2 8 10 O",
         "0 1 2 P1|0 3 4 C|1 5 6 G1.1~90|1 11 12 A1.1|2 8 10 O", "queue: Q7"},
        {"goes on after the end", "0 1 2 P1|0 3 4 C|1 5 6 G1.1~90|1 7 8 A1.1|2 9 10 O|2 11 12 O",
         "0 1 2 P1|0 3 4 C|1 5 6 G1.1~90|1 7 8 A1.1|2 9 10 O|2 11 12 Z", "queue: Q7"},
        {"empty after the end, beside a push that fails", "0 3 4 C|2 9 10 O|0 11 14 F|2 12 13 Z",
         "0 3 4 C|2 9 10 O|0 14 15 F|2 12 13 Z", "queue: Q7"},
        {"unknown outcome", "0 1 2 P1|1 3 4 G1.1~9|1 5 ? A1.1|2 11 12 Z",
         "0 1 2 P1|1 3 4 G1.1~9|1 5 6 r1.1|2 11 12 Z", "queue: Q5"},
    };
    (void)state;
    CASES(queue_check, cases);
}

static void
test_queue_keysAndSumsBrokenInOnePlace_areRefused(void **state)
{
    static const history_case cases[] = {
        {"replaced, and its claim is good", "0 1 2 K1=1|1 3 4 G1.1~90|0 5 6 K2=1|1 7 8 l1.1",
         "0 1 2 K1=1|1 3 4 G1.1~90|0 5 6 K2=1|1 7 8 A1.1", "queue: Q3"},
        {"replaced, and comes again", "0 1 2 K1=1|0 3 4 K2=1|1 5 6 G2.1~90",
         "0 1 2 K1=1|0 3 4 K2=1|1 5 6 G1.1~90", "queue: Q3"},
        {"not visible after it was replaced", "0 1 2 K1=1|1 3 4 G1.1~90|0 5 8 K2=1|2 7 9 Z",
         "0 1 2 K1=1|1 3 4 G1.1~90|0 5 6 K2=1|2 7 9 Z", "queue: Q5"},
        {"two of a key", "0 1 4 K1=1|0 3 5 U2=1", "0 1 2 K1=1|0 3 5 U2=1", "queue: Q8"},
        {"two of a key, one after the other", "0 1 2 K1=1|1 3 4 G1.1~90|1 5 6 A1.1|0 7 8 U2=1",
         "0 1 2 K1=1|1 3 4 G1.1~90|1 7 8 A1.1|0 5 6 U2=1", "queue: Q3"},
        {"there, and it is not", "0 1 4 K1=1|0 3 5 e2=1", "0 4 6 K1=1|0 2 3 e2=1", "queue: Q8"},
        {"there, and it was done", "0 1 2 K1=1|1 3 4 G1.1~90|1 5 8 A1.1|0 7 9 e2=1",
         "0 1 2 K1=1|1 3 4 G1.1~90|1 5 6 A1.1|0 7 9 e2=1", "queue: Q8"},
        {"more than wanted", "0 1 2 P1|0 3 6 P2|0 5 7 P3 m2:1", "0 1 2 P1|0 3 4 P2|0 5 7 P3 m2:1",
         "queue: Q9"},
        {"full, and it is not", "0 1 2 P1|0 3 6 P2|0 5 7 f2:1", "0 1 2 P1|0 8 9 P2|0 5 7 f2:1",
         "queue: Q9"},
        {"full, beside one that is refused", "0 1 2 P1|1 3 6 f1:1|0 5 7 f2:1",
         "0 1 2 P1|1 3 4 f1:1|0 5 7 f2:1", "queue: Q9"},
        {"purged, and comes", "0 1 4 P1|0 3 5 p1:1|1 6 7 G1.1~90",
         "0 1 2 P1|0 3 5 p1:1|1 6 7 G1.1~90", "queue: Q3"},
        {"purged, and its claim is good", "0 1 2 P1|1 3 4 G1.1~90|0 5 7 p1:1|1 8 9 l1.1",
         "0 1 2 P1|1 3 4 G1.1~90|0 5 7 p1:1|1 8 9 A1.1", "queue: Q3"},
        {"purged more than there were", "0 1 2 P1|0 3 5 p1:1", "0 1 2 P1|0 3 5 p2:1", "queue: Q10"},
        {"purged, and missed one", "0 1 2 P1 P2|0 3 5 p2:1", "0 1 2 P1 P2|0 3 5 p1:1",
         "queue: Q10"},
        {"pushes miscounted", "0 1 2 P1|0 3 6 P2|1 5 7 n0=2", "0 1 2 P1|0 3 4 P2|1 5 7 n0=1",
         "queue: Q10"},
        {"pulls counted twice", "0 1 2 P1|1 3 4 G1.1~90|1 5 7 n1=1",
         "0 1 2 P1|1 3 4 G1.1~90|1 5 7 n1=2", "queue: Q10"},
        {"a late end forgotten", "0 1 2 P1|1 3 4 G1.1~9|1 8 14 T1.1|1 13 15 n2=0",
         "0 1 2 P1|1 3 4 G1.1~9|1 8 12 T1.1|1 13 15 n2=0", "queue: Q10"},
        {"a job forgotten", "0 1 2 P1|1 3 4 G1.1~90|1 5 8 A1.1|1 6 7 n5=0",
         "0 1 2 P1|1 3 4 G1.1~90|1 8 9 A1.1|1 6 7 n5=0", "queue: Q10"},
        {"ready, and not told", "0 1 2 P1|1 3 6 G1.1~90|2 5 7 n6=0",
         "0 1 2 P1|1 8 9 G1.1~90|2 5 7 n6=0", "queue: Q10"},
    };
    (void)state;
    CASES(queue_check, cases);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_brokenInOnePlace_isRefused),
        cmocka_unit_test(test_writesThatAsk_brokenInOnePlace_areRefused),
        cmocka_unit_test(test_search_atItsLimit_isNotDecided),
        cmocka_unit_test(test_transactions_withACycle_areRefused),
        cmocka_unit_test(test_transactions_withCycles_tellTheShortest),
        cmocka_unit_test(test_snapshots_ofNoInstant_areRefused),
        cmocka_unit_test(test_queue_jobsBrokenInOnePlace_areRefused),
        cmocka_unit_test(test_queue_orderBrokenInOnePlace_isRefused),
        cmocka_unit_test(test_queue_keysAndSumsBrokenInOnePlace_areRefused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
