// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Disks that remember what was done to them, for tests of what a power cut leaves: a plugin of
 * nbdkit.
 *
 *	nbdkit -U SOCKET build/tests/powercut/server.so log=FILE disk=NAME:SIZE[:CONTENTS] ...
 *
 * Each disk is an export, held in memory, sparse. Every request is recorded when it arrives and
 * takes effect at once, under one lock, so that the records are one order of all requests to all
 * disks; it is answered some time later (delay=, up to so many microseconds, 500 unless said
 * otherwise), so that requests are in flight together and overtake each other as on real disks. What survives
 * is nothing that is decided here: the log says what had happened at any moment, and
 * tests/powercut/replay.h which disks may be found after a cut then. To cut for good, kill the
 * server with SIGKILL: each record is in the file before its request is answered.
 *
 * The export "control" is a small disk for the guest's own remarks: a text written to it, NUL at
 * its end, becomes a LOG_MARK in that order. The text "cut" ends the service of all disks.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "image.h"
#include "log.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define CONTROL_SIZE (1 << 20)

struct disk {
	char *name;
	struct image *image; /* NULL: the control disk */
	unsigned int index;
};

static struct disk disks[LOG_DEVICES_MAX + 1] = { { .name = (char *)"control" } };
static unsigned int nr_disks = 1; /* the first is control; disk i is device i - 1 of the log */
static char *log_path;
static int log_fd = -1;
static unsigned int delay_us = 500;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t nr_records;
static bool cut;
static uint64_t delay_state = 1;

/* --- the log --- */

/* Adds a record; the caller holds the lock. After a cut nothing is recorded, and nothing is done. */
static int record(enum log_kind kind, unsigned int device, uint32_t flags, uint64_t offset,
		  uint64_t span, const void *data, uint64_t length)
{
	struct log_record r = { kind, device, flags, offset, span, length };
	int rc;

	if (cut) {
		nbdkit_set_error(ESHUTDOWN);
		return -1;
	}
	rc = log_append(log_fd, &r, data);
	if (rc < 0) {
		nbdkit_error("%s: %s; nothing is served any more", log_path, strerror(-rc));
		cut = true;
		nbdkit_set_error(EIO);
		return -1;
	}
	nr_records++;
	return 0;
}

/* Between two requests' arrivals others come and go: half are answered at once. */
static void stay_in_flight(void)
{
	struct timespec time = { 0 };
	uint64_t r;

	pthread_mutex_lock(&lock);
	delay_state = delay_state * 6364136223846793005ULL + 1442695040888963407ULL;
	r = delay_state >> 33;
	pthread_mutex_unlock(&lock);
	if (!delay_us || r & 1)
		return;
	time.tv_nsec = (r >> 1) % delay_us * 1000;
	(void)nanosleep(&time, NULL);
}

/*
 * A request from its arrival to its answer. ORDER: recorded and done under one lock, recorded as
 * answered under it again.
 */
