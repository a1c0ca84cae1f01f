/* SPDX-License-Identifier: MIT
 *
 * See output.h. What is no plain file (a pipe, /dev/stdout, a link) is written where it is.
 */
#include "record/output.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

bool
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

bool
output_close(struct output *output, bool good)
{
    if (output->file == NULL)
        return false;
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
