/* SPDX-License-Identifier: MIT
 *
 * Does files.c keep the contract? Works in the folder "files.conformance", beside it.
 */
#define _XOPEN_SOURCE 700
#include <ftw.h>
#include <stdio.h>

#include <latchkey/conformance.h>

#include "files.h"

static int
entry_remove(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about, (void)kind, (void)where;
    return remove(path);
}

static lk_status
open_files(void *folder, const lk_conformance_setup *setup, lk_db **db)
{
    if (!setup->reopen)
        (void)nftw(folder, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
    return files_open(folder, setup->realtime_ms, setup->clock_context, db);
}

int
main(int argc, char **argv)
{
    char folder[] = "files.conformance";
    const lk_conformance suite = {.name = "files", .open = open_files, .context = folder};
    int failed = lk_conformance_main(&suite, argc, argv);
    (void)nftw(folder, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
    return failed;
}
