// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Images of frozen epochs, and what overwriting them takes: copies, discards, a full diff area,
 * devices that fail (invariants I5, I7, I8).
 *
 * vm: disk=64M disk=96M timeout=400 quick=6.12
 * vm-allow: blk_update_request|I/O error, dev dm-|Buffer I/O error on dev dm-
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "imaged.h"

#include "kselftest_harness.h"

#define SPAN (2U << 20) /* bytes of the disk that most tests look at */

/* What every test here has. */
struct state {
	struct nl *nl;
	int fd;
	char *buffer, *before, *after;
	struct uuid epoch;
	struct failure f;
};

static void set_parameter(const char *name, unsigned int value)
{
	if (run("echo %u >/sys/module/dm_cbt/parameters/%s", value, name))
		errx(1, "no parameter %s", name);
}

static void track(const char *origin, const char *diff, uint32_t block, uint64_t nr_slots,
		  unsigned int pool_kib)
{
	set_parameter("copy_pool_kib", pool_kib);
	track_with_diff("t", origin, "/dev/vdb", diff, block / 512, nr_slots);
}

static void state_init(struct state *s)
{
	set_parameter("copy_stall_ms", 20000);
	s->nl = open_netlink();
	s->fd = -1;
	s->buffer = new_buffer(SPAN);
	s->before = new_buffer(SPAN);
	s->after = new_buffer(SPAN);
	s->epoch = new_epoch();
}

static void state_exit(struct state *s)
{
	close(s->fd);
	nl_close_at(&s->nl);
	free(s->buffer);
	free(s->before);
	free(s->after);
	/* Of a test that failed half-way. */
	(void)run("dmsetup remove_all --force >/dev/null 2>&1");
}

/* The tracker with @nr_slots of @block bytes; its first SPAN is written and frozen. */
#define START(origin, diff, block, nr_slots, pool_kib)                                       \
	do {                                                                                 \
		track(origin, diff, block, nr_slots, pool_kib);                              \
		self->s.fd = open_device("t", O_RDWR | O_DIRECT);                              \
		for (unsigned int i_ = 0; i_ < SPAN; i_++)                                   \
			self->s.before[i_] = (char)(i_ / 512 * 7 + i_ % 251);                  \
		ASSERT_EQ((ssize_t)SPAN, pwrite(self->s.fd, self->s.before, SPAN, 0));           \
		ASSERT_EQ(0, FREEZE());                                                      \
		ASSERT_EQ(0, map_image(self->s.nl, "image", "t", &self->s.epoch));               \
	} while (0)

#define STOP()                                                                               \
	do {                                                                                 \
		close(self->s.fd);                                                             \
		self->s.fd = -1;                                                               \
		unmap_device("image");                                                       \
		untrack("t");                                                           \
	} while (0)

#define NAMES ((const char *const[]){ "t" })
#define FREEZE() nl_freeze(self->s.nl, NAMES, 1, &self->s.epoch, NULL, &self->s.f)
#define COMMIT() nl_commit(self->s.nl, NAMES, 1, &self->s.epoch, NULL, &self->s.f)
#define ABORT() nl_abort(self->s.nl, NAMES, 1, &self->s.epoch, NULL, &self->s.f)

#define WRITE(offset, length)                                                                \
	ASSERT_EQ((ssize_t)(length), pwrite(self->s.fd, self->s.buffer, length, offset))

static ssize_t read_image(char *buffer, size_t length, off_t offset)
{
	int fd = open_device("image", O_RDONLY | O_DIRECT);
	ssize_t got = pread(fd, buffer, length, offset);
	int error = errno;

	close(fd);
	return got < 0 ? -error : got;
}

#define EXPECT_UNCHANGED(offset, length)                                                     \
	do {                                                                                 \
		ASSERT_EQ((ssize_t)(length), read_image(self->s.after, length, offset));       \
		EXPECT_EQ(0, memcmp(self->s.after, self->s.before + (offset), length));          \
	} while (0)

/* Waits until the image is broken; the harness's alarm is the deadline. */
static bool becomes_broken(void)
{
	while (strcmp(image_state("image"), "broken"))
		usleep(10000);
	return true;
}

FIXTURE(image)
{
	struct state s;
};

FIXTURE_VARIANT(image)
{
	uint32_t block;
};

FIXTURE_SETUP(image)
{
	state_init(&self->s);
}

