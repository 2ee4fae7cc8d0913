// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/blank.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/macro.h"
#include "lib/zero.h"

#define SAMPLE_BYTES ((size_t)128 << 10) /* reaches the superblock of each file system in use */
#define NR_SAMPLES   10U

static bool is_zero_at(int fd, uint64_t offset, size_t bytes)
{
	uint8_t buf[SAMPLE_BYTES];
	size_t got = 0;

	while (got < bytes) {
		ssize_t n = pread(fd, buf + got, bytes - got, (off_t)(offset + got));

		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	/* Who fills the disk now, past the page cache, is not to find it there. */
	(void)posix_fadvise(fd, (off_t)offset, (off_t)bytes, POSIX_FADV_DONTNEED);
	return is_zero(buf, bytes);
}

bool blank_disk(int fd, uint64_t size_bytes)
{
	size_t bytes = min_of(size_bytes, (uint64_t)SAMPLE_BYTES);
	uint64_t last = size_bytes - bytes;

	for (unsigned int i = 0; i < NR_SAMPLES; i++) {
		uint64_t offset = last / (NR_SAMPLES - 1) * i & ~UINT64_C(4095);

		if (!is_zero_at(fd, i == NR_SAMPLES - 1 ? last : offset, bytes))
			return false;
	}
	return true;
}
