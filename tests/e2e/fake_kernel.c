// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module and device-mapper as plain files, linked in front of the library: it implements
 * lib/nl.h, lib/dm.h and lib/dm_image.h, so that failbackd and failback-send run their real way on a machine
 * without the module.
 *
 * $FAKE_KERNEL/NAME is the tracker NAME:
 *
 *	origin		path of the block device below it
 *	uuid		of the tracker
 *	active, frozen	dirty blocks, lines "FIRST NR" in any order; frozen exists while an epoch is
 *	suspect		regions of 4 MiB that are dirty only by guess, lines "FIRST NR", ascending; may be missing
 *	epoch		UUID of the frozen epoch
 *	released	lines "FIRST NR" of what was told to be with the receiver
 *	ended		lines "UUID committed|aborted"
 *	base		UUID of the epoch that was committed last
 *	linear		while it exists, the mapped device is a linear one, and there is no tracker
 *	open		exists while something has the mapped device open
 *	store		exists if the tracker has a store, and so images and a label
 *	label		of the store, 512 bytes
 *	labelled	lines, one a label that was set
 *	unlabelled	while it exists, no label can be set
 *	lost		exists while the store is one that failed
 *	broken		exists while a frozen epoch is one whose image is gone
 *	image		what the origin held at the last freeze, with a store
 *	../.images/	images: links to these
 *	../enomem	while it exists, the kernel has no memory
 *	../deaf		while it exists, device-mapper does not answer
 *	../noflush	while it exists, no file can be flushed
 *	renewed		while it exists, a freeze finds the tracker started anew
 *
 * Built with CUTS, the process also dies at the Nth step of those that others can see, or that last:
 * before and after each record, device name, call and reply. The file $FAKE_CUT says N; it is gone
 * when the process has died of it. A second word there is the program that it is for: a worker takes
 * its daemon along, unless a third word is `alone` and not `both`, and also dies before and after each
 * operation that ends, of its connection, its disks or its journal. A fourth word is the function whose
 * steps alone count: one of those that are wrapped, or nl_release.
 *
 * Without the directory, the module is not loaded. Blocks are 4 KiB. The writer of a disk adds to
 * active by itself.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>

#include "base/cleanup.h"
#include "lib/dm.h"
#include "lib/dm_image.h"
#include "lib/nl.h"
#include "lib/nl_control.h"

#define BLOCK_BYTES  4096U
#define SECTOR_BYTES 512U

struct nl {
	const char *dir;
};

#ifdef CUTS
static void step(const char *function);
#endif

static void close_file_at(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static const char *path_of(const char *tracker, const char *what)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s/%s", getenv("FAKE_KERNEL") ?: "/nonexistent",
		       tracker, what);
	return path;
}

static bool exists(const char *tracker, const char *what)
{
	return access(path_of(tracker, what), F_OK) == 0;
}

static int flush(long call, int fd)
{
	char path[PATH_MAX]; /* of its own: threads flush */

	(void)snprintf(path, sizeof(path), "%s/noflush", getenv("FAKE_KERNEL") ?: "/nonexistent");
	if (access(path, F_OK) < 0)
		return (int)syscall(call, fd);
	errno = EIO;
	return -1;
}

