/* SPDX-License-Identifier: MIT
 *
 * Assertions of the adapter, which sees public headers only and so has its own. LKI_CHECK 0: none;
 * 1: LKI_LMDB_ASSERT; 2: also walks of the whole file (check.h). What an assertion says is true
 * whatever lies in the file: a damaged file is a status.
 */
#ifndef LKI_LMDB_ASSERT_H
#define LKI_LMDB_ASSERT_H

#ifndef LKI_CHECK
#define LKI_CHECK 0
#endif

#if LKI_CHECK > 0
#include <stdio.h>
#include <stdlib.h>
#define LKI_LMDB_ASSERT(condition)                                                            \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            fprintf(stderr, "%s:%d: assertion failed: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                          \
        }                                                                                     \
    } while (0)
#else
#define LKI_LMDB_ASSERT(condition) ((void)sizeof(condition))
#endif

#endif