FIXTURE_TEARDOWN(image)
{
	state_exit(&self->s);
}

FIXTURE_VARIANT_ADD(image, of_4k_blocks)
{
	.block = 4096,
};

FIXTURE_VARIANT_ADD(image, of_64k_blocks)
{
	.block = 65536,
};

FIXTURE_VARIANT_ADD(image, of_1m_blocks)
{
	.block = 1 << 20,
};

TEST_F(image, shows_what_was_frozen_however_it_is_overwritten)
{
	static const struct {
		uint32_t offset, length;
	} pieces[] = {
		{ 0, 4096 }, { 512, 512 }, { 8192 - 512, 1024 }, { 4096, 65536 },
		{ 65536 - 512, 1024 }, { 300000 / 512 * 512, 700000 / 512 * 512 }, { 0, SPAN },
	};

	START("/dev/vda", "/dev/vdb", variant->block, 2 * SPAN / variant->block, 16384);
	EXPECT_UNCHANGED(0U, SPAN);
	for (unsigned int i = 0; i < ARRAY_SIZE(pieces); i++) {
		WRITE(pieces[i].offset, pieces[i].length);
		EXPECT_UNCHANGED(0U, SPAN);
		EXPECT_UNCHANGED(pieces[i].offset, pieces[i].length);
	}
	ASSERT_EQ((ssize_t)SPAN, pread(self->s.fd, self->s.after, SPAN, 0));
	EXPECT_EQ(0, memcmp(self->s.after, self->s.buffer, SPAN));
	EXPECT_EQ(0, COMMIT());
	EXPECT_EQ(-EIO, read_image(self->s.after, 4096, 0));
	EXPECT_STREQ("ended", image_state("image"));
	STOP();
}

/* The pool has two buffers: the write waits for one drain after the other. */
TEST_F(image, is_kept_from_writes_and_zeroes_that_span_more_blocks_than_the_pool)
{
	uint64_t range[2] = { 0, SPAN };

	START("/dev/vda", "/dev/vdb", variant->block, 2 * SPAN / variant->block, 0);
	WRITE(512, SPAN / 2);
	EXPECT_UNCHANGED(0U, SPAN);
	ASSERT_EQ(0, ioctl(self->s.fd, BLKZEROOUT, range));
	EXPECT_UNCHANGED(0U, SPAN);
	ASSERT_EQ((ssize_t)SPAN, pread(self->s.fd, self->s.after, SPAN, 0));
	memset(self->s.buffer, 0, SPAN);
	EXPECT_EQ(0, memcmp(self->s.after, self->s.buffer, SPAN));
	EXPECT_STREQ("valid", image_state("image"));
	STOP();
}

FIXTURE(one)
{
	struct state s;
};

FIXTURE_SETUP(one)
{
	state_init(&self->s);
}

FIXTURE_TEARDOWN(one)
{
	state_exit(&self->s);
}

TEST_F(one, block_outside_of_the_epoch_is_an_error)
{
	START("/dev/vda", "/dev/vdb", 4096, 1000, 16384);
	EXPECT_EQ(-EIO, read_image(self->s.after, 4096, SPAN));
	EXPECT_EQ(-EIO, read_image(self->s.after, 8192, SPAN - 4096));
	EXPECT_UNCHANGED(SPAN - 4096, 4096);
	WRITE(SPAN, 4096); /* dirty now, but not frozen */
	EXPECT_EQ(-EIO, read_image(self->s.after, 4096, SPAN));
	STOP();
}

TEST_F(one, image_is_kept_from_discards_which_are_marked)
{
	uint64_t range[2] = { 0, SPAN }, beyond[2] = { SPAN, SPAN };

	START("/dev/vda", "/dev/vdb", 4096, 1000, 16384);
	ASSERT_EQ(0, ioctl(self->s.fd, BLKDISCARD, range));
	EXPECT_UNCHANGED(0U, SPAN);
	EXPECT_STREQ("0+512 ", map_text(self->s.nl, "t", CBT_MAP_ACTIVE));
	/* What is not frozen is discarded as ever. */
	ASSERT_EQ(0, ioctl(self->s.fd, BLKDISCARD, beyond));
	ASSERT_EQ(4096, pread(self->s.fd, self->s.after, 4096, SPAN));
	memset(self->s.buffer, 0, 4096);
	EXPECT_EQ(0, memcmp(self->s.after, self->s.buffer, 4096));
	STOP();
}

