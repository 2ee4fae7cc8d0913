// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest's half of tests/e2e/cut-tracker.sh: writers on a tracked device, and a receiver who
 * follows it as Failback does.
 *
 *	cut_tracker ORIGIN STORE REPLICA CONTROL TRACKER-UUID ROUNDS SEED
 *
 * Three writers run until the end: one at random places, one in sequence, one again and again in a few
 * blocks; they also discard, up to the whole disk, write zeroes, and seldom flush. In every
 * other round an epoch is frozen, its image is copied to REPLICA block by block, and the epoch is
 * committed or aborted; between them the table is loaded anew, or the device removed and made again.
 * So at each moment, and after a power cut at any, a block that differs between ORIGIN and REPLICA
 * must be dirty.
 *
 * Data is written only to a small part of the disk, so that all else, which the discards reach, is
 * known to be zeroes and need not be read. Into CONTROL go the marks
 *
 *	base EPOCH replica	REPLICA holds all of the epoch
 *	commit EPOCH		the commit is asked for
 *	committed EPOCH		... and was acknowledged
 *	stopped			the device is away, and soon made again
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "count.h"
#include "vm/tracked.h"

#define NAME "cut"
#define IMAGE "cut-image"
#define NR_WRITERS 3

/* Where data is written: so many extents, in as many regions of the tracker's log. */
#define NR_EXTENTS 160ULL
#define EXTENT (32ULL << 10)

static struct shared {
	bool pause, stop;
	bool paused[NR_WRITERS];
	uint64_t nr_writes[NR_WRITERS];
} *shared;

static const char *origin, *store, *replica, *tracker;
static int control;
static uint64_t size;

#define get(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define set(x, v) __atomic_store_n(&(x), v, __ATOMIC_SEQ_CST)

/* --- writers --- */

static uint64_t extent_start(uint64_t i)
{
	return size / NR_EXTENTS * i / (1 << 20) * (1 << 20);
}

/* The @at-th byte of those that are written, as a place on the disk; @length is cut at its extent. */
static uint64_t place(uint64_t at, uint64_t *length)
{
	at %= NR_EXTENTS * EXTENT;
	if (*length > EXTENT - at % EXTENT)
		*length = EXTENT - at % EXTENT;
	return extent_start(at / EXTENT) + at % EXTENT;
}

static void must_pwrite(int fd, void *buffer, uint64_t length, uint64_t offset)
{
	if (pwrite(fd, buffer, length, offset) != (ssize_t)length)
		err(1, "write to the tracked device");
}

/* Every sector says what nothing else says. */
static void fill(unsigned char *buffer, uint64_t length, uint64_t *random)
{
	for (uint64_t at = 0; at < length; at += 512)
		*(uint64_t *)(buffer + at) = next_random(random);
}

static void ranges_ioctl(int fd, unsigned long request, uint64_t offset, uint64_t length)
{
	uint64_t range[2] = { offset, length };

	if (ioctl(fd, request, range) < 0)
		err(1, "discard or zero");
}

/* All of the disk, 4 GiB of it, or little. */
static void discard(int fd, uint64_t *random)
{
	uint64_t length = 4096 << next_random(random) % 4;
	uint64_t big = next_random(random) % 32, offset;

	if (big == 0) {
		ranges_ioctl(fd, BLKDISCARD, 0, size);
	} else if (big == 1) {
		length = 4ULL << 30;
		ranges_ioctl(fd, BLKDISCARD, next_random(random) % ((size - length) / 4096 + 1) * 4096,
			     length);
	} else {
		offset = place(next_random(random) / 4096 * 4096, &length);
		ranges_ioctl(fd, BLKDISCARD, offset, length);
	}
}

static void write_once(int fd, unsigned int kind, unsigned char *buffer, uint64_t *random,
		       uint64_t *next)
{
	uint64_t what = next_random(random) % 256;
	uint64_t length = 512 << next_random(random) % 6, offset;

	if (kind == 0)
		offset = place(next_random(random) / 512 * 512, &length);
	else if (kind == 1)
		length = 16384, offset = place(*next, &length);
	else
		offset = place(next_random(random) % 8 * 4096, &length);
	*next += length;
	if (what == 0) {
		if (fdatasync(fd) < 0)
			err(1, "flush");
	} else if (what < 3) {
		discard(fd, random);
	} else if (what < 5) {
		ranges_ioctl(fd, BLKZEROOUT, offset, length);
	} else {
		fill(buffer, length, random);
		must_pwrite(fd, buffer, length, offset);
	}
}

