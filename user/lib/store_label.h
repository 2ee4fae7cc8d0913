/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What failbackd keeps in the label of a store (CBT_LABEL_LEN bytes, CBT_CMD_LABEL_SET): whose disk
 * that is, so that the half of a relationship can be made again when its database is lost. PURE.
 *
 * Numbers are little-endian:
 *
 *	  0  magic "failback"
 *	  8  u16 version, 1
 *	 10  u16 bytes that are used; the rest is zero
 *	 12  u32 CRC32C of all 512 bytes, with this field zero
 *	 16  UUID of the VM
 *	 32  u64 term of the role (daemon/role_swap.h)
 *	 40  u64 when it was written, us since 1970
 *	 48  u64 bytes of the disk
 *	 56  u8  mode, u8 state (daemon/relationship.h)
 *	 58  u16 flags (enum store_label_flag)
 *	 60  u16 which disk of the VM, from 0; 62  u16 of how many
 *	 64  the peer's key, SHA-256 (lib/known_peers.h); zero: known by its name, or without TLS
 *	 96  texts, each a u8 length and that many bytes, UTF-8 without control characters: name of the
 *	     disk, name of the VM, address of the peer, settings, path of the disk
 *
 * The first three texts always fit, whatever their length. Of the settings (JSON) and the path, what
 * finds no room is left out, never cut: "" then, and a flag for the settings.
 *
 * No base stands here: that is the tracker's, which knows it best.
 */
#ifndef FAILBACK_LIB_STORE_LABEL_H
#define FAILBACK_LIB_STORE_LABEL_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/dm-cbt.h>

#include "base/uuid.h"
#include "lib/known_peers.h"
#include "lib/store.h"

#define STORE_LABEL_TEXT_MAX 255 /* bytes of settings or path */

enum store_label_flag {
	STORE_LABEL_CEDED = 1 << 0, /* a primary on which the VM may not run */
	STORE_LABEL_INCONSISTENT = 1 << 1, /* the disks hold no instant of the VM's */
	STORE_LABEL_MAP_LOST = 1 << 2, /* the map of this tracker misses writes */
	STORE_LABEL_SEND_ALL = 1 << 3, /* the map says nothing about what the peer lacks */
	STORE_LABEL_NO_SETTINGS = 1 << 4, /* there are some, which found no room */
	STORE_LABEL_FLAGS = (1 << 5) - 1,
};

struct store_label {
	struct uuid vm;
	uint64_t term;
	uint64_t written_us;
	uint64_t size_bytes;
	unsigned int mode;
	unsigned int state;
	unsigned int flags;
	unsigned int disk; /* below nr_disks */
	unsigned int nr_disks;
	uint8_t peer_key[FINGERPRINT_BYTES];
	char disk_name[DISK_NAME_MAX + 1];
	char vm_name[VM_NAME_MAX + 1];
	char peer[PEER_TEXT_MAX];
	char settings[STORE_LABEL_TEXT_MAX + 1];
	char path[STORE_LABEL_TEXT_MAX + 1];
};

enum store_label_kind {
	STORE_LABEL_SOUND,
	STORE_LABEL_FOREIGN, /* empty, or somebody else's */
	STORE_LABEL_NEWER, /* of a version that this one does not know */
	STORE_LABEL_DAMAGED,
};

/**
 * store_label_encode - -EINVAL: a name is empty, or a text is not what the format allows; @ret is
 * untouched then.
 */
int store_label_encode(const struct store_label *label, uint8_t ret[CBT_LABEL_LEN]);

/**
 * store_label_decode - any bytes. @ret is untouched unless STORE_LABEL_SOUND: then all texts are
 * printable UTF-8 with NUL, the names not empty, and @ret->disk is below @ret->nr_disks. What modes,
 * states and the address mean is not looked at.
 */
enum store_label_kind store_label_decode(const uint8_t bytes[CBT_LABEL_LEN], struct store_label *ret);

#endif
