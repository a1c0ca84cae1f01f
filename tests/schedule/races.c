/* SPDX-License-Identifier: MIT
 *
 * The shadows of races.h: a table without removal, whose entries are of a generation. 4 KiB of
 * memory lie in a row in it.
 */
#include "schedule/races.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_GRANULES = 512, PAGES = 2048 };

races_clock races_now[MEMORY_FIBERS];

static races_shadow shadows[PAGES * PAGE_GRANULES];
static uint32_t generation = 1;
static unsigned victim; /* which access of a full shadow goes next */

races_shadow *
races_find(uint64_t key, bool make)
{
    uint64_t page = ((key >> 12) * UINT64_C(0x9e3779b97f4a7c15)) >> 53;
    size_t place = (size_t)page * PAGE_GRANULES + (key >> 3) % PAGE_GRANULES;
    for (unsigned tries = 0; tries < PAGES; tries++) {
        races_shadow *shadow = &shadows[place];
        if (shadow->generation != generation) {
            if (!make)
                return NULL;
            memset(shadow, 0, sizeof(*shadow));
            shadow->key = key;
            shadow->generation = generation;
            return shadow;
        }
        if (shadow->key == key)
            return shadow;
        place = (place + PAGE_GRANULES) % (PAGES * PAGE_GRANULES);
    }
    schedule_fail("memory model: too many words");
    abort();
}

static const char *
kind_text(unsigned kind)
{
    static const char *const texts[] = {"read", "write", "atomic read", "atomic write"};
    return texts[kind & 3U];
}

/* FastTrack's rule: of the accesses that are ordered before this one, those that conflict with less
 * are forgotten. */
void
races_note(races_shadow *shadow, unsigned fiber, uint8_t mask, uint8_t kind)
{
    const races_clock *clock = &races_now[fiber];
    races_access *free_place = NULL;
    for (races_access *access = shadow->accesses; access < shadow->accesses + RACES_ACCESSES;
         access++) {
        if (access->mask == 0) {
            if (free_place == NULL)
                free_place = access;
            break;
        }
        bool own = access->fiber == fiber;
        if (own && access->epoch == clock->at[fiber] && access->kind == kind &&
            (mask & ~access->mask) == 0)
            return;
        bool ordered = own || access->epoch <= clock->at[access->fiber];
        bool conflict = ((access->kind | kind) & RACES_WRITE) != 0 &&
                        (access->kind & kind & RACES_ATOMIC) == 0 && (access->mask & mask) != 0;
        if (!ordered && conflict) {
            schedule_fail("data race at %#llx: %s by fiber %u, after %s by fiber %u",
                          (unsigned long long)shadow->key, kind_text(kind), fiber,
                          kind_text(access->kind), access->fiber);
            ordered = true; /* told once */
        }
        if (ordered && (access->mask & ~mask) == 0 &&
            (access->kind & RACES_WRITE) <= (kind & RACES_WRITE) &&
            (access->kind & RACES_ATOMIC) >= (kind & RACES_ATOMIC) && free_place == NULL)
            free_place = access;
    }
    if (free_place == NULL)
        free_place = &shadow->accesses[victim++ % RACES_ACCESSES];
    *free_place = (races_access){
        .epoch = clock->at[fiber], .fiber = (uint8_t)fiber, .mask = mask, .kind = kind};
}

void
races_reset(void)
{
    if (++generation == 0) {
        memset(shadows, 0, sizeof(shadows));
        generation = 1;
    }
    victim = 0;
    memset(races_now, 0, sizeof(races_now));
    for (unsigned i = 0; i < MEMORY_FIBERS; i++)
        races_now[i].at[i] = 1;
}
