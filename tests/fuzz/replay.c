// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs a fuzz target on files instead of under libFuzzer: each argument is one input. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

int main(int argc, char **argv)
{
	static uint8_t buf[1 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");
		size_t len;
		uint8_t *exact;

		if (!file) {
			perror(argv[i]);
			return 1;
		}
		len = fread(buf, 1, sizeof(buf), file);
		(void)fclose(file);
		/* of its own length, so that a read beyond it is found */
		exact = malloc(len ? len : 1);
		if (!exact)
			return 1;
		for (size_t at = 0; at < len; at++)
			exact[at] = buf[at];
		(void)LLVMFuzzerTestOneInput(exact, len);
		free(exact);
	}
	printf("replayed %d inputs\n", argc - 1);
	return argc < 2;
}
