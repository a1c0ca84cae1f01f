/* SPDX-License-Identifier: MIT
 *
 * What stands around the workloads: the comparison with a baseline, how to read the page, the
 * contenders, the machine and the command, and all rows as one table.
 */
#include "driver/bench.h"
#include "page/chart.h"
#include "page/parts.h"
#include "record/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- baseline -------------------------------------------------------------------------------- */

#define BASELINE_DOTS 24 /* rows of the chart: those that changed most */

static const char *
verdict_word(enum record_verdict verdict)
{
    static const char *const words[] = {"not compared", "a rival",   "no rival", "too few repeats",
                                        "unclear",      "no change", "improved", "regressed"};

    return words[verdict];
}

static enum standing
verdict_standing(enum record_verdict verdict)
{
    return verdict == RECORD_IMPROVED    ? STANDING_AHEAD
           : verdict == RECORD_REGRESSED ? STANDING_BEHIND
           : verdict == RECORD_NO_CHANGE ? STANDING_LEVEL
           : verdict == RECORD_UNCLEAR   ? STANDING_UNCLEAR
                                         : STANDING_NONE;
}

/* Counts by verdict; returns how many rows were compared. */
static unsigned
baseline_count(const struct record *record, unsigned *counts)
{
    unsigned compared = 0;

    for (size_t i = 0; i < record->row_count; i++) {
        enum record_verdict verdict = record->rows[i]->comparison.verdict;
        counts[verdict]++;
        compared += verdict != RECORD_NOT_COMPARED;
    }
    return compared;
}

static int
change_compare(const void *left, const void *right)
{
    const struct record_row *a = *(const struct record_row *const *)left;
    const struct record_row *b = *(const struct record_row *const *)right;
    double x = fabs(a->comparison.difference), y = fabs(b->comparison.difference);

    return (x < y) - (x > y);
}

static void
baseline_dots(struct page *page, const struct record_row **rows, size_t count)
{
    struct chart chart;
    struct dots_row *dots = calloc(count + 1, sizeof *dots);
    char(*labels)[96] = calloc(count + 1, sizeof *labels);
    double low = 0.8, high = 1.25;

    if (dots == NULL || labels == NULL || !chart_open(&chart, count, 1)) {
        page->complete = false;
        free(dots);
        free(labels);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        double ratio = fmax(0.001, 1 + rows[i]->comparison.difference);
        snprintf(labels[i], sizeof labels[i], "%.16s, %.14s, %u", rows[i]->workload,
                 rows[i]->contender, rows[i]->threads);
        chart.series[i].name = rows[i]->contender;
        chart.series[i].points[0].x = ratio;
        chart.series[i].count = 1;
        for (size_t j = 0; j < page->view_count; j++)
            for (size_t k = 0; k < page->views[j].contender_count; k++)
                if (strcmp(page->views[j].contenders[k], rows[i]->contender) == 0)
                    chart.series[i].style = page->views[j].styles[k];
        dots[i] = (struct dots_row){labels[i], &chart.series[i], 1};
        low = fmin(low, ratio / 1.05);
        high = fmax(high, ratio * 1.05);
    }
    chart.title = "How many times as good as the baseline";
    chart.left = 240;
    chart.of = "rows with the largest changes";
    chart.x = (struct chart_axis){.logarithmic = true, .low = low, .high = high};
    chart_dots(page, &chart, dots, count, "worse", "better");
    chart_close(&chart);
    free(dots);
    free(labels);
}

static void
baseline_row(struct page *page, const struct record_row *row)
{
    const struct record_comparison *comparison = &row->comparison;
    const struct record_workload *workload = record_workload_find(page->record, row->workload);
    double scale = workload != NULL ? workload->scale : 1;

    page_print(page, "<tr><th scope=\"row\">%s</th><td class=\"words\">%s</td><td>%u</td>",
               row->workload, row->contender, row->threads);
    if (comparison->of_latency)
        page_print(page, "<td>%s (p99)</td>", text_duration(comparison->median).s);
    else
        page_print(page, "<td>%s %s</td>", text_number(comparison->median / scale).s,
                   workload != NULL ? workload->unit : "");
    page_print(page, "<td>%s%s</td><td>", comparison->difference > 0 ? "+" : "",
               text_share(comparison->difference).s);
    if (comparison->rivals != 0)
        page_print(page, "%s%s", comparison->against > 0 ? "+" : "",
                   text_share(comparison->against).s);
    page_print(page, "</td><td class=\"words\">");
    standing_print(page, verdict_standing(comparison->verdict), verdict_word(comparison->verdict));
    page_print(page, "</td></tr>\n");
}

