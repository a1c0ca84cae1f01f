/* SPDX-License-Identifier: MIT
 *
 * The verbs of scripts for queues. See scripts/README.md.
 */
#include "script.h"

#include <poll.h>

/* ---- inspect ---- */

static int64_t
time_after(const script_run *run, int64_t ms)
{
    int64_t sum;
    return __builtin_add_overflow(atomic_load(&run->r->monotonic_ms), ms, &sum) ? INT64_MAX : sum;
}

/* The first instant at which it has lapsed. */
static int64_t
lapse_of(const lk_claim *claim)
{
    return claim->deadline_ms + (claim->deadline_ms != INT64_MAX);
}

/* The job of a key is in that state, where the handle can tell; NULL: there is none. */
static void
job_check(script_run *run, lk_key key, const lk_job *wanted)
{
    static const char *const states[] = {"no job", "ready", "delayed", "claimed"};
    lk_job found;
    if (!lkc_can(run->r, LK_HAS_QUEUE_INSPECT))
        return;
    lkc_fill(&found, sizeof found);
    lk_status status = lk_queue_inspect(run->r->db, key, &found);
    if (status != (wanted != NULL ? LK_OK : LK_NOT_FOUND))
        lkc_script_fail(run, "lk_queue_inspect: %s", lk_status_string(status));
    if (wanted == NULL && !lkc_is_filled(&found, sizeof found))
        lkc_script_fail(run, "lk_queue_inspect touches what it fills");
    if (wanted != NULL && (found.state != wanted->state || found.receives != wanted->receives ||
                           found.changes_at_ms != wanted->changes_at_ms))
        lkc_script_fail(run, "it is %s, was received %u times, changes in %lld ms",
                        found.state <= LK_JOB_CLAIMED ? states[found.state] : "nothing known",
                        found.receives, (long long)(found.changes_at_ms - time_after(run, 0)));
}

/* `inspect @j`, `inspect Q SK` `-> ready|delayed|claimed, receives N, in T`, or `NOT_FOUND` */
static void
inspect_run(script_run *run, span words, span wanted)
{
    const lk_claim *claim = lkc_input_claim(run, words);
    if (lkc_wanted_status(&wanted) == LK_NOT_FOUND) {
        job_check(run, claim->key, NULL);
        return;
    }
    const word *state = lkc_word(run, lkc_span_cut(&wanted, ','), 0);
    size_t receives = 0;
    int64_t in_ms = INT64_MIN;
    lkc_options_read(run, wanted,
                     (const option[]){{"receives", OPTION_NUMBER, &receives},
                                      {"in", OPTION_DURATION, &in_ms},
                                      {NULL, OPTION_FLAG, NULL}});
    lk_job expected = {.state = lkc_word_is(state, "ready")     ? LK_JOB_READY
                                : lkc_word_is(state, "delayed") ? LK_JOB_DELAYED
                                                                : LK_JOB_CLAIMED,
                       .receives = (uint32_t)receives,
                       .changes_at_ms = in_ms == INT64_MIN ? 0 : time_after(run, in_ms)};
    job_check(run, claim->key, &expected);
}

/* ---- push ---- */

/* What the push says that it stored: what was given, with a sk. */
static void
pushed_check(script_run *run, span jobs, const lk_item *items, int64_t delay_ms)
{
    const lk_result *pushed = run->r->result;
    int64_t due_ms = delay_ms == 0 ? 0 : time_after(run, delay_ms);
    if (lk_result_count(pushed) != jobs.count)
        lkc_script_fail(run, "%zu jobs were pushed", lk_result_count(pushed));
    for (size_t i = 0; i < jobs.count; i++) {
        const lk_item *item = lk_result_item(pushed, i);
        if (!lkc_equal(item->key.pk, items[i].key.pk) || lk_result_claim(pushed, i) != NULL ||
            item->expires_at_ms != items[i].expires_at_ms || item->key.sk.size == 0)
            lkc_script_fail(run, "job %zu is stored otherwise", i + 1);
        /* A generated key says when its push was, or later: the clock may have been set back. */
        if (items[i].key.sk.size == 0 && lkc_ulid_ms(item->key.sk) < lkc_now(run->r))
            lkc_script_fail(run, "the key of job %zu is older than its push", i + 1);
        if (!lk_has_expired(item->expires_at_ms, lkc_now(run->r)) && delay_ms != INT64_MAX)
            job_check(run, item->key,
                      &(lk_job){delay_ms != 0 ? LK_JOB_DELAYED : LK_JOB_READY, 0, due_ms});
        word whole = jobs.words[i];
        whole.at = whole.at == 0 ? SIZE_MAX : whole.at;
        lkc_item_check(run, &whole, item);
        if (lkc_word_name(&jobs.words[i]).size != 0)
            (void)lkc_name(run, lkc_word_name(&jobs.words[i]), item->key);
    }
}

