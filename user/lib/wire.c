// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One table bounds what each type of record may carry, so that everything behind
 * wire_header_decode() works on lengths that are known to be sane. Fields are moved with memcpy: a
 * record may start at any address.
 *
 * The digest's state is xxhash's own, kept opaque so that xxhash stays in this file: a plain
 * struct, which is why XXH_STATIC_LINKING_ONLY is needed to see its size.
 */
#include "lib/wire.h"

#include <endian.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h> /* the same functions in the widest vectors that the processor has */
#endif

#include "base/macro.h"
#include "base/text.h"

_Static_assert(sizeof(struct cbt_wire_header) == 32, "wire header");
_Static_assert(sizeof(struct cbt_wire_extent) == 16, "wire extent");
_Static_assert(sizeof(struct cbt_wire_begin) == 72, "wire begin");
_Static_assert(sizeof(struct cbt_wire_compare) == 64, "wire compare");
_Static_assert(sizeof(struct cbt_wire_mark) == 24, "wire mark");
_Static_assert(sizeof(struct cbt_wire_ready) == 32, "wire ready");
_Static_assert(sizeof(struct cbt_wire_disk) == 64, "wire disk");
_Static_assert(sizeof(struct cbt_wire_end) == 40, "wire end");
_Static_assert(sizeof(struct cbt_wire_durable) == 24, "wire durable");
_Static_assert(sizeof(struct cbt_wire_failed) == 4, "wire failed");
_Static_assert(sizeof(XXH3_state_t) <= sizeof(struct wire_digest), "digest state");

#define DISK_LEN sizeof(struct cbt_wire_disk)
#define BEGIN_MIN (sizeof(struct cbt_wire_begin) + DISK_LEN)
#define READY_LEN sizeof(struct cbt_wire_ready)
#define MARK_LEN sizeof(struct cbt_wire_mark)
#define COMPARE_LEN sizeof(struct cbt_wire_compare)
#define HASH_MAX (CBT_WIRE_MACS_MAX * CBT_WIRE_MAC_BYTES)
#define DIFFER_MAX ((CBT_WIRE_MACS_MAX + 7) / 8)
#define END_LEN sizeof(struct cbt_wire_end)
#define DURABLE_LEN sizeof(struct cbt_wire_durable)
#define FAILED_MIN sizeof(struct cbt_wire_failed)

struct bounds {
	const char *name; /* NULL: no such type */
	bool has_extents;
	uint32_t body_min;
	uint32_t body_max;
	uint32_t body_unit; /* the body is body_min and a multiple of this more */
};

static const struct bounds bounds_of_type[] = {
	[CBT_WIRE_CALL] = { "CALL", false, 2, CBT_WIRE_TEXT_MAX, 1 },
	[CBT_WIRE_REPLY] = { "REPLY", false, 2, CBT_WIRE_TEXT_MAX, 1 },
	[CBT_WIRE_BEGIN] = { "BEGIN", false, BEGIN_MIN, WIRE_BEGIN_MAX, UUID_BYTES },
	[CBT_WIRE_READY] = { "READY", false, READY_LEN, READY_LEN, 1 },
	[CBT_WIRE_DATA] = { "DATA", true, CBT_WIRE_ALIGN, CBT_WIRE_BODY_MAX, CBT_WIRE_ALIGN },
	[CBT_WIRE_ZERO] = { "ZERO", true, 0, 0, 1 },
	[CBT_WIRE_DISCARD] = { "DISCARD", true, 0, 0, 1 },
	[CBT_WIRE_END] = { "END", false, END_LEN, END_LEN, 1 },
	[CBT_WIRE_DURABLE] = { "DURABLE", false, DURABLE_LEN, DURABLE_LEN, 1 },
	[CBT_WIRE_FAILED] = { "FAILED", false, FAILED_MIN, CBT_WIRE_TEXT_MAX, 1 },
	[CBT_WIRE_MARK] = { "MARK", false, MARK_LEN, MARK_LEN, 1 },
	[CBT_WIRE_COMPARE] = { "COMPARE", false, COMPARE_LEN, COMPARE_LEN, 1 },
	[CBT_WIRE_HASH] = { "HASH", true, CBT_WIRE_MAC_BYTES, HASH_MAX, CBT_WIRE_MAC_BYTES },
	[CBT_WIRE_DIFFER] = { "DIFFER", false, 1, DIFFER_MAX, 1 },
};

