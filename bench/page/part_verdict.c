/* SPDX-License-Identifier: MIT
 *
 * The first part: who wins where and by how much, losses included, and how far to trust it.
 */
#include "page/chart.h"
#include "page/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void
standing_print(struct page *page, enum standing standing, const char *text)
{
    static const struct {
        const char *kind, *sign, *word;
    } forms[] = {{"none", "", "not compared"},
                 {"ahead", "▲", "ahead"},
                 {"level", "=", "level"},
                 {"behind", "▼", "behind"},
                 {"unclear", "?", "unclear"}};

    page_print(page, "<span class=\"stand %s\"><span aria-hidden=\"true\">%s</span> ",
               forms[standing].kind, forms[standing].sign);
    if (text[0] != '\0')
        page_print(page, "<span class=\"heard\">%s, </span>%s</span>", forms[standing].word, text);
    else
        page_print(page, "%s</span>", forms[standing].word);
}

/* ---- the sums -------------------------------------------------------------------------------- */

struct verdict {
    struct match *matches;         /* of each view */
    unsigned workloads[STANDINGS]; /* by standing */
    unsigned duels[STANDINGS];
    /* workloads: the largest lead over the best rival; the largest deficit, and the largest that is
     * sure */
    size_t lead, deficit, loss;
    bool any_lead, any_deficit, any_loss;
};

static bool
verdict_open(struct verdict *verdict, const struct page *page)
{
    memset(verdict, 0, sizeof *verdict);
    verdict->matches = calloc(page->view_count + 1, sizeof *verdict->matches);
    if (verdict->matches == NULL)
        return false;
    for (size_t i = 0; i < page->view_count; i++) {
        struct match *match = &verdict->matches[i];
        match_play(page, &page->views[i], match);
        verdict->workloads[match->standing]++;
        for (size_t j = 0; j < STANDINGS; j++)
            verdict->duels[j] += match->counts[j];
        if (match->standing == STANDING_AHEAD &&
            (!verdict->any_lead ||
             match->worst.ratio > verdict->matches[verdict->lead].worst.ratio)) {
            verdict->lead = i;
            verdict->any_lead = true;
        }
        if (match->worst.rival != NULL && match->worst.ratio < 1 &&
            (!verdict->any_deficit ||
             match->worst.ratio < verdict->matches[verdict->deficit].worst.ratio)) {
            verdict->deficit = i;
            verdict->any_deficit = true;
        }
        if (match->behind.rival != NULL &&
            (!verdict->any_loss ||
             match->behind.ratio < verdict->matches[verdict->loss].behind.ratio)) {
            verdict->loss = i;
            verdict->any_loss = true;
        }
    }
    return true;
}

/* ---- in words -------------------------------------------------------------------------------- */

/* "latchkey is 1.41 times as fast as mutex, the best rival, in get with 2 threads" */
static void
duel_print(struct page *page, const struct view *view, const struct duel *duel)
{
    unsigned threads = duel->own->threads;
    bool ahead = duel->ratio >= 1;
    const char *winner = ahead ? view->subject : duel->rival->contender;
    const char *loser = ahead ? duel->rival->contender : view->subject;

    page_print(page, "in <b>%s</b>%s%s, %s is <b>%s times</b> %s %s", view->workload->name,
               threads != 0 ? " with " : "", text_threads(threads).s, winner,
               text_ratio(ahead ? duel->ratio : 1 / duel->ratio).s,
               page->by_rate ? "as quick (p99) as" : "as fast as", loser);
}

static void
end_print(struct page *page, const char *what, size_t view, const struct duel *duel)
{
    page_print(page, "<li>%s: ", what);
    duel_print(page, &page->views[view], duel);
    if (duel->standing == STANDING_UNCLEAR)
        page_print(page, duel->tested ? "; unclear, as the repeats differ too much"
                                      : "; unclear, for lack of repeats");
    page_print(page, ".</li>");
}