TEST_F(one, image_of_released_blocks_fails_and_an_abort_still_has_them)
{
	START("/dev/vda", "/dev/vdb", 4096, 1000, 16384);
	WRITE(0, 4096); /* block 0 has a copy, block 1 has none */
	EXPECT_EQ(0, release_blocks(self->s.nl, "t", &self->s.epoch, 0, 511));
	EXPECT_EQ(-EIO, read_image(self->s.after, 4096, 0));
	EXPECT_EQ(-EIO, read_image(self->s.after, 4096, 4096));
	WRITE(0, SPAN);
	EXPECT_EQ(-EIO, read_image(self->s.after, 4096, 0));
	EXPECT_STREQ("valid", image_state("image"));
	EXPECT_EQ(0, ABORT());
	EXPECT_STREQ("0+512 ", map_text(self->s.nl, "t", CBT_MAP_ACTIVE));
	STOP();
}

/* A copy that is being written when its block is released leaves when the write has ended. */
static uint64_t diff_used_in_the_end(struct nl *nl)
{
	struct tracker_info info = { .diff_used = UINT64_MAX };

	for (int i = 0; info.diff_used && i < 200; i++) {
		usleep(50000);
		if (nl_tracker_get(nl, "t", &info, NULL))
			break;
	}
	return info.diff_used;
}

TEST_F(one, released_blocks_leave_the_diff_area_to_others)
{
	struct tracker_info info;

	START("/dev/vda", "/dev/vdb", 4096, 300, 0);
	WRITE(0, SPAN / 2); /* 256 blocks; as many as come later have no room beside them */
	ASSERT_EQ(0, nl_tracker_get(self->s.nl, "t", &info, &self->s.f));
	EXPECT_EQ(256ULL, info.diff_used);
	EXPECT_EQ(0, release_blocks(self->s.nl, "t", &self->s.epoch, 0, 255));
	EXPECT_EQ(0ULL, diff_used_in_the_end(self->s.nl));
	WRITE(SPAN / 2, SPAN / 2);
	EXPECT_UNCHANGED(SPAN / 2, SPAN / 2);
	EXPECT_STREQ("valid", image_state("image"));
	STOP();
}

TEST_F(one, image_cannot_be_written)
{
	int fd;

	START("/dev/vda", "/dev/vdb", 4096, 1000, 16384);
	unmap_device("image");
	ASSERT_EQ(0, map_image_as(self->s.nl, "", "image", "t", &self->s.epoch));
	fd = open_device("image", O_RDWR | O_DIRECT);
	EXPECT_EQ(-1, pwrite(fd, self->s.buffer, 4096, 0));
	EXPECT_EQ(EIO, errno);
	close(fd);
	EXPECT_UNCHANGED(0U, 4096);
	STOP();
}

TEST_F(one, image_of_another_epoch_or_of_a_tracker_without_store_is_refused)
{
	struct uuid other = new_epoch();

	START("/dev/vda", "/dev/vdb", 4096, 1000, 16384);
	EXPECT_NE(0, map_image(self->s.nl, "other", "t", &other));
	EXPECT_EQ(0, run("dmesg | tail -n 5 | grep -q 'this epoch is not the frozen one'"));
	EXPECT_EQ(0, ABORT());
	EXPECT_NE(0, map_image(self->s.nl, "other", "t", &self->s.epoch));
	STOP();

	track_device("t", "/dev/vda", "");
	self->s.epoch = new_epoch();
	ASSERT_EQ(0, FREEZE());
	EXPECT_NE(0, map_image(self->s.nl, "other", "t", &self->s.epoch));
	EXPECT_EQ(0, run("dmesg | tail -n 5 | grep -q 'has no store'"));
	unmap_device("t");
}

TEST_F(one, image_of_an_earlier_epoch_does_not_show_a_later_one)
{
	START("/dev/vda", "/dev/vdb", 4096, 1000, 16384);
	EXPECT_EQ(0, ABORT());
	self->s.epoch = new_epoch();
	ASSERT_EQ(0, FREEZE());
	EXPECT_EQ(-EIO, read_image(self->s.after, 4096, 0));
	STOP();
}

