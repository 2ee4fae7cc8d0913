/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contents of a disk of any size in memory: sparse, and cheap to copy. A copy shares
 * everything with the original until one of them is written, and two that share much are quickly
 * compared. Zeroing a TiB costs what was stored there.
 *
 * Offsets and lengths are in bytes and need no alignment; what lies past the end is a mistake of
 * the caller's and ends the program, as does a lack of memory: these are tools of tests.
 */
#ifndef FAILBACK_TESTS_POWERCUT_IMAGE_H
#define FAILBACK_TESTS_POWERCUT_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define IMAGE_PAGE 4096

struct image;

/** image_new() - all zeroes. Ends in image_free(). */
struct image *image_new(uint64_t size);
struct image *image_copy(const struct image *image);
void image_free(struct image *image);

uint64_t image_size(const struct image *image);

void image_write(struct image *image, uint64_t offset, const void *data, uint64_t length);
void image_zero(struct image *image, uint64_t offset, uint64_t length);
void image_read(const struct image *image, uint64_t offset, void *ret_data, uint64_t length);

/**
 * image_diff() - calls @page for each page of 4 KiB in which two images of one size differ, in
 * ascending order, with its offset. A result of @page other than 0 ends it and is returned.
 */
int image_diff(const struct image *a, const struct image *b,
	       int (*page)(void *context, uint64_t offset), void *context);

/**
 * image_load() - reads what a file holds (not its holes) into an image of its size or larger.
 * image_store() - makes a file that holds @old hold @image; @old NULL: the file is new and empty.
 * Return: 0 or -errno.
 */
int image_load(struct image *image, const char *path);
int image_store(const struct image *image, const struct image *old, const char *path);

#endif
