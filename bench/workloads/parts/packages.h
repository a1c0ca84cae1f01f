/* SPDX-License-Identifier: MIT
 *
 * Real data: the files that the machine's own packages installed, as dpkg lists them. Package is
 * pk, path is sk, the value is the checksum and a revision that updates count up. Partitions are as
 * large as packages are: 1 to 10,000 files and more.
 *
 * Invariants
 *   I1 files are sorted by package, then path, as a store sorts them; no two have the same key.
 *   I2 value = {32 digits of the checksum, revision}.
 */
#ifndef BENCH_PACKAGES_H
#define BENCH_PACKAGES_H

#include "driver/workload.h"

#include <string.h>

#define PACKAGES_CHECKSUM_SIZE 32
#define PACKAGES_VALUE_SIZE (PACKAGES_CHECKSUM_SIZE + 8)
#define PACKAGES_PREFIX "usr/share/doc/"

struct packages_file {
    lk_key key;
    const char *checksum;
    uint32_t first_doc, docs; /* of its package: the files under PACKAGES_PREFIX */
};

extern const struct bench_source packages_source;

/* [const] after packages_source.open */
extern const struct packages_file *packages_files;

/* Whether a value is the file's; `revision` is what it says. */
static inline bool
packages_proves(const struct packages_file *file, lk_bytes value, uint64_t *revision)
{
    if (value.size != PACKAGES_VALUE_SIZE ||
        memcmp(value.data, file->checksum, PACKAGES_CHECKSUM_SIZE) != 0)
        return false;
    memcpy(revision, (const char *)value.data + PACKAGES_CHECKSUM_SIZE, sizeof *revision);
    return true;
}

/* Writes a value into a buffer of PACKAGES_VALUE_SIZE. */
static inline lk_bytes
packages_value(const struct packages_file *file, uint64_t revision, char *buffer)
{
    lk_bytes value = {buffer, PACKAGES_VALUE_SIZE};

    memcpy(buffer, file->checksum, PACKAGES_CHECKSUM_SIZE);
    memcpy(buffer + PACKAGES_CHECKSUM_SIZE, &revision, sizeof revision);
    return value;
}

#endif
