// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Invariant I5 under load: two readers of an image check every sector while two writers overwrite
 * at full speed and epochs are released, committed, aborted and overflow.
 *
 * A sector tells its place, a sequence number and the time of its write, under a checksum that
 * fills it. Of a read that succeeds, every sector must be whole, written not after the freeze,
 * not older than what was acknowledged before it, and the same as any read of the epoch found
 * before. A read may fail only where blocks were released, or once the epoch ends or is broken;
 * and it must, once they are released or it has ended.
 *
 * The last claim is that enough of all this was going on.
 *
 * vm: disk=32M disk=64M timeout=240 long=1200 quick=6.12
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "count.h"
#include "imaged.h"

#define NR_SECTORS 65536U
#define NR_GRANULES (NR_SECTORS / 4) /* what a writer locks */
#define NR_THREADS 2U /* of each kind */
#define READ_MAX 256U /* sectors */
#define WRITE_MAX 2048U

struct sector {
	uint64_t place;
	uint64_t sequence;
	uint64_t time_ns;
	uint64_t fill[61];
};

static const struct session {
	uint32_t block_sectors;
	uint32_t nr_slots;
	uint32_t pool_kib;
	bool overflows;
	/*
	 * The origin's reads begin late, and only the first sectors are used, so that what should
	 * wait for a read in flight and does not is seen.
	 */
	uint32_t delay_ms;
	uint32_t nr_sectors;
} sessions[] = {
	{ 8, 8192, 256, false, 0, NR_SECTORS },
	{ 8, 1000, 256, true, 0, NR_SECTORS },
	{ 8, 8192, 256, false, 8, 2048 },
	{ 128, 512, 1024, false, 0, NR_SECTORS },
	{ 128, 100, 512, true, 0, NR_SECTORS },
	{ 128, 512, 1024, false, 8, 8192 },
	{ 2048, 32, 3072, false, 0, NR_SECTORS },
	{ 2048, 8, 2048, true, 0, NR_SECTORS },
};

/* Shared by the threads of a session. */
static atomic_bool stop_writers, pause_writers;
static atomic_uint_fast64_t sequence;
static atomic_uint_fast64_t acknowledged[NR_SECTORS];
static atomic_bool locked[NR_GRANULES];
static atomic_uint_fast64_t nr_written;

/* Of a round, one epoch. */
static atomic_bool stop_readers, ending, ended, unexplained;
static uint64_t acknowledged_before[NR_SECTORS];
static atomic_uint_fast64_t seen[NR_SECTORS];
static uint64_t freeze_end_ns;
static bool frozen[NR_SECTORS]; /* by block */
static atomic_uchar released[NR_SECTORS]; /* by block: 1 perhaps, 2 surely */
static atomic_uint_fast64_t nr_checked, nr_failed;

static const struct session *session;
static uint64_t nr_rounds[3]; /* that ended in abort, commit, broken */
static uint64_t nr_blocks;

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static void sector_fill(struct sector *s, uint64_t place, uint64_t number, uint64_t time_ns)
{
	uint64_t sum = mix(place ^ mix(number ^ mix(time_ns)));

	s->place = place;
	s->sequence = number;
	s->time_ns = time_ns;
	for (unsigned int i = 0; i < ARRAY_SIZE(s->fill); i++)
		s->fill[i] = sum += 0x9e3779b97f4a7c15ULL;
}

static bool sector_is_whole(const struct sector *s, uint64_t place)
{
	uint64_t sum = mix(s->place ^ mix(s->sequence ^ mix(s->time_ns)));

	for (unsigned int i = 0; i < ARRAY_SIZE(s->fill); i++)
		if (s->fill[i] != (sum += 0x9e3779b97f4a7c15ULL))
			return false;
	return s->place == place;
}

/* --- writers --- */

static void unlock_granules(uint64_t first, uint64_t end)
{
	for (uint64_t g = first; g < end; g++)
		atomic_store(&locked[g], false);
}

/* No two writes to a sector at once: which of them came last would not be known. */
static bool lock_granules(uint64_t first, uint64_t last)
{
	for (uint64_t g = first; g <= last; g++) {
		if (atomic_exchange(&locked[g], true)) {
			unlock_granules(first, g);
			return false;
		}
	}
	return true;
}