static const char *const fault_texts[NR_WIRE_FAULTS] = {
	[WIRE_SOUND] = "is sound",
	[WIRE_FAULT_MAGIC] =
		"does not start with the magic number: the peer speaks another protocol",
	[WIRE_FAULT_TYPE] = "is of a type that this version does not know",
	[WIRE_FAULT_FLAGS] = "carries flags that this version does not know",
	[WIRE_FAULT_DISK] = "names a disk where it must not, or one above the limit",
	[WIRE_FAULT_NR_EXTENTS] = "has a number of extents that its type does not allow",
	[WIRE_FAULT_BODY_LEN] = "has a body of a length that its type does not allow",
	[WIRE_FAULT_CHECK] = "was damaged on the way: its check does not match",
	[WIRE_FAULT_EXTENT_ALIGN] = "has an extent that is not aligned to 512 bytes",
	[WIRE_FAULT_EXTENT_EMPTY] = "has an empty extent",
	[WIRE_FAULT_EXTENT_RANGE] = "has an extent beyond the largest offset",
	[WIRE_FAULT_EXTENT_ORDER] = "has extents that overlap or are out of order",
	[WIRE_FAULT_EXTENT_SUM] = "has a body that is not as long as its extents ask for",
	[WIRE_FAULT_VERSION] = "asks for another version of the protocol",
	[WIRE_FAULT_NR_DISKS] = "announces a number of disks that does not fit its length",
	[WIRE_FAULT_DISK_NAME] = "has a disk name that is empty, not ended or not padded with NUL",
	[WIRE_FAULT_DISK_SIZE] = "has a disk size that is 0, too large or not a multiple of 512",
	[WIRE_FAULT_CODE] = "carries a code outside 32768 to 32779",
	[WIRE_FAULT_NR_ABORTED] = "names more aborted epochs than allowed, or not as many as it says",
	[WIRE_FAULT_RESERVED] = "has something in a field that must be zero",
	[WIRE_FAULT_MARK] = "marks a place that is no multiple of 512, or on a disk above the limit",
	[WIRE_FAULT_PACKED] = "has a packed body that does not become what its extents ask for",
	[WIRE_FAULT_COMPARE] = "has flags of a comparison that this version does not know",
};

const char *wire_fault_text(enum wire_fault fault)
{
	return (unsigned int)fault < NR_WIRE_FAULTS ? fault_texts[fault] : "is wrong";
}

static const struct bounds *bounds_get(unsigned int type)
{
	if (type >= ARRAY_SIZE(bounds_of_type) || !bounds_of_type[type].name)
		return NULL;
	return &bounds_of_type[type];
}

const char *wire_type_name(unsigned int type)
{
	const struct bounds *bounds = bounds_get(type);

	return bounds ? bounds->name : "?";
}

static bool body_len_fits(const struct wire_header *h, const struct bounds *bounds)
{
	if (h->flags & CBT_WIRE_PACKED)
		return h->body_len && h->body_len < bounds->body_max;
	return h->body_len >= bounds->body_min && h->body_len <= bounds->body_max &&
	       !((h->body_len - bounds->body_min) % bounds->body_unit);
}

enum wire_fault wire_header_decode(const uint8_t buf[WIRE_HEADER_BYTES], struct wire_header *ret)
{
	const struct bounds *bounds;
	struct cbt_wire_header raw;
	struct wire_header h;

	memcpy(&raw, buf, sizeof(raw));
	if (le32toh(raw.magic) != CBT_WIRE_MAGIC)
		return WIRE_FAULT_MAGIC;
	h.type = le16toh(raw.type);
	bounds = bounds_get(h.type);
	if (!bounds)
		return WIRE_FAULT_TYPE;
	h.flags = le16toh(raw.flags);
	if (h.flags & ~(h.type == CBT_WIRE_DATA ? CBT_WIRE_PACKED : 0))
		return WIRE_FAULT_FLAGS;
	h.disk = le16toh(raw.disk);
	if (h.disk >= (bounds->has_extents ? CBT_WIRE_DISKS_MAX : 1U))
		return WIRE_FAULT_DISK;
	h.nr_extents = le16toh(raw.nr_extents);
	if (bounds->has_extents ? !h.nr_extents || h.nr_extents > CBT_WIRE_EXTENTS_MAX
				: h.nr_extents)
		return WIRE_FAULT_NR_EXTENTS;
	h.body_len = le32toh(raw.body_len);
	if (!body_len_fits(&h, bounds))
		return WIRE_FAULT_BODY_LEN;
	h.sequence = le64toh(raw.sequence);
	h.check = le64toh(raw.check);
	*ret = h;
	return WIRE_SOUND;
}

