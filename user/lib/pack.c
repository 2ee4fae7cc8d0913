// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One call packs or unpacks a whole record, so that a frame's window, which the frame itself names and
 * zstd would allocate for a stream, is the caller's buffer.
 *
 * Level 1: what packing saves is time on the link, and a faster level of less gain saves more of it.
 */
#include "lib/pack.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/cleanup.h"

#define LEVEL 1

struct pack {
	ZSTD_CCtx *context;
};

struct unpack {
	ZSTD_DCtx *context;
};

int pack_open(struct pack **ret, struct failure *f)
{
	_cleanup_(pack_close_at) struct pack *p = calloc(1, sizeof(*p));

	if (p)
		p->context = ZSTD_createCCtx();
	if (!p || !p->context)
		return failure_no_memory(f);
	*ret = steal_ptr(p);
	return 0;
}

void pack_close_at(struct pack **p)
{
	if (*p)
		(void)ZSTD_freeCCtx((*p)->context);
	free(*p);
	*p = NULL;
}

size_t pack_data(struct pack *p, const void *from, size_t bytes, void *ret)
{
	size_t len = ZSTD_compressCCtx(p->context, ret, pack_room(bytes), from, bytes, LEVEL);

	return ZSTD_isError(len) ? 0 : len;
}

int unpack_open(struct unpack **ret, struct failure *f)
{
	_cleanup_(unpack_close_at) struct unpack *u = calloc(1, sizeof(*u));

	if (u)
		u->context = ZSTD_createDCtx();
	if (!u || !u->context)
		return failure_no_memory(f);
	*ret = steal_ptr(u);
	return 0;
}

void unpack_close_at(struct unpack **u)
{
	if (*u)
		(void)ZSTD_freeDCtx((*u)->context);
	free(*u);
	*u = NULL;
}

/* zstd also takes frames of its early versions, frames that are skipped, and several in a row. */
static bool is_one_frame(const void *frame, size_t len)
{
	uint32_t magic;

	if (len < sizeof(magic))
		return false;
	memcpy(&magic, frame, sizeof(magic));
	return le32toh(magic) == ZSTD_MAGICNUMBER && ZSTD_findFrameCompressedSize(frame, len) == len;
}

size_t unpack_size(const void *frame, size_t len)
{
	unsigned long long bytes = is_one_frame(frame, len) ? ZSTD_getFrameContentSize(frame, len) : 0;

	return bytes == ZSTD_CONTENTSIZE_UNKNOWN || bytes == ZSTD_CONTENTSIZE_ERROR || bytes > SIZE_MAX ?
		       0 :
		       (size_t)bytes;
}

bool unpack_data(struct unpack *u, const void *frame, size_t len, void *ret, size_t bytes)
{
	return is_one_frame(frame, len) && ZSTD_getFrameContentSize(frame, len) == bytes &&
	       ZSTD_decompressDCtx(u->context, ret, bytes, frame, len) == bytes;
}