static void
baseline_figure(struct page *page, const struct record_row **rows, size_t count)
{
    char caption[160];
    size_t shown = count < BASELINE_DOTS ? count : BASELINE_DOTS;

    qsort(rows, count, sizeof *rows, change_compare);
    snprintf(caption, sizeof caption,
             "One mark for each row, labelled with workload, contender and threads, the largest "
             "change first%s",
             shown < count ? "; the smaller ones are in the table only." : ".");
    page_print(page, "<figure class=\"wide\">\n<figcaption>%s</figcaption>\n<div class=\"plot\">\n",
               caption);
    baseline_dots(page, rows, shown);
    figure_table(page,
                 "Each row against the same one of the baseline: medians, difference (above 0 "
                 "is better), and what is left of it when the rivals' own change is taken out");
    page_print(page,
               "<thead><tr><th scope=\"col\">workload</th><th scope=\"col\">contender</th><th "
               "scope=\"col\">threads</th><th scope=\"col\">baseline</th><th "
               "scope=\"col\">difference</th><th scope=\"col\">against rivals</th><th "
               "scope=\"col\">verdict</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < count; i++)
        baseline_row(page, rows[i]);
    page_print(page, "</tbody>");
    figure_end(page);
}

void
part_baseline(struct page *page)
{
    const struct record *record = page->record;
    unsigned counts[RECORD_REGRESSED + 1] = {0};
    unsigned compared = baseline_count(record, counts);

    if (record->baseline[0] == '\0' && compared == 0)
        return;
    page_print(page,
               "<section id=\"baseline\"><h2>Since the baseline</h2>\n<p class=\"headline\">%u "
               "row%s of latchkey regressed, %u improved, %u show no change, %u are unclear",
               counts[RECORD_REGRESSED], plural(counts[RECORD_REGRESSED]), counts[RECORD_IMPROVED],
               counts[RECORD_NO_CHANGE], counts[RECORD_UNCLEAR]);
    if (counts[RECORD_TOO_FEW] != 0)
        page_print(page, ", %u have too few repeats to say", counts[RECORD_TOO_FEW]);
    if (counts[RECORD_NO_RIVAL] != 0)
        page_print(page, ", %u have no rival in both runs to say it by", counts[RECORD_NO_RIVAL]);
    page_print(page, ".</p>\n<p>The baseline is <code>%s</code>.</p>\n", record->baseline);
    const struct record_row **rows = calloc(record->row_count + 1, sizeof *rows);
    size_t count = 0;
    for (size_t i = 0; rows != NULL && i < record->row_count; i++)
        if (record->rows[i]->comparison.verdict != RECORD_NOT_COMPARED)
            rows[count++] = record->rows[i];
    if (rows == NULL)
        page->complete = false;
    else if (count > 0)
        baseline_figure(page, rows, count);
    free(rows);
    page_print(page, "</section>\n");
}

/* ---- how to read it -------------------------------------------------------------------------- */

static void
contenders_print(struct page *page)
{
    page_print(page, "<h3>Contenders</h3>\n");
    table_begin(page, "What was compared");
    page_print(
        page,
        "<thead><tr><th scope=\"col\">contender</th><th scope=\"col\" class=\"words\">what it "
        "is</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < page->view_count; i++) {
        const struct view *view = &page->views[i];
        for (size_t j = 0; j < view->contender_count; j++) {
            const struct bench_contender *known = bench_contender_find(view->contenders[j]);
            bool seen = !view->has_rates;
            for (size_t k = 0; k < i && !seen; k++)
                for (size_t l = 0; l < page->views[k].contender_count && !seen; l++)
                    seen = page->views[k].has_rates &&
                           strcmp(page->views[k].contenders[l], view->contenders[j]) == 0;
            if (seen)
                continue;
            page_print(page, "<tr><th scope=\"row\" class=\"who%s\">",
                       strcmp(view->contenders[j], "latchkey") == 0 ? " strong" : "");
            page_swatch(page, view->styles[j]);
            page_print(page, "%s</th><td class=\"words\">%s</td></tr>\n", view->contenders[j],
                       known != NULL ? known->what : "");
        }
    }
    page_print(page, "</tbody>");
    table_end(page);
}

void
part_reading(struct page *page)
{
    page_print(
        page,
        "<section id=\"reading\"><h2>How to read it</h2>\n<dl class=\"terms\">"
        "<div><dt>median, spread (±)</dt><dd>Repeats take turns between the contenders, so "
        "that a slow moment of the machine hits all alike. The spread is the distance of "
        "the fastest and the slowest repeat over the median.</dd></div>"
        "<div><dt>▲ = ▼ ?</dt><dd>The workload's subject is ahead, level, behind, or it is "
        "unclear. "
        "Ahead and behind need four repeats of both that do not overlap, and medians that "
        "differ by more than %s and by more than either spread. Level are medians closer than "
        "that whose spreads are below %s. All else is unclear. A workload is ahead where it is so "
        "against each rival with each number of threads.</dd></div>"
        "<div><dt>race, retry</dt><dd>A race is a commit that lost: its caller sees it, "
        "backs off and tries again. A retry happens inside the store.</dd></div>"
        "<div><dt>contention</dt><dd>A head conflict is a compare-and-swap of an item that another "
        "thread was faster with; an abort makes an end of another's commit that stands in the way; "
        "a commit is helped where another thread does its last step; a latch wait finds a latch "
        "or mutex held; a snapshot is a read that needed the clock; a claim collision is a job "
        "that another consumer claimed first; busy is a call that was refused for now, as "
        "readers hold memory back, and made again; retired bytes wait for readers to leave. Hot "
        "keys are counted by the benchmark for all alike, in tables of fixed size: so their "
        "parts have bounds.</dd></div>"
        "<div><dt>latency</dt><dd>Of one operation in each batch, so that the clock disturbs "
        "little, or, at a fixed rate, of every one from its intended start on; the clock's own 20 "
        "to 50 ns are included.</dd></div>"
        "<div><dt>busy</dt><dd>Other processes took more of the processors than the row's "
        "threads left idle.</dd></div>"
        "<div><dt>partial</dt><dd>The run was interrupted before all repeats of the row were "
        "done.</dd></div></dl>\n",
        text_share(STATISTICS_LEVEL).s, text_share(2 * STATISTICS_LEVEL).s);
    contenders_print(page);
    page_print(page, "</section>\n");
}

/* ---- machine and command --------------------------------------------------------------------- */

static void
fact_print(struct page *page, const char *name, const char *text)
{
    if (text[0] != '\0')
        page_print(page, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, text);
}

static void
facts_of_machine(struct page *page)
{
    const struct record_machine *machine = &page->record->machine;
    char text[320];

    fact_print(page, "processor", machine->processor);
    snprintf(text, sizeof text, "%u", machine->processors);
    fact_print(page, "processors", text);
    fact_print(page, "memory",
               machine->memory_bytes > 0 ? text_bytes((double)machine->memory_bytes).s : "");
    fact_print(page, "kernel", machine->kernel);
    fact_print(page, "load average before",
               machine->load_average >= 0 ? text_number(machine->load_average).s : "unknown");
    fact_print(page, "compiler", machine->compiler);
    fact_print(page, "flags", machine->flags);
    fact_print(page, "allocator", machine->allocator);
    fact_print(page, "Concurrency Kit", machine->ck);
    snprintf(text, sizeof text, "%s%s%s", machine->library, machine->commit[0] != '\0' ? ", " : "",
             machine->commit);
    fact_print(page, "latchkey, commit", text);
}

static void
facts_of_options(struct page *page)
{
    const struct record_options *options = &page->record->options;
    char text[160];

    fact_print(page, "workloads", options->workloads[0] != '\0' ? options->workloads : "default");
    fact_print(page, "contenders",
               options->contenders[0] != '\0' ? options->contenders : "each workload's");
    fact_print(page, "threads", options->threads[0] != '\0' ? options->threads : "each workload's");
    fact_print(page, "keys", text_count(options->keys).s);
    snprintf(text, sizeof text, "%s bytes", text_count(options->value_size).s);
    fact_print(page, "size of a value", text);
    fact_print(page, "distribution",
               options->distribution[0] != '\0' ? options->distribution : "each workload's");
    snprintf(text, sizeof text, "%u of %s after %s of warm-up", options->repeats,
             text_duration(options->duration_s * 1e9).s, text_duration(options->warmup_s * 1e9).s);
    fact_print(page, "repeats", text);
    if (options->rate > 0) {
        snprintf(text, sizeof text, "%s operations per second", text_number(options->rate).s);
        fact_print(page, "rate", text);
    }
    fact_print(page, "threads to processors", options->pin);
    fact_print(page, "rates per second of", options->time);
    snprintf(text, sizeof text, "%llu", (unsigned long long)options->seed);
    fact_print(page, "seed", text);
}

/* The command's options: without its first word, which may stand in quotes. */
static const char *
command_options(const char *command)
{
    if (*command == '\'')
        command += 1 + strcspn(command + 1, "'");
    return command + strcspn(command, " ");
}

void
part_machine(struct page *page)
{
    const struct record *record = page->record;

    page_print(page,
               "<section id=\"machine\"><h2>Machine and command</h2>\n<p>This measures the same "
               "again, from the top of the source tree%s%s:</p>\n"
               "<pre class=\"command\" tabindex=\"0\"><code>sh bench/run%s</code></pre>\n",
               record->machine.commit[0] != '\0' ? " at commit " : "", record->machine.commit,
               command_options(record->command));
    page_print(page,
               "<div class=\"columns\"><div><h3>Machine and build</h3>\n<dl class=\"facts\">\n");
    facts_of_machine(page);
    page_print(page, "</dl></div>\n<div><h3>Options</h3>\n<dl class=\"facts\">\n");
    facts_of_options(page);
    fact_print(page, "started", record->date);
    fact_print(page, "took", text_duration(record->elapsed_s * 1e9).s);
    page_print(page, "</dl></div></div></section>\n");
}

/* ---- all rows -------------------------------------------------------------------------------- */

static void
notes_print(struct page *page, const struct record_row *row)
{
    const struct {
        bool holds;
        const char *text;
    } notes[] = {
        {row->fault[0] != '\0', row->fault}, {row->missing[0] != '\0', row->missing},
        {row->partial, "partial"},           {row->crowded, "more threads than processors"},
        {row->unsteady, "unsteady"},         {row->busy, "busy"}};
    bool first = true;

    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        if (!notes[i].holds)
            continue;
        page_print(page, "%s%s", first ? "" : ", ", notes[i].text);
        first = false;
    }
}

