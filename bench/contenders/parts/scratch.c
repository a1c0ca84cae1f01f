/* SPDX-License-Identifier: MIT
 *
 * Folders that live as long as a store, or as the process. Their names hold the number of the
 * process that began it all: the benchmark forks, and a child that ends leaves its folders behind.
 */
#include "contenders/parts/scratch.h"

#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FOLDERS_OPEN 16 /* descriptors of one removal */

static int first_process;

static const char *
parent_temporary(void)
{
    const char *folder = getenv("TMPDIR");

    return folder != NULL ? folder : "/tmp";
}

/* `rest`: what mkdtemp or glob make of the end of the name. False: the path is too long. */
static bool
path_write(char *path, const char *parent, const char *rest)
{
    int size =
        snprintf(path, SCRATCH_PATH_MAX, "%s/latchkey-bench-%d-%s", parent, first_process, rest);

    return size > 0 && size < SCRATCH_PATH_MAX;
}

static int
entry_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    (void)remove(path);
    return 0;
}

static void
folder_remove(const char *path)
{
    (void)nftw(path, entry_remove, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS);
}

static void
folders_remove(const char *parent)
{
    char pattern[SCRATCH_PATH_MAX];
    glob_t found;

    if (!path_write(pattern, parent, "*") || glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        folder_remove(found.gl_pathv[i]);
    globfree(&found);
}

static void
process_end(void)
{
    if ((int)getpid() != first_process)
        return;
    folders_remove("/dev/shm");
    folders_remove(parent_temporary());
}

__attribute__((constructor)) static void
process_begin(void)
{
    first_process = (int)getpid();
    (void)atexit(process_end);
}

bool
scratch_open(struct scratch *scratch)
{
    return (path_write(scratch->path, "/dev/shm", "XXXXXX") && mkdtemp(scratch->path) != NULL) ||
           (path_write(scratch->path, parent_temporary(), "XXXXXX") &&
            mkdtemp(scratch->path) != NULL);
}

void
scratch_remove(const struct scratch *scratch)
{
    folder_remove(scratch->path);
}