/* `push Q JOB..., delay 5m, depth 3, unique, until +1h`. JOB@NAME names its key. */
static void
push_run(script_run *run, span words, span wanted)
{
    rig *r = run->r;
    span jobs = lkc_span_cut(&words, ',');
    const word *pk = lkc_word(run, jobs, 0);
    lk_push_options options = LK_PUSH_OPTIONS_INIT;
    int64_t until_ms = 0;
    lkc_options_read(run, words,
                     (const option[]){{"until", OPTION_MOMENT, &until_ms},
                                      {"delay", OPTION_DURATION, &options.delay_ms},
                                      {"depth", OPTION_NUMBER, &options.max_depth},
                                      {"unique", OPTION_FLAG, &options.unique},
                                      {NULL, OPTION_FLAG, NULL}});
    const lk_push_options *push = lkc_input_push_options(run, &options);
    jobs = (span){jobs.words + 1, jobs.count - 1};
    lk_item *items = lkc_input_room(run, (jobs.count + 1) * sizeof *items);
    lk_write *writes = lkc_input_room(run, (jobs.count + 1) * sizeof *writes);
    bool names = false;
    for (size_t i = 0; i < jobs.count; i++) {
        items[i] = lkc_input_item(run, pk, &jobs.words[i]);
        items[i].expires_at_ms = until_ms;
        writes[i] = (lk_write){.kind = LK_PUSH, .item = items[i], .push = push};
        names |= jobs.words[i].at != SIZE_MAX;
    }
    lkc_prime(r->result);
    if (run->by_commits && (push == NULL || lkc_can(r, LK_COMMITS_RELEASES)) && !names &&
        jobs.count != 0 && jobs.count <= LK_COMMIT_MAX) {
        lkc_answer_check(run, wanted, lk_commit(r->db, writes, jobs.count, NULL, 0, NULL));
        return;
    }
    lk_status status = lk_queue_push(r->db, items, jobs.count, push, r->result);
    lkc_answer_check(run, wanted, status);
    if (status == LK_OK)
        pushed_check(run, jobs, items, options.delay_ms);
}

/* ---- pull ---- */

static lk_pull_options
pull_read(script_run *run, span words)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    size_t limit = 0;
    options.pk = lkc_input(run, lkc_word(run, lkc_span_cut(&words, ','), 0)->bytes);
    lkc_options_read(run, words,
                     (const option[]){{"for", OPTION_DURATION, &options.visibility_ms},
                                      {"wait", OPTION_DURATION, &options.wait_ms},
                                      {"max", OPTION_NUMBER, &options.max_jobs},
                                      {"limit", OPTION_NUMBER, &limit},
                                      {"limit", OPTION_INPUT, &options.dead_pk},
                                      {NULL, OPTION_FLAG, NULL}});
    options.max_receives = (uint32_t)limit;
    if (options.wait_ms == INT64_MAX) /* ever */
        options.wait_ms = -1;
    return options;
}

/* The claim of a job that was pulled: until when, how often, of which key. */
static void
claim_check(script_run *run, const lk_pull_options *options, const lk_item *item,
            const lk_claim *claim, uint64_t receives)
{
    int64_t for_ms = options->visibility_ms != 0 ? options->visibility_ms : LK_MINUTES(5);
    int64_t now_ms = atomic_load(&run->r->monotonic_ms), deadline_ms;
    if (__builtin_add_overflow(now_ms, for_ms, &deadline_ms))
        deadline_ms = claim->deadline_ms > LK_HOURS(1000000) ? claim->deadline_ms : 0;
    if (claim->token == 0 || !lkc_equal(claim->key.pk, item->key.pk) ||
        !lkc_equal(claim->key.sk, item->key.sk) || !lkc_equal(options->pk, item->key.pk))
        lkc_script_fail(run, "the claim is of another key, or of none");
    if (claim->deadline_ms != deadline_ms)
        lkc_script_fail(run, "the claim is good for %lld ms",
                        (long long)(claim->deadline_ms - now_ms));
    if (claim->receives != receives)
        lkc_script_fail(run, "it was received %u times", claim->receives);
    job_check(run, claim->key, &(lk_job){LK_JOB_CLAIMED, claim->receives, lapse_of(claim)});
}

