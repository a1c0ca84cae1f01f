/* SPDX-License-Identifier: MIT
 *
 * See output.h. What is no plain file (a pipe, /dev/stdout, a link) is written where it is.
 */
#include "record/output.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct output {
    FILE *file;       /* NULL: it could not be opened */
    const char *path; /* where it is to be */
    char beside[4096];
};

static bool
output_open(struct output *output, const char *path)
{
    struct stat status;
    bool plain = lstat(path, &status) == 0 ? S_ISREG(status.st_mode) : errno == ENOENT;
    int size =
        plain ? snprintf(output->beside, sizeof output->beside, "%s.%ld", path, (long)getpid()) : 0;

    output->path = path;
    output->file = NULL;
    if (size <= 0 || (size_t)size >= sizeof output->beside)
        output->beside[0] = '\0';
    else
        output->file = fopen(output->beside, "w");
    if (output->file == NULL) {
        /* A folder in which nothing can be made may hold a file that can be written. */
        output->beside[0] = '\0';
        output->file = fopen(path, "w");
    }
    return output->file != NULL;
}

/* Puts the file into its place if `good`, else takes it away. False: not there, and errno says why
 * (0: nobody knows). */
static bool
output_close(struct output *output, bool good)
{
    good = good && !ferror(output->file);
    good = fclose(output->file) == 0 && good;
    output->file = NULL;
    if (output->beside[0] == '\0')
        return good;
    if (good && rename(output->beside, output->path) == 0)
        return true;
    int why = errno;
    unlink(output->beside);
    errno = why;
    return false;
}

bool
output_write(const char *path, bool (*write)(FILE *file, const struct record *record),
             const struct record *record)
{
    struct output output;

    errno = 0;
    if (output_open(&output, path) && output_close(&output, write(output.file, record)))
        return true;
    fprintf(stderr, "latchkey-bench: %s: %s\n", path,
            errno != 0 ? strerror(errno) : "could not be written");
    return false;
}
