// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * FREEZE, COMMIT and ABORT: what they promise, and what they refuse without changing anything
 * (invariants I4, I6, I7).
 *
 * vm: disk=256M disk=256M disk=256M timeout=240 quick=6.1
 * vm-allow: I/O error, dev dm-
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "tracked.h"

#include "kselftest_harness.h"

static const char *const names[] = { "cbt-a", "cbt-b", "cbt-c" };
static const char *const origins[] = { "/dev/vda", "/dev/vdb", "/dev/vdc" };

#define NR ARRAY_SIZE(names)

FIXTURE(epochs)
{
	struct nl *nl;
	int fd[NR];
	char *buffer;
	struct uuid epoch;
	struct failure f;
};

FIXTURE_SETUP(epochs)
{
	for (unsigned int i = 0; i < NR; i++) {
		track_device(names[i], origins[i], "");
		self->fd[i] = open_device(names[i], O_RDWR | O_DIRECT);
	}
	self->nl = open_netlink();
	self->buffer = new_buffer(1 << 20);
	self->epoch = new_epoch();
}

FIXTURE_TEARDOWN(epochs)
{
	for (unsigned int i = 0; i < NR; i++) {
		close(self->fd[i]);
		unmap_device(names[i]);
	}
	nl_close_at(&self->nl);
	free(self->buffer);
}

/* Writes @nr blocks of disk @disk from @first on; false when that fails. */
#define WRITE(disk, first, nr)                                                        \
	ASSERT_EQ((ssize_t)(nr) * BLOCK, pwrite(self->fd[disk], self->buffer, (nr) * BLOCK, \
						(off_t)(first) * BLOCK))
#define FREEZE(nr) nl_freeze(self->nl, names, nr, &self->epoch, NULL, &self->f)
#define COMMIT(nr) nl_commit(self->nl, names, nr, &self->epoch, NULL, &self->f)
#define ABORT(nr) nl_abort(self->nl, names, nr, &self->epoch, NULL, &self->f)
#define EXPECT_MAPS(disk, active, frozen)                                              \
	do {                                                                           \
		EXPECT_STREQ(active, map_text(self->nl, names[disk], CBT_MAP_ACTIVE)); \
		EXPECT_STREQ(frozen, map_text(self->nl, names[disk], CBT_MAP_FROZEN)); \
	} while (0)

TEST_F(epochs, a_freeze_moves_the_active_map_and_tells_the_new_state)
{
	struct tracker_info before, after[2];

	WRITE(0, 3, 2);
	ASSERT_EQ(0, nl_tracker_get(self->nl, names[0], &before, &self->f));
	EXPECT_EQ(2U, before.dirty_active);
	EXPECT_FALSE(before.has_frozen);
	ASSERT_EQ(0, nl_freeze(self->nl, names, 2, &self->epoch, after, &self->f));
	EXPECT_TRUE(after[0].has_frozen);
	EXPECT_TRUE(uuid_equal(&after[0].frozen_uuid, &self->epoch));
	EXPECT_EQ(before.epoch, after[0].frozen_epoch);
	EXPECT_EQ(before.epoch + 1, after[0].epoch);
	EXPECT_EQ(2U, after[0].dirty_frozen);
	EXPECT_EQ(0U, after[0].dirty_active);
	EXPECT_EQ(0U, after[1].dirty_frozen);
	EXPECT_TRUE(uuid_equal(&before.uuid, &after[0].uuid));
	WRITE(0, 4, 2);
	EXPECT_MAPS(0, "4+2 ", "3+2 ");
	EXPECT_STREQ("3+3 ", map_text(self->nl, names[0], CBT_MAP_BOTH));
}

TEST_F(epochs, commit_drops_the_frozen_map_and_sets_the_base)
{
	struct tracker_info info;

	WRITE(0, 3, 2);
	ASSERT_EQ(0, FREEZE(1));
	WRITE(0, 9, 1);
	ASSERT_EQ(0, nl_commit(self->nl, names, 1, &self->epoch, &info, &self->f));
	EXPECT_FALSE(info.has_frozen);
	EXPECT_TRUE(info.has_base);
	EXPECT_TRUE(uuid_equal(&info.base_uuid, &self->epoch));
	EXPECT_STREQ("9+1 ", map_text(self->nl, names[0], CBT_MAP_BOTH));
}