/* `pull Q, max 3, for 30s, wait 1s, limit 5 DEAD -> JOB..., receives 2, until +1h`. JOB@NAME names
 * its claim. Without `receives` it is the first time. */
static void
pull_run(script_run *run, span words, span wanted)
{
    rig *r = run->r;
    lk_pull_options options = pull_read(run, words);
    lk_status status = lkc_wanted_status(&wanted);
    span jobs = lkc_span_cut(&wanted, ',');
    size_t receives = 1;
    int64_t until_ms = -1;
    lkc_options_read(run, wanted,
                     (const option[]){{"receives", OPTION_NUMBER, &receives},
                                      {"until", OPTION_MOMENT, &until_ms},
                                      {NULL, OPTION_FLAG, NULL}});
    lkc_prime(r->result);
    lkc_status_check(run, status, lk_queue_pull(r->db, &options, r->result));
    if (status != LK_OK)
        return;
    if (lk_result_count(r->result) != jobs.count || lk_result_item(r->result, jobs.count) != NULL ||
        lk_result_claim(r->result, jobs.count) != NULL)
        lkc_script_fail(run, "%zu jobs, not %zu", lk_result_count(r->result), jobs.count);
    for (size_t i = 0; i < jobs.count; i++) {
        const lk_item *item = lk_result_item(r->result, i);
        const lk_claim *claim = lk_result_claim(r->result, i);
        lkc_item_check(run, &jobs.words[i], item);
        claim_check(run, &options, item, claim, receives);
        if (until_ms != -1 && item->expires_at_ms != until_ms)
            lkc_script_fail(run, "it expires at another time");
        if (lkc_word_name(&jobs.words[i]).size == 0)
            continue;
        named *n = lkc_name(run, lkc_word_name(&jobs.words[i]), claim->key);
        lk_key key = n->claim.key;
        n->claim = *claim;
        n->claim.key = key;
    }
}

/* ---- claims ---- */

/* `ack @j @k`, `ack PK SK` */
static void
ack_run(script_run *run, span words, span wanted)
{
    bool by_name = lkc_word(run, words, 0)->at == 0;
    size_t count = by_name ? words.count : 1;
    lk_claim *claims = lkc_input_room(run, count * sizeof *claims);
    for (size_t i = 0; i < count; i++)
        claims[i] = *lkc_input_claim(run, (span){words.words + i, by_name ? 1 : words.count});
    lk_write write = {.kind = LK_ACKNOWLEDGE, .claim = claims};
    lkc_prime(run->r->result);
    if (run->by_commits && count == 1)
        lkc_answer_check(run, wanted, lk_commit(run->r->db, &write, 1, NULL, 0, NULL));
    else
        lkc_answer_check(run, wanted, lk_queue_acknowledge(run->r->db, claims, count));
}

/* `release @j, delay 5m`, `release PK SK` */
static void
release_run(script_run *run, span words, span wanted)
{
    lk_claim *claim = lkc_input_claim(run, lkc_span_cut(&words, ',')), before = *claim;
    int64_t delay_ms = 0;
    lkc_options_read(
        run, words,
        (const option[]){{"delay", OPTION_DURATION, &delay_ms}, {NULL, OPTION_FLAG, NULL}});
    lk_write write = {.kind = LK_RELEASE, .claim = claim, .delay_ms = delay_ms};
    lkc_prime(run->r->result);
    if (run->by_commits && lkc_can(run->r, LK_COMMITS_RELEASES))
        lkc_answer_check(run, wanted, lk_commit(run->r->db, &write, 1, NULL, 0, NULL));
    else
        lkc_answer_check(run, wanted, lk_queue_release(run->r->db, claim, delay_ms));
    if (memcmp(claim, &before, sizeof before) != 0)
        lkc_script_fail(run, "the claim is another one");
}

/* `extend @j, for 30s`: only its deadline moves. */
static void
extend_run(script_run *run, span words, span wanted)
{
    span target = lkc_span_cut(&words, ',');
    lk_claim *claim = lkc_input_claim(run, target), before = *claim;
    int64_t for_ms = 0;
    lkc_options_read(
        run, words, (const option[]){{"for", OPTION_DURATION, &for_ms}, {NULL, OPTION_FLAG, NULL}});
    lkc_prime(run->r->result);
    lk_status status = lk_queue_extend(run->r->db, claim, for_ms);
    lkc_answer_check(run, wanted, status);
    if (status == LK_OK) {
        int64_t wanted_ms = for_ms != 0 ? for_ms : LK_MINUTES(5);
        int64_t now_ms = atomic_load(&run->r->monotonic_ms);
        if (__builtin_add_overflow(now_ms, wanted_ms, &before.deadline_ms))
            before.deadline_ms = claim->deadline_ms;
        lkc_named(run, target.words)->claim.deadline_ms = claim->deadline_ms;
    }
    if (memcmp(claim, &before, sizeof before) != 0)
        lkc_script_fail(run, "the claim is another one");
}

