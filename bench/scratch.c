/* SPDX-License-Identifier: MIT
 *
 * Folders that live as long as a store, or as the process.
 */
#include "scratch.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDERS_OPEN 16 /* descriptors of one removal */

static pthread_mutex_t latch = PTHREAD_MUTEX_INITIALIZER;
static struct scratch *scratches;

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

/* Without the latch: a thread may have been stopped while it held it. */
static void
scratches_remove(void)
{
    for (struct scratch *scratch = scratches; scratch != NULL; scratch = scratch->next)
        if (scratch->owner == (int)getpid())
            folder_remove(scratch->path);
}

static bool
folder_make(struct scratch *scratch, const char *parent)
{
    int size = snprintf(scratch->path, sizeof scratch->path, "%s/latchkey-bench-XXXXXX", parent);

    return size > 0 && (size_t)size < sizeof scratch->path && mkdtemp(scratch->path) != NULL;
}

bool
scratch_open(struct scratch *scratch)
{
    static bool registered;
    const char *temporary = getenv("TMPDIR");

    if (!folder_make(scratch, "/dev/shm") &&
        !folder_make(scratch, temporary != NULL ? temporary : "/tmp"))
        return false;
    scratch->owner = (int)getpid();
    pthread_mutex_lock(&latch);
    if (!registered)
        registered = atexit(scratches_remove) == 0;
    scratch->next = scratches;
    scratches = scratch;
    pthread_mutex_unlock(&latch);
    return true;
}

void
scratch_remove(struct scratch *scratch)
{
    pthread_mutex_lock(&latch);
    struct scratch **place = &scratches;
    while (*place != NULL && *place != scratch)
        place = &(*place)->next;
    if (*place != NULL)
        *place = scratch->next;
    pthread_mutex_unlock(&latch);
    folder_remove(scratch->path);
}