/* The extremes of all rows, and the sum over all rivals. */
static void
ends_print(struct page *page, const struct verdict *verdict, unsigned all)
{
    page_print(page, "<ul class=\"ends\">");
    if (verdict->any_lead)
        end_print(page, all == 1 ? "The lead" : "The largest lead over a best rival", verdict->lead,
                  &verdict->matches[verdict->lead].worst);
    if (verdict->any_deficit)
        end_print(page, "The largest deficit of all rows", verdict->deficit,
                  &verdict->matches[verdict->deficit].worst);
    if (verdict->any_loss && verdict->matches[verdict->deficit].worst.standing != STANDING_BEHIND)
        end_print(page, "The largest deficit that is sure", verdict->loss,
                  &verdict->matches[verdict->loss].behind);
    page_print(page,
               "<li>Row by row, each rival at each number of threads: ahead in %u, level in %u, "
               "behind in %u, unclear in %u.</li></ul>\n",
               verdict->duels[STANDING_AHEAD], verdict->duels[STANDING_LEVEL],
               verdict->duels[STANDING_BEHIND], verdict->duels[STANDING_UNCLEAR]);
}

static void
headline_print(struct page *page, const struct verdict *verdict)
{
    const unsigned *workloads = verdict->workloads;
    unsigned all = workloads[STANDING_AHEAD] + workloads[STANDING_LEVEL] +
                   workloads[STANDING_BEHIND] + workloads[STANDING_UNCLEAR];

    if (all == 0) {
        page_print(page, "<p class=\"headline\">No rival was measured beside latchkey: there is "
                         "nothing to compare.</p>\n");
        return;
    }
    page_print(page, "<p class=\"headline\">%slatchkey ",
               page->record->partial ? "As far as the interrupted run went, " : "");
    if (all == 1)
        page_print(page, "%s in the one workload that was run",
                   workloads[STANDING_AHEAD] != 0     ? "is ahead of every rival"
                   : workloads[STANDING_LEVEL] != 0   ? "is level with the best rival"
                   : workloads[STANDING_UNCLEAR] != 0 ? "cannot be told from some rival"
                                                      : "is behind some rival");
    else
        page_print(page,
                   "is ahead of every rival, with any number of threads, in %u of %u workloads",
                   workloads[STANDING_AHEAD], all);
    if (all > 1 && workloads[STANDING_LEVEL] != 0)
        page_print(page, ", level with the best one in %u,", workloads[STANDING_LEVEL]);
    if (all > 1)
        page_print(page, " and behind some rival in %u", workloads[STANDING_BEHIND]);
    if (all > 1 && workloads[STANDING_UNCLEAR] != 0)
        page_print(page, "; %u %s unclear", workloads[STANDING_UNCLEAR],
                   workloads[STANDING_UNCLEAR] == 1 ? "is" : "are");
    page_print(page, ".");
    page_print(page, "</p>\n");
    ends_print(page, verdict, all);
}

static void
tile_print(struct page *page, const char *kind, const char *sign, unsigned count, const char *what)
{
    page_print(page,
               "<div class=\"tile %s\"><dt>%s</dt><dd><span aria-hidden=\"true\">%s</span> %u</dd>"
               "</div>",
               kind, what, sign, count);
}

static void
tiles_print(struct page *page, const struct verdict *verdict)
{
    const struct record *record = page->record;

    page_print(page, "<dl class=\"tiles\">");
    tile_print(page, "ahead", "▲", verdict->workloads[STANDING_AHEAD], "workloads ahead of all");
    tile_print(page, "level", "=", verdict->workloads[STANDING_LEVEL], "level with the best");
    tile_print(page, "behind", "▼", verdict->workloads[STANDING_BEHIND], "behind some rival");
    if (verdict->workloads[STANDING_UNCLEAR] != 0)
        tile_print(page, "unclear", "?", verdict->workloads[STANDING_UNCLEAR], "unclear");
    unsigned targets = record->targets_met + record->targets_missed + record->targets_open;
    if (targets != 0)
        page_print(page,
                   "<div class=\"tile\"><dt>targets met</dt><dd>%u<span class=\"of\"> of "
                   "%u</span></dd></div>",
                   record->targets_met, targets);
    page_print(page, "<div class=\"tile %s\"><dt>invariants</dt><dd>%s</dd></div></dl>\n",
               record->faults == 0 ? "" : "behind", record->faults == 0 ? "hold" : "broken");
}

