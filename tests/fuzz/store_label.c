// SPDX-License-Identifier: GPL-2.0-or-later
/* A label of any bytes, its check made right: what is taken could have been written. */
#include <endian.h>
#include <string.h>

#include "lib/store_label.h"
#include "port.h"

#include "fuzz.h"

#define CRC_AT 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[CBT_LABEL_LEN] = { 0 };
	struct store_label label;
	uint32_t crc;

	memcpy(bytes, data, size < sizeof(bytes) ? size : sizeof(bytes));
	memset(bytes + CRC_AT, 0, sizeof(crc));
	crc = htole32(~crc32c(~0U, bytes, sizeof(bytes)));
	memcpy(bytes + CRC_AT, &crc, sizeof(crc));
	if (store_label_decode(bytes, &label) != STORE_LABEL_SOUND)
		return 0;
	CLAIM(label.disk < label.nr_disks && label.vm_name[0] && label.disk_name[0]);
	CLAIM(store_label_encode(&label, bytes) == 0);
	return 0;
}
