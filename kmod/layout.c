// SPDX-License-Identifier: GPL-2.0-or-later OR MIT
/*
 * Reading back what the store says (cbt_recover): the maps are the union of live pages and live
 * log records. Every doubt is resolved towards dirty, with one exception: a log block that does
 * not verify is one whose write never ended, so nobody relied on it.
 */
#include "layout.h"

#define LEAF_HALVES	2
#define INDEX_BITS	((u64)CBT_DISK_BITS)

/* Of a signed block: the CRC32C over all of it, with the field itself as zero. */
static u32 block_crc(const void *block, size_t crc_offset)
{
	static const u8 zero[4];
	const u8 *p = block;
	u32 crc = crc32c(~0U, p, crc_offset);

	crc = crc32c(crc, zero, sizeof(zero));
	crc_offset += sizeof(zero);
	return ~crc32c(crc, p + crc_offset, CBT_DISK_BLOCK - crc_offset);
}

#define BLOCK_CRC(p) block_crc(p, offsetof(__typeof__(*(p)), crc))

static bool is_power_of_two(u64 n)
{
	return n && !(n & (n - 1));
}

/*--------------------------------------------------------------------------------------------------
 * Geometry
 */

static u64 round_up_to(u64 n, u64 unit)
{
	return DIV_ROUND_UP(n, unit) * unit;
}

static int geometry_check(const struct cbt_geometry *geo, const char **why)
{
	if (!geo->size_sectors) {
		*why = "the disk has no size";
		return -EINVAL;
	}
	if (!is_power_of_two(geo->block_sectors) || geo->block_sectors < 8 ||
	    geo->block_sectors > 2048) {
		*why = "the block size must be a power of two from 4 KiB to 1 MiB";
		return -EINVAL;
	}
	/* So that the regions of half a leaf are whole, and fit into a page's `suspect`. */
	if (!is_power_of_two(geo->region_sectors) ||
	    cbt_geometry_region_blocks(geo) < CBT_DISK_BITS / 4096 ||
	    cbt_geometry_region_blocks(geo) > CBT_DISK_BITS) {
		*why = "the region size must be a power of two from 4 to 16384 blocks";
		return -EINVAL;
	}
	if (geo->log_half_blocks < 8 || geo->log_half_blocks > 1U << 20) {
		*why = "a half of the log must have from 8 to 1048576 blocks of 4 KiB";
		return -EINVAL;
	}
	if (geo->size_sectors > ~0ULL >> 1 || cbt_geometry_nr_blocks(geo) > CBT_MAP_BLOCKS_MAX) {
		*why = "the disk has too many blocks: choose a larger block size";
		return -EFBIG;
	}
	return 0;
}

int cbt_geometry_plan(struct cbt_geometry *geo, const char **why)
{
	int error = geometry_check(geo, why);
	u64 leaves, end, slot;

	if (error)
		return error;
	leaves = DIV_ROUND_UP(cbt_geometry_nr_blocks(geo), (u64)CBT_DISK_LEAF_BLOCKS);
	geo->nr_leaves = max(geo->nr_leaves, leaves);
	if (geo->nr_leaves > CBT_MAP_BLOCKS_MAX / CBT_DISK_LEAF_BLOCKS) {
		*why = "the capacity wanted has too many blocks: choose a larger block size";
		return -EFBIG;
	}
	slot = geo->block_sectors / CBT_DISK_SECTORS;
	geo->index_start = CBT_DISK_LOG_START + 2 * geo->log_half_blocks;
	geo->index_blocks = DIV_ROUND_UP(geo->nr_leaves, INDEX_BITS);
	geo->map_start = geo->index_start + geo->index_blocks;
	end = geo->map_start + LEAF_HALVES * geo->nr_leaves;
	geo->diff_start = round_up_to(end, slot);
	geo->nr_diff_slots = 0;
	if (geo->store_blocks < end) {
		geo->store_blocks = end;
		*why = "the store is too small";
		return -ENOSPC;
	}
	if (geo->store_blocks > geo->diff_start)
		geo->nr_diff_slots = (geo->store_blocks - geo->diff_start) / slot;
	return 0;
}