/* ---- how far to trust it --------------------------------------------------------------------- */

struct doubts {
    unsigned rows, busy, crowded, unsteady, single, untested, missing, faults;
    uint64_t late;
    const struct record_row *worst; /* of the spreads */
};

static void
doubts_count(const struct page *page, struct doubts *doubts)
{
    const struct record *record = page->record;

    memset(doubts, 0, sizeof *doubts);
    for (size_t i = 0; i < record->row_count; i++) {
        const struct record_row *row = record->rows[i];
        doubts->faults += row->fault[0] != '\0';
        doubts->missing += row->missing[0] != '\0';
        if (!row_measured(row))
            continue;
        doubts->rows++;
        doubts->busy += row->busy;
        doubts->crowded += row->crowded;
        doubts->unsteady += row->unsteady;
        doubts->single += row->repeats == 1;
        doubts->untested += row->repeats < 4;
        doubts->late += row->late;
        if (doubts->worst == NULL || row->spread > doubts->worst->spread)
            doubts->worst = row;
    }
}

static void
doubts_of_run(struct page *page, const struct doubts *doubts)
{
    const struct record *record = page->record;

    if (record->faults != 0 || doubts->faults != 0)
        page_print(page,
                   "<li class=\"bad\"><b>An invariant was broken</b> (%u): a contender lost or "
                   "changed something. Its rows are marked.</li>",
                   record->faults != 0 ? record->faults : doubts->faults);
    if (record->partial)
        page_print(page,
                   "<li class=\"bad\"><b>Partial</b>: the run was interrupted; repeats or whole "
                   "rows are missing.</li>");
    if (doubts->missing != 0)
        page_print(page, "<li><b>%u row%s without a figure</b>; each says why.</li>",
                   doubts->missing, plural(doubts->missing));
    if (record->targets_open != 0)
        page_print(page, "<li><b>%u target%s without a figure</b> count as not met.</li>",
                   record->targets_open, plural(record->targets_open));
    if (doubts->late != 0)
        page_print(page,
                   "<li><b>%s operations were late</b>: scheduled, and not begun when the "
                   "measurement ended.</li>",
                   text_count(doubts->late).s);
}

static void
doubts_of_rows(struct page *page, const struct doubts *doubts)
{
    const struct record *record = page->record;
    unsigned rows = doubts->rows, processors = record->machine.processors;

    if (doubts->busy != 0 || record->machine.load_average > 0.5) {
        page_print(page, "<li><b>The machine was busy.</b> ");
        if (record->machine.load_average >= 0)
            page_print(page, "Its load average was %s before the start. ",
                       text_number(record->machine.load_average).s);
        page_print(page,
                   "Other processes took processor time that was needed in %u of %u "
                   "rows.</li>",
                   doubts->busy, rows);
    }
    if (doubts->crowded != 0)
        page_print(page,
                   "<li><b>More threads than processors</b> (%u) in %u of %u rows: threads "
                   "take turns there, and the scheduler is measured as well.</li>",
                   processors, doubts->crowded, rows);
    if (doubts->unsteady != 0)
        page_print(page,
                   "<li><b>A spread above %s</b> in %u of %u rows; the largest, %s, is that of "
                   "%s in %s%s%s. Measure longer, or more often.</li>",
                   text_share(RECORD_UNSTEADY).s, doubts->unsteady, rows,
                   text_share(doubts->worst->spread).s, doubts->worst->contender,
                   doubts->worst->workload, doubts->worst->threads != 0 ? " with " : "",
                   text_threads(doubts->worst->threads).s);
    if (doubts->single != 0)
        page_print(page,
                   "<li><b>One repeat only</b> in %u of %u rows: how far repeats would differ "
                   "is not known, so these are unclear.</li>",
                   doubts->single, rows);
    else if (doubts->untested != 0)
        page_print(page,
                   "<li><b>Fewer than 4 repeats</b> in %u of %u rows: too few to tell anything "
                   "apart, so these are unclear.</li>",
                   doubts->untested, rows);
    if (record->options.duration_s > 0 && record->options.duration_s < 0.2)
        page_print(page, "<li><b>Short measurements</b>: %s each.</li>",
                   text_duration(record->options.duration_s * 1e9).s);
}