static void
row_print(struct page *page, const struct record_row *row)
{
    const struct histogram *latency = &row->latency;
    bool measured = row_measured(row);

    page_print(page,
               "<tr><th scope=\"row\">%s</th><td class=\"words\">%s</td><td>%u</td><td "
               "class=\"words\">%s</td><td>%u / %u</td>",
               row->workload, row->contender, row->threads, row->distribution, row->repeats,
               row->planned);
    if (measured)
        page_print(page, "<td>%.0f</td><td>%.0f</td><td>%.0f</td><td>%.1f</td>", row->median,
                   row_least(row), row_most(row), row->spread * 100);
    else
        page_print(page, "<td></td><td></td><td></td><td></td>");
    if (row->ratio > 0)
        page_print(page, "<td>%.3f</td>", row->ratio);
    else
        page_print(page, "<td></td>");
    if (latency->total > 0)
        page_print(page, "<td>%llu</td><td>%llu</td><td>%llu</td><td>%llu</td>",
                   (unsigned long long)histogram_percentile(latency, 0.5),
                   (unsigned long long)histogram_percentile(latency, 0.99),
                   (unsigned long long)histogram_percentile(latency, 0.999),
                   (unsigned long long)latency->maximum);
    else
        page_print(page, "<td></td><td></td><td></td><td></td>");
    if (row->transacts)
        page_print(page, "<td>%llu</td><td>%llu</td><td>%llu</td>",
                   (unsigned long long)row->commits, (unsigned long long)row->races,
                   (unsigned long long)row->retries);
    else
        page_print(page, "<td></td><td></td><td></td>");
    if (row->jain > 0)
        page_print(page, "<td>%.4f</td><td>%.4f</td>", row->jain, row->slowest);
    else
        page_print(page, "<td></td><td></td>");
    page_print(page, "<td class=\"words\">");
    notes_print(page, row);
    page_print(page, "</td></tr>\n");
}

void
part_rows(struct page *page)
{
    static const char *const heads[] = {
        "workload", "contender", "threads",       "distribution", "repeats", "median/s", "least/s",
        "most/s",   "spread %",  "latchkey is ×", "p50 ns",       "p99 ns",  "p99.9 ns", "max ns",
        "commits",  "races",     "retries",       "Jain",         "slowest", "notes"};
    const struct record *record = page->record;

    page_print(page, "<section id=\"rows\"><h2>All rows</h2>\n<p>The whole record, repeats and "
                     "histograms included, is in this page as JSON, in the element "
                     "<code>#record</code>.</p>\n");
    table_begin(page, "Each workload, contender and number of threads; rates are operations per "
                      "second");
    page_print(page, "<thead><tr>");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        page_print(page, "<th scope=\"col\">%s</th>", heads[i]);
    page_print(page, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < record->row_count; i++)
        row_print(page, record->rows[i]);
    page_print(page, "</tbody>");
    table_end(page);
    page_print(page, "</section>\n");
}
