/* SPDX-License-Identifier: MIT
 *
 * Comparing rows. See duel.h.
 */
#include "duel.h"

#include "../statistics.h"

#include <math.h>
#include <string.h>

/* The repeats' scores: more is better. */
static size_t
row_scores(const struct page *page, const struct record_row *row, double *scores)
{
    size_t count = 0;

    for (unsigned i = 0; i < row->repeats; i++) {
        if (!page->by_rate)
            scores[count++] = row->rates[i];
        else if (row->latencies[i].p99 > 0)
            scores[count++] = 1e9 / (double)row->latencies[i].p99;
    }
    return count;
}

double
row_score(const struct page *page, const struct record_row *row)
{
    double scores[RECORD_REPEATS_MAX];

    if (!row_measured(row))
        return 0;
    return statistics_median(scores, row_scores(page, row, scores));
}

bool
duel_fight(const struct page *page, const struct view *view, size_t contender, unsigned threads,
           struct duel *duel)
{
    double own[RECORD_REPEATS_MAX], rival[RECORD_REPEATS_MAX];

    memset(duel, 0, sizeof *duel);
    duel->rival = view_row(view, contender, threads);
    for (size_t i = 0; i < view->contender_count; i++)
        if (strcmp(view->contenders[i], view->subject) == 0)
            duel->own = view_row(view, i, threads);
    if (!row_measured(duel->own) || !row_measured(duel->rival) || duel->own == duel->rival ||
        duel->own->fault[0] != '\0' || duel->rival->fault[0] != '\0')
        return false;
    size_t own_count = row_scores(page, duel->own, own);
    size_t rival_count = row_scores(page, duel->rival, rival);
    double rival_median = statistics_median(rival, rival_count);
    double own_median = statistics_median(own, own_count);
    if (!(rival_median > 0) || !(own_median > 0))
        return false;
    duel->ratio = own_median / rival_median;
    duel->tested = statistics_u_test_least(own_count, rival_count) < STATISTICS_SIGNIFICANT;
    if (fabs(log(duel->ratio)) < log1p(DUEL_LEVEL))
        duel->standing = STANDING_LEVEL;
    else if (duel->tested &&
             statistics_u_test(own, own_count, rival, rival_count) >= STATISTICS_SIGNIFICANT)
        duel->standing = STANDING_UNCLEAR;
    else
        duel->standing = duel->ratio > 1 ? STANDING_AHEAD : STANDING_BEHIND;
    return true;
}

void
match_play(const struct page *page, const struct view *view, struct match *match)
{
    struct duel duel;

    memset(match, 0, sizeof *match);
    match->threads = view->main_threads;
    for (size_t i = 0; i < view->contender_count; i++) {
        if (contender_is_ours(view->contenders[i]) ||
            !duel_fight(page, view, i, match->threads, &duel))
            continue;
        match->counts[duel.standing]++;
        if (match->best.rival == NULL || duel.ratio < match->best.ratio)
            match->best = duel;
    }
    static const enum standing order[] = {STANDING_BEHIND, STANDING_UNCLEAR, STANDING_LEVEL,
                                          STANDING_AHEAD};
    for (size_t i = 0; i < 4 && match->standing == STANDING_NONE; i++)
        if (match->counts[order[i]] > 0)
            match->standing = order[i];
}