/* Whether a geometry that was read is the one that would be planned. */
static int geometry_verify(const struct cbt_geometry *geo, const char **why)
{
	struct cbt_geometry plan = *geo;
	int error;

	if (geo->store_blocks > ~0ULL >> 13) {
		*why = "the superblock's sizes are impossible";
		return -EINVAL;
	}
	error = cbt_geometry_plan(&plan, why);
	if (error)
		return -EINVAL;
	if (plan.index_start != geo->index_start || plan.index_blocks != geo->index_blocks ||
	    plan.map_start != geo->map_start || plan.nr_leaves != geo->nr_leaves ||
	    plan.diff_start != geo->diff_start || plan.nr_diff_slots != geo->nr_diff_slots) {
		*why = "the superblock's sizes contradict each other";
		return -EINVAL;
	}
	return 0;
}

/*--------------------------------------------------------------------------------------------------
 * Superblock
 */

static void geometry_encode(const struct cbt_geometry *geo, struct cbt_disk_super *d)
{
	d->size_sectors = cpu_to_le64(geo->size_sectors);
	d->block_sectors = cpu_to_le32(geo->block_sectors);
	d->region_sectors = cpu_to_le32(geo->region_sectors);
	d->store_blocks = cpu_to_le64(geo->store_blocks);
	d->log_half_blocks = cpu_to_le64(geo->log_half_blocks);
	d->index_start = cpu_to_le64(geo->index_start);
	d->index_blocks = cpu_to_le64(geo->index_blocks);
	d->map_start = cpu_to_le64(geo->map_start);
	d->nr_leaves = cpu_to_le64(geo->nr_leaves);
	d->diff_start = cpu_to_le64(geo->diff_start);
	d->nr_diff_slots = cpu_to_le64(geo->nr_diff_slots);
}

static void geometry_decode(struct cbt_geometry *geo, const struct cbt_disk_super *d)
{
	geo->size_sectors = le64_to_cpu(d->size_sectors);
	geo->block_sectors = le32_to_cpu(d->block_sectors);
	geo->region_sectors = le32_to_cpu(d->region_sectors);
	geo->store_blocks = le64_to_cpu(d->store_blocks);
	geo->log_half_blocks = le64_to_cpu(d->log_half_blocks);
	geo->index_start = le64_to_cpu(d->index_start);
	geo->index_blocks = le64_to_cpu(d->index_blocks);
	geo->map_start = le64_to_cpu(d->map_start);
	geo->nr_leaves = le64_to_cpu(d->nr_leaves);
	geo->diff_start = le64_to_cpu(d->diff_start);
	geo->nr_diff_slots = le64_to_cpu(d->nr_diff_slots);
}

void cbt_super_encode(const struct cbt_super *super, void *block)
{
	struct cbt_disk_super *d = block;
	u32 i;

	BUILD_BUG_ON(sizeof(*d) != CBT_DISK_BLOCK);
	memset(d, 0, sizeof(*d));
	memcpy(d->magic, CBT_DISK_SUPER_MAGIC, sizeof(d->magic));
	d->version = cpu_to_le32(CBT_DISK_VERSION);
	memcpy(d->uuid, super->id.uuid, 16);
	d->generation = cpu_to_le64(super->generation);
	d->lineage = cpu_to_le64(super->id.lineage);
	d->sequence = cpu_to_le64(super->sequence);
	geometry_encode(&super->geo, d);
	d->flags = cpu_to_le32(super->flags);
	d->nr_outcomes = cpu_to_le32(super->nr_outcomes);
	d->epoch = cpu_to_le64(super->epoch);
	d->committed = cpu_to_le64(super->committed);
	d->log_sequence = cpu_to_le64(super->log_sequence);
	d->frozen_epoch = cpu_to_le64(super->frozen_epoch);
	memcpy(d->frozen_uuid, super->frozen_uuid, 16);
	memcpy(d->base_uuid, super->base_uuid, 16);
	d->fingerprint_seed = cpu_to_le64(super->fingerprint_seed);
	d->fingerprint = cpu_to_le64(super->fingerprint);
	for (i = 0; i < CBT_DISK_OUTCOMES; i++) {
		memcpy(d->outcomes[i].epoch_uuid, super->outcomes[i].epoch_uuid, 16);
		d->outcomes[i].epoch = cpu_to_le64(super->outcomes[i].epoch);
		d->outcomes[i].result = cpu_to_le32(super->outcomes[i].result);
	}
	memcpy(d->label, super->label, sizeof(d->label));
	d->crc = cpu_to_le32(BLOCK_CRC(d));
}

