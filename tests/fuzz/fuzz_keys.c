/* SPDX-License-Identifier: MIT
 *
 * The stream of fuzz_items over keys that the input makes up: any bytes, any lengths up to and
 * beyond the limits, keys that differ in one byte, in where pk ends, in what comes after a long
 * common front, and, under a secret of zeros, keys whose hashes are equal.
 */
#include "fuzz/fuzz.h"
#include "support/items_rig.h"

enum { STEPS_MAX = 2000, SIZE_MAX_PK = 2048, SIZE_MAX_SK = 1024, ROOM = SIZE_MAX_PK + SIZE_MAX_SK };

typedef struct made {
    size_t pk_size, size;
    unsigned char bytes[ROOM];
} made;

static made keys[ITEMS_KEYS];

static void
bytes_append(made *key, kit_random *random, size_t count)
{
    for (size_t i = 0; i < count && key->size < ROOM; i++)
        key->bytes[key->size++] = (unsigned char)kit_draw(random, 256);
}

static void
same_append(made *key, unsigned char byte, size_t count)
{
    size_t room = ROOM - key->size;
    memset(key->bytes + key->size, byte, count < room ? count : room);
    key->size += count < room ? count : room;
}

/* Each half is one byte again and again, of a length next to where something changes, and a byte of
 * its own behind it. */
static void
key_long(made *key, kit_random *random)
{
    static const uint16_t lengths[] = {0,  7,   8,   15,  16,  17,  23,   24,   25,   31,  48,
                                       63, 127, 128, 239, 240, 241, 1022, 1023, 2046, 2047};
    unsigned char byte = (unsigned char)kit_draw(random, 4);
    same_append(key, byte, lengths[kit_draw(random, KIT_COUNT(lengths))]);
    bytes_append(key, random, 1);
    key->pk_size = key->size;
    same_append(key, byte, lengths[kit_draw(random, KIT_COUNT(lengths))]);
    bytes_append(key, random, kit_draw(random, 2));
}

/* Another one, changed a little. */
static void
key_like(made *key, const made *other, kit_random *random)
{
    *key = *other;
    switch (kit_draw(random, 5)) {
    case 0: /* one byte */
        key->bytes[kit_draw(random, key->size)] = (unsigned char)kit_draw(random, 256);
        break;
    case 1: /* where pk ends */
        key->pk_size = 1 + kit_draw(random, key->size);
        break;
    case 2: /* more behind it */
        bytes_append(key, random, 1 + kit_draw(random, 12));
        break;
    case 3: /* less of it */
        key->size = key->pk_size + kit_draw(random, key->size - key->pk_size + 1);
        break;
    /* Eight zeros, which a hash under a secret of zeros makes nothing of, and any eight bytes. */
    default:
        key->size = key->pk_size;
        same_append(key, 0, 8);
        bytes_append(key, random, 8);
        break;
    }
}

static void
key_make(made *key, size_t at, kit_random *random)
{
    key->size = key->pk_size = 0;
    switch (kit_draw(random, at > 0 ? 6 : 2)) {
    case 0:
        bytes_append(key, random, 1 + kit_draw(random, 20));
        key->pk_size = key->size;
        bytes_append(key, random, kit_draw(random, 20));
        break;
    case 1:
        key_long(key, random);
        break;
    case 2:
    case 3:
        key_like(key, &keys[kit_draw(random, at)], random);
        break;
    default: /* the next one of many that begin alike */
        *key = keys[at - 1];
        if (key->size > key->pk_size)
            key->bytes[key->size - 1]++;
        else
            same_append(key, 0, 1);
        break;
    }
    if (key->pk_size > SIZE_MAX_PK)
        key->pk_size = SIZE_MAX_PK;
    if (key->size - key->pk_size > SIZE_MAX_SK)
        key->size = key->pk_size + SIZE_MAX_SK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static items_rig r;
    lk_key of[ITEMS_KEYS];
    kit_random random = kit_random_bytes(data, size);
    fuzz_random = (unsigned)kit_draw(&random, 4);
    size_t count = 8 + kit_draw(&random, ITEMS_KEYS - 7);
    lk_memory_options options =
        items_rig_options((size_t)1 << kit_draw(&random, 3), ITEMS_REFRESH_MS);
    options.max_pk_size = SIZE_MAX_PK;
    options.max_sk_size = SIZE_MAX_SK;
    for (size_t i = 0; i < count; i++) {
        key_make(&keys[i], i, &random);
        of[i] = (lk_key){{keys[i].bytes, keys[i].pk_size},
                         {keys[i].bytes + keys[i].pk_size, keys[i].size - keys[i].pk_size}};
    }
    items_rig_open(&r, random, &options);
    items_rig_keys(&r, of, count);
    r.hashes_are_equal = fuzz_random == 0; /* a secret of zeros */
    if (kit_draw(&r.random, 2) != 0)
        items_rig_fill(&r);
    items_rig_run(&r, STEPS_MAX);
    items_rig_close(&r);
    return 0;
}