/* What SQLite calls, too. */
int fdatasync(int fd)
{
	return flush(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return flush(SYS_fsync, fd);
}

static bool read_line(const char *tracker, const char *what, char *buf, size_t size)
{
	_cleanup_(close_file_at) FILE *file = fopen(path_of(tracker, what), "re");

	if (!file || !fgets(buf, (int)size, file))
		return false;
	buf[strcspn(buf, "\n")] = '\0';
	return true;
}

static void append_line(const char *tracker, const char *what, const char *text)
{
	_cleanup_(close_file_at) FILE *file = fopen(path_of(tracker, what), "ae");

	if (file)
		(void)fprintf(file, "%s\n", text);
}

/* --- maps --- */

/* The last may be a part of one. */
static uint64_t nr_blocks(uint64_t bytes)
{
	return (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

struct map {
	uint8_t *blocks; /* one byte each */
	uint64_t nr;
};

static void map_load(struct map *map, const char *tracker, const char *what)
{
	_cleanup_(close_file_at) FILE *file = fopen(path_of(tracker, what), "re");
	unsigned long long first;
	unsigned long long nr;

	while (file && fscanf(file, "%llu %llu", &first, &nr) == 2) {
		for (; nr && first < map->nr; nr--)
			map->blocks[first++] = 1;
	}
}

static uint64_t map_count(const char *tracker, const char *what, uint64_t nr)
{
	cleanup_free uint8_t *blocks = calloc(nr, 1);
	struct map map = { blocks, nr };
	uint64_t count = 0;

	map_load(&map, tracker, what);
	for (uint64_t i = 0; i < nr; i++)
		count += blocks[i];
	return count;
}

/* --- lib/nl.h --- */

int nl_open(struct nl **ret, struct failure *f)
{
	const char *dir = getenv("FAKE_KERNEL");

	if (!dir || access(dir, F_OK) != 0)
		return failure_set(f, CODE_NOT_AVAILABLE, -ENOPROTOOPT,
				   "dm-cbt is not loaded: modprobe dm-cbt as root");
	if (exists("", "enomem"))
		return failure_no_memory(f);
	*ret = calloc(1, sizeof(**ret));
	(*ret)->dir = dir;
	return 0;
}

void nl_close_at(struct nl **nl)
{
	free(*nl);
	*nl = NULL;
}

int nl_tracker_get(struct nl *nl, const char *tracker, struct tracker_info *ret, struct failure *f)
{
	struct tracker_info info = { .generation = 1,
				     .epoch = 1,
				     .block_sectors = BLOCK_BYTES / SECTOR_BYTES,
				     .region_sectors = 8192 };
	cleanup_fd int fd = -1;
	char text[PATH_MAX];
	struct stat origin;
	uint64_t bytes = 0;

	(void)nl;
	if (exists(tracker, "linear") || !read_line(tracker, "origin", text, sizeof(text)))
		return failure_set(f, CODE_NOT_AVAILABLE, -ENODEV, "there is no tracker %s",
				   tracker);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &origin) < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return failure_set(f, CODE_FAILED, -EIO, "the origin %s is no block device", text);
	(void)snprintf(info.name, sizeof(info.name), "%s", tracker);
	info.dev = info.origin_dev = origin.st_rdev; /* what is written is marked by the writer */
	info.size_sectors = bytes / SECTOR_BYTES;
	if (read_line(tracker, "uuid", text, sizeof(text)))
		(void)uuid_parse(text, &info.uuid);
	info.has_base = read_line(tracker, "base", text, sizeof(text)) &&
			uuid_parse(text, &info.base_uuid) == 0;
	info.dirty_active = map_count(tracker, "active", nr_blocks(bytes));
	info.has_store = exists(tracker, "store");
	if (exists(tracker, "lost")) {
		info.state = CBT_STATE_LOST;
		(void)strcpy(info.failure, "the store failed to write the superblock");
	}
	info.has_frozen = exists(tracker, "frozen");
	if (info.has_frozen) {
		info.dirty_frozen = map_count(tracker, "frozen", nr_blocks(bytes));
		(void)read_line(tracker, "epoch", text, sizeof(text));
		(void)uuid_parse(text, &info.frozen_uuid);
		if (exists(tracker, "broken"))
			(void)strcpy(info.broken, "the diff area is full");
	}
	*ret = info;
	return 0;
}

int nl_tracker_list(struct nl *nl, struct tracker_info **ret, size_t *ret_nr, struct failure *f)
{
	struct tracker_info *list = calloc(CBT_TRACKERS_MAX, sizeof(*list));
	DIR *dir = opendir(nl->dir);
	struct dirent *entry;
	size_t nr = 0;

	(void)f;
	while (dir && nr < CBT_TRACKERS_MAX && (entry = readdir(dir)) != NULL)
		nr += nl_tracker_get(nl, entry->d_name, &list[nr], NULL) == 0;
	if (dir)
		(void)closedir(dir);
	*ret = list;
	*ret_nr = nr;
	return 0;
}

int nl_label_get(struct nl *nl, const char *tracker, uint8_t ret[CBT_LABEL_LEN],
		 struct failure *f)
{
	_cleanup_(close_file_at) FILE *file = fopen(path_of(tracker, "label"), "re");

	(void)nl;
	if (!exists(tracker, "store"))
		return failure_set(f, CODE_NOT_AVAILABLE, -ENODEV, "tracker %s has no store", tracker);
	memset(ret, 0, CBT_LABEL_LEN);
	if (file)
		(void)!fread(ret, 1, CBT_LABEL_LEN, file);
	return 0;
}

int nl_label_set(struct nl *nl, const char *tracker, const void *label, size_t bytes,
		 struct failure *f)
{
	_cleanup_(close_file_at) FILE *file = NULL;

	(void)nl;
	if (!exists(tracker, "store"))
		return failure_set(f, CODE_NOT_AVAILABLE, -ENODEV, "tracker %s has no store", tracker);
	if (exists(tracker, "unlabelled"))
		return failure_set(f, CODE_FAILED, -EIO, "the store failed to write the superblock");
	append_line(tracker, "labelled", "once");
	file = fopen(path_of(tracker, "label"), "we");
	if (!file || fwrite(label, 1, bytes, file) != bytes)
		return failure_set(f, CODE_FAILED, -EIO, "the label cannot be written");
	return 0;
}

int nl_stats_get(struct nl *nl, const char *tracker, struct tracker_stats *ret, struct failure *f)
{
	(void)nl;
	(void)tracker;
	(void)ret;
	return failure_set(f, CODE_NOT_SUPPORTED, -EOPNOTSUPP, "not needed here");
}

/* How an epoch stands: 'f' frozen, 'c' committed, 'a' aborted, 0 unknown. */
static char outcome(const char *tracker, const char *epoch)
{
	_cleanup_(close_file_at) FILE *file = NULL;
	char text[128];
	char result = 0;

	if (exists(tracker, "frozen") && read_line(tracker, "epoch", text, sizeof(text)) &&
	    strcmp(text, epoch) == 0)
		return 'f';
	file = fopen(path_of(tracker, "ended"), "re");
	while (file && fgets(text, sizeof(text), file)) {
		if (strncmp(text, epoch, UUID_TEXT_LEN) == 0)
			result = text[UUID_TEXT_LEN + 1];
	}
	return result;
}

/* Another UUID and an empty map, as a new mapped device has them. */
static void renew(const char *tracker)
{
	char text[UUID_TEXT_LEN + 1];
	struct uuid uuid;

	(void)uuid_new(&uuid);
	(void)unlink(path_of(tracker, "uuid"));
	append_line(tracker, "uuid", uuid_format(&uuid, text));
	(void)unlink(path_of(tracker, "active"));
}

/* What the disk holds at the freeze. Who still reads from the image before keeps it. */
static bool keep_image(const char *tracker)
{
	char buf[1 << 16];
	char origin[PATH_MAX];
	cleanup_fd int out = -1;
	cleanup_fd int in = -1;
	ssize_t len;

	(void)unlink(path_of(tracker, "image"));
	out = open(path_of(tracker, "image"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0 || !read_line(tracker, "origin", origin, sizeof(origin)))
		return false;
	in = open(origin, O_RDONLY | O_CLOEXEC);
	while ((len = read(in, buf, sizeof(buf))) > 0) {
		if (write(out, buf, (size_t)len) != len)
			return false;
	}
	return len == 0;
}

int nl_freeze(struct nl *nl, const char *const *trackers, size_t nr, const struct uuid *epoch,
	      struct tracker_info *ret, struct failure *f)
{
	char text[UUID_TEXT_LEN + 1];
	char from[PATH_MAX];

	(void)uuid_format(epoch, text);
	for (size_t i = 0; i < nr; i++) {
		if (exists(trackers[i], "renewed"))
			renew(trackers[i]);
		if (exists(trackers[i], "frozen"))
			return failure_set(f, CODE_IN_USE, -EBUSY,
					   "tracker %s holds another frozen epoch", trackers[i]);
		/* Each of them for one freeze. */
		for (char slow[] = "slow3"; slow[4] > '0'; slow[4]--)
			if (exists(trackers[i], slow) && unlink(path_of(trackers[i], slow)) == 0)
				return failure_set(f, CODE_TIMEOUT, -ETIMEDOUT,
						   "cannot freeze %s: its writes in flight did not end in time",
						   trackers[i]);
	}
	for (size_t i = 0; i < nr; i++) {
		(void)unlink(path_of(trackers[i], "epoch"));
		append_line(trackers[i], "epoch", text);
		append_line(trackers[i], "active", "0 0");
		(void)snprintf(from, sizeof(from), "%s", path_of(trackers[i], "active"));
		(void)rename(from, path_of(trackers[i], "frozen"));
		if (exists(trackers[i], "store") && !keep_image(trackers[i]))
			return failure_set(f, CODE_FAILED, -EIO, "%s cannot be frozen", trackers[i]);
		if (ret && nl_tracker_get(nl, trackers[i], &ret[i], f))
			return -EIO;
	}
	return 0;
}

static int end_epoch(const char *const *trackers, size_t nr, const struct uuid *epoch, bool commit,
		     struct failure *f)
{
	char text[UUID_TEXT_LEN + 1];
	char line[128];

	(void)uuid_format(epoch, text);
	for (size_t i = 0; i < nr; i++) {
		char how = outcome(trackers[i], text);

		if (!how)
			return failure_set(f, CODE_FILE_NOT_FOUND, -ENOENT,
					   "tracker %s has no epoch %s", trackers[i], text);
		if (how == (commit ? 'a' : 'c'))
			return failure_set(f, CODE_FAILED, commit ? -ECANCELED : -EALREADY,
					   "epoch %s ended otherwise", text);
		if (how == 'f' && commit && exists(trackers[i], "broken"))
			return failure_set(f, CODE_FAILED, -ECANCELED, "epoch %s broke", text);
	}
	for (size_t i = 0; i < nr; i++) {
		_cleanup_(close_file_at) FILE *frozen = fopen(path_of(trackers[i], "frozen"), "re");

		if (outcome(trackers[i], text) != 'f')
			continue;
		while (!commit && frozen && fgets(line, sizeof(line), frozen)) {
			line[strcspn(line, "\n")] = '\0';
			append_line(trackers[i], "active", line);
		}
		(void)unlink(path_of(trackers[i], "frozen"));
		(void)snprintf(line, sizeof(line), "%s %s", text, commit ? "committed" : "aborted");
		append_line(trackers[i], "ended", line);
		if (commit) {
			(void)unlink(path_of(trackers[i], "base"));
			append_line(trackers[i], "base", text);
		}
	}
	return 0;
}

int nl_commit(struct nl *nl, const char *const *trackers, size_t nr, const struct uuid *epoch,
	      struct tracker_info *ret, struct failure *f)
{
	(void)nl;
	(void)ret;
	return end_epoch(trackers, nr, epoch, true, f);
}

int nl_abort(struct nl *nl, const char *const *trackers, size_t nr, const struct uuid *epoch,
	     struct tracker_info *ret, struct failure *f)
{
	(void)nl;
	(void)ret;
	return end_epoch(trackers, nr, epoch, false, f);
}

int nl_mark(struct nl *nl, const char *tracker, const struct cbt_blocks *ranges, size_t nr,
	    struct failure *f)
{
	char line[64];

	(void)nl;
	(void)f;
	for (size_t i = 0; i < nr; i++) {
		(void)snprintf(line, sizeof(line), "%llu %llu", (unsigned long long)ranges[i].start,
			       (unsigned long long)ranges[i].nr);
		append_line(tracker, "active", line);
	}
	return 0;
}

int nl_release(struct nl *nl, const char *tracker, const struct uuid *epoch,
	       const struct cbt_blocks *ranges, size_t nr, struct failure *f)
{
	char text[UUID_TEXT_LEN + 1];

	(void)nl;
	if (outcome(tracker, uuid_format(epoch, text)) != 'f')
		return failure_set(f, CODE_FILE_NOT_FOUND, -ENOENT, "that epoch is not frozen");
	for (size_t i = 0; i < nr; i++) {
		char line[64];

		(void)snprintf(line, sizeof(line), "%llu %llu", (unsigned long long)ranges[i].start,
			       (unsigned long long)ranges[i].nr);
		append_line(tracker, "released", line);
	}
#ifdef CUTS
	step("nl_release");
#endif
	return 0;
}

/* A run that is dirty only by guess, in regions. */
static int give_suspects(const char *tracker, const struct nl_map_want *want)
{
	_cleanup_(close_file_at) FILE *file = fopen(path_of(tracker, "suspect"), "re");
	unsigned long long first;
	unsigned long long nr;
	int rc = 0;

	while (!rc && want->suspect_fn && file && fscanf(file, "%llu %llu", &first, &nr) == 2)
		rc = want->suspect_fn(want->context, first, nr);
	return rc;
}

/* Nobody tells of what is lost. */
int nl_lost_ack(struct nl *nl, const char *tracker, struct failure *f)
{
	(void)nl;
	(void)tracker;
	(void)f;
	return 0;
}

int nl_listen(struct nl_listener **ret, struct failure *f)
{
	*ret = NULL;
	return failure_set(f, CODE_NOT_AVAILABLE, -ENOPROTOOPT, "there are no events");
}

void nl_listener_free_at(struct nl_listener **listener)
{
	*listener = NULL;
}

int nl_listener_fd(const struct nl_listener *listener)
{
	(void)listener;
	return -1;
}

int nl_listener_take(struct nl_listener *listener, nl_event_fn fn, void *context,
		     struct failure *f)
{
	(void)listener;
	(void)fn;
	(void)context;
	return failure_set(f, CODE_NOT_AVAILABLE, -EPIPE, "there are no events");
}

int nl_map_get(struct nl *nl, const char *tracker, uint32_t which, const struct uuid *epoch,
	       uint64_t start, nl_range_fn fn, void *context, struct tracker_info *ret,
	       struct failure *f)
{
	const struct nl_map_want want = {
		.which = which, .epoch = epoch, .start = start, .fn = fn, .context = context
	};

	return nl_map_read(nl, tracker, &want, ret, f);
}

int nl_map_read(struct nl *nl, const char *tracker, const struct nl_map_want *want,
		struct tracker_info *ret, struct failure *f)
{
	const struct uuid *epoch = want->epoch;
	uint32_t which = want->which;
	uint64_t start = want->start;
	cleanup_free uint8_t *blocks = NULL;
	struct tracker_info info;
	struct map map;
	int rc;

	rc = nl_tracker_get(nl, tracker, &info, f);
	if (rc)
		return rc;
	if (epoch && (!info.has_frozen || !uuid_equal(epoch, &info.frozen_uuid)))
		return failure_set(f, CODE_FILE_NOT_FOUND, -ENOENT, "that epoch is not frozen");
	map.nr = nr_blocks(info.size_sectors * SECTOR_BYTES);
	map.blocks = blocks = calloc(map.nr, 1);
	if (which & CBT_MAP_ACTIVE)
		map_load(&map, tracker, "active");
	if (which & CBT_MAP_FROZEN)
		map_load(&map, tracker, "frozen");
	if (give_suspects(tracker, want))
		return failure_set(f, CODE_FAILED, -EIO, "the suspects of %s are none", tracker);
	for (uint64_t i = start; i < map.nr;) {
		uint64_t end = i;

		while (end < map.nr && blocks[end])
			end++;
		rc = end > i ? want->fn(want->context, i, end - i) : 0;
		if (rc)
			return failure_set(f, CODE_FAILED, rc, "%s", strerror(-rc));
		i = end + 1;
	}
	if (ret)
		*ret = info;
	return 0;
}

/* --- lib/dm.h --- */

int dm_open_count(const char *name, unsigned int *ret, struct failure *f)
{
	if (exists("", "deaf"))
		return failure_set(f, CODE_NOT_AVAILABLE, -EIO,
				   "Device-mapper does not answer for mapped device %s.", name);
	if (!exists(name, "origin"))
		return failure_set(f, CODE_NOT_AVAILABLE, -ENXIO, "There is no mapped device %s.",
				   name);
	*ret = exists(name, "open");
	return 0;
}

bool dm_exists(const char *name)
{
	unsigned int count;

	return dm_open_count(name, &count, NULL) == 0;
}

int dm_rename(const char *name, const char *new_name, struct failure *f)
{
	char from[PATH_MAX];

	(void)snprintf(from, sizeof(from), "%s", path_of(name, ""));
	if (rename(from, path_of(new_name, "")) < 0)
		return failure_set(f, CODE_FAILED, -errno, "Mapped device %s cannot be renamed.",
				   name);
	return 0;
}

/* --- lib/dm_image.h --- */

/* The tracker of that UUID, by its name. */
static bool find_tracker(const struct uuid *uuid, char ret[NAME_MAX + 1])
{
	DIR *dir = opendir(path_of("", ""));
	struct dirent *entry;
	char text[PATH_MAX];
	struct uuid own;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)) != NULL) {
		if (!read_line(entry->d_name, "uuid", text, sizeof(text)) || uuid_parse(text, &own) ||
		    !uuid_equal(&own, uuid))
			continue;
		(void)snprintf(ret, NAME_MAX + 1, "%s", entry->d_name);
		found = true;
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

int dm_image_create(const char *name, const struct uuid *tracker, const struct uuid *epoch,
		    uint64_t sectors, char ret_path[PATH_MAX], struct failure *f)
{
	char tracker_name[NAME_MAX + 1];
	char text[UUID_TEXT_LEN + 1];
	char image[PATH_MAX] = "";
	char path[PATH_MAX];

	(void)sectors;
	(void)mkdir(path_of(".images", ""), 0700);
	(void)snprintf(path, sizeof(path), "%s", path_of(".images", name));
	if (find_tracker(tracker, tracker_name))
		(void)snprintf(image, sizeof(image), "%s", path_of(tracker_name, "image"));
	if (!image[0] || outcome(tracker_name, uuid_format(epoch, text)) != 'f' ||
	    link(image, path) < 0)
		return failure_set(f, CODE_FAILED, -EIO, "The image %s cannot be made.", name);
	(void)snprintf(ret_path, PATH_MAX, "%s", path);
	return 0;
}

int dm_image_remove(const char *name, struct failure *f)
{
	(void)f;
	(void)unlink(path_of(".images", name));
	return 0;
}

/* --- cuts --- */

#ifdef CUTS
#include "lib/cbt_store_format.h"
#include "lib/client.h"
#include "lib/conn.h"
#include "lib/ring.h"
#include "lib/run.h"
#include "lib/sandbox.h"
#include "lib/store.h"
#include "lib/tracker_table.h"
#include "xfer/journal_file.h"

static void step(const char *function)
{
	static unsigned int steps;
	const char *path = getenv("FAKE_CUT");
	_cleanup_(close_file_at) FILE *file = path ? fopen(path, "re") : NULL;
	unsigned int at = 0;
	char name[32] = "failbackd";
	char alone[8] = "";
	char only[32] = "";

	if (!file || fscanf(file, "%u %31s %7s %31s", &at, name, alone, only) < 1 ||
	    strcmp(name, program_invocation_short_name) != 0 ||
	    (only[0] && strcmp(only, function) != 0) || ++steps != at)
		return;
	(void)unlink(path);
	if (strcmp(name, "failbackd") != 0 && strcmp(alone, "alone") != 0)
		(void)kill(getppid(), SIGKILL);
	(void)raise(SIGKILL);
}

#define WRAP(name, params, args)          \
	int __real_##name params;         \
	int __wrap_##name params;         \
	int __wrap_##name params          \
	{                                 \
		int rc;                   \
                                          \
		step(#name);              \
		rc = __real_##name args;  \
		step(#name);              \
		return rc;                \
	}

WRAP(store_put_relationship,
     (struct store * store, const struct relationship_record *r, struct failure *f), (store, r, f))
WRAP(conn_call,
     (struct conn * c, const char *text, uint64_t timeout_us, conn_fn fn, void *context,
      struct failure *f),
     (c, text, timeout_us, fn, context, f))
WRAP(conn_send_reply,
     (struct conn * c, const char *text, uint64_t timeout_us, conn_fn fn, void *context,
      struct failure *f),
     (c, text, timeout_us, fn, context, f))

/* of failback protect, with the programs that it runs */
WRAP(run_program,
     (const char *const *argv, const char *package, bool changes, char **ret_output, struct failure *f),
     (argv, package, changes, ret_output, f))
WRAP(cbt_store_format,
     (const char *origin, const char *store, const struct cbt_store_sizes *sizes, bool force,
      struct cbt_super *ret, struct failure *f),
     (origin, store, sizes, force, ret, f))
WRAP(tracker_table_add, (const char *path, const struct tracker_entry *entry, struct failure *f),
     (path, entry, f))
WRAP(client_create,
     (struct client * client, const char *json, const char *setting_data, char ret[BUS_PATH_MAX],
      struct failure *f),
     (client, json, setting_data, ret, f))
WRAP(client_act,
     (struct client * client, const char *method, const char *vm_path, char ret[BUS_PATH_MAX],
      struct failure *f),
     (client, method, vm_path, ret, f))

WRAP(journal_file_commit,
     (struct journal_file * j, const struct journal_header *next, struct failure *f), (j, next, f))

WRAP(ring_wait, (struct ring * ring, int timeout_ms, struct ring_op **ret), (ring, timeout_ms, ret))

/* A worker that kills its parent and removes a file needs to be let. */
int __wrap_sandbox_drop(struct failure *f);
int __wrap_sandbox_filter(struct failure *f);

int __wrap_sandbox_drop(struct failure *f)
{
	(void)f;
	return 0;
}

int __wrap_sandbox_filter(struct failure *f)
{
	(void)f;
	return 0;
}

/* dm_rename() is this file's own: its callers get this one. */
int __wrap_dm_rename(const char *name, const char *new_name, struct failure *f);

int __wrap_dm_rename(const char *name, const char *new_name, struct failure *f)
{
	int rc;

	step("dm_rename");
	rc = dm_rename(name, new_name, f);
	step("dm_rename");
	return rc;
}
#endif
