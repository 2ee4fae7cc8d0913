// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/store_label.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"
#include "port.h"

#define MAGIC	"failback"
#define VERSION 1

struct head {
	char magic[8];
	uint16_t version;
	uint16_t used;
	uint32_t crc;
	struct uuid vm;
	uint64_t term;
	uint64_t written_us;
	uint64_t size_bytes;
	uint8_t mode;
	uint8_t state;
	uint16_t flags;
	uint16_t disk;
	uint16_t nr_disks;
	uint8_t peer_key[FINGERPRINT_BYTES];
};

_Static_assert(sizeof(struct head) == 96, "head of a label");

#define TEXT_BYTES(max) (1 + (max))

_Static_assert(sizeof(struct head) + TEXT_BYTES(DISK_NAME_MAX) + TEXT_BYTES(VM_NAME_MAX) +
			       TEXT_BYTES(PEER_TEXT_MAX - 1) + 2 * TEXT_BYTES(0) <=
		       CBT_LABEL_LEN,
	       "names of any length fit");

static uint32_t crc_of(const uint8_t bytes[CBT_LABEL_LEN])
{
	uint8_t copy[CBT_LABEL_LEN];

	memcpy(copy, bytes, sizeof(copy));
	memset(copy + offsetof(struct head, crc), 0, sizeof(uint32_t));
	return ~crc32c(~0U, copy, sizeof(copy));
}

static bool is_printable(const char *text)
{
	char printable[STORE_LABEL_TEXT_MAX + 1];

	text_make_printable(text, strlen(text), printable, sizeof(printable));
	return strcmp(text, printable) == 0;
}

/* --- encoding --- */

struct writer {
	uint8_t bytes[CBT_LABEL_LEN];
	size_t used;
};

static void put_text(struct writer *w, const char *text)
{
	size_t len = strlen(text);

	w->bytes[w->used++] = (uint8_t)len;
	memcpy(w->bytes + w->used, text, len);
	w->used += len;
}

/* False, and an empty one, when it does not fit before @after bytes that are to follow. */
static bool put_if_it_fits(struct writer *w, const char *text, size_t after)
{
	bool fits = w->used + TEXT_BYTES(strlen(text)) + after <= sizeof(w->bytes);

	put_text(w, fits ? text : "");
	return fits;
}

static bool is_fit(const struct store_label *label)
{
	return label->vm_name[0] && label->disk_name[0] && label->disk < label->nr_disks &&
	       label->nr_disks <= UINT16_MAX && label->mode <= UINT8_MAX &&
	       label->state <= UINT8_MAX && !(label->flags & ~STORE_LABEL_FLAGS) &&
	       is_printable(label->vm_name) && is_printable(label->disk_name) &&
	       is_printable(label->peer) && is_printable(label->settings) &&
	       is_printable(label->path);
}

int store_label_encode(const struct store_label *label, uint8_t ret[CBT_LABEL_LEN])
{
	struct writer w = { .used = sizeof(struct head) };
	unsigned int flags = label->flags;
	struct head head;

	if (!is_fit(label))
		return -EINVAL;
	put_text(&w, label->disk_name);
	put_text(&w, label->vm_name);
	put_text(&w, label->peer);
	if (!put_if_it_fits(&w, label->settings, TEXT_BYTES(0)))
		flags |= STORE_LABEL_NO_SETTINGS;
	(void)put_if_it_fits(&w, label->path, 0);
	head = (struct head){
		.version = htole16(VERSION),
		.used = htole16((uint16_t)w.used),
		.vm = label->vm,
		.term = htole64(label->term),
		.written_us = htole64(label->written_us),
		.size_bytes = htole64(label->size_bytes),
		.mode = (uint8_t)label->mode,
		.state = (uint8_t)label->state,
		.flags = htole16((uint16_t)flags),
		.disk = htole16((uint16_t)label->disk),
		.nr_disks = htole16((uint16_t)label->nr_disks),
	};
	memcpy(head.magic, MAGIC, sizeof(head.magic));
	memcpy(head.peer_key, label->peer_key, sizeof(head.peer_key));
	memcpy(w.bytes, &head, sizeof(head));
	head.crc = htole32(crc_of(w.bytes));
	memcpy(w.bytes, &head, sizeof(head));
	memcpy(ret, w.bytes, sizeof(w.bytes));
	return 0;
}

/* --- decoding --- */

struct reader {
	const uint8_t *bytes;
	size_t used;
	size_t at;
};

static bool take_text(struct reader *r, char *ret, size_t size)
{
	size_t len;

	if (r->at >= r->used)
		return false;
	len = r->bytes[r->at++];
	if (len >= size || len > r->used - r->at || memchr(r->bytes + r->at, 0, len))
		return false;
	memcpy(ret, r->bytes + r->at, len);
	ret[len] = '\0';
	r->at += len;
	return true;
}

static bool take_texts(struct reader *r, struct store_label *label)
{
	return take_text(r, label->disk_name, sizeof(label->disk_name)) &&
	       take_text(r, label->vm_name, sizeof(label->vm_name)) &&
	       take_text(r, label->peer, sizeof(label->peer)) &&
	       take_text(r, label->settings, sizeof(label->settings)) &&
	       take_text(r, label->path, sizeof(label->path)) && r->at == r->used;
}

enum store_label_kind store_label_decode(const uint8_t bytes[CBT_LABEL_LEN], struct store_label *ret)
{
	struct store_label label;
	struct reader r;
	struct head head;

	memcpy(&head, bytes, sizeof(head));
	if (memcmp(head.magic, MAGIC, sizeof(head.magic)) != 0)
		return STORE_LABEL_FOREIGN;
	/* The check comes first: damage must not pass for a newer version. */
	if (le32toh(head.crc) != crc_of(bytes))
		return STORE_LABEL_DAMAGED;
	if (le16toh(head.version) != VERSION)
		return STORE_LABEL_NEWER;
	label = (struct store_label){
		.vm = head.vm,
		.term = le64toh(head.term),
		.written_us = le64toh(head.written_us),
		.size_bytes = le64toh(head.size_bytes),
		.mode = head.mode,
		.state = head.state,
		.flags = le16toh(head.flags),
		.disk = le16toh(head.disk),
		.nr_disks = le16toh(head.nr_disks),
	};
	memcpy(label.peer_key, head.peer_key, sizeof(label.peer_key));
	r = (struct reader){ bytes, min_of((size_t)le16toh(head.used), (size_t)CBT_LABEL_LEN),
			     sizeof(head) };
	if (!take_texts(&r, &label) || !is_fit(&label))
		return STORE_LABEL_DAMAGED;
	*ret = label;
	return STORE_LABEL_SOUND;
}
