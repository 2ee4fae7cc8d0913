/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz targets: `make fuzz` builds them with libFuzzer, tests/e2e/fuzz.sh replays the corpora
 * (tests/fuzz/corpus/TARGET/) and, in check-long, looks for more.
 */
#ifndef FAILBACK_TESTS_FUZZ_H
#define FAILBACK_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A claim about what was taken as sound. */
#define CLAIM(condition) ((condition) ? (void)0 : __builtin_trap())

/* The bytes as a string, malloc()ed. */
static inline char *text_of(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);

	CLAIM(text);
	memcpy(text, data, size);
	return text;
}

#endif