static void header_encode(const struct wire_header *h, uint64_t check, uint8_t *buf)
{
	struct cbt_wire_header raw = {
		.magic = htole32(CBT_WIRE_MAGIC),
		.type = htole16(h->type),
		.flags = htole16(h->flags),
		.disk = htole16(h->disk),
		.nr_extents = htole16(h->nr_extents),
		.body_len = htole32(h->body_len),
		.sequence = htole64(h->sequence),
		.check = htole64(check),
	};

	memcpy(buf, &raw, sizeof(raw));
}

/* The check of a record whose head holds 0 in the place of its check. */
static uint64_t check_of(const struct wire_header *h, const uint8_t *blank_head, const void *body)
{
	size_t len = WIRE_HEADER_BYTES + h->nr_extents * WIRE_EXTENT_BYTES;

	return XXH3_64bits_withSeed(body, h->body_len, XXH3_64bits(blank_head, len));
}

void wire_seal(struct wire_header *h, const struct extent *extents, const void *body, uint8_t *head)
{
	uint8_t *at = head + WIRE_HEADER_BYTES;

	header_encode(h, 0, head);
	for (unsigned int i = 0; i < h->nr_extents; i++, at += WIRE_EXTENT_BYTES) {
		struct cbt_wire_extent raw = {
			.offset = htole64(extents[i].offset),
			.length = htole64(extents[i].length),
		};

		memcpy(at, &raw, sizeof(raw));
	}
	h->check = check_of(h, head, body);
	header_encode(h, h->check, head);
}

bool wire_check_matches(const struct wire_header *h, const uint8_t *head, const void *body)
{
	uint8_t blank[WIRE_HEAD_MAX];

	memcpy(blank, head, WIRE_HEADER_BYTES + h->nr_extents * WIRE_EXTENT_BYTES);
	memset(blank + offsetof(struct cbt_wire_header, check), 0, sizeof(__le64));
	return check_of(h, blank, body) == h->check;
}

static enum wire_fault extent_decode(const uint8_t *at, uint64_t start, struct extent *ret)
{
	struct cbt_wire_extent raw;
	uint64_t offset;
	uint64_t length;

	memcpy(&raw, at, sizeof(raw));
	offset = le64toh(raw.offset);
	length = le64toh(raw.length);
	if (!length)
		return WIRE_FAULT_EXTENT_EMPTY;
	if ((offset | length) % CBT_WIRE_ALIGN)
		return WIRE_FAULT_EXTENT_ALIGN;
	if (offset > INT64_MAX || length > INT64_MAX - offset)
		return WIRE_FAULT_EXTENT_RANGE;
	if (offset < start)
		return WIRE_FAULT_EXTENT_ORDER;
	*ret = (struct extent){ offset, length };
	return WIRE_SOUND;
}

static bool sum_fits(const struct wire_header *h, uint64_t sum, uint64_t nr_pieces)
{
	switch (h->type) {
	case CBT_WIRE_DATA:
		if (h->flags & CBT_WIRE_PACKED)
			return sum > h->body_len && sum <= CBT_WIRE_BODY_MAX;
		return sum == h->body_len;
	case CBT_WIRE_HASH:
		return sum <= CBT_WIRE_HASH_MAX && nr_pieces * CBT_WIRE_MAC_BYTES == h->body_len;
	default:
		return true;
	}
}

enum wire_fault wire_extents_decode(const struct wire_header *h, const uint8_t *head,
				    struct extent *ret, uint64_t *ret_sum)
{
	struct extent decoded[CBT_WIRE_EXTENTS_MAX];
	const uint8_t *at = head + WIRE_HEADER_BYTES;
	uint64_t start = 0;
	uint64_t sum = 0;
	uint64_t nr_pieces = 0;

