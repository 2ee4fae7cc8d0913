/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz targets: `make fuzz` builds them with libFuzzer, tests/e2e/fuzz.sh replays the corpora
 * (tests/fuzz/corpus/TARGET/) and, in check-long, looks for more.
 */
#ifndef FAILBACK_TESTS_FUZZ_H
#define FAILBACK_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A claim about what was taken as sound. */
#define CLAIM(condition) ((condition) ? (void)0 : __builtin_trap())

#endif