static void
doubts_print(struct page *page, const struct doubts *doubts)
{
    const struct record *record = page->record;
    bool none = record->faults == 0 && doubts->faults == 0 && !record->partial &&
                doubts->missing == 0 && record->targets_open == 0 && doubts->late == 0 &&
                doubts->busy == 0 && record->machine.load_average <= 0.5 && doubts->crowded == 0 &&
                doubts->unsteady == 0 && doubts->untested == 0 && record->options.duration_s >= 0.2;
    page_print(page, "<h3>How far to trust it</h3>\n");
    if (none) {
        page_print(page,
                   "<p>The machine was idle, threads had processors of their own, and repeats "
                   "differ by no more than %s.</p>\n",
                   text_share(RECORD_UNSTEADY).s);
        return;
    }
    page_print(page, "<ul class=\"doubts\">");
    doubts_of_run(page, doubts);
    doubts_of_rows(page, doubts);
    page_print(page, "</ul>\n");
}

/* ---- at a glance ----------------------------------------------------------------------------- */

/* One row of dots for each workload with rivals. */
static bool
dots_collect(struct page *page, struct chart *chart, struct dots_row *rows, size_t *count)
{
    struct duel duel;
    size_t used = 0;
    double low = 0.4, high = 2.5;

    for (size_t i = 0; i < page->view_count; i++) {
        const struct view *view = &page->views[i];
        struct dots_row *row = &rows[*count];
        row->label = view->workload->name;
        row->series = &chart->series[used];
        for (size_t j = 0; j < view->contender_count; j++) {
            if (contender_is_ours(view->contenders[j]) || !duel_worst(page, view, j, &duel))
                continue;
            struct chart_series *series = &chart->series[used++];
            series->name = view->contenders[j];
            series->style = view->styles[j];
            series->count = 1;
            series->points[0].x = series->points[0].y = duel.ratio;
            low = fmin(low, duel.ratio / 1.2);
            high = fmax(high, duel.ratio * 1.2);
            row->count++;
        }
        *count += row->count > 0;
    }
    chart->x.logarithmic = true;
    chart->x.low = low;
    chart->x.high = high;
    chart->count = used;
    return used > 0;
}

/* Every rival once, with its swatch. */
static void
legend_print(struct page *page)
{
    page_print(page, "<ul class=\"legend\" aria-label=\"Rivals\">");
    for (size_t i = 0; i < page->view_count; i++) {
        const struct view *view = &page->views[i];
        for (size_t j = 0; j < view->contender_count; j++) {
            const char *name = view->contenders[j];
            bool seen = contender_is_ours(name) || !view->has_rates;
            for (size_t k = 0; k < i && !seen; k++)
                for (size_t l = 0; page->views[k].has_rates && l < page->views[k].contender_count;
                     l++)
                    seen = seen || strcmp(page->views[k].contenders[l], name) == 0;
            if (seen)
                continue;
            page_print(page, "<li>");
            page_swatch(page, view->styles[j]);
            page_print(page, "%s</li>", name);
        }
    }
    page_print(page, "</ul>\n");
}

static void
glance_chart(struct page *page)
{
    struct chart chart;
    struct dots_row *rows = calloc(page->view_count + 1, sizeof *rows);
    size_t series = 0, count = 0;

    for (size_t i = 0; i < page->view_count; i++)
        series += page->views[i].contender_count;
    if (rows == NULL || !chart_open(&chart, series, 1)) {
        page->complete = false;
        free(rows);
        return;
    }
    bool any = dots_collect(page, &chart, rows, &count);
    chart.title = "How many times as fast as each rival latchkey is";
    chart.of = "all workloads";
    chart.left = 150;
    if (any)
        chart_dots(page, &chart, rows, count, "latchkey is slower", "latchkey is faster");
    chart.count = series;
    chart_close(&chart);
    free(rows);
    if (any)
        legend_print(page);
}