static void super_read(struct cbt_super *s, const struct cbt_disk_super *d)
{
	u32 i;

	memcpy(s->id.uuid, d->uuid, 16);
	s->generation = le64_to_cpu(d->generation);
	s->id.lineage = le64_to_cpu(d->lineage);
	s->sequence = le64_to_cpu(d->sequence);
	geometry_decode(&s->geo, d);
	s->flags = le32_to_cpu(d->flags);
	s->nr_outcomes = le32_to_cpu(d->nr_outcomes);
	s->epoch = le64_to_cpu(d->epoch);
	s->committed = le64_to_cpu(d->committed);
	s->log_sequence = le64_to_cpu(d->log_sequence);
	s->frozen_epoch = le64_to_cpu(d->frozen_epoch);
	memcpy(s->frozen_uuid, d->frozen_uuid, 16);
	memcpy(s->base_uuid, d->base_uuid, 16);
	s->fingerprint_seed = le64_to_cpu(d->fingerprint_seed);
	s->fingerprint = le64_to_cpu(d->fingerprint);
	for (i = 0; i < CBT_DISK_OUTCOMES; i++) {
		memcpy(s->outcomes[i].epoch_uuid, d->outcomes[i].epoch_uuid, 16);
		s->outcomes[i].epoch = le64_to_cpu(d->outcomes[i].epoch);
		s->outcomes[i].result = le32_to_cpu(d->outcomes[i].result);
	}
	memcpy(s->label, d->label, sizeof(s->label));
}

/* Epochs, generations and sequences stay below it, far from wrapping: what does not is forged. */
#define NUMBER_LIMIT (1ULL << 62)

/* And an order that only a bug or a forger breaks. */
static bool super_is_coherent(const struct cbt_super *s)
{
	return s->epoch && s->id.lineage && s->id.lineage <= s->generation &&
	       s->generation < NUMBER_LIMIT && s->epoch < NUMBER_LIMIT &&
	       s->sequence < NUMBER_LIMIT && s->log_sequence < NUMBER_LIMIT &&
	       s->committed < s->epoch && s->frozen_epoch < s->epoch &&
	       (!s->frozen_epoch || s->frozen_epoch > s->committed);
}

int cbt_super_decode(struct cbt_super *super, const void *block, const char **why)
{
	const struct cbt_disk_super *d = block;
	int error;

	if (memcmp(d->magic, CBT_DISK_SUPER_MAGIC, sizeof(d->magic))) {
		*why = "the device holds no store: format it first";
		return -ENODATA;
	}
	if (le32_to_cpu(d->crc) != BLOCK_CRC(d)) {
		*why = "the superblock is damaged";
		return -EBADMSG;
	}
	if (le32_to_cpu(d->version) != CBT_DISK_VERSION) {
		*why = "the store is of another version";
		return -EPROTO;
	}
	super_read(super, d);
	error = geometry_verify(&super->geo, why);
	if (error)
		return error;
	if (!super_is_coherent(super)) {
		*why = "the superblock's epochs contradict each other";
		return -EINVAL;
	}
	return 0;
}

void cbt_super_add_outcome(struct cbt_super *super, const u8 epoch_uuid[16], u64 epoch, u32 result)
{
	struct cbt_super_outcome *o = &super->outcomes[super->nr_outcomes++ % CBT_DISK_OUTCOMES];

	memcpy(o->epoch_uuid, epoch_uuid, 16);
	o->epoch = epoch;
	o->result = result;
}

/*--------------------------------------------------------------------------------------------------
 * Log
 */

