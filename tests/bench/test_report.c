/* SPDX-License-Identifier: MIT
 *
 * How the page is written: numbers for people, templates, escapes. How it looks, and the fit of the
 * scalability law, is for tests/bench/report.
 */
#include "page/template.h"
#include "page/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NARROW "\u202f"

static void
test_text_numbers_have_three_digits(void **state)
{
    (void)state;
    assert_string_equal(text_number(0).s, "0");
    assert_string_equal(text_number(8.149).s, "8.15");
    assert_string_equal(text_number(9.996).s, "10.0");
    assert_string_equal(text_number(149.6).s, "150");
    assert_string_equal(text_number(1459.6).s, "1,460");
    assert_string_equal(text_number(NAN).s, "–");
    assert_string_equal(text_short(60).s, "60");
    assert_string_equal(text_short(1500000).s, "1.5" NARROW "M");
    assert_string_equal(text_count(12345678).s, "12,345,678");
    assert_string_equal(text_count(UINT64_MAX).s, "18,446,744,073,709,551,615");
    assert_string_equal(text_ratio(0.0671).s, "0.067");
    assert_string_equal(text_ratio(11.66).s, "11.7");
    assert_string_equal(text_share(0.05).s, "5" NARROW "%");
    assert_string_equal(text_share(1.866).s, "187" NARROW "%");
    assert_string_equal(text_duration(190).s, "190" NARROW "ns");
    assert_string_equal(text_duration(1148).s, "1.15" NARROW "µs");
    assert_string_equal(text_duration(2e10).s, "20" NARROW "s");
}

/* What becomes of a template with these values; NULL: it is not well formed. For free(). */
static char *
filled(const char *template, const char *json)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cJSON *value = cJSON_Parse(json);

    assert_non_null(out);
    assert_non_null(value);
    bool good = template_fill(out, template, value);
    fclose(out);
    cJSON_Delete(value);
    if (good)
        return text;
    free(text);
    return NULL;
}

static void
test_template_fills_texts_numbers_and_sections(void **state)
{
    static const struct {
        const char *template, *json, *text;
    } cases[] = {
        {"a {{b}} {{c.d}} {{none}}.", "{\"b\":\"x\",\"c\":{\"d\":1.5}}", "a x 1.5 ."},
        {"{{#l}}[{{n}}{{o}}]{{/l}}", "{\"o\":\"!\",\"l\":[{\"n\":1},{\"n\":2,\"o\":\"?\"}]}",
         "[1!][2?]"},
        {"{{#o}}{{a}}{{/o}}{{^o}}none{{/o}}", "{\"o\":{\"a\":7}}", "7"},
        {"{{#f}}yes{{/f}}{{^f}}no{{/f}}", "{\"f\":false}", "no"},
        {"{{#f}}yes{{/f}}{{^f}}no{{/f}}", "{\"f\":\"\"}", "no"},
        {"{{#f}}yes{{/f}}{{^f}}no{{/f}}", "{\"f\":0}", "no"},
        {"{{#f}}yes{{/f}}{{^f}}no{{/f}}", "{\"f\":[]}", "no"},
        {"{{#f}}yes {{f}}{{/f}}{{^f}}no{{/f}}", "{\"f\":3}", "yes 3"},
        {"{{#a}}{{#a}}x{{/a}}y{{/a}}", "{\"a\":true}", "xy"},
        {"} { }} {", "{}", "} { }} {"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = filled(cases[i].template, cases[i].json);
        assert_non_null(text);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

static void
test_template_texts_are_escaped_and_not_read_for_tags(void **state)
{
    char *text = filled("<b title=\"{{t}}\">{{&t}}</b>", "{\"t\":\"a\\\"b'c\\u0001{{t}}<&>\"}");

    (void)state;
    assert_non_null(text);
    assert_string_equal(text,
                        "<b title=\"a&quot;b&#39;c {{t}}&lt;&amp;&gt;\">a\"b'c\001{{t}}<&></b>");
    free(text);
}

static void
test_template_broken_is_refused(void **state)
{
    static const char *const broken[] = {
        "{{a", "{{#a}}x", "{{/a}}", "{{#a}}{{#b}}{{/a}}{{/b}}", "{{}}", "{{#a}}{{b{{/a}}"};

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_null(filled(broken[i], "{\"a\":true,\"b\":true}"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_numbers_have_three_digits),
        cmocka_unit_test(test_template_fills_texts_numbers_and_sections),
        cmocka_unit_test(test_template_texts_are_escaped_and_not_read_for_tags),
        cmocka_unit_test(test_template_broken_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