static _Noreturn void writer(unsigned int kind, uint64_t seed)
{
	uint64_t random = seed * NR_WRITERS + kind, next = 0;
	unsigned char *buffer = new_buffer(EXTENT);
	int fd = open_device(NAME, O_RDWR | O_DIRECT);

	while (!get(shared->stop)) {
		if (get(shared->pause)) {
			close(fd);
			set(shared->paused[kind], true);
			while (get(shared->pause))
				usleep(1000);
			set(shared->paused[kind], false);
			fd = open_device(NAME, O_RDWR | O_DIRECT);
		}
		write_once(fd, kind, buffer, &random, &next);
		set(shared->nr_writes[kind], shared->nr_writes[kind] + 1);
	}
	close(fd);
	_exit(0);
}

static void check_children(void)
{
	int status;

	if (waitpid(-1, &status, WNOHANG) > 0)
		errx(1, "a writer died with status %x", status);
}

static void pause_writers(void)
{
	set(shared->pause, true);
	for (int i = 0; i < NR_WRITERS; i++)
		while (!get(shared->paused[i])) {
			check_children();
			usleep(1000);
		}
}

static void resume_writers(void)
{
	set(shared->pause, false);
	for (int i = 0; i < NR_WRITERS; i++)
		while (get(shared->paused[i]))
			usleep(1000);
}

static void await_writes(uint64_t more)
{
	uint64_t until[NR_WRITERS];

	for (int i = 0; i < NR_WRITERS; i++)
		until[i] = get(shared->nr_writes[i]) + more;
	for (int i = 0; i < NR_WRITERS; i++)
		while (get(shared->nr_writes[i]) < until[i]) {
			check_children();
			usleep(1000);
		}
}

/* --- the receiver --- */

static void printf_like(1, 2) mark(const char *fmt, ...)
{
	static unsigned char *sector;
	va_list ap;

	if (!sector)
		sector = new_buffer(4096);
	memset(sector, 0, 512);
	va_start(ap, fmt);
	(void)vsnprintf((char *)sector, 512, fmt, ap);
	va_end(ap);
	if (pwrite(control, sector, 512, 0) != 512)
		err(1, "mark");
}

struct copy {
	int from, to;
	uint32_t block;
	unsigned char *buffer;
	bool failed;
};

static void copy_data(struct copy *copy, uint64_t start, uint64_t end)
{
	uint64_t length = end - start;

	if (pread(copy->from, copy->buffer, length, start) != (ssize_t)length)
		copy->failed = true; /* the epoch is broken: it cannot be committed */
	else if (pwrite(copy->to, copy->buffer, length, start) != (ssize_t)length)
		err(1, "%s", replica);
}

/* A run of frozen blocks: data where there may be some, zeroes elsewhere. */
static int copy_run(void *context, uint64_t first, uint64_t nr)
{
	struct copy *copy = context;
	uint64_t at = first * copy->block, end = at + nr * copy->block, next;

	if (end > size)
		end = size;
	for (uint64_t i = 0; !copy->failed && at < end; i++) {
		uint64_t start = i < NR_EXTENTS ? extent_start(i) : size;

		next = start < end ? start : end;
		if (at < next) {
			ranges_ioctl(copy->to, BLKDISCARD, at, next - at);
			at = next;
		}
		next = start + EXTENT < end ? start + EXTENT : end;
		if (i < NR_EXTENTS && at < next) {
			copy_data(copy, at, next);
			at = next;
		}
	}
	return 0;
}

/* Fails when the epoch is broken already, as an overflow does it. */
static bool make_image(const struct uuid *epoch)
{
	char text[UUID_TEXT_LEN + 1];

	return !run("dmsetup create %s --table '0 %llu cbt-image %s %s' 2>/dev/null && dmsetup mknodes %s",
		    IMAGE, (unsigned long long)size / 512, tracker, uuid_format(epoch, text), IMAGE);
}