static int serve(struct disk *disk, enum log_kind kind, uint32_t flags, uint64_t offset,
		 uint64_t span, const void *data)
{
	uint64_t number;
	int rc;

	pthread_mutex_lock(&lock);
	number = nr_records;
	rc = record(kind, disk->index, flags & NBDKIT_FLAG_FUA ? LOG_FUA : 0, offset, span, data,
		    data ? span : 0);
	if (rc == 0 && kind == LOG_WRITE)
		image_write(disk->image, offset, data, span);
	else if (rc == 0 && kind != LOG_FLUSH)
		image_zero(disk->image, offset, span);
	pthread_mutex_unlock(&lock);
	if (rc < 0)
		return rc;
	stay_in_flight();
	pthread_mutex_lock(&lock);
	rc = record(LOG_END, disk->index, 0, number, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
	return rc;
}

static int remark(const char *text, uint64_t size)
{
	uint64_t length = strnlen(text, size);
	int rc;

	pthread_mutex_lock(&lock);
	if (length == 3 && !memcmp(text, "cut", 3)) {
		rc = record(LOG_CUT, 0, 0, 0, 0, NULL, 0);
		cut = true;
	} else {
		rc = record(LOG_MARK, 0, 0, 0, 0, text, length);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

/* --- configuration --- */

static int add_disk(const char *value)
{
	const char *colon = strchr(value, ':');
	struct disk *disk = &disks[nr_disks];
	char *size_text, *contents;
	int64_t size;
	int rc;

	if (nr_disks == LOG_DEVICES_MAX + 1 || !colon || colon == value) {
		nbdkit_error("disk=%s: expected NAME:SIZE[:CONTENTS], at most %d times", value,
			     LOG_DEVICES_MAX);
		return -1;
	}
	disk->name = strndup(value, colon - value);
	size_text = strdup(colon + 1);
	contents = strchr(size_text, ':');
	if (contents)
		*contents++ = '\0';
	size = nbdkit_parse_size(size_text);
	if (size < 0)
		return -1;
	disk->image = image_new(size);
	disk->index = nr_disks++ - 1;
	if (contents) {
		contents = nbdkit_realpath(contents);
		rc = contents ? image_load(disk->image, contents) : -errno;
		if (rc < 0) {
			nbdkit_error("disk=%s: %s", value, strerror(-rc));
			return -1;
		}
		/* in the log after the name, for who replays it */
		disk->name = realloc(disk->name, strlen(disk->name) + strlen(contents) + 2);
		strcpy(disk->name + strlen(disk->name) + 1, contents);
	} else {
		disk->name = realloc(disk->name, strlen(disk->name) + 2);
		disk->name[strlen(disk->name) + 1] = '\0';
	}
	free(size_text);
	return 0;
}

static int server_config(const char *key, const char *value)
{
	if (!strcmp(key, "log")) {
		free(log_path);
		log_path = nbdkit_absolute_path(value);
		return log_path ? 0 : -1;
	}
	if (!strcmp(key, "delay"))
		return nbdkit_parse_unsigned("delay", value, &delay_us);
	if (!strcmp(key, "disk"))
		return add_disk(value);
	nbdkit_error("unknown parameter %s", key);
	return -1;
}

static int server_config_complete(void)
{
	if (log_path && nr_disks > 1)
		return 0;
	nbdkit_error("log= and at least one disk= are needed");
	return -1;
}

static int server_get_ready(void)
{
	log_fd = log_create(log_path);
	if (log_fd < 0) {
		nbdkit_error("%s: %s", log_path, strerror(-log_fd));
		return -1;
	}
	for (unsigned int i = 1; i < nr_disks; i++) {
		const char *name = disks[i].name, *contents = name + strlen(name) + 1;
		uint64_t length = strlen(name) + (*contents ? 1 + strlen(contents) : 0);

		if (record(LOG_DEVICE, disks[i].index, 0, image_size(disks[i].image), 0, name, length))
			return -1;
	}
	return 0;
}

/* --- exports --- */

static void *server_open(int readonly)
{
	const char *name = nbdkit_export_name();

	(void)readonly;
	for (unsigned int i = 0; name && i < nr_disks; i++)
		if (!strcmp(disks[i].name, name))
			return &disks[i];
	nbdkit_error("no export of that name: %s", name ? name : "");
	return NULL;
}

static int64_t server_get_size(void *handle)
{
	struct disk *disk = handle;

	return disk->image ? (int64_t)image_size(disk->image) : CONTROL_SIZE;
}

static int server_yes(void *handle)
{
	(void)handle;
	return 1;
}

static int server_can_fua(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_NATIVE;
}

static int server_is_disk(void *handle)
{
	struct disk *disk = handle;

	return disk->image != NULL;
}

static int server_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	(void)handle;
	*minimum = 512;
	*preferred = 4096;
	*maximum = 32 << 20;
	return 0;
}

static int server_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct disk *disk = handle;
	int rc = 0;

	(void)flags;
	if (!disk->image) {
		memset(buf, 0, count);
		return 0;
	}
	pthread_mutex_lock(&lock);
	if (cut)
		rc = -1;
	else
		image_read(disk->image, offset, buf, count);
	pthread_mutex_unlock(&lock);
	if (rc < 0)
		nbdkit_set_error(ESHUTDOWN);
	return rc;
}

static int server_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
			 uint32_t flags)
{
	struct disk *disk = handle;

	if (!disk->image)
		return remark(buf, count);
	return serve(disk, LOG_WRITE, flags, offset, count, buf);
}

static int server_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	return serve(handle, LOG_TRIM, flags, offset, count, NULL);
}

static int server_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	return serve(handle, LOG_ZERO, flags, offset, count, NULL);
}

static int server_flush(void *handle, uint32_t flags)
{
	struct disk *disk = handle;

	(void)flags;
	return disk->image ? serve(disk, LOG_FLUSH, 0, 0, 0, NULL) : 0;
}

static struct nbdkit_plugin plugin = {
	.name = "powercut",
	.longname = "disks that remember what was done to them",
	.config = server_config,
	.config_complete = server_config_complete,
	.config_help = "log=FILE                  record here what is done\n"
		       "disk=NAME:SIZE[:CONTENTS] an export; CONTENTS: a file that it starts with\n"
		       "delay=MICROSECONDS        answer half of the requests so much later at most\n",
	.get_ready = server_get_ready,
	.open = server_open,
	.get_size = server_get_size,
	.can_write = server_yes,
	.can_flush = server_yes,
	.can_trim = server_is_disk,
	.can_zero = server_is_disk,
	.can_fast_zero = server_is_disk,
	.can_fua = server_can_fua,
	.can_multi_conn = server_yes,
	.block_size = server_block_size,
	.pread = server_pread,
	.pwrite = server_pwrite,
	.trim = server_trim,
	.zero = server_zero,
	.flush = server_flush,
	.errno_is_preserved = 0,
};

NBDKIT_REGISTER_PLUGIN(plugin)