static void write_sectors(int fd, struct sector *buffer, uint64_t first, uint64_t nr)
{
	uint64_t number = atomic_fetch_add(&sequence, 1) + 1, time_ns = now_ns();

	for (uint64_t i = 0; i < nr; i++)
		sector_fill(&buffer[i], first + i, number, time_ns);
	if (pwrite(fd, buffer, nr * 512, (off_t)first * 512) != (ssize_t)nr * 512)
		err(1, "write");
	for (uint64_t i = 0; i < nr; i++)
		atomic_store(&acknowledged[first + i], number);
	atomic_fetch_add(&nr_written, nr);
}

static void *write_randomly(void *seed)
{
	struct sector *buffer = new_buffer(WRITE_MAX * 512);
	int fd = open_device("t", O_RDWR | O_DIRECT);
	uint64_t state = (uint64_t)(uintptr_t)seed;

	while (!atomic_load(&stop_writers)) {
		uint64_t kind = next_random(&state) % 64;
		uint64_t max = kind == 0 ? WRITE_MAX : kind < 8 ? 256 : 16;
		uint64_t first = next_random(&state) % session->nr_sectors;
		uint64_t nr = min_of(1 + next_random(&state) % max, session->nr_sectors - first);

		if (atomic_load(&pause_writers)) {
			usleep(1000);
			continue;
		}
		if (!lock_granules(first / 4, (first + nr - 1) / 4))
			continue;
		write_sectors(fd, buffer, first, nr);
		unlock_granules(first / 4, (first + nr - 1) / 4 + 1);
	}
	close(fd);
	free(buffer);
	return NULL;
}

/* --- readers --- */

static void wrong(uint64_t place, const struct sector *s, const char *what)
{
	errx(1, "block size %u, slots %u: sector %llu of the image %s: place %llu, sequence %llu, "
		"time %lld ns after the freeze; acknowledged before the freeze %llu, seen before %llu",
	     session->block_sectors, session->nr_slots, (unsigned long long)place, what,
	     (unsigned long long)s->place, (unsigned long long)s->sequence,
	     (long long)(s->time_ns - freeze_end_ns), (unsigned long long)acknowledged_before[place],
	     (unsigned long long)atomic_load(&seen[place]));
}

static void check_sector(const struct sector *s, uint64_t place)
{
	uint64_t before = 0;

	if (!sector_is_whole(s, place))
		wrong(place, s, "is torn or of another place");
	if (s->time_ns > freeze_end_ns)
		wrong(place, s, "was written after the freeze");
	if (s->sequence < acknowledged_before[place])
		wrong(place, s, "is older than what was acknowledged before the freeze");
	if (!atomic_compare_exchange_strong(&seen[place], &before, s->sequence) &&
	    before != s->sequence)
		wrong(place, s, "has changed");
}

/* The strongest that any block of the range is. */
static unsigned int released_of(uint64_t first, uint64_t nr)
{
	unsigned int most = 0;

	for (uint64_t b = first / session->block_sectors;
	     b <= (first + nr - 1) / session->block_sectors; b++)
		most = max_of(most, atomic_load(&released[b]));
	return most;
}

static bool is_frozen(uint64_t first, uint64_t nr)
{
	for (uint64_t b = first / session->block_sectors;
	     b <= (first + nr - 1) / session->block_sectors; b++)
		if (!frozen[b])
			return false;
	return true;
}

static void read_and_check(int fd, struct sector *buffer, uint64_t first, uint64_t nr)
{
	bool must_fail = !is_frozen(first, nr) || atomic_load(&ended) || released_of(first, nr) == 2;
	ssize_t got = pread(fd, buffer, nr * 512, (off_t)first * 512);

	if (got == (ssize_t)nr * 512) {
		if (must_fail)
			errx(1, "sectors %llu+%llu are %s, but the image gave them",
			     (unsigned long long)first, (unsigned long long)nr,
			     is_frozen(first, nr) ? "released" : "not frozen");
		for (uint64_t i = 0; i < nr; i++)
			check_sector(&buffer[i], first + i);
		atomic_fetch_add(&nr_checked, nr);
		return;
	}
	if (got >= 0 || errno != EIO)
		err(1, "a read of the image gave %zd", got);
	atomic_fetch_add(&nr_failed, 1);
	if (!must_fail && !released_of(first, nr) && !atomic_load(&ending))
		atomic_store(&unexplained, true);
}

static void *read_randomly(void *seed)
{
	struct sector *buffer = new_buffer(READ_MAX * 512);
	int fd = open_device("image", O_RDONLY | O_DIRECT);
	uint64_t state = (uint64_t)(uintptr_t)seed;

	while (!atomic_load(&stop_readers)) {
		uint64_t max = next_random(&state) % 4 ? 32 : READ_MAX;
		uint64_t first = next_random(&state) % session->nr_sectors;
		uint64_t nr = min_of(1 + next_random(&state) % max, session->nr_sectors - first);

		/* What is not frozen fails at once: now and then is enough. */
		if (is_frozen(first, nr) || next_random(&state) % 64 == 0)
			read_and_check(fd, buffer, first, nr);
	}
	close(fd);
	free(buffer);
	return NULL;
}