TEST_F(one, tracker_can_go_under_its_image_and_the_module_cannot)
{
	START("/dev/vda", "/dev/vdb", 4096, 1000, 16384);
	WRITE(0, 4096);
	close(self->s.fd);
	self->s.fd = -1;
	unmap_device("t");
	EXPECT_EQ(-EIO, read_image(self->s.after, 4096, 0));
	EXPECT_EQ(-EIO, read_image(self->s.after, 4096, 8192));
	EXPECT_STREQ("ended", image_state("image"));
	EXPECT_NE(0, run("rmmod dm_cbt 2>/dev/null"));
	unmap_device("image");
	unmap_device("t-store");
}

TEST_F(one, reload_of_the_tracker_keeps_the_image)
{
	START("/dev/vda", "/dev/vdb", 4096, 1000, 16384);
	WRITE(0, 65536);
	ASSERT_EQ(0, run("dmsetup table t | dmsetup reload t && dmsetup suspend t && dmsetup resume t"));
	WRITE(32768, 65536);
	EXPECT_UNCHANGED(0U, SPAN);
	STOP();
}

TEST_F(one, last_block_of_an_odd_disk_is_kept)
{
	map_device("odd", "0 1003 linear /dev/vda 0");
	track("/dev/mapper/odd", "/dev/vdb", 4096, 1000, 0);
	self->s.fd = open_device("t", O_RDWR | O_DIRECT);
	memset(self->s.before, 0x77, SPAN);
	ASSERT_EQ(1003 * 512, pwrite(self->s.fd, self->s.before, 1003 * 512, 0));
	ASSERT_EQ(0, FREEZE());
	ASSERT_EQ(0, map_image(self->s.nl, "image", "t", &self->s.epoch));
	WRITE(0, 1003 * 512);
	EXPECT_UNCHANGED(0, 1003 * 512);
	EXPECT_UNCHANGED(1000 * 512, 3 * 512);
	STOP();
	unmap_device("odd");
}

TEST_F(one, write_that_must_not_wait_is_copied_for_without_its_submitter)
{
	struct iovec v = { self->s.buffer, 4096 };
	int fd;

	START("/dev/vda", "/dev/vdb", 4096, 1000, 16384);
	EXPECT_EQ(4096, pwritev2(self->s.fd, &v, 1, 0, RWF_NOWAIT));
	EXPECT_UNCHANGED(0U, SPAN);
	fd = open_device("image", O_RDONLY | O_DIRECT);
	EXPECT_EQ(4096, preadv2(fd, &v, 1, 0, RWF_NOWAIT));
	close(fd);
	STOP();
}

/* --- what breaks an epoch --- */

#define EXPECT_BROKEN(sentence)                                                              \
	do {                                                                                 \
		EXPECT_TRUE(becomes_broken());                                               \
		EXPECT_EQ(-EIO, read_image(self->s.after, 4096, 0));                           \
		EXPECT_EQ(-ECANCELED, COMMIT());                                             \
		EXPECT_NE(NULL, strstr(self->s.f.text, sentence))                              \
		{                                                                            \
			TH_LOG("%s", self->s.f.text);                                          \
		}                                                                            \
		EXPECT_EQ(0, ABORT());                                                       \
		EXPECT_STREQ("0+512 ", map_text(self->s.nl, "t", CBT_MAP_ACTIVE));             \
	} while (0)

TEST_F(one, full_diff_area_breaks_the_epoch_and_not_the_guest)
{
	START("/dev/vda", "/dev/vdb", 4096, 100, 64);
	WRITE(0, SPAN);
	EXPECT_BROKEN("full or too slow");
	self->s.epoch = new_epoch();
	EXPECT_EQ(0, FREEZE());
	EXPECT_EQ(0, COMMIT());
	STOP();
}

/* The epoch, with writes in flight to the device slow, where its diff area is. */
#define BREAK_BY_HANGING_DIFF()                                                              \
	do {                                                                                 \
		map_device("slow", "0 65536 linear /dev/vdb 65536");                         \
		START("/dev/vda", "/dev/mapper/slow", 4096, 1000, 64);                       \
		set_parameter("copy_stall_ms", 200);                                         \
		ASSERT_EQ(0, run("dmsetup suspend slow"));                                   \
		WRITE(0, SPAN);                                                              \
		EXPECT_BROKEN("full or too slow");                                           \
	} while (0)

TEST_F(one, diff_area_of_no_progress_breaks_the_epoch_and_not_the_guest)
{
	BREAK_BY_HANGING_DIFF();
	/* Its writes are still in flight: the next epoch must not use their slots. */
	self->s.epoch = new_epoch();
	ASSERT_EQ(0, FREEZE());
	ASSERT_EQ(0, run("dmsetup resume slow"));
	EXPECT_EQ(0, COMMIT());
	STOP();
	unmap_device("slow");
}

