/* SPDX-License-Identifier: MIT
 *
 * The record seen as one grid for each workload, and which style each contender has. See page.h.
 */
#include "driver/bench.h"
#include "page/chart.h"

#include <stdlib.h>
#include <string.h>

/* ---- rows ------------------------------------------------------------------------------------ */

bool
row_measured(const struct record_row *row)
{
    return row != NULL && row->repeats > 0 && row->median > 0;
}

double
row_least(const struct record_row *row)
{
    double least = row->rates[0];

    for (unsigned i = 1; i < row->repeats; i++)
        least = row->rates[i] < least ? row->rates[i] : least;
    return least;
}

double
row_most(const struct record_row *row)
{
    double most = row->rates[0];

    for (unsigned i = 1; i < row->repeats; i++)
        most = row->rates[i] > most ? row->rates[i] : most;
    return most;
}

bool
contender_is_ours(const char *name)
{
    const struct bench_contender *contender = bench_contender_find(name);

    return contender != NULL && contender->ours;
}

const struct record_row *
view_row(const struct view *view, size_t contender, unsigned threads)
{
    for (size_t i = 0; i < view->row_count; i++)
        if (view->rows[i]->threads == threads &&
            strcmp(view->rows[i]->contender, view->contenders[contender]) == 0)
            return view->rows[i];
    return NULL;
}

/* ---- one view -------------------------------------------------------------------------------- */

static bool
view_has(const struct view *view, const char *contender)
{
    for (size_t i = 0; i < view->contender_count; i++)
        if (strcmp(view->contenders[i], contender) == 0)
            return true;
    return false;
}

static void
view_threads_add(struct view *view, unsigned threads)
{
    size_t at = 0;

    while (at < view->thread_count && view->threads[at] < threads)
        at++;
    if (at < view->thread_count && view->threads[at] == threads)
        return;
    if (view->thread_count == sizeof view->threads / sizeof *view->threads)
        return;
    memmove(&view->threads[at + 1], &view->threads[at],
            (view->thread_count - at) * sizeof *view->threads);
    view->threads[at] = threads;
    view->thread_count++;
}

static void
view_row_add(struct view *view, const struct record_row *row)
{
    view->rows[view->row_count++] = row;
    if (!view_has(view, row->contender))
        view->contenders[view->contender_count++] = row->contender;
    view_threads_add(view, row->threads);
    view->has_rates = view->has_rates || row_measured(row);
    view->has_latencies = view->has_latencies || row->latency.total > 0;
    for (size_t i = 0; i < row->figure_count; i++) {
        view->has_contention = view->has_contention || row->figures[i].contention;
        view->has_figures = view->has_figures || !row->figures[i].contention;
    }
    view->has_targets = view->has_targets || row->target_count > 0;
    view->transacts = view->transacts || row->transacts;
    view->shared = view->shared || (row->threads > 1 && row->jain > 0);
}

static bool
view_open(struct view *view, const struct record *record, const struct record_workload *workload)
{
    size_t count = 0;

    memset(view, 0, sizeof *view);
    for (size_t i = 0; i < record->row_count; i++)
        count += strcmp(record->rows[i]->workload, workload->name) == 0;
    if (count == 0)
        return true;
    view->workload = workload;
    view->subject = workload->subject[0] != '\0' ? workload->subject : "latchkey";
    view->rows = calloc(count, sizeof *view->rows);
    view->contenders = calloc(count, sizeof *view->contenders);
    view->styles = calloc(count, sizeof *view->styles);
    if (view->rows == NULL || view->contenders == NULL || view->styles == NULL)
        return false;
    for (size_t i = 0; i < record->row_count; i++)
        if (strcmp(record->rows[i]->workload, workload->name) == 0)
            view_row_add(view, record->rows[i]);
    view->main_threads = view->threads[0];
    for (size_t i = 1; i < view->thread_count; i++)
        if (view->threads[i] <= record->machine.processors)
            view->main_threads = view->threads[i];
    return true;
}

/* ---- styles ---------------------------------------------------------------------------------- */

static unsigned *
style_of(const struct view *view, const char *contender)
{
    for (size_t i = 0; i < view->contender_count; i++)
        if (strcmp(view->contenders[i], contender) == 0)
            return &view->styles[i];
    return NULL;
}

/* Of the styles that none of the contender's company has, in any workload, the one with the fewest
 * owners. Styles of contenders that have none yet are PAGE_STYLES. */
static unsigned
style_choose(const struct page *page, const char *contender, const unsigned *owners)
{
    bool taken[PAGE_STYLES + 1] = {true}; /* the first is latchkey's */
    unsigned best = PAGE_STYLES, any = 1;

    if (strcmp(contender, "latchkey") == 0)
        return 0;
    for (size_t i = 0; i < page->view_count; i++) {
        const struct view *view = &page->views[i];
        for (size_t j = 0; view_has(view, contender) && j < view->contender_count; j++)
            taken[view->styles[j]] = true;
    }
    for (unsigned style = 1; style < PAGE_STYLES; style++) {
        if (!taken[style] && (best == PAGE_STYLES || owners[style] < owners[best]))
            best = style;
        if (owners[style] < owners[any])
            any = style;
    }
    return best != PAGE_STYLES ? best : any;
}