TEST_F(epochs, abort_merges_the_frozen_map_back)
{
	struct tracker_info info;

	WRITE(0, 3, 2);
	WRITE(0, 40000, 1);
	ASSERT_EQ(0, FREEZE(1));
	WRITE(0, 4, 3);
	WRITE(0, 50000, 1);
	ASSERT_EQ(0, nl_abort(self->nl, names, 1, &self->epoch, &info, &self->f));
	EXPECT_FALSE(info.has_frozen);
	EXPECT_FALSE(info.has_base);
	EXPECT_EQ(6U, info.dirty_active);
	EXPECT_STREQ("3+4 40000+1 50000+1 ", map_text(self->nl, names[0], CBT_MAP_ACTIVE));
}

TEST_F(epochs, freeze_commit_and_abort_can_be_repeated)
{
	WRITE(0, 3, 2);
	EXPECT_EQ(0, FREEZE(2));
	WRITE(0, 7, 1);
	EXPECT_EQ(0, FREEZE(2));
	EXPECT_MAPS(0, "7+1 ", "3+2 ");
	EXPECT_EQ(0, COMMIT(2));
	WRITE(0, 9, 1);
	EXPECT_EQ(0, COMMIT(2));
	EXPECT_STREQ("7+1 9+1 ", map_text(self->nl, names[0], CBT_MAP_BOTH));
	self->epoch = new_epoch();
	EXPECT_EQ(0, FREEZE(2));
	EXPECT_EQ(0, ABORT(2));
	EXPECT_EQ(0, ABORT(2));
	EXPECT_STREQ("7+1 9+1 ", map_text(self->nl, names[0], CBT_MAP_ACTIVE));
}

TEST_F(epochs, a_commit_that_reached_some_trackers_can_be_finished)
{
	EXPECT_EQ(0, FREEZE(3));
	EXPECT_EQ(0, COMMIT(1));
	EXPECT_EQ(0, COMMIT(3));
}

TEST_F(epochs, a_second_epoch_is_refused_while_one_is_frozen)
{
	WRITE(0, 3, 2);
	ASSERT_EQ(0, FREEZE(1));
	self->epoch = new_epoch();
	EXPECT_EQ(-EBUSY, FREEZE(2));
	EXPECT_EQ(CODE_IN_USE, self->f.code);
	EXPECT_MAPS(0, "", "3+2 ");
	EXPECT_EQ(0U, strlen(map_text(self->nl, names[1], CBT_MAP_BOTH)));
}

TEST_F(epochs, the_uuid_of_an_ended_epoch_cannot_be_frozen_again)
{
	ASSERT_EQ(0, FREEZE(1));
	ASSERT_EQ(0, COMMIT(1));
	EXPECT_EQ(-EEXIST, FREEZE(1));
	self->epoch = new_epoch();
	ASSERT_EQ(0, FREEZE(1));
	ASSERT_EQ(0, ABORT(1));
	EXPECT_EQ(-EEXIST, FREEZE(1));
}

TEST_F(epochs, an_epoch_frozen_on_some_trackers_only_is_not_extended)
{
	ASSERT_EQ(0, FREEZE(1));
	EXPECT_EQ(-EEXIST, FREEZE(2));
	EXPECT_EQ(0, COMMIT(1));
}

TEST_F(epochs, commit_after_abort_and_abort_after_commit_are_refused)
{
	WRITE(0, 3, 2);
	ASSERT_EQ(0, FREEZE(1));
	ASSERT_EQ(0, ABORT(1));
	EXPECT_EQ(-ECANCELED, COMMIT(1));
	EXPECT_STREQ("3+2 ", map_text(self->nl, names[0], CBT_MAP_ACTIVE));
	self->epoch = new_epoch();
	ASSERT_EQ(0, FREEZE(1));
	ASSERT_EQ(0, COMMIT(1));
	EXPECT_EQ(-EALREADY, ABORT(1));
	EXPECT_STREQ("", map_text(self->nl, names[0], CBT_MAP_ACTIVE));
}

TEST_F(epochs, an_unknown_epoch_or_tracker_changes_nothing)
{
	const char *bad[] = { names[0], "no-such-tracker" };
	struct uuid other = new_epoch();

	WRITE(0, 3, 2);
	ASSERT_EQ(0, FREEZE(1));
	EXPECT_EQ(-ENOENT, nl_commit(self->nl, names, 1, &other, NULL, &self->f));
	EXPECT_EQ(-ENOENT, nl_abort(self->nl, names, 1, &other, NULL, &self->f));
	EXPECT_EQ(-ENOENT, COMMIT(2));
	EXPECT_EQ(-ENODEV, nl_commit(self->nl, bad, 2, &self->epoch, NULL, &self->f));
	EXPECT_MAPS(0, "", "3+2 ");
}