TEST_F(one, diff_area_that_cannot_be_written_breaks_the_epoch_and_not_the_guest)
{
	map_device("bad", "0 65536 linear /dev/vdb 65536");
	START("/dev/vda", "/dev/mapper/bad", 4096, 1000, 64);
	ASSERT_EQ(0, run("dmsetup suspend bad && dmsetup reload bad --table '0 65536 error' && "
			 "dmsetup resume bad"));
	WRITE(0, SPAN);
	EXPECT_BROKEN("could not be written");
	STOP();
	unmap_device("bad");
}

/* The write goes down, and fails as it would without a tracker. */
TEST_F(one, block_that_cannot_be_read_breaks_the_epoch)
{
	map_device("origin", "0 65536 linear /dev/vda 0");
	START("/dev/mapper/origin", "/dev/vdb", 4096, 1000, 16384);
	ASSERT_EQ(0, run("printf '0 8 linear /dev/vda 0\\n8 8 error\\n16 65520 linear /dev/vda 16\\n' | "
			 "dmsetup reload origin && dmsetup suspend origin && dmsetup resume origin"));
	WRITE(0, 4096);
	EXPECT_STREQ("valid", image_state("image"));
	EXPECT_EQ(-1, pwrite(self->s.fd, self->s.buffer, 4096, 4096));
	EXPECT_EQ(EIO, errno);
	WRITE(8192, 4096);
	EXPECT_BROKEN("could not be read");
	STOP();
	unmap_device("origin");
}

/* --- what is in flight --- */

struct in_flight {
	int fd;
	char *buffer;
	bool write;
	off_t offset;
	atomic_int result; /* 1: not yet */
};

static void *do_one(void *arg)
{
	struct in_flight *io = arg;
	ssize_t got = io->write ? pwrite(io->fd, io->buffer, 4096, io->offset) :
				  pread(io->fd, io->buffer, 4096, io->offset);

	atomic_store(&io->result, got == 4096 ? 0 : -errno);
	return NULL;
}

static void begin_io(struct in_flight *io, const char *device, bool write, off_t offset,
		     pthread_t *thread)
{
	*io = (struct in_flight){ open_device(device, (write ? O_RDWR : O_RDONLY) | O_DIRECT),
				  new_buffer(4096), write, offset, 1 };
	if (pthread_create(thread, NULL, do_one, io))
		err(1, "thread");
}

/* A read of block 0 of the image, which hangs since the origin is suspended. */
static void begin_read(struct in_flight *io, pthread_t *thread)
{
	char path[64], text[256];
	unsigned int nr = 0;
	struct stat st;
	FILE *file;

	begin_io(io, "image", false, 0, thread);
	if (fstat(io->fd, &st) < 0)
		err(1, "fstat");
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(st.st_rdev),
		 minor(st.st_rdev));
	while (!nr) {
		file = fopen(path, "r");
		if (!file || !fgets(text, sizeof(text), file) ||
		    sscanf(text, "%*u %*u %*u %*u %*u %*u %*u %*u %u", &nr) != 1)
			errx(1, "%s says nothing", path);
		fclose(file);
	}
}

/* A write of block 0 of the tracker, which hangs for its copy; it is marked before. */
static void begin_write(struct in_flight *io, struct nl *nl, pthread_t *thread)
{
	struct tracker_info info;
	struct failure f;

	begin_io(io, "t", true, 0, thread);
	do {
		if (nl_tracker_get(nl, "t", &info, &f) < 0)
			errx(1, "%s", f.text);
	} while (!info.dirty_active);
}

static int end_io(struct in_flight *io, pthread_t thread)
{
	pthread_join(thread, NULL);
	close(io->fd);
	free(io->buffer);
	return atomic_load(&io->result);
}

TEST_F(one, read_in_flight_fails_when_its_block_is_released_meanwhile)
{
	struct in_flight read;
	pthread_t thread;

	map_device("origin", "0 65536 linear /dev/vda 0");
	START("/dev/mapper/origin", "/dev/vdb", 4096, 1000, 16384);
	ASSERT_EQ(0, run("dmsetup suspend origin"));
	begin_read(&read, &thread);
	EXPECT_EQ(0, release_blocks(self->s.nl, "t", &self->s.epoch, 0, 0));
	EXPECT_EQ(1, atomic_load(&read.result));
	ASSERT_EQ(0, run("dmsetup resume origin"));
	EXPECT_EQ(-EIO, end_io(&read, thread));
	EXPECT_UNCHANGED(4096, 4096);
	STOP();
	unmap_device("origin");
}

