/* SPDX-License-Identifier: MIT
 *
 * Numbers as people like to read them. See text.h.
 */
#include "page/text.h"

#include <math.h>
#include <stdio.h>

#define NARROW "\u202f" /* a narrow space that does not break, between a number and its unit */

struct text
text_count(uint64_t number)
{
    char digits[24];
    struct text text = {""};
    size_t used = 0;
    int size = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);

    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            text.s[used++] = ',';
        text.s[used++] = digits[i];
    }
    return text;
}

struct text
text_number(double number)
{
    struct text text = {""};
    double size = fabs(number);

    if (!isfinite(number))
        snprintf(text.s, sizeof text.s, "–");
    else if (size >= 999.5 && size < 1e18) {
        snprintf(text.s, sizeof text.s, "%s%.24s", number < 0 ? "−" : "",
                 text_count((uint64_t)(size + 0.5)).s);
    } else {
        int digits = size >= 99.95    ? 0
                     : size >= 9.995  ? 1
                     : size >= 0.9995 ? 2
                     : size >= 0.1    ? 3
                                      : -1;
        if (size == 0)
            digits = 0;
        if (digits >= 0)
            snprintf(text.s, sizeof text.s, "%.*f", digits, number);
        else
            snprintf(text.s, sizeof text.s, "%.2g", number);
    }
    return text;
}

struct text
text_ratio(double ratio)
{
    struct text text;

    if (ratio < 0.0995)
        snprintf(text.s, sizeof text.s, "%.2g", ratio);
    else
        snprintf(text.s, sizeof text.s, "%.*f", ratio >= 99.5 ? 0 : ratio >= 9.95 ? 1 : 2, ratio);
    return text;
}

struct text
text_short(double number)
{
    static const char *const units[] = {"", NARROW "k", NARROW "M", NARROW "G", NARROW "T"};
    struct text text;
    size_t unit = 0;

    if (!isfinite(number) || (number >= 999.5 && number < 9999.5))
        return text_number(number);
    for (; number >= 999.5 && unit < 4; unit++)
        number /= 1000;
    snprintf(text.s, sizeof text.s, "%.3g%s", number, units[unit]);
    return text;
}

struct text
text_share(double fraction)
{
    struct text text;
    double percent = isfinite(fraction) ? fraction * 100 : 0;

    if (fabs(percent) >= 9.95)
        snprintf(text.s, sizeof text.s, "%.0f" NARROW "%%", percent);
    else
        snprintf(text.s, sizeof text.s, "%.2g" NARROW "%%", percent);
    return text;
}

struct text
text_duration(double ns)
{
    static const char *const units[] = {"ns", "µs", "ms", "s"};
    struct text text;
    size_t unit = 0;

    for (; ns >= 999.5 && unit < 3; unit++)
        ns /= 1000;
    snprintf(text.s, sizeof text.s, "%.32s" NARROW "%s", text_short(ns).s, units[unit]);
    return text;
}

struct text
text_threads(unsigned threads)
{
    struct text text = {""};

    if (threads != 0)
        snprintf(text.s, sizeof text.s, "%u thread%s", threads, plural(threads));
    return text;
}

const char *
plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}
