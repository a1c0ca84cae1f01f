/* SPDX-License-Identifier: MIT
 *
 * The board lies in memory that processes share: what a schedule has noted is there even when it
 * crashes.
 */
#define _GNU_SOURCE
#include "schedule/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "schedule/engine.h"

enum { FRAMES_SHOWN = 4, LINE = 512, LOOKED_UP = 200 };

report_board *report;
bool report_records;
void (*report_ended)(void);
const void *report_last;

void
report_open(void)
{
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (report == MAP_FAILED) {
        fputs("no memory for reports\n", stderr);
        exit(2);
    }
}

/* ---- while a schedule runs ---- */

/* The callers, by the chain of frames. */
static void
frames_note(const void **to)
{
    uintptr_t *frame = __builtin_frame_address(0);
    uintptr_t low = engine.stack_low;
    for (int i = 0; i < REPORT_FRAMES && engine.current != 0; i++) {
        if ((uintptr_t)frame - low >= ENGINE_STACK - 16 || frame[1] == 0)
            break;
        to[i] = (const void *)frame[1];
        frame = (uintptr_t *)frame[0];
    }
}

static report_event *
event_new(report_kind kind)
{
    if (report->events >= REPORT_EVENTS)
        return NULL;
    report_event *event = &report->event[report->events++];
    memset(event, 0, sizeof *event);
    event->kind = (uint8_t)kind;
    event->fiber = engine.current;
    event->count = engine.count;
    return event;
}

void
report_point(report_kind kind, const volatile void *p, size_t size, const void *where)
{
    report_event *event = event_new(kind);
    if (event == NULL)
        return;
    event->address = (uintptr_t)p;
    event->size = size;
    event->frame[0] = where;
    if (kind != REPORT_SYNC && p != NULL)
        memcpy(&event->value, (const void *)(uintptr_t)p, size < 8 ? size : 8);
}

void
report_switch_slow(uint32_t next)
{
    report_event *event = event_new(REPORT_SWITCH);
    if (event == NULL)
        return;
    event->next = next;
    frames_note(event->frame);
}

void schedule_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void
schedule_note(const char *format, ...)
{
    report_event *event = report_records ? event_new(REPORT_NOTE) : NULL;
    if (event == NULL)
        return;
    va_list rest;
    va_start(rest, format);
    vsnprintf(event->text, sizeof event->text, format, rest);
    va_end(rest);
}

void
report_place(const void *where)
{
    report->where = where;
}

void
schedule_fail(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    vsnprintf(report->message, sizeof report->message, format, rest);
    va_end(rest);
    report->failed = true;
    report->points += engine_steps();
    if (report_records) {
        report_event *event = event_new(REPORT_FAILURE);
        if (event != NULL)
            frames_note(event->frame);
    }
    if (report_ended != NULL)
        report_ended();
    _exit(1);
}

void
report_misuse(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    vfprintf(stderr, format, rest);
    fputc('\n', stderr);
    va_end(rest);
    _exit(2);
}

/* ---- the history ---- */

typedef struct place {
    const void *address;
    char text[400]; /* functions and lines, the inner one first */
    bool is_runtime;
} place;

static place *places;
static size_t place_count;

static place *
place_of(const void *address)
{
    for (size_t i = 0; i < place_count; i++)
        if (places[i].address == address)
            return &places[i];
    return NULL;
}

static void
place_add(const void *address)
{
    if (address == NULL || place_of(address) != NULL)
        return;
    place *more = realloc(places, (place_count + 1) * sizeof *places);
    if (more == NULL)
        return;
    places = more;
    places[place_count++] = (place){.address = address, .text = ""};
}

static bool
file_is_runtime(const char *file)
{
    static const char *const stems[] = {"engine.", "points.", "policy.", "threads.", "clock.",
                                        "heap.",   "report.", "fiber.",  "memory.",  "main."};
    const char *base = strrchr(file, '/') + 1;
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++)
        if (strncmp(file, "schedule/", 9) == 0 && strncmp(base, stems[i], strlen(stems[i])) == 0)
            return true;
    return false;
}

/* "function at FILE:LINE", as addr2line -p prints it; the file without its folders but one. */
static void
place_set(place *to, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *file = strstr(line, " at "), *more = strstr(line, " (discriminator");
    if (more != NULL)
        *more = '\0';
    char *name = file != NULL ? strrchr(file, '/') : NULL;
    if (name == NULL)
        return;
    *file = '\0';
    while (name > file + 4 && name[-1] != '/')
        name--;
    size_t used = strlen(to->text);
    to->is_runtime |= file_is_runtime(name);
    snprintf(to->text + used, sizeof to->text - used, "%s%.60s %.60s", used == 0 ? "" : " <- ",
             line, name);
}

/* The answer to an address is a line, and one for each function that it is inlined into. */
static void
places_look_up(const char *program)
{
    static const char inlined[] = " (inlined by) ";
    for (size_t from = 0; from < place_count; from += LOOKED_UP) {
        char command[LINE + LOOKED_UP * 20], line[LINE];
        int used = snprintf(command, LINE, "addr2line -a -f -p -i -e '%s'", program);
        size_t to = from + LOOKED_UP < place_count ? from + LOOKED_UP : place_count;
        for (size_t i = from; i < to; i++)
            used += snprintf(command + used, 20, " %lx",
                             (unsigned long)((uintptr_t)places[i].address - 1));
        FILE *answers = popen(command, "r");
        size_t at = from - 1;
        while (answers != NULL && fgets(line, sizeof line, answers)) {
            bool more = strncmp(line, inlined, sizeof inlined - 1) == 0;
            char *text = more ? line + sizeof inlined - 1 : strstr(line, ": ");
            at += !more;
            if (text != NULL && at < to)
                place_set(&places[at], text + (more ? 0 : 2));
        }
        if (answers != NULL)
            pclose(answers);
    }
}

static void
frames_print(const report_event *event)
{
    int shown = 0;
    for (int i = 0; i < REPORT_FRAMES && event->frame[i] != NULL && shown < FRAMES_SHOWN; i++) {
        const place *at = place_of(event->frame[i]);
        if (at != NULL && !at->is_runtime && at->text[0] != '\0')
            printf("%s%s", shown++ == 0 ? "  " : " <- ", at->text);
    }
    putchar('\n');
}

static void
event_print(const report_event *event)
{
    static const char *const names[] = {"read",  "write", "load",   "store", "change",
                                        "fence", "sync",  "switch", "note",  "failure"};
    printf("  %u %6u  ", event->fiber, event->count);
    switch (event->kind) {
    case REPORT_NOTE:
        printf("%s\n", event->text);
        break;
    case REPORT_SWITCH:
        if (event->next == 0)
            printf("all have ended");
        else
            printf("-> %u", event->next);
        frames_print(event);
        break;
    case REPORT_FAILURE:
        printf("fails");
        frames_print(event);
        break;
    default:
        printf("%-6s %#lx, %lu bytes, %#llx", names[event->kind], (unsigned long)event->address,
               (unsigned long)event->size, (unsigned long long)event->value);
        frames_print(event);
        break;
    }
}

void
report_print(const char *program)
{
    for (uint32_t i = 0; i < report->events; i++)
        for (int j = 0; j < REPORT_FRAMES; j++)
            place_add(report->event[i].frame[j]);
    place_add(report->where);
    places_look_up(program);
    printf("  fiber, its point, what\n");
    for (uint32_t i = 0; i < report->events; i++)
        event_print(&report->event[i]);
    if (report->where != NULL && place_of(report->where) != NULL)
        printf("  at %s\n", place_of(report->where)->text);
}
