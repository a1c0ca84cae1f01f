/* SPDX-License-Identifier: MIT
 *
 * A template filled from a JSON value, after Mustache:
 *
 *     {{name}}                     the text or number, escaped for HTML; or nothing
 *     {{&name}}                    the same, as it is
 *     {{#name}} ... {{/name}}      for each element of an array, once for an object, both seen from
 *                                  inside; once where it is true, a text that is not empty, not 0
 *     {{^name}} ... {{/name}}      once where the section above would not be there
 *
 * A name is looked for in the innermost object first; a.b is b in a. Texts are not read for tags.
 */
#ifndef BENCH_PAGE_TEMPLATE_H
#define BENCH_PAGE_TEMPLATE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

/* False: the template is not well formed. */
bool template_fill(FILE *out, const char *text, const cJSON *value);

#endif