	for (unsigned int i = 0; i < h->nr_extents; i++, at += WIRE_EXTENT_BYTES) {
		enum wire_fault fault = extent_decode(at, start, &decoded[i]);

		if (fault)
			return fault;
		start = decoded[i].offset + decoded[i].length;
		/* extents do not overlap: both stay below 2^63 */
		sum += decoded[i].length;
		nr_pieces += wire_nr_pieces(&decoded[i]);
	}
	if (!sum_fits(h, sum, nr_pieces))
		return WIRE_FAULT_EXTENT_SUM;
	memcpy(ret, decoded, h->nr_extents * sizeof(*ret));
	*ret_sum = sum;
	return WIRE_SOUND;
}

uint64_t wire_hash(const void *buf, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(buf, len, seed);
}

/* --- bodies --- */

size_t wire_begin_encode(const struct wire_begin *begin, uint8_t buf[WIRE_BEGIN_MAX])
{
	struct cbt_wire_begin raw = {
		.version = htole32(CBT_WIRE_VERSION),
		.nr_disks = htole32(begin->nr_disks),
		.bytes_total = htole64(begin->bytes_total),
		.nr_aborted = htole32(begin->nr_aborted),
	};
	uint8_t *at = buf;

	memcpy(raw.vm, begin->vm.b, sizeof(raw.vm));
	memcpy(raw.epoch, begin->epoch.b, sizeof(raw.epoch));
	memcpy(raw.base, begin->base.b, sizeof(raw.base));
	memcpy(at, &raw, sizeof(raw));
	at += sizeof(raw);
	for (uint32_t i = 0; i < begin->nr_disks; i++) {
		struct cbt_wire_disk disk = { .size_bytes = htole64(begin->disks[i].size_bytes) };

		memcpy(disk.name, begin->disks[i].name,
		       strnlen(begin->disks[i].name, WIRE_NAME_MAX));
		memcpy(at, &disk, sizeof(disk));
		at += sizeof(disk);
	}
	for (uint32_t i = 0; i < begin->nr_aborted; i++, at += UUID_BYTES)
		memcpy(at, begin->aborted[i].b, UUID_BYTES);
	return (size_t)(at - buf);
}

static enum wire_fault disk_decode(const uint8_t *at, struct wire_disk *ret)
{
	struct cbt_wire_disk raw;
	uint64_t size;
	size_t len;

	memcpy(&raw, at, sizeof(raw));
	size = le64toh(raw.size_bytes);
	if (!size || size % CBT_WIRE_ALIGN || size > INT64_MAX)
		return WIRE_FAULT_DISK_SIZE;
	len = strnlen(raw.name, sizeof(raw.name));
	if (!len || len > WIRE_NAME_MAX)
		return WIRE_FAULT_DISK_NAME;
	for (size_t i = len; i < sizeof(raw.name); i++)
		if (raw.name[i])
			return WIRE_FAULT_DISK_NAME;
	ret->size_bytes = size;
	memcpy(ret->name, raw.name, sizeof(raw.name));
	return WIRE_SOUND;
}

enum wire_fault wire_begin_decode(const uint8_t *body, size_t len, struct wire_begin *ret)
{
	struct cbt_wire_begin raw;
	struct wire_begin begin;
	const uint8_t *at;