/* "2 ahead, 1 behind" */
static void
counts_print(struct page *page, const struct match *match)
{
    static const char *const words[] = {"", "ahead", "level", "behind", "unclear"};
    bool first = true;

    for (size_t i = STANDING_AHEAD; i < STANDINGS; i++) {
        if (match->counts[i] == 0)
            continue;
        page_print(page, "%s%u %s", first ? "" : ", ", match->counts[i], words[i]);
        first = false;
    }
}

/* What is compared: the rate, or p99. */
static void
score_print(struct page *page, const struct view *view, const struct record_row *row)
{
    double score = row_score(page, row);

    if (page->by_rate)
        page_print(page, "%s", text_duration(score > 0 ? 1e9 / score : 0).s);
    else
        page_print(page, "%s %s", text_number(score / view->workload->scale).s,
                   view->workload->unit);
}

static void
glance_row(struct page *page, size_t number, const struct match *match)
{
    const struct view *view = &page->views[number];
    const struct duel *worst = &match->worst;

    page_print(page, "<tr><th scope=\"row\"><a href=\"#w%zu\">%s</a></th><td>", number,
               view->workload->name);
    if (worst->own != NULL && worst->own->threads != 0)
        page_print(page, "%u", worst->own->threads);
    page_print(page, "</td>");
    if (match->standing == STANDING_NONE) {
        page_print(page, "<td colspan=\"6\" class=\"words\">%s</td></tr>\n",
                   view->has_rates ? "no rival" : "figures of another kind, see there");
        return;
    }
    page_print(page, "<td>");
    score_print(page, view, worst->own);
    page_print(page, "</td><td class=\"words\">%s</td><td>", worst->rival->contender);
    score_print(page, view, worst->rival);
    page_print(page, "</td><td>%s ×</td><td class=\"words\">", text_ratio(worst->ratio).s);
    standing_print(page, match->standing, "");
    page_print(page, "</td><td class=\"words\">");
    counts_print(page, match);
    page_print(page, "</td></tr>\n");
}

static void
glance_print(struct page *page, const struct verdict *verdict)
{
    page_print(page,
               "<h3>At a glance</h3>\n<figure class=\"wide\">\n<figcaption>Each mark is one "
               "rival, at the number of threads with which latchkey does worst against it. Right "
               "of 1 × latchkey is %s, left of it the rival "
               "is.</figcaption>\n<div class=\"plot\">\n",
               page->by_rate ? "quicker (p99)" : "faster");
    glance_chart(page);
    figure_table(
        page,
        page->by_rate
            ? "The row of each workload in which latchkey does worst, by p99 at the fixed rate"
            : "The row of each workload in which latchkey does worst");
    page_print(page, "<thead><tr><th scope=\"col\">workload</th><th scope=\"col\">threads</th>"
                     "<th scope=\"col\">latchkey</th><th scope=\"col\" class=\"words\">rival</th>"
                     "<th scope=\"col\">the rival</th><th scope=\"col\">latchkey is</th>"
                     "<th scope=\"col\" class=\"words\">verdict</th><th scope=\"col\" "
                     "class=\"words\">all rows</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < page->view_count; i++)
        glance_row(page, i, &verdict->matches[i]);
    page_print(page, "</tbody>");
    figure_end(page);
}

void
part_verdict(struct page *page)
{
    struct verdict verdict;
    struct doubts doubts;

    page_print(page, "<section id=\"verdict\"><h2>Verdict</h2>\n");
    if (!verdict_open(&verdict, page)) {
        page->complete = false;
        return;
    }
    doubts_count(page, &doubts);
    headline_print(page, &verdict);
    tiles_print(page, &verdict);
    doubts_print(page, &doubts);
    if (page->view_count > 0)
        glance_print(page, &verdict);
    page_print(page, "</section>\n");
    free(verdict.matches);
}
