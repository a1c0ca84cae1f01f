/* SPDX-License-Identifier: MIT
 *
 * The secret of the hash. Called when a store opens.
 */
#include "base/hash.h"

#include <errno.h>
#include <sys/random.h>

#include "base/cancel.h"

bool
lki_secret_draw(lki_secret *secret)
{
    unsigned char *to = (unsigned char *)secret;
    size_t left = sizeof *secret;
    int saved = errno;
    while (left > 0) {
        int before = lki_cancel_forbid();
        ssize_t got = getrandom(to, left, 0);
        lki_cancel_allow(before);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        to += got;
        left -= (size_t)got;
    }
    errno = saved;
    return left == 0;
}
