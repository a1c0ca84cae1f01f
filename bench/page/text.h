/* SPDX-License-Identifier: MIT
 *
 * Numbers as people like to read them, for the tables of the page. page.js has the same for charts.
 */
#ifndef BENCH_PAGE_TEXT_H
#define BENCH_PAGE_TEXT_H

#include <stdint.h>

/* One text of at most so many bytes, to be used before the full expression ends. */
struct text {
    char s[48];
};

struct text text_number(double number);     /* three digits: 8.15, 150, 1,460 */
struct text text_short(double number);      /* 7, 60, 1.5 M */
struct text text_count(uint64_t number);    /* all digits: 12,345,678 */
struct text text_ratio(double ratio);       /* 0.07, 1.41, 11.7 */
struct text text_share(double fraction);    /* 0.4 %, 79 % */
struct text text_duration(double ns);       /* 190 ns, 1.15 us, 3.78 ms */
struct text text_threads(unsigned threads); /* 1 thread, 2 threads; 0: nothing */
const char *plural(uint64_t count);         /* "" or "s" */

#endif
