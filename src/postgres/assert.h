/* SPDX-License-Identifier: MIT
 *
 * Assertions of the adapter, which sees public headers only and so has its own. What an assertion
 * says is true whatever the server answers: a server that errs is a status.
 */
#ifndef LKI_PG_ASSERT_H
#define LKI_PG_ASSERT_H

#ifndef LKI_CHECK
#define LKI_CHECK 0
#endif

#if LKI_CHECK > 0
#include <stdio.h>
#include <stdlib.h>
#define LKI_PG_ASSERT(condition)                                                              \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            fprintf(stderr, "%s:%d: assertion failed: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                          \
        }                                                                                     \
    } while (0)
#else
#define LKI_PG_ASSERT(condition) ((void)sizeof(condition))
#endif

#endif
