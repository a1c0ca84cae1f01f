/* SPDX-License-Identifier: MIT
 *
 * The sites of audit.h: a table that all processes of the program share.
 */
#define _GNU_SOURCE
#include "schedule/audit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { SITES = 1 << 14, AS_IT_IS = -2 };

typedef struct audit_site {
    const void *where; /* NULL: none */
    enum report_kind kind;
    int order, weakened;
    uint64_t times;
} audit_site;

bool audit_is_on;
static audit_site *sites;

static audit_site *
site_find(const void *where)
{
    size_t place = (uintptr_t)where * UINT64_C(0x9e3779b97f4a7c15) >> 50;
    while (sites[place].where != NULL && sites[place].where != where)
        place = (place + 1) % SITES;
    if (sites[place].where == NULL)
        sites[place] = (audit_site){.where = where, .weakened = AS_IT_IS};
    return &sites[place];
}

int
audit_order_slow(enum report_kind kind, const void *where, int order)
{
    audit_site *site = site_find(where);
    site->kind = kind;
    site->order = order;
    site->times++;
    /* Of two accesses in one line only the one that is meant is so strong. */
    return site->weakened == AS_IT_IS || site->weakened > order ? order : site->weakened;
}

static void
weaken_parse(const char *text)
{
    unsigned long long address;
    int order, used;
    while (sscanf(text, "%llx:%d%n", &address, &order, &used) == 2) {
        /* NOLINTNEXTLINE: it was an address once */
        site_find((const void *)(uintptr_t)address)->weakened = order;
        text += used + (text[used] == ',');
    }
    if (*text != '\0')
        report_misuse("LK_AUDIT_WEAKEN: \"%s\"", text);
}

__attribute__((constructor)) static void
audit_open(void)
{
    const char *weaken = getenv("LK_AUDIT_WEAKEN");
    if (weaken == NULL && getenv("LK_AUDIT_SITES") == NULL)
        return;
    sites = mmap(NULL, SITES * sizeof *sites, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    if (sites == MAP_FAILED)
        abort();
    audit_is_on = true;
    if (weaken != NULL)
        weaken_parse(weaken);
}

__attribute__((destructor)) static void
audit_close(void)
{
    static const char *const kinds[] = {[REPORT_LOAD] = "load",
                                        [REPORT_STORE] = "store",
                                        [REPORT_CHANGE] = "change",
                                        [REPORT_FENCE] = "fence"};
    const char *path = getenv("LK_AUDIT_SITES");
    FILE *file = path != NULL && sites != NULL ? fopen(path, "w") : NULL;
    if (file == NULL)
        return;
    for (audit_site *site = sites; site < sites + SITES; site++)
        if (site->where != NULL)
            (void)fprintf(file, "%p %p %s %d %llu\n", site->where,
                          (const void *)((const char *)site->where - 1), kinds[site->kind],
                          site->order, (unsigned long long)site->times);
    (void)fclose(file);
}
