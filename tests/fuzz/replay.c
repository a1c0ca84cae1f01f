/* SPDX-License-Identifier: MIT
 *
 * A fuzz target without a fuzzer, for any compiler: gives it each input of its corpus (a line each,
 * in base64). An assertion that fails ends the program; the last line that was begun is on stderr
 * then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"

enum { LINE_ROOM = 4096 };

static unsigned
digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (unsigned)(at - digits) : 64;
}

/* Returns the size; ends at what is no digit. */
static size_t
decode(const char *text, uint8_t *bytes)
{
    size_t size = 0;
    unsigned held = 0, bits = 0;
    for (; digit_of(*text) < 64; text++) {
        held = (held << 6 | digit_of(*text)) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[size++] = (uint8_t)(held >> bits);
        }
    }
    return size;
}

int
main(int argc, char **argv)
{
    static char line[LINE_ROOM];
    static uint8_t bytes[LINE_ROOM];
    FILE *corpus = argc == 2 ? fopen(argv[1], "r") : NULL;
    unsigned count = 0;
    if (corpus == NULL)
        return EXIT_FAILURE;
    while (fgets(line, sizeof line, corpus) != NULL) {
        size_t size = decode(line, bytes);
        uint8_t *input = malloc(size > 0 ? size : 1); /* of its exact size, for AddressSanitizer */
        if (input == NULL)
            return EXIT_FAILURE;
        memcpy(input, bytes, size);
        fprintf(stderr, "\r%u ", ++count);
        (void)LLVMFuzzerTestOneInput(input, size);
        free(input);
    }
    fclose(corpus);
    printf("%u inputs\n", count);
    return count > 100 ? EXIT_SUCCESS : EXIT_FAILURE;
}