/* `lost @j @k`: nothing can be done with these, and they are left as they are. */
static void
lost_run(script_run *run, span words, span wanted)
{
    (void)wanted;
    for (size_t i = 0; i < words.count; i++) {
        lk_claim *claim = lkc_input_claim(run, (span){words.words + i, 1}), before = *claim;
        lk_write write = {.kind = LK_ACKNOWLEDGE, .claim = claim};
        lkc_prime(run->r->result);
        lkc_status_check(run, LK_LOST, lk_queue_extend(run->r->db, claim, 1000));
        lkc_status_check(run, LK_LOST, lk_queue_release(run->r->db, claim, 0));
        lkc_status_check(run, LK_LOST, lk_queue_acknowledge(run->r->db, claim, 1));
        if (lkc_can(run->r, LK_COMMITS_JOBS))
            lkc_status_check(run, LK_LOST, lk_commit(run->r->db, &write, 1, NULL, 0, NULL));
        write.kind = LK_RELEASE;
        if (lkc_can(run->r, LK_COMMITS_RELEASES))
            lkc_status_check(run, LK_LOST, lk_commit(run->r->db, &write, 1, NULL, 0, NULL));
        if (memcmp(claim, &before, sizeof before) != 0)
            lkc_script_fail(run, "claim %zu is another one", i + 1);
    }
}

/* `held @j @k`: good, so each can be extended, to the same deadline. */
static void
held_run(script_run *run, span words, span wanted)
{
    (void)wanted;
    for (size_t i = 0; i < words.count; i++) {
        lk_claim *claim = lkc_input_claim(run, (span){words.words + i, 1});
        int64_t deadline_ms = claim->deadline_ms;
        int64_t left_ms = deadline_ms - atomic_load(&run->r->monotonic_ms);
        if (left_ms <= 0)
            lkc_script_fail(run, "claim %zu has no time left", i + 1);
        lkc_prime(run->r->result);
        lkc_status_check(run, LK_OK, lk_queue_extend(run->r->db, claim, left_ms));
        if (claim->deadline_ms != deadline_ms)
            lkc_script_fail(run, "the deadline of claim %zu moves", i + 1);
        job_check(run, claim->key, &(lk_job){LK_JOB_CLAIMED, claim->receives, lapse_of(claim)});
    }
}

/* `forge @x PK SK TOKEN`: a claim that nobody gave. */
static void
forge_run(script_run *run, span words, span wanted)
{
    (void)wanted;
    lk_key key = {lkc_word(run, words, 1)->bytes, lkc_word(run, words, 2)->bytes};
    named *n = lkc_name(run, lkc_word_name(lkc_word(run, words, 0)), key);
    n->claim.token = lkc_word_number(run, lkc_word(run, words, 3));
    n->claim.deadline_ms = atomic_load(&run->r->monotonic_ms) + LK_HOURS(1);
    n->claim.receives = 1;
}

/* ---- the queue ---- */

static const struct {
    const char *name;
    size_t offset;
} figures[] = {{"ready", offsetof(lk_queue_statistics, ready)},
               {"claimed", offsetof(lk_queue_statistics, claimed)},
               {"delayed", offsetof(lk_queue_statistics, delayed)},
               {"dead", offsetof(lk_queue_statistics, dead)},
               {"oldest", offsetof(lk_queue_statistics, oldest_age_ms)},
               {"pushes", offsetof(lk_queue_statistics, pushes)},
               {"pulls", offsetof(lk_queue_statistics, pulls)},
               {"empty_pulls", offsetof(lk_queue_statistics, empty_pulls)},
               {"lapses", offsetof(lk_queue_statistics, lapses)},
               {"late", offsetof(lk_queue_statistics, late)},
               {"lost", offsetof(lk_queue_statistics, lost)}};
enum { NOW = 3 }; /* how many of these tell what is there now */

static void
figures_read(script_run *run, const word *pk, uint64_t values[COUNT(figures)])
{
    lk_queue_statistics stats;
    lkc_fill(&stats, sizeof stats);
    lk_bytes name = lkc_input(run, pk->bytes);
    lkc_prime(run->r->result);
    lkc_status_check(run, LK_OK, lk_queue_stats(run->r->db, name, &stats));
    for (size_t i = 0; i < COUNT(figures); i++)
        memcpy(&values[i], (const char *)&stats + figures[i].offset, sizeof values[i]);
}

