/* SPDX-License-Identifier: MIT
 *
 * The record as one HTML page that needs nothing but itself: no font, script, picture or style from
 * elsewhere, and a policy in its head that keeps browsers from asking. page.html is the template,
 * facts.c and tables.c what it says, page.js draws the charts from the record, which is in the page
 * as JSON. Verdict and tables are there without the script.
 */
#include "bench_page.h"
#include "page/tables.h"
#include "page/template.h"
#include "record/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text inside of a script: no name in it can end the element. */
static char *
script_safe(const char *text)
{
    char *safe = malloc(strlen(text) * 6 + 1), *to = safe;

    for (; safe != NULL && *text != '\0'; text++) {
        if (*text == '<')
            to = memcpy(to, "\\u003c", 6), to += 6;
        else
            *to++ = *text;
    }
    if (safe != NULL)
        *to = '\0';
    return safe;
}

static void
text_add(cJSON *root, const char *name, const unsigned char *text)
{
    cJSON_AddItemToObject(root, name, cJSON_CreateStringReference((const char *)text));
}

static bool
page_write(FILE *out, const struct record *record)
{
    cJSON *root = record_json(record);
    struct duel *duels = duels_fight(record);
    char *json = NULL, *safe = NULL;
    bool good = false;

    if (root != NULL && duels != NULL) {
        facts_judge(root, record, duels);
        json = cJSON_PrintUnformatted(root);
        safe = json != NULL ? script_safe(json) : NULL;
    }
    if (safe != NULL) {
        facts_tell(root, record, duels);
        tables_tell(root, record, duels);
        cJSON_AddItemToObject(root, "json", cJSON_CreateStringReference(safe));
        text_add(root, "style", page_css);
        text_add(root, "script", page_js);
        good = template_fill(out, (const char *)page_html, root);
    }
    cJSON_Delete(root);
    free(safe);
    free(json);
    free(duels);
    return good;
}

bool
report_html(const struct record *record, const char *path)
{
    return output_write(path, page_write, record);
}
