/* SPDX-License-Identifier: MIT
 *
 * What the fuzz targets share. A target is a file fuzz_NAME.c; its corpus is corpus/NAME, an input
 * a file. `sh tests/fuzz/run` runs them; a target's own command line is libFuzzer's, so `fuzz_NAME
 * FILE` repeats one input.
 *
 * A target has failed when it ends in a sanitizer's report, a signal, an exit (an assertion of
 * cmocka) or after FUZZ_SECONDS. It does the same thing each time it gets the same bytes: clocks
 * are set by hand, and getrandom() gives what fuzz_random says.
 */
#ifndef LATCHKEY_TESTS_FUZZ_H
#define LATCHKEY_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer calls it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What getrandom() fills its buffers with: 0, so that a store's secret is all zeros and keys
 * collide that anybody can write down; else bytes that follow from it. */
extern unsigned fuzz_random;

#endif