TEST_F(epochs, a_tracker_named_twice_is_refused)
{
	const char *twice[] = { names[0], names[1], names[0] };

	EXPECT_EQ(-EINVAL, nl_freeze(self->nl, twice, 3, &self->epoch, NULL, &self->f));
	EXPECT_EQ(0, FREEZE(3));
}

TEST_F(epochs, the_last_sixteen_outcomes_are_kept)
{
	struct uuid first = self->epoch;

	for (int i = 0; i < 16; i++) {
		ASSERT_EQ(0, FREEZE(1));
		ASSERT_EQ(0, COMMIT(1));
		EXPECT_EQ(0, nl_commit(self->nl, names, 1, &first, NULL, &self->f));
		self->epoch = new_epoch();
	}
	ASSERT_EQ(0, FREEZE(1));
	ASSERT_EQ(0, COMMIT(1));
	EXPECT_EQ(-ENOENT, nl_commit(self->nl, names, 1, &first, NULL, &self->f));
}

TEST_F(epochs, the_frozen_map_is_found_by_its_epoch_only)
{
	struct uuid other = new_epoch();

	EXPECT_EQ(-ENOENT, nl_map_get(self->nl, names[0], CBT_MAP_FROZEN, NULL, 0, text_add_range,
				      self->buffer, NULL, &self->f));
	ASSERT_EQ(0, FREEZE(1));
	EXPECT_EQ(-ENOENT, nl_map_get(self->nl, names[0], CBT_MAP_FROZEN, &other, 0,
				      text_add_range, self->buffer, NULL, &self->f));
	EXPECT_EQ(0, nl_map_get(self->nl, names[0], CBT_MAP_FROZEN, &self->epoch, 0,
				text_add_range, self->buffer, NULL, &self->f));
}

static int count_blocks(void *context, uint64_t first, uint64_t nr)
{
	(void)first;
	*(uint64_t *)context += nr;
	return 0;
}

struct ender {
	struct nl *nl;
	const char *name;
	struct uuid epoch;
	uint64_t nr_calls;
};

/* Commits the epoch whose map is being read, once it is being read. */
static int end_epoch(void *context, uint64_t first, uint64_t nr)
{
	struct ender *e = context;
	struct failure f;

	(void)first;
	(void)nr;
	if (e->nr_calls++ == 0 && nl_commit(e->nl, &e->name, 1, &e->epoch, NULL, &f) < 0)
		errx(1, "%s", f.text);
	return 0;
}

/* Several messages of map: the kernel is always one ahead of the reader. */
TEST_F(epochs, a_dump_ends_with_an_error_when_its_epoch_ends)
{
	struct ender e = { open_netlink(), "cbt-null", self->epoch, 0 };

	ASSERT_EQ(0, run("modprobe null_blk gb=4 nr_devices=1"));
	track_device("cbt-null", "/dev/nullb0", "");
	ASSERT_EQ(0, run("fio --name=w --filename=/dev/mapper/cbt-null --direct=1 --rw=randwrite "
			 "--bs=4k --ioengine=io_uring --iodepth=32 --size=4g --io_size=64m "
			 ">/dev/null"));
	ASSERT_EQ(0, nl_freeze(self->nl, &e.name, 1, &self->epoch, NULL, &self->f));
	EXPECT_EQ(-ESTALE, nl_map_get(self->nl, e.name, CBT_MAP_FROZEN, &self->epoch, 0, end_epoch,
				      &e, NULL, &self->f));
	EXPECT_EQ(CODE_INVALID_STATE, self->f.code);
	nl_close_at(&e.nl);
	unmap_device("cbt-null");
	EXPECT_EQ(0, run("rmmod null_blk"));
}

TEST_F(epochs, a_dump_can_start_anywhere)
{
	uint64_t nr = 0;

	for (int i = 0; i < 4096; i += 2)
		WRITE(0, 30720 + i, 1);
	ASSERT_EQ(0, nl_map_get(self->nl, names[0], CBT_MAP_ACTIVE, NULL, 32001, count_blocks, &nr,
				NULL, &self->f));
	EXPECT_EQ((30720U + 4096 - 32002) / 2, nr);
}

/*
 * I4. One thread writes block i of disk 0, then block i of disk 1, waiting for each. Every freeze
 * must see of disk 1 either as many blocks as of disk 0 or one less, and no block may be in both
 * of two epochs or in none.
 */
struct writer {
	int fd[2];
	char *buffer;
	atomic_bool stop;
	uint64_t nr;
};

static void *write_in_turn(void *arg)
{
	struct writer *w = arg;

	for (w->nr = 0; w->nr < 65536 && !atomic_load(&w->stop); w->nr++)
		for (int disk = 0; disk < 2; disk++)
			if (pwrite(w->fd[disk], w->buffer, BLOCK, w->nr * BLOCK) != BLOCK)
				err(1, "write");
	return NULL;
}

