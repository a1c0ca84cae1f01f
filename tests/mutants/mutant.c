/* SPDX-License-Identifier: MIT
 *
 * Which mutant is chosen, and who was asked for. It becomes a part of a copy of the library:
 * tests/mutants/run.
 *
 * LK_MUTANT         the number of the one that is chosen; none: none
 * LK_MUTANT_REACHED a file with a byte for each: those that are asked for become 1
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int lki_mutant(unsigned number);

static unsigned chosen;
static unsigned char *reached;
static size_t reached_size;

__attribute__((constructor)) static void
mutant_begin(void)
{
    const char *number = getenv("LK_MUTANT"), *file = getenv("LK_MUTANT_REACHED");
    struct stat status;
    if (number != NULL)
        chosen = (unsigned)strtoul(number, NULL, 10);
    int fd = file != NULL ? open(file, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0) {
        size_t size = (size_t)status.st_size;
        void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (bytes != MAP_FAILED) {
            reached = bytes;
            reached_size = size;
        }
    }
    close(fd);
}

/* No point of a schedule, and no race: the bytes only ever become 1. */
__attribute__((no_sanitize("thread"))) int
lki_mutant(unsigned number)
{
    if (number < reached_size && reached[number] == 0)
        reached[number] = 1;
    return number == chosen;
}