TEST_F(one, read_in_flight_fails_when_the_epoch_ends_meanwhile)
{
	struct in_flight read;
	pthread_t thread;

	map_device("origin", "0 65536 linear /dev/vda 0");
	START("/dev/mapper/origin", "/dev/vdb", 4096, 1000, 16384);
	ASSERT_EQ(0, run("dmsetup suspend origin"));
	begin_read(&read, &thread);
	EXPECT_EQ(0, ABORT());
	ASSERT_EQ(0, run("dmsetup resume origin"));
	EXPECT_EQ(-EIO, end_io(&read, thread));
	STOP();
	unmap_device("origin");
}

TEST_F(one, copy_in_flight_is_dropped_when_the_epoch_ends_and_its_write_goes_on)
{
	struct in_flight write;
	pthread_t thread;

	map_device("origin", "0 65536 linear /dev/vda 0");
	START("/dev/mapper/origin", "/dev/vdb", 4096, 1000, 16384);
	ASSERT_EQ(0, run("dmsetup suspend origin"));
	begin_write(&write, self->s.nl, &thread);
	EXPECT_EQ(0, ABORT());
	ASSERT_EQ(0, run("dmsetup resume origin"));
	EXPECT_EQ(0, end_io(&write, thread));
	self->s.epoch = new_epoch();
	EXPECT_EQ(0, FREEZE());
	STOP();
	unmap_device("origin");
}

/* From now on the device below reads, or writes, its first blocks late. */
static void map_slow(const char *table)
{
	if (run("modprobe dm-delay && printf '%s\\n16 65520 linear /dev/vda 16\\n' | dmsetup reload origin && "
		"dmsetup suspend origin && dmsetup resume origin", table))
		errx(1, "no slow device");
}

/* The device below is as before, and what waits there goes on at once. */
static void hurry(void)
{
	if (run("dmsetup reload origin --table '0 65536 linear /dev/vda 0' && dmsetup suspend origin && "
		"dmsetup resume origin"))
		errx(1, "cannot suspend origin");
}

TEST_F(one, copy_that_hangs_breaks_the_epoch_though_others_go_on)
{
	uint64_t begin, block = 2;
	struct in_flight write;
	pthread_t thread;

	map_device("origin", "0 65536 linear /dev/vda 0");
	START("/dev/mapper/origin", "/dev/vdb", 4096, 1000, 16384);
	map_slow("0 16 delay /dev/vda 0 60000 /dev/vda 0 0");
	set_parameter("copy_stall_ms", 1000);
	begin = now_ns();
	begin_write(&write, self->s.nl, &thread);
	while (atomic_load(&write.result) == 1 && now_ns() - begin < 30000000000) {
		if (block < SPAN / BLOCK)
			WRITE((off_t)block++ * BLOCK, BLOCK);
		usleep(50000);
	}
	EXPECT_EQ(0, atomic_load(&write.result));
	EXPECT_LT(9000000000, now_ns() - begin);
	EXPECT_GT(SPAN / BLOCK, block);
	EXPECT_EQ(0, end_io(&write, thread));
	EXPECT_BROKEN("not in time");
	hurry();
	STOP();
	unmap_device("origin");
}

struct commit {
	struct nl *nl;
	struct uuid epoch;
	int result;
};

static void *commit_it(void *context)
{
	struct commit *c = context;
	struct failure f;

	c->result = nl_commit(c->nl, NAMES, 1, &c->epoch, NULL, &f);
	return NULL;
}

static bool is_committing(struct nl *nl)
{
	struct tracker_info info;

	return !nl_tracker_get(nl, "t", &info, NULL) && info.state == CBT_STATE_COMMITTING;
}

