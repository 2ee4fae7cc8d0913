// SPDX-License-Identifier: GPL-2.0-or-later
/* See kernel.h. */
#include "kernel.h"

#include "../../kmod/layout.h"
#include "../../kmod/reader.h"
#include "../count.h"

struct sim sim;

/* --- work --- */

bool queue_work(struct workqueue_struct *queue, struct work_struct *work)
{
	(void)queue;
	if (work->queued)
		return false;
	WARN_ON_ONCE(sim.nr_works == SIM_WORKS);
	work->queued = true;
	sim.works[sim.nr_works++] = work;
	return true;
}

static struct work_struct *take_work(u32 i)
{
	struct work_struct *work = sim.works[i];

	work->queued = false;
	sim.works[i] = sim.works[--sim.nr_works];
	return work;
}

bool cancel_work_sync(struct work_struct *work)
{
	for (u32 i = 0; i < sim.nr_works; i++)
		if (sim.works[i] == work) {
			(void)take_work(i);
			return true;
		}
	return false;
}

static void run_rcu(void)
{
	struct rcu_head *head = sim.rcu;

	sim.rcu = NULL;
	head->fn(head);
}

void rcu_barrier(void)
{
	if (sim.rcu)
		run_rcu();
}

/* --- the device --- */

static void add_write(u64 block, const u8 *data, bool fua)
{
	struct sim_write *write = &sim.writes[sim.nr_writes];

	WARN_ON_ONCE(sim.nr_writes == SIM_WRITES || block >= SIM_BLOCKS);
	sim.nr_writes++;
	write->block = block;
	write->fua = fua;
	write->complete = false;
	memcpy(write->data, data, CBT_DISK_BLOCK);
	memcpy(sim.now[block], data, CBT_DISK_BLOCK);
}

static bool is_refused(const struct bio *bio)
{
	u64 block = bio->bi_iter.bi_sector / CBT_DISK_SECTORS;

	if (!bio->nr_blocks || (block != cbt_super_slot(0) && block != cbt_super_slot(1)))
		return false;
	sim.nr_super_writes++;
	return sim.nr_super_writes > sim.super_errors_from &&
	       sim.nr_super_writes <= sim.super_errors_from + sim.nr_super_errors;
}

void submit_bio(struct bio *bio)
{
	struct sim_io *io = &sim.io[sim.nr_io];
	u32 i;

	if (bio->bi_opf & REQ_NOWAIT && next_random(&sim.random) % 4 == 0) {
		bio->bi_status = BLK_STS_AGAIN;
		bio->bi_end_io(bio);
		return;
	}
	sim.nr_io++;
	WARN_ON_ONCE(sim.nr_io > 16);
	*io = (struct sim_io){ .bio = bio, .first_write = sim.nr_writes };
	sim.nr_submitted++;
	if (sim.detached)
		return;
	if (bio->bi_opf & REQ_PREFLUSH) {
		io->flushes = sim.nr_writes;
		for (i = 0; i < sim.nr_writes; i++)
			if (sim.writes[i].complete)
				__set_bit(i, io->complete_before);
	}
	if (!op_is_write(bio_op(bio)))
		return;
	io->refused = is_refused(bio);
	if (io->refused)
		return;
	for (i = 0; i < bio->nr_blocks; i++)
		add_write(bio->bi_iter.bi_sector / CBT_DISK_SECTORS + i,
			  bio->data + i * CBT_DISK_BLOCK, bio->bi_opf & REQ_FUA);
	io->nr_writes = bio->nr_blocks;
}

static void read_now(u64 block, u32 nr, void *buffer)
{
	WARN_ON_ONCE(block + nr > SIM_BLOCKS);
	memcpy(buffer, sim.now[block], (u64)nr * CBT_DISK_BLOCK);
}

