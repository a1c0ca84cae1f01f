/* SPDX-License-Identifier: MIT
 *
 * Comparing rows. See duel.h.
 */
#include "page/duel.h"

#include "record/statistics.h"

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
    static const enum standing standings[] = {[STATISTICS_TOO_FEW] = STANDING_UNCLEAR,
                                              [STATISTICS_UNCLEAR] = STANDING_UNCLEAR,
                                              [STATISTICS_ALIKE] = STANDING_LEVEL,
                                              [STATISTICS_MORE] = STANDING_AHEAD,
                                              [STATISTICS_LESS] = STANDING_BEHIND};
    enum statistics_judgement judgement = statistics_judge(own, own_count, rival, rival_count, 0);
    duel->ratio = own_median / rival_median;
    duel->tested = judgement != STATISTICS_TOO_FEW;
    duel->standing = standings[judgement];
    return true;
}

bool
duel_worst(const struct page *page, const struct view *view, size_t contender, struct duel *duel)
{
    struct duel one;
    bool any = false;

    for (size_t i = 0; i < view->thread_count; i++)
        if (duel_fight(page, view, contender, view->threads[i], &one) &&
            (!any || one.ratio < duel->ratio)) {
            *duel = one;
            any = true;
        }
    return any;
}

/* Puts one duel into the sums. */
static void
match_add(struct match *match, const struct duel *duel)
{
    match->counts[duel->standing]++;
    if (match->worst.rival == NULL || duel->ratio < match->worst.ratio)
        match->worst = *duel;
    if (duel->standing == STANDING_BEHIND &&
        (match->behind.rival == NULL || duel->ratio < match->behind.ratio))
        match->behind = *duel;
}

void
match_play(const struct page *page, const struct view *view, struct match *match)
{
    struct duel duel;

    memset(match, 0, sizeof *match);
    for (size_t i = 0; i < view->contender_count; i++)
        for (size_t j = 0; j < view->thread_count; j++)
            if (!contender_is_ours(view->contenders[i]) &&
                duel_fight(page, view, i, view->threads[j], &duel))
                match_add(match, &duel);
    static const enum standing order[] = {STANDING_BEHIND, STANDING_UNCLEAR, STANDING_LEVEL,
                                          STANDING_AHEAD};
    for (size_t i = 0; i < 4 && match->standing == STANDING_NONE; i++)
        if (match->counts[order[i]] > 0)
            match->standing = order[i];
}