/* --- rounds --- */

static int set_frozen(void *context, uint64_t first, uint64_t nr)
{
	memset((bool *)context + first, true, nr);
	return 0;
}

static void get_map(struct nl *nl, uint32_t which, bool *blocks)
{
	struct failure f;

	memset(blocks, 0, nr_blocks);
	if (nl_map_get(nl, "t", which, NULL, 0, set_frozen, blocks, NULL, &f) < 0)
		errx(1, "%s", f.text);
}

static void freeze(struct nl *nl, const struct uuid *epoch)
{
	const char *name = "t";
	struct failure f;

	for (uint64_t i = 0; i < NR_SECTORS; i++) {
		acknowledged_before[i] = atomic_load(&acknowledged[i]);
		atomic_store(&seen[i], 0);
		atomic_store(&released[i], 0);
	}
	if (nl_freeze(nl, &name, 1, epoch, NULL, &f) < 0)
		errx(1, "%s", f.text);
	freeze_end_ns = now_ns();
	/* Else it is full before there is a reader. */
	atomic_store(&pause_writers, session->overflows);
	get_map(nl, CBT_MAP_FROZEN, frozen);
	atomic_store(&stop_readers, false);
	atomic_store(&ending, false);
	atomic_store(&ended, false);
	atomic_store(&unexplained, false);
}

static void release_some(struct nl *nl, const struct uuid *epoch, uint64_t *state)
{
	uint64_t first = next_random(state) % (session->nr_sectors / session->block_sectors);
	uint64_t nr = min_of(1 + next_random(state) % (nr_blocks / 16), nr_blocks - first);

	for (uint64_t b = first; b < first + nr; b++)
		atomic_store(&released[b], 1);
	if (release_blocks(nl, "t", epoch, first, first + nr - 1)) {
		if (!session->overflows || strcmp(image_state("image"), "broken"))
			errx(1, "release refused");
		return;
	}
	for (uint64_t b = first; b < first + nr; b++)
		atomic_store(&released[b], 2);
}

/* Ends the epoch while its image is being read. Returns whether it was broken. */
static bool end_round(struct nl *nl, const struct uuid *epoch, bool commit, bool broken)
{
	const char *name = "t";
	struct failure f;
	int rc = 0;

	if (broken && !session->overflows)
		errx(1, "the epoch is broken");
	atomic_store(&ending, true);
	if (commit) {
		rc = nl_commit(nl, &name, 1, epoch, NULL, &f);
		if (rc < 0 && (rc != -ECANCELED || !session->overflows))
			errx(1, "commit: %s", f.text);
		if (!rc && broken)
			errx(1, "a broken epoch was committed");
		broken = rc < 0;
	}
	if ((!commit || rc) && nl_abort(nl, &name, 1, epoch, NULL, &f) < 0)
		errx(1, "abort: %s", f.text);
	atomic_store(&ended, true);
	return broken;
}

static void check_merged(struct nl *nl)
{
	static bool active[NR_SECTORS];

	get_map(nl, CBT_MAP_ACTIVE, active);
	for (uint64_t b = 0; b < nr_blocks; b++)
		if (frozen[b] && !active[b])
			errx(1, "block %llu was forgotten by the abort", (unsigned long long)b);
}

static void run_round(struct nl *nl, uint64_t *state, uint64_t duration_ns)
{
	uint64_t end = now_ns() + duration_ns;
	struct uuid epoch = new_epoch();
	bool commit = (nr_rounds[0] + nr_rounds[1] + nr_rounds[2]) % 2, broken;
	pthread_t readers[NR_THREADS];

	freeze(nl, &epoch);
	if (map_image(nl, "image", "t", &epoch))
		errx(1, "no image");
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pthread_create(&readers[i], NULL, read_randomly,
			       (void *)(uintptr_t)next_random(state));
	do {
		usleep(50000);
		atomic_store(&pause_writers, false);
		if (!session->overflows || next_random(state) % 4 == 0)
			release_some(nl, &epoch, state);
	} while (now_ns() < end || (session->overflows && strcmp(image_state("image"), "broken") &&
				    now_ns() < end + 20000000000));
	if (atomic_load(&unexplained) && strcmp(image_state("image"), "broken"))
		errx(1, "a read of the image failed for no reason");
	broken = end_round(nl, &epoch, commit, !strcmp(image_state("image"), "broken"));
	usleep(20000);
	atomic_store(&stop_readers, true);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pthread_join(readers[i], NULL);
	if (!commit || broken)
		check_merged(nl);
	unmap_device("image");
	nr_rounds[broken ? 2 : commit]++;
}