	/* The version stands first in every version. */
	if (len < sizeof(raw.version))
		return WIRE_FAULT_BODY_LEN;
	memcpy(&raw.version, body, sizeof(raw.version));
	if (le32toh(raw.version) != CBT_WIRE_VERSION)
		return WIRE_FAULT_VERSION;
	if (len < sizeof(raw))
		return WIRE_FAULT_BODY_LEN;
	memcpy(&raw, body, sizeof(raw));
	if (raw.reserved)
		return WIRE_FAULT_RESERVED;
	begin.nr_aborted = le32toh(raw.nr_aborted);
	if (begin.nr_aborted > CBT_WIRE_ABORTED_MAX)
		return WIRE_FAULT_NR_ABORTED;
	begin.nr_disks = le32toh(raw.nr_disks);
	if (!begin.nr_disks || begin.nr_disks > CBT_WIRE_DISKS_MAX ||
	    len != sizeof(raw) + begin.nr_disks * sizeof(struct cbt_wire_disk) +
			    begin.nr_aborted * UUID_BYTES)
		return WIRE_FAULT_NR_DISKS;
	memcpy(begin.vm.b, raw.vm, sizeof(raw.vm));
	memcpy(begin.epoch.b, raw.epoch, sizeof(raw.epoch));
	memcpy(begin.base.b, raw.base, sizeof(raw.base));
	begin.bytes_total = le64toh(raw.bytes_total);
	at = body + sizeof(raw);
	for (uint32_t i = 0; i < begin.nr_disks; i++, at += sizeof(struct cbt_wire_disk)) {
		enum wire_fault fault = disk_decode(at, &begin.disks[i]);

		if (fault)
			return fault;
	}
	memcpy(begin.aborted, at, begin.nr_aborted * UUID_BYTES);
	memcpy(ret, &begin,
	       offsetof(struct wire_begin, disks) + begin.nr_disks * sizeof(begin.disks[0]));
	ret->nr_aborted = begin.nr_aborted;
	memcpy(ret->aborted, begin.aborted, begin.nr_aborted * UUID_BYTES);
	return WIRE_SOUND;
}

size_t wire_compare_encode(const struct wire_compare *compare,
			   uint8_t buf[sizeof(struct cbt_wire_compare)])
{
	struct cbt_wire_compare raw = {
		.version = htole32(CBT_WIRE_VERSION),
		.flags = htole32(compare->only ? CBT_WIRE_COMPARE_ONLY : 0),
		.bytes_total = htole64(compare->bytes_total),
	};

	memcpy(raw.vm, compare->vm.b, sizeof(raw.vm));
	memcpy(raw.epoch, compare->epoch.b, sizeof(raw.epoch));
	memcpy(raw.key, compare->key, sizeof(raw.key));
	memcpy(buf, &raw, sizeof(raw));
	return sizeof(raw);
}

enum wire_fault wire_compare_decode(const uint8_t body[sizeof(struct cbt_wire_compare)],
				    struct wire_compare *ret)
{
	struct cbt_wire_compare raw;

	memcpy(&raw, body, sizeof(raw));
	if (le32toh(raw.version) != CBT_WIRE_VERSION)
		return WIRE_FAULT_VERSION;
	if (le32toh(raw.flags) & ~CBT_WIRE_COMPARE_ONLY)
		return WIRE_FAULT_COMPARE;
	ret->only = le32toh(raw.flags) & CBT_WIRE_COMPARE_ONLY;
	ret->bytes_total = le64toh(raw.bytes_total);
	memcpy(ret->vm.b, raw.vm, sizeof(raw.vm));
	memcpy(ret->epoch.b, raw.epoch, sizeof(raw.epoch));
	memcpy(ret->key, raw.key, sizeof(raw.key));
	return WIRE_SOUND;
}

static struct cbt_wire_mark mark_encode(const struct wire_mark *mark)
{
	return (struct cbt_wire_mark){
		.disk = htole32(mark->disk),
		.offset = htole64(mark->offset),
		.bytes = htole64(mark->bytes),
	};
}

static enum wire_fault mark_decode(const struct cbt_wire_mark *raw, struct wire_mark *ret)
{
	struct wire_mark mark = {
		.disk = le32toh(raw->disk),
		.offset = le64toh(raw->offset),
		.bytes = le64toh(raw->bytes),
	};

	if (raw->reserved)
		return WIRE_FAULT_RESERVED;
	if (mark.disk >= CBT_WIRE_DISKS_MAX || (mark.offset | mark.bytes) % CBT_WIRE_ALIGN)
		return WIRE_FAULT_MARK;
	*ret = mark;
	return WIRE_SOUND;
}

size_t wire_mark_encode(const struct wire_mark *mark, uint8_t buf[sizeof(struct cbt_wire_mark)])
{
	struct cbt_wire_mark raw = mark_encode(mark);

	memcpy(buf, &raw, sizeof(raw));
	return sizeof(raw);
}

enum wire_fault wire_mark_decode(const uint8_t body[sizeof(struct cbt_wire_mark)],
				 struct wire_mark *ret)
{
	struct cbt_wire_mark raw;

	memcpy(&raw, body, sizeof(raw));
	return mark_decode(&raw, ret);
}

