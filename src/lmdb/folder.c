/* SPDX-License-Identifier: MIT
 *
 * See folder.h. Called when a database is opened.
 *
 * Locks of fcntl end when any descriptor of the file is closed by the process. So lock.mdb, which
 * LMDB locks that way, is closed here before LMDB opens it, and not opened afterwards.
 */
#define _GNU_SOURCE /* fallocate */
#include "lmdb/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lmdb/pages.h"
#include "lmdb/status.h"

enum {
    PATH_ROOM = 4096,
    LINE = 64,    /* of a reader in lock.mdb */
    FRONT = 8,    /* lines before the first one: LMDB has 2, the rest is for other versions */
    UNIT = 4096,  /* lock.mdb is a multiple of this */
    NEW_PAGES = 8 /* what a new database has, and as much again */
};

/* "path/name". False: no such place, the system's paths are shorter. */
static bool
path_join(char *file, const char *path, const char *name)
{
    size_t size = strlen(path), more = strlen(name) + 1;
    if (size + 1 + more > PATH_ROOM)
        return false;
    memcpy(file, path, size);
    file[size] = '/';
    memcpy(file + size + 1, name, more);
    return true;
}

/* Opens a file of the folder; makes it where it is missing, for its owner only, whatever the umask
 * allows. */
static lk_status
file_open(const char *path, const char *name, int *fd)
{
    char file[PATH_ROOM];
    struct stat about;
    if (!path_join(file, path, name))
        return LK_UNAVAILABLE;
    *fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
    if (*fd < 0)
        return lki_lmdb_status(errno);
    if (fstat(*fd, &about) == 0 && S_ISREG(about.st_mode))
        return LK_OK;
    close(*fd);
    *fd = -1;
    return LK_UNAVAILABLE;
}

/* Takes room on the disk for the first `size` bytes. A file system that cannot promise any is used
 * as it is. */
static lk_status
room_take(int fd, int mode, size_t size)
{
    int failed;
    do
        failed = fallocate(fd, mode, 0, (off_t)size);
    while (failed != 0 && errno == EINTR);
    return failed == 0 || errno == EOPNOTSUPP || errno == ENOSYS ? LK_OK : lki_lmdb_status(errno);
}

/* ---- lock.mdb ---- */

/* Has no other process lock.mdb open? Then its size is ours to choose, else it is theirs. */
static bool
table_is_free(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    return fcntl(fd, F_SETLK, &lock) == 0;
}

static lk_status
table_reserve(const char *path, unsigned readers)
{
    int fd;
    struct stat about;
    size_t size = ((size_t)(FRONT + readers) * LINE + UNIT - 1) / UNIT * UNIT;
    lk_status status = file_open(path, "lock.mdb", &fd);
    if (status != LK_OK)
        return status;
    bool ours = table_is_free(fd);
    if (fstat(fd, &about) != 0)
        status = lki_lmdb_status(errno);
    else if (ours && (size_t)about.st_size > size && ftruncate(fd, (off_t)size) != 0)
        status = lki_lmdb_status(errno);
    else if (!ours)
        size = (size_t)about.st_size;
    if (status == LK_OK && size != 0)
        status = room_take(fd, ours ? 0 : FALLOC_FL_KEEP_SIZE, size);
    close(fd);
    return status;
}

/* ---- data.mdb ---- */

/* Looks at data.mdb. A database that was never made to the end is made anew; there has to be room
 * for it. */
static lk_status
data_check(const char *path)
{
    int fd;
    bool is_new = false;
    lk_status status = file_open(path, "data.mdb", &fd);
    if (status != LK_OK)
        return status;
    status = lki_lmdb_pages_check(fd, &is_new);
    if (status == LK_OK && is_new) {
        long page_size = sysconf(_SC_PAGESIZE);
        if (ftruncate(fd, 0) != 0)
            status = lki_lmdb_status(errno);
        else
            status = room_take(fd, FALLOC_FL_KEEP_SIZE, (size_t)page_size * NEW_PAGES);
    }
    close(fd);
    return status;
}

/* ---- the folder ---- */

lk_status
lki_lmdb_folder_take(const char *path, unsigned readers, int *lock_fd)
{
    *lock_fd = -1;
    if (*path == 0)
        return LK_INVALID;
    if (strlen(path) >= PATH_ROOM)
        return LK_UNAVAILABLE;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return lki_lmdb_status(errno);
    lk_status status = file_open(path, "latchkey.lock", lock_fd);
    if (status != LK_OK)
        return status;
    if (flock(*lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? LK_BUSY : lki_lmdb_status(errno);
    status = table_reserve(path, readers);
    return status == LK_OK ? data_check(path) : status;
}