static size_t
figure_of(script_run *run, const word *name)
{
    for (size_t i = 0; i < COUNT(figures); i++)
        if (lkc_word_is(name, figures[i].name))
            return i;
    lkc_script_fail(run, "a queue has no such figure");
}

static void
figure_check(script_run *run, size_t figure, uint64_t wanted, uint64_t got)
{
    if (wanted != got)
        lkc_script_fail(run, "%s %llu, not %llu", figures[figure].name, (unsigned long long)got,
                        (unsigned long long)wanted);
}

/* `holds Q, 2 ready, 1 claimed, 3 delayed`: what is not named is none. */
static void
holds_run(script_run *run, span words, span wanted)
{
    uint64_t values[COUNT(figures)], expected[NOW] = {0};
    (void)wanted;
    const word *pk = lkc_word(run, lkc_span_cut(&words, ','), 0);
    while (words.count != 0) {
        span part = lkc_span_cut(&words, ',');
        size_t figure = figure_of(run, lkc_word(run, part, 1));
        if (figure >= NOW)
            lkc_script_fail(run, "jobs are ready, claimed or delayed");
        expected[figure] = lkc_word_number(run, part.words);
    }
    figures_read(run, pk, values);
    for (size_t i = 0; i < NOW; i++)
        figure_check(run, i, expected[i], values[i]);
}

/* `stats Q -> pushes 3, late 1`, or `stats Q -> zero` */
static void
stats_run(script_run *run, span words, span wanted)
{
    uint64_t values[COUNT(figures)];
    figures_read(run, lkc_word(run, words, 0), values);
    if (wanted.count == 1 && lkc_word_is(wanted.words, "zero")) {
        for (size_t i = 0; i < COUNT(figures); i++)
            figure_check(run, i, 0, values[i]);
        return;
    }
    while (wanted.count != 0) {
        span part = lkc_span_cut(&wanted, ',');
        size_t figure = figure_of(run, lkc_word(run, part, 0));
        figure_check(run, figure, lkc_word_number(run, lkc_word(run, part, 1)), values[figure]);
    }
}

/* `purge Q -> 3` */
static void
purge_run(script_run *run, span words, span wanted)
{
    size_t purged = 77;
    lk_bytes pk = lkc_input(run, lkc_word(run, words, 0)->bytes);
    lk_status status = lkc_wanted_status(&wanted);
    lkc_prime(run->r->result);
    lkc_status_check(run, status, lk_queue_purge(run->r->db, pk, &purged));
    uint64_t expected = status != LK_OK ? 77 : purged;
    if (wanted.count != 0)
        expected = lkc_word_number(run, wanted.words);
    if (purged != expected)
        lkc_script_fail(run, "%zu jobs, not %llu", purged, (unsigned long long)expected);
}

static void
close_run(script_run *run, span words, span wanted)
{
    lk_bytes pk = lkc_input(run, lkc_word(run, words, 0)->bytes);
    lkc_prime(run->r->result);
    lkc_answer_check(run, wanted, lk_queue_close(run->r->db, pk));
}

/* `readable Q yes`, `readable Q no`: its descriptor, where there are descriptors. It may be
 * readable in vain for a moment. */
static void
readable_run(script_run *run, span words, span wanted)
{
    int fd = -1;
    (void)wanted;
    lk_bytes pk = lkc_input(run, lkc_word(run, words, 0)->bytes);
    bool expected = lkc_word_is(lkc_word(run, words, 1), "yes");
    if (!lkc_can(run->r, LK_HAS_QUEUE_FD))
        return;
    lkc_status_check(run, LK_OK, lk_queue_fd(run->r->db, pk, &fd));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    bool readable = poll(&p, 1, 0) == 1;
    for (int tries = 0; readable && !expected && tries < 1000; tries++) {
        (void)poll(NULL, 0, 1);
        readable = poll(&p, 1, 0) == 1;
    }
    if (readable != expected)
        lkc_script_fail(run, readable ? "it is readable" : "it is not readable");
}

const verb lkc_queue_verbs[] = {
    {"push", push_run},       {"pull", pull_run},         {"ack", ack_run},
    {"release", release_run}, {"extend", extend_run},     {"lost", lost_run},
    {"inspect", inspect_run}, {"held", held_run},         {"forge", forge_run},
    {"holds", holds_run},     {"stats", stats_run},       {"purge", purge_run},
    {"close", close_run},     {"readable", readable_run}, {NULL, NULL}};