void cbt_log_begin(struct cbt_disk_log *log, const struct cbt_identity *id, u64 sequence,
		   u32 position, u64 epoch)
{
	BUILD_BUG_ON(sizeof(*log) != CBT_DISK_BLOCK);
	memset(log, 0, sizeof(*log));
	log->magic = cpu_to_le32(CBT_DISK_LOG_MAGIC);
	memcpy(log->uuid, id->uuid, 16);
	log->lineage = cpu_to_le64(id->lineage);
	log->sequence = cpu_to_le64(sequence);
	log->epoch = cpu_to_le64(epoch);
	log->position = cpu_to_le32(position);
}

bool cbt_log_add(struct cbt_disk_log *log, u64 start, u64 nr, bool region)
{
	u32 nr_records = le32_to_cpu(log->nr_records);

	if (nr_records == CBT_DISK_RECORDS)
		return false;
	log->records[nr_records].start = cpu_to_le64(start);
	log->records[nr_records].nr = cpu_to_le64(nr | (region ? CBT_DISK_REGION : 0));
	log->nr_records = cpu_to_le32(nr_records + 1);
	return true;
}

void cbt_log_seal(struct cbt_disk_log *log)
{
	log->crc = cpu_to_le32(BLOCK_CRC(log));
}

bool cbt_log_is_live(const struct cbt_disk_log *log, const struct cbt_super *super, u32 half,
		     u32 position)
{
	u64 sequence = le64_to_cpu(log->sequence);
	u64 epoch = le64_to_cpu(log->epoch);
	u32 nr_records = le32_to_cpu(log->nr_records);

	return le32_to_cpu(log->magic) == CBT_DISK_LOG_MAGIC &&
	       le32_to_cpu(log->crc) == BLOCK_CRC(log) &&
	       !memcmp(log->uuid, super->id.uuid, 16) &&
	       le64_to_cpu(log->lineage) == super->id.lineage &&
	       sequence >= super->log_sequence && sequence < NUMBER_LIMIT && sequence % 2 == half &&
	       epoch > super->committed && epoch < NUMBER_LIMIT &&
	       le32_to_cpu(log->position) == position && nr_records <= CBT_DISK_RECORDS;
}

/*--------------------------------------------------------------------------------------------------
 * Bits
 */

void cbt_bits_encode(struct cbt_disk_bits *block, u32 magic, const struct cbt_identity *id,
		     u64 number, u64 tag)
{
	BUILD_BUG_ON(sizeof(*block) != CBT_DISK_BLOCK);
	block->magic = cpu_to_le32(magic);
	memcpy(block->uuid, id->uuid, 16);
	block->lineage = cpu_to_le64(id->lineage);
	block->tag = cpu_to_le64(tag);
	block->number = cpu_to_le64(number);
	memset(block->reserved, 0, sizeof(block->reserved));
	memset(block->reserved2, 0, sizeof(block->reserved2));
	block->crc = cpu_to_le32(BLOCK_CRC(block));
}

static bool is_zero_block(const void *block)
{
	const u64 *p = block;
	u32 i;

	for (i = 0; i < CBT_DISK_BLOCK / sizeof(*p); i++)
		if (p[i])
			return false;
	return true;
}

enum cbt_bits_state cbt_bits_state(const struct cbt_disk_bits *block, u32 magic,
				   const struct cbt_super *super, u64 number)
{
	bool is_index = magic == CBT_DISK_INDEX_MAGIC;

	if (le32_to_cpu(block->magic) != magic || le32_to_cpu(block->crc) != BLOCK_CRC(block))
		return is_zero_block(block) ? CBT_BITS_CLEAN : CBT_BITS_DAMAGED;
	if (memcmp(block->uuid, super->id.uuid, 16) ||
	    le64_to_cpu(block->lineage) != super->id.lineage)
		return CBT_BITS_CLEAN;
	if (le64_to_cpu(block->number) != number || le64_to_cpu(block->tag) >= NUMBER_LIMIT)
		return CBT_BITS_DAMAGED;
	/* An index block names pages of many epochs: whether they are live stands in them. */
	return is_index || le64_to_cpu(block->tag) > super->committed ? CBT_BITS_LIVE
								       : CBT_BITS_CLEAN;
}

/*--------------------------------------------------------------------------------------------------
 * Recovery
 */