/* Writes that cannot be lost any more leave the list, as long as all is in order there. */
static void drop_durable(void)
{
	u32 i;

	if (sim.nr_io)
		return;
	for (i = 0; i < sim.nr_writes && sim.writes[i].fua && sim.writes[i].complete; i++)
		memcpy(sim.durable[sim.writes[i].block], sim.writes[i].data, CBT_DISK_BLOCK);
	sim.nr_writes -= i;
	memmove(sim.writes, sim.writes + i, sim.nr_writes * sizeof(*sim.writes));
}

static void complete_io(u32 index)
{
	struct sim_io io = sim.io[index];
	u32 i;

	sim.io[index] = sim.io[--sim.nr_io];
	if (!sim.detached) {
		/* what a flush made durable is as if it had been FUA */
		for (i = 0; i < io.flushes; i++)
			sim.writes[i].fua |= test_bit(i, io.complete_before);
		for (i = 0; i < io.nr_writes; i++)
			sim.writes[io.first_write + i].complete = true;
		drop_durable();
	}
	if (io.bio->bi_opf == REQ_OP_READ && io.bio->data)
		read_now(io.bio->bi_iter.bi_sector / CBT_DISK_SECTORS, io.bio->nr_blocks, io.bio->data);
	if (io.refused)
		io.bio->bi_status = BLK_STS_IOERR;
	io.bio->bi_end_io(io.bio);
}

static void tear(u8 *to, const u8 *from, u64 *random)
{
	u64 pieces = next_random(random);

	for (u32 i = 0; i < CBT_DISK_BLOCK / 512; i++)
		if (pieces >> i & 1)
			memcpy(to + i * 512, from + i * 512, 512);
}

void sim_cut(u8 (*ret)[CBT_DISK_BLOCK], u64 *random)
{
	u32 mood = next_random(random) % 5 * 25; /* how many of a hundred are there */
	bool tears = next_random(random) & 1;

	memcpy(ret, sim.durable, sizeof(sim.durable));
	for (u32 i = 0; i < sim.nr_writes; i++) {
		const struct sim_write *write = &sim.writes[i];

		if (write->fua && write->complete)
			memcpy(ret[write->block], write->data, CBT_DISK_BLOCK);
		else if (tears && next_random(random) % 4 == 0)
			tear(ret[write->block], write->data, random);
		else if (next_random(random) % 100 < mood)
			memcpy(ret[write->block], write->data, CBT_DISK_BLOCK);
	}
}

/* --- a reader, for whom nothing hangs --- */

struct cbt_reader {
	u8 blocks[CBT_RECOVER_BLOCKS][CBT_DISK_BLOCK];
	u8 block[CBT_DISK_BLOCK];
};

struct cbt_reader *cbt_reader_new(struct block_device *bdev, unsigned int timeout_ms)
{
	(void)bdev;
	(void)timeout_ms;
	return calloc(1, sizeof(struct cbt_reader));
}

void cbt_reader_put(struct cbt_reader *reader)
{
	free(reader);
}

void *cbt_reader_blocks(struct cbt_reader *reader)
{
	return reader->blocks;
}

void *cbt_reader_block(struct cbt_reader *reader)
{
	return reader->block;
}

int cbt_reader_init(void)
{
	return 0;
}

void cbt_reader_exit(void)
{
}

int cbt_reader_read(void *reader, u64 start, u32 nr, void *buffer)
{
	(void)reader;
	read_now(start, nr, buffer);
	return 0;
}

/* --- what happens next --- */

bool sim_step(void)
{
	u32 nr_rcu = sim.rcu && !sim.nr_readers;
	u32 nr = sim.nr_works + sim.nr_io + nr_rcu, choice;

	if (!nr)
		return false;
	choice = next_random(&sim.random) % nr;
	if (choice < sim.nr_works) {
		struct work_struct *work = take_work(choice);

		work->fn(work);
	} else if (choice < sim.nr_works + sim.nr_io) {
		complete_io(choice - sim.nr_works);
	} else {
		run_rcu();
	}
	return true;
}