static void check_contents(void)
{
	struct sector *buffer = new_buffer(READ_MAX * 512);
	int fd = open_device("t", O_RDONLY | O_DIRECT);

	for (uint64_t first = 0; first < NR_SECTORS; first += READ_MAX) {
		if (pread(fd, buffer, READ_MAX * 512, (off_t)first * 512) != READ_MAX * 512)
			err(1, "read");
		for (uint64_t i = 0; i < READ_MAX; i++)
			if (!sector_is_whole(&buffer[i], first + i) ||
			    buffer[i].sequence != atomic_load(&acknowledged[first + i]))
				errx(1, "a write to sector %llu was lost",
				     (unsigned long long)(first + i));
	}
	close(fd);
	free(buffer);
}

static void set_parameter(const char *name, unsigned int value)
{
	if (run("echo %u >/sys/module/dm_cbt/parameters/%s", value, name))
		errx(1, "no parameter %s", name);
}

static void fill_disk(void)
{
	struct sector *buffer = new_buffer(WRITE_MAX * 512);
	int fd = open_device("t", O_RDWR | O_DIRECT);

	for (uint64_t first = 0; first < NR_SECTORS; first += WRITE_MAX)
		write_sectors(fd, buffer, first, WRITE_MAX);
	close(fd);
	free(buffer);
}

static void run_session(struct nl *nl, uint64_t *state, uint64_t duration_ns)
{
	uint64_t end = now_ns() + duration_ns;
	pthread_t writers[NR_THREADS];
	char line[128];

	nr_blocks = NR_SECTORS / session->block_sectors;
	set_parameter("copy_pool_kib", session->pool_kib);
	/* Only a full diff area is to overflow here, however slow the machine is. */
	set_parameter("copy_stall_ms", 20000);
	snprintf(line, sizeof(line), "0 %u delay /dev/vda 0 %u /dev/vda 0 0", NR_SECTORS,
		 session->delay_ms);
	if (session->delay_ms)
		map_device("late", line);
	track_with_diff("t", session->delay_ms ? "/dev/mapper/late" : "/dev/vda", "/dev/vdb", "/dev/vdb",
			session->block_sectors, session->nr_slots);
	fill_disk();
	atomic_store(&stop_writers, false);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pthread_create(&writers[i], NULL, write_randomly,
			       (void *)(uintptr_t)next_random(state));
	do
		run_round(nl, state, 300000000);
	while (now_ns() < end);
	atomic_store(&stop_writers, true);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		pthread_join(writers[i], NULL);
	check_contents();
	untrack("t");
	if (session->delay_ms)
		unmap_device("late");
}

int main(void)
{
	uint64_t seed = new_seed(), state = seed, required = required_count(12, 300);
	uint64_t begin = now_ns(), nr_sessions = 0;
	struct nl *nl = open_netlink();

	if (run("modprobe dm-delay"))
		errx(1, "no dm-delay");
	printf("TAP version 13\n1..2\n");
	while (now_ns() - begin < required * 1000000000 || nr_sessions < ARRAY_SIZE(sessions)) {
		session = &sessions[nr_sessions++ % ARRAY_SIZE(sessions)];
		run_session(nl, &state, 1500000000);
		printf("# block size %u, %u slots: by now %llu sectors of images checked, %llu reads "
		       "failed, %llu sectors written; epochs: %llu aborted, %llu committed, %llu broken\n",
		       session->block_sectors, session->nr_slots,
		       (unsigned long long)atomic_load(&nr_checked),
		       (unsigned long long)atomic_load(&nr_failed),
		       (unsigned long long)atomic_load(&nr_written),
		       (unsigned long long)nr_rounds[0], (unsigned long long)nr_rounds[1],
		       (unsigned long long)nr_rounds[2]);
	}
	nl_close_at(&nl);
	printf("%s 1 - images stay as they were frozen\n",
	       enough_done(seed, (now_ns() - begin) / 1000000000, required) ? "ok" : "not ok");
	printf("%s 2 - epochs were aborted, committed and broken by overflow\n",
	       nr_rounds[0] && nr_rounds[1] && nr_rounds[2] ? "ok" : "not ok");
	return 0;
}