/* Gives the contenders of one view styles, on the whole page. */
static void
view_styles_choose(struct page *page, const struct view *view, unsigned *owners)
{
    for (size_t i = 0; i < view->contender_count; i++) {
        const char *contender = view->contenders[i];
        if (view->styles[i] != PAGE_STYLES)
            continue;
        unsigned style = style_choose(page, contender, owners);
        owners[style]++;
        for (size_t j = 0; j < page->view_count; j++) {
            unsigned *other = style_of(&page->views[j], contender);
            if (other != NULL)
                *other = style;
        }
    }
}

/* Those with rates first: they share a chart. */
static void
styles_choose(struct page *page)
{
    unsigned owners[PAGE_STYLES] = {0};

    for (size_t i = 0; i < page->view_count; i++)
        for (size_t j = 0; j < page->views[i].contender_count; j++)
            page->views[i].styles[j] = PAGE_STYLES;
    for (int rates = 1; rates >= 0; rates--)
        for (size_t i = 0; i < page->view_count; i++)
            if (page->views[i].has_rates == (rates == 1))
                view_styles_choose(page, &page->views[i], owners);
}

/* ---- all of them ----------------------------------------------------------------------------- */

bool
page_views_open(struct page *page)
{
    const struct record *record = page->record;

    page->views = calloc(record->workload_count + 1, sizeof *page->views);
    if (page->views == NULL)
        return false;
    for (size_t i = 0; i < record->workload_count; i++) {
        struct view *view = &page->views[page->view_count];
        bool good = view_open(view, record, &record->workloads[i]);
        page->view_count += view->workload != NULL;
        if (!good)
            return false;
    }
    styles_choose(page);
    return true;
}

void
page_views_close(struct page *page)
{
    for (size_t i = 0; i < page->view_count; i++) {
        free(page->views[i].rows);
        free(page->views[i].contenders);
        free(page->views[i].styles);
    }
    free(page->views);
}

/* ---- what stands around tables --------------------------------------------------------------- */

void
page_swatch(struct page *page, unsigned style)
{
    page_print(page,
               "<svg class=\"swatch s%u\" viewBox=\"0 0 28 12\" aria-hidden=\"true\">"
               "<path class=\"line\" d=\"M1 6H27\"/>",
               style);
    marker_print(page, style, 14, 6, 4);
    page_print(page, "</svg>");
}

void
page_contender(struct page *page, const struct view *view, size_t contender)
{
    const char *name = view->contenders[contender];
    bool strong = strcmp(name, view->subject) == 0;

    page_print(page, "<th scope=\"row\" class=\"who%s\" data-series=\"%s\">",
               strong ? " strong" : "", name);
    page_swatch(page, view->styles[contender]);
    page_print(page, "%s</th>", name);
}

void
figure_begin(struct page *page, const char *caption)
{
    page_print(page, "<figure class=\"pair\">\n<figcaption>%s</figcaption>\n<div class=\"plot\">\n",
               caption);
}

void
figure_table(struct page *page, const char *caption)
{
    page_print(page, "</div>\n");
    table_begin(page, caption);
}

void
figure_end(struct page *page)
{
    table_end(page);
    page_print(page, "</figure>\n");
}

/* The box scrolls where the table is wider than the page, by keys as well, and says so then: by the
 * style alone where the browser can tell, else by the page's script. */
void
table_begin(struct page *page, const char *caption)
{
    unsigned id = ++page->ids;

    page_print(page,
               "<div class=\"scroll\" role=\"group\" tabindex=\"0\" aria-labelledby=\"t%u\">"
               "<p class=\"more\" aria-hidden=\"true\">↔ This table scrolls.</p><table>\n<caption "
               "id=\"t%u\">%s</caption>\n",
               id, id, caption);
}

void
table_end(struct page *page)
{
    page_print(page, "</table></div>\n");
}

void
threads_head(struct page *page, const struct view *view, unsigned least)
{
    unsigned columns = 0;

    for (size_t i = 0; i < view->thread_count; i++)
        columns += view->threads[i] >= least;
    page_print(page,
               "<thead><tr><th scope=\"col\" rowspan=\"2\">contender</th><th scope=\"colgroup\" "
               "colspan=\"%u\" class=\"over\">threads</th></tr>\n<tr>",
               columns);
    for (size_t i = 0; i < view->thread_count; i++)
        if (view->threads[i] >= least)
            page_print(page, "<th scope=\"col\">%u%s</th>", view->threads[i],
                       view->threads[i] > page->record->machine.processors ? "*" : "");
    page_print(page, "</tr></thead>\n<tbody>\n");
}
