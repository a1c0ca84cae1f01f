/* SPDX-License-Identifier: MIT
 *
 * What the benchmark reads: a record that is anything. It is read or refused; what was read and is
 * written says the same once it is read again, to the last byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "record/record.h"

/* Read from a file, as there is no other way. */
static bool
text_read(struct record *record, const void *text, size_t size)
{
    char path[32];
    int fd = memfd_create("record", 0);
    if (fd < 0 || write(fd, text, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool good = record_read(record, path);
    close(fd);
    return good;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct record record, again;
    if (!text_read(&record, data, size))
        return 0;
    char *text = record_json_text(&record);
    if (text == NULL || !text_read(&again, text, strlen(text)))
        abort();
    char *same = record_json_text(&again);
    if (same == NULL || strcmp(text, same) != 0) {
        fprintf(stderr, "%s\n\nread again:\n%s\n", text, same != NULL ? same : "nothing");
        abort();
    }
    free(text);
    free(same);
    record_close(&record);
    record_close(&again);
    return 0;
}
