/* SPDX-License-Identifier: MIT
 *
 * The record as one HTML page that needs nothing but itself: no font, script, picture or style from
 * elsewhere, and a policy in its head that keeps browsers from asking. It is complete without
 * scripts; what page.js adds is comfort. The parts are beside it.
 */
#include "bench_page.h"
#include "page/parts.h"
#include "record/output.h"
#include "record/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the record, embedded -------------------------------------------------------------------- */

/* The white space that JSON does not need is left out; '<' cannot end the element early. */
static void
json_squeeze(const char *text, FILE *out)
{
    bool quoted = false, escaped = false;

    for (char c; (c = *text) != '\0'; text++) {
        if (!quoted && (c == ' ' || c == '\n' || c == '\t' || c == '\r'))
            continue;
        if (c == '"' && !escaped)
            quoted = !quoted;
        escaped = quoted && c == '\\' && !escaped;
        if (c == '<')
            fputs("\\u003c", out);
        else
            putc(c, out);
    }
}

/* The same JSON as --json writes. */
static bool
json_embed(struct page *page)
{
    char *text = record_json_text(page->record);

    page_print(page, "<script type=\"application/json\" id=\"record\">");
    if (text != NULL)
        json_squeeze(text, page->out);
    page_print(page, "</script>\n");
    free(text);
    return text != NULL;
}

/* ---- the page -------------------------------------------------------------------------------- */

static void
head_print(struct page *page)
{
    const struct record *record = page->record;

    page_print(page,
               "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
               "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
               "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
               "<meta name=\"color-scheme\" content=\"light dark\">\n"
               "<link rel=\"icon\" href=\"data:,\">\n<title>latchkey-bench, %s</title>\n<style>\n",
               record->date);
    fwrite(page_css, 1, sizeof page_css, page->out);
    page_print(page, "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the "
                     "report</a>\n");
}

static void
banner_print(struct page *page)
{
    const struct record *record = page->record;
    const struct record_machine *machine = &record->machine;

    page_print(page,
               "<header><h1>latchkey-bench</h1>\n<p>%s, %u processor%s, %s. latchkey %s%s%s. "
               "<time datetime=\"%s\">%s</time>.%s</p></header>\n",
               machine->processor, machine->processors, plural(machine->processors),
               machine->kernel, machine->library, machine->commit[0] != '\0' ? " at " : "",
               machine->commit, record->date, record->date,
               record->partial ? " Partial: interrupted." : "");
}

static void
contents_print(struct page *page)
{
    static const char *const signs[] = {"·", "▲", "=", "▼", "?"};
    static const char *const kinds[] = {"none", "ahead", "level", "behind", "unclear"};
    static const char *const words[] = {"", ", ahead", ", level", ", behind", ", unclear"};
    struct match match;

    page_print(page,
               "<nav aria-label=\"Contents\"><ul>\n<li><a href=\"#verdict\">Verdict</a></li>\n");
    if (page->record->baseline[0] != '\0')
        page_print(page, "<li><a href=\"#baseline\">Since the baseline</a></li>\n");
    page_print(page, "<li><span class=\"group\">Workloads</span><ul>\n");
    for (size_t i = 0; i < page->view_count; i++) {
        match_play(page, &page->views[i], &match);
        page_print(page,
                   "<li><a href=\"#w%zu\"><span class=\"stand %s\" aria-hidden=\"true\">%s</span> "
                   "%s<span class=\"heard\">%s</span></a></li>\n",
                   i, kinds[match.standing], signs[match.standing], page->views[i].workload->name,
                   words[match.standing]);
    }
    page_print(page, "</ul></li>\n<li><a href=\"#reading\">How to read it</a></li>\n<li><a "
                     "href=\"#machine\">Machine and command</a></li>\n<li><a href=\"#rows\">All "
                     "rows</a></li>\n</ul></nav>\n");
}

static bool
page_write(struct page *page)
{
    head_print(page);
    banner_print(page);
    page_print(page, "<div class=\"body\">\n");
    contents_print(page);
    page_print(page, "<main id=\"main\" tabindex=\"-1\">\n");
    part_verdict(page);
    part_baseline(page);
    for (size_t i = 0; i < page->view_count; i++)
        part_workload(page, &page->views[i], i);
    part_reading(page);
    part_machine(page);
    part_rows(page);
    page_print(page, "</main>\n</div>\n");
    bool good = json_embed(page);
    page_print(page, "<script>\n");
    fwrite(page_js, 1, sizeof page_js, page->out);
    page_print(page, "</script>\n</body>\n</html>\n");
    return good && page->complete && !ferror(page->out);
}

bool
report_html(const struct record *record, const char *path)
{
    struct page page = {.record = record, .by_rate = record->options.rate > 0, .complete = true};
    struct output output;
    bool good = page_views_open(&page);

    errno = good ? 0 : ENOMEM;
    if (good)
        good = output_open(&output, path);
    if (good) {
        page.out = output.file;
        good = output_close(&output, page_write(&page));
    }
    if (!good)
        fprintf(stderr, "latchkey-bench: %s: %s\n", path,
                errno != 0 ? strerror(errno) : "could not be written");
    page_views_close(&page);
    return good;
}
