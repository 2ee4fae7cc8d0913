// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tree of tables with 512 entries above pages of 4 KiB; what is absent is zero. Nodes are counted
 * and never changed while more than one owner holds them: who writes below a shared node makes a
 * copy of each on the way down. Two trees are compared by their pointers first.
 */
#include "image.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FANOUT_SHIFT 9
#define FANOUT (1U << FANOUT_SHIFT)

struct node {
	unsigned int refs;
	union {
		struct node *child[FANOUT];
		unsigned char data[IMAGE_PAGE];
	};
};

struct image {
	uint64_t size;
	unsigned int height; /* levels of tables above the pages */
	struct node *root;
};

/* Bytes below a node at @level; pages are level 0. */
static uint64_t span(unsigned int level)
{
	return (uint64_t)IMAGE_PAGE << (FANOUT_SHIFT * level);
}

static struct node *node_new(void)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		errx(1, "out of memory");
	node->refs = 1;
	return node;
}

static void node_put(struct node *node, unsigned int level)
{
	if (!node || --node->refs)
		return;
	for (unsigned int i = 0; level && i < FANOUT; i++)
		node_put(node->child[i], level - 1);
	free(node);
}

/* The node in @slot, made if there is none, copied if it is shared. */
static struct node *node_own(struct node **slot, unsigned int level)
{
	struct node *shared = *slot;

	if (!shared)
		return *slot = node_new();
	if (shared->refs == 1)
		return shared;
	*slot = node_new();
	memcpy((*slot)->data, shared->data, IMAGE_PAGE);
	for (unsigned int i = 0; level && i < FANOUT; i++)
		if (shared->child[i])
			shared->child[i]->refs++;
	shared->refs--;
	return *slot;
}

struct image *image_new(uint64_t size)
{
	struct image *image = calloc(1, sizeof(*image));

	if (!image)
		errx(1, "out of memory");
	image->size = size;
	while (span(image->height) < size)
		image->height++;
	return image;
}

struct image *image_copy(const struct image *image)
{
	struct image *copy = image_new(image->size);

	copy->root = image->root;
	if (copy->root)
		copy->root->refs++;
	return copy;
}

void image_free(struct image *image)
{
	if (!image)
		return;
	node_put(image->root, image->height);
	free(image);
}

uint64_t image_size(const struct image *image)
{
	return image->size;
}

static void check_range(const struct image *image, uint64_t offset, uint64_t length)
{
	if (length > image->size || offset > image->size - length)
		errx(1, "bytes %llu+%llu are past the end of a disk of %llu",
		     (unsigned long long)offset, (unsigned long long)length,
		     (unsigned long long)image->size);
}

static unsigned int slot_of(uint64_t offset, unsigned int level)
{
	return offset >> (12 + FANOUT_SHIFT * (level - 1)) & (FANOUT - 1);
}

static uint64_t piece_of(uint64_t offset, uint64_t length)
{
	uint64_t room = IMAGE_PAGE - offset % IMAGE_PAGE;

	return length < room ? length : room;
}

void image_write(struct image *image, uint64_t offset, const void *data, uint64_t length)
{
	const unsigned char *from = data;

	check_range(image, offset, length);
	while (length) {
		uint64_t piece = piece_of(offset, length);
		struct node **slot = &image->root;

		for (unsigned int level = image->height; level; level--)
			slot = &node_own(slot, level)->child[slot_of(offset, level)];
		memcpy(node_own(slot, 0)->data + offset % IMAGE_PAGE, from, piece);
		from += piece;
		offset += piece;
		length -= piece;
	}
}

/* Zeroes [start, end) of the node in @slot, whose bytes are counted from 0. */
static void node_zero(struct node **slot, unsigned int level, uint64_t start, uint64_t end)
{
	struct node *node;

	if (!*slot || start >= end)
		return;
	if (start == 0 && end >= span(level)) {
		node_put(*slot, level);
		*slot = NULL;
		return;
	}
	node = node_own(slot, level);
	if (!level) {
		memset(node->data + start, 0, end - start);
		return;
	}
	for (uint64_t width = span(level - 1), i = start / width; i * width < end; i++) {
		uint64_t base = i * width;

		node_zero(&node->child[i], level - 1, start > base ? start - base : 0,
			  end - base < width ? end - base : width);
	}
}

void image_zero(struct image *image, uint64_t offset, uint64_t length)
{
	check_range(image, offset, length);
	node_zero(&image->root, image->height, offset, offset + length);
}

void image_read(const struct image *image, uint64_t offset, void *ret_data, uint64_t length)
{
	unsigned char *to = ret_data;

	check_range(image, offset, length);
	while (length) {
		uint64_t piece = piece_of(offset, length);
		const struct node *node = image->root;

		for (unsigned int level = image->height; level && node; level--)
			node = node->child[slot_of(offset, level)];
		if (node)
			memcpy(to, node->data + offset % IMAGE_PAGE, piece);
		else
			memset(to, 0, piece);
		to += piece;
		offset += piece;
		length -= piece;
	}
}

static int node_diff(const struct node *a, const struct node *b, unsigned int level, uint64_t offset,
		     int (*page)(void *context, uint64_t offset), void *context)
{
	static const struct node none;
	int rc = 0;

	if (a == b)
		return 0;
	a = a ? a : &none;
	b = b ? b : &none;
	if (!level)
		return memcmp(a->data, b->data, IMAGE_PAGE) ? page(context, offset) : 0;
	for (unsigned int i = 0; i < FANOUT && !rc; i++)
		rc = node_diff(a->child[i], b->child[i], level - 1, offset + i * span(level - 1),
			       page, context);
	return rc;
}

int image_diff(const struct image *a, const struct image *b,
	       int (*page)(void *context, uint64_t offset), void *context)
{
	if (a->size != b->size)
		errx(1, "images of different sizes are compared");
	return node_diff(a->root, b->root, a->height, 0, page, context);
}

/* --- files --- */

int image_load(struct image *image, const char *path)
{
	unsigned char buffer[16 * IMAGE_PAGE];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t at = 0, end;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		while (at < end) {
			n = pread(fd, buffer, sizeof(buffer), at);
			if (n <= 0)
				break;
			image_write(image, at, buffer, n);
			at += n;
		}
	}
	close(fd);
	return 0;
}

struct store_file {
	const struct image *image;
	int fd;
};

static int store_page(void *context, uint64_t offset)
{
	static const unsigned char zeroes[IMAGE_PAGE];
	struct store_file *file = context;
	unsigned char page[IMAGE_PAGE];
	uint64_t length = piece_of(offset, file->image->size - offset);

	image_read(file->image, offset, page, length);
	if (!memcmp(page, zeroes, length) &&
	    !fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length))
		return 0;
	return pwrite(file->fd, page, length, offset) == (ssize_t)length ? 0 : -EIO;
}

int image_store(const struct image *image, const struct image *old, const char *path)
{
	struct image *empty = old ? NULL : image_new(image->size);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (old ? 0 : O_TRUNC), 0600);
	struct store_file file = { image, fd };
	int rc = fd < 0 || ftruncate(fd, image->size) < 0 ? -errno : 0;

	if (!rc)
		rc = image_diff(old ? old : empty, image, store_page, &file);
	if (fd >= 0 && close(fd) < 0 && !rc)
		rc = -errno;
	image_free(empty);
	return rc;
}