size_t wire_ready_encode(const struct wire_ready *ready,
			 uint8_t buf[sizeof(struct cbt_wire_ready)])
{
	struct cbt_wire_ready raw = {
		.mark_interval = htole64(ready->mark_interval),
		.mark = mark_encode(&ready->mark),
	};

	memcpy(buf, &raw, sizeof(raw));
	return sizeof(raw);
}

enum wire_fault wire_ready_decode(const uint8_t body[sizeof(struct cbt_wire_ready)],
				  struct wire_ready *ret)
{
	struct cbt_wire_ready raw;
	struct wire_ready ready;
	enum wire_fault fault;

	memcpy(&raw, body, sizeof(raw));
	ready.mark_interval = le64toh(raw.mark_interval);
	fault = mark_decode(&raw.mark, &ready.mark);
	if (!fault)
		*ret = ready;
	return fault;
}

size_t wire_end_encode(const struct wire_end *end, uint8_t buf[sizeof(struct cbt_wire_end)])
{
	struct cbt_wire_end raw = {
		.nr_records = htole64(end->nr_records),
		.bytes_data = htole64(end->bytes_data),
		.bytes_zero = htole64(end->bytes_zero),
		.bytes_discard = htole64(end->bytes_discard),
		.digest = htole64(end->digest),
	};

	memcpy(buf, &raw, sizeof(raw));
	return sizeof(raw);
}

void wire_end_decode(const uint8_t body[sizeof(struct cbt_wire_end)], struct wire_end *ret)
{
	struct cbt_wire_end raw;

	memcpy(&raw, body, sizeof(raw));
	ret->nr_records = le64toh(raw.nr_records);
	ret->bytes_data = le64toh(raw.bytes_data);
	ret->bytes_zero = le64toh(raw.bytes_zero);
	ret->bytes_discard = le64toh(raw.bytes_discard);
	ret->digest = le64toh(raw.digest);
}

size_t wire_durable_encode(const struct wire_durable *durable,
			   uint8_t buf[sizeof(struct cbt_wire_durable)])
{
	struct cbt_wire_durable raw = { .digest = htole64(durable->digest) };

	memcpy(raw.epoch, durable->epoch.b, sizeof(raw.epoch));
	memcpy(buf, &raw, sizeof(raw));
	return sizeof(raw);
}

void wire_durable_decode(const uint8_t body[sizeof(struct cbt_wire_durable)],
			 struct wire_durable *ret)
{
	struct cbt_wire_durable raw;

	memcpy(&raw, body, sizeof(raw));
	memcpy(ret->epoch.b, raw.epoch, sizeof(raw.epoch));
	ret->digest = le64toh(raw.digest);
}

size_t wire_failed_encode(const struct failure *failure, uint8_t *buf)
{
	struct cbt_wire_failed raw = { .code = htole32(failure->code) };
	size_t len = strnlen(failure->text, sizeof(failure->text));

	memcpy(buf, &raw, sizeof(raw));
	memcpy(buf + sizeof(raw), failure->text, len);
	return sizeof(raw) + len;
}

enum wire_fault wire_failed_decode(const uint8_t *body, size_t len, struct failure *ret)
{
	struct cbt_wire_failed raw;
	uint32_t code;

	if (len < sizeof(raw))
		return WIRE_FAULT_BODY_LEN;
	memcpy(&raw, body, sizeof(raw));
	code = le32toh(raw.code);
	if (code < CODE_FAILED || code > CODE_FILE_NOT_FOUND)
		return WIRE_FAULT_CODE;
	ret->code = code;
	text_make_printable((const char *)body + sizeof(raw), len - sizeof(raw), ret->text,
			    sizeof(ret->text));
	return WIRE_SOUND;
}

/* --- digest --- */

void wire_digest_init(struct wire_digest *digest)
{
	memset(digest, 0, sizeof(*digest));
	(void)XXH3_64bits_reset((XXH3_state_t *)digest->opaque);
}

void wire_digest_add(struct wire_digest *digest, uint64_t check)
{
	__le64 raw = htole64(check);

	(void)XXH3_64bits_update((XXH3_state_t *)digest->opaque, &raw, sizeof(raw));
}

uint64_t wire_digest_value(const struct wire_digest *digest)
{
	return XXH3_64bits_digest((const XXH3_state_t *)digest->opaque);
}
