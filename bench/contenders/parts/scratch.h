/* SPDX-License-Identifier: MIT
 *
 * Folders for the contenders that keep their data in files: in memory (/dev/shm) where there is
 * one, else among the temporary files. Each is removed by scratch_remove, or when the process ends,
 * those of its children included.
 */
#ifndef BENCH_SCRATCH_H
#define BENCH_SCRATCH_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SCRATCH_PATH_MAX 256

struct scratch {
    char path[SCRATCH_PATH_MAX];
};

/* False: a folder could not be made. */
bool scratch_open(struct scratch *scratch);
void scratch_remove(const struct scratch *scratch);

#ifdef __cplusplus
}
#endif
#endif