const struct cbt_super *cbt_recover_super(struct cbt_super slots[CBT_DISK_SUPER_SLOTS],
					  cbt_read_fn read, void *context, void *buffer,
					  int *ret_error, const char **why)
{
	const char *said[CBT_DISK_SUPER_SLOTS];
	int error[CBT_DISK_SUPER_SLOTS];
	u32 i;

	for (i = 0; i < CBT_DISK_SUPER_SLOTS; i++) {
		said[i] = "the superblock cannot be read";
		error[i] = read(context, cbt_super_slot(i), 1, buffer);
		if (!error[i])
			error[i] = cbt_super_decode(&slots[i], buffer, &said[i]);
	}
	if (error[0] && error[1]) {
		/* A blank slot beside a damaged one is no reason to format the store. */
		i = error[0] == -ENODATA;
		*ret_error = error[i];
		*why = said[i];
		return NULL;
	}
	if (error[0] || error[1])
		return &slots[!!error[0]];
	return &slots[slots[1].sequence > slots[0].sequence];
}

static void recover_dirty(struct cbt_recovery *r, u64 start, u64 nr)
{
	struct cbt_spares spares = { };
	u64 end = min(start + nr, r->dirty->nr_blocks);

	/* Leaf by leaf, so that two spare pages always do. */
	while (start < end) {
		u64 next = min((start | (CBT_LEAF_BLOCKS - 1)) + 1, end);

		cbt_spares_fill(&spares);
		(void)cbt_map_mark(r->dirty, start, next - 1, &spares);
		start = next;
	}
	cbt_spares_drop(&spares);
}

static void recover_suspect(struct cbt_recovery *r, u64 start, u64 nr)
{
	u64 region_blocks = cbt_geometry_region_blocks(&r->super.geo);
	u64 end = min(start + nr, r->dirty->nr_blocks);
	struct cbt_spares spares = { };

	if (start >= end)
		return;
	cbt_spares_fill(&spares);
	(void)cbt_map_mark(r->suspect, start / region_blocks, (end - 1) / region_blocks, &spares);
	cbt_spares_drop(&spares);
}

/* Its pages do not say all that the map does, which is a permission to write. */
static void leaf_is_stale(struct cbt_recovery *r, u64 leaf)
{
	if (r->leaves_stale && leaf < r->dirty->nr_leaves)
		__set_bit(leaf, r->leaves_stale);
}

static void recover_record(struct cbt_recovery *r, const struct cbt_disk_record *record)
{
	u64 start = le64_to_cpu(record->start);
	u64 nr = le64_to_cpu(record->nr) & ~CBT_DISK_REGION;
	u64 leaf, end;

	if (start >= r->dirty->nr_blocks)
		return;
	nr = min(nr, r->dirty->nr_blocks - start);
	if (!nr)
		return;
	r->nr_records++;
	recover_dirty(r, start, nr);
	if (le64_to_cpu(record->nr) & CBT_DISK_REGION)
		recover_suspect(r, start, nr);
	end = (start + nr - 1) >> CBT_LEAF_SHIFT;
	for (leaf = start >> CBT_LEAF_SHIFT; leaf <= end; leaf++)
		leaf_is_stale(r, leaf);
}

static void recover_log_block(struct cbt_recovery *r, const struct cbt_disk_log *log, u32 half,
			      u32 position)
{
	u32 i;

	if (!cbt_log_is_live(log, &r->super, half, position))
		return;
	r->epoch = max(r->epoch, (u64)le64_to_cpu(log->epoch));
	r->log_sequence = max(r->log_sequence, (u64)le64_to_cpu(log->sequence));
	for (i = 0; i < le32_to_cpu(log->nr_records); i++)
		recover_record(r, &log->records[i]);
}

static int recover_log(struct cbt_recovery *r, cbt_read_fn read, void *context, void *buffer)
{
	const struct cbt_geometry *geo = &r->super.geo;
	u64 total = 2 * geo->log_half_blocks;
	u64 at, i;

	for (at = 0; at < total; at += CBT_RECOVER_BLOCKS) {
		u32 nr = min(total - at, (u64)CBT_RECOVER_BLOCKS);
		int error = read(context, CBT_DISK_LOG_START + at, nr, buffer);

		if (error)
			return error;
		for (i = 0; i < nr; i++) {
			u32 half = at + i >= geo->log_half_blocks;

			recover_log_block(r, (struct cbt_disk_log *)buffer + i, half,
					  at + i - half * geo->log_half_blocks);
		}
	}
	return 0;
}

