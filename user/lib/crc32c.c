// SPDX-License-Identifier: GPL-2.0-or-later
/* CRC32C (Castagnoli, RFC 3720 appendix B.4) for the store, a table step a byte; see kmod/port.h. */
#include "port.h"

#define POLYNOMIAL 0x82f63b78 /* reflected */

static u32 table[256];

__attribute__((constructor)) static void fill_table(void)
{
	for (u32 i = 0; i < 256; i++) {
		u32 crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[i] = crc;
	}
}

u32 crc32c(u32 crc, const void *data, size_t length)
{
	const u8 *p = data;

	while (length--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return crc;
}
