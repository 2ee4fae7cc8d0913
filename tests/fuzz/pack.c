// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A packed body of any bytes, for a record of as many sectors as the first two bytes say: it becomes just
 * those, or is refused. Both memories are of their own length, so that a byte beyond is found.
 */
#include <stdlib.h>
#include <string.h>

#include <cbt-wire.h>

#include "lib/pack.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct unpack *unpack;
	static uint8_t before[CBT_WIRE_BODY_MAX];
	struct failure f;
	size_t bytes;
	uint8_t *to;

	if (size < 3 || (!unpack && unpack_open(&unpack, &f)))
		return 0;
	bytes = (size_t)(1 + (data[0] | data[1] << 8) % (CBT_WIRE_BODY_MAX / CBT_WIRE_ALIGN)) * CBT_WIRE_ALIGN;
	to = malloc(bytes);
	if (!to)
		return 0;
	memset(to, 0, bytes);
	if (unpack_data(unpack, data + 2, size - 2, to, bytes)) {
		memcpy(before, to, bytes);
		memset(to, 0xff, bytes);
		CLAIM(unpack_data(unpack, data + 2, size - 2, to, bytes));
		CLAIM(memcmp(before, to, bytes) == 0); /* all of it is the frame's */
	}
	free(to);
	return 0;
}