TEST_F(epochs, freezes_of_two_disks_are_one_instant)
{
	struct writer w = { { self->fd[0], self->fd[1] }, self->buffer, false, 0 };
	uint64_t nr_seen[2] = { 0, 0 }, nr_rounds = 0;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, write_in_turn, &w));
	while (nr_rounds < 200 && nr_seen[1] < 60000) {
		struct tracker_info info[2];

		self->epoch = new_epoch();
		ASSERT_EQ(0, nl_freeze(self->nl, names, 2, &self->epoch, info, &self->f));
		for (int disk = 0; disk < 2; disk++) {
			char range[64] = "";

			/* Exactly the blocks that follow those of the epochs before. */
			if (info[disk].dirty_frozen)
				snprintf(range, sizeof(range), "%llu+%llu ",
					 (unsigned long long)nr_seen[disk],
					 (unsigned long long)info[disk].dirty_frozen);
			ASSERT_STREQ(range, map_text(self->nl, names[disk], CBT_MAP_FROZEN));
			nr_seen[disk] += info[disk].dirty_frozen;
		}
		ASSERT_LE(nr_seen[1], nr_seen[0]);
		ASSERT_LE(nr_seen[0], nr_seen[1] + 1);
		ASSERT_EQ(0, COMMIT(2));
		nr_rounds++;
	}
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	TH_LOG("%llu freezes while %llu blocks were written", (unsigned long long)nr_rounds,
	       (unsigned long long)w.nr);
	EXPECT_LT(10U, w.nr);
}

struct one_write {
	int fd;
	char *buffer;
	atomic_bool done;
};

static void *write_one(void *arg)
{
	struct one_write *w = arg;

	if (pwrite(w->fd, w->buffer, BLOCK, 0) != BLOCK)
		err(1, "write");
	atomic_store(&w->done, true);
	return NULL;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * Disk 2 on a device that is suspended, and a write on its way to it: a freeze of all disks has
 * to wait for it until its time is up.
 */
static void hold_a_write(struct one_write *w, int *fd, pthread_t *thread, struct nl *nl)
{
	struct tracker_info info;
	struct failure f;

	map_device("below", "0 4096 linear /dev/vdc 0");
	close(*fd);
	unmap_device(names[2]);
	track_device(names[2], "/dev/mapper/below", "");
	*fd = open_device(names[2], O_RDWR | O_DIRECT);
	w->fd = *fd;
	if (run("dmsetup suspend below") || pthread_create(thread, NULL, write_one, w))
		errx(1, "cannot hold a write");
	do {
		if (nl_tracker_get(nl, names[2], &info, &f) < 0)
			errx(1, "%s", f.text);
	} while (!info.dirty_active);
}

static void let_the_write_go(struct one_write *w, pthread_t thread)
{
	if (run("dmsetup resume below"))
		errx(1, "cannot resume");
	pthread_join(thread, NULL);
	close(w->fd);
	unmap_device(names[2]);
	unmap_device("below");
}

TEST_F(epochs, a_write_that_does_not_end_times_the_freeze_out_and_nothing_is_frozen)
{
	struct one_write w = { .buffer = self->buffer };
	struct tracker_info info;
	pthread_t thread;
	double begin;

	hold_a_write(&w, &self->fd[2], &thread, self->nl);
	begin = now();
	EXPECT_EQ(-ETIMEDOUT, FREEZE(3));
	EXPECT_LT(now() - begin, 5.0);	/* 0.5 s on a machine that has nothing else to do */
	EXPECT_EQ(CODE_TIMEOUT, self->f.code);
	EXPECT_NE(NULL, strstr(self->f.text, names[2]))
	{
		TH_LOG("%s", self->f.text);
	}
	EXPECT_FALSE(atomic_load(&w.done));
	for (unsigned int i = 0; i < NR; i++) {
		ASSERT_EQ(0, nl_tracker_get(self->nl, names[i], &info, &self->f));
		EXPECT_FALSE(info.has_frozen);
		EXPECT_EQ(1U, info.epoch);
	}
	let_the_write_go(&w, thread);
	track_device(names[2], origins[2], "");
	self->fd[2] = open_device(names[2], O_RDWR | O_DIRECT);
	EXPECT_EQ(0, FREEZE(3));
}

struct freezer {
	struct nl *nl;
	atomic_bool done;
};

static void *freeze_all(void *arg)
{
	struct freezer *f = arg;
	struct uuid epoch = new_epoch();

	if (nl_freeze(f->nl, names, NR, &epoch, NULL, NULL) != -ETIMEDOUT)
		errx(1, "the freeze did not time out");
	atomic_store(&f->done, true);
	return NULL;
}

/* Nobody else writes: what waits must be woken by the opening of the gate. */
TEST_F(epochs, a_write_that_meets_a_closed_gate_goes_on_when_it_opens)
{
	struct freezer f = { open_netlink(), false };
	struct one_write w = { .buffer = self->buffer };
	pthread_t held, freezer;
	double longest = 0;

	hold_a_write(&w, &self->fd[2], &held, self->nl);
	ASSERT_EQ(0, pthread_create(&freezer, NULL, freeze_all, &f));
	while (!atomic_load(&f.done)) {
		double begin = now();

		WRITE(0, 1, 1);
		longest = max_of(longest, now() - begin);
	}
	pthread_join(freezer, NULL);
	EXPECT_LT(0.1, longest);
	EXPECT_STREQ("1+1 ", map_text(self->nl, names[0], CBT_MAP_ACTIVE));
	let_the_write_go(&w, held);
	track_device(names[2], origins[2], "");
	self->fd[2] = open_device(names[2], O_RDWR | O_DIRECT);
	nl_close_at(&f.nl);
}

struct aborter {
	struct nl *nl;
	struct uuid epoch;
	atomic_bool met; /* the commit under way */
	atomic_bool done;
	int result;
};

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		err(1, "processor %d", cpu);
}