/* Whether the replica holds all of the frozen epoch. */
static bool copy_epoch(struct nl *nl, const struct uuid *epoch)
{
	struct copy copy = { .buffer = new_buffer(EXTENT) };
	struct tracker_info info;
	struct failure f;

	if (!make_image(epoch))
		return false;
	copy.from = open_device(IMAGE, O_RDONLY | O_DIRECT);
	copy.to = open(replica, O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (copy.to < 0)
		err(1, "%s", replica);
	if (nl_tracker_get(nl, NAME, &info, &f) < 0)
		errx(1, "%s", f.text);
	copy.block = info.block_sectors * 512;
	if (nl_map_get(nl, NAME, CBT_MAP_FROZEN, epoch, 0, copy_run, &copy, NULL, &f) < 0)
		errx(1, "frozen map: %s", f.text);
	close(copy.from);
	close(copy.to);
	free(copy.buffer);
	unmap_device(IMAGE);
	return !copy.failed;
}

typedef int epoch_command(struct nl *nl, const char *const *trackers, size_t nr,
			  const struct uuid *epoch, struct tracker_info *ret, struct failure *f);

static int repeat(epoch_command *command, struct nl *nl, const struct uuid *epoch, const char *what)
{
	static const char *const names[] = { NAME };
	struct failure f;
	int rc;

	do
		rc = command(nl, names, 1, epoch, NULL, &f);
	while (rc == -EINPROGRESS);
	if (rc < 0)
		warnx("%s: %s", what, f.text);
	return rc;
}

static void replicate(struct nl *nl, uint64_t *random, unsigned int *nr_commits)
{
	bool paused = next_random(random) % 4, commit = next_random(random) % 4;
	struct uuid epoch = new_epoch();
	char text[UUID_TEXT_LEN + 1];

	uuid_format(&epoch, text);
	if (repeat(nl_freeze, nl, &epoch, "freeze") < 0)
		return;
	/* Copies for writers at full speed are slow here, and may break the epoch. */
	if (paused)
		pause_writers();
	commit &= copy_epoch(nl, &epoch);
	if (paused)
		resume_writers();
	if (commit) {
		mark("base %s replica", text);
		mark("commit %s", text);
		commit = repeat(nl_commit, nl, &epoch, "commit") == 0;
	}
	if (commit) {
		mark("committed %s", text);
		++*nr_commits;
	} else if (repeat(nl_abort, nl, &epoch, "abort") < 0) {
		exit(1);
	}
}

/* --- the device --- */

static void table(char *line, size_t length)
{
	snprintf(line, length, "0 %llu cbt %s %s", (unsigned long long)size / 512, origin, store);
}

static void reload(void)
{
	char line[256];

	table(line, sizeof(line));
	if (run("dmsetup reload %s --table '%s' && dmsetup resume %s", NAME, line, NAME))
		errx(1, "the table cannot be loaded anew");
}

static void make(void)
{
	char line[256];

	table(line, sizeof(line));
	map_device(NAME, line);
}

static void make_again(void)
{
	pause_writers();
	unmap_device(NAME);
	/* Cuts are aimed at marks: here the store says what the origin is like. */
	mark("stopped");
	make();
	resume_writers();
}

static void go_round(struct nl *nl, unsigned int round, uint64_t *random, unsigned int *nr_commits)
{
	await_writes(next_random(random) % 64);
	if (round % 4 == 1)
		reload();
	else if (round % 4 == 3)
		make_again();
	else
		replicate(nl, random, nr_commits);
}

int main(int argc, char **argv)
{
	unsigned int rounds, nr_commits = 0;
	uint64_t random;
	struct nl *nl;

	if (argc != 8)
		errx(2, "usage: cut_tracker ORIGIN STORE REPLICA CONTROL TRACKER-UUID ROUNDS SEED");
	origin = argv[1], store = argv[2], replica = argv[3], tracker = argv[5];
	rounds = strtoul(argv[6], NULL, 0);
	random = strtoull(argv[7], NULL, 0);
	size = sectors_of(origin) * 512;
	control = open(argv[4], O_WRONLY | O_DIRECT | O_CLOEXEC);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (control < 0 || shared == MAP_FAILED)
		err(1, "%s", argv[4]);
	make();
	for (int i = 0; i < NR_WRITERS; i++)
		if (fork() == 0)
			writer(i, random);
	nl = open_netlink();
	/* without commits the cuts would say little */
	for (unsigned int i = 0; i < rounds || (nr_commits < rounds / 4 && i < 8 * rounds); i++)
		go_round(nl, i, &random, &nr_commits);
	if (run("dmsetup status %s | grep -qw active", NAME))
		errx(1, "the tracker is not active at the end");
	printf("commits=%u rounds=%u\n", nr_commits, rounds);
	set(shared->stop, true);
	while (wait(NULL) > 0)
		;
	return 0;
}