/* The receiver has it all; whoever commits asks again and again while the origin is flushed. */
TEST_F(one, epoch_that_breaks_while_it_is_committed_is_committed)
{
	struct commit commit = { .nl = open_netlink(), .result = 1 };
	pthread_t thread;

	map_device("origin", "0 65536 linear /dev/vda 0");
	START("/dev/mapper/origin", "/dev/vdb", 4096, 100, 64);
	map_slow("0 16 delay /dev/vda 0 0 /dev/vda 0 0 /dev/vda 0 5000");
	commit.epoch = self->s.epoch;
	ASSERT_EQ(0, pthread_create(&thread, NULL, commit_it, &commit));
	while (!is_committing(self->s.nl))
		usleep(1000);
	WRITE(0, SPAN);
	EXPECT_TRUE(becomes_broken());
	EXPECT_TRUE(is_committing(self->s.nl));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, commit.result);
	EXPECT_STREQ("0+512 ", map_text(self->s.nl, "t", CBT_MAP_ACTIVE));
	hurry();
	self->s.epoch = new_epoch();
	EXPECT_EQ(0, FREEZE());
	EXPECT_EQ(0, COMMIT());
	nl_close_at(&commit.nl);
	STOP();
	unmap_device("origin");
}

/* What fails after its epoch has ended is no harm to the next one. */
TEST_F(one, copy_that_fails_late_does_not_break_the_next_epoch)
{
	struct in_flight write;
	pthread_t thread;

	map_device("bad", "0 8 error");
	map_device("origin", "0 65536 linear /dev/vda 0");
	START("/dev/mapper/origin", "/dev/vdb", 4096, 1000, 16384);
	map_slow("0 8 delay /dev/mapper/bad 0 60000 /dev/vda 0 0\\n8 8 linear /dev/vda 8");
	begin_write(&write, self->s.nl, &thread);
	EXPECT_EQ(0, ABORT());
	EXPECT_EQ(0, end_io(&write, thread));
	unmap_device("image");
	self->s.epoch = new_epoch();
	ASSERT_EQ(0, FREEZE());
	ASSERT_EQ(0, map_image(self->s.nl, "image", "t", &self->s.epoch));
	hurry();
	/* The copying of this one comes after its end. */
	WRITE(BLOCK, BLOCK);
	EXPECT_STREQ("valid", image_state("image"));
	EXPECT_EQ(0, COMMIT());
	STOP();
	unmap_device("origin");
	unmap_device("bad");
}

TEST_F(one, diff_write_that_fails_late_does_not_break_the_next_epoch)
{
	BREAK_BY_HANGING_DIFF();
	set_parameter("copy_stall_ms", 20000);
	unmap_device("image");
	self->s.epoch = new_epoch();
	ASSERT_EQ(0, FREEZE());
	ASSERT_EQ(0, map_image(self->s.nl, "image", "t", &self->s.epoch));
	ASSERT_EQ(0, run("dmsetup reload slow --table '0 65536 error' && dmsetup resume slow"));
	/* They have ended when nothing holds their slots. */
	EXPECT_EQ(0ULL, diff_used_in_the_end(self->s.nl));
	EXPECT_STREQ("valid", image_state("image"));
	EXPECT_EQ(0, COMMIT());
	STOP();
	unmap_device("slow");
}

/*
 * The copy ends while a freeze waits for another write: 2.0 s after it began, between 1.8 and 2.2.
 * The kernel log would say that the epoch began without a buffer in reserve.
 */
TEST_F(one, copy_that_ends_while_the_next_epoch_is_prepared_leaves_its_reserve)
{
	struct in_flight write, late;
	pthread_t writer, later;
	uint64_t begin;
	int rc;

	map_device("origin", "0 65536 linear /dev/vda 0");
	START("/dev/mapper/origin", "/dev/vdb", 4096, 1000, 16384);
	map_slow("0 8 delay /dev/vda 0 2000 /dev/vda 0 0\\n8 8 delay /dev/vda 8 0 /dev/vda 8 400");
	begin = now_ns();
	begin_write(&write, self->s.nl, &writer);
	EXPECT_EQ(0, ABORT());
	EXPECT_EQ(0, end_io(&write, writer));
	while (now_ns() - begin < 1800000000)
		usleep(1000);
	begin_io(&late, "t", true, BLOCK, &later);
	usleep(10000);
	self->s.epoch = new_epoch();
	rc = FREEZE();
	/* Not on a machine that has much else to do. */
	EXPECT_TRUE(!rc || rc == -ETIMEDOUT);
	EXPECT_EQ(0, end_io(&late, later));
	hurry();
	STOP();
	unmap_device("origin");
}

TEST_HARNESS_MAIN