/* The regions of half a leaf, as far as the page says that they are suspect. */
static void recover_page_suspect(struct cbt_recovery *r, const struct cbt_disk_bits *page,
				 u64 number)
{
	u64 region_blocks = cbt_geometry_region_blocks(&r->super.geo);
	u64 start = number * CBT_DISK_BITS;
	u64 i;

	for (i = 0; i * region_blocks < CBT_DISK_BITS; i++)
		if (page->suspect[i / 8] >> (i % 8) & 1)
			recover_suspect(r, start + i * region_blocks, region_blocks);
}

static void recover_page(struct cbt_recovery *r, const struct cbt_disk_bits *page, u64 number)
{
	u64 start = number * CBT_DISK_BITS;
	u64 leaf = number / LEAF_HALVES;

	switch (cbt_bits_state(page, CBT_DISK_MAP_MAGIC, &r->super, number)) {
	case CBT_BITS_CLEAN:
		return;
	case CBT_BITS_DAMAGED:
		r->nr_damaged++;
		recover_dirty(r, start, CBT_DISK_BITS);
		recover_suspect(r, start, CBT_DISK_BITS);
		leaf_is_stale(r, leaf);
		return;
	case CBT_BITS_LIVE:
		break;
	}
	r->epoch = max(r->epoch, (u64)le64_to_cpu(page->tag));
	if (!cbt_map_load(r->dirty, start, page->bits, CBT_DISK_BITS))
		leaf_is_stale(r, leaf);
	recover_page_suspect(r, page, number);
}

/* Pages of @nr leaves from @leaf on. */
static int recover_leaves(struct cbt_recovery *r, cbt_read_fn read, void *context, void *buffer,
			  u64 leaf, u32 nr)
{
	u64 first = LEAF_HALVES * leaf;
	u32 i;
	int error = read(context, r->super.geo.map_start + first, LEAF_HALVES * nr, buffer);

	for (i = 0; !error && i < LEAF_HALVES * nr; i++)
		recover_page(r, (struct cbt_disk_bits *)buffer + i, first + i);
	return error;
}

static bool index_names(const struct cbt_disk_bits *index, u64 bit)
{
	return le64_to_cpu(index->bits[bit / 64]) >> (bit % 64) & 1;
}

/* What one index block names: runs of leaves, as many at once as the buffer takes. */
static int recover_indexed(struct cbt_recovery *r, cbt_read_fn read, void *context, void *buffer,
			   const struct cbt_disk_bits *index, u64 number)
{
	bool all = false;
	u64 first = number * INDEX_BITS;
	u64 end = min(first + INDEX_BITS, r->dirty->nr_leaves);
	u64 leaf = first;

	switch (cbt_bits_state(index, CBT_DISK_INDEX_MAGIC, &r->super, number)) {
	case CBT_BITS_CLEAN:
		return 0;
	case CBT_BITS_DAMAGED:
		r->nr_damaged++;
		all = true;
		break;
	case CBT_BITS_LIVE:
		break;
	}
	while (leaf < end) {
		u32 nr = 0;
		int error;

		while (leaf + nr < end && nr < CBT_RECOVER_BLOCKS / LEAF_HALVES &&
		       (all || index_names(index, leaf + nr - first)))
			nr++;
		if (!nr) {
			leaf++;
			continue;
		}
		error = recover_leaves(r, read, context, buffer, leaf, nr);
		if (error)
			return error;
		leaf += nr;
	}
	return 0;
}

int cbt_recover(struct cbt_recovery *r, cbt_read_fn read, void *context, void *buffer, void *index)
{
	u64 i;
	int error;

	r->epoch = max(r->epoch, r->super.epoch);
	r->log_sequence = max(r->log_sequence, r->super.log_sequence);
	for (i = 0; i < r->super.geo.index_blocks; i++) {
		error = read(context, r->super.geo.index_start + i, 1, index);
		if (!error)
			error = recover_indexed(r, read, context, buffer, index, i);
		if (error)
			return error;
	}
	return recover_log(r, read, context, buffer);
}