/* Aborts as soon as the commit lets it. */
static void *abort_it(void *arg)
{
	struct aborter *a = arg;

	stay_on(0);
	usleep(50000);
	while ((a->result = nl_abort(a->nl, &names[2], 1, &a->epoch, NULL, NULL)) == -EALREADY)
		atomic_store(&a->met, true);
	atomic_store(&a->done, true);
	return NULL;
}

/* From the moment on at which the commit is under way nobody else runs on processor 1. */
static void *hog(void *arg)
{
	const struct sched_param priority = { .sched_priority = 1 };
	struct aborter *a = arg;

	stay_on(1);
	while (!atomic_load(&a->met) && !atomic_load(&a->done))
		usleep(1000);
	if (sched_setscheduler(0, SCHED_FIFO, &priority) < 0)
		err(1, "SCHED_FIFO");
	while (!atomic_load(&a->done))
		;
	return NULL;
}

/*
 * The origin's flush fails after a while. Who asked for the commit does not get to run then before
 * somebody else has aborted.
 */
TEST_F(epochs, a_commit_that_fails_and_an_abort_do_not_both_succeed)
{
	struct aborter a = { .nl = open_netlink() };
	bool overtaken = false;

	ASSERT_EQ(0, run("modprobe -a dm-delay dm-flakey"));
	map_device("bad", "0 4096 flakey /dev/vdc 0 0 3600 1 error_writes");
	map_device("below", "0 4096 delay /dev/vdc 0 0 /dev/vdc 0 0 /dev/mapper/bad 0 400");
	close(self->fd[2]);
	unmap_device(names[2]);
	track_device(names[2], "/dev/mapper/below", "");
	/* On a machine that has much else to do, the abort may come too early or too late. */
	for (unsigned int i = 0; i < 20 && !overtaken; i++) {
		pthread_t aborter, hogger;
		int rc;

		a.epoch = new_epoch();
		atomic_store(&a.met, false);
		atomic_store(&a.done, false);
		ASSERT_EQ(0, nl_freeze(self->nl, &names[2], 1, &a.epoch, NULL, &self->f));
		ASSERT_EQ(0, pthread_create(&hogger, NULL, hog, &a));
		ASSERT_EQ(0, pthread_create(&aborter, NULL, abort_it, &a));
		stay_on(1);
		rc = nl_commit(self->nl, &names[2], 1, &a.epoch, NULL, &self->f);
		pthread_join(aborter, NULL);
		pthread_join(hogger, NULL);
		EXPECT_EQ(0, a.result);
		EXPECT_TRUE(rc == -ECANCELED || rc == -EIO) {
			TH_LOG("the commit says %d", rc);
		}
		overtaken = atomic_load(&a.met) && rc == -ECANCELED;
	}
	EXPECT_TRUE(overtaken);
	nl_close_at(&a.nl);
	unmap_device(names[2]);
	unmap_device("below");
	unmap_device("bad");
	track_device(names[2], origins[2], "");
	self->fd[2] = open_device(names[2], O_RDWR | O_DIRECT);
}

TEST_HARNESS_MAIN
